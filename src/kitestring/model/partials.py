"""How a delay moves with what it depends on.

Target and stations, the direction of a source, Earth orientation, clocks; those
of zenith delays and gradients are in `troposphere`. All are of tau = t2 - t1, so
what a station adds counts + at station 2 and - at station 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.constants import C
from kitestring.model.delay import Delay
from kitestring.model.earth import EarthModel, StationState
from kitestring.model.frames import earth_rotation
from kitestring.model.observable import StationClock

Floats = NDArray[np.float64]

ORIENTATION = ("xp", "yp", "ut1_minus_tai", "dx", "dy")
"""Earth orientation parameters, rad and s, as `EarthOrientation` names them."""

# rad and s (1.5e-5 rad of rotation): what a difference leaves out is 1e-11, as is rounding
_STEPS = {"xp": 1e-5, "yp": 1e-5, "ut1_minus_tai": 0.2, "dx": 1e-5, "dy": 1e-5}


@dataclass(frozen=True)
class DelayPartials:
    """How a delay moves with its ends; each of shape (n, 3), s/m.

    Attributes
    ----------
    target : ndarray
        d(delay)/d(target's position at its event), BCRS; the trajectory is
        moved as a whole. Zero at infinity.
    station1, station2 : ndarray
        d(delay)/d(GCRS position) of the stations, their velocities left alone.
    """

    target: Floats
    station1: Floats
    station2: Floats


def delay_partials(
    state1: StationState,
    state2: StationState,
    found: Delay,
    target_velocity: Floats | None = None,
) -> DelayPartials:
    """Return the partial derivatives of a delay, good to 1e-7 but for the gravitational delay's.

    With u the directions, V the Earth's velocity and w that of station 2, a
    change of its position q moves the delay by g . q / (1 - g . w),
    g = -u2 / (c + u2 . V) - V / c^2 (the second term is its clock's).

    Parameters
    ----------
    state1, state2 : StationState, shape (n,)
        As given to `near_field_delay` or `far_field_delay`.
    found : Delay
        What that returned.
    target_velocity : ndarray, shape (n, 3), optional
        Of a target at finite distance at its event, BCRS, m/s.
    """
    u1, u2 = found.direction1, found.direction2
    v, w = state1.earth[..., 3:], state2.velocity
    slowed = C + _dot(u2, v)[..., None]
    g = -u2 / slowed - v / C**2
    loop = (1.0 - _dot(g, w))[..., None]
    apart = u2 - u1
    across = np.zeros_like(u1)
    if target_velocity is not None:
        # a moved target is met at another time, when it is elsewhere
        late = u1 / (C + _dot(u1, target_velocity))[..., None]
        across = apart - _dot(apart, target_velocity)[..., None] * late
    target = across / slowed / loop
    return DelayPartials(target, -g / loop - target, g / loop)


def direction_partial(state1: StationState, state2: StationState, found: Delay) -> Floats:
    """Return d(far-field delay)/d(direction), shape (n, 3), s: that of TN36 eq. 11.9.

    The direction moves on the unit sphere: dot it with d(direction)/d(right
    ascension or declination) (`source_partial`). The gravitational delay's own
    is left out (1e-8 of it away from the Sun).

    Parameters
    ----------
    state1, state2 : StationState, shape (n,)
        As given to `far_field_delay`.
    found : Delay
        What that returned.
    """
    b = state2.position - state1.position
    v, w = state1.earth[..., 3:], state2.velocity
    less = 2.0 * state1.solar_potential + 0.5 * _dot(v, v) + _dot(v, w)
    vacuum = -b / C * (1.0 - less / C**2)[..., None] - v * (_dot(v, b) / (2 * C**3))[..., None]
    slowed = 1.0 + _dot(found.direction1, v + w) / C
    return np.asarray((vacuum - found.delay[..., None] * (v + w) / C) / slowed[..., None])


def source_partial(state1: StationState, state2: StationState, found: Delay) -> Floats:
    """Return d(far-field delay)/d(right ascension, declination), shape (n, 2), s/rad.

    Parameters are those of `direction_partial`.
    """
    x, y, z = np.moveaxis(found.direction1, -1, 0)
    across = np.hypot(x, y)
    by_ra = np.stack([-y, x, np.zeros_like(x)], axis=-1)
    by_dec = np.stack([-z * x / across, -z * y / across, across], axis=-1)
    moved = direction_partial(state1, state2, found)
    return np.stack([_dot(moved, by_ra), _dot(moved, by_dec)], axis=-1)


def station_partials(
    state1: StationState, state2: StationState, found: Delay, partials: DelayPartials
) -> tuple[Floats, Floats]:
    """Return d(delay)/d(ITRF position) of both stations, each of shape (n, 3), s/m.

    A station that is moved moves at another speed, which station 2 has until
    the wavefront is there: a relative 1e-6.

    Parameters
    ----------
    state1, state2 : StationState, shape (n,)
        As given to `near_field_delay` or `far_field_delay`.
    found : Delay
        What that returned.
    partials : DelayPartials
        What `delay_partials` made of it.
    """
    until = found.delay[..., None]
    at_arrival = partials.station2 + until * np.cross(partials.station2, state2.rotation.spin)
    return state1.rotation.to_itrf(partials.station1), state2.rotation.to_itrf(at_arrival)


def orientation_partials(
    earth: EarthModel,
    state1: StationState,
    state2: StationState,
    found: Delay,
    partials: DelayPartials,
) -> Floats:
    """Return d(delay)/d(Earth orientation), shape (n, 5), s/rad (s/s for UT1).

    In the order of `ORIENTATION`: the matrix from ITRF to GCRS is differenced.

    Parameters
    ----------
    earth : EarthModel
        What the states were computed with.
    state1, state2, found, partials
        As for `station_partials`.
    """
    tt = state1.tt
    _, eop = earth.rotation(tt)
    fixed1, fixed2 = (s.rotation.to_itrf(s.position) for s in (state1, state2))
    columns = []
    for name in ORIENTATION:
        step, value = _STEPS[name], getattr(eop, name)
        ahead, behind = (
            earth_rotation(tt, replace(eop, **{name: value + s})) for s in (step, -step)
        )
        turned1 = ahead.position(fixed1) - behind.position(fixed1)
        # station 2 goes on until the wavefront is there
        place2, place2_before = ahead.position(fixed2), behind.position(fixed2)
        faster2 = ahead.velocity(place2) - behind.velocity(place2_before)
        turned2 = place2 - place2_before + found.delay[..., None] * faster2
        moved = _dot(partials.station1, turned1) + _dot(partials.station2, turned2)
        columns.append(moved / (2.0 * step))
    return np.stack(columns, axis=-1)


def clock_partials(clock: StationClock, state: StationState, station: int) -> Floats:
    """Return d(delay)/d(offset, rate of a station's clock), shape (n, 2), 1 and s.

    Parameters
    ----------
    clock : StationClock
        Its epoch is what the rate counts from.
    state : StationState, shape (n,)
        The station at the arrivals.
    station : {1, 2}
        Which end of the baseline it is.

    Raises
    ------
    ConfigurationError
        For a station that is neither 1 nor 2.
    """
    if station not in (1, 2):
        raise ConfigurationError(f"a baseline has no station {station}.", next_step="Say 1 or 2.")
    sign = 1.0 if station == 2 else -1.0
    elapsed = np.asarray(state.tt.since(clock.epoch.to("tt")))
    return sign * np.stack([np.ones_like(elapsed), elapsed], axis=-1)


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.sum(a * b, axis=-1))
