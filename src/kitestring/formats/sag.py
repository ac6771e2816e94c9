"""Reads the IVS' file of gravitational deformation of antennas (``gravity_deform_model``).

The first line states the version; lines that begin with ``#`` are comments. An antenna
is a line with its name, the number of points and the factor that makes picoseconds of
its values (3.336 for mm; 1 where it is missing), perhaps a line ``EPOCH`` with the first
and the last day (YYYYMMDD), and the points: elevation in degrees, delay that is added
to the theoretical one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kitestring.errors import FormatError, KitestringError
from kitestring.formats._text import read_lines
from kitestring.model.deformation import SagTable
from kitestring.model.time import DAY, Epoch

__all__ = ["read_sag"]

Lines = list[tuple[int, list[str]]]
"""Numbers of lines, and their words."""

_PICOSECOND = 1e-12
_MOST_DELAY = 1e-9  # s; 30 cm: more than this is another unit


def read_sag(path: str | Path) -> tuple[SagTable, ...]:
    """Read a file of gravitational deformation, plain or gzipped.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    tuple of SagTable
        In the order of the file; a table holds through its last day.

    Raises
    ------
    MissingDataError
        Where the file cannot be read.
    FormatError
        Where a line is not what the format says, or there are no antennas; with file
        and line.
    """
    file = Path(path)
    text = read_lines(file, "the IVS' file gravity_deform_model_v....txt")
    lines = [
        (number, words)
        for number, line in enumerate(text, 1)
        if (words := line.split("#")[0].split()) and not (number == 1 and _is_version(words))
    ]
    tables = []
    while lines:
        table, lines = _table(lines, file.name)
        tables.append(table)
    if not tables:
        raise FormatError(
            "holds no antenna.",
            place=str(path),
            next_step="Name the IVS' file gravity_deform_model_v....txt.",
        )
    return tuple(tables)


def _is_version(words: list[str]) -> bool:
    """Return whether a first line is not an antenna's."""
    return len(words) < 2 or not words[1].isdigit()


def _table(lines: Lines, name: str) -> tuple[SagTable, Lines]:
    """Make a table of the first antenna's lines; return the rest too."""
    number, words = lines[0]
    place = f"{name}:{number}"
    if len(words) not in (2, 3) or not words[1].isdigit():
        raise FormatError(
            f"{' '.join(words)!r} begins no antenna.",
            place=place,
            next_step="Write its name, the number of points and the factor to picoseconds.",
        )
    station, count = words[0], int(words[1])
    scale = _number(words[2], place) if len(words) == 3 else 1.0
    rest = lines[1:]
    start = end = None
    if rest and rest[0][1][0].upper() == "EPOCH":
        row, span = rest[0]
        if len(span) != 3:
            raise FormatError(
                f"EPOCH of {station} has {len(span) - 1} days.",
                place=f"{name}:{row}",
                next_step="Write the first and the last day, YYYYMMDD YYYYMMDD.",
            )
        start = _day(span[1], f"{name}:{row}")
        end = _day(span[2], f"{name}:{row}").shifted(DAY)
        rest = rest[1:]
    points = rest[:count]
    if len(points) < count or any(len(pair) != 2 for _, pair in points):
        wrong = next((row for row, pair in points if len(pair) != 2), number)
        raise FormatError(
            f"{station} has not the {count} points that it announces.",
            place=f"{name}:{wrong}",
            next_step="Fetch the file again, or correct the number of points.",
        )
    values = np.array([[_number(word, f"{name}:{row}") for word in pair] for row, pair in points])
    delay = scale * values[:, 1] * _PICOSECOND if count else np.zeros(0)
    if np.any(np.abs(delay) > _MOST_DELAY):
        raise FormatError(
            f"a delay of {np.max(np.abs(delay)) / _PICOSECOND:.0f} ps is not that of {station}.",
            place=place,
            next_step="Correct the factor: 3.336 where the values are in millimetres.",
        )
    try:
        elevation = np.radians(values[:, 0]) if count else np.zeros(0)
        return SagTable(station, elevation, delay, start, end), rest[count:]
    except KitestringError as problem:
        raise FormatError(problem.message, place=place, next_step=problem.next_step) from None


def _number(word: str, place: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise FormatError(f"{word!r} is not a number.", place=place, next_step="Correct it.")
    return value


def _day(word: str, place: str) -> Epoch:
    try:
        return Epoch.from_iso(f"{word[:4]}-{word[4:6]}-{word[6:]}T00:00", "utc")
    except KitestringError:
        raise FormatError(
            f"{word!r} is not a day.", place=place, next_step="Write it as YYYYMMDD."
        ) from None
