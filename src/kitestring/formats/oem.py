"""Reads and writes CCSDS Orbit Ephemeris Messages (502.0-B, key-value notation).

Axes are those of the ICRF; a file in others is refused, not turned. EME2000
is refused too: some writers mean the ICRF by it, others axes that are turned
from it by 23 mas (17 km at 1 au).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from kitestring._write import write_atomically
from kitestring.errors import ConfigurationError, FormatError, MissingDataError
from kitestring.formats._tdm_segments import Notes
from kitestring.model.ephemeris import MARS, NAIF_IDS, SSB
from kitestring.model.tabulated import DEGREE, MOST_DEGREE, TabulatedTrajectory
from kitestring.model.time import Epoch, Scale
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]
Numbered = tuple[int, str]

KM = 1e3

FRAMES = ("ICRF", "ICRF1", "ICRF2", "ICRF3", "GCRF")
"""Frames whose axes are the ICRF's, within 0.1 mas."""

CENTERS = (SSB, MARS, *NAIF_IDS)

# name: (scale, seconds to be added)
_TIME_SYSTEMS: dict[str, tuple[Scale, float]] = {
    "TDB": ("tdb", 0.0),
    "TT": ("tt", 0.0),
    "TAI": ("tai", 0.0),
    "UTC": ("utc", 0.0),
    "GPS": ("tai", 19.0),
}
_NEEDED = (
    "OBJECT_NAME",
    "OBJECT_ID",
    "CENTER_NAME",
    "REF_FRAME",
    "TIME_SYSTEM",
    "START_TIME",
    "STOP_TIME",
)
_VERSIONS = ("1", "2", "3")
_DIGITS = 9  # of a second; states are those of the epochs as they are written
_LONGEST = 200  # characters of a comment; a line may have 254
_MISSING = 1.0  # s; states that end so long before the stated time are not all there
_TRIANGLE = np.tril_indices(6)

# -- writing -------------------------------------------------------------------


def write_oem(
    path: Path | str,
    trajectory: Trajectory,
    epochs: Epoch,
    *,
    covariance: Callable[[Epoch], Floats] | Floats | None = None,
    object_name: str = "",
    object_id: str = "",
    originator: str = "KITESTRING",
    created: Epoch | None = None,
    comments: Sequence[str] = (),
    degree: int = DEGREE,
) -> None:
    """Write an orbit ephemeris message, version 2.0, with one segment.

    Sixteen digits are written: to 13 au, what is read again agrees within a
    millimetre and a nanometre a second.

    Parameters
    ----------
    path : Path or str
        The file to be written; it appears whole or not at all.
    trajectory : Trajectory
        What is written, in its own centre.
    epochs : Epoch, shape (n,)
        When; ascending, at least two. They are rounded to a nanosecond of TDB.
    covariance : callable or array_like, shape (n, 6, 6), optional
        Of the state at each epoch, m and m/s, ICRF axes; or what returns that
        for epochs, such as `OrbitSolution.covariance`.
    object_name : str
        Name; the trajectory's own unless given.
    object_id : str
        International designator such as ``"2025-101A"``; the name where there is none.
    originator : str
        Who makes the file.
    created : Epoch, optional
        Creation date; now unless given.
    comments : sequence of str
        How it was made: version, inputs with checksums, models.
    degree : int
        Degree of the Hermite interpolation that is recommended to readers.

    Raises
    ------
    ConfigurationError
        For epochs that do not ascend, covariances of another shape, or a centre
        that is no body.
    SpanError
        For epochs outside the trajectory.

    Examples
    --------
    >>> import tempfile
    >>> epoch = Epoch.from_iso(["2026-01-01", "2026-01-02"], "tdb")
    >>> line = TabulatedTrajectory("X", "SUN", epoch, [[0, 0, 0, 1, 0, 0], [86400, 0, 0, 1, 0, 0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_oem(Path(folder) / "x.oem", line, epoch)
    ...     (found,) = read_oem(Path(folder) / "x.oem")
    >>> found.state(epoch)[1].tolist()
    [86400.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """
    tdb = epochs.to("tdb")
    if tdb.shape != (len(tdb.day.ravel()),) or len(tdb) < 2:
        raise ConfigurationError(
            f"epochs of shape {tdb.shape} make no ephemeris.",
            place=str(path),
            next_step="Give two or more.",
        )
    times = tdb.iso_list(_DIGITS)
    tdb = Epoch.from_iso(times, "tdb")
    if np.any(np.diff(tdb.since(tdb[0])) <= 0.0):
        raise ConfigurationError(
            "the epochs do not ascend.", place=str(path), next_step="Sort them; leave out doubles."
        )
    name = _text(object_name or trajectory.name, path)
    stamp = dt.datetime.now(dt.UTC).isoformat()[:19]
    if created is not None:
        stamp = created.to("utc").iso(0)
    lines = ["CCSDS_OEM_VERS = 2.0"]
    for comment in comments:
        lines += [f"COMMENT {part}" for part in _comment(comment)]
    lines += [
        f"CREATION_DATE = {stamp}",
        f"ORIGINATOR = {_text(originator, path)}",
        "",
        "META_START",
        f"OBJECT_NAME = {name}",
        f"OBJECT_ID = {_text(object_id or name, path)}",
        f"CENTER_NAME = {_center(trajectory.center, path)}",
        "REF_FRAME = ICRF",
        "TIME_SYSTEM = TDB",
        f"START_TIME = {times[0]}",
        f"STOP_TIME = {times[-1]}",
        "INTERPOLATION = HERMITE",
        f"INTERPOLATION_DEGREE = {degree}",
        "META_STOP",
        "",
    ]
    for time, state in zip(times, trajectory.state(tdb) / KM, strict=True):
        lines.append(" ".join([time, *_numbers(state)]))
    if covariance is not None:
        lines += ["", *_covariance_lines(path, tdb, times, covariance)]
    write_atomically(path, "\n".join(lines) + "\n")


def _covariance_lines(
    path: Path | str,
    epochs: Epoch,
    times: list[str],
    covariance: Callable[[Epoch], Floats] | Floats,
) -> list[str]:
    given = np.asarray(covariance(epochs) if callable(covariance) else covariance)
    if given.shape != (len(times), 6, 6):
        raise ConfigurationError(
            f"covariances of shape {given.shape} do not belong to {len(times)} epochs.",
            place=str(path),
            next_step=f"Give ({len(times)}, 6, 6), in m and m/s.",
        )
    lines = ["COVARIANCE_START"]
    for time, matrix in zip(times, given / KM**2, strict=True):
        lines += [f"EPOCH = {time}", "COV_REF_FRAME = ICRF"]
        lines += [" ".join(_numbers(matrix[row, : row + 1])) for row in range(6)]
    return [*lines, "COVARIANCE_STOP"]


def _numbers(values: Floats) -> list[str]:
    return [f"{value: .15E}" for value in values]


def _center(name: str, path: Path | str) -> str:
    center = SSB if name.upper() == "SSB" else name.upper()
    if center not in CENTERS:
        raise ConfigurationError(
            f"the centre {name!r} is no body that readers would know.",
            place=str(path),
            next_step=f"Use one of {', '.join(CENTERS)}.",
        )
    return center


def _text(value: str, path: Path | str) -> str:
    """Return a value as the notation allows it: one line of printable ASCII."""
    text = value.strip()
    if not text or not text.isascii() or not text.isprintable():
        raise ConfigurationError(
            f"{value!r} cannot stand in an ephemeris message.",
            place=str(path),
            next_step="Give one line of plain ASCII.",
        )
    return text


def _comment(text: str) -> list[str]:
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in " ".join(text.split()))
    return [plain[k : k + _LONGEST] for k in range(0, max(len(plain), 1), _LONGEST)]


# -- reading -------------------------------------------------------------------


def read_oem(path: Path | str) -> tuple[TabulatedTrajectory, ...]:
    """Read an orbit ephemeris message, version 1 to 3.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    tuple of TabulatedTrajectory
        One a segment, in the order of the file, with the covariances that stand
        in it. They may only be asked for epochs within the usable span that the
        file states. Interpolation is Hermite, of the degree that the file
        recommends (an odd one: the next higher), 7 where it says nothing.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is not an OEM, is malformed, has epochs out of order, or is in a
        frame, time system or about a centre that is not supported; it names file
        and line.
    """
    reader = _Reader(Path(path))
    trajectories = reader.read()
    reader.notes.warn()
    return trajectories


@dataclass(frozen=True, eq=False)
class _Meta:
    """A segment's metadata: values, and the lines that they stand in."""

    values: dict[str, str]
    lines: dict[str, int]
    end: int


class _Reader:
    """Goes through a file line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes = Notes(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise MissingDataError(
                f"the ephemeris cannot be read: {error.strerror}.",
                place=str(path),
                next_step="Check the path.",
            ) from None
        except UnicodeDecodeError:
            raise FormatError(
                "is not text.", place=str(path), next_step="Give an OEM in key-value notation."
            ) from None
        self.lines: list[Numbered] = []
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if words and words[0] != "COMMENT":
                self.lines.append((number, line.strip()))
        self.last = len(text.splitlines())
        self.at = 0

    def fail(self, line: int, message: str, next_step: str = "") -> NoReturn:
        raise FormatError(message, place=f"{self.path}:{line}", next_step=next_step)

    def peek(self) -> str:
        """Return the line that comes next; empty at the end."""
        return self.lines[self.at][1] if self.at < len(self.lines) else ""

    def take(self, wanted: str) -> Numbered:
        """Return the next line and go on; `wanted` is told where the file ends."""
        if self.at >= len(self.lines):
            self.fail(self.last, f"the file ends where {wanted} should come.", "Get it again.")
        self.at += 1
        return self.lines[self.at - 1]

    def until(self, *stops: str) -> Iterator[Numbered]:
        """Go on to a line that is one of `stops` (left alone), or to the end."""
        while self.at < len(self.lines) and self.peek() not in stops:
            yield self.take("")

    def pair(self, line: Numbered) -> tuple[str, str]:
        """Return keyword and value."""
        key, sign, value = line[1].partition("=")
        if not sign or not key.strip() or not value.strip():
            self.fail(line[0], f"{line[1]!r} is not 'KEYWORD = value'.", "Mend the line.")
        return key.strip(), value.strip()

    def read(self) -> tuple[TabulatedTrajectory, ...]:
        line = self.take("CCSDS_OEM_VERS")
        key, _, version = (word.strip() for word in line[1].partition("="))
        if key != "CCSDS_OEM_VERS" or version.split(".")[0] not in _VERSIONS:
            self.fail(
                line[0],
                f"{line[1][:60]!r} does not begin an OEM in key-value notation, version 1 to 3.",
                "Give one; an OEM in XML has to be converted.",
            )
        for line in self.until("META_START"):
            self.pair(line)  # creation date, originator: nothing depends on them
        segments = []
        while self.peek():
            segments.append(self.segment())
        if not segments:
            self.fail(self.last, "the file has no segment.", "Get it again.")
        return tuple(segments)

    def segment(self) -> TabulatedTrajectory:
        meta = self.meta()
        scale, shift = _TIME_SYSTEMS[meta.values["TIME_SYSTEM"].upper()]
        numbers, times, states = [], [], []
        for line in self.until("META_START", "COVARIANCE_START"):
            words = line[1].split()
            if len(words) not in (7, 10):
                self.fail(
                    line[0],
                    f"{len(words)} words are no epoch with position and velocity.",
                    "Give an epoch and 6 numbers, or 9 with the acceleration.",
                )
            numbers.append(line[0])
            times.append(words[0])
            states.append(self.floats(line[0], words[1:])[:6])
        if len(times) < 2:
            self.fail(meta.end, f"the segment holds {len(times)} states.", "Two are needed.")
        epoch = self.epochs(numbers, times, scale, shift)
        for key, end, sign in (("START_TIME", epoch[0], -1), ("STOP_TIME", epoch[-1], 1)):
            stated = self.epochs([meta.lines[key]], [meta.values[key]], scale, shift)[0]
            if sign * float(stated.since(end)) > _MISSING:
                self.fail(
                    meta.lines[key],
                    f"the states do not reach {key} {meta.values[key]}.",
                    "The file is cut: get it again, or mend that line.",
                )
        covariance_epoch, covariances = self.covariances(scale, shift)
        return TabulatedTrajectory(
            name=meta.values["OBJECT_NAME"],
            center=meta.values["CENTER_NAME"],
            epoch=epoch,
            states=np.array(states) * KM,
            degree=self.degree(meta),
            usable=self.usable(meta, epoch, scale, shift),
            covariance_epoch=covariance_epoch,
            covariances=covariances,
            object_id=meta.values["OBJECT_ID"],
            origin=str(self.path),
        )

    def meta(self) -> _Meta:
        """Read the metadata of a segment, and refuse what is not supported."""
        first = self.take("META_START")
        if first[1] != "META_START":
            self.fail(first[0], f"{first[1][:60]!r} stands where META_START should.", "Mend it.")
        values, lines = {}, {}
        for line in self.until("META_STOP"):
            key, value = self.pair(line)
            values[key], lines[key] = value, line[0]
        end = self.take("META_STOP")[0]
        missing = [key for key in _NEEDED if key not in values]
        if missing:
            self.fail(end, f"the metadata lack {', '.join(missing)}.", "Add them.")
        center = " ".join(values["CENTER_NAME"].upper().replace("_", " ").split())
        values["CENTER_NAME"] = SSB if center in ("SSB", "SOLAR SYSTEM BARYCENTRE") else center
        for key, known in (
            ("CENTER_NAME", CENTERS),
            ("REF_FRAME", FRAMES),
            ("TIME_SYSTEM", tuple(_TIME_SYSTEMS)),
        ):
            if values[key].upper() not in known:
                self.fail(
                    lines[key],
                    f"{key} {values[key]} is not supported.",
                    f"Convert to one of {', '.join(known)}." + _about(values[key]),
                )
        return _Meta(values, lines, end)

    def degree(self, meta: _Meta) -> int:
        given = meta.values.get("INTERPOLATION_DEGREE", str(DEGREE))
        if not given.isdecimal():
            line = meta.lines["INTERPOLATION_DEGREE"]
            self.fail(line, f"{given!r} is not a degree.", "Give a whole number.")
        return min(max(int(given) | 1, 3), MOST_DEGREE)

    def usable(
        self, meta: _Meta, epoch: Epoch, scale: Scale, shift: float
    ) -> tuple[Epoch, Epoch] | None:
        """Return the usable span, no longer than the table."""
        ends = [epoch[0], epoch[-1]]
        for which, (key, sign) in enumerate((("USEABLE_START_TIME", 1), ("USEABLE_STOP_TIME", -1))):
            if key in meta.values:
                stated = self.epochs([meta.lines[key]], [meta.values[key]], scale, shift)[0]
                if sign * stated.since(ends[which]) > 0.0:
                    ends[which] = stated
        if ends[1].since(ends[0]) < 0.0:
            line = meta.lines.get("USEABLE_STOP_TIME", meta.end)
            self.fail(line, "the usable span ends before it begins.", "Mend it.")
        return ends[0], ends[1]

    def covariances(self, scale: Scale, shift: float) -> tuple[Epoch | None, Floats | None]:
        """Read the covariances of a segment, where there are any."""
        numbers: list[int] = []
        times: list[str] = []
        matrices: list[Floats] = []
        while self.peek() == "COVARIANCE_START":
            self.take("")
            while self.peek() != "COVARIANCE_STOP":
                self.covariance(numbers, times, matrices)
            self.take("")
        if not times:
            return None, None
        return self.epochs(numbers, times, scale, shift), np.array(matrices) * KM**2

    def covariance(self, numbers: list[int], times: list[str], matrices: list[Floats]) -> None:
        line = self.take("EPOCH or COVARIANCE_STOP")
        key, value = self.pair(line)
        if key != "EPOCH":
            self.fail(line[0], f"{key} stands where EPOCH should.", "Mend the covariance.")
        numbers.append(line[0])
        times.append(value)
        if self.peek().startswith("COV_REF_FRAME"):
            line = self.take("")
            frame = self.pair(line)[1]
            if frame.upper() not in FRAMES:
                self.fail(
                    line[0],
                    f"a covariance in {frame} is not supported.",
                    f"Convert it to one of {', '.join(FRAMES)}, or take it out.",
                )
        matrix = np.zeros((6, 6))
        for row in range(6):
            line = self.take("a row of the covariance")
            values = self.floats(line[0], line[1].split())
            if len(values) != row + 1:
                self.fail(
                    line[0],
                    f"row {row + 1} of a covariance has {len(values)} numbers, not {row + 1}.",
                    "Give the lower triangle, a row a line.",
                )
            matrix[row, : row + 1] = values
        matrix.T[_TRIANGLE] = matrix[_TRIANGLE]
        matrices.append(matrix)

    def floats(self, line: int, words: Sequence[str]) -> list[float]:
        try:
            values = [float(word) for word in words]
        except ValueError as problem:
            self.fail(line, f"{problem}.", "Mend the line.")
        if not np.all(np.isfinite(values)):
            self.fail(line, "a number is not finite.", "Mend the line.")
        return values

    def epochs(
        self, numbers: Sequence[int], times: Sequence[str], scale: Scale, shift: float
    ) -> Epoch:
        """Return epochs in TDB; they must ascend.

        CCSDS lets an epoch of any time system end in Z, which is left away.
        """
        if scale != "utc" and any(time.endswith("Z") for time in times):
            self.notes.add("epochs end in Z: TIME_SYSTEM is taken, not UTC", numbers[0])
            times = [time.removesuffix("Z") for time in times]

        def tdb(text: str | Sequence[str]) -> Epoch:
            epoch = Epoch.from_iso(text, scale)
            return (epoch.shifted(shift) if shift else epoch).to("tdb")

        try:
            epoch = tdb(times)
        except ConfigurationError:
            for number, time in zip(numbers, times, strict=True):
                try:
                    tdb(time)
                except ConfigurationError as problem:
                    self.fail(number, problem.message, problem.next_step)
            raise
        steps = np.diff(epoch.since(epoch[0]))
        if np.any(steps <= 0.0):
            late = int(np.argmax(steps <= 0.0)) + 1
            self.fail(
                numbers[late],
                f"epoch {times[late]} does not come after {times[late - 1]}.",
                "Sort the lines; a second arc needs a segment of its own.",
            )
        return epoch


def _about(value: str) -> str:
    if value.upper() in ("EME2000", "J2000"):
        return " If its writer means the ICRF by it (as SPICE does), write ICRF in that line."
    return ""
