"""Samples survive writing and reading, and are those that another reader finds."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kitestring.errors import ConfigurationError, MissingDataError, RecordingError
from kitestring.model.time import Epoch
from kitestring.recordings._kernels import pack
from kitestring.recordings.open import open_recording
from kitestring.recordings.quantise import levels, quantise
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifRecording, VdifWriter
from kitestring.recordings.vdif_header import VdifHeader, reference_day, reference_epoch

START = Epoch.from_iso("2026-03-01T12:00:00")
RATE = 128e3
PAYLOAD = 160


def make_channels(count, is_complex=False, rate=RATE):
    return [Channel(f"CH{i:02d}", 8.4e9, 1, rate, is_complex) for i in range(count)]


def random_codes(channels, bits, samples, seed=1):
    parts = 2 if channels[0].complex else 1
    kind = np.uint16 if bits == 16 else np.uint8
    generator = np.random.default_rng(seed)
    return generator.integers(0, 1 << bits, (len(channels), samples * parts), dtype=kind)


def write(path, codes, bits, channels, start=START, **options):
    options = {"payload_bytes": PAYLOAD, "station": "Tm"} | options
    with VdifWriter(path, start=start, channels=channels, bits=bits, **options) as writer:
        writer.write_codes(codes)
        return writer.frame_samples


def slow_decode(payload, bits, parts, channel_count):
    """Read numbers bit by bit, as the specification words it; shape (channel, time x parts)."""
    words = np.frombuffer(payload, "<u4")
    numbers = [(int(w) >> shift) & ((1 << bits) - 1) for w in words for shift in range(0, 32, bits)]
    table = np.array(numbers).reshape(-1, channel_count, parts)
    return table.transpose(1, 0, 2).reshape(channel_count, -1)


LAYOUTS = [
    (bits, is_complex, count, threads)
    for bits in (1, 2, 4, 8, 16)
    for is_complex in (False, True)
    for count, threads in ((1, True), (5, True), (2, False), (8, False))
]


@pytest.mark.parametrize(("bits", "is_complex", "count", "threads"), LAYOUTS)
def test_codes_come_back(tmp_path, bits, is_complex, count, threads):
    channels = make_channels(count, is_complex)
    in_frame = 1 if threads else count
    payload = 320 if in_frame > 1 else PAYLOAD  # whole samples of all channels
    samples = 6 * 8 * payload // (bits * (1 + is_complex) * in_frame)
    codes = random_codes(channels, bits, samples)
    path = tmp_path / "a.vdif"
    write(path, codes, bits, channels, threads=threads, payload_bytes=payload)
    recording = VdifRecording(path, station="Tm", channels=channels)
    assert recording.sample_count == samples
    found, valid = recording.read_codes(0, samples)
    assert valid.all()
    assert_array_equal(found, codes)
    # an odd window that begins before the recording and ends inside a byte
    block = recording.read(-3, samples // 2 + 6)
    assert not block.valid[:, :3].any()
    assert not block.samples[:, :3].any()
    assert block.valid[:, 3:].all()
    numbers = block.samples[:, 3:].copy().view(np.float32)
    assert_array_equal(numbers, levels(bits)[codes[:, : numbers.shape[1]]])
    # and one that begins inside a byte
    inside = recording.read(5, 40, channels=(count - 1, 0))
    whole = recording.read(0, 45)
    assert_array_equal(inside.samples, whole.samples[[count - 1, 0], 5:45])


@pytest.mark.parametrize(("bits", "is_complex", "count", "threads"), LAYOUTS)
def test_bits_lie_where_the_specification_says(tmp_path, bits, is_complex, count, threads):
    channels = make_channels(count, is_complex)
    in_frame = 1 if threads else count
    samples = 8 * 320 // (bits * (1 + is_complex) * in_frame)
    codes = random_codes(channels, bits, samples)
    path = tmp_path / "a.vdif"
    write(path, codes, bits, channels, threads=threads, payload_bytes=320)
    data = path.read_bytes()
    frames = [data[i : i + 352] for i in range(0, len(data), 352)]
    assert [VdifHeader.parse(f).thread for f in frames] == list(range(count if threads else 1))
    rows = [slow_decode(f[32:], bits, 1 + is_complex, in_frame) for f in frames]
    assert_array_equal(np.concatenate(rows), codes)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("is_complex", [False, True])
def test_another_reader_finds_the_same(tmp_path, bits, is_complex):
    vdif = pytest.importorskip("baseband.vdif", reason="baseband is not installed")
    units = pytest.importorskip("astropy.units")
    channels = make_channels(4, is_complex)
    frame = 8 * PAYLOAD // (bits * (1 + is_complex))
    codes = random_codes(channels, bits, 6 * frame)
    path = tmp_path / "a.vdif"
    write(path, codes, bits, channels)
    recording = open_recording(path, station="Tm", channels=channels)
    with vdif.open(path, "rs", sample_rate=RATE * units.Hz) as other:
        theirs = other.read().T
        assert_array_equal(recording.read(0, 6 * frame).samples, theirs)
        begins = Epoch.from_astropy(other.start_time)
    assert abs(float(recording.start.since(begins))) < 1e-9  # their clock is good to 1 ns


@pytest.mark.parametrize(("edv", "rate_known"), [(False, False), (0, False), (1, True), (3, True)])
def test_files_of_another_writer(tmp_path, edv, rate_known):
    vdif = pytest.importorskip("baseband.vdif", reason="baseband is not installed")
    units = pytest.importorskip("astropy.units")
    time = pytest.importorskip("astropy.time")
    frame_bytes = 1000 + (16 if edv is False else 32)
    header = vdif.VDIFHeader.fromvalues(
        edv=edv, time=time.Time("2025-08-09T10:11:12"), bps=2, nchan=1, complex_data=False,
        frame_nbytes=frame_bytes, station="Sh",
        **({"sample_rate": 4e6 * units.Hz} if rate_known else {}),
    )  # fmt: skip
    generator = np.random.default_rng(2)
    data = levels(2)[generator.integers(0, 4, (8000 * 3, 2))]
    path = tmp_path / "b.vdif"
    with vdif.open(
        path, "ws", header0=header, sample_rate=4e6 * units.Hz, nthread=2, squeeze=False
    ) as out:
        out.write(data[:, :, np.newaxis])
    channels = make_channels(2, rate=4e6)
    recording = VdifRecording(path, station="Sh", channels=channels)
    assert recording.start.iso(6) == "2025-08-09T10:11:12.000000"
    assert_array_equal(recording.read(0, len(data)).samples, data.T)
    assert recording.index.header.station_code == "Sh"
    assert recording.index.header.header_rate == (4e6 if rate_known else None)


@pytest.mark.parametrize("name", ["v15327_gs_328-185735_3m.vdif", "expxx_stnxx_328-185735_3m.vdif"])
def test_real_recordings_agree_with_another_reader(data_dir, name):
    vdif = pytest.importorskip("baseband.vdif", reason="baseband is not installed")
    path = data_dir / "vgos-voltages" / name
    channels = make_channels(64, True, 32e6)
    recording = open_recording(path, station="Gs", channels=channels)
    assert recording.counts.frames == 95
    assert recording.counts.truncated_bytes == 3145728 - 95 * 32800
    assert not recording.counts.harmed
    assert recording.start.iso(6) == "2015-11-24T18:57:35.000000"
    theirs = []
    with path.open("rb") as file:
        for frame in range(95):
            # user words that are not zero: their frame reader would refuse version 0
            file.seek(frame * 32800)
            header = vdif.VDIFHeader.fromfile(file, verify=False)
            file.seek(frame * 32800 + 32)
            theirs.append(vdif.VDIFPayload.fromfile(file, header=header).data)
    block = recording.read(0, 95 * 1024)
    assert block.valid.all()
    assert_array_equal(block.samples, np.concatenate(theirs).T)


def test_threads_in_files_of_their_own_and_one_after_another(tmp_path):
    channels = make_channels(2)
    frame = 8 * PAYLOAD // 2
    codes = random_codes(channels, 2, 8 * frame)
    both = tmp_path / "both.vdif"
    write(both, codes, 2, channels)
    size = PAYLOAD + 32
    frames = np.frombuffer(both.read_bytes(), np.uint8).reshape(-1, 2, size)
    (tmp_path / "t1.vdif").write_bytes(frames[:, 1].tobytes())
    (tmp_path / "t0.vdif").write_bytes(frames[:, 0].tobytes())
    (tmp_path / "late.vdif").write_bytes(frames[4:].tobytes())
    (tmp_path / "early.vdif").write_bytes(frames[:4].tobytes())
    for names in (("t1", "t0"), ("late", "early")):
        paths = [tmp_path / f"{n}.vdif" for n in names]
        recording = VdifRecording(paths, station="Tm", channels=channels)
        found, valid = recording.read_codes(0, 8 * frame)
        assert valid.all()
        assert_array_equal(found, codes)


def test_blocks_of_any_length_are_written_alike(tmp_path):
    channels = make_channels(2, True)
    frame = 8 * PAYLOAD // 4
    codes = random_codes(channels, 2, 10 * frame)
    whole, pieces = tmp_path / "whole.vdif", tmp_path / "pieces.vdif"
    write(whole, codes, 2, channels)
    with VdifWriter(
        pieces, station="Tm", start=START, channels=channels, bits=2, payload_bytes=PAYLOAD
    ) as writer:
        for a, b in ((0, 6), (6, 6), (6, 1500), (1500, codes.shape[1])):
            writer.write_codes(codes[:, a:b])
    assert whole.read_bytes() == pieces.read_bytes()


def test_frames_number_on_over_a_second_and_a_half_year(tmp_path):
    channels = make_channels(1, rate=6400.0)  # ten frames a second
    start = Epoch.from_iso("2016-12-31T23:59:59.7")  # a leap second follows
    frame = 8 * PAYLOAD // 2
    codes = random_codes(channels, 2, 25 * frame)
    path = tmp_path / "a.vdif"
    write(path, codes, 2, channels, start=start)
    data = path.read_bytes()
    headers = [VdifHeader.parse(data[i : i + 32]) for i in range(0, len(data), PAYLOAD + 32)]
    assert [h.number for h in headers] == [7, 8, 9, *range(10), *range(10), 0, 1]
    assert headers[-1].second - headers[0].second == 3
    recording = VdifRecording(path, station="Tm", channels=channels)
    assert recording.start.iso(6) == "2016-12-31T23:59:59.700000"
    assert recording.stop.iso(6) == "2017-01-01T00:00:01.200000"
    assert recording.index.rate_origin == "given"
    assert_array_equal(recording.read_codes(0, 25 * frame)[0], codes)


def test_reference_epochs():
    day = int(Epoch.from_iso("2026-07-01T00:00:00").day)
    assert reference_day(53) == day
    assert reference_epoch(day) == 53
    assert reference_epoch(day - 1) == 52
    assert reference_day(0) == 51544


def test_the_last_reference_epoch_serves_later_dates():
    """It has 6 bits; the seconds since it have 30: 34 years."""
    day = reference_day(63)
    assert (day, reference_epoch(day)) == (int(Epoch.from_iso("2031-07-01T00:00:00").day), 63)
    assert reference_epoch(int(Epoch.from_iso("2032-01-01T00:00:00").day)) == 63
    last = day + 2**30 // 86400 - 1
    assert reference_epoch(last) == 63
    for impossible in (last + 1, reference_day(0) - 1):
        with pytest.raises(ConfigurationError, match="2000 to 2065"):
            reference_epoch(impossible)


@pytest.mark.parametrize("iso", ["2031-12-31T23:59:59.900", "2033-08-01T12:00:00", "2064-02-29"])
def test_recordings_after_2031_come_back(tmp_path, iso):
    channels, start = make_channels(1), Epoch.from_iso(iso)
    path = tmp_path / "a.vdif"
    frame = 8 * PAYLOAD // 2
    codes = random_codes(channels, 2, 30 * frame)
    write(path, codes, 2, channels, start)
    recording = VdifRecording(path, station="Tm", channels=channels)
    assert recording.start.iso(6) == start.iso(6)
    assert recording.stop.since(start) == pytest.approx(30 * frame / RATE, abs=2e-11)
    assert_array_equal(recording.read_codes(0, 30 * frame)[0], codes)


def test_header_words_come_back():
    header = VdifHeader(
        True, False, 123456789, 53, 54321, 1, 8, 8032, 2, True, 1000, 0x546D, 3, 32e6
    )
    assert VdifHeader.parse(header.words().tobytes()) == header
    assert header.station_code == "Tm"


def test_invalid_frames_are_marked(tmp_path):
    channels = make_channels(2)
    frame = 8 * PAYLOAD // 2
    valid = np.ones((2, 4 * frame), dtype=bool)
    valid[1, frame + 7] = False
    path = tmp_path / "a.vdif"
    with VdifWriter(
        path, station="T", start=START, channels=channels, bits=2, payload_bytes=PAYLOAD
    ) as writer:
        writer.write_codes(np.full((2, 4 * frame), 3, np.uint8), valid)
    with pytest.warns(match="1 invalid"):
        recording = VdifRecording(path, station="T", channels=channels)
    block = recording.read(0, 4 * frame)
    expected = np.ones((2, 4 * frame), dtype=bool)
    expected[1, frame : 2 * frame] = False
    assert_array_equal(block.valid, expected)
    assert_array_equal(block.samples != 0, expected)


def test_a_frame_that_was_not_filled_is_invalid(tmp_path):
    channels = make_channels(1)
    frame = 8 * PAYLOAD // 2
    path = tmp_path / "a.vdif"
    write(path, np.ones((1, frame + 5), np.uint8), 2, channels)
    with pytest.warns(match="1 invalid"):
        recording = VdifRecording(path, station="Tm", channels=channels)
    assert_array_equal(recording.read(0, 2 * frame).valid[0], np.arange(2 * frame) < frame)


def test_a_recording_survives_pickling(tmp_path):
    channels = make_channels(1)
    codes = random_codes(channels, 2, 2 * 640)
    path = tmp_path / "a.vdif"
    write(path, codes, 2, channels)
    again = pickle.loads(pickle.dumps(VdifRecording(path, station="Tm", channels=channels)))
    assert_array_equal(again.read_codes(0, 1280)[0], codes)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(RecordingError, match="Open the recording again"):
        pickle.loads(pickle.dumps(again))


def test_what_is_missing_is_named(tmp_path):
    path = tmp_path / "a.vdif"
    write(path, np.zeros((1, 640), np.uint8), 2, make_channels(1))
    with pytest.raises(MissingDataError, match=r"sample rate .* and sky frequencies"):
        open_recording(path, station="Tm")
    with pytest.raises(MissingDataError, match="does not hold sky frequencies"):
        open_recording(path, station="Tm", sample_rate=RATE)


@pytest.mark.parametrize(
    ("channels", "match"),
    [
        (make_channels(3), "3 channels are expected, the file has 2 threads"),
        # one of two would be taken for the other without a word
        (make_channels(1), "1 channels are expected, the file has 2 threads"),
        (make_channels(2, True), "samples are real"),
        (make_channels(2, rate=1e5), "whole number"),
        (make_channels(2, rate=6400.0), "numbered up to 19"),
    ],
)
def test_channels_that_contradict_the_file(tmp_path, channels, match):
    path = tmp_path / "a.vdif"
    write(path, np.zeros((2, 20 * 640), np.uint8), 2, make_channels(2))
    with pytest.raises(RecordingError, match=match):
        open_recording(path, station="Tm", channels=channels)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"payload_bytes": 100}, "multiple of 8"),
        ({"payload_bytes": 168}, "Use 160 bytes"),
        ({"threads": False}, "threads=True"),
        ({"station": "Tianma"}, "station code"),
        ({"start": START.shifted(0.0012)}, "Start at 2026-03-01T12:00:00.000000000"),
        ({"start": Epoch.from_iso("1999-12-31T23:59:59")}, "2000 to 2065"),
        ({"edv": 3}, "edv=1"),
        (
            {
                "edv": 3,
                "payload_bytes": 1000,
                "threads": False,
                "channels": make_channels(4, rate=8e6),
            },
            "threads=True",
        ),
        ({"edv": 1, "channels": make_channels(1, rate=6400.0)}, "cannot be written"),
        ({"edv": 1, "channels": make_channels(1, rate=2e13)}, "cannot be written"),
        ({"channels": make_channels(1, rate=1e30)}, "has 1 to 16777216"),
        ({"bits": 3}, "3 bits"),
        ({"channels": []}, "0 channels"),
    ],
)
def test_what_vdif_cannot_express_is_refused(tmp_path, options, match):
    settings = {
        "station": "Tm", "start": START, "channels": make_channels(3), "bits": 2,
        "payload_bytes": PAYLOAD,
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match=match):
        VdifWriter(tmp_path / "a.vdif", **(settings | options))


@pytest.mark.parametrize(
    ("rate", "is_complex"),
    [
        (2e3, False),
        (1e3, True),
        (1.001e6, True),
        (64e6, False),
        (16.777214e9, False),
        (1.7e10, True),
    ],
)
def test_header_rates(rate, is_complex):
    """Whole kHz or MHz of 23 bits, of complex samples: twice that of real ones."""
    header = VdifHeader(
        False, False, 0, 53, 0, 1, 1, 96, 2, is_complex, 0, 0x546D, 1, header_rate=rate
    )
    assert header.rate_bits
    assert VdifHeader.parse(header.words().tobytes()).header_rate == rate


def test_codes_that_do_not_fit_are_refused(tmp_path):
    writer = VdifWriter(
        tmp_path / "a.vdif", station="Tm", start=START, channels=make_channels(1), bits=2
    )
    with writer:
        with pytest.raises(ConfigurationError, match="do not fit 2 bits"):
            writer.write_codes(np.full((1, writer.frame_samples), 4, np.uint8))
        with pytest.raises(ConfigurationError, match="are needed"):
            writer.write_codes(np.zeros((2, 10), np.uint8))
        with pytest.raises(ConfigurationError, match="samples are complex"):
            writer.write(np.zeros((1, 10), np.complex64))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_pack_agrees_with_its_twin(bits):
    codes = np.random.default_rng(3).integers(0, 1 << bits, 64, dtype=np.uint8)
    out = np.empty(64 * bits // 8, np.uint8)
    assert pack(codes, bits, out) == 0
    planes = (codes[:, np.newaxis] >> np.arange(bits)) & 1
    assert_array_equal(out, np.packbits(planes.ravel(), bitorder="little"))


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_quantised_values_are_the_nearest_levels(bits):
    x = np.random.default_rng(4).standard_normal((1, 5000)) * 3.0
    codes = quantise(x, bits, 3.0)
    table = levels(bits).astype(float)
    near = np.abs(table[codes] - x / 3.0)
    inside = (x / 3.0 > table[0]) & (x / 3.0 < table[-1])
    rounding = 1e-4 * (table[1] - table[0]) * (50 if bits == 16 else 1)  # float32 of a level
    assert inside.mean() > 0.98
    assert near[inside].max() <= (table[1] - table[0]) / 2 + rounding


def test_two_bit_levels_are_filled_as_theory_says():
    x = np.random.default_rng(5).standard_normal((2, 200_000))
    sigma = np.array([1.0, 1.0])
    fractions = np.bincount(quantise(x, 2, sigma).ravel(), minlength=4) / x.size
    # beyond 0.9816 sigma on one side: 0.1631; 5 sigma of the binomial is 0.003
    assert np.abs(fractions - [0.1631, 0.3369, 0.3369, 0.1631]).max() < 0.003
    # the correlation coefficient that remains of unity is 0.8825 at the best (TMS table 8.1)
    decoded = levels(2)[quantise(x, 2, 1.0)]
    efficiency = np.mean(decoded * x) ** 2 / np.mean(decoded**2)
    assert efficiency == pytest.approx(0.8825, abs=0.003)


def test_what_cannot_be_quantised_is_refused():
    with pytest.raises(ConfigurationError, match="1 samples are not a number"):
        quantise(np.array([[0.0, np.nan]]), 2, 1.0)
    with pytest.raises(ConfigurationError, match="sigma must be positive"):
        quantise(np.zeros((1, 4)), 2, 0.0)
    with pytest.raises(ConfigurationError, match=r"samples\[np.newaxis\]"):
        quantise(np.zeros(4), 2, 1.0)
