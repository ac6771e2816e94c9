"""Doppler against phases that are integrated in extended precision; ramps."""

from dataclasses import dataclass, field

import mpmath as mp
import numpy as np
import pytest

from kitestring.errors import ConfigurationError, MissingDataError
from kitestring.model.constants import EARTH_RADIUS, GM, L_B, L_C, C
from kitestring.model.doppler import mean_transmitted_frequency
from kitestring.model.earth import EarthModel, StationState
from kitestring.model.light_time import SHAPIRO_BODIES, down_leg
from kitestring.model.observable import Equipment, StationClock
from kitestring.model.predict import Prediction, Predictor
from kitestring.model.stations import Station, get_station
from kitestring.model.time import Epoch

PICOSECOND = 1e-12
MILLIHERTZ = 1e-3
TURNAROUND = 880.0 / 749.0
UPLINK = 7.18e9
ORIGIN = Epoch.from_iso("2026-05-11T00:00:00", "tdb")
START = Epoch.from_iso("2026-05-11T18:00:00.5").shifted(np.array([0.0, 1000.0, 7200.25]))
COUNTS = np.array([1.0, 10.0, 60.0])


class Line:
    """A target that moves uniformly relative to the solar-system barycentre."""

    name, center = "line", "SSB"
    span = (Epoch.from_iso("2000-01-02", "tdb"), Epoch.from_iso("2049-01-01", "tdb"))

    def __init__(self, position: np.ndarray, velocity: np.ndarray) -> None:
        self.position, self.velocity = position, velocity

    def state(self, epoch: Epoch) -> np.ndarray:
        moved = self.position + self.velocity * np.asarray(epoch.since(ORIGIN))[..., None]
        return np.concatenate([moved, np.broadcast_to(self.velocity, moved.shape)], axis=-1)


@dataclass
class Pieces:
    """Ramps of one station."""

    epoch: Epoch
    frequency: np.ndarray
    rate: np.ndarray
    station: str = "DSS-55"


@dataclass
class Exact:
    """Light times from the equations as they stand; times in s after `ORIGIN`."""

    earth: EarthModel
    target: Line
    x: mp.matrix = field(init=False)
    v: mp.matrix = field(init=False)

    def __post_init__(self) -> None:
        self.x, self.v = mp.matrix(self.target.position), mp.matrix(self.target.velocity)

    def spacecraft(self, t: mp.mpf) -> mp.matrix:
        return self.x + self.v * t

    def round_trip(
        self, transmitter: Station, receiver: Station, received: Epoch, guess: float
    ) -> mp.mpf:
        """Return reception minus transmission as the two stations' clocks read it."""
        r = self.earth.station_state(receiver, received)
        t_r = after(r.tt) + mp.mpf(float(r.tdb_minus_tt[0]))
        x_r, earth_r = place(r, mp.mpf(0))
        t_s = t_r
        for _ in range(12):
            at = self.spacecraft(t_s)
            t_s = t_r - mp.norm(at - x_r) / C - self.shapiro(r, x_r, earth_r, at)
        at = self.spacecraft(t_s)
        # near the answer, so that a station's motion is linear over what is left
        s = self.earth.station_state(transmitter, r.tt.shifted(-round(guess, 6)))
        rest = mp.mpf(0)
        for _ in range(12):
            x_t, earth_t = place(s, rest)
            t_t = t_s - mp.norm(at - x_t) / C - self.shapiro(s, x_t, earth_t, at)
            rest = t_t - after(s.tt) - mp.mpf(float(s.tdb_minus_tt[0]))
        assert abs(rest) < 1e-6  # so that TDB-TT changes by 1e-16 s at most
        return after(r.tt) - (after(s.tt) + rest)

    def shapiro(
        self, state: StationState, station: mp.matrix, earth: mp.matrix, target: mp.matrix
    ) -> mp.mpf:
        towards = (target - station) / mp.norm(target - station)
        total = one_body(GM["EARTH"], station - earth, target - earth)
        for name in SHAPIRO_BODIES:
            body = self.earth.ephemeris.barycentric(name, state.tdb)[0]
            at, v = mp.matrix(body[:3]), mp.matrix(body[3:])
            ahead = mp.fsum(towards[k] * (at[k] - station[k]) for k in range(3)) / C
            passed = at - v * min(max(ahead, 0), mp.norm(target - station) / C)
            total += one_body(GM[name], station - passed, target - passed)
        return total


def after(epoch: Epoch) -> mp.mpf:
    return mp.mpf(int(epoch.day[0] - ORIGIN.day) * 86400) + mp.mpf(float(epoch.second[0]))


def place(state: StationState, rest: mp.mpf) -> tuple[mp.matrix, mp.matrix]:
    """Return where station and geocentre are relative to the SSB, `rest` seconds later."""
    v = mp.matrix(state.earth[0, 3:])
    gcrs = mp.matrix(state.position[0]) + mp.matrix(state.velocity[0]) * rest
    earth = mp.matrix(state.earth[0, :3]) + v * rest
    scale = 1 - mp.mpf(float(state.solar_potential[0])) / mp.mpf(C) ** 2 - mp.mpf(L_C)
    along = mp.fsum(v[k] * gcrs[k] for k in range(3)) / (2 * mp.mpf(C) ** 2)
    return earth + gcrs * scale - v * along, earth


def one_body(gm: float, station: mp.matrix, target: mp.matrix) -> mp.mpf:
    """Return Moyer's eq. 8-54 as it stands."""
    rr, rs, rho = mp.norm(station), mp.norm(target), mp.norm(station - target)
    below = mp.mpf(EARTH_RADIUS) if rr == 0 else rs + rr - rho
    return 2 * mp.mpf(gm) / mp.mpf(C) ** 3 * mp.log((rs + rr + rho) / below)


def cycles(ramps: Pieces, start: mp.mpf, stop: mp.mpf) -> mp.mpf:
    """Return what is sent between two times in s after the first piece."""
    knots = [mp.mpf(float(x)) for x in ramps.epoch.since(ramps.epoch[0])] + [mp.inf]
    total = mp.mpf(0)
    for k, (f, rate) in enumerate(zip(ramps.frequency, ramps.rate, strict=True)):
        left, right = max(start, knots[k]), min(stop, knots[k + 1])
        if right > left:
            middle = (left + right) / 2 - knots[k]
            total += (mp.mpf(float(f)) + mp.mpf(float(rate)) * middle) * (right - left)
    return total


def ramps_before(first: Epoch, pieces: int, length: float) -> Pieces:
    """Return contiguous ramps as a station sends them, from an epoch on."""
    slope = np.resize([0.31, -0.52, 0.0, 1.4], pieces)
    frequency = UPLINK + np.concatenate([[0.0], np.cumsum(slope[:-1] * length)])
    return Pieces(first.shifted(np.arange(pieces) * length), frequency, slope)


@pytest.fixture(scope="module")
def earth() -> EarthModel:
    return EarthModel()


@pytest.mark.parametrize(("transmitter", "receiver"), [("DSS-55", "DSS-55"), ("DSS-55", "IRBENE")])
@pytest.mark.parametrize("distance", [5e8, 3.5e11, 2e12])
def test_counts(earth: EarthModel, transmitter: str, receiver: str, distance: float) -> None:
    sender, listener = get_station(transmitter), get_station(receiver)
    here = earth.ephemeris.barycentric("EARTH", START[0].to("tdb"))
    position = here[:3] + distance * np.array([0.48, 0.83, 0.28])
    velocity = here[3:] + np.array([3.1e3, -8.2e3, 4.4e3])
    elapsed = float(START[0].to("tdb").since(ORIGIN))
    target = Line(position - velocity * elapsed, velocity)
    predictor = Predictor(earth, target)
    # axis offsets belong to the antenna, and are apart from what is tested
    sender, listener = plain(sender), plain(listener)
    n = len(START)
    both = Epoch.concatenate([START, START.shifted(COUNTS)])
    light_time = predictor.round_trip(sender, listener, both)[0]
    ramps = ramps_before(START[0].shifted(-float(light_time[0]) - 30.2), 700, 12.7)
    found = predictor.doppler(sender, listener, START, COUNTS, ramps, TURNAROUND).value
    exact = Exact(earth, target)
    with mp.workdps(40):
        for i in range(n):
            a, b = (
                exact.round_trip(sender, listener, both[[k]], float(light_time[k]))
                for k in (i, n + i)
            )
            change = mp.mpf(float(light_time[n + i])) - mp.mpf(float(light_time[i]))
            # a double holds a light time to 2e-16 of it
            allowed = max(1.0 * PICOSECOND, 1e-15 * float(a))
            assert abs(change - (b - a)) < allowed
            begin = mp.mpf(float(START[i].since(ramps.epoch[0]))) - a
            sent = cycles(ramps, begin, begin + mp.mpf(float(COUNTS[i])) - (b - a))
            expected = mp.mpf(TURNAROUND) * sent / mp.mpf(float(COUNTS[i]))
            limit = max(1.0 * MILLIHERTZ, TURNAROUND * UPLINK * allowed / COUNTS[i])
            assert abs(mp.mpf(float(found[i])) - expected) < limit


def plain(station: Station) -> Station:
    return Station(station.name, station.position, station.velocity, station.epoch)


class TestEquipmentDelays:
    def test_they_shift_what_is_sent(self, earth: EarthModel) -> None:
        """Both delays make the signal older; with a ramp its frequency follows."""
        station = get_station("DSS-55")
        target = Line(np.array([2e11, 1e11, 3e10]), np.zeros(3))
        predictor = Predictor(earth, target)
        steep = Pieces(START[0].shifted(np.array([-1e4])), np.array([UPLINK]), np.array([1e3]))
        args = (station, station, START[:1], COUNTS[1:2], steep, TURNAROUND)
        none = predictor.doppler(*args).value
        with_delays = predictor.doppler(*args, equipment=Equipment(2e-3, 3e-3)).value
        # the count sees an earlier spacecraft too: 1e-9 of the frequency over 3 ms
        assert with_delays - none == pytest.approx(-TURNAROUND * 1e3 * 5e-3, abs=0.1)


class TestRamps:
    def test_against_quadrature(self) -> None:
        ramps = ramps_before(START[0], 40, 12.7)
        start = START[0].shifted(np.array([0.0, 3.3, 100.0, 12.7, 490.0, 2000.0]))
        duration = np.array([1.0, 60.0, 300.0, 12.7, 0.1, 100.0])
        found = mean_transmitted_frequency(ramps, start, duration)
        with mp.workdps(40):
            for k, length in enumerate(duration):
                begin = mp.mpf(float(start[k].since(ramps.epoch[0])))
                expected = cycles(ramps, begin, begin + mp.mpf(length)) / mp.mpf(length)
                assert abs(mp.mpf(float(found[k])) - expected) < 0.01 * MILLIHERTZ

    def test_a_step_of_frequency_counts_by_its_share(self) -> None:
        ramps = Pieces(
            START[0].shifted(np.array([0.0, 10.0])), np.array([100.0, 200.0]), np.zeros(2)
        )
        mean = mean_transmitted_frequency(ramps, START[:1].shifted(6.0), np.array([16.0]))
        assert mean == pytest.approx(175.0)

    def test_before_the_first_piece_it_is_not_known(self) -> None:
        ramps = ramps_before(START[0], 3, 10.0)
        start = START[0].shifted(np.array([-1.0, 1.0]))
        mean = mean_transmitted_frequency(ramps, start, np.full(2, 5.0))
        assert np.isnan(mean).tolist() == [True, False]

    def test_no_pieces(self) -> None:
        none = Pieces(START[:0], np.zeros(0), np.zeros(0))
        with pytest.raises(MissingDataError, match="DSS-55") as error:
            mean_transmitted_frequency(none, START, COUNTS)
        assert "ramps" in error.value.next_step

    def test_leap_seconds_do_not_shift_ramps(self) -> None:
        """2016-12-31 ended with a leap second: the ramp of the day before has run 1 s longer."""
        ramps = Pieces(Epoch.from_iso(["2016-12-31T23:59:00"]), np.array([0.0]), np.array([1.0]))
        start = Epoch.from_iso(["2017-01-01T00:00:00"])
        assert mean_transmitted_frequency(ramps, start, np.array([2.0])) == pytest.approx(62.0)


class TestOneWay:
    def test_it_is_the_product_of_its_relativistic_factors(self, earth: EarthModel) -> None:
        """Einstein's factors of both clocks and the classical ones, at one instant."""
        listener = plain(get_station("DSS-55"))
        here = earth.ephemeris.barycentric("EARTH", START[0].to("tdb"))
        velocity = here[3:] + np.array([3.1e3, -8.2e3, 4.4e3])
        elapsed = float(START[0].to("tdb").since(ORIGIN))
        # opposite to the Sun, whose Shapiro delay would change by 2e-11 on its other side
        away = 3.5e11 * np.array([-0.48, -0.83, -0.28])
        target = Line(here[:3] + away - velocity * elapsed, velocity)
        sent = Pieces(START[:1].shifted(-1e4), np.array([8.4e9]), np.zeros(1), "line")
        found = Predictor(earth, target).one_way_doppler(
            listener, START[:1].shifted(-0.5), np.ones(1), sent
        )
        state = earth.station_state(listener, START[:1])
        down = down_leg(state, target, earth.ephemeris)
        step = 10.0
        early, late = (earth.station_state(listener, START[:1].shifted(t)) for t in (-step, step))
        station_clock = 1.0 - (late.tdb_minus_tt - early.tdb_minus_tt) / (2 * step)
        sun = earth.ephemeris.barycentric("SUN", down.spacecraft_epoch)[:, :3]
        jupiter = earth.ephemeris.barycentric("JUPITER BARYCENTER", down.spacecraft_epoch)[:, :3]
        potential = sum(
            GM[name] / np.linalg.norm(down.spacecraft[:, :3] - body)
            for name, body in (("SUN", sun), ("JUPITER BARYCENTER", jupiter))
        )
        own_clock = 1.0 - (potential + 0.5 * velocity @ velocity) / C**2 + L_B
        seen = down.direction[0]
        moving = state.earth[0, 3:] + state.velocity[0]
        classical = (1.0 + seen @ moving / C) / (1.0 + seen @ velocity / C)
        expected = 8.4e9 * own_clock * classical / station_clock
        # Saturn's potential, and the rounding of light times: 1e-12
        assert found.value == pytest.approx(expected, rel=2e-12)

    def test_partials_are_those_of_differences(self, earth: EarthModel) -> None:
        listener = get_station("DSS-55")
        position, velocity = np.array([2e11, 1e11, 3e10]), np.array([1e4, 2e4, -3e3])
        sent = Pieces(START[:1].shifted(-1e5), np.array([8.4e9]), np.array([0.01]), "line")

        def predict(moved: np.ndarray) -> Prediction:
            target = Line(position + moved, velocity)
            return Predictor(earth, target).one_way_doppler(listener, START, COUNTS, sent)

        found = predict(np.zeros(3))
        partial = sum(event.partial for event in found.events)
        for axis in range(3):
            step = 1e6 * np.eye(3)[axis]
            change = (predict(step).value - predict(-step).value) / 2e6
            # noise: 1 ps of light time over counts of 1 to 60 s, over the step
            assert partial[:, axis] == pytest.approx(change, abs=8.4e9 * 1e-12 / 1e6, rel=1e-3)


class TestNamedCorrections:
    """Transponder, equipment and clocks, each beside its own arithmetic."""

    target = Line(np.array([2e11, 1e11, 3e10]), np.array([2e4, -1e4, 5e3]))
    sender, listener = get_station("DSS-55"), get_station("TIANMA65")
    flat = Pieces(START[0].shifted(np.array([-1e5])), np.array([UPLINK]), np.array([0.0]))

    def test_range_holds_equipment_and_transponder(self, earth: EarthModel) -> None:
        predictor = Predictor(earth, self.target)
        equipment = Equipment(transmit=7e-5, receive=3e-5, transponder=5e-6)
        bare = predictor.range(self.sender, self.listener, START)
        full = predictor.range(self.sender, self.listener, START, equipment)
        # the spacecraft and the stations move meanwhile: some 1e-4 of the delays
        assert full.value - bare.value == pytest.approx(equipment.total, rel=1e-3)
        assert full.parts["transponder"] == pytest.approx(5e-6)
        assert full.parts["equipment of the stations"] == pytest.approx(1e-4)
        assert set(bare.parts) == {"axis offset"}

    def test_range_is_a_difference_of_readings(self, earth: EarthModel) -> None:
        """A receiver ahead by 1 ms tags later and reads more of an earlier light path."""
        clocks = {
            "TIANMA65": StationClock(START[0], 1e-3, 0.0),
            "DSS-55": StationClock(START[0], -2e-3, 0.0),
        }
        read = Predictor(earth, self.target, clocks=clocks)
        plain = Predictor(earth, self.target)
        tags = START.shifted(1e-3)
        found = read.range(self.sender, self.listener, tags).value
        expected = plain.range(self.sender, self.listener, START).value + 3e-3
        assert np.abs(found - expected).max() < 1.0 * PICOSECOND

    def test_doppler_of_clocks_that_run_fast(self, earth: EarthModel) -> None:
        """A fast transmitter sends high, a fast receiver counts low."""
        up, down = 3e-9, 5e-9
        clocks = {
            "DSS-55": StationClock(START[0], 0.0, up),
            "TIANMA65": StationClock(START[0], 0.0, down),
        }
        args = (self.sender, self.listener, START, COUNTS, self.flat, TURNAROUND)
        plain = Predictor(earth, self.target).doppler(*args).value
        found = Predictor(earth, self.target, clocks=clocks).doppler(*args)
        # the receiver's count is shorter, and its tags are off by up to rate x elapsed
        elapsed = np.abs(START.since(START[0])).max()
        drift = np.abs(np.diff(plain) / np.diff(START.since(START[0]))).max()
        expected = TURNAROUND * UPLINK * (up - down)
        allowed = drift * down * (elapsed + 1e4) + 0.01
        assert np.abs(found.value - plain - expected).max() < allowed
        assert found.parts["clocks"] == pytest.approx(expected, rel=1e-3)

    def test_readings_of_clocks_that_are_simulated(self, earth: EarthModel) -> None:
        """Counts of cycles and differences of readings by hand, with everything at once.

        What is tested here alone are clocks, equipment and ramps; light times are
        those of the model. Seconds are after START[0].
        """
        epoch, begin = START[0].shifted(-500.0), START[0]
        errors = {"DSS-55": (-2e-3, 3e-9), "TIANMA65": (1e-3, 5e-9)}
        clocks = {name: StationClock(epoch, *error) for name, error in errors.items()}
        equipment = Equipment(7e-4, 3e-4, 2e-3)
        knots, slopes = np.array([-3000.0, -1500.0]), np.array([35.0, -60.0])
        steps = np.array([0.0, 5e4])
        ramps = Pieces(begin.shifted(knots), UPLINK + steps, slopes)
        bare = Predictor(earth, self.target)

        def sent(reading: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Return the transmitter's reading when what is received was sent; light times."""
            offset, rate = errors["TIANMA65"]
            true = (reading - offset - 500.0 * rate) / (1.0 + rate) - equipment.receive
            light_time = bare.round_trip(
                self.sender, self.listener, begin.shifted(true), transponder=equipment.transponder
            )[0]
            left = true - light_time - equipment.transmit
            offset, rate = errors["DSS-55"]
            return left + offset + rate * (left + 500.0), light_time

        def cycles_over_uplink(reading: np.ndarray) -> np.ndarray:
            first = 35.0 * (np.minimum(reading, -1500.0) + 3000.0) ** 2 / 2.0
            late = np.maximum(reading + 1500.0, 0.0)
            return first + 5e4 * late - 60.0 * late**2 / 2.0

        tags = START.since(begin)
        early, light_time1 = sent(tags)
        late, light_time2 = sent(tags + COUNTS)
        lasts = COUNTS / (1.0 + 5e-9) - (light_time2 - light_time1)
        count = UPLINK * lasts * (1.0 + 3e-9) + cycles_over_uplink(late) - cycles_over_uplink(early)
        read = Predictor(earth, self.target, clocks=clocks)
        stations = self.sender, self.listener
        found = read.doppler(*stations, START, COUNTS, ramps, TURNAROUND, equipment).value
        assert np.abs(found - TURNAROUND * count / COUNTS).max() < 0.1 * MILLIHERTZ
        # a clock's error is taken at its reading, which is off by offset x rate: 5 ps here
        ranges = read.range(*stations, START, equipment).value
        assert np.abs(ranges - (tags - early)).max() < 10.0 * PICOSECOND

    def test_clocks_count_one_way_too(self, earth: EarthModel) -> None:
        rate = 5e-9
        read = Predictor(earth, self.target, clocks={"tianma 65": StationClock(START[0], 0, rate)})
        plain = Predictor(earth, self.target)
        args = (self.listener, START[:1], COUNTS[2:], self.flat)
        found, expected = read.one_way_doppler(*args), plain.one_way_doppler(*args).value
        assert found.value - expected == pytest.approx(-UPLINK * rate, rel=1e-3)
        assert found.parts["clocks"] == pytest.approx(-UPLINK * rate, rel=1e-3)
        late = Predictor(earth, self.target, clocks={"T6": StationClock(START[0], 1e-3)})
        tagged = late.one_way_range(self.listener, START.shifted(1e-3), 1e-6)
        expected = plain.one_way_range(self.listener, START, 1e-6).value + 1e-3
        assert np.abs(tagged.value - expected).max() < 1.0 * PICOSECOND
        assert tagged.parts["clocks"] == pytest.approx(1e-3)

    def test_a_clock_that_is_no_number_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="nan s"):
            StationClock(START[0], np.nan)

    def test_counts_that_are_none_are_not_known(self, earth: EarthModel) -> None:
        predictor = Predictor(earth, self.target)
        counts = np.array([0.0, -10.0, 60.0])
        for found in (
            predictor.doppler(self.sender, self.listener, START, counts, self.flat, TURNAROUND),
            predictor.one_way_doppler(self.listener, START, counts, self.flat),
        ):
            assert np.isnan(found.value).tolist() == [True, True, False]

    @pytest.mark.parametrize("ratio", [0.0, -1.0, np.nan])
    def test_a_turnaround_that_is_none_is_refused(self, earth: EarthModel, ratio: float) -> None:
        predictor, ends = Predictor(earth, self.target), (self.sender, self.listener)
        with pytest.raises(ConfigurationError, match="turnaround"):
            predictor.doppler(*ends, START, COUNTS, self.flat, ratio)
        with pytest.raises(ConfigurationError, match="turnaround"):
            predictor.range(*ends, START, turnaround=ratio)

    def test_each_way_has_its_frequency_and_kind_of_delay(self, earth: EarthModel) -> None:
        seen = []

        class Plasma:
            name = "plasma"

            def delay(self, sight):
                seen.append((sight.station.name, sight.frequency, sight.group, sight.sends))
                return np.zeros(sight.elevation.shape)

            def sigma(self, sight):
                return np.zeros(sight.elevation.shape)

        predictor = Predictor(earth, self.target, [Plasma()], frequency=8.4e9)
        predictor.range(self.sender, self.listener, START, turnaround=TURNAROUND)
        sent = pytest.approx(8.4e9 / TURNAROUND)
        assert seen == [("DSS-55", sent, True, True), ("TIANMA65", 8.4e9, True, False)]
        seen.clear()
        predictor.doppler(self.sender, self.listener, START, COUNTS, self.flat, TURNAROUND)
        (_, up, *up_is), (_, down, *down_is) = seen
        assert (up_is, down_is) == ([False, True], [False, False])
        assert up == pytest.approx(np.full(6, UPLINK))
        assert down == pytest.approx(np.full(6, TURNAROUND * UPLINK))

    def test_parts_add_up(self, earth: EarthModel) -> None:
        """What air and axes add to a count is what they add to its light times."""

        class Air:
            name = "air"

            def delay(self, sight):
                return 7e-9 / np.sin(np.maximum(sight.elevation, 0.2))

            def sigma(self, sight):
                return np.zeros(sight.elevation.shape)

        args = (self.sender, self.listener, START, COUNTS, self.flat, TURNAROUND)
        bare = Predictor(earth, self.target).doppler(*args)
        full = Predictor(earth, self.target, (Air(),)).doppler(*args)
        assert np.abs(full.value - bare.value - full.parts["air"]).max() < 0.1 * MILLIHERTZ
        assert np.array_equal(full.parts["axis offset"], bare.parts["axis offset"])

    def test_one_way_range_is_a_light_time(self, earth: EarthModel) -> None:
        found = Predictor(earth, self.target).one_way_range(self.listener, START, 1e-6)
        state = earth.station_state(self.listener, START.shifted(-1e-6))
        leg = down_leg(state, self.target, earth.ephemeris)
        expected = leg.light_time + found.parts["axis offset"] + 1e-6
        assert np.abs(found.value - expected).max() < 1.0 * PICOSECOND


def test_barycentric_velocity_is_the_slope_of_positions(earth: EarthModel) -> None:
    """Over TDB; 1 micrometre a second is 5e-11 of it."""
    station = get_station("HARTRAO")
    still = EarthModel(displacements=(), subdaily=())
    for k in range(3):
        centre = START[k : k + 1]
        step = 8.0
        places = [still.station_state(station, centre.shifted(t)) for t in (-step, 0.0, step)]
        before, here, after = places
        # positions are good to 0.03 mm: differences are taken of Earth and station apart
        elapsed = after.tdb.since(before.tdb)
        earth_moved = here.earth[:, 3:] * elapsed[:, None]
        own = after.barycentric_vector(after.position) - before.barycentric_vector(before.position)
        third = np.cross(here.rotation.spin, np.cross(here.rotation.spin, here.velocity))
        own -= third * (2.0 * step) * step**2 / 6.0
        slope = (earth_moved + own) / elapsed[:, None]
        # precession and polar motion (5e-5 m/s) are left out of a station's velocity
        assert np.abs(slope - here.barycentric_velocity).max() < 6e-5
