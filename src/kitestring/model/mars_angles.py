"""Mars' rotation by the three angles that landers' and orbiters' data are fitted with.

The node psi of Mars' equator on its mean orbit of J2000, the obliquity I between the
two and the spin phi from the node to the prime meridian, with precession, nutation
that a liquid core amplifies, seasonal changes of the spin and polar motion: the form
of Folkner et al. 1997 and Konopliv et al. 2006 (pages 39 to 41). Beside the sums of
sines in right ascension and declination (`kitestring.model.mars.mars_rotation`) it
holds what Mars' interior and seasons decide as parameters of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError, UnknownNameError
from kitestring.model.mars_terms import (
    AngleChange,
    NutationTerm,
    SeasonalTerm,
    rotation_vector,
    turn,
)
from kitestring.model.rotation import BodyRotation
from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]

J2000 = Epoch("tdb", np.asarray(51544), np.asarray(43200.0))
_TURN = 2.0 * math.pi
_UNITS = {
    "psi0": "rad",
    "psi_dot": "rad/s",
    "I0": "rad",
    "I_dot": "rad/s",
    "phi0": "rad",
    "phi_dot": "rad/s",
    "phi_ddot": "rad/s^2",
    "core_factor": "1",
    "core_rate": "rad/s",
}


@dataclass(frozen=True)
class MarsAngles:
    """Mars' rotation: ICRF = Rz(N) Rx(J) Rz(psi) Rx(I) Rz(phi) Ry(-X) Rx(-Y) body-fixed.

    Rx, Ry, Rz turn vectors by a positive angle about the axis. With t from `epoch` and
    the nutations psi_n, I_n (Konopliv et al. 2006, pages 39 to 41)::

        psi = psi0 + psi_dot t + psi_n
        I   = I0 + I_dot t + I_n
        phi = phi0 + phi_dot t + phi_ddot t^2 / 2 - psi_n cos I + seasons + relativity

    A liquid core changes the amplitudes of the rigid planet at a rate a of the argument
    by F a / (a^2 - s^2) times (a I_m + s psi_m sin I0) in obliquity and
    (a psi_m + s I_m / sin I0) in longitude, with the core's factor F and the rate s of
    its free nutation, negative for a retrograde one.

    Attributes
    ----------
    psi0, psi_dot, I0, I_dot, phi0, phi_dot, phi_ddot : float
        As above; rad, rad/s, rad/s^2. psi_dot is negative.
    orbit_node, orbit_inclination : float
        N and J of Mars' mean orbit of J2000 on the ICRF's equator, rad.
    anomaly, anomaly_rate : float
        Mean anomaly l of Mars at J2000 and its rate, rad and rad/s.
    nutation : tuple of NutationTerm
        Of a rigid Mars.
    core_factor, core_rate : float
        F and s (rad/s); no core where F is 0.
    seasons, relativity : tuple of SeasonalTerm
        Of the spin: what the atmosphere does, and what follows from Mars' clock running
        unevenly in TDB.
    pole_x, pole_y : tuple of SeasonalTerm
        Polar motion X and Y, towards the meridians 0 and 90 degrees west.
    epoch : Epoch
        Where t is 0, TDB; J2000 unless given. Arguments of periodic terms always count
        from J2000.
    name, origin : str
        What it is called, and where the figures come from.

    Raises
    ------
    ConfigurationError
        For numbers that are not finite, an obliquity of nought, a core without a rate,
        and seasonal terms given twice.

    Examples
    --------
    >>> from kitestring.model.mars_angles_file import load_mars_rotation
    >>> mars = load_mars_rotation()
    >>> day = 2.0 * np.pi / np.linalg.norm(mars(Epoch.from_iso("2020-01-01", "tdb")).spin)
    >>> round(float(day))
    88643
    """

    psi0: float
    psi_dot: float
    I0: float
    I_dot: float
    phi0: float
    phi_dot: float
    orbit_node: float
    orbit_inclination: float
    anomaly: float
    anomaly_rate: float
    phi_ddot: float = 0.0
    nutation: tuple[NutationTerm, ...] = ()
    core_factor: float = 0.0
    core_rate: float = 0.0
    seasons: tuple[SeasonalTerm, ...] = ()
    relativity: tuple[SeasonalTerm, ...] = ()
    pole_x: tuple[SeasonalTerm, ...] = ()
    pole_y: tuple[SeasonalTerm, ...] = ()
    epoch: Epoch = field(default=J2000, repr=False)
    name: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        numbers = [v for v in vars(self).values() if isinstance(v, float | int)]
        series = (self.nutation, self.seasons, self.relativity, self.pole_x, self.pole_y)
        numbers += [v for terms in series for term in terms for v in vars(term).values()]
        if not all(math.isfinite(v) for v in numbers):
            raise ConfigurationError(
                "an angle, rate or amplitude of the rotation is not a finite number.",
                next_step="Give every one, in rad and rad/s.",
            )
        if math.sin(self.I0) == 0.0:
            raise ConfigurationError(
                "an obliquity of nought leaves the node undefined.",
                next_step="Give I0; that of Mars is 0.44 rad.",
            )
        if self.core_factor and not self.core_rate:
            raise ConfigurationError(
                "the core's factor needs the rate of its free nutation.",
                next_step="Give core_rate too: -3.0e-7 rad/s for a period of 240 days.",
            )
        for terms in series[1:]:
            if len({term.multiple for term in terms}) < len(terms):
                raise ConfigurationError(
                    "two seasonal terms have the same multiple of the mean anomaly.",
                    next_step="Add them up.",
                )
        object.__setattr__(self, "epoch", self.epoch.to("tdb"))

    # -- the angles ------------------------------------------------------------------

    def _since(self, epoch: Epoch) -> tuple[Floats, Floats, Floats]:
        """Return whole days and the rest (s) since `epoch`, and seconds since J2000."""
        tdb = epoch.to("tdb")
        days = np.asarray(tdb.day - self.epoch.day, dtype=np.float64)
        rest = np.asarray(tdb.second - self.epoch.second, dtype=np.float64)
        return days, rest, np.asarray(tdb.since(J2000), dtype=np.float64)

    def _turned(self, days: Floats, rest: Floats) -> Floats:
        """Return phi_dot t without whole turns."""
        # a turn a day is left out: a product of 4e4 rad would be rounded by 14 micrometres,
        # and whole turns before the rest is added, which they would round
        return ((self.phi_dot * DAY - _TURN) * days) % _TURN + self.phi_dot * rest

    def _argument(self, multiple: float, seconds: Floats) -> Floats:
        return np.asarray(multiple * (self.anomaly + self.anomaly_rate * seconds))

    def _phase(self, term: NutationTerm, seconds: Floats) -> tuple[Floats, float]:
        """Return the argument of a term of the nutation and its rate."""
        argument = self._argument(term.multiple, seconds) + term.phase
        rate = term.multiple * self.anomaly_rate + term.phase_rate
        return argument + term.phase_rate * seconds, rate

    def _nutation(self, seconds: Floats) -> tuple[AngleChange, AngleChange]:
        """Return the nutation (of phi nothing) and its rates."""
        psi, obliquity = np.zeros_like(seconds), np.zeros_like(seconds)
        psi_rate, obliquity_rate = np.zeros_like(seconds), np.zeros_like(seconds)
        for term in self.nutation:
            argument, rate = self._phase(term, seconds)
            core = self._core(term, rate)
            in_obliquity = term.obliquity + self.core_factor * core.obliquity
            in_longitude = term.longitude + self.core_factor * core.psi
            obliquity += in_obliquity * np.cos(argument)
            psi += in_longitude * np.sin(argument)
            obliquity_rate -= in_obliquity * rate * np.sin(argument)
            psi_rate += in_longitude * rate * np.cos(argument)
        return AngleChange(psi, obliquity), AngleChange(psi_rate, obliquity_rate)

    def _core(self, term: NutationTerm, rate: float) -> AngleChange:
        """Return what a core of factor 1 adds to the amplitudes."""
        if not self.core_rate:
            return AngleChange()
        share = rate / (rate**2 - self.core_rate**2)
        sine = math.sin(self.I0)
        return AngleChange(
            share * (rate * term.longitude + self.core_rate * term.obliquity / sine),
            share * (rate * term.obliquity + self.core_rate * term.longitude * sine),
        )

    def _seasonal(
        self, terms: Sequence[SeasonalTerm], seconds: Floats
    ) -> tuple[Floats | float, Floats | float]:
        """Return a sum of seasonal terms and its rate."""
        total, slope = np.zeros_like(seconds), np.zeros_like(seconds)
        for term in terms:
            argument = self._argument(term.multiple, seconds)
            cos, sin = np.cos(argument), np.sin(argument)
            total += term.cos * cos + term.sin * sin
            slope += term.multiple * self.anomaly_rate * (term.sin * cos - term.cos * sin)
        return total, slope

    def _angles(self, epoch: Epoch) -> tuple[AngleChange, AngleChange]:
        """Return the five angles and their rates."""
        days, rest, seconds = self._since(epoch)
        t = days * DAY + rest
        nutation, rates = self._nutation(seconds)
        obliquity = self.I0 + self.I_dot * t + nutation.obliquity
        obliquity_rate = self.I_dot + rates.obliquity
        cos, sin = np.cos(obliquity), np.sin(obliquity)
        season, season_rate = self._seasonal((*self.seasons, *self.relativity), seconds)
        phi = self.phi0 + self._turned(days, rest) + 0.5 * self.phi_ddot * t**2
        phi = phi - nutation.psi * cos + season
        phi_rate = self.phi_dot + self.phi_ddot * t + season_rate
        phi_rate = phi_rate - rates.psi * cos + nutation.psi * sin * obliquity_rate
        x, x_rate = self._seasonal(self.pole_x, seconds)
        y, y_rate = self._seasonal(self.pole_y, seconds)
        psi = self.psi0 + self.psi_dot * t + nutation.psi
        return (
            AngleChange(psi, obliquity, phi, x, y),
            AngleChange(self.psi_dot + rates.psi, obliquity_rate, phi_rate, x_rate, y_rate),
        )

    # -- the rotation ----------------------------------------------------------------

    def __call__(self, epoch: Epoch) -> BodyRotation:
        """Return the orientation of Mars.

        Parameters
        ----------
        epoch : Epoch, shape (...)
            Converted to TDB.
        """
        angles, rates = self._angles(epoch)
        axes = self._axes(angles)
        pole = turn(1, -np.asarray(angles.x)) @ turn(0, -np.asarray(angles.y))
        return BodyRotation(np.asarray(axes[..., 2:] @ pole), rotation_vector(axes, rates))

    def _axes(self, angles: AngleChange) -> Floats:
        """Return the orbit's pole, the node and the axes of the spin as columns, ICRF.

        The columns are what small changes of psi, I and phi turn about: the orbit's
        pole, the node, and (the last) the spin axis; the two before that are the
        equator's directions that polar motion turns about.
        """
        orbit = turn(2, np.asarray(self.orbit_node)) @ turn(0, np.asarray(self.orbit_inclination))
        to_node = orbit @ turn(2, np.asarray(angles.psi))
        fixed = to_node @ turn(0, np.asarray(angles.obliquity)) @ turn(2, np.asarray(angles.phi))
        normal = np.broadcast_to(orbit[:, 2], to_node[..., 0].shape)
        return np.concatenate([normal[..., None], to_node[..., :1], fixed], axis=-1)

    def referred_to(self, epoch: Epoch) -> MarsAngles:
        """Return the same rotation with angles at another epoch.

        An estimate from two years of data is best referred to their middle: angles at
        J2000 and rates are all but indistinguishable twenty years later.
        """
        tdb = epoch.to("tdb")
        t = float(tdb.since(self.epoch))
        days, rest, _ = self._since(tdb)
        phi = self.phi0 + float(self._turned(days, rest)) + 0.5 * self.phi_ddot * t**2
        return replace(
            self,
            psi0=self.psi0 + self.psi_dot * t,
            I0=self.I0 + self.I_dot * t,
            phi0=phi % _TURN,
            phi_dot=self.phi_dot + self.phi_ddot * t,
            epoch=tdb,
        )

    # -- its parameters --------------------------------------------------------------

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter, by its name.

        psi0, psi_dot, I0, I_dot, phi0, phi_dot, phi_ddot, core_factor, core_rate, and
        for each seasonal term of multiple m phi_cos<m>, phi_sin<m>, X_cos<m> and so on.
        A constant phi0 cannot be told from the longitude of a lander.
        """
        found = dict(_UNITS)
        for kind, terms in self._series().items():
            for term in terms:
                found |= {f"{kind}_{part}{term.multiple:g}": "rad" for part in ("cos", "sin")}
        return found

    def _series(self) -> dict[str, tuple[SeasonalTerm, ...]]:
        return {"phi": self.seasons, "X": self.pole_x, "Y": self.pole_y}

    def _seasonal_name(self, name: str) -> tuple[str, int, str]:
        """Return the series, the index of the term in it, and "cos" or "sin"."""
        for kind, terms in self._series().items():
            for k, term in enumerate(terms):
                for part in ("cos", "sin"):
                    if name == f"{kind}_{part}{term.multiple:g}":
                        return kind, k, part
        raise UnknownNameError("parameter of Mars' rotation", name, self.units)

    def values(self, names: Sequence[str]) -> Floats:
        """Return parameters, shape (p,), in the units of `units`.

        Raises
        ------
        UnknownNameError
            For a parameter that there is not.
        """
        found = []
        for name in names:
            if name in _UNITS:
                found.append(getattr(self, name))
            else:
                kind, k, part = self._seasonal_name(name)
                found.append(getattr(self._series()[kind][k], part))
        return np.array(found, dtype=np.float64)

    def changed(self, names: Sequence[str], values: ArrayLike) -> MarsAngles:
        """Return the rotation with other values of these parameters.

        Raises
        ------
        UnknownNameError
            For a parameter that there is not.
        """
        given = np.asarray(values, dtype=np.float64)
        changes: dict[str, float] = {}
        series = {kind: list(terms) for kind, terms in self._series().items()}
        for name, value in zip(names, given.tolist(), strict=True):
            if name in _UNITS:
                changes[name] = value
                continue
            kind, k, part = self._seasonal_name(name)
            old = series[kind][k]
            cos, sin = (value, old.sin) if part == "cos" else (old.cos, value)
            series[kind][k] = SeasonalTerm(old.multiple, cos, sin)
        return replace(
            self,
            seasons=tuple(series["phi"]),
            pole_x=tuple(series["X"]),
            pole_y=tuple(series["Y"]),
            **changes,  # type: ignore[arg-type]
        )

    def position_partial(self, names: Sequence[str], epoch: Epoch, fixed: Floats) -> Floats:
        """Return d(ICRF vector)/d(parameters) of a body-fixed vector.

        The obliquity's small share in the core's amplification (2e-7 of its partial) and
        products of polar motion (1e-7) are left out.

        Parameters
        ----------
        names : sequence of str
            Of `units`.
        epoch : Epoch, shape (n,)
            Converted to TDB.
        fixed : ndarray, shape (3,)
            Body-fixed vector, m.

        Returns
        -------
        ndarray, shape (n, 3, p)
            m per unit of each parameter.
        """
        angles, _ = self._angles(epoch)
        axes = self._axes(angles)
        place = self(epoch).position(fixed)
        found = [
            np.cross(rotation_vector(axes, self._change(name, epoch, angles)), place)
            for name in names
        ]
        return np.stack(found, axis=-1) if found else np.zeros((*place.shape, 0))

    def _change(self, name: str, epoch: Epoch, angles: AngleChange) -> AngleChange:
        """Return what a unit of a parameter changes of the five angles."""
        days, rest, seconds = self._since(epoch)
        t = days * DAY + rest
        if name in ("psi0", "psi_dot"):
            return AngleChange(psi=1.0 if name == "psi0" else t)
        if name in ("I0", "I_dot"):
            change = np.ones_like(t) if name == "I0" else t
            nutation, _ = self._nutation(seconds)
            return AngleChange(
                obliquity=change, phi=nutation.psi * np.sin(angles.obliquity) * change
            )
        if name in ("phi0", "phi_dot", "phi_ddot"):
            power = ("phi0", "phi_dot", "phi_ddot").index(name)
            return AngleChange(phi=t**power / math.factorial(power))
        if name in ("core_factor", "core_rate"):
            return self._core_change(name, seconds, angles)
        kind, k, part = self._seasonal_name(name)
        argument = self._argument(self._series()[kind][k].multiple, seconds)
        value = np.cos(argument) if part == "cos" else np.sin(argument)
        if kind == "phi":
            return AngleChange(phi=value)
        return AngleChange(x=value) if kind == "X" else AngleChange(y=value)

    def _core_change(self, name: str, seconds: Floats, angles: AngleChange) -> AngleChange:
        """Return what a unit of the core's factor or rate changes of the nutation."""
        s, sine = self.core_rate, math.sin(self.I0)
        psi, obliquity = np.zeros_like(seconds), np.zeros_like(seconds)
        for term in self.nutation:
            argument, rate = self._phase(term, seconds)
            core = self._core(term, rate)
            in_psi, in_obliquity = core.psi, core.obliquity
            if name == "core_rate":
                share = rate / (rate**2 - s**2)
                growth = 2.0 * s / (rate**2 - s**2)  # of the share, relative
                in_psi = growth * core.psi + share * term.obliquity / sine
                in_obliquity = growth * core.obliquity + share * term.longitude * sine
                in_psi, in_obliquity = self.core_factor * in_psi, self.core_factor * in_obliquity
            psi += in_psi * np.sin(argument)
            obliquity += in_obliquity * np.cos(argument)
        nutation, _ = self._nutation(seconds)
        inclined = np.asarray(angles.obliquity)
        phi = -psi * np.cos(inclined) + nutation.psi * np.sin(inclined) * obliquity
        return AngleChange(psi, obliquity, phi)
