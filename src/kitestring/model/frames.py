"""Earth rotation: ITRF to GCRS by IAU 2006/2000A."""

from __future__ import annotations

from dataclasses import dataclass

import erfa
import numpy as np
from numpy.typing import NDArray

from kitestring.model._blocks import BlockSpline
from kitestring.model.constants import EARTH_ROTATION_RATE
from kitestring.model.earth_orientation import EarthOrientation
from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]

_NODES_PER_DAY = 12  # 2 h: spline error 0.05 micrometre on the ground (3 h: 0.25)


@dataclass(frozen=True)
class EarthRotation:
    """Rotation from ITRF to GCRS at some epochs.

    Attributes
    ----------
    matrix : ndarray, shape (..., 3, 3)
        GCRS = matrix @ ITRF.
    spin : ndarray, shape (..., 3)
        Angular velocity of the Earth in GCRS, rad/s. Precession and polar
        motion (5e-5 m/s on the ground) are left out of it.
    """

    matrix: Floats
    spin: Floats

    def position(self, itrf: Floats) -> Floats:
        """Return GCRS positions of ITRF positions, shape (..., 3)."""
        return np.asarray(np.einsum("...ij,...j->...i", self.matrix, itrf))

    def velocity(self, gcrs: Floats) -> Floats:
        """Return GCRS velocities (m/s) of Earth-fixed points at GCRS positions."""
        return np.cross(self.spin, gcrs)

    def to_itrf(self, gcrs: Floats) -> Floats:
        """Return ITRF vectors of GCRS vectors, shape (..., 3)."""
        return np.asarray(np.einsum("...ji,...j->...i", self.matrix, gcrs))


def celestial_pole(epoch: Epoch) -> tuple[Floats, Floats, Floats]:
    """Return X, Y and s of the celestial intermediate pole by IAU 2006/2000A, rad.

    Splines through 2-hourly values, kept from call to call, serve where there
    are many epochs; the series itself (`erfa.xys06a`) where there are few.
    """
    x, y, s = np.moveaxis(_POLE.at(epoch), -1, 0)
    return x, y, s


def _pole_series(tt: Epoch) -> Floats:
    return np.stack(erfa.xys06a(*tt.jd()), axis=-1)


_POLE = BlockSpline(_pole_series, _NODES_PER_DAY)


def earth_rotation(epoch: Epoch, eop: EarthOrientation) -> EarthRotation:
    """Return the rotation from ITRF to GCRS (IERS TN36 eq. 5.1, CIO based).

    Parameters
    ----------
    epoch : Epoch, shape (...)
        Any scale.
    eop : EarthOrientation, shape (...)
        Polar motion, UT1 and pole offsets at these epochs.
    """
    tt = epoch.to("tt")
    x, y, s = celestial_pole(tt)
    tai = epoch.to("tai")
    ut1_day, ut1_fraction = tai.day + 2400000.5, (tai.second + eop.ut1_minus_tai) / DAY
    era = erfa.era00(ut1_day, ut1_fraction)
    celestial = erfa.c2ixys(x + eop.dx, y + eop.dy, s)
    wobble = erfa.pom00(eop.xp, eop.yp, erfa.sp00(*tt.jd()))
    to_itrf = erfa.c2tcio(celestial, era, wobble)
    matrix = np.swapaxes(to_itrf, -1, -2)
    pole = celestial[..., 2, :]
    return EarthRotation(matrix, EARTH_ROTATION_RATE * pole)
