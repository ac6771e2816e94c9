"""A lander: where it is, how that moves with its coordinates, and InSight's place from a month."""

from dataclasses import replace

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, FormatWarning
from kitestring.estimate.lander import LanderTarget
from kitestring.estimate.tracking import fit_target
from kitestring.estimate.types import Parameter
from kitestring.formats.tdm import read_tdm
from kitestring.model.earth import EarthModel
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.mars import mars_rotation
from kitestring.model.media import Troposphere
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody

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
    # the pole's own motion, left out of the velocity, moves a point by 1e-5 m/s
    numeric = (state[2, :3] - state[0, :3]) / 2.0
    assert np.max(np.abs(numeric - state[1, 3:])) < 2e-5
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
        earth=EarthModel(),
        ramps=data.ramps,
        media=(Troposphere(),),
    )
    assert len(table) > 100
    assert solution.rms < 4e-3
    # over the whole mission (validation/insight_lander.py): -2417538, 2365920, 266.0e3 m
    east = np.arctan2(solution.values[1], solution.values[0]) - np.arctan2(2365920.5, -2417538.3)
    assert abs(east) * 3.38e6 < 0.1 * KILOMETRE
    assert abs(np.hypot(*solution.values[:2]) - 3382.613e3) < 0.2 * KILOMETRE
    assert abs(solution.values[2] - 266.04e3) < 6 * KILOMETRE
