"""Loops over numbers of samples without frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel


@kernel()
def convert(
    numbers: NDArray[Any],
    first: int,
    parts: int,
    zero: float,
    scale: float,
    out: NDArray[np.float32],
    valid: NDArray[np.bool_],
) -> None:
    """Decode one channel of interleaved integers.

    Parameters
    ----------
    numbers : ndarray, shape (n, width)
        Numbers of `n` samples of all channels.
    first : int
        Column of the channel's first number.
    parts : int
        Numbers of a sample.
    zero, scale : float
        The value of a number is (number - zero) x scale.
    out, valid : ndarray, shapes (n x parts,) and (n,)
        Filled.
    """
    for i in range(len(valid)):
        valid[i] = True
        for p in range(parts):
            out[i * parts + p] = np.float32((np.float64(numbers[i, first + p]) - zero) * scale)


@kernel()
def convert_floats(
    numbers: NDArray[Any],
    first: int,
    parts: int,
    out: NDArray[np.float32],
    valid: NDArray[np.bool_],
) -> None:
    """The same for floating-point numbers: those that are not finite make a sample invalid."""
    for i in range(len(valid)):
        good = True
        for p in range(parts):
            value = np.float32(numbers[i, first + p])
            good = good and np.isfinite(value)
            out[i * parts + p] = value
        if not good:
            for p in range(parts):
                out[i * parts + p] = np.float32(0.0)
        valid[i] = good
