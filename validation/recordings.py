"""Read and write recordings beside another reader: headers, epochs and samples must be equal.

    python validation/recordings.py FOLDER

The folder is a data set of the CorrelX correlator with two real VGOS recordings
(VDIF). They are read by the package and by `baseband`, frame by frame. Then:

- VDIF written by the package is read by baseband, and the other way round;
- Mark 5B written by baseband is read by the package, over the end of a second and
  of a thousand days;
- SigMF is written and read here with json and numpy alone, and by the package.

All of them complete and damaged: frames lost, repeated, late, with broken headers,
with bytes put in between, and files cut off (seeds 1 to 10 each). Of a damaged
recording two numbers must be nought: samples that are called valid and are not
those of their epoch, and frames that nothing happened to and that are not used.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _lines import Line, report, run
from astropy import units
from astropy.time import Time
from baseband import mark5b, vdif
from numpy.typing import NDArray

from kitestring.errors import RecordingWarning
from kitestring.formats.correlx import read_correlx
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.quantise import levels
from kitestring.recordings.sigmf_writer import SigmfWriter
from kitestring.recordings.types import Channel, Recording
from kitestring.recordings.vdif import VdifWriter

Samples = NDArray[Any]

NONE = 0.5  # nothing at all: a number of things below one
COMPARED = 0.7  # of all samples of a damaged recording
EPOCH = 1.0  # ns; baseband keeps time to that
SEEDS = range(1, 11)
START = "2026-03-01T12:00:00.9"
MARK5B = ((1, 1, 16e6), (2, 2, 8e6), (8, 1, 4e6), (16, 2, 1e6), (32, 1, 1e6))
SIGMF_KINDS = {
    "ci8": "i1",
    "cu8": "u1",
    "ci16_le": "<i2",
    "cf32_le": "<f4",
    "ri8": "i1",
    "ru8": "u1",
    "ri16_le": "<i2",
    "rf32_le": "<f4",
}


def make_channels(count: int, rate: float, is_complex: bool = False) -> list[Channel]:
    zero = "middle" if is_complex else "edge"
    return [Channel(f"CH{i:02d}", 8.4e9, 1, rate, is_complex, "", zero) for i in range(count)]


def quietly(paths: Any, **options: Any) -> Recording:
    """Open a damaged recording without the warnings that tell so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        return open_recording(paths, station="Xx", **options)


def different(a: Samples, b: Samples) -> int:
    """Return how many samples are not equal; all of them where there are not as many."""
    return int(np.sum(a != b)) if a.shape == b.shape else max(a.size, b.size)


def nanoseconds(a: Epoch, b: Time | Epoch) -> float:
    other = b if isinstance(b, Epoch) else Epoch.from_astropy(b)
    return abs(float(a.since(other))) * 1e9


# -- the real recordings ---------------------------------------------------------------------


def real(folder: Path, scratch: Path) -> list[Line]:
    """Compare the VGOS recordings with what baseband finds in each frame."""
    lines = []
    for one in read_correlx(folder).recordings:
        path = Path(one.files[0])
        recording = open_recording(one.files, station=one.station, channels=one.channels)
        size, count = 32800, len(one.channels)
        frames = path.stat().st_size // size
        theirs, apart, headers = [], 0.0, 0
        with path.open("rb") as file:
            for k in range(frames):
                file.seek(k * size)
                # user words that are not zero: their check would refuse extended version 0
                header = vdif.VDIFHeader.fromfile(file, verify=False)
                theirs.append(vdif.VDIFPayload.fromfile(file, header=header).data)
                n = len(theirs[0])
                mine = recording.start.shifted(k * n / recording.sample_rate)
                when = header.get_time(frame_rate=recording.sample_rate / n * units.Hz)
                apart = max(apart, nanoseconds(mine, when))
                known = (count, recording.bits, not header["complex_data"], size)
                headers += known != (header.nchan, header.bps, False, header.frame_nbytes)
        truth = np.concatenate(theirs).T
        block = recording.read(0, truth.shape[1])
        name = f"real, {one.station}:"
        lines += [
            Line(f"{name} headers that differ of {frames}", headers, "", NONE),
            Line(f"{name} epochs apart", apart, "ns", EPOCH),
            Line(
                f"{name} samples that differ of {truth.size}",
                different(block.samples, truth) + int(np.sum(~block.valid)),
                "",
                NONE,
            ),
        ]
        data = path.read_bytes()[: frames * size]
        pieces = [data[k * size : (k + 1) * size] for k in range(frames)]
        lines += damaged(
            f"{name} damaged:",
            pieces,
            truth,
            lambda p, c=one.channels: quietly(p, channels=c),
            recording.start,
            scratch,
            lambda frame, _: bytes(32) + frame[32:],
        )
    return lines


# -- damage ----------------------------------------------------------------------------------


def harm(
    frames: Sequence[bytes],
    seed: int,
    break_header: Callable[[bytes, np.random.Generator], bytes],
) -> tuple[bytes, set[int]]:
    """Return the bytes of a damaged file, and which frames need not be used."""
    generator = np.random.default_rng(seed)
    inner = range(2, len(frames) - 2)
    count = max(len(frames) // 20, 1)
    lost, broken, late, twice, after = (
        set(generator.choice(inner, count, replace=False).tolist()) for _ in range(5)
    )
    parts: list[bytes] = []
    held: list[tuple[int, bytes]] = []
    for k, frame in enumerate(frames):
        # headers that nothing confirms are not touched more than once
        if k in lost:
            continue
        whole = break_header(frame, generator) if k in broken else frame
        if k in late:
            held.append((k + 2, whole))
            continue
        parts += [whole] * (2 if k in twice and k not in broken else 1)
        parts += [w for due, w in held if due == k]
        held = [h for h in held if h[0] > k]
        if k in after:
            parts.append(generator.bytes(int(generator.integers(1, 50))))
    parts += [w for _, w in held]
    # bytes may have been lost from a frame before a place where bytes were put in
    doubtful = lost | broken | after | {k + 2 for k in late} | late | {k + 1 for k in after}
    doubtful |= {k - 1 for k in lost | broken | late | after} | {k + 1 for k in broken}
    return b"".join(parts) + frames[-1][: len(frames[-1]) // 2], doubtful


def damaged(
    name: str,
    frames: Sequence[bytes],
    truth: Samples,
    open_it: Callable[[Path], Recording],
    start: Epoch,
    scratch: Path,
    break_header: Callable[[bytes, np.random.Generator], bytes],
) -> list[Line]:
    """Damage a recording in many ways; compare what is left with the truth at its epochs."""
    wrong = unused = compared = 0
    per_frame = truth.shape[1] // len(frames)
    for seed in SEEDS:
        data, doubtful = harm(frames, seed, break_header)
        path = scratch / "damaged"
        path.write_bytes(data)
        recording = open_it(path)
        offset = round(float(start.since(recording.start)) * recording.sample_rate)
        block = recording.read(offset, truth.shape[1])
        wrong += int(np.sum((block.samples != truth) & block.valid))
        compared += int(np.sum(block.valid))
        used = block.valid.reshape(len(truth), len(frames), per_frame).all(axis=(0, 2))
        unused += sum(not used[k] for k in range(len(frames)) if k not in doubtful)
    return [
        Line(f"{name} samples valid and wrong", wrong, "", NONE),
        Line(f"{name} whole frames not used", unused, "", NONE),
        # 5 % are lost and 5 % broken; bytes put in between cost the frame before
        Line(f"{name} part compared", compared / truth.size / len(SEEDS), "", COMPARED, least=True),
    ]


# -- VDIF ------------------------------------------------------------------------------------


def vdif_written_here(scratch: Path) -> list[Line]:
    """Write VDIF with the package and read it with baseband."""
    wrong, apart, layouts, rate, payload = 0, 0.0, 0, 128e3, 160
    for bits in (1, 2, 4, 8):
        for is_complex in (False, True):
            channels = make_channels(4, rate, is_complex)
            frame = 8 * payload // (bits * (1 + is_complex))
            generator = np.random.default_rng(bits)
            shape = (4, 40 * frame * (1 + is_complex))
            codes = generator.integers(0, 1 << bits, shape, dtype=np.uint8)
            path = scratch / "ours.vdif"
            start = Epoch.from_iso("2026-03-01T12:00:00")
            options: dict[str, Any] = {"station": "Tm", "payload_bytes": payload}
            with VdifWriter(path, start=start, channels=channels, bits=bits, **options) as writer:
                writer.write_codes(codes)
            values = levels(bits)[codes]
            values = values.view(np.complex64) if is_complex else values
            with vdif.open(str(path), "rs", sample_rate=rate * units.Hz) as other:
                wrong += different(other.read().T, values)
                apart = max(apart, nanoseconds(start, other.start_time))
            layouts += 1
    name = f"VDIF written here, read by baseband, {layouts} layouts:"
    return [
        Line(f"{name} samples that differ", wrong, "", NONE),
        Line(f"{name} epochs apart", apart, "ns", EPOCH),
    ]


def vdif_of_baseband(scratch: Path) -> list[Line]:
    """Write VDIF with baseband and read it with the package, complete and damaged."""
    wrong, apart, layouts, rate = 0, 0.0, 0, 4e6
    harmed: list[Line] = []
    for edv in (False, 0, 1, 3):
        for bits in (1, 2, 8):
            size = 1000 + (16 if edv is False else 32)
            more = {"sample_rate": rate * units.Hz} if edv in (1, 3) and edv is not False else {}
            header = vdif.VDIFHeader.fromvalues(
                edv=edv, time=Time("2025-08-09T10:11:12"), bps=bits, nchan=1,
                complex_data=False, frame_nbytes=size, station="Sh", **more,
            )  # fmt: skip
            generator = np.random.default_rng(bits)
            data = levels(bits)[generator.integers(0, 1 << bits, (8000 // bits * 60, 1))]
            path = scratch / "theirs.vdif"
            with vdif.open(
                str(path), "ws", header0=header, sample_rate=rate * units.Hz, nthread=1,
                squeeze=False,
            ) as out:  # fmt: skip
                out.write(data[:, :, np.newaxis])
            channels = make_channels(1, rate)
            recording = open_recording(path, station="Sh", channels=channels)
            block = recording.read(0, len(data))
            wrong += different(block.samples, data.T) + int(np.sum(~block.valid))
            apart = max(apart, nanoseconds(recording.start, header.time))
            layouts += 1
            if bits == 2:
                raw = path.read_bytes()
                harmed += damaged(
                    f"VDIF of baseband, edv {'none' if edv is False else edv}, damaged:",
                    [raw[i : i + size] for i in range(0, len(raw), size)],
                    data.T,
                    lambda p, c=channels: quietly(p, channels=c),
                    recording.start,
                    scratch,
                    lambda frame, _: bytes(16) + frame[16:],
                )
    name = f"VDIF of baseband, {layouts} layouts:"
    return [
        Line(f"{name} samples that differ", wrong, "", NONE),
        Line(f"{name} epochs apart", apart, "ns", EPOCH),
        *harmed,
    ]


def vdif_by_channel(scratch: Path) -> list[Line]:
    """Write four channels with baseband into files of their own, all of thread 0, cut in time."""
    rate, count, frames = 4e6, 4, 60
    header = vdif.VDIFHeader.fromvalues(
        edv=0, time=Time("2025-08-09T10:11:12"), bps=2, nchan=1, complex_data=False,
        frame_nbytes=1032, station="Sh",
    )  # fmt: skip
    data = levels(2)[np.random.default_rng(9).integers(0, 4, (count, 4000 * frames))]
    parts: list[Path] = []
    for k, samples in enumerate(data):
        path = scratch / f"channel{k}.vdif"
        with vdif.open(
            str(path), "ws", header0=header, sample_rate=rate * units.Hz, nthread=1, squeeze=False
        ) as out:
            out.write(samples[:, np.newaxis, np.newaxis])
        raw, cut = path.read_bytes(), (20 + 5 * k) * 1032  # each elsewhere
        for name, some in (("a", raw[:cut]), ("b", raw[cut:])):
            parts.append(path.with_name(f"channel{k}{name}.vdif"))
            parts[-1].write_bytes(some)
    wrong = 0
    for paths in (parts, parts[::2] + parts[1::2]):
        recording = open_recording(paths, station="Sh", channels=make_channels(count, rate))
        block = recording.read(0, data.shape[1])
        wrong += different(block.samples, data) + int(np.sum(~block.valid))
    name = "VDIF of baseband, 4 channels of thread 0 in 8 files: samples that differ"
    return [Line(name, wrong, "", NONE)]


# -- Mark 5B ---------------------------------------------------------------------------------


def mark5b_of_baseband(scratch: Path) -> list[Line]:
    """Write Mark 5B with baseband and read it with the package, complete and damaged."""
    wrong, apart, layouts = 0, 0.0, 0
    harmed: list[Line] = []
    for start in (START, "2023-02-24T23:59:59.9"):  # the second one: 100 ms before MJD 60000
        for count, bits, rate in MARK5B:
            frame = 80000 // (count * bits)
            generator = np.random.default_rng(count)
            data = levels(bits)[generator.integers(0, 1 << bits, (60 * frame, count))]
            path = scratch / "theirs.m5b"
            with mark5b.open(
                str(path), "ws", sample_rate=rate * units.Hz, nchan=count, bps=bits,
                time=Time(start, scale="utc", precision=9), squeeze=False,
            ) as out:  # fmt: skip
                out.write(data)
            options = {
                "channels": make_channels(count, rate),
                "reference": Epoch.from_iso(start).shifted(-3e7),
            }
            recording = open_recording(path, station="Ef", **options)
            block = recording.read(0, len(data))
            wrong += different(block.samples, data.T) + int(np.sum(~block.valid))
            apart = max(apart, nanoseconds(recording.start, Epoch.from_iso(start)))
            layouts += 1
            if (count, bits) == (2, 2):
                raw = path.read_bytes()
                harmed += damaged(
                    f"Mark 5B from {start[:10]}, damaged:",
                    [raw[i : i + 10016] for i in range(0, len(raw), 10016)],
                    data.T,
                    lambda p, o=options: quietly(p, **o),
                    recording.start,
                    scratch,
                    _flip,
                )
    name = f"Mark 5B of baseband, {layouts} layouts:"
    return [
        Line(f"{name} samples that differ", wrong, "", NONE),
        Line(f"{name} epochs apart", apart, "ns", EPOCH),
        *harmed,
    ]


def _flip(frame: bytes, generator: np.random.Generator) -> bytes:
    """Flip a bit of the sync word, or of the time code that the CRC protects."""
    byte = int(generator.choice([*range(4), *range(8, 16)]))
    changed = bytearray(frame)
    changed[byte] ^= 1 << int(generator.integers(8))
    return bytes(changed)


# -- SigMF -----------------------------------------------------------------------------------


def sigmf_values(kind: str, numbers: Samples) -> Samples:
    """Return what numbers of a datatype stand for, shape (channel, n)."""
    half = 2.0 ** (8 * numbers.dtype.itemsize - 1)
    values = numbers.astype(np.float64)
    if kind[1] == "u":
        values -= half
    if kind[1] != "f":
        values /= half
    values = values.astype(np.float32)
    return values.view(np.complex64) if kind[0] == "c" else values


def sigmf_numbers(kind: str, count: int, samples: int) -> Samples:
    parts = 2 if kind[0] == "c" else 1
    generator = np.random.default_rng(count)
    dtype = np.dtype(SIGMF_KINDS[kind])
    if dtype.kind == "f":
        return generator.normal(size=(count, samples * parts)).astype(dtype)
    info = np.iinfo(dtype)
    return generator.integers(info.min, info.max, (count, samples * parts)).astype(dtype)


def sigmf(scratch: Path) -> list[Line]:
    """Write SigMF here and read it with the package, and the other way round."""
    read = written = 0
    apart = 0.0
    rate, samples, start = 1e6, 5000, Epoch.from_iso(f"{START}87654321")
    for kind in SIGMF_KINDS:
        for count in (1, 3):
            numbers = sigmf_numbers(kind, count, samples)
            truth = sigmf_values(kind, numbers)
            channels = make_channels(count, rate, kind[0] == "c")
            path = scratch / "here.sigmf-meta"
            write_sigmf(path, kind, numbers, rate, start)
            recording = quietly(path, channels=channels)
            gap = 77  # samples that are missing between the two captures
            block = recording.read(0, samples + gap)
            there = np.r_[: samples // 2, samples // 2 + gap : samples + gap]
            hole = np.setdiff1d(np.arange(samples + gap), there)
            read += different(block.samples[:, there], truth) + int(np.sum(block.valid[:, hole]))
            read += int(np.sum(~block.valid[:, there]))
            apart = max(apart, nanoseconds(recording.start, start))

            with SigmfWriter(
                scratch / "ours", station="Xx", start=start, channels=channels, datatype=kind
            ) as writer:
                writer.write_codes(numbers[:, : numbers.shape[1] // 2])
                writer.write_codes(numbers[:, numbers.shape[1] // 2 :])
            meta = json.loads((scratch / "ours.sigmf-meta").read_text())
            flat = np.fromfile(scratch / "ours.sigmf-data", SIGMF_KINDS[kind])
            parts = 2 if kind[0] == "c" else 1
            table = flat.reshape(samples, count, parts).transpose(1, 0, 2).reshape(count, -1)
            written += different(table, numbers)
            written += meta["global"]["core:datatype"] != kind
            written += meta["global"]["core:num_channels"] != count
            written += meta["global"]["core:sample_rate"] != rate
            text = meta["captures"][0]["core:datetime"]
            apart = max(apart, nanoseconds(start, Epoch.from_iso(text)))
    return [
        Line("SigMF written here, read by the package: samples that differ", read, "", NONE),
        Line("SigMF written by the package, read here: what differs", written, "", NONE),
        Line("SigMF both ways: epochs apart", apart, "ns", EPOCH),
        *sigmf_damaged(scratch),
    ]


def write_sigmf(path: Path, kind: str, numbers: Samples, rate: float, start: Epoch) -> None:
    """Write a recording of two captures with 77 samples missing between, json and numpy alone."""
    count = len(numbers)
    parts = 2 if kind[0] == "c" else 1
    samples = numbers.shape[1] // parts
    half = samples // 2
    later = start.shifted((half + 77) / rate)
    meta = {
        "global": {
            "core:datatype": kind,
            "core:version": "1.2.0",
            "core:sample_rate": rate,
            "core:num_channels": count,
        },
        "captures": [
            {
                "core:sample_start": first,
                "core:frequency": 8.4e9,
                "core:datetime": f"{epoch.iso(12)}Z",
            }
            for first, epoch in ((0, start), (half, later))
        ],
        "annotations": [],
    }
    path.write_text(json.dumps(meta))
    table = numbers.reshape(count, samples, parts).transpose(1, 0, 2)
    path.with_suffix(".sigmf-data").write_bytes(table.tobytes())


def sigmf_damaged(scratch: Path) -> list[Line]:
    """Cut data files off, and put NaN in: what is left must be that of its epoch."""
    wrong = missed = 0
    rate, samples, start = 1e6, 5000, Epoch.from_iso(START)
    numbers = sigmf_numbers("cf32_le", 2, samples)
    truth = sigmf_values("cf32_le", numbers)
    path = scratch / "cut.sigmf-meta"
    data = path.with_suffix(".sigmf-data")
    there = np.r_[: samples // 2, samples // 2 + 77 : samples + 77]
    for seed in SEEDS:
        generator = np.random.default_rng(seed)
        bad = generator.choice(samples, 20, replace=False)
        harmed = numbers.copy()
        harmed[0, 2 * bad] = np.nan
        write_sigmf(path, "cf32_le", harmed, rate, start)
        size = int(generator.integers(3 * data.stat().st_size // 4, data.stat().st_size))
        data.write_bytes(data.read_bytes()[:size])
        block = quietly(path).read(0, samples + 77)
        good = np.arange(samples) < size // 16
        valid = np.stack([good & ~np.isin(np.arange(samples), bad), good])
        wrong += int(np.sum((block.samples[:, there] != truth) & block.valid[:, there]))
        wrong += int(np.sum(block.valid[:, there] & ~valid))
        missed += int(np.sum(~block.valid[:, there] & valid))
    return [
        Line("SigMF, damaged: samples valid and wrong", wrong, "", NONE),
        Line("SigMF, damaged: whole samples not used", missed, "", NONE),
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="CorrelX data set with VDIF recordings")
    options = parser.parse_args(arguments)
    # baseband tells of files that end within a frame
    warnings.filterwarnings("ignore", module="baseband")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        lines = real(options.folder, scratch)
        for part in (
            vdif_written_here, vdif_of_baseband, vdif_by_channel, mark5b_of_baseband, sigmf,
        ):  # fmt: skip
            lines += part(scratch)
    return report(lines)


if __name__ == "__main__":
    run(main)
