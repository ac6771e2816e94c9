"""The exceptions and warnings of Kitestring.

Every error says what was found, what was expected and what to do next, and
carries its evidence as attributes, so that a program can act on it too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class KitestringError(Exception):
    """Base of every error that Kitestring raises on purpose.

    Parameters
    ----------
    message : str
        What was found and what was expected.
    place : str, optional
        The file (and line, byte offset or key) where it was found.
    next_step : str, optional
        What the user can do about it.
    """

    def __init__(self, message: str, *, place: str = "", next_step: str = "") -> None:
        self.message = message
        self.place = place
        self.next_step = next_step
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Python's own would call the class with the message alone, which not all of them take
        return _bare, (type(self), *self.args), vars(self)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        then = f" {self.next_step}" if self.next_step else ""
        return f"{where}{self.message}{then}"


def _bare(kind: type[KitestringError], *args: object) -> KitestringError:
    """Return an error that is not filled yet: its attributes follow when it is unpickled."""
    return kind.__new__(kind, *args)


class FormatError(KitestringError):
    """A file does not hold what its format requires; ``place`` names file and line or byte."""


class RecordingError(KitestringError):
    """A recording cannot be read as what it was said to be."""


class ConfigurationError(KitestringError):
    """A session file or an argument asks for something that cannot be done."""


class MissingDataError(KitestringError):
    """A file or value that is needed is nowhere to be found."""


class SpanError(KitestringError):
    """A time lies outside what a table, trajectory or model covers."""


class FrameError(KitestringError):
    """Vectors of different centres or frames were combined."""


class EstimationError(KitestringError):
    """An estimate cannot be formed: unobservable parameters, no data, no convergence."""


class UnknownNameError(KitestringError):
    """A name is in no catalogue.

    Parameters
    ----------
    kind : str
        What was looked for, such as ``"station"``.
    name : str
        The name that was given.
    known : iterable of str
        The names that would have been accepted; the nearest are shown.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, place: str = "") -> None:
        self.kind = kind
        self.name = name
        names = sorted(known)
        near = difflib.get_close_matches(name.upper(), [n.upper() for n in names], 3, 0.5)
        shown = [n for n in names if n.upper() in near] or names[:6]
        hint = f"Near it: {', '.join(shown)}." if near else f"Known are: {', '.join(shown)}, ..."
        super().__init__(f"no {kind} is called {name!r}.", place=place, next_step=hint)


class KitestringWarning(UserWarning):
    """Base of every warning that Kitestring gives."""


class FormatWarning(KitestringWarning):
    """A file bends its format in a way that was understood."""


class RecordingWarning(KitestringWarning):
    """Samples of a recording are missing or damaged; they are flagged, not shifted."""


class StaleDataWarning(KitestringWarning):
    """A table is used beyond the date it was measured to."""
