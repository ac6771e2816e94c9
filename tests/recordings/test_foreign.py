"""Formats that are read through baseband, on the samples of recordings that come with it."""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kitestring.errors import MissingDataError, RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings.describe import describe
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel

samples = pytest.importorskip("baseband.data", reason="baseband is not installed")
REFERENCE = Epoch.from_iso("2014-01-01T00:00:00")


def make_channels(count, rate, is_complex=False):
    return [Channel(f"CH{i}", 8.4e9, 1, rate, is_complex) for i in range(count)]


def theirs(module, path, **options):
    import importlib

    reader = importlib.import_module(f"baseband.{module}")
    with reader.open(path, "rs", squeeze=False, **options) as other:
        return other.read(), Epoch.from_astropy(other.start_time)


@pytest.mark.parametrize(
    ("name", "module", "count", "is_complex", "options"),
    [
        ("SAMPLE_MARK4", "mark4", 8, False, {"decade": 2010, "ntrack": 64}),
        ("SAMPLE_MARK4_32TRACK", "mark4", 4, False, {"decade": 2010, "ntrack": 32}),
        ("SAMPLE_MARK4_16TRACK", "mark4", 2, False, {"decade": 2010, "ntrack": 16}),
        ("SAMPLE_DADA", "dada", 2, True, {}),
        ("SAMPLE_PUPPI", "guppi", 8, True, {}),
    ],
)
def test_samples_and_epochs_are_baseband_s(name, module, count, is_complex, options):
    path = getattr(samples, name)
    data, start = theirs(module, path, **options)
    data = data.reshape(len(data), -1).T
    known = describe(path, reference=REFERENCE).survey
    rate = known.sample_rate
    channels = make_channels(len(data), rate, is_complex)
    recording = open_recording(path, station="Xx", channels=channels, reference=REFERENCE)
    assert (known.channel_count, known.complex) == (count, is_complex)
    assert abs(float(recording.start.since(start))) < 1e-9  # s; their clock is good to that
    assert recording.stop.iso(6) == known.stop.iso(6)
    block = recording.read(-5, data.shape[1] + 10)
    assert not block.valid[:, :5].any()
    assert not block.valid[:, -5:].any()
    inside = block.valid[:, 5:-5]
    assert_array_equal(block.samples[:, 5:-5][inside], data[inside])
    # a Mark 4 header takes the place of samples: they are filled with 0, and nothing else is
    assert_array_equal(inside, data != 0) if module == "mark4" else assert_array_equal(inside, True)
    again = pickle.loads(pickle.dumps(recording))
    assert_array_equal(again.read(700, 99, (count - 1,)).samples[0], data[-1, 700:799])


def test_a_lost_frame_of_mark4(tmp_path):
    mark4 = pytest.importorskip("baseband.mark4")
    data, _ = theirs("mark4", samples.SAMPLE_MARK4_32TRACK, decade=2010, ntrack=32)
    with mark4.open(samples.SAMPLE_MARK4_32TRACK, "rb", ntrack=32, decade=2010) as file:
        file.find_header()
        header = file.read_header()
    path = tmp_path / "a.m4"
    frame = header.samples_per_frame
    many = [data[i % 2 * frame : (i % 2 + 1) * frame] for i in range(6)]
    with mark4.open(
        str(path), "ws", header0=header, sample_rate=_hertz(32e6), squeeze=False
    ) as out:
        for part in many:
            out.write(part)
    raw, size = path.read_bytes(), header.frame_nbytes
    path.write_bytes(raw[: 2 * size] + raw[3 * size :])
    with pytest.warns(RecordingWarning, match="of 6 frames: 1 missing"):
        recording = open_recording(
            path, station="Xx", channels=make_channels(4, 32e6), reference=REFERENCE
        )
    assert describe(path, reference=REFERENCE).survey.counts == recording.counts
    with pytest.warns(UserWarning, match="The frame seems to be missing"):  # baseband's own words
        block = recording.read(0, 6 * frame)
    parts = block.valid.reshape(4, 6, frame)
    assert not parts[:, 2].any()
    assert parts[:, :, 640:][:, [0, 1, 3, 4, 5]].all()
    for k in (0, 1, 3, 4, 5):
        inside = block.samples[:, k * frame : (k + 1) * frame][:, 640:]
        assert_array_equal(inside, many[k][640:].T)


def test_what_is_missing_is_asked_for():
    path = samples.SAMPLE_MARK4
    with pytest.raises(MissingDataError, match="decade"):
        open_recording(path, station="Xx", channels=make_channels(8, 32e6))
    with pytest.raises(MissingDataError, match="channels="):
        open_recording(path, station="Xx", reference=REFERENCE)
    for channels, match in (
        (make_channels(7, 32e6), "7 channels are expected, the file has 8"),
        (make_channels(8, 32e6, True), "samples are real"),
    ):
        with pytest.raises(RecordingError, match=match):
            open_recording(path, station="Xx", channels=channels, reference=REFERENCE)


def test_a_file_that_is_cut(tmp_path):
    path = tmp_path / "a.dada"
    path.write_bytes(Path(samples.SAMPLE_DADA).read_bytes()[:4000])
    with pytest.raises(RecordingError, match="baseband cannot read it as DADA"):
        open_recording(path, station="Xx", channels=make_channels(2, 16e6, True))
    # of the header too: baseband has no words for it
    text = "HDR_SIZE 4096\nUTC_START 2013-07-02-01:37:40\n"
    path.write_text(text)
    with pytest.raises(RecordingError, match="baseband cannot read it as DADA: EOFError"):
        open_recording(path, station="Xx", channels=make_channels(2, 16e6, True))


def dada(path, offset, start="2013-07-02-01:37:40"):
    """A copy of the sample that begins `offset` bytes later."""
    raw = Path(samples.SAMPLE_DADA).read_bytes()
    head = raw[:4096].replace(b" 6400000000", b" %d" % (6400000000 + offset))
    assert offset == 0 or head != raw[:4096]
    path.write_bytes(head.replace(b"2013-07-02-01:37:40", start.encode()) + raw[4096:])
    return path


def test_files_one_after_another(tmp_path):
    one, two, later = (dada(tmp_path / f"{{{i}}}.dada", i * 64000) for i in (0, 1, 3))
    channels = make_channels(2, 16e6, True)
    recording = open_recording([one, two], station="Xx", channels=channels)
    block = recording.read(0, 32000)
    assert block.valid.all()
    assert_array_equal(block.samples[:, :16000], block.samples[:, 16000:])
    with pytest.raises(RecordingError, match="Name files in the order of their times"):
        open_recording([two, one], station="Xx", channels=channels)
    with pytest.warns(RecordingWarning, match="of 4 frames: 2 missing"):
        recording = open_recording([one, later], station="Xx", channels=channels)
    lost = recording.read(0, 64000)
    assert_array_equal(np.flatnonzero(~lost.valid[0]), np.arange(16000, 48000))
    assert_array_equal(lost.samples[:, 48000:], block.samples[:, :16000])
    dada(two, 0, "2014-07-02-01:37:40")
    with pytest.warns(RecordingWarning, match="68096 skipped bytes"):
        open_recording([one, two], station="Xx", channels=channels)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("start = 2014-01-01T00:00:00\n", "headers say start = 2013-07-02T01:39:20"),
        ("bits = 2\n", "headers say bits = 8"),
        ("sample_rate = 1e6\n", "headers say sample_rate = 16000000"),
        ("complex = false\n", "headers say complex = true"),
    ],
)
def test_a_sidecar_that_contradicts_the_headers(tmp_path, text, match):
    path = dada(tmp_path / "a.dada", 0)
    path.with_name("a.dada.toml").write_text(text)
    with pytest.raises(RecordingError, match=match):
        open_recording(path, station="Xx", channels=make_channels(2, 16e6, True))


def test_without_baseband_it_is_asked_for(tmp_path, monkeypatch):
    shutil.copy(samples.SAMPLE_DADA, tmp_path / "a.dada")
    monkeypatch.setitem(sys.modules, "baseband.dada", None)
    with pytest.raises(MissingDataError, match=r"pip install kitestring\[baseband\]"):
        open_recording(tmp_path / "a.dada", station="X", channels=make_channels(2, 16e6, True))


def test_baseband_is_not_imported_for_other_formats():
    text = (
        "import sys, kitestring.recordings.open, kitestring.recordings.describe\n"
        "sys.exit('baseband' in sys.modules or 'sigmf' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0


def test_a_real_mark5b_recording():
    """The sample of a recording that comes with baseband, read by the package's own reader."""
    data, start = theirs("mark5b", samples.SAMPLE_MARK5B, sample_rate=_hertz(32e6), kday=56000,
                         nchan=8, bps=2)  # fmt: skip
    recording = open_recording(
        samples.SAMPLE_MARK5B,
        station="Ef",
        channels=make_channels(8, 32e6),
        reference=REFERENCE,
    )
    assert abs(float(recording.start.since(start))) < 1e-9
    block = recording.read(0, len(data))
    assert block.valid.all()
    assert_array_equal(block.samples, data.T)


def _hertz(value):
    from astropy import units

    return value * units.Hz


def blocks_of(tmp_path, name):
    """Write a recording of several blocks; return the blocks, their samples and what opens them."""
    if name == "GUPPI":
        path = Path(samples.SAMPLE_PUPPI)
        guppi = pytest.importorskip("baseband.guppi")
        with guppi.open(path, "rs", squeeze=False) as other:
            length, size = other.samples_per_frame, other.header0.frame_nbytes
            parts = []  # the sample's blocks do not overlap as they say: each by itself
            for k in range(4):
                other.seek(k * length)
                parts.append(other.read(length))
            parts.append(other.read())
        data = np.concatenate(parts)
    else:
        dada = pytest.importorskip("baseband.dada")
        path = tmp_path / "whole.dada"
        some, _ = theirs("dada", samples.SAMPLE_DADA)
        with dada.open(samples.SAMPLE_DADA, "rb") as file:
            header = file.read_header()
        length, size = header.samples_per_frame, header.frame_nbytes
        data = np.concatenate([np.roll(some[:length], k, axis=0) for k in range(6)])
        with path.open("wb") as out:  # one after another, as baseband reads several files
            for k in range(6):
                header = header.copy()
                header["OBS_OFFSET"] = k * header.payload_nbytes
                dada.DADAFrame.fromdata(data[k * length : (k + 1) * length], header).tofile(out)
    raw = path.read_bytes()
    blocks = [raw[k : k + size] for k in range(0, len(raw), size)]
    return blocks, data.reshape(len(data), -1).T, length


@pytest.mark.parametrize("name", ["DADA", "GUPPI"])
@pytest.mark.parametrize("lost", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("apart", [False, True])
def test_blocks_after_a_lost_one_are_read(tmp_path, name, lost, apart):
    blocks, data, length = blocks_of(tmp_path, name)
    kept = [k for k in range(len(blocks)) if k not in lost]
    if apart:
        paths = [tmp_path / f"{k}.raw" for k in kept]
        for path, k in zip(paths, kept, strict=True):
            path.write_bytes(blocks[k])
    else:
        paths = [tmp_path / "a.raw"]
        paths[0].write_bytes(b"".join(blocks[k] for k in kept))
    survey = describe(paths).survey
    assert (survey.counts.frames, survey.counts.missing) == (len(kept), len(lost))
    channels = make_channels(len(data), survey.sample_rate, True)
    with pytest.warns(RecordingWarning, match=f"{len(lost)} missing"):
        recording = open_recording(paths, station="Xx", channels=channels)
    known = np.ones(data.shape[1], bool)
    for k in lost:
        known[k * length : (k + 1) * length] = False
    known[len(blocks) * length :] = False  # what blocks of GUPPI overlap, after the last one
    assert recording.sample_count == data.shape[1]
    again = pickle.loads(pickle.dumps(recording))
    for one in (recording, again):
        block = one.read(-7, data.shape[1] + 9)
        assert_array_equal(block.valid[:, 7:-2], np.broadcast_to(known, data.shape))
        assert_array_equal(block.samples[:, 7:-2], np.where(known, data, 0))
    at = (lost[-1] + 1) * length - 3  # across the end of a loss, one channel
    part = recording.read(at, 10, (1,))
    assert_array_equal(part.samples[0], np.where(known, data, 0)[1, at : at + 10])
