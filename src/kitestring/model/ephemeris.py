"""Positions of the Sun, planets and Moon: DE440, cut inside the package.

The Chebyshev coefficients of JPL's DE440 for 2000-2050 travel with the package
unchanged, so that nothing has to be fetched; others are read from SPK files. A
body is a centre or a barycentre by name; a centre that the ephemeris does not
hold is an error, but for Mars, whose centre is its barycentre moved by Phobos
(`kitestring.model.mars`) where no kernel gives the centre itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, SpanError, UnknownNameError
from kitestring.model import _kernels, daf
from kitestring.model.chebyshev import Piece, check_chains, coverages, read_pieces
from kitestring.model.mars import mars_center_offset
from kitestring.model.time import DAY, Epoch

Floats = NDArray[np.float64]

NAIF_IDS = {
    "MERCURY BARYCENTER": 1,
    "VENUS BARYCENTER": 2,
    "EARTH-MOON BARYCENTER": 3,
    "MARS BARYCENTER": 4,
    "JUPITER BARYCENTER": 5,
    "SATURN BARYCENTER": 6,
    "URANUS BARYCENTER": 7,
    "NEPTUNE BARYCENTER": 8,
    "PLUTO BARYCENTER": 9,
    "SUN": 10,
    "MERCURY": 199,
    "VENUS": 299,
    "MOON": 301,
    "EARTH": 399,
}
_ALIASES = {
    "SSB": "SOLAR SYSTEM BARYCENTER",
    "EMB": "EARTH-MOON BARYCENTER",
    "EARTH BARYCENTER": "EARTH-MOON BARYCENTER",
}
SSB = "SOLAR SYSTEM BARYCENTER"
MARS = "MARS"

NAMES = {number: name for name, number in NAIF_IDS.items()} | {0: SSB, 499: MARS}
"""Names of bodies by their NAIF number."""


class Ephemeris:
    """States of solar-system bodies, in ICRF axes and TDB units.

    Parameters
    ----------
    layout : ndarray of int64, shape (n, 7)
        Target, centre (NAIF numbers), offset, records, coefficients a record
        and axis, first day (MJD TDB) and days a record.
    coefficients : ndarray
        Chebyshev coefficients in km, as [segment][record, axis, order].
    origin : str
        Where they come from.

    Attributes
    ----------
    coefficients : ndarray
        Coefficients in metres, each segment's behind a header, for
        `kitestring.model._kernels`.
    segments : ndarray of int64, shape (n, 7)
        Segment table for the same.

    Examples
    --------
    >>> eph = Ephemeris.default()
    >>> state = eph.state("EARTH", "SUN", Epoch.from_iso("2026-01-01", "tdb"))
    >>> bool(abs(np.linalg.norm(state[:3]) / 1.495978707e11 - 0.9833) < 1e-4)
    True
    """

    def __init__(self, layout: NDArray[np.int64], coefficients: Floats, origin: str) -> None:
        # a record may reach over the cut; the span is what all segments share
        first = layout[:, 5].max()
        last = (layout[:, 5] + layout[:, 3] * layout[:, 6]).min()
        ends = [float(daf.seconds_of(_midnight(day))[0]) for day in (first, last)]
        pieces = []
        for target, center, offset, records, order, day, days in layout.tolist():
            values = coefficients[offset : offset + records * 3 * order] * 1000.0
            shape = (records, 3, order)
            pieces.append(Piece(target, center, day, 0.0, days * DAY, values.reshape(shape), *ends))
        self._hold(pieces, {}, origin)

    def _hold(self, pieces: Sequence[Piece], names: dict[int, str], origin: str) -> None:
        """Lay segments out for the kernels; of two that cover an epoch the later one holds."""
        spans = coverages(pieces)
        pieces = pieces[::-1]
        targets = [piece.target for piece in pieces]
        rows, words, place = [], [], 0
        for row, piece in enumerate(pieces):
            place += _kernels.HEADER
            midnight = float(daf.seconds_of(_midnight(piece.day))[0])
            ends = [piece.first - midnight - daf.SLACK, piece.last - midnight + daf.SLACK]
            length = piece.interval
            words += [np.array([piece.begin, length, 1.0 / length, *ends]), piece.values.ravel()]
            parent = targets.index(piece.center) if piece.center in targets else -1
            following = (
                targets.index(piece.target, row + 1) if piece.target in targets[row + 1 :] else -1
            )
            records, axes, order = piece.values.shape
            rows.append([place, records, order, piece.day, axes, parent, following])
            place += piece.values.size
        self.origin = origin
        self.coefficients = np.concatenate(words)
        self.segments = np.array(rows, dtype=np.int64)
        known = {n: names.get(n, NAMES.get(n, str(n))) for n in targets}
        ordered = [n for n in NAIF_IDS.values() if n in known]
        ordered += [n for n in known if n not in ordered]
        self._index: dict[str, int] = {known[n]: targets.index(n) for n in ordered}
        self._spans = [spans[n] for n in targets]
        begin = max((s[0][0] for s in self._spans if s), default=0.0)
        end = min((s[-1][1] for s in self._spans if s), default=0.0)
        whole = daf.epoch_of(begin)
        self.first_day = int(whole.day) + (float(whole.second) > 0.0)
        self.last_day = int(daf.epoch_of(end).day)

    @staticmethod
    @cache
    def default() -> Ephemeris:
        """Return the ephemeris of the package: DE440, 2000-2050."""
        resource = files("kitestring") / "data" / "de440_2000_2050.npz"
        with as_file(resource) as path, np.load(path) as held:
            return Ephemeris(held["layout"], held["coefficients"], str(held["origin"]))

    @classmethod
    def from_spk(
        cls,
        path: Path | str | Sequence[Path | str],
        first: Epoch | None = None,
        last: Epoch | None = None,
    ) -> Ephemeris:
        """Read an ephemeris from SPK files with Chebyshev polynomials (types 2 and 3).

        Such are JPL's planetary ephemerides and NAIF's of the satellites. Files
        of other types hold spacecraft and small bodies:
        `kitestring.formats.spk.read_spk` reads them.

        Parameters
        ----------
        path : Path or str, or a sequence of them
            One file, or several that make one ephemeris: of two segments that
            cover an epoch the later one holds, as in SPICE.
        first, last : Epoch, shape (), optional
            What is wanted; records outside are not kept. All unless given.

        Returns
        -------
        Ephemeris
            With every body of the files, by its name in `NAIF_IDS`, SPICE's
            name, or its number. MARS is the centre that the files give, where
            they give one. Velocities are the derivatives of type 2, those of
            the file in type 3.

        Raises
        ------
        MissingDataError
            Where there is no such file.
        FormatError
            Where one is no SPK, is damaged, holds another type or frame, or a
            body relative to one that none of them holds.
        SpanError
            Where nothing of them lies between `first` and `last`.
        """
        paths = [path] if isinstance(path, (str, Path)) else list(path)
        if not paths:
            raise ConfigurationError("no SPK file is named.", next_step="Name one or more.")
        for end in (first, last):
            if end is not None and (end.shape != () or not np.isfinite(end.second)):
                raise ConfigurationError(
                    f"epochs of shape {end.shape} end no span.", next_step="Give a single epoch."
                )
        ends = [None if e is None else float(daf.seconds_of(e)[0]) for e in (first, last)]
        pieces = [piece for file in paths for piece in read_pieces(Path(file), ends[0], ends[1])]
        place = ", ".join(str(file) for file in paths)
        if not pieces:
            raise SpanError(
                "nothing of it lies in the span that is asked for.",
                place=place,
                next_step="See what it covers with kitestring.formats.spk.spk_contents.",
            )
        check_chains(pieces, place)
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(np.array([piece.target, piece.center, piece.day]).astype("<i8").tobytes())
            digest.update(np.array([piece.begin, piece.interval]).astype("<f8").tobytes())
            digest.update(piece.values.astype("<f8").tobytes())
        files_ = ", ".join(Path(file).name for file in paths)
        numbers = {piece.target for piece in pieces}
        names = {n: daf.body_name(n) for n in numbers if n not in NAMES}
        found = cls.__new__(cls)
        found._hold(pieces, names, f"{files_} (coefficients: sha256 {digest.hexdigest()[:16]})")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the bodies that `state` knows."""
        analytic = "MARS BARYCENTER" in self._index and MARS not in self._index
        mars = (MARS,) if analytic else ()
        return (SSB, *self._index, *mars)

    def index(self, name: str) -> int:
        """Return a body's index in the segment table (-1 for the SSB).

        Raises
        ------
        UnknownNameError
            For a body that the ephemeris does not hold; the centre of a planet
            with moons is not its barycentre.
        """
        upper = _ALIASES.get(name.upper(), name.upper())
        if upper == SSB:
            return -1
        if upper not in self._index:
            raise UnknownNameError("body of the ephemeris", name, self.names)
        return self._index[upper]

    def _check_span(self, body: int, epoch: Epoch) -> None:
        seconds = daf.seconds_of(epoch)[0]
        inside = np.zeros(seconds.shape, dtype=bool)
        for low, high in self._spans[body]:
            inside |= (seconds >= low - daf.SLACK) & (seconds <= high + daf.SLACK)
        if np.any(np.isnan(seconds)):
            raise SpanError("an epoch is not a number.", place=self.origin)
        if not np.all(inside):
            name = next(n for n, row in self._index.items() if row == body)
            spans = " and ".join(
                f"{daf.epoch_of(low).iso(0)} to {daf.epoch_of(high).iso(0)}"
                for low, high in self._spans[body]
            )
            raise SpanError(
                f"the ephemeris covers {name} {spans or 'at no time'} TDB, not "
                f"{epoch.first().iso(0)} to {epoch.last().iso(0)}.",
                place=self.origin,
                next_step="Use an epoch inside it.",
            )

    def barycentric(self, name: str, epoch: Epoch) -> Floats:
        """Return states relative to the solar-system barycentre.

        Parameters
        ----------
        name : str
            Body, such as ``"EARTH"``, ``"MARS BARYCENTER"`` or ``"MARS"``.
        epoch : Epoch, shape (...)
            Converted to TDB.

        Returns
        -------
        ndarray, shape (..., 6)
            Position (m) and velocity (m/s), ICRF axes.
        """
        tdb = epoch.to("tdb")
        out = np.zeros((int(np.prod(tdb.shape)), 6))
        if name.upper() == MARS and MARS not in self._index:
            body = self.index("MARS BARYCENTER")
            out += mars_center_offset(Epoch("tdb", tdb.day.ravel(), tdb.second.ravel()))
        else:
            body = self.index(name)
        if body >= 0:
            self._check_span(body, tdb)
            _kernels.body_states(
                self.coefficients, self.segments, body, tdb.day.ravel(), tdb.second.ravel(), out
            )
        return out.reshape((*tdb.shape, 6))

    def state(self, target: str, center: str, epoch: Epoch) -> Floats:
        """Return states of `target` relative to `center`, shape (..., 6), m and m/s."""
        tdb = epoch.to("tdb")
        return self.barycentric(target, tdb) - self.barycentric(center, tdb)


def _midnight(day: int) -> Epoch:
    return Epoch("tdb", np.asarray(day, dtype=np.int64), np.asarray(0.0))
