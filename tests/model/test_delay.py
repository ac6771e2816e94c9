import numpy as np
import pytest

from kitestring.model.earth import EarthModel
from kitestring.model.predict import Predictor
from kitestring.model.sight import Sight
from kitestring.model.stations import get_station
from kitestring.model.steering import make_delay_model, station_delays
from kitestring.model.time import Epoch

PICOSECOND = 1e-12


class Fixed:
    """A target at rest relative to the solar-system barycentre."""

    name, center = "fixed", "SSB"

    def __init__(self, position):
        self.position = np.asarray(position, dtype=float)
        self.span = (Epoch.from_iso("2000-01-02", "tdb"), Epoch.from_iso("2049-01-01", "tdb"))

    def state(self, epoch):
        return np.broadcast_to(np.concatenate([self.position, np.zeros(3)]), (*epoch.shape, 6))


def unit(ra, dec):
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


EPOCH = Epoch.from_iso("2023-05-11T18:00:00").shifted(np.arange(0.0, 86400.0, 3000.0))


def test_delay_is_antisymmetric_up_to_the_change_of_reference():
    earth = EarthModel()
    a, b = get_station("TIANMA65"), get_station("URUMQI")
    target = Fixed(4.3e10 * unit(1.0, 0.3) + earth.ephemeris.barycentric("EARTH", EPOCH[0])[:3])
    predictor = Predictor(earth, target)
    ab = predictor.delay(a, b, EPOCH).value
    arrival_b = EPOCH.shifted(ab)
    assert np.abs(predictor.delay(b, a, arrival_b).value + ab).max() < 0.02 * PICOSECOND


def test_delays_of_one_wavefront_close_through_the_geocentre():
    earth = EarthModel()
    a, b = get_station("TIANMA65"), get_station("URUMQI")
    target = Fixed(4.3e10 * unit(1.0, 0.3) + earth.ephemeris.barycentric("EARTH", EPOCH[0])[:3])
    d_a = station_delays(earth, a, target, EPOCH)
    d_b = station_delays(earth, b, target, EPOCH)
    direct = Predictor(earth, target).delay(a, b, EPOCH.shifted(d_a)).value
    assert np.abs((d_b - d_a) - direct).max() < 0.02 * PICOSECOND


def test_delay_model_follows_the_delay():
    earth = EarthModel()
    station = get_station("KUNMING")
    source = unit(2.0, 0.2)
    start = Epoch.from_iso("2026-01-01T06:00:00")
    model = make_delay_model("s1", "q", source, [station], (start, start.shifted(45.0)), earth)
    label = start.shifted(np.linspace(0.0, 45.0, 91))
    exact = station_delays(earth, station, source, label)
    assert np.abs(model.stations[station.name].delay(label) - exact).max() < 1e-4 * PICOSECOND


def test_delay_partial_is_the_derivative():
    earth = EarthModel()
    a, b = get_station("TIANMA65"), get_station("URUMQI")
    where = 4.3e10 * unit(1.0, 0.3) + earth.ephemeris.barycentric("EARTH", EPOCH[0])[:3]
    prediction = Predictor(earth, Fixed(where)).delay(a, b, EPOCH)
    step = 1e6  # m
    for axis in range(3):
        moved = where.copy()
        moved[axis] += step
        numeric = (
            Predictor(earth, Fixed(moved)).delay(a, b, EPOCH).value - prediction.value
        ) / step
        # second-order terms and aberration: 1e-4 of the largest partial
        assert prediction.events[0].partial[:, axis] == pytest.approx(numeric, abs=1e-4 * 3e-13)


def test_range_rate_agrees_with_the_difference_of_ranges():
    earth = EarthModel()
    station = get_station("DSS-55")
    epoch = EPOCH[:3]
    target = Fixed(2e11 * unit(1.0, 0.3))
    predictor = Predictor(earth, target)
    one = predictor.range(station, station, epoch)
    distance = np.linalg.norm(
        target.position - earth.ephemeris.barycentric("EARTH", epoch)[:, :3], axis=1
    )
    # two ways, within the Earth's radius and the Earth's motion during the light time
    assert one.value * 299792458.0 / 2 == pytest.approx(distance, rel=2e-4)
    sight = Sight(station, earth.station_state(station, epoch), unit(1.0, 0.3))
    assert np.all(np.abs(sight.elevation) < np.pi / 2)
