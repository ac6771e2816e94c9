"""The forward model as tracking data asks it: which observable, over which path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.estimate.ramps import oscillator_of, ramps_of
from kitestring.model.earth import EarthModel
from kitestring.model.observable import Kind, StationClock
from kitestring.model.parts import Parts, scale_parts, sum_parts
from kitestring.model.predict import Event, Prediction, Predictor
from kitestring.model.sight import Effect
from kitestring.model.sources import get_source
from kitestring.model.stations import StationCatalogue
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.observables.types import Observables, UplinkRamps

Floats = NDArray[np.float64]

_START_OF_COUNT = {"start": 0.0, "middle": 0.5, "end": 1.0}
_RATE_STEP = 4.0  # s; the difference of fourth order errs by 1e-20 of truncation and 1e-15 of noise
_RATE_WEIGHTS = ((-2.0, 1.0 / 12.0), (-1.0, -2.0 / 3.0), (1.0, 2.0 / 3.0), (2.0, -1.0 / 12.0))


def count_start(observables: Observables) -> Epoch:
    """Return the start of each count, UTC."""
    fraction = _START_OF_COUNT[observables.epoch_reference]
    return observables.epoch.shifted(-fraction * observables.count)


def count_middle(observables: Observables) -> Epoch:
    """Return the middle of each count, UTC."""
    fraction = _START_OF_COUNT[observables.epoch_reference]
    return observables.epoch.shifted((0.5 - fraction) * observables.count)


@dataclass(frozen=True)
class ForwardModel:
    """Everything but the target that predicted observables depend on.

    Attributes
    ----------
    earth : EarthModel
        Where stations are.
    ramps : sequence of UplinkRamps
        What stations (or the target's own oscillator) transmitted.
    media : sequence of Effect
        What a station's sky adds.
    stations : StationCatalogue
        Where participants are looked up; the package's own unless given.
    directions : mapping of str to ndarray, shape (3,)
        Unit vectors to reference sources that the catalogue does not hold.
    clocks : mapping of str to StationClock
        By any name of a station, for Doppler and range.
    frequency : float or None
        Sky frequency of delays and ranges, Hz, for plasma.
    """

    earth: EarthModel
    ramps: Sequence[UplinkRamps] = ()
    media: Sequence[Effect] = ()
    stations: StationCatalogue = field(default_factory=StationCatalogue.default)
    directions: Mapping[str, Floats] = field(default_factory=dict)
    clocks: Mapping[str, StationClock] = field(default_factory=dict)
    frequency: float | None = None

    def predict(self, observables: Observables, trajectory: Trajectory) -> Prediction:
        """Predict observables of any kind that the estimator takes.

        Parameters
        ----------
        observables : Observables
            What was measured; only its path and epochs matter.
        trajectory : Trajectory
            Where the target is.

        Returns
        -------
        Prediction
            A delta-DOR is the delay of the target minus that of the reference
            source at the same epoch at station 1. A delay rate is the rate of the
            delay at the middle of the count, less that of the reference source
            where the path names one. A one-way range is by a clock of TDB on board.

        Raises
        ------
        ConfigurationError
            For a kind or path that is not modelled.
        UnknownNameError
            For a station (one with a clock too) or reference source in no catalogue.
        MissingDataError
            Where the uplink frequency is not known.
        """
        path, kind, get = observables.path, observables.kind, self.stations.get
        clocks = {get(name).name: clock for name, clock in self.clocks.items()}
        predictor = Predictor(
            self.earth, trajectory, self.media, frequency=self.frequency, clocks=clocks
        )
        if len(path.participants) == 2:
            receiver = path.participants[1]
            if kind is Kind.DOPPLER:
                return predictor.one_way_doppler(
                    get(receiver),
                    count_start(observables),
                    observables.count,
                    oscillator_of(self.ramps, path.participants[0]),
                    path.receive_delay,
                )
            if kind is Kind.RANGE:
                return predictor.one_way_range(get(receiver), observables.epoch, path.receive_delay)
        if len(path.participants) == 3:
            ends = path.participants[0], path.participants[2]
            if kind is Kind.DOPPLER:
                return predictor.doppler(
                    get(ends[0]),
                    get(ends[1]),
                    count_start(observables),
                    observables.count,
                    ramps_of(self.ramps, ends[0], path.uplink_band, self.stations),
                    path.turnaround,
                    path.equipment,
                )
            if kind is Kind.RANGE:
                return predictor.range(
                    get(ends[0]),
                    get(ends[1]),
                    observables.epoch,
                    path.equipment,
                    path.turnaround or 1.0,  # a range may come without
                )
            if kind in (Kind.DELAY, Kind.DELTA_DOR, Kind.DELAY_RATE):
                return self._delay(observables, predictor)
        raise ConfigurationError(
            f"{kind} over {path} is not modelled.",
            next_step="Leave it out, or give it as one-, two- or three-way Doppler, two- or "
            "three-way range, delay, delay rate or delta-DOR.",
        )

    def _delay(self, observables: Observables, predictor: Predictor) -> Prediction:
        """Predict delay, delta-DOR or delay rate."""
        path, kind = observables.path, observables.kind
        stations = self.stations.get(path.participants[1]), self.stations.get(path.participants[2])
        source = path.reference_source
        if kind is Kind.DELTA_DOR and not source:
            raise ConfigurationError(
                f"the delta-DOR over {path} names no reference source.",
                next_step="Set reference_source of its path, or call it a delay.",
            )

        def delay(received: Epoch) -> Prediction:
            # a rate is measured by the phase
            group = kind is not Kind.DELAY_RATE
            found = predictor.delay(*stations, received, group=group)
            if kind is Kind.DELAY or not source:
                return found
            known = self.directions.get(source)
            direction = get_source(source).direction if known is None else known
            reference = predictor.reference_delay(direction, *stations, received, group=group)
            parts = sum_parts(found.parts, scale_parts(reference.parts, -1.0))
            return replace(found, value=found.value - reference.value, parts=parts)

        if kind is not Kind.DELAY_RATE:
            return delay(observables.epoch)
        middle = count_middle(observables)
        value, parts = np.zeros(len(middle)), Parts()
        events = []
        for steps, weight in _RATE_WEIGHTS:
            found = delay(middle.shifted(steps * _RATE_STEP))
            share = weight / _RATE_STEP
            value += share * found.value
            parts = sum_parts(parts, scale_parts(found.parts, share))
            events += [Event(e.epoch, share * e.partial) for e in found.events]
        return Prediction(value, tuple(events), found.elevation, parts)
