"""The one forward model: what an observable should be, and how it moves with the target.

Correlation, estimation and simulation all ask here. A prediction comes with
its partial derivatives with respect to the target's position at the events
that it was seen at, so that any dynamics (or a fixed lander) can be put behind
it by the chain rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.model.constants import GM, L_B, C
from kitestring.model.delay import Delay, far_field_delay, near_field_delay
from kitestring.model.doppler import Ramps, mean_transmitted_frequency
from kitestring.model.earth import EarthModel, StationState
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.light_time import SHAPIRO_BODIES, Leg, down_leg, up_leg
from kitestring.model.stations import Station, axis_offset_delay
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]

Media = Callable[[Station, StationState, Floats], Floats]
"""Extra delay (s) of a station: (station, its state, elevation in rad) -> delay."""


@dataclass(frozen=True)
class Event:
    """Where a prediction looked at the target.

    Attributes
    ----------
    epoch : Epoch, shape (n,)
        TDB at the target.
    partial : ndarray, shape (n, 3)
        d(observable)/d(position of the target at that epoch), BCRS.
    """

    epoch: Epoch
    partial: Floats


@dataclass(frozen=True)
class Prediction:
    """A predicted observable.

    Attributes
    ----------
    value : ndarray, shape (n,)
        In the observable's unit.
    events : tuple of Event
        Events at the target, with partials.
    elevation : ndarray, shape (n,)
        Elevation at the receiving station (station 1 of a baseline), rad, vacuum.
    """

    value: Floats
    events: tuple[Event, ...]
    elevation: Floats


def aberrated_direction(state: StationState, direction: Floats) -> Floats:
    """Return the direction that a station sees, GCRS unit vectors, shape (n, 3).

    Aberration to first order in V/c and normalised: good to 5e-9 rad.
    """
    velocity = state.earth[..., 3:] + state.velocity
    seen = direction + velocity / C
    return np.asarray(seen / np.linalg.norm(seen, axis=-1, keepdims=True))


def elevation(state: StationState, direction: Floats) -> Floats:
    """Return the elevation at which a station sees a BCRS direction, rad, without refraction."""
    seen = aberrated_direction(state, direction)
    return np.asarray(np.arcsin(np.clip(np.sum(seen * state.vertical, axis=-1), -1.0, 1.0)))


def station_delay(
    earth: EarthModel,
    station: Station,
    state: StationState,
    direction: Floats,
    media: Sequence[Media] = (),
) -> Floats:
    """Return what a station's antenna and sky add to an arrival there, s.

    Parameters
    ----------
    earth : EarthModel
        Gives the Earth's rotation.
    station : Station
        Its mount and axis offset.
    state : StationState, shape (n,)
        The station at the arrivals.
    direction : ndarray, shape (n, 3)
        Unit vectors to the source, BCRS (aberration is added here).
    media : sequence of Media
        Delays of the sky, in order.
    """
    seen = aberrated_direction(state, direction)
    rotation, _ = earth.rotation(state.tt)
    total = axis_offset_delay(station, rotation.to_itrf(seen))
    angle = elevation(state, direction)
    for effect in media:
        total = total + effect(station, state, angle)
    return total


def baseline_delay(
    earth: EarthModel,
    found: Delay,
    first: tuple[Station, StationState],
    second: tuple[Station, StationState],
    media: Sequence[Media] = (),
) -> Floats:
    """Return the delay of a baseline with what antennas and skies add: at station 2 less at 1, s.

    Parameters
    ----------
    earth : EarthModel
        Gives the Earth's rotation.
    found : Delay
        The delay of vacuum and its directions.
    first, second : (Station, StationState)
        The two stations, at the epochs that `found` was computed for.
    media : sequence of Media
        Delays of the sky, in order.
    """
    total = found.delay + station_delay(earth, *second, found.direction2, media)
    return total - station_delay(earth, *first, found.direction1, media)


class Predictor:
    """Predicts observables of one target at named stations.

    Parameters
    ----------
    earth : EarthModel
        Where stations are.
    trajectory : Trajectory
        Where the target is.
    media : sequence of Media
        Delays that the path through a station's sky adds, in order.
    """

    def __init__(
        self, earth: EarthModel, trajectory: Trajectory, media: Sequence[Media] = ()
    ) -> None:
        self.earth = earth
        self.trajectory = trajectory
        self.media = media

    def station_delay(self, station: Station, state: StationState, direction: Floats) -> Floats:
        """Return what a station's antenna and sky add to an arrival there, s."""
        return station_delay(self.earth, station, state, direction, self.media)

    def round_trip(
        self, transmitter: Station, receiver: Station, received: Epoch
    ) -> tuple[Floats, Leg, Leg]:
        """Return light times of two- and three-way signals.

        Parameters
        ----------
        transmitter, receiver : Station
            The same station where two-way.
        received : Epoch, shape (n,)
            Reception at the receiver.

        Returns
        -------
        round_trip : ndarray, shape (n,)
            Reception minus transmission by the two stations' ideal clocks, s.
        down, up : Leg
            The two legs.
        """
        state = self.earth.station_state(receiver, received)
        down = down_leg(state, self.trajectory, self.earth.ephemeris)
        up, light_time = up_leg(down, transmitter, self.earth, self.trajectory)
        light_time = light_time + self.station_delay(receiver, state, down.direction)
        light_time = light_time + self.station_delay(transmitter, up.station, up.direction)
        return light_time, down, up

    def range(self, transmitter: Station, receiver: Station, received: Epoch) -> Prediction:
        """Predict two- and three-way range as a round-trip light time, s."""
        light_time, down, up = self.round_trip(transmitter, receiver, received)
        event = Event(down.spacecraft_epoch, (down.direction + up.direction) / C)
        return Prediction(light_time, (event,), elevation(down.station, down.direction))

    def doppler(
        self,
        transmitter: Station,
        receiver: Station,
        start: Epoch,
        count: Floats,
        ramps: Ramps,
        turnaround: float,
        delays: tuple[float, float] = (0.0, 0.0),
    ) -> Prediction:
        """Predict the mean received frequency of two- and three-way signals, Hz.

        Parameters
        ----------
        transmitter, receiver : Station
            The same station where two-way.
        start : Epoch, shape (n,)
            Start of each count at the receiver, UTC.
        count : ndarray, shape (n,)
            Length of each count, s.
        ramps : Ramps
            What the transmitter sent.
        turnaround : float
            Received over transmitted frequency at the spacecraft.
        delays : tuple of float
            Equipment delays of transmitter and receiver, s: the ramp's epochs
            and the time tags refer to the equipment, not to the antenna.
        """
        n = len(start)
        both = Epoch.concatenate([start, start.shifted(count)]).shifted(-delays[1])
        light_time, down, up = self.round_trip(transmitter, receiver, both)
        light_time, known = _known(light_time)
        change = light_time[n:] - light_time[:n]
        sent_for = count - change
        sent_from = start.to("tai").shifted(-light_time[:n] - delays[1] - delays[0])
        transmitted = mean_transmitted_frequency(ramps, sent_from, sent_for)
        value = turnaround * transmitted * (sent_for / count)
        slope = (-turnaround * transmitted / count)[:, None]
        partial = (down.direction + up.direction) / C
        events = (
            Event(down.spacecraft_epoch[n:], slope * partial[n:]),
            Event(down.spacecraft_epoch[:n], -slope * partial[:n]),
        )
        value = np.where(known[:n] & known[n:], value, np.nan)
        return Prediction(value, events, elevation(down.station, down.direction)[:n])

    def one_way_doppler(
        self,
        receiver: Station,
        start: Epoch,
        count: Floats,
        transmitted: Ramps,
        receive_delay: float = 0.0,
    ) -> Prediction:
        """Predict the mean received frequency of a signal that the target itself generates, Hz.

        Parameters
        ----------
        receiver : Station
            Receiving station.
        start : Epoch, shape (n,)
            Start of each count at the receiver, UTC.
        count : ndarray, shape (n,)
            Length of each count, s.
        transmitted : Ramps
            Frequency of the target's oscillator, in its proper time, by epoch of
            transmission. It is hardly known better than 1e-7.
        receive_delay : float
            Equipment delay of the receiver, s.
        """
        n = len(start)
        both = Epoch.concatenate([start, start.shifted(count)]).shifted(-receive_delay)
        state = self.earth.station_state(receiver, both)
        down = down_leg(state, self.trajectory, self.earth.ephemeris)
        late, known = _known(down.light_time + self.station_delay(receiver, state, down.direction))
        # the station's TT second is not quite one of TDB, nor is the target's proper second
        coordinate = late - state.tdb_minus_tt
        elapsed = count - (coordinate[n:] - coordinate[:n])
        sent_for = elapsed * proper_time_rate(down, self.earth.ephemeris)[:n]
        sent_from = down.spacecraft_epoch[:n].to("tai")
        frequency = mean_transmitted_frequency(transmitted, sent_from, sent_for)
        slope = (-frequency / count)[:, None]
        partial = down.direction / C
        events = (
            Event(down.spacecraft_epoch[n:], slope * partial[n:]),
            Event(down.spacecraft_epoch[:n], -slope * partial[:n]),
        )
        value = np.where(known[:n] & known[n:], frequency * (sent_for / count), np.nan)
        return Prediction(value, events, elevation(state, down.direction)[:n])

    def delay(self, station1: Station, station2: Station, received: Epoch) -> Prediction:
        """Predict the VLBI delay of the target, s; `received` is its arrival at station 1."""
        state1 = self.earth.station_state(station1, received)
        state2 = self.earth.station_state(station2, received)
        found = near_field_delay(state1, state2, self.trajectory, self.earth.ephemeris)
        both = (station1, state1), (station2, state2)
        value = baseline_delay(self.earth, found, *both, self.media)
        sent = down_leg(state1, self.trajectory, self.earth.ephemeris).spacecraft_epoch
        partial = (found.direction2 - found.direction1) / C
        return Prediction(value, (Event(sent, partial),), elevation(state1, found.direction1))


def _known(light_time: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return light times with zero for NaN (media that say nothing), and which are known.

    An epoch cannot be moved by NaN; the prediction is made NaN afterwards.
    """
    known = np.isfinite(light_time)
    return np.where(known, light_time, 0.0), known


def proper_time_rate(leg: Leg, ephemeris: Ephemeris) -> Floats:
    """Return d(proper time of the target)/d(TDB) at its events, shape (n,).

    1 - (U + v^2 / 2) / c^2 + L_B, U the potential of Sun, Moon and planets
    (Moyer 2000, eq. 2-20, in units of TDB).
    """
    potential = np.zeros(len(leg.light_time))
    for name in ("EARTH", *SHAPIRO_BODIES):
        body = ephemeris.barycentric(name, leg.spacecraft_epoch)
        away = np.linalg.norm(leg.spacecraft[:, :3] - body[:, :3], axis=-1)
        potential += GM[name] / away
    speed2 = np.sum(leg.spacecraft[:, 3:] ** 2, axis=-1)
    return np.asarray(1.0 - (potential + 0.5 * speed2) / C**2 + L_B)


def quasar_delay(
    earth: EarthModel,
    station1: Station,
    station2: Station,
    direction: Floats,
    received: Epoch,
) -> tuple[Delay, StationState, StationState]:
    """Return the vacuum delay of a quasar and the two stations' states.

    Parameters
    ----------
    earth : EarthModel
        Where stations are.
    station1, station2 : Station
        The baseline.
    direction : ndarray, shape (3,)
        Unit vector to the source.
    received : Epoch, shape (n,)
        Arrival at station 1.
    """
    state1 = earth.station_state(station1, received)
    state2 = earth.station_state(station2, received)
    return far_field_delay(state1, state2, direction, earth.ephemeris), state1, state2
