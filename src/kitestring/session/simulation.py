"""Simulates a session from a scenario file: recordings, session file and truth."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kitestring import __version__
from kitestring._write import write_atomically
from kitestring.errors import ConfigurationError, KitestringError
from kitestring.session._toml import to_toml
from kitestring.session.file import FILE_NAME
from kitestring.session.run import Progress, no_progress
from kitestring.session.simulation_file import (
    Scenario,
    TrueStationSection,
    read_scenario,
    recordings,
)
from kitestring.session.simulation_truth import observation_of
from kitestring.simulate.observation import Observation
from kitestring.simulate.record import record, telling
from kitestring.simulate.truths import TrueScan, TrueStation

MARK = "# Written by 'kitestring simulate'"
TRUTH = "truth.json"
UNFINISHED = "simulation.jsonl"
_PART = ".part"
_MADE = ("recordings", "products", "truth")
_FILES = (FILE_NAME, TRUTH, UNFINISHED, "ledger.jsonl", "report.html")


@dataclass(frozen=True)
class Simulation:
    """What was simulated.

    Attributes
    ----------
    directory : Path
        With ``session.toml``, ``recordings`` and ``truth.json``.
    seed : int
        Of all noise and all draws.
    recordings : tuple of Path
        All files that stations recorded.
    resumed : int
        Scans that an earlier, interrupted run had made.
    """

    directory: Path
    seed: int
    recordings: tuple[Path, ...]
    resumed: int = 0


def simulate_session(
    scenario: str | Path,
    directory: str | Path,
    seed: int | None = None,
    *,
    force: bool = False,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> Simulation:
    """Simulate what a scenario file asks for, ready for `kitestring.run_session`.

    The same scenario and seed give the same bytes. A run that was interrupted goes
    on with the scan that it was in, where it is asked for the same again.

    Parameters
    ----------
    scenario : path
        The scenario file.
    directory : path
        Where ``recordings``, ``session.toml`` and ``truth.json`` are written; made
        where missing.
    seed : int, optional
        In place of the scenario's.
    force : bool
        Whether an earlier simulation in the directory is removed, with what was made of it.
    threads : int, optional
        One a core by default.
    progress : Progress
        Told what goes on.

    Raises
    ------
    ConfigurationError
        For a scenario that cannot be, or a directory that is not empty.
    MissingDataError, UnknownNameError, SpanError
        For files, names and times that are not there.
    """
    given = read_scenario(scenario)
    try:
        return _simulate(given, Path(directory), seed, force, threads, progress)
    except KitestringError as problem:
        problem.place = problem.place or str(given.path)
        raise


def _simulate(
    given: Scenario,
    folder: Path,
    seed: int | None,
    force: bool,
    threads: int | None,
    progress: Progress,
) -> Simulation:
    chosen = given.truth.seed if seed is None else seed
    if chosen < 0:
        raise ConfigurationError(
            f"a seed of {chosen} cannot be.", next_step="Give 0 or a positive integer."
        )
    digest = hashlib.sha256(f"{__version__}\n{chosen}\n{given.text}".encode()).hexdigest()
    observation = observation_of(given, chosen)
    rows = _begin(folder, digest, force=force)
    resumed, count = len(rows), len(observation.scans)
    for k, scan in enumerate(observation.scans):
        if scan.name not in rows:
            tell = telling(progress, f"simulate {scan.name}", k, count)
            rows[scan.name] = _scan(folder, observation, scan, chosen, threads, tell)
    _finish(folder, given, chosen, observation, rows)
    progress("simulate", 1.0)
    made = (folder / file for scan in observation.scans for file in rows[scan.name]["files"])
    return Simulation(folder, chosen, tuple(made), resumed)


def _scan(
    folder: Path,
    observation: Observation,
    scan: TrueScan,
    seed: int,
    threads: int | None,
    progress: Callable[[float], None] | None,
) -> dict[str, Any]:
    """Record a scan: its files come to their place when all of them are whole."""
    kept, part = folder / "recordings", folder / "recordings" / _PART
    shutil.rmtree(part, ignore_errors=True)
    truth, hit = record(observation, scan, part, seed, threads=threads, progress=progress)
    names = sorted(path.name for path in part.iterdir())
    for name in names:
        (part / name).replace(kept / name)
    part.rmdir()
    row: dict[str, Any] = json.loads(truth.to_json())
    row["recordings"] = {
        station: f"recordings/{Path(path).name}" for station, path in row["recordings"].items()
    }
    row["faults"] = {station: asdict(found) for station, found in hit.items()}
    row["files"] = [f"recordings/{name}" for name in names]
    with (folder / UNFINISHED).open("a", encoding="utf-8") as log:
        log.write(json.dumps({"scan": scan.name, "truth": row}) + "\n")
        log.flush()
        os.fsync(log.fileno())
    return row


def _begin(folder: Path, digest: str, *, force: bool) -> dict[str, dict[str, Any]]:
    """Make the directory ready; return the scans that an interrupted run has made."""
    log = folder / UNFINISHED
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(
            "is a file.", place=str(folder), next_step="Name another directory."
        )
    if folder.exists() and any(folder.iterdir()):
        rows = _interrupted(folder, digest)
        if rows is not None:
            return rows
        if not force:
            raise ConfigurationError(
                "the directory is not empty.",
                place=str(folder),
                next_step="Name another one, or say --force (force=True) to replace an earlier "
                "simulation in it.",
            )
        _clear(folder)
    (folder / "recordings").mkdir(parents=True, exist_ok=True)
    write_atomically(log, json.dumps({"digest": digest}) + "\n")
    return {}


def _interrupted(folder: Path, digest: str) -> dict[str, dict[str, Any]] | None:
    """Return the finished scans of an interrupted run of the same simulation, else None."""
    try:
        lines = (folder / UNFINISHED).read_text(encoding="utf-8").splitlines()
        if json.loads(lines[0]) != {"digest": digest}:
            return None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, IndexError):
        return None
    rows = {}
    for line in lines[1:]:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # the line that it was interrupted in
            break
        if all((folder / file).is_file() for file in row["truth"]["files"]):
            rows[row["scan"]] = row["truth"]
    # lines of scans whose files are gone, and a half one, are not to be appended to
    whole = [{"scan": name, "truth": row} for name, row in rows.items()]
    text = "\n".join(json.dumps(each) for each in ({"digest": digest}, *whole))
    write_atomically(folder / UNFINISHED, text + "\n")
    return rows


def _clear(folder: Path) -> None:
    """Remove an earlier simulation and what was made of it; nothing else."""
    file = folder / FILE_NAME
    begins = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    if not (begins.startswith(MARK) or (folder / UNFINISHED).is_file()):
        own = [name for name in (*_MADE, *_FILES) if (folder / name).exists()]
        if own:
            raise ConfigurationError(
                f"{own[0]!r} in it is of no simulation, and would be replaced.",
                place=str(folder),
                next_step="Name another directory.",
            )
        return
    for name in _MADE:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)


def _finish(
    folder: Path,
    given: Scenario,
    seed: int,
    observation: Observation,
    rows: Mapping[str, dict[str, Any]],
) -> None:
    write_atomically(folder / FILE_NAME, session_text(given, folder, observation))
    truth = {
        "made_by": f"kitestring {__version__}",
        "seed": seed,
        "scenario": given.text,
        "target": _told_target(observation),
        "scans": [rows[scan.name] for scan in observation.scans],
    }
    write_atomically(folder / TRUTH, json.dumps(truth, indent=1) + "\n")
    (folder / UNFINISHED).unlink()


def _told_target(observation: Observation) -> dict[str, Any] | None:
    """Return where the target truly is at the first scan's start."""
    craft = observation.spacecraft
    if craft is None:
        return None
    at = observation.scans[0].start.to("tdb")
    orbit = craft.trajectory
    state = np.asarray(orbit.state(at)).tolist()
    return {"name": orbit.name, "center": orbit.center, "epoch_tdb": at.iso(6), "state": state}


def session_text(given: Scenario, folder: Path, observation: Observation) -> str:
    """Return the session file: what the scenario tells, and the recordings that were made."""
    here = given.path.resolve().parent
    names = {c.name: o.station.name for c, o in _pairs(given, observation)}
    made = {
        (station.station.name, scan.name)
        for scan in observation.scans
        for station in observation.recorded_by(scan)
    }
    told = {key: _moved(key, value, here, folder) for key, value in given.told.items()}
    told["recording"] = [
        row
        for row in recordings(given.told, given.truth, names.__getitem__)
        if (names[row["station"]], row["scan"]) in made
    ]
    return f"{MARK} from {given.path.name}; no truth is in here.\n{to_toml(told)}\n"


def _pairs(
    given: Scenario, observation: Observation
) -> list[tuple[TrueStationSection, TrueStation]]:
    return list(zip(given.truth.station, observation.stations, strict=True))


_PATHS = {
    "stations": (),
    "earth": ("orientation", "ocean_loading"),
    "troposphere": ("vmf3", "csp"),
    "ionosphere": ("file",),
    "antenna": ("sag",),
    "target": ("rotation",),
}
"""Keys of a session file that name files."""


def _moved(key: str, value: Any, here: Path, folder: Path) -> Any:
    """Return a value whose files are named as seen from the session's directory."""

    def moved(name: Any) -> Any:
        if isinstance(name, list):
            return [moved(each) for each in name]
        path = here / str(name)
        return Path(os.path.relpath(path, folder.resolve())).as_posix() if path.is_file() else name

    if key == "tracking" and isinstance(value, list):
        return [{k: moved(v) if k == "file" else v for k, v in row.items()} for row in value]
    if key not in _PATHS:
        return value
    if isinstance(value, dict):
        return {k: moved(v) if k in _PATHS[key] else v for k, v in value.items()}
    return moved(value)
