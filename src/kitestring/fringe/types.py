"""Fringes: delays, rates and phases with their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FringeSolution:
    """Fringe of one baseline in one scan.

    Attributes
    ----------
    scan, source : str
        Names.
    baseline : (str, str)
        Stations 1 and 2; delay is arrival at 2 minus arrival at 1.
    epoch : Epoch, shape ()
        UTC of the wavefront at the geocentre that everything refers to: a
        whole second.
    residual_delay, delay : float
        Single-band delay, s: what is left after the applied model, and the
        sum of both (clocks included).
    delay_sigma : float
        Thermal standard deviation of either, s.
    residual_rate, rate : float
        Delay rate, s/s: residual and total.
    rate_sigma : float
        Thermal standard deviation of either, s/s.
    channels : tuple of str
        Names of the bands; a polarisation product beyond the first adds its
        letters.
    frequency : ndarray, shape (channel,)
        Sky frequency that the phases belong to, Hz: where they are
        uncorrelated with the delay.
    band : ndarray, shape (channel, 2)
        Lowest and highest sky frequency used, Hz.
    phase : ndarray, shape (channel,)
        Residual phase at `epoch` and `frequency`, rad, within +-pi:
        2 pi f (residual delay) + difference of local-oscillator phases.
    phase_sigma : ndarray, shape (channel,)
        Thermal standard deviation of phase, rad (without the error that the
        rate adds alike to all channels where `epoch` is off the middle).
    amplitude : ndarray, shape (channel,)
        Correlation coefficient.
    snr : float
        Coherent sum of all channels over its one-component noise.
    ambiguity : float
        Spacing of the delays that the data cannot tell apart, s.
    probability : float
        That the chosen peak is not one of noise.
    """

    scan: str
    source: str
    baseline: tuple[str, str]
    epoch: Epoch
    residual_delay: float
    delay: float
    delay_sigma: float
    residual_rate: float
    rate: float
    rate_sigma: float
    channels: tuple[str, ...]
    frequency: Floats
    band: Floats
    phase: Floats
    phase_sigma: Floats
    amplitude: Floats
    snr: float
    ambiguity: float
    probability: float


@dataclass(frozen=True)
class FringeMap:
    """Signal of one baseline over trial delays and rates.

    Attributes
    ----------
    scan : str
        Name.
    baseline : (str, str)
        Stations 1 and 2.
    delay : ndarray, shape (m,)
        Trial residual delays, ascending, s.
    rate : ndarray, shape (n,)
        Trial residual rates, ascending, s/s.
    snr : ndarray, shape (n, m)
        Root of the channels' summed power over the one-component noise; noise
        alone lies at the root of 2 x bands.
    bands : int
        Number of channels and products that were summed.
    """

    scan: str
    baseline: tuple[str, str]
    delay: Floats
    rate: Floats
    snr: Floats
    bands: int


@dataclass(frozen=True)
class ToneSolution:
    """Tone phases of one spacecraft scan at one epoch, by station.

    Attributes
    ----------
    scan, source : str
        Names.
    epoch : Epoch, shape ()
        UTC of the wavefront at the geocentre: a whole second.
    duration : float
        Length of the scan, s.
    stations, tones : tuple of str
        Axes of the arrays.
    frequency : ndarray, shape (tone,)
        Sky frequency received at the geocentre, Hz.
    phase : ndarray, shape (station, tone)
        Residual phase, rad (sign: see `kitestring.tones.types.TonePhases`).
        Only differences between stations mean something. NaN where missing.
    phase_sigma : ndarray, shape (station, tone)
        Thermal standard deviation, independent between stations and tones.
    rate, rate_sigma : ndarray, shape (station, tone)
        Slope of phase, rad/s, and its standard deviation.
    channels : tuple of tuple of str, shape (station, tone)
        Where each was recorded.
    model : DelayModel
        The delays and clocks that were removed.
    """

    scan: str
    source: str
    epoch: Epoch
    duration: float
    stations: tuple[str, ...]
    tones: tuple[str, ...]
    frequency: Floats
    phase: Floats
    phase_sigma: Floats
    rate: Floats
    rate_sigma: Floats
    channels: tuple[tuple[str, ...], ...]
    model: DelayModel

    def baseline(self, first: str, second: str) -> tuple[Floats, Floats]:
        """Return differenced phase and its sigma for each tone, rad.

        The phase is that of station 1 minus that of station 2: +2 pi f x
        residual delay + difference of local-oscillator phases.
        """
        i, j = self.stations.index(first), self.stations.index(second)
        sigma = np.hypot(self.phase_sigma[i], self.phase_sigma[j])
        return self.phase[i] - self.phase[j], sigma
