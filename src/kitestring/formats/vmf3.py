"""Reads site-wise files of VMF3 of TU Wien's VMF data server, with or without gradients.

One line for each site and epoch, in any order, columns apart by blanks; lines that
begin with ``#``, ``!`` or ``%`` are comments. VMF3 files (``.vmf3_r``, VLBI; ``_g``,
GNSS) have: site, MJD (UT), a hydrostatic and a wet, zenith delay hydrostatic and wet
(m), then pressure (hPa), temperature (degrees C) and vapour pressure (hPa) at the
site. V3GR files (``.v3gr_r``) have besides the gradients hydrostatic north and
east, wet north and east (mm). Landskron & Boehm (2018); the server's "products" page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kitestring.errors import FormatError, MissingDataError
from kitestring.formats._text import numbers, read_lines
from kitestring.model.constants import C
from kitestring.model.site_troposphere import SiteTable, SiteTroposphere
from kitestring.model.time import Epoch

__all__ = ["read_vmf3"]

_COLUMNS = (9, 13)  # without and with gradients
# column: name, least and most that the Earth's air has
_RANGES = (
    (2, "a hydrostatic", 8e-4, 2e-3),
    (3, "a wet", 1e-5, 3e-3),
    (4, "zenith hydrostatic delay in m", 0.8, 2.6),
    (5, "zenith wet delay in m", 0.0, 0.8),
)
_MOST_GRADIENT = 20.0  # mm


def read_vmf3(
    paths: str | Path | Sequence[str | Path], sites: Sequence[str] | None = None
) -> SiteTable:
    """Read one file, or several that follow each other.

    The server's daily files end at 18 h: a whole day needs the next one's too.

    Parameters
    ----------
    paths : path or sequence of paths
        Plain or gzipped.
    sites : sequence of str, optional
        Which sites to keep; all by default.

    Returns
    -------
    SiteTable
        For `kitestring.model.troposphere.Troposphere`.

    Raises
    ------
    MissingDataError
        Where a file does not exist, or a site that is wanted is in none.
    FormatError
        Where a line is not what the format says, or a site has one epoch twice with
        other values; with file and line.
    """
    files = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    wanted = None if sites is None else {site.upper() for site in sites}
    rows: dict[str, dict[float, tuple[float, ...]]] = {}
    for file in files:
        for number, line in enumerate(read_lines(file, "a VMF3 file of sites"), 1):
            if line[:1] in "#!%" or not line.strip():  # an empty line as well
                continue
            where = f"{file.name}:{number}"
            name, mjd, values = _row(line.split(), where)
            if wanted is not None and name not in wanted:
                continue
            first = rows.setdefault(name, {}).setdefault(mjd, values)
            if first != values:
                raise FormatError(
                    f"{name} has MJD {mjd:.2f} twice, with other values.",
                    place=where,
                    next_step="Keep one of the two.",
                )
    origin = ", ".join(file.name for file in files)
    absent = sorted((wanted or set()) - set(rows))
    if absent or not rows:
        raise MissingDataError(
            f"has nothing of {', '.join(absent)}." if absent else "holds no site.",
            place=origin,
            next_step="Name a site-wise file of VMF3 that has it, spelt as there.",
        )
    return SiteTable((_site(name, found, origin) for name, found in rows.items()), origin)


def _row(words: list[str], where: str) -> tuple[str, float, tuple[float, ...]]:
    """Return a line's site, MJD, and its values in SI."""
    if len(words) not in _COLUMNS:
        raise FormatError(
            f"has {len(words)} columns.",
            place=where,
            next_step=f"A line of VMF3 has {_COLUMNS[0]}, of V3GR {_COLUMNS[1]}; "
            "VMF1 and grids are other formats.",
        )
    values = [0.0, *numbers(words[1:], where, "numbers after the site's name")]
    for column, name, low, high in _RANGES:
        if not low <= values[column] <= high:
            raise FormatError(
                f"{name} is {values[column]:g}, not within {low:g} to {high:g}.",
                place=where,
                next_step="The columns may be another format's.",
            )
    gradients = values[9:]
    if any(abs(gradient) > _MOST_GRADIENT for gradient in gradients):
        raise FormatError(
            f"a gradient exceeds {_MOST_GRADIENT:g} mm.",
            place=where,
            next_step="Columns 10 to 13 hold north and east, hydrostatic and wet, in mm.",
        )
    if not 40000.0 < values[1] < 90000.0:
        raise FormatError(f"{values[1]:g} is no MJD.", place=where, next_step="Give MJD, UT.")
    delays = (values[4] / C, values[5] / C)
    return (
        words[0].upper(),
        values[1],
        (values[2], values[3], *delays, *(1e-3 * gradient / C for gradient in gradients)),
    )


def _site(name: str, found: dict[float, tuple[float, ...]], origin: str) -> SiteTroposphere:
    mjd = sorted(found)
    if len({len(found[m]) for m in mjd}) > 1:
        raise FormatError(
            f"{name} has gradients at some epochs only.",
            place=origin,
            next_step="Read files of one kind together.",
        )
    return SiteTroposphere(name, Epoch.from_mjd(np.array(mjd)), np.array([found[m] for m in mjd]))
