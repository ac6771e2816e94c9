"""Troposphere: a vgosDB session's slant delays, properties, refusals; angle to the Sun."""

from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, SpanError
from kitestring.formats.vgosdb import VgosSession, read_variable, read_vgosdb
from kitestring.model.antenna import geodetic
from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.geometry import angle_between, sun_angle
from kitestring.model.media import (
    LOWEST_ELEVATION,
    Troposphere,
    Weather,
    niell_hydrostatic,
    niell_wet,
    standard_weather,
    zenith_hydrostatic_delay,
    zenith_partial,
    zenith_wet_delay,
)
from kitestring.model.predict import Predictor
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch

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

    def test_slant_delay(self, session: VgosSession, name: str) -> None:
        if name in POLAR:
            pytest.skip("the files leave the season out north of 75 degrees")
        rows = Rows(session, name)
        earth = EarthModel(displacements=())
        station = get_station(name)
        found = Troposphere()(station, earth.station_state(station, rows.epoch), rows.elevation)
        expected = rows.slant["Dry"] + rows.slant["Wet"]
        # 5e-5 of the slant delay, and stations that lie up to 1 m higher or lower
        assert np.abs(found / expected - 1.0).max() < 2e-4


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
    def test_extra_zenith_delay_comes_with_its_partial(self) -> None:
        station = get_station("TIANMA65")
        state = EarthModel().station_state(station, EPOCH)
        elevation = np.radians([10.0, 40.0, 85.0])
        extra = 3.3e-10
        plain = Troposphere()(station, state, elevation)
        for name in (station.name, station.code):
            more = Troposphere(extra_zenith={name: extra})(station, state, elevation)
            expected = extra * zenith_partial(station, state, elevation)
            assert more - plain == pytest.approx(expected, abs=1e-20)
        assert np.all(np.diff(plain) < 0.0)
        assert plain[-1] == pytest.approx(sum(Troposphere().zenith(station)), rel=0.01)

    def test_weather_of_a_station_replaces_the_standard(self) -> None:
        station = get_station("KOKEE")
        air = Weather(8.8e4, 285.0, 0.7)
        dry, wet = Troposphere({"KOKEE": air}).zenith(station)
        assert dry == zenith_hydrostatic_delay(air, station.geodetic[1], station.geodetic[2])
        assert wet == zenith_wet_delay(air)
        assert dry != Troposphere().zenith(station)[0]

    def test_it_is_a_media_of_the_predictor(self) -> None:
        earth = EarthModel()
        a, b = get_station("TIANMA65"), get_station("URUMQI")
        here = earth.station_state(a, EPOCH[:1])
        zenith = here.vertical[0] + 0.3 * earth.station_state(b, EPOCH[:1]).vertical[0]
        target = Far(4e10 * zenith / np.linalg.norm(zenith) + here.earth[0, :3])
        air = Troposphere()
        bare = Predictor(earth, target).delay(a, b, EPOCH[:1])
        full = Predictor(earth, target, [air]).delay(a, b, EPOCH[:1])
        low = Predictor(earth, target).delay(b, a, EPOCH[:1]).elevation
        there = earth.station_state(b, EPOCH[:1])
        expected = air(b, there, low) - air(a, here, bare.elevation)
        assert full.value - bare.value == pytest.approx(expected, abs=0.01 * PICOSECOND)

    @pytest.mark.parametrize("degrees", [2.9, 0.0, -10.0, np.nan])
    def test_too_low(self, degrees: float) -> None:
        station = get_station("URUMQI")
        state = EarthModel().station_state(station, EPOCH)
        elevation = np.array([0.5, np.radians(degrees), 0.5])
        for effect in (Troposphere(), zenith_partial):
            with pytest.raises(SpanError, match=r"URUMQI .* 2026-01-28T00:00:01 UTC") as error:
                effect(station, state, elevation)
            assert "Leave out" in error.value.next_step
        at_the_edge = np.full(3, LOWEST_ELEVATION)
        assert np.all(zenith_partial(station, state, at_the_edge) > 10.0)

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
