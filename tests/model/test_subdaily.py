"""Subdaily polar motion and UT1 against the test cases of the IERS' routines."""

from dataclasses import replace

import erfa
import numpy as np
import pytest

from kitestring.errors import ConfigurationError
from kitestring.model.earth import EarthModel
from kitestring.model.frames import earth_rotation
from kitestring.model.stations import get_station
from kitestring.model.subdaily import SUBDAILY, libration, ocean_tides, subdaily
from kitestring.model.time import Epoch

MICROARCSECOND = 1e-6 * erfa.DAS2R
MICROSECOND = 1e-6
# The routines take one argument for UT1, UTC and TT, a minute apart: 1e-4 of the Moon's motion
CLOCKS = 4e-4


def test_ocean_tides_are_those_of_ortho_eop() -> None:
    x, y, ut1 = ocean_tides(Epoch.from_mjd(47100.0))
    assert x / MICROARCSECOND == pytest.approx(-162.8386373279636530, rel=CLOCKS)
    assert y / MICROARCSECOND == pytest.approx(117.7907525842668974, rel=CLOCKS)
    assert ut1 / MICROSECOND == pytest.approx(-23.39092370609808214, rel=CLOCKS)


def test_polar_libration_is_that_of_pmsdnut2() -> None:
    x, y, _ = libration(Epoch.from_mjd(54335.0))
    assert x / MICROARCSECOND == pytest.approx(24.83144238273364834, rel=CLOCKS)
    assert y / MICROARCSECOND == pytest.approx(-14.09240692041837661, rel=CLOCKS)


@pytest.mark.parametrize(
    ("mjd", "expected"), [(44239.1, 2.441143834386761746), (55227.4, -2.655705844335680244)]
)
def test_axial_libration_is_that_of_utlibr(mjd: float, expected: float) -> None:
    _, _, ut1 = libration(Epoch.from_mjd(mjd))
    assert ut1 / MICROSECOND == pytest.approx(expected, rel=CLOCKS)


@pytest.mark.parametrize(
    ("effect", "series"), [("ocean_tides", ocean_tides), ("libration", libration)]
)
def test_splines_are_the_series(effect: str, series) -> None:
    epoch = Epoch.from_iso("2020-01-01").shifted(np.linspace(0.0, 20 * 86400.0, 3000))
    off = np.abs(subdaily(effect, epoch) - series(epoch)).max(axis=0)
    assert np.all(off < [1e-3 * MICROARCSECOND, 1e-3 * MICROARCSECOND, 1e-4 * MICROSECOND])
    few = epoch[:3]  # evaluated without a spline
    assert np.array_equal(subdaily(effect, few), series(few))
    assert subdaily(effect, epoch[0]).shape == (3,)
    assert subdaily(effect, epoch[:0]).shape == (0, 3)


def test_they_move_a_station_by_centimetres_and_can_be_switched_off() -> None:
    epoch = Epoch.from_iso("2023-05-11T18:00:00").shifted(np.arange(48) * 1800.0)
    station = get_station("WETTZELL")
    places = {
        effects: EarthModel(subdaily=effects).station_state(station, epoch).position
        for effects in ((), ("ocean_tides",), ("libration",), SUBDAILY)
    }
    moved = {effects: np.abs(places[effects] - places[()]).max() for effects in places}
    assert 5e-3 < moved[("ocean_tides",)] < 3e-2
    assert 3e-4 < moved[("libration",)] < 3e-3
    assert np.array_equal(places[SUBDAILY], EarthModel().station_state(station, epoch).position)
    both = places[("ocean_tides",)] + places[("libration",)] - places[()]
    assert np.abs(places[SUBDAILY] - both).max() < 1e-6


def test_signs_are_those_of_the_tables_values() -> None:
    """A table that held the subdaily terms would give the same rotation."""
    epoch = Epoch.from_iso("2023-05-11T18:00:00").shifted(np.arange(5) * 7000.0)
    rotation, slow = EarthModel().rotation(epoch)
    x, y, ut1 = np.moveaxis(ocean_tides(epoch) + libration(epoch), -1, 0)
    whole = replace(slow, xp=slow.xp + x, yp=slow.yp + y, ut1_minus_tai=slow.ut1_minus_tai + ut1)
    assert np.abs(rotation.matrix - earth_rotation(epoch, whole).matrix).max() < 1e-15


def test_unknown_effect() -> None:
    with pytest.raises(ConfigurationError, match="ocean_tides, libration"):
        EarthModel(subdaily=("tides",))
