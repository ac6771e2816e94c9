"""The square-root information filter against closed forms and normal equations."""

import numpy as np
import pytest

from kitestring.errors import EstimationError
from kitestring.estimate.filter import SquareRootInformation, cholesky, whiten

ROUNDING = 1e-10  # a well-conditioned problem of a dozen rows


def problem(seed: int, n: int = 40, p: int = 4):
    rng = np.random.default_rng(seed)
    partials = rng.normal(size=(n, p)) * [1.0, 1e3, 1e-4, 50.0][:p]
    sigma = rng.uniform(0.5, 2.0, n)
    return partials, rng.normal(size=n) * sigma, sigma


NAMES = ("a", "b", "c", "d")


def test_it_equals_the_normal_equations_where_those_are_good():
    partials, y, sigma = problem(1)
    scale = np.array([1.0, 1e-3, 1e4, 0.02])  # columns of like size
    h = partials * scale
    found = SquareRootInformation.empty(NAMES).combine(h, y, sigma)
    normal = h.T @ (h / sigma[:, None] ** 2)
    estimate = np.linalg.solve(normal, h.T @ (y / sigma**2))
    np.testing.assert_allclose(found.solve(), estimate, rtol=ROUNDING)
    np.testing.assert_allclose(found.covariance(), np.linalg.inv(normal), rtol=0, atol=ROUNDING)
    left = np.sum(((y - h @ estimate) / sigma) ** 2)
    assert found.sum_of_squares == pytest.approx(left, rel=ROUNDING)


def test_it_beats_them_where_they_square_the_condition_number():
    """Laeuchli's matrix: the information of small^2 is lost beside 1 in the normal equations."""
    small = 1e-7
    h = np.vstack([np.ones(3), small * np.eye(3)])
    truth = np.array([1.0, -2.0, 3.0])
    y = h @ truth
    found = SquareRootInformation.empty(NAMES[:3]).combine(h, y, 1.0).solve()
    normal = np.linalg.solve(h.T @ h, h.T @ y)
    error, error_normal = (np.abs(x - truth).max() for x in (found, normal))
    assert error < 1e-7  # condition 2e7 x rounding 2e-16, with room
    assert error < 1e-3 * error_normal


def test_data_in_any_portions_give_the_same():
    partials, y, sigma = problem(2)
    whole = SquareRootInformation.empty(NAMES).combine(partials, y, sigma)
    parts = SquareRootInformation.empty(NAMES)
    for rows in (slice(0, 1), slice(1, 3), slice(3, 25), slice(25, 40)):
        parts = parts.combine(partials[rows], y[rows], sigma[rows])
    np.testing.assert_allclose(parts.solve(), whole.solve(), rtol=ROUNDING)
    np.testing.assert_allclose(parts.covariance(), whole.covariance(), rtol=ROUNDING)
    assert parts.sum_of_squares == pytest.approx(whole.sum_of_squares, rel=ROUNDING)


def test_an_apriori_estimate_comes_back_and_weighs_as_data_do():
    mean = np.array([1.0, -2.0, 0.5])
    root = np.array([[2.0, 0, 0], [0.3, 1.0, 0], [-0.2, 0.4, 0.1]])
    covariance = root @ root.T
    known = SquareRootInformation.from_covariance(NAMES[:3], mean, covariance)
    np.testing.assert_allclose(known.solve(), mean, rtol=ROUNDING)
    np.testing.assert_allclose(known.covariance(), covariance, rtol=ROUNDING)
    # the Kalman form of one more datum
    h, y, sigma = np.array([1.0, 2.0, -1.0]), 4.0, 0.5
    gain = covariance @ h / (h @ covariance @ h + sigma**2)
    updated = known.combine(h, y, sigma)
    np.testing.assert_allclose(updated.solve(), mean + gain * (y - h @ mean), rtol=ROUNDING)
    wanted = covariance - np.outer(gain, h @ covariance)
    np.testing.assert_allclose(updated.covariance(), wanted, rtol=0, atol=ROUNDING)


def test_an_infinite_sigma_holds_no_information():
    known = SquareRootInformation.from_sigmas(("a", "b"), [1.0, 2.0], [0.1, np.inf])
    known = known.combine([[0.0, 1.0]], [7.0], 1.0)
    np.testing.assert_allclose(known.solve(), [1.0, 7.0], rtol=ROUNDING)
    with pytest.raises(EstimationError, match="no datum depends on b"):
        SquareRootInformation.from_sigmas(("a", "b"), [1.0, 2.0], [0.1, np.inf]).solve()


def test_an_undetermined_combination_is_named_in_the_parameters_units():
    t = np.arange(6.0)
    # a and b (in thousandths) act alike: a step of 1 in a and -1000 in b goes unnoticed
    h = np.column_stack([np.ones(6), 1e-3 * np.ones(6), t])
    known = SquareRootInformation.empty(("a", "b", "slope")).combine(h, t, 1.0)
    with pytest.raises(EstimationError, match=r"\+1 a -1e\+03 b|-0\.001 a \+1 b") as told:
        known.covariance()
    assert "slope" not in told.value.message


def test_correlated_data_are_whitened():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(6, 6)) + 3 * np.eye(6)
    covariance = root @ root.T
    h, y = rng.normal(size=(6, 2)), rng.normal(size=6)
    white = whiten(covariance, np.column_stack([h, y]))
    known = SquareRootInformation.empty(("a", "b")).combine(white[:, :2], white[:, 2], 1.0)
    weight = np.linalg.inv(covariance)
    wanted = np.linalg.inv(h.T @ weight @ h)
    np.testing.assert_allclose(known.covariance(), wanted, rtol=1e-8)
    np.testing.assert_allclose(known.solve(), wanted @ h.T @ weight @ y, rtol=1e-8)


def test_what_is_no_covariance_is_refused():
    with pytest.raises(EstimationError, match="not positive definite"):
        cholesky(np.array([[1.0, 2.0], [2.0, 1.0]]), "it")
    with pytest.raises(EstimationError, match="not symmetric"):
        cholesky(np.array([[1.0, 0.5], [0.4, 1.0]]), "it")
    # units of very different size are no reason to refuse
    cholesky(np.diag([1e20, 1e-20]), "it")


def test_data_that_are_not_finite_are_refused():
    with pytest.raises(EstimationError, match="not finite"):
        SquareRootInformation.empty(("a",)).combine([[1.0]], [np.nan], 1.0)
    with pytest.raises(EstimationError, match="do not belong"):
        SquareRootInformation.empty(("a",)).combine([[1.0, 2.0]], [1.0], 1.0)
