"""Epochs against astropy over leap seconds and scales, their precision, reading and writing."""

import erfa
import numpy as np
import pytest
from astropy.time import Time
from hypothesis import example, given
from hypothesis import strategies as st

from kitestring.errors import ConfigurationError
from kitestring.model.time import DAY, SCALES, Epoch, tai_minus_utc, tdb_minus_tt

FEMTOSECOND = 1e-15
PICOSECOND = 1e-12
DOUBLE = 15e-12  # s; what a double of up to a day's seconds holds

# around the leap seconds at the end of 2005, June 2012, June 2015 and 2016, and between
TEXTS = [
    f"{day}T{clock}"
    for day in ("2005-12-31", "2006-01-01", "2012-06-30", "2015-07-01", "2016-12-31", "2017-01-01")
    for clock in ("00:00:00.000000000", "00:00:00.250000000", "12:34:56.789012345")
] + [
    "1972-01-01T00:00:00.000000000",
    "1999-01-01T00:00:31.999999999",
    "2016-12-31T23:59:59.500000000",
    "2016-12-31T23:59:60.000000000",
    "2016-12-31T23:59:60.999999000",
    "2023-05-11T18:00:00.123456789",
    "2026-05-11T23:59:59.999000000",
]


def seconds_apart(epoch: Epoch, time: Time) -> np.ndarray:
    """Return epoch - time, s, in the epoch's scale, without passing a large number."""
    other = getattr(time, epoch.scale)
    days = (epoch.day + 2400000.5) - other.jd1
    return days * DAY + (epoch.second - other.jd2 * DAY)


class TestAgainstAstropy:
    @pytest.mark.parametrize("scale", ["tai", "tt", "tdb"])
    def test_utc_to_uniform_scales(self, scale: str) -> None:
        ours = Epoch.from_iso(TEXTS).to(scale)
        theirs = Time(TEXTS, scale="utc", precision=9)
        # TDB by the same series, at UT = 0 there; astropy takes the geocentre
        assert np.abs(seconds_apart(ours, theirs)).max() < (3 * DOUBLE if scale != "tdb" else 2e-10)

    @pytest.mark.parametrize("scale", SCALES)
    def test_there_and_back(self, scale: str) -> None:
        start = Epoch.from_iso(TEXTS)
        back = start.to(scale).to("utc")
        # a rounding at midnight may move an epoch into the day before
        assert np.abs(back.to("tai").since(start.to("tai"))).max() < 3 * DOUBLE
        assert back.iso_list(9) == start.iso_list(9)

    def test_within_a_leap_second(self) -> None:
        steps = np.arange(-1.5, 2.5, 0.25)
        ours = Epoch.from_iso("2016-12-31T23:59:59").shifted(steps)
        elapsed = (ours.to("tai").since(ours[0].to("tai"))) - (steps - steps[0])
        assert np.abs(elapsed).max() < 2 * DOUBLE
        assert ours.iso_list(2)[6:11] == [
            "2016-12-31T23:59:59.00",
            "2016-12-31T23:59:59.25",
            "2016-12-31T23:59:59.50",
            "2016-12-31T23:59:59.75",
            "2016-12-31T23:59:60.00",
        ]
        assert ours.iso_list(2)[-1] == "2017-01-01T00:00:00.25"

    def test_conversion_of_objects(self) -> None:
        times = Time(TEXTS, scale="utc", precision=9)
        ours = Epoch.from_astropy(times)
        assert ours.scale == "utc"
        assert ours.iso_list(9) == Epoch.from_iso(TEXTS).iso_list(9)
        assert np.abs((ours.to_astropy() - times).sec).max() < 3 * DOUBLE
        for scale in ("tai", "tt", "tdb"):
            same = Epoch.from_astropy(getattr(times, scale))
            assert same.scale == scale
            assert np.abs(same.since(ours.to(scale))).max() < (2e-10 if scale == "tdb" else 1e-10)
        assert Epoch.from_astropy(times[-2].ut1).scale == "tai"

    def test_tai_minus_utc_of_every_leap_second(self) -> None:
        table = erfa.leap_seconds.get()
        table = table[table["year"] >= 1972]
        jd1, jd2 = erfa.cal2jd(table["year"], table["month"], 1)
        day = np.round(jd1 - 2400000.5 + jd2).astype(int)
        assert tai_minus_utc(day).tolist() == table["tai_utc"].tolist()
        assert tai_minus_utc(day[1:] - 1).tolist() == table["tai_utc"][:-1].tolist()

    def test_sidereal_arguments(self) -> None:
        epoch = Epoch.from_iso("2026-05-11T06:00:00", "tt")
        assert epoch.centuries() == pytest.approx(
            (Time("2026-05-11T06:00:00", scale="tt").jd - 2451545.0) / 36525.0, abs=1e-13
        )


class TestTdb:
    def test_spline_is_the_series(self) -> None:
        many = Epoch.from_iso("2026-01-01", "tt").shifted(np.linspace(0.0, 3.0 * DAY, 2000))
        direct = erfa.dtdb(*many.jd(), 0.0, 0.0, 0.0, 0.0)
        assert np.abs(tdb_minus_tt(many) - direct).max() < 5 * FEMTOSECOND
        assert 1.5e-3 < np.ptp(tdb_minus_tt(many[0].shifted(np.arange(366) * DAY))) / 2 < 1.7e-3

    def test_argument_may_be_tdb(self) -> None:
        tt = Epoch.from_iso(["2026-04-01T00:00:00"], "tt")
        assert abs(tdb_minus_tt(tt.to("tdb"))[0] - tdb_minus_tt(tt)[0]) < 1e-12


class TestPrecision:
    @given(
        day=st.integers(50000, 69000),
        second=st.floats(0.0, 86399.0),
        step=st.floats(-1e6, 1e6),
        scale=st.sampled_from(SCALES),
    )
    @example(day=50000, second=0.0, step=-5e-324, scale="tai")  # a day's part of it is zero
    def test_shift_is_undone_by_since(
        self, day: int, second: float, step: float, scale: str
    ) -> None:
        epoch = Epoch(scale, np.int64(day), np.float64(second))
        moved = epoch.shifted(step)
        limit = 4 * DOUBLE + 2e-16 * abs(step)
        assert abs(float(moved.since(epoch)) - step) < limit
        assert 0.0 <= float(moved.second) < DAY + (scale == "utc")

    def test_picoseconds_survive_half_a_century(self) -> None:
        early = Epoch.from_iso("2000-01-01T00:00:00", "tdb")
        late = early.shifted(18262 * DAY)
        assert float(late.shifted(PICOSECOND).second) == PICOSECOND
        # one double for both would hold 2e-7 s
        assert float(late.shifted(3.3e-10).since(late)) == 3.3e-10

    def test_a_tiny_step_back_over_midnight(self) -> None:
        epoch = Epoch.from_iso("2026-01-01T00:00:00", "tt").shifted(-1e-20)
        assert (int(epoch.day), float(epoch.second)) == (61041, 0.0)

    def test_leap_seconds_count_between_utc_epochs(self) -> None:
        a, b = Epoch.from_iso("2016-12-31T12:00:00"), Epoch.from_iso("2017-01-01T12:00:00")
        assert float(b.since(a)) == DAY + 1
        assert a.shifted(DAY + 1).iso(3) == b.iso(3)
        assert float(Epoch.from_iso("2016-07-01").since(Epoch.from_iso("2016-06-30"))) == DAY

    def test_mixed_scales(self) -> None:
        utc = Epoch.from_iso("2026-01-01T00:00:00")
        assert float(utc.to("tt").since(utc)) == 0.0
        assert float(utc.since(utc.to("tai").shifted(-2.5))) == 2.5


def test_what_is_no_number_is_no_epoch():
    with pytest.raises(ConfigurationError, match="finite"):
        Epoch.from_mjd(np.array([60000.0, np.nan]))
    for scale in ("utc", "tt"):
        with pytest.raises(ConfigurationError, match="finite"):
            Epoch.from_iso("2026-01-01", scale).shifted(np.inf)


class TestText:
    @pytest.mark.parametrize(
        ("text", "same"),
        [
            ("2018-348T21:05:18", "2018-12-14T21:05:18.000"),
            ("2020-366", "2020-12-31T00:00:00.000"),
            (" 2026-01-01 00:00Z ", "2026-01-01T00:00:00.000"),
            ("2026-01-01T01:02:03.Z", "2026-01-01T01:02:03.000"),
            ("2016-12-31T23:59:60.5", "2016-12-31T23:59:60.500"),
        ],
    )
    def test_reading(self, text: str, same: str) -> None:
        assert Epoch.from_iso(text).iso(3) == same

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "yesterday",
            "2026-13-01",
            "2026-02-29",
            "2026-366",
            "2026-000",
            "2026-01-01T24:00:00",
            "2026-01-01T00:60:00",
            "2026-01-01T00:00:60",
            "2016-12-31T23:59:61",
            "2026-12-31T23:59:60",
            "1971-12-31T23:59:60",
            "2026-01-01T00:00:00+01:00",
            "26-01-01",
        ],
    )
    def test_what_is_no_date_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigurationError, match="is not a date") as error:
            Epoch.from_iso(text)
        assert "2026-01-01T00:00:00.5" in error.value.next_step
        with pytest.raises(ConfigurationError):
            Epoch.from_iso(["2026-01-01", text])

    @pytest.mark.parametrize("scale", ["tai", "tt", "tdb"])
    def test_uniform_scales_have_no_leap_second_and_no_z(self, scale: str) -> None:
        with pytest.raises(ConfigurationError, match="is not a date"):
            Epoch.from_iso("2016-12-31T23:59:60", scale)
        for text in ("2026-01-01T00:00:00Z", ["2026-01-01", "2026-01-02Z"]):
            with pytest.raises(ConfigurationError, match=f"Z.* marks UTC.* Give {scale.upper()}"):
                Epoch.from_iso(text, scale)

    @given(st.integers(41317, 88000), st.integers(0, 86399_999_999), st.sampled_from(SCALES))
    def test_written_is_read(self, day: int, microsecond: int, scale: str) -> None:
        epoch = Epoch(scale, np.int64(day), np.float64(microsecond / 1e6))
        again = Epoch.from_iso(epoch.iso(6), scale)
        assert int(again.day) == day
        assert abs(float(again.second) - microsecond / 1e6) < 2 * DOUBLE

    def test_rounding_carries_over_midnight_and_into_a_leap_second(self) -> None:
        assert Epoch.from_iso("2026-12-31T23:59:59.9996").iso(3) == "2027-01-01T00:00:00.000"
        assert Epoch.from_iso("2016-12-31T23:59:59.9996").iso(3) == "2016-12-31T23:59:60.000"
        assert Epoch.from_iso("2016-12-31T23:59:60.9996").iso(3) == "2017-01-01T00:00:00.000"
        assert Epoch.from_iso("2026-01-01T00:00:00.5").iso(0) == "2026-01-01T00:00:00"


class TestArrays:
    def test_ends_slices_and_joining(self) -> None:
        epoch = Epoch.from_iso(["2026-01-02", "2026-01-01T12:00:00", "2026-01-03"])
        assert epoch.first().iso(0) == "2026-01-01T12:00:00"
        assert epoch.last().iso(0) == "2026-01-03T00:00:00"
        assert epoch[1:].shape == (2,)
        assert len(Epoch.concatenate([epoch, epoch[0].to("tt")])) == 4
        assert "3" in repr(epoch)

    def test_unknown_scale(self) -> None:
        with pytest.raises(ConfigurationError, match="'gps'"):
            Epoch.from_iso("2026-01-01", "gps")
        with pytest.raises(ConfigurationError, match="UT1 follows"):
            Epoch.from_iso("2026-01-01").to("ut1")

    def test_utc_before_leap_seconds(self) -> None:
        with pytest.raises(ConfigurationError, match="1972") as error:
            Epoch.from_iso("1971-12-31").to("tai")
        assert "TT" in error.value.next_step
        with pytest.raises(ConfigurationError, match="1972"):
            Epoch.from_iso("1960-01-01", "tt").to("utc")
        assert Epoch.from_iso("1960-01-01", "tt").to("tdb").iso(0) == "1960-01-01T00:00:00"

    def test_mjd_is_for_plots(self) -> None:
        epoch = Epoch.from_mjd(61041.25)
        assert epoch.iso(3) == "2026-01-01T06:00:00.000"
        assert float(epoch.mjd()) == 61041.25
