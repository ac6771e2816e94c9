"""The DSN's media calibrations (CSP): commands as files have them, damage."""

from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import FormatError, MissingDataError
from kitestring.formats.csp import read_csp
from kitestring.model.dsn_media import DsnTroposphere
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch

# The first is of Galileo's archive, the second's values are of MRO's (April 2017); seasons by hand
IONOSPHERE = (
    "ADJUST(DOPRNG)BY NRMPOW(   0.7048,   0.0938,   0.8502,  -0.2993,   1.0217,      \n"
    "   0.0260)                                                         MODEL(CHPART)\n"
    "FROM(03/02/01,01:21)TO(03/02/01,15:01)DSN(C10)SCID(77).    #S20 ADJ 030203 11:19\n"
)
WET = (
    "ADJUST(ALL) BY NRMPOW(-.0048,.0077,.0238,-.0872,-.0445,.1499,.0303,-.0995,-.0066,.0228)\n"
    "MODEL(WET NUPART) FROM(17/04/01,03:00:00.001)TO(17/04/01,09:00) DSN(C10).\n"
)
SEASONS = (
    "# seasons\n"
    "ADJUST(ALL)BY TRIG(31557600.,2.0521,.0042,-.0011)MODEL(DRY NUPART)\n"
    "FROM(72/01/01,00:00)TO(35/01/01,00:00)DSN(C10).\n"
    "ADJUST(ALL)BY TRIG(31557600.,.0870,-.0300,-.0200)MODEL(WET NUPART)\n"
    "FROM(72/01/01,00:00)TO(35/01/01,00:00)DSN(C10).\n"
    "ADJUST(ALL)BY CONST(.0036)MODEL(DRY NUPART)DSN(25).\n"
)


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "test.csp"
        path.write_text(text)
        return path

    return write


class TestCommands:
    def test_ionosphere(self, write) -> None:
        (found,) = read_csp(write(IONOSPHERE))
        assert (found.medium, found.kind, found.station) == ("ionosphere", "NRMPOW", "C10")
        assert (found.data, found.source) == ("DOPRNG", "SCID 77")
        assert found.coefficients == (0.7048, 0.0938, 0.8502, -0.2993, 1.0217, 0.0260)
        assert found.start.iso(0) == "2003-02-01T01:21:00"
        assert found.end.iso(0) == "2003-02-01T15:01:00"

    def test_troposphere(self, write) -> None:
        dry, wet, constant, adjustment = read_csp(write(SEASONS + WET))
        assert (dry.medium, dry.kind, dry.start.iso(0)) == ("dry", "TRIG", "1972-01-01T00:00:00")
        assert dry.end.iso(0) == "2035-01-01T00:00:00"
        assert (wet.medium, wet.coefficients[0]) == ("wet", 31557600.0)
        assert (constant.station, constant.start, constant.end) == ("25", None, None)
        assert adjustment.start.iso(3) == "2017-04-01T03:00:00.001"
        assert adjustment.coefficients[:2] == (-0.0048, 0.0077)
        assert len(adjustment.coefficients) == 10

    def test_it_is_a_troposphere(self, write) -> None:
        air = DsnTroposphere(read_csp(write(SEASONS + WET)))
        dry, wet = air.zenith(get_station("DSS25"), Epoch.from_iso(["2017-04-01T06:00:00"]))
        # DSS25 lies 960 m up: some 900 hPa, 2.05 m, and a few centimetres of water
        assert dry * 299792458.0 == pytest.approx(2.055, abs=0.01)
        assert 0.0 < wet[0] * 299792458.0 < 0.15

    def test_over_any_number_of_lines(self, write) -> None:
        (plain,) = read_csp(write(WET))
        (broken,) = read_csp(write(WET.replace(" MODEL", "\n\nMODEL").replace("(WET", "(\nWET")))
        (single,) = read_csp(write(WET.replace("\n", " ")))
        assert plain.coefficients == broken.coefficients == single.coefficients
        assert broken.medium == single.medium == "wet"

    def test_the_line_of_a_command_is_told(self, write) -> None:
        """Clauses over several lines, comments and empty lines before it."""
        text = SEASONS + "\n# a comment\n" + WET.replace("(WET NUPART)", "(\nWET NUPART)") + "\n"
        text += WET.replace("DSN(C10)", "DSN(C99)")
        number = text.splitlines().index(WET.splitlines()[0], 12) + 1
        with pytest.raises(FormatError) as error:
            read_csp(write(text))
        assert error.value.place == f"test.csp:{number}"

    def test_quasars(self, write) -> None:
        text = IONOSPHERE.replace("SCID(77)", "QUASAR(P 0149+21)").replace("DOPRNG", "VLBI")
        (found,) = read_csp(write(text))
        assert (found.source, found.data) == ("QUASAR P 0149+21", "VLBI")


def changed(old: str, new: str) -> str:
    assert old in WET
    return SEASONS + WET.replace(old, new)


DAMAGE = {
    "a period is missing": (changed("DSN(C10).", "DSN(C10)"), "has no period"),
    "no station": (changed("DSN(C10)", ""), "has no DSN|no part"),
    "no series": (changed("BY NRMPOW", "BY DNRMPOW"), "DNRMPOW"),
    "two series": (changed("MODEL", "BY CONST(1.0) MODEL"), "BY CONST"),
    "another model": (changed("WET NUPART", "DRVID"), r"MODEL\(DRVID\) is not known"),
    "another verb": (changed("ADJUST", "DELETE"), "DELETE is not known"),
    "no number": (changed(".0077", ".0x77"), "numbers apart by commas"),
    "NaN": (changed(".0077", "nan"), "numbers apart by commas"),
    "another unit": (changed(".0077", "7.7"), "exceeds 1 m"),
    "no epoch": (changed("17/04/01,09:00", "17/04/31,09:00"), "is no epoch"),
    "an epoch in words": (changed("17/04/01,09:00", "1 APR 2017"), "is no epoch"),
    "it ends before it begins": (changed("17/04/01,09:00", "17/03/01,09:00"), "ends before"),
    "a complex that is none": (changed("C10", "C20"), "no complex"),
    "no parenthesis": (changed(")\nMODEL", "\nMODEL"), "no part of a command"),
    "rubbish": (SEASONS + "hello world\n" + WET, "'hello world' is no part"),
    "a period of zero": (
        "ADJUST(ALL)BY TRIG(0.,2.0)MODEL(DRY NUPART)FROM(72/01/01,00:00)DSN(C10).",
        "period",
    ),
    "twice": (changed("DSN(C10)", "DSN(C10)DSN(C40)"), "twice"),
}


class TestDamage:
    @pytest.mark.parametrize("kind", DAMAGE)
    def test_it_is_told(self, write, kind: str) -> None:
        text, message = DAMAGE[kind]
        with pytest.raises(FormatError, match=message) as error:
            read_csp(write(text))
        assert error.value.place.startswith("test.csp:")
        assert error.value.next_step

    def test_line_is_told(self, write) -> None:
        with pytest.raises(FormatError) as error:
            read_csp(write(changed(".0077", ".0x77")))
        assert error.value.place == "test.csp:7"  # where the command begins

    def test_empty_and_absent(self, write, tmp_path: Path) -> None:
        with pytest.raises(FormatError, match="holds no command"):
            read_csp(write("# nothing\n"))
        with pytest.raises(MissingDataError, match="cannot be read"):
            read_csp(tmp_path / "absent.csp")

    def test_cut_anywhere(self, write) -> None:
        """A cut is told, but between two commands."""
        text = SEASONS + WET
        ends = [k + 1 for k in range(len(text)) if text[k - 1 : k + 1] == ")."]
        for size in range(15, len(text), 7):
            if not text[max(e for e in [*ends, 0] if e <= size) : size].strip():
                continue
            with pytest.raises(FormatError):
                read_csp(write(text[:size]))

    def test_anything_is_told(self, write) -> None:
        """Bytes changed at random: it is read, or the error is one of ours."""
        told = []
        draw, clean = np.random.default_rng(1), SEASONS + WET + IONOSPHERE
        for _ in range(300):
            damaged = list(clean)
            for place in draw.integers(0, len(damaged), 3):
                damaged[place] = chr(draw.integers(1, 128))
            try:
                read_csp(write("".join(damaged)))
            except FormatError as error:
                told.append(error)
        assert told
        assert all(error.place and error.next_step for error in told)
