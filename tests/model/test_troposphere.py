"""Troposphere: a vgosDB session's slant delays, weather, sites, gradients; angle to the Sun."""

from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, MissingDataError, SpanError
from kitestring.formats.vgosdb import VgosSession, read_variable, read_vgosdb
from kitestring.model.antenna import geodetic
from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.geometry import angle_between, sun_angle
from kitestring.model.mapping import gmf_hydrostatic, gmf_wet, niell_hydrostatic, niell_wet, vmf3
from kitestring.model.predict import Predictor
from kitestring.model.site_troposphere import SiteTable, SiteTroposphere
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.model.troposphere import (
    LOWEST_ELEVATION,
    Gradient,
    Troposphere,
    gradient_partials,
    zenith_partial,
)
from kitestring.model.weather import (
    Weather,
    WeatherSeries,
    standard_weather,
    zenith_hydrostatic_delay,
    zenith_wet_delay,
)

PICOSECOND = 1e-12
STATIONS = ("HART15M", "HOBART12", "KOKEE", "MEDICINA", "NYALE13S", "NYALES20", "WARK12M")
STATIONS += ("WETTZELL",)
POLAR = ("NYALE13S", "NYALES20")  # the files leave the season out north of 75 degrees
EPOCH = Epoch.from_iso("2026-01-28T00:00:00").shifted(np.arange(3.0))


@pytest.fixture(scope="module")
def session(data_dir: Path) -> VgosSession:
    return read_vgosdb(data_dir / "ivs-r41102")


class Rows:
    """One station's tables of the session: elevation, time, mapping function, slant delay."""

    def __init__(self, session: VgosSession, name: str) -> None:
        folder = session.directory / name
        position = session.station_position[session.stations.index(name)]
        _, self.latitude, self.height = (float(x) for x in geodetic(position))
        self.elevation = read_variable(folder / "AzEl.nc", "ElTheo")[:, 0]
        minute = read_variable(folder / "TimeUTC.nc", "YMDHM")
        second = read_variable(folder / "TimeUTC.nc", "Second")
        stamps = ["{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:00".format(*row) for row in minute]
        self.epoch = Epoch.from_iso(stamps).shifted(second)
        self.mapping, self.slant = {}, {}
        for kind in ("Dry", "Wet"):
            for table, key in ((self.mapping, "Part-Zenith"), (self.slant, "Cal-Slant")):
                name = f"{key}PathTrop{kind}"
                table[kind] = read_variable(folder / f"{name}_kNMF.nc", name)[:, 0]


@pytest.mark.parametrize("name", STATIONS)
class TestAgainstVgosdb:
    def test_wet_mapping_function(self, session: VgosSession, name: str) -> None:
        rows = Rows(session, name)
        ours = niell_wet(rows.elevation, rows.latitude)
        assert np.abs(ours - rows.mapping["Wet"]).max() < 1e-8

    def test_hydrostatic_mapping_function(self, session: VgosSession, name: str) -> None:
        rows = Rows(session, name)
        ours = niell_hydrostatic(rows.elevation, rows.latitude, rows.height, rows.epoch)
        if name in POLAR:
            # two dates half a year apart have opposite seasons: their mean has none
            half_a_year = rows.epoch.shifted(0.5 * 365.25 * 86400.0)
            other = niell_hydrostatic(rows.elevation, rows.latitude, rows.height, half_a_year)
            ours = 0.5 * (ours + other)
        # 1e-5 is 0.08 ps of slant delay; the lowest elevation is 5.2 degrees
        assert np.abs(ours - rows.mapping["Dry"]).max() < 1e-5

    def test_zenith_delays(self, session: VgosSession, name: str) -> None:
        rows = Rows(session, name)
        air = standard_weather(rows.height)
        dry = zenith_hydrostatic_delay(air, rows.latitude, rows.height)
        wet = zenith_wet_delay(air)
        # the files' constant is 5e-5 smaller: within the 2e-4 that 0.0022768 is known to
        assert np.abs(dry - rows.slant["Dry"] / rows.mapping["Dry"]).max() < 0.5 * PICOSECOND
        assert np.abs(wet - rows.slant["Wet"] / rows.mapping["Wet"]).max() < 0.05 * PICOSECOND

    def test_slant_delay(self, look, session: VgosSession, name: str) -> None:
        if name in POLAR:
            pytest.skip("the files leave the season out north of 75 degrees")
        rows = Rows(session, name)
        found = Troposphere().delay(look(get_station(name), rows.epoch, rows.elevation))
        expected = rows.slant["Dry"] + rows.slant["Wet"]
        # 5e-5 of the slant delay, and stations that lie up to 1 m higher or lower
        assert np.abs(found / expected - 1.0).max() < 2e-4


def test_gradient_partials_beside_vgosdb(look, session: VgosSession) -> None:
    """The files' are m cot e (MacMillan 1995), north and east: Chen & Herring's to 1 % from 30 deg.

    Directions are the same at any elevation.
    """
    rows = Rows(session, "WETTZELL")
    azimuth = read_variable(session.directory / "WETTZELL/AzEl.nc", "AzTheo")[:, 0]
    file = session.directory / "WETTZELL/Part-HorizonGrad_kNMF.nc"
    theirs = read_variable(file, "Part-HorizonGrad")[:, 0, :]
    sight = look(get_station("WETTZELL"), rows.epoch, rows.elevation, azimuth)
    ours = gradient_partials(sight)
    turned = ours[:, 0] * theirs[:, 1] - ours[:, 1] * theirs[:, 0]
    sizes = np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1)
    assert np.abs(turned / (sizes[0] * sizes[1])).max() < 1e-5  # the station's place: 1 m
    high = rows.elevation > np.radians(30.0)
    assert sizes[0][high] == pytest.approx(sizes[1][high], rel=0.01)


class TestProperties:
    def test_one_at_the_zenith(self) -> None:
        epoch = EPOCH[0]
        assert niell_wet(np.pi / 2, 0.8) == pytest.approx(1.0, abs=1e-15)
        assert niell_hydrostatic(np.pi / 2, 0.8, 2000.0, epoch) == pytest.approx(1.0, abs=1e-15)

    def test_flat_layer_at_high_elevation(self) -> None:
        high = np.radians(60.0)
        for mapping in (niell_wet(high, 0.8), niell_hydrostatic(high, 0.8, 0.0, EPOCH[0])):
            assert 0.999 < mapping * np.sin(high) < 1.0

    def test_season_is_reversed_in_the_south(self) -> None:
        low = np.radians(5.0)
        july = EPOCH[0].shifted(0.5 * 365.25 * 86400.0)
        north = niell_hydrostatic(low, 0.8, 0.0, EPOCH[0])
        # in the cold the atmosphere is lower, so that it bends round less of the Earth
        assert north > niell_hydrostatic(low, 0.8, 0.0, july)
        assert niell_hydrostatic(low, -0.8, 0.0, july) == pytest.approx(float(north), abs=1e-9)

    def test_season_does_not_jump_at_new_year(self) -> None:
        ends = Epoch.from_iso(["2024-12-31T23:59:59", "2025-01-01T00:00:01"])
        before, after = niell_hydrostatic(np.radians(5.0), 0.8, 0.0, ends)
        assert abs(after - before) < 1e-7

    def test_dry_sea_level_delay_is_that_of_the_conventions(self) -> None:
        air = Weather(101325.0, 288.15, 0.0)
        delay = zenith_hydrostatic_delay(air, np.pi / 4, 0.0)
        assert delay * C == pytest.approx(0.0022768 * 1013.25, abs=1e-9)
        assert zenith_wet_delay(air) == 0.0

    def test_vapour_pressure_of_steam_tables(self) -> None:
        # saturation over water: 611.21 Pa at 0 and 2339.3 Pa at 20 degrees C (IAPWS)
        assert Weather(1e5, 273.15, 1.0).vapour_pressure == pytest.approx(611.2, rel=1e-3)
        assert Weather(1e5, 293.15, 1.0).vapour_pressure == pytest.approx(2339.3, rel=2e-3)


class TestTroposphere:
    def test_extra_zenith_delay_comes_with_its_partial(self, look) -> None:
        station = get_station("TIANMA65")
        sight = look(station, EPOCH, np.radians([10.0, 40.0, 85.0]))
        extra = 3.3e-10
        plain = Troposphere().delay(sight)
        for name in (station.name, station.code):
            more = Troposphere(extra_zenith={name: extra}).delay(sight)
            assert more - plain == pytest.approx(extra * zenith_partial(sight), abs=1e-20)
        assert np.all(np.diff(plain) < 0.0)
        assert plain[-1] == pytest.approx(sum(Troposphere().zenith(station)), rel=0.01)

    def test_weather_of_a_station_replaces_the_standard(self) -> None:
        station = get_station("KOKEE")
        air = Weather(89000.0, 285.0, 0.7)
        dry, wet = Troposphere({"KOKEE": air}).zenith(station)
        assert dry == zenith_hydrostatic_delay(air, station.geodetic[1], station.geodetic[2])
        assert wet == zenith_wet_delay(air)
        assert dry != Troposphere().zenith(station)[0]

    def test_it_is_an_effect_of_the_predictor(self) -> None:
        earth = EarthModel()
        a, b = get_station("TIANMA65"), get_station("URUMQI")
        here = earth.station_state(a, EPOCH[:1])
        up = [earth.station_state(s, EPOCH[:1]).rotation.position(s.vertical)[0] for s in (a, b)]
        zenith = up[0] + 0.3 * up[1]
        target = Far(4e10 * zenith / np.linalg.norm(zenith) + here.earth[0, :3])
        air = Troposphere()
        bare = Predictor(earth, target).delay(a, b, EPOCH[:1])
        full = Predictor(earth, target, [air]).delay(a, b, EPOCH[:1])
        assert full.parts["troposphere"] == pytest.approx(full.value - bare.value, abs=1e-18)
        low = Predictor(earth, target).delay(b, a, EPOCH[:1]).elevation
        dry, wet = air.zenith(b)
        _, latitude, height = b.geodetic
        there = dry * niell_hydrostatic(low, latitude, height, EPOCH[:1])
        there = there + wet * niell_wet(low, latitude)
        dry, wet = air.zenith(a)
        _, latitude, height = a.geodetic
        near = dry * niell_hydrostatic(bare.elevation, latitude, height, EPOCH[:1])
        near = near + wet * niell_wet(bare.elevation, latitude)
        assert full.value - bare.value == pytest.approx(there - near, abs=0.01 * PICOSECOND)

    @pytest.mark.parametrize("degrees", [2.9, 0.0, -10.0, np.nan])
    def test_too_low(self, look, degrees: float) -> None:
        station = get_station("URUMQI")
        sight = look(station, EPOCH, [0.5, np.radians(degrees), 0.5])
        for effect in (Troposphere().delay, Troposphere().sigma, zenith_partial, gradient_partials):
            with pytest.raises(SpanError, match=r"URUMQI .* 2026-01-28T00:00:01 UTC") as error:
                effect(sight)
            assert "Leave out" in error.value.next_step
        missing = np.isnan(Troposphere(below="nan").delay(sight))
        assert list(missing) == [False, True, False]
        edge = look(station, EPOCH, np.full(3, LOWEST_ELEVATION + 1e-9))
        assert np.all(zenith_partial(edge) > 10.0)

    def test_global_mapping_function(self, look) -> None:
        station = get_station("KOKEE")
        sight = look(station, EPOCH, np.radians([5.0, 20.0, 80.0]))
        air = Troposphere(mapping="gmf")
        dry, wet = air.zenith(station)
        longitude, latitude, height = station.geodetic
        tt = sight.state.tt
        expected = dry * gmf_hydrostatic(sight.elevation, longitude, latitude, height, tt)
        expected = expected + wet * gmf_wet(sight.elevation, longitude, latitude, tt)
        assert air.delay(sight) == pytest.approx(expected, abs=1e-18)
        # Niell's and the global ones agree to a percent at 5 degrees (Boehm et al. 2006)
        assert air.delay(sight) == pytest.approx(Troposphere().delay(sight), rel=0.01)
        with pytest.raises(ConfigurationError, match="no mapping function 'vmf3'"):
            Troposphere(mapping="vmf3")

    def test_sigma(self, look) -> None:
        sight = look(get_station("KOKEE"), EPOCH, np.radians([10.0, 30.0, 90.0]))
        found = Troposphere(zenith_sigma=1e-10, gradient_sigma=0.0).sigma(sight)
        assert found == pytest.approx(1e-10 * zenith_partial(sight), rel=1e-12)
        across = np.linalg.norm(gradient_partials(sight), axis=-1)
        found = Troposphere(zenith_sigma=0.0, gradient_sigma=1e-12).sigma(sight)
        assert found == pytest.approx(1e-12 * across, rel=1e-12)


class TestGradients:
    def test_they_come_with_the_azimuth(self, look) -> None:
        station = get_station("WETTZELL")
        low = np.radians(10.0)
        given = {"WETTZELL": Gradient(3e-12, -2e-12, 1e-12, 4e-12)}
        air, plain = Troposphere(gradients=given), Troposphere()
        added = []
        for azimuth in np.radians([0.0, 90.0, 180.0, 270.0]):
            sight = look(station, EPOCH[:1], low, azimuth)
            added.append((air.delay(sight) - plain.delay(sight))[0])
        # Chen & Herring (1997): 1 / (sin e tan e + C) with C for each part
        base = np.sin(low) * np.tan(low)
        north = 3e-12 / (base + 0.0031) + 1e-12 / (base + 0.0007)
        east = -2e-12 / (base + 0.0031) + 4e-12 / (base + 0.0007)
        assert added == pytest.approx([north, east, -north, -east], abs=1e-3 * PICOSECOND)

    def test_partials(self, look) -> None:
        sight = look(get_station("WETTZELL"), EPOCH, 0.3, np.radians([0.0, 90.0, 30.0]))
        scale = 1.0 / (np.sin(0.3) * np.tan(0.3) + 0.0032)
        expected = scale * np.array([[1.0, 0.0], [0.0, 1.0], [np.sqrt(0.75), 0.5]])
        # aberration is undone to 5e-9 rad
        assert gradient_partials(sight) == pytest.approx(expected, abs=1e-5)


class TestWeatherSeries:
    EPOCHS = Epoch.from_iso("2026-01-28T00:00:00").shifted(3600.0 * np.array([0.0, 1.0, 2.0, 8.0]))

    def series(self) -> WeatherSeries:
        return WeatherSeries(
            self.EPOCHS, [88000.0, 88200.0, 88100.0, 88000.0], [283.0] * 4, [0.5, 0.7, 0.6, 0.6]
        )

    def test_it_is_interpolated(self, look) -> None:
        station = get_station("KOKEE")
        air = Troposphere({"KOKEE": self.series()})
        epochs = self.EPOCHS[0].shifted(np.array([0.0, 1800.0, 7200.0]))
        dry, wet = air.zenith_at(station, epochs)
        for k, (pressure, humidity) in enumerate(((88000.0, 0.5), (88100.0, 0.6), (88100.0, 0.6))):
            weather = Weather(pressure, 283.0, humidity)
            _, latitude, height = station.geodetic
            expected = zenith_hydrostatic_delay(weather, latitude, height)
            assert dry[k] == pytest.approx(expected, abs=1e-18)
            assert wet[k] == pytest.approx(zenith_wet_delay(weather), abs=1e-18)
        sight = look(station, epochs, np.pi / 2)
        assert air.delay(sight) == pytest.approx(dry + wet, rel=1e-9)

    def test_it_is_not_stretched(self) -> None:
        air, station = Troposphere({"KOKEE": self.series()}), get_station("KOKEE")
        for hours, message in ((-0.1, "spans"), (8.1, "spans"), (5.0, "in a gap of 6.0 h")):
            with pytest.raises(SpanError, match=message):
                air.zenith_at(station, self.EPOCHS[:1].shifted(3600.0 * hours))
        with pytest.raises(ConfigurationError, match="changes with time"):
            air.zenith(station)

    @pytest.mark.parametrize(
        "columns",
        [
            ([1013.0] * 4, [283.0] * 4, [0.5] * 4),
            ([88000.0] * 4, [283.0] * 4, [0.5, np.nan, 0.5, 0.5]),
            ([88000.0] * 3, [283.0] * 4, [0.5] * 4),
        ],
    )
    def test_refusals(self, columns) -> None:
        with pytest.raises(ConfigurationError):
            WeatherSeries(self.EPOCHS, *columns)
        with pytest.raises(ConfigurationError, match="do not increase"):
            WeatherSeries(self.EPOCHS[[1, 0]], [88000.0] * 2, [283.0] * 2, [0.5] * 2)


class TestSites:
    EPOCHS = Epoch.from_mjd(np.array([61068.0, 61068.25]))
    VALUES = np.array(
        [
            [0.00124, 0.0006, 7.0e-9, 0.3e-9, 1e-12, -1e-12, 2e-12, 0.0],
            [0.00126, 0.0005, 7.2e-9, 0.2e-9, 3e-12, -1e-12, 0.0, 0.0],
        ]
    )

    def test_a_site_brings_its_own(self, look) -> None:
        station = get_station("WETTZELL")
        table = SiteTable([SiteTroposphere("WETTZELL", self.EPOCHS, self.VALUES)])
        middle = self.EPOCHS[:1].shifted(3 * 3600.0)
        sight = look(station, middle, np.radians(7.0), 0.0)
        longitude, latitude, _ = station.geodetic
        tt = sight.state.tt
        dry, wet = vmf3(sight.elevation, 0.00125, 0.00055, longitude, latitude, tt)
        base = np.sin(sight.elevation) * np.tan(sight.elevation)
        expected = 7.1e-9 * dry + 0.25e-9 * wet + 2e-12 / (base + 0.0031) + 1e-12 / (base + 0.0007)
        air = Troposphere(sites=table)
        assert air.delay(sight) == pytest.approx(expected, abs=1e-4 * PICOSECOND)
        assert air.zenith_partial(sight) == pytest.approx(wet, rel=1e-12)
        more = Troposphere(sites=table, extra_zenith={"WETTZELL": 1e-10}).delay(sight)
        assert more - air.delay(sight) == pytest.approx(1e-10 * wet, rel=1e-6)
        assert air.sigma(sight)[0] < Troposphere().sigma(sight)[0]

    def test_what_it_lacks(self, look) -> None:
        table = SiteTable([SiteTroposphere("WETTZELL", self.EPOCHS, self.VALUES[:, :4])], "day")
        sight = look(get_station("KOKEE"), self.EPOCHS, 1.0)
        with pytest.raises(MissingDataError, match="day: has nothing of KOKEE"):
            Troposphere(sites=table).delay(sight)
        weather = Weather(88000.0, 283.0, 0.5)
        found = Troposphere({"KOKEE": weather}, sites=table).delay(sight)
        assert np.array_equal(found, Troposphere({"KOKEE": weather}).delay(sight))
        late = look(get_station("WETTZELL"), self.EPOCHS.shifted(60.0), 1.0)
        with pytest.raises(SpanError, match="air over WETTZELL"):
            Troposphere(sites=table).delay(late)


class TestWeather:
    @pytest.mark.parametrize(
        ("air", "hint"),
        [
            ((1013.25, 288.0, 0.5), "hPa"),
            ((101325.0, 15.0, 0.5), "273.15"),
            ((101325.0, 288.0, 50.0), "50 %"),
            ((np.nan, 288.0, 0.5), "Pa"),
        ],
    )
    def test_other_units_are_refused(self, air: tuple[float, float, float], hint: str) -> None:
        with pytest.raises(ConfigurationError, match=hint):
            Weather(*air)


class Far:
    """A target at rest relative to the solar-system barycentre."""

    name, center = "far", "SSB"
    span = (Epoch.from_iso("2000-01-02", "tdb"), Epoch.from_iso("2049-01-01", "tdb"))

    def __init__(self, position: np.ndarray) -> None:
        self.position = position

    def state(self, epoch: Epoch) -> np.ndarray:
        return np.broadcast_to(np.concatenate([self.position, np.zeros(3)]), (*epoch.shape, 6))


class TestSunAngle:
    def test_equinox_and_poles(self) -> None:
        earth = EarthModel()
        epoch = Epoch.from_iso(["2026-03-20T14:46:00"])  # ecliptic longitude of the Sun is zero
        # precession since 2000 is 0.0064 rad, and moves the equinox west
        assert sun_angle(np.array([1.0, 0.0, 0.0]), epoch, earth) == pytest.approx(0.0064, abs=4e-4)
        assert sun_angle(np.array([0.0, 1.0, 0.0]), epoch, earth) == pytest.approx(
            np.pi / 2, abs=0.007
        )

    def test_sun_and_opposition(self) -> None:
        earth = EarthModel()
        sun = Far(np.zeros(3))  # the barycentre stays within 0.01 au of the Sun
        assert np.all(sun_angle(sun, EPOCH, earth) < 0.012)
        here = earth.ephemeris.barycentric("EARTH", EPOCH)[:, :3]
        assert sun_angle(Far(3.0 * here[0]), EPOCH, earth) == pytest.approx(np.pi, abs=0.03)

    def test_small_angles_keep_their_digits(self) -> None:
        x = np.array([1.0, 0.0, 0.0])
        assert angle_between(x, np.array([1.0, 1e-12, 0.0])) == pytest.approx(1e-12, rel=1e-9)
        assert angle_between(x, -x) == np.pi
