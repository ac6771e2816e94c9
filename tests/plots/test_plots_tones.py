import io

import numpy as np

from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch
from kitestring.plots.tones import plot_phase_cal, plot_tone_phases
from kitestring.tones.types import ChannelTones, PhaseCal, TonePhases

EPOCH = Epoch.from_iso("2026-01-01T00:00:00")


def channel(name, strength, delay):
    f = 8.4e9 + 5e6 * np.arange(6)
    amplitude = strength * np.exp(-2j * np.pi * (f - f.mean()) * delay)
    return ChannelTones(name, "X", f, amplitude, np.full(6, 0.1), delay, 1e-10, 0.0, 0.01)


def test_phase_cal_shows_what_was_found():
    cal = PhaseCal("Gs", 5e6, 0.0, EPOCH, 0.003, (channel("a", 2.0, 3e-9), channel("b", 0.1, 0.0)))
    figure = plot_phase_cal(cal)
    top, middle, bottom = figure.axes
    assert "1 of 2 channels" in top.get_title()
    assert [line.get_ydata()[0] for line in top.lines] == [20.0, 1.0]
    assert np.abs(middle.lines[0].get_ydata()).max() < 1e-9  # on the line
    assert bottom.lines[0].get_ydata() == [3.0]
    figure.savefig(io.BytesIO(), format="svg")


def test_tone_phases_are_relative_to_the_first_station():
    phase = np.zeros((3, 1, 4))
    phase[1] = np.pi  # half a turn
    phase[2] = np.nan
    tones = TonePhases(
        "No2", "probe", ("A", "B", "C"), ("carrier",), EPOCH.shifted(np.arange(4) * 0.1), 0.1,
        np.array([[0.0, 8.4e9, 0.0]]), EPOCH, phase, np.full((3, 1, 4), 9.0), np.ones((3, 1)),
        (("CH0",),) * 3, DelayModel("No2", "probe", {}),
    )  # fmt: skip
    figure = plot_tone_phases(tones)
    left, right = figure.axes
    assert len(left.lines) == 2
    assert np.allclose(np.abs(left.lines[0].get_ydata()), 0.5)
    assert len(right.lines) == 3
    figure.savefig(io.BytesIO(), format="svg")
