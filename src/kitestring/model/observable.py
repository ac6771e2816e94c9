"""Kinds of observable and the path that a signal takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
    """

    participants: tuple[str, ...]
    reference_source: str = ""
    turnaround: float = 0.0
    uplink_band: str = ""
    downlink_band: str = ""
    transmit_delay: float = 0.0
    receive_delay: float = 0.0

    def __str__(self) -> str:
        text = " > ".join(self.participants)
        return f"{text} - {self.reference_source}" if self.reference_source else text
