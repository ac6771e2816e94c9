"""Delay models: the piecewise polynomials that correlation is steered with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import SpanError
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PiecewisePolynomial:
    """A function of time in pieces of equal length.

    Attributes
    ----------
    start : Epoch, shape ()
        Start of the first piece, UTC.
    interval : float
        Length of a piece, s.
    coefficients : ndarray, shape (pieces, order + 1)
        Ascending powers of the seconds since the start of the piece.

    Examples
    --------
    >>> start = Epoch.from_iso("2026-01-01T00:00:00")
    >>> line = PiecewisePolynomial(start, 10.0, np.array([[1.0, 0.5]]))
    >>> float(line(start.shifted(4.0)))
    3.0
    """

    start: Epoch
    interval: float
    coefficients: Floats

    @property
    def stop(self) -> Epoch:
        """End of the last piece."""
        return self.start.shifted(self.interval * len(self.coefficients))

    def __call__(self, epoch: Epoch, derivative: int = 0) -> Floats:
        """Return the value (or a time derivative) at each epoch.

        Raises
        ------
        SpanError
            For an epoch outside the pieces.
        """
        return self.at_offset(epoch.since(self.start), derivative)

    def at_offset(self, seconds: ArrayLike, derivative: int = 0) -> Floats:
        """Return the value (or a time derivative) at seconds after `start`."""
        offset = np.asarray(seconds, dtype=np.float64)
        total = self.interval * len(self.coefficients)
        if np.any((offset < -1e-9) | (offset > total + 1e-9)):
            worst = float(offset.flat[np.argmax(np.abs(offset - total / 2))])
            raise SpanError(
                f"{self.start.shifted(worst).iso(3)} lies outside the delay model, which covers "
                f"{self.start.iso(3)} to {self.stop.iso(3)} UTC.",
                next_step="Make the model for the whole scan.",
            )
        piece = np.clip((offset // self.interval).astype(np.int64), 0, len(self.coefficients) - 1)
        t = offset - piece * self.interval
        coefficients = self.coefficients
        for _ in range(derivative):
            powers = np.arange(1, coefficients.shape[1])
            coefficients = coefficients[:, 1:] * powers
        result = np.zeros_like(offset)
        for power in range(coefficients.shape[1] - 1, -1, -1):
            result = result * t + coefficients[piece, power]
        return result


@dataclass(frozen=True)
class StationDelay:
    """How late (or early) a station's samples are.

    A wavefront that passes the geocentre at UTC t arrives at the station at
    t + delay(t) and is found where the station's clock reads
    t + delay(t) + clock(t).

    Attributes
    ----------
    delay : PiecewisePolynomial
        Arrival at the station minus arrival at the geocentre, seconds, as a
        function of the arrival at the geocentre (UTC).
    clock : PiecewisePolynomial
        The station clock's reading minus UTC, seconds.
    """

    delay: PiecewisePolynomial
    clock: PiecewisePolynomial

    def total(self, epoch: Epoch, derivative: int = 0) -> Floats:
        """Return delay + clock (or a time derivative) at geocentric epochs."""
        return self.delay(epoch, derivative) + self.clock(epoch, derivative)


@dataclass(frozen=True)
class DelayModel:
    """What one scan is correlated with.

    The delay of baseline (1, 2) at a wavefront is
    ``stations[2].total(t) - stations[1].total(t)``: both polynomials are taken
    at the same t, that wavefront's (true or would-be) arrival at the geocentre.

    Attributes
    ----------
    scan : str
        Name of the scan.
    source : str
        What was observed.
    stations : mapping of str to StationDelay
        By station name.
    inputs : mapping of str to str
        What the model was made from: trajectory, Earth orientation, versions.
    """

    scan: str
    source: str
    stations: Mapping[str, StationDelay]
    inputs: Mapping[str, str] = field(default_factory=dict)

    def checksum(self) -> str:
        """Return a hash of everything that the applied delay depends on."""
        digest = hashlib.sha256(json.dumps([self.scan, self.source]).encode())
        for name in sorted(self.stations):
            for part in (self.stations[name].delay, self.stations[name].clock):
                digest.update(f"{name} {part.start.day} {float(part.start.second)!r}".encode())
                digest.update(f" {float(part.interval)!r} {part.coefficients.shape}".encode())
                digest.update(np.ascontiguousarray(part.coefficients).tobytes())
        return digest.hexdigest()
