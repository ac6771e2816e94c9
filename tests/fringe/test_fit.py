"""Fringes in visibilities that are made here from a known delay, rate and noise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.errors import ConfigurationError, MissingDataError
from kitestring.fringe.fit import delay_rate_map, fit_visibilities
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch

START = Epoch.from_iso("2026-01-01T00:00:00")
EDGES = 8.42e9 + np.array([-20e6, -5e6, -1e6, 3e6, 18e6])
BANDWIDTH, BINS, STEP, STEPS = 2e6, 32, 0.1, 40
DELAY, RATE = 0.83e-6, 1.7e-12
OSCILLATOR = np.array([0.3, -2.0, 1.1, 2.9, -0.4])
PICOSECOND = 1e-12


def model():
    def station(delay, rate, clock):
        return StationDelay(
            PiecewisePolynomial(START.shifted(-1.0), 10.0, np.array([[delay, rate]])),
            PiecewisePolynomial(START.shifted(-1.0), 10.0, np.array([[clock]])),
        )

    return DelayModel("No1", "Q1", {"A": station(0.01, 1e-6, 2e-6), "B": station(-0.003, 0, 0.0)})


def visibilities(
    rho, noise=1.0, rng=None, weight=1.0, products=("XX",), edges=EDGES, oscillator=OSCILLATOR
):
    rng = np.random.default_rng(0) if rng is None else rng
    t = (np.arange(STEPS) + 0.5) * STEP
    weights = np.full((STEPS, 3, len(products)), weight)
    weights[5:9, 2] = 0.0  # station B lost these
    channels = []
    for k, edge in enumerate(edges):
        f = edge + np.arange(BINS) * BANDWIDTH / BINS
        level = {"A": 3.0 + np.sin(np.arange(BINS)), "B": np.full(BINS, 0.4)}
        data = np.zeros((STEPS, 3, BINS, len(products)), dtype=complex)
        for p in range(len(products)):
            phase = 2 * np.pi * (f * DELAY + f * RATE * (t[:, None] - 2.0)) + oscillator[k] + p
            # variance of one component: 1 / (2 T df)
            sigma = noise / np.sqrt(2 * STEP * max(weight, 1e-9) * BANDWIDTH / BINS)
            cross = rho * np.exp(1j * phase)
            cross += sigma * (rng.normal(size=cross.shape) + 1j * rng.normal(size=cross.shape))
            data[:, 0, :, p], data[:, 1, :, p] = level["A"], level["B"]
            data[:, 2, :, p] = cross * np.sqrt(level["A"] * level["B"])
        data[5:9, 2] = 0.0
        channels.append(
            ChannelVisibilities(f"CH{k}", f, products, data.astype(np.complex64), weights)
        )
    return Visibilities(
        "No1", "Q1", (("A", "A"), ("B", "B"), ("A", "B")), START.shifted(t),
        np.full(STEPS, STEP), tuple(channels), model(),
    )  # fmt: skip


def test_without_noise_the_truth_comes_back():
    (fringe,) = fit_visibilities(visibilities(0.02, noise=0.0))
    assert fringe.baseline == ("A", "B")
    assert fringe.epoch.iso(0) == "2026-01-01T00:00:02"
    # complex64 in 40 x 30 x 5 points
    assert fringe.residual_delay == pytest.approx(DELAY, abs=1 * PICOSECOND)
    assert fringe.residual_rate == pytest.approx(RATE, abs=1e-18)
    # model at 2 s: (-0.003) - (0.01 + 3 s x 1e-6 + clock)
    assert fringe.delay == pytest.approx(-0.013 - 3e-6 - 2e-6 + DELAY, abs=1 * PICOSECOND)
    assert fringe.rate == pytest.approx(-1e-6 + RATE, abs=1e-17)
    expected = 2 * np.pi * fringe.frequency * DELAY + OSCILLATOR
    assert np.abs(np.angle(np.exp(1j * (fringe.phase - expected)))).max() < 1e-5
    assert fringe.amplitude == pytest.approx(0.02, rel=1e-5)
    assert fringe.ambiguity == pytest.approx(BINS / BANDWIDTH)


def test_errors_are_what_sigma_says():
    seeds, pulls, phases = range(1, 41), [], []
    for seed in seeds:
        (fringe,) = fit_visibilities(visibilities(0.01, rng=np.random.default_rng(seed)))
        pulls.append(
            [
                (fringe.residual_delay - DELAY) / fringe.delay_sigma,
                (fringe.residual_rate - RATE) / fringe.rate_sigma,
            ]
        )
        # the rate's share is the same in all channels: the mean takes it out
        expected = 2 * np.pi * fringe.frequency * DELAY + OSCILLATOR
        error = np.angle(np.exp(1j * (fringe.phase - expected)))
        phases.append(np.sum(((error - error.mean()) / fringe.phase_sigma) ** 2))
        assert fringe.probability > 0.999
    # 0.01 in 4 s less the gap, 5 channels of 30 bins
    samples = 2 * 3.6 * 5 * BANDWIDTH * 30 / 32
    assert fringe.snr == pytest.approx(0.01 * np.sqrt(samples), rel=0.1)
    n = len(pulls)
    low, high = chi2.ppf([0.0005, 0.9995], n)
    assert np.all(np.sum(np.square(pulls), axis=0) > low)
    assert np.all(np.sum(np.square(pulls), axis=0) < high)
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 3.3 / np.sqrt(n))
    low, high = chi2.ppf([0.0005, 0.9995], 4 * n)
    assert low < np.sum(phases) < high


def test_errors_are_what_sigma_says_at_the_detection_limit():
    """An SNR of 2.4 a band: a fifth of |mean|^2 is noise, which must not count as signal."""
    edges, oscillator = 8.4e9 + 4e6 * np.arange(16), np.linspace(-3, 3, 16)
    pulls = []
    for seed in range(1, 91):
        rng = np.random.default_rng(seed)
        vis = visibilities(6e-4, rng=rng, edges=edges, oscillator=oscillator)
        (fringe,) = fit_visibilities(vis, delay_window=2e-6, rate_window=1e-11)
        if fringe.probability >= 0.999:
            pulls.append(
                [
                    (fringe.residual_delay - DELAY) / fringe.delay_sigma,
                    (fringe.residual_rate - RATE) / fringe.rate_sigma,
                ]
            )
    assert len(pulls) > 60
    low, high = chi2.ppf([0.0005, 0.9995], len(pulls))
    square = np.sum(np.square(pulls), axis=0)
    assert np.all(square > low)
    assert np.all(square < high)


def test_noise_alone_is_no_fringe():
    p = [
        fit_visibilities(visibilities(0.0, rng=np.random.default_rng(s)))[0].probability
        for s in range(1, 11)
    ]
    assert np.max(p) < 0.999


def test_polarisations_and_windows():
    vis = visibilities(0.02, products=("XX", "XY", "YY"))
    (fringe,) = fit_visibilities(vis, delay_window=2e-6, rate_window=1e-11)
    assert fringe.channels[:2] == ("CH0", "CH0 YY")
    assert abs(fringe.residual_delay - DELAY) < 4.5 * fringe.delay_sigma
    for channel in vis.channels:  # station B has no Y
        channel.data[:, 1:, :, 1:] = np.nan
    (alone,) = fit_visibilities(vis)
    assert alone.channels == tuple(f"CH{k}" for k in range(5))
    (outside,) = fit_visibilities(vis, delay_window=0.1e-6, rate_window=1e-13)
    assert outside.probability == 0.0  # its peak lies beyond the window


def test_what_is_refused():
    vis = visibilities(0.02)
    with pytest.raises(MissingDataError, match="no baseline A-C"):
        fit_visibilities(vis, [("A", "C")])
    alone = Visibilities(
        vis.scan, vis.source, (("A", "A"), ("B", "C"), ("A", "B")), vis.epoch,
        vis.integration, vis.channels, vis.model,
    )  # fmt: skip
    with pytest.raises(MissingDataError, match="no autocorrelation of B"):
        fit_visibilities(alone, [("A", "B")])
    assert fit_visibilities(visibilities(0.02, weight=0.0, noise=0.0)) == ()


def test_a_polarisation_that_is_lost_alone_harms_no_other():
    """Station B has no X in the second half: XX knows half as much, YY as much as before."""
    whole = visibilities(0.02, products=("XX", "YY"))
    channels = []
    for channel in whole.channels:
        data, weight = channel.data.copy(), channel.weight.copy()
        data[STEPS // 2 :, 1:, :, 0] = 0.0
        weight[STEPS // 2 :, 1:, 0] = 0.0
        channels.append(replace(channel, data=data, weight=weight))
    (before,) = fit_visibilities(whole)
    (after,) = fit_visibilities(replace(whole, channels=tuple(channels)))
    xx, yy = slice(0, None, 2), slice(1, None, 2)
    assert after.channels == before.channels
    left = np.arange(STEPS)
    left = np.sum((left < STEPS // 2) & ~((left >= 5) & (left < 9))) / (STEPS - 4)
    # a thousandth: the slopes of delay and rate that are taken out differ a little
    assert after.amplitude[yy] == pytest.approx(before.amplitude[yy], rel=1e-3)
    assert after.phase_sigma[yy] == pytest.approx(before.phase_sigma[yy], rel=1e-3)
    sigma = 1.0 / (after.amplitude * after.phase_sigma)
    assert sigma[xx] == pytest.approx(sigma[yy] * np.sqrt(left), rel=1e-6)
    # five sigma of a channel's amplitude
    noise = 5.0 / sigma[xx]
    assert np.all(np.abs(after.amplitude[xx] - 0.02) < noise)


def test_map_peaks_where_the_fringe_is():
    vis = visibilities(0.02)
    (fringe,) = fit_visibilities(vis)
    surface = delay_rate_map(vis, ("A", "B"))
    assert surface.snr.shape == (len(surface.rate), len(surface.delay))
    row, column = np.unravel_index(np.argmax(surface.snr), surface.snr.shape)
    # a fourth of the resolutions 1 / 2 MHz and 1 / (8.4 GHz x 4 s), and half a step off
    assert surface.delay[column] == pytest.approx(DELAY, abs=0.5 / (4 * BANDWIDTH) * 1.1)
    assert surface.rate[row] == pytest.approx(RATE, abs=0.5 / (4 * 8.4e9 * 4.0) * 1.1)
    assert surface.snr.max() == pytest.approx(fringe.snr, rel=0.05)
    away = np.delete(surface.snr, np.arange(row - 30, row + 31), axis=0)
    assert np.sqrt(np.mean(away**2)) == pytest.approx(np.sqrt(2 * surface.bands), rel=0.1)
    with pytest.raises(MissingDataError, match="no valid data"):
        delay_rate_map(vis, ("A", "C"))


def test_phase_cal_tones_are_no_fringe():
    found = visibilities(0.0, rng=np.random.default_rng(5))
    spacing = 8 * BANDWIDTH / BINS
    for channel in found.channels:
        tones = np.flatnonzero(
            np.abs((channel.frequency + spacing / 2) % spacing - spacing / 2) < 1
        )
        channel.data[:, 2, tones, 0] += 0.1
    (false,) = fit_visibilities(found)
    assert false.snr > 50.0
    (none,) = fit_visibilities(found, phase_cal=(spacing, 0.0))
    assert none.probability < 0.999
    assert delay_rate_map(found, ("A", "B"), phase_cal=(spacing, 0.0)).snr.max() < 7.0
    with pytest.raises(ConfigurationError, match="more bins"):
        fit_visibilities(found, phase_cal=(4 * BANDWIDTH / BINS, 0.0))


def test_noise_is_detected_as_often_as_the_probability_says():
    rng = np.random.default_rng(3)
    draws = [fit_visibilities(visibilities(0.0, rng=rng))[0].probability for _ in range(200)]
    # 99.9 % of 20 in 200; some of them fail to converge, and count as none
    assert 4 <= np.sum(np.array(draws) > 0.9) <= 36
