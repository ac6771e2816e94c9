"""Other delay models in place of those applied: phases written down by their definitions."""

from dataclasses import replace

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, SpanError
from kitestring.fringe.exchange import fringe_with_model, tones_with_model
from kitestring.fringe.types import FringeSolution, ToneSolution
from kitestring.model.constants import AU
from kitestring.model.earth import EarthModel
from kitestring.model.earth_orientation import EarthOrientationTable
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.stations import get_station
from kitestring.model.steering import make_delay_model, station_delays
from kitestring.model.time import Epoch

START = Epoch.from_iso("2026-05-11T18:00:00")
EPOCH = START.shifted(20.0)
FREQUENCY = np.array([8.40e9, 8.42e9, 8.44e9])
LO = np.array([[0.3, -0.4, 1.0], [2.0, 0.1, -1.2]])  # rad, station by channel
MICROTURN = 2e-6 * np.pi  # a phase's rounding: 3e-18 s of a delay of 0.02 s, at 8.4 GHz
PICOSECOND = 1e-12
FEMTOSECOND = 1e-15
SPIN = 1e-15  # s/s, of rates
NAMES = ("A", "B")


def model(a, b):
    """Return the model of two stations with such delays (powers of time) and a clock each."""
    line = PiecewisePolynomial
    stations = {
        name: StationDelay(
            line(START, 40.0, np.array([delay])), line(START, 40.0, np.array([clock]))
        )
        for name, delay, clock in zip(NAMES, (a, b), ((2e-6, 1e-12), (-1e-6, 3e-12)), strict=True)
    }
    return DelayModel("No0001", "X", stations)


TRUE = model([0.0123, 1.1e-6, 2e-11], [-0.0171, -0.9e-6, -7e-11])
OLD = model([0.0123 + 3e-9, 1.1e-6 + 2e-13, 2e-11], [-0.0171 - 4e-9, -0.9e-6, -7e-11])
NEW = model([0.0123 - 1e-9, 1.1e-6 + 5e-14, 2e-11], [-0.0171 + 2e-10, -0.9e-6 - 3e-13, -7e-11])


def total(of, name, derivative=0):
    return float(of.stations[name].total(EPOCH, derivative))


def fringe(applied):
    """Return the fringe that `TRUE` leaves after `applied`, as `FringeSolution` defines it."""
    ours, theirs = ([total(m, "B", k) - total(m, "A", k) for k in (0, 1)] for m in (TRUE, applied))
    residual, rate = ours[0] - theirs[0], ours[1] - theirs[1]
    phase = 2.0 * np.pi * FREQUENCY * residual + LO[0] - LO[1]
    one = np.ones(3)
    return FringeSolution(
        scan="No0001",
        source="X",
        baseline=NAMES,
        epoch=EPOCH,
        residual_delay=residual,
        delay=ours[0],
        delay_sigma=1e-11,
        residual_rate=rate,
        rate=ours[1],
        rate_sigma=1e-14,
        channels=("1", "2", "3"),
        frequency=FREQUENCY,
        band=np.stack([FREQUENCY - 2e6, FREQUENCY + 2e6], axis=1),
        phase=np.angle(np.exp(1j * phase)),
        phase_sigma=0.1 * one,
        amplitude=0.01 * one,
        snr=20.0,
        ambiguity=5e-8,
        probability=1.0,
    )


def tones(applied):
    """Return the tones that `TRUE` leaves after `applied`, as `TonePhases` defines them."""
    left = np.array([[total(TRUE, n, k) - total(applied, n, k) for k in (0, 1)] for n in NAMES])
    turns = -2.0 * np.pi * FREQUENCY
    shape = (2, 3)
    return ToneSolution(
        scan="No0001",
        source="X",
        epoch=EPOCH,
        duration=40.0,
        stations=NAMES,
        tones=("1", "2", "3"),
        frequency=FREQUENCY,
        phase=turns * left[:, :1] + LO,
        phase_sigma=np.full(shape, 0.1),
        rate=turns * left[:, 1:],
        rate_sigma=np.full(shape, 0.01),
        channels=(("1", "2", "3"),) * 2,
        model=applied,
    )


def apart(one, other):
    return np.abs(np.angle(np.exp(1j * (one - other)))).max()


def test_a_fringe_is_as_if_the_other_model_had_been_applied():
    found, expected = fringe_with_model(fringe(OLD), NEW), fringe(NEW)
    assert abs(found.residual_delay - expected.residual_delay) < 1e-5 * PICOSECOND
    assert abs(found.residual_rate - expected.residual_rate) < SPIN
    assert apart(found.phase, expected.phase) < MICROTURN
    assert (found.delay, found.rate) == (expected.delay, expected.rate)
    assert abs(fringe(OLD).residual_delay - expected.residual_delay) > 1e3 * PICOSECOND


def test_tones_are_as_if_the_other_model_had_been_applied():
    found, expected = tones_with_model(tones(OLD), NEW), tones(NEW)
    assert apart(found.phase, expected.phase) < MICROTURN
    assert np.abs(found.rate - expected.rate).max() < 2.0 * np.pi * 8.4e9 * SPIN
    assert np.abs(tones(OLD).rate - expected.rate).max() > 1e-3
    assert found.model is NEW


def test_the_same_model_changes_nothing():
    assert np.array_equal(tones_with_model(tones(OLD), OLD).phase, tones(OLD).phase)
    assert apart(fringe_with_model(fringe(OLD), OLD).phase, fringe(OLD).phase) < MICROTURN


def test_models_that_do_not_fit_are_refused():
    other = DelayModel("No0001", "X", {"A": NEW.stations["A"]})
    for exchange, found in ((fringe_with_model, fringe(OLD)), (tones_with_model, tones(OLD))):
        with pytest.raises(ConfigurationError, match="no station B"):
            exchange(found, other)
    late = DelayModel(
        "No0001",
        "X",
        {
            n: StationDelay(
                *(
                    PiecewisePolynomial(EPOCH.shifted(60.0), 40.0, p.coefficients)
                    for p in (s.delay, s.clock)
                )
            )
            for n, s in NEW.stations.items()
        },
    )
    with pytest.raises(SpanError, match="outside"):
        tones_with_model(tones(OLD), late)


class Turned:
    """Earth orientation with another UT1: 2 ms, 0.9 m at the equator."""

    def at(self, epoch):
        eop = EarthOrientationTable.default().at(epoch)
        return replace(eop, ut1_minus_tai=eop.ut1_minus_tai + 2e-3)


class Near:
    """A spacecraft beyond the Moon, whose wavefronts are round."""

    name, center = "near", "EARTH"
    span = (START.shifted(-100.0), START.shifted(100.0))

    def state(self, epoch):
        velocity = np.array([900.0, -1200.0, 300.0])
        position = 0.003 * AU * np.array([-0.3, 0.9, 0.3])
        moved = position + velocity * np.asarray(epoch.since(START.to("tdb")))[..., None]
        return np.concatenate([moved, np.broadcast_to(velocity, moved.shape)], axis=-1)


def test_one_wavefront_has_one_label_in_models_of_a_near_target():
    """Labels are of the geocentre, which no orientation moves: totals may be compared."""
    stations = [get_station("WETTZELL"), get_station("HARTRAO")]
    span = (START, START.shifted(30.0))
    old, new = (
        make_delay_model("No0001", "near", Near(), stations, span, earth)
        for earth in (EarthModel(), EarthModel(orientation=Turned()))
    )
    phases = np.zeros((2, 3))
    applied = ToneSolution(
        "No0001", "near", EPOCH, 30.0, tuple(s.name for s in stations), ("1", "2", "3"),
        FREQUENCY, phases, phases, phases, phases, ((),), old,
    )  # fmt: skip
    exchanged = tones_with_model(applied, new)
    label = EPOCH[None]
    for k, station in enumerate(stations):
        first, second = (
            float(station_delays(earth, station, Near(), label)[0])
            for earth in (EarthModel(), EarthModel(orientation=Turned()))
        )
        assert abs(first - second) > 100.0 * PICOSECOND
        # what is left grows where the new model has less
        expected = -2.0 * np.pi * FREQUENCY * (first - second)
        # the polynomial's fit and the rounding of what it goes through: 5e-16 s
        assert np.abs(exchanged.phase[k] - expected).max() < 2.0 * np.pi * 8.4e9 * FEMTOSECOND
