"""Files by channel that share thread numbers are channels of their own; copies are not."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kitestring.errors import RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings import vdif_index, vdif_outline, vdif_spans
from kitestring.recordings.describe import describe
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifRecording, VdifWriter

START = Epoch.from_iso("2026-03-01T12:00:00.4")
PAYLOAD, FRAME = 64, 96
SAMPLES = PAYLOAD // 2
PER_SECOND = 200
RATE = float(PER_SECOND * SAMPLES)
FRAMES, CHANNELS = 3000, 4
TRUTH = np.random.default_rng(1).integers(0, 1 << 16, (CHANNELS, FRAMES * SAMPLES), dtype=np.uint16)
SPAN = 400 * FRAME


def bands(count):
    return [Channel(f"CH{i}", 8.4e9 + 1e6 * i, 1, RATE) for i in range(count)]


def write(path, codes, **options):
    with VdifWriter(
        path, station="Tm", start=START, channels=bands(len(codes)), bits=16,
        payload_bytes=PAYLOAD * (1 if options.get("threads", True) else len(codes)), **options,
    ) as writer:  # fmt: skip
        writer.write_codes(codes)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Each channel in a file of its own, all of thread 0."""
    folder = tmp_path_factory.mktemp("channels")
    paths = [folder / f"c{i}.vdif" for i in range(CHANNELS)]
    for path, codes in zip(paths, TRUTH, strict=True):
        write(path, codes[np.newaxis])
    return paths


@pytest.fixture(params=["short", "long"])
def length(request, monkeypatch):
    """Files that are read wholly, or in spans of 400 frames."""
    if request.param == "long":
        monkeypatch.setattr(vdif_index, "WHOLE", 0)
        monkeypatch.setattr(vdif_outline, "_END", SPAN // 4)
        monkeypatch.setattr(vdif_outline, "_SPAN", SPAN)
        monkeypatch.setattr(vdif_spans, "_MARGIN", 60 * FRAME)
        monkeypatch.setattr(vdif_spans, "_PIECE", SPAN // 2)
    return request.param


def cut(path, folder, frames):
    """Cut a file in time before these frames."""
    data, edges = path.read_bytes(), [0, *frames, FRAMES]
    found = []
    for k, (a, b) in enumerate(itertools.pairwise(edges)):
        found.append(folder / f"{path.stem}_{k}.vdif")
        found[-1].write_bytes(data[a * FRAME : b * FRAME])
    return found


def check(paths, truth, length):
    recording = VdifRecording(paths, station="Tm", channels=bands(len(truth)))
    assert (recording.index.spans is not None) == (length == "long")
    codes, valid = recording.read_codes(0, truth.shape[1])
    assert valid.all()
    assert_array_equal(codes, truth)
    assert recording.start.iso(3) == START.iso(3)
    packed = recording.read_packed(0, truth.shape[1])
    assert_array_equal(packed.data[:, : 2 * truth.shape[1]].copy().view("<u2"), truth)
    assert all(runs.tolist() == [[0, truth.shape[1]]] for runs in packed.runs)
    return recording


def test_files_by_channel_with_one_thread_number(files, length):
    recording = check(files, TRUTH, length)
    check(files[::-1], TRUTH[::-1], length)  # channels come in the order of the files
    again = pickle.loads(pickle.dumps(recording))
    assert_array_equal(again.read_codes(77, 1000, (2, 0))[0], TRUTH[[2, 0], 77:1077])


def test_a_pattern_takes_them_by_name(files):
    recording = open_recording(
        files[0].with_name("c?.vdif"), station="Tm", channels=bands(CHANNELS)
    )
    assert_array_equal(recording.read_codes(0, TRUTH.shape[1])[0], TRUTH)


@pytest.mark.parametrize("order", ["by channel", "by time"])
def test_channels_that_are_cut_in_time_too(tmp_path, files, length, order):
    """At other places for each channel, so that files of two channels overlap in part."""
    parts = [cut(files[i], tmp_path, (900 + 200 * i, 2100 + 150 * i)) for i in range(3)]
    named = parts if order == "by channel" else zip(*parts, strict=True)
    check([path for some in named for path in some], TRUTH[:3], length)


def test_a_missing_file_is_not_passed_over_in_silence(tmp_path, files, length):
    """Nothing in the files says that the third goes on the second, not the first."""
    (one, _), (other, later) = (cut(files[i], tmp_path, (1500,)) for i in range(2))
    for action in (
        lambda paths: describe(paths, sample_rate=RATE),
        lambda paths: VdifRecording(paths, station="Tm", channels=bands(2)),
    ):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            action([one, other, later])
        assert any("may be taken for another channel's" in str(w.message) for w in told)


def test_files_of_two_threads_that_are_used_twice(tmp_path, length):
    for k in range(2):
        write(tmp_path / f"{k}.vdif", TRUTH[2 * k : 2 * k + 2])
    check([tmp_path / "0.vdif", tmp_path / "1.vdif"], TRUTH, length)


def test_files_of_two_channels_a_frame(tmp_path):
    for k in range(2):
        write(tmp_path / f"{k}.vdif", TRUTH[2 * k : 2 * k + 2], threads=False)
    check([tmp_path / "0.vdif", tmp_path / "1.vdif"], TRUTH, "short")


def test_description(files, length):
    found = describe(files, read=True, sample_rate=RATE)
    assert found.survey.channel_count == CHANNELS
    assert f"in 4 groups of files ({files[0]}, {files[1]}, " in found.survey.layout
    assert "4 threads (0, 0, 0, 0)" in found.survey.layout
    assert found.survey.counts.frames == CHANNELS * FRAMES
    assert not found.survey.counts.harmed
    assert found.survey.sampled == (length == "long")
    assert_array_equal(found.statistics.valid, np.ones(CHANNELS))
    assert describe(files, full=True, sample_rate=RATE).survey.counts.frames == CHANNELS * FRAMES


def test_too_few_channels_are_named(files):
    with pytest.raises(RecordingError, match=r"2 channels are expected.* 4 threads"):
        VdifRecording(files, station="Tm", channels=bands(2))


@pytest.mark.parametrize("kept", [FRAMES, FRAMES // 3])
def test_a_copy_is_no_channel(tmp_path, files, length, kept):
    """Nor is one that was cut off."""
    other = tmp_path / "copy.vdif"
    other.write_bytes(files[0].read_bytes()[: kept * FRAME])
    with pytest.raises(RecordingError, match=r"is a copy of .*c0\.vdif") as caught:
        VdifRecording([files[0], files[1], other], station="Tm", channels=bands(3))
    assert "copy.vdif" in str(caught.value)
    with pytest.raises(RecordingError, match="is a copy of"):
        describe([other, files[0]])


def test_a_file_that_repeats_the_end_of_the_one_before(tmp_path, files, length):
    """Frames that come twice are copies, as within a file."""
    data = files[0].read_bytes()
    first, second = tmp_path / "1.vdif", tmp_path / "2.vdif"
    first.write_bytes(data[: 2000 * FRAME])
    second.write_bytes(data[1100 * FRAME :])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        recording = VdifRecording([first, second], station="Tm", channels=bands(1))
        codes, valid = recording.read_codes(0, TRUTH.shape[1])
    assert valid.all()
    assert_array_equal(codes, TRUTH[:1])


def test_damaged_files_by_channel(tmp_path, files, length):
    """Lost frames of one channel are invalid there, and leave the others alone."""
    generator = np.random.default_rng(2)
    paths, keeps = [], []
    for path in files:
        kept = generator.random(FRAMES) > 0.05
        kept[[0, -1]] = True
        frames = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, FRAME)
        paths.append(tmp_path / path.name)
        paths[-1].write_bytes(frames[kept].tobytes())
        keeps.append(kept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        recording = VdifRecording(paths, station="Tm", channels=bands(CHANNELS))
        codes, valid = recording.read_codes(0, TRUTH.shape[1])
    known = np.repeat(keeps, SAMPLES, axis=1)
    assert_array_equal(valid, known)
    assert_array_equal(codes, np.where(known, TRUTH, 0))


def test_dead_channels_are_channels(tmp_path):
    for k in range(2):
        write(tmp_path / f"{k}.vdif", np.zeros((1, FRAMES * SAMPLES), np.uint16))
    found = describe(tmp_path / "?.vdif", read=True, sample_rate=RATE)
    assert found.survey.channel_count == 2
    assert found.statistics.dead == (0, 1)
