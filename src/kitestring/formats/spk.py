"""Reads SPK files of SPICE: spacecraft and small bodies.

CSPICE evaluates every type of segment, one at a time and by the file's own
handle: nothing is loaded into its common pool, so that two files never mix.
SPICE's J2000 is taken as the axes of the ICRF, as NAIF does.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import (
    ConfigurationError,
    FormatError,
    MissingDataError,
    SpanError,
    UnknownNameError,
)
from kitestring.model import daf
from kitestring.model.daf import DafSegment, Spans
from kitestring.model.ephemeris import NAMES, SSB, Ephemeris
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

KM = 1e3
TYPES = (1, 2, 3, 5, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20, 21)
"""Types of segment that CSPICE evaluates."""

_ELEMENTS = 10  # two-line elements
_LONGEST_CHAIN = 20
_SHOWN = 6  # spans named in a message
NUMBERS = {name: number for number, name in NAMES.items()} | {"SSB": 0}
"""NAIF numbers of the bodies that `kitestring.model.ephemeris` names."""

# -- describing ----------------------------------------------------------------


@dataclass(frozen=True)
class SpkSegment:
    """What one segment of an SPK file holds.

    Attributes
    ----------
    target, center : int
        NAIF numbers.
    target_name, center_name : str
        Their names; the number where there is none.
    frame : str
        Axes of the states, SPICE's name.
    data_type : int
        SPK type.
    first, last : Epoch
        Coverage, TDB.
    name : str
        What the writer called it.
    """

    target: int
    center: int
    target_name: str
    center_name: str
    frame: str
    data_type: int
    first: Epoch
    last: Epoch
    name: str


def spk_contents(path: Path | str) -> tuple[SpkSegment, ...]:
    """List the segments of an SPK file, in the order of the file.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is no SPK file, is cut off or damaged.
    """
    return tuple(
        SpkSegment(
            target=s.body,
            center=s.center,
            target_name=name_of(s.body),
            center_name=name_of(s.center),
            frame=daf.frame_name(s.frame),
            data_type=s.data_type,
            first=daf.epoch_of(s.first),
            last=daf.epoch_of(s.last),
            name=s.name,
        )
        for s in daf.read_segments(path, "SPK")
    )


def name_of(number: int) -> str:
    """Return a body's name here or in SPICE; its number where it has none."""
    return NAMES.get(number) or daf.body_name(number)


def number_of(body: str | int) -> int | None:
    """Return the NAIF number of a body by its name here or in SPICE; None where it has none."""
    if isinstance(body, str):
        return NUMBERS.get(body.upper(), daf.body_number(body))
    return operator.index(body)


def _number(body: str | int, path: Path | str) -> int:
    found = number_of(body)
    if found is None:
        raise UnknownNameError("body of SPICE", str(body), NUMBERS, place=str(path))
    return found


# -- reading -------------------------------------------------------------------


def read_spk(
    path: Path | str, target: str | int | None = None, center: str | int | None = None
) -> SpkTrajectory:
    """Read the trajectory of one body from an SPK file, of any type.

    Where segments overlap, the later one in the file holds, as in SPICE.

    Parameters
    ----------
    path : Path or str
        The file.
    target : str or int, optional
        Whose trajectory, by name or NAIF number; may be left out where the
        file holds one body alone.
    center : str or int, optional
        What the states shall be relative to. Unless given: the centre of the
        file, where all segments have the same and `Ephemeris.default` knows it;
        otherwise the barycentre of the solar system. A centre that the package
        does not know is followed inside the file.

    Returns
    -------
    SpkTrajectory
        A `Trajectory`. It reads the file whenever it is asked for states.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is no SPK file, is cut off or damaged, or holds the target in
        axes other than J2000 and ECLIPJ2000, in an unknown type, or relative to
        a body that neither the file nor the package's ephemeris holds.
    ConfigurationError
        Where several bodies could be meant; they are listed.
    UnknownNameError
        Where the file does not hold the target.

    Examples
    --------
    >>> import tempfile
    >>> from kitestring.formats.spk_write import write_spk
    >>> from kitestring.model.tabulated import TabulatedTrajectory
    >>> epoch = Epoch.from_iso(["2026-01-01", "2026-01-02"], "tdb")
    >>> line = TabulatedTrajectory("X", "SUN", epoch, [[0, 0, 0, 1, 0, 0], [86400, 0, 0, 1, 0, 0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "x.bsp"
    ...     _ = write_spk(file, line, 21600.0, body=-999)
    ...     found = read_spk(file)
    ...     state = found.state(Epoch.from_iso("2026-01-01T12:00", "tdb"))
    >>> found.name, found.center, round(float(state[0]), 6)
    ('-999', 'SUN', 43200.0)
    """
    file = Path(path)
    segments = daf.read_segments(file, "SPK")
    number = _choose(file, segments, target)
    used = _needed(file, segments, number)
    ours = [s for s in used if s.body == number]
    wanted = _output_center(file, used, ours, center)
    with daf.opened(file, "SPK") as handle:
        for segment in used:
            _check_segment(file, handle, segment)
    trajectory = SpkTrajectory(
        path=file,
        target=number,
        name=name_of(number),
        center=NAMES.get(wanted) or daf.body_name(wanted),
        center_number=wanted,
        segments=tuple(used),
        coverage=daf.join_spans((s.first, s.last) for s in ours),
        written=_signature(file),
    )
    trajectory.check_chains()
    return trajectory


def _choose(path: Path, segments: Sequence[DafSegment], target: str | int | None) -> int:
    held = list(dict.fromkeys(s.body for s in segments))
    if target is None:
        if len(held) == 1:
            return held[0]
        shown = ", ".join(f"{name_of(n)} ({n})" for n in held)
        raise ConfigurationError(
            f"it holds {len(held)} bodies: {shown}.", place=str(path), next_step="Name one of them."
        )
    number = number_of(target)
    if number is None or number not in held:
        known = [f"{name_of(n)} ({n})" for n in held]
        raise UnknownNameError("body of the file", str(target), known, place=str(path))
    return number


def _needed(path: Path, segments: Sequence[DafSegment], target: int) -> list[DafSegment]:
    """Return the target's segments and those of all that they lead to inside the file."""
    bodies, ahead = {target}, [target]
    while ahead:
        body = ahead.pop()
        for s in segments:
            if s.body == body and s.center not in bodies and s.center not in NAMES:
                bodies.add(s.center)
                ahead.append(s.center)
    return [s for s in segments if s.body in bodies]


def _output_center(
    path: Path, used: Sequence[DafSegment], ours: Sequence[DafSegment], center: str | int | None
) -> int:
    if center is not None:
        return _number(center, path)
    direct = {s.center for s in ours}
    passed: set[int] = set()
    while len(direct) == 1 and not direct <= passed:
        (body,) = direct
        if body in NAMES:
            return body
        passed.add(body)
        direct = {s.center for s in used if s.body == body} - {body}
    return 0


def _check_segment(path: Path, handle: int, segment: DafSegment) -> None:
    daf.frame_matrix(segment.frame, f"{path} ({name_of(segment.body)})")
    if segment.data_type not in TYPES:
        raise FormatError(
            f"{name_of(segment.body)} is given in type {segment.data_type}, which is not known.",
            place=str(path),
            next_step=f"Known are {', '.join(str(t) for t in TYPES)}.",
        )
    words = segment.end - segment.begin + 1
    tail = [
        float(v) for v in daf.read_words(handle, max(segment.begin, segment.end - 3), segment.end)
    ]
    lengths = _LENGTHS.get(segment.data_type)
    if not np.all(np.isfinite(tail)) or (
        lengths and not (len(tail) == 4 and lengths(tail) == words)
    ):
        raise FormatError(
            f"the segment {segment.name!r} of {name_of(segment.body)} is damaged.",
            place=str(path),
            next_step="Get the file again.",
        )


def _directory(count: float) -> float:
    """Return the length of a directory of epochs, every hundredth of them."""
    return float((count - 1.0) // 100.0)


# Doubles in a segment by its last four, for the types whose length these tell (NAIF, "SPK
# Required Reading"): CSPICE trusts them when it reads into arrays of fixed size.
_LENGTHS: dict[int, Callable[[Sequence[float]], float]] = {
    1: lambda t: 72.0 * t[3] + t[3] // 100.0 + 1.0,
    2: lambda t: t[2] * t[3] + 4.0,
    3: lambda t: t[2] * t[3] + 4.0,
    5: lambda t: 7.0 * t[3] + t[3] // 100.0 + 2.0,
    8: lambda t: 6.0 * t[3] + 4.0,
    9: lambda t: 7.0 * t[3] + _directory(t[3]) + 2.0,
    12: lambda t: 6.0 * t[3] + 4.0,
    13: lambda t: 7.0 * t[3] + _directory(t[3]) + 2.0,
    20: lambda t: t[2] * t[3] + 7.0,
    21: lambda t: (4.0 * t[2] + 12.0) * t[3] + t[3] // 100.0 + 2.0,
}


def _signature(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written again."""
    try:
        found = path.stat()
    except OSError as error:
        raise MissingDataError(
            f"the kernel is gone: {error.strerror}.", place=str(path), next_step="Put it back."
        ) from None
    return found.st_size, found.st_mtime_ns, found.st_ino


@dataclass(frozen=True, eq=False)
class SpkTrajectory:
    """States of one body from an SPK file: a `Trajectory`.

    Made by `read_spk`. The file is opened for each call of `state` and closed
    again (20 microseconds): processes, threads and files of one name do not
    meet. SPICE holds an epoch in one double, to 0.1 microsecond; the position
    is carried from there to the epoch by the velocity, so that it does not step.

    Attributes
    ----------
    path : Path
        The file.
    target : int
        NAIF number of the body.
    name : str
        Its name; the number where it has none.
    center : str
        Name of the centre.
    center_number : int
        NAIF number of the centre.
    segments : tuple of DafSegment
        Those of the target, and of the bodies of the file that lead to its centre.
    coverage : tuple of (float, float)
        Spans that are covered, TDB seconds past J2000, in their order.
    written : tuple of int
        Size, time and number of the file when it was read.
    """

    path: Path
    target: int
    name: str
    center: str
    center_number: int
    segments: tuple[DafSegment, ...]
    coverage: Spans
    written: tuple[int, int, int]

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """First and last epoch covered, TDB; `coverage` tells of gaps between them."""
        return daf.epoch_of(self.coverage[0][0]), daf.epoch_of(self.coverage[-1][1])

    @property
    def origin(self) -> str:
        """The file that it comes from."""
        return str(self.path)

    def check_chains(self) -> None:
        """Check that every segment leads to the centre.

        Raises
        ------
        FormatError
            Where a body on the way is held neither by the file nor by the package.
        """
        held = {s.body for s in self.segments}
        for segment in self.segments:
            number = segment.center
            if number != self.center_number and number not in held and number not in NAMES:
                raise FormatError(
                    f"{name_of(segment.body)} is given relative to {name_of(number)} ({number}), "
                    "which neither the file nor the package's ephemeris holds.",
                    place=str(self.path),
                    next_step="Merge the kernel that holds it into the file (NAIF's spkmerge).",
                )
        direct = {s.center for s in self.segments if s.body == self.target}
        if self.center_number not in NAMES and self.center_number not in held | direct:
            raise FormatError(
                f"{self.center} ({self.center_number}) is no centre that {self.name} leads to.",
                place=str(self.path),
                next_step=f"Take one of {', '.join(name_of(n) for n in sorted(direct))}, or {SSB}.",
            )

    def state(self, epoch: Epoch) -> Floats:
        """Return positions and velocities, shape (..., 6), m and m/s, relative to `center`.

        Raises
        ------
        SpanError
            For an epoch outside the coverage or in a gap of it, of the target or of
            a body on the way to the centre.
        FormatError
            Where the data are damaged, or the file has changed since it was read.
        """
        tdb = epoch.to("tdb")
        flat = Epoch("tdb", tdb.day.ravel(), tdb.second.ravel())
        seconds, rest = daf.seconds_of(flat)
        out = np.zeros((len(seconds), 6))
        if _signature(self.path) != self.written:
            raise FormatError(
                "has changed since it was read.",
                place=str(self.path),
                next_step="Read it again with read_spk.",
            )
        with daf.opened(self.path, "SPK") as handle:
            body = np.full(len(seconds), self.target)
            for step in range(_LONGEST_CHAIN):
                ahead = body != self.center_number
                if step:  # the package's ephemeris takes over where it can
                    known = ahead & np.isin(body, list(NAMES))
                    self._finish(out, body, known, flat)
                    body[known] = self.center_number
                    ahead &= ~known
                if not np.any(ahead):
                    break
                for number in np.unique(body[ahead]).tolist():
                    rows = np.flatnonzero(ahead & (body == number))
                    body[rows] = self._add(handle, out, number, rows, seconds, rest)
            else:
                raise FormatError(
                    f"{self.name} does not lead to {self.center}.",
                    place=str(self.path),
                    next_step="The file's centres go round in a circle.",
                )
        if not np.all(np.isfinite(out)):
            raise FormatError(
                f"states of {self.name} are not finite.",
                place=str(self.path),
                next_step="Get the file again.",
            )
        return out.reshape((*tdb.shape, 6))

    def _finish(self, out: Floats, body: NDArray[Any], known: NDArray[Any], epoch: Epoch) -> None:
        """Add the way from bodies of the package's ephemeris to the centre."""
        ephemeris = Ephemeris.default()
        for number in np.unique(body[known]).tolist():
            rows = np.flatnonzero(known & (body == number))
            if self.center_number not in NAMES:
                raise FormatError(
                    f"{name_of(number)} does not lead to {self.center}.",
                    place=str(self.path),
                    next_step="Take another centre.",
                )
            out[rows] += ephemeris.state(NAMES[number], self.center, epoch[rows])

    def _add(
        self, handle: int, out: Floats, number: int, rows: NDArray[Any], at: Floats, rest: Floats
    ) -> NDArray[Any]:
        """Add a body's states at some rows, and return what they are relative to."""
        import spiceypy

        mine = [s for s in self.segments if s.body == number]
        centers = np.zeros(len(rows), dtype=np.int64)
        left = np.ones(len(rows), dtype=bool)
        for segment in reversed(mine):
            low, high = segment.first - daf.SLACK, segment.last + daf.SLACK
            inside = left & (at[rows] >= low) & (at[rows] <= high)
            left &= ~inside
            if not np.any(inside):
                continue
            centers[inside] = segment.center
            turn = daf.frame_matrix(segment.frame, str(self.path)).T * KM
            here = rows[inside]
            # an epoch just outside is reached by the velocity
            doubles = np.clip(at[here], segment.first, segment.last)
            with daf.leap_seconds() if segment.data_type == _ELEMENTS else nullcontext():
                states = np.array(
                    [spiceypy.spkpvn(handle, segment.summary, t)[1] for t in doubles.tolist()]
                )
            place, velocity = states[:, :3] @ turn, states[:, 3:] @ turn
            out[here, :3] += place + velocity * ((at[here] - doubles) + rest[here])[:, None]
            out[here, 3:] += velocity
        if np.any(left):
            self._refuse(number, mine, at[rows[left]])
        return centers

    def _refuse(self, number: int, segments: Sequence[DafSegment], at: Floats) -> None:
        spans = daf.join_spans((s.first, s.last) for s in segments)
        shown = ", ".join(
            f"{daf.epoch_of(low).iso(3)} to {daf.epoch_of(high).iso(3)}"
            for low, high in spans[:_SHOWN]
        )
        more = f" and {len(spans) - _SHOWN} more" if len(spans) > _SHOWN else ""
        if np.any(np.isnan(at)):
            raise SpanError("an epoch is not a number.", place=str(self.path))
        first, last = (daf.epoch_of(end).iso(3) for end in (at.min(), at.max()))
        raise SpanError(
            f"{name_of(number)} is covered {shown}{more} TDB, not {first} to {last}.",
            place=str(self.path),
            next_step="Ask for epochs inside these spans.",
        )
