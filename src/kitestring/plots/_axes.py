"""What several pictures share: dates, readable units, legends, limits that outliers spare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

_MJD_OF_1970 = 40587  # where matplotlib's dates begin
_MAD = 1.4826  # a normal distribution's sigma over its median absolute deviation

LENGTHS = ((1e3, "km"), (1.0, "m"), (1e-3, "mm"))
TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps"))


def dates(epoch: Epoch) -> Floats:
    """Return epochs as matplotlib counts dates (to a microsecond)."""
    return np.asarray(epoch.mjd() - _MJD_OF_1970)


def date_axis(axis: Axes, scale: str) -> None:
    """Label the abscissa with dates."""
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axis.set_xlabel(scale.upper())


def readable(size: float, units: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    """Return the unit (its size in SI, its name) in which `size` is a number of at least 0.2."""
    return next((u for u in units if size >= 0.2 * u[0]), units[-1])


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Return how many columns of a small legend fit into a width in inches."""
    longest = max(len(label) for label in labels)
    return max(1, min(len(labels), int(width / (0.073 * longest + 0.55))))


def legend_below(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Put a legend under all panels, and make the figure higher for it."""
    if not labels:
        return
    columns = legend_columns(labels, float(figure.get_figwidth()))
    rows = -(-len(labels) // columns)
    figure.set_figheight(float(figure.get_figheight()) + 0.2 * rows)
    figure.legend(
        handles,
        labels,
        loc="outside lower left",
        ncols=columns,
        fontsize="small",
        frameon=False,
        markerscale=1.4,
    )


def robust_limits(values: Floats, reach: float = 6.0) -> tuple[float, float]:
    """Return limits that hold the bulk of `values`, whatever a few outliers do.

    They lie at most `reach` robust standard deviations from the median, and
    nearer where no value goes as far.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return -1.0, 1.0
    middle = float(np.median(finite))
    away = np.abs(finite - middle)
    spread = _MAD * float(np.median(away))
    half = float(away.max())
    if spread > 0.0:
        half = min(half, reach * spread)
    half = 1.1 * half or max(abs(middle), 1.0) * 1e-3
    return middle - half, middle + half
