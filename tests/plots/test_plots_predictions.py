"""Pictures of predictions: what is drawn is what was predicted, faint where nobody sees it."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

from kitestring.model.time import Epoch
from kitestring.plots.predictions import plot_predictions

START = Epoch.from_iso("2026-01-01T12:00:00")


def table(count=48, stations=("TIANMA65", "URUMQI"), near=True):
    """A target that rises and sets, at one station after the other."""
    phase = np.linspace(0.0, 2.0 * np.pi, count)
    rate = 1e3 * np.cos(phase) if near else np.full(count, np.nan)
    seen = [
        SimpleNamespace(station=name, elevation=np.sin(phase - 0.3 * k), range_rate=rate + 10.0 * k)
        for k, name in enumerate(stations)
    ]
    pairs = [
        SimpleNamespace(baseline=(a, b), rate=4e-7 * np.cos(phase))
        for k, a in enumerate(stations)
        for b in stations[k + 1 :]
    ]
    return SimpleNamespace(
        target="PROBE",
        epoch=START.shifted(1800.0 * np.arange(count)),
        sun_angle=np.full(count, 2.0),
        moon_angle=np.linspace(0.1, 0.2, count),
        stations=seen,
        baselines=pairs,
    )


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def curves(axis, label):
    return next(line for line in axis.lines if line.get_label() == label)


def test_a_spacecraft_has_its_range_rates():
    what = table()
    figure = plot_predictions(what)
    up, angles, rates = figure.axes
    for s in what.stations:
        drawn = curves(up, s.station).get_ydata()
        np.testing.assert_allclose(drawn, np.degrees(s.elevation))
        rate = curves(rates, s.station).get_ydata()
        assert np.array_equal(np.isfinite(rate), s.elevation > 0.0)
        np.testing.assert_allclose(rate[s.elevation > 0.0], s.range_rate[s.elevation > 0.0] / 1e3)
        assert curves(up, s.station).get_color() == curves(rates, s.station).get_color()
    np.testing.assert_allclose(curves(angles, "Sun").get_ydata(), np.degrees(2.0))
    np.testing.assert_allclose(curves(angles, "Moon").get_ydata(), np.degrees(what.moon_angle))
    assert rates.get_ylabel() == "range rate (km/s)"
    assert rates.get_xlabel() == "UTC"
    assert figure.get_suptitle() == "PROBE"
    assert legend(figure) == ["TIANMA65", "URUMQI", "Sun", "Moon"]
    figure.savefig(io.BytesIO(), format="svg")


def test_a_source_has_the_rates_of_its_delays():
    what = table(near=False, stations=("TIANMA65", "URUMQI", "KUNMING"))
    figure = plot_predictions(what, title="3C84")
    rates = figure.axes[2]
    assert rates.get_ylabel() == "rate of the delay (µs/s)"
    drawn = curves(rates, "TIANMA65-KUNMING").get_ydata()
    both = (what.stations[0].elevation > 0.0) & (what.stations[2].elevation > 0.0)
    assert np.array_equal(np.isfinite(drawn), both)
    np.testing.assert_allclose(drawn[both], what.baselines[1].rate[both] / 1e-6)
    faint = [line for line in rates.lines if line.get_label().startswith("_")]
    assert len(faint) == 3
    assert all(np.isfinite(line.get_ydata()).all() for line in faint)
    assert figure.get_suptitle() == "3C84"
    colours = {curves(figure.axes[0], s.station).get_color() for s in what.stations}
    assert colours.isdisjoint({curves(rates, "TIANMA65-KUNMING").get_color()})


def test_one_station_and_a_source_need_two_panels():
    assert len(plot_predictions(table(near=False, stations=("URUMQI",))).axes) == 2
    assert len(plot_predictions(table(stations=("URUMQI",))).axes) == 3


@pytest.mark.parametrize(("count", "marker"), [(1, "."), (20, "."), (200, "")])
def test_few_epochs_are_marked_one_by_one(count, marker):
    figure = plot_predictions(table(count=count))
    assert curves(figure.axes[0], "URUMQI").get_marker() == marker
    figure.savefig(io.BytesIO(), format="png")


def test_a_single_epoch_is_shown_within_its_hours():
    figure = plot_predictions(table(count=1))
    low, high = figure.axes[0].get_xlim()
    assert high - low == pytest.approx(2.0 / 24.0)
    assert low < figure.axes[0].lines[0].get_xdata()[0] < high


def test_sun_and_moon_differ_where_there_is_no_dash_to_see():
    angles = plot_predictions(table(count=1)).axes[1]
    assert curves(angles, "Sun").get_color() != curves(angles, "Moon").get_color()


def test_many_stations_can_be_told_apart():
    names = [f"S{k}" for k in range(24)]
    figure = plot_predictions(table(stations=names))
    looks = [(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines]
    assert len(set(looks[:24])) == 24
