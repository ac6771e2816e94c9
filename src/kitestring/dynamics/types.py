"""What is propagated, and what acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

STATE_NAMES = ("x", "y", "z", "vx", "vy", "vz")
PRESSURE_NAME = "srp_scale"
POINT_MASSES = (
    "SUN",
    "MERCURY BARYCENTER",
    "VENUS BARYCENTER",
    "EARTH",
    "MOON",
    "MARS BARYCENTER",
    "JUPITER BARYCENTER",
    "SATURN BARYCENTER",
    "URANUS BARYCENTER",
    "NEPTUNE BARYCENTER",
    "PLUTO BARYCENTER",
)
"""The bodies of DE440 whose gravity counts unless others are named."""


def _three(values: ArrayLike, what: str) -> Floats:
    vector = np.array(values, dtype=np.float64)
    if vector.shape != (3,) or not np.all(np.isfinite(vector)):
        raise ConfigurationError(f"{what} {values!r} is not three finite numbers.")
    vector.setflags(write=False)
    return vector


def _one_epoch(epoch: Epoch, what: str) -> Epoch:
    if epoch.shape != ():
        raise ConfigurationError(f"{what} must be one epoch, not an array of {epoch.shape}.")
    return epoch.to("tdb")


@dataclass(frozen=True, eq=False)
class OrbitState:
    """Position and velocity of a spacecraft at one epoch.

    Attributes
    ----------
    epoch : Epoch, shape ()
        Any scale; kept as TDB.
    state : ndarray, shape (6,)
        Position (m) and velocity (m/s) relative to `center`, ICRF axes, TDB
        units.
    center : str
        A point mass of `kitestring.model.ephemeris`, or ``"SSB"``. The state
        is integrated relative to it: take the Sun in cruise, a planet near it.
    name : str
        Name of the spacecraft.
    """

    epoch: Epoch
    state: Floats
    center: str = "SUN"
    name: str = "SPACECRAFT"

    def __post_init__(self) -> None:
        state = np.array(self.state, dtype=np.float64)
        if state.shape != (6,) or not np.all(np.isfinite(state)):
            raise ConfigurationError(
                f"a state of shape {state.shape} with {int(np.sum(np.isfinite(state)))} finite "
                "numbers is no position and velocity.",
                next_step="Give six numbers: x, y, z in m and vx, vy, vz in m/s.",
            )
        state.setflags(write=False)
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "epoch", _one_epoch(self.epoch, "the epoch of a state"))

    def replaced(self, state: ArrayLike) -> OrbitState:
        """Return the same spacecraft and epoch with other numbers."""
        return replace(self, state=np.asarray(state, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Impulse:
    """A burn so short that only the velocity jumps.

    Attributes
    ----------
    name : str
        Its components are the parameters ``name.x``, ``name.y``, ``name.z``.
    epoch : Epoch, shape ()
        When. A state at this very epoch is the one after the burn.
    delta_v : ndarray, shape (3,)
        Change of velocity, m/s, ICRF axes.
    """

    name: str
    epoch: Epoch
    delta_v: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "epoch", _one_epoch(self.epoch, "the epoch of a burn"))
        object.__setattr__(self, "delta_v", _three(self.delta_v, "delta-v"))

    @property
    def vector(self) -> Floats:
        """What its parameters hold."""
        return self.delta_v

    def with_vector(self, vector: ArrayLike) -> Impulse:
        """Return the burn with another delta-v."""
        return replace(self, delta_v=np.asarray(vector, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Thrust:
    """A constant acceleration for a while: a finite burn, or an empirical acceleration.

    Attributes
    ----------
    name : str
        Its components are the parameters ``name.x``, ``name.y``, ``name.z``.
    start, stop : Epoch, shape ()
        From when to when.
    acceleration : ndarray, shape (3,)
        m/s^2, ICRF axes.
    """

    name: str
    start: Epoch
    stop: Epoch
    acceleration: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _one_epoch(self.start, "the start of a thrust"))
        object.__setattr__(self, "stop", _one_epoch(self.stop, "the stop of a thrust"))
        object.__setattr__(self, "acceleration", _three(self.acceleration, "acceleration"))
        if self.stop.since(self.start) <= 0.0:
            raise ConfigurationError(f"thrust {self.name!r} stops before it starts.")

    @property
    def vector(self) -> Floats:
        """What its parameters hold."""
        return self.acceleration

    def with_vector(self, vector: ArrayLike) -> Thrust:
        """Return the thrust with another acceleration."""
        return replace(self, acceleration=np.asarray(vector, dtype=np.float64))


@dataclass(frozen=True)
class ForceModel:
    """What acts on a spacecraft.

    The parameters that a transition matrix has columns for are, in order, the
    light-pressure scale (where there is light pressure) and three components a
    burn.

    Attributes
    ----------
    bodies : tuple of str
        Point masses; gravitational parameters of DE440.
    relativity : bool
        Whether the Sun's Schwarzschild term counts.
    area_over_mass : float
        Cross-section over mass times the reflectivity coefficient, m^2/kg; the
        spacecraft is a cannonball. No shadows.
    srp_scale : float
        Factor on the light pressure.
    burns : tuple of Impulse or Thrust
        In any order.

    Examples
    --------
    >>> ForceModel(area_over_mass=0.02).parameters
    ('srp_scale',)
    """

    bodies: tuple[str, ...] = POINT_MASSES
    relativity: bool = True
    area_over_mass: float = 0.0
    srp_scale: float = 1.0
    burns: tuple[Impulse | Thrust, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "bodies", tuple(name.upper() for name in self.bodies))
        object.__setattr__(self, "burns", tuple(self.burns))
        names = self.parameters + STATE_NAMES
        if len(set(names)) != len(names):
            raise ConfigurationError(
                f"two parameters share a name in {self.parameters}.",
                next_step="Give every burn a name of its own.",
            )
        if (
            self.area_over_mass < 0.0
            or not np.isfinite([self.area_over_mass, self.srp_scale]).all()
        ):
            raise ConfigurationError(
                f"light pressure cannot have area over mass {self.area_over_mass} m^2/kg "
                f"and scale {self.srp_scale}."
            )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        names = [PRESSURE_NAME] if self.area_over_mass else []
        return (*names, *(f"{burn.name}.{axis}" for burn in self.burns for axis in "xyz"))

    @property
    def values(self) -> Floats:
        """Values of the parameters."""
        first = [self.srp_scale] if self.area_over_mass else []
        return np.array([*first, *(v for burn in self.burns for v in burn.vector)])

    def with_values(self, values: Sequence[float] | Floats) -> ForceModel:
        """Return the same forces with other values of the parameters."""
        numbers = np.asarray(values, dtype=np.float64)
        if numbers.shape != (len(self.parameters),):
            raise ConfigurationError(
                f"{numbers.shape} numbers are no values of the parameters {self.parameters}."
            )
        first = 1 if self.area_over_mass else 0
        scale = float(numbers[0]) if first else self.srp_scale
        vectors = numbers[first:].reshape(-1, 3)
        burns = tuple(b.with_vector(v) for b, v in zip(self.burns, vectors, strict=True))
        return replace(self, srp_scale=scale, burns=burns)
