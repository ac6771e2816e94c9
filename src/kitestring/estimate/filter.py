"""The square-root information filter: least squares by orthogonal transformations.

Information is held as an upper triangle R and a vector z with
``|R x - z|^2`` the sum of squares that all data so far have left. Adding data
is one Householder QR factorisation; normal equations, which square the
condition number, are never formed (Bierman 1977, ch. V).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from kitestring.errors import EstimationError

Floats = NDArray[np.float64]

RANK_LIMIT = 1e-13
"""Singular values of R below this count as zero; its columns are scaled to length 1."""


@dataclass(frozen=True, eq=False)
class SquareRootInformation:
    """What is known of a vector of parameters.

    Attributes
    ----------
    names : tuple of str, length p
        The parameters.
    R : ndarray, shape (p, p)
        Upper triangle; the information matrix is R^T R.
    z : ndarray, shape (p,)
        Its right-hand side: the estimate solves R x = z.
    sum_of_squares : float
        What is left over of the weighted squares of all data (and a-priori
        values) at the estimate.
    reach : ndarray, shape (p,), optional
        How strongly the data depended on each parameter (column norms) before
        other unknowns were eliminated from R; R's own where nothing was.
        What is left of it tells rounding from information.

    Examples
    --------
    >>> nothing = SquareRootInformation.empty(("offset", "slope"))
    >>> t = np.array([0.0, 1.0, 2.0])
    >>> known = nothing.combine(np.column_stack([np.ones(3), t]), 5.0 + 2.0 * t, 0.1)
    >>> [round(float(v), 9) for v in known.solve()]
    [5.0, 2.0]
    """

    names: tuple[str, ...]
    R: Floats
    z: Floats
    sum_of_squares: float = 0.0
    reach: Floats | None = None

    @classmethod
    def empty(cls, names: Sequence[str]) -> SquareRootInformation:
        """Return no information about these parameters."""
        p = len(names)
        return cls(tuple(names), np.zeros((p, p)), np.zeros(p))

    @classmethod
    def from_covariance(
        cls, names: Sequence[str], values: ArrayLike, covariance: ArrayLike
    ) -> SquareRootInformation:
        """Return the information of an a-priori estimate.

        Raises
        ------
        EstimationError
            Where the covariance is not positive definite.
        """
        matrix = np.asarray(covariance, dtype=np.float64)
        # P = L L^T gives |L^-1 (x - x0)|^2; the QR makes it upper triangular
        rows = np.linalg.inv(cholesky(matrix, "the a-priori covariance"))
        return cls.empty(names).combine(rows, rows @ np.asarray(values, dtype=np.float64), 1.0)

    @classmethod
    def from_sigmas(
        cls, names: Sequence[str], values: ArrayLike, sigmas: ArrayLike
    ) -> SquareRootInformation:
        """Return uncorrelated a-priori information; an infinite sigma holds none."""
        weight = 1.0 / np.asarray(sigmas, dtype=np.float64)
        number = np.asarray(values, dtype=np.float64)
        return cls(tuple(names), np.diag(weight), weight * number)

    def combine(
        self, partials: ArrayLike, values: ArrayLike, sigma: ArrayLike
    ) -> SquareRootInformation:
        """Return the information with data added.

        Parameters
        ----------
        partials : array_like, shape (n, p)
            d(datum)/d(parameter).
        values : array_like, shape (n,)
            Data (or data minus computed values, where x is a correction).
        sigma : array_like, shape () or (n,)
            Standard deviations of uncorrelated data. Correlated data are
            whitened first (`whiten`) and come with sigma 1.
        """
        h = np.atleast_2d(np.asarray(partials, dtype=np.float64))
        y = np.atleast_1d(np.asarray(values, dtype=np.float64))
        weight = 1.0 / np.broadcast_to(np.asarray(sigma, dtype=np.float64), y.shape)
        p = len(self.names)
        if h.shape != (len(y), p):
            raise EstimationError(
                f"partials of shape {h.shape} do not belong to {len(y)} data and {p} parameters."
            )
        stacked = np.zeros((p + len(y), p + 1))
        stacked[:p, :p] = self.R
        stacked[:p, p] = self.z
        stacked[p:, :p] = h * weight[:, None]
        stacked[p:, p] = y * weight
        if not np.all(np.isfinite(stacked)):
            raise EstimationError(
                "data or partials are not finite.", next_step="Flag such rows before the fit."
            )
        reduced = triangle(stacked)
        rest = float(reduced[p, p] ** 2) if len(reduced) > p else 0.0
        return SquareRootInformation(
            self.names, reduced[:p, :p], reduced[:p, p], self.sum_of_squares + rest
        )

    def check_observable(self) -> None:
        """Raise an error that names what the data do not determine.

        Raises
        ------
        EstimationError
            Naming the combination of parameters, in their own units, that can
            change without any datum noticing.
        """
        size = np.linalg.norm(self.R, axis=0) if self.reach is None else self.reach
        if np.any(size == 0.0):
            unseen = [n for n, s in zip(self.names, size, strict=True) if s == 0.0]
            raise EstimationError(
                f"no datum depends on {', '.join(unseen)}.",
                next_step="Fix them, give them an a-priori sigma, or add data that see them.",
            )
        _, singular, rows = np.linalg.svd(self.R / size)
        weak = singular < RANK_LIMIT
        if not np.any(weak):
            return
        told = []
        for row in rows[weak]:
            direction = row / size  # back from scaled columns to parameters
            direction = direction / direction[np.argmax(np.abs(row))]
            big = np.flatnonzero(np.abs(row) > 0.05 * np.abs(row).max())
            told.append(" ".join(f"{direction[i]:+.3g} {self.names[i]}" for i in big))
        raise EstimationError(
            f"the data do not determine {len(told)} combination(s) of parameters: they do not "
            f"notice a step along {'; '.join(told)}.",
            next_step="Fix one of them, give it an a-priori sigma, or add data of another kind.",
        )

    def solve(self) -> Floats:
        """Return the estimate, shape (p,).

        Raises
        ------
        EstimationError
            Where a combination of parameters is not determined; it is named.
        """
        self.check_observable()
        return np.asarray(solve_triangular(self.R, self.z), dtype=np.float64)

    def inverse(self) -> Floats:
        """Return R^-1, a square root of the covariance, shape (p, p)."""
        self.check_observable()
        return np.asarray(solve_triangular(self.R, np.eye(len(self.names))), dtype=np.float64)

    def covariance(self) -> Floats:
        """Return the covariance R^-1 R^-T, shape (p, p)."""
        root = self.inverse()
        return np.asarray(root @ root.T)


def triangle(rows: Floats) -> Floats:
    """Return the upper triangle of a Householder QR factorisation (LAPACK geqrf)."""
    return np.asarray(np.linalg.qr(rows, mode="r"), dtype=np.float64)


def cholesky(covariance: Floats, what: str) -> Floats:
    """Return the lower Cholesky factor.

    Raises
    ------
    EstimationError
        Where the matrix is not positive definite.
    """
    scale = np.sqrt(np.abs(np.diag(covariance)))  # units may differ by many orders
    if np.any(np.abs(covariance - covariance.T) > 1e-9 * np.outer(scale, scale)):
        raise EstimationError(f"{what} is not symmetric.")
    try:
        if not np.all(scale > 0.0):
            raise np.linalg.LinAlgError
        factor = np.linalg.cholesky(covariance / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        raise EstimationError(
            f"{what} is not positive definite.",
            next_step="Check its correlations, or add the independent noise that it leaves out.",
        ) from None
    return np.asarray(factor * scale[:, None], dtype=np.float64)


def whiten(covariance: Floats, rows: Floats, what: str = "the data's covariance") -> Floats:
    """Return L^-1 rows for covariance = L L^T: data of unit variance, uncorrelated."""
    factor = cholesky(covariance, what)
    return np.asarray(solve_triangular(factor, rows, lower=True), dtype=np.float64)
