"""From sums of chunks to finished integrations: in order, one after the other, none kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate.channels import Band
from kitestring.correlate.corrected import Correction, channel_of
from kitestring.correlate.plan import Chunk, ChunkSums, Plan, States
from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.errors import ConfigurationError


@dataclass(frozen=True)
class Integration:
    """The visibilities of one integration.

    Attributes
    ----------
    index : int
        Which one, counted from the scan's first.
    data : tuple of ndarray of complex64, one for each band, shape (baseline, bin, product)
        As `ChannelVisibilities.data`.
    weight : tuple of ndarray, one for each band, shape (baseline, product)
        As `ChannelVisibilities.weight`.
    efficiency : tuple of ndarray, one for each band, shape (baseline, product)
        As `ChannelVisibilities.efficiency`.
    """

    index: int
    data: tuple[NDArray[np.complex64], ...]
    weight: tuple[NDArray[np.float64], ...]
    efficiency: tuple[NDArray[np.float64], ...]


def outline(plan: Plan) -> Visibilities:
    """Return what a plan will give, as far as it is known before anything is correlated.

    Epochs, frequencies, baselines and products are those of the result. The data
    (NaN) and weights (0) have its shapes, may not be written to and take no memory.
    """
    parts = [part for chunk in plan.chunks for part in chunk.parts]
    index = np.array([part.integration for part in parts])
    times = int(index[-1]) + 1
    segments = np.bincount(index, weights=[part.segments for part in parts])
    first = np.full(times, np.iinfo(np.int64).max)
    np.minimum.at(first, index, np.array([part.first for part in parts]))
    channels = []
    for band in plan.bands:
        bins = plan.bins(band)
        shape = (times, len(plan.baselines), bins, len(band.products))
        channels.append(
            ChannelVisibilities(
                name=band.name,
                frequency=band.frequency(bins),
                products=band.products,
                data=np.broadcast_to(np.complex64(complex(np.nan, np.nan)), shape),
                weight=np.broadcast_to(0.0, (*shape[:2], shape[3])),
                efficiency=np.broadcast_to(1.0, (*shape[:2], shape[3])),
            )
        )
    return Visibilities(
        scan=plan.model.scan,
        source=plan.model.source,
        baselines=plan.baselines,
        epoch=plan.start.shifted((first + segments / 2) * plan.segment),
        integration=np.asarray(segments * plan.segment, dtype=np.float64),
        channels=tuple(channels),
        model=plan.model,
        quantisation=plan.quantisation,
    )


def chunks_from(plan: Plan, integration: int) -> tuple[Chunk, ...]:
    """Return the chunks that integrations from `integration` on need.

    The first of them may begin with earlier ones.
    """
    for k, chunk in enumerate(plan.chunks):
        if chunk.parts[-1].integration >= integration:
            return plan.chunks[k:]
    return ()


def gather(
    plan: Plan,
    chunks: Sequence[Chunk],
    chunk_sums: Iterable[ChunkSums],
    *,
    first: int = 0,
    progress: Callable[[Chunk], None] | None = None,
) -> Iterator[Integration]:
    """Add up chunks in their order; scale and pack each integration as it is done.

    No more than the sums of a chunk and of one integration are held. The bytes
    of an integration depend on its own chunks alone, so that a correlation that
    goes on from the middle gives the same ones.

    Parameters
    ----------
    plan : Plan
        What is correlated.
    chunks : sequence of Chunk
        Chunks of the plan, one after another, from the beginning of an integration
        on and to the plan's end.
    chunk_sums : iterable of ChunkSums
        What an engine made of each, in the same order.
    first : int
        Integrations before this one are passed over.
    progress : callable, optional
        Called with each chunk that has been added.

    Yields
    ------
    Integration
        In order.
    """
    packers = [_Packer(plan, band) for band in plan.bands]
    segments = 0
    for k, (chunk, sums) in enumerate(zip(chunks, chunk_sums, strict=True)):
        following = chunks[k + 1].parts[0].integration if k + 1 < len(chunks) else -1
        if not sums.states and any(packer.counted for packer in packers):
            raise ConfigurationError(
                "the engine has counted no states of the samples.",
                next_step='Use quantisation="off" with it.',
            )
        for p, part in enumerate(chunk.parts):
            if part.integration < first:
                continue
            segments += part.segments
            for b, packer in enumerate(packers):
                packer.spectra += sums.spectra[b][p]
                packer.counts += sums.counts[b][p]
                if packer.counted:
                    packer.count(sums.states[b], p)
            if p + 1 < len(chunk.parts) or following != part.integration:
                packed = [packer.finish(segments) for packer in packers]
                data, weight, efficiency = zip(*packed, strict=True)
                yield Integration(part.integration, data, weight, efficiency)
                segments = 0
        if progress:
            progress(chunk)


class _Packer:
    """A band's sums of the integration at work."""

    def __init__(self, plan: Plan, band: Band) -> None:
        self.plan, self.band = plan, band
        self.spectra = np.zeros((len(band.pairs), plan.bins(band)), dtype=np.complex128)
        self.counts = np.zeros(len(band.pairs))
        self.states = [Counter[float]() for _ in band.inputs]
        self.counted = any(plan.counted(item.station) for item in band.inputs)
        self.gain = []
        for item in band.inputs:
            # half the power of real samples lies at negative frequencies
            power = 1.0 if channel_of(plan, item).complex else math.sqrt(2.0)
            self.gain.append(power / plan.samples(item.station))

    def count(self, states: States, part: int) -> None:
        """Add the states of a part of a chunk."""
        for held, levels, counts in zip(
            self.states, states.levels.tolist(), states.counts[part].tolist(), strict=True
        ):
            held.update({level: n for level, n in zip(levels, counts, strict=True) if n})

    def finish(
        self, segments: int
    ) -> tuple[NDArray[np.complex64], NDArray[np.float64], NDArray[np.float64]]:
        """Scale the sums to power, lay them out by baseline and product, and begin anew."""
        baselines, products = len(self.plan.baselines), len(self.band.products)
        nothing = np.complex64(complex(np.nan, 0.0))
        bins = self.spectra.shape[1]
        shape = (baselines, bins, products)
        data = np.full(shape, nothing, dtype=np.complex64)
        weight = np.zeros((baselines, products))
        efficiency = np.ones((baselines, products))
        correction = Correction(self.plan, self.band, self.states)
        for p, (b, product, i, j) in enumerate(self.band.pairs.tolist()):
            count = float(self.counts[p]) if correction.serves(i, j) else 0.0
            values = np.zeros(bins, dtype=np.complex128)
            if count > 0:
                scale = self.gain[i] * self.gain[j] / count
                values = correction.applied(self.spectra[p], scale, i, j)
                efficiency[b, product] = correction.efficiency(i, j)
            # fused multiply-add leaves rounding where Im |X|^2 is to be zero
            data[b, :, product] = values.real if i == j else values
            weight[b, product] = count / segments
        self.spectra[:] = 0.0
        self.counts[:] = 0.0
        self.states = [Counter[float]() for _ in self.band.inputs]
        return data, weight, efficiency
