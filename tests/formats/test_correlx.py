"""CorrelX data sets: a real one, and small ones written here with every mistake."""

import numpy as np
import pytest

from kitestring.correlate.compare import compare_rows, normalised, rows_of
from kitestring.correlate.engine import correlate
from kitestring.errors import FormatError, MissingDataError, SpanError
from kitestring.formats.correlx import read_correlx, read_correlx_output
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording

NANOSECOND = 1e-9
PICOSECOND = 1e-12
BINS = 4

FILES = {
    "media.ini": """
[channels]
CH0 = 0
CH1 = 1

[frequencies]
CH0 = 3480.4e6
CH1 = 3448.4e6 ; upper edge

[polarizations]
X = 0
Y = 1

[files]
list = a.vdif,b.vdif

[a.vdif]
station = GS
channels = CH0:CH1
polarizations = X:Y
f_sample = 32e6
f_pcal = 5e6
o_pcal = 0
sidebands = L:L

[b.vdif]
station = K2
channels = CH0:CH1
polarizations = X:Y
f_sample = 32e6
sidebands = L:L
""",
    "stations.ini": """
[GS]
id = 0
clock_ref = 57350.5
clock_poly_us = 30.0:1e-6

[K2]
id = 1
clock_ref = 57350.5
clock_poly_us = -18.0
""",
    "sources.ini": "[1741-038]\nid = 0\n",
    "correlation.ini": f"[elements]\ncross_polarization = yes\n[computation]\nFFT = {BINS}\n",
    # out of order, and of different lengths
    "delay_model.ini": """
[57350-43300-43400-so0-st0]
delay_us = 15561.0:0.2
dry_us = 0.01
[57350-43200-43300-so0-st0]
delay_us = 15541.0:0.2:0.5
[57350-43200-43400-so0-st1]
delay_us = 14000.0
""",
    "OUT_s0_v0.out": "px-0.0-1.1-a.1.0.1-sxa467\t0.1 2048 c 0 3448400000.0 1.0 no 998074.1 "
    "(1+2j) (3-1j) (0j) (-1j)\n"
    "pcal-0.0-0.0-a.0.0.0-sxa374\t0.1 c 160 5000000 0 3480400000.0 1.0 no 998074.0 (0.1+0j)\n"
    "zR\tst=0.0,lti_stats=[559453,60416,0,0]\n",
}


@pytest.fixture
def folder(tmp_path):
    """Write a small data set; a keyword (file) = (old, new) puts a mistake into it."""

    def make(**edits):
        for name, text in FILES.items():
            old, new = edits.get(name.split(".")[0], ("", ""))
            assert old in text
            (tmp_path / name).write_text(text.replace(old, new) if old else text)
        return tmp_path

    return make


def test_channels_are_described_for_opening(folder):
    setup = read_correlx(folder())
    first, second = setup.recordings
    assert (first.station, second.station) == ("GS", "K2")
    assert [path.name for path in first.files] == ["a.vdif"]
    band = first.channels[1]
    # the frequency there is the upper edge of a band whose samples ascend
    assert band.sky_edges == (3416.4e6, 3448.4e6)
    assert (band.direction, band.complex, band.polarization) == (1, True, "Y")
    assert (first.tone_spacing, first.tone_offset) == (5e6, 0.0)
    assert second.tone_spacing == 0.0
    assert (setup.bins, setup.all_products) == (BINS, True)


def test_delays_and_clocks_change_sign_and_keep_their_zero(folder):
    model = read_correlx(folder()).model
    assert model.source == "1741-038"
    start = Epoch.from_iso("2015-11-24T12:00:00")
    gs = model.stations["GS"]
    t = np.array([0.0, 10.0, 150.0])
    expected = [-15541e-6, -15541e-6 - 2e-6 - 50e-6, -15561e-6 - 10e-6]
    assert gs.delay(start.shifted(t)) == pytest.approx(expected, abs=PICOSECOND)
    # powers of the clock count from clock_ref, here noon: the start of the pieces
    expected_clock = -30e-6 - 1e-12 * t
    assert gs.clock(start.shifted(t)) == pytest.approx(expected_clock, abs=PICOSECOND)
    assert model.stations["K2"].clock(start) == pytest.approx(18e-6, abs=PICOSECOND)


def test_a_clock_reference_before_the_pieces_moves_its_offset(folder):
    noon = "clock_ref = 57350.5\nclock_poly_us = 30.0"
    setup = read_correlx(folder(stations=(noon, noon.replace(".5", ".25"))))
    start = Epoch.from_iso("2015-11-24T12:00:00")
    expected = -30e-6 - 21600 * 1e-12  # a quarter of a day later
    assert setup.model.stations["GS"].clock(start) == pytest.approx(expected, abs=PICOSECOND)


def test_the_first_label_is_a_whole_number_of_samples(folder):
    setup = read_correlx(folder())
    start = Epoch.from_iso("2015-11-24T12:01:00")
    label = setup.first_label(start)
    total = float(setup.model.stations["GS"].total(label))
    assert abs(float(label.since(start)) + total) < 0.5 / 32e6 + NANOSECOND
    ticks = float(label.second) % 1 * 32e6
    assert ticks == pytest.approx(round(ticks), abs=1e-3)
    with pytest.raises(SpanError, match=r"delay_model\.ini: the recording of GS starts at 2020"):
        setup.first_label(Epoch.from_iso("2020-01-01T00:00:00"))


def test_rows_are_named_and_other_lines_passed_over(folder):
    setup = read_correlx(folder())
    output = read_correlx_output(setup)
    assert output.segments == 467
    ((key, values),) = output.rows.items()
    assert key == (3416.4e6, "GS", "K2", "XY")
    assert values.tolist() == [1 + 2j, 3 - 1j, 0, -1j]
    other = setup.directory / "other.out"
    other.write_text(FILES["OUT_s0_v0.out"].replace("px-0.0-1.1", "px-1.0-1.0"))
    assert next(iter(read_correlx_output(setup, other).rows))[1:] == ("K2", "K2", "XX")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"media": ("sidebands = L:L\n\n", "sidebands = L:U\n\n")}, "only L was ever compared"),
        ({"media": ("sidebands = L:L\n\n", "sidebands = L\n\n")}, "2 polarizations and 1 sideb"),
        ({"media": ("CH0 = 3480.4e6", "CH0 = many")}, r"media\.ini: \[frequencies\] CH0 = 'many'"),
        ({"media": ("CH0 = 0", "CH0 = 0.5")}, "is not a whole number"),
        ({"media": ("list = a.vdif", "files = a.vdif")}, r"\[files\] has no list"),
        ({"media": ("[files]", "[Files]")}, r"no section \[files\]"),
        ({"media": ("[files]", "[files")}, r"media\.ini: is not an \.ini file"),
        ({"media": ("station = K2", "station = Xx")}, "no station 'Xx'"),
        ({"stations": ("clock_ref = 57350.5", "clock_ref = 1:2")}, "holds 2 numbers instead of"),
        ({"sources": ("id = 0\n", "id = 0\n[3C273]\n")}, "there are 2 sources"),
        ({"delay_model": ("-st1]", "-st7]")}, r"no polynomial of station 1 \(K2\)"),
        (
            {"delay_model": ("[57350-43300-43400-so0-st0]", "[57350-43300-st0]")},
            "does not name day",
        ),
        ({"delay_model": ("43300-43400-so0", "43310-43410-so0")}, "does not follow"),
        ({"delay_model": ("43300-43400-so0", "43300-43500-so0")}, "another length than 100 s"),
    ],
)
def test_a_mistake_in_the_configuration_is_told_with_its_place(folder, edits, message):
    with pytest.raises(FormatError, match=message) as caught:
        read_correlx(folder(**edits))
    assert caught.value.place.endswith(".ini")
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("px-0.0-1.1", "px-0.0-2.1", "no channel, station or polarization numbered 2"),
        ("px-0.0-1.1", "px-0-1.1", "not a row"),
        ("(3-1j)", "(3-1k)", "not a row"),
        ("(3-1j)", "", "3 values, but the configuration asks for 4"),
        ("3448400000.0", "3480400000.0", r"has 3480.4 MHz here and 3448.4 MHz in"),
        ("sxa467", "467x", "not a row"),
        ("px-", "qx-", "no row of visibilities"),
    ],
)
def test_a_mistake_in_the_output_is_told_with_its_line(folder, old, new, message):
    setup = read_correlx(folder(OUT_s0_v0=(old, new)))
    with pytest.raises(FormatError, match=message) as caught:
        read_correlx_output(setup)
    assert "OUT_s0_v0.out" in caught.value.place
    assert caught.value.place.endswith(":1") or old == "px-"
    assert caught.value.next_step


def test_a_second_integration_is_refused(folder):
    text = FILES["OUT_s0_v0.out"]
    setup = read_correlx(folder(OUT_s0_v0=(text, text + text)))
    with pytest.raises(FormatError, match="one integration") as caught:
        read_correlx_output(setup)
    assert caught.value.place.endswith(":4")


@pytest.mark.parametrize("name", ["media.ini", "delay_model.ini", "correlation.ini"])
def test_a_file_that_is_absent_is_named(folder, name):
    directory = folder()
    (directory / name).unlink()
    with pytest.raises(MissingDataError, match=name):
        read_correlx(directory)


def test_an_output_that_is_absent_is_named(folder):
    setup = read_correlx(folder())
    with pytest.raises(MissingDataError, match=r"none\.out"):
        read_correlx_output(setup, setup.directory / "none.out")


def test_real_voltages_correlate_as_correlx_did(data_dir):
    setup = read_correlx(data_dir / "vgos-voltages")
    output = read_correlx_output(setup)
    assert len(output.rows) == 32 * 10
    assert len(setup.recordings[0].channels) == 64
    recordings = [
        open_recording(r.files, station=r.station, channels=r.channels) for r in setup.recordings
    ]
    start = setup.first_label(recordings[0].start)
    length = output.segments * setup.bins / recordings[0].sample_rate
    vis = correlate(
        recordings, setup.model, bins=setup.bins, start=start, stop=start.shifted(length),
        integration=length, products="all", baselines=[("GS", "GS"), ("GS", "K2"), ("K2", "K2")],
        quantisation="off",
    )  # fmt: skip
    ours = normalised(rows_of(vis))
    cross = {key: row for key, row in ours.items() if key[1] != key[2]}
    found = compare_rows(cross, normalised(output.rows))
    assert len(found.by_row) == 128
    # what is missing to 1: its other levels of two bits, and that it leaves the first
    # station's samples unturned (validation/vgos_voltages.py does as it does)
    assert abs(found.correlation - 1.0) < 1e-4
