"""kitestring describe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def describe_command(
    files: Annotated[list[Path], typer.Argument(help="Files that together are one recording.")],
    read: Annotated[
        bool,
        typer.Option("--read", help="Also read stretches of samples: levels, bandpass, lines."),
    ] = False,
    rate: Annotated[
        float | None, typer.Option(help="Samples per second, where headers do not tell.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw levels and bandpass to this file (implies --read).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say what a recording is, whether it is whole, and what is needed to use it."""
    from kitestring.cli import _show
    from kitestring.recordings.describe import describe

    found = describe(list(files), read=read or plot is not None, sample_rate=rate)
    if plot is not None:
        from kitestring.plots.recordings import plot_statistics

        _show.draw(plot_statistics(found), plot)
    if as_json:
        _show.print_json(found.to_dict())
        return
    survey = found.survey
    rate_text = (
        "unknown" if survey.sample_rate is None else f"{survey.sample_rate / 1e6:g} Msample/s"
    )
    if survey.sample_rate is not None:
        rate_text += f" ({survey.rate_origin})"
    kind = "complex" if survey.complex else "real"
    rows = [
        ("format", f"{found.format}, {survey.layout}"),
        ("station", survey.station),
        ("start", survey.start.iso(9) + " UTC" if survey.start is not None else "unknown"),
        ("stop", survey.stop.iso(9) + " UTC" if survey.stop is not None else "unknown"),
        ("samples", f"{survey.channel_count} channels, {survey.bits}-bit {kind}, {rate_text}"),
        ("size", f"{found.bytes:,} bytes in {len(found.paths)} file(s)"),
        ("frames", survey.counts.summary()),
    ]
    for name, value in rows:
        _show.out.print(f"{name:8} {value}", markup=False, soft_wrap=True)
    for note in found.notes:
        _show.out.print(f"note     {note}", markup=False, soft_wrap=True)
