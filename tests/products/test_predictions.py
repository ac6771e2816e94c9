"""Predictions for observers, against the forward model that estimates with."""

import numpy as np
import pytest

from kitestring.dynamics.propagate import propagate
from kitestring.dynamics.types import ForceModel, OrbitState
from kitestring.errors import ConfigurationError
from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.predict import Predictor
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.model.troposphere import LOWEST_ELEVATION, Troposphere
from kitestring.observables.types import UplinkRamps
from kitestring.products.predictions import predict_table

START = Epoch.from_iso("2026-01-01T12:00:00")
FREQUENCY = 8.4e9  # Hz
CENTIHERTZ = 1e-2  # ten times what an axis offset of a few metres does
PICOSECOND = 1e-12


@pytest.fixture(scope="module")
def earth():
    return EarthModel()


@pytest.fixture(scope="module")
def orbit():
    """A probe 43 million km away that rises and sets."""
    begin = START.to("tdb").shifted(-3600.0)
    home = Ephemeris.default().state("EARTH", "SUN", begin)
    away = np.array([-0.50, 0.80, 0.31])
    state = home + np.concatenate([43e9 * away / np.linalg.norm(away), [2e3, -1e3, 500.0]])
    return propagate(OrbitState(begin, state), ForceModel(), (begin, begin.shifted(1.2 * 86400.0)))


def test_media_are_left_out_of_low_epochs_alone(earth, orbit):
    both = get_station("TIANMA65"), get_station("URUMQI")
    epochs = START.shifted(1800.0 * np.arange(48))
    air = Troposphere(below="nan")
    table = predict_table(orbit, both, epochs, earth, media=[air])
    (pair,) = table.baselines
    lowest = np.minimum(*(s.elevation for s in table.stations))
    assert np.array_equal(pair.media, lowest > LOWEST_ELEVATION)
    assert 5 < pair.media.sum() < 43
    for media, rows in (((air,), pair.media), ((), ~pair.media)):
        wanted = Predictor(earth, orbit, media)
        when = Epoch("utc", epochs.day[rows], epochs.second[rows])
        before, value, after = (
            wanted.delay(*both, when.shifted(t)).value for t in (-1.0, 0.0, 1.0)
        )
        assert np.abs(pair.delay[rows] - value).max() < PICOSECOND
        assert np.abs(pair.rate[rows] - 0.5 * (after - before)).max() < PICOSECOND
    assert table.columns()["TIANMA65-URUMQI media"] == ["yes" if m else "no" for m in pair.media]
    # air is worth telling: metres of path
    assert np.abs(pair.delay - Predictor(earth, orbit).delay(*both, epochs).value).max() > 1e-9


def test_media_do_not_begin_within_a_rate(earth, orbit):
    """Every second around the rise over the lowest elevation: no rate holds a step."""
    both = get_station("TIANMA65"), get_station("URUMQI")
    coarse = START.shifted(60.0 * np.arange(1440))
    table = predict_table(orbit, both, coarse, earth, media=[Troposphere(below="nan")])
    (pair,) = table.baselines
    rise = int(np.flatnonzero(np.diff(pair.media.astype(int)) != 0)[0])
    fine = START.shifted(60.0 * rise + np.arange(0.0, 60.0, 0.5))
    (near,) = predict_table(orbit, both, fine, earth, media=[Troposphere(below="nan")]).baselines
    assert near.media.any()
    assert not near.media.all()
    vacuum = predict_table(orbit, both, fine, earth).baselines[0]
    assert not vacuum.media.any()
    extra = near.rate - vacuum.rate
    assert np.all(extra[~near.media] == 0.0)
    # the air's own slope at 3 degrees; a step of 100 ns over 2 s would be a hundred times that
    assert np.abs(extra[near.media]).max() < 5e-10


def test_doppler_is_that_of_the_forward_model(earth, orbit):
    station = get_station("TIANMA65")
    epochs = START.shifted(3600.0 * np.arange(1.0, 20.0))
    begin = START.shifted(np.array([-3600.0]))
    sent = UplinkRamps("SPACECRAFT", "X", begin, np.array([FREQUENCY]), np.zeros(1))
    wanted = Predictor(earth, orbit).one_way_doppler(
        station, epochs.shifted(-1.0), np.full(len(epochs), 2.0), sent
    )
    (found,) = predict_table(orbit, [station], epochs, earth).stations
    assert np.abs(FREQUENCY * (1.0 + found.doppler) - wanted.value).max() < CENTIHERTZ
    # the clocks' rates are in it: the range rate alone is tens of hertz off
    assert np.abs(FREQUENCY * (1.0 - found.range_rate / C) - wanted.value).min() > 10.0


@pytest.mark.parametrize("direction", [[0.0, 0.0, 2.0], [np.nan, 0.0, 0.0], [0.6, 0.8]])
def test_what_is_no_direction_is_refused(earth, direction):
    with pytest.raises(ConfigurationError, match="no unit vector"):
        predict_table(np.array(direction), [get_station("TIANMA65")], START[None], earth)


@pytest.mark.parametrize("frequency", [0.0, -8.4e9, np.nan])
def test_what_is_no_frequency_is_refused(earth, orbit, frequency):
    with pytest.raises(ConfigurationError, match="Hz"):
        predict_table(orbit, [get_station("TIANMA65")], START[None], earth, frequency=frequency)


def test_a_source_at_the_pole_has_a_uvw(earth):
    both = get_station("TIANMA65"), get_station("URUMQI")
    (at,), (beside,) = (
        predict_table(np.array(way), both, START[None], earth).baselines
        for way in ([0.0, 0.0, 1.0], [1e-9, 0.0, 1.0])
    )
    assert np.abs(at.uvw - beside.uvw).max() < 0.1  # m: 1e-9 of the baseline


def test_a_source_at_infinity_has_no_doppler(earth):
    direction = np.array([0.6, 0.0, 0.8])
    (one,) = predict_table(direction, [get_station("TIANMA65")], START[None], earth).stations
    assert np.isnan(one.doppler).all()
    assert np.isnan(one.range).all()
