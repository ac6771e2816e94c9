"""Conventions that docs/concepts/conventions.md states and no other test pins."""

import numpy as np
import pytest

from kitestring.correlate.channels import match_channels
from kitestring.errors import FormatWarning
from kitestring.estimate.batch import batch_least_squares
from kitestring.estimate.types import Measurements, Parameter, ResidualTable
from kitestring.formats.fdets import read_fdets
from kitestring.formats.tdm import from_ranges, read_tdm, to_ranges, write_tdm
from kitestring.model.constants import C
from kitestring.model.delay import far_field_delay
from kitestring.model.earth import EarthModel
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.sight import Sight
from kitestring.model.sources import get_source
from kitestring.model.stations import get_station
from kitestring.model.steering import make_delay_model, station_delays
from kitestring.model.time import Epoch
from kitestring.observables.editing import flag_rows
from kitestring.observables.types import Observables
from kitestring.products.predictions import predict_table
from kitestring.recordings.types import Channel

PICOSECOND = 1e-12
EPOCH_QUANTUM = 1.5e-11  # s: what the second of a day in a double is good to
START = Epoch.from_iso("2026-01-01T16:30:00")


@pytest.fixture(scope="module")
def earth():
    return EarthModel()


class Receding:
    """A target that moves straight away from where the geocentre is at the start."""

    name, center = "probe", "SSB"
    span = (Epoch.from_iso("2025-01-01", "tdb"), Epoch.from_iso("2027-01-01", "tdb"))

    def __init__(self, earth, speed):
        home = earth.ephemeris.barycentric("EARTH", START.to("tdb"))
        away = get_source("1741-038").direction
        self.place = home[:3] + 1e11 * away
        self.speed = home[3:] + speed * away

    def state(self, epoch):
        moved = self.place + np.asarray(epoch.since(START.to("tdb")))[..., None] * self.speed
        return np.concatenate([moved, np.broadcast_to(self.speed, moved.shape)], axis=-1)


def observables(kind, path, value, **changes):
    n = len(value)
    fields = {
        "epoch": START.shifted(60.0 * np.arange(n)),
        "sigma": np.full(n, np.nan),
        "count": np.zeros(n),
    } | changes
    return Observables(kind=kind, path=path, value=np.asarray(value, dtype=np.float64), **fields)


# -- time --------------------------------------------------------------------------------


def test_an_epoch_keeps_picoseconds_where_one_double_cannot():
    late = START.shifted(30e-12)
    assert abs(float(late.since(START)) - 30e-12) < EPOCH_QUANTUM
    j2000 = Epoch.from_iso("2000-01-01T12:00:00", "tt")
    # the same in one double: nothing is left of 30 ps, and a step is 0.1 microsecond
    seconds = float(START.to("tt").since(j2000))
    assert seconds + 30e-12 == seconds
    assert 0.5e-7 < np.spacing(seconds) < 2e-7


def test_utc_differences_count_leap_seconds():
    before, after = Epoch.from_iso("2016-12-31T23:59:59"), Epoch.from_iso("2017-01-01T00:00:00")
    assert float(after.since(before)) == 2.0
    assert before.shifted(1.0).iso(0) == "2016-12-31T23:59:60"
    assert after.to("tt").iso(3) == "2017-01-01T00:01:09.184"


FDETS = """# Observation conducted on 2020.05.29 at Ef rev. 2
# Base frequency: 0.00 MHz dF: 0.2 Hz dT: 0.00025 s
58998 31205.0 661.4 398.8 3967805.0 3.5e-3
58998 31215.0 661.4 398.8 3967795.0 3.5e-3
"""
TDM = """CCSDS_TDM_VERS = 2.0
CREATION_DATE = 2026-01-01T00:00:00
ORIGINATOR = HAND
META_START
TIME_SYSTEM = UTC
PARTICIPANT_1 = DSS-55
PARTICIPANT_2 = PROBE
MODE = SEQUENTIAL
PATH = 1,2,1
TRANSMIT_BAND = X
RECEIVE_BAND = X
TURNAROUND_NUMERATOR = 880
TURNAROUND_DENOMINATOR = 749
TIMETAG_REF = RECEIVE
META_STOP
DATA_START
DATA_STOP
"""


def message(tmp_path, *rows, **changes):
    """Return a TDM of one segment, by hand."""
    text = TDM
    for key, value in changes.items():
        text = text.replace("META_STOP", f"{key} = {value}\nMETA_STOP")
    path = tmp_path / "x.tdm"
    path.write_text(text.replace("DATA_STOP", "\n".join([*rows, "DATA_STOP"])))
    return path


def test_tracking_files_tag_the_middle_of_the_count_in_utc(tmp_path):
    (tmp_path / "f.txt").write_text(FDETS)
    found = read_fdets(
        tmp_path / "f.txt", station="Ef", spacecraft="InSight", transmitter="DSS-55",
        turnaround=880 / 749, base_frequency=8400490000.0,
    )  # fmt: skip
    assert (found.epoch.scale, found.epoch_reference) == ("utc", "middle")
    assert found.epoch[0].iso(0) == "2020-05-29T08:40:05"
    assert found.value[0] == 8400490000.0 + 3967805.0
    row = "RECEIVE_FREQ = 2026-01-01T00:00:30 100.0"
    path = message(tmp_path, row, INTEGRATION_INTERVAL=60.0, FREQ_OFFSET=8.4e9)
    (counted,) = read_tdm(path).observables
    assert (counted.epoch_reference, counted.count[0]) == ("middle", 60.0)
    assert counted.value[0] == 8.4e9 + 100.0


# -- delay -------------------------------------------------------------------------------


def test_a_source_over_station_1_has_a_positive_delay(earth):
    """The wave comes to the station in whose zenith the source stands, then to the other."""
    first, second = get_station("TIANMA65"), get_station("HARTRAO")
    epoch = START[None]
    state1, state2 = (earth.station_state(s, epoch) for s in (first, second))
    overhead = state1.rotation.position(first.vertical)[0]
    tau = far_field_delay(state1, state2, overhead, earth.ephemeris).delay[0]
    later = (state1.position - state2.position)[0] @ overhead / C
    assert later > 0.01
    assert tau == pytest.approx(later, rel=1e-3)  # aberration: v/c
    # of baseline (geocentre, station): there before the centre, so negative
    assert station_delays(earth, first, overhead, epoch)[0] == pytest.approx(-0.02126, rel=2e-3)


def test_a_session_clock_is_its_reading_minus_utc(earth):
    """As [[clock]] of a session: `offset` at its epoch and `rate` from there, both added."""
    span = (START, START.shifted(10.0))
    model = make_delay_model(
        "No1", "1741-038", get_source("1741-038").direction, [get_station("TIANMA65")], span,
        earth, clocks={"TIANMA65": (START.shifted(-100.0), 3e-6, 1e-9)},
    )  # fmt: skip
    station = model.stations["TIANMA65"]
    assert float(station.clock(START)) == pytest.approx(3e-6 + 100 * 1e-9, abs=PICOSECOND)
    assert float(station.total(START) - station.delay(START)) == pytest.approx(3.1e-6, abs=1e-12)


# -- channels ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "edges"),
    [
        (Channel("U", 8.4e9, 1, 8e6), (8.4e9, 8.404e9)),
        (Channel("L", 8.4e9, -1, 8e6), (8.396e9, 8.4e9)),
        (Channel("E", 8.4e9, 1, 8e6, complex=True), (8.4e9, 8.408e9)),
        (Channel("F", 8.4e9, -1, 8e6, complex=True), (8.392e9, 8.4e9)),
        (Channel("M", 8.4e9, 1, 8e6, complex=True, zero="middle"), (8.396e9, 8.404e9)),
        (Channel("N", 8.4e9, -1, 8e6, complex=True, zero="middle"), (8.396e9, 8.404e9)),
    ],
)
def test_the_edges_of_a_channel(channel, edges):
    assert channel.sky_edges == edges

    class One:
        station, channels, sample_rate = "AA", (channel,), 8e6

    (band,) = match_channels([One()], [("AA", "AA")]).bands
    frequency = band.frequency(8)
    width = channel.bandwidth / 8
    assert np.allclose(np.diff(frequency), width, rtol=0, atol=1e-6)  # ascending, always
    assert np.any(frequency == channel.sky_frequency)  # a bin on baseband zero
    on_edge = frequency[0] if channel.direction > 0 else frequency[-1]
    assert on_edge == (edges[0] if channel.direction > 0 else edges[1])


# -- tracking data messages --------------------------------------------------------------


def test_a_tdm_range_in_km_is_the_light_time_of_the_whole_path(tmp_path):
    path = message(tmp_path, "RANGE = 2026-01-01T00:00:30 299792.458", RANGE_UNITS="km")
    with pytest.warns(FormatWarning, match="whole path"):
        (found,) = read_tdm(path).observables
    assert found.kind is Kind.RANGE
    assert found.value[0] == pytest.approx(1.0, rel=1e-15)


def test_an_unstated_sigma_is_nan(tmp_path):
    path = message(tmp_path, "RECEIVE_FREQ = 2026-01-01T00:00:30 8.4e9", INTEGRATION_INTERVAL="60")
    (found,) = read_tdm(path).observables
    assert np.all(np.isnan(found.sigma))


def test_clock_rows_of_a_tdm_are_left_out_and_said(tmp_path):
    path = message(
        tmp_path,
        "CLOCK_BIAS = 2026-01-01T00:00:00 1e-6",
        "RECEIVE_FREQ = 2026-01-01T00:00:30 8e9",
        INTEGRATION_INTERVAL="60",
    )
    with pytest.warns(FormatWarning, match="CLOCK_BIAS are left out"):
        (found,) = read_tdm(path).observables
    assert found.kind is Kind.DOPPLER


def test_delays_in_a_tdm_are_path_2_minus_path_1(tmp_path):
    path = SignalPath(("PROBE", "TIANMA65", "URUMQI"))
    made = observables(Kind.DELAY, path, [5e-3, -4e-3])
    write_tdm(tmp_path / "a.tdm", [made])
    text = (tmp_path / "a.tdm").read_text()
    assert "PATH_1 = 3,1\nPATH_2 = 3,2\n" in text
    assert "PARTICIPANT_1 = TIANMA65\nPARTICIPANT_2 = URUMQI\n" in text
    assert "DOR = 2026-01-01T16:30:00 0.005\n" in text
    (found,) = read_tdm(tmp_path / "a.tdm").observables
    assert found.path.participants == path.participants
    assert np.array_equal(found.value, made.value)


def test_dor_of_ranges_and_of_arrivals_differ_by_delay_times_range_rate(tmp_path):
    """A target that recedes uniformly from two stations at rest: everything in closed form."""
    tau, speed = 10e-3, 1e3
    sent, distance = 0.0, (1e9, 1e9 + C * tau)
    arrival = [sent + d / C for d in distance]  # of one wavefront
    reception = arrival[0]
    # light times at one reception: t - L was sent, from distance + speed (t - L)
    ranges = [(d + speed * reception) / (C + speed) for d in distance]
    difference = np.array([ranges[1] - ranges[0]])
    rate = np.array([speed / (C + speed)])
    assert tau - difference[0] == pytest.approx(33e-9, rel=0.02)
    assert from_ranges(difference, rate)[0] == pytest.approx(tau, abs=PICOSECOND)
    assert to_ranges(np.array([tau]), rate)[0] == pytest.approx(difference[0], abs=PICOSECOND)
    # a file says which it holds, and reading it gives arrivals again
    made = observables(Kind.DELAY, SignalPath(("PROBE", "TIANMA65", "URUMQI")), [tau])
    write_tdm(tmp_path / "r.tdm", [made], dor="ranges", range_rate=lambda _: rate)
    (found,) = read_tdm(tmp_path / "r.tdm", range_rate=lambda _: rate).observables
    assert found.value[0] == pytest.approx(tau, abs=1e-18)
    with pytest.warns(FormatWarning, match="differences of ranges"):
        (raw,) = read_tdm(tmp_path / "r.tdm").observables
    assert not raw.good.any()


def test_delta_dor_survives_a_tdm(tmp_path):
    path = SignalPath(("PROBE", "TIANMA65", "URUMQI"), "1741-038")
    made = observables(Kind.DELTA_DOR, path, [2e-9, -3e-9], sigma=np.full(2, 1e-11))
    write_tdm(tmp_path / "d.tdm", [made])
    text = (tmp_path / "d.tdm").read_text()
    assert "VLBI_DELAY = 2026-01-01T16:30:00 0.0\n" in text
    (found,) = read_tdm(tmp_path / "d.tdm").observables
    assert (found.kind, found.path) == (Kind.DELTA_DOR, path)
    assert np.array_equal(found.value, made.value)
    assert np.array_equal(found.sigma, made.sigma)


# -- geometry ----------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [20e3, -20e3])
def test_range_rate_is_positive_when_receding(earth, speed):
    target = Receding(earth, speed)
    epochs = START.shifted(np.array([400.0, 1000.0]))
    (one,) = predict_table(target, [get_station("TIANMA65")], epochs, earth).stations
    # the Earth turns with 0.4 km/s
    assert one.range_rate == pytest.approx([speed] * 2, abs=600.0)
    slope = (one.range[1] - one.range[0]) / 600.0
    assert one.range_rate.mean() == pytest.approx(slope, abs=1.0)
    assert np.all(np.sign(one.doppler) == -np.sign(speed))


def test_uvw_is_position_2_minus_position_1(earth):
    a, b = get_station("TIANMA65"), get_station("URUMQI")
    direction = get_source("1741-038").direction
    (pair,) = predict_table(direction, [a, b], START[None], earth).baselines
    s1, s2 = (earth.station_state(s, START[None]) for s in (a, b))
    vector = (s2.position - s1.position)[0]
    assert pair.uvw[0, 2] == pytest.approx(vector @ direction, abs=1e-3)
    # v northwards: along increasing declination
    pole = np.array([0.0, 0.0, 1.0])
    north = pole - direction * direction[2]
    assert pair.uvw[0, 1] == pytest.approx(vector @ north / np.linalg.norm(north), abs=1e-3)
    # w > 0: station 2 is nearer to the source, and tau = t2 - t1 is negative
    assert np.sign(pair.delay[0]) == -np.sign(pair.uvw[0, 2])


def test_elevation_is_without_refraction(earth):
    """A direction 5 degrees over the horizon: aberration moves it by 21 arcsec, air would 590."""
    station = get_station("TIANMA65")
    state = earth.station_state(station, START[None])
    up = state.rotation.position(station.vertical)[0]
    level = np.cross(up, [0.0, 0.0, 1.0])
    level /= np.linalg.norm(level)
    angle = np.radians(5.0)
    direction = (np.cos(angle) * level + np.sin(angle) * up)[None]
    seen = Sight(station, state, direction).elevation[0]
    assert abs(np.degrees(seen) - 5.0) * 3600 < 21.0


# -- flags and residuals -----------------------------------------------------------------


def test_flagged_rows_stay_and_keep_their_first_reason():
    path = SignalPath(("PROBE", "TIANMA65", "URUMQI"))
    made = observables(Kind.DELAY, path, [1.0, 2.0, 3.0])
    once = flag_rows(made, np.array([True, False, False]), "elevation < 10 deg")
    twice = flag_rows(once, np.array([True, True, False]), "Sun angle < 30 deg")
    assert len(twice) == 3
    assert list(twice.flag) == ["elevation < 10 deg", "Sun angle < 30 deg", ""]
    assert np.array_equal(twice.value, made.value)


def test_a_residual_is_observed_minus_computed():
    data = Measurements(np.array([1.0, 3.0]), 1.0)

    def model(values):
        return np.full(2, values[0]), np.ones((2, 1))

    solution = batch_least_squares(model, data, [Parameter("level", 0.0)])
    assert solution.residuals == pytest.approx([-1.0, 1.0])
    epochs = START.shifted(np.array([0.0, 1.0]))
    table = ResidualTable.of(np.array(["x", "x"]), epochs, data, solution)
    assert table.residual == pytest.approx(table.observed - table.computed)
