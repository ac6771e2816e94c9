"""SigMF: what is written comes back, and files of others are read as their metadata say."""

import hashlib
import json
import pickle
import tarfile
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kitestring.errors import ConfigurationError, MissingDataError, RecordingError, RecordingWarning
from kitestring.model.time import EPOCH_QUANTUM, Epoch
from kitestring.recordings.describe import describe
from kitestring.recordings.open import open_recording
from kitestring.recordings.sigmf_writer import SigmfWriter
from kitestring.recordings.types import Channel

START = Epoch.from_iso("2026-03-01T12:00:00.123456789")
RATE = 1e5
KINDS = ["ci8", "cu8", "ci16_le", "cf32_le", "ri8", "ru8", "ri16_le", "rf32_le"]
KINDS += ["ci16_be", "cu16_be", "ri32_le", "cf64_le", "rf32_be"]
NUMPY = {
    "i8": np.int8,
    "u8": np.uint8,
    "i16_le": np.dtype("<i2"),
    "i16_be": np.dtype(">i2"),
    "u16_be": np.dtype(">u2"),
    "i32_le": np.dtype("<i4"),
    "f32_le": np.dtype("<f4"),
    "f32_be": np.dtype(">f4"),
    "f64_le": np.dtype("<f8"),
}


def make_channels(count, is_complex):
    return [
        Channel(
            f"X{i}", 8.4e9 + 1e6 * i, -1 if i else 1, RATE, is_complex, "R",
            "middle" if is_complex else "edge",
        )
        for i in range(count)
    ]  # fmt: skip


def random_codes(kind, count, samples, seed=1):
    parts = 2 if kind[0] == "c" else 1
    generator = np.random.default_rng(seed)
    dtype = np.dtype(NUMPY[kind[1:]])
    if dtype.kind == "f":
        return generator.normal(size=(count, samples * parts)).astype(dtype)
    info = np.iinfo(dtype)
    codes = generator.integers(info.min, info.max, (count, samples * parts), endpoint=True)
    return codes.astype(dtype)


def decoded(kind, codes):
    """Values of codes as the specification's reference library has them."""
    dtype = codes.dtype
    values = codes.astype(np.float64)
    if dtype.kind == "u":
        values -= 2.0 ** (8 * dtype.itemsize - 1)
    if dtype.kind != "f":
        values /= 2.0 ** (8 * dtype.itemsize - 1)
    values = values.astype(np.float32)
    return values.view(np.complex64) if kind[0] == "c" else values


def put(folder, captures, data, name="a", **overall):
    """Write a recording by hand."""
    base = {"core:datatype": "cf32_le", "core:version": "1.2.0", "core:sample_rate": RATE}
    base |= {f"core:{key}": value for key, value in overall.items()}
    base = {key: value for key, value in base.items() if value is not None}
    named = [{f"core:{key}": value for key, value in c.items()} for c in captures]
    meta = {"global": base, "captures": named, "annotations": []}
    path = folder / f"{name}.sigmf-meta"
    path.write_text(json.dumps(meta))
    path.with_suffix(".sigmf-data").write_bytes(np.asarray(data).tobytes())
    return path


def capture(start, seconds="00.000000", **more):
    return {"sample_start": start, "datetime": f"2026-03-01T12:00:{seconds}Z"} | more


LONG_AGO = {"sample_start": 0, "datetime": "2016-03-01T12:00:00Z", "frequency": 1e9}
FAR_ON = {"sample_start": 50, "global_index": 2**63 - 1}


def numbered(n):
    """Samples that hold their own number, so that a shift by one would show."""
    return (np.arange(n) + 1j).astype("<c8")


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_codes_come_back(tmp_path, kind, count):
    channels = make_channels(count, kind[0] == "c")
    codes = random_codes(kind, count, 900)
    with SigmfWriter(
        tmp_path / "a", station="Dw", start=START, channels=channels, datatype=kind
    ) as writer:
        parts = codes.shape[1] // 900
        writer.write_codes(codes[:, : 123 * parts])
        writer.write_codes(codes[:, 123 * parts :])
    for ending in ("meta", "data"):
        recording = open_recording(tmp_path / f"a.sigmf-{ending}", verify=True)
        assert recording.station == "Dw"
        assert recording.channels == tuple(channels)
        assert abs(float(recording.start.since(START))) <= EPOCH_QUANTUM
        block = recording.read(-7, 1000)
        assert_array_equal(block.valid[:, 7:907], True)
        assert_array_equal(np.delete(block.valid, np.s_[7:907], axis=1), False)
        assert_array_equal(block.samples[:, 7:907], decoded(kind, codes))
    one = recording.read(5, 40, channels=(count - 1, 0))
    assert_array_equal(one.samples, decoded(kind, codes)[[count - 1, 0], 5:45])
    again = pickle.loads(pickle.dumps(recording))
    assert_array_equal(again.read(5, 40).samples, decoded(kind, codes)[:, 5:45])


def test_metadata_are_those_of_the_specification(tmp_path):
    """Read back with json and numpy alone."""
    channels = make_channels(2, is_complex=True)
    codes = random_codes("ci16_le", 2, 50)
    with SigmfWriter(
        tmp_path / "a", station="Dw", start=START, channels=channels, datatype="ci16_le"
    ) as writer:
        writer.write_codes(codes)
    meta = json.loads((tmp_path / "a.sigmf-meta").read_text())
    data = (tmp_path / "a.sigmf-data").read_bytes()
    assert meta["global"]["core:datatype"] == "ci16_le"
    assert meta["global"]["core:sample_rate"] == RATE
    assert meta["global"]["core:num_channels"] == 2
    assert meta["global"]["core:sha512"] == hashlib.sha512(data).hexdigest()
    assert meta["captures"] == [
        {
            "core:sample_start": 0,
            "core:global_index": 0,
            "core:datetime": "2026-03-01T12:00:00.123456789Z",
            "core:frequency": 8.4e9,
        }
    ]
    table = np.frombuffer(data, "<i2").reshape(50, 2, 2)
    assert_array_equal(table.transpose(1, 0, 2).reshape(2, 100), codes)


def test_the_frequency_is_the_centre_of_the_band(tmp_path):
    channel = Channel("L", 8.4e9, -1, RATE)  # real, lower sideband: 8.4e9 - RATE/2 to 8.4e9
    with SigmfWriter(tmp_path / "a", station="Dw", start=START, channels=[channel]) as writer:
        writer.write(np.zeros((1, 9)))
    meta = json.loads((tmp_path / "a.sigmf-meta").read_text())
    assert meta["captures"][0]["core:frequency"] == 8.4e9 - RATE / 4


def test_voltages_are_loaded_as_a_sampler_does(tmp_path):
    channel = Channel("X", 8.4e9, 1, RATE)
    noise = 5.0 * np.random.default_rng(1).normal(size=(1, 20000))
    with SigmfWriter(
        tmp_path / "a", station="Dw", start=START, channels=[channel], datatype="ri8"
    ) as writer:
        writer.write(noise, sigma=5.0)
    samples = open_recording(tmp_path / "a.sigmf-data").read(0, 20000).samples
    half_a_count = 0.5 / 35.5 * 1.01
    inside = np.abs(noise) < 3.5 * 5.0
    assert_allclose(samples[inside] * 128 / 35.5, noise[inside] / 5.0, atol=half_a_count)


@pytest.mark.parametrize("kind", ["cf32_le", "ci16_le"])
def test_invalid_samples_stay_invalid(tmp_path, kind):
    channels = make_channels(2, is_complex=True)
    codes = random_codes(kind, 2, 400)
    valid = np.ones((2, 400), dtype=bool)
    valid[0, 100:150] = False
    valid[:, 300:] = False
    with SigmfWriter(
        tmp_path / "a", station="Dw", start=START, channels=channels, datatype=kind
    ) as writer:
        writer.write_codes(codes[:, :240], valid[:, :120])
        writer.write_codes(codes[:, 240:], valid[:, 120:])
        writer.write_codes(codes[:, :20])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        recording = open_recording(tmp_path / "a.sigmf-meta")
    block = recording.read(0, 410)
    expected = np.concatenate([valid, np.ones((2, 10), dtype=bool)], axis=1)
    if kind[1] == "i":  # integers have no NaN: a gap is one of all channels
        expected &= expected.all(axis=0)
        assert "2 gaps, 0.0015 s" in str(told[0].message)
    assert_array_equal(block.valid, expected)
    both = np.concatenate([decoded(kind, codes), decoded(kind, codes)[:, :10]], axis=1)
    assert_array_equal(block.samples, np.where(expected, both, 0))


@pytest.mark.filterwarnings("ignore::kitestring.errors.RecordingWarning")
def test_captures_are_placed_by_their_time(tmp_path):
    captures = [
        capture(0, "00.000000", frequency=1e9),
        capture(100, "00.002000", frequency=1e9),  # 100 samples are missing
        capture(150, "00.002500", frequency=1e9),  # goes on
    ]
    path = put(tmp_path, captures, numbered(200))
    recording = open_recording(path, station="Dw")
    assert recording.channels == (Channel("CH00", 1e9, 1, RATE, True, "", "middle"),)
    block = recording.read(0, 300)
    known = np.r_[np.arange(100), np.arange(200, 300)]
    assert_array_equal(np.flatnonzero(block.valid[0]), known)
    assert_array_equal(block.samples[0, known].real, np.arange(200))
    assert recording.stop.iso(6) == "2026-03-01T12:00:00.003000"


def test_captures_at_another_frequency_are_other_channels(tmp_path):
    captures = [
        capture(0, "00.000000", frequency=1e9),
        capture(100, "00.001000", frequency=2e9),
        capture(150, "00.001500", frequency=1e9),
    ]
    recording = open_recording(put(tmp_path, captures, numbered(200)), station="Dw")
    assert [c.sky_frequency for c in recording.channels] == [1e9, 2e9]
    block = recording.read(0, 200)
    first = np.r_[np.arange(100), np.arange(150, 200)]
    assert_array_equal(np.flatnonzero(block.valid[0]), first)
    assert_array_equal(np.flatnonzero(block.valid[1]), np.arange(100, 150))
    assert_array_equal(block.samples[1, 100:150].real, np.arange(100, 150))


def test_a_global_index_counts_lost_samples(tmp_path):
    captures = [
        capture(0, frequency=1e9, global_index=1000),
        {"sample_start": 50, "global_index": 1060, "frequency": 1e9},
    ]
    path = put(tmp_path, captures, numbered(100))
    with pytest.warns(RecordingWarning, match=r"1 gaps, 0\.0001 s"):
        recording = open_recording(path, station="Dw")
    assert_array_equal(np.flatnonzero(~recording.read(0, 110).valid[0]), np.arange(50, 60))


def test_coarse_times_do_not_break_what_goes_on(tmp_path):
    """Milliseconds cannot tell where a capture begins that follows the last one at once."""
    captures = [capture(0, "00.000", frequency=1e9), capture(1234, "00.012", frequency=1e9)]
    recording = open_recording(put(tmp_path, captures, numbered(2000)), station="Dw")
    assert recording.read(0, 2000).valid.all()
    assert recording.counts.time_jumps == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_invalid(tmp_path, bad):
    data = numbered(100)
    data[[3, 40]] = bad
    data[50] = 1 + 1j * bad
    recording = open_recording(put(tmp_path, [capture(0, frequency=1e9)], data), station="Dw")
    block = recording.read(0, 100)
    assert_array_equal(np.flatnonzero(~block.valid[0]), [3, 40, 50])
    assert_array_equal(block.samples[0, [3, 40, 50]], 0)


@pytest.mark.filterwarnings("ignore::kitestring.errors.RecordingWarning")
def test_files_of_one_scan(tmp_path):
    """Split in time (core:offset counts on), and by frequency."""
    put(tmp_path, [capture(0, frequency=1e9)], numbered(100), "s1")
    put(tmp_path, [capture(100, "00.001", frequency=1e9)], numbered(50), "s2", offset=100)
    put(tmp_path, [capture(0, frequency=2e9)], numbered(150), "s3")
    recording = open_recording(tmp_path / "s*", station="Dw")
    block = recording.read(0, 150)
    assert block.valid.all()
    assert_array_equal(block.samples[0].real, np.r_[np.arange(100), np.arange(50)])
    assert_array_equal(block.samples[1].real, np.arange(150))


def test_headers_tell_what_they_can(tmp_path):
    path = put(tmp_path, [capture(0, frequency=1e9)], numbered(5000))
    found = describe(path, read=True)
    assert found.format == "SigMF"
    assert found.survey.missing == ()
    assert found.survey.start.iso(3) == "2026-03-01T12:00:00.000"
    assert found.survey.stop.iso(3) == "2026-03-01T12:00:00.050"
    assert found.statistics.level_fractions.shape == (1, 0)
    codes = np.random.default_rng(1).integers(-128, 128, 10000).astype(np.int8)
    path = put(tmp_path, [capture(0)], codes, "b", datatype="ri8")
    found = describe(path, read=True, samples=10000)
    assert "(channels=)" in found.survey.missing[0]
    counted = np.bincount(codes.astype(int) + 128, minlength=256) / len(codes)
    assert_allclose(found.statistics.level_fractions[0], counted, atol=2e-3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"captures": []}, "capture 0 has no core:datetime"),
        ({"captures": [{"sample_start": 0}]}, "capture 0 has no core:datetime"),
        (
            {"captures": [capture(0), {"sample_start": 10}]},
            "capture 1 has no core:datetime",
        ),
        ({"captures": [{"sample_start": 0, "datetime": "yesterday"}]}, "core:datetime"),
        ({"captures": [{"sample_start": 0, "datetime": "2026-13-01T00:00:00Z"}]}, "datetime"),
        ({"captures": [{"sample_start": 0, "datetime": "2026-03-01"}]}, "to a second"),
        ({"captures": [{"sample_start": 0, "datetime": "2026-03-01T12:00Z"}]}, "to a second"),
        ({"captures": [{"sample_start": 0, "datetime": "1955-11-05T14:00:00Z"}]}, "before 1972"),
        ({"captures": [{"sample_start": 0, "datetime": "2026-01-01T00:00:00+02:00"}]}, "datetime"),
        ({"captures": [{"sample_start": -1, "datetime": "2026-01-01T00:00:00Z"}]}, "minimum"),
        ({"captures": [capture(10), capture(10)]}, "overlap or are not in order"),
        ({"captures": [capture(10), capture(5)]}, "sample start ordering"),
        ({"captures": [capture(0), capture(50)]}, r"begin 50 samples .*before"),
        ({"captures": [capture(0), capture(100)]}, "begins at sample 100, the data hold 100"),
        ({"captures": [capture(0)], "offset": 5}, "core:offset is the least"),
        ({"datatype": "cf33_le"}, "core:datatype"),
        ({"datatype": None}, "core:datatype"),
        ({"version": None}, "core:version"),
        ({"sample_rate": None}, "no core:sample_rate"),
        ({"sample_rate": -5}, "core:sample_rate"),
        ({"num_channels": 0}, "core:num_channels"),
        ({"num_channels": 101}, "the data hold 0"),
        ({"dataset": "b.bin"}, "there is no b.bin"),
        ({"dataset": "..."}, "there is no ..."),
        ({"extensions": [{"name": "x", "version": "1.0.0", "optional": False}]}, "'x' is not opt"),
        ({"sample_rate": np.nan}, "NaN is no number"),
        ({"captures": [capture(0, frequency=np.inf)]}, "Infinity is no number"),
        # two that overflow 64 bits
        (
            {
                "captures": [
                    capture(0, header_bytes=2**63 - 1),
                    capture(50, "00.0005", header_bytes=2**63 - 1),
                ]
            },
            "the data hold 0",
        ),
        ({"sample_rate": 1e12, "captures": [LONG_AGO, capture(50)]}, "from the first sample to"),
        ({"sample_rate": 1e-300}, "from the first sample to the last"),
        ({"captures": [capture(0, global_index=0), FAR_ON]}, "from the first sample to the last"),
        ({"trailing_bytes": 10**9}, "the data hold 0"),
        ({"sha512": "0" * 128}, "core:sha512"),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path, change, match):
    options = {"captures": [capture(0, frequency=1e9)], "data": numbered(100)} | change
    path = put(tmp_path, options.pop("captures"), options.pop("data"), **options)
    with pytest.raises((RecordingError, MissingDataError), match=match) as caught:
        open_recording(path, station="Dw", verify=True)
    assert caught.value.next_step
    assert caught.value.place


def test_files_that_are_not_there(tmp_path):
    path = put(tmp_path, [capture(0, frequency=1e9)], numbered(100))
    data = path.with_suffix(".sigmf-data")
    text = path.read_text()
    path.write_text(text[:50])
    with pytest.raises(RecordingError, match="metadata cannot be read"):
        open_recording(data, station="Dw")
    path.unlink()
    with pytest.raises(RecordingError, match=r"there is no a\.sigmf-meta"):
        open_recording(data, station="Dw")
    path.write_text(text)
    data.unlink()
    with pytest.raises(RecordingError, match=r"there is no a\.sigmf-data"):
        open_recording(path, station="Dw")
    path.write_text(text.replace('"core:version"', '"core:metadata_only": true, "core:version"'))
    with pytest.raises(RecordingError, match="no data"):
        open_recording(path, station="Dw")
    data.write_bytes(numbered(100).tobytes())  # the data were brought
    assert open_recording(path, station="Dw").sample_count == 100


def archived(path, files, **options):
    with tarfile.open(path, "w", **options) as archive:
        for file in files:
            archive.add(file, f"scan/{file.name}")
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_are_read_where_they_lie(tmp_path, form):
    """With annotations out of order and a mark of Windows' editors, which do no harm."""
    data = numbered(1000)
    digest = hashlib.sha512(data.tobytes()).hexdigest()
    one = put(tmp_path, [capture(0, frequency=1e9)], data, sha512=digest)
    content = json.loads(one.read_text())
    content["annotations"] = [{"core:sample_start": 9}, {"core:sample_start": 0}]
    one.write_text("\ufeff" + json.dumps(content))
    two = put(tmp_path, [capture(0, "00.01", frequency=1e9)], -data, "b", dataset="odd.bin")
    two.with_suffix(".sigmf-data").rename(tmp_path / "odd.bin")
    files = [one, one.with_suffix(".sigmf-data"), tmp_path / "odd.bin", two]
    path = archived(tmp_path / "both.sigmf", files, format=form)
    for file in files:
        file.unlink()
    recording = open_recording(path, station="Dw", verify=True)
    block = recording.read(0, 2000)
    assert block.valid.all()
    assert_array_equal(block.samples[0], np.r_[data, -data])
    assert describe(path).bytes == path.stat().st_size
    again = pickle.loads(pickle.dumps(recording))
    assert_array_equal(again.read(999, 2).samples, block.samples[:, 999:1001])
    raw = path.read_bytes()
    at = raw.index(data.tobytes())
    path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    with pytest.raises(RecordingError, match="sha512"):
        open_recording(path, station="Dw", verify=True)
    path.write_bytes(raw[: at + 100])
    with pytest.raises(RecordingError, match=r"can be read .unexpected end"):
        open_recording(path, station="Dw")


def test_archives_of_the_package_sigmf(tmp_path):
    sigmffile = pytest.importorskip("sigmf.sigmffile")
    path = put(tmp_path, [capture(0, frequency=1e9)], numbered(100))
    sigmffile.fromfile(str(path)).archive(name=str(tmp_path / "x.sigmf"))
    recording = open_recording(tmp_path / "x.sigmf", station="Dw")
    assert_array_equal(recording.read(0, 100).samples[0], numbered(100))


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("a.sigmf", b"tar", "no tar archive that can be read"),
        ("a.sigmf", bytes(10240), r"there is no \.sigmf-meta in the archive"),
        ("a.sigmf.gz", b"\x1f\x8b", r"gunzip a\.sigmf\.gz"),
        ("a.sigmf.zip", b"PK", "unzip"),
        ("a.sigmf-collection", b"{}", "holds no samples"),
    ],
)
def test_what_holds_no_samples_that_can_be_mapped(tmp_path, name, data, match):
    (tmp_path / name).write_bytes(data)
    for action in (describe, open_recording):
        with pytest.raises(RecordingError, match=match) as told:
            action(tmp_path / name)
        assert told.value.next_step


def test_an_archive_without_its_data(tmp_path):
    meta = put(tmp_path, [capture(0, frequency=1e9)], numbered(100))
    path = archived(tmp_path / "x.sigmf", [meta])
    with pytest.raises(RecordingError, match=r"there is no a\.sigmf-data") as told:
        open_recording(path, station="Dw")
    assert told.value.place == str(path / "scan" / meta.name)


def test_a_sample_that_was_cut_is_told(tmp_path):
    path = put(tmp_path, [capture(0, frequency=1e9)], numbered(100))
    data = path.with_suffix(".sigmf-data")
    data.write_bytes(data.read_bytes()[:-3])
    with pytest.warns(RecordingWarning, match="5 bytes at the end"):
        recording = open_recording(path, station="Dw")
    assert recording.sample_count == 99
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(RecordingError, match="Open the recording again"):
        pickle.loads(pickle.dumps(recording))
    data.write_bytes(b"")
    with pytest.raises(RecordingError, match="the data hold 0"):
        open_recording(path, station="Dw")


def test_what_is_given_must_agree(tmp_path):
    path = put(tmp_path, [capture(0, frequency=1e9)], numbered(100))
    own = Channel("X", 1e9, 1, RATE, True, "", "middle")
    assert open_recording(path, station="Dw", channels=[own]).channels == (own,)
    wrong = [
        (Channel("X", 1.1e9, 1, RATE, True), "sky_frequency = 1100000000, the file says 1000"),
        (Channel("X", 1e9, 1, 2e5, True), "sample_rate"),
        (Channel("X", 1e9, 1, RATE, False), "complex"),
    ]
    for channel, match in wrong:
        with pytest.raises(RecordingError, match=match):
            open_recording(path, station="Dw", channels=[channel])
    with pytest.raises(RecordingError, match="2 channels are expected"):
        open_recording(path, station="Dw", channels=[own, own])
    with pytest.raises(MissingDataError, match="station"):
        open_recording(path)
    path.with_name("a.sigmf-meta.toml").write_text("sample_rate = 2e5\n")
    with pytest.raises(RecordingError, match=r"sample_rate = 100000, .*toml says 200000"):
        open_recording(path, station="Dw")
    for text, match in (
        ("start = 2026-03-01T12:00:01\n", "says 2026-03-01T12:00:01"),
        ("complex = false\n", "complex = true, .*toml says false"),
    ):
        path.with_name("a.sigmf-meta.toml").write_text(text)
        with pytest.raises(RecordingError, match=match):
            open_recording(path, station="Dw")
    path.with_name("a.sigmf-meta.toml").write_text("start = 2026-03-01T12:00:00.000001\n")
    assert open_recording(path, station="Dw").sample_count == 100  # both to a microsecond


def test_files_that_do_not_belong_together(tmp_path):
    own = {"channels": [{"name": "X", "sky_frequency": 1e9}]}
    paths = []
    for name, frequency in (("a", 1e9), ("b", 2e9)):
        own["channels"][0]["sky_frequency"] = frequency
        path = put(tmp_path, [{"sample_start": 0, "frequency": frequency}], numbered(100), name)
        paths.append(path)
    # the start that a sidecar states is that of the file beside which it lies
    paths[0].with_name("a.sigmf-meta.toml").write_text("start = 2026-01-01T00:00:00\n")
    assert open_recording(paths[0], station="Dw").start.iso(0) == "2026-01-01T00:00:00"
    with pytest.raises(MissingDataError, match="capture 0 has no core:datetime") as told:
        open_recording(paths, station="Dw")
    assert told.value.place == str(paths[1])
    for path, station in zip(paths, ("Dw", "On"), strict=True):
        content = json.loads(path.read_text())
        content["global"]["kitestring:station"] = station
        content["captures"][0]["core:datetime"] = "2026-01-01T00:00:00Z"
        path.write_text(json.dumps(content))
    with pytest.raises(RecordingError, match=r"of station 'On', .* of 'Dw'"):
        open_recording(paths)


def test_an_extension_of_ours_that_lies(tmp_path):
    path = put(tmp_path, [capture(0, frequency=1e9)], numbered(100))
    content = json.loads(path.read_text())
    for key, value in (("sideband", "left"), ("zero", "top"), ("sky_frequency", "high")):
        channel = {"name": "X", "sky_frequency": 1e9} | {key: value}
        content["global"]["kitestring:channels"] = [channel]
        path.write_text(json.dumps(content))
        with pytest.raises(RecordingError, match="kitestring:channels cannot be read"):
            open_recording(path, station="Dw")


def test_real_samples_need_sidebands(tmp_path):
    path = put(tmp_path, [capture(0, frequency=1e9)], np.zeros(100, "<f4"), datatype="rf32_le")
    with pytest.raises(MissingDataError, match="sidebands"):
        open_recording(path, station="Dw")
    recording = open_recording(path, station="Dw", channels=[Channel("X", 1e9, -1, RATE)])
    assert recording.read(0, 100).valid.all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"channels": []}, "no channel"),
        ({"datatype": "ri8"}, "ri8 is real"),
        ({"datatype": "cq4"}, "no datatype"),
        (
            {"channels": [Channel("a", 1e9, 1, 1e5, True), Channel("b", 1e9, 1, 2e5, True)]},
            "one sample rate",
        ),
        ({"channels": [Channel("a", np.nan, 1, 1e5, True)]}, "nan Hz"),
        ({"channels": [Channel("a", 1e9, 1, 0.0, True)]}, "0 samples a second"),
        ({"channels": [Channel("a", 1e9, 1, np.inf, True)]}, "inf samples a second"),
    ],
)
def test_what_cannot_be_written(tmp_path, options, match):
    options = {"channels": make_channels(1, True), "station": "Dw", "start": START} | options
    with pytest.raises(ConfigurationError, match=match):
        SigmfWriter(tmp_path / "a", **options)


@pytest.mark.parametrize(
    ("shape", "options", "match"),
    [
        ((10,), {}, r"shape \(10,\), \(2, n\)"),
        ((3, 10), {}, r"shape \(3, 10\)"),
        ((2, 10), {"valid": np.ones(7, bool)}, r"valid has shape \(7,\)"),
        ((2, 10), {"sigma": [1, 2, 3]}, r"sigma has shape \(3,\)"),
    ],
)
def test_samples_that_do_not_fit_the_channels(tmp_path, shape, options, match):
    """One row of samples must not become all channels."""
    channels = make_channels(2, True)
    writer = SigmfWriter(tmp_path / "a", station="Dw", start=START, channels=channels)
    with pytest.raises(ConfigurationError, match=match):
        writer.write(np.zeros(shape, np.complex64), **options)
    writer.write(np.zeros((2, 1), np.complex64))
    writer.close()


def test_an_unfinished_recording_has_no_metadata(tmp_path):
    def fail():
        with SigmfWriter(
            tmp_path / "a", station="Dw", start=START, channels=make_channels(1, True)
        ) as writer:
            writer.write(np.zeros((1, 10), dtype=np.complex64))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["a.sigmf-data"]
    with pytest.raises(ConfigurationError, match="no sample"):
        SigmfWriter(
            tmp_path / "b", station="Dw", start=START, channels=make_channels(1, True)
        ).close()


quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quick
@given(at=st.floats(0, 1), change=st.binary(max_size=3), length=st.integers(0, 5))
def test_damaged_metadata_never_move_a_sample(tmp_path, at, change, length):
    """Whatever is changed: a clear error, or samples that are those of the file."""
    captures = [capture(0, frequency=1e9), capture(50, "00.0005", frequency=1e9)]
    path = put(tmp_path, captures, numbered(100))
    text = path.read_bytes()
    where = round(at * len(text))
    path.write_bytes(text[:where] + change + text[where + length :])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            recording = open_recording(path, station="Dw")
    except (RecordingError, MissingDataError):
        return
    block = recording.read(0, 100)
    assert block.samples.shape == (len(recording.channels), 100)
    assert not block.samples[~block.valid].any()
