"""Fringe fit: delay, rate and the phase of each channel on every baseline of a scan.

Oscillator phases of the channels are unknown, so the search adds up the power
of all channels at each trial delay and rate; delays of different channels are
joined by calibration, where one quasar's phases serve another scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from kitestring.correlate.types import Visibilities
from kitestring.errors import ConfigurationError, EstimationError, MissingDataError
from kitestring.fringe.types import FringeMap, FringeSolution
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

_PADDING = 4  # times finer than the natural resolution: the peak loses at most 3 %
_STEPS = 20
_LEAST_SIGNAL = 0.01  # of a band's power: keeps the covariance of pure noise large, not infinite
_BESIDE = 1.5  # bins about a phase-cal tone: what it leaves beyond is below the noise


@dataclass(frozen=True)
class _Band:
    """Correlation coefficients of one channel and product, (time, bin), and their weights.

    `weight` is the inverse variance of the real (or imaginary) part.
    """

    name: str
    frequency: Floats
    data: Complexes
    weight: Floats

    @property
    def center(self) -> float:
        return float(np.average(self.frequency, weights=self.weight.sum(axis=0)))

    def middle(self, t: Floats) -> float:
        return float(np.average(t, weights=self.weight.sum(axis=1)))


def fit_visibilities(
    visibilities: Visibilities,
    baselines: Sequence[tuple[str, str]] | None = None,
    *,
    epoch: Epoch | None = None,
    delay_window: float | None = None,
    rate_window: float | None = None,
    phase_cal: tuple[float, float] | None = None,
) -> tuple[FringeSolution, ...]:
    """Fit a fringe on each baseline of a scan.

    Parameters
    ----------
    visibilities : Visibilities
        One scan, with the autocorrelations of all stations. Products of like
        polarisation are used, each with a phase of its own.
    baselines : sequence of (str, str), optional
        Which baselines; all that are no autocorrelations unless given.
    epoch : Epoch, optional
        UTC of the wavefront that the results refer to; the whole second
        nearest to the middle of the scan unless given.
    delay_window, rate_window : float, optional
        Half widths of the search, s and s/s; as far as bins and integrations
        allow unless given.
    phase_cal : (float, float), optional
        Spacing and offset (Hz) of phase-calibration tones. They are at the same
        sky frequencies at all stations and make a fringe of their own: bins
        next to them are left out.

    Returns
    -------
    tuple of FringeSolution
        Baselines without valid data are left out. The noise is that of the
        number of samples, as seen by the autocorrelations, and of what their quantisation
        loses (`ChannelVisibilities.efficiency`): the variance of one
        component of a correlation coefficient is 1 / (2 T df) for a bin of
        width df (Thompson, Moran & Swenson 2017, eq. 6.50, for two real parts).

    Raises
    ------
    MissingDataError
        Where autocorrelations or a baseline that was asked for are missing.
    """
    chosen = [b for b in visibilities.baselines if b[0] != b[1]]
    if baselines is not None:
        missing = [b for b in baselines if b not in chosen]
        if missing:
            raise MissingDataError(
                f"scan {visibilities.scan} has no baseline {'-'.join(missing[0])}.",
                next_step=f"It has {', '.join('-'.join(b) for b in chosen)}.",
            )
        chosen = list(baselines)
    if epoch is None:
        middle = visibilities.epoch.first()
        middle = middle.shifted(0.5 * float(visibilities.epoch.last().since(middle)))
        epoch = Epoch(middle.scale, middle.day, middle.second - middle.second % 1)
        epoch = epoch.shifted(round(float(middle.since(epoch))))
    solutions = []
    for baseline in chosen:
        bands = _bands(visibilities, baseline, phase_cal)
        if bands:
            solutions.append(
                _fit_baseline(visibilities, baseline, bands, epoch, delay_window, rate_window)
            )
    return tuple(solutions)


def _bands(
    visibilities: Visibilities,
    baseline: tuple[str, str],
    phase_cal: tuple[float, float] | None = None,
) -> list[_Band]:
    row = visibilities.baselines.index(baseline)
    autos = []
    for station in baseline:
        if (station, station) not in visibilities.baselines:
            raise MissingDataError(
                f"scan {visibilities.scan} has no autocorrelation of {station}.",
                next_step="Correlate with autocorrelations: they scale the noise.",
            )
        autos.append(visibilities.baselines.index((station, station)))
    bands = []
    for channel in visibilities.channels:
        width = float(channel.frequency[1] - channel.frequency[0])
        for p, product in enumerate(channel.products):
            if product[:1] != product[-1:]:
                continue
            power = np.ones(len(channel.frequency))
            for auto in autos:
                share = channel.weight[:, auto, p] * visibilities.integration
                # a product that a station lacks is NaN, and stays so
                level = channel.data[:, auto, :, p].real[share > 0]
                power = power * (share[share > 0] @ level) / max(float(share.sum()), 1e-300)
            loss = np.broadcast_to(channel.efficiency, channel.weight.shape)[:, row, p] ** 2
            samples = channel.weight[:, row, p] * visibilities.integration * width * loss
            # the outermost bins hold zero frequency and the filter's edge
            good = power > 0
            good[[0, -1]] = False
            if phase_cal is not None:
                good &= ~_near_tones(channel.frequency, *phase_cal)
            cross = channel.data[:, row, :, p]
            samples = np.where(np.isfinite(cross[:, good]).all(axis=1), samples, 0.0)
            if not good.any() or not samples.any():
                continue
            data = np.zeros((len(samples), int(good.sum())), dtype=np.complex128)
            used = samples > 0
            data[used] = cross[np.ix_(used, good)] / np.sqrt(power[good])
            first = p == next(i for i, name in enumerate(channel.products) if name[:1] == name[-1:])
            bands.append(
                _Band(
                    channel.name if first else f"{channel.name} {product}",
                    channel.frequency[good],
                    data,
                    np.repeat(2.0 * samples[:, None], int(good.sum()), axis=1),
                )
            )
    return bands


def _near_tones(frequency: Floats, spacing: float, offset: float) -> NDArray[np.bool_]:
    """Return which bins hold, or lie beside one that holds, a tone at offset + k x spacing.

    Raises
    ------
    ConfigurationError
        Where hardly a bin would be left.
    """
    width = float(frequency[1] - frequency[0])
    if spacing < 4.0 * _BESIDE * width:
        raise ConfigurationError(
            f"phase-calibration tones {spacing:g} Hz apart leave no bins of {width:g} Hz free.",
            next_step="Correlate with more bins.",
        )
    from_tone = (frequency - offset + 0.5 * spacing) % spacing - 0.5 * spacing
    return np.asarray(np.abs(from_tone) < _BESIDE * width)


def delay_rate_map(
    visibilities: Visibilities,
    baseline: tuple[str, str],
    *,
    delay_window: float | None = None,
    rate_window: float | None = None,
    phase_cal: tuple[float, float] | None = None,
) -> FringeMap:
    """Return the signal of one baseline over trial delays and rates.

    Parameters
    ----------
    visibilities, delay_window, rate_window, phase_cal
        As in `fit_visibilities`.
    baseline : (str, str)
        Which one.

    Raises
    ------
    MissingDataError
        Where the baseline has no valid data, or autocorrelations are missing.
    """
    bands: list[_Band] = []
    if baseline in visibilities.baselines:
        bands = _bands(visibilities, baseline, phase_cal)
    if not bands:
        raise MissingDataError(
            f"baseline {'-'.join(baseline)} has no valid data in scan {visibilities.scan}.",
            next_step="Choose one for which `fit_visibilities` has a solution.",
        )
    t = visibilities.epoch.since(visibilities.epoch.first())
    delays, rates, power = _power(bands, t, delay_window, rate_window)
    return FringeMap(visibilities.scan, baseline, delays, rates, np.sqrt(power), len(bands))


def _search(
    bands: list[_Band], t: Floats, delay_window: float | None, rate_window: float | None
) -> tuple[float, float, float]:
    """Return the delay and rate of most power, and the probability that it is no noise."""
    delays, rates, power = _power(bands, t, delay_window, rate_window)
    row, column = np.unravel_index(int(np.argmax(power)), power.shape)
    # the highest point of a finely sampled surface beats that of as many independent points as
    # the data have: noise passes 0.9 in 9 % and 0.97 in 3.5 % of 400 draws with this number
    cells = max(1.0, power.size / 2.0)
    alarm = min(1.0, float(cells * chi2.sf(power[row, column], 2 * len(bands))))
    return float(delays[column]), float(rates[row]), 1.0 - alarm


def _power(
    bands: list[_Band], t: Floats, delay_window: float | None, rate_window: float | None
) -> tuple[Floats, Floats, Floats]:
    """Return trial delays, trial rates and power (rate, delay): chi-square where all is noise."""
    widths = [float(np.min(np.diff(b.frequency))) for b in bands]
    finest = min(widths)
    highest = max(float(b.frequency[-1]) for b in bands)
    span = max(float(b.frequency[-1] - b.frequency[0]) for b in bands)
    count = 2 ** int(np.ceil(np.log2(_PADDING * (span / finest + 1))))
    delays = np.fft.fftfreq(count, finest)  # s, spaced 1 / (count finest)
    if len(t) > 1:
        # the last integration may be a short one: its spacing would alias the rate
        step, length = float(np.median(np.diff(t))), float(t[-1] - t[0])
        trials = int(np.ceil(0.5 * _PADDING * (length / step + 1)))
        rates = np.arange(-trials, trials + 1) / (2.0 * trials * step * highest)
    else:
        rates = np.zeros(1)
    if rate_window is not None:
        rates = rates[np.abs(rates) <= max(rate_window, 0.0)]
    power = np.zeros((len(rates), count))
    for band in bands:
        index = np.round((band.frequency - band.frequency[0]) / finest).astype(np.int64)
        grid = np.zeros((len(t), count), dtype=np.complex128)
        grid[:, index] = band.data * band.weight
        spectrum = np.fft.fft(grid, axis=1)
        turn = np.exp(-2j * np.pi * band.center * rates[:, None] * t)
        power += np.abs(turn @ spectrum) ** 2 / band.weight.sum()
    order = np.argsort(delays)
    if delay_window is not None:
        order = order[np.abs(delays[order]) <= delay_window]
    return delays[order].astype(np.float64), rates, power[:, order]


def _fit_baseline(
    visibilities: Visibilities,
    baseline: tuple[str, str],
    bands: list[_Band],
    epoch: Epoch,
    delay_window: float | None,
    rate_window: float | None,
) -> FringeSolution:
    t = visibilities.epoch.since(epoch)
    delay, rate, probability = _search(bands, t, delay_window, rate_window)
    for _ in range(_STEPS):
        _, normal, _, right = _linearise(bands, t, delay, rate)
        step = np.linalg.pinv(normal, hermitian=True) @ right
        delay, rate = delay + float(step[0]), rate + float(step[1])
        if step @ normal @ step < 1e-8:  # a ten-thousandth of sigma
            break
    else:
        # between two equal peaks of noise: what stands is no fringe
        probability = 0.0
    if (delay_window is not None and abs(delay) > delay_window) or (
        rate_window is not None and abs(rate) > rate_window
    ):
        probability = 0.0  # the slope of a peak beyond the window
    amplitude, normal, signal, _ = _linearise(bands, t, delay, rate)
    # curvature comes from the signal alone, the scatter of the slope from signal and noise
    inverse = np.linalg.pinv(signal, hermitian=True)
    covariance = inverse @ normal @ inverse
    center = np.array([b.center for b in bands])
    middle = np.array([b.middle(t) for b in bands])
    strength = np.sqrt([float(b.weight.sum()) for b in bands])
    phase = np.angle(amplitude * np.exp(-2j * np.pi * center * rate * middle))
    total = [visibilities.model.stations[s].total(epoch) for s in baseline]
    slope = [visibilities.model.stations[s].total(epoch, 1) for s in baseline]
    sigma = np.sqrt(np.diag(covariance))
    return FringeSolution(
        scan=visibilities.scan,
        source=visibilities.source,
        baseline=baseline,
        epoch=epoch,
        residual_delay=delay,
        delay=float(total[1] - total[0]) + delay,
        delay_sigma=float(sigma[0]),
        residual_rate=rate,
        rate=float(slope[1] - slope[0]) + rate,
        rate_sigma=float(sigma[1]) if len(t) > 1 else np.inf,
        channels=tuple(b.name for b in bands),
        frequency=center,
        band=np.array([[b.frequency[0], b.frequency[-1]] for b in bands]),
        phase=phase,
        phase_sigma=1.0 / np.maximum(np.abs(amplitude) * strength, 1e-300),
        amplitude=np.abs(amplitude),
        snr=float(np.linalg.norm(np.abs(amplitude) * strength)),
        ambiguity=1.0 / min(float(np.min(np.diff(b.frequency))) for b in bands),
        probability=probability,
    )


def _linearise(
    bands: list[_Band], t: Floats, delay: float, rate: float
) -> tuple[Complexes, Floats, Floats, Floats]:
    """Return mean amplitudes, two normal matrices and the right side of a step.

    Phases of a band are 2 pi ((f - center) delay + f rate (t - middle)) + its
    own; centred regressors leave that one uncorrelated with the step in delay
    and rate. |mean|^2 holds the noise's 2 / (sum of weights): the first matrix
    with it is the covariance of the right side, the second, without it, is
    the expected curvature of the power.
    """
    amplitude = np.zeros(len(bands), dtype=np.complex128)
    normal, signal, right = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(2)
    for k, band in enumerate(bands):
        f = band.frequency
        along = t[:, None] - band.middle(t)
        slope_delay = np.broadcast_to(2.0 * np.pi * (f - band.center), band.data.shape)
        slope_rate = 2.0 * np.pi * f * along
        turned = band.data * np.exp(-1j * (slope_delay * delay + slope_rate * rate))
        mean = np.sum(band.weight * turned) / band.weight.sum()
        amplitude[k] = mean
        across = np.imag(turned * np.conj(mean)) * band.weight  # |mean| x tangential part
        power = float(np.abs(mean) ** 2)
        mixed = np.sum(band.weight * slope_delay * slope_rate)
        one = np.array(
            [
                [np.sum(band.weight * slope_delay**2), mixed],
                [mixed, np.sum(band.weight * slope_rate**2)],
            ]
        )
        normal += power * one
        signal += max(power - 2.0 / float(band.weight.sum()), _LEAST_SIGNAL * power) * one
        right += [np.sum(across * slope_delay), np.sum(across * slope_rate)]
    if not np.isfinite(normal).all():
        raise EstimationError(
            "visibilities hold values that are not finite.",
            next_step="Correlate the scan again; if it stays, report it.",
        )
    return amplitude, normal, signal, right
