"""What plasma and receivers do to samples, against direct calculations."""

import numpy as np
import pytest
from scipy import stats

from kitestring.errors import ConfigurationError
from kitestring.model.polynomials import PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel
from kitestring.simulate.receiver import filter_taps, response
from kitestring.simulate.signals import modulated_signal
from kitestring.simulate.types import (
    Bandpass,
    LocalTone,
    PhaseCalTones,
    QuasarSignal,
    SimulatedStation,
)
from kitestring.simulate.voltages import simulate_scan, station_samples
from kitestring.tones.phasecal import phase_cal

START = Epoch.from_iso("2026-01-01T00:00:00")
RATE = 8e6
POINTS = 2048
SURE = stats.norm.isf(0.0005)  # two-sided 99.9 %
PATH = (0.0123, 1e-6, 1e-10)
QUASAR = QuasarSignal("J1230+1223", 2.5)
BANDS = {
    "upper": Channel("A", 8.4e9, 1, RATE),
    "lower": Channel("A", 8.404e9, -1, RATE),
    "complex": Channel("A", 8.4e9, 1, RATE, complex=True),
    "complex lower": Channel("A", 8.404e9, -1, RATE, complex=True),
    "complex middle": Channel("A", 8.4e9, 1, RATE, complex=True, zero="middle"),
}


def polynomial(value=0.0, rate=0.0, acceleration=0.0):
    row = [value - 2 * rate + 2 * acceleration, rate - 2 * acceleration, acceleration / 2]
    return PiecewisePolynomial(START.shifted(-2.0), 60.0, np.array([row]))


def station(channel, path=(), **more):
    more = {"sefd": 300.0, **more}
    truth = StationDelay(polynomial(*path), polynomial())
    return SimulatedStation(more.pop("name", "Aa"), truth, channels=(channel,), **more)


def made(source, where, duration=0.05, receiver=False, seed=1):
    return station_samples(
        source=source, station=where, channel=0, start=START, duration=duration, seed=seed,
        receiver=receiver,
    )  # fmt: skip


def ascending(samples, channel):
    """Spectra of segments over ascending sky frequency, and those frequencies."""
    rows = samples[: len(samples) // POINTS * POINTS].reshape(-1, POINTS) * np.hanning(POINTS)
    spectra = np.fft.fft(rows.astype(np.complex128))
    baseband = np.fft.fftfreq(POINTS, 1 / RATE)
    if not channel.complex:
        keep = baseband > 0
        spectra, baseband = spectra[:, keep], baseband[keep]
    elif channel.zero == "edge":
        baseband = np.where(baseband < 0, baseband + RATE, baseband)
    if channel.direction < 0:
        spectra = spectra.conj()
    return spectra, channel.sky_frequency + channel.direction * baseband


@pytest.mark.parametrize("band", BANDS)
def test_a_bandpass_has_its_gain_and_phase(band):
    """Samples with it against the same without: gain and phase of each frequency."""
    channel = BANDS[band]
    shape = Bandpass(0.1, 3.0, 0.5, 1e6, np.radians(10.0), 1.3e6)
    plain, filtered = (
        ascending(made(QUASAR, station(channel, bandpass=b)), channel) for b in (None, shape)
    )
    sky = plain[1]
    found = np.sum(filtered[0] * plain[0].conj(), axis=0) / np.sum(np.abs(plain[0]) ** 2, axis=0)
    u = (sky - sum(channel.sky_edges) / 2) / channel.bandwidth
    inside = np.abs(u) < 0.45
    x = u * channel.bandwidth
    decibels = 3.0 * u + 0.5 * np.cos(2 * np.pi * x / 1e6)
    fall = np.sin(0.5 * np.pi * np.clip((0.5 - np.abs(u)) / 0.1, 1e-9, 1))
    gain = 20 * np.log10(np.abs(found[inside])) - (decibels + 20 * np.log10(fall))[inside]
    phase = np.degrees(np.angle(found[inside])) - 10.0 * np.sin(2 * np.pi * x[inside] / 1.3e6)
    # segments of 2048 mix 3 bins: a ripple of 250 bins bends by 1e-4 of itself there; the
    # filter's ends are 512 samples away
    assert np.ptp(gain) < 0.05
    assert np.max(np.abs(phase)) < 0.1
    # its mean square over the band is 1, so that the sampler sees what it is set for
    fine = np.linspace(*channel.sky_edges, 20001)
    assert np.mean(np.abs(response(shape, channel, fine)) ** 2) == pytest.approx(1.0, abs=1e-3)


def test_a_bandpass_leaves_samples_where_they_are():
    """Chunks and threads cut nowhere: one long filter gives the same."""
    channel = BANDS["upper"]
    shape = Bandpass(0.05, phase_ripple=0.1)
    plain, filtered = (made(QUASAR, station(channel, PATH, bandpass=b), 0.1) for b in (None, shape))
    taps = filter_taps(shape, channel)
    direct = np.convolve(plain.astype(np.float64), taps, mode="same")
    calm = slice(len(taps), -len(taps))
    assert np.max(np.abs(direct - filtered)[calm]) < 1e-4


@pytest.mark.parametrize("band", ["upper", "lower", "complex lower", "complex middle"])
def test_plasma_delays_groups_and_advances_phases(band):
    """A quasar's wave at f arrives K / f^2 late, its phase K / f cycles ahead."""
    channel = BANDS[band]
    plasma = 40.3082 * 80e16 / 299792458.0  # 80 TECU: 1.5 ns at 8.4 GHz
    plain, delayed = (
        ascending(made(QUASAR, station(channel, PATH, dispersion=k)), channel)
        for k in (None, polynomial(plasma))
    )
    sky = plain[1]
    cross = np.sum(delayed[0] * plain[0].conj(), axis=0)
    low, high = channel.sky_edges
    inside = (sky > low + 2e5) & (sky < high - 2e5)
    phase = np.angle(cross * np.exp(-2j * np.pi * plasma / sky))[inside]
    assert np.max(np.abs(np.degrees(phase))) < 0.05


def test_plasma_advances_a_tone():
    channel = Channel("A", 8.399e9, 1, RATE)
    plasma = 1e11
    source = modulated_signal("Probe", 8.4e9, polynomial(100.0, 0.0), cn0=50.0)
    plain, ahead = (
        made(source, station(channel, PATH, dispersion=k)).astype(np.float64)
        for k in (None, polynomial(plasma))
    )
    at = np.exp(-2j * np.pi * (1e6 - 8.4e9 * 1e-6) * np.arange(len(plain)) / RATE)
    turn = np.angle(np.vdot(at.conj(), ahead) / np.vdot(at.conj(), plain))
    expected = 2 * np.pi * (plasma / 8.4e9 % 1.0)
    assert abs(np.degrees(np.angle(np.exp(1j * (turn - expected))))) < 0.05


def test_phase_cal_tones_are_found_as_they_were_put_in(tmp_path):
    """The tool that measures phase-cal tones finds spacing, power, delay and oscillator."""
    channel = Channel("A", 8.4003e9, 1, RATE)
    cable, phase, cn0 = 37e-9, 0.9, 45.0
    one = station(
        channel, bits=8, lo_phases=(phase,), instrumental_delays=(20e-9,),
        phase_cal=PhaseCalTones(1e6, 0.0, cn0, cable), sefd=300.0,
    )  # fmt: skip
    simulate_scan(source=QUASAR, stations=[one], start=START, duration=1.0, sink=tmp_path, seed=1)
    recording = open_recording(tmp_path / "scan_Aa.vdif", station="Aa", channels=[channel])
    found = phase_cal(recording, 1e6).channels[0]
    assert len(found.frequency) == 4
    baseband = found.frequency - channel.sky_frequency
    expected = -2 * np.pi * (found.frequency * cable % 1.0 + baseband * 20e-9) - phase
    power = 10 ** (cn0 / 10)
    error = np.angle(found.amplitude * np.exp(-1j * expected))
    assert np.max(np.abs(error)) < 4.0 / np.sqrt(2 * power)
    assert found.delay == pytest.approx(57e-9, abs=4 * found.delay_sigma)


def test_an_interference_stands_where_it_was_put():
    channel = Channel("A", 8.4e9, 1, RATE)
    line = LocalTone(8.4012345e9, 55.0)
    x = made(QUASAR, station(channel, PATH, interference=(line,)), 0.5, receiver=True)
    x = x.astype(np.float64)
    n = len(x)
    assert np.var(x) == pytest.approx(1.0, abs=SURE * np.sqrt(2 / n) + 1e-3)
    power = 2 * abs(np.mean(x * np.exp(-2j * np.pi * 1.2345e6 * np.arange(n) / RATE))) ** 2
    density = (np.var(x) - power) / channel.bandwidth
    asked = 10**5.5
    assert power / density == pytest.approx(asked, rel=SURE * np.sqrt(2 / (asked * 0.5)) + 1e-3)


def test_a_dead_channel_is_zero_and_others_live():
    channels = (Channel("A", 8.4e9, 1, RATE), Channel("B", 8.41e9, 1, RATE))
    truth = StationDelay(polynomial(), polynomial())
    one = SimulatedStation("Aa", truth, 300.0, channels, dead=(0,))
    rows = [
        station_samples(source=QUASAR, station=one, channel=c, start=START, duration=0.01, seed=1)
        for c in (0, 1)
    ]
    assert not rows[0].any()
    assert np.var(rows[1]) == pytest.approx(1.0, abs=0.05)


def test_refuses():
    channel = BANDS["upper"]
    with pytest.raises(ConfigurationError, match="too narrow for a channel"):
        made(QUASAR, station(channel, bandpass=Bandpass(ripple=1.0, ripple_period=1e4)))
    with pytest.raises(ConfigurationError, match="at either edge"):
        Bandpass(edge=0.7)
    with pytest.raises(ConfigurationError, match="spacing"):
        PhaseCalTones(0.0)
    with pytest.raises(ConfigurationError, match="8 or 16 bits for SigMF"):
        station(channel, signed=True)


@pytest.mark.parametrize("bits", [8, 16])
def test_sigmf_holds_the_samples(tmp_path, bits):
    channel = Channel("A", 8.4e9, 1, RATE, complex=True, zero="middle")
    one = station(channel, PATH, bits=bits, signed=True)
    truth = simulate_scan(
        source=QUASAR, stations=[one], start=START, duration=0.01, sink=tmp_path, seed=1
    )
    block = open_recording(truth.recordings["Aa"], station="Aa").read(0, 80_000)
    x = made(QUASAR, one, 0.01, receiver=True)
    counts = {8: 35.5, 16: 4096.0}[bits] / (1 << (bits - 1))  # what a sigma is read as
    assert block.valid.all()
    # 8 bits end at 3.6 sigma
    kept = np.maximum(np.abs(x.real), np.abs(x.imag)) < 3.5
    error = np.abs(block.samples[0] - counts * x)[kept]
    assert kept.mean() > 0.99
    assert error.max() < 0.51 * np.sqrt(2) / (1 << (bits - 1))
