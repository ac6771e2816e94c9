"""Reads the parameters of Mars' rotation from TOML: the package's own and those of users."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from kitestring._toml import read_toml
from kitestring.errors import (
    ConfigurationError,
    FormatError,
    UnknownNameError,
)
from kitestring.model.ephemeris import MARS
from kitestring.model.mars_angles import MarsAngles
from kitestring.model.mars_terms import NutationTerm, SeasonalTerm
from kitestring.model.time import DAY, Epoch

_OWN = "mars_rotation_konopliv2016.toml"
_DEG = math.pi / 180.0
_MAS = _DEG / 3.6e6
_YEAR, _CENTURY = 365.25 * DAY, 36525.0 * DAY

# key: field of MarsAngles, unit, whether it must be given
_NUMBERS = {
    "orbit_node_deg": ("orbit_node", _DEG, True),
    "orbit_inclination_deg": ("orbit_inclination", _DEG, True),
    "mean_anomaly_deg": ("anomaly", _DEG, True),
    "mean_anomaly_deg_per_century": ("anomaly_rate", _DEG / _CENTURY, True),
    "psi_deg": ("psi0", _DEG, True),
    "psi_mas_per_year": ("psi_dot", _MAS / _YEAR, True),
    "obliquity_deg": ("I0", _DEG, True),
    "obliquity_mas_per_year": ("I_dot", _MAS / _YEAR, True),
    "phi_deg": ("phi0", _DEG, True),
    "phi_deg_per_day": ("phi_dot", _DEG / DAY, True),
    "phi_mas_per_year2": ("phi_ddot", _MAS / _YEAR**2, False),
    "core_factor": ("core_factor", 1.0, False),
    "core_rate_deg_per_day": ("core_rate", _DEG / DAY, False),
}
_NUTATION = {
    "multiple": ("multiple", 1.0, True),
    "phase_deg": ("phase", _DEG, False),
    "phase_deg_per_century": ("phase_rate", _DEG / _CENTURY, False),
    "obliquity_mas": ("obliquity", _MAS, False),
    "longitude_mas": ("longitude", _MAS, False),
}
_SEASONAL = {
    "multiple": ("multiple", 1.0, True),
    "cos_mas": ("cos", _MAS, False),
    "sin_mas": ("sin", _MAS, False),
}
_SERIES = {
    "spin": "seasons",
    "relativistic_spin": "relativity",
    "pole_x": "pole_x",
    "pole_y": "pole_y",
}
_TEXTS = ("name", "body", "origin", "epoch")


def load_mars_rotation(path: str | Path | None = None) -> MarsAngles:
    """Read the parameters of Mars' rotation from a TOML file.

    The file holds ``origin`` (where its figures come from), ``orbit_node_deg``,
    ``orbit_inclination_deg``, ``mean_anomaly_deg``, ``mean_anomaly_deg_per_century``,
    ``psi_deg``, ``psi_mas_per_year``, ``obliquity_deg``, ``obliquity_mas_per_year``,
    ``phi_deg``, ``phi_deg_per_day``; and may hold ``name``, ``body`` (MARS), ``epoch``
    (TDB, J2000 unless given), ``phi_mas_per_year2`` (twice the quadratic term),
    ``core_factor``, ``core_rate_deg_per_day``; and the lists ``nutation`` of
    ``multiple``, ``phase_deg``, ``phase_deg_per_century``, ``obliquity_mas``,
    ``longitude_mas``, and ``spin``, ``relativistic_spin``, ``pole_x``, ``pole_y`` of
    ``multiple``, ``cos_mas``, ``sin_mas``. What they mean says `MarsAngles`.

    Parameters
    ----------
    path : path, optional
        The file. Without it the package's own: Konopliv et al. 2016.

    Returns
    -------
    MarsAngles
        The rotation; call it with epochs.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it cannot be read or is not TOML, or a key is missing, of the wrong kind or
        not finite.
    UnknownNameError
        For a key that means nothing here.

    Examples
    --------
    >>> load_mars_rotation().name
    'Konopliv et al. 2016'
    """
    file = files("kitestring") / "data" / _OWN if path is None else Path(path)
    step = "Name a TOML file of Mars' rotation; see `load_mars_rotation`."
    _, content = read_toml(file, "file of Mars' rotation", step, FormatError)
    return _rotation(content, file.name)


def _rotation(content: Mapping[str, Any], place: str) -> MarsAngles:
    """Make a rotation of a file's content."""
    known = (*_TEXTS, *_NUMBERS, "nutation", *_SERIES)
    for key in content:
        if key not in known:
            raise UnknownNameError("key of Mars' rotation", key, known, place=place)
    texts = {key: content.get(key, "") for key in _TEXTS}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise FormatError(
                f"{key} = {value!r} is not text.", place=place, next_step=f'Write {key} = "...".'
            )
    if not texts["origin"].strip():
        raise FormatError(
            "does not say where its figures come from.",
            place=place,
            next_step='Add origin = "...".',
        )
    if texts["body"].upper() not in ("", MARS):
        raise FormatError(
            f"body = {texts['body']!r}: only {MARS} is described so.",
            place=place,
            next_step=f'Write body = "{MARS}", or leave it out.',
        )
    given: dict[str, Any] = _numbers(
        {k: v for k, v in content.items() if k in _NUMBERS}, _NUMBERS, place
    )
    nutation = _tables(content, "nutation", _NUTATION, place)
    given["nutation"] = tuple(NutationTerm(**term) for term in nutation)
    for key, name in _SERIES.items():
        terms = _tables(content, key, _SEASONAL, place)
        given[name] = tuple(SeasonalTerm(**term) for term in terms)
    try:
        if texts["epoch"]:
            given["epoch"] = Epoch.from_iso(texts["epoch"], "tdb")
        return MarsAngles(**given, name=texts["name"], origin=texts["origin"].strip())
    except ConfigurationError as problem:
        raise FormatError(problem.message, place=place, next_step=problem.next_step) from None


def _tables(
    content: Mapping[str, Any], key: str, known: Mapping[str, tuple[str, float, bool]], place: str
) -> list[dict[str, float]]:
    """Return the terms of a series, in radians."""
    tables = content.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise FormatError(
            f"{key} is not a list of tables.",
            place=place,
            next_step=f"Write {key} = [{{ multiple = 1, ... }}, ...].",
        )
    found = []
    for n, table in enumerate(tables, 1):
        where = f"{place}: {key} {n}"
        for name in table:
            if name not in known:
                raise UnknownNameError(f"key of {key}", name, known, place=where)
        found.append(_numbers(table, known, where))
    return found


def _numbers(
    table: Mapping[str, Any], known: Mapping[str, tuple[str, float, bool]], place: str
) -> dict[str, float]:
    """Return numbers in SI units and radians by the name of their field."""
    found = {}
    for key, (name, unit, required) in known.items():
        if key not in table:
            if required:
                raise FormatError(
                    f"has no {key}.", place=place, next_step=f"Add {key} = ... to it."
                )
            continue
        value = table[key]
        if type(value) not in (int, float) or not math.isfinite(value):
            raise FormatError(
                f"{key} = {value!r} is not a finite number.",
                place=place,
                next_step=f"Write {key} = 0.0, or what it is.",
            )
        found[name] = value * unit
    return found
