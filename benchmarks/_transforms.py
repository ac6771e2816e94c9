"""Fourier transforms alone: FFTW's, and the correlator's lane-batched stages without the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from _bench import seconds
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kitestring._jit import kernel
from kitestring.correlate._fourier import settled, transform
from kitestring.correlate._lane_layout import (
    ELEMENT,
    FIRST_RADIX,
    PAD,
    literals,
    twiddle_factor,
)
from kitestring.correlate._lane_passes import Passes, walk
from kitestring.correlate._vectors import LANES, Vectors
from kitestring.correlate.lanes import PLANS, aligned, twiddle_table

RESIDENT = 1 << 17  # bytes of a batch: it stays in a core's second-level cache beside the output
PLANNING = ("FFTW_MEASURE", "FFTW_PATIENT")


class Fftw:
    """FFTW's quickest way to transform batches of complex single-precision segments.

    Parameters
    ----------
    points : int
        Of a transform.
    """

    def __init__(self, points: int) -> None:
        self.points = points
        self.batch = max(RESIDENT // (8 * points), 1)
        self._plans = [
            self._plan(effort, in_place) for effort in PLANNING for in_place in (False, True)
        ]
        times = [min(seconds(lambda p=p: repeat(p, 64)) for _ in range(9)) for p in self._plans]
        self.chosen = int(np.argmin(times))
        self._more = self._plan(PLANNING[self.chosen // 2], bool(self.chosen % 2))

    def _plan(self, effort: str, in_place: bool) -> Any:
        import pyfftw

        shape = (self.batch, self.points)
        source = pyfftw.zeros_aligned(shape, dtype="complex64", n=64)
        target = source if in_place else pyfftw.zeros_aligned(shape, dtype="complex64", n=64)
        return pyfftw.FFTW(source, target, axes=(1,), flags=(effort,), threads=1)

    def __str__(self) -> str:
        return f"{PLANNING[self.chosen // 2]}, {('out of', 'in')[self.chosen % 2]} place"

    def run(self, transforms: int) -> None:
        """Make so many transforms, to a batch."""
        repeat(self._plans[self.chosen], max(round(transforms / self.batch), 1))

    def run_on_two(self, transforms: int) -> None:
        """Make so many transforms in two threads."""
        count = max(round(transforms / self.batch / 2), 1)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda p: repeat(p, count), (self._plans[self.chosen], self._more)))


def repeat(plan: Any, count: int) -> None:
    """Execute a plan so many times."""
    for _ in range(count):
        plan.execute()


class _NoRamp:
    """Stands where the correlator follows a phase over the bins."""

    def value(self, digit: int) -> None:
        """Return nothing."""

    def descend(self, digit: int) -> None:
        """Do nothing."""

    def advance(self, digit: int) -> None:
        """Do nothing."""


@intrinsic(prefer_literal=True)
def transform_lanes(typing: Any, plan: Any, data: Any, twiddles: Any) -> Any:
    """Transform `LANES` segments in place by all passes of the correlator's stages."""
    radices = literals(plan)

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        v = Vectors(context, builder)
        arrays = [v.array(signature.args[i], given[i]) for i in (1, 2)]
        channel = Passes(v, radices, *arrays)
        legs = math.prod(radices) // FIRST_RADIX
        row = (legs + PAD) * ELEMENT
        with cgutils.for_range(builder, v.index(legs)) as loop:  # as `begin`, of samples decoded
            place = v.scaled(loop.index, ELEMENT)
            twiddle = v.scaled(loop.index, 2 * (FIRST_RADIX - 1))
            for q, term in enumerate(transform(v, channel.legs(place, row, FIRST_RADIX))):
                value = settled(v, term)
                value = v.multiply(value, twiddle_factor(v, arrays[1], twiddle, q)) if q else value
                for c in (0, 1):
                    v.store(value[c], arrays[0], place, q * row + c * LANES)

        def leaf(bases: list[Any], index: Any, phasor: Any) -> None:
            for m, value in enumerate(channel.last(bases[0], radices[-1])):
                for c in (0, 1):
                    v.store(value[c], arrays[0], bases[0], m * ELEMENT + c * LANES)

        walk([channel], _NoRamp(), leaf, None, 1)  # type: ignore[arg-type]
        return context.get_dummy_value()

    return types.void(plan, data, twiddles), emit


@cache
def _repeated(plan: tuple[int, ...]) -> Callable[..., None]:
    @kernel()
    def run(data: Any, twiddles: Any, count: int) -> None:
        for _ in range(count):
            transform_lanes(plan, data, twiddles)

    return run


class Lanes:
    """The correlator's transform alone: every lane of a vector is another segment."""

    def __init__(self, points: int) -> None:
        self.points, self.plan = points, PLANS[points // 2]
        self._data = aligned((points + FIRST_RADIX * PAD) * ELEMENT, np.float32)
        self._twiddles = twiddle_table(self.plan)
        self.error = self._check()

    def run(self, transforms: int) -> None:
        """Make so many transforms, to a batch of lanes."""
        _repeated(self.plan)(self._data, self._twiddles, max(round(transforms / LANES), 1))

    def _check(self) -> float:
        """Return the largest error beside numpy's float64 transform, of the peak."""
        random = np.random.default_rng(1).standard_normal((2, self.points, LANES))
        x = random[0] + 1j * random[1]
        rows = self._data.reshape(FIRST_RADIX, -1, 2, LANES)[:, : self.points // FIRST_RADIX]
        rows[:, :, 0] = x.real.reshape(FIRST_RADIX, -1, LANES)
        rows[:, :, 1] = x.imag.reshape(FIRST_RADIX, -1, LANES)
        self.run(LANES)
        found = (rows[:, :, 0] + 1j * rows[:, :, 1]).reshape(self.points, LANES)
        self._data[:] = 0  # transforms of transforms would overflow
        order, rest, length = np.zeros(self.points, dtype=int), np.arange(self.points), self.points
        for radix in self.plan:
            length //= radix
            order += rest % radix * length
            rest //= radix
        wanted = np.fft.fft(x, axis=0)
        return float(np.abs(found[order] - wanted).max() / np.abs(wanted).max())
