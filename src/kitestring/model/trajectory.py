"""Trajectories: where a target is, whoever computed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.ephemeris import MARS, Ephemeris
from kitestring.model.mars import mars_rotation
from kitestring.model.rotation import BodyRotation, Rotation
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]


class Trajectory(Protocol):
    """States of one target relative to a centre, in ICRF axes (BCRS, TDB units)."""

    @property
    def name(self) -> str:
        """Name of the target."""

    @property
    def center(self) -> str:
        """Name of the centre in `kitestring.model.ephemeris`, such as ``"SSB"`` or ``"SUN"``."""

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """First and last epoch covered, TDB."""

    def state(self, epoch: Epoch) -> Floats:
        """Return positions and velocities, shape (..., 6), m and m/s, relative to `center`.

        Raises
        ------
        SpanError
            For an epoch outside `span`; it names the span.
        """


def body_rotation(body: str, epoch: Epoch) -> BodyRotation:
    """Return how a body is oriented.

    Raises
    ------
    ConfigurationError
        For a body whose rotation is not known here.
    """
    if body.upper() != MARS:
        raise ConfigurationError(
            f"nothing is known of the rotation of {body!r}.",
            next_step="Give rotation=MoonRotation(path) of a binary PCK "
            "(kitestring.model.moon; NAIF's moon_pa_de440_200625.bpc)."
            if body.upper() == "MOON"
            else f"Only {MARS} has a surface here; give another body's rotation=, or its state as "
            "a trajectory.",
        )
    return mars_rotation(epoch)


@dataclass(frozen=True, eq=False)
class FixedOnBody:
    """A lander: it stands still on a body that turns.

    Attributes
    ----------
    name : str
        Name of the target.
    body : str
        What it stands on, by the name of its centre: ``"MARS"``.
    position : ndarray, shape (3,)
        From the body's centre, body-fixed axes, m.
    rotation : Rotation, optional
        How the body turns, such as `kitestring.model.mars_angles.MarsAngles`; that of
        `body_rotation` unless given.

    Raises
    ------
    ConfigurationError
        For a body whose rotation is not known, or a position that is not three numbers.

    Examples
    --------
    >>> lander = FixedOnBody("INSIGHT", "MARS", [-2417.6e3, 2365.8e3, 266.0e3])
    >>> speed = np.linalg.norm(lander.state(Epoch.from_iso("2020-01-01", "tdb"))[3:])
    >>> round(float(speed), 1)
    239.8
    """

    name: str
    body: str
    position: Floats
    rotation: Rotation | None = None

    def __post_init__(self) -> None:
        place = np.asarray(self.position, dtype=np.float64)
        if place.shape != (3,) or not np.all(np.isfinite(place)):
            raise ConfigurationError(
                f"{self.position!r} is not a position.", next_step="Give x, y and z in m."
            )
        if self.rotation is None and self.body.upper() != MARS:
            body_rotation(self.body, self.span[0])
        object.__setattr__(self, "position", place)
        object.__setattr__(self, "body", self.body.upper())

    @property
    def center(self) -> str:
        """The body's centre."""
        return self.body

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """First and last epoch that ephemeris and rotation both cover, TDB."""
        ephemeris = Ephemeris.default()
        ends = (ephemeris.first_day, ephemeris.last_day)
        first, last = (Epoch("tdb", np.asarray(day), np.asarray(0.0)) for day in ends)
        begin, end = getattr(self.rotation, "span", (first, last))
        return begin if begin.since(first) > 0.0 else first, end if end.since(last) < 0.0 else last

    def state(self, epoch: Epoch) -> Floats:
        """Return positions and velocities, shape (..., 6), m and m/s, from the body's centre."""
        turned = self.rotation(epoch) if self.rotation else body_rotation(self.body, epoch)
        place = turned.position(self.position)
        return np.concatenate([place, turned.velocity(place)], axis=-1)
