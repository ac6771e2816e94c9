"""What D. Milbert's program ``solid``, which pysolid wraps, takes for Sun, Moon and time.

Short series of O. Montenbruck and E. Gill, "Satellite Orbits" (2000), section 3.3.2:
eq. 3.43 to 3.46 for the Sun, 3.47 to 3.51 for the Moon. In 2024 the Moon is good to
4 arc minutes and 400 km, the Sun to 5 arc minutes: its perigee stands still, which
loses 0.3 degrees a century, 0.2 mm of its tide by now.
They are turned into the
terrestrial frame as ``solid`` does it: precession in longitude, mean sidereal
time with UT1 = UTC, no nutation and no polar motion. The coefficients are those of
``solid.for``; PyTMD's ``astro.py`` has the same ones, but for the sign of the
Moon's 148 arc seconds in l - l', where ``solid.for`` is right. `tide_arguments` are
the arguments of the tide's frequency-dependent part (its step 2), errors included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

_ARCSECOND = np.pi / 648000.0
_OBLIQUITY = np.radians(23.43929111)
_PRECESSION = np.radians(1.3972)  # in longitude, rad a century
_KILOMETRE = 1e3

# multiples of l, l', F, D and arc seconds or kilometres
_MOON_LONGITUDE = np.array(
    [
        (1, 0, 0, 0, 22640.0),
        (2, 0, 0, 0, 769.0),
        (1, 0, 0, -2, -4586.0),
        (0, 0, 0, 2, 2370.0),
        (0, 1, 0, 0, -668.0),
        (0, 0, 2, 0, -412.0),
        (2, 0, 0, -2, -212.0),
        (1, 1, 0, -2, -206.0),
        (1, 0, 0, 2, 192.0),
        (0, 1, 0, -2, -165.0),
        (1, -1, 0, 0, 148.0),
        (0, 0, 0, 1, -125.0),
        (1, 1, 0, 0, -110.0),
        (0, 0, 2, -2, -55.0),
    ]
)
_MOON_LATITUDE = np.array(
    [
        (0, 0, 1, -2, -526.0),
        (1, 0, 1, -2, 44.0),
        (-1, 0, 1, -2, -31.0),
        (-2, 0, 1, 0, -25.0),
        (0, 1, 1, -2, -23.0),
        (-1, 0, 1, 0, 21.0),
        (0, -1, 1, -2, 11.0),
    ]
)
_MOON_DISTANCE = np.array(
    [
        (1, 0, 0, 0, -20905.0),
        (-1, 0, 0, 2, -3699.0),
        (0, 0, 0, 2, -2956.0),
        (2, 0, 0, 0, -570.0),
        (2, 0, 0, -2, 246.0),
        (0, 1, 0, -2, -205.0),
        (1, 0, 0, 2, -171.0),
        (1, 1, 0, -2, -152.0),
    ]
)


def moon(epoch: Epoch) -> Floats:
    """Return the Moon's position in the terrestrial frame, shape (n, 3), m."""
    t = epoch.to("tt").centuries()
    mean = np.radians(218.31617 + 481267.88088 * t) - _PRECESSION * t
    arguments = np.radians(
        np.stack(
            [
                134.96292 + 477198.86753 * t,
                357.52543 + 35999.04944 * t,
                93.27283 + 483202.01873 * t,
                297.85027 + 445267.11135 * t,
            ],
            axis=-1,
        )
    )
    off = _series(np.sin, arguments, _MOON_LONGITUDE) * _ARCSECOND
    sun, node = arguments[..., 1], arguments[..., 2]
    q = (412.0 * np.sin(2.0 * node) + 541.0 * np.sin(sun)) * _ARCSECOND
    latitude = 18520.0 * np.sin(node + off + q) + _series(np.sin, arguments, _MOON_LATITUDE)
    distance = 385000.0 + _series(np.cos, arguments, _MOON_DISTANCE)
    longitude = mean + off + _PRECESSION * t
    return _terrestrial(epoch, longitude, latitude * _ARCSECOND, distance * _KILOMETRE)


def sun(epoch: Epoch) -> Floats:
    """Return the Sun's position in the terrestrial frame, shape (n, 3), m."""
    t = epoch.to("tt").centuries()
    anomaly = np.radians(357.5256 + 35999.049 * t)
    distance = (149.619 - 2.499 * np.cos(anomaly) - 0.021 * np.cos(2.0 * anomaly)) * 1e9
    centre = (6892.0 * np.sin(anomaly) + 72.0 * np.sin(2.0 * anomaly)) * _ARCSECOND
    longitude = np.radians(282.94) + anomaly + centre + _PRECESSION * t
    return _terrestrial(epoch, longitude, np.zeros_like(t), distance)


def tide_arguments(epoch: Epoch) -> tuple[Floats, Floats]:
    """Return tau, shape (n,), and s, h, p, N', ps, shape (n, 5), as ``step2diu`` has them, rad.

    Centuries are counted from 0 h of 2000-01-01 (MJD 51544) in place of noon, hours of
    the day in TT in place of UT1, and the precession in longitude is added to a mean
    longitude of the Moon that is of date already (that one is the IERS' too). In 2024
    K1, of 12 mm, runs 0.02 rad ahead for it.
    """
    tt = epoch.to("tt")
    t = (tt.day - 51544 + tt.second / 86400.0) / 36525.0

    def polynomial(*coefficients: float) -> Floats:
        return np.asarray(np.polynomial.polynomial.polyval(t, coefficients))

    s = polynomial(218.31664563, 481267.88194, -0.0014663889, 0.00000185139)
    sidereal = polynomial(280.4606184, 36000.7700536, 0.00038793, -0.0000000258)
    tau = tt.second / 240.0 + sidereal - s
    s = s + polynomial(0.0, 1.396971278, 0.000308889, 0.000000021, 0.000000007)
    h = polynomial(280.46645, 36000.7697489, 0.00030322222, 0.000000020, -0.00000000654)
    p = polynomial(83.35324312, 4069.01363525, -0.01032172222, -0.0000124991, 0.00000005263)
    n = polynomial(234.95544499, 1934.13626197, -0.00207561111, -0.00000213944, 0.0000000165)
    ps = polynomial(282.93734098, 1.71945766667, 0.00045688889, -0.00000001778, -0.00000000334)
    slow = np.stack([s, h, p, n, ps], axis=-1)
    return np.radians(tau % 360.0), np.radians(slow % 360.0)


def _series(wave: np.ufunc, arguments: Floats, table: Floats) -> Floats:
    return np.asarray(wave(arguments @ table[:, :4].T) @ table[:, 4])


def _terrestrial(epoch: Epoch, longitude: Floats, latitude: Floats, distance: Floats) -> Floats:
    """Return terrestrial positions of ecliptic coordinates (eq. 3.51, 2.85 and 2.89)."""
    x = np.cos(longitude) * np.cos(latitude)
    y, z = np.sin(longitude) * np.cos(latitude), np.sin(latitude)
    se, ce = np.sin(_OBLIQUITY), np.cos(_OBLIQUITY)
    y, z = ce * y - se * z, se * y + ce * z
    utc = epoch.to("utc")
    days = (utc.day - 51544) + (utc.second / 86400.0 - 0.5)
    angle = np.radians((280.46061837504 + 360.9856473662862 * days) % 360.0)
    s, c = np.sin(angle), np.cos(angle)
    towards = np.stack([c * x + s * y, c * y - s * x, z], axis=-1)
    return np.asarray(distance[..., None] * towards)
