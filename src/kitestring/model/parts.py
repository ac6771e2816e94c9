"""What antennas and skies add to arrivals and delays, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kitestring.model.antenna import Station, axis_offset_delay
from kitestring.model.delay import Delay
from kitestring.model.earth import StationState
from kitestring.model.sight import Effect, Sight

Floats = NDArray[np.float64]
Parts = dict[str, Floats]
"""What is added to a value, by name, in its unit."""

AXIS_OFFSET = "axis offset"


def sum_parts(one: Mapping[str, Floats], other: Mapping[str, Floats]) -> Parts:
    """Return the parts of a sum: those of one name are added up."""
    return {
        name: np.asarray(sum(parts[name] for parts in (one, other) if name in parts))
        for name in (*one, *(n for n in other if n not in one))
    }


def scale_parts(parts: Mapping[str, Floats], factor: float) -> Parts:
    """Return the parts of a multiple."""
    return {name: factor * part for name, part in parts.items()}


def added_parts(sight: Sight, effects: Sequence[Effect] = ()) -> Parts:
    """Return what a station's antenna and sky add to an arrival there, by name, s.

    Parameters
    ----------
    sight : Sight, shape (n,)
        The station and where it looks.
    effects : sequence of Effect
        In order; those of one name are added up.
    """
    parts = {AXIS_OFFSET: axis_offset_delay(sight.station, sight.itrf)}
    for effect in effects:
        parts = sum_parts(parts, {effect.name: effect.delay(sight)})
    return parts


def station_delay(sight: Sight, effects: Sequence[Effect] = ()) -> Floats:
    """Return the sum of `added_parts`, s."""
    return np.asarray(sum(added_parts(sight, effects).values()))


def baseline_parts(first: Sight, second: Sight, effects: Sequence[Effect] = ()) -> Parts:
    """Return what antennas and skies add to a delay, by name: at station 2 less at 1, s."""
    return sum_parts(added_parts(second, effects), scale_parts(added_parts(first, effects), -1.0))


def baseline_sights(
    found: Delay,
    stations: tuple[Station, Station],
    states: tuple[StationState, StationState],
    frequency: float | None = None,
    group: bool = True,
) -> tuple[Sight, Sight]:
    """Return how the two stations of a baseline see the target.

    Parameters
    ----------
    found : Delay
        The delay of vacuum, with its directions.
    stations, states
        The baseline, and where it was when `found` was computed.
    frequency : float, optional
        Sky frequency, Hz.
    group : bool
        Whether the delay is the group's.
    """
    directions = (found.direction1, found.direction2)
    first, second = (
        Sight(station, state, direction, found.distance, frequency, group)
        for station, state, direction in zip(stations, states, directions, strict=True)
    )
    return first, second
