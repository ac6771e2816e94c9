"""The passes of a transform after the first, and the products of transforms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kitestring.correlate._fourier import Legs, Term, settled, transform
from kitestring.correlate._lane_layout import (
    ELEMENT,
    PAD,
    Complex,
    literal,
    literals,
    twiddle_factor,
)
from kitestring.correlate._vectors import LANES, Value, Vectors


@dataclass(frozen=True)
class Passes:
    """The passes of one channel's transform that follow the first."""

    v: Vectors
    plan: tuple[int, ...]
    data: Value
    twiddles: Value

    def stride(self, level: int) -> int:
        """Return the floats between the blocks that pass `level` leaves."""
        rest = math.prod(self.plan[level + 1 :])
        return (rest + PAD if level == 0 else rest) * ELEMENT

    def twiddles_before(self, level: int) -> int:
        """Return where the factors of a pass begin (see `lanes.twiddle_table`)."""
        left, at = math.prod(self.plan), 0
        for radix in self.plan[:level]:
            left //= radix
            at += 2 * (radix - 1) * left
        return at

    def butterflies(self, level: int, base: Value) -> None:
        """Make pass `level` of the block at `base`, twiddle factors included."""
        v, radix = self.v, self.plan[level]
        count = math.prod(self.plan[level + 1 :])
        leg, first = count * ELEMENT, self.twiddles_before(level)

        def one(n: Value) -> None:
            place = v.add_index(base, v.scaled(n, ELEMENT))
            factor = v.add_index(v.scaled(n, 2 * (radix - 1)), v.index(first))
            legs = transform(v, self.legs(place, leg, radix))
            for q, term in enumerate(legs):
                value = settled(v, term)
                if q:
                    value = v.multiply(value, twiddle_factor(v, self.twiddles, factor, q))
                for c in (0, 1):
                    v.store(value[c], self.data, place, q * leg + c * LANES)

        with cgutils.for_range(v.builder, v.index(count)) as loop:
            one(loop.index)

    def last(self, base: Value, outputs: int) -> list[Complex]:
        """Return the wanted outputs of the last pass."""
        terms = transform(self.v, self.legs(base, ELEMENT, self.plan[-1]))
        return [settled(self.v, term) for term in terms[:outputs]]

    def legs(self, base: Value, leg: int, radix: int) -> Legs:
        def load(j: int) -> Term:
            parts = [self.v.load(self.data, base, j * leg + c * LANES) for c in (0, 1)]
            return Term(*parts)

        return Legs(load, radix)


class _Ramp:
    """A phase that is linear over the bins, followed through the digits of the bin.

    steps[digit] is the factor from one value of a digit to the next.
    """

    def __init__(self, v: Vectors, steps: Value, digits: int) -> None:
        self.v, self.steps = v, steps
        self._slots = [
            [cgutils.alloca_once(v.builder, v.floats) for _ in (0, 1)] for _ in range(digits)
        ]
        for value, slot in zip((1.0, 0.0), self._slots[0], strict=True):
            v.builder.store(v.constant(value), slot)

    def step(self, digit: int) -> Complex:
        at = self.v.index(digit * ELEMENT)
        return self.v.load(self.steps, at), self.v.load(self.steps, at, LANES)

    def value(self, digit: int) -> Complex:
        return tuple(self.v.builder.load(slot) for slot in self._slots[digit])  # type: ignore[return-value]

    def descend(self, digit: int) -> None:
        """Begin the digit after `digit` at its zero."""
        for value, slot in zip(self.value(digit), self._slots[digit + 1], strict=True):
            self.v.builder.store(value, slot)

    def advance(self, digit: int) -> None:
        """Go on to the next value of a digit."""
        new = self.v.multiply(self.value(digit), self.step(digit))
        for value, slot in zip(new, self._slots[digit], strict=True):
            self.v.builder.store(value, slot)


def walk(
    channels: Sequence[Passes],
    ramp: _Ramp,
    leaf: Callable[[list[Value], Value, Complex], None],
    block: Callable[[Value], None] | None,
    leaves: int,
) -> None:
    """Make all passes but the last depth first, so that a block stays in the cache.

    leaf(bases, index, phasor) is called for each block of the last pass, `index`
    counting them; block(index) after every `leaves` of them.
    """
    v, radices = channels[0].v, channels[0].plan[:-1]

    def level(i: int, bases: list[Value], index: Value) -> None:
        if i:
            for channel, base in zip(channels, bases, strict=True):
                channel.butterflies(i, base)
        strides = [channel.stride(i) for channel in channels]

        def inner(q: Value) -> tuple[list[Value], Value]:
            places = [
                v.add_index(base, v.scaled(q, stride))
                for base, stride in zip(bases, strides, strict=True)
            ]
            return places, v.add_index(v.scaled(index, radices[i]), q)

        if i < len(radices) - 1:
            with cgutils.for_range(v.builder, v.index(radices[i])) as loop:
                ramp.descend(i)
                level(i + 1, *inner(loop.index))
                ramp.advance(i)
            return
        with cgutils.for_range(v.builder, v.index(radices[i] // leaves)) as group:
            with cgutils.for_range(v.builder, v.index(leaves)) as loop:
                q = v.add_index(v.scaled(group.index, leaves), loop.index)
                places, count = inner(q)
                phasor = ramp.value(i)
                ramp.advance(i)
                leaf(places, count, phasor)
            if block:
                per_parent = radices[i] // leaves
                block(v.add_index(v.scaled(index, per_parent), group.index))

    level(0, [v.index(0)] * len(channels), v.index(0))


@intrinsic(prefer_literal=True)
def finish_pair(
    typing: Any, plan1: Any, plan2: Any, outputs: Any, data1: Any, twiddles1: Any, data2: Any,
    twiddles2: Any, steps: Any, sums: Any,
) -> Any:  # fmt: skip
    """Finish the transforms of two channels and add their products to `sums`.

    sums (bins LANES,) float32: for each bin |X1|^2, |X2|^2, Re and Im of X1 conj(X2)
    times the ramp of `steps`, each in LANES / 4 partial sums.
    """
    plans, wanted = (literals(plan1), literals(plan2)), literal(outputs)

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        v = Vectors(context, builder)
        arrays = [v.array(signature.args[i], given[i]) for i in range(3, 9)]
        channels = [Passes(v, plans[0], *arrays[:2]), Passes(v, plans[1], *arrays[2:4])]
        ramp, total = _Ramp(v, arrays[4], len(plans[0])), arrays[5]

        def leaf(bases: list[Value], index: Value, phasor: Complex) -> None:
            one = channels[0].last(bases[0], wanted)
            two = channels[1].last(bases[1], wanted)
            at = v.scaled(index, wanted * LANES)
            step = ramp.step(len(plans[0]) - 1)
            for m, (x, y) in enumerate(zip(one, two, strict=True)):
                power1 = v.fma(x[0], x[0], v.mul(x[1], x[1]))
                power2 = v.fma(y[0], y[0], v.mul(y[1], y[1]))
                real = v.fma(x[0], y[0], v.mul(x[1], y[1]))
                imag = v.fma(x[1], y[0], v.neg(v.mul(x[0], y[1])))
                if m:
                    phasor = v.multiply(phasor, step)
                cross = v.multiply((real, imag), phasor)
                powers = v.fold(power1, power2, LANES // 2)
                folded = v.fold(powers, v.fold(*cross, LANES // 2), LANES // 4)
                v.store(v.add(v.load(total, at, m * LANES), folded), total, at, m * LANES)

        walk(channels, ramp, leaf, None, 1)
        return context.get_dummy_value()

    signature = types.void(
        plan1, plan2, outputs, data1, twiddles1, data2, twiddles2, steps, sums
    )  # fmt: skip
    return signature, emit


@intrinsic(prefer_literal=True)
def finish_tile(
    typing: Any, plan: Any, outputs: Any, data: Any, twiddles: Any, steps: Any, scratch: Any,
    tiles: Any, to: Any, segment: Any, tile: Any,
) -> Any:  # fmt: skip
    """Finish the transform of a channel and lay its spectra out for `multiply_block`.

    Bin c LANES + l (in the order of decimation) of lane s goes to
    tiles[to + c * tile + s * segment + l], the imaginary part LANES further.
    """
    radices, wanted = literals(plan), literal(outputs)

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        v = Vectors(context, builder)
        work, factors, steps_, kept, target = (
            v.array(signature.args[i], given[i]) for i in range(2, 7)
        )
        to, segment, tile = given[7:]
        channel, ramp = Passes(v, radices, work, factors), _Ramp(v, steps_, len(radices))
        leaves = LANES // wanted

        def leaf(bases: list[Value], index: Value, phasor: Complex) -> None:
            step = ramp.step(len(radices) - 1)
            within = builder.and_(index, v.index(leaves - 1))
            at = v.scaled(within, wanted * ELEMENT)
            for m, x in enumerate(channel.last(bases[0], wanted)):
                if m:
                    phasor = v.multiply(phasor, step)
                for c, value in enumerate(v.multiply(x, phasor)):
                    v.store(value, kept, at, m * ELEMENT + c * LANES)

        def block(index: Value) -> None:
            begin = v.add_index(to, builder.mul(index, tile))
            for c in (0, 1):
                rows = [
                    v.load(kept, v.index(0), bin_ * ELEMENT + c * LANES) for bin_ in range(LANES)
                ]
                for lane, column in enumerate(v.transpose(rows)):
                    place = v.add_index(begin, builder.mul(segment, v.index(lane)))
                    v.store(column, target, place, c * LANES)

        walk([channel], ramp, leaf, block, leaves)
        return context.get_dummy_value()

    signature = types.void(
        plan, outputs, data, twiddles, steps, scratch, tiles, types.intp, types.intp, types.intp
    )  # fmt: skip
    return signature, emit


@intrinsic(prefer_literal=True)
def multiply_block(
    typing: Any, block: Any, diagonal: Any, tiles: Any, one: Any, two: Any, segment: Any,
    places: Any, place: Any, sums: Any, to: Any,
) -> Any:  # fmt: skip
    """Add the products of `block` x `block` channels over LANES segments to `sums`.

    Channel i of the first lies at tiles[one + i ELEMENT], the segments `segment`
    apart. places[place + i * block + j] is where the pair's sum lies in
    sums[to:], an element of LANES bins; only j >= i where `diagonal`.
    """
    size, own = literal(block), bool(literal(diagonal))

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        v = Vectors(context, builder)
        source, where, total = (v.array(signature.args[i], given[i]) for i in (2, 6, 8))
        one, two, segment, place, to = given[3], given[4], given[5], given[7], given[9]
        pairs = [(i, j) for i in range(size) for j in range(size) if not own or j >= i]
        slots = {}
        for i, j in pairs:
            at = builder.add(to, builder.load(v.at(where, place, i * size + j)))
            parts = []
            for c in (0, 1):
                slot = cgutils.alloca_once(builder, v.floats)
                builder.store(v.load(total, at, c * LANES), slot)
                parts.append(slot)
            slots[i, j] = at, parts
        with cgutils.for_range(builder, v.index(LANES)) as loop:
            shift = builder.mul(loop.index, segment)
            x, y = builder.add(one, shift), builder.add(two, shift)

            def load(base: Value, k: int) -> Complex:
                return v.load(source, base, k * ELEMENT), v.load(source, base, k * ELEMENT + LANES)

            rows = [load(x, i) for i in range(size)]
            columns = rows if own else [load(y, j) for j in range(size)]
            for i, j in pairs:
                (ar, ai), (br, bi) = rows[i], columns[j]
                real, imag = slots[i, j][1]
                summed = v.fma(ar, br, builder.load(real))
                builder.store(v.fma(ai, bi, summed), real)
                if not own or i != j:
                    summed = v.fma(ai, br, builder.load(imag))
                    builder.store(v.fma(v.neg(ar), bi, summed), imag)
        for at, parts in slots.values():
            for c, slot in enumerate(parts):
                v.store(builder.load(slot), total, at, c * LANES)
        return context.get_dummy_value()

    signature = types.void(
        block, diagonal, tiles, types.intp, types.intp, types.intp, places, types.intp, sums,
        types.intp,
    )  # fmt: skip
    return signature, emit
