"""From tracking data to an estimate: the forward model in front of the estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from kitestring.errors import ConfigurationError
from kitestring.estimate.batch import batch_least_squares
from kitestring.estimate.ramps import oscillator_of, ramps_of
from kitestring.estimate.types import (
    Correlated,
    Editing,
    Measurements,
    Parameter,
    ResidualTable,
    Solution,
    Texts,
)
from kitestring.model.earth import EarthModel
from kitestring.model.observable import Kind
from kitestring.model.predict import Event, Media, Prediction, Predictor, quasar_delay
from kitestring.model.sources import get_source
from kitestring.model.stations import Station, StationCatalogue
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.observables.types import Observables, UplinkRamps

Floats = NDArray[np.float64]

ArcNames = Callable[[Observables], Texts]
"""Names the arc of each row: rows with the same name share a bias, those without one have none."""

UNITS = {
    Kind.DELAY: "s",
    Kind.DELAY_RATE: "s/s",
    Kind.DELTA_DOR: "s",
    Kind.DOPPLER: "Hz",
    Kind.RANGE: "s",
}
"""Unit of each kind of observable."""

_START_OF_COUNT = {"start": 0.0, "middle": 0.5, "end": 1.0}
_RATE_STEP = 4.0  # s; the difference of fourth order errs by 1e-20 of truncation and 1e-15 of noise
_RATE_WEIGHTS = ((-2.0, 1.0 / 12.0), (-1.0, -2.0 / 3.0), (1.0, 2.0 / 3.0), (2.0, -1.0 / 12.0))


class Target(Protocol):
    """A target whose motion follows from a few parameters."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""

    @property
    def values(self) -> Floats:
        """First guess of the parameters, shape (p,)."""

    def trajectory(self, values: Floats) -> Trajectory:
        """Return where the target is for these parameter values."""

    def position_partial(self, values: Floats, epoch: Epoch) -> Floats:
        """Return d(position, ICRF axes)/d(parameters) at TDB epochs, shape (n, 3, p)."""


@dataclass(frozen=True)
class Computed:
    """What a set of observables should be, and how it moves with the parameters.

    Attributes
    ----------
    value : ndarray, shape (n,)
        In the observables' unit.
    partial : ndarray, shape (n, p)
        d(value)/d(parameters).
    elevation : ndarray, shape (n,)
        Elevation at the receiver, rad.
    """

    value: Floats
    partial: Floats
    elevation: Floats


def count_start(observables: Observables) -> Epoch:
    """Return the start of each count, UTC."""
    fraction = _START_OF_COUNT[observables.epoch_reference]
    return observables.epoch.shifted(-fraction * observables.count)


def count_middle(observables: Observables) -> Epoch:
    """Return the middle of each count, UTC."""
    fraction = _START_OF_COUNT[observables.epoch_reference]
    return observables.epoch.shifted((0.5 - fraction) * observables.count)


def predict_observables(
    observables: Observables,
    predictor: Predictor,
    ramps: Sequence[UplinkRamps] = (),
    stations: StationCatalogue | None = None,
    directions: Mapping[str, Floats] | None = None,
) -> Prediction:
    """Predict observables of any kind that the estimator takes.

    Parameters
    ----------
    observables : Observables
        What was measured; only its path and epochs matter.
    predictor : Predictor
        The target and the media.
    ramps : sequence of UplinkRamps
        What stations transmitted.
    stations : StationCatalogue, optional
        Where participants are looked up; the package's own unless given.
    directions : mapping of str to ndarray, shape (3,), optional
        Unit vectors to reference sources that the catalogue does not hold.

    Returns
    -------
    Prediction
        A delta-DOR is the delay of the target minus that of the reference
        source at the same epoch at station 1. A delay rate is the rate of the
        delay at the middle of the count, less that of the reference source
        where the path names one.

    Raises
    ------
    ConfigurationError
        For a kind or path that is not modelled.
    UnknownNameError
        For a station or reference source in no catalogue.
    MissingDataError
        Where the uplink frequency is not known.
    """
    path, kind = observables.path, observables.kind
    get = (stations or StationCatalogue.default()).get
    if len(path.participants) == 2 and kind is Kind.DOPPLER:
        return predictor.one_way_doppler(
            get(path.participants[1]),
            count_start(observables),
            observables.count,
            oscillator_of(ramps, path.participants[0]),
            path.receive_delay,
        )
    if len(path.participants) == 3:
        if kind is Kind.DOPPLER:
            return predictor.doppler(
                get(path.participants[0]),
                get(path.participants[2]),
                count_start(observables),
                observables.count,
                ramps_of(ramps, path.participants[0], path.uplink_band, stations),
                path.turnaround,
                (path.transmit_delay, path.receive_delay),
            )
        if kind is Kind.RANGE:
            received = observables.epoch.shifted(-path.receive_delay)
            found = predictor.range(get(path.participants[0]), get(path.participants[2]), received)
            equipment = path.transmit_delay + path.receive_delay
            return Prediction(found.value + equipment, found.events, found.elevation)
        if kind in (Kind.DELAY, Kind.DELTA_DOR, Kind.DELAY_RATE):
            return _predict_delay(observables, predictor, get, directions or {})
    raise ConfigurationError(
        f"{kind} over {path} is not modelled.",
        next_step="Leave it out, or give it as one-, two- or three-way Doppler, two- or three-way "
        "range, delay, delay rate or delta-DOR.",
    )


def _predict_delay(
    observables: Observables,
    predictor: Predictor,
    get: Callable[[str], Station],
    directions: Mapping[str, Floats],
) -> Prediction:
    """Predict delay, delta-DOR or delay rate."""
    path, kind = observables.path, observables.kind
    station1, station2 = get(path.participants[1]), get(path.participants[2])
    source = path.reference_source
    if kind is Kind.DELTA_DOR and not source:
        raise ConfigurationError(
            f"the delta-DOR over {path} names no reference source.",
            next_step="Set reference_source of its path, or call it a delay.",
        )

    def delay(received: Epoch) -> Prediction:
        found = predictor.delay(station1, station2, received)
        if kind is Kind.DELAY or not source:
            return found
        known = directions.get(source)
        direction = get_source(source).direction if known is None else known
        value = found.value - _reference_delay(predictor, direction, station1, station2, received)
        return Prediction(value, found.events, found.elevation)

    if kind is not Kind.DELAY_RATE:
        return delay(observables.epoch)
    middle = count_middle(observables)
    value = np.zeros(len(middle))
    events = []
    for steps, weight in _RATE_WEIGHTS:
        found = delay(middle.shifted(steps * _RATE_STEP))
        value += weight / _RATE_STEP * found.value
        events += [Event(e.epoch, weight / _RATE_STEP * e.partial) for e in found.events]
    return Prediction(value, tuple(events), found.elevation)


def _reference_delay(
    predictor: Predictor, direction: Floats, station1: Station, station2: Station, received: Epoch
) -> Floats:
    """Return the delay of a quasar with what antennas and sky add, s."""
    found, state1, state2 = quasar_delay(predictor.earth, station1, station2, direction, received)
    added = predictor.station_delay(station2, state2, found.direction2)
    return found.delay + added - predictor.station_delay(station1, state1, found.direction1)


def compute(
    observables: Observables,
    target: Target,
    values: Floats,
    earth: EarthModel,
    ramps: Sequence[UplinkRamps] = (),
    media: Sequence[Media] = (),
    stations: StationCatalogue | None = None,
    directions: Mapping[str, Floats] | None = None,
) -> Computed:
    """Return computed values and partials of observables for parameter values.

    A set of which every row is flagged is not computed: NaN. It may be that it
    cannot be.
    """
    if not observables.good.any():
        empty = np.full(len(observables), np.nan)
        return Computed(empty, np.zeros((len(observables), len(values))), empty)
    predictor = Predictor(earth, target.trajectory(values), media)
    found = predict_observables(observables, predictor, ramps, stations, directions)
    partial = sum(
        np.einsum("ni,nip->np", event.partial, target.position_partial(values, event.epoch))
        for event in found.events
    )
    return Computed(found.value, np.asarray(partial), found.elevation)


def measurements(
    observables: Sequence[Observables],
    *,
    covariance: Floats | None = None,
    arc_of: ArcNames | None = None,
) -> Measurements:
    """Join sets of observables into the data of one fit, in their order.

    Parameters
    ----------
    observables : sequence of Observables
        What was measured. Flagged rows stay flagged.
    covariance : ndarray, shape (m, m), optional
        Joint covariance of the m rows of the leading sets, in place of their
        own sigmas and covariances; the sets behind keep theirs.
    arc_of : callable, optional
        Names of arcs with a bias of their own, such as passes.

    Raises
    ------
    ConfigurationError
        Where there are no observables, or the covariance has another shape.
    """
    if not observables:
        raise ConfigurationError(
            "there are no observables.", next_step="Give at least one set of them."
        )
    ends = np.cumsum([len(o) for o in observables])
    size, own = int(ends[-1]), 0
    groups: list[Correlated] = []
    sigmas: list[Floats] = []
    if covariance is not None:
        if len(covariance) not in ends or covariance.shape != (len(covariance),) * 2:
            raise ConfigurationError(
                f"a covariance of shape {covariance.shape} does not belong to sets that end after "
                f"rows {', '.join(str(e) for e in ends)}.",
                next_step="Give it over all rows of the leading sets, in their order.",
            )
        own = 1 + ends.tolist().index(len(covariance))
        groups += _correlated(covariance, 0)
        sigmas.append(np.sqrt(np.diag(covariance)))
    for o, end in zip(observables[own:], ends[own:].tolist(), strict=True):
        if o.covariance is not None:
            groups += _correlated(o.covariance, end - len(o))
        sigmas.append(o.sigma if o.covariance is None else np.sqrt(np.diag(o.covariance)))
    return Measurements(
        np.concatenate([o.value for o in observables]),
        np.concatenate(sigmas),
        np.concatenate([o.flag for o in observables]),
        np.concatenate([arc_of(o) for o in observables]) if arc_of else np.full(size, ""),
        np.concatenate([np.full(len(o), f"{o.kind} ({UNITS[o.kind]})") for o in observables]),
        tuple(groups),
    )


def _correlated(covariance: Floats, first: int) -> list[Correlated]:
    """Return the groups of rows that a covariance ties together; rows count from `first`."""
    number, part = connected_components(covariance != 0.0, directed=False)
    groups = []
    for k in range(number):
        rows = np.flatnonzero(part == k)
        if len(rows) > 1:
            groups.append(Correlated(first + rows, covariance[np.ix_(rows, rows)]))
    return groups


def fit_target(
    target: Target,
    observables: Sequence[Observables],
    parameters: Sequence[Parameter],
    *,
    earth: EarthModel,
    ramps: Sequence[UplinkRamps] = (),
    media: Sequence[Media] = (),
    apriori_covariance: Floats | None = None,
    covariance: Floats | None = None,
    editing: Editing | None = None,
    arc_of: ArcNames | None = None,
    bias_sigma: float = np.inf,
    most_iterations: int = 25,
    stations: StationCatalogue | None = None,
    directions: Mapping[str, Floats] | None = None,
) -> tuple[Solution, ResidualTable]:
    """Fit a target's parameters to observables.

    Parameters
    ----------
    target : Target
        An `OrbitTarget`, a `LanderTarget` or the like.
    observables : sequence of Observables
        What was measured; flagged rows get residuals but no weight.
    parameters : sequence of Parameter
        One for each of `target.names`, in their order: first guesses,
        a-priori sigmas, and which are only considered.
    earth : EarthModel
        Where stations are.
    ramps : sequence of UplinkRamps
        What stations transmitted.
    media : sequence of Media
        Delays of the stations' sky.
    apriori_covariance : ndarray, shape (q, q), optional
        Of the estimated parameters, in place of their sigmas.
    covariance : ndarray, shape (m, m), optional
        Joint covariance of the m rows of the leading sets, for baselines that
        share a station; in place of their own (see `measurements`).
    editing : Editing, optional
        How outliers are told.
    arc_of : callable, optional
        Names of arcs with an additive bias of their own, such as passes.
    bias_sigma : float
        A-priori sigma of these biases, unit of the observables.
    most_iterations : int
        When to give up.
    stations : StationCatalogue, optional
        Where participants are looked up; the package's own unless given.
    directions : mapping of str to ndarray, shape (3,), optional
        Unit vectors to reference sources that the catalogue does not hold.

    Returns
    -------
    solution : Solution
        Its parameters are those of `parameters`.
    residuals : ResidualTable
        Every row, in the order of `observables`.

    Raises
    ------
    ConfigurationError
        Where the parameters are not those of the target, or a kind of
        observable is not modelled.
    EstimationError
        As from `kitestring.estimate.batch.batch_least_squares`.
    """
    names = tuple(p.name for p in parameters)
    if names != tuple(target.names):
        raise ConfigurationError(
            f"the parameters {names} are not those of the target.",
            next_step=f"Give one for each of {tuple(target.names)}, in this order.",
        )
    data = measurements(observables, covariance=covariance, arc_of=arc_of)

    def model(values: Floats) -> tuple[Floats, Floats]:
        found = [
            compute(o, target, values, earth, ramps, media, stations, directions)
            for o in observables
        ]
        return np.concatenate([f.value for f in found]), np.vstack([f.partial for f in found])

    solution = batch_least_squares(
        model,
        data,
        parameters,
        apriori_covariance=apriori_covariance,
        bias_sigma=bias_sigma,
        editing=editing,
        most_iterations=most_iterations,
    )
    label, epoch = _labels(observables)
    return solution, ResidualTable.of(label, epoch, data, solution)


def _labels(observables: Sequence[Observables]) -> tuple[Texts, Epoch]:
    label = np.concatenate([np.full(len(o), f"{o.kind} {o.path}") for o in observables])
    return label, Epoch.concatenate([o.epoch for o in observables])


def residuals_at(
    target: Target,
    values: Floats,
    observables: Sequence[Observables],
    *,
    earth: EarthModel,
    ramps: Sequence[UplinkRamps] = (),
    media: Sequence[Media] = (),
    stations: StationCatalogue | None = None,
    directions: Mapping[str, Floats] | None = None,
) -> ResidualTable:
    """Compare observables with what they should be for given parameter values; nothing is fitted.

    Parameters are those of `fit_target`.
    """
    predictor = Predictor(earth, target.trajectory(values), media)
    computed = np.concatenate(
        [
            predict_observables(o, predictor, ramps, stations, directions).value
            if o.good.any()
            else np.full(len(o), np.nan)
            for o in observables
        ]
    )
    observed = np.concatenate([o.value for o in observables])
    label, epoch = _labels(observables)
    return ResidualTable(
        label,
        epoch,
        observed,
        computed,
        observed - computed,
        np.concatenate([o.sigma for o in observables]),
        np.concatenate([o.flag for o in observables]),
    )
