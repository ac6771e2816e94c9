"""Positions of the Sun, planets and Moon: DE440, cut inside the package.

The Chebyshev coefficients of JPL's DE440 for 2000-2050 travel with the package
unchanged, so that nothing has to be fetched. A body is a centre or a
barycentre by name; a centre that the ephemeris does not hold is an error, but
for Mars, whose centre is its barycentre moved by Phobos (`kitestring.model.mars`).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import SpanError, UnknownNameError
from kitestring.model import _kernels
from kitestring.model.mars import mars_center_offset
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

NAIF_IDS = {
    "MERCURY BARYCENTER": 1,
    "VENUS BARYCENTER": 2,
    "EARTH-MOON BARYCENTER": 3,
    "MARS BARYCENTER": 4,
    "JUPITER BARYCENTER": 5,
    "SATURN BARYCENTER": 6,
    "URANUS BARYCENTER": 7,
    "NEPTUNE BARYCENTER": 8,
    "PLUTO BARYCENTER": 9,
    "SUN": 10,
    "MERCURY": 199,
    "VENUS": 299,
    "MOON": 301,
    "EARTH": 399,
}
_ALIASES = {
    "SSB": "SOLAR SYSTEM BARYCENTER",
    "EMB": "EARTH-MOON BARYCENTER",
    "EARTH BARYCENTER": "EARTH-MOON BARYCENTER",
}
SSB = "SOLAR SYSTEM BARYCENTER"
MARS = "MARS"


class Ephemeris:
    """States of solar-system bodies, in ICRF axes and TDB units.

    Parameters
    ----------
    layout : ndarray of int64, shape (n, 7)
        Target, centre (NAIF numbers), offset, records, coefficients a record
        and axis, first day (MJD TDB) and days a record.
    coefficients : ndarray
        Chebyshev coefficients in km, as [segment][record, axis, order].
    origin : str
        Where they come from.

    Attributes
    ----------
    coefficients : ndarray
        Coefficients in metres, for `kitestring.model._kernels`.
    segments : ndarray of int64, shape (n, 6)
        Segment table for the same.

    Examples
    --------
    >>> eph = Ephemeris.default()
    >>> state = eph.state("EARTH", "SUN", Epoch.from_iso("2026-01-01", "tdb"))
    >>> bool(abs(np.linalg.norm(state[:3]) / 1.495978707e11 - 0.9833) < 1e-4)
    True
    """

    def __init__(self, layout: NDArray[np.int64], coefficients: Floats, origin: str) -> None:
        targets = layout[:, 0].tolist()
        parents = [targets.index(c) if c in targets else -1 for c in layout[:, 1].tolist()]
        self.origin = origin
        self.coefficients = np.ascontiguousarray(coefficients * 1000.0)
        self.segments = np.ascontiguousarray(
            np.column_stack([layout[:, 2:], np.array(parents, dtype=np.int64)])
        )
        self._index: dict[str, int] = {
            name: targets.index(n) for name, n in NAIF_IDS.items() if n in targets
        }
        # a record may reach over the cut; the span is what all segments share
        first = self.segments[:, _kernels.START_DAY]
        last = first + self.segments[:, _kernels.RECORDS] * self.segments[:, _kernels.INTERVAL]
        self.first_day, self.last_day = int(first.max()), int(last.min())

    @staticmethod
    @cache
    def default() -> Ephemeris:
        """Return the ephemeris of the package: DE440, 2000-2050."""
        resource = files("kitestring") / "data" / "de440_2000_2050.npz"
        with as_file(resource) as path, np.load(path) as held:
            return Ephemeris(held["layout"], held["coefficients"], str(held["origin"]))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bodies that `state` knows."""
        mars = (MARS,) if "MARS BARYCENTER" in self._index else ()
        return (SSB, *self._index, *mars)

    def index(self, name: str) -> int:
        """Return a body's index in the segment table (-1 for the SSB).

        Raises
        ------
        UnknownNameError
            For a body that the ephemeris does not hold; the centre of a planet
            with moons is not its barycentre.
        """
        upper = _ALIASES.get(name.upper(), name.upper())
        if upper == SSB:
            return -1
        if upper not in self._index:
            raise UnknownNameError("body of the ephemeris", name, self.names)
        return self._index[upper]

    def _check_span(self, epoch: Epoch) -> None:
        if np.any((epoch.day < self.first_day) | (epoch.day >= self.last_day)):
            first = Epoch("tdb", np.int64(self.first_day), np.float64(0.0)).iso(0)  # type: ignore[arg-type]
            last = Epoch("tdb", np.int64(self.last_day), np.float64(0.0)).iso(0)  # type: ignore[arg-type]
            raise SpanError(
                f"the ephemeris covers {first} to {last} TDB, not "
                f"{epoch.first().iso(0)} to {epoch.last().iso(0)}.",
                next_step="Use an epoch inside it.",
            )

    def barycentric(self, name: str, epoch: Epoch) -> Floats:
        """Return states relative to the solar-system barycentre.

        Parameters
        ----------
        name : str
            Body, such as ``"EARTH"``, ``"MARS BARYCENTER"`` or ``"MARS"``.
        epoch : Epoch, shape (...)
            Converted to TDB.

        Returns
        -------
        ndarray, shape (..., 6)
            Position (m) and velocity (m/s), ICRF axes.
        """
        tdb = epoch.to("tdb")
        out = np.zeros((int(np.prod(tdb.shape)), 6))
        if name.upper() == MARS:
            body = self.index("MARS BARYCENTER")
            out += mars_center_offset(Epoch("tdb", tdb.day.ravel(), tdb.second.ravel()))
        else:
            body = self.index(name)
        if body >= 0:
            self._check_span(tdb)
            _kernels.body_states(
                self.coefficients, self.segments, body, tdb.day.ravel(), tdb.second.ravel(), out
            )
        return out.reshape((*tdb.shape, 6))

    def state(self, target: str, center: str, epoch: Epoch) -> Floats:
        """Return states of `target` relative to `center`, shape (..., 6), m and m/s."""
        tdb = epoch.to("tdb")
        return self.barycentric(target, tdb) - self.barycentric(center, tdb)
