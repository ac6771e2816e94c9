"""Mars' rotation read from TOML: what is taken, and what is told where it cannot be."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from kitestring.errors import FormatError, KitestringError, MissingDataError, UnknownNameError
from kitestring.model.mars_angles_file import load_mars_rotation
from kitestring.model.time import DAY, Epoch

TEXT = (files("kitestring") / "data" / "mars_rotation_konopliv2016.toml").read_text("utf-8")
MAS = np.pi / 180.0 / 3.6e6
YEAR = 365.25 * DAY


def written(folder: Path, text: str) -> Path:
    path = folder / "mars.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_units_become_si():
    mars = load_mars_rotation()
    assert mars.psi0 == pytest.approx(np.radians(81.9683988), rel=1e-15)
    assert mars.psi_dot == pytest.approx(-7608.3 * MAS / YEAR, rel=1e-14)
    assert mars.phi_dot == pytest.approx(np.radians(350.891985307) / DAY, rel=1e-15)
    assert mars.core_rate == pytest.approx(-2.0 * np.pi / (240.0 * DAY), rel=1e-14)
    assert mars.nutation[5].longitude == pytest.approx(1097.0 * MAS)
    assert mars.seasons[0].cos == pytest.approx(481.0 * MAS)
    assert "Konopliv et al. 2016 (Icarus 274, 253)" in mars.origin
    assert mars.units["phi_dot"] == "rad/s"


def test_what_may_be_left_out_and_what_may_be_added(tmp_path):
    cut = TEXT[: TEXT.index("core_factor =")]
    plain = load_mars_rotation(written(tmp_path, cut))
    assert plain.core_factor == 0.0
    assert plain.seasons == plain.nutation == ()
    more = cut.replace("2000-01-01T12:00:00", "2019-12-10") + "phi_mas_per_year2 = 4.0\n"
    found = load_mars_rotation(written(tmp_path, more))
    assert found.phi_ddot == pytest.approx(4.0 * MAS / YEAR**2)
    assert found.epoch.since(Epoch.from_iso("2019-12-10", "tdb")) == 0.0


@pytest.mark.parametrize(
    ("old", "new", "kind", "message"),
    [
        ("psi_deg = 81.9683988", "", FormatError, "has no psi_deg"),
        ("psi_deg = 81.9683988", 'psi_deg = "81.97"', FormatError, "psi_deg = '81.97'"),
        ("psi_deg = 81.9683988", "psi_deg = nan", FormatError, "not a finite"),
        ("psi_deg = 81.9683988", "psi_deg = true", FormatError, "not a finite"),
        ("psi_deg", "psi_degrees", UnknownNameError, "psi_deg"),
        ("sin_mas = -155.0", "sine_mas = -155.0", UnknownNameError, "spin 1"),
        ("multiple = 1, cos_mas = 481.0", "cos_mas = 481.0", FormatError, "spin 1: has no"),
        ("multiple = 2, cos_mas = -103.0", "multiple = 1", FormatError, "same multiple"),
        ("core_rate_deg_per_day = -1.5", "", FormatError, "core's factor"),
        ('body = "MARS"', 'body = "VENUS"', FormatError, "VENUS"),
        ('body = "MARS"', "body = 4", FormatError, "not text"),
        ('epoch = "2000-01-01T12:00:00"', 'epoch = "noon"', FormatError, "noon"),
        ("spin = [", "spin = 1 # [", FormatError, "mars.toml"),
        ("obliquity_deg = 25.1893823", "obliquity_deg = 0", FormatError, "nought"),
    ],
)
def test_damage_is_told_with_its_place(tmp_path, old, new, kind, message):
    path = written(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(kind, match=message) as caught:
        load_mars_rotation(path)
    assert "mars.toml" in str(caught.value)


def test_figures_need_an_origin_and_files_must_be_there(tmp_path):
    start = TEXT.index("origin =")
    bare = TEXT[:start] + TEXT[TEXT.index("epoch =") :]
    with pytest.raises(FormatError, match="come from"):
        load_mars_rotation(written(tmp_path, bare))
    with pytest.raises(FormatError, match="not a list"):
        load_mars_rotation(written(tmp_path, TEXT[: TEXT.index("nutation =")] + "nutation = 3\n"))
    with pytest.raises(MissingDataError, match="there is no file"):
        load_mars_rotation(tmp_path / "none.toml")


def test_truncated_files_never_pass_for_whole_ones(tmp_path):
    # up to where what is left may be left out
    for end in range(0, TEXT.index("phi_deg_per_day"), 97):
        with pytest.raises(KitestringError):
            load_mars_rotation(written(tmp_path, TEXT[:end]))
