"""Records an observation: files of all stations and scans, with their faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kitestring.errors import ConfigurationError
from kitestring.simulate.faults import FaultRecord, damage_vdif
from kitestring.simulate.observation import Observation
from kitestring.simulate.truths import TrueScan
from kitestring.simulate.types import ScanTruth, SimulatedStation
from kitestring.simulate.voltages import frame_bytes, simulate_scan


def record(
    observation: Observation,
    scan: TrueScan,
    directory: str | Path,
    seed: int,
    *,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[ScanTruth, dict[str, FaultRecord]]:
    """Record one scan: one recording a station, with the faults that are asked for.

    Parameters
    ----------
    observation : Observation
        What there is.
    scan : TrueScan
        One of its scans.
    directory : path
        Where ``<scan>_<station>.vdif`` (``.sigmf-data`` and ``-meta``) are written; made
        where missing.
    seed : int
        Of all noise and all faults.
    threads : int, optional
        All cores by default.
    progress : callable, optional
        Told the fraction done.

    Returns
    -------
    truth : ScanTruth
        What was put in.
    faults : dict of str to FaultRecord
        What happened to frames, by station.

    Raises
    ------
    ConfigurationError
        For faults that leave nothing of a recording.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    stations = [observation.simulated(scan, s) for s in observation.recorded_by(scan)]
    for station in stations:
        if _covered(station.outages, scan.duration):
            raise _nothing_left(scan, station)
    truth = simulate_scan(
        source=observation.signal(scan),
        stations=stations,
        start=scan.start,
        duration=scan.duration,
        sink=folder,
        seed=seed,
        scan=scan.name,
        threads=threads,
        progress=progress,
    )
    hit: dict[str, FaultRecord] = {}
    number = [s.name for s in observation.scans].index(scan.name)
    for k, station in enumerate(stations):
        meant = (f for f in observation.faults if f.hits(station.name, scan.name))
        faults = [f.frames for f in meant if f.frames is not None]
        if faults and not station.signed:  # recorders of SigMF have had their outages
            path, rate = truth.recordings[station.name], frames_per_second(station, scan)
            hit[station.name] = damage_vdif(path, faults, rate, (seed, number, k))
            if not Path(path).stat().st_size:
                raise _nothing_left(scan, station)
    return truth, hit


def _nothing_left(scan: TrueScan, station: SimulatedStation) -> ConfigurationError:
    return ConfigurationError(
        f"faults leave nothing of scan {scan.name} at {station.name}.",
        next_step="Let them leave a part, or say missing = true.",
    )


def _covered(outages: Sequence[tuple[float, float]], duration: float) -> bool:
    """Tell whether outages leave nothing of a scan."""
    reached = 0.0
    for begin, end in sorted(outages):
        if begin > reached:
            break
        reached = max(reached, end)
    return reached >= duration


def frames_per_second(station: SimulatedStation, scan: TrueScan) -> float:
    """Return how many VDIF frames of all channels a station writes in a second."""
    first = station.channels[0]
    bits = station.bits * (2 if first.complex else 1)
    samples = 8 * frame_bytes(station, scan.start, scan.duration) / bits
    return len(station.channels) * first.sample_rate / samples


def simulate_observation(
    observation: Observation,
    directory: str | Path,
    seed: int,
    *,
    threads: int | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> list[ScanTruth]:
    """Record all scans of an observation.

    Parameters
    ----------
    observation : Observation
        What there is.
    directory : path
        As of `record`.
    seed : int
        Of all noise and all faults.
    threads : int, optional
        All cores by default.
    progress : callable, optional
        Told (what is going on, fraction done).

    Returns
    -------
    list of ScanTruth
        What was put into each scan.
    """
    truths = []
    for k, scan in enumerate(observation.scans):
        tell = telling(progress, f"simulate {scan.name}", k, len(observation.scans))
        truths.append(record(observation, scan, directory, seed, threads=threads, progress=tell)[0])
    return truths


def telling(
    progress: Callable[[str, float], None] | None, what: str, k: int, n: int
) -> Callable[[float], None] | None:
    """Return what turns the fraction of the k-th of n steps into that of all of them."""
    if progress is None:
        return None
    return lambda fraction: progress(what, (k + fraction) / n)
