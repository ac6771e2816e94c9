"""What Mars' rotation is made of: terms of series, and turns about axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NutationTerm:
    """Nutation of a rigid Mars at one argument ``multiple l + phase + phase_rate t``.

    Attributes
    ----------
    multiple : float
        How often the mean anomaly l of Mars enters the argument; 0 for a constant.
    obliquity, longitude : float
        Amplitudes, rad: of the cosine in I, and of the sine in psi.
    phase, phase_rate : float
        What is added to the argument, rad at J2000 and rad/s.
    """

    multiple: float
    obliquity: float = 0.0
    longitude: float = 0.0
    phase: float = 0.0
    phase_rate: float = 0.0


@dataclass(frozen=True)
class SeasonalTerm:
    """``cos`` cos(multiple l) + ``sin`` sin(multiple l), rad, of the mean anomaly l of Mars."""

    multiple: float
    cos: float = 0.0
    sin: float = 0.0


@dataclass(frozen=True)
class AngleChange:
    """Changes (or rates) of the five angles: node, obliquity, spin, polar motion."""

    psi: Floats | float = 0.0
    obliquity: Floats | float = 0.0
    phi: Floats | float = 0.0
    x: Floats | float = 0.0
    y: Floats | float = 0.0


def turn(axis: int, angle: Floats) -> Floats:
    """Return matrices, shape (..., 3, 3), that turn vectors about a coordinate axis."""
    matrix = np.zeros((*angle.shape, 3, 3))
    first, second = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = np.cos(angle), np.sin(angle)
    matrix[..., axis, axis] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = cos
    matrix[..., first, second], matrix[..., second, first] = -sin, sin
    return matrix


def rotation_vector(axes: Floats, change: AngleChange) -> Floats:
    """Return the rotation vector of small changes of the angles (or the spin of their rates)."""
    parts = (change.psi, change.obliquity, -np.asarray(change.y), -np.asarray(change.x), change.phi)
    return np.asarray(
        sum(axes[..., k] * np.asarray(part)[..., None] for k, part in enumerate(parts))
    )
