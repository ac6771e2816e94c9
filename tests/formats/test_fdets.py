"""Fdets: frequencies of a carrier from PRIDE's software."""

import numpy as np
import pytest

from kitestring.errors import FormatError, FormatWarning, MissingDataError
from kitestring.formats.fdets import read_fdets
from kitestring.model.observable import Kind

BASE = 8400.49e6
HEADER = """# Observation conducted on 2020.05.29 at Ef rev. 2
# Base frequency: 0.00 MHz dF: 0.2 Hz dT: 0.00025 s
# Format: Modified JD | Time(UTC) [s] | SNR | Spectral max | Freq. detection [Hz] | Noise [Hz]
#
"""
ROWS = """5.8998e+04 3.1205e+04 6.6e+02 3.9e+02 3.967805057977636810e+06 3.5e-03
5.8998e+04 3.1215e+04 7.5e+02 4.3e+02 3.967798729316501878e+06 2.6e-03
"""
WHO = {
    "station": "Ef",
    "spacecraft": "InSight",
    "transmitter": "DSS-55",
    "turnaround": 880 / 749,
    "base_frequency": BASE,
}


def read(tmp_path, text, **more):
    path = tmp_path / "Fdets.txt"
    path.write_text(text)
    return read_fdets(path, **(WHO | more))


def test_a_row_is_a_sky_frequency_at_the_middle_of_its_count(tmp_path):
    found = read(tmp_path, HEADER + ROWS)
    assert found.kind is Kind.DOPPLER
    assert found.path.participants == ("DSS-55", "InSight", "Ef")
    assert (found.path.uplink_band, found.path.turnaround) == ("X", 880 / 749)
    assert found.epoch[0].iso(1) == "2020-05-29T08:40:05.0"
    assert found.value[0] == BASE + 3.967805057977636810e06
    assert (found.count[0], found.epoch_reference) == (10.0, "middle")
    assert np.all(np.isnan(found.sigma))
    assert np.all(read(tmp_path, ROWS, sigma=5e-3, count=2.0).sigma == 5e-3)


def test_the_argument_wins_over_the_header_aloud(tmp_path):
    text = HEADER.replace("0.00 MHz", "8412.00 MHz") + ROWS
    with pytest.warns(FormatWarning, match=r"txt:2: the header states .* 8412000000 Hz"):
        found = read(tmp_path, text)
    assert found.value[0] == BASE + 3.967805057977636810e06
    read(tmp_path, HEADER.replace("0.00 MHz", "8400.49 MHz") + ROWS)  # no warning


@pytest.mark.parametrize("stated", ["---", ".", "e", "1.2.3", "", "-"])
def test_a_header_without_a_number_states_nothing(stated, tmp_path):
    found = read(tmp_path, HEADER.replace("0.00 MHz", f"{stated} MHz") + ROWS)
    assert found.value[0] == BASE + 3.967805057977636810e06


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("2.6e-03", "", 6, "6 numbers"),
        ("2.6e-03", "much", 6, "6 numbers"),
        ("2.6e-03", "nan", 6, "6 numbers"),
        ("3.1215e+04", "9.1215e+04", 6, "second"),
        ("5.8998e+04 3.1205", "5.89985e+04 3.1205", 5, "day"),
        ("5.8998e+04 3.1205", "1e30 3.1205", 5, "1972 to 2100"),
        ("5.8998e+04 3.1205", "-5.8998e+04 3.1205", 5, "1972 to 2100"),
    ],
)
def test_a_bad_row_is_refused_at_its_line(old, new, line, word, tmp_path):
    assert old in ROWS
    with pytest.raises(FormatError, match=word) as caught:
        read(tmp_path, HEADER + ROWS.replace(old, new))
    assert caught.value.place.endswith(f"Fdets.txt:{line}")


def test_files_that_hold_nothing_are_refused(tmp_path):
    with pytest.raises(FormatError, match="no rows"):
        read(tmp_path, HEADER)
    with pytest.raises(MissingDataError):
        read_fdets(tmp_path / "none.txt", **WHO)


def test_the_evns_files_are_read(data_dir):
    files = sorted((data_dir / "insight/ED045C").glob("Fdets.*.txt"))
    sizes = [len(read_fdets(path, **WHO)) for path in files]
    assert sizes == [113, 59, 113, 113, 59]
