"""What the air adds to an arrival: the troposphere, from weather to slant delay.

Zenith delays are Saastamoinen's, from the weather at the antenna; the mapping
functions to lower elevations are those of Niell (1996), which need latitude,
height and date alone. Elevations are those of vacuum (`kitestring.model.predict`):
refraction is inside the mapping functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.constants import C
from kitestring.model.earth import StationState
from kitestring.model.stations import Station
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

LOWEST_ELEVATION = np.radians(3.0)
"""Elevation (rad) down to which Niell's mapping functions were fitted to ray traces."""

_HECTOPASCAL = 100.0
_ZERO_CELSIUS = 273.15
_SAASTAMOINEN = 0.0022768 / _HECTOPASCAL  # m/Pa (Davis et al. 1985; TN36 section 9.2)

# Niell (1996): latitude (deg) of the rows of a, b, c
_LATITUDES = np.array([15.0, 30.0, 45.0, 60.0, 75.0])
_HYDROSTATIC_MEAN = np.array(  # table 3
    [
        (1.2769934e-3, 2.9153695e-3, 62.610505e-3),
        (1.2683230e-3, 2.9152299e-3, 62.837393e-3),
        (1.2465397e-3, 2.9288445e-3, 63.721774e-3),
        (1.2196049e-3, 2.9022565e-3, 63.824265e-3),
        (1.2045996e-3, 2.9024912e-3, 64.258455e-3),
    ]
)
_HYDROSTATIC_SEASON = np.array(  # table 3, amplitudes
    [
        (0.0, 0.0, 0.0),
        (1.2709626e-5, 2.1414979e-5, 9.0128400e-5),
        (2.6523662e-5, 3.0160779e-5, 4.3497037e-5),
        (3.4000452e-5, 7.2562722e-5, 84.795348e-5),
        (4.1202191e-5, 11.723375e-5, 170.37206e-5),
    ]
)
_WET = np.array(  # table 4
    [
        (5.8021897e-4, 1.4275268e-3, 4.3472961e-2),
        (5.6794847e-4, 1.5138625e-3, 4.6729510e-2),
        (5.8118019e-4, 1.4572752e-3, 4.3908931e-2),
        (5.9727542e-4, 1.5007428e-3, 4.4626982e-2),
        (6.1641693e-4, 1.7599082e-3, 5.4736038e-2),
    ]
)
_HEIGHT = (2.53e-5, 5.49e-3, 1.14e-3)
_YEAR = 365.25  # days
# 28 January (day 28), coldest in the north, counted on from 1980 in years of 365.25
# days: with the day of the year, the season would jump at New Year after a leap day
_COLDEST_MJD = 44239 - 1 + 28


@dataclass(frozen=True)
class Weather:
    """The air at an antenna.

    Attributes
    ----------
    pressure : float
        Total pressure, Pa.
    temperature : float
        K.
    humidity : float
        Relative humidity, 0 to 1.

    Raises
    ------
    ConfigurationError
        For values that no air has; other units than these are the usual cause.
    """

    pressure: float
    temperature: float
    humidity: float

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("pressure", 3e4, 1.2e5, "Pa (1 hPa is 100 Pa)"),
            ("temperature", 180.0, 340.0, "K (0 degrees C is 273.15 K)"),
            ("humidity", 0.0, 1.0, "parts of one (50 % is 0.5)"),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigurationError(
                    f"a {name} of {value:g} is not that of air, {low:g} to {high:g}.",
                    next_step=f"Give it in {unit}.",
                )

    @property
    def vapour_pressure(self) -> float:
        """Partial pressure of water vapour, Pa (Buck 1981, ew1)."""
        celsius = self.temperature - _ZERO_CELSIUS
        saturated = 6.1121 * np.exp(17.502 * celsius / (240.97 + celsius))
        return float(self.humidity * saturated * _HECTOPASCAL)


def standard_weather(height: float) -> Weather:
    """Return the standard atmosphere at a height: 1013.25 hPa, 20 degrees C, 50 % at sea level.

    P = 1013.25 hPa (1 - 0.0065 h / 293.15)^5.26, and 6.5 K/km colder upwards,
    as the vgosDB files of geodetic VLBI have it. Measured pressure differs by
    some 1 %, 2 cm of zenith delay.

    Parameters
    ----------
    height : float
        Above the ellipsoid, m; the geoid's height is neglected (50 m cost 1.5 cm).

    Examples
    --------
    >>> round(standard_weather(1409.4).pressure)
    85741
    """
    colder = 0.0065 * height
    kelvin = _ZERO_CELSIUS + 20.0
    pressure = 1013.25 * _HECTOPASCAL * (1.0 - colder / kelvin) ** 5.26
    return Weather(pressure, kelvin - colder, 0.5)


def zenith_hydrostatic_delay(weather: Weather, latitude: float, height: float) -> float:
    """Return the hydrostatic delay of the zenith, s (Saastamoinen 1972; TN36 section 9.2).

    Parameters
    ----------
    weather : Weather
        Its pressure counts.
    latitude : float
        Geodetic, rad.
    height : float
        Above the ellipsoid, m.

    Examples
    --------
    >>> f"{zenith_hydrostatic_delay(Weather(1.0e5, 290.0, 0.5), 0.8, 100.0) * C:.4f} m"
    '2.2767 m'
    """
    gravity = 1.0 - 0.00266 * np.cos(2.0 * latitude) - 0.28e-6 * height
    return float(_SAASTAMOINEN * weather.pressure / gravity / C)


def zenith_wet_delay(weather: Weather) -> float:
    """Return the wet delay of the zenith, s (Saastamoinen 1972).

    From the air at the ground it is good to some centimetres only.

    Parameters
    ----------
    weather : Weather
        Its temperature and humidity count.

    Examples
    --------
    >>> f"{zenith_wet_delay(Weather(1.0e5, 290.0, 0.5)) * C:.3f} m"
    '0.096 m'
    """
    path = _SAASTAMOINEN * (1255.0 / weather.temperature + 0.05) * weather.vapour_pressure
    return float(path / C)


def niell_hydrostatic(elevation: ArrayLike, latitude: float, height: float, epoch: Epoch) -> Floats:
    """Return the hydrostatic mapping function, slant over zenith delay (Niell 1996, table 3).

    Poleward of 75 degrees its coefficients are those of 75 degrees, season
    included; the vgosDB files leave the season out there (52 ps at 5.3 degrees
    in May).

    Parameters
    ----------
    elevation : array_like, shape (...)
        Vacuum elevation, rad.
    latitude : float
        Geodetic, rad.
    height : float
        Above the ellipsoid, m.
    epoch : Epoch, shape (...)
        For the season; any scale.
    """
    sine = np.sin(np.asarray(elevation, dtype=np.float64))
    days = np.asarray(epoch.mjd()) - _COLDEST_MJD
    season = np.cos(2.0 * np.pi * (days / _YEAR + (0.5 if latitude < 0.0 else 0.0)))
    mean = _interpolated(_HYDROSTATIC_MEAN, latitude)
    amplitude = _interpolated(_HYDROSTATIC_SEASON, latitude)
    a, b, c = (m - s * season for m, s in zip(mean, amplitude, strict=True))
    at_sea_level = _continued_fraction(sine, a, b, c)
    lift = (1.0 / sine - _continued_fraction(sine, *_HEIGHT)) * height / 1000.0
    return np.asarray(at_sea_level + lift)


def niell_wet(elevation: ArrayLike, latitude: float) -> Floats:
    """Return the wet mapping function, slant over zenith delay (Niell 1996, table 4).

    Parameters
    ----------
    elevation : array_like, shape (...)
        Vacuum elevation, rad.
    latitude : float
        Geodetic, rad.
    """
    sine = np.sin(np.asarray(elevation, dtype=np.float64))
    return _continued_fraction(sine, *_interpolated(_WET, latitude))


def _interpolated(table: Floats, latitude: float) -> tuple[float, float, float]:
    """Return a, b, c at a latitude; constant outside 15 to 75 degrees."""
    a, b, c = (float(np.interp(abs(np.degrees(latitude)), _LATITUDES, row)) for row in table.T)
    return a, b, c


def _continued_fraction(
    sine: Floats, a: Floats | float, b: Floats | float, c: Floats | float
) -> Floats:
    """Return Marini's fraction, 1 at the zenith (Herring 1992)."""
    at_zenith = 1.0 + a / (1.0 + b / (1.0 + c))
    return np.asarray(at_zenith / (sine + a / (sine + b / (sine + c))))


def zenith_partial(station: Station, state: StationState, elevation: Floats) -> Floats:
    """Return d(delay of a station)/d(its zenith wet delay): the wet mapping function.

    The delay of a baseline has it with + at station 2 and - at station 1.

    Parameters
    ----------
    station : Station
        The station.
    state : StationState, shape (n,)
        The station at the arrivals.
    elevation : ndarray, shape (n,)
        Vacuum elevation, rad.

    Raises
    ------
    SpanError
        Below `LOWEST_ELEVATION`.
    """
    _check_elevation(station, state, elevation)
    return niell_wet(elevation, station.geodetic[1])


def _check_elevation(station: Station, state: StationState, elevation: Floats) -> None:
    low = ~(np.asarray(elevation) >= LOWEST_ELEVATION)  # NaN is caught as well
    if np.any(low):
        first = int(np.argmax(low))
        when = Epoch(state.tt.scale, state.tt.day.ravel(), state.tt.second.ravel())[first]
        angle = np.degrees(np.asarray(elevation).ravel()[first])
        raise SpanError(
            f"{station.name} looks at elevation {angle:.2f} degrees at "
            f"{when.to('utc').iso(0)} UTC; the troposphere's mapping function "
            f"begins at {np.degrees(LOWEST_ELEVATION):.0f} degrees.",
            next_step="Leave out what was taken below it, or predict without a troposphere.",
        )


class Troposphere:
    """Delay of the neutral air: a `Media` of `kitestring.model.predict`.

    Parameters
    ----------
    weather : mapping of str to Weather, optional
        The air at stations by any of their names as the catalogue writes it;
        `standard_weather` at the others.
    extra_zenith : mapping of str to float, optional
        Zenith delays in s (as from an estimate) to be added to Saastamoinen's;
        they follow the wet mapping function.
    below : {"raise", "nan"}
        What comes of an elevation below `LOWEST_ELEVATION`: an error, or NaN,
        for an estimate that sets such rows aside.

    Examples
    --------
    >>> from kitestring.model.stations import get_station
    >>> dry, wet = Troposphere().zenith(get_station("WETTZELL"))
    >>> round(dry * 1e9, 2), round(wet * 1e9, 2)
    (7.11, 0.3)
    """

    def __init__(
        self,
        weather: Mapping[str, Weather] | None = None,
        extra_zenith: Mapping[str, float] | None = None,
        below: Literal["raise", "nan"] = "raise",
    ) -> None:
        self.below = below
        self.weather = dict(weather or {})
        self.extra_zenith = dict(extra_zenith or {})

    def zenith(self, station: Station) -> tuple[float, float]:
        """Return the hydrostatic and the wet zenith delay (extra included) of a station, s."""
        _, latitude, height = station.geodetic
        names = station.names
        measured = next((self.weather[n] for n in names if n in self.weather), None)
        air = standard_weather(height) if measured is None else measured
        extra = next((self.extra_zenith[n] for n in names if n in self.extra_zenith), 0.0)
        return zenith_hydrostatic_delay(air, latitude, height), zenith_wet_delay(air) + extra

    def __call__(self, station: Station, state: StationState, elevation: Floats) -> Floats:
        """Return the slant delay, s, positive: the signal comes later through air.

        Parameters
        ----------
        station : Station
            The station.
        state : StationState, shape (n,)
            The station at the arrivals.
        elevation : ndarray, shape (n,)
            Vacuum elevation, rad.

        Raises
        ------
        SpanError
            Below `LOWEST_ELEVATION`, unless that is to be NaN; it names station,
            epoch and elevation.
        """
        if self.below == "raise":
            _check_elevation(station, state, elevation)
        else:
            elevation = np.where(elevation >= LOWEST_ELEVATION, elevation, np.nan)
        _, latitude, height = station.geodetic
        hydrostatic, wet = self.zenith(station)
        slant = hydrostatic * niell_hydrostatic(elevation, latitude, height, state.tt)
        return slant + wet * niell_wet(elevation, latitude)
