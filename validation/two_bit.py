"""What the corrections of quantisation leave of it, on noise that is known before it is sampled.

    python validation/two_bit.py

Gaussian noise that two stations have in common in part is made at its true epochs, between
samples, too, with fringes that turn at 32 kHz. It is correlated unquantised, and as samplers
of two bits with thresholds at 0.6, 0.98 and 1.5 sigma, and of one bit, have it. Amplitudes are
compared with those of the same samples unquantised, in 20 pieces, of which the scatter tells
the sampling error: what is promised to vanish has to within the 99.9 % band of Student's
distribution. There are 1024 bins: with 128, what leaks round the edges of a band that is full
to them leaves 2 % of the correction (0.06 % of an amplitude at 0.6 sigma and correlation 0.7).

The corrections know of the samplers only what the states that occur tell. Nothing here
shares a line with them: the noise is made with numpy, and thresholds are applied to it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from _lines import Line, report
from scipy.stats import t as student

from kitestring.correlate.engine import correlate
from kitestring.correlate.types import Quantisation
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Block, Channel

START = Epoch.from_iso("2026-03-01T10:00:00")
RATE, SKY, BINS = 8e6, 8.4e9, 1024
PIECES, COUNT = 20, 1 << 20  # 2.1e7 samples
DELAY_RATE = 4 / COUNT  # s/s: four whole samples, and 4200 turns, in a piece
FINE = 8  # points of the common noise to a sample
HIGH = 3.3
THRESHOLDS, CORRELATIONS = (0.6, 0.98, 1.5), (0.05, 0.3, 0.7)  # sigma; of the voltages
BAND = float(student.ppf(1 - 0.001 / 2, PIECES - 1))
WEAK = 0.05  # of which `gain` promises the amplitude

Sampler = Callable[[np.ndarray], np.ndarray]


@dataclass
class Memory:
    """A recording that is held in memory."""

    station: str
    channels: tuple[Channel, ...]
    samples: np.ndarray
    bits: int
    start: Epoch = START
    sample_rate: float = RATE

    @property
    def stop(self) -> Epoch:
        """Clock reading after the last sample."""
        return self.start.shifted(len(self.samples) / RATE)

    def read(self, first: int, count: int, channels: tuple[int, ...] | None = None) -> Block:
        """Return samples as `Recording.read` does."""
        kind = np.complex64 if np.iscomplexobj(self.samples) else np.float32
        samples, valid = np.zeros((1, count), dtype=kind), np.zeros((1, count), dtype=bool)
        low, high = max(first, 0), min(first + count, len(self.samples))
        if high > low:
            samples[0, low - first : high - first] = self.samples[low:high]
            valid[0, low - first : high - first] = True
        return Block(first, samples, valid)


def two_bits(x: np.ndarray, threshold: float) -> np.ndarray:
    """Sample noise of unit power; real and imaginary parts apart."""
    if np.iscomplexobj(x):
        parts = [two_bits(math.sqrt(2) * p, threshold) for p in (x.real, x.imag)]
        return parts[0] + 1j * parts[1]
    return np.where(np.abs(x) > threshold, HIGH, 1.0) * np.where(x >= 0, 1.0, -1.0)


def one_bit(x: np.ndarray) -> np.ndarray:
    """Keep the signs alone."""
    if np.iscomplexobj(x):
        return one_bit(x.real) + 1j * one_bit(x.imag)
    return np.where(x >= 0, 1.0, -1.0)


SAMPLERS: dict[str, tuple[int, Sampler]] = {
    **{f"2 bits at {v:g} sigma": (2, partial(two_bits, threshold=v)) for v in THRESHOLDS},
    "1 bit": (1, one_bit),
}


def noises(seed: int, complex_: bool, weight: np.ndarray) -> tuple[list[np.ndarray], ...]:
    """Return the common noise as both stations have it, and that of each alone."""
    rng = np.random.default_rng(seed)
    points = len(weight)

    def spectrum() -> np.ndarray:
        return weight * (rng.standard_normal(points) + 1j * rng.standard_normal(points))

    label = np.arange(COUNT) / RATE / (1 + DELAY_RATE)
    length = COUNT * FINE
    fine = np.fft.ifft(spectrum(), length) * (length / math.sqrt(2 * points))
    at = label * RATE * FINE
    low = at.astype(np.int64)
    f = at - low
    late = np.zeros(COUNT, dtype=complex)
    for step, factor in (
        (-1, -f * (f - 1) * (f - 2) / 6), (0, (f + 1) * (f - 1) * (f - 2) / 2),
        (1, -(f + 1) * f * (f - 2) / 2), (2, (f + 1) * f * (f - 1) / 6),
    ):  # fmt: skip
        late += factor * fine[(low + step) % length]
    late *= np.exp(-2j * np.pi * (SKY * DELAY_RATE * label % 1.0))
    common = [fine[::FINE], late]
    own = [np.fft.ifft(spectrum(), COUNT) * (COUNT / math.sqrt(2 * points)) for _ in range(2)]
    if complex_:
        return common, own
    return tuple([math.sqrt(2) * x.real for x in some] for some in (common, own))


def mixed(common: list[np.ndarray], own: list[np.ndarray], correlation: float) -> list[np.ndarray]:
    """Return voltages of unit power: the interpolation takes a little from the common noise."""
    shared, alone = math.sqrt(correlation), math.sqrt(1 - correlation)
    voltages = [shared * c + alone * o for c, o in zip(common, own, strict=True)]
    return [x / math.sqrt(np.mean(np.abs(x) ** 2)) for x in voltages]


def spectra(
    voltages: list[np.ndarray], bits: int, quantisation: Quantisation
) -> tuple[np.ndarray, np.ndarray]:
    """Return the spectrum of the first station and the cross spectrum."""
    channel = Channel("CH0", SKY, 1, RATE, np.iscomplexobj(voltages[0]), "X", "edge")
    names = ("AA", "BB")
    recordings = [Memory(n, (channel,), x, bits) for n, x in zip(names, voltages, strict=True)]
    zero = PiecewisePolynomial(START, 10.0, np.zeros((1, 1)))
    line = PiecewisePolynomial(START, 10.0, np.array([[0.0, DELAY_RATE]]))
    model = DelayModel(
        "scan", "noise", {"AA": StationDelay(zero, zero), "BB": StationDelay(line, zero)}
    )
    segment = BINS / channel.bandwidth
    span = int((COUNT / RATE - 1e-4) / segment) * segment
    vis = correlate(
        recordings, model, bins=BINS, start=START, stop=START.shifted(span), integration=1.0,
        baselines=[("AA", "AA"), ("AA", "BB")], quantisation=quantisation,
    )  # fmt: skip
    data = vis.channels[0].data[0, :, :, 0].astype(complex)
    return data[0].real, data[1]


def amplitude(found: np.ndarray, true: np.ndarray) -> float:
    """Return the least-squares amplitude of a spectrum in units of the true one."""
    return float((np.vdot(true, found) / np.vdot(true, true)).real)


def pieces(complex_: bool, correlation: float) -> Iterator[dict[tuple[str, Quantisation], float]]:
    """Yield the biases of each piece of flat noise."""
    weight = np.ones(COUNT if complex_ else COUNT // 2)
    for seed in range(1, PIECES + 1):
        common, own = noises(seed, complex_, weight)
        voltages = mixed(common, own, correlation)
        true = spectra(voltages, 32, "off")[1]
        found: dict[tuple[str, Quantisation], float] = {}
        for name, (bits, sampler) in SAMPLERS.items():
            sampled = [sampler(x) for x in voltages]
            for quantisation in ("gain", "van-vleck"):
                cross = spectra(sampled, bits, quantisation)[1]
                found[name, quantisation] = (amplitude(cross, true) - 1.0) * 100
        yield found


def biases(complex_: bool) -> list[Line]:
    """Compare the amplitudes of flat noise of several correlations."""
    lines = []
    kind = "complex" if complex_ else "real"
    for correlation in CORRELATIONS:
        every = list(pieces(complex_, correlation))
        for key in every[0]:
            values = np.array([one[key] for one in every])
            error = float(values.std(ddof=1)) / math.sqrt(PIECES)
            name = f"bias of amplitude, {kind}, {key[0]}, correlation {correlation:g}, {key[1]}"
            print(f"# {name}: sampling error {error:.3f} %", flush=True)
            promised = key[1] == "van-vleck" or correlation <= WEAK
            lines.append(Line(name, float(values.mean()), "%", BAND * error if promised else None))
    return lines


def floors(complex_: bool) -> list[Line]:
    """Look at a band that is 34 dB down at its edges, where quantisation puts noise."""
    points = COUNT if complex_ else COUNT // 2
    weight = np.exp(-0.5 * ((np.arange(points) / points - 0.4) / 0.12) ** 2) + 0.02
    weight /= np.sqrt(np.mean(weight**2))
    kind = "complex" if complex_ else "real"
    found: dict[tuple[str, Quantisation], list[float]] = {}
    for seed in range(1, PIECES + 1):
        common, own = noises(seed, complex_, weight)
        voltages = mixed(common, own, 0.5)
        true = spectra(voltages, 32, "off")[0]
        true = true / true.sum()
        wing = true < 0.003 * true.max()
        for name, (bits, sampler) in SAMPLERS.items():
            sampled = [sampler(x) for x in voltages]
            for quantisation in ("gain", "van-vleck"):
                own_spectrum = spectra(sampled, bits, quantisation)[0]
                excess = float((own_spectrum[wing] - true[wing]).mean() / true.max()) * 100
                found.setdefault((name, quantisation), []).append(excess)
    lines = []
    for key, values in found.items():
        error = float(np.std(values, ddof=1)) / math.sqrt(PIECES)
        name = f"floor under a band's edges, of its peak, {kind}, {key[0]}, {key[1]}"
        print(f"# {name}: sampling error {error:.5f} %", flush=True)
        limit = BAND * error if key[1] == "van-vleck" else None
        lines.append(Line(name, float(np.mean(values)), "%", limit))
    return lines


def main() -> int:
    lines = []
    for complex_ in (False, True):
        lines += biases(complex_) + floors(complex_)
    return report(lines)


if __name__ == "__main__":
    sys.exit(main())
