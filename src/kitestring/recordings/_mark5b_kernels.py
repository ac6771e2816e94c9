"""Loops over the headers of Mark 5B frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

SYNC = 0xABADDEED
FILL = 0x11223344  # what recorder and playback put in the place of data that were lost
DAYS = 1000  # days that a header tells apart
_POLYNOMIAL = 0x8005  # CRC-16: x^16 + x^15 + x^2 + 1
_STRAY = 1023  # thread numbers above 0
_UNIT = 1e-4  # s of the fraction
_FILLED = 4  # words at either end of the samples: noise makes them one frame in 2**127


@kernel()
def _word(data: Bytes, at: int) -> Any:
    return (
        np.int64(data[at])
        | np.int64(data[at + 1]) << 8
        | np.int64(data[at + 2]) << 16
        | np.int64(data[at + 3]) << 24
    )


@kernel()
def decimal(code: int, digits: int) -> int:
    """Return the number that binary-coded decimal digits stand for, or -1 for a digit above 9."""
    value = 0
    for i in range(digits):
        digit = (code >> (4 * (digits - 1 - i))) & 0xF
        if digit > 9:
            return -1
        value = 10 * value + digit
    return value


@kernel()
def checksum(high: int, low: int) -> int:
    """Return the CRC-16 of a time code: word 2, then the upper half of word 3, first bit first."""
    code = high << 16 | low
    rest = 0
    for i in range(48):
        bit = (code >> (47 - i)) & 1
        top = (rest >> 15) & 1
        rest = (rest << 1) & 0xFFFF
        if top ^ bit:
            rest ^= _POLYNOMIAL
    return rest


@kernel()
def read_header(data: Bytes, at: int, out: Integers) -> bool:
    """Read number, day, second, fraction (0.1 ms) and whether the CRC fits; say if it is one.

    Day, second and fraction are -1 where they hold no decimal digits.
    """
    if _word(data, at) != SYNC:
        return False
    time, rest = _word(data, at + 8), _word(data, at + 12)
    out[0] = _word(data, at + 4) & 0x7FFF
    out[1] = decimal(time >> 20, 3)
    out[2] = decimal(time & 0xFFFFF, 5)
    out[3] = decimal(rest >> 16, 4)
    out[4] = checksum(time, rest >> 16) == (rest & 0xFFFF)
    return True


@kernel()
def filled(data: Bytes, at: int, frame_bytes: int) -> bool:
    """Whether samples of a frame, at their beginning or end, are the fill pattern."""
    head = tail = True
    for i in range(_FILLED):
        head = head and _word(data, at + 16 + 4 * i) == FILL
        tail = tail and _word(data, at + frame_bytes - 4 * (i + 1)) == FILL
    return head or tail


@kernel()
def scan_mark5b(
    data: Bytes,
    first: int,
    frame_bytes: int,
    limit: int,
    starts: Integers,
    per_second: int,
    check_crc: bool,
    check_fraction: bool,
    runs: Any,
) -> tuple[int, int]:
    """Follow headers that lie `frame_bytes` apart and gather them into runs.

    Like `_kernels.scan_frames`. Frames are of thread 0. A header that contradicts
    itself (CRC, digits, a fraction of the second that is not that of the frame
    number) gets another thread, so that it is counted and never used. Frames that
    hold the fill pattern are invalid.

    Parameters
    ----------
    starts : ndarray, shape (1000,)
        Seconds at which each day begins, by its last three digits.
    per_second : int
        Frames in a second; 0 where that is not known yet.
    check_crc, check_fraction : bool
        Whether the recorder wrote these.
    """
    header = np.zeros(5, dtype=np.int64)
    count, current = 0, -1
    for frame in range(limit):
        at = first + frame * frame_bytes
        if not read_header(data, at, header):
            return count, frame
        number, day, second, fraction = header[0], header[1], header[2], header[3]
        good = day >= 0 and second >= 0 and second <= 86400 and (header[4] != 0 or not check_crc)
        if good and check_fraction:
            good = fraction >= 0
            if good and per_second > 0 and number < per_second:
                away = number / per_second - fraction * _UNIT
                good = away > -0.6 * _UNIT and away < 1.6 * _UNIT  # cut off, or rounded
        run = runs[count]
        if not good:
            run.thread, run.second, run.number = 1 + at // frame_bytes % _STRAY, 0, 0
            run.invalid, run.frames, run.offset, run.stride = 0, 1, at, 0
            count += 1
            continue
        since = starts[day] + second
        invalid = np.int64(filled(data, at, frame_bytes))
        if current >= 0:
            last = runs[current]
            step = at - (last.offset + (last.frames - 1) * last.stride)
            follows = last.second == since and last.number + last.frames == number
            follows = follows and last.invalid == invalid
            if follows and (last.frames == 1 or step == last.stride):
                last.stride = step
                last.frames += 1
                continue
        run.thread, run.second, run.number, run.invalid = 0, since, number, invalid
        run.frames, run.offset, run.stride = 1, at, 0
        current = count
        count += 1
    return count, limit
