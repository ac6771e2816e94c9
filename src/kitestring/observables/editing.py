"""Sets observables aside for reasons known before any fit.

Rows are flagged, never removed, and a row that carries a flag keeps it: the
first reason stands.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.earth import EarthModel
from kitestring.model.geometry import sun_angle
from kitestring.model.light_time import barycentric_state
from kitestring.model.observable import Kind
from kitestring.model.sight import Sight
from kitestring.model.stations import StationCatalogue
from kitestring.model.trajectory import Trajectory
from kitestring.observables.types import Observables

Floats = NDArray[np.float64]

PASS_GAP = 1800.0
"""Seconds without a point that end a pass."""


def flag_rows(observables: Observables, rows: NDArray[np.bool_], reason: str) -> Observables:
    """Flag rows that carry no flag yet.

    Parameters
    ----------
    observables : Observables
        What to flag; it is not changed.
    rows : ndarray of bool, shape (n,)
        Which rows.
    reason : str
        A short text.

    Raises
    ------
    ConfigurationError
        Where there is no reason.
    """
    if not reason:
        raise ConfigurationError("a flag needs a reason.", next_step="Say why in a few words.")
    flag = observables.flag.astype(f"U{max(len(reason), observables.flag.dtype.itemsize // 4)}")
    flag[rows & (observables.flag == "")] = reason
    return replace(observables, flag=flag)


def doppler_passes(observables: Observables) -> NDArray[np.str_]:
    """Name the pass of each row of Doppler: rows of a path without a gap of half an hour.

    Returns
    -------
    ndarray of str, shape (n,)
        Empty for other kinds of observable.
    """
    if observables.kind is not Kind.DOPPLER or not len(observables):
        return np.full(len(observables), "", dtype="U1")
    seconds = observables.epoch.since(observables.epoch.first())
    order = np.argsort(seconds, kind="stable")
    number = np.zeros(len(seconds), dtype=np.int64)
    number[order] = np.cumsum(np.diff(seconds[order], prepend=seconds[order[0]]) > PASS_GAP)
    # by its earliest row: the order of the rows must not matter
    first = {int(number[k]): observables.epoch[k].iso(0) for k in order[::-1]}
    return np.array([f"{observables.path} {first[n]}" for n in number.tolist()])


def lowest_elevation(
    observables: Observables,
    target: Trajectory,
    earth: EarthModel,
    stations: StationCatalogue | None = None,
) -> Floats:
    """Return the lowest elevation of the target at any station of the path, rad, in vacuum.

    All stations are taken at the time tag. One that transmitted a light time
    earlier saw the target elsewhere: an hour before, up to 15 degrees.
    """
    catalogue = stations or StationCatalogue.default()
    lowest = np.full(len(observables), np.pi / 2)
    for name in observables.path.participants:
        if name not in catalogue:
            continue
        station = catalogue.get(name)
        state = earth.station_state(station, observables.epoch)
        place = barycentric_state(target, earth.ephemeris, state.tdb)[:, :3] - state.barycentric
        direction = place / np.linalg.norm(place, axis=-1, keepdims=True)
        lowest = np.minimum(lowest, Sight(station, state, direction).elevation)
    return lowest


def flag_low_elevation(
    observables: Observables,
    target: Trajectory,
    earth: EarthModel,
    angle: float,
    stations: StationCatalogue | None = None,
) -> Observables:
    """Flag rows in which a station saw the target below an elevation.

    Parameters
    ----------
    observables : Observables
        What to flag.
    target : Trajectory
        Where the target is.
    earth : EarthModel
        Where stations are.
    angle : float
        Lowest elevation that is good, rad.
    stations : StationCatalogue, optional
        Where participants are looked up; the package's own unless given.

    Returns
    -------
    Observables
        With the reason ``"elevation < 10 deg"``.
    """
    low = lowest_elevation(observables, target, earth, stations) < angle
    return flag_rows(observables, low, f"elevation < {np.degrees(angle):g} deg")


def flag_near_sun(
    observables: Observables, target: Trajectory, earth: EarthModel, angle: float
) -> Observables:
    """Flag rows in which the target stood near the Sun, where plasma disturbs the signal.

    Parameters
    ----------
    observables : Observables
        What to flag.
    target : Trajectory
        Where the target is.
    earth : EarthModel
        Gives the ephemeris.
    angle : float
        Smallest angle between target and Sun that is good, rad.

    Returns
    -------
    Observables
        With the reason ``"Sun angle < 30 deg"``.
    """
    near = sun_angle(target, observables.epoch, earth) < angle
    return flag_rows(observables, near, f"Sun angle < {np.degrees(angle):g} deg")
