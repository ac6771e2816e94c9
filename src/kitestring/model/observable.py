"""Kinds of observable, the path that a signal takes, and the equipment on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]


class Kind(StrEnum):
    """What was measured. Units and signs are those of ``docs/concepts/conventions.md``."""

    DELAY = "delay"
    """Arrival of one wavefront at station 2 minus that at station 1 (s)."""
    DELAY_RATE = "delay_rate"
    """Time derivative of the delay (s/s)."""
    DELTA_DOR = "delta_dor"
    """Delay of the spacecraft minus delay of a quasar at the same epoch (s)."""
    DOPPLER = "doppler"
    """Received sky frequency averaged over the count (Hz)."""
    RANGE = "range"
    """Light time over the whole path, station delays included (s)."""


@dataclass(frozen=True)
class Equipment:
    """Delays between the antennas' reference points and where times are taken, s.

    Attributes
    ----------
    transmit : float
        From the transmitter's clock to its antenna.
    receive : float
        From the receiver's antenna to its clock.
    transponder : float
        From the spacecraft's receiving to its transmitting antenna.

    Raises
    ------
    ConfigurationError
        For a delay that is not finite.
    """

    transmit: float = 0.0
    receive: float = 0.0
    transponder: float = 0.0

    def __post_init__(self) -> None:
        for name in ("transmit", "receive", "transponder"):
            if not np.isfinite(getattr(self, name)):
                raise ConfigurationError(
                    f"a {name} delay of {getattr(self, name)} s cannot be.",
                    next_step="Give it in seconds.",
                )

    @property
    def total(self) -> float:
        """All three, s."""
        return self.transmit + self.receive + self.transponder


@dataclass(frozen=True, eq=False)
class StationClock:
    """A station's clock: its reading minus UTC is offset + rate x (time since epoch).

    Attributes
    ----------
    epoch : Epoch, shape ()
        When it is off by `offset`.
    offset : float
        Reading minus UTC, s.
    rate : float
        Of the offset, s/s. The station's frequencies are high by this fraction.

    Raises
    ------
    ConfigurationError
        For an offset or a rate that is not finite.

    Examples
    --------
    >>> clock = StationClock(Epoch.from_iso("2026-01-01T00:00:00"), 1e-6, 1e-12)
    >>> f"{1e6 * clock(clock.epoch.shifted(1000.0)):.3f}"
    '1.001'
    """

    epoch: Epoch
    offset: float
    rate: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.offset) and np.isfinite(self.rate)):
            raise ConfigurationError(
                f"a clock cannot be off by {self.offset} s with a rate of {self.rate}.",
                next_step="Give seconds, and seconds a second.",
            )

    def __call__(self, epoch: Epoch) -> Floats:
        """Return the reading minus UTC at each epoch, s."""
        return np.asarray(self.offset + self.rate * epoch.since(self.epoch))


@dataclass(frozen=True)
class SignalPath:
    """Who sends, turns round and receives.

    Attributes
    ----------
    participants : tuple of str
        In the order of the signal. Two- and three-way: (transmitting station,
        spacecraft, receiving station). One-way: (spacecraft, station). Delay
        and delta-DOR: (target, station 1, station 2).
    reference_source : str
        The quasar of a delta-DOR; empty otherwise.
    turnaround : float
        Received over transmitted frequency at the spacecraft (0 where one-way).
    uplink_band, downlink_band : str
        Such as ``"X"``; empty where unknown.
    transmit_delay, receive_delay : float
        Delays of the stations' equipment in seconds, not yet corrected for.
    transponder_delay : float
        The same of the spacecraft, s.
    """

    participants: tuple[str, ...]
    reference_source: str = ""
    turnaround: float = 0.0
    uplink_band: str = ""
    downlink_band: str = ""
    transmit_delay: float = 0.0
    receive_delay: float = 0.0
    transponder_delay: float = 0.0

    @property
    def equipment(self) -> Equipment:
        """The equipment's delays."""
        return Equipment(self.transmit_delay, self.receive_delay, self.transponder_delay)

    def __str__(self) -> str:
        text = " > ".join(self.participants)
        return f"{text} - {self.reference_source}" if self.reference_source else text
