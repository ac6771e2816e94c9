"""Which files of a VDIF recording hold the same channels.

Threads tell channels apart. A recorder that writes each channel (or group of channels)
into a file of its own may give all of them one thread number: files that have frames of
the same thread and time, but with other samples, are different channels. Each group of
files then has thread numbers of its own, `THREADS` from group to group, and all that
follows sees threads alone.

Files one after another in time share no such frames, nor do files of different threads:
they are one group. Where groups are cut in time as well, a file belongs to the first group
with which it has nothing in common, so that the files of every stretch of time have to be
named in the same order.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import RecordingError, RecordingWarning
from kitestring.recordings._kernels import THREADS
from kitestring.recordings.vdif_header import VdifHeader
from kitestring.recordings.vdif_place import choose_threads
from kitestring.recordings.vdif_scan import Bytes, Runs, check_length, release

Find = Callable[[int, int, int], int]
"""Given file, thread and time (`times`), returns the byte of that frame, or -1."""

_PROBES = 8  # frames of a file that are looked for in another one
_SHARED = 0.25  # of a file's frames: damaged times alone do not make so many meet another file's
_ENOUGH = 3  # frames that agree: one may be damaged
_COMPARED = 4096  # bytes of samples that are compared
_STRAY = 0.01  # of a file's frames at either end of its times, which damaged headers may be


def times(runs: Runs) -> NDArray[np.int64]:
    """Return second and frame number of the first frame of runs as one ascending number."""
    joined: NDArray[np.int64] = runs["second"] << 24 | runs["number"]
    return joined


def keyed(runs: Runs, groups: Sequence[int]) -> Runs:
    """Give the threads of each file the numbers of the file's group."""
    if not any(groups):
        return runs
    runs = runs.copy()
    runs["thread"] += THREADS * np.array(groups, dtype=np.int64)[runs["file"]]
    return runs


def frame_in(runs: Runs, thread: int, time: int) -> int:
    """Return the byte of a thread's frame of a time, or -1 where there is none that is valid."""
    after = time - times(runs)
    hit = (after >= 0) & (after < runs["frames"])
    hit &= (runs["thread"] == thread) & (runs["invalid"] != 1)
    if not np.any(hit):
        return -1
    k = int(np.argmax(hit))
    return int(runs["offset"][k] + after[k] * runs["stride"][k])


def group_files(
    paths: Sequence[Path],
    data: Sequence[Bytes],
    header: VdifHeader,
    seen: Sequence[Runs],
    find: Find,
) -> tuple[int, ...]:
    """Return the group of each file, counted from 0 in the order of the files.

    Parameters
    ----------
    paths, data
        The files and their bytes.
    header : VdifHeader
        What their frames have in common.
    seen : sequence of ndarray
        Runs of each file: all of them, or those at places all over it.
    find : callable
        Finds a frame in a file.

    Raises
    ------
    RecordingError
        Where a file is a copy of another one.

    Warns
    -----
    RecordingWarning
        Where a file of one of several groups that are cut in time seems to be missing.
    """
    if len(paths) == 1:
        return (0,)
    threads = [choose_threads(runs, None) for runs in seen]
    low, high = np.array([_extent(runs) for runs in seen]).T
    groups: list[int] = []
    for i in range(len(paths)):
        taken: set[int] = set()
        for j in np.flatnonzero((low[:i] <= high[i]) & (high[:i] >= low[i])).tolist():
            shared = sorted(set(threads[i]) & set(threads[j]))
            if not shared or groups[j] in taken:
                continue
            other, same = _compared((i, j), data, header, seen, find, shared)
            for file in (i, j):  # the system maps more around what was looked at
                release(data[file], 0, len(data[file]))
            if same > other and _same_begin(data, header, seen, i, j):
                raise RecordingError(
                    f"the file is a copy of {paths[j]}, or begins with what that begins with.",
                    place=str(paths[i]),
                    next_step="Leave one of them out.",
                )
            if other > same:
                taken.add(groups[j])
        groups.append(min(set(range(i + 1)) - taken))
    _warn_of_gaps(groups, [len(d) // header.frame_bytes for d in data], paths)
    return tuple(groups)


def _warn_of_gaps(groups: Sequence[int], frames: Sequence[int], paths: Sequence[Path]) -> None:
    """Warn where a file of one of several groups that are cut in time seems to be missing."""
    number = max(groups) + 1
    held = np.bincount(groups, weights=frames)
    if 1 < number < len(groups) and np.ptp(held) > max(frames) / 2:
        warnings.warn(
            f"{paths[0]}: the {number} groups of files that are different channels hold "
            f"{held.min():.0f} to {held.max():.0f} frames: where one of the files of a stretch of "
            "time is missing, later ones may be taken for another channel's.",
            RecordingWarning,
            stacklevel=2,
        )


def _extent(runs: Runs) -> tuple[int, int]:
    """Return the first and the last time of a file's frames but for a few strays."""
    order = np.argsort(times(runs))
    begin, frames = times(runs)[order], runs["frames"][order]
    passed = np.cumsum(frames)
    first, last = np.searchsorted(passed, [_STRAY * passed[-1], (1 - _STRAY) * passed[-1]])
    return int(begin[first]), int(begin[last] + frames[last])


def _compared(
    pair: tuple[int, int],
    data: Sequence[Bytes],
    header: VdifHeader,
    seen: Sequence[Runs],
    find: Find,
    threads: Sequence[int],
) -> tuple[int, int]:
    """Return how many frames of the same thread and time hold other, and the same, samples.

    Samples that are all alike, as of dead channels, count as other ones: nothing is lost
    with channels of which each is told to be dead.
    """
    for one, two in (pair, pair[::-1]):  # the second may lie within the first
        probes = _some_frames(seen[one], threads)
        other = same = 0
        for thread, time, at in probes:
            there = find(two, thread, time)
            if there < 0:
                continue
            mine, theirs = _samples(data[one], at, header), _samples(data[two], there, header)
            alike = np.array_equal(mine, theirs) and bool(np.any(mine != mine[0]))
            same, other = same + alike, other + (not alike)
            if max(same, other) >= _ENOUGH:
                break
        if other + same > 0 and other + same >= _SHARED * len(probes):
            return other, same
    return 0, 0


def _some_frames(runs: Runs, threads: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return thread, time and byte of a few frames of these threads, all over a file."""
    mine = runs[np.isin(runs["thread"], threads) & (runs["invalid"] != 1)]
    if not len(mine):
        return []
    passed = np.cumsum(mine["frames"])
    chosen = np.unique(np.linspace(0, passed[-1] - 1, _PROBES).astype(np.int64))
    run = mine[np.searchsorted(passed, chosen, side="right")]
    k = chosen - passed[np.searchsorted(passed, chosen, side="right")] + run["frames"]
    at = run["offset"] + k * run["stride"]
    found = zip(run["thread"].tolist(), (times(run) + k).tolist(), at.tolist(), strict=True)
    return list(found)


def _samples(data: Bytes, at: int, header: VdifHeader, head: int = 0) -> Bytes:
    """Return the first samples of the frame at byte `at`, with the last `head` bytes before."""
    begin = at + header.header_bytes
    stop = begin + min(header.payload_bytes, _COMPARED)
    check_length(data)
    return data[begin - head : stop].copy()


def _same_begin(
    data: Sequence[Bytes], header: VdifHeader, seen: Sequence[Runs], i: int, j: int
) -> bool:
    """Whether the first frames of two files are the same, headers and samples."""
    one, two = (
        _samples(data[f], int(seen[f]["offset"].min()), header, header.header_bytes) for f in (i, j)
    )
    return np.array_equal(one, two)
