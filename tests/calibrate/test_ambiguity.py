import numpy as np
import pytest

from kitestring.calibrate.ambiguity import delay_ambiguity, resolve_delay
from kitestring.errors import ConfigurationError

DOR = 8.42e9 + np.array([0.0, -19e6, -3.8e6, 3.8e6, 19e6])
SIGMA = np.full(5, 0.02)
PICOSECOND, NANOSECOND = 1e-12, 1e-9


def phases(delay, rng, noise=1.0):
    phase = 1.3 + 2 * np.pi * (DOR - 8.42e9) * delay + noise * SIGMA * rng.normal(size=5)
    return np.angle(np.exp(1j * phase))


@pytest.mark.parametrize("delay", [0.0, 31e-9, -101e-9, 130e-9])
def test_delay_within_the_ambiguity(delay):
    found = resolve_delay(DOR, phases(delay, np.random.default_rng(1), 0.0), SIGMA)
    assert found.delay == pytest.approx(delay, abs=1e-3 * PICOSECOND)
    assert found.phase == pytest.approx(1.3, abs=1e-9)
    assert found.ambiguity == pytest.approx(263.16 * NANOSECOND, rel=0.01)


def test_prior_moves_the_choice_by_whole_ambiguities():
    phase = phases(10e-9, np.random.default_rng(2), 0.0)
    found = resolve_delay(DOR, phase, SIGMA, prior=263e-9)
    assert found.delay == pytest.approx(10e-9 + 1 / 3.8e6, abs=1 * PICOSECOND)


def test_sigma_is_honest():
    pulls = []
    for seed in range(1, 201):
        found = resolve_delay(DOR, phases(20e-9, np.random.default_rng(seed)), SIGMA)
        pulls.append((found.delay - 20e-9) / found.sigma)
    # 99.9 % of the scatter of n draws
    assert abs(np.mean(pulls)) < 3.3 / np.sqrt(len(pulls))
    assert abs(np.mean(np.square(pulls)) - 1) < 3.3 * np.sqrt(2 / len(pulls))


def test_probability_is_the_share_of_right_choices():
    """Phases so noisy that peaks 53 ns apart compete."""
    sigma, right, stated = np.full(5, 0.9), 0, []
    n = 400
    for seed in range(1, n + 1):
        rng = np.random.default_rng(seed)
        truth = rng.normal(0, 50e-9)
        phase = 2 * np.pi * (DOR - 8.42e9) * truth + sigma * rng.normal(size=5)
        found = resolve_delay(DOR, np.angle(np.exp(1j * phase)), sigma)
        right += abs(found.delay - truth) < 20e-9
        stated.append(found.probability)
    expected = np.mean(stated)
    assert 0.2 < expected < 0.95
    # the binomial's 99.9 % band, and 5 % as wrapped noise is not Gaussian at 0.9 rad
    assert abs(right / n - expected) < 3.3 * np.sqrt(0.25 / n) + 0.05


def test_ambiguity_of_two_frequencies_and_of_uneven_ones():
    assert delay_ambiguity(np.array([0.0, 10e6])) == pytest.approx(100e-9, rel=0.02)
    # 2.12, 3.00 and 7.03 turns
    uneven = np.array([0.0, 1e6, 1.414e6, 3.317e6])
    assert delay_ambiguity(uneven) == pytest.approx(2.12e-6, rel=0.01)


def test_what_is_refused():
    with pytest.raises(ConfigurationError, match="single frequency"):
        resolve_delay(np.full(3, 8e9), np.zeros(3), np.ones(3))
    with pytest.raises(ConfigurationError, match="smaller uncertainty"):
        resolve_delay(DOR, np.zeros(5), SIGMA, prior_sigma=1.0)
