"""Calibrators: the ICRF3 sources with their positions, fluxes and names.

``data/sources.csv.gz`` holds the 4536 sources of ICRF3 at S and X band
(Charlot et al. 2020) with X-band fluxes of the Radio Fundamental Catalogue; it is
written by ``tools/make_sources.py``. Positions are those of epoch 2015.0: the
galactic aberration (0.0058 mas a year towards the galactic centre) is not
applied, 0.06 mas after ten years.
"""

from __future__ import annotations

import csv
import gzip
import re
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError, UnknownNameError

Floats = NDArray[np.float64]

_SECOND_OF_TIME = np.pi / 43200.0
_ARCSECOND = np.pi / 648000.0
_DESIGNATION = re.compile(r"(?:ICRF)?J(\d{6}\.\d[+-]\d{6})")
_ORIGIN = "ICRF3 S/X (epoch 2015.0); flux: RFC, through SCHED sources_allfreq 2024a"

# In common use, and in neither catalogue: by IERS designation
_COMMON_NAMES = {
    "3C273B": "1226+023",
    "M87": "1228+126",
    "VIRGOA": "1228+126",
    "PERA": "0316+413",
    "NGC1275": "0316+413",
}


def unit_vector(ra: ArrayLike, dec: ArrayLike) -> Floats:
    """Return unit vectors of right ascension and declination (rad), shape (..., 3)."""
    ra, dec = np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


@dataclass(frozen=True)
class Source:
    """A source at infinity.

    Attributes
    ----------
    name : str
        IERS designation such as ``"1741-038"``. The IVS uses it too, but for a few
        (``"3C274"``, ``"OJ287"``), which are among the aliases.
    designation : str
        ICRF designation, such as ``"ICRF J174358.8-035004"``.
    ra, dec : float
        ICRS, rad.
    sigma_ra, sigma_dec : float
        Standard deviations, rad; that of right ascension is times cos(dec).
    correlation : float
        Between right ascension and declination.
    defining : bool
        Whether it defines the axes of ICRF3.
    flux, flux_unresolved : float
        X-band flux in Jy on short and on long baselines; NaN where unknown.
        Sources vary: a guide to choose by, no calibration.
    aliases : tuple of str
        Other names.
    origin : str
        Where the figures come from.
    """

    name: str
    designation: str
    ra: float
    dec: float
    sigma_ra: float = 0.0
    sigma_dec: float = 0.0
    correlation: float = 0.0
    defining: bool = False
    flux: float = float("nan")
    flux_unresolved: float = float("nan")
    aliases: tuple[str, ...] = ()
    origin: str = _ORIGIN

    @cached_property
    def direction(self) -> Floats:
        """Unit vector to the source, ICRS, shape (3,)."""
        vector = unit_vector(self.ra, self.dec)
        vector.setflags(write=False)
        return vector

    @property
    def j2000_name(self) -> str:
        """Name made of J2000 coordinates, such as ``"J1743-0350"``."""
        found = _DESIGNATION.match(_key(self.designation))
        if not found:
            return ""
        digits = found[1]
        return f"J{digits[:4]}{digits[8:13]}"

    @property
    def names(self) -> tuple[str, ...]:
        """All names that it answers to."""
        names = (self.name, self.designation, self.j2000_name, *self.aliases)
        return tuple(dict.fromkeys(n for n in names if n))


def _key(name: str) -> str:
    """Return what names are compared by; blanks, case and the minus sign's shape do not matter."""
    return "".join(name.upper().replace("\N{MINUS SIGN}", "-").split()).strip("\0")


@dataclass(frozen=True)
class _Catalogue:
    sources: tuple[Source, ...]
    directions: Floats
    index: dict[str, Source]


@cache
def _catalogue() -> _Catalogue:
    text = gzip.decompress((files("kitestring") / "data" / "sources.csv.gz").read_bytes())
    rows = csv.reader(line for line in text.decode("ascii").splitlines() if line[0] != "#")
    sources = tuple(_source(row) for row in rows)
    index: dict[str, Source] = {}
    # names of the catalogues come first: two sources may share their J2000 name
    for source in sources:
        index[_key(source.name)] = source
        index[_key(source.designation)] = source
    for source in sources:
        for name in (*source.aliases, source.j2000_name):
            index.setdefault(_key(name), source)
    for name, designation in _COMMON_NAMES.items():
        index.setdefault(name, index[designation])
    directions = unit_vector([s.ra for s in sources], [s.dec for s in sources])
    return _Catalogue(sources, directions, index)


def _source(row: list[str]) -> Source:
    """Make a source of a line: see ``tools/make_sources.py`` for the columns."""
    name, digits, defining, ra, dec, sigma_ra, sigma_dec, correlation, total, unresolved = row[:10]
    declination = float(dec) * _ARCSECOND
    return Source(
        name=name,
        designation=f"ICRF J{digits}",
        ra=float(ra) * _SECOND_OF_TIME,
        dec=declination,
        sigma_ra=float(sigma_ra) * _SECOND_OF_TIME * float(np.cos(declination)),
        sigma_dec=float(sigma_dec) * _ARCSECOND,
        correlation=float(correlation),
        defining=defining == "D",
        flux=float(total or "nan"),
        flux_unresolved=float(unresolved or "nan"),
        aliases=tuple(row[10:]),
    )


def get_source(name: str) -> Source:
    """Return a source by any of its names.

    Parameters
    ----------
    name : str
        IVS name or IERS designation (``"1741-038"``), ICRF designation, J2000
        name (``"J1743-0350"``) or common name (``"3C84"``); case and blanks do not matter.

    Raises
    ------
    UnknownNameError
        Where no source has that name; the nearest are shown.

    Examples
    --------
    >>> get_source("3C84").name
    '0316+413'
    """
    catalogue = _catalogue()
    key = _key(name)
    for tried in (key, key.removeprefix("IERSB"), key.removeprefix("ICRF")):
        if tried in catalogue.index:
            return catalogue.index[tried]
    designation = _DESIGNATION.fullmatch(key)
    if designation and f"ICRFJ{designation[1]}" in catalogue.index:
        return catalogue.index[f"ICRFJ{designation[1]}"]
    raise UnknownNameError("source", name, catalogue.index)


def search_sources(text: str) -> tuple[Source, ...]:
    """Return the source of that name, or else all that have it as part of a name.

    Parameters
    ----------
    text : str
        See `get_source`, or part of such a name.

    Raises
    ------
    UnknownNameError
        Where it is no part of any name; the nearest are shown.

    Examples
    --------
    >>> [source.name for source in search_sources("1741-0")]
    ['1741-038']
    """
    try:
        return (get_source(text),)
    except UnknownNameError:
        key = _key(text)
        # designations hold digits of both coordinates: parts of them say nothing
        found = tuple(
            s for s in all_sources() if any(key in _key(n) for n in s.names if n != s.designation)
        )
        if not (key and found):
            raise
        return found


def all_sources() -> tuple[Source, ...]:
    """Return all sources of the catalogue, in the order of right ascension."""
    return _catalogue().sources


def calibrators_near(
    direction: ArrayLike, radius: float, min_flux: float = 0.0
) -> list[tuple[Source, float]]:
    """Return sources near a direction, nearest first.

    Parameters
    ----------
    direction : array_like, shape (3,) or (2,)
        Unit vector, or right ascension and declination in rad; ICRS.
    radius : float
        Greatest angle, rad.
    min_flux : float
        Lowest unresolved X-band flux, Jy. Where above 0, sources of unknown
        flux are left out.

    Returns
    -------
    list of (Source, float)
        Sources with their angles from `direction`, rad.

    Raises
    ------
    ConfigurationError
        Where `direction` is neither a unit vector nor a pair of angles.

    Examples
    --------
    >>> near = calibrators_near(get_source("3C273").direction, 0.02, min_flux=0.1)
    >>> near[0][0].name, near[0][1]
    ('1226+023', 0.0)
    """
    towards = np.asarray(direction, dtype=np.float64)
    if towards.shape == (2,):
        towards = unit_vector(towards[0], towards[1])
    if towards.shape != (3,) or not abs(np.linalg.norm(towards) - 1.0) < 1e-6:
        raise ConfigurationError(
            f"{direction!r} is not a direction.",
            next_step="Give a unit vector, or right ascension and declination in radians.",
        )
    catalogue = _catalogue()
    # by half the chord: exact for small angles, where the cosine is not
    chord = np.linalg.norm(catalogue.directions - towards, axis=-1)
    angle = 2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0))
    order = np.argsort(angle, kind="stable")
    order = order[angle[order] <= radius]
    found = [(catalogue.sources[k], float(angle[k])) for k in order]
    if min_flux > 0.0:
        found = [(s, a) for s, a in found if s.flux_unresolved >= min_flux]
    return found
