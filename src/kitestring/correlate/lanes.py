"""The lane-batched FX engine of one band: what it is given, its plans and its scratch memory.

Bins of 128 to 16384, a power of two, are transformed by the stages of
`_lane_front` and `_lane_passes`; other numbers, and machines without AVX2,
take `scipy.fft` (`kitestring.correlate.engine`).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate._lane_kernels import Form, Kind, pair_engine, tile_engine
from kitestring.correlate._lane_layout import ELEMENT, FIRST_RADIX, GROUP, PAD
from kitestring.correlate._vectors import HOST_LANES, LANES
from kitestring.correlate.inputs import BandInput, Work

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
MOST_KEPT = 3
"""Numbers of bins that a thread keeps memory for."""


def serves(work: Work) -> bool:
    """Tell whether this engine can do a piece of work on this machine."""
    inputs, bins = work.inputs, work.bins
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


@lru_cache(maxsize=16)
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
        self._rooms: dict[str, NDArray[Any]] = {}
        self.data = [aligned((points + FIRST_RADIX * PAD) * ELEMENT, np.float32) for _ in (0, 1)]
        self.steps = aligned(8 * ELEMENT, np.float32)
        self.columns = aligned(LANES * ELEMENT, np.float32)
        spare = aligned(LANES * points + 128, np.float32)
        plain = aligned(2 * ELEMENT, np.float32)
        plain[LANES] = plain[ELEMENT + LANES] = 1.0
        self.shared = (
            aligned(5 * ELEMENT, np.float32),
            aligned(max(legs // GROUP, 1) * ELEMENT, np.float32),
            aligned(FIRST_RADIX * LANES * LANES, np.uint32),
            spare,
            np.zeros(LANES, dtype=np.int64),
            plain,
            np.zeros((4, LANES)),
            np.zeros((2, LANES), dtype=np.int64),
            np.zeros(LANES),
        )

    def room(self, name: str, count: int, kind: Any) -> NDArray[Any]:
        """Return memory by name, zeros at first; sums are zero before and after each run."""
        kept = self._rooms.get(name)
        if kept is None or len(kept) != count:
            kept = self._rooms[name] = aligned(count, kind)
        return kept


class _Kept(threading.local):
    """The scratch memory of a thread, by bins: bands of different widths take turns."""

    def __init__(self) -> None:
        self.by_bins: dict[int, _Scratch] = {}


_KEPT = _Kept()
_MAKING = threading.Lock()  # else each thread makes, and compiles, an engine of its own


def _scratch(bins: int) -> _Scratch:
    if bins not in _KEPT.by_bins:
        if len(_KEPT.by_bins) >= MOST_KEPT:
            _KEPT.by_bins.clear()
        _KEPT.by_bins[bins] = _Scratch(bins)
    return _KEPT.by_bins[bins]


def multiply(
    works: Sequence[Work], parts: Sequence[tuple[int, int]]
) -> list[NDArray[np.complex128]]:
    """Do what `kitestring.correlate.multiply.multiply` does, of work that this engine `serves`."""
    found: list[Any] = [None] * len(works)
    alike: dict[Any, list[int]] = {}
    for k, work in enumerate(works):
        kinds = tuple(_kind(item, work.bins) for item in work.inputs)
        alike.setdefault((work.bins, kinds, work.pairs.tobytes()), []).append(k)
    segments = np.array(parts, dtype=np.int64)
    for (bins, kinds, _), places in alike.items():
        some = [works[k] for k in places]
        run = _multiply_two if len(kinds) == 2 else _multiply_many
        spectra = run(some, bins, kinds, segments)
        for k, one in zip(places, spectra, strict=True):
            found[k] = one
    return found


def _kind(item: BandInput, bins: int) -> Kind:
    return plan_for(bins, item.parts), item.stream.form


def _arrays(inputs: list[BandInput]) -> tuple[Any, ...]:
    """Lay the inputs out as the compiled engines take them."""
    bits = [item.stream.form[0] * item.parts for item in inputs]
    levels = aligned(len(inputs) * 2 * ELEMENT, np.float32).reshape(len(inputs), 2 * ELEMENT)
    runs = [_NO_RUNS] * len(inputs)
    for i, item in enumerate(inputs):
        levels[i] = _decoding(item)
        if item.valid is not None:
            runs[i] = item.stream.runs
    return (
        _addresses([item.stream.data for item in inputs]),
        np.array(bits, dtype=np.int64),
        _addresses([item.first for item in inputs]),
        _addresses([item.start[0] for item in inputs]),
        _addresses([item.step[0] for item in inputs]),
        _addresses([item.turn for item in inputs]),
        _addresses([item.valid for item in inputs]),
        np.array([item.stream.form for item in inputs], dtype=np.int64),
        levels,
        np.concatenate(runs),
        np.cumsum([0, *map(len, runs)]),
    )


def _addresses(arrays: list[NDArray[Any] | None]) -> Integers:
    """Return where contiguous arrays lie, 0 for None; inputs keep them as long as they are used."""
    found = [0 if a is None else a.__array_interface__["data"][0] for a in arrays]
    return np.array(found, dtype=np.int64)


_NO_RUNS = np.zeros((0, 2), dtype=np.int64)


def _decoding(item: BandInput) -> Singles:
    stream = item.stream
    return _decoding_of(stream.form, item.conjugate, stream.levels.tobytes())


@lru_cache(maxsize=64)
def _decoding_of(form: Form, conjugate: bool, levels: bytes) -> Singles:
    """Return how the codes of both parts are decoded; see `_lane_front.begin`."""
    (bits, parts, signed), table = form, np.frombuffer(levels, dtype=np.float32)
    found = np.zeros((2, ELEMENT), dtype=np.float32)
    if signed and bits <= 2:  # levels stand in the order of offset binary
        table = np.roll(table, len(table) // 2)
    for part in range(parts):
        sign = -1.0 if part == 1 and conjugate else 1.0
        if bits == 32:
            found[part, LANES] = sign
        elif bits <= 2:
            found[part, :LANES] = sign * np.tile(table, LANES >> bits)
        else:
            scale, offset = _scale(table)
            found[part, LANES], found[part, LANES + 1] = sign * scale, sign * offset
    return found.ravel()


def _laid_out(works: list[Work]) -> tuple[tuple[Any, ...], Integers]:
    """Return the inputs of all works, and which of them are each work's."""
    inputs = [item for work in works for item in work.inputs]
    members = np.arange(len(inputs), dtype=np.int64).reshape(len(works), -1)
    return _arrays(inputs), members


def _multiply_two(
    works: list[Work], bins: int, kinds: tuple[Kind, ...], parts: Integers
) -> NDArray[np.complex128]:
    scratch, pairs = _scratch(bins), works[0].pairs
    out = np.empty((len(works), len(parts), len(pairs), bins), dtype=np.complex128)
    # of each pair: its power, the cross product or its conjugate; see `give_pair`
    wanted = [int(i) if i == j else 2 + int(i > j) for i, j in pairs]
    with _MAKING:
        engine = pair_engine(kinds[0], kinds[1], PLANS[bins][-1] // 2)
    engine(
        *_laid_out(works),
        parts,
        *(twiddle_table(plan) for plan, _ in kinds),
        scratch.shared,
        *scratch.data,
        scratch.steps,
        scratch.room("sums", bins * LANES, np.float32),
        scratch.room("total", bins * LANES, np.float64),
        bin_order(bins),
        np.array(wanted, dtype=np.int64),
        out.view(np.float64).reshape(*out.shape, 2),
    )
    return out


def _multiply_many(
    works: list[Work], bins: int, kinds: tuple[Kind, ...], parts: Integers
) -> NDArray[np.complex128]:
    scratch, pairs, channels = _scratch(bins), works[0].pairs, len(kinds)
    both = sorted(set(kinds))
    block = 3 if channels % 3 == 0 else 2
    blocks = -(-channels // block)
    ordered = sorted({(min(i, j), max(i, j)) for i, j in pairs.tolist()})
    # what no one wants is summed in a slot of its own
    slot = np.full((blocks * block, blocks * block), len(ordered), dtype=np.int64)
    for k, (i, j) in enumerate(ordered):
        slot[i, j] = k
    places = slot.reshape(blocks, block, blocks, block).transpose(0, 2, 1, 3)
    wanted = (places < len(ordered)).any(axis=(2, 3)).astype(np.uint8)
    count = len(ordered) + 1
    size = bins // LANES * count * ELEMENT
    out = np.empty((len(works), len(parts), len(pairs), bins), dtype=np.complex128)
    with _MAKING:
        engine = tile_engine(both[0], both[-1], PLANS[bins][-1] // 2, block)
    engine(
        *_laid_out(works),
        parts,
        *(twiddle_table(plan) for plan, _ in (both[0], both[-1])),
        scratch.shared,
        scratch.data[0],
        scratch.steps,
        scratch.columns,
        scratch.room("tiles", bins * blocks * block * ELEMENT, np.float32),
        np.array([kind != both[0] for kind in kinds], dtype=np.uint8),
        np.ascontiguousarray(places * ELEMENT).reshape(blocks, blocks, block * block),
        wanted,
        scratch.room("sums", size, np.float32),
        scratch.room("total", size, np.float64),
        bin_order(bins),
        np.array([(slot[min(i, j), max(i, j)], i > j) for i, j in pairs], dtype=np.int64),
        count,
        out.view(np.float64).reshape(*out.shape, 2),
    )
    return out
