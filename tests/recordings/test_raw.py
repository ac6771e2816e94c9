"""Plain samples with sidecars, sidecars of other formats, and files named by patterns."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kitestring.errors import (
    ConfigurationError,
    MissingDataError,
    RecordingError,
    RecordingWarning,
    UnknownNameError,
)
from kitestring.model.time import Epoch
from kitestring.recordings.describe import describe
from kitestring.recordings.open import FORMATS, belonging, find_files, open_recording
from kitestring.recordings.sidecar import Sidecar, SidecarChannel, read_sidecar
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifWriter

RATE = 2e5
SIDECAR = """
datatype = "cf32_le"
sample_rate = 2e5
start = 2026-03-01T12:00:00.5Z
station = "Dwingeloo"
[[channel]]
name = "X"
sky_frequency = 8.4e9
polarization = "R"
"""


def numbered(n, first=0):
    return (first + np.arange(n) + 1j).astype("<c8")


def put(folder, name, data, sidecar=SIDECAR):
    path = folder / name
    path.write_bytes(np.asarray(data).tobytes())
    if sidecar:
        path.with_name(f"{name}.toml").write_text(sidecar)
    return path


def test_samples_of_gnu_radio(tmp_path):
    path = put(tmp_path, "iq.cf32", numbered(1000))
    recording = open_recording(path)
    assert recording.station == "Dwingeloo"
    assert recording.channels == (Channel("X", 8.4e9, 1, RATE, True, "R", "middle"),)
    assert recording.channels[0].sky_edges == (8.4e9 - RATE / 2, 8.4e9 + RATE / 2)
    assert recording.start.iso(3) == "2026-03-01T12:00:00.500"
    assert recording.stop.iso(3) == "2026-03-01T12:00:00.505"
    block = recording.read(-10, 1020)
    assert_array_equal(np.flatnonzero(block.valid[0]), np.arange(10, 1010))
    assert_array_equal(block.samples[0, 10:1010], numbered(1000))


@pytest.mark.parametrize(
    ("kind", "dtype", "zero", "scale"),
    [("ci16", "<i2", 0, 2**15), ("ci8", "i1", 0, 2**7), ("cu8", "u1", 128, 2**7)],
)
def test_integers_stand_for_fractions(tmp_path, kind, dtype, zero, scale):
    codes = np.random.default_rng(1).integers(0, 255, 2000).astype(dtype)
    path = put(tmp_path, f"iq.{kind}", codes, SIDECAR.replace("cf32_le", kind))
    recording = open_recording(path)
    wanted = ((codes.astype(np.float32) - zero) / scale).view(np.complex64)
    assert_array_equal(recording.read(0, 1000).samples[0], wanted)
    assert recording.bits == 8 * np.dtype(dtype).itemsize


def test_interleaved_channels_and_a_header(tmp_path):
    second = '[[channel]]\nsky_frequency = 8.5e9\nsideband = "lower"\nzero = "edge"\n'
    data = np.stack([numbered(100), -numbered(100)], axis=1)
    sidecar = SIDECAR.replace("station", "header_bytes = 10\nstation") + second
    path = put(tmp_path, "iq.cf32", data, None)
    path.write_bytes(bytes(10) + path.read_bytes())
    path.with_name("iq.cf32.toml").write_text(sidecar)
    recording = open_recording(path)
    assert recording.channels[1] == Channel("CH01", 8.5e9, -1, RATE, True, "", "edge")
    assert_array_equal(recording.read(0, 100).samples, data.T)


def test_a_sidecar_that_is_named(tmp_path):
    path = put(tmp_path, "iq.dat", numbered(100), None)
    other = tmp_path / "about.toml"
    other.write_text(SIDECAR)
    assert open_recording(path, sidecar=other).sample_count == 100
    with pytest.raises(RecordingError, match=r"need a datatype in iq\.dat\.toml"):
        open_recording(path)


def test_everything_that_is_missing_is_asked_for_by_name(tmp_path):
    path = put(tmp_path, "iq.cf32", numbered(100), None)
    with pytest.raises(MissingDataError, match="datatype, sample_rate, start of") as caught:
        open_recording(path, station="Dw")
    assert "iq.cf32.toml" in caught.value.next_step
    text = 'datatype = "cf32"\n'
    for line, match in (
        ("sample_rate = 2e5\n", "sample_rate, start of"),
        ("start = 2026-03-01T12:00:00\n", "^[^,]*start of"),
        ('station = "Dw"\n', "sky frequencies"),
        ("[[channel]]\nsky_frequency = 8.4e9\n", "sky frequencies"),
    ):
        path.with_name("iq.cf32.toml").write_text(text)
        with pytest.raises(MissingDataError, match=match):
            open_recording(path)
        text += line
    path.with_name("iq.cf32.toml").write_text(text)
    assert open_recording(path).station == "Dw"
    path.with_name("iq.cf32.toml").write_text(text.replace('station = "Dw"', ""))
    with pytest.raises(MissingDataError, match="station"):
        open_recording(path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("sample_rat = 1e6", r"unknown key 'sample_rat' \(did you mean 'sample_rate'"),
        ("sample_rate = -1", "sample_rate: Input should be greater than 0"),
        ("sample_rate = nan", "sample_rate"),
        ("sample_rate = true", "sample_rate"),
        ('sample_rate = "2e6"', "sample_rate"),
        ("start = 1772366400", "start"),  # pydantic would take it for UNIX seconds
        ("header_bytes = 10", "header_bytes without a datatype"),
        ('datatype = "cf33"', "'cf33' is no datatype"),
        ('start = "soon"', "start: "),
        ('start = "2026-03-01"', "without a time"),
        ("start = 1955-11-05T14:00:00Z", "before 1972"),
        ('datatype = "cf32"\ncomplex = false', "contradicts datatype"),
        ('datatype = "cf32"\nbits = 8', "contradicts datatype"),
        ("bits = 3", "bits"),
        ("[[channel]]\nsky_frequency = 1e9", "no sample_rate"),
        ("sample_rate = 1e6\n[[channel]]\nname = 'X'", "sky_frequency"),
        ("= 3", "is not TOML"),
        ("x = " + 100000 * "[", "cannot be read|is not TOML"),
        ("\ud800", "cannot be read"),
    ],
)
def test_sidecars_that_cannot_be(tmp_path, text, match):
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises((ConfigurationError, MissingDataError), match=match) as caught:
        read_sidecar(path)
    assert caught.value.place == str(path)
    path.write_text("\ufeffsample_rate = 2e6")  # as Windows' editors write it
    assert read_sidecar(path).sample_rate == 2e6
    with pytest.raises(MissingDataError, match="there is no sidecar"):
        read_sidecar(tmp_path / "y.toml")


def test_every_key_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "recordings.md").read_text()
    for key in {*Sidecar.model_fields, *SidecarChannel.model_fields} - {"channel"}:
        assert f"`{key}`" in page, key
    assert "`[[channel]]`" in page
    for one in FORMATS:
        assert one.name in page or one.name == "raw"


def test_files_in_time_and_by_channel(tmp_path):
    later = SIDECAR.replace("00.5Z", "00.501Z")  # 200 samples on
    left = SIDECAR.replace('"R"', '"L"')
    put(tmp_path, "b_2.cf32", numbered(100, 200), later)
    put(tmp_path, "b_1.cf32", numbered(150))
    put(tmp_path, "c.cf32", -numbered(300), left)
    with pytest.warns(RecordingWarning, match=r"1 gaps, 0\.00025 s"):
        recording = open_recording([tmp_path / "b_*", tmp_path / "c.cf32"])
    assert [c.polarization for c in recording.channels] == ["R", "L"]
    block = recording.read(0, 300)
    assert_array_equal(np.flatnonzero(~block.valid[0]), np.arange(150, 200))
    assert_array_equal(block.samples[0], np.where(block.valid[0], numbered(300), 0))
    assert_array_equal(block.samples[1], -numbered(300))
    (tmp_path / "c.cf32.toml").unlink()
    with pytest.raises(MissingDataError, match=r"there is no c\.cf32\.toml"):
        open_recording([tmp_path / "b_1.cf32", tmp_path / "c.cf32"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (("00.5Z", "00.5001Z"), "begin 80 samples"),
        (("cf32_le", "ci16_le"), "ci16_le at 200000 samples a second; .* has cf32_le"),
        (("2e5", "1e5"), "cf32_le at 100000 samples a second; .* has cf32_le at 200000"),
        (("Dwingeloo", "Onsala"), "of station 'Onsala', .* of 'Dwingeloo'"),
    ],
)
def test_files_that_do_not_belong_together(tmp_path, change, match):
    one = put(tmp_path, "a.cf32", numbered(100))
    two = put(tmp_path, "b.cf32", numbered(100), SIDECAR.replace(*change))
    with pytest.raises(RecordingError, match=match):
        open_recording([one, two])


def test_files_that_are_too_short(tmp_path):
    path = put(tmp_path, "a.cf32", np.zeros(5, np.uint8))
    with pytest.raises(RecordingError, match="5 bytes and holds no sample"):
        open_recording(path)
    path.write_bytes(bytes(8 * 10 + 3))
    with pytest.warns(RecordingWarning, match="3 bytes at the end"):
        assert open_recording(path).sample_count == 10
    path.write_bytes(b"")
    with pytest.raises(RecordingError, match="empty"):
        open_recording(path)


def test_channels_must_agree_with_the_sidecar(tmp_path):
    path = put(tmp_path, "a.cf32", numbered(100))
    with pytest.raises(RecordingError, match="sky_frequency"):
        open_recording(path, channels=[Channel("X", 8.5e9, 1, RATE, True)])
    with pytest.raises(RecordingError, match="sample_rate"):
        open_recording(path, sample_rate=1e5)


def test_headers_are_described(tmp_path):
    found = describe(put(tmp_path, "a.cf32", numbered(5000)), read=True)
    assert (found.format, found.survey.station) == ("raw", "Dwingeloo")
    assert found.survey.missing == ()
    assert found.survey.bits == 32


# -- sidecars of recordings with headers -----------------------------------------------------


@pytest.fixture
def vdif(tmp_path):
    path = tmp_path / "a.vdif"
    channels = [Channel("CH0", 8.4e9, 1, 128e3)]
    start = Epoch.from_iso("2026-03-01T12:00:00")
    with VdifWriter(
        path, station="Tm", start=start, channels=channels, bits=2, payload_bytes=160, edv=1
    ) as writer:
        writer.write_codes(np.ones((1, 640 * 50), np.uint8))
    return path


COMPLETE = 'sample_rate = 128e3\nstation = "Tm"\n[[channel]]\nsky_frequency = 8.4e9\n'


def test_a_sidecar_completes_vdif(vdif):
    sidecar = vdif.with_name("a.vdif.toml")
    sidecar.write_text(COMPLETE)
    recording = open_recording(vdif)
    assert recording.channels == (Channel("CH00", 8.4e9, 1, 128e3),)
    assert describe(vdif).survey.missing == ()
    assert belonging([vdif]) == [vdif, sidecar]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (COMPLETE.replace("128e3", "64e3"), r"headers say sample_rate = 128000, .*a\.vdif\.toml"),
        ("bits = 8\n" + COMPLETE, "headers say bits = 2"),
        ("complex = true\n" + COMPLETE, r"headers say complex = false, .*toml says true"),
        ("complex = true\n", r"headers say complex = false, .*a\.vdif\.toml says true"),
        ('format = "Mark 5B"\n' + COMPLETE, "no Mark 5B frames"),
        ('format = "VDIV"\n' + COMPLETE, "VDIV"),
    ],
)
def test_a_sidecar_that_contradicts_headers(vdif, text, match):
    vdif.with_name("a.vdif.toml").write_text(text)
    with pytest.raises((RecordingError, MissingDataError, UnknownNameError), match=match):
        open_recording(vdif, reference=Epoch.from_iso("2026-01-01T00:00:00"))


def test_a_call_that_contradicts_the_sidecar(vdif):
    vdif.with_name("a.vdif.toml").write_text(COMPLETE)
    with pytest.raises(RecordingError, match="sample_rate"):
        open_recording(vdif, sample_rate=64e3)
    with pytest.raises(RecordingError, match="sky_frequency"):
        open_recording(vdif, channels=[Channel("X", 8.5e9, 1, 128e3)])


def test_names_and_patterns(tmp_path):
    for name in ("s_2", "s_1", "s_1.toml", "odd[1]"):
        (tmp_path / name).write_bytes(b"x")
    assert [p.name for p in find_files(tmp_path / "s_*")] == ["s_1", "s_2"]
    assert find_files([tmp_path / "odd[1]"]) == [tmp_path / "odd[1]"]
    assert find_files([tmp_path / "s_1", tmp_path / "s_1.toml"]) == [tmp_path / "s_1"]
    with pytest.raises(RecordingError, match="no file has a name like this"):
        find_files(str(tmp_path / "q*"))
    with pytest.raises(RecordingError, match="no file was given"):
        find_files([])


@pytest.mark.parametrize("first", [10**30, -(10**30), 1 << 63])
def test_blocks_far_outside_are_invalid(tmp_path, first):
    block = open_recording(put(tmp_path, "iq.cf32", numbered(1000))).read(first, 100)
    assert block.first == first
    assert not block.valid.any()
    assert not block.samples.any()


def test_channels_that_are_asked_for_twice(tmp_path):
    recording = open_recording(put(tmp_path, "iq.cf32", numbered(1000)))
    assert_array_equal(recording.read(0, 9, (0, 0)).samples, [numbered(9)] * 2)
    with pytest.raises(ConfigurationError, match="were asked for"):
        recording.read(0, 9, (1,))


def test_a_reference_or_start_is_one_epoch(vdif):
    several = Epoch.from_iso("2026-01-01T00:00:00").shifted(np.arange(3.0))
    for action in (open_recording, describe):
        with pytest.raises(ConfigurationError, match="reference is an array of epochs") as told:
            action(vdif, reference=several)
        assert "reference=epochs[0]" in told.value.next_step
