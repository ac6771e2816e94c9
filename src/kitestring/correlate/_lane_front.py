"""From packed samples to the first pass of a transform, of `LANES` segments at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kitestring.correlate._fourier import Term, settled, transform, turned
from kitestring.correlate._lane_layout import (
    ELEMENT,
    FIRST_RADIX,
    GROUP,
    PAD,
    Complex,
    literals,
    twiddle_factor,
)
from kitestring.correlate._vectors import INT8, INT32, LANES, Value, Vectors


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
                value = v.multiply(value, twiddle_factor(v, self.twiddles, twiddle, q))
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
    `kitestring.correlate._lane_phasors.set_phasors`; groups are used up. words:
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
