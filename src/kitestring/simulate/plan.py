"""What of a scan is made of what: levels, lines, bands in common, and chunks of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.simulate._kernels import BLOCK
from kitestring.simulate.modulation import TelemetryWave, pure_tones
from kitestring.simulate.retardation import Retardation, retardation
from kitestring.simulate.signals import random_key, tone_cycles, transmission
from kitestring.simulate.types import (
    LocalTone,
    QuasarSignal,
    SimulatedStation,
    SpacecraftSignal,
    Tone,
)

_MOST_SAMPLES = 1e14  # places in a scan are exact, and no disk is as large
CHUNK_BLOCKS = 256  # blocks of each station and channel that are made at a time

Band = tuple[float, float, str]  # sky edges and polarization
Member = tuple[int, int]  # station, channel


@dataclass(frozen=True)
class Levels:
    """What one channel of one station consists of, before its bandpass.

    Attributes
    ----------
    noise : float
        Rms of the receiver's noise (of a real, or of each part of complex samples).
    wave : float
        Factor on what comes on the geocentre's grid: a quasar's noise of unit
        variance a part, or a carrier's bits of unit amplitude.
    tones : tuple of (Tone, float)
        The spacecraft's lines and their amplitudes.
    local : tuple of (LocalTone, float)
        The station's own.
    """

    noise: float
    wave: float
    tones: tuple[tuple[Tone, float], ...]
    local: tuple[tuple[LocalTone, float], ...]


@dataclass(frozen=True)
class ScanPlan:
    """A scan to be made. Its chunks are the same whatever makes them.

    Attributes
    ----------
    source : QuasarSignal or SpacecraftSignal
        What is observed.
    stations : tuple of SimulatedStation
        Where.
    start : Epoch, shape ()
        Clock reading of the first samples, UTC.
    duration : float
        s.
    seed : int
        Of all noise.
    receivers : bool
        Whether receivers make noise and add lines.
    """

    source: QuasarSignal | SpacecraftSignal
    stations: tuple[SimulatedStation, ...]
    start: Epoch
    duration: float
    seed: int
    receivers: bool = True

    @cached_property
    def levels(self) -> dict[Member, Levels]:
        """Return what each channel consists of.

        All of it together has variance 1, as gain control would have it.
        """
        found: dict[Member, Levels] = {}
        times = np.array([0.0, 0.5, 1.0]) * self.duration
        for i, station in enumerate(self.stations):
            when = retardation(station.delay, self.start, self.duration, times)
            for c, channel in enumerate(station.channels):
                found[i, c] = self._levels(station, c, channel, when)
        return found

    def _levels(
        self, station: SimulatedStation, index: int, channel: Channel, when: Retardation
    ) -> Levels:
        width, source = channel.bandwidth, self.source
        own = station.local_tones(index) if self.receivers else ()
        local = [(tone, tone.strength / width) for tone in own]
        if isinstance(source, QuasarSignal):
            part = source.flux / (source.flux + station.sefd)
            level = 1.0 / float(np.sqrt(1.0 + sum(p for _, p in local)))
            noise, wave = level * float(np.sqrt(1.0 - part)), level * float(np.sqrt(part))
            lines: list[tuple[Tone, float]] = []
        else:
            share, sent = source.share(channel), transmission(source, self.start, when)
            lines = [
                (tone, share * tone.strength(station.name) / width)
                for tone in self.source_tones
                if share and np.any(tone_cycles(channel, source, tone, self.start, when, sent)[1])
            ]
            carried = self.telemetry(channel)
            power = 0.0
            if carried is not None and share:
                power = share * carried.carrier.strength(station.name) / width
            in_band = power * carried.power if carried is not None and power else 0.0
            total = 1.0 + sum(p for _, p in (*lines, *local)) + in_band
            level = noise = 1.0 / float(np.sqrt(total))
            wave = level * float(np.sqrt(2.0 * power)) if in_band else 0.0
        return Levels(
            noise,
            wave,
            tuple((tone, level * float(np.sqrt(2.0 * p))) for tone, p in lines),
            tuple((tone, level * float(np.sqrt(2.0 * p))) for tone, p in local),
        )

    @cached_property
    def source_tones(self) -> tuple[Tone, ...]:
        """All pure lines of a spacecraft."""
        if not isinstance(self.source, SpacecraftSignal):
            return ()
        modulated = self.source.modulated
        return self.source.tones + (() if modulated is None else pure_tones(modulated))

    def telemetry(self, channel: Channel) -> TelemetryWave | None:
        """Return the wave of a spacecraft's bits in a channel, where there is any."""
        edges = channel.sky_edges
        if edges not in self._waves:
            self._waves[edges] = self._telemetry(channel)
        return self._waves[edges]

    @cached_property
    def _waves(self) -> dict[tuple[float, float], TelemetryWave | None]:
        return {}

    def _telemetry(self, channel: Channel) -> TelemetryWave | None:
        source = self.source
        if not isinstance(source, SpacecraftSignal) or source.modulated is None:
            return None
        key = random_key(self.seed, source.name, "telemetry")
        wave = TelemetryWave(source, source.modulated, channel, self.start, key)
        return wave if wave.lines else None

    def samples(self, station: int) -> int:
        """Return how many samples of each channel a station records."""
        count = self.duration * self.stations[station].sample_rate
        if not count < _MOST_SAMPLES:
            raise ConfigurationError(
                f"{self.duration:g} s of station {self.stations[station].name!r} are {count:.3g} "
                "samples a channel.",
                next_step="Look at the scan's duration (s) and the sample rate (Hz).",
            )
        if round(count) < 1 or abs(count - round(count)) > 1e-6:
            raise ConfigurationError(
                f"{self.duration} s are {count:.15g} samples of station "
                f"{self.stations[station].name!r}.",
                next_step="Give a duration of a whole number of samples.",
            )
        return round(count)

    def key(self, *parts: object) -> tuple[int, int]:
        """Return the key of a sequence of random numbers."""
        begin = (int(self.start.day), float(self.start.second))
        return random_key(self.seed, self.source.name, *begin, *parts)

    def bands(self) -> dict[Band, list[Member]]:
        """Return which channels of which stations see the same wave."""
        bands: dict[Band, list[Member]] = {}
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
            refuse_overlap(sorted(bands, key=lambda b: (b[2], b[0])))
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

    def retardations(
        self, blocks: Sequence[tuple[int, int]], margins: Sequence[int]
    ) -> list[Retardation | None]:
        """Return each station's delays at the middles of its blocks; None where there are none.

        `margins` says how many blocks more there are on either side.
        """
        found: list[Retardation | None] = []
        for station, (begin, end), more in zip(self.stations, blocks, margins, strict=True):
            number = np.arange(begin - more, end + more, dtype=np.float64)
            middle = (number * BLOCK + (BLOCK - 1) / 2) / station.sample_rate
            if end > begin:
                found.append(retardation(station.delay, self.start, self.duration, middle))
            else:
                found.append(None)
        return found


def refuse_overlap(bands: list[Band]) -> None:
    """Raise `ConfigurationError` where sorted bands overlap in part."""
    for one, other in pairwise(bands):
        if one[2] == other[2] and other[0] < one[1]:
            raise ConfigurationError(
                f"bands {one[0]:.0f} .. {one[1]:.0f} Hz and {other[0]:.0f} .. {other[1]:.0f} Hz "
                "overlap in part; their noise cannot be simulated as common.",
                next_step="Let channels have the same edges, or none in common.",
            )
