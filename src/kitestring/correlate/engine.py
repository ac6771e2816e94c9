"""The FX engine: recordings and a delay model in, visibilities out."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from kitestring._threads import default_threads
from kitestring.correlate import _kernels
from kitestring.correlate.channels import Band, Input, Products
from kitestring.correlate.plan import (
    Chunk,
    ChunkSums,
    Engine,
    Plan,
    make_plan,
)
from kitestring.correlate.steering import Steering, steer
from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.errors import RecordingWarning
from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch
from kitestring.recordings.types import Block, Channel, Recording

TILE_BYTES = 1 << 19
"""Spectra that are multiplied at a time: they stay in a core's second-level cache."""
TILE_SEGMENTS = 256
"""Most segments summed in float32."""


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
        Bins in each channel. A segment is 2 * bins real or bins complex samples.
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
        product.

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
    )
    if plan.matching.unmatched:
        warnings.warn(
            f"No counterpart at another station for {len(plan.matching.unmatched)} channels: "
            f"{'; '.join(plan.matching.unmatched)}.",
            RecordingWarning,
            stacklevel=2,
        )
    chunk_sums = _run(plan, engine or correlate_chunk, threads or default_threads())
    return _gather(plan, chunk_sums, progress)


def correlate_chunk(plan: Plan, chunk: Chunk) -> ChunkSums:
    """Correlate one chunk on one processor core: the CPU engine (see `Engine`)."""
    used = sorted({item.station for band in plan.bands for item in band.inputs})
    stations = {s: _Station(plan, s, chunk) for s in used}
    spectra, counts = [], []
    for band in plan.bands:
        spectra.append(_correlate_band(plan, band, chunk, stations))
        counts.append(_count_band(band, stations))
    return ChunkSums(tuple(spectra), tuple(counts))


class _Station:
    """One station's samples of a chunk and how they are placed."""

    def __init__(self, plan: Plan, station: int, chunk: Chunk) -> None:
        self.recording = plan.recordings[station]
        wanted = sorted(
            {item.channel for b in plan.bands for item in b.inputs if item.station == station}
        )
        self.row = {channel: row for row, channel in enumerate(wanted)}
        self.steering: Steering = steer(plan, station, chunk)
        low = int(self.steering.first.min())
        high = int(self.steering.first.max()) + self.steering.samples
        self.block: Block = self.recording.read(low, high - low, tuple(wanted))
        self.first = self.steering.first - low
        self._counts: dict[int, NDArray[np.int64]] = {}

    def channel(self, item: Input) -> Channel:
        return self.recording.channels[item.channel]

    def valid(self, item: Input) -> NDArray[np.bool_]:
        return np.ascontiguousarray(self.block.valid[self.row[item.channel]])

    def counts(self, item: Input) -> NDArray[np.int64]:
        """Return the valid samples of each segment of a channel."""
        if item.channel not in self._counts:
            counts = np.full(len(self.first), self.steering.samples, dtype=np.int64)
            valid = self.valid(item)
            if not valid.all():
                _kernels.count_valid(valid, self.first, self.steering.samples, counts)
            self._counts[item.channel] = counts
        return self._counts[item.channel]

    def spectra(self, item: Input) -> Callable[[slice], NDArray[np.float32]]:
        """Return a function that gives rotated spectra of a range of segments."""
        start, step = self.steering.phase(self.channel(item))
        complex_samples = self.channel(item).complex
        kind = np.complex64 if complex_samples else np.float32
        samples = np.ascontiguousarray(self.block.samples[self.row[item.channel]], dtype=kind)
        rotate = _kernels.rotate_complex if complex_samples else _kernels.rotate_real
        length = self.steering.samples

        def of(tile: slice) -> NDArray[np.float32]:
            turned = np.empty((tile.stop - tile.start, length), dtype=np.complex64)
            rotate(
                samples.view(np.float32),
                self.first[tile],
                start[tile],
                step[tile],
                turned.view(np.float32),
            )
            result = scipy.fft.fft(turned, axis=1, overwrite_x=True, workers=1)
            return np.asarray(result).view(np.float32)

        return of


def _correlate_band(
    plan: Plan, band: Band, chunk: Chunk, stations: dict[int, _Station]
) -> NDArray[np.complex128]:
    """Return the sums of X1 conj(X2), shape (pair, bin)."""
    zero = stations[band.inputs[0].station].channel(band.inputs[0]).sky_frequency
    lowest = band.frequency(plan.bins, zero)[0]
    per_segment = len(band.inputs) * plan.bins * 8
    size = min(TILE_SEGMENTS, chunk.segments, max(1, TILE_BYTES // per_segment))
    tile = np.empty((len(band.inputs), size, 2, plan.bins), dtype=np.float32)
    sources = [stations[item.station].spectra(item) for item in band.inputs]
    total = np.zeros((len(band.pairs), 2, plan.bins))
    for low in range(0, chunk.segments, size):
        part = slice(low, min(low + size, chunk.segments))
        for i, item in enumerate(band.inputs):
            station = stations[item.station]
            channel = station.channel(item)
            index = round(channel.direction * (lowest - channel.sky_frequency) * plan.segment)
            _kernels.pick_bins(
                sources[i](part), station.steering.rest[part], index, channel.direction, tile[i]
            )
        _kernels.multiply(tile, part.stop - part.start, band.pairs, total)
    return np.asarray(total[:, 0] + 1j * total[:, 1])


def _count_band(band: Band, stations: dict[int, _Station]) -> NDArray[np.float64]:
    """Return the segments' worth of samples valid at both ends of each pair."""
    result = np.zeros(len(band.pairs))
    for p, (_, _, i, j) in enumerate(band.pairs):
        one, two = band.inputs[i], band.inputs[j]
        s1, s2 = stations[one.station], stations[two.station]
        result[p] = _kernels.count_both(
            s1.valid(one),
            s1.first,
            s1.counts(one),
            s1.steering.samples,
            s2.valid(two),
            s2.first,
            s2.counts(two),
            s2.steering.samples,
        )
    return result


def _run(plan: Plan, engine: Engine, threads: int) -> Iterator[ChunkSums]:
    """Run all chunks and yield their sums in order, few of them in flight at a time."""
    if threads == 1:
        for chunk in plan.chunks:
            yield engine(plan, chunk)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[ChunkSums]] = deque()
        for chunk in plan.chunks:
            waiting.append(pool.submit(engine, plan, chunk))
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _gather(
    plan: Plan, chunk_sums: Iterator[ChunkSums], progress: Callable[[int, int], None] | None
) -> Visibilities:
    """Add up chunks in their order; scale and pack each integration as it is done."""
    times = plan.chunks[-1].integration + 1
    segments = np.zeros(times, dtype=np.int64)
    first = np.zeros(times, dtype=np.int64)
    packed = [_Packed(plan, band, times) for band in plan.bands]
    for done, (chunk, sums) in enumerate(zip(plan.chunks, chunk_sums, strict=True), 1):
        t = chunk.integration
        if segments[t] == 0:
            first[t] = chunk.first
        segments[t] += chunk.segments
        for b, band in enumerate(packed):
            band.spectra += sums.spectra[b]
            band.counts += sums.counts[b]
        if done == len(plan.chunks) or plan.chunks[done].integration != t:
            for band in packed:
                band.finish(t, int(segments[t]))
        if progress:
            progress(done, len(plan.chunks))
    return Visibilities(
        scan=plan.model.scan,
        source=plan.model.source,
        baselines=plan.baselines,
        epoch=plan.start.shifted((first + segments / 2) * plan.segment),
        integration=np.asarray(segments * plan.segment, dtype=np.float64),
        channels=tuple(band.channel() for band in packed),
        model=plan.model,
    )


class _Packed:
    """A band's sums of the integration at work, and its finished visibilities."""

    def __init__(self, plan: Plan, band: Band, times: int) -> None:
        self.plan, self.band = plan, band
        shape = (times, len(plan.baselines), plan.bins, len(band.products))
        self.data = np.full(shape, np.nan + 0j, dtype=np.complex64)
        self.weight = np.zeros((times, len(plan.baselines), len(band.products)))
        self.spectra = np.zeros((len(band.pairs), plan.bins), dtype=np.complex128)
        self.counts = np.zeros(len(band.pairs))
        self.gain = []
        for item in band.inputs:
            channel = plan.recordings[item.station].channels[item.channel]
            # half the power of real samples lies at negative frequencies
            power = 1.0 if channel.complex else np.sqrt(2.0)
            self.gain.append(power / plan.samples(item.station))

    def finish(self, time: int, segments: int) -> None:
        """Scale the sums to power, lay them out by baseline and product, and begin anew."""
        for p, (b, product, i, j) in enumerate(self.band.pairs):
            count = self.counts[p]
            values = self.spectra[p] * (self.gain[i] * self.gain[j] / count if count > 0 else 0.0)
            # fused multiply-add leaves rounding where Im |X|^2 is to be zero
            self.data[time, b, :, product] = values.real if i == j else values
            self.weight[time, b, product] = count / segments
        self.spectra[:] = 0.0
        self.counts[:] = 0.0

    def channel(self) -> ChannelVisibilities:
        """Return the visibilities of all integrations."""
        item = self.band.inputs[0]
        first = self.plan.recordings[item.station].channels[item.channel]
        return ChannelVisibilities(
            name=self.band.name,
            frequency=self.band.frequency(self.plan.bins, first.sky_frequency),
            products=self.band.products,
            data=self.data,
            weight=self.weight,
        )
