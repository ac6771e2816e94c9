"""Delay of one wavefront between two stations: far field and near field.

tau = t2 - t1, the arrival at station 2 minus the arrival at station 1, in TT as
kept on the geoid, referred to t1. Vacuum, gravitational delay included; the
antennas' axis offsets, the troposphere and the clocks are added by name
elsewhere. `near_field` and `far_field` take stations by their GCRS states, for
comparison with other programs; the rest of the package has them by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.constants import EARTH_RADIUS, GM, C
from kitestring.model.earth import StationState, gcrs_state
from kitestring.model.earth_orientation import EarthOrientation
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.frames import EarthRotation, earth_rotation
from kitestring.model.light_time import SHAPIRO_BODIES, Leg, down_leg, path_delay
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]
Motion = tuple[Floats, Floats]
"""Position and velocity of a station, GCRS, each of shape (n, 3), m and m/s."""

_ITERATIONS = 5  # each gains a factor 1e4: the last one moves nothing
_NEAR = 2.0  # s of light time: so long the Earth's path is a parabola to 2 nm
_RATE_STEP = 2.0  # s; the difference of fourth order errs by 1e-20 far away, 1e-7 of it at 1,000 km
_RATE_WEIGHTS = ((-2, 1.0 / 12.0), (-1, -2.0 / 3.0), (1, 2.0 / 3.0), (2, -1.0 / 12.0))
_TAYLOR = 5  # terms of a station's circle over 4 s: the next is 1e-12 m


@dataclass(frozen=True)
class Delay:
    """A delay and what it was seen along.

    Attributes
    ----------
    delay : ndarray, shape (n,)
        Arrival at station 2 minus arrival at station 1, s.
    direction1, direction2 : ndarray, shape (n, 3)
        Unit vectors from the stations to the source, BCRS (not aberrated).
    leg : Leg or None
        The signal's way to station 1; None from a source at infinity.
    """

    delay: Floats
    direction1: Floats
    direction2: Floats
    leg: Leg | None = None

    @property
    def distance(self) -> Floats | float:
        """Distance of the target, shape (n,), m; infinite for a source at infinity."""
        return np.inf if self.leg is None else np.asarray(C * self.leg.light_time)


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
    earth_acceleration = state1.earth_acceleration
    to_target1 = _to_target(leg, trajectory)
    rho1 = np.linalg.norm(to_target1, axis=-1)
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
        faster = _dot(earth_acceleration * dt, position2)
        topocentric = (_dot(velocity, position2 - state1.position) + faster) / C**2
        delay = coordinate - topocentric - state1.tdb_rate * delay
    rho2 = np.linalg.norm(to_target2, axis=-1)
    return Delay(delay, leg.direction, to_target2 / rho2[..., None], leg)


def _to_target(leg: Leg, trajectory: Trajectory) -> Floats:
    """Return the vector from a station to the target at the target's event, m.

    Two positions relative to the SSB are good to 0.03 mm each. Beyond the Moon
    a baseline does not feel that; at 1,000 km it is 0.1 ps. Of a target that
    is given relative to the Earth no such position is formed.
    """
    state = leg.station
    plain = leg.spacecraft[..., :3] - state.barycentric
    near = leg.light_time < _NEAR
    if trajectory.center.upper() != "EARTH" or not np.any(near):
        return np.asarray(plain)
    t = -leg.light_time[..., None]
    earth_moved = state.earth[..., 3:] * t + 0.5 * state.earth_acceleration * t**2
    place = trajectory.state(leg.spacecraft_epoch)[..., :3]
    fine = place + earth_moved - state.barycentric_vector(state.position)
    return np.where(near[..., None], fine, plain)


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.sum(a * b, axis=-1))


# -- stations by their GCRS states -------------------------------------------


def near_field(
    t1: Epoch,
    station1: Motion,
    station2: Motion,
    target: Trajectory,
    ephemeris: Ephemeris | None = None,
) -> tuple[Floats, Floats]:
    """Return the delay of a target at finite distance and its rate; no Earth orientation.

    Vacuum delay, gravitation included, without axis offsets and media. Around
    t1 the stations go on from their positions and velocities round the Earth's
    axis; the target is asked for up to 4 s before and after the signal leaves it.

    Parameters
    ----------
    t1 : Epoch, shape (n,)
        Arrivals at station 1, TT (other scales are converted).
    station1, station2 : (ndarray, ndarray)
        Positions and velocities, GCRS at t1, each of shape (n, 3), m and m/s.
        A position of zero is the geocentre.
    target : Trajectory
        The target.
    ephemeris : Ephemeris, optional
        Sun, Moon and planets; the package's DE440 by default.

    Returns
    -------
    delay : ndarray, shape (n,)
        t2 - t1, TT, s.
    rate : ndarray, shape (n,)
        d(delay)/d(t1), s/s.

    Raises
    ------
    ConfigurationError
        For shapes that do not fit or numbers that are not finite.
    SpanError
        For epochs outside the trajectory or the ephemeris.

    Examples
    --------
    >>> from kitestring.model.trajectory import FixedOnBody
    >>> lander = FixedOnBody("INSIGHT", "MARS", [-2417.6e3, 2365.8e3, 266.0e3])
    >>> t1 = Epoch.from_iso(["2020-05-29T08:00:00"], "tt")
    >>> geocentre = np.zeros((1, 3)), np.zeros((1, 3))
    >>> station = np.array([[4.0e6, 0.0, 4.9e6]]), np.array([[0.0, 291.7, 0.0]])
    >>> delay, rate = near_field(t1, geocentre, station, lander)
    >>> f"{delay[0] * 1e3:.3f} ms, {rate[0] * 1e9:.1f} ns/s"
    '-9.821 ms, 278.7 ns/s'
    """
    known = ephemeris or Ephemeris.default()

    def delay(state1: StationState, state2: StationState) -> Floats:
        return near_field_delay(state1, state2, target, known).delay

    return _delay_and_rate(t1, station1, station2, known, delay)


def far_field(
    t1: Epoch,
    station1: Motion,
    station2: Motion,
    direction: Floats,
    ephemeris: Ephemeris | None = None,
) -> tuple[Floats, Floats]:
    """Return the delay of a source at infinity and its rate; no Earth orientation.

    Parameters
    ----------
    t1, station1, station2, ephemeris
        As in `near_field`.
    direction : ndarray, shape (3,) or (n, 3)
        Unit vector to the source, BCRS.

    Returns
    -------
    delay, rate : ndarray, shape (n,)
        As from `near_field`.

    Raises
    ------
    ConfigurationError
        For shapes that do not fit, numbers that are not finite or a direction
        that is not of length 1.
    SpanError
        For epochs outside the ephemeris.
    """
    known = ephemeris or Ephemeris.default()
    towards = np.asarray(direction, dtype=np.float64)
    if towards.shape not in ((3,), (*t1.shape, 3)) or not np.allclose(_dot(towards, towards), 1.0):
        raise ConfigurationError(
            f"directions of shape {towards.shape} are no unit vectors to a source.",
            next_step="Give one of shape (3,), or one for each epoch, of length 1.",
        )

    def delay(state1: StationState, state2: StationState) -> Floats:
        # the same sources at t1 and at each step before and after it
        times = len(state1.tt) // len(t1)
        repeated = towards if towards.ndim == 1 else np.tile(towards, (times, 1))
        return far_field_delay(state1, state2, repeated, known).delay

    return _delay_and_rate(t1, station1, station2, known, delay)


def _delay_and_rate(
    t1: Epoch,
    station1: Motion,
    station2: Motion,
    ephemeris: Ephemeris,
    delay: Callable[[StationState, StationState], Floats],
) -> tuple[Floats, Floats]:
    """Return a delay at t1 and the difference of those around it."""
    steps = np.array([0, *(step for step, _ in _RATE_WEIGHTS)]) * _RATE_STEP
    epochs = Epoch.concatenate([t1.to("tt").shifted(step) for step in steps])
    # no Earth orientation: the spin axis does without
    still = EarthOrientation(*np.zeros((5, *epochs.shape)))
    rotation = earth_rotation(epochs, still)
    states = [
        gcrs_state(ephemeris, epochs, rotation, *_moved(motion, rotation, t1, steps, name), name)
        for name, motion in (("station 1", station1), ("station 2", station2))
    ]
    value = delay(*states).reshape(len(steps), -1)
    weights = np.array([weight for _, weight in _RATE_WEIGHTS])
    # of the differences, so that a long delay costs no digits
    return value[0], weights @ (value[1:] - value[0]) / _RATE_STEP


def _moved(motion: Motion, rotation: EarthRotation, t1: Epoch, steps: Floats, name: str) -> Motion:
    """Return positions and velocities at all steps, shape (steps * n, 3)."""
    shape = (*t1.shape, 3)
    given = [np.asarray(part, dtype=np.float64) for part in motion]
    if len(given) != 2 or len(shape) != 2 or any(part.shape != shape for part in given):
        raise ConfigurationError(
            f"{name} has parts of shape {', '.join(str(part.shape) for part in given)}; "
            f"the epochs have {t1.shape}.",
            next_step="Give n epochs, and position and velocity of shape (n, 3) each.",
        )
    if not all(np.all(np.isfinite(part)) for part in given):
        raise ConfigurationError(
            f"a position or velocity of {name} is not finite.", next_step="Leave such rows out."
        )
    elapsed = np.repeat(steps, len(t1))[:, None]
    term = np.tile(given[1], (len(steps), 1))
    position, velocity = np.tile(given[0], (len(steps), 1)), np.zeros_like(term)
    factor = np.ones_like(elapsed)
    for order in range(1, _TAYLOR + 1):
        velocity = velocity + factor * term
        factor = factor * elapsed / order
        position = position + factor * term
        term = rotation.velocity(term)
    return position, velocity
