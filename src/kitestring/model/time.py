"""Epochs as two numbers, and the time scales UTC, TAI, TT, TDB and UT1.

A double that holds seconds since J2000 is good to 0.1 microsecond only. An
`Epoch` is an integer day (MJD) and the second of that day, good to 15 ps
everywhere (0.3 micrometre of a spacecraft's range rate), to the end.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from kitestring.errors import ConfigurationError
from kitestring.model.leap_seconds import leap_seconds, tell_if_stale

if TYPE_CHECKING:
    from astropy.time import Time

Scale = Literal["utc", "tai", "tt", "tdb", "ut1"]
SCALES: tuple[Scale, ...] = ("utc", "tai", "tt", "tdb")  # that convert into each other
_UT1: Scale = "ut1"

DAY = 86400.0
MJD_ZERO_JD = 2400000.5
MJD_J2000 = 51544  # 2000-01-01; J2000.0 is its noon
TT_MINUS_TAI = 32.184  # s, exact (IAU 1991)
EPOCH_QUANTUM = 2e-11  # s: a day's second in a double is good to 15 ps

_TDB_NODES_PER_DAY = 8  # spline error 2e-15 s: the shortest periods are days
_TDB_BLOCK = 16  # days of a spline
_TDB_MARGIN = 2  # days; so that the ends of a spline lie outside its block
_TDB_EPOCHS_PER_BLOCK = 16  # with fewer the series itself serves

Floats = NDArray[np.float64]
Days = NDArray[np.int64]


def _leap_table() -> tuple[Days, Floats]:
    """Return the days (MJD) from which each TAI-UTC holds, and its values in seconds."""
    table = leap_seconds()
    return table.day, table.value


def tai_minus_utc(day: ArrayLike) -> Floats:
    """Return TAI-UTC in seconds on UTC days.

    Parameters
    ----------
    day : array_like of int
        Days, MJD.

    Raises
    ------
    ConfigurationError
        For days before 1972, when UTC was not kept by leap seconds.
    """
    days, values = _leap_table()
    asked = np.asarray(day, dtype=np.int64)
    if np.any(asked > leap_seconds().expires):
        tell_if_stale(leap_seconds(), int(asked.max()))
    index = np.searchsorted(days, asked, side="right") - 1
    if np.any(index < 0):
        raise ConfigurationError(
            "UTC before 1972-01-01 has no leap seconds and is not supported.",
            next_step="Give the epoch in TT or TDB.",
        )
    return values[index]


def tai_minus_near_ut1(tai: Epoch) -> Floats:
    """Return TAI less a time that keeps within a second of UT1, s, without any step.

    A line from leap second to leap second: for series of tides, which splines
    have to follow over leap seconds.

    Parameters
    ----------
    tai : Epoch, shape (...)
        TAI.
    """
    days, values = _leap_table()
    middle = 0.5 * (values[1:] + values[:-1])
    return np.interp(tai.mjd(), days[1:], middle)


@dataclass(frozen=True, eq=False)
class Epoch:
    """One or many instants in one time scale.

    Attributes
    ----------
    scale : {"utc", "tai", "tt", "tdb", "ut1"}
        Time scale. UT1 is made and read by `EarthModel.ut1` and `EarthModel.from_ut1`
        alone: it follows from the Earth's orientation.
    day : ndarray of int64, shape () or (n,)
        Modified Julian day of the scale.
    second : ndarray of float64, same shape
        Second of that day, 0 <= second < 86400 (86401 on a UTC day that ends
        with a leap second).

    Examples
    --------
    >>> epoch = Epoch.from_iso("2026-01-01T00:00:00")
    >>> epoch.to("tt").iso(3)
    '2026-01-01T00:01:09.184'
    """

    scale: Scale
    day: Days
    second: Floats

    def __post_init__(self) -> None:
        if self.scale not in (*SCALES, _UT1):
            raise ConfigurationError(
                f"{self.scale!r} is not a time scale.", next_step=f"Use one of {SCALES}."
            )
        day, second = np.broadcast_arrays(
            np.asarray(self.day, dtype=np.int64), np.asarray(self.second, dtype=np.float64)
        )
        object.__setattr__(self, "day", day)
        object.__setattr__(self, "second", second)

    # -- making ------------------------------------------------------------

    @classmethod
    def normalised(cls, scale: Scale, day: ArrayLike, second: ArrayLike) -> Epoch:
        """Make an epoch from a day and any number of seconds after its start.

        For UTC the seconds are elapsed (SI) seconds: they are carried over day
        boundaries through TAI, so that leap seconds are counted.

        Raises
        ------
        ConfigurationError
            For seconds that are not finite.
        """
        days = np.asarray(day, dtype=np.int64)
        seconds = _finite(second)
        if scale == "utc":
            return cls.normalised("tai", days, seconds + tai_minus_utc(days)).to("utc")
        carry = np.floor(seconds / DAY)
        rest = seconds - carry * DAY
        # a tiny negative number rounds up to a whole day, or is lost in the division
        full = rest >= DAY
        carry, rest = carry + full, np.where(full, 0.0, np.maximum(rest, 0.0))
        return cls(scale, days + carry.astype(np.int64), rest)

    @classmethod
    def from_iso(cls, text: str | Sequence[str], scale: Scale = "utc") -> Epoch:
        """Read ISO 8601 calendar or ordinal dates such as ``2020-05-29T08:30:00.5``.

        Ordinal dates are ``2018-348T21:05:18``; a trailing ``Z`` is allowed in
        UTC. Second 60 is one on UTC days that end with a leap second only.

        Raises
        ------
        ConfigurationError
            Where a text is not such a date, or marked as UTC in another scale.
        """
        if isinstance(text, str):
            day, second = _parse_iso(text, scale)
            return cls(scale, np.int64(day), np.float64(second))  # type: ignore[arg-type]
        pairs = [_parse_iso(t, scale) for t in text]
        days = np.array([p[0] for p in pairs], dtype=np.int64)
        return cls(scale, days, np.array([p[1] for p in pairs], dtype=np.float64))

    @classmethod
    def from_mjd(cls, mjd: ArrayLike, scale: Scale = "utc") -> Epoch:
        """Make epochs from MJD in one double (good to a microsecond only).

        Raises
        ------
        ConfigurationError
            For numbers that are not finite.
        """
        value = _finite(mjd)
        day = np.floor(value)
        return cls(scale, day.astype(np.int64), (value - day) * DAY)

    @classmethod
    def from_astropy(cls, time: Time) -> Epoch:
        """Convert an astropy ``Time`` (UT1 and others through TAI)."""
        scale: Scale = cast(Scale, time.scale) if time.scale in ("tt", "tdb", "tai") else "tai"
        exact = getattr(time, scale)
        day1 = np.floor(exact.jd1 - MJD_ZERO_JD)
        rest = (exact.jd1 - MJD_ZERO_JD - day1) + exact.jd2
        epoch = cls.normalised(scale, day1.astype(np.int64), rest * DAY)
        return epoch.to("utc") if time.scale == "utc" else epoch

    @classmethod
    def concatenate(cls, epochs: Sequence[Epoch]) -> Epoch:
        """Join epochs end to end in the scale of the first."""
        scale = epochs[0].scale
        same = [e.to(scale) for e in epochs]
        return cls(
            scale,
            np.concatenate([np.atleast_1d(e.day) for e in same]),
            np.concatenate([np.atleast_1d(e.second) for e in same]),
        )

    # -- using -------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the arrays."""
        return self.day.shape

    def __len__(self) -> int:
        return len(self.day)

    def __getitem__(self, index: Any) -> Epoch:
        return Epoch(self.scale, self.day[index], self.second[index])

    def __repr__(self) -> str:
        if self.shape == ():
            return f"<Epoch {self.iso(6)} {self.scale}>"
        return f"<Epoch {self.scale} {self.shape} from {self.first().iso(3)}>"

    def first(self) -> Epoch:
        """Return the earliest epoch."""
        flat = Epoch(self.scale, self.day.ravel(), self.second.ravel())
        return flat[np.lexsort((flat.second, flat.day))[0]]

    def last(self) -> Epoch:
        """Return the latest epoch."""
        flat = Epoch(self.scale, self.day.ravel(), self.second.ravel())
        return flat[np.lexsort((flat.second, flat.day))[-1]]

    def shifted(self, seconds: ArrayLike) -> Epoch:
        """Return the epoch this many (SI) seconds later."""
        if self.scale == "utc":
            return self.to("tai").shifted(seconds).to("utc")
        return Epoch.normalised(self.scale, self.day, self.second + np.asarray(seconds))

    def since(self, other: Epoch) -> Floats:
        """Return the seconds elapsed from `other` to this epoch, in this epoch's scale.

        Between UTC epochs leap seconds are counted.
        """
        mine = self.to("tai") if self.scale == "utc" else self
        theirs = other.to(mine.scale)
        return (mine.day - theirs.day) * DAY + (mine.second - theirs.second)

    def jd(self) -> tuple[Floats, Floats]:
        """Return two-part Julian dates as ERFA takes them: (start of day, fraction).

        For UTC this is the quasi-JD of ERFA, good outside leap seconds only.
        """
        return np.asarray(self.day + MJD_ZERO_JD, dtype=np.float64), self.second / DAY

    def mjd(self) -> Floats:
        """Return MJD in one double (good to a microsecond only: for plots and tables)."""
        return self.day + self.second / DAY

    def centuries(self) -> Floats:
        """Return Julian centuries since J2000.0 in this scale."""
        return ((self.day - MJD_J2000) - 0.5 + self.second / DAY) / 36525.0

    def iso(self, digits: int = 6) -> str:
        """Return a single epoch as ISO 8601 text with `digits` decimals of a second."""
        if self.shape != ():
            raise ValueError("iso() writes one epoch; use iso_list() for an array.")
        return _format_iso(int(self.day), float(self.second), digits, self.scale)

    def iso_list(self, digits: int = 6) -> list[str]:
        """Return all epochs as ISO 8601 texts."""
        pairs = zip(np.atleast_1d(self.day), np.atleast_1d(self.second), strict=True)
        return [_format_iso(int(d), float(s), digits, self.scale) for d, s in pairs]

    def to_astropy(self) -> Time:
        """Return an astropy ``Time`` of the same scale."""
        from astropy.time import Time

        if self.scale == "utc":
            return self.to("tai").to_astropy().utc
        return Time(self.day + MJD_ZERO_JD, self.second / DAY, format="jd", scale=self.scale)

    def to(self, scale: Scale) -> Epoch:
        """Return the same instants in another scale (UT1 apart).

        TDB is that of the geocentre here: the topocentric term of up to 2.1
        microseconds belongs to a station's clock and is added where a station
        is known (`topocentric_tdb_minus_tt`).
        """
        if scale == self.scale:
            return self
        if _UT1 in (scale, self.scale):
            raise ConfigurationError(
                "UT1 follows from the Earth's orientation, which an epoch does not know.",
                next_step="Use EarthModel().ut1(epoch), or its from_ut1.",
            )
        if scale not in SCALES:
            raise ConfigurationError(
                f"{scale!r} is not a time scale.", next_step=f"Use one of {SCALES}."
            )
        return self._to_tai()._from_tai(scale)

    def _to_tai(self) -> Epoch:
        if self.scale == "tai":
            return self
        if self.scale == "utc":
            shift = tai_minus_utc(self.day)
        elif self.scale == "tt":
            shift = np.full(self.shape, -TT_MINUS_TAI)
        else:
            # dtdb takes TDB or TT alike: its argument may be off by a minute
            shift = -TT_MINUS_TAI - tdb_minus_tt(self)
        return Epoch.normalised("tai", self.day, self.second + shift)

    def _from_tai(self, scale: Scale) -> Epoch:
        if scale == "tai":
            return self
        if scale == "tt":
            return Epoch.normalised("tt", self.day, self.second + TT_MINUS_TAI)
        if scale == "tdb":
            tt = Epoch.normalised("tt", self.day, self.second + TT_MINUS_TAI)
            return Epoch.normalised("tdb", tt.day, tt.second + tdb_minus_tt(tt))
        return _utc_from_tai(self)


def _finite(number: ArrayLike) -> Floats:
    value = np.asarray(number, dtype=np.float64)
    if not np.all(np.isfinite(value)):
        raise ConfigurationError(
            "a time that is not a finite number is no epoch.", next_step="Leave such rows out."
        )
    return value


def _utc_from_tai(tai: Epoch) -> Epoch:
    days, values = _leap_table()
    if np.any(tai.day < days[0]):
        raise ConfigurationError(
            "UTC before 1972-01-01 has no leap seconds and is not supported.",
            next_step="Use TT or TDB.",
        )
    # TAI-UTC of the UTC day: try the TAI day's value, step back where the day has not begun
    index = np.searchsorted(days, tai.day, side="right") - 1
    second = tai.second - values[index]
    before = second < 0
    day = tai.day - before
    old = np.searchsorted(days, day, side="right") - 1
    new_offset = values[old]
    length = DAY + (
        values[np.minimum(np.searchsorted(days, day + 1, side="right") - 1, len(values) - 1)]
        - new_offset
    )
    second = np.where(before, tai.second + DAY - new_offset, tai.second - new_offset)
    over = second >= length
    return Epoch("utc", day + over, np.where(over, second - length, second))


def tdb_minus_tt(epoch: Epoch) -> Floats:
    """Return TDB-TT at the geocentre in seconds (Fairhead & Bretagnon 1990, via ERFA).

    Parameters
    ----------
    epoch : Epoch
        TT or TDB (the difference does not matter here).
    """
    blocks = epoch.day // _TDB_BLOCK
    found = np.unique(blocks)
    if epoch.day.size < _TDB_EPOCHS_PER_BLOCK * len(found):
        day, fraction = epoch.jd()
        return np.asarray(erfa.dtdb(day, fraction, 0.0, 0.0, 0.0, 0.0), dtype=np.float64)
    # many epochs: splines through the 787 terms of the series, kept from call to call
    value = np.empty(epoch.shape)
    for block in found.tolist():
        rows = blocks == block
        at = (epoch.day[rows] - block * _TDB_BLOCK) + epoch.second[rows] / DAY
        value[rows] = _tdb_spline(block)(at)
    return value


@lru_cache(maxsize=1024)
def _tdb_spline(block: int) -> CubicSpline:
    """Return TDB-TT over a block of days, by days since its start."""
    count = (_TDB_BLOCK + 2 * _TDB_MARGIN) * _TDB_NODES_PER_DAY + 1
    grid = np.arange(count) / _TDB_NODES_PER_DAY - _TDB_MARGIN
    day = np.floor(grid)
    start = block * _TDB_BLOCK + MJD_ZERO_JD
    return CubicSpline(grid, erfa.dtdb(start + day, grid - day, 0.0, 0.0, 0.0, 0.0))


_ISO = re.compile(
    r"\s*(\d{4})-(?:(\d{2})-(\d{2})|(\d{3}))"
    r"(?:[T ](\d{2}):(\d{2})(?::(\d{2}(?:\.\d*)?))?)?(Z?)\s*$",
    re.ASCII,
)


def _parse_iso(text: str, scale: str) -> tuple[int, float]:
    found = _ISO.match(text)
    try:
        if not found:
            raise ValueError
        year, month, dom, doy, hour, minute, second, zulu = found.groups()
        if doy is None:
            date = dt.date(int(year), int(month), int(dom))
        else:
            date = dt.date(int(year), 1, 1) + dt.timedelta(days=int(doy) - 1)
            if date.year != int(year) or int(doy) == 0:
                raise ValueError
        h, m, s = int(hour or 0), int(minute or 0), float(second or 0.0)
        day = date.toordinal() - dt.date(1858, 11, 17).toordinal()
        # second 60 is real only inside a leap second
        leap = s >= 60 and (h, m) == (23, 59) and scale == "utc" and day + 1 in _leap_table()[0][1:]
        if h > 23 or m > 59 or s >= (61 if leap else 60):
            raise ValueError
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is not a date and time.",
            next_step="Write it like 2026-01-01T00:00:00.5 or 2026-001T00:00:00.5.",
        ) from None
    if zulu and scale != "utc":
        raise ConfigurationError(
            f"the Z of {text!r} marks UTC.", next_step=f"Give {scale.upper()} without it."
        )
    return day, 3600.0 * h + 60.0 * m + s


def _format_iso(day: int, second: float, digits: int, scale: str) -> str:
    unit = 10**digits
    ticks = round(second * unit)
    length = 86400
    if scale == "utc" and day + 1 in _leap_table()[0]:
        length = 86401
    if ticks >= length * unit:
        day, ticks = day + 1, ticks - length * unit
    whole, rest = divmod(ticks, unit)
    ordinal = dt.date(1858, 11, 17).toordinal() + day
    if not 1 <= ordinal <= dt.date.max.toordinal():
        return f"MJD {day}"  # no calendar goes there; messages must still be written
    date = dt.date.fromordinal(ordinal)
    minute_of_day = min(whole // 60, 1439)  # a leap second is second 60 of minute 1439
    text = f"{date}T{minute_of_day // 60:02d}:{minute_of_day % 60:02d}"
    text += f":{whole - 60 * minute_of_day:02d}"
    return f"{text}.{rest:0{digits}d}" if digits else text
