"""Where stations look: aberration of what is received and what is sent."""

import numpy as np
import pytest

from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.predict import Predictor
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch

START = Epoch.from_iso(["2026-05-11T18:00:00"])
SECOND_ORDER = 2e-8  # rad: (V/c)^2, and the Earth's acceleration over the light time
ABERRATION = 2e-5  # rad, a fifth of V/c


class Companion:
    """A target that goes along with a station, as one on the same ship."""

    name, center = "companion", "SSB"

    def __init__(self, state, away):
        self.epoch, self.position = state.tdb, state.barycentric[0] + away
        self.velocity = state.earth[0, 3:] + state.velocity[0]
        self.span = (START[0].shifted(-100.0), START[0].shifted(100.0))

    def state(self, epoch):
        moved = self.position + self.velocity * np.asarray(epoch.since(self.epoch))[..., None]
        return np.concatenate([moved, np.broadcast_to(self.velocity, moved.shape)], axis=-1)


class Recorder:
    """An effect that adds nothing and keeps what it saw."""

    name = "recorder"

    def __init__(self):
        self.sights = []

    def delay(self, sight):
        self.sights.append(sight)
        return np.zeros(sight.elevation.shape)

    def sigma(self, sight):
        return np.zeros(sight.elevation.shape)


@pytest.mark.parametrize("axis", range(3))
def test_who_moves_along_is_seen_where_it_is_sent_to(axis):
    """In their common frame of rest nothing moves: both ways are one line."""
    earth, station = EarthModel(), get_station("WETTZELL")
    here = earth.station_state(station, START)
    away = 1e8 * np.eye(3)[axis]
    recorder = Recorder()
    Predictor(earth, Companion(here, away), [recorder]).round_trip(station, station, START)
    up, down = recorder.sights
    assert (up.sends, down.sends) == (True, False)
    rest = away / np.linalg.norm(away)
    for sight in (up, down):
        assert np.abs(sight.seen[0] - rest).max() < SECOND_ORDER
    # that it does matter: the lines themselves differ by twice the aberration
    sideways = here.earth[0, 3:] - rest * (rest @ here.earth[0, 3:])
    apart = np.linalg.norm(up.direction[0] - down.direction[0])
    assert apart == pytest.approx(2.0 * np.linalg.norm(sideways) / C, rel=0.05)
    assert apart > ABERRATION
