"""Angles that planning and media need, good to 1e-4 rad."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.light_time import barycentric_state
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]


def angle_between(first: Floats, second: Floats) -> Floats:
    """Return the angle between vectors, shape (...), rad; exact near 0 and pi too.

    Parameters
    ----------
    first, second : ndarray, shape (..., 3)
        Of any length.

    Examples
    --------
    >>> float(angle_between(np.array([1.0, 0.0, 0.0]), np.array([2.0, 2e-9, 0.0])))
    1e-09
    """
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.asarray(np.arctan2(across, np.sum(first * second, axis=-1)))


def uvw(direction: Floats, baseline: Floats) -> Floats:
    """Return a baseline along east, north and the direction of the source, shape (..., 3), m.

    Parameters
    ----------
    direction : ndarray, shape (..., 3)
        Unit vectors to the source.
    baseline : ndarray, shape (..., 3)
        POSITION2 - POSITION1 in the same axes, m.
    """
    # at a pole, where every way is south, as on the meridian of 0 h
    ra = np.arctan2(direction[..., 1], direction[..., 0])
    east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)], axis=-1)
    axes = np.stack([east, np.cross(direction, east), direction], axis=-2)
    return np.asarray(np.einsum("...ij,...j->...i", axes, baseline))


def sun_angle(target: Trajectory | Floats, epoch: Epoch, earth: EarthModel) -> Floats:
    """Return the angle between a target and the Sun, seen from the geocentre, rad.

    The target is taken where it is when the signal leaves it, the Sun where it
    is at `epoch`: good to 1e-4 rad.

    Parameters
    ----------
    target : Trajectory or ndarray, shape (3,)
        A spacecraft, or the unit vector to a source at infinity, BCRS.
    epoch : Epoch, shape (n,)
        Any scale.
    earth : EarthModel
        Its ephemeris gives the Sun and the Earth.

    Returns
    -------
    ndarray, shape (n,)
        0 to pi.

    Raises
    ------
    SpanError
        For an epoch outside the trajectory or the ephemeris.
    """
    tdb = epoch.to("tdb")
    here = earth.ephemeris.barycentric("EARTH", tdb)[..., :3]
    sun = earth.ephemeris.barycentric("SUN", tdb)[..., :3] - here
    if isinstance(target, np.ndarray):
        towards = np.broadcast_to(target, sun.shape)
    else:
        towards = barycentric_state(target, earth.ephemeris, tdb)[..., :3] - here
        sent = tdb.shifted(-np.linalg.norm(towards, axis=-1) / C)
        towards = barycentric_state(target, earth.ephemeris, sent)[..., :3] - here
    return angle_between(towards, sun)
