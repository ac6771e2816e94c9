"""Leap seconds from the installation, and from files of the IERS and the IETF."""

import datetime as dt
from pathlib import Path

import erfa
import numpy as np
import pytest
from astropy_iers_data import IERS_LEAP_SECOND_FILE

from kitestring.errors import FormatError, MissingDataError, StaleDataWarning
from kitestring.model import leap_seconds as module
from kitestring.model.leap_seconds import leap_seconds, read_leap_seconds, use_leap_seconds
from kitestring.model.time import Epoch

# the layout of the IETF's list: seconds of NTP, TAI-UTC; the whole of it is made below
_NTP = 2208988800  # s from 1900 to 1970


@pytest.fixture(autouse=True)
def installed():
    """Leave the process as it was."""
    yield
    use_leap_seconds(None)


def ietf(path, extra=(), expires="2027-06-28"):
    """Write the installed table in the other layout."""
    rows = [(int(d), int(v)) for d, v in zip(leap_seconds().day, leap_seconds().value, strict=True)]
    ntp = [((day - 40587) * 86400 + _NTP, value) for day, value in (*rows, *extra)]
    until = int(dt.datetime.fromisoformat(f"{expires}T00:00+00:00").timestamp()) + _NTP
    lines = ["#\tUpdated", f"#@\t{until}", *(f"{s}\t{v}\t# a date" for s, v in ntp), "#h\tabc"]
    path.write_text("\n".join(lines), encoding="ascii")
    return path


def test_the_installed_table_is_erfas():
    table = erfa.leap_seconds.get()
    table = table[table["year"] >= 1972]
    jd1, jd2 = erfa.cal2jd(table["year"], table["month"], 1)
    known = {int(d): float(v) for d, v in zip(jd1 - 2400000.5 + jd2, table["tai_utc"], strict=True)}
    ours = leap_seconds()
    held = dict(zip(ours.day.tolist(), ours.value.tolist(), strict=True))
    assert known.items() <= held.items()  # a newer installation may know more
    assert ours.expires > ours.day[-1]


def test_both_layouts_are_one_table(tmp_path):
    one, other = read_leap_seconds(IERS_LEAP_SECOND_FILE), read_leap_seconds(ietf(tmp_path / "l"))
    assert np.array_equal(one.day, other.day)
    assert np.array_equal(one.value, other.value)
    assert other.expires == 61584  # 2027-06-28


def test_a_users_file_counts_everywhere(tmp_path, monkeypatch):
    """A leap second that nobody has announced: 2035-07-01 (MJD 64509)."""
    path = ietf(tmp_path / "new.list", extra=[(64509, 38)], expires="2036-01-01")
    ends = Epoch.from_iso(["2035-06-30T23:59:00", "2035-07-01T00:01:00"])
    assert float(ends[1].since(ends[0])) == 120.0
    use_leap_seconds(path)
    assert float(ends[1].since(ends[0])) == 121.0
    assert Epoch.from_iso("2035-06-30T23:59:60").to("tai").iso(0) == "2035-07-01T00:00:37"
    use_leap_seconds(None)
    assert float(ends[1].since(ends[0])) == 120.0
    monkeypatch.setenv(module.VARIABLE, str(path))
    use_leap_seconds(None)
    assert leap_seconds().origin == "new.list"


def test_an_expired_table_warns_once_and_only_beyond_it(tmp_path):
    use_leap_seconds(ietf(tmp_path / "old.list", expires="2019-12-28"))
    Epoch.from_iso("2019-12-27T00:00:00").to("tai")
    with pytest.warns(StaleDataWarning, match=r"old\.list: leap seconds after 2019-12-28"):
        Epoch.from_iso("2020-01-02T00:00:00").to("tai")
    Epoch.from_iso("2020-01-03T00:00:00").to("tai")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("41317.0    1  1 1972       10\n", ""), "follow each other"),
        (lambda t: t.replace("1972       11", "1972       13"), "follow each other"),
        (lambda t: t.replace("41499.0", "41499.5"), "no whole number"),
        (lambda t: t.replace("41499.0", "414x9.0"), "no leap second"),
        (lambda t: t.replace("File expires on", "File ends"), "when it expires"),
        (lambda t: t.replace("expires on 28", "expires on 88"), "no date"),
        (lambda t: t + "nonsense here too\n", "neither"),
        (lambda t: "", "follow each other"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, change, message):
    text = change(Path(IERS_LEAP_SECOND_FILE).read_text(encoding="ascii"))
    (tmp_path / "bad.dat").write_text(text, encoding="ascii")
    with pytest.raises(FormatError, match=message) as told:
        read_leap_seconds(tmp_path / "bad.dat")
    assert "bad.dat" in str(told.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(MissingDataError, match="Leap_Second"):
        use_leap_seconds(tmp_path / "none")
