"""A lander as the estimator sees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody, body_rotation

Floats = NDArray[np.float64]


class LanderTarget:
    """A target that stands still on a body: three body-fixed coordinates.

    Parameters
    ----------
    name : str
        Name of the target.
    body : str
        What it stands on: ``"MARS"``.
    position : array_like, shape (3,)
        First guess, from the body's centre, body-fixed axes, m.

    Raises
    ------
    ConfigurationError
        For a body whose rotation is not known.
    """

    names = ("x", "y", "z")

    def __init__(self, name: str, body: str, position: ArrayLike) -> None:
        self.first = FixedOnBody(name, body, np.asarray(position, dtype=np.float64))

    @property
    def values(self) -> Floats:
        """First guess of x, y and z, m."""
        return self.first.position

    def trajectory(self, values: Floats) -> FixedOnBody:
        """Return where the target is for these coordinates."""
        return FixedOnBody(self.first.name, self.first.body, np.asarray(values, dtype=np.float64))

    def position_partial(self, values: Floats, epoch: Epoch) -> Floats:
        """Return d(position, ICRF axes)/d(x, y, z) at TDB epochs, shape (n, 3, 3)."""
        return body_rotation(self.first.body, epoch).matrix
