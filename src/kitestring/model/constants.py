"""Physical constants; each with its source."""

from __future__ import annotations

from types import MappingProxyType

C = 299792458.0
"""Speed of light, m/s (exact)."""

AU = 149597870700.0
"""Astronomical unit, m (IAU 2012 resolution B2, exact)."""

L_G = 6.969290134e-10
"""1 - d(TT)/d(TCG) (IAU 2000 resolution B1.9, exact)."""

L_C = 1.48082686741e-8
"""Mean of 1 - d(TCG)/d(TCB) (Irwin & Fukushima 1999; IERS TN36 table 1.1)."""

L_B = 1.550519768e-8
"""1 - d(TDB)/d(TCB) (IAU 2006 resolution B3, exact)."""

EARTH_ROTATION_RATE = 7.292115146706979e-5
"""d(ERA)/dt, rad per second of UT1: 2 pi x 1.00273781191135448 / 86400 (IERS TN36 eq. 5.15)."""

EARTH_RADIUS = 6378136.6
"""Equatorial radius of the Earth, m, zero-tide (IERS TN36 table 1.1)."""

GM = MappingProxyType(
    {
        # DE440 (Park et al. 2021, table 2), m^3/s^2, TDB-compatible
        "SUN": 132712440041.279419e9,
        "MERCURY BARYCENTER": 22031.868551e9,
        "VENUS BARYCENTER": 324858.592000e9,
        "EARTH": 398600.435507e9,
        "MOON": 4902.800118e9,
        "EARTH-MOON BARYCENTER": 403503.235625e9,
        "MARS BARYCENTER": 42828.375816e9,
        "JUPITER BARYCENTER": 126712764.100000e9,
        "SATURN BARYCENTER": 37940584.841800e9,
        "URANUS BARYCENTER": 5794556.400000e9,
        "NEPTUNE BARYCENTER": 6836527.100580e9,
        "PLUTO BARYCENTER": 975.500000e9,
    }
)
"""Gravitational parameters of DE440 by body name, m^3/s^2."""
