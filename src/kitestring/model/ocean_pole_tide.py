"""How far the oceans' answer to polar motion moves a station: the ocean pole tide's load.

The centrifugal potential of a moving pole deforms the oceans too, and their
weight moves the ground by up to 2 mm. The coefficients are a grid of half a
degree (Desai 2002), that of the IERS Conventions (TN36 section 7.1.5); the
package's copy is rounded to 1e-4, which costs 0.7 micrometres at half an
arcsecond of polar motion, and is written by ``tools/make_ocean_pole_tide.py``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.model.antenna import geodetic
from kitestring.model.constants import EARTH_RADIUS, GM
from kitestring.model.displacement import Geocentric, wobble
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

_G = 6.67428e-11  # m^3/(kg s^2); this and what follows as in TN36 section 7.1.5 and table 1.1
_WATER = 1025.0  # kg/m^3
_GRAVITY = 9.7803278  # m/s^2, mean at the equator
_SPIN = 7.292115e-5  # rad/s
_GAMMA = 0.6870 + 0.0036j  # 1 + k2 - h2
_HEIGHT = (8.0 * np.pi / 15.0) ** 0.5 * _SPIN**2 * EARTH_RADIUS**4 / GM["EARTH"]  # H_p, m
_SCALE = 4.0 * np.pi * _G * EARTH_RADIUS * _WATER * _HEIGHT / (3.0 * _GRAVITY)  # K, m
_STEP = 0.5  # degrees; the first point lies half a step from the south pole and from Greenwich


@cache
def _grid() -> NDArray[np.complex128]:
    """Return the coefficients, shape (latitude, longitude, 3): radial, north, east."""
    with as_file(files("kitestring") / "data" / "ocean_pole_tide.npz") as path, np.load(path) as f:
        # differences from one longitude to the next, high and low bytes apart, pack best
        difference = f["high"].astype(np.int16) << 8 | f["low"]
        values = float(f["unit"]) * np.cumsum(difference, axis=-1, dtype=np.int16)
    # real and imaginary part by turns
    return np.moveaxis(values[0::2] + 1j * values[1::2], 0, -1)


def ocean_pole_tide_coefficients(position: ArrayLike) -> NDArray[np.complex128]:
    """Return a place's coefficients, bilinear between the points of the grid.

    Parameters
    ----------
    position : array_like, shape (..., 3)
        ITRF, m.

    Returns
    -------
    ndarray of complex, shape (..., 3)
        Radial, north and east: u^R + i u^I of TN36 eq. 7.29. Within a quarter of a
        degree of a pole, those of the outermost circle.

    Examples
    --------
    >>> ocean_pole_tide_coefficients((4075539.0, 931735.0, 4801629.0)).round(3)
    array([ 0.057-0.04j ,  0.012+0.011j, -0.008-0.061j])
    """
    grid = _grid()
    rows, columns = grid.shape[:2]
    longitude, latitude, _ = geodetic(position)
    x = np.degrees(longitude) / _STEP - 0.5
    y = np.clip((np.degrees(latitude) + 90.0) / _STEP - 0.5, 0.0, rows - 1.0)
    west = np.floor(x).astype(np.int64)
    south = np.minimum(y.astype(np.int64), rows - 2)
    right, above = (x - west)[..., None], (y - south)[..., None]
    lower, upper = (
        grid[row, west % columns] * (1.0 - right) + grid[row, (west + 1) % columns] * right
        for row in (south, south + 1)
    )
    return np.asarray(lower * (1.0 - above) + upper * above)


def ocean_pole_tide(
    position: ArrayLike,
    epoch: Epoch,
    xp: ArrayLike,
    yp: ArrayLike,
    mean_pole: str = "secular",
) -> Floats:
    """Return the displacement by the load of the ocean pole tide (TN36 eq. 7.29).

    Parameters
    ----------
    position : array_like, shape (..., 3)
        Station, ITRF, m.
    epoch : Epoch, shape (...)
        Any scale.
    xp, yp : array_like, shape (...)
        Polar motion, rad.
    mean_pole : {"secular", "iers2010"}
        Pole that it is counted from; see `kitestring.model.displacement.mean_pole`.

    Returns
    -------
    ndarray, shape (..., 3)
        Displacement in ITRF, m, to be added to `position`.

    Raises
    ------
    ConfigurationError
        For another mean pole.

    Examples
    --------
    >>> epoch = Epoch.from_iso("2023-05-11T17:00:00")
    >>> moved = ocean_pole_tide((4075539.0, 931735.0, 4801629.0), epoch, 5e-7, 2.4e-6)
    >>> (moved * 1e3).round(2)
    array([0.04, 0.11, 0.05])
    """
    m1, m2 = wobble(epoch, xp, yp, mean_pole)
    # (m1 + i m2) conj(gamma) has the two factors of the equation as its parts
    factor = (m1 + 1j * m2) * np.conj(_GAMMA) * erfa.DAS2R
    coefficients = ocean_pole_tide_coefficients(position)
    up, north, east = (
        _SCALE * (factor.real * part.real + factor.imag * part.imag)
        for part in np.moveaxis(coefficients, -1, 0)
    )
    return Geocentric.of(position).vector(up, east, north)
