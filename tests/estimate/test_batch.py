"""Batch least squares: values, covariance by many draws, editing, biases, consider parameters."""

import numpy as np
import pytest
from scipy.stats import chi2 as chi_square

from kitestring.dynamics.propagate import OrbitTarget
from kitestring.dynamics.types import STATE_NAMES, ForceModel, OrbitState
from kitestring.errors import ConfigurationError, EstimationError
from kitestring.estimate.batch import CONVERGED, STALLED, batch_least_squares
from kitestring.estimate.types import (
    NOT_FINITE,
    OUTLIER,
    Correlated,
    Editing,
    Measurements,
    Parameter,
)
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.time import DAY, Epoch

BAND = 0.999  # statistics lie inside this band
NO_EDITING = Editing(threshold=np.inf)
T = np.linspace(0.0, 3.0, 60)


def decay(values):
    """a exp(-b t) + c, and its partials."""
    a, b, c = values[:3]
    e = np.exp(-b * T)
    return a * e + c, np.column_stack([e, -a * T * e, np.ones_like(T)])


TRUTH = np.array([5.0, 0.8, 1.0])
GUESS = [Parameter("a", 4.0), Parameter("b", 1.0), Parameter("c", 0.0, unit="V")]


def inside_band(statistic: float, dof: int) -> bool:
    low, high = chi_square.ppf([(1 - BAND) / 2, (1 + BAND) / 2], dof)
    return low < statistic < high


def test_exact_data_give_the_truth_back():
    found = batch_least_squares(decay, Measurements(decay(TRUTH)[0], 0.01), GUESS)
    assert np.all(np.abs(found.values - TRUTH) < CONVERGED * found.sigmas)
    assert found.chi2 < CONVERGED
    assert (found.dof, found.used.all()) == (57, True)
    assert np.all(np.isinf(found.observability))
    assert found["c"] == (found.values[2], found.sigmas[2])
    assert found.units == ("", "", "V")


def covariance_of_rows(n: int) -> np.ndarray:
    """Noise of 0.05 with a common part that dies off over ten rows."""
    gap = np.abs(np.arange(n)[:, None] - np.arange(n))
    return 0.05**2 * np.eye(n) + 0.04**2 * np.exp(-gap / 10)


@pytest.mark.parametrize("correlated", [False, True])
def test_the_covariance_is_that_of_many_draws(correlated):
    """Truth from the a-priori covariance, noise from the stated one: errors must be chi-square."""
    draws = 200
    prior = np.array([0.5, np.inf, 0.3])
    rows = np.arange(len(T))
    noise = covariance_of_rows(len(T)) if correlated else 0.05**2 * np.eye(len(T))
    root = np.linalg.cholesky(noise)
    arcs = np.repeat(["x", "y", ""], 20)
    bias_sigma = 0.2
    error, fit, per_parameter, dof = 0.0, 0.0, np.zeros(3), 0
    for seed in range(1, draws + 1):
        rng = np.random.default_rng(seed)
        truth = TRUTH + np.where(np.isfinite(prior), prior, 0.0) * rng.normal(size=3)
        bias = np.repeat([*(bias_sigma * rng.normal(size=2)), 0.0], 20)
        y = decay(truth)[0] + bias + root @ rng.normal(size=len(T))
        data = Measurements(
            y, 0.05, arc=arcs, correlated=(Correlated(rows, noise),) if correlated else ()
        )
        guess = [Parameter(n, v, s) for n, v, s in zip("abc", TRUTH, prior, strict=True)]
        found = batch_least_squares(decay, data, guess, bias_sigma=bias_sigma, editing=NO_EDITING)
        miss = found.values - truth
        error += miss @ np.linalg.solve(found.covariance, miss)
        per_parameter += (miss / found.sigmas) ** 2
        fit += found.chi2
        dof = found.dof
    assert dof == 60 + 2 - 3
    assert inside_band(error, 3 * draws)
    assert inside_band(fit, dof * draws)
    assert all(inside_band(s, draws) for s in per_parameter)


def test_biases_are_what_explicit_parameters_would_be():
    rng = np.random.default_rng(7)
    arcs = np.array(["p", "q", "r"])[np.arange(60) // 20]
    y = decay(TRUTH)[0] + 0.3 * (arcs == "q") + 0.05 * rng.normal(size=60)
    found = batch_least_squares(
        decay, Measurements(y, 0.05, arc=arcs), GUESS, bias_sigma=0.4, editing=NO_EDITING
    )

    def explicit(values):
        computed, partials = decay(values)
        columns = (arcs[:, None] == ["p", "q", "r"]).astype(float)
        return computed + columns @ values[3:], np.column_stack([partials, columns])

    guess = [*GUESS, *(Parameter(n, 0.0, 0.4) for n in "pqr")]
    wanted = batch_least_squares(explicit, Measurements(y, 0.05), guess, editing=NO_EDITING)
    for i, name in enumerate("abc"):
        assert found[name][0] == pytest.approx(wanted[name][0], abs=1e-3 * wanted.sigmas[i])
    np.testing.assert_allclose(found.sigmas, wanted.sigmas[:3], rtol=1e-4)
    for name in "pqr":
        value, sigma = wanted[name]
        assert found.biases[name].value == pytest.approx(value, abs=1e-3 * sigma)
        assert found.biases[name].sigma == pytest.approx(sigma, rel=1e-4)
    assert found.chi2 == pytest.approx(wanted.chi2, rel=1e-4)
    assert found.dof == wanted.dof


def test_a_bias_that_takes_all_that_is_known_of_a_parameter_is_named():
    data = Measurements(decay(TRUTH)[0], 0.05, arc=np.full(60, "only"))
    with pytest.raises(EstimationError, match=r"\+1 c"):
        batch_least_squares(decay, data, GUESS)


def test_blocks_of_correlated_rows_give_generalised_least_squares():
    rng = np.random.default_rng(11)
    h = np.column_stack([np.ones(60), T])
    rows = rng.permutation(60)
    groups = [rows[:15], rows[15:40]]
    noise = 0.07**2 * np.eye(60)
    parts = []
    for group in groups:
        part = covariance_of_rows(len(group))
        noise[np.ix_(group, group)] = part
        parts.append(Correlated(group, part))
    y = np.linalg.cholesky(noise) @ rng.normal(size=60) + h @ [1.0, 2.0]
    data = Measurements(y, 0.07, correlated=tuple(parts))
    found = batch_least_squares(
        lambda x: (h @ x, h), data, [Parameter("a", 0.0), Parameter("b", 0.0)], editing=NO_EDITING
    )
    weight = np.linalg.inv(noise)
    wanted = np.linalg.inv(h.T @ weight @ h)
    np.testing.assert_allclose(found.covariance, wanted, rtol=1e-8)
    np.testing.assert_allclose(found.values, wanted @ h.T @ weight @ y, rtol=1e-8)
    left = y - h @ found.values
    assert found.chi2 == pytest.approx(left @ weight @ left, rel=1e-8)


def test_consider_covariance_is_that_of_brute_force():
    """Fit with c held while the truth's c is drawn: the scatter must be the stated covariance."""
    draws, sigma_c = 400, 0.1
    guess = [
        Parameter("a", TRUTH[0]),
        Parameter("b", TRUTH[1]),
        Parameter("c", TRUTH[2], sigma_c, consider=True),
    ]
    misses = []
    for seed in range(1, draws + 1):
        rng = np.random.default_rng(seed)
        truth = TRUTH + np.array([0.0, 0.0, sigma_c * rng.normal()])
        data = Measurements(decay(truth)[0] + 0.05 * rng.normal(size=60), 0.05)
        found = batch_least_squares(decay, data, guess, editing=NO_EDITING)
        misses.append(found.values - truth[:2])
    assert found.names == ("a", "b")
    misses = np.array(misses)
    whitened = np.linalg.solve(np.linalg.cholesky(found.covariance), misses.T)
    # one solution's covariance stands for all: b moves by 0.08 (10 %), its partials with it
    assert inside_band(np.sum(whitened**2), 2 * draws)
    # noise alone would be far too small, so the test can fail
    assert not inside_band(
        np.sum(np.linalg.solve(np.linalg.cholesky(found.noise_covariance), misses.T) ** 2),
        2 * draws,
    )
    effect = found.consider_effect("c")
    np.testing.assert_allclose(
        found.covariance - found.noise_covariance, np.outer(effect, effect), rtol=1e-9
    )


def test_a_considered_parameter_moves_the_estimate_as_stated():
    def solve(value):
        guess = [*GUESS[:2], Parameter("c", value, 0.1, consider=True)]
        return batch_least_squares(
            decay, Measurements(decay(TRUTH)[0], 0.05), guess, editing=NO_EDITING
        )

    step = 1e-3
    moved = (solve(1.0 + step).values - solve(1.0 - step).values) / (2 * step)
    # each solution is converged to 1e-3 sigma at worst, in practice quadratically further
    np.testing.assert_allclose(solve(1.0).sensitivity[:, 0], moved, rtol=1e-3)


def test_outliers_are_set_aside_and_named():
    rng = np.random.default_rng(5)
    y = decay(TRUTH)[0] + 0.05 * rng.normal(size=60)
    wrong = [3, 20, 41]
    y[wrong] += [2.0, -1.0, 50.0]
    clean = np.setdiff1d(np.arange(60), wrong)
    y[10] = np.nan
    flag = np.full(60, "", dtype="U16")
    flag[11] = "low elevation"
    found = batch_least_squares(decay, Measurements(y, 0.05, flag=flag), GUESS)
    assert list(np.flatnonzero(found.flags == OUTLIER)) == wrong
    assert found.flags[10] == NOT_FINITE
    assert found.flags[11] == "low elevation"
    assert found.residuals[41] == pytest.approx(50.0, abs=0.3)  # still told
    flag[wrong] = "left out"
    wanted = batch_least_squares(decay, Measurements(y, 0.05, flag=flag), GUESS)
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-3 * wanted.sigmas.min())
    assert found.dof == len(clean) - 2 - 3


def test_an_overshooting_step_is_shortened():
    """From b = 6 the linear prediction of an exponential throws b to below -30."""
    guess = [Parameter("a", 1.0), Parameter("b", 6.0), Parameter("c", 3.0)]
    found = batch_least_squares(decay, Measurements(decay(TRUTH)[0], 0.01), guess)
    assert np.all(np.abs(found.values - TRUTH) < CONVERGED * found.sigmas)


def test_wrong_sigmas_do_not_make_good_rows_outliers():
    """Noise ten times what was stated: a common scale, not outliers."""
    rng = np.random.default_rng(6)
    y = decay(TRUTH)[0] + 0.5 * rng.normal(size=60)
    found = batch_least_squares(decay, Measurements(y, 0.05), GUESS)
    assert found.used.all()
    assert found.weighted_rms == pytest.approx(10.0, rel=0.4)


def test_kinds_are_judged_by_their_own_scale():
    rng = np.random.default_rng(8)
    kind = np.where(np.arange(60) % 2, "rough", "fine")
    y = decay(TRUTH)[0] + np.where(kind == "rough", 1.0, 0.05) * rng.normal(size=60)
    y[30] += 1.0  # a fine row off by 20 sigma, nothing beside the rough rows' scatter
    sigma = np.where(kind == "rough", 0.2, 0.05)  # too small by 5 for the rough ones
    found = batch_least_squares(decay, Measurements(y, sigma, kind=kind), GUESS)
    assert list(np.flatnonzero(~found.used)) == [30]


def test_too_many_outliers_are_an_error():
    y = np.random.default_rng(9).normal(size=60)
    y[:8] += 30.0
    with pytest.raises(EstimationError, match=r"8 of 60 rows exceed.*may be set aside"):
        batch_least_squares(
            lambda x: (np.full(60, x[0]), np.ones((60, 1))),
            Measurements(y, 1.0),
            [Parameter("mean", 0.0)],
            editing=Editing(threshold=3.0, most=0.1),
        )


def test_apriori_values_pull_and_observability_tells_what_was_learnt():
    guess = [Parameter("a", 5.2, 1e-6), Parameter("b", 0.8, 0.5), Parameter("c", 1.0, 0.5)]
    found = batch_least_squares(decay, Measurements(decay(TRUTH)[0], 0.05), guess)
    assert found["a"][0] == pytest.approx(5.2, abs=1e-5)
    assert found.observability[0] == pytest.approx(1.0, abs=1e-6)
    assert found.observability[2] > 5.0
    full = batch_least_squares(
        decay,
        Measurements(decay(TRUTH)[0], 0.05),
        [Parameter(p.name, p.value) for p in guess],
        apriori_covariance=np.diag([1e-12, 0.25, 0.25]),
    )
    np.testing.assert_allclose(full.values, found.values, rtol=1e-9)
    np.testing.assert_allclose(full.covariance, found.covariance, rtol=1e-6, atol=1e-15)
    assert full.chi2 == pytest.approx(found.chi2, rel=1e-6)


def test_what_cannot_be_solved_says_why():
    good = Measurements(decay(TRUTH)[0], 0.05)
    with pytest.raises(EstimationError, match=r"none of 60 rows.*cloud"):
        batch_least_squares(decay, Measurements(good.value, 0.05, np.full(60, "cloud")), GUESS)
    with pytest.raises(EstimationError, match="none of 0 rows"):
        batch_least_squares(decay, Measurements(np.zeros(0), 1.0), GUESS)
    with pytest.raises(EstimationError, match="no convergence in 2"):
        batch_least_squares(decay, good, GUESS, most_iterations=2)
    with pytest.raises(ConfigurationError, match="share a name"):
        batch_least_squares(decay, good, [GUESS[0]] * 3)
    with pytest.raises(ConfigurationError, match="partials"):
        batch_least_squares(decay, good, [*GUESS, Parameter("d", 0.0)])
    with pytest.raises(ConfigurationError, match="no parameter to estimate"):
        batch_least_squares(decay, good, [Parameter("a", 1.0, 1.0, consider=True)])


def test_an_orbit_is_found_and_its_covariance_holds():
    """Ranges and a plane-of-sky coordinate from the Earth over ten days; errors by many draws."""
    draws = 40
    start = Epoch.from_iso("2027-03-04", "tdb")
    epochs = start.shifted(np.linspace(0.0, 10 * DAY, 60))
    eph = Ephemeris.default()
    earth = eph.state("EARTH", "SUN", epochs)[:, :3]
    away = np.array([8e9, -6e9, 3e9, 3000.0, 800.0, -900.0])
    truth = eph.state("EARTH", "SUN", start) + away
    across = np.array([[0.6, 0.8, 0.0], [0.0, -0.6, 0.8]])
    target = OrbitTarget(
        OrbitState(start, truth), ForceModel(area_over_mass=0.03), (start, epochs[-1])
    )

    def model(values):
        position = target.trajectory(values).state(epochs)[:, :3] - earth
        partials = target.position_partial(values, epochs)
        distance = np.linalg.norm(position, axis=1)
        ranges = np.einsum("ni,nip->np", position / distance[:, None], partials)
        angles = np.einsum("ki,nip->knp", across, partials).reshape(-1, 7)
        return (
            np.concatenate([distance, (across @ position.T).ravel()]),
            np.vstack([ranges, angles]),
        )

    sigma = np.repeat([10.0, 3e4, 3e4], 60)
    prior = np.array([1e6] * 3 + [10.0] * 3 + [0.2])
    exact = np.concatenate([truth, [1.0]])
    total, fit, dof = 0.0, 0.0, 0
    for seed in range(1, draws + 1):
        rng = np.random.default_rng(seed)
        hidden = exact + prior * rng.normal(size=7)
        data = Measurements(model(hidden)[0] + sigma * rng.normal(size=180), sigma)
        names = (*STATE_NAMES, "srp_scale")
        guess = [Parameter(n, v, s) for n, v, s in zip(names, exact, prior, strict=True)]
        found = batch_least_squares(model, data, guess, editing=NO_EDITING)
        miss = found.values - hidden
        total += miss @ np.linalg.solve(found.covariance, miss)
        fit, dof = fit + found.chi2, found.dof
    assert inside_band(total, 7 * draws)
    assert inside_band(fit, dof * draws)
    assert found.observability[0] > 10.0  # the data did teach something


def test_a_models_rounding_does_not_keep_the_iteration_going():
    """Noise that changes with every evaluation moves the estimate by thousandths of a sigma."""
    noise = np.random.default_rng(1)
    calls = []

    def rounded(values):
        computed, partials = decay(values)
        calls.append(values)
        return computed + 3e-5 * noise.normal(size=len(T)), partials

    data = Measurements(decay(TRUTH)[0] + 0.01 * np.random.default_rng(2).normal(size=len(T)), 0.01)
    found = batch_least_squares(rounded, data, GUESS)
    exact = batch_least_squares(decay, data, GUESS)
    assert np.all(np.abs(found.values - exact.values) < 2 * STALLED * exact.sigmas)
    assert len(calls) < 15


def test_a_lone_row_of_its_kind_is_judged_by_its_own_sigma():
    """The median of one is the outlier itself: it would excuse anything."""
    t = np.arange(20.0)
    value = np.append(np.full(20, 3.0), 1e6)
    kind = np.array(["doppler"] * 20 + ["range"])

    def model(x):
        return np.full(21, x[0]), np.ones((21, 1))

    data = Measurements(value, np.append(np.full(20, 1.0), 1e3), kind=kind)
    found = batch_least_squares(model, data, [Parameter("level", 0.0)])
    assert found.flags[-1] == "outlier"
    assert found.values[0] == pytest.approx(3.0)
    assert len(t) == int(found.used.sum())


def test_rows_without_a_model_are_set_aside():
    def model(x):
        computed = np.full(6, x[0])
        computed[2] = np.nan
        partials = np.ones((6, 1))
        partials[4] = np.nan
        return computed, partials

    found = batch_least_squares(model, Measurements(np.full(6, 2.0), 1.0), [Parameter("a", 0.0)])
    assert list(np.flatnonzero(found.flags == "not modelled")) == [2, 4]
    assert found.values[0] == pytest.approx(2.0)
    assert found.chi2 == pytest.approx(0.0)

    def nothing(x):
        return np.full(6, np.nan), np.ones((6, 1))

    with pytest.raises(EstimationError, match="6 'not modelled'"):
        batch_least_squares(nothing, Measurements(np.full(6, 2.0), 1.0), [Parameter("a", 0.0)])
