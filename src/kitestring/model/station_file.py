"""Reads stations from TOML files: the package's own catalogue and those of users."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import erfa
import numpy as np
from numpy.typing import NDArray

from kitestring._toml import read_toml
from kitestring.errors import FormatError, KitestringError, UnknownNameError
from kitestring.model.antenna import GRS80, Station
from kitestring.model.structure import Structure
from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]
JULIAN_YEAR = 365.25 * DAY

_KEYS = {
    "name": str,
    "code": str,
    "aliases": list,
    "position_m": list,
    "longitude_deg": float,
    "latitude_deg": float,
    "height_m": float,
    "velocity_m_per_year": list,
    "epoch": str,
    "frame": str,
    "mount": str,
    "axis_offset_m": float,
    "elevation_limit_deg": float,
    "axis1_limits_deg": list,
    "axis2_limits_deg": list,
    "slew_deg_per_s": list,
    "sigma_m": float,
    "approximate": bool,
    "origin": str,
    "structure": dict,
}
_STRUCTURE = {  # key of [station.structure]: attribute of Structure
    "reference_temperature_c": "reference_temperature",
    "foundation_height_m": "foundation",
    "fixed_axis_m": "fixed_axis",
    "vertex_m": "vertex",
    "focus_height_m": "focus_height",
    "focus": "focus",
    "radome": "radome",
    "foundation_expansion_per_k": "foundation_expansion",
    "fixed_axis_expansion_per_k": "fixed_axis_expansion",
    "axis_offset_expansion_per_k": "offset_expansion",
    "vertex_expansion_per_k": "vertex_expansion",
    "focus_expansion_per_k": "focus_expansion",
}
_STRUCTURE_KEYS = dict.fromkeys(_STRUCTURE, float) | {"focus": str, "radome": bool}
_STRUCTURE_NEEDS = tuple(_STRUCTURE)[:5]
_ZERO_CELSIUS = 273.15


def load_stations(path: str | Path) -> tuple[Station, ...]:
    """Read stations from a TOML file.

    Each is a table ``[[station]]`` with ``name`` and either ``position_m`` (X,
    Y, Z) or ``longitude_deg``, ``latitude_deg`` and ``height_m`` (GRS80). All
    else may be left out: ``code``, ``aliases``, ``velocity_m_per_year``,
    ``epoch`` (such as ``"2020-01-01"``), ``frame``, ``mount``,
    ``axis_offset_m``, ``elevation_limit_deg``, ``axis1_limits_deg``,
    ``axis2_limits_deg``, ``slew_deg_per_s``, ``sigma_m``, ``approximate``,
    ``origin``, and a table ``[station.structure]`` with the antenna's dimensions
    (`kitestring.model.structure`): ``reference_temperature_c``,
    ``foundation_height_m``, ``fixed_axis_m``, ``vertex_m``, ``focus_height_m``, and
    where they are not the usual ones ``focus`` (``"primary"``), ``radome`` and the
    expansions ``foundation_``, ``fixed_axis_``, ``axis_offset_``, ``vertex_`` and
    ``focus_expansion_per_k``.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it cannot be read or is not TOML, or a key is unknown, missing or of the wrong kind.
    """
    file = Path(path)
    step = "Name a TOML file of [[station]] tables."
    _, content = read_toml(file, "station file", step, FormatError)
    tables = content.get("station")
    if not isinstance(tables, list) or set(content) != {"station"}:
        raise FormatError(
            f"holds {', '.join(content) or 'nothing'} where [[station]] tables are expected.",
            place=file.name,
            next_step="Begin each station with a line [[station]].",
        )
    return tuple(_station(table, f"{file.name}: station {n}") for n, table in enumerate(tables, 1))


def _station(table: Mapping[str, Any], place: str) -> Station:
    """Make a station of a TOML table."""
    place = f"{place} ({table.get('name', 'no name')})"
    _check_keys(table, _KEYS, "key of a station", place)
    if "name" not in table:
        raise FormatError("has no name.", place=place, next_step='Add name = "...".')
    given: dict[str, Any] = {
        key: table[key]
        for key in ("name", "code", "frame", "mount", "approximate", "origin")
        if key in table
    }
    try:
        given["position"] = _position(table, place)
        if "velocity_m_per_year" in table:
            velocity = _numbers(table, "velocity_m_per_year", 3, place)
            given["velocity"] = np.array(velocity) / JULIAN_YEAR
        if "epoch" in table:
            given["epoch"] = Epoch.from_iso(f"{table['epoch']}T00:00", "tt")
        if "aliases" in table:
            given["aliases"] = tuple(str(a) for a in table["aliases"])
        for key, name in (("axis_offset_m", "axis_offset"), ("sigma_m", "sigma")):
            if key in table:
                given[name] = float(table[key])
        if "elevation_limit_deg" in table:
            given["elevation_limit"] = float(np.radians(table["elevation_limit_deg"]))
        for key, name in (
            ("axis1_limits_deg", "axis1_limits"),
            ("axis2_limits_deg", "axis2_limits"),
            ("slew_deg_per_s", "slew"),
        ):
            if key in table:
                first, second = np.radians(_numbers(table, key, 2, place)).tolist()
                given[name] = (first, second)
        if "structure" in table:
            given["structure"] = _structure(table["structure"], f"{place}, structure")
        return Station(**given)
    except FormatError:
        raise
    except KitestringError as problem:
        raise FormatError(problem.message, place=place, next_step=problem.next_step) from None


def _check_keys(table: Mapping[str, Any], keys: Mapping[str, type], kind: str, place: str) -> None:
    """Refuse keys that do not exist, and values of another type."""
    for key, value in table.items():
        if key not in keys:
            raise UnknownNameError(kind, key, keys, place=place)
        wanted = keys[key]
        number = wanted is float and isinstance(value, int) and not isinstance(value, bool)
        if not (isinstance(value, wanted) or number):
            raise FormatError(
                f"{key} = {value!r} is not a {wanted.__name__}.",
                place=place,
                next_step="See `load_stations` for an example of each key.",
            )


def _structure(table: Mapping[str, Any], place: str) -> Structure:
    """Make an antenna's structure of its TOML table."""
    _check_keys(table, _STRUCTURE_KEYS, "key of a structure", place)
    missing = [key for key in _STRUCTURE_NEEDS if key not in table]
    if missing:
        raise FormatError(
            f"has no {' and no '.join(missing)}.",
            place=place,
            next_step="Give all dimensions, or leave the structure out.",
        )
    given = {_STRUCTURE[key]: value for key, value in table.items()}
    given["reference_temperature"] += _ZERO_CELSIUS
    try:
        return Structure(**given)
    except KitestringError as problem:
        raise FormatError(problem.message, place=place, next_step=problem.next_step) from None


def structure_table(structure: Structure) -> dict[str, float | str | bool]:
    """Return an antenna's structure by the keys of ``[station.structure]``.

    Parameters
    ----------
    structure : Structure
        Of a station.
    """
    table = {key: getattr(structure, name) for key, name in _STRUCTURE.items()}
    table["reference_temperature_c"] = round(structure.reference_temperature - _ZERO_CELSIUS, 6)
    return table


def _numbers(table: Mapping[str, Any], key: str, count: int, place: str) -> list[float]:
    value = cast(list[Any], table[key])
    if len(value) != count or not all(type(v) in (int, float) for v in value):
        raise FormatError(
            f"{key} = {value!r} is not a list of {count} numbers.",
            place=place,
            next_step=f"Write {key} = [{', '.join(['0.0'] * count)}].",
        )
    return [float(v) for v in value]


def _position(table: Mapping[str, Any], place: str) -> Floats:
    angles = ("longitude_deg", "latitude_deg", "height_m")
    if "position_m" in table and not any(k in table for k in angles):
        return np.array(_numbers(table, "position_m", 3, place))
    if "position_m" not in table and all(k in table for k in angles):
        longitude, latitude, height = (float(table[k]) for k in angles)
        if abs(latitude) > 90.0 or abs(longitude) > 360.0:
            raise FormatError(
                f"latitude {latitude}, longitude {longitude} is nowhere on the Earth.",
                place=place,
                next_step="Give degrees, north and east positive.",
            )
        xyz = erfa.gd2gc(GRS80, np.radians(longitude), np.radians(latitude), height)
        return np.asarray(xyz, dtype=np.float64)
    raise FormatError(
        "its place is not given, or given twice.",
        place=place,
        next_step=f"Give position_m = [X, Y, Z], or all of {', '.join(angles)}.",
    )
