"""What a correlation lost: stations, their beginnings and ends, samples, channels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kitestring.correlate.plan import Plan
from kitestring.correlate.steering import jumps_of, steer
from kitestring.correlate.types import Visibilities

EDGE = 0.1
"""What a recording may lack at an end before that is told, s: a wavefront passes station and
geocentre 21 ms apart at most, and recordings are begun by clocks."""
_FEW = 1e-4  # of the samples, beside what the ends lack


@dataclass(frozen=True)
class StationLoss:
    """What one station lacks.

    Attributes
    ----------
    station : str
        Its name.
    late, early : float
        By how much its recording begins after the scan does there, and ends before
        it does, as its clock tells, s; 0 where it covers them.
    outside : float
        Fraction of the samples that both make.
    lost : float
        Fraction of the samples that are invalid or were never recorded, mean of the
        station's channels; NaN where it was not correlated with itself.
    jumps : int
        How often its clock jumps meanwhile: the segments in which it does are lost.
    """

    station: str
    late: float
    early: float
    outside: float
    lost: float
    jumps: int = 0

    def told(self) -> str:
        """Return it in words; empty where nothing is lost but what the ends may lack."""
        ends = [
            f"{verb} {seconds:.1f} s {how}"
            for verb, seconds, how in (("starts", self.late, "late"), ("ends", self.early, "early"))
            if seconds > EDGE
        ]
        if self.jumps:
            ends.append("its clock jumps" if self.jumps == 1 else f"{self.jumps} clock jumps")
        if not ends and not self.lost > self.outside + _FEW:
            return ""
        if np.isfinite(self.lost):
            share = "all" if self.lost >= 1.0 else f"{100 * self.lost:.2g} % of"
            ends.append(f"{share} samples")
        return f"{self.station}: {', '.join(ends)}"


@dataclass(frozen=True)
class ScanLoss:
    """What the correlation of a scan lacks.

    Attributes
    ----------
    missing : tuple of str
        Stations that have no recording of it.
    stations : tuple of StationLoss
        All that have one.
    unmatched : tuple of str
        Channels that no other station has, one line each.
    """

    missing: tuple[str, ...]
    stations: tuple[StationLoss, ...]
    unmatched: tuple[str, ...]

    def told(self) -> str:
        """Return all that is lost in words; empty where nothing is."""
        parts = [f"{name}: no recording" for name in self.missing]
        parts += filter(None, (one.told() for one in self.stations))
        parts += [f"{line}: no counterpart" for line in self.unmatched]
        return "; ".join(parts)


def losses(plan: Plan, mean: Visibilities, expected: Iterable[str] = ()) -> ScanLoss:
    """Return what a correlation lost.

    Parameters
    ----------
    plan : Plan
        What was correlated.
    mean : Visibilities
        Its visibilities as one integration
        (`kitestring.correlate.store.mean_visibilities`): weights are looked at.
    expected : iterable of str
        Stations of which a recording might have been.
    """
    names = [recording.station for recording in plan.recordings]
    lost: dict[str, list[float]] = {name: [] for name in names}
    for band, channel in zip(plan.bands, mean.channels, strict=True):
        for b, product, i, j in band.pairs:
            if i == j:
                station = names[band.inputs[i].station]
                lost[station].append(1.0 - float(channel.weight[0, b, product]))
    return ScanLoss(
        tuple(name for name in dict.fromkeys(expected) if name not in names),
        tuple(_station(plan, s, lost[name]) for s, name in enumerate(names)),
        plan.matching.unmatched,
    )


def _station(plan: Plan, station: int, lost: list[float]) -> StationLoss:
    """Return the loss of one station from those of its channels."""
    recording = plan.recordings[station]
    rate = recording.sample_rate
    begin = steer(plan, station, plan.chunks[0]).first[0]
    end = steer(plan, station, plan.chunks[-1]).first[-1] + plan.samples(station)
    placed = plan.placements[station]
    segments = plan.chunks[-1].first + plan.chunks[-1].segments
    late, early = max(0.0, -begin / rate), 0.0
    if recording.stop is not None:
        length = round(float(recording.stop.since(recording.start)) * rate)
        early = max(0.0, (end - length) / rate)
    return StationLoss(
        recording.station,
        float(late),
        float(early),
        float((late + early) * rate / (end - begin)),
        float(np.mean(lost)) if lost else np.nan,
        len(jumps_of(placed, placed.within, placed.within + segments * plan.segment)),
    )
