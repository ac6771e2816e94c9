"""Tones of a synthetic spacecraft: stations are given their exact phases, in longdouble."""

import functools

import numpy as np
import pytest

from kitestring.correlate.engine import correlate
from kitestring.errors import ConfigurationError, EstimationError, MissingDataError
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.tones.extract import _noise, _Work, extract_tones
from kitestring.tones.types import ToneSpec

START = Epoch.from_iso("2026-01-01T00:00:00")
RATE = 2e6
CARRIER = 8_420_700_000.0
RATIOS = {"carrier": 1.0, "low": 1 - 1 / 2200, "high": 1 + 1 / 440}
LENGTH = 1.0
PICOSECOND = 1e-12
MILLICYCLE = 1e-3


def station_delay(coefficients, clock=(0.0, 0.0), error=0.0):
    """A quadratic like Earth's rotation: 20 ms, 1e-6, 1e-10 /s."""
    delay = np.array([np.add(coefficients, [error, 0.0, 0.0])])
    return StationDelay(
        PiecewisePolynomial(START.shifted(-1.0), 10.0, delay),
        PiecewisePolynomial(START.shifted(-2.0), 12.0, np.array([clock])),
    )


TRUE = {
    "A": station_delay((0.0123, 1.1e-6, 2e-11), (3e-6, 1e-12)),
    "B": station_delay((-0.0171, -0.9e-6, -7e-11), (-5e-6, 4e-12)),
}
ERROR = {"A": 0.0, "B": 0.4e-9}  # s: what the model misses


def make_channels(sideband):
    """One channel a tone, the tone 0.3 MHz from baseband zero."""
    return tuple(
        Channel(name, round(CARRIER * r / 1e5) * 1e5 - sideband * 0.3e6, sideband, RATE)
        for name, r in RATIOS.items()
    )


@functools.cache
def clean_voltages(station, channels, shift, drift):
    """Real samples of the tones: phase at the geocentre (CARRIER + shift) t + drift t^2 / 2."""
    delay = TRUE[station]
    n = np.arange(int((LENGTH + 0.2) * RATE))
    reading = n / RATE - 0.1  # s after START on the station's clock
    label = reading.copy()
    for _ in range(4):
        label = reading - (delay.delay.at_offset(label + 1.0) + delay.clock.at_offset(label + 2.0))
    label, reading = label.astype(np.longdouble), reading.astype(np.longdouble)
    rows = []
    for channel, ratio in zip(channels, RATIOS.values(), strict=True):
        cycles = ratio * ((np.longdouble(CARRIER) + shift) * label + 0.5 * drift * label**2)
        cycles = cycles - np.longdouble(channel.sky_frequency) * reading
        rows.append(np.cos(2 * np.pi * (cycles % 1).astype(float)))
    return np.array(rows)


def voltages(station, channels, shift=0.0, drift=0.0, noise=0.0, amplitude=1.0, rng=None):
    clean = amplitude * clean_voltages(station, channels, shift, drift)
    return clean if rng is None else clean + noise * rng.normal(size=clean.shape)


def observe(memory_recording, sidebands=(1, 1), **signal):
    recordings = []
    for station, sideband in zip(TRUE, sidebands, strict=True):
        channels = make_channels(sideband)
        x = voltages(station, channels, **signal)
        recordings.append(memory_recording(station, channels, x, START.shifted(-0.1)))
    return recordings


def model():
    def modelled(name):
        true = TRUE[name]
        shifted = true.delay.coefficients - [[ERROR[name], 0.0, 0.0]]
        return StationDelay(PiecewisePolynomial(true.delay.start, 10.0, shifted), true.clock)

    return DelayModel("S1", "probe", {name: modelled(name) for name in TRUE})


def differenced(found):
    """Phase of A less that of B, cycles, and what it should be."""
    cycles = (found.phase[0] - found.phase[1]) / (2 * np.pi)
    f = found.frequency()
    expected = f * (ERROR["B"] - ERROR["A"])
    return (cycles - expected + 0.5) % 1 - 0.5


@pytest.mark.parametrize("sidebands", [(1, 1), (-1, -1), (1, -1)])
def test_phase_and_its_sign(memory_recording, sidebands):
    recordings = observe(memory_recording, sidebands, shift=-3217.4, drift=0.7)
    spec = ToneSpec(CARRIER, 0.0, RATIOS)
    found = extract_tones(recordings, model(), spec, START, START.shifted(LENGTH))
    assert found.phase.shape == (2, 3, 10)
    assert np.abs(differenced(found)).max() < 0.1 * MILLICYCLE
    # the reference is the transmitted frequency, drift and all
    f = np.array([CARRIER - 3217.4 + 0.7 * 0.5]) * np.array(list(RATIOS.values()))
    assert found.frequency(START.shifted(0.5))[:, 0] == pytest.approx(f, abs=0.05)
    assert found.channels[0] == tuple(RATIOS)


def test_difference_does_not_know_the_assumed_frequency(memory_recording):
    recordings = observe(memory_recording)
    results = []
    for off in (0.0, 1e-6 * CARRIER, -1e-6 * CARRIER):
        spec = ToneSpec(CARRIER + off, 0.0, RATIOS, uncertainty=12e3)
        found = extract_tones(recordings, model(), spec, START, START.shifted(LENGTH))
        results.append(differenced(found).mean(axis=1))
    # phase delay, and group delay over 19 MHz
    shift = np.array(results[1:]) - results[0]
    assert np.abs(shift / CARRIER).max() < 0.1 * PICOSECOND
    group = (shift[:, 2] - shift[:, 1]) / (CARRIER * (RATIOS["high"] - RATIOS["low"]))
    assert np.abs(group).max() < PICOSECOND


def test_noise_is_what_snr_says(memory_recording):
    pulls = []
    for seed in range(1, 9):
        rng = np.random.default_rng(seed)
        recordings = observe(memory_recording, noise=5.0, rng=rng)
        found = extract_tones(
            recordings, model(), ToneSpec(CARRIER, 0.0, RATIOS), START, START.shifted(LENGTH)
        )
        sigma = np.sqrt(np.sum(found.snr**-2.0, axis=0)) / (2 * np.pi)
        pulls.append(differenced(found) / sigma)
    pulls = np.array(pulls)
    # amplitude 1 in noise 5: power 0.5 over 25 / 1 MHz
    assert 10 * np.log10(found.density) == pytest.approx(43.0, abs=0.5)
    # 3.3 sigma (99.9 %) of the scatter of n dumps, and 2 % for the measured noise
    assert abs(np.mean(pulls)) < 3.3 / np.sqrt(pulls.size)
    assert abs(np.mean(pulls**2) - 1) < 3.3 * np.sqrt(2 / pulls.size) + 0.04


def test_two_bits_keep_the_phase(memory_recording):
    rng = np.random.default_rng(11)
    recordings = observe(memory_recording, noise=5.0, rng=rng)
    for r in recordings:
        scale = r.samples.std()
        r.samples = np.sign(r.samples) * np.where(np.abs(r.samples) < 0.98 * scale, 1, 3.3359)
        r.samples = r.samples.astype(np.float32)
    found = extract_tones(
        recordings, model(), ToneSpec(CARRIER, 0.0, RATIOS), START, START.shifted(LENGTH)
    )
    sigma = np.sqrt(np.sum(found.snr**-2.0, axis=0)) / (2 * np.pi)
    pulls = differenced(found) / sigma
    assert abs(np.mean(pulls**2) - 1) < 3.3 * np.sqrt(2 / pulls.size) + 0.04
    assert 10 * np.log10(found.density) == pytest.approx(43.0 - 0.55, abs=0.5)  # 2 bits: 0.88


def test_lost_samples_are_counted(memory_recording):
    recordings = observe(memory_recording, noise=5.0, rng=np.random.default_rng(12))
    lost = recordings[0].valid
    first = round(0.1 * RATE)
    lost[:, first + round(0.2 * RATE) : first + round(0.5 * RATE)] = False
    found = extract_tones(
        recordings, model(), ToneSpec(CARRIER, 0.0, RATIOS), START, START.shifted(LENGTH)
    )
    # dumps 2 to 4, but for the 12 ms at an end by which station A's labels are off
    assert np.isnan(found.phase[0, :, 2:4]).all()
    assert (found.snr[0, :, 2:4] == 0).all()
    assert np.isfinite(found.phase[1]).all()
    away = np.array([0, 5, 6, 7, 8, 9])
    sigma = np.sqrt(np.sum(found.snr[:, :, away] ** -2.0, axis=0)) / (2 * np.pi)
    assert np.abs(differenced(found)[:, away] / sigma).max() < 4.5


def test_a_station_without_the_tone_is_left_empty(memory_recording):
    recordings = observe(memory_recording)
    a = recordings[0]
    recordings[0] = memory_recording("A", a.channels[:2], a.samples[:2], a.start)
    found = extract_tones(
        recordings, model(), ToneSpec(CARRIER, 0.0, RATIOS), START, START.shifted(LENGTH)
    )
    assert found.channels[0] == ("carrier", "low", "")
    assert np.isnan(found.phase[0, 2]).all()
    assert np.abs(differenced(found)[:2]).max() < MILLICYCLE


def test_what_is_refused(memory_recording):
    rng = np.random.default_rng(13)
    quiet = observe(memory_recording, amplitude=0.0, noise=1.0, rng=rng)
    stop = START.shifted(LENGTH)
    with pytest.raises(EstimationError, match="no carrier stands out"):
        extract_tones(quiet, model(), ToneSpec(CARRIER, 0.0, RATIOS), START, stop)
    with pytest.raises(MissingDataError, match="no channel holds the carrier"):
        extract_tones(quiet, model(), ToneSpec(8.3e9), START, stop)
    for r in quiet:
        r.valid[:] = False
    with pytest.raises(MissingDataError, match="no recording has valid samples"):
        extract_tones(quiet, model(), ToneSpec(CARRIER, 0.0, RATIOS), START, stop)
    with pytest.raises(ConfigurationError, match="whole second"):
        extract_tones(quiet, model(), ToneSpec(CARRIER), START.shifted(0.25), stop)
    with pytest.raises(ConfigurationError, match="two dumps"):
        extract_tones(quiet, model(), ToneSpec(CARRIER), START, START)
    empty = DelayModel("S1", "probe", {})
    with pytest.raises(ConfigurationError, match="no station A"):
        extract_tones(quiet, empty, ToneSpec(CARRIER), START, stop)
    with pytest.raises(ConfigurationError, match="carrier"):
        ToneSpec(CARRIER, 0.0, {"low": 0.9})


def test_phase_is_that_of_the_correlator(memory_recording):
    """Quasars come through the correlator, tones do not: sign and oscillator phase must be one."""
    recordings = observe(memory_recording, shift=-3217.4, drift=0.7)
    stop = START.shifted(LENGTH)
    vis = correlate(recordings, model(), bins=64, start=START, stop=stop, integration=0.1)
    found = extract_tones(recordings, model(), ToneSpec(CARRIER, 0.0, RATIOS), START, stop)
    row = vis.baselines.index(("A", "B"))
    for k, f in enumerate(found.frequency().mean(axis=1)):
        (channel,) = [c for c in vis.channels if c.frequency[0] < f < c.frequency[-1]]
        data = channel.data[:, row, np.argmin(np.abs(channel.frequency - f)), 0]
        turned = data * np.exp(-1j * (found.phase[0, k] - found.phase[1, k]))
        # the bin is not the tone: half a bin x half a sample of 2 x 64, 2 millicycles
        assert np.abs(np.angle(turned) / (2 * np.pi)).max() < 2 * MILLICYCLE


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_a_strong_tone_between_bins_does_not_raise_the_noise(offset):
    rng = np.random.default_rng(14)
    n = 2048
    noise = (rng.normal(size=n) + 1j * rng.normal(size=n)) / np.sqrt(2)
    tone = 20.0 * np.exp(2j * np.pi * offset * np.arange(n) / n)
    # the median of 1000 bins scatters by 3 %
    assert _noise(noise + tone, np.ones(n, dtype=np.int64), 1e-3) == pytest.approx(1.0, abs=0.12)


def lost_frames(share, frame, size, rng):
    """Which samples are valid where a share of frames is lost."""
    return np.repeat(rng.random(-(-size // frame)) >= share, frame)[:size]


@pytest.mark.parametrize("share", [0.01, 0.2])
@pytest.mark.parametrize(("frame", "other"), [(400, 2.0), (30, 0.2)])
def test_lost_frames_do_not_raise_the_noise(share, frame, other):
    """Nor do they spread a tone, or another line, over the band.

    Frames are 4 boxes, or a third of one: then a strong line off the tone is truly modulated.
    """
    rng = np.random.default_rng(15)
    boxes, size = 4096, 100
    valid = lost_frames(share, frame, boxes * size, rng)
    samples = (rng.normal(size=boxes * size) + 1j * rng.normal(size=boxes * size)) / np.sqrt(2)
    t = np.arange(boxes * size) / (size / 1e-3)
    for frequency, amplitude in ((0.03, 2.0), (173.2, other)):  # 2 is 56 dBHz, 0.2 is 36
        samples += amplitude * np.exp(2j * np.pi * frequency * t)
    sums = np.where(valid, samples, 0.0).reshape(boxes, size).sum(axis=1)
    count = valid.reshape(boxes, size).sum(axis=1)
    # 3.3 x the scatter of 4096 boxes under a taper, a fifth of them lost
    assert _noise(sums, count, 1e-3) == pytest.approx(1.0, abs=0.09)


def test_noise_that_cannot_be_measured_is_not_stated():
    count = np.arange(1000) % 2
    assert np.isnan(_noise(count + 0j, count, 1e-3))


def test_snr_and_density_hold_with_lost_frames(memory_recording):
    pulls, density = [], []
    for seed in range(21, 25):
        rng = np.random.default_rng(seed)
        recordings = observe(memory_recording, noise=5.0, rng=rng)
        for r in recordings:  # a fifth of the frames, of 4 ms
            r.valid[:] = lost_frames(0.2, 8000, r.valid.shape[1], rng)
        found = extract_tones(
            recordings, model(), ToneSpec(CARRIER, 0.0, RATIOS), START, START.shifted(LENGTH)
        )
        sigma = np.sqrt(np.sum(found.snr**-2.0, axis=0)) / (2 * np.pi)
        pulls.append(differenced(found) / sigma)
        density.append(10 * np.log10(found.density))
    pulls = np.array(pulls)
    assert np.array(density) == pytest.approx(43.0, abs=0.7)
    assert abs(np.mean(pulls**2) - 1) < 3.3 * np.sqrt(2 / pulls.size) + 0.04


def test_a_long_scan_with_a_wandering_transmitter(memory_recording, monkeypatch):
    """Density does not ask for coherence, nor is more than a few seconds held at once."""
    rate, length = 20e3, 20.0
    n = int(length * rate)
    t = np.arange(n) / rate
    rng = np.random.default_rng(16)
    # 0.6 Hz off at both ends when the middle is followed
    cycles = 5234.5 * t + 0.002 * (t - 10.0) ** 3
    channel = (Channel("CH0", 8.4e9, 1, rate, complex=True),)
    recordings = []
    for station, phase in (("A", 0.3), ("B", -1.1)):
        noise = (rng.normal(size=n) + 1j * rng.normal(size=n)) / np.sqrt(2)
        x = noise + np.sqrt(10**4.5 / rate) * np.exp(1j * (2 * np.pi * (cycles % 1) + phase))
        recordings.append(memory_recording(station, channel, x[None], START))
    still = PiecewisePolynomial(START.shifted(-1.0), 60.0, np.array([[0.0]]))
    delays = DelayModel("S1", "probe", {s: StationDelay(still, still) for s in "AB"})
    held, run = [], _Work.run

    def watched(work, tones, reference, first, box, boxes):
        held.append(box * boxes)
        return run(work, tones, reference, first, box, boxes)

    monkeypatch.setattr(_Work, "run", watched)
    found = extract_tones(
        recordings, delays, ToneSpec(8.4e9 + 5e3, uncertainty=1e3), START, START.shifted(length)
    )
    assert max(held) < 8.2
    assert sum(held[1:]) == pytest.approx(length)  # after the search, all once
    assert 10 * np.log10(found.density) == pytest.approx(45.0, abs=0.2)
    assert np.isfinite(found.phase).all()
    sigma = np.sqrt(np.sum(found.snr**-2.0, axis=0))[0]
    pulls = ((found.phase[0, 0] - found.phase[1, 0] - 1.4 + np.pi) % (2 * np.pi) - np.pi) / sigma
    assert abs(np.mean(pulls**2) - 1) < 3.3 * np.sqrt(2 / pulls.size)
    # continuous over the seams of the stretches, once the wander is taken out
    followed = found.reference[0, 0] + found.phase[0, 0] / (2 * np.pi)
    middle = found.epoch.since(START)
    followed = followed + (found.reference[0, 1] - 8.4e9) * middle
    followed = followed + found.reference[0, 2] * middle**2
    rest = followed - 5234.5 * middle - 0.002 * (middle - 10.0) ** 3
    assert np.abs(rest - rest.mean()).max() < 0.05
