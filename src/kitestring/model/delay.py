"""Delay of one wavefront between two stations: far field and near field.

tau = t2 - t1, the arrival at station 2 minus the arrival at station 1, in TT as
kept on the geoid, referred to t1. Vacuum, gravitational delay included; the
antennas' axis offsets, the troposphere and the clocks are added by name
elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.model.constants import EARTH_RADIUS, GM, C
from kitestring.model.earth import StationState
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.light_time import SHAPIRO_BODIES, down_leg, path_delay
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]

_ITERATIONS = 5  # each gains a factor 1e4: the last one moves nothing


@dataclass(frozen=True)
class Delay:
    """A delay and what it was seen along.

    Attributes
    ----------
    delay : ndarray, shape (n,)
        Arrival at station 2 minus arrival at station 1, s.
    direction1, direction2 : ndarray, shape (n, 3)
        Unit vectors from the stations to the source, BCRS (not aberrated).
    """

    delay: Floats
    direction1: Floats
    direction2: Floats


def far_field_delay(
    state1: StationState, state2: StationState, direction: Floats, ephemeris: Ephemeris
) -> Delay:
    """Return the consensus delay of a source at infinity (IERS TN36 eq. 11.1 to 11.10).

    Parameters
    ----------
    state1, state2 : StationState
        Both at the epochs t1 (the arrivals at station 1), or `state1` of the geocentre.
    direction : ndarray, shape (3,) or (n, 3)
        Unit vector to the source in the BCRS.
    ephemeris : Ephemeris
        For the gravitational delay of Sun, Moon and planets.
    """
    k = np.broadcast_to(direction, state1.position.shape)
    b = state2.position - state1.position
    v = state1.earth[..., 3:]
    w2 = state2.velocity
    kb, vb, kv = _dot(k, b), _dot(v, b), _dot(k, v)
    gravity = _far_field_gravity(state1, state2, k, kb, ephemeris)
    potential = state1.solar_potential
    vacuum = -kb / C * (1.0 - 2.0 * potential / C**2 - _dot(v, v) / (2 * C**2) - _dot(v, w2) / C**2)
    vacuum -= vb / C**2 * (1.0 + kv / (2 * C))
    delay = (gravity + vacuum) / (1.0 + (kv + _dot(k, w2)) / C)
    return Delay(delay, k, k)


def _far_field_gravity(
    state1: StationState, state2: StationState, k: Floats, kb: Floats, ephemeris: Ephemeris
) -> Floats:
    """Return the differential gravitational delay (TN36 eq. 11.1 to 11.6), s."""
    earth = state1.earth
    x1 = earth[..., :3] + state1.position
    x2 = earth[..., :3] + state2.position
    total = _log_ratio(GM["EARTH"], state1.position, state2.position, k)
    for name in SHAPIRO_BODIES:
        body = ephemeris.barycentric(name, state1.tdb)
        lag = np.maximum(_dot(k, body[..., :3] - x1), 0.0) / C
        position = body[..., :3] - body[..., 3:] * lag[..., None]
        r1 = x1 - position
        r2 = x2 - position - earth[..., 3:] * (kb / C)[..., None]
        total += _log_ratio(GM[name], r1, r2, k)
    return total


def _log_ratio(gm: float, r1: Floats, r2: Floats, k: Floats) -> Floats:
    first = np.linalg.norm(r1, axis=-1) + _dot(r1, k)
    second = np.linalg.norm(r2, axis=-1) + _dot(r2, k)
    # at the geocentre the Earth's own term has no meaning: a common constant
    first = np.where(first == 0.0, EARTH_RADIUS, first)
    second = np.where(second == 0.0, EARTH_RADIUS, second)
    return 2 * gm / C**3 * np.log(first / second)


def near_field_delay(
    state1: StationState, state2: StationState, trajectory: Trajectory, ephemeris: Ephemeris
) -> Delay:
    """Return the delay of a wavefront from a target at finite distance.

    Two light times are solved in the BCRS; their difference is formed from the
    baseline, never from two large positions.

    Parameters
    ----------
    state1, state2 : StationState
        Both at the epochs t1 (the arrivals at station 1), or `state1` of the geocentre.
    trajectory : Trajectory
        The target.
    ephemeris : Ephemeris
        Sun, Moon and planets.
    """
    leg = down_leg(state1, trajectory, ephemeris)
    x1 = state1.barycentric
    target = leg.spacecraft[..., :3]
    to_target1 = target - x1
    rho1 = np.linalg.norm(to_target1, axis=-1)
    earth_acceleration = _towards_sun(state1, ephemeris)
    velocity = state1.earth[..., 3:]
    shapiro1 = path_delay(ephemeris, state1.tdb, x1, target, state1.earth[..., :3])
    delay = np.zeros_like(rho1)
    coordinate = np.zeros_like(rho1)
    b_tdb = np.zeros_like(x1)
    for iteration in range(_ITERATIONS):
        t = delay[..., None]
        position2 = state2.position + state2.velocity * t + 0.5 * state2.acceleration * t**2
        dt = coordinate[..., None]
        earth_moved = velocity * dt + 0.5 * earth_acceleration * dt**2
        b_tdb = (
            state1.barycentric_vector(position2)
            - state1.barycentric_vector(state1.position)
            + earth_moved
        )
        to_target2 = to_target1 - b_tdb
        rho2 = np.linalg.norm(to_target2, axis=-1)
        difference = -_dot(b_tdb, to_target1 + to_target2) / (rho1 + rho2)
        if iteration == 1:
            earth2 = state1.earth[..., :3] + earth_moved
            shapiro2 = path_delay(ephemeris, state1.tdb, x1 + b_tdb, target, earth2)
            shapiro_difference = shapiro2 - shapiro1
        elif iteration == 0:
            shapiro_difference = np.zeros_like(rho1)
        coordinate = difference / C + shapiro_difference
        # TDB-TT moves with the geocentre's clock, and differs between the stations
        topocentric = _dot(velocity, position2 - state1.position) / C**2
        delay = coordinate - topocentric - state1.tdb_rate * delay
    rho2 = np.linalg.norm(to_target2, axis=-1)
    return Delay(delay, leg.direction, to_target2 / rho2[..., None])


def _towards_sun(state: StationState, ephemeris: Ephemeris) -> Floats:
    """Return the acceleration of the Earth by the Sun, m/s^2."""
    r = state.earth[..., :3] - ephemeris.barycentric("SUN", state.tdb)[..., :3]
    return np.asarray(-GM["SUN"] * r / np.linalg.norm(r, axis=-1, keepdims=True) ** 3)


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.sum(a * b, axis=-1))
