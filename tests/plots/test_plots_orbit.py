"""Pictures of orbits: ellipses lie where they should, in units that can be read."""

import io

import numpy as np
import pytest
from matplotlib.patches import Ellipse

from kitestring.estimate.mapping import ErrorEllipse, error_ellipse
from kitestring.model.time import Epoch
from kitestring.plots.orbit import plot_lander, plot_plane_of_sky, plot_rtn_sigmas

KM = 1e3
RADIUS = 3394e3


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def ellipses(axis):
    return [patch for patch in axis.patches if isinstance(patch, Ellipse)]


def test_ellipses_have_the_covariance_they_stand_for():
    covariance = np.array([[9.0, 4.0], [4.0, 5.0]]) * KM**2  # of (east, north)
    figure = plot_plane_of_sky({"fit": ((2 * KM, -KM), error_ellipse(covariance))})
    (axis,) = figure.axes
    one, three = ellipses(axis)
    for shape, times in ((one, 1.0), (three, 3.0)):
        points = shape.get_patch_transform().transform(shape.get_path().vertices) - [2.0, -1.0]
        size = np.einsum("ni,ij,nj->n", points, np.linalg.inv(covariance / KM**2), points)
        on_curve = size[np.isclose(size, times**2, rtol=1e-3)]
        assert len(on_curve) >= 8  # the others are control points of the spline
        assert size.min() == pytest.approx(times**2, rel=1e-3)
    low, high = axis.get_xlim()
    assert low > high  # east is to the left
    assert axis.get_xlabel() == "east (km)"


def test_a_small_ellipse_gets_a_panel_of_its_own():
    large, small = ErrorEllipse(900 * KM, 500 * KM, 1.0), ErrorEllipse(300.0, 40.0, 0.3)
    figure = plot_plane_of_sky(
        {"a-priori": ((0.0, 0.0), large), "a-posteriori": ((50 * KM, 0.0), small)},
        truth=(50.1 * KM, 0.0),
        title="Probe",
    )
    wide, near = figure.axes
    assert wide.get_xlabel() == "east (km)"
    assert near.get_title() == "around a-posteriori"
    assert sum(near.get_xlim()) / 2 == pytest.approx(50.0)
    assert "a-priori: 1σ 900 × 500 km (dashed: 3σ)" in legend(figure)
    assert "a-posteriori: 1σ 300 × 40 m (dashed: 3σ)" in legend(figure)
    assert "truth" in legend(figure)
    figure.savefig(io.BytesIO(), format="svg")


def test_estimates_of_one_size_share_one_panel():
    one = ErrorEllipse(3.0, 2.0, 0.0)
    figure = plot_plane_of_sky({"a": ((0.0, 0.0), one), "b": ((1.0, 1.0), one)})
    assert len(figure.axes) == 1
    assert figure.axes[0].get_ylabel() == "north (m)"
    with pytest.raises(ValueError, match="no estimate"):
        plot_plane_of_sky({})


@pytest.mark.parametrize("columns", [3, 6])
def test_sigmas_of_a_prediction(columns):
    epochs = Epoch.from_iso("2026-05-01", "tdb").shifted(86400.0 * np.arange(10))
    sigmas = np.outer(np.arange(1.0, 11.0), np.array([1e3, 2e3, 3e3, 1e-3, 2e-3, 3e-3][:columns]))
    figure = plot_rtn_sigmas(epochs, sigmas, data_end=epochs[4], title="Prediction")
    assert len(figure.axes) == columns // 3
    assert figure.axes[0].lines[2].get_ydata() == pytest.approx(3.0 * np.arange(1.0, 11.0))
    assert figure.axes[0].get_ylabel() == "sigma of position (km)"
    assert figure.axes[-1].get_xlabel() == "TDB"
    assert legend(figure)[-1] == "last observation"
    if columns == 6:
        assert figure.axes[1].get_ylabel() == "sigma of velocity (mm/s)"
    figure.savefig(io.BytesIO(), format="svg")


def place(longitude, latitude, radius=RADIUS):
    a, b = np.radians([longitude, latitude])
    return radius * np.array([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)])


def test_a_lander_lies_at_its_longitude_and_latitude():
    here = place(200.0, -30.0)
    north = np.degrees(10.0 / RADIUS)
    figure = plot_lander(
        here, 4.0 * np.eye(3), {"map": place(200.0, -30.0 + north, RADIUS + 7.0)}, title="Rover"
    )
    (axis,) = figure.axes
    assert "longitude 200.000000° ± 2 m, latitude -30.000000° ± 2 m" in figure.get_suptitle()
    assert "radius 3394.000 km ± 2 m" in figure.get_suptitle()
    mark = next(line for line in axis.lines if line.get_label().startswith("map (+7 m up)"))
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((0.0, 10.0), abs=0.001)
    figure.savefig(io.BytesIO(), format="svg")
    top, right = axis.child_axes
    assert top.get_xlim() == pytest.approx(
        200.0 + np.degrees(np.array(axis.get_xlim()) / (RADIUS * np.cos(np.radians(30.0))))
    )
    assert right.get_ylim() == pytest.approx(-30.0 + np.degrees(np.array(axis.get_ylim()) / RADIUS))


def test_the_ellipse_of_a_lander_is_that_of_its_covariance():
    here = place(90.0, 0.0)  # east is -x, north is z
    figure = plot_lander(here, [[9.0, 0.0, -4.0], [0.0, 1.0, 0.0], [-4.0, 0.0, 5.0]])
    shape = ellipses(figure.axes[0])[0]
    wanted = error_ellipse([[9.0, 4.0], [4.0, 5.0]])
    assert shape.width == pytest.approx(2.0 * wanted.semi_major)
    assert shape.height == pytest.approx(2.0 * wanted.semi_minor)
    assert shape.angle == pytest.approx(90.0 - np.degrees(wanted.position_angle))


def test_a_far_reference_leaves_the_ellipse_visible():
    figure = plot_lander(place(10.0, 5.0), np.eye(3), {"map": place(10.5, 5.0)}, name="Probe")
    assert [axis.get_xlabel() for axis in figure.axes] == ["east (km)", "east (m)"]
