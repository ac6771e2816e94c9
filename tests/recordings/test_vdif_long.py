"""Long recordings: looked at in places, indexed as they are read, the same samples as short ones.

What "long" is, and how large spans are, is made small here.
"""

import os
import pickle
import random
import struct
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kitestring.errors import RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings import vdif_index, vdif_outline, vdif_spans
from kitestring.recordings.describe import describe
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifRecording, VdifWriter
from kitestring.recordings.vdif_header import VdifHeader

# 16-bit samples hold their own number, so that a shift by one would show
START = Epoch.from_iso("2026-03-01T12:00:00.4")
PAYLOAD, FRAME = 16, 48
SAMPLES = PAYLOAD // 2
PER_SECOND = 200
RATE = float(PER_SECOND * SAMPLES)
FRAMES, THREADS = 3000, 2
CHANNELS = [Channel(f"CH{i}", 8.4e9, 1, RATE) for i in range(THREADS)]
TRUTH = np.stack([np.arange(FRAMES * SAMPLES) + 30000 * c for c in range(THREADS)]).astype(
    np.uint16
)
SPAN = 400 * FRAME


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "a.vdif"
    with VdifWriter(
        path, station="Tm", start=START, channels=CHANNELS, bits=16, payload_bytes=PAYLOAD
    ) as writer:
        writer.write_codes(TRUTH)
    return path.read_bytes()


@pytest.fixture
def long(monkeypatch):
    """Make every file a long one of spans of 400 frames, 100 at the ends, 60 around them."""
    monkeypatch.setattr(vdif_index, "WHOLE", 0)
    monkeypatch.setattr(vdif_outline, "_END", SPAN // 4)
    monkeypatch.setattr(vdif_outline, "_SPAN", SPAN)
    monkeypatch.setattr(vdif_spans, "_MARGIN", 60 * FRAME)
    monkeypatch.setattr(vdif_spans, "_PIECE", SPAN // 2)


def opened(path, **options):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        recording = VdifRecording(path, station="Tm", channels=CHANNELS, **options)
        first = round(float(START.since(recording.start)) * RATE)
        codes, valid = recording.read_codes(first, TRUTH.shape[1])
    return recording, codes, valid, [w for w in told if w.category is RecordingWarning]


def test_a_whole_recording(tmp_path, whole, long):
    path = tmp_path / "a.vdif"
    path.write_bytes(whole)
    recording, codes, valid, told = opened(path)
    assert recording.index.spans is not None
    assert len(recording.index.spans.spans) > 10
    assert valid.all()
    assert_array_equal(codes, TRUTH)
    assert told == []
    assert (recording.start.iso(3), recording.sample_count) == (START.iso(3), TRUTH.shape[1])
    again = pickle.loads(pickle.dumps(recording))
    assert_array_equal(again.read_codes(7000, 3000)[0], TRUTH[:, 7000:10000])


def damaged(whole, generator, number):
    frames = [bytearray(whole[i : i + FRAME]) for i in range(0, len(whole), FRAME)]
    for _ in range(number):
        i = generator.randrange(200, len(frames) - 200)
        action = generator.choice(["lose", "repeat", "swap", "break", "second", "junk", "burst"])
        if action == "lose":
            del frames[i]
        elif action == "burst":
            del frames[i : i + generator.randrange(2, 150)]
        elif action == "repeat":
            frames.insert(i, frames[i])
        elif action == "swap":
            j = i + generator.randrange(1, 10)
            frames[i], frames[j] = frames[j], frames[i]
        elif action == "break":
            frames[i][8:12] = generator.randbytes(4)
        elif action == "second":
            word = struct.unpack_from("<I", frames[i])[0] ^ 1 << generator.randrange(30)
            struct.pack_into("<I", frames[i], 0, word)
        else:
            frames[i] += generator.randbytes(generator.randrange(1, FRAME))
    return b"".join(frames)


@pytest.mark.parametrize("seed", range(1, 31))
def test_damage_gives_the_samples_of_a_short_recording(tmp_path, whole, long, seed):
    path = tmp_path / "a.vdif"
    path.write_bytes(damaged(whole, random.Random(seed), seed))
    recording, codes, valid, told = opened(path)
    assert_array_equal(codes, np.where(valid, TRUTH, 0))  # none is wrong, whatever the damage
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vdif_index, "WHOLE", 1 << 40)
        short, _, known, _ = opened(path)
    assert short.index.spans is None
    # what a frame's neighbours tell may differ where a piece ends, for one frame in a while
    assert np.count_nonzero(known & ~valid) <= SAMPLES * (1 + seed // 20)
    assert np.count_nonzero(valid & ~known) <= SAMPLES * (1 + seed // 20)
    # blocks of any length give the same
    first = round(float(START.since(recording.start)) * RATE)
    for at in range(0, TRUTH.shape[1] - 700, 3671):
        some, good = recording.read_codes(first + at, 700)
        assert_array_equal(some, codes[:, at : at + 700])
        assert_array_equal(good, valid[:, at : at + 700])
    assert bool(told) == short.counts.harmed


@pytest.mark.parametrize("seed", range(1, 21))
def test_a_full_check_counts_what_a_short_recording_counts(tmp_path, whole, long, seed):
    path = tmp_path / "a.vdif"
    path.write_bytes(damaged(whole, random.Random(seed), seed))
    full = describe(path, full=True, sample_rate=RATE).survey
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vdif_index, "WHOLE", 1 << 40)
        short = describe(path, sample_rate=RATE).survey
    assert not full.sampled
    assert not short.sampled
    assert vars(full.counts) == vars(short.counts)


def test_what_is_missing_is_told_from_places(tmp_path, whole, long):
    lost = range(2 * 1000, 2 * 1000 + 300)  # 150 slots of both threads, 0.75 s
    frames = [whole[i : i + FRAME] for i in range(0, len(whole), FRAME)]
    path = tmp_path / "a.vdif"
    path.write_bytes(b"".join(f for i, f in enumerate(frames) if i not in lost))
    found = describe(path)
    survey = found.survey
    assert survey.sampled
    assert survey.sample_rate == RATE
    assert survey.rate_origin == "inferred from frame numbers"
    assert survey.counts.missing == len(lost)
    assert survey.counts.time_jumps == 1  # more than half a second
    assert survey.headers < len(frames) / 2
    (deviation,) = survey.deviations
    assert deviation.seconds == pytest.approx(0.75, abs=1.01 / PER_SECOND)  # to a slot
    # to the frames of two looks
    assert float(deviation.start.since(START)) == pytest.approx(5.0, abs=32 / PER_SECOND)
    assert any("s are missing after about 2026-03-01T12:00:05" in note for note in found.notes)
    assert any("of the headers were looked at" in note for note in found.notes)


def test_describing_samples_does_not_repeat_what_the_survey_counts(tmp_path, whole, long):
    path = tmp_path / "a.vdif"
    path.write_bytes(damaged(whole, random.Random(1), 20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = describe(path, read=True, sample_rate=RATE)
    assert found.statistics.valid.min() > 0.8


def test_several_long_files(tmp_path, whole, long):
    frames = np.frombuffer(whole, np.uint8).reshape(-1, THREADS, FRAME)
    parts = {"t1": frames[:, 1], "t0": frames[:, 0], "late": frames[1500:], "early": frames[:1500]}
    for name, part in parts.items():
        (tmp_path / name).write_bytes(part.tobytes())
    for names in (("t1", "t0"), ("late", "early")):
        paths = [tmp_path / name for name in names]
        recording, codes, valid, told = opened(paths)
        assert recording.index.spans is not None
        assert valid.all()
        assert_array_equal(codes, TRUTH)
        assert told == []
        assert describe(paths, full=True).survey.counts.frames == FRAMES * THREADS


def test_time_that_goes_back_is_read_whole(tmp_path, whole, long):
    half = len(whole) // 2
    path = tmp_path / "a.vdif"
    path.write_bytes(whole[half:] + whole[:half])
    recording, codes, valid, _ = opened(path)
    assert recording.index.spans is None
    assert valid.all()
    assert_array_equal(codes, TRUTH)


def test_parts_that_were_never_written(tmp_path, whole, long):
    path = tmp_path / "a.vdif"
    with path.open("wb") as file:
        file.write(whole[: SPAN // 2])
        file.seek(len(whole) - SPAN // 2)
        file.write(whole[-(SPAN // 2) :])
    recording, codes, valid, told = opened(path)
    assert_array_equal(codes, np.where(valid, TRUTH, 0))
    assert np.count_nonzero(valid) == SPAN // FRAME * SAMPLES
    assert told
    assert recording.stop.since(recording.start) == pytest.approx(FRAMES / PER_SECOND)


@pytest.mark.parametrize("mib", [8, 20])
@pytest.mark.parametrize("lost", [(), (37, 38)])
def test_long_frames_of_a_long_recording(tmp_path, mib, lost):
    """Frames of which few fit into what is looked at around a place; all but heads are holes."""
    payload, per_second, frames = (mib << 20) - 32, 4, 4000 // mib
    path = tmp_path / "a.vdif"
    kept = [k for k in range(frames) if k not in lost]
    with path.open("wb") as file:
        for place, k in enumerate(kept):
            slot, thread = divmod(k, 2)
            header = VdifHeader(
                False, False, 1000 + slot // per_second, 52, slot % per_second, 1, 1,
                payload + 32, 8, False, thread, 0x546D, 0,
            )  # fmt: skip
            file.seek(place * (payload + 32))
            file.write(header.words().tobytes() + bytes([k % 251 + 1]) * 8)
        file.truncate(len(kept) * (payload + 32))
    rate = float(payload * per_second)
    for full in (False, True):
        counts = describe(path, full=full, sample_rate=rate).survey.counts
        assert (counts.missing, counts.wrong_time, counts.time_jumps) == (len(lost), 0, 0)
    channels = [Channel(f"CH{i}", 8.4e9, 1, rate) for i in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        recording = VdifRecording(path, station="Tm", channels=channels)
        assert recording.index.spans is not None
        for k in range(frames):
            codes, valid = recording.read_codes(k // 2 * payload, 8, (k % 2,))
            assert valid.all() == (k not in lost)
            assert_array_equal(codes, valid * np.uint8(k % 251 + 1))


def test_a_long_file_that_is_cut_before_it_is_read(tmp_path, whole, long):
    """Its headers are read only now: to touch what is gone would end the program."""
    path = tmp_path / "a.vdif"
    path.write_bytes(whole)
    recording = VdifRecording(path, station="Tm", channels=CHANNELS)
    os.truncate(path, len(whole) // 10)
    with pytest.raises(RecordingError, match=f"byte {len(whole) // 10}: the file ends here now"):
        recording.read(recording.sample_count // 2, 100)


def test_a_file_that_is_cut_while_it_is_read(tmp_path, whole):
    path = tmp_path / "a.vdif"
    path.write_bytes(whole)
    recording = VdifRecording(path, station="Tm", channels=CHANNELS)
    os.truncate(path, len(whole) // 2)
    with pytest.raises(RecordingError, match=f"byte {len(whole) // 2}: the file ends here now"):
        recording.read(0, 100)
