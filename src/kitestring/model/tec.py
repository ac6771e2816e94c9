"""Total electron content of the ionosphere: maps, and a climatology for where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.constants import C
from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]

REFRACTION = 40.3082
"""e^2 / (8 pi^2 epsilon_0 m_e), m^3/s^2: a delay is this times the electron column / (c f^2)."""

_POLAR = np.radians(80.0)
_GPS_L1 = 1575.42e6  # Hz
# Broadcast by GPS on 2004-01-01, a year of middling solar activity; the default of RTKLIB too
_ALPHA = (0.1118e-7, -0.7451e-8, -0.5961e-7, 0.1192e-6)
_BETA = (0.1167e6, -0.2294e6, -0.1311e6, 0.1049e7)


class TecModel(Protocol):
    """Anything that knows the vertical electron content."""

    @property
    def height(self) -> float:
        """Height of the thin layer above `radius`, m."""

    @property
    def radius(self) -> float:
        """Radius of the Earth that the height counts from, m."""

    def vertical(self, epoch: Epoch, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Return the vertical electron content and its standard deviation, electrons/m^2.

        Longitude and latitude (rad) are geocentric, of the point in the layer.
        """


@dataclass(frozen=True, eq=False)
class TecMap:
    """Maps of the vertical electron content at several epochs.

    Attributes
    ----------
    epochs : Epoch, shape (m,)
        Increasing.
    latitude, longitude : ndarray, shape (j,) and (k,)
        Of the grid, rad, increasing; geocentric. A map that goes round the Earth has
        its first meridian twice.
    tec : ndarray, shape (m, j, k)
        Electrons/m^2; NaN where there is none.
    rms : ndarray, shape (m, j, k), or None
        Its root mean square error, electrons/m^2.
    height, radius : float
        Height of the layer, and the radius it counts from, m.
    origin : str
        Where it comes from.

    Raises
    ------
    ConfigurationError
        For arrays of other shapes, or a grid or epochs that do not increase.
    """

    epochs: Epoch
    latitude: Floats
    longitude: Floats
    tec: Floats
    rms: Floats | None = None
    height: float = 450e3
    radius: float = 6371e3
    origin: str = "given"

    def __post_init__(self) -> None:
        shape = (*self.epochs.shape, len(self.latitude), len(self.longitude))
        arrays = [self.tec] if self.rms is None else [self.tec, self.rms]
        if len(shape) != 3 or min(shape) < 1 or any(a.shape != shape for a in arrays):
            raise ConfigurationError(
                f"maps of shape {self.tec.shape} on {shape}.",
                next_step="Give epochs x latitudes x longitudes, RMS alike.",
            )
        if min(shape[1:]) < 2:
            raise ConfigurationError(
                "a map of one row or column is none.", next_step="Give a grid of 2 x 2 or more."
            )
        steps = (self._seconds, self.latitude, self.longitude)
        if any(np.any(~(np.diff(step) > 0.0)) for step in steps):
            raise ConfigurationError(
                "epochs, latitudes or longitudes do not increase.", next_step="Sort them."
            )

    @cached_property
    def _seconds(self) -> Floats:
        return np.asarray(self.epochs.to("tt").since(self.epochs[0].to("tt")))

    @cached_property
    def _whole(self) -> bool:
        return bool(np.isclose(self.longitude[-1] - self.longitude[0], 2.0 * np.pi, atol=1e-6))

    def vertical(self, epoch: Epoch, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Return content and RMS error, each of shape (n,), electrons/m^2; NaN where none is.

        Between epochs the two maps are turned with the Sun and mixed linearly, bilinear
        in the grid (IONEX 1, eq. 3). Without RMS maps the error is NaN.

        Parameters
        ----------
        epoch : Epoch, shape (n,)
            Any scale.
        longitude, latitude : ndarray, shape (n,)
            Geocentric, rad.

        Raises
        ------
        SpanError
            Outside the epochs, or outside a regional map.
        """
        known = self._seconds
        seconds = np.asarray(epoch.to("tt").since(self.epochs[0].to("tt")))
        if not np.all((seconds >= known[0] - 1e-3) & (seconds <= known[-1] + 1e-3)):
            first, last = (self.epochs[k].to("utc").iso(0) for k in (0, -1))
            worst = epoch.first() if np.min(seconds) < known[0] - 1e-3 else epoch.last()
            raise SpanError(
                f"the ionosphere's maps span {first} to {last} UTC; asked for is "
                f"{worst.to('utc').iso(0)}.",
                place=self.origin,
                next_step="Add the file of that day.",
            )
        after = np.clip(np.searchsorted(known, seconds, side="right"), 1, max(len(known) - 1, 1))
        single = len(known) == 1
        long = 1.0 if single else known[after] - known[after - 1]
        mixed = [np.zeros(seconds.shape), np.zeros(seconds.shape)]
        for index in (after - 1,) if single else (after - 1, after):
            weight = np.clip(1.0 - np.abs(seconds - known[index]) / long, 0.0, 1.0)
            turned = longitude + 2.0 * np.pi * (seconds - known[index]) / DAY
            pair = self._bilinear(index, turned, latitude)
            for total, value in zip(mixed, pair, strict=True):
                # a map that has no part in it must not spoil the other
                total += np.where(weight > 0.0, weight * value, 0.0)
        return mixed[0], mixed[1]

    def _bilinear(
        self, index: NDArray[np.int64], longitude: Floats, latitude: Floats
    ) -> tuple[Floats, Floats]:
        row, up = self._cell(self.latitude, self._clamped(latitude), "latitude")
        if self._whole:
            longitude = self.longitude[0] + (longitude - self.longitude[0]) % (2.0 * np.pi)
        else:  # a regional map: of the angles that mean the same, that nearest its middle
            middle = 0.5 * (self.longitude[0] + self.longitude[-1])
            longitude = middle + (longitude - middle + np.pi) % (2.0 * np.pi) - np.pi
        column, right = self._cell(self.longitude, longitude, "longitude")
        found = []
        for grid in (self.tec, self.rms):
            if grid is None:
                found.append(np.full(row.shape, np.nan))
                continue
            low = grid[index, row, column] * (1.0 - right) + grid[index, row, column + 1] * right
            high = (
                grid[index, row + 1, column] * (1.0 - right)
                + grid[index, row + 1, column + 1] * right
            )
            found.append(low * (1.0 - up) + high * up)
        return found[0], found[1]

    def _clamped(self, latitude: Floats) -> Floats:
        """Return latitudes with those between a map's last row and a pole put on that row."""
        low, high = self.latitude[0], self.latitude[-1]
        low = low if low < -_POLAR else -np.inf
        high = high if high > _POLAR else np.inf
        return np.clip(latitude, low, high)

    def _cell(self, axis: Floats, value: Floats, name: str) -> tuple[NDArray[np.int64], Floats]:
        """Return the cell of each value along an axis, and where in it."""
        slack = 1e-9
        if not np.all((value >= axis[0] - slack) & (value <= axis[-1] + slack)):
            outside = value[~((value >= axis[0] - slack) & (value <= axis[-1] + slack))]
            raise SpanError(
                f"the ionosphere is pierced at {name} {np.degrees(outside[0]):.1f} degrees; the "
                f"map spans {np.degrees(axis[0]):.1f} to {np.degrees(axis[-1]):.1f}.",
                place=self.origin,
                next_step="Take a map that covers it, such as a global one.",
            )
        cell = np.clip(np.searchsorted(axis, value, side="right") - 1, 0, len(axis) - 2)
        return cell, np.clip((value - axis[cell]) / (axis[cell + 1] - axis[cell]), 0.0, 1.0)


@dataclass(frozen=True)
class Klobuchar:
    """A climatology: a constant at night and a cosine by day (Klobuchar 1987).

    By default with the coefficients that GPS broadcast on 2004-01-01: whoever has
    those of the day, or a `TecMap`, should use these.

    Attributes
    ----------
    alpha, beta : tuple of 4 floats
        Amplitude (s, s/semicircle, ...) and period (s, ...) as GPS broadcasts them.
    fraction : float
        Standard deviation over the value; the model removes about half of the
        delay (Klobuchar 1987).
    height, radius : float
        Of its thin layer, m.

    Examples
    --------
    >>> epochs = Epoch.from_iso(["2026-01-01T14:00:00", "2026-01-01T02:00:00"])
    >>> equator = np.zeros(2)
    >>> tecu = Klobuchar().vertical(epochs, equator, equator)[0] / 1e16
    >>> [round(float(x)) for x in tecu]
    [29, 9]
    """

    alpha: tuple[float, float, float, float] = _ALPHA
    beta: tuple[float, float, float, float] = _BETA
    fraction: float = 0.5
    height: float = 350e3
    radius: float = 6371e3

    def vertical(self, epoch: Epoch, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Return content and standard deviation, each of shape (n,), electrons/m^2.

        Equations of the GPS interface specification (IS-GPS-200, figure 20-4), angles
        there in semicircles: geomagnetic latitude, local time, then the cosine's series.
        """
        latitude = np.clip(latitude / np.pi, -0.416, 0.416)
        longitude = longitude / np.pi
        magnetic = latitude + 0.064 * np.cos((longitude - 1.617) * np.pi)
        local = (43200.0 * longitude + epoch.to("utc").second) % DAY
        amplitude = np.maximum(np.polynomial.polynomial.polyval(magnetic, self.alpha), 0.0)
        period = np.maximum(np.polynomial.polynomial.polyval(magnetic, self.beta), 72000.0)
        x = 2.0 * np.pi * (local - 50400.0) / period
        day = amplitude * (1.0 - x**2 / 2.0 + x**4 / 24.0)
        delay = 5e-9 + np.where(np.abs(x) < 1.57, day, 0.0)
        content = delay * C * _GPS_L1**2 / REFRACTION
        return np.asarray(content), np.asarray(self.fraction * content)
