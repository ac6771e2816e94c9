"""Compiled forces, variational equations and the DOP853 integrator.

The integrated vector holds the state (6) and then the transition matrix row by
row, shape (6, columns): its first six columns belong to the initial state, the
others to parameters. What the forces need travels as one tuple, `environment`,
whose members are named where `force` unpacks it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import DOP853

from kitestring._jit import kernel
from kitestring.model._kernels import body_state
from kitestring.model.constants import C

Floats = NDArray[np.float64]
Environment = tuple[Any, ...]

# Dormand & Prince 8(5,3), Hairer, Norsett & Wanner (1993), II.5 and II.6
STAGES = 12
A = np.zeros((16, 16))
A[:STAGES, :STAGES] = DOP853.A
A[STAGES, :STAGES] = DOP853.B
A[STAGES + 1 :, :] = DOP853.A_EXTRA
NODE = np.concatenate([DOP853.C[:STAGES], np.ones(1), DOP853.C_EXTRA])
E3 = np.ascontiguousarray(DOP853.E3)
E5 = np.ascontiguousarray(DOP853.E5)
D = np.ascontiguousarray(DOP853.D)
DENSE = 7  # coefficients of the interpolant

# step-size control: the usual safety, and limits of one change
SAFETY, SHRINK, GROW = 0.9, 0.2, 6.0
TICK = 1024.0  # steps end on multiples of 1/TICK s, so that their times add without rounding

OK, STEP_TOO_SMALL, TOO_MANY_STEPS, NOT_FINITE = range(4)


@kernel()
def schwarzschild(
    gm: float,
    r: Floats,
    v: Floats,
    acceleration: Floats,
    by_position: Floats,
    by_velocity: Floats,
    sign: float,
) -> None:
    """Add the relativistic acceleration of one mass and its partials (TN36 eq. 10.12, first term).

    With beta = gamma = 1; `r` and `v` are relative to the mass.
    """
    distance = np.sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2])
    radial = r[0] * v[0] + r[1] * v[1] + r[2] * v[2]
    bracket = 4.0 * gm / distance - (v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    factor = sign * gm / (C * C * distance**3)
    for i in range(3):
        whole = bracket * r[i] + 4.0 * radial * v[i]
        acceleration[i] += factor * whole
        for j in range(3):
            of_r = -3.0 * whole * r[j] / distance**2 - 4.0 * gm / distance**3 * r[i] * r[j]
            of_r += 4.0 * v[i] * v[j]
            of_v = -2.0 * r[i] * v[j] + 4.0 * v[i] * r[j]
            if i == j:
                of_r += bracket
                of_v += 4.0 * radial
            by_position[i, j] += factor * of_r
            by_velocity[i, j] += factor * of_v


@kernel()
def force(
    t: float,
    y: Floats,
    environment: Environment,
    acceleration: Floats,
    by_position: Floats,
    by_velocity: Floats,
    pressure_column: Floats,
) -> None:
    """Set the acceleration relative to the centre and its partial derivatives.

    `t` is in seconds since (day, second) of the environment, TDB.
    """
    (
        coefficients,
        segments,
        day,
        second,
        center,  # index of the centre in the segment table, -1 is the SSB
        sun,
        gm_sun,
        bodies,  # indices of the attracting bodies
        gms,
        relativity,  # whether the Sun's Schwarzschild term counts
        pressure,  # acceleration x distance^2 of sunlight, m^3/s^2, at scale 1
        scale,
        thrust,  # constant acceleration, m/s^2
    ) = environment
    now = second + t
    c = body_state(coefficients, segments, center, day, now)  # type: ignore[no-untyped-call]
    s = body_state(coefficients, segments, sun, day, now)  # type: ignore[no-untyped-call]
    for i in range(3):
        acceleration[i] = thrust[i]
        for j in range(3):
            by_position[i, j] = 0.0
            by_velocity[i, j] = 0.0
    for b in range(len(bodies)):
        if bodies[b] == center:
            x, y_, z = y[0], y[1], y[2]
        else:
            p = body_state(coefficients, segments, bodies[b], day, now)  # type: ignore[no-untyped-call]
            ox, oy, oz = p[0] - c[0], p[1] - c[1], p[2] - c[2]
            if center >= 0:  # the centre falls towards the body too
                cube = (ox * ox + oy * oy + oz * oz) ** 1.5
                acceleration[0] -= gms[b] * ox / cube
                acceleration[1] -= gms[b] * oy / cube
                acceleration[2] -= gms[b] * oz / cube
            x, y_, z = y[0] - ox, y[1] - oy, y[2] - oz
        central(gms[b], x, y_, z, acceleration, by_position)
    r = np.empty(3)
    v = np.empty(3)
    for i in range(3):
        r[i] = y[i] - (s[i] - c[i])
        v[i] = y[3 + i] - (s[3 + i] - c[3 + i])
    cube = (r[0] * r[0] + r[1] * r[1] + r[2] * r[2]) ** 1.5
    for i in range(3):
        pressure_column[i] = pressure * r[i] / cube
    if pressure != 0.0:
        central(-pressure * scale, r[0], r[1], r[2], acceleration, by_position)
    if relativity:
        schwarzschild(gm_sun, r, v, acceleration, by_position, by_velocity, 1.0)
        if center >= 0 and center != sun:
            unused = np.empty((3, 3))
            for i in range(3):
                r[i] = c[i] - s[i]
                v[i] = c[3 + i] - s[3 + i]
            schwarzschild(gm_sun, r, v, acceleration, unused, unused, -1.0)


@kernel()
def central(
    gm: float,
    x: float,
    y: float,
    z: float,
    acceleration: Floats,
    by_position: Floats,
) -> None:
    """Add the attraction of a point mass at distance vector (x, y, z), and its gradient."""
    square = x * x + y * y + z * z
    distance = np.sqrt(square)
    k = gm / (square * distance)
    acceleration[0] -= k * x
    acceleration[1] -= k * y
    acceleration[2] -= k * z
    q = 3.0 * k / square
    by_position[0, 0] += q * x * x - k
    by_position[0, 1] += q * x * y
    by_position[0, 2] += q * x * z
    by_position[1, 0] += q * y * x
    by_position[1, 1] += q * y * y - k
    by_position[1, 2] += q * y * z
    by_position[2, 0] += q * z * x
    by_position[2, 1] += q * z * y
    by_position[2, 2] += q * z * z - k


@kernel()
def derivative(
    t: float,
    y: Floats,
    environment: Environment,
    special: NDArray[np.int64],
    out: Floats,
) -> None:
    """Set the time derivative of state and transition matrix.

    special[0] is the column of the light-pressure scale (-1 where there is
    none), the others the first columns of the thrusts that are on.
    """
    acceleration = np.empty(3)
    by_position = np.empty((3, 3))
    by_velocity = np.empty((3, 3))
    pressure_column = np.empty(3)
    force(t, y, environment, acceleration, by_position, by_velocity, pressure_column)
    for i in range(3):
        out[i] = y[3 + i]
        out[3 + i] = acceleration[i]
    columns = (len(y) - 6) // 6
    if columns == 0:
        return
    # row i, column j of the matrix is element 6 + i columns + j of the vector
    for i in range(3):
        above, row = 6 + i * columns, 6 + (3 + i) * columns
        for j in range(columns):
            out[above + j] = y[row + j]
            total = 0.0
            for k in range(3):
                total += by_position[i, k] * y[6 + k * columns + j]
                total += by_velocity[i, k] * y[6 + (3 + k) * columns + j]
            out[row + j] = total
        if special[0] >= 0:
            out[row + special[0]] += pressure_column[i]
        for n in range(1, len(special)):
            out[row + special[n] + i] += 1.0


@kernel()
def stage(
    k: Floats,
    index: int,
    t: float,
    y: Floats,
    h: float,
    environment: Environment,
    special: NDArray[np.int64],
    work: Floats,
) -> None:
    """Evaluate row `index` of the stages from those before it; `work` keeps the increment / h."""
    for i in range(len(y)):
        work[i] = 0.0
    for j in range(index):
        a = A[index, j]
        if a != 0.0:
            for i in range(len(y)):
                work[i] += a * k[j, i]
    point = y + h * work
    derivative(t + NODE[index] * h, point, environment, special, k[index])


@kernel()
def take_step(
    k: Floats,
    t: float,
    y: Floats,
    h: float,
    environment: Environment,
    special: NDArray[np.int64],
    increment: Floats,
) -> None:
    """Take one step; k[0] must hold the derivative at its start. Return nothing but `increment`.

    Afterwards k[12] is the derivative at the end (the next step's k[0]).
    """
    for s in range(1, STAGES + 1):
        stage(k, s, t, y, h, environment, special, increment)
    for i in range(len(y)):
        increment[i] *= h


@kernel()
def error_norm(
    k: Floats,
    y: Floats,
    h: float,
    rtol: float,
) -> float:
    """Return the estimated error of the state over what is allowed (HNW eq. II.10.17).

    Positions and velocities are measured against their vectors' lengths, so
    that a component passing through zero does not shorten the step.
    """
    fifth = 0.0
    third = 0.0
    for part in range(2):
        size = 0.0
        for i in range(3 * part, 3 * part + 3):
            size += y[i] * y[i]
        allowed = rtol * np.sqrt(size)
        for i in range(3 * part, 3 * part + 3):
            a = 0.0
            b = 0.0
            for s in range(STAGES + 1):
                a += E5[s] * k[s, i]
                b += E3[s] * k[s, i]
            fifth += (a / allowed) ** 2
            third += (b / allowed) ** 2
    if fifth == 0.0 and third == 0.0:
        return 0.0
    total: float = abs(h) * fifth / np.sqrt((fifth + 0.01 * third) * 6.0)
    return total


@kernel()
def interpolant(
    k: Floats,
    t: float,
    y: Floats,
    h: float,
    environment: Environment,
    special: NDArray[np.int64],
    increment: Floats,
    out: Floats,
) -> None:
    """Set the seven rows of the 7th-order interpolant of a step (HNW II.6)."""
    work = np.empty(len(y))
    for s in range(STAGES + 1, 16):
        stage(k, s, t, y, h, environment, special, work)
    for i in range(len(y)):
        out[0, i] = increment[i]
        out[1, i] = h * k[0, i] - increment[i]
        out[2, i] = 2.0 * increment[i] - h * (k[STAGES, i] + k[0, i])
        for d in range(4):
            total = 0.0
            for s in range(16):
                total += D[d, s] * k[s, i]
            out[3 + d, i] = h * total


@kernel()
def integrate(
    y0: Floats,
    carry0: Floats,
    length: float,
    rtol: float,
    most: int,
    environment: Environment,
    special: NDArray[np.int64],
) -> tuple[int, Floats, Floats, Floats, Floats]:
    """Integrate from 0 to `length` seconds (either sign) and keep every step's interpolant.

    Returns
    -------
    status, knots (n + 1), states (n + 1, dim), carries (n + 1, 6), dense (n, 7, dim)
        `carries` is what compensated summation holds below the states' last digit.
    """
    dim = len(y0)
    capacity = 32
    knots = np.zeros(capacity + 1)
    states = np.zeros((capacity + 1, dim))
    carries = np.zeros((capacity + 1, 6))
    dense = np.zeros((capacity, DENSE, dim))
    k = np.empty((16, dim))
    increment = np.empty(dim)
    y = y0.copy()
    carry = carry0.copy()
    for i in range(dim):
        states[0, i] = y[i]
    for i in range(6):
        carries[0, i] = carry[i]
    t = 0.0
    n = 0
    status = OK
    derivative(t, y, environment, special, k[0])
    h = first_step(y, k[0], length)
    while t != length:
        h = trimmed(h, t, length)
        ends = h == length - t
        take_step(k, t, y, h, environment, special, increment)
        error = error_norm(k, y, h, rtol)
        if not np.isfinite(error):
            status = NOT_FINITE
            break
        factor = GROW if error == 0.0 else SAFETY * error ** (-0.125)
        if error > 1.0:
            h *= max(SHRINK, factor)
            if abs(h) < 1e-3:
                status = STEP_TOO_SMALL
                break
            continue
        if n == most:
            status = TOO_MANY_STEPS
            break
        if n == capacity:
            capacity *= 2
            knots = np.concatenate((knots, np.zeros(capacity + 1 - len(knots))))
            states = np.concatenate((states, np.zeros((capacity + 1 - len(states), dim))))
            carries = np.concatenate((carries, np.zeros((capacity + 1 - len(carries), 6))))
            dense = np.concatenate((dense, np.zeros((capacity - len(dense), DENSE, dim))))
        interpolant(k, t, y, h, environment, special, increment, dense[n])
        for i in range(dim):
            if i < 6:  # Kahan: the part of the increment that y's last digit swallows is kept
                add = increment[i] + carry[i]
                total = y[i] + add
                carry[i] = add - (total - y[i])
                y[i] = total
            else:
                y[i] += increment[i]
        t = length if ends else t + h
        n += 1
        knots[n] = t
        for i in range(dim):
            states[n, i] = y[i]
            k[0, i] = k[STAGES, i]
        for i in range(6):
            carries[n, i] = carry[i]
        h *= min(GROW, factor)
    return status, knots[: n + 1], states[: n + 1], carries[: n + 1], dense[:n]


@kernel()
def first_step(
    y: Floats,
    slope: Floats,
    length: float,
) -> float:
    """Return a first step: a thousandth of the time in which the motion would turn round."""
    speed = np.sqrt(y[3] ** 2 + y[4] ** 2 + y[5] ** 2)
    pull = np.sqrt(slope[3] ** 2 + slope[4] ** 2 + slope[5] ** 2)
    guess = 1e-3 * speed / pull if pull > 0.0 else abs(length)
    size = min(max(guess, 1.0), abs(length))
    return size if length > 0.0 else -size


@kernel()
def trimmed(
    h: float,
    t: float,
    length: float,
) -> float:
    """Return a step on the tick grid that does not pass the end nor leave a sliver before it."""
    left = length - t
    if abs(h) >= abs(left):
        return left
    if abs(h) > 0.5 * abs(left):
        h = 0.5 * left
    if abs(h) > 1.0:
        h = np.rint(h * TICK) / TICK
    return h


@kernel()
def evaluate(
    day_seconds: Floats,
    rest: Floats,
    knots: Floats,
    states: Floats,
    carries: Floats,
    dense: Floats,
    first: int,
    out: Floats,
) -> None:
    """Set columns `first`... of the integrated vector at times day_seconds + rest.

    Whole days (in seconds) are kept apart from the rest, so that the time
    within a step is not rounded to the last digit of a long arc.
    """
    steps = len(dense)
    ascending = knots[-1] >= knots[0]
    for e in range(len(rest)):
        t = day_seconds[e] + rest[e]
        low, high = 0, steps
        while high - low > 1:
            middle = (low + high) // 2
            if (t >= knots[middle]) == ascending:
                low = middle
            else:
                high = middle
        x = ((day_seconds[e] - knots[low]) + rest[e]) / (knots[low + 1] - knots[low])
        for i in range(out.shape[1]):
            j = first + i
            total = 0.0
            for d in range(DENSE):
                total += dense[low, DENSE - 1 - d, j]
                total *= x if d % 2 == 0 else 1.0 - x
            if j < 6:
                total += carries[low, j]
            out[e, i] = states[low, j] + total
