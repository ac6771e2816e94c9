"""Editing before a fit: rows are flagged with a reason, and never removed."""

from dataclasses import replace

import numpy as np
import pytest

from kitestring.errors import ConfigurationError
from kitestring.model.earth import EarthModel
from kitestring.model.geometry import sun_angle
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.predict import Predictor
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody
from kitestring.observables.editing import (
    PASS_GAP,
    doppler_passes,
    flag_low_elevation,
    flag_near_sun,
    flag_rows,
    lowest_elevation,
)
from kitestring.observables.types import Observables

DEGREE = np.pi / 180.0
MARS = FixedOnBody("LANDER", "MARS", [3.39e6, 0.0, 0.0])
EARTH = EarthModel()


def observed(start, step, n, path=("DSS-55", "LANDER", "DSS-65")):
    epoch = Epoch.from_iso(start).shifted(step * np.arange(n))
    kind = Kind.DOPPLER if path[0].startswith("DSS") else Kind.DELAY
    return Observables(kind, SignalPath(path), epoch, *np.ones((3, n)))


def test_a_flag_keeps_its_first_reason_and_the_row():
    o = observed("2020-05-29", 60.0, 4)
    once = flag_rows(o, np.array([True, False, True, False]), "rain")
    twice = flag_rows(once, np.array([True, True, False, False]), "a much longer reason " * 3)
    assert twice.flag.tolist() == ["rain", "a much longer reason " * 3, "rain", ""]
    assert len(twice) == 4
    assert np.all(o.flag == "")
    with pytest.raises(ConfigurationError, match="reason"):
        flag_rows(o, np.ones(4, bool), "")


def test_mars_passes_the_sun_at_conjunction():
    """Superior conjunction on 2019-09-02, 1.1 degrees from the Sun (almanacs)."""
    o = observed("2019-07-01T00:00:00", 86400.0, 120)
    angle = sun_angle(MARS, o.epoch, EARTH)
    nearest = int(np.argmin(angle))
    assert o.epoch[nearest].iso(0)[:10] in ("2019-09-01", "2019-09-02", "2019-09-03")
    assert angle[nearest] == pytest.approx(1.1 * DEGREE, abs=0.15 * DEGREE)
    found = flag_near_sun(o, MARS, EARTH, 10.0 * DEGREE)
    assert set(found.flag) == {"", "Sun angle < 10 deg"}
    assert np.array_equal(found.flag != "", angle < 10.0 * DEGREE)


def test_low_elevation_counts_at_every_station():
    path = ("LANDER", "URUMQI", "TIANMA65")
    o = observed("2020-05-29T00:00:00", 1800.0, 48, path)
    lowest = lowest_elevation(o, MARS, EARTH)
    for first, second in (path[1:], path[:0:-1]):
        stations = get_station(first), get_station(second)
        alone = Predictor(EARTH, MARS).delay(*stations, o.epoch).elevation
        assert np.all(lowest < alone + 1e-4)
    found = flag_low_elevation(o, MARS, EARTH, 10.0 * DEGREE)
    assert np.array_equal(found.flag != "", lowest < 10.0 * DEGREE)
    assert set(found.flag) == {"", "elevation < 10 deg"}
    assert 0 < np.sum(found.good) < 48
    nobody = replace(o, path=SignalPath(("LANDER", "NOBODY", "NOONE")))
    assert np.all(lowest_elevation(nobody, MARS, EARTH) == np.pi / 2)


def test_a_gap_ends_a_pass():
    start = Epoch.from_iso("2020-05-29T08:00:00")
    seconds = np.array([PASS_GAP + 120.0, 0.0, 60.0, PASS_GAP + 60.1, 4 * PASS_GAP])  # any order
    path = SignalPath(("DSS-55", "LANDER", "DSS-55"), "", 880 / 749, "X", "X")
    one = np.ones(5)
    found = doppler_passes(Observables(Kind.DOPPLER, path, start.shifted(seconds), one, one, one))
    assert found[0] == found[3] != found[1] == found[2] != found[4]
    assert len(set(found)) == 3
    assert found[1].endswith("2020-05-29T08:00:00")
    ranges = Observables(Kind.RANGE, path, start.shifted(seconds), one, one, one)
    assert set(doppler_passes(ranges)) == {""}
