"""The ocean pole tide's load: rows of the IERS' grid, the equation by hand, Calc's delays."""

import gzip
import importlib.util
from pathlib import Path

import erfa
import numpy as np
import pytest

from kitestring.errors import ConfigurationError
from kitestring.model.antenna import enu_matrix, geodetic
from kitestring.model.displacement import mean_pole, wobble
from kitestring.model.earth import DISPLACEMENTS, EarthModel
from kitestring.model.ocean_pole_tide import ocean_pole_tide, ocean_pole_tide_coefficients
from kitestring.model.stations import all_stations, get_station
from kitestring.model.time import Epoch

MILLIMETRE = 1e-3
MICROMETRE = 1e-6
ROUNDING = 0.51e-4  # of the package's copy of the coefficients
EPOCH = Epoch.from_iso("2023-05-11T17:00:00")

# rows of opoleloadcoefcmcor.txt: longitude, latitude (deg), u_r, u_n, u_e (R and I by turns)
ROWS = {
    (12.75, 48.75): (0.057412, -0.040150, 0.012486, 0.010657, -0.007951, -0.061337),
    (13.25, 48.75): (0.056396, -0.039848, 0.012672, 0.011100, -0.007778, -0.060824),
    (12.75, 49.25): (0.057416, -0.040362, 0.012179, 0.010931, -0.007777, -0.061281),
    (13.25, 49.25): (0.056284, -0.040070, 0.012338, 0.011367, -0.007591, -0.060766),
    (0.25, 0.25): (-0.045473, -0.013363, -0.029142, -0.034187, -0.026165, -0.070089),
    (359.75, 0.25): (-0.045131, -0.012832, -0.029295, -0.034097, -0.026353, -0.070402),
    (0.25, -89.75): (0.022015, 0.040741, -0.021861, -0.029058, -0.025845, -0.055643),
    (359.75, 89.75): (-0.010241, -0.028416, 0.042118, 0.028224, -0.026221, -0.070267),
}


def place(longitude: float, latitude: float, height: float = 0.0) -> np.ndarray:
    return erfa.gd2gc(2, np.radians(longitude), np.radians(latitude), height)


def parts(longitude: float, latitude: float) -> np.ndarray:
    found = ocean_pole_tide_coefficients(place(longitude, latitude))
    return np.stack([found.real, found.imag], axis=-1).ravel()


@pytest.mark.parametrize("point", ROWS)
def test_coefficients_of_the_grid(point) -> None:
    np.testing.assert_allclose(parts(*point), ROWS[point], rtol=0, atol=ROUNDING)


def test_coefficients_between_points_are_bilinear() -> None:
    x, y = 0.3, 0.8
    west = (1 - y) * np.array(ROWS[12.75, 48.75]) + y * np.array(ROWS[12.75, 49.25])
    east = (1 - y) * np.array(ROWS[13.25, 48.75]) + y * np.array(ROWS[13.25, 49.25])
    found = parts(12.75 + 0.5 * x, 48.75 + 0.5 * y)
    np.testing.assert_allclose(found, (1 - x) * west + x * east, rtol=0, atol=ROUNDING)
    mean = (np.array(ROWS[0.25, 0.25]) + ROWS[359.75, 0.25]) / 2
    for longitude in (0.0, 360.0, -360.0):  # across Greenwich
        np.testing.assert_allclose(parts(longitude, 0.25), mean, rtol=0, atol=ROUNDING)


def test_poles_are_those_of_the_outermost_circle() -> None:
    np.testing.assert_allclose(parts(0.25, -90.0), ROWS[0.25, -89.75], rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(parts(-0.25, 90.0), ROWS[359.75, 89.75], rtol=0, atol=ROUNDING)


def test_the_equation_by_hand() -> None:
    """TN36 eq. 7.29 and 7.30, number by number; K is 5340 m there."""
    second = erfa.DAS2R
    mean_x, mean_y = mean_pole(EPOCH)
    m1, m2 = 0.2 * second, -0.35 * second
    xp, yp = mean_x + m1, mean_y - m2
    spin, radius, gm = 7.292115e-5, 6378136.6, 3.986004418e14
    height = (8 * np.pi / 15) ** 0.5 * spin**2 * radius**4 / gm
    k = 4 * np.pi * 6.67428e-11 * radius * 1025.0 * height / (3 * 9.7803278)
    assert k == pytest.approx(5340.0, rel=1e-3)
    gamma_r, gamma_i = 0.6870, 0.0036
    ur, ui, nr, ni, er, ei = ROWS[12.75, 49.25]
    a, b = m1 * gamma_r + m2 * gamma_i, m2 * gamma_r - m1 * gamma_i
    up, north, east = (k * (a * r + b * i) for r, i in ((ur, ui), (nr, ni), (er, ei)))
    here = place(12.75, 49.25)
    moved = ocean_pole_tide(here, EPOCH, xp, yp)
    # along the geocentric directions of the equation
    longitude, latitude = np.arctan2(here[1], here[0]), np.arcsin(here[2] / np.linalg.norm(here))
    found = enu_matrix(longitude, latitude) @ moved
    # half a unit of the copy times 10 mm
    np.testing.assert_allclose(found, [east, north, up], rtol=0, atol=1.0 * MICROMETRE)
    assert abs(up) > 100 * MICROMETRE


def test_wobble_is_towards_greenwich_and_east() -> None:
    mean_x, mean_y = mean_pole(EPOCH)
    m1, m2 = wobble(EPOCH, mean_x + erfa.DAS2R, mean_y + 0.5 * erfa.DAS2R)
    assert (float(m1), float(m2)) == pytest.approx((1.0, -0.5), rel=1e-9)
    with pytest.raises(ConfigurationError, match="iers2010"):
        wobble(EPOCH, 0.0, 0.0, "2015")


def test_size_at_every_station_and_many_at_once() -> None:
    """No more than 2 mm at half an arcsecond; one array gives what single calls give."""
    places = np.array([s.position for s in all_stations()])
    mean_x, mean_y = mean_pole(EPOCH)
    pole = mean_x + 0.4 * erfa.DAS2R, mean_y + 0.3 * erfa.DAS2R
    together = ocean_pole_tide(places, EPOCH, *pole)
    assert together.shape == places.shape
    assert 0.05 * MILLIMETRE < np.linalg.norm(together, axis=-1).max() < 2.0 * MILLIMETRE
    for k in (0, 40, len(places) - 1):
        alone = ocean_pole_tide(places[k], EPOCH, *pole)
        np.testing.assert_allclose(together[k], alone, rtol=0, atol=1e-15)


def test_it_moves_stations_unless_it_is_left_out() -> None:
    assert "ocean_pole_tide" in EarthModel().displacements
    station = get_station("KOKEE")
    epochs = EPOCH.shifted(np.zeros(1))
    states = {}
    for name in ("with", "without"):
        left = [d for d in DISPLACEMENTS if d in ("solid_tide", "pole_tide")]
        chosen = [*left, "ocean_pole_tide"] if name == "with" else left
        states[name] = EarthModel(displacements=chosen).station_state(station, epochs)
    moved = states["with"].rotation.to_itrf(states["with"].position - states["without"].position)
    eop = EarthModel().orientation.at(epochs)
    expected = ocean_pole_tide(station.position, epochs, eop.xp, eop.yp)
    # positions of 6e6 m are rounded to 1e-9 m
    np.testing.assert_allclose(moved, expected, rtol=0, atol=5e-9)


def test_the_tool_keeps_the_grid(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "make_ocean_pole_tide", Path(__file__).parents[2] / "tools" / "make_ocean_pole_tide.py"
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    values = np.random.default_rng(1).uniform(-0.4, 0.4, (6, 3, 720))  # steps beyond a byte
    packed = tool.pack(values)
    difference = packed["high"].astype(np.int16) << 8 | packed["low"]
    again = packed["unit"] * np.cumsum(difference, axis=-1, dtype=np.int16)
    assert np.abs(again - values).max() <= 0.5001 * tool.UNIT
    wrong = tmp_path / "other.txt.gz"
    with gzip.open(wrong, "wt") as file:
        file.write("header\n" * tool.HEADER + "0.5 -89.5 0 0 0 0 0 0\n")
    with pytest.raises(SystemExit, match="half a degree"):
        tool.read(wrong)


def test_heights_do_not_matter() -> None:
    low, high = place(12.8, 49.0), place(12.8, 49.0, 4000.0)
    assert geodetic(high)[2] == pytest.approx(4000.0)
    np.testing.assert_allclose(
        ocean_pole_tide_coefficients(low), ocean_pole_tide_coefficients(high), rtol=0, atol=1e-9
    )
