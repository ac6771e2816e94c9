"""Reads a text file, plain or gzipped, whole."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from kitestring.errors import FormatError, MissingDataError

_LINE_END = re.compile(r"\r\n|\r|\n")


def read_lines(path: str | Path, what: str) -> list[str]:
    """Return the lines of a file.

    Parameters
    ----------
    path : path
        The file, gzipped or not: its first bytes tell.
    what : str
        What is wanted, for messages, such as ``"an IONEX file"``.

    Raises
    ------
    MissingDataError
        Where it cannot be read.
    FormatError
        Where it is compressed and cut.
    """
    file = Path(path)
    try:
        raw = file.read_bytes()
    except OSError as problem:
        raise MissingDataError(
            f"cannot be read ({problem}).", place=str(path), next_step=f"Name {what}."
        ) from None
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as problem:
            raise FormatError(
                f"cannot be unpacked ({problem}).",
                place=file.name,
                next_step="Fetch it again; it may be cut.",
            ) from None
    # not str.splitlines, which breaks a comment at Windows' ellipsis and at form feeds too
    lines = _LINE_END.split(raw.decode("latin-1"))
    return lines if lines[-1] else lines[:-1]


def numbers(words: list[str], where: str, what: str) -> list[float]:
    """Return words as finite numbers.

    Raises
    ------
    FormatError
        Where one is none.
    """
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [float("nan")]
    if not all(abs(value) < float("inf") for value in values):  # NaN is caught as well
        raise FormatError(
            f"{' '.join(words)!r} is not {what}.", place=where, next_step=f"Expected is {what}."
        )
    return values
