"""Tides: the IERS' own test cases, an independent program, and Calc's corrections."""

import datetime as dt
from pathlib import Path

import erfa
import numpy as np
import pytest
from scipy.io import netcdf_file

from kitestring.errors import ConfigurationError
from kitestring.model import displacement
from kitestring.model.constants import C
from kitestring.model.displacement import mean_pole, pole_tide, solid_earth_tide
from kitestring.model.earth import EarthModel
from kitestring.model.earth_orientation import EarthOrientation
from kitestring.model.stations import Station, enu_matrix, get_station
from kitestring.model.time import Epoch

MICROMETRE = 1e-6
MILLIMETRE = 1e-3
PICOSECOND = 1e-12
MAS = 1e-3 * erfa.DAS2R

# Test cases in the header of the IERS' DEHANTTIDEINEL: epoch, station, Sun, Moon, displacement
IERS_CASES = [
    (
        "2009-04-13T00:00:00",
        (4075578.385, 931852.890, 4801570.154),
        (137859926952.015, 54228127881.4350, 23509422341.6960),
        (-179996231.920342, -312468450.131567, -169288918.592160),
        (0.7700420357108125891e-01, 0.6304056321824967613e-01, 0.5516568152597246810e-01),
    ),
    (
        "2012-07-13T00:00:00",
        (1112189.660, -4842955.026, 3985352.284),
        (-54537460436.2357, 130244288385.279, 56463429031.5996),
        (300396716.912, 243238281.451, 120548075.939),
        (-0.2036831479592075833e-01, 0.5658254776225972449e-01, -0.7597679676871742227e-01),
    ),
]


def with_precession_twice(epoch: Epoch) -> tuple[np.ndarray, np.ndarray]:
    """Return Doodson arguments as that routine forms them.

    It adds the precession in longitude to a mean longitude of the Moon that is
    counted from the equinox of date already, so that K1 runs on GMST + pi + p.
    """
    tau, slow = doodson_arguments(epoch)
    slow = slow.copy()
    slow[..., 0] += np.radians(1.396971278) * epoch.to("tt").centuries()
    return tau, slow


doodson_arguments = displacement.doodson_arguments


class TestSolidTide:
    @pytest.mark.parametrize(("epoch", "station", "sun", "moon", "expected"), IERS_CASES)
    def test_iers_cases(self, epoch, station, sun, moon, expected) -> None:
        """12 mm of K1 times the routine's error of 0.003 rad in 2012 is 40 micrometres."""
        found = solid_earth_tide(station, Epoch.from_iso(epoch), sun, moon)
        np.testing.assert_allclose(found, expected, rtol=0, atol=40 * MICROMETRE)

    @pytest.mark.parametrize(("epoch", "station", "sun", "moon", "expected"), IERS_CASES)
    def test_iers_cases_with_their_arguments(
        self, monkeypatch, epoch, station, sun, moon, expected
    ) -> None:
        monkeypatch.setattr(displacement, "doodson_arguments", with_precession_twice)
        found = solid_earth_tide(station, Epoch.from_iso(epoch), sun, moon)
        # what is left are mass ratios of DE440 and newer mean longitudes
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.2 * MICROMETRE)

    def test_many_epochs_and_stations_at_once(self) -> None:
        rows = [[np.array(case[k]) for k in (1, 2, 3)] for case in IERS_CASES]
        epochs = Epoch.from_iso([case[0] for case in IERS_CASES])
        stations, suns, moons = (np.stack(column) for column in zip(*rows, strict=True))
        together = solid_earth_tide(stations, epochs, suns, moons)
        for k in range(2):
            alone = solid_earth_tide(stations[k], epochs[k], suns[k], moons[k])
            np.testing.assert_allclose(together[k], alone, rtol=0, atol=1e-15)
        one_station = solid_earth_tide(stations[0], epochs, suns, moons)
        np.testing.assert_allclose(one_station[0], together[0], rtol=0, atol=1e-15)

    @pytest.mark.parametrize(("latitude", "longitude"), [(49.0, 12.9), (-25.9, 27.7), (0.0, 120.0)])
    def test_against_pysolid(self, latitude: float, longitude: float) -> None:
        """An independent program (D. Milbert's solid.for) with its own Sun and Moon.

        Its Moon is a short series, good to 500 km in distance (Montenbruck & Gill,
        section 3.3.2): 0.4 % of a lunar tide of 0.25 m, 1 mm at most.
        """
        pysolid = pytest.importorskip("pysolid")
        start, stop = dt.datetime(2020, 3, 9), dt.datetime(2020, 3, 10)  # near a perigee
        _, east, north, up = pysolid.calc_solid_earth_tides_point(
            latitude, longitude, start, stop, step_sec=1800, verbose=False
        )
        epochs = Epoch.from_iso("2020-03-09T00:00:00").shifted(1800.0 * np.arange(len(up)))
        model = EarthModel(displacements=["solid_tide"])
        angles = np.radians([longitude, latitude])
        station = Station("HERE", erfa.gd2gc(2, *angles, 0.0))
        rotation, eop = model.rotation(epochs)
        moved = model.displacement(station, epochs, rotation, eop) @ enu_matrix(*angles).T
        assert np.ptp(up) > 0.3  # a spring tide is in it
        off = moved - np.stack([east, north, up], axis=-1)
        assert np.abs(off).max() < 1.0 * MILLIMETRE
        assert np.all(off.std(axis=0) < [0.2 * MILLIMETRE, 0.2 * MILLIMETRE, 0.4 * MILLIMETRE])


class TestPoleTide:
    def test_mean_poles_at_2020(self) -> None:
        epoch = Epoch("tt", np.int64(51544 + 7305), np.float64(43200.0))  # t = 20 years
        for kind, x, y in (
            ("secular", 55.0 + 1.677 * 20, 320.5 + 3.460 * 20),
            ("iers2010", 23.513 + 7.6141 * 20, 358.891 - 0.6287 * 20),
        ):
            found = mean_pole(epoch, kind)
            assert float(found[0]) == pytest.approx(x * MAS, rel=1e-12)
            assert float(found[1]) == pytest.approx(y * MAS, rel=1e-12)

    def test_cubic_meets_the_line_of_2010(self) -> None:
        """The conventions' two pieces agree to 1 mas where they meet."""
        edge = Epoch.from_mjd(51544.5 + 3652.5, "tt")
        before, after = mean_pole(edge.shifted(-1.0), "iers2010"), mean_pole(edge, "iers2010")
        np.testing.assert_allclose(before, after, rtol=0, atol=1.0 * MAS)
        assert not np.array_equal(before, after)

    def test_a_worked_case(self) -> None:
        """Eq. 7.26 by hand: at 45 degrees, longitude 0, only m1 moves it up or south."""
        epoch = Epoch.from_iso("2020-01-01T00:00:00")
        mean_x, mean_y = mean_pole(epoch)
        place = np.array([1.0, 0.0, 1.0]) * 4.5e6
        second = erfa.DAS2R
        moved = pole_tide(place, epoch, mean_x + second, mean_y)
        up, north = np.array([1.0, 0.0, 1.0]) / 2**0.5, np.array([-1.0, 0.0, 1.0]) / 2**0.5
        assert moved @ up == pytest.approx(-33 * MILLIMETRE, abs=1e-12)
        assert moved @ north == pytest.approx(0.0, abs=1e-12)
        # m2 = -(yp - mean): towards 90 degrees west; here it moves east by 9 cos(theta)
        moved = pole_tide(place, epoch, mean_x, mean_y + second)
        np.testing.assert_allclose(moved, [0.0, 9e-3 / 2**0.5, 0.0], rtol=0, atol=1e-12)

    def test_unknown_mean_pole(self) -> None:
        with pytest.raises(ConfigurationError, match="iers2010"):
            pole_tide(np.full(3, 3.6e6), Epoch.from_iso("2020-01-01T00:00"), 0.0, 0.0, "2015")


@pytest.mark.parametrize(
    ("effect", "file", "limit"),
    [
        # Calc takes ERA + pi for GMST + pi in step 2 of the tide: 0.2 ps at most, of 1000
        ("solid_tide", "Cal-EarthTide_kIERS2003", 0.5 * PICOSECOND),
        ("pole_tide", "Cal-PoleTide_kIERS2003", 0.1 * PICOSECOND),
        # of 3 ps; what rounds off between two copies of the grid, and their constants
        ("ocean_pole_tide", "Cal-OceanPoleTideLoad", 0.02 * PICOSECOND),
    ],
)
def test_calc_corrections(data_dir: Path, effect: str, file: str, limit: float) -> None:
    """Calc 11's corrections of 3225 delays; they are -k . (d2 - d1) / c to 1e-4 of themselves."""
    session = data_dir / "ivs-r41102"
    theirs = _variable(session / f"ObsCalTheo/{file}.nc", file.partition("_")[0])[:, 0]
    model = EarthModel(displacements=[effect], mean_pole="iers2010")
    scan = _variable(session / "CrossReference/ObsCrossRef.nc", "Obs2Scan") - 1
    rows = _variable(session / "Scan/TimeUTC.nc", "YMDHM").astype(int)
    seconds = _variable(session / "Scan/TimeUTC.nc", "Second")
    epochs = Epoch.from_iso(
        [
            f"{y % 100 + 2000}-{m:02d}-{d:02d}T{h:02d}:{n:02d}:{s:05.2f}"
            for (y, m, d, h, n), s in zip(rows, seconds, strict=True)
        ]
    )
    rotation, eop = model.rotation(epochs)
    pole = _variable(session / "Scan/ERPApriori.nc", "PolarMotion")
    eop = EarthOrientation(pole[:, 0], pole[:, 1], eop.ut1_minus_tai, eop.dx, eop.dy)
    moved = {}
    for name in set(_names(_variable(session / "Apriori/Station.nc", "AprioriStationList"))):
        station = get_station(name)
        moved[name] = rotation.position(model.displacement(station, epochs, rotation, eop))
    catalogue = _names(_variable(session / "Apriori/Source.nc", "AprioriSourceList"))
    angles = _variable(session / "Apriori/Source.nc", "AprioriSource2000RaDec")
    angles = dict(zip(catalogue, angles, strict=True))
    ours = np.empty_like(theirs)
    baselines = _variable(session / "Observables/Baseline.nc", "Baseline")
    sources = _names(_variable(session / "Observables/Source.nc", "Source"))
    for k, (pair, source) in enumerate(zip(baselines, sources, strict=True)):
        first, second = _names(pair)
        ra, dec = angles[source]
        towards = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
        ours[k] = -towards @ (moved[second][scan[k]] - moved[first][scan[k]]) / C
    assert len(theirs) == 3225
    assert np.abs(theirs).max() > 100 * limit
    assert np.abs(ours - theirs).max() < limit


def _variable(path: Path, name: str) -> np.ndarray:
    with netcdf_file(path, mmap=False) as file:
        return np.array(file.variables[name].data)


def _names(rows: np.ndarray) -> list[str]:
    return [b"".join(row).decode().strip(" \0") for row in rows]
