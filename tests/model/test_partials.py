"""Partial derivatives of delays against differences of delays."""

from dataclasses import replace

import numpy as np
import pytest

from kitestring.errors import ConfigurationError
from kitestring.model.antenna import Station
from kitestring.model.constants import EARTH_RADIUS, EARTH_ROTATION_RATE, GM, C
from kitestring.model.delay import far_field_delay, near_field_delay
from kitestring.model.earth import EarthModel
from kitestring.model.earth_orientation import EarthOrientationTable
from kitestring.model.observable import StationClock
from kitestring.model.partials import (
    ORIENTATION,
    clock_partials,
    delay_partials,
    orientation_partials,
    source_partial,
    station_partials,
)
from kitestring.model.sources import unit_vector
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody

EPOCH = Epoch.from_iso("2020-05-29T06:00:00").shifted(np.arange(0.0, 86400.0, 20000.0))
STATIONS = get_station("WETTZELL"), get_station("HARTRAO")
RA, DEC = 1.3, -0.4
LANDER = FixedOnBody("LANDER", "MARS", np.array([-2417.6e3, 2365.8e3, 266.0e3]))
# of the partial's length: TN36's far field itself leaves out 1e-6 of (v/c)^2 terms here and there
RELATIVE = 1e-6


class Shifted:
    """Earth orientation with one parameter moved."""

    def __init__(self, name: str = "", step: float = 0.0) -> None:
        self.name, self.step = name, step

    def at(self, epoch):
        eop = EarthOrientationTable.default().at(epoch)
        if not self.name:
            return eop
        return replace(eop, **{self.name: getattr(eop, self.name) + self.step})


def model(name: str = "", step: float = 0.0) -> EarthModel:
    # no tides: those that follow the pole or the Earth's turning are no part of a partial
    return EarthModel(orientation=Shifted(name, step), displacements=())


def delay_of(earth, stations=STATIONS, ra=RA, dec=DEC, target=None):
    states = tuple(earth.station_state(s, EPOCH) for s in stations)
    if target is not None:
        return near_field_delay(*states, target, earth.ephemeris), states
    return far_field_delay(*states, unit_vector(ra, dec), earth.ephemeris), states


def partials_of(target):
    found, states = delay_of(model(), target=target)
    velocity = None if target is None else found.leg.spacecraft[:, 3:]
    return found, states, delay_partials(*states, found, velocity)


def off(ours, numeric):
    return np.abs(ours - numeric).max() / np.abs(numeric).max()


class Satellite:
    """A circular orbit of the Earth over the stations, moved as a whole."""

    name, center = "satellite", "EARTH"
    span = (EPOCH[0].shifted(-1e5), EPOCH[0].shifted(1e5))

    def __init__(self, radius, above, shift=(0.0, 0.0, 0.0)):
        self.radius, self.shift = radius, np.asarray(shift)
        self.rate = np.sqrt(GM["EARTH"] / radius**3)
        self.above = above / np.linalg.norm(above)
        across = np.cross([0.0, 0.3, 1.0], self.above)
        self.across = across / np.linalg.norm(across)

    def state(self, epoch):
        angle = self.rate * np.asarray(epoch.since(EPOCH[0].to("tdb")))[..., None]
        position = np.cos(angle) * self.above + np.sin(angle) * self.across
        velocity = np.cos(angle) * self.across - np.sin(angle) * self.above
        parts = [self.radius * position + self.shift, self.radius * self.rate * velocity]
        return np.concatenate(parts, axis=-1)


@pytest.mark.parametrize("radius", [7.0e6, 4.2e7, 3.84e8])
def test_targets_in_orbit_of_the_earth(radius):
    """All ends of a short baseline, with differences small beside the distance."""
    pair = get_station("WETTZELL"), get_station("ONSALA60")
    epoch, earth = EPOCH[:1].shifted(np.array([0.0, 60.0])), model()
    states = tuple(earth.station_state(s, epoch) for s in pair)
    above = states[0].position[0] + states[1].position[0]
    step = 1e-6 * radius

    def delay(shift=(0.0, 0.0, 0.0), moved=states):
        target = Satellite(radius, above, shift)
        return near_field_delay(*moved, target, earth.ephemeris)

    found = delay()
    partials = delay_partials(*states, found, found.leg.spacecraft[:, 3:])
    ours = (partials.target, *station_partials(*states, found, partials))
    numeric = np.zeros((3, len(epoch), 3))
    for k, axis in enumerate(step * np.eye(3)):
        numeric[0, :, k] = delay(axis).delay - delay(-axis).delay
        for which, station in enumerate(pair):
            both = []
            for sign in (1.0, -1.0):
                place = station.position + sign * axis
                moved = list(states)
                moved[which] = earth.station_state(replace(station, position=place), epoch)
                both.append(delay(moved=moved).delay)
            numeric[1 + which, :, k] = both[0] - both[1]
    for mine, theirs in zip(ours, numeric / (2.0 * step), strict=True):
        assert off(mine, theirs) < RELATIVE


@pytest.mark.parametrize("target", [None, LANDER], ids=["quasar", "lander"])
def test_station_positions(target):
    found, states, partials = partials_of(target)
    ours = station_partials(*states, found, partials)
    step = 100.0  # m
    for which in (0, 1):
        for axis in range(3):
            moved = []
            for sign in (1.0, -1.0):
                place = STATIONS[which].position + sign * step * np.eye(3)[axis]
                station = STATIONS[which]
                pair = list(STATIONS)
                pair[which] = Station(station.name, place, station.velocity, station.epoch)
                moved.append(delay_of(model(), pair, target=target)[0].delay)
            numeric = (moved[0] - moved[1]) / (2.0 * step)
            scale = np.linalg.norm(ours[which], axis=-1).max()
            assert np.abs(ours[which][:, axis] - numeric).max() < RELATIVE * scale


@pytest.mark.parametrize("target", [None, LANDER], ids=["quasar", "lander"])
@pytest.mark.parametrize("name", ORIENTATION)
def test_earth_orientation(target, name):
    found, states, partials = partials_of(target)
    ours = orientation_partials(model(), *states, found, partials)[:, ORIENTATION.index(name)]
    step = 0.1 if name == "ut1_minus_tai" else 1e-5
    ahead, behind = (delay_of(model(name, s), target=target)[0].delay for s in (step, -step))
    error = np.abs(ours - (ahead - behind) / (2.0 * step)).max()
    turn = EARTH_ROTATION_RATE if name == "ut1_minus_tai" else 1.0
    assert error < RELATIVE * turn * EARTH_RADIUS / C


def test_source_position():
    found, states = delay_of(model())
    ours = source_partial(*states, found)
    step = 1e-5
    for column, (ra, dec) in enumerate(((step, 0.0), (0.0, step))):
        ahead, behind = (
            delay_of(model(), ra=RA + s * ra, dec=DEC + s * dec)[0].delay for s in (1.0, -1.0)
        )
        assert off(ours[:, column], (ahead - behind) / (2.0 * step)) < RELATIVE


def test_clocks():
    clock = StationClock(EPOCH[0].shifted(-100.0), 1e-6, 2e-13)
    state = model().station_state(STATIONS[1], EPOCH)
    second, first = (clock_partials(clock, state, k) for k in (2, 1))
    assert np.array_equal(first, -second)
    # what they are partials of: the reading itself
    assert second @ [1e-6, 2e-13] == pytest.approx(clock(EPOCH), rel=1e-12)
    with pytest.raises(ConfigurationError, match="no station 3"):
        clock_partials(clock, state, 3)
