"""What the loss of a fifth of the frames does to amplitude, delay and signal-to-noise ratio.

    python validation/lost_frames.py [--seeds N] [--plot FILE]

Each seed is noise of two stations, of which a part is common and comes a third of a sample
later at the second, written as 2-bit VDIF. It is correlated three times: whole, and with
a fifth of the frames of each station taken out at random, of frames that are shorter and
that are longer than a segment. The same samples with and without loss must give the same
amplitude and delay, and the noise (from lags away from the peak) may only rise by what the
samples valid at both stations say: the ratio falls by the square root of 0.64.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _lines import Line, report, run

from kitestring.correlate.engine import correlate
from kitestring.errors import RecordingWarning
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.quantise import quantise
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifRecording
from kitestring.recordings.vdif_header import VdifHeader, reference_day, reference_epoch

AMPLITUDE_BIAS = 0.5  # %
DELAY_BIAS = 0.2  # of a seed's standard deviation
SNR_RATIO = 2.0  # %
LEAST_SNR = 100.0

LOST = 0.2
RATE = 16e6
SAMPLES, BINS = 1 << 19, 256
SEGMENT = 2 * BINS
LATE = 0.3  # samples: the residual delay of the second station
CORRELATION = 0.25
FRAMES = {"shorter": 160, "longer": 4000}  # samples of a frame
START = Epoch.from_iso("2026-03-01T10:00:00")
NAMES = ("AA", "BB")
BAND = (Channel("CH0", 8.4e9, 1, RATE),)
ZERO = PiecewisePolynomial(START, 10.0, np.zeros((1, 1)))
MODEL = DelayModel("scan", "noise", {name: StationDelay(ZERO, ZERO) for name in NAMES})


@dataclass(frozen=True)
class Found:
    """What is measured on one seed.

    Attributes
    ----------
    amplitude : float
        Correlation coefficient.
    delay : float
        Samples.
    lags : ndarray, shape (n,)
        Squared magnitudes of the normalised lag function away from the peak.
    weight : float
        Fraction of the samples that were valid at both stations.
    """

    amplitude: float
    delay: float
    lags: np.ndarray
    weight: float


def voltages(seed: int) -> list[np.ndarray]:
    """Return the codes of both stations, shape (sample,)."""
    generator = np.random.default_rng(seed)
    common, one, two = generator.standard_normal((3, SAMPLES))
    ramp = np.exp(-2j * np.pi * LATE * np.fft.rfftfreq(SAMPLES))
    late = np.fft.irfft(np.fft.rfft(common) * ramp, SAMPLES)
    shared, own = math.sqrt(CORRELATION), math.sqrt(1.0 - CORRELATION)
    both = shared * np.stack([common, late]) + own * np.stack([one, two])
    return list(quantise(both, 2, 1.0))


def frames_of(codes: np.ndarray, length: int) -> np.ndarray:
    """Return VDIF frames of `length` samples, shape (frame, byte)."""
    count = SAMPLES // length
    reference = reference_epoch(int(START.day))
    second = (int(START.day) - reference_day(reference)) * 86400 + int(START.second)
    header = VdifHeader(
        False, False, second, reference, 0, 1, 1, 32 + length // 4, 2, False, 0, 0x4141, 0
    )  # fmt: skip
    frames = np.zeros((count, header.frame_bytes), dtype=np.uint8)
    words = frames[:, :32].view("<u4")
    words[:] = header.words()
    words[:, 1] |= np.arange(count, dtype=np.uint32)  # the recording is shorter than a second
    groups = codes[: count * length].reshape(count, -1, 4)
    frames[:, 32:] = groups @ np.array([1, 4, 16, 64], dtype=np.uint8)
    return frames


def measure(frames: list[np.ndarray], folder: Path) -> Found:
    """Write, open and correlate the frames of both stations."""
    recordings = []
    for name, some in zip(NAMES, frames, strict=True):
        path = folder / f"{name}.vdif"
        path.write_bytes(some.tobytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            recordings.append(VdifRecording(path, station=name, channels=BAND))
    used = SAMPLES // FRAMES["longer"] * FRAMES["longer"] // SEGMENT * SEGMENT / RATE
    vis = correlate(
        recordings, MODEL, bins=BINS, start=START, stop=START.shifted(used), integration=used,
        threads=1,
    )  # fmt: skip
    data, weight = vis.channels[0].data[0, :, :, 0], vis.channels[0].weight[0, :, 0]
    own = [data[vis.baselines.index((name, name))].real.sum() for name in NAMES]
    b = vis.baselines.index(NAMES)
    cross = data[b].astype(complex) / math.sqrt(own[0] * own[1])
    return Found(*fringe(cross), float(weight[b]))


def fringe(cross: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Return amplitude, delay (samples) and off-peak lags of a normalised cross spectrum.

    The delay maximises the sum over the band, which Newton's steps from the truth find.
    """
    frequency = np.arange(BINS) / SEGMENT  # cycles a sample
    centred = frequency - frequency.mean()
    delay = LATE
    for _ in range(3):
        turned = cross * np.exp(-2j * np.pi * centred * delay)
        turned = turned * np.exp(-1j * np.angle(turned.sum()))
        slope = (centred * turned.imag).sum() / (centred**2 * turned.real).sum()
        delay += slope / (2 * np.pi)
    # turned by the delay found, the peak stands at lag 0 and has no side lobes in the other lags
    turned = cross * np.exp(-2j * np.pi * centred * delay)
    lags = np.abs(np.fft.fft(turned)) ** 2  # 2 samples apart: independent
    away = np.ones(BINS, dtype=bool)
    away[-16:] = away[:17] = False
    return math.sqrt(lags[0]), float(delay), lags[away]


def observe(seeds: int, folder: Path) -> dict[str, list[Found]]:
    """Measure all seeds, whole and with loss."""
    found: dict[str, list[Found]] = {"whole": [], **{name: [] for name in FRAMES}}
    for seed in range(1, seeds + 1):
        codes = voltages(seed)
        generator = np.random.default_rng([seed, 1])
        for name, length in FRAMES.items():
            whole = [frames_of(c, length) for c in codes]
            if name == "longer":
                found["whole"].append(measure(whole, folder))
            kept = [f[generator.random(len(f)) >= LOST] for f in whole]
            found[name].append(measure(kept, folder))
    return found


def snr(found: list[Found]) -> np.ndarray:
    """Return each seed's ratio of the peak to the noise, which is that of all seeds."""
    noise = math.sqrt(np.mean([f.lags for f in found]) / 2)  # of one quadrature
    return np.array([f.amplitude for f in found]) / noise


def lines_of(name: str, whole: list[Found], lossy: list[Found]) -> list[Line]:
    """Compare with and without loss."""
    amplitude = np.array(
        [b.amplitude / a.amplitude - 1.0 for a, b in zip(whole, lossy, strict=True)]
    )
    delay = np.array([b.delay - a.delay for a, b in zip(whole, lossy, strict=True)])
    sigma = np.std([f.delay for f in lossy], ddof=1)
    off = delay / sigma
    root = math.sqrt(len(lossy))
    ratio = snr(lossy).mean() / snr(whole).mean()
    valid = np.mean([f.weight for f in lossy])
    print(f"# frames {name} than a segment: {valid:.4f} of the samples valid at both stations,")
    print(f"# sampling errors: amplitude {amplitude.std(ddof=1) / root * 100:.2g} %, ", end="")
    print(f"delay {off.std(ddof=1) / root:.2g} sigma; sigma {sigma / RATE * 1e12:.1f} ps,")
    print(
        f"# mean delay less the truth {(np.mean([f.delay for f in lossy]) - LATE) / sigma:.3f} ",
        end="",
    )
    print(f"sigma with, {(np.mean([f.delay for f in whole]) - LATE) / sigma:.3f} without loss")
    told = f"frames {name} than a segment"
    return [
        Line(f"mean amplitude bias, {told}", amplitude.mean() * 100, "%", AMPLITUDE_BIAS),
        Line(f"mean delay bias, {told}", off.mean(), "sigma", DELAY_BIAS),
        Line(
            f"SNR off the square root of 0.64, {told}",
            (ratio / (1.0 - LOST) - 1.0) * 100, "%", SNR_RATIO,
        ),
        Line(f"least SNR of a seed, {told}", snr(lossy).min(), "", LEAST_SNR, least=True),
    ]  # fmt: skip


def draw(found: dict[str, list[Found]], path: Path) -> None:
    """Draw how amplitude and delay change with loss, and the noise of the lags."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    for row, name in zip(axes, FRAMES, strict=True):
        pairs = list(zip(found["whole"], found[name], strict=True))
        row[0].hist([(b.amplitude / a.amplitude - 1) * 100 for a, b in pairs], 30)
        row[0].set_xlabel("amplitude with loss over that without, less 1 (%)")
        row[0].set_ylabel(f"seeds, frames {name}")
        row[1].hist([(b.delay - a.delay) / RATE * 1e12 for a, b in pairs], 30)
        row[1].set_xlabel("delay with loss less that without (ps)")
        for which in ("whole", name):
            lags = np.concatenate([f.lags for f in found[which]])
            row[2].hist(lags / np.mean(found["whole"][0].lags), 60, histtype="step", label=which)
        row[2].set_yscale("log")
        row[2].set_xlabel("power of lags away from the peak")
        row[2].legend()
    figure.savefig(path)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=400, help="1 ... N are taken")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw what was found")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = observe(options.seeds, Path(folder))
    if options.plot:
        draw(found, options.plot)
    return report([line for name in FRAMES for line in lines_of(name, found["whole"], found[name])])


if __name__ == "__main__":
    run(main)
