"""Reads maps of the ionosphere's electron content in the IONEX format, 1.0 and 1.1.

Lines of 80 columns with a label in the last 20: a header (grid, layer, exponent),
then for each epoch a map of rows of constant latitude, five columns a value, in
units of 10^exponent TECU, 9999 where there is none; RMS maps alike, height maps are
passed over. Epochs are UT. Schaer, Gurtner & Feltens (1998), "IONEX: The IONosphere
Map EXchange Format Version 1".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, FormatError, MissingDataError
from kitestring.formats._text import numbers, read_lines
from kitestring.model.tec import TecMap
from kitestring.model.time import Epoch

__all__ = ["read_ionex"]

Floats = NDArray[np.float64]

_TECU = 1e16  # electrons/m^2
_NONE = 9999  # "no value available"
_PER_LINE = 16
_KM = 1e3
_SAME = 1e-3  # s: epochs that are no further apart are one
_LONGEST_STEP = 7200.0  # s between the maps of daily files, at most
_KINDS = {"TEC", "RMS", "HEIGHT"}


@dataclass
class _Header:
    """What the header says; lengths m, angles degrees as they are written."""

    radius: float = np.nan
    height: float = np.nan
    latitude: list[float] = field(default_factory=list)
    longitude: list[float] = field(default_factory=list)
    exponent: int = -1
    maps: int | None = None
    dimension: int = 2


@dataclass
class _Map:
    """One map as it is read: rows by index of latitude."""

    kind: str
    line: int
    epoch: Epoch | None
    values: Floats


def read_ionex(paths: str | Path | Sequence[str | Path]) -> TecMap:
    """Read an IONEX file, or several of one product that follow each other.

    Parameters
    ----------
    paths : path or sequence of paths
        Plain or gzipped, in any order; ``.Z`` has to be unpacked first. Where two
        have maps of one time, as at midnight, the later file's count.

    Returns
    -------
    TecMap
        For `kitestring.model.ionosphere.Ionosphere`.

    Raises
    ------
    MissingDataError
        Where a file does not exist, or none is named.
    FormatError
        Where a line is not what the format says, maps or rows are missing, the maps
        are of more than one layer, or files do not follow each other on one grid;
        with file and line.
    """
    files = [paths] if isinstance(paths, str | Path) else paths
    if not files:
        raise MissingDataError("no IONEX file is named.", next_step="Name one or several.")
    maps = sorted((_one_file(Path(file)) for file in files), key=lambda m: float(m.epochs[0].mjd()))
    return maps[0] if len(maps) == 1 else _joined(maps)


def _joined(maps: list[TecMap]) -> TecMap:
    """Return the maps of files, sorted by their begin, as one."""
    first, kept = maps[0], []
    for this, after in pairwise(maps):
        alike = (
            np.array_equal(first.latitude, after.latitude)
            and np.array_equal(first.longitude, after.longitude)
            and (first.height, first.radius) == (after.height, after.radius)
            and (first.rms is None) == (after.rms is None)
        )
        early = np.asarray(this.epochs.since(after.epochs[0])) < -_SAME
        steps = [np.diff(np.asarray(m.epochs.since(m.epochs[0]))) for m in (this, after)]
        longest = max([_LONGEST_STEP, *np.concatenate(steps).tolist()])
        wrong = ""
        if not alike:
            wrong = "has another grid or layer, or no RMS maps, as"
        elif not np.any(early):
            wrong = "begins with"
        elif float(after.epochs[0].since(this.epochs[early].last())) > longest + _SAME:
            wrong = "leaves a gap behind"
        if wrong:
            raise FormatError(
                f"it {wrong} {this.origin}.",
                place=after.origin,
                next_step="Read files of one product together that follow each other.",
            )
        kept.append(early)
    kept.append(np.ones(len(maps[-1].epochs), dtype=bool))
    parts = list(zip(maps, kept, strict=True))
    errors = [m.rms[keep] for m, keep in parts if m.rms is not None]
    return TecMap(
        Epoch.concatenate([m.epochs[keep] for m, keep in parts]),
        first.latitude,
        first.longitude,
        np.concatenate([m.tec[keep] for m, keep in parts]),
        np.concatenate(errors) if errors else None,
        first.height,
        first.radius,
        ", ".join(m.origin for m in maps),
    )


def _one_file(file: Path) -> TecMap:
    lines = read_lines(file, "an IONEX file")
    header, body = _header(lines, file.name)
    latitude, longitude = np.array(header.latitude), np.array(header.longitude)
    maps = _maps(lines, body, header, file.name)
    tec = [found for found in maps if found.kind == "TEC"]
    rms = [found for found in maps if found.kind == "RMS"]
    if not tec or (header.maps is not None and len(tec) != header.maps):
        raise FormatError(
            f"holds {len(tec)} TEC maps of {header.maps or 'any'}.",
            place=file.name,
            next_step="Fetch the file again; it may be cut.",
        )
    if rms and [_key(each) for each in rms] != [_key(each) for each in tec]:
        raise FormatError(
            f"holds {len(rms)} RMS maps that are not of the epochs of its {len(tec)} TEC maps.",
            place=file.name,
            next_step="Fetch the file again; it may be cut.",
        )
    rows, columns = np.argsort(latitude), np.argsort(longitude)
    cube, errors = (
        np.stack([each.values[rows][:, columns] for each in found]) if found else None
        for found in (tec, rms)
    )
    assert cube is not None  # there is a map
    epochs = [each.epoch for each in tec if each.epoch is not None]
    try:
        return TecMap(
            Epoch.concatenate(epochs),
            np.radians(latitude[rows]),
            np.radians(longitude[columns]),
            cube,
            errors,
            header.height,
            header.radius,
            file.name,
        )
    except ConfigurationError as problem:
        raise FormatError(
            problem.message, place=file.name, next_step="Fetch the file again."
        ) from None


def _key(found: _Map) -> str:
    """Return the epoch of a map to compare."""
    return "" if found.epoch is None else found.epoch.iso(0)


def _header(lines: list[str], name: str) -> tuple[_Header, int]:
    """Return the header, and the index of the line after it."""
    header, seen = _Header(), set[str]()
    for index, line in enumerate(lines):
        where, label = f"{name}:{index + 1}", line[60:].strip()
        seen.add(label)
        if index == 0 and (label != "IONEX VERSION / TYPE" or line[20:21] != "I"):
            raise FormatError(
                "is not an IONEX file of ionosphere maps.",
                place=where,
                next_step="Its first line ends with IONEX VERSION / TYPE; .Z files are packed.",
            )
        if label == "END OF HEADER":
            missing = {"LAT1 / LAT2 / DLAT", "LON1 / LON2 / DLON", "HGT1 / HGT2 / DHGT"} - seen
            if missing or not np.isfinite(header.radius):
                raise FormatError(
                    f"the header has no {sorted(missing or {'BASE RADIUS'})[0]}.",
                    place=where,
                    next_step="Fetch the file again.",
                )
            return header, index + 1
        _header_line(header, label, line, where)
    raise FormatError("the header has no end.", place=name, next_step="Fetch the file again.")


def _header_line(header: _Header, label: str, line: str, where: str) -> None:
    if label == "BASE RADIUS":
        header.radius = numbers([line[:8]], where, "a radius in km")[0] * _KM
        if not 6300e3 < header.radius < 6400e3:
            raise FormatError(
                f"a base radius of {header.radius / _KM:g} km is not the Earth's.",
                place=where,
                next_step="Expected is 6371.0.",
            )
    elif label == "MAP DIMENSION":
        header.dimension = int(numbers([line[:6]], where, "2 or 3")[0])
    elif label == "# OF MAPS IN FILE":
        header.maps = int(numbers([line[:6]], where, "a number of maps")[0])
    elif label == "EXPONENT":
        header.exponent = _exponent(line, where)
    elif label == "HGT1 / HGT2 / DHGT":
        low, high, _ = _fixed(line, where)
        if low != high or header.dimension != 2 or not 100.0 <= low <= 2000.0:
            raise FormatError(
                f"layers at {low:g} to {high:g} km are not one thin layer.",
                place=where,
                next_step="Take two-dimensional maps.",
            )
        header.height = low * _KM
    elif label in ("LAT1 / LAT2 / DLAT", "LON1 / LON2 / DLON"):
        first, last, step = _fixed(line, where)
        count = (last - first) / step if step else np.nan
        most = 90.0 if label.startswith("LAT") else 360.0
        if not (1.0 <= count <= 3600.0 and abs(count - round(count)) < 1e-6) or (
            max(abs(first), abs(last)) > most
        ):
            raise FormatError(
                f"{first:g} to {last:g} in steps of {step:g} is no grid.",
                place=where,
                next_step="Fetch the file again.",
            )
        grid = [first + step * k for k in range(round(count) + 1)]
        if label.startswith("LAT"):
            header.latitude = grid
        else:
            header.longitude = grid


def _maps(lines: list[str], body: int, header: _Header, name: str) -> list[_Map]:
    """Return the maps in the order of the file."""
    maps: list[_Map] = []
    current: _Map | None = None
    exponent, index = header.exponent, body
    while index < len(lines):
        line, where = lines[index], f"{name}:{index + 1}"
        label = line[60:].strip()
        index += 1
        words = label.split()
        if label == "END OF FILE":
            break
        if label == "EXPONENT":
            exponent = _exponent(line, where)
        elif words[:2] == ["START", "OF"] and words[2:] and words[2] in _KINDS:
            shape = (len(header.latitude), len(header.longitude))
            current = _Map(words[2], index, None, np.full(shape, np.inf))
        elif label == "EPOCH OF CURRENT MAP" and current is not None:
            current.epoch = _epoch(line, where)
        elif label == "LAT/LON1/LON2/DLON/H" and current is not None:
            index = _row(lines, index, current, header, exponent, name)
        elif words[:2] == ["END", "OF"] and words[2:] and words[2] in _KINDS:
            if current is None or current.epoch is None or np.any(np.isinf(current.values)):
                raise FormatError(
                    "a map ends without its epoch or some of its rows.",
                    place=where,
                    next_step="Fetch the file again.",
                )
            maps.append(current)
            current = None
        elif line.strip() and label != "COMMENT":
            raise FormatError(
                f"{line[:40].strip()!r} has no place here.",
                place=where,
                next_step="Fetch the file again; it may be damaged.",
            )
    if current is not None:
        raise FormatError(
            f"the {current.kind} map that begins here has no end.",
            place=f"{name}:{current.line}",
            next_step="Fetch the file again; it may be cut.",
        )
    return maps


def _row(
    lines: list[str], index: int, current: _Map, header: _Header, exponent: int, name: str
) -> int:
    """Read one latitude's values into a map; return the index of the line after them."""
    where = f"{name}:{index}"
    latitude, *rest = _fixed(lines[index - 1], where, 5)
    row = int(np.argmin(np.abs(np.array(header.latitude) - latitude)))
    ends = (header.longitude[0], header.longitude[-1])
    if abs(header.latitude[row] - latitude) > 1e-6 or not np.allclose(rest[:2], ends):
        raise FormatError(
            f"a row at latitude {latitude:g}, longitudes {rest[0]:g} to {rest[1]:g}, is not of "
            "the header's grid.",
            place=where,
            next_step="Fetch the file again.",
        )
    wanted, values = len(header.longitude), list[float]()
    while len(values) < wanted:
        take = min(_PER_LINE, wanted - len(values))
        line = lines[index] if index < len(lines) else ""
        index += 1
        words = [line[5 * k : 5 * k + 5] for k in range(take)]
        values += numbers(words, f"{name}:{index}", f"{take} values of five columns")
    whole = np.array(values)
    scaled = whole * 10.0**exponent
    current.values[row] = np.where(np.abs(whole) == _NONE, np.nan, scaled * _TECU)
    return index


def _fixed(line: str, where: str, count: int = 3) -> list[float]:
    """Return numbers of six columns that begin at the third."""
    words = [line[2 + 6 * k : 8 + 6 * k] for k in range(count)]
    return numbers(words, where, f"{count} numbers of six columns")


def _exponent(line: str, where: str) -> int:
    value = numbers([line[:6]], where, "an exponent")[0]
    if value != int(value) or abs(value) > 6:
        raise FormatError(
            f"an exponent of {value:g} is none.", place=where, next_step="Expected is -1."
        )
    return int(value)


def _epoch(line: str, where: str) -> Epoch:
    words = [line[6 * k : 6 * k + 6] for k in range(6)]
    year, month, day, hour, minute, second = (
        int(value) for value in numbers(words, where, "year month day hour minute second")
    )
    try:
        start = Epoch.from_iso(f"{year:04d}-{month:02d}-{day:02d}T00:00:00")
    except ConfigurationError:
        start = None
    if start is None or not 0 <= hour <= 24 or not 0 <= minute < 60 or not 0 <= second < 60:
        raise FormatError(
            f"{line[:36].strip()!r} is no epoch.", place=where, next_step="Fetch the file again."
        )
    # 24 h of a day is how some write 0 h of the next
    seconds = np.asarray(hour % 24 * 3600.0 + minute * 60.0 + second)
    return Epoch("utc", start.day + hour // 24, seconds)
