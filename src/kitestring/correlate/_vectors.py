"""Explicit SIMD for numba: instructions on vectors of float32, emitted as LLVM IR.

numba leaves loops over several arrays scalar where it cannot show that the
arrays do not overlap. The correlator's stages (`_lane_front`, `_lane_passes`) are
therefore written with the few operations of `Vectors`. Everything here is
generic LLVM but one table look-up of x86 (`Vectors.look_up`), which has a
generic twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils

FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
INT8, INT32, INT64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
Value = Any
"""An SSA value of llvmlite."""


def host_lanes() -> int:
    """Return how many float32 a vector register of this machine holds; 0 where too few.

    16 with AVX-512, 8 with AVX2 and FMA. numba's own settings are kept to:
    ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` can switch AVX-512 off.
    """
    features = numba.config.CPU_FEATURES
    if features is None:
        try:
            features = binding.get_host_cpu_features().flatten()
        except RuntimeError:  # LLVM does not know the machine
            return 0
    on = {part for part in str(features).split(",") if part.startswith("+")}
    if not on and numba.config.CPU_NAME in ("haswell", "broadwell", "skylake"):
        return 8
    if {"+avx512f", "+avx512dq"} <= on:
        return 16
    return 8 if {"+avx2", "+fma"} <= on else 0


HOST_LANES = host_lanes()
"""Lanes of this machine's vectors; 0 where the stages do not serve."""
LANES = HOST_LANES or 8
"""Lanes of a vector; every lane is another segment."""


class Vectors:
    """Emits instructions on vectors of `LANES` float32, or float64 where `double`.

    Offsets count elements: ``offset`` is a value known at run time, ``plus`` a
    number known when the code is made.
    """

    def __init__(self, context: Any, builder: Any, double: bool = False) -> None:
        self.context, self.builder = context, builder
        self._bits = 64 if double else 32
        # arrays of float64 need not begin where vectors do
        self._align = 8 if double else 4 * LANES
        self.floats = ir.VectorType(DOUBLE if double else FLOAT, LANES)
        self.words = ir.VectorType(INT32, LANES)

    def array(self, kind: Any, value: Value) -> Value:
        """Return the pointer to an array's first element."""
        return self.context.make_array(kind)(self.context, self.builder, value).data

    def index(self, value: int) -> Value:
        """Return a constant index."""
        return ir.Constant(INT64, value)

    def add_index(self, a: Value, b: Value) -> Value:
        """Return the sum of two indices."""
        return self.builder.add(a, b)

    def scaled(self, value: Value, factor: int) -> Value:
        """Return an index times a number."""
        return self.builder.mul(value, self.index(factor))

    def at(self, pointer: Value, offset: Value, plus: int = 0) -> Value:
        """Return a pointer to an element."""
        pointer = self.builder.gep(pointer, [offset])
        return self.builder.gep(pointer, [self.index(plus)]) if plus else pointer

    def _load(self, pointer: Value, kind: Any, align: int) -> Value:
        loaded = self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()))
        loaded.align = align
        return loaded

    def load(self, pointer: Value, offset: Value, plus: int = 0) -> Value:
        """Load a vector of floats; its place is a multiple of a vector's length (of float32)."""
        return self._load(self.at(pointer, offset, plus), self.floats, self._align)

    def load_words(self, pointer: Value, offset: Value, plus: int = 0, align: int = 4) -> Value:
        """Load a vector of 32-bit words; `align` in bytes."""
        return self._load(self.at(pointer, offset, plus), self.words, align)

    def store(self, vector: Value, pointer: Value, offset: Value, plus: int = 0) -> None:
        """Store a vector (floats or words) at a multiple of a vector's length."""
        place = self.builder.bitcast(self.at(pointer, offset, plus), vector.type.as_pointer())
        self.builder.store(vector, place).align = 4 * LANES

    def broadcast(self, pointer: Value, offset: Value, plus: int = 0) -> Value:
        """Load one float into all lanes."""
        return self.splat(self._load(self.at(pointer, offset, plus), FLOAT, 4))

    def splat(self, scalar: Value) -> Value:
        """Return a vector of one float or int32."""
        kind = ir.VectorType(scalar.type, LANES)
        empty = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(empty, scalar, ir.Constant(INT32, 0))
        return self.builder.shuffle_vector(one, empty, ir.Constant(self.words, [0] * LANES))

    def constant(self, value: float) -> Value:
        """Return a vector of a number, rounded to the vectors' precision."""
        rounded = value if self._bits == 64 else float(np.float32(value))
        return ir.Constant(self.floats, [rounded] * LANES)

    def word(self, value: int) -> Value:
        """Return a vector of a 32-bit number."""
        return ir.Constant(self.words, [value] * LANES)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return a b + c; without FMA hardware a product and a sum."""
        return self._call("fmuladd", a, b, c)

    def nearest(self, a: Value) -> Value:
        """Return the whole number nearest to a."""
        return self._call("rint", a)

    def _call(self, name: str, *arguments: Value) -> Value:
        kind = ir.FunctionType(self.floats, [self.floats] * len(arguments))
        return self.builder.call(
            cgutils.get_or_insert_function(
                self.builder.module, kind, f"llvm.{name}.v{LANES}f{self._bits}"
            ),
            arguments,
        )

    def add(self, a: Value, b: Value) -> Value:
        """Return a + b."""
        return self.builder.fadd(a, b)

    def sub(self, a: Value, b: Value) -> Value:
        """Return a - b."""
        return self.builder.fsub(a, b)

    def mul(self, a: Value, b: Value) -> Value:
        """Return a b."""
        return self.builder.fmul(a, b)

    def neg(self, a: Value) -> Value:
        """Return -a."""
        return self.builder.fneg(a)

    def add_times(self, a: Value, factor: float, b: Value) -> Value:
        """Return a + factor b, `factor` known when the code is made."""
        if factor == 1.0:
            return self.add(a, b)
        if factor == -1.0:
            return self.sub(a, b)
        return self.fma(self.constant(factor), b, a)

    def multiply(self, a: tuple[Value, Value], b: tuple[Value, Value]) -> tuple[Value, Value]:
        """Return the product of two complex vectors, each (real, imaginary)."""
        real = self.fma(a[0], b[0], self.neg(self.mul(a[1], b[1])))
        return real, self.fma(a[0], b[1], self.mul(a[1], b[0]))

    def shift_words(self, high: Value, low: Value, count: Value) -> Value:
        """Return the upper words of 64-bit (high, low) shifted right by count < 32 bits."""
        kind = ir.FunctionType(self.words, [self.words] * 3)
        name = f"llvm.fshr.v{LANES}i32"
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, kind, name), [high, low, count]
        )

    def look_up(self, table: Value, codes: Value) -> Value:
        """Return table[code] for each lane.

        `table` is a vector that repeats 2 or 4 entries, so that the upper bits
        of the codes may hold anything.
        """
        name = {16: "llvm.x86.avx512.permvar.sf.512", 8: "llvm.x86.avx2.permps"}[LANES]
        kind = ir.FunctionType(self.floats, [self.floats, self.words])
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, kind, name), [table, codes]
        )

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Return chosen lanes of a (0 ...) and b (`LANES` ...)."""
        mask = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
        return self.builder.shuffle_vector(a, b, mask)

    def transpose(self, rows: Sequence[Value]) -> list[Value]:
        """Return the columns of `LANES` vectors."""
        rows = list(rows)
        step = LANES // 2
        while step:
            low = [c if not c & step else LANES + c - step for c in range(LANES)]
            high = [c + step if not c & step else LANES + c for c in range(LANES)]
            for i in range(LANES):
                if not i & step:
                    a, b = rows[i], rows[i + step]
                    rows[i], rows[i + step] = self.shuffle(a, b, low), self.shuffle(a, b, high)
            step //= 2
        return rows

    def fold(self, a: Value, b: Value, width: int) -> Value:
        """Add each group of `width` lanes to the next; a's sums first, then b's."""
        low: list[int] = []
        high: list[int] = []
        for base in (0, LANES):
            for k in range(base, base + LANES, 2 * width):
                low += range(k, k + width)
                high += range(k + width, k + 2 * width)
        return self.add(self.shuffle(a, b, low), self.shuffle(a, b, high))
