"""Bandwidth synthesis: one delay from phases at several frequencies, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError

Floats = NDArray[np.float64]

_ALIKE = 0.95  # of the full sum: two delays that phases hardly tell apart
_TRIALS = 200_000


@dataclass(frozen=True)
class ResolvedDelay:
    """A delay with its integers chosen.

    Attributes
    ----------
    delay : float
        The phases are constant + 2 pi f delay, s.
    sigma : float
        Its standard deviation, given the integers, s.
    phase : float
        The constant at the weighted mean frequency, rad.
    ambiguity : float
        Spacing of delays that these frequencies hardly tell apart, s.
    probability : float
        That the integers are right, given the prior.
    """

    delay: float
    sigma: float
    phase: float
    ambiguity: float
    probability: float


def resolve_delay(
    frequency: Floats,
    phase: Floats,
    sigma: Floats,
    prior: float = 0.0,
    prior_sigma: float = 50e-9,
) -> ResolvedDelay:
    """Find the delay of phases that are known modulo 2 pi.

    Parameters
    ----------
    frequency : ndarray, shape (n,)
        Sky frequencies, Hz; two or more different ones.
    phase, sigma : ndarray, shape (n,)
        Phases and their standard deviations, rad. They share an unknown constant.
    prior, prior_sigma : float
        What is known of the delay beforehand, s. The search spans 5 sigma.

    Returns
    -------
    ResolvedDelay
        The probability is the chosen peak's share of the posterior over all
        peaks in the search.

    Raises
    ------
    ConfigurationError
        With fewer than two different frequencies, or a search of too many steps.
    """
    weight = sigma**-2.0
    f = frequency - np.average(frequency, weights=weight)
    span = float(np.ptp(f))
    if span <= 0:
        raise ConfigurationError(
            "phases at a single frequency hold no group delay.",
            next_step="Record tones or channels at two or more frequencies.",
        )
    step = 1.0 / (16.0 * span)
    half = int(np.ceil(max(5.0 * prior_sigma, 2.0 / span) / step))
    if half > _TRIALS:
        raise ConfigurationError(
            f"a delay known to {prior_sigma:.1e} s only cannot be searched over {span:g} Hz.",
            next_step="State a smaller uncertainty of the delay.",
        )
    trial = prior + step * np.arange(-half, half + 1)
    coherent = np.exp(1j * (phase - 2.0 * np.pi * np.multiply.outer(trial, f))) @ weight
    power = np.abs(coherent)
    peaks = np.flatnonzero((power[1:-1] >= power[:-2]) & (power[1:-1] >= power[2:])) + 1
    variance = 1.0 / (4.0 * np.pi**2 * np.sum(weight * f**2))
    best, scores = (-np.inf, 0.0, 0.0), []
    for peak in peaks:
        # phases turned to the peak have no wraps left: a weighted line
        rest = np.angle(
            np.exp(1j * (phase - 2.0 * np.pi * trial[peak] * f)) * np.conj(coherent[peak])
        )
        constant = float(np.average(rest, weights=weight))
        shift = float(np.sum(weight * rest * f) * 2.0 * np.pi * variance)
        chi_square = np.sum(weight * (rest - constant - 2.0 * np.pi * f * shift) ** 2)
        delay = trial[peak] + shift
        score = -0.5 * (chi_square + ((delay - prior) / prior_sigma) ** 2)
        scores.append(score)
        if score > best[0]:
            best = (score, delay, constant + float(np.angle(coherent[peak])))
    if not scores:
        raise ConfigurationError(
            "no delay in the search window fits the phases.",
            next_step="State a larger uncertainty of the delay.",
        )
    share = np.exp(np.array(scores) - best[0])
    return ResolvedDelay(
        delay=float(best[1]),
        sigma=float(np.sqrt(variance)),
        phase=float(np.angle(np.exp(1j * best[2]))),
        ambiguity=delay_ambiguity(frequency, weight),
        probability=float(1.0 / share.sum()),
    )


def delay_ambiguity(frequency: Floats, weight: Floats | None = None) -> float:
    """Return the smallest delay that moves all phases by nearly whole turns, s.

    Infinite where there is none within 100 turns of the closest pair.

    Examples
    --------
    >>> round(delay_ambiguity(np.array([0.0, 3.8e6, 19e6])) * 1e9, 2)
    263.16
    """
    w = np.ones(len(frequency)) if weight is None else weight
    w = w / w.sum()
    distinct = np.unique(frequency)
    span = float(np.ptp(distinct))
    nearest = float(np.min(np.diff(distinct)))
    step = 1.0 / (32.0 * span)
    count = min(int(100.0 / nearest / step), _TRIALS)
    lag = step * np.arange(1, count)
    alike = np.abs(np.exp(2j * np.pi * np.multiply.outer(lag, frequency - frequency[0])) @ w)
    beyond = int(np.argmax(alike < _ALIKE))  # past the peak at zero
    hits = np.flatnonzero(alike[beyond:] > _ALIKE)
    if len(hits) == 0 or alike[beyond] >= _ALIKE:
        return float("inf")
    first = beyond + int(hits[0])
    stop = first + int(np.argmax(np.append(alike[first:] <= _ALIKE, True)))
    return float(lag[first + int(np.argmax(alike[first:stop]))])
