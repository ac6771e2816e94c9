"""Kill a correlation at 30 random moments, resume it, and compare its bytes.

    python validation/resume.py [--kills N] [--seed N] [--folder DIR]

A simulated scan of three stations is correlated by processes that are killed (as by
`kill -9`) at moments drawn uniformly over the time that an uninterrupted run takes, with
one thread and with two. The next process goes on; where one is finished before its moment
comes, its store is compared with that of an uninterrupted run and the next begins anew.
Blocks of the store are cut small, so that a scan of two seconds has many.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import signal
import tempfile
import time
import warnings
from multiprocessing.context import ForkProcess
from pathlib import Path

import xarray  # noqa: F401 - before processes are forked
import zarr  # noqa: F401
from _lines import Line, report, run
from _recorded import Files, contents, differing, record

from kitestring.correlate import stored
from kitestring.correlate.engine import Threads, correlate_chunk
from kitestring.correlate.journal import journal_path, read_journal
from kitestring.correlate.plan import Plan
from kitestring.errors import RecordingWarning

STATIONS = ("TIANMA65", "URUMQI", "MIYUN50")
SECONDS, BINS, INTEGRATION = 6.0, 256, 0.05
MOST_RUNS = 10  # processes for each kill: more would mean that moments never come

_FORK = multiprocessing.get_context("fork")  # what is loaded and compiled need not be again


def work(plan: Plan, store: Path, threads: int) -> None:
    """Correlate, in a process that may be killed."""
    stored.correlate_to_store(plan, store, workers=Threads(threads))


def start(plan: Plan, store: Path, threads: int) -> ForkProcess:
    """Start a process that correlates."""
    process = _FORK.Process(target=work, args=(plan, store, threads))
    process.start()
    return process


def finish(process: ForkProcess, seconds: float | None = None) -> bool:
    """Wait for a process; tell whether it has finished, else it is killed."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            return False
    if process.exitcode != 0:
        raise OSError(f"a process that correlates ended with status {process.exitcode}")
    return True


def clear(store: Path) -> None:
    """Remove what was correlated."""
    shutil.rmtree(store, ignore_errors=True)
    journal_path(store).unlink(missing_ok=True)


def integrations_done(store: Path) -> int:
    """Return how many integrations are safe."""
    journal = read_journal(store)
    return 0 if journal is None else journal.done


def lines_of(
    plan: Plan, store: Path, whole: Files, threads: int, kills: int, seed: int
) -> list[Line]:
    """Kill and resume, and compare all stores that were finished with a whole one."""
    total = round(SECONDS / INTEGRATION)
    clear(store)
    begun = time.perf_counter()
    finish(start(plan, store, threads))
    length = time.perf_counter() - begun
    print(f"# threads: {threads}, {length:.2f} s of work, {len(whole)} files", flush=True)
    wrong = differing(contents(store), whole)
    finished, killed, inside, lost = 1, 0, 0, 0
    draw = random.Random(seed)
    clear(store)
    for _ in range(MOST_RUNS * kills):
        before = integrations_done(store)
        last = killed >= kills
        if not finish(start(plan, store, threads), None if last else draw.uniform(0.0, length)):
            killed += 1
            after = integrations_done(store)
            inside += 0 < after < total
            lost += after < before
            continue
        finished += 1
        wrong += differing(contents(store), whole)
        clear(store)
        if last:
            break
    name = f"{threads} thread{'s' if threads > 1 else ''}"
    return [
        Line(f"{name}: files that differ from an uninterrupted run's", wrong, "", 0.5),
        Line(f"{name}: kills after which less was safe than before", lost, "", 0.5),
        Line(f"{name}: kills", killed, "", kills, least=True),
        Line(f"{name}: kills between the first and the last block", inside, "", kills / 3, True),
        Line(f"{name}: stores that were finished and compared", finished, "", 2, least=True),
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="with each number of threads")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--folder", help="where it works and removes everything again")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", RecordingWarning)  # frames are lost on purpose
    lines = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        place = Path(folder)
        plan = record(place, STATIONS, SECONDS, bins=BINS, integration=INTEGRATION)
        correlate_chunk(plan, plan.chunks[0])  # kernels are compiled
        stored.BLOCK_SAMPLES = 1 << 24
        store = place / "scan.zarr"
        finish(start(plan, store, 1))
        whole = contents(store)
        for threads in (1, 2):
            lines += lines_of(plan, store, whole, threads, options.kills, options.seed)
    return report(lines)


if __name__ == "__main__":
    run(main)
