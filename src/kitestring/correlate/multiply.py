"""Fourier transforms of segments and the sums of their products, by the engine that serves."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from kitestring.correlate import _kernels, lanes
from kitestring.correlate.inputs import BandInput

Integers = NDArray[np.int64]
Singles = NDArray[np.float32]

TILE_BYTES = 1 << 19
"""Spectra that are multiplied at a time: they stay in a core's second-level cache."""
TURNED_BYTES = 1 << 24
"""Rotated samples that are transformed at a time, unless one segment has more."""
TILE_SEGMENTS = 256
"""Most segments summed in float32."""


def multiply_inputs(inputs: list[BandInput], bins: int, pairs: Integers) -> NDArray[np.complex128]:
    """Return the sums over segments of X1 conj(X2), shape (pair, bin).

    Parameters
    ----------
    inputs : list of BandInput
        All of the same segments.
    bins : int
        Bins, from bin 0 of each input's transform on.
    pairs : ndarray of int64, shape (pair, 2)
        Indices of the inputs of each product.
    """
    if lanes.serves(inputs, bins):
        return lanes.multiply_inputs(inputs, bins, pairs)
    return multiply_with_scipy(inputs, bins, pairs)


def multiply_with_scipy(
    inputs: list[BandInput], bins: int, pairs: Integers
) -> NDArray[np.complex128]:
    """Do the work of `multiply_inputs` with `scipy.fft`: any number of bins, any machine."""
    segments = len(inputs[0].first)
    most = TILE_BYTES // (len(inputs) * bins * 8)
    turned_most = TURNED_BYTES // (8 * max(item.samples for item in inputs))
    size = max(1, min(TILE_SEGMENTS, segments, most, turned_most))
    tile = np.empty((len(inputs), size, 2, bins), dtype=np.float32)
    samples = [_samples(item) for item in inputs]
    total = np.zeros((len(pairs), 2, bins))
    for low in range(0, segments, size):
        part = slice(low, min(low + size, segments))
        for i, item in enumerate(inputs):
            turned = np.empty((part.stop - part.start, item.samples), dtype=np.complex64)
            rotate = _kernels.rotate_complex if item.parts == 2 else _kernels.rotate_real
            rotate(
                samples[i], item.first[part], item.start[part], item.step[part], item.piece,
                turned.view(np.float32),
            )  # fmt: skip
            turned[item.valid[part] == 0] = 0.0  # a broken segment has samples all the same
            found = scipy.fft.fft(turned, axis=1, overwrite_x=True, workers=1)
            _kernels.pick_bins(np.asarray(found).view(np.float32), item.turn[part], tile[i])
        _kernels.multiply(tile, part.stop - part.start, pairs, total)
    return np.asarray(total[:, 0] + 1j * total[:, 1])


def _samples(item: BandInput) -> Singles:
    """Return an input's samples decoded, complex ones conjugated as asked."""
    values = item.stream.decoded
    if item.parts == 2 and item.conjugate:
        return np.asarray(values.view(np.complex64).conj()).view(np.float32)
    return values
