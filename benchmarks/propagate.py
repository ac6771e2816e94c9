"""Speed of propagating an orbit with its transition matrix, beside scipy's integrator.

    python benchmarks/propagate.py

A probe leaves the Earth and coasts for 10 and for 913 days under the Sun, Moon,
planets, light pressure and relativity, its 6 x 7 transition matrix alongside. The
peer is scipy's DOP853 with the very same compiled right-hand side at the tightest
tolerance that it takes: what is compared is the loop around it. Errors are
differences from a run at a third of our tolerance, near what rounding allows.
"""

from __future__ import annotations

import sys

import numpy as np
from _bench import Line, alternating, report
from scipy.integrate import solve_ivp

from kitestring.dynamics._kernels import derivative
from kitestring.dynamics.forces import environment
from kitestring.dynamics.propagate import TOLERANCE, propagate
from kitestring.dynamics.types import ForceModel, OrbitState
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.time import DAY, Epoch

START = Epoch.from_iso("2026-06-01T12:00:00", "tdb")
AWAY = np.array([2e9, -2.5e9, 1e9, 3000.0, 800.0, -900.0])  # from the Earth, m and m/s
FORCES = ForceModel(area_over_mass=0.03)
COLUMNS = 7
TIGHT = TOLERANCE / 3
SCIPY_TOLERANCE = 2.3e-14  # it takes no less than 100 machine epsilons
ROUNDS = {10: 15, 913: 7}
# Errors that a probe's orbit may have from its integration alone, m
ERROR_LIMIT = {10: 1e-3, 913: 0.5}


def start() -> OrbitState:
    """Return the probe's state relative to the Sun."""
    eph = Ephemeris.default()
    place = eph.barycentric("EARTH", START) - eph.barycentric("SUN", START) + AWAY
    return OrbitState(START, place, "SUN", "PROBE")


def case(days: int) -> list[Line]:
    """Time one length of arc."""
    initial = start()
    stop = START.shifted(days * DAY)
    settings = environment(FORCES, "SUN", START, np.zeros(3), Ephemeris.default())
    special = np.array([6])
    vector = np.concatenate([initial.state, np.eye(6, COLUMNS).ravel()])

    def slope(t: float, y: np.ndarray) -> np.ndarray:
        out = np.empty_like(y)
        derivative(t, y, settings, special, out)
        return out

    def ours() -> np.ndarray:
        return propagate(initial, FORCES, (START, stop)).state(stop)

    def scipys() -> np.ndarray:
        found = solve_ivp(
            slope, (0.0, days * DAY), vector, method="DOP853", rtol=SCIPY_TOLERANCE, atol=1e-6
        )
        return np.asarray(found.y[:6, -1])

    best, other, ratio = alternating(ours, scipys, ROUNDS[days])
    exact = propagate(initial, FORCES, (START, stop), tolerance=TIGHT).state(stop)
    name = f"{days} days"

    def error(state: np.ndarray) -> float:
        return float(np.linalg.norm((state - exact)[:3]))

    return [
        Line(f"time, {name}", best * 1e3, "ms"),
        Line(f"time of scipy, {name}", other * 1e3, "ms"),
        Line(f"error of scipy, {name}", error(scipys()), "m", digits=2),
        Line(f"error, {name}", error(ours()), "m", ERROR_LIMIT[days], digits=2),
        Line(f"time over that of scipy, {name}", ratio, "", 1.0, digits=3),
    ]


def main() -> int:
    print(f"# tolerance {TOLERANCE:g}, that of scipy {SCIPY_TOLERANCE:g}; one core")
    return report([line for days in ROUNDS for line in case(days)])


if __name__ == "__main__":
    sys.exit(main())
