"""Recordings in memory."""

from dataclasses import dataclass

import numpy as np
import pytest

from kitestring.model.time import Epoch
from kitestring.recordings.types import Block, Channel


@dataclass
class MemoryRecording:
    """Samples that lie in an array, shape (channel, n)."""

    station: str
    channels: tuple[Channel, ...]
    samples: np.ndarray
    start: Epoch
    valid: np.ndarray
    bits: int = 32

    @property
    def sample_rate(self):
        return self.channels[0].sample_rate

    @property
    def stop(self):
        return self.start.shifted(self.samples.shape[1] / self.sample_rate)

    def read(self, first, count, channels=None):
        rows = np.array(range(len(self.channels)) if channels is None else channels)
        samples = np.zeros((len(rows), count), dtype=self.samples.dtype)
        valid = np.zeros(samples.shape, dtype=bool)
        a, b = max(first, 0), min(first + count, self.samples.shape[1])
        if b > a:
            valid[:, a - first : b - first] = self.valid[rows, a:b]
            samples[:, a - first : b - first] = self.samples[rows, a:b]
        samples[~valid] = 0
        return Block(first, samples, valid)


@pytest.fixture
def memory_recording():
    def make(station, channels, samples, start, valid=None):
        samples = np.asarray(samples)
        kind = np.complex64 if np.iscomplexobj(samples) else np.float32
        mask = np.ones(samples.shape, dtype=bool) if valid is None else valid
        return MemoryRecording(station, channels, samples.astype(kind), start, mask)

    return make
