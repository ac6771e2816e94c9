"""Where samples without frames lie in their files, and in time.

A file is a few stretches of samples that follow each other at the sample rate.
Where each stretch begins in time its metadata say; between them samples are
invalid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from kitestring.errors import RecordingError
from kitestring.model.time import Epoch
from kitestring.recordings.datatypes import DataType
from kitestring.recordings.formats import FrameCounts, Survey
from kitestring.recordings.types import Channel

_LONGEST = 1e10  # s: in three centuries the calendar's four digits of a year could run out
_MOST = 1 << 62  # samples that 64 bits can count


@dataclass(frozen=True)
class Stretch:
    """Samples that follow each other without a gap.

    Attributes
    ----------
    path : Path
        Their file.
    byte : int
        Where the first one begins in it.
    count : int
        Samples of each channel.
    start : Epoch
        Clock reading of the first, UTC.
    sky_frequency : float
        Hz, as in `Channel`; NaN where it is not known.
    width : int
        Channels that are interleaved.
    resolution : float
        Seconds to which `start` is stated: within it a stretch that follows
        another one in its file is taken to go on without a gap.
    follows : bool
        Whether it begins in the file where the one before it in the list ends.
    band : str
        What tells channels of one sky frequency apart, such as polarizations.
    """

    path: Path
    byte: int
    count: int
    start: Epoch
    sky_frequency: float
    width: int
    resolution: float = 0.0
    follows: bool = False
    band: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What stretches of the same channels share (NaN would not equal itself)."""
        return repr(self.sky_frequency), self.band


@dataclass(frozen=True)
class Stream:
    """Stretches of one recording, placed on its samples.

    Attributes
    ----------
    datatype : DataType
        Of all numbers.
    sample_rate : float
        Samples per second.
    paths : tuple of Path
        Files with samples.
    sizes : tuple of int
        Their lengths in bytes.
    stretches : tuple of Stretch
        In the order of time.
    firsts : tuple of int
        Index of the first sample of each.
    groups : tuple of int
        To which group of channels each belongs: those that were recorded at
        the same sky frequency.
    frequencies, widths : tuple
        Sky frequency and number of channels of each group.
    station : str
        As the files name it.
    truncated_bytes, skipped_bytes : int
        Bytes at the end that are no whole sample, and those that no stretch holds.
    own_channels : tuple of Channel
        Channels as the files state them; empty where they do not.
    """

    datatype: DataType
    sample_rate: float
    paths: tuple[Path, ...]
    sizes: tuple[int, ...]
    stretches: tuple[Stretch, ...]
    firsts: tuple[int, ...]
    groups: tuple[int, ...]
    frequencies: tuple[float, ...]
    widths: tuple[int, ...]
    station: str = ""
    truncated_bytes: int = 0
    skipped_bytes: int = 0
    own_channels: tuple[Channel, ...] = ()

    @classmethod
    def place(
        cls,
        datatype: DataType,
        sample_rate: float,
        stretches: Sequence[Stretch],
        **more: Any,
    ) -> Stream:
        """Place stretches on samples.

        Raises
        ------
        RecordingError
            Where there is none, or two of the same channels overlap in time.
        """
        known = [s for s in stretches if s.count > 0]
        if not known:
            raise RecordingError(
                "there are no samples.",
                place=str(stretches[0].path) if stretches else "",
                next_step="Copy the recording again.",
            )
        origin = min((s.start for s in known), key=lambda e: (int(e.day), float(e.second)))
        firsts: list[int] = []
        for i, one in enumerate(known):
            seconds = float(one.start.since(origin))
            first = round(seconds * sample_rate)
            if one.follows and i:
                ended = firsts[-1] + known[i - 1].count
                if abs(seconds - ended / sample_rate) <= one.resolution:
                    first = ended
            firsts.append(first)
        total = max(first + one.count for first, one in zip(firsts, known, strict=True))
        if total / sample_rate > _LONGEST or total > _MOST:
            raise RecordingError(
                f"at {sample_rate:.12g} samples a second there are {total / sample_rate:.6g} s "
                "from the first sample to the last.",
                place=str(known[firsts.index(max(firsts))].path),
                next_step="Mend the times, or the sample rate.",
            )
        bands: dict[tuple[str, str], Stretch] = {}
        for one in known:
            other = bands.setdefault(one.key, one)
            if other.width != one.width:
                raise RecordingError(
                    f"{one.width} channels, {other.width} in {other.path} at the same "
                    "sky frequency.",
                    place=str(one.path),
                    next_step="Open files of different recordings one by one.",
                )
        numbers = {key: group for group, key in enumerate(bands)}
        groups = [numbers[one.key] for one in known]
        order = sorted(range(len(known)), key=lambda i: firsts[i])
        paths = tuple(dict.fromkeys(s.path for s in known))
        _check_overlap(known, firsts, groups, order, sample_rate)
        return cls(
            datatype=datatype,
            sample_rate=sample_rate,
            paths=paths,
            sizes=tuple(p.stat().st_size for p in paths),
            stretches=tuple(known[i] for i in order),
            firsts=tuple(firsts[i] for i in order),
            groups=tuple(groups[i] for i in order),
            frequencies=tuple(one.sky_frequency for one in bands.values()),
            widths=tuple(one.width for one in bands.values()),
            **more,
        )

    @property
    def start(self) -> Epoch:
        """Clock reading of sample 0, UTC."""
        return self.stretches[self.firsts.index(0)].start

    @property
    def sample_count(self) -> int:
        """Samples from the first to the last."""
        return max(f + s.count for f, s in zip(self.firsts, self.stretches, strict=True))

    @property
    def channel_count(self) -> int:
        """Channels of all groups."""
        return sum(self.widths)

    @property
    def gaps(self) -> tuple[int, ...]:
        """Samples that are missing between stretches.

        While a receiver was tuned elsewhere nothing is missing: groups that come in
        one file take turns.
        """
        family = list(range(len(self.widths)))
        for path in self.paths:
            turns = {g for g, s in zip(self.groups, self.stretches, strict=True) if s.path == path}
            least = min(family[g] for g in turns)
            family = [least if g in turns else f for g, f in enumerate(family)]
        found = []
        for one in sorted(set(family)):
            mine = [i for i, g in enumerate(self.groups) if family[g] == one]
            for a, b in pairwise(mine):
                gap = self.firsts[b] - self.firsts[a] - self.stretches[a].count
                if gap > 0:
                    found.append(gap)
        return tuple(found)

    def counts(self) -> FrameCounts:
        """Return what is wrong; a stretch counts as a frame, a gap as a jump of time."""
        return FrameCounts(
            frames=len(self.stretches),
            time_jumps=len(self.gaps),
            skipped_bytes=self.skipped_bytes,
            truncated_bytes=self.truncated_bytes,
        )

    def survey(self, rate_origin: str, missing: Sequence[str]) -> Survey:
        """Return what metadata tell, for `describe`."""
        gaps, kind = self.gaps, self.datatype
        layout = f"{kind.name}, {len(self.stretches)} stretches in {len(self.paths)} file(s)"
        if len(self.widths) > 1:
            layout += f", {len(self.widths)} sky frequencies"
        if gaps:
            seconds = sum(gaps) / self.sample_rate
            layout += f", {len(gaps)} gaps of {seconds:.9g} s together"
        return Survey(
            station=self.station,
            start=self.start,
            stop=self.start.shifted(self.sample_count / self.sample_rate),
            sample_rate=self.sample_rate,
            rate_origin=rate_origin,
            channel_count=self.channel_count,
            bits=kind.bits,
            complex=kind.complex,
            layout=layout,
            counts=self.counts(),
            missing=tuple(missing),
        )


def _check_overlap(
    stretches: Sequence[Stretch],
    firsts: Sequence[int],
    groups: Sequence[int],
    order: Sequence[int],
    rate: float,
) -> None:
    last: dict[int, int] = {}
    for i in order:
        before = last.get(groups[i])
        if before is not None:
            over = firsts[before] + stretches[before].count - firsts[i]
            if over > 0:
                raise RecordingError(
                    f"the samples from {stretches[i].start.iso(9)} UTC on begin {over} samples "
                    f"({over / rate:.9g} s) before those from {stretches[before].start.iso(9)} UTC "
                    "on end.",
                    place=str(stretches[i].path),
                    next_step="Mend their start or the sample rate: two samples cannot be of one "
                    "time.",
                )
        last[groups[i]] = i
