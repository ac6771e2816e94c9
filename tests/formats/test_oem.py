"""Orbit ephemeris messages: written, read again, damaged, and read by another program."""

import re

import numpy as np
import pytest

from kitestring.errors import (
    ConfigurationError,
    FormatError,
    FormatWarning,
    MissingDataError,
    SpanError,
)
from kitestring.formats.oem import read_oem, write_oem
from kitestring.model.constants import AU
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.tabulated import TabulatedTrajectory
from kitestring.model.time import DAY, Epoch

MILLIMETRE = 1e-3
MICROMETRE_PER_SECOND = 1e-6
START = Epoch.from_iso("2026-03-01T00:00:00", "tdb")
CREATED = Epoch.from_iso("2026-02-01T00:00:00")

SMALL = """\
CCSDS_OEM_VERS = 2.0
COMMENT made by hand
CREATION_DATE = 2026-02-01T00:00:00
ORIGINATOR = HAND
META_START
OBJECT_NAME = PROBE
OBJECT_ID = 2025-101A
CENTER_NAME = SUN
REF_FRAME = ICRF
TIME_SYSTEM = TDB
START_TIME = 2026-03-01T00:00:00
STOP_TIME = 2026-03-01T02:00:00
META_STOP

COMMENT three states
2026-03-01T00:00:00 1.0E8 2.0E8 3.0E7 -1.5 20.25 3.0
2026-03-01T01:00:00 1.0E8 2.0E8 3.0E7 -1.5 20.25 3.0
2026-03-01T02:00:00 1.0E8 2.0E8 3.0E7 -1.5 20.25 3.0 0.0 0.0 1e-6
"""
COVARIANCE = """
COVARIANCE_START
EPOCH = 2026-03-01T00:00:00
COV_REF_FRAME = ICRF
1
2 3
4 5 6
7 8 9 10
11 12 13 14 15
16 17 18 19 20 21
COVARIANCE_STOP
"""


@pytest.fixture(scope="module")
def mars():
    epoch = START.shifted(3600.0 * np.arange(49))
    states = Ephemeris.default().state("MARS BARYCENTER", "SUN", epoch)
    return TabulatedTrajectory("MARS", "SUN", epoch, states)


def covariances(epoch):
    root = np.random.default_rng(2).normal(size=(len(epoch), 6, 6)) * np.repeat([1e3, 1e-3], 3)
    return np.swapaxes(root, 1, 2) @ root


def read_text(tmp_path, text):
    path = tmp_path / "x.oem"
    path.write_text(text, encoding="utf-8")
    return read_oem(path)


def test_what_is_written_is_read_again(tmp_path, mars):
    path = tmp_path / "mars.oem"
    epochs = START.shifted(np.array([0.0, 1234.567891234, 0.7 * DAY, 2 * DAY]))
    wanted = covariances(epochs)
    write_oem(path, mars, epochs, covariance=covariances, object_id="2025-101A", created=CREATED)
    (found,) = read_oem(path)
    assert (found.name, found.object_id, found.center) == ("MARS", "2025-101A", "SUN")
    assert np.abs(found.epoch.since(epochs)).max() < 0.6e-9
    away = found.states - mars.state(found.epoch)
    assert np.abs(away[:, :3]).max() < MILLIMETRE
    assert np.abs(away[:, 3:]).max() < MICROMETRE_PER_SECOND
    np.testing.assert_allclose(found.covariances, wanted, rtol=1e-14)
    np.testing.assert_array_equal(found.covariance_epoch.since(found.epoch), 0.0)


def test_an_interpolated_ephemeris_is_good_to_a_millimetre(tmp_path, mars):
    path = tmp_path / "mars.oem"
    write_oem(path, mars, mars.epoch, created=CREATED)
    (found,) = read_oem(path)
    inside = START.shifted(np.linspace(0.0, 2 * DAY, 999))
    wanted = Ephemeris.default().state("MARS BARYCENTER", "SUN", inside)
    away = found.state(inside) - wanted
    assert np.abs(away[:, :3]).max() < MILLIMETRE
    assert np.abs(away[:, 3:]).max() < MICROMETRE_PER_SECOND


@pytest.mark.parametrize("distance", [1e6, AU, 13 * AU])
def test_digits_suffice_near_and_far(tmp_path, distance):
    rng = np.random.default_rng(3)
    epoch = START.shifted(np.arange(5.0))
    states = rng.uniform(-1, 1, size=(5, 6)) * np.repeat([distance, 6e4], 3)
    path = tmp_path / "x.oem"
    write_oem(path, TabulatedTrajectory("X", "SSB", epoch, states), epoch)
    (found,) = read_oem(path)
    assert np.abs(found.states - states)[:, :3].max() < MILLIMETRE
    assert np.abs(found.states - states)[:, 3:].max() < MICROMETRE_PER_SECOND
    assert found.center == "SOLAR SYSTEM BARYCENTER"


def test_the_same_orbit_gives_the_same_bytes_and_lines_that_the_notation_allows(tmp_path, mars):
    for name in "ab":
        write_oem(
            tmp_path / name,
            mars,
            mars.epoch[:5],
            covariance=covariances(mars.epoch[:5]),
            created=CREATED,
            comments=["Kitestring 0.1.0", "input  é\n" + "x" * 300],
        )
    text = (tmp_path / "a").read_text(encoding="ascii")
    assert text == (tmp_path / "b").read_text(encoding="ascii")
    assert "CREATION_DATE = 2026-02-01T00:00:00\n" in text
    assert "COMMENT input ? xxx" in text
    assert max(map(len, text.splitlines())) <= 254
    read_oem(tmp_path / "a")


def test_another_program_reads_the_same(tmp_path, mars):
    ndm = pytest.importorskip("ccsds_ndm.ndm_io")
    path = tmp_path / "mars.oem"
    epochs = mars.epoch[:4]
    write_oem(
        path, mars, epochs, covariance=covariances(epochs), created=CREATED, comments=["about it"]
    )
    (segment,) = ndm.NdmIo().from_path(path).body.segment
    assert segment.metadata.center_name == "SUN"
    assert segment.metadata.ref_frame == "ICRF"
    vectors = segment.data.state_vector
    assert [v.epoch for v in vectors] == epochs.iso_list(9)
    found = [[float(getattr(v, k).value) for k in ("x", "y", "z", "x_dot", "y_dot", "z_dot")]
             for v in vectors]  # fmt: skip
    np.testing.assert_allclose(np.array(found) * 1e3, mars.states[:4], rtol=1e-15)
    matrix = segment.data.covariance_matrix[1]
    assert float(matrix.cy_x.value) == pytest.approx(covariances(epochs)[1, 0, 1] * 1e-6, rel=1e-14)


def test_a_file_by_hand(tmp_path):
    (found,) = read_text(tmp_path, SMALL + COVARIANCE)
    assert found.states[2].tolist() == [1e11, 2e11, 3e10, -1500.0, 20250.0, 3000.0]
    assert found.origin.endswith("x.oem")
    assert found.degree == 7
    assert found.covariances.shape == (1, 6, 6)
    assert found.covariances[0, 1, 2] == found.covariances[0, 2, 1] == 5e6
    assert found.covariances[0, 5].tolist() == [16e6, 17e6, 18e6, 19e6, 20e6, 21e6]


def test_segments_follow_each_other(tmp_path):
    second = SMALL[SMALL.index("META_START") :].replace("PROBE", "OTHER")
    found = read_text(tmp_path, SMALL + COVARIANCE + second)
    assert [s.name for s in found] == ["PROBE", "OTHER"]
    assert [s.covariances is None for s in found] == [False, True]


@pytest.mark.parametrize("system", ["UTC", "TAI", "GPS", "TT"])
def test_other_time_systems_become_tdb(tmp_path, system):
    (found,) = read_text(tmp_path, SMALL.replace("= TDB", f"= {system}"))
    late = {"UTC": 69.184, "TAI": 32.184, "GPS": 51.184, "TT": 0.0}[system]
    assert found.epoch.since(START)[0] == pytest.approx(late, abs=0.002)


def test_the_usable_span_is_kept(tmp_path):
    usable = "USEABLE_START_TIME = 2026-03-01T00:30:00\nMETA_STOP"
    (found,) = read_text(tmp_path, SMALL.replace("META_STOP", usable))
    assert [end.iso(0)[11:] for end in found.span] == ["00:30:00", "02:00:00"]
    with pytest.raises(SpanError, match=r"x\.oem"):
        found.state(START)


@pytest.mark.parametrize(("stated", "taken"), [("5", 5), ("4", 5), ("1", 3), ("40", 15)])
def test_the_degree_follows_the_file(tmp_path, stated, taken):
    text = SMALL.replace("META_STOP", f"INTERPOLATION_DEGREE = {stated}\nMETA_STOP")
    assert read_text(tmp_path, text)[0].degree == taken


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("CCSDS_OEM_VERS = 2.0", "CCSDS_OPM_VERS = 2.0", 1, "does not begin an OEM"),
        ("CCSDS_OEM_VERS = 2.0", "CCSDS_OEM_VERS = 9.0", 1, "version 1 to 3"),
        ("ORIGINATOR = HAND", "ORIGINATOR HAND", 4, "is not 'KEYWORD = value'"),
        ("REF_FRAME = ICRF\n", "REF_FRAME = EME2000\n", 9, "If its writer means the ICRF"),
        ("REF_FRAME = ICRF\n", "REF_FRAME = ITRF-97\n", 9, "REF_FRAME ITRF-97 is not supported"),
        ("= TDB", "= TCB", 10, "TIME_SYSTEM TCB is not supported"),
        ("= SUN", "= APOPHIS", 8, "CENTER_NAME APOPHIS is not supported"),
        ("OBJECT_ID = 2025-101A\n", "", 12, "lack OBJECT_ID"),
        ("01T01:00:00 1.0E8", "01T01:00:00", 17, "6 numbers"),
        ("01T01:00:00 1.0E8", "01T01:00:00 1.0F8", 17, "could not convert"),
        ("01T01:00:00 1.0E8", "01T01:00:00 nan", 17, "not finite"),
        ("01T01:00:00 1.0E8", "01T25:00:00 1.0E8", 17, "not a date and time"),
        ("01T01:00:00 1.0E8", "01T03:00:00 1.0E8", 18, "does not come after"),
        ("= 2026-03-01T02", "= 2026-03-01T03", 12, "do not reach STOP_TIME"),
        ("= 2026-03-01T00", "= 2026-02-01T00", 11, "do not reach START_TIME"),
        ("01T01:00:00 1.0E8", "01T00:00:00 1.0E8", 17, "does not come after"),
        ("META_STOP", "INTERPOLATION_DEGREE = many\nMETA_STOP", 13, "is not a degree"),
        ("COV_REF_FRAME = ICRF", "COV_REF_FRAME = RTN", 22, "covariance in RTN"),
        ("4 5 6\n", "4 5\n", 25, "row 3 of a covariance has 2 numbers"),
        ("COVARIANCE_STOP\n", "", 28, "file ends where EPOCH or COVARIANCE_STOP"),
        ("EPOCH = 2026", "EPOC = 2026", 21, "EPOC stands where EPOCH should"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path, old, new, line, told):
    text = SMALL + COVARIANCE
    assert old in text
    with pytest.raises(FormatError, match=re.escape(told)) as caught:
        read_text(tmp_path, text.replace(old, new, 1))
    assert caught.value.place.endswith(f"x.oem:{line}")
    assert caught.value.next_step


def test_a_file_that_ends_early_is_told(tmp_path):
    """Cut before its last state or in its covariances, a file is refused."""
    text = SMALL + COVARIANCE
    last, end = SMALL.index("0.0 0.0 1e-6"), text.index("COVARIANCE_START") + 16
    for cut in (*range(0, last - 5, 7), *range(end, len(text) - 1, 7)):
        with pytest.raises(FormatError, match=r"x\.oem:"):
            read_text(tmp_path, text[:cut])


def test_no_file_and_no_text(tmp_path):
    for name in ("absent.oem", "."):
        with pytest.raises(MissingDataError, match="cannot be read"):
            read_oem(tmp_path / name)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(FormatError, match="not text"):
        read_oem(tmp_path / "binary")


def test_what_cannot_be_written_is_refused(tmp_path, mars):
    path = tmp_path / "x.oem"
    for epochs, told in ((mars.epoch[:1], "no ephemeris"), (mars.epoch[::-1], "do not ascend")):
        with pytest.raises(ConfigurationError, match=told):
            write_oem(path, mars, epochs)
    with pytest.raises(ConfigurationError, match="do not belong to 2 epochs"):
        write_oem(path, mars, mars.epoch[:2], covariance=np.eye(6))
    with pytest.raises(ConfigurationError, match="one line of plain ASCII"):
        write_oem(path, mars, mars.epoch, object_name="Ma\nrs")
    odd = TabulatedTrajectory("X", "NOWHERE", mars.epoch, mars.states)
    with pytest.raises(ConfigurationError, match="no body"):
        write_oem(path, odd, mars.epoch)
    assert not path.exists()


def test_epochs_end_in_z_in_any_time_system(tmp_path):
    (plain,) = read_text(tmp_path, SMALL)
    text = re.sub("(2026-03-01T[0-9:]+)", r"\1Z", SMALL)
    with pytest.warns(FormatWarning, match=r"x\.oem:\d+: epochs end in Z"):
        (found,) = read_text(tmp_path, text)
    np.testing.assert_array_equal(found.epoch.since(plain.epoch), 0.0)
    read_text(tmp_path, text.replace("TIME_SYSTEM = TDB", "TIME_SYSTEM = UTC"))  # no warning


def test_utc_before_leap_seconds_is_told_with_its_line(tmp_path):
    text = SMALL.replace("TIME_SYSTEM = TDB", "TIME_SYSTEM = UTC").replace("2026-03", "1960-03")
    with pytest.raises(FormatError, match=r"x\.oem:16: UTC before 1972"):
        read_text(tmp_path, text)
