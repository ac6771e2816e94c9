"""The FX engine against a plain float64 correlator, and against signals whose answer is known.

    python validation/correlator_reference.py

The plain correlator is written out below from the definition of a visibility alone: it
solves the epoch of every sample in extended precision and shares no line with the engine.
Scans are simulated with real and complex samples of 2 to 16 bits, both sidebands, several
channels, stations of different kinds, and lost frames, with the delays of stations on the
turning Earth at 8.4 GHz. Then a noise-free and unquantised common signal, whose samples are
computed at their true epochs, has to come out without any delay, drift or closure; so has a
recording that is correlated with itself; and 2-bit samples of noise have to lose what theory
says against the same samples unquantised.
"""

from __future__ import annotations

import math
import tempfile
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from _earth_waves import (
    SKY,
    SPAN,
    START,
    STATIONS,
    Waves,
    delay_of,
    label_of,
    make_channel,
    model_of,
    total,
    turn,
)
from _lines import Line, report, run

from kitestring.correlate.engine import correlate
from kitestring.correlate.types import Visibilities
from kitestring.errors import RecordingWarning
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.quantise import quantise
from kitestring.recordings.types import Block, Channel, Recording
from kitestring.recordings.vdif import VdifRecording, VdifWriter
from kitestring.simulate.types import QuasarSignal, SimulatedStation
from kitestring.simulate.voltages import simulate_scan

AGREEMENT = 1e-5  # of the largest visibility: float32 samples, phasors and sums
GROUP_DELAY, CLOSURE = 1.0, 1e-5  # ps, rad
DRIFT, RATE = 0.1, 1e-15  # degrees over the span, s/s
SAME = 1e-6  # cycle
TWO_BIT, TWO_BIT_LIMIT = 0.8825, 0.5  # %

OFF_GRID = 4155 / 2**17  # s: no whole number of samples, and yet exact as an epoch

Extended = np.longdouble
Edges = tuple[float, float]

# -- the plain correlator -----------------------------------------------------------------------


def grid_seconds(epoch: Epoch, rate: float) -> np.longdouble:
    """Return seconds after START of an epoch on the grid of samples."""
    seconds = Extended(float(epoch.second)) - Extended(float(START.second))
    seconds += Extended(86400) * (int(epoch.day) - int(START.day))
    return np.rint(seconds * Extended(rate)) / Extended(rate)


def spectra(
    recording: Recording, which: int, label: float, segment: float, count: int,
    frequency: np.ndarray, middle: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the spectra of `count` segments from START + label on, and validity of samples."""
    channel, rate = recording.channels[which], Extended(recording.sample_rate)
    n = round(float(rate * segment))
    begin = Extended(label) + np.arange(count) * (n / rate)
    recorded = grid_seconds(recording.start, recording.sample_rate)
    place = (begin + total(recording.station, begin + n / rate / 2) - recorded) * rate
    first = np.rint(place).astype(np.int64)
    early = (place - first) / rate  # s: by so much the samples are too early
    k = np.arange(n)
    low = int(first.min())
    block = recording.read(low, int(first.max()) + n - low, (which,))
    at = (first - low)[:, np.newaxis] + k
    x = block.samples[0][at].astype(complex)
    x = x.conj() if channel.direction < 0 else x
    # epochs of the samples, and what the middle of the band turns beyond an even shift
    readings = recorded + (first[:, np.newaxis] + k) / rate
    epochs = label_of(recording.station, readings)
    even = begin[:, np.newaxis] + k / rate - early[:, np.newaxis]
    phase = channel.sky_frequency * (readings - epochs)
    phase += (middle - channel.sky_frequency) * (even - epochs)
    # from the channel's zero to the lowest bin's frequency, which is everyone's
    phase += (channel.sky_frequency - frequency[0]) * even
    z = np.fft.fft(x * turn(phase), axis=1)[:, : len(frequency)]
    return z * turn(early[:, np.newaxis] * (frequency - frequency[0])), block.valid[0][at]


def plain(
    recordings: Sequence[Recording], vis: Visibilities, label: float, zoom: Sequence[Edges] = ()
) -> list[np.ndarray]:
    """Return what the engine should have found: for each channel (time, baseline, bin)."""
    found = []
    for found_channel in vis.channels:
        frequency = found_channel.frequency
        centre = frequency.mean()
        edges_of = zoom or [c.sky_edges for r in recordings for c in r.channels]
        width = (frequency[1] - frequency[0]) * len(frequency)
        low, high = next(
            e for e in edges_of if e[0] <= centre <= e[1] and abs(e[1] - e[0] - width) < 1.0
        )
        middle, segment = (low + high) / 2, len(frequency) / (high - low)
        counts = np.rint(vis.integration / segment).astype(int)
        edges = np.concatenate([[0], np.cumsum(counts)])
        data = np.zeros((len(counts), len(vis.baselines), len(frequency)), dtype=complex)
        ends = {}
        for recording in recordings:
            which = next(
                (
                    i for i, c in enumerate(recording.channels)
                    if c.sky_edges[0] <= low and high <= c.sky_edges[1]
                ), None,
            )  # fmt: skip
            if which is None:
                continue
            z, valid = spectra(recording, which, label, segment, int(edges[-1]), frequency, middle)
            gain = (1.0 if recording.channels[which].complex else math.sqrt(2.0)) / valid.shape[1]
            ends[recording.station] = z * gain, valid
        for b, (one, two) in enumerate(vis.baselines):
            if not {one, two} <= set(ends):
                continue
            (z1, valid1), (z2, valid2) = ends[one], ends[two]
            fine = max(valid1.shape[1], valid2.shape[1])
            both = np.repeat(valid1, fine // valid1.shape[1], axis=1)
            both = both & np.repeat(valid2, fine // valid2.shape[1], axis=1)
            for t, (a, z) in enumerate(pairwise(edges)):
                weight = both[a:z].mean(axis=1).sum()
                data[t, b] = (z1[a:z] * z2[a:z].conj()).sum(axis=0) / weight
        found.append(data)
    return found


@dataclass(frozen=True)
class Case:
    """A simulated scan: kinds of the channels of each station, bits of each, bins."""

    name: str
    kinds: tuple[tuple[str, ...], ...]
    bits: tuple[int, ...]
    bins: tuple[int, ...]
    lost: float = 0.0
    wider: tuple[int, ...] = (1, 1, 1)  # how much wider a station's channels are, downwards
    zoom: tuple[Edges, ...] = ()
    label: float = 0.0315


CASES = (
    Case("real, both sidebands, 2 bits", (("usb", "lsb"),) * 3, (2, 2, 2), (256, 100)),
    Case("real, a fifth of the frames lost", (("usb", "lsb"),) * 3, (2, 2, 2), (256, 2048), 0.2),
    Case("complex, edge", (("edge", "edge-"),) * 2, (8, 4), (128, 1024)),
    Case("complex, middle", (("middle-", "middle"),) * 3, (2, 2, 2), (512,)),
    Case(
        "real and complex", (("usb", "lsb"), ("middle", "edge-"), ("lsb", "usb")), (2, 2, 2),
        (256, 150),
    ),
    Case("real and complex, a pair", (("lsb", "usb"), ("edge", "middle-")), (2, 16), (4096,)),
    Case(
        "odd numbers of bins", (("usb", "lsb"), ("middle", "edge-"), ("edge", "middle-")),
        (2, 2, 2), (75, 1001), label=OFF_GRID,
    ),
    Case(
        "one, two and four times as wide", (("usb", "lsb"), ("middle", "edge-"), ("lsb", "usb")),
        (2, 2, 2), (128, 75), wider=(1, 2, 4), label=OFF_GRID,
    ),
    Case(
        "zoom bands", (("usb", "lsb"), ("middle", "edge-"), ("lsb", "usb")), (2, 2, 2), (50, 128),
        zoom=((SKY + 3e6, SKY + 3.05e6), (SKY + 44.2e6, SKY + 44.25e6)), label=OFF_GRID,
    ),
)  # fmt: skip


def compare(case: Case, folder: Path) -> list[Line]:
    """Correlate a simulated scan with both correlators."""
    width, lows = 8e6, (SKY, SKY + 40e6)
    stations = []
    for name, kinds, bits, wider in zip(STATIONS, case.kinds, case.bits, case.wider, strict=False):
        channels = tuple(
            make_channel(kind, low - (wider - 1) * width, wider * width, f"CH{i}")
            for i, (kind, low) in enumerate(zip(kinds, lows, strict=True))
        )
        stations.append(SimulatedStation(name, delay_of(name), 1.0, channels, bits))
    # of bands that overlap in part noise cannot be simulated as common
    together = [stations] if max(case.wider) == 1 else [[s] for s in stations]
    truths = [
        simulate_scan(
            source=QuasarSignal("J1230+1223", 1.0), stations=some, start=START, duration=0.08,
            sink=folder, seed=1,
        )
        for some in together
    ]  # fmt: skip
    paths = {name: path for truth in truths for name, path in truth.recordings.items()}
    recordings = []
    for station in stations:
        path = Path(paths[station.name])
        if case.lost:
            lose(path, station.channels, case.lost)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            recordings.append(open_recording(path, station=station.name, channels=station.channels))
    worst = 0.0
    label = case.label
    narrowest = case.zoom[0][1] - case.zoom[0][0] if case.zoom else width
    for bins in case.bins:
        span = int(0.018 * narrowest / bins) * bins / narrowest
        vis = correlate(
            recordings, model_of([s.name for s in stations]), bins=bins,
            start=START.shifted(label), stop=START.shifted(label + span), integration=0.0067,
            zoom=case.zoom, quantisation="off",
        )  # fmt: skip
        for got, wanted in zip(vis.channels, plain(recordings, vis, label, case.zoom), strict=True):
            formed = [b for b in range(len(vis.baselines)) if np.isfinite(got.data[0, b, 0, 0])]
            off = np.abs(got.data[..., 0][:, formed] - wanted[:, formed]).max(axis=2)
            worst = max(worst, float(np.max(off / np.abs(wanted[:, formed]).max(axis=2))))
    shown = ", ".join(str(b) for b in case.bins)
    return [Line(f"largest |dV| / |V|, {case.name}, {shown} bins", worst, "", AGREEMENT)]


def lose(path: Path, channels: Sequence[Channel], part: float) -> None:
    """Take frames out of a file at random; the first ones stay."""
    known = VdifRecording(path, station="x", channels=channels)
    length, data = known.index.header.frame_bytes, path.read_bytes()
    kept = np.random.default_rng(7).random(len(data) // length) >= part
    kept[:2] = True
    path.write_bytes(b"".join(data[k * length : (k + 1) * length] for k in np.flatnonzero(kept)))


# -- a common signal whose samples are known ----------------------------------------------------


def fringe(vis: Visibilities, b: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cross power, sky frequency and time: (time, bin of all channels)."""
    data = np.concatenate([c.data[:, b, :, 0] for c in vis.channels], axis=1).astype(complex)
    frequency = np.concatenate([c.frequency for c in vis.channels])
    return data, frequency, vis.epoch.since(START)


def group_delay(power: np.ndarray, frequency: np.ndarray) -> float:
    """Return the slope of phase over frequency by weighted least squares, s."""
    phase, weight = np.angle(power), np.abs(power)
    weight = np.where(weight > 0.01 * weight.max(), weight, 0.0)
    x = frequency - np.average(frequency, weights=weight)
    return float((weight * x * phase).sum() / (weight * x * x).sum() / (2 * np.pi))


def long_fringe() -> list[Line]:
    """Follow noise in two narrow channels over 120 s; the stations record in different ways.

    Segments that are placed to half a sample hold a little noise that is not common. It
    comes to nothing as the rests of delays go through all values, here some fifteen times.
    """
    width, lows = 128e3, (SKY, SKY + 38e6)
    kinds = dict(zip(STATIONS, ("usb", "middle", "edge-"), strict=True))
    recordings = [
        Waves(name, tuple(make_channel(kind, low, width, f"CH{i}") for i, low in enumerate(lows)))
        for name, kind in kinds.items()
    ]
    begin, length = 0.5, SPAN - 1.0
    vis = correlate(
        recordings, model_of(list(kinds)), bins=128, start=START.shifted(begin),
        stop=START.shifted(begin + length), integration=7.0,
    )  # fmt: skip
    delays, drifts, rates, sums = [], [], [], {}
    for b, (one, two) in enumerate(vis.baselines):
        if one == two:
            continue
        data, frequency, time = fringe(vis, b)
        delays.append(group_delay(data.sum(axis=0), frequency) * 1e12)
        phase = np.angle(data.sum(axis=1))
        drifts.append(np.degrees(np.ptp(phase)))
        rates.append(np.polyfit(time, phase, 1)[0] / (2 * np.pi * SKY))
        sums[one, two] = data.sum()
    names = "common noise over 120 s, real and complex stations"
    return [
        Line(f"residual group delay, {names}", max(delays, key=abs), "ps", GROUP_DELAY),
        Line(f"fringe phase from least to greatest, {names}", max(drifts), "degrees", DRIFT),
        Line(f"residual rate, {names}", max(rates, key=abs), "s/s", RATE),
        Line(f"triangle closure of phase, {names}", closure(sums), "rad", CLOSURE),
    ]


def wide_fringe() -> list[Line]:
    """Find the group delay within one channel of 8 MHz, in pieces spread over 120 s.

    The lines stand in the middles of bins: segments that are placed to half a sample then
    hold the same wave all the same, and what is left is the engine's. The stations' zeros
    are 4 MHz apart.
    """
    width, bins, pieces = 8e6, 256, 12
    recordings = [
        Waves(name, (make_channel(kind, SKY, width, "CH0"),), lines=bins)
        for name, kind in zip(STATIONS, ("middle", "edge", "usb"), strict=True)
    ]
    delays, phases = [], []
    for piece in range(pieces):
        label = 0.5 + piece * (SPAN - 1.0) / pieces
        vis = correlate(
            recordings, model_of(list(STATIONS)), bins=bins, start=START.shifted(label),
            stop=START.shifted(label + 1000 * bins / width), integration=1.0,
        )  # fmt: skip
        for b, (one, two) in enumerate(vis.baselines):
            data, frequency, _ = fringe(vis, b)
            if one != two:
                delays.append(group_delay(data[0], frequency) * 1e12)
                phases.append(np.degrees(np.angle(data[0].sum())))
    name = "lines in a channel of 8 MHz"
    return [
        Line(f"residual group delay, {name}", max(delays, key=abs), "ps", GROUP_DELAY),
        Line(f"fringe phase, {name}", max(phases, key=abs), "degrees", DRIFT),
    ]


def own_of_the_method() -> list[Line]:
    """Show what the FX method itself does to noise: engine and plain correlator do the same.

    Of segments that are placed to half a sample a little is not common to both stations. In
    one channel of 8 MHz, 16 ms of noise come out hundreds of ps late for that; over
    four channels of 32 kHz and 119 s the phases of a triangle do not close to 1e-5. The
    limits hold for what the engine adds to that.
    """
    width, bins, label = 8e6, 256, 0.5
    stations = list(STATIONS)
    one_channel = [
        Waves(name, (make_channel(kind, SKY, width, "CH0"),))
        for name, kind in zip(stations, ("middle", "edge", "usb"), strict=True)
    ]
    vis = correlate(
        one_channel, model_of(stations), bins=bins, start=START.shifted(label),
        stop=START.shifted(label + 500 * bins / width), integration=1.0,
    )  # fmt: skip
    wanted, frequency = plain(one_channel, vis, label)[0], vis.channels[0].frequency
    off = []
    for b, (one, two) in enumerate(vis.baselines):
        if one != two:
            ours = group_delay(vis.channels[0].data[0, b, :, 0], frequency) * 1e12
            theirs = group_delay(wanted[0, b], frequency) * 1e12
            print(
                f"# noise in a channel of 8 MHz, 16 ms, {one}-{two}: {ours:.3f} ps, plain", end=""
            )
            print(f" {theirs:.3f}")
            off.append(ours - theirs)
    narrow = [
        Waves(name, tuple(make_channel(kind, SKY + d, 32e3, f"CH{d:g}") for d in OFFSETS))
        for name, kind in zip(stations, ("usb", "middle", "edge-"), strict=True)
    ]
    vis = correlate(
        narrow, model_of(stations), bins=64, start=START.shifted(label),
        stop=START.shifted(label + SPAN - 1.0), integration=7.0,
    )  # fmt: skip
    wanted = np.concatenate(plain(narrow, vis, label), axis=2)
    ours = closure({pair: fringe(vis, b)[0].sum() for b, pair in enumerate(vis.baselines)})
    theirs = closure({pair: wanted[:, b].sum() for b, pair in enumerate(vis.baselines)})
    print(f"# closure of noise in four channels of 32 kHz: {ours:.3e} rad, plain {theirs:.3e}")
    return [
        Line("group delay less the plain correlator's, noise in a channel of 8 MHz",
             max(off, key=abs), "ps", GROUP_DELAY),
        Line("closure less the plain correlator's, noise in four channels of 32 kHz",
             ours - theirs, "rad", CLOSURE),
    ]  # fmt: skip


OFFSETS = (0.0, 3.8e6, 19e6, 38e6)  # Hz


def closure(power: dict[tuple[str, str], complex]) -> float:
    """Return the phases of a triangle added up, rad."""
    first, second, third = STATIONS
    phase = {pair: float(np.angle(value)) for pair, value in power.items()}
    return phase[first, second] + phase[second, third] - phase[first, third]


# -- the same samples twice, and samples of two bits -----------------------------------------------


BLOCK = 1 << 20
PAIRS = (("AA", "AA"), ("AA", "BB"), ("BB", "BB"))


@dataclass(frozen=True)
class Noise:
    """White noise at the Nyquist rate: a part of its power is common to all stations."""

    station: str
    channels: tuple[Channel, ...]
    count: int
    seed: int
    correlation: float = 0.1
    bits: int = 32

    @property
    def start(self) -> Epoch:
        """Clock reading of sample 0."""
        return START

    @property
    def stop(self) -> Epoch:
        """Clock reading after the last sample."""
        return START.shifted(self.count / self.sample_rate)

    @property
    def sample_rate(self) -> float:
        """Samples per second."""
        return self.channels[0].sample_rate

    def block(self, index: int) -> np.ndarray:
        """Return the samples of a block."""
        own = np.random.default_rng([self.seed, index]).standard_normal(BLOCK, dtype=np.float32)
        part = np.float32(math.sqrt(self.correlation))
        return part * common(index) + np.float32(math.sqrt(1.0 - self.correlation)) * own

    def read(self, first: int, count: int, channels: tuple[int, ...] | None = None) -> Block:
        """Return samples from index `first` on, as `Recording.read`."""
        low, high = first // BLOCK, (first + count - 1) // BLOCK
        samples = np.concatenate([self.block(k) for k in range(low, high + 1)])
        samples = samples[first - low * BLOCK :][:count]
        return Block(first, samples[np.newaxis], np.ones((1, count), dtype=bool))


_MAKING = threading.Lock()


@lru_cache(maxsize=64)
def _common(index: int) -> np.ndarray:
    return np.random.default_rng([0, index]).standard_normal(BLOCK, dtype=np.float32)


def common(index: int) -> np.ndarray:
    """Return the common signal of a block."""
    with _MAKING:
        return _common(index)


def still(stations: Sequence[str]) -> DelayModel:
    """Return a model without any delay."""
    zero = PiecewisePolynomial(START, 100.0, np.zeros((1, 1)))
    return DelayModel("scan", "noise", {s: StationDelay(zero, zero) for s in stations})


def sampled(noise: Noise, path: Path) -> Path:
    """Write noise with two bits, as many samples as fill whole frames; return the path."""
    with VdifWriter(
        path, station=noise.station, start=noise.start, channels=noise.channels, bits=2
    ) as writer:
        whole = noise.count // writer.frame_samples * writer.frame_samples
        for index in range(-(-whole // BLOCK)):
            codes = quantise(noise.block(index)[np.newaxis], 2, 1.0)
            writer.write_codes(codes[:, : whole - index * BLOCK])
    return path


def two_bit_loss(folder: Path, samples: int = 96 * BLOCK) -> list[Line]:
    """Correlate the same noise with and without a sampler of two bits."""
    band = (Channel("CH0", SKY, 1, 32e6),)
    noise = [Noise(name, band, samples, seed) for seed, name in enumerate(("AA", "BB"), 1)]
    recorded = []
    for one in noise:
        path = folder / f"{one.station}.vdif"
        recorded.append(open_recording(sampled(one, path), station=one.station, channels=band))
    found, used = [], 100_000_256  # whole segments, within whole frames
    for recordings in (noise, recorded):
        vis = correlate(
            recordings, still(("AA", "BB")), bins=256, start=START,
            stop=START.shifted(used / 32e6), integration=used / 32e6, quantisation="off",
        )  # fmt: skip
        power = vis.channels[0].data[0, :, :, 0].sum(axis=1)
        one, cross, two = (power[vis.baselines.index(p)] for p in PAIRS)
        found.append(float(cross.real / math.sqrt(one.real * two.real)))
        print(f"# valid at both stations: {vis.channels[0].weight.min():.6f}")
    ratio = found[1] / found[0]
    spread = math.sqrt((1 / ratio**2 - 1) / used) / found[0] * 100
    print(f"# two bits, {used:.3g} samples: correlation {found[0]:.5f} becomes {found[1]:.5f},")
    print(f"# a factor of {ratio:.5f}; sampling error about {spread:.2g} %")
    off = (ratio / TWO_BIT - 1.0) * 100
    return [Line("loss of two bits, off 0.8825 by", off, "%", TWO_BIT_LIMIT)]


def itself(folder: Path) -> list[Line]:
    """Correlate a recording with itself under two names."""
    band = (Channel("CH0", SKY, 1, 32e6),)
    noise = Noise("AA", band, 4 * BLOCK, 1)
    path = sampled(noise, folder / "one.vdif")
    files = [open_recording(path, station=name, channels=band) for name in ("AA", "BB")]
    lines = []
    for kind, pair in (("32 bits", [noise, replace(noise, station="BB")]), ("2 bits", files)):
        for bins in (256, 300):  # by the engine's own transform and by scipy's
            vis = correlate(
                pair, model_of(("AA", "AA"), ("AA", "BB")), bins=bins,
                start=START.shifted(0.03), stop=START.shifted(0.1), integration=0.1,
            )  # fmt: skip
            data, frequency, _ = fringe(vis, vis.baselines.index(("AA", "BB")))
            phase = np.abs(np.angle(data)).max() / (2 * np.pi)
            name = f"a recording and itself, {kind}, {bins} bins"
            delay = group_delay(data[0], frequency) * 1e12
            lines += [
                Line(f"phase in any bin, {name}", phase, "cycle", SAME),
                Line(f"delay, {name}", delay, "ps", 0.01),
            ]
    return lines


def main(arguments: list[str]) -> int:
    del arguments  # there are none
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            lines += compare(case, Path(folder))
        lines += itself(Path(folder))
        lines += two_bit_loss(Path(folder))
    return report([*lines, *long_fringe(), *wide_fringe(), *own_of_the_method()])


if __name__ == "__main__":
    run(main)
