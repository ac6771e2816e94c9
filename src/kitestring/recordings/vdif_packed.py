"""Samples of VDIF frames as packed streams, one for each channel, without decoding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kitestring.recordings._packed_kernels import exchange_masks, join_frames, split_channels
from kitestring.recordings.types import PACKED_MARGIN, PackedBlock
from kitestring.recordings.vdif_header import VdifHeader

Frames = Callable[[int, int, int], list[tuple[NDArray[np.uint8], NDArray[np.int64]]]]

_WORDS = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


def can_pack(header: VdifHeader) -> bool:
    """Tell whether the frames hold streams that can be handed out as they are.

    Channels of one frame are parted where a time's samples fill 1, 2, 4 or 8 bytes.
    """
    if header.mask_bits or header.bits not in (1, 2, 4, 8, 16):
        return False
    sample_bits = header.bits * header.parts
    if header.frame_samples * sample_bits * header.channel_count != 8 * header.payload_bytes:
        return False
    if header.channel_count == 1:
        return True
    # the words of a channel's stream must end with the frame
    return (
        sample_bits * header.channel_count in _WORDS
        and header.frame_samples % header.channel_count == 0
    )


def pack_frames(
    header: VdifHeader,
    frames: Frames,
    first: int,
    count: int,
    channels: tuple[int, ...],
    values: NDArray[np.float32],
) -> PackedBlock:
    """Return packed samples of whole frames.

    Parameters
    ----------
    header : VdifHeader
        One that `can_pack`.
    frames : callable
        Given thread, first slot and number of slots, returns (data, byte of each
        frame's payload or -1) for each file.
    first, count, channels
        As in `Recording.read`.
    values : ndarray of float32
        Value of each code.
    """
    slot, skip = divmod(first, header.frame_samples)
    slots = -(-(skip + count) // header.frame_samples)
    per_channel = slots * header.payload_bytes // header.channel_count
    # rows of whole words
    data = np.empty((len(channels), (per_channel + PACKED_MARGIN + 7) // 8 * 8), dtype=np.uint8)
    runs: list[NDArray[np.int64]] = [np.zeros((0, 2), dtype=np.int64)] * len(channels)
    threads = sorted({c // header.channel_count for c in channels})
    for thread in threads:
        rows = [r for r, c in enumerate(channels) if c // header.channel_count == thread]
        joined = data[rows[0]]
        if header.channel_count > 1:
            joined = np.empty(slots * header.payload_bytes, dtype=np.uint8)
        there = np.zeros(slots, dtype=bool)
        parts = frames(thread, slot, slots)
        if not parts:
            joined[: slots * header.payload_bytes] = 0
        for n, (source, offsets) in enumerate(parts):
            if n == 0:
                join_frames(source, offsets, header.payload_bytes, joined)
            else:  # another file: only its own frames
                mine = np.flatnonzero(offsets >= 0)
                for k in mine:
                    at = slice(k * header.payload_bytes, (k + 1) * header.payload_bytes)
                    joined[at] = source[offsets[k] : offsets[k] + header.payload_bytes]
            there |= offsets >= 0
        if header.channel_count > 1:
            _split(joined, header, [channels[r] % header.channel_count for r in rows], data, rows)
        stretches = _stretches(there) * header.frame_samples
        for row in rows:
            runs[row] = stretches
            if header.channel_count == 1 and row != rows[0]:  # a channel that is asked for twice
                data[row] = data[rows[0]]
    return PackedBlock(
        slot * header.frame_samples, data, header.bits, header.parts, False, values, tuple(runs)
    )


def _split(
    joined: NDArray[np.uint8],
    header: VdifHeader,
    inner: list[int],
    data: NDArray[np.uint8],
    rows: list[int],
) -> None:
    """Part the channels of joined frames; those of `inner` go to `rows` of data."""
    sample_bits = header.bits * header.parts
    word = _WORDS[sample_bits * header.channel_count]
    words = joined.view(word)
    to = np.full(header.channel_count, -1, dtype=np.int64)
    to[inner[::-1]] = rows[::-1]  # the first row of a channel that is asked for twice
    masks = exchange_masks(header.channel_count, sample_bits)
    split_channels(words, sample_bits, masks, to, data.view(word))
    for row, channel in zip(rows, inner, strict=True):
        if to[channel] != row:
            data[row] = data[to[channel]]


def _stretches(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the stretches of True, shape (n, 2)."""
    if there.all():
        return np.array([[0, len(there)]], dtype=np.int64)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2)
