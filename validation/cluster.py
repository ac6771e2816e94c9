"""Correlate six stations on a Dask cluster, kill a worker half-way, and compare the bytes.

    python validation/cluster.py [--folder DIR]

A simulated scan is correlated by threads, and by a cluster of two workers on this
machine. One of them is killed (as by `kill -9`) when half of the scan is correlated;
what it was doing and had not handed over is done again. Needs the extra `cluster`.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
import warnings
from pathlib import Path

from _lines import Line, report, run
from _recorded import contents, differing, record

from kitestring.correlate.cluster import Cluster
from kitestring.correlate.engine import Threads
from kitestring.correlate.stored import correlate_to_store

STATIONS = ("TIANMA65", "SESHAN25", "KUNMING", "URUMQI", "MIYUN50", "SHIGATSE")
SECONDS, BINS, INTEGRATION = 2.0, 256, 0.1
WORKERS = 2
HALF = 0.5


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", help="where it works and removes everything again")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        place = Path(folder)
        plan = record(place, STATIONS, SECONDS, bins=BINS, integration=INTEGRATION)
        print(f"# {len(plan.chunks)} chunks of {len(STATIONS)} stations", flush=True)
        begun = time.perf_counter()
        correlate_to_store(plan, place / "threads.zarr", workers=Threads(WORKERS))
        print(f"# {WORKERS} threads: {time.perf_counter() - begun:.1f} s", flush=True)

        killed: list[int] = []
        reached = 0.0
        with Cluster(workers=WORKERS) as workers:
            pids = list(workers.client.run(os.getpid).values())

            def kill(done: float, total: float) -> None:
                nonlocal reached
                if not killed and done >= HALF * total:
                    killed.append(pids[0])
                    os.kill(pids[0], signal.SIGKILL)
                    reached = done / total

            begun = time.perf_counter()
            stored = correlate_to_store(
                plan, place / "cluster.zarr", workers=workers, progress=kill
            )
            print(
                f"# {WORKERS} workers, one killed at {reached:.0%}: "
                f"{time.perf_counter() - begun:.1f} s",
                flush=True,
            )
        one, other = contents(place / "threads.zarr"), contents(place / "cluster.zarr")
    return report(
        [
            Line("files that differ from those of threads", differing(one, other), "", 0.5),
            Line("files compared", len(one), "", 1, least=True),
            Line("workers killed", len(killed), "", 1, least=True),
            Line(
                "scan that was not correlated yet when one was killed", 1.0 - reached, "", 0.2, True
            ),
            Line("integrations", stored.integrations, "", round(SECONDS / INTEGRATION), True),
        ]
    )


if __name__ == "__main__":
    run(main)
