"""Ionosphere: maps, climatology, pierce points, two bands; a vgosDB session's own corrections."""

from pathlib import Path

import numpy as np
import pytest
from scipy import constants

from kitestring.errors import ConfigurationError, SpanError
from kitestring.formats.vgosdb import read_variable
from kitestring.model.constants import C
from kitestring.model.ionosphere import (
    Ionosphere,
    dual_band_delay,
    pierce_point,
    plasma_delay,
)
from kitestring.model.stations import get_station
from kitestring.model.tec import REFRACTION, Klobuchar, TecMap
from kitestring.model.time import Epoch

PICOSECOND = 1e-12
TECU = 1e16
X_BAND = 8.4e9
EPOCHS = Epoch.from_iso(["2026-01-01T00:00:00", "2026-01-01T02:00:00"])
LATITUDE = np.radians(np.arange(-87.5, 88.0, 2.5))
LONGITUDE = np.radians(np.arange(-180.0, 181.0, 5.0))


def smooth(epochs: Epoch = EPOCHS, **more) -> TecMap:
    """A map that turns with the Sun, as a whole: it is the same at every local time."""
    hours = np.asarray(epochs.since(epochs[0])) / 3600.0
    local = LONGITUDE + np.radians(15.0 * hours)[:, None, None]
    tec = TECU * (30.0 + 20.0 * np.cos(local - 0.5) * np.cos(LATITUDE)[:, None])
    return TecMap(epochs, LATITUDE, LONGITUDE, tec, 0.1 * tec, **more)


def test_constant_of_refraction() -> None:
    """CODATA's; 40.3082 is rounded."""
    plasma = constants.e**2 / (8 * np.pi**2 * constants.epsilon_0 * constants.m_e)
    assert pytest.approx(plasma, abs=0.5e-4) == REFRACTION


class TestPlasmaDelay:
    def test_group_and_phase(self) -> None:
        group, phase = (plasma_delay(30 * TECU, X_BAND, group=g) for g in (True, False))
        assert group == pytest.approx(40.3082 * 30e16 / C / 8.4e9**2, rel=1e-12)
        assert phase == -group


class TestPiercePoint:
    def test_beside_the_angles_of_a_sphere(self, look) -> None:
        """sin z' = r / (R + H) cos e from the station's own radius, and the spherical triangle."""
        station, height, radius = get_station("KOKEE"), 450e3, 6371e3
        elevation = np.radians([8.0, 30.0, 70.0, 89.999])
        azimuth = np.radians([200.0, 20.0, 100.0, 300.0])
        sight = look(station, EPOCHS[0].shifted(np.zeros(4)), elevation, azimuth)
        point = pierce_point(sight, height, radius)
        place = station.position
        r = np.linalg.norm(place)
        up = place / r
        east = np.cross([0.0, 0.0, 1.0], up) / np.linalg.norm(np.cross([0.0, 0.0, 1.0], up))
        north = np.cross(up, east)
        way = sight.itrf
        e, a = np.arcsin(way @ up), np.arctan2(way @ east, way @ north)  # about the geocentre
        zenith = np.arcsin(r / (radius + height) * np.cos(e))
        psi = np.pi / 2 - e - zenith
        latitude = np.arcsin(up[2])
        sine = np.sin(latitude) * np.cos(psi) + np.cos(latitude) * np.sin(psi) * np.cos(a)
        turned = np.arctan2(
            np.sin(psi) * np.sin(a) * np.cos(latitude), np.cos(psi) - np.sin(latitude) * sine
        )
        assert point.latitude == pytest.approx(np.arcsin(sine), abs=1e-12)
        east_of = (point.longitude - np.arctan2(place[1], place[0]) + np.pi) % (2 * np.pi) - np.pi
        assert east_of == pytest.approx(turned, abs=1e-10)
        assert point.stretch == pytest.approx(1.0 / np.cos(zenith), rel=1e-12)

    def test_below_the_horizon(self, look) -> None:
        sight = look(get_station("KOKEE"), EPOCHS, [-0.1, 0.5], frequency=X_BAND)
        assert list(np.isnan(Ionosphere(smooth()).delay(sight))) == [True, False]


class TestTecMap:
    def test_grid_points_are_met(self) -> None:
        tec = smooth()
        for k, (i, j) in enumerate(((10, 20), (50, 72))):
            value, error = tec.vertical(
                EPOCHS[k : k + 1], LONGITUDE[j : j + 1], LATITUDE[i : i + 1]
            )
            assert value == pytest.approx(tec.tec[k, i, j], rel=1e-12)
            assert error == pytest.approx(tec.rms[k, i, j], rel=1e-12)

    def test_between_epochs_maps_turn_with_the_sun(self) -> None:
        """This one turns as a whole: what rotation gives is exact but for the grid's chords."""
        seconds = np.array([0.0, 1200.0, 3600.0, 7000.0])
        epochs = EPOCHS[0].shifted(seconds)
        longitude, latitude = np.radians([10.3, -179.0, 177.7, 65.0]), np.radians([1.0, 40, -60, 5])
        value, _ = smooth().vertical(epochs, longitude, latitude)
        local = longitude + np.radians(15.0 * seconds / 3600.0)
        exact = TECU * (30.0 + 20.0 * np.cos(local - 0.5) * np.cos(latitude))
        chord = 20.0 * TECU * (np.radians(5.0) ** 2 + np.radians(2.5) ** 2) / 8.0
        assert np.abs(value - exact).max() < 1.01 * chord
        # without rotation it would be 2 TECU off half way
        assert chord < 0.03 * TECU

    def test_poles_are_the_last_row(self) -> None:
        pole = smooth().vertical(EPOCHS[:1], np.array([0.3]), np.array([np.pi / 2]))
        row = smooth().vertical(EPOCHS[:1], np.array([0.3]), np.radians([87.5]))
        assert pole == row

    def test_no_value_stays_none(self) -> None:
        full = smooth()
        tec = full.tec.copy()
        tec[1, 10, 20] = np.nan
        holed = TecMap(EPOCHS, LATITUDE, LONGITUDE, tec)
        place = (LONGITUDE[20:21], LATITUDE[10:11])
        assert np.isnan(holed.vertical(EPOCHS[1:], *place)[0])
        # the first epoch has nothing of the second map
        assert holed.vertical(EPOCHS[:1], *place)[0] == full.tec[0, 10, 20]

    def test_beyond_it(self) -> None:
        one = (np.zeros(1), np.zeros(1))
        for seconds, epoch in ((-1.0, "2025-12-31T23:59:59"), (7201.0, "2026-01-01T02:00:01")):
            with pytest.raises(SpanError, match=f"asked for is {epoch}"):
                smooth().vertical(EPOCHS[:1].shifted(seconds), *one)
        region = TecMap(EPOCHS, LATITUDE[30:40], LONGITUDE[30:40], smooth().tec[:, 30:40, 30:40])
        for place in ((0.0, 1.0), (1.5, 0.0)):
            with pytest.raises(SpanError, match="is pierced at"):
                region.vertical(EPOCHS[:1], *(np.array([x]) for x in place))

    def test_one_map_serves_its_epoch(self) -> None:
        single = TecMap(EPOCHS[:1], LATITUDE, LONGITUDE, smooth().tec[:1])
        value, error = single.vertical(EPOCHS[:1], LONGITUDE[5:6], LATITUDE[5:6])
        assert value == single.tec[0, 5, 5]
        assert np.isnan(error)

    @pytest.mark.parametrize("wrong", ["shape", "latitude", "epochs", "rms"])
    def test_refusals(self, wrong: str) -> None:
        given = {"epochs": EPOCHS, "latitude": LATITUDE, "tec": smooth().tec, "rms": None}
        given |= {
            "shape": {"tec": smooth().tec[:1]},
            "latitude": {"latitude": LATITUDE[::-1]},
            "epochs": {"epochs": EPOCHS[[1, 0]]},
            "rms": {"rms": smooth().tec[:, :-1]},
        }[wrong]
        with pytest.raises(ConfigurationError):
            TecMap(longitude=LONGITUDE, **given)


# Orekit 13.1.9, KlobucharIonoModel with the coefficients of 2004-01-01: delay (m) at L1 towards
# the zenith on 2026-01-01; latitude, longitude (deg), hour of GPS time
OREKIT = (
    (0, 0, 14.0, 4.7920918842985945),
    (49, 12, 11.5, 3.3113272965721503),
    (-35, 149, 3.25, 3.7879934309605185),
    (40, -116, 20.0, 3.3550458653695605),
    (60, 20, 1.0, 1.49960984170928),
    (-60, -70, 17.0, 3.3993828752975723),
)


class TestKlobuchar:
    @pytest.mark.parametrize(("latitude", "longitude", "hour", "expected"), OREKIT)
    def test_beside_orekit(self, latitude, longitude, hour, expected) -> None:
        epoch = Epoch.from_iso(["2026-01-01T00:00:00"]).shifted(3600.0 * hour - 18.0)
        tec, sigma = Klobuchar().vertical(epoch, *np.radians([[longitude], [latitude]]))
        # its zenith is stretched by 1.0004, and its point 0.08 degrees from the station's
        assert tec * REFRACTION / 1575.42e6**2 == pytest.approx(expected, rel=2e-3)
        assert sigma == 0.5 * tec


class TestIonosphere:
    def test_slant_delay(self, look) -> None:
        station = get_station("WETTZELL")
        sight = look(station, EPOCHS, np.radians([20.0, 70.0]), 2.0, frequency=X_BAND)
        tec = smooth(height=400e3, radius=6371e3)
        point = pierce_point(sight, 400e3, 6371e3)
        vertical, error = tec.vertical(EPOCHS, point.longitude, point.latitude)
        air = Ionosphere(tec)
        expected = plasma_delay(vertical * point.stretch, X_BAND, group=True)
        assert air.delay(sight) == pytest.approx(expected, rel=1e-12)
        sigma = plasma_delay(np.hypot(error, 2 * TECU) * point.stretch, X_BAND, group=True)
        assert air.sigma(sight) == pytest.approx(sigma, rel=1e-12)
        phase = look(station, EPOCHS, np.radians([20.0, 70.0]), 2.0, frequency=X_BAND, group=False)
        assert air.delay(phase) == pytest.approx(-expected, rel=1e-12)
        assert air.sigma(phase) == pytest.approx(sigma, rel=1e-12)

    def test_it_needs_a_frequency(self, look) -> None:
        with pytest.raises(ConfigurationError, match="the ionosphere depends on the sky frequency"):
            Ionosphere().delay(look(get_station("WETTZELL"), EPOCHS, 1.0))

    def test_default_is_of_the_right_size(self, look) -> None:
        """At noon some tens of TECU: 0.1 to 2 ns at X band from the zenith to 10 degrees."""
        noon = Epoch.from_iso("2026-01-01T11:00:00").shifted(np.zeros(2))
        sight = look(get_station("WETTZELL"), noon, np.radians([10.0, 90.0]), frequency=X_BAND)
        low, high = Ionosphere().delay(sight)
        assert 0.1e-9 < high < low < 2e-9


class TestDualBand:
    F = (8.4e9, 2.3e9)

    def test_it_undoes_the_ionosphere(self) -> None:
        k = np.array([0.0, 1e9, -3e9])
        first, second = (3e-3 + k / f**2 for f in self.F)
        both = dual_band_delay(first, second, *self.F)
        assert both.delay == pytest.approx(3e-3, abs=1e-16)
        assert both.ionosphere == pytest.approx(k / self.F[0] ** 2, abs=1e-16)

    def test_sigmas_are_those_of_draws(self) -> None:
        """10,000 draws of both bands: a standard deviation is good to 0.7 %, 3 % is 4 sigma."""
        x, s = np.random.default_rng(1).standard_normal((2, 10_000)) * [[1e-11], [8e-11]]
        drawn = dual_band_delay(x, s, *self.F)
        told = dual_band_delay(0.0, 0.0, *self.F, 1e-11, 8e-11)
        assert np.std(drawn.delay) == pytest.approx(told.sigma, rel=0.03)
        assert np.std(drawn.ionosphere) == pytest.approx(told.ionosphere_sigma, rel=0.03)

    def test_equal_bands_are_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="differ"):
            dual_band_delay(0.0, 0.0, 8.4e9, 8.4e9)

    def test_a_sessions_own_correction(self, data_dir: Path) -> None:
        """R41102's correction, station 2 less 1, from its own delays and effective frequencies."""
        folder = data_dir / "ivs-r41102"
        tau, frequency = [], []
        for band in "XS":
            file = folder / f"ObsEdit/GroupDelayFull_b{band}.nc"
            tau.append(read_variable(file, "GroupDelayFull"))
            file = folder / f"ObsDerived/EffFreq_b{band}.nc"
            frequency.append(1e6 * read_variable(file, "FreqGroupIono"))
        file = folder / "ObsDerived/Cal-SlantPathIonoGroup_bX.nc"
        theirs = read_variable(file, "Cal-SlantPathIonoGroup")[:, 0]
        found = dual_band_delay(*tau, *frequency).ionosphere
        # the same arithmetic in doubles: delays of 10 ms are good to 2e-18 s
        assert np.abs(found - theirs).max() < 1e-18
        assert np.abs(theirs).max() > 1e-9
