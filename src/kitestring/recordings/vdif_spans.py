"""The index of a long VDIF recording, made span by span as it is read.

Opening a recording of a terabyte cannot wait until all its headers were read.
Looks at about a thousand places (`vdif_outline`) cut it into spans whose times
are known. Where something in a span is asked for, more looks cut it into pieces of
64 MiB, and those that are needed are indexed: all headers of a piece and those around
it are read and placed as in a short recording, so that every frame is still put
where its own header says, and the same samples come whatever the blocks they are
read in. Only the indices of the last few pieces are kept.

What differs from a short recording: a frame that lies further than `_MARGIN` from
where it belongs is not found there; it is counted as one with a wrong time. Whether
frames come out of order elsewhere is told from a piece and its margins alone: one that
came early by just as many slots as were lost before it is then not believed (seen once
in a thousand damages where 1 % of the frames are damaged).
"""

from __future__ import annotations

import itertools
import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import RecordingWarning
from kitestring.recordings._kernels import RUN, THREADS
from kitestring.recordings.formats import FrameCounts
from kitestring.recordings.vdif_groups import keyed
from kitestring.recordings.vdif_header import VdifHeader
from kitestring.recordings.vdif_outline import Outline, at_least, look_at, slot_of, slot_ranges
from kitestring.recordings.vdif_place import cropped, place_frames, shortened, without_overlap
from kitestring.recordings.vdif_scan import Bytes, Part, Runs, scan_file

Integers = NDArray[np.int64]

_MARGIN = 16 << 20  # bytes around a span that are looked at, and that a frame may be late by
_PIECE = 64 << 20  # bytes that are indexed at once
_KEPT = 8  # pieces of a file whose indices are kept


@dataclass(frozen=True)
class Span:
    """A part of a file, and the slots that its frames should have."""

    file: int
    begin: int
    end: int
    first_slot: int
    stop_slot: int


@dataclass(frozen=True)
class IndexedSpan:
    """The frames of one span."""

    runs: dict[int, Runs]
    counts: FrameCounts


@dataclass
class VdifSpans:
    """Finds frames by slot and indexes what it needs; may be shared by several threads."""

    paths: tuple[Path, ...]
    header: VdifHeader
    threads: tuple[int, ...]
    per_second: int
    spans: tuple[Span, ...]
    sizes: tuple[int, ...]
    groups: tuple[int, ...]
    _data: list[Bytes] = field(default_factory=list)
    _pieces: dict[Span, tuple[Span, ...]] = field(default_factory=dict)
    _kept: OrderedDict[Span, IndexedSpan] = field(default_factory=OrderedDict)
    _told: dict[Span, FrameCounts] = field(default_factory=dict)
    _warned: set[Span] = field(default_factory=set)
    _lock: Any = field(default_factory=threading.RLock)

    def __getstate__(self) -> dict[str, Any]:
        own = ("_data", "_pieces", "_kept", "_told", "_warned", "_lock")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._data, self._pieces, self._kept, self._told = [], {}, OrderedDict(), {}
        self._warned, self._lock = set(), threading.RLock()

    def attach(self, data: Sequence[Bytes]) -> None:
        """Use these mapped files."""
        self._data = list(data)

    @property
    def slack(self) -> int:
        """Slots by which a frame may be away from where its span should have it."""
        return self.margin // len(self.threads) + 1

    @property
    def margin(self) -> int:
        """Frames around a piece that are looked at."""
        return at_least(_MARGIN, 2, self.header) // self.header.frame_bytes

    def ends(self) -> tuple[int, int]:
        """Return the slot of the first frame, and that after the last."""
        first: list[int] = []
        stop: list[int] = []
        for k, span in enumerate(self.spans):
            opens = k == 0 or self.spans[k - 1].file != span.file
            closes = k + 1 == len(self.spans) or self.spans[k + 1].file != span.file
            if opens or closes:
                pieces = self.pieces(span)
                begin, end = (self._all_runs(piece) for piece in (pieces[0], pieces[-1]))
                if opens and len(begin):
                    first.append(int(begin["slot"].min()))
                if closes and len(end):
                    stop.append(int((end["slot"] + end["frames"]).max()))
        return min(first, default=self.spans[0].first_slot), max(
            stop, default=self.spans[-1].stop_slot
        )

    def _all_runs(self, piece: Span) -> Runs:
        return np.concatenate(list(self.indexed(piece, tell=False).runs.values()))

    def pieces(self, span: Span) -> tuple[Span, ...]:
        """Return the pieces of a span that are indexed at once; itself where it is short."""
        with self._lock:
            if span not in self._pieces:
                self._pieces[span] = self._cut(span)
            return self._pieces[span]

    def _cut(self, span: Span) -> tuple[Span, ...]:
        length = self.header.frame_bytes
        step = at_least(_PIECE, 3, self.header) // length * length
        if span.end - span.begin <= step:
            return (span,)
        places = np.arange(span.begin + step, span.end - step // 2, step)
        found = look_at(self._data[span.file], self.header, places, span.file)
        begins = [span.begin, *map(int, found.offsets)]
        slots = slot_ranges(found.looks, self.per_second, span.first_slot, span.stop_slot)
        if slots is None or begins[-1] >= span.end:
            return (span,)
        return _spans(span.file, [*begins, span.end], slots)

    def runs(self, thread: int, first: int, slots: int) -> Runs:
        """Return all runs of a thread that may hold frames of these slots."""
        low, high = first - self.slack, first + slots + self.slack
        found = [
            self.indexed(piece).runs[thread]
            for span in self.spans
            if self.groups[span.file] == thread // THREADS
            and span.first_slot < high
            and span.stop_slot > low
            for piece in self.pieces(span)
            if piece.first_slot < high and piece.stop_slot > low
        ]
        found = [runs for runs in found if len(runs)]
        if not found:
            return np.zeros(0, dtype=RUN)
        together = np.concatenate(found)
        together = together[np.argsort(together["slot"], kind="stable")]
        return without_overlap(together, self.header, self._data)[0]

    def indexed(self, piece: Span, tell: bool = True) -> IndexedSpan:
        """Return the index of a piece, made now where it is not kept; warn of its damage once."""
        with self._lock:
            if piece in self._kept:
                self._kept.move_to_end(piece)
                one = self._kept[piece]
            else:
                one = self._kept[piece] = self._index(piece)
            if len(self._kept) > _KEPT * len(self.paths):
                self._kept.popitem(last=False)
            self._told.setdefault(piece, one.counts)
            new = tell and piece not in self._warned
            if tell:
                self._warned.add(piece)
        if new and one.counts.harmed:
            warnings.warn(
                f"{self.paths[piece.file]}: bytes {piece.begin} to {piece.end}: "
                f"{one.counts.summary()}.",
                RecordingWarning,
                stacklevel=5,
            )
        return one

    def counts(self) -> FrameCounts:
        """Return the sums over all spans that were indexed so far."""
        with self._lock:
            return added(list(self._told.values()))

    def check_all(self) -> FrameCounts:
        """Index every span once and return the sums."""
        for span in self.spans:
            for piece in self.pieces(span):
                if piece not in self._told:
                    self.indexed(piece, tell=False)
        return self.counts()

    def _index(self, span: Span) -> IndexedSpan:
        data, length = self._data[span.file], self.header.frame_bytes
        margin = self.margin * length
        low = span.begin - min(margin, span.begin // length * length)
        part = Part(span.begin, span.end, low, min(span.end + margin, len(data)))
        scan = scan_file(data, self.header, span.file, part)
        runs = keyed(scan.runs, self.groups)
        placed = place_frames(runs, self.threads, self.per_second, self.header, self._data, part)
        first, stop = span.first_slot - self.slack, span.stop_slot + self.slack
        kept = {t: _between(some, first, stop) for t, some in placed.runs.items()}
        everything = np.concatenate(list(kept.values()))
        used = int(everything["frames"].sum())
        own = cropped(runs, part)
        stray = int(own["frames"][~np.isin(own["thread"], self.threads)].sum())
        counts = FrameCounts(
            frames=used,
            missing=0,
            invalid=int(everything["frames"][everything["invalid"] == 1].sum()),
            partly_invalid=int(everything["frames"][everything["invalid"] == 2].sum()),
            damaged=scan.damaged + placed.out_of_range + stray,
            wrong_time=placed.wrong_time + placed.used - used,
            duplicated=placed.duplicated,
            conflicting=placed.conflicting,
            out_of_order=placed.out_of_order,
            time_jumps=placed.time_jumps,
            skipped_bytes=scan.skipped_bytes,
            truncated_bytes=scan.truncated_bytes,
        )
        return IndexedSpan(kept, counts)


def cut_into_spans(
    data: Sequence[Bytes],
    header: VdifHeader,
    outlines: Sequence[Outline],
    per_second: int,
    threads: int,
) -> tuple[Span, ...] | None:
    """Return the spans between looks; None where time does not ascend in a file."""
    spans: list[Span] = []
    for file, one in enumerate(outlines):
        size = len(data[file])
        left = (size - int(one.offsets[-1])) // header.frame_bytes // threads + 1
        last = slot_of(one.looks[-1], per_second) + left
        slots = slot_ranges(one.looks, per_second, None, last)
        if slots is None:
            return None
        # bytes before the first frame are skipped in the first span
        spans += _spans(file, [0, *map(int, one.offsets[1:]), size], slots)
    return tuple(spans)


def _spans(file: int, edges: list[int], slots: list[tuple[int, int]]) -> tuple[Span, ...]:
    pairs = zip(itertools.pairwise(edges), slots, strict=True)
    return tuple(Span(file, a, b, first, stop) for (a, b), (first, stop) in pairs)


def _between(runs: Runs, first: int, stop: int) -> Runs:
    """Return the frames of runs with slots from `first` to `stop`."""
    begin = np.clip(first - runs["slot"], 0, runs["frames"])
    end = np.clip(stop - runs["slot"], 0, runs["frames"])
    return shortened(runs, begin, end)


def added(counts: Sequence[FrameCounts]) -> FrameCounts:
    """Return sums of counts."""
    names = [f.name for f in fields(FrameCounts)]
    return FrameCounts(**{n: sum(int(getattr(c, n)) for c in counts) for n in names})
