"""What the samples of a recording look like: levels, bandpass, strong lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, rfft
from scipy.ndimage import maximum_filter, median_filter, uniform_filter
from scipy.special import gammainccinv, ndtri

from kitestring.errors import ConfigurationError
from kitestring.recordings.quantise import levels
from kitestring.recordings.types import Recording

Floats = NDArray[np.float64]

STRONG_LINE = -10.0  # dB over the channel's noise: above it 1-2 bits lose correlation
_SCATTER = 0.5  # dB: a line of just so much is told, however its estimate scatters
_STRETCHES = 16  # places of the recording that are looked at
_REACH = 3  # bins of a Hann window that a line fills on either side
_AROUND = 33  # bins whose median is the noise under a line; wider features are no lines
_CHANCE = 1e-9  # that the noise of a channel is taken for a line
_LEAST_SPECTRA = 16  # the mean of fewer scatters as much as a line of -10 dB
_SILENT = 1e-10  # of the channel's power: less beside the zero is rounding


@dataclass(frozen=True)
class Line:
    """A strong narrow line of a channel.

    Attributes
    ----------
    channel : int
        Which channel.
    frequency : float
        Baseband frequency, Hz, to half a bin.
    level : float
        Power over that of the channel's noise before it was quantised, dB. At 1 and 2
        bits good to half a decibel up to 0 dB; a stronger line brings harmonics, which
        are listed too, and comes out too weak.
    """

    channel: int
    frequency: float
    level: float


@dataclass(frozen=True)
class Statistics:
    """What the samples look like, from stretches spread over the recording.

    Attributes
    ----------
    samples : int
        Samples of each channel that were looked at.
    valid : ndarray, shape (channel,)
        Fraction of them that is valid.
    mean, rms : ndarray, shape (channel,)
        Of the decoded real (and imaginary) parts.
    level_fractions : ndarray, shape (channel, 2**bits)
        How often each code occurs; no columns for more than 8 bits.
    frequency : ndarray, shape (bin,)
        Baseband frequencies of `bandpass`, Hz.
    bandpass : ndarray, shape (channel, bin)
        Power a bin over the channel's mean; NaN where nothing is valid, or all is alike.
    lines : tuple of Line
        Lines of -10 dB of their channel's noise and more (half a dB less, since
        they are estimates).
    """

    samples: int
    valid: Floats
    mean: Floats
    rms: Floats
    level_fractions: Floats
    frequency: Floats
    bandpass: Floats
    lines: tuple[Line, ...]

    @property
    def dead(self) -> tuple[int, ...]:
        """Channels whose samples are all alike."""
        return tuple(map(int, np.flatnonzero(_alike(self.mean, np.square(self.rms)))))


def measure(recording: Recording, *, bins: int = 512, samples: int = 1 << 18) -> Statistics:
    """Measure what the samples of a recording look like.

    Parameters
    ----------
    recording : Recording
        One with a known end.
    bins : int
        Points of the bandpass.
    samples : int
        Samples of each channel to read at most.

    Raises
    ------
    ConfigurationError
        Where `bins` or `samples` is not positive.
    """
    if bins < 1 or samples < 1:
        raise ConfigurationError(
            f"bins={bins} and samples={samples} must be positive.", next_step="Use 512 and 262144."
        )
    complex_ = recording.channels[0].complex
    segment = bins if complex_ else 2 * bins
    total = 0
    if recording.stop is not None:
        total = round(float(recording.stop.since(recording.start)) * recording.sample_rate)
    budget = max(min(samples, total), 1)
    stretch = min(max(budget // _STRETCHES // segment, 1) * segment, budget)
    number = min(budget // stretch, _STRETCHES)  # stretches do not overlap
    places = np.unique(np.linspace(0, max(total - stretch, 0), number).astype(np.int64))
    count = len(recording.channels)
    table = _values(recording)
    fractions = np.zeros((count, len(table)))
    sums, power = np.zeros((4, count)), np.zeros((count, bins))
    for place in places:
        block = recording.read(int(place), stretch)
        for c in range(count):
            counted = fractions[c], sums[:, c], power[c]
            _add(block.samples[c], block.valid[c], segment, table, *counted)
    seen = np.where(sums[0] > 0, sums[0], np.nan)
    mean, square = sums[1] / seen, sums[2] / seen
    power[_alike(mean, square)] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        bandpass = power / power.mean(axis=1, keepdims=True)
        fractions /= fractions.sum(axis=1, keepdims=True)
    read = stretch * len(places)
    frequency = np.arange(bins) * recording.sample_rate / segment
    lines: list[Line] = []
    for c in range(count):
        kept = _kept_share(fractions[c], table)
        for k, level in _lines(bandpass[c], int(sums[3, c]), kept, complex_):
            lines.append(Line(c, float(frequency[k]), level))
    return Statistics(
        samples=read,
        valid=sums[0] / (read * (2 if complex_ else 1)),
        mean=mean,
        rms=np.sqrt(square),
        level_fractions=fractions,
        frequency=frequency,
        bandpass=bandpass,
        lines=tuple(lines),
    )


def _alike(mean: Floats, square: Floats) -> NDArray[np.bool_]:
    """Which channels have no spread, by the means of their samples and of their squares."""
    return square - np.square(mean) <= _SILENT * square


def _values(recording: Recording) -> NDArray[np.float32]:
    """Return what each code stands for; nothing for more than 8 bits."""
    own: NDArray[np.float32] | None = getattr(recording, "levels", None)  # not those of samplers
    if own is not None:
        return own
    return levels(recording.bits) if recording.bits <= 8 else np.zeros(0, dtype=np.float32)


def _add(
    samples: NDArray[Any],
    valid: NDArray[np.bool_],
    segment: int,
    table: NDArray[np.float32],
    fractions: Floats,
    sums: Floats,
    power: Floats,
) -> None:
    """Add one channel's stretch to the sums (number, sum, sum of squares, spectra) and spectra."""
    good = samples[valid]
    parts = good.view(np.float32)
    n = len(samples) // segment * segment
    whole = valid[:n].reshape(-1, segment).all(axis=1)  # a gap would spill over the band
    sums += (
        len(parts),
        parts.sum(dtype=np.float64),
        np.square(parts, dtype=np.float64).sum(),
        float(np.count_nonzero(whole)),
    )
    if len(fractions):
        codes = np.searchsorted((table[1:] + table[:-1]) / 2, parts)
        fractions += np.bincount(codes, minlength=len(fractions))
    chosen = samples[:n].reshape(-1, segment)[whole] * np.hanning(segment).astype(np.float32)
    if np.iscomplexobj(samples):
        power += np.square(np.abs(fft(chosen, axis=1))).sum(axis=0)
    else:
        power += np.square(np.abs(rfft(chosen, axis=1)[:, :-1])).sum(axis=0)


def _kept_share(fractions: Floats, table: NDArray[np.float32]) -> float:
    r"""Return what quantisation leaves of a weak line's share of a channel's power.

    Bussgang's theorem: of Gaussian noise x with unit variance the quantiser makes
    ``a x`` and noise that is not correlated with it, where ``a`` is the sum over the
    thresholds t of the step there times the density of x at t. How often each code
    occurs tells the thresholds. 0.8825 for 2 bits whose levels are set best, 2 / pi for 1.
    """
    if not len(table) or not np.all(np.isfinite(fractions)):
        return 1.0
    values = table.astype(np.float64)
    threshold = ndtri(np.minimum(np.cumsum(fractions)[:-1], 1.0))
    slope = np.sum(np.diff(values) * np.exp(-np.square(threshold) / 2)) / np.sqrt(2 * np.pi)
    power = fractions @ np.square(values) - (fractions @ values) ** 2
    return float(slope**2 / power) if slope > 0 else 1.0


def _lines(
    bandpass: Floats, spectra: int, kept: float, is_complex: bool
) -> list[tuple[int, float]]:
    """Return bins and levels (dB) of the strong lines of a channel.

    A line is a peak that the noise around it reaches by chance once in 1e9 channels, in
    the mean of so many spectra. A DC offset is neither a line nor noise.
    """
    inner = bandpass[_REACH : -_REACH if is_complex else None]
    if not np.all(np.isfinite(bandpass)) or spectra < _LEAST_SPECTRA or len(inner) < _AROUND:
        return []
    floor = median_filter(inner, _AROUND, mode="nearest")
    width = 2 * _REACH + 1
    least = floor * gammainccinv(spectra, _CHANCE / len(inner)) / spectra
    peak = (inner > least) & (inner == maximum_filter(inner, width))
    power = width * uniform_filter(inner - floor, width, mode="constant")[peak]
    noise = np.where(maximum_filter(peak, width), floor, inner).mean()
    share = power / max(float(noise), _SILENT) / len(bandpass) / kept
    strong = share > 10 ** ((STRONG_LINE - _SCATTER) / 10)
    decibels = 10 * np.log10(share[strong])
    places = np.flatnonzero(peak)[strong] + _REACH
    return [(int(k), float(d)) for k, d in zip(places, decibels, strict=True)]
