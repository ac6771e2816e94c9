"""Where points fixed to the Earth are: in GCRS and BCRS, with their clocks.

ITRF coordinates are TT-compatible: nothing is scaled on the way to GCRS. On
the way to BCRS a station's vector shrinks to TDB units and is contracted along
the Earth's velocity (IERS TN36 section 11.2.2; DESIGN: near field).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from kitestring.model.stations import Station, station_position
from kitestring.model.subdaily import SUBDAILY, subdaily
from kitestring.model.time import Epoch, tdb_minus_tt

Floats = NDArray[np.float64]

DISPLACEMENTS = ("solid_tide", "pole_tide", "ocean_loading")
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
    vertical : ndarray, shape (n, 3)
        Unit vector to the zenith (along the ellipsoid's normal), GCRS.
    earth : ndarray, shape (n, 6)
        State of the geocentre relative to the SSB at `tdb`.
    spin : ndarray, shape (n, 3)
        Angular velocity of the Earth, rad/s, GCRS.
    solar_potential : ndarray, shape (n,)
        Potential of the Sun at the geocentre, m^2/s^2.
    """

    name: str
    tt: Epoch
    tdb: Epoch
    tdb_minus_tt: Floats
    tdb_rate: Floats
    position: Floats
    velocity: Floats
    vertical: Floats
    earth: Floats
    spin: Floats
    solar_potential: Floats

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
    def acceleration(self) -> Floats:
        """Centripetal acceleration in GCRS, shape (n, 3), m/s^2."""
        return np.cross(self.spin, self.velocity)


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
        Reference of the pole tide (7 ps apart).
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
            vertical = np.zeros((*tt.shape, 3))
        else:
            itrf = station_position(station, tt)
            itrf = itrf + self.displacement(station, tt, rotation, eop)
            position = rotation.position(itrf)
            vertical = rotation.position(np.broadcast_to(station.vertical, itrf.shape))
        geocentric = tdb_minus_tt(tt)
        coarse = Epoch.normalised("tdb", tt.day, tt.second + geocentric)
        v = self.ephemeris.barycentric("EARTH", coarse)[..., 3:]
        topocentric = np.sum(v * position, axis=-1) / C**2
        tdb = coarse.shifted(topocentric)
        earth = self.ephemeris.barycentric("EARTH", tdb)
        sun = self.ephemeris.barycentric("SUN", tdb)
        potential = GM["SUN"] / np.linalg.norm(earth[..., :3] - sun[..., :3], axis=-1)
        step = 3600.0  # the shortest period of TDB-TT at the geocentre is days
        rate = (tdb_minus_tt(tt.shifted(step)) - tdb_minus_tt(tt.shifted(-step))) / (2 * step)
        return StationState(
            name=GEOCENTRE if station is None else station.name,
            tt=tt,
            tdb=tdb,
            tdb_minus_tt=geocentric + topocentric,
            tdb_rate=rate,
            position=position,
            velocity=rotation.velocity(position),
            vertical=vertical,
            earth=earth,
            spin=rotation.spin,
            solar_potential=potential,
        )
