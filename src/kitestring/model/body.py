"""Bodies of the ephemeris as targets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kitestring.model.ephemeris import SSB, Ephemeris
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EphemerisBody:
    """A planet, its barycentre, the Sun or the Moon: a `Trajectory`.

    Attributes
    ----------
    name : str
        As the ephemeris calls it, such as ``"MARS"`` or ``"JUPITER BARYCENTER"``.
    ephemeris : Ephemeris
        The package's DE440 by default.

    Raises
    ------
    UnknownNameError
        For a body that the ephemeris does not hold.

    Examples
    --------
    >>> mars = EphemerisBody("mars")
    >>> state = mars.state(Epoch.from_iso("2026-01-01", "tdb"))
    >>> mars.name, bool(1.38 < np.linalg.norm(state[:3]) / 1.495978707e11 < 1.67)
    ('MARS', True)
    """

    name: str
    ephemeris: Ephemeris = field(default_factory=Ephemeris.default)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.upper())
        self.state(self.span[0])

    @property
    def center(self) -> str:
        """The barycentre of the solar system."""
        return SSB

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """First and last epoch of the ephemeris, TDB."""
        days = (self.ephemeris.first_day, self.ephemeris.last_day)
        first, last = (Epoch("tdb", np.asarray(day), np.asarray(0.0)) for day in days)
        return first, last

    def state(self, epoch: Epoch) -> Floats:
        """Return states relative to the SSB, shape (..., 6), m and m/s.

        Raises
        ------
        SpanError
            For an epoch outside the ephemeris.
        """
        return self.ephemeris.barycentric(self.name, epoch)
