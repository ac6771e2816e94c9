"""Earth rotation: ITRF to GCRS by IAU 2006/2000A."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import erfa
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from kitestring.model.constants import EARTH_ROTATION_RATE
from kitestring.model.earth_orientation import EarthOrientation
from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]

_NODES_PER_DAY = 8  # 3 h: spline error 0.08 micrometre on the ground
_BLOCK_DAYS = 16  # days of a spline
_MARGIN_DAYS = 2  # so that the ends of a spline lie outside its block
_EPOCHS_PER_BLOCK = 16  # with fewer the series itself serves


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

    Splines through 3-hourly values, kept from call to call, serve where there
    are many epochs; the series itself (`erfa.xys06a`) where there are few.
    """
    tt = epoch.to("tt")
    blocks = tt.day // _BLOCK_DAYS
    found = np.unique(blocks)
    if tt.day.size < _EPOCHS_PER_BLOCK * len(found):
        x, y, s = erfa.xys06a(*tt.jd())
        return np.asarray(x), np.asarray(y), np.asarray(s)
    values = np.empty((*tt.shape, 3))
    for block in found.tolist():
        rows = blocks == block
        values[rows] = _pole_spline(block)(
            (tt.day[rows] - block * _BLOCK_DAYS) + tt.second[rows] / DAY
        )
    x, y, s = np.moveaxis(values, -1, 0)
    return x, y, s


@lru_cache(maxsize=1024)
def _pole_spline(block: int) -> CubicSpline:
    """Return X, Y and s over a block of days, by days since its start."""
    count = (_BLOCK_DAYS + 2 * _MARGIN_DAYS) * _NODES_PER_DAY + 1
    nodes = np.arange(count) / _NODES_PER_DAY - _MARGIN_DAYS
    day = np.floor(nodes)
    values = erfa.xys06a(block * _BLOCK_DAYS + 2400000.5 + day, nodes - day)
    return CubicSpline(nodes, np.stack(values, axis=-1))


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
