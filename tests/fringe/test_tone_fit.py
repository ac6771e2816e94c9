from dataclasses import replace

import numpy as np
import pytest

from kitestring.errors import MissingDataError
from kitestring.fringe.tones import fit_tones
from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch
from kitestring.tones.types import TonePhases

START = Epoch.from_iso("2026-01-01T00:05:00")
DUMP, DUMPS = 0.1, 40
PHASE = np.array([[0.4, 1.0], [-2.0, 3.0], [0.1, 5.0]])  # rad at 2 s
RATE = np.array([[3.0, 3.01], [3.2, 3.21], [2.9, 2.91]])  # rad/s


def tone_phases(rng=None, snr=20.0, wander=0.0):
    t = (np.arange(DUMPS) + 0.5) * DUMP - 2.0
    phase = PHASE[..., None] + RATE[..., None] * t + wander * np.cos(2 * t)
    if rng is not None:
        phase = phase + rng.normal(size=phase.shape) / snr
    return TonePhases(
        scan="No2", source="probe", stations=("A", "B", "C"), tones=("carrier", "dor"),
        epoch=START.shifted((np.arange(DUMPS) + 0.5) * DUMP), dump=DUMP,
        reference=np.array([[0.0, 8.4e9, 0.5], [0.0, 8.419e9, 0.5]]), start=START,
        phase=phase, snr=np.full(phase.shape, snr), density=np.ones((3, 2)),
        channels=(("CH0", "CH1"),) * 3, model=DelayModel("No2", "probe", {}),
    )  # fmt: skip


def turn(phase):
    return np.angle(np.exp(1j * phase))


def test_phase_rate_and_frequency():
    found = fit_tones(tone_phases())
    assert found.epoch.iso(0) == "2026-01-01T00:05:02"
    assert np.abs(turn(found.phase - PHASE)).max() < 1e-12
    assert found.rate == pytest.approx(RATE, abs=1e-12)
    assert found.frequency == pytest.approx([8.4e9 + 2.0, 8.419e9 + 2.0])
    assert found.duration == pytest.approx(4.0)


def test_transmitter_leaves_the_difference():
    quiet, noisy = (fit_tones(tone_phases(wander=w)) for w in (0.0, 0.8))
    assert np.abs(noisy.phase - quiet.phase).max() > 1e-3
    a, b = (x.baseline("A", "C")[0] for x in (quiet, noisy))
    assert np.abs(turn(a - b)).max() < 1e-12


def test_another_epoch_moves_phase_by_rate_and_its_sigma_grows():
    middle = fit_tones(tone_phases())
    later = fit_tones(tone_phases(), START.shifted(4.0))
    assert np.abs(turn(later.phase - PHASE - 2.0 * RATE)).max() < 1e-12
    # a line's end is known half as well as its middle
    assert later.phase_sigma / middle.phase_sigma == pytest.approx(2.0, rel=0.01)


def test_errors_are_what_sigma_says():
    pulls = []
    for seed in range(1, 101):
        found = fit_tones(tone_phases(np.random.default_rng(seed)))
        pulls.append(turn(found.phase - PHASE) / found.phase_sigma)
    pulls = np.array(pulls)
    assert abs(np.mean(pulls)) < 3.3 / np.sqrt(pulls.size)
    assert abs(np.mean(pulls**2) - 1) < 3.3 * np.sqrt(2 / pulls.size)


def test_lost_dumps_are_left_out_at_all_stations_and_a_silent_station_is_not_used():
    tones = tone_phases(wander=0.8)
    tones.snr[1, :, 3:9] = 0.0
    tones.phase[1, :, 3:9] = np.nan
    tones.snr[2] = 0.0
    tones.phase[2] = np.nan
    found = fit_tones(tones)
    assert np.isnan(found.phase[2]).all()
    expected = turn(PHASE[0] - PHASE[1])
    assert np.abs(turn(found.baseline("A", "B")[0] - expected)).max() < 1e-12
    tones.snr[:] = 0.0
    with pytest.raises(MissingDataError, match="No2"):
        fit_tones(tones)


def test_faults_of_two_stations_at_different_times_do_not_cost_all_stations():
    """D lacks the first half, E the second: together they share nothing."""
    tones = tone_phases(wander=0.8)
    phase = np.concatenate([tones.phase, tones.phase[:2]])
    snr = np.full(phase.shape, 20.0)
    snr[3, :, : DUMPS // 2] = 0.0
    snr[4, :, DUMPS // 2 :] = 0.0
    snr[4, :, :2] = 0.0  # the worse one
    phase[snr == 0.0] = np.nan
    tones = replace(
        tones, stations=tuple("ABCDE"), phase=phase, snr=snr, channels=(("CH0", "CH1"),) * 5
    )
    # E has under half; with all it has it would be the one that is dropped too
    for whole in (False, True):
        if whole:
            snr[4, :, :2], phase[4, :, :2] = 20.0, tones.phase[0, :, :2]
            snr[3, :, DUMPS // 2 - 4 : DUMPS // 2] = 20.0
            phase[3, :, DUMPS // 2 - 4 : DUMPS // 2] = phase[0, :, DUMPS // 2 - 4 : DUMPS // 2]
        found = fit_tones(tones)
        assert np.isnan(found.phase[4]).all()
        expected = turn(np.concatenate([PHASE, PHASE[:1]]) - PHASE[0])
        assert np.abs(turn(found.phase[:4] - found.phase[0] - expected)).max() < 1e-12
    # three stations that miss different tenths share enough: none is dropped
    tones = tone_phases()
    for s in range(3):
        tones.snr[s, :, 4 * s : 4 * s + 4] = 0.0
    assert np.isfinite(fit_tones(tones).phase).all()


def test_a_dump_of_noise_is_no_dump():
    """What is left of a lost dump has a random phase, and would turn all that follow."""
    pulls = []
    for seed in range(1, 101):
        rng = np.random.default_rng(seed)
        tones = tone_phases(rng)
        phase = np.angle(np.exp(1j * tones.phase))
        phase[1, :, 19:22] = rng.uniform(-np.pi, np.pi, (2, 3))
        tones.snr[1, :, 19:22] = 1.0
        found = fit_tones(replace(tones, phase=np.unwrap(phase)))
        difference, sigma = found.baseline("A", "B")
        pulls.append(turn(difference - turn(PHASE[0] - PHASE[1])) / sigma)
    pulls = np.array(pulls)
    assert np.abs(pulls).max() < 4.5
    assert abs(np.mean(pulls**2) - 1) < 3.3 * np.sqrt(2 / pulls.size)
