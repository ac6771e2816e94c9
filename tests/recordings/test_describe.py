"""Descriptions say what a recording is and what is wrong with it."""

import json

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, MissingDataError, RecordingError
from kitestring.model.time import Epoch
from kitestring.recordings.describe import describe
from kitestring.recordings.quantise import levels, quantise
from kitestring.recordings.statistics import _kept_share
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifWriter

START = Epoch.from_iso("2026-03-01T12:00:00.5")


def noise(channels, samples, is_complex, seed=1):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((channels, samples)).astype(np.float32)
    if is_complex:
        x = x + 1j * generator.standard_normal((channels, samples)).astype(np.float32)
    return x


def record(path, x, bits, rate, payload_bytes=1000, **options):
    channels = [Channel(f"CH{i}", 8.4e9, 1, rate, np.iscomplexobj(x)) for i in range(len(x))]
    with VdifWriter(
        path, station="Tm", start=START, channels=channels, bits=bits,
        payload_bytes=payload_bytes, **options,
    ) as writer:  # fmt: skip
        writer.write(x)


def test_headers_tell_what_they_can(tmp_path):
    path = tmp_path / "a.vdif"
    record(path, noise(2, 40_000, False), 2, 40_000.0)  # ten frames a second
    found = describe(path)
    survey = found.survey
    assert (found.format, found.bytes) == ("VDIF", 20 * 1032)
    assert survey.station == "Tm"
    assert survey.start.iso(3) == "2026-03-01T12:00:00.500"
    assert survey.stop.iso(3) == "2026-03-01T12:00:01.500"
    assert (survey.channel_count, survey.bits, survey.complex) == (2, 2, False)
    assert survey.sample_rate == 40_000.0
    assert survey.rate_origin == "inferred from frame numbers"
    assert survey.missing == ("sky frequencies and sidebands (channels=)",)
    assert any("inferred" in note for note in found.notes)
    assert found.statistics is None


def test_a_stated_rate_is_told_apart(tmp_path):
    path = tmp_path / "a.vdif"
    record(path, noise(1, 40_000, True), 2, 40_000.0, edv=1)
    assert describe(path).survey.rate_origin == "header"
    assert describe(path, sample_rate=40_000.0).survey.rate_origin == "given"


def test_without_a_rate_only_the_start_is_known(tmp_path):
    path = tmp_path / "a.vdif"
    record(path, noise(1, 8_000, False), 2, 40_000.0)  # ends within the second
    survey = describe(path).survey
    assert survey.sample_rate is None
    assert survey.stop is None
    assert survey.missing[0] == "sample rate (sample_rate=)"
    assert survey.counts.frames == 2
    assert any("the start is told to the second" in note for note in describe(path).notes)
    with pytest.raises(MissingDataError, match="sample_rate="):
        describe(path, read=True)


def test_coverage_of_a_scan(tmp_path):
    path = tmp_path / "a.vdif"
    record(path, noise(1, 40_000, False), 2, 40_000.0)  # one second
    stop = START.shifted(1.0)
    whole = describe(path, sample_rate=40_000.0)
    assert whole.coverage(START, stop) == pytest.approx(1.0, abs=1e-9)
    assert whole.coverage(START.shifted(0.1), stop.shifted(-0.1)) == pytest.approx(1.0, abs=1e-9)
    assert whole.coverage(START.shifted(-1.0), stop) == pytest.approx(0.5, abs=1e-9)
    assert whole.coverage(stop.shifted(1.0), stop.shifted(2.0)) == 0.0
    path.write_bytes(path.read_bytes()[: 4 * 1032 + 500])
    cut = describe(path, sample_rate=40_000.0)
    assert not cut.survey.counts.harmed
    assert cut.coverage(START, stop) == pytest.approx(0.4, abs=1e-9)
    assert np.isnan(describe(path).coverage(START, stop))  # no rate, so no end
    with pytest.raises(ConfigurationError, match="cannot last 0 s"):
        whole.coverage(START, START)


def test_damage_is_counted(tmp_path):
    path = tmp_path / "a.vdif"
    record(path, noise(1, 40_000, False), 2, 40_000.0)
    frames = [path.read_bytes()[i : i + 1032] for i in range(0, 10 * 1032, 1032)]
    path.write_bytes(b"".join(frames[:2] + frames[3:] + [frames[5][:500]]))
    found = describe(path, sample_rate=40_000.0)
    assert found.survey.counts.missing == 1
    assert found.survey.counts.truncated_bytes == 500
    assert found.notes[0] == "of 10 frames: 1 missing"


@pytest.mark.parametrize("is_complex", [False, True])
def test_statistics_of_noise(tmp_path, is_complex):
    path = tmp_path / "a.vdif"
    record(path, noise(3, 400_000, is_complex), 2, 400_000.0)
    found = describe(path, read=True, sample_rate=400_000.0, bins=64, samples=1 << 17)
    stats = found.statistics
    # the binomial error of 131072 numbers is 0.0013 at most: 5 sigma
    assert np.abs(stats.level_fractions - [0.1631, 0.3369, 0.3369, 0.1631]).max() < 0.007
    assert np.abs(stats.mean).max() < 0.04
    assert np.abs(stats.rms - 2.05).max() < 0.04
    assert np.all(stats.valid == 1.0)
    assert stats.lines == ()
    # 1024 or 2048 spectra: a power scatters by 3 %
    inner = stats.bandpass[:, 2:-2]
    assert np.abs(inner - 1.0).max() < 0.2
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(("level", "reported"), [(-5.0, True), (-9.0, True), (-11.0, False)])
def test_a_strong_line_is_found(tmp_path, is_complex, level, reported):
    rate, frequency = 400_000.0, 81_250.0
    x = noise(2, 400_000, is_complex)
    noise_power = 2.0 if is_complex else 1.0
    phase = 2 * np.pi * frequency / rate * np.arange(x.shape[1])
    tone = np.exp(1j * phase) if is_complex else np.sqrt(2.0) * np.cos(phase)
    x[1] += (np.sqrt(noise_power * 10 ** (level / 10)) * tone).astype(x.dtype)
    path = tmp_path / "a.vdif"
    record(path, x, 8, rate)
    found = describe(path, read=True, sample_rate=rate, bins=256)
    assert [line.channel for line in found.statistics.lines] == ([1] if reported else [])
    for line in found.statistics.lines:
        assert abs(line.frequency - frequency) < rate / 256
        # the window's leakage beyond three bins and the scatter of the floor
        assert line.level == pytest.approx(level, abs=0.3)
        assert f"{line.level:.1f} dB" in found.notes[-1]


def add_tone(x, level, frequency):
    """Add a tone of `level` dB over the noise, at a fraction of the sample rate, in place."""
    phase = 2 * np.pi * frequency * np.arange(x.shape[1])
    is_complex = np.iscomplexobj(x)
    tone = np.exp(1j * phase) if is_complex else np.cos(phase)
    x += (np.sqrt(2 * 10 ** (level / 10)) * tone).astype(x.dtype)


# a line of just -10 dB costs correlation at 1 and 2 bits: it must be told although
# quantisation takes a third, or a ninth, of its share; the estimates scatter by 0.1 dB
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("sigma", [1.0, 0.5])
def test_a_line_of_ten_decibels_is_told_at_few_bits(tmp_path, bits, is_complex, sigma):
    frequencies = np.linspace(0.03, 0.47, 8)  # some between two bins
    x = noise(24, 262_144, is_complex, seed=bits)
    for i, frequency in enumerate(frequencies):
        add_tone(x[i : i + 1], -10.0, frequency)
        add_tone(x[8 + i : 9 + i], -13.0, frequency)
    path = tmp_path / "a.vdif"
    record(path, (x / sigma).astype(x.dtype), bits, 1.048576e6, payload_bytes=2048)
    lines = describe(path, read=True, sample_rate=1.048576e6).statistics.lines
    assert [line.channel for line in lines] == list(range(8))
    for line, frequency in zip(lines, frequencies, strict=True):
        assert line.frequency == pytest.approx(frequency * 1.048576e6, abs=1.048576e6 / 1000)
        assert line.level == pytest.approx(-10.0, abs=0.4)


@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("samples", [400, 4_000, 20_000, 40_000])
def test_noise_has_no_lines(tmp_path, bits, samples):
    path = tmp_path / "a.vdif"
    for seed in range(1, 4):
        for is_complex in (False, True):
            record(path, noise(64, samples, is_complex, seed), bits, 80_000.0, 200)
            for bins in (64, 512):
                found = describe(path, read=True, sample_rate=80_000.0, bins=bins)
                assert found.statistics.lines == ()


def test_all_lines_of_a_channel_are_told_and_none_is_noise_to_another(tmp_path):
    x = noise(1, 262_144, False)
    told = {0.1: -3.0, 0.2: -6.0, 0.3: 0.0, 0.105: -9.0}
    for frequency, level in told.items():
        add_tone(x, level, frequency)
    x += 2.0  # a DC offset is neither a line nor noise
    path = tmp_path / "a.vdif"
    record(path, x / 4, 8, 1.048576e6, payload_bytes=2048)
    lines = describe(path, read=True, sample_rate=1.048576e6).statistics.lines
    found = {
        round(line.frequency / 1.048576e6, 2 + (line.level < -8)): line.level for line in lines
    }
    assert found == pytest.approx({k: told[k] for k in sorted(told)}, abs=0.3)


def test_the_shape_of_a_band_is_no_line(tmp_path):
    """A tenth of the band 20 dB above the rest: far above its median, but not narrow."""
    x = np.fft.rfft(noise(1, 262_144, False))
    f = np.linspace(0, 0.5, x.shape[1])
    x = np.fft.irfft(x * np.where((f > 0.1) & (f < 0.15), 1.0, 0.1))
    path = tmp_path / "a.vdif"
    record(path, x.astype(np.float32) / x.std(), 8, 1.048576e6, payload_bytes=2048)
    assert describe(path, read=True, sample_rate=1.048576e6).statistics.lines == ()


def test_a_dead_channel_is_told(tmp_path):
    x = noise(3, 40_000, False)
    x[1] = 2.0
    path = tmp_path / "a.vdif"
    record(path, x, 2, 40_000.0)
    found = describe(path, read=True, sample_rate=40_000.0)
    assert found.statistics.dead == (1,)
    assert np.isnan(found.statistics.bandpass[1]).all()  # its rounding would fill a picture
    assert np.isfinite(found.statistics.bandpass[[0, 2]]).all()
    assert found.statistics.lines == ()
    assert "channel 1: all samples are alike (a dead channel)" in found.notes


@pytest.mark.parametrize(("bits", "share"), [(1, 2 / np.pi), (2, 0.8825), (4, 0.988), (8, 1.0)])
def test_what_quantisation_leaves_of_a_line(bits, share):
    """The efficiencies of the literature (TMS table 8.1; 4 bits as levels are set here)."""
    codes = quantise(np.random.default_rng(1).standard_normal((1, 500_000)), bits, 1.0)
    fractions = np.bincount(codes[0], minlength=1 << bits) / codes.size
    assert _kept_share(fractions, levels(bits)) == pytest.approx(share, abs=0.002)


@pytest.mark.parametrize("wrong", [{"bins": 0}, {"bins": -5}, {"samples": 0}])
def test_impossible_numbers_of_bins_and_samples(tmp_path, wrong):
    path = tmp_path / "a.vdif"
    record(path, noise(1, 40_000, False), 2, 40_000.0)
    with pytest.raises(ConfigurationError, match="must be positive"):
        describe(path, read=True, sample_rate=40_000.0, **wrong)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("sample_rate = 40000.0\n[[channel]]\nsky_frequency = 8.4e9\n", "1 channels are stated"),
        ('start = "2025-03-01T12:00:00.5"\n', "the headers say start = 2026-03-01"),
        ("sample_rate = 80000.0\n", "says 80000|the call says 40000"),
    ],
)
def test_a_sidecar_that_contradicts_the_headers(tmp_path, text, match):
    path = tmp_path / "a.vdif"
    record(path, noise(2, 40_000, False), 2, 40_000.0)
    (tmp_path / "a.vdif.toml").write_text(text)
    with pytest.raises(RecordingError, match=match) as caught:
        describe(path, sample_rate=40_000.0)
    assert str(path) in str(caught.value)
    assert caught.value.next_step


def test_real_recording_in_short(data_dir):
    found = describe(
        data_dir / "vgos-voltages" / "v15327_gs_328-185735_3m.vdif", read=True, sample_rate=32e6
    )
    assert found.survey.channel_count == 64
    assert found.survey.complex
    assert found.statistics.samples <= 95 * 1024  # nothing is counted twice
    # the sampler's levels were set well: a third of the numbers in each inner level
    assert np.abs(found.statistics.level_fractions[:, 1:3] - 0.337).max() < 0.05
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["survey"]["start"] == "2015-11-24T18:57:35.000000000Z"
    assert plain["survey"]["counts"]["frames"] == 95
