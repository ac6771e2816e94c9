"""A whole observation: several scans of quasars and a spacecraft at several stations.

Everything that the processing does not know is put in here: where the
spacecraft truly is, what the clocks and the air truly do, the phases of the
local oscillators, and the frequency that is truly transmitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.model.earth import EarthModel
from kitestring.model.light_time import down_leg
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial
from kitestring.model.stations import Station
from kitestring.model.steering import fit_polynomial, make_delay_model, node_offsets
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.model.troposphere import Troposphere
from kitestring.recordings.types import Channel
from kitestring.simulate.signals import DOR_OFFSETS, spacecraft_signal
from kitestring.simulate.types import (
    QuasarSignal,
    ScanTruth,
    SimulatedStation,
    SpacecraftSignal,
)
from kitestring.simulate.voltages import simulate_scan

Floats = NDArray[np.float64]

_LIGHT_TIME_INTERVAL = 20.0  # s, as the delay polynomials


@dataclass(frozen=True)
class TrueStation:
    """A station with what only the simulation knows of it.

    Attributes
    ----------
    station : Station
        From the catalogue.
    sefd : float
        System equivalent flux density, Jy.
    clock_offset, clock_rate : float
        Reading minus UTC at `Observation.clock_epoch`, s, and its rate.
    zenith : float
        Zenith delay beyond the standard atmosphere's, s.
    oscillator_phases : tuple of float
        Of each channel's local oscillator, rad; the same in all scans.
    """

    station: Station
    sefd: float
    clock_offset: float
    clock_rate: float
    zenith: float
    oscillator_phases: tuple[float, ...]


@dataclass(frozen=True)
class TrueSpacecraft:
    """A spacecraft as it truly is.

    Attributes
    ----------
    trajectory : Trajectory
        Where it is.
    carrier : float
        Transmitted frequency as it is told, Hz.
    offset : float
        True over told frequency, minus one.
    carrier_cn0, dor_cn0 : float
        Power over noise density at every station, dBHz.
    dor_offsets : tuple of float
        DOR tones minus carrier, as told, Hz.
    """

    trajectory: Trajectory
    carrier: float
    offset: float
    carrier_cn0: float
    dor_cn0: float
    dor_offsets: tuple[float, ...] = DOR_OFFSETS


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
class Observation:
    """Everything that voltages are made of.

    Attributes
    ----------
    stations : tuple of TrueStation
        Who observes.
    channels : tuple of Channel
        What each of them records.
    bits : int
        Bits a sample.
    scans : tuple of TrueScan
        In order.
    spacecraft : TrueSpacecraft
        The target.
    clock_epoch : Epoch, shape ()
        When clocks are off by their offsets, UTC.
    """

    stations: tuple[TrueStation, ...]
    channels: tuple[Channel, ...]
    bits: int
    scans: tuple[TrueScan, ...]
    spacecraft: TrueSpacecraft
    clock_epoch: Epoch

    def delay_model(self, scan: TrueScan, earth: EarthModel) -> DelayModel:
        """Return the true delays and clocks of a scan."""
        air = Troposphere(extra_zenith={s.station.name: s.zenith for s in self.stations})
        craft = self.spacecraft.trajectory
        return make_delay_model(
            scan.name,
            craft.name if scan.quasar is None else scan.quasar.name,
            craft if scan.direction is None else scan.direction,
            [s.station for s in self.stations],
            (scan.start, scan.start.shifted(scan.duration)),
            earth,
            clocks={
                s.station.name: (self.clock_epoch, s.clock_offset, s.clock_rate)
                for s in self.stations
            },
            media=(air,),
            inputs={"origin": "truth"},
        )

    def signal(self, scan: TrueScan, earth: EarthModel) -> QuasarSignal | SpacecraftSignal:
        """Return what is received in a scan."""
        if scan.quasar is not None:
            return scan.quasar
        craft = self.spacecraft
        return spacecraft_signal(
            craft.trajectory.name,
            craft.carrier,
            light_time(craft.trajectory, scan.start, scan.duration, earth),
            offset=craft.offset,
            dor_offsets=craft.dor_offsets,
            carrier_cn0=craft.carrier_cn0,
            dor_cn0=craft.dor_cn0,
        )


def light_time(
    trajectory: Trajectory, start: Epoch, duration: float, earth: EarthModel
) -> PiecewisePolynomial:
    """Return arrival at the geocentre (UTC) minus transmission (TDB), s, over a scan.

    A second is added at both ends. A constant (TDB - UTC of one epoch) is left
    out: it does not matter.
    """
    begin = start.shifted(-1.0)
    pieces = int(np.ceil((duration + 2.0) / _LIGHT_TIME_INTERVAL))
    offsets = node_offsets(pieces, _LIGHT_TIME_INTERVAL)
    centre = earth.station_state(None, begin.shifted(offsets.ravel()))
    values = down_leg(centre, trajectory, earth.ephemeris).light_time
    values = values - (centre.tdb_minus_tt - centre.tdb_minus_tt[0])
    return fit_polynomial(begin, _LIGHT_TIME_INTERVAL, values.reshape(offsets.shape))


def simulate_observation(
    observation: Observation,
    directory: str | Path,
    seed: int,
    *,
    earth: EarthModel | None = None,
    threads: int | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> list[ScanTruth]:
    """Record an observation: one VDIF file a station and scan.

    Parameters
    ----------
    observation : Observation
        What there is.
    directory : path
        Where ``<scan>_<station>.vdif`` are written; made where missing.
    seed : int
        Of all noise.
    earth : EarthModel, optional
        Where stations are.
    threads : int, optional
        All cores by default.
    progress : callable, optional
        Told (what is going on, fraction done).

    Returns
    -------
    list of ScanTruth
        What was put into each scan.
    """
    earth = earth or EarthModel()
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    truths = []
    for k, scan in enumerate(observation.scans):
        tell = _telling(progress, f"simulate {scan.name}", k, len(observation.scans))
        model = observation.delay_model(scan, earth)
        stations: Sequence[SimulatedStation] = [
            SimulatedStation(
                name=s.station.name,
                delay=model.stations[s.station.name],
                sefd=s.sefd,
                channels=observation.channels,
                bits=observation.bits,
                lo_phases=s.oscillator_phases,
                code=s.station.code,
            )
            for s in observation.stations
        ]
        truths.append(
            simulate_scan(
                source=observation.signal(scan, earth),
                stations=stations,
                start=scan.start,
                duration=scan.duration,
                sink=folder,
                seed=seed,
                scan=scan.name,
                threads=threads,
                progress=tell,
            )
        )
    return truths


def _telling(
    progress: Callable[[str, float], None] | None, what: str, k: int, n: int
) -> Callable[[float], None] | None:
    if progress is None:
        return None
    return lambda fraction: progress(what, (k + fraction) / n)
