"""One station: where an antenna stands, how it turns, and what its axes cost.

A `Station` holds figures only; `kitestring.model.stations` finds it by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.constants import C
from kitestring.model.structure import Structure
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]
Limits = tuple[float, float]
Mount = Literal["azel", "equatorial", "xyns", "xyew", "fixed"]
MOUNTS: tuple[Mount, ...] = ("azel", "equatorial", "xyns", "xyew", "fixed")

GRS80 = 2  # ERFA's number of the ellipsoid
_FASTEST = np.pi / 2  # rad/s
_REFRACTIVITY, _REFRACTIVITY_SCALE = 315e-6, 7350.0  # n - 1 at sea level, and its scale height, m
_NEAR_EARTH = (6.3e6, 6.4e6)  # distances from the geocentre of anything on the ground, m
_LONGEST_OFFSET = 50.0  # m; the longest built is 14 m
_FASTEST_GROUND = 1.0 / (365.25 * 86400.0)  # m/s; plates drift by up to 0.1 m a year


def name_key(name: str) -> str:
    """Return what names are compared by: ``"DSS-55"``, ``"dss 55"`` and ``"DSS55"`` are one.

    Parameters
    ----------
    name : str
        Of a station, as anybody writes it.

    Examples
    --------
    >>> name_key("dss 55") == name_key("DSS-55")
    True
    """
    return "".join(c for c in name.upper() if c not in " -_\0")


def geodetic(position: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return longitude, latitude (rad) and height (m) of ITRF positions on GRS80.

    Parameters
    ----------
    position : array_like, shape (..., 3)
        ITRF, m.
    """
    longitude, latitude, height = erfa.gc2gd(GRS80, np.asarray(position, dtype=np.float64))
    return longitude, latitude, height


def enu_matrix(longitude: ArrayLike, latitude: ArrayLike) -> Floats:
    """Return the rotation from ITRF to local east, north, up, shape (..., 3, 3).

    Parameters
    ----------
    longitude, latitude : array_like, shape (...)
        Geodetic, rad.

    Examples
    --------
    >>> enu_matrix(0.0, 0.0) @ (1.0, 2.0, 3.0)
    array([2., 3., 1.])
    """
    lon, lat = np.broadcast_arrays(np.asarray(longitude, float), np.asarray(latitude, float))
    sl, cl, sp, cp = np.sin(lon), np.cos(lon), np.sin(lat), np.cos(lat)
    rows = [[-sl, cl, np.zeros_like(sl)], [-sp * cl, -sp * sl, cp], [cp * cl, cp * sl, sp]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


@dataclass(frozen=True, eq=False)
class Station:
    """An antenna.

    Attributes
    ----------
    name : str
        Name in the catalogue; that of the IVS (8 characters at most) where it has one.
    position : ndarray, shape (3,)
        Reference point (where the axes cross or come nearest) at `epoch`, m.
    velocity : ndarray, shape (3,)
        m/s.
    epoch : Epoch
        When it was at `position`.
    frame : str
        Terrestrial frame of position and velocity.
    code : str
        Two-letter code; empty where it has none.
    aliases : tuple of str
        Other names.
    mount : {"azel", "equatorial", "xyns", "xyew", "fixed"}
        The fixed axis is the vertical, the Earth's axis, or the horizontal
        north-south or east-west one; ``"fixed"`` has no offset to correct.
    axis_offset : float
        Distance between the axes, m.
    elevation_limit : float
        Lowest elevation that can be observed, rad.
    axis1_limits, axis2_limits : (float, float) or None
        Range of the axes in the sense of the mount (azimuth and elevation for
        ``"azel"``), rad; None where unknown. Azimuth is not wrapped.
    slew : (float, float) or None
        Greatest rates of the two axes, rad/s; None where unknown.
    sigma : float
        Standard deviation of each coordinate of the position, m.
    approximate : bool
        True where the position is not good enough for VLBI.
    structure : Structure or None
        Dimensions and expansion, for `kitestring.model.deformation`; None where unknown.
    origin : str
        Where the figures come from.

    Raises
    ------
    ConfigurationError
        For a position that is not on the ground, a mount that does not exist, or a
        velocity, axis offset, limit, slew rate or sigma that cannot be.
    """

    name: str
    position: Floats
    velocity: Floats = field(default_factory=lambda: np.zeros(3))
    epoch: Epoch = field(default_factory=lambda: Epoch.from_mjd(55197.0, "tt"))  # 2010.0
    frame: str = "ITRF2014"
    code: str = ""
    aliases: tuple[str, ...] = ()
    mount: Mount = "azel"
    axis_offset: float = 0.0
    elevation_limit: float = 0.0
    axis1_limits: Limits | None = None
    axis2_limits: Limits | None = None
    sigma: float = 0.01
    approximate: bool = False
    origin: str = ""
    slew: Limits | None = None
    structure: Structure | None = None

    def __post_init__(self) -> None:
        for name in ("position", "velocity"):
            value = np.array(getattr(self, name), dtype=np.float64)
            if value.shape != (3,) or not np.all(np.isfinite(value)):
                raise ConfigurationError(
                    f"{name} of station {self.name} is not three finite numbers.",
                    next_step="Give X, Y, Z.",
                )
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        distance = float(np.linalg.norm(self.position))
        if not _NEAR_EARTH[0] < distance < _NEAR_EARTH[1]:
            raise ConfigurationError(
                f"station {self.name} lies {distance / 1e3:.1f} km from the geocentre.",
                next_step="Give geocentric X, Y, Z in metres; 6350 to 6385 km is the ground.",
            )
        if not float(np.linalg.norm(self.velocity)) < _FASTEST_GROUND:
            raise ConfigurationError(
                f"station {self.name} moves by more than a metre a year.",
                next_step="Give its velocity in m/s (in a TOML file in m a year).",
            )
        if not abs(self.axis_offset) < _LONGEST_OFFSET:  # NaN is caught as well
            raise ConfigurationError(
                f"an axis offset of {self.axis_offset:g} m (station {self.name}) is none.",
                next_step="Give the distance between the axes in metres.",
            )
        for limits in (self.axis1_limits, self.axis2_limits):
            if limits is not None and not -np.inf < limits[0] < limits[1] < np.inf:
                raise ConfigurationError(
                    f"an axis of station {self.name} has limits {limits[0]:g} to {limits[1]:g}.",
                    next_step="Give the lower one first; both are finite.",
                )
        if self.mount not in MOUNTS:
            raise ConfigurationError(
                f"{self.mount!r} is not a mount (station {self.name}).",
                next_step=f"Use one of {MOUNTS}.",
            )
        if not 0.0 <= self.elevation_limit < np.pi / 2:
            raise ConfigurationError(
                f"elevation limit of station {self.name} is not within 0 to 90 degrees.",
                next_step="Give the lowest elevation that it reaches.",
            )
        if self.slew is not None and not all(0.0 < rate < _FASTEST for rate in self.slew):
            raise ConfigurationError(
                f"slew rates of station {self.name} are not within 0 to 90 degrees a second.",
                next_step="Give those of both axes in rad/s, or None.",
            )
        if not self.sigma > 0.0:
            raise ConfigurationError(
                f"sigma of station {self.name} is not positive.",
                next_step="Give the standard deviation of a coordinate in metres.",
            )

    def __repr__(self) -> str:
        return f"<Station {self.name}{' (approximate)' if self.approximate else ''}>"

    @cached_property
    def geodetic(self) -> tuple[float, float, float]:
        """Longitude, latitude (rad) and height (m) on GRS80, at `epoch`."""
        longitude, latitude, height = geodetic(self.position)
        return float(longitude), float(latitude), float(height)

    @cached_property
    def to_enu(self) -> Floats:
        """Rotation from ITRF to local east, north, up, shape (3, 3)."""
        longitude, latitude, _ = self.geodetic
        matrix = enu_matrix(longitude, latitude)
        matrix.setflags(write=False)
        return matrix

    @property
    def vertical(self) -> Floats:
        """Unit vector to the zenith (normal to the ellipsoid), ITRF, shape (3,)."""
        return np.asarray(self.to_enu[2])

    @property
    def fixed_axis(self) -> Floats | None:
        """Unit vector along the axis that does not move, ITRF, shape (3,), or None."""
        east, north, up = self.to_enu
        axes = {"azel": up, "equatorial": np.array([0.0, 0.0, 1.0]), "xyns": north, "xyew": east}
        return axes.get(self.mount)

    @property
    def names(self) -> tuple[str, ...]:
        """All names that it answers to."""
        return tuple(dict.fromkeys(n for n in (self.name, self.code, *self.aliases) if n))


def station_position(station: Station, epoch: Epoch) -> Floats:
    """Return the regularised ITRF position, velocity applied, m.

    Parameters
    ----------
    station : Station
        The station.
    epoch : Epoch, shape (...)
        Any scale.

    Returns
    -------
    ndarray, shape (..., 3)
    """
    elapsed = epoch.since(station.epoch)
    return station.position + station.velocity * np.asarray(elapsed)[..., None]


def axis_offset_vector(
    station: Station, direction: ArrayLike, *, refraction: bool = True
) -> Floats:
    """Return where the moving axis comes to lie, from the station's reference point.

    At a right angle to the fixed axis, towards where the antenna points. Its part
    along `Station.vertical` is how much higher than the reference point the antenna is.

    Parameters
    ----------
    station : Station
        Its mount and axis offset are used.
    direction : array_like, shape (..., 3)
        Unit vector to the source as seen (aberrated), ITRF, without refraction.
    refraction : bool
        Whether the antenna points higher by the bending of the air (`bending_angle`).

    Returns
    -------
    ndarray, shape (..., 3)
        ITRF, m. Zero where it points along the fixed axis.
    """
    seen = np.asarray(direction, dtype=np.float64)
    axis = station.fixed_axis
    if axis is None or station.axis_offset == 0.0:
        return np.zeros(seen.shape)
    pointed = _lifted(station, seen) if refraction else seen
    # I x (s x I) is the part of s across the axis; it keeps its digits near the axis
    across = np.cross(axis, np.cross(pointed, axis))
    length = np.linalg.norm(across, axis=-1, keepdims=True)
    return np.asarray(station.axis_offset * across / np.where(length > 0.0, length, 1.0))


def bending_angle(station: Station, elevation: ArrayLike) -> Floats:
    """Return how much higher than in vacuum a source is seen from a station, rad.

    (n - 1) cot(E + 7.31 / (E + 4.4)), E in degrees (the form of Bennett 1982,
    J. Navigation 35, 255), n of standard moist air at the station's height: 315 ppm
    at sea level, less by 1/e in 7.35 km (ITU-R P.453). Weather changes it by a tenth.

    Parameters
    ----------
    station : Station
        Its height counts.
    elevation : array_like, shape (...)
        Without refraction, rad; below the horizon taken as 0.

    Examples
    --------
    >>> station = Station("A", [4075539.0, 931735.0, 4801629.0])
    >>> np.degrees(bending_angle(station, np.radians([7.0, 45.0]))).round(3)
    array([0.123, 0.016])
    """
    degrees = np.maximum(np.degrees(np.asarray(elevation, dtype=np.float64)), 0.0)
    refractivity = _REFRACTIVITY * np.exp(-station.geodetic[2] / _REFRACTIVITY_SCALE)
    return np.asarray(refractivity / np.tan(np.radians(degrees + 7.31 / (degrees + 4.4))))


def _lifted(station: Station, seen: Floats) -> Floats:
    """Return a direction raised towards the zenith by the bending angle."""
    up = station.vertical
    sine = np.clip(seen @ up, -1.0, 1.0)[..., None]
    level = seen - sine * up
    cosine = np.linalg.norm(level, axis=-1, keepdims=True)
    bent = bending_angle(station, np.arcsin(sine))
    # at the zenith there is no azimuth, and nothing to lift
    level = level / np.where(cosine > 0.0, cosine, 1.0)
    raised = np.arctan2(sine, cosine) + bent
    lifted = np.cos(raised) * level + np.sin(raised) * up
    return np.asarray(np.where(cosine > 0.0, lifted, seen))


def axis_offset_delay(station: Station, direction: ArrayLike, *, refraction: bool = True) -> Floats:
    """Return what the distance between an antenna's axes adds to an arrival there, s.

    -(d . s) / c with the `axis_offset_vector` d and the direction s: without
    refraction, -a sqrt(1 - (s . I)^2) / c with the axis offset a and the fixed axis
    I (Sovers, Fanselow & Jacobs 1998, section II.B). The moving axis leans towards
    the source, so that a wavefront is met earlier. The delay of a baseline takes
    it + at station 2 and - at station 1.

    Refraction turns d, not s, as in Calc 11: in level layers of air n cos(E) is the
    same at every height (Snell), so that a step along the ground costs what it
    costs in vacuum. Taking the lifted direction for s as well errs by
    a (n - 1) cos(E) / c, 2 ps for 2 m. A step up leaves air below; that belongs to
    the troposphere at the antenna's height, 5 ps at HARTRAO's zenith.

    Parameters
    ----------
    station : Station
        Its mount and axis offset are used.
    direction : array_like, shape (..., 3)
        Unit vector to the source as seen (aberrated), ITRF, without refraction.
    refraction : bool
        Whether the antenna points where the air bends the direction to: 0.1 ps at
        5 degrees of elevation for 8 m (more close to the fixed axis), and nothing
        at all for ``"azel"``.

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> station = Station("A", [4075539.0, 931735.0, 4801629.0], axis_offset=2.0)
    >>> north = station.to_enu[1]
    >>> round(float(axis_offset_delay(station, north)) * 1e12)
    -6671
    """
    seen = np.asarray(direction, dtype=np.float64)
    moved = axis_offset_vector(station, seen, refraction=refraction)
    return np.asarray(-np.sum(moved * seen, axis=-1) / C, dtype=np.float64)
