"""Simulated voltages against what was asked for, each by a direct calculation in float64."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.polynomials import PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel
from kitestring.simulate.signals import spacecraft_signal
from kitestring.simulate.types import Bandpass, QuasarSignal, SimulatedStation
from kitestring.simulate.voltages import simulate_scan, station_samples

START = Epoch.from_iso("2026-01-01T00:00:00")
BEFORE = 2.0  # s that polynomials begin before the scan
RATE = 8e6
EARTH = (0.0123, 1e-6, 1e-10)  # s, s/s, s/s^2: delay of a station on the turning Earth
PICOSECOND = 1e-12
SURE = stats.norm.isf(0.0005)  # two-sided 99.9 %


def polynomial(value=0.0, rate=0.0, acceleration=0.0, length=60.0):
    """value + rate t + acceleration t^2 / 2 for t from the scan's start."""
    at = -BEFORE
    row = [
        value + rate * at + acceleration * at**2 / 2,
        rate + acceleration * at,
        acceleration / 2,
    ]
    return PiecewisePolynomial(START.shifted(-BEFORE), length, np.array([row]))


ONE = (Channel("A", 8.4e9, 1, RATE),)


def station(name, delay=(0.0,), clock=(0.0,), channels=ONE, **more):
    truth = StationDelay(polynomial(*delay), polynomial(*clock))
    return SimulatedStation(name, truth, more.pop("sefd", 300.0), tuple(channels), **more)


def total_at_reading(delay, clock, reading):
    """D of the wave found at a reading, in extended precision."""
    c = [np.longdouble(a) + np.longdouble(b) for a, b in zip(delay, clock, strict=True)]
    reading = np.asarray(reading, dtype=np.longdouble)
    value = np.zeros_like(reading)
    for _ in range(6):
        t = reading - value
        value = c[0] + t * (c[1] + t * c[2] / 2)
    return value


def turns(cycles):
    return (cycles - np.rint(cycles)).astype(np.float64)


def analytic(samples, channel):
    """Complex baseband with ascending sky frequency: real samples lose their mirror image."""
    if not channel.complex:
        spectrum = np.fft.fft(samples.astype(np.float64))
        spectrum[len(samples) // 2 :] = 0.0
        samples = 2.0 * np.fft.ifft(spectrum)
    return samples if channel.direction > 0 else samples.conj()


QUASAR = QuasarSignal("J1230+1223", 2.5)
BANDS = {
    "upper": Channel("A", 8.4e9, 1, RATE),
    "lower": Channel("A", 8.4e9, -1, RATE),
    "complex": Channel("A", 8.4e9, 1, RATE, complex=True),
    "complex lower": Channel("A", 8.4e9, -1, RATE, complex=True),
    "complex middle": Channel("A", 8.4e9, 1, RATE, complex=True, zero="middle"),
}


@pytest.mark.parametrize("band", BANDS)
def test_delay_and_phase(band):
    """A moving station's samples, put back by the known truth, agree with a station at rest."""
    channel = BANDS[band]
    clock = (2.1e-7, 3e-12, 0.0)
    duration, points = 0.6, 2048
    both = [
        station("Aa", channels=[channel]),
        station("Bb", EARTH, clock, [channel], lo_phases=(0.7,)),
    ]
    rest, moving = (
        station_samples(
            source=QUASAR, station=s, channel=0, start=START, duration=duration, seed=1,
            receiver=False,
        )
        for s in both
    )  # fmt: skip
    rest, moving = analytic(rest, channel), analytic(moving, channel)
    reading = np.arange(len(moving)) / np.longdouble(RATE)
    late = total_at_reading(EARTH, clock, reading)
    cycles = turns(np.longdouble(channel.sky_frequency) * late) + 0.7 / (2 * np.pi)
    turned = moving * np.exp(2j * np.pi * cycles)
    window = np.hanning(points)
    frequency = np.fft.fftfreq(points, 1 / RATE)
    low, high = (edge - channel.sky_frequency for edge in channel.sky_edges)
    if channel.complex and channel.zero == "edge":  # beyond half the rate frequencies wrap
        frequency = np.where(frequency * channel.direction < 0, frequency + (low + high), frequency)
    margin = 0.05 * channel.bandwidth
    inside = (frequency > low + margin) & (frequency < high - margin)
    cross = np.zeros(points, dtype=complex)
    for first in range(200_000, len(moving) - points, points):
        middle = first + points // 2
        shift = float(late[middle]) * RATE
        begin = first - round(shift)
        # both windows are about the same wave, but for the rest of the whole-sample shift
        x = np.fft.fft(window * rest[begin : begin + points])
        y = np.fft.fft(window * turned[first : first + points])
        apart = (shift - round(shift)) / RATE
        cross += x.conj() * y * np.exp(2j * np.pi * frequency * apart)
    cross, frequency = cross[inside], frequency[inside]
    weight = np.abs(cross)
    phase = np.angle(cross)
    centred = frequency - np.average(frequency, weights=weight)
    delay = np.sum(weight * centred * phase) / np.sum(weight * centred**2) / (2 * np.pi)
    mean = np.angle(cross.sum())
    assert abs(delay) < PICOSECOND
    assert abs(np.degrees(mean)) < 0.05
    # all of the band agrees, so that none of it comes from elsewhere
    assert np.std(phase) < 0.01


def test_upper_and_lower_sideband_of_one_band_agree():
    """The same wave, taken with an oscillator at either edge, differs by the known phase."""
    upper, lower = Channel("A", 8.4e9, 1, RATE), Channel("A", 8.404e9, -1, RATE)
    delay = (1.5e-6, 0.0, 0.0)
    one, other = (
        analytic(
            station_samples(
                source=QUASAR, station=station("Aa", delay, channels=[c]), channel=0, start=START,
                duration=0.05, seed=1, receiver=False,
            ), c,
        )
        for c in (upper, lower)
    )  # fmt: skip
    t = np.arange(len(one)) / RATE
    product = one * (other * np.exp(2j * np.pi * 4e6 * t)).conj()
    assert abs(product.mean()) / np.mean(np.abs(one) ** 2) > 0.999
    assert abs(np.degrees(np.angle(product.sum()))) < 0.05


@pytest.mark.parametrize("band", ["upper", "complex middle"])
def test_instrumental_delay_leaves_the_phase(band):
    channel = BANDS[band]
    late = 3.3e-9
    made = {
        d: analytic(
            station_samples(
                source=QUASAR,
                station=station("Aa", channels=[channel], instrumental_delays=(d,)),
                channel=0, start=START, duration=0.02, seed=3, receiver=False,
            ), channel,
        )
        for d in (0.0, late)
    }  # fmt: skip
    n = 8192
    x, y = (np.fft.fft(np.hanning(n) * made[d][4096 : 4096 + n]) for d in (0.0, late))
    frequency = np.fft.fftfreq(n, 1 / RATE)
    weight = np.abs(x) ** 2
    inside = (weight > 0.01 * weight.mean()) & (np.abs(frequency) < 0.45 * RATE)
    phase = np.angle((y * x.conj())[inside] * np.exp(2j * np.pi * frequency[inside] * late))
    assert abs(np.average(phase, weights=weight[inside])) < np.radians(0.05)


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("bandpass", [None, Bandpass(edge=0.02)], ids=["open", "bandpass"])
def test_plasma_bends_the_phase_within_a_channel(band, bandpass):
    """At 400 MHz 50 TECU differ by 1 to 6 degrees from one delay over the channel."""
    shift = 400e6 - 8.402e9
    channel = replace(BANDS[band], sky_frequency=BANDS[band].sky_frequency + shift)
    content, points = 40.3082 * 50e16 / 299792458.0, 2048
    plain = station("Aa", channels=[channel], bandpass=bandpass)
    x, y = (
        analytic(
            station_samples(
                source=QUASAR, station=s, channel=0, start=START, duration=0.1, seed=1,
                receiver=False,
            ), channel,
        )[: 390 * points].reshape(-1, points)
        for s in (plain, replace(plain, dispersion=polynomial(content)))
    )  # fmt: skip
    first, second = (np.fft.fft(np.hanning(points) * v) for v in (x, y))
    cross = np.sum(first.conj() * second, axis=0)
    frequency = np.fft.fftfreq(points, 1 / RATE)
    low, high = (edge - channel.sky_frequency for edge in channel.sky_edges)
    if channel.complex and channel.zero == "edge":
        frequency = np.where(frequency * channel.direction < 0, frequency + low + high, frequency)
    margin = 0.02 * channel.bandwidth
    inside = (frequency > low + margin) & (frequency < high - margin)
    sky = channel.sky_frequency + frequency[inside]
    phase = np.angle(cross[inside] * np.exp(-2j * np.pi * content / sky))
    assert np.degrees(np.abs(phase)).max() < 0.05


def test_correlated_flux_and_white_receivers():
    """Correlation is what the fluxes ask for; samples have variance 1 and are white."""
    sefd = (50.0, 300.0)
    duration = 0.5
    x, y = (
        station_samples(
            source=QUASAR, station=station(n, sefd=s), channel=0, start=START, duration=duration,
            seed=5,
        ).astype(np.float64)
        for n, s in zip(("Aa", "Bb"), sefd, strict=True)
    )  # fmt: skip
    n = len(x)
    part = [QUASAR.flux / (QUASAR.flux + s) for s in sefd]
    assert np.mean(x * y) == pytest.approx(np.sqrt(part[0] * part[1]), abs=SURE / np.sqrt(n))
    for samples in (x, y):
        assert np.var(samples) == pytest.approx(1.0, abs=SURE * np.sqrt(2 / n))
        lags = [np.mean(samples[:-k] * samples[k:]) for k in (1, 2, 3, 7, 1024)]
        # the source's band ends 0.01 % short of the channel's, far below this
        assert np.max(np.abs(lags)) < stats.norm.isf(0.0005 / len(lags)) / np.sqrt(n)


def test_source_noise_is_stationary():
    """Power does not depend on where in a piece of the noise a sample lies."""
    x = station_samples(
        source=QUASAR, station=station("Aa", sefd=1e-6), channel=0, start=START, duration=1.0,
        seed=6, receiver=False,
    ).astype(np.float64)  # fmt: skip
    hop = 16384 - 2048
    power = (x[: len(x) // hop * hop] ** 2).reshape(-1, hop // 1024, 1024).mean(axis=(0, 2))
    count = len(x) / (hop // 1024)
    assert np.max(np.abs(power - 1.0)) < stats.norm.isf(0.0005 / len(power)) * np.sqrt(2 / count)


PROBE = spacecraft_signal(
    "Probe", 8.4e9, polynomial(143.0, 9.1e-5, 3e-11), offset=1e-7, drift=2e-12
)


def tone_phase(tone, delay, clock, channel, reading):
    """phi(t) - f0 r in cycles, in extended precision."""
    f, f0 = np.longdouble(tone.frequency), np.longdouble(channel.sky_frequency)
    late = total_at_reading(delay, clock, reading)
    t = reading - late
    since = t + BEFORE
    path = np.longdouble(9.1e-5) * since
    path += np.longdouble(3e-11) * (t**2 - np.longdouble(BEFORE) ** 2) / 2
    theta = since - path
    return f * theta + f * np.longdouble(PROBE.drift) * theta**2 / 2 - f0 * reading


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("is_complex", [False, True])
def test_tones_have_the_phase_of_the_wavefront(direction, is_complex):
    edge = 8.3985e9 if direction > 0 else 8.4015e9
    channel = Channel("A", edge, direction, RATE, complex=is_complex)
    clock = (1e-6, 1e-12, 0.0)
    one = station("Bb", EARTH, clock, [channel], lo_phases=(0.3,))
    only = replace(PROBE, tones=PROBE.tones[:1])
    samples = station_samples(
        source=only, station=one, channel=0, start=START, duration=0.3, seed=1, receiver=False
    )
    reading = np.arange(len(samples)) / np.longdouble(RATE)
    cycles = turns(tone_phase(only.tones[0], EARTH, clock, channel, reading))
    wave = np.exp(2j * np.pi * cycles - 0.3j)
    power = 10**5.0 / channel.bandwidth
    expected = np.sqrt(2 * power / (1 + power)) * (wave if direction > 0 else wave.conj())
    if not is_complex:
        expected = expected.real
    # 0.05 degree, of which nearly all is single precision
    assert np.max(np.abs(samples - expected)) < np.radians(0.05) * np.sqrt(2 * power)


def test_tone_strength_and_place():
    """Each tone stands at its received frequency with its C/N0; others are left out."""
    channels = (Channel("A", 8.3987e9, 1, RATE), Channel("B", 8.4027e9, 1, RATE))
    one = station("Bb", EARTH, channels=channels)
    n = 8_000_000
    for index, name, cn0 in ((0, "carrier", 50.0), (1, "DOR+3.8", 40.0)):
        x = station_samples(
            source=replace(PROBE, drift=0.0), station=one, channel=index, start=START,
            duration=1.0, seed=9,
        ).astype(np.float64)  # fmt: skip
        assert np.var(x) == pytest.approx(1.0, abs=SURE * np.sqrt(2 / n))
        geocentric = replace(PROBE, drift=0.0).received_frequency(name, START)
        f = float(geocentric * (1 - EARTH[1])) - channels[index].sky_frequency
        # acceleration turns the phase by less than half a turn in 1 s; take it out
        t = np.arange(n) / RATE
        bend = -0.5 * geocentric * (EARTH[2] + 3e-11) * t**2
        power = 2 * abs(np.mean(x * np.exp(-2j * np.pi * (f * t + bend)))) ** 2
        density = (np.var(x) - power) / channels[index].bandwidth
        # power has a relative sigma of sqrt(2 / (C/N0 x T))
        ratio = power / density / 10 ** (cn0 / 10)
        assert ratio == pytest.approx(1.0, abs=SURE * np.sqrt(2 / 10 ** (cn0 / 10)) + 1e-3)
        spectrum = np.abs(np.fft.rfft(x * np.hanning(n))) ** 2
        lines = np.flatnonzero(spectrum > 40 * spectrum.mean())
        assert lines.min() > f - 10
        assert lines.max() < f + 10


class Memory:
    def __init__(self):
        self.rows = []

    def write_codes(self, codes):
        self.rows.append(codes.copy())

    def close(self):
        self.closed = True


def record(threads=1, seed=1, source=QUASAR, duration=0.1234, **more):
    kept = {}

    def sink(one):
        return kept.setdefault(one.name, Memory())

    channels = (Channel("A", 8.3987e9, 1, RATE), Channel("B", 8.4067e9, -1, RATE))
    both = [
        station("Aa", (-0.01, -5e-7, 0.0), channels=channels, **more),
        station("Bb", EARTH, channels=channels, **more),
    ]
    truth = simulate_scan(
        source=source, stations=both, start=START, duration=duration, sink=sink, seed=seed,
        threads=threads,
    )  # fmt: skip
    return {name: np.concatenate(memory.rows, axis=1) for name, memory in kept.items()}, truth


@pytest.mark.parametrize("source", [QUASAR, PROBE], ids=["quasar", "spacecraft"])
def test_same_bytes_again_and_with_more_threads(source):
    first, _ = record(1, source=source)
    for threads in (1, 3):
        again, _ = record(threads, source=source)
        for name in first:
            assert first[name].shape == (2, round(0.1234 * RATE))
            assert np.array_equal(first[name], again[name])
    other, _ = record(1, seed=2, source=source)
    assert np.mean(first["Aa"] != other["Aa"]) > 0.5


def test_recorded_codes_are_the_quantised_samples():
    codes, truth = record()
    one = truth.stations[1]
    for c in range(2):
        x = station_samples(
            source=QUASAR, station=one, channel=c, start=START, duration=0.1234, seed=1
        )
        expected = (x >= -0.9816).astype(int) + (x >= 0) + (x >= 0.9816)
        # a chunk is cut elsewhere for one station than for two: last bits may differ
        assert np.count_nonzero(codes["Bb"][c] != expected) <= 2
    outer = np.mean((codes["Bb"] == 0) | (codes["Bb"] == 3))
    sigma = np.sqrt(0.22 / codes["Bb"].size)
    assert outer == pytest.approx(2 * stats.norm.sf(0.9816), abs=SURE * sigma)


def test_channels_scans_and_stations_have_their_own_noise():
    codes, _ = record()
    x = codes["Aa"].astype(float) - 1.5
    y = codes["Bb"].astype(float) - 1.5
    limit = 5 * 1.33 / np.sqrt(x.shape[1])  # rms of these codes is 1.15
    assert abs(np.mean(x[0] * x[1])) < limit
    assert abs(np.mean(x[0] * y[0])) < limit


def test_writes_vdif(tmp_path):
    fractions = []
    channels = (Channel("A", 8.3987e9, 1, RATE), Channel("B", 8.4067e9, -1, RATE))
    truth = simulate_scan(
        source=PROBE, stations=[station("Tianma", EARTH, channels=channels, code="Tm")],
        start=START, duration=0.1, sink=tmp_path, seed=1, scan="No0001", progress=fractions.append,
    )  # fmt: skip
    path = tmp_path / "No0001_Tianma.vdif"
    assert truth.recordings == {"Tianma": str(path)}
    assert path.stat().st_size == 2 * 25 * 8032
    found = open_recording(path, station="Tianma", channels=channels)
    assert float(found.start.since(START)) == 0.0
    assert found.read(0, 800_000).valid.all()
    assert fractions[-1] == 1.0
    truth.write(tmp_path / "truth.json")
    kept = json.loads((tmp_path / "truth.json").read_text())
    assert kept["source"]["tones"][0]["frequency"] == 8.4e9 * (1 + 1e-7)
    delay = kept["stations"][0]["delay"]["delay"]["coefficients"]
    assert delay == truth.model.stations["Tianma"].delay.coefficients.tolist()


def test_refuses():
    halves = (Channel("A", 8.4e9, 1, RATE), Channel("B", 8.402e9, 1, RATE))
    keywords = {"source": QUASAR, "start": START, "seed": 1, "sink": lambda _: Memory()}
    with pytest.raises(ConfigurationError, match="overlap in part"):
        simulate_scan(stations=[station("Aa", channels=halves)], duration=0.1, **keywords)
    with pytest.raises(ConfigurationError, match="are alike"):
        simulate_scan(stations=[station("Aa", channels=halves[:1] * 2)], duration=0.1, **keywords)
    with pytest.raises(SpanError):
        simulate_scan(stations=[station("Aa")], duration=100.0, **keywords)
    with pytest.raises(ConfigurationError, match="whole number of samples"):
        simulate_scan(stations=[station("Aa")], duration=1.03e-7, **keywords)
    with pytest.raises(ConfigurationError, match="SEFD"):
        station("Aa", sefd=0.0)
    with pytest.raises(ConfigurationError, match="lo_phases"):
        station("Aa", lo_phases=(1.0, 2.0))
