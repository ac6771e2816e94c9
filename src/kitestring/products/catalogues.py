"""Stations and sources as people look for them: by name, part of a name, or neighbourhood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError, UnknownNameError
from kitestring.model.sources import (
    Source,
    all_sources,
    calibrators_near,
    get_source,
    search_sources,
    unit_vector,
)
from kitestring.model.station_file import JULIAN_YEAR, structure_table
from kitestring.model.stations import Station, StationCatalogue

Floats = NDArray[np.float64]

_MAS = np.pi / 648e6
_SEXAGESIMAL = re.compile(r"([+-]?)(\d+):(\d+)(?::(\d+(?:\.\d*)?))?")


@dataclass(frozen=True)
class FoundStation:
    """A station that was looked for.

    Attributes
    ----------
    station : Station
        The station.
    distance : float or None
        Straight line to the station that was to be near, m.
    """

    station: Station
    distance: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all figures by the keys of a file of stations, and what follows from them."""
        s = self.station
        longitude, latitude, height = (float(v) for v in s.geodetic)
        found: dict[str, Any] = {
            "name": s.name,
            "code": s.code,
            "aliases": list(s.aliases),
            "position_m": s.position.tolist(),
            "velocity_m_per_year": (s.velocity * JULIAN_YEAR).tolist(),
            "epoch": s.epoch.iso(0)[:10],
            "frame": s.frame,
            "longitude_deg": float(np.degrees(longitude)),
            "latitude_deg": float(np.degrees(latitude)),
            "height_m": height,
            "mount": s.mount,
            "axis_offset_m": s.axis_offset,
            "elevation_limit_deg": float(np.degrees(s.elevation_limit)),
            "axis1_limits_deg": _degrees(s.axis1_limits),
            "axis2_limits_deg": _degrees(s.axis2_limits),
            "slew_deg_per_s": _degrees(s.slew),
            "sigma_m": s.sigma,
            "approximate": s.approximate,
            "structure": structure_table(s.structure) if s.structure else None,
            "origin": s.origin,
        }
        if self.distance is not None:
            found["distance_km"] = self.distance / 1e3
        return found


@dataclass(frozen=True)
class FoundSource:
    """A source that was looked for.

    Attributes
    ----------
    source : Source
        The source.
    angle : float or None
        From the place that was to be near, rad.
    """

    source: Source
    angle: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all figures, unknown fluxes as None."""
        s = self.source
        found: dict[str, Any] = {
            "name": s.name,
            "designation": s.designation,
            "j2000_name": s.j2000_name,
            "aliases": list(s.aliases),
            "ra_deg": float(np.degrees(s.ra)),
            "dec_deg": float(np.degrees(s.dec)),
            "sigma_ra_cos_dec_mas": s.sigma_ra / _MAS,
            "sigma_dec_mas": s.sigma_dec / _MAS,
            "correlation": s.correlation,
            "defining": s.defining,
            "flux_jy": s.flux if np.isfinite(s.flux) else None,
            "flux_unresolved_jy": s.flux_unresolved if np.isfinite(s.flux_unresolved) else None,
            "origin": s.origin,
        }
        if self.angle is not None:
            found["angle_deg"] = float(np.degrees(self.angle))
        return found


def find_stations(
    names: Sequence[str] = (),
    *,
    near: str | None = None,
    within: float | None = None,
    catalogue: StationCatalogue | None = None,
) -> list[FoundStation]:
    """Find stations by name and neighbourhood.

    Parameters
    ----------
    names : sequence of str
        Names, codes, aliases or parts of them; all stations without any.
    near : str, optional
        A station; those found are sorted by their distance from it.
    within : float, optional
        Greatest distance from `near`, in a straight line, m.
    catalogue : StationCatalogue, optional
        The package's own by default.

    Raises
    ------
    UnknownNameError
        For a name that is no part of any; the nearest are shown.
    ConfigurationError
        For a distance from nowhere, or none at all.

    Examples
    --------
    >>> [f.station.name for f in find_stations(near="Sh", within=10e3)]
    ['SESHAN25', 'TIANMA65']
    """
    known = catalogue or StationCatalogue.default()
    _check_reach(near, within)
    searched = [s for name in names for s in known.search(name)] if names else list(known)
    stations = {s.name: s for s in searched}.values()
    if near is None:
        return [FoundStation(s) for s in stations]
    place = known.get(near).position
    found = [FoundStation(s, float(np.linalg.norm(s.position - place))) for s in stations]
    reach = np.inf if within is None else within
    return sorted((f for f in found if _at(f.distance) <= reach), key=lambda f: _at(f.distance))


def find_sources(
    names: Sequence[str] = (),
    *,
    near: str | ArrayLike | None = None,
    within: float | None = None,
    min_flux: float = 0.0,
) -> list[FoundSource]:
    """Find sources by name, neighbourhood and flux.

    Parameters
    ----------
    names : sequence of str
        Names or parts of them; all sources without any.
    near : str or array_like, optional
        A source, right ascension and declination as text (see `parse_direction`),
        or a direction as `calibrators_near` takes it; sources are sorted by their
        angle from it.
    within : float, optional
        Greatest angle from `near`, rad.
    min_flux : float
        Lowest unresolved X-band flux, Jy. Where above 0, sources of unknown flux
        are left out.

    Raises
    ------
    UnknownNameError
        For a name that is no part of any; the nearest are shown.
    ConfigurationError
        For an angle from nowhere, or a direction that is none.

    Examples
    --------
    >>> near = find_sources(near="186.5,2.3", within=0.02, min_flux=1.0)
    >>> [f.source.name for f in near]
    ['1226+023']
    """
    _check_reach(near, within)
    wanted = {s.name: s for name in names for s in search_sources(name)}
    if near is None:
        listed = wanted.values() if names else all_sources()
        bright = [s for s in listed if min_flux <= 0.0 or s.flux_unresolved >= min_flux]
        return [FoundSource(s) for s in bright]
    towards = _towards(near) if isinstance(near, str) else near
    reach = np.pi if within is None else within
    around = calibrators_near(towards, reach, min_flux)
    return [FoundSource(s, angle) for s, angle in around if not names or s.name in wanted]


def parse_direction(text: str) -> Floats:
    """Return the unit vector of right ascension and declination, separated by a comma.

    Parameters
    ----------
    text : str
        Degrees, such as ``"265.995,-3.834"``, or hours, minutes and seconds and
        degrees, minutes and seconds, such as ``"17:43:58.9,-03:50:04.6"``; ICRS.

    Raises
    ------
    ConfigurationError
        For anything else, or angles out of range.

    Examples
    --------
    >>> parse_direction("6:00:00,-30") - parse_direction("90,-30")
    array([0., 0., 0.])
    """
    parts = text.split(",")
    angles = [_angle(part.strip(), hours=k == 0) for k, part in enumerate(parts)]
    if len(angles) != 2 or not (0.0 <= angles[0] <= 360.0 and abs(angles[1]) <= 90.0):
        raise ConfigurationError(
            f"{text!r} is no right ascension and declination.",
            next_step='Write degrees, "265.995,-3.834", or "17:43:58.9,-03:50:04.6".',
        )
    return unit_vector(*np.radians(angles))


def sexagesimal(value: float, digits: int, sign: bool = False) -> str:
    """Return hours or degrees with minutes and seconds, rounded.

    Parameters
    ----------
    value : float
        Hours or degrees.
    digits : int
        Decimals of the seconds.
    sign : bool
        Whether a plus is shown.

    Examples
    --------
    >>> sexagesimal(-0.2952, 1), sexagesimal(23.9999999, 2)
    ('-00:17:42.7', '24:00:00.00')
    """
    unit = 10**digits
    total = round(abs(value) * 3600 * unit)
    minutes, seconds = divmod(total, 60 * unit)
    before = "-" if value < 0.0 and total else "+" if sign else ""
    width = digits + 3 if digits else 2
    return f"{before}{minutes // 60:02d}:{minutes % 60:02d}:{seconds / unit:0{width}.{digits}f}"


def _degrees(limits: tuple[float, float] | None) -> list[float] | None:
    return None if limits is None else [float(np.degrees(v)) for v in limits]


def _at(distance: float | None) -> float:
    return np.inf if distance is None else distance


def _check_reach(near: object, within: float | None) -> None:
    if within is None:
        return
    if near is None:
        raise ConfigurationError(
            "a greatest distance was given, but not from where.",
            next_step="Say what it is to be near.",
        )
    if not within >= 0.0:
        raise ConfigurationError(
            f"nothing lies within {within}.", next_step="Give a distance that is not negative."
        )


def _towards(near: str) -> Floats:
    if "," in near:
        return parse_direction(near)
    try:
        return get_source(near).direction
    except UnknownNameError as problem:
        problem.next_step += " A body, an orbit or a session is somewhere at a time only (--at)."
        raise


def _angle(text: str, *, hours: bool) -> float:
    """Return an angle in degrees; NaN where the text is none."""
    parts = _SEXAGESIMAL.fullmatch(text)
    if not parts:
        try:
            return float(text)
        except ValueError:
            return float("nan")
    sign, whole, minutes, seconds = parts.groups(default="0")
    if int(minutes) >= 60 or float(seconds) >= 60.0:
        return float("nan")
    value = int(whole) + int(minutes) / 60.0 + float(seconds) / 3600.0
    return (-value if sign == "-" else value) * (15.0 if hours else 1.0)
