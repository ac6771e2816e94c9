"""What the air adds to an arrival: the troposphere, from weather to slant delay.

Zenith delays are Saastamoinen's from the weather at the antenna, or those of a
weather model for the site; `kitestring.model.mapping` brings them to lower
elevations. Elevations are those of vacuum (`kitestring.model.sight`): refraction
is inside the mapping functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, MissingDataError, SpanError
from kitestring.model.antenna import Station, name_key
from kitestring.model.constants import C
from kitestring.model.mapping import (
    GRADIENT_HYDROSTATIC,
    GRADIENT_WET,
    LOWEST_ELEVATION,
    gmf_hydrostatic,
    gmf_wet,
    gradient_mapping,
    niell_hydrostatic,
    niell_wet,
    vmf3,
)
from kitestring.model.sight import Sight
from kitestring.model.site_troposphere import SiteTable, SiteTroposphere
from kitestring.model.time import Epoch
from kitestring.model.weather import (
    Weather,
    WeatherSeries,
    standard_weather,
    zenith_hydrostatic_delay,
    zenith_wet_delay,
)

__all__ = [
    "LOWEST_ELEVATION",
    "Gradient",
    "Troposphere",
    "Weather",
    "WeatherSeries",
    "check_elevation",
    "gradient_partials",
    "niell_hydrostatic",
    "niell_wet",
    "standard_weather",
    "zenith_hydrostatic_delay",
    "zenith_partial",
    "zenith_wet_delay",
]

Floats = NDArray[np.float64]
MappingName = Literal["niell", "gmf"]
MAPPINGS: tuple[MappingName, ...] = ("niell", "gmf")

_Value = TypeVar("_Value")
_ZENITH_SIGMA = 0.05 / C  # of Saastamoinen's wet delay from air at the ground, some centimetres
_SITE_SIGMA = 0.015 / C  # of a weather model's wet delay, some 1 to 2 cm beside GNSS
_GRADIENT_SIGMA = 0.0005 / C  # gradients are a few tenths of a millimetre (TN36 section 9.2)


@dataclass(frozen=True)
class Gradient:
    """How much more air there is to the north and the east.

    Attributes
    ----------
    north, east : float
        Of the hydrostatic delay, s.
    wet_north, wet_east : float
        Of the wet delay, s.
    """

    north: float
    east: float
    wet_north: float = 0.0
    wet_east: float = 0.0


def zenith_partial(sight: Sight) -> Floats:
    """Return d(delay of a station)/d(its zenith wet delay), shape (n,): Niell's wet function.

    The delay of a baseline has it with + at station 2 and - at station 1.

    Parameters
    ----------
    sight : Sight, shape (n,)
        The station and where it looks.

    Raises
    ------
    SpanError
        Below `LOWEST_ELEVATION`.
    """
    check_elevation(sight)
    return niell_wet(sight.elevation, sight.station.geodetic[1])


def gradient_partials(sight: Sight) -> Floats:
    """Return d(delay of a station)/d(its gradients north and east), shape (n, 2).

    Chen & Herring's mapping for all of the air, C = 0.0032 (TN36 section 9.2).

    Parameters
    ----------
    sight : Sight, shape (n,)
        The station and where it looks.

    Raises
    ------
    SpanError
        Below `LOWEST_ELEVATION`.
    """
    check_elevation(sight)
    return _directions(sight) * gradient_mapping(sight.elevation)[..., None]


def check_elevation(sight: Sight) -> None:
    """Raise a `SpanError` that names station, epoch and elevation below `LOWEST_ELEVATION`."""
    low = ~(sight.elevation >= LOWEST_ELEVATION)  # NaN is caught as well
    if np.any(low):
        first, tt = int(np.argmax(low)), sight.state.tt
        when = Epoch(tt.scale, tt.day.ravel(), tt.second.ravel())[first]
        angle = np.degrees(sight.elevation.ravel()[first])
        raise SpanError(
            f"{sight.station.name} looks at elevation {angle:.2f} degrees at "
            f"{when.to('utc').iso(0)} UTC; the troposphere's mapping function "
            f"begins at {np.degrees(LOWEST_ELEVATION):.0f} degrees.",
            next_step="Leave out what was taken below it, or predict without a troposphere.",
        )


class Troposphere:
    """Delay of the neutral air: an `Effect` of `kitestring.model.sight`.

    Parameters
    ----------
    weather : mapping of str to Weather or WeatherSeries, optional
        The air at stations by any of their names; `standard_weather` at the others.
    extra_zenith : mapping of str to float, optional
        Zenith delays in s (as from an estimate) to be added; they follow the wet
        mapping function.
    below : {"raise", "nan"}
        What comes of an elevation below `LOWEST_ELEVATION`: an error, or NaN,
        for an estimate that sets such rows aside.
    zenith_sigma : float, optional
        Standard deviation of a zenith delay, s: by default 5 cm from weather, 1.5 cm
        from `sites`.
    mapping : {"niell", "gmf"}
        Mapping functions where `sites` does not bring its own.
    sites : SiteTable, optional
        Zenith delays, mapping coefficients and gradients of a weather model, as
        `kitestring.formats.vmf3.read_vmf3` returns: mapped with VMF3. A station
        that it lacks needs an entry in `weather`.
    gradients : mapping of str to Gradient, optional
        By station; they are added to those of `sites`.
    gradient_sigma : float
        Standard deviation of each component of the gradients, s.

    Raises
    ------
    ConfigurationError
        For a mapping function that does not exist.

    Examples
    --------
    >>> from kitestring.model.stations import get_station
    >>> dry, wet = Troposphere().zenith(get_station("WETTZELL"))
    >>> round(dry * 1e9, 2), round(wet * 1e9, 2)
    (7.11, 0.3)
    """

    name = "troposphere"

    def __init__(
        self,
        weather: Mapping[str, Weather | WeatherSeries] | None = None,
        extra_zenith: Mapping[str, float] | None = None,
        below: Literal["raise", "nan"] = "raise",
        zenith_sigma: float | None = None,
        *,
        mapping: MappingName = "niell",
        sites: SiteTable | None = None,
        gradients: Mapping[str, Gradient] | None = None,
        gradient_sigma: float = _GRADIENT_SIGMA,
    ) -> None:
        if mapping not in MAPPINGS:
            raise ConfigurationError(
                f"there is no mapping function {mapping!r}.",
                next_step=f"Known are: {', '.join(MAPPINGS)}; VMF3 comes with sites=.",
            )
        self.below = below
        self.zenith_sigma = zenith_sigma
        self.weather = dict(weather or {})
        self.extra_zenith = dict(extra_zenith or {})
        self.mapping = mapping
        self.sites = sites
        self.gradients = dict(gradients or {})
        self.gradient_sigma = gradient_sigma

    def zenith(self, station: Station) -> tuple[float, float]:
        """Return the hydrostatic and the wet zenith delay (extra included) of a station, s.

        Raises
        ------
        ConfigurationError
            Where they change with time: `zenith_at` has them.
        """
        air = self._constant(station)
        _, latitude, height = station.geodetic
        wet = zenith_wet_delay(air) + self._extra(station)
        return zenith_hydrostatic_delay(air, latitude, height), wet

    def zenith_at(self, station: Station, epoch: Epoch) -> tuple[Floats, Floats]:
        """Return the same at epochs, each of shape (...,), s.

        Raises
        ------
        SpanError
            Where a series does not reach, or has a gap.
        MissingDataError
            For a station that neither `sites` nor `weather` has, where there are sites.
        """
        _, latitude, height = station.geodetic
        site, measured = self._site(station), _named(self.weather, station)
        if site is not None:
            air = site.at(epoch)
            hydrostatic, wet = air.hydrostatic, air.wet
        elif isinstance(measured, WeatherSeries):
            hydrostatic, wet = measured.zenith(latitude, height, epoch)
        else:
            ones = np.ones(epoch.shape)
            hydrostatic, wet = (ones * value for value in self.zenith(station))
            return hydrostatic, wet
        return hydrostatic, wet + self._extra(station)

    def delay(self, sight: Sight) -> Floats:
        """Return the slant delay, shape (n,), s, positive: the signal comes later through air.

        Parameters
        ----------
        sight : Sight, shape (n,)
            The station and where it looks.

        Raises
        ------
        SpanError
            Below `LOWEST_ELEVATION`, unless that is to be NaN; it names station,
            epoch and elevation. Where a series does not reach, or has a gap.
        MissingDataError
            For a station that neither `sites` nor `weather` has, where there are sites.
        """
        elevation = self._elevation(sight)
        hydrostatic, wet = self.zenith_at(sight.station, sight.state.tt)
        mapped, mapped_wet = self._mapped(sight, elevation)
        slant = hydrostatic * mapped + wet * mapped_wet
        gradients = self._gradients(sight)
        if gradients is None:
            return slant
        across = np.sum(_directions(sight)[..., None, :] * gradients, axis=-1)  # (n, part)
        slant = slant + across[..., 0] * gradient_mapping(elevation, GRADIENT_HYDROSTATIC)
        return np.asarray(slant + across[..., 1] * gradient_mapping(elevation, GRADIENT_WET))

    def zenith_partial(self, sight: Sight) -> Floats:
        """Return d(delay)/d(zenith wet delay), shape (n,), with the wet function in use."""
        return self._mapped(sight, self._elevation(sight))[1]

    def sigma(self, sight: Sight) -> Floats:
        """Return the standard deviation of the slant delay, shape (n,), s.

        That of the zenith delay and that of the gradient, each mapped.
        """
        elevation = self._elevation(sight)
        zenith = self.zenith_sigma
        if zenith is None:
            zenith = _ZENITH_SIGMA if self._site(sight.station) is None else _SITE_SIGMA
        across = self.gradient_sigma * gradient_mapping(elevation)
        return np.hypot(zenith * self._mapped(sight, elevation)[1], across)

    def _mapped(self, sight: Sight, elevation: Floats) -> tuple[Floats, Floats]:
        """Return the hydrostatic and the wet mapping function."""
        longitude, latitude, height = sight.station.geodetic
        tt, site = sight.state.tt, self._site(sight.station)
        if site is not None:
            air = site.at(tt)
            return vmf3(elevation, air.a_hydrostatic, air.a_wet, longitude, latitude, tt)
        if self.mapping == "gmf":
            hydrostatic = gmf_hydrostatic(elevation, longitude, latitude, height, tt)
            return hydrostatic, gmf_wet(elevation, longitude, latitude, tt)
        return niell_hydrostatic(elevation, latitude, height, tt), niell_wet(elevation, latitude)

    def _gradients(self, sight: Sight) -> Floats | None:
        """Return gradients, (n, 2, 2) or (2, 2): hydrostatic and wet, north and east; or None."""
        found: Floats | None = None
        site, given = self._site(sight.station), _named(self.gradients, sight.station)
        if site is not None:
            found = site.at(sight.state.tt).gradients
            found = None if found is None else found.reshape(*found.shape[:-1], 2, 2)
        if given is not None:
            parts = [[given.north, given.east], [given.wet_north, given.wet_east]]
            found = np.array(parts) + (0.0 if found is None else found)
        return found

    def _site(self, station: Station) -> SiteTroposphere | None:
        """Return the site of a station; None where there are none, or weather is given."""
        if self.sites is None or _named(self.weather, station) is not None:
            return None
        site = self.sites.find(station)
        if site is None:
            raise MissingDataError(
                f"has nothing of {station.name}.",
                place=self.sites.origin,
                next_step="Give its air as weather=, or a file that has it.",
            )
        return site

    def _constant(self, station: Station) -> Weather:
        air = _named(self.weather, station)
        if isinstance(air, WeatherSeries) or self._site(station) is not None:
            raise ConfigurationError(
                f"the zenith delay of {station.name} changes with time.",
                next_step="Ask zenith_at for it at an epoch.",
            )
        return standard_weather(station.geodetic[2]) if air is None else air

    def _extra(self, station: Station) -> float:
        extra = _named(self.extra_zenith, station)
        return 0.0 if extra is None else extra

    def _elevation(self, sight: Sight) -> Floats:
        if self.below == "raise":
            check_elevation(sight)
            return sight.elevation
        return np.where(sight.elevation >= LOWEST_ELEVATION, sight.elevation, np.nan)


def _named(values: Mapping[str, _Value], station: Station) -> _Value | None:
    """Return what stands under one of a station's names, or None."""
    if not values:
        return None
    names = {name_key(name) for name in station.names}
    return next((value for name, value in values.items() if name_key(name) in names), None)


def _directions(sight: Sight) -> Floats:
    """Return cosine and sine of the azimuth, shape (n, 2)."""
    return np.stack([np.cos(sight.azimuth), np.sin(sight.azimuth)], axis=-1)
