"""What a scenario hides, made into the observation that voltages are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kitestring.dynamics.propagate import propagate
from kitestring.dynamics.types import ForceModel, Impulse
from kitestring.errors import ConfigurationError
from kitestring.formats.trajectories import read_trajectory
from kitestring.model.constants import C
from kitestring.model.ionosphere import Ionosphere
from kitestring.model.mars_angles_file import load_mars_rotation
from kitestring.model.rotation import Rotation
from kitestring.model.sight import Effect
from kitestring.model.solar_plasma import SolarPlasma
from kitestring.model.sources import get_source
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody, Trajectory
from kitestring.recordings.types import Channel
from kitestring.session.file import OWN_ROTATION, LanderSection, ScanSection, SpacecraftSection
from kitestring.session.media import media_of
from kitestring.session.run import Context
from kitestring.session.setting import Setting
from kitestring.session.simulation_checks import check_scenario, check_signal, check_station
from kitestring.session.simulation_file import (
    BandpassSection,
    FaultSection,
    Scenario,
    SignalSection,
    TrueClockSection,
    TrueStationSection,
)
from kitestring.simulate.clocks import ClockJump, TrueClock
from kitestring.simulate.faults import KINDS, FrameFaults
from kitestring.simulate.observation import Observation
from kitestring.simulate.truths import (
    RecordingFault,
    TrueScan,
    TrueSpacecraft,
    TrueStation,
    Uplink,
)
from kitestring.simulate.types import (
    Bandpass,
    LocalTone,
    ModulatedCarrier,
    PhaseCalTones,
    QuasarSignal,
    Telemetry,
)

Floats = NDArray[np.float64]

_TECU = 1e16  # electrons/m^2
_BEFORE = 60.0  # s before the first scan at which clocks' noise begins
_OTHER = {"R": "L", "L": "R", "X": "Y", "Y": "X", "H": "V", "V": "H"}
_TARGET, _OSCILLATORS, _CLOCK = 1, 2, 3  # which numbers are drawn


def observation_of(given: Scenario, seed: int) -> Observation:
    """Return everything that the voltages of a scenario are made of.

    Raises
    ------
    ConfigurationError, MissingDataError, UnknownNameError
        For what the scenario names and is not there, or cannot be.
    """
    return _Builder(given, seed).observation()


@dataclass(frozen=True)
class _Builder:
    """A scenario and what follows from it."""

    given: Scenario
    seed: int

    @cached_property
    def setting(self) -> Setting:
        """The session as the processing would see it."""
        return Setting(Context(self.given.path.resolve().parent, self.given.session))

    @property
    def place(self) -> str:
        return str(self.given.path)

    def observation(self) -> Observation:
        check_scenario(self.given, self.name)
        truth, session = self.given.truth, self.given.session
        wanted = {
            key: section
            for key, section in (
                ("troposphere", truth.troposphere),
                ("ionosphere", truth.ionosphere),
            )
            if section is not None
        }
        effects = media_of(
            session.model_copy(update=wanted),
            self.setting.context.path,
            self.setting.catalogue,
            "raise",
        )
        plasma = [e for e in effects if isinstance(e, Ionosphere | SolarPlasma)]
        air: list[Effect] = [e for e in effects if not isinstance(e, Ionosphere | SolarPlasma)]
        scans = tuple(self.scan(s) for s in session.scan)
        made = Observation(
            stations=tuple(self.station(k, s) for k, s in enumerate(truth.station)),
            channels=(),
            bits=truth.bits,
            scans=scans,
            spacecraft=self.spacecraft() if any(s.quasar is None for s in scans) else None,
            air=air,
            plasma=plasma,
            faults=[self.fault(f) for f in truth.fault],
            earth=self.setting.earth,
            sigmf=truth.format == "sigmf",
        )
        for scan in scans:
            if not made.recorded_by(scan):
                raise ConfigurationError(
                    f"scan {scan.name} is missing at all stations.",
                    place=self.place,
                    next_step="Leave the [[scan]] out, or let one station record it.",
                )
        return made

    def name(self, station: str) -> str:
        """Return a station's name in the catalogue."""
        return self.setting.catalogue.get(station).name

    # -- scans -------------------------------------------------------------------

    def scan(self, section: ScanSection) -> TrueScan:
        start = section.span[0]
        if self.setting.is_target(section):
            return TrueScan(section.name, start, section.duration)
        direction = self.setting.source(section.source)
        assert isinstance(direction, np.ndarray)  # it is not the target
        flux = QuasarSignal(section.source, self.flux(section.source))
        return TrueScan(section.name, start, section.duration, flux, direction)

    def flux(self, source: str) -> float:
        """Return a source's flux density: the scenario's, or the catalogue's."""
        stated = {s.name: s.flux for s in self.given.truth.source}
        if source in stated:
            return stated[source]
        if source in self.setting.source_directions:
            known = float("nan")
        else:
            known = get_source(source).flux_unresolved
        if not known > 0.0:
            raise ConfigurationError(
                f"nothing is known of the flux density of {source}.",
                place=self.place,
                next_step=f'Add [[truth.source]] with name = "{source}" and flux in Jy.',
            )
        return known

    # -- stations ----------------------------------------------------------------

    def station(self, number: int, section: TrueStationSection) -> TrueStation:
        channels = self.channels(section)
        check_station(self.given, section, channels)
        count = len(channels)
        phases = section.oscillators
        if phases is None:
            rng = np.random.default_rng([self.seed, _OSCILLATORS, number])
            phases = rng.uniform(0.0, 360.0, count).tolist()
        names = [c.name for c in channels]
        for name in section.dead:
            if name not in names:
                raise ConfigurationError(
                    f"{section.name} has no channel {name!r}.",
                    place=self.place,
                    next_step=f"Its channels are {', '.join(names)}.",
                )
        cal = section.phase_cal
        return TrueStation(
            station=self.setting.catalogue.get(section.name),
            sefd=section.sefd,
            clock=self.clock(number, section.name, section.clock),
            zenith=section.zenith / C,
            tec=section.tec * _TECU,
            channels=channels,
            oscillator_phases=tuple(np.radians(phases).tolist()),
            instrumental_delays=tuple(section.delays or ()),
            bandpass=None if section.bandpass is None else _bandpass(section.bandpass),
            phase_cal=(
                None if cal is None else PhaseCalTones(cal.spacing, cal.offset, cal.cn0, cal.delay)
            ),
            interference=tuple(LocalTone(i.frequency, i.cn0) for i in section.interference),
            dead=tuple(names.index(name) for name in section.dead),
            code=section.code,
        )

    def channels(self, section: TrueStationSection) -> tuple[Channel, ...]:
        """Return what a station truly records."""
        found = []
        for told in self.given.session.setup[section.setup]:
            polarization: str = section.polarization or told.polarization
            if section.swapped_polarization:
                polarization = _OTHER.get(polarization, polarization)
            # checked as the session's own are
            found.append(told.model_copy(update={"polarization": polarization}).channel())
        return tuple(found)

    def clock(self, number: int, station: str, section: TrueClockSection) -> TrueClock:
        first = self.first
        offset, rate = section.offset, section.rate
        for told in self.given.session.clock:
            if self.name(told.station) == self.name(station):
                offset += told.offset + told.rate * float(first.since(told.reference))
                rate += told.rate
        whole = np.floor(first.second - _BEFORE)
        begin = first.shifted(float(whole - first.second))
        return TrueClock(
            epoch=begin,
            offset=offset + rate * float(begin.since(first)),
            rate=rate,
            jumps=tuple(ClockJump(j.at, j.size) for j in section.jump),
            white=section.white,
            flicker=section.flicker,
            seed=(self.seed, _CLOCK, number),
        )

    @cached_property
    def first(self) -> Epoch:
        """When the first scan starts, UTC."""
        starts = [s.span[0] for s in self.given.session.scan]
        return min(starts, key=lambda e: float(e.since(starts[0])))

    # -- the target ----------------------------------------------------------------

    def spacecraft(self) -> TrueSpacecraft:
        signal, tones = self.given.truth.signal, self.given.session.tones
        if signal is None:
            raise ConfigurationError(
                "there are scans of the target, and nothing is said of its signal.",
                place=self.place,
                next_step="Add [truth.signal] with cn0 = 50.0 (dBHz) and what modulates it.",
            )
        carrier = signal.carrier or (tones.carrier if tones else None)
        if carrier is None:
            raise ConfigurationError(
                "the carrier's frequency is said nowhere.",
                place=self.place,
                next_step="Add [tones] with carrier, or carrier to [truth.signal].",
            )
        made = self._spacecraft(signal, carrier)
        sent = made.uplink.turnaround * made.uplink.frequency if made.uplink else carrier
        lines = ModulatedCarrier(sent, 0.0, made.tones, made.telemetry)
        recorded = [c for s in self.given.truth.station for c in self.channels(s)]
        check_signal(self.given, lines, recorded)
        return made

    def _spacecraft(self, signal: SignalSection, carrier: float) -> TrueSpacecraft:
        bits = signal.telemetry
        return TrueSpacecraft(
            trajectory=self.trajectory(),
            carrier=carrier,
            cn0=self.powers(signal.cn0),
            offset=signal.offset,
            drift=signal.drift,
            tones=tuple((t.frequency, t.index) for t in signal.tones),
            telemetry=(
                None
                if bits is None
                else Telemetry(bits.index, bits.bit_rate, bits.subcarrier, bits.wave)
            ),
            polarization=signal.polarization,
            uplink=self.uplink(signal),
            burns=tuple(b.at for b in self.given.truth.target.burn),
        )

    def powers(self, cn0: float | Mapping[str, float]) -> float | dict[str, float]:
        if isinstance(cn0, Mapping):
            return {self.name(station): value for station, value in cn0.items()}
        return cn0

    def uplink(self, signal: SignalSection) -> Uplink | None:
        up = signal.uplink
        if up is None:
            return None
        if signal.offset or signal.drift:
            raise ConfigurationError(
                "offset and drift are of a free oscillator, and there is an uplink.",
                place=self.place,
                next_step="Drop them, or [truth.signal.uplink]; that has a ramp.",
            )
        if signal.carrier is not None:
            raise ConfigurationError(
                "a carrier is given, and it follows from the uplink.",
                place=self.place,
                next_step="Drop carrier from [truth.signal], or [truth.signal.uplink].",
            )
        station = self.setting.catalogue.get(up.station)
        return Uplink(station, up.frequency, up.turnaround, up.ramp)

    def trajectory(self) -> Trajectory:
        """Return where the target truly is."""
        true, told = self.given.truth.target, self.given.session.target
        assert told is not None  # a scan is of it
        if true.file is not None:
            return read_trajectory(self.setting.context.path(true.file), true.object)
        if true.body is not None:
            assert true.place is not None  # checked with the section
            return FixedOnBody(told.name, true.body, np.array(true.place))
        offset = np.array([*true.position, *true.velocity])
        rng = np.random.default_rng([self.seed, _TARGET])
        if isinstance(told, LanderSection):
            if np.any(true.velocity) or true.burn:
                raise ConfigurationError(
                    "a lander has no velocity and no burn.",
                    place=self.place,
                    next_step="Drop them from [truth.target].",
                )
            drawn = told.sigma * rng.standard_normal(3) if true.draw else 0.0
            place = np.array(told.position) + offset[:3] + drawn
            return FixedOnBody(told.name, told.body, place, self._rotation(told))
        return self._orbit(told, offset, rng)

    def _rotation(self, told: LanderSection) -> Rotation | None:
        if told.rotation is None:
            return None
        if told.rotation == OWN_ROTATION:
            return load_mars_rotation()
        return load_mars_rotation(self.setting.context.path(told.rotation))

    def _orbit(
        self, told: SpacecraftSection, offset: Floats, rng: np.random.Generator
    ) -> Trajectory:
        true, target = self.given.truth.target, self.setting.orbit_target
        if true.draw:
            sigmas = np.repeat([told.sigma_position, told.sigma_velocity], 3)
            offset = offset + sigmas * rng.standard_normal(6)
        burns = tuple(
            Impulse(f"burn{k}", b.at, np.array(b.delta_v)) for k, b in enumerate(true.burn)
        )
        forces = ForceModel(area_over_mass=told.area_over_mass, burns=burns)
        initial = target.initial.replaced(target.initial.state + offset)
        return propagate(initial, forces, target.span, with_transition=False)

    # -- faults ---------------------------------------------------------------------

    def fault(self, section: FaultSection) -> RecordingFault:
        frames = None
        if not section.missing:
            fractions = {kind: getattr(section, kind) for kind in KINDS}
            frames = FrameFaults(**fractions, outages=tuple(section.outages))
        stations = tuple(self.name(s) for s in section.stations)
        return RecordingFault(frames, stations, tuple(section.scans))


def _bandpass(section: BandpassSection) -> Bandpass:
    return Bandpass(
        section.edge,
        section.slope,
        section.ripple,
        section.ripple_period,
        float(np.radians(section.phase_ripple)),
        section.phase_period,
    )
