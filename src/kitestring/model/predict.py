"""The one forward model: what an observable should be, and how it moves with the target.

Correlation, estimation and simulation all ask here. A prediction comes with
its partial derivatives with respect to the target's position at the events
that it was seen at, so that any dynamics (or a fixed lander) can be put behind
it by the chain rule. What antennas, air, plasma, equipment and clocks add is
kept by name beside the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.antenna import Station
from kitestring.model.constants import GM, L_B, C
from kitestring.model.delay import far_field_delay, near_field_delay
from kitestring.model.doppler import Ramps, frequency_at, mean_transmitted_frequency
from kitestring.model.earth import EarthModel, StationState
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.light_time import INSIDE, SHAPIRO_BODIES, Leg, down_leg, up_leg
from kitestring.model.observable import Equipment, StationClock
from kitestring.model.partials import delay_partials
from kitestring.model.parts import (
    Parts,
    added_parts,
    baseline_parts,
    baseline_sights,
    sum_parts,
)
from kitestring.model.sight import Effect, Sight
from kitestring.model.stations import StationCatalogue
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]

_NO_EQUIPMENT = Equipment()


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
    parts : mapping of str to ndarray, shape (n,)
        What antennas, air, plasma, equipment and clocks have added to `value`,
        by name, in its unit; the rest of it is geometry. That clocks and
        equipment move a count along the path and the ramps is not told apart.
    """

    value: Floats
    events: tuple[Event, ...]
    elevation: Floats
    parts: Mapping[str, Floats] = field(default_factory=dict)


class Predictor:
    """Predicts observables of one target at named stations.

    Parameters
    ----------
    earth : EarthModel
        Where stations are.
    trajectory : Trajectory
        Where the target is.
    media : sequence of Effect
        What a station's sky (or its antenna, beyond the axis offset) adds.
    frequency : float, optional
        Sky frequency of what is received (Hz), for plasma; of two- and three-way
        Doppler it follows from the uplink.
    clocks : mapping of str to StationClock, optional
        By any of a station's names, for Doppler and range. Delays come with their
        clocks taken off.
    """

    def __init__(
        self,
        earth: EarthModel,
        trajectory: Trajectory,
        media: Sequence[Effect] = (),
        *,
        frequency: float | None = None,
        clocks: Mapping[str, StationClock] | None = None,
    ) -> None:
        self.earth = earth
        self.trajectory = trajectory
        self.media = tuple(media)
        self.frequency = frequency
        self.clocks = dict(clocks or {})

    def _clock(self, station: Station, epoch: Epoch) -> Floats:
        """Return a station's reading minus UTC, s."""
        known = StationCatalogue([station])
        found = next((clock for name, clock in self.clocks.items() if name in known), None)
        return np.zeros(epoch.shape) if found is None else found(epoch)

    def round_trip(
        self,
        transmitter: Station,
        receiver: Station,
        received: Epoch,
        *,
        transponder: float = 0.0,
        frequencies: tuple[Floats | float | None, Floats | float | None] = (None, None),
        group: bool = False,
    ) -> tuple[Floats, Leg, Leg, Parts]:
        """Return light times of two- and three-way signals.

        Parameters
        ----------
        transmitter, receiver : Station
            The same station where two-way.
        received : Epoch, shape (n,)
            Reception at the receiver's antenna.
        transponder : float
            Delay inside the spacecraft, s.
        frequencies : tuple
            Sky frequencies up and down, Hz, for plasma.
        group : bool
            Whether modulation is timed, or else phase.

        Returns
        -------
        round_trip : ndarray, shape (n,)
            Reception minus transmission by the two stations' ideal clocks, s.
        down, up : Leg
            The two legs.
        parts : dict of str to ndarray
            What of it is not geometry.
        """
        state = self.earth.station_state(receiver, received)
        down = down_leg(state, self.trajectory, self.earth.ephemeris)
        up, light_time = up_leg(
            _turned(down, transponder), transmitter, self.earth, self.trajectory
        )
        parts: Parts = {}
        for station, leg, frequency in zip(
            (transmitter, receiver), (up, down), frequencies, strict=True
        ):
            sight = Sight(
                station,
                leg.station,
                leg.direction,
                C * leg.light_time,
                frequency,
                group,
                sends=leg is up,
            )
            parts = sum_parts(parts, added_parts(sight, self.media))
        light_time = light_time + sum(parts.values())
        if transponder:
            parts["transponder"] = np.full(light_time.shape, transponder)
        return light_time, down, up, parts

    def range(
        self,
        transmitter: Station,
        receiver: Station,
        received: Epoch,
        equipment: Equipment = _NO_EQUIPMENT,
        turnaround: float = 1.0,
    ) -> Prediction:
        """Predict two- and three-way range as a round-trip light time, s.

        Parameters
        ----------
        transmitter, receiver : Station
            The same station where two-way.
        received : Epoch, shape (n,)
            Time tag of the reception, by the receiver's clock.
        equipment : Equipment
            Delays on the way.
        turnaround : float
            Received over transmitted frequency at the spacecraft, for plasma on
            the way up.

        Raises
        ------
        ConfigurationError
            For a turnaround that is not positive.
        """
        _check_turnaround(turnaround)
        sent_at = None if self.frequency is None else self.frequency / turnaround
        at_antenna = received.shifted(-self._clock(receiver, received) - equipment.receive)
        light_time, down, up, parts = self.round_trip(
            transmitter,
            receiver,
            at_antenna,
            transponder=equipment.transponder,
            frequencies=(sent_at, self.frequency),
            group=True,
        )
        known = _known(light_time)[0]
        sent = at_antenna.shifted(-known - equipment.transmit)
        clocks = self._clock(receiver, received) - self._clock(transmitter, sent)
        ends = {
            "equipment of the stations": np.full(known.shape, equipment.transmit)
            + equipment.receive,
            "clocks": clocks,
        }
        parts = sum_parts(parts, {name: value for name, value in ends.items() if np.any(value)})
        value = light_time + equipment.transmit + equipment.receive + clocks
        event = Event(down.spacecraft_epoch, (down.direction + up.direction) / C)
        seen = Sight(receiver, down.station, down.direction).elevation
        return Prediction(value, (event,), seen, parts)

    def one_way_range(
        self, receiver: Station, received: Epoch, receive_delay: float = 0.0
    ) -> Prediction:
        """Predict the range of a signal that the target itself times by a clock of TDB, s.

        Parameters
        ----------
        receiver : Station
            Receiving station.
        received : Epoch, shape (n,)
            Time tag of the reception, by the receiver's clock.
        receive_delay : float
            Equipment delay of the receiver, s.

        Returns
        -------
        Prediction
            Reception (TDB at the station, topocentric term included) minus
            transmission. A real clock on board adds its own reading minus TDB.
        """
        clock = self._clock(receiver, received)
        state = self.earth.station_state(receiver, received.shifted(-clock - receive_delay))
        down = down_leg(state, self.trajectory, self.earth.ephemeris)
        sight = self._sight(receiver, down, group=True)
        ends = {
            "equipment of the stations": np.full(clock.shape, receive_delay),
            "clocks": clock,
        }
        parts = sum_parts(
            added_parts(sight, self.media), {n: value for n, value in ends.items() if value.any()}
        )
        value = down.light_time + sum(parts.values())
        event = Event(down.spacecraft_epoch, down.direction / C)
        return Prediction(value, (event,), sight.elevation, parts)

    def _states(
        self, station1: Station, station2: Station, received: Epoch
    ) -> tuple[StationState, StationState]:
        at = self.earth.station_state
        return at(station1, received), at(station2, received)

    def _sight(self, receiver: Station, down: Leg, *, group: bool) -> Sight:
        distance = C * down.light_time
        return Sight(receiver, down.station, down.direction, distance, self.frequency, group)

    def doppler(
        self,
        transmitter: Station,
        receiver: Station,
        start: Epoch,
        count: Floats,
        ramps: Ramps,
        turnaround: float,
        equipment: Equipment = _NO_EQUIPMENT,
    ) -> Prediction:
        """Predict the mean received frequency of two- and three-way signals, Hz.

        Parameters
        ----------
        transmitter, receiver : Station
            The same station where two-way.
        start : Epoch, shape (n,)
            Start of each count by the receiver's clock, UTC.
        count : ndarray, shape (n,)
            Length of each count by the same, s.
        ramps : Ramps
            What the transmitter sent, by its own clock.
        turnaround : float
            Received over transmitted frequency at the spacecraft.
        equipment : Equipment
            Delays on the way: the ramp's epochs and the time tags refer to the
            equipment, not to the antennas.

        Returns
        -------
        Prediction
            NaN for a count that is not positive, media that are not known, and a
            transmission before the first ramp.

        Raises
        ------
        ConfigurationError
            For a turnaround that is not positive.
        """
        _check_turnaround(turnaround)
        n = len(start)
        count, counted = _counted(count)
        tags = Epoch.concatenate([start, start.shifted(count)])
        reading = self._clock(receiver, tags)
        both = tags.shifted(-reading - equipment.receive)
        lasts = count - (reading[n:] - reading[:n])
        up_frequency = frequency_at(ramps, both)
        light_time, down, up, parts = self.round_trip(
            transmitter,
            receiver,
            both,
            transponder=equipment.transponder,
            frequencies=(up_frequency, turnaround * up_frequency),
        )
        light_time, known = _known(light_time)
        change = light_time[n:] - light_time[:n]
        sent_from = both[:n].to("tai").shifted(-light_time[:n] - equipment.transmit)
        sent_for = lasts - change
        # the ramps are by the transmitter's clock
        ahead = self._clock(transmitter, sent_from)
        faster = self._clock(transmitter, sent_from.shifted(sent_for)) - ahead
        sent_from, sent_for = sent_from.shifted(ahead), sent_for + faster
        transmitted = mean_transmitted_frequency(ramps, sent_from, sent_for)
        value = turnaround * transmitted * (sent_for / count)
        slope = -turnaround * transmitted / count
        parts.pop("transponder", None)
        found = {name: slope * (part[n:] - part[:n]) for name, part in parts.items()}
        if self.clocks:
            found["clocks"] = slope * (reading[n:] - reading[:n] - faster)
        partial = (down.direction + up.direction) / C
        value = np.where(counted & known[:n] & known[n:], value, np.nan)
        seen = Sight(receiver, down.station, down.direction).elevation[:n]
        return Prediction(value, _of_count(down, slope, partial), seen, found)

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
            Start of each count by the receiver's clock, UTC.
        count : ndarray, shape (n,)
            Length of each count by the same, s.
        transmitted : Ramps
            Frequency of the target's oscillator, in its proper time, by epoch of
            transmission. It is hardly known better than 1e-7.
        receive_delay : float
            Equipment delay of the receiver, s.

        Returns
        -------
        Prediction
            NaN where `doppler` has it.
        """
        n = len(start)
        count, counted = _counted(count)
        tags = Epoch.concatenate([start, start.shifted(count)])
        reading = self._clock(receiver, tags)
        both = tags.shifted(-reading - receive_delay)
        ahead = reading[n:] - reading[:n]
        state = self.earth.station_state(receiver, both)
        down = down_leg(state, self.trajectory, self.earth.ephemeris)
        sight = replace(
            self._sight(receiver, down, group=False), frequency=frequency_at(transmitted, both)
        )
        parts = added_parts(sight, self.media)
        late, known = _known(down.light_time + sum(parts.values()))
        # the station's TT second is not quite one of TDB, nor is the target's proper second
        coordinate = late - state.tdb_minus_tt
        elapsed = count - ahead - (coordinate[n:] - coordinate[:n])
        sent_for = elapsed * proper_time_rate(down, self.earth.ephemeris)[:n]
        sent_from = down.spacecraft_epoch[:n].to("tai")
        frequency = mean_transmitted_frequency(transmitted, sent_from, sent_for)
        slope = -frequency / count
        found = {name: slope * (part[n:] - part[:n]) for name, part in parts.items()}
        if self.clocks:
            found["clocks"] = slope * ahead
        certain = counted & known[:n] & known[n:]
        value = np.where(certain, frequency * (sent_for / count), np.nan)
        events = _of_count(down, slope, down.direction / C)
        return Prediction(value, events, sight.elevation[:n], found)

    def delay(
        self, station1: Station, station2: Station, received: Epoch, *, group: bool = True
    ) -> Prediction:
        """Predict the VLBI delay of the target, s.

        Parameters
        ----------
        station1, station2 : Station
            The baseline.
        received : Epoch, shape (n,)
            Arrival at station 1.
        group : bool
            Whether it is the group's delay, or else that of the phase.
        """
        states = self._states(station1, station2, received)
        found = near_field_delay(*states, self.trajectory, self.earth.ephemeris)
        sights = baseline_sights(found, (station1, station2), states, self.frequency, group)
        parts = baseline_parts(*sights, self.media)
        assert found.leg is not None  # that of a target at finite distance is kept
        partial = delay_partials(*states, found, found.leg.spacecraft[..., 3:]).target
        event = Event(found.leg.spacecraft_epoch, partial)
        value = found.delay + sum(parts.values())
        return Prediction(value, (event,), sights[0].elevation, parts)

    def reference_delay(
        self,
        direction: Floats,
        station1: Station,
        station2: Station,
        received: Epoch,
        *,
        group: bool = True,
    ) -> Prediction:
        """Predict the VLBI delay of a quasar, s; nothing of it moves with the target.

        Parameters are those of `delay`; `direction` is the unit vector to the source.
        """
        states = self._states(station1, station2, received)
        found = far_field_delay(*states, direction, self.earth.ephemeris)
        sights = baseline_sights(found, (station1, station2), states, self.frequency, group)
        parts = baseline_parts(*sights, self.media)
        return Prediction(found.delay + sum(parts.values()), (), sights[0].elevation, parts)


def _turned(down: Leg, transponder: float) -> Leg:
    """Return a downlink that begins with the signal's arrival at the transponder."""
    if not transponder:
        return down
    position = down.spacecraft[..., :3] - down.spacecraft[..., 3:] * transponder
    return replace(
        down,
        light_time=down.light_time + transponder,
        spacecraft_epoch=down.spacecraft_epoch.shifted(-transponder),
        spacecraft=np.concatenate([position, down.spacecraft[..., 3:]], axis=-1),
    )


def _check_turnaround(turnaround: float) -> None:
    if not turnaround > 0.0:
        raise ConfigurationError(
            f"a turnaround ratio of {turnaround:g} cannot be.",
            next_step="Give received over transmitted frequency at the spacecraft: 880/749 for "
            "X-band up and down.",
        )


def _counted(count: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return counts with one second for those that are none, and which are some."""
    counted = np.asarray(count) > 0.0
    return np.where(counted, count, 1.0), counted


def _of_count(down: Leg, slope: Floats, partial: Floats) -> tuple[Event, Event]:
    """Return the events of a count's end and start; `slope` is d(value)/d(light time)."""
    n, each = len(slope), slope[:, None]
    return (
        Event(down.spacecraft_epoch[n:], each * partial[n:]),
        Event(down.spacecraft_epoch[:n], -each * partial[:n]),
    )


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
        # whatever is at a body's centre has no clock of its own
        potential += np.where(away > INSIDE, GM[name] / np.maximum(away, INSIDE), 0.0)
    speed2 = np.sum(leg.spacecraft[:, 3:] ** 2, axis=-1)
    return np.asarray(1.0 - (potential + 0.5 * speed2) / C**2 + L_B)
