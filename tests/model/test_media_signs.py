"""Signs of media in each observable, by numbers worked by hand.

Each end of a path is given an electron column or a delay of the air that grows evenly
with time, so that what it does to range, Doppler and delays is a line of arithmetic.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from kitestring.model.constants import C
from kitestring.model.deformation import ThermalExpansion
from kitestring.model.earth import EarthModel
from kitestring.model.ionosphere import plasma_delay
from kitestring.model.predict import Predictor
from kitestring.model.sight import Sight
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody
from kitestring.observables.types import UplinkRamps

START = Epoch.from_iso("2020-05-29T08:00:00")
EPOCHS = START.shifted(60.0 * np.arange(3))
DSS, EF = get_station("DSS-55"), get_station("EFLSBERG")
LANDER = FixedOnBody("InSight", "MARS", np.array([-2417.5e3, 2365.9e3, 266.0e3]))
UP, RATIO = 7.18e9, 880 / 749
DOWN = RATIO * UP
TECU = 1e16
# a light time beyond 1024 s ends at 2.3e-13 s: over counts of 60 s that is 32 microhertz
LAST_DIGIT = 3.5e-5


@dataclass
class Electrons:
    """A column that grows evenly in time: 20 TECU at START, 10 TECU more in 1000 s."""

    name: str = "electrons"
    only: str = ""

    def delay(self, sight: Sight) -> np.ndarray:
        here = self.only in ("", sight.station.name)
        elapsed = np.asarray(sight.state.tt.since(START.to("tt")))
        column = here * (20.0 + 1e-2 * elapsed) * TECU
        return plasma_delay(column, sight.known_frequency("it"), group=sight.group)

    def sigma(self, sight: Sight) -> np.ndarray:
        return np.zeros(sight.elevation.shape)


@dataclass
class Air(Electrons):
    """A delay that grows evenly in time, by 1e-12 s a second; 8 ns at START."""

    name: str = "air"

    def delay(self, sight: Sight) -> np.ndarray:
        here = self.only in ("", sight.station.name)
        elapsed = np.asarray(sight.state.tt.since(START.to("tt")))
        return here * (8e-9 + 1e-12 * elapsed)


def predictor(*media) -> Predictor:
    return Predictor(EarthModel(), LANDER, media, frequency=DOWN)


def two_way(*media) -> np.ndarray:
    ramp = UplinkRamps(
        "DSS-55", "X", START.shifted(np.array([-7200.0])), np.array([UP]), np.zeros(1)
    )
    return predictor(*media).doppler(DSS, DSS, EPOCHS, np.full(3, 60.0), ramp, RATIO).value


def test_more_electrons_raise_the_frequency_on_both_legs() -> None:
    """Phases come earlier: F (40.3082 dN/dt / c) (1/up^2 + 1/down^2), up by 3.8 mHz.

    40.3082 x 1e14 / 299792458 = 1.34454e7; over 7.18e9^2 it is 2.60810e-13, over
    8.43578e9^2 1.88939e-13; times 8.43578e9 Hz: 2.200 and 1.594 mHz.
    """
    risen = two_way(Electrons()) - two_way()
    assert risen == pytest.approx(np.full(3, 3.794e-3), abs=LAST_DIGIT)


def test_more_air_lowers_the_frequency_on_both_legs() -> None:
    """8.43578e9 Hz x 2 x 1e-12 = 16.87 mHz."""
    fallen = two_way(Air()) - two_way()
    assert fallen == pytest.approx(np.full(3, -1.687e-2), abs=LAST_DIGIT)


def test_one_way() -> None:
    """The downlink's half alone."""
    ramp = UplinkRamps(
        "InSight", "X", START.shifted(np.array([-7200.0])), np.array([DOWN]), np.zeros(1)
    )

    def found(*media) -> np.ndarray:
        return predictor(*media).one_way_doppler(DSS, EPOCHS, np.full(3, 60.0), ramp).value

    assert found(Electrons()) - found() == pytest.approx(np.full(3, 1.594e-3), abs=LAST_DIGIT)
    assert found(Air()) - found() == pytest.approx(np.full(3, -8.436e-3), abs=LAST_DIGIT)


def test_ranges_grow_with_both() -> None:
    """Groups are late by electrons too: 40.3082 x 1e16 / (c 8.43578e9^2) = 18.894 ps a TECU."""
    one_way = predictor(Electrons()).one_way_range(DSS, EPOCHS[:1])
    assert one_way.parts["electrons"] == pytest.approx(20 * 18.894e-12, rel=1e-4)
    assert predictor(Air()).one_way_range(DSS, EPOCHS[:1]).parts["air"] == pytest.approx(8e-9)
    there_and_back = predictor(Air(), Electrons()).range(DSS, DSS, EPOCHS[:1])
    # the uplink left 18 min earlier, when the air was 1 ns less
    gone = float(there_and_back.value[0])
    assert there_and_back.parts["air"] == pytest.approx(16e-9 - 1e-12 * gone, rel=1e-6)
    assert there_and_back.parts["electrons"] > 20 * 18.894e-12
    bare = predictor().range(DSS, DSS, EPOCHS[:1]).value
    added = there_and_back.parts["air"] + there_and_back.parts["electrons"]
    # the numbers of a light time of 1000 s end at 1e-13 s
    assert there_and_back.value - bare == pytest.approx(added, abs=3e-13)


@pytest.mark.parametrize(("station", "sign"), [(DSS, -1.0), (EF, 1.0)])
def test_delays_have_station_2_less_station_1(station, sign: float) -> None:
    """And a phase delay the electrons the other way round."""
    for group, way in ((True, 1.0), (False, -1.0)):
        one = predictor(Electrons(only=station.name)).delay(DSS, EF, EPOCHS[:1], group=group)
        assert one.parts["electrons"] == pytest.approx(sign * way * 20 * 18.894e-12, rel=1e-4)
        air = predictor(Air(only=station.name)).delay(DSS, EF, EPOCHS[:1], group=group)
        assert air.parts["air"] == pytest.approx(sign * 8e-9, rel=1e-4)


@pytest.mark.parametrize(("first", "second", "sign"), [(DSS, EF, 1.0), (EF, DSS, -1.0)])
def test_an_antenna_that_grows_towards_its_target_is_met_earlier(first, second, sign) -> None:
    """Effelsberg 20 K warmer at elevation E: 50 m sin E + 13.1 mm cos E + 8.5 m - 1.8 x 28 m.

    Times 1.2e-5 x 20 K and over c (Nothnagel 2009). Below about 57 degrees what the
    subreflector's legs grow by is more: the signal comes later.
    """

    def temperature(station, epoch: Epoch) -> np.ndarray:
        zero = station.structure.reference_temperature
        return np.full(epoch.shape, zero + (20.0 if station is EF else 0.0))

    found = predictor(ThermalExpansion(temperature)).delay(first, second, EPOCHS[:1])
    elevation = predictor().delay(EF, DSS, EPOCHS[:1]).elevation[0]
    assert np.radians(20.0) < elevation < np.radians(50.0)
    grown = 50.0 * np.sin(elevation) + 0.0131 * np.cos(elevation) + 8.5 - 1.8 * 28.0
    assert grown < 0.0
    expected = -sign * 1.2e-5 * 20.0 * grown / C
    assert found.parts["thermal expansion"] == pytest.approx(expected, abs=1e-14)
