"""Damaged recordings: nothing is ever shifted, and damage that can be told is told."""

import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from kitestring.errors import RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifIndex, VdifRecording, VdifWriter
from kitestring.recordings.vdif_scan import scan_file

# 16-bit samples hold their own number, so that a shift by one would show
START = Epoch.from_iso("2026-03-01T12:00:00.4")
PAYLOAD, FRAME = 64, 96
SAMPLES = PAYLOAD // 2
PER_SECOND = 20
RATE = float(PER_SECOND * SAMPLES)
FRAMES, THREADS = 40, 2
CHANNELS = [Channel(f"CH{i}", 8.4e9, 1, RATE) for i in range(THREADS)]
TRUTH = np.stack([np.arange(FRAMES * SAMPLES) + 20000 * c for c in range(THREADS)]).astype(
    np.uint16
)

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
frame_index = st.integers(0, FRAMES * THREADS - 1)
inner_frame = st.integers(THREADS, FRAMES * THREADS - 1 - THREADS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "a.vdif"
    with VdifWriter(
        path, station="Tm", start=START, channels=CHANNELS, bits=16, payload_bytes=PAYLOAD
    ) as writer:
        writer.write_codes(TRUTH)
    return path.read_bytes()


def split(data):
    return [data[i : i + FRAME] for i in range(0, len(data), FRAME)]


def check(tmp_path: Path, data: bytes):
    """Read damaged bytes: every sample that is called valid must be the true one at its time."""
    path = tmp_path / "damaged.vdif"
    path.write_bytes(data)
    with warnings.catch_warnings(record=True) as given_warnings:
        warnings.simplefilter("always")
        recording = VdifRecording(path, station="Tm", channels=CHANNELS)
    first = round(float(START.since(recording.start)) * RATE)
    codes, valid = recording.read_codes(first, TRUTH.shape[1])
    assert_array_equal(codes, np.where(valid, TRUTH, 0))
    counts = recording.counts
    assert counts.harmed == any(w.category is RecordingWarning for w in given_warnings)
    lost = valid.size - np.count_nonzero(valid)
    assert lost % SAMPLES == 0
    return recording, valid.reshape(THREADS, FRAMES, SAMPLES)[:, :, 0], counts


def test_a_whole_recording_has_nothing_wrong(tmp_path, whole):
    recording, valid, counts = check(tmp_path, whole)
    assert valid.all()
    assert not counts.harmed
    assert all(len(r) == 1 for r in recording.index.runs.values())


@quick
@given(st.sets(inner_frame, min_size=1, max_size=12))
def test_lost_frames(tmp_path, whole, lost):
    kept = [f for i, f in enumerate(split(whole)) if i not in lost]
    _, valid, counts = check(tmp_path, b"".join(kept))
    expected = np.ones((FRAMES, THREADS), bool)
    expected.ravel()[list(lost)] = False
    assert_array_equal(valid, expected.T)
    assert counts.missing == len(lost)


@quick
@given(frame_index, frame_index)
def test_a_repeated_frame(tmp_path, whole, which, where):
    frames = split(whole)
    frames.insert(where, frames[which])
    _, valid, counts = check(tmp_path, b"".join(frames))
    # far away in the file its copy may be taken for one with a wrong time: it is not needed
    assert valid.all()
    assert counts.duplicated + counts.wrong_time == 1


@quick
@given(inner_frame, st.integers(1, 8))
def test_a_late_frame(tmp_path, whole, which, by):
    frames = split(whole)
    where = min(which + by, len(frames) - 1)
    frames.insert(where, frames.pop(which))
    _, valid, counts = check(tmp_path, b"".join(frames))
    assert valid.all()
    assert counts.missing == 0
    late = where // THREADS - which // THREADS
    if late >= 1 and where % THREADS == which % THREADS:
        assert counts.out_of_order == 1


@quick
@given(st.randoms(use_true_random=False), st.integers(2, 8))
def test_frames_shuffled_within_a_buffer(tmp_path, whole, random, buffer):
    frames = split(whole)
    for i in range(0, len(frames), buffer):
        part = frames[i : i + buffer]
        random.shuffle(part)
        frames[i : i + buffer] = part
    _, valid, _ = check(tmp_path, b"".join(frames))
    assert valid.all()


@quick
@given(frame_index, st.integers(8, 11), st.integers(1, 255))
def test_a_header_with_another_length_or_channel_count(tmp_path, whole, which, byte, flip):
    frames = [bytearray(f) for f in split(whole)]
    frames[which][byte] ^= flip
    _, valid, counts = check(tmp_path, b"".join(frames))
    expected = np.ones((FRAMES, THREADS), bool)
    expected.ravel()[which] = False
    assert_array_equal(valid, expected.T)
    assert counts.damaged == 1


@quick
@given(frame_index, st.sampled_from([(3, 0x40), (7, 0x3F), (12, 0xFF), (15, 0x7C), (15, 0x80)]))
def test_a_header_with_another_kind_of_frame(tmp_path, whole, which, place):
    frames = [bytearray(f) for f in split(whole)]
    frames[which][place[0]] ^= place[1]
    _, valid, counts = check(tmp_path, b"".join(frames))
    assert np.count_nonzero(~valid) == 1
    assert counts.damaged == 1


@quick
@given(frame_index, st.integers(1, 1023))
def test_a_header_with_another_thread(tmp_path, whole, which, thread):
    frames = [bytearray(f) for f in split(whole)]
    word = struct.unpack_from("<I", frames[which], 12)[0] ^ thread << 16
    struct.pack_into("<I", frames[which], 12, word)
    _, valid, counts = check(tmp_path, b"".join(frames))
    assert not valid.T.ravel()[which]
    assert counts.damaged + counts.conflicting + counts.wrong_time >= 1


@quick
@given(frame_index, st.integers(0, 29))
def test_a_header_with_another_second(tmp_path, whole, which, bit):
    frames = [bytearray(f) for f in split(whole)]
    word = struct.unpack_from("<I", frames[which], 0)[0] ^ 1 << bit
    struct.pack_into("<I", frames[which], 0, word)
    _, valid, counts = check(tmp_path, b"".join(frames))
    assert not valid.T.ravel()[which]
    assert np.count_nonzero(~valid) <= 2
    assert counts.wrong_time + counts.conflicting >= 1


@quick
@given(inner_frame, st.integers(0, 23))
def test_a_header_with_another_frame_number(tmp_path, whole, which, bit):
    frames = [bytearray(f) for f in split(whole)]
    word = struct.unpack_from("<I", frames[which], 4)[0] ^ 1 << bit
    struct.pack_into("<I", frames[which], 4, word)
    _, valid, counts = check(tmp_path, b"".join(frames))
    assert not valid.T.ravel()[which]
    assert counts.wrong_time + counts.conflicting + counts.damaged >= 1


def test_a_wrong_frame_number_where_a_frame_was_lost(tmp_path, whole):
    frames = [bytearray(f) for f in split(whole)]
    wrong, lost = 20, 40  # of thread 0: frames 10 and 20 since the start
    frames[wrong][4:8] = frames[lost][4:8]
    frames[wrong][0:4] = frames[lost][0:4]
    del frames[lost]
    _, valid, counts = check(tmp_path, b"".join(frames))
    assert_array_equal(np.flatnonzero(~valid[0]), [10, 20])
    assert counts.wrong_time == 1


@quick
@given(st.integers(0, FRAMES * THREADS * FRAME - 1), st.binary(min_size=1, max_size=250))
def test_bytes_that_were_put_in(tmp_path, whole, where, junk):
    # whole frames' worth of bytes would leave all later headers where they are expected
    assume(len(junk) % FRAME)
    _, valid, counts = check(tmp_path, whole[:where] + junk + whole[where:])
    assert np.count_nonzero(~valid) <= 2
    assert counts.harmed or where == 0


@quick
@given(st.integers(0, FRAMES * THREADS * FRAME - 1), st.integers(1, 95))
def test_bytes_that_were_lost(tmp_path, whole, where, length):
    _, valid, counts = check(tmp_path, whole[:where] + whole[where + length :])
    assert np.count_nonzero(~valid) <= 3
    assert counts.harmed or counts.truncated_bytes


@quick
@given(st.integers(3 * FRAME, FRAMES * THREADS * FRAME))
def test_a_file_that_was_cut(tmp_path, whole, length):
    _, valid, counts = check(tmp_path, whole[:length])
    left, rest = divmod(length, FRAME)
    if 0 < rest < 12:  # too little to tell a cut frame from bytes put into the one before
        assert np.count_nonzero(valid) == left - 1
        assert (counts.damaged, counts.skipped_bytes) == (1, rest)
    else:
        assert np.count_nonzero(valid) == left
        assert counts.truncated_bytes == rest


@quick
@given(st.data())
def test_anything_at_all(tmp_path, whole, data):
    """Whatever happens to the order and the kind of frames, valid samples are true ones."""
    frames = [bytearray(f) for f in split(whole)]
    for _ in range(data.draw(st.integers(1, 6))):
        i = data.draw(st.integers(0, len(frames) - 1))
        action = data.draw(st.sampled_from(["lose", "repeat", "swap", "mark", "break"]))
        if action == "lose":
            del frames[i]
        elif action == "repeat":
            frames.insert(i, frames[i])
        elif action == "swap":
            j = min(i + data.draw(st.integers(1, 6)), len(frames) - 1)
            frames[i], frames[j] = frames[j], frames[i]
        elif action == "mark":
            frames[i] = frames[i][:3] + bytes([frames[i][3] | 0x80]) + frames[i][4:]
        else:
            frames[i] = (
                frames[i][:8]
                + bytes(data.draw(st.binary(min_size=8, max_size=8)))
                + (frames[i][16:])
            )
    check(tmp_path, b"".join(frames))


def test_a_recording_with_a_pause(tmp_path, whole):
    frames = split(whole)
    later = []
    for frame in frames[40:]:
        second = struct.unpack_from("<I", frame)[0]
        later.append(struct.pack("<I", second + 3600) + frame[4:])
    path = tmp_path / "pause.vdif"
    path.write_bytes(b"".join(frames[:40] + later))
    with pytest.warns(RecordingWarning, match="2 time jumps"):
        recording = VdifRecording(path, station="Tm", channels=CHANNELS)
    hour = int(3600 * RATE)
    assert recording.read(0, 20 * SAMPLES).valid.all()
    assert not recording.read(20 * SAMPLES, 1000).valid.any()
    codes, valid = recording.read_codes(hour + 20 * SAMPLES, 20 * SAMPLES)
    assert valid.all()
    assert_array_equal(codes, TRUTH[:, 20 * SAMPLES :])


def test_the_scan_does_not_depend_on_its_chunks(tmp_path, whole, monkeypatch):
    data = np.frombuffer(whole[: 30 * FRAME] + b"junk" + whole[30 * FRAME :], np.uint8)
    path = tmp_path / "a.vdif"
    path.write_bytes(data.tobytes())
    header = VdifIndex.build([path], sample_rate=RATE).header
    in_one = scan_file(data, header, 0)
    monkeypatch.setattr("kitestring.recordings.vdif_scan._CHUNK", 7)
    in_pieces = scan_file(data, header, 0)
    assert in_pieces.runs["frames"].sum() == in_one.runs["frames"].sum() == 79
    assert (in_pieces.damaged, in_pieces.skipped_bytes) == (1, 4)
    assert (in_one.damaged, in_one.skipped_bytes) == (1, 4)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "the file is empty"),
        (b"RIFF" * 1000, "no VDIF frames in the first 4000 bytes"),
        (b"x", "no VDIF frames in the first 1 bytes"),
    ],
)
def test_what_is_not_a_recording(tmp_path, data, match):
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=match) as caught:
        open_recording(path, station="Tm", channels=CHANNELS)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(RecordingError, match="No such file"):
        open_recording(tmp_path / "none.vdif", station="Tm", channels=CHANNELS)


def test_a_first_frame_that_is_cut(tmp_path, whole):
    path = tmp_path / "a.vdif"
    path.write_bytes(whole[: FRAME - 8])
    with pytest.raises(RecordingError, match="frames of 96 bytes, the file has 88"):
        open_recording(path, station="Tm", channels=CHANNELS)


def test_headers_that_all_state_a_wrong_length(tmp_path, whole):
    frames = [bytearray(f) for f in split(whole)]
    for frame in frames:
        frame[8] = (FRAME + 16) // 8
    path = tmp_path / "a.vdif"
    path.write_bytes(b"".join(frames))
    with pytest.raises(RecordingError, match="byte 112: no VDIF header"):
        open_recording(path, station="Tm", channels=CHANNELS)


def test_files_of_two_recordings(tmp_path, whole):
    other = [bytearray(f) for f in split(whole)]
    for frame in other:
        frame[12] ^= 1  # another station
    (tmp_path / "a.vdif").write_bytes(whole)
    (tmp_path / "b.vdif").write_bytes(b"".join(other))
    with pytest.raises(RecordingError, match=r"not of the same kind.*station Tl"):
        open_recording([tmp_path / "a.vdif", tmp_path / "b.vdif"], station="Tm", channels=CHANNELS)
    with pytest.raises(RecordingError, match="given twice"):
        open_recording([tmp_path / "a.vdif"] * 2, station="Tm", channels=CHANNELS)


def test_late_frames_where_others_were_lost_are_used(tmp_path, whole):
    """Where frames come late elsewhere too, one more late frame is no wrong number."""
    frames = split(whole)
    frames[10], frames[16] = frames[16], frames[10]
    moved = frames.pop(40)
    frames[44] = moved  # arrives where the frame with index 45 was lost
    _, valid, counts = check(tmp_path, b"".join(frames))
    assert np.count_nonzero(~valid) == 1
    assert counts.wrong_time == 0


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_sample_rate_that_frame_numbers_contradict(tmp_path, factor):
    path = tmp_path / "a.vdif"
    with VdifWriter(
        path, station="Tm", start=START, channels=CHANNELS, bits=16, payload_bytes=PAYLOAD
    ) as writer:
        writer.write_codes(np.zeros((THREADS, 100 * SAMPLES), np.uint16))  # five seconds
    channels = [Channel(c.name, 8.4e9, 1, factor * RATE) for c in CHANNELS]
    with pytest.raises(RecordingError, match="From the frame numbers: 640"):
        VdifRecording(path, station="Tm", channels=channels)


def test_the_last_frames_of_two_seconds_damaged_alike(tmp_path):
    """A number that two seconds end with, but that no frames lead up to, is none."""
    path = tmp_path / "a.vdif"
    with VdifWriter(
        path, station="Tm", start=START, channels=CHANNELS, bits=16, payload_bytes=PAYLOAD
    ) as writer:
        writer.write_codes(np.zeros((THREADS, 300 * SAMPLES), np.uint16))
    frames = [bytearray(f) for f in split(path.read_bytes())]
    for end in (12, 52):  # of thread 1, seconds that end after 20 frames
        frames[2 * end - 1][6] ^= 0x80
    path.write_bytes(b"".join(frames))
    for rate in (RATE, None):
        index = VdifIndex.build([path], sample_rate=rate)
        assert index.sample_rate == RATE
        assert index.counts.missing == 2


def test_blocks_may_be_read_by_several_threads(tmp_path, whole):
    path = tmp_path / "a.vdif"
    path.write_bytes(whole)
    recording = VdifRecording(path, station="Tm", channels=CHANNELS)

    def read(first):
        return recording.read_codes(first, 50)[0]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, range(1200)))
    assert_array_equal(np.stack(found), np.stack([TRUTH[:, i : i + 50] for i in range(1200)]))
