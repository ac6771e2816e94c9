"""Parameters, measurements and orbit solutions: what they refuse and what they promise."""

import numpy as np
import pytest

from kitestring.dynamics.propagate import propagate
from kitestring.dynamics.types import STATE_NAMES, ForceModel, OrbitState
from kitestring.errors import ConfigurationError, EstimationError, UnknownNameError
from kitestring.estimate.batch import batch_least_squares
from kitestring.estimate.mapping import map_covariance
from kitestring.estimate.types import (
    Correlated,
    Measurements,
    OrbitSolution,
    Parameter,
    ResidualTable,
)
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.time import DAY, Epoch
from kitestring.model.trajectory import Trajectory

START = Epoch.from_iso("2027-03-04", "tdb")


def solve(*, consider: bool, state: bool = True):
    """A solution whose 'data' are the parameters themselves."""
    names = [*(STATE_NAMES if state else "uvwxyz"), "srp_scale"]
    sigma = np.array([1e3, 2e3, 3e3, 0.1, 0.2, 0.3, 0.05])
    away = np.array([2e9, 1e9, 1e9, 3e3, 0.0, 500.0])
    place = Ephemeris.default().state("EARTH", "SUN", START) + away
    value = np.array([*place, 1.0])
    guess = [
        Parameter(n, v, s, consider=consider and n == "srp_scale")
        for n, v, s in zip(names, value, sigma, strict=True)
    ]
    data = Measurements(value, sigma)
    found = batch_least_squares(lambda x: (x, np.eye(7)), data, guess)
    forces = ForceModel(area_over_mass=0.03)
    orbit = propagate(OrbitState(START, place), forces, (START, START.shifted(20 * DAY)))
    epochs = START.to("utc").shifted(np.arange(7.0))
    table = ResidualTable.of(np.array(names), epochs, data, found)
    return OrbitSolution(orbit, found, table)


def test_an_orbit_solution_is_a_trajectory():
    solution: Trajectory = solve(consider=False)
    middle = START.shifted(10 * DAY)
    np.testing.assert_array_equal(solution.state(middle), solution.trajectory.state(middle))
    assert (solution.center, solution.name) == ("SUN", "SPACECRAFT")
    assert solution.span[1].since(START) == 20 * DAY
    assert len(solution.residual_table) == 7


def test_the_covariance_maps_through_the_transition_matrix():
    solution = solve(consider=False)
    when = START.shifted(np.array([0.0, 10 * DAY]))
    found = solution.covariance(when)
    wanted = map_covariance(solution.solution.covariance, solution.trajectory.transition(when))
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert found.shape == (2, 6, 6)


def test_a_considered_light_pressure_grows_with_time():
    """Data and a-priori say nothing that ties the state to it: both sources add."""
    solution = solve(consider=True)
    when = START.shifted(20 * DAY)
    phi = solution.trajectory.transition(when)
    pressure = phi[:, 6] * 0.05
    wanted = map_covariance(solution.solution.noise_covariance, phi[:, :6])
    wanted = wanted + np.outer(pressure, pressure)
    np.testing.assert_allclose(solution.covariance(when), wanted, rtol=1e-9)
    assert np.linalg.norm(pressure[:3]) > 1e3  # 0.05 x 1.3e-7 m/s^2 over 20 days: 10 km


def test_a_solution_of_something_else_is_refused():
    with pytest.raises(EstimationError, match="six components"):
        solve(consider=False, state=False)


def test_wrong_input_is_refused_with_what_was_found():
    with pytest.raises(ConfigurationError, match="no a-priori value"):
        Parameter("a", 1.0, 0.0)
    with pytest.raises(ConfigurationError, match="no finite sigma"):
        Parameter("a", 1.0, consider=True)
    with pytest.raises(ConfigurationError, match="flag has shape"):
        Measurements(np.zeros(3), 1.0, flag=np.array(["x"]))
    both = np.eye(2)
    groups = (Correlated(np.array([0, 1]), both), Correlated(np.array([1, 2]), both))
    with pytest.raises(ConfigurationError, match="row 1 is in two"):
        Measurements(np.zeros(3), 1.0, correlated=groups)
    with pytest.raises(ConfigurationError, match="does not belong to 3 rows"):
        Measurements(np.zeros(3), 1.0, correlated=(Correlated(np.arange(3), np.eye(2)),))
    with pytest.raises(UnknownNameError, match="srp"):
        solve(consider=False).solution["srp"]
