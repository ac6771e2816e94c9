"""Force models and states: their parameters and what they refuse."""

import numpy as np
import pytest

from kitestring.dynamics.types import ForceModel, Impulse, OrbitState, Thrust
from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch

START = Epoch.from_iso("2027-01-01", "tdb")
BURN = Impulse("tcm1", START, [1.0, 2.0, 3.0])
PUSH = Thrust("push", START, START.shifted(60.0), [0.1, 0.2, 0.3])


def test_parameters_are_named_in_order_and_can_be_replaced():
    forces = ForceModel(area_over_mass=0.02, srp_scale=1.1, burns=(BURN, PUSH))
    assert forces.parameters == (
        "srp_scale",
        *("tcm1.x", "tcm1.y", "tcm1.z"),
        *("push.x", "push.y", "push.z"),
    )
    np.testing.assert_array_equal(forces.values, [1.1, 1, 2, 3, 0.1, 0.2, 0.3])
    moved = forces.with_values(forces.values + 1.0)
    np.testing.assert_array_equal(moved.values, forces.values + 1.0)
    assert moved.burns[0].epoch is BURN.epoch


def test_without_light_pressure_there_is_no_scale():
    assert ForceModel().parameters == ()
    assert ForceModel().with_values([]).srp_scale == 1.0


def test_wrong_input_is_refused_with_what_was_found():
    with pytest.raises(ConfigurationError, match="share a name"):
        ForceModel(burns=(BURN, BURN))
    with pytest.raises(ConfigurationError, match="no values of the parameters"):
        ForceModel(burns=(BURN,)).with_values([1.0])
    with pytest.raises(ConfigurationError, match="stops before it starts"):
        Thrust("push", START, START, [0.1, 0.2, 0.3])
    with pytest.raises(ConfigurationError, match="three finite numbers"):
        Impulse("tcm", START, [1.0, 2.0])
    with pytest.raises(ConfigurationError, match="six numbers"):
        OrbitState(START, [1.0, 2.0])
    with pytest.raises(ConfigurationError, match="one epoch"):
        OrbitState(Epoch.from_iso(["2027-01-01"], "tdb"), np.ones(6))
    with pytest.raises(ConfigurationError, match="light pressure"):
        ForceModel(area_over_mass=-1.0)


def test_states_are_kept_in_tdb_and_cannot_be_changed():
    state = OrbitState(Epoch.from_iso("2027-01-01"), np.arange(6.0))
    assert state.epoch.scale == "tdb"
    with pytest.raises(ValueError, match="read-only"):
        state.state[0] = 1.0
