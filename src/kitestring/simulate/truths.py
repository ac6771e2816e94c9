"""What only a simulation knows of stations, spacecraft, scans and recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.model.sight import Sight
from kitestring.model.stations import Station
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.model.troposphere import zenith_partial
from kitestring.recordings.types import Channel
from kitestring.simulate.clocks import TrueClock
from kitestring.simulate.faults import FrameFaults
from kitestring.simulate.types import (
    Bandpass,
    LocalTone,
    PhaseCalTones,
    QuasarSignal,
    Telemetry,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ConstantTec:
    """An ionosphere of the same vertical electron content everywhere.

    Attributes
    ----------
    content : float
        Electrons/m^2.
    height, radius : float
        Of the thin layer, and of the sphere that it is above, m.
    """

    content: float
    height: float = 450e3
    radius: float = 6371e3

    def vertical(self, epoch: Epoch, longitude: Floats, latitude: Floats) -> tuple[Floats, Floats]:
        """Return the content and no error, each of the shape of `longitude`."""
        return np.full(longitude.shape, self.content), np.zeros(longitude.shape)


@dataclass(frozen=True)
class ExtraZenith:
    """A zenith delay, s, under the wet mapping function: an `Effect`."""

    zenith: float
    name: str = "extra zenith delay"

    def delay(self, sight: Sight) -> Floats:
        """Return the slant delay, shape (n,), s."""
        return self.zenith * zenith_partial(sight)

    def sigma(self, sight: Sight) -> Floats:
        """Return zeros: it is what it is."""
        return np.zeros(sight.elevation.shape)


@dataclass(frozen=True)
class TrueStation:
    """A station with what only the simulation knows of it.

    Attributes
    ----------
    station : Station
        From the catalogue.
    sefd : float
        System equivalent flux density, Jy.
    clock : TrueClock
        Its clock.
    zenith : float
        Zenith delay beyond that of the air that everyone assumes, s.
    tec : float
        Vertical electron content beyond that of the observation's plasma, electrons/m^2.
    channels : tuple of Channel
        What it truly records; those of the observation where empty.
    oscillator_phases, instrumental_delays : tuple of float
        Of each channel, rad and s, as of `SimulatedStation`; the same in all scans.
    bandpass, phase_cal, interference, dead
        As of `SimulatedStation`.
    code : str
        For VDIF; that of the catalogue where empty.
    """

    station: Station
    sefd: float
    clock: TrueClock
    zenith: float = 0.0
    tec: float = 0.0
    channels: tuple[Channel, ...] = ()
    oscillator_phases: tuple[float, ...] = ()
    instrumental_delays: tuple[float, ...] = ()
    bandpass: Bandpass | None = None
    phase_cal: PhaseCalTones | None = None
    interference: tuple[LocalTone, ...] = ()
    dead: tuple[int, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Uplink:
    """What a spacecraft's signal is coherent with.

    Attributes
    ----------
    station : Station
        Who transmits.
    frequency : float
        Transmitted, Hz, when what passes the geocentre at the start of the target's first
        scan was sent.
    turnaround : float
        Transmitted over received frequency at the spacecraft.
    ramp : float
        Change of the transmitted frequency, Hz/s.
    """

    station: Station
    frequency: float
    turnaround: float
    ramp: float = 0.0


@dataclass(frozen=True)
class TrueSpacecraft:
    """A spacecraft as it truly is.

    Attributes
    ----------
    trajectory : Trajectory
        Where it is.
    carrier : float
        Transmitted frequency as it is told, Hz; of no effect with an `uplink`.
    cn0 : float or mapping of str to float
        Power of the whole signal over noise density, dBHz, at all stations or by station.
    offset : float
        True over told frequency, minus one, for what passes the geocentre at the start of
        the target's first scan.
    drift : float
        Change of the true frequency, fraction a second.
    tones : tuple of (float, float)
        Modulating sine waves: frequency as told, Hz, and index, rad.
    telemetry : Telemetry or None
        Bits.
    polarization : str
        As of `SpacecraftSignal`.
    uplink : Uplink or None
        Whose signal is turned round; none for a free oscillator. All that is
        modulated follows it too.
    burns : tuple of Epoch
        When the velocity of `trajectory` jumps, TDB.
    """

    trajectory: Trajectory
    carrier: float
    cn0: float | Mapping[str, float]
    offset: float = 0.0
    drift: float = 0.0
    tones: tuple[tuple[float, float], ...] = ()
    telemetry: Telemetry | None = None
    polarization: str = ""
    uplink: Uplink | None = None
    burns: tuple[Epoch, ...] = ()


@dataclass(frozen=True)
class TrueScan:
    """What is observed when.

    Attributes
    ----------
    name : str
        Of the scan.
    start : Epoch, shape ()
        Clock reading of the first sample, UTC.
    duration : float
        s.
    quasar : QuasarSignal or None
        None where the spacecraft is observed.
    direction : ndarray, shape (3,), or None
        Unit vector to the quasar.
    """

    name: str
    start: Epoch
    duration: float
    quasar: QuasarSignal | None = None
    direction: Floats | None = None


@dataclass(frozen=True)
class RecordingFault:
    """What happens to recordings.

    Attributes
    ----------
    frames : FrameFaults or None
        What happens to frames; None: there is no recording at all.
    stations, scans : tuple of str
        Whose, by the catalogue's names, and in which; all where empty.
    """

    frames: FrameFaults | None = None
    stations: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()

    def hits(self, station: str, scan: str) -> bool:
        """Tell whether a recording is meant."""
        return (not self.stations or station in self.stations) and (
            not self.scans or scan in self.scans
        )
