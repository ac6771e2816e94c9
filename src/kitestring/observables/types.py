"""Observables: typed rows with their epochs, weights and flags."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring.model.observable import Kind, SignalPath
from kitestring.model.time import Epoch

EpochReference = Literal["start", "middle", "end"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Observables:
    """Measurements of one kind over one signal path.

    Attributes
    ----------
    kind : Kind
        What was measured; it settles the unit of `value`.
    path : SignalPath
        Participants and turnaround.
    epoch : Epoch, shape (n,)
        Time tag at the receiver (station 1 for delays), UTC.
    value : ndarray, shape (n,)
        Measured value, SI units.
    sigma : ndarray, shape (n,)
        One standard deviation, same unit; NaN where the source states none.
    count : ndarray, shape (n,)
        Averaging or count interval in seconds; 0 for instantaneous values.
    epoch_reference : {"start", "middle", "end"}
        Which point of the count the time tag marks.
    flag : ndarray of str, shape (n,)
        Why a row is not to be used; the empty string where it is good. Rows
        are never removed.
    covariance : ndarray, shape (n, n), optional
        Full covariance of the rows, where they are correlated.
    origin : str
        File or stage that they come from.
    """

    kind: Kind
    path: SignalPath
    epoch: Epoch
    value: Floats
    sigma: Floats
    count: Floats
    epoch_reference: EpochReference = "middle"
    flag: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype="U1"))
    covariance: Floats | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        n = len(self.epoch)
        if len(self.flag) == 0 and n:
            object.__setattr__(self, "flag", np.full(n, "", dtype="U32"))
        for name in ("value", "sigma", "count", "flag"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not ({n},).")

    def __len__(self) -> int:
        return len(self.value)

    @property
    def good(self) -> NDArray[np.bool_]:
        """Rows that carry no flag."""
        return np.asarray(self.flag == "")


@dataclass(frozen=True)
class UplinkRamps:
    """The frequency that a station transmits: pieces that are linear in time.

    Attributes
    ----------
    station : str
        Transmitting station.
    band : str
        Band of the uplink, such as ``"X"``.
    epoch : Epoch, shape (n,)
        Start of each piece, UTC, ascending. The last piece has no stated end.
    frequency : ndarray, shape (n,)
        Transmitted sky frequency at the start of the piece, Hz.
    rate : ndarray, shape (n,)
        Its rate, Hz/s.
    origin : str
        File that they come from.
    """

    station: str
    band: str
    epoch: Epoch
    frequency: Floats
    rate: Floats
    origin: str = ""


@dataclass(frozen=True)
class TrackingData:
    """What one tracking file holds.

    Attributes
    ----------
    observables : tuple of Observables
        One set for each signal path and kind.
    ramps : tuple of UplinkRamps
        What stations transmitted, one for each station and band.
    originator : str
        Who made the file, as it says itself.
    origin : str
        The file.
    """

    observables: tuple[Observables, ...]
    ramps: tuple[UplinkRamps, ...] = ()
    originator: str = ""
    origin: str = ""
