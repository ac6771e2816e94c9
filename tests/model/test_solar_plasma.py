"""Solar plasma: columns beside closed forms and quadrature, signs; trembling beside InSight's."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from kitestring.errors import ConfigurationError
from kitestring.model.constants import AU, C
from kitestring.model.earth import EarthModel
from kitestring.model.sight import Sight
from kitestring.model.solar_plasma import (
    CORONA,
    SOLAR_RADIUS,
    SolarPlasma,
    doppler_sigma,
    electron_column,
)
from kitestring.model.stations import get_station
from kitestring.model.tec import REFRACTION
from kitestring.model.time import Epoch

EARTH = np.array([-AU, 0.0, 0.0])
QUADRATURE = 1e-4  # of 24 nodes, a path without end included


def away(degrees: float) -> np.ndarray:
    """A direction at an angle from the Sun, seen from EARTH."""
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle), 0.0])


class TestColumn:
    @pytest.mark.parametrize("degrees", [1.0, 10.0, 90.0, 170.0])
    @pytest.mark.parametrize("length", [3e11, np.inf])
    def test_inverse_square_in_closed_form(self, degrees: float, length: float) -> None:
        """A R^2 / p times the angle that the path spans from the Sun."""
        direction = away(degrees)
        end = direction if np.isinf(length) else (EARTH + length * direction)
        cosine = -EARTH @ end / AU / np.linalg.norm(end)
        span = np.pi - np.arccos(cosine)
        impact = AU * np.sin(np.radians(degrees))
        found = electron_column(EARTH[None], direction[None], length, [(3.0, 2.0)])
        assert found == pytest.approx(3.0 * SOLAR_RADIUS**2 / impact * span, rel=1e-9)

    @pytest.mark.parametrize("degrees", [1.0, 10.0, 100.0, 179.0])
    @pytest.mark.parametrize("length", [1e10, 3e11, 1e13])
    def test_beside_adaptive_quadrature(self, degrees: float, length: float) -> None:
        direction = away(degrees)

        def density(s: float) -> float:
            r = np.linalg.norm(EARTH + s * direction) / SOLAR_RADIUS
            return sum(a * r**-n for a, n in CORONA)

        nearest = min(max(-EARTH @ direction, 0.0), length)
        points = sorted({0.0, nearest, length, *(min(nearest + x, length) for x in (1e10, 1e11))})
        parts = pairwise(points)
        expected = sum(quad(density, a, b, limit=400, epsrel=1e-9)[0] for a, b in parts)
        found = electron_column(EARTH[None], direction[None], length, CORONA)
        assert found == pytest.approx(expected, rel=QUADRATURE)

    def test_straight_away_from_the_sun(self) -> None:
        """There is no angle to integrate over, and still a column: A R^n r^(1-n) / (n - 1)."""
        found = electron_column(EARTH[None], -away(0.0)[None], np.inf, [(1.0, 6.0)])
        assert found == pytest.approx(SOLAR_RADIUS**6 * AU**-5 / 5.0, rel=1e-4)

    def test_through_the_sun_and_in_front_of_it(self) -> None:
        blocked = electron_column(EARTH[None], away(0.1)[None], 2 * AU, CORONA)
        assert np.isnan(blocked)
        in_front = electron_column(EARTH[None], away(0.1)[None], 0.5 * AU, CORONA)
        assert in_front > 0.0

    def test_density_at_the_earth(self) -> None:
        """In situ some 7 electrons/cm^3 (the series' author compares with it)."""
        short = electron_column(EARTH[None], away(90.0)[None], 1.0, CORONA)
        assert 5e6 < short[0] < 10e6


class TestEffect:
    def sight(self, degrees: float, **more) -> Sight:
        station, epoch = get_station("WETTZELL"), Epoch.from_iso(["2026-01-01T12:00:00"])
        state = EarthModel(displacements=()).station_state(station, epoch)
        sun = state.sun - state.barycentric
        sun /= np.linalg.norm(sun)
        aside = np.cross(sun, [0.0, 0.0, 1.0])
        aside /= np.linalg.norm(aside)
        angle = np.radians(degrees)
        way = np.cos(angle) * sun + np.sin(angle) * aside
        return Sight(station, state, way, distance=3e11, **more)

    def test_size_sign_and_sigma(self) -> None:
        group = self.sight(10.0, frequency=8.4e9)
        phase = self.sight(10.0, frequency=8.4e9, group=False)
        plasma = SolarPlasma(fraction=0.3)
        column = plasma.column(group)
        assert plasma.delay(group) == pytest.approx(REFRACTION * column / (C * 8.4e9**2))
        assert plasma.delay(phase) == -plasma.delay(group)
        assert plasma.sigma(phase) == pytest.approx(0.3 * plasma.delay(group))
        # the station's own distance from the Sun, 0.983 au on 1 January
        start = group.state.barycentric - group.state.sun
        assert np.linalg.norm(start) == pytest.approx(0.983 * AU, rel=1e-3)
        assert column == electron_column(start, group.direction, 3e11, CORONA)

    def test_it_falls_away_from_the_sun(self) -> None:
        sizes = [SolarPlasma().delay(self.sight(d, frequency=8.4e9))[0] for d in (5, 20, 90, 170)]
        assert np.all(np.diff(sizes) < 0.0)

    def test_refusals(self) -> None:
        with pytest.raises(ConfigurationError, match="solar plasma depends on the sky frequency"):
            SolarPlasma().delay(self.sight(10.0))
        with pytest.raises(ConfigurationError, match="fall faster"):
            SolarPlasma([(1e14, 1.0)])


# Two-way Doppler of InSight, X band, counts of 60 s, November 2018 to December 2020: angle from
# the Sun (deg) and rms of passes about a line (mHz), medians of passes in bins of angle
INSIGHT = (
    (2.8, 14.26),
    (3.6, 29.21),
    (4.4, 16.76),
    (5.6, 9.72),
    (6.9, 14.71),
    (8.6, 5.47),
    (11.8, 6.15),
    (13.5, 3.93),
    (14.6, 3.53),
    (16.5, 2.77),
    (18.9, 2.38),
    (22.6, 2.47),
)


class TestDopplerSigma:
    def test_beside_insight(self) -> None:
        """These set its size and exponents: the test holds the formula to them, no more."""
        angle, measured = np.array(INSIGHT).T
        told = 1e3 * doppler_sigma(np.radians(angle), 8.42e9, 60.0, 8.42e9 * 749 / 880)
        ratio = measured / told
        assert np.all((ratio > 0.5) & (ratio < 2.0))  # medians of 2 to 12 passes scatter by 1.7
        assert np.exp(np.mean(np.log(ratio))) == pytest.approx(1.0, abs=0.1)

    def test_its_laws(self) -> None:
        base = doppler_sigma(0.2, 8.4e9, 60.0)
        assert doppler_sigma(0.2, 32e9, 60.0) == pytest.approx(base * 8.4 / 32.0)
        assert doppler_sigma(0.2, 8.4e9, 480.0) == pytest.approx(base / 2.0)
        # an uplink's own trembling, f_down / f_up times, and once more for its frequency
        both = doppler_sigma(0.2, 8.4e9, 60.0, 7.2e9)
        up = doppler_sigma(0.2, 7.2e9, 60.0) * 8.4 / 7.2
        assert both == pytest.approx(np.hypot(base, up))
        assert doppler_sigma(np.pi, 8.4e9, 60.0) == doppler_sigma(np.pi / 2, 8.4e9, 60.0)

    @pytest.mark.parametrize("given", [(0.0, 8e9, 60.0), (1.0, 0.0, 60.0), (1.0, 8e9, np.nan)])
    def test_refusals(self, given) -> None:
        with pytest.raises(ConfigurationError):
            doppler_sigma(*given)
