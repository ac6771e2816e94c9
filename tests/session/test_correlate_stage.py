"""The stage "correlate": what it keeps, what it tells, what it goes by."""

import json
import os
import re
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from kitestring.cli.app import app
from kitestring.correlate import store
from kitestring.correlate.store import read_visibilities
from kitestring.errors import (
    ConfigurationError,
    MissingDataError,
    RecordingError,
    RecordingWarning,
    SpanError,
)
from kitestring.session import correlate_stage
from kitestring.session.file import read_session
from kitestring.session.ledger import Ledger
from kitestring.session.run import Context, run_session, session_status
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import load_fringes
from kitestring.session.simulation import simulate_session

OFF = 3  # s that URUMQI's clock is fast
LATE = 40.0  # s that TIANMA65 misses of the first scan
SCENARIO = f"""
name = "losses"

[correlate]
bins = 32
integration = 1.0

[setup]
default = [
  {{ name = "CH0", sky_frequency = 8400e6, sample_rate = 128e3 }},
  {{ name = "CH1", sky_frequency = 8410e6, sample_rate = 128e3 }},
]
other = [
  {{ name = "CH0", sky_frequency = 8400e6, sample_rate = 128e3 }},
  {{ name = "CH1", sky_frequency = 8430e6, sample_rate = 128e3 }},
]

[[scan]]
name = "No0001"
source = "0748+126"
start = "2026-01-01T16:30:00"
duration = 60.0

[[scan]]
name = "No0002"
source = "0748+126"
start = "2026-01-01T16:35:00"
duration = 4.0

[truth]
seed = 3

[[truth.source]]
name = "0748+126"
flux = 2.5

[[truth.station]]
name = "TIANMA65"
sefd = 10.0

[[truth.station]]
name = "URUMQI"
sefd = 10.0

[[truth.station]]
name = "MIYUN50"
setup = "other"
sefd = 10.0

[[truth.fault]]
stations = ["TIANMA65"]
scans = ["No0001"]
outages = [[0.0, {LATE}]]

[[truth.fault]]
stations = ["MIYUN50"]
scans = ["No0002"]
missing = true
"""
CLOCK = f"""
[[clock]]
station = "URUMQI"
epoch = "2026-01-01T16:30:00"
offset = {OFF}.0
"""
LOST = {
    "lost in No0001": "TIANMA65: starts 40.0 s late, 67 % of samples; "
    "MIYUN50 CH1 (8430.000000 to 8430.064000 MHz): no counterpart",
    "lost in No0002": "MIYUN50: no recording",
}
STORE = "products/visibilities/No0001.zarr"


def set_clock(path, seconds):
    """Add whole seconds to the time in every frame of a VDIF file."""
    raw = np.fromfile(path, np.uint8)
    frames = raw.reshape(-1, 8 * int.from_bytes(raw[8:11].tobytes(), "little"))
    words = frames[:, :4].copy().view("<u4") + np.uint32(seconds)
    frames[:, :4] = words.view(np.uint8)
    raw.tofile(path)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A session of two scans at three stations, one with a wrong clock that it tells."""
    folder = tmp_path_factory.mktemp("losses")
    (folder / "scenario.toml").write_text(SCENARIO, encoding="utf-8")
    simulate_session(folder / "scenario.toml", folder / "session", threads=1)
    for path in (folder / "session" / "recordings").glob("*_URUMQI.vdif"):
        set_clock(path, OFF)
    with (folder / "session" / "session.toml").open("a", encoding="utf-8") as file:
        file.write(CLOCK)
    return folder / "session"


@pytest.fixture
def session(recorded, tmp_path):
    """The session with nothing done; its recordings are those of all tests."""
    text = (recorded / "session.toml").read_text(encoding="utf-8")
    text = text.replace('"recordings/', f'"{recorded.as_posix()}/recordings/')
    (tmp_path / "session.toml").write_text(text, encoding="utf-8")
    return tmp_path


def change(session, old, new):
    path = session / "session.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(session, *stages, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # channels without counterpart
        return run_session(session, only=stages or ["correlate"], threads=1, **keywords)


def told(session):
    return Ledger(session).last("correlate").summary


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def small_chunks(monkeypatch):
    """Cut a scan of 60 s into chunks and blocks of about ten integrations."""
    monkeypatch.setattr("kitestring.correlate.plan.CHUNK_SAMPLES", int(10 * 128e3 * 6))
    monkeypatch.setattr("kitestring.correlate.stored.BLOCK_SAMPLES", int(10 * 128e3 * 6))


def test_what_was_lost_is_told_and_the_rest_is_correlated(session):
    run(session, "correlate", "fringe")
    assert {k: v for k, v in told(session).items() if k.startswith("lost")} == LOST
    vis = read_visibilities(session / STORE)
    stations = {a: b for b, (a, c) in enumerate(vis.baselines) if a == c}
    weight = vis.channels[0].weight[:, :, 0]
    # the 21 ms that a wavefront takes from one end of the Earth to its centre, of 1 s
    assert weight[:39, stations["TIANMA65"]].max() == 0.0
    assert weight[41:59, stations["TIANMA65"]].min() == 1.0
    assert weight[1:59, stations["MIYUN50"]].min() == 1.0
    fringes = load_fringes(Context(session, read_session(session)))
    assert [f.scan for f in fringes] == ["No0001"] * 3 + ["No0002"]
    assert all(f.probability > 0.999 for f in fringes)
    for f in fringes:  # 60 ns is half a per cent of a sample
        assert abs(f.residual_delay) < 5 * f.delay_sigma + 60e-9


def test_a_clock_that_is_not_told_leaves_no_fringe(session):
    change(session, f"offset = {OFF}.0", "offset = 0.0")
    run(session, "correlate", "fringe")
    fringes = load_fringes(Context(session, read_session(session)))
    found = {f.baseline for f in fringes if f.probability > 0.999}
    assert found == {("TIANMA65", "MIYUN50")}
    assert "URUMQI: starts 3.0 s late" in told(session)["lost in No0001"]


def test_each_scan_is_drawn(session):
    run(session)
    for scan in ("No0001", "No0002"):
        picture = session / f"products/visibilities/{scan}.png"
        assert picture.read_bytes()[:4] == b"\x89PNG"
        assert picture.stat().st_size > 20_000
    picture.unlink()
    state = {row.name: row.state for row in session_status(session)}
    assert state["correlate"] == "to do"


def test_interrupted_within_a_scan_it_goes_on_there(session, monkeypatch):
    small_chunks(monkeypatch)
    run(session)
    whole = contents(session / "products")

    def stop(what, fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(session, again=True, progress=stop)
    assert {row.name: row.state for row in session_status(session)}["correlate"] == "interrupted"
    with pytest.raises(MissingDataError, match="of 60 integrations"):
        read_visibilities(session / STORE)
    heard = []
    run(session, progress=lambda *one: heard.append(one))
    assert heard[1][1] > 0.3  # the first word after "correlate": what was there
    assert contents(session / "products") == whole


def test_changed_recordings_are_correlated_anew(session, recorded, monkeypatch):
    small_chunks(monkeypatch)
    run(session)
    path = recorded / "recordings" / "No0001_MIYUN50.vdif"
    before = (session / STORE / "zarr.json").stat().st_mtime_ns
    run(session, again=False)
    assert (session / STORE / "zarr.json").stat().st_mtime_ns == before
    path.touch()
    run(session)
    assert (session / STORE / "zarr.json").stat().st_mtime_ns > before


def test_progress_tells_rate_and_time_left(session, monkeypatch):
    small_chunks(monkeypatch)
    heard = []
    run(session, progress=lambda *one: heard.append(one))
    fractions = [fraction for _, fraction in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    texts = [what for what, _ in heard if "s/s" in what]
    assert re.fullmatch(r"correlate No0001 [\d.e+]+ s/s, \d:\d\d:\d\d left", texts[0])
    assert texts[-1].startswith("correlate No0002")


def test_the_command_prints_its_stage(session):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        done = CliRunner().invoke(app, ["correlate", str(session), "--threads", "1", "--json"])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert (row["name"], row["state"]) == ("correlate", "done")
    assert row["summary"]["lost in No0002"] == LOST["lost in No0002"]
    assert "describe" not in {e.stage for e in Ledger(session).events()}


def test_stations_without_a_common_frequency_are_refused(session):
    path = session / "session.toml"
    text = path.read_text(encoding="utf-8").replace("8400000000.0", "8500000000.0", 1)
    own = "".join(
        f'\n[[setup.own]]\nname = "CH{k}"\nsky_frequency = {9 + k}e9\nsample_rate = 128e3\n'
        for k in range(2)
    )
    text = re.sub(r'(URUMQI.vdif"\]\nsetup = )"default"', r'\1"own"', text) + own
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"scan No0001: no channel .*URUMQI CH1.*setup"):
        run(session)
    assert Ledger(session).last("correlate").event == "failed"


def test_a_recording_that_is_cut_meanwhile_leaves_what_is_written(session, recorded, monkeypatch):
    small_chunks(monkeypatch)
    run(session)
    whole = contents(session / STORE)
    path = recorded / "recordings" / "No0001_MIYUN50.vdif"
    data, status = path.read_bytes(), path.stat()

    def cut(what, fraction):
        if 0.3 < fraction < 1.0 and path.stat().st_size == len(data):
            os.truncate(path, len(data) // 2)

    try:
        with pytest.raises(
            RecordingError, match=r"MIYUN50\.vdif: .*\d+ of 60 integrations are safe in .*No0001"
        ):
            run(session, again=True, progress=cut)
    finally:
        path.write_bytes(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    heard = []
    run(session, progress=lambda *one: heard.append(one))
    assert heard[1][1] > 0.2
    assert contents(session / STORE) == whole


def test_delays_that_do_not_reach_are_refused_before_anything_is_done(session, monkeypatch):
    made = Setting.delay_model
    short = read_session(session).scan[0].model_copy(update={"duration": 20.0})
    monkeypatch.setattr(Setting, "delay_model", lambda self, scan: made(self, short))
    with pytest.raises(SpanError, match=r"scan No0001: .*delay model"):
        run(session)
    assert not (session / STORE).exists()


def test_a_full_disk_is_told_and_gone_on_from(session, monkeypatch):
    small_chunks(monkeypatch)
    fill, calls = store.fill_block, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        fill(*arguments)

    monkeypatch.setattr(store, "fill_block", full)
    with pytest.raises(ConfigurationError, match=r"scan No0001: .*No space left.* are safe"):
        run(session)
    run(session)
    monkeypatch.setattr(store, "fill_block", fill)
    resumed = contents(session / STORE)
    run(session, again=True)
    assert contents(session / STORE) == resumed


JUMP = 3.00007e-6  # s: a fringe turns by 0.59 of a cycle
JUMPED = f"""
name = "jumps"

[correlate]
bins = 32
integration = 0.5

[[correlate.zoom]]
name = "line"
frequency = 8400.02e6
width = 8e3
bins = 16
integration = 1.0

[setup]
default = [{{ name = "CH0", sky_frequency = 8400e6, sample_rate = 128e3 }}]

[[scan]]
name = "No0001"
source = "0748+126"
start = "2026-01-01T16:30:00"
duration = 6.0

[truth]
seed = 3

[[truth.source]]
name = "0748+126"
flux = 2.5

[[truth.station]]
name = "TIANMA65"
sefd = 10.0

[[truth.station]]
name = "URUMQI"
sefd = 10.0

[truth.station.clock]
jump = [{{ epoch = "2026-01-01T16:30:03.2", size = {JUMP} }}]
"""


@pytest.fixture(scope="module")
def jumped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jumps")
    (folder / "scenario.toml").write_text(JUMPED, encoding="utf-8")
    simulate_session(folder / "scenario.toml", folder / "session", threads=1)
    return folder / "session"


def turned(session):
    """Return by how much the fringe's phase turns where the clock jumps, cycles."""
    vis = read_visibilities(session / STORE)
    power = vis.channels[0].data[:, vis.baselines.index(("TIANMA65", "URUMQI")), :, 0].sum(axis=1)
    # the integration from 3.0 to 3.5 s holds the jump
    return float(np.angle(power[7:].sum() * power[:6].sum().conj()) / (2 * np.pi))


def test_a_clock_that_jumps_is_followed_and_told(jumped):
    def lost():
        ledger = Ledger(jumped)
        return {k: v for k, v in ledger.last("correlate").summary.items() if k.startswith("lost")}

    run_session(jumped, only=["correlate"], threads=1)
    # 8400.032 MHz turn by 0.68 - 1; fringes of kHz move the middle of so narrow a band
    assert abs(turned(jumped)) > 0.2
    assert lost() == {}
    with (jumped / "session.toml").open("a", encoding="utf-8") as file:
        file.write(
            '\n[[clock]]\nstation = "URUMQI"\nepoch = "2026-01-01T16:30:00"\n'
            f'jump = [{{ epoch = "2026-01-01T16:30:03.2", size = {JUMP} }}]\n'
        )
    run_session(jumped, only=["correlate"], threads=1)
    assert abs(turned(jumped)) < 0.02  # 1 / (2 pi SNR) is 0.002
    assert list(lost()) == ["lost in No0001"]
    assert lost()["lost in No0001"].startswith("URUMQI: its clock jumps")


def test_zoom_bands_lie_beside_the_whole_ones(jumped):
    run_session(jumped, only=["correlate"], threads=1)
    folder = jumped / "products" / "visibilities"
    names = sorted(p.name for p in folder.iterdir() if p.suffix in (".zarr", ".png"))
    assert names == [
        "No0001.line.png", "No0001.line.zarr", "No0001.png", "No0001.zarr",
    ]  # fmt: skip
    (channel,) = read_visibilities(folder / "No0001.line.zarr").channels
    np.testing.assert_allclose(
        channel.frequency, 8400.02e6 - 4e3 + 500.0 * np.arange(16), rtol=0, atol=1e-5
    )
    assert channel.data.shape == (6, 3, 16, 1)
    one, cross, two = np.abs(channel.data[:3, ..., 0].sum(axis=(0, 2)))  # before the jump
    assert cross / np.sqrt(one * two) == pytest.approx(0.2, abs=0.03)  # 2.5 Jy of 12.5
    (whole,) = read_visibilities(folder / "No0001.zarr").channels
    assert whole.data.shape == (12, 3, 32, 1)


def test_zoom_bands_that_cannot_be_are_refused(jumped, tmp_path):
    text = (jumped / "session.toml").read_text(encoding="utf-8")

    def refused(old, new, match):
        assert old in text
        (tmp_path / "session.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ConfigurationError, match=match):
            read_session(tmp_path)

    refused('name = "line"', 'name = "line"\nsource = "OJ287"', "of which no scan is correlated")
    scan = text[text.index("[[scan]]") :]
    scan = scan[: scan.index("[[", 2)]
    refused(scan, scan + scan.replace("No0001", "No0001.line"), "called like scan No0001.line")
    zoom = text[text.index("[[correlate.zoom]]") :]
    zoom = zoom[: zoom.index("\n\n") + 2]
    refused(zoom, zoom + zoom, "the same name")


@pytest.mark.parametrize("there", [True, False])
def test_the_first_use_on_a_machine_tells_that_it_compiles(jumped, monkeypatch, there):
    monkeypatch.setattr(correlate_stage, "is_compiled", lambda package: there)
    texts = []
    run_session(
        jumped, only=["correlate"], threads=1, again=True,
        progress=lambda text, _: texts.append(text),
    )  # fmt: skip
    assert any("kernels are compiled" in text for text in texts) is not there
