"""Smooth series of time that are dear to evaluate: splined in blocks of days."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]

_BLOCK_DAYS = 16  # days of a spline
_MARGIN_DAYS = 2  # so that the ends of a spline lie outside its block
_EPOCHS_PER_BLOCK = 16  # with fewer the series itself serves


class BlockSpline:
    """A series as a function of TT, with splines kept from call to call.

    Each block of days has its own spline, whatever else is asked for, so that a
    value does not depend on its neighbours. Where an array has few epochs per
    block, the series itself is evaluated.

    Parameters
    ----------
    series : callable
        Returns values, shape (n, k), at TT epochs, shape (n,).
    nodes_per_day : int
        Nodes of the splines; the caller states what error they leave.
    """

    def __init__(self, series: Callable[[Epoch], Floats], nodes_per_day: int) -> None:
        self._series = series
        self._nodes_per_day = nodes_per_day
        self._spline = lru_cache(maxsize=1024)(self._make)

    def at(self, epoch: Epoch) -> Floats:
        """Return values, shape (..., k), at epochs, shape (...)."""
        tt = epoch.to("tt")
        shape = tt.shape
        flat = Epoch("tt", np.ravel(tt.day), np.ravel(tt.second))
        blocks = flat.day // _BLOCK_DAYS
        found = np.unique(blocks)
        if not flat.day.size or flat.day.size < _EPOCHS_PER_BLOCK * len(found):
            values = self._series(flat)
        else:
            parts = {block: self._spline(block) for block in found.tolist()}
            values = np.empty((flat.day.size, next(iter(parts.values())).c.shape[-1]))
            for block, spline in parts.items():
                rows = blocks == block
                values[rows] = spline(
                    (flat.day[rows] - block * _BLOCK_DAYS) + flat.second[rows] / DAY
                )
        return values.reshape(*shape, values.shape[-1])

    def _make(self, block: int) -> CubicSpline:
        count = (_BLOCK_DAYS + 2 * _MARGIN_DAYS) * self._nodes_per_day + 1
        nodes = np.arange(count) / self._nodes_per_day - _MARGIN_DAYS
        day = np.floor(nodes)
        epochs = Epoch("tt", block * _BLOCK_DAYS + day.astype(np.int64), (nodes - day) * DAY)
        return CubicSpline(nodes, self._series(epochs))
