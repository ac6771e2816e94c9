"""A session takes recordings of any format, and what they lack from itself or from sidecars."""

import warnings

import numpy as np
import pytest

from kitestring.errors import RecordingError
from kitestring.model.time import Epoch
from kitestring.recordings.quantise import levels
from kitestring.recordings.sigmf_writer import SigmfWriter
from kitestring.recordings.types import Channel
from kitestring.session.file import read_session
from kitestring.session.run import Context, input_files
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import SIGNAL_STAGES

RATE, START = 1e6, "2026-03-01T12:00:00"
SESSION = """
name = "formats"
[setup]
real = [{ name = "A", sky_frequency = 8.4e9, sample_rate = 1e6 }]
iq = [{ name = "A", sky_frequency = 8.4e9, sample_rate = 1e6, complex = true, zero = "middle" }]
[[scan]]
name = "s1"
source = "0537-441"
start = 2026-03-01T12:00:00Z
duration = 0.2
[[recording]]
station = "TIANMA65"
scan = "s1"
setup = "iq"
files = ["a.sigmf-meta"]
[[recording]]
station = "SESHAN25"
scan = "s1"
setup = "iq"
files = ["b.cf32"]
sidecar = "about.toml"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "session.toml").write_text(SESSION)
    generator = np.random.default_rng(1)
    noise = (generator.normal(size=(1, 200000)) + 1j).astype(np.complex64)
    channel = Channel("A", 8.4e9, 1, RATE, True, "", "middle")
    start = Epoch.from_iso(START)
    with SigmfWriter(tmp_path / "a", station="T6", start=start, channels=[channel]) as writer:
        writer.write(noise)
    (tmp_path / "b.cf32").write_bytes(noise.tobytes())
    (tmp_path / "about.toml").write_text(
        f'datatype = "cf32"\nsample_rate = 1e6\nstart = "{START}Z"\nstation = "Sh"\n'
    )
    return tmp_path


def stage(name):
    return next(one for one in SIGNAL_STAGES if one.name == name)


def test_sigmf_and_plain_samples(folder):
    context = Context(folder, read_session(folder))
    setting = Setting(context)
    recordings = setting.recordings(setting.scan_of(context.session.recording[0]))
    assert [r.station for r in recordings] == ["TIANMA65", "SESHAN25"]
    assert [r.channels[0].zero for r in recordings] == ["middle", "middle"]
    a, b = (r.read(0, 1000) for r in recordings)
    np.testing.assert_array_equal(a.samples, b.samples)
    outcome = stage("describe").run(context)
    assert outcome.summary["recordings"] == 2
    assert outcome.summary["warnings"] == 0


def test_what_belongs_to_recordings_is_an_input(folder):
    """Data files, and sidecars that are named or lie beside, make a stage run again."""
    context = Context(folder, read_session(folder))
    before = stage("describe").inputs(context)
    assert stage("describe").inputs(context) == before
    data = folder / "a.sigmf-data"
    data.write_bytes(data.read_bytes() + bytes(8))
    after = stage("describe").inputs(context)
    assert after != before
    (folder / "about.toml").write_text((folder / "about.toml").read_text() + "bits = 32\n")
    assert stage("describe").inputs(context) != after
    assert input_files(context, ["*.sigmf-*"])


def test_a_setup_that_contradicts_the_recording(folder):
    path = folder / "session.toml"
    path.write_text(path.read_text().replace("8.4e9", "8.5e9"))
    setting = Setting(Context(folder, read_session(folder)))
    with pytest.raises(RecordingError, match="sky_frequency = 8500000000, the file says 84"):
        setting.recording(setting.session.recording[0])


def test_the_scan_dates_mark5b(folder):
    mark5b = pytest.importorskip("baseband.mark5b", reason="baseband is not installed")
    units = pytest.importorskip("astropy.units")
    time = pytest.importorskip("astropy.time")
    data = levels(2)[np.random.default_rng(1).integers(0, 4, (200000, 1))]
    with mark5b.open(
        str(folder / "c.m5b"), "ws", sample_rate=RATE * units.Hz, nchan=1, bps=2,
        time=time.Time(START), squeeze=False,
    ) as out:  # fmt: skip
        out.write(data)
    path = folder / "session.toml"
    text = path.read_text().replace('sidecar = "about.toml"\n', "").replace("b.cf32", "c.m5b")
    head, _, tail = text.rpartition('setup = "iq"')
    path.write_text(f'{head}setup = "real"{tail}')
    context = Context(folder, read_session(folder))
    setting = Setting(context)
    recording = setting.recording(context.session.recording[1])
    assert recording.start.iso(3) == f"{START}.000"
    np.testing.assert_array_equal(recording.read(0, 200000).samples, data.T)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert stage("describe").run(context).summary["warnings"] == 0
