"""Where points fixed to the Earth are: in GCRS and BCRS, with their clocks.

ITRF coordinates are TT-compatible: nothing is scaled on the way to GCRS. On
the way to BCRS a station's vector shrinks to TDB units and is contracted along
the Earth's velocity (IERS TN36 section 11.2.2; DESIGN: near field).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.constants import GM, L_C, C
from kitestring.model.displacement import pole_tide, solid_earth_tide
from kitestring.model.earth_orientation import EarthOrientation, EarthOrientationTable
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.frames import EarthRotation, earth_rotation
from kitestring.model.ocean_loading import OceanLoadingTable
from kitestring.model.ocean_pole_tide import ocean_pole_tide
from kitestring.model.stations import Station, station_position
from kitestring.model.subdaily import SUBDAILY, subdaily
from kitestring.model.time import Epoch, Scale, tdb_minus_tt

Floats = NDArray[np.float64]

DISPLACEMENTS = ("solid_tide", "pole_tide", "ocean_pole_tide", "ocean_loading")
GEOCENTRE = "geocentre"


class OrientationSource(Protocol):
    """Anything that gives Earth orientation parameters, such as `EarthOrientationTable`."""

    def at(self, epoch: Epoch) -> EarthOrientation:
        """Return the parameters at each epoch."""


@dataclass(frozen=True)
class StationState:
    """A station (or the geocentre) at some readings of an ideal TT clock there.

    Attributes
    ----------
    name : str
        Station name, or ``"geocentre"``.
    tt : Epoch, shape (n,)
        The epochs, TT as kept on the geoid.
    tdb : Epoch, shape (n,)
        The same events in TDB, topocentric term included.
    tdb_minus_tt : ndarray, shape (n,)
        TDB-TT of these events, topocentric term included, s.
    tdb_rate : ndarray, shape (n,)
        d(TDB-TT)/dt at the geocentre.
    position, velocity : ndarray, shape (n, 3)
        GCRS, m and m/s.
    rotation : EarthRotation, shape (n,)
        How the Earth is turned then.
    earth : ndarray, shape (n, 6)
        State of the geocentre relative to the SSB at `tdb`.
    earth_acceleration : ndarray, shape (n, 3)
        Acceleration of the geocentre by Sun and Moon, m/s^2: good to 3e-8 m/s^2
        (the planets).
    sun : ndarray, shape (n, 3)
        Position of the Sun relative to the SSB at `tdb`, m.
    """

    name: str
    tt: Epoch
    tdb: Epoch
    tdb_minus_tt: Floats
    tdb_rate: Floats
    position: Floats
    velocity: Floats
    rotation: EarthRotation
    earth: Floats
    earth_acceleration: Floats
    sun: Floats

    @cached_property
    def solar_potential(self) -> Floats:
        """Potential of the Sun at the geocentre, shape (n,), m^2/s^2."""
        away = np.linalg.norm(self.earth[..., :3] - self.sun, axis=-1)
        return np.asarray(GM["SUN"] / away)

    def barycentric_vector(self, gcrs: Floats) -> Floats:
        """Return a GCRS vector from the geocentre in BCRS, TDB units.

        r = r_TT (1 - U/c^2 - L_C) - V (V . r_TT) / (2 c^2).
        """
        v = self.earth[..., 3:]
        along = np.sum(v * gcrs, axis=-1, keepdims=True) / (2 * C**2)
        scale = 1.0 - self.solar_potential[..., None] / C**2 - L_C
        return np.asarray(gcrs * scale - v * along)

    @property
    def barycentric(self) -> Floats:
        """Position relative to the SSB, shape (n, 3), m."""
        return self.earth[..., :3] + self.barycentric_vector(self.position)

    @property
    def barycentric_velocity(self) -> Floats:
        """Velocity relative to the SSB, shape (n, 3), m/s, with TDB as the time.

        The two velocities add as special relativity has it, and the Sun's
        potential shortens lengths and slows clocks: without that, 7 micrometres
        a second are missing.
        """
        v = self.earth[..., 3:]
        along = np.sum(v * self.velocity, axis=-1, keepdims=True)
        speed2 = np.sum(v * v, axis=-1, keepdims=True)
        slower = 2.0 * self.solar_potential[..., None] + 0.5 * speed2 + along
        return np.asarray(v + self.velocity * (1.0 - slower / C**2) - v * along / (2 * C**2))

    @property
    def acceleration(self) -> Floats:
        """Centripetal acceleration in GCRS, shape (n, 3), m/s^2."""
        return np.cross(self.rotation.spin, self.velocity)

    @property
    def barycentric_acceleration(self) -> Floats:
        """Acceleration relative to the SSB, shape (n, 3), m/s^2, good to 1e-8 of it."""
        return self.earth_acceleration + self.acceleration


def _check_names(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = set(names) - set(known)
    if unknown:
        raise ConfigurationError(
            f"there is no {kind} {sorted(unknown)[0]!r}.",
            next_step=f"Known are: {', '.join(known)}.",
        )


class EarthModel:
    """Turns station names and epochs into states.

    Parameters
    ----------
    ephemeris : Ephemeris, optional
        The package's DE440 by default.
    orientation : OrientationSource, optional
        The installed IERS table by default.
    displacements : sequence of str, optional
        Which displacements move a station: any of `DISPLACEMENTS`. By default all
        that there are data for: ocean loading only with a table of it.
    mean_pole : {"secular", "iers2010"}
        Reference of the pole tides of Earth and ocean (7 ps apart).
    subdaily : sequence of str
        Which polar motion and UT1 within a day are added to the table: any of
        `SUBDAILY` (25 and 2 ps).
    ocean_loading : OceanLoadingTable, optional
        Coefficients of every station that is asked for, such as
        `kitestring.formats.blq.read_blq` returns.

    Raises
    ------
    ConfigurationError
        For a displacement or an effect that does not exist, or ocean loading
        without a table.
    """

    def __init__(
        self,
        ephemeris: Ephemeris | None = None,
        orientation: OrientationSource | None = None,
        displacements: Sequence[str] | None = None,
        mean_pole: str = "secular",
        subdaily: Sequence[str] = SUBDAILY,
        ocean_loading: OceanLoadingTable | None = None,
    ) -> None:
        if displacements is None:
            known = DISPLACEMENTS
            displacements = [d for d in known if d != "ocean_loading" or ocean_loading is not None]
        _check_names("displacement", displacements, DISPLACEMENTS)
        _check_names("subdaily effect", subdaily, SUBDAILY)
        if "ocean_loading" in displacements and ocean_loading is None:
            raise ConfigurationError(
                "ocean loading has no coefficients.",
                next_step="Give ocean_loading=read_blq(file).",
            )
        self.ephemeris = ephemeris or Ephemeris.default()
        self.orientation = orientation or EarthOrientationTable.default()
        self.displacements = tuple(displacements)
        self.mean_pole = mean_pole
        self.subdaily = tuple(subdaily)
        self.ocean_loading = ocean_loading

    def rotation(self, epoch: Epoch) -> tuple[EarthRotation, EarthOrientation]:
        """Return the Earth's rotation and the orientation parameters of the table.

        The rotation holds the subdaily effects, the parameters do not: the pole
        tide is meant for the slow pole (TN36 section 7.1.4).
        """
        eop = self.orientation.at(epoch)
        if not self.subdaily:
            return earth_rotation(epoch, eop), eop
        fast = sum(subdaily(effect, epoch) for effect in self.subdaily)
        xp, yp, ut1 = np.moveaxis(np.asarray(fast), -1, 0)
        whole = replace(eop, xp=eop.xp + xp, yp=eop.yp + yp, ut1_minus_tai=eop.ut1_minus_tai + ut1)
        return earth_rotation(epoch, whole), eop

    def _ut1_minus_tai(self, tai: Epoch) -> Floats:
        fast = sum(subdaily(effect, tai)[..., 2] for effect in self.subdaily)
        return np.asarray(self.orientation.at(tai).ut1_minus_tai + fast)

    def ut1(self, epoch: Epoch) -> Epoch:
        """Return epochs in UT1, effects within a day included.

        Raises
        ------
        SpanError
            For an epoch that the Earth orientation does not cover.

        Examples
        --------
        >>> EarthModel().ut1(Epoch.from_iso("2020-01-01T00:00:00")).iso(3)
        '2019-12-31T23:59:59.823'
        """
        if epoch.scale == "ut1":
            return epoch
        tai = epoch.to("tai")
        return Epoch.normalised("ut1", tai.day, tai.second + self._ut1_minus_tai(tai))

    def from_ut1(self, epoch: Epoch, scale: Scale = "utc") -> Epoch:
        """Return epochs of UT1 in another scale; the reverse of `ut1`.

        Raises
        ------
        ConfigurationError
            For an epoch that is not of UT1.
        SpanError
            For an epoch that the Earth orientation does not cover.
        """
        if epoch.scale != "ut1":
            raise ConfigurationError(
                f"an epoch of {epoch.scale.upper()} is not one of UT1.",
                next_step=f"Use its own to({scale!r}).",
            )
        if scale == "ut1":
            return epoch
        tai = Epoch("tai", epoch.day, epoch.second)
        for _ in range(3):  # UT1 drifts by 1e-8: each round gains that
            less = self._ut1_minus_tai(tai)
            tai = Epoch.normalised("tai", epoch.day, epoch.second - less)
        return tai.to(scale)

    def displacement(
        self, station: Station, epoch: Epoch, rotation: EarthRotation, eop: EarthOrientation
    ) -> Floats:
        """Return how far a station is from its regularised position, ITRF, m, shape (n, 3)."""
        itrf = station_position(station, epoch)
        moved = np.zeros_like(itrf)
        if "solid_tide" in self.displacements:
            tdb = epoch.to("tdb")
            sun = rotation.to_itrf(self.ephemeris.state("SUN", "EARTH", tdb)[..., :3])
            moon = rotation.to_itrf(self.ephemeris.state("MOON", "EARTH", tdb)[..., :3])
            moved += solid_earth_tide(itrf, epoch, sun, moon)
        if "pole_tide" in self.displacements:
            moved += pole_tide(itrf, epoch, eop.xp, eop.yp, mean_pole=self.mean_pole)
        if "ocean_pole_tide" in self.displacements:
            moved += ocean_pole_tide(itrf, epoch, eop.xp, eop.yp, mean_pole=self.mean_pole)
        if "ocean_loading" in self.displacements and self.ocean_loading is not None:
            moved += self.ocean_loading.displacement(station, epoch)
        return moved

    def station_state(self, station: Station | None, epoch: Epoch) -> StationState:
        """Return a station's state at readings of an ideal clock there.

        Parameters
        ----------
        station : Station or None
            None is the geocentre.
        epoch : Epoch, shape (n,)
            UTC, TAI or TT.
        """
        tt = epoch.to("tt")
        rotation, eop = self.rotation(tt)
        if station is None:
            position = np.zeros((*tt.shape, 3))
        else:
            itrf = station_position(station, tt)
            position = rotation.position(itrf + self.displacement(station, tt, rotation, eop))
        name = GEOCENTRE if station is None else station.name
        velocity = rotation.velocity(position)
        return gcrs_state(self.ephemeris, tt, rotation, position, velocity, name)


def gcrs_state(
    ephemeris: Ephemeris,
    tt: Epoch,
    rotation: EarthRotation,
    position: Floats,
    velocity: Floats,
    name: str,
) -> StationState:
    """Return the state of a station of which position and velocity in GCRS are known.

    Parameters
    ----------
    ephemeris : Ephemeris
        For the Earth, the Sun and the Moon.
    tt : Epoch, shape (n,)
        Readings of the station's ideal clock, TT.
    rotation : EarthRotation, shape (n,)
        How the Earth is turned then.
    position, velocity : ndarray, shape (n, 3)
        GCRS at these readings, m and m/s.
    name : str
        Of the station.
    """
    geocentric = tdb_minus_tt(tt)
    coarse = Epoch.normalised("tdb", tt.day, tt.second + geocentric)
    v = ephemeris.barycentric("EARTH", coarse)[..., 3:]
    topocentric = np.sum(v * position, axis=-1) / C**2
    tdb = coarse.shifted(topocentric)
    earth = ephemeris.barycentric("EARTH", tdb)
    sun = ephemeris.barycentric("SUN", tdb)[..., :3]
    moon = ephemeris.barycentric("MOON", tdb)[..., :3]
    step = 3600.0  # the shortest period of TDB-TT at the geocentre is days
    rate = (tdb_minus_tt(tt.shifted(step)) - tdb_minus_tt(tt.shifted(-step))) / (2 * step)
    return StationState(
        name=name,
        tt=tt,
        tdb=tdb,
        tdb_minus_tt=geocentric + topocentric,
        tdb_rate=rate,
        position=position,
        velocity=velocity,
        rotation=rotation,
        earth=earth,
        earth_acceleration=_pull(GM["SUN"], earth, sun) + _pull(GM["MOON"], earth, moon),
        sun=sun,
    )


def _pull(gm: float, earth: Floats, body: Floats) -> Floats:
    """Return the acceleration of the Earth by a body, m/s^2."""
    away = earth[..., :3] - body
    return np.asarray(-gm * away / np.linalg.norm(away, axis=-1, keepdims=True) ** 3)
