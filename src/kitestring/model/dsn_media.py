"""The DSN's own calibrations of the air and the ionosphere over its complexes.

Each command of a file (`kitestring.formats.csp`) is a series in time: seasons and
their daily adjustments of the zenith delays, valid for all that look up there, and
passes of the ionosphere's delay along the line of sight to one spacecraft. Of
commands of one kind that cover an epoch the last in the file counts; kinds add up
(DSN 820-013, TRK-2-23 rev. C, 2008, section 3.1.7).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, MissingDataError, SpanError
from kitestring.model.antenna import Station
from kitestring.model.constants import C
from kitestring.model.mapping import LOWEST_ELEVATION, niell_hydrostatic, niell_wet
from kitestring.model.sight import Sight
from kitestring.model.time import Epoch
from kitestring.model.troposphere import check_elevation

Floats = NDArray[np.float64]
Medium = Literal["dry", "wet", "ionosphere"]
Kind = Literal["CONST", "NRMPOW", "TRIG"]
KINDS: tuple[Kind, ...] = ("CONST", "NRMPOW", "TRIG")

REFERENCE_FREQUENCY = 2295e6
"""Hz at which the ionosphere's delays are given, S band."""

_SLACK = 0.01  # s: commands that follow each other leave a millisecond
_COMPLEXES = (("C10", range(11, 31)), ("C40", range(31, 51)), ("C60", range(51, 71)))
_DSS = re.compile(r"DSS[ _-]?0*(?P<number>\d{1,3})$", re.IGNORECASE)
# Chosen: GNSS at the complexes sees the zenith to a centimetre, seasons the wet part to some
_ADJUSTED_SIGMA, _SEASONAL_SIGMA = 0.01 / C, 0.04 / C
# Chosen: 3 TECU along the line of sight, what maps of GNSS are good to
_IONOSPHERE_SIGMA = 0.23 / C


@dataclass(frozen=True, eq=False)
class MediaCommand:
    """One command.

    Attributes
    ----------
    medium : {"dry", "wet", "ionosphere"}
        What it is about.
    kind : {"CONST", "NRMPOW", "TRIG"}
        A constant; a power series of the time normalised to -1 at `start` and 1 at
        `end`; or period (s), constant, then cosine and sine of each harmonic of the
        time from `start`.
    coefficients : tuple of float
        m, but for the period.
    start, end : Epoch or None
        From when to when it holds; open where None.
    station : str
        ``"C10"``, ``"C40"``, ``"C60"`` for a complex, or the number of an antenna.
    data : str
        Kind of data that it is for, such as ``"ALL"`` or ``"DOPRNG"``.
    source : str
        Such as ``"SCID 236"``; empty for any.

    Raises
    ------
    ConfigurationError
        For a series without what it needs.

    Examples
    --------
    >>> day = Epoch.from_iso(["2017-04-01T00:00:00", "2017-04-01T06:00:00"])
    >>> line = MediaCommand("wet", "NRMPOW", (0.01, 0.02), day[0], day[1], "C10")
    >>> line.value(day).round(12)
    array([-0.01,  0.03])
    """

    medium: Medium
    kind: Kind
    coefficients: tuple[float, ...]
    start: Epoch | None
    end: Epoch | None
    station: str
    data: str = "ALL"
    source: str = ""

    def __post_init__(self) -> None:
        count = len(self.coefficients)
        wrong = ""
        if self.start is not None and self.end is not None and not self.end.since(self.start) > 0:
            wrong = "ends before it begins"
        elif self.kind == "CONST" and count != 1:
            wrong = f"has {count} coefficients"
        elif self.kind == "NRMPOW" and (count < 1 or self.start is None or self.end is None):
            wrong = "lacks coefficients, FROM or TO"
        elif self.kind == "TRIG" and (
            count < 2 or count % 2 or self.start is None or not self.coefficients[0] > 0.0
        ):
            wrong = "lacks FROM, or a period, a constant and pairs"
        if wrong:
            raise ConfigurationError(
                f"a {self.kind} series {wrong}.", next_step="Correct the command."
            )

    def covers(self, epoch: Epoch) -> NDArray[np.bool_]:
        """Return at which epochs it holds, shape (n,)."""
        held = np.ones(epoch.shape, dtype=bool)
        if self.start is not None:
            held &= np.asarray(epoch.since(self.start)) >= -_SLACK
        if self.end is not None:
            held &= np.asarray(epoch.since(self.end)) <= _SLACK
        return held

    def value(self, epoch: Epoch) -> Floats:
        """Return its value at epochs, shape (n,), m."""
        if self.kind == "CONST" or self.start is None:
            return np.full(epoch.shape, self.coefficients[0])
        elapsed = np.asarray(epoch.since(self.start))
        if self.kind == "NRMPOW":
            assert self.end is not None  # checked when made
            x = 2.0 * elapsed / float(self.end.since(self.start)) - 1.0
            return np.asarray(np.polynomial.polynomial.polyval(x, self.coefficients))
        period, constant, *waves = self.coefficients
        turn = 2.0 * np.pi * elapsed / period
        total = np.full(epoch.shape, constant)
        for k, (cosine, sine) in enumerate(zip(waves[0::2], waves[1::2], strict=True), 1):
            total = total + cosine * np.cos(k * turn) + sine * np.sin(k * turn)
        return total


def dsn_scopes(station: Station) -> tuple[str, str]:
    """Return what commands call a station's complex and the station itself, ``("C10", "25")``.

    Raises
    ------
    MissingDataError
        For a station that is not of the DSN.
    """
    found = next((m for m in (_DSS.match(name) for name in station.names) if m), None)
    number = int(found["number"]) if found else -1
    place = next((name for name, numbers in _COMPLEXES if number in numbers), None)
    if place is None:
        raise MissingDataError(
            f"{station.name} is at no complex of the DSN, which its calibrations are for.",
            next_step="Name a station such as DSS25, or take another model of the media.",
        )
    return place, str(number)


class DsnTroposphere:
    """Delay of the air as the DSN calibrates it: an `Effect` of `kitestring.model.sight`.

    Zenith delays of the seasons, their daily adjustments where there are any, and
    the constants of antennas above or below their complex; Niell's mapping.

    Parameters
    ----------
    commands : sequence of MediaCommand
        Of one or several files, in their order: those of the seasons too, which the
        others are relative to.
    below : {"raise", "nan"}
        As in `kitestring.model.troposphere.Troposphere`.
    """

    name = "troposphere"

    def __init__(
        self, commands: Sequence[MediaCommand], below: Literal["raise", "nan"] = "raise"
    ) -> None:
        self.commands = tuple(c for c in commands if c.medium != "ionosphere")
        self.below = below

    def applies(self, station: Station) -> bool:
        """Tell whether any command is of a station or its complex."""
        try:
            scopes = dsn_scopes(station)
        except MissingDataError:
            return False
        return any(c.station in scopes for c in self.commands)

    def zenith(self, station: Station, epoch: Epoch) -> tuple[Floats, Floats]:
        """Return the dry and the wet zenith delay at epochs, each of shape (n,), s.

        Raises
        ------
        MissingDataError
            For a station without a season of both.
        SpanError
            Outside the seasons.
        """
        dry, wet = (self._zenith(medium, station, epoch)[0] for medium in ("dry", "wet"))
        return dry, wet

    def _zenith(
        self, medium: str, station: Station, epoch: Epoch
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Return a zenith delay, and at which epochs it was adjusted."""
        scopes = dsn_scopes(station)
        mine = [c for c in self.commands if c.medium == medium and c.station in scopes]
        if not any(c.kind == "TRIG" for c in mine):
            raise MissingDataError(
                f"there is no seasonal {medium} delay for {station.name}.",
                next_step="Read the DSN's file of seasons with the adjustments.",
            )
        total, season, adjusted = (np.zeros(epoch.shape) for _ in range(3))
        for scope in scopes:
            for kind in KINDS:
                chosen = [c for c in mine if c.station == scope and c.kind == kind]
                value, held = _latest(chosen, epoch)
                total += value
                season += held * (kind == "TRIG")
                adjusted += held * (kind == "NRMPOW")
        if not np.all(season):
            when = Epoch(epoch.scale, epoch.day.ravel(), epoch.second.ravel())
            first = when[int(np.argmin(season))].to("utc").iso(0)
            raise SpanError(
                f"the seasonal {medium} delay of {station.name} does not reach {first} UTC.",
                next_step="Read a later file.",
            )
        return total / C, adjusted > 0.0

    def delay(self, sight: Sight) -> Floats:
        """Return the slant delay, shape (n,), s.

        Raises
        ------
        SpanError
            Below `LOWEST_ELEVATION`, unless that is to be NaN; outside the seasons.
        MissingDataError
            For a station that is not of the DSN, or has no seasons.
        """
        elevation = self._elevation(sight)
        _, latitude, height = sight.station.geodetic
        tt = sight.state.tt
        dry, wet = self.zenith(sight.station, tt)
        slant = dry * niell_hydrostatic(elevation, latitude, height, tt)
        return np.asarray(slant + wet * niell_wet(elevation, latitude))

    def sigma(self, sight: Sight) -> Floats:
        """Return the standard deviation, shape (n,), s: 1 cm of zenith where adjusted, else 4."""
        adjusted = self._zenith("wet", sight.station, sight.state.tt)[1]
        zenith = np.where(adjusted, _ADJUSTED_SIGMA, _SEASONAL_SIGMA)
        return np.asarray(zenith * self.zenith_partial(sight))

    def zenith_partial(self, sight: Sight) -> Floats:
        """Return d(delay)/d(zenith wet delay), shape (n,): Niell's wet function."""
        return niell_wet(self._elevation(sight), sight.station.geodetic[1])

    def _elevation(self, sight: Sight) -> Floats:
        if self.below == "raise":
            check_elevation(sight)
            return sight.elevation
        return np.where(sight.elevation >= LOWEST_ELEVATION, sight.elevation, np.nan)


class DsnIonosphere:
    """Delay of the ionosphere as the DSN calibrates it: an `Effect` of `kitestring.model.sight`.

    Parameters
    ----------
    commands : sequence of MediaCommand
        Of one or several files, in their order.
    source : str
        Whose line of sight it is, as in the commands, such as ``"SCID 189"``.
    data : str
        Kind of data; commands for ``"ALL"`` count as well.
    """

    name = "ionosphere"

    def __init__(self, commands: Sequence[MediaCommand], source: str, data: str = "DOPRNG") -> None:
        mine = [c for c in commands if c.medium == "ionosphere" and c.data in (data, "ALL")]
        self.commands = tuple(c for c in mine if c.source in (source, ""))
        self.source = source
        if not self.commands:
            known = sorted({f"{c.source} ({c.data})" for c in mine}) or ["none"]
            raise MissingDataError(
                f"there is no ionosphere for {source}, {data}.",
                next_step=f"There is: {', '.join(known)}.",
            )

    def delay(self, sight: Sight) -> Floats:
        """Return the delay at the sky frequency, shape (n,), s.

        Raises
        ------
        SpanError
            At an epoch that no command covers.
        MissingDataError
            For a station that is not of the DSN.
        ConfigurationError
            Where the sky frequency is not known.
        """
        frequency = sight.known_frequency("the ionosphere")
        tt, scopes = sight.state.tt, dsn_scopes(sight.station)
        value, held = _latest([c for c in self.commands if c.station in scopes], tt)
        if not np.all(held):
            flat = Epoch(tt.scale, tt.day.ravel(), tt.second.ravel())
            first = flat[int(np.argmin(held))].to("utc").iso(0)
            raise SpanError(
                f"no ionosphere of {sight.station.name} for {self.source} at {first} UTC.",
                next_step="Read the file of that pass.",
            )
        size = value / C * (REFERENCE_FREQUENCY / frequency) ** 2
        return np.asarray(size if sight.group else -size)

    def sigma(self, sight: Sight) -> Floats:
        """Return the standard deviation, shape (n,), s: 23 cm at S band, 3 TECU."""
        frequency = sight.known_frequency("the ionosphere")
        return np.asarray(_IONOSPHERE_SIGMA * (REFERENCE_FREQUENCY / frequency) ** 2)


def _latest(commands: Sequence[MediaCommand], epoch: Epoch) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the value of the last command that holds at each epoch (0 where none), and where."""
    value, held = np.zeros(epoch.shape), np.zeros(epoch.shape, dtype=bool)
    for command in commands:
        mask = command.covers(epoch)
        if np.any(mask):
            value = np.where(mask, command.value(epoch), value)
            held |= mask
    return value, held
