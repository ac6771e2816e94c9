"""What a recording is, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch


@dataclass(frozen=True)
class Channel:
    """A recorded band.

    Attributes
    ----------
    name : str
        Such as ``"CH00"``.
    sky_frequency : float
        Hz. Real samples: sky frequency of the zero-offset edge. Complex
        samples: that of baseband 0 Hz.
    direction : {1, -1}
        +1 where baseband frequency ascends with sky frequency (upper
        sideband), -1 where it descends.
    sample_rate : float
        Samples (real or complex) per second.
    complex : bool
        Whether samples are complex.
    polarization : str
        ``"X"``, ``"Y"``, ``"R"``, ``"L"`` or empty where unknown.
    zero : {"edge", "middle"}
        Complex channels: whether baseband 0 Hz is the lower edge of the
        recorded band (baseband frequencies 0 .. sample_rate) or its middle
        (-sample_rate/2 .. sample_rate/2). Real channels: "edge".
    """

    name: str
    sky_frequency: float
    direction: Literal[1, -1]
    sample_rate: float
    complex: bool = False
    polarization: str = ""
    zero: Literal["edge", "middle"] = "edge"

    @property
    def bandwidth(self) -> float:
        """Recorded bandwidth, Hz."""
        return self.sample_rate if self.complex else self.sample_rate / 2

    @property
    def sky_edges(self) -> tuple[float, float]:
        """Lowest and highest sky frequency, Hz."""
        low = -self.bandwidth / 2 if self.zero == "middle" else 0.0
        a = self.sky_frequency + self.direction * low
        b = self.sky_frequency + self.direction * (low + self.bandwidth)
        return min(a, b), max(a, b)


@dataclass(frozen=True)
class Block:
    """A stretch of samples at their true epochs.

    Attributes
    ----------
    first : int
        Index of the first sample, counted from `Recording.start`.
    samples : ndarray, shape (channel, n), float32 or complex64
        Decoded samples; zero where invalid.
    valid : ndarray of bool, shape (channel, n)
        Which samples are real data.
    """

    first: int
    samples: NDArray[np.float32] | NDArray[np.complex64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class PackedBlock:
    """A stretch of samples as they were recorded, not decoded.

    Attributes
    ----------
    first : int
        Index of the first sample, counted from `Recording.start`: that asked for,
        or one before it.
    data : ndarray of uint8, shape (channel, n)
        A little-endian bit stream for each channel: sample k in the bits from
        k * bits * parts on. At least `PACKED_MARGIN` bytes follow the last sample.
    bits : int
        Of a real or imaginary part.
    parts : int
        1 real, 2 complex: real part first.
    signed : bool
        Whether codes are two's complement, else offset binary.
    levels : ndarray of float32, shape (2**bits,)
        Value of each code (of signed ones: of code + 2**(bits - 1)).
    runs : tuple of ndarray of int64, each of shape (n, 2)
        For each channel its stretches of valid samples, ascending: begin and
        end counted from `first`. What the samples between are is not defined.
    """

    first: int
    data: NDArray[np.uint8]
    bits: int
    parts: int
    signed: bool
    levels: NDArray[np.float32]
    runs: tuple[NDArray[np.int64], ...]


PACKED_MARGIN = 128
"""Bytes after the samples of a `PackedBlock` that may be read too."""


_MOST = 1 << 48  # samples of a block: no memory has room for as many


def asked_for(count: int, channels: tuple[int, ...] | None, available: int) -> tuple[int, ...]:
    """Return the channels of a block that was asked for; all where none are named.

    A channel may be named twice.

    Raises
    ------
    ConfigurationError
        Where there is no such channel, or `count` cannot be.
    """
    chosen = tuple(range(available)) if channels is None else channels
    if not 0 <= count <= _MOST or any(not 0 <= c < available for c in chosen):
        raise ConfigurationError(
            f"{count} samples of the channels {chosen} were asked for.",
            next_step=f"Channels count from 0 to {available - 1}.",
        )
    return chosen


class Recording(Protocol):
    """Voltages of one station: masked blocks at true epochs.

    Sample n was taken when the station's clock read ``start + n / sample_rate``.
    """

    @property
    def station(self) -> str:
        """Name or code of the station."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The recorded bands, in the order of `Block.samples`."""

    @property
    def sample_rate(self) -> float:
        """Samples per second, the same for all channels."""

    @property
    def bits(self) -> int:
        """Bits a real or imaginary part."""

    @property
    def start(self) -> Epoch:
        """Clock reading of sample 0, UTC."""

    @property
    def stop(self) -> Epoch | None:
        """Clock reading after the last sample; None while it is not known (live)."""

    def read(self, first: int, count: int, channels: tuple[int, ...] | None = None) -> Block:
        """Return `count` samples from index `first` (which may lie outside the recording).

        Samples that were lost, damaged or never recorded are zero and invalid.
        """


class PackedRecording(Recording, Protocol):
    """A `Recording` that can hand its samples out as they were recorded."""

    def read_packed(
        self, first: int, count: int, channels: tuple[int, ...] | None = None
    ) -> PackedBlock | None:
        """Return samples as `read` does but packed; None where they do not lie that way."""
