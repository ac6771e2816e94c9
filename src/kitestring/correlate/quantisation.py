"""What sampling with one or two bits does to correlations, and how it is undone.

A sampler is known by how often each of its states occurred: of Gaussian noise the fractions
of states give the thresholds in units of the noise's rms, an offset of the sampler
included. With levels L and thresholds t, D the steps between levels and phi the density of
the standard normal distribution:

- the **gain** is E[x Q(x)] = sum D phi(t) for noise x of unit variance (Bussgang), so that
  noise of a weak correlation rho gives products of mean g1 g2 rho;
- products of two samplers have the mean h(rho), of which Price's theorem says
  dh/drho = sum D1 D2 phi2(t1, t2; rho), phi2 the density of the bivariate normal
  distribution. It is integrated over arcsin rho, where it is smooth to both ends.

The correction ``"gain"`` divides cross products by both gains, and autocorrelations by the
variance of the samples. ``"van-vleck"`` inverts h at each lag, on finished integrations:

- within a station lags are whole samples and phases stand still. Of real samples h is
  inverted; real and imaginary parts of complex samples are sampled apart, and so are those
  of their lag function;
- between stations fringes turn many times within an integration before they are
  stopped, and the fraction of a sample in the delay goes through all values. Of h(rho cos
  phi) the first harmonic H(rho) = 2 <h(rho cos phi) cos phi> is then left, at each lag that
  lies between those sampled, and of that what falls into the band. Stations whose fringe
  does not turn come out with h taken for H.

Both take the noise for Gaussian, and the samplers of both parts of complex samples for alike.
Segments are finite: where bands have power at their very edges, it leaks round them, and a
few bins' share of the correction is left (2 % of it with 128 bins).

References: Thompson, Moran & Swenson, Interferometry and Synthesis in Radio Astronomy, 3rd
ed., sections 8.2 and 8.3; Benkevitch et al. 2016 (arXiv:1608.04367) for thresholds and levels
of any kind and for complex samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate.channels import SAME_FREQUENCY, Band
from kitestring.correlate.types import Quantisation
from kitestring.errors import ConfigurationError
from kitestring.recordings.types import Recording

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

COUNTED_BITS = (1, 2)
"""Bits of a real or imaginary part whose states are counted; more are taken as they are."""
_LEAST = 1e-16  # probability of a state: thresholds stay within 8.3 sigma
_ANGLES = 257
_AMPLITUDES = 129
_TURNS = 48
_PADDED = 4  # lags to a bin: products of five lag functions do not fold into the band
_SETTLED = 1e-7
_ROUNDS = 100
_DAMPED = 0.6  # what one bit leaves of full correlation has more than twice the slope


def check_quantisation(
    recordings: Sequence[Recording], bands: Sequence[Band], quantisation: Quantisation
) -> None:
    """See that a correction of quantisation can be made.

    Raises
    ------
    ConfigurationError
        Where there is no such correction, or the lags of a whole channel are needed and only
        a part of it is correlated.
    """
    known = get_args(Quantisation)
    if quantisation not in known:
        raise ConfigurationError(
            f"quantisation={quantisation!r} is not known.",
            next_step=f"Use {', '.join(repr(k) for k in known)}.",
        )
    if quantisation != "van-vleck":
        return
    for band in bands:
        for item in band.inputs:
            recording = recordings[item.station]
            channel = recording.channels[item.channel]
            if recording.bits not in COUNTED_BITS:
                continue
            if abs(channel.bandwidth - band.bandwidth) > SAME_FREQUENCY:
                raise ConfigurationError(
                    f"{recording.station} {channel.name} is {channel.bandwidth / 1e6:g} MHz wide, "
                    f"of which {band.name} is {band.bandwidth / 1e6:g} MHz: the correction of van "
                    "Vleck needs the lags of the whole channel.",
                    next_step='Use quantisation="gain".',
                )


@dataclass(frozen=True)
class Sampler:
    """What quantised the samples of a channel.

    Attributes
    ----------
    levels : ndarray, shape (state,)
        Values of the states, ascending.
    fractions : ndarray, shape (state,)
        How often each occurred.

    Examples
    --------
    Two bits with thresholds at 0.9816 sigma lose 1 - 0.8825 of the signal-to-noise ratio:

    >>> sampler = Sampler(np.array([-3.3359, -1, 1, 3.3359]),
    ...                   np.array([0.16315, 0.33685, 0.33685, 0.16315]))
    >>> round(float(sampler.gain**2 / sampler.variance), 4)
    0.8825
    """

    levels: Floats
    fractions: Floats

    @cached_property
    def thresholds(self) -> Floats:
        """Where states meet, in rms of the noise from its mean, shape (state - 1,)."""
        normal = NormalDist()
        below = accumulate(self.fractions.tolist()[:-1])
        return np.array([normal.inv_cdf(min(max(p, _LEAST), 1.0 - _LEAST)) for p in below])

    @property
    def steps(self) -> Floats:
        """Steps from level to level, shape (state - 1,)."""
        return np.asarray(np.diff(self.levels))

    # a few numbers each, thousands of times: plain floats are quicker than arrays

    @cached_property
    def mean(self) -> float:
        """Mean of the samples: what an offset of the sampler makes."""
        held = zip(self.fractions.tolist(), self.levels.tolist(), strict=True)
        return float(sum(f * x for f, x in held))

    @cached_property
    def variance(self) -> float:
        """Variance of the samples."""
        held = zip(self.fractions.tolist(), self.levels.tolist(), strict=True)
        return float(sum(f * (x - self.mean) ** 2 for f, x in held))

    @cached_property
    def gain(self) -> float:
        """E[x Q(x)] for noise x of unit variance."""
        held = zip(pairwise(self.levels.tolist()), self.thresholds.tolist(), strict=True)
        total = sum((above - below) * math.exp(-0.5 * t * t) for (below, above), t in held)
        return float(total) / math.sqrt(2.0 * math.pi)


def make_sampler(counts: Mapping[float, int]) -> Sampler | None:
    """Return the sampler of samples counted by their values; None where all are the same."""
    held = sorted((level, count) for level, count in counts.items() if count)
    if len(held) < 2:
        return None
    levels, numbers = (np.array(x, dtype=np.float64) for x in zip(*held, strict=True))
    return Sampler(levels, numbers / numbers.sum())


class Response:
    """The mean product of two samplers over both gains, as a function of the correlation.

    Near zero it is the correlation itself.

    Examples
    --------
    One bit gives the arcsine law:

    >>> one = Sampler(np.array([-1.0, 1.0]), np.array([0.5, 0.5]))
    >>> found = Response(one, one)
    >>> round(float(found(np.array([0.6]))[0] / np.arcsin(0.6)), 9)
    1.0
    >>> round(float(found.undone(np.arcsin(np.array([0.6])))[0]), 9)
    0.6
    """

    def __init__(self, one: Sampler, two: Sampler) -> None:
        from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

        angle = np.linspace(-0.5 * np.pi, 0.5 * np.pi, _ANGLES)
        nodes, weights = _gauss(4)
        half = 0.5 * (angle[1] - angle[0])
        within = angle[:-1, np.newaxis] + half * (1.0 + nodes)
        pieces = half * _slope(one, two, within) @ weights
        value = np.concatenate([[0.0], np.cumsum(pieces)])
        value -= value[_ANGLES // 2]  # no product of what is not correlated
        self._value = CubicHermiteSpline(angle, value, _slope(one, two, angle))
        # the curve of unlike samplers is flat at its ends: to rounding it rises no more
        rising = np.concatenate([[True], value[1:] > np.maximum.accumulate(value[:-1])])
        self._angle = PchipInterpolator(value[rising], angle[rising])
        self._ends = value[rising][[0, -1]]

    def __call__(self, correlation: Floats) -> Floats:
        """Return the mean product over both gains."""
        return np.asarray(self._value(np.arcsin(np.clip(correlation, -1.0, 1.0))))

    def undone(self, product: Floats) -> Floats:
        """Return the correlation that gives a mean product over both gains."""
        return np.asarray(np.sin(self._angle(np.clip(product, *self._ends))))

    @cached_property
    def _excess(self) -> CubicSpline:
        from scipy.interpolate import CubicSpline

        nodes, weights = _gauss(_TURNS)
        phase = 0.5 * np.pi * (1.0 + nodes)  # by symmetry half a turn will do
        amplitude = np.linspace(0.0, 1.0, _AMPLITUDES)
        products = self(amplitude[1:, np.newaxis] * np.cos(phase))
        harmonic = products @ (weights * np.cos(phase))
        return CubicSpline(amplitude, [0.0, *(harmonic / amplitude[1:] - 1.0)])

    def excess(self, amplitude: Floats) -> Floats:
        """Return how much more is left of an amplitude whose phase turns, as its fraction.

        That is H(rho) / rho - 1; beyond 1 that of 1.
        """
        return np.asarray(self._excess(np.minimum(amplitude, 1.0)))


@cache
def _gauss(order: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss and Legendre's quadrature from -1 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return np.asarray(nodes), np.asarray(weights)


def _slope(one: Sampler, two: Sampler, angle: Floats) -> Floats:
    """Return the derivative of `Response` with respect to the arcsine of the correlation."""
    sine, square = np.sin(angle), np.maximum(np.cos(angle) ** 2, 1e-300)
    total = np.zeros(angle.shape)
    for a, s in zip(one.steps, one.thresholds, strict=True):
        for b, t in zip(two.steps, two.thresholds, strict=True):
            # s^2 - 2 s t sin + t^2 over 2 cos^2, without the difference of large numbers
            up = (s - t) ** 2 / (2.0 * square) + s * t / (1.0 + np.maximum(sine, 0.0))
            down = (s + t) ** 2 / (2.0 * square) - s * t / (1.0 - np.minimum(sine, 0.0))
            total += a * b * np.exp(-np.where(sine >= 0, up, down))
    return np.asarray(total / (2.0 * np.pi * one.gain * two.gain))


def undo_own(
    spectrum: Complexes, first: float, samples: int, one: Sampler, two: Sampler, *, complex_: bool
) -> Complexes:
    """Undo quantisation in a product of one station: lags of whole samples, phases at rest.

    Parameters
    ----------
    spectrum : ndarray, shape (bin,)
        Products in the units of the samples: the sum over bins is the mean product.
    first : float
        Frequency of bin 0 above the channel's zero, in bins.
    samples : int
        Samples in a segment.
    one, two : Sampler
        The same object twice for an autocorrelation.
    complex_ : bool
        Whether samples are complex.

    Returns
    -------
    ndarray, shape (bin,)
        Of noise of unit power without the sampler's offset.
    """
    parts = 2 if complex_ else 1
    at = first + np.arange(len(spectrum))
    lag = np.rint(np.fft.fftfreq(samples) * samples)
    turn = np.exp(2j * np.pi * first * lag / samples)
    if complex_:
        lags = _to_lags(spectrum, samples) * turn
    else:
        # of real samples zero and the highest frequency stand once in the sum over all
        # frequencies, others twice
        zero, top = np.abs(at) < 1e-6, np.abs(np.abs(at) - samples / 2) < 1e-6
        held = np.where(zero | top, 0.5, 1.0) * spectrum
        lags = np.real(_to_lags(held, samples) * turn)
        if one is two:  # what the bins lack of the mean power is in the one that is not there
            lacking = max(0.0, one.variance + one.mean**2 - lags[0])
            lags = lags + lacking * (np.where(lag % 2, -1.0, 1.0) if zero.any() else 1.0)
    lags = lags - parts * one.mean * two.mean
    if one is two:  # counted samples and those of the segments differ by a few
        lags = lags * (parts * one.variance / lags[0].real)
    response, shared = Response(one, two), _shared(samples)
    product = lags / (parts * one.gain * two.gain * shared)
    found = response.undone(product.real).astype(np.complex128)
    if complex_:
        found += 1j * response.undone(product.imag)
    if one is two:
        found[0] = 1.0
    found *= shared
    gain = (1.0 if complex_ else 2.0) / samples
    return np.asarray(gain * np.fft.fft(found / turn)[: len(spectrum)])


def undo_turning(spectrum: Complexes, response: Response) -> Complexes:
    """Undo quantisation in a product of two stations, the phase of which turns.

    Parameters
    ----------
    spectrum : ndarray, shape (bin,)
        Products over both gains.
    response : Response
        Of both samplers.

    Returns
    -------
    ndarray, shape (bin,)
        The spectrum whose lag function, with its amplitude changed by the first harmonic at
        each lag, has what was given within the band.
    """
    found = spectrum
    lags = _PADDED * len(spectrum)
    shared = _shared(lags)
    for _ in range(_ROUNDS):
        held = _to_lags(found, lags)
        made = np.fft.fft(held * response.excess(np.abs(held) / shared))[: len(spectrum)] / lags
        change = _DAMPED * (spectrum - made - found)
        found = found + change
        if np.sum(np.abs(change)) < _SETTLED:
            break
    return found


def _to_lags(spectrum: Complexes, lags: int) -> Complexes:
    """Return the sums over bins k of spectrum exp(2 pi i k n / lags)."""
    return np.asarray(np.fft.ifft(spectrum, lags) * lags)


def _shared(lags: int) -> Floats:
    """Return which part of a segment's samples have a partner at each of `lags` lags.

    The rest have one at the lag a segment away, where noise that fills more than a few
    bins is correlated no more. Beyond a quarter of the segment what is left of it is small
    enough for the correction not to matter, while that of a line is the same at all lags.
    """
    away = np.abs(np.fft.fftfreq(lags))
    return np.where(away < 0.25, 1.0 - away, 1.0)
