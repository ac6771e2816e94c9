"""Deciding when each VDIF frame was recorded.

A header decides where its frame belongs; where a frame lies in the file only
helps to tell damaged headers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.recordings._kernels import RUN, merge_runs
from kitestring.recordings.vdif_header import VdifHeader
from kitestring.recordings.vdif_scan import Bytes, Part, Runs

Slots = NDArray[np.int64]

_SHORT = 4  # frames: a run of so few may be wrong where a long one is not
_AHEAD = 8  # runs that are looked at to see whether a sequence goes on
_SLACK = 64  # frames that may have been lost between
_NOT_STRAY = 4  # frames of a thread that is there on purpose
_TRIED = 8  # numbers of frames in a second that may be damaged ones


def choose_threads(runs: Runs, wanted: int | None) -> tuple[int, ...]:
    """Return the threads of a recording: the `wanted` most frequent, or all but stray ones.

    A thread number that stands in very few headers is a damaged one.
    """
    frames = np.bincount(runs["thread"], weights=runs["frames"], minlength=1)
    if wanted is not None:
        best = np.argsort(-frames, kind="stable")[:wanted]
        best = best[frames[best] > 0]
    else:
        most = frames.max(initial=0)
        best = np.flatnonzero((frames * 10 >= most) & ((frames > 1) | (most < 4)) & (frames > 0))
    return tuple(sorted(int(t) for t in best))


def left_out(runs: Runs, chosen: tuple[int, ...]) -> int:
    """Return how many threads were not chosen although they are no stray ones.

    Such a thread has half the frames of the rarest chosen one: a damaged number
    stands alone.
    """
    frames = np.bincount(runs["thread"], weights=runs["frames"], minlength=1)
    least = frames[list(chosen)].min(initial=np.inf)
    others = np.delete(frames, list(chosen))
    return int(np.sum((2 * others >= least) & (others >= _NOT_STRAY)))


def infer_frames_per_second(runs: Runs) -> tuple[int, int]:
    """Return the frames per second that second changes tell, and in how many seconds.

    The last frame of a second may be lost or late, so the largest number counts
    that few frames exceed. (0, 0) where no second ends inside the recording.
    """
    order = np.lexsort((runs["offset"], runs["thread"], runs["file"]))
    a, b = runs[order[:-1]], runs[order[1:]]
    change = (
        (a["thread"] == b["thread"])
        & (a["file"] == b["file"])
        & (a["second"] + 1 == b["second"])
        & (b["number"] == 0)
    )
    ends = np.stack([(a["number"] + a["frames"])[change], a["second"][change]])
    values, counts = np.unique(np.unique(ends, axis=1)[0], return_counts=True)
    if np.any(counts > 1):  # a damaged number would stand alone
        values, counts = values[counts > 1], counts[counts > 1]
    if not len(values):
        return 0, 0
    ends, frames, best = runs["number"] + runs["frames"], runs["frames"], len(values) - 1
    for k in range(best, max(best - _TRIED, 0), -1):  # damaged alike: no frames lead up to it
        if 10 * np.clip(ends - values[k] // 2, 0, frames).sum() >= frames.sum():
            break
        best = k - 1
    if 100 * frames[ends > values[best]].sum() > frames.sum():
        return 0, 0
    return int(values[best]), int(counts[best])


@dataclass(frozen=True)
class Placed:
    """Where every frame of each thread belongs.

    Attributes
    ----------
    runs : dict of int to ndarray
        For each thread its runs in ascending slot, without overlap.
    used, invalid, partly_invalid, out_of_range, wrong_time, duplicated, conflicting : int
        Numbers of frames.
    out_of_order, time_jumps : int
        Number of frames, and of jumps.
    """

    runs: dict[int, Runs]
    used: int
    invalid: int
    partly_invalid: int
    out_of_range: int
    wrong_time: int
    duplicated: int
    conflicting: int
    out_of_order: int
    time_jumps: int


def place_frames(
    runs: Runs,
    threads: Sequence[int],
    per_second: int,
    header: VdifHeader,
    files: Sequence[Bytes],
    part: Part | None = None,
) -> Placed:
    """Give frames their slots (frames since the reference epoch) and settle contradictions.

    With `part`, a part of one file, only frames that begin in it are counted and returned;
    those around it help to decide.
    """
    runs = runs.copy()
    over = np.clip(runs["number"] + runs["frames"] - per_second, 0, runs["frames"])
    out_of_range = int(over[_inside(runs, part)].sum())
    runs["frames"] -= over
    runs = runs[runs["frames"] > 0]
    runs["slot"] = runs["second"] * per_second + runs["number"]
    window = max(per_second // 2, 1)
    wrong = duplicated = conflicting = disordered = jumps = 0
    placed: dict[int, Runs] = {}
    for thread in threads:
        kept: list[Runs] = []
        mine = runs[runs["thread"] == thread]
        for file in np.unique(mine["file"]):
            some = mine[mine["file"] == file]
            some = merged(some[np.argsort(some["offset"], kind="stable")])
            stray, jumped = _strays(some, window)
            inside = _inside(some, part)
            wrong += int(some["frames"][stray & inside].sum())
            jumps += int(np.count_nonzero(jumped & inside))
            disordered += _disordered(some[~stray], inside[~stray])
            some = some[~stray]
            kept.append(some)
        together = np.concatenate(kept) if kept else np.zeros(0, dtype=RUN)
        together = together[np.lexsort((together["file"], together["offset"], together["slot"]))]
        together, copies, conflicts = without_overlap(together, header, files, part)
        duplicated += copies
        conflicting += conflicts
        placed[thread] = cropped(merged(together), part)
    everything = np.concatenate(list(placed.values())) if placed else np.zeros(0, dtype=RUN)
    frames = everything["frames"]
    invalid, partly = (int(frames[everything["invalid"] == mark].sum()) for mark in (1, 2))
    return Placed(
        placed, int(frames.sum()), invalid, partly, out_of_range, wrong, duplicated, conflicting,
        disordered, jumps,
    )  # fmt: skip


def _inside(runs: Runs, part: Part | None) -> NDArray[np.bool_]:
    """Which runs begin in a part of the file."""
    if part is None:
        return np.ones(len(runs), dtype=np.bool_)
    return (runs["offset"] >= part.begin) & (runs["offset"] < part.end)


def cropped(runs: Runs, part: Part | None) -> Runs:
    """Return the frames of runs that begin in a part of the file."""
    if part is None:
        return runs
    runs = runs.copy()
    stride = np.maximum(runs["stride"], 1)
    first = np.clip(-((runs["offset"] - part.begin) // stride), 0, runs["frames"])
    stop = np.clip(-((runs["offset"] - part.end) // stride), 0, runs["frames"])
    return shortened(runs, first, stop)


def shortened(runs: Runs, first: Slots, stop: Slots) -> Runs:
    """Return of each run the frames `first` to `stop` (not included)."""
    runs = runs.copy()
    runs["slot"] += first
    runs["offset"] += first * runs["stride"]
    runs["frames"] = np.maximum(stop - first, 0)
    return runs[runs["frames"] > 0]


def merged(runs: Runs) -> Runs:
    """Join runs of one thread that continue each other."""
    out = np.zeros(len(runs), dtype=RUN)
    return out[: int(merge_runs(runs, out))].copy()


def _strays(runs: Runs, window: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell runs of one thread and file whose time cannot be right, and jumps that are kept.

    Short runs that stand far (more than `window` slots) from frames before and
    after them that agree with each other, and those that left a hole of just
    their size in an otherwise unbroken sequence.
    """
    stray = np.zeros(len(runs), dtype=np.bool_)
    jumps = stray.copy()
    if len(runs) < 2:
        return stray, jumps
    begin = runs["slot"].astype(np.int64)
    frames = runs["frames"].astype(np.int64)
    end = begin + frames
    far = np.abs(begin[1:] - end[:-1]) > window
    short = frames <= _SHORT
    good = -1  # the last run that is believed
    for i in np.unique(np.concatenate([[0], np.flatnonzero(far), np.flatnonzero(far) + 1])):
        # runs before i that were not near a jump are believed
        good = _last_believed(stray, i)
        if good < 0:
            ahead = slice(i + 1, i + 1 + _AHEAD)
            alone = not np.any(np.abs(begin[ahead] - end[i]) <= window)
            stray[i] = short[i] and alone and frames[ahead].max(initial=0) > 2 * frames[i]
            continue
        if abs(begin[i] - end[good]) <= window:
            continue
        ahead = slice(i + 1, i + 1 + _AHEAD)
        back = np.any(np.abs(begin[ahead] - end[good]) <= window + _SLACK)
        at_end = i + 1 == len(runs) and frames[good] > 2 * frames[i]
        if short[i] and (back or at_end):
            stray[i] = True
        else:
            jumps[i] = True
    hole = np.zeros(len(runs), dtype=np.bool_)
    if len(runs) > 2:
        gap = begin[2:] - end[:-2]
        hole[1:-1] = (gap == frames[1:-1]) & (begin[1:-1] != end[:-2]) & short[1:-1]
    order = np.argsort(begin)
    ascending = begin[order]
    reach = np.maximum.accumulate(np.where(stray, 0, end)[order])
    usual = _usual_delay(begin[~hole & ~stray], end[~hole & ~stray])
    for i in np.flatnonzero(hole & ~stray):
        if abs(begin[i] - end[i - 1]) <= usual:
            continue  # a late frame that came where another was lost
        before = int(np.searchsorted(ascending, end[i - 1] + frames[i]))
        stray[i] = not before or reach[before - 1] <= end[i - 1]  # nothing else fills the hole
    return stray, jumps


def _usual_delay(begin: Slots, end: Slots) -> int:
    """Return by how many slots frames of this file come late elsewhere."""
    if len(begin) < 2:
        return 0
    return max(int((np.maximum.accumulate(end)[:-1] - begin[1:]).max()), 0)


def _last_believed(stray: NDArray[np.bool_], before: int) -> int:
    while before > 0:
        before -= 1
        if not stray[before]:
            return before
    return -1


def _disordered(runs: Runs, inside: NDArray[np.bool_]) -> int:
    """Count frames that follow a later one in the file."""
    end = runs["slot"] + runs["frames"]
    latest = np.maximum.accumulate(end)[:-1] if len(runs) > 1 else end[:0]
    return int(np.clip(latest - runs["slot"][1:], 0, runs["frames"][1:])[inside[1:]].sum())


def without_overlap(
    runs: Runs, header: VdifHeader, files: Sequence[Bytes], part: Part | None = None
) -> tuple[Runs, int, int]:
    """Keep one frame a slot; return the runs, and the numbers of copies and conflicts.

    With `part`, such slots are counted where the first of their frames lies in it.
    """
    if len(runs) < 2:
        return runs, 0, 0
    latest = np.maximum.accumulate(runs["slot"] + runs["frames"])
    fresh = np.concatenate([[True], runs["slot"][1:] >= latest[:-1]])
    cluster = np.cumsum(fresh) - 1
    crowded = np.bincount(cluster)[cluster] > 1
    if not np.any(crowded):
        return runs, 0, 0
    single = np.repeat(runs[crowded], runs["frames"][crowded])
    index = np.concatenate([np.arange(n) for n in runs["frames"][crowded]])
    length = single["frames"].copy()
    single["slot"] += index
    single["offset"] += index * single["stride"]
    single["frames"], single["stride"] = 1, 0
    order = np.argsort(single["slot"], kind="stable")
    single, length = single[order], length[order]
    _, first, count = np.unique(single["slot"], return_index=True, return_counts=True)
    keep = np.ones(len(single), dtype=np.bool_)
    copies = conflicts = 0
    for begin, n in zip(first[count > 1], count[count > 1], strict=True):
        same = np.arange(begin, begin + n)
        counted = int(_inside(single[same], part)[np.argmin(single["offset"][same])])
        best = _best(single[same], length[same], header, files)
        keep[same] = False
        if best is None:
            conflicts += counted * int(n)
            continue
        keep[same[best[0]]] = True
        copies += counted * best[1]
        conflicts += counted * (int(n) - 1 - best[1])
    everything = np.concatenate([runs[~crowded], single[keep]])
    return everything[np.argsort(everything["slot"], kind="stable")], copies, conflicts


def _best(
    frames: Runs, length: NDArray[np.int64], header: VdifHeader, files: Sequence[Bytes]
) -> tuple[int, int] | None:
    """Choose among frames of one slot: (index, number of equal copies), or None.

    Equal samples are copies. Otherwise a frame out of a long unbroken run is
    believed against one out of a short run.
    """
    usable = np.flatnonzero(frames["invalid"] != 1)
    if not len(usable):
        return 0, len(frames) - 1

    def payload(i: Any) -> bytes:
        at = int(frames[i]["offset"]) + header.header_bytes
        return files[int(frames[i]["file"])][at : at + header.payload_bytes].tobytes()

    best = usable[np.argmax(length[usable])]
    mine = payload(best)
    copies = [i for i in usable if i != best and payload(i) == mine]
    others = [i for i in usable if i != best and i not in copies]
    if all(length[i] <= _SHORT and length[best] > 2 * length[i] for i in others):
        return int(best), len(copies) + (len(frames) - len(usable))
    return None
