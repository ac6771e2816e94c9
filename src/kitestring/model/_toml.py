"""Reads TOML files of the model: stations, rotations."""

from __future__ import annotations

import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from kitestring.errors import FormatError, MissingDataError


def read_toml(file: Path | Traversable, next_step: str) -> dict[str, Any]:
    """Return the content of a TOML file.

    Parameters
    ----------
    file : path
        The file, or a resource of the package.
    next_step : str
        What to do where it cannot be read.

    Raises
    ------
    MissingDataError
        Where it cannot be read.
    FormatError
        Where it is not TOML.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise MissingDataError(
            f"cannot be read ({problem}).", place=str(file), next_step=next_step
        ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise FormatError(
            f"is not TOML: {problem}.", place=file.name, next_step="Correct that line."
        ) from None
