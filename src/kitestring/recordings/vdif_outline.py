"""Looking at a long VDIF file in places: both ends, and about a thousand between.

The places cut a file into spans. Where time advances between two places as much
as the bytes between them say, nothing is lost there (or as much was lost as came
twice); where it does not, halving the span finds where it deviates.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kitestring.recordings._kernels import RUN, find_frame
from kitestring.recordings.vdif_groups import keyed
from kitestring.recordings.vdif_header import VdifHeader
from kitestring.recordings.vdif_scan import (
    Bytes,
    Part,
    Runs,
    check_length,
    next_written,
    release,
    scan_file,
)

Integers = NDArray[np.int64]

_END = 16 << 20  # bytes at both ends that are a span of their own, looked at whole
_SPAN = 64 << 20  # bytes of a span at least
_PLACES = 1000  # spans at most
_FRAMES = 16  # frames of a look
_NEAR = 4  # frames in which a header must be found
_LOCATED = 16  # deviations of time that are looked for
_SECONDS = 3  # places where a second changes that are looked for


@dataclass(frozen=True)
class Outline:
    """What looks at places of one file found.

    Attributes
    ----------
    offsets : ndarray, shape (look,)
        Byte of the first frame of each look, ascending.
    looks : tuple of ndarray
        The runs of each.
    absent : int
        Places where no header was found.
    """

    offsets: Integers
    looks: tuple[Runs, ...]
    absent: int

    @property
    def frames(self) -> int:
        """Frames that were looked at."""
        return sum(int(look["frames"].sum()) for look in self.looks)

    @cached_property
    def times(self) -> Integers:
        """Second and frame number of each look's middle frame, as `vdif_groups.times`."""
        return np.array([slot_of(runs, 1 << 24) for runs in self.looks], dtype=np.int64)


def outline(data: Bytes, header: VdifHeader, begin: int, file: int) -> Outline:
    """Look at both ends of a file whose first frame is at byte `begin`, and between."""
    length = header.frame_bytes
    end = begin + max((len(data) - begin) // length - _FRAMES, 0) * length
    ends = at_least(_END, 3, header)
    step = max(at_least(_SPAN, 6, header), (end - begin) // _PLACES)
    inner = np.arange(begin + ends, end - ends, step)
    places = begin + (np.r_[begin, inner, max(end - ends, begin), end] - begin) // length * length
    found = look_at(data, header, np.unique(places), file)
    release(data, 0, len(data))  # the system maps more around what was looked at
    return found


def at_least(size: int, looks: int, header: VdifHeader) -> int:
    """Return `size` bytes, or as many as `looks` looks take where frames are long."""
    return max(size, looks * _FRAMES * header.frame_bytes)


def look_at(data: Bytes, header: VdifHeader, places: Integers, file: int) -> Outline:
    """Look at the frames that begin at or near bytes of a file."""
    offsets: list[int] = []
    looks: list[Runs] = []
    absent = 0
    for place in places:
        at = _header_near(data, int(place), header)
        if at < 0:
            absent += 1
        elif not offsets or at > offsets[-1]:
            offsets.append(at)
            looks.append(look(data, at, header, file))
    return Outline(np.array(offsets, dtype=np.int64), tuple(looks), absent)


def look(data: Bytes, at: int, header: VdifHeader, file: int, frames: int = _FRAMES) -> Runs:
    """Return the runs of the frames from byte `at` on."""
    limit = min(frames, max((len(data) - at) // header.frame_bytes, 0))
    buffer = np.zeros(frames, dtype=RUN)
    check_length(data)
    count, _ = header.scan(data, at, limit, buffer)
    release(data, at, at + limit * header.frame_bytes)
    runs = buffer[:count].copy()
    runs["file"] = file
    return runs


def _header_near(data: Bytes, place: int, header: VdifHeader) -> int:
    """Return the byte of a frame near `place` (a frame's start if none was lost), or -1.

    Where the file was never written (a hole of a sparse file), the place is where it goes on.
    """
    length = header.frame_bytes
    place += -(-(next_written(data, place) - place) // length) * length
    values, masks = header.constant_words()
    stop = place + _NEAR * length
    check_length(data)
    found = int(find_frame(data, place, stop, place - length, length, values, masks))
    release(data, place, stop + length)
    return found


def looked_at(
    data: Sequence[Bytes],
    header: VdifHeader,
    outlines: Sequence[Outline],
    groups: Sequence[int],
) -> tuple[Runs, Runs]:
    """Return the runs of both ends of all files, and those of all places that were looked at.

    In the second, every place has a "file" of its own: what follows in another
    place does not follow in time.
    """
    ends: list[Runs] = []
    for i, one in enumerate(outlines):
        size = len(data[i])
        first, last = int(one.offsets[1]), int(one.offsets[-2])
        for begin, end in ((0, first), (last, size)) if last >= first else ((0, size),):
            ends.append(scan_file(data[i], header, i, Part(begin, end, begin, end)).runs)
    looks = [look for one in outlines for look in one.looks]
    places = [*ends, *looks, *second_changes(data, header, outlines)]
    apart = keyed(np.concatenate(places), groups)
    apart["file"] = np.repeat(np.arange(len(places)), [len(runs) for runs in places])
    return keyed(np.concatenate(ends), groups), apart


def slot_of(runs: Runs, per_second: int) -> int:
    """Return the middle slot of the frames of a look: one damaged header does not move it."""
    slots = runs["second"] * per_second + runs["number"]
    return int(np.sort(np.repeat(slots, runs["frames"]))[int(runs["frames"].sum()) // 2])


def slot_ranges(
    looks: Sequence[Runs], per_second: int, first: int | None, stop: int
) -> list[tuple[int, int]] | None:
    """Return from which to which slot frames may lie from each look to the next.

    None where time does not ascend. Frames may be missing within a look: then its
    first frame has an earlier slot than its middle one. `first` stands before the
    first look where something lies before it, `stop` is the slot after the last.
    """
    middle = [slot_of(look, per_second) for look in looks]
    known = [*([] if first is None else [first]), *middle, stop]
    if any(a > b for a, b in itertools.pairwise(known)):
        return None
    lowest = known[:-1]
    offset = len(lowest) - len(looks)
    for k, look in enumerate(looks):
        slots = look["second"] * per_second + look["number"]
        before = known[k + offset - 1] if k + offset else middle[0] - _FRAMES
        lowest[k + offset] = int(slots[slots >= before].min(initial=middle[k]))
    return list(zip(lowest, known[1:], strict=True))


def second_changes(
    data: Sequence[Bytes], header: VdifHeader, outlines: Sequence[Outline]
) -> list[Runs]:
    """Return stretches of frames in which a second ends, from places far apart."""
    found: list[Runs] = []
    for file, one in enumerate(outlines):
        seconds = one.times >> 24
        changes = np.flatnonzero(seconds[1:] > seconds[:-1])
        if not len(changes):
            continue
        for k in changes[np.unique(np.linspace(0, len(changes) - 1, _SECONDS).astype(int))]:
            found.append(_narrowed(data[file], header, one, k, int(seconds[k] + 1) << 24, file))
    return found


def frames_at(data: Bytes, header: VdifHeader, one: Outline, time: int, file: int) -> Runs:
    """Return the frames around the place of a file where time passes `time`."""
    k = int(np.count_nonzero(one.times[1:-1] <= time))
    return _narrowed(data, header, one, k, time, file)


def _narrowed(data: Bytes, header: VdifHeader, one: Outline, k: int, time: int, file: int) -> Runs:
    """Return the frames between look `k` and the next around where time passes `time`."""
    low, high = int(one.offsets[k]), int(one.offsets[k + 1])
    while high - low > _FRAMES * header.frame_bytes:
        middle = _halfway(low, high, header)
        runs = look(data, middle, header, file)
        if not len(runs):
            break
        low, high = (middle, high) if slot_of(runs, 1 << 24) < time else (low, middle)
    around = max(low - 4 * _FRAMES * header.frame_bytes, int(one.offsets[0]))
    return look(data, around, header, file, 12 * _FRAMES)


def _halfway(low: int, high: int, header: VdifHeader) -> int:
    return low + (high - low) // header.frame_bytes // 2 * header.frame_bytes


def deviations(
    data: Bytes, header: VdifHeader, one: Outline, per_second: int, threads: int, file: int
) -> list[tuple[int, int]]:
    """Return where time runs ahead of the bytes: (slot before, slots too many), largest first.

    Negative where more frames came than time went on. Deviations of at most two
    slots, which frames out of order make, are not looked for.
    """
    slots = np.array([slot_of(runs, per_second) for runs in one.looks], dtype=np.int64)
    ahead = np.diff(slots) - np.diff(one.offsets) // (header.frame_bytes * threads)
    order = np.argsort(-np.abs(ahead), kind="stable")[:_LOCATED]
    found = []
    for k in order[np.abs(ahead[order]) > 2]:
        low, high = int(one.offsets[k]), int(one.offsets[k + 1])
        before, total = int(slots[k]), int(ahead[k])
        while high - low > 2 * _FRAMES * header.frame_bytes:
            middle = _halfway(low, high, header)
            runs = look(data, middle, header, file)
            if not len(runs):
                break
            slot = slot_of(runs, per_second)
            here = slot - before - (middle - low) // (header.frame_bytes * threads)
            if abs(here) > abs(total - here):
                high, total = middle, here
            else:
                low, before, total = middle, slot, total - here
        found.append((before, total))
    return found
