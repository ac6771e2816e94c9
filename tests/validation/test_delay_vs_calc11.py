"""The comparison with Calc leaves out what cannot be compared, and says so."""

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import MissingDataError
from kitestring.formats.vgosdb import read_vgosdb

FOLDER = Path(__file__).parents[2] / "validation"


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("delay_vs_calc11")


@pytest.fixture(scope="module")
def session(data_dir):
    return read_vgosdb(data_dir / "ivs-r41102")


def test_mounts_and_delays_that_are_not_there(program, session, capsys):
    mount = list(session.mount)
    mount[session.stations.index("KOKEE")] = "type 5"
    delay = session.delay.copy()
    delay[:3] = np.nan
    changed = replace(session, mount=tuple(mount), delay=delay)
    rows = program.comparable(changed)
    kokee = (session.station1_name == "KOKEE") | (session.station2_name == "KOKEE")
    expected = ~kokee
    expected[:3] = False
    np.testing.assert_array_equal(rows, expected)
    told = capsys.readouterr().out
    assert "3 observations without" in told
    assert "KOKEE, whose mount (type 5)" in told
    ours, angle = program.delays(changed, program.model(changed), rows)
    assert np.isnan(ours[~rows]).all()
    assert np.isfinite(ours[rows]).all()
    left = (changed.delay - ours)[rows] / program.PICOSECOND
    assert program.rms(left) < program.RMS_LIMIT
    lines = program.delay_lines(changed, (changed.delay - ours) / program.PICOSECOND, angle, rows)
    assert all(line.strain < 1.0 for line in lines)


def test_stations_without_ocean_loading(program, session, capsys):
    class Table:
        def of(self, station):
            if station.name in ("HART15M", "WARK12M"):
                raise MissingDataError(f"there is no ocean loading for {station.name}.")

    known = program.with_loading(session, Table())
    told = capsys.readouterr().out
    assert "ocean loading for HART15M" in told
    names = np.stack([session.station1_name, session.station2_name], axis=-1)
    assert not np.isin(names[known], ["HART15M", "WARK12M"]).any()
    assert np.isin(names[~known], ["HART15M", "WARK12M"]).any(axis=-1).all()


def test_corrections_that_the_session_has_not(program, session, capsys):
    rows = np.zeros(len(session), dtype=bool)
    rows[:40] = True
    kept = tuple(f for f in session.files if "HiFreqERP" in f)
    lines = program.effect_lines(replace(session, files=kept), None, rows)
    assert [line.name for line in lines] == ["rms of Cal-HiFreqERP less ours"]
    told = capsys.readouterr().out
    for stem in ("Cal-OceanLoad", "Cal-OceanPoleTideLoad", "Cal-HiFreqLibration"):
        assert stem in told


def test_one_scan_has_an_orientation(program, session):
    one = replace(
        session,
        scan_epoch=session.scan_epoch[:1],
        polar_motion=session.polar_motion[:1],
        ut1_minus_tai=session.ut1_minus_tai[:1],
    )
    eop = program.ScanOrientation(one).at(one.scan_epoch)
    assert eop.xp[0] == session.polar_motion[0, 0]
    assert eop.ut1_minus_tai[0] == session.ut1_minus_tai[0]
