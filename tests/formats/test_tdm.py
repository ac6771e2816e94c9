"""Tracking data messages: real InSight data, every kind there and back, and what is refused."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, FormatError, FormatWarning, MissingDataError
from kitestring.formats.tdm import (
    NO_COUNT,
    UNRESOLVED_RANGES,
    from_ranges,
    read_tdm,
    to_ranges,
    write_tdm,
)
from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.light_time import down_leg
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.predict import Predictor
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody
from kitestring.observables.types import Observables, UplinkRamps

PICOSECOND = 1e-12
INSIGHT = "insight/nsyt_maro_2018_331_2020_366.tdm"
BENT = 4  # kinds of bending in InSight's file

START = Epoch.from_iso("2026-03-01T12:00:00.25")
CREATED = Epoch.from_iso("2026-03-02")
TWO_WAY = SignalPath(("DSS-55", "PROBE", "DSS-55"), "", 880 / 749, "X", "X", 7.7e-5, 1e-6)
THREE_WAY = SignalPath(("DSS-55", "PROBE", "YEBES40M"), "", 880 / 749, "X", "X")
BASELINE = SignalPath(("PROBE", "TIANMA65", "URUMQI"), downlink_band="X")
QUASAR = replace(BASELINE, participants=("1741-038", "TIANMA65", "URUMQI"))


def rows(kind, path, n=3, scale=1.0, **changes):
    values = {
        "value": scale * (1.0 + np.arange(n) / 7.0),
        "sigma": np.full(n, 1e-3 * abs(scale)),
        "count": np.zeros(n),
    }
    return Observables(kind, path, START.shifted(60.0 * np.arange(n)), **(values | changes))


DOPPLER = rows(Kind.DOPPLER, TWO_WAY, scale=8.4e9, count=np.full(3, 60.0), epoch_reference="end")
SETS = {
    "two-way Doppler": DOPPLER,
    "three-way Doppler": rows(Kind.DOPPLER, THREE_WAY, scale=8.4e9, count=np.array([10, 60, 10.0])),
    "one-way Doppler": rows(
        Kind.DOPPLER, SignalPath(("PROBE", "YEBES40M"), downlink_band="X"), count=np.ones(3)
    ),
    "range": rows(Kind.RANGE, TWO_WAY, scale=1234.5),
    "DOR": rows(Kind.DELAY, BASELINE, scale=7.1e-3),
    "VLBI delay": rows(Kind.DELAY, QUASAR, scale=-6.2e-3),
    "delta-DOR": rows(Kind.DELTA_DOR, replace(BASELINE, reference_source="1741-038"), scale=1e-5),
    "flagged": rows(Kind.RANGE, TWO_WAY, flag=np.array(["", "rain at DSS-55", ""])),
    "no sigma": rows(Kind.DOPPLER, TWO_WAY, sigma=np.full(3, np.nan), count=np.ones(3)),
}
RAMPS = UplinkRamps(
    "DSS-55", "X", START.shifted(np.array([0.0, 333.0])), np.array([7.1e9, 7.1e9 + 1 / 3]),
    np.array([0.125, -1 / 7]),
)  # fmt: skip


def same(found, expected):
    assert (found.kind, found.path) == (expected.kind, expected.path)
    # the text holds a picosecond; the float of the second of day holds 15
    assert np.all(np.abs(found.epoch.since(expected.epoch)) < 20 * PICOSECOND)
    assert np.array_equal(found.value, expected.value)
    assert np.array_equal(found.sigma, expected.sigma, equal_nan=True)
    assert np.array_equal(found.count, expected.count)
    assert np.array_equal(found.flag, expected.flag)
    if np.any(expected.count):
        assert found.epoch_reference == expected.epoch_reference


@pytest.mark.parametrize("name", SETS)
def test_what_is_written_is_read(name, tmp_path):
    write_tdm(tmp_path / "a.tdm", [SETS[name]], created=CREATED)
    (found,) = read_tdm(tmp_path / "a.tdm").observables
    same(found, SETS[name])


def test_all_kinds_and_ramps_share_a_file(tmp_path):
    """Sets of one path and kind would be joined, so those are left out."""
    sets = [SETS[name] for name in SETS if name not in ("flagged", "no sigma")]
    write_tdm(tmp_path / "a.tdm", sets, [RAMPS], originator="ME", comments=["x " * 300])
    found = read_tdm(tmp_path / "a.tdm")
    assert found.originator == "ME"
    kinds = {(o.kind, o.path): o for o in found.observables}
    for expected in sets:
        same(kinds[expected.kind, expected.path], expected)
    (ramps,) = found.ramps
    assert (ramps.station, ramps.band) == ("DSS-55", "X")
    assert np.array_equal(ramps.frequency, RAMPS.frequency)
    assert np.array_equal(ramps.rate, RAMPS.rate)
    assert np.all(np.abs(ramps.epoch.since(RAMPS.epoch)) < 20 * PICOSECOND)
    assert max(map(len, (tmp_path / "a.tdm").read_text().splitlines())) < 254


def test_a_delta_dor_may_carry_the_quasars_delays(tmp_path):
    o = SETS["delta-DOR"]
    quasar = np.array([5e-3, 5.1e-3, 5.2e-3])
    write_tdm(tmp_path / "a.tdm", [o], reference_delay=lambda rows: quasar)
    text = (tmp_path / "a.tdm").read_text()
    assert f"{5.1e-3!r}" in text
    assert "rows are 0" not in text
    (found,) = read_tdm(tmp_path / "a.tdm").observables
    assert np.max(np.abs(found.value - o.value)) < 1e-6 * PICOSECOND
    write_tdm(tmp_path / "b.tdm", [o])
    text = (tmp_path / "b.tdm").read_text()
    assert "VLBI_DELAY rows are 0" in text
    assert "arrivals of one wavefront" in text


def test_ranges_and_arrivals_differ_as_the_model_says(tmp_path):
    """One wavefront against two light times to the same reception time: 1 microsecond at most."""
    earth = EarthModel()
    lander = FixedOnBody("PROBE", "MARS", [3.39e6, 0.0, 0.0])
    o = rows(Kind.DELAY, BASELINE)
    one, two = (get_station(name) for name in BASELINE.participants[1:])
    delay = Predictor(earth, lander).delay(one, two, o.epoch).value

    def light_time(epoch):
        return down_leg(earth.station_state(two, epoch), lander, earth.ephemeris).light_time

    def rate(of):
        return (light_time(of.epoch.shifted(1.0)) - light_time(of.epoch.shifted(-1.0))) / 2.0

    difference = to_ranges(delay, rate(o))
    assert np.min(np.abs(difference - delay)) > 1e-9
    assert np.max(np.abs(from_ranges(difference, rate(o)) - delay)) < 1e-4 * PICOSECOND
    # the Earth turns and moves under the signal: two light times by the stations' clocks
    first = down_leg(earth.station_state(one, o.epoch), lander, earth.ephemeris)
    second = down_leg(earth.station_state(two, o.epoch), lander, earth.ephemeris)
    clocks = first.station.tdb_minus_tt - second.station.tdb_minus_tt
    assert np.max(np.abs(second.light_time - first.light_time + clocks - difference)) < 1e-9
    o = replace(o, value=delay)
    write_tdm(tmp_path / "a.tdm", [o], dor="ranges", range_rate=rate)
    (found,) = read_tdm(tmp_path / "a.tdm", range_rate=rate).observables
    assert np.max(np.abs(found.value - delay)) < 1e-3 * PICOSECOND
    with pytest.warns(FormatWarning, match="differences of ranges"):
        (found,) = read_tdm(tmp_path / "a.tdm").observables
    assert set(found.flag) == {UNRESOLVED_RANGES}
    with pytest.raises(ConfigurationError, match="range rate"):
        write_tdm(tmp_path / "b.tdm", [o], dor="ranges")


@pytest.mark.parametrize("name", ["two-way Doppler", "range", "DOR", "VLBI delay", "flagged"])
def test_another_program_reads_what_is_written(name, tmp_path):
    ccsds_ndm = pytest.importorskip("ccsds_ndm.ndm_io")
    path = tmp_path / "a.tdm"
    write_tdm(path, [SETS[name]], [RAMPS], created=CREATED)
    message = ccsds_ndm.NdmIo().from_path(path)
    segments = message.body.segment
    metadata = segments[-1].metadata
    assert str(getattr(metadata.time_system, "value", metadata.time_system)) == "UTC"
    expected = 2 * len(RAMPS.epoch) + len(SETS[name])
    assert sum(len(s.data.observation) for s in segments) == expected


# -- InSight -----------------------------------------------------------------


def test_insights_file_is_read_in_a_second(data_dir):
    path = data_dir / INSIGHT
    start = time.perf_counter()
    with pytest.warns(FormatWarning) as told:
        data = read_tdm(path)
    elapsed = time.perf_counter() - start
    assert elapsed < 3.0  # 0.15 s on an idle core
    texts = [str(w.message) for w in told]
    assert len(texts) == BENT
    for word in ("blanks", "TIME_SYSTEM", "PATH", "turnaround"):
        assert sum(word in text for text in texts) == 1
    assert all(re.search(r"\.tdm:\d+: ", text) for text in texts)
    assert sum(len(o) for o in data.observables) == 22835
    assert sum(len(r.epoch) for r in data.ramps) == 13089
    assert sum(r.band == "S" for r in data.ramps) == 7
    assert all(o.kind is Kind.DOPPLER for o in data.observables)
    assert all(abs(o.path.turnaround - 880 / 749) < 1e-14 for o in data.observables)
    (dss24,) = (o for o in data.observables if o.path.participants[0] == "DSS 24")
    assert (dss24.path.transmit_delay, dss24.path.receive_delay) == (7.7e-5, 7.7e-5)
    first = data.observables[0]
    assert first.epoch[0].iso(0) == "2018-11-27T10:52:23"
    assert first.value[0] == 8.403763283466863e9
    assert (first.count[0], first.epoch_reference) == (60.0, "middle")
    assert np.all(np.isnan(first.sigma))
    for ramps in data.ramps:
        assert np.all(np.diff(ramps.epoch.since(ramps.epoch[0])) > 0.0)


# -- what a file may bend, and what not ----------------------------------------

HEADER = "CCSDS_TDM_VERS = 2.0\nCREATION_DATE = 2026-001T00:00:00\nORIGINATOR = ME\n"
META = """META_START
TIME_SYSTEM = UTC
PARTICIPANT_1 = DSS-55
PARTICIPANT_2 = PROBE
MODE = SEQUENTIAL
PATH = 1,2,1
INTEGRATION_INTERVAL = 60
TRANSMIT_BAND = X
RECEIVE_BAND = X
TURNAROUND_NUMERATOR = 880
TURNAROUND_DENOMINATOR = 749
META_STOP
"""
DATA = "DATA_START\nRECEIVE_FREQ_1 = 2026-060T12:00:00 8.4e9\nDATA_STOP\n"
WHOLE = HEADER + META + DATA


def read_text(tmp_path, text):
    path = tmp_path / "x.tdm"
    path.write_text(text)
    return read_tdm(path)


def test_the_small_file_is_whole(tmp_path):
    (found,) = read_text(tmp_path, WHOLE).observables
    assert found.epoch[0].iso(0) == "2026-03-01T12:00:00"
    assert found.value[0] == 8.4e9
    (found,) = read_text(tmp_path, WHOLE.replace("= UTC", "= TAI")).observables
    assert found.epoch[0].iso(0) == "2026-03-01T11:59:23"
    (found,) = read_text(tmp_path, WHOLE.replace("= UTC", "= GPS")).observables
    assert found.epoch[0].iso(0) == "2026-03-01T11:59:42"


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("META_STOP\n", "", 15, "META_STOP"),
        (META, "", 4, "no metadata"),
        ("RECEIVE_FREQ_1", "RECEIVE_FRQ_1", 17, "RECEIVE_FRQ_1"),
        ("TURNAROUND_NUM", "TURNROUND_NUM", 13, "TURNROUND"),
        ("8.4e9", "8.4x9", 17, "not a number"),
        ("8.4e9", "nan", 17, "not a number"),
        ("= 880\n", "= many\n", 13, "not a number"),
        ("2026-060T12", "2026-960T12", 17, "2026-960"),
        ("2026-060T12", "1960-060T12", 17, "before 1972"),
        (" 8.4e9", "", 17, "row of data"),
        ("DATA_STOP\n", "", 17, "no DATA_STOP"),
        (DATA, "", 15, "no data"),
        ("CCSDS_TDM_VERS = 2.0", "CCSDS_OEM_VERS = 2.0", 1, "not a TDM"),
        ("CCSDS_TDM_VERS = 2.0", "CCSDS_TDM_VERS = 7.0", 1, "version"),
        ("PARTICIPANT_2 = PROBE\n", "", 8, "participant 2"),
        ("PATH = 1,2,1\n", "", 4, "PATH"),
        ("PATH = 1,2,1", "PATH = 1;2", 9, "1;2"),
        ("= UTC", "= SCLK", 5, "SCLK"),
        ("MODE =", "PATH =", 9, "line 8"),
        ("META_STOP", "INTEGRATION_REF = CENTRE\nMETA_STOP", 15, "CENTRE"),
        ("DATA_START", "RECEIVE_FREQ_1 = 2026-060T12:00:00 1\nDATA_START", 16, "outside"),
        ("ORIGINATOR", "ORIGIN", 3, "ORIGIN"),
    ],
)
def test_a_malformed_file_is_refused_at_its_line(old, new, line, word, tmp_path):
    assert old in WHOLE
    with pytest.raises(FormatError) as caught:
        read_text(tmp_path, WHOLE.replace(old, new, 1))
    assert caught.value.place.endswith(f"x.tdm:{line}")
    assert word in caught.value.message
    assert caught.value.next_step


def test_what_is_no_text_file_is_refused(tmp_path):
    (tmp_path / "x.tdm").write_bytes(bytes(range(256)))
    with pytest.raises(FormatError, match="not a TDM"):
        read_tdm(tmp_path / "x.tdm")
    (tmp_path / "x.tdm").write_bytes(b"")
    with pytest.raises(FormatError, match="empty"):
        read_tdm(tmp_path / "x.tdm")
    with pytest.raises(MissingDataError):
        read_tdm(tmp_path / "none.tdm")


def test_rows_that_are_not_taken_over_are_named(tmp_path):
    more = "ANGLE_1 = 2026-060T12:00:00 5.0\nDATA_STOP"
    with pytest.warns(FormatWarning, match="ANGLE_1 are left out"):
        data = read_text(tmp_path, WHOLE.replace("DATA_STOP", more))
    assert len(data.observables) == 1


def test_a_missing_turnaround_is_that_of_the_bands(tmp_path):
    text = WHOLE.replace("TURNAROUND_NUMERATOR = 880\nTURNAROUND_DENOMINATOR = 749\n", "")
    with pytest.warns(FormatWarning, match="turnaround"):
        (found,) = read_text(tmp_path, text).observables
    assert found.path.turnaround == 880 / 749
    with pytest.raises(FormatError, match="turnaround"):
        read_text(tmp_path, text.replace("= X", "= L"))


def test_ranges_have_units_and_may_be_ambiguous(tmp_path):
    text = WHOLE.replace("RECEIVE_FREQ_1", "RANGE").replace("8.4e9", "3e8")
    with pytest.warns(FormatWarning, match="km"):
        (found,) = read_text(tmp_path, text).observables
    assert found.value[0] == pytest.approx(3e11 / C, rel=1e-15)
    text = text.replace("META_STOP", "RANGE_UNITS = s\nRANGE_MODULUS = 0.5\nMETA_STOP")
    (found,) = read_text(tmp_path, text).observables
    assert (found.value[0], found.flag[0]) == (3e8, "ambiguous by 0.5 s")
    with pytest.warns(FormatWarning, match="RANGE are left out"):
        assert not read_text(tmp_path, text.replace("UNITS = s", "UNITS = RU")).observables


def test_what_a_file_says_of_its_data_is_heeded(tmp_path):
    text = WHOLE.replace("META_STOP", "DATA_QUALITY = DEGRADED\nFREQ_OFFSET = 5.0\nMETA_STOP")
    (found,) = read_text(tmp_path, text).observables
    assert (found.value[0], found.flag[0]) == (8.4e9 + 5.0, "quality degraded")
    text = WHOLE.replace("META_STOP", "TIMETAG_REF = TRANSMIT\nMETA_STOP")
    assert read_text(tmp_path, text).observables[0].flag[0] == "time tag of transmission"
    text = "CORRECTION_RECEIVE = 2.0\nCORRECTIONS_APPLIED = NO\nMETA_STOP"
    (found,) = read_text(tmp_path, WHOLE.replace("META_STOP", text)).observables
    assert found.value[0] == 8.4e9 + 2.0


def test_half_a_delta_dor_is_refused(tmp_path):
    write_tdm(tmp_path / "a.tdm", [SETS["delta-DOR"]])
    text = (tmp_path / "a.tdm").read_text()
    half = text[: text.index("DATA_STOP") + 10]
    with pytest.raises(FormatError, match="no VLBI_DELAY"):
        read_text(tmp_path, half)
    with pytest.raises(FormatError, match="other epochs"):
        read_text(
            tmp_path, text.replace("VLBI_DELAY = 2026-03-01T12:00", "VLBI_DELAY = 2026-03-01T12:09")
        )


def test_an_unstated_dor_is_taken_as_arrivals_aloud(tmp_path):
    write_tdm(tmp_path / "a.tdm", [SETS["DOR"]])
    text = (tmp_path / "a.tdm").read_text()
    bare = re.sub("COMMENT Values.*\n", "", text)
    with pytest.warns(FormatWarning, match="arrivals of one wavefront are taken"):
        read_text(tmp_path, bare)
    (tmp_path / "b.tdm").write_text(bare)
    assert len(read_tdm(tmp_path / "b.tdm", dor="wavefront").observables) == 1


def test_what_a_tdm_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="delay_rate"):
        write_tdm(tmp_path / "a.tdm", [rows(Kind.DELAY_RATE, BASELINE)])
    with pytest.raises(ConfigurationError, match="nothing"):
        write_tdm(tmp_path / "a.tdm", [])
    with pytest.raises(ConfigurationError, match="'halves'"):
        write_tdm(tmp_path / "a.tdm", [SETS["DOR"]], dor="halves")


def test_an_offset_belongs_to_received_frequencies_alone(tmp_path):
    sent = "TRANSMIT_FREQ_1 = 2026-060T11:00:00 7.1e9\nDATA_STOP"
    text = WHOLE.replace("META_STOP", "FREQ_OFFSET = 5.0\nMETA_STOP").replace("DATA_STOP", sent)
    data = read_text(tmp_path, text)
    assert data.observables[0].value[0] == 8.4e9 + 5.0
    assert data.ramps[0].frequency[0] == 7.1e9


@pytest.mark.parametrize("line", ["", "INTEGRATION_INTERVAL = 0\n"])
def test_doppler_without_a_count_is_flagged_aloud(line, tmp_path):
    text = WHOLE.replace("INTEGRATION_INTERVAL = 60\n", line)
    with pytest.warns(FormatWarning, match=r"x\.tdm:4: .*'no count': add INTEGRATION_INTERVAL"):
        (found,) = read_text(tmp_path, text).observables
    assert found.flag.tolist() == [NO_COUNT]
    degraded = text.replace("META_STOP", "DATA_QUALITY = DEGRADED\nMETA_STOP")
    with pytest.warns(FormatWarning, match="no count"):
        (found,) = read_text(tmp_path, degraded).observables
    assert found.flag.tolist() == ["quality degraded"]
    text = text.replace("RECEIVE_FREQ_1", "RANGE").replace(
        "META_STOP", "RANGE_UNITS = s\nMETA_STOP"
    )
    assert read_text(tmp_path, text).observables[0].flag.tolist() == [""]


def test_an_unknown_band_is_an_empty_one(tmp_path):
    sent = "TRANSMIT_FREQ_1 = 2026-060T11:00:00 7.1e9\nDATA_STOP"
    text = WHOLE.replace("_BAND = X", "_BAND = UNKNOWN").replace("DATA_STOP", sent)
    data = read_text(tmp_path, text)
    path = data.observables[0].path
    assert (path.uplink_band, path.downlink_band, data.ramps[0].band) == ("", "", "")
    write_tdm(tmp_path / "a.tdm", [SETS["DOR"]])
    text = (tmp_path / "a.tdm").read_text().replace("_BAND = X", "_BAND = UNKNOWN")
    assert read_text(tmp_path, text).observables[0].path.downlink_band == ""


def test_rows_without_a_value_are_left_out_and_counted(tmp_path):
    value = np.array([1.0, np.nan, np.inf])
    o = rows(Kind.RANGE, TWO_WAY, value=value, flag=np.array(["", "no lock", "no lock"]))
    write_tdm(tmp_path / "a.tdm", [o, SETS["delta-DOR"]])
    text = (tmp_path / "a.tdm").read_text()
    assert "COMMENT Left out without a value: 2 rows of range, DSS-55 > PROBE > DSS-55\n" in text
    found, _ = read_tdm(tmp_path / "a.tdm").observables
    assert (found.value.tolist(), found.flag.tolist()) == ([1.0], [""])
    with pytest.raises(ConfigurationError, match="nothing to write"):
        write_tdm(tmp_path / "b.tdm", [replace(o, value=np.full(3, np.nan))])
    half = rows(Kind.DELTA_DOR, SETS["delta-DOR"].path, value=value)
    write_tdm(tmp_path / "a.tdm", [half])
    assert read_tdm(tmp_path / "a.tdm").observables[0].value.tolist() == [1.0]


def test_an_empty_table_of_ramps_is_left_out(tmp_path):
    none = UplinkRamps("DSS-55", "X", START.shifted(np.zeros(0)), np.zeros(0), np.zeros(0))
    write_tdm(tmp_path / "a.tdm", [DOPPLER], [none, RAMPS])
    assert len(read_tdm(tmp_path / "a.tdm").ramps) == 1
    with pytest.raises(ConfigurationError, match="nothing to write"):
        write_tdm(tmp_path / "b.tdm", [], [none], comments=["long " * 100])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.tdm"
    write_tdm(path, [DOPPLER], comments=["é"], created=CREATED)
    before = path.read_bytes()
    assert b"COMMENT ?\n" in before

    def full(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_tdm(path, [SETS["range"]], created=CREATED)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_time_tags_end_in_z_in_any_time_system(tmp_path):
    text = WHOLE.replace("12:00:00 8.4e9", "12:00:00Z 8.4e9")
    assert read_text(tmp_path, text).observables[0].epoch[0].iso(0) == "2026-03-01T12:00:00"
    with pytest.warns(FormatWarning, match=r"x\.tdm:17: .*TIME_SYSTEM = TAI is taken, not UTC"):
        (found,) = read_text(tmp_path, text.replace("= UTC", "= TAI")).observables
    assert found.epoch[0].iso(0) == "2026-03-01T11:59:23"


def test_a_leap_second_is_one_in_utc_alone(tmp_path):
    text = WHOLE.replace("2026-060T12:00:00", "2016-366T23:59:60")
    assert read_text(tmp_path, text).observables[0].epoch[0].iso(0) == "2016-12-31T23:59:60"
    with pytest.raises(FormatError, match=r"x\.tdm:17: .*not a date"):
        read_text(tmp_path, text.replace("= UTC", "= GPS"))


@pytest.mark.parametrize("stated", ["1e-3x", "nan", "-1.0"])
def test_a_sigma_that_is_no_positive_number_is_not_taken(stated, tmp_path):
    write_tdm(tmp_path / "a.tdm", [DOPPLER])
    text = (tmp_path / "a.tdm").read_text()
    damaged = re.sub("(of every row: ).*", rf"\g<1>{stated}", text)
    with pytest.warns(FormatWarning, match="not a positive number"):
        (found,) = read_text(tmp_path, damaged).observables
    assert np.all(np.isnan(found.sigma))


def test_a_transponders_delay_survives_in_either_form(tmp_path):
    path = tmp_path / "a.tdm"
    turned = replace(TWO_WAY, transponder_delay=4.5e-6)
    write_tdm(path, [rows(Kind.RANGE, turned)], created=CREATED)
    (found,) = read_tdm(path).observables
    assert found.path == turned
    # the format has a part on each side of the turning
    text = path.read_text().replace("TRANSMIT_DELAY_2 = 4.5e-06", "RECEIVE_DELAY_2 = 4.5e-06")
    assert "RECEIVE_DELAY_2" in text
    path.write_text(text)
    assert read_tdm(path).observables[0].path == turned


def test_a_single_difference_states_no_delays_of_equipment(tmp_path):
    """It has two paths, and participants count from 1."""
    path = replace(BASELINE, transmit_delay=1e-6, receive_delay=2e-6, transponder_delay=3e-6)
    write_tdm(tmp_path / "a.tdm", [rows(Kind.DELAY, path)], created=CREATED)
    assert "_DELAY_" not in (tmp_path / "a.tdm").read_text()
