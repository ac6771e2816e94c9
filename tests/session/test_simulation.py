"""Scenarios: what is told, what is hidden, what is written, and what is refused."""

import json
import re
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from kitestring.errors import (
    ConfigurationError,
    KitestringError,
    MissingDataError,
    RecordingWarning,
    UnknownNameError,
)
from kitestring.estimate.forward import ForwardModel
from kitestring.session import simulation, simulation_file
from kitestring.session._toml import to_toml
from kitestring.session.file import read_session
from kitestring.session.run import Context, run_session
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import load_delta_dor
from kitestring.session.simulation import simulate_session
from kitestring.session.simulation_file import read_scenario
from kitestring.session.simulation_truth import observation_of

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "simulate.md"
SCENARIO = re.search(
    r'^```toml title="scenario.toml"\n(.*?)^```$',
    GUIDE.read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)[1]

# A tenth of a second of one channel at two stations
SMALL = """
name = "small"

[target]
kind = "spacecraft"
name = "PROBE"
epoch = "2026-01-01T16:00:00"
position = [-49457392922.0, 167218680806.0, 70740061194.0]
velocity = [-32255.603, -4046.5, -1510.725]
sigma_position = 1e5
sigma_velocity = 0.1

[tones]
carrier = 8.42e9

[setup]
default = [
  { name = "CH0", sky_frequency = 8418.68e6, sample_rate = 8e6, polarization = "R" },
  { name = "CH1", sky_frequency = 8418.68e6, sample_rate = 8e6, polarization = "L" },
]

[[scan]]
name = "No0001"
source = "0748+126"
start = "2026-01-01T16:30:00"
duration = 0.1

[[scan]]
name = "No0002"
source = "PROBE"
start = "2026-01-01T16:30:10"
duration = 0.1

[truth]
seed = 3

[truth.signal]
cn0 = 60.0

[[truth.station]]
name = "TIANMA65"
sefd = 50.0

[[truth.station]]
name = "URUMQI"
sefd = 90.0
"""

LAST = "sefd = 90.0\n"
TWICE = 2 * '[[truth.source]]\nname = "0748+126"\nflux = 1.0\n'
MANY = ", ".join(f"{{ frequency = {f}, index = 9.0 }}" for f in (1e5, 1.1e5 + 7, 1.3e5 + 3))


def scenario(tmp_path, text=SMALL):
    path = tmp_path / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return path


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    path = scenario(tmp_path)
    for name, keywords in (
        ("a", {}),
        ("b", {"threads": 1}),
        ("c", {"seed": 3}),
        ("d", {"seed": 4}),
    ):
        simulate_session(path, tmp_path / name, **keywords)
    a, b, c, d = (contents(tmp_path / name) for name in "abcd")
    assert set(a) == {
        "session.toml", "truth.json",
        *(f"recordings/No000{k}_{s}.vdif" for k in (1, 2) for s in ("TIANMA65", "URUMQI")),
    }  # fmt: skip
    assert a == b == c
    assert all(a[name] != d[name] for name in a if name.startswith("recordings"))
    assert json.loads(d["truth.json"])["seed"] == 4


def test_the_session_tells_nothing_of_the_truth(tmp_path):
    text = SMALL.replace("sefd = 90.0", "sefd = 90.0\nclock = { offset = 1.2345e-6 }")
    simulate_session(scenario(tmp_path, text), tmp_path / "out")
    session = read_session(tmp_path / "out")
    raw = tomllib.loads((tmp_path / "out" / "session.toml").read_text())
    told = tomllib.loads(text)
    told.pop("truth")
    recordings = raw.pop("recording")
    assert raw == told
    assert [r["files"] for r in recordings] == [[f.files[0]] for f in session.recording]
    truth = json.loads((tmp_path / "out" / "truth.json").read_text())
    clock = truth["scans"][0]["stations"][1]["delay"]["clock"]
    assert clock["coefficients"][0][0] == pytest.approx(1.2345e-6)
    assert truth["scans"][1]["source"]["modulated"]["frequency"] == 8.42e9


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    path = scenario(tmp_path)
    simulate_session(path, tmp_path / "whole")

    def stop(what, fraction):
        if what == "simulate No0002":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_session(path, tmp_path / "cut", progress=stop)
    first = tmp_path / "cut" / "recordings" / "No0001_URUMQI.vdif"
    made = first.stat().st_mtime_ns
    assert not (tmp_path / "cut" / "session.toml").exists()
    # another seed is another simulation
    with pytest.raises(ConfigurationError, match="not empty"):
        simulate_session(path, tmp_path / "cut", 77)
    with (tmp_path / "cut" / simulation.UNFINISHED).open("a") as log:
        log.write('{"scan": "No0002", "tr')  # the line that it died in
    assert simulate_session(path, tmp_path / "cut").resumed == 1
    assert first.stat().st_mtime_ns == made
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_nothing_is_overwritten_unless_asked(tmp_path):
    path, out = scenario(tmp_path), tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("precious")
    with pytest.raises(ConfigurationError, match=r"not empty.*--force"):
        simulate_session(path, out)
    simulate_session(path, out, force=True)
    (out / "products").mkdir()
    with pytest.raises(ConfigurationError, match="not empty"):
        simulate_session(path, out)
    simulate_session(path, out, 9, force=True)
    assert (out / "notes.txt").read_text() == "precious"
    assert not (out / "products").exists()
    assert json.loads((out / "truth.json").read_text())["seed"] == 9
    with pytest.raises(ConfigurationError, match="is a file"):
        simulate_session(path, out / "notes.txt", force=True)


@pytest.mark.parametrize("name", ["session.toml", "recordings/No0001_URUMQI.vdif"])
def test_a_real_session_is_never_replaced(tmp_path, name):
    own = tmp_path / "out" / name
    own.parent.mkdir(parents=True)
    own.write_text('name = "observed"')
    with pytest.raises(ConfigurationError, match="of no simulation"):
        simulate_session(scenario(tmp_path), tmp_path / "out", force=True)
    assert contents(tmp_path / "out") == {name: b'name = "observed"'}


def test_recorders_of_sigmf_have_outages(tmp_path):
    """Samples that were not taken are invalid at their epochs; all others are as without."""
    text = SMALL.replace("seed = 3", 'seed = 3\nbits = 8\nformat = "sigmf"')
    fault = '\n[[truth.fault]]\nstations = ["URUMQI"]\noutages = [[0.02, 0.03], [0.0, 0.001]]\n'
    blocks = []
    for name, each in (("whole", text), ("hit", text + fault)):
        simulate_session(scenario(tmp_path, each), tmp_path / name)
        setting = Setting(Context(tmp_path / name, read_session(tmp_path / name)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            found = setting.recording(setting.session.recording[1])
        first = round(float(found.start.since(setting.session.scan[0].span[0])) * 8e6)
        assert first == (8000 if name == "hit" else 0)
        blocks.append(found.read(8000 - first, 792_000))
    whole, hit = blocks
    time = (8000 + np.arange(792_000)) / 8e6
    assert np.array_equal(hit.valid[0], (time < 0.02) | (time >= 0.03))
    assert np.array_equal(hit.samples[hit.valid], whole.samples[hit.valid])
    assert not (tmp_path / "hit" / "recordings" / "No0001_URUMQI.vdif").exists()
    truth = json.loads((tmp_path / "hit" / "truth.json").read_text())
    assert truth["scans"][0]["stations"][1]["outages"] == [[0.02, 0.03], [0.0, 0.001]]


def test_faults_are_made_and_told(tmp_path):
    text = (
        SMALL
        + """
[[truth.fault]]
stations = ["urumqi"]
scans = ["No0001"]
missing = true

[[truth.fault]]
stations = ["TIANMA65"]
lost = 0.2
outages = [[0.02, 0.03]]
"""
    )
    simulate_session(scenario(tmp_path, text), tmp_path / "out")
    session = read_session(tmp_path / "out")
    assert [(r.scan, r.station) for r in session.recording] == [
        ("No0001", "TIANMA65"), ("No0002", "TIANMA65"), ("No0002", "URUMQI"),
    ]  # fmt: skip
    truth = json.loads((tmp_path / "out" / "truth.json").read_text())
    record = truth["scans"][0]["faults"]["TIANMA65"]
    # 25 frames of 4 ms in each of two channels
    assert record["frames"] == 50
    setting = Setting(Context(tmp_path / "out", session))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        block = setting.recording(session.recording[0]).read(0, 800_000)
    gone = len(record["hit"]["lost"]) + len(record["hit"]["outage"])
    assert np.count_nonzero(~block.valid) == gone * 32_000


def test_polarization_faults_and_dead_channels(tmp_path):
    """A swapped station correlates across; a dead channel holds nothing."""
    text = SMALL.replace("sefd = 90.0", "sefd = 1.0\nswapped_polarization = true").replace(
        "sefd = 50.0", 'sefd = 1.0\ndead = ["CH1"]'
    )
    simulate_session(scenario(tmp_path, text), tmp_path / "out")
    session = read_session(tmp_path / "out")
    setting = Setting(Context(tmp_path / "out", session))
    model = setting.delay_model(session.scan[0])
    spectra, rows = {}, {}
    for section in session.recording[:2]:
        delay = model.stations[section.station]
        start = session.scan[0].span[0]
        late, rate = float(delay.total(start)), float(delay.total(start, 1))
        first = round(late * 8e6) + 300_000
        rows[section.station] = setting.recording(section).read(first, 1 << 17).samples
        segments = rows[section.station].reshape(2, -1, 1024)
        turned = np.exp(2j * np.pi * 8.42e9 * rate * np.arange(128) * 1024 / 8e6)
        spectra[section.station] = np.fft.rfft(segments, axis=2) * turned[:, np.newaxis]
    assert [c.polarization for c in setting.recording(session.recording[1]).channels] == ["R", "L"]
    assert np.ptp(rows["TIANMA65"][1]) == 0.0

    def coherence(a, b):
        cross = np.sum(spectra["TIANMA65"][a] * spectra["URUMQI"][b].conj(), axis=0)
        power = [np.sum(np.abs(spectra[s][c]) ** 2, axis=0)
                 for s, c in (("TIANMA65", a), ("URUMQI", b))]  # fmt: skip
        return np.mean(np.abs(cross) / np.sqrt(power[0] * power[1] + 1e-30))

    # 128 segments: 0.08 by chance
    assert coherence(0, 1) > 0.2
    assert coherence(0, 0) < 0.12


def test_a_burn_kinks_the_light_time_where_it_arrives(tmp_path):
    text = SMALL.replace(
        "[truth.signal]",
        '[truth.target]\nburn = [{ epoch = "2026-01-01T16:28:55.4", '
        "delta_v = [30.0, 0.0, 0.0] }]\n[truth.signal]",
    ).replace("duration = 0.1", "duration = 10.0")
    burnt = observation_of(read_scenario(scenario(tmp_path, text)), 1)
    plain = observation_of(read_scenario(scenario(tmp_path, text.replace("[30.0", "[0.0"))), 1)
    (seen,) = burnt.burns_seen
    at = float(seen.since(burnt.light_time.start))
    assert at % 20.0 == pytest.approx(0.0, abs=1e-6)  # between two pieces
    start = burnt.light_time.start

    def change(t):
        return float(burnt.light_time(start.shifted(t)) - plain.light_time(start.shifted(t)))

    # before: nothing; afterwards the velocity along the line of sight over c
    assert abs(change(at - 0.01)) < 1e-12
    assert abs(change(at - 3.0)) < 1e-12
    slope = change(at + 2.0) / 2.0
    assert 1e-9 < abs(slope) < 30.0 / 299792458.0
    assert change(at + 1.0) == pytest.approx(slope, abs=1e-11)


def test_an_uplink_is_turned_round(tmp_path):
    """The received frequency is what was sent up, a light time before the light time."""
    text = SMALL.replace(
        "cn0 = 60.0",
        'cn0 = 60.0\nuplink = { station = "TIANMA65", frequency = 7.17e9, '
        "turnaround = 1.1748998664886517, ramp = 0.5 }",
    )
    two_way = observation_of(read_scenario(scenario(tmp_path, text)), 1)
    one_way = observation_of(read_scenario(scenario(tmp_path)), 1)
    signal = two_way.signal(two_way.scans[1])
    assert signal.drift == pytest.approx(0.5 / 7.17e9, rel=1e-8)
    at = two_way.scans[1].start
    # the stated frequency is what the scan begins with
    sky = float(signal.received_frequency("carrier", at))
    doppler = 1.0 - float(two_way.light_time(at, 1))
    assert sky == pytest.approx(7.17e9 * 1.1748998664886517 * doppler, abs=1e-3)
    up_and_down = float(two_way.light_time(at))
    down = float(one_way.light_time(at))
    # 43 million km; the way up is as long but for what the probe and the Earth move
    assert up_and_down == pytest.approx(2 * down, rel=1e-3)
    slopes = [float(o.light_time(at, 1)) for o in (two_way, one_way)]
    assert slopes[0] == pytest.approx(2 * slopes[1], rel=0.2)


def test_media_delay_the_way_up(tmp_path):
    """Air adds to the round trip by its mapping, plasma takes its phase delay away."""
    uplink = (
        'cn0 = 60.0\nuplink = { station = "TIANMA65", frequency = 7.17e9, turnaround = 1.1749 }'
    )
    found = []
    for extra in ("", "zenith = 3.0\n", "tec = 50.0\n"):
        text = SMALL.replace("cn0 = 60.0", uplink).replace("sefd = 50.0\n", f"sefd = 50.0\n{extra}")
        made = observation_of(read_scenario(scenario(tmp_path, text)), 1)
        found.append(float(made.light_time(made.scans[1].start)))
    air, plasma = (value - found[0] for value in found[1:])
    # both grow towards the horizon, plasma's thin layer less
    slant = air / (3.0 / 299792458.0)
    assert 1.0 < slant < 10.0
    zenith = 40.3082 * 50e16 / 299792458.0 / 7.17e9**2
    assert 1.0 < -plasma / zenith < min(slant, 3.0)


def test_a_lander_and_a_file_are_targets(tmp_path):
    text = SMALL.replace(
        "[truth.signal]",
        '[truth.target]\nbody = "MARS"\nplace = [-2417.6e3, 2365.8e3, 266.0e3]\n[truth.signal]',
    )
    lander = observation_of(read_scenario(scenario(tmp_path, text)), 1)
    assert lander.spacecraft.trajectory.center == "MARS"
    text = SMALL.replace("[truth.signal]", '[truth.target]\nfile = "no.bsp"\n[truth.signal]')
    with pytest.raises(MissingDataError, match=r"no\.bsp"):
        observation_of(read_scenario(scenario(tmp_path, text)), 1)


def test_drawn_errors_follow_the_sigmas(tmp_path):
    text = SMALL.replace("[truth.signal]", "[truth.target]\ndraw = true\n[truth.signal]")
    given = read_scenario(scenario(tmp_path, text))
    told = np.array(given.session.target.position)
    epoch = given.session.target.state_epoch
    off = [
        observation_of(given, seed).spacecraft.trajectory.state(epoch)[:3] - told
        for seed in range(1, 9)
    ]
    # chi-square of 24 numbers of 100 km: 99.9 % lie within 8.1 to 53
    assert 8.1 < np.sum(np.square(off)) / 1e10 < 53.0


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    """The guide's scenario without frames at fault, simulated and run."""
    folder = tmp_path_factory.mktemp("guide")
    text = SCENARIO.partition("[[truth.fault]]")[0]
    simulate_session(scenario(folder, text), folder / "out")
    run_session(folder / "out", only=["describe", "correlate", "tones", "fringe", "delta_dor"])
    return folder


def test_delta_dor_of_the_guide_is_the_truth_within_its_sigma(guide):
    """Noise, modulation, telemetry, plasma, clocks, bandpass and all: what is found is true."""
    setting = Setting(Context(guide / "out", read_session(guide / "out")))
    true = observation_of(read_scenario(guide / "scenario.toml"), 7)
    delta = load_delta_dor(setting.context)
    model = ForwardModel(setting.earth, media=setting.media, frequency=setting.frequency)
    error = []
    for part in delta.observables():
        error += (part.value - model.predict(part, true.spacecraft.trajectory).value).tolist()
    sigma = np.concatenate([part.sigma for part in delta.observables()])
    assert len(error) == 3
    # the hidden zenith delays and 3 TECU are within what sigma allows for; 99.9 % of three
    assert np.max(np.abs(error) / sigma) < 3.6


def test_every_key_is_told():
    text = GUIDE.read_text(encoding="utf-8").partition("## `[truth]`")[2]
    for section in vars(simulation_file).values():
        own = isinstance(section, type) and section.__module__ == simulation_file.__name__
        if own and issubclass(section, BaseModel):
            for key in section.model_fields:
                where = f"[truth.{key}]", f"[[truth.{key}]]", f"`{key}`"
                words = re.search(rf"[`{{\[ ,]{key}[`}}\] ,=]", text)
                assert any(w in text for w in where) or words, f"{section.__name__}.{key}"


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("sefd = 50.0", "sefd = 50.0\nsedf = 1.0", ConfigurationError, "did you mean 'sefd'"),
        ("sefd = 50.0", "sefd = -1.0", ConfigurationError, r"\[truth\].*sefd"),
        ('"TIANMA65"', '"TIANMA66"', UnknownNameError, "TIANMA66.*TIANMA65"),
        ("[truth.signal]\ncn0 = 60.0\n", "", ConfigurationError, "nothing is said of its signal"),
        ("cn0 = 60.0", "cn0 = { TIANMA65 = 60.0 }", ConfigurationError, "no C/N0 for station"),
        ('"0748+126"', '"0748+127"', UnknownNameError, r"0748\+127"),
        ("[truth]\nseed = 3", "[truth]\nseed = -3", ConfigurationError, "seed"),
        ("16:30:10", "06:30:10", KitestringError, "elevation|horizon"),
        ('name = "URUMQI"', 'name = "TIANMA65"', ConfigurationError, "same station"),
        ("sefd = 90.0", 'sefd = 90.0\ndead = ["CH9"]', ConfigurationError, "no channel 'CH9'"),
        ("seed = 3", 'format = "sigmf"', ConfigurationError, "8 or 16 bits"),
        ('name = "No0001"', 'name = "../x"', ConfigurationError, "names files"),
        ("duration = 0.1", "duration = 0.1\nlenght = 1", ConfigurationError, "lenght"),
        ("sefd = 90.0", 'sefd = 90.0\nsetup = "other"', ConfigurationError, "setup 'other'"),
        (LAST, LAST + "[[truth.fault]]\nmissing = true", ConfigurationError, "at all stations"),
        (
            LAST,
            LAST + '[[truth.fault]]\nstations = ["MIYUN50"]',
            ConfigurationError,
            "station 'MIYUN50', which is not listed.*TIANMA65, URUMQI",
        ),
        (LAST, LAST + '[[truth.fault]]\nscans = ["No1"]', ConfigurationError, "No0001, No0002"),
        (LAST, LAST + "[[truth.fault]]\nmissing = true\nlost = 0.1", ConfigurationError, "has no"),
        (
            LAST,
            LAST + '[[truth.source]]\nname = "0748"\nflux = 1.0',
            ConfigurationError,
            "'0748', which is not listed",
        ),
        ("cn0 = 60.0", "cn0 = 6000.0", ConfigurationError, "signal.cn0"),
        (LAST, LAST + TWICE, ConfigurationError, "two .*source.* of '0748"),
        (
            LAST,
            LAST + '[[truth.source]]\nname = "PROBE"\nflux = 1.0',
            ConfigurationError,
            "'PROBE', which is the target",
        ),
        (
            "cn0 = 60.0",
            "cn0 = { TIANMA65 = 60.0, URUMQI = 60.0, MIYUN50 = 60.0 }",
            ConfigurationError,
            "'MIYUN50', which is not listed",
        ),
        (
            "cn0 = 60.0",
            "cn0 = { TIANMA65 = 60.0, URUMQI = 60.0, Ur = 50.0 }",
            ConfigurationError,
            "two cn0 of 'URUMQI'",
        ),
        ("cn0 = 60.0", f"cn0 = 60.0\ntones = [{MANY}]", ConfigurationError, "50000 lines"),
        ("cn0 = 60.0", "cn0 = 60.0\ncarrier = 2.2e9", ConfigurationError, "2.2e.09 Hz lies in"),
        (
            "cn0 = 60.0",
            "cn0 = 60.0\ncarrier = 8.4e9\nuplink = "
            '{ station = "TIANMA65", frequency = 7.17e9, turnaround = 1.1749 }',
            ConfigurationError,
            "follows from the uplink",
        ),
        ("sefd = 50.0", "sefd = 1e300", ConfigurationError, "sefd"),
        (
            LAST,
            LAST + 'swapped_polarization = true\npolarization = "R"',
            ConfigurationError,
            "one of the two",
        ),
        (
            LAST,
            LAST + "interference = [{ frequency = 1.5e9, cn0 = 40.0 }]",
            ConfigurationError,
            "lies in none of its channels",
        ),
        (LAST, LAST + "phase_cal = { spacing = 1e9 }", ConfigurationError, "no tone of the phase"),
        (
            LAST,
            LAST + 'clock = { jump = [{ epoch = "2026-01-02T00:00:00", size = 1e-9 }] }',
            ConfigurationError,
            "no scan would tell",
        ),
        (LAST, LAST + "[[truth.fault]]\nscans = []", ConfigurationError, "of nothing"),
        (LAST, LAST + "[[truth.fault]]\noutages = [[5.0, 6.0]]", ConfigurationError, "in no scan"),
        (LAST, LAST + "[[truth.fault]]\nlost = 1.0", ConfigurationError, "leave nothing"),
        (
            "seed = 3",
            'bits = 8\nformat = "sigmf"\n[[truth.fault]]\noutages = [[0.0, 0.05], [0.04, 1.0]]',
            ConfigurationError,
            "leave nothing of scan No0001 at TIANMA65",
        ),
        ("duration = 0.1", "duration = 1e300", ConfigurationError, "lasts 1e.300 s"),
        (LAST, LAST + "delays = [1.0, 0.0]", ConfigurationError, "delays.0"),
        (LAST, LAST + "tec = 1e16", ConfigurationError, "tec"),
        (LAST, LAST + "phase_cal = { spacing = 1.0 }", ConfigurationError, "4000 Hz or more"),
        ("sample_rate = 8e6", "sample_rate = 8e18", ConfigurationError, "sample rate"),
        (
            "cn0 = 60.0",
            'cn0 = 60.0\nuplink = { station = "DSS14", frequency = 7.17e9, turnaround = 1.1749 }',
            KitestringError,
            "elevation",
        ),
    ],
)
def test_what_cannot_be_is_told(tmp_path, old, new, error, message):
    text = SMALL.replace(old, new)
    assert old in SMALL
    path = scenario(tmp_path, text)
    with pytest.raises(error, match=message) as caught:
        simulate_session(path, tmp_path / "out")
    assert caught.value.place  # the scenario, or a file that it names


def test_polarizations_that_are_not_stated_cannot_be_swapped(tmp_path):
    row = '  { name = "CH1", sky_frequency = 8418.68e6, sample_rate = 8e6, polarization = "L" },\n'
    assert row in SMALL
    text = SMALL.replace(row, "").replace(', polarization = "R"', "")
    simulate_session(scenario(tmp_path, text), tmp_path / "without")
    text = text.replace(LAST, LAST + "swapped_polarization = true\n")
    with pytest.raises(ConfigurationError, match=r"URUMQI swaps .* have none"):
        simulate_session(scenario(tmp_path, text), tmp_path / "out")


def test_files_that_are_no_scenarios_are_told(tmp_path):
    with pytest.raises(MissingDataError, match=r"simulate\.md"):
        read_scenario(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match="not TOML"):
        read_scenario(scenario(tmp_path, "a = "))
    with pytest.raises(ConfigurationError, match=r"no \[truth\]"):
        read_scenario(scenario(tmp_path, 'name = "x"'))
    with pytest.raises(ConfigurationError, match="they are made"):
        read_scenario(scenario(tmp_path, SMALL + "\n[[recording]]\nstation = 'x'\n"))


def test_the_command_makes_the_same_call(tmp_path):
    from typer.testing import CliRunner

    from kitestring.cli.app import app

    out = tmp_path / "out"
    words = ["simulate", str(scenario(tmp_path)), str(out), "--seed", "5", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["seed"] == 5
    assert sorted(told["recordings"]) == sorted(str(p) for p in (out / "recordings").iterdir())
    assert told["bytes"] == sum(p.stat().st_size for p in (out / "recordings").iterdir())


def test_toml_is_read_back():
    values = {
        "text": 'a "b" \\ \n \x7f 天', "n": 3, "x": 1e-7, "yes": True, "list": [1.5, [2, 3]],
        "table": {"empty": [], "inner": {"a b": "c"}}, "rows": [{"k": 1, "more": [{"z": 2.0}]}, {}],
    }  # fmt: skip
    assert tomllib.loads(to_toml(values)) == values
