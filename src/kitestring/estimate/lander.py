"""A lander as the estimator sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError, UnknownNameError
from kitestring.model.rotation import EstimableRotation
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody, body_rotation

Floats = NDArray[np.float64]

_COORDINATES = ("x", "y", "z")


class LanderTarget:
    """A target that stands still on a body: three body-fixed coordinates, and how it turns.

    Parameters
    ----------
    name : str
        Name of the target.
    body : str
        What it stands on: ``"MARS"``.
    position : array_like, shape (3,)
        First guess, from the body's centre, body-fixed axes, m.
    rotation : EstimableRotation, optional
        How the body turns, such as `kitestring.model.mars_angles.MarsAngles`; that of
        `kitestring.model.trajectory.body_rotation` unless given.
    estimate : sequence of str
        Parameters of the rotation beside the coordinates, by its names (its ``units``
        lists them). Their first guesses are the rotation's own values.

    Raises
    ------
    ConfigurationError
        For a body whose rotation is not known, parameters of a rotation that is not
        given, or one named twice.
    UnknownNameError
        For a parameter that the rotation does not have.

    Examples
    --------
    >>> from kitestring.model.mars_angles_file import load_mars_rotation
    >>> place = [-2417.6e3, 2365.8e3, 266.0e3]
    >>> lander = LanderTarget("INSIGHT", "MARS", place, load_mars_rotation(), ["phi_dot"])
    >>> lander.names, lander.units
    (('x', 'y', 'z', 'phi_dot'), ('m', 'm', 'm', 'rad/s'))
    """

    def __init__(
        self,
        name: str,
        body: str,
        position: ArrayLike,
        rotation: EstimableRotation | None = None,
        estimate: Sequence[str] = (),
    ) -> None:
        self.first = FixedOnBody(name, body, np.asarray(position, dtype=np.float64), rotation)
        self.rotation = rotation
        self.estimate = tuple(estimate)
        if self.estimate and rotation is None:
            raise ConfigurationError(
                f"{', '.join(self.estimate)}: the rotation of {body} is given without parameters.",
                next_step="Give a rotation that has them, such as load_mars_rotation().",
            )
        if len(set(self.estimate)) < len(self.estimate):
            raise ConfigurationError(
                f"{', '.join(self.estimate)}: a parameter is named twice.",
                next_step="Name each once.",
            )
        units = rotation.units if rotation else {}
        for parameter in self.estimate:
            if parameter not in units:
                raise UnknownNameError("parameter of the rotation", parameter, units)
        self.units = ("m", "m", "m", *(units[p] for p in self.estimate))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters: x, y, z and those of the rotation."""
        return (*_COORDINATES, *self.estimate)

    @property
    def values(self) -> Floats:
        """First guess of the parameters, in the units of `units`."""
        if self.rotation is None:
            return self.first.position
        return np.concatenate([self.first.position, self.rotation.values(self.estimate)])

    def _turning(self, values: Floats) -> EstimableRotation | None:
        """Return how the body turns with these parameters."""
        if self.rotation is None or not self.estimate:
            return self.rotation
        return self.rotation.changed(self.estimate, values[3:])

    def trajectory(self, values: Floats) -> FixedOnBody:
        """Return where the target is for these parameters.

        Raises
        ------
        ConfigurationError
            Where there is not one finite value for each.
        """
        given = np.asarray(values, dtype=np.float64)
        if given.shape != (len(self.names),):
            raise ConfigurationError(
                f"{values!r} are not values of {', '.join(self.names)}.",
                next_step="Give one number for each, in this order.",
            )
        return FixedOnBody(self.first.name, self.first.body, given[:3], self._turning(given))

    def position_partial(self, values: Floats, epoch: Epoch) -> Floats:
        """Return d(position, ICRF axes)/d(parameters) at TDB epochs, shape (n, 3, p)."""
        given = np.asarray(values, dtype=np.float64)
        rotation = self._turning(given)
        if rotation is None:
            return body_rotation(self.first.body, epoch).matrix
        matrix = rotation(epoch).matrix
        if not self.estimate:
            return matrix
        turning = rotation.position_partial(self.estimate, epoch, given[:3])
        return np.concatenate([matrix, turning], axis=-1)
