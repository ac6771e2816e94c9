"""Reads ocean loading coefficients in the BLQ format of H.-G. Scherneck's and M. Bos' service.

Lines that begin with ``$$`` are comments. A site is a line with its name and six
lines of 11 numbers: amplitudes (m) radial, tangential east-west (west positive)
and north-south (south positive), then their Greenwich phase lags (degrees);
columns are M2 S2 N2 K2 K1 O1 P1 Q1 MF MM SSA.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError
from kitestring.formats._text import read_lines
from kitestring.model.ocean_loading import TIDES, OceanLoading, OceanLoadingTable

Floats = NDArray[np.float64]

__all__ = ["read_blq"]

_ROWS = 6
_MOST_AMPLITUDE = 1.0  # m; the largest on Earth is 6 cm: more than this is another unit
_PLACE = re.compile(r"lon/lat:\s*(?P<longitude>\S+)\s+(?P<latitude>\S+)")


def read_blq(path: str | Path) -> OceanLoadingTable:
    """Read a BLQ file, plain or gzipped.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    MissingDataError
        Where the file does not exist.
    FormatError
        Where a line is not what the format says, a site has two sets of values, or there
        are none; with file and line.
    """
    file = Path(path)
    lines = read_lines(file, "a BLQ file of an ocean loading service")
    sites: dict[str, OceanLoading] = {}
    name, named, rows = "", 0, list[Floats]()
    place: tuple[float, float] | None = None
    for number, line in enumerate(lines, 1):
        where = f"{file.name}:{number}"
        if line.startswith("$$"):
            found = _PLACE.search(line)
            place = _degrees(found, where) if found else place
        elif not name:
            name, named, place = line.strip(), number, None
        elif line.strip():
            rows.append(_row(line, where, amplitude=len(rows) < _ROWS // 2))
        if len(rows) == _ROWS:
            values = np.array(rows)
            longitude, latitude = place or (None, None)
            site = OceanLoading(name, values[:3], np.radians(values[3:]), longitude, latitude)
            first = sites.setdefault(name.upper(), site)
            same = np.array_equal(first.amplitude, site.amplitude)
            if not (same and np.array_equal(first.phase, site.phase)):  # real files repeat sites
                raise FormatError(
                    f"{name} is there twice, with other values.",
                    place=f"{file.name}:{named}",
                    next_step="Keep one of the two.",
                )
            name, rows = "", []
    if name:
        raise FormatError(
            f"{name} has {len(rows)} of {_ROWS} rows.",
            place=f"{file.name}:{named}",
            next_step="Fetch the file again; it may be cut.",
        )
    if not sites:
        raise FormatError(
            "holds no site.",
            place=file.name,
            next_step="Name a BLQ file: for each site its name and six rows of 11 numbers.",
        )
    return OceanLoadingTable(list(sites.values()), file.name)


def _degrees(found: re.Match[str], where: str) -> tuple[float, float]:
    try:
        longitude, latitude = float(found["longitude"]), float(found["latitude"])
    except ValueError:
        longitude = latitude = np.nan
    if not (abs(longitude) <= 360.0 and abs(latitude) <= 90.0):
        raise FormatError(
            f"{found[0]!r} is no place on Earth.",
            place=where,
            next_step="Give longitude and latitude in degrees.",
        )
    return float(np.radians(longitude)), float(np.radians(latitude))


def _row(line: str, where: str, *, amplitude: bool) -> Floats:
    """Return the numbers of a row, m or degrees."""
    try:
        values = np.array([float(word) for word in line.split()])
    except ValueError:
        values = np.zeros(0)
    what = "amplitudes in metres" if amplitude else "phases in degrees"
    if values.shape != (len(TIDES),) or not np.all(np.isfinite(values)):
        raise FormatError(
            f"is not a row of {len(TIDES)} {what}.",
            place=where,
            next_step=f"Give {' '.join(TIDES)}.",
        )
    most = _MOST_AMPLITUDE if amplitude else 360.0
    if np.abs(values).max() > most or (amplitude and values.min() < 0.0):
        raise FormatError(
            f"holds a value that is none of {what}.",
            place=where,
            next_step=f"Expected are 0 to {most:g}." if amplitude else "Expected are -360 to 360.",
        )
    return values
