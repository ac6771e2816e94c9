import configparser

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, MissingDataError
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.tones.phasecal import phase_cal

START = Epoch.from_iso("2026-01-01T00:00:10.25")
RATE = 32e6
SAMPLES = 64000  # 2 ms
NANOSECOND = 1e-9


def make_channel(kind, direction):
    is_complex = kind != "real"
    zero = "middle" if kind == "middle" else "edge"
    return Channel("CH00", 8410.4e6, direction, RATE, is_complex, "X", zero)


def voltages(channel, delay, amplitude, noise, rng, spacing=5e6):
    """Tones whose sky phase at clock reading r is 2 pi f (r - delay)."""
    low, high = channel.sky_edges
    sky = np.arange(np.ceil(low / spacing), np.floor(high / spacing) + 1) * spacing
    seconds = float(START.second) % 1 + np.arange(SAMPLES) / RATE
    phase = (sky - channel.sky_frequency)[:, None] * seconds - sky[:, None] * delay
    x = amplitude * np.exp(2j * np.pi * channel.direction * phase).sum(axis=0)
    white = rng.normal(size=SAMPLES) + 1j * rng.normal(size=SAMPLES)
    return (x + noise * white) if channel.complex else (x + noise * white).real


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("kind", ["real", "edge", "middle"])
def test_amplitude_phase_and_delay(memory_recording, kind, direction):
    channel = make_channel(kind, direction)
    delay, amplitude = 23.4 * NANOSECOND, 0.05
    x = voltages(channel, delay, amplitude, 1e-4, np.random.default_rng(3))
    cal = phase_cal(memory_recording("Aa", (channel,), x[None], START), 5e6)
    tones = cal.channels[0]
    assert cal.epoch.iso(3) == "2026-01-01T00:00:10.000"
    assert len(tones.frequency) >= 3
    # 1e-4 of noise over 64,000 samples moves a tone by 1e-5 of its amplitude
    expected = amplitude * np.exp(-2j * np.pi * tones.frequency * delay)
    assert np.abs(tones.amplitude / expected - 1).max() < 1e-3
    assert tones.delay == pytest.approx(delay, abs=1e-3 * NANOSECOND)
    assert abs(tones.delay - delay) < 5 * tones.delay_sigma
    assert tones.present()


def test_snr_and_scatter_are_honest(memory_recording):
    channel = make_channel("edge", -1)
    amplitude, noise, seeds = 0.05, 1.0, range(1, 41)
    pull, chi, snr = [], 0.0, []
    for seed in seeds:
        x = voltages(channel, 0.0, amplitude, noise, np.random.default_rng(seed))
        tones = phase_cal(memory_recording("Aa", (channel,), x[None], START), 5e6).channels[0]
        pull.append(tones.delay / tones.delay_sigma)
        chi += float(np.sum((np.angle(tones.amplitude) * tones.snr) ** 2))
        snr.append(np.mean(tones.snr))
    n = len(tones.frequency)
    assert np.mean(snr) == pytest.approx(amplitude * np.sqrt(SAMPLES) / noise, rel=0.1)
    # 3.3 sigma: the 99.9 % band
    assert abs(np.mean(pull)) < 3.3 / np.sqrt(len(pull))
    assert abs(np.mean(np.square(pull)) - 1) < 3.3 * np.sqrt(2 / len(pull))
    assert abs(chi / (n * len(pull)) - 1) < 3.3 * np.sqrt(2 / (n * len(pull))) + 0.03


def test_no_tones_are_found_in_noise(memory_recording):
    channel = make_channel("real", 1)
    x = np.random.default_rng(5).normal(size=(1, SAMPLES))
    cal = phase_cal(memory_recording("Aa", (channel,), x, START), 5e6)
    assert cal.present() == ()


def test_lost_samples_leave_phases_alone(memory_recording):
    channel = make_channel("edge", 1)
    x = voltages(channel, 10 * NANOSECOND, 0.05, 1e-3, np.random.default_rng(6))
    valid = np.ones((1, SAMPLES), dtype=bool)
    valid[:, 20000:30000] = False
    tones = phase_cal(memory_recording("Aa", (channel,), x[None], START, valid), 5e6).channels[0]
    # a gap lets the other tones leak: 1 / (2 pi 5 MHz 2 ms) of each
    assert tones.delay == pytest.approx(10 * NANOSECOND, abs=1e-2 * NANOSECOND)
    assert np.abs(tones.amplitude) == pytest.approx(0.05, rel=1e-3)


def test_what_is_refused(memory_recording):
    channel = make_channel("real", 1)
    recording = memory_recording("Aa", (channel,), np.zeros((1, SAMPLES)), START)
    with pytest.raises(ConfigurationError, match="spacing in Hz"):
        phase_cal(recording, 5e9)
    with pytest.raises(MissingDataError, match="too few"):
        phase_cal(recording, 5e6, count=100)
    with pytest.raises(MissingDataError, match="no valid sample"):
        phase_cal(recording, 5e6, start=START.shifted(1.0), count=SAMPLES)


def read_vgos(path):
    """The 95 whole frames, decoded plainly: see the data's README."""
    frames = np.fromfile(path, dtype=np.uint8, count=95 * 32800).reshape(95, 32800)[:, 32:]
    values = (frames[..., None] >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3
    levels = np.array([-3.3359, -1.0, 1.0, 3.3359])[values].reshape(-1, 64, 2)
    return (levels[..., 0] + 1j * levels[..., 1]).T


@pytest.mark.parametrize(
    ("name", "at_least"),
    # channels with tones, as counted by an independent program (data README)
    [("v15327_gs_328-185735_3m.vdif", 49), ("expxx_stnxx_328-185735_3m.vdif", 46)],
)
def test_real_tones_of_two_stations(memory_recording, data_dir, name, at_least):
    folder = data_dir / "vgos-voltages"
    media = configparser.ConfigParser()
    media.optionxform = str
    media.read(folder / "media.ini")
    frequency = {k: float(v) for k, v in media["frequencies"].items()}
    bands = media[name]["channels"].split(":")
    hands = media[name]["polarizations"].split(":")
    # the .ini names the upper edge of a band; samples ascend with sky frequency (data README)
    channels = tuple(
        Channel(f"{b}{p}", frequency[b] - 32e6, 1, 32e6, True, p)
        for b, p in zip(bands, hands, strict=True)
    )
    start = Epoch.from_iso("2015-11-24T18:57:35.015594906")
    recording = memory_recording("Gs", channels, read_vgos(folder / name), start)
    cal = phase_cal(recording, float(media[name]["f_pcal"]), float(media[name]["o_pcal"]))
    good = cal.present()
    assert len(good) >= at_least
    # a component's SNR of sqrt(2) x 20, seen over all noise by the independent program
    assert np.median([np.median(c.snr) for c in good]) == pytest.approx(25, rel=0.2)
    # phase is linear to 2.5 degrees, which is what that SNR leaves
    assert np.degrees(np.median([c.scatter for c in good])) < 3.0
    # where there are tones, neighbouring channels have one receiver's delay; elsewhere none
    assert np.ptp([c.delay for c in good[:5]]) < 10 * NANOSECOND
    # the tones stand 5 MHz apart in the sky: half a spacing beside them is nothing
    assert phase_cal(recording, 5e6, offset=2.5e6).present() == ()
