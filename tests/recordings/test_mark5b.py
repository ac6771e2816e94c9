"""Mark 5B as baseband writes it: samples and epochs, complete and damaged."""

import os
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from kitestring.errors import (
    ConfigurationError,
    MissingDataError,
    RecordingError,
    RecordingWarning,
)
from kitestring.model.time import Epoch
from kitestring.recordings import vdif_index
from kitestring.recordings._mark5b_kernels import checksum
from kitestring.recordings.describe import describe
from kitestring.recordings.mark5b import FORMAT, Mark5bRecording
from kitestring.recordings.mark5b_header import full_day
from kitestring.recordings.open import open_recording
from kitestring.recordings.quantise import levels
from kitestring.recordings.types import Channel

mark5b = pytest.importorskip("baseband.mark5b", reason="baseband is not installed")
units = pytest.importorskip("astropy.units")
time = pytest.importorskip("astropy.time")

FRAME, PAYLOAD = 10016, 10000
NANOSECOND = 1e-9  # s; baseband's clock is good to that

# a small recording over the end of a second: 100 frames a second, 2 channels of 2 bits
RATE, COUNT, BITS, FRAMES = 2e6, 2, 2, 60
SAMPLES = 8 * PAYLOAD // (COUNT * BITS)
START = "2026-03-01T12:00:00.700"
REFERENCE = Epoch.from_iso("2026-01-01T00:00:00")


def make_channels(count, rate):
    return [Channel(f"CH{i:02d}", 8.4e9, 1, rate) for i in range(count)]


def write(path, data, bits, rate, start):
    with mark5b.open(
        str(path),
        "ws",
        sample_rate=rate * units.Hz,
        nchan=data.shape[1],
        bps=bits,
        time=time.Time(start, scale="utc", precision=9),
        squeeze=False,
    ) as out:
        out.write(data)


def random_data(count, bits, samples, seed=1):
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (samples, count))
    return levels(bits)[codes]


@pytest.fixture(scope="module")
def truth():
    return random_data(COUNT, BITS, SAMPLES * FRAMES)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, truth):
    path = tmp_path_factory.mktemp("whole") / "a.m5b"
    write(path, truth, BITS, RATE, START)
    return path.read_bytes()


def opened(path, **options):
    options = {"station": "Ef", "channels": make_channels(COUNT, RATE)} | options
    return open_recording(path, **({"reference": REFERENCE} | options))


def check(tmp_path, data, truth):
    """Every sample that is called valid must be the true one at its time."""
    path = tmp_path / "damaged.m5b"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        recording = opened(path)
        late = float(recording.start.since(Epoch.from_iso(START))) * RATE
        first = round(late)
        assert abs(late - first) < 1e-3
        block = recording.read(-first, len(truth))
    assert_array_equal(block.samples[block.valid], truth.T[block.valid])
    assert not block.samples[~block.valid].any()
    return recording, block.valid


@pytest.mark.parametrize(
    ("count", "bits", "rate"),
    [
        (1, 1, 8e6),
        (1, 2, 4e6),
        (2, 1, 4e6),
        (4, 2, 1e6),
        (8, 1, 16e6),
        (8, 2, 16e6),
        (16, 1, 32e6),
        (16, 2, 32e6),
        (32, 1, 16e6),
    ],
)
@pytest.mark.parametrize("start", ["2026-03-01T12:00:00", "2023-02-24T23:59:59.99"])
def test_samples_and_epochs_are_baseband_s(tmp_path, count, bits, rate, start):
    """The second start is 10 ms before MJD 60000."""
    per_second = round(rate * count * bits / (8 * PAYLOAD))
    samples = 8 * PAYLOAD // (count * bits) * (4 + per_second // 100)
    data = random_data(count, bits, samples)
    path = tmp_path / "a.m5b"
    write(path, data, bits, rate, start)
    reference = Epoch.from_iso(start).shifted(-400 * 86400.0)
    recording = open_recording(
        path, station="Ef", channels=make_channels(count, rate), reference=reference
    )
    assert recording.bits == bits
    assert abs(float(recording.start.since(Epoch.from_iso(start)))) < NANOSECOND
    assert not recording.counts.harmed
    block = recording.read(0, samples)
    assert block.valid.all()
    assert_array_equal(block.samples, data.T)
    inside = recording.read(5, 40, channels=(count - 1, 0))
    assert_array_equal(inside.samples, data[5:45, [count - 1, 0]].T)
    with mark5b.open(
        str(path),
        "rs",
        sample_rate=rate * units.Hz,
        nchan=count,
        bps=bits,
        kday=int(recording.start.day) // 1000 * 1000,
        squeeze=False,
    ) as other:
        assert_array_equal(other.read(), data)
        theirs = Epoch.from_astropy(other.start_time)
    assert abs(float(recording.start.since(theirs))) < NANOSECOND


def test_a_leap_second_is_counted(tmp_path):
    """Second 86400 of the last day of 2016 is one of its own."""
    path = tmp_path / "a.m5b"
    truth = random_data(1, 1, 8 * PAYLOAD * 3)
    write(path, truth, 1, 80e3, "2016-12-31T23:59:58")
    data = bytearray(path.read_bytes())
    # baseband makes 57753 86398, 57753 86399, 57754 0: the third one is moved into the leap second
    at = 2 * FRAME
    day, seconds = 0x753, 0x86400
    word = day << 20 | seconds
    data[at + 8 : at + 12] = word.to_bytes(4, "little")
    data[at + 12 : at + 16] = int(checksum(word, 0)).to_bytes(2, "little") + b"\0\0"
    path.write_bytes(data)
    recording = open_recording(
        path,
        station="Ef",
        channels=make_channels(1, 80e3),
        reference=Epoch.from_iso("2016-06-01T00:00:00"),
    )
    assert recording.start.iso(3) == "2016-12-31T23:59:58.000"
    assert recording.stop.iso(3) == "2017-01-01T00:00:00.000"
    assert_array_equal(recording.read(0, len(truth)).samples, truth.T)


def test_the_checksum_is_baseband_s():
    crc16 = pytest.importorskip("baseband.mark5b.header").crc16
    generator = np.random.default_rng(3)
    for code in generator.integers(0, 1 << 48, 50):
        assert checksum(int(code) >> 16, int(code) & 0xFFFF) == crc16(int(code))


def test_thousands_of_the_day():
    assert full_day(999, 60100) == 59999
    assert full_day(0, 59900) == 60000
    assert full_day(100, 60599) == 60100
    assert full_day(100, 60601) == 61100


def test_what_is_missing_is_asked_for(tmp_path, whole):
    path = tmp_path / "a.m5b"
    path.write_bytes(whole)
    with pytest.raises(MissingDataError, match="reference="):
        opened(path, reference=None)
    with pytest.raises(MissingDataError, match="channels="):
        opened(path, channels=None)
    path.write_bytes(whole[: 5 * FRAME])  # no second ends, but fractions tell
    assert opened(path).bits == BITS
    path.write_bytes(whole[30 * FRAME : 31 * FRAME])  # frame 0: no fraction either
    with pytest.raises(MissingDataError, match="bits = 1 or 2"):
        opened(path)
    path.with_name("a.m5b.toml").write_text("bits = 2\nreference = 2026-02-01\n")
    assert opened(path, reference=None).start.iso(3) == "2026-03-01T12:00:01.000"


def test_a_reference_is_one_epoch(tmp_path, whole):
    path = tmp_path / "a.m5b"
    path.write_bytes(whole)
    several = Epoch.from_iso("2026-02-01T00:00:00").shifted(np.arange(3.0))
    with pytest.raises(ConfigurationError, match=r"reference is an array .*shape \(3,\)") as told:
        Mark5bRecording(path, station="Tm", channels=make_channels(COUNT, RATE), reference=several)
    assert "reference=epochs[0]" in told.value.next_step


def test_a_description_compares_the_kind_of_samples(tmp_path, whole):
    path = tmp_path / "a.m5b"
    path.write_bytes(whole)
    path.with_name("a.m5b.toml").write_text("complex = true\n")
    with pytest.raises(RecordingError, match="headers say complex = false"):
        describe(path, reference=Epoch.from_iso("2026-02-01T00:00:00"))


@pytest.mark.parametrize(
    ("count", "rate", "match"),
    [
        (3, RATE, "hold 1.33333 bits"),
        (2, 1e6, "hold 4 bits"),
        (4, 2e6, None),  # four channels of one bit fit too: nothing contradicts them
        (1, 3e6, "hold 2.66667 bits"),
    ],
)
def test_channels_that_contradict_the_frames(tmp_path, whole, count, rate, match):
    path = tmp_path / "a.m5b"
    path.write_bytes(whole)
    channels = make_channels(count, rate)
    if match is None:
        assert opened(path, channels=channels).bits == 1
        return
    with pytest.raises(RecordingError, match=match):
        opened(path, channels=channels)


def test_a_sidecar_that_contradicts_the_frames(tmp_path, whole):
    path = tmp_path / "a.m5b"
    path.write_bytes(whole)
    path.with_name("a.m5b.toml").write_text("bits = 1\n")
    with pytest.raises(RecordingError, match="numbered up to 99 and seconds end") as told:
        opened(path)
    assert told.value.place == str(path)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("start = 2026-03-01T12:00:00\n", "says 2026-03-01T12:00:00.0"),
        ("sample_rate = 1e6\n", "sample_rate = 2000000, .* says 1000000"),
        ("complex = true\n", "complex = false, .* says true"),
        ("bits = 8\n", "8 bits .*Mark 5B has 1 or 2"),
    ],
)
def test_a_sidecar_that_contradicts_the_headers(tmp_path, whole, text, match):
    path = tmp_path / "a.m5b"
    path.write_bytes(whole)
    path.with_name("a.m5b.toml").write_text(text)
    with pytest.raises(RecordingError, match=match):
        opened(path)
    path.with_name("a.m5b.toml").write_text('start = "2026-03-01T12:00:00.7"\n')
    assert opened(path).counts.frames == FRAMES


@pytest.mark.parametrize("rate", [0.0, -2e6, np.nan, np.inf])
def test_rates_that_cannot_be(tmp_path, whole, rate):
    path = tmp_path / "a.m5b"
    path.write_bytes(whole)
    with pytest.raises(RecordingError, match="at a positive rate"):
        opened(path, channels=make_channels(COUNT, rate))


def test_dates_that_cannot_be(tmp_path, whole):
    path = tmp_path / "a.m5b"
    path.write_bytes(whole)
    with pytest.raises(RecordingError, match="before UTC had leap seconds"):
        opened(path, reference=Epoch("utc", 40000, 0.0))


def test_headers_tell_what_they_can(tmp_path, whole):
    path = tmp_path / "a.m5b"
    path.write_bytes(whole)
    when = Epoch.from_iso("2026-04-01T00:00:00").to_astropy().unix
    os.utime(path, (when, when))
    found = describe(path)
    assert found.format == "Mark 5B"
    assert found.survey.start.iso(6) == "2026-03-01T12:00:00.700000"
    assert found.survey.stop.iso(6) == "2026-03-01T12:00:01.300000"
    assert "100 a second (8 Mbit/s)" in found.survey.layout
    assert found.survey.missing[0].startswith("the thousands of the day (reference=)")
    known = describe(path, channels=make_channels(COUNT, RATE), reference=REFERENCE, read=True)
    assert known.survey.missing == ()
    assert (known.survey.bits, known.survey.channel_count) == (BITS, COUNT)
    assert_array_equal(known.statistics.valid, 1.0)


quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
frame_index = st.integers(0, FRAMES - 1)


def split(data):
    return [data[i : i + FRAME] for i in range(0, len(data), FRAME)]


@quick
@given(lost=st.sets(st.integers(1, FRAMES - 2), min_size=1, max_size=10))
def test_lost_frames(tmp_path, whole, truth, lost):
    frames = [f for i, f in enumerate(split(whole)) if i not in lost]
    recording, valid = check(tmp_path, b"".join(frames), truth)
    expected = np.ones(FRAMES, dtype=bool)
    expected[list(lost)] = False
    assert_array_equal(valid.reshape(COUNT, FRAMES, -1).all(axis=(0, 2)), expected)
    assert recording.counts.missing == len(lost)


@quick
@given(which=frame_index, byte=st.integers(0, 15), bit=st.integers(0, 7))
def test_a_bit_of_a_header(tmp_path, whole, truth, which, byte, bit):
    """No flipped bit of sync word, frame number, time code or CRC may move a sample."""
    data = bytearray(whole)
    data[which * FRAME + byte] ^= 1 << bit
    recording, valid = check(tmp_path, bytes(data), truth)
    told = byte < 4 or byte >= 8 or byte in (4, 5)
    expected = np.ones(FRAMES, dtype=bool)
    if told and not (byte == 5 and bit == 7):  # the test-vector bit and user bits tell nothing
        expected[which] = False
    inside = valid.reshape(COUNT, FRAMES, -1).all(axis=(0, 2))
    assert_array_equal(inside[expected], True)
    if not expected[which]:
        assert not inside[which]
        # at either end a frame that is not used is not missed either
        assert recording.counts.damaged + recording.counts.wrong_time > 0 or which in (
            0,
            FRAMES - 1,
        )


@quick
@given(which=st.integers(1, FRAMES - 2), by=st.integers(1, 5))
def test_a_late_frame(tmp_path, whole, truth, which, by):
    frames = split(whole)
    frames.insert(min(which + by, FRAMES - 1), frames.pop(which))
    _, valid = check(tmp_path, b"".join(frames), truth)
    assert valid.all()


@quick
@given(which=frame_index, where=frame_index)
def test_a_repeated_frame(tmp_path, whole, truth, which, where):
    frames = split(whole)
    frames.insert(where, frames[which])
    recording, valid = check(tmp_path, b"".join(frames), truth)
    assert valid.all()
    assert recording.counts.duplicated + recording.counts.wrong_time == 1


@quick
@given(where=st.integers(1, FRAMES * FRAME - 1), junk=st.binary(min_size=1, max_size=40))
def test_bytes_that_were_put_in(tmp_path, whole, truth, where, junk):
    recording, valid = check(tmp_path, whole[:where] + junk + whole[where:], truth)
    assert recording.counts.skipped_bytes >= len(junk) or recording.counts.truncated_bytes
    assert valid.reshape(COUNT, FRAMES, -1).all(axis=(0, 2)).sum() >= FRAMES - 2


@quick
@given(length=st.integers(3 * FRAME, FRAMES * FRAME - 1))
def test_a_file_that_was_cut(tmp_path, whole, truth, length):
    recording, _ = check(tmp_path, whole[:length], truth)
    frames, rest = divmod(length, FRAME)
    if (
        0 < rest < 12
    ):  # too few bytes to tell whether they are a header: the frame before is doubted
        assert (recording.counts.frames, recording.counts.damaged) == (frames - 1, 1)
        return
    assert (recording.counts.frames, recording.counts.truncated_bytes) == (frames, rest)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("part", [slice(0, PAYLOAD), slice(0, 512), slice(PAYLOAD - 512, PAYLOAD)])
def test_samples_that_were_filled_in(tmp_path, whole, truth, part, long, monkeypatch):
    """baseband marks frames as invalid so; a block of the disk may end inside a frame."""
    if long:
        monkeypatch.setattr(vdif_index, "WHOLE", 0)  # headers are read with the samples
    data = bytearray(whole)
    for which in (10, 11, 30):
        begin, end, _ = part.indices(PAYLOAD)
        at = which * FRAME + 16
        data[at + begin : at + end] = bytes.fromhex("44332211") * ((end - begin) // 4)
    recording, valid = check(tmp_path, bytes(data), truth)
    frames = valid.reshape(COUNT, FRAMES, -1).all(axis=(0, 2))
    assert_array_equal(np.flatnonzero(~frames), [10, 11, 30])
    assert recording.counts.invalid == 3
    assert recording.counts.missing == 0


def test_invalid_frames_of_baseband(tmp_path, truth):
    path = tmp_path / "a.m5b"
    with mark5b.open(
        str(path), "ws", sample_rate=RATE * units.Hz, nchan=COUNT, bps=BITS,
        time=time.Time(START, scale="utc", precision=9), squeeze=False,
    ) as out:  # fmt: skip
        out.write(truth[: 10 * SAMPLES])
        out.write(truth[: 2 * SAMPLES], valid=False)
        out.write(truth[: 5 * SAMPLES])
    with pytest.warns(RecordingWarning, match="2 invalid"):
        recording = opened(path)
    valid = recording.read(0, 17 * SAMPLES).valid.reshape(COUNT, 17, SAMPLES)
    assert not valid[:, 10:12].any()
    assert valid[:, [*range(10), *range(12, 17)]].all()


def test_a_frame_of_a_wrong_second(tmp_path, whole, truth):
    frames = split(whole)
    word = int.from_bytes(frames[10][8:12], "little") + 5  # five seconds on, with a good CRC
    fraction = frames[10][14:16]
    crc = int(checksum(word, int.from_bytes(fraction, "little")))
    frames[10] = (
        frames[10][:8] + word.to_bytes(4, "little") + crc.to_bytes(2, "little") + fraction
        + frames[10][16:]
    )  # fmt: skip
    recording, valid = check(tmp_path, b"".join(frames), truth)
    assert recording.counts.wrong_time == 1
    assert_array_equal(np.flatnonzero(~valid.reshape(COUNT, FRAMES, -1).all(axis=(0, 2))), [10])


def test_recorders_without_checksum_or_fraction(tmp_path, whole, truth):
    frames = [f[:12] + bytes(4) + f[16:] for f in split(whole)]
    recording, valid = check(tmp_path, b"".join(frames), truth)
    assert valid.all()
    assert not recording.index.header.check_crc
    assert not recording.index.header.check_fraction


def test_files_one_after_another(tmp_path, whole, truth):
    frames = split(whole)
    (tmp_path / "s_1.m5b").write_bytes(b"".join(frames[:25]))
    (tmp_path / "s_2.m5b").write_bytes(b"".join(frames[25:]))
    recording = opened(tmp_path / "s_*.m5b")
    assert_array_equal(recording.read(0, len(truth)).samples, truth.T)
    again = pickle.loads(pickle.dumps(recording))
    assert_array_equal(again.read(7, 99).samples, truth.T[:, 7:106])


def test_long_files_are_read_in_spans(tmp_path, whole, truth, monkeypatch):
    """The same samples come whether all headers are read first or as they are needed."""
    path = tmp_path / "long.m5b"
    path.write_bytes(whole)
    monkeypatch.setattr(vdif_index, "WHOLE", 0)
    recording = opened(path)
    assert recording.index.spans is not None
    block = recording.read(0, len(truth))
    assert block.valid.all()
    assert_array_equal(block.samples, truth.T)


def test_a_single_sync_word_is_no_recording(tmp_path):
    """VDIF of extended data version 0xAB holds Mark 5B's headers, another distance apart."""
    data = bytearray(np.random.default_rng(1).bytes(1 << 18))
    for at in range(16, len(data) - 4, FRAME + 16):
        data[at : at + 4] = (0xABADDEED).to_bytes(4, "little")
    path = tmp_path / "x"
    path.write_bytes(data)
    assert not FORMAT.sniff(path)
    data[:4] = data[FRAME : FRAME + 4] = data[16:20]
    path.write_bytes(data)
    assert FORMAT.sniff(path)


@pytest.mark.parametrize(
    ("data", "match"),
    [(b"RIFF" * 5000, "no VDIF frames"), (bytes(30000), "no VDIF frames")],
)
def test_what_is_not_mark5b(tmp_path, data, match):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=match):
        opened(path)
    path.with_name("x.toml").write_text('format = "Mark 5B"\n')
    with pytest.raises(RecordingError, match="no Mark 5B frames in the first"):
        opened(path)
