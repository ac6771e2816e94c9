"""Damage recordings at random and see that no sample is called valid that is not true.

    python tests/recordings/fuzz.py [--count N] [--first SEED] [--format NAME]

Case n is made from the seed n alone: `--first n --count 1 --format NAME` makes it again.
Every case is one of three kinds:

"sites"
    Up to three places of a recording are damaged: frames lost, repeated, late,
    marked as invalid or taken from another station; bytes put in, lost, or
    overwritten; bits of a header turned. The places lie apart, and away from both
    ends: one wrong header among whole neighbours can be told, one beside
    nothing cannot. The file may be cut at the end, and have junk before its beginning.
    It must open; every sample that is valid must be the true one at its epoch; and
    no more frames may be lost than the damage explains.
"lies"
    All headers (or the metadata) say something else: it opens or is refused.
"anything"
    Bits, bytes and stretches of the file, samples too, are turned, cut, copied,
    moved. Nothing can be said about samples then, but it is opened and read, or refused.

Whatever the kind: refusing means a `KitestringError` that names the file and ends
with a next step; no other exception, no case over `SLOW` seconds. Bits turned in
samples cannot be told and are no part of "sites".
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import random
import sys
import tempfile
import time
import unittest.mock
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kitestring.errors import KitestringError
from kitestring.model.time import Epoch
from kitestring.recordings import vdif_index, vdif_outline, vdif_spans
from kitestring.recordings.describe import describe
from kitestring.recordings.open import open_recording
from kitestring.recordings.quantise import levels
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifWriter

SLOW = 5.0  # s
HANG = 60.0  # s that a case may take before all stacks are printed and the program ends
CHUNK = 500  # cases that a process does at a time
START = Epoch.from_iso("2026-03-01T12:00:00.4")
LOST_A_SITE = 12  # frames: damage reaches over up to 6, and two neighbours


@dataclass(frozen=True)
class Example:
    """A good recording, in memory.

    `truth` has shape (channel, n): what `read` must return from `START` on. For
    formats without frames, `frame` is 0 and the data are cut only at the end. `long`
    makes its readers take it for one that is too long to read all headers on opening.
    """

    files: dict[str, bytes]
    main: str
    truth: np.ndarray
    channels: tuple[Channel, ...]
    header: int
    frame: int
    threads: int
    options: dict
    long: bool = False

    @property
    def named(self) -> list[str]:
        """What is opened: all files with frames together."""
        return sorted(self.files) if self.frame else [self.main]


@dataclass(frozen=True)
class Case:
    """Damaged files; `lost` frames at most may be missing, None where nothing is promised."""

    kind: str
    files: dict[str, bytes]
    lost: int | None


# -- examples: one function a format --------------------------------------------------


def _vdif(
    bits: int,
    threads: int,
    edv: int | None,
    frames: int = 64,
    payload: int = 64,
    per_second: int = 20,
) -> Example:
    samples = payload * 8 // bits
    rate = float(per_second * samples)
    channels = tuple(Channel(f"CH{i}", 8.4e9, 1, rate) for i in range(threads))
    kind = np.uint16 if bits == 16 else np.uint8
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (threads, frames * samples))
    if bits == 16:  # as different as can be
        codes = np.arange(codes.size).reshape(codes.shape) & 0xFFFF
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.vdif"
        with VdifWriter(
            path, station="Tm", start=START, channels=channels, bits=bits,
            payload_bytes=payload, edv=edv,
        ) as writer:  # fmt: skip
            writer.write_codes(codes.astype(kind))
        data = path.read_bytes()
    header = 16 if edv is None else 32
    return Example(
        {"a.vdif": data}, "a.vdif", levels(bits)[codes], channels, header, header + payload,
        threads, {},
    )  # fmt: skip


def vdif_example() -> Example:
    """Two threads, full headers."""
    return _vdif(16, 2, 0)


def long_example() -> Example:
    """The same, taken for a long recording of several spans."""
    return replace(_vdif(16, 2, 0, frames=300), long=True)


def legacy_example() -> Example:
    """One thread, legacy headers."""
    return _vdif(8, 1, None)


def rated_example() -> Example:
    """Three threads, headers with the sample rate."""
    return _vdif(16, 3, 1, payload=80, per_second=50)


def by_channel_example() -> Example:
    """Two channels in files of their own, both of thread 0."""
    one = _vdif(16, 2, 0)
    frames = np.frombuffer(one.files["a.vdif"], np.uint8).reshape(-1, 2, one.frame).copy()
    frames[:, :, 14] = 0  # the thread
    files = {name: frames[:, k].tobytes() for k, name in enumerate(("a.vdif", "b.vdif"))}
    return replace(one, files=files, threads=1)


def in_time_example() -> Example:
    """One channel in two files one after another."""
    one = _vdif(16, 1, 0, frames=128)
    data = one.files["a.vdif"]
    half = len(data) // 2
    return replace(one, files={"a.vdif": data[:half], "b.vdif": data[half:]})


def mark5b_example() -> Example:
    """Two channels of 2 bits, over the end of a second."""
    from astropy import units
    from astropy.time import Time
    from baseband import mark5b

    frames, count = 64, 2
    samples = 80000 // 4
    rate = 20.0 * samples
    data = levels(2)[np.random.default_rng(2).integers(0, 4, (frames * samples, count))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.m5b"
        with mark5b.open(
            str(path), "ws", sample_rate=rate * units.Hz, nchan=count, bps=2,
            time=Time("2026-03-01T12:00:00.4", scale="utc", precision=9), squeeze=False,
        ) as out:  # fmt: skip
            out.write(data)
        content = path.read_bytes()
    channels = tuple(Channel(f"CH{i}", 8.4e9, 1, rate) for i in range(count))
    return Example(
        {"a.m5b": content}, "a.m5b", data.T, channels, 16, 10016, 1,
        {"reference": Epoch.from_iso("2026-01-01T00:00:00")},
    )  # fmt: skip


def sigmf_example() -> Example:
    """Two captures of complex 16-bit samples with a gap between, one channel."""
    rate, count, gap = 1000.0, 600, 100
    generator = np.random.default_rng(3)
    codes = generator.integers(-(1 << 15), 1 << 15, (2 * count, 2)).astype("<i2")
    when = [START.iso(9) + "Z", START.shifted((count + gap) / rate).iso(9) + "Z"]
    meta = {
        "global": {
            "core:datatype": "ci16_le",
            "core:version": "1.0.0",
            "core:sample_rate": rate,
        },
        "captures": [
            {"core:sample_start": k * count, "core:frequency": 8.4e9, "core:datetime": when[k]}
            for k in range(2)
        ],
        "annotations": [],
    }
    files = {"a.sigmf-data": codes.tobytes(), "a.sigmf-meta": json.dumps(meta).encode()}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        whole = open_recording(Path(folder) / "a.sigmf-meta", station="Tm")
        block = whole.read(0, 2 * count + gap)
    channels = whole.channels
    scale = (
        np.abs(block.samples[0, :count]).max() / np.abs(codes[:count].astype(float) @ [1, 1j]).max()
    )
    known = (codes.astype(np.float64) @ np.array([1, 1j])) * scale
    truth = np.full((1, 2 * count + gap), np.nan, dtype=np.complex64)
    truth[0, :count], truth[0, count + gap :] = known[:count], known[count:]
    return Example(files, "a.sigmf-data", truth, tuple(channels), 0, 0, 1, {})


EXAMPLES: dict[str, Callable[[], Example]] = {
    "VDIF": vdif_example,
    "VDIF long": long_example,
    "VDIF legacy": legacy_example,
    "VDIF with rate": rated_example,
    "VDIF by channel": by_channel_example,
    "VDIF in time": in_time_example,
    "Mark 5B": mark5b_example,
    "SigMF": sigmf_example,
}
# of so many cases; Mark 5B frames cannot be short, so that its cases take longer
SHARES = {"VDIF": 5, "VDIF long": 3, "VDIF legacy": 4, "VDIF with rate": 4}


# -- damage ---------------------------------------------------------------------------


def _turn_bits(data: bytearray, first: int, stop: int, count: int, dice: random.Random) -> None:
    for _ in range(count):
        data[dice.randrange(first, stop)] ^= 1 << dice.randrange(8)


# bits of a header that say where a frame belongs: second, number and thread; number and time
_VDIF_PLACING = [*range(30), *range(32, 56), *range(112, 122)]
_MARK5B_PLACING = [*range(32, 47), *range(64, 128)]


def _damage_site(frames: list[bytearray], i: int, one: Example, dice: random.Random) -> None:
    """Damage frames from `i` on; at most six are touched."""
    head, length = one.header, one.frame
    placing = _VDIF_PLACING if length != 10016 else _MARK5B_PLACING
    kinds = ["placing"] * 3
    kinds += [
        "lose",
        "repeat",
        "late",
        "bits",
        "random",
        "zero",
        "put in",
        "lose bytes",
        "frame in",
    ]
    if one.header >= 16 and length != 10016:
        kinds += ["mark", "station"]
    kind = dice.choice(kinds)
    if kind == "lose":
        del frames[i : i + dice.randint(1, 5)]
    elif kind == "repeat":
        frames.insert(i + dice.randint(0, 4), bytearray(frames[i]))
    elif kind == "late":
        frames.insert(i + dice.randint(1, 5), frames.pop(i))
    elif kind == "bits":
        _turn_bits(frames[i], 0, head, dice.randint(1, 8), dice)
    elif kind == "placing":
        for bit in dice.sample(placing, dice.choice([1, 1, 2, 5])):
            frames[i][bit // 8] ^= 1 << bit % 8
    elif kind == "random":
        frames[i][:head] = dice.randbytes(head)
    elif kind == "zero":
        frames[i][:] = bytes(len(frames[i]))
    elif kind == "put in":
        at = dice.randrange(head, length)
        junk = dice.randbytes(dice.randint(1, length - 1))
        frames[i][at:at] = junk
    elif kind == "lose bytes":
        at = dice.randrange(head, length)
        del frames[i][at : at + dice.randint(1, length - 1)]
    elif kind == "frame in":
        frames.insert(i, bytearray(dice.randbytes(length)))
    elif kind == "mark":
        frames[i][3] |= 0x80
    elif kind == "station":
        frames[i][12] ^= dice.randint(1, 255)
        frames[i][head:] = dice.randbytes(length - head)


def _sites(one: Example, dice: random.Random) -> Case:
    data = one.files[one.main]
    if not one.frame:  # without frames there is an end only
        cut = dice.randrange(len(data) // 8, len(data))
        return Case("sites", one.files | {one.main: data[:cut]}, None)
    frames = [bytearray(data[i : i + one.frame]) for i in range(0, len(data), one.frame)]
    apart = 8 * one.threads + 6
    count = min(dice.randint(0, 3), len(frames) // apart - 2)
    room = len(frames) - 2 * apart - max(count - 1, 0) * apart
    places = sorted(dice.randrange(room) for _ in range(count))
    for k, place in reversed(list(enumerate(places))):
        _damage_site(frames, place + (k + 1) * apart, one, dice)
    lost = LOST_A_SITE * count
    if dice.random() < 0.2:  # the search for the first frame must not take another place for it
        frames[0][: one.header] = dice.randbytes(one.header)
        lost += 1 + one.threads
    content = b"".join(map(bytes, frames))
    if dice.random() < 0.3:
        gone = dice.randrange(1, apart // 2 * one.frame)
        content = content[:-gone]
        lost += gone // one.frame + 2
    if dice.random() < 0.2:
        content = dice.randbytes(dice.randint(1, 300)) + content
        lost += 2
    return Case("sites", one.files | {one.main: content}, lost)


_VALUES = (None, "", "x", 0, -1, 1e308, float("nan"), [], {}, True, "cf32_le", 1 << 70)


def _lies(one: Example, dice: random.Random) -> Case:
    if one.frame:
        data = bytearray(one.files[one.main])
        mask = [0] * one.header
        for _ in range(dice.randint(1, 3)):
            mask[dice.randrange(one.header)] ^= 1 << dice.randrange(8)
        for at in range(0, len(data), one.frame):
            for k, bits in enumerate(mask):
                data[at + k] ^= bits
        return Case("lies", one.files | {one.main: bytes(data)}, None)
    name = next(n for n in one.files if n != one.main)
    meta = json.loads(one.files[name])
    for _ in range(dice.randint(1, 2)):
        captures = meta.get("captures")
        captures = captures if isinstance(captures, list) else []
        part = dice.choice([meta, meta.get("global"), *captures])
        if not isinstance(part, dict) or not part:
            continue
        key = dice.choice(sorted(part))
        if dice.random() < 0.3:
            del part[key]
        else:
            part[key] = dice.choice(_VALUES)
    return Case("lies", one.files | {name: json.dumps(meta).encode()}, None)


def _anything(one: Example, dice: random.Random) -> Case:
    files = dict(one.files)
    for _ in range(dice.randint(1, 6)):
        name = dice.choice(sorted(files))
        data = bytearray(files[name])
        n = len(data)
        if not n:
            continue
        a = dice.randrange(n)
        b = min(a + dice.choice([1, 4, 16, 100, 1000, n]), n)
        kind = dice.choice(["bits", "bytes", "cut", "move", "copy", "zero", "end"])
        if kind == "bits":
            _turn_bits(data, a, b, dice.randint(1, 20), dice)
        elif kind == "bytes":
            data[a:b] = dice.randbytes(b - a)
        elif kind == "cut":
            del data[a:b]
        elif kind in ("move", "copy"):
            part = data[a:b]
            if kind == "move":
                del data[a:b]
            at = dice.randrange(len(data) + 1)
            data[at:at] = part
        elif kind == "zero":
            data[a:b] = bytes(b - a)
        else:
            del data[a:]
        files[name] = bytes(data[: 4 * n + 4096])
    if dice.random() < 0.02:
        del files[dice.choice(sorted(files))]
    return Case("anything", files, None)


def make_case(one: Example, seed: int) -> Case:
    """Return the case of a seed."""
    dice = random.Random(seed)
    return dice.choices([_sites, _lies, _anything], [6, 1, 3])[0](one, dice)


# -- the checks -----------------------------------------------------------------------


def run_case(one: Example, case: Case, folder: Path) -> str:
    """Open and read a case; return what is wrong, or ''."""
    for name in one.files:
        if name in case.files:
            (folder / name).write_bytes(case.files[name])
        else:
            (folder / name).unlink(missing_ok=True)
    paths = [folder / name for name in one.named]
    begun = time.perf_counter()
    try:
        wrong = _read(one, case, paths)
    except KitestringError as error:
        wrong = ""
        if case.lost is not None:
            wrong = f"refused: {error}"
        elif not error.next_step or folder.name not in f"{error.place} {error}":
            wrong = f"an error without file or next step: {error!r}"
    except Exception as error:  # whatever else is raised is what is looked for
        wrong = f"{type(error).__name__}: {error}"
    took = time.perf_counter() - begun
    return wrong or (f"took {took:.1f} s" if took > SLOW else "")


def _read(one: Example, case: Case, paths: list[Path]) -> str:
    own = one.channels if one.frame else None  # SigMF states them
    recording = open_recording(paths, station="Tm", channels=own, **one.options)
    rate = recording.sample_rate
    if case.kind != "sites":
        recording.read(-5, 1000)
        describe(paths, sample_rate=rate, channels=own or (), **one.options)
        return ""
    shift = float(START.since(recording.start)) * rate
    n = one.truth.shape[1]
    if abs(shift - round(shift)) > 1e-3:
        return f"begins {shift} samples beside a sample"
    length = round(float(recording.stop.since(recording.start)) * rate)
    begin = min(0, round(shift)) - 50  # all there is before and after, too
    total = max(length, round(shift) + n) + 50 - begin
    if total > 100 * n:
        return f"lasts {total / rate} s"
    block = recording.read(begin, total)
    truth = np.full(block.samples.shape, np.nan, dtype=block.samples.dtype)
    first = round(shift) - begin
    kept = n
    truth[:, first : first + kept] = one.truth[:, :kept]
    bad = block.valid & ~np.isclose(block.samples, truth, rtol=1e-6, atol=0)
    if bad.any():
        return f"{np.count_nonzero(bad)} valid samples are not true"
    if case.lost is not None and one.frame:
        frame = len(one.truth) * n * one.frame / sum(map(len, one.files.values()))  # numbers in it
        gone = n - np.count_nonzero(block.valid[:, first : first + kept], axis=1)
        if gone.sum() > case.lost * frame:
            return f"{gone.sum() / frame:.1f} frames are lost, {case.lost} at most should be"
    return ""


@contextlib.contextmanager
def _taken_for_long(one: Example) -> Iterator[None]:
    """Let a recording of a few hundred frames have the spans of one of many gigabytes."""
    patches = [
        (vdif_index, "WHOLE", 0),
        (vdif_outline, "_END", 60 * one.frame),
        (vdif_outline, "_SPAN", 120 * one.frame),
        (vdif_spans, "_PIECE", 60 * one.frame),
        (vdif_spans, "_MARGIN", 40 * one.frame),
    ]
    with contextlib.ExitStack() as stack:
        for module, name, value in patches if one.long else []:
            stack.enter_context(unittest.mock.patch.object(module, name, value))
        yield


def fuzz(name: str, first: int, count: int) -> list[tuple[int, str, str]]:
    """Run cases of a format; return (seed, kind, what is wrong) of those that failed."""
    one = EXAMPLES[name]()
    failed = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        warnings.catch_warnings(),
        _taken_for_long(one),
    ):
        warnings.simplefilter("ignore")
        for seed in range(first, first + count):
            faulthandler.dump_traceback_later(HANG, exit=True)
            case = make_case(one, seed)
            wrong = run_case(one, case, Path(scratch))
            if wrong:
                failed.append((seed, case.kind, wrong))
    faulthandler.cancel_dump_traceback_later()
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200_000, help="cases of all formats together")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--format", choices=sorted(EXAMPLES), help="only this format")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    options = parser.parse_args()
    names = [options.format] if options.format else list(EXAMPLES)
    shares = {name: SHARES.get(name, 2) for name in names}
    status = 0
    with ProcessPoolExecutor(options.workers) as pool:  # one that crashes breaks it: an error
        for name in names:
            begun = time.perf_counter()
            each = -(-options.count * shares[name] // sum(shares.values()))
            stop = options.first + each
            firsts = range(options.first, stop, CHUNK)
            counts = [min(CHUNK, stop - first) for first in firsts]
            parts = pool.map(fuzz, [name] * len(counts), firsts, counts)
            failed = [one for part in parts for one in part]
            took = time.perf_counter() - begun
            print(f"{name}: {each} cases in {took:.0f} s, {len(failed)} wrong", flush=True)
            for seed, kind, wrong in failed[:20]:
                print(f"  seed {seed} ({kind}): {wrong[:300]}")
            status |= bool(failed)
    return status


if __name__ == "__main__":
    sys.exit(main())
