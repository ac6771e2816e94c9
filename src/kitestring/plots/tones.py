"""Pictures of tones."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kitestring.tones.types import PhaseCal, TonePhases


def plot_phase_cal(cal: PhaseCal) -> Figure:
    """Draw SNR, phase about its line, and delay of a recording's phase-cal tones.

    Parameters
    ----------
    cal : PhaseCal
        Tones of one recording. Phases and delays are those of channels in
        which tones were found.
    """
    figure = Figure(figsize=(9.0, 7.0), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    for channel in cal.channels:
        megahertz = channel.frequency / 1e6
        here = channel.present()
        top.plot(megahertz, channel.snr, ".", color="C0" if here else "0.7")
        if not here or not np.isfinite(channel.delay):
            continue
        line = channel.phase - 2.0 * np.pi * channel.delay * (
            channel.frequency - channel.frequency.mean()
        )
        rest = np.angle(channel.amplitude * np.exp(-1j * line))
        middle.errorbar(
            megahertz, np.degrees(rest), np.degrees(1.0 / channel.snr), fmt=".", color="C0"
        )
        bottom.errorbar(
            megahertz.mean(), channel.delay * 1e9, channel.delay_sigma * 1e9, fmt=".", color="C0"
        )
    found = len(cal.present())
    top.set_title(
        f"{cal.station}: phase-cal tones in {found} of {len(cal.channels)} channels, "
        f"{cal.epoch.iso(0)} UTC, {cal.duration:.3g} s"
    )
    top.set_ylabel("SNR")
    middle.set_ylabel("phase about the line (deg)")
    bottom.set_ylabel(f"delay (ns, modulo {1e9 / cal.spacing:.4g})")
    bottom.set_xlabel("sky frequency (MHz)")
    return figure


def plot_tone_phases(tones: TonePhases) -> Figure:
    """Draw each tone's phase, less that of the first station, and its SNR over a scan.

    Parameters
    ----------
    tones : TonePhases
        One scan.
    """
    count = len(tones.tones)
    figure = Figure(figsize=(9.0, 2.2 * count + 1.0), layout="constrained")
    axes = figure.subplots(count, 2, sharex=True, squeeze=False)
    seconds = tones.epoch.since(tones.start)
    for k, name in enumerate(tones.tones):
        left, right = axes[k]
        for s, station in enumerate(tones.stations):
            right.plot(seconds, tones.snr[s, k], ".-", ms=3, lw=0.7, color=f"C{s}", label=station)
            if s == 0:
                continue
            turns = (tones.phase[s, k] - tones.phase[0, k]) / (2.0 * np.pi)
            turns = turns - np.round(np.nanmean(turns)) if np.isfinite(turns).any() else turns
            left.plot(seconds, turns, ".-", ms=3, lw=0.7, color=f"C{s}")
        left.set_ylabel(f"{name}\nphase (turns)")
        right.set_ylabel("SNR a dump")
    axes[0, 1].legend(fontsize="small")
    for axis in axes[-1]:
        axis.set_xlabel(f"seconds after {tones.start.iso(0)} UTC")
    figure.suptitle(
        f"{tones.source}, scan {tones.scan}: tones, delay model removed, "
        f"phases less those of {tones.stations[0]}"
    )
    return figure
