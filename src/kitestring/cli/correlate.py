"""kitestring correlate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kitestring.cli.session import Directory, print_stages


def correlate(
    directory: Directory = Path(),
    again: Annotated[
        bool, typer.Option("--again", help="Begin anew, also where scans are correlated already.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads, or workers of a local cluster; one a core.")
    ] = None,
    cluster: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Correlate on this Dask cluster (tcp://10.0.0.1:8786); "
            '"local" starts one here. Needs kitestring[cluster].',
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the stage as JSON.")] = False,
) -> None:
    """Correlate the scans of a session: visibilities, and a picture of each.

    Interrupted in whatever way, it goes on where it was when it is run again.
    """
    from kitestring.cli import _show
    from kitestring.session.run import run_session

    with _show.progress() as tell:
        rows = run_session(
            directory, only=["correlate"], again=again, progress=tell, threads=threads,
            cluster=cluster,
        )  # fmt: skip
    print_stages([row for row in rows if row.name == "correlate"], as_json)
