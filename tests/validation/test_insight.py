"""The programs on InSight: what they find in a slice of the data and in made residuals."""

import importlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import FormatError, MissingDataError, UnknownNameError
from kitestring.estimate.forward import ForwardModel, count_start
from kitestring.estimate.lander import LanderTarget
from kitestring.formats.tdm import read_tdm
from kitestring.model.earth import EarthModel
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.predict import Predictor
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.observables.types import Observables, TrackingData, UplinkRamps

FOLDER = Path(__file__).parents[2] / "validation"
TDM = "insight/nsyt_maro_2018_331_2020_366.tdm"
EVN = "insight/ED045C"

# A round trip of 1100 s holds steps of 0.23 ps, 0.2 mHz in a count of 10 s, and two ends of two
# stations make 0.5: no count may be worse than twice that, the mean of 59 none than a tenth
ONE_COUNT, MEAN_OF_COUNTS = 1.0, 0.05  # mHz
WHOLE_MISSION, PLACE = (-2417538.3, 2365920.5), 5.0  # m: x and y as all of the data have them


@pytest.fixture
def two_way(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("two_way_doppler")


@pytest.fixture
def vlbi(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("vlbi_rate")


@pytest.fixture(scope="module")
def tracking(data_dir):
    if not (data_dir / TDM).exists():
        pytest.skip(f"{TDM} absent")
    with pytest.warns():
        return read_tdm(data_dir / TDM)


@pytest.fixture(scope="module")
def earth():
    return EarthModel()


def days_of(data, days):
    """Return the rows of some stations and days."""
    kept = []
    for o in data.observables:
        wanted = [d for s, d in days if s == o.path.participants[0]]
        rows = (
            np.isin(o.epoch.day, Epoch.from_iso([f"{d}T00:00:00" for d in wanted]).day)
            if (wanted)
            else np.zeros(len(o), dtype=bool)
        )
        if rows.any():
            names = ("epoch", "value", "sigma", "count", "flag")
            kept.append(replace(o, **{n: getattr(o, n)[rows] for n in names}))
    return TrackingData(tuple(kept), data.ramps)


def made_rows(two_way, residual, *, sun=90.0, step=0.0, breaks=()):
    """Return rows of one station, 60 s apart, with what was measured (mHz)."""
    n = len(residual)
    seconds = 60.0 * np.arange(n)
    for k in breaks:
        seconds[k:] += 47.0
    return two_way.Rows(
        seconds,
        np.full(n, "DSS 25"),
        np.asarray(residual, dtype=np.float64),
        np.full(n, 60.0),
        np.full(n, np.radians(sun)),
        np.full(n, 1.0),
        np.broadcast_to(step, (n,)).astype(np.float64),
    )


def test_two_way_slice_fits_and_bad_passes_have_the_causes_seen_by_eye(two_way, tracking, earth):
    days = [
        ("DSS 43", "2018-11-29"),  # 1.8 Hz beside a gap of 126 s
        ("DSS 26", "2019-01-19"),  # 17 kHz before one of 109 s
        ("DSS 63", "2019-03-24"),
        ("DSS 34", "2019-12-25"),  # single counts off by one and two cycles
        ("DSS 55", "2020-05-29"),
        ("DSS 25", "2020-09-09"),  # the table of ramps has steps
        ("DSS 54", "2020-12-20"),
    ]
    fit = two_way.fit_lander(days_of(tracking, days), earth)
    rows = two_way.describe(fit)
    passes = [two_way.examine(rows, own) for own in two_way.split(rows)]
    found = {str(rows.station[p.rows[0]]): p for p in passes}
    assert "beside a break" in found["DSS 43"].cause
    assert "beside a break" in found["DSS 26"].cause
    assert found["DSS 26"].scatter > 1e6  # mHz
    assert found["DSS 26"].rest < two_way.WORSE
    assert "cycle slips" in found["DSS 34"].cause
    assert "ramps do not join, by 0.745 Hz" in found["DSS 25"].cause
    for name in ("DSS 63", "DSS 54", "DSS 55"):
        assert found[name].cause == ""
        assert found[name].scatter < two_way.WORSE
    # slow residuals of 5 mHz are 2 m there; Z is hardly seen by seven passes
    assert np.hypot(*(fit.solution.values[:2] - WHOLE_MISSION)) < PLACE


def test_a_pass_is_one_station_without_a_long_gap_and_with_enough_points(two_way):
    rows = made_rows(two_way, np.zeros(90))
    seconds = rows.seconds.copy()
    seconds[30:] += two_way.PASS_GAP - 61.0  # not quite a gap
    seconds[71:] += two_way.PASS_GAP
    rows = replace(rows, seconds=seconds)
    assert [len(own) for own in two_way.split(rows)] == [71]  # 19 are left, too few
    other = replace(rows, station=np.where(np.arange(90) < 45, "DSS 25", "DSS 26"))
    assert [len(own) for own in two_way.split(other)] == [45, 26]


@pytest.mark.parametrize(
    ("off", "options", "cause"),
    [
        ({}, {}, ""),
        ({20: 5e3}, {"breaks": (20,)}, "1 off beside a break of counting"),
        ({19: 5e3}, {"breaks": (20,)}, "1 off beside a break of counting"),
        ({20: 5e3}, {"step": 0.5}, "1 off where ramps do not join, by 0.5 Hz"),
        ({9: 50.0, 20: -33.3, 33: 16.7, 40: 66.7}, {}, "4 cycle slips"),
        ({9: 41.7, 20: -25.0, 33: 58.3, 40: 75.0}, {}, "4 counts off"),
        ({k: 40.0 * (-1.0) ** k for k in range(50)}, {}, "noise all through"),
        ({k: 40.0 * (-1.0) ** k for k in range(50)}, {"sun": 5.0}, "solar plasma"),
    ],
)
def test_a_pass_is_told_its_cause(two_way, off, options, cause):
    residual = 0.5 * np.sin(1.7 * np.arange(50) ** 1.5)
    for k, value in off.items():
        residual[k] += value
    rows = made_rows(two_way, residual, **options)
    found = two_way.examine(rows, np.arange(50))
    assert found.cause.startswith(cause)
    assert bool(found.cause) == bool(cause)


def test_steps_of_ramps_are_found_where_pieces_do_not_meet(two_way):
    at = np.array([0.0, 100.0, 200.0, 300.0])
    ramps = UplinkRamps(
        "DSS 25",
        "X",
        Epoch.from_iso(["2020-01-01T00:00:00"] * 4).shifted(at),
        7.15e9 + np.array([0.0, 50.0, 151.0, 171.0]),
        np.array([0.5, 1.0, 0.2, 0.0]),
    )
    start = np.array([10.0, 90.0, 190.0, 290.0])
    steps = two_way.step_within(ramps, start, start + 20.0)
    assert steps[:2].tolist() == [0.0, 0.0]
    assert steps[2] == pytest.approx(1.0, abs=1e-5)
    assert steps[3] == 0.0


def evn(vlbi, data_dir, earth):
    if not (data_dir / EVN).exists():
        pytest.skip(f"{EVN} absent")
    found = vlbi.read_directory(data_dir / EVN, vlbi.TRANSMITTER, None, earth)
    return {r.station: r for r in found}


def predictor_of(vlbi, earth):
    lander = LanderTarget("InSight", "MARS", vlbi.FOUND)
    return Predictor(earth, lander.trajectory(lander.values), vlbi.MEDIA)


@pytest.mark.parametrize("pair", [("Ef", "Ys"), ("Ys", "Ef"), ("Hh", "Ef")])
def test_differenced_residuals_are_differences_of_three_way_ones(
    vlbi, data_dir, tracking, earth, pair
):
    """The emitted frequency from one station's counts stands in for the uplink's ramps."""
    stations = evn(vlbi, data_dir, earth)
    one, other = (stations[name] for name in pair)
    found = vlbi.differenced(one, other, predictor_of(vlbi, earth))
    lander = LanderTarget("InSight", "MARS", vlbi.FOUND)
    model = ForwardModel(earth, tracking.ramps, vlbi.MEDIA)
    residuals = []
    for reception in (one, other):
        expected = model.predict(reception.observables, lander.trajectory(lander.values))
        residuals.append(1e3 * (reception.observables.value - expected.value))
    first, second = vlbi.rows_in_common(one.observables, other.observables)
    difference = found.residual - (residuals[1][second] - residuals[0][first])
    assert np.max(np.abs(difference)) < ONE_COUNT
    assert abs(np.mean(difference)) < MEAN_OF_COUNTS


def test_the_emitted_frequency_follows_a_ramp_that_a_constant_one_would_miss(vlbi, earth):
    """An oscillator that warms up, and light times that differ by milliseconds."""
    tags = Epoch.from_iso(["2020-05-29T08:40:05"] * 60).shifted(10.0 * np.arange(60.0))
    sent = UplinkRamps(
        "InSight",
        "X",
        Epoch.from_iso(["2020-05-29T08:00:00"]),
        np.array([8.4045e9]),
        np.array([20.0]),
    )
    predictor = predictor_of(vlbi, earth)

    def heard(code, ramps):
        count = np.full(60, 10.0)
        path = SignalPath(("InSight", code), "", 1.0, "X", "X")
        o = Observables(Kind.DOPPLER, path, tags, np.zeros(60), count * np.nan, count)
        model = predictor.one_way_doppler(get_station(code), count_start(o), count, ramps)
        return replace(o, value=model.value)

    one, truth = heard("Ef", sent), heard("Hh", sent)
    again = heard("Hh", vlbi.emitted(one, predictor))
    assert np.max(np.abs(1e3 * (again.value - truth.value))) < ONE_COUNT
    # what one frequency for all would say, its error at one station taken over to the other
    constant = replace(sent, rate=np.zeros(1))
    naive = heard("Hh", constant).value + one.value - heard("Ef", constant).value
    assert np.max(np.abs(1e3 * (naive - truth.value))) > 5.0 * ONE_COUNT


def test_a_wrong_base_frequency_is_put_right_and_said(vlbi, data_dir, earth, capsys):
    stations = evn(vlbi, data_dir, earth)
    one, other = stations["Ef"], stations["Ys"]
    right = vlbi.differenced(one, other, predictor_of(vlbi, earth))
    shifted = replace(other.observables, value=other.observables.value + 30e3)
    wrong = vlbi.differenced(one, replace(other, observables=shifted), predictor_of(vlbi, earth))
    assert "+30 kHz apart" in capsys.readouterr().out
    assert wrong.scatter == pytest.approx(right.scatter, abs=MEAN_OF_COUNTS)
    assert right.scatter < vlbi.DIFFERENCED


def made(vlbi, residual, slope):
    """Return made residuals, 10 s apart."""
    n = len(residual)
    epoch = Epoch.from_iso(["2020-05-29T08:40:05"] * n).shifted(10.0 * np.arange(n))
    every = np.ones(n, dtype=bool)
    return vlbi.Compared("Xx", epoch, residual, slope, every, np.ones(n), np.ones(n))


def test_a_time_tag_is_told_from_an_offset_of_frequency(vlbi):
    rng = np.random.default_rng(1)
    slope = np.linspace(-0.60, -0.45, 120)
    noise = rng.normal(0.0, 3.0, 120)
    told = vlbi.cause(made(vlbi, 1e3 * 0.5 * slope + noise, slope))
    found = re.search(r"time tag wrong by \+([0-9.]+) s", told)
    assert found
    assert float(found[1]) == pytest.approx(0.5, abs=0.01)  # 3 mHz of 260, and rounding
    assert "offset of frequency" in vlbi.cause(made(vlbi, -300.0 + noise, slope))
    assert vlbi.cause(made(vlbi, noise, slope)) == "none"


def test_a_lost_carrier_is_told_with_its_elevation(vlbi, data_dir, earth):
    stations = evn(vlbi, data_dir, earth)
    found = vlbi.differenced(stations["Ef"], stations["Ir"], predictor_of(vlbi, earth))
    told = re.search(
        r"lost in (\d+) of 113 counts at ([0-9.]+) to ([0-9.]+) deg", vlbi.cause(found)
    )
    assert told
    assert int(told[1]) == 30
    assert float(told[3]) < 8.0  # Irbene saw Mars set


def test_a_count_in_two_files_is_taken_once(vlbi, data_dir, earth, tmp_path, capsys):
    """Revisions of a file lie beside each other."""
    if not (data_dir / EVN).exists():
        pytest.skip(f"{EVN} absent")
    for path in (data_dir / EVN).glob("Fdets*.[EY][fs].0004.r2i.txt"):
        text = path.read_text()
        (tmp_path / path.name).write_text(text)
        (tmp_path / path.name.replace("r2i", "r1i")).write_text(text.replace("e+06 ", "e+05 "))
    found = vlbi.read_directory(tmp_path, vlbi.TRANSMITTER, None, earth)
    assert capsys.readouterr().out.count("59 counts are in another file again") == 2
    once = evn(vlbi, data_dir, earth)
    for reception in found:
        expected = once[reception.station].observables.value[-59:]
        assert reception.observables.value.tolist() == expected.tolist()
    pair = vlbi.differenced(*found, predictor_of(vlbi, earth))
    assert pair.scatter < vlbi.DIFFERENCED


def test_the_pair_that_is_named_has_files(vlbi, data_dir, earth):
    receptions = list(evn(vlbi, data_dir, earth).values())
    assert vlbi.named_pair((), receptions) == vlbi.NAMED
    assert vlbi.named_pair(("yebes40m", "Hh"), receptions) == ("Ys", "Hh")
    with pytest.raises(MissingDataError, match="Wz"):
        vlbi.named_pair(("Ef", "Wz"), receptions)
    with pytest.raises(UnknownNameError, match="Zz"):
        vlbi.named_pair(("Ef", "Zz"), receptions)


def test_a_pair_without_common_counts_is_replaced_by_the_best_and_this_is_said(
    vlbi, data_dir, earth, capsys
):
    receptions = list(evn(vlbi, data_dir, earth).values())
    predictor = predictor_of(vlbi, earth)
    lines, _ = vlbi.differenced_lines(receptions, predictor, ("Hh", "Ys"), 50)
    assert "Hh Ys have nothing in common: the best pair is limited" in capsys.readouterr().out
    assert [li.name for li in lines if li.limit] == ["Ef Ys differenced, rms"]
    lines, _ = vlbi.differenced_lines(receptions, predictor, ("Ef", "Hh"), 100)
    assert [li.name for li in lines if li.limit] == ["Ef Hh differenced, rms"]
    assert all("Ys" not in li.name for li in lines)  # 59 counts only, and not named


def test_a_message_without_data_is_refused(two_way, tmp_path):
    path = tmp_path / "empty.tdm"
    path.write_text("CCSDS_TDM_VERS = 1.0\nCREATION_DATE = 2020-001T00:00:00\nORIGINATOR = JPL\n")
    with pytest.raises(FormatError, match="no tracking data"):
        two_way.read(path)


def test_the_program_needs_no_tracking_data_message(vlbi, data_dir, tmp_path, capsys):
    if not (data_dir / EVN).exists():
        pytest.skip(f"{EVN} absent")
    assert vlbi.main([str(data_dir / EVN), "--stations", "Ef", "Ys"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("Ef Ys differenced, rms = ")
    assert lines[-1].endswith("mHz (limit 8)")
    assert vlbi.main([str(tmp_path)]) == 2
