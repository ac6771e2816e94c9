import datetime as dt
from pathlib import Path

import erfa
import numpy as np
import pytest

from kitestring.errors import (
    ConfigurationError,
    FormatError,
    MissingDataError,
    SpanError,
    StaleDataWarning,
)
from kitestring.model.earth import EarthModel
from kitestring.model.earth_orientation import (
    EarthOrientationTable,
    read_c04,
    read_earth_orientation,
    read_finals2000a,
)
from kitestring.model.frames import celestial_pole, earth_rotation
from kitestring.model.time import EPOCH_QUANTUM, Epoch, tai_minus_utc

MILLIMETRE_ON_GROUND = 1e-3 / 6.4e6  # rad
SPLINED = 1e-4 * MILLIMETRE_ON_GROUND  # 0.1 micrometre


def table() -> EarthOrientationTable:
    return EarthOrientationTable.default()


def test_knots_are_the_files_own_values():
    # Bulletin B for 2016-12-31 and 2017-01-01, on both sides of a leap second
    epoch = Epoch("utc", np.array([57753, 57754]), np.zeros(2))
    eop = table().at(epoch)
    ut1_minus_utc = eop.ut1_minus_tai + np.array([36.0, 37.0])
    assert ut1_minus_utc == pytest.approx([-0.4077, 0.5914], abs=3e-4)


def test_ut1_is_smooth_over_a_leap_second():
    epoch = Epoch.from_iso("2016-12-31T12:00:00").shifted(np.arange(0.0, 86400.0, 600.0))
    rate = np.diff(table().at(epoch).ut1_minus_tai) / 600.0
    assert np.ptp(rate) < 2e-9  # s/s: a leap second would be 2e-3


def test_matrix_is_that_of_erfa():
    epoch = Epoch.from_iso("2023-05-11T18:00:00").shifted(np.arange(5) * 7000.0)
    eop = table().at(epoch)
    found = earth_rotation(epoch, eop).matrix
    tt, tai = epoch.to("tt"), epoch.to("tai")
    x, y, s = erfa.xys06a(*tt.jd())
    bias = erfa.c2ixys(x + eop.dx, y + eop.dy, s)
    era = erfa.era00(tai.jd()[0], tai.jd()[1] + eop.ut1_minus_tai / 86400.0)
    expected = erfa.c2tcio(bias, era, erfa.pom00(eop.xp, eop.yp, erfa.sp00(*tt.jd())))
    assert np.abs(found - np.swapaxes(expected, -1, -2)).max() < 1e-14


def test_splined_pole_is_the_series():
    epoch = Epoch.from_iso("2020-01-01", "tt").shifted(np.linspace(0.0, 400 * 86400.0, 20011))
    exact = erfa.xys06a(*epoch.jd())
    for found, expected in zip(celestial_pole(epoch), exact, strict=True):
        assert np.abs(found - expected).max() < SPLINED


def test_splined_pole_is_the_series_for_passes_over_years():
    """Epochs in clusters: each block of days has its own spline, whatever else is asked for."""
    start = Epoch.from_iso("2018-11-26", "tt")
    epoch = start.shifted((np.arange(40)[:, None] * 19 * 86400.0 + np.arange(40) * 600.0).ravel())
    exact = erfa.xys06a(*epoch.jd())
    for found, expected in zip(celestial_pole(epoch), exact, strict=True):
        assert np.abs(found - expected).max() < SPLINED
    part = celestial_pole(epoch[:80])
    assert all(np.array_equal(a[:80], b) for a, b in zip(celestial_pole(epoch), part, strict=True))


def test_velocity_is_the_derivative_of_position():
    epoch = Epoch.from_iso("2023-05-11T18:00:00").shifted(np.array([-5.0, 0.0, 5.0]))
    rotation = earth_rotation(epoch, table().at(epoch))
    position = rotation.position(np.array([4.0e6, 3.0e6, 4.0e6]))
    numeric = (position[2] - position[0]) / 10.0
    # precession and polar motion are left out of the spin: 5e-5 m/s and less
    assert np.abs(rotation.velocity(position)[1] - numeric).max() < 1e-4


def test_predictions_warn_and_beyond_them_is_an_error():
    last = table().measured_until
    with pytest.warns(StaleDataWarning, match="prediction"):
        table().at(Epoch("utc", np.array([last + 10]), np.zeros(1)))
    with pytest.raises(SpanError, match="Update"):
        table().at(Epoch("utc", np.array([99999]), np.zeros(1)))


def test_bad_files_are_named(tmp_path):
    with pytest.raises(MissingDataError, match="nowhere"):
        read_finals2000a(tmp_path / "nowhere")
    bad = tmp_path / "finals.txt"
    bad.write_text("x" * 80 + "\n")
    with pytest.raises(FormatError, match=r"finals.txt:1"):
        read_finals2000a(bad)


# -- C04, written as its own header describes it -----------------------------------------

HEADER_20 = """# EARTH ORIENTATION PARAMETER (EOP) PRODUCT CENTER CENTER (PARIS OBSERVATORY)
# EOP (IERS) 20 C04 TIME SERIES  consistent with ITRF 2020 - sampled at 0h UTC
# format(4(i4),f10.2,2(f12.6),f12.7,2(f12.6),2(f12.6),f12.7,2(f12.6),f12.7,2(f12.6),2(f12.6),f12.7)
# YR  MM  DD  HH       MJD        x(")        y(")  UT1-UTC(s)       dX(")       dY(")  xrt("/day)
"""
HEADER_14 = """
                      INTERNATIONAL EARTH ROTATION AND REFERENCE SYSTEMS SERVICE
                                    EOP (IERS) 14 C04 TIME SERIES
             FORMAT(3(I4),I7,2(F11.6),2(F12.7),2(F11.6),2(F11.6),2(F11.7),2(F12.6))
##################################################################################

      Date      MJD      x          y        UT1-UTC       LOD         dX        dY
                         "          "           s           s          "         "
     (0h UTC)

"""
FIRST = 57752  # 2016-12-30: a leap second is on the next day
LAST_DIGIT = 0.6e-6 * np.pi / 648000.0  # of the pole in arcsec, rounded
C04_LAYOUTS = ("20", "14")


def c04_lines(layout, first=FIRST, count=6, hour=0):
    """Return the installed table's own days in a layout of C04."""
    lines = []
    day = np.arange(first, first + count)
    eop = table().at(Epoch("utc", day, np.zeros(count)))
    utc = eop.ut1_minus_tai + tai_minus_utc(day)
    arcsec = [np.degrees(v) * 3600.0 for v in (eop.xp, eop.yp, eop.dx, eop.dy)]
    for k, mjd in enumerate(day):
        date = dt.date(1858, 11, 17) + dt.timedelta(days=int(mjd))
        x, y, dx, dy = (v[k] for v in arcsec)
        if layout == "20":
            lines.append(
                f"{date.year:4}{date.month:4}{date.day:4}{hour:4}{mjd + hour / 24:10.2f}"
                f"{x:12.6f}{y:12.6f}{utc[k]:12.7f}{dx:12.6f}{dy:12.6f}{0:12.6f}{0:12.6f}{0:12.7f}"
                + 2 * f"{3e-5:12.6f}"
                + f"{1e-5:12.7f}"
                + 4 * f"{3e-5:12.6f}"
                + f"{1e-5:12.7f}"
            )
        else:
            lines.append(
                f"{date.year:4}{date.month:4}{date.day:4}{mjd:7}"
                f"{x:11.6f}{y:11.6f}{utc[k]:12.7f}{0:12.7f}{dx:11.6f}{dy:11.6f}"
                + 2 * f"{3e-5:11.6f}"
                + 2 * f"{1e-5:11.7f}"
                + 2 * f"{3e-5:12.6f}"
            )
    return lines


def write_c04(tmp_path, layout, lines, header=None):
    path = tmp_path / "eopc04.txt"
    header = header or {"20": HEADER_20, "14": HEADER_14}[layout]
    path.write_text(header + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("layout", C04_LAYOUTS)
def test_c04_is_read_over_a_leap_second(tmp_path, layout):
    found = read_c04(write_c04(tmp_path, layout, c04_lines(layout)))
    knots = Epoch("utc", np.arange(FIRST, FIRST + 5), np.zeros(5))
    eop, wanted = found.at(knots), table().at(knots)
    for name in ("xp", "yp", "dx", "dy"):
        assert np.abs(getattr(eop, name) - getattr(wanted, name)).max() < LAST_DIGIT
    assert np.abs(eop.ut1_minus_tai - wanted.ut1_minus_tai).max() < 1e-7
    assert found.measured_until == FIRST + 5
    with pytest.raises(SpanError, match=r"eopc04\.txt.*2016-12-30"):
        found.at(Epoch.from_iso("2017-02-01")[None])


def test_days_before_leap_seconds_are_left_out(tmp_path):
    lines = c04_lines("20", first=41684)  # 1973-01-02 is where the installed table begins
    early = []
    for k, line in enumerate(lines[:3]):
        date = dt.date(1971, 12, 30) + dt.timedelta(days=k)
        early.append(f"{date.year:4}{date.month:4}{date.day:4}   0{41315 + k:10.2f}{line[26:]}")
    later = [
        f"1972   1{d:4}   0{41316 + d:10.2f}{line[26:]}" for d, line in enumerate(lines[1:], 2)
    ]
    found = read_earth_orientation(write_c04(tmp_path, "20", early + later))
    assert found.day.tolist() == list(range(41317, 41323))


@pytest.mark.parametrize("layout", C04_LAYOUTS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: [*lines[:2], lines[2][:70], *lines[3:]], r":{}: .*columns, not 21 or 16"),
        (lambda lines: [*lines[:2], *lines[3:]], r":{}: day 57755 follows day 57753"),
        (lambda lines: [*lines[:2], lines[2].replace("57754", "57854")], r":{}: .*is not 2017-01"),
        (lambda lines: [*lines[:2], lines[2].replace("0.59", "x.59")], r":{}: .*could not convert"),
        (lambda lines: [*lines[:2], lines[2].replace("0.59", "9.59")], r":{}: .*UT1-UTC 9\.59"),
        (lambda lines: lines[:3], "holds 3 days"),
    ],
)
def test_what_is_wrong_in_c04_is_told_with_its_line(tmp_path, layout, change, message):
    lines = c04_lines(layout)
    wrong = change(lines)
    assert wrong != lines
    header = {"20": HEADER_20, "14": HEADER_14}[layout].count("\n")
    with pytest.raises(FormatError, match=r"eopc04\.txt.*" + message.format(header + 3)) as told:
        read_c04(write_c04(tmp_path, layout, wrong))
    assert str(told.value).startswith("eopc04.txt:")


@pytest.mark.parametrize("layout", C04_LAYOUTS)
def test_pole_offsets_to_iau_1980_are_refused(tmp_path, layout):
    lines = c04_lines(layout)
    header = {"20": HEADER_20, "14": HEADER_14}[layout]
    old = header.replace("dX", "dPsi").replace("dY", "dEps")
    with pytest.raises(FormatError, match="IAU 1980"):
        read_c04(write_c04(tmp_path, layout, lines, old))
    with pytest.raises(FormatError, match="not named by its header"):
        read_c04(write_c04(tmp_path, layout, lines, "\n"))


def test_a_series_of_noon_is_refused(tmp_path):
    lines = c04_lines("20", hour=12)
    with pytest.raises(FormatError, match=r"eopc04\.txt:5: day 57752\.5 is not 0 h UTC"):
        read_c04(write_c04(tmp_path, "20", lines))


# -- whichever the user has --------------------------------------------------------------


def finals_lines(count=8, dx=0.1):
    """Return lines of finals2000A as its readme describes the columns; the last two predicted."""
    lines = []
    day = np.arange(FIRST, FIRST + count)
    eop = table().at(Epoch("utc", day, np.zeros(count)))
    utc = eop.ut1_minus_tai + tai_minus_utc(day)
    for k, mjd in enumerate(day):
        date = dt.date(1858, 11, 17) + dt.timedelta(days=int(mjd))
        flag = "P" if k >= count - 2 else "I"
        x, y = (np.degrees(v[k]) * 3600.0 for v in (eop.xp, eop.yp))
        lines.append(
            f"{date.year % 100:2}{date.month:2}{date.day:2} {mjd:8.2f} {flag}"
            f" {x:9.6f}{1e-4:9.6f} {y:9.6f}{1e-4:9.6f}  {flag}{utc[k]:10.7f}{1e-5:10.7f}"
            f" {1.0:7.4f}{0.1:7.4f}  {flag} {dx:9.3f}{0.1:9.3f} {-0.1:9.3f}{0.1:9.3f}"
        )
    return lines


def test_the_format_follows_from_the_content(tmp_path):
    path = tmp_path / "anything"
    path.write_text("\n".join(finals_lines()) + "\n")
    rapid = read_earth_orientation(path)
    assert rapid.measured_until == FIRST + 5
    measured = Epoch("utc", np.arange(FIRST, FIRST + 4), np.full(4, 3600.0))
    for layout in C04_LAYOUTS:
        series = read_earth_orientation(write_c04(tmp_path, layout, c04_lines(layout, count=8)))
        found, wanted = series.at(measured), rapid.at(measured)
        assert np.abs(found.xp - wanted.xp).max() < 2 * LAST_DIGIT
        assert np.abs(found.ut1_minus_tai - wanted.ut1_minus_tai).max() < 2e-7
    with pytest.warns(StaleDataWarning, match="anything: Earth orientation after 2017-01-04"):
        rapid.at(Epoch("utc", np.array([FIRST + 6]), np.zeros(1)))


def test_the_installed_files_agree():
    """The combination of one centre against that of the other, where both have measured."""
    import astropy_iers_data

    series = read_earth_orientation(Path(astropy_iers_data.IERS_A_FILE).parent / "eopc04.1962-now")
    assert series.day[0] == 41317
    epoch = Epoch.from_iso("2012-01-01T06:00:00").shifted(np.arange(100) * 3e6)
    found, wanted = series.at(epoch), table().at(epoch)
    centimetre = 10 * MILLIMETRE_ON_GROUND
    assert np.abs(found.xp - wanted.xp).max() < centimetre
    assert np.abs(found.yp - wanted.yp).max() < centimetre
    assert np.abs(found.ut1_minus_tai - wanted.ut1_minus_tai).max() < 1e-4  # 5 cm
    assert np.abs(found.dx - wanted.dx).max() < 2 * centimetre


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("\nstation delay\n1 2 3\n")
    with pytest.raises(FormatError, match=r"other\.txt:2: is no file of Earth orientation"):
        read_earth_orientation(path)
    path.write_text("")
    with pytest.raises(FormatError, match=r"other\.txt"):
        read_earth_orientation(path)
    path.write_text("\n".join(finals_lines(dx=-112.0)) + "\n")
    with pytest.raises(FormatError, match=r"112 mas.*IAU 1980"):
        read_earth_orientation(path)
    with pytest.raises(MissingDataError, match=r"none\.txt"):
        read_earth_orientation(tmp_path / "none.txt")


# -- UT1 ---------------------------------------------------------------------------------


def test_ut1_is_that_of_the_rotation_and_returns():
    """Over a leap second too; the rotation's own angle is made of it."""
    earth = EarthModel()
    epoch = Epoch.from_iso("2016-12-31T23:59:50").shifted(np.arange(0.0, 20.0, 2.5))
    ut1 = earth.ut1(epoch)
    assert np.abs(earth.from_ut1(ut1).since(epoch)).max() < EPOCH_QUANTUM
    steps = np.diff(ut1.day * 86400.0 + ut1.second - ut1.day[0] * 86400.0)
    assert steps == pytest.approx(np.full(7, 2.5), abs=1e-6)  # no leap second
    rotation, _ = earth.rotation(epoch)
    slow = EarthModel(subdaily=())
    turned = erfa.era00(*ut1.jd()) - erfa.era00(*slow.ut1(epoch).jd())
    # what the two matrices turn by about the axis, polar motion within a day apart
    between = np.einsum("nij,nkj->nik", rotation.matrix, slow.rotation(epoch)[0].matrix)
    assert between[:, 1, 0] == pytest.approx(turned, abs=3e-9)
    assert np.abs(turned).max() > 1e-9


def test_ut1_needs_the_earth():
    epoch = Epoch.from_iso("2020-01-01T00:00:00")
    with pytest.raises(ConfigurationError, match=r"EarthModel\(\)\.ut1"):
        epoch.to("ut1")
    with pytest.raises(ConfigurationError, match="not one of UT1"):
        EarthModel().from_ut1(epoch)
