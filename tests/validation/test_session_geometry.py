"""The program that compares geometry and partials with a session's, on one of its baselines."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import FormatError
from kitestring.formats.vgosdb import VgosSession, read_vgosdb

FOLDER = Path(__file__).parents[2] / "validation"


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("session_geometry")


@pytest.fixture(scope="module")
def session(data_dir: Path) -> VgosSession:
    folder = data_dir / "ivs-r41102"
    if not folder.is_dir():
        pytest.skip("ivs-r41102 is not there")
    return read_vgosdb(folder)


@pytest.fixture
def rows(session: VgosSession) -> np.ndarray:
    """Of one baseline, as an intensive would have them."""
    pairs = {"WETTZELL", "KOKEE"}
    ends = zip(session.station1_name, session.station2_name, strict=True)
    return np.array([set(pair) == pairs for pair in ends])


def test_a_baseline_is_within_every_limit(program, session, rows) -> None:
    both = program.compared(session, rows)
    assert set(both) == {*program.LARGEST, *program.RELATIVE, *program.OF_RMS}
    for ours, theirs in both.values():
        assert ours.shape == theirs.shape
        assert len(ours) in (rows.sum(), 2 * rows.sum(), 3 * rows.sum())
    lines = program.lines_of(both)
    assert [line.name for line in lines if not line.strain < 1.0] == []
    # equal to the last bit would be compared with itself; the azimuth's other side is zero
    assert all(line.value > 0.0 for line in lines if not line.name.startswith("Cal-AxisOffset"))


def test_another_source_position_breaks_limits(program, session, rows) -> None:
    moved = replace(session, source_position=session.source_position + 5e-5)  # 10 arc seconds
    broken = {
        line.name.partition(",")[0]
        for line in program.lines_of(program.compared(moved, rows))
        if line.strain > 1.0
    }
    assert {"elevation", "azimuth times cosine of elevation", "Part-RaDec"} <= broken


def test_another_axis_or_height_breaks_limits(program, session, rows) -> None:
    places = session.station_position * (1.0 + 500.0 / 6.4e6)  # 500 m higher
    moved = replace(session, station_position=places, axis_offset=session.axis_offset + 0.1)
    broken = {
        line.name.partition(",")[0]
        for line in program.lines_of(program.compared(moved, rows))
        if line.strain > 1.0
    }
    assert {"Cal-AxisOffset", "Cal-SlantPathTropDry", "Cal-SlantPathTropWet"} <= broken
    assert {"Part-UT1", "Part-Wobble", "Part-Parallax"} <= broken


def test_what_a_session_lacks_is_said(program, session, rows, capsys) -> None:
    gone = ("Part-Gamma", "Cal-AxisOffset", "Cal-Bend", "AzEl")
    files = tuple(f for f in session.files if Path(f).stem not in gone)
    both = program.compared(replace(session, files=files), rows)
    told = capsys.readouterr().out
    for name in ("Part-Gamma", "Cal-AxisOffset", "Cal-Bend", "azimuth", "elevation"):
        assert f"# {name} is not in this session: not compared" in told
        assert name not in both
    assert "Part-Bend" in both


def test_nothing_to_compare_with_does_not_pass(program, session, monkeypatch) -> None:
    monkeypatch.setattr(program, "read_vgosdb", lambda folder: session)
    monkeypatch.setattr(program, "compared", lambda session, rows: {})
    with pytest.raises(FormatError, match="none of the tables"):
        program.main(["folder"])


@pytest.mark.parametrize("name", ["elevation", "Part-HorizonGrad", "Part-RaDec"])
@pytest.mark.parametrize("size", [0.0, 1e-2, np.nan])
def test_a_difference_is_held_to_its_limit(program, name, size) -> None:
    theirs = np.array([[1.0, 2.0], [-1.0, 0.5]])
    ours = theirs.copy()
    ours[1, 0] += size
    (line,) = program.lines_of({name: (ours, theirs)})
    assert (line.strain > 1.0) == (size != 0.0)
