"""Writes files whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _beside(final: Path) -> Path:
    """Return the name of a temporary file that no other process or thread writes."""
    return final.with_name(f".{final.name}.{os.getpid()}.{threading.get_native_id()}.part")


def write_atomically(path: str | Path, text: str) -> None:
    """Write UTF-8 text to a temporary file beside `path`, then rename it.

    Who reads `path` meanwhile, or after a crash, finds the old file or the new
    one, never a part of either.

    Raises
    ------
    OSError
        Where the folder is missing or cannot be written.
    """
    final = Path(path)
    temporary = _beside(final)
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give the name of a temporary file beside `path`; it takes its place at the end.

    For what is written by other libraries. Where that fails, `path` stays as it was.

    Raises
    ------
    OSError
        Where nothing was written, or the folder cannot be written.
    """
    final = Path(path)
    temporary = _beside(final)
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
