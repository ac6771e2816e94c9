"""Covariances along other axes and at other epochs: what must not change, and hand-made cases."""

import numpy as np
import pytest

from kitestring.errors import EstimationError
from kitestring.estimate.mapping import (
    MAS,
    covariance_rtn,
    error_ellipse,
    map_covariance,
    plane_of_sky,
    rtn_axes,
    sky_axes,
)

ROUNDING = 1e-12
STATE = np.array([1.2e11, -0.7e11, 0.3e11, 12e3, 21e3, 5e3])


def some_covariance(size: int) -> np.ndarray:
    root = np.random.default_rng(1).normal(size=(size, size))
    return root @ root.T


@pytest.mark.parametrize("axes", [rtn_axes(STATE), sky_axes(STATE[:3])])
def test_axes_are_right_handed_and_orthonormal(axes):
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=ROUNDING)
    assert np.linalg.det(axes) == pytest.approx(1.0, abs=ROUNDING)


def test_radial_transverse_normal_of_a_circular_orbit_in_the_equator():
    axes = rtn_axes([0.0, 2.0, 0.0, -3.0, 0.0, 0.0])
    np.testing.assert_allclose(axes, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=ROUNDING)
    with pytest.raises(EstimationError, match="no plane"):
        rtn_axes([1.0, 0, 0, 2.0, 0, 0])


def test_turning_keeps_size_and_the_total_of_variances():
    covariance = some_covariance(6)
    turned = covariance_rtn(covariance, STATE)
    for part in (slice(3), slice(3, 6)):
        assert np.trace(turned[part, part]) == pytest.approx(np.trace(covariance[part, part]))
    np.testing.assert_allclose(
        np.linalg.eigvalsh(turned), np.linalg.eigvalsh(covariance), rtol=1e-9
    )


def test_sky_axes_point_east_north_and_away():
    # at right ascension 0: east is +y, north is +z
    np.testing.assert_allclose(sky_axes([5.0, 0, 0]), [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    # increasing right ascension and declination move along them
    ra, dec, step = 1.1, -0.4, 1e-6

    def unit(a, d):
        return np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])

    axes = sky_axes(unit(ra, dec))
    east = (unit(ra + step, dec) - unit(ra - step, dec)) / (2 * step * np.cos(dec))
    north = (unit(ra, dec + step) - unit(ra, dec - step)) / (2 * step)
    np.testing.assert_allclose(axes[:2], [east, north], atol=1e-9)
    with pytest.raises(EstimationError, match="pole"):
        sky_axes([0.0, 0.0, 1.0])


def test_plane_of_sky_in_kilometres_and_milliarcseconds():
    away = np.array([1e11, 0.0, 0.0])
    found = plane_of_sky(np.diag([9e6, 1e6, 4e6, 1.0, 1.0, 1.0]), away)
    np.testing.assert_allclose(found.sigmas, [1e3, 2e3, 3e3])
    np.testing.assert_allclose(found.angles / MAS, [2.0626, 4.1253], rtol=1e-4)
    assert found.ellipse.semi_major == pytest.approx(2e3)
    assert found.ellipse.position_angle == pytest.approx(0.0, abs=1e-9)  # north
    assert "north 2.000 km" in str(found)


@pytest.mark.parametrize("angle", [0.2, 1.0, 2.5])
def test_the_ellipse_has_the_axes_it_was_made_from(angle):
    major = np.array([np.sin(angle), np.cos(angle)])  # (east, north)
    minor = np.array([np.cos(angle), -np.sin(angle)])
    found = error_ellipse(25.0 * np.outer(major, major) + 4.0 * np.outer(minor, minor))
    assert found.semi_major == pytest.approx(5.0)
    assert found.semi_minor == pytest.approx(2.0)
    assert found.position_angle == pytest.approx(angle)


def test_mapping_is_linear_and_chains():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(6, 6)), rng.normal(size=(4, 6, 6))
    covariance = some_covariance(6)
    chained = map_covariance(map_covariance(covariance, first), second)
    np.testing.assert_allclose(chained, map_covariance(covariance, second @ first), rtol=1e-9)
    np.testing.assert_allclose(map_covariance(covariance, np.eye(6)), covariance)
    assert chained.shape == (4, 6, 6)
