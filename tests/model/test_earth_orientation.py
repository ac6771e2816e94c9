import erfa
import numpy as np
import pytest

from kitestring.errors import FormatError, MissingDataError, SpanError, StaleDataWarning
from kitestring.model.earth_orientation import EarthOrientationTable, read_finals2000a
from kitestring.model.frames import celestial_pole, earth_rotation
from kitestring.model.time import Epoch

MILLIMETRE_ON_GROUND = 1e-3 / 6.4e6  # rad


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
    epoch = Epoch.from_iso("2020-01-01", "tt").shifted(np.linspace(0.0, 86400.0, 2000))
    exact = erfa.xys06a(*epoch.jd())
    for found, expected in zip(celestial_pole(epoch), exact, strict=True):
        assert np.abs(found - expected).max() < 1e-3 * MILLIMETRE_ON_GROUND


def test_splined_pole_is_the_series_for_passes_over_years():
    """Epochs in clusters: each block of days has its own spline, whatever else is asked for."""
    start = Epoch.from_iso("2018-11-26", "tt")
    epoch = start.shifted((np.arange(40)[:, None] * 19 * 86400.0 + np.arange(40) * 600.0).ravel())
    exact = erfa.xys06a(*epoch.jd())
    for found, expected in zip(celestial_pole(epoch), exact, strict=True):
        assert np.abs(found - expected).max() < 1e-3 * MILLIMETRE_ON_GROUND
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
