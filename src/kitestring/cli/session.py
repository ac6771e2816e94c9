"""kitestring run, status, session new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kitestring.session.run import StageStatus

_COLOURS = {"done": "green", "to do": "yellow", "failed": "red", "interrupted": "red"}

Directory = Annotated[Path, typer.Argument(help="The session's directory, with session.toml.")]


def run(
    directory: Directory = Path(),
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Run this stage alone; may be repeated.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Run stages that are done, too.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; one a core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the stages as JSON.")] = False,
) -> None:
    """Run the stages of a session that are not yet done."""
    from kitestring.cli import _show
    from kitestring.session.run import run_session

    with _show.progress() as tell:
        rows = run_session(directory, only=only or (), again=again, progress=tell, threads=threads)
    print_stages(rows, as_json, directory)


def status(
    directory: Directory = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the stages as JSON.")] = False,
) -> None:
    """Show where every stage of a session stands."""
    from kitestring.session.run import session_status

    print_stages(session_status(directory), as_json, directory)


def new(
    directory: Annotated[Path, typer.Argument(help="Directory to make.")],
    correlx: Annotated[
        Path,
        typer.Option(help="Directory of CorrelX files to make the session from."),
    ],
) -> None:
    """Make a session from the files of another correlator: recordings, channels, delays."""
    from kitestring.cli import _show
    from kitestring.session.new import session_from_correlx

    _show.out.print(f"written: {session_from_correlx(directory, correlx)}")


def print_stages(rows: Sequence[StageStatus], as_json: bool, directory: Path | None = None) -> None:
    """Print where stages stand, and where the report of `directory` lies, if there is one."""
    from dataclasses import asdict

    from kitestring.cli import _show

    if as_json:
        _show.print_json([asdict(row) for row in rows])
        return
    for row in rows:
        colour = _COLOURS[row.state]
        text = row.message or _show.told(row.summary)
        _show.out.print(f"{row.name:12} [{colour}]{row.state:11}[/] ", end="")
        _show.out.print(text, markup=False, soft_wrap=True)
    if directory is not None and (directory / "report.html").exists():
        _show.out.print(f"report: {directory / 'report.html'}")
