"""Speed of the correlator beside the FFTs alone that it cannot do without.

    python benchmarks/correlator.py

Ours is the whole engine on one core, from VDIF files (2-bit real samples, in
the page cache) to visibilities: reading headers' index, unpacking, delay
tracking, fringe rotation, FFT, cross-multiplication and weights. The floor is
scipy's FFT of as many segments of as many samples from memory. Nothing is
promised yet.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.fft
from _bench import Line, alternating, report

from kitestring.correlate.engine import correlate
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel, Recording
from kitestring.recordings.vdif import VdifWriter

RATE = 32e6  # samples/s
SAMPLES = 1 << 24  # of each station
CASES = ((2, 256), (2, 1024), (2, 4096), (6, 256), (6, 1024), (6, 4096))
START = Epoch.from_iso("2026-01-01T00:00:00")
CHANNEL = Channel("CH0", 8.4e9, 1, RATE)


def record(folder: Path, stations: int) -> list[Recording]:
    """Write and open recordings of noise."""
    found: list[Recording] = []
    for k in range(stations):
        codes = np.random.default_rng(k + 1).integers(0, 4, (1, SAMPLES), dtype=np.uint8)
        path = folder / f"s{k}.vdif"
        with VdifWriter(
            path, station=f"S{k}", start=START, channels=[CHANNEL], bits=2, payload_bytes=8000
        ) as writer:
            whole = SAMPLES - SAMPLES % writer.frame_samples
            writer.write_codes(codes[:, :whole])
        found.append(open_recording(path, station=f"S{k}", channels=[CHANNEL]))
    return found


def delays(stations: int) -> DelayModel:
    """Return delays that change as those of stations on Earth do."""
    zero = PiecewisePolynomial(START, 10.0, np.zeros((1, 1)))
    parts = {}
    for k in range(stations):
        line = np.array([[1e-4 * k, 5e-7 * (k + 1), 1e-11]])
        parts[f"S{k}"] = StationDelay(PiecewisePolynomial(START, 10.0, line), zero)
    return DelayModel("bench", "noise", parts)


def case(stations: int, bins: int) -> list[Line]:
    """Time one number of stations and bins."""
    begin = START.shifted(1e-3)
    segments = int((SAMPLES / RATE - 4e-3) * RATE) // (2 * bins)
    length = segments * 2 * bins / RATE
    model = delays(stations)
    size = min(segments, 1 << 18)
    shape = (min(256, size), 2 * bins)
    random = np.random.default_rng(0)
    tile = random.normal(size=shape) + 1j * random.normal(size=shape)
    tile = tile.astype(np.complex64)
    tiles = stations * segments // shape[0]

    with tempfile.TemporaryDirectory() as folder:
        recordings = record(Path(folder), stations)

        def engine() -> None:
            correlate(
                recordings,
                model,
                bins=bins,
                start=begin,
                stop=begin.shifted(length),
                integration=length,
                threads=1,
            )

        def transforms() -> None:
            for _ in range(tiles):
                scipy.fft.fft(tile, axis=1, workers=1)

        ours, floor, ratio = alternating(engine, transforms)
    samples = segments * 2 * bins / 1e6
    name = f"{stations} stations, {bins} bins"
    return [
        Line(f"FFTs alone, {name}", samples / floor, "Msample/s a station", digits=3),
        Line(f"engine, {name}", samples / ours, "Msample/s a station", digits=3),
        Line(f"time of the engine over FFTs alone, {name}", ratio, "", digits=3),
    ]


def main() -> int:
    print("# one core, all stations on it; 2-bit real samples, one channel")
    return report([line for stations, bins in CASES for line in case(stations, bins)])


if __name__ == "__main__":
    sys.exit(main())
