"""What is estimated, from what, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, EstimationError, UnknownNameError
from kitestring.model.time import Epoch

if TYPE_CHECKING:
    from kitestring.dynamics.propagate import PropagatedTrajectory

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]

OUTLIER = "outlier"
NOT_FINITE = "not finite"
NOT_MODELLED = "not modelled"


@dataclass(frozen=True)
class Parameter:
    """A number to be estimated, or one whose uncertainty is to be considered.

    Attributes
    ----------
    name : str
        What the solution calls it.
    value : float
        First guess, which is the a-priori value too.
    sigma : float
        A-priori standard deviation; infinite where nothing is known.
    unit : str
        For tables, such as ``"m"``.
    consider : bool
        Keep the value, but let its sigma enlarge the covariance of the others.
    """

    name: str
    value: float
    sigma: float = np.inf
    unit: str = ""
    consider: bool = False

    def __post_init__(self) -> None:
        if not self.sigma > 0.0 or not np.isfinite(self.value):
            raise ConfigurationError(
                f"parameter {self.name} = {self.value} +- {self.sigma} is no a-priori value.",
                next_step="Give a finite value and a positive sigma (infinite where free).",
            )
        if self.consider and not np.isfinite(self.sigma):
            raise ConfigurationError(
                f"consider parameter {self.name} has no finite sigma.",
                next_step="Say how uncertain it is, or estimate it.",
            )


@dataclass(frozen=True, eq=False)
class Correlated:
    """Rows of the data whose errors are correlated.

    Attributes
    ----------
    rows : ndarray of int, shape (k,)
        Which ones.
    covariance : ndarray, shape (k, k)
        Full covariance; it takes the place of the rows' sigmas.
    """

    rows: NDArray[np.int64]
    covariance: Floats


@dataclass(frozen=True, eq=False)
class Measurements:
    """Data of a least-squares fit: plain numbers, whatever they measure.

    Attributes
    ----------
    value : ndarray, shape (n,)
        Measured values.
    sigma : ndarray, shape (n,)
        Standard deviations, same unit.
    flag : ndarray of str, shape (n,)
        Why a row is not to be used; empty where good.
    arc : ndarray of str, shape (n,)
        Rows with the same name share an unknown additive bias; none where empty.
    kind : ndarray of str, shape (n,)
        Rows of one kind share the scale that outliers are judged by.
    correlated : tuple of Correlated
        Groups of rows with correlated errors; a row is in one at most.
    """

    value: Floats
    sigma: Floats
    flag: Texts = field(default_factory=lambda: np.zeros(0, dtype="U1"))
    arc: Texts = field(default_factory=lambda: np.zeros(0, dtype="U1"))
    kind: Texts = field(default_factory=lambda: np.zeros(0, dtype="U1"))
    correlated: tuple[Correlated, ...] = ()

    def __post_init__(self) -> None:
        value = np.atleast_1d(np.asarray(self.value, dtype=np.float64))
        n = len(value)
        sigma = np.array(np.broadcast_to(np.asarray(self.sigma, dtype=np.float64), (n,)))
        object.__setattr__(self, "value", value)
        for name in ("flag", "arc", "kind"):
            given = np.asarray(getattr(self, name))
            if given.size == 0 and n:
                given = np.full(n, "", dtype="U1")
            if given.shape != (n,):
                raise ConfigurationError(f"{name} has shape {given.shape}, not ({n},).")
            object.__setattr__(self, name, given.astype(str))
        seen = np.zeros(n, dtype=np.int64)
        for group in self.correlated:
            k = len(group.rows)
            if group.covariance.shape != (k, k):
                raise ConfigurationError(
                    f"a covariance of shape {group.covariance.shape} does not belong to {k} rows."
                )
            seen[group.rows] += 1
            sigma[group.rows] = np.sqrt(np.diag(group.covariance))
        if np.any(seen > 1):
            raise ConfigurationError(
                f"row {int(np.argmax(seen > 1))} is in two covariances.",
                next_step="Join them into one.",
            )
        object.__setattr__(self, "sigma", sigma)

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Editing:
    """How outliers are told.

    A row is set aside where its residual exceeds `threshold` times its sigma
    times the robust scale of its kind, and comes back when it no longer does.
    The scale is 1.4826 times the median of |residual| / sigma, but never below
    1: a row within `threshold` of its own stated sigmas is never an outlier. A
    kind with fewer than five rows has no robust scale and is judged by 1.

    Attributes
    ----------
    threshold : float
        In robust standard deviations; infinite for no editing.
    most : float
        Largest fraction of the usable rows that may be set aside.
    """

    threshold: float = 5.0
    most: float = 0.25


@dataclass(frozen=True)
class Bias:
    """The estimated additive bias of one arc.

    Attributes
    ----------
    value, sigma : float
        In the unit of the data; the sigma includes that of the parameters.
    """

    value: float
    sigma: float


@dataclass(frozen=True, eq=False)
class Solution:
    """The outcome of a least-squares fit.

    Attributes
    ----------
    names, units : tuple of str, length p
        The estimated parameters.
    values : ndarray, shape (p,)
        Their values.
    apriori_sigmas : ndarray, shape (p,)
        Their a-priori sigmas (infinite where free).
    covariance : ndarray, shape (p, p)
        Covariance with the effect of the consider parameters.
    noise_covariance : ndarray, shape (p, p)
        The same without: data noise and a-priori information only.
    consider : mapping of str to float
        Consider parameters and their sigmas.
    sensitivity : ndarray, shape (p, c)
        Change of the estimate per unit change of each consider parameter.
    biases : mapping of str to Bias
        By arc.
    computed : ndarray, shape (n,)
        Model at the solution, biases included.
    residuals : ndarray, shape (n,)
        Measured minus computed, set-aside rows too.
    flags : ndarray of str, shape (n,)
        The input's flags, ``"not finite"``, ``"not modelled"`` (the model gives
        no number), ``"outlier"``, or empty where used.
    iterations : int
        How many it took.
    rms : float
        Root mean square of the used residuals, unit of the data.
    weighted_rms : float
        The same of residual over sigma.
    chi2 : float
        Weighted sum of squares at the minimum, a-priori terms included and
        correlations respected.
    dof : int
        Its degrees of freedom: used rows and a-priori values, less parameters
        and biases.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Floats
    apriori_sigmas: Floats
    covariance: Floats
    noise_covariance: Floats
    consider: Mapping[str, float]
    sensitivity: Floats
    biases: Mapping[str, Bias]
    computed: Floats
    residuals: Floats
    flags: Texts
    iterations: int
    rms: float
    weighted_rms: float
    chi2: float
    dof: int

    @property
    def used(self) -> NDArray[np.bool_]:
        """Rows that the solution rests on."""
        return np.asarray(self.flags == "")

    @property
    def sigmas(self) -> Floats:
        """Standard deviations of the parameters, consider effects included."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def observability(self) -> Floats:
        """A-priori over posterior sigma: 1 where the data say nothing, infinite where free."""
        return self.apriori_sigmas / self.sigmas

    @property
    def correlation(self) -> Floats:
        """Correlation matrix of the parameters."""
        return self.covariance / np.outer(self.sigmas, self.sigmas)

    def __getitem__(self, name: str) -> tuple[float, float]:
        """Return value and sigma of a parameter."""
        if name not in self.names:
            raise UnknownNameError("estimated parameter", name, self.names)
        i = self.names.index(name)
        return float(self.values[i]), float(self.sigmas[i])

    def consider_effect(self, name: str) -> Floats:
        """Return the shift of the estimate by one sigma of a consider parameter, shape (p,)."""
        if name not in self.consider:
            raise UnknownNameError("consider parameter", name, self.consider)
        column = list(self.consider).index(name)
        return self.sensitivity[:, column] * self.consider[name]


@dataclass(frozen=True, eq=False)
class ResidualTable:
    """Every observation that went into a fit, and what became of it.

    Attributes
    ----------
    label : ndarray of str, shape (n,)
        Kind and path.
    epoch : Epoch, shape (n,)
        Time tag, UTC.
    observed, computed, residual, sigma : ndarray, shape (n,)
        In the observable's unit; residual is observed minus computed.
    flag : ndarray of str, shape (n,)
        Why a row was not used; empty where it was.
    """

    label: Texts
    epoch: Epoch
    observed: Floats
    computed: Floats
    residual: Floats
    sigma: Floats
    flag: Texts

    def __len__(self) -> int:
        return len(self.observed)

    @classmethod
    def of(
        cls, label: Texts, epoch: Epoch, data: Measurements, solution: Solution
    ) -> ResidualTable:
        """Make the table of a solution."""
        return cls(
            label,
            epoch,
            data.value,
            solution.computed,
            solution.residuals,
            data.sigma,
            solution.flags,
        )


@dataclass(frozen=True, eq=False)
class OrbitSolution:
    """A determined orbit: numbers, how good they are, and where it leads.

    It is a `kitestring.model.trajectory.Trajectory`.

    Attributes
    ----------
    trajectory : PropagatedTrajectory
        The orbit at the solution, with its transition matrix.
    solution : Solution
        Of the fit. Its first parameters are the six of the state and those of
        the force model, in the order of `PropagatedTrajectory.transition`;
        others (clocks, stations) may follow.
    residual_table : ResidualTable
        Every observation.
    frame : str
        Axes of all vectors.
    """

    trajectory: PropagatedTrajectory
    solution: Solution
    residual_table: ResidualTable
    frame: str = "ICRF"

    def __post_init__(self) -> None:
        from kitestring.dynamics.types import STATE_NAMES

        wanted = (*STATE_NAMES, *self.trajectory.parameters)
        known = self.solution.names + tuple(self.solution.consider)
        missing = [name for name in wanted if name not in known]
        if missing[:1] and missing[0] in STATE_NAMES:
            raise EstimationError(
                f"the solution does not hold {', '.join(missing)} of the orbit.",
                next_step="Estimate the six components of the state under their own names.",
            )

    @property
    def epoch(self) -> Epoch:
        """Epoch of the state, TDB."""
        return self.trajectory.initial.epoch

    @property
    def initial_state(self) -> Floats:
        """The estimated state at `epoch`, shape (6,), m and m/s."""
        return self.trajectory.initial.state

    @property
    def name(self) -> str:
        """Name of the spacecraft."""
        return self.trajectory.name

    @property
    def center(self) -> str:
        """Centre of the states."""
        return self.trajectory.center

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """First and last epoch covered, TDB."""
        return self.trajectory.span

    def state(self, epoch: Epoch) -> Floats:
        """Return positions and velocities, shape (..., 6), m and m/s, relative to `center`."""
        return self.trajectory.state(epoch)

    def covariance(self, epoch: Epoch) -> Floats:
        """Return the covariance of the state at epochs, shape (..., 6, 6), consider effects too.

        Estimated parameters map through the transition matrix, consider
        parameters of the orbit directly as well as through the estimate.
        """
        from kitestring.dynamics.types import STATE_NAMES

        wanted = [*STATE_NAMES, *self.trajectory.parameters]
        transition = self.trajectory.transition(epoch)
        solution = self.solution
        estimated = np.zeros((*transition.shape[:-1], len(solution.names)))
        considered = np.zeros((*transition.shape[:-1], len(solution.consider)))
        for column, name in enumerate(wanted):
            if name in solution.names:
                estimated[..., solution.names.index(name)] = transition[..., column]
            elif name in solution.consider:
                considered[..., list(solution.consider).index(name)] = transition[..., column]
        noise = estimated @ solution.noise_covariance @ np.swapaxes(estimated, -1, -2)
        sigmas = np.array(list(solution.consider.values()))
        shift = (considered + estimated @ solution.sensitivity) * sigmas
        return np.asarray(noise + shift @ np.swapaxes(shift, -1, -2))
