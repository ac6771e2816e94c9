"""Station clocks as they truly run: offset, rate, jumps and noise.

Noise is a function of time alone: drawn once from an epoch on, and the same for
all channels and scans of a station. It is drawn every `STEP` seconds; between
these the frequency is constant, so that below `STEP` there is no noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.polynomials import PiecewisePolynomial
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

STEP = 0.125  # s
# The filter's spectrum rises above 1 / f towards its last octave. So much of the step before
# takes that off: Allan variances are then right to 0.4 % at two steps and 0.05 % from four on
# (the integral of Kasdin's spectrum under the Allan variance's window, solved for 8 steps).
_BEFORE = 0.13882738
_TICK = 1e-6  # s: a jump this near a millisecond is meant to be there


@dataclass(frozen=True)
class ClockJump:
    """A clock that jumps.

    Attributes
    ----------
    epoch : Epoch, shape ()
        When, UTC: a whole number of milliseconds after the clock's own epoch. As all of a
        clock it is over the wave's arrival at the geocentre: at the station it comes as much
        later as the wave does, 21 ms at most.
    size : float
        Change of the reading, s. Sampling and local oscillators jump with it.
    """

    epoch: Epoch
    size: float


@dataclass(frozen=True, eq=False)
class TrueClock:
    """A clock's reading minus UTC.

    Attributes
    ----------
    epoch : Epoch, shape ()
        When it is off by `offset`; noise begins here.
    offset : float
        s.
    rate : float
        s/s.
    jumps : tuple of ClockJump
        In any order.
    white : float
        Allan deviation of its white frequency noise at 1 s; it falls with the root
        of the time.
    flicker : float
        Allan deviation of its flicker frequency noise, the same at all times.
    seed : tuple of int
        Settles the noise.

    Raises
    ------
    ConfigurationError
        For noise that is negative, or a jump between two milliseconds.

    Examples
    --------
    >>> start = Epoch.from_iso("2026-01-01T00:00:00")
    >>> clock = TrueClock(start, 1e-6, 1e-12, (ClockJump(start.shifted(30.0), 5e-9),))
    >>> found = clock.polynomial(start, start.shifted(60.0))
    >>> [f"{float(found.at_offset(t)) * 1e6:.6f}" for t in (0.0, 29.9, 30.1)]
    ['1.000000', '1.000030', '1.005030']
    """

    epoch: Epoch
    offset: float = 0.0
    rate: float = 0.0
    jumps: tuple[ClockJump, ...] = ()
    white: float = 0.0
    flicker: float = 0.0
    seed: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not (0.0 <= self.white < 1e-3 and 0.0 <= self.flicker < 1e-3):
            raise ConfigurationError(
                f"a clock's noise of {self.white} and {self.flicker} cannot be.",
                next_step="Give Allan deviations, such as 1e-13.",
            )
        for jump in self.jumps:
            self._milliseconds(jump)

    @cached_property
    def steady(self) -> bool:
        """Whether the clock is off by offset and rate alone."""
        return not (self.jumps or self.white or self.flicker)

    def _milliseconds(self, jump: ClockJump) -> int:
        elapsed = 1e3 * float(jump.epoch.since(self.epoch))
        if abs(elapsed - round(elapsed)) > 1e3 * _TICK:
            raise ConfigurationError(
                f"a clock cannot jump at {jump.epoch.iso(6)}.",
                next_step=f"Choose a whole millisecond after {self.epoch.iso(3)} UTC.",
            )
        return round(elapsed)

    def polynomial(self, start: Epoch, stop: Epoch) -> PiecewisePolynomial:
        """Return the reading minus UTC, s, over a span (and up to `STEP` before and after it).

        Pieces last `STEP`, or less where a jump lies between two steps.

        Raises
        ------
        ConfigurationError
            For a noisy clock before its epoch.
        """
        begin = float(start.since(self.epoch))
        length = float(stop.since(start))
        if self.steady:
            line = np.array([[self.offset + self.rate * begin, self.rate]])
            return PiecewisePolynomial(start, length, line)
        # pieces are as long as jumps inside allow: each lies between two of them
        near = (self._milliseconds(jump) for jump in self.jumps)
        inside = [ms for ms in near if abs(ms / 1e3 - begin - 0.5 * length) < 0.5 * length + STEP]
        milliseconds = math.gcd(round(1e3 * STEP), *inside)
        each = milliseconds / 1e3
        first = int(np.floor(begin / each))
        last = int(np.ceil((begin + length) / each))
        if first < 0 and (self.white or self.flicker):
            raise ConfigurationError(
                f"the clock's noise begins at {self.epoch.iso(3)}, after {start.iso(3)} UTC.",
                next_step="Give the clock an epoch before the first scan.",
            )
        number = np.arange(first, last + 1)
        reading = self.offset + self.rate * each * number
        slope = np.full(len(number), self.rate)
        if self.white or self.flicker:
            step = number * milliseconds // round(1e3 * STEP)  # exact: whole numbers
            noise = self.noise(int(step[-1]) + 2)
            frequency = np.diff(noise) / STEP
            reading = reading + noise[step] + frequency[step] * (number * each - step * STEP)
            slope = slope + frequency[step]
        for jump in self.jumps:
            after = number * milliseconds >= self._milliseconds(jump)
            reading = reading + np.where(after, jump.size, 0.0)
        rows = np.stack([reading, slope], axis=1)[:-1]
        return PiecewisePolynomial(self.epoch.shifted(first * each), each, rows)

    def noise(self, count: int) -> Floats:
        """Return the noise of the reading at steps 0 .. count - 1, s.

        White frequency noise is independent in each step. Flicker noise is white
        noise under the filter (1 - z)^(-1/2) (Kasdin 1995, Proc. IEEE 83, 802, eq.
        104), of variance pi sigma^2 / (2 ln 2) for a floor sigma of the Allan
        deviation (h_-1 = sigma^2 / (2 ln 2), S_y = h_-1 / f).
        """
        # a power of two, so that scans of one session mostly ask for the same transform
        length = 1 << max(10, int(np.ceil(np.log2(max(count, 2)))))
        rng = np.random.default_rng([*self.seed, 1])
        frequency = self.white / np.sqrt(STEP) * rng.standard_normal(length)
        if self.flicker:
            rng = np.random.default_rng([*self.seed, 2])
            sigma = self.flicker * np.sqrt(np.pi / (2.0 * np.log(2.0)))
            k = np.arange(1, length)
            taps = np.concatenate([[1.0], np.cumprod((k - 0.5) / k)])
            taps[1:] = (1.0 - _BEFORE) * taps[1:] + _BEFORE * taps[:-1]
            taps[0] *= 1.0 - _BEFORE
            drawn = sigma * rng.standard_normal(length)
            frequency = frequency + scipy.signal.fftconvolve(drawn, taps)[:length]
        return np.concatenate([[0.0], np.cumsum(frequency[: count - 1]) * STEP])


def allan_deviation(reading: Floats, step: float, factor: int) -> float:
    """Return the overlapping Allan deviation at ``factor * step`` seconds.

    Parameters
    ----------
    reading : ndarray, shape (n,)
        Clock minus truth, s, at equal steps.
    step : float
        s.
    factor : int
        Steps of the averaging time; at most (n - 1) / 2.

    Examples
    --------
    >>> allan_deviation(np.array([0.0, 0.0, 1.0]), 1.0, 1)
    0.7071067811865476
    """
    second = reading[2 * factor :] - 2.0 * reading[factor:-factor] + reading[: -2 * factor]
    return float(np.sqrt(0.5 * np.mean(second**2)) / (factor * step))
