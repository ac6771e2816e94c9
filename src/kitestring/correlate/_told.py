"""Warnings of one thread, gathered: so that a worker's reach whoever reads them."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from kitestring.errors import KitestringWarning


class Told(NamedTuple):
    """A warning: its class and what it says."""

    kind: type[Warning]
    text: str


class _Here(threading.local):
    into: list[Told] | None = None


_here = _Here()
_installing = threading.Lock()
_ALWAYS = ("always", None, KitestringWarning, None, 0)  # as Python keeps such a filter
_before: Callable[..., Any] = warnings.showwarning


@contextmanager
def gathered() -> Iterator[list[Told]]:
    """Gather the warnings of this software that this thread gives, instead of showing them.

    `warnings.catch_warnings` cannot: a worker has several threads, and it would change what
    all of them do. What shows warnings is therefore replaced once, and looks at whose thread it
    is in. Each is given every time: a worker serves many runs.

    Yields
    ------
    list of Told
        Filled as they are given.

    Examples
    --------
    >>> with gathered() as told:
    ...     warnings.warn("frames are missing.", KitestringWarning)
    >>> told[0].text
    'frames are missing.'
    """
    _install()
    outer, _here.into = _here.into, []
    try:
        yield _here.into
    finally:
        _here.into = outer


def _install() -> None:
    global _before
    with _installing:
        if warnings.showwarning is not _show:
            _before = warnings.showwarning
            warnings.showwarning = _show
        if warnings.filters[0] != _ALWAYS:  # each change has Python forget what it has shown
            warnings.simplefilter("always", KitestringWarning)


def _show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
    if _here.into is not None and issubclass(category, KitestringWarning):
        _here.into.append(Told(category, str(message)))
    else:
        _before(message, category, *rest, **named)
