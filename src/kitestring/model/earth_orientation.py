"""Earth orientation parameters: polar motion, UT1 and celestial pole offsets.

Read from the IERS finals2000A file that travels with ``astropy-iers-data``, or
from a finals2000A or C04 file that the user names. Values are interpolated in
time by a cubic spline through UT1-TAI, which has no leap seconds.
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from kitestring.errors import FormatError, MissingDataError, SpanError, StaleDataWarning
from kitestring.model.time import DAY, TT_MINUS_TAI, Epoch, tai_minus_utc

Floats = NDArray[np.float64]
ARCSECOND = np.pi / 648000.0

_FIRST_LEAP_SECONDS = 41317  # 1972-01-01
_MJD_ZERO_ORDINAL = 678576  # datetime's count of 1858-11-17
_LONGEST_HEADER = 40  # lines
_LARGEST_OFFSET = 30.0  # mas; in 1973 20 to IAU 2006/2000A, now below 1; to IAU 1980 above 100
# first line of finals2000A: date, MJD, and whether the pole is measured or predicted
_FINALS_LINE = r"[ \d]{6} \d{5}\.\d\d [IP ]"
# where MJD, x, y, UT1-UTC, dX, dY stand in lines of so many columns: 20 C04, 14 C04
_C04_COLUMNS = {21: (4, 5, 6, 7, 8, 9), 16: (3, 4, 5, 6, 8, 9)}


@dataclass(frozen=True)
class EarthOrientation:
    """Earth orientation parameters at some epochs.

    Attributes
    ----------
    xp, yp : ndarray, shape (...)
        Polar motion, rad.
    ut1_minus_tai : ndarray, shape (...)
        Seconds.
    dx, dy : ndarray, shape (...)
        Celestial pole offsets to IAU 2006/2000A, rad.
    """

    xp: Floats
    yp: Floats
    ut1_minus_tai: Floats
    dx: Floats
    dy: Floats


class EarthOrientationTable:
    """A daily series of Earth orientation parameters.

    Parameters
    ----------
    day : ndarray of int64, shape (n,)
        UTC days (MJD); values hold at their 0 h.
    values : ndarray, shape (n, 5)
        xp, yp (rad), UT1-TAI (s), dX, dY (rad).
    measured_until : int
        Last day that was measured; later ones are predictions.
    origin : str
        File that they were read from.
    """

    def __init__(
        self, day: NDArray[np.int64], values: Floats, measured_until: int, origin: str
    ) -> None:
        self.day = day
        self.measured_until = measured_until
        self.origin = origin
        # the knots are 0 h UTC; the spline runs in TT, where a leap second is no jump
        self._zero = int(day[0])
        knots = (day - self._zero) * DAY + tai_minus_utc(day) + TT_MINUS_TAI
        self._spline = CubicSpline(knots, values)

    @staticmethod
    @cache
    def default() -> EarthOrientationTable:
        """Return the table that travels with the installation (``astropy-iers-data``)."""
        import astropy_iers_data

        return read_finals2000a(Path(astropy_iers_data.IERS_A_FILE))

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """First and last epoch of the table, UTC."""
        midnight = np.zeros(2)
        epochs = Epoch("utc", self.day[[0, -1]], midnight)
        return epochs[0], epochs[1]

    def at(self, epoch: Epoch) -> EarthOrientation:
        """Return the parameters at each epoch.

        Warns
        -----
        StaleDataWarning
            Where predictions are used, with the date that was measured to.

        Raises
        ------
        SpanError
            For an epoch outside the table.
        """
        tt = epoch.to("tt")
        utc_day = epoch.to("utc").day
        if np.any((utc_day < self.day[0]) | (utc_day >= self.day[-1])):
            first, last = (e.iso(0) for e in self.span)
            raise SpanError(
                f"Earth orientation covers {first} to {last}, not "
                f"{epoch.first().iso(0)} to {epoch.last().iso(0)}.",
                place=self.origin,
                next_step="Update the package astropy-iers-data or name a newer finals2000A file.",
            )
        if np.any(utc_day > self.measured_until):
            measured = Epoch.from_mjd(float(self.measured_until)).iso(0)[:10]
            warnings.warn(
                f"{self.origin}: Earth orientation after {measured} is a prediction.",
                StaleDataWarning,
                stacklevel=2,
            )
        values = self._spline((tt.day - self._zero) * DAY + tt.second)
        return EarthOrientation(*np.moveaxis(values, -1, 0))


def read_finals2000a(path: str | Path) -> EarthOrientationTable:
    """Read an IERS ``finals2000A`` file (final Bulletin B values where there are any).

    Parameters
    ----------
    path : path
        The file, fixed columns as in IERS' readme.finals2000A.

    Raises
    ------
    MissingDataError
        Where the file does not exist.
    FormatError
        Where a line cannot be read, or days are not consecutive.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as problem:
        raise MissingDataError(
            f"cannot be read ({problem.strerror}).",
            place=str(path),
            next_step="Name a finals2000A file of the IERS.",
        ) from None
    days: list[int] = []
    rows: list[list[float]] = []
    measured_until = 0
    for number, line in enumerate(lines, 1):
        if len(line) < 68 or not line[58:68].strip():
            continue  # dates without values end the file
        try:
            mjd, row, measured = _finals_row(line)
        except ValueError:
            raise FormatError(
                "is not a line of finals2000A.",
                place=f"{file.name}:{number}",
                next_step="Fetch the file again; it may be cut or of another format.",
            ) from None
        if days and mjd != days[-1] + 1:
            raise FormatError(
                f"day {mjd} follows day {days[-1]}.",
                place=f"{file.name}:{number}",
                next_step="Fetch the file again; days must be consecutive.",
            )
        days.append(mjd)
        rows.append(row)
        measured_until = mjd if measured else measured_until
    if len(days) < 4:
        raise FormatError(
            f"holds {len(days)} days of Earth orientation; 4 or more are needed.",
            place=file.name,
            next_step="Name a finals2000A file of the IERS.",
        )
    values = np.array(rows)
    day = np.array(days, dtype=np.int64)
    values[:, 2] -= tai_minus_utc(day)
    return EarthOrientationTable(day, values, measured_until, file.name)


def _finals_row(line: str) -> tuple[int, list[float], bool]:
    """Return MJD, (xp, yp, UT1-UTC, dX, dY) and whether the day was measured."""

    def number(first: int, last: int) -> float | None:
        text = line[first - 1 : last].strip()
        return float(text) if text else None

    mjd = float(line[7:15])
    rapid = [number(19, 27), number(38, 46), number(59, 68), number(98, 106), number(117, 125)]
    final = [number(135, 144), number(145, 154), number(155, 165)]
    final += [number(166, 175), number(176, 185)]
    chosen = [f if f is not None else r for f, r in zip(final, rapid, strict=True)]
    if mjd != int(mjd) or chosen[0] is None or chosen[1] is None or chosen[2] is None:
        raise ValueError
    milli = 1e-3 * ARCSECOND
    offsets = [milli * (v or 0.0) for v in chosen[3:]]  # not predicted far ahead: small
    row = [chosen[0] * ARCSECOND, chosen[1] * ARCSECOND, chosen[2], *offsets]
    return int(mjd), row, line[57] == "I"


def read_c04(path: str | Path) -> EarthOrientationTable:
    """Read an IERS ``C04`` series: 20 C04 as it is today, or the older layout of 14 C04.

    The layout is recognised by the columns: 21 (with hour and pole rates) or 16.
    The series must be that of the celestial pole offsets dX and dY, at 0 h UTC. Its
    days before 1972 are left out: UTC had no leap seconds then. All of it is
    measured; it holds no predictions.

    Parameters
    ----------
    path : path
        The file, as the header of the series describes it.

    Raises
    ------
    MissingDataError
        Where the file does not exist.
    FormatError
        Where a line cannot be read, days are not consecutive, the pole offsets are
        those to IAU 1980 (dPsi, dEps), or the series is that of 12 h.
    """
    file = Path(path)
    lines = _orientation_lines(file)
    first = next((k for k, line in enumerate(lines) if _is_year(line)), len(lines))
    _check_c04_header(" ".join(lines[:first]).upper(), f"{file.name}:{max(first, 1)}")
    days: list[int] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip() or line.startswith("#"):
            continue
        place = f"{file.name}:{number}"
        try:
            mjd, row = _c04_row(line.split())
        except ValueError as problem:
            raise FormatError(
                f"is not a line of C04 ({problem}).",
                place=place,
                next_step="Fetch the file again; it may be cut or of another format.",
            ) from None
        if mjd != int(mjd):
            raise FormatError(
                f"day {mjd} is not 0 h UTC.",
                place=place,
                next_step="Name the series that is sampled at 0 h, such as eopc04.1962-now.",
            )
        if days and mjd != days[-1] + 1:
            raise FormatError(
                f"day {mjd:.0f} follows day {days[-1]}.",
                place=place,
                next_step="Fetch the file again; days must be consecutive.",
            )
        days.append(int(mjd))
        rows.append(row)
    day = np.array(days, dtype=np.int64)
    kept = day >= _FIRST_LEAP_SECONDS
    if np.sum(kept) < 4:
        raise FormatError(
            f"holds {np.sum(kept)} days of Earth orientation since 1972; 4 or more are needed.",
            place=file.name,
            next_step="Name a C04 file of the IERS.",
        )
    day, values = day[kept], np.array(rows)[kept]
    values[:, 2] -= tai_minus_utc(day)
    return EarthOrientationTable(day, values, int(day[-1]), file.name)


def read_earth_orientation(path: str | Path) -> EarthOrientationTable:
    """Read a file of Earth orientation, finals2000A or C04, recognised by its content.

    Parameters
    ----------
    path : path
        See `read_finals2000a` and `read_c04`.

    Raises
    ------
    MissingDataError
        Where the file does not exist.
    FormatError
        Where it is neither, cannot be read, or holds pole offsets too large for
        IAU 2006/2000A (those of ``finals.all`` are to IAU 1980).
    """
    file = Path(path)
    lines = _orientation_lines(file)
    shown = next((k for k, line in enumerate(lines) if line.strip()), 0)
    if lines and re.match(_FINALS_LINE, lines[shown]):
        table = read_finals2000a(file)
    elif any(_is_year(line) or "C04" in line for line in lines[:_LONGEST_HEADER]):
        table = read_c04(file)
    else:
        raise FormatError(
            "is no file of Earth orientation that is known.",
            place=f"{file.name}:{shown + 1}",
            next_step="Name a finals2000A or C04 file of the IERS.",
        )
    day = np.clip(table.measured_until - 1, table.day[0], table.day[-2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StaleDataWarning)  # told where the table is used
        last = table.at(Epoch("utc", np.array([day]), np.zeros(1)))
    offset = float(np.hypot(last.dx, last.dy)[0]) / (1e-3 * ARCSECOND)
    if offset > _LARGEST_OFFSET:
        raise FormatError(
            f"its pole offsets reach {offset:.0f} mas: they are not those to IAU 2006/2000A.",
            place=file.name,
            next_step="Name the file of dX and dY: finals2000A or C04, not those of IAU 1980.",
        )
    return table


def _orientation_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as problem:
        raise MissingDataError(
            f"cannot be read ({problem.strerror}).",
            place=str(file),
            next_step="Name a finals2000A or C04 file of the IERS.",
        ) from None


def _is_year(line: str) -> bool:
    """Tell whether a line begins with a year, as data of C04 do and its header does not."""
    return re.match(r"\s*(19|20)\d\d\s", line) is not None


def _check_c04_header(header: str, place: str) -> None:
    """See that a series of C04 is that of dX and dY: values alone do not always tell."""
    if " DX" in header:
        return
    found = "those to IAU 1980 (dPsi, dEps)" if "DPSI" in header else "not named by its header"
    raise FormatError(
        f"its celestial pole offsets are {found}; dX and dY are needed.",
        place=place,
        next_step="Name the C04 series of IAU 2000 with its header, such as eopc04.1962-now.",
    )


def _c04_row(fields: list[str]) -> tuple[float, list[float]]:
    """Return MJD and (xp, yp, UT1-UTC, dX, dY) of a line in either layout of C04."""
    if len(fields) not in _C04_COLUMNS:
        raise ValueError(f"{len(fields)} columns, not {' or '.join(map(str, _C04_COLUMNS))}")
    where = _C04_COLUMNS[len(fields)]
    mjd, x, y, ut1, dx, dy = (float(fields[k]) for k in where)
    date = dt.date(*(int(part) for part in fields[:3]))
    if date.toordinal() - _MJD_ZERO_ORDINAL != np.floor(mjd):
        raise ValueError(f"MJD {mjd:g} is not {date}")
    if not (abs(x) < 1.0 and abs(y) < 1.0 and abs(ut1) <= 1.0 and np.isfinite([dx, dy]).all()):
        raise ValueError(f"x {x}, y {y} arcsec, UT1-UTC {ut1} s")
    return mjd, [x * ARCSECOND, y * ARCSECOND, ut1, dx * ARCSECOND, dy * ARCSECOND]
