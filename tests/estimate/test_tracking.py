"""Tracking data to an estimate: partials against differences, delays taken apart, a fit closed."""

from dataclasses import replace

import numpy as np
import pytest

from kitestring.dynamics.propagate import OrbitTarget
from kitestring.dynamics.types import ForceModel, OrbitState
from kitestring.errors import ConfigurationError, MissingDataError, UnknownNameError
from kitestring.estimate.forward import ForwardModel
from kitestring.estimate.ramps import ramps_of
from kitestring.estimate.tracking import (
    UNITS,
    compute,
    fit_target,
    measurements,
)
from kitestring.estimate.types import Editing, Parameter
from kitestring.model.constants import AU
from kitestring.model.earth import EarthModel
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.light_time import down_leg
from kitestring.model.observable import Kind, SignalPath, StationClock
from kitestring.model.predict import Predictor
from kitestring.model.sources import get_source
from kitestring.model.stations import StationCatalogue, get_station
from kitestring.model.time import Epoch
from kitestring.observables.types import Observables, UplinkRamps

PICOSECOND = 1e-12
RATE_NOISE = 1e-14  # s/s: 0.01 ps of the delay's rounding over some seconds
PROBE = "PROBE"
SOURCE = "1741-038"
START = Epoch.from_iso("2026-03-01T12:00:00")
RAMPS = UplinkRamps(
    "DSS-55",
    "X",
    START.shifted(np.array([-7200.0, -3600.0])),
    np.array([7.17e9, 7.1700036e9]),
    np.array([0.1, -0.2]),
)
PATHS = {
    Kind.DELAY: SignalPath((PROBE, "URUMQI", "TIANMA65")),
    Kind.DELAY_RATE: SignalPath((PROBE, "URUMQI", "TIANMA65")),
    Kind.DELTA_DOR: SignalPath((PROBE, "URUMQI", "TIANMA65"), SOURCE),
    Kind.DOPPLER: SignalPath(("DSS-55", PROBE, "DSS-55"), "", 880 / 749, "X", "X"),
    Kind.RANGE: SignalPath(("DSS-55", PROBE, "DSS-65"), "", 880 / 749, "X", "X"),
}


@pytest.fixture(scope="module")
def earth():
    return EarthModel()


@pytest.fixture(scope="module")
def target():
    """A probe at 0.4 au from the Earth, near the direction of the quasar."""
    tdb = START.to("tdb")
    earth_state = Ephemeris.default().state("EARTH", "SUN", tdb)
    away = get_source(SOURCE).direction + np.array([0.0, 0.0, 0.05])
    state = earth_state + np.concatenate([0.4 * AU * away, [3e3, -2e3, 1e3]])
    span = (tdb.shifted(-4000.0), tdb.shifted(4 * 3600.0))
    return OrbitTarget(OrbitState(tdb, state, "SUN", PROBE), ForceModel(), span)


def observed(kind, n=4, count=0.0, **changes):
    return Observables(
        kind=kind,
        path=PATHS[kind],
        epoch=START.shifted(600.0 * np.arange(n)),
        value=np.zeros(n),
        sigma=np.full(n, 1.0),
        count=np.full(n, 60.0 if kind is Kind.DOPPLER else count),
        **changes,
    )


@pytest.mark.parametrize("kind", list(Kind))
def test_partials_are_differences(kind, target, earth):
    """Displacements of 1000 km and 10 m/s: the second differences are 1e-5 of the first."""
    values = target.values
    steps = np.array([1e6, 1e6, 1e6, 10.0, 10.0, 10.0])
    o = observed(kind)
    found = compute(o, target, values, ForwardModel(earth, (RAMPS,)))
    assert found.partial.shape == (4, 6)
    for k, step in enumerate(steps):
        shift = np.zeros(6)
        shift[k] = step
        up = compute(o, target, values + shift, ForwardModel(earth, (RAMPS,))).value
        down = compute(o, target, values - shift, ForwardModel(earth, (RAMPS,))).value
        numeric = (up - down) / (2 * step)
        # left out: the event moves with the light time, v/c of the largest partial (Doppler: 1e-3)
        scale = np.max(np.abs(found.partial[:, 3 * (k // 3) : 3 * (k // 3) + 3]))
        assert np.max(np.abs(numeric - found.partial[:, k])) < 2e-3 * scale


def test_a_delta_dor_is_a_difference_of_two_delays(target, earth):
    """With everything that antennas and sky add, on both."""

    class Sky:
        name = "sky"

        def delay(self, sight):
            return 8e-9 / np.sin(sight.elevation)

        def sigma(self, sight):
            return np.zeros(sight.elevation.shape)

    model, orbit = ForwardModel(earth, media=[Sky()]), target.trajectory(target.values)
    o = observed(Kind.DELTA_DOR)
    difference = model.predict(o, orbit)
    delay = model.predict(replace(observed(Kind.DELAY), path=o.path), orbit)
    station1, station2 = (get_station(name) for name in o.path.participants[1:])

    class FarAway:
        """The quasar as a target at 1e24 m, where parallax and curvature vanish."""

        name, center, span = SOURCE, "SSB", (START, START)

        def state(self, epoch):
            out = np.zeros((*epoch.shape, 6))
            out[..., :3] = 1e24 * get_source(SOURCE).direction
            return out

    quasar = Predictor(earth, FarAway(), [Sky()]).delay(station1, station2, o.epoch)
    assert np.max(np.abs(delay.value - quasar.value - difference.value)) < 0.2 * PICOSECOND
    assert np.min(np.abs(difference.value)) > 1e-7  # they do differ
    # the rest of it is geometry: that of the same difference in vacuum
    vacuum = ForwardModel(earth).predict(o, orbit)
    sky = difference.parts["sky"]
    assert np.max(np.abs(difference.value - sky - vacuum.value)) < 1e-3 * PICOSECOND
    assert np.min(np.abs(sky)) > 10.0 * PICOSECOND
    rates = [m.predict(observed(Kind.DELAY_RATE), orbit) for m in (model, ForwardModel(earth))]
    assert np.max(np.abs(rates[0].value - rates[0].parts["sky"] - rates[1].value)) < RATE_NOISE


def test_a_delay_rate_is_the_slope_of_the_delay(target, earth):
    model, orbit = ForwardModel(earth), target.trajectory(target.values)
    rate = model.predict(observed(Kind.DELAY_RATE), orbit).value
    step = 30.0
    ends = []
    for sign in (-1.0, 1.0):
        o = observed(Kind.DELAY)
        o = replace(o, epoch=o.epoch.shifted(sign * step))
        ends.append(model.predict(o, orbit).value)
    slope = (ends[1] - ends[0]) / (2 * step)
    curvature = (7.3e-5) ** 2 * step**2 / 6.0  # of a sinusoid a day long
    assert np.all(np.abs(slope - rate) < np.abs(rate).max() * 3 * curvature + RATE_NOISE)
    # the tag may stand at the start of a count: the rate is that of its middle
    shifted = replace(
        observed(Kind.DELAY_RATE, count=20.0, epoch_reference="start"),
        epoch=observed(Kind.DELAY_RATE).epoch.shifted(-10.0),
    )
    assert np.all(np.abs(model.predict(shifted, orbit).value - rate) < RATE_NOISE)


def test_a_delay_rate_may_be_less_a_quasars(target, earth):
    model, orbit = ForwardModel(earth), target.trajectory(target.values)
    o = observed(Kind.DELAY_RATE)
    plain = model.predict(o, orbit).value
    relative = model.predict(replace(o, path=PATHS[Kind.DELTA_DOR]), orbit).value
    assert np.all(np.abs(relative) < 0.1 * np.abs(plain))


def test_equipment_delays_count_in_range(target, earth):
    model, orbit = ForwardModel(earth), target.trajectory(target.values)
    o = observed(Kind.RANGE)
    path = replace(o.path, transmit_delay=1e-6, receive_delay=2e-6)
    more = model.predict(replace(o, path=path), orbit).value
    change = more - model.predict(o, orbit).value
    assert np.all(np.abs(change - 3e-6) < 1e-9)  # the target moves while 2 microseconds pass


def test_a_fit_finds_the_orbit_and_sets_outliers_aside(target, earth):
    """Noiseless data of all kinds with one bad row, one flagged row and a bias of the range."""
    kinds = (Kind.DELTA_DOR, Kind.DOPPLER, Kind.RANGE)
    sigmas = {Kind.DELTA_DOR: 1e-10, Kind.DOPPLER: 2e-3, Kind.RANGE: 3e-9}
    data = []
    for kind in kinds:
        o = observed(kind, n=12)
        value = compute(o, target, target.values, ForwardModel(earth, (RAMPS,))).value
        data.append(replace(o, value=value, sigma=np.full(12, sigmas[kind])))
    data[0].value[5] += 1e-6
    flag = data[1].flag.copy()
    flag[3] = "cloud"
    data[1] = replace(data[1], flag=flag)
    data[1].value[3] += 1.0
    data[2].value[:] += 5e-7
    start = target.values + np.array([3e5, -2e5, 1e5, 3.0, -2.0, 1.0])
    prior = [1e7, 1e7, 1e7, 100.0, 100.0, 100.0]
    guess = [Parameter(n, v, s) for n, v, s in zip(target.names, start, prior, strict=True)]
    solution, table = fit_target(
        target,
        data,
        guess,
        ForwardModel(earth, (RAMPS,)),
        editing=Editing(threshold=5.0),
        arc_of=lambda o: np.full(len(o), "pass 1" if o.kind is Kind.RANGE else ""),
    )
    assert np.all(np.abs(solution.values - target.values) < 0.05 * solution.sigmas)
    assert abs(solution.biases["pass 1"].value - 5e-7) < 0.05 * solution.biases["pass 1"].sigma
    assert list(np.flatnonzero(table.flag != "")) == [5, 15]
    assert (table.flag[5], table.flag[15]) == ("outlier", "cloud")
    assert abs(table.residual[5] - 1e-6) < 1e-11
    assert table.label[0] == f"delta_dor {PROBE} > URUMQI > TIANMA65 - {SOURCE}"
    assert (len(table), table.epoch.scale) == (36, "utc")


def test_a_joint_covariance_takes_the_place_of_sigmas():
    first, second = observed(Kind.DELTA_DOR, n=2), observed(Kind.DELTA_DOR, n=3)
    joint = np.diag([1.0, 4.0, 9.0, 16.0, 25.0])
    joint[0, 2] = joint[2, 0] = 0.5
    data = measurements([first, second], covariance=joint)
    assert list(data.sigma) == [1.0, 2.0, 3.0, 4.0, 5.0]
    (group,) = data.correlated
    assert list(group.rows) == [0, 2]
    assert group.covariance[0, 1] == 0.5


def test_sets_behind_a_joint_covariance_keep_their_own():
    sets = [observed(Kind.DELTA_DOR, n=2), observed(Kind.DELTA_DOR, n=1), observed(Kind.DOPPLER)]
    data = measurements(sets, covariance=np.diag([4.0, 9.0, 16.0]))
    assert list(data.sigma[:3]) == [2.0, 3.0, 4.0]
    assert np.array_equal(data.sigma[3:], sets[2].sigma)
    with pytest.raises(ConfigurationError, match="leading sets"):
        measurements(sets, covariance=np.eye(1))


def test_a_covariance_of_one_set_is_respected():
    covariance = np.array([[1.0, 0.5], [0.5, 4.0]])
    data = measurements(
        [observed(Kind.DOPPLER, n=3), observed(Kind.DELAY, n=2, covariance=covariance)]
    )
    assert list(data.sigma) == [1.0, 1.0, 1.0, 1.0, 2.0]
    assert list(data.correlated[0].rows) == [3, 4]
    assert list(data.kind[[0, 4]]) == ["doppler (Hz)", "delay (s)"]
    assert set(UNITS) == set(Kind)


def test_what_does_not_fit_is_refused(target, earth):
    model, orbit = ForwardModel(earth), target.trajectory(target.values)
    four_way = replace(observed(Kind.RANGE), path=SignalPath(("DSS-55", PROBE, "DSS-65", PROBE)))
    silent = replace(observed(Kind.DOPPLER), path=SignalPath((PROBE, "DSS-55")))
    bare = replace(observed(Kind.DELTA_DOR), path=PATHS[Kind.DELAY])
    with pytest.raises(UnknownNameError, match="ATLANTIS"):
        ForwardModel(earth, clocks={"ATLANTIS": StationClock(START, 1e-6)}).predict(
            observed(Kind.DELAY), orbit
        )
    odd = replace(observed(Kind.DELAY), path=SignalPath((PROBE, "ATLANTIS", "URUMQI")))
    with pytest.raises(ConfigurationError, match="not modelled"):
        model.predict(four_way, orbit)
    with pytest.raises(MissingDataError, match=f"{PROBE} transmits"):
        ForwardModel(earth, (RAMPS,)).predict(silent, orbit)
    with pytest.raises(ConfigurationError, match="reference source"):
        model.predict(bare, orbit)
    with pytest.raises(UnknownNameError):
        model.predict(odd, orbit)
    with pytest.raises(MissingDataError, match="S-band uplink"):
        ramps_of((RAMPS,), "DSS-55", "S")
    guess = [Parameter(n, v) for n, v in zip(target.names, target.values, strict=True)]
    with pytest.raises(ConfigurationError, match="not those of the target"):
        fit_target(target, [observed(Kind.DELAY)], guess[::-1], ForwardModel(earth))
    with pytest.raises(ConfigurationError, match="no observables"):
        fit_target(target, [], guess, ForwardModel(earth))
    with pytest.raises(ConfigurationError, match=r"\(3, 3\)"):
        measurements([observed(Kind.DELAY)], covariance=np.eye(3))


def test_stations_of_the_users_own_are_known(target, earth):
    mine = StationCatalogue.default().extended(
        [replace(get_station("URUMQI"), name="GARDEN", code="", aliases=())]
    )
    o = replace(observed(Kind.DELAY), path=SignalPath((PROBE, "GARDEN", "TIANMA65")))
    model, orbit = ForwardModel(earth), target.trajectory(target.values)
    found = ForwardModel(earth, stations=mine).predict(o, orbit)
    same = model.predict(observed(Kind.DELAY), orbit)
    assert np.array_equal(found.value, same.value)
    assert ramps_of((replace(RAMPS, station="NOWHERE"), RAMPS), "dss 55", "X") is RAMPS


def test_a_one_way_range_is_a_light_time(target, earth):
    o = replace(observed(Kind.RANGE), path=SignalPath((PROBE, "DSS-55"), receive_delay=1e-6))
    orbit = target.trajectory(target.values)
    found = ForwardModel(earth).predict(o, orbit)
    state = earth.station_state(get_station("DSS-55"), o.epoch.shifted(-1e-6))
    light_time = down_leg(state, orbit, earth.ephemeris).light_time
    rest = found.value - light_time - sum(found.parts.values())
    assert np.abs(rest).max() < PICOSECOND
