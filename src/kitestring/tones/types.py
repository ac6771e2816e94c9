"""Tones: what was looked for and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True)
class ChannelTones:
    """Phase-calibration tones of one channel.

    Attributes
    ----------
    channel, polarization : str
        Name and polarisation of the channel.
    frequency : ndarray, shape (tone,)
        Ascending sky frequency of the tones, Hz.
    amplitude : ndarray of complex, shape (tone,)
        Complex amplitude in the units of the samples. Its phase is that of
        the tone at `PhaseCal.epoch` on the station's clock, less the local
        oscillator's; it ascends with the sky's phase in either sideband.
    sigma : ndarray, shape (tone,)
        Standard deviation of the real (or imaginary) part of `amplitude`,
        from the frequencies next to the tone; NaN where nothing was recorded.
    delay : float
        -d(phase) / d(frequency) / (2 pi), s: how late the tones arrive, known
        up to multiples of 1 / spacing. NaN with fewer than three tones.
    delay_sigma : float
        Its standard deviation from `sigma`, s.
    phase : float
        Phase of the line at the mean frequency of the tones, rad.
    scatter : float
        Rms of phase about the line, with tones - 2 degrees of freedom, rad.
    """

    channel: str
    polarization: str
    frequency: Floats
    amplitude: Complexes
    sigma: Floats
    delay: float
    delay_sigma: float
    phase: float
    scatter: float

    @property
    def snr(self) -> Floats:
        """Amplitude over sigma of each tone."""
        return np.asarray(np.abs(self.amplitude) / self.sigma)

    def present(self, threshold: float = 5.0) -> bool:
        """Whether the typical tone stands out: the median SNR is `threshold` or more."""
        return bool(len(self.frequency) > 0 and np.median(self.snr) >= threshold)


@dataclass(frozen=True)
class PhaseCal:
    """Phase-calibration tones of one recording.

    Attributes
    ----------
    station : str
        Whose recording.
    spacing, offset : float
        Tones lie at sky frequencies offset + k x spacing, Hz.
    epoch : Epoch, shape ()
        Clock reading that phases refer to, UTC: a whole second.
    duration : float
        Length of the stretch that was used, s.
    channels : tuple of ChannelTones
        In the order of the recording.
    """

    station: str
    spacing: float
    offset: float
    epoch: Epoch
    duration: float
    channels: tuple[ChannelTones, ...]

    def present(self, threshold: float = 5.0) -> tuple[ChannelTones, ...]:
        """Return the channels in which tones were found."""
        return tuple(c for c in self.channels if c.present(threshold))


@dataclass(frozen=True)
class ToneSpec:
    """The tones of a spacecraft, as far as they are known beforehand.

    Attributes
    ----------
    frequency : float
        Nominal carrier frequency as received at the geocentre at the start of
        the scan, Hz.
    rate : float
        Its rate, Hz/s.
    ratios : mapping of str to float
        Frequency of each tone over that of the carrier. The carrier itself is
        the entry with ratio 1 and is always there.
    uncertainty : float
        Half width of the search around `frequency`, Hz.

    Raises
    ------
    ConfigurationError
        Where no tone has ratio 1, or a number cannot be a frequency.
    """

    frequency: float
    rate: float = 0.0
    ratios: Mapping[str, float] = field(default_factory=lambda: {"carrier": 1.0})
    uncertainty: float = 10e3

    def __post_init__(self) -> None:
        if 1.0 not in self.ratios.values():
            raise ConfigurationError(
                f"none of the tones {sorted(self.ratios)} is the carrier.",
                next_step="Add one with ratio 1, such as carrier = 1.0.",
            )
        if self.frequency <= 0 or self.uncertainty <= 0 or min(self.ratios.values()) <= 0:
            raise ConfigurationError(
                "frequencies, ratios and the uncertainty of tones must be positive.",
                next_step="Give the carrier in Hz, such as 8.4e9, and ratios near 1.",
            )

    @property
    def carrier(self) -> str:
        """Name of the tone with ratio 1."""
        return next(name for name, ratio in self.ratios.items() if ratio == 1.0)


@dataclass(frozen=True)
class TonePhases:
    """Phases of a spacecraft's tones in one scan, the delay model removed.

    Attributes
    ----------
    scan, source : str
        Names, from the delay model.
    stations, tones : tuple of str
        The first two axes of the arrays.
    epoch : Epoch, shape (dump,)
        Middle of each dump: UTC of the wavefront at the geocentre.
    dump : float
        Length of a dump, s.
    reference : ndarray, shape (tone, 3)
        Phase in cycles at the geocentre that was removed, the same at every
        station: ascending powers of the seconds since `start`. The derivative
        is the sky frequency received there.
    start : Epoch, shape ()
        Zero of `reference`, UTC.
    phase : ndarray, shape (station, tone, dump)
        Residual phase, rad, continuous from dump to dump: -2 pi f x (true less
        modelled delay + clock of the station) + the phase of its local
        oscillator + what all stations share. So phase[1] - phase[2] is
        +2 pi f (residual delay of baseline (1, 2)). NaN where not measured.
    snr : ndarray, shape (station, tone, dump)
        Amplitude over its one-component noise: 1 / snr is the sigma of phase
        in rad. Zero where not measured.
    density : ndarray, shape (station, tone)
        Power of the tone over noise power density, Hz (10 log10 is dBHz).
    channels : tuple of tuple of str, shape (station, tone)
        Channel in which the tone was recorded; empty where in none.
    model : DelayModel
        What was removed.
    """

    scan: str
    source: str
    stations: tuple[str, ...]
    tones: tuple[str, ...]
    epoch: Epoch
    dump: float
    reference: Floats
    start: Epoch
    phase: Floats
    snr: Floats
    density: Floats
    channels: tuple[tuple[str, ...], ...]
    model: DelayModel

    def frequency(self, epoch: Epoch | None = None) -> Floats:
        """Return the sky frequency of each tone at the geocentre, shape (tone, epoch), Hz."""
        t = np.atleast_1d((self.epoch if epoch is None else epoch).since(self.start))
        ref = self.reference
        return np.asarray(ref[:, 1, None] + 2.0 * ref[:, 2, None] * t)
