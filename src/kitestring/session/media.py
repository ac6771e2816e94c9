"""What a session's file says of air, plasma and antennas, made into effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import MissingDataError
from kitestring.formats.csp import read_csp
from kitestring.formats.ionex import read_ionex
from kitestring.formats.sag import read_sag
from kitestring.formats.vmf3 import read_vmf3
from kitestring.model.antenna import Station
from kitestring.model.deformation import GravitationalSag, ThermalExpansion
from kitestring.model.dsn_media import DsnTroposphere, MediaCommand
from kitestring.model.ionosphere import Ionosphere
from kitestring.model.sight import Effect, Sight
from kitestring.model.solar_plasma import SolarPlasma
from kitestring.model.time import Epoch
from kitestring.model.troposphere import Troposphere
from kitestring.model.weather import Weather, standard_weather
from kitestring.session.file import Session

Floats = NDArray[np.float64]
Below = Literal["raise", "nan"]


@dataclass(frozen=True)
class CalibratedTroposphere:
    """The DSN's own calibration at the stations that it has one of, a model at the others.

    Attributes
    ----------
    dsn : DsnTroposphere
        The calibration.
    others : Troposphere
        The model.
    """

    dsn: DsnTroposphere
    others: Troposphere
    name: str = "troposphere"

    def _for(self, station: Station, epoch: Epoch) -> Effect:
        try:
            self.dsn.zenith(station, epoch[:1])
        except MissingDataError:
            return self.others
        return self.dsn

    def delay(self, sight: Sight) -> Floats:
        """Return the slant delay, shape (n,), s."""
        return self._for(sight.station, sight.state.tt).delay(sight)

    def sigma(self, sight: Sight) -> Floats:
        """Return its standard deviation, shape (n,), s."""
        return self._for(sight.station, sight.state.tt).sigma(sight)


def air_of(session: Session, path: Callable[[str], Path], below: Below) -> Troposphere | None:
    """Return the model of the air, or None where there is to be none.

    Parameters
    ----------
    session : Session
        The session's file.
    path : callable
        Where a file that it names lies.
    below : {"raise", "nan"}
        What comes of too low an elevation.
    """
    section = session.troposphere
    if section.model == "none":
        return None
    sites = read_vmf3([path(name) for name in section.vmf3]) if section.vmf3 else None
    return Troposphere(
        {w.station: weather_of(w.pressure, w.temperature, w.humidity) for w in section.weather},
        below=below,
        mapping=section.mapping,
        sites=sites,
    )


def weather_of(pressure: float, temperature: float, humidity: float) -> Weather:
    """Return weather as a session states it: hPa, degrees C, percent."""
    return Weather(100.0 * pressure, 273.15 + temperature, 0.01 * humidity)


def media_of(session: Session, path: Callable[[str], Path], below: Below) -> tuple[Effect, ...]:
    """Return what is added to arrivals, in order.

    Parameters
    ----------
    session, path, below
        As for `air_of`.
    """
    found: list[Effect] = []
    air = air_of(session, path, below)
    if air is not None:
        commands: list[MediaCommand] = []
        for name in session.troposphere.csp:
            commands += read_csp(path(name))
        dsn = DsnTroposphere(commands, below)
        found.append(CalibratedTroposphere(dsn, air) if commands else air)
    if session.ionosphere.model == "klobuchar":
        found.append(Ionosphere())
    elif session.ionosphere.model == "ionex":
        assert session.ionosphere.file is not None  # checked with the section
        found.append(Ionosphere(read_ionex(path(session.ionosphere.file))))
    if session.solar_plasma.model == "corona":
        found.append(SolarPlasma())
    if session.antenna.thermal_expansion:
        found.append(ThermalExpansion(_temperature(air)))
    if session.antenna.sag:
        found.append(GravitationalSag(read_sag(path(session.antenna.sag))))
    return tuple(found)


def _temperature(air: Troposphere | None) -> Callable[[Station, Epoch], Floats | float]:
    def at(station: Station, epoch: Epoch) -> float:
        stated = {} if air is None else air.weather
        measured = next((stated[n] for n in station.names if n in stated), None)
        if isinstance(measured, Weather):
            return measured.temperature
        return standard_weather(station.geodetic[2]).temperature

    return at


def media_files(session: Session) -> list[str]:
    """Return the files that the media are read from, as the session names them."""
    troposphere = session.troposphere
    named = [*troposphere.vmf3, *troposphere.csp, session.ionosphere.file, session.antenna.sag]
    return [name for name in named if name]
