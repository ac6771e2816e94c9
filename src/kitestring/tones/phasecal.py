"""Phase-calibration tones: amplitude, phase and delay of each channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, MissingDataError
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel, Recording
from kitestring.tones._kernels import block_sums
from kitestring.tones.types import ChannelTones, Complexes, Floats, PhaseCal

_BLOCKS = 128  # at least; their spectrum holds the frequencies next to the tone
_BLOCK_SAMPLES = 1 << 16
_CHUNK_VALUES = 1 << 23  # decoded at once, over all channels
# bins of 1 / duration from which the noise is taken: past the tone's own line
_NEAREST, _FARTHEST = 3, 40


def phase_cal(
    recording: Recording,
    spacing: float,
    offset: float = 0.0,
    start: Epoch | None = None,
    count: int | None = None,
) -> PhaseCal:
    """Extract phase-calibration tones from every channel of a recording.

    Parameters
    ----------
    recording : Recording
        Voltages; real or complex, either sideband.
    spacing, offset : float
        Tones are expected at sky frequencies ``offset + k * spacing``, Hz.
    start : Epoch, optional
        Clock reading from which on samples are used; the start of the
        recording unless given.
    count : int, optional
        Number of samples; to the end of the recording unless given.

    Returns
    -------
    PhaseCal
        Noise is measured at the frequencies 3 to 40 / duration on either side
        of each tone.

    Raises
    ------
    ConfigurationError
        For a spacing that is not positive or more than any channel is wide.
    MissingDataError
        Where the stretch holds too few samples or no valid one.
    """
    widest = max(c.bandwidth for c in recording.channels)
    if not 0.0 < spacing <= widest:
        raise ConfigurationError(
            f"phase-cal tones {spacing:g} Hz apart cannot be seen in channels of {widest:g} Hz.",
            next_step="Give the spacing in Hz, such as 5e6.",
        )
    begin, stop = recording.start if start is None else start, recording.stop
    first = round(float(begin.since(recording.start)) * recording.sample_rate)
    if count is None:
        if stop is None:
            raise ConfigurationError(
                f"the recording of {recording.station} has no known end.",
                next_step="Give the number of samples to use.",
            )
        count = round(float(stop.since(recording.start)) * recording.sample_rate) - first
    if count < 32 * _BLOCKS:
        raise MissingDataError(
            f"{count} samples of {recording.station} are too few for phase-cal tones.",
            next_step=f"Use at least {32 * _BLOCKS}.",
        )
    epoch = Epoch(begin.scale, begin.day, np.floor(begin.second))
    # reading of sample 0, from the whole second that phases refer to
    zero = float(recording.start.since(epoch))
    tones = [_tones_in(c, spacing, offset) for c in recording.channels]
    sums, valid = _sum_blocks(recording, tones, zero, first, count)
    if not valid.any():
        raise MissingDataError(
            f"the recording of {recording.station} has no valid sample in the stretch "
            f"from {begin.iso(3)}.",
            next_step="Choose a start and count inside the recording.",
        )
    results = []
    for c, channel in enumerate(recording.channels):
        results.append(_channel_tones(channel, tones[c], sums[c], int(valid[c])))
    return PhaseCal(
        recording.station, spacing, offset, epoch, count / recording.sample_rate, tuple(results)
    )


def _tones_in(channel: Channel, spacing: float, offset: float) -> Floats:
    """Return the tones' sky frequencies, leaving out those on the channel's very edge."""
    low, high = channel.sky_edges
    margin = 1e-3 * channel.bandwidth
    k = np.arange(
        np.ceil((low + margin - offset) / spacing), np.floor((high - margin - offset) / spacing) + 1
    )
    return np.asarray(offset + spacing * k, dtype=np.float64)


def _sum_blocks(
    recording: Recording, tones: list[Floats], zero: float, first: int, count: int
) -> tuple[list[Complexes], NDArray[np.int64]]:
    """Return block sums (tone, block) of each channel, and its number of valid samples."""
    blocks = max(_BLOCKS, -(-count // _BLOCK_SAMPLES))
    length = count // blocks
    edges = first + length * np.arange(blocks + 1)
    sums = [np.zeros((len(t), blocks), dtype=np.complex128) for t in tones]
    valid = np.zeros(len(tones), dtype=np.int64)
    at_once = max(1, _CHUNK_VALUES // (length * len(tones)))
    for b in range(0, blocks, at_once):
        part = edges[b : b + at_once + 1]
        data = recording.read(int(part[0]), int(part[-1] - part[0]))
        valid += data.valid.sum(axis=1)
        for c, channel in enumerate(recording.channels):
            for k, sky in enumerate(tones[c]):
                # a complex lower sideband turns backwards: sum its conjugate
                turn = channel.direction if channel.complex else 1
                baseband = sky - channel.sky_frequency
                cycles = -turn * baseband * (zero + part[:-1] / recording.sample_rate)
                step = np.full(len(part) - 1, -turn * baseband / recording.sample_rate)
                out = sums[c][k, b : b + at_once]
                block_sums(data.samples[c], part - part[0], cycles % 1.0, step, out)
                if turn < 0:
                    np.conj(out, out=out)
    return sums, valid


def _channel_tones(
    channel: Channel, frequency: Floats, sums: Complexes, valid: int
) -> ChannelTones:
    spectrum = np.fft.fft(sums, axis=1)
    bins = np.arange(_NEAREST, _FARTHEST + 1)
    noise = np.concatenate([spectrum[:, bins], spectrum[:, -bins]], axis=1)
    if valid == 0 or len(frequency) == 0:
        empty = np.full(len(frequency), np.nan)
        return ChannelTones(
            channel.name, channel.polarization, frequency, empty + 0j, empty,
            np.nan, np.nan, np.nan, np.nan,
        )  # fmt: skip
    # a real channel holds half of a tone's amplitude at negative frequency
    scale = (1.0 if channel.complex else 2.0) / valid
    sigma = scale * np.sqrt(np.mean(np.abs(noise) ** 2, axis=1) / 2.0)
    amplitude = scale * spectrum[:, 0]
    delay, delay_sigma, phase, scatter = fit_phase_line(frequency, amplitude, sigma)
    return ChannelTones(
        channel.name, channel.polarization, frequency, amplitude, sigma,
        delay, delay_sigma, phase, scatter,
    )  # fmt: skip


def fit_phase_line(
    frequency: Floats, amplitude: Complexes, sigma: Floats
) -> tuple[float, float, float, float]:
    """Fit a line to the phases of evenly spaced tones.

    Parameters
    ----------
    frequency : ndarray, shape (tone,)
        Sky frequencies, evenly spaced, Hz.
    amplitude : ndarray of complex, shape (tone,)
        Complex amplitudes.
    sigma : ndarray, shape (tone,)
        Standard deviation of one component of `amplitude`.

    Returns
    -------
    delay, delay_sigma, phase, scatter : float
        phase(f) = phase - 2 pi (f - mean f) delay; see `ChannelTones`. NaN
        with fewer than three tones.
    """
    n = len(frequency)
    if n < 3:
        return np.nan, np.nan, np.nan, np.nan
    f = frequency - frequency.mean()
    spacing = frequency[1] - frequency[0]
    unit = amplitude / np.maximum(np.abs(amplitude), 1e-300)
    trial = np.arange(-8 * n, 8 * n) / (16 * n * spacing)
    coherent = np.exp(2j * np.pi * trial[:, None] * f) @ unit
    best = int(np.argmax(np.abs(coherent)))
    # around the best trial all phases are within half a turn: no more wraps
    rest = np.angle(unit * np.exp(2j * np.pi * trial[best] * f) * np.conj(coherent[best]))
    weight = np.abs(amplitude) / sigma
    design = np.stack([np.ones(n), -2.0 * np.pi * f], axis=1)
    solution, *_ = np.linalg.lstsq(design * weight[:, None], rest * weight, rcond=None)
    covariance = np.linalg.inv((design * weight[:, None] ** 2).T @ design)
    scatter = np.sqrt(np.sum((rest - design @ solution) ** 2) / (n - 2))
    phase = np.angle(np.exp(1j * (solution[0] + np.angle(coherent[best]))))
    delay_sigma = np.sqrt(covariance[1, 1])
    return float(trial[best] + solution[1]), float(delay_sigma), float(phase), float(scatter)
