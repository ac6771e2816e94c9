"""kitestring predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    target: Annotated[
        str,
        typer.Argument(
            help="A source, a body such as MARS, an OEM or SPK file (planets.bsp#MARS), or the "
            "directory of a session with a solution."
        ),
    ],
    station: Annotated[
        list[str], typer.Option("--station", "-s", help="A station's name; may be repeated.")
    ],
    start: Annotated[str, typer.Option(help="First epoch, UTC, such as 2026-01-01T16:00:00.")],
    step: Annotated[float, typer.Option(min=1e-3, help="Seconds between epochs.")] = 600.0,
    number: Annotated[
        int | None,
        typer.Option("-n", "--number", min=1, help="Number of epochs; 7 unless --stop is given."),
    ] = None,
    stop: Annotated[
        str | None, typer.Option(help="Last epoch, UTC, in place of a number of epochs.")
    ] = None,
    frequency: Annotated[
        float | None,
        typer.Option(min=1e6, help="What the target transmits, Hz; tells what is received."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw elevations, Sun and Moon angles and rates to this file."),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, all digits kept.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, all digits kept.")] = False,
) -> None:
    """Predict angles, range, Doppler, delay, rate and uvw of a target for stations and times."""
    from kitestring.cli import _show
    from kitestring.errors import ConfigurationError
    from kitestring.session.predictions import predict_for

    if csv and as_json:
        raise ConfigurationError(
            "CSV and JSON were both asked for.", next_step="Give --csv or --json."
        )
    found = predict_for(target, station, start, step, number, stop=stop, frequency=frequency)
    if plot is not None:
        from kitestring.plots.predictions import plot_predictions

        _show.draw(plot_predictions(found), plot)
    if as_json:
        _show.print_json({"target": found.target, "columns": found.columns()})
        return
    if csv:
        print(found.to_csv(), end="")
        return
    columns = found.columns()
    names = list(columns)
    fixed = 5  # epoch, direction, Sun and Moon
    _show.out.print(_rows(f"{found.target}", columns, names[:fixed]))
    for one in found.stations:
        mine = [n for n in names if n.startswith(f"{one.station} ")]
        _show.out.print(_rows(one.station, columns, [names[0], *mine], len(one.station) + 1))
    for pair in found.baselines:
        name = "-".join(pair.baseline)
        mine = [n for n in names if n.startswith(f"{name} ")]
        _show.out.print(_rows(name, columns, [names[0], *mine], len(name) + 1))


def _rows(title: str, columns: dict, names: list[str], cut: int = 0):  # type: ignore[type-arg, no-untyped-def]
    from kitestring.cli import _show

    def text(name: str, value: object) -> str:
        if isinstance(value, str):
            return value
        if "doppler" in name or "(s/s)" in name:
            return f"{value:.6e}"
        return f"{value:.12f}" if "(s)" in name else f"{value:.3f}"

    rows = [[text(n, columns[n][k]) for n in names] for k in range(len(columns[names[0]]))]
    header = [names[0], *(n[cut:] for n in names[1:])]
    return _show.table(title, header, rows)
