"""Pictures of delta-DOR: residuals in order, and bars that add up to the sigmas."""

import io
from itertools import combinations

import numpy as np
import pytest

from kitestring.calibrate.types import DeltaDor
from kitestring.model.time import Epoch
from kitestring.plots.delta_dor import plot_delta_dor

PICOSECOND = 1e-12


def delta(stations="ABC", scans=("No2", "No4"), unsure=()):
    pairs = list(combinations(stations, 2))
    n = len(pairs) * len(scans)
    parts = (
        ("thermal", np.full(n, 30.0 * PICOSECOND)),
        ("troposphere", np.full(n, 40.0 * PICOSECOND)),
    )
    probability = np.ones(n)
    probability[list(unsure)] = 0.5
    residual = np.arange(n) * PICOSECOND
    zero = np.zeros(n)
    return DeltaDor(
        "PROBE", "J1230+1223", stations[0], tuple(np.repeat(scans, len(pairs))),
        tuple(pairs) * len(scans), Epoch.from_iso("2026-05-01").shifted(np.arange(n)),
        np.full(n, 300.0), residual, residual, zero, zero, np.eye(n) * (50.0 * PICOSECOND) ** 2,
        parts, (), 1e-6, probability, 12.0, 10,
    )  # fmt: skip


def test_bars_add_up_to_sigma_in_shares_of_variance():
    top, bottom = plot_delta_dor(delta()).axes
    assert top.get_ylabel() == "residual delta-DOR (ps)"
    heights = np.array([bar.get_height() for bar in bottom.patches]).reshape(2, 6)
    np.testing.assert_allclose(heights.sum(axis=0), 50.0)
    np.testing.assert_allclose(heights[0], 50.0 * 0.36)


def test_rows_are_grouped_by_scan_and_named_by_baseline():
    figure = plot_delta_dor(delta())
    top, bottom = figure.axes
    assert [text.get_text() for text in top.texts] == ["No2", "No4"]
    assert [tick.get_text() for tick in bottom.get_xticklabels()] == ["A-B", "A-C", "B-C"] * 2
    place = [line.lines[0].get_xdata()[0] for line in top.containers]
    assert place == sorted(place)
    assert place[3] - place[2] > place[2] - place[1]
    assert "PROBE - J1230+1223\n6 rows" in figure.get_suptitle()
    figure.savefig(io.BytesIO(), format="svg")


def test_unsure_ambiguities_are_hollow_and_counted():
    figure = plot_delta_dor(delta(unsure=(1,)))
    hollow = [c.lines[0].get_markerfacecolor() == "white" for c in figure.axes[0].containers]
    assert hollow == [False, True, False, False, False, False]
    assert "ambiguity unsure (1)" in figure.get_suptitle()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_rows(count):
    plot_delta_dor(delta().take(range(count))).savefig(io.BytesIO(), format="svg")


def test_many_rows_name_their_order_once():
    figure = plot_delta_dor(delta("ABCDEFG", [f"No{k}" for k in range(4)]))
    assert figure.axes[1].get_xlabel().startswith("in the order A-B, A-C")
    assert len(figure.axes[1].get_xticks()) == 0
    figure.savefig(io.BytesIO(), format="svg")
