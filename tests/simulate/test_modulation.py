"""A phase-modulated carrier against its formula, evaluated directly."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from kitestring.errors import ConfigurationError
from kitestring.model.polynomials import PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.simulate._kernels import BLOCK, philox
from kitestring.simulate._telemetry import REACH, bit_wave, step_response
from kitestring.simulate.modulation import lines_of, pure_tones
from kitestring.simulate.signals import modulated_signal, random_key
from kitestring.simulate.types import ModulatedCarrier, SimulatedStation, Telemetry
from kitestring.simulate.voltages import station_samples

START = Epoch.from_iso("2026-01-01T00:00:00")
BEFORE = 2.0  # s that polynomials begin before the scan
CARRIER = 8.4e9
DOPPLER, BEND = 9.1e-5, 3e-11
SURE = stats.norm.isf(0.0005)  # two-sided 99.9 %
RECEIVED = 8399.2e6  # about the carrier as received, Hz
TONES = ((3.8e6, 0.7), (19.0e6, 0.4))


def polynomial(value=0.0, rate=0.0, acceleration=0.0):
    at = -BEFORE
    row = [
        value + rate * at + acceleration * at**2 / 2,
        rate + acceleration * at,
        acceleration / 2,
    ]
    return PiecewisePolynomial(START.shifted(-BEFORE), 60.0, np.array([row]))


LIGHT_TIME = polynomial(143.0, DOPPLER, BEND)
PATH = (0.0123, 1e-6, 1e-10)


def station(channel, delay=PATH, **more):
    truth = StationDelay(polynomial(*delay), polynomial())
    return SimulatedStation("Aa", truth, 300.0, (channel,), **more)


def transmitter_time(delay, reading):
    """Seconds of the transmitter since the light time's start, for readings; long double."""
    c = [np.longdouble(a) for a in delay]
    reading = np.asarray(reading, dtype=np.longdouble)
    late = np.zeros_like(reading)
    for _ in range(6):
        t = reading - late
        late = c[0] + t * (c[1] + t * c[2] / 2)
    t = reading - late
    path = np.longdouble(DOPPLER) * (t + BEFORE)
    path += np.longdouble(BEND) * (t**2 - np.longdouble(BEFORE) ** 2) / 2
    return t + BEFORE - path


def turns(cycles):
    return (cycles - np.rint(cycles)).astype(np.float64)


@pytest.mark.parametrize(
    "telemetry",
    [
        None,
        Telemetry(0.9, 2000.0, 32768.0),
        Telemetry(0.9, 2000.0, 32768.0, "sine"),
        Telemetry(1.1, 2000.0),
    ],
    ids=["none", "square", "sine", "no subcarrier"],
)
def test_all_lines_carry_all_power(telemetry):
    lines = lines_of(ModulatedCarrier(CARRIER, 50.0, TONES, telemetry))
    assert sum(abs(line.amplitude) ** 2 for line in lines) == pytest.approx(1.0, abs=1e-9)


def test_lines_have_bessels_amplitudes_and_sidebands_intermodulate():
    modulated = ModulatedCarrier(CARRIER, 50.0, TONES, Telemetry(0.9, 2000.0, 32768.0))
    found = {line.name: line.amplitude for line in lines_of(modulated) if not line.with_bits}
    # five times 3.8 MHz is 19 MHz: several products fall on every line
    number = range(-20, 21)
    for name in (
        "carrier",
        "+3.8 MHz",
        "-3.8 MHz",
        "+7.6 MHz",
        "+19 MHz",
        "+22.8 MHz",
        "-15.2 MHz",
    ):
        fifths = 0 if name == "carrier" else round(float(name.split()[0]) / 3.8)
        direct = sum(
            special.jv(n, 0.7) * special.jv(k, 0.4) for n in number for k in number
            if n + 5 * k == fifths
        )  # fmt: skip
        assert found[name] == pytest.approx(np.cos(0.9) * direct, abs=1e-8)
    tones = {tone.name: tone for tone in pure_tones(modulated)}
    for name in ("+22.8 MHz", "-19 MHz"):
        decibels = 20.0 * np.log10(abs(found[name]))
        assert tones[name].cn0 == pytest.approx(50.0 + decibels, abs=1e-9)
    assert abs(tones["-19 MHz"].phase) == pytest.approx(0.5)  # J_-1 = -J_1


def test_modulated_wave_is_the_formula():
    """A channel wide enough for all of it shows exp(i [carrier + m1 sin + m2 sin])."""
    channel = Channel("A", 8.4e9, 1, 256e6, complex=True, zero="middle")
    offset = 3e-7
    source = modulated_signal("Probe", CARRIER, LIGHT_TIME, offset=offset, tones=TONES, cn0=40.0)
    x = station_samples(
        source=source, station=station(channel), channel=0, start=START, duration=0.002, seed=1,
        receiver=False,
    )  # fmt: skip
    reading = np.arange(len(x)) / np.longdouble(256e6)
    theta = transmitter_time(PATH, reading) * (1 + np.longdouble(offset))
    phase = 2 * np.pi * turns(CARRIER * theta - np.longdouble(8.4e9) * reading)
    for frequency, index in TONES:
        phase = phase + index * np.sin(2 * np.pi * turns(frequency * theta))
    power = 1e4 / 256e6
    expected = np.sqrt(2 * power / (1 + power)) * np.exp(1j * phase)
    # a hundred lines of single precision; those below -120 dB are left out
    assert np.max(np.abs(x - expected)) < 3e-5 * np.sqrt(2 * power)


def bits_of(key, numbers):
    words = [
        philox(*(np.uint32(w) for w in (int(n) & 0xFFFFFFFF, int(n) >> 32, 0x5B175, 0, *key)))[0]
        for n in numbers
    ]
    return np.where(np.array(words) & 1, 1.0, -1.0)


@pytest.mark.parametrize("wave", ["square", "sine", None])
def test_telemetry_is_the_formula_inside_the_band(wave):
    """Directly evaluated, 32 times oversampled, windowed and compared bin by bin."""
    rate, oversampled, seed = 2e6, 32, 4
    telemetry = Telemetry(0.8, 12345.0, 65536.0 if wave else 0.0, wave or "square")
    channel = Channel("A", RECEIVED - 1e6, 1, 2 * rate)
    source = modulated_signal("Probe", CARRIER, LIGHT_TIME, telemetry=telemetry, cn0=40.0)
    x = station_samples(
        source=source, station=station(channel), channel=0, start=START, duration=0.016384 * 2,
        seed=seed, receiver=False,
    ).astype(np.float64)  # fmt: skip
    n = len(x)
    reading = np.arange(n * oversampled) / np.longdouble(2 * rate * oversampled)
    theta = transmitter_time(PATH, reading)
    numbers = np.floor(theta * telemetry.bit_rate).astype(np.int64)
    first = int(numbers.min())
    bits = bits_of(random_key(seed, "Probe", "telemetry"), range(first, int(numbers.max()) + 1))
    turned = bits[numbers - first]
    if wave:
        sub = np.sin(2 * np.pi * turns(telemetry.subcarrier * theta))
        turned = turned * (np.sign(sub) if wave == "square" else sub)
    phase = 2 * np.pi * turns(CARRIER * theta - np.longdouble(channel.sky_frequency) * reading)
    direct = np.exp(1j * (phase + 0.8 * turned))
    window = np.hanning(n * oversampled)
    # the analytic wave; real samples hold half of it at positive frequencies
    expected = np.fft.fft(direct * window)[: n // 2] / oversampled
    found = 2.0 * np.fft.fft(x * window[::oversampled][:n])[: n // 2]
    baseband = np.arange(n // 2) * 2 * rate / n
    inside = (baseband > 0.03 * rate) & (baseband < 0.97 * rate)
    scale = np.vdot(expected[inside], found[inside]) / np.vdot(expected[inside], expected[inside])
    assert abs(np.angle(scale)) < np.radians(0.05)
    error = np.sum(np.abs(found - scale * expected)[inside] ** 2)
    # 1e-4 of the power: edges that the oversampled twin places to half a step, and folds
    assert error < 3e-4 * np.sum(np.abs(scale * expected)[inside] ** 2)
    power = 1e4 / rate
    assert abs(scale) == pytest.approx(np.sqrt(2 * power), rel=0.01)


def test_bits_are_the_same_at_all_stations_and_go_on():
    """Two stations and two cuts of time show the same bits at the same transmission."""
    telemetry = Telemetry(np.pi / 2, 5000.0)  # no carrier is left: the wave is i d
    source = modulated_signal("Probe", CARRIER, LIGHT_TIME, telemetry=telemetry)
    channel = Channel("A", RECEIVED, 1, 1e6, complex=True, zero="middle")
    for delay in (PATH, (-0.004, 2e-6, 0.0)):
        x = station_samples(
            source=source, station=station(channel, delay), channel=0, start=START, duration=0.05,
            seed=7, receiver=False,
        )  # fmt: skip
        reading = np.arange(len(x)) / np.longdouble(1e6)
        theta = transmitter_time(delay, reading)
        numbers = theta * telemetry.bit_rate
        whole = np.floor(numbers).astype(np.int64)
        middle = np.abs((numbers - whole).astype(np.float64) - 0.5) < 0.3
        bits = bits_of(random_key(7, "Probe", "telemetry"), range(whole.min(), whole.max() + 1))
        phase = 2 * np.pi * turns(CARRIER * theta - np.longdouble(RECEIVED) * reading)
        turned = (x * np.exp(-1j * phase) / 1j).real
        assert np.array_equal(np.sign(turned[middle]), bits[whole - whole.min()][middle])


def test_bit_wave_edges_lie_where_bits_change():
    """Between edges the wave is +1 or -1; the sum over an edge says where it lies."""
    theta = np.array([[(k + 0.5) * BLOCK * 1e-6, 1e-6, 0.0] for k in range(40)])
    theta[:, 0] -= 0.5e-6  # sample n at n microseconds
    key, rate = (5, 6), 1234.567
    out = np.zeros(len(theta) * BLOCK, dtype=np.float32)
    bit_wave(theta, rate, 0.0, *key, step_response(), out)
    edges = np.arange(1, int(len(out) * 1e-6 * rate))
    bits = bits_of(key, range(len(edges) + 1))
    at = edges / rate * 1e6
    changed = bits[1:] != bits[:-1]
    assert 5 < changed.sum() < len(edges)
    for edge, before, after in zip(at[changed], bits[:-1][changed], bits[1:][changed], strict=True):
        first, last = int(edge) - 100, int(edge) + 100
        if first < REACH or last > len(out) - REACH:
            continue
        part = out[first:last].astype(np.float64)
        assert part[:30] == pytest.approx(before, abs=1e-3)
        assert part[-30:] == pytest.approx(after, abs=1e-3)
        # a step from b to a at e sums to b (e - first) + a (last - e), in points' middles
        found = (part.sum() - after * len(part)) / (before - after) + first - 0.5
        assert found == pytest.approx(edge, abs=2e-3)


def test_polarization_of_the_signal():
    source = modulated_signal("Probe", CARRIER, LIGHT_TIME, cn0=50.0, polarization="R")
    shares = {p: source.share(Channel("A", 8.4e9, 1, 8e6, polarization=p)) for p in "RLX"}
    assert shares == {"R": 1.0, "L": 0.0, "X": 0.5}
    assert source.share(Channel("A", 8.4e9, 1, 8e6)) == 1.0
    left = Channel("A", 8.399e9, 1, 8e6, polarization="L")
    x = station_samples(
        source=source, station=station(left), channel=0, start=START, duration=0.001, seed=1,
        receiver=False,
    )  # fmt: skip
    assert not x.any()


def test_refuses():
    fast = modulated_signal("Probe", CARRIER, LIGHT_TIME, telemetry=Telemetry(1.0, 1e6))
    narrow = Channel("A", RECEIVED - 1e5, 1, 4e5)
    with pytest.raises(ConfigurationError, match="too fast for a channel"):
        station_samples(
            source=fast, station=station(narrow), channel=0, start=START, duration=0.01, seed=1
        )
    with pytest.raises(ConfigurationError, match="bit rate"):
        Telemetry(1.0, 0.0)
    with pytest.raises(ConfigurationError, match="modulation index"):
        ModulatedCarrier(CARRIER, 50.0, ((1e6, -1.0),))
    with pytest.raises(ConfigurationError, match="no C/N0 for station 'Aa'"):
        station_samples(
            source=replace(fast, modulated=ModulatedCarrier(CARRIER, {"Bb": 50.0})),
            station=station(narrow), channel=0, start=START, duration=0.01, seed=1,
        )  # fmt: skip
