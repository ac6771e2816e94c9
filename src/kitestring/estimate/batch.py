"""Batch least squares: Gauss-Newton on the square-root information filter.

Biases of arcs are eliminated arc by arc, so that their number costs nothing;
consider parameters keep their values and enlarge the covariance; outliers are
set aside anew in every iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kitestring.errors import ConfigurationError, EstimationError
from kitestring.estimate.filter import SquareRootInformation, triangle, whiten
from kitestring.estimate.types import (
    NOT_FINITE,
    NOT_MODELLED,
    OUTLIER,
    Bias,
    Editing,
    Measurements,
    Parameter,
    Solution,
    Texts,
)

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

Model = Callable[[Floats], tuple[Floats, Floats]]
"""(parameter values, shape (p,)) -> (computed (n,), partials (n, p)); all parameters in order."""

CONVERGED = 1e-3
"""A correction below this part of every sigma ends the iteration."""

STALLED = 5e-2
"""So does one below this that no longer shrinks: what is left is the model's rounding, such as
that of a light time of 1000 s, which is 40 microhertz in a count of 60 s."""

_MAD = 1.4826  # a normal distribution's sigma over its median absolute deviation
_FEW = 5  # rows of a kind: with fewer the median may be the outlier itself
_HALVINGS = 8
_NEAR = 0.1  # sigma; a correction below it always goes: rounding hides whether the cost falls
_STICKY = 10  # from this iteration on a row that was set aside stays so: no endless to and fro


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows that share arcs or correlations with one another, and with no others."""

    rows: Rows
    covariance: Floats | None  # None: uncorrelated


@dataclass(frozen=True, eq=False)
class _ArcRows:
    """What a block says about its arcs' biases, given the parameters: B b + X x = z."""

    arcs: tuple[str, ...]
    by_bias: Floats
    by_parameter: Floats
    right: Floats


def batch_least_squares(
    model: Model,
    data: Measurements,
    parameters: Sequence[Parameter],
    *,
    apriori_covariance: Floats | None = None,
    bias_sigma: float = np.inf,
    editing: Editing | None = None,
    most_iterations: int = 25,
) -> Solution:
    """Fit parameters to data.

    Parameters
    ----------
    model : callable
        Takes the values of all parameters (consider parameters among them),
        returns computed values, shape (n,), and partials, shape (n, p).
    data : Measurements
        What was measured.
    parameters : sequence of Parameter
        First guesses with their a-priori sigmas.
    apriori_covariance : ndarray, shape (q, q), optional
        Full a-priori covariance of the q estimated parameters, in place of
        their sigmas.
    bias_sigma : float
        A-priori sigma of every arc's bias about zero.
    editing : Editing, optional
        How outliers are told; `Editing()` unless given.
    most_iterations : int
        When to give up.

    Returns
    -------
    Solution

    Raises
    ------
    EstimationError
        Where there are no data; a combination of parameters is not determined
        (it is named); the iteration does not converge; or too many rows would
        have to be set aside.

    Examples
    --------
    >>> t = np.arange(5.0)
    >>> line = lambda x: (x[0] + x[1] * t, np.column_stack([np.ones(5), t]))
    >>> data = Measurements(1.0 + 0.5 * t, 0.1)
    >>> found = batch_least_squares(line, data, [Parameter("a", 0.0), Parameter("b", 0.0)])
    >>> [round(float(v), 6) for v in found.values]
    [1.0, 0.5]
    """
    fit = _Fit(model, data, tuple(parameters), apriori_covariance, bias_sigma, editing or Editing())
    return fit.run(most_iterations)


@dataclass(frozen=True, eq=False)
class _Point:
    """The model and its information at given parameter values and outliers."""

    values: Floats
    outlier: NDArray[np.bool_]
    flags: Texts
    computed: Floats
    partials: Floats
    information: SquareRootInformation  # on corrections of (estimated, consider) parameters
    inner: SquareRootInformation  # on the estimated ones alone
    arcs: list[_ArcRows]
    cost: float  # weighted sum of squares at the values, biases at their best


class _Fit:
    """One fit: its data sorted into blocks, and the iteration."""

    def __init__(
        self,
        model: Model,
        data: Measurements,
        parameters: tuple[Parameter, ...],
        apriori_covariance: Floats | None,
        bias_sigma: float,
        editing: Editing,
    ) -> None:
        names = [p.name for p in parameters]
        if len(set(names)) != len(names):
            raise ConfigurationError(f"two parameters share a name in {names}.")
        self.model = model
        self.data = data
        self.parameters = parameters
        self.estimated = np.array([i for i, p in enumerate(parameters) if not p.consider], int)
        self.considered = np.array([i for i, p in enumerate(parameters) if p.consider], int)
        if not len(self.estimated):
            raise ConfigurationError("there is no parameter to estimate.")
        self.names = tuple(parameters[i].name for i in self.estimated)
        self.bias_sigma = bias_sigma
        self.editing = editing
        self.apriori_sigmas = np.array([parameters[i].sigma for i in self.estimated])
        self.apriori_covariance = apriori_covariance
        if apriori_covariance is not None:
            self.apriori_sigmas = np.sqrt(np.diag(apriori_covariance))
        known = (data.sigma > 0.0) & np.isfinite(data.sigma) & np.isfinite(data.value)
        self.flags = np.where((data.flag == "") & ~known, NOT_FINITE, data.flag).astype("U64")
        self.blocks = _blocks(data)

    def run(self, most_iterations: int) -> Solution:
        """Iterate to convergence."""
        values = np.array([p.value for p in self.parameters])
        start = values[self.estimated].copy()
        outlier = np.zeros(len(self.data), dtype=bool)
        if not np.any(self.flags == ""):
            raise EstimationError(
                f"none of {len(self.data)} rows can be used.", next_step=self._why_flagged()
            )
        step = np.inf
        point = self._point(values, start, outlier)
        for iteration in range(1, most_iterations + 1):
            inner = point.inner
            correction = inner.solve()
            sigmas = np.sqrt(np.diag(inner.covariance()))
            biases = _biases(point.arcs, correction)
            # what the residuals will be after this correction, to first order
            shift = point.partials[:, self.estimated] @ correction + self._bias_of_rows(biases)
            before = outlier
            outlier = self._outliers(self.data.value - point.computed - shift)
            if iteration >= _STICKY:
                outlier = outlier | before
            last, step = step, float(np.max(np.abs(correction) / sigmas))
            small = step < CONVERGED or 0.5 * last < step < STALLED
            if small and np.array_equal(outlier, before):
                self._check_edits(outlier)
                return self._solution(point, biases, iteration)
            point = self._moved(point, correction, start, step < _NEAR)
            if not np.array_equal(outlier, before):
                point = self._point(point.values, start, outlier, point)
        raise EstimationError(
            f"no convergence in {most_iterations} iterations: the last correction was "
            f"{step:.3g} sigma.",
            next_step="Start nearer to the solution, or fix the weakest parameters.",
        )

    def _moved(
        self, point: _Point, correction: Floats, start: Floats, near: bool = False
    ) -> _Point:
        """Apply a correction, or the part of it after which the fit is not worse.

        Far from the solution the linear prediction may overshoot; near it the
        whole correction always goes.
        """
        for _ in range(_HALVINGS):
            values = point.values.copy()
            values[self.estimated] += correction
            moved = self._point(values, start, point.outlier)
            if near or moved.cost <= point.cost * (1.0 + 1e-6) + 1e-6:
                break
            correction = 0.5 * correction
        return moved

    # -- one iteration -----------------------------------------------------

    def _point(
        self,
        values: Floats,
        start: Floats,
        outlier: NDArray[np.bool_],
        known: _Point | None = None,
    ) -> _Point:
        """Evaluate the model (unless `known` has it at these values) and collect information."""
        if known is not None:
            computed, partials = known.computed, known.partials
        else:
            computed, partials = self._evaluate(values)
        flags = np.where((self.flags == "") & outlier, OUTLIER, self.flags)
        information, arcs, reach = self._combine(values, start, computed, partials, flags)
        q = len(self.estimated)
        inner = SquareRootInformation(
            self.names, information.R[:q, :q], information.z[:q], reach=reach
        )
        cost = float(information.z @ information.z) + information.sum_of_squares
        return _Point(values, outlier, flags, computed, partials, information, inner, arcs, cost)

    def _evaluate(self, values: Floats) -> tuple[Floats, Floats]:
        computed, partials = self.model(values.copy())
        n, p = len(self.data), len(self.parameters)
        if np.shape(computed) != (n,) or np.shape(partials) != (n, p):
            raise ConfigurationError(
                f"the model returns {np.shape(computed)} values and {np.shape(partials)} partials "
                f"for {n} data and {p} parameters."
            )
        finite = np.isfinite(computed) & np.all(np.isfinite(partials), axis=1)
        self.flags = np.where((self.flags == "") & ~finite, NOT_MODELLED, self.flags)
        if not np.any(self.flags == ""):
            raise EstimationError(f"none of {n} rows can be used.", next_step=self._why_flagged())
        partials = np.where(finite[:, None], partials, 0.0)
        return np.asarray(computed, dtype=np.float64), np.asarray(partials, dtype=np.float64)

    def _combine(
        self, values: Floats, start: Floats, computed: Floats, partials: Floats, flags: Texts
    ) -> tuple[SquareRootInformation, list[_ArcRows], Floats]:
        """Return the information on corrections of (estimated, consider) parameters.

        Also the biases' own rows, and how strongly data and a-priori values
        depend on each estimated parameter before the biases take their share.
        """
        order = np.concatenate([self.estimated, self.considered])
        names = tuple(self.parameters[i].name for i in order)
        q = len(self.estimated)
        # consider parameters stand last and get no a-priori here: their columns ride along
        information = SquareRootInformation.empty(names)
        correction = start - values[self.estimated]
        if self.apriori_covariance is not None:
            rows = whiten(
                self.apriori_covariance,
                np.column_stack([np.eye(q), correction]),
                "the a-priori covariance",
            )
        else:
            rows = np.column_stack([np.eye(q), correction]) / self.apriori_sigmas[:, None]
        padded = np.zeros((q, len(order)))
        padded[:, :q] = rows[:, :q]
        information = information.combine(padded, rows[:, q], 1.0)
        residual = self.data.value - computed
        used = flags == ""
        arcs = []
        reach = np.sum(padded[:, :q] ** 2, axis=0)
        for block in self.blocks:
            keep = used[block.rows]
            if not np.any(keep):
                continue
            index = block.rows[keep]
            table = np.column_stack([partials[index][:, order], residual[index]])
            found = tuple(sorted(set(self.data.arc[index]) - {""}))
            by_arc = (self.data.arc[index][:, None] == np.array(found)[None, :]).astype(float)
            table = np.column_stack([by_arc.reshape(len(index), len(found)), table])
            if block.covariance is None:
                table = table / self.data.sigma[index][:, None]
            else:
                table = whiten(block.covariance[np.ix_(keep, keep)], table)
            m = len(found)
            reach += np.sum(table[:, m : m + q] ** 2, axis=0)
            if found:
                table, of_arcs = self._eliminate(table, found)
                arcs.append(of_arcs)
            information = information.combine(table[:, :-1], table[:, -1], 1.0)
        return information, arcs, np.sqrt(reach)

    def _eliminate(self, table: Floats, arcs: tuple[str, ...]) -> tuple[Floats, _ArcRows]:
        """Split a block into rows that hold its biases and rows that do not."""
        m = len(arcs)
        prior = np.zeros((m, table.shape[1]))
        prior[:, :m] = np.eye(m) / self.bias_sigma
        reduced = triangle(np.vstack([prior, table]))
        top = reduced[:m]
        return reduced[m:, m:], _ArcRows(arcs, top[:, :m], top[:, m:-1], top[:, -1])

    def _bias_of_rows(self, biases: dict[str, float]) -> Floats:
        known, inverse = np.unique(self.data.arc, return_inverse=True)
        return np.array([biases.get(str(arc), 0.0) for arc in known])[inverse]

    def _outliers(self, residual: Floats) -> NDArray[np.bool_]:
        ratio = np.abs(residual) / np.where(self.flags == "", self.data.sigma, np.inf)
        found = np.zeros(len(ratio), dtype=bool)
        for kind in np.unique(self.data.kind):
            rows = (self.data.kind == kind) & (self.flags == "")
            if np.any(rows):
                scale = 1.0
                if np.sum(rows) >= _FEW:
                    scale = max(1.0, _MAD * float(np.median(ratio[rows])))
                found |= rows & (ratio > self.editing.threshold * scale)
        return found

    def _check_edits(self, outlier: NDArray[np.bool_]) -> None:
        usable, edited = int(np.sum(self.flags == "")), int(np.sum(outlier))
        if edited > self.editing.most * usable:
            raise EstimationError(
                f"{edited} of {usable} rows exceed {self.editing.threshold} robust sigmas; at most "
                f"{self.editing.most:.0%} may be set aside.",
                next_step="The model or the sigmas are wrong: look at the residuals.",
            )

    def _why_flagged(self) -> str:
        reasons, counts = np.unique(self.flags, return_counts=True)
        told = ", ".join(f"{n} {str(r)!r}" for r, n in zip(reasons, counts, strict=True))
        return f"Their flags: {told or 'no rows at all'}."

    # -- the outcome -------------------------------------------------------

    def _solution(self, point: _Point, biases: dict[str, float], iterations: int) -> Solution:
        q, inner, values, flags = len(self.estimated), point.inner, point.values, point.flags
        noise = inner.covariance()
        consider = {self.parameters[i].name: self.parameters[i].sigma for i in self.considered}
        sensitivity = -solve_triangular(inner.R, point.information.R[:q, q:])
        shift = sensitivity * np.array(list(consider.values()))
        covariance = noise + shift @ shift.T
        computed = point.computed + self._bias_of_rows(biases)
        residuals = self.data.value - computed
        used = flags == ""
        chi2, rows = self._chi2(residuals, used, values, biases)
        finite = int(np.sum(np.isfinite(self.apriori_sigmas)))
        free = len(biases) if not np.isfinite(self.bias_sigma) else 0
        return Solution(
            names=self.names,
            units=tuple(self.parameters[i].unit for i in self.estimated),
            values=values[self.estimated].copy(),
            apriori_sigmas=self.apriori_sigmas,
            covariance=covariance,
            noise_covariance=noise,
            consider=consider,
            sensitivity=sensitivity,
            biases=self._bias_table(point.arcs, biases, inner, sensitivity, consider),
            computed=computed,
            residuals=residuals,
            flags=flags,
            iterations=iterations,
            rms=float(np.sqrt(np.mean(residuals[used] ** 2))),
            weighted_rms=float(np.sqrt(np.mean((residuals[used] / self.data.sigma[used]) ** 2))),
            chi2=chi2,
            dof=rows + finite - q - free,
        )

    def _chi2(
        self, residuals: Floats, used: NDArray[np.bool_], values: Floats, biases: dict[str, float]
    ) -> tuple[float, int]:
        """Return the weighted sum of squares with its a-priori terms, and the number of rows."""
        total = 0.0
        for block in self.blocks:
            keep = used[block.rows]
            index = block.rows[keep]
            if block.covariance is None:
                total += float(np.sum((residuals[index] / self.data.sigma[index]) ** 2))
            elif len(index):
                white = whiten(block.covariance[np.ix_(keep, keep)], residuals[index])
                total += float(np.sum(white**2))
        moved = values[self.estimated] - [self.parameters[i].value for i in self.estimated]
        if self.apriori_covariance is not None:
            total += float(np.sum(whiten(self.apriori_covariance, moved) ** 2))
        else:
            total += float(np.sum((moved / self.apriori_sigmas) ** 2))
        total += sum((value / self.bias_sigma) ** 2 for value in biases.values())
        return total, int(np.sum(used))

    def _bias_table(
        self,
        arcs: list[_ArcRows],
        biases: dict[str, float],
        inner: SquareRootInformation,
        sensitivity: Floats,
        consider: dict[str, float],
    ) -> dict[str, Bias]:
        """Return the biases with sigmas that hold the parameters' uncertainty too."""
        q = len(self.estimated)
        root = inner.inverse()
        sigmas = np.array(list(consider.values()))
        table = {}
        for block in arcs:
            own = solve_triangular(block.by_bias, np.eye(len(block.arcs)))
            by_parameter = -own @ block.by_parameter
            through = by_parameter[:, :q] @ root
            shift = (by_parameter[:, q:] + by_parameter[:, :q] @ sensitivity) * sigmas
            variance = np.sum(own**2, 1) + np.sum(through**2, 1) + np.sum(shift**2, 1)
            for arc, value in zip(block.arcs, variance, strict=True):
                table[arc] = Bias(biases[arc], float(np.sqrt(value)))
        return table


def _biases(arcs: list[_ArcRows], correction: Floats) -> dict[str, float]:
    """Return every arc's bias for this correction of the parameters."""
    found: dict[str, float] = {}
    for block in arcs:
        right = block.right - block.by_parameter[:, : len(correction)] @ correction
        found.update(
            (arc, float(value))
            for arc, value in zip(block.arcs, solve_triangular(block.by_bias, right), strict=True)
        )
    return found


def _blocks(data: Measurements) -> list[_Block]:
    """Sort rows into blocks that share neither arcs nor correlations with one another."""
    n = len(data)
    if n == 0:
        return []
    names = sorted(set(data.arc))
    # rows hang on a node of their arc or correlated group; loose rows all on one node
    node_of_arc = np.array([names.index(arc) for arc in data.arc])
    row, node = [], []
    grouped = np.zeros(n, dtype=bool)
    for number, group in enumerate(data.correlated):
        grouped[group.rows] = True
        row.append(np.asarray(group.rows))
        node.append(np.full(len(group.rows), n + len(names) + number))
    loose = ~grouped | (data.arc != "")
    row.append(np.flatnonzero(loose))
    node.append(n + node_of_arc[loose])
    size = n + len(names) + len(data.correlated)
    rows, nodes = np.concatenate(row), np.concatenate(node)
    graph = coo_array((np.ones(len(rows)), (rows, nodes)), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    blocks = []
    for label in np.unique(part[:n]):
        index = np.flatnonzero(part[:n] == label)
        covariance = None
        if np.any(grouped[index]):
            covariance = np.diag(data.sigma[index] ** 2)
            for group in data.correlated:
                if part[group.rows[0]] == label:
                    where = np.searchsorted(index, group.rows)
                    covariance[np.ix_(where, where)] = group.covariance
        blocks.append(_Block(index, covariance))
    return blocks
