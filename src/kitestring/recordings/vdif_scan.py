"""Finding the frames of a VDIF file from their headers.

Frames are gathered into runs (`_kernels.RUN`), so that the index of a regular
recording stays small whatever its length.
"""

from __future__ import annotations

import mmap
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
    scan_frames,
)
from kitestring.recordings.vdif_header import VdifHeader

Bytes = NDArray[np.uint8]
Runs = NDArray[np.void]

SEARCHED = 64 << 20  # bytes of a file in which its first frame is looked for
_CHUNK = 1 << 16  # frames
_TELLING = 12  # bytes of a header that hold its kind; fewer could be anything


@dataclass(frozen=True)
class FileScan:
    """The frames of one file, in the order of the file, and what is wrong with it."""

    header: VdifHeader
    runs: Runs
    damaged: int
    skipped_bytes: int
    truncated_bytes: int


def map_file(path: Path) -> Bytes:
    """Map a file into memory, read-only.

    Raises
    ------
    RecordingError
        Where it does not exist, is not a file, or is empty.
    """
    try:
        with path.open("rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
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


def first_header(data: Bytes, path: Path) -> tuple[int, VdifHeader]:
    """Return the first byte at which a header is confirmed by others, and that header.

    Raises
    ------
    RecordingError
        Where the file is not VDIF, its header states a wrong length, or it
        holds samples that cannot be read.
    """
    at = int(find_first_frame(data, SEARCHED))
    if at >= 0:
        header = VdifHeader.parse(data[at : at + 32].tobytes())
        if why := header.unusable():
            raise RecordingError(
                f"byte {at}: a VDIF header with {why}.",
                place=str(path),
                next_step="Convert the recording to 1, 2, 4, 8 or 16 bits.",
            )
        return at, header
    header = VdifHeader.parse(data[:32].tobytes())
    if len(data) < 32 or header.unusable() or header.second == 0:
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


def scan_file(data: Bytes, header: VdifHeader, file: int) -> FileScan:
    """Find all frames of a file that agree with `header`.

    Where the expected header is not found, the next one is searched for; the
    frame before such a place is not used unless whole frames are missing,
    since bytes may have been lost from it.
    """
    values, masks = header.constant_words()
    length = header.frame_bytes
    found: list[Runs] = []
    buffer = np.zeros(_CHUNK, dtype=RUN)
    at, damaged, skipped = 0, 0, 0
    last = -1  # where the frame before `at` begins
    while len(data) - at >= length:
        limit = min(_CHUNK, (len(data) - at) // length)
        count, frames = scan_frames(data, at, length, limit, values, masks, buffer)
        runs = buffer[:count].copy()
        runs["file"] = file
        found.append(runs)
        at += frames * length
        last = at - length if frames else last
        rest = len(data) - at
        if frames == limit and (rest >= length or rest == 0 or _begins(data, at, header)):
            continue
        after = last + header.header_bytes if last >= 0 else at + 1
        next_frame = int(find_frame(data, after, at, length, values, masks))
        resumes = next_frame if next_frame >= 0 else len(data)
        if resumes > at and (resumes - at) % length == 0:  # whole frames with damaged headers
            damaged += (resumes - at) // length
        else:
            damaged += _drop_last(found, last)
            skipped += max(resumes - at, 0)
        if next_frame < 0:
            at = len(data)
            break
        at, last = next_frame, -1
    runs = np.concatenate(found) if found else np.zeros(0, dtype=RUN)
    return FileScan(header, runs[runs["frames"] > 0], damaged, skipped, len(data) - at)


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
