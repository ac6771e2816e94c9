"""Voltages of one scan at several stations: noise or tones, receivers, samplers, files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring._threads import default_threads
from kitestring.model.time import Epoch
from kitestring.recordings.datatypes import DataType
from kitestring.recordings.quantise import quantise
from kitestring.recordings.sigmf_writer import SigmfWriter
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
from kitestring.simulate.modulation import TelemetryWave
from kitestring.simulate.plan import Band, Member, ScanPlan
from kitestring.simulate.plasma import bent, edges_ahead, is_curved
from kitestring.simulate.receiver import through_bandpass
from kitestring.simulate.retardation import Retardation, dispersion
from kitestring.simulate.signals import (
    BandNoise,
    Transmission,
    local_cycles,
    noise_cycles,
    place_on_grid,
    tone_cycles,
    transmission,
)
from kitestring.simulate.types import (
    CodeSink,
    QuasarSignal,
    ScanTruth,
    SimulatedStation,
    SpacecraftSignal,
)

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

CHUNKS_AHEAD = 2
_ENDINGS = {False: ".vdif", True: ".sigmf-meta"}

_TABLE = interpolation_table()


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

    @cached_property
    def before_mixer(self) -> Retardation:
        """Delays of the waves that the samples hold, after the instrumental delay."""
        return self.when.earlier(self.station.instrumental_delays[self.index])

    def delayed(self, plan: ScanPlan, frequency: float, *, group: bool) -> Retardation:
        """Return the same with what plasma adds at a frequency, to groups or to phases."""
        when = self.before_mixer
        if self.station.dispersion is None:
            return when
        return when.later(dispersion(self.station, plan.start, when, frequency, group=group))

    def plasma_cycles(self, plan: ScanPlan, frequency: float) -> Floats:
        """Return by how much the phase at a band's middle is ahead of its group, (block, 3)."""
        if self.station.dispersion is None:
            return np.zeros((len(self.when.value), 3))
        groups, phases = (self.delayed(plan, frequency, group=g) for g in (True, False))
        rate = self.channel.sample_rate
        return frequency * np.stack(
            [
                groups.value - phases.value,
                (groups.rate - phases.rate) / rate,
                0.5 * (groups.acceleration - phases.acceleration) / rate**2,
            ],
            axis=1,
        )

    def plasma(self, plan: ScanPlan) -> float:
        """Return what plasma adds in the middle of the piece, s Hz^2."""
        added = dispersion(self.station, plan.start, self.before_mixer, 1.0, group=True)
        return float(np.mean(added.value))

    @property
    def oscillator(self) -> float:
        """Phase of the local oscillator, cycles."""
        return self.station.lo_phases[self.index] / (2.0 * np.pi)

    @property
    def conjugate(self) -> bool:
        return self.channel.complex and self.channel.direction < 0

    def receiver(self, scan: ScanPlan, level: float) -> Singles:
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
        A directory, where ``<scan>_<station>.vdif`` (or ``.sigmf-meta`` and ``-data``, for
        stations that are `signed`) is written, or a function
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
    plan = ScanPlan(source, tuple(stations), start.to("utc"), duration, seed)
    counts = [plan.samples(i) for i in range(len(stations))]
    recordings: dict[str, str] = {}
    chunks = _chunks(plan, plan.bands(), plan.boundaries(), threads)
    with ExitStack() as stack:
        sinks: list[CodeSink] = []
        for station in plan.stations:
            if callable(sink):
                sinks.append(sink(station))
            else:
                path = Path(sink) / f"{scan}_{station.name}{_ENDINGS[station.signed]}"
                recordings[station.name] = str(path)
                writer = _sigmf if station.signed else _vdif
                sinks.append(writer(path, station, plan))
            stack.callback(sinks[-1].close)
        written = np.zeros(len(counts), dtype=np.int64)
        for codes in chunks:
            for i, rows in codes.items():
                parts = 2 if stations[i].channels[0].complex else 1
                keep = min(rows.shape[1] // parts, counts[i] - int(written[i]))
                valid = plan.stations[i].taken(int(written[i]), keep)
                sinks[i].write_codes(rows[:, : keep * parts], *([] if valid is None else [valid]))
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
    plan = ScanPlan(source, (station,), start.to("utc"), duration, seed, receiver)
    (band,) = (b for b, members in plan.bands().items() if (0, channel) in members)
    rows = []
    for blocks in _steps(plan.boundaries()):
        made = _make(
            plan, band, [(0, channel)], blocks, plan.retardations(blocks, [_margin(station)])
        )
        rows += list(made.values())
    samples: NDArray[Any] = np.concatenate(rows)
    if station.channels[channel].complex:
        samples = samples.view(np.complex64)
    return samples[: plan.samples(0)]


def frame_bytes(station: SimulatedStation, start: Epoch, duration: float) -> int:
    """Return the longest payload of a station's VDIF frames, up to 8000 bytes.

    Frames divide a second and begin at `start`. Where such of 800 bytes or more divide the
    scan too, they are taken, so that the last one is full (of one that is not, nothing is
    valid). Where there are none at all the length is 8000, and the writer says what cannot be.
    """
    first = station.channels[0]
    bits = station.bits * (2 if first.complex else 1)
    rate = first.sample_rate
    begin = round(float(start.to("utc").second) % 1.0 * rate)
    ends = (begin, round(duration * rate))
    for wanted, least in ((ends, 800), (ends[:1], 8)):
        for payload in range(8000, least - 1, -8):
            samples, rest = divmod(8 * payload, bits)
            if not (rest or (rate / samples) % 1.0 or any(n % samples for n in wanted)):
                return payload
    return 8000


def _vdif(path: Path, station: SimulatedStation, plan: ScanPlan) -> VdifWriter:
    return VdifWriter(
        path,
        station=station.code,
        start=plan.start,
        channels=station.channels,
        bits=station.bits,
        payload_bytes=frame_bytes(station, plan.start, plan.duration),
    )


def _sigmf(path: Path, station: SimulatedStation, plan: ScanPlan) -> SigmfWriter:
    return SigmfWriter(
        path,
        station=station.name,
        start=plan.start,
        channels=station.channels,
        datatype=station.datatype,
    )


def _sampled(station: SimulatedStation, samples: Singles) -> NDArray[Any]:
    """Return codes of one channel's samples of unit rms."""
    row = samples[np.newaxis]
    codes: NDArray[Any]
    if station.signed:
        codes = DataType.parse(station.datatype).encode(row, np.ones(1))
    else:
        codes = quantise(row, station.bits, 1.0)
    return np.asarray(codes[0])


def _steps(boundaries: NDArray[np.int64]) -> Iterator[list[tuple[int, int]]]:
    for begin, end in zip(boundaries.T[:-1], boundaries.T[1:], strict=True):
        yield list(zip(begin.tolist(), end.tolist(), strict=True))


def _chunks(
    plan: ScanPlan,
    bands: dict[Band, list[Member]],
    boundaries: NDArray[np.int64],
    threads: int | None,
) -> Iterator[dict[int, NDArray[Any]]]:
    """Yield the codes of each chunk by station, in order."""
    _ = plan.levels  # before threads ask for them
    waiting: deque[list[Future[dict[Member, NDArray[Any]]]]] = deque()
    with ThreadPoolExecutor(threads or default_threads()) as pool:
        for blocks in _steps(boundaries):
            when = plan.retardations(blocks, [_margin(s) for s in plan.stations])
            waiting.append(
                [pool.submit(_codes, plan, b, bands[b], blocks, when) for b in sorted(bands)]
            )
            if len(waiting) > CHUNKS_AHEAD:
                yield _gather(waiting.popleft())
        while waiting:
            yield _gather(waiting.popleft())


def _gather(futures: list[Future[dict[Member, NDArray[Any]]]]) -> dict[int, NDArray[Any]]:
    rows: dict[Member, NDArray[Any]] = {}
    for future in futures:
        rows |= future.result()
    by_station: dict[int, list[NDArray[Any]]] = {}
    for (station, _), row in sorted(rows.items(), key=lambda item: item[0]):
        by_station.setdefault(station, []).append(row)
    return {station: np.stack(found) for station, found in by_station.items()}


def _codes(
    plan: ScanPlan,
    band: Band,
    members: list[Member],
    blocks: list[tuple[int, int]],
    when: list[Retardation | None],
) -> dict[Member, NDArray[Any]]:
    made = _make(plan, band, members, blocks, when)
    return {(i, c): _sampled(plan.stations[i], samples) for (i, c), samples in made.items()}


def _make(
    plan: ScanPlan,
    band: Band,
    members: list[Member],
    blocks: list[tuple[int, int]],
    when: list[Retardation | None],
) -> dict[Member, Singles]:
    """Return the samples of a chunk of all channels that share a band."""
    pieces = {}
    for i, c in members:
        there, station = when[i], plan.stations[i]
        if there is not None:
            pieces[i, c] = _Piece(station, c, blocks[i][0] - _margin(station), there)
    made = {}
    for member, piece in pieces.items():
        made[member] = piece.receiver(plan, plan.levels[member].noise)
        _add_tones(plan, member, piece, made[member])
    # without polarization a wave that all receive is common to more than these
    _add_waves(plan, band, pieces, made)
    return {member: _received(plan, piece, made[member]) for member, piece in pieces.items()}


def _add_tones(plan: ScanPlan, member: Member, piece: _Piece, out: Singles) -> None:
    levels, source = plan.levels[member], plan.source
    sent: Transmission | None = None
    for tone, amplitude in levels.tones:
        assert isinstance(source, SpacecraftSignal)  # nothing else has tones
        when = piece.delayed(plan, float(tone.frequency), group=False)
        if sent is None or piece.station.dispersion is not None:
            sent = transmission(source, plan.start, when)
        cycles, inside = tone_cycles(piece.channel, source, tone, plan.start, when, sent)
        cycles[:, 0] -= piece.oscillator
        add_tone(cycles, np.where(inside, amplitude, 0.0), piece.conjugate, out)
    late, count = piece.station.instrumental_delays[piece.index], len(piece.when.value)
    for line, amplitude in levels.local:
        cycles = local_cycles(piece.channel, line, plan.start, piece.first, count, late)
        cycles[:, 0] -= piece.oscillator
        add_tone(cycles, np.full(count, amplitude), piece.conjugate, out)


def _add_waves(
    plan: ScanPlan, band: Band, pieces: dict[Member, _Piece], made: dict[Member, Singles]
) -> None:
    """Add a quasar's noise, or a spacecraft's bits."""
    heard = {m: piece for m, piece in pieces.items() if plan.levels[m].wave}
    if not heard:
        return
    middle = 0.5 * (band[0] + band[1])
    delays = {m: piece.delayed(plan, middle, group=True) for m, piece in heard.items()}
    places = {m: place_on_grid(piece.channel, piece.first, delays[m]) for m, piece in heard.items()}
    first = min(begin for begin, _ in places.values())
    last = max(
        begin + int(np.ceil(place[:, 0].max() + place[:, 1].max() * BLOCK / 2)) + TAPS
        for begin, place in places.values()
    )
    wave: TelemetryWave | BandNoise | None = BandNoise(plan.key("source", *band))
    if isinstance(plan.source, SpacecraftSignal):
        wave = plan.telemetry(next(iter(heard.values())).channel)
    assert wave is not None  # channels that hear none have no level of it
    real, imag = wave.grid(first, last - first + 1)
    for member, piece in heard.items():
        begin, place = places[member]
        cycles = noise_cycles(piece.channel, plan.start, begin, place, delays[member])
        cycles[:, 0] -= piece.oscillator
        cycles += piece.plasma_cycles(plan, middle)
        place[:, 0] += begin - first
        step = 2 if piece.channel.complex else 1
        level = plan.levels[member].wave
        if not is_curved(piece.station):
            add_wave(real, imag, step, place, cycles, level, _TABLE, piece.conjugate, made[member])
            continue
        content, wave_alone = piece.plasma(plan), np.zeros_like(made[member])
        cycles[:, 0] += edges_ahead(piece.channel, content)
        add_wave(real, imag, step, place, cycles, level, _TABLE, piece.conjugate, wave_alone)
        made[member] += bent(piece.channel, content, wave_alone)


def _margin(station: SimulatedStation) -> int:
    """Return how many blocks more are made on either side for filters.

    Each of the two reaches half a block.
    """
    return 0 if station.bandpass is None and not is_curved(station) else 1


def _received(plan: ScanPlan, piece: _Piece, samples: Singles) -> Singles:
    """Return what comes out of the receiver."""
    station = piece.station
    if station.bandpass is not None:
        samples = through_bandpass(station.bandpass, piece.channel, samples)
    elif _margin(station):
        block = BLOCK * (2 if piece.channel.complex else 1)
        samples = samples[block:-block]
    return np.zeros_like(samples) if piece.index in station.dead else samples
