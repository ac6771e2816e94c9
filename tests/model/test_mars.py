"""Mars: rotation, and how far its moons move its centre."""

import numpy as np
import pytest

from kitestring.model import mars
from kitestring.model.constants import AU, GM
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.mars import mars_center_offset, mars_rotation
from kitestring.model.time import DAY, Epoch

MILLIMETRE = 1e-3
J2000 = Epoch.from_iso("2000-01-01T12:00:00", "tdb")
EPOCH = Epoch.from_iso("2019-03-01", "tdb").shifted(np.linspace(0.0, 700.0 * DAY, 200))
SIDEREAL_DAY = 88642.663  # s (Allison & McEwen 2000)


def spherical(ra: float, dec: float) -> np.ndarray:
    a, d = np.radians([ra, dec])
    return np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


def hourly(days: float) -> Epoch:
    return EPOCH[0].shifted(np.arange(0.0, days * DAY, 3600.0))


class TestRotation:
    def test_matrix_is_a_rotation(self) -> None:
        matrix = mars_rotation(EPOCH).matrix
        assert matrix @ np.swapaxes(matrix, -1, -2) == pytest.approx(
            np.broadcast_to(np.eye(3), matrix.shape), abs=1e-15
        )
        assert np.linalg.det(matrix) == pytest.approx(1.0)

    def test_pole_and_meridian_of_2000(self) -> None:
        """The 2009 report's 317.68143, 52.88650 and 176.630 degrees hold to a thousandth."""
        matrix = mars_rotation(J2000[None]).matrix[0]
        pole = matrix[:, 2]
        assert np.degrees(np.arctan2(pole[1], pole[0])) % 360 == pytest.approx(317.6814, abs=2e-3)
        assert np.degrees(np.arcsin(pole[2])) == pytest.approx(52.8865, abs=2e-3)
        node = np.cross([0.0, 0.0, 1.0], pole)
        node /= np.linalg.norm(node)
        turned = np.arctan2(matrix[:, 0] @ np.cross(pole, node), matrix[:, 0] @ node)
        assert np.degrees(turned) == pytest.approx(176.630, abs=3e-3)

    def test_spin_is_the_derivative(self) -> None:
        fixed = np.array([3.3e6, 5e5, 2.6e5])
        step = 1.0
        before, at, after = (mars_rotation(EPOCH.shifted(s)) for s in (-step, 0.0, step))
        slope = (after.position(fixed) - before.position(fixed)) / (2 * step)
        # a position is rounded to 2e-9 m (the differences curve by 3e-7 m/s in two seconds)
        assert at.velocity(at.position(fixed)) == pytest.approx(slope, abs=1e-6)
        period = 2 * np.pi / np.linalg.norm(at.spin, axis=-1)
        assert period == pytest.approx(SIDEREAL_DAY, abs=0.01)

    def test_no_digits_are_lost_over_the_days(self) -> None:
        """A microsecond turns a point on the equator by 0.24 mm."""
        fixed = np.array([3.39e6, 0.0, 0.0])
        for epoch in (EPOCH, EPOCH.shifted(-19 * 365.25 * DAY)):
            moved = mars_rotation(epoch.shifted(1e-6)).position(fixed)
            apart = np.linalg.norm(moved - mars_rotation(epoch).position(fixed), axis=-1)
            assert apart == pytest.approx(0.2403 * MILLIMETRE, abs=0.002 * MILLIMETRE)


class TestMoons:
    @pytest.mark.parametrize(
        ("moon", "distance", "eccentricity", "days"),
        # NASA/JPL's table of planetary satellites: semi-major axis, eccentricity, period
        [(mars._phobos, 9.376e6, 0.0151, 0.3189), (mars._deimos, 2.3458e7, 0.0002, 1.2624)],
    )
    def test_orbit(self, moon, distance: float, eccentricity: float, days: float) -> None:
        epoch = hourly(40.0)
        state = moon(epoch)
        r = np.linalg.norm(state[:, :3], axis=1)
        assert r.mean() == pytest.approx(distance, rel=2e-3)
        assert np.ptp(r) / 2 == pytest.approx(eccentricity * distance, abs=1e-3 * distance)
        axis = np.cross(state[:, :3], state[:, 3:])
        pole = axis / np.linalg.norm(axis, axis=1, keepdims=True)
        # both run near the equator, eastward; Phobos' mean motion is faster than Mars turns
        assert np.all(np.sum(pole * mars_rotation(epoch).matrix[..., 2], axis=1) > np.cos(0.06))
        speed = np.linalg.norm(state[:, 3:], axis=1)
        assert 2 * np.pi * r.mean() / speed.mean() / DAY == pytest.approx(days, rel=3e-3)

    def test_speed_is_that_of_a_kepler_orbit(self) -> None:
        for moon in (mars._phobos, mars._deimos):
            state = moon(hourly(3.0))
            r, v = (np.linalg.norm(state[:, k : k + 3], axis=1) for k in (0, 3))
            assert np.mean(v**2 * r) == pytest.approx(GM["MARS BARYCENTER"], rel=0.01)

    @pytest.mark.parametrize(
        ("moon", "longitude", "rate", "pole"),
        [
            (mars._phobos, 207.784 + 150.057 + 91.059, 1128.8447569, (317.671, 52.893)),
            (mars._deimos, 24.525 + 260.729 + 325.329, 285.1618790, (316.657, 53.529)),
        ],
    )
    def test_longitude_is_that_of_mean_elements(
        self, moon, longitude: float, rate: float, pole: tuple[float, float]
    ) -> None:
        """JPL's planetary satellite mean elements (MAR080), epoch 1950-01-01 TT.

        Node + argument of periapsis + mean anomaly, and degrees a day, along the
        Laplace plane from its node on ICRF's equator.
        """
        up = spherical(*pole)
        node = np.cross([0.0, 0.0, 1.0], up)
        node /= np.linalg.norm(node)
        for year in (2010, 2025):
            epoch = Epoch.from_iso(f"{year}-06-01", "tdb").shifted(np.arange(0.0, 5 * DAY, 900.0))
            position = moon(epoch)[:, :3]
            seen = np.degrees(np.arctan2(position @ np.cross(up, node), position @ node))
            days = epoch.since(Epoch.from_iso("1950-01-01T00:00:00", "tt").to("tdb")) / DAY
            apart = (seen - longitude - rate * days + 180.0) % 360.0 - 180.0
            # the equation of the centre is 1.7 degrees for Phobos
            assert np.abs(apart).max() < 3.0

    def test_phobos_against_a_numerical_ephemeris(self) -> None:
        """The examples of IMCCE's MarsSatV1_0 (Lainey, Dehant & Paetzold 2007), good to 0.5 km."""
        epoch = J2000.shifted(np.array([0.0, 10.0, 20.0]) * DAY)
        expected = AU * np.array(
            [
                (-0.000013308157, -0.000058444725, -0.000021266023),
                (0.000050907508, 0.000033574979, -0.000011296402),
                (-0.000051052809, 0.000012426617, 0.000033811410),
            ]
        )
        apart = np.linalg.norm(mars._phobos(epoch)[:, :3] - expected, axis=1)
        assert apart.max() < 10e3  # 0.06 degrees; 0.2 mm of Mars' centre

    def test_centre_offset(self) -> None:
        offset = mars_center_offset(EPOCH)
        size = np.linalg.norm(offset[:, :3], axis=1)
        # Phobos 0.155 m and Deimos 0.053 m, now together, now against each other
        assert size.max() < 0.212
        assert size.max() > 0.195
        assert size.min() > 0.095

    def test_velocity_is_the_slope_of_the_offset(self) -> None:
        step = 10.0
        ahead, behind = (mars_center_offset(EPOCH.shifted(s))[:, :3] for s in (step, -step))
        slope = (ahead - behind) / (2 * step)
        found = mars_center_offset(EPOCH)[:, 3:]
        # that of a circular orbit: 4e-5 m/s times twice the eccentricity
        assert np.abs(found - slope).max() < 1.5e-6
        assert np.linalg.norm(found, axis=1).max() > 3e-5

    def test_ephemeris_adds_it_to_the_barycentre(self) -> None:
        ephemeris = Ephemeris.default()
        offset = ephemeris.state("MARS", "MARS BARYCENTER", EPOCH)
        # differences of positions of 2e11 m
        assert offset[:, :3] == pytest.approx(mars_center_offset(EPOCH)[:, :3], abs=1e-4)
