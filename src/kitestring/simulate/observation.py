"""A whole observation: several scans of quasars and a spacecraft at several stations.

Everything that the processing does not know is put in here: where the
spacecraft truly is, what the clocks, the air and the plasma truly do, what
receivers add, and the frequency that is truly transmitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.ionosphere import Ionosphere
from kitestring.model.light_time import Leg, down_leg, up_leg
from kitestring.model.parts import station_delay
from kitestring.model.polynomials import PiecewisePolynomial, StationDelay
from kitestring.model.sight import Effect, Sight
from kitestring.model.stations import Station
from kitestring.model.steering import fit_polynomial, node_offsets, station_delays
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.model.troposphere import Troposphere
from kitestring.recordings.types import Channel
from kitestring.simulate.signals import modulated_signal
from kitestring.simulate.truths import (
    ConstantTec,
    ExtraZenith,
    RecordingFault,
    TrueScan,
    TrueSpacecraft,
    TrueStation,
    Uplink,
)
from kitestring.simulate.types import QuasarSignal, SimulatedStation, SpacecraftSignal

Floats = NDArray[np.float64]

_INTERVAL = 20.0  # s, of all polynomials; a burn that arrives lies at the edge of a piece
_MARGIN = 2.0  # s before and after a scan
_PLASMA = 8.4e9  # Hz at which plasma is asked for its delays, which are as 1 / f^2


@dataclass(frozen=True, eq=False)
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
    spacecraft : TrueSpacecraft or None
        The target.
    air : sequence of Effect, optional
        What air and antennas add; a standard troposphere unless given. Stations'
        own zenith delays come on top.
    plasma : sequence of Effect
        What delays by 1 / f^2.
    faults : sequence of RecordingFault
        What happens to recordings.
    earth : EarthModel
        Where stations are.
    sigmf : bool
        Whether recordings are SigMF (of 8 or 16 bits) instead of VDIF.
    """

    stations: tuple[TrueStation, ...]
    channels: tuple[Channel, ...]
    bits: int
    scans: tuple[TrueScan, ...]
    spacecraft: TrueSpacecraft | None = None
    air: Sequence[Effect] | None = None
    plasma: Sequence[Effect] = ()
    faults: Sequence[RecordingFault] = ()
    earth: EarthModel = field(default_factory=EarthModel)
    sigmf: bool = False

    def recorded_by(self, scan: TrueScan) -> tuple[TrueStation, ...]:
        """Return the stations that have a recording of a scan."""
        lost = [f for f in self.faults if f.frames is None]
        return tuple(
            s for s in self.stations if not any(f.hits(s.station.name, scan.name) for f in lost)
        )

    # -- delays ----------------------------------------------------------------

    def target(self, scan: TrueScan) -> Trajectory | Floats:
        """Return what is observed: a trajectory, or a direction.

        Raises
        ------
        ConfigurationError
            For a scan of a spacecraft where there is none.
        """
        if scan.direction is not None:
            return scan.direction
        return self._craft(scan).trajectory

    def _craft(self, scan: TrueScan) -> TrueSpacecraft:
        if self.spacecraft is None:
            raise ConfigurationError(
                f"scan {scan.name} is of a spacecraft, and there is none.",
                next_step="Give the observation one, or the scan a quasar.",
            )
        return self.spacecraft

    def span(self, scan: TrueScan) -> tuple[Epoch, int]:
        """Return start and number of the pieces of a scan's polynomials."""
        first = scan.start.shifted(-_MARGIN)
        length = scan.duration + 2.0 * _MARGIN
        late = self._lateness(first, length) if scan.quasar is None else 0.0
        return first.shifted(-late), int(np.ceil((length + late) / _INTERVAL))

    def _lateness(self, first: Epoch, length: float) -> float:
        """Return how much earlier pieces have to begin for a burn to lie at an edge, s."""
        inside = [float(e.since(first)) for e in self.burns_seen]
        inside = [t for t in inside if 0.0 < t < length]
        if len(inside) > 1:
            raise ConfigurationError(
                f"{len(inside)} burns are seen between {first.iso(0)} and "
                f"{first.shifted(length).iso(0)} UTC.",
                next_step="Let one burn be seen at most.",
            )
        return (-inside[0]) % _INTERVAL if inside else 0.0

    @cached_property
    def burns_seen(self) -> tuple[Epoch, ...]:
        """When burns arrive at the geocentre, UTC."""
        craft, found = self.spacecraft, []
        for burn in craft.burns if craft else ():
            assert craft is not None
            arrival = burn[None].to("utc")
            for _ in range(4):  # each gains the factor of the target's speed over c
                state = self.earth.station_state(None, arrival)
                leg = down_leg(state, craft.trajectory, self.earth.ephemeris)
                arrival = arrival.shifted(-leg.spacecraft_epoch.since(burn))
            found.append(arrival[0])
        return tuple(found)

    def delays(self, scan: TrueScan, station: TrueStation) -> StationDelay:
        """Return the true delay (plasma left out) and clock of a station in a scan.

        Raises
        ------
        ConfigurationError
            Where air or antenna cannot say what they add.
        """
        start, pieces = self.span(scan)
        delay = self._fitted(scan, station.station, start, pieces, self._air(station))
        begin, stop = scan.start.shifted(-1.0), scan.start.shifted(scan.duration + 1.0)
        return StationDelay(delay, station.clock.polynomial(begin, stop))

    def dispersion(self, scan: TrueScan, station: TrueStation) -> PiecewisePolynomial | None:
        """Return what plasma adds at a station in a scan, s Hz^2; None for nothing."""
        plasma = self._plasma(station)
        if not plasma:
            return None
        start, pieces = self.span(scan)
        with_it, without = (
            self._fitted(scan, station.station, start, pieces, effects) for effects in (plasma, ())
        )
        added = (with_it.coefficients - without.coefficients) * _PLASMA**2
        return PiecewisePolynomial(start, _INTERVAL, added)

    def _air(self, station: TrueStation | None) -> list[Effect]:
        """Return what air and antenna add at a station; None for one that does not record."""
        air: list[Effect] = [Troposphere()] if self.air is None else list(self.air)
        if station is not None and station.zenith:
            air.append(ExtraZenith(station.zenith))
        return air

    def _plasma(self, station: TrueStation | None) -> list[Effect]:
        plasma = list(self.plasma)
        if station is not None and station.tec:
            plasma.append(Ionosphere(ConstantTec(station.tec)))
        return plasma

    def _fitted(
        self,
        scan: TrueScan,
        station: Station,
        start: Epoch,
        pieces: int,
        effects: Sequence[Effect],
    ) -> PiecewisePolynomial:
        offsets = node_offsets(pieces, _INTERVAL)
        label = start.shifted(offsets.ravel())
        target = self.target(scan)
        values = station_delays(self.earth, station, target, label, effects, _PLASMA)
        if not np.all(np.isfinite(values)):
            raise ConfigurationError(
                f"the delay of {station.name} in scan {scan.name} is not known: the target may be "
                "below the horizon.",
                next_step="Look with 'kitestring predict', and drop the station or move the scan.",
            )
        return fit_polynomial(start, _INTERVAL, values.reshape(offsets.shape))

    # -- signals -----------------------------------------------------------------

    def signal(self, scan: TrueScan) -> QuasarSignal | SpacecraftSignal:
        """Return what is received in a scan."""
        if scan.quasar is not None:
            return scan.quasar
        craft = self._craft(scan)
        carrier, offset, drift = craft.carrier, craft.offset, craft.drift
        if craft.uplink is not None:
            carrier, offset = craft.uplink.turnaround * craft.uplink.frequency, 0.0
            drift = craft.uplink.ramp / craft.uplink.frequency
        if drift:
            # said of the first scan's start, and counted from that of the light time
            back = 1.0 - drift * self._before_scans
            offset, drift = (1.0 + offset) * back - 1.0, drift / back
        return modulated_signal(
            craft.trajectory.name,
            carrier,
            self.light_time,
            offset=offset,
            drift=drift,
            tones=craft.tones,
            telemetry=craft.telemetry,
            cn0=craft.cn0,
            polarization=craft.polarization,
        )

    @property
    def _before_scans(self) -> float:
        """Transmitter's time from the start of `light_time` to the target's first scan, s."""
        path = self.light_time
        scans = [s.start for s in self.scans if s.quasar is None]
        first = min(float(start.since(path.start)) for start in scans)
        return first - float(path.at_offset(first) - path.at_offset(0.0))

    @cached_property
    def light_time(self) -> PiecewisePolynomial:
        """Arrival at the geocentre (UTC) minus transmission, s, over all scans of the spacecraft.

        Transmission is counted in TDB at the spacecraft, or, where the signal is coherent
        with an uplink, by the transmitting station's ideal clock, air and plasma on the way
        up included. A constant is left out: it
        does not matter.
        """
        scans = [s for s in self.scans if s.quasar is None]
        craft = self._craft(scans[0])
        first = min((s.start for s in scans), key=lambda e: float(e.since(scans[0].start)))
        ends = [float(s.start.since(first)) + s.duration for s in scans]
        begin, length = first.shifted(-_MARGIN), max(ends) + 2.0 * _MARGIN
        late = self._lateness(begin, length)
        begin = begin.shifted(-late)
        offsets = node_offsets(int(np.ceil((length + late) / _INTERVAL)), _INTERVAL)
        centre = self.earth.station_state(None, begin.shifted(offsets.ravel()))
        down = down_leg(centre, craft.trajectory, self.earth.ephemeris)
        if craft.uplink is not None:
            values = self._round_trip(down, craft.uplink)
        else:
            values = down.light_time - (centre.tdb_minus_tt - centre.tdb_minus_tt[0])
        return fit_polynomial(begin, _INTERVAL, values.reshape(offsets.shape))

    def _round_trip(self, down: Leg, uplink: Uplink) -> Floats:
        """Return the time from an uplink's transmission to the geocentre, media included, s."""
        craft = self.spacecraft
        assert craft is not None  # it has the uplink
        up, round_trip = up_leg(down, uplink.station, self.earth, craft.trajectory)
        own = [s for s in self.stations if s.station.name == uplink.station.name]
        air, plasma = self._air(own[0] if own else None), self._plasma(own[0] if own else None)
        # what comes down follows the phase of what went up
        sight = Sight(
            uplink.station,
            up.station,
            up.direction,
            C * up.light_time,
            uplink.frequency,
            group=False,
            sends=True,
        )
        values = round_trip + station_delay(sight, [*air, *plasma])
        if not np.all(np.isfinite(values)):
            raise ConfigurationError(
                f"the delay of the uplink from {uplink.station.name} is not known: "
                f"{craft.trajectory.name} may be below its horizon.",
                next_step="Let another station transmit, a light time before the light time.",
            )
        return values

    # -- voltages ----------------------------------------------------------------

    def outages(self, scan: TrueScan, station: TrueStation) -> tuple[tuple[float, float], ...]:
        """Return when a station's recorder takes nothing in a scan, s after its start."""
        hit = [f.frames for f in self.faults if f.hits(station.station.name, scan.name)]
        return tuple(span for frames in hit if frames is not None for span in frames.outages)

    def simulated(self, scan: TrueScan, station: TrueStation) -> SimulatedStation:
        """Return a station as it truly is in a scan."""
        return SimulatedStation(
            name=station.station.name,
            delay=self.delays(scan, station),
            sefd=station.sefd,
            channels=station.channels or self.channels,
            bits=self.bits,
            signed=self.sigmf,
            outages=self.outages(scan, station) if self.sigmf else (),
            lo_phases=station.oscillator_phases,
            instrumental_delays=station.instrumental_delays,
            code=station.code or station.station.code,
            dispersion=self.dispersion(scan, station),
            bandpass=station.bandpass,
            phase_cal=station.phase_cal,
            interference=station.interference,
            dead=station.dead,
        )
