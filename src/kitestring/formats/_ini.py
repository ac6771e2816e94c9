"""Reads .ini files; mistakes in them are told with file, section and key."""

from __future__ import annotations

import configparser
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError, MissingDataError

Floats = NDArray[np.float64]


def read_text(path: Path) -> str:
    """Return the text of a file, or say that it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise MissingDataError(
            f"cannot be read ({problem.strerror}).",
            place=str(path),
            next_step="Name the folder of a whole data set.",
        ) from None


class Ini:
    """An .ini file.

    Parameters
    ----------
    path : Path
        The file. Names keep their case; ``;`` begins a comment.

    Raises
    ------
    MissingDataError
        Where it cannot be read. All methods raise `FormatError` for a section or
        key that is absent and a value that is not of its kind.
    FormatError
        Where it is not an .ini file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        parser = configparser.ConfigParser(inline_comment_prefixes=(";",), interpolation=None)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        try:
            parser.read_string(read_text(path))
        except configparser.Error as problem:
            raise FormatError(
                f"is not an .ini file: {' '.join(str(problem).split())}",
                place=str(path),
                next_step="Mend that line.",
            ) from None
        self._parser = parser

    @property
    def sections(self) -> list[str]:
        """Names of the sections, in the order of the file."""
        return self._parser.sections()

    def keys(self, section: str) -> list[str]:
        """Return the keys of a section."""
        if not self._parser.has_section(section):
            raise FormatError(
                f"there is no section [{section}].",
                place=str(self.path),
                next_step=f"It has {', '.join(self.sections[:8]) or 'none'}.",
            )
        return list(self._parser[section])

    def text(self, section: str, key: str) -> str:
        """Return a value as it is written."""
        keys = self.keys(section)
        if key not in keys:
            raise FormatError(
                f"[{section}] has no {key}.",
                place=str(self.path),
                next_step=f"Add it; there are {', '.join(keys[:8])}.",
            )
        return self._parser[section][key].strip()

    def numbers(self, section: str, key: str) -> Floats:
        """Return numbers that are separated by colons."""
        text = self.text(section, key)
        try:
            values = np.array([float(part) for part in text.split(":")])
        except ValueError:
            values = np.array([np.nan])
        if not np.isfinite(values).all():
            raise FormatError(
                f"[{section}] {key} = {text!r} is not made of numbers.",
                place=str(self.path),
                next_step="Write numbers, several of them with colons between.",
            )
        return values

    def number(self, section: str, key: str, default: float | None = None) -> float:
        """Return one number; `default` where the key is absent and a default is given."""
        if default is not None and key not in self.keys(section):
            return default
        values = self.numbers(section, key)
        if len(values) != 1:
            raise FormatError(
                f"[{section}] {key} holds {len(values)} numbers instead of one.",
                place=str(self.path),
                next_step="Write one.",
            )
        return float(values[0])

    def whole(self, section: str, key: str) -> int:
        """Return a whole number."""
        value = self.number(section, key)
        if value != int(value):
            raise FormatError(
                f"[{section}] {key} = {value:g} is not a whole number.",
                place=str(self.path),
                next_step="Write a whole number.",
            )
        return int(value)
