"""Decoding the samples of VDIF frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.recordings._kernels import unpack_bytes, unpack_wide
from kitestring.recordings.vdif_header import VdifHeader
from kitestring.recordings.vdif_scan import Bytes

MARK5B_CODES = {1: np.array([1, 0]), 2: np.array([0, 2, 1, 3])}
"""What sign (bit 0) and magnitude (bit 1) mean as offset binary, by bits.

Source: Mark 5B User's Manual (Haystack), appendix A; one bit set is negative, as DiFX's
mark5access has it.
"""


def decode(
    data: Bytes,
    offsets: NDArray[np.int64],
    skip: int,
    header: VdifHeader,
    inner: list[int],
    table: NDArray[Any],
    out: NDArray[Any],
    valid: NDArray[np.bool_],
) -> None:
    """Decode the channels `inner` of frames whose samples begin at `offsets`."""
    sample_bits = header.bits * header.parts
    time_bits = sample_bits * header.channel_count
    first_bits = np.array(inner, dtype=np.int64) * sample_bits
    if sample_bits > 8 or header.bits == 16:
        unpack_wide(
            data, offsets, skip, header.frame_samples, time_bits // 8, first_bits // 8,
            table, header.bits // 8, out, valid,
        )  # fmt: skip
        return
    looks = max(8 // time_bits, 1)
    shifts = np.arange(looks)[:, np.newaxis] * time_bits + np.arange(header.parts) * header.bits
    bytes_ = np.arange(256)[np.newaxis, :, np.newaxis]
    start = first_bits if time_bits < 8 else first_bits % 8
    if header.mark5b_coding:
        table = table[MARK5B_CODES[header.bits]]
    codes = bytes_ >> (start[:, np.newaxis, np.newaxis] + shifts.ravel()) & (1 << header.bits) - 1
    unpack_bytes(
        data, offsets, skip, header.frame_samples, max(time_bits // 8, 1),
        first_bits // 8, table[codes], looks, _shared(header, inner), out, valid,
    )  # fmt: skip


def _shared(header: VdifHeader, inner: list[int]) -> int:
    """Return how many channels may be decoded together (see `unpack_bytes`)."""
    sample_bits = header.bits * header.parts
    group = 8 // sample_bits
    if header.channel_count < group or (group, header.parts) not in ((4, 1), (2, 1), (2, 2)):
        return 1
    neighbours = inner == list(range(inner[0], inner[0] + len(inner)))
    return group if neighbours and len(inner) % group == inner[0] % group == 0 else 1


def blank(
    data: Bytes,
    offsets: NDArray[np.int64],
    skip: int,
    header: VdifHeader,
    inner: list[int],
    out: NDArray[Any],
    valid: NDArray[np.bool_],
) -> None:
    """Make samples of channels invalid that a frame's mask (extended data version 4) leaves out."""
    frames = np.flatnonzero(offsets >= 0)
    words = data[offsets[frames, np.newaxis] + np.arange(24, 32)]
    mask = np.ascontiguousarray(words).view("<u8")[:, 0]
    shift = np.array(inner, dtype=np.uint64) * header.mask_bits // header.channel_count
    bad = (mask[:, np.newaxis] >> shift & 1) == 0
    for f, row in zip(*np.nonzero(bad), strict=True):
        at = int(frames[f]) * header.frame_samples - skip
        begin, end = max(at, 0), min(at + header.frame_samples, valid.shape[1])
        out[row, begin * header.parts : end * header.parts] = 0
        valid[row, begin:end] = False
