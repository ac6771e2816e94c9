"""Voltages of one scan at several stations: noise or tones, receivers, samplers, files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring._threads import default_threads
from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch
from kitestring.recordings.quantise import quantise
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif_writer import VdifWriter
from kitestring.simulate._kernels import (
    BLOCK,
    TAPS,
    add_tone,
    add_wave,
    fill_gaussian,
    interpolation_table,
)
from kitestring.simulate.signals import (
    BandNoise,
    Retardation,
    noise_cycles,
    place_on_grid,
    random_key,
    retardation,
    tone_cycles,
)
from kitestring.simulate.types import (
    CodeSink,
    QuasarSignal,
    ScanTruth,
    SimulatedStation,
    SpacecraftSignal,
    Tone,
)

Singles = NDArray[np.float32]

CHUNK_BLOCKS = 256  # blocks of each station and channel that are made at a time
CHUNKS_AHEAD = 2

_TABLE = interpolation_table()

_Band = tuple[float, float, str]  # sky edges and polarization
_Member = tuple[int, int]  # station, channel


@dataclass(frozen=True)
class _Scan:
    """A scan to be made. Its chunks are the same whatever makes them."""

    source: QuasarSignal | SpacecraftSignal
    stations: tuple[SimulatedStation, ...]
    start: Epoch
    duration: float
    seed: int
    receivers: bool = True

    @cached_property
    def tones(self) -> dict[_Member, tuple[float, list[tuple[Tone, float]]]]:
        """Return each channel's rms of noise, and the tones in it with their amplitudes.

        Noise and tones together have variance 1, as gain control would have it.
        """
        if not isinstance(self.source, SpacecraftSignal):
            return {}
        found: dict[_Member, tuple[float, list[tuple[Tone, float]]]] = {}
        times = np.array([0.0, 0.5, 1.0]) * self.duration
        for i, station in enumerate(self.stations):
            when = retardation(station.delay, self.start, self.duration, times)
            for c, channel in enumerate(station.channels):
                powers = [
                    (tone, tone.strength(station.name) / channel.bandwidth)
                    for tone in self.source.tones
                    if np.any(tone_cycles(channel, self.source, tone, self.start, when)[1])
                ]
                level = 1.0 / float(np.sqrt(1.0 + sum(p for _, p in powers)))
                heard = [(tone, level * float(np.sqrt(2.0 * p))) for tone, p in powers]
                found[i, c] = level, heard
        return found

    def samples(self, station: int) -> int:
        """Return how many samples of each channel a station records."""
        count = self.duration * self.stations[station].sample_rate
        if round(count) < 1 or abs(count - round(count)) > 1e-6:
            raise ConfigurationError(
                f"{self.duration} s are {count:.9g} samples of station "
                f"{self.stations[station].name!r}.",
                next_step="Give a duration of a whole number of samples.",
            )
        return round(count)

    def key(self, *parts: object) -> tuple[int, int]:
        """Return the key of a sequence of random numbers."""
        begin = (int(self.start.day), float(self.start.second))
        return random_key(self.seed, self.source.name, *begin, *parts)

    def bands(self) -> dict[_Band, list[_Member]]:
        """Return which channels of which stations see the same wave."""
        bands: dict[_Band, list[_Member]] = {}
        for i, station in enumerate(self.stations):
            for c, channel in enumerate(station.channels):
                bands.setdefault((*channel.sky_edges, channel.polarization), []).append((i, c))
        for i, station in enumerate(self.stations):
            own = {(*c.sky_edges, c.polarization) for c in station.channels}
            if len(own) != len(station.channels):
                raise ConfigurationError(
                    f"channels of station {self.stations[i].name!r} are alike.",
                    next_step="Give each its own sky frequency or polarization.",
                )
        if isinstance(self.source, QuasarSignal):
            _refuse_overlap(sorted(bands, key=lambda b: (b[2], b[0])))
        return bands

    def boundaries(self) -> NDArray[np.int64]:
        """Return at which block of each station chunks begin and end, shape (station, chunk + 1).

        A chunk holds what passes the geocentre in a stretch of time, so that
        stations with whatever delay need the same stretch of the wave.
        """
        length = CHUNK_BLOCKS * BLOCK / max(s.sample_rate for s in self.stations)
        middle = np.array([self.duration / 2])
        late = [
            float(retardation(s.delay, self.start, self.duration, middle).value[0])
            for s in self.stations
        ]
        first = int(np.floor(-max(late) / length))
        last = int(np.ceil((self.duration - min(late)) / length))
        labels = length * np.arange(first, last + 1, dtype=np.float64)
        result = np.empty((len(self.stations), len(labels)), dtype=np.int64)
        for i, station in enumerate(self.stations):
            when = retardation(station.delay, self.start, self.duration, labels + late[i])
            block = np.ceil((labels + when.value) * station.sample_rate / BLOCK)
            blocks = -(-self.samples(i) // BLOCK)
            result[i] = np.clip(block, 0, blocks)
            result[i, 0], result[i, -1] = 0, blocks
        return result

    def retardations(self, blocks: Sequence[tuple[int, int]]) -> list[Retardation | None]:
        """Return each station's delays at the middles of its blocks; None where there are none."""
        found: list[Retardation | None] = []
        for station, (begin, end) in zip(self.stations, blocks, strict=True):
            number = np.arange(begin, end, dtype=np.float64)
            middle = (number * BLOCK + (BLOCK - 1) / 2) / station.sample_rate
            if end > begin:
                found.append(retardation(station.delay, self.start, self.duration, middle))
            else:
                found.append(None)
        return found


@dataclass(frozen=True)
class _Piece:
    """What of one channel is made at a time: blocks from `first` on."""

    station: SimulatedStation
    index: int
    first: int
    when: Retardation

    @property
    def channel(self) -> Channel:
        return self.station.channels[self.index]

    @property
    def delayed(self) -> Retardation:
        """Delays of the waves that the samples hold, after the instrumental delay."""
        return self.when.earlier(self.station.instrumental_delays[self.index])

    @property
    def oscillator(self) -> float:
        """Phase of the local oscillator, cycles."""
        return self.station.lo_phases[self.index] / (2.0 * np.pi)

    @property
    def conjugate(self) -> bool:
        return self.channel.complex and self.channel.direction < 0

    def receiver(self, scan: _Scan, level: float) -> Singles:
        """Return the receiver's noise of rms `level`, or zeros."""
        parts = 2 if self.channel.complex else 1
        out = np.zeros(len(self.when.value) * BLOCK * parts, dtype=np.float32)
        if scan.receivers:
            key = scan.key("receiver", self.station.name, self.index)
            fill_gaussian(*key, self.first * parts, level, out)
        return out


def simulate_scan(
    *,
    source: QuasarSignal | SpacecraftSignal,
    stations: Sequence[SimulatedStation],
    start: Epoch,
    duration: float,
    sink: str | Path | Callable[[SimulatedStation], CodeSink],
    seed: int,
    scan: str = "scan",
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> ScanTruth:
    """Record a scan: every station's samples, quantised, with noise of source and receivers.

    A station's samples have variance 1 before they are quantised (a real, or
    each of the real and imaginary part), with thresholds set for that. Of a
    quasar the part flux / (flux + SEFD) comes from the source. Spacecraft tones
    stand above receiver noise by their C/N0.

    Parameters
    ----------
    source : QuasarSignal or SpacecraftSignal
        What is observed. A quasar's noise is common to channels with the same
        sky edges and polarization, whatever their sideband.
    stations : sequence of SimulatedStation
        Where. Their delay models must cover the scan and the delays around it.
    start : Epoch
        Clock reading of each station's first sample, UTC; for VDIF the start
        of a frame.
    duration : float
        Length, s; a whole number of samples.
    sink : path-like or callable
        A directory, where ``<scan>_<station>.vdif`` is written, or a function
        that returns where the codes of a station go.
    seed : int
        With the source's name and the start it settles all noise, whatever the
        number of threads.
    scan : str
        Name of the scan.
    threads : int, optional
        Threads that make samples; all cores by default.
    progress : callable, optional
        Called with the fraction that is done.

    Returns
    -------
    ScanTruth
        What was put in.

    Raises
    ------
    ConfigurationError
        For bands that overlap in part, a length of no whole number of samples,
        or what VDIF cannot express.
    SpanError
        Where a delay or light-time polynomial does not cover the scan.
    """
    plan = _Scan(source, tuple(stations), start.to("utc"), duration, seed)
    counts = [plan.samples(i) for i in range(len(stations))]
    recordings: dict[str, str] = {}
    chunks = _chunks(plan, plan.bands(), plan.boundaries(), threads)
    with ExitStack() as stack:
        sinks: list[CodeSink] = []
        for station in plan.stations:
            if callable(sink):
                sinks.append(sink(station))
            else:
                path = Path(sink) / f"{scan}_{station.name}.vdif"
                recordings[station.name] = str(path)
                sinks.append(_vdif(path, station, plan.start))
            stack.callback(sinks[-1].close)
        written = np.zeros(len(counts), dtype=np.int64)
        for codes in chunks:
            for i, rows in codes.items():
                parts = 2 if stations[i].channels[0].complex else 1
                keep = min(rows.shape[1] // parts, counts[i] - int(written[i]))
                sinks[i].write_codes(rows[:, : keep * parts])
                written[i] += keep
            if progress:
                progress(float(written.sum()) / sum(counts))
    return ScanTruth(scan, source, plan.stations, plan.start, duration, seed, recordings)


def station_samples(
    *,
    source: QuasarSignal | SpacecraftSignal,
    station: SimulatedStation,
    channel: int,
    start: Epoch,
    duration: float,
    seed: int,
    receiver: bool = True,
) -> NDArray[Any]:
    """Return one channel of one station before the sampler, all at once.

    Parameters are those of `simulate_scan`; `channel` is an index, and without
    `receiver` the samples hold the source alone, at the level that it would have.

    Returns
    -------
    ndarray of float32 or complex64, shape (n,)
    """
    plan = _Scan(source, (station,), start.to("utc"), duration, seed, receiver)
    (band,) = (b for b, members in plan.bands().items() if (0, channel) in members)
    rows = []
    for blocks in _steps(plan.boundaries()):
        made = _make(plan, band, [(0, channel)], blocks, plan.retardations(blocks))
        rows += list(made.values())
    samples: NDArray[Any] = np.concatenate(rows)
    if station.channels[channel].complex:
        samples = samples.view(np.complex64)
    return samples[: plan.samples(0)]


def _refuse_overlap(bands: list[_Band]) -> None:
    for one, other in pairwise(bands):
        if one[2] == other[2] and other[0] < one[1]:
            raise ConfigurationError(
                f"bands {one[0]:.0f} .. {one[1]:.0f} Hz and {other[0]:.0f} .. {other[1]:.0f} Hz "
                "overlap in part; their noise cannot be simulated as common.",
                next_step="Let channels have the same edges, or none in common.",
            )


def _vdif(path: Path, station: SimulatedStation, start: Epoch) -> VdifWriter:
    return VdifWriter(
        path, station=station.code, start=start, channels=station.channels, bits=station.bits
    )


def _steps(boundaries: NDArray[np.int64]) -> Iterator[list[tuple[int, int]]]:
    for begin, end in zip(boundaries.T[:-1], boundaries.T[1:], strict=True):
        yield list(zip(begin.tolist(), end.tolist(), strict=True))


def _chunks(
    plan: _Scan,
    bands: dict[_Band, list[_Member]],
    boundaries: NDArray[np.int64],
    threads: int | None,
) -> Iterator[dict[int, NDArray[Any]]]:
    """Yield the codes of each chunk by station, in order."""
    waiting: deque[list[Future[dict[_Member, NDArray[Any]]]]] = deque()
    with ThreadPoolExecutor(threads or default_threads()) as pool:
        for blocks in _steps(boundaries):
            when = plan.retardations(blocks)
            waiting.append(
                [pool.submit(_codes, plan, b, bands[b], blocks, when) for b in sorted(bands)]
            )
            if len(waiting) > CHUNKS_AHEAD:
                yield _gather(waiting.popleft())
        while waiting:
            yield _gather(waiting.popleft())


def _gather(futures: list[Future[dict[_Member, NDArray[Any]]]]) -> dict[int, NDArray[Any]]:
    rows: dict[_Member, NDArray[Any]] = {}
    for future in futures:
        rows |= future.result()
    by_station: dict[int, list[NDArray[Any]]] = {}
    for (station, _), row in sorted(rows.items(), key=lambda item: item[0]):
        by_station.setdefault(station, []).append(row)
    return {station: np.stack(found) for station, found in by_station.items()}


def _codes(
    plan: _Scan,
    band: _Band,
    members: list[_Member],
    blocks: list[tuple[int, int]],
    when: list[Retardation | None],
) -> dict[_Member, NDArray[Any]]:
    made = _make(plan, band, members, blocks, when)
    return {
        (i, c): quantise(samples[np.newaxis], plan.stations[i].bits, 1.0)[0]
        for (i, c), samples in made.items()
    }


def _make(
    plan: _Scan,
    band: _Band,
    members: list[_Member],
    blocks: list[tuple[int, int]],
    when: list[Retardation | None],
) -> dict[_Member, Singles]:
    """Return the samples of a chunk of all channels that share a band."""
    pieces = {}
    for i, c in members:
        there = when[i]
        if there is not None:
            pieces[i, c] = _Piece(plan.stations[i], c, blocks[i][0], there)
    if not pieces:
        return {}
    if isinstance(plan.source, SpacecraftSignal):
        return {m: _tones(plan, m, plan.source, piece) for m, piece in pieces.items()}
    return _noise(plan, plan.source, band, pieces)


def _noise(
    plan: _Scan, source: QuasarSignal, band: _Band, pieces: dict[_Member, _Piece]
) -> dict[_Member, Singles]:
    places = {
        m: place_on_grid(piece.channel, piece.first, piece.delayed) for m, piece in pieces.items()
    }
    first = min(begin for begin, _ in places.values())
    last = max(
        begin + int(np.ceil(place[:, 0].max() + place[:, 1].max() * BLOCK / 2)) + TAPS
        for begin, place in places.values()
    )
    real, imag = BandNoise(plan.key("source", *band)).grid(first, last - first + 1)
    made = {}
    for member, piece in pieces.items():
        part = source.flux / (source.flux + piece.station.sefd)
        out = piece.receiver(plan, float(np.sqrt(1.0 - part)))
        begin, place = places[member]
        cycles = noise_cycles(piece.channel, plan.start, begin, place, piece.delayed)
        cycles[:, 0] -= piece.oscillator
        place[:, 0] += begin - first
        step = 2 if piece.channel.complex else 1
        amplitude = float(np.sqrt(part))
        add_wave(real, imag, step, place, cycles, amplitude, _TABLE, piece.conjugate, out)
        made[member] = out
    return made


def _tones(plan: _Scan, member: _Member, source: SpacecraftSignal, piece: _Piece) -> Singles:
    level, heard = plan.tones[member]
    out = piece.receiver(plan, level)
    for tone, amplitude in heard:
        cycles, inside = tone_cycles(piece.channel, source, tone, plan.start, piece.delayed)
        cycles[:, 0] -= piece.oscillator
        add_tone(cycles, np.where(inside, amplitude, 0.0), piece.conjugate, out)
    return out
