"""Measured series: values at epochs, interpolated linearly, and nothing beyond them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

_SLACK = 1e-3  # s: an epoch that is printed as the last one is not beyond it


@dataclass(frozen=True, eq=False)
class Series:
    """Values at increasing epochs.

    Attributes
    ----------
    name : str
        What they are, for messages, such as ``"weather of KOKEE"``.
    epochs : Epoch, shape (m,)
        Increasing, any scale.
    values : ndarray, shape (m, k)
        NaN where there is none.
    longest_gap : float
        Between neighbours that are further apart than this (s) nothing is known.

    Raises
    ------
    ConfigurationError
        For epochs that do not increase, or values of another length.

    Examples
    --------
    >>> day = Epoch.from_iso(["2026-01-01T00:00:00", "2026-01-01T06:00:00"])
    >>> series = Series("weather", day, np.array([[1.0], [4.0]]), 21600.0)
    >>> series.at(day[0].shifted(np.array([7200.0])))
    array([[2.]])
    """

    name: str
    epochs: Epoch
    values: Floats
    longest_gap: float

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 2 or self.epochs.shape != values.shape[:1] or not len(values):
            raise ConfigurationError(
                f"{self.name}: {values.shape} values at {self.epochs.shape} epochs.",
                next_step="Give a row of values for each epoch.",
            )
        if not np.all(np.diff(np.asarray(self.epochs.since(self.epochs[0]))) > 0.0):
            raise ConfigurationError(
                f"{self.name}: the epochs do not increase.", next_step="Sort them, one row each."
            )
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @cached_property
    def _start(self) -> Epoch:
        return self.epochs[0].to("tt")

    @cached_property
    def _seconds(self) -> Floats:
        return np.asarray(self.epochs.to("tt").since(self._start))

    def at(self, epoch: Epoch) -> Floats:
        """Return the values at epochs, shape (..., k).

        Raises
        ------
        SpanError
            Outside the series, or in a gap.
        """
        tt = epoch.to("tt")
        seconds = np.asarray(tt.since(self._start))
        known = self._seconds
        outside = ~((seconds >= known[0] - _SLACK) & (seconds <= known[-1] + _SLACK))
        if np.any(outside):
            when = _one(tt, outside)
            span = f"{self.epochs[0].to('utc').iso(0)} to {self.epochs[-1].to('utc').iso(0)} UTC"
            raise SpanError(
                f"{self.name} is asked for at {when}, and spans {span}.",
                next_step="Add what covers it.",
            )
        if len(known) == 1:
            return np.broadcast_to(self.values[0], (*seconds.shape, self.values.shape[1]))
        after = np.clip(np.searchsorted(known, seconds, side="right"), 1, len(known) - 1)
        long = np.diff(known)[after - 1]
        part = (seconds - known[after - 1]) / long
        gap = (long > self.longest_gap + _SLACK) & (part > 0.0) & (part < 1.0)
        if np.any(gap):
            raise SpanError(
                f"{self.name} is asked for at {_one(tt, gap)}, in a gap of "
                f"{float(np.max(long[gap])) / 3600.0:.1f} h.",
                next_step=f"Fill it; up to {self.longest_gap / 3600.0:.1f} h are interpolated.",
            )
        part = part[..., None]
        # where one side is exactly met, a NaN of the other must not spoil it
        before, behind = self.values[after - 1], self.values[after]
        mixed = before * (1.0 - part) + behind * part
        return np.asarray(np.where(part <= 0.0, before, np.where(part >= 1.0, behind, mixed)))


def _one(epoch: Epoch, chosen: NDArray[np.bool_]) -> str:
    """Return the first chosen epoch in words."""
    index = int(np.argmax(np.ravel(chosen)))
    flat = Epoch(epoch.scale, epoch.day.ravel(), epoch.second.ravel())
    return f"{flat[index].to('utc').iso(0)} UTC"
