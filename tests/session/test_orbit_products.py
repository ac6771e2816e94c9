"""What an orbit's products promise: the OEM between its points, what is observed, provenance."""

import hashlib
import json
import os
from pathlib import Path

import astropy_iers_data
import numpy as np
import pytest
import spiceypy

from kitestring import __version__
from kitestring.dynamics.propagate import propagate
from kitestring.dynamics.types import STATE_NAMES, ForceModel, OrbitState
from kitestring.errors import ConfigurationError, EstimationError, MissingDataError
from kitestring.estimate.batch import batch_least_squares
from kitestring.estimate.mapping import map_covariance, sky_axes, to_axes
from kitestring.estimate.types import Measurements, OrbitSolution, Parameter, ResidualTable
from kitestring.formats import spk_write
from kitestring.formats.oem import read_oem
from kitestring.model import daf
from kitestring.model.earth_orientation import EarthOrientationTable
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.time import DAY, Epoch
from kitestring.products.tables import OBSERVED_FROM
from kitestring.session import orbit_stages
from kitestring.session.file import read_session
from kitestring.session.orbit_stages import (
    ORBIT_STAGES,
    Seen,
    _write_oem,
    _write_spk,
    a_priori_covariance,
    from_earth,
    sky_sigmas,
)
from kitestring.session.provenance import made_by
from kitestring.session.run import Context
from kitestring.session.setting import Setting

START = Epoch.from_iso("2027-03-04", "tdb")
METRE = 1.0
MILLIMETRE = 1e-3
MICROMETRE_A_SECOND = 1e-6

SESSION = """
name = "Two words"
stations = "own.toml"

[target]
kind = "spacecraft"
name = "PROBE"
epoch = "2027-03-04"
position = [1.5e11, 0, 0]
velocity = [0, 3e4, 0]
sigma_position = 1e5
sigma_velocity = 0.1

[[scan]]
name = "No1"
source = "PROBE"
start = "2027-03-04T01:00:00"
duration = 10.0

[[recording]]
station = "URUMQI"
scan = "No1"
files = ["recordings/part*.vdif"]

[[setup.default]]
name = "CH0"
sky_frequency = 8.4e9
sample_rate = 8e6

[[tracking]]
file = "range.tdm"
format = "tdm"
"""


def digest_of(context, name):
    """Return what a stage's digest is made of."""
    (stage,) = (s for s in ORBIT_STAGES if s.name == name)
    return repr(stage.inputs(context))


@pytest.fixture
def setting(tmp_path):
    (tmp_path / "session.toml").write_text(SESSION)
    (tmp_path / "own.toml").write_text("station = []\n")
    (tmp_path / "range.tdm").write_text("CCSDS_TDM_VERS = 2.0\n")
    (tmp_path / "products").mkdir()
    (tmp_path / "recordings").mkdir()
    for name in ("part1.vdif", "part2.vdif"):
        path = tmp_path / "recordings" / name
        path.write_bytes(b"\0" * 8032)
        os.utime(path, (1.8e9, 1.8e9))
    return Setting(Context(tmp_path, read_session(tmp_path)))


def solution(state, center, days, sigma):
    """An orbit that is known within `sigma` (m, m/s) at its beginning."""
    sigmas = np.repeat(sigma, 3)
    guess = [Parameter(n, v) for n, v in zip(STATE_NAMES, state, strict=True)]
    data = Measurements(state, sigmas)
    found = batch_least_squares(lambda x: (x, np.eye(6)), data, guess)
    initial = OrbitState(START, np.asarray(state), center, "PROBE")
    orbit = propagate(initial, ForceModel(), (START, START.shifted(days * DAY)))
    epochs = START.to("utc").shifted(np.arange(6.0))
    return OrbitSolution(orbit, found, ResidualTable.of(np.array(STATE_NAMES), epochs, data, found))


def cruise(days, sigma=(1e-3, 1e-9)):
    away = np.array([2e9, 1e9, 1e9, 3e3, 0.0, 500.0])
    return solution(Ephemeris.default().state("EARTH", "SUN", START) + away, "SUN", days, sigma)


def around_mars(days, sigma=(1e-3, 1e-9)):
    speed = np.sqrt(4.2828e13 / 3.8e6)
    return solution(
        np.array([3.8e6, 0, 0, 0, 0.8 * speed, 0.6 * speed]), "MARS BARYCENTER", days, sigma
    )


def worst(path, orbit):
    """Largest error of position amid the points of an OEM, and their number."""
    (table,) = read_oem(path)
    found = []
    for part in (0.25, 0.5, 0.8):
        steps = np.diff(table.epoch.since(table.epoch[0]))
        when = table.epoch[:-1].shifted(part * steps)
        found.append(np.abs(table.state(when)[:, :3] - orbit.state(when)[:, :3]).max())
    return max(found), len(table)


# -- the OEM -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orbit_of", "days", "points"),
    [(cruise, 3650.0, 400), (around_mars, 7.0, 800), (cruise, 20.0, 200)],
)
def test_an_oem_holds_between_its_points(setting, orbit_of, days, points):
    orbit = orbit_of(days)
    _write_oem(setting, orbit)
    error, number = worst(setting.context.path("products/orbit.oem"), orbit)
    assert error < METRE
    assert number >= points
    assert [p.name for p in setting.context.path("products").iterdir()] == ["orbit.oem"]


def test_an_orbit_that_is_hardly_known_needs_fewer_points(setting):
    path = setting.context.path("products/orbit.oem")
    sharp, vague = around_mars(3.0), around_mars(3.0, (1e6, 1e2))
    _write_oem(setting, sharp)
    error, number = worst(path, sharp)
    _write_oem(setting, vague)
    coarse, fewer = worst(path, vague)
    assert fewer < number
    assert error < METRE < coarse


def test_an_orbit_that_no_file_could_hold_is_refused(setting, monkeypatch):
    monkeypatch.setattr(orbit_stages, "_OEM_MOST", 500)
    with pytest.raises(EstimationError, match=r"400 points over 7\.0 days.*predict_days"):
        _write_oem(setting, around_mars(7.0))
    assert list(setting.context.path("products").iterdir()) == []


def test_an_oem_says_how_it_was_made(setting):
    _write_oem(setting, cruise(20.0))
    text = setting.context.path("products/orbit.oem").read_text()
    comments = " ".join(x[8:] for x in text.splitlines() if x.startswith("COMMENT "))
    for what, told in made_by(setting).items():
        assert f"{what}: {told}" in comments


# -- the SPK -----------------------------------------------------------------------------


def by_spice(path, orbit, body, center):
    """Largest difference of an orbit from what SPICE says of its file, m and m/s."""
    low, high = (float(daf.seconds_of(end)[0]) for end in orbit.span)
    at = np.linspace(low + 1e-6, high - 1e-6, 1237)
    with daf.SPICE:
        spiceypy.furnsh(str(path))
        try:
            found = 1e3 * np.array([spiceypy.spkgeo(body, t, "J2000", center)[0] for t in at])
        finally:
            spiceypy.unload(str(path))
    apart = np.abs(found - orbit.state(daf.epoch_of(at)))
    return apart[:, :3].max(), apart[:, 3:].max()


@pytest.mark.parametrize(
    ("orbit_of", "days", "center"), [(cruise, 3650.0, 10), (around_mars, 7.0, 4)]
)
def test_spice_reads_the_orbit(setting, orbit_of, days, center):
    orbit = orbit_of(days)
    _write_spk(setting, orbit)
    path = setting.context.path("products/orbit.bsp")
    place, velocity = by_spice(path, orbit, -999, center)
    assert place < MILLIMETRE
    assert velocity < MICROMETRE_A_SECOND
    assert path.stat().st_size < 1e6
    assert list(setting.context.path("products").iterdir()) == [path]


def test_a_spacecraft_has_its_own_number(setting):
    folder = setting.context.directory
    (folder / "session.toml").write_text(SESSION.replace("[target]", "[target]\nspice_id = -61"))
    own, orbit = Setting(Context(folder, read_session(folder))), cruise(20.0)
    _write_spk(own, orbit)
    place, _ = by_spice(folder / "products/orbit.bsp", orbit, -61, 10)
    assert place < MILLIMETRE
    before, after = (digest_of(one.context, "orbit") for one in (setting, own))
    assert before != after
    (folder / "session.toml").write_text(SESSION.replace("[target]", "[target]\nspice_id = 399"))
    with pytest.raises(ConfigurationError, match="399 is EARTH"):
        read_session(folder)


def test_an_spk_says_how_it_was_made(setting):
    _write_spk(setting, cruise(20.0))
    with daf.opened(setting.context.path("products/orbit.bsp"), "SPK") as handle:
        count, lines, done = spiceypy.dafec(handle, 1000, 100)
    assert done
    text = "".join(line.ljust(80) for line in lines[:count])
    for what, told in made_by(setting).items():
        assert f"{what}: {told}" in text


def test_an_orbit_that_no_spk_could_hold_is_refused(setting, monkeypatch):
    monkeypatch.setattr(spk_write, "_MOST", 500)
    with pytest.raises(EstimationError, match=r"more than 0\.001 m.*predict_days"):
        _write_spk(setting, around_mars(7.0))
    assert list(setting.context.path("products").iterdir()) == []


# -- what is observed --------------------------------------------------------------------


@pytest.mark.parametrize(("times", "mark"), [(0.999, "not observed"), (1.001, "observed")])
def test_one_rule_says_what_is_observed(times, mark):
    one = Seen("east position", "m", OBSERVED_FROM * times, 1.0)
    assert one.mark == mark
    assert one.observed is (mark == "observed")


def test_sigmas_a_priori_are_those_of_the_mapped_covariance(setting):
    orbit = cruise(20.0)
    when = START.shifted(10 * DAY)
    first = np.diag([1e10] * 3 + [1e-2] * 3)
    wanted = map_covariance(first, orbit.trajectory.transition(when))
    found = a_priori_covariance(orbit, when, setting)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    axes = sky_axes(from_earth(orbit, when, setting)[:3])
    before = [s.before for s in sky_sigmas(orbit, when, setting)]
    np.testing.assert_allclose(before, np.sqrt(np.diag(to_axes(wanted, axes))), rtol=1e-12)


# -- provenance --------------------------------------------------------------------------


def test_made_by_tells_version_inputs_and_models(setting):
    found = made_by(setting)
    folder = setting.context.directory

    def checksum(name):
        return hashlib.sha256((folder / name).read_bytes()).hexdigest()

    table = EarthOrientationTable.default()
    measured = Epoch.from_mjd(float(table.measured_until)).iso(0)[:10]
    assert found["Kitestring"] == __version__
    assert found["session"] == "Two words"
    assert found["session file"] == f"session.toml, SHA-256 {checksum('session.toml')}"
    assert found["tracking file range.tdm"] == f"SHA-256 {checksum('range.tdm')}"
    for name in ("part1.vdif", "part2.vdif"):
        told = "8032 bytes, changed 2027-01-15T08:00:00 UTC"
        assert found[f"recording recordings/{name}"] == told
    assert found["ephemeris"] == setting.earth.ephemeris.origin
    assert "astropy-iers-data 0." in found["Earth orientation"]
    assert found["Earth orientation"].endswith(f"measured until {measured}")
    assert "Niell" in found["troposphere"]
    assert checksum("own.toml") in found["stations"]
    assert str(folder) not in json.dumps(found)


def test_a_users_earth_orientation_is_used_and_stated(setting):
    folder = setting.context.directory
    measured = Path(astropy_iers_data.IERS_A_FILE)
    lines = measured.read_text().splitlines()[16000:16200]  # of 2016 and 2017
    path = folder / "mine.txt"
    path.write_text("\n".join(lines) + "\n")
    text = SESSION + '[earth]\norientation = "mine.txt"\n'
    (folder / "session.toml").write_text(text)
    before = {name: digest_of(setting.context, name) for name in ("observables", "orbit")}
    own = Setting(Context(folder, read_session(folder)))
    assert own.earth.orientation.origin == "mine.txt"
    assert len(own.earth.orientation.day) == 200
    told = made_by(own)["Earth orientation"]
    until = Epoch.from_mjd(float(own.earth.orientation.measured_until)).iso(0)[:10]
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert told == f"mine.txt, SHA-256 {checksum}, measured until {until}"
    after = {name: digest_of(own.context, name) for name in before}
    assert all(before[name] != after[name] for name in before)
    path.write_text("\n".join(lines[:100]) + "\n")
    assert all(digest_of(own.context, name) != after[name] for name in after)
    path.unlink()
    with pytest.raises(MissingDataError, match=r"mine\.txt"):
        digest_of(own.context, "orbit")


def test_an_input_that_is_gone_is_named(setting):
    setting.context.path("range.tdm").unlink()
    with pytest.raises(MissingDataError, match=r"range\.tdm"):
        made_by(setting)
