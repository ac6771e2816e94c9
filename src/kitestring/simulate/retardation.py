"""When a sample was taken: delay and clock over a station's own reading.

A wave that passes the geocentre at t is found where the station's clock reads
r = t + D, D = delay + clock. Delay models give D over t; samples need it over r.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.model.polynomials import StationDelay
from kitestring.model.time import Epoch
from kitestring.simulate.types import SimulatedStation

Floats = NDArray[np.float64]

_ITERATIONS = 8  # each gains the factor of the delay rate: 1e-5 or less


@dataclass(frozen=True)
class Retardation:
    """D = delay + clock as a function of the station's reading r.

    Attributes
    ----------
    reading : ndarray, shape (n,)
        Readings, seconds since the start of the scan.
    value, rate, acceleration : ndarray, shape (n,)
        D of the wave that is found there, s, and its derivatives by reading.
    """

    reading: Floats
    value: Floats
    rate: Floats
    acceleration: Floats

    def earlier(self, seconds: float) -> Retardation:
        """Return it at readings that are this much earlier."""
        return Retardation(
            self.reading - seconds,
            self.value - seconds * (self.rate - 0.5 * seconds * self.acceleration),
            self.rate - seconds * self.acceleration,
            self.acceleration,
        )

    def later(self, more: Retardation) -> Retardation:
        """Return it with further delays, given over arrival at the geocentre.

        D(r) = d(r - D) + more(r - D) is solved to first order in the rate of d: what is
        left out is below rate x `more` squared.
        """
        one = 1.0 - self.rate
        return Retardation(
            self.reading,
            self.value + more.value * one,
            self.rate + more.rate * one,
            self.acceleration + more.acceleration,
        )


def dispersion(
    station: SimulatedStation, start: Epoch, when: Retardation, frequency: float, *, group: bool
) -> Retardation:
    """Return what plasma adds to arrivals at a frequency, for `Retardation.later`."""
    plasma = station.dispersion
    assert plasma is not None
    label = float(start.since(plasma.start)) + when.reading - when.value
    label = np.clip(label, 0.0, plasma.interval * len(plasma.coefficients))
    size = (1.0 if group else -1.0) / frequency**2
    one = 1.0 - when.rate
    return Retardation(
        when.reading,
        size * plasma.at_offset(label),
        size * plasma.at_offset(label, 1) * one,
        size * plasma.at_offset(label, 2) * one**2,
    )


def retardation(
    station: StationDelay, start: Epoch, duration: float, reading: Floats
) -> Retardation:
    """Return D at readings (seconds since `start`).

    Readings outside the scan, which the last block may have, are reached by
    continuing the quadratic, so that the polynomials need not go beyond it.

    Raises
    ------
    SpanError
        Where the polynomials do not cover the scan.
    """
    inside = np.clip(reading, 0.0, duration)
    offsets = float(start.since(station.delay.start)), float(start.since(station.clock.start))

    def total(label: Floats, derivative: int) -> Floats:
        delay = station.delay.at_offset(offsets[0] + label, derivative)
        return delay + station.clock.at_offset(offsets[1] + label, derivative)

    value = np.zeros_like(inside)
    for _ in range(_ITERATIONS):
        before = value
        value = total(inside - value, 0)
        if np.array_equal(before, value):
            break
    slope = total(inside - value, 1)
    rate = slope / (1.0 + slope)
    acceleration = total(inside - value, 2) / (1.0 + slope) ** 3
    there = Retardation(inside, value, rate, acceleration)
    beyond = reading - inside
    return Retardation(
        reading,
        there.value + beyond * (rate + 0.5 * beyond * acceleration),
        rate + beyond * acceleration,
        acceleration,
    )
