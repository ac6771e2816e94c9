"""IONEX files: grid, exponents, gaps, RMS maps, damage; written from the format's text."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import FormatError, MissingDataError
from kitestring.formats.ionex import read_ionex
from kitestring.model.time import Epoch

TECU = 1e16
LATITUDES = np.arange(60.0, -61.0, -30.0)
LONGITUDES = np.arange(-180.0, 181.0, 20.0)  # 19 values: two lines


def row(text: str, label: str) -> str:
    return f"{text:<60}{label:<20}\n"


def six(*values: float) -> str:
    return "  " + "".join(f"{value:6.1f}" for value in values)


def header(maps: int = 2, exponent: int | None = None, **more: str) -> str:
    lines = {
        "IONEX VERSION / TYPE": "     1.0            IONOSPHERE MAPS     GPS",
        "EPOCH OF FIRST MAP": "  2026     1     1     0     0     0",
        "INTERVAL": "  7200",
        "# OF MAPS IN FILE": f"{maps:6d}",
        "MAPPING FUNCTION": "  COSZ",
        "BASE RADIUS": "  6371.0",
        "MAP DIMENSION": "     2",
        "HGT1 / HGT2 / DHGT": six(450.0, 450.0, 0.0),
        "LAT1 / LAT2 / DLAT": six(60.0, -60.0, -30.0),
        "LON1 / LON2 / DLON": six(-180.0, 180.0, 20.0),
    }
    if exponent is not None:
        lines["EXPONENT"] = f"{exponent:6d}"
    lines |= more
    lines["COMMENT"] = "by hand"
    return "".join(row(text, label) for label, text in lines.items()) + row("", "END OF HEADER")


def grid(first: int) -> np.ndarray:
    j, k = np.meshgrid(np.arange(len(LATITUDES)), np.arange(len(LONGITUDES)), indexing="ij")
    return first + 100 * j + k


def one_map(number: int, values: np.ndarray, hour: int, kind: str = "TEC") -> str:
    text = row(f"{number:6d}", f"START OF {kind} MAP")
    text += row(f"  2026     1     1{hour:6d}     0     0", "EPOCH OF CURRENT MAP")
    for latitude, line in zip(LATITUDES, values, strict=True):
        text += row(six(latitude, -180.0, 180.0, 20.0, 450.0), "LAT/LON1/LON2/DLON/H")
        words = [f"{value:5d}" for value in line]
        text += "".join(words[:16]) + "\n" + "".join(words[16:]) + "\n"
    return text + row(f"{number:6d}", f"END OF {kind} MAP")


def whole(exponent: int | None = None) -> str:
    tec = one_map(1, grid(10), 22) + one_map(2, grid(50), 24)
    rms = one_map(1, grid(5), 22, "RMS") + one_map(2, grid(6), 24, "RMS")
    return header(exponent=exponent) + tec + rms + row("", "END OF FILE")


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "test.26i"
        path.write_text(text)
        return path

    return write


class TestValues:
    @pytest.mark.parametrize(("exponent", "scale"), [(None, 0.1), (-1, 0.1), (0, 1.0), (-3, 1e-3)])
    def test_grid_and_exponent(self, write, exponent, scale) -> None:
        found = read_ionex(write(whole(exponent)))
        assert np.degrees(found.latitude) == pytest.approx(LATITUDES[::-1])
        assert np.degrees(found.longitude) == pytest.approx(LONGITUDES)
        assert found.tec == pytest.approx(
            scale * TECU * np.stack([grid(10)[::-1], grid(50)[::-1]]), rel=1e-12
        )
        assert found.rms == pytest.approx(
            scale * TECU * np.stack([grid(5)[::-1], grid(6)[::-1]]), rel=1e-12
        )
        assert (found.height, found.radius) == (450e3, 6371e3)

    def test_hour_24_is_the_next_day(self, write) -> None:
        epochs = read_ionex(write(whole())).epochs
        assert epochs.to("utc").iso_list(0) == ["2026-01-01T22:00:00", "2026-01-02T00:00:00"]

    def test_content_between(self, write) -> None:
        """Half way, the first map lies 15 degrees further west, the second 15 further east."""
        found = read_ionex(write(whole()))
        epoch = Epoch.from_iso(["2026-01-01T23:00:00"])
        value, error = found.vertical(epoch, np.radians([5.0]), np.radians([0.0]))
        first = 10 + 200 + (5.0 + 15.0 + 180.0) / 20.0
        second = 50 + 200 + (5.0 - 15.0 + 180.0) / 20.0
        assert value == pytest.approx(0.1 * TECU * (first + second) / 2.0, rel=1e-12)
        assert error == pytest.approx(value - 0.1 * TECU * (60 - 11) / 2.0, rel=1e-12)

    def test_no_value(self, write) -> None:
        values = grid(10)
        values[1, 3] = 9999
        text = header(1) + one_map(1, values, 0) + row("", "END OF FILE")
        found = read_ionex(write(text))
        assert np.isnan(found.tec[0, 3, 3])
        assert np.isnan(found.tec).sum() == 1
        assert found.rms is None

    def test_exponent_between_maps_and_heights(self, write) -> None:
        heights = one_map(1, grid(400), 0, "HEIGHT")
        text = header(2) + one_map(1, grid(10), 0) + row("     0", "EXPONENT")
        text += one_map(2, grid(10), 2) + heights + row("", "END OF FILE")
        found = read_ionex(write(text))
        assert found.tec[1] == pytest.approx(10.0 * found.tec[0])

    def test_gzip(self, tmp_path: Path, write) -> None:
        path = tmp_path / "test.26i.gz"
        path.write_bytes(gzip.compress(whole().encode()))
        assert np.array_equal(read_ionex(path).tec, read_ionex(write(whole())).tec)


class TestSeveralFiles:
    """Two days: 22 and 24 h, then 0 and 2 h of the next."""

    @pytest.fixture
    def days(self, tmp_path: Path) -> list[Path]:
        def day(number: int, first: int, hours: tuple[int, int]) -> Path:
            maps = [
                one_map(k + 1, grid(first + 100 * k), hour, kind)
                for kind in ("TEC", "RMS")
                for k, hour in enumerate(hours)
            ]
            text = header() + "".join(maps) + row("", "END OF FILE")
            path = tmp_path / f"{number}.26i"
            path.write_text(text.replace("  2026     1     1  ", f"  2026     1{number:6d}  "))
            return path

        return [day(1, 10, (22, 24)), day(2, 500, (0, 2)), day(3, 700, (0, 2))]

    def test_they_follow_each_other_in_any_order(self, days) -> None:
        found, one = read_ionex([days[1], days[0]]), read_ionex(days[1])
        assert found.epochs.to("utc").iso_list(0) == [
            "2026-01-01T22:00:00",
            "2026-01-02T00:00:00",
            "2026-01-02T02:00:00",
        ]
        # at midnight the later file counts
        assert np.array_equal(found.tec[1:], one.tec)
        assert np.array_equal(found.rms[1:], one.rms)
        assert np.array_equal(found.tec[0], read_ionex(days[0]).tec[0])
        assert found.origin == "1.26i, 2.26i"
        assert np.array_equal(read_ionex([days[1]]).tec, one.tec)

    def test_none(self) -> None:
        with pytest.raises(MissingDataError, match="no IONEX file"):
            read_ionex([])

    def test_what_does_not_follow(self, days, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match=r"3\.26i: it leaves a gap behind 2\.26i"):
            read_ionex(days)
        with pytest.raises(FormatError, match=r"2\.26i: it begins with 2\.26i"):
            read_ionex([days[1], days[1]])
        other = tmp_path / "other.26i"
        other.write_text(days[1].read_text().replace("  6371.0", "  6378.0"))
        with pytest.raises(FormatError, match=r"other\.26i: it has another grid"):
            read_ionex([days[0], other])


def changed(old: str, new: str, count: int = 1) -> str:
    text = whole()
    assert old in text
    return text.replace(old, new, count)


DAMAGE = {
    "another file": (lambda: "CCSDS_TDM_VERS = 1.0\n", "is not an IONEX file"),
    "no end of the header": (lambda: header().replace("END OF HEADER", ""), "has no end"),
    "no radius": (lambda: changed("BASE RADIUS", "COMMENT    "), "no BASE RADIUS"),
    "another planet": (lambda: changed("  6371.0", "  3389.5"), "is not the Earth's"),
    "no grid": (lambda: changed(six(60.0, -60.0, -30.0), six(60.0, -60.0, -25.0)), "is no grid"),
    "no step": (lambda: changed(six(60.0, -60.0, -30.0), six(60.0, -60.0, 0.0)), "is no grid"),
    "layers": (lambda: changed(six(450.0, 450.0, 0.0), six(300.0, 450.0, 50.0)), "not one thin"),
    "a map too few": (
        lambda: (
            header(3) + one_map(1, grid(1), 0) + one_map(2, grid(1), 2) + row("", "END OF FILE")
        ),
        "holds 2 TEC maps of 3",
    ),
    "no value": (lambda: changed("   10   11", "   10  x11"), "values of five columns"),
    "NaN": (lambda: changed("   10   11", "   10  nan"), "values of five columns"),
    "a row too few": (
        lambda: (
            header(1)
            + one_map(1, grid(10), 0).replace(
                six(30.0, -180.0, 180.0, 20.0, 450.0), six(60.0, -180.0, 180.0, 20.0, 450.0)
            )
            + row("", "END OF FILE")
        ),
        "without its epoch or some of its rows",
    ),
    "a row of another grid": (
        lambda: changed(
            six(30.0, -180.0, 180.0, 20.0, 450.0), six(31.0, -180.0, 180.0, 20.0, 450.0)
        ),
        "is not of",
    ),
    "no epoch": (
        lambda: changed("  2026     1     1    22", "  2026    13     1    22"),
        "no epoch",
    ),
    "epochs that run back": (
        lambda: header(2) + one_map(1, grid(1), 2) + one_map(2, grid(1), 0),
        "do not increase",
    ),
    "one RMS map": (
        lambda: (
            header(2)
            + one_map(1, grid(1), 0)
            + one_map(2, grid(1), 2)
            + one_map(1, grid(1), 0, "RMS")
        ),
        "1 RMS maps that are not of the epochs of its 2",
    ),
    "RMS maps of another time": (
        lambda: header(1) + one_map(1, grid(1), 0) + one_map(1, grid(1), 2, "RMS"),
        "1 RMS maps that are not of the epochs of its 1",
    ),
    "no maps": (lambda: header(0) + row("", "END OF FILE"), "0 TEC maps"),
    "a wild exponent": (lambda: whole(99), "an exponent of 99"),
}


class TestDamage:
    @pytest.mark.parametrize("kind", DAMAGE)
    def test_it_is_told(self, write, kind: str) -> None:
        make, message = DAMAGE[kind]
        with pytest.raises(FormatError, match=message) as error:
            read_ionex(write(make()))
        assert error.value.place.startswith("test.26i")
        assert error.value.next_step

    def test_line_is_told(self, write) -> None:
        text = changed("   10   11", "   10  x11")
        with pytest.raises(FormatError) as error:
            read_ionex(write(text))
        number = next(n for n, line in enumerate(text.splitlines(), 1) if "x11" in line)
        assert error.value.place == f"test.26i:{number}"

    def test_cut_anywhere(self, write) -> None:
        """Every cut that loses a map is told; one that loses the last line alone is not."""
        lines = whole().splitlines(keepends=True)
        for count in range(1, len(lines) - 1, 3):
            with pytest.raises(FormatError):
                read_ionex(write("".join(lines[:count])))

    def test_anything_is_told(self, write) -> None:
        """Bytes changed at random: it is read, or the error is one of ours."""
        told = []
        draw, clean = np.random.default_rng(1), whole()
        for _ in range(150):
            damaged = list(clean)
            for place in draw.integers(0, len(damaged), 4):
                damaged[place] = chr(draw.integers(1, 128))
            try:
                read_ionex(write("".join(damaged)))
            except FormatError as error:
                told.append(error)
        assert told
        assert all(error.place and error.next_step for error in told)

    def test_absent(self, tmp_path: Path) -> None:
        with pytest.raises(MissingDataError, match="cannot be read"):
            read_ionex(tmp_path / "absent.26i")
