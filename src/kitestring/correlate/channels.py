"""Which recorded channels of which stations are correlated with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.recordings.types import Channel, Recording

Products = Literal["parallel", "all"]

# Local oscillators are set in whole hertz; a millihertz off would turn a
# visibility by a third of a degree in a second.
SAME_FREQUENCY = 1e-3  # Hz


@dataclass(frozen=True)
class Input:
    """One channel of one station.

    Attributes
    ----------
    station : int
        Index of the recording.
    channel : int
        Index of the channel in that recording.
    """

    station: int
    channel: int


@dataclass(frozen=True)
class Band:
    """A stretch of sky frequency that two or more stations (or one) recorded.

    Attributes
    ----------
    name : str
        Name of the first channel in it.
    edges : (float, float)
        Lowest and highest sky frequency, Hz.
    direction : {1, -1}
        Direction of the first channel; it settles which edge has a bin.
    complex : bool
        Whether the first channel is complex.
    inputs : tuple of Input
        The channels that are in it, by station, then polarisation.
    products : tuple of str
        Polarisation products, such as ``"XX"``.
    pairs : ndarray of int, shape (n, 4)
        One row for each product that is formed: baseline index, product
        index, and the indices of both channels in `inputs`.
    """

    name: str
    edges: tuple[float, float]
    direction: Literal[1, -1]
    complex: bool
    inputs: tuple[Input, ...]
    products: tuple[str, ...]
    pairs: NDArray[np.int64]

    @property
    def bandwidth(self) -> float:
        """Width in Hz."""
        return self.edges[1] - self.edges[0]

    def frequency(self, bins: int, zero: float) -> NDArray[np.float64]:
        """Return the ascending sky frequencies (Hz) of the bin centres.

        Bin k of a channel is centred on its sky frequency + direction * k df.
        A real lower-sideband channel therefore has a bin at its upper edge and
        none at its lower one.

        Parameters
        ----------
        bins : int
            Bins in the band.
        zero : float
            Sky frequency of the first channel's baseband zero, Hz.
        """
        df = self.bandwidth / bins
        # counted from the zero, so that centres are exact where f0 and df are
        if self.direction == 1:
            first = int(np.ceil((self.edges[0] - zero) / df - 1e-6))
        else:
            first = int(np.floor((self.edges[0] - zero) / df + 1.0 + 1e-6))
        return np.asarray(zero + (first + np.arange(bins)) * df, dtype=np.float64)


@dataclass(frozen=True)
class Matching:
    """What can be correlated, and what cannot.

    Attributes
    ----------
    bands : tuple of Band
        Ascending in sky frequency.
    unmatched : tuple of str
        One line for each channel that takes part in no cross product though
        cross products were asked for.
    """

    bands: tuple[Band, ...]
    unmatched: tuple[str, ...]


def match_channels(
    recordings: Sequence[Recording],
    baselines: Sequence[tuple[str, str]],
    products: Products = "parallel",
) -> Matching:
    """Match channels by the edges of their sky frequency and by polarisation.

    Real and complex channels and both sidebands match where they cover the
    same band.

    Parameters
    ----------
    recordings : sequence of Recording
        One for each station.
    baselines : sequence of (str, str)
        Station pairs; (s, s) is an autocorrelation.
    products : {"parallel", "all"}
        Products of equal polarisation only, or all.

    Raises
    ------
    ConfigurationError
        Where a station is unknown or given twice.
    """
    if products not in ("parallel", "all"):
        raise ConfigurationError(
            f"products={products!r} is not known.", next_step='Use "parallel" or "all".'
        )
    names = [r.station for r in recordings]
    if len(set(names)) < len(names):
        raise ConfigurationError(
            f"Two recordings are of one station: {', '.join(names)}.",
            next_step="Open all files of a station as one recording.",
        )
    for name in {n for pair in baselines for n in pair} - set(names):
        raise ConfigurationError(
            f"Baselines name station {name!r}, of which there is no recording.",
            next_step=f"Recordings are of {', '.join(names)}.",
        )
    groups = _group(recordings)
    bands = [_band(recordings, names, group, baselines, products) for group in groups]
    return Matching(
        tuple(band for band in bands if len(band.pairs)),
        tuple(line for band in bands for line in _unmatched(recordings, band, baselines)),
    )


def _group(recordings: Sequence[Recording]) -> list[list[Input]]:
    """Gather all channels with the same edges, ascending in sky frequency."""
    groups: list[tuple[tuple[float, float], list[Input]]] = []
    for station, recording in enumerate(recordings):
        for index, channel in enumerate(recording.channels):
            edges = channel.sky_edges
            for known, group in groups:
                if max(abs(a - b) for a, b in zip(edges, known, strict=True)) < SAME_FREQUENCY:
                    group.append(Input(station, index))
                    break
            else:
                groups.append((edges, [Input(station, index)]))
    return [group for _, group in sorted(groups, key=lambda item: item[0])]


def _band(
    recordings: Sequence[Recording],
    names: list[str],
    inputs: list[Input],
    baselines: Sequence[tuple[str, str]],
    products: Products,
) -> Band:
    """Form the products of one group of channels."""

    def channel_of(item: Input) -> Channel:
        return recordings[item.station].channels[item.channel]

    inputs = sorted(inputs, key=lambda i: (i.station, channel_of(i).polarization))
    found: list[str] = []
    rows: list[tuple[int, int, int, int]] = []
    for b, (name1, name2) in enumerate(baselines):
        for i, one in enumerate(inputs):
            for j, two in enumerate(inputs):
                if (names[one.station], names[two.station]) != (name1, name2):
                    continue
                p1, p2 = channel_of(one).polarization, channel_of(two).polarization
                if products == "parallel" and p1 != p2:
                    continue
                product = f"{p1 or '?'}{p2 or '?'}"
                if product not in found:
                    found.append(product)
                rows.append((b, found.index(product), i, j))
    order = sorted(range(len(found)), key=lambda q: found[q])
    rank = {old: new for new, old in enumerate(order)}
    first = channel_of(inputs[0])
    return Band(
        name=first.name,
        edges=first.sky_edges,
        direction=first.direction,
        complex=first.complex,
        inputs=tuple(inputs),
        products=tuple(found[q] for q in order),
        pairs=np.array([(b, rank[p], i, j) for b, p, i, j in rows], dtype=np.int64).reshape(-1, 4),
    )


def _unmatched(
    recordings: Sequence[Recording], band: Band, baselines: Sequence[tuple[str, str]]
) -> list[str]:
    crossed = {s for one, two in baselines if one != two for s in (one, two)}
    used: set[int] = set()
    for _, _, i, j in band.pairs:
        if band.inputs[i].station != band.inputs[j].station:
            used |= {int(i), int(j)}
    lines = []
    for index, item in enumerate(band.inputs):
        recording = recordings[item.station]
        if recording.station in crossed and index not in used:
            channel = recording.channels[item.channel]
            low, high = channel.sky_edges
            lines.append(
                f"{recording.station} {channel.name} ({low / 1e6:.6f} to {high / 1e6:.6f} MHz"
                f"{', ' + channel.polarization if channel.polarization else ''})"
            )
    return lines
