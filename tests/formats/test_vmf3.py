"""Site-wise VMF3 files: values, several files, damage."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import FormatError, MissingDataError, SpanError
from kitestring.formats.vmf3 import read_vmf3
from kitestring.model.constants import C
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.model.troposphere import Troposphere

# The line of ALGOPARK is of TU Wien's 2022331.v3gr_r; the others are made after it
HEAD = "# site  mjd  ah  aw  zhd  zwd  p  t  e  Gn_h  Ge_h  Gn_w  Ge_w\n"
ALGOPARK = (
    "ALGOPARK  59910.00  0.00122958  0.00063003  2.2233  0.0747   975.20   7.33   5.43"
    "  -0.661  -0.008   0.053  -0.015\n"
)
LATER = ALGOPARK.replace("59910.00", "59910.25").replace("2.2233", "2.2333")
WETTZELL = ALGOPARK.replace("ALGOPARK", "WETTZELL").replace("-0.661", " 0.339")
PLAIN = "AGGO      61042.00  0.00126424  0.00043626  2.2940  0.1199  1005.73  22.79  16.62\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "2022331.v3gr_r"
    path.write_text(HEAD + ALGOPARK + WETTZELL + LATER)
    return path


class TestValues:
    def test_with_gradients(self, file: Path) -> None:
        table = read_vmf3(file)
        assert set(table.sites) == {"ALGOPARK", "WETTZELL"}
        air = table.sites["ALGOPARK"].at(Epoch.from_mjd(np.array([59910.0, 59910.125])))
        assert air.a_hydrostatic == pytest.approx([0.00122958] * 2, rel=1e-12)
        assert air.a_wet == pytest.approx([0.00063003] * 2, rel=1e-12)
        assert air.hydrostatic * C == pytest.approx([2.2233, 2.2283], abs=1e-9)
        assert air.wet * C == pytest.approx([0.0747] * 2, abs=1e-9)
        millimetres = np.array([-0.661, -0.008, 0.053, -0.015])
        assert air.gradients * C * 1e3 == pytest.approx(np.stack([millimetres] * 2), abs=1e-9)

    def test_without_gradients(self, tmp_path: Path) -> None:
        path = tmp_path / "2026002.vmf3_r.gz"
        path.write_bytes(gzip.compress(("! comment\n% another\n\n" + PLAIN).encode()))
        air = read_vmf3(path).sites["AGGO"].at(Epoch.from_mjd(np.array([61042.0])))
        assert air.gradients is None
        assert air.hydrostatic * C == pytest.approx([2.2940], abs=1e-9)

    def test_it_is_a_troposphere(self, file: Path, tmp_path: Path) -> None:
        table = read_vmf3(file, sites=["wettzell"])
        assert set(table.sites) == {"WETTZELL"}
        station = get_station("WETTZELL")
        dry, wet = Troposphere(sites=table).zenith_at(station, Epoch.from_mjd(np.array([59910.0])))
        assert (dry + wet) * C == pytest.approx([2.2233 + 0.0747], abs=1e-9)

    def test_days_that_follow_each_other(self, file: Path, tmp_path: Path) -> None:
        following = tmp_path / "2022332.v3gr_r"
        following.write_text(LATER + LATER.replace("59910.25", "59910.50"))
        site = read_vmf3([file, following]).sites["ALGOPARK"]
        assert site.epochs.mjd() == pytest.approx([59910.0, 59910.25, 59910.5])

    def test_nothing_across_a_gap(self, file: Path, tmp_path: Path) -> None:
        following = tmp_path / "2022333.v3gr_r"
        following.write_text(LATER.replace("59910.25", "59912.00"))
        site = read_vmf3([file, following]).sites["ALGOPARK"]
        with pytest.raises(SpanError, match=r"air over ALGOPARK .* in a gap of 42.0 h"):
            site.at(Epoch.from_mjd(np.array([59911.0])))


DAMAGE = {
    "a column too few": (ALGOPARK.replace("  -0.015", ""), "has 12 columns"),
    "no number": (ALGOPARK.replace("0.0747", "0.0x47"), "is not numbers"),
    "NaN": (ALGOPARK.replace("0.0747", "nan"), "is not numbers"),
    "another unit": (ALGOPARK.replace("2.2233", "2223.3"), "zenith hydrostatic delay"),
    "another column": (ALGOPARK.replace("0.00122958", "0.122958"), "a hydrostatic"),
    "a gradient": (ALGOPARK.replace("-0.661", "-66.1"), "a gradient exceeds 20 mm"),
    "no date": (ALGOPARK.replace("59910.00", "2459910.5"), "no MJD"),
    "twice": (ALGOPARK + ALGOPARK.replace("2.2233", "2.2234"), "twice, with other values"),
}


class TestDamage:
    @pytest.mark.parametrize("kind", DAMAGE)
    def test_file_and_line(self, tmp_path: Path, kind: str) -> None:
        text, message = DAMAGE[kind]
        path = tmp_path / "bad.v3gr_r"
        path.write_text(HEAD + WETTZELL + text)
        with pytest.raises(FormatError, match=message) as error:
            read_vmf3(path)
        assert error.value.place == f"bad.v3gr_r:{4 if kind == 'twice' else 3}"
        assert error.value.next_step

    def test_gradients_at_some_epochs_only(self, tmp_path: Path) -> None:
        path = tmp_path / "mixed"
        plain = " ".join(LATER.split()[:9]) + "\n"
        path.write_text(ALGOPARK + plain)
        with pytest.raises(FormatError, match="gradients at some epochs only"):
            read_vmf3(path)

    @pytest.mark.parametrize("size", [0, 20, 60])
    def test_a_gzip_that_is_cut(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "cut.gz"
        path.write_bytes(gzip.compress((ALGOPARK + WETTZELL).encode())[:size])
        with pytest.raises((FormatError, MissingDataError), match=r"cut.gz"):
            read_vmf3(path)

    def test_what_is_not_there(self, file: Path, tmp_path: Path) -> None:
        with pytest.raises(MissingDataError, match=r"nothing of KOKEE"):
            read_vmf3(file, sites=["KOKEE", "WETTZELL"])
        with pytest.raises(MissingDataError, match="cannot be read"):
            read_vmf3(tmp_path / "absent")

    def test_anything_is_told(self, tmp_path: Path) -> None:
        """Bytes changed at random: it is read, or the error is one of ours."""
        told = []
        draw = np.random.default_rng(1)
        clean = (HEAD + ALGOPARK + WETTZELL + LATER).encode()
        for _ in range(300):
            damaged = bytearray(clean)
            for place in draw.integers(0, len(damaged), 3):
                damaged[place] = draw.integers(0, 256)
            path = tmp_path / "random"
            path.write_bytes(damaged[: draw.integers(1, len(damaged))])
            try:
                read_vmf3(path)
            except (FormatError, MissingDataError) as error:
                told.append(error)
        assert told
        assert all(error.place and error.next_step for error in told)
