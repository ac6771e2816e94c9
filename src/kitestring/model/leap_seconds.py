"""TAI-UTC: the leap seconds that were announced, and how long the announcement holds.

The table travels with ``astropy-iers-data``; where that package cannot be updated, a
newer one can be named: by `use_leap_seconds`, or by the environment variable
``KITESTRING_LEAP_SECONDS`` for programs that are run from a command line.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError, MissingDataError, StaleDataWarning

VARIABLE = "KITESTRING_LEAP_SECONDS"
"""Environment variable that may name a file of leap seconds."""

_MJD_ZERO = dt.date(1858, 11, 17)
_NTP_ZERO_MJD = 15020  # 1900-01-01, from which NTP counts seconds
_DAY = 86400
_EXPIRES = re.compile(r"File expires on (\d{1,2}) (\w+) (\d{4})", re.IGNORECASE)
_FIRST = (41317, 10)  # 1972-01-01: before that UTC was kept by rates


@dataclass(frozen=True, eq=False)
class LeapSeconds:
    """A table of leap seconds.

    Attributes
    ----------
    day : ndarray of int64, shape (n,)
        UTC days (MJD) from which each value holds, the first 1972-01-01.
    value : ndarray, shape (n,)
        TAI-UTC, s.
    expires : int
        Day (MJD) until which no other leap second comes.
    origin : str
        File that they were read from.
    """

    day: NDArray[np.int64]
    value: NDArray[np.float64]
    expires: int
    origin: str


class _Current:
    """The table in use; leap seconds are one for all."""

    table: LeapSeconds | None = None
    told = False


def read_leap_seconds(path: str | Path) -> LeapSeconds:
    """Read the IERS' ``Leap_Second.dat`` or the IETF's ``leap-seconds.list``.

    Parameters
    ----------
    path : path
        The file; its content says which it is.

    Raises
    ------
    MissingDataError
        Where it cannot be read.
    FormatError
        Where it is neither, its values do not rise by single seconds from 1972 on,
        or it does not say when it expires.

    Examples
    --------
    >>> from astropy_iers_data import IERS_LEAP_SECOND_FILE
    >>> table = read_leap_seconds(IERS_LEAP_SECOND_FILE)
    >>> int(table.day[-1]), float(table.value[-1])
    (57754, 37.0)
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise MissingDataError(
            f"cannot be read ({problem}).",
            place=str(path),
            next_step="Name the IERS' Leap_Second.dat or a leap-seconds.list.",
        ) from None
    rows, expires = [], None
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if line.startswith("#@"):  # IETF: seconds of NTP
            expires = _number(line[2:].split(), 0, file, number) // _DAY + _NTP_ZERO_MJD
        elif found := _EXPIRES.search(line):
            expires = _date(" ".join(found.groups()), file, number)
        elif len(words) == 5:  # IERS: MJD, day, month, year, TAI-UTC
            rows.append((_number(words, 0, file, number), _number(words, 4, file, number)))
        elif len(words) == 2:
            day, rest = divmod(_number(words, 0, file, number), _DAY)
            if rest:
                raise _wrong(file, number, "a leap second that is not at midnight")
            rows.append((day + _NTP_ZERO_MJD, _number(words, 1, file, number)))
        elif words:
            raise _wrong(file, number, "neither a leap second nor a comment")
    if rows[:1] != [_FIRST] or any(
        b[0] <= a[0] or abs(b[1] - a[1]) != 1 for a, b in pairwise(rows)
    ):
        raise FormatError(
            "its leap seconds do not follow each other from 10 s in 1972 on.",
            place=file.name,
            next_step="Fetch the whole file again.",
        )
    if expires is None:
        raise FormatError(
            "it does not say when it expires.",
            place=file.name,
            next_step="Fetch the whole file again, with its comments.",
        )
    day, value = np.array(rows, dtype=np.int64).T
    return LeapSeconds(day, value.astype(np.float64), expires, file.name)


def use_leap_seconds(path: str | Path | None) -> None:
    """Take the leap seconds of a file from now on, everywhere; the first ones again with None.

    Raises
    ------
    MissingDataError, FormatError
        As `read_leap_seconds`.
    """
    _Current.table = None if path is None else read_leap_seconds(path)
    _Current.told = False


def leap_seconds() -> LeapSeconds:
    """Return the table in use."""
    if _Current.table is None:
        from astropy_iers_data import IERS_LEAP_SECOND_FILE

        named = os.environ.get(VARIABLE)
        _Current.table = read_leap_seconds(named or IERS_LEAP_SECOND_FILE)
    return _Current.table


def tell_if_stale(table: LeapSeconds, last: int) -> None:
    """Warn, once, where a day (MJD) is asked for that an expired table does not know.

    Days to come are no reason: of these nobody knows.
    """
    today = (dt.datetime.now(dt.UTC).date() - _MJD_ZERO).days
    if last <= table.expires or today <= table.expires or _Current.told:
        return
    _Current.told = True
    until = (_MJD_ZERO + dt.timedelta(table.expires)).isoformat()
    warnings.warn(
        f"{table.origin}: leap seconds after {until} are not known; UTC may be off by a second. "
        "Update the package astropy-iers-data, or name a newer file to use_leap_seconds.",
        StaleDataWarning,
        stacklevel=3,
    )


def _number(words: list[str], index: int, file: Path, number: int) -> int:
    try:
        value = float(words[index])
    except (ValueError, IndexError):
        raise _wrong(file, number, "no leap second") from None
    if value != int(value):
        raise _wrong(file, number, "no whole number of days or seconds")
    return int(value)


def _date(text: str, file: Path, number: int) -> int:
    try:
        day = dt.datetime.strptime(text, "%d %B %Y").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise _wrong(file, number, "no date") from None
    return (day - _MJD_ZERO).days


def _wrong(file: Path, number: int, what: str) -> FormatError:
    return FormatError(
        f"there is {what}.", place=f"{file.name}:{number}", next_step="Fetch the file again."
    )
