"""Carrier and DOR tones of a spacecraft, stopped at each station with the delay model.

A station's sample that was taken at clock reading r = t + D(t), with D the
modelled delay + clock, belongs to the wavefront that passes the geocentre at
its label t. A tone whose phase at the geocentre is phi(t) cycles is recorded
as phi - f_lo r (f_lo: sky frequency of baseband zero). Each sample is turned by
f_lo r - Phi(t) with the same reference phase Phi at every station, so what is
left is phi - Phi at that wavefront, - f (D_true - D), and the phase of the
local oscillator. No assumption on the transmitted frequency survives in the
difference of two stations.

Samples are summed in short boxes about the labels' middles; the label of a
box's true middle is kept, so that nothing depends on how edges fell on samples.
Boxes of a few seconds in mid-scan settle the frequencies; all others become
dumps stretch by stretch, so memory does not grow with the scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

from kitestring._threads import default_threads
from kitestring.errors import ConfigurationError, EstimationError, MissingDataError
from kitestring.model.polynomials import DelayModel, StationDelay
from kitestring.model.time import EPOCH_QUANTUM, Epoch
from kitestring.recordings.types import Recording
from kitestring.tones._kernels import block_counts, block_sums
from kitestring.tones.types import Complexes, Floats, TonePhases, ToneSpec

_BOX = 1e-3  # s: longest box of the final pass; passes +-500 Hz
_CHUNK_SAMPLES = 1 << 20
_FALSE_ALARM = 1e-6  # of a whole search
_COHERENT = 8.0  # s: longest stretch over which the transmitter is one FFT's line
_RATE_LIMIT = 2.0  # Hz/s: drift of a transmitter beyond the stated rate
_FULL = 0.5  # of a box's samples, for the noise to be measured on its mean
_TAPER = 0.15  # of a stretch at either end: keeps lines between bins in a few of them
_LINE = 30.0  # times the median power: no noise in 1e9 bins
_PASSES = 40  # each takes a strong line's valid share out of what is left of it
_TRIMMED = 1.0 + 0.1 * float(np.log(0.1)) / 0.9  # mean of an exponential's lowest nine tenths
_TONE_WINDOW = 5.0  # Hz: how far a tone may lie from ratio x carrier


@dataclass(frozen=True)
class _Series:
    """Box sums of one station: labels of middles (box,), sums and counts (tone, box)."""

    label: Floats
    sums: Complexes
    count: NDArray[np.int64]


def extract_tones(
    recordings: Sequence[Recording],
    model: DelayModel,
    tones: ToneSpec,
    start: Epoch,
    stop: Epoch,
    dump: float = 0.1,
    *,
    search_span: float = 1.0,
    threads: int | None = None,
) -> TonePhases:
    """Find a spacecraft's tones and return their phases at each station.

    Parameters
    ----------
    recordings : sequence of Recording
        One a station; each station must be in `model`.
    model : DelayModel
        Delays and clocks of the scan.
    tones : ToneSpec
        Nominal frequencies. The carrier is searched within its uncertainty on
        the summed power of all stations; tones at their ratios of what is found.
    start, stop : Epoch
        UTC of the first and last wavefront at the geocentre. `start` is a
        whole second, so that oscillator phases are the same in every scan.
    dump : float
        Length of a dump, s.
    search_span : float
        Length of the stretch in mid-scan that is searched, s.
    threads : int, optional
        Number of threads; that of the processors unless given.

    Returns
    -------
    TonePhases
        Sign: phase of station 1 minus that of station 2 is +2 pi f x
        (true - modelled delay of baseline (1, 2)).

    Raises
    ------
    ConfigurationError
        Where a station is not in the model, or the times make no scan.
    MissingDataError
        Where no recording holds the carrier's frequency, or valid samples.
    EstimationError
        Where no line stands out of the noise.
    """
    length = float(stop.since(start))
    dumps = int(np.floor(length / dump + 1e-9))
    if dumps < 2 or dump <= 0:
        raise ConfigurationError(
            f"{length:g} s from {start.iso(3)} do not hold two dumps of {dump:g} s.",
            next_step="Give a later stop or shorter dumps.",
        )
    if abs(float(start.second) - round(float(start.second))) > 1e-9:
        raise ConfigurationError(
            f"the start {start.iso(6)} is no whole second.",
            next_step=f"Use {start.shifted(1 - float(start.second) % 1).iso(0)}.",
        )
    for recording in recordings:
        if recording.station not in model.stations:
            raise ConfigurationError(
                f"the delay model of scan {model.scan} has no station {recording.station}.",
                next_step=f"It has {', '.join(sorted(model.stations))}.",
            )
    names = tuple(tones.ratios)
    ratio = np.array([tones.ratios[n] for n in names])
    channels = [_find_channels(r, tones.frequency * ratio, tones.uncertainty) for r in recordings]
    with ThreadPoolExecutor(threads or default_threads()) as pool:
        work = _Work(tuple(recordings), model, start, channels, pool)
        found = _search(work, tones, names.index(tones.carrier), dumps * dump, search_span)
        rough = np.stack([0 * ratio, ratio * found, 0.5 * ratio * tones.rate], axis=1)
        boxes = max(1, int(np.ceil(dump / min(_BOX, dumps * dump / 1024))))
        fine, sums = _dump_sums(work, rough, names.index(tones.carrier), dump, dumps, boxes)
    phase, snr, density = _dump_phases(sums, np.array([r.sample_rate for r in recordings]))
    return TonePhases(
        scan=model.scan,
        source=model.source,
        stations=tuple(r.station for r in recordings),
        tones=names,
        epoch=start.shifted((np.arange(dumps) + 0.5) * dump),
        dump=dump,
        reference=rough + fine,
        start=start,
        phase=phase,
        snr=snr,
        density=density,
        channels=tuple(
            tuple(r.channels[c].name if c >= 0 else "" for c in found)
            for r, found in zip(recordings, channels, strict=True)
        ),
        model=model,
    )


def _find_channels(recording: Recording, frequency: Floats, margin: float) -> NDArray[np.int64]:
    """Return the first channel that holds each frequency with its margin, -1 for none."""
    result = np.full(len(frequency), -1)
    for index in range(len(recording.channels) - 1, -1, -1):
        low, high = recording.channels[index].sky_edges
        result[(frequency - margin > low) & (frequency + margin < high)] = index
    return result


@dataclass(frozen=True)
class _Work:
    """Everything that turns recordings into box sums."""

    recordings: tuple[Recording, ...]
    model: DelayModel
    start: Epoch
    channels: list[NDArray[np.int64]]
    pool: ThreadPoolExecutor

    def run(
        self, tones: NDArray[np.int64], reference: Floats, first: float, box: float, boxes: int
    ) -> list[_Series]:
        """Return the series of every station for the chosen tones (rows of `reference`)."""
        jobs = [
            self.pool.submit(
                _station_series,
                recording,
                self.model.stations[recording.station],
                self.start,
                channels[tones],
                reference,
                np.asarray(first + box * np.arange(boxes + 1), dtype=np.float64),
            )
            for recording, channels in zip(self.recordings, self.channels, strict=True)
        ]
        return [job.result() for job in jobs]


def _station_series(
    recording: Recording,
    station: StationDelay,
    start: Epoch,
    channels: NDArray[np.int64],
    reference: Floats,
    edges: Floats,
) -> _Series:
    """Sum one station's samples in boxes between labels `edges` (s after `start`)."""
    rate = recording.sample_rate
    zero = float(recording.start.since(start))
    if abs(zero * rate - round(zero * rate)) < EPOCH_QUANTUM * rate:
        zero = round(zero * rate) / rate
    to_delay = float(start.since(station.delay.start))
    to_clock = float(start.since(station.clock.start))

    def total(label: Floats, derivative: int = 0) -> Floats:
        delay = station.delay.at_offset(to_delay + label, derivative)
        return delay + station.clock.at_offset(to_clock + label, derivative)

    cut = np.round((edges + total(edges) - zero) * rate).astype(np.int64)
    middle = 0.5 * (cut[:-1] + cut[1:] - 1)
    label = 0.5 * (edges[:-1] + edges[1:])
    # the exact label of each box's middle sample: one Newton step over < 1 sample
    slope = 1.0 + total(label, 1)
    label = label + ((zero - label - total(label)) + middle / rate) / slope
    delay = total(label)

    shape = (len(channels), len(label))
    sums, count = np.zeros(shape, dtype=np.complex128), np.zeros(shape, dtype=np.int64)
    used = sorted({int(c) for c in channels if c >= 0})
    if not used:
        return _Series(label, sums, count)
    per_chunk = max(1, int(_CHUNK_SAMPLES / max(1.0, float(np.mean(np.diff(cut))))))
    for b in range(0, len(label), per_chunk):
        part = slice(b, b + per_chunk)
        limits = cut[b : b + per_chunk + 1]
        data = recording.read(int(limits[0]), int(limits[-1] - limits[0]), tuple(used))
        for k, c in enumerate(channels):
            if c < 0:
                continue
            row, channel = used.index(int(c)), recording.channels[int(c)]
            low, t, ref = channel.sky_frequency, label[part], reference[k]
            turn = channel.direction if channel.complex else 1
            cycles = low * delay[part] - ((ref[1] - low) + ref[2] * t) * t - ref[0]
            step = (low - (ref[1] + 2.0 * ref[2] * t) / slope[part]) / rate
            cycles -= step * (middle[part] - limits[:-1])  # of the box's first sample
            out = sums[k, part]
            block_sums(
                data.samples[row], limits - limits[0], turn * (cycles % 1.0), turn * step, out
            )
            if turn < 0:
                np.conj(out, out=out)
            if data.valid[row].all():
                count[k, part] = np.diff(limits)
            else:
                block_counts(data.valid[row], limits - limits[0], count[k, part])
    return _Series(label, sums, count)


def _search(work: _Work, tones: ToneSpec, carrier: int, length: float, span: float) -> float:
    """Return the carrier's frequency at the start of the scan, Hz."""
    if not any(c[carrier] >= 0 for c in work.channels):
        raise MissingDataError(
            f"no channel holds the carrier at {tones.frequency / 1e6:.3f} MHz "
            f"+- {tones.uncertainty / 1e3:g} kHz.",
            next_step="Compare it with `kitestring describe` of the recordings.",
        )
    span = min(span, length)
    box = 1.0 / (4.0 * tones.uncertainty)
    boxes = int(span / box)
    first = 0.5 * (length - boxes * box)
    reference = np.array([[0.0, tones.frequency, 0.5 * tones.rate]])
    power = np.zeros(2 * boxes)
    stations = 0
    for series in work.run(np.array([carrier]), reference, first, box, boxes):
        if series.count.any():
            spectrum = np.abs(np.fft.fft(series.sums[0], 2 * boxes)) ** 2
            power += spectrum / max(np.median(spectrum) / np.log(2.0), 1e-300)
            stations += 1
    if stations == 0:
        raise MissingDataError(
            f"no recording has valid samples in {span:g} s about the middle of scan "
            f"{work.model.scan}.",
            next_step="Compare the scan's times with `kitestring describe` of the recordings.",
        )
    frequency = np.fft.fftfreq(2 * boxes, box)
    inside = np.flatnonzero(np.abs(frequency) <= tones.uncertainty)
    best = int(inside[np.argmax(power[inside])])
    if power[best] < gamma.isf(_FALSE_ALARM / len(inside), stations):
        raise EstimationError(
            f"no carrier stands out within {tones.uncertainty / 1e3:g} kHz of "
            f"{tones.frequency / 1e6:.6f} MHz in scan {work.model.scan}.",
            next_step="Widen the tones' uncertainty or lengthen the search span.",
        )
    return float(tones.frequency + frequency[best] + _vertex(power, best) / (2 * boxes * box))


def _vertex(power: Floats, best: int) -> float:
    """Return where a parabola through a (circular) peak has its top, in bins."""
    left, middle, right = power[best - 1], power[best], power[(best + 1) % len(power)]
    return float(0.5 * (left - right) / (left - 2.0 * middle + right))


def _refine(series: list[_Series], carrier: int, ratio: Floats, first: float, box: float) -> Floats:
    """Return what to add to the reference phases, shape (tone, 3), cycles and seconds.

    `first` is the label at which the series begin.
    """
    fine = np.zeros((len(ratio), 3))
    limit = 0.4 / box
    shift, drift = _line(series, carrier, np.zeros(3), first, box, limit, _RATE_LIMIT)
    common = np.array([0.0, shift, 0.5 * drift])
    for k in range(len(ratio)):
        fine[k] = common * ratio[k]
        if k != carrier:
            fine[k, 1] += _line(series, k, fine[k], first, box, _TONE_WINDOW, 0.0)[0]
    return fine


def _line(
    series: list[_Series],
    tone: int,
    reference: Floats,
    first: float,
    box: float,
    limit: float,
    rate_limit: float,
) -> tuple[float, float]:
    """Find a line's frequency (at label 0) and rate on the summed power of all stations.

    Returns zeros where nothing stands out.
    """
    boxes = len(series[0].label)
    take = min(boxes, int(_COHERENT / box))
    part = slice((boxes - take) // 2, (boxes - take) // 2 + take)
    middle = first + box * (part.start + take / 2)
    step = 0.5 / (take * box) ** 2
    # 33 trials: the rate was stated, or the scan is short and its rate hardly matters
    trials = step * np.arange(-16, 17) if rate_limit > 0 else np.zeros(1)
    trials = trials[np.abs(trials) <= max(rate_limit, 0.0)]
    size = 4 * take
    frequency = np.fft.fftfreq(size, box)
    inside = np.flatnonzero(np.abs(frequency) <= limit)
    surface = np.zeros((len(trials), size))
    stations = 0
    for one in series:
        if not one.count[tone, part].any():
            continue
        stations += 1
        t = one.label[part]
        data = one.sums[tone, part] * _turn(reference, t)
        noise = np.median(np.abs(np.fft.fft(data)) ** 2) / np.log(2.0)
        for k, rate in enumerate(trials):
            chirped = data * np.exp(-1j * np.pi * rate * (t - middle) ** 2)
            surface[k] += np.abs(np.fft.fft(chirped, size)) ** 2 / max(noise, 1e-300)
    if stations == 0:
        return 0.0, 0.0
    row, column = np.unravel_index(np.argmax(surface[:, inside]), (len(trials), len(inside)))
    best = int(inside[column])
    if surface[row, best] < gamma.isf(_FALSE_ALARM / surface.size, stations):
        return 0.0, 0.0
    found = frequency[best] + _vertex(surface[row], best) / (size * box)
    drift = float(trials[row])
    if 0 < row < len(trials) - 1:
        drift += _vertex(surface[:, best], int(row)) * step
    return float(found - drift * middle), drift


def _turn(reference: Floats, t: Floats) -> Complexes:
    cycles = reference[0] + (reference[1] + reference[2] * t) * t
    return np.asarray(np.exp(-2j * np.pi * cycles))


@dataclass(frozen=True)
class _DumpSums:
    """Sums and counts of each dump (station, tone, dump), and the noise (station, tone).

    `noise` is the sum of count x variance of one (complex) sample over the
    stretches in which it could be measured, `measured` that of the counts.
    """

    total: Complexes
    count: NDArray[np.int64]
    noise: Floats
    measured: Floats

    def add(
        self, first: int, boxes: int, series: list[_Series], reference: Floats, box: float
    ) -> None:
        """Reduce box sums to dumps, the first of them number `first`."""
        for s, one in enumerate(series):
            for k in range(len(reference)):
                turned = one.sums[k] * _turn(reference[k], one.label)
                part = slice(first, first + len(turned) // boxes)
                self.total[s, k, part] = turned.reshape(-1, boxes).sum(axis=1)
                self.count[s, k, part] = one.count[k].reshape(-1, boxes).sum(axis=1)
                variance, samples = _noise(turned, one.count[k], box), float(one.count[k].sum())
                if np.isfinite(variance):
                    self.noise[s, k] += samples * variance
                    self.measured[s, k] += samples


def _dump_sums(
    work: _Work, rough: Floats, carrier: int, dump: float, dumps: int, boxes: int
) -> tuple[Floats, _DumpSums]:
    """Return what to add to the reference phases, and the sums of all dumps of so many boxes."""
    tones, box = np.arange(len(rough)), dump / boxes
    shape = (len(work.recordings), len(rough), dumps)
    sums = _DumpSums(
        np.zeros(shape, dtype=np.complex128), np.zeros(shape, dtype=np.int64),
        np.zeros(shape[:2]), np.zeros(shape[:2]),
    )  # fmt: skip
    take = min(dumps, int(np.ceil(_COHERENT / dump)))
    middle = (dumps - take) // 2
    series = work.run(tones, rough, middle * dump, box, take * boxes)
    fine = _refine(series, carrier, rough[:, 1] / rough[carrier, 1], middle * dump, box)
    sums.add(middle, boxes, series, fine, box)
    del series
    for first in [*range(0, middle, take), *range(middle + take, dumps, take)]:
        count = min(take, (middle if first < middle else dumps) - first)
        series = work.run(tones, rough + fine, first * dump, box, count * boxes)
        sums.add(first, boxes, series, 0.0 * fine, box)
    return fine, sums


def _dump_phases(sums: _DumpSums, sample_rate: Floats) -> tuple[Floats, Floats, Floats]:
    """Return phase and SNR (station, tone, dump) and power over noise density (station, tone)."""
    shape = sums.total.shape
    phase, snr = np.full(shape, np.nan), np.zeros(shape)
    density = np.full(shape[:2], np.nan)
    for s, k in np.ndindex(*shape[:2]):
        good = sums.count[s, k] > 0
        if sums.measured[s, k] == 0 or not good.any():
            continue
        variance = sums.noise[s, k] / sums.measured[s, k]
        total, count = sums.total[s, k, good], sums.count[s, k, good].astype(np.float64)
        phase[s, k, good] = np.unwrap(np.angle(total))
        snr[s, k, good] = np.abs(total) / np.sqrt(0.5 * variance * count)
        # dump by dump: over a scan a transmitter's phase wanders by turns
        power = np.sum(np.abs(total) ** 2 - variance * count) / np.sum(count**2)
        density[s, k] = max(float(power), 0.0) / variance * sample_rate[s]
    return phase, snr, density


def _noise(turned: Complexes, count: NDArray[np.int64], box: float) -> float:
    """Return the variance of a sample, from the spectrum of box means away from the tone.

    NaN where no two neighbouring boxes hold half of their samples.

    Differences of neighbours take the tone out: between two bins, one of 56
    dBHz would fill the band and double the noise. Means of partly lost boxes
    keep a tone's level, so gaps do not modulate it; other lines, which gaps
    would spread over the band, are taken out, the strongest first.
    """
    full = count > _FULL * count.max(initial=0)
    inverse = np.where(full, 1.0 / np.maximum(count, 1), 0.0)
    pair = full[1:] & full[:-1]
    frequency = np.fft.fftfreq(len(pair), box)
    away = np.abs(frequency) > max(20.0 / (len(turned) * box), 5.0)
    if not pair.any() or not away.any():
        return np.nan
    change = np.where(pair, np.diff(turned * inverse), 0.0)
    ends = np.arange(1.0, len(pair) + 1)
    ends = np.minimum(ends, ends[::-1]) / (_TAPER * len(pair))
    taper = np.where(pair, np.sin(0.5 * np.pi * np.minimum(ends, 1.0)) ** 2, 0.0)
    # of white noise: variances of the differences, and covariances of those that share a box
    own = float(taper**2 @ (inverse[1:] + inverse[:-1]))
    shared = float((taper[1:] * taper[:-1]) @ inverse[1:-1])
    white = own - 2.0 * shared * np.cos(2.0 * np.pi * frequency * box)
    for _ in range(_PASSES):
        spectrum = np.fft.fft(taper * change)
        power = np.abs(spectrum) ** 2 / white
        lines = away & (power > _LINE * np.median(power[away]))
        if pair.all() or not lines.any():
            break
        # the strongest alone: what gaps spread goes with it
        lines &= power > 0.1 * power[away].max()
        change -= np.where(pair, np.fft.ifft(np.where(lines, spectrum, 0.0)), 0.0)
    power = np.sort(power[away])
    # a mean that up to a tenth of the bins with lines in them hardly move
    return max(float(np.mean(power[: int(0.9 * len(power))])) / _TRIMMED, 1e-300)
