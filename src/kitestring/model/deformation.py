"""How warmth and weight change an antenna, and with it the arrivals there.

Both are effects to be named to a `kitestring.model.predict.Predictor`; neither is
on by default, since each needs figures of the day or of the antenna. Signs are
those of an `Effect`: what is added to an arrival, so that an antenna that has
grown towards the source has less than nothing to add.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from kitestring.errors import ConfigurationError
from kitestring.model.antenna import Station, name_key
from kitestring.model.constants import C
from kitestring.model.sight import Sight
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

Temperature = Callable[[Station, Epoch], ArrayLike]
"""Temperature of the air at a station (inside its radome where it has one), K."""

_STEEL_LAG, _CONCRETE_LAG = 2 * 3600.0, 6 * 3600.0  # s behind the air (Nothnagel 2009)
_FOCUS_FACTOR = {"primary": 0.9, "secondary": 1.8}
_PLAUSIBLE = (180.0, 340.0)  # K
# s; 10 K times 30 m of steel, 3.6 mm: of an antenna whose dimensions are not known
_UNKNOWN_EXPANSION = 10.0 * 1.2e-5 * 30.0 / C
# s; surveys of antennas agree to 0.3 to 1 mm (Bergstrand et al. 2019, Loesler et al. 2022)
_SURVEYED_SAG = 1e-3 / C
# s; half of the 7 to 11 mm between horizon and zenith of a 20 m antenna (Bergstrand et al. 2019)
_UNKNOWN_SAG = 5e-3 / C


class ThermalExpansion:
    """What an antenna's warmth adds to an arrival (Nothnagel 2009, J. Geod. 83, 787).

    -(1/c) {g_f (T_f - T_0) h_f sin E
    + (T_a - T_0) [g_p h_p sin E + g_o a |s x I| + g_v h_v - F g_s h_s]}

    with heights h and coefficients g of the foundation, the fixed axis, the vertex
    and the focus (`Structure`), the axis offset a, the direction s and the fixed
    axis I: |s x I| is cos E for ``"azel"``, cos(declination) for ``"equatorial"``.
    F is 0.9 for a primary, 1.8 for a secondary focus. Steel follows the air by
    2 hours (T_a), concrete by 6 (T_f).

    Parameters
    ----------
    temperature : callable
        ``temperature(station, epoch)`` in K, shape (n,) or one number for all; it
        is asked 2 and 6 hours before the arrivals.
    sigma : float
        Standard deviation of the temperature of the antenna's parts, K.

    Raises
    ------
    ConfigurationError
        For a sigma that is negative; on use, for temperatures that no air has.

    Notes
    -----
    Nothing is added at stations without a `Structure`; `sigma` then holds what 10 K
    do to 30 m of steel.

    Examples
    --------
    >>> from kitestring import EarthModel, get_station
    >>> station, epoch = get_station("WETTZELL"), Epoch.from_iso(["2026-07-01T12:00:00"])
    >>> state = EarthModel().station_state(station, epoch)
    >>> zenith = state.rotation.position(station.vertical)
    >>> warm = ThermalExpansion(lambda station, epoch: 300.0)
    >>> f"{warm.delay(Sight(station, state, zenith))[0] * C * 1e3:.2f} mm"
    '-0.03 mm'
    """

    name = "thermal expansion"

    def __init__(self, temperature: Temperature, sigma: float = 2.0) -> None:
        if not sigma >= 0.0:
            raise ConfigurationError(
                f"a sigma of {sigma} K is none.", next_step="Give one that is not negative, in K."
            )
        self.temperature = temperature
        self.kelvin_sigma = sigma

    def delay(self, sight: Sight) -> Floats:
        """Return what is added to an arrival, shape (n,), s."""
        concrete, steel = self._per_kelvin(sight)
        structure = sight.station.structure
        if structure is None:
            return concrete
        zero = structure.reference_temperature
        total = np.zeros(concrete.shape)
        for part, lag in ((concrete, _CONCRETE_LAG), (steel, _STEEL_LAG)):
            total = total + part * (self._temperature(sight, lag) - zero)
        return total

    def sigma(self, sight: Sight) -> Floats:
        """Return the standard deviation of `delay`, shape (n,), s."""
        concrete, steel = self._per_kelvin(sight)
        if sight.station.structure is None:
            return np.full(concrete.shape, _UNKNOWN_EXPANSION)
        return np.asarray(self.kelvin_sigma * np.hypot(concrete, steel))

    def _temperature(self, sight: Sight, lag: float) -> Floats:
        found = self.temperature(sight.station, sight.state.tt.shifted(-lag))
        kelvin = np.asarray(found, dtype=np.float64)
        low, high = _PLAUSIBLE
        if not np.all((kelvin > low) & (kelvin < high)):
            raise ConfigurationError(
                f"temperatures of {np.min(kelvin):g} to {np.max(kelvin):g} at "
                f"{sight.station.name} are not those of air.",
                next_step="Give them in K (0 degrees C is 273.15 K).",
            )
        return kelvin

    @staticmethod
    def _per_kelvin(sight: Sight) -> tuple[Floats, Floats]:
        """Return the delays that a kelvin of concrete and of steel add, s/K."""
        sine = sight.local[..., 2]
        built = sight.station.structure
        if built is None:
            return np.zeros(sine.shape), np.zeros(sine.shape)
        axis = sight.station.fixed_axis
        across = 0.0 if axis is None else np.linalg.norm(np.cross(sight.itrf, axis), axis=-1)
        steel = built.fixed_axis_expansion * built.fixed_axis * sine
        steel = steel + built.offset_expansion * sight.station.axis_offset * across
        steel = steel + built.vertex_expansion * built.vertex
        factor = _FOCUS_FACTOR[built.focus]
        steel = steel - factor * built.focus_expansion * built.focus_height
        concrete = built.foundation_expansion * built.foundation * sine
        return np.asarray(-concrete / C), np.asarray(-steel / C)


@dataclass(frozen=True, eq=False)
class SagTable:
    """How much longer the way through an antenna is as its dish tips and sags.

    Attributes
    ----------
    name : str
        Of the station.
    elevation : ndarray, shape (k,)
        Ascending, rad.
    delay : ndarray, shape (k,)
        What is added to an arrival there, s.
    start, end : Epoch or None
        When the table holds; None where always.

    Raises
    ------
    ConfigurationError
        For fewer than four elevations, not ascending or beyond 0 to 90 degrees, or
        delays that are not finite.
    """

    name: str
    elevation: Floats
    delay: Floats
    start: Epoch | None = None
    end: Epoch | None = None

    def __post_init__(self) -> None:
        for name in ("elevation", "delay"):
            value = np.array(getattr(self, name), dtype=np.float64)
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        e, d = self.elevation, self.delay
        right = e.ndim == 1 and e.shape == d.shape and len(e) >= 4
        if not (right and np.all(np.isfinite(d)) and np.all(np.diff(e) > 0.0)):
            raise ConfigurationError(
                f"the sag of {self.name} is no table of four or more ascending elevations.",
                next_step="Give elevations (rad) and delays (s) of the same length.",
            )
        if not (e[0] >= -0.1 and e[-1] < np.pi / 2 + 0.1):
            raise ConfigurationError(
                f"elevations of {self.name} reach from {e[0]:g} to {e[-1]:g} rad.",
                next_step="Give them in radians, 0 to pi/2.",
            )

    @cached_property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.elevation, self.delay)

    def at(self, elevation: Floats) -> Floats:
        """Return the delay, s; beyond the table that of its end."""
        inside = np.clip(elevation, self.elevation[0], self.elevation[-1])
        return np.asarray(self._spline(inside))

    def holds(self, epoch: Epoch) -> NDArray[np.bool_]:
        """Return whether the table holds at each epoch."""
        held = np.ones(epoch.shape, dtype=bool)
        if self.start is not None:
            held &= epoch.since(self.start) >= 0.0
        if self.end is not None:
            held &= epoch.since(self.end) < 0.0
        return held


class GravitationalSag:
    """What an antenna's weight adds to an arrival, from tables by elevation.

    Dishes flatten and subreflectors sink as an antenna tips: 7 to 11 mm between
    horizon and zenith for one of 20 m (Bergstrand et al. 2019, J. Geod. 93, 669),
    much of which passes for height or troposphere. The IVS publishes the tables,
    which `kitestring.formats.sag.read_sag` reads.

    Parameters
    ----------
    tables : iterable of SagTable
        Several of one station hold one after another.

    Notes
    -----
    Nothing is added at stations, or at times, that no table is of; `sigma` then
    holds 5 mm.
    """

    name = "gravitational sag"

    def __init__(self, tables: Iterable[SagTable]) -> None:
        self.tables = tuple(tables)

    def _known(self, sight: Sight) -> tuple[Floats, NDArray[np.bool_]]:
        delay = np.zeros(sight.elevation.shape)
        known = np.zeros(sight.elevation.shape, dtype=bool)
        names = {name_key(name) for name in sight.station.names}
        for table in self.tables:
            if name_key(table.name) in names:
                held = table.holds(sight.state.tt)
                delay = np.where(held, table.at(sight.elevation), delay)
                known |= held
        return delay, known

    def delay(self, sight: Sight) -> Floats:
        """Return what is added to an arrival, shape (n,), s."""
        return self._known(sight)[0]

    def sigma(self, sight: Sight) -> Floats:
        """Return the standard deviation of `delay`, shape (n,), s."""
        return np.where(self._known(sight)[1], _SURVEYED_SAG, _UNKNOWN_SAG)
