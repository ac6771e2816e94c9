"""What the ionosphere adds to an arrival, and what two bands together say about it.

A thin layer holds all electrons; where the ray pierces it, the vertical content of
a `kitestring.model.tec` model is stretched by 1 / cos z'. Group delays grow and
phase delays shrink by the same amount.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.constants import C
from kitestring.model.sight import Sight
from kitestring.model.tec import REFRACTION, Klobuchar, TecModel

Floats = NDArray[np.float64]

_FRACTION = 0.3  # of the content of a map that does not state its error
# a map's stated error does not hold the thin layer's: some 2 TECU of the vertical
_LAYER_SIGMA = 2e16


def plasma_delay(column: ArrayLike, frequency: ArrayLike, *, group: bool) -> Floats:
    """Return the delay by an electron column, s: positive for groups, negative for phases.

    40.3082 column / (c f^2), first order (TN36 eq. 9.24).

    Parameters
    ----------
    column : array_like
        Electrons/m^2; 1 TECU is 1e16.
    frequency : array_like
        Hz.
    group : bool
        Whether of the group or of the phase.

    Examples
    --------
    >>> f"{plasma_delay(1e16, 8.4e9, group=True) * 1e12:.2f} ps"
    '19.06 ps'
    """
    size = REFRACTION * np.asarray(column) / (C * np.asarray(frequency) ** 2)
    return np.asarray(size if group else -size)


@dataclass(frozen=True)
class PiercePoint:
    """Where rays meet the thin layer; each of shape (n,).

    Attributes
    ----------
    longitude, latitude : ndarray
        Geocentric, rad.
    stretch : ndarray
        Slant over vertical content, 1 / cos z'.
    """

    longitude: Floats
    latitude: Floats
    stretch: Floats


def pierce_point(sight: Sight, height: float, radius: float) -> PiercePoint:
    """Return where a ray meets a sphere of `radius` + `height`; the target lies beyond it.

    From the station's own position, not one on the sphere; below the horizon `stretch`
    is NaN, and the point is over the station.

    Parameters
    ----------
    sight : Sight, shape (n,)
        The station and where it looks.
    height, radius : float
        m.
    """
    place = sight.station.position
    along = sight.itrf @ place  # radial distance times the sine of the geocentric elevation
    far2 = (radius + height) ** 2
    reach = -along + np.sqrt(along**2 + far2 - place @ place)
    up = sight.local[..., 2] > 0.0
    point = place + np.where(up, reach, 0.0)[..., None] * sight.itrf
    unit = point / np.linalg.norm(point, axis=-1, keepdims=True)
    cosine = np.where(up, np.sum(unit * sight.itrf, axis=-1), np.nan)
    return PiercePoint(
        longitude=np.asarray(np.arctan2(unit[..., 1], unit[..., 0])),
        latitude=np.asarray(np.arcsin(np.clip(unit[..., 2], -1.0, 1.0))),
        stretch=np.asarray(1.0 / cosine),
    )


class Ionosphere:
    """Delay of the ionosphere: an `Effect` of `kitestring.model.sight`.

    Parameters
    ----------
    model : TecModel, optional
        Such as `kitestring.formats.ionex.read_ionex` returns; by default the
        climatology of `Klobuchar`, good to half of itself.

    Examples
    --------
    >>> from kitestring import EarthModel, Epoch, get_station
    >>> station, epoch = get_station("WETTZELL"), Epoch.from_iso(["2026-01-01T12:00:00"])
    >>> state = EarthModel().station_state(station, epoch)
    >>> sight = Sight(station, state, state.rotation.position(station.vertical), frequency=8.4e9)
    >>> f"{Ionosphere().delay(sight)[0] * 1e12:.0f} ps, {Ionosphere().sigma(sight)[0] * 1e12:.0f}"
    '407 ps, 207'
    """

    name = "ionosphere"

    def __init__(self, model: TecModel | None = None) -> None:
        self.model = Klobuchar() if model is None else model

    def content(self, sight: Sight) -> tuple[Floats, Floats]:
        """Return the slant electron content and its standard deviation, (n,), electrons/m^2.

        The model's error and 2 TECU for its thin layer; 30 % where a map states none.

        Raises
        ------
        SpanError
            Where the model does not reach.
        """
        point = pierce_point(sight, self.model.height, self.model.radius)
        tec, error = self.model.vertical(sight.state.tt, point.longitude, point.latitude)
        error = np.where(np.isnan(error), _FRACTION * tec, error)
        return tec * point.stretch, np.hypot(error, _LAYER_SIGMA) * point.stretch

    def delay(self, sight: Sight) -> Floats:
        """Return the delay, shape (n,), s; NaN below the horizon or where a map has no value.

        Raises
        ------
        ConfigurationError
            Where the sky frequency is not known.
        SpanError
            Where the model does not reach.
        """
        frequency = sight.known_frequency("the ionosphere")
        return plasma_delay(self.content(sight)[0], frequency, group=sight.group)

    def sigma(self, sight: Sight) -> Floats:
        """Return the standard deviation of the delay, shape (n,), s."""
        frequency = sight.known_frequency("the ionosphere")
        return plasma_delay(self.content(sight)[1], frequency, group=True)


@dataclass(frozen=True)
class DualBand:
    """What group delays of two bands give; each of shape (n,), s.

    Attributes
    ----------
    delay, sigma : ndarray
        Delay without the ionosphere.
    ionosphere, ionosphere_sigma : ndarray
        Group delay by the ionosphere at the first band.
    """

    delay: Floats
    sigma: Floats
    ionosphere: Floats
    ionosphere_sigma: Floats


def dual_band_delay(
    first: ArrayLike,
    second: ArrayLike,
    first_frequency: ArrayLike,
    second_frequency: ArrayLike,
    first_sigma: ArrayLike = 0.0,
    second_sigma: ArrayLike = 0.0,
) -> DualBand:
    """Return the delay that is free of the ionosphere, and the ionosphere's at the first band.

    With tau = tau_0 + k / f^2: k / f1^2 = (tau_2 - tau_1) f2^2 / (f1^2 - f2^2). A
    constant that the bands differ by, as instruments have it, stays in it.

    Parameters
    ----------
    first, second : array_like, shape (n,)
        Group delays, s, of the same path.
    first_frequency, second_frequency : array_like, shape (n,)
        The frequency at which the ionosphere delays a group as in the band, Hz.
    first_sigma, second_sigma : array_like, shape (n,)
        Standard deviations of the delays, s.

    Raises
    ------
    ConfigurationError
        For frequencies that are equal or not positive.

    Examples
    --------
    >>> k = 40.3082 * 30e16 / C
    >>> x, s = 8.4e9, 2.3e9
    >>> both = dual_band_delay(1e-3 + k / x**2, 1e-3 + k / s**2, x, s, 1e-11, 1e-10)
    >>> f"{both.delay:.12f} {both.ionosphere * 1e12:.1f} {both.sigma * 1e12:.1f}"
    '0.001000000000 571.7 13.5'
    """
    f1, f2 = (np.asarray(f, dtype=np.float64) for f in (first_frequency, second_frequency))
    if not (np.all(f1 > 0.0) and np.all(f2 > 0.0) and np.all(f1 != f2)):
        raise ConfigurationError(
            "two bands need two frequencies that differ.", next_step="Give both in Hz."
        )
    share = f2**2 / (f1**2 - f2**2)
    tau1, tau2, s1, s2 = (np.asarray(v, float) for v in (first, second, first_sigma, second_sigma))
    ionosphere = share * (tau2 - tau1)
    return DualBand(
        delay=np.asarray(tau1 - ionosphere),
        sigma=np.hypot((1.0 + share) * s1, share * s2),
        ionosphere=np.asarray(ionosphere),
        ionosphere_sigma=np.asarray(np.abs(share) * np.hypot(s1, s2)),
    )
