"""Visibilities: what correlation hands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

Quantisation = Literal["off", "gain", "van-vleck"]
"""What is done about quantisation with one or two bits; see `kitestring.correlate.quantisation`."""


@dataclass(frozen=True)
class ChannelVisibilities:
    """Visibilities of one channel (spectral window).

    Attributes
    ----------
    name : str
        Channel name.
    frequency : ndarray, shape (bin,)
        Ascending sky frequency of the bin centres, Hz.
    products : tuple of str
        Polarisation products such as ``"XX"``; first letter station 1.
    data : ndarray of complex64, shape (time, baseline, bin, product)
        Mean of X1 conj(X2) over the valid samples, so that its phase is
        +2 pi f (residual delay). A bin of an autocorrelation is the power in
        that bin; the sum over bins is the mean power of the samples.
    weight : ndarray, shape (time, baseline, product)
        Fraction of samples valid at both stations, 0 to 1: polarisations are
        lost one by one. 0 for a product that a baseline lacks.
    efficiency : ndarray, shape (time, baseline, product), or float
        By how much the signal-to-noise ratio of a weak correlation is less than its amplitude
        over the powers of both stations would have it: 0.88 where both sample with two
        bits and that is corrected for, 1 where it is not and the amplitude is less, too.
    """

    name: str
    frequency: Floats
    products: tuple[str, ...]
    data: NDArray[np.complex64]
    weight: Floats
    efficiency: Floats | float = 1.0


@dataclass(frozen=True)
class Visibilities:
    """Visibilities of one scan, with the delay model that was applied.

    Attributes
    ----------
    scan, source : str
        Names.
    baselines : tuple of (str, str)
        Station pairs; (s, s) is an autocorrelation.
    epoch : Epoch, shape (time,)
        Middle of each integration: UTC of the wavefront at the geocentre.
    integration : ndarray, shape (time,)
        Length of each integration, s.
    channels : tuple of ChannelVisibilities
        One for each channel that at least one baseline has.
    model : DelayModel
        The delays and clocks that were removed.
    quantisation : {"off", "gain", "van-vleck"}
        What was done about quantisation with one or two bits. Stations with these then
        have unit power, and others the power of their samples.
    """

    scan: str
    source: str
    baselines: tuple[tuple[str, str], ...]
    epoch: Epoch
    integration: Floats
    channels: tuple[ChannelVisibilities, ...]
    model: DelayModel
    quantisation: Quantisation = "off"
