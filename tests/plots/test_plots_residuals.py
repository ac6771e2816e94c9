"""Residual pictures: what is told, and that a few wild points do not squash the rest."""

import io

import numpy as np
import pytest

from kitestring.estimate.types import ResidualTable
from kitestring.model.time import Epoch
from kitestring.plots._axes import robust_limits
from kitestring.plots.residuals import MOST_LABELS, plot_residuals

START = Epoch.from_iso("2026-01-01T00:00:00")
SIGMA = 2e-3


def table(count, *, labels=("a",), flag=(), residual=None, seed=1):
    rng = np.random.default_rng(seed)
    value = rng.normal(size=count) * SIGMA if residual is None else np.asarray(residual)
    flags = np.full(count, "", dtype="U64")
    for row, reason in flag:
        flags[row] = reason
    label = np.array(labels)[np.arange(count) % len(labels)] if count else np.zeros(0, "U1")
    zero = np.zeros(count)
    epoch = START.shifted(60.0 * np.arange(count))
    return ResidualTable(label, epoch, value, zero, value, np.full(count, SIGMA), flags)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_title_tells_rms_and_rows_in_the_shown_unit():
    figure = plot_residuals(
        table(4, residual=[SIGMA, -SIGMA] * 2), scale=1e3, unit="mHz", title="X"
    )
    assert figure.get_suptitle() == "X: rms 2 mHz, 4 of 4 used, weighted rms 1.000"
    assert "mHz" in figure.axes[0].get_ylabel()
    figure.savefig(io.BytesIO(), format="svg")


def test_rows_set_aside_are_marked_apart_with_reason_and_number():
    found = table(30, flag=[(0, "outlier"), (1, "outlier"), (2, "sun angle")])
    figure = plot_residuals(found)
    assert legend(figure) == ["a", "outlier (2)", "sun angle (1)"]
    assert "27 of 30 used" in figure.get_suptitle()


def test_rows_without_value_are_counted():
    found = table(3, residual=[0.0, np.nan, SIGMA], flag=[(1, "not finite")])
    assert "not finite (1, 1 without value)" in legend(plot_residuals(found))


def test_wild_points_do_not_set_the_limits_and_are_counted():
    found = table(20_000, flag=[(k, "outlier") for k in range(5)])
    found.residual[:3] = 1e6
    found.residual[3:5] = -1e5
    figure = plot_residuals(found)
    axis = figure.axes[0]
    low, high = axis.get_ylim()
    assert -10 * SIGMA < low < -3 * SIGMA
    assert 3 * SIGMA < high < 10 * SIGMA
    assert axis.get_title("right") == "3 above (to +1e+06), 2 below (to -1e+05)"
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    assert len(buffer.getvalue()) < 400_000  # rasterised: 20,000 markers would be megabytes


def test_the_distribution_is_normalised():
    bars = plot_residuals(table(4000)).axes[1]
    data = bars.patches[0].get_data()
    assert np.sum(data.values * np.diff(data.edges)) == pytest.approx(1.0)
    x, y = bars.lines[0].get_data()
    assert np.trapezoid(y, x) == pytest.approx(1.0, abs=1e-5)


def test_many_labels_share_the_last_colour():
    labels = tuple(f"station {k:02d}" for k in range(MOST_LABELS + 5))
    figure = plot_residuals(table(300, labels=labels))
    assert len(legend(figure)) == MOST_LABELS
    assert legend(figure)[-1] == "6 others"


@pytest.mark.parametrize(
    "found",
    [
        table(0),
        table(1),
        table(3, residual=[0.0, 0.0, 0.0]),
        table(2, residual=[np.nan, np.nan], flag=[(0, "not finite"), (1, "not finite")]),
        table(2, flag=[(0, "outlier"), (1, "outlier")]),
    ],
)
def test_little_or_nothing_can_be_drawn_too(found):
    plot_residuals(found).savefig(io.BytesIO(), format="svg")


def test_limits_follow_the_bulk():
    assert robust_limits(np.array([0.0, 1.0, 2.0])) == pytest.approx((-0.1, 2.1))
    bulk = np.linspace(-1.0, 1.0, 101)
    assert robust_limits(np.append(bulk, 1e9)) == pytest.approx(robust_limits(np.append(bulk, 1e3)))
    assert robust_limits(np.array([np.nan])) == (-1.0, 1.0)
