"""Earth orientation parameters: polar motion, UT1 and celestial pole offsets.

Read from the IERS finals2000A file that travels with ``astropy-iers-data``, or
from one that the user names. Values are interpolated in time by a cubic spline
through UT1-TAI, which has no leap seconds.
"""

from __future__ import annotations

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
