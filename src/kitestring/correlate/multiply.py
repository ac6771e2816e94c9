"""Fourier transforms of segments and the sums of their products, by the engine that serves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from kitestring.correlate import _kernels, lanes
from kitestring.correlate.inputs import BandInput, Work, cut

Integers = NDArray[np.int64]
Singles = NDArray[np.float32]

TILE_BYTES = 1 << 19
"""Spectra that are multiplied at a time: they stay in a core's second-level cache."""
TURNED_BYTES = 1 << 24
"""Rotated samples that are transformed at a time, unless one segment has more."""
TILE_SEGMENTS = 256
"""Most segments summed in float32."""


def multiply(
    works: Sequence[Work], parts: Sequence[tuple[int, int]]
) -> list[NDArray[np.complex128]]:
    """Return the sums over segments of X1 conj(X2), for each work of shape (part, pair, bin).

    Parameters
    ----------
    works : sequence of Work
        What to multiply.
    parts : sequence of (int, int)
        First segment of each part and the one after its last.
    """
    own = [k for k, work in enumerate(works) if lanes.serves(work)]
    found = dict(zip(own, lanes.multiply([works[k] for k in own], parts), strict=True))
    return [
        found[k] if k in found else np.array([multiply_with_scipy(work, part) for part in parts])
        for k, work in enumerate(works)
    ]


def multiply_with_scipy(work: Work, part: tuple[int, int]) -> NDArray[np.complex128]:
    """Multiply one part with `scipy.fft`: any number of bins, any machine; shape (pair, bin)."""
    inputs, bins, pairs = [cut(item, slice(*part)) for item in work.inputs], work.bins, work.pairs
    segments = len(inputs[0].first)
    most = TILE_BYTES // (len(inputs) * bins * 8)
    turned_most = TURNED_BYTES // (8 * max(item.samples for item in inputs))
    size = max(1, min(TILE_SEGMENTS, segments, most, turned_most))
    tile = np.empty((len(inputs), size, 2, bins), dtype=np.float32)
    samples = [_samples(item) for item in inputs]
    total = np.zeros((len(pairs), 2, bins))
    for low in range(0, segments, size):
        some = slice(low, min(low + size, segments))
        for i, item in enumerate(inputs):
            turned = np.empty((some.stop - some.start, item.samples), dtype=np.complex64)
            rotate = _kernels.rotate_complex if item.parts == 2 else _kernels.rotate_real
            rotate(
                samples[i], item.first[some], item.start[:, some], item.step[:, some], item.piece,
                turned.view(np.float32),
            )  # fmt: skip
            if item.valid is not None:
                turned[item.valid[some] == 0] = 0.0  # a broken segment has samples all the same
            found = scipy.fft.fft(turned, axis=1, overwrite_x=True, workers=1)
            _kernels.pick_bins(np.asarray(found).view(np.float32), item.turn[some], tile[i])
        _kernels.multiply(tile, some.stop - some.start, pairs, total)
    return np.asarray(total[:, 0] + 1j * total[:, 1])


def _samples(item: BandInput) -> Singles:
    """Return an input's samples decoded, complex ones conjugated as asked."""
    values = item.stream.decoded
    if item.parts == 2 and item.conjugate:
        return np.asarray(values.view(np.complex64).conj()).view(np.float32)
    return values
