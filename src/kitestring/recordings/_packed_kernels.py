"""Numba kernels that bring packed samples together without decoding them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from kitestring._jit import kernel

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

BATCH = 64
"""Words of a channel that are exchanged at a time."""


@intrinsic
def copy(typing: Any, source: Any, target: Any) -> Any:
    """Copy one contiguous array to another of the same kind, at least as long.

    numba's own assignment of slices is several times slower.
    """

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, given, strict=True)
        ]
        size = builder.mul(arrays[0].nitems, arrays[0].itemsize)
        cgutils.raw_memcpy(builder, arrays[1].data, arrays[0].data, size, 1)
        return context.get_dummy_value()

    return types.void(source, target), emit


@kernel()
def join_frames(data: Bytes, offsets: Integers, payload: int, out: Bytes) -> None:
    """Copy the payloads at `offsets` one after another; zeros where an offset is negative."""
    for i in range(offsets.shape[0]):
        target = out[i * payload : (i + 1) * payload]
        if offsets[i] < 0:
            target[:] = 0
        else:
            copy(data[offsets[i] : offsets[i] + payload], target)


@kernel()
def split_channels(
    words: Any, bits: int, masks: NDArray[np.uint64], rows: Integers, out: Any
) -> None:
    """Give each of n channels, `bits` bits a sample, a packed stream of its own.

    words (k n,) unsigned, a time's samples each: n * bits bits; masks: see
    `exchange_masks`; rows (n,): where in out (row, k or more) each channel's stream goes, n
    samples in a word; -1: nowhere. The exchange is that
    of rows and columns of n x n fields by halves, quarters ... (Hacker's Delight,
    2nd ed., section 7-3), for `BATCH` squares at once, 64 bits at a time.
    """
    n = rows.shape[0]
    total = words.shape[0] // n
    work = np.empty((n, BATCH), words.dtype)
    wide = work.view(np.uint64)
    for begin in range(0, total, BATCH):
        count = min(BATCH, total - begin)
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
            if rows[channel] >= 0:
                copy(work[channel, :count], out[rows[channel], begin : begin + count])


def exchange_masks(channels: int, bits: int) -> NDArray[np.uint64]:
    """Return the fields that each stage of `split_channels` moves, repeated over 64 bits."""
    masks, half = [], channels // 2
    while half:
        fields = [f for f in range(64 // bits) if not f % channels & half]
        masks.append(sum(((1 << bits) - 1) << f * bits for f in fields))
        half //= 2
    return np.array(masks, dtype=np.uint64)
