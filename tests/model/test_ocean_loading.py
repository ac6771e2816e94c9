"""Ocean loading: its conventions, its admittance, and Calc's displacements of real stations."""

from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, MissingDataError
from kitestring.formats.blq import read_blq
from kitestring.formats.vgosdb import read_variable, read_vgosdb
from kitestring.model.displacement import doodson_arguments
from kitestring.model.earth import EarthModel
from kitestring.model.ocean_loading import TIDES, OceanLoading, OceanLoadingTable, _lines
from kitestring.model.stations import Station, get_station
from kitestring.model.time import Epoch

MICROMETRE = 1e-6
MILLIMETRE = 1e-3
YEAR = Epoch.from_iso("2020-01-01").shifted(np.arange(0.0, 366 * 86400.0, 7200.0))
BLQ = "catalogs/TPXO.7.2.ocean_loading_cmc_off.gz"


def site(name: str = "HERE", **given: float) -> OceanLoading:
    """A site with some tides in up, and a hundredth of them west and south; phases are 40 deg."""
    row = np.array([given.get(tide, 0.0) for tide in TIDES])
    amplitude = np.stack([row, 0.01 * row, 0.01 * row])
    return OceanLoading(name, amplitude, np.full((3, 11), np.radians(40.0)))


def test_highest_where_its_phase_lag_says() -> None:
    """S2 alone: highest 40 degrees of S2, 80 minutes, after its phase at Greenwich, midnight."""
    one = site(S2=0.01)
    tau, slow = doodson_arguments(YEAR)
    phase = np.stack([tau, *slow.T], axis=-1) @ np.array(TIDES["S2"])
    up = one.displacement(YEAR)[:, 0]
    in_phase = 2 * np.mean(up * np.cos(phase)), 2 * np.mean(up * np.sin(phase))
    assert np.hypot(*in_phase) == pytest.approx(0.01, rel=1e-2)
    assert np.arctan2(in_phase[1], in_phase[0]) == pytest.approx(np.radians(40.0), abs=1e-2)


@pytest.mark.parametrize(("tide", "turn"), [("S2", 0.0), ("K1", 90.0), ("O1", -90.0), ("MF", 0.0)])
def test_phases_count_from_greenwich(tide: str, turn: float) -> None:
    """Diurnal tides' phases count from Doodson's argument +- 90 degrees (TN36 section 7.1.2).

    The line itself is looked at: over a year a tide is turned by its neighbours, K1 by 9 degrees.
    """
    lines = _lines()
    wave = site(**{tide: 0.01})._waves(lines)[lines.index[TIDES[tide]]]
    assert np.abs(wave) == pytest.approx([0.01, 1e-4, 1e-4])
    assert np.degrees(np.angle(wave)) == pytest.approx(turn - 40.0)


def test_a_constant_admittance_makes_the_tides_like_the_potential() -> None:
    """K2 beside its line 1 cycle in 18.6 years away: 0.298 of it (Cartwright & Edden)."""
    heights = {"M2": 0.632208, "S2": 0.294107, "N2": 0.121046, "K2": 0.079915}
    lines = _lines()
    waves = site(**heights)._waves(lines)
    row = lines.index[(2, 2, 0, 0, 1, 0)]
    assert abs(waves[row, 0]) == pytest.approx(0.023818, rel=1e-12)
    assert np.angle(waves[row, 0]) == pytest.approx(np.radians(-40.0), abs=1e-12)


def test_spline_is_the_sum() -> None:
    loading = site(M2=0.03, K1=0.02, MF=0.001)
    many = loading.displacement(YEAR)
    few = np.concatenate([loading.displacement(YEAR[k : k + 1]) for k in range(0, 400, 37)])
    assert np.abs(many[0:400:37] - few).max() < 1.0 * MICROMETRE


def test_axes_are_up_west_south() -> None:
    station = Station("HERE", [6378e3, 0.0, 0.0])
    flat = np.zeros((3, 11))
    for row, direction in enumerate(([1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0])):
        amplitude = flat.copy()
        amplitude[row, 0] = 0.01
        one = OceanLoading("here", amplitude, flat)
        moved = OceanLoadingTable([one]).displacement(station, YEAR[:20])
        expected = one.displacement(YEAR[:20])[:, row, None] * direction
        np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12)


def test_sites_are_found_by_name_or_by_place() -> None:
    station = get_station("WETTZELL")
    longitude, latitude, _ = station.geodetic
    zero = np.zeros((3, 11))
    near = OceanLoading("7224", zero, zero, longitude + 2e-4, latitude)
    far = OceanLoading("7230", zero, zero, longitude, latitude + 0.02)
    assert OceanLoadingTable([far, near]).of(station) is near
    named = OceanLoading("wettzell", zero, zero)
    assert OceanLoadingTable([near, named]).of(station) is named
    with pytest.raises(MissingDataError, match=r"nearest site, 7230, is 12\d km") as caught:
        OceanLoadingTable([far], "x.blq").of(station)
    assert caught.value.place == "x.blq"
    assert "WETTZELL" in caught.value.next_step


def test_the_model_takes_it_only_with_coefficients() -> None:
    station = get_station("WETTZELL")
    table = OceanLoadingTable([site("WETTZELL", M2=0.01)])
    epoch = YEAR[:24]
    with_it, without = (
        model.station_state(station, epoch).position
        for model in (EarthModel(ocean_loading=table), EarthModel())
    )
    moved = np.linalg.norm(with_it - without, axis=-1)
    assert 5 * MILLIMETRE < moved.max() < 15 * MILLIMETRE
    with pytest.raises(ConfigurationError, match="read_blq"):
        EarthModel(displacements=["ocean_loading"])


def test_wrong_shapes() -> None:
    with pytest.raises(ConfigurationError, match="3 by 11"):
        OceanLoading("A", np.zeros((3, 10)), np.zeros((3, 11)))


def test_calcs_displacements(data_dir: Path) -> None:
    """Those of the stations of R41102, made by Calc's own HARDISP from the same coefficients.

    Calc's file holds up, east, north. The coefficients are given to 0.01 mm.
    """
    session = read_vgosdb(data_dir / "ivs-r41102")
    table = read_blq(data_dir / BLQ)
    for k, name in enumerate(session.stations):
        place = Station(name, session.station_position[k])
        path = session.directory / name / "Dis-OceanLoad.nc"
        theirs = read_variable(path, "Dis-OceanLoad")[:, 0]
        scans = np.flatnonzero(session.scan_row[:, k] >= 0)
        ours = table.of(place).displacement(session.scan_epoch[scans]) * [1.0, -1.0, -1.0]
        assert np.abs(theirs).max() > 3 * MILLIMETRE
        assert np.abs(ours - theirs[session.scan_row[scans, k]]).max() < 0.03 * MILLIMETRE
