import io

import numpy as np
import pytest

from kitestring.fringe.types import FringeMap, FringeSolution
from kitestring.model.time import Epoch
from kitestring.plots.fringe import plot_channel_phases, plot_fringe


def fringe(scan="No1", probability=1.0):
    f = 8.4e9 + 1e6 * np.arange(5)
    return FringeSolution(
        scan, "Q1", ("A", "B"), Epoch.from_iso("2026-01-01T00:00:02"), 1e-7, 0.01, 2e-9, 1e-12,
        1e-7, 1e-13, tuple("abcde"), f, np.stack([f - 1e6, f + 1e6], axis=1), 0.1 * np.arange(5),
        np.full(5, 0.02), np.full(5, 0.01), 100.0, 1e-5, probability,
    )  # fmt: skip


def surface(baseline=("A", "B")):
    delay, rate = np.linspace(-1e-6, 1e-6, 21), np.linspace(-1e-11, 1e-11, 11)
    snr = 3.0 + 97.0 * np.exp(
        -(((delay - 1e-7) / 2e-7) ** 2) - ((rate[:, None] - 2e-12) / 2e-12) ** 2
    )
    return FringeMap("No1", baseline, delay, rate, snr, 5)


def test_fringe_shows_the_peak_and_says_what_was_fitted():
    figure = plot_fringe(fringe(), surface())
    x, y = figure.axes[0].lines[0].get_data()
    assert x[np.argmax(y)] == pytest.approx(0.1)  # microseconds
    assert "SNR 100.0" in figure.get_suptitle()
    assert "+100.00 ± 2.00 ns" in figure.get_suptitle()
    assert "not detected" in plot_fringe(fringe(probability=0.5), surface()).get_suptitle()
    figure.savefig(io.BytesIO(), format="svg")


def test_channel_phases_of_scans_lie_on_each_other():
    figure = plot_channel_phases([fringe("No1"), fringe("No3")])
    (axis,) = figure.axes
    first, second = (c.lines[0].get_ydata() for c in axis.containers)
    assert np.array_equal(first, second)
    assert first == pytest.approx(np.degrees(0.1 * np.arange(5)))


def test_a_map_of_another_baseline_is_refused():
    with pytest.raises(ValueError, match="the map of"):
        plot_fringe(fringe(), surface(("A", "C")))
