"""Thermal expansion against an antenna that grows in three dimensions; sag from tables."""

from dataclasses import replace

import numpy as np
import pytest

from kitestring.errors import ConfigurationError
from kitestring.model.constants import C
from kitestring.model.deformation import GravitationalSag, SagTable, ThermalExpansion
from kitestring.model.earth import EarthModel
from kitestring.model.sight import Effect, Sight
from kitestring.model.stations import Station, get_station
from kitestring.model.structure import Structure
from kitestring.model.time import Epoch

MICROMETRE = 1e-6
FEMTOSECOND = 1e-15
HOUR = 3600.0
START = Epoch.from_iso("2026-03-01T06:00:00")
BUILT = Structure(
    reference_temperature=283.0,
    foundation=3.0,
    fixed_axis=15.6,
    vertex=4.3,
    focus_height=9.3,
    focus="primary",
)
LOOKS = np.radians([(20.0, 6.0), (110.0, 35.0), (200.0, 60.0), (290.0, 88.0)])  # azimuth, elevation


def sight_of(station: Station, looks=LOOKS, epoch: Epoch = START) -> Sight:
    """Return a station that sees targets at given azimuths and elevations (aberration included)."""
    azimuth, elevation = np.transpose(looks)
    state = EarthModel(displacements=(), subdaily=()).station_state(
        station, epoch.shifted(np.zeros(len(azimuth)))
    )
    local = np.stack(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.cos(elevation) * np.cos(azimuth),
            np.sin(elevation),
        ],
        axis=-1,
    )
    seen = state.rotation.position(local @ station.to_enu)
    direction = seen - (state.earth[..., 3:] + state.velocity) / C
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    return Sight(station, state, direction)


def at(kelvin: float):
    return lambda station, epoch: kelvin


def arrival(sight: Sight, structure: Structure, warmer: float) -> np.ndarray:
    """Return c times the arrival at the focus, m, of an antenna all of one warmth, built up.

    From the ground: concrete up, the fixed axis's height up, the axis offset at a right
    angle to the fixed axis, the vertex towards the source; then back to the focus.
    """
    station, s = sight.station, sight.itrf
    grown = [1.0 + warmer * e for e in (
        structure.foundation_expansion,
        structure.fixed_axis_expansion,
        structure.offset_expansion,
        structure.vertex_expansion,
        structure.focus_expansion,
    )]  # fmt: skip
    tower = (structure.foundation * grown[0] + structure.fixed_axis * grown[1]) * station.vertical
    axis = station.fixed_axis
    across = s - (s @ axis)[:, None] * axis
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    vertex = tower + station.axis_offset * grown[2] * across + structure.vertex * grown[3] * s
    factor = {"primary": 0.9, "secondary": 1.8}[structure.focus]
    return -np.sum(vertex * s, axis=-1) + factor * structure.focus_height * grown[4]


class TestThermalExpansion:
    @pytest.mark.parametrize("mount", ["azel", "equatorial", "xyns", "xyew"])
    @pytest.mark.parametrize("focus", ["primary", "secondary"])
    def test_an_antenna_that_grows(self, mount, focus) -> None:
        structure = replace(BUILT, focus=focus, foundation_expansion=1.1e-5, focus_expansion=2.3e-5)
        place = get_station("HARTRAO").position
        station = Station("X", place, mount=mount, axis_offset=6.7, structure=structure)
        sight = sight_of(station)
        warmer = 17.0
        found = ThermalExpansion(at(283.0 + warmer)).delay(sight)
        expected = arrival(sight, structure, warmer) - arrival(sight, structure, 0.0)
        np.testing.assert_allclose(found * C, expected, rtol=0, atol=1e-3 * MICROMETRE)
        assert np.abs(found * C).max() > 500 * MICROMETRE

    def test_medicina_by_hand(self) -> None:
        """Nothnagel 2009, equation for azimuth and elevation, at 10 K: numbers of antenna-info."""
        station = get_station("MEDICINA")
        sight = sight_of(station, [(0.5, np.pi / 6)])
        found = ThermalExpansion(at(14.6 + 273.15 + 10.0)).delay(sight)[0]
        concrete = 1.0e-5 * 10.0 * 2.01 * 0.5
        steel = 15.6 * 0.5 + station.axis_offset * 3**0.5 / 2 + 4.3 - 0.9 * 9.3
        expected = -(concrete + 1.2e-5 * 10.0 * steel) / C
        assert found == pytest.approx(expected, rel=1e-6)
        assert found < 0.0  # it has grown towards the source: waves arrive earlier

    def test_it_is_nothing_at_the_reference_temperature(self) -> None:
        sight = sight_of(get_station("Wz"))
        found = ThermalExpansion(at(7.8 + 273.15)).delay(sight)
        np.testing.assert_allclose(found, 0.0, rtol=0, atol=1e-12 * FEMTOSECOND + 1e-26)

    def test_concrete_lags_by_six_hours_and_steel_by_two(self) -> None:
        """Air that warms a kelvin an hour: the lags show as what is missing."""
        sight = sight_of(get_station("MEDICINA"))

        def rising(station, epoch):
            return 14.6 + 273.15 + epoch.since(START.to("tt")) / HOUR

        found = ThermalExpansion(rising).delay(sight)
        still = sight_of(
            Station("S", sight.station.position, structure=sight.station.structure)
        ).station
        assert still.structure is not None
        only = {
            "concrete": replace(still.structure, fixed_axis=0.0, vertex=0.0, focus_height=0.0),
            "steel": replace(still.structure, foundation=0.0),
        }
        expected = np.zeros(len(found))
        for part, lag in (("concrete", 6.0), ("steel", 2.0)):
            offset = sight.station.axis_offset if part == "steel" else 0.0
            station = replace(sight.station, structure=only[part], axis_offset=offset)
            cooler = ThermalExpansion(at(14.6 + 273.15 - lag))
            expected += cooler.delay(replace(sight, station=station))
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    def test_sigma_is_what_the_temperatures_error_does(self) -> None:
        sight = sight_of(get_station("Wz"))
        effect = ThermalExpansion(at(300.0), sigma=3.0)
        warmer = ThermalExpansion(at(303.0)).delay(sight) - effect.delay(sight)
        # concrete and steel are wrong by themselves: their root sum of squares
        assert np.all(effect.sigma(sight) > 0.0)
        assert np.all(np.abs(warmer) <= 2**0.5 * effect.sigma(sight) * (1 + 1e-9))

    def test_a_station_without_dimensions(self) -> None:
        sight = sight_of(get_station("SHIGATSE"))
        effect = ThermalExpansion(at(300.0))
        assert np.all(effect.delay(sight) == 0.0)
        assert np.all(effect.sigma(sight) > 10e-12)

    @pytest.mark.parametrize("kelvin", [20.0, float("nan"), 500.0])
    def test_temperatures_in_another_unit(self, kelvin) -> None:
        with pytest.raises(ConfigurationError, match="in K"):
            ThermalExpansion(at(kelvin)).delay(sight_of(get_station("Wz")))
        with pytest.raises(ConfigurationError, match="sigma"):
            ThermalExpansion(at(280.0), sigma=-1.0)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"focus": "prime"},
            {"vertex": -1.0},
            {"fixed_axis": float("nan")},
            {"focus_expansion": 12.0},
            {"reference_temperature": 9.0},
        ],
    )
    def test_structures_that_no_antenna_has(self, wrong) -> None:
        with pytest.raises(ConfigurationError):
            replace(BUILT, **wrong)


def table(name: str = "WETTZELL", **rest) -> SagTable:
    elevation = np.radians(np.arange(0.0, 91.0, 10.0))
    return SagTable(name, elevation, 30e-12 * np.sin(elevation), **rest)


class TestSag:
    def test_between_the_rows_it_is_a_cubic_spline(self) -> None:
        sight = sight_of(get_station("Wz"))
        found = GravitationalSag([table()]).delay(sight)
        # the spline's error: 5/384 h^4 of the fourth derivative, 0.4 fs at 10 degrees; ends worse
        np.testing.assert_allclose(found, 30e-12 * np.sin(LOOKS[:, 1]), rtol=0, atol=5e-15)
        assert np.all(np.diff(found) > 0.0)

    def test_beyond_the_table_its_end_holds(self) -> None:
        short = SagTable("Wz", np.radians([20.0, 30.0, 40.0, 50.0]), [1e-12, 2e-12, 3e-12, 4e-12])
        found = GravitationalSag([short]).delay(sight_of(get_station("WETTZELL")))
        assert found[0] == pytest.approx(1e-12)
        assert found[2:] == pytest.approx([4e-12, 4e-12])

    def test_tables_hold_for_their_time(self) -> None:
        first = table(end=START.shifted(-86400.0))
        second = replace(table(), delay=np.full(10, 7e-12), start=START.shifted(-86400.0))
        station = get_station("Wz")
        effect = GravitationalSag([first, second])
        now = effect.delay(sight_of(station))
        before = effect.delay(sight_of(station, epoch=START.shifted(-2 * 86400.0)))
        np.testing.assert_allclose(now, 7e-12, rtol=1e-9)
        np.testing.assert_allclose(before, 30e-12 * np.sin(LOOKS[:, 1]), rtol=0, atol=5e-15)
        only = GravitationalSag([first])
        assert np.all(only.delay(sight_of(station)) == 0.0)
        assert only.sigma(sight_of(station))[0] > effect.sigma(sight_of(station))[0]

    def test_other_stations_have_none(self) -> None:
        sight = sight_of(get_station("Mc"))
        assert np.all(GravitationalSag([table()]).delay(sight) == 0.0)

    @pytest.mark.parametrize(
        ("elevation", "delay"),
        [
            ([0.0, 0.5, 1.0], [0.0, 0.0, 0.0]),
            ([0.0, 0.5, 0.4, 1.0], [0.0] * 4),
            ([0.0, 30.0, 60.0, 90.0], [0.0] * 4),
            ([0.0, 0.5, 1.0, 1.5], [0.0, 0.0, np.nan, 0.0]),
            ([0.0, 0.5, 1.0, 1.5], [0.0, 0.0, 0.0]),
        ],
    )
    def test_what_is_no_table(self, elevation, delay) -> None:
        with pytest.raises(ConfigurationError):
            SagTable("X", elevation, delay)


def test_both_are_effects() -> None:
    effects: list[Effect] = [ThermalExpansion(at(280.0)), GravitationalSag([])]
    assert len({effect.name for effect in effects}) == 2
