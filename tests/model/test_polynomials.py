"""Piecewise polynomials, and how well they stand in for the delays that they were fitted to."""

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.delay import far_field_delay, near_field_delay
from kitestring.model.earth import EarthModel
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.stations import get_station
from kitestring.model.steering import (
    fit_polynomial,
    linear_clock,
    make_delay_model,
    node_offsets,
    station_delays,
)
from kitestring.model.time import Epoch

FEMTOSECOND = 1e-15
START = Epoch.from_iso("2026-05-11T06:00:00.25")
STOP = START.shifted(117.0)
QUASAR = np.array([0.48, 0.83, 0.28]) / np.linalg.norm([0.48, 0.83, 0.28])


class Line:
    """A target that moves uniformly relative to the Earth's place and motion at `START`."""

    name, center = "line", "SSB"
    span = (Epoch.from_iso("2000-01-02", "tdb"), Epoch.from_iso("2049-01-01", "tdb"))

    def __init__(self, earth: EarthModel, distance: float) -> None:
        here = earth.ephemeris.barycentric("EARTH", START.to("tdb"))
        self.position = here[:3] + distance * QUASAR
        self.velocity = here[3:] + np.array([2e3, -1e3, 3e3])

    def state(self, epoch: Epoch) -> np.ndarray:
        moved = self.position + self.velocity * np.asarray(epoch.since(START.to("tdb")))[..., None]
        return np.concatenate([moved, np.broadcast_to(self.velocity, moved.shape)], axis=-1)


@pytest.fixture(scope="module")
def earth() -> EarthModel:
    return EarthModel()


class TestSteering:
    @pytest.mark.parametrize("distance", [4e8, 1.5e11, np.inf])
    def test_polynomials_are_the_delays(self, earth: EarthModel, distance: float) -> None:
        station = get_station("TIANMA65")
        target = QUASAR if np.isinf(distance) else Line(earth, distance)
        model = make_delay_model("s", "t", target, [station], (START, STOP), earth)
        label = START.shifted(np.linspace(0.0, 117.0, 400))
        exact = station_delays(earth, station, target, label)
        found = model.stations["TIANMA65"].delay(label)
        # at the Moon's distance a position that is held to 0.03 mm moves the delay by 2 fs
        limit = 1.0 if distance > 1e9 else 5.0
        assert np.abs(found - exact).max() < limit * FEMTOSECOND

    def test_station_delay_is_delay_from_the_geocentre(self, earth: EarthModel) -> None:
        """Without an axis offset; arrival at the station minus arrival at the geocentre."""
        station = get_station("KUNMING")
        flat = type(station)("FLAT", station.position)
        centre, state = (earth.station_state(s, START.shifted(np.zeros(1))) for s in (None, flat))
        label = START.shifted(np.zeros(1))
        far = far_field_delay(centre, state, QUASAR, earth.ephemeris).delay
        assert station_delays(earth, flat, QUASAR, label) == pytest.approx(far, abs=1e-20)
        target = Line(earth, 1e11)
        near = near_field_delay(centre, state, target, earth.ephemeris).delay
        assert station_delays(earth, flat, target, label) == pytest.approx(near, abs=1e-20)

    def test_rate_is_the_slope(self, earth: EarthModel) -> None:
        station = get_station("URUMQI")
        model = make_delay_model("s", "q", QUASAR, [station], (START, STOP), earth)
        delay = model.stations["URUMQI"].delay
        label, step = START.shifted(np.linspace(1.0, 115.0, 30)), 0.5
        slope = (delay(label.shifted(step)) - delay(label.shifted(-step))) / (2 * step)
        assert delay(label, 1) == pytest.approx(slope, abs=1e-15)
        bend = (delay(label.shifted(step), 1) - delay(label.shifted(-step), 1)) / (2 * step)
        # delays are rounded by 3e-18 s between nodes seconds apart: 1e-15 /s^2 in what they bend
        assert delay(label, 2) == pytest.approx(bend, abs=3e-15)

    def test_clocks_are_linear_from_their_reference(self, earth: EarthModel) -> None:
        station = get_station("URUMQI")
        reference = START.shifted(-3600.0)
        clocks = {"URUMQI": (reference, 2e-6, -3e-12)}
        args = ("s", "q", QUASAR, [station], (START, STOP), earth)
        model = make_delay_model(*args, clocks=clocks)
        label = START.shifted(np.array([0.0, 60.0]))
        part = model.stations["URUMQI"]
        assert part.clock(label) == pytest.approx(2e-6 - 3e-12 * np.array([3600.0, 3660.0]))
        assert part.total(label) == pytest.approx(part.delay(label) + part.clock(label), abs=0.0)
        assert part.total(label, 1) == pytest.approx(part.delay(label, 1) - 3e-12, abs=1e-25)

    def test_media_are_added(self, earth: EarthModel) -> None:
        class Air:
            name = "air"

            def delay(self, sight):
                return 7e-9 / np.sin(sight.elevation)

            def sigma(self, sight):
                return np.zeros(sight.elevation.shape)

        station = get_station("TIANMA65")
        label = START.shifted(np.arange(3.0))
        bare = station_delays(earth, station, QUASAR, label)
        assert np.all(station_delays(earth, station, QUASAR, label, [Air()]) - bare > 7e-9)


class TestPieces:
    def test_a_polynomial_of_the_order_is_met(self) -> None:
        series = np.polynomial.Polynomial([1.0, -2.0, 0.5, 3.0, -0.1, 0.02, 0.004])
        offsets = node_offsets(3, 10.0)
        found = fit_polynomial(START, 10.0, series(offsets))
        seconds = np.linspace(0.0, 30.0, 61)
        assert found.at_offset(seconds) == pytest.approx(series(seconds), rel=1e-11)
        assert found.at_offset(seconds, 1) == pytest.approx(series.deriv()(seconds), rel=1e-9)
        assert found(START.shifted(12.5)) == pytest.approx(series(12.5), rel=1e-12)

    def test_edges_belong_to_the_span(self) -> None:
        poly = linear_clock(START, STOP, START, 1.0, 0.5)
        assert poly(START) == 1.0
        assert poly(STOP) == 1.0 + 0.5 * 117.0
        assert poly.stop.iso(2) == STOP.iso(2)

    @pytest.mark.parametrize(
        ("jumps", "reference"),
        [
            ([(30.0, 2e-6)], 0.0),
            ([(30.0, 2e-6)], 50.0),
            ([(30.012, 2e-6), (7.5, -1e-6), (80.25, 3e-7)], 40.0),
            ([(-5.0, 1e-6), (200.0, 5e-6)], 10.0),  # before and after the span
            ([(-5.0, 1e-6), (60.0, 5e-6)], -20.0),
        ],
    )
    def test_a_clock_that_jumps(self, jumps: list[tuple[float, float]], reference: float) -> None:
        """The offset holds at the reference; what lies beyond a jump differs by its size."""
        offset, rate = 1e-3, 2e-12
        at = [(START.shifted(t), size) for t, size in jumps]
        poly = linear_clock(START, STOP, START.shifted(reference), offset, rate, at)
        near = [t + side for t, _ in jumps for side in (-1e-6, 1e-6) if 0 < t < 117]
        seconds = np.concatenate([near, np.linspace(0.05, 116.9, 40)])
        wanted = offset + rate * (seconds - reference)
        for t, size in jumps:
            wanted += size * ((seconds > t).astype(float) - float(reference > t))
        # epochs resolve 15 ps
        assert poly(START.shifted(seconds)) == pytest.approx(wanted, abs=1e-15)
        assert poly.start.since(START) <= 0.0
        assert poly.stop.since(STOP) >= -1e-11

    def test_jumps_that_no_pieces_fit(self) -> None:
        def clock(*seconds: float) -> PiecewisePolynomial:
            at = [(START.shifted(t), 1e-6) for t in seconds]
            return linear_clock(START, STOP, START, 0.0, 0.0, at)

        with pytest.raises(ConfigurationError, match="whole milliseconds apart"):
            clock(10.0, 20.0003)
        with pytest.raises(ConfigurationError, match="1 ms apart in a scan of 117 s"):
            clock(10.0, 20.0, 30.001)

    @pytest.mark.parametrize("seconds", [-0.001, 20.001])
    def test_outside_is_refused_and_the_span_named(self, seconds: float) -> None:
        poly = PiecewisePolynomial(START, 10.0, np.zeros((2, 3)))
        with pytest.raises(SpanError, match=r"06:00:00\.250 to 2026-05-11T06:00:20\.250"):
            poly(START.shifted(np.array([1.0, seconds])))


class TestChecksum:
    def test_it_follows_what_is_applied(self) -> None:
        def model(**changed) -> DelayModel:
            poly = PiecewisePolynomial(START, 10.0, np.array([[1.0, 2.0]]))
            clock = changed.pop("clock", poly)
            told = {"scan": "s", "source": "q", "inputs": {}} | changed
            return DelayModel(stations={"A": StationDelay(poly, clock)}, **told)

        base = model().checksum()
        moved = PiecewisePolynomial(START, 10.0, np.array([[1.0, np.nextafter(2.0, 3.0)]]))
        later = PiecewisePolynomial(START.shifted(1e-6), 10.0, np.array([[1.0, 2.0]]))
        for other in (model(scan="t"), model(source="r"), model(clock=moved), model(clock=later)):
            assert other.checksum() != base
        assert model(inputs={"made": "elsewhere"}).checksum() == base
