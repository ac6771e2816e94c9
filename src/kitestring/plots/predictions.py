"""Pictures of predictions: when a target is up, how near Sun and Moon are, how fast it moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kitestring.model.time import Epoch
from kitestring.plots._axes import date_axis, dates, legend_below, readable

Floats = NDArray[np.float64]
Style = dict[str, Any]

_FEW = 30  # epochs that are marked one by one
_ALONE = 1.0 / 24.0  # days that are shown before and after a single epoch
_FAINT = 0.35  # where the target is below the horizon
_RATES = ((1e-6, "µs/s"), (1e-9, "ns/s"), (1e-12, "ps/s"))


class AnyStation(Protocol):
    """A target at a station, such as `kitestring.products.predictions.StationPrediction`."""

    @property
    def station(self) -> str:
        """Name."""

    @property
    def elevation(self) -> Floats:
        """Shape (n,), rad."""

    @property
    def range_rate(self) -> Floats:
        """Shape (n,), m/s; NaN for a source at infinity."""


class AnyBaseline(Protocol):
    """A target on a baseline, such as `kitestring.products.predictions.BaselinePrediction`."""

    @property
    def baseline(self) -> tuple[str, str]:
        """Stations 1 and 2."""

    @property
    def rate(self) -> Floats:
        """Rate of the delay, shape (n,), s/s."""


class AnyPredictions(Protocol):
    """Predictions at some epochs, such as `kitestring.products.predictions.PredictionTable`."""

    @property
    def target(self) -> str:
        """Name."""

    @property
    def epoch(self) -> Epoch:
        """Shape (n,)."""

    @property
    def sun_angle(self) -> Floats:
        """From the target, shape (n,), rad."""

    @property
    def moon_angle(self) -> Floats:
        """From the target, shape (n,), rad."""

    @property
    def stations(self) -> Sequence[AnyStation]:
        """One a station."""

    @property
    def baselines(self) -> Sequence[AnyBaseline]:
        """All pairs."""


def plot_predictions(table: AnyPredictions, *, title: str = "") -> Figure:
    """Draw a target's elevation, its angles from Sun and Moon, and its rates over time.

    The lowest panel shows the range rate at each station for a spacecraft, and
    the rate of the delay on each baseline for a source at infinity; it is left
    out for a source that one station alone looks at. Rates are faint where the
    target is below the horizon.

    Parameters
    ----------
    table : AnyPredictions
        Such as `kitestring.products.predictions.predict_table` returns.
    title : str
        What is shown; the target's name by default.
    """
    near = all(np.isfinite(s.range_rate).all() for s in table.stations)
    panels = 3 if near or table.baselines else 2
    figure = Figure(figsize=(9.0, 2.6 + 2.2 * panels), layout="constrained")
    ratios = (3.0, 1.5, 2.5)[:panels]
    axes = figure.subplots(panels, 1, sharex=True, height_ratios=ratios)
    time = dates(table.epoch)
    styles = _styles(len(table.stations) + len(table.baselines), marked=len(time) <= _FEW)
    _draw_elevations(axes[0], time, table.stations, styles)
    bodies = ((table.sun_angle, "Sun", "-", "0.1"), (table.moon_angle, "Moon", "--", "0.55"))
    for angle, name, style, grey in bodies:
        look = {**styles[0], "color": grey, "ls": style}
        axes[1].plot(time, np.degrees(angle), label=name, **look)
    axes[1].set_ylim(0.0, 180.0)
    axes[1].set_yticks([0, 60, 120, 180])
    axes[1].set_ylabel("angle from\nthe target (deg)")
    if panels == 3 and near:
        for s, look in zip(table.stations, styles, strict=False):
            _draw_rate(axes[2], time, s.range_rate / 1e3, s.elevation > 0.0, s.station, look)
        axes[2].set_ylabel("range rate (km/s)")
    elif panels == 3:
        # their looks go on where those of the stations end
        _draw_delay_rates(axes[2], time, table, styles[len(table.stations) :])
    for axis in axes:
        axis.grid(color="0.9", lw=0.6)
    date_axis(axes[-1], table.epoch.scale)
    margin = 0.0 if len(time) > 1 else _ALONE  # else matplotlib shows years around it
    axes[0].set_xlim(time[0] - margin, time[-1] + margin)
    figure.suptitle(title or table.target)
    shown: dict[str, Artist] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            shown.setdefault(label, handle)
    legend_below(figure, list(shown.values()), list(shown))
    return figure


def _styles(number: int, *, marked: bool) -> list[Style]:
    """Return looks of curves that differ: ten colours, then other dashes."""
    dashes = ("-", "--", "-.", ":")
    marker = "." if marked else ""
    return [
        {"color": f"C{k % 10}", "ls": dashes[k // 10 % len(dashes)], "marker": marker}
        for k in range(number)
    ]


def _draw_elevations(
    axis: Axes, time: Floats, stations: Sequence[AnyStation], styles: Sequence[Style]
) -> None:
    for s, look in zip(stations, styles, strict=False):
        axis.plot(time, np.degrees(s.elevation), label=s.station, **look)
    axis.set_ylim(-10.0, 90.0)
    axis.set_yticks([0, 15, 30, 45, 60, 75, 90])
    axis.axhspan(-10.0, 0.0, color="0.93", zorder=0)
    axis.axhline(0.0, color="0.4", lw=0.8, zorder=1)
    axis.set_ylabel("elevation (deg)")


def _draw_rate(
    axis: Axes, time: Floats, rate: Floats, up: NDArray[np.bool_], label: str, look: Style
) -> None:
    """Draw a rate, faint where the target is not up."""
    faint = {**look, "marker": ""}
    axis.plot(time, rate, alpha=_FAINT, lw=0.9, zorder=1, **faint)
    axis.plot(time, np.where(up, rate, np.nan), label=label, zorder=2, **look)


def _draw_delay_rates(
    axis: Axes, time: Floats, table: AnyPredictions, styles: Sequence[Style]
) -> None:
    up = {s.station: s.elevation > 0.0 for s in table.stations}
    size, unit = readable(max(float(np.abs(b.rate).max()) for b in table.baselines), _RATES)
    for b, look in zip(table.baselines, styles, strict=True):
        first, second = b.baseline
        _draw_rate(axis, time, b.rate / size, up[first] & up[second], f"{first}-{second}", look)
    axis.set_ylabel(f"rate of the delay ({unit})")
