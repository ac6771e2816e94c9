"""The small demonstration, run once, and everything that a session directory must bear."""

import json
import shutil
import time
from html.parser import HTMLParser
from pathlib import Path

import astropy_iers_data
import numpy as np
import pytest

from kitestring.correlate.store import read_visibilities
from kitestring.errors import (
    ConfigurationError,
    MissingDataError,
    RecordingError,
    RecordingWarning,
    SpanError,
    UnknownNameError,
)
from kitestring.formats.oem import read_oem
from kitestring.formats.tdm import read_tdm
from kitestring.model.observable import Kind
from kitestring.session.demo import compare_with_truth, run_demo
from kitestring.session.demo_scenario import SMALL
from kitestring.session.file import read_session
from kitestring.session.predictions import predict_for
from kitestring.session.provenance import made_by
from kitestring.session.run import Context, run_session, session_status
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import load_delta_dor


@pytest.fixture(scope="module")
def session(demo):
    return demo.directory


@pytest.fixture(scope="module")
def result(session):
    return compare_with_truth(session, 1, SMALL, time.perf_counter())


@pytest.fixture
def copy(demo, tmp_path):
    """The session before it was run."""
    folder = demo.copy(tmp_path / "session")
    shutil.rmtree(folder / "products")
    for name in ("ledger.jsonl", "report.html"):
        (folder / name).unlink()
    return folder


def change(folder, old, new):
    file = folder / "session.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_errors_agree_with_their_sigmas(result):
    assert [str(c) for c in result.checks if not c.passed] == []
    assert len(result.rows) == 9
    # the data say where the probe is on the sky, and nothing of its distance
    assert [s.observed for s in result.seen] == [True, True, False, False, False, False]
    assert np.all(np.abs(result.sky_error[:2]) < 0.05 * np.abs(result.apriori_error[:2]).max())


def test_the_report_needs_nothing_else(result):
    found = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.extend(v for k, v in attrs if k in ("src", "href") and v)

    text = result.report.read_text()
    Links().feed(text)
    assert found
    assert all(link.startswith(("#", "data:")) for link in found)
    for title in ("Orbit and residuals", "Delta-DOR", "Fringes", "Spacecraft tones", "Recordings"):
        assert f"<h2>{title}</h2>" in text
    assert "not observed" in text


def test_products_are_read_back(session):
    data = read_tdm(session / "products" / "delta_dor.tdm")
    assert {o.kind for o in data.observables} == {Kind.DELTA_DOR}
    assert sum(len(o) for o in data.observables) == 9
    solution = json.loads((session / "products" / "solution.json").read_text())
    assert [p["name"] for p in solution["parameters"]] == ["x", "y", "z", "vx", "vy", "vz"]
    (orbit,) = read_oem(session / "products" / "orbit.oem")
    both = [
        predict_for(str(name), ["T6"], "2026-01-01T16:30:00", 60.0, 2)
        for name in (session, *(session / "products" / f"orbit.{kind}" for kind in ("oem", "bsp")))
    ]
    assert orbit.name == both[0].target
    own, oem, spk = (one.stations[0].range for one in both)
    # an OEM interpolates between its points: centimetres; an SPK is written to a millimetre
    assert np.abs(own - oem).max() < 0.1
    assert np.abs(own - spk).max() < 1e-3


def test_predictions_use_the_earth_orientation_of_the_session(demo, tmp_path):
    mine = demo.copy(tmp_path / "mine")
    lines = Path(astropy_iers_data.IERS_A_FILE).read_text().splitlines()
    (mine / "old.txt").write_text("\n".join(lines[16000:16100]) + "\n")
    with (mine / "session.toml").open("a") as file:
        file.write('\n[earth]\norientation = "old.txt"\n')
    with pytest.raises(SpanError, match=r"old\.txt: Earth orientation covers 2016-10-2"):
        predict_for(str(mine), ["T6"], "2026-01-01T16:30:00", 60.0, 2)
    # what was measured stays, what it is compared with is to be made anew
    states = {row.name: row.state for row in session_status(mine)}
    assert states["delta_dor"] == states["orbit"] == "to do"
    assert states["describe"] == states["correlate"] == states["tones"] == "done"


def test_products_remember_how_they_were_made(session):
    told = made_by(Setting(Context(session, read_session(session))))
    solution = json.loads((session / "products" / "solution.json").read_text())
    assert solution["made_by"] == told
    assert sum(name.startswith("recording recordings/No") for name in told) == 21
    oem = (session / "products" / "orbit.oem").read_text()
    report = (session / "report.html").read_text().partition("How this was made")[2]
    for what in ("Kitestring", "session file", "Earth orientation", "stations"):
        assert f"COMMENT {what}: {told[what]}" in oem
        assert f'<th scope="row">{what}</th><td>{told[what]}</td>' in report


def test_a_session_that_is_done_does_nothing_again(session):
    ledger = (session / "ledger.jsonl").read_bytes()
    rows = run_session(session)
    assert {row.state for row in rows} == {"done"}
    assert (session / "ledger.jsonl").read_bytes() == ledger


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(session, copy):
    class Stop(KeyboardInterrupt):
        pass

    def stop_in_third_scan(what, fraction):
        if what.startswith("correlate No0005"):
            raise Stop

    with pytest.raises(Stop):
        run_session(copy, only=["correlate"], progress=stop_in_third_scan)
    state = {row.name: row.state for row in session_status(copy)}
    assert state["correlate"] == "interrupted"
    first = copy / "products" / "visibilities" / "No0001.zarr"
    made = first.stat().st_mtime_ns
    run_session(copy, only=["correlate"])
    assert first.stat().st_mtime_ns == made  # not correlated again
    for scan in ("No0001", "No0005", "No0007"):
        one, other = (
            read_visibilities(folder / "products" / "visibilities" / f"{scan}.zarr")
            for folder in (session, copy)
        )
        for a, b in zip(one.channels, other.channels, strict=True):
            assert np.array_equal(a.data, b.data)


def test_again_means_again(copy):
    run_session(copy, only=["correlate"])
    store = copy / "products" / "visibilities" / "No0001.zarr"
    made = store.stat().st_mtime_ns
    rows = run_session(copy, only=["correlate"], again=True)
    assert store.stat().st_mtime_ns > made
    told = {r.name: r.summary for r in rows}["correlate"]
    assert not [key for key in told if key.startswith("lost in")]


def test_a_lost_recording_is_named(copy):
    (copy / "recordings" / "No0003_URUMQI.vdif").unlink()
    with pytest.raises(MissingDataError, match=r"No0003_URUMQI\.vdif.*session\.toml"):
        run_session(copy)


def test_a_cut_recording_loses_its_rest_and_shifts_nothing(session, copy):
    path = copy / "recordings" / "No0001_URUMQI.vdif"
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: len(whole) * 6 // 10 + 1234])
    with pytest.warns(RecordingWarning) as told:
        rows = run_session(copy, only=["describe", "correlate"])
    texts = [str(w.message) for w in told]
    assert any("No0001_URUMQI.vdif: the last frame is cut" in t for t in texts)
    assert any("to 2026-01-01T16:30:00.600 UTC, 60% of scan No0001" in t for t in texts)
    assert {r.name: r.state for r in rows}["correlate"] == "done"
    cut, full = (
        read_visibilities(folder / "products" / "visibilities" / "No0001.zarr")
        for folder in (copy, session)
    )
    row = full.baselines.index(("TIANMA65", "URUMQI"))
    channel, other = cut.channels[0], full.channels[0]
    assert np.array_equal(channel.data[0, row], other.data[0, row])
    # 0.6 of a second: a fifth of the second half, and the 14 ms by which Urumqi is early
    assert 0.19 < channel.weight[1, row, 0] < 0.25
    kept = full.baselines.index(("TIANMA65", "MIYUN50"))
    assert np.array_equal(channel.data[:, kept], other.data[:, kept])


def test_a_recording_of_another_time_is_refused(session, copy):
    path = copy / "recordings" / "No0001_URUMQI.vdif"
    path.unlink()
    path.symlink_to(session / "recordings" / "No0003_URUMQI.vdif")
    with pytest.raises(RecordingError, match=r"16:40:00.*holds nothing of scan No0001, .*16:30:00"):
        run_session(copy)


def test_a_station_may_miss_a_scan(copy):
    """Each scan is worth what its own stations recorded."""
    for scan in ("No0004", "No0005"):
        change(
            copy,
            f'[[recording]]\nstation = "MIYUN50"\nscan = "{scan}"\n'
            f'files = ["recordings/{scan}_MIYUN50.vdif"]\n',
            "",
        )
    run_session(copy)
    delta = load_delta_dor(Context(copy, read_session(copy)))
    assert [delta.scans.count(scan) for scan in ("No0002", "No0004", "No0006")] == [3, 1, 3]
    assert delta.chi_square < 3.0 * delta.degrees_of_freedom


def test_swapped_recordings_are_told(copy):
    one, other = (copy / "recordings" / f"No0001_{s}.vdif" for s in ("URUMQI", "MIYUN50"))
    mine, theirs = one.readlink(), other.readlink()
    one.unlink(), other.unlink()
    one.symlink_to(theirs), other.symlink_to(mine)
    with pytest.warns(RecordingWarning) as told:
        run_session(copy, only=["describe"])
    texts = [str(w.message) for w in told]
    assert len(texts) == 2
    assert any(r"header says My (MIYUN50), the session says URUMQI" in t for t in texts)


def test_a_name_in_any_script_is_a_name(copy):
    text = (copy / "session.toml").read_text(encoding="utf-8").replace('"PROBE"', '"天问"')
    (copy / "session.toml").write_text(text, encoding="utf-8")
    run_session(copy)
    (orbit,) = read_oem(copy / "products" / "orbit.oem")
    assert orbit.name == "??"
    assert "天问" in (copy / "report.html").read_text(encoding="utf-8")


def test_the_file_may_be_named_for_its_directory(session):
    assert session_status(session / "session.toml") == session_status(session)


def test_garbage_is_no_recording(copy):
    path = copy / "recordings" / "No0001_URUMQI.vdif"
    path.unlink()
    path.write_bytes(b"\xff" * 40000)
    with pytest.raises(RecordingError, match=r"No0001_URUMQI\.vdif"):
        run_session(copy)


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('"0748+126"', '"0748+127"', UnknownNameError, r"0748\+127.*Near it.*0748\+126"),
        ('station = "URUMQI"', 'station = "URUMKI"', UnknownNameError, "URUMKI.*URUMQI"),
        ("bins = 256", "bin = 256", ConfigurationError, "correlate.bin.*did you mean 'bins'"),
        ("2026-01-01T16:30:00", "2026-13-01T16:30:00", ConfigurationError, "not a date"),
    ],
)
def test_a_session_file_that_cannot_be_is_told(copy, old, new, error, message):
    change(copy, old, new)
    with pytest.raises(error, match=message):
        run_session(copy, only=["correlate"])


def test_an_unknown_centre_is_told(copy):
    change(copy, 'center = "SUN"', 'center = "SOL"')
    with pytest.raises(UnknownNameError, match="SOL"):
        run_session(copy, only=["tones"])


def test_a_stage_that_does_not_exist_is_told(copy):
    with pytest.raises(ConfigurationError, match=r"no stage 'fringes'.*fringe"):
        run_session(copy, only=["fringes"])


def test_a_changed_key_runs_what_depends_on_it(demo, tmp_path):
    copy = demo.copy(tmp_path / "session")
    assert {row.state for row in session_status(copy)} == {"done"}
    change(copy, "dump = 0.025", "dump = 0.05")
    after = {row.name: row.state for row in session_status(copy)}
    assert after["correlate"] == after["fringe"] == "done"
    assert after["tones"] == after["delta_dor"] == after["orbit"] == after["report"] == "to do"


def test_only_an_earlier_demonstration_is_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ConfigurationError, match="Name another directory"):
        run_demo(tmp_path, 1, SMALL)
    assert (tmp_path / "mine.txt").read_text() == "precious"
