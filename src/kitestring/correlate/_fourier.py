"""Discrete Fourier transforms of a few vectors held in registers, as straight code.

The transform is exp(-2 pi i). Scale factors and turns by -i that are known when
the code is made are carried along with a value and folded into fused
multiply-adds, so that a turn by 45 degrees costs one addition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

from kitestring.correlate._vectors import Value, Vectors


@dataclass(frozen=True)
class Term:
    """The complex value scale (-i)^quarter (real + i imag)."""

    real: Value
    imag: Value
    scale: float = 1.0
    quarter: int = 0


class Legs(Sequence[Term]):
    """The inputs of a transform, each loaded when it is first asked for."""

    def __init__(self, load: Callable[[int], Term], count: int) -> None:
        self._load, self._known = load, dict[int, Term]()
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Term: ...
    @overload
    def __getitem__(self, index: slice) -> Legs: ...
    def __getitem__(self, index: int | slice) -> Term | Legs:
        if isinstance(index, slice):
            chosen = range(self._count)[index]
            return Legs(lambda i: self[chosen[i]], len(chosen))
        if index not in self._known:
            self._known[index] = self._load(index)
        return self._known[index]


def combine(v: Vectors, x: Term, y: Term, sign: int = 1) -> Term:
    """Return x + sign y, in x's scale and turn."""
    quarter = (y.quarter - x.quarter + (0 if sign == 1 else 2)) % 4
    ratio = y.scale / x.scale
    if abs(ratio - 1.0) < 1e-12:
        ratio = 1.0
    swapped = quarter in (1, 3)
    real, imag = (y.imag, y.real) if swapped else (y.real, y.imag)
    sign_real = 1.0 if quarter in (0, 1) else -1.0
    sign_imag = 1.0 if quarter in (0, 3) else -1.0
    return Term(
        v.add_times(x.real, sign_real * ratio, real),
        v.add_times(x.imag, sign_imag * ratio, imag),
        x.scale,
        x.quarter,
    )


def turned(v: Vectors, x: Term, k: int, n: int) -> Term:
    """Return x exp(-2 pi i k / n)."""
    quarter, rest = divmod(8 * (k % n) + n, 2 * n)
    turn = (rest - n) / (8 * n)  # k / n = quarter / 4 + turn, |turn| <= 1/8
    if abs(turn) < 1e-12:
        return Term(x.real, x.imag, x.scale, (x.quarter + quarter) % 4)
    tangent = math.tan(2 * math.pi * turn)
    if abs(abs(tangent) - 1.0) < 1e-12:
        tangent = math.copysign(1.0, tangent)
    # (a + i b)(1 - i tangent) cosine
    return Term(
        v.add_times(x.real, tangent, x.imag),
        v.add_times(x.imag, -tangent, x.real),
        x.scale * math.cos(2 * math.pi * turn),
        (x.quarter + quarter) % 4,
    )


def transform(v: Vectors, x: Sequence[Term]) -> list[Term]:
    """Return the discrete Fourier transform of 1, 2, 4, 8 or 16 terms, in natural order."""
    n = len(x)
    if n == 1:
        return [x[0]]
    if n == 2:
        return [combine(v, x[0], x[1]), combine(v, x[0], x[1], -1)]
    rows = 2 if n in (4, 8) else 4
    columns = n // rows
    parts = [transform(v, x[j::columns]) for j in range(columns)]
    result: list[Term] = [x[0]] * n
    for q in range(rows):
        column = [turned(v, parts[j][q], j * q, n) for j in range(columns)]
        result[q::rows] = transform(v, column)
    return result


def settled(v: Vectors, x: Term) -> tuple[Value, Value]:
    """Return real and imaginary part with scale and turn applied."""
    real, imag = [
        (x.real, x.imag),
        (x.imag, x.real),
        (x.real, x.imag),
        (x.imag, x.real),
    ][x.quarter]
    if x.quarter in (2, 3):
        real = v.neg(real)
    if x.quarter in (1, 2):
        imag = v.neg(imag)
    if x.scale != 1.0:
        factor = v.constant(x.scale)
        real, imag = v.mul(real, factor), v.mul(imag, factor)
    return real, imag
