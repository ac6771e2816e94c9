"""From a `ForceModel` to what the compiled right-hand side needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from kitestring.dynamics.types import ForceModel
from kitestring.errors import ConfigurationError, UnknownNameError
from kitestring.model.constants import AU, GM, C
from kitestring.model.ephemeris import MARS, Ephemeris
from kitestring.model.time import Epoch

SOLAR_IRRADIANCE = 1361.0
"""Total solar irradiance at 1 au, W/m^2 (Kopp & Lean 2011: 1360.8 +- 0.5)."""

LIGHT_PRESSURE = SOLAR_IRRADIANCE / C * AU**2
"""Light pressure times the square of the distance from the Sun, N."""


def environment(
    forces: ForceModel, center: str, epoch: Epoch, thrust: np.ndarray[Any, Any], eph: Ephemeris
) -> tuple[Any, ...]:
    """Return the tuple that `kitestring.dynamics._kernels.force` unpacks.

    Parameters
    ----------
    forces : ForceModel
        What acts.
    center : str
        Centre of the state.
    epoch : Epoch, shape ()
        TDB epoch that the integrator's seconds count from.
    thrust : ndarray, shape (3,)
        Sum of the constant accelerations that are on, m/s^2.
    eph : Ephemeris
        Where the bodies are.

    Raises
    ------
    UnknownNameError
        For a body without gravitational parameter.
    ConfigurationError
        Where the centre is no point mass of the model (its own attraction
        would be missing), or is MARS and not its barycentre.
    """
    if MARS in (center.upper(), *forces.bodies):
        raise ConfigurationError(
            "MARS is no point mass of the ephemeris.",
            next_step="Take MARS BARYCENTER, within 0.3 m of it.",
        )
    for name in forces.bodies:
        if name not in GM:
            raise UnknownNameError("point mass", name, GM)
    index = eph.index(center)
    bodies = [eph.index(name) for name in forces.bodies]
    if len(set(bodies)) != len(bodies):
        raise ConfigurationError(f"a body stands twice in {forces.bodies}.")
    both = {"EARTH-MOON BARYCENTER"} & set(forces.bodies), {"EARTH", "MOON"} & set(forces.bodies)
    if all(both):
        raise ConfigurationError(
            "the Earth and Moon would count twice.",
            next_step="Take EARTH-MOON BARYCENTER, or EARTH and MOON.",
        )
    if index >= 0 and index not in bodies:
        raise ConfigurationError(
            f"the centre {center} is none of the attracting bodies {forces.bodies}.",
            next_step="Add it to the force model's bodies, or choose another centre.",
        )
    return (
        eph.coefficients,
        eph.segments,
        int(epoch.day),
        float(epoch.second),
        index,
        eph.index("SUN"),
        GM["SUN"],
        np.array(bodies, dtype=np.int64),
        np.array([GM[name] for name in forces.bodies]),
        bool(forces.relativity),
        float(LIGHT_PRESSURE * forces.area_over_mass),
        float(forces.srp_scale),
        np.array(thrust, dtype=np.float64),
    )
