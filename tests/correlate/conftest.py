from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Block, Channel


@dataclass
class ArrayRecording:
    """A recording held in memory; samples (channel, n), valid likewise."""

    station: str
    channels: tuple[Channel, ...]
    start: Epoch
    samples: np.ndarray
    valid: np.ndarray | None = None
    bits: int = 32
    reads: list = field(default_factory=list)

    @property
    def sample_rate(self):
        return self.channels[0].sample_rate

    @property
    def stop(self):
        return self.start.shifted(self.samples.shape[1] / self.sample_rate)

    def read(self, first, count, channels=None):
        rows = list(range(len(self.channels)) if channels is None else channels)
        kind = np.complex64 if np.iscomplexobj(self.samples) else np.float32
        samples = np.zeros((len(rows), count), dtype=kind)
        valid = np.zeros((len(rows), count), dtype=bool)
        low, high = max(first, 0), min(first + count, self.samples.shape[1])
        if high > low:
            part = slice(low - first, high - first)
            samples[:, part] = self.samples[rows, low:high]
            valid[:, part] = True if self.valid is None else self.valid[rows, low:high]
            samples[~valid] = 0
        return Block(first, samples, valid)


def delay_model(totals, start, length, clocks=None):
    """A model of one piece from {station: coefficients of the delay}."""
    clocks = clocks or {}

    def piece(coefficients):
        return PiecewisePolynomial(start, length, np.atleast_2d(np.asarray(coefficients, float)))

    stations = {
        name: StationDelay(piece(delay), piece(clocks.get(name, [0.0])))
        for name, delay in totals.items()
    }
    return DelayModel("scan1", "0000+000", stations, {"made": "for a test"})


def arrival_label(reading, total):
    """Solve t + T(t) = reading for t: the label at which a reading was taken."""
    t = np.array(reading, dtype=float)
    for _ in range(6):
        t = reading - np.polyval(total[::-1], t)
    return t


def record_waves(channel, total, frequencies, amplitudes, count, first_reading=0.0):
    """What a station records of plane waves that pass the geocentre.

    The wave is e(t) = sum of a exp(2 pi i f t), f near the sky frequency;
    `total` holds ascending coefficients of delay + clock (s) in the seconds of
    the label after the model's start. Exact to rounding: nothing is interpolated.
    """
    n = np.arange(count)
    reading = first_reading + n / channel.sample_rate
    label = arrival_label(reading, total)
    f0 = channel.sky_frequency
    # exp(-2 pi i f0 T(t)) with T = reading - label formed from the polynomial
    turn = f0 * np.polyval(np.asarray(total)[::-1], label)
    carrier = np.exp(-2j * np.pi * (turn - np.rint(turn)))
    signal = np.zeros(count, dtype=complex)
    for f, a in zip(frequencies, amplitudes, strict=True):
        signal += a * np.exp(2j * np.pi * (((f - f0) * label) % 1.0))
    signal *= carrier
    if channel.direction == -1:
        signal = signal.conj()
    return signal if channel.complex else signal.real


@pytest.fixture
def array_recording():
    return ArrayRecording


@pytest.fixture
def make_model():
    return delay_model


@pytest.fixture
def waves():
    return record_waves
