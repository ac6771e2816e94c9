"""What plasma does within a channel: its delay is that of no one frequency.

A phase of frequency f is ahead by K / f cycles. About the band's middle fm, x = f - fm,
that is K / fm - x K / fm^2 + K x^2 / (f fm^2): a phase, a delay, and the curvature that
is left. The first two act on the wave's place and phase; the last one is a filter.
"""

from __future__ import annotations

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.recordings.types import Channel
from kitestring.simulate.receiver import HALF, taps_of
from kitestring.simulate.types import SimulatedStation

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_FLAT = 1e-5  # cycles: 0.004 degree at the band's edges is left out


def curvature(channel: Channel, content: float, sky_frequency: Floats | float) -> Floats:
    """Return what the phase of frequencies is ahead of that of the band's middle, cycles.

    Phase and delay of the middle are taken out.

    Parameters
    ----------
    channel : Channel
        Has the band.
    content : float
        K, s Hz^2: groups of frequency f are K / f^2 late.
    sky_frequency : float or ndarray, shape (n,)
        Hz.

    Examples
    --------
    >>> channel = Channel("A", 398e6, 1, 8e6)
    >>> f"{float(curvature(channel, 6.7e10, 402e6)):.5f}"
    '0.00417'
    """
    middle = 0.5 * sum(channel.sky_edges)
    f = np.asarray(sky_frequency, dtype=np.float64)
    return np.asarray(content * (f - middle) ** 2 / (f * middle**2))


def is_curved(station: SimulatedStation) -> bool:
    """Tell whether a station's plasma bends the phase of any channel."""
    if station.dispersion is None:
        return False
    most = float(np.max(np.abs(station.dispersion.coefficients[:, 0])))
    return any(
        np.max(np.abs(curvature(c, most, np.array(c.sky_edges)))) > _FLAT for c in station.channels
    )


def edges_ahead(channel: Channel, content: float) -> float:
    """Return the mean of `curvature` at both edges, cycles."""
    return float(np.mean(curvature(channel, content, np.array(channel.sky_edges))))


def bent(channel: Channel, content: float, samples: Singles) -> Singles:
    """Return samples of a wave with the curvature, less `edges_ahead`.

    So the filter leaves the edges as they are, and has no step where the band ends.

    Parameters
    ----------
    channel : Channel
        Whose samples they are.
    content : float
        K, s Hz^2.
    samples : ndarray, shape (n,) or (2 n,)
        Real, or real and imaginary in turn; `HALF` of them at either end come out wrong.

    Returns
    -------
    ndarray
        Of the shape of `samples`.

    Raises
    ------
    ConfigurationError
        Where the band's edges lie further apart in time than a filter can bring them.
    """
    edges = np.array(channel.sky_edges)
    apart = abs(content * float(np.diff(edges**-2.0)[0])) * channel.sample_rate
    if apart > HALF / 2:
        raise ConfigurationError(
            f"plasma brings the edges of channel {channel.name} {apart:.0f} samples apart.",
            next_step="Simulate narrower channels, or less plasma.",
        )
    ahead = edges_ahead(channel, content)
    taps = taps_of(channel, lambda f: np.exp(2j * np.pi * (curvature(channel, content, f) - ahead)))
    values = samples.view(np.complex64) if channel.complex else samples
    made = scipy.signal.oaconvolve(values, taps, mode="same")
    return np.ascontiguousarray(made, dtype=taps.dtype).view(np.float32)
