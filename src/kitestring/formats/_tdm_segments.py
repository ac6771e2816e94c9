"""The key-value text of a Tracking Data Message, taken apart into segments and rows."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, FormatError, FormatWarning, MissingDataError
from kitestring.model.time import Epoch, Scale, tai_minus_utc

Floats = NDArray[np.float64]

_NUMBERED = re.compile(r"^([A-Z_0-9]+?)_([1-9])$")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_HEADER = frozenset({"CREATION_DATE", "ORIGINATOR", "MESSAGE_ID"})
_METADATA = _words(
    """TRACK_ID DATA_TYPES TIME_SYSTEM START_TIME STOP_TIME MODE PATH EPHEMERIS_NAME TRANSMIT_BAND
    RECEIVE_BAND TURNAROUND_NUMERATOR TURNAROUND_DENOMINATOR TIMETAG_REF INTEGRATION_INTERVAL
    INTEGRATION_REF FREQ_OFFSET RANGE_MODE RANGE_MODULUS RANGE_UNITS ANGLE_TYPE REFERENCE_FRAME
    INTERPOLATION INTERPOLATION_DEGREE DOPPLER_COUNT_BIAS DOPPLER_COUNT_SCALE
    DOPPLER_COUNT_ROLLOVER DATA_QUALITY CORRECTION_DOPPLER CORRECTION_MAG CORRECTION_RANGE
    CORRECTION_RCS CORRECTION_RECEIVE CORRECTION_TRANSMIT CORRECTION_ABERRATION_YEARLY
    CORRECTION_ABERRATION_DIURNAL CORRECTIONS_APPLIED"""
)
_NUMBERED_METADATA = _words(
    "PARTICIPANT PATH EPHEMERIS_NAME TRANSMIT_DELAY RECEIVE_DELAY CORRECTION_ANGLE"
)
_DATA = _words(
    """CARRIER_POWER CLOCK_BIAS CLOCK_DRIFT DOPPLER_COUNT DOPPLER_INSTANTANEOUS DOPPLER_INTEGRATED
    DOR MAG PC_N0 PR_N0 PRESSURE RANGE RCS RECEIVE_FREQ RHUMIDITY STEC TEMPERATURE TRANSMIT_FREQ
    TRANSMIT_FREQ_RATE TROPO_DRY TROPO_WET VLBI_DELAY"""
)
_NUMBERED_DATA = _words(
    """ANGLE RECEIVE_FREQ RECEIVE_PHASE_CT TRANSMIT_FREQ TRANSMIT_FREQ_RATE
    TRANSMIT_PHASE_CT"""
)


def numbered(keyword: str) -> tuple[str, int]:
    """Return a keyword without its index, and the index (0 where it has none)."""
    found = _NUMBERED.match(keyword)
    return (found[1], int(found[2])) if found else (keyword, 0)


def _known(keyword: str, plain: frozenset[str], with_number: frozenset[str]) -> bool:
    if keyword in plain:
        return True
    stem, index = numbered(keyword)
    return index > 0 and stem in with_number


class Notes:
    """What a file bends: counted, and told once a kind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: dict[str, tuple[int, int]] = {}

    def add(self, kind: str, line: int) -> None:
        """Count one more of a kind."""
        count, first = self._found.get(kind, (0, line))
        self._found[kind] = (count + 1, first)

    def warn(self) -> None:
        """Give one `FormatWarning` a kind."""
        for kind, (count, line) in self._found.items():
            times = f" ({count} times, here first)" if count > 1 else ""
            warnings.warn(FormatWarning(f"{self.path}:{line}: {kind}{times}."), stacklevel=3)


@dataclass(eq=False)
class Rows:
    """Data of one keyword in one segment, as text."""

    dates: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


@dataclass(eq=False)
class Segment:
    """One pair of metadata and data.

    Attributes
    ----------
    path : Path
        The file, for errors.
    line : int
        Of its META_START.
    meta : dict of str to (str, int)
        Value and line of each keyword.
    comments : list of str
        Of metadata and data, without the keyword.
    data : dict of str to Rows
        By keyword, index included.
    """

    path: Path
    line: int
    meta: dict[str, tuple[str, int]] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    data: dict[str, Rows] = field(default_factory=dict)

    def place(self, keyword: str = "") -> str:
        """Return file and line of a keyword of the metadata, or of the segment."""
        line = self.meta[keyword][1] if keyword in self.meta else self.line
        return f"{self.path}:{line}"

    def text(self, keyword: str, default: str = "") -> str:
        """Return a value of the metadata in upper case."""
        return self.meta[keyword][0].upper() if keyword in self.meta else default

    def number(self, keyword: str, default: float) -> float:
        """Return a number of the metadata."""
        if keyword not in self.meta:
            return default
        value, line = self.meta[keyword]
        return _number(value, keyword, f"{self.path}:{line}")

    def participant(self, index: int) -> str:
        """Return the name of a participant."""
        keyword = f"PARTICIPANT_{index}"
        if keyword not in self.meta:
            raise FormatError(
                f"participant {index} is used but not named.",
                place=self.place("PATH"),
                next_step=f"Add {keyword} = name to the metadata.",
            )
        return self.meta[keyword][0]

    def signal(self, keyword: str) -> tuple[int, ...]:
        """Return the participants' indices along a PATH, PATH_1 or PATH_2."""
        if keyword not in self.meta:
            raise FormatError(
                f"the metadata have no {keyword}: who sent to whom is not known.",
                place=self.place(),
                next_step=f"Add a line such as {keyword} = 1,2,1.",
            )
        parts = self.meta[keyword][0].replace(" ", "").split(",")
        if len(parts) < 2 or not all(len(p) == 1 and p in "123456789" for p in parts):
            raise FormatError(
                f"{keyword} = {self.meta[keyword][0]!r} is not a list of participants.",
                place=self.place(keyword),
                next_step=f"Write it like {keyword} = 1,2,1.",
            )
        return tuple(int(p) for p in parts)

    def values(self, keyword: str) -> Floats:
        """Return the numbers of a keyword's rows.

        Raises
        ------
        FormatError
            For text that is not a finite number; it names the line.
        """
        rows = self.data[keyword]
        try:
            found = np.array([float(v) for v in rows.values])
        except ValueError:
            found = np.array([np.nan])
        if not np.all(np.isfinite(found)):
            for value, line in zip(rows.values, rows.lines, strict=True):
                _number(value, keyword, f"{self.path}:{line}")
        return found

    def epochs(self, keyword: str, scale: Scale, shift: float) -> Epoch:
        """Return the time tags of a keyword's rows in UTC.

        Parameters
        ----------
        keyword : str
            Which rows.
        scale : {"utc", "tai", "tt", "tdb"}
            Scale of the text. CCSDS lets time tags of any end in Z: it is left away.
        shift : float
            What is to be added, s.

        Raises
        ------
        FormatError
            For text that is not a date since 1972; it names the line.
        """
        rows = self.data[keyword]
        dates = rows.dates if scale == "utc" else [date.removesuffix("Z") for date in rows.dates]

        def utc(text: str | list[str]) -> Epoch:
            read = Epoch.from_iso(text, scale)
            epoch = (read.shifted(shift) if shift else read).to("utc")
            tai_minus_utc(epoch.day)  # refuses what lies before leap seconds
            return epoch

        try:
            return utc(dates)
        except ConfigurationError:
            for date, line in zip(dates, rows.lines, strict=True):
                try:
                    utc(date)
                except ConfigurationError as error:
                    raise FormatError(
                        error.message, place=f"{self.path}:{line}", next_step=error.next_step
                    ) from None
            raise


def _number(text: str, keyword: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise FormatError(
            f"the value {text!r} of {keyword} is not a number.",
            place=place,
            next_step="Write it like 8.4e9.",
        )
    return value


@dataclass(eq=False)
class Message:
    """A whole file, as text.

    Attributes
    ----------
    version : str
        Such as ``"1.0"``.
    originator : str
        Who made it.
    segments : list of Segment
        In the order of the file.
    """

    version: str
    originator: str = ""
    segments: list[Segment] = field(default_factory=list)


def read_message(path: Path) -> Message:
    """Take a file apart.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is not a TDM in key-value notation, or its sections or
        keywords are not those of one; it names file and line.
    """
    try:
        # what is not text fails at its first line, with a better message
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise MissingDataError(
            f"the file cannot be read: {error.strerror}.",
            place=str(path),
            next_step="Check the path.",
        ) from None
    return _Parser(path).parse(lines)


class _Parser:
    """Walks through the lines of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = "before the version"
        self.message = Message("")
        self.segment = Segment(path, 0)
        self.opened = 0  # line of the last START

    def parse(self, lines: Iterable[str]) -> Message:
        number = 0
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text:
                continue
            if self.state == "data":
                self._data(text, number)
            else:
                self._other(text, number)
        if self.state == "before the version":
            self._fail(1, "the file is empty", "Give a TDM: it begins with CCSDS_TDM_VERS = 2.0.")
        if self.state in ("metadata", "data"):
            word = "META" if self.state == "metadata" else "DATA"
            self._fail(
                number,
                f"the file ends, but {word}_START of line {self.opened} has no {word}_STOP",
                "It may be cut off: get it again.",
            )
        if self.state == "after metadata":
            self._fail(number, "the last metadata have no data", "It may be cut off: get it again.")
        return self.message

    def _fail(self, line: int, message: str, next_step: str) -> None:
        raise FormatError(f"{message}.", place=f"{self.path}:{line}", next_step=next_step)

    def _data(self, text: str, number: int) -> None:
        parts = text.split()
        if len(parts) != 4 or parts[1] != "=":
            if text == "DATA_STOP":
                self.state = "after data"
                return
            if parts[0] == "COMMENT":
                self.segment.comments.append(text[7:].strip())
                return
            key, equals, rest = text.partition("=")
            if not equals and text.split("_")[0] in ("META", "DATA"):
                self._fail(
                    number,
                    f"{text} comes before the DATA_STOP of DATA_START in line {self.opened}",
                    "End the data with DATA_STOP.",
                )
            parts = [key.strip(), "=", *rest.split()]
            if not equals or len(parts) != 4:
                self._fail(
                    number,
                    f"{text[:60]!r} is not a row of data",
                    "A row is KEYWORD = epoch value.",
                )
        rows = self.segment.data.get(parts[0])
        if rows is None:
            if not _known(parts[0], _DATA, _NUMBERED_DATA):
                self._unknown(parts[0], number, _DATA | {f"{k}_1" for k in _NUMBERED_DATA})
            rows = self.segment.data[parts[0]] = Rows()
        rows.dates.append(parts[2])
        rows.values.append(parts[3])
        rows.lines.append(number)

    def _unknown(self, keyword: str, number: int, known: Iterable[str]) -> None:
        near = difflib.get_close_matches(keyword.upper(), sorted(known), 3, 0.5)
        hint = f"Near it: {', '.join(near)}." if near else "Correct it, or make it a COMMENT."
        self._fail(number, f"{keyword!r} is not a keyword of a TDM's {self.state}", hint)

    def _other(self, text: str, number: int) -> None:
        key, equals, value = (part.strip() for part in text.partition("="))
        if self.state == "before the version":
            self._version(key, value, number)
        elif key == "COMMENT" or text.startswith("COMMENT "):
            if self.state == "metadata":
                self.segment.comments.append(text[7:].strip())
        elif not equals and key in ("META_START", "META_STOP", "DATA_START", "DATA_STOP"):
            self._section(key, number)
        elif not equals:
            self._fail(number, f"{text[:60]!r} is not KEYWORD = value", "Correct the line.")
        elif self.state == "header":
            if key not in _HEADER:
                self._unknown(key, number, _HEADER)
            if key == "ORIGINATOR":
                self.message.originator = value
        elif self.state == "metadata":
            if not _known(key, _METADATA, _NUMBERED_METADATA):
                self._unknown(key, number, _METADATA | {f"{k}_1" for k in _NUMBERED_METADATA})
            if key in self.segment.meta:
                first = self.segment.meta[key][1]
                self._fail(number, f"{key} stands in line {first} too", "Keep one of them.")
            self.segment.meta[key] = (value, number)
        else:
            self._fail(
                number,
                f"{key} stands outside of metadata and data",
                "Rows stand between DATA_START and DATA_STOP, after metadata between META_START "
                "and META_STOP.",
            )

    def _version(self, key: str, value: str, number: int) -> None:
        if key != "CCSDS_TDM_VERS":
            self._fail(
                number,
                "this is not a TDM in key-value notation: it does not begin with CCSDS_TDM_VERS",
                "Give a file whose first line is CCSDS_TDM_VERS = 1.0 or 2.0; XML is not read.",
            )
        if value.split(".")[0] not in ("1", "2"):
            self._fail(number, f"TDM version {value!r} is not read", "Versions 1 and 2 are.")
        self.message.version = value
        self.state = "header"

    def _section(self, key: str, number: int) -> None:
        if key == "META_START" and self.state in ("header", "after data"):
            self.segment = Segment(self.path, number)
            self.message.segments.append(self.segment)
            self.state, self.opened = "metadata", number
        elif key == "META_STOP" and self.state == "metadata":
            self.state = "after metadata"
        elif key == "DATA_START" and self.state == "after metadata":
            self.state, self.opened = "data", number
        elif self.state == "metadata":
            self._fail(
                number,
                f"{key} comes before the META_STOP of META_START in line {self.opened}",
                "End the metadata with META_STOP.",
            )
        elif key == "DATA_START":
            self._fail(
                number,
                "these data have no metadata",
                "Put META_START ... META_STOP before DATA_START.",
            )
        else:
            self._fail(number, f"{key} is out of place ({self.state})", "Correct the sections.")
