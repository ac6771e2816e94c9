"""Covariances of a state in the frames that people think in, and at other epochs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import EstimationError

Floats = NDArray[np.float64]

MAS = np.pi / (180.0 * 3600.0 * 1000.0)
"""One milliarcsecond, rad."""


@dataclass(frozen=True)
class ErrorEllipse:
    """One-sigma ellipse of two errors (39 % of draws lie inside).

    Attributes
    ----------
    semi_major, semi_minor : float
        Semi-axes, in the unit of the errors.
    position_angle : float
        Of the major axis, rad, 0 <= angle < pi: from the second axis (north)
        through the first (east), as on the sky.
    """

    semi_major: float
    semi_minor: float
    position_angle: float


@dataclass(frozen=True, eq=False)
class PlaneOfSky:
    """Uncertainty of a position as seen from the Earth.

    Attributes
    ----------
    distance : float
        m.
    covariance : ndarray, shape (3, 3)
        Of (east, north, range), m^2: increasing right ascension, declination
        and distance.
    ellipse : ErrorEllipse
        Of (east, north), m.
    """

    distance: float
    covariance: Floats
    ellipse: ErrorEllipse

    @property
    def sigmas(self) -> Floats:
        """Sigmas of (east, north, range), m."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def angles(self) -> Floats:
        """Sigmas of (right ascension x cos declination, declination), rad."""
        return self.sigmas[:2] / self.distance

    def __str__(self) -> str:
        east, north, away = self.sigmas / 1e3
        angles = self.angles / MAS
        return (
            f"east {east:.3f} km ({angles[0]:.3f} mas), north {north:.3f} km "
            f"({angles[1]:.3f} mas), range {away:.3f} km"
        )


def rtn_axes(state: ArrayLike) -> Floats:
    """Return the radial, transverse and normal unit vectors of an orbit, shape (3, 3), in rows.

    Radial away from the centre; normal along the angular momentum; transverse
    completes them and points along the motion.

    Raises
    ------
    EstimationError
        Where position and velocity are parallel: there is no orbital plane.
    """
    vector = np.asarray(state, dtype=np.float64)
    r, v = vector[:3], vector[3:]
    momentum = np.cross(r, v)
    size = np.linalg.norm(momentum)
    if not size > 1e-14 * np.linalg.norm(r) * np.linalg.norm(v):
        raise EstimationError("position and velocity are parallel: the orbit has no plane.")
    radial, normal = r / np.linalg.norm(r), momentum / size
    return np.array([radial, np.cross(normal, radial), normal])


def to_axes(covariance: ArrayLike, axes: Floats) -> Floats:
    """Return a covariance of a state (6, 6) or position (3, 3) along other axes.

    The axes are those of one instant, not turning ones: velocities are turned,
    nothing is added to them.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    turn = axes if len(matrix) == 3 else np.kron(np.eye(2), axes)
    return np.asarray(turn @ matrix @ turn.T)


def covariance_rtn(covariance: ArrayLike, state: ArrayLike) -> Floats:
    """Return the covariance of a state in radial, transverse, normal components.

    Parameters
    ----------
    covariance : array_like, shape (6, 6) or (3, 3)
        Of (x, y, z, vx, vy, vz) or of the position.
    state : array_like, shape (6,)
        Relative to the body that the axes shall refer to.
    """
    return to_axes(covariance, rtn_axes(state))


def sky_axes(direction: ArrayLike) -> Floats:
    """Return the unit vectors east, north and away from the Earth, shape (3, 3), in rows.

    Parameters
    ----------
    direction : array_like, shape (3,)
        From the Earth to the target, ICRF axes, any length.

    Raises
    ------
    EstimationError
        At a celestial pole, where right ascension has no direction.
    """
    away = np.asarray(direction, dtype=np.float64)
    away = away / np.linalg.norm(away)
    across = np.hypot(away[0], away[1])
    if not across > 1e-12:
        raise EstimationError("at a celestial pole there is neither east nor north.")
    east = np.array([-away[1], away[0], 0.0]) / across
    return np.array([east, np.cross(away, east), away])


def plane_of_sky(covariance: ArrayLike, from_earth: ArrayLike) -> PlaneOfSky:
    """Return how uncertain a position is on the sky and in range.

    Parameters
    ----------
    covariance : array_like, shape (6, 6) or (3, 3)
        Of the state or position, m, ICRF axes.
    from_earth : array_like, shape (3,)
        Position relative to the Earth, m.
    """
    place = np.asarray(from_earth, dtype=np.float64)
    position = np.asarray(covariance, dtype=np.float64)[:3, :3]
    turned = to_axes(position, sky_axes(place))
    return PlaneOfSky(float(np.linalg.norm(place)), turned, error_ellipse(turned[:2, :2]))


def error_ellipse(covariance: ArrayLike) -> ErrorEllipse:
    """Return the one-sigma ellipse of a (2, 2) covariance of (east, north)."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, dtype=np.float64))
    east, north = vectors[:, 1]
    angle = float(np.arctan2(east, north) % np.pi)
    low, high = np.sqrt(np.maximum(values, 0.0))  # a degenerate ellipse may round below zero
    return ErrorEllipse(float(high), float(low), angle)


def map_covariance(covariance: ArrayLike, transition: ArrayLike) -> Floats:
    """Return the covariance at another epoch, Phi P Phi^T.

    Parameters
    ----------
    covariance : array_like, shape (p, p)
        Of the initial state and parameters.
    transition : array_like, shape (..., 6, p)
        As `PropagatedTrajectory.transition` returns it.
    """
    phi = np.asarray(transition, dtype=np.float64)
    matrix = np.asarray(covariance, dtype=np.float64)
    return np.asarray(phi @ matrix @ np.swapaxes(phi, -1, -2))
