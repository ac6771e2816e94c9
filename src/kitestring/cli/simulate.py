"""kitestring simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    scenario: Annotated[Path, typer.Argument(help="The scenario: docs/guides/simulate.md.")],
    directory: Annotated[Path, typer.Argument(help="Where to write; made where missing.")],
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of all noise and draws; else the scenario's.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier simulation in the directory.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; one a core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Simulate recordings of a session whose truth is known."""
    from kitestring.cli import _show
    from kitestring.session.simulation import TRUTH, simulate_session

    with _show.progress() as tell:
        made = simulate_session(
            scenario, directory, seed, force=force, threads=threads, progress=tell
        )
    size = sum(path.stat().st_size for path in made.recordings)
    if as_json:
        _show.print_json(
            {
                "directory": str(made.directory),
                "seed": made.seed,
                "recordings": [str(path) for path in made.recordings],
                "bytes": size,
                "resumed": made.resumed,
                "truth": str(made.directory / TRUTH),
            }
        )
        return
    _show.out.print(
        f"recordings: {len(made.recordings)} files, {size / 1e6:.1f} MB, seed {made.seed}"
    )
    _show.out.print(f"truth: {made.directory / TRUTH}")
    _show.out.print(f"next: kitestring run {made.directory}", soft_wrap=True)
