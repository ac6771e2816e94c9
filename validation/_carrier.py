"""A carrier at several stations: Fdets files read and joined, and what their residuals say."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _insight import FOUND, Flags, Floats, line_removed, rms

from kitestring.errors import FormatWarning
from kitestring.estimate.lander import LanderTarget
from kitestring.formats.fdets import read_fdets
from kitestring.model.earth import EarthModel
from kitestring.model.time import Epoch
from kitestring.observables.editing import lowest_elevation
from kitestring.observables.types import Observables

TURNAROUND = 880 / 749
BASE_FREQUENCY = 8400.49e6  # Hz, of session ED045C; its headers say 0
BASE_STEP = 1e4  # Hz; base frequencies are multiples of it
SAME_EPOCH = 1e-3  # s
# Hz from the median: beyond, the carrier was lost
LOST = 1.0
# What wanders: its scatter is more than so many times the noise between counts
WANDERS = 2.0
# mHz: a noise between counts, and a mean, that are worth a word
NOISE, MEAN = 7.0, 100.0
SIGMAS = 3.0
_STATED = re.compile(r"Base frequency:\s*([0-9.]+)\s*MHz", re.IGNORECASE)


@dataclass(frozen=True)
class Reception:
    """What one station received.

    Attributes
    ----------
    station : str
        Two-letter code.
    observables : Observables
        All of its files, ascending; frequencies in Hz by the assumed base.
    snr : ndarray, shape (n,)
        Signal-to-noise ratio as detected.
    elevation : ndarray, shape (n,)
        Of the lander, rad.
    """

    station: str
    observables: Observables
    snr: Floats
    elevation: Floats


@dataclass(frozen=True)
class Compared:
    """Residuals of a station or pair: observed less predicted.

    Attributes
    ----------
    name : str
        The station or pair.
    epoch : Epoch, shape (n,)
        UTC.
    residual : ndarray, shape (n,)
        mHz.
    slope : ndarray, shape (n,)
        Rate of the frequency itself, Hz/s: what a wrong time tag leaves, per second.
    good : ndarray of bool, shape (n,)
        Where the carrier was not lost.
    snr, elevation : ndarray, shape (n,)
        Signal-to-noise ratio, and elevation (rad): of a pair, at the station where it is lower.
    """

    name: str
    epoch: Epoch
    residual: Floats
    slope: Floats
    good: Flags
    snr: Floats
    elevation: Floats

    @property
    def seconds(self) -> Floats:
        """Time of the good rows from the first of all, s."""
        return self.epoch.since(self.epoch[0])[self.good]

    @property
    def kept(self) -> Floats:
        """The good residuals, mHz."""
        return self.residual[self.good]

    @property
    def mean(self) -> float:
        """Mean, mHz."""
        return float(np.mean(self.kept)) if np.any(self.good) else float("nan")

    @property
    def scatter(self) -> float:
        """Rms about the mean, mHz."""
        return rms(self.kept - self.mean)

    @property
    def about_line(self) -> float:
        """Rms about a line, mHz."""
        return rms(line_removed(self.seconds, self.kept)) if np.any(self.good) else float("nan")

    @property
    def noise(self) -> float:
        """Noise between neighbours as an rms, mHz; robust."""
        return float(np.median(np.abs(np.diff(self.kept))) / (0.6745 * np.sqrt(2.0)))


def stated_base(path: Path) -> float:
    """Return the base frequency that a header states, Hz; 0 where it states none."""
    found = _STATED.search(path.read_text(encoding="ascii", errors="replace")[:2000])
    return 1e6 * float(found[1]) if found else 0.0


def read_directory(
    directory: Path, transmitter: str, base: float | None, earth: EarthModel
) -> list[Reception]:
    """Read every Fdets file of a directory, joined by station.

    Without a base frequency the header's is taken, and `BASE_FREQUENCY` where that is zero.
    """
    found: dict[str, list[tuple[Observables, Floats]]] = {}
    for path in sorted(directory.glob("Fdets.*.txt")):
        code = re.search(r"\.([A-Z][a-z0-9])\.", path.name)
        if code is None:
            print(f"# {path.name}: no station's code in its name; passed over")
            continue
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", FormatWarning)
            observables = read_fdets(
                path,
                station=code[1],
                spacecraft="InSight",
                transmitter=transmitter,
                turnaround=TURNAROUND,
                base_frequency=base or stated_base(path) or BASE_FREQUENCY,
            )
        for warning in told:
            print(f"# {str(warning.message).replace(str(path), path.name)}")
        snr = np.loadtxt(path, comments="#", usecols=2, ndmin=1)
        found.setdefault(code[1], []).append((observables, snr))
    return [received(name, parts, earth) for name, parts in found.items()]


def received(
    station: str, parts: Sequence[tuple[Observables, Floats]], earth: EarthModel
) -> Reception:
    """Join files of one station in the order of time; of the same count the last file's is kept."""
    first = parts[0][0]
    epoch = Epoch.concatenate([o.epoch for o, _ in parts])
    seconds = epoch.since(epoch.first())
    order = np.argsort(seconds, kind="stable")
    last = np.append(np.diff(seconds[order]) > SAME_EPOCH, True)
    if not last.all():
        print(f"# {station}: {np.sum(~last)} counts are in another file again; the last is kept")
    order = order[last]
    value, sigma, count = (
        np.concatenate([getattr(o, name) for o, _ in parts])[order]
        for name in ("value", "sigma", "count")
    )
    observables = Observables(
        first.kind, first.path, epoch[order], value, sigma, count, first.epoch_reference
    )
    # only the receiver's: who sent looks at another time
    alone = replace(observables, path=replace(first.path, participants=("InSight", station)))
    lander = LanderTarget("InSight", "MARS", FOUND)
    elevation = lowest_elevation(alone, lander.trajectory(lander.values), earth)
    snr = np.concatenate([snr for _, snr in parts])[order]
    return Reception(station, observables, snr, elevation)


def compared(
    name: str, observables: Observables, residual: Floats, snr: Floats, elevation: Floats
) -> Compared:
    """Return residuals (Hz) with the rows marked in which the carrier was not lost."""
    known = np.isfinite(residual)
    middle = np.median(residual[known]) if np.any(known) else np.nan
    good = known & (np.abs(residual - middle) < LOST)
    seconds = observables.epoch.since(observables.epoch[0])
    slope = np.full(len(seconds), np.nan)
    if np.sum(good) > 3:
        cubic = np.polyfit(seconds[good], observables.value[good], 3)
        slope = np.polyval(np.polyder(cubic), seconds)
    return Compared(name, observables.epoch, 1e3 * residual, slope, good, snr, elevation)


def base_error(residual: Floats) -> float:
    """Return by how much the base frequency is wrong, Hz, from residuals that should be small."""
    known = residual[np.isfinite(residual)]
    return BASE_STEP * float(np.round(np.median(known) / BASE_STEP)) if len(known) else 0.0


def cause(found: Compared) -> str:
    """Say what a mean or a scatter that is large comes from, by what the residuals show."""
    if np.sum(found.good) < 4:
        return "the carrier was lost"
    told = []
    lost = ~found.good
    if np.any(lost):
        low, high = np.degrees(found.elevation[lost].min()), np.degrees(found.elevation[lost].max())
        told.append(
            f"the carrier was lost in {np.sum(lost)} of {len(lost)} counts at {low:.1f} to "
            f"{high:.1f} deg elevation (median SNR {np.median(found.snr[lost]):.0f} there, "
            f"{np.median(found.snr[found.good]):.0f} elsewhere)"
        )
    if found.about_line > WANDERS * found.noise:
        told.append("it wanders before")
    if found.noise > NOISE:
        told.append(f"noise between counts {found.noise:.1f} mHz")
    if abs(found.mean) > MEAN:
        told.append(_of_mean(found))
    return "; ".join(told) or "none"


def _of_mean(found: Compared) -> str:
    """Say whether a large mean can be a time tag's error or is an offset of frequency."""
    slope, kept = found.slope[found.good], found.kept
    tag = found.mean / (1e3 * float(np.mean(slope)))
    # a wrong tag's error follows the rate of the frequency, which changes; an offset does not
    drift = 1e3 * tag * (slope - np.mean(slope))
    size = float(np.sqrt(np.sum(drift**2)))
    share = float(np.sum(drift * (kept - found.mean))) / size**2
    error = found.about_line / size
    told = (
        f"{tag:+.2f} s would drift {np.ptp(drift):.1f} mHz, {share:.2f} +- {error:.2f} of it seen"
    )
    if abs(share - 1.0) < SIGMAS * error < abs(share):
        return f"as a time tag wrong by {told}"
    offset = "offset of frequency"
    return offset if abs(share) < SIGMAS * error else f"{offset}, not a time tag ({told})"
