"""The ledger: what was done in a session, one event a line, never rewritten."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kitestring import __version__
from kitestring.errors import FormatError

LEDGER_NAME = "ledger.jsonl"
EventKind = Literal["started", "finished", "failed"]


@dataclass(frozen=True)
class Event:
    """One line of the ledger.

    Attributes
    ----------
    stage : str
        Name of the stage.
    event : {"started", "finished", "failed"}
        What happened.
    inputs : str
        Digest of everything the stage's outcome depends on.
    outputs : list of str
        Files written, relative to the session.
    summary : mapping
        Figures for people and programs.
    message : str
        Why it failed.
    time : str
        UTC of the event (wall clock), ISO 8601.
    version : str
        Version of the software.
    """

    stage: str
    event: EventKind
    inputs: str = ""
    outputs: list[str] = field(default_factory=list)
    summary: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    time: str = ""
    version: str = __version__


class Ledger:
    """The events of one session directory.

    Parameters
    ----------
    directory : path
        The session's directory.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.path = self.directory / LEDGER_NAME

    def events(self) -> list[Event]:
        """Return all events, oldest first; a last line that was cut by a crash is left out.

        Raises
        ------
        FormatError
            For a damaged line before the last.
        """
        if not self.path.exists():
            return []
        return list(self._parse(self.path.read_text(encoding="utf-8").splitlines()))

    def _parse(self, lines: list[str]) -> Iterator[Event]:
        for number, line in enumerate(lines, 1):
            try:
                yield Event(**json.loads(line))
            except (json.JSONDecodeError, TypeError):
                if number == len(lines):
                    return
                raise FormatError(
                    "is not an event of the ledger.",
                    place=f"{self.path}:{number}",
                    next_step="Remove that line; the stages it told of will be run again.",
                ) from None

    def append(self, event: Event) -> None:
        """Write one event and see it on disk."""
        stamped = {**asdict(event), "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
        self._drop_cut_line()
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(stamped) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _drop_cut_line(self) -> None:
        """Remove a last line that a crash cut: its event was never told."""
        if not self.path.exists():
            return
        text = self.path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(self.path, whole)

    def last(self, stage: str) -> Event | None:
        """Return the last event of a stage."""
        return next((e for e in reversed(self.events()) if e.stage == stage), None)

    def is_done(self, stage: str, inputs: str) -> bool:
        """Tell whether a stage was finished with these inputs and its outputs still exist."""
        event = self.last(stage)
        return (
            event is not None
            and event.event == "finished"
            and event.inputs == inputs
            and all((self.directory / name).exists() for name in event.outputs)
        )


def digest(parts: Iterable[object]) -> str:
    """Return a hash of values (by their repr)."""
    found = hashlib.sha256()
    for part in parts:
        found.update(repr(part).encode() + b"\0")
    return found.hexdigest()[:16]


def file_stamp(path: Path) -> tuple[str, int, int]:
    """Return what tells a changed file from an unchanged one: name, size, time of change."""
    stat = path.stat()
    return path.name, stat.st_size, stat.st_mtime_ns
