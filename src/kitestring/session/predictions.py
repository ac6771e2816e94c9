"""Predictions of a target by whatever names it: a source, an orbit file, a session's solution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, MissingDataError, SpanError, UnknownNameError
from kitestring.formats.trajectories import read_trajectory
from kitestring.model.body import EphemerisBody
from kitestring.model.earth import EarthModel
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.light_time import down_leg
from kitestring.model.sources import get_source
from kitestring.model.stations import StationCatalogue
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.model.troposphere import Troposphere
from kitestring.products.predictions import PredictionTable, predict_table
from kitestring.session.file import read_session
from kitestring.session.orbit_stages import load_determined
from kitestring.session.run import Context
from kitestring.session.setting import Setting

MOST_EPOCHS = 100_000
_HERE = ("EARTH",)
FEW_EPOCHS = 7
"""How many epochs are predicted where nobody says."""


def find_target(name: str) -> tuple[str, Trajectory | NDArray[np.float64]]:
    """Return a target's name, and its trajectory or direction.

    Parameters
    ----------
    name : str
        Name of a source of the catalogue or of a body of the ephemeris (such as
        ``"MARS"``), path of an OEM or SPK file (of
        several bodies one is named behind a ``#``: ``planets.bsp#MARS
        BARYCENTER``), or of a session's directory in which an orbit was
        determined.

    Raises
    ------
    UnknownNameError
        Where it is none of these.
    MissingDataError
        Where the session has no solution.
    """
    if not name.strip():
        raise ConfigurationError("no target was named.", next_step="Name a source or a file.")
    path = Path(name)
    if path.is_dir():
        found = load_determined(Context(path, read_session(path))).orbit
        if found is None:
            raise MissingDataError(
                "the session's target does not fly.",
                place=name,
                next_step="Name a session of a spacecraft.",
            )
        return found.name, found
    file, _, body = name.partition("#") if not path.is_file() else (name, "", "")
    if Path(file).is_file():
        orbit = read_trajectory(file, body or None)
        return orbit.name, orbit
    if name.upper() in _HERE:
        raise ConfigurationError(
            f"the stations stand on {name.upper()}.", next_step="Name what they look at."
        )
    if name.upper() in Ephemeris.default().names:
        return name.upper(), EphemerisBody(name)
    try:
        source = get_source(name)
    except UnknownNameError as problem:
        problem.message = f"{name!r} is no source, body, file or session directory."
        raise
    return source.name, source.direction


def direction_of(target: str, at: str) -> NDArray[np.float64]:
    """Return where a target is seen from the geocentre, light time applied.

    Parameters
    ----------
    target : str
        See `find_target`.
    at : str
        When, UTC, ISO 8601.

    Returns
    -------
    ndarray, shape (3,)
        Unit vector, ICRS.

    Raises
    ------
    UnknownNameError
        For a target that is not known.
    SpanError
        For an epoch that its orbit does not cover.

    Examples
    --------
    >>> x, y, z = direction_of("MARS", "2020-10-13T23:00:00")  # its opposition, an opposition
    >>> f"{np.degrees(np.arctan2(y, x)):.1f}, {np.degrees(np.arcsin(z)):.1f}"
    '20.3, 5.3'
    """
    _, found = find_target(target)
    if isinstance(found, np.ndarray):
        return found
    earth = EarthModel()
    centre = earth.station_state(None, Epoch.from_iso([at]))
    return np.asarray(down_leg(centre, found, earth.ephemeris).direction[0])


def predict_for(
    target: str,
    stations: Sequence[str],
    start: str,
    step: float,
    number: int | None = None,
    *,
    stop: str | None = None,
    frequency: float | None = None,
) -> PredictionTable:
    """Predict a target for stations and evenly spaced times.

    Parameters
    ----------
    target : str
        See `find_target`.
    stations : sequence of str
        Names in the catalogue, or in that of the session.
    start : str
        First epoch, UTC, ISO 8601.
    step : float
        Seconds between epochs.
    number : int, optional
        Number of epochs; `FEW_EPOCHS` where there is no `stop` either.
    stop : str, optional
        Last epoch, UTC, in place of a number; predicted where a step ends there.
    frequency : float, optional
        What the target transmits, Hz; that of the session's tones where it has some.

    Raises
    ------
    ConfigurationError
        Where number and stop are both given, stop is before start, or there
        would be more than `MOST_EPOCHS` epochs.
    UnknownNameError
        For a target or a station that is not known.
    SpanError
        For epochs that the target's orbit or the Earth orientation does not cover.
    """
    epochs = _epochs(start, step, number, stop)
    name, found = find_target(target)
    path = Path(target)
    own = Setting(Context(path, read_session(path))) if path.is_dir() else None
    catalogue = own.catalogue if own else StationCatalogue.default()
    try:
        return predict_table(
            found,
            list({s.name: s for s in map(catalogue.get, stations)}.values()),
            epochs,
            own.earth if own else EarthModel(),
            name=name,
            media=own.media_of_estimate if own else (Troposphere(below="nan"),),
            frequency=own.frequency if own and frequency is None else frequency,
        )
    except SpanError as problem:
        # media and Earth orientation have spans of their own
        if own is not None and not isinstance(found, np.ndarray) and _beyond(found, epochs):
            problem.next_step = "Raise estimate.predict_days in session.toml and run again."
        raise


def _beyond(trajectory: Trajectory, epochs: Epoch) -> bool:
    """Tell whether epochs lie outside a trajectory, light time apart."""
    first, last = trajectory.span
    tdb = epochs.to("tdb")
    return bool(tdb.first().since(first) < 0.0 or tdb.last().since(last) > 0.0)


def _epochs(start: str, step: float, number: int | None, stop: str | None) -> Epoch:
    """Return evenly spaced epochs, UTC, by their number or by the last."""
    first = Epoch.from_iso(start)
    if not (np.isfinite(step) and step > 0.0):
        raise ConfigurationError(
            f"a step of {step} s leads nowhere.", next_step="Give a positive number of seconds."
        )
    if stop is not None:
        if number is not None:
            raise ConfigurationError(
                f"{number} epochs and a last one at {stop} were both asked for.",
                next_step="Give a number or a stop, not both.",
            )
        length = float(Epoch.from_iso(stop).since(first))
        if length < 0.0:
            raise ConfigurationError(
                f"the stop, {stop}, is before the start, {start}.", next_step="Give a later stop."
            )
        # a step that ends at the stop but for its last digits is meant to
        number = int(length / step * (1.0 + 1e-12) + 1e-9) + 1
    elif number is None:
        number = FEW_EPOCHS
    if not 1 <= number <= MOST_EPOCHS:
        raise ConfigurationError(
            f"{number} epochs cannot be predicted at once.",
            next_step=f"Ask for 1 to {MOST_EPOCHS}.",
        )
    return first.shifted(step * np.arange(number))
