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
from kitestring.model.delay import far_field_delay, near_field_delay
from kitestring.model.earth import EarthModel, StationState
from kitestring.model.geometry import angle_between, sun_angle, uvw
from kitestring.model.light_time import down_leg
from kitestring.model.predict import Media, aberrated_direction, elevation, station_delay
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
    """

    station: str
    azimuth: Floats
    elevation: Floats
    range: Floats
    range_rate: Floats

    @property
    def doppler(self) -> Floats:
        """Received over transmitted frequency of a one-way signal, minus one."""
        return -self.range_rate / C


@dataclass(frozen=True)
class BaselinePrediction:
    """A target as two stations see it.

    Attributes
    ----------
    baseline : (str, str)
        Stations 1 and 2.
    delay, rate : ndarray, shape (n,)
        Arrival at station 2 minus arrival at station 1 of one wavefront, s, and
        its rate, s/s; the epoch is that of the arrival at station 1. Media and
        antennas are part of them.
    uvw : ndarray, shape (n, 3)
        POSITION2 - POSITION1 along east, north and the direction of the target, m.
    """

    baseline: tuple[str, str]
    delay: Floats
    rate: Floats
    uvw: Floats


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
    """

    target: str
    epoch: Epoch
    ra: Floats
    dec: Floats
    sun_angle: Floats
    moon_angle: Floats
    stations: tuple[StationPrediction, ...]
    baselines: tuple[BaselinePrediction, ...]

    def columns(self) -> dict[str, list[Any]]:
        """Return all columns by name with unit, in degrees, km, km/s and seconds."""
        found: dict[str, list[Any]] = {
            "epoch (UTC)": [text + "Z" for text in self.epoch.iso_list(3)],
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
        for b in self.baselines:
            name = "-".join(b.baseline)
            found[f"{name} delay (s)"] = b.delay.tolist()
            found[f"{name} rate (s/s)"] = b.rate.tolist()
            for k, axis in enumerate("uvw"):
                found[f"{name} {axis} (m)"] = b.uvw[:, k].tolist()
        return found

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
    media: Sequence[Media] = (),
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
    media : sequence of Media
        Delays of the sky, added where the target is above their lowest
        elevation at both stations, left out elsewhere.

    Raises
    ------
    ConfigurationError
        Without stations.
    SpanError
        For epochs that the trajectory does not cover.
    """
    if not stations:
        raise ConfigurationError("no station was named.", next_step="Name at least one.")
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
        dec=np.arcsin(direction[:, 2]),
        sun_angle=sun_angle(target, utc, earth),
        moon_angle=angle_between(direction, moon),
        stations=tuple(_station(target, s, utc, earth) for s in stations),
        baselines=tuple(
            _baseline(target, a, b, utc, earth, media)
            for k, a in enumerate(stations)
            for b in stations[k + 1 :]
        ),
    )


def _station(
    target: Trajectory | Floats, station: Station, epoch: Epoch, earth: EarthModel
) -> StationPrediction:
    state = earth.station_state(station, epoch)
    distance = rate = np.full(len(epoch), np.nan)
    if isinstance(target, np.ndarray):
        direction = np.broadcast_to(target, state.position.shape)
    else:
        leg = down_leg(state, target, earth.ephemeris)
        direction, distance = leg.direction, C * leg.light_time
        before, after = (
            down_leg(
                earth.station_state(station, epoch.shifted(t)), target, earth.ephemeris
            ).light_time
            for t in (-_STEP, _STEP)
        )
        rate = C * (after - before) / (2.0 * _STEP)
    seen = aberrated_direction(state, direction)
    rotation, _ = earth.rotation(state.tt)
    east, north, up = station.to_enu @ rotation.to_itrf(seen).T
    return StationPrediction(
        station.name, np.arctan2(east, north) % (2.0 * np.pi), np.arcsin(up), distance, rate
    )


def _baseline(
    target: Trajectory | Floats,
    first: Station,
    second: Station,
    epoch: Epoch,
    earth: EarthModel,
    media: Sequence[Media],
) -> BaselinePrediction:
    def delay(when: Epoch) -> tuple[Floats, StationState, StationState, Floats]:
        state1, state2 = earth.station_state(first, when), earth.station_state(second, when)
        if isinstance(target, np.ndarray):
            found = far_field_delay(state1, state2, target, earth.ephemeris)
        else:
            found = near_field_delay(state1, state2, target, earth.ephemeris)
        air = media if _up(state1, found.direction1) and _up(state2, found.direction2) else ()
        total = found.delay + station_delay(earth, second, state2, found.direction2, air)
        total = total - station_delay(earth, first, state1, found.direction1, air)
        return total, state1, state2, found.direction1

    value, state1, state2, direction = delay(epoch)
    rate = (delay(epoch.shifted(_STEP))[0] - delay(epoch.shifted(-_STEP))[0]) / (2.0 * _STEP)
    baseline = state2.position - state1.position
    return BaselinePrediction((first.name, second.name), value, rate, uvw(direction, baseline))


_LOWEST = np.radians(5.0)


def _up(state: StationState, direction: Floats) -> bool:
    return bool(np.all(elevation(state, direction) > _LOWEST))
