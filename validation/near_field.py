"""Solve near-field delays again in extended precision, from orbits of 1,000 km to 10 au.

    python validation/near_field.py [--cases FILE]

`kitestring.model.delay.near_field` takes stations by their GCRS states, so that
nothing of the Earth's rotation is in the comparison. The same equations are
solved here as they stand, with 50 digits: two light times, no stable form of
their difference, no series. What is shared are the ephemeris and TDB-TT at the
geocentre. A target at 1e24 m has to give the consensus delay of a source at
infinity. The cases are written as JSON, for other programs to be compared with.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mpmath as mp
import numpy as np
from _lines import Line, report, run

from kitestring.model.constants import AU, EARTH_RADIUS, EARTH_ROTATION_RATE, GM, L_C, C
from kitestring.model.delay import (
    Motion,
    far_field,
    far_field_delay,
    near_field,
    near_field_delay,
)
from kitestring.model.earth import EarthModel, StationState, gcrs_state
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.light_time import SHAPIRO_BODIES
from kitestring.model.partials import delay_partials, direction_partial
from kitestring.model.time import Epoch, tdb_minus_tt

PICOSECOND = 1e-12
CASES = Path(__file__).parent.parent / "docs" / "near_field_cases.json"
T1 = Epoch.from_iso("2026-05-11T06:00:00.25", "tt")
RADIUS = 6.37e6  # m; of the ground
SPIN = np.array([0.0, 0.0, EARTH_ROTATION_RATE])
STATION_STEP = 100.0  # m; for partials: second-order terms are 1e-8 of them
RATE_STEP = 1.0  # s
FAR_LIMIT, EXACT_LIMIT, PARTIAL_LIMIT = 0.1, 0.01, 1e-6  # ps, ps, of the partial
RATE_LIMIT = 1e-6  # of the rate that one station's motion alone makes
EPHEMERIS = Ephemeris.default()


@dataclass(frozen=True, eq=False)
class Target:
    """A target that moves uniformly relative to its centre; it passes `position` at T1 in TDB."""

    name: str
    center: str
    position: np.ndarray
    velocity: np.ndarray
    span = (Epoch.from_iso("2000-01-02", "tdb"), Epoch.from_iso("2049-01-01", "tdb"))

    def state(self, epoch: Epoch) -> np.ndarray:
        """Return states relative to the centre."""
        elapsed = np.asarray(epoch.to("tdb").since(T1.to("tdb")))[..., None]
        moved = self.position + self.velocity * elapsed
        return np.concatenate([moved, np.broadcast_to(self.velocity, moved.shape)], axis=-1)


@dataclass(frozen=True, eq=False)
class Case:
    """A target seen from two stations."""

    name: str
    target: Target
    distance: float
    station1: Motion
    station2: Motion


def unit(ra: float, dec: float) -> np.ndarray:
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def stations(
    towards: np.ndarray, baseline: float, distance: float = np.inf
) -> tuple[Motion, Motion]:
    """Return two stations on the ground that both see a target, one of them low."""
    half = np.arcsin(baseline / 2 / RADIUS)
    tilt = 0.8 * (np.arccos(RADIUS / distance) - half)
    side = np.cross(towards, unit(0.3, 1.2))
    side /= np.linalg.norm(side)
    found = []
    for lean, height in ((tilt - half, 0.0), (tilt + half, 1500.0)):
        place = (RADIUS + height) * (np.cos(lean) * towards + np.sin(lean) * side)
        found.append((place[None], np.cross(SPIN, place)[None]))
    return found[0], found[1]


def cases() -> list[Case]:
    """Return distances times baselines; near the Earth none that the ground hides."""
    distances = {
        "orbit of 1,000 km": (RADIUS + 1e6, 7.35e3, (10e3, 1e6, 5e6)),
        "orbit of 36,000 km": (4.2e7, 3.07e3, (10e3, 1e6, 1e7)),
        "Moon": (3.844e8, 1.0e3, (10e3, 1e6, 1e7)),
        "0.01 au": (0.01 * AU, 20e3, (10e3, 1e6, 1e7)),
        "Mars near": (0.5 * AU, 25e3, (10e3, 1e6, 1e7)),
        "Mars far": (2.5 * AU, 25e3, (10e3, 1e6, 1e7)),
        "3 au": (3.0 * AU, 15e3, (10e3, 1e6, 1e7)),
        "10 au": (10.0 * AU, 10e3, (10e3, 1e6, 1e7)),
    }
    earth = EPHEMERIS.barycentric("EARTH", T1)
    found = []
    for number, (name, (distance, speed, baselines)) in enumerate(distances.items()):
        towards = unit(0.4 + 0.7 * number, 0.3 - 0.1 * number)
        across = np.cross(towards, unit(2.0, 0.9))
        velocity = speed * across / np.linalg.norm(across)
        place, center = distance * towards, "EARTH"
        if distance > 1e8:  # a double holds what lies that far well enough relative to the SSB
            place, center = place + earth[:3], "SSB"
        target = Target(name, center, place, velocity)
        for baseline in baselines:
            found.append(
                Case(
                    f"{name}, {baseline / 1e3:g} km",
                    target,
                    distance,
                    *stations(towards, baseline, distance),
                )
            )
    return found


# -- the same equations with 50 digits ---------------------------------------


class Exact:
    """One arrival; times are TDB seconds after the event at station 1, TT ones where said."""

    def __init__(self, t1: Epoch, station1: Motion, station2: Motion) -> None:
        self.r1, self.r2 = (mp.matrix(motion[0][0]) for motion in (station1, station2))
        geocentric = float(tdb_minus_tt(t1))
        middle = Epoch.normalised("tdb", t1.day, t1.second + geocentric)
        velocity = EPHEMERIS.barycentric("EARTH", middle)[3:]
        self.t1 = middle.shifted(float(station1[0][0] @ velocity) / C**2)
        earth = EPHEMERIS.barycentric("EARTH", self.t1)
        self.earth, self.velocity = mp.matrix(earth[:3]), mp.matrix(earth[3:])
        step = 100.0
        v = [EPHEMERIS.barycentric("EARTH", self.t1.shifted(s))[3:] for s in (-step, step)]
        self.acceleration = mp.matrix((v[1] - v[0]) / (2 * step))
        sun = EPHEMERIS.barycentric("SUN", self.t1)[:3]
        self.potential = GM["SUN"] / mp.norm(self.earth - mp.matrix(sun))
        step = 600.0
        d = [float(tdb_minus_tt(t1.shifted(s))) for s in (-step, step)]
        self.tdb_rate = mp.mpf((d[1] - d[0]) / (2 * step))

    def geocentre(self, t: mp.mpf) -> mp.matrix:
        """Where the geocentre is, BCRS."""
        return self.earth + self.velocity * t + self.acceleration * t**2 / 2

    def target(self, target: Target, t: mp.mpf) -> mp.matrix:
        """Where the target is, BCRS."""
        begin = T1.to("tdb")
        elapsed = mp.mpf(float(self.t1.second)) - mp.mpf(float(begin.second)) + t
        place = mp.matrix(target.position) + mp.matrix(target.velocity) * elapsed
        return place + self.geocentre(t) if target.center == "EARTH" else place

    def station2(self, tt: mp.mpf) -> mp.matrix:
        """GCRS position at a reading of its clock after t1: turned about the z axis."""
        angle = mp.mpf(EARTH_ROTATION_RATE) * tt
        c, s = mp.cos(angle), mp.sin(angle)
        x, y, z = self.r2
        return mp.matrix([c * x - s * y, s * x + c * y, z])

    def bcrs(self, gcrs: mp.matrix, t: mp.mpf) -> mp.matrix:
        """A GCRS position relative to the SSB, TDB units."""
        v = self.velocity + self.acceleration * t
        scale = 1 - self.potential / mp.mpf(C) ** 2 - mp.mpf(L_C)
        return self.geocentre(t) + gcrs * scale - v * dot(v, gcrs) / (2 * mp.mpf(C) ** 2)

    def topocentric(self, gcrs: mp.matrix, t: mp.mpf) -> mp.mpf:
        """TDB-TT of a clock beyond that of the geocentre."""
        return dot(self.velocity + self.acceleration * t, gcrs) / mp.mpf(C) ** 2

    def shapiro(self, station: mp.matrix, t: mp.mpf, target: mp.matrix) -> mp.mpf:
        """Gravitational delay of one leg."""
        rho = mp.norm(target - station)
        towards = (target - station) / rho
        total = one_body(GM["EARTH"], station - self.geocentre(t), target - self.geocentre(t))
        for name in SHAPIRO_BODIES:
            state = EPHEMERIS.barycentric(name, self.t1)
            at, v = mp.matrix(state[:3]), mp.matrix(state[3:])
            lag = min(max(dot(towards, at + v * t - station), 0), rho) / C
            passed = at + v * (t - lag)
            total += one_body(GM[name], station - passed, target - passed)
        return total

    def delay(self, target: Target) -> mp.mpf:
        """Return t2 - t1, s of TT."""
        x1 = self.bcrs(self.r1, mp.mpf(0))
        light_time = mp.mpf(0)
        for _ in range(14):
            at = self.target(target, -light_time)
            light_time = mp.norm(at - x1) / C + self.shapiro(x1, mp.mpf(0), at)
        at = self.target(target, -light_time)
        tt = t = mp.mpf(0)
        for _ in range(14):
            position = self.station2(tt)
            x2 = self.bcrs(position, t)
            t = mp.norm(at - x2) / C + self.shapiro(x2, t, at) - light_time
            clocks = self.topocentric(position, t) - self.topocentric(self.r1, mp.mpf(0))
            tt = (t - clocks) / (1 + self.tdb_rate)
        return tt


def dot(a: mp.matrix, b: mp.matrix) -> mp.mpf:
    return mp.fsum(a[k] * b[k] for k in range(3))


def one_body(gm: float, station: mp.matrix, target: mp.matrix) -> mp.mpf:
    """Return Moyer's eq. 8-54 as it stands."""
    rr, rs, rho = mp.norm(station), mp.norm(target), mp.norm(station - target)
    below = mp.mpf(EARTH_RADIUS) if rr == 0 else rs + rr - rho
    return 2 * mp.mpf(gm) / mp.mpf(C) ** 3 * mp.log((rs + rr + rho) / below)


def exact_delay(case: Case, later: float = 0.0) -> mp.mpf:
    """Return the delay of a case some seconds after T1, the stations turned about the z axis."""
    angle = EARTH_ROTATION_RATE * later
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    turned = [(p @ turn.T, v @ turn.T) for p, v in (case.station1, case.station2)]
    return Exact(T1.shifted(later), *turned).delay(case.target)


def exact_rate(case: Case) -> float:
    """Return the rate of the delay by a difference of fourth order."""
    d = {k: exact_delay(case, k * RATE_STEP) for k in (-2, -1, 1, 2)}
    return float((8 * (d[1] - d[-1]) - (d[2] - d[-2])) / (12 * RATE_STEP))


# -- partial derivatives -----------------------------------------------------


def differences(
    delay: Callable[[np.ndarray], float], step: float, middle: np.ndarray
) -> np.ndarray:
    """Return the derivative of a delay with respect to three coordinates."""
    return np.array(
        [(delay(middle + e) - delay(middle - e)) / (2 * step) for e in step * np.eye(3)]
    )


def off(analytic: np.ndarray, numeric: np.ndarray) -> float:
    """Return the largest difference, of the length of the partial."""
    return float(np.abs(analytic - numeric).max() / np.linalg.norm(numeric))


def states_of(case: Case) -> list[StationState]:
    """Return the states of both stations."""
    rotation, _ = EarthModel(displacements=()).rotation(T1[None])
    return [
        gcrs_state(EPHEMERIS, T1[None], rotation, *motion, "station")
        for motion in (case.station1, case.station2)
    ]


def partial_errors(case: Case) -> dict[str, float]:
    """Compare the partials of a near-field delay with finite differences."""
    t1 = T1[None]
    states = states_of(case)
    found = near_field_delay(*states, case.target, EPHEMERIS)
    ours = delay_partials(*states, found, found.leg.spacecraft[:, 3:])
    (p1, v1), (p2, v2) = case.station1, case.station2
    target = case.target

    def of_target(place: np.ndarray) -> float:
        moved = Target(target.name, target.center, place, target.velocity)
        return float(near_field(t1, case.station1, case.station2, moved)[0][0])

    def of_station1(place: np.ndarray) -> float:
        return float(near_field(t1, (place[None], v1), case.station2, target)[0][0])

    def of_station2(place: np.ndarray) -> float:
        return float(near_field(t1, case.station1, (place[None], v2), target)[0][0])

    step = 1e-4 * (case.distance if target.center == "SSB" else case.distance - RADIUS)
    return {
        "target": off(ours.target[0], differences(of_target, step, target.position)),
        "station 1": off(ours.station1[0], differences(of_station1, STATION_STEP, p1[0])),
        "station 2": off(ours.station2[0], differences(of_station2, STATION_STEP, p2[0])),
    }


def far_partial_errors(case: Case, direction: np.ndarray) -> dict[str, float]:
    """Compare the partials of a far-field delay with finite differences."""
    t1 = T1[None]
    states = states_of(case)
    found = far_field_delay(*states, direction, EPHEMERIS)
    ours = delay_partials(*states, found)
    (p1, v1), (p2, v2) = case.station1, case.station2

    def of_direction(place: np.ndarray) -> float:
        return float(far_field_delay(*states, place, EPHEMERIS).delay[0])

    def of_station1(place: np.ndarray) -> float:
        return float(far_field(t1, (place[None], v1), case.station2, direction)[0][0])

    def of_station2(place: np.ndarray) -> float:
        return float(far_field(t1, case.station1, (place[None], v2), direction)[0][0])

    by_source = differences(of_direction, 1e-4, direction)
    return {
        "source": off(direction_partial(*states, found)[0], by_source),
        "station 1": off(ours.station1[0], differences(of_station1, STATION_STEP, p1[0])),
        "station 2": off(ours.station2[0], differences(of_station2, STATION_STEP, p2[0])),
    }


# -- what is claimed ---------------------------------------------------------


def far_differences() -> np.ndarray:
    """Return near field at 1e24 m less far field, ps, over directions and baselines."""
    found = []
    for ra in np.arange(0.1, 6.2, 0.5):
        for dec in (-1.2, -0.4, 0.3, 1.1):
            direction = unit(float(ra), dec)
            target = Target("far", "SSB", 1e24 * direction, np.zeros(3))
            for baseline in (10e3, 3e6, 1e7):
                pair = stations(direction, baseline)
                near, _ = near_field(T1[None], *pair, target)
                far, _ = far_field(T1[None], *pair, direction)
                found.append((near - far)[0])
    return np.array(found) / PICOSECOND


def as_json(case: Case, delay: float, rate: float, exact: mp.mpf) -> dict[str, object]:
    """Return a case with all that another program needs."""
    begin = T1.to("tdb")
    target = case.target
    return {
        "name": case.name,
        "station1_position_m": case.station1[0][0].tolist(),
        "station1_velocity_m_per_s": case.station1[1][0].tolist(),
        "station2_position_m": case.station2[0][0].tolist(),
        "station2_velocity_m_per_s": case.station2[1][0].tolist(),
        "target_center": target.center,
        "target_epoch_tdb": {"mjd": int(begin.day), "second": float(begin.second)},
        "target_position_m": target.position.tolist(),
        "target_velocity_m_per_s": target.velocity.tolist(),
        "delay_s": delay,
        "rate_s_per_s": rate,
        "delay_50_digits_s": mp.nstr(exact, 25),
    }


def table(rows: Sequence[dict[str, object]]) -> str:
    """Return the file of cases."""
    what = {
        "what": "near-field delays t2 - t1 (TT) of one wavefront, vacuum, gravitation included; "
        "stations in GCRS at t1, turning about its z axis; targets move along a line in BCRS axes "
        "from target_position_m at target_epoch_tdb, relative to target_center (DE440)",
        "t1_tt": {"mjd": int(T1.day), "second": float(T1.second)},
        "earth_rotation_rate_rad_per_s": EARTH_ROTATION_RATE,
        "cases": list(rows),
    }
    return json.dumps(what, indent=1) + "\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=Path, default=CASES, metavar="FILE", help="JSON to write")
    options = parser.parse_args(arguments)

    rows, errors, rates = [], {}, {}
    partials: dict[str, tuple[float, str]] = {}
    for case in cases():
        delay, rate = (
            x[0] for x in near_field(T1[None], case.station1, case.station2, case.target)
        )
        with mp.workdps(50):
            exact = exact_delay(case)
            errors[case.name] = float(mp.mpf(float(delay)) - exact) / PICOSECOND
            turning = float(np.linalg.norm(case.station2[1] - case.station1[1])) / C
            rates[case.name] = (float(rate) - exact_rate(case)) / max(turning, abs(float(rate)))
            rows.append(as_json(case, float(delay), float(rate), exact))
        found = {f"near field to {k}": v for k, v in partial_errors(case).items()}
        if case.target.name == "3 au":
            direction = case.target.position / np.linalg.norm(case.target.position)
            more = far_partial_errors(case, direction)
            found |= {f"far field to {k}": v for k, v in more.items()}
        for name, value in found.items():
            partials[name] = max(partials.get(name, (0.0, "")), (value, case.name))
        print(
            f"# {case.name}: delay {1e3 * delay:.6f} ms, from 50 digits "
            f"{errors[case.name]:+.1e} ps, rate {rates[case.name]:+.0e} of it"
        )
    options.cases.write_text(table(rows), encoding="utf-8")
    for name, (value, where) in partials.items():
        print(f"# partials of the {name} worst at {where}: {value:.1e}")
    far = far_differences()
    return report(
        [
            Line("1e24 m less infinity", float(np.abs(far).max()), "ps", FAR_LIMIT),
            Line("less 50 digits", max(map(abs, errors.values())), "ps", EXACT_LIMIT),
            Line("rate less 50 digits, of it", max(map(abs, rates.values())), "", RATE_LIMIT),
            *(
                Line(f"partial of the {name} less differences, of it", value, "", PARTIAL_LIMIT)
                for name, (value, _) in partials.items()
            ),
        ]
    )


if __name__ == "__main__":
    run(main)
