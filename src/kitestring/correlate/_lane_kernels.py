"""The lane-batched FX engine: loops over batches of segments, compiled for a size and a format.

A batch is `LANES` segments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel
from kitestring.correlate._lane_front import begin
from kitestring.correlate._lane_layout import (
    ELEMENT,
    address_of,
    byte_at,
    float_at,
    integer_at,
)
from kitestring.correlate._lane_passes import finish_pair, finish_tile, multiply_block
from kitestring.correlate._lane_phasors import set_phasors, set_ramp
from kitestring.correlate._vectors import LANES

Bytes = NDArray[np.uint8]
Singles = NDArray[np.float32]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Form = tuple[int, int, int]
"""Bits of a part, parts of a sample (2: complex), signed (1: two's complement)."""
Kind = tuple[tuple[int, ...], Form]
"""Radices of a channel's transform and the form of its samples."""

CONTRACT = {"contract"}
FLUSH = 8  # batches that are summed in float32


@kernel()
def decode_lanes(
    packed: int, starts: Integers, first: Integers, samples: int, form: Integers,
    levels: Singles, runs: Integers, out: Singles, out_starts: Integers,
) -> None:  # fmt: skip
    """Decode `LANES` segments one sample after the other, invalid ones as zero.

    packed, starts, levels: as in `begin`; form (3,): bits, parts, signed. first (LANES,):
    the segments' first samples, counted as runs (n, 2) is: the stretches of valid
    samples, ascending. out (LANES * samples * parts,); out_starts (LANES,): its
    bits where the lanes begin.
    """
    bits, parts = form[0], form[1]
    mask = (1 << bits) - 1
    flip = (1 << (bits - 1)) if form[2] else 0
    length = samples * parts
    out[: LANES * length] = 0
    for lane in range(LANES):
        out_starts[lane] = lane * length * 32
        a, b = first[lane], first[lane] + samples
        for r in range(np.searchsorted(runs[:, 1], a, side="right"), runs.shape[0]):
            if runs[r, 0] >= b:
                break
            for n in range(max(runs[r, 0], a) - a, min(runs[r, 1], b) - a):
                for part in range(parts):
                    bit = starts[lane] + (n * parts + part) * bits
                    byte = bit >> 3
                    word = byte_at(packed, byte) | byte_at(packed, byte + 1) << 8
                    code = (word >> (bit & 7)) & mask
                    at = part * ELEMENT
                    if bits <= 2:
                        value = levels[at + code]
                    else:
                        scale, offset = levels[at + LANES], levels[at + LANES + 1]
                        value = np.float32(code ^ flip) * scale + offset
                    out[lane * length + n * parts + part] = value


@kernel()
def flush(sums: Singles, total: Floats) -> None:
    """Add float32 sums to a float64 total and clear them."""
    for k in range(sums.shape[0]):
        total[k] += sums[k]
    sums[:] = 0.0


@kernel(inline="always")
def place_batch(
    c: int, low: int, stop: int, samples: int, decoded: bool, inputs: Any, batch: Floats,
    places: Integers,
) -> bool:  # fmt: skip
    """Lay out segments low ... low + LANES of a channel; those from `stop` on count for nothing.

    Sets batch (4, LANES) to start, step, amplitude and turn, and places (2, LANES) to the
    bits that the lanes begin at and their first samples. Tells whether any is partly valid.
    """
    bits, first, start, step, turn, valid = inputs[1:7]
    partial = False
    for lane in range(LANES):
        m = min(low + lane, stop - 1)
        amplitude = 1.0 if low + lane < stop else 0.0
        if valid[c]:
            count = integer_at(valid[c], m)
            if count == 0:
                amplitude = 0.0
            elif count < samples and not decoded:  # decoded samples that are invalid are zero
                partial = True
        batch[0, lane] = float_at(start[c], m)
        batch[1, lane] = float_at(step[c], m)
        batch[2, lane] = amplitude
        batch[3, lane] = float_at(turn[c], m)
        places[1, lane] = integer_at(first[c], m)
        places[0, lane] = places[1, lane] * bits[c]
    return partial


@kernel(inline="always")
def load_batch(
    plan: tuple[int, ...], form: Form, floats: Form, legs: int, twiddles: Singles, c: int,
    low: int, stop: int, inputs: Any, scratch: Any, data: Singles,
) -> None:  # fmt: skip
    """Make the first pass of a channel's segments low ... low + LANES."""
    packed, forms, levels, runs, run_edges = inputs[0], inputs[7], inputs[8], inputs[9], inputs[10]
    spin, groups, words, spare, spare_starts, plain, batch, places, _ = scratch
    partial = place_batch(c, low, stop, 8 * legs, form[0] == 32, inputs, batch, places)
    set_phasors(legs, batch, spin, groups)
    if partial:
        decode_lanes(
            packed[c], places[0], places[1], 8 * legs, forms[c], levels[c],
            runs[run_edges[c] : run_edges[c + 1]], spare, spare_starts,
        )  # fmt: skip
        begin(
            plan, floats, address_of(spare), spare_starts, plain, spin, groups, words, data,
            twiddles,
        )  # fmt: skip
    else:
        begin(
            plan, form, packed[c], places[0], levels[c], spin, groups, words, data, twiddles
        )  # fmt: skip


@kernel()
def give_pair(total: Floats, order: Integers, kinds: Integers, out: Floats) -> None:
    """Put the sums of `finish_pair` in order: out (pair, bin, 2).

    kinds (pair,): 0 and 1 for the powers, 2 for X1 conj(X2) and 3 for its conjugate.
    """
    part = LANES // 4
    sums = np.zeros(4)
    for k in range(order.shape[0]):
        at = order[k] * LANES
        for q in range(4):
            one = 0.0
            for lane in range(part):
                one += total[at + q * part + lane]
            sums[q] = one
        for p in range(kinds.shape[0]):
            kind = kinds[p]
            out[p, k, 0] = sums[min(kind, 2)]
            out[p, k, 1] = 0.0 if kind < 2 else (sums[3] if kind == 2 else -sums[3])


@kernel()
def give_tile(total: Floats, order: Integers, slots: Integers, count: int, out: Floats) -> None:
    """Put the sums of `multiply_block` in order: out (pair, bin, 2).

    slots (pair, 2): the slot of each pair, and 1 where its conjugate is wanted; count: of slots.
    """
    for p in range(slots.shape[0]):
        slot = slots[p, 0] * ELEMENT
        sign = -1.0 if slots[p, 1] else 1.0
        for k in range(order.shape[0]):
            at = order[k] // LANES * count * ELEMENT + slot + order[k] % LANES
            out[p, k, 0] = total[at]
            out[p, k, 1] = sign * total[at + LANES]


@cache
def pair_engine(kind1: Kind, kind2: Kind, outputs: int) -> Callable[..., None]:
    """Return the engine of two channels, compiled on its first use.

    outputs: wanted outputs of the last pass. members (work, 2): the channels of each piece
    of work; parts (part, 2): segments low ... stop of each. Sets out (work, part, pair, bin, 2);
    kinds: see `give_pair`. The other arguments: see `kitestring.correlate.lanes`.
    """
    (plan1, form1), (plan2, form2) = kind1, kind2
    legs1, legs2 = math.prod(plan1) // 8, math.prod(plan2) // 8
    floats1, floats2 = _floats(form1), _floats(form2)

    @kernel()
    def run(
        inputs: Any, members: Integers, parts: Integers, twiddles1: Singles, twiddles2: Singles,
        scratch: Any, data1: Singles, data2: Singles, steps: Singles,
        sums: Singles, total: Floats, order: Integers, kinds: Integers, out: Floats,
    ) -> None:  # fmt: skip
        batch, ramp = scratch[6], scratch[8]
        for w in range(members.shape[0]):
            one, two = members[w, 0], members[w, 1]
            for p in range(parts.shape[0]):
                begin_, stop = parts[p, 0], parts[p, 1]
                total[:] = 0.0
                for b, low in enumerate(range(begin_, stop, LANES)):
                    load_batch(
                        plan1, form1, floats1, legs1, twiddles1, one, low, stop, inputs, scratch,
                        data1,
                    )  # fmt: skip
                    for lane in range(LANES):
                        ramp[lane] = batch[3, lane]
                    load_batch(
                        plan2, form2, floats2, legs2, twiddles2, two, low, stop, inputs, scratch,
                        data2,
                    )  # fmt: skip
                    for lane in range(LANES):
                        ramp[lane] -= batch[3, lane]
                    set_ramp(plan1, ramp, steps)
                    finish_pair(
                        plan1, plan2, outputs, data1, twiddles1, data2, twiddles2, steps, sums
                    )
                    if (b + 1) % FLUSH == 0 or low + LANES >= stop:
                        flush(sums, total)
                give_pair(total, order, kinds, out[w, p])

    return run


@cache
def tile_engine(kind1: Kind, kind2: Kind, outputs: int, block: int) -> Callable[..., None]:
    """Return the engine of any number of channels of two kinds, compiled on its first use.

    block: channels are multiplied by blocks of so many. members (work, channel) and parts
    are as in `pair_engine`. second (channel,) tells which channels are of kind2; places
    (row, column, block * block) tells the slot of a pair's product times ELEMENT, wanted
    (row, column) which blocks have any. Sets out (work, part, pair, bin, 2); slots: see
    `give_tile`.
    """
    (plan1, form1), (plan2, form2) = kind1, kind2
    legs1, legs2 = math.prod(plan1) // 8, math.prod(plan2) // 8
    floats1, floats2 = _floats(form1), _floats(form2)
    mixed = kind1 != kind2

    @kernel()
    def run(
        inputs: Any, members: Integers, parts: Integers, twiddles1: Singles, twiddles2: Singles,
        scratch: Any, data: Singles, steps: Singles, columns: Singles,
        tiles: Singles, second: Bytes, places: Integers, wanted: Bytes, sums: Singles,
        total: Floats, order: Integers, slots: Integers, count: int, out: Floats,
    ) -> None:  # fmt: skip
        batch = scratch[6]
        blocks = wanted.shape[0]
        segment = blocks * block * ELEMENT
        tile = segment * LANES
        flat = places.reshape(-1)
        for w in range(members.shape[0]):
            for p in range(parts.shape[0]):
                begin_, stop = parts[p, 0], parts[p, 1]
                total[:] = 0.0
                for b, low in enumerate(range(begin_, stop, LANES)):
                    for i in range(members.shape[1]):
                        c = members[w, i]
                        if mixed and second[i]:
                            load_batch(
                                plan2, form2, floats2, legs2, twiddles2, c, low, stop, inputs,
                                scratch, data,
                            )  # fmt: skip
                            set_ramp(plan2, batch[3], steps)
                            finish_tile(
                                plan2, outputs, data, twiddles2, steps, columns, tiles,
                                i * ELEMENT, segment, tile,
                            )  # fmt: skip
                        else:
                            load_batch(
                                plan1, form1, floats1, legs1, twiddles1, c, low, stop, inputs,
                                scratch, data,
                            )  # fmt: skip
                            set_ramp(plan1, batch[3], steps)
                            finish_tile(
                                plan1, outputs, data, twiddles1, steps, columns, tiles,
                                i * ELEMENT, segment, tile,
                            )  # fmt: skip
                    for t in range(tiles.shape[0] // tile):
                        to = t * count * ELEMENT
                        for i in range(blocks):
                            one = t * tile + i * block * ELEMENT
                            place = (i * blocks + i) * block * block
                            if wanted[i, i]:
                                multiply_block(
                                    block, 1, tiles, one, one, segment, flat, place, sums, to
                                )
                            for j in range(i + 1, blocks):
                                if wanted[i, j]:
                                    multiply_block(
                                        block, 0, tiles, one, t * tile + j * block * ELEMENT,
                                        segment, flat, (i * blocks + j) * block * block, sums, to,
                                    )  # fmt: skip
                    if (b + 1) % FLUSH == 0 or low + LANES >= stop:
                        flush(sums, total)
                give_tile(total, order, slots, count, out[w, p])

    return run


def _floats(form: Form) -> Form:
    """Return the form of decoded samples."""
    return (32, form[1], 0)
