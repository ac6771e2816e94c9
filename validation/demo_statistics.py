"""Whether sigmas are honest: small demonstrations with seeds 1 to N against their hidden truth.

    python validation/demo_statistics.py [--seeds 8]

Each seed draws state, clocks, zenith delays, transmitter and all noise anew
from what the session file states, simulates voltages and processes them to an
orbit. The sums of squares of errors over the stated covariances are chi-square
distributed if delta-DOR and orbit are what they say they are. A third of a
minute a seed. The simulation shares the delay model with the processing: this
proves the statistics, not the model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _lines import Line, report
from scipy.stats import chi2, kstest

from kitestring.session.demo import compare_with_truth
from kitestring.session.demo_scenario import SMALL, simulate_demo
from kitestring.session.run import run_session

TAIL = 0.0005  # of a two-sided 99.9 % band


def one(seed: int) -> tuple[float, int, float, np.ndarray]:
    """Return joint chi-square, its degrees of freedom, sky chi-square, and pulls of all rows."""
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name), time.perf_counter()
        simulate_demo(folder, seed, SMALL)
        run_session(folder, only=["correlate", "tones", "fringe", "delta_dor", "orbit"])
        found = compare_with_truth(folder, seed, SMALL, began)
    joint, sky = found.checks[1], found.checks[2]
    rows = int(joint.name.split()[-2])
    return joint.value, rows, sky.value, np.array([r.error / r.sigma for r in found.rows])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    seeds = range(1, parser.parse_args().seeds + 1)
    joint, rows, sky, pulls = zip(*(one(seed) for seed in seeds), strict=True)
    for seed, j, s in zip(seeds, joint, sky, strict=True):
        print(f"# seed {seed}: joint chi-square {j:.2f} of {rows[0]}, sky {s:.2f} of 2")
    p = np.concatenate([chi2.sf(joint, rows), chi2.sf(sky, 2)])
    total, freedom = float(np.sum(joint)), int(np.sum(rows))
    low, high = chi2.ppf([TAIL, 1 - TAIL], freedom)
    low_sky, high_sky = chi2.ppf([TAIL, 1 - TAIL], 2 * len(seeds))
    return report(
        [
            Line("worst error over sigma", float(np.abs(np.concatenate(pulls)).max()), "", 4.5),
            Line("joint chi-square, lower end", total, "", float(low), least=True),
            Line(f"joint chi-square of {freedom}", total, "", float(high)),
            Line("sky chi-square, lower end", float(np.sum(sky)), "", float(low_sky), least=True),
            Line(f"sky chi-square of {2 * len(seeds)}", float(np.sum(sky)), "", float(high_sky)),
            Line("p of uniform p-values", float(kstest(p, "uniform").pvalue), "", 1e-3, least=True),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
