"""Tabulated trajectories: against the ephemeris they were sampled from, and by their order."""

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.tabulated import TabulatedTrajectory
from kitestring.model.time import DAY, Epoch
from kitestring.model.trajectory import Trajectory

HOUR = 3600.0
MILLIMETRE = 1e-3
ROUNDING = 2e-4  # m: half a digit of 2e11 m is 1.5e-5 m, and states are differences of such
NANOMETRE_PER_SECOND = 1e-9
START = Epoch.from_iso("2026-03-01T00:00:00", "tdb")


def sampled(body, center, step, count, **settings):
    epoch = START.shifted(step * np.arange(count))
    states = Ephemeris.default().state(body, center, epoch)
    return TabulatedTrajectory(body, center, epoch, states, **settings)


@pytest.mark.parametrize("body", ["MARS BARYCENTER", "EARTH"])
def test_hours_between_states_cost_less_than_a_millimetre(body):
    table: Trajectory = sampled(body, "SUN", HOUR, 241)
    inside = START.shifted(np.random.default_rng(1).uniform(0.0, 240 * HOUR, 2000))
    found = table.state(inside) - Ephemeris.default().state(body, "SUN", inside)
    assert np.abs(found[:, :3]).max() < MILLIMETRE
    assert np.abs(found[:, 3:]).max() < 1e3 * NANOMETRE_PER_SECOND


def test_given_epochs_return_the_given_states():
    table = sampled("MARS BARYCENTER", "SUN", HOUR, 20)
    found = table.state(table.epoch)
    assert np.abs(found - table.states)[:, :3].max() < ROUNDING
    assert np.abs(found - table.states)[:, 3:].max() < NANOMETRE_PER_SECOND


@pytest.mark.parametrize("degree", [3, 5, 7])
def test_the_error_falls_with_the_order_that_the_degree_promises(degree):
    """Position falls with step^(degree + 1), velocity with one power less."""
    errors = []
    inside = START.shifted(np.linspace(0.9, 1.1, 301) * 20 * DAY)
    for days in (4.0, 2.0):
        epoch = START.shifted(days * DAY * np.arange(round(40 / days) + 1))
        table = TabulatedTrajectory("X", "SUN", epoch, circle(epoch), degree=degree)
        away = np.abs(table.state(inside) - circle(inside))
        errors.append((away[:, :3].max(), away[:, 3:].max()))
    slope = np.log2(np.array(errors[0]) / np.array(errors[1]))
    np.testing.assert_allclose(slope, [degree + 1, degree], atol=0.35)


def circle(epoch):
    rate, radius = 2.0 * np.pi / (30.0 * DAY), 4e8
    angle = rate * epoch.since(START)
    zero = np.zeros_like(angle)
    c, s = radius * np.cos(angle), radius * np.sin(angle)
    return np.stack([c, s, zero, -rate * s, rate * c, zero], axis=-1)


def test_any_scale_and_shape_of_epochs():
    table = sampled("EARTH", "SUN", HOUR, 10)
    one = START.shifted(1234.5)
    assert table.state(one).shape == (6,)
    np.testing.assert_array_equal(table.state(one), table.state(START.shifted([1234.5]))[0])
    # UTC and back rounds at 15 ps: 0.4 micrometre at 30 km/s
    assert np.abs(table.state(one.to("utc")) - table.state(one))[:3].max() < ROUNDING


def test_two_states_are_enough():
    table = sampled("EARTH", "SUN", 60.0, 2)
    middle = START.shifted(30.0)
    wanted = Ephemeris.default().state("EARTH", "SUN", middle)
    assert np.abs(table.state(middle) - wanted)[:3].max() < MILLIMETRE


def test_outside_its_span_it_says_what_the_span_is():
    table = sampled("EARTH", "SUN", HOUR, 10, origin="earth.oem")
    table.state(table.span[1].shifted(1e-7))  # rounding of a conversion
    with pytest.raises(SpanError, match=r"earth\.oem.*2026-03-01T00:00:00\.000 to .*T09:00:00"):
        table.state(table.span[1].shifted(1.0))
    usable = (START.shifted(HOUR), START.shifted(2 * HOUR))
    table = sampled("EARTH", "SUN", HOUR, 10, usable=usable)
    with pytest.raises(SpanError):
        table.state(START)


def test_what_is_no_table_is_refused():
    epoch = START.shifted(np.array([0.0, 1.0]))
    states = np.zeros((2, 6))
    with pytest.raises(ConfigurationError, match="are no table"):
        TabulatedTrajectory("X", "SUN", epoch, np.zeros((3, 6)))
    with pytest.raises(ConfigurationError, match="are no table"):
        TabulatedTrajectory("X", "SUN", epoch[:1], np.zeros((1, 6)))
    with pytest.raises(ConfigurationError, match=r"epoch 1 of X.*not after"):
        TabulatedTrajectory("X", "SUN", epoch[::-1], states)
    with pytest.raises(ConfigurationError, match="state 0 of X is not finite"):
        TabulatedTrajectory("X", "SUN", epoch, states + np.nan)
    with pytest.raises(ConfigurationError, match="degree 4"):
        TabulatedTrajectory("X", "SUN", epoch, states, degree=4)
    with pytest.raises(ConfigurationError, match="come together"):
        TabulatedTrajectory("X", "SUN", epoch, states, covariances=np.zeros((1, 6, 6)))
    with pytest.raises(ConfigurationError, match="do not belong to 2 epochs"):
        TabulatedTrajectory(
            "X", "SUN", epoch, states, covariance_epoch=epoch, covariances=np.zeros((1, 6, 6))
        )


def test_an_epoch_that_is_no_number_has_no_state():
    epoch = Epoch.from_iso(["2026-01-01", "2026-01-02"], "tdb")
    table = TabulatedTrajectory("X", "SUN", epoch, np.arange(12.0).reshape(2, 6))
    with pytest.raises(SpanError, match="not a number"):
        table.state(Epoch("tdb", epoch.day, np.array([0.0, np.nan])))
