"""How the stages of the lane-batched FX engine lie in memory, and what they share.

Every lane of a vector is another segment of the same channel, so that no stage
shuffles what it computes. An element is `LANES` real parts, then `LANES`
imaginary parts. `kitestring.correlate._lane_front.begin` brings packed samples of
all lanes together, decodes and rotates them and makes the first pass of a
decimation in frequency; the stages of `kitestring.correlate._lane_passes` make the
other passes in place, computing in the last one only the bins that are wanted, and
form products.

Bins stay in the order that decimation leaves (`kitestring.correlate.lanes.
bin_order`); visibilities are put in order once, when they are handed out.

Numbers that shape the code are literals: numba makes a version for each.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from kitestring.correlate._vectors import DOUBLE, INT8, INT64, LANES, Value, Vectors

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


def twiddle_factor(v: Vectors, table: Value, at: Value, q: int) -> Complex:
    """Return twiddle factor q of a butterfly whose factors begin at `at`."""
    return v.broadcast(table, at, 2 * (q - 1)), v.broadcast(table, at, 2 * (q - 1) + 1)


def _at(kind: Any, element: Any) -> Any:
    """Return an intrinsic that loads element `index` of numbers that lie at an address."""

    @intrinsic
    def load(typing: Any, address: Any, index: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            place = builder.gep(builder.inttoptr(given[0], element.as_pointer()), [given[1]])
            found = builder.load(place)
            return builder.zext(found, INT64) if element is INT8 else found

        return kind(types.intp, types.intp), emit

    return load


byte_at = _at(types.int64, INT8)
integer_at = _at(types.int64, INT64)
float_at = _at(types.float64, DOUBLE)


@intrinsic
def address_of(typing: Any, array: Any) -> Any:
    """Return the address of an array's first element."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, given[0]).data
        return builder.ptrtoint(data, INT64)

    return types.int64(array), emit
