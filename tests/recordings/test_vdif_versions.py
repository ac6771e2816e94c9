"""Every kind of VDIF: header versions, bits, channels, threads, beside another reader."""

import struct
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kitestring.errors import RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings.describe import describe
from kitestring.recordings.open import open_recording
from kitestring.recordings.quantise import levels
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif import VdifRecording, VdifWriter
from kitestring.recordings.vdif_header import VdifHeader

START = Epoch.from_iso("2024-03-01T12:00:00")
ISO = "2024-03-01T12:00:00"


def make_channels(count, is_complex=False, rate=1e6):
    return [Channel(f"CH{i:02d}", 8.4e9, 1, rate, is_complex) for i in range(count)]


def values(bits, shape, is_complex, seed=1):
    table = levels(bits)
    generator = np.random.default_rng(seed)
    x = table[generator.integers(0, 1 << bits, shape)]
    return x + 1j * table[generator.integers(0, 1 << bits, shape)] if is_complex else x


@pytest.fixture
def vdif():
    return pytest.importorskip("baseband.vdif", reason="baseband is not installed")


MATRIX = [
    (bits, is_complex, in_frame, threads, edv)
    for bits in (1, 2, 4, 8)
    for is_complex in (False, True)
    for in_frame, threads in ((1, 1), (1, 3), (4, 1), (4, 2), (16, 1))
    for edv in (False, 0, 1, 3)
    if edv != 3 or in_frame == 1  # version 3 has one channel a thread
]


@pytest.mark.parametrize(("bits", "is_complex", "in_frame", "threads", "edv"), MATRIX)
def test_what_another_writer_wrote(tmp_path, vdif, bits, is_complex, in_frame, threads, edv):
    from astropy import units
    from astropy.time import Time

    payload = 1000 if edv == 3 else 640
    frame = 8 * payload // (bits * (1 + is_complex) * in_frame)
    rate = 100.0 * frame  # whole kHz, which the header needs
    header = vdif.VDIFHeader.fromvalues(
        edv=edv, time=Time(ISO), bps=bits, nchan=in_frame, complex_data=is_complex,
        frame_nbytes=payload + (16 if edv is False else 32), station="Sh",
        **({"sample_rate": rate * units.Hz} if edv in (1, 3) else {}),
    )  # fmt: skip
    data = values(bits, (5 * frame, threads, in_frame), is_complex)
    path = tmp_path / "b.vdif"
    with vdif.open(
        path, "ws", header0=header, sample_rate=rate * units.Hz, nthread=threads, squeeze=False
    ) as out:
        out.write(data)
    channels = make_channels(threads * in_frame, is_complex, rate)
    recording = open_recording(path, station="Sh", channels=channels)
    assert recording.start.iso(9) == f"{ISO}.000000000"
    block = recording.read(0, 5 * frame)
    assert block.valid.all()
    assert_array_equal(block.samples, data.reshape(len(data), -1).T)
    stated = recording.index.header.header_rate
    assert stated == (rate if edv in (1, 3) else None)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize(("count", "threads"), [(4, False), (16, False), (6, True)])
@pytest.mark.parametrize("edv", [None, 0, 1])
def test_what_another_reader_reads(tmp_path, vdif, bits, is_complex, count, threads, edv):
    from astropy import units

    channels = make_channels(count, is_complex, 512e3)
    path = tmp_path / "a.vdif"
    codes = np.random.default_rng(3).integers(0, 1 << bits, (count, 20480), dtype=np.uint8)
    with VdifWriter(
        path, station="Tm", start=START, channels=channels, bits=bits, payload_bytes=640,
        threads=threads, edv=edv,
    ) as writer:  # fmt: skip
        writer.write_codes(codes)
    recording = open_recording(path, station="Tm", channels=channels)
    assert not recording.counts.harmed
    with vdif.open(path, "rs", sample_rate=512e3 * units.Hz, squeeze=False) as other:
        theirs = other.read()
    ours = recording.read(0, len(theirs))
    assert ours.valid.all()
    assert_array_equal(ours.samples, theirs.reshape(len(theirs), -1).T)


@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("count", [1, 4, 16])
def test_mark5b_samples_in_vdif(tmp_path, vdif, bits, count):
    """Extended data version 0xAB: the samples are sign and magnitude."""
    mark5b = pytest.importorskip("baseband.mark5b")
    from astropy import units
    from astropy.time import Time

    per_frame = 80000 // (bits * count)
    rate = 10.0 * per_frame
    data = values(bits, (12 * per_frame, count), False)
    path = tmp_path / "m.vdif"
    with path.open("wb") as file:
        for frame in range(12):
            number = (5 + frame) % 10
            when = Time(ISO) + (5 + frame) // 10 * units.s
            inner = mark5b.Mark5BHeader.fromvalues(time=when, kday=60000)
            inner["frame_nr"] = number
            header = vdif.VDIFHeader.from_mark5b_header(
                inner, bps=bits, nchan=count, sample_rate=rate * units.Hz
            )
            header["frame_nr"] = number
            part = data[frame * per_frame : (frame + 1) * per_frame]
            payload = vdif.VDIFPayload.fromdata(part, header=header)
            header.tofile(file)
            payload.tofile(file)
    with path.open("rb") as file:
        first = vdif.VDIFHeader.fromfile(file, verify=False)
        theirs = vdif.VDIFPayload.fromfile(file, header=first).data
    assert_array_equal(theirs, data[:per_frame])
    recording = open_recording(path, station="Ef", channels=make_channels(count, False, rate))
    assert recording.start.iso(6) == "2024-03-01T12:00:00.500000"
    assert_array_equal(recording.read(0, len(data)).samples, data.T)
    codes, _ = recording.read_codes(0, 100)
    assert_array_equal(levels(bits)[codes], data[:100].T)
    assert "171" in describe(path).survey.layout


def test_files_that_come_with_another_reader():
    baseband = pytest.importorskip("baseband.data", reason="baseband is not installed")
    from baseband import vdif

    for path, edv, count, bits, rate in (
        (baseband.SAMPLE_VDIF, 3, 8, 2, 32e6),
        (baseband.SAMPLE_BPS1_VDIF, 0, 16, 1, None),
        (baseband.SAMPLE_MWA_VDIF, 0, 2, 8, None),
        (baseband.SAMPLE_AROCHIME_VDIF, 0, 2048, 4, None),
    ):
        survey = describe(path).survey
        assert (survey.channel_count, survey.bits) == (count, bits)
        assert f"extended data version {edv}" in survey.layout or "legacy" in survey.layout
        if rate is not None:
            assert survey.sample_rate == rate
        with vdif.open(path, "rb") as file:
            header = file.read_frame().header
        samples = header.samples_per_frame
        rate = rate or float(samples * 400_000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            recording = open_recording(
                path, station="X", sample_rate=rate,
                channels=make_channels(count, bool(header["complex_data"]), rate),
            )  # fmt: skip
        with vdif.open(path, "rb") as file:
            frames = file.read_frameset().data
        block = recording.read(0, samples)
        whole = block.valid.all(axis=1)
        assert whole.any()
        assert_array_equal(block.samples[whole], frames.reshape(samples, -1).T[whole])


def merged_frames(masks, mask_bits=2, channels=4, frames=8):
    """Frames of merged threads (extended data version 4), with a mask each."""
    samples = 64
    codes = np.random.default_rng(7).integers(0, 4, (frames, samples, channels), dtype=np.uint8)
    out = b""
    for k, mask in enumerate(masks):
        header = VdifHeader(
            False, False, 100, 40, k, 0, channels, 32 + samples * channels // 4, 2, False, 0,
            0x546D, 4, extended=(4 << 24 | mask_bits << 16, 0xACABFEED, mask, 0),
        )  # fmt: skip
        flat = codes[k].reshape(-1, 4).astype(np.uint8)
        packed = flat[:, 0] | flat[:, 1] << 2 | flat[:, 2] << 4 | flat[:, 3] << 6
        out += header.words().tobytes() + packed.astype(np.uint8).tobytes()
    return out, codes


def test_validity_masks_of_merged_threads(tmp_path):
    masks = [0b11, 0b11, 0b01, 0b10, 0b00, 0b11, 0b11, 0b11]
    data, codes = merged_frames(masks)
    path = tmp_path / "merged.vdif"
    path.write_bytes(data)
    channels = make_channels(4, rate=64 * 8.0)
    with pytest.warns(RecordingWarning, match="1 invalid, 2 partly invalid"):
        recording = VdifRecording(path, station="Tm", channels=channels)
    assert recording.index.header.header_rate is None  # the mask's length is no sample rate
    found, valid = recording.read_codes(0, 8 * 64)
    expected = np.array([[m >> c // 2 & 1 for m in masks] for c in range(4)], dtype=bool)
    assert_array_equal(valid, np.repeat(expected, 64, axis=1))
    truth = codes.reshape(-1, 4).T
    assert_array_equal(found, np.where(valid, truth, 0))
    # a window that begins and ends inside frames, of channels in another order
    some, good = recording.read_codes(100, 200, channels=(3, 0))
    assert_array_equal(good, valid[[3, 0], 100:300])
    assert_array_equal(some, found[[3, 0], 100:300])


def test_a_mask_that_does_not_fit_the_channels(tmp_path):
    data, _ = merged_frames([7] * 4, mask_bits=3)
    path = tmp_path / "merged.vdif"
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="a validity mask of 3 bits for 4 channels"):
        open_recording(path, station="Tm", channels=make_channels(4, rate=512.0))


@pytest.mark.parametrize(("edv", "byte"), [(1, 16), (1, 17), (1, 21), (3, 18), (3, 22)])
def test_extended_data_that_change_within_a_file(tmp_path, edv, byte):
    """The sample rate and the fixed word are the same in all frames: another is damage."""
    path = tmp_path / "a.vdif"
    channels = make_channels(1, rate=400e3)
    with VdifWriter(
        path, station="Tm", start=START, channels=channels, bits=2, payload_bytes=1000, edv=edv
    ) as writer:
        writer.write_codes(np.ones((1, 10 * writer.frame_samples), np.uint8))
    data = bytearray(path.read_bytes())
    data[4 * 1032 + byte] ^= 0x10
    path.write_bytes(data)
    with pytest.warns(RecordingWarning, match="1 damaged"):
        recording = open_recording(path, station="Tm", channels=channels)
    valid = recording.read(0, 40000).valid.reshape(10, 4000).all(axis=1)
    assert_array_equal(np.flatnonzero(~valid), [4])


def test_alma_headers(tmp_path):
    """Version 2 carries polarization and a packet number, which may differ from frame to frame."""
    out = b""
    for k in range(8):
        words = (4 * k & 1 | 0xA5EA5 << 4 | 2 << 24, 0, k, 0)
        header = VdifHeader(
            False, False, 100, 40, k // 2, 0, 1, 96, 2, False, k % 2, 0x4141, 2, extended=words
        )
        out += header.words().tobytes() + bytes([k]) * 64
    path = tmp_path / "alma.vdif"
    path.write_bytes(out)
    recording = open_recording(path, station="Aa", channels=make_channels(2, rate=256 * 4.0))
    assert recording.counts.frames == 8
    assert not recording.counts.harmed
    assert "extended data version 2" in describe(path).survey.layout


@pytest.mark.parametrize("payload", [8, 16, 24, 1000, 5000, 8200, 131072])
def test_frames_of_any_length(tmp_path, payload):
    samples = payload * 4
    channels = make_channels(2, rate=float(samples * 20))
    codes = np.random.default_rng(5).integers(0, 4, (2, 30 * samples), dtype=np.uint8)
    path = tmp_path / "a.vdif"
    with VdifWriter(
        path, station="Tm", start=START, channels=channels, bits=2, payload_bytes=payload
    ) as writer:
        writer.write_codes(codes)
    recording = open_recording(path, station="Tm", channels=channels)
    found, valid = recording.read_codes(0, 30 * samples)
    assert valid.all()
    assert_array_equal(found, codes)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda h: struct.pack_into("<I", h, 12, 4 << 26 | 0x546D), "5 bits a sample"),
        (lambda h: struct.pack_into("<I", h, 8, 12 | 3 << 29), "VDIF version 3|no VDIF"),
    ],
)
def test_headers_that_cannot_be_used(tmp_path, change, match):
    header = VdifHeader(False, False, 100, 40, 0, 1, 1, 96, 2, False, 0, 0x546D, 0)
    out = b""
    for k in range(6):
        words = bytearray(header.words().tobytes())
        change(words)
        words[4] = k
        out += bytes(words) + bytes(64)
    path = tmp_path / "a.vdif"
    path.write_bytes(out)
    with pytest.raises(RecordingError, match=match) as caught:
        open_recording(path, station="Tm", channels=make_channels(1, rate=2560.0))
    assert str(path) in str(caught.value)
    assert caught.value.next_step
