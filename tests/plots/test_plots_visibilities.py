import io
from dataclasses import replace

import numpy as np
import pytest

from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch
from kitestring.plots.visibilities import plot_spectra

BINS = 64
DELAY = 0.5e-6
COHERENCE = 0.1


def scan(products=("XX",), baselines=(("A", "A"), ("A", "B"), ("B", "B"))):
    """Two channels of 8 MHz; power 4 and 1 in a bin, 10 % of it common, late by DELAY."""
    channels = []
    for k in range(2):
        f = 8.4e9 + 16e6 * k + np.arange(BINS) * 8e6 / BINS
        data = np.full((2, len(baselines), BINS, len(products)), np.nan + 0j)
        for b, pair in enumerate(baselines):
            powers = {"A": 4.0, "B": 1.0, "C": 1.0}
            if pair[0] == pair[1]:
                data[:, b] = powers[pair[0]]
            else:
                data[:, b, :, 0] = 2.0 * COHERENCE * np.exp(2j * np.pi * f * DELAY)
        weight = np.ones((2, len(baselines), len(products)))
        channels.append(ChannelVisibilities(f"CH{k}", f, products, data, weight))
    start = Epoch.from_iso("2026-01-01T00:00:00")
    return Visibilities(
        "No1", "Q1", baselines, start.shifted(np.arange(2.0)), np.ones(2), tuple(channels),
        DelayModel("No1", "Q1", {}),
    )  # fmt: skip


def drawn(axis):
    return [line for line in axis.lines if len(line.get_xdata()) > 2]


def test_a_product_that_is_lost_alone_is_not_drawn_lower():
    vis = scan(("XX", "YY"))
    channels = []
    for channel in vis.channels:
        data = np.repeat(channel.data[..., :1], 2, axis=3)
        weight = channel.weight.copy()
        data[1, :, :, 0], weight[1, :, 0] = 0.0, 0.0  # X is lost in the second integration
        channels.append(replace(channel, data=data, weight=weight))
    power = plot_spectra(replace(vis, channels=tuple(channels))).axes[0]
    levels = {float(np.nanmax(line.get_ydata())) for line in drawn(power)}
    assert levels == {4.0, 1.0}


def test_spectra_and_lags_are_shown():
    figure = plot_spectra(scan())
    power, amplitude, phase, lag = figure.axes
    assert "Q1, scan No1: mean of 2 s" in figure.get_suptitle()
    assert [np.nanmax(line.get_ydata()) for line in drawn(power)] == pytest.approx([4.0, 1.0])
    (curve,) = drawn(amplitude)
    assert np.nanmax(curve.get_ydata()) == pytest.approx(COHERENCE)
    assert np.isnan(curve.get_ydata()).sum() == 2  # channels are not joined
    (points,) = drawn(phase)
    turned = np.diff(np.unwrap(np.radians(points.get_ydata()[:BINS])))
    assert turned == pytest.approx(2 * np.pi * 125e3 * DELAY, rel=1e-4)
    x, y = drawn(lag)[0].get_data()
    assert x[np.argmax(y)] == pytest.approx(DELAY * 1e6)
    assert y.max() == pytest.approx(COHERENCE)
    assert [t.get_text() for t in phase.get_xticklabels()] == ["8400", "8416"]
    figure.savefig(io.BytesIO(), format="svg")


def test_a_reference_is_laid_over_at_our_scale():
    reference = {}
    for low in (8.4e9, 8.416e9):
        reference[low, "A", "A", "XX"] = np.full(BINS, 0.01 + 0j)
        reference[low, "B", "B", "XX"] = np.full(BINS, 0.01 + 0j)
        reference[low, "A", "B", "XX"] = np.full(BINS, 0.002j)
        reference[low, "A", "B", "XY"] = np.full(BINS, 7.0)  # not drawn
    reference[9e9, "A", "B", "XX"] = np.full(BINS, 7.0)  # a band that was not correlated
    power, amplitude, phase, lag = plot_spectra(scan(), reference).axes
    black = [line for line in drawn(power) if line.get_color() == "k"]
    assert [np.nanmax(line.get_ydata()) for line in black] == pytest.approx([4.0, 1.0])
    _, theirs = drawn(amplitude)
    assert np.nanmax(theirs.get_ydata()) == pytest.approx(0.2)
    assert np.nanmax(drawn(phase)[1].get_ydata()) == pytest.approx(90.0)
    assert len(drawn(lag)) == 2


def test_autocorrelations_alone_can_be_drawn():
    (power,) = plot_spectra(scan(baselines=(("A", "A"),))).axes
    assert len(drawn(power)) == 1


def test_products_that_were_not_formed_are_left_out():
    vis = scan(products=("XX", "XY", "YY"))
    _, amplitude, phase, lag = plot_spectra(vis).axes
    assert [len(drawn(axis)) for axis in (amplitude, phase, lag)] == [1, 1, 1]


def test_each_baseline_is_drawn_on_its_own():
    names = ("A", "B", "C")
    baselines = tuple((a, b) for i, a in enumerate(names) for b in names[i:])
    vis = scan(("XX", "YY"), baselines)
    channels = []
    for channel in vis.channels:
        data = np.repeat(channel.data[..., :1], 2, axis=3)
        data[:, [b for b, (one, two) in enumerate(baselines) if one == two]] = 1.0
        channels.append(replace(channel, data=data))
    figure = plot_spectra(replace(vis, channels=tuple(channels)))
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert [t for t in titles if "-" in t] == ["A-B", "A-C", "B-C"]
    assert len(figure.axes) == 1 + 3 * 3
    lags = [axis for axis in figure.axes if axis.get_title(loc="left").startswith("amplitude")]
    assert [t.get_text() for t in lags[0].get_legend().get_texts()] == ["XX", "YY"]
    assert plot_spectra(scan()).get_size_inches()[1] < figure.get_size_inches()[1]


def test_lags_are_those_of_most_channels():
    vis = scan()
    wide = vis.channels[1]
    step = np.diff(wide.frequency[:2])[0]
    more = wide.frequency[0] + 32e6 + step * np.arange(2 * BINS)
    data = np.repeat(wide.data, 2, axis=2)
    channels = (*vis.channels, replace(wide, frequency=more, data=data))
    lag = plot_spectra(replace(vis, channels=channels)).axes[3]
    x, y = drawn(lag)[0].get_data()
    assert len(x) == BINS
    assert x[np.argmax(y)] == pytest.approx(DELAY * 1e6)
    assert y.max() == pytest.approx(COHERENCE)
