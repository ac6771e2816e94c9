"""What a session's file says of air, plasma and antennas, made into effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, MissingDataError, UnknownNameError
from kitestring.formats.csp import read_csp
from kitestring.formats.ionex import read_ionex
from kitestring.formats.sag import read_sag
from kitestring.formats.vmf3 import read_vmf3
from kitestring.model.antenna import Station
from kitestring.model.deformation import GravitationalSag, ThermalExpansion
from kitestring.model.dsn_media import DsnTroposphere
from kitestring.model.ionosphere import Ionosphere
from kitestring.model.sight import Effect, Sight
from kitestring.model.solar_plasma import SolarPlasma
from kitestring.model.stations import StationCatalogue
from kitestring.model.time import Epoch
from kitestring.model.troposphere import Troposphere
from kitestring.model.weather import Weather
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

    def _for(self, station: Station) -> DsnTroposphere | Troposphere:
        return self.dsn if self.dsn.applies(station) else self.others

    def delay(self, sight: Sight) -> Floats:
        """Return the slant delay, shape (n,), s."""
        return self._for(sight.station).delay(sight)

    def sigma(self, sight: Sight) -> Floats:
        """Return its standard deviation, shape (n,), s."""
        return self._for(sight.station).sigma(sight)

    def zenith_partial(self, sight: Sight) -> Floats:
        """Return d(delay)/d(zenith wet delay), shape (n,)."""
        return self._for(sight.station).zenith_partial(sight)


Air = Troposphere | CalibratedTroposphere


def air_of(
    session: Session, path: Callable[[str], Path], stations: StationCatalogue, below: Below
) -> Air | None:
    """Return the model of the air, or None where there is to be none.

    Parameters
    ----------
    session : Session
        The session's file.
    path : callable
        Where a file that it names lies.
    stations : StationCatalogue
        Where stations are looked up.
    below : {"raise", "nan"}
        What comes of too low an elevation.

    Raises
    ------
    UnknownNameError, ConfigurationError
        For weather of a station that does not exist, or twice of one.
    MissingDataError
        For calibrations of the DSN that are not of the troposphere.
    """
    section = session.troposphere
    if section.model == "none":
        return None
    sites = read_vmf3([path(name) for name in section.vmf3]) if section.vmf3 else None
    weather = stated_weather(session, stations)
    air = Troposphere(weather, below=below, mapping=section.mapping, sites=sites)
    if not section.csp:
        return air
    dsn = DsnTroposphere([c for name in section.csp for c in read_csp(path(name))], below)
    if not dsn.commands:
        raise MissingDataError(
            "holds no delays of the troposphere.",
            place=", ".join(section.csp),
            next_step="Name files with MODEL(DRY NUPART) and MODEL(WET NUPART).",
        )
    return CalibratedTroposphere(dsn, air)


def stated_weather(session: Session, stations: StationCatalogue) -> dict[str, Weather]:
    """Return the weather that a session states, by the catalogue's names of its stations.

    Raises
    ------
    UnknownNameError, ConfigurationError
        For a station that does not exist, or twice of one.
    """
    found: dict[str, Weather] = {}
    for each in session.troposphere.weather:
        try:
            name = stations.get(each.station).name
        except UnknownNameError as problem:
            problem.place = "[[troposphere.weather]]"
            raise
        if name in found:
            raise ConfigurationError(
                f"two [[troposphere.weather]] are of {name}.", next_step="Keep one of the two."
            )
        found[name] = weather_of(each.pressure, each.temperature, each.humidity)
    return found


def weather_of(pressure: float, temperature: float, humidity: float) -> Weather:
    """Return weather as a session states it: hPa, degrees C, percent."""
    return Weather(100.0 * pressure, 273.15 + temperature, 0.01 * humidity)


def media_of(
    session: Session, path: Callable[[str], Path], stations: StationCatalogue, below: Below
) -> tuple[Effect, ...]:
    """Return what is added to arrivals, in order.

    Parameters and errors are those of `air_of`.
    """
    air = air_of(session, path, stations, below)
    found: list[Effect] = [] if air is None else [air]
    if session.ionosphere.model == "klobuchar":
        found.append(Ionosphere())
    elif session.ionosphere.model == "ionex":
        found.append(Ionosphere(read_ionex([path(name) for name in session.ionosphere.ionex])))
    if session.solar_plasma.model == "corona":
        found.append(SolarPlasma())
    if session.antenna.thermal_expansion:
        found.append(ThermalExpansion(_temperature(stated_weather(session, stations))))
    if session.antenna.sag:
        found.append(GravitationalSag(read_sag(path(session.antenna.sag))))
    return tuple(found)


def _temperature(weather: Mapping[str, Weather]) -> Callable[[Station, Epoch], float]:
    """Return the stated temperature of a station; that of its survey where none is stated.

    A standard atmosphere would stretch an antenna in the Arctic by 3 mm that is as
    cold as when it was surveyed.
    """

    def at(station: Station, epoch: Epoch) -> float:
        assert station.structure is not None  # others are not asked for
        stated = weather.get(station.name)
        return station.structure.reference_temperature if stated is None else stated.temperature

    return at


def media_files(session: Session) -> list[str]:
    """Return the files that the media are read from, as the session names them."""
    troposphere, sag = session.troposphere, session.antenna.sag
    named = [*troposphere.vmf3, *troposphere.csp, *session.ionosphere.ionex]
    return [*named, sag] if sag else named
