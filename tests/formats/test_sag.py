"""The IVS' file of gravitational deformation: as its header describes it, and damaged."""

from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import FormatError, MissingDataError
from kitestring.formats.sag import read_sag
from kitestring.model.time import Epoch

# made by hand after the header of gravity_deform_model_v2023-01-24; the values are no antenna's
TEXT = """Version 2023-01-24
# This is the EXTRA delay introduced by deformation of the antenna.
WETTZELL 5 3.336
 0  0.0
 20 1.5   # mm\x85 with Windows' ellipsis, which str.splitlines takes for an end
 45 3.0
 70 3.5
 90 4.0

ONSALA60 4
EPOCH 20010101 20101231
 0  0.0
 30 10.0
 60 15.0
 90 20.0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "gravity.txt"
    path.write_text(text, encoding="latin-1")
    return path


def test_values_units_and_days(tmp_path: Path) -> None:
    first, second = read_sag(write(tmp_path, TEXT))
    assert (first.name, second.name) == ("WETTZELL", "ONSALA60")
    np.testing.assert_allclose(np.degrees(first.elevation), [0, 20, 45, 70, 90])
    # 3.336 ps/mm is 1/c to 1e-4
    np.testing.assert_allclose(
        first.delay * 299792458.0, [0, 1.5e-3, 3e-3, 3.5e-3, 4e-3], rtol=2e-4
    )
    np.testing.assert_allclose(second.delay, [0.0, 10e-12, 15e-12, 20e-12])
    assert first.start is None
    days = Epoch.from_iso(
        ["2000-12-31T23:59", "2001-01-01T00:00", "2010-12-31T23:59", "2011-01-01T00:00"]
    )
    assert second.holds(days).tolist() == [False, True, True, False]
    assert first.holds(days).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("WETTZELL 5 3.336", "WETTZELL five 3.336", "begins no antenna"),
        ("WETTZELL 5 3.336", "WETTZELL 5 mm", "not a number"),
        ("WETTZELL 5 3.336", "WETTZELL 6 3.336", "'ONSALA60' is not"),
        ("WETTZELL 5 3.336", "WETTZELL 4 3.336", "begins no antenna"),
        ("WETTZELL 5 3.336", "WETTZELL 5 3336", "factor"),
        ("20 1.5", "nan 1.5", "not a number"),
        ("20 1.5", "200 1.5", "ascending"),
        ("EPOCH 20010101 20101231", "EPOCH 20010101", "first and the last day"),
        ("EPOCH 20010101 20101231", "EPOCH 2001 2010", "YYYYMMDD"),
        (" 90 20.0\n", "", "4 points"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(FormatError, match=r"gravity\.txt:\d+") as caught:
        read_sag(write(tmp_path, TEXT.replace(old, new)))
    assert message in str(caught.value)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no antenna"):
        read_sag(write(tmp_path, "Version 2023-01-24\n# nothing\n"))
    with pytest.raises(MissingDataError, match=r"gravity_deform_model"):
        read_sag(tmp_path / "absent.txt")
