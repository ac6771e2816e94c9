"""Finding the frames of a VDIF file from their headers.

Frames are gathered into runs (`_kernels.RUN`), so that the index of a regular
recording stays small whatever its length. What was looked at is released from
memory again, so that this does not grow either.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import RecordingError
from kitestring.recordings._kernels import (
    RUN,
    find_first_frame,
    find_frame,
    matches,
)
from kitestring.recordings.vdif_header import VdifHeader

Bytes = NDArray[np.uint8]
Runs = NDArray[np.void]

SEARCHED = 64 << 20  # bytes of a file in which its first frame is looked for
_CHUNK = 1 << 16  # frames
_CHUNK_BYTES = 64 << 20  # after so many what was read is released
_WINDOW = 1 << 20  # bytes in which a header is searched for before holes are looked for again
_HELD = 64 << 20  # bytes of a recording below which it stays in memory once it was read
_SWAPPED = 4 << 20  # bytes in which headers of the wrong byte order are looked for
_TELLING = 12  # bytes of a header that hold its kind; fewer could be anything


@dataclass(frozen=True)
class Part:
    """A part of a file: damage is counted from `begin` to `end`, seen from `low` to `high`."""

    begin: int
    end: int
    low: int
    high: int

    def frames(self, first: int, stop: int, length: int) -> int:
        """Return how many frames that lie `length` apart from `first` on begin inside."""
        before = max(0, -(-(min(self.begin, stop) - first) // length))
        return max(0, -(-(min(self.end, stop) - first) // length) - before)

    def bytes(self, first: int, stop: int) -> int:
        """Return how many bytes of a stretch lie inside."""
        return max(0, min(self.end, stop) - max(self.begin, first))


@dataclass(frozen=True)
class FileScan:
    """The frames of one file, in the order of the file, and what is wrong with it."""

    header: VdifHeader
    runs: Runs
    damaged: int
    skipped_bytes: int
    truncated_bytes: int


class _Mapping(mmap.mmap):
    """A mapped file that knows its path, and how many bytes its recording has."""

    path: Path
    together: int


def map_file(path: Path) -> Bytes:
    """Map a file into memory, read-only.

    Raises
    ------
    RecordingError
        Where it does not exist, is not a file, or is empty.
    """
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # opening a pipe would wait
            raise RecordingError(
                "a pipe or device cannot be read: recordings are mapped into memory.",
                place=str(path),
                next_step="Copy what comes out of it into a file.",
            )
        with path.open("rb") as file:
            mapping = _Mapping(file.fileno(), 0, access=mmap.ACCESS_READ)
            mapping.path, mapping.together = path, len(mapping)
            return np.frombuffer(mapping, np.uint8)
    except ValueError:
        raise RecordingError(
            "the file is empty.", place=str(path), next_step="Copy it again, or leave it out."
        ) from None
    except OSError as error:
        raise RecordingError(
            f"the file cannot be read ({error.strerror}).",
            place=str(path),
            next_step="Check the path and who may read it.",
        ) from None


def map_files(paths: Sequence[Path]) -> list[Bytes]:
    """Map the files of one recording, which together stay in memory or do not; see `map_file`."""
    found = [map_file(path) for path in paths]
    for data in found:
        mapping = owner(data)
        if mapping is not None:
            mapping.together = sum(map(len, found))
    return found


def first_header(data: Bytes, path: Path) -> tuple[int, VdifHeader]:
    """Return the first byte at which a header is confirmed by others, and that header.

    Raises
    ------
    RecordingError
        Where the file is not VDIF, its header states a wrong length, or it
        holds samples that cannot be read.
    """
    at = int(find_first_frame(data, SEARCHED))
    header = VdifHeader.parse(data[max(at, 0) : max(at, 0) + 32].tobytes())
    why = header.unusable()
    if at >= 0 and not why:
        return at, header
    if _is_swapped(data):
        raise RecordingError(
            "byte 0: a VDIF header of the wrong byte order: its words of 32 bits are big-endian, "
            "those of VDIF are little-endian.",
            place=str(path),
            next_step="Swap the bytes of each word of 32 bits, those of the samples too where the "
            "recorder wrote them so.",
        )
    if at >= 0:
        raise RecordingError(
            f"byte {at}: a VDIF header with {why}.",
            place=str(path),
            next_step="Convert the recording to 1, 2, 4, 8 or 16 bits.",
        )
    if len(data) < 32 or why or header.second == 0:
        raise RecordingError(
            f"no VDIF frames in the first {min(len(data), SEARCHED)} bytes.",
            place=str(path),
            next_step="Check that the file is VDIF, and not cut off.",
        )
    if header.frame_bytes == len(data):
        return 0, header
    if header.frame_bytes > len(data):
        raise RecordingError(
            f"byte 0: the header states frames of {header.frame_bytes} bytes, "
            f"the file has {len(data)}.",
            place=str(path),
            next_step="The file is cut off before the end of its first frame, or is not VDIF.",
        )
    values, masks = header.constant_words()
    if len(data) < 2 * header.frame_bytes and matches(data, header.frame_bytes, values, masks):
        return 0, header  # one whole frame and a piece
    raise RecordingError(
        f"byte {header.frame_bytes}: no VDIF header, although the one at byte 0 states frames "
        f"of {header.frame_bytes} bytes.",
        place=str(path),
        next_step="The length is wrong, or the file is not VDIF.",
    )


def _is_swapped(data: Bytes) -> bool:
    """Whether a file begins with headers that follow each other once bytes of words are swapped."""
    words = data[: min(len(data), _SWAPPED) // 4 * 4].view("<u4")
    swapped = words.byteswap().view(np.uint8)
    begins = find_first_frame(swapped, 1) == 0
    return bool(begins and not VdifHeader.parse(swapped[:32].tobytes()).unusable())


def owner(data: Bytes) -> _Mapping | None:
    """Return the mapping that an array of `map_file` looks at."""
    base = data.base.obj if isinstance(data.base, memoryview) else data.base
    return base if isinstance(base, _Mapping) else None


def next_written(data: Bytes, at: int) -> int:
    """Return the first byte from `at` on of a mapped file that was ever written.

    A file may have holes, of which neither disk nor memory need be read.
    """
    mapping = owner(data)
    if mapping is None or not hasattr(os, "SEEK_DATA") or at >= len(data):
        return at
    try:
        with mapping.path.open("rb") as file:
            return os.lseek(file.fileno(), at, os.SEEK_DATA)
    except OSError as error:
        return len(data) if error.errno == errno.ENXIO else at  # nothing but a hole follows


def release(data: Bytes, begin: int, end: int) -> None:
    """Let go of the memory that bytes of a large mapped file take; they are read again on use."""
    mapping = owner(data)
    if mapping is None or mapping.together <= _HELD or not hasattr(mmap, "MADV_DONTNEED"):
        return
    begin -= begin % mmap.PAGESIZE
    if min(end, len(data)) > begin:
        mapping.madvise(mmap.MADV_DONTNEED, begin, min(end, len(data)) - begin)


def check_length(data: Bytes, path: Path | None = None) -> None:
    """Raise `RecordingError` where a mapped file became shorter: touching it would be fatal."""
    mapping = owner(data)
    if mapping is not None and mapping.size() < len(data):
        raise RecordingError(
            f"byte {mapping.size()}: the file ends here now; it had {len(data)} bytes "
            "when it was opened.",
            place=str(path or mapping.path),
            next_step="Let nothing write to it, and open the recording again.",
        )


def scan_file(data: Bytes, header: VdifHeader, file: int, part: Part | None = None) -> FileScan:
    """Find all frames of a file, or of a part of it, that agree with `header`.

    Where the expected header is not found, the next one is searched for; the
    frame before such a place is not used unless whole frames are missing,
    since bytes may have been lost from it.
    """
    length = header.frame_bytes
    own = part or Part(0, len(data), 0, len(data))
    whole, data = data, data[: own.high]
    chunk = max(min(_CHUNK, _CHUNK_BYTES // length), 1)
    found: list[Runs] = []
    buffer = np.zeros(chunk, dtype=RUN)
    at, damaged, skipped = own.low, 0, 0
    last = -1  # where the frame before `at` begins
    while len(data) - at >= length:
        check_length(whole)
        limit = min(chunk, (len(data) - at) // length)
        count, frames = header.scan(data, at, limit, buffer)
        runs = buffer[:count].copy()
        runs["file"] = file
        found.append(runs)
        release(whole, at, at + frames * length)
        at += frames * length
        last = at - length if frames else last
        rest = len(data) - at
        if frames == limit and (rest >= length or rest == 0 or _begins(data, at, header)):
            continue
        after = last + header.header_bytes if last >= 0 else at + 1
        next_frame = _next_frame(whole, data, after, at, header)
        resumes = next_frame if next_frame >= 0 else len(data)
        if resumes > at and (resumes - at) % length == 0:  # whole frames with damaged headers
            damaged += own.frames(at, resumes, length)
        else:
            damaged += _drop_last(found, last) * own.frames(last, last + 1, length)
            skipped += own.bytes(at, resumes)
        if next_frame < 0:
            at = len(data)
            break
        at, last = next_frame, -1
    runs = np.concatenate(found) if found else np.zeros(0, dtype=RUN)
    cut = own.bytes(at, len(data)) if own.high == len(whole) else 0
    return FileScan(header, runs[runs["frames"] > 0], damaged, skipped, cut)


def _next_frame(whole: Bytes, data: Bytes, after: int, grid: int, header: VdifHeader) -> int:
    """Return the first byte from `after` on where a frame begins, or -1."""
    values, masks = header.constant_words()
    while (after := next_written(whole, after)) < len(data):
        check_length(whole)
        stop = after + _WINDOW
        found = int(find_frame(data, after, stop, grid, header.frame_bytes, values, masks))
        release(whole, after, stop)
        if found >= 0:
            return found
        after = stop
    return -1


def _begins(data: Bytes, at: int, header: VdifHeader) -> bool:
    """Whether what is left of a file is the beginning of a frame, as far as can be told."""
    return len(data) - at >= _TELLING and bool(matches(data, at, *header.constant_words()))


def _drop_last(found: list[Runs], last: int) -> int:
    """Take the frame at byte `last` out again; return how many were taken out."""
    if last < 0:
        return 0
    for runs in reversed(found):
        ends = runs["offset"] + (runs["frames"] - 1) * runs["stride"]
        hit = (ends == last) & (runs["frames"] > 0)
        if np.any(hit):
            runs["frames"][hit] -= 1
            return 1
    return 0
