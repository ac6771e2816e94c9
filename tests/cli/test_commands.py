"""Commands: data on stdout, errors on stderr with exit code 2."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from kitestring.cli.app import app
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif_writer import VdifWriter

UP = ["predict", "3C84", "-s", "Ur", "--start", "2026-01-01"]


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "a [b].vdif"  # brackets are no markup
    channels = [Channel("CH00", 8.4e9, 1, 8e6)]
    start = Epoch.from_iso("2026-01-01T00:00:00")
    with VdifWriter(path, station="Tm", start=start, channels=channels, bits=2) as writer:
        codes = np.random.default_rng(1).integers(0, 4, (1, 40 * writer.frame_samples))
        writer.write_codes(codes.astype(np.uint8))
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_describe_tells_the_same_in_words_and_json(recording, tmp_path):
    told = run("describe", recording, "--rate", "8e6")
    assert told.exit_code == 0
    assert "2026-01-01T00:00:00.000000000 UTC" in told.stdout
    assert "of 40 frames: none missing" in told.stdout
    plain = json.loads(run("describe", recording, "--read", "--rate", "8e6", "--json").stdout)
    assert plain["survey"]["channel_count"] == 1
    assert sum(plain["statistics"]["level_fractions"][0]) == pytest.approx(1.0)
    shares = plain["statistics"]["level_fractions"][0]
    codes = " ".join(f"{100 * share:.1f}" for share in shares)
    read = run("describe", recording, "--read", "--rate", "8e6").stdout
    assert f"levels   channel 0: 100.0 % valid, mean {plain['statistics']['mean'][0]:.4g}" in read
    assert f"codes 0 to 3: {codes} %\n" in read
    assert "levels" not in told.stdout
    picture = tmp_path / "levels.png"
    assert run("describe", recording, "--rate", "8e6", "--plot", picture).exit_code == 0
    assert picture.stat().st_size > 10_000


def test_predict_in_three_forms():
    common = ["predict", "3C84", "-s", "Ur", "-s", "T6", "--start", "2026-01-01T16:00:00", "-n", 3]
    words = run(*common)
    assert words.exit_code == 0
    assert "URUMQI-TIANMA65" in words.stdout
    columns = json.loads(run(*common, "--json").stdout)["columns"]
    lines = run(*common, "--csv").stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].split(",") == list(columns)
    delays = columns["URUMQI-TIANMA65 delay (s)"]
    assert delays[1] - delays[0] == pytest.approx(
        600.0 * 0.5 * sum(columns["URUMQI-TIANMA65 rate (s/s)"][:2]), rel=1e-3
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "missing.vdif"], "missing.vdif"),
        (["run", "."], "no session file"),
        (["status", "nowhere"], "no session file"),
        (["predict", "3C84", "-s", "Atlantis", "--start", "2026-01-01"], "Atlantis"),
        (["predict", "3C84", "-s", "Ur", "--start", "yesterday"], "not a date"),
        (["predict", "Planet X", "-s", "Ur", "--start", "2026-01-01"], "no source, body, file"),
        (["predict", "3C84", "-s", "Ur", "--start", "2199-01-01"], "covers"),
        (["stations", "Urumki"], "URUMQI"),
        (["stations", "--within", "10"], "not from where"),
        (["sources", "1741-083"], "1741-038"),
        (["sources", "--near", "5,100"], "right ascension"),
        (["sources", "--near", "MARS"], "--at"),
        (["sources", "--near", "3C84", "--at", "noon"], "not a date"),
        (["sources", "--at", "2026-01-01"], "--near"),
        ([*UP, "--csv", "--json"], "both"),
        ([*UP, "--stop", "2025-12-31"], "before"),
        ([*UP, "--stop", "2026-01-02", "-n", "3"], "not both"),
        ([*UP, "--stop", "2027-01-01", "--step", "1"], "at once"),
        ([*UP, "--plot", "a.xyz"], ".png"),
        (["session", "new", "x", "--correlx", "nowhere"], "nowhere"),
    ],
)
def test_errors_end_with_exit_code_2(arguments, message, tmp_path):
    command = [sys.executable, "-m", "kitestring", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_recording_is_described(recording):
    recording.write_bytes(recording.read_bytes()[:100_000])
    told = run("describe", recording, "--rate", "8e6")
    assert told.exit_code == 0
    assert "the last frame is cut" in told.stdout


def test_stations_are_listed_searched_and_shown():
    listed = json.loads(run("stations", "--json").stdout)
    assert "TIANMA65" in [s["name"] for s in listed]
    near = json.loads(run("stations", "--near", "Sh", "--within", 10, "--json").stdout)
    assert [s["name"] for s in near] == ["SESHAN25", "TIANMA65"]
    assert near[1]["distance_km"] == pytest.approx(6.12, abs=0.02)
    table = run("stations", "dss-1").stdout
    assert table.startswith("stations: 3")
    assert "DSS-14" in table
    shown = run("stations", "shigatse").stdout
    for name in ("position", "velocity", "epoch", "frame", "mount", "axis offset", "limits"):
        assert f"\n{name}" in shown
    assert "approximate  yes" in shown
    assert "slew         unknown" in shown
    shown = run("stations", "Ht").stdout
    assert "slew         azimuth 2 deg/s, elevation 1 deg/s" in shown
    assert "fixed axis 3.36 m, vertex 0.155 m, primary focus 7.5 m" in shown
    assert "origin" in shown


def test_sources_are_listed_searched_and_shown():
    common = ["sources", "--near", "1741-038", "--within", 5, "--flux", 0.2]
    near = json.loads(run(*common, "--json").stdout)
    assert near[0]["name"] == "1741-038"
    assert all(s["angle_deg"] <= 5.0 and s["flux_unresolved_jy"] >= 0.2 for s in near)
    table = run(*common).stdout
    assert table.startswith(f"sources: {len(near)}")
    assert "17:43:58.85614" in table
    shown = run("sources", "3C84").stdout
    assert "03:19:48.16011196, +41:30:42.1036355" in shown
    for name in ("sigma", "defining", "flux", "aliases", "origin"):
        assert f"\n{name}" in shown
    assert run("sources", "3C84", "--near", "OJ287", "--within", 1).stdout.startswith("sources: 0")


def test_predictions_end_with_a_stop_and_are_drawn(tmp_path):
    picture = tmp_path / "up.svg"
    common = ["predict", "3C84", "-s", "Ur", "--start", "2026-01-01T16:00:00", "--step", 0.1]
    done = run(*common, "--stop", "2026-01-01T16:00:00.7", "--json", "--plot", picture)
    assert done.exit_code == 0
    epochs = json.loads(done.stdout)["columns"]["epoch (UTC)"]
    assert len(epochs) == 8
    assert epochs[-1] == "2026-01-01T16:00:00.700Z"
    assert b"<svg" in picture.read_bytes()
    assert len(json.loads(run(*common, "--json").stdout)["columns"]["epoch (UTC)"]) == 7
