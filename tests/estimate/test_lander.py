"""A lander: where it is, how that moves with its coordinates, and InSight's place from a month."""

from dataclasses import replace

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, FormatWarning, UnknownNameError
from kitestring.estimate.forward import ForwardModel
from kitestring.estimate.lander import LanderTarget
from kitestring.estimate.tracking import fit_target
from kitestring.estimate.types import Parameter
from kitestring.formats.tdm import read_tdm
from kitestring.model.earth import EarthModel
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.mars import mars_rotation
from kitestring.model.mars_angles_file import load_mars_rotation
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody
from kitestring.model.troposphere import Troposphere
from kitestring.observables.types import Observables, UplinkRamps

KILOMETRE = 1e3
PLACE = np.array([-2417.5e3, 2365.9e3, 266.0e3])
EPOCHS = Epoch.from_iso("2020-05-29", "tdb").shifted(np.array([-1.0, 0.0, 1.0]))


def test_a_lander_turns_with_its_body():
    lander = FixedOnBody("INSIGHT", "Mars", PLACE)
    state = lander.state(EPOCHS)
    assert lander.center == "MARS"
    assert np.linalg.norm(state[:, :3], axis=1) == pytest.approx(np.linalg.norm(PLACE), rel=1e-14)
    back = np.einsum("nji,nj->ni", mars_rotation(EPOCHS).matrix, state[:, :3])
    assert np.max(np.abs(back - PLACE)) < 1e-8
    numeric = (state[2, :3] - state[0, :3]) / 2.0
    assert np.max(np.abs(numeric - state[1, 3:])) < 1e-6  # they curve by 2e-7 m/s
    assert Ephemeris.default().state("MARS", lander.center, EPOCHS).max() == 0.0
    low, high = lander.span
    assert low.since(EPOCHS[0]) < 0.0 < high.since(EPOCHS[0])


def test_partials_are_differences():
    target = LanderTarget("INSIGHT", "MARS", PLACE)
    assert target.names == ("x", "y", "z")
    assert np.array_equal(target.values, PLACE)
    found = target.position_partial(target.values, EPOCHS)
    for k in range(3):
        moved = target.trajectory(PLACE + 1000.0 * np.eye(3)[k]).state(EPOCHS)
        change = (moved - target.trajectory(PLACE).state(EPOCHS))[:, :3] / 1000.0
        assert np.max(np.abs(change - found[:, :, k])) < 1e-9


def test_what_has_no_known_surface_is_refused():
    with pytest.raises(ConfigurationError, match="PHOBOS"):
        LanderTarget("HOPPER", "PHOBOS", PLACE)
    with pytest.raises(ConfigurationError, match="not a position"):
        FixedOnBody("INSIGHT", "MARS", PLACE[:2])
    with pytest.raises(ConfigurationError, match="not a position"):
        LanderTarget("INSIGHT", "MARS", [np.nan, 0.0, 0.0])


def test_a_rotation_may_be_given():
    mars = load_mars_rotation()
    own, other = FixedOnBody("INSIGHT", "MARS", PLACE), FixedOnBody("INSIGHT", "mars", PLACE, mars)
    place = other.state(EPOCHS)
    assert np.array_equal(place[:, :3], mars(EPOCHS).position(PLACE))
    # the two reports' prime meridians lie 10 m apart
    assert 5.0 < np.linalg.norm(place - own.state(EPOCHS), axis=1).max() < 15.0
    target = LanderTarget("INSIGHT", "MARS", PLACE, mars)
    assert target.names == ("x", "y", "z")
    assert np.array_equal(target.values, PLACE)
    found = target.position_partial(target.values, EPOCHS)
    assert np.array_equal(found, mars(EPOCHS).matrix)


def test_partials_of_the_rotation_are_differences():
    mars = load_mars_rotation().referred_to(EPOCHS[1].shifted(-200 * 86400.0))
    names = ("psi0", "I_dot", "phi_dot", "phi_sin1", "Y_cos2")
    target = LanderTarget("INSIGHT", "MARS", PLACE, mars, names)
    assert target.names == ("x", "y", "z", *names)
    assert target.units == ("m", "m", "m", "rad", "rad/s", "rad/s", "rad", "rad")
    # away from the first guess too
    values = target.values + np.array([1e3, -2e3, 3e3, 1e-6, 1e-14, 1e-14, 1e-6, 1e-7])
    found = target.position_partial(values, EPOCHS)
    for k, step in enumerate([1e3, 1e3, 1e3, 1e-6, 1e-13, 1e-13, 1e-6, 1e-6]):
        ahead, behind = (
            target.trajectory(values + h * np.eye(8)[k]).state(EPOCHS)[:, :3] for h in (step, -step)
        )
        change = (ahead - behind) / (2.0 * step)
        # products of polar motion and other angles are left out: 1e-7
        assert np.max(np.abs(change - found[..., k])) < 1e-6 * np.abs(found[..., k]).max()


def test_rotation_parameters_must_be_there():
    mars = load_mars_rotation()
    with pytest.raises(UnknownNameError, match="phi_dot"):
        LanderTarget("INSIGHT", "MARS", PLACE, mars, ["phi_dott"])
    with pytest.raises(ConfigurationError, match="without parameters"):
        LanderTarget("INSIGHT", "MARS", PLACE, estimate=["phi_dot"])
    with pytest.raises(ConfigurationError, match="twice"):
        LanderTarget("INSIGHT", "MARS", PLACE, mars, ["I0", "I0"])
    target = LanderTarget("INSIGHT", "MARS", PLACE, mars, ["I0"])
    for wrong in (PLACE, np.append(PLACE, np.nan)):
        with pytest.raises(ConfigurationError, match=r"values of|finite"):
            target.trajectory(wrong)


def test_a_faster_spin_is_found():
    """Doppler of two years with noise of 10 mHz: 300 mas a year are metres of longitude."""
    first = Epoch.from_iso("2018-12-01T12:00")
    epoch = first.shifted(86400.0 * 50.0 * np.repeat(np.arange(14), 20))
    epoch = epoch.shifted(np.tile(4000.0 * np.arange(20), 14))
    n = len(epoch)
    path = SignalPath(("DSS-55", "INSIGHT", "DSS-55"), "", 880 / 749, "X", "X")
    count, sigma = np.full(n, 60.0), np.full(n, 1e-2)
    empty = Observables(Kind.DOPPLER, path, epoch, np.zeros(n), sigma, count)
    start = np.array([-1e5])
    ramps = UplinkRamps("DSS-55", "X", first.shifted(start), start + 7.18e9, 0.0 * start)
    model = ForwardModel(EarthModel(), (ramps,))
    mars = load_mars_rotation().referred_to(Epoch.from_iso("2019-12-01", "tdb"))
    faster = 300.0 * np.pi / 180.0 / 3.6e6 / (365.25 * 86400.0)
    truth = mars.changed(["phi_dot"], mars.values(["phi_dot"]) + faster)
    value = model.predict(empty, FixedOnBody("INSIGHT", "MARS", PLACE, truth)).value
    noise = 1e-2 * np.random.default_rng(1).normal(size=n)
    target = LanderTarget("INSIGHT", "MARS", PLACE + 100.0, mars, ["phi_dot"])
    guess = [
        Parameter(name, float(value), unit=unit)
        for name, value, unit in zip(target.names, target.values, target.units, strict=True)
    ]
    solution, _ = fit_target(target, [replace(empty, value=value + noise)], guess, model)
    error = solution.values - [*PLACE, truth.phi_dot]
    assert error @ np.linalg.solve(solution.covariance, error) < 18.5  # 99.9 % of four
    assert solution.sigmas[3] < 0.1 * faster


def test_two_stations_place_insight(data_dir):
    """A few passes see longitude and distance from the axis; z they hardly see."""
    with pytest.warns(FormatWarning):
        data = read_tdm(data_dir / "insight/nsyt_maro_2018_331_2020_366.tdm")
    observables = []
    for o in data.observables:
        days = o.epoch.day - 58960  # 2020-04-21 on: far from the Sun
        rows = (days >= 0) & (days < 40)
        if o.path.participants[0] in ("DSS 36", "DSS 65") and np.any(rows):
            observables.append(
                replace(
                    o,
                    epoch=o.epoch[rows],
                    value=o.value[rows],
                    sigma=np.full(np.sum(rows), 3e-3),
                    count=o.count[rows],
                    flag=o.flag[rows],
                )
            )
    target = LanderTarget("INSIGHT", "MARS", PLACE + np.array([2e3, -3e3, 1e3]))
    guess = [Parameter("x", target.values[0]), Parameter("y", target.values[1])]
    guess.append(Parameter("z", target.values[2], sigma=5e3))
    solution, table = fit_target(
        target,
        observables,
        guess,
        ForwardModel(EarthModel(), data.ramps, (Troposphere(),)),
    )
    assert len(table) > 100
    assert solution.rms < 4e-3
    # over the whole mission (validation/two_way_doppler.py): -2417538, 2365920, 266.0e3 m
    east = np.arctan2(solution.values[1], solution.values[0]) - np.arctan2(2365920.5, -2417538.3)
    assert abs(east) * 3.38e6 < 0.1 * KILOMETRE
    assert abs(np.hypot(*solution.values[:2]) - 3382.613e3) < 0.2 * KILOMETRE
    assert abs(solution.values[2] - 266.04e3) < 6 * KILOMETRE
