"""How far tides move a station from its regularised position.

Solid Earth tide and pole tide of the IERS Conventions (2010), TN36 section 7.1,
in ITRF; the loads of the oceans are in `ocean_loading` and `ocean_pole_tide`.
Everything is written for arrays of epochs. Latitude and the directions up, east
and north are geocentric here, as in the Conventions' equations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.constants import EARTH_RADIUS, GM
from kitestring.model.time import DAY, MJD_J2000, Epoch, tai_minus_near_ut1

Floats = NDArray[np.float64]
MeanPole = Literal["secular", "iers2010"]
MEAN_POLES: tuple[MeanPole, ...] = ("secular", "iers2010")

# Love and Shida numbers of degrees 2 and 3 (TN36 section 7.1.1, table 7.2)
_H2, _H2_LATITUDE = 0.6078, -0.0006
_L2, _L2_LATITUDE = 0.0847, 0.0002
_H3, _L3 = 0.292, 0.015
_L1_DIURNAL, _L1_SEMIDIURNAL = 0.0012, 0.0024
_HI_DIURNAL, _LI_DIURNAL = -0.0025, -0.0007
_HI_SEMIDIURNAL, _LI_SEMIDIURNAL = -0.0022, -0.0007

# TN36 table 7.3a, rows of any size: multiples of s, h, p, N', ps beside one tau,
# then in mm radial in phase, radial out of phase, transverse in phase, out of phase
_DIURNAL = np.array(
    [
        (-3, 0, 2, 0, 0, -0.01, 0.0, 0.0, 0.0),
        (-3, 2, 0, 0, 0, -0.01, 0.0, 0.0, 0.0),
        (-2, 0, 1, -1, 0, -0.02, 0.0, 0.0, 0.0),
        (-2, 0, 1, 0, 0, -0.08, 0.0, -0.01, 0.01),
        (-2, 2, -1, 0, 0, -0.02, 0.0, 0.0, 0.0),
        (-1, 0, 0, -1, 0, -0.10, 0.0, 0.0, 0.0),
        (-1, 0, 0, 0, 0, -0.51, 0.0, -0.02, 0.03),
        (-1, 2, 0, 0, 0, 0.01, 0.0, 0.0, 0.0),
        (0, -2, 1, 0, 0, 0.01, 0.0, 0.0, 0.0),
        (0, 0, -1, 0, 0, 0.02, 0.0, 0.0, 0.0),
        (0, 0, 1, 0, 0, 0.06, 0.0, 0.0, 0.0),
        (0, 0, 1, 1, 0, 0.01, 0.0, 0.0, 0.0),
        (0, 2, -1, 0, 0, 0.01, 0.0, 0.0, 0.0),
        (1, -3, 0, 0, 1, -0.06, 0.0, 0.0, 0.0),
        (1, -2, 0, -1, 0, 0.01, 0.0, 0.0, 0.0),
        (1, -2, 0, 0, 0, -1.23, -0.07, 0.06, 0.01),
        (1, -1, 0, 0, -1, 0.02, 0.0, 0.0, 0.0),
        (1, -1, 0, 0, 1, 0.04, 0.0, 0.0, 0.0),
        (1, 0, 0, -1, 0, -0.22, 0.01, 0.01, 0.0),
        (1, 0, 0, 0, 0, 12.00, -0.80, -0.67, -0.03),
        (1, 0, 0, 1, 0, 1.73, -0.12, -0.10, 0.0),
        (1, 0, 0, 2, 0, -0.04, 0.0, 0.0, 0.0),
        (1, 1, 0, 0, -1, -0.50, -0.01, 0.03, 0.0),
        (1, 1, 0, 0, 1, 0.01, 0.0, 0.0, 0.0),
        (0, 1, 0, 1, -1, -0.01, 0.0, 0.0, 0.0),
        (1, 2, -2, 0, 0, -0.01, 0.0, 0.0, 0.0),
        (1, 2, 0, 0, 0, -0.11, 0.01, 0.01, 0.0),
        (2, -2, 1, 0, 0, -0.01, 0.0, 0.0, 0.0),
        (2, 0, -1, 0, 0, -0.02, 0.0, 0.0, 0.0),
    ]
)

# TN36 table 7.3b: multiples of s, h, p, N', ps, then in mm as above
_LONG_PERIOD = np.array(
    [
        (0, 0, 0, 1, 0, 0.47, 0.16, 0.23, 0.07),
        (0, 2, 0, 0, 0, -0.20, -0.11, -0.12, -0.05),
        (1, 0, -1, 0, 0, -0.11, -0.09, -0.08, -0.04),
        (2, 0, 0, 0, 0, -0.13, -0.15, -0.11, -0.07),
        (2, 0, 0, 1, 0, -0.05, -0.06, -0.05, -0.03),
    ]
)


def solid_earth_tide(position: ArrayLike, epoch: Epoch, sun: ArrayLike, moon: ArrayLike) -> Floats:
    """Return the displacement by the solid Earth tide, tide-free (TN36 section 7.1.1).

    Step 1: degrees 2 and 3 with latitude-dependent Love numbers, out-of-phase
    parts (eq. 7.5 to 7.11). Step 2: frequency dependence in the diurnal and
    long-period bands (eq. 7.12, 7.13). The permanent tide is not restored: ITRF
    coordinates are tide-free, and so is what is returned.

    Parameters
    ----------
    position : array_like, shape (..., 3)
        Station, ITRF, m.
    epoch : Epoch, shape (...)
        Any scale. UT1 is known to a second, which costs less than 1 micrometre.
    sun, moon : array_like, shape (..., 3)
        Geocentric positions of Sun and Moon in ITRF, m.

    Returns
    -------
    ndarray, shape (..., 3)
        Displacement in ITRF, m, to be added to `position`.

    Examples
    --------
    >>> epoch = Epoch.from_iso("2009-04-13T00:00:00")
    >>> solid_earth_tide(
    ...     (4075578.385, 931852.890, 4801570.154),
    ...     epoch,
    ...     (137859926952.015, 54228127881.4350, 23509422341.6960),
    ...     (-179996231.920342, -312468450.131567, -169288918.592160),
    ... ).round(4)
    array([0.077 , 0.063 , 0.0551])
    """
    station = Geocentric.of(position)
    by_sun = _step1(station, np.asarray(sun, dtype=np.float64), GM["SUN"] / GM["EARTH"])
    by_moon = _step1(station, np.asarray(moon, dtype=np.float64), GM["MOON"] / GM["EARTH"])
    return by_sun + by_moon + _step2(station, epoch)


@dataclass(frozen=True)
class Geocentric:
    """Where a station is as the tides' equations have it: by geocentric angles.

    Attributes
    ----------
    up, east, north : ndarray, shape (..., 3)
        Unit vectors, ITRF; up is away from the geocentre.
    sin, cos : ndarray, shape (...)
        Of the geocentric latitude.
    longitude : ndarray, shape (...)
        rad.
    """

    up: Floats
    east: Floats
    north: Floats
    sin: Floats
    cos: Floats
    longitude: Floats

    @classmethod
    def of(cls, position: ArrayLike) -> Geocentric:
        """Return that of ITRF positions, shape (..., 3), m."""
        xyz = np.asarray(position, dtype=np.float64)
        up = xyz / np.linalg.norm(xyz, axis=-1, keepdims=True)
        sin, cos = up[..., 2], np.hypot(up[..., 0], up[..., 1])
        longitude = np.arctan2(up[..., 1], up[..., 0])
        sl, cl = np.sin(longitude), np.cos(longitude)
        east = np.stack([-sl, cl, np.zeros_like(sl)], axis=-1)
        north = np.stack([-sin * cl, -sin * sl, cos], axis=-1)
        return cls(up, east, north, sin, cos, longitude)

    def vector(self, up: Floats, east: Floats, north: Floats) -> Floats:
        """Return the ITRF vector, shape (..., 3), of components up, east and north."""
        total = up[..., None] * self.up + east[..., None] * self.east
        return np.asarray(total + north[..., None] * self.north)


def _step1(station: Geocentric, body: Floats, mass_ratio: float) -> Floats:
    """Return the displacement by one body, all frequencies alike (TN36 eq. 7.5 to 7.11)."""
    distance = np.linalg.norm(body, axis=-1)
    towards = body / distance[..., None]
    factor2 = mass_ratio * EARTH_RADIUS * (EARTH_RADIUS / distance) ** 3
    factor3 = factor2 * (EARTH_RADIUS / distance)
    sin, cos = station.sin, station.cos
    latitude_term = (3.0 * sin**2 - 1.0) / 2.0
    h2 = _H2 + _H2_LATITUDE * latitude_term
    l2 = _L2 + _L2_LATITUDE * latitude_term
    x = np.sum(towards * station.up, axis=-1)
    along_up = factor2 * h2 * (1.5 * x**2 - 0.5) + factor3 * _H3 * (2.5 * x**3 - 1.5 * x)
    along_body = factor2 * 3.0 * l2 * x + factor3 * _L3 * (7.5 * x**2 - 1.5)
    sideways = towards - x[..., None] * station.up
    total = along_up[..., None] * station.up + along_body[..., None] * sideways

    # terms in the body's declination and the difference of longitudes
    sin_d, cos_d = towards[..., 2], np.hypot(towards[..., 0], towards[..., 1])
    angle = station.longitude - np.arctan2(towards[..., 1], towards[..., 0])
    s1, c1, s2, c2 = np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)
    diurnal, semidiurnal = 3.0 * sin_d * cos_d, 3.0 * cos_d**2  # P21, P22
    sin2, cos2 = 2.0 * sin * cos, cos**2 - sin**2
    up = -0.5 * _HI_DIURNAL * diurnal * sin2 * s1
    up = up - 0.25 * _HI_SEMIDIURNAL * semidiurnal * cos**2 * s2
    north = -_L1_DIURNAL * sin * diurnal * sin * c1 - _LI_DIURNAL * diurnal * cos2 * s1
    north = north - 0.5 * _L1_SEMIDIURNAL * sin * cos * semidiurnal * c2
    north = north + 0.25 * _LI_SEMIDIURNAL * semidiurnal * sin2 * s2
    east = _L1_DIURNAL * sin * diurnal * cos2 * s1 - _LI_DIURNAL * diurnal * sin * c1
    east = east - 0.5 * _L1_SEMIDIURNAL * sin * cos * semidiurnal * sin * s2
    east = east - 0.5 * _LI_SEMIDIURNAL * semidiurnal * cos * c2
    return np.asarray(total + station.vector(factor2 * up, factor2 * east, factor2 * north))


def _step2(station: Geocentric, epoch: Epoch) -> Floats:
    """Return the corrections for frequency dependence (TN36 eq. 7.12, 7.13)."""
    tau, slow = doodson_arguments(epoch)
    diurnal = np.exp(1j * (tau[..., None] + slow @ _DIURNAL[:, :5].T))
    amplitude = 1e-3 * (_DIURNAL[:, [5, 7]] + 1j * _DIURNAL[:, [6, 8]])
    # in phase goes with the sine of theta + longitude, out of phase with the cosine
    turn = np.exp(1j * station.longitude)
    radial, transverse = (turn * wave for wave in np.moveaxis(diurnal @ amplitude, -1, 0))
    sin2, cos2 = 2.0 * station.sin * station.cos, station.cos**2 - station.sin**2
    up = sin2 * radial.imag
    north = cos2 * transverse.imag
    east = station.sin * transverse.real

    slow_wave = np.exp(1j * (slow @ _LONG_PERIOD[:, :5].T))
    amplitude = 1e-3 * (_LONG_PERIOD[:, [5, 7]] - 1j * _LONG_PERIOD[:, [6, 8]])
    radial, transverse = np.moveaxis(slow_wave @ amplitude, -1, 0)
    up = up + (1.5 * station.sin**2 - 0.5) * radial.real
    north = north + sin2 * transverse.real
    return station.vector(up, east, north)


DOODSON_SPEEDS = np.radians(
    [347.80925061, 13.17639673, 0.98564734, 0.11140408, 0.05295392, 0.00004707]
)
"""Speeds of tau, s, h, p, N', ps at J2000, rad/day; a century changes them by 1e-7 of that."""


def doodson_arguments(epoch: Epoch) -> tuple[Floats, Floats]:
    """Return Doodson's arguments (TN36 eq. 5.43, 5.44).

    Parameters
    ----------
    epoch : Epoch, shape (...)
        Any scale. UT1 is known to a second here, without steps.

    Returns
    -------
    tau : ndarray, shape (...)
        Mean lunar time, rad.
    slow : ndarray, shape (..., 5)
        s, h, p, N', ps, rad.
    """
    tt = epoch.to("tt")
    t = tt.centuries()
    node, f = erfa.faom03(t), erfa.faf03(t)
    s = f + node
    h = s - erfa.fad03(t)
    p = s - erfa.fal03(t)
    perihelion = h - erfa.falp03(t)
    tai = epoch.to("tai")
    ut1 = Epoch.normalised("ut1", tai.day, tai.second - tai_minus_near_ut1(tai))
    tau = erfa.gmst06(*ut1.jd(), *tt.jd()) + np.pi - s
    return np.asarray(tau), np.stack(np.broadcast_arrays(s, h, p, -node, perihelion), axis=-1)


def mean_pole(epoch: Epoch, kind: str = "secular") -> tuple[Floats, Floats]:
    """Return the pole that the pole tide is counted from, rad.

    Parameters
    ----------
    epoch : Epoch, shape (...)
        Any scale.
    kind : {"secular", "iers2010"}
        ``"secular"``: the linear pole of the IERS Conventions update of 2018
        (section 7.1.4). ``"iers2010"``: the cubic (before 2010) and linear mean
        pole of TN36 table 7.7.

    Returns
    -------
    x, y : ndarray, shape (...)
        In the sense of polar motion, rad.

    Raises
    ------
    ConfigurationError
        For another kind.
    """
    tt = epoch.to("tt")
    t = ((tt.day - MJD_J2000) - 0.5 + tt.second / DAY) / 365.25
    if kind == "secular":
        x, y = 55.0 + 1.677 * t, 320.5 + 3.460 * t
    elif kind == "iers2010":
        before = t < 10.0
        x = np.where(
            before,
            55.974 + t * (1.8243 + t * (0.18413 + t * 0.007024)),
            23.513 + 7.6141 * t,
        )
        y = np.where(
            before,
            346.346 + t * (1.7896 + t * (-0.10729 - t * 0.000908)),
            358.891 - 0.6287 * t,
        )
    else:
        raise ConfigurationError(
            f"{kind!r} is not a mean pole.", next_step=f"Use one of {MEAN_POLES}."
        )
    return x * 1e-3 * erfa.DAS2R, y * 1e-3 * erfa.DAS2R


def wobble(
    epoch: Epoch, xp: ArrayLike, yp: ArrayLike, kind: str = "secular"
) -> tuple[Floats, Floats]:
    """Return how far the pole is from where the pole tides are counted from (TN36 eq. 7.25).

    Parameters
    ----------
    epoch : Epoch, shape (...)
        Any scale.
    xp, yp : array_like, shape (...)
        Polar motion, rad.
    kind : {"secular", "iers2010"}
        See `mean_pole`.

    Returns
    -------
    m1, m2 : ndarray, shape (...)
        Towards Greenwich and 90 degrees east, **arcseconds**: the unit of the equations
        that take them.

    Raises
    ------
    ConfigurationError
        For another kind.
    """
    mean_x, mean_y = mean_pole(epoch, kind)
    m1 = (np.asarray(xp, dtype=np.float64) - mean_x) / erfa.DAS2R
    m2 = -(np.asarray(yp, dtype=np.float64) - mean_y) / erfa.DAS2R
    return m1, m2


def pole_tide(
    position: ArrayLike,
    epoch: Epoch,
    xp: ArrayLike,
    yp: ArrayLike,
    mean_pole: str = "secular",
) -> Floats:
    """Return the displacement by the rotational deformation due to polar motion (TN36 eq. 7.26).

    Parameters
    ----------
    position : array_like, shape (..., 3)
        Station, ITRF, m.
    epoch : Epoch, shape (...)
        Any scale.
    xp, yp : array_like, shape (...)
        Polar motion, rad.
    mean_pole : {"secular", "iers2010"}
        Pole that it is counted from; see `mean_pole`.

    Returns
    -------
    ndarray, shape (..., 3)
        Displacement in ITRF, m, to be added to `position`.

    Raises
    ------
    ConfigurationError
        For another mean pole.
    """
    station = Geocentric.of(position)
    m1, m2 = wobble(epoch, xp, yp, mean_pole)
    sl, cl = np.sin(station.longitude), np.cos(station.longitude)
    along, across = m1 * cl + m2 * sl, m1 * sl - m2 * cl
    # of the colatitude: sin 2 theta = sin 2 phi, cos 2 theta = -cos 2 phi, cos theta = sin phi
    up = -0.033 * 2.0 * station.sin * station.cos * along
    south = 0.009 * (station.cos**2 - station.sin**2) * along
    east = 0.009 * station.sin * across
    return station.vector(up, east, -south)
