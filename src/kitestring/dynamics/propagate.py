"""Propagation: the state and its transition matrix at any epoch of a span.

The state is integrated relative to a centre, in seconds of the arc. Relative
to the Sun rather than the solar-system barycentre, because then

- the dominant force takes the integrated vector itself, not the difference of
  two large ones;
- the Sun's place enters through the planets' weak pulls only, so that the
  ephemeris's own small jumps between its polynomials disturb no step;
- a mass that both models leave out (asteroids, the Kuiper belt) acts through
  its tide alone, not through a Sun that follows it and a spacecraft that
  does not.

The price is the indirect term: the acceleration of the centre by the same
point masses is subtracted. Near a planet, that planet is the better centre for
the first reason.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.dynamics import _kernels
from kitestring.dynamics.forces import environment
from kitestring.dynamics.types import STATE_NAMES, ForceModel, Impulse, OrbitState, Thrust
from kitestring.errors import ConfigurationError, SpanError
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]

TOLERANCE = 3e-15
"""Relative error that one step may make in position and velocity.

In cruise: 0.1 mm over 10 days, 1 cm over 913, between the steps too.
"""

MOST_STEPS = 200_000
_SLACK = 1e-6  # s; an epoch this far outside a span is inside: conversions of scale round

_FAILURES = {
    _kernels.STEP_TOO_SMALL: (
        "the step fell below 1 ms: the state is too near a body, or the tolerance below what "
        "the numbers' last digits allow",
        "Take the nearest body as centre, or a larger tolerance.",
    ),
    _kernels.TOO_MANY_STEPS: (
        f"more than {MOST_STEPS} steps were needed",
        "Propagate a shorter span, or with a larger tolerance.",
    ),
    _kernels.NOT_FINITE: ("the motion became infinite", "Check the initial state's units (m)."),
}


@dataclass(frozen=True, eq=False)
class Leg:
    """A piece of a propagation without a burn's edge inside.

    Attributes
    ----------
    start, stop : Epoch, shape ()
        From where to where it was integrated, TDB; `stop` is the earlier one
        where that was backwards. `knots` count from `start`.
    knots : ndarray, shape (n + 1,)
        Ends of the steps, s.
    states, carries, dense : ndarray
        As `_kernels.integrate` returns them.
    """

    start: Epoch
    stop: Epoch
    knots: Floats
    states: Floats
    carries: Floats
    dense: Floats

    @property
    def begin(self) -> Epoch:
        """The earlier end."""
        return self.start if self.knots[-1] >= 0.0 else self.stop

    def evaluate(self, epoch: Epoch, first: int, count: int) -> Floats:
        """Return `count` components from `first` on of the integrated vector, shape (n, count)."""
        out = np.empty((len(epoch.day), count))
        whole = np.asarray((epoch.day - self.start.day) * DAY)
        rest = np.asarray(epoch.second - self.start.second)
        _kernels.evaluate(
            whole, rest, self.knots, self.states, self.carries, self.dense, first, out
        )
        return out


@dataclass(frozen=True, eq=False)
class PropagatedTrajectory:
    """A propagated orbit: a `Trajectory` that knows its transition matrix.

    Attributes
    ----------
    initial : OrbitState
        What it was propagated from.
    forces : ForceModel
        What acted.
    span : tuple of Epoch
        First and last epoch, TDB.
    legs : tuple of Leg
        In ascending order of time.
    edges : ndarray
        Seconds since the initial epoch at which one leg gives way to the next.
    with_transition : bool
        Whether the transition matrix was integrated too.
    """

    initial: OrbitState
    forces: ForceModel
    span: tuple[Epoch, Epoch]
    legs: tuple[Leg, ...]
    edges: Floats
    with_transition: bool

    @property
    def name(self) -> str:
        """Name of the spacecraft."""
        return self.initial.name

    @property
    def center(self) -> str:
        """Centre of the states."""
        return self.initial.center

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that `transition` has columns for, after the six of the state."""
        return self.forces.parameters

    @property
    def steps(self) -> int:
        """Number of integration steps."""
        return sum(len(leg.dense) for leg in self.legs)

    def state(self, epoch: Epoch) -> Floats:
        """Return positions and velocities, shape (..., 6), m and m/s, relative to `center`.

        At the very epoch of an impulse: the state after it.

        Raises
        ------
        SpanError
            For an epoch outside `span`.
        """
        return self._evaluate(epoch, 0, 6)

    def transition(self, epoch: Epoch) -> Floats:
        """Return d(state)/d(initial state, parameters), shape (..., 6, 6 + p).

        Raises
        ------
        SpanError
            For an epoch outside `span`.
        ConfigurationError
            Where the orbit was propagated without it.
        """
        if not self.with_transition:
            raise ConfigurationError(
                "this orbit was propagated without its transition matrix.",
                next_step="Call propagate(..., with_transition=True).",
            )
        columns = 6 + len(self.parameters)
        flat = self._evaluate(epoch, 6, 6 * columns)
        return flat.reshape((*flat.shape[:-1], 6, columns))

    def _evaluate(self, epoch: Epoch, first: int, count: int) -> Floats:
        tdb = epoch.to("tdb")
        flat = Epoch("tdb", tdb.day.ravel(), tdb.second.ravel())
        seconds = flat.since(self.initial.epoch)
        low, high = (float(end.since(self.initial.epoch)) for end in self.span)
        if np.any((seconds < low - _SLACK) | (seconds > high + _SLACK)):
            raise SpanError(
                f"the orbit of {self.name} covers {self.span[0].iso(3)} to {self.span[1].iso(3)} "
                f"TDB, not {flat.first().iso(3)} to {flat.last().iso(3)}.",
                next_step="Propagate over a longer span.",
            )
        out = np.empty((len(seconds), count))
        which = np.searchsorted(self.edges, seconds, side="right")
        for number in np.unique(which):
            rows = which == number
            out[rows] = self.legs[number].evaluate(flat[rows], first, count)
        return out.reshape((*tdb.shape, count))


def propagate(
    initial: OrbitState,
    forces: ForceModel,
    span: tuple[Epoch, Epoch],
    *,
    with_transition: bool = True,
    tolerance: float = TOLERANCE,
    ephemeris: Ephemeris | None = None,
) -> PropagatedTrajectory:
    """Propagate a state over a span, forwards, backwards or both.

    Integration is by DOP853 (Dormand & Prince 8(5,3); Hairer, Norsett & Wanner
    1993, II.5) with the variational equations alongside; the step follows the
    error of the state. Burns restart it at their edges.

    Parameters
    ----------
    initial : OrbitState
        Where to start; its epoch need not lie at an end of the span, nor in it.
    forces : ForceModel
        What acts. An impulse at the initial epoch itself has already happened.
    span : tuple of Epoch
        First and last epoch that the result shall cover (it also covers the
        initial epoch).
    with_transition : bool
        Whether to integrate the transition matrix (a third slower).
    tolerance : float
        Relative error that one step may make in position and velocity.
    ephemeris : Ephemeris, optional
        The package's own unless given.

    Returns
    -------
    PropagatedTrajectory

    Raises
    ------
    SpanError
        Where the ephemeris does not cover the span.
    ConfigurationError
        Where the centre does not attract, or the integration cannot go on.

    Examples
    --------
    A year of a circular two-body orbit at 1 au ends where it began:

    >>> from kitestring.model.constants import AU, GM
    >>> speed = (GM["SUN"] / AU) ** 0.5
    >>> start = Epoch.from_iso("2026-01-01", "tdb")
    >>> orbit = OrbitState(start, [AU, 0, 0, 0, speed, 0])
    >>> end = start.shifted(2 * np.pi * AU / speed)
    >>> two_body = ForceModel(bodies=("SUN",), relativity=False)
    >>> found = propagate(orbit, two_body, (start, end)).state(end)
    >>> bool(np.linalg.norm(found - orbit.state) < 0.01)
    True
    """
    eph = ephemeris or Ephemeris.default()
    if not 1e-16 < tolerance < 1e-3:
        raise ConfigurationError(
            f"a tolerance of {tolerance} is outside 1e-16 to 1e-3.",
            next_step=f"Leave it at {TOLERANCE}.",
        )
    ends = [end.to("tdb") for end in span]
    if ends[1].since(ends[0]) < 0.0:
        raise ConfigurationError(
            f"the span ends ({ends[1].iso(3)}) before it begins ({ends[0].iso(3)}).",
            next_step="Give the earlier epoch first.",
        )
    first = ends[0] if ends[0].since(initial.epoch) < 0.0 else initial.epoch
    last = ends[1] if ends[1].since(initial.epoch) > 0.0 else initial.epoch
    for end in (first, last):
        eph.barycentric("SUN", end)  # raises where the ephemeris ends
    march = _March(initial, forces, with_transition, tolerance, eph)
    edges = march.edges()
    # a burn at the very end: the state after it needs a leg to be in; so does a single epoch
    at_end = any(edge.since(last) == 0.0 for edge in edges)
    beyond = 1.0 if at_end or last.since(first) == 0.0 else 0.0
    backward, forward = march.legs(first, edges), march.legs(last.shifted(beyond), edges)
    legs = (*backward[::-1], *forward)
    starts = [leg.begin.since(initial.epoch) for leg in legs[1:]]
    return PropagatedTrajectory(
        initial, forces, (first, last), legs, np.array(starts), with_transition
    )


@dataclass(frozen=True, eq=False)
class _March:
    """The settings of one propagation, and the way through its burns."""

    initial: OrbitState
    forces: ForceModel
    with_transition: bool
    tolerance: float
    ephemeris: Ephemeris

    def edges(self) -> list[Epoch]:
        """Return the epochs at which burns begin, end or happen, ascending."""
        found = {}
        for burn in self.forces.burns:
            for epoch in (burn.epoch,) if isinstance(burn, Impulse) else (burn.start, burn.stop):
                found[int(epoch.day), float(epoch.second)] = epoch
        return [found[key] for key in sorted(found)]

    def legs(self, end: Epoch, edges: list[Epoch]) -> list[Leg]:
        """Return legs from the initial epoch to `end`, in the order of integration."""
        start = self.initial.epoch
        sign = float(np.sign(end.since(start)))
        between = [e for e in edges if 0.0 < sign * e.since(start) < abs(end.since(start))]
        vector, carry = self._initial_vector(), np.zeros(6)
        if sign < 0.0:
            self._burn(vector, start, -1.0)  # back to before a burn at the initial epoch itself
        found: list[Leg] = []
        for stop in [*(between if sign > 0.0 else between[::-1]), end]:
            if stop.since(start) == 0.0:
                continue
            leg = self._integrate(vector, carry, start, stop)
            found.append(leg)
            vector, carry = leg.states[-1].copy(), leg.carries[-1].copy()
            self._burn(vector, stop, sign)
            start = stop
        return found

    def _initial_vector(self) -> Floats:
        columns = 6 + len(self.forces.parameters) if self.with_transition else 0
        vector = np.zeros(6 + 6 * columns)
        vector[:6] = self.initial.state
        if columns:
            vector[6:].reshape(6, columns)[:, :6] = np.eye(6)
        return vector

    def _burn_columns(self) -> list[int]:
        """Return the first column of each burn."""
        names = self.forces.parameters
        return [6 + names.index(f"{burn.name}.x") for burn in self.forces.burns]

    def _burn(self, vector: Floats, epoch: Epoch, sign: float) -> None:
        """Add (or with sign -1 take away) the impulses at an epoch, in place."""
        for burn, column in zip(self.forces.burns, self._burn_columns(), strict=True):
            if isinstance(burn, Impulse) and burn.epoch.since(epoch) == 0.0:
                vector[3:6] += sign * burn.delta_v
                if self.with_transition:
                    matrix = vector[6:].reshape(6, -1)
                    matrix[3:, column : column + 3] += sign * np.eye(3)

    def _integrate(self, vector: Floats, carry: Floats, start: Epoch, stop: Epoch) -> Leg:
        length = float(stop.since(start))
        middle = start.shifted(0.5 * length)
        pressure = 6 if self.with_transition and self.forces.area_over_mass else -1
        special, thrust = [pressure], np.zeros(3)
        for burn, column in zip(self.forces.burns, self._burn_columns(), strict=True):
            if isinstance(burn, Thrust) and burn.start.since(middle) < 0.0 < burn.stop.since(
                middle
            ):
                thrust += burn.acceleration
                if self.with_transition:
                    special.append(column)
        settings = environment(self.forces, self.initial.center, start, thrust, self.ephemeris)
        status, knots, states, carries, dense = _kernels.integrate(
            vector, carry, length, self.tolerance, MOST_STEPS, settings, np.array(special)
        )
        if status != _kernels.OK:
            message, next_step = _FAILURES[status]
            raise ConfigurationError(
                f"{message}, at {start.shifted(knots[-1]).iso(3)} TDB.",
                place=f"propagation of {self.initial.name} relative to {self.initial.center}",
                next_step=next_step,
            )
        return Leg(start, stop, knots, states, carries, dense)


class OrbitTarget:
    """A spacecraft as the estimator sees it: its motion follows from a few parameters.

    The parameters are the six of the state and those of the force model, in
    SI units.

    Parameters
    ----------
    initial : OrbitState
        Epoch, centre, name and first guess.
    forces : ForceModel
        What acts.
    span : tuple of Epoch
        What the observations need, with light time before them.
    tolerance : float
        As in `propagate`.
    """

    def __init__(
        self,
        initial: OrbitState,
        forces: ForceModel,
        span: tuple[Epoch, Epoch],
        tolerance: float = TOLERANCE,
    ) -> None:
        self.initial = initial
        self.forces = forces
        self.span = span
        self.tolerance = tolerance
        self._last: tuple[bytes, PropagatedTrajectory] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return (*STATE_NAMES, *self.forces.parameters)

    @property
    def values(self) -> Floats:
        """First guess of the parameters."""
        return np.concatenate([self.initial.state, self.forces.values])

    def trajectory(self, values: Floats) -> PropagatedTrajectory:
        """Return the orbit for these parameter values; the last one is kept."""
        numbers = np.asarray(values, dtype=np.float64)
        key = numbers.tobytes()
        if self._last is None or self._last[0] != key:
            initial = self.initial.replaced(numbers[:6])
            forces = self.forces.with_values(numbers[6:])
            orbit = propagate(initial, forces, self.span, tolerance=self.tolerance)
            self._last = (key, orbit)
        return self._last[1]

    def position_partial(self, values: Floats, epoch: Epoch) -> Floats:
        """Return d(position)/d(parameters) at epochs, shape (n, 3, p)."""
        return self.trajectory(values).transition(epoch)[..., :3, :]
