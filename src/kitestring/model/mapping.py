"""Mapping functions: how much longer than the zenith's a slant path through the air is.

All are Marini's continued fraction (Herring 1992) of the vacuum elevation. Niell's
(1996) need latitude, height and date; the Global Mapping Functions (Boehm et al.
2006) the longitude besides; VMF3 (Landskron & Boehm 2018) takes its leading
coefficient from a weather model, by a file for each site.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

LOWEST_ELEVATION = np.radians(3.0)
"""Elevation (rad) down to which all of them were fitted to ray traces."""

GRADIENT_HYDROSTATIC, GRADIENT_WET, GRADIENT_TOTAL = 0.0031, 0.0007, 0.0032
"""Chen & Herring's (1997) constants of `gradient_mapping` for parts of the air and all of it."""

_YEAR = 365.25  # days
# 28 January (day 28), coldest in the north, counted on from 1980 in years of 365.25
# days: with the day of the year, the season would jump at New Year after a leap day
_COLDEST_MJD = 44239 - 1 + 28

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
    season = np.cos(_phase(epoch) + (np.pi if latitude < 0.0 else 0.0))
    mean = _interpolated(_HYDROSTATIC_MEAN, latitude)
    amplitude = _interpolated(_HYDROSTATIC_SEASON, latitude)
    a, b, c = (m - s * season for m, s in zip(mean, amplitude, strict=True))
    return np.asarray(continued_fraction(sine, a, b, c) + _lift(sine, height))


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
    return continued_fraction(sine, *_interpolated(_WET, latitude))


def gmf_hydrostatic(
    elevation: ArrayLike, longitude: float, latitude: float, height: float, epoch: Epoch
) -> Floats:
    """Return the hydrostatic Global Mapping Function (Boehm et al. 2006; the IERS' routine GMF).

    Parameters
    ----------
    elevation : array_like, shape (...)
        Vacuum elevation, rad.
    longitude, latitude : float
        Geodetic, rad.
    height : float
        Above the geoid, m; the ellipsoid's serves (50 m change the slant delay at
        5 degrees by 2.5 mm).
    epoch : Epoch, shape (...)
        For the season; any scale.

    Examples
    --------
    >>> day = Epoch.from_iso("2009-08-12T00:00:00")  # the routine's own test case
    >>> place = (-1.393397187, 0.6708665767, 844.715)
    >>> f"{gmf_hydrostatic(np.pi / 2 - 1.278564131, *place, day):.9f}"
    '3.425245519'
    """
    sine = np.sin(np.asarray(elevation, dtype=np.float64))
    phase = _phase(epoch)
    mean, amplitude = _gmf_a(longitude, latitude)[:2]
    south = latitude < 0.0
    winter, floor = (0.007, 0.002) if south else (0.005, 0.001)
    season = np.cos(phase + (np.pi if south else 0.0))
    c = 0.062 + ((season + 1.0) * winter / 2.0 + floor) * (1.0 - np.cos(latitude))
    mapped = continued_fraction(sine, mean + amplitude * np.cos(phase), 0.0029, c)
    return np.asarray(mapped + _lift(sine, height))


def gmf_wet(elevation: ArrayLike, longitude: float, latitude: float, epoch: Epoch) -> Floats:
    """Return the wet Global Mapping Function (Boehm et al. 2006; the IERS' routine GMF).

    Parameters are those of `gmf_hydrostatic`.
    """
    sine = np.sin(np.asarray(elevation, dtype=np.float64))
    mean, amplitude = _gmf_a(longitude, latitude)[2:]
    a = mean + amplitude * np.cos(_phase(epoch))
    return continued_fraction(sine, a, 0.00146, 0.04391)


def vmf3(
    elevation: ArrayLike,
    a_hydrostatic: ArrayLike,
    a_wet: ArrayLike,
    longitude: float,
    latitude: float,
    epoch: Epoch,
) -> tuple[Floats, Floats]:
    """Return the hydrostatic and the wet VMF3 (Landskron & Boehm 2018), slant over zenith delay.

    With coefficients of the site itself, as in site-wise files, there is no
    correction for height; those of a grid would need one.

    Parameters
    ----------
    elevation : array_like, shape (...)
        Vacuum elevation, rad.
    a_hydrostatic, a_wet : array_like, shape (...)
        Of a weather model, such as `kitestring.formats.vmf3.read_vmf3` returns.
    longitude, latitude : float
        Geodetic, rad.
    epoch : Epoch, shape (...)
        For the season of b and c; UTC is meant, any scale serves.

    Examples
    --------
    >>> day = Epoch.from_iso("2018-11-25T00:00:00")
    >>> h, w = vmf3(np.radians(38.0), 0.00123462, 0.00047101, *np.radians((277.5, 37.5)), day)
    >>> f"{h:.6f} {w:.6f}"  # what TU Wien's vmf3.m gives
    '1.621024 1.623023'
    """
    sine = np.sin(np.asarray(elevation, dtype=np.float64))
    turn = 2.0 * np.pi * _day_of_year(epoch) / _YEAR
    waves = np.stack(
        [np.ones_like(turn), np.cos(turn), np.sin(turn), np.cos(2 * turn), np.sin(2 * turn)]
    )
    bh, bw, ch, cw = np.tensordot(_vmf3_seasons(longitude, latitude), waves, axes=1)
    hydrostatic = continued_fraction(sine, np.asarray(a_hydrostatic), bh, ch)
    return hydrostatic, continued_fraction(sine, np.asarray(a_wet), bw, cw)


def gradient_mapping(elevation: ArrayLike, constant: float = GRADIENT_TOTAL) -> Floats:
    """Return what a horizontal gradient is multiplied by (Chen & Herring 1997; TN36 section 9.2).

    m = 1 / (sin e tan e + C); the delay is m (G_north cos A + G_east sin A).

    Parameters
    ----------
    elevation : array_like, shape (...)
        Vacuum elevation, rad.
    constant : float
        C: `GRADIENT_HYDROSTATIC`, `GRADIENT_WET`, or `GRADIENT_TOTAL`.

    Examples
    --------
    >>> round(float(gradient_mapping(np.radians(10.0))), 1)
    29.6
    """
    angle = np.asarray(elevation, dtype=np.float64)
    return np.asarray(1.0 / (np.sin(angle) * np.tan(angle) + constant))


def continued_fraction(
    sine: Floats, a: Floats | float, b: Floats | float, c: Floats | float
) -> Floats:
    """Return Marini's fraction of the sine of the elevation, 1 at the zenith (Herring 1992)."""
    at_zenith = 1.0 + a / (1.0 + b / (1.0 + c))
    return np.asarray(at_zenith / (sine + a / (sine + b / (sine + c))))


def _lift(sine: Floats, height: float) -> Floats:
    """Return what Niell adds to a hydrostatic function of sea level at a height (m)."""
    return np.asarray((1.0 / sine - continued_fraction(sine, *_HEIGHT)) * height / 1000.0)


def _phase(epoch: Epoch) -> Floats:
    """Return the phase of the year from the coldest day of the north, rad."""
    return np.asarray(2.0 * np.pi * (epoch.mjd() - _COLDEST_MJD) / _YEAR)


def _interpolated(table: Floats, latitude: float) -> tuple[float, float, float]:
    """Return a, b, c at a latitude; constant outside 15 to 75 degrees."""
    a, b, c = (float(np.interp(abs(np.degrees(latitude)), _LATITUDES, row)) for row in table.T)
    return a, b, c


def _day_of_year(epoch: Epoch) -> Floats:
    """Return the day of the year with its fraction, 1 at the start of 1 January."""
    calendar = (epoch.day - 40587).astype("datetime64[D]")  # MJD of 1970-01-01
    start = calendar.astype("datetime64[Y]").astype("datetime64[D]")
    whole = (calendar - start).astype(np.float64)
    return np.asarray(whole + 1.0 + epoch.second / 86400.0)


def _harmonics(degree: int, longitude: float, latitude: float) -> tuple[Floats, Floats]:
    """Return P_nm(sin latitude) times cosine and sine of m longitude, each (degree+1, degree+1).

    Unnormalised and without the sign (-1)^m, as in both tables' routines.
    """
    t, u = np.sin(latitude), np.cos(latitude)
    p = np.zeros((degree + 1, degree + 1))
    p[0, 0] = 1.0
    for n in range(1, degree + 1):
        p[n, n] = (2 * n - 1) * u * p[n - 1, n - 1]
        for m in range(n):
            older = p[n - 2, m] if n > 1 else 0.0
            p[n, m] = ((2 * n - 1) * t * p[n - 1, m] - (n + m - 1) * older) / (n - m)
    order = np.arange(degree + 1) * longitude
    return p * np.cos(order), p * np.sin(order)


def _rows(name: str) -> list[list[str]]:
    """Return the rows of a table of the package, its comments and its title left out."""
    text = (files("kitestring") / "data" / name).read_text(encoding="ascii")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [line.split(",") for line in lines[1:]]


@cache
def _gmf_table() -> tuple[NDArray[np.int64], Floats]:
    rows = _rows("gmf.csv")
    index = np.array([[int(word) for word in row[:2]] for row in rows])
    return index, np.array([[float(word) for word in row[2:]] for row in rows])


@lru_cache(maxsize=1024)
def _gmf_a(longitude: float, latitude: float) -> tuple[float, float, float, float]:
    """Return a of a place: hydrostatic mean and amplitude, then wet."""
    (n, m), table = _gmf_table()[0].T, _gmf_table()[1]
    cosine, sine = _harmonics(int(n.max()), longitude, latitude)
    a, b = cosine[n, m] @ table[:, 0::2], sine[n, m] @ table[:, 1::2]
    first, second, third, fourth = (1e-5 * (a + b)).tolist()
    return first, second, third, fourth


@dataclass(frozen=True)
class _Harmonic:
    """Coefficients of one function: degree, order, and five waves for cosine and sine."""

    n: NDArray[np.int64]
    m: NDArray[np.int64]
    waves: Floats


@cache
def _vmf3_table() -> dict[tuple[str, str], _Harmonic]:
    found: dict[tuple[str, str], list[list[str]]] = {}
    for table, part, *rest in _rows("vmf3.csv"):
        found.setdefault((table, part), []).append(rest)
    return {
        key: _Harmonic(
            np.array([int(row[0]) for row in rows]),
            np.array([int(row[1]) for row in rows]),
            np.array([[float(word) for word in row[2:]] for row in rows]),
        )
        for key, rows in found.items()
    }


@lru_cache(maxsize=1024)
def _vmf3_seasons(longitude: float, latitude: float) -> Floats:
    """Return mean, annual and semiannual waves of bh, bw, ch, cw at a place, shape (4, 5)."""
    parts = dict(zip("ab", _harmonics(12, longitude, latitude), strict=True))
    table = _vmf3_table()
    rows = []
    for name in ("bh", "bw", "ch", "cw"):
        pairs = ((parts[part], table[name, part]) for part in "ab")
        rows.append(sum(value[h.n, h.m] @ h.waves for value, h in pairs))
    seasons = np.array(rows)
    seasons.setflags(write=False)
    return seasons
