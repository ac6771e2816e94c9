"""Clocks: offset, rate, jumps, and noise of the Allan deviation that is asked for."""

import numpy as np
import pytest
from scipy import stats

from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch
from kitestring.simulate.clocks import STEP, ClockJump, TrueClock, allan_deviation

START = Epoch.from_iso("2026-01-01T00:00:00")
SURE = stats.norm.isf(0.0005)  # two-sided 99.9 %


@pytest.mark.parametrize("tau", [0.25, 1.0, 8.0, 32.0])
@pytest.mark.parametrize(("white", "flicker"), [(1e-13, 0.0), (0.0, 1e-14), (1e-13, 5e-14)])
def test_noise_has_its_allan_deviation(white, flicker, tau):
    count = 40
    squares = []
    for seed in range(1, count + 1):
        x = TrueClock(START, white=white, flicker=flicker, seed=(seed,)).noise(8 * 512)
        second = np.diff(x[:: round(tau / STEP)], 2)
        squares.append(0.5 * np.mean(second**2) / tau**2)
    asked = white**2 / tau + flicker**2
    sigma = np.std(squares, ddof=1) / np.sqrt(count)
    # flicker at two steps is right to 0.4 %
    assert np.mean(squares) == pytest.approx(asked, abs=SURE * sigma + 0.004 * asked)


def test_allan_deviation_is_the_formula():
    rng = np.random.default_rng(3)
    x = rng.standard_normal(50)
    slow = [(x[k + 6] - 2 * x[k + 3] + x[k]) ** 2 for k in range(50 - 6)]
    assert allan_deviation(x, 0.5, 3) == pytest.approx(np.sqrt(np.mean(slow) / 2) / 1.5)


def test_noise_goes_on_from_scan_to_scan():
    clock = TrueClock(START, 1e-6, 1e-12, white=1e-12, flicker=1e-13, seed=(1, 2))
    whole = clock.polynomial(START, START.shifted(500.0))
    for first, last in ((0.3, 10.0), (100.0, 130.0), (480.0, 500.0)):
        part = clock.polynomial(START.shifted(first), START.shifted(last))
        t = np.linspace(first, last, 77)
        offset = float(START.since(part.start))
        # the longest span needs a longer transform: last digits of a microsecond
        assert part.at_offset(t + offset) == pytest.approx(whole.at_offset(t), rel=0, abs=1e-21)
    assert float(whole.at_offset(0.0)) == 1e-6


def test_seeds_settle_the_noise():
    first, again, other = (
        TrueClock(START, white=1e-13, flicker=1e-14, seed=s).noise(100) for s in ((1,), (1,), (2,))
    )
    assert np.array_equal(first, again)
    assert not np.any(np.isclose(first[1:], other[1:], rtol=1e-6, atol=0.0))


def test_jumps_last():
    jump = ClockJump(START.shifted(10.0), 2e-9)
    clock = TrueClock(START, 0.0, 1e-12, (jump,))
    found = clock.polynomial(START.shifted(5.0), START.shifted(15.0))
    start = float(found.start.since(START))
    for t, jumped in ((9.99, 0.0), (10.01, 2e-9), (14.0, 2e-9)):
        assert float(found.at_offset(t - start)) == pytest.approx(1e-12 * t + jumped, abs=1e-18)
    assert float(found.at_offset(12.0 - start, 1)) == pytest.approx(1e-12)


def test_a_jump_between_steps_leaves_the_noise():
    """Jumps fall on any millisecond; noise and other jumps are as without it."""
    noise = {"white": 1e-12, "flicker": 1e-13, "seed": (3,)}
    early, late = ClockJump(START.shifted(20.375), 5e-9), ClockJump(START.shifted(30.017), -2e-9)
    plain = TrueClock(START, 1e-6, 1e-12, **noise).polynomial(START, START.shifted(60.0))
    both = TrueClock(START, 1e-6, 1e-12, (early, late), **noise)
    for begin, end, pieces in ((25.0, 35.0, 10_000), (0.0, 25.0, 200)):
        found = both.polynomial(START.shifted(begin), START.shifted(end))
        assert len(found.coefficients) == pieces
        start = float(found.start.since(START))
        t = np.sort([*np.linspace(begin, end, 999), 20.3749, 20.3751, 30.0169, 30.0171])
        t = t[(t >= begin) & (t <= end) & (abs(t / STEP - np.rint(t / STEP)) > 1e-6)]
        jumped = 5e-9 * (t > 20.375) - 2e-9 * (t > 30.017)
        # last digits of a microsecond
        expected = plain.at_offset(t) + jumped
        assert found.at_offset(t - start) == pytest.approx(expected, rel=0, abs=2e-21)
        slope = plain.at_offset(t, 1)
        assert found.at_offset(t - start, 1) == pytest.approx(slope, rel=0, abs=1e-20)


def test_refuses():
    with pytest.raises(ConfigurationError, match="whole millisecond"):
        TrueClock(START, jumps=(ClockJump(START.shifted(0.1003), 1e-9),))
    with pytest.raises(ConfigurationError, match="Allan deviations"):
        TrueClock(START, white=-1e-13)
    with pytest.raises(ConfigurationError, match="before the first scan"):
        TrueClock(START, white=1e-13).polynomial(START.shifted(-5.0), START)
