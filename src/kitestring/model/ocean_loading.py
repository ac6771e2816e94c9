"""How far the weight of the ocean tides moves a station.

A station's coefficients are amplitudes and phases of 11 tides (a BLQ file, see
`kitestring.formats.blq`). The other lines of the potential follow by
interpolating the admittance between these 11 (IERS TN36 section 7.1.2, the
method of its routine HARDISP): 342 tides, complete to 0.1 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from kitestring.errors import ConfigurationError, MissingDataError
from kitestring.model._blocks import BlockSpline
from kitestring.model.antenna import Station, name_key
from kitestring.model.constants import EARTH_RADIUS
from kitestring.model.displacement import DOODSON_SPEEDS, doodson_arguments
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

TIDES = {
    "M2": (2, 0, 0, 0, 0, 0),
    "S2": (2, 2, -2, 0, 0, 0),
    "N2": (2, -1, 0, 1, 0, 0),
    "K2": (2, 2, 0, 0, 0, 0),
    "K1": (1, 1, 0, 0, 0, 0),
    "O1": (1, -1, 0, 0, 0, 0),
    "P1": (1, 1, -2, 0, 0, 0),
    "Q1": (1, -2, 0, 1, 0, 0),
    "MF": (0, 2, 0, 0, 0, 0),
    "MM": (0, 1, 0, -1, 0, 0),
    "SSA": (0, 0, 2, 0, 0, 0),
}
"""Doodson numbers of the tides of a BLQ file, in its order: multiples of tau, s, h, p, N', ps."""

_NODES_PER_DAY = 48  # 0.5 h: of a semidiurnal wave of 5 cm a spline leaves 0.6 micrometre
_NEAR = 5e3  # m; loading changes over tens of kilometres


@dataclass(frozen=True, eq=False)
class OceanLoading:
    """Ocean loading at one site.

    Attributes
    ----------
    name : str
        As in the file.
    amplitude : ndarray, shape (3, 11)
        Of `TIDES`, m; rows are up, **west, south**, as in BLQ files.
    phase : ndarray, shape (3, 11)
        Greenwich phase lags, rad.
    longitude, latitude : float or None
        Of the site, rad, where the file states them.

    Raises
    ------
    ConfigurationError
        For arrays of another shape, or values that are not finite.
    """

    name: str
    amplitude: Floats
    phase: Floats
    longitude: float | None = None
    latitude: float | None = None

    def __post_init__(self) -> None:
        for name in ("amplitude", "phase"):
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape != (3, len(TIDES)) or not np.all(np.isfinite(value)):
                raise ConfigurationError(
                    f"{name} of ocean loading at {self.name} is not 3 by {len(TIDES)} numbers.",
                    next_step="Give rows up, west, south with the tides of a BLQ file.",
                )
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def displacement(self, epoch: Epoch) -> Floats:
        """Return the displacement up, west and south, m.

        Parameters
        ----------
        epoch : Epoch, shape (...)
            Any scale. UT1 is known to a second here.

        Returns
        -------
        ndarray, shape (..., 3)
        """
        return self._spline.at(epoch)

    @cached_property
    def _spline(self) -> BlockSpline:
        lines = _lines()
        waves = self._waves(lines)

        def series(tt: Epoch) -> Floats:
            return np.asarray((np.exp(1j * lines.arguments(tt)) @ waves).real)

        return BlockSpline(series, _NODES_PER_DAY)

    def _waves(self, lines: _Lines) -> NDArray[np.complex128]:
        """Return the complex amplitude of every line, shape (line, 3), m."""
        numbers = np.array(list(TIDES.values()))
        frequency = numbers @ DOODSON_SPEEDS
        height = np.array([lines.height[lines.index[tide]] for tide in TIDES.values()])
        admittance = (self.amplitude * np.exp(-1j * self.phase)).T / np.abs(height)[:, None]
        waves = np.zeros((len(lines.height), 3), dtype=np.complex128)
        for species in (0, 1, 2):
            given = np.flatnonzero(numbers[:, 0] == species)
            given = given[np.argsort(frequency[given])]
            rows = lines.numbers[:, 0] == species
            # beyond the outermost tide its own admittance holds
            at = np.clip(lines.frequency[rows], frequency[given[0]], frequency[given[-1]])
            between = _interpolated(frequency[given], admittance[given], at)
            waves[rows] = lines.height[rows, None] * between
        # the phase of the equilibrium tide: long-period ones are highest at the poles, diurnal
        # ones go with the sine (Cartwright & Tayler's normalisation)
        turn = np.array([-1.0, 1j, 1.0])[lines.numbers[:, 0]]
        return np.asarray(turn[:, None] * waves)


def _interpolated(x: Floats, y: NDArray[np.complex128], at: Floats) -> NDArray[np.complex128]:
    """Return values between tides, as HARDISP does.

    A cubic spline whose end slopes are those of parabolas through three points;
    straight lines through three points or fewer.
    """
    if len(x) <= 3:
        parts = [
            np.interp(at, x, y[:, k].real) + 1j * np.interp(at, x, y[:, k].imag) for k in (0, 1, 2)
        ]
        return np.stack(parts, axis=-1)
    ends = []
    for a, b, c in ((0, 1, 2), (-1, -2, -3)):
        near, far = x[b] - x[a], x[c] - x[a]
        slope = (y[b] - y[a]) / near**2 - (y[c] - y[a]) / far**2
        ends.append((1, slope / (1.0 / near - 1.0 / far)))
    return np.asarray(CubicSpline(x, y, bc_type=tuple(ends))(at))


@dataclass(frozen=True, eq=False)
class _Lines:
    """The lines of the potential: Doodson numbers, frequencies (rad/day) and heights."""

    numbers: NDArray[np.int64]
    frequency: Floats
    height: Floats
    index: dict[tuple[int, ...], int]

    def arguments(self, epoch: Epoch) -> Floats:
        tau, slow = doodson_arguments(epoch)
        fast = tau[..., None] * self.numbers[:, 0]
        return np.asarray(fast + slow @ self.numbers[:, 1:].T)


@cache
def _lines() -> _Lines:
    """Return the lines of ``data/tides.csv``."""
    text = (files("kitestring") / "data" / "tides.csv").read_text(encoding="ascii")
    rows = [line for line in text.splitlines() if line[:1] in "-0123456789"]
    table = np.array([[int(word) for word in row.split(",")] for row in rows])
    numbers, height = table[:, :6], 1e-6 * table[:, 6]
    index = {tuple(row): k for k, row in enumerate(numbers.tolist())}
    return _Lines(numbers, numbers @ DOODSON_SPEEDS, height, index)


class OceanLoadingTable:
    """Ocean loading at several sites.

    Parameters
    ----------
    sites : sequence of OceanLoading
        One of each name.
    origin : str
        File that they were read from.
    """

    def __init__(self, sites: Sequence[OceanLoading], origin: str = "given") -> None:
        self.sites = tuple(sites)
        self.origin = origin
        self._by_name = {name_key(site.name): site for site in self.sites}

    def of(self, station: Station) -> OceanLoading:
        """Return the site of a station: that of one of its names, else one within 5 km.

        Files name sites as their makers like, such as by CDP number.

        Raises
        ------
        MissingDataError
            Where there is none; the nearest is named.
        """
        for name in station.names:
            if name_key(name) in self._by_name:
                return self._by_name[name_key(name)]
        longitude, latitude, _ = station.geodetic
        distances = {
            site.name: _distance(longitude, latitude, site.longitude, site.latitude)
            for site in self.sites
            if site.longitude is not None and site.latitude is not None
        }
        nearest = min(distances, key=lambda name: distances[name], default=None)
        if nearest is not None and distances[nearest] < _NEAR:
            return self._by_name[name_key(nearest)]
        told = ""
        if nearest is not None:
            told = f" The nearest site, {nearest}, is {distances[nearest] / 1e3:.0f} km away."
        raise MissingDataError(
            f"there is no ocean loading for {station.name}.{told}",
            place=self.origin,
            next_step=f"Add a site named {station.name} to the BLQ file, "
            'or leave "ocean_loading" out of the displacements.',
        )

    def displacement(self, station: Station, epoch: Epoch) -> Floats:
        """Return how far a station is moved, ITRF, m, shape (..., 3)."""
        up, west, south = np.moveaxis(self.of(station).displacement(epoch), -1, 0)
        return np.asarray(np.stack([-west, -south, up], axis=-1) @ station.to_enu)


def _distance(longitude1: float, latitude1: float, longitude2: float, latitude2: float) -> float:
    """Return the distance of two places on a sphere, m."""
    half = np.sin((latitude2 - latitude1) / 2) ** 2
    half += np.cos(latitude1) * np.cos(latitude2) * np.sin((longitude2 - longitude1) / 2) ** 2
    return float(2 * EARTH_RADIUS * np.arcsin(np.sqrt(half)))
