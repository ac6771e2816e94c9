"""Speed of the correlator beside FFTW's transforms alone, which most correlators are built on.

    python benchmarks/correlator.py [--stations 2 6] [--bins 256 1024 4096]

Ours is the whole engine on one core, from VDIF files (one single-channel thread a station,
2-bit real samples, frames of 8,032 bytes, in the page cache) to visibilities with
autocorrelations and weights: files opened and all headers read, samples unpacked, delays
tracked, fringes rotated, segments transformed and multiplied. The peer does one complex
single-precision transform of 2 x bins points for each segment and station and nothing
else, in batches that stay in the cache, with the best of FFTW's MEASURE and PATIENT plans.
Ratios are medians of alternating pairs: the peer's time over ours.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from _bench import Line, alternating, report
from _transforms import Fftw, Lanes

from kitestring.correlate import multiply
from kitestring.correlate._vectors import HOST_LANES
from kitestring.correlate.channels import Products
from kitestring.correlate.engine import correlate
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifWriter

RATE = 32e6  # samples/s of a station, all its channels together
SAMPLES = 1 << 26  # of each station
PAYLOAD = 8000
START = Epoch.from_iso("2026-01-01T00:00:00")
ROUNDS = 9

# the peer's time over ours, at least
LIMITS = {
    (2, 256): 1.05, (2, 1024): 1.10, (2, 4096): 1.35,
    (6, 256): 0.85, (6, 1024): 0.80, (6, 4096): 1.05,
}  # fmt: skip
TRANSFORM_LIMIT = 1.8
TWO_CORES_LIMIT = 0.9  # of the peer's gain
NARROW_LIMIT = 1.2
CHANNELS_LIMIT = 1.1  # time of 16 channels over that of one
TRANSFORM_POINTS = (512, 2048, 8192)


class Recorded:
    """Files of noise, and how they are correlated.

    Parameters
    ----------
    folder : Path
        Where the files are written.
    stations : int
        How many.
    channels : sequence of Channel
        What each station records.
    threads : bool
        Each channel in a thread of its own, else all in one.
    """

    def __init__(
        self, folder: Path, stations: int, channels: list[Channel], threads: bool = True
    ) -> None:
        self.channels = channels
        self.paths = [folder / f"{len(channels)}_{k}.vdif" for k in range(stations)]
        self.length = SAMPLES / RATE
        for k, path in enumerate(self.paths):
            if not path.exists():
                self._write(path, k, threads)

    def _write(self, path: Path, k: int, threads: bool) -> None:
        count = SAMPLES // len(self.channels)
        generator = np.random.default_rng(k + 1)
        with VdifWriter(
            path, station=f"S{k}", start=START, channels=self.channels, bits=2,
            payload_bytes=PAYLOAD, threads=threads,
        ) as writer:  # fmt: skip
            count -= count % writer.frame_samples
            writer.write_codes(
                generator.integers(0, 4, (len(self.channels), count), dtype=np.uint8)
            )

    def segments(self, bins: int) -> int:
        """Return the segments of each station, all channels together."""
        rate = self.channels[0].sample_rate
        return int((self.length - 4e-3) * rate) // (2 * bins) * len(self.channels)

    def correlate(self, bins: int, threads: int = 1, products: Products = "parallel") -> None:
        """Open the files and correlate them."""
        recordings = [
            open_recording(path, station=f"S{k}", channels=self.channels)
            for k, path in enumerate(self.paths)
        ]
        begin = START.shifted(1e-3)
        used = self.segments(bins) // len(self.channels) * 2 * bins / self.channels[0].sample_rate
        correlate(
            recordings, delays(len(recordings)), bins=bins, start=begin, stop=begin.shifted(used),
            integration=0.25, threads=threads, products=products,
        )  # fmt: skip


def delays(stations: int) -> DelayModel:
    """Return delays that change as those of stations on Earth do."""
    zero = PiecewisePolynomial(START, 10.0, np.zeros((1, 1)))
    parts = {}
    for k in range(stations):
        line = np.array([[1e-4 * k, 5e-7 * (k + 1), 1e-11]])
        parts[f"S{k}"] = StationDelay(PiecewisePolynomial(START, 10.0, line), zero)
    return DelayModel("bench", "noise", parts)


def one_channel(folder: Path, stations: int) -> Recorded:
    """Return recordings of one channel."""
    return Recorded(folder, stations, [Channel("CH0", 8.4e9, 1, RATE)])


def beside_fftw(folder: Path, stations: int, bins: int) -> list[Line]:
    """Time the engine beside FFTW's transforms alone."""
    recorded, peer = one_channel(folder, stations), fftw(2 * bins)
    transforms = stations * recorded.segments(bins)
    ours, floor, ratio = alternating(
        lambda: recorded.correlate(bins), lambda: peer.run(transforms), ROUNDS
    )
    samples = recorded.segments(bins) * 2 * bins / 1e6
    name = f"{stations} stations, {bins} bins"
    print(f"# FFTW, {2 * bins} points: {peer}")
    return [
        Line(f"FFTW alone, {name}", samples / floor, "Msample/s a station", digits=3),
        Line(f"engine, {name}", samples / ours, "Msample/s a station", digits=3),
        Line(
            f"time of FFTW alone over the engine's, {name}", 1 / ratio, "",
            LIMITS.get((stations, bins)), least=True, digits=3,
        ),
    ]  # fmt: skip


def transforms_alone(points: int) -> list[Line]:
    """Time the transform of our own beside FFTW's best plan."""
    own, peer = Lanes(points), fftw(points)
    count = (1 << 24) // points
    ours, theirs, ratio = alternating(lambda: own.run(count), lambda: peer.run(count), ROUNDS)
    flop = 5e-9 * count * points * np.log2(points)
    name = f"transform of {points} points"
    return [
        Line(f"our {name}", flop / ours, "GFLOP/s", digits=3),
        Line(f"FFTW's {name}", flop / theirs, "GFLOP/s", digits=3),
        Line(f"error of our {name}", own.error, "of the peak", 1e-6, digits=2),
        Line(
            f"time of FFTW over ours, {name}", 1 / ratio, "", TRANSFORM_LIMIT, least=True, digits=3
        ),
    ]


def two_cores(folder: Path, bins: int = 1024) -> list[Line]:
    """Compare what engine and FFTW gain from a second core."""
    recorded, peer = one_channel(folder, 2), fftw(2 * bins)
    transforms = 4 * recorded.segments(bins)
    _, _, ours = alternating(
        lambda: recorded.correlate(bins, 2), lambda: recorded.correlate(bins), ROUNDS
    )
    _, _, theirs = alternating(
        lambda: peer.run_on_two(transforms), lambda: peer.run(transforms), ROUNDS
    )
    return [
        Line("gain of the engine from two cores", 1 / ours, "times", digits=3),
        Line("gain of FFTW from two cores", 1 / theirs, "times", digits=3),
        Line(
            "gain from two cores, engine over FFTW", theirs / ours, "", TWO_CORES_LIMIT,
            least=True, digits=3,
        ),
    ]  # fmt: skip


def many_channels(folder: Path, bins: int = 1024) -> list[Line]:
    """Compare 16 channels in one thread with one channel of as many samples."""
    one = one_channel(folder, 2)
    names = [f"C{k:02d}" for k in range(16)]
    channels = [Channel(n, 8.4e9 + k * 1e6, 1, RATE / 16) for k, n in enumerate(names)]
    many = Recorded(folder, 2, channels, threads=False)
    _, _, ratio = alternating(lambda: many.correlate(bins), lambda: one.correlate(bins), ROUNDS)
    ratio *= one.segments(bins) / many.segments(bins)
    name = "time of a sample of 16 channels in one thread over that of one channel"
    return [Line(name, ratio, "", CHANNELS_LIMIT, digits=3)]


def four_products(folder: Path, bins: int = 1024) -> list[Line]:
    """Price all polarisation products beside the parallel ones."""
    channels = [Channel(f"P{p}", 8.4e9, 1, RATE / 2, polarization=p) for p in "XY"]
    recorded = Recorded(folder, 2, channels)
    four, two, ratio = alternating(
        lambda: recorded.correlate(bins, products="all"), lambda: recorded.correlate(bins), ROUNDS
    )
    samples = recorded.segments(bins) * 2 * bins / 1e6
    return [
        Line("both polarisations, parallel products", samples / two, "Msample/s a station"),
        Line("both polarisations, four products", samples / four, "Msample/s a station"),
        Line("time of four products over that of the parallel ones", ratio, "", digits=3),
    ]


def narrow(bins: list[int]) -> list[Line]:
    """Time the engine without AVX-512, in a process of its own, beside scipy's transform there."""
    done = subprocess.run(
        [sys.executable, __file__, "--narrow", "--bins", *map(str, bins)],
        env=os.environ | {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = []
    for one, (lanes, ours, ratio) in zip(bins, json.loads(done.stdout), strict=True):
        name = f"{lanes} lanes, 2 stations, {one} bins"
        lines += [
            Line(f"engine without AVX-512, {name}", ours, "Msample/s a station", digits=3),
            Line(
                f"time with scipy's transform over the engine's own, {name}", ratio, "",
                NARROW_LIMIT, least=True, digits=3,
            ),
        ]  # fmt: skip
    return lines


def narrow_figures(folder: Path, bins: int) -> tuple[int, float, float]:
    """Return lanes, Msample/s and scipy's time over ours on this machine."""
    recorded, serves = one_channel(folder, 2), multiply.lanes.serves

    def with_scipy() -> None:
        multiply.lanes.serves = lambda *_: False
        try:
            recorded.correlate(bins)
        finally:
            multiply.lanes.serves = serves

    ours, _, ratio = alternating(lambda: recorded.correlate(bins), with_scipy, ROUNDS)
    return HOST_LANES, recorded.segments(bins) * 2 * bins / 1e6 / ours, 1 / ratio


@cache
def fftw(points: int) -> Fftw:
    """Return FFTW planned for so many points."""
    return Fftw(points)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stations", type=int, nargs="+", default=[2, 6], metavar="N")
    parser.add_argument("--bins", type=int, nargs="+", default=[256, 1024, 4096], metavar="N")
    parser.add_argument("--narrow", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.narrow:
            print(json.dumps([narrow_figures(folder, bins) for bins in options.bins]))
            return 0
        if importlib.util.find_spec("pyfftw") is None:
            print("error: pyfftw is not installed: pip install pyfftw.", file=sys.stderr)
            return 2
        print("# one core, all stations on it; 2-bit real samples")
        lines = [
            line
            for stations in options.stations
            for bins in options.bins
            for line in beside_fftw(folder, stations, bins)
        ]
        if HOST_LANES:
            lines += [line for points in TRANSFORM_POINTS for line in transforms_alone(points)]
        lines += two_cores(folder) + many_channels(folder) + four_products(folder)
        lines += narrow(options.bins)
    return report(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
