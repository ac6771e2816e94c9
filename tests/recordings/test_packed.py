"""Samples handed out packed are those that `read` decodes, and a twin in numpy parts channels."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from kitestring.errors import ConfigurationError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings._packed_kernels import (
    BATCH,
    exchange_masks,
    join_frames,
    split_channels,
)
from kitestring.recordings.quantise import levels
from kitestring.recordings.types import PACKED_MARGIN, Channel
from kitestring.recordings.vdif import VdifRecording, VdifWriter
from kitestring.recordings.vdif_header import VdifHeader

START = Epoch.from_iso("2026-03-01T12:00:00.9")
FRAMES, PER_SECOND = 40, 20
WORDS = (8, 16, 32, 64)  # bits of a time's samples that are parted


def make_channels(count, is_complex, rate):
    return [Channel(f"CH{i:02d}", 8.4e9, 1, rate, is_complex) for i in range(count)]


def write(path, bits, is_complex, count, threads, payload, seed=1):
    """Write random codes over the end of a second; return the channels and bytes of a frame."""
    parts = 1 + is_complex
    frame = 8 * payload // (bits * parts * (1 if threads else count))
    channels = make_channels(count, is_complex, float(PER_SECOND * frame))
    kind = np.uint16 if bits == 16 else np.uint8
    codes = np.random.default_rng(seed).integers(
        0, 1 << bits, (count, FRAMES * frame * parts), dtype=kind
    )
    with VdifWriter(
        path, station="Tm", start=START, channels=channels, bits=bits, payload_bytes=payload,
        threads=threads,
    ) as writer:  # fmt: skip
        writer.write_codes(codes)
    return channels, path.stat().st_size // (FRAMES * (count if threads else 1))


def opened(paths, channels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        return VdifRecording(paths, station="Tm", channels=channels)


def decoded(block, row):
    """Decode one channel of a packed block bit by bit: samples (n, parts) and their validity."""
    stream = block.data[row, : block.data.shape[1] - PACKED_MARGIN]
    bits = np.unpackbits(stream, bitorder="little").reshape(-1, block.bits).astype(np.int64)
    codes = bits @ (1 << np.arange(block.bits))
    codes = codes ^ (1 << (block.bits - 1)) if block.signed else codes
    values = block.levels[codes].reshape(-1, block.parts)
    valid = np.zeros(len(values), dtype=bool)
    for begin, end in block.runs[row]:
        assert 0 <= begin < end <= len(values)
        valid[begin:end] = True
    assert np.all(block.runs[row][1:, 0] > block.runs[row][:-1, 1])
    return values, valid


def check(recording, first, count, chosen=None):
    """Compare a packed block with what `read` decodes."""
    block = recording.read(first, count, chosen)
    packed = recording.read_packed(first, count, chosen)
    assert packed is not None
    assert packed.first <= first
    assert packed.data.dtype == np.uint8
    assert packed.levels.shape == (1 << packed.bits,)
    rows = len(recording.channels) if chosen is None else len(chosen)
    assert len(packed.data) == len(packed.runs) == rows
    at = slice(first - packed.first, first - packed.first + count)
    for row in range(rows):
        values, valid = decoded(packed, row)
        assert len(values) >= at.stop
        assert_array_equal(valid[at], block.valid[row])
        wanted = block.samples[row].copy().view(np.float32).reshape(count, -1)
        assert_array_equal(values[at][valid[at]], wanted[valid[at]])


LAYOUTS = [
    (bits, is_complex, count, threads)
    for bits in (1, 2, 4, 8, 16)
    for is_complex in (False, True)
    for count, threads in ((1, True), (3, True), (2, False), (4, False), (8, False), (16, False))
]


@pytest.mark.parametrize(("bits", "is_complex", "count", "threads"), LAYOUTS)
def test_packed_samples_are_those_that_are_read(tmp_path, bits, is_complex, count, threads):
    """Any stretch, before the start and past the end too; frames lost; a few channels alone."""
    payload = 64 if threads else 1024
    path = tmp_path / "a.vdif"
    channels, length = write(path, bits, is_complex, count, threads, payload)
    generator = np.random.default_rng(bits)
    frames = path.read_bytes()
    kept = generator.random(len(frames) // length) > 0.2
    kept[[0, -1]] = True
    path.write_bytes(b"".join(frames[k * length : (k + 1) * length] for k in np.flatnonzero(kept)))
    recording = opened(path, channels)
    if not threads and bits * (1 + is_complex) * count not in WORDS:
        assert recording.read_packed(0, 100) is None
        return
    frame, total = recording.frame_samples, recording.sample_count
    assert total == FRAMES * frame
    for first, length_ in ((0, total), (-5, 9), (total - 3, 2 * frame), (-3 * frame, frame)):
        check(recording, first, length_)
    for _ in range(6):
        first = int(generator.integers(-2 * frame, total + frame))
        check(recording, first, int(generator.integers(1, 5 * frame)))
    check(recording, frame + 1, 3 * frame, (count - 1,))
    if count > 2:
        check(recording, 7, 2 * frame, (count - 1, 0, 1))
    again = pickle.loads(pickle.dumps(recording))
    assert_array_equal(
        again.read_packed(0, frame).data[:, :64], recording.read_packed(0, frame).data[:, :64]
    )


@pytest.mark.parametrize("how", ["in time", "threads apart"])
def test_recordings_of_several_files(tmp_path, how):
    whole = tmp_path / "a.vdif"
    channels, length = write(whole, 2, False, 3, True, 64)
    data = whole.read_bytes()
    frames = [data[k : k + length] for k in range(0, len(data), length)]
    if how == "in time":
        cuts = [frames[:31], frames[31:32], frames[32:]]
    else:
        cuts = [frames[k::3] for k in range(3)]
    paths = [tmp_path / f"{k}.vdif" for k in range(len(cuts))]
    for path, some in zip(paths, cuts, strict=True):
        path.write_bytes(b"".join(some))
    recording = opened(paths, channels)
    check(recording, 0, recording.sample_count)
    check(recording, -100, recording.sample_count // 2, (2, 0))
    expected = opened(whole, channels)
    for one, two in zip(
        recording.read_packed(0, 500).runs, expected.read_packed(0, 500).runs, strict=True
    ):
        assert_array_equal(one, two)


def test_frames_marked_as_invalid_are_no_samples(tmp_path):
    path = tmp_path / "a.vdif"
    channels, length = write(path, 2, False, 2, True, 64)
    data = bytearray(path.read_bytes())
    for frame in (4, 5, 9):
        data[frame * length + 3] |= 0x80
    path.write_bytes(bytes(data))
    recording = opened(path, channels)
    frame = recording.frame_samples
    packed = recording.read_packed(0, 8 * frame)
    assert packed.runs[0].tolist() == [[0, 2 * frame], [3 * frame, 8 * frame]]
    assert packed.runs[1].tolist() == [
        [0, 2 * frame],
        [3 * frame, 4 * frame],
        [5 * frame, 8 * frame],
    ]
    check(recording, 0, 8 * frame)


def frames_of(header, payloads):
    """Return frames that follow each other from the header's time on."""
    found = []
    for number, payload in enumerate(payloads):
        words = header.words()
        words[0] |= number // PER_SECOND
        words[1] |= number % PER_SECOND
        found.append(words.tobytes() + payload)
    return b"".join(found)


@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("count", [1, 8, 16])
def test_mark5b_coding(tmp_path, bits, count):
    """Extended data version 0xAB: sign and magnitude, which the levels of the block say."""
    frame = 80000 // (bits * count)
    rate = float(PER_SECOND * frame)
    header = VdifHeader(
        False, False, 0, 52, 0, 0, count, 10032, bits, False, 0, 0x4566, 0xAB,
        extended=(0xAB000000, 0xABADDEED, 0, 0),
    )  # fmt: skip
    generator = np.random.default_rng(count)
    path = tmp_path / "m.vdif"
    path.write_bytes(frames_of(header, [generator.bytes(10000) for _ in range(6)]))
    recording = opened(path, make_channels(count, False, rate))
    assert recording.index.header.mark5b_coding
    if frame % count:  # a stream's word would go on in the next frame
        assert recording.read_packed(0, 100) is None
        return
    for first, length in ((0, 6 * frame), (frame // 2 + 3, 2 * frame)):
        check(recording, first, length)
    # sign and magnitude: the order of levels is not that of offset binary
    assert not np.array_equal(recording.read_packed(0, 8).levels, levels(bits))


def test_a_validity_mask_is_left_to_read(tmp_path):
    """Extended data version 4: channels of a frame are valid each for itself."""
    frame, count = 64 * 8 // (2 * 8), 8
    header = VdifHeader(
        False, False, 0, 52, 0, 1, count, 64 + 32, 2, False, 0, 0x4566, 4,
        extended=(0x04080000, 0xACABFEED, 0b10110111, 0),
    )  # fmt: skip
    path = tmp_path / "m.vdif"
    path.write_bytes(frames_of(header, [bytes(64)] * 6))
    recording = opened(path, make_channels(count, False, float(PER_SECOND * frame)))
    assert recording.index.header.mask_bits == 8
    assert recording.read_packed(0, frame) is None
    assert recording.read(0, frame).valid[:, 0].tolist() == [
        bool(0b10110111 >> k & 1) for k in range(8)
    ]


def test_nothing_asked_for_is_nothing_packed(tmp_path):
    path = tmp_path / "a.vdif"
    channels, _ = write(path, 2, False, 1, True, 64)
    assert opened(path, channels).read_packed(3, 0) is None


@pytest.mark.parametrize("threads", [True, False])
def test_channels_that_are_asked_for_twice(tmp_path, threads):
    path = tmp_path / "a.vdif"
    channels, _ = write(path, 2, False, 4, threads, 1024)
    recording = opened(path, channels)
    frame = recording.frame_samples
    whole = recording.read(0, 3 * frame).samples
    for chosen in ((1, 1), (0, 3, 0), (2, 1, 1, 2)):
        assert_array_equal(recording.read(0, 3 * frame, chosen).samples, whole[list(chosen)])
        check(recording, 5, 2 * frame, chosen)


@pytest.mark.parametrize("chosen", [(4,), (-1,), (0, 9)])
@pytest.mark.parametrize("how", ["read", "read_packed", "read_codes"])
def test_channels_that_do_not_exist(tmp_path, chosen, how):
    path = tmp_path / "a.vdif"
    channels, _ = write(path, 2, False, 4, False, 1024)
    recording = opened(path, channels)
    with pytest.raises(ConfigurationError, match="were asked for") as told:
        getattr(recording, how)(0, 10, chosen)
    assert "0 to 3" in told.value.next_step
    for count in (-1, 10**30):
        with pytest.raises(ConfigurationError, match=f"{count} samples"):
            getattr(recording, how)(0, count)


@pytest.mark.parametrize("first", [10**30, -(10**30), 1 << 63, -(1 << 63), 1 << 62])
def test_blocks_far_outside_are_invalid(tmp_path, first):
    path = tmp_path / "a.vdif"
    channels, _ = write(path, 2, False, 2, True, 64)
    recording = opened(path, channels)
    block = recording.read(first, 100)
    assert block.first == first
    assert not block.valid.any()
    assert not block.samples.any()
    packed = recording.read_packed(first, 100)
    assert packed.first <= first
    assert [len(runs) for runs in packed.runs] == [0, 0]


# -- kernels and their twins ----------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([1, 2, 4, 8, 16, 32]), st.sampled_from(WORDS), st.integers(1, 3 * BATCH),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_split_channels(bits, word, words, seed):
    count = word // bits
    if count < 2 or count > 16:
        return
    generator = np.random.default_rng(seed)
    samples = generator.integers(0, 2, (words * count, count, bits), dtype=np.uint8)
    kind = np.dtype(f"u{word // 8}")
    joined = np.packbits(samples.reshape(-1), bitorder="little").view(kind)
    rows = generator.permutation(count) - 1  # one channel is not wanted
    parted = np.full((count, words + 2), 7, dtype=kind)
    split_channels(joined, bits, exchange_masks(count, bits), rows, parted)
    for channel, row in enumerate(rows):
        wanted = np.packbits(samples[:, channel].reshape(-1), bitorder="little")
        if row >= 0:
            assert_array_equal(parted[row, :words].view(np.uint8), wanted)
    assert np.all(parted[:, words:] == 7)
    assert np.all(parted[-1] == 7)


def test_join_frames():
    data = np.arange(1, 101, dtype=np.uint8)
    out = np.full(40, 99, dtype=np.uint8)
    join_frames(data, np.array([30, -1, 0, 92]), 8, out)
    wanted = np.concatenate([data[30:38], np.zeros(8), data[:8], data[92:], [99] * 8])
    assert_array_equal(out, wanted)
