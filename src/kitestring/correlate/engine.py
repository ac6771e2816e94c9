"""The FX engine: recordings and a delay model in, visibilities out."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from typing import Protocol

import numpy as np

from kitestring._threads import default_threads
from kitestring.correlate.channels import Products
from kitestring.correlate.gather import gather, outline
from kitestring.correlate.inputs import Work, band_input, count_pairs
from kitestring.correlate.multiply import multiply
from kitestring.correlate.plan import (
    Chunk,
    ChunkSums,
    Engine,
    Plan,
    make_plan,
)
from kitestring.correlate.samples import StationSamples
from kitestring.correlate.states import count_states
from kitestring.correlate.types import Quantisation, Visibilities
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
    quantisation: Quantisation = "gain",
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
    quantisation : {"off", "gain", "van-vleck"}
        What is done about quantisation with one or two bits
        (`kitestring.correlate.quantisation`): nothing; cross products are divided by the gains
        of both samplers and autocorrelations by the power of the samples, as the states
        that occurred tell; or strong correlations and spectra are put right, too, lag by
        lag. Samples of more bits are taken as they are.
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
        quantisation=quantisation,
    )
    warn_of_unmatched(plan, stacklevel=3)
    sums = Threads(threads, engine or correlate_chunk)(plan, plan.chunks)
    done = count(1)
    tell = (lambda _: progress(next(done), len(plan.chunks))) if progress else None
    found = outline(plan)
    data = [np.empty(c.data.shape, dtype=np.complex64) for c in found.channels]
    weight = [np.empty(c.weight.shape) for c in found.channels]
    efficiency = [np.empty(c.weight.shape) for c in found.channels]
    for one in gather(plan, plan.chunks, sums, progress=tell):
        for b in range(len(plan.bands)):
            data[b][one.index], weight[b][one.index] = one.data[b], one.weight[b]
            efficiency[b][one.index] = one.efficiency[b]
    channels = zip(found.channels, data, weight, efficiency, strict=True)
    return replace(
        found,
        channels=tuple(replace(c, data=d, weight=w, efficiency=e) for c, d, w, e in channels),
    )


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
    stations = {s: StationSamples(plan, s, chunk) for s in plan.stations}
    works, places = [], []
    for b, band in enumerate(plan.bands):
        for group in band.groups:
            inputs = [band_input(plan, band, i, stations) for i in group.members]
            works.append(Work(inputs, plan.bins(band), group.pairs))
            places.append((b, group.rows))
    parts = [(p.first - chunk.first, p.first - chunk.first + p.segments) for p in chunk.parts]
    shapes = [(len(parts), len(band.pairs)) for band in plan.bands]
    counts = [np.zeros(shape) for shape in shapes]
    spectra = [np.zeros((0, 0, 0), dtype=np.complex128)] * len(shapes)
    for (b, rows), work, sums in zip(places, works, multiply(works, parts), strict=True):
        if len(rows) == shapes[b][1]:
            spectra[b] = sums
        else:
            if not spectra[b].size:
                spectra[b] = np.zeros((*shapes[b], work.bins), dtype=np.complex128)
            spectra[b][:, rows] = sums
        for p, part in enumerate(parts):
            counts[b][p, rows] = count_pairs(work, part)
    return ChunkSums(tuple(spectra), tuple(counts), count_states(plan, chunk, stations))


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
        keep_memory()
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


@cache
def keep_memory() -> None:
    """Have the C library keep memory that is freed: else each chunk has its pages cleared anew.

    glibc hands large blocks back to the system; from the size of one that it frees, up to
    32 MiB, it takes blocks of that size for ordinary ones. Elsewhere this does nothing.
    """
    np.empty(31 << 20, dtype=np.uint8)
