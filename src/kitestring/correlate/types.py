"""Visibilities: what correlation hands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]


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
    """

    name: str
    frequency: Floats
    products: tuple[str, ...]
    data: NDArray[np.complex64]
    weight: Floats


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
    """

    scan: str
    source: str
    baselines: tuple[tuple[str, str], ...]
    epoch: Epoch
    integration: Floats
    channels: tuple[ChannelVisibilities, ...]
    model: DelayModel
