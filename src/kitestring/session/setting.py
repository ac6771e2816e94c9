"""What all stages of a session share: stations, sources, the target, delay models, recordings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.dynamics.propagate import OrbitTarget, PropagatedTrajectory
from kitestring.dynamics.types import ForceModel, OrbitState
from kitestring.errors import MissingDataError, RecordingError, RecordingWarning
from kitestring.estimate.forward import ForwardModel
from kitestring.formats.blq import read_blq
from kitestring.formats.correlx import CorrelxSetup, read_correlx
from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.earth_orientation import read_earth_orientation
from kitestring.model.geometry import uvw
from kitestring.model.light_time import down_leg
from kitestring.model.observable import StationClock
from kitestring.model.polynomials import DelayModel
from kitestring.model.sight import Effect
from kitestring.model.sources import get_source, unit_vector
from kitestring.model.stations import Station, StationCatalogue, load_stations
from kitestring.model.steering import make_delay_model
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.observables.types import UplinkRamps
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Recording
from kitestring.session.file import RecordingSection, ScanSection, Session, SpacecraftSection
from kitestring.session.media import Air, air_of, media_of
from kitestring.session.run import Context, input_files
from kitestring.tones.types import ToneSpec

Floats = NDArray[np.float64]

_MARGIN = 3600.0  # s around a session that a trajectory covers
LATENESS = 0.1  # s; a wavefront passes station and geocentre 21 ms apart at most
_LONGEST = 1.3e7  # m; no baseline on the Earth is longer


@dataclass(frozen=True)
class Setting:
    """A session's file, made into what the stages work with.

    Attributes
    ----------
    context : Context
        Directory, file and progress.
    epochs : tuple of Epoch
        Epochs beside those of the scans that the target's orbit must reach.
    """

    context: Context
    epochs: tuple[Epoch, ...] = ()

    @property
    def session(self) -> Session:
        """The session's file."""
        return self.context.session

    @cached_property
    def earth(self) -> EarthModel:
        """Where stations are."""
        wanted, path = self.session.earth, self.context.path
        orientation, loading = wanted.orientation, wanted.ocean_loading
        return EarthModel(
            orientation=read_earth_orientation(path(orientation)) if orientation else None,
            subdaily=wanted.subdaily,
            ocean_loading=read_blq(path(loading)) if loading else None,
        )

    @cached_property
    def catalogue(self) -> StationCatalogue:
        """The package's stations and those of the session."""
        catalogue = StationCatalogue.default()
        if self.session.stations:
            catalogue = catalogue.extended(load_stations(self.context.path(self.session.stations)))
        return catalogue

    @cached_property
    def media(self) -> tuple[Effect, ...]:
        """Delays of the sky that the delay models contain."""
        return media_of(self.session, self.context.path, self.catalogue, "raise")

    @cached_property
    def media_of_estimate(self) -> tuple[Effect, ...]:
        """The same for an estimate, which sets rows aside that were seen too low."""
        return media_of(self.session, self.context.path, self.catalogue, "nan")

    @cached_property
    def air(self) -> Air | None:
        """The model of the air, for the partial derivatives of its zenith delays."""
        return air_of(self.session, self.context.path, self.catalogue, "raise")

    def forward_model(self, ramps: Sequence[UplinkRamps] = ()) -> ForwardModel:
        """Return what predicts observables of the target."""
        clocks = {
            self.catalogue.get(c.station).name: StationClock(c.reference, c.offset, c.rate)
            for c in self.session.clock
            if c.tracking
        }
        return ForwardModel(
            self.earth,
            ramps,
            self.media_of_estimate,
            self.catalogue,
            self.source_directions,
            clocks,
            self.frequency,
        )

    @property
    def frequency(self) -> float | None:
        """Sky frequency for plasma and predictions, Hz: the carrier's, else that of a channel."""
        if self.session.tones is not None:
            return self.session.tones.carrier
        channels = [c for setup in self.session.setup.values() for c in setup]
        return float(np.median([c.sky_frequency for c in channels])) if channels else None

    @cached_property
    def correlx(self) -> CorrelxSetup | None:
        """Delays, clocks and output of another correlator, where the session names them."""
        name = self.session.correlate.correlx
        return read_correlx(self.context.path(name)) if name else None

    # -- scans ---------------------------------------------------------------

    def is_target(self, scan: ScanSection) -> bool:
        """Tell whether a scan is of the session's target."""
        return self.session.target is not None and scan.source == self.session.target.name

    @property
    def target_scans(self) -> list[ScanSection]:
        """Scans of the target."""
        return [scan for scan in self.session.scan if self.is_target(scan)]

    @property
    def quasar_scans(self) -> list[ScanSection]:
        """Scans of everything else."""
        return [scan for scan in self.session.scan if not self.is_target(scan)]

    def of_scan(self, scan: ScanSection) -> list[RecordingSection]:
        """Return the recordings of a scan.

        Raises
        ------
        MissingDataError
            Where it has none.
        """
        found = [r for r in self.session.recording if r.scan == scan.name]
        if not found:
            raise MissingDataError(
                f"scan {scan.name} has no recording.",
                place=str(self.context.directory),
                next_step="Add a [[recording]] with that scan to session.toml, or drop the scan.",
            )
        return found

    def scan_of(self, section: RecordingSection) -> ScanSection:
        """Return the scan of a recording."""
        return next(s for s in self.session.scan if s.name == section.scan)

    def station_name(self, name: str) -> str:
        """Return a station's name in the catalogue (as it is where CorrelX's delays are used)."""
        return name if self.session.correlate.correlx else self.catalogue.get(name).name

    def stations(self, scan: ScanSection) -> list[Station]:
        """Return the stations that recorded a scan."""
        return [self.catalogue.get(r.station) for r in self.of_scan(scan)]

    def files(self, section: RecordingSection) -> list[Path]:
        """Return the files of a recording."""
        return input_files(self.context, section.files)

    def sidecar(self, section: RecordingSection) -> Path | None:
        """Return the sidecar that a recording names, or None."""
        return self.context.path(section.sidecar) if section.sidecar else None

    def recording(self, section: RecordingSection) -> Recording:
        """Open a recording, and see that it is of its scan's time.

        Raises
        ------
        RecordingError
            Where it cannot be read, or holds nothing of the scan.
        """
        files = self.files(section)
        channels = [c.channel() for c in self.session.setup[section.setup]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)  # the stage "describe" tells them
            found = open_recording(
                files,
                station=self.station_name(section.station),
                channels=channels,
                sidecar=self.sidecar(section),
                reference=self.scan_of(section).span[0],
            )
        if found.stop is not None:
            self.check_time(section, found.start, found.stop)
        return found

    def check_time(self, section: RecordingSection, first: Epoch, last: Epoch) -> None:
        """See that a recording holds something of its scan.

        Raises
        ------
        RecordingError
            It names the file and both spans.
        """
        scan = self.scan_of(section)
        start, stop = scan.span
        if float(last.since(start)) > -LATENESS and float(first.since(stop)) < LATENESS:
            return
        raise RecordingError(
            f"it lasts from {first.iso(3)} to {last.iso(3)} UTC and holds nothing of scan "
            f"{scan.name}, {start.iso(3)} to {stop.iso(3)}.",
            place=str(self.files(section)[0]),
            next_step="Bring the right file, or mend the scan's start in session.toml.",
        )

    def recordings(self, scan: ScanSection) -> list[Recording]:
        """Open all recordings of a scan."""
        return [self.recording(section) for section in self.of_scan(scan)]

    # -- delays --------------------------------------------------------------

    def source(self, name: str) -> Trajectory | Floats:
        """Return the target's trajectory, or the direction of a source (unit vector, ICRS).

        Raises
        ------
        UnknownNameError
            For a source of neither the session nor the catalogue.
        """
        if self.session.target is not None and name == self.session.target.name:
            return self.trajectory
        own = self.source_directions.get(name)
        return get_source(name).direction if own is None else own

    @cached_property
    def source_directions(self) -> dict[str, Floats]:
        """Unit vectors to the sources that the session itself states, ICRS."""
        return {
            own.name: np.asarray(unit_vector(np.radians(own.ra), np.radians(own.dec)))
            for own in self.session.source
        }

    def delay_model(self, scan: ScanSection, source: str | None = None) -> DelayModel:
        """Return the delay model of a scan, or that of another source in its time."""
        if self.correlx is not None:
            return replace(self.correlx.model, scan=scan.name, source=scan.source)
        name = source or scan.source
        clocks = {
            self.station_name(c.station): (c.reference, c.offset, c.rate)
            for c in self.session.clock
        }
        inputs = {
            "orientation": str(getattr(self.earth.orientation, "origin", "given")),
            "ephemeris": self.earth.ephemeris.origin,
            "subdaily Earth rotation": ", ".join(self.earth.subdaily) or "none",
            "displacements": ", ".join(self.earth.displacements) or "none",
            "media": ", ".join(effect.name for effect in self.media) or "none",
        }
        return make_delay_model(
            scan.name,
            name,
            self.source(name),
            self.stations(scan),
            scan.span,
            self.earth,
            clocks=clocks,
            jumps={
                self.station_name(c.station): [(jump.at, jump.size) for jump in c.jump]
                for c in self.session.clock
            },
            media=self.media,
            frequency=self.frequency,
            inputs=inputs,
        )

    def uvw(self, scan: ScanSection, baselines: Sequence[tuple[str, str]], epoch: Epoch) -> Floats:
        """Return baseline coordinates at epochs, shape (time, baseline, 3), m."""
        source = self.source(scan.source)
        centre = self.earth.station_state(None, epoch)
        if isinstance(source, np.ndarray):
            direction = np.broadcast_to(source, (len(epoch), 3))
        else:
            direction = down_leg(centre, source, self.earth.ephemeris).direction
        places = {
            name: self.earth.station_state(self.catalogue.get(name), epoch).position
            for name in {n for pair in baselines for n in pair}
        }
        found = [uvw(direction, places[b] - places[a]) for a, b in baselines]
        return np.stack(found, axis=1)

    # -- the target ----------------------------------------------------------

    @property
    def spacecraft(self) -> SpacecraftSection:
        """The target's section.

        Raises
        ------
        MissingDataError
            Where the session has no spacecraft.
        """
        if not isinstance(self.session.target, SpacecraftSection):
            raise MissingDataError(
                "the session has no spacecraft.",
                place=str(self.context.directory),
                next_step='Add [target] with kind = "spacecraft" to session.toml.',
            )
        return self.session.target

    @cached_property
    def orbit_target(self) -> OrbitTarget:
        """The spacecraft's motion as a function of its parameters."""
        section = self.spacecraft
        state = np.array([*section.position, *section.velocity])
        initial = OrbitState(section.state_epoch, state, section.center, section.name)
        forces = ForceModel(area_over_mass=section.area_over_mass)
        epochs = [*self.epochs, *(e for scan in self.session.scan for e in scan.span)]
        both = Epoch.concatenate([e[None] for e in epochs or [initial.epoch]]).to("tdb")
        first, last = both.first(), both.last()
        earth = self.earth.ephemeris.state("EARTH", section.center, initial.epoch)
        light_time = float(np.linalg.norm(state[:3] - earth[:3])) / C
        # the target may come or go at 60 km/s in the meantime
        moved = 2e-4 * max(abs(float(e.since(initial.epoch))) for e in (first, last))
        span = first.shifted(-light_time - moved - _MARGIN), last.shifted(_MARGIN)
        return OrbitTarget(initial, forces, span)

    @cached_property
    def trajectory(self) -> PropagatedTrajectory:
        """The a-priori orbit."""
        return self.orbit_target.trajectory(self.orbit_target.values)

    def light_time(self, epoch: Epoch) -> Floats:
        """Return the light time from the a-priori target to the geocentre, s."""
        centre = self.earth.station_state(None, epoch)
        return down_leg(centre, self.trajectory, self.earth.ephemeris).light_time

    def tone_spec(self, scan: ScanSection) -> ToneSpec:
        """Return the tones as they should arrive at the geocentre."""
        section = self.session.tones
        assert section is not None  # the stage applies only where it is given
        start = scan.span[0]
        step = 10.0
        near = self.light_time(start.shifted(step * np.array([-1.0, 0.0, 1.0])))
        doppler = 1.0 - (near[2] - near[0]) / (2 * step)
        drift = -(near[2] - 2 * near[1] + near[0]) / step**2
        return ToneSpec(
            section.carrier * doppler,
            section.carrier * drift,
            {tone_name(ratio, section.carrier): ratio for ratio in section.ratios},
            section.search,
        )

    def delay_uncertainty(self, epoch: Epoch) -> float:
        """Return how uncertain the spacecraft's delay is beforehand on any baseline, s."""
        section = self.spacecraft
        elapsed = abs(float(epoch.since(section.state_epoch)))
        across = np.hypot(section.sigma_position, section.sigma_velocity * elapsed)
        distance = C * float(self.light_time(epoch[None] if epoch.shape == () else epoch)[0])
        zenith = 3.0 * self.session.troposphere.sigma
        baseline = min(_LONGEST, self._longest_baseline())
        return float(np.hypot(across / distance * baseline, zenith)) / C

    def _longest_baseline(self) -> float:
        places = [self.catalogue.get(r.station).position for r in self.session.recording]
        return max((float(np.linalg.norm(a - b)) for a in places for b in places), default=_LONGEST)


def tone_name(ratio: float, carrier: float) -> str:
    """Return a tone's name: ``"carrier"``, or its offset in MHz such as ``"+19"``."""
    if ratio == 1.0:
        return "carrier"
    return f"{(ratio - 1.0) * carrier / 1e6:+.6g} MHz"


def station_names(sections: Sequence[RecordingSection]) -> tuple[str, ...]:
    """Return the stations of recordings, each once, in order of appearance."""
    return tuple(dict.fromkeys(section.station for section in sections))
