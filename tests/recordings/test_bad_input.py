"""What is no recording, or lies about itself, is refused: by file, byte and a next step."""

import os
import struct

import numpy as np
import pytest

from kitestring.errors import KitestringError, MissingDataError, RecordingError
from kitestring.model.time import Epoch
from kitestring.recordings.describe import describe
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifRecording, VdifWriter

START = Epoch.from_iso("2026-03-01T12:00:00")
RATE, PAYLOAD = 6400.0, 160
FRAME = PAYLOAD + 32
CHANNELS = [Channel(f"CH{i}", 8.4e9, 1, RATE) for i in range(2)]


@pytest.fixture
def whole(tmp_path) -> bytes:
    path = tmp_path / "whole.vdif"
    with VdifWriter(
        path, station="Tm", start=START, channels=CHANNELS, bits=2, payload_bytes=PAYLOAD
    ) as writer:
        writer.write_codes(np.ones((2, 40 * writer.frame_samples), np.uint8))
    return path.read_bytes()


def changed(data, change):
    """Change every header's words."""
    out = bytearray(data)
    for at in range(0, len(out), FRAME):
        words = list(struct.unpack_from("<8I", out, at))
        change(words)
        struct.pack_into("<8I", out, at, *words)
    return bytes(out)


def longer(words):
    words[2] += 2


def fewer_bits(words):
    words[3] = (words[3] & ~(0x1F << 26)) | 6 << 26


def more_channels(words):
    words[2] |= 12 << 24


def text(whole):
    return b"station = 'Tm'\n" * 300


BAD = [
    ("nothing", lambda w: b"", "the file is empty"),
    ("text", text, "no VDIF frames in the first 4500 bytes"),
    ("zeros", lambda w: bytes(5000), "no VDIF frames in the first 5000 bytes"),
    ("noise", lambda w: np.random.default_rng(1).bytes(1 << 16), "no VDIF frames"),
    ("one byte", lambda w: b"\x01", "no VDIF frames in the first 1 bytes"),
    ("half a header", lambda w: w[:20], "no VDIF frames in the first 20 bytes"),
    ("half a frame", lambda w: w[:100], "byte 0: .*192 bytes, the file has 100"),
    ("a wrong length", lambda w: changed(w, longer), "byte 208: no VDIF header"),
    ("7 bits", lambda w: changed(w, fewer_bits), "byte 0: .*7 bits a sample"),
    ("4096 channels", lambda w: changed(w, more_channels), "byte 0: .*4096 channels of 2 bits"),
]


@pytest.mark.parametrize(("name", "make", "match"), BAD, ids=[b[0] for b in BAD])
def test_what_cannot_be_read(tmp_path, whole, name, make, match):
    path = tmp_path / "bad.vdif"
    path.write_bytes(make(whole))
    for action in (
        lambda: open_recording(path, station="Tm", channels=CHANNELS),
        lambda: describe(path),
    ):
        with pytest.raises(RecordingError, match=match) as caught:
            action()
        assert str(path) in str(caught.value)
        assert caught.value.next_step


def test_a_second_file_of_another_kind(tmp_path, whole):
    other = tmp_path / "other.vdif"
    other.write_bytes(changed(whole, lambda words: words.__setitem__(3, words[3] ^ 1)))
    with pytest.raises(RecordingError, match="byte 0: the frames are not of the same kind") as e:
        describe([tmp_path / "whole.vdif", other])
    assert str(other) in str(e.value)
    other.write_bytes(b"text " * 100)
    with pytest.raises(KitestringError) as told:
        describe([tmp_path / "whole.vdif", other])
    assert str(other) in str(told.value)


def test_a_directory_and_a_file_that_may_not_be_read(tmp_path, whole):
    with pytest.raises(RecordingError, match="cannot be read") as caught:
        open_recording(tmp_path, station="Tm", channels=CHANNELS)
    assert caught.value.next_step
    if os.geteuid():  # root may read everything
        path = tmp_path / "whole.vdif"
        path.chmod(0)
        with pytest.raises(RecordingError, match="Permission denied"):
            open_recording(path, station="Tm", channels=CHANNELS)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    path = tmp_path / "pipe.vdif"
    os.mkfifo(path)
    with pytest.raises(RecordingError, match="a pipe or device") as caught:
        describe(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 1e30, 0.0, -RATE])
def test_rates_that_cannot_be(tmp_path, whole, rate):
    path = tmp_path / "whole.vdif"
    channels = [Channel(c.name, 8.4e9, 1, rate) for c in CHANNELS]
    for action in (
        lambda: describe(path, sample_rate=rate),
        lambda: open_recording(path, station="Tm", channels=channels),
    ):
        with pytest.raises(RecordingError, match="samples a second make") as caught:
            action()
        assert str(path) in str(caught.value)


def test_channels_that_use_one_thread_in_a_file(tmp_path):
    """Nothing tells which channel is which: it must not be put on the sample rate."""
    path = tmp_path / "a.vdif"
    with VdifWriter(
        path, station="Tm", start=START, channels=CHANNELS, bits=2, payload_bytes=PAYLOAD
    ) as writer:
        writer.write_codes(np.full((2, 20 * writer.frame_samples), [[1], [2]], np.uint8))

    def one_thread(words):
        words[3] &= ~(0x3FF << 16)

    path.write_bytes(changed(path.read_bytes(), one_thread))
    with pytest.raises(RecordingError, match="other samples than frames of the same thread") as e:
        describe(path, sample_rate=RATE)
    assert str(path) in str(e.value)
    assert "each channel in a file of its own" in e.value.next_step


@pytest.mark.parametrize("samples_too", [True, False])
@pytest.mark.parametrize("frames", [2, 80])
def test_big_endian_headers_are_named(tmp_path, whole, frames, samples_too):
    path = tmp_path / "a.vdif"
    words = np.frombuffer(whole[: frames * FRAME], "<u4").reshape(frames, -1).copy()
    width = words.shape[1] if samples_too else 8
    words[:, :width] = words[:, :width].byteswap()
    path.write_bytes(words.tobytes())
    for action in (describe, lambda p: VdifRecording(p, station="Tm", channels=CHANNELS)):
        with pytest.raises(RecordingError, match="byte 0: a VDIF header of the wrong byte") as e:
            action(path)
        assert str(path) in str(e.value)
        assert "Swap the bytes" in e.value.next_step


@pytest.mark.parametrize("broken", [1, 2])
def test_three_frames_of_which_one_is_broken(tmp_path, whole, broken):
    frames = [bytearray(whole[i : i + FRAME]) for i in range(0, 6 * FRAME, 2 * FRAME)]  # thread 0
    frames[broken][8] ^= 3
    path = tmp_path / "three.vdif"
    path.write_bytes(b"".join(frames))
    counts = describe(path, sample_rate=RATE).survey.counts
    assert (counts.frames, counts.damaged) == (2, 1)


def test_a_file_that_vanishes_after_it_was_opened(tmp_path, whole):
    """An open file stays readable after its name is gone; one that is cut does not."""
    path = tmp_path / "whole.vdif"
    recording = VdifRecording(path, station="Tm", channels=CHANNELS)
    path.unlink()
    assert recording.read(0, 100).valid.all()
    path.write_bytes(whole)
    recording = VdifRecording(path, station="Tm", channels=CHANNELS)
    os.truncate(path, FRAME)
    with pytest.raises(RecordingError, match=f"byte {FRAME}: the file ends here now"):
        recording.read(0, 100)


@pytest.mark.parametrize(("reference", "year"), [(0, "2000"), (63, "2031")])
def test_the_first_and_the_last_reference_epoch(tmp_path, whole, reference, year):
    """The header cannot hold dates before 2000; its last half-year reaches to 2065."""
    path = tmp_path / "old.vdif"
    path.write_bytes(changed(whole, lambda w: w.__setitem__(1, w[1] & 0xFFFFFF | reference << 24)))
    assert describe(path, sample_rate=RATE).survey.start.iso(0).startswith(year)


def test_a_date_in_the_far_future_is_told(tmp_path, whole):
    path = tmp_path / "future.vdif"
    later = 30 * 31557600

    def shift(words):
        words[0] += later
        words[1] = words[1] & 0xFFFFFF | 63 << 24

    path.write_bytes(changed(whole, shift))
    found = describe(path, sample_rate=RATE)
    assert "lies in the far future" in found.notes[0]
    assert not any("future" in note for note in describe(tmp_path / "whole.vdif").notes)


def test_a_rate_that_contradicts_the_headers(tmp_path, whole):
    with pytest.raises(RecordingError, match="frames are numbered up to 9") as caught:
        describe(tmp_path / "whole.vdif", sample_rate=RATE / 2)
    assert "From the frame numbers: 6400" in caught.value.next_step


def test_what_is_missing_is_asked_for_by_name(tmp_path, whole):
    path = tmp_path / "short.vdif"
    path.write_bytes(whole[: 6 * FRAME])  # no second ends
    with pytest.raises(MissingDataError, match="sample_rate="):
        describe(path, read=True)
    with pytest.raises(MissingDataError, match="channels="):
        open_recording(path, station="Tm", sample_rate=RATE)
