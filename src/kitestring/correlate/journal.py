"""What a store was begun with and how far it is, in a small file beside it.

The journal of ``No0001.zarr`` is ``No0001.zarr.journal``. It says how many
integrations are safely on the disk, and is written after they are: whatever
else lies in the store is not counted on. It stays when the store is
finished, so that the same correlation is not done a second time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from kitestring import __version__
from kitestring._write import write_atomically
from kitestring.correlate._vectors import HOST_LANES
from kitestring.correlate.plan import Plan
from kitestring.errors import RecordingWarning
from kitestring.recordings.types import Recording

SUFFIX = ".journal"
PROBES = 16
"""Places at which a recording is looked at, to tell it from another."""
PROBE_SAMPLES = 1024


@dataclass(frozen=True)
class Journal:
    """How far a store is.

    Attributes
    ----------
    inputs : str
        Digest of all that the visibilities depend on; empty while nothing is laid out.
    processor : str
        Kind of processor that they are made on.
    done : int
        Integrations that are safely written.
    total : int
        Integrations of the scan.
    """

    inputs: str = ""
    processor: str = ""
    done: int = 0
    total: int = 0


def journal_path(store: Path) -> Path:
    """Return where the journal of a store lies."""
    return store.with_name(store.name + SUFFIX)


def read_journal(store: Path) -> Journal | None:
    """Return the journal of a store; None where there is none that can be read."""
    try:
        held = json.loads(journal_path(store).read_text(encoding="utf-8"))
        found = Journal(**held)
    except (OSError, ValueError, TypeError):
        return None
    wanted = Journal()
    same = all(isinstance(v, type(getattr(wanted, k))) for k, v in asdict(found).items())
    return found if same else None


def write_journal(store: Path, journal: Journal) -> None:
    """Write the journal of a store, and see it on the disk."""
    write_atomically(journal_path(store), json.dumps(asdict(journal)) + "\n")
    sync_folder(store.parent)


def sync_folder(folder: Path) -> None:
    """See the names in a folder on the disk, where the system can be asked to."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@cache
def processor_kind() -> str:
    """Return the kind of processor and what computes on it: another has other last bits."""
    from llvmlite import binding

    versions = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "scipy"))
    return f"{platform.machine()} {binding.get_host_cpu_name()}, {HOST_LANES} lanes, {versions}"


def inputs_digest(plan: Plan, stamp: str = "", more: object = None) -> str:
    """Return a digest of all that visibilities depend on.

    That is: the version of the software, every field of the plan, the delay
    model's checksum, and of each recording what it says of itself and its samples
    at some places. What changed elsewhere in a recording only `stamp` can tell.

    Parameters
    ----------
    plan : Plan
        What is correlated.
    stamp : str
        What the caller knows of the recordings, such as their files' times of change.
    more : object
        Anything else of arrays, dataclasses and plain values.
    """
    found = hashlib.sha256()
    held = {
        f.name: getattr(plan, f.name)
        for f in fields(plan)
        if f.name not in ("recordings", "model", "placements")
    }
    told = [__version__, plan.model.checksum(), held, stamp, more]
    for s, recording in enumerate(plan.recordings):
        told += [
            recording.station,
            recording.channels,
            recording.bits,
            recording.start,
            _probes(plan, s, recording),
        ]
    for piece in _canonical(told):
        found.update(piece)
    return found.hexdigest()[:32]


def _probes(plan: Plan, station: int, recording: Recording) -> list[Any]:
    """Return samples at some places of what is correlated."""
    parts = [part for chunk in plan.chunks for part in chunk.parts]
    total = sum(part.segments for part in parts) * plan.samples(station)
    begin = plan.placements[station].whole
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # told when they are correlated
        for k in range(PROBES):
            block = recording.read(begin + total * k // PROBES, PROBE_SAMPLES)
            found += [block.samples, block.valid]
    return found


def _canonical(value: Any) -> Iterator[bytes]:
    """Yield bytes that two values share only where they are the same."""
    if isinstance(value, np.ndarray):
        yield f"array {value.dtype} {value.shape} ".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"({type(value).__name__} ".encode()
        for f in fields(value):
            yield from _canonical(getattr(value, f.name))
        yield b")"
    elif isinstance(value, Mapping):
        yield from _canonical([[k, value[k]] for k in value])
    elif isinstance(value, list | tuple):
        yield f"[{len(value)} ".encode()
        for item in value:
            yield from _canonical(item)
        yield b"]"
    else:
        yield f"{type(value).__name__} {value!r};".encode()
