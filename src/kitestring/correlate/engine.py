"""The FX engine: recordings and a delay model in, visibilities out."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

import numpy as np

from kitestring._threads import default_threads
from kitestring.correlate.channels import Products
from kitestring.correlate.gather import gather, outline
from kitestring.correlate.inputs import band_input, connected, count_pairs, cut
from kitestring.correlate.multiply import multiply_inputs
from kitestring.correlate.plan import (
    Chunk,
    ChunkSums,
    Engine,
    Plan,
    make_plan,
)
from kitestring.correlate.samples import StationSamples
from kitestring.correlate.types import Visibilities
from kitestring.errors import RecordingWarning
from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch
from kitestring.recordings.types import Recording


def correlate(
    recordings: Sequence[Recording],
    model: DelayModel,
    *,
    bins: int,
    start: Epoch,
    stop: Epoch,
    integration: float,
    baselines: Sequence[tuple[str, str]] | None = None,
    products: Products = "parallel",
    zoom: Sequence[tuple[float, float]] = (),
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    engine: Engine | None = None,
) -> Visibilities:
    """Correlate recordings of one scan.

    A label t is the UTC at which a wavefront passes the geocentre; station s
    contributes the sample taken when its clock read t + delay_s(t) + clock_s(t)
    (see `kitestring.model.polynomials.StationDelay`), its phase turned by the
    same total at the sky frequency of the channel's baseband zero. The phase of
    a visibility is then +2 pi f tau of what the model left over, sky frequency
    f and tau = t2 - t1, plus the constant difference of the local oscillators.

    Parameters
    ----------
    recordings : sequence of Recording
        One for each station.
    model : DelayModel
        Delays and clocks of these stations, covering start to stop.
    bins : int
        Bins in the narrowest band; wider ones have more, of the same width.
    start, stop : Epoch, shape ()
        First and last label. The segment grid begins at `start`; a rest shorter
        than a segment before `stop` is left out.
    integration : float
        Wanted length of an integration, s: each begins at the segment nearest
        to a multiple of it. The last one may be shorter; `Visibilities.integration`
        states what was done.
    baselines : sequence of (str, str), optional
        Station pairs; (s, s) is an autocorrelation. All pairs and
        autocorrelations unless given.
    products : {"parallel", "all"}
        Polarisation products.
    zoom : sequence of (float, float), optional
        Sub-bands by their lowest and highest sky frequency, Hz; they alone are correlated.
    threads : int, optional
        Threads; as many as there are processors unless given. The result does
        not depend on it.
    progress : callable, optional
        Called with the chunks done and their total.
    engine : Engine, optional
        What computes a chunk; `correlate_chunk` unless given.

    Returns
    -------
    Visibilities
        Channels ascend in sky frequency. A product that a baseline lacks
        (its stations did not record both polarisations) is NaN. All of the
        scan is in memory: 8 bytes for each integration, baseline, bin and
        product. `kitestring.correlate.stored.correlate_to_store` writes it as it goes.

    Warns
    -----
    RecordingWarning
        Names the channels that have no counterpart.

    Raises
    ------
    ConfigurationError
        Where nothing can be correlated as asked.
    SpanError
        Where the model does not cover the labels.
    """
    plan = make_plan(
        recordings,
        model,
        bins=bins,
        start=start,
        stop=stop,
        integration=integration,
        baselines=baselines,
        products=products,
        zoom=zoom,
    )
    warn_of_unmatched(plan, stacklevel=3)
    sums = Threads(threads, engine or correlate_chunk)(plan, plan.chunks)
    done = count(1)
    tell = (lambda _: progress(next(done), len(plan.chunks))) if progress else None
    found = outline(plan)
    data = [np.empty(c.data.shape, dtype=np.complex64) for c in found.channels]
    weight = [np.empty(c.weight.shape) for c in found.channels]
    for one in gather(plan, plan.chunks, sums, progress=tell):
        for b in range(len(plan.bands)):
            data[b][one.index], weight[b][one.index] = one.data[b], one.weight[b]
    channels = zip(found.channels, data, weight, strict=True)
    return replace(found, channels=tuple(replace(c, data=d, weight=w) for c, d, w in channels))


def warn_of_unmatched(plan: Plan, stacklevel: int = 2) -> None:
    """Warn of channels that have no counterpart at another station."""
    if plan.matching.unmatched:
        warnings.warn(
            f"No counterpart at another station for {len(plan.matching.unmatched)} channels: "
            f"{'; '.join(plan.matching.unmatched)}.",
            RecordingWarning,
            stacklevel=stacklevel,
        )


def correlate_chunk(plan: Plan, chunk: Chunk) -> ChunkSums:
    """Correlate one chunk on one processor core: the CPU engine (see `Engine`)."""
    used = sorted({item.station for band in plan.bands for item in band.inputs})
    stations = {s: StationSamples(plan, s, chunk) for s in used}
    spectra, counts = [], []
    for band in plan.bands:
        shape = (len(chunk.parts), len(band.pairs))
        bins = plan.bins(band)
        spectra.append(np.zeros((*shape, bins), dtype=np.complex128))
        counts.append(np.zeros(shape))
        for members in connected(band):
            rows = np.flatnonzero(np.isin(band.pairs[:, 2], members))
            pairs = np.searchsorted(members, band.pairs[rows, 2:])
            inputs = [band_input(plan, band, i, stations) for i in members]
            for p, part in enumerate(chunk.parts):
                some = [
                    cut(item, stations[band.inputs[i].station].segments(part))
                    for item, i in zip(inputs, members, strict=True)
                ]
                spectra[-1][p, rows] = multiply_inputs(some, bins, pairs)
                counts[-1][p, rows] = count_pairs(some, pairs)
    return ChunkSums(tuple(spectra), tuple(counts))


class Workers(Protocol):
    """Whoever has chunks computed: threads here, a cluster elsewhere."""

    def __call__(self, plan: Plan, chunks: Sequence[Chunk]) -> Generator[ChunkSums, None, None]:
        """Yield what an engine makes of each chunk, in order, few of them at a time."""


@dataclass(frozen=True)
class Threads:
    """Runs chunks in threads of this process (see `Workers`).

    Attributes
    ----------
    count : int or None
        Threads; as many as there are processors where None.
    engine : Engine
        What computes a chunk.
    """

    count: int | None = None
    engine: Engine = correlate_chunk

    def __call__(self, plan: Plan, chunks: Sequence[Chunk]) -> Generator[ChunkSums, None, None]:
        """Yield the sums of chunks in order, few of them in flight at a time."""
        threads = self.count or default_threads()
        if threads == 1:
            for chunk in chunks:
                yield self.engine(plan, chunk)
            return
        pool = ThreadPoolExecutor(threads)
        waiting: deque[Future[ChunkSums]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(self.engine, plan, chunk))
                if len(waiting) > threads + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # an error or an interrupt does not wait for what nobody will fetch
            pool.shutdown(cancel_futures=True)
