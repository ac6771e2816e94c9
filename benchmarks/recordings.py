"""Speed of describing and decoding VDIF, beside another reader.

    python benchmarks/recordings.py

One core throughout. A recording of 110 GB is a sparse file: real headers at both
ends and at a thousand places between, everything else a hole, so that it takes
some 40 MB on the disk; it is removed afterwards. Recordings of four channels (one
thread each, as a VLBI back end writes them) lie in the page cache. The peer is
`baseband`, where it is installed.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _bench import Line, alternating, best_of, report

from kitestring.model.time import Epoch
from kitestring.recordings.describe import describe
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel, Recording
from kitestring.recordings.vdif import VdifWriter
from kitestring.recordings.vdif_header import VdifHeader

RATE = 32e6  # samples/s
BLOCK = 8000 * 4 * 256  # samples of each channel written at a time: whole frames
READ = 1 << 20  # samples decoded at a time
CHANNELS = tuple(Channel(f"CH{k}", 8.4e9 + 16e6 * k, 1, RATE) for k in range(4))
START = Epoch.from_iso("2026-01-01T00:00:00")

LONG_BYTES = 110e9
LONG_PLACES = 1000
LONG_FRAMES = 8  # frames at each place
DESCRIBE_LIMIT = 5.0  # s
CHECK_LIMIT = 2.0  # GB/s
UNPACK_LIMIT = {2: 1000.0, 8: 400.0}  # Msample/s
# The peer decodes frame by frame in Python; to be as slow would be a mistake
PEER_LIMIT = 1.0


def write(path: Path, payload: int, bits: int, blocks: int) -> int:
    """Write a recording in frames of `payload` bytes and return the samples of a channel."""
    generator = np.random.default_rng(1)
    codes = generator.integers(0, 1 << bits, (len(CHANNELS), BLOCK), dtype=np.uint8)
    with VdifWriter(
        path,
        station="Be",
        start=START,
        channels=CHANNELS,
        bits=bits,
        payload_bytes=payload,
        edv=1,
    ) as writer:
        for _ in range(blocks):
            writer.write_codes(codes)
    return BLOCK * blocks


def write_long(path: Path) -> None:
    """Write headers of a long recording at both ends and between, holes elsewhere."""
    header = VdifHeader(
        False, False, 0, 52, 0, 1, 1, 8032, 2, False, 0, 0x4265, 1, 2 * RATE
    )  # fmt: skip
    threads, per_second = len(CHANNELS), round(2 * RATE / header.frame_samples)
    frames = int(LONG_BYTES) // header.frame_bytes // threads * threads
    between = np.random.default_rng(1).integers(0, frames, LONG_PLACES)
    with path.open("wb") as file:
        for place in (0, *between, frames - LONG_FRAMES):
            for frame in range(place, min(place + LONG_FRAMES, frames)):
                slot, thread = divmod(frame, threads)
                second, number = divmod(slot, per_second)
                words = header.words()
                words[0] |= 1000 + second
                words[1] |= number
                words[3] |= thread << 16
                file.seek(frame * header.frame_bytes)
                file.write(words.tobytes())
        file.truncate(frames * header.frame_bytes)


def long_lines(path: Path) -> list[Line]:
    """Time the description of the long recording, its first look included."""
    write_long(path)
    took = best_of(lambda: describe(path))
    size = path.stat().st_size / 1e9
    path.unlink()
    return [Line(f"describe of {size:.0f} GB", took, "s", DESCRIBE_LIMIT, digits=3)]


def check_lines(path: Path, payload: int) -> list[Line]:
    """Time the check of all headers of a recording with frames of `payload` bytes."""
    write(path, payload, 2, 16)
    size = path.stat().st_size / 1e9
    checked = best_of(lambda: describe(path, full=True, sample_rate=RATE), 9)
    name = f"full header check, frames of {payload} bytes"
    frames = size * 1e3 / (payload + 32)
    return [
        Line(name, size / checked, "GB/s", CHECK_LIMIT, least=True),
        Line(f"{name}, frames", frames / checked, "million/s", digits=3),
    ]


def decode(recording: Recording, samples: int) -> None:
    """Read all samples, a stretch at a time."""
    for first in range(0, samples, READ):
        recording.read(first, min(READ, samples - first))


def peer(path: Path, samples: int) -> Callable[[], None] | None:
    """Return what decodes the same with the peer, or None where it is not installed."""
    if importlib.util.find_spec("baseband") is None:
        return None
    from baseband import vdif

    def run() -> None:
        with vdif.open(path, "rs") as file:
            for first in range(0, samples, READ):
                file.read(min(READ, samples - first))

    return run


def unpack_lines(path: Path, bits: int) -> list[Line]:
    """Time the decoding to float32, and that of the peer with opening on both sides."""
    samples = write(path, 8000, bits, 4 if bits == 2 else 1)
    recording = open_recording(path, station="Be", channels=CHANNELS)
    values = len(CHANNELS) * samples / 1e6
    decoded = best_of(lambda: decode(recording, samples))
    limit = UNPACK_LIMIT[bits]
    lines = [
        Line(f"decoded to float32, {bits} bits", values / decoded, "Msample/s", limit, least=True)
    ]
    other = peer(path, samples)
    if other is None:
        print("# baseband is not installed: no peer")
        return lines

    def both() -> None:
        decode(open_recording(path, station="Be", channels=CHANNELS), samples)

    _, theirs, ratio = alternating(both, other)
    return [
        *lines,
        Line(f"decoded by baseband, {bits} bits, opening included", values / theirs, "Msample/s"),
        Line(f"time over that of baseband, {bits} bits", ratio, "", PEER_LIMIT, digits=3),
    ]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "be.vdif"
        lines = long_lines(path)
        for payload in (1000, 8000):
            lines += check_lines(path, payload)
        for bits in UNPACK_LIMIT:
            lines += unpack_lines(path, bits)
    return report(lines)


if __name__ == "__main__":
    sys.exit(main())
