"""Ocean loading files: a site by hand, and every kind of damage told with its line."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitestring.errors import FormatError, KitestringError, MissingDataError
from kitestring.formats.blq import read_blq

# The usual layout; the numbers are an example's
ONSALA = """$$ Ocean loading displacement
$$ COLUMN ORDER:  M2  S2  N2  K2  K1  O1  P1  Q1  MF  MM SSA
$$ END HEADER
$$
  ONSALA
$$ Complete FES99
$$ ONSALA,                     RADI TANG  lon/lat:   11.9264   57.3958    0.000
  .00352 .00123 .00080 .00032 .00187 .00112 .00063 .00003 .00082 .00044 .00037
  .00144 .00035 .00035 .00008 .00053 .00049 .00018 .00009 .00012 .00005 .00006
  .00086 .00023 .00023 .00006 .00029 .00028 .00010 .00007 .00004 .00002 .00001
   -64.7  -52.0  -96.2  -55.2  -58.8 -151.4  -65.6 -138.1    8.4    5.2    2.1
    85.5  114.5   56.5  113.6   99.4   19.1   94.1  -10.4 -167.4 -170.0 -177.7
   109.5  147.0   92.7  148.8   50.5  -55.1   36.4 -170.4  -15.0    2.3    5.2
$$ END TABLE
"""


def write(path, text):
    file = path / "load.blq"
    file.write_text(text)
    return file


def test_a_site_by_hand(tmp_path):
    table = read_blq(write(tmp_path, ONSALA))
    assert table.origin == "load.blq"
    (site,) = table.sites
    assert site.name == "ONSALA"
    assert site.amplitude[0, 0] == 0.00352  # M2 up
    assert site.amplitude[1, 5] == 0.00049  # O1 west
    assert site.amplitude[2, 10] == 0.00001  # SSA south
    assert np.degrees(site.phase[2, 4]) == pytest.approx(50.5)
    assert np.degrees([site.longitude, site.latitude]) == pytest.approx([11.9264, 57.3958])


def test_gzipped_or_without_a_place(tmp_path):
    text = "\n".join(line for line in ONSALA.splitlines() if "lon/lat" not in line)
    file = tmp_path / "load.blq.gz"
    file.write_bytes(gzip.compress(text.encode()))
    (site,) = read_blq(file).sites
    assert site.longitude is None


def test_a_site_may_stand_twice_with_the_same_values(tmp_path):
    assert len(read_blq(write(tmp_path, ONSALA + ONSALA)).sites) == 1
    with pytest.raises(FormatError, match=r"load.blq:19: ONSALA is there twice"):
        read_blq(write(tmp_path, ONSALA + ONSALA.replace("-64.7", "-64.8")))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (".00123 .00080", ".00123x.00080", "load.blq:8: is not a row of 11 amplitudes"),
        ("  147.0   92.7", "  147.0", "load.blq:13: is not a row of 11 phases"),
        (" .00352", " 3.52", "load.blq:8: holds a value that is none of amplitudes"),
        (" .00352", " nan", "load.blq:8: is not a row"),
        (" .00352", " -.00352", "load.blq:8: holds a value"),
        ("-170.4  -15.0", "-470.4  -15.0", "load.blq:13: holds a value that is none of phases"),
        ("57.3958", "157.3958", "load.blq:7: .* no place on Earth"),
        ("57.3958", "north", "load.blq:7: .* no place on Earth"),
    ],
)
def test_damage_is_told_with_its_line(tmp_path, old, new, told):
    assert old in ONSALA
    with pytest.raises(FormatError, match=told) as caught:
        read_blq(write(tmp_path, ONSALA.replace(old, new, 1)))
    assert caught.value.next_step


def test_cut_empty_and_absent_files(tmp_path):
    cut = "\n".join(ONSALA.splitlines()[:-3])
    with pytest.raises(FormatError, match=r"load.blq:5: ONSALA has 4 of 6 rows"):
        read_blq(write(tmp_path, cut))
    with pytest.raises(FormatError, match="holds no site"):
        read_blq(write(tmp_path, "$$ nothing\n"))
    with pytest.raises(MissingDataError, match="nowhere"):
        read_blq(tmp_path / "nowhere.blq")
    file = tmp_path / "cut.gz"
    file.write_bytes(gzip.compress(ONSALA.encode())[:40])
    with pytest.raises(KitestringError, match=r"cut.gz"):
        read_blq(file)
    damaged = bytearray(gzip.compress(ONSALA.encode()))
    damaged[40:60] = bytes(each ^ 0xFF for each in damaged[40:60])
    file.write_bytes(damaged)  # zlib has an error of its own for this
    with pytest.raises(FormatError, match=r"cut.gz: cannot be unpacked"):
        read_blq(file)


@given(st.integers(0, len(ONSALA) - 1), st.characters(codec="latin-1"))
def test_any_damage_is_told_or_harmless(tmp_path_factory, at, letter):
    file = tmp_path_factory.mktemp("blq") / "load.blq"
    file.write_bytes((ONSALA[:at] + letter + ONSALA[at + 1 :]).encode("latin-1"))
    try:
        sites = read_blq(file).sites
    except FormatError as problem:
        told = str(problem)
    else:
        told = ""
        assert len(sites) == 1
    assert not told or told.startswith("load.blq")
