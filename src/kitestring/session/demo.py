"""The demonstration: a delta-DOR session from voltages to an orbit, checked against its truth.

What is simulated stands in `kitestring.session.demo_scenario`. What processes
it reads the session file and the recordings alone. Truth comes back only to be
compared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from kitestring.errors import ConfigurationError
from kitestring.estimate.forward import ForwardModel
from kitestring.estimate.mapping import sky_axes, to_axes
from kitestring.session.demo_scenario import FULL, MARK, DemoSize, draw_truth, simulate_demo
from kitestring.session.file import FILE_NAME, read_session
from kitestring.session.orbit_stages import (
    Seen,
    from_earth,
    load_determined,
    middle_of,
    sky_sigmas,
)
from kitestring.session.report_stage import REPORT
from kitestring.session.run import Context, Progress, no_progress, run_session
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import load_delta_dor

Floats = NDArray[np.float64]

SURE = 0.999
MOST_SIGMAS = 3.5
LIMITS = {"time": 300.0, "memory": 2.0, "disk": 2.0}
_PASSED = 1.2  # a limit is broken beyond this


@dataclass(frozen=True)
class Check:
    """One figure beside its limits.

    Attributes
    ----------
    name, unit : str
        What it is.
    value : float
        What was found.
    low, high : float
        What it must lie between.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether it lies within its limits."""
        return bool(self.low <= self.value <= self.high)

    def __str__(self) -> str:
        limit = (
            f"{self.low:.4g} to {self.high:.4g}" if np.isfinite(self.low) else f"{self.high:.4g}"
        )
        mark = "ok" if self.passed else "FAILED"
        return f"{self.name} = {self.value:.4g} {self.unit} (limit {limit}) {mark}".replace(
            "  ", " "
        )


@dataclass(frozen=True)
class Row:
    """One delta-DOR beside its truth, s."""

    scan: str
    baseline: str
    value: float
    error: float
    sigma: float


@dataclass(frozen=True)
class DemoResult:
    """What a demonstration found.

    Attributes
    ----------
    seed : int
        What all hidden errors and noise were drawn with.
    rows : tuple of Row
        Every baseline and scan.
    sky_error, sky_sigma : ndarray, shape (3,)
        Error and sigma of the position at mid-session: east, north, radial, m.
    apriori_error : ndarray, shape (3,)
        Error of the a-priori position, m.
    seen : tuple of Seen
        What was observed and what not.
    checks : tuple of Check
        Figures of truth against sigma.
    limits : tuple of Check
        Time (s), memory and disk (GiB).
    report : Path
        The HTML report.
    """

    seed: int
    rows: tuple[Row, ...]
    sky_error: Floats
    sky_sigma: Floats
    apriori_error: Floats
    seen: tuple[Seen, ...]
    checks: tuple[Check, ...]
    limits: tuple[Check, ...]
    report: Path

    @property
    def passed(self) -> bool:
        """Whether all checks hold."""
        return all(check.passed for check in (*self.checks, *self.limits))


def run_demo(
    directory: str | Path,
    seed: int = 1,
    size: DemoSize = FULL,
    *,
    progress: Progress = no_progress,
    threads: int | None = None,
) -> DemoResult:
    """Simulate a session, process it, and compare with the truth.

    Parameters
    ----------
    directory : path
        Made, or emptied of an earlier demonstration.
    seed : int
        Settles all hidden errors and all noise.
    size : DemoSize
        `FULL`, or `SMALL` for a quick look.
    progress : Progress
        Told what goes on.
    threads : int, optional
        One a core by default.

    Raises
    ------
    ConfigurationError
        Where the directory holds something else.
    """
    began = time.perf_counter()
    folder = Path(directory)
    _clear(folder)
    simulate_demo(folder, seed, size, progress=progress, threads=threads)
    run_session(folder, progress=progress, threads=threads)
    return compare_with_truth(folder, seed, size, began)


def _clear(folder: Path) -> None:
    """Make the directory; remove an earlier demonstration, and nothing else."""
    import shutil

    file = folder / FILE_NAME
    if folder.exists() and any(folder.iterdir()):
        if not (file.is_file() and file.read_text(encoding="utf-8").startswith(MARK)):
            raise ConfigurationError(
                "the directory is not empty, and holds no earlier demonstration.",
                place=str(folder),
                next_step="Name another directory.",
            )
        for name in ("recordings", "truth", "products"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (REPORT, "ledger.jsonl"):
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)


def compare_with_truth(folder: Path, seed: int, size: DemoSize, began: float) -> DemoResult:
    """Compare what the stages of a demonstration found with what was put in.

    Parameters
    ----------
    folder : Path
        The demonstration's directory, with stages up to "orbit" done.
    seed : int
        What the truth was drawn with.
    size : DemoSize
        How large it is.
    began : float
        `time.perf_counter` at the beginning.
    """
    setting = Setting(Context(folder, read_session(folder)))
    truth = draw_truth(seed, size, setting.earth)
    delta = load_delta_dor(setting.context)
    # the delay that the true orbit has in the air that the delay models assume
    model = ForwardModel(setting.earth, media=setting.media)
    true = np.empty(len(delta))
    first = 0
    for part in delta.observables():
        rows = delta.rows_by_baseline()[first : first + len(part)]
        true[rows] = model.predict(part, truth.orbit).value
        first += len(part)
    error = delta.value - true
    independent = np.array(
        [k for k, b in enumerate(delta.baselines) if delta.reference_station in b]
    )
    inner = delta.covariance[np.ix_(independent, independent)]
    joint = float(error[independent] @ np.linalg.solve(inner, error[independent]))
    tail = 0.5 * (1.0 - SURE)
    low, high = chi2.ppf([tail, 1.0 - tail], len(independent))

    orbit = load_determined(setting.context).orbit
    assert orbit is not None  # the demonstration has a spacecraft
    middle = middle_of(setting)
    axes = sky_axes(from_earth(orbit, middle, setting)[:3])
    known = truth.orbit.state(middle)[:3]
    off = axes @ (orbit.state(middle)[:3] - known)
    covariance = to_axes(orbit.covariance(middle)[:3, :3], axes)
    sky = float(off[:2] @ np.linalg.solve(covariance[:2, :2], off[:2]))
    before = axes @ (setting.trajectory.state(middle)[:3] - known)
    worst = np.abs(error / delta.sigma)
    checks = (
        Check("worst delta-DOR error", float(worst.max()), -np.inf, MOST_SIGMAS, "sigma"),
        Check(f"joint chi-square of {len(independent)} rows", joint, float(low), float(high)),
        Check("plane-of-sky chi-square of 2", sky, -np.inf, float(chi2.ppf(SURE, 2))),
    )
    return DemoResult(
        seed=seed,
        rows=tuple(
            Row(scan, "-".join(pair), *numbers)
            for scan, pair, *numbers in zip(
                delta.scans,
                delta.baselines,
                delta.value.tolist(),
                error.tolist(),
                delta.sigma.tolist(),
                strict=True,
            )
        ),
        sky_error=off,
        sky_sigma=np.sqrt(np.diag(covariance)),
        apriori_error=before,
        seen=sky_sigmas(orbit, middle, setting),
        checks=checks,
        limits=_limits(folder, began),
        report=folder / REPORT,
    )


def _limits(folder: Path, began: float) -> tuple[Check, ...]:
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    used = (
        ("time", time.perf_counter() - began, "s"),
        ("memory", peak_memory() / 2**30, "GiB"),
        ("disk", disk / 2**30, "GiB"),
    )
    return tuple(
        Check(f"{name} (asked {LIMITS[name]:g})", value, -np.inf, _PASSED * LIMITS[name], unit)
        for name, value, unit in used
    )


def peak_memory() -> int:
    """Return the peak resident memory of this process, bytes."""
    import resource  # not on every system

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def summary_rows(result: DemoResult) -> Sequence[dict[str, object]]:
    """Return every delta-DOR as plain values, for JSON."""
    return [asdict(row) for row in result.rows]
