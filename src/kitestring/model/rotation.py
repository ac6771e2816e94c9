"""How a body is oriented, and what a model of it has to offer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.model.time import Epoch

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BodyRotation:
    """Orientation of a turning body at some epochs.

    Attributes
    ----------
    matrix : ndarray, shape (..., 3, 3)
        ICRF = matrix @ body-fixed.
    spin : ndarray, shape (..., 3)
        Angular velocity, rad/s, ICRF, the motion of the pole included.

    Examples
    --------
    >>> still = BodyRotation(np.eye(3), np.zeros(3))
    >>> still.velocity(still.position(np.array([1.0, 2.0, 3.0])))
    array([0., 0., 0.])
    """

    matrix: Floats
    spin: Floats

    def position(self, fixed: Floats) -> Floats:
        """Return ICRF vectors of body-fixed vectors, shape (..., 3)."""
        return np.asarray(np.einsum("...ij,...j->...i", self.matrix, fixed))

    def velocity(self, icrf: Floats) -> Floats:
        """Return velocities (m/s) of body-fixed points at ICRF vectors from the centre."""
        return np.asarray(np.cross(self.spin, icrf))


Rotation = Callable[[Epoch], BodyRotation]
"""A body's orientation at epochs (any scale; TDB is what it is computed in)."""


class EstimableRotation(Protocol):
    """A rotation with parameters that data can improve."""

    def __call__(self, epoch: Epoch) -> BodyRotation:
        """Return the orientation at epochs."""

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter, by its name."""

    def values(self, names: Sequence[str]) -> Floats:
        """Return parameters, shape (p,).

        Raises
        ------
        UnknownNameError
            For a parameter that it does not have.
        """

    def changed(self, names: Sequence[str], values: ArrayLike) -> EstimableRotation:
        """Return the rotation with other values of these parameters."""

    def position_partial(self, names: Sequence[str], epoch: Epoch, fixed: Floats) -> Floats:
        """Return d(ICRF vector)/d(parameters) of a body-fixed vector, shape (n, 3, p)."""
