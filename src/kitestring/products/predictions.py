"""What an observer needs to know beforehand: where a target is, and how its signal arrives."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.constants import C
from kitestring.model.delay import Delay, far_field_delay, near_field_delay
from kitestring.model.earth import EarthModel, StationState
from kitestring.model.geometry import angle_between, sun_angle, uvw
from kitestring.model.light_time import down_leg
from kitestring.model.parts import AXIS_OFFSET, baseline_parts, baseline_sights
from kitestring.model.predict import proper_time_rate
from kitestring.model.sight import Effect, Sight
from kitestring.model.stations import Station
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]

_STEP = 1.0  # s: rates are differences over twice this


@dataclass(frozen=True)
class StationPrediction:
    """A target as one station sees it.

    Attributes
    ----------
    station : str
        Name.
    azimuth, elevation : ndarray, shape (n,)
        rad, azimuth from north through east; without refraction.
    range, range_rate : ndarray, shape (n,)
        Light time times c (m), and its rate, positive when receding (m/s);
        NaN for a source at infinity.
    doppler : ndarray, shape (n,)
        Received over transmitted frequency of a signal that the target itself
        generates, minus one: by TT at the station and proper time at the
        target, without media (some 1e-10 near the horizon) and antenna; NaN for a
        source at infinity.
    """

    station: str
    azimuth: Floats
    elevation: Floats
    range: Floats
    range_rate: Floats
    doppler: Floats


@dataclass(frozen=True)
class BaselinePrediction:
    """A target as two stations see it.

    Attributes
    ----------
    baseline : (str, str)
        Stations 1 and 2.
    delay, rate : ndarray, shape (n,)
        Arrival at station 2 minus arrival at station 1 of one wavefront (of the
        group's, where plasma is told), s, and its rate, s/s; the epoch is that of
        the arrival at station 1. Antennas are part of them, and so are media where
        `media` says so.
    uvw : ndarray, shape (n, 3)
        POSITION2 - POSITION1 along east, north and the direction of the target, m.
    media : ndarray of bool, shape (n,)
        Where delay and rate contain media: not where there are none, nor where
        the target is too low for them at either station.
    """

    baseline: tuple[str, str]
    delay: Floats
    rate: Floats
    uvw: Floats
    media: NDArray[np.bool_]


@dataclass(frozen=True)
class PredictionTable:
    """Predictions at some epochs.

    Attributes
    ----------
    target : str
        Name.
    epoch : Epoch, shape (n,)
        UTC.
    ra, dec : ndarray, shape (n,)
        Direction from the geocentre, light time applied, ICRS, rad.
    sun_angle, moon_angle : ndarray, shape (n,)
        From the target, seen from the geocentre, rad.
    stations : tuple of StationPrediction
        One a station.
    baselines : tuple of BaselinePrediction
        All pairs.
    frequency : float or None
        What the target transmits, Hz, where it was said.
    """

    target: str
    epoch: Epoch
    ra: Floats
    dec: Floats
    sun_angle: Floats
    moon_angle: Floats
    stations: tuple[StationPrediction, ...]
    baselines: tuple[BaselinePrediction, ...]
    frequency: float | None = None

    def columns(self) -> dict[str, list[Any]]:
        """Return all columns by name with unit, in degrees, km, km/s and seconds."""
        found: dict[str, list[Any]] = {
            "epoch (UTC)": [text + "Z" for text in self.epoch.iso_list(self._digits())],
            "ra (deg)": np.degrees(self.ra).tolist(),
            "dec (deg)": np.degrees(self.dec).tolist(),
            "sun (deg)": np.degrees(self.sun_angle).tolist(),
            "moon (deg)": np.degrees(self.moon_angle).tolist(),
        }
        for s in self.stations:
            found[f"{s.station} az (deg)"] = np.degrees(s.azimuth).tolist()
            found[f"{s.station} el (deg)"] = np.degrees(s.elevation).tolist()
            if np.isfinite(s.range).all():
                found[f"{s.station} range (km)"] = (s.range / 1e3).tolist()
                found[f"{s.station} range rate (km/s)"] = (s.range_rate / 1e3).tolist()
                found[f"{s.station} doppler"] = s.doppler.tolist()
                if self.frequency is not None:
                    received = self.frequency * (1.0 + s.doppler)
                    found[f"{s.station} received (Hz)"] = received.tolist()
        for b in self.baselines:
            name = "-".join(b.baseline)
            found[f"{name} delay (s)"] = b.delay.tolist()
            found[f"{name} rate (s/s)"] = b.rate.tolist()
            for k, axis in enumerate("uvw"):
                found[f"{name} {axis} (m)"] = b.uvw[:, k].tolist()
            found[f"{name} media"] = ["yes" if inside else "no" for inside in b.media]
        return found

    def _digits(self) -> int:
        """Return the decimals of a second that epochs are written with."""
        ticks = self.epoch.second * 1e3
        return 3 if np.all(np.abs(ticks - np.round(ticks)) < 1e-6) else 9

    def to_csv(self) -> str:
        """Return `columns` as CSV text, all digits kept."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = self.columns()
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return text.getvalue()


def predict_table(
    target: Trajectory | Floats,
    stations: Sequence[Station],
    epoch: Epoch,
    earth: EarthModel,
    *,
    name: str = "",
    media: Sequence[Effect] = (),
    frequency: float | None = None,
) -> PredictionTable:
    """Predict where a target is and how its signal arrives.

    Parameters
    ----------
    target : Trajectory or ndarray, shape (3,)
        A spacecraft, or the unit vector to a source at infinity, ICRS.
    stations : sequence of Station
        Who looks.
    epoch : Epoch, shape (n,)
        When the signal arrives, UTC.
    earth : EarthModel
        Where stations are.
    name : str
        What the target is called; its own name where it has one.
    media : sequence of Effect
        Delays of the sky, added at each epoch where they are known (not NaN) at
        both stations for as long as its rate is taken over (a second before and
        after). They are left out of delay and rate of the other epochs, which
        `BaselinePrediction.media` tells.
    frequency : float, optional
        What the target transmits, Hz: what is received of it is told, and plasma
        needs it.

    Raises
    ------
    ConfigurationError
        Without stations; for a direction that is not of length 1, or a frequency
        that is not positive.
    SpanError
        For epochs that the trajectory does not cover.
    """
    if not stations:
        raise ConfigurationError("no station was named.", next_step="Name at least one.")
    if frequency is not None and not frequency > 0.0:
        raise ConfigurationError(
            f"a frequency of {frequency:g} Hz cannot be transmitted.", next_step="Give it in Hz."
        )
    if isinstance(target, np.ndarray) and not (
        target.shape == (3,) and np.isclose(target @ target, 1.0)
    ):
        raise ConfigurationError(
            f"{target} is no unit vector to a source.",
            next_step="Give one of shape (3,) and length 1.",
        )
    utc = epoch.to("utc")
    centre = earth.station_state(None, utc)
    if isinstance(target, np.ndarray):
        direction = np.broadcast_to(target, (len(utc), 3))
    else:
        direction = down_leg(centre, target, earth.ephemeris).direction
    moon = earth.ephemeris.state("MOON", "EARTH", utc)[..., :3]
    return PredictionTable(
        target=name or getattr(target, "name", ""),
        epoch=utc,
        ra=np.arctan2(direction[:, 1], direction[:, 0]) % (2.0 * np.pi),
        dec=np.arcsin(np.clip(direction[:, 2], -1.0, 1.0)),
        sun_angle=sun_angle(target, utc, earth),
        moon_angle=angle_between(direction, moon),
        stations=tuple(_station(target, s, utc, earth) for s in stations),
        baselines=tuple(
            _baseline(target, (a, b), utc, earth, media, frequency)
            for k, a in enumerate(stations)
            for b in stations[k + 1 :]
        ),
        frequency=frequency,
    )


def _station(
    target: Trajectory | Floats, station: Station, epoch: Epoch, earth: EarthModel
) -> StationPrediction:
    state = earth.station_state(station, epoch)
    distance = rate = doppler = np.full(len(epoch), np.nan)
    if isinstance(target, np.ndarray):
        direction = np.broadcast_to(target, state.position.shape)
    else:
        leg = down_leg(state, target, earth.ephemeris)
        direction, distance = leg.direction, C * leg.light_time
        before, after = (
            down_leg(earth.station_state(station, epoch.shifted(t)), target, earth.ephemeris)
            for t in (-_STEP, _STEP)
        )
        slope = (after.light_time - before.light_time) / (2.0 * _STEP)
        rate = C * slope
        # light times are of TDB, the frequency that is received is of the station's TT
        clocks = (after.station.tdb_minus_tt - before.station.tdb_minus_tt) / (2.0 * _STEP)
        doppler = (1.0 - slope + clocks) * proper_time_rate(leg, earth.ephemeris) - 1.0
    sight = Sight(station, state, direction)
    return StationPrediction(station.name, sight.azimuth, sight.elevation, distance, rate, doppler)


def _baseline(
    target: Trajectory | Floats,
    stations: tuple[Station, Station],
    epoch: Epoch,
    earth: EarthModel,
    media: Sequence[Effect],
    frequency: float | None,
) -> BaselinePrediction:
    def arrive(when: Epoch) -> tuple[Delay, tuple[StationState, StationState]]:
        states = earth.station_state(stations[0], when), earth.station_state(stations[1], when)
        if isinstance(target, np.ndarray):
            return far_field_delay(*states, target, earth.ephemeris), states
        return near_field_delay(*states, target, earth.ephemeris), states

    bare, air = [], []
    arrivals = [arrive(t) for t in (epoch, epoch.shifted(-_STEP), epoch.shifted(_STEP))]
    for found, states in arrivals:
        parts = baseline_parts(*baseline_sights(found, stations, states, frequency), media)
        bare.append(found.delay + parts.pop(AXIS_OFFSET))
        air.append(np.asarray(sum(parts.values(), np.zeros(len(epoch)))))
    # one choice for all three: else a rate would hold the step where the air begins
    known = np.asarray(np.isfinite(air).all(axis=0) & bool(media))
    value, before, after = (b + np.where(known, a, 0.0) for b, a in zip(bare, air, strict=True))
    found, states = arrivals[0]
    return BaselinePrediction(
        baseline=(stations[0].name, stations[1].name),
        delay=value,
        rate=(after - before) / (2.0 * _STEP),
        uvw=uvw(found.direction1, states[1].position - states[0].position),
        media=known,
    )
