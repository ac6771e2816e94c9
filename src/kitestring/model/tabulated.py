"""Trajectories given as a table of states, interpolated between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]

DEGREE = 7
MOST_DEGREE = 15

_SLACK = 1e-6  # s; an epoch this far outside a span is inside: conversions of scale round


@dataclass(frozen=True, eq=False)
class TabulatedTrajectory:
    """States at given epochs, with Hermite interpolation: a `Trajectory`.

    A polynomial of odd degree d takes position and velocity from the
    (d + 1) / 2 epochs nearest to the one asked for; the velocity is its
    derivative. At the given epochs it returns the given states.

    Attributes
    ----------
    name : str
        Name of the target.
    center : str
        Centre of the states, a name of `kitestring.model.ephemeris`.
    epoch : Epoch, shape (n,)
        Ascending, n >= 2; any scale, kept as TDB.
    states : ndarray, shape (n, 6)
        Position (m) and velocity (m/s), ICRF axes, TDB units.
    degree : int
        Degree of the polynomial, odd, 3 to 15; lower where there are too few
        epochs.
    usable : tuple of Epoch, optional
        First and last epoch that may be asked for, where that is less than the
        table covers.
    covariance_epoch : Epoch, shape (m,), optional
        Epochs of `covariances`, kept as TDB.
    covariances : ndarray, shape (m, 6, 6), optional
        Covariances of the state at these epochs, m and m/s, ICRF axes.
    object_id : str
        International designator or the like, where one is known.
    origin : str
        File that it comes from.

    Raises
    ------
    ConfigurationError
        For shapes that do not fit, epochs that do not ascend, numbers that are
        not finite or a degree that cannot be.

    Examples
    --------
    >>> epoch = Epoch.from_iso(["2026-01-01", "2026-01-02"], "tdb")
    >>> line = TabulatedTrajectory("X", "SUN", epoch, [[0, 0, 0, 1, 0, 0], [86400, 0, 0, 1, 0, 0]])
    >>> [round(float(x), 6) for x in line.state(Epoch.from_iso("2026-01-01T12:00", "tdb"))[[0, 3]]]
    [43200.0, 1.0]
    """

    name: str
    center: str
    epoch: Epoch
    states: Floats
    degree: int = DEGREE
    usable: tuple[Epoch, Epoch] | None = None
    covariance_epoch: Epoch | None = None
    covariances: Floats | None = None
    object_id: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        states = np.array(self.states, dtype=np.float64)
        epoch = self.epoch.to("tdb")
        n = int(np.prod(epoch.shape))
        if epoch.shape != (n,) or states.shape != (n, 6) or n < 2:
            raise ConfigurationError(
                f"epochs of shape {epoch.shape} and states of shape {states.shape} are no table.",
                place=self.origin,
                next_step="Give at least two epochs, and six numbers for each.",
            )
        if not np.all(np.isfinite(states)):
            raise ConfigurationError(
                f"state {int(np.argmin(np.isfinite(states).all(axis=1)))} of {self.name} is not "
                "finite.",
                place=self.origin,
            )
        if np.any(np.diff(epoch.since(epoch[0])) <= 0.0):
            late = int(np.argmax(np.diff(epoch.since(epoch[0])) <= 0.0)) + 1
            raise ConfigurationError(
                f"epoch {late} of {self.name}, {epoch[late].iso(6)}, is not after the one before.",
                place=self.origin,
                next_step="Sort the table; leave out epochs that occur twice.",
            )
        if self.degree % 2 == 0 or not 3 <= self.degree <= MOST_DEGREE:
            raise ConfigurationError(
                f"positions and velocities give no polynomial of degree {self.degree}.",
                next_step=f"Take an odd degree of 3 to {MOST_DEGREE}.",
            )
        if (self.covariance_epoch is None) != (self.covariances is None):
            raise ConfigurationError("covariances and their epochs come together or not at all.")
        if self.covariance_epoch is not None and self.covariances is not None:
            m = int(np.prod(self.covariance_epoch.shape))
            if self.covariances.shape != (m, 6, 6):
                raise ConfigurationError(
                    f"covariances of shape {self.covariances.shape} do not belong to {m} epochs."
                )
            object.__setattr__(self, "covariance_epoch", self.covariance_epoch.to("tdb"))
        states.setflags(write=False)
        object.__setattr__(self, "states", states)
        object.__setattr__(self, "epoch", epoch)

    def __len__(self) -> int:
        return len(self.epoch)

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """First and last epoch covered, TDB."""
        if self.usable is not None:
            return self.usable[0].to("tdb"), self.usable[1].to("tdb")
        return self.epoch[0], self.epoch[-1]

    def state(self, epoch: Epoch) -> Floats:
        """Return positions and velocities, shape (..., 6), m and m/s, relative to `center`.

        Raises
        ------
        SpanError
            For an epoch outside `span`, or NaN.
        """
        tdb = epoch.to("tdb")
        flat = Epoch("tdb", tdb.day.ravel(), tdb.second.ravel())
        first, last = self.span
        if np.any(np.isnan(flat.second)):
            raise SpanError("an epoch is not a number.", place=self.origin)
        if np.any((flat.since(first) < -_SLACK) | (flat.since(last) > _SLACK)):
            raise SpanError(
                f"the table of {self.name} covers {first.iso(3)} to {last.iso(3)} TDB, not "
                f"{flat.first().iso(3)} to {flat.last().iso(3)}.",
                place=self.origin,
                next_step="Ask for epochs inside it, or get a longer table.",
            )
        return self._interpolate(flat).reshape((*tdb.shape, 6))

    def _interpolate(self, epoch: Epoch) -> Floats:
        """Return states at epochs, shape (n, 6)."""
        points = min((self.degree + 1) // 2, len(self))
        # choosing the window tolerates the rounding of seconds in one double; time below does not
        after = np.searchsorted(self.epoch.since(self.epoch[0]), epoch.since(self.epoch[0]))
        start = np.clip(after - (points + 1) // 2, 0, len(self) - points)
        rows = start[:, None] + np.arange(points)
        day, second = self.epoch.day[rows], self.epoch.second[rows]
        elapsed = (epoch.day[:, None] - day) * DAY + (epoch.second[:, None] - second)
        apart = (day[:, :, None] - day[:, None, :]) * DAY
        apart = apart + (second[:, :, None] - second[:, None, :])
        window = self.states[rows]
        # small numbers: positions from that of the nearest epoch on
        nearest = np.argmin(np.abs(elapsed), axis=1)
        base = window[np.arange(len(rows)), nearest, :3]
        place, velocity = window[..., :3] - base[:, None, :], window[..., 3:]
        states = _hermite(elapsed, apart, place, velocity)
        states[:, :3] += base
        return states


def _hermite(elapsed: Floats, apart: Floats, place: Floats, velocity: Floats) -> Floats:
    """Return the Hermite polynomial through values and slopes, and its derivative.

    With the Lagrange polynomials l_i it is the sum of
    (1 - 2 (t - t_i) l_i'(t_i)) l_i^2 f_i + (t - t_i) l_i^2 f_i'
    (Burden & Faires, Numerical Analysis, theorem 3.9).

    Parameters
    ----------
    elapsed : ndarray, shape (n, k)
        t - t_i.
    apart : ndarray, shape (n, k, k)
        t_i - t_j.
    place, velocity : ndarray, shape (n, k, 3)
        Values and slopes at t_i.
    """
    n, k = elapsed.shape
    result = np.zeros((n, 6))
    for i in range(k):
        others = [j for j in range(k) if j != i]
        lagrange, slope = np.ones(n), np.zeros(n)
        for j in others:  # product rule, factor by factor: nothing divides by t - t_j
            factor = elapsed[:, j] / apart[:, i, j]
            slope = slope * factor + lagrange / apart[:, i, j]
            lagrange = lagrange * factor
        at_node = np.sum(1.0 / apart[:, i, others], axis=1)
        t = elapsed[:, i]
        square, square_slope = lagrange**2, 2.0 * lagrange * slope
        of_value = 1.0 - 2.0 * t * at_node
        weights = (
            (of_value * square, of_value * square_slope - 2.0 * at_node * square),
            (t * square, t * square_slope + square),
        )
        for given, (weight, weight_slope) in zip((place, velocity), weights, strict=True):
            result[:, :3] += weight[:, None] * given[:, i]
            result[:, 3:] += weight_slope[:, None] * given[:, i]
    return result
