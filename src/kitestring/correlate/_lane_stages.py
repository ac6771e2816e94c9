"""The stages of the lane-batched FX engine, as code that numba compiles in.

Every lane of a vector is another segment of the same channel, so that no stage
shuffles what it computes. An element is `LANES` real parts, then `LANES`
imaginary parts. `begin` brings packed samples of all lanes together, decodes
and rotates them and makes the first pass of a decimation in frequency;
`finish_pair` or `finish_tile` make the other passes in place, computing in the
last one only the bins that are wanted, and form products of two channels or
lay spectra out for `multiply_block`.

Bins stay in the order that decimation leaves (`kitestring.correlate.lanes.
bin_order`); visibilities are put in order once, when they are handed out.

Numbers that shape the code are literals: numba makes a version for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kitestring.correlate._fourier import Legs, Term, settled, transform, turned
from kitestring.correlate._vectors import INT8, INT32, INT64, LANES, Value, Vectors

ELEMENT = 2 * LANES
"""Floats in an element."""
FIRST_RADIX = 8
PAD = 3
"""Elements between the rows of the first pass: rows must not share cache sets."""
GROUP = 16
"""Samples between phasors that are set up in float64."""

Complex = tuple[Value, Value]


def literal(kind: Any) -> int:
    """Return the number that a numba literal type stands for."""
    return int(kind.literal_value)


def literals(kind: Any) -> tuple[int, ...]:
    """Return the numbers of a tuple of literals."""
    return tuple(int(part.literal_value) for part in kind.types)


# -- from packed samples to the first pass ----------------------------------------------------


@dataclass(frozen=True)
class _Front:
    """The first pass of a channel's transform and what comes before it.

    form is (bits of a part, parts of a sample, signed).
    """

    v: Vectors
    plan: tuple[int, ...]
    form: tuple[int, int, int]
    packed: Value
    starts: Value
    levels: Value
    spin: Value
    groups: Value
    words: Value
    data: Value
    twiddles: Value

    @property
    def legs(self) -> int:
        """Samples between the legs of the first butterfly."""
        return math.prod(self.plan) // FIRST_RADIX

    @property
    def sample_bits(self) -> int:
        return self.form[0] * self.form[1]

    def run(self) -> None:
        """Emit the loops over all samples: by blocks of words, or all words at once if few."""
        v, words_per_leg = self.v, self.legs * self.sample_bits // 32
        if words_per_leg % LANES:
            words = max(words_per_leg * FIRST_RADIX, LANES)
            with cgutils.for_range(v.builder, v.index(words // LANES)) as loop:
                self._gather(v.scaled(loop.index, 32 * LANES), v.scaled(loop.index, LANES * LANES))
            self._butterflies(v.index(0), words_per_leg, words_per_leg * LANES)
            return
        with cgutils.for_range(v.builder, v.index(words_per_leg // LANES)) as loop:
            for leg in range(FIRST_RADIX):
                ahead = v.add_index(
                    v.scaled(loop.index, 32 * LANES), v.index(leg * self.legs * self.sample_bits)
                )
                self._gather(ahead, v.index(leg * LANES * LANES))
            first = v.scaled(loop.index, 32 * LANES // self.sample_bits)
            self._butterflies(first, LANES, LANES * LANES)

    def _gather(self, ahead: Value, to: Value) -> None:
        """Bring `LANES` words of each lane together: words[to + word * LANES + lane]."""
        v, b = self.v, self.v.builder
        rows = []
        for lane in range(LANES):
            bit = b.add(b.load(v.at(self.starts, v.index(0), lane)), ahead)
            byte = b.ashr(bit, v.index(3))
            row = v.load_words(self.packed, byte, align=1)
            if self.form[0] < 8:
                rest = b.trunc(b.and_(bit, v.index(7)), INT32)
                row = v.shift_words(v.load_words(self.packed, byte, 4, align=1), row, v.splat(rest))
            rows.append(row)
        for word, row in enumerate(v.transpose(rows)):
            v.store(row, self.words, to, word * LANES)

    def _butterflies(self, first: Value, words: int, leg: int) -> None:
        """Transform the samples of `words` words of each leg, the first being sample `first`."""
        v, b = self.v, self.v.builder
        in_word = max(32 // self.sample_bits, 1)
        step = max(self.sample_bits // 32, 1)
        outer_range = cgutils.for_range(b, v.index(words // step))
        with outer_range as outer, cgutils.for_range(b, v.index(in_word)) as inner:
            n = v.add_index(first, v.add_index(v.scaled(outer.index, in_word), inner.index))
            at = v.scaled(outer.index, step * LANES)
            shift = b.trunc(v.scaled(inner.index, self.sample_bits), INT32)
            self._butterfly(n, at, shift, leg)

    def _butterfly(self, n: Value, at: Value, shift: Value, leg: int) -> None:
        """Transform the eight samples n + j M: decoded, sample j turned by P Q_j.

        P lies at groups[n // GROUP] and is turned by S for the next sample;
        spin = S, Q_4 ... Q_7 and Q_j = conj(Q_(7-j)).
        """
        v, b = self.v, self.v.builder
        zero = v.index(0)
        group = v.scaled(b.lshr(n, v.index(GROUP.bit_length() - 1)), ELEMENT)
        p = v.load(self.groups, group), v.load(self.groups, group, LANES)
        low = v.splat(shift)
        turns: dict[int, Complex] = {}
        sums: dict[int, Term] = {}
        differences: dict[int, Term] = {}

        def set_turns(h: int) -> None:
            q = [v.load(self.spin, zero, (2 + 2 * h + c) * LANES) for c in (0, 1)]
            rr, ii = v.mul(p[0], q[0]), v.mul(p[1], q[1])
            ir, ri = v.mul(p[1], q[0]), v.mul(p[0], q[1])
            turns[4 + h] = v.sub(rr, ii), v.add(ir, ri)
            turns[3 - h] = v.add(rr, ii), v.sub(ir, ri)

        def pair(j: int) -> None:
            x, y = self._sample(at, j * leg, low), self._sample(at, (j + 4) * leg, low)
            if self.form[1] == 1:
                one = [v.mul(x[0], turn) for turn in turns[j]]
                two = turns[j + 4]
                sums[j] = Term(*(v.fma(y[0], two[c], one[c]) for c in (0, 1)))
                differences[j] = Term(*(v.fma(v.neg(y[0]), two[c], one[c]) for c in (0, 1)))
                return
            one, two = list(v.multiply(x, turns[j])), v.multiply(y, turns[j + 4])
            sums[j] = Term(*(v.add(one[c], two[c]) for c in (0, 1)))
            differences[j] = Term(*(v.sub(one[c], two[c]) for c in (0, 1)))

        # in this order few values are alive at a time: there are 32 registers, or 16
        for both in ((0, 3), (1, 2)):
            for h in both:
                set_turns(h)
            for j in both:
                pair(j)
        spin = v.load(self.spin, zero), v.load(self.spin, zero, LANES)
        for c, value in enumerate(v.multiply(p, spin)):
            v.store(value, self.groups, group, c * LANES)
        even = transform(v, [sums[j] for j in range(4)])
        odd = transform(v, [turned(v, differences[j], j, FIRST_RADIX) for j in range(4)])
        to, twiddle = v.scaled(n, ELEMENT), v.scaled(n, 2 * (FIRST_RADIX - 1))
        row = (self.legs + PAD) * ELEMENT
        for q in range(FIRST_RADIX):
            value = settled(v, (odd if q & 1 else even)[q // 2])
            if q:
                value = v.multiply(value, _factor(v, self.twiddles, twiddle, q))
            for c in (0, 1):
                v.store(value[c], self.data, to, q * row + c * LANES)

    def _sample(self, at: Value, leg: int, low: Value) -> tuple[Value, ...]:
        """Return the parts of the sample in the words at `at` + `leg`."""
        v, (bits, parts, _) = self.v, self.form
        word = v.load_words(self.words, at, leg, align=4 * LANES)
        if parts == 1:
            return (self._decoded(word, low, 0),)
        if bits == 32:
            other = v.load_words(self.words, at, leg + LANES, align=4 * LANES)
            return self._decoded(word, low, 0), self._decoded(other, low, 1)
        high = v.builder.add(low, v.word(bits))
        return self._decoded(word, low, 0), self._decoded(word, high, 1)

    def _decoded(self, words: Value, shift: Value, part: int) -> Value:
        v, b, (bits, _, signed) = self.v, self.v.builder, self.form
        zero, at = v.index(0), part * ELEMENT
        if bits == 32:
            values = b.bitcast(words, v.floats)
            return v.mul(values, v.broadcast(self.levels, zero, at + LANES)) if part else values
        words = b.lshr(words, shift)
        if bits <= 2:
            return v.look_up(v.load(self.levels, zero, at), words)
        codes = b.and_(words, v.word((1 << bits) - 1))
        if signed:
            codes = b.xor(codes, v.word(1 << (bits - 1)))
        scale = v.broadcast(self.levels, zero, at + LANES)
        offset = v.broadcast(self.levels, zero, at + LANES + 1)
        return v.fma(b.sitofp(codes, v.floats), scale, offset)


@intrinsic(prefer_literal=True)
def begin(
    typing: Any, plan: Any, form: Any, packed: Any, starts: Any, levels: Any, spin: Any,
    groups: Any, words: Any, data: Any, twiddles: Any,
) -> Any:  # fmt: skip
    """Decode, rotate and make the first pass over the samples of `LANES` segments.

    plan: literal radices, the first 8; form: literal (bits of a part, parts of a
    sample, signed). packed: address of a little-endian bit stream; starts (LANES,)
    int64: its bits where the lanes begin (whole bytes from 8 bits on; 4 LANES + 4 bytes
    after a lane are read too). levels (2 ELEMENT,) float32, for the real and then the
    imaginary part: a table of 2 or 4 levels repeated over `LANES`, then scale and offset (4
    bits and more; of 32 bits the imaginary scale alone). spin, groups: see
    `kitestring.correlate._lane_kernels.set_phasors`; groups are used up. words:
    scratch of 8 LANES^2 uint32. data: the rows of the first pass, `PAD` elements apart.
    """
    radices, kind = literals(plan), literals(form)

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        v = Vectors(context, builder)
        packed = builder.inttoptr(given[2], INT8.as_pointer())
        arrays = [v.array(signature.args[i], given[i]) for i in range(3, 10)]
        _Front(v, radices, (kind[0], kind[1], kind[2]), packed, *arrays).run()
        return context.get_dummy_value()

    signature = types.void(
        plan, form, types.intp, starts, levels, spin, groups, words, data, twiddles
    )  # fmt: skip
    return signature, emit


@intrinsic
def byte_at(typing: Any, address: Any, index: Any) -> Any:
    """Return the byte at an address."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = builder.gep(builder.inttoptr(given[0], INT8.as_pointer()), [given[1]])
        return builder.zext(builder.load(place), INT64)

    return types.int64(types.intp, types.intp), emit


@intrinsic
def address_of(typing: Any, array: Any) -> Any:
    """Return the address of an array's first element."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, given[0]).data
        return builder.ptrtoint(data, INT64)

    return types.int64(array), emit


def _factor(v: Vectors, table: Value, at: Value, q: int) -> Complex:
    """Return twiddle factor q of a butterfly whose factors begin at `at`."""
    return v.broadcast(table, at, 2 * (q - 1)), v.broadcast(table, at, 2 * (q - 1) + 1)


# -- the other passes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Channel:
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
            legs = transform(v, self._legs(place, leg, radix))
            for q, term in enumerate(legs):
                value = settled(v, term)
                if q:
                    value = v.multiply(value, _factor(v, self.twiddles, factor, q))
                for c in (0, 1):
                    v.store(value[c], self.data, place, q * leg + c * LANES)

        with cgutils.for_range(v.builder, v.index(count)) as loop:
            one(loop.index)

    def last(self, base: Value, outputs: int) -> list[Complex]:
        """Return the wanted outputs of the last pass."""
        terms = transform(self.v, self._legs(base, ELEMENT, self.plan[-1]))
        return [settled(self.v, term) for term in terms[:outputs]]

    def _legs(self, base: Value, leg: int, radix: int) -> Legs:
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


def _walk(
    channels: Sequence[_Channel],
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
        channels = [_Channel(v, plans[0], *arrays[:2]), _Channel(v, plans[1], *arrays[2:4])]
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

        _walk(channels, ramp, leaf, None, 1)
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
    """Finish the transform of a channel and lay its spectra out for `multiply_tiles`.

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
        channel, ramp = _Channel(v, radices, work, factors), _Ramp(v, steps_, len(radices))
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

        _walk([channel], ramp, leaf, block, leaves)
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
