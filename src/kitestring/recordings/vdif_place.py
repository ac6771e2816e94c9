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
from kitestring.recordings.vdif_scan import Bytes, Runs

Slots = NDArray[np.int64]

_SHORT = 4  # frames: a run of so few may be wrong where a long one is not
_AHEAD = 8  # runs that are looked at to see whether a sequence goes on
_SLACK = 64  # frames that may have been lost between
_NOT_STRAY = 4  # frames of a thread that is there on purpose


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
    beyond = runs["frames"][runs["number"] + runs["frames"] > values[-1]].sum()
    if beyond * 100 > runs["frames"].sum():
        return 0, 0
    return int(values[-1]), int(counts[-1])


@dataclass(frozen=True)
class Placed:
    """Where every frame of each thread belongs.

    Attributes
    ----------
    runs : dict of int to ndarray
        For each thread its runs in ascending slot, without overlap.
    used, invalid, out_of_range, wrong_time, duplicated, conflicting, out_of_order, time_jumps : int
        Numbers of frames (of jumps for the last).
    """

    runs: dict[int, Runs]
    used: int
    invalid: int
    out_of_range: int
    wrong_time: int
    duplicated: int
    conflicting: int
    out_of_order: int
    time_jumps: int


def place_frames(
    runs: Runs, threads: Sequence[int], per_second: int, header: VdifHeader, files: Sequence[Bytes]
) -> Placed:
    """Give frames their slots (frames since the reference epoch) and settle contradictions."""
    runs = runs.copy()
    over = np.clip(runs["number"] + runs["frames"] - per_second, 0, runs["frames"])
    out_of_range = int(over.sum())
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
            wrong += int(some["frames"][stray].sum())
            jumps += jumped
            some = some[~stray]
            disordered += _disordered(some)
            kept.append(some)
        together = np.concatenate(kept) if kept else np.zeros(0, dtype=RUN)
        together = together[np.lexsort((together["file"], together["offset"], together["slot"]))]
        together, copies, conflicts = _without_overlap(together, header, files)
        duplicated += copies
        conflicting += conflicts
        placed[thread] = merged(together)
    everything = np.concatenate(list(placed.values())) if placed else np.zeros(0, dtype=RUN)
    frames = everything["frames"]
    invalid = int(frames[everything["invalid"] > 0].sum())
    return Placed(
        placed, int(frames.sum()), invalid, out_of_range, wrong, duplicated, conflicting,
        disordered, jumps,
    )  # fmt: skip


def merged(runs: Runs) -> Runs:
    """Join runs of one thread that continue each other."""
    out = np.zeros(len(runs), dtype=RUN)
    return out[: int(merge_runs(runs, out))].copy()


def _strays(runs: Runs, window: int) -> tuple[NDArray[np.bool_], int]:
    """Tell runs of one thread and file whose time cannot be right; count jumps that are kept.

    Short runs that stand far (more than `window` slots) from frames before and
    after them that agree with each other, and those that left a hole of just
    their size in an otherwise unbroken sequence.
    """
    stray = np.zeros(len(runs), dtype=np.bool_)
    if len(runs) < 2:
        return stray, 0
    begin = runs["slot"].astype(np.int64)
    frames = runs["frames"].astype(np.int64)
    end = begin + frames
    far = np.abs(begin[1:] - end[:-1]) > window
    short = frames <= _SHORT
    jumps = 0
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
            jumps += 1
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


def _disordered(runs: Runs) -> int:
    """Count frames that follow a later one in the file."""
    end = runs["slot"] + runs["frames"]
    latest = np.maximum.accumulate(end)[:-1] if len(runs) > 1 else end[:0]
    return int(np.clip(latest - runs["slot"][1:], 0, runs["frames"][1:]).sum())


def _without_overlap(
    runs: Runs, header: VdifHeader, files: Sequence[Bytes]
) -> tuple[Runs, int, int]:
    """Keep one frame a slot; return the runs, and the numbers of copies and conflicts."""
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
        best = _best(single[same], length[same], header, files)
        keep[same] = False
        if best is None:
            conflicts += n
            continue
        keep[same[best[0]]] = True
        copies += best[1]
        conflicts += n - 1 - best[1]
    everything = np.concatenate([runs[~crowded], single[keep]])
    return everything[np.argsort(everything["slot"], kind="stable")], copies, conflicts


def _best(
    frames: Runs, length: NDArray[np.int64], header: VdifHeader, files: Sequence[Bytes]
) -> tuple[int, int] | None:
    """Choose among frames of one slot: (index, number of equal copies), or None.

    Equal samples are copies. Otherwise a frame out of a long unbroken run is
    believed against one out of a short run.
    """
    usable = np.flatnonzero(frames["invalid"] == 0)
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
