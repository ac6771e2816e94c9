"""Reads TOML that people write."""

from __future__ import annotations

import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from kitestring.errors import ConfigurationError, KitestringError, MissingDataError


def read_toml(
    file: Path | Traversable,
    what: str,
    next_step: str,
    error: type[KitestringError] = ConfigurationError,
) -> tuple[str, dict[str, Any]]:
    """Return the text of a file that people write, and its content.

    Parameters
    ----------
    file : path
        The file, or a resource of the package.
    what : str
        What it is, such as ``"session file"``.
    next_step : str
        What to do where there is none.
    error : class
        What is raised for text that is wrong: `FormatError` for data, which are not written
        for one run.

    Raises
    ------
    MissingDataError
        Where there is none.
    ConfigurationError
        (or `error`) where it cannot be read or is not TOML.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise MissingDataError(
            f"there is no {what}.", place=str(file), next_step=next_step
        ) from None
    except tomllib.TOMLDecodeError as problem:
        raise error(
            f"is not TOML: {problem}.", place=str(file), next_step="Mend that line."
        ) from None
    except (OSError, UnicodeDecodeError, RecursionError) as problem:
        raise error(
            f"cannot be read ({problem}).",
            place=str(file),
            next_step="It has to be a text file in UTF-8 that you may read.",
        ) from None
