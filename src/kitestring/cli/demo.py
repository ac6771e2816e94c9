"""kitestring demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from kitestring.session.demo import DemoResult


def demo(
    directory: Annotated[Path, typer.Argument(help="Where to work; made where missing.")] = Path(
        "kitestring-demo"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Draws all hidden errors and all noise.")] = 1,
    small: Annotated[bool, typer.Option("--small", help="Shorter scans, three stations.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Simulate a delta-DOR session, process its voltages to an orbit, compare with the truth."""
    from kitestring.cli import _show
    from kitestring.session.demo import run_demo, summary_rows
    from kitestring.session.demo_scenario import FULL, SMALL

    with _show.progress() as tell:
        result = run_demo(directory, seed, SMALL if small else FULL, progress=tell)
    if as_json:
        _show.print_json(
            {
                "seed": result.seed,
                "passed": result.passed,
                "delta_dor": summary_rows(result),
                "checks": {c.name: c.value for c in (*result.checks, *result.limits)},
                "report": str(result.report),
            }
        )
        raise typer.Exit(0 if result.passed else 1)
    for part in _tables(result):
        _show.out.print(part)
    for check in (*result.checks, *result.limits):
        _show.out.print(str(check))
    _show.out.print(f"report: {result.report}")
    raise typer.Exit(0 if result.passed else 1)


def _tables(result: DemoResult) -> list[Table]:
    """Return delta-DOR, position and velocity beside their truth."""
    from kitestring.cli._show import table

    errors = [
        (
            r.scan,
            r.baseline,
            f"{r.value * 1e9:+.3f}",
            f"{r.error * 1e12:+.0f}",
            f"{r.sigma * 1e12:.0f}",
            f"{r.error / r.sigma:+.2f}",
        )
        for r in result.rows
    ]
    position = [
        (
            seen.name.removesuffix(" position"),
            f"{before / 1e3:+.3f}",
            f"{error / 1e3:+.3f}",
            f"{sigma / 1e3:.3f}",
            seen.mark,
        )
        for seen, before, error, sigma in zip(
            result.seen[:3], result.apriori_error, result.sky_error, result.sky_sigma, strict=True
        )
    ]
    velocity = [
        (s.name.removesuffix(" velocity"), f"{s.before:.4g}", f"{s.after:.4g}", s.mark)
        for s in result.seen[3:]
    ]
    return [
        table(
            f"Delta-DOR against truth (seed {result.seed})",
            ("scan", "baseline", "delta-DOR (ns)", "error (ps)", "sigma (ps)", "error/sigma"),
            errors,
        ),
        table(
            "Position at mid-session against truth",
            ("", "a-priori error (km)", "error (km)", "sigma (km)", ""),
            position,
        ),
        table(
            "Velocity at mid-session",
            ("", "sigma a priori (m/s)", "sigma (m/s)", ""),
            velocity,
        ),
    ]
