"""The lane-batched FX engine: loops over batches of segments, compiled for a size and a format.

A batch is `LANES` segments. Phasors are set up in float64 with a polynomial of
our own, which vectorises where a call of sine does not.
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
from kitestring.correlate._lane_layout import ELEMENT, GROUP, address_of, byte_at
from kitestring.correlate._lane_passes import finish_pair, finish_tile, multiply_block
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
ROUND = 6755399441055744.0  # 1.5 * 2^52: adding and taking it away rounds to a whole number
FLUSH = 8  # batches that are summed in float32

_COSINE = tuple((-1.0) ** k / math.factorial(2 * k) for k in range(10))
_SINE = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(10))
C0, C1, C2, C3, C4, C5, C6, C7, C8, C9 = _COSINE
S0, S1, S2, S3, S4, S5, S6, S7, S8, S9 = _SINE


@kernel(fastmath=CONTRACT)
def phasors(turns: Floats, factor: float, cosine: Floats, sine: Floats) -> None:
    """Set the cosine and sine of 2 pi factor turns[lane], to 1e-12, for `LANES` lanes."""
    for lane in range(LANES):
        x = turns[lane] * factor
        x -= (x + ROUND) - ROUND
        x *= math.pi  # half of the angle
        z = x * x
        c = C4 + z * (C5 + z * (C6 + z * (C7 + z * (C8 + z * C9))))
        c = C0 + z * (C1 + z * (C2 + z * (C3 + z * c)))
        s = S4 + z * (S5 + z * (S6 + z * (S7 + z * (S8 + z * S9))))
        s = x * (S0 + z * (S1 + z * (S2 + z * (S3 + z * s))))
        cosine[lane] = c * c - s * s
        sine[lane] = 2.0 * c * s


@kernel(fastmath=CONTRACT)
def times(ar: Floats, ai: Floats, br: Floats, bi: Floats) -> None:
    """Multiply the complex lanes (ar, ai) by (br, bi), in place."""
    for lane in range(LANES):
        real = ar[lane] * br[lane] - ai[lane] * bi[lane]
        ai[lane] = ar[lane] * bi[lane] + ai[lane] * br[lane]
        ar[lane] = real


@kernel(fastmath=CONTRACT)
def put(out: Singles, at: int, real: Floats, imag: Floats) -> None:
    """Store complex lanes as an element."""
    for lane in range(LANES):
        out[at + lane] = np.float32(real[lane])
    for lane in range(LANES):
        out[at + LANES + lane] = np.float32(imag[lane])


@kernel(fastmath=CONTRACT)
def set_phasors(
    start: Floats, step: Floats, amplitude: Floats, legs: int, lanes: Floats, spin: Singles,
    groups: Singles,
) -> None:  # fmt: skip
    """Set what `begin` rotates a batch by.

    start, step (LANES,): phase of the first sample and step from one sample to
    the next, cycles; amplitude (LANES,): 0 for a lane without samples. Sets
    groups[g] to the phasor of the samples g GROUP + 3.5 legs, and spin to the
    phasors of one step and of 0.5, 1.5, 2.5 and 3.5 legs. lanes (5, LANES): scratch.
    """
    a, b, c, d, centre = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4]
    phasors(step, 1.0, a, b)
    put(spin, 0, a, b)
    phasors(step, 0.5 * legs, a, b)
    phasors(step, 1.0 * legs, c, d)
    for h in range(4):
        put(spin, (h + 1) * ELEMENT, a, b)
        times(a, b, c, d)
    for lane in range(LANES):
        centre[lane] = start[lane] + 3.5 * legs * step[lane]
    phasors(centre, 1.0, a, b)
    for lane in range(LANES):
        a[lane] *= amplitude[lane]
        b[lane] *= amplitude[lane]
    phasors(step, 1.0 * GROUP, c, d)
    for g in range(legs // GROUP):
        put(groups, g * ELEMENT, a, b)
        times(a, b, c, d)


@kernel(fastmath=CONTRACT)
def set_ramp(turn: Floats, weights: Integers, lanes: Floats, steps: Singles) -> None:
    """Set the steps of a ramp: turn (LANES,) cycles a bin, weights (digit,) bins a step."""
    for digit in range(weights.shape[0]):
        phasors(turn, float(weights[digit]), lanes[0], lanes[1])
        put(steps, digit * ELEMENT, lanes[0], lanes[1])


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
def load_batch(
    plan: tuple[int, ...], form: Form, floats: Form, legs: int, twiddles: Singles, channel: int,
    low: int, inputs: Any, scratch: Any, data: Singles,
) -> None:  # fmt: skip
    """Make the first pass of a channel's segments low ... low + LANES."""
    packed, starts, first, phase, partial, forms, levels, runs, run_edges = inputs
    lanes, spin, groups, words, spare, spare_starts, plain = scratch
    high = low + LANES
    set_phasors(
        phase[channel, 0, low:high], phase[channel, 1, low:high], phase[channel, 2, low:high],
        legs, lanes, spin, groups,
    )  # fmt: skip
    if partial[channel, low // LANES]:
        decode_lanes(
            packed[channel], starts[channel, low:high], first[channel, low:high], 8 * legs,
            forms[channel], levels[channel], runs[run_edges[channel] : run_edges[channel + 1]],
            spare, spare_starts,
        )  # fmt: skip
        begin(
            plan, floats, address_of(spare), spare_starts, plain, spin, groups, words, data,
            twiddles,
        )  # fmt: skip
    else:
        begin(
            plan, form, packed[channel], starts[channel, low:high], levels[channel], spin, groups,
            words, data, twiddles,
        )  # fmt: skip


@cache
def pair_engine(kind1: Kind, kind2: Kind, outputs: int) -> Callable[..., None]:
    """Return the engine of two channels, compiled on its first use.

    outputs: wanted outputs of the last pass. The engine adds to total (bins LANES,)
    what `finish_pair` gives. turn (segment,): ramp of X1 conj(X2), cycles a bin.
    The other arguments: see `kitestring.correlate.lanes`.
    """
    (plan1, form1), (plan2, form2) = kind1, kind2
    legs1, legs2 = math.prod(plan1) // 8, math.prod(plan2) // 8
    floats1, floats2 = _floats(form1), _floats(form2)

    @kernel()
    def run(
        inputs: Any, turn: Floats, weights: Integers, twiddles1: Singles, twiddles2: Singles,
        scratch: Any, data1: Singles, data2: Singles, steps: Singles, sums: Singles,
        total: Floats,
    ) -> None:  # fmt: skip
        batches = turn.shape[0] // LANES
        for b in range(batches):
            low = b * LANES
            load_batch(plan1, form1, floats1, legs1, twiddles1, 0, low, inputs, scratch, data1)
            load_batch(plan2, form2, floats2, legs2, twiddles2, 1, low, inputs, scratch, data2)
            set_ramp(turn[low : low + LANES], weights, scratch[0], steps)
            finish_pair(plan1, plan2, outputs, data1, twiddles1, data2, twiddles2, steps, sums)
            if (b + 1) % FLUSH == 0 or b == batches - 1:
                flush(sums, total)

    return run


@cache
def tile_engine(kind1: Kind, kind2: Kind, outputs: int, block: int) -> Callable[..., None]:
    """Return the engine of any number of channels of two kinds, compiled on its first use.

    block: channels are multiplied by blocks of so many. The engine adds to total
    (bins / LANES, slot, ELEMENT), flat. second (channel,) tells which channels are of
    kind2; turn (channel, segment) cycles a bin; places (row, column, block * block)
    tells the slot of a pair's product times ELEMENT, wanted (row, column) which blocks have any.
    """
    (plan1, form1), (plan2, form2) = kind1, kind2
    legs1, legs2 = math.prod(plan1) // 8, math.prod(plan2) // 8
    floats1, floats2 = _floats(form1), _floats(form2)
    mixed = kind1 != kind2

    @kernel()
    def run(
        inputs: Any, turn: Floats, weights: Integers, twiddles1: Singles, twiddles2: Singles,
        scratch: Any, data: Singles, steps: Singles, columns: Singles, tiles: Singles,
        second: Bytes, places: Integers, wanted: Bytes, sums: Singles, total: Floats,
    ) -> None:  # fmt: skip
        batches = turn.shape[1] // LANES
        blocks = wanted.shape[0]
        segment = blocks * block * ELEMENT
        tile = segment * LANES
        slots = sums.shape[0] // (tiles.shape[0] // tile)
        flat = places.reshape(-1)
        for b in range(batches):
            low = b * LANES
            for c in range(turn.shape[0]):
                set_ramp(turn[c, low : low + LANES], weights, scratch[0], steps)
                if mixed and second[c]:
                    load_batch(
                        plan2, form2, floats2, legs2, twiddles2, c, low, inputs, scratch, data
                    )
                    finish_tile(
                        plan2, outputs, data, twiddles2, steps, columns, tiles, c * ELEMENT,
                        segment, tile,
                    )  # fmt: skip
                else:
                    load_batch(
                        plan1, form1, floats1, legs1, twiddles1, c, low, inputs, scratch, data
                    )
                    finish_tile(
                        plan1, outputs, data, twiddles1, steps, columns, tiles, c * ELEMENT,
                        segment, tile,
                    )  # fmt: skip
            for t in range(tiles.shape[0] // tile):
                for i in range(blocks):
                    one = t * tile + i * block * ELEMENT
                    place = (i * blocks + i) * block * block
                    if wanted[i, i]:
                        multiply_block(
                            block, 1, tiles, one, one, segment, flat, place, sums, t * slots
                        )
                    for j in range(i + 1, blocks):
                        if wanted[i, j]:
                            multiply_block(
                                block, 0, tiles, one, t * tile + j * block * ELEMENT, segment,
                                flat, (i * blocks + j) * block * block, sums, t * slots,
                            )  # fmt: skip
            if (b + 1) % FLUSH == 0 or b == batches - 1:
                flush(sums, total)

    return run


def _floats(form: Form) -> Form:
    """Return the form of decoded samples."""
    return (32, form[1], 0)
