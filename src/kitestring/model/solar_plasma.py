"""What the Sun's plasma adds to an arrival, and how much it makes a carrier tremble.

The mean corona is spherical, with an electron density of inverse powers of the
distance; its column along the path is what delays. Real corona has streamers and
mass ejections: half of the delay is taken as its standard deviation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.ionosphere import plasma_delay
from kitestring.model.sight import Sight

Floats = NDArray[np.float64]

SOLAR_RADIUS = 6.957e8
"""Nominal radius of the Sun, m (IAU 2015 resolution B3)."""

CORONA = ((2.21e14, 6.0), (1.55e12, 2.3))
"""Density at one solar radius (1/m^3) and power of its fall: N = sum A (R/r)^n.

Viking's columns and phase fluctuations (Berman & Wackley's series, JPL TDA Progress
Report 42-71, 1982); at the Earth 6.7 electrons/cm^3.
"""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_FRACTION = 0.5
_LEAST_IMPACT = 1e-6  # of the distance to the Sun: straight away from it the path has no angle

# Trembling of one way at X band, measured (see doppler_sigma): Hz at 60 s and one radian's sine
_TREMBLE = 0.40e-3 * 8.42e9  # Hz^2: falls with the frequency
_TREMBLE_COUNT = 60.0
_TREMBLE_SINE, _TREMBLE_TIME = 1.2, 1.0 / 3.0


def electron_column(
    start: Floats, direction: Floats, length: ArrayLike, terms: Sequence[tuple[float, float]]
) -> Floats:
    """Return the electrons along straight paths through a corona, shape (n,), 1/m^2.

    With p the least distance from the Sun and theta the angle along the path as
    seen from there, A (R/r)^n gives A R^n p^(1-n) times the integral of
    cos^(n-2) theta (Gauss-Legendre, 24 nodes: 4e-5 for a path without end, else
    better). NaN for a path through the Sun.

    Parameters
    ----------
    start : ndarray, shape (n, 3)
        Of the paths, relative to the Sun, m.
    direction : ndarray, shape (n, 3)
        Unit vectors along them.
    length : array_like, shape (n,)
        m; may be infinite.
    terms : sequence of (float, float)
        A (1/m^3) and n, each above 1.

    Examples
    --------
    >>> au = 1.495978707e11
    >>> start, away = np.array([[0.0, au, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    >>> column = electron_column(start, away, np.inf, [(1.55e12, 2.0)])
    >>> f"{column[0] * 2 / np.pi / (1.55e12 * SOLAR_RADIUS**2 / au):.6f}"
    '1.000000'
    """
    reach = np.linalg.norm(start, axis=-1)
    first = np.sum(start * direction, axis=-1)  # along the path from its nearest point
    impact = np.linalg.norm(np.cross(start, direction), axis=-1)
    impact = np.maximum(impact, _LEAST_IMPACT * reach)
    end = first + np.asarray(length, dtype=np.float64)
    through = (impact < SOLAR_RADIUS) & (first < 0.0) & (end > 0.0)
    theta1, theta2 = np.arctan(first / impact), np.arctan(end / impact)
    half = 0.5 * (theta2 - theta1)
    theta = (theta1 + half)[..., None] + half[..., None] * _NODES
    cosine = np.cos(theta)
    column = np.zeros(impact.shape)
    for density, power in terms:
        integral = half * (cosine ** (power - 2.0) @ _WEIGHTS)
        column += density * SOLAR_RADIUS**power * impact ** (1.0 - power) * integral
    return np.where(through, np.nan, column)


class SolarPlasma:
    """Delay of the Sun's plasma: an `Effect` of `kitestring.model.sight`.

    Parameters
    ----------
    terms : sequence of (float, float)
        Density at one solar radius (1/m^3) and power of its fall; `CORONA` by default.
    fraction : float
        Standard deviation of the delay over the delay.

    Raises
    ------
    ConfigurationError
        For densities or a fraction below zero, or powers of 1 or less, whose column
        has no bound.

    Examples
    --------
    >>> from kitestring import EarthModel, Epoch, get_station
    >>> station, epoch = get_station("WETTZELL"), Epoch.from_iso(["2026-01-01T12:00:00"])
    >>> state = EarthModel().station_state(station, epoch)
    >>> sunward = state.sun - state.barycentric
    >>> aside = np.cross(sunward, [0.0, 0.0, 1.0])  # 10 degrees from the Sun, 2 au away
    >>> way = sunward / np.linalg.norm(sunward) + np.tan(np.radians(10.0)) * (
    ...     aside / np.linalg.norm(aside))
    >>> way /= np.linalg.norm(way)
    >>> sight = Sight(station, state, way, distance=3e11, frequency=8.4e9)
    >>> f"{SolarPlasma().delay(sight)[0] * 1e9:.1f} ns"
    '47.1 ns'
    """

    name = "solar plasma"

    def __init__(
        self, terms: Sequence[tuple[float, float]] = CORONA, fraction: float = _FRACTION
    ) -> None:
        if not (all(a >= 0.0 and n > 1.0 for a, n in terms) and fraction >= 0.0):
            raise ConfigurationError(
                "a corona has densities above zero that fall faster than 1/r.",
                next_step="Give pairs of 1/m^3 at one solar radius and a power, as CORONA is.",
            )
        self.terms = tuple(terms)
        self.fraction = fraction

    def column(self, sight: Sight) -> Floats:
        """Return the electrons between the station and its target, shape (n,), 1/m^2."""
        start = sight.state.barycentric - sight.state.sun
        return electron_column(start, sight.direction, sight.distance, self.terms)

    def delay(self, sight: Sight) -> Floats:
        """Return the delay, shape (n,), s; NaN where the path meets the Sun.

        Raises
        ------
        ConfigurationError
            Where the sky frequency is not known.
        """
        frequency = sight.known_frequency("the solar plasma")
        return plasma_delay(self.column(sight), frequency, group=sight.group)

    def sigma(self, sight: Sight) -> Floats:
        """Return the standard deviation of the delay, shape (n,), s."""
        return self.fraction * np.abs(self.delay(sight))


def doppler_sigma(
    sun_angle: ArrayLike,
    frequency: ArrayLike,
    count: ArrayLike,
    uplink: ArrayLike | None = None,
) -> Floats:
    """Return the rms by which the Sun's plasma moves a carrier's frequency, shape (n,), Hz.

    One way: 0.40 mHz (8.42 GHz / f) (60 s / T)^(1/3) / sin^1.2 of the Sun's angle; an
    uplink adds its own, times the turnaround ratio, independent of the first.
    Measured: 66 passes of InSight's two-way X band within 2 to 25 degrees of the Sun
    (counts of 60 s, 2018 to 2020, solar minimum) have medians by angle that follow
    it, two thirds of them within a factor of 1.7; the exponent of time is that of
    their averages of 60 to 240 s. Beyond 90 degrees the sine is taken as 1, where
    other noise is greater.

    Parameters
    ----------
    sun_angle : array_like, shape (n,)
        Between the Sun and the target as seen from the station, rad.
    frequency : array_like, shape (n,)
        Downlink, Hz.
    count : array_like, shape (n,)
        Count interval, s.
    uplink : array_like, shape (n,), optional
        Uplink, Hz, of a coherent two-way link; one-way without it.

    Raises
    ------
    ConfigurationError
        For an angle outside 0 to pi, or anything that is not positive.

    Examples
    --------
    >>> two_way = doppler_sigma(np.radians(10.0), 8.42e9, 60.0, 8.42e9 * 749 / 880)
    >>> f"{two_way * 1e3:.1f} mHz"
    '5.6 mHz'
    """
    angle, down, interval = (np.asarray(v, float) for v in (sun_angle, frequency, count))
    up = None if uplink is None else np.asarray(uplink, dtype=np.float64)
    positive = (down, interval) if up is None else (down, interval, up)
    if not (np.all((angle > 0.0) & (angle <= np.pi)) and all(np.all(v > 0.0) for v in positive)):
        raise ConfigurationError(
            "angles have to be within 0 to pi, frequencies and counts positive.",
            next_step="Give radians, Hz and seconds.",
        )
    sine = np.sin(np.minimum(angle, np.pi / 2.0))
    one_way = _TREMBLE / down * (_TREMBLE_COUNT / interval) ** _TREMBLE_TIME
    one_way = one_way / sine**_TREMBLE_SINE
    if up is None:
        return np.asarray(one_way)
    return np.asarray(one_way * np.hypot(1.0, (down / up) ** 2))
