"""Mars: how it turns, and where its centre lies in its system.

The rotation is that of the IAU Working Group on Cartographic Coordinates and
Rotational Elements 2015 (Archinal et al. 2018), periodic terms included. The
2009 elements are not offered: on InSight's Doppler they cost 28 mHz and 6 km.
`kitestring.model.mars_angles` holds the same motion with parameters to estimate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kitestring.model.constants import GM
from kitestring.model.rotation import BodyRotation
from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]

# Archinal et al. 2018 (as in NAIF's pck00011): amplitude (deg), phase (deg), rate (deg/century)
_POLE_RA = (317.269202, -0.10927547)
_POLE_RA_TERMS = (
    (0.000068, 198.991226, 19139.4819985),
    (0.000238, 226.292679, 38280.8511281),
    (0.000052, 249.663391, 57420.7251593),
    (0.000009, 266.183510, 76560.6367950),
    (0.419057, 79.398797, 0.5042615),
)
_POLE_DEC = (54.432516, -0.05827105)
_POLE_DEC_TERMS = (
    (0.000051, 122.433576, 19139.9407476),
    (0.000141, 43.058401, 38280.8753272),
    (0.000031, 57.663379, 57420.7517205),
    (0.000005, 79.476401, 76560.6495004),
    (1.591274, 166.325722, 0.5042615),
)
_MERIDIAN = (176.049863, 350.891982443297)  # deg, deg/day
_MERIDIAN_TERMS = (
    (0.000145, 129.071773, 19140.0328244),
    (0.000157, 36.352167, 38281.0473591),
    (0.000040, 56.668646, 57420.9295360),
    (0.000001, 67.364003, 76560.2552215),
    (0.000001, 104.792680, 95700.4387578),
    (0.584542, 95.391654, 0.5042615),
)

# Gravitational parameters of DE440 (NAIF's gm_de440), m^3/s^2
_GM_PHOBOS = 7.087546066894452e5
_GM_DEIMOS = 9.615569648120313e4


def _days(epoch: Epoch) -> tuple[Floats, Floats, Floats]:
    """Return whole days since 2000-01-01 12h TDB, the rest in days, and Julian centuries."""
    tdb = epoch.to("tdb")
    whole = np.asarray(tdb.day - 51544, dtype=np.float64)
    rest = np.asarray(tdb.second / DAY - 0.5)
    return whole, rest, (whole + rest) / 36525.0


def _terms(
    terms: tuple[tuple[float, float, float], ...], t: Floats, quarter: float = 0.0
) -> tuple[Floats, Floats]:
    """Return a sum of sines (cosines with a quarter of 90), degrees, and its rate a century."""
    total, slope = np.zeros_like(t), np.zeros_like(t)
    for amplitude, phase, rate in terms:
        angle = np.radians(phase + rate * t + quarter)
        total = total + amplitude * np.sin(angle)
        slope = slope + amplitude * np.radians(rate) * np.cos(angle)
    return total, slope


def mars_rotation(epoch: Epoch) -> BodyRotation:
    """Return the orientation of Mars (WGCCRE 2015).

    Parameters
    ----------
    epoch : Epoch, shape (...)
        Converted to TDB.
    """
    whole, rest, t = _days(epoch)
    in_ra, in_dec = _terms(_POLE_RA_TERMS, t), _terms(_POLE_DEC_TERMS, t, 90.0)
    in_meridian = _terms(_MERIDIAN_TERMS, t)
    ra = _POLE_RA[0] + _POLE_RA[1] * t + in_ra[0]
    dec = _POLE_DEC[0] + _POLE_DEC[1] * t + in_dec[0]
    # a turn a day is left out: a product of 2e6 degrees would be rounded by 14 micrometres,
    # and whole turns before the rest is added, which they would round
    turned = ((_MERIDIAN[1] - 360.0) * whole) % 360.0 + _MERIDIAN[1] * rest
    matrix = _orientation(ra, dec, _MERIDIAN[0] + turned + in_meridian[0])
    # the pole moves along its right ascension about ICRF's, in declination against the node
    along, up, about = (
        np.radians(steady + slope) / (36525.0 * DAY)
        for steady, slope in (
            (_POLE_RA[1], in_ra[1]),
            (_POLE_DEC[1], in_dec[1]),
            (_MERIDIAN[1] * 36525.0, in_meridian[1]),
        )
    )
    spin = about[..., None] * matrix[..., :, 2] - up[..., None] * _node(ra)
    spin[..., 2] += along
    return BodyRotation(matrix, spin)


def _node(ra: Floats) -> Floats:
    """Return the node of the equator of a pole (degrees) on ICRF's."""
    a = np.radians(ra)
    return np.stack([-np.sin(a), np.cos(a), np.zeros_like(a)], axis=-1)


def _orientation(ra: Floats, dec: Floats, meridian: Floats) -> Floats:
    """Return the matrix from body-fixed to ICRF axes for pole and meridian in degrees."""
    a, d, w = np.radians(ra), np.radians(dec), np.radians(meridian)
    node = _node(ra)
    pole = np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)
    ahead = np.cross(pole, node)
    cos, sin = np.cos(w)[..., None], np.sin(w)[..., None]
    return np.stack([cos * node + sin * ahead, cos * ahead - sin * node, pole], axis=-1)


def mars_center_offset(epoch: Epoch) -> Floats:
    """Return the state of Mars' centre relative to the barycentre of its system.

    Phobos moves the centre by 0.155 m and Deimos by 0.053 m. Their places
    follow from their rotation, which is bound: the mean meridian faces Mars
    (WGCCRE 2015 with its erratum), to which the equation of the centre is
    added. Good to some degrees of their longitude, some millimetres of the
    centre.

    Parameters
    ----------
    epoch : Epoch, shape (n,)
        Converted to TDB.

    Returns
    -------
    ndarray, shape (n, 6)
        m and m/s, ICRF axes.
    """
    total = GM["MARS BARYCENTER"]
    return -(_GM_PHOBOS / total * _phobos(epoch) + _GM_DEIMOS / total * _deimos(epoch))


def _phobos(epoch: Epoch) -> Floats:
    """Return the state of Phobos relative to Mars, m and m/s, shape (n, 6)."""
    whole, rest, t = _days(epoch)
    node = np.radians(190.72646643 + 15917.10818695 * t)
    ra = 317.67071657 - 0.10844326 * t - 1.78428399 * np.sin(node)
    dec = 52.88627266 - 0.06134706 * t - 1.07516537 * np.cos(node)
    rate = 1128.84475928
    mean = 35.1877444 + (rate * whole) % 360.0 + rate * rest + 12.72192797 * t**2
    mean = mean + 1.42421769 * np.sin(node)
    anomaly = np.radians(189.6327156 + 41215158.1842005 * t + 12.71192322 * t**2)
    eccentricity = 0.0151  # JPL's mean elements (Jacobson & Lainey 2014)
    longitude = mean + np.degrees(2.0 * eccentricity * np.sin(anomaly))
    return _moon(ra, dec, longitude, rate, 9.376e6 * (1.0 - eccentricity * np.cos(anomaly)))


def _deimos(epoch: Epoch) -> Floats:
    """Return the state of Deimos relative to Mars, m and m/s, shape (n, 6)."""
    whole, rest, t = _days(epoch)
    node = np.radians(121.46893664 + 660.22803474 * t)
    ra = 316.65705808 - 0.10518014 * t + 3.09217726 * np.sin(node)
    dec = 53.50992033 - 0.05979094 * t + 1.83936004 * np.cos(node)
    rate = 285.16188899
    mean = 79.39932954 + (rate * whole) % 360.0 + rate * rest - 2.73954829 * np.sin(node)
    return _moon(ra, dec, mean, rate, np.full_like(t, 2.3458e7))


def _moon(ra: Floats, dec: Floats, meridian: Floats, rate: float, distance: Floats) -> Floats:
    """Return a moon's state: the meridian that faces Mars points from the moon to Mars."""
    axes = _orientation(ra, dec, meridian)
    position = -axes[..., :, 0] * distance[..., None]
    velocity = -axes[..., :, 1] * (distance * np.radians(rate) / DAY)[..., None]
    return np.concatenate([position, velocity], axis=-1)
