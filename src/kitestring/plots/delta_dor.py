"""Pictures of delta-DOR."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kitestring.calibrate.types import DeltaDor
from kitestring.plots._axes import TIMES, readable

Floats = NDArray[np.float64]

SURE = 0.99
"""A row whose integers are less probable is drawn hollow."""

_NARROWEST = 4.0  # half width of the axis in rows: few bars do not become walls
_MANY = 45  # rows beyond which baselines are no longer named along the axis


def plot_delta_dor(delta: DeltaDor) -> Figure:
    """Draw residual delta-DOR by baseline and scan, and what its sigma is made of.

    The height of a bar is the sigma of its row; its parts share it as the
    variances do.

    Parameters
    ----------
    delta : DeltaDor
        Any number of rows. They are grouped by scan; a row whose ambiguity is
        resolved with a probability below `SURE` is drawn hollow.
    """
    n = len(delta)
    figure = Figure(figsize=(float(np.clip(0.22 * n + 4.0, 7.0, 14.0)), 6.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True)
    scans = list(dict.fromkeys(delta.scans))
    order = sorted(range(n), key=lambda k: scans.index(delta.scans[k]))
    place = np.empty(n)
    for number, k in enumerate(order):
        place[k] = number + 0.8 * scans.index(delta.scans[k])  # a gap between scans
    unsure = _draw_residuals(top, delta, place)
    _draw_budget(bottom, delta, place)
    for scan in scans:
        here = place[[k for k in range(n) if delta.scans[k] == scan]]
        top.annotate(
            scan,
            (float(here.mean()), 1.01),
            xycoords=top.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize="small",
        )
        if scan != scans[-1]:
            for axis in (top, bottom):
                axis.axvline(float(here.max()) + 0.9, color="0.85", lw=0.8, zorder=0)
    if n <= _MANY:
        bottom.set_xticks(place, ["-".join(pair) for pair in delta.baselines], rotation=90)
        bottom.tick_params(axis="x", labelsize="small")
    else:
        bottom.set_xticks([])
        names = "in the order " + ", ".join("-".join(pair) for pair in delta.pairs())
        bottom.set_xlabel("\n".join(textwrap.wrap(names, 150)), fontsize="small")
    if n:
        low, high = float(place.min()), float(place.max())
        half = max(0.5 * (high - low) + 1.0, _NARROWEST)
        bottom.set_xlim(0.5 * (low + high) - half, 0.5 * (low + high) + half)
    title = f"{delta.target} - {delta.reference}\n"
    if n:
        rms = float(np.sqrt(np.mean(delta.residual**2)))
        size, unit = readable(rms, TIMES)
        title += f"{n} rows, rms {rms / size:.3g} {unit}, "
    title += f"chi-square {delta.chi_square:.1f} of {delta.degrees_of_freedom} degrees of freedom"
    if unsure:
        title += f"\nhollow: ambiguity unsure ({unsure})"
    figure.suptitle(title, fontsize="medium")
    return figure


def _draw_residuals(axis: Axes, delta: DeltaDor, place: Floats) -> int:
    """Draw residuals with their sigmas; return how many have an unsure ambiguity."""
    sigma = delta.sigma
    size, unit = readable(float(np.max(np.abs(delta.residual) + sigma, initial=0.0)), TIMES)
    hollow = np.asarray(delta.probability < SURE)
    colours = {pair: f"C{k % 10}" for k, pair in enumerate(delta.pairs())}
    for k in range(len(delta)):
        colour = colours[delta.baselines[k]]
        axis.errorbar(
            place[k],
            delta.residual[k] / size,
            sigma[k] / size,
            fmt="o",
            ms=4.5,
            elinewidth=1.0,
            color=colour,
            mfc="white" if hollow[k] else colour,
        )
    axis.axhline(0.0, color="0.4", lw=0.6, zorder=0)
    axis.set_ylabel(f"residual delta-DOR ({unit})")
    return int(np.sum(hollow))


def _draw_budget(axis: Axes, delta: DeltaDor, place: Floats) -> None:
    """Draw each row's sigma as a bar whose parts share it as their variances do."""
    sigma = delta.sigma
    size, unit = readable(float(np.max(sigma, initial=0.0)), TIMES)
    base = np.zeros(len(delta))
    total = np.maximum(np.sum([part**2 for _, part in delta.budget], axis=0), 1e-60)
    for name, part in delta.budget:
        height = sigma / size * part**2 / total
        axis.bar(place, height, bottom=base, width=0.8, label=name)
        base = base + height
    axis.set_ylabel(f"sigma ({unit}),\nparts share it as variances")
    if delta.budget:
        axis.set_ylim(0.0, 1.05 * float(np.max(base, initial=0.0)) or 1.0)
        axis.legend(
            fontsize="small", ncols=4, frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0)
        )
