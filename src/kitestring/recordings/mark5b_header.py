"""The header of a Mark 5B frame.

Source: Whitney, "Mark 5B design specifications" and "Mark 5B User's Manual"
(Haystack Observatory), Appendix A: four little-endian words of 32 bits.

===== ======================================================================
word  content
===== ======================================================================
0     0xABADDEED
1     user bits (16), test-vector generator (1), frame number in the second (15)
2     VLBA time code, decimal digits: MJD modulo 1000 (3), second of the day (5)
3     fraction of the second in 0.1 ms (4 digits, cut off), CRC-16 of the time code
===== ======================================================================

10000 bytes of samples follow; words of 0x11223344 stand where they were lost. Bits,
channels and sample rate stand nowhere, nor do the thousands of the day. Not all
recorders write the fraction and the CRC: they are checked where most of the first
frames have good ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import RecordingError
from kitestring.model.time import DAY, Epoch, tai_minus_utc
from kitestring.recordings._kernels import RUN, Bytes, find_frame
from kitestring.recordings._mark5b_kernels import DAYS, SYNC, read_header, scan_mark5b
from kitestring.recordings.vdif_header import VdifHeader
from kitestring.recordings.vdif_place import infer_frames_per_second
from kitestring.recordings.vdif_scan import SEARCHED, release

FRAME_BYTES = 10016
PAYLOAD_BITS = 80000
STREAMS = (1, 2, 4, 8, 16, 32)  # bit streams that can be recorded
_LOOKED = 200  # frames that tell what the recorder wrote
_CHUNK = 2048  # frames that are read at once while a second's end is looked for
_LONGEST = 1 << 15  # frames: the number in a second has 15 bits
_MOST = 0.5
_MARK5B_EDV = 0xAB
_SYNC_WORDS = np.array([SYNC, 0, 0, 0, 0, 0], dtype=np.uint32)
_SYNC_MASKS = np.array([0xFFFFFFFF, 0, 0, 0, 0, 0], dtype=np.uint32)


@dataclass(frozen=True)
class Mark5bHeader(VdifHeader):
    """What all frames of a Mark 5B recording share, in the words of a VDIF header.

    Samples are coded as in VDIF frames of extended data version 0xAB; only the
    header is another one.

    Attributes
    ----------
    day : int
        Day of the first frame, MJD.
    per_second : int
        Frames in a second; 0 where that is not known.
    check_crc, check_fraction : bool
        Whether the recorder wrote these.
    """

    day: int = 0
    per_second: int = 0
    check_crc: bool = True
    check_fraction: bool = True

    @classmethod
    def make(cls, day: int, *, check_crc: bool, check_fraction: bool) -> Mark5bHeader:
        """Return a header of frames with 32 streams of one bit."""
        return cls(
            invalid=False,
            legacy=True,
            second=0,
            ref_epoch=0,
            number=0,
            version=0,
            channel_count=32,
            frame_bytes=FRAME_BYTES,
            bits=1,
            complex=False,
            thread=0,
            station_id=0,
            edv=_MARK5B_EDV,
            day=day,
            check_crc=check_crc,
            check_fraction=check_fraction,
        )

    @property
    def station_code(self) -> str:
        """Nothing: the header does not name the station."""
        return ""

    @property
    def epoch_of_second(self) -> Epoch:
        """UTC of the first frame's day."""
        return Epoch("utc", self.day, 0.0)  # type: ignore[arg-type]

    @property
    def reference(self) -> int:
        """Day from which seconds are counted, MJD."""
        return self.day - DAYS // 2

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Seconds (leap seconds counted) at which each day begins, by its last three digits."""
        days = self.reference + np.arange(DAYS)
        # a recording ends the day after it began: later leap seconds need not be known
        passed = tai_minus_utc(np.minimum(days, self.day + 1))
        seconds = (days - self.reference) * DAY + passed - passed[0]
        found = np.empty(DAYS, dtype=np.int64)
        found[days % DAYS] = np.rint(seconds).astype(np.int64)
        return found

    def epoch_at(self, second: int) -> Epoch:
        """Return UTC at `second`, as `scan` counts it."""
        return Epoch.normalised("utc", self.reference, float(second))

    def constant_words(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Return the first six words and the masks of what all frames share: the sync word."""
        return _SYNC_WORDS.copy(), _SYNC_MASKS.copy()

    def scan(self, data: Bytes, first: int, limit: int, runs: NDArray[np.void]) -> tuple[int, int]:
        """Gather headers from byte `first` on into `runs`; see `scan_mark5b`."""
        found = scan_mark5b(
            data, first, FRAME_BYTES, limit, self.starts, self.per_second,
            self.check_crc, self.check_fraction, runs,
        )  # fmt: skip
        return int(found[0]), int(found[1])


def find_first(data: Bytes, searched: int = SEARCHED) -> int:
    """Return the first byte where a Mark 5B frame begins that another one follows, or -1.

    A single frame must begin the file: one that ends it may be part of something else.
    Looks at the first `searched` bytes.
    """
    at = int(find_frame(data, 0, searched, len(data), FRAME_BYTES, _SYNC_WORDS, _SYNC_MASKS))
    return at if at == 0 or at + FRAME_BYTES + 16 <= len(data) else -1


def look_at_first(data: Bytes, at: int, path: Path) -> Mark5bHeader:
    """Return what the first frames from byte `at` on have in common; `day` has no thousands.

    Raises
    ------
    RecordingError
        Where their time codes hold no time.
    """
    rows = []
    one = np.zeros(5, dtype=np.int64)
    for frame in range(min(_LOOKED, max((len(data) - at) // FRAME_BYTES, 1))):
        begin = at + frame * FRAME_BYTES
        if begin + 16 <= len(data) and read_header(data, begin, one):
            rows.append(one.copy())
    found = np.array(rows)
    good = (found[:, 1] >= 0) & (found[:, 2] >= 0) & (found[:, 2] <= DAY)
    check_crc = bool(np.mean(found[:, 4]) > _MOST)
    if check_crc:
        good &= found[:, 4] > 0
    if not np.any(good):
        raise RecordingError(
            f"byte {at}: Mark 5B frames without a time code.",
            place=str(path),
            next_step="The recorder wrote no time: without it samples have no epoch.",
        )
    later = good & (found[:, 0] > 0)
    check_fraction = bool(np.any(later) and np.mean(found[later, 3] > 0) > _MOST)
    days = np.sort(found[good, 1])
    day = int(days[len(days) // 2])
    return Mark5bHeader.make(day, check_crc=check_crc, check_fraction=check_fraction)


def find_frames_per_second(data: Bytes, at: int, header: Mark5bHeader) -> int:
    """Return how many frames the first whole second of a file has; 0 where none ends in it."""
    buffer = np.zeros(_CHUNK, dtype=RUN)
    found = []
    for _ in range(3 * _LONGEST // _CHUNK):
        limit = min(_CHUNK, (len(data) - at) // FRAME_BYTES)
        if limit <= 0:
            break
        count, frames = header.scan(data, at, limit, buffer)
        release(data, at, at + limit * FRAME_BYTES)
        found.append(buffer[:count][buffer["thread"][:count] == 0].copy())
        at += max(frames, 1) * FRAME_BYTES
        per_second, seconds = infer_frames_per_second(np.concatenate(found))
        if seconds > 2:
            return per_second
    return infer_frames_per_second(np.concatenate(found))[0] if found else 0


def full_day(day: int, reference: int) -> int:
    """Return the day (MJD) with the last three digits `day` that is nearest to `reference`."""
    return reference + (day - reference + DAYS // 2) % DAYS - DAYS // 2


def completed(
    header: Mark5bHeader, *, bits: int, channel_count: int, per_second: int
) -> Mark5bHeader:
    """Return the header of frames with channels of so many bits."""
    return replace(header, bits=bits, channel_count=channel_count, per_second=per_second)


def headers_of(
    header: Mark5bHeader, files: Sequence[Path], data: Sequence[Bytes]
) -> tuple[tuple[int, ...], VdifHeader]:
    """Return where each file's first frame begins, and the header.

    Raises
    ------
    RecordingError
        Where a file is not Mark 5B.
    """
    begins = []
    for path, mapped in zip(files, data, strict=True):
        begins.append(find_first(mapped))
        if begins[-1] < 0:
            raise RecordingError(
                f"no Mark 5B frames in the first {min(len(mapped), SEARCHED)} bytes.",
                place=str(path),
                next_step="Check that the file is Mark 5B, and not cut off.",
            )
    return tuple(begins), header
