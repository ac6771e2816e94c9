"""Light times between a spacecraft and stations, in the BCRS.

Moyer (2000), chapter 8; differences of ranges are taken in the stable form
|a| - |b| = (a - b).(a + b) / (|a| + |b|).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import EstimationError
from kitestring.model.constants import EARTH_RADIUS, GM, C
from kitestring.model.earth import EarthModel, StationState
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.stations import Station
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]

SHAPIRO_BODIES = (
    "SUN",
    "MERCURY BARYCENTER",
    "VENUS BARYCENTER",
    "MOON",
    "MARS BARYCENTER",
    "JUPITER BARYCENTER",
    "SATURN BARYCENTER",
    "URANUS BARYCENTER",
    "NEPTUNE BARYCENTER",
)
INSIDE = 1e6
"""So near to the centre of a body (m) a target is inside it: all that have orbits are larger."""
_ITERATIONS = 6
_CONVERGED = 1e-12  # s; the last correction is far below it
_CONVERGED_DIGITS = 8  # units of the last digit: above 8192 s one is more than a picosecond


@dataclass(frozen=True)
class Leg:
    """One way of a signal between a station and a spacecraft.

    Attributes
    ----------
    light_time : ndarray, shape (n,)
        Coordinate (TDB) light time, gravitational delay included, s.
    spacecraft_epoch : Epoch, shape (n,)
        Event at the spacecraft, TDB.
    direction : ndarray, shape (n, 3)
        Unit vector from the station to the spacecraft, BCRS.
    spacecraft : ndarray, shape (n, 6)
        State of the spacecraft relative to the SSB at that event.
    station : StationState
        The station at its event.
    """

    light_time: Floats
    spacecraft_epoch: Epoch
    direction: Floats
    spacecraft: Floats
    station: StationState


def barycentric_state(trajectory: Trajectory, ephemeris: Ephemeris, epoch: Epoch) -> Floats:
    """Return a trajectory's states relative to the SSB, shape (n, 6)."""
    return trajectory.state(epoch) + ephemeris.barycentric(trajectory.center, epoch)


def shapiro_delay(
    gm: float, from_body_to_spacecraft: Floats, from_body_to_station: Floats, radius: float = 0.0
) -> Floats:
    """Return the gravitational delay of one body along one leg, s (Moyer eq. 8-54, gamma = 1).

    Moyer adds 2 GM/c^2 above and below in the logarithm, for the Sun alone: the
    bending of the ray. That is left out here. On a leg to Mars beyond the Sun it
    would take away 0.4 ns at 5 solar radii and 11 ns at the limb (it goes with
    1 / distance^2); from farther targets 18 ns at most, at the limb.

    Parameters
    ----------
    gm : float
        Gravitational parameter, m^3/s^2.
    from_body_to_spacecraft, from_body_to_station : ndarray, shape (n, 3)
        Positions at the times of passage.
    radius : float
        Stands in for the distance of a point at the body's centre (the
        geocentre), where the delay has no meaning but a common constant.
    """
    rs = np.linalg.norm(from_body_to_spacecraft, axis=-1)
    rr = np.linalg.norm(from_body_to_station, axis=-1)
    rho = np.linalg.norm(from_body_to_spacecraft - from_body_to_station, axis=-1)
    # rs - rho without cancellation, so that it holds for any distance
    dot = np.sum(from_body_to_spacecraft * from_body_to_station, axis=-1)
    difference = (2 * dot - rr**2) / (rs + rho)
    below = np.maximum(rr + difference, 0.0)
    below = np.where(rr == 0.0, radius, below)
    # a target inside the body, such as its centre: a constant stands in
    below = np.where(rs < INSIDE, INSIDE, below)
    return np.asarray(2 * gm / C**3 * np.log((rs + rr + rho) / below))


def path_delay(
    ephemeris: Ephemeris, epoch: Epoch, station: Floats, spacecraft: Floats, earth: Floats
) -> Floats:
    """Return the Shapiro delay of all bodies on the leg between a station and a spacecraft, s.

    Parameters
    ----------
    ephemeris : Ephemeris
        Sun, Moon and planets.
    epoch : Epoch, shape (n,)
        TDB of the event at the station.
    station, spacecraft, earth : ndarray, shape (n, 3)
        Positions relative to the SSB: at the station's and the spacecraft's
        event, and of the geocentre at the station's, m.
    """
    towards = spacecraft - station
    rho = np.linalg.norm(towards, axis=-1)
    unit = towards / rho[..., None]
    radius = EARTH_RADIUS
    total = shapiro_delay(GM["EARTH"], spacecraft - earth, station - earth, radius)
    for name in SHAPIRO_BODIES:
        body = ephemeris.barycentric(name, epoch)
        # where the body was when the signal passed it (TN36 eq. 11.5)
        ahead = np.sum(unit * (body[..., :3] - station), axis=-1)
        lag = np.clip(ahead, 0.0, rho) / C
        position = body[..., :3] - body[..., 3:] * lag[..., None]
        total += shapiro_delay(GM[name], spacecraft - position, station - position)
    return total


def _tolerance(light_time: Floats) -> Floats:
    """Return how large the last correction of a light time may be, s."""
    return np.asarray(np.maximum(_CONVERGED, _CONVERGED_DIGITS * np.spacing(np.abs(light_time))))


def down_leg(receiver: StationState, trajectory: Trajectory, ephemeris: Ephemeris) -> Leg:
    """Solve the light time to a station that receives at a given time.

    Raises
    ------
    EstimationError
        Where the iteration does not converge (a target faster than light).
    """
    station = receiver.barycentric
    light_time = np.zeros(receiver.tdb.shape)
    shapiro = np.zeros(receiver.tdb.shape)
    state = barycentric_state(trajectory, ephemeris, receiver.tdb)
    for iteration in range(_ITERATIONS):
        if iteration:
            sent = receiver.tdb.shifted(-light_time)
            state = barycentric_state(trajectory, ephemeris, sent)
        towards = state[..., :3] - station
        rho = np.linalg.norm(towards, axis=-1)
        unit = towards / rho[..., None]
        if iteration in (1, 2):
            shapiro = path_delay(
                ephemeris, receiver.tdb, station, state[..., :3], receiver.earth[..., :3]
            )
        # Newton: d(rho)/d(light time) = -unit . velocity of the spacecraft
        slope = 1.0 + np.sum(unit * state[..., 3:], axis=-1) / C
        correction = (rho / C + shapiro - light_time) / slope
        light_time = light_time + correction
        if iteration > 2 and np.all(np.abs(correction) < _tolerance(light_time)):
            break
    else:
        raise EstimationError(
            "the light time to the target does not converge.",
            next_step="Look at the trajectory near this epoch: it moves too fast.",
        )
    return Leg(light_time, receiver.tdb.shifted(-light_time), unit, state, receiver)


def up_leg(
    sent_to: Leg,
    transmitter: Station,
    earth: EarthModel,
    trajectory: Trajectory,
) -> tuple[Leg, Floats]:
    """Solve for the transmission that reaches the spacecraft at the event of `sent_to`.

    Parameters
    ----------
    sent_to : Leg
        The downlink; its event at the spacecraft is where the signal is turned round.
    transmitter : Station
        Transmitting station.
    earth : EarthModel
        Gives its states.
    trajectory : Trajectory
        Not evaluated again; names the target in errors.

    Returns
    -------
    leg : Leg
        The uplink.
    round_trip : ndarray, shape (n,)
        Reception minus transmission in TT as the two stations' ideal clocks
        read it, s.
    """
    at_spacecraft = sent_to.spacecraft
    received = sent_to.station
    up = sent_to.light_time.copy()
    shapiro = np.zeros_like(up)
    round_trip = sent_to.light_time + up
    for iteration in range(_ITERATIONS):
        station = earth.station_state(transmitter, received.tt.shifted(-round_trip))
        towards = at_spacecraft[..., :3] - station.barycentric
        rho = np.linalg.norm(towards, axis=-1)
        unit = towards / rho[..., None]
        if iteration in (0, 1):
            shapiro = path_delay(
                earth.ephemeris,
                station.tdb,
                station.barycentric,
                at_spacecraft[..., :3],
                station.earth[..., :3],
            )
        velocity = station.earth[..., 3:] + station.velocity
        # TDB between the two events by the stations' clocks, then by the light
        clocks = received.tdb_minus_tt - station.tdb_minus_tt
        misfit = sent_to.light_time + rho / C + shapiro - (round_trip + clocks)
        correction = misfit / (1.0 - np.sum(unit * velocity, axis=-1) / C)
        round_trip = round_trip + correction
        if iteration and np.all(np.abs(correction) < _tolerance(round_trip)):
            break
    else:
        raise EstimationError(
            f"the uplink light time to {trajectory.name} does not converge.",
            next_step="Look at the trajectory near this epoch: it moves too fast.",
        )
    return Leg(
        rho / C + shapiro, sent_to.spacecraft_epoch, unit, at_spacecraft, station
    ), round_trip
