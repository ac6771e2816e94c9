"""Pictures of residuals."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from kitestring.estimate.types import ResidualTable
from kitestring.plots._axes import date_axis, dates, legend_below, robust_limits

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]

MOST_LABELS = 10
"""Labels that get a colour of their own; the least frequent of the rest share one."""

_MANY = 300  # from here on points without error bars, rasterised
_REASON_MARKS = "x+1234|_"
_OTHERS = "0.55"


def plot_residuals(
    table: ResidualTable, *, scale: float = 1.0, unit: str = "", title: str = ""
) -> Figure:
    """Draw residuals over time and, over their sigmas, beside a unit normal distribution.

    Rows that were set aside are marked by their reason. The limits follow the
    bulk of the used rows; points beyond are marked at the edge and counted.

    Parameters
    ----------
    table : ResidualTable
        Observations of one kind, so that they share a unit.
    scale : float
        What residuals are multiplied with to get `unit`, such as 1e3 for mHz.
    unit : str
        Unit that is shown.
    title : str
        What the residuals are of.
    """
    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    axis, bars = figure.subplots(1, 2, width_ratios=(3.0, 1.0))
    value = np.asarray(table.residual * scale)
    sigma = np.where(np.isfinite(table.sigma), table.sigma * scale, 0.0)
    used = np.asarray(table.flag == "")
    drawn = np.isfinite(value)
    _draw_points(axis, table, value, sigma)
    bulk = (used if np.any(used & drawn) else True) & drawn
    reach = 0.0 if len(table) > _MANY else sigma[bulk]
    axis.set_ylim(*robust_limits(np.concatenate([value[bulk] - reach, value[bulk] + reach])))
    _mark_beyond(axis, dates(table.epoch), value)
    axis.axhline(0.0, color="0.4", lw=0.6, zorder=0)
    axis.set_ylabel(f"observed - computed ({unit})" if unit else "observed - computed")
    date_axis(axis, table.epoch.scale)
    known = used & drawn & (table.sigma > 0.0)
    ratio = np.asarray(table.residual[known] / table.sigma[known])
    _draw_ratios(bars, ratio)
    rows = f"{np.sum(used)} of {len(table)} used"
    if np.any(used & drawn):
        rms = float(np.sqrt(np.mean(value[used & drawn] ** 2)))
        rows = f"rms {rms:.4g} {unit}".rstrip() + f", {rows}"
    if len(ratio):
        rows += f", weighted rms {np.sqrt(np.mean(ratio**2)):.3f}"
    figure.suptitle(f"{title}: {rows}" if title else rows)
    handles, labels = axis.get_legend_handles_labels()
    # matplotlib puts bars of error after plain points, which are the rows set aside
    order = sorted(range(len(labels)), key=lambda k: isinstance(handles[k], Line2D))
    legend_below(figure, [handles[k] for k in order], [labels[k] for k in order])
    return figure


def _draw_points(axis: Axes, table: ResidualTable, value: Floats, sigma: Floats) -> None:
    """Draw used rows by label, then rows set aside by reason."""
    time, used = dates(table.epoch), np.asarray(table.flag == "")
    many = len(table) > _MANY
    for label, rows, colour in _groups(table.label):
        here = rows & used & np.isfinite(value)
        if not np.any(here):
            continue
        axis.errorbar(
            time[here],
            value[here],
            None if many else sigma[here],
            fmt=".",
            ms=2.5 if many else 5.0,
            elinewidth=0.7,
            color=colour,
            alpha=0.6 if len(table) > 10 * _MANY else 1.0,
            label=label,
            rasterized=many,
            zorder=1.5 if colour == _OTHERS else 2.0,
        )
    for number, reason in enumerate(np.unique(table.flag[~used])):
        rows = np.asarray(table.flag == reason)
        here = rows & np.isfinite(value)
        lost = int(np.sum(rows)) - int(np.sum(here))
        axis.plot(
            time[here],
            value[here],
            _REASON_MARKS[number % len(_REASON_MARKS)],
            ms=6.0,
            mew=1.2,
            color="black",
            label=f"{reason} ({np.sum(rows)}" + (f", {lost} without value)" if lost else ")"),
            rasterized=many,
        )


def _groups(labels: NDArray[np.str_]) -> list[tuple[str, Rows, str]]:
    """Return (label, rows, colour), the most frequent labels apart from the others."""
    names, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    own = order if len(names) <= MOST_LABELS else order[: MOST_LABELS - 1]
    groups = [
        (str(names[k]), np.asarray(inverse == k), f"C{number}")
        for number, k in enumerate(sorted(own))
    ]
    if len(own) < len(names):
        rest = ~np.isin(inverse, own)
        groups.append((f"{len(names) - len(own)} others", rest, _OTHERS))
    return groups


def _mark_beyond(axis: Axes, time: Floats, value: Floats) -> None:
    """Mark points beyond the limits at the edge, and tell how many there are."""
    low, high = axis.get_ylim()
    told = []
    sides = ((value > high, 0.985, "^", "above"), (value < low, 0.015, "v", "below"))
    for rows, edge, mark, word in sides:
        count = int(np.sum(rows))
        if not count:
            continue
        axis.plot(
            time[rows],
            np.full(count, edge),
            mark,
            ms=4.0,
            color="tab:red",
            transform=axis.get_xaxis_transform(),
            rasterized=count > _MANY,
        )
        farthest = value[rows][np.argmax(np.abs(value[rows]))]
        told.append(f"{count} {word} (to {farthest:+.3g})")
    axis.set_title(", ".join(told), fontsize="small", color="tab:red", loc="right")


def _draw_ratios(axis: Axes, ratio: Floats) -> None:
    """Draw the distribution of residual over sigma beside a unit normal one."""
    reach = 5.0
    x = np.linspace(-reach, reach, 201)
    axis.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi), color="black", lw=1.0)
    if len(ratio):
        bins = int(np.clip(np.sqrt(len(ratio)), 10, 50))
        edges = np.linspace(-reach, reach, bins + 1)
        heights = np.histogram(ratio, edges)[0] / (len(ratio) * np.diff(edges))
        axis.stairs(heights, edges, fill=True, color="C0", alpha=0.5)
    beyond = int(np.sum(np.abs(ratio) > reach))
    told = f"; {beyond} beyond ±{reach:.0f}" if beyond else ""
    axis.set_title(f"line: unit normal{told}", fontsize="small")
    axis.set_xlim(-reach, reach)
    axis.set_ylim(bottom=0.0)
    axis.set_xlabel("residual / sigma" if len(ratio) else "no sigmas known")
    axis.set_yticks([])
