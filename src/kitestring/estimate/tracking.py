"""From tracking data to an estimate: targets and observables in front of the estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from kitestring.errors import ConfigurationError
from kitestring.estimate.batch import batch_least_squares
from kitestring.estimate.forward import ForwardModel
from kitestring.estimate.types import (
    Correlated,
    Editing,
    Measurements,
    Parameter,
    ResidualTable,
    Solution,
    Texts,
)
from kitestring.model.observable import Kind
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.observables.types import Observables

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


def compute(
    observables: Observables, target: Target, values: Floats, model: ForwardModel
) -> Computed:
    """Return computed values and partials of observables for parameter values.

    A set of which every row is flagged is not computed: NaN. It may be that it
    cannot be.
    """
    if not observables.good.any():
        empty = np.full(len(observables), np.nan)
        return Computed(empty, np.zeros((len(observables), len(values))), empty)
    found = model.predict(observables, target.trajectory(values))
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
    model: ForwardModel,
    *,
    apriori_covariance: Floats | None = None,
    covariance: Floats | None = None,
    editing: Editing | None = None,
    arc_of: ArcNames | None = None,
    bias_sigma: float = np.inf,
    most_iterations: int = 25,
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
    model : ForwardModel
        What predicts them.
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

    def computed(values: Floats) -> tuple[Floats, Floats]:
        found = [compute(o, target, values, model) for o in observables]
        return np.concatenate([f.value for f in found]), np.vstack([f.partial for f in found])

    solution = batch_least_squares(
        computed,
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
    target: Target, values: Floats, observables: Sequence[Observables], model: ForwardModel
) -> ResidualTable:
    """Compare observables with what they should be for given parameter values; nothing is fitted.

    Parameters are those of `fit_target`.
    """
    trajectory = target.trajectory(values)
    computed = np.concatenate(
        [
            model.predict(o, trajectory).value if o.good.any() else np.full(len(o), np.nan)
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
