"""Loops over samples and frame headers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Words = NDArray[np.uint32]

THREADS = 1024  # a thread number has ten bits
MOST_AHEAD = 1 << 20  # bytes in which a header of shorter frames is looked for

RUN = np.dtype(
    [
        ("thread", np.int64),
        ("second", np.int64),  # of the first frame, since the reference epoch
        ("number", np.int64),  # of the first frame, in its second
        ("slot", np.int64),  # of the first frame, once frames per second are known
        ("frames", np.int64),
        ("offset", np.int64),  # byte of the first frame's header
        ("stride", np.int64),  # bytes from frame to frame; 0 where there is one only
        ("invalid", np.int64),  # the recorder's mark; 2: of some channels
        ("file", np.int64),
    ]
)


# -- samples -----------------------------------------------------------------


@kernel()
def unpack_bytes(
    data: Bytes,
    offsets: Integers,
    skip: int,
    frame_samples: int,
    byte_stride: int,
    starts: Integers,
    tables: NDArray[Any],
    per_byte: int,
    group: int,
    out: NDArray[Any],
    valid: NDArray[np.bool_],
) -> None:
    """Decode frames whose samples do not cross bytes.

    Parameters
    ----------
    data : ndarray of uint8
        The file.
    offsets : ndarray, shape (frame,)
        Byte of each frame's first sample; -1 where there is no frame.
    skip : int
        Samples of the first frame that are not wanted.
    frame_samples : int
        Samples of a channel in a frame.
    byte_stride : int
        Bytes between looks at the same channel.
    starts : ndarray, shape (channel,)
        First byte of each channel.
    tables : ndarray, shape (channel, 256, numbers a look)
        The numbers that a byte stands for.
    per_byte : int
        Samples that one look gives.
    group : int
        4 or 2 where so many neighbouring channels stand in the same byte, all of them
        are wanted, and a look gives one sample: then they are decoded together. Else 1.
    out, valid : ndarray
        Shapes (channel, n x numbers a sample) and (channel, n); filled where
        there are frames, left alone elsewhere.
    """
    wanted = valid.shape[1]
    parts = out.shape[1] // wanted
    for frame in range(len(offsets)):
        if offsets[frame] < 0:
            continue
        at = frame * frame_samples - skip
        begin, end = max(at, 0), min(at + frame_samples, wanted)
        for c in range(0, len(starts), group):
            first = offsets[frame] + starts[c]
            if group > 1:
                source = data[first + (begin - at) * byte_stride :]
                rows = out[c : c + group, begin * parts : end * parts]
                _decode_group(source, byte_stride, tables[c : c + group], end - begin, rows)
                valid[c : c + group, begin:end] = True
                continue
            row = out[c, begin * parts : end * parts]
            _decode_row(data, first, byte_stride, tables[c], per_byte, parts, begin - at, row)
            valid[c, begin:end] = True


@kernel()
def _decode_row(
    data: Bytes,
    first: int,
    byte_stride: int,
    table: NDArray[Any],
    per_byte: int,
    parts: int,
    sample: int,
    out: NDArray[Any],
) -> None:
    """Decode one channel of one frame from `sample` on until `out` is full."""
    width = table.shape[1]
    look = sample // per_byte
    n = len(out)
    i = 0
    if sample % per_byte:
        byte = data[first + look * byte_stride]
        k = (sample % per_byte) * parts
        while k < width and i < n:
            out[i] = table[byte, k]
            i += 1
            k += 1
        look += 1
    whole = (n - i) // width
    source = data[first + look * byte_stride :]
    _decode_looks(source, byte_stride, table, whole, out[i:])
    i += whole * width
    k = 0
    while i < n:
        out[i] = table[source[whole * byte_stride], k]
        i += 1
        k += 1


@kernel()
def _decode_looks(
    source: Bytes, byte_stride: int, table: NDArray[Any], looks: int, out: NDArray[Any]
) -> None:
    """Write the numbers of `looks` bytes; the widths are unrolled for speed."""
    width = table.shape[1]
    if width == 4:
        for j in range(looks):
            byte = source[j * byte_stride]
            out[4 * j] = table[byte, 0]
            out[4 * j + 1] = table[byte, 1]
            out[4 * j + 2] = table[byte, 2]
            out[4 * j + 3] = table[byte, 3]
    elif width == 2:
        for j in range(looks):
            byte = source[j * byte_stride]
            out[2 * j] = table[byte, 0]
            out[2 * j + 1] = table[byte, 1]
    elif width == 1:
        for j in range(looks):
            out[j] = table[source[j * byte_stride], 0]
    else:
        for j in range(looks):
            byte = source[j * byte_stride]
            for k in range(8):
                out[8 * j + k] = table[byte, k]


@kernel()
def _decode_group(
    source: Bytes, byte_stride: int, tables: NDArray[Any], looks: int, rows: NDArray[Any]
) -> None:
    """Write the numbers of channels that share bytes, one sample of each a look."""
    if len(tables) == 4:
        one, two, three, four = tables[0, :, 0], tables[1, :, 0], tables[2, :, 0], tables[3, :, 0]
        a, b, c, d = rows[0], rows[1], rows[2], rows[3]
        for j in range(looks):
            byte = source[j * byte_stride]
            a[j] = one[byte]
            b[j] = two[byte]
            c[j] = three[byte]
            d[j] = four[byte]
    elif tables.shape[2] == 2:
        a, b = rows[0], rows[1]
        for j in range(looks):
            byte = source[j * byte_stride]
            a[2 * j] = tables[0, byte, 0]
            a[2 * j + 1] = tables[0, byte, 1]
            b[2 * j] = tables[1, byte, 0]
            b[2 * j + 1] = tables[1, byte, 1]
    else:
        one, two = tables[0, :, 0], tables[1, :, 0]
        a, b = rows[0], rows[1]
        for j in range(looks):
            byte = source[j * byte_stride]
            a[j] = one[byte]
            b[j] = two[byte]


@kernel()
def unpack_wide(
    data: Bytes,
    offsets: Integers,
    skip: int,
    frame_samples: int,
    byte_stride: int,
    starts: Integers,
    table: NDArray[Any],
    number_bytes: int,
    out: NDArray[Any],
    valid: NDArray[np.bool_],
) -> None:
    """Decode frames whose samples are longer than a byte; arguments as `unpack_bytes`.

    ``table`` has shape (256,) or (65536,); ``number_bytes`` is 1 or 2.
    """
    wanted = valid.shape[1]
    parts = out.shape[1] // wanted
    for frame in range(len(offsets)):
        if offsets[frame] < 0:
            continue
        at = frame * frame_samples - skip
        begin, end = max(at, 0), min(at + frame_samples, wanted)
        for c in range(len(starts)):
            if number_bytes == 1 and parts == 2:
                source = data[offsets[frame] + starts[c] + (begin - at) * byte_stride :]
                row = out[c, 2 * begin : 2 * end]
                for s in range(end - begin):
                    row[2 * s] = table[source[s * byte_stride]]
                    row[2 * s + 1] = table[source[s * byte_stride + 1]]
                valid[c, begin:end] = True
                continue
            for s in range(begin, end):
                byte = offsets[frame] + starts[c] + (s - at) * byte_stride
                for p in range(parts):
                    code = np.int64(data[byte + p * number_bytes])
                    if number_bytes == 2:
                        code |= np.int64(data[byte + p * number_bytes + 1]) << 8
                    out[c, s * parts + p] = table[code]
            valid[c, begin:end] = True


@kernel()
def pack(codes: Bytes, bits: int, out: Bytes) -> int:
    """Pack codes of 1, 2, 4 or 8 bits, least significant first; return how many are too large."""
    bad = 0
    if bits == 2:
        for j in range(len(out)):
            a, b, c, d = codes[4 * j], codes[4 * j + 1], codes[4 * j + 2], codes[4 * j + 3]
            bad += (a | b | c | d) > 3
            out[j] = a | b << 2 | c << 4 | d << 6
        return bad
    per_byte = 8 // bits
    for j in range(len(out)):
        byte = 0
        for k in range(per_byte):
            code = codes[per_byte * j + k]
            bad += (code >> bits) != 0
            byte |= code << (k * bits)
        out[j] = byte
    return bad


@kernel()
def quantise_two_bits(samples: NDArray[np.float32], threshold: np.float32, out: Bytes) -> int:
    """Write the codes of four levels; return the number of NaN."""
    bad = 0
    for i in range(len(samples)):
        x = samples[i]
        out[i] = np.uint8(x >= -threshold) + np.uint8(x >= 0) + np.uint8(x >= threshold)
        bad += x != x
    return bad


@kernel()
def quantise_uniform(
    samples: NDArray[np.float32],
    gain: np.float32,
    offset: np.float32,
    top: np.float32,
    out: NDArray[Any],
) -> int:
    """Write floor(gain x + offset), kept between 0 and `top`; return the number of NaN."""
    bad = 0
    for i in range(len(samples)):
        x = np.float32(samples[i] * gain + offset)
        bad += x != x
        out[i] = np.uint16(min(max(x, np.float32(0.0)), top))
    return bad


# -- headers -----------------------------------------------------------------


@kernel()
def _word(data: Bytes, at: int) -> Any:
    return (
        np.uint32(data[at])
        | np.uint32(data[at + 1]) << np.uint32(8)
        | np.uint32(data[at + 2]) << np.uint32(16)
        | np.uint32(data[at + 3]) << np.uint32(24)
    )


@kernel()
def matches(data: Bytes, at: Any, values: Words, masks: Words) -> bool:
    """Whether a header of the expected kind begins at byte `at` (as far as the file goes)."""
    for i in (2, 3, 1, 0, 4, 5):
        if at + 4 * i + 4 <= len(data) and (_word(data, at + 4 * i) & masks[i]) != values[i]:
            return False
    return True


@kernel()
def scan_frames(
    data: Bytes,
    first: int,
    frame_bytes: int,
    limit: int,
    values: Words,
    masks: Words,
    full_mask: int,
    runs: Any,
) -> tuple[int, int]:
    """Follow headers that lie `frame_bytes` apart and gather them into runs.

    A run is a stretch of one thread with ascending frame numbers in one second,
    at equal distances in the file. Stops at the first header that does not
    match, or after `limit` frames. `full_mask` is that of the header, as an
    int64. Returns the numbers of runs and of frames.
    """
    current = np.full(THREADS, -1, dtype=np.int64)
    count = 0
    for frame in range(limit):
        at = first + frame * frame_bytes
        if not matches(data, at, values, masks):
            return count, frame
        word = np.int64(_word(data, at))
        number = np.int64(_word(data, at + 4)) & 0xFFFFFF
        thread = (np.int64(_word(data, at + 12)) >> 16) & 0x3FF
        second, invalid = word & 0x3FFFFFFF, word >> 31
        if full_mask != 0 and invalid == 0:
            high, low = np.int64(_word(data, at + 28)), np.int64(_word(data, at + 24))
            mask = (high << 32 | low) & full_mask
            if mask != full_mask:
                invalid = np.int64(1 if mask == 0 else 2)
        k = current[thread]
        if k >= 0:
            run = runs[k]
            step = at - (run.offset + (run.frames - 1) * run.stride)
            if (
                run.second == second
                and run.number + run.frames == number
                and run.invalid == invalid
                and (run.frames == 1 or step == run.stride)
            ):
                run.stride = step
                run.frames += 1
                continue
        run = runs[count]
        run.thread, run.second, run.number, run.invalid = thread, second, number, invalid
        run.frames, run.offset, run.stride = 1, at, 0
        current[thread] = count
        count += 1
    return count, limit


@kernel()
def find_frame(
    data: Bytes, first: int, last: int, grid: int, frame_bytes: int, values: Words, masks: Words
) -> int:
    """Return the first byte from `first` on and before `last` where a frame begins, or -1.

    Off the `grid` a second header must follow one frame length later, unless
    the file ends there.
    """
    for at in range(first, min(last, len(data) - 16)):
        if not matches(data, at, values, masks):
            continue
        after = at + frame_bytes
        on_grid = at > grid and (at - grid) % frame_bytes == 0
        if on_grid or after + 16 > len(data) or matches(data, after, values, masks):
            return at
    return -1


@kernel()
def find_first_frame(data: Bytes, last: int) -> int:
    """Return the first byte where a VDIF header is followed by others like it, or -1.

    A good header seen some bytes off repeats as well, after several frames, and may look
    like one: so one that states shorter frames, within the length that was found, is right.
    """
    found = -1
    at, stop = 0, min(last, len(data) - 32)
    length = len(data) + 1
    while at < stop:
        stated = _begins_frames(data, at)
        if 0 < stated < length:
            found, length, stop = at, stated, min(stop, at + min(stated, MOST_AHEAD))
        at += 1
    return found


@kernel()
def _begins_frames(data: Bytes, at: int) -> int:
    """Return the length of frames if two of the next three headers are like that at `at`, or 0.

    At the end of a short file, where there are no three, one has to do.
    """
    word = _word(data, at + 8)
    length = np.int64(word & 0xFFFFFF) * 8
    if length < 24 or at + length + 32 > len(data) or (_word(data, at + 4) >> 30) != 0:
        return 0
    bits = ((_word(data, at + 12) >> 26) & 0x1F) + 1
    # what cannot be read is still to be recognised, where a file begins with it
    odd = bits not in (1, 2, 4, 8, 16) or (word >> 29) > 1
    if odd and at > 0:
        return 0
    masks = np.array([0x40000000, 0xFF000000, 0xFFFFFFFF, 0xFC00FFFF, 0, 0], dtype=np.uint32)
    values = np.zeros(6, dtype=np.uint32)
    for i in range(4):
        values[i] = _word(data, at + 4 * i) & masks[i]
    like = 0
    for k in range(1, 4):
        if at + k * length + 32 <= len(data) and matches(data, at + k * length, values, masks):
            like += 1
    # one is enough where there is no other, or, from the file's first byte on, one other
    others = 3 if at == 0 else 2
    alone = like == 1 and at + others * length + 32 > len(data) and not odd
    return int(length) if like >= 2 or alone else 0


@kernel()
def merge_runs(runs: Any, out: Any) -> int:
    """Join runs that continue each other in slots, bytes and validity; return their number."""
    count = 0
    for i in range(len(runs)):
        run = runs[i]
        if count > 0:
            last = out[count - 1]
            step = run.offset - (last.offset + (last.frames - 1) * last.stride)
            if (
                last.thread == run.thread
                and last.file == run.file
                and last.invalid == run.invalid
                and last.slot + last.frames == run.slot
                and step > 0
                and (last.frames == 1 or last.stride == step)
                and (run.frames == 1 or run.stride == step)
            ):
                last.frames += run.frames
                last.stride = step
                continue
        out[count] = run
        count += 1
    return count
