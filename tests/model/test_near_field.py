"""Near-field delay and light times against a solution in extended precision.

The two light times are solved as they stand, with 50 digits: no stable form of
differences, no series, positions of 1e24 m and all. What is shared with the
model is where stations, Earth and bodies are at t1 (doubles, taken as exact).
"""

import mpmath as mp
import numpy as np
import pytest

from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.constants import EARTH_RADIUS, GM, L_C, C
from kitestring.model.delay import far_field, far_field_delay, near_field, near_field_delay
from kitestring.model.earth import EarthModel, StationState
from kitestring.model.light_time import SHAPIRO_BODIES, down_leg
from kitestring.model.sight import Sight
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch

PICOSECOND = 1e-12
FEMTOSECOND = 1e-15
EPOCH = Epoch.from_iso("2026-05-11T06:00:00").shifted(np.array([0.0, 20000.0, 40000.0]))
START = Epoch.from_iso("2026-05-11T00:00:00", "tdb")
VELOCITY = np.array([21e3, -17e3, 9e3])  # m/s
AT_REST = np.zeros(3)
DISTANCES = [4e8, 1e10, 1.5e11, 1e13, 1e16, 1e24]


def unit(ra: float, dec: float) -> np.ndarray:
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


class Line:
    """A target that moves uniformly relative to the solar-system barycentre."""

    name, center = "line", "SSB"
    span = (Epoch.from_iso("2000-01-02", "tdb"), Epoch.from_iso("2049-01-01", "tdb"))

    def __init__(self, position: np.ndarray, velocity: np.ndarray = VELOCITY) -> None:
        self.position, self.velocity = position, velocity

    def state(self, epoch: Epoch) -> np.ndarray:
        elapsed = np.asarray(epoch.since(START))[..., None]
        moved = self.position + self.velocity * elapsed
        return np.concatenate([moved, np.broadcast_to(self.velocity, moved.shape)], axis=-1)


@pytest.fixture(scope="module")
def earth() -> EarthModel:
    return EarthModel()


class Exact:
    """One arrival in extended precision; times are TDB seconds after t1, TT ones where said."""

    def __init__(self, earth: EarthModel, s1: StationState, s2: StationState, i: int) -> None:
        self.ephemeris = earth.ephemeris
        self.t1 = s1.tdb[i]
        self.r1, self.r2 = mp.matrix(s1.position[i]), mp.matrix(s2.position[i])
        self.spin = mp.matrix(s1.rotation.spin[i])
        self.earth, self.velocity = mp.matrix(s1.earth[i, :3]), mp.matrix(s1.earth[i, 3:])
        step = 100.0
        v = [earth.ephemeris.barycentric("EARTH", self.t1.shifted(s))[3:] for s in (-step, step)]
        self.acceleration = mp.matrix((v[1] - v[0]) / (2 * step))
        self.potential = mp.mpf(float(s1.solar_potential[i]))
        self.tdb_rate = mp.mpf(float(s1.tdb_rate[i]))

    def geocentre(self, t: mp.mpf) -> mp.matrix:
        return self.earth + self.velocity * t + self.acceleration * t**2 / 2

    def station2(self, tt: mp.mpf) -> mp.matrix:
        """GCRS position at a reading of its clock after t1: turned about the spin axis."""
        rate = mp.norm(self.spin)
        axis = self.spin / rate
        c, s = mp.cos(rate * tt), mp.sin(rate * tt)
        along = dot(axis, self.r2) * (1 - c)
        return self.r2 * c + cross(axis, self.r2) * s + axis * along

    def bcrs(self, gcrs: mp.matrix, t: mp.mpf) -> mp.matrix:
        v = self.velocity + self.acceleration * t
        scale = 1 - self.potential / mp.mpf(C) ** 2 - mp.mpf(L_C)
        return self.geocentre(t) + gcrs * scale - v * dot(v, gcrs) / (2 * mp.mpf(C) ** 2)

    def topocentric(self, gcrs: mp.matrix, t: mp.mpf) -> mp.mpf:
        return dot(self.velocity + self.acceleration * t, gcrs) / mp.mpf(C) ** 2

    def shapiro(self, station: mp.matrix, t: mp.mpf, target: mp.matrix) -> mp.mpf:
        towards = (target - station) / mp.norm(target - station)
        total = one_body(GM["EARTH"], station - self.geocentre(t), target - self.geocentre(t))
        for name in SHAPIRO_BODIES:
            state = self.ephemeris.barycentric(name, self.t1)
            at, v = mp.matrix(state[:3]), mp.matrix(state[3:])
            lag = dot(towards, at + v * t - station) / C
            passed = at + v * (t - min(max(lag, 0), mp.norm(target - station) / C))
            total += one_body(GM[name], station - passed, target - passed)
        return total

    def solve(self, target: Line) -> tuple[mp.mpf, mp.mpf]:
        """Return the light time to station 1 and the delay, s."""
        begin = mp.mpf(int((self.t1.day - START.day) * 86400)) + mp.mpf(float(self.t1.second))
        x, v = mp.matrix(target.position), mp.matrix(target.velocity)
        x1 = self.bcrs(self.r1, mp.mpf(0))
        light_time = mp.mpf(0)
        for _ in range(12):
            at = x + v * (begin - light_time)
            light_time = mp.norm(at - x1) / C + self.shapiro(x1, mp.mpf(0), at)
        at = x + v * (begin - light_time)
        tt = t = mp.mpf(0)
        for _ in range(12):
            position = self.station2(tt)
            x2 = self.bcrs(position, t)
            t = mp.norm(at - x2) / C + self.shapiro(x2, t, at) - light_time
            clocks = self.topocentric(position, t) - self.topocentric(self.r1, mp.mpf(0))
            tt = (t - clocks) / (1 + self.tdb_rate)
        return light_time, tt


def dot(a: mp.matrix, b: mp.matrix) -> mp.mpf:
    return mp.fsum(a[k] * b[k] for k in range(3))


def cross(a: mp.matrix, b: mp.matrix) -> mp.matrix:
    return mp.matrix(
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    )


def one_body(gm: float, station: mp.matrix, target: mp.matrix) -> mp.mpf:
    """Return Moyer's eq. 8-54 as it stands."""
    rr, rs, rho = mp.norm(station), mp.norm(target), mp.norm(station - target)
    below = mp.mpf(EARTH_RADIUS) if rr == 0 else rs + rr - rho
    return 2 * mp.mpf(gm) / mp.mpf(C) ** 3 * mp.log((rs + rr + rho) / below)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(("first", "second"), [("TIANMA65", "URUMQI"), (None, "HARTRAO")])
def test_delay_and_light_time(
    earth: EarthModel, first: str | None, second: str, distance: float
) -> None:
    s1 = earth.station_state(get_station(first) if first else None, EPOCH)
    s2 = earth.station_state(get_station(second), EPOCH)
    target = Line(s1.earth[1, :3] + distance * unit(1.0, 0.2))
    found = near_field_delay(s1, s2, target, earth.ephemeris).delay
    leg = down_leg(s1, target, earth.ephemeris)
    with mp.workdps(50):
        for i in range(len(EPOCH)):
            light_time, delay = Exact(earth, s1, s2, i).solve(target)
            assert abs(mp.mpf(float(found[i])) - delay) < 0.01 * PICOSECOND
            # a double holds the positions relative to the barycentre to 0.03 mm, 0.1 ps
            rounding = max(0.3 * PICOSECOND, 2 * np.spacing(float(light_time)))
            assert abs(mp.mpf(float(leg.light_time[i])) - light_time) < rounding


@pytest.mark.parametrize(
    ("first", "second", "direction"),
    [
        ("WETTZELL", "KOKEE", unit(1.0, 0.3)),
        ("TIANMA65", "URUMQI", unit(4.0, 0.2)),
        ("HARTRAO", "HOBART12", unit(5.5, -1.2)),
    ],
)
def test_far_away_it_is_the_consensus(
    earth: EarthModel, first: str, second: str, direction: np.ndarray
) -> None:
    epoch = EPOCH[0].shifted(np.arange(0.0, 86400.0, 1800.0))
    stations = get_station(first), get_station(second)
    s1, s2 = (earth.station_state(s, epoch) for s in stations)
    far = far_field_delay(s1, s2, direction, earth.ephemeris).delay
    near = near_field_delay(s1, s2, Line(1e24 * direction, AT_REST), earth.ephemeris).delay
    elevations = [
        Sight(s, at, direction).elevation for s, at in zip(stations, (s1, s2), strict=True)
    ]
    up = np.min(elevations, axis=0) > 0.0
    assert up.sum() > 3
    # the consensus has the potential of the Sun alone: 2e-12 of the delay is Jupiter's
    assert np.abs(near - far)[up].max() < 0.1 * PICOSECOND


def test_distant_moving_targets_converge(earth: EarthModel) -> None:
    """Light times of hours have no picosecond in a double."""
    state = earth.station_state(
        get_station("TIANMA65"), EPOCH[0].shifted(np.linspace(0.0, 86400.0, 500))
    )
    for distance in (1e12, 3e12, 1e13, 3e13, 1e16):
        leg = down_leg(state, Line(distance * unit(2.0, 0.4)), earth.ephemeris)
        at = leg.spacecraft[:, :3] - state.barycentric
        assert leg.light_time * C == pytest.approx(np.linalg.norm(at, axis=1), rel=1e-6)


def test_curvature_is_what_geometry_says(earth: EarthModel) -> None:
    """To first order the wavefront's curvature adds (b^2 - (k.b)^2) / (2 d c)."""
    s1 = earth.station_state(get_station("TIANMA65"), EPOCH)
    s2 = earth.station_state(get_station("URUMQI"), EPOCH)
    distance, k = 1e13, unit(4.0, -0.2)  # far from the Sun, whose bending depends on distance
    target = Line(s1.barycentric[0] + distance * k, AT_REST)
    near = near_field_delay(s1, s2, target, earth.ephemeris).delay[0]
    far = far_field_delay(s1, s2, k, earth.ephemeris).delay[0]
    b = s2.position[0] - s1.position[0]
    expected = (b @ b - (b @ k) ** 2) / (2 * distance * C)
    assert near - far == pytest.approx(expected, rel=2e-3)


class TestStationsByTheirStates:
    """`near_field` and `far_field`, which know nothing of the Earth's rotation."""

    def states(self, earth: EarthModel) -> tuple[StationState, StationState]:
        return tuple(earth.station_state(get_station(n), EPOCH) for n in ("TIANMA65", "URUMQI"))

    def test_they_are_the_delays_of_the_same_stations_by_name(self, earth: EarthModel) -> None:
        s1, s2 = self.states(earth)
        one, two = ((s.position, s.velocity) for s in (s1, s2))
        target = Line(s1.earth[1, :3] + 2e11 * unit(1.0, 0.2))
        for (found, _), expected in (
            (
                near_field(s1.tt, one, two, target),
                near_field_delay(s1, s2, target, earth.ephemeris),
            ),
            (
                far_field(s1.tt, one, two, unit(1.0, 0.2)),
                far_field_delay(s1, s2, unit(1.0, 0.2), earth.ephemeris),
            ),
        ):
            # the spin axis is that of the series: without the pole's offsets and no polar motion
            assert np.abs(found - expected.delay).max() < 1e-3 * PICOSECOND

    def test_rate_is_the_slope_of_delays_on_the_turning_earth(self, earth: EarthModel) -> None:
        s1, s2 = self.states(earth)
        one, two = ((s.position, s.velocity) for s in (s1, s2))
        target = Line(s1.earth[1, :3] + 2e11 * unit(1.0, 0.2))
        around = []
        for step in (-30.0, 30.0):
            t = [
                earth.station_state(get_station(n), EPOCH.shifted(step)) for n in (s1.name, s2.name)
            ]
            around.append(near_field_delay(*t, target, earth.ephemeris).delay)
        slope = (around[1] - around[0]) / 60.0
        # third derivative 4e-15 s/s^3 x 900 / 6; tides and polar motion move stations too
        assert near_field(s1.tt, one, two, target)[1] == pytest.approx(slope, abs=1e-12)

    def test_one_direction_for_each_epoch(self, earth: EarthModel) -> None:
        s1, s2 = self.states(earth)
        one, two = ((s.position, s.velocity) for s in (s1, s2))
        many = np.array([unit(1.0, 0.2), unit(2.0, 0.2), unit(3.0, 0.2)])
        together = far_field(s1.tt, one, two, many)
        for i in range(3):
            parts = [(p[i : i + 1], v[i : i + 1]) for p, v in (one, two)]
            alone = far_field(s1.tt[i : i + 1], *parts, many[i])
            # the spin axis by its spline or its series: the last digit of the rate
            expected = [x[0] for x in alone]
            assert [x[i] for x in together] == pytest.approx(expected, rel=1e-14)

    def test_low_orbits_keep_their_digits(self, earth: EarthModel) -> None:
        """Relative to the SSB a position is good to 0.03 mm; relative to the Earth to 1 nm."""
        s1, s2 = self.states(earth)
        one, two = ((s.position, s.velocity) for s in (s1, s2))
        between = s1.position[0] + s2.position[0]
        low = Line(between * (7.4e6 / np.linalg.norm(between)), AT_REST)
        low.center = "EARTH"
        steady = near_field(s1.tt[:1], *((p[:1], v[:1]) for p, v in (one, two)), low)[0][0]
        for nudge in (1e-6, 3e-6):  # m; none of it may be lost
            low.position = between * ((7.4e6 + nudge) / np.linalg.norm(between))
            moved = near_field(s1.tt[:1], *((p[:1], v[:1]) for p, v in (one, two)), low)[0][0]
            assert abs(moved - steady) < nudge / C + 1e-5 * PICOSECOND

    def test_refusals(self, earth: EarthModel) -> None:
        s1, s2 = self.states(earth)
        one, two = ((s.position, s.velocity) for s in (s1, s2))
        target = Line(1e11 * unit(1.0, 0.2))
        with pytest.raises(ConfigurationError, match=r"station 2 .*\(2, 3\)"):
            near_field(s1.tt, one, (two[0][:2], two[1][:2]), target)
        with pytest.raises(ConfigurationError, match="station 1 is not finite"):
            near_field(s1.tt, (one[0] * np.nan, one[1]), two, target)
        with pytest.raises(ConfigurationError, match="unit vectors"):
            far_field(s1.tt, one, two, 2.0 * unit(1.0, 0.2))
        with pytest.raises(SpanError, match="2050"):
            far_field(s1.tt.shifted(1e9), one, two, unit(1.0, 0.2))
