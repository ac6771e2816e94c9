"""The DSN's calibrations: series beside their definition, what adds up, refusals."""

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, MissingDataError, SpanError
from kitestring.model.constants import C
from kitestring.model.dsn_media import DsnIonosphere, DsnTroposphere, MediaCommand, dsn_scopes
from kitestring.model.mapping import niell_hydrostatic, niell_wet
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch

MICROMETRE = 1e-6
START, END = Epoch.from_iso("2017-04-01T03:00:00"), Epoch.from_iso("2017-04-01T09:00:00")
SEASON = Epoch.from_iso("1972-01-01T00:00:00")
YEAR = 31557600.0
EPOCHS = START.shifted(3600.0 * np.array([0.0, 1.5, 6.0]))
STATION = get_station("DSS25")


def seasons() -> list[MediaCommand]:
    end = Epoch.from_iso("2035-01-01T00:00:00")
    return [
        MediaCommand("dry", "TRIG", (YEAR, 2.05, 0.004, -0.003), SEASON, end, "C10"),
        MediaCommand("wet", "TRIG", (YEAR, 0.08, -0.02, 0.01, 0.004, 0.0), SEASON, end, "C10"),
        MediaCommand("dry", "CONST", (0.0036,), None, None, "25"),
        MediaCommand("dry", "CONST", (0.5,), None, None, "14"),
        MediaCommand("dry", "CONST", (0.5,), None, None, "C40"),
    ]


def adjustment(*values: float) -> MediaCommand:
    return MediaCommand("wet", "NRMPOW", values, START, END, "C10")


class TestSeries:
    def test_power_series_of_the_normalised_time(self) -> None:
        """x = 2 (t - A) / (B - A) - 1 (TRK-2-23 section 3.1.7)."""
        c = (-0.0048, 0.0077, 0.0238, -0.0872)
        found = adjustment(*c).value(EPOCHS)
        x = np.array([-1.0, -0.5, 1.0])
        expected = c[0] + c[1] * x + c[2] * x**2 + c[3] * x**3
        assert found == pytest.approx(expected, abs=1e-6 * MICROMETRE)

    def test_trigonometric_series(self) -> None:
        """Constant, then cosine and sine of X, 2 X ... with X = 2 pi (t - A) / P."""
        command = seasons()[1]
        turn = 2.0 * np.pi * np.asarray(EPOCHS.since(SEASON)) / YEAR
        expected = 0.08 - 0.02 * np.cos(turn) + 0.01 * np.sin(turn) + 0.004 * np.cos(2 * turn)
        assert command.value(EPOCHS) == pytest.approx(expected, abs=MICROMETRE)

    def test_it_covers_its_span(self) -> None:
        around = START.shifted(np.array([-1.0, -0.005, 0.0, 21600.0, 21601.0]))
        assert list(adjustment(1.0).covers(around)) == [False, True, True, True, False]

    @pytest.mark.parametrize(
        ("kind", "values", "start", "end"),
        [
            ("CONST", (1.0, 2.0), None, None),
            ("NRMPOW", (1.0,), START, None),
            ("NRMPOW", (), START, END),
            ("TRIG", (YEAR, 1.0, 2.0), START, END),
            ("TRIG", (0.0, 1.0), START, END),
            ("TRIG", (YEAR, 1.0), None, END),
            ("NRMPOW", (1.0,), END, START),
        ],
    )
    def test_refusals(self, kind, values, start, end) -> None:
        with pytest.raises(ConfigurationError):
            MediaCommand("dry", kind, values, start, end, "C10")


class TestTroposphere:
    def test_seasons_constants_and_adjustments_add_up(self, look) -> None:
        commands = [*seasons(), adjustment(9.0), adjustment(0.01, 0.02)]  # the later one counts
        dry, wet = DsnTroposphere(commands).zenith(STATION, EPOCHS)
        expected = seasons()[0].value(EPOCHS) + 0.0036
        assert dry * C == pytest.approx(expected, abs=1e-3 * MICROMETRE)
        expected = seasons()[1].value(EPOCHS) + np.array([-0.01, 0.0, 0.03])
        assert wet * C == pytest.approx(expected, abs=1e-3 * MICROMETRE)
        sight = look(STATION, EPOCHS, np.radians([10.0, 40.0, 90.0]))
        _, latitude, height = STATION.geodetic
        slant = dry * niell_hydrostatic(sight.elevation, latitude, height, sight.state.tt)
        slant = slant + wet * niell_wet(sight.elevation, latitude)
        assert DsnTroposphere(commands).delay(sight) == pytest.approx(slant, abs=1e-18)

    def test_sigma_knows_what_was_adjusted(self, look) -> None:
        sight = look(STATION, EPOCHS[:1], np.pi / 2)
        adjusted = DsnTroposphere([*seasons(), adjustment(0.01)]).sigma(sight)
        assert DsnTroposphere(seasons()).sigma(sight) == pytest.approx(4.0 * adjusted)

    def test_adjustments_alone_are_not_the_air(self, look) -> None:
        with pytest.raises(MissingDataError, match="no seasonal dry delay for DSS-25"):
            DsnTroposphere([adjustment(0.01)]).delay(look(STATION, EPOCHS, 1.0))

    def test_beyond_the_seasons(self) -> None:
        with pytest.raises(SpanError, match="2036-01-01"):
            DsnTroposphere(seasons()).zenith(STATION, Epoch.from_iso(["2036-01-01T00:00:00"]))

    def test_low(self, look) -> None:
        sight = look(STATION, EPOCHS, [0.5, 0.01, 0.5])
        with pytest.raises(SpanError, match="DSS-25"):
            DsnTroposphere(seasons()).delay(sight)
        found = DsnTroposphere(seasons(), below="nan").delay(sight)
        assert list(np.isnan(found)) == [False, True, False]


def test_scopes() -> None:
    names = ("DSS14", "DSS35", "DSS63")
    found = [dsn_scopes(get_station(name)) for name in names]
    assert found == [("C10", "14"), ("C40", "35"), ("C60", "63")]
    with pytest.raises(MissingDataError, match="WETTZELL is at no complex"):
        dsn_scopes(get_station("WETTZELL"))


class TestIonosphere:
    def command(self, source: str = "SCID 189", data: str = "DOPRNG", *values: float):
        return MediaCommand(
            "ionosphere", "NRMPOW", values or (2.0,), START, END, "C10", data, source
        )

    def test_delay_at_another_frequency(self, look) -> None:
        sky = 8.42e9
        air = DsnIonosphere([self.command()], "SCID 189")
        group = air.delay(look(STATION, EPOCHS, 1.0, frequency=sky))
        assert group == pytest.approx(2.0 / C * (2295e6 / sky) ** 2)
        phase = air.delay(look(STATION, EPOCHS, 1.0, frequency=sky, group=False))
        assert phase == pytest.approx(-group)
        sigma = air.sigma(look(STATION, EPOCHS, 1.0, frequency=2295e6))
        assert sigma == pytest.approx(np.full(3, 0.23 / C))

    def test_whose_it_is(self, look) -> None:
        commands = [self.command(), self.command("SCID 74", "DOPRNG", 5.0)]
        sight = look(STATION, EPOCHS, 1.0, frequency=2295e6)
        assert DsnIonosphere(commands, "SCID 74").delay(sight) * C == pytest.approx(5.0)
        with pytest.raises(MissingDataError, match="no ionosphere for SCID 1, DOPRNG") as error:
            DsnIonosphere(commands, "SCID 1")
        assert "SCID 189 (DOPRNG)" in error.value.next_step
        with pytest.raises(MissingDataError, match="SCID 189, VLBI"):
            DsnIonosphere(commands, "SCID 189", "VLBI")

    def test_outside_its_pass(self, look) -> None:
        sight = look(STATION, EPOCHS.shifted(7200.0), 1.0, frequency=8.4e9)
        with pytest.raises(
            SpanError, match="no ionosphere of DSS-25 for SCID 189 at 2017-04-01T11"
        ):
            DsnIonosphere([self.command()], "SCID 189").delay(sight)
