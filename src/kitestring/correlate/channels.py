"""Which recorded channels of which stations are correlated with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
class Group:
    """Products of a band that have inputs in common.

    Attributes
    ----------
    members : tuple of int
        Their inputs, indices in `Band.inputs`.
    rows : ndarray of int64
        Which rows of `Band.pairs` they are.
    pairs : ndarray of int64, shape (row, 2)
        Indices in `members` of each product's inputs.
    """

    members: tuple[int, ...]
    rows: NDArray[np.int64]
    pairs: NDArray[np.int64]


@dataclass(frozen=True)
class Band:
    """A stretch of sky frequency that two or more stations (or one) recorded.

    Attributes
    ----------
    name : str
        Name of the first channel that is just as wide, or of the zoom band.
    edges : (float, float)
        Lowest and highest sky frequency, Hz.
    zero : float
        Sky frequency of that channel's baseband zero, Hz: bins are centred on it and on
        all multiples of the resolution from there.
    direction : {1, -1}
        Direction of that channel; it settles which edge has a bin.
    complex : bool
        Whether that channel is complex.
    inputs : tuple of Input
        The channels that contain it, by station, then polarisation.
    products : tuple of str
        Polarisation products, such as ``"XX"``.
    pairs : ndarray of int, shape (n, 4)
        One row for each product that is formed: baseline index, product
        index, and the indices of both channels in `inputs`.
    """

    name: str
    edges: tuple[float, float]
    zero: float
    direction: Literal[1, -1]
    complex: bool
    inputs: tuple[Input, ...]
    products: tuple[str, ...]
    pairs: NDArray[np.int64]

    @property
    def bandwidth(self) -> float:
        """Width in Hz."""
        return self.edges[1] - self.edges[0]

    @property
    def middle(self) -> float:
        """Sky frequency of its middle, Hz."""
        return (self.edges[0] + self.edges[1]) / 2

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups of inputs that are multiplied with each other.

        Equal polarisations alone are two groups: nothing is computed between them.
        """
        label = list(range(len(self.inputs)))
        for _, _, i, j in self.pairs:
            low, high = sorted((label[i], label[j]))
            label = [low if x == high else x for x in label]
        used = set(self.pairs[:, 2:].ravel().tolist())
        groups = []
        for x in sorted({label[i] for i in used}):
            members = [i for i in sorted(used) if label[i] == x]
            rows = np.flatnonzero(np.isin(self.pairs[:, 2], members))
            pairs = np.searchsorted(members, self.pairs[rows, 2:]).astype(np.int64)
            groups.append(Group(tuple(members), rows, pairs))
        return tuple(groups)

    def first_bin(self, bins: int) -> int:
        """Return how many bins the lowest one lies above `zero`.

        A real lower-sideband channel has a bin at its upper edge and none at its lower one.
        """
        df = self.bandwidth / bins
        if self.direction == 1:
            return int(np.ceil((self.edges[0] - self.zero) / df - 1e-6))
        return int(np.floor((self.edges[0] - self.zero) / df + 1.0 + 1e-6))

    def frequency(self, bins: int) -> NDArray[np.float64]:
        """Return the ascending sky frequencies (Hz) of the centres of so many bins."""
        # counted from the zero, so that centres are exact where it and the resolution are
        places = self.first_bin(bins) + np.arange(bins)
        return np.asarray(self.zero + places * (self.bandwidth / bins), dtype=np.float64)


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
    zoom: Sequence[tuple[float, float]] = (),
) -> Matching:
    """Match channels by sky frequency and by polarisation.

    Real and complex channels and both sidebands match where they cover the same band,
    and a wider channel matches every narrower one that lies within it: what they
    share is correlated.

    Parameters
    ----------
    recordings : sequence of Recording
        One for each station.
    baselines : sequence of (str, str)
        Station pairs; (s, s) is an autocorrelation.
    products : {"parallel", "all"}
        Products of equal polarisation only, or all.
    zoom : sequence of (float, float)
        Lowest and highest sky frequency of sub-bands, Hz: these alone are then formed.

    Raises
    ------
    ConfigurationError
        Where a station is unknown or given twice, where two channels of a station are
        of the same band and polarisation, or where no channel contains a zoom band.
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
    groups = _zoom_groups(recordings, zoom) if len(zoom) else _groups(recordings)
    bands = [_band(recordings, group, baselines, products) for group in groups]
    return Matching(
        tuple(band for band in bands if len(band.pairs)),
        _unmatched(recordings, bands, baselines, zoom),
    )


@dataclass(frozen=True)
class _Group:
    """Channels that contain a band; `own` are those that are no wider."""

    name: str
    edges: tuple[float, float]
    zero: float
    direction: Literal[1, -1]
    complex: bool
    own: tuple[Input, ...]
    wider: tuple[Input, ...]


def _channel(recordings: Sequence[Recording], item: Input) -> Channel:
    return recordings[item.station].channels[item.channel]


def _slot(recordings: Sequence[Recording], item: Input) -> tuple[int, str]:
    return item.station, _channel(recordings, item).polarization


def _groups(recordings: Sequence[Recording]) -> list[_Group]:
    """Gather the channels of each band that any station recorded, ascending in sky frequency."""
    found: list[tuple[tuple[float, float], list[Input]]] = []
    for station, recording in enumerate(recordings):
        for index, channel in enumerate(recording.channels):
            edges = channel.sky_edges
            for known, group in found:
                if max(abs(a - b) for a, b in zip(edges, known, strict=True)) < SAME_FREQUENCY:
                    group.append(Input(station, index))
                    break
            else:
                found.append((edges, [Input(station, index)]))
    groups = []
    for edges, own in sorted(found, key=lambda item: item[0]):
        _check_single(recordings, own)
        slots = {_slot(recordings, item) for item in own}
        wider = [i for i in _containing(recordings, edges) if _slot(recordings, i) not in slots]
        first = _channel(recordings, own[0])
        groups.append(
            _Group(
                first.name, edges, first.sky_frequency, first.direction, first.complex,
                tuple(own), tuple(wider),
            )
        )  # fmt: skip
    return groups


def _check_single(recordings: Sequence[Recording], inputs: Sequence[Input]) -> None:
    """Refuse two channels of a station that are the same in all that tells channels apart."""
    seen: dict[tuple[int, str], Channel] = {}
    for item in inputs:
        channel, slot = _channel(recordings, item), _slot(recordings, item)
        if slot in seen:
            low, high = channel.sky_edges
            raise ConfigurationError(
                f"{recordings[item.station].station} has two channels, {seen[slot].name} and "
                f"{channel.name}, of {low / 1e6:.6f} to {high / 1e6:.6f} MHz and polarisation "
                f"{slot[1]!r}.",
                next_step="State their polarisations (and frequencies), or leave one of them out.",
            )
        seen[slot] = channel


def _containing(recordings: Sequence[Recording], edges: tuple[float, float]) -> list[Input]:
    """Return the narrowest channel of each station and polarisation that contains a band."""
    best: dict[tuple[int, str], tuple[tuple[float, float, int], Input]] = {}
    middle = (edges[0] + edges[1]) / 2
    for station, recording in enumerate(recordings):
        for index, channel in enumerate(recording.channels):
            low, high = channel.sky_edges
            if low > edges[0] + SAME_FREQUENCY or high < edges[1] - SAME_FREQUENCY:
                continue
            item = Input(station, index)
            rank = (high - low, abs((low + high) / 2 - middle), index)
            slot = _slot(recordings, item)
            if slot in best and rank[:2] == best[slot][0][:2]:
                _check_single(recordings, [best[slot][1], item])
            if slot not in best or rank < best[slot][0]:
                best[slot] = rank, item
    return sorted((item for _, item in best.values()), key=lambda i: (i.station, i.channel))


def _zoom_groups(
    recordings: Sequence[Recording], zoom: Sequence[tuple[float, float]]
) -> list[_Group]:
    groups = []
    for low, high in sorted((float(a), float(b)) for a, b in zoom):
        told = f"{low / 1e6:.6f} to {high / 1e6:.6f} MHz"
        if not 0.0 <= low < high:
            raise ConfigurationError(
                f"A zoom band of {told} is none.",
                next_step="Give its lowest and its highest sky frequency in Hz.",
            )
        inside = _containing(recordings, (low, high))
        if not inside:
            raise ConfigurationError(
                f"No channel contains the zoom band {told}.",
                next_step=f"Channels are {'; '.join(list(_described(recordings).values())[:8])}.",
            )
        name = f"zoom at {(low + high) / 2e6:.6f} MHz"
        groups.append(_Group(name, (low, high), low, 1, False, tuple(inside), ()))
    return groups


def _band(
    recordings: Sequence[Recording],
    group: _Group,
    baselines: Sequence[tuple[str, str]],
    products: Products,
) -> Band:
    """Form the products of one group of channels: none of two channels that are both wider."""
    names = [r.station for r in recordings]

    def product_of(one: Input, two: Input) -> str | None:
        p1, p2 = (_channel(recordings, item).polarization for item in (one, two))
        return f"{p1 or '?'}{p2 or '?'}" if products == "all" or p1 == p2 else None

    def asked(one: Input, two: Input) -> bool:
        ends = names[one.station], names[two.station]
        return ends in baselines and product_of(one, two) is not None

    # a wider channel is of use where it is crossed with one that is as wide as the band
    useful = [
        w
        for w in group.wider
        if any(o.station != w.station and (asked(o, w) or asked(w, o)) for o in group.own)
    ]
    inputs = sorted((*group.own, *useful), key=lambda i: _slot(recordings, i))
    found: list[str] = []
    rows: list[tuple[int, int, int, int]] = []
    for b, ends in enumerate(baselines):
        for i, one in enumerate(inputs):
            for j, two in enumerate(inputs):
                if (names[one.station], names[two.station]) != ends:
                    continue
                if ends[0] != ends[1] and one in useful and two in useful:
                    continue
                product = product_of(one, two)
                if product is None:
                    continue
                if product not in found:
                    found.append(product)
                rows.append((b, found.index(product), i, j))
    order = sorted(range(len(found)), key=lambda q: found[q])
    rank = {old: new for new, old in enumerate(order)}
    return Band(
        name=group.name,
        edges=group.edges,
        zero=group.zero,
        direction=group.direction,
        complex=group.complex,
        inputs=tuple(inputs),
        products=tuple(found[q] for q in order),
        pairs=np.array([(b, rank[p], i, j) for b, p, i, j in rows], dtype=np.int64).reshape(-1, 4),
    )


def _unmatched(
    recordings: Sequence[Recording],
    bands: Sequence[Band],
    baselines: Sequence[tuple[str, str]],
    zoom: Sequence[tuple[float, float]],
) -> tuple[str, ...]:
    """Describe the channels that are in no cross product, in the order of their stations.

    Of zoom bands the stations that have no channel which contains them.
    """
    crossed = {s for one, two in baselines if one != two for s in (one, two)}
    if len(zoom):
        return tuple(
            f"{recording.station} {band.name} (no channel contains it)"
            for band in bands
            for s, recording in enumerate(recordings)
            if recording.station in crossed and all(i.station != s for i in band.inputs)
        )
    used = {
        band.inputs[k]
        for band in bands
        for _, _, i, j in band.pairs
        if band.inputs[i].station != band.inputs[j].station
        for k in (i, j)
    }
    return tuple(
        line
        for item, line in _described(recordings).items()
        if recordings[item.station].station in crossed and item not in used
    )


def _described(recordings: Sequence[Recording]) -> dict[Input, str]:
    """Return one line for each channel."""
    lines = {}
    for station, recording in enumerate(recordings):
        for index, channel in enumerate(recording.channels):
            low, high = channel.sky_edges
            pol = f", {channel.polarization}" if channel.polarization else ""
            lines[Input(station, index)] = (
                f"{recording.station} {channel.name} ({low / 1e6:.6f} to {high / 1e6:.6f} MHz{pol})"
            )
    return lines
