"""Numba kernels that bring packed samples together without decoding them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

BATCH = 64
"""Words of a channel that are exchanged at a time."""


@kernel()
def copy_bytes(source: Bytes, target: Bytes) -> None:
    """Copy bytes; numba's own assignment of slices is several times slower."""
    for k in range(min(source.shape[0], target.shape[0])):
        target[k] = source[k]


@kernel()
def join_frames(data: Bytes, offsets: Integers, payload: int, out: Bytes) -> None:
    """Copy the payloads at `offsets` one after another; zeros where an offset is negative."""
    for i in range(offsets.shape[0]):
        target = out[i * payload : (i + 1) * payload]
        if offsets[i] < 0:
            target[:] = 0
        else:
            copy_bytes(data[offsets[i] : offsets[i] + payload], target)


@kernel()
def split_channels(words: Any, bits: int, masks: NDArray[np.uint64], out: Any) -> None:
    """Give each of n channels, `bits` bits a sample, a packed stream of its own.

    words (k n,) unsigned, a time's samples each: n * bits bits; out (n, k) likewise,
    n samples of a channel in a word; masks: see `exchange_masks`. The exchange is that
    of rows and columns of n x n fields by halves, quarters ... (Hacker's Delight,
    2nd ed., section 7-3), for `BATCH` squares at once, 64 bits at a time.
    """
    n = out.shape[0]
    work = np.empty((n, BATCH), words.dtype)
    wide = work.view(np.uint64)
    for begin in range(0, out.shape[1], BATCH):
        count = min(BATCH, out.shape[1] - begin)
        for k in range(count):
            square = words[(begin + k) * n : (begin + k + 1) * n]
            for row in range(n):
                work[row, k] = square[row]
        half, stage = n // 2, 0
        while half:
            shift, mask = np.uint64(half * bits), masks[stage]
            for row in range(n):
                if row & half:
                    continue
                low, high = wide[row], wide[row + half]
                for k in range(wide.shape[1]):
                    swapped = ((low[k] >> shift) ^ high[k]) & mask
                    high[k] ^= swapped
                    low[k] ^= swapped << shift
            half //= 2
            stage += 1
        for channel in range(n):
            for k in range(count):
                out[channel, begin + k] = work[channel, k]


def exchange_masks(channels: int, bits: int) -> NDArray[np.uint64]:
    """Return the fields that each stage of `split_channels` moves, repeated over 64 bits."""
    masks, half = [], channels // 2
    while half:
        fields = [f for f in range(64 // bits) if not f % channels & half]
        masks.append(sum(((1 << bits) - 1) << f * bits for f in fields))
        half //= 2
    return np.array(masks, dtype=np.uint64)
