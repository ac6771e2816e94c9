"""Binary kernels of SPICE: what stands in an SPK or PCK file.

Both are DAF files (NAIF, "DAF Required Reading"). CSPICE reads them, through
spiceypy, each file by a handle of its own: nothing is loaded into SPICE's
common pool, where two files would mix. CSPICE keeps its state in one place for
all threads, so everything that calls it holds `SPICE`.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError, MissingDataError
from kitestring.model.leap_seconds import leap_seconds as known_leap_seconds
from kitestring.model.time import DAY, MJD_J2000, Epoch

Floats = NDArray[np.float64]
Kind = Literal["SPK", "PCK"]
Spans = tuple[tuple[float, float], ...]

SPICE = threading.RLock()
"""Held while CSPICE works; it knows nothing of threads."""

J2000, ECLIPJ2000 = 1, 17
"""SPICE's numbers of the frames that are read; its J2000 has the axes of the ICRF."""

_OBLIQUITY = np.radians(84381.448 / 3600.0)  # IAU 1976; NAIF, "Frames Required Reading"
_HALF_DAY = DAY / 2.0
_FARTHEST = 1e13  # s: 300,000 years; coverages beyond it are damage
_INTEGERS = {"SPK": 6, "PCK": 5}  # of a summary
SLACK = 1e-6
"""Seconds that an epoch may lie outside a coverage: the ends are rounded doubles."""

_ORDERS = {b"LTL-IEEE": "<", b"BIG-IEEE": ">"}


@dataclass(frozen=True, eq=False)
class DafSegment:
    """A segment of an SPK or PCK file, as its summary describes it.

    Attributes
    ----------
    name : str
        What the writer called it.
    first, last : float
        Coverage, TDB seconds past J2000.
    body : int
        Target of an SPK; number of the body-fixed frame of a PCK.
    center : int
        Centre of an SPK (0 in a PCK).
    frame : int
        SPICE's number of the axes.
    data_type : int
        Type of the data.
    begin, end : int
        Place of the data in the file, counted in doubles from 1.
    summary : ndarray
        The same as it stands in the file.
    """

    name: str
    first: float
    last: float
    body: int
    center: int
    frame: int
    data_type: int
    begin: int
    end: int
    summary: Floats


def seconds_of(epoch: Epoch) -> tuple[Floats, Floats]:
    """Return TDB seconds past J2000 in one double, and what that leaves out.

    Parameters
    ----------
    epoch : Epoch
        Converted to TDB.

    Returns
    -------
    tuple of ndarray
        The double, good to 0.1 microsecond, and the rest, s: their sum is the epoch.
    """
    tdb = epoch.to("tdb")
    whole = np.asarray((tdb.day - MJD_J2000) * DAY - _HALF_DAY)
    seconds = whole + tdb.second
    return seconds, np.asarray(tdb.second - (seconds - whole))


def epoch_of(seconds: float | Floats) -> Epoch:
    """Return the epoch of TDB seconds past J2000."""
    value = np.asarray(seconds, dtype=np.float64)
    day = np.floor((value + _HALF_DAY) / DAY)
    return Epoch.normalised("tdb", day.astype(np.int64) + MJD_J2000, value - day * DAY + _HALF_DAY)


def join_spans(spans: Iterable[tuple[float, float]]) -> Spans:
    """Return spans of time in their order, those that touch made one."""
    joined: list[tuple[float, float]] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1] + SLACK:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def frame_matrix(frame: int, place: str) -> Floats:
    """Return the matrix from a frame's axes to the ICRF's, shape (3, 3).

    Raises
    ------
    FormatError
        For any frame but J2000 and ECLIPJ2000; it names the frame.
    """
    if frame == J2000:
        return np.eye(3)
    if frame == ECLIPJ2000:
        cos, sin = np.cos(_OBLIQUITY), np.sin(_OBLIQUITY)
        return np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    raise FormatError(
        f"states in the frame {frame_name(frame)} are not supported.",
        place=place,
        next_step="Convert them to J2000 or ECLIPJ2000, the only ones that are read.",
    )


def frame_name(frame: int) -> str:
    """Return SPICE's name of a frame; its number where it has none."""
    import spiceypy

    with SPICE:
        return str(spiceypy.frmnam(int(frame)).strip() or frame)


def reason(error: Exception) -> str:
    """Return what CSPICE says of an error, in a line."""
    text = getattr(error, "long", "") or getattr(error, "short", "") or str(error)
    return " ".join(text.split()).rstrip(".")


@contextmanager
def opened(path: Path, kind: Kind) -> Iterator[int]:
    """Open a binary kernel, give its handle to CSPICE's routines, and close it.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is not of that kind, is cut off, or CSPICE cannot read it.
    """
    import spiceypy
    from spiceypy.utils.exceptions import SpiceyError

    _check_header(path, kind)
    with SPICE:
        try:
            handle = spiceypy.dafopr(str(path))
            try:
                yield handle
            finally:
                spiceypy.dafcls(handle)
        except SpiceyError as error:
            raise FormatError(
                f"CSPICE cannot read it: {reason(error)}.",
                place=str(path),
                next_step="Get the file again.",
            ) from None


def _check_header(path: Path, kind: Kind) -> None:
    """Check that a file says it is of a kind, and is as long as it says."""
    try:
        with path.open("rb") as file:
            header = file.read(1024)
            size = file.seek(0, 2)
    except OSError as error:
        raise MissingDataError(
            f"the kernel cannot be read: {error.strerror}.",
            place=str(path),
            next_step="Check the path.",
        ) from None
    integers = _INTEGERS[kind]
    order = _ORDERS.get(header[88:96], "<")
    known = header[:8] == f"DAF/{kind} ".encode() or header[:8] == b"NAIF/DAF"
    if (
        len(header) < 1024
        or not known
        or struct.unpack(order + "ii", header[8:16]) != (2, integers)
    ):
        raise FormatError(
            f"is not a binary {kind} file of SPICE.",
            place=str(path),
            next_step="Transfer files (.xsp, .xpc) have to be converted with NAIF's tobin."
            if header.startswith(b"DAFETF")
            else f"Give a .{'bsp' if kind == 'SPK' else 'bpc'} file.",
        )
    free = struct.unpack(order + "i", header[84:88])[0]
    if header[88:96] in _ORDERS and (free < 1 or 8 * (free - 1) > size):
        raise FormatError(
            f"has {size} bytes where it says {8 * (free - 1)}.",
            place=str(path),
            next_step="It is cut off or damaged: get it again.",
        )


def read_segments(path: Path | str, kind: Kind) -> tuple[DafSegment, ...]:
    """Return the segments of an SPK or PCK file, in the order of the file.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is not of that kind, has no segment, is cut off or damaged.
    """
    import spiceypy

    file = Path(path)
    found: list[DafSegment] = []
    with opened(file, kind) as handle:
        most = file.stat().st_size // (8 * (2 + (_INTEGERS[kind] + 1) // 2))
        spiceypy.dafbfs(handle)
        while spiceypy.daffna():
            summary = np.array(spiceypy.dafgs(5), dtype=np.float64)
            ends, numbers = spiceypy.dafus(summary, 2, _INTEGERS[kind])
            body, *rest = (int(n) for n in numbers)
            center = rest.pop(0) if kind == "SPK" else 0
            frame, data_type, begin, end = rest
            name = str(spiceypy.dafgn()).strip()
            segment = DafSegment(
                name, float(ends[0]), float(ends[1]), body, center, frame, data_type, begin, end,
                summary,
            )  # fmt: skip
            found.append(segment)
            sound = -_FARTHEST < ends[0] <= ends[1] < _FARTHEST
            if not sound or not 128 < begin <= end <= file.stat().st_size // 8 or len(found) > most:
                raise FormatError(
                    f"the summary of segment {len(found)} is damaged.",
                    place=str(file),
                    next_step="Get the file again.",
                )
    if not found:
        raise FormatError("holds no segment.", place=str(file), next_step="Get it again.")
    return tuple(found)


def read_words(handle: int, begin: int, end: int) -> Floats:
    """Return the doubles from one place of a file to another, both included."""
    import spiceypy

    return np.array(spiceypy.dafgda(handle, int(begin), int(end)), dtype=np.float64)


@contextmanager
def leap_seconds() -> Iterator[None]:
    """Give CSPICE leap seconds where it has none: two-line elements (type 10) need them.

    They are those of `kitestring.model.leap_seconds`. The periodic terms of TDB are those
    of NAIF's naif0012.tls.
    """
    import spiceypy

    with SPICE:
        if spiceypy.expool("DELTET/DELTA_AT"):  # the user's own kernel
            yield
            return
        table = known_leap_seconds()
        seconds = (table.day - MJD_J2000 - 0.5) * DAY
        terms = {
            "DELTET/DELTA_T_A": [32.184],
            "DELTET/K": [1.657e-3],
            "DELTET/EB": [1.671e-2],
            "DELTET/M": [6.239996, 1.99096871e-7],
            "DELTET/DELTA_AT": np.column_stack([table.value, seconds]).ravel().tolist(),
        }
        for name, values in terms.items():
            spiceypy.pdpool(name, values)
        try:
            yield
        finally:
            for name in terms:
                spiceypy.dvpool(name)


def body_number(name: str) -> int | None:
    """Return SPICE's number of a body by its name or number; None where it has none."""
    import spiceypy
    from spiceypy.utils.exceptions import SpiceyError

    text = " ".join(name.upper().replace("_", " ").split())
    if text.lstrip("+-").isdecimal():
        return int(text)
    with SPICE:
        try:
            found: Any = spiceypy.bodn2c(name)
        except (SpiceyError, ValueError):
            return None
    return int(found)


def body_name(number: int) -> str:
    """Return SPICE's name of a body; its number where it has none."""
    import spiceypy
    from spiceypy.utils.exceptions import SpiceyError

    with SPICE:
        try:
            return str(spiceypy.bodc2n(int(number)))
        except (SpiceyError, ValueError):
            return str(number)
