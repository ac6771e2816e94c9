"""What a receiver does to a channel: its bandpass, as a filter of the samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.recordings.types import Channel
from kitestring.simulate._kernels import BLOCK
from kitestring.simulate.types import Bandpass

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

HALF = BLOCK // 2  # samples that the filter reaches to either side
_POINTS = 2 * BLOCK
_FASTEST = 64  # ripples a bandwidth: their echoes lie inside the filter


def response(bandpass: Bandpass, channel: Channel, sky_frequency: Floats) -> NDArray[np.complex128]:
    """Return gain and phase at sky frequencies, shape (n,); zero outside the channel.

    The mean square over the band is 1.

    Raises
    ------
    ConfigurationError
        For ripples that are too narrow for the filter.

    Examples
    --------
    >>> channel = Channel("A", 8.4e9, 1, 8e6)
    >>> found = response(Bandpass(slope=6.0), channel, np.array([8.4e9, 8.404e9]))
    >>> round(float(20 * np.log10(abs(found[1] / found[0]))), 3)
    6.0
    """
    width = channel.bandwidth
    for period in (bandpass.ripple_period, bandpass.phase_period):
        if period * _FASTEST < width:
            raise ConfigurationError(
                f"a ripple of {period:g} Hz is too narrow for a channel of {width:g} Hz.",
                next_step=f"Give a period of {width / _FASTEST:g} Hz or more.",
            )
    middle = 0.5 * sum(channel.sky_edges)

    def shape(x: Floats) -> Floats:
        decibels = bandpass.slope * x / width
        decibels = decibels + bandpass.ripple * np.cos(2.0 * np.pi * x / bandpass.ripple_period)
        from_edge = np.clip(0.5 - np.abs(x) / width, 0.0, None)
        fall = np.ones_like(x)
        if bandpass.edge:
            part = np.clip(from_edge / bandpass.edge, 0.0, 1.0)
            fall = np.sin(0.5 * np.pi * part)
        return np.asarray(fall * 10.0 ** (decibels / 20.0))

    grid = ((np.arange(4096) + 0.5) / 4096 - 0.5) * width
    scale = 1.0 / np.sqrt(np.mean(shape(grid) ** 2))
    x = np.asarray(sky_frequency, dtype=np.float64) - middle
    phase = bandpass.phase_ripple * np.sin(2.0 * np.pi * x / bandpass.phase_period)
    inside = np.abs(x) <= 0.5 * width
    return np.asarray(np.where(inside, scale * shape(x), 0.0) * np.exp(1j * phase))


@lru_cache(maxsize=64)
def filter_taps(bandpass: Bandpass, channel: Channel) -> NDArray[np.generic]:
    """Return the filter that a bandpass is of a channel's samples, as of `taps_of`."""
    return taps_of(channel, lambda sky: response(bandpass, channel, sky))


def taps_of(
    channel: Channel, at: Callable[[Floats], NDArray[np.complex128]]
) -> NDArray[np.generic]:
    """Return a filter of a channel's samples, shape (2 HALF + 1,): float32 or complex64.

    `at` gives its gain and phase at sky frequencies (ascending or not), shape (n,).
    """
    rate, count = channel.sample_rate, _POINTS
    baseband = scipy.fft.fftfreq(count, 1.0 / rate)
    if not channel.complex:
        baseband = scipy.fft.rfftfreq(count, 1.0 / rate)
    elif channel.zero == "edge":  # 0 .. rate: the upper half wraps
        baseband = np.where(baseband < 0.0, baseband + rate, baseband)
    # a hair inside, so that both edges belong to the band
    low, high = channel.sky_edges
    sky = np.clip(channel.sky_frequency + channel.direction * baseband, low, high)
    values = at(sky)
    if channel.direction < 0:  # samples of descending bands are the conjugates
        values = values.conj()
    if channel.complex:
        taps = scipy.fft.ifft(values)
    else:
        values[[0, -1]] = np.abs(values[[0, -1]])
        taps = scipy.fft.irfft(values, count)
    taps = np.roll(taps, HALF)[: 2 * HALF + 1]
    # what the ends leave out would ring at the band's edges
    taps = taps * scipy.signal.windows.tukey(2 * HALF + 1, 0.25)
    return np.asarray(taps, dtype=np.complex64 if channel.complex else np.float32)


def through_bandpass(bandpass: Bandpass, channel: Channel, samples: Singles) -> Singles:
    """Return samples behind the filter: without one block at either end.

    Parameters
    ----------
    samples : ndarray, shape (n,) or (2 n,)
        Real, or real and imaginary in turn; at least three blocks.
    """
    taps = filter_taps(bandpass, channel)
    values = samples.view(np.complex64) if channel.complex else samples
    made = scipy.signal.oaconvolve(values, taps, mode="valid")
    kept = made[BLOCK - HALF : len(made) - (BLOCK - HALF)]
    return np.ascontiguousarray(kept, dtype=taps.dtype).view(np.float32)
