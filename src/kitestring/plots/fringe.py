"""Pictures of fringes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from kitestring.fringe.types import FringeMap, FringeSolution


def plot_fringe(fringe: FringeSolution, surface: FringeMap) -> Figure:
    """Draw one baseline's fringe: cuts through the peak, the map, the channels' phases.

    Parameters
    ----------
    fringe : FringeSolution
        What was fitted.
    surface : FringeMap
        Of the same scan and baseline.

    Raises
    ------
    ValueError
        Where they belong to different baselines.
    """
    if (fringe.scan, fringe.baseline) != (surface.scan, surface.baseline):
        raise ValueError(
            f"the fringe is of {fringe.scan} {fringe.baseline}, "
            f"the map of {surface.scan} {surface.baseline}."
        )
    figure = Figure(figsize=(9.0, 7.0), layout="constrained")
    (delay_cut, rate_cut), (image, phases) = figure.subplots(2, 2)
    row, column = np.unravel_index(int(np.argmax(surface.snr)), surface.snr.shape)
    microseconds, rates = surface.delay * 1e6, surface.rate * 1e12
    noise = np.sqrt(2.0 * surface.bands)
    for axis, x, y in (
        (delay_cut, microseconds, surface.snr[row]),
        (rate_cut, rates, surface.snr[:, column]),
    ):
        axis.plot(x, y, lw=0.8)
        axis.axhline(noise, color="0.6", lw=0.8, ls="--")
        axis.set_ylabel("SNR (dashed: noise)")
    delay_cut.set_xlabel("residual delay (µs)")
    rate_cut.set_xlabel("residual rate (ps/s)")
    if len(rates) > 1:
        drawn = image.pcolormesh(
            microseconds, rates, surface.snr, shading="nearest", rasterized=True
        )
        figure.colorbar(drawn, ax=image, label="SNR")
    image.set_xlabel("residual delay (µs)")
    image.set_ylabel("residual rate (ps/s)")
    phases.errorbar(
        fringe.frequency / 1e6, np.degrees(fringe.phase), np.degrees(fringe.phase_sigma), fmt="."
    )
    phases.set_ylim(-185, 185)
    phases.set_xlabel("sky frequency (MHz)")
    phases.set_ylabel("phase of the channel (deg)")
    figure.suptitle(
        f"{fringe.source}, scan {fringe.scan}, {'-'.join(fringe.baseline)}: "
        f"SNR {fringe.snr:.1f}\ndelay {fringe.residual_delay * 1e9:+.2f} ± "
        f"{fringe.delay_sigma * 1e9:.2f} ns, rate {fringe.residual_rate * 1e12:+.3f} ± "
        f"{fringe.rate_sigma * 1e12:.3f} ps/s"
        + ("" if fringe.probability >= 0.999 else " (not detected)")
    )
    return figure


def plot_channel_phases(fringes: Sequence[FringeSolution]) -> Figure:
    """Draw the channels' phases of several scans of one baseline, less the first channel's.

    Oscillator phases are the same in all scans: the curves lie on each other
    but for what the delay changed.

    Parameters
    ----------
    fringes : sequence of FringeSolution
        Of one baseline.
    """
    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    axis = figure.subplots()
    for k, fringe in enumerate(fringes):
        rest = np.angle(np.exp(1j * (fringe.phase - fringe.phase[0])))
        axis.errorbar(
            fringe.frequency / 1e6,
            np.degrees(rest),
            np.degrees(fringe.phase_sigma),
            fmt=".-",
            lw=0.6,
            color=f"C{k}",
            label=f"{fringe.scan} {fringe.source}",
        )
    axis.set_xlabel("sky frequency (MHz)")
    axis.set_ylabel("phase less the first channel's (deg)")
    axis.legend(fontsize="small")
    if fringes:
        axis.set_title("-".join(fringes[0].baseline))
    return figure
