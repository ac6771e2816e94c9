"""The lane-batched FX engine of one band: what it is given, its plans and its scratch memory.

Bins of 128 to 16384, a power of two, are transformed by the stages of
`_lane_front` and `_lane_passes`; other numbers, and machines without AVX2,
take `scipy.fft` (`kitestring.correlate.engine`).
"""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate._lane_kernels import Kind, pair_engine, tile_engine
from kitestring.correlate._lane_layout import ELEMENT, FIRST_RADIX, GROUP, PAD
from kitestring.correlate._vectors import HOST_LANES, LANES
from kitestring.correlate.inputs import BandInput

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Singles = NDArray[np.float32]

# radices of real samples (2 x bins points); of the last one only half is computed. The one
# before it times that half is 16 or more: a tile's width
PLANS = {
    128: (8, 4, 8),
    256: (8, 8, 8),
    512: (8, 4, 4, 8),
    1024: (8, 8, 4, 8),
    2048: (8, 8, 8, 8),
    4096: (8, 8, 4, 8, 4),
    8192: (8, 8, 8, 8, 4),
    16384: (8, 8, 8, 8, 8),
}
"""Radices of the transform of real samples, by bins."""


def serves(inputs: list[BandInput], bins: int) -> bool:
    """Tell whether this engine can do so many bins of these inputs on this machine."""
    return (
        bins in PLANS
        and HOST_LANES > 0
        # zoom bands and long segments are others' work
        and all(i.samples == i.piece == 2 * bins // i.parts for i in inputs)
        and len({item.stream.form for item in inputs}) <= 2
        and all(_affine(item.stream.levels) for item in inputs if 4 <= item.stream.form[0] <= 16)
    )


def _affine(levels: Singles) -> bool:
    """Tell whether levels are evenly spaced."""
    scale, offset = _scale(levels)
    even = offset + scale * np.arange(len(levels))
    return bool(np.max(np.abs(even - levels)) <= 1e-6 * np.max(np.abs(levels)))


def _scale(levels: Singles) -> tuple[float, float]:
    """Return scale and offset of evenly spaced levels."""
    return (float(levels[-1]) - float(levels[0])) / (len(levels) - 1), float(levels[0])


def plan_for(bins: int, parts: int) -> tuple[int, ...]:
    """Return the radices of real (parts 1) or complex (2) samples."""
    plan = PLANS[bins]
    return plan if parts == 1 else (*plan[:-1], plan[-1] // 2)


def bin_order(bins: int) -> Integers:
    """Return where bin k stands in the order that decimation in frequency leaves.

    Examples
    --------
    >>> int(bin_order(256)[1])  # the first radix' digit is the most significant
    32
    """
    plan = plan_for(bins, 2)
    order = np.zeros(bins, dtype=np.int64)
    rest, length = np.arange(bins), bins
    for radix in plan:
        length //= radix
        order += rest % radix * length
        rest //= radix
    return order


@lru_cache(maxsize=16)
def twiddle_table(plan: tuple[int, ...]) -> Singles:
    """Return the factors of all passes but the last, those of a butterfly side by side."""
    left, parts = math.prod(plan), []
    for radix in plan[:-1]:
        turns = np.outer(np.arange(left // radix), np.arange(1, radix)) / left
        left //= radix
        factors = np.exp(-2j * np.pi * turns).ravel()
        parts.append(np.stack([factors.real, factors.imag], axis=-1).ravel())
    table = aligned(sum(map(len, parts)), np.float32)
    table[:] = np.concatenate(parts)
    return table


def aligned(count: int, kind: Any) -> NDArray[Any]:
    """Return zeros that begin at a page, as loads of whole vectors ask for."""
    kind = np.dtype(kind)
    room = np.zeros(count * kind.itemsize + 4096, np.uint8)
    begin = -room.ctypes.data % 4096
    return room[begin : begin + count * kind.itemsize].view(kind)


class _Scratch:
    """Memory that the stages work in, kept by each thread."""

    def __init__(self, bins: int) -> None:
        points = 2 * bins
        legs = points // FIRST_RADIX
        self.data = [aligned((points + FIRST_RADIX * PAD) * ELEMENT, np.float32) for _ in (0, 1)]
        self.steps = aligned(8 * ELEMENT, np.float32)
        self.columns = aligned(LANES * ELEMENT, np.float32)
        spare = aligned(LANES * points + 128, np.float32)
        plain = aligned(2 * ELEMENT, np.float32)
        plain[LANES] = plain[ELEMENT + LANES] = 1.0
        self.shared = (
            np.zeros((5, LANES)),
            aligned(5 * ELEMENT, np.float32),
            aligned(max(legs // GROUP, 1) * ELEMENT, np.float32),
            aligned(FIRST_RADIX * LANES * LANES, np.uint32),
            spare,
            np.zeros(LANES, dtype=np.int64),
            plain,
        )


_KEPT = threading.local()


def _scratch(bins: int) -> _Scratch:
    if getattr(_KEPT, "bins", None) != bins:
        _KEPT.bins, _KEPT.scratch = bins, _Scratch(bins)
    found: _Scratch = _KEPT.scratch
    return found


def multiply_inputs(inputs: list[BandInput], bins: int, pairs: Integers) -> NDArray[np.complex128]:
    """Return the sums over segments of X1 conj(X2), shape (pair, bin).

    Parameters
    ----------
    inputs : list of BandInput
        Inputs that this engine `serves`.
    bins : int
        Bins of a band.
    pairs : ndarray of int64, shape (pair, 2)
        Indices of the inputs of each product.
    """
    if len(inputs) == 2:
        return _multiply_two(inputs, bins, pairs)
    return _multiply_many(inputs, bins, pairs)


def _kind(item: BandInput, bins: int) -> Kind:
    return plan_for(bins, item.parts), item.stream.form


def _arrays(inputs: list[BandInput]) -> tuple[Any, ...]:
    """Lay the inputs out as the compiled engines take them, whole batches each."""
    segments = len(inputs[0].first)
    batches = -(-segments // LANES)
    room = batches * LANES
    first = np.empty((len(inputs), room), np.int64)
    phase = np.zeros((len(inputs), 3, room))
    some = np.zeros((len(inputs), room), dtype=np.bool_)
    levels = aligned(len(inputs) * 2 * ELEMENT, np.float32).reshape(len(inputs), 2, ELEMENT)
    for i, item in enumerate(inputs):
        first[i, :segments], first[i, segments:] = item.first, item.first[-1]
        phase[i, 0, :segments], phase[i, 1, :segments] = item.start[:, 0], item.step[:, 0]
        phase[i, 2, :segments] = item.valid > 0  # lanes beyond the last segment stay zero
        # invalid samples of decoded streams are zero already
        if item.stream.form[0] < 32:
            some[i, :segments] = (item.valid > 0) & (item.valid < item.samples)
        _set_levels(item, levels[i])
    bits = np.array([item.stream.form[0] * item.parts for item in inputs], dtype=np.int64)
    return (
        np.array([item.stream.data.ctypes.data for item in inputs], dtype=np.int64),
        first * bits[:, np.newaxis],
        first,
        phase,
        some.reshape(len(inputs), batches, LANES).any(axis=2).astype(np.uint8),
        np.array([item.stream.form for item in inputs], dtype=np.int64),
        levels.reshape(len(inputs), 2 * ELEMENT),
        np.concatenate([item.stream.runs for item in inputs]),
        np.cumsum([0, *(len(item.stream.runs) for item in inputs)]),
    )


def _set_levels(item: BandInput, levels: Singles) -> None:
    """Set how the codes of both parts are decoded; see `_lane_front.begin`."""
    bits = item.stream.form[0]
    for part in range(item.parts):
        sign = -1.0 if part == 1 and item.conjugate else 1.0
        if bits == 32:
            levels[part, LANES] = sign
        elif bits <= 2:
            table = item.stream.levels
            if item.stream.form[2]:  # levels stand in the order of offset binary
                table = np.roll(table, len(table) // 2)
            levels[part, :LANES] = sign * np.tile(table, LANES >> bits)
        else:
            scale, offset = _scale(item.stream.levels)
            levels[part, LANES], levels[part, LANES + 1] = sign * scale, sign * offset


def _weights(bins: int) -> Integers:
    return np.cumprod((1, *PLANS[bins][:-1]))


def _padded(turn: Floats) -> Floats:
    rest = -turn.shape[-1] % LANES
    return np.pad(turn, [(0, 0)] * (turn.ndim - 1) + [(0, rest)])


def _multiply_two(inputs: list[BandInput], bins: int, pairs: Integers) -> NDArray[np.complex128]:
    kinds = [_kind(item, bins) for item in inputs]
    scratch = _scratch(bins)
    sums, total = aligned(bins * LANES, np.float32), np.zeros(bins * LANES)
    pair_engine(kinds[0], kinds[1], PLANS[bins][-1] // 2)(
        _arrays(inputs),
        _padded(inputs[0].turn - inputs[1].turn),
        _weights(bins),
        *(twiddle_table(plan) for plan, _ in kinds),
        scratch.shared,
        *scratch.data,
        scratch.steps,
        sums,
        total,
    )
    found = total.reshape(bins, 4, LANES // 4).sum(axis=2)[bin_order(bins)]
    cross = found[:, 2] + 1j * found[:, 3]
    products = {(0, 0): found[:, 0], (1, 1): found[:, 1], (0, 1): cross, (1, 0): cross.conj()}
    return np.array([products[int(i), int(j)] for i, j in pairs], dtype=np.complex128)


def _multiply_many(inputs: list[BandInput], bins: int, pairs: Integers) -> NDArray[np.complex128]:
    kinds = sorted({_kind(item, bins) for item in inputs})
    block = 3 if len(inputs) % 3 == 0 else 2
    blocks = -(-len(inputs) // block)
    ordered = sorted({(min(i, j), max(i, j)) for i, j in pairs.tolist()})
    # what no one wants is summed in a slot of its own
    slot = np.full((blocks * block, blocks * block), len(ordered), dtype=np.int64)
    for k, (i, j) in enumerate(ordered):
        slot[i, j] = k
    places = slot.reshape(blocks, block, blocks, block).transpose(0, 2, 1, 3)
    wanted = (places < len(ordered)).any(axis=(2, 3)).astype(np.uint8)
    count = len(ordered) + 1
    sums = aligned(bins // LANES * count * ELEMENT, np.float32)
    total = np.zeros(len(sums))
    scratch = _scratch(bins)
    tile_engine(kinds[0], kinds[-1], PLANS[bins][-1] // 2, block)(
        _arrays(inputs),
        _padded(np.array([item.turn for item in inputs])),
        _weights(bins),
        *(twiddle_table(plan) for plan, _ in (kinds[0], kinds[-1])),
        scratch.shared,
        scratch.data[0],
        scratch.steps,
        scratch.columns,
        aligned(bins * blocks * block * ELEMENT, np.float32),
        np.array([_kind(item, bins) != kinds[0] for item in inputs], dtype=np.uint8),
        np.ascontiguousarray(places * ELEMENT).reshape(blocks, blocks, block * block),
        wanted,
        sums,
        total,
    )
    parts = total.reshape(bins // LANES, count, 2, LANES).transpose(1, 2, 0, 3)
    parts = parts.reshape(count, 2, bins)[:, :, bin_order(bins)]
    spectra = parts[:, 0] + 1j * parts[:, 1]
    rank = {pair: k for k, pair in enumerate(ordered)}
    return np.array(
        [spectra[rank[i, j]] if i <= j else spectra[rank[j, i]].conj() for i, j in pairs.tolist()],
        dtype=np.complex128,
    )
