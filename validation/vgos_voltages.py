"""Correlate two VGOS stations' voltages and compare with what an independent correlator made.

    python validation/vgos_voltages.py FOLDER [--plot FILE]

The folder is a data set of the CorrelX correlator: VDIF recordings, its
configuration and its output. The recordings are opened, decoded, steered with
the same polynomials and clocks, and correlated by the package's own engine. All
cross-station rows together must agree as complex numbers: that a row agrees up
to a phase of its own would prove little.

Two things are done differently there. CorrelX turns the second station's samples
by the difference of the two delays and leaves the first one's alone; here both
are taken to the geocentre, which moves their spectra by up to 1 kHz within bins
of 250 kHz. And it decodes two bits to 1 and 3.3359, here they are 1 and 3.316505.
A second run does both as CorrelX does: all but rounding must then agree.

The phase-calibration tones that both stations inject are found on the way. No
fringe of the source is claimed: in 3 ms it is too weak.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from _lines import Line, report

from kitestring.correlate.compare import Comparison, compare_rows, normalised, rows_of
from kitestring.correlate.engine import correlate
from kitestring.correlate.types import Visibilities
from kitestring.formats.correlx import (
    CorrelxOutput,
    CorrelxSetup,
    read_correlx,
    read_correlx_output,
)
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Block, Recording
from kitestring.tones.phasecal import phase_cal
from kitestring.tones.types import PhaseCal

CORRELATION = 0.999  # a plain program in double precision reached 1.000000
SAME_METHOD = 0.999999  # what is left then is float32
PHASE = 0.1  # degree
HIGH_LEVEL = 3.3359  # of two bits there; the low one is 1
# An independent program saw tones in 49 and 46 of 64 channels, of phases linear
# in frequency to 1.7 and 1.9 degrees at an SNR of 20
TONES = 45
SCATTER = 3.0  # degree


class Relevelled:
    """A two-bit recording decoded with another high level."""

    def __init__(self, inner: Recording, high: float) -> None:
        self.inner = inner
        self.high = np.float32(high)
        self.station, self.channels = inner.station, inner.channels
        self.sample_rate, self.bits = inner.sample_rate, inner.bits
        self.start, self.stop = inner.start, inner.stop

    def read(self, first: int, count: int, channels: tuple[int, ...] | None = None) -> Block:
        """Return samples as `Recording.read` does."""
        block = self.inner.read(first, count, channels)
        parts = block.samples.view(np.float32)
        changed = np.where(np.abs(parts) > 2.0, np.copysign(self.high, parts), parts)
        return replace(block, samples=changed.view(block.samples.dtype))


def run(
    recordings: Sequence[Recording],
    model: DelayModel,
    setup: CorrelxSetup,
    start: Epoch,
    length: float,
) -> Visibilities:
    """Correlate one integration of `length` seconds."""
    return correlate(
        recordings,
        model,
        bins=setup.bins,
        start=start,
        stop=start.shifted(length),
        integration=length,
        products="all" if setup.all_products else "parallel",
        quantisation="off",
    )


def referred_to_first(model: DelayModel, first: str, label: Epoch) -> DelayModel:
    """Return the model with the first station's delay held, the others' less its change."""
    base = model.stations[first]
    held = float(base.total(label))
    zero = base.delay.start
    interval = base.delay.interval
    piece = int(float(label.since(zero)) // interval)
    start = zero.shifted(piece * interval)
    nothing = PiecewisePolynomial(start, interval, np.zeros((1, 1)))

    def total(station: StationDelay) -> np.polynomial.Polynomial:
        clock = np.polynomial.Polynomial(station.clock.coefficients[0])
        moved = clock(np.polynomial.Polynomial([piece * interval, 1.0]))
        return np.polynomial.Polynomial(station.delay.coefficients[piece]) + moved

    stations = {}
    for name, station in model.stations.items():
        change = (total(station) - total(base) + held).coef
        stations[name] = StationDelay(PiecewisePolynomial(start, interval, change[None]), nothing)
    return DelayModel(model.scan, model.source, stations, model.inputs)


def compare(vis: Visibilities, output: CorrelxOutput) -> tuple[Comparison, Comparison]:
    """Return the comparisons of all cross-station rows and of all autocorrelations."""
    ours, theirs = normalised(rows_of(vis)), normalised(output.rows)
    cross = {key: row for key, row in ours.items() if key[1] != key[2]}
    own = {key: row for key, row in ours.items() if key[1] == key[2] and key[3][0] == key[3][1]}
    return compare_rows(cross, theirs), compare_rows(own, theirs)


def correlation_line(what: str, value: complex, limit: float = CORRELATION) -> Line:
    """Return the line of a complex correlation: its real part, so that phase counts too."""
    name = f"complex correlation of {what}"
    return Line(name, value.real, "", limit, least=True, digits=9)


def degrees(value: complex) -> float:
    return float(np.degrees(np.angle(value)))


def tone_lines(cal: PhaseCal) -> list[Line]:
    """Return the lines of one station's phase-calibration tones."""
    found = cal.present()
    scatter = np.degrees(np.median([c.scatter for c in found])) if found else np.nan
    where = f"at {cal.station}"
    return [
        Line(
            f"channels with phase-cal tones {where}",
            len(found),
            f"of {len(cal.channels)}",
            TONES,
            least=True,
        ),
        Line(f"scatter of tone phases about a line {where}", float(scatter), "degree", SCATTER),
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="picture to write")
    options = parser.parse_args(arguments)

    setup = read_correlx(options.folder)
    output = read_correlx_output(setup)
    recordings = [
        open_recording(r.files, station=r.station, channels=r.channels) for r in setup.recordings
    ]
    start = setup.first_label(recordings[0].start)
    length = output.segments * setup.bins / recordings[0].sample_rate
    vis = run(recordings, setup.model, setup, start, length)
    cross, own = compare(vis, output)
    relative = referred_to_first(setup.model, recordings[0].station, start)
    levelled = [Relevelled(r, HIGH_LEVEL) for r in recordings]
    same_cross, same_own = compare(run(levelled, relative, setup, start, length), output)
    (low, one, two, product), worst = cross.worst
    print(
        f"# {len(cross.by_row)} cross-station rows and {len(own.by_row)} autocorrelations of "
        f"{setup.bins} bins, {output.segments} segments, {setup.model.source}, {start.iso(6)} UTC"
    )
    print(f"# worst row: {one}-{two} {product} from {low / 1e6:g} MHz")
    lines = [
        correlation_line("all cross-station rows", cross.correlation),
        correlation_line("the worst cross-station row", worst),
        correlation_line(
            "all cross-station rows, done as there", same_cross.correlation, SAME_METHOD
        ),
        correlation_line("the worst of these, done as there", same_cross.worst[1], SAME_METHOD),
        correlation_line("all autocorrelations, done as there", same_own.correlation, SAME_METHOD),
        correlation_line("all autocorrelations", own.correlation),
        Line("phase of all cross-station rows", degrees(cross.correlation), "degree", PHASE),
    ]
    cals = [
        phase_cal(recording, part.tone_spacing, part.tone_offset)
        for recording, part in zip(recordings, setup.recordings, strict=True)
    ]
    for cal in cals:
        lines += tone_lines(cal)
    if options.plot:
        from kitestring.plots.visibilities import plot_spectra

        plot_spectra(vis, output.rows).savefig(options.plot, dpi=120)
    return report(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
