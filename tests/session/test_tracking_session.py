"""Sessions made of tracking files; what is true of lander and spacecraft is written here."""

from importlib.resources import files

import numpy as np
import pytest

from kitestring.dynamics.propagate import propagate
from kitestring.dynamics.types import ForceModel, OrbitState
from kitestring.errors import (
    ConfigurationError,
    FormatError,
    FormatWarning,
    MissingDataError,
    UnknownNameError,
)
from kitestring.estimate.forward import ForwardModel
from kitestring.formats.tdm import write_tdm
from kitestring.model.earth import EarthModel
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.mars_angles_file import load_mars_rotation
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody
from kitestring.model.troposphere import Troposphere
from kitestring.observables.types import Observables, UplinkRamps
from kitestring.session.file import read_session
from kitestring.session.orbit_stages import load_determined
from kitestring.session.run import Context, run_session, session_status
from kitestring.session.tracking_stage import load_tracking

LANDER = np.array([-2417.5e3, 2365.9e3, 266.0e3])
FIRST = Epoch.from_iso("2020-05-29T08:30:00")
SECOND = Epoch.from_iso("2020-06-19T09:30:00")
RATIO = 880 / 749
SIGMA = 3e-3

SESSION = """
name = "tracking"
[target]
kind = "lander"
name = "InSight"
position = [-2417e3, 2367e3, 266e3]
sigma = 1e5
[[tracking]]
file = "a.tdm"
format = "tdm"
sigma = 3e-3
"""


def ramps(start, base):
    """A transmitter that follows the Earth's rotation a little, in pieces of 10 minutes."""
    pieces = np.arange(30)
    epoch = start.shifted(600.0 * pieces - 7200.0)
    rate = np.full(30, 0.4)
    return UplinkRamps("DSS-55", "X", epoch, base + 240.0 * pieces, rate)


def doppler(start, table, trajectory, name="InSight", n=60, noise=0.0):
    path = SignalPath(("DSS-55", name, "DSS-55"), "", RATIO, "X", "X")
    epoch = start.shifted(60.0 * np.arange(n))
    empty = Observables(
        Kind.DOPPLER, path, epoch, np.zeros(n), np.full(n, np.nan), np.full(n, 60.0)
    )
    model = ForwardModel(EarthModel(), (table,), (Troposphere(below="nan"),))
    value = model.predict(empty, trajectory).value
    value = value + noise * np.random.default_rng(1).normal(size=n)
    good = np.isfinite(value)
    return Observables(
        Kind.DOPPLER, path, epoch, np.where(good, value, 8.4e9), empty.sigma, empty.count
    )


def lander_file(path, start, base, **changes):
    table = ramps(start, base)
    found = doppler(start, table, FixedOnBody("InSight", "MARS", LANDER), noise=SIGMA, **changes)
    write_tdm(path, [found], [table])
    return found


def session(folder, text=SESSION):
    (folder / "session.toml").write_text(text)
    return folder


def solution(folder):
    return load_determined(Context(folder, read_session(folder))).solution


def test_a_lander_is_found(tmp_path):
    lander_file(tmp_path / "a.tdm", FIRST, 7.18e9)
    run_session(session(tmp_path))
    found = solution(tmp_path)
    error = found.values - LANDER
    assert error @ np.linalg.solve(found.covariance, error) < 16.3  # 99.9 % of three
    assert "<h2>Orbit and residuals</h2>" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_each_file_keeps_its_own_uplink(tmp_path, order):
    """The ramps of one file must not be continued into the time of another's."""
    lander_file(tmp_path / "a.tdm", FIRST, 7.18e9)
    lander_file(tmp_path / "b.tdm", SECOND, 7.19e9)
    text, block = SESSION.split("[[tracking]]")
    for name in order:
        text += "[[tracking]]" + block.replace("a.tdm", f"{name}.tdm")
    run_session(session(tmp_path, text))
    found = solution(tmp_path)
    assert int(found.used.sum()) == 120
    assert found.weighted_rms < 1.3


def test_what_passes_share_enlarges_the_sigmas(tmp_path):
    for name in ("plain", "biased"):
        (tmp_path / name).mkdir()
        lander_file(tmp_path / name / "a.tdm", FIRST, 7.18e9)
    run_session(session(tmp_path / "plain"))
    text = SESSION + "[estimate]\npass_bias = 0.05\n"
    run_session(session(tmp_path / "biased", text))
    plain, biased = (solution(tmp_path / name) for name in ("plain", "biased"))
    assert len(biased.biases) == 1
    assert np.all(biased.sigmas >= 0.999 * plain.sigmas)
    assert np.all(biased.sigmas[:2] > 1.2 * plain.sigmas[:2])  # z is not seen in an hour


def test_what_is_compared_only_may_tell_the_uplink(tmp_path):
    lander_file(tmp_path / "a.tdm", FIRST, 7.18e9)
    table = ramps(FIRST, 7.18e9)
    bare = doppler(FIRST, table, FixedOnBody("InSight", "MARS", LANDER), noise=SIGMA)
    write_tdm(tmp_path / "b.tdm", [bare])
    text, block = SESSION.split("[[tracking]]")
    text += "[[tracking]]" + block + "use = false\n[[tracking]]" + block.replace("a.tdm", "b.tdm")
    run_session(session(tmp_path, text))
    assert int(solution(tmp_path).used.sum()) == 60


def test_rows_of_others_are_not_used(tmp_path):
    table = ramps(FIRST, 7.18e9)
    own = doppler(FIRST, table, FixedOnBody("InSight", "MARS", LANDER), noise=SIGMA)
    other = doppler(FIRST, table, FixedOnBody("MRO", "MARS", -LANDER), name="MRO")
    write_tdm(tmp_path / "a.tdm", [own, other], [table])
    with pytest.warns(FormatWarning, match=r"a\.tdm: 60 doppler rows are of MRO"):
        run_session(session(tmp_path))
    flags = solution(tmp_path).flags
    assert list(np.unique(flags, return_counts=True)[1]) == [60, 60]
    assert set(flags) == {"", "of MRO"}


def test_a_file_may_call_the_target_otherwise(tmp_path):
    table = ramps(FIRST, 7.18e9)
    found = doppler(FIRST, table, FixedOnBody("InSight", "MARS", LANDER), name="-189", noise=SIGMA)
    write_tdm(tmp_path / "a.tdm", [found], [table])
    run_session(session(tmp_path, SESSION + 'spacecraft = "-189"\n'))
    assert int(solution(tmp_path).used.sum()) == 60


def test_rows_that_cannot_be_modelled_are_set_aside_by_name(tmp_path):
    """Below the horizon there is no troposphere; before the first ramp nothing was sent."""
    table = ramps(FIRST, 7.18e9)
    trajectory = FixedOnBody("InSight", "MARS", LANDER)
    good = doppler(FIRST, table, trajectory, noise=SIGMA)
    low = doppler(FIRST.shifted(43200.0), table, trajectory, n=2)
    early = doppler(FIRST.shifted(-7200.0), table, trajectory, n=2)
    write_tdm(tmp_path / "a.tdm", [early, good, low], [table])
    run_session(session(tmp_path))
    flags = solution(tmp_path).flags
    assert int(np.sum(flags == "not modelled")) == 4
    assert int(np.sum(flags == "")) == 60


def test_an_uplink_that_nobody_told_is_named(tmp_path):
    table = ramps(FIRST, 7.18e9)
    trajectory = FixedOnBody("InSight", "MARS", LANDER)
    good = doppler(FIRST, table, trajectory, noise=SIGMA)
    lost = Observables(
        Kind.DOPPLER,
        SignalPath(("DSS-14", "InSight", "DSS-55"), "", RATIO, "X", "X"),
        good.epoch,
        good.value,
        good.sigma,
        good.count,
    )
    write_tdm(tmp_path / "a.tdm", [good, lost], [table])
    with pytest.warns(FormatWarning, match=r"a\.tdm: 60 doppler rows over DSS-14.*not used"):
        run_session(session(tmp_path))
    assert int(solution(tmp_path).used.sum()) == 60


def test_a_spacecraft_is_found_from_data_days_after_its_epoch(tmp_path):
    eph = Ephemeris.default()
    start = Epoch.from_iso("2026-01-10T16:00:00")
    epoch = Epoch.from_iso("2026-01-01T00:00:00", "tdb")
    home = eph.state("EARTH", "SUN", epoch)
    state = np.round(home + np.array([1.2e10, 3.1e10, 9e9, 1500.0, -900.0, 400.0]), 3)
    truth = propagate(
        OrbitState(epoch, state + np.array([8e3, -5e3, 6e3, 0.02, 0.01, -0.02]), "SUN", "PROBE"),
        ForceModel(),
        (epoch, start.to("tdb").shifted(3 * 86400.0)),
    )
    sets, tables = [], []
    for day in range(3):
        begin = start.shifted(86400.0 * day)
        table = ramps(begin, 7.18e9)
        found = doppler(begin, table, truth, name="PROBE", noise=SIGMA, n=120)
        path = SignalPath(("DSS-55", "PROBE", "DSS-55"))  # a range needs no turnaround ratio
        range_ = Observables(
            Kind.RANGE, path, begin[None], np.zeros(1), np.full(1, np.nan), np.zeros(1)
        )
        model = ForwardModel(EarthModel(), media=(Troposphere(below="nan"),))
        value = model.predict(range_, truth).value
        sets += [
            found,
            Observables(Kind.RANGE, path, begin[None], value, range_.sigma, np.zeros(1)),
        ]
        tables.append(table)
    for k in range(3):
        write_tdm(tmp_path / f"{k}.tdm", sets[2 * k : 2 * k + 2], [tables[k]])
    text = f"""
name = "cruise"
[target]
kind = "spacecraft"
name = "Probe"
epoch = "2026-01-01T00:00:00"
center = "SUN"
position = {state[:3].tolist()}
velocity = {state[3:].tolist()}
sigma_position = 1e4
sigma_velocity = 0.05
"""
    for k in range(3):
        text += f'[[tracking]]\nfile = "{k}.tdm"\nformat = "tdm"\n'
        text += "sigma = { doppler = 3e-3, range = 3e-9 }\n"
    run_session(session(tmp_path, text))
    found = solution(tmp_path)
    error = found.values - truth.initial.state
    assert error @ np.linalg.solve(found.covariance, error) < 22.5  # 99.9 % of six
    assert found.observability.max() > 10.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: t.replace("META_STOP", "META_HALT"), FormatError, r"a\.tdm:\d+"),
        (
            lambda t: t.replace("RECEIVE_FREQ = 2020", "RECEIVE_FREQ = 2O20", 1),
            FormatError,
            r"a\.tdm:\d+",
        ),
        (lambda t: "no tracking data at all\n", FormatError, r"a\.tdm"),
        (
            lambda t: t.replace("DSS-55", "ATLANTIS"),
            UnknownNameError,
            r"a\.tdm: no.*ATLANTIS",
        ),
    ],
)
def test_malformed_files_are_named(tmp_path, change, error, message):
    lander_file(tmp_path / "a.tdm", FIRST, 7.18e9, n=5)
    path = tmp_path / "a.tdm"
    text = (
        path.read_text()
        .replace("RECEIVE_FREQ_1", "RECEIVE_FREQ")
        .replace("RECEIVE_FREQ_2", "RECEIVE_FREQ")
    )
    changed = change(text)
    assert changed != text
    path.write_text(changed)
    with pytest.raises(error, match=message):
        run_session(session(tmp_path))


def test_what_a_session_must_say(tmp_path):
    lander_file(tmp_path / "a.tdm", FIRST, 7.18e9, n=5)
    with pytest.raises(MissingDataError, match=r"a\.tdm: the uncertainty.*sigma ="):
        run_session(session(tmp_path, SESSION.replace("sigma = 3e-3", "")))
    text, block = SESSION.split("[[tracking]]")
    twice = text + 2 * ("[[tracking]]" + block)
    with pytest.raises(ConfigurationError, match="same file"):
        run_session(session(tmp_path, twice))
    nobody = 'name = "x"\n[[tracking]]' + block
    with pytest.raises(ConfigurationError, match="no \\[target\\]"):
        run_session(session(tmp_path, nobody))
    with pytest.raises(ConfigurationError, match="nothing to do"):
        run_session(session(tmp_path, 'name = "x"\n'))
    with pytest.raises(ConfigurationError, match="kinds are"):
        run_session(session(tmp_path, SESSION.replace("3e-3", "{ speed = 1.0 }")))
    with pytest.raises(MissingDataError, match=r"b\.tdm"):
        run_session(session(tmp_path, SESSION.replace("a.tdm", "b.tdm")))


@pytest.mark.parametrize("epoch", ["2026-01-01T00:00:00Z", '"2026-01-01T00:00:00Z"'])
def test_a_state_is_given_in_tdb(tmp_path, epoch):
    text = f"""
name = "x"
[target]
kind = "spacecraft"
name = "P"
epoch = {epoch}
position = [1.5e11, 0.0, 0.0]
velocity = [0.0, 3e4, 0.0]
sigma_position = 1e4
sigma_velocity = 0.1
"""
    with pytest.raises(ConfigurationError, match="TDB, not UTC"):
        read_session(session(tmp_path, text))
    with pytest.raises(ConfigurationError, match="sigma_position"):
        read_session(
            session(tmp_path, text.replace(epoch, '"2026-01-01"').replace("1e4\n", "inf\n"))
        )


def test_tracking_is_kept_with_its_flags(tmp_path):
    lander_file(tmp_path / "a.tdm", FIRST, 7.18e9, n=5)
    folder = session(tmp_path, SESSION + "[estimate]\nelevation = 89\n")
    run_session(folder, only=["observables"])
    (one,) = load_tracking(Context(folder, read_session(folder)))
    assert not one.data.observables[0].good.any()


def test_a_lander_may_turn_by_a_file(tmp_path):
    """The package's own file has its prime meridian 10 m from that of WGCCRE 2015."""
    mars = load_mars_rotation()
    table = ramps(FIRST, 7.18e9)
    found = doppler(FIRST, table, FixedOnBody("InSight", "MARS", LANDER, mars), noise=SIGMA)
    write_tdm(tmp_path / "a.tdm", [found], [table])
    own = (files("kitestring") / "data" / "mars_rotation_konopliv2016.toml").read_text("utf-8")
    (tmp_path / "mars.toml").write_text(own, encoding="utf-8")
    text = SESSION.replace("sigma = 1e5", 'sigma = 1e3\nrotation = "mars.toml"', 1)
    run_session(session(tmp_path, text.replace("[-2417e3, 2367e3", "[-2417.4e3, 2366e3")))
    first = solution(tmp_path)
    error = first.values - LANDER
    assert error @ np.linalg.solve(first.covariance, error) < 16.3  # 99.9 % of three
    assert first.weighted_rms < 1.3
    assert {row.state for row in session_status(tmp_path)} == {"done"}
    # another meridian in the file is another place on the ground, once the stage has run again
    turned = own.replace("phi_deg = 133.386277", "phi_deg = 133.387277")
    assert turned != own
    (tmp_path / "mars.toml").write_text(turned, encoding="utf-8")
    assert {row.state for row in session_status(tmp_path) if row.name != "report"} == {"to do"}
    run_session(tmp_path)
    east = np.arctan2(*first.values[1::-1]) - np.arctan2(*solution(tmp_path).values[1::-1])
    assert np.degrees(east) == pytest.approx(1e-3, rel=0.05)


def test_a_rotation_is_estimated_beside_the_place(tmp_path):
    """Two passes, two years apart, of a body that turns faster than is foreseen."""
    later = FIRST.shifted(730 * 86400.0)
    # a session refers the angles to the middle of its data
    foreseen = load_mars_rotation().referred_to(FIRST.shifted(365 * 86400.0 + 1800.0))
    faster = 1e-13  # rad/s: 1.3 arcsec, 21 m, after two years
    (rate,) = foreseen.values(["phi_dot"])
    mars = foreseen.changed(["phi_dot"], [rate + faster])
    lander = FixedOnBody("InSight", "MARS", LANDER, mars)
    for name, begin in (("a", FIRST), ("b", later)):
        table = ramps(begin, 7.18e9)
        write_tdm(tmp_path / f"{name}.tdm", [doppler(begin, table, lander, noise=SIGMA)], [table])
    text = SESSION.replace("sigma = 1e5", 'sigma = 1e3\nrotation = "konopliv2016"', 1)
    text = text.replace("[[tracking]]", "[target.rotation_sigma]\nphi_dot = 1e-12\n[[tracking]]")
    text += '[[tracking]]\nfile = "b.tdm"\nformat = "tdm"\nsigma = 3e-3\n'
    run_session(session(tmp_path, text.replace("[-2417e3, 2367e3", "[-2417.4e3, 2366e3")))
    found = solution(tmp_path)
    assert found.names == ("x", "y", "z", "phi_dot")
    error = found.values - [*LANDER, rate + faster]
    assert error @ np.linalg.solve(found.covariance, error) < 18.5  # 99.9 % of four
    assert found.sigmas[3] < 0.3 * faster  # it is seen


def test_a_missing_rotation_is_told(tmp_path):
    lander_file(tmp_path / "a.tdm", FIRST, 7.18e9)
    session(tmp_path, SESSION.replace("sigma = 1e5", 'rotation = "mars.toml"', 1))
    with pytest.raises(MissingDataError, match=r"mars\.toml"):
        run_session(tmp_path)
