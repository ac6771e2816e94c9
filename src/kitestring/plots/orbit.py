"""Pictures of how well an orbit or a lander's place is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import ArrayLike, NDArray

from kitestring.model.time import Epoch
from kitestring.plots._axes import LENGTHS, date_axis, dates, legend_below, readable

Floats = NDArray[np.float64]
Mapped = Callable[[Any], Any]

ZOOM = 4.0
"""Where the largest ellipse exceeds the smallest so many times, a second panel shows the latter."""


class AnyEllipse(Protocol):
    """A one-sigma ellipse, such as `kitestring.estimate.mapping.ErrorEllipse`."""

    @property
    def semi_major(self) -> float:
        """Longer semi-axis, m."""

    @property
    def semi_minor(self) -> float:
        """Shorter semi-axis, m."""

    @property
    def position_angle(self) -> float:
        """Of the longer axis, from north through east, rad."""


@dataclass(frozen=True)
class _Axes:
    """The ellipse of a place on a body."""

    semi_major: float
    semi_minor: float
    position_angle: float

    @classmethod
    def of(cls, covariance: Floats) -> _Axes:
        """Return the ellipse of a (2, 2) covariance of (east, north)."""
        values, vectors = np.linalg.eigh(covariance)
        low, high = np.sqrt(np.maximum(values, 0.0))
        return cls(float(high), float(low), float(np.arctan2(*vectors[:, 1]) % np.pi))


@dataclass(frozen=True)
class _Region:
    """An estimate as it is drawn: all in metres, (east, north)."""

    name: str
    centre: tuple[float, float]
    ellipse: AnyEllipse

    @property
    def reach(self) -> float:
        """How far its three-sigma ellipse reaches from the origin."""
        return float(np.hypot(*self.centre)) + 3.0 * self.ellipse.semi_major


def plot_plane_of_sky(
    estimates: Mapping[str, tuple[tuple[float, float], AnyEllipse]],
    *,
    truth: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """Draw where estimates lie on the sky, with their one- and three-sigma ellipses.

    East is to the left, as one sees the sky. Where the ellipses differ much in
    size, a second panel shows the neighbourhood of the smallest.

    Parameters
    ----------
    estimates : mapping of str to ((float, float), ellipse)
        By name, such as ``"a-priori"`` and ``"a-posteriori"``: offset (east,
        north) from a common place, m, and one-sigma ellipse, m, as
        `kitestring.estimate.mapping.plane_of_sky` gives it.
    truth : (float, float), optional
        Offset of the true place, m.
    title : str
        What is shown.

    Raises
    ------
    ValueError
        Where there is no estimate.
    """
    regions = [_Region(name, centre, ellipse) for name, (centre, ellipse) in estimates.items()]
    marks = {} if truth is None else {"truth": truth}
    figure = _maps(regions, marks, title)
    for axis in figure.axes:
        axis.invert_xaxis()
    return figure


def plot_rtn_sigmas(
    epochs: Epoch, sigmas: ArrayLike, *, data_end: Epoch | None = None, title: str = ""
) -> Figure:
    """Draw how the uncertainty of a predicted orbit grows.

    Parameters
    ----------
    epochs : Epoch, shape (n,)
        Ascending.
    sigmas : array_like, shape (n, 3) or (n, 6)
        Standard deviations, radial, transverse and normal, of position, m, and
        where there are six, of velocity, m/s.
    data_end : Epoch, shape (), optional
        When the last observation was made; what follows is prediction.
    title : str
        What is shown.
    """
    table = np.asarray(sigmas, dtype=np.float64)
    panels = table.shape[1] // 3
    figure = Figure(figsize=(8.0, 1.0 + 3.2 * panels), layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    for axis, part, what, rate in zip(
        axes, np.split(table, panels, axis=1), ("position", "velocity"), ("", "/s"), strict=False
    ):
        size, unit = readable(float(np.median(part)), LENGTHS)
        for curve, name, style in zip(
            part.T, ("radial", "transverse", "normal"), ("-", "--", "-."), strict=True
        ):
            axis.semilogy(dates(epochs), curve / size, style, label=name)
        if data_end is not None:
            end = float(dates(data_end.to(epochs.scale)))
            axis.axvline(end, color="0.4", lw=1.0, ls=":", label="last observation")
        axis.set_ylabel(f"sigma of {what} ({unit}{rate})")
        axis.grid(which="major", color="0.9", lw=0.6)
    axes[0].set_title(title)
    date_axis(axes[-1], epochs.scale)
    legend_below(figure, *axes[0].get_legend_handles_labels())
    return figure


def plot_lander(
    position: ArrayLike,
    covariance: ArrayLike,
    references: Mapping[str, ArrayLike] | None = None,
    *,
    name: str = "lander",
    title: str = "",
) -> Figure:
    """Draw a place on a body with its one- and three-sigma ellipses, and other places near it.

    Longitude is counted eastwards; latitude is that of the direction from the
    body's centre (planetocentric).

    Parameters
    ----------
    position : array_like, shape (3,)
        Body-fixed, m.
    covariance : array_like, shape (3, 3)
        Of the position, m^2.
    references : mapping of str to array_like, shape (3,)
        Body-fixed positions to compare with, m, by name.
    name : str
        What the place is called.
    title : str
        What is shown.
    """
    place = np.asarray(position, dtype=np.float64)
    axes = _local_axes(place)
    radius = float(np.linalg.norm(place))
    turned = axes @ np.asarray(covariance, dtype=np.float64)[:3, :3] @ axes.T
    region = _Region(name, (0.0, 0.0), _Axes.of(turned[:2, :2]))
    marks = {}
    for other, there in (references or {}).items():
        offset = axes @ (np.asarray(there, dtype=np.float64) - place)
        marks[f"{other} ({offset[2]:+.0f} m up)"] = (float(offset[0]), float(offset[1]))
    longitude, latitude = _degrees(place)
    east, north, up = np.sqrt(np.diag(turned))
    digits = int(np.clip(np.ceil(1.0 - np.log10(np.degrees(min(east, north) / radius))), 2, 9))
    told = (
        f"longitude {longitude:.{digits}f}° ± {east:.3g} m, latitude {latitude:+.{digits}f}° "
        f"± {north:.3g} m,\nradius {radius / 1e3:.3f} km ± {up:.3g} m"
    )
    figure = _maps([region], marks, f"{title}\n{told}" if title else told)
    for axis in figure.axes:
        size = next(u[0] for u in LENGTHS if axis.get_xlabel().endswith(f"({u[1]})"))
        _degree_axes(axis, (longitude, latitude), radius, size)
    return figure


def _maps(
    regions: Sequence[_Region], marks: Mapping[str, tuple[float, float]], title: str
) -> Figure:
    """Draw regions and marks on one panel, or on two where their sizes differ much."""
    if not regions:
        raise ValueError("there is no estimate to draw.")
    small = min(regions, key=lambda region: region.ellipse.semi_major)
    reaches = [region.reach for region in regions]
    reaches += [float(np.hypot(*place)) for place in marks.values()]
    two = max(reaches) > ZOOM * 3.0 * small.ellipse.semi_major
    figure = Figure(figsize=(10.0, 5.8) if two else (6.4, 6.4), layout="constrained")
    axes = figure.subplots(1, 1 + two, squeeze=False)[0]
    for axis in axes:
        zoomed = two and axis is axes[1]
        middle = small.centre if zoomed else (0.0, 0.0)
        half = 3.6 * small.ellipse.semi_major if zoomed else 1.15 * max(reaches)
        size, unit = readable(half, LENGTHS)
        for number, region in enumerate(regions):
            _draw_region(axis, region, size, f"C{number}")
        for mark, (label, (east, north)) in zip("*PsDXv^<>", marks.items(), strict=False):
            axis.plot(east / size, north / size, mark, ms=9, color="black", mfc="none", label=label)
        axis.set_xlim((middle[0] - half) / size, (middle[0] + half) / size)
        axis.set_ylim((middle[1] - half) / size, (middle[1] + half) / size)
        axis.set_aspect("equal")
        axis.set_xlabel(f"east ({unit})")
        axis.set_ylabel(f"north ({unit})")
        axis.locator_params(nbins=6)
        axis.grid(color="0.92", lw=0.6)
    if two:
        axes[1].set_title(f"around {small.name}", fontsize="medium")
    legend_below(figure, *axes[0].get_legend_handles_labels())
    figure.suptitle(title, fontsize="medium")
    return figure


def _draw_region(axis: Axes, region: _Region, size: float, colour: str) -> None:
    """Draw an estimate with its one-sigma (filled) and three-sigma (dashed) ellipse."""
    centre = (region.centre[0] / size, region.centre[1] / size)
    # width along the major axis; its position angle counts from north towards east
    angle = 90.0 - np.degrees(region.ellipse.position_angle)
    for times, style in ((1.0, "-"), (3.0, "--")):
        shape = Ellipse(
            centre,
            2.0 * times * region.ellipse.semi_major / size,
            2.0 * times * region.ellipse.semi_minor / size,
            angle=angle,
            fill=False,
            ec=colour,
            ls=style,
            lw=1.2,
        )
        axis.add_patch(shape)
    low, unit = readable(region.ellipse.semi_minor, LENGTHS)
    axes = f"{_short(region.ellipse.semi_major / low)} × {_short(region.ellipse.semi_minor / low)}"
    axis.plot(
        *centre, "+", ms=9, color=colour, label=f"{region.name}: 1σ {axes} {unit} (dashed: 3σ)"
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100.0 else f"{value:.3g}"


def _local_axes(place: Floats) -> Floats:
    """Return the unit vectors east, north and up (from the body's centre), in rows."""
    up = place / np.linalg.norm(place)
    east = np.array([-up[1], up[0], 0.0])
    east = east / np.linalg.norm(east)
    return np.array([east, np.cross(up, east), up])


def _degrees(place: Floats) -> tuple[float, float]:
    """Return east longitude, 0 to 360, and planetocentric latitude, degrees."""
    longitude = float(np.degrees(np.arctan2(place[1], place[0])) % 360.0)
    return longitude, float(np.degrees(np.arctan2(place[2], np.hypot(place[0], place[1]))))


def _degree_axes(axis: Axes, origin: tuple[float, float], radius: float, size: float) -> None:
    """Add longitude above and latitude at the right."""
    longitude, latitude = origin
    top = axis.secondary_xaxis(
        "top", functions=_linear(longitude, size / (radius * np.cos(np.radians(latitude))))
    )
    top.set_xlabel("longitude (deg)", fontsize="small")
    right = axis.secondary_yaxis("right", functions=_linear(latitude, size / radius))
    right.set_ylabel("latitude (deg)", fontsize="small")
    for ticks in (top.xaxis, right.yaxis):
        ticks.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        ticks.set_major_formatter(ScalarFormatter(useOffset=False))
        ticks.set_tick_params(labelsize="small")


def _linear(first: float, slope: float) -> tuple[Mapped, Mapped]:
    """Return the map from offsets to degrees, `slope` in rad, and its inverse."""
    degrees = np.degrees(slope)

    def forward(x: Any) -> Any:
        return first + np.asarray(x) * degrees

    def backward(x: Any) -> Any:
        return (np.asarray(x) - first) / degrees

    return forward, backward
