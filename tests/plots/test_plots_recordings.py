import io

import numpy as np
import pytest

from kitestring.errors import MissingDataError
from kitestring.plots.recordings import plot_statistics
from kitestring.recordings.describe import Description
from kitestring.recordings.formats import FrameCounts, Survey
from kitestring.recordings.statistics import Line, Statistics


def description(bits=2, statistics=True):
    survey = Survey("Tm", None, None, 8e6, "given", 2, bits, False, "", FrameCounts(), ())
    levels = np.tile([0.1, 0.4, 0.3, 0.2], (2, 1)) if bits == 2 else np.zeros((2, 0))
    found = Statistics(
        1024, np.ones(2), np.zeros(2), np.array([2.0, 3.0]), levels, np.arange(4) * 1e6,
        np.array([[1.0, 1.0, 1.0, 1.0], [0.5, 1.0, 10.0, 0.5]]), (Line(1, 2e6, -3.0),),
    )  # fmt: skip
    return Description("VDIF", ("a.vdif",), 1, survey, found if statistics else None)


def test_levels_and_bandpass_are_shown():
    figure = plot_statistics(description())
    top, bottom = figure.axes
    heights = [bar.get_height() for bar in top.patches]
    assert heights == pytest.approx([0.1, 0.1, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2])
    assert max(bar.get_y() + bar.get_height() for bar in top.patches) == pytest.approx(1.0)
    curves = [line.get_ydata() for line in bottom.lines[:2]]
    assert curves[1][2] - curves[0][2] == pytest.approx(13.0)  # 10 dB and one step
    assert bottom.lines[2].get_xdata()[0] == 2.0  # MHz
    (label,) = (text for text in bottom.texts if "dB" in text.get_text())
    assert label.get_text() == "channel 1: -3.0 dB"
    assert label.get_color() == bottom.lines[2].get_color() == bottom.lines[1].get_color()
    figure.savefig(io.BytesIO(), format="svg")


def test_many_bits_show_the_rms():
    top = plot_statistics(description(bits=16)).axes[0]
    assert [bar.get_height() for bar in top.patches] == [2.0, 3.0]


def test_statistics_must_have_been_read():
    with pytest.raises(MissingDataError, match="read=True"):
        plot_statistics(description(statistics=False))
