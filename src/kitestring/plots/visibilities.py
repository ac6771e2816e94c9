"""Pictures of visibilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kitestring.correlate.types import ChannelVisibilities, Visibilities

Floats = NDArray[np.float64]
Spectrum = NDArray[np.complex128]
RowKey = tuple[float, str, str, str]

_MOST_TICKS = 16
_HIGH = 2.3  # inches: autocorrelations, and each baseline
_REFERENCE: dict[str, Any] = {"marker": ".", "ls": "", "ms": 1.5, "color": "k", "zorder": 3.0}


MOST_BASELINES = 28
"""Baselines of 8 stations: more make a picture that nobody can open."""


@dataclass(frozen=True)
class _Curve:
    """One baseline and product: a spectrum for each channel that has it."""

    label: str
    spectra: dict[int, Spectrum]


def plot_spectra(vis: Visibilities, reference: Mapping[RowKey, Spectrum] | None = None) -> Figure:
    """Draw a scan's spectra, averaged over its integrations.

    From above: the autocorrelations of all stations; then for each baseline amplitude
    and phase, over the root of the two stations' power in each bin, and beside them the
    amplitude against lag, summed without regard to phase over channels. Channels
    stand side by side in order of sky frequency, gaps between them left out. Of more than
    `MOST_BASELINES` baselines the first are drawn, and the title says so.

    Parameters
    ----------
    vis : Visibilities
        One scan. Products of equal polarisation are drawn.
    reference : mapping, optional
        What another correlator made of the same recordings, drawn as black dots:
        (lowest sky frequency of the band in Hz, station 1, station 2, product) to
        the spectrum in ascending sky frequency. Each station's and polarisation's
        spectra are scaled to the same power as ours.
    """
    ours = {(c, *key): row for c, key, row in _rows(vis)}
    theirs = _scaled(vis, ours, reference or {})
    every = [(a, b) for a, b in vis.baselines if a != b]
    baselines = every[:MOST_BASELINES]
    figure = Figure(figsize=(11.0, 0.7 + _HIGH + _HIGH * len(baselines)), layout="constrained")
    grid = figure.add_gridspec(
        2 + 2 * len(baselines), 2, width_ratios=(3, 1), hspace=0.02, wspace=0.02
    )
    power = figure.add_subplot(grid[:2, :])
    _draw_autos(power, vis, ours, theirs)
    mine, others = _coherence(ours), _coherence(theirs)
    for k, baseline in enumerate(baselines):
        amplitude = figure.add_subplot(grid[2 + 2 * k, 0])
        phase = figure.add_subplot(grid[3 + 2 * k, 0], sharex=amplitude)
        lag = figure.add_subplot(grid[2 + 2 * k : 4 + 2 * k, 1])
        _draw_baseline((amplitude, phase, lag), vis, baseline, mine, others)
        if k + 1 == len(baselines):
            phase.set_xlabel("lowest sky frequency of the channel (MHz)")
            lag.set_xlabel("residual delay (µs)")
    seconds = float(np.sum(vis.integration))
    figure.suptitle(
        f"{vis.source}, scan {vis.scan}: mean of {seconds:.4g} s"
        + (", black: an independent correlator" if reference else "")
        + (f" (of {len(every)} baselines {len(baselines)})" if baselines != every else "")
    )
    return figure


def _draw_autos(axis: Axes, vis: Visibilities, ours: Rows, theirs: Rows) -> None:
    stations = [(a, b) for a, b in vis.baselines if a == b]
    curves = _curves(ours, stations)
    others = {c.label: c for c in _curves(theirs, stations)}
    for k, curve in enumerate(curves):
        _draw(axis, curve, _magnitude, color=f"C{k}", lw=0.7, label=curve.label)
        _draw(axis, others.get(curve.label), _magnitude, **_REFERENCE)
    axis.set_yscale("log")
    axis.set_ylabel("power in a bin")
    _frequency_ticks(axis, vis)
    if curves:
        axis.legend(fontsize="small", loc="upper right", ncols=len(curves) // 4 + 1)


def _draw_baseline(
    axes: tuple[Axes, Axes, Axes],
    vis: Visibilities,
    baseline: tuple[str, str],
    ours: Rows,
    theirs: Rows,
) -> None:
    """Draw amplitude, phase and lags of one baseline's products."""
    amplitude, phase, lag = axes
    curves = _curves(ours, [baseline])
    others = {c.label: c for c in _curves(theirs, [baseline])}
    for k, curve in enumerate(curves):
        other = others.get(curve.label)
        _draw(amplitude, curve, _magnitude, color=f"C{k}", lw=0.7)
        _draw(amplitude, other, _magnitude, **_REFERENCE)
        _draw(phase, curve, _degrees, color=f"C{k}", marker="o", ms=2.5, ls="", alpha=0.6, mew=0)
        _draw(phase, other, _degrees, **_REFERENCE)
        lag.plot(*_lags(vis, curve), color=f"C{k}", lw=0.7, label=curve.label)
        if other is not None:
            lag.plot(*_lags(vis, other), **_REFERENCE)
    amplitude.set_ylabel("coherence")
    amplitude.set_ylim(bottom=0)
    amplitude.set_title("-".join(baseline), fontsize="medium", loc="left", pad=3)
    phase.set_ylabel("phase (deg)")
    phase.set_ylim(-185, 185)
    phase.set_yticks([-180, -90, 0, 90, 180])
    lag.set_title("amplitude against delay", fontsize="medium", loc="left", pad=3)
    lag.set_ylim(bottom=0)
    for axis in (amplitude, phase):
        _frequency_ticks(axis, vis)
    amplitude.tick_params(labelbottom=False)
    if len(curves) > 1:
        lag.legend(fontsize="small", loc="upper right")


def _rows(vis: Visibilities) -> Iterator[tuple[int, tuple[str, str, str], Spectrum]]:
    """Yield channel index, (station 1, station 2, product) and the mean spectrum."""
    for c, channel in enumerate(vis.channels):
        amount = channel.weight * vis.integration[:, None, None]
        for b, (one, two) in enumerate(vis.baselines):
            for p, product in enumerate(channel.products):
                used = amount[:, b, p] > 0
                if product[:1] != product[1:] or not used.any():
                    continue
                data = channel.data[used, b, :, p].astype(np.complex128)
                mean = amount[used, b, p] @ data / amount[used, b, p].sum()
                if np.isfinite(mean).all():
                    yield c, (one, two, product), mean


Rows = Mapping[tuple[int, str, str, str], Spectrum]


def _scaled(
    vis: Visibilities, ours: Rows, reference: Mapping[RowKey, Spectrum]
) -> dict[tuple[int, str, str, str], Spectrum]:
    """Return the reference's rows by channel index, scaled to our power."""
    index = {_low(channel): c for c, channel in enumerate(vis.channels)}
    found = {
        (index[round(low)], one, two, product): row
        for (low, one, two, product), row in reference.items()
        if round(low) in index and product[:1] == product[1:]
    }

    def gain(c: int, station: str, product: str) -> float:
        key = (c, station, station, product)
        if key not in ours or key not in found or found[key].real.sum() <= 0:
            return 1.0
        return float(np.sqrt(ours[key].real.sum() / found[key].real.sum()))

    return {
        (c, one, two, product): row * gain(c, one, product) * gain(c, two, product)
        for (c, one, two, product), row in found.items()
    }


def _low(channel: ChannelVisibilities) -> int:
    return round(float(channel.frequency[0]))


def _coherence(rows: Rows) -> dict[tuple[int, str, str, str], Spectrum]:
    """Return cross rows over the root of the autocorrelations, bin by bin."""
    result = {}
    for (c, one, two, product), row in rows.items():
        first, second = rows.get((c, one, one, product)), rows.get((c, two, two, product))
        if one == two or first is None or second is None:
            continue
        power = first.real * second.real
        result[c, one, two, product] = np.divide(
            row, np.sqrt(np.maximum(power, 0.0)), out=np.zeros_like(row), where=power > 0
        )
    return result


def _curves(rows: Rows, pairs: list[tuple[str, str]]) -> list[_Curve]:
    """Gather rows by baseline and product."""
    curves: dict[str, dict[int, Spectrum]] = {}
    for one, two in pairs:
        for (c, a, b, product), row in rows.items():
            if (a, b) == (one, two):
                name = one if one == two else ""
                known = product.replace("?", "")  # polarisations that nobody stated
                curves.setdefault(f"{name} {known}".strip(), {})[c] = row
    return [_Curve(label, spectra) for label, spectra in curves.items()]


def _magnitude(values: Spectrum) -> Floats:
    return np.asarray(np.abs(values))


def _degrees(values: Spectrum) -> Floats:
    return np.asarray(np.degrees(np.angle(values)))


def _draw(
    axis: Axes, curve: _Curve | None, part: Callable[[Spectrum], Floats], **style: Any
) -> None:
    """Draw a part of a curve, channel after channel, broken where one ends."""
    if curve is None:
        return
    gap = np.full(1, np.nan)
    x: list[Floats] = []
    y: list[Floats] = []
    for c, spectrum in sorted(curve.spectra.items()):
        n = len(spectrum)
        x += [c + (np.arange(n) + 0.5) / n, gap]
        y += [part(spectrum), gap]
    axis.plot(np.concatenate(x), np.concatenate(y), **style)


def _lags(vis: Visibilities, curve: _Curve) -> tuple[Floats, Floats]:
    """Return delays (microseconds) and the root of the mean power over channels there.

    Channels of other widths than most have other lags, and are left out.
    """
    lengths = [len(spectrum) for spectrum in curve.spectra.values()]
    n = max(lengths, key=lengths.count)
    chosen = {c: spectrum for c, spectrum in curve.spectra.items() if len(spectrum) == n}
    lags = np.fft.fftshift(np.fft.fft(list(chosen.values()), axis=1), axes=1) / n
    power = np.mean(np.abs(lags) ** 2, axis=0)
    first = vis.channels[next(iter(chosen))]
    step = float(first.frequency[1] - first.frequency[0])
    delay = np.fft.fftshift(np.fft.fftfreq(n, step)) * 1e6
    return np.asarray(delay), np.asarray(np.sqrt(power))


def _frequency_ticks(axis: Axes, vis: Visibilities) -> None:
    count = len(vis.channels)
    shown = range(0, count, -(-count // _MOST_TICKS))
    axis.set_xticks(list(shown), [f"{vis.channels[c].frequency[0] / 1e6:g}" for c in shown])
    axis.set_xlim(0, count)
    for c in range(1, count):
        axis.axvline(c, color="0.9", lw=0.5, zorder=0)
