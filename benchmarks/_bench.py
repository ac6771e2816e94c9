"""What benchmarks share: timing, and the lines that validation programs print too."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "validation"))

from _lines import Line, report

__all__ = ["Line", "alternating", "best_of", "report"]

Action = Callable[[], object]


def seconds(action: Action) -> float:
    """Return how long one run takes, s."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def best_of(action: Action, runs: int = 5) -> float:
    """Return the shortest of several runs after one that warms up, s."""
    action()
    return min(seconds(action) for _ in range(runs))


def alternating(ours: Action, other: Action, rounds: int = 5) -> tuple[float, float, float]:
    """Run two things in turn, so that what slows the machine slows both.

    Returns
    -------
    ours, other : float
        Shortest runs, s.
    ratio : float
        Median over the rounds of ours / other.
    """
    ours()
    other()
    pairs = np.array([(seconds(ours), seconds(other)) for _ in range(rounds)])
    best = pairs.min(axis=0)
    return float(best[0]), float(best[1]), float(np.median(pairs[:, 0] / pairs[:, 1]))
