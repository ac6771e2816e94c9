"""Speed of finding and decoding VDIF frames, beside another reader.

    python benchmarks/recordings.py

A recording of four 2-bit real channels (one thread each, as a VLBI back end
writes them) in the page cache. The peer is `baseband`, where it is installed.
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
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel, Recording
from kitestring.recordings.vdif import VdifWriter

RATE = 32e6  # samples/s
BLOCK = 8000 * 4 * 256  # samples of each channel written at a time: whole frames
BLOCKS = 4
SAMPLES = BLOCK * BLOCKS  # of each channel
READ = 1 << 20  # samples decoded at a time
CHANNELS = tuple(Channel(f"CH{k}", 8.4e9 + 16e6 * k, 1, RATE) for k in range(4))
START = Epoch.from_iso("2026-01-01T00:00:00")
# The peer decodes frame by frame in Python; to be as slow would be a mistake
PEER_LIMIT = 1.0


def write(path: Path, payload: int) -> int:
    """Write the recording in frames of `payload` bytes and return their number."""
    codes = np.random.default_rng(1).integers(0, 4, (len(CHANNELS), BLOCK), dtype=np.uint8)
    with VdifWriter(
        path,
        station="Be",
        start=START,
        channels=CHANNELS,
        bits=2,
        payload_bytes=payload,
        edv=1,
    ) as writer:
        frames = len(CHANNELS) * SAMPLES // writer.frame_samples
        for _ in range(BLOCKS):
            writer.write_codes(codes)
    return frames


def scan(path: Path) -> Recording:
    """Open the recording, which reads all headers."""
    return open_recording(path, station="Be", channels=CHANNELS)


def scan_lines(path: Path, payload: int) -> list[Line]:
    """Time the opening of a recording with frames of `payload` bytes."""
    frames = write(path, payload)
    opened = best_of(lambda: scan(path), 9)
    name = f"headers scanned on opening, frames of {payload} bytes"
    return [Line(name, frames / opened / 1e6, "million frames/s", digits=3)]


def decode(recording: Recording) -> None:
    """Read all samples, a stretch at a time."""
    for first in range(0, SAMPLES, READ):
        recording.read(first, min(READ, SAMPLES - first))


def peer(path: Path) -> Callable[[], None] | None:
    """Return what decodes the same with the peer, or None where it is not installed."""
    if importlib.util.find_spec("baseband") is None:
        return None
    from baseband import vdif

    def run() -> None:
        with vdif.open(path, "rs") as file:
            for first in range(0, SAMPLES, READ):
                file.read(min(READ, SAMPLES - first))

    return run


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "be.vdif"
        lines = scan_lines(path, 1000) + scan_lines(path, 8000)
        recording = scan(path)
        values = len(CHANNELS) * SAMPLES / 1e6
        decoded = best_of(lambda: decode(recording))
        lines.append(Line("decoded to float32", values / decoded, "Msample/s"))
        other = peer(path)
        if other is None:
            print("# baseband is not installed: no peer")
        else:

            def both() -> None:
                decode(scan(path))

            _, theirs, ratio = alternating(both, other)
            lines += [
                Line("decoded by baseband, opening included", values / theirs, "Msample/s"),
                Line("time over that of baseband", ratio, "", PEER_LIMIT, digits=3),
            ]
        print(
            f"# {path.stat().st_size / 1e6:.0f} MB, {len(CHANNELS)} threads, 2-bit real, one core"
        )
        return report(lines)


if __name__ == "__main__":
    sys.exit(main())
