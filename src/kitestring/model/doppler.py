"""Doppler and range: received frequency over a count interval, round-trip light time.

The received phase at the end of a count less that at its start is what was
transmitted between the two transmission times, times the turnaround ratio. So
the mean received frequency is

    F = M * mean(f_T over [tT_start, tT_end]) * (tT_end - tT_start) / count

with tT_end - tT_start = count - (light time at the end - light time at the
start): no phase is ever summed over more than one count (Moyer 2000, eq. 13-54).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import MissingDataError
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]


class Ramps(Protocol):
    """Pieces of transmitted frequency, linear in time (see `observables.types.UplinkRamps`)."""

    @property
    def station(self) -> str:
        """Transmitting station."""

    @property
    def epoch(self) -> Epoch:
        """Start of each piece, UTC, ascending."""

    @property
    def frequency(self) -> Floats:
        """Frequency at the start of each piece, Hz."""

    @property
    def rate(self) -> Floats:
        """Rate of each piece, Hz/s."""


def frequency_at(ramps: Ramps, epoch: Epoch) -> Floats:
    """Return the last frequency that was begun before each epoch, Hz.

    Good to what a ramp sweeps in its time and in the light path; plasma wants
    no more.

    Parameters
    ----------
    ramps : Ramps
        The pieces; the first serves before it begins.
    epoch : Epoch, shape (n,)
        Any scale.

    Raises
    ------
    MissingDataError
        Where there are no pieces at all.
    """
    _check_some(ramps)
    elapsed = epoch.to("tai").since(ramps.epoch[0].to("tai"))
    piece = np.searchsorted(ramps.epoch.since(ramps.epoch[0]), elapsed, side="right") - 1
    return np.asarray(ramps.frequency[np.maximum(piece, 0)], dtype=np.float64)


def _check_some(ramps: Ramps) -> None:
    if len(ramps.epoch) == 0:
        raise MissingDataError(
            f"no uplink frequency of {ramps.station} is known.",
            next_step="Give the station's ramps (TRANSMIT_FREQ rows of a TDM).",
        )


def mean_transmitted_frequency(ramps: Ramps, start: Epoch, duration: Floats) -> Floats:
    """Return the mean of a ramped frequency over intervals.

    Parameters
    ----------
    ramps : Ramps
        The pieces. The last one has no end; whoever asks beyond it by more
        than the light path of a count must know what was sent.
    start : Epoch, shape (n,)
        Start of each interval, any scale.
    duration : ndarray, shape (n,)
        Length of each interval, s, positive.

    Returns
    -------
    ndarray, shape (n,)
        Hz; NaN for an interval that begins before the first piece.

    Raises
    ------
    MissingDataError
        Where there are no pieces at all.
    """
    _check_some(ramps)
    reference = ramps.epoch[0]
    knots = ramps.epoch.since(reference)
    begin = start.to("tai").since(reference.to("tai"))
    end = begin + duration
    first = np.searchsorted(knots, begin, side="right") - 1
    last = np.searchsorted(knots, end, side="left") - 1
    before = first < 0
    first = np.maximum(first, 0)
    stops = np.append(knots[1:], np.inf)
    # relative to a nearby frequency, so that no large phase is summed
    base = ramps.frequency[first]
    total = np.zeros_like(duration)
    for step in range(int(np.max(last - first, initial=0)) + 1):
        piece = np.minimum(first + step, len(knots) - 1)
        left = np.maximum(begin, knots[piece])
        right = np.minimum(end, stops[piece])
        inside = (first + step <= last) & (right > left)
        middle = 0.5 * (left + right) - knots[piece]
        value = ramps.frequency[piece] - base + ramps.rate[piece] * middle
        total += np.where(inside, value * (right - left), 0.0)
    return np.where(before, np.nan, base + total / duration)
