"""Describe, read and correlate recordings of 9 GiB, and see how much memory that takes.

    python validation/memory.py [--gibibytes N] [--folder DIR]

The recordings are sparse: every frame has its header, the samples between are
holes that read as zeros, so that they take little of the disk. The first is whole. Of
the second every thousandth frame is lost and every 1500th comes one place late, so
that the index of its frames cannot be short. Each is described with all headers and
with stretches of samples, read from end to end in blocks, and correlated as if two stations
had recorded it, into a store; each in a process of its own, whose greatest resident memory
(pages of mapped files included) is what counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from _lines import Line, report, run

LIMIT = 1.0  # GiB, for a recording of any length
PAYLOAD = 32768  # bytes: of each frame one page of 4096 is on the disk
SAMPLES = PAYLOAD * 4  # 2-bit real samples
PER_SECOND = 1000
RATE = float(SAMPLES * PER_SECOND)
BLOCK = 1 << 22  # samples of each channel read at a time

_WORK = """
import resource, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from kitestring.recordings.describe import describe
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel
path, task, rate, block = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
channels = [Channel(f"CH{k}", 8.4e9 + k * rate, 1, rate) for k in range(2)]
seen = valid = 0
if task == "full":
    counts = describe(path, full=True, sample_rate=rate).survey.counts
    seen, valid = counts.frames + counts.missing, counts.frames
elif task == "read":
    describe(path, read=True, sample_rate=rate)
elif task == "correlate":
    import numpy as np
    from kitestring.correlate.plan import make_plan
    from kitestring.correlate.store import read_visibilities
    from kitestring.correlate.stored import correlate_to_store
    from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
    two = [open_recording(path, station=name, channels=channels) for name in ("Aa", "Bb")]
    zero = PiecewisePolynomial(two[0].start, 1e4, np.zeros((1, 1)))
    model = DelayModel("scan", "nothing", {n: StationDelay(zero, zero) for n in ("Aa", "Bb")})
    plan = make_plan(
        two, model, bins=1024, start=two[0].start, stop=two[0].stop, integration=1.0,
        baselines=[("Aa", "Bb")],
        quantisation="off",  # the samples are all alike: a sampler that is stuck
    )
    correlate_to_store(plan, path + ".zarr", again=True)
    vis = read_visibilities(path + ".zarr")
    length = vis.integration * rate
    seen = round(length.sum()) * len(channels)
    for channel in vis.channels:
        valid += round(float((channel.weight[:, 0, :] * length[:, np.newaxis]).sum()))
else:
    recording = open_recording(path, station="Me", channels=channels)
    total = round(float(recording.stop.since(recording.start)) * rate)
    for first in range(0, total, block):
        some = recording.read(first, min(block, total - first))
        seen, valid = seen + some.valid.size, valid + int(some.valid.sum())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss begins with that of the parent
    peak = next(int(s.split()[1]) for s in status.read_text().splitlines() if "VmHWM" in s)
print(peak / 2**20, seen, valid)
"""


def write(path: Path, gibibytes: float, damaged: bool) -> int:
    """Write the headers of a recording of two threads; return the number of lost frames."""
    import numpy as np

    from kitestring.recordings.vdif_header import VdifHeader

    header = VdifHeader(
        False, False, 0, 52, 0, 1, 1, PAYLOAD + 32, 2, False, 0, 0x4D65, 1, RATE
    )  # fmt: skip
    frames = int(gibibytes * 2**30) // header.frame_bytes // 2 * 2
    order = np.arange(frames)
    lost = 0
    if damaged:
        late = np.arange(1500, frames - 10, 1500)
        order[late], order[late + 2] = order[late + 2], order[late]
        keep = np.ones(frames, dtype=bool)
        keep[700:-10:1000] = False
        lost = int(np.count_nonzero(~keep))
        order = order[keep]
    base = header.words()
    with path.open("wb") as file:
        for place, frame in enumerate(order.tolist()):
            second, number = divmod(frame // 2, PER_SECOND)
            words = base.copy()
            words[0] |= second
            words[1] |= number
            words[3] |= frame % 2 << 16
            file.seek(place * header.frame_bytes)
            file.write(words.tobytes())
        file.truncate(len(order) * header.frame_bytes)
    return lost


def measure(path: Path, task: str) -> tuple[float, int, int]:
    """Do a task in a process of its own: peak GiB, and what was seen and valid."""
    done = subprocess.run(
        [sys.executable, "-c", _WORK, str(path), task, str(RATE), str(BLOCK)],
        check=True,
        capture_output=True,
        text=True,
    )
    peak, seen, valid = done.stdout.split()
    return float(peak), int(seen), int(valid)


def lines_of(path: Path, gibibytes: float, damaged: bool) -> list[Line]:
    """Measure all tasks on one recording."""
    lost = write(path, gibibytes, damaged)
    name = "damaged" if damaged else "whole"
    size = path.stat().st_size / 2**30
    lines = []
    for task, what in (
        ("full", "all headers checked"),
        ("read", "described with samples"),
        ("blocks", "read in blocks"),
        ("correlate", "correlated"),
    ):
        peak, seen, valid = measure(path, task)
        lines.append(
            Line(f"{name} recording of {size:.1f} GiB, {what}: memory", peak, "GiB", LIMIT)
        )
        if task != "read":
            wrong = seen - valid - lost * (1 if task == "full" else SAMPLES)
            unit = "frames" if task == "full" else "samples"
            lines.append(
                Line(f"{name} recording, {what}: {unit} that are not as written", wrong, "", 0.5)
            )
    path.unlink()
    return lines


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gibibytes", type=float, default=9.0, help="length of each recording")
    parser.add_argument("--folder", help="where the recordings are written and removed again")
    options = parser.parse_args(arguments)
    lines = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for damaged in (False, True):
            lines += lines_of(Path(folder) / "me.vdif", options.gibibytes, damaged)
    return report(lines)


if __name__ == "__main__":
    run(main)
