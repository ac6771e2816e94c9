"""Pictures of recordings."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kitestring.errors import MissingDataError
from kitestring.recordings.describe import Description

_LABELLED = 16  # channels up to which curves carry their number
_TWO_BIT_OUTER = 0.1631  # fraction of each outer level of four that is best for noise


def plot_statistics(description: Description) -> Figure:
    """Draw how often each level occurs, and the bandpass of each channel.

    Parameters
    ----------
    description : Description
        Made with ``read=True``.

    Raises
    ------
    MissingDataError
        Where the samples were not read.
    """
    found = description.statistics
    survey = description.survey
    if found is None:
        raise MissingDataError(
            "the description holds no statistics.",
            place=", ".join(description.paths),
            next_step="Make it with describe(paths, read=True).",
        )
    figure = Figure(figsize=(9.0, 7.0), layout="constrained")
    top, bottom = figure.subplots(2, 1)
    count = len(found.bandpass)
    if 0 < found.level_fractions.shape[1] <= 16:
        base = np.zeros(count)
        for code, part in enumerate(np.nan_to_num(found.level_fractions.T)):
            top.bar(np.arange(count), part, bottom=base, width=0.8, label=f"{code}")
            base = base + part
        if found.level_fractions.shape[1] == 4:
            for height in (_TWO_BIT_OUTER, 0.5, 1.0 - _TWO_BIT_OUTER):
                top.axhline(height, ls="--", lw=0.7, color="k")
        top.legend(title="code", fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
        top.set_ylabel("fraction of samples")
    else:
        top.bar(np.arange(count), found.rms, width=0.8)
        top.set_ylabel("rms of decoded samples")
    top.set_xlabel("channel (dashed: levels set best for noise)" if survey.bits == 2 else "channel")
    top.xaxis.set_major_locator(MaxNLocator(integer=True))
    top.set_title(
        f"{survey.station}: {survey.bits}-bit {'complex' if survey.complex else 'real'} "
        f"{description.format}, {found.samples} samples a channel"
    )
    megahertz = found.frequency / 1e6
    step = 3.0  # dB between channels, so that they can be told apart
    with np.errstate(divide="ignore"):
        decibels = 10.0 * np.log10(found.bandpass)
    for c, curve in enumerate(decibels):
        bottom.plot(megahertz, curve + step * c, lw=0.7, color=f"C{c % 10}")
        if 1 < count <= _LABELLED and np.isfinite(curve[-1]):
            place = (megahertz[-1], curve[-1] + step * c)
            bottom.annotate(f" {c}", place, color=f"C{c % 10}", va="center", fontsize="small")
    for line in found.lines:
        place = (line.frequency / 1e6, bottom.get_ylim()[1])
        color = f"C{line.channel % 10}"  # that of the channel's curve
        bottom.axvline(place[0], ls=":", lw=0.7, color=color)
        bottom.annotate(
            f"channel {line.channel}: {line.level:.1f} dB", place, va="top", ha="left",
            fontsize="small", rotation=90, color=color,
        )  # fmt: skip
    bottom.set_xlabel("baseband frequency (MHz)")
    bottom.set_ylabel(f"power (dB; channels {step:.0f} dB apart)" if count > 1 else "power (dB)")
    return figure
