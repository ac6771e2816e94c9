"""One end of a signal's path: how a station sees its target, and what is added there.

Antenna, air, ionosphere and solar plasma add to an arrival. Each is an
`Effect` on a `Sight`; a prediction takes an ordered list of them and keeps
what each has added by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.antenna import Station
from kitestring.model.constants import C
from kitestring.model.earth import StationState

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sight:
    """A station that sends or receives at some epochs, and where it looks.

    Attributes
    ----------
    station : Station
        The station.
    state : StationState, shape (n,)
        Where it is when the signal passes it.
    direction : ndarray, shape (n, 3)
        Unit vectors to the other end, BCRS, not aberrated.
    distance : ndarray, shape (n,), or float
        How far away that is, m; infinite for a quasar.
    frequency : ndarray, shape (n,), or float, optional
        Sky frequency, Hz, for effects of plasma; None where nobody has said.
    group : bool
        Whether group delays are asked for, or else those of the phase: plasma
        has them with opposite signs.
    sends : bool
        Whether the signal leaves here: aberration then has the opposite sign.

    Examples
    --------
    >>> from kitestring import EarthModel, Epoch, get_station
    >>> station, epoch = get_station("WETTZELL"), Epoch.from_iso(["2026-01-01T00:00:00"])
    >>> state = EarthModel().station_state(station, epoch)
    >>> zenith = state.rotation.position(station.vertical)
    >>> f"{np.degrees(Sight(station, state, zenith).elevation[0]):.2f}"  # aberration
    '89.99'
    """

    station: Station
    state: StationState
    direction: Floats
    distance: Floats | float = np.inf
    frequency: Floats | float | None = None
    group: bool = True
    sends: bool = False

    @cached_property
    def seen(self) -> Floats:
        """Where the station has to point, GCRS unit vectors, shape (n, 3).

        Aberration to first order in V/c and normalised: good to 5e-9 rad. To the
        station light comes from ahead of where it left; what it sends has to aim behind.
        """
        velocity = self.state.earth[..., 3:] + self.state.velocity
        seen = self.direction + (-1.0 if self.sends else 1.0) * velocity / C
        return np.asarray(seen / np.linalg.norm(seen, axis=-1, keepdims=True))

    @cached_property
    def itrf(self) -> Floats:
        """The same in ITRF axes."""
        return self.state.rotation.to_itrf(self.seen)

    @cached_property
    def local(self) -> Floats:
        """The same along east, north and up."""
        return np.asarray(self.itrf @ self.station.to_enu.T)

    @cached_property
    def elevation(self) -> Floats:
        """Elevation above the plane normal to the ellipsoid's normal, rad, without refraction."""
        return np.asarray(np.arcsin(np.clip(self.local[..., 2], -1.0, 1.0)))

    @cached_property
    def azimuth(self) -> Floats:
        """Azimuth from north through east, 0 to 2 pi, rad."""
        return np.asarray(np.arctan2(self.local[..., 0], self.local[..., 1]) % (2.0 * np.pi))

    def known_frequency(self, effect: str) -> Floats:
        """Return the sky frequency for an effect that needs it, shape (n,), Hz.

        Raises
        ------
        ConfigurationError
            Where it is not known, or not positive.
        """
        if self.frequency is None:
            raise ConfigurationError(
                f"{effect} depends on the sky frequency, and none is given.",
                next_step="Give the predictor frequency=8.4e9, or whatever it is in Hz; a session "
                "has it in [tones] carrier.",
            )
        frequency = np.asarray(self.frequency, dtype=np.float64)
        if not np.all(frequency > 0.0):
            raise ConfigurationError(
                f"a sky frequency of {float(np.min(frequency)):g} Hz cannot be.",
                next_step="Give it in Hz.",
            )
        return np.broadcast_to(frequency, self.elevation.shape)


class Effect(Protocol):
    """Something that adds to the arrival of a signal at a station."""

    @property
    def name(self) -> str:
        """What it is called beside its figures, such as ``"troposphere"``."""

    def delay(self, sight: Sight) -> Floats:
        """Return what is added to an arrival, shape (n,), s; NaN where that cannot be said."""

    def sigma(self, sight: Sight) -> Floats:
        """Return the standard deviation of `delay`, shape (n,), s."""
