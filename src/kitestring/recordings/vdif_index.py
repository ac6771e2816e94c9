"""The index of a VDIF recording: its files, its threads and where their frames are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kitestring.errors import RecordingError
from kitestring.model.time import Epoch
from kitestring.recordings._kernels import THREADS
from kitestring.recordings.formats import Deviation, FrameCounts, Survey
from kitestring.recordings.vdif_common import Common, FirstHeaders, check_different, first_headers
from kitestring.recordings.vdif_groups import frame_in, group_files, keyed
from kitestring.recordings.vdif_header import VdifHeader, frames_per_second
from kitestring.recordings.vdif_outline import Outline, deviations, frames_at, looked_at, outline
from kitestring.recordings.vdif_place import Placed, place_frames
from kitestring.recordings.vdif_scan import Bytes, FileScan, Runs, map_files, scan_file
from kitestring.recordings.vdif_spans import VdifSpans, added, cut_into_spans

WHOLE = 1 << 30  # bytes of a recording up to which all headers are read on opening
_LISTED = 8  # groups of files that are named


@dataclass(frozen=True)
class VdifIndex:
    """Where the frames of a recording are, and what is wrong with it.

    Attributes
    ----------
    paths : tuple of Path
        Its files.
    sizes : tuple of int
        Their lengths in bytes when they were looked at.
    header : VdifHeader
        What all frames have in common.
    threads : tuple of int
        Threads, ascending: the order of the channels. Those of further groups of files
        (`vdif_groups`) have 1024 added for each group.
    sample_rate : float or None
        Samples per second; None where it is not known, and then nothing is placed.
    rate_origin : str
        As in `Survey`.
    runs : dict of int to ndarray
        For each thread, runs of frames by slot (frames since the reference epoch);
        empty where there are `spans`.
    first_slot, stop_slot : int
        Slot of the first frame, and that after the last.
    counts : FrameCounts
        Damage; that of the places that were looked at where there are `spans`.
    headers : int
        Headers that were looked at.
    spans : VdifSpans or None
        What indexes a long recording while it is read.
    sampled : bool
        Whether only some headers were looked at.
    deviations : tuple of (int, int)
        Slot and number of slots of the largest deviations of time, if there are `spans`.
    groups : tuple of int
        The group of each file.
    """

    paths: tuple[Path, ...]
    sizes: tuple[int, ...]
    header: VdifHeader
    threads: tuple[int, ...]
    sample_rate: float | None
    rate_origin: str
    runs: dict[int, Runs]
    first_slot: int
    stop_slot: int
    counts: FrameCounts
    headers: int
    spans: VdifSpans | None = None
    sampled: bool = False
    deviations: tuple[tuple[int, int], ...] = ()
    groups: tuple[int, ...] = (0,)

    @classmethod
    def build(
        cls,
        paths: Sequence[str | Path],
        *,
        sample_rate: float | None = None,
        channel_count: int | None = None,
        check_all: bool = False,
        headers: Callable[[Sequence[Path], Sequence[Bytes]], FirstHeaders] = first_headers,
    ) -> VdifIndex:
        """Find the frames of one recording.

        All headers are read where the files together have at most 1 GiB, or where
        time does not ascend in a file. Else both ends and about a thousand
        places between are looked at, and `spans` reads the others when they are
        needed.

        Parameters
        ----------
        paths : sequence of path-like
            Files of one station: channels apart, or one after another in time.
        sample_rate : float, optional
            Samples per second; else from the headers (extended data versions
            1 and 3) or from the frame numbers where a second ends.
        channel_count : int, optional
            How many channels there should be; else all threads that occur
            regularly are taken.
        check_all : bool
            Read all headers of a long recording too, and count all damage.
        headers : callable
            Finds the first header of each file; other formats of frames have their own.

        Raises
        ------
        RecordingError
            Where the files are not VDIF, not of one recording, or contradict
            the sample rate or the number of channels.
        """
        files = tuple(Path(p) for p in paths)
        check_different(files)
        data = map_files(files)
        begins, header = headers(files, data)
        common = Common(files, data, header, begins, sample_rate, channel_count)
        if sum(map(len, data)) > WHOLE:
            outlines = [
                outline(d, header, b, i) for i, (d, b) in enumerate(zip(data, begins, strict=True))
            ]
            found = cls._long(common, outlines, check_all)
            if found is not None:
                return found
        return cls._whole(common)

    @classmethod
    def _whole(cls, common: Common) -> VdifIndex:
        """Read all headers."""
        files, data, header = common.files, common.data, common.header
        scans = _scan_all(files, data, header)
        seen = [s.runs for s in scans]
        groups = group_files(
            files, data, header, seen, lambda file, *frame: frame_in(seen[file], *frame)
        )
        runs = keyed(np.concatenate(seen), groups)
        threads = common.choose_threads(runs)
        odd = int(runs["frames"][~np.isin(runs["thread"], threads)].sum())
        headers = int(runs["frames"].sum()) + sum(s.damaged for s in scans)
        sizes = tuple(map(len, data))
        rate, origin, per_second = common.rate(runs)
        if rate is None:
            counts = _counts(scans, odd, None, threads, 0)
            counts = replace(counts, frames=int(runs["frames"].sum()) - odd)
            return cls(
                files, sizes, header, threads, None, "", {}, 0, 0, counts, headers, groups=groups
            )
        placed = place_frames(runs, threads, per_second, header, data)
        common.check_rate(placed, runs, per_second, rate)
        first = min(int(r["slot"][0]) for r in placed.runs.values() if len(r))
        stop = max(int(r["slot"][-1] + r["frames"][-1]) for r in placed.runs.values() if len(r))
        counts = _counts(scans, odd, placed, threads, stop - first)
        return cls(
            files, sizes, header, threads, rate, origin, placed.runs, first, stop, counts, headers,
            groups=groups,
        )  # fmt: skip

    @classmethod
    def _long(cls, common: Common, outlines: list[Outline], check_all: bool) -> VdifIndex | None:
        """Look at both ends and at places between; None where that does not tell enough."""
        files, data, header = common.files, common.data, common.header
        if any(len(one.looks) < 2 for one in outlines):
            return None
        groups = group_files(
            files, data, header, [np.concatenate(one.looks) for one in outlines],
            lambda file, thread, time: frame_in(
                frames_at(data[file], header, outlines[file], time, file), thread, time
            ),
        )  # fmt: skip
        ends, runs = looked_at(data, header, outlines, groups)
        threads = common.choose_threads(runs)
        rate, origin, per_second = common.rate(runs)
        sizes = tuple(map(len, data))
        headers = int(runs["frames"].sum())
        absent = FrameCounts(damaged=sum(one.absent for one in outlines))
        total = sum(
            (size - begin) // header.frame_bytes
            for size, begin in zip(sizes, common.begins, strict=True)
        )
        if rate is None:
            counts = replace(absent, frames=total)
            return cls(
                files, sizes, header, threads, None, "", {}, 0, 0, counts, headers, sampled=True,
                groups=groups,
            )  # fmt: skip
        common.check_rate(
            place_frames(ends, threads, per_second, header, data), runs, per_second, rate
        )
        parts = cut_into_spans(data, header, outlines, per_second, len(threads))
        if parts is None:
            return None
        spans = VdifSpans(files, header, threads, per_second, parts, sizes, groups)
        spans.attach(data)
        first, stop = spans.ends()
        sampled: list[tuple[int, int]] = []
        if check_all:
            counts = spans.check_all()
            headers = counts.frames + counts.damaged + counts.wrong_time + counts.duplicated
            slots = (stop - first) * len(threads)
            counts = replace(counts, missing=max(slots - counts.frames, 0))
        else:
            counts = added([spans.counts(), absent])
            missing = (stop - first) * len(threads) - total
            counts = replace(counts, frames=total, missing=max(missing, 0))
            for i, one in enumerate(outlines):
                mine = np.unique(keyed(np.concatenate(one.looks), groups)["thread"])
                here = max(len(np.intersect1d(mine, threads)), 1)
                sampled += deviations(data[i], header, one, per_second, here, i)
            sampled.sort(key=lambda found: -abs(found[1]))
            jumps = sum(abs(slots) > per_second / 2 for _, slots in sampled)
            counts = replace(counts, time_jumps=counts.time_jumps + jumps)
        return cls(
            files, sizes, header, threads, rate, origin, {}, first, stop, counts, headers, spans,
            not check_all, tuple(sampled), groups,
        )  # fmt: skip

    def thread_runs(self, thread: int, first: int, slots: int) -> Runs:
        """Return runs of a thread, ascending, with all its frames of `slots` slots from `first`."""
        if self.spans is not None:
            return self.spans.runs(thread, first, slots)
        return self.runs[thread]

    @property
    def channel_count(self) -> int:
        """Channels of the recording."""
        return len(self.threads) * self.header.channel_count

    @property
    def rate(self) -> float:
        """Samples per second, of a recording that has been placed in time."""
        assert self.sample_rate is not None
        return self.sample_rate

    def slot_epoch(self, slot: int) -> Epoch:
        """Return the clock reading at the start of a slot, UTC."""
        per_second = frames_per_second(self.header, self.rate)
        second, number = divmod(slot, per_second)
        return self.header.epoch_at(second).shifted(number / per_second)

    def survey(self) -> Survey:
        """Return what the headers tell, for `describe`."""
        header = self.header
        placed = self.sample_rate is not None
        missing = ["sky frequencies and sidebands (channels=)"]
        if not placed:
            missing.insert(0, "sample rate (sample_rate=)")
        edv = "legacy headers" if header.legacy else f"extended data version {header.edv}"
        names = ", ".join(str(t % THREADS) for t in self.threads)
        groups = ""
        if any(self.groups):
            firsts = [str(self.paths[self.groups.index(g)]) for g in range(max(self.groups) + 1)]
            groups = f" in {len(firsts)} groups of files ({_listed(firsts)})"
        return Survey(
            station=header.station_code,
            start=self.slot_epoch(self.first_slot) if placed else header.epoch_of_second,
            stop=self.slot_epoch(self.stop_slot) if placed else None,
            sample_rate=self.sample_rate,
            rate_origin=self.rate_origin,
            channel_count=self.channel_count,
            bits=header.bits,
            complex=header.complex,
            layout=f"{len(self.threads)} threads ({names}) of {header.channel_count} channels"
            f"{groups}, frames of {header.frame_bytes} bytes, {edv}",
            counts=self.counts,
            missing=tuple(missing),
            headers=self.headers,
            sampled=self.sampled,
            deviations=tuple(
                Deviation(self.slot_epoch(slot), float(slots * header.frame_samples / self.rate))
                for slot, slots in self.deviations
            ),
        )


def _listed(names: list[str]) -> str:
    """Return a few names, and that there are more."""
    more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return ", ".join([*names[:_LISTED], *more])


def _scan_all(files: tuple[Path, ...], data: list[Bytes], header: VdifHeader) -> list[FileScan]:
    scans: list[FileScan] = []
    for i, (path, mapped) in enumerate(zip(files, data, strict=True)):
        scans.append(scan_file(mapped, header, i))
        if not len(scans[-1].runs):
            raise RecordingError(
                "no whole frame could be read.",
                place=str(path),
                next_step="The file is damaged or cut off: copy it again.",
            )
    return scans


def _counts(
    scans: list[FileScan], odd: int, placed: Placed | None, threads: tuple[int, ...], slots: int
) -> FrameCounts:
    damaged = sum(s.damaged for s in scans) + odd
    skipped = sum(s.skipped_bytes for s in scans)
    cut = sum(s.truncated_bytes for s in scans)
    if placed is None:
        return FrameCounts(damaged=damaged, skipped_bytes=skipped, truncated_bytes=cut)
    return FrameCounts(
        frames=placed.used,
        missing=slots * len(threads) - placed.used,
        invalid=placed.invalid,
        partly_invalid=placed.partly_invalid,
        damaged=damaged + placed.out_of_range,
        wrong_time=placed.wrong_time,
        duplicated=placed.duplicated,
        conflicting=placed.conflicting,
        out_of_order=placed.out_of_order,
        time_jumps=placed.time_jumps,
        skipped_bytes=skipped,
        truncated_bytes=cut,
    )
