"""Whether simulated voltages hold what was asked for, by code that shares nothing with them.

    python validation/simulated_signal.py

Without receiver noise and without a sampler, the delay, its rate and the phase of a
moving station are recovered with a direct cross-spectrum in float64, the truth being
evaluated in extended precision: for every kind of channel, with a dispersive
ionosphere, and for a clock with noise. With noise, the powers of a phase-modulated
signal's lines, the correlation of a quasar, a receiver's gain, and the Allan
deviations of clocks are held to what was asked for within their sampling errors. Seeds
are fixed in advance; the p-values of all statistics together have to be uniform.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from _lines import Line, report, run
from scipy import special, stats

from kitestring.model.polynomials import PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.simulate.clocks import TrueClock
from kitestring.simulate.signals import modulated_signal
from kitestring.simulate.types import Bandpass, QuasarSignal, SimulatedStation, SpacecraftSignal
from kitestring.simulate.types import Telemetry as Bits
from kitestring.simulate.voltages import station_samples

START = Epoch.from_iso("2026-01-01T00:00:00")
BEFORE = 2.0  # s that polynomials begin before the scan
RATE = 8e6
PATH = (0.0123, 1e-6, 1e-10)  # s, s/s, s/s^2: a station on the turning Earth
CLOCK = (2.1e-7, 3e-12, 0.0)
PHASE = 0.7  # rad, of the local oscillator
TECU50 = 40.3082 * 50e16 / 299792458.0  # s Hz^2
POINTS = 2048
DELAY_LIMIT, PHASE_LIMIT = 1.0, 0.05  # ps, degrees
MIDDLE = 8.4e9
# a rate that turns the phase by the limit within the 0.5 s that are compared
RATE_LIMIT = PHASE_LIMIT / 360.0 / MIDDLE / 0.5
SURE = float(stats.norm.isf(0.0005))  # two-sided 99.9 %

BANDS = {
    "real, upper": Channel("A", MIDDLE, 1, RATE),
    "real, lower": Channel("A", MIDDLE, -1, RATE),
    "complex, edge": Channel("A", MIDDLE, 1, RATE, complex=True),
    "complex, lower": Channel("A", MIDDLE, -1, RATE, complex=True),
    "complex, middle": Channel("A", MIDDLE, 1, RATE, complex=True, zero="middle"),
}


@dataclass
class Statistics:
    """Figures that scatter, each with its standard error."""

    lines: list[Line] = field(default_factory=list)
    p_values: list[float] = field(default_factory=list)

    def add(self, name: str, found: float, asked: float, sigma: float) -> None:
        """Take a figure that is normal about what was asked for."""
        off = (found - asked) / sigma
        self.lines.append(Line(f"{name}, off by", off, "sigma", SURE))
        self.p_values.append(2.0 * float(stats.norm.sf(abs(off))))

    def together(self) -> Line:
        """Return whether all p-values are uniform."""
        p = float(stats.kstest(self.p_values, "uniform").pvalue)
        name = f"Kolmogorov-Smirnov p of {len(self.p_values)} p-values"
        return Line(name, p, "", 0.001, least=True)


def polynomial(
    value: float = 0.0, rate: float = 0.0, acceleration: float = 0.0
) -> PiecewisePolynomial:
    """Return value + rate t + acceleration t^2 / 2 for t from the scan's start."""
    at = -BEFORE
    row = [value + rate * at + acceleration * at**2 / 2, rate + acceleration * at, acceleration / 2]
    return PiecewisePolynomial(START.shifted(-BEFORE), 400.0, np.array([row]))


def station(channel: Channel, path: tuple[float, ...] = (), **more: object) -> SimulatedStation:
    """Return a station with a path and, where it has one, the clock."""
    truth = StationDelay(polynomial(*path), polynomial(*(CLOCK if path else ())))
    keywords: dict[str, object] = {"sefd": 300.0, "channels": (channel,), **more}
    return SimulatedStation("Aa", truth, **keywords)  # type: ignore[arg-type]


def samples(source: QuasarSignal | SpacecraftSignal, where: SimulatedStation, duration: float,
            *, receiver: bool = False, seed: int = 1) -> np.ndarray:  # fmt: skip
    """Return voltages before the sampler, in double precision."""
    found = station_samples(
        source=source, station=where, channel=0, start=START, duration=duration, seed=seed,
        receiver=receiver,
    )  # fmt: skip
    kind = np.complex128 if np.iscomplexobj(found) else np.float64
    return np.asarray(found, dtype=kind)


def total_delay(reading: np.ndarray) -> np.ndarray:
    """Return path and clock of the wave that is found at readings, by iteration, s."""
    c = [np.longdouble(a) + np.longdouble(b) for a, b in zip(PATH, CLOCK, strict=True)]
    value = np.zeros_like(reading)
    for _ in range(6):
        t = reading - value
        value = c[0] + t * (c[1] + t * c[2] / 2)
    return value


def turns(cycles: np.ndarray) -> np.ndarray:
    """Return what is left of whole cycles."""
    return (cycles - np.rint(cycles)).astype(np.float64)


def analytic(values: np.ndarray, channel: Channel) -> np.ndarray:
    """Return complex baseband with ascending sky frequency."""
    if not channel.complex:
        spectrum = np.fft.fft(values)
        spectrum[len(values) // 2 :] = 0.0
        values = 2.0 * np.fft.ifft(spectrum)
    return values if channel.direction > 0 else values.conj()


def baseband(channel: Channel) -> tuple[np.ndarray, np.ndarray]:
    """Return sky frequencies of the bins minus the channel's, and which lie well inside."""
    frequency = np.fft.fftfreq(POINTS, 1 / RATE)
    low, high = (edge - channel.sky_frequency for edge in channel.sky_edges)
    if channel.complex and channel.zero == "edge":  # beyond half the rate frequencies wrap
        frequency = np.where(frequency * channel.direction < 0, frequency + low + high, frequency)
    margin = 0.05 * channel.bandwidth
    return frequency, (frequency > low + margin) & (frequency < high - margin)


def bent_by_plasma(channel: Channel, name: str) -> list[Line]:
    """Return how far the phase is, anywhere in a channel, from what plasma asks of it."""
    quasar = QuasarSignal("J1230+1223", 2.5)
    plain, behind = (
        analytic(samples(quasar, station(channel, **more), 0.2), channel)
        for more in ({}, {"dispersion": polynomial(TECU50)})
    )
    size = len(plain) // POINTS * POINTS
    x, y = (np.fft.fft(v[:size].reshape(-1, POINTS) * np.hanning(POINTS)) for v in (plain, behind))
    frequency, inside = baseband(channel)
    sky = channel.sky_frequency + frequency
    cross = (x.conj() * y).sum(axis=0) * np.exp(-2j * np.pi * TECU50 / sky)
    worst = np.degrees(np.abs(np.angle(cross[inside])).max())
    return [Line(f"phase within a channel, {name}", worst, "degrees", PHASE_LIMIT)]


def recovered(channel: Channel, name: str, plasma: float = 0.0) -> list[Line]:
    """Return what is left of delay, rate and phase after the truth is taken out."""
    quasar = QuasarSignal("J1230+1223", 2.5)
    more = {"dispersion": polynomial(plasma)} if plasma else {}
    moving = station(channel, PATH, lo_phases=(PHASE,), **more)
    here, there = (analytic(samples(quasar, s, 0.6), channel) for s in (station(channel), moving))
    reading = np.arange(len(there)) / np.longdouble(RATE)
    late = total_delay(reading)
    turned = there * np.exp(2j * np.pi * turns(np.longdouble(channel.sky_frequency) * late))
    window = np.hanning(POINTS)
    frequency, inside = baseband(channel)
    # plasma: a frequency's phase is ahead by K / f cycles
    ahead = np.exp(-2j * np.pi * plasma / (channel.sky_frequency + frequency))
    rows, times = [], []
    for first in range(200_000, len(there) - POINTS, POINTS):
        shift = float(late[first + POINTS // 2]) * RATE
        begin = first - round(shift)
        x = np.fft.fft(window * here[begin : begin + POINTS])
        y = np.fft.fft(window * turned[first : first + POINTS])
        apart = (shift - round(shift)) / RATE
        rows.append((x.conj() * y * ahead * np.exp(2j * np.pi * frequency * apart))[inside])
        times.append((first + POINTS / 2) / RATE)
    cross = np.array(rows) * np.exp(1j * PHASE)
    mean = cross.sum(axis=0)
    weight, phase = np.abs(mean), np.angle(mean)
    centred = frequency[inside] - np.average(frequency[inside], weights=weight)
    delay = np.sum(weight * centred * phase) / np.sum(weight * centred**2) / (2 * np.pi)
    slope = np.polyfit(times, np.angle(cross.sum(axis=1)), 1)[0]
    return [
        Line(f"delay, {name}", delay * 1e12, "ps", DELAY_LIMIT),
        Line(f"rate, {name}", slope / (2 * np.pi * MIDDLE), "s/s", RATE_LIMIT),
        Line(f"phase, {name}", np.degrees(np.angle(cross.sum())), "degrees", PHASE_LIMIT),
    ]


def tone_with_a_noisy_clock() -> list[Line]:
    """Return how well a carrier's phase shows the noise of the clock that it is taken with."""
    rate = 64e3
    clock = TrueClock(START.shifted(-10.0), 3e-7, 1e-12, white=1e-12, flicker=3e-13, seed=(5,))
    channel = Channel("A", MIDDLE - 1e4, 1, rate)
    straight = polynomial()
    source = modulated_signal("Probe", MIDDLE, straight, cn0=60.0)
    path = StationDelay(straight, clock.polynomial(START.shifted(-1.0), START.shifted(61.0)))
    one = SimulatedStation("Aa", path, 300.0, (channel,))
    x = samples(source, one, 60.0)
    reading = np.arange(len(x)) / rate
    # sums over 50 ms, at the tone's place in the channel
    mixed = (x * np.exp(-2j * np.pi * 1e4 * reading)).reshape(-1, 3200).mean(axis=1)
    middle = reading.reshape(-1, 3200).mean(axis=1)
    noise, late = clock.noise(600), np.zeros_like(middle)
    steps = np.arange(600) * 0.125 - 10.0
    for _ in range(3):
        t = middle - late
        late = 3e-7 + 1e-12 * (t + 10.0) + np.interp(t, steps, noise)
    begin = float(START.second) * MIDDLE % 1.0
    expected = begin + MIDDLE * BEFORE % 1.0 - MIDDLE * late
    error = np.angle(mixed * np.exp(-2j * np.pi * expected))
    error = error[np.abs((middle + 1e-9) % 0.125 - 0.0625) < 0.03]  # sums that hold no step
    return [
        Line("phase of a carrier by a noisy clock, worst of 60 s",
             np.degrees(np.abs(error).max()), "degrees", PHASE_LIMIT)
    ]  # fmt: skip


def line_powers(found: Statistics) -> None:
    """Compare powers of a modulated carrier's lines, in noise, with Bessel's functions."""
    m1, m2, mt, cn0, duration = 0.7, 0.5, 0.8, 55.0, 1.0
    doppler = 9.1e-5
    source = modulated_signal(
        "Probe", MIDDLE, polynomial(143.0, doppler), tones=[(3.8e6, m1), (19e6, m2)],
        telemetry=Bits(mt, 4000.0, 32768.0), cn0=cn0,
    )  # fmt: skip
    wanted = [(0, 0), (1, 0), (-1, 0), (2, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1)]
    for seed, (n, k) in enumerate(wanted, start=1):
        apart = n * 3.8e6 + k * 19e6
        sky = (MIDDLE + apart) * (1.0 - doppler)
        # lines of the square subcarrier stay away: the next is 32 kHz off
        channel = Channel("A", round(sky - 1e5), 1, 4e5)
        x = samples(source, station(channel), duration, receiver=True, seed=seed)
        t = np.arange(len(x)) / channel.sample_rate
        placed = sky - channel.sky_frequency
        power = 2 * abs(np.mean(x * np.exp(-2j * np.pi * placed * t))) ** 2
        spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
        # noise between the telemetry's sidebands and the band's edge
        bins = np.fft.rfftfreq(len(x), 1 / channel.sample_rate)
        calm = (np.abs(bins - placed) > 2e3) & (np.abs(bins - placed) < 8e3)
        density = np.median(spectrum[calm]) / np.log(2.0)
        density /= len(x) * np.mean(np.hanning(len(x)) ** 2) * channel.sample_rate / 2
        # all products that fall on this line: 5 x 3.8 = 19
        amplitude = np.cos(mt) * sum(
            special.jv(a, m1) * special.jv(b, m2)
            for a in range(-30, 31) for b in range(-8, 9) if a + 5 * b == n + 5 * k
        )  # fmt: skip
        asked = 10 ** (cn0 / 10) * amplitude**2
        ratio = power / density
        # the line beside noise of C/N0 T, and a median of 12000 (half of them independent)
        sigma = np.sqrt(2 * asked / duration) + asked * 1.2 / np.sqrt(calm.sum() / 1.94)
        found.add(f"power of the line {n:+d} x 3.8 {k:+d} x 19 MHz", ratio, asked, sigma)


def noise_levels(found: Statistics) -> None:
    """Compare a quasar's correlation, variances and a receiver's gain with what was asked."""
    quasar, channel = QuasarSignal("J1230+1223", 2.5), BANDS["real, upper"]
    for seed, sefd in enumerate((50.0, 300.0), start=1):
        x = samples(quasar, station(channel, sefd=sefd), 0.5, receiver=True, seed=seed)
        found.add(f"variance, SEFD {sefd:g} Jy", float(np.var(x)), 1.0, np.sqrt(2 / len(x)))
    one = station(channel, sefd=50.0)
    other = SimulatedStation("Bb", one.delay, 300.0, (channel,))
    x, y = (samples(quasar, s, 1.0, receiver=True, seed=3) for s in (one, other))
    asked = np.sqrt(2.5 / 52.5 * 2.5 / 302.5)
    found.add("correlation of a quasar", float(np.mean(x * y)), asked, 1 / np.sqrt(len(x)))
    shape = Bandpass(edge=0.1, slope=3.0, ripple=0.5, ripple_period=1e6)
    x = samples(quasar, station(channel, bandpass=shape), 2.0, receiver=True, seed=4)
    rows = x[: len(x) // POINTS * POINTS].reshape(-1, POINTS)
    power = np.mean(np.abs(np.fft.rfft(rows * np.hanning(POINTS))) ** 2, axis=0)
    bins = np.fft.rfftfreq(POINTS, 1 / RATE)
    u = bins / (RATE / 2) - 0.5
    gain = 3.0 * u + 0.5 * np.cos(2 * np.pi * u * (RATE / 2) / 1e6)
    expected = 10 ** (gain / 10) * np.sin(0.5 * np.pi * np.clip((0.5 - abs(u)) / 0.1, 0, 1)) ** 2
    for name, low, high in (("lower", -0.45, -0.3), ("middle", -0.1, 0.1), ("upper", 0.3, 0.45)):
        part = (u > low) & (u < high)
        whole = abs(u) < 0.49
        ratio = power[part].mean() / power[whole].mean()
        asked = expected[part].mean() / expected[whole].mean()
        count = len(rows) * part.sum() / 1.94  # Hann: neighbouring bins are correlated
        sigma = asked * np.sqrt(1 / count)
        found.add(f"gain, {name} part of the band", ratio, asked, sigma)


def phase_ripple() -> list[Line]:
    """Return how well the phase over the band is the ripple that was asked for."""
    quasar, channel = QuasarSignal("J1230+1223", 2.5), BANDS["real, upper"]
    shape = Bandpass(phase_ripple=np.radians(10.0), phase_period=1e6)
    x, y = (samples(quasar, station(channel, bandpass=b), 0.2) for b in (None, shape))
    size = len(x) // POINTS * POINTS
    first, second = (np.fft.fft(v[:size].reshape(-1, POINTS) * np.hanning(POINTS)) for v in (x, y))
    cross = (first.conj() * second).sum(axis=0)
    frequency, inside = baseband(channel)
    phase = np.degrees(np.angle(cross[inside]))
    asked = 10.0 * np.sin(2 * np.pi * (frequency[inside] - RATE / 4) / 1e6)
    # Hann's window mixes three bins: of a sine of 256 bins that is nothing
    worst = float(np.abs(phase - asked).max())
    return [Line("in-band phase beside the ripple asked for", worst, "degrees", 0.5)]


def allan(found: Statistics) -> None:
    """Compare Allan deviations of 60 clocks with what was asked."""
    number, step = 60, 0.125
    for name, white, flicker in (("white", 1e-13, 0.0), ("flicker", 0.0, 1e-14)):
        for tau in (0.5, 1.0, 8.0, 64.0):
            factor = round(tau / step)
            values = []
            for seed in range(1, number + 1):
                clock = TrueClock(START, white=white, flicker=flicker, seed=(seed,))
                x = clock.polynomial(START, START.shifted(1024.0)).coefficients[::factor, 0]
                values.append(0.5 * np.mean(np.diff(x, 2) ** 2) / tau**2)
            asked = white**2 / tau if white else flicker**2
            sigma = np.std(values, ddof=1) / np.sqrt(number)
            label = f"Allan variance of {name} noise at {tau:g} s"
            found.add(label, float(np.mean(values)), asked, float(sigma))


def main(arguments: list[str]) -> int:
    """Print all figures."""
    if arguments:
        print(__doc__)
        return 2
    lines = [line for name, channel in BANDS.items() for line in recovered(channel, name)]
    lines += recovered(BANDS["real, upper"], "50 TECU", TECU50)
    lines += recovered(BANDS["complex, lower"], "50 TECU, complex", TECU50)
    for name, sign in (("upper", 1), ("lower", -1)):
        low = Channel("A", 400e6 - sign * RATE / 2, sign, RATE, complex=True)
        lines += bent_by_plasma(low, f"50 TECU at 400 MHz, {name}")
    lines += [*tone_with_a_noisy_clock(), *phase_ripple()]
    found = Statistics()
    line_powers(found)
    noise_levels(found)
    allan(found)
    return report([*lines, *found.lines, found.together()])


if __name__ == "__main__":
    run(main)
