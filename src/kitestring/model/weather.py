"""The air at an antenna, constant or measured, and its delay at the zenith (Saastamoinen)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.constants import C
from kitestring.model.series import Series
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

_HECTOPASCAL = 100.0
_ZERO_CELSIUS = 273.15
_SAASTAMOINEN = 0.0022768 / _HECTOPASCAL  # m/Pa (Davis et al. 1985; TN36 section 9.2)
_LIMITS = (
    ("pressure", 3e4, 1.2e5, "Pa (1 hPa is 100 Pa)"),
    ("temperature", 180.0, 340.0, "K (0 degrees C is 273.15 K)"),
    ("humidity", 0.0, 1.0, "parts of one (50 % is 0.5)"),
)
_LONGEST_GAP = 3 * 3600.0  # s: a front passes in hours


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
        for name, low, high, unit in _LIMITS:
            _check(name, getattr(self, name), low, high, unit)

    @property
    def vapour_pressure(self) -> float:
        """Partial pressure of water vapour, Pa (Buck 1981, ew1)."""
        return float(_vapour_pressure(self.temperature, self.humidity))


@dataclass(frozen=True, eq=False)
class WeatherSeries:
    """The air at an antenna as it was measured.

    Attributes
    ----------
    epochs : Epoch, shape (m,)
        Increasing, any scale.
    pressure, temperature, humidity : ndarray, shape (m,)
        Pa, K, and 0 to 1, as in `Weather`.
    longest_gap : float
        How far apart neighbours may be to be interpolated between, s; what is
        asked for in a longer gap, or outside the epochs, is a `SpanError`.

    Raises
    ------
    ConfigurationError
        For values that no air has, epochs that do not increase, or other lengths.

    Examples
    --------
    >>> day = Epoch.from_iso(["2026-01-01T00:00:00", "2026-01-01T01:00:00"])
    >>> series = WeatherSeries(day, [95000.0, 95200.0], [280.0, 281.0], [0.7, 0.6])
    >>> dry, wet = series.zenith(0.86, 660.0, day[0].shifted(np.array([1800.0])))
    >>> f"{dry[0] * C:.4f} m, {wet[0] * C:.4f} m"
    '2.1648 m, 0.0687 m'
    """

    epochs: Epoch
    pressure: ArrayLike
    temperature: ArrayLike
    humidity: ArrayLike
    longest_gap: float = _LONGEST_GAP

    def __post_init__(self) -> None:
        for name, low, high, unit in _LIMITS:
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape != self.epochs.shape or value.ndim != 1:
                raise ConfigurationError(
                    f"{value.shape} values of {name} at {self.epochs.shape} epochs.",
                    next_step="Give one for each epoch.",
                )
            for each in value:
                _check(name, float(each), low, high, unit)
        _ = self._series

    @cached_property
    def _series(self) -> Series:
        columns = [self.pressure, self.temperature, self.humidity]
        values = np.stack([np.asarray(c, dtype=np.float64) for c in columns], axis=-1)
        return Series("the measured weather", self.epochs, values, self.longest_gap)

    def zenith(self, latitude: float, height: float, epoch: Epoch) -> tuple[Floats, Floats]:
        """Return the hydrostatic and the wet zenith delay at epochs, each of shape (...), s.

        Raises
        ------
        SpanError
            Outside the series, or in a gap.
        """
        pressure, temperature, humidity = np.moveaxis(self._series.at(epoch), -1, 0)
        hydrostatic = _hydrostatic(pressure, latitude, height)
        return hydrostatic, _wet(temperature, _vapour_pressure(temperature, humidity))


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
    return float(_hydrostatic(weather.pressure, latitude, height))


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
    return float(_wet(weather.temperature, weather.vapour_pressure))


def _hydrostatic(pressure: ArrayLike, latitude: float, height: float) -> Floats:
    gravity = 1.0 - 0.00266 * np.cos(2.0 * latitude) - 0.28e-6 * height
    return np.asarray(_SAASTAMOINEN * np.asarray(pressure) / gravity / C)


def _wet(temperature: ArrayLike, vapour_pressure: ArrayLike) -> Floats:
    path = _SAASTAMOINEN * (1255.0 / np.asarray(temperature) + 0.05) * np.asarray(vapour_pressure)
    return np.asarray(path / C)


def _vapour_pressure(temperature: ArrayLike, humidity: ArrayLike) -> Floats:
    celsius = np.asarray(temperature) - _ZERO_CELSIUS
    saturated = 6.1121 * np.exp(17.502 * celsius / (240.97 + celsius))
    return np.asarray(np.asarray(humidity) * saturated * _HECTOPASCAL)


def _check(name: str, value: float, low: float, high: float, unit: str) -> None:
    if not low <= value <= high:  # NaN is caught as well
        raise ConfigurationError(
            f"a {name} of {value:g} is not that of air, {low:g} to {high:g}.",
            next_step=f"Give it in {unit}.",
        )
