"""Propagation against analytic orbits, independent integrators and finite differences."""

import dataclasses

import heyoka as hy
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from kitestring.dynamics.forces import LIGHT_PRESSURE
from kitestring.dynamics.propagate import OrbitTarget, propagate
from kitestring.dynamics.types import POINT_MASSES, ForceModel, Impulse, OrbitState, Thrust
from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.constants import AU, GM
from kitestring.model.ephemeris import NAIF_IDS, Ephemeris
from kitestring.model.time import DAY, Epoch
from kitestring.model.trajectory import Trajectory

MILLIMETRE = 1e-3
START = Epoch.from_iso("2027-03-04T05:06:07.5", "tdb")
AWAY = np.array([2e9, -2.5e9, 1e9, 3000.0, 800.0, -900.0])
TWO_BODY = ForceModel(bodies=("SUN",), relativity=False)


def cruise(center: str = "SUN") -> OrbitState:
    """A Tianwen-2-like probe 0.02 au from the Earth."""
    eph = Ephemeris.default()
    place = eph.barycentric("EARTH", START) + AWAY
    return OrbitState(START, place - eph.barycentric(center, START), center, "PROBE")


def kepler(state: np.ndarray, gm: float, t: float) -> np.ndarray:
    """Two-body motion by f and g functions (elliptic; eccentric anomaly by bisection)."""
    r, v = state[:3], state[3:]
    d = np.linalg.norm(r)
    a = 1 / (2 / d - v @ v / gm)
    n = np.sqrt(gm / a**3)
    sigma = r @ v / np.sqrt(gm * a)

    def kepler_equation(x):
        return x - (1 - d / a) * np.sin(x) + sigma * (1 - np.cos(x)) - n * t

    x = brentq(kepler_equation, n * t - 4, n * t + 4, xtol=1e-16, rtol=1e-15)
    f = 1 - a / d * (1 - np.cos(x))
    g = t + (np.sin(x) - x) / n
    new = f * r + g * v
    size = np.linalg.norm(new)
    fdot = -np.sqrt(gm * a) / (size * d) * np.sin(x)
    gdot = 1 - a / size * (1 - np.cos(x))
    return np.concatenate([new, fdot * r + gdot * v])


def test_two_bodies_follow_kepler():
    speed = np.sqrt(1.3 * GM["SUN"] / AU)
    initial = OrbitState(START, [AU, 0, 0, 0, 0.8 * speed, 0.6 * speed])
    stop = START.shifted(500 * DAY)
    orbit = propagate(initial, TWO_BODY, (START, stop))
    for days in (3.0, 123.456, 499.0):
        found = orbit.state(START.shifted(days * DAY))
        wanted = kepler(initial.state, GM["SUN"], days * DAY)
        for part in (slice(3), slice(3, 6)):
            error = np.linalg.norm((found - wanted)[part]) / np.linalg.norm(wanted[part])
            assert error < 1e-12


def test_energy_and_angular_momentum_of_two_bodies_stay():
    orbit = propagate(cruise(), TWO_BODY, (START, START.shifted(900 * DAY)))
    states = orbit.state(START.shifted(np.linspace(0, 900 * DAY, 400)))
    r, v = states[:, :3], states[:, 3:]
    energy = np.sum(v**2, 1) / 2 - GM["SUN"] / np.linalg.norm(r, axis=1)
    momentum = np.cross(r, v)
    # 3e-15 a step, some 300 steps
    assert np.ptp(energy) < 1e-12 * abs(energy[0])
    moved = np.linalg.norm(momentum - momentum[0], axis=1)
    assert moved.max() < 1e-12 * np.linalg.norm(momentum[0])


def test_there_and_back_again():
    forces = ForceModel(area_over_mass=0.03)
    stop = START.shifted(100 * DAY)
    end = propagate(cruise(), forces, (START, stop)).state(stop)
    back = propagate(dataclasses.replace(cruise(), epoch=stop, state=end), forces, (START, stop))
    # the end state is handed over rounded to 0.03 mm and 4e-12 m/s (30 micrometres in 100 days)
    assert np.linalg.norm((back.state(START) - cruise().state)[:3]) < 2 * MILLIMETRE


def scipy_orbit(center: str, length: float, forces: ForceModel) -> np.ndarray:
    """The end of the same orbit by scipy and a plain right-hand side, without relativity."""
    eph = Ephemeris.default()

    def pull(place, now, leave_out):
        total = np.zeros(3)
        for name in POINT_MASSES:
            if name != leave_out:
                d = eph.barycentric(name, now)[:3] - place
                total += GM[name] * d / np.linalg.norm(d) ** 3
        return total

    def rate(t, y):
        now = START.shifted(t)
        own = eph.barycentric(center, now)[:3]
        total = pull(own + y[:3], now, "")
        if center != "SSB":
            total -= pull(own, now, center)
        r = own + y[:3] - eph.barycentric("SUN", now)[:3]
        total += forces.area_over_mass * LIGHT_PRESSURE * r / np.linalg.norm(r) ** 3
        return np.concatenate([y[3:], total])

    start = cruise(center).state
    solved = solve_ivp(rate, (0, length), start, method="DOP853", rtol=2.3e-14, atol=1e-11)
    return solved.y[:, -1]


# What DE440 moves its bodies by and we do not. On the Sun: the asteroids, 5e-13 m/s^2 (Ceres
# alone 4e-13), which is 0.2 m in 10 days. On the Earth: the Moon's pull on its oblate figure,
# 3/2 J2 (R/d)^2 GM_moon/d^2 = 1.5e-11 m/s^2, a few metres.
ASTEROIDS_ON_SUN = 0.4
MOON_ON_FIGURE = 6.0


@pytest.mark.parametrize(("center", "limit"), [("SUN", MILLIMETRE), ("SSB", ASTEROIDS_ON_SUN)])
def test_an_independent_integration_agrees(center, limit):
    eph, stop = Ephemeris.default(), START.shifted(10 * DAY)
    forces = ForceModel(area_over_mass=0.03, relativity=False)
    found = propagate(cruise(), forces, (START, stop)).state(stop)
    wanted = scipy_orbit(center, 10 * DAY, forces) + eph.state(center, "SUN", stop)
    assert np.linalg.norm((found - wanted)[:3]) < limit


@pytest.mark.parametrize(
    ("center", "limit"), [("EARTH", MOON_ON_FIGURE), ("SSB", ASTEROIDS_ON_SUN)]
)
def test_every_centre_gives_the_same_orbit(center, limit):
    eph, forces = Ephemeris.default(), ForceModel(area_over_mass=0.03)
    stop = START.shifted(10 * DAY)
    found = [
        propagate(cruise(c), forces, (START, stop)).state(stop) + eph.barycentric(c, stop)
        for c in ("SUN", center)
    ]
    assert np.linalg.norm((found[1] - found[0])[:3]) < limit


def test_heyoka_agrees_on_fixed_masses_and_light_pressure():
    places = {"SUN": np.zeros(3), "JUPITER BARYCENTER": np.array([3.0, 2.5, -0.5]) * AU}
    layout = np.array(
        [[NAIF_IDS[n], 0, 3 * i, 1, 1, 51544, 36524] for i, n in enumerate(places)], dtype=np.int64
    )
    fixed = Ephemeris(layout, np.concatenate(list(places.values())) / 1000.0, "fixed masses")
    forces = ForceModel(bodies=tuple(places), relativity=False, area_over_mass=0.05)
    initial = OrbitState(START, [AU, 1e9, -2e9, -900.0, 31e3, 2e3], "SSB")
    stop = START.shifted(400 * DAY)
    found = propagate(initial, forces, (START, stop), ephemeris=fixed).state(stop)

    x, y, z, vx, vy, vz = hy.make_vars("x", "y", "z", "vx", "vy", "vz")
    total = [hy.expression(0.0)] * 3
    for name, place in places.items():
        gm = GM[name] - (0.05 * LIGHT_PRESSURE if name == "SUN" else 0.0)
        d = [c - p for c, p in zip((x, y, z), place, strict=True)]
        cube = (d[0] ** 2 + d[1] ** 2 + d[2] ** 2) ** 1.5
        total = [a - gm * c / cube for a, c in zip(total, d, strict=True)]
    oracle = hy.taylor_adaptive(
        [(x, vx), (y, vy), (z, vz), (vx, total[0]), (vy, total[1]), (vz, total[2])],
        initial.state.copy(),
    )
    oracle.propagate_until(400 * DAY)
    assert np.linalg.norm((found - oracle.state)[:3]) < 0.05  # 5e-13 of the path


FULL = ForceModel(
    area_over_mass=0.03,
    burns=(
        Impulse("correction", START.shifted(5 * DAY), [3.0, -2.0, 1.0]),
        Thrust("push", START.shifted(8 * DAY), START.shifted(9 * DAY), [1e-5, 2e-5, -1e-5]),
        Impulse("earlier", START.shifted(-4 * DAY), [-1.0, 0.5, 2.0]),
    ),
)


@pytest.mark.parametrize("days", [-10.0, -2.0, 3.0, 8.5, 20.0])
def test_the_transition_matrix_is_that_of_finite_differences(days):
    span = START.shifted(-12 * DAY), START.shifted(25 * DAY)
    target = OrbitTarget(cruise(), FULL, span)
    when = START.shifted(days * DAY)
    found = target.trajectory(target.values).transition(when)
    assert found.shape == (6, 6 + len(FULL.parameters))
    steps = np.array([1e5] * 3 + [0.1] * 3 + [0.1] + [0.1] * 3 + [1e-6] * 3 + [0.1] * 3)
    for column, step in enumerate(steps):
        change = np.zeros(len(steps))
        change[column] = step
        up = target.trajectory(target.values + change).state(when)
        down = target.trajectory(target.values - change).state(when)
        wanted = (up - down) / (2 * step)
        for part in (slice(3), slice(3, 6)):
            size = np.linalg.norm(found[part, column])
            # 1e-6 relative; 0.1 mm and 1e-10 m/s of rounding in the differenced orbits
            floor = (1e-4 if part == slice(3) else 1e-10) / step
            assert np.linalg.norm(found[part, column] - wanted[part]) < 1e-6 * size + floor


def test_transition_matrices_chain_and_keep_volume():
    forces = ForceModel(relativity=False)
    middle, stop = START.shifted(20 * DAY), START.shifted(50 * DAY)
    whole = propagate(cruise(), forces, (START, stop))
    rest = propagate(
        dataclasses.replace(cruise(), epoch=middle, state=whole.state(middle)),
        forces,
        (middle, stop),
    )
    chained = rest.transition(stop) @ whole.transition(middle)
    scale = np.array([1.0, 1.0, 1.0, 1e-6, 1e-6, 1e-6])  # m and m/s, to comparable size
    difference = (chained - whole.transition(stop)) / scale[:, None] * scale
    assert np.abs(difference).max() < 1e-8
    assert np.linalg.det(whole.transition(stop)) == pytest.approx(1.0, abs=1e-8)  # Liouville


def test_states_between_steps_are_as_good_as_at_their_ends():
    orbit = propagate(cruise(), FULL, (START, START.shifted(10 * DAY)))
    for days in (0.37, 4.999, 5.0, 5.001, 8.21, 9.99):
        when = START.shifted(days * DAY)
        alone = propagate(cruise(), FULL, (START, when))
        assert np.linalg.norm((orbit.state(when) - alone.state(when))[:3]) < MILLIMETRE


def test_a_burn_changes_the_velocity_at_its_epoch_and_nothing_before():
    burn = Impulse("burn", START.shifted(2 * DAY), [1.0, 2.0, -2.0])
    span = START, START.shifted(4 * DAY)
    plain = propagate(cruise(), ForceModel(), span)
    burnt = propagate(cruise(), ForceModel(burns=(burn,)), span)
    before = START.shifted(2 * DAY - 1e-3)
    np.testing.assert_allclose(burnt.state(before), plain.state(before), rtol=0, atol=MILLIMETRE)
    change = burnt.state(burn.epoch) - plain.state(burn.epoch)
    np.testing.assert_allclose(change, [0, 0, 0, 1.0, 2.0, -2.0], rtol=0, atol=MILLIMETRE)
    # from behind the burn back to before it
    after = dataclasses.replace(cruise(), epoch=span[1], state=burnt.state(span[1]))
    back = propagate(after, ForceModel(burns=(burn,)), span)
    for epoch in (START, burn.epoch):
        error = back.state(epoch) - burnt.state(epoch)
        np.testing.assert_allclose(error, np.zeros(6), rtol=0, atol=MILLIMETRE)


@pytest.mark.parametrize("end", [0.0, 2.0])
def test_a_burn_at_an_end_of_the_span_is_seen_after_it(end):
    burn = Impulse("burn", START.shifted(end * DAY), [1.0, 2.0, -2.0])
    forces = ForceModel(burns=(burn,))
    orbit = propagate(cruise(), forces, (START.shifted(-DAY), START.shifted(end * DAY)))
    plain = propagate(cruise(), ForceModel(), (START, START.shifted(end * DAY)))
    change = orbit.state(burn.epoch) - plain.state(burn.epoch)
    applied = np.zeros(3) if end == 0.0 else burn.delta_v  # the initial state is after its burn
    np.testing.assert_allclose(change[3:], applied, rtol=0, atol=1e-6)
    earlier = START.shifted(-1e-3)
    if end == 0.0:
        moved = orbit.state(earlier)[3:] - cruise().state[3:]
        np.testing.assert_allclose(moved, -burn.delta_v, rtol=0, atol=1e-4)


def test_epochs_are_not_rounded_far_from_the_initial_one():
    stop = START.shifted(900 * DAY)
    orbit = propagate(cruise(), ForceModel(), (START, stop), with_transition=False)
    when = START.shifted(800 * DAY)
    small = 0.37e-6 * np.arange(40)
    moved = orbit.state(Epoch("tdb", when.day, when.second + small))[:, :3] - orbit.state(when)[:3]
    # seconds since the start in one double would round to 15 ns, 0.2 mm each way at 30 km/s;
    # positions themselves round to 0.03 mm
    expected = orbit.state(when)[3:] * small[:, None]
    np.testing.assert_allclose(moved, expected, rtol=0, atol=7e-5)


def test_shapes_and_protocol():
    orbit: Trajectory = propagate(cruise(), ForceModel(), (START, START.shifted(DAY)))
    assert (orbit.name, orbit.center) == ("PROBE", "SUN")
    epochs = Epoch("tdb", START.day, START.second + np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert orbit.state(epochs).shape == (2, 3, 6)
    assert orbit.state(START).shape == (6,)
    np.testing.assert_array_equal(orbit.state(START), cruise().state)
    utc = epochs.to("utc")
    np.testing.assert_allclose(orbit.state(utc), orbit.state(epochs), rtol=0, atol=1e-4)


def test_outside_the_span_is_an_error_that_names_it():
    orbit = propagate(cruise(), ForceModel(), (START, START.shifted(DAY)))
    with pytest.raises(SpanError, match="2027-03-05T05:06:07"):
        orbit.state(START.shifted(2 * DAY))
    with pytest.raises(SpanError, match="ephemeris covers"):
        propagate(cruise(), ForceModel(), (START, Epoch.from_iso("2070-01-01", "tdb")))


def test_what_cannot_be_propagated_says_why():
    span = START, START.shifted(DAY)
    with pytest.raises(ConfigurationError, match="centre SUN is none"):
        propagate(cruise(), ForceModel(bodies=("EARTH",)), span)
    for center, bodies in (("Mars", ("SUN",)), ("SUN", ("SUN", "MARS"))):
        with pytest.raises(ConfigurationError, match="Take MARS BARYCENTER"):
            propagate(cruise(center=center), ForceModel(bodies=bodies), span)
    twice = ForceModel(bodies=("SUN", "EARTH", "EARTH-MOON BARYCENTER"))
    with pytest.raises(ConfigurationError, match="count twice"):
        propagate(cruise(), twice, span)
    with pytest.raises(ConfigurationError, match="before it begins"):
        propagate(cruise(), ForceModel(), span[::-1])
    with pytest.raises(ConfigurationError, match="tolerance"):
        propagate(cruise(), ForceModel(), span, tolerance=0.0)
    fallen = OrbitState(START, [1e3, 0, 0, 0, 0, 0])
    with pytest.raises(ConfigurationError, match=r"near a body|infinite|steps"):
        propagate(fallen, ForceModel(), span)
    orbit = propagate(cruise(), ForceModel(), span, with_transition=False)
    with pytest.raises(ConfigurationError, match="with_transition=True"):
        orbit.transition(START)
