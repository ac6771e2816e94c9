"""Phasors of a batch of segments: what samples are rotated by, and ramps over bins.

They are set up in float64, with a polynomial of our own where a call of sine would go lane
by lane, and kept as float32. Powers come from squaring: all that are wanted are powers of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kitestring.correlate._lane_layout import ELEMENT, GROUP, Complex, literal, literals
from kitestring.correlate._vectors import LANES, Value, Vectors

TERMS = 10
"""Terms of each series: the next is below 4e-15 at a quarter of a turn."""


def phasor(v: Vectors, turns: Value) -> Complex:
    """Return cosine and sine of 2 pi turns: those of half the angle, doubled."""
    x = v.mul(v.sub(turns, v.nearest(turns)), v.constant(math.pi))
    z = v.mul(x, x)
    cosine, sine = (
        _series(v, z, [(-1.0) ** k / math.factorial(2 * k + odd) for k in range(TERMS)])
        for odd in (0, 1)
    )
    sine = v.mul(sine, x)
    both = v.mul(cosine, sine)
    return v.fma(cosine, cosine, v.neg(v.mul(sine, sine))), v.add(both, both)


def _series(v: Vectors, z: Value, coefficients: list[float]) -> Value:
    value = v.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = v.fma(value, z, v.constant(coefficient))
    return value


def powers(v: Vectors, base: Complex, wanted: Iterable[int]) -> dict[int, Complex]:
    """Return powers of a phasor, each a power of two; an error grows with the power."""
    found, power, highest = {}, 1, max(wanted)
    while True:
        found[power] = base
        if power == highest:
            return found
        both = v.mul(*base)
        base = v.fma(base[0], base[0], v.neg(v.mul(base[1], base[1]))), v.add(both, both)
        power *= 2


def put(v: Vectors, value: Complex, target: Value, offset: Value, plus: int = 0) -> None:
    """Store a phasor as an element of float32."""
    single = Vectors(v.context, v.builder)
    for c, part in enumerate(value):
        rounded = v.builder.fptrunc(part, single.floats)
        single.store(rounded, target, offset, plus + c * LANES)


@intrinsic(prefer_literal=True)
def set_phasors(typing: Any, legs: Any, batch: Any, spin: Any, groups: Any) -> Any:
    """Set what `kitestring.correlate._lane_front.begin` rotates a batch by.

    batch (3 or more, LANES) float64: phase of the first sample and step from one sample to
    the next, cycles; amplitude, 0 for a lane without samples. Sets groups[g] to the
    phasor of the samples g GROUP + 3.5 legs times the amplitude, and spin to the phasors of
    one step and of 0.5, 1.5, 2.5 and 3.5 legs. legs: a literal.
    """
    count = literal(legs)

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        v = Vectors(context, builder, double=True)
        rows, spin_, groups_ = (v.array(signature.args[i], given[i]) for i in (1, 2, 3))
        zero = v.index(0)
        start, step, amplitude = (v.load(rows, zero, row * LANES) for row in range(3))
        first = phasor(v, v.fma(step, v.constant(3.5 * count), start))
        steps = powers(v, phasor(v, step), (GROUP, count))
        slots = [cgutils.alloca_once(builder, v.floats) for _ in (0, 1)]
        for slot, part in zip(slots, first, strict=True):
            builder.store(v.mul(part, amplitude), slot)
        with cgutils.for_range(builder, v.index(count // GROUP)) as loop:
            value = builder.load(slots[0]), builder.load(slots[1])
            put(v, value, groups_, v.scaled(loop.index, ELEMENT))
            for slot, part in zip(slots, v.multiply(value, steps[GROUP]), strict=True):
                builder.store(part, slot)
        put(v, steps[1], spin_, zero)
        leg = steps[count // 2]
        for h in range(4):
            put(v, leg, spin_, zero, (h + 1) * ELEMENT)
            leg = v.multiply(leg, steps[count])
        return context.get_dummy_value()

    return types.void(legs, batch, spin, groups), emit


@intrinsic(prefer_literal=True)
def set_ramp(typing: Any, plan: Any, turn: Any, steps: Any) -> Any:
    """Set the steps of a ramp over the digits of a bin: turn (LANES,) float64, cycles a bin.

    Digit i of a plan's radices counts as many bins as the radices before it multiply to.
    """
    radices = literals(plan)

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        v = Vectors(context, builder, double=True)
        turns, target = (v.array(signature.args[i], given[i]) for i in (1, 2))
        zero = v.index(0)
        weights = [math.prod(radices[:i]) for i in range(len(radices))]
        found = powers(v, phasor(v, v.load(turns, zero)), weights)
        for digit, weight in enumerate(weights):
            put(v, found[weight], target, zero, digit * ELEMENT)
        return context.get_dummy_value()

    return types.void(plan, turn, steps), emit
