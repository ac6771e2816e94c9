"""Forces and integrator: partials, twins in numpy, order of convergence."""

import math
from fractions import Fraction

import numpy as np
import pytest

from kitestring.dynamics import _kernels
from kitestring.dynamics.forces import LIGHT_PRESSURE, environment
from kitestring.dynamics.types import POINT_MASSES, ForceModel
from kitestring.model.constants import AU, GM, C
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.time import Epoch

START = Epoch.from_iso("2027-03-04T05:06:07", "tdb")
AWAY = np.array([2e9, -2.5e9, 1e9, 3000.0, 800.0, -900.0])
FORCES = ForceModel(area_over_mass=0.03, srp_scale=1.2)


def state_relative_to(center: str) -> np.ndarray:
    """A cruise state 0.02 au from the Earth, relative to a centre."""
    eph = Ephemeris.default()
    place = eph.barycentric("EARTH", START) + AWAY
    return place - eph.barycentric(center, START)


def computed(center: str, y: np.ndarray, t: float = 0.0) -> list[np.ndarray]:
    settings = environment(FORCES, center, START, np.zeros(3), Ephemeris.default())
    out = [np.empty(3), np.empty((3, 3)), np.empty((3, 3)), np.empty(3)]
    _kernels.force(t, y, settings, *out)
    return out


def schwarzschild(r: np.ndarray, v: np.ndarray) -> np.ndarray:
    """TN36 eq. 10.12, first term, beta = gamma = 1."""
    gm, d = GM["SUN"], np.linalg.norm(r)
    return gm / (C**2 * d**3) * ((4 * gm / d - v @ v) * r + 4 * (r @ v) * v)


def twin(center: str, y: np.ndarray, t: float) -> np.ndarray:
    """The acceleration relative to the centre, as the difference of two barycentric ones."""
    eph, now = Ephemeris.default(), START.shifted(t)
    own = eph.barycentric(center, now)
    sun = eph.barycentric("SUN", now)

    def gravity(place: np.ndarray, leave_out: str) -> np.ndarray:
        total = np.zeros(3)
        for name in POINT_MASSES:
            if name != leave_out:
                d = eph.barycentric(name, now)[:3] - place
                total += GM[name] * d / np.linalg.norm(d) ** 3
        return total

    place = own + y
    r, v = np.split(place - sun, 2)
    total = gravity(place[:3], "") + schwarzschild(r, v)
    total += 1.2 * 0.03 * LIGHT_PRESSURE * r / np.linalg.norm(r) ** 3
    if center != "SSB":
        total -= gravity(own[:3], center)
        if center != "SUN":
            total -= schwarzschild(*np.split(own - sun, 2))
    return total


@pytest.mark.parametrize("center", ["SUN", "EARTH", "SSB"])
@pytest.mark.parametrize("t", [0.0, 1e6, -3e5])
def test_acceleration_is_that_of_the_numpy_twin(center, t):
    y = state_relative_to(center)
    acceleration = computed(center, y, t)[0]
    # positions of 1 au round at 3e-5 m: the Sun's pull (6e-3 m/s^2) at 2e-18, the Earth's
    # (GM/d^2 = 3e-5 at 3.5e9 m) at 5e-19; and sums of a dozen such terms
    np.testing.assert_allclose(acceleration, twin(center, y, t), rtol=0, atol=2e-17)


@pytest.mark.parametrize("center", ["SUN", "EARTH"])
def test_partials_are_those_of_finite_differences(center):
    y = state_relative_to(center)
    _, by_position, by_velocity, pressure = computed(center, y)
    for found, first, step in ((by_position, 0, 1e4), (by_velocity, 3, 10.0)):
        for i in range(3):
            change = np.zeros(6)
            change[first + i] = step
            up, down = computed(center, y + change)[0], computed(center, y - change)[0]
            # the acceleration (6e-3) rounds at 1e-18; the third derivative adds (step/r)^2
            np.testing.assert_allclose(
                found[:, i], (up - down) / (2 * step), rtol=1e-6, atol=3e-18 / step
            )
    sunlight = 0.03 * LIGHT_PRESSURE / np.linalg.norm(state_relative_to("SUN")[:3]) ** 2
    assert np.linalg.norm(pressure) == pytest.approx(sunlight, rel=1e-12)


def test_light_pressure_at_one_astronomical_unit_is_the_textbook_one():
    assert pytest.approx(4.54e-6, rel=1e-3) == LIGHT_PRESSURE / AU**2  # N/m^2


def two_body():
    """A Kepler problem (e = 0.3, perihelion 1 au): settings, state at perihelion, period."""
    settings = environment(
        ForceModel(bodies=("SUN",), relativity=False),
        "SUN",
        START,
        np.zeros(3),
        Ephemeris.default(),
    )
    a, e = AU / 0.7, 0.3
    speed = np.sqrt(GM["SUN"] * (1 + e) / (AU))
    return settings, np.array([AU, 0, 0, 0, speed, 0.0]), 2 * np.pi * np.sqrt(a**3 / GM["SUN"])


NONE = np.array([-1])


def steps_of(count: int, length: float, y: np.ndarray, settings) -> np.ndarray:
    k, increment = np.zeros((16, 6)), np.empty(6)
    _kernels.derivative(0.0, y, settings, NONE, k[0])
    h = length / count
    for n in range(count):
        _kernels.take_step(k, n * h, y, h, settings, NONE, increment)
        y = y + increment
        k[0] = k[12]
    return y


def test_one_step_is_of_eighth_order():
    settings, start, period = two_body()
    counts = np.array([54, 80, 128])  # fewer are not yet asymptotic, more show rounding
    errors = [np.linalg.norm((steps_of(n, period, start, settings) - start)[:3]) for n in counts]
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert -8.5 < slope < -7.5


def test_the_interpolant_is_of_seventh_order():
    settings, start, period = two_body()
    errors, sizes = [], period / np.array([16.0, 24.0, 32.0])
    k, increment, dense = np.zeros((16, 6)), np.empty(6), np.empty((7, 6))
    for h in sizes:
        _kernels.derivative(0.0, start, settings, NONE, k[0])
        _kernels.take_step(k, 0.0, start, h, settings, NONE, increment)
        _kernels.interpolant(k, 0.0, start, h, settings, NONE, increment, dense)
        out = np.empty((1, 6))
        knots, states = np.array([0.0, h]), np.stack([start, start + increment])
        _kernels.evaluate(
            np.zeros(1), np.array([0.4 * h]), knots, states, np.zeros((2, 6)), dense[None], 0, out
        )
        errors.append(np.linalg.norm(out[0, :3] - steps_of(20, 0.4 * h, start, settings)[:3]))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert 7.5 < slope < 9.0  # an error of order 8 within the step: interpolation of order 7


def test_steps_end_on_exact_ticks_and_at_the_end():
    settings, start, period = two_body()
    for length in (period, -period):
        status, knots, *_ = _kernels.integrate(
            start, np.zeros(6), length, 1e-12, 10_000, settings, NONE
        )
        assert status == _kernels.OK
        assert knots[-1] == length
        inner = knots[:-2] * _kernels.TICK
        np.testing.assert_array_equal(inner, np.rint(inner))
        assert np.all(np.diff(knots) * np.sign(length) > 0)


def test_what_the_last_digit_swallows_is_kept():
    """The state with its carry is the exact sum of all increments, in spite of many steps."""
    settings, start, period = two_body()
    _, _, states, carries, dense = _kernels.integrate(
        start, np.zeros(6), 10 * period, 2e-16, 10_000, settings, NONE
    )
    exact = [math.fsum([start[i], *dense[:, 0, i]]) for i in range(2)]
    lost = [float(Fraction(exact[i]) - Fraction(states[-1, i])) for i in range(2)]
    # left to itself each of the 1000 steps would round by up to 15 micrometres
    assert len(dense) > 1000
    np.testing.assert_allclose(carries[-1, :2], lost, rtol=0, atol=5e-5)
