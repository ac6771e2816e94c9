"""kitestring describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kitestring.recordings.formats import Survey
    from kitestring.recordings.statistics import Statistics

_LISTED = 16  # codes up to which all are printed


def describe_command(
    files: Annotated[list[Path], typer.Argument(help="Files that together are one recording.")],
    read: Annotated[
        bool,
        typer.Option("--read", help="Also read stretches of samples: levels, bandpass, lines."),
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Read all headers of a recording of more than 1 GiB too."),
    ] = False,
    rate: Annotated[
        float | None, typer.Option(help="Samples per second, where headers do not tell.")
    ] = None,
    sidecar: Annotated[
        Path | None, typer.Option(help="A TOML file that states what the headers do not.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="A date within 500 days of the recording, for Mark 5B: 2026-03-01."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw levels and bandpass to this file (implies --read).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say what a recording is, whether it is whole, and what is needed to use it."""
    from kitestring.cli import _show
    from kitestring.model.time import Epoch
    from kitestring.recordings.describe import describe

    found = describe(
        list(files),
        read=read or plot is not None,
        full=full,
        sample_rate=rate,
        sidecar=sidecar,
        reference=None if reference is None else Epoch.from_iso(reference),
    )
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
    samples = f"{survey.channel_count} channels, {survey.bits}-bit {kind}, {rate_text}"
    if not survey.channel_count:  # Mark 5B does not tell
        samples = "number of channels and bits unknown"
    rows = [
        ("format", f"{found.format}, {survey.layout}"),
        ("station", survey.station),
        ("start", survey.start.iso(9) + " UTC" if survey.start is not None else "unknown"),
        ("stop", survey.stop.iso(9) + " UTC" if survey.stop is not None else "unknown"),
        ("samples", samples),
        ("size", f"{found.bytes:,} bytes in {len(found.paths)} file(s)"),
        ("frames", survey.counts.summary() + _looked_at(survey)),
    ]
    for name, value in rows:
        _show.out.print(f"{name:8} {value}", markup=False, soft_wrap=True)
    for text in _levels(found.statistics) if found.statistics else ():
        _show.out.print(f"levels   {text}", markup=False, soft_wrap=True)
    for note in found.notes:
        _show.out.print(f"note     {note}", markup=False, soft_wrap=True)


def _levels(found: Statistics) -> list[str]:
    """Return a line for each channel: how often each code occurs, or those at both ends."""
    lines = []
    for channel, part in enumerate(found.level_fractions):
        told = f"channel {channel}: {100 * found.valid[channel]:.1f} % valid"
        if found.valid[channel] > 0:
            told += f", mean {found.mean[channel]:.4g}, rms {found.rms[channel]:.4g}"
            shares = [f"{100 * share:.1f}" for share in part]
            if 0 < len(shares) <= _LISTED:
                told += f", codes 0 to {len(shares) - 1}: {' '.join(shares)} %"
            elif shares:
                told += f", lowest code {shares[0]} %, highest {shares[-1]} %"
        lines.append(told)
    return lines


def _looked_at(survey: Survey) -> str:
    if survey.headers is None:
        return ""
    return f" ({survey.headers:,} headers looked at)" if survey.sampled else " (all headers read)"
