"""Chebyshev polynomials of SPK and PCK files, laid out for the ephemeris.

JPL's planetary ephemerides, NAIF's of the satellites and the orientation of the
Moon are records of one length each, with a polynomial an axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError
from kitestring.model import daf
from kitestring.model.daf import DafSegment, Spans

Floats = NDArray[np.float64]

_ALIGNED = 1e-3  # s; a record's own middle agrees with the directory's to so much
_LATER = 1_000_000_000  # NAIF numbers from here on are no bodies (TDB-TT in DE440t and the like)


@dataclass(frozen=True, eq=False)
class Piece:
    """A run of Chebyshev records: numbers in m and s, times in TDB."""

    target: int
    center: int
    day: int  # MJD
    begin: float  # s of the first record after that day's begin
    interval: float
    values: Floats  # (records, axes, order)
    first: float  # coverage, past J2000
    last: float


@dataclass(frozen=True, eq=False)
class ChebyshevRecords:
    """Chebyshev coefficients of one segment (SPK types 2 and 3, PCK type 2).

    Attributes
    ----------
    segment : DafSegment
        Where they come from.
    start : float
        Begin of the first record, TDB seconds past J2000.
    interval : float
        Length of a record, s.
    values : ndarray, shape (records, axes, order)
        Coefficients, in the file's units: 3 axes, or 6 with velocities.
    """

    segment: DafSegment
    start: float
    interval: float
    values: Floats


def read_chebyshev(
    path: Path | str, handle: int, segment: DafSegment, span: tuple[float, float] | None = None
) -> ChebyshevRecords:
    """Read a segment that holds Chebyshev polynomials of one length.

    A record is its middle, half its length and the coefficients of each axis;
    behind the last come begin, length, size and number of the records (NAIF,
    "SPK Required Reading", types 2 and 3; "PCK Required Reading", type 2).

    Parameters
    ----------
    path : Path or str
        The file, for messages.
    handle : int
        Its handle, from `opened`.
    segment : DafSegment
        Of type 2 or 3.
    span : tuple of float, optional
        TDB seconds past J2000; records outside are left out.

    Raises
    ------
    FormatError
        Where the segment contradicts itself.
    """
    start, interval, size, count = (
        float(v) for v in daf.read_words(handle, segment.end - 3, segment.end)
    )
    axes = 6 if segment.data_type == 3 else 3
    order = (size - 2.0) / axes
    if (
        not np.all(np.isfinite([start, interval]))
        or interval <= 0.0
        or count < 1.0
        or order < 1.0
        or order % 1.0
        or size * count + 4.0 != segment.end - segment.begin + 1
    ):
        raise _damaged(path, segment)
    low, high = span or (segment.first, segment.last)
    ends = [int(np.clip(np.floor((t - start) / interval), 0, count - 1)) for t in (low, high)]
    begin = segment.begin + int(size) * ends[0]
    words = daf.read_words(handle, begin, begin + int(size) * (ends[1] - ends[0] + 1) - 1)
    records = words.reshape(-1, int(size))
    first = start + ends[0] * interval
    middles = first + (np.arange(len(records)) + 0.5) * interval
    # comparisons with NaN are false
    aligned = (np.abs(records[:, 0] - middles) < _ALIGNED) & (
        np.abs(records[:, 1] - interval / 2.0) < _ALIGNED
    )
    if not np.all(aligned) or not np.all(np.isfinite(records)):
        raise _damaged(path, segment)
    values = np.ascontiguousarray(records[:, 2:].reshape(len(records), axes, int(order)))
    return ChebyshevRecords(segment, first, interval, values)


def _damaged(path: Path | str, segment: DafSegment) -> FormatError:
    return FormatError(
        f"the segment {segment.name!r} of body {segment.body} is damaged.",
        place=str(path),
        next_step="Get the file again.",
    )


def read_pieces(path: Path, first: float | None, last: float | None) -> list[Piece]:
    """Read what a file holds between two times, TDB seconds past J2000."""
    pieces = []
    segments = daf.read_segments(path, "SPK")
    with daf.opened(path, "SPK") as handle:
        for segment in segments:
            low = segment.first if first is None else max(first, segment.first)
            high = segment.last if last is None else min(last, segment.last)
            # the barycentre of the solar system is where every chain ends, whatever a file says
            if segment.body == 0 or segment.body >= _LATER or low > high:
                continue
            if segment.data_type not in (2, 3):
                raise FormatError(
                    f"{daf.body_name(segment.body)} is given by a segment of type "
                    f"{segment.data_type}, not by Chebyshev polynomials (2 or 3).",
                    place=str(path),
                    next_step="Read it as a trajectory, with kitestring.formats.spk.read_spk.",
                )
            turn = daf.frame_matrix(segment.frame, str(path))
            found = read_chebyshev(path, handle, segment, (low, high))
            values = found.values * 1000.0
            if segment.frame != daf.J2000:
                axes = values.reshape(len(values), -1, 3, values.shape[2])
                values = np.einsum("ij,rajk->raik", turn, axes).reshape(values.shape)
            begin = daf.epoch_of(found.start)
            pieces.append(
                Piece(
                    target=segment.body,
                    center=segment.center,
                    day=int(begin.day),
                    begin=float(begin.second),
                    interval=found.interval,
                    values=values,
                    first=low,
                    last=high,
                )
            )
    return pieces


def check_chains(pieces: Sequence[Piece], place: str) -> None:
    """Check that every body leads to the barycentre of the solar system."""
    centers: dict[int, set[int]] = {}
    for piece in pieces:
        centers.setdefault(piece.target, set()).add(piece.center)
    for target, direct in centers.items():
        seen: set[int] = {target}
        ahead = set(direct)
        while ahead:
            number = ahead.pop()
            if number == 0:
                continue
            name = daf.body_name(target)
            if number == target:
                raise FormatError(f"{name} is given relative to itself.", place=place)
            if number not in centers:
                raise FormatError(
                    f"{name} is given relative to {daf.body_name(number)} "
                    f"({number}), which is not held.",
                    place=place,
                    next_step="Read the file that holds it too: from_spk([one, other]).",
                )
            if number not in seen:
                seen.add(number)
                ahead |= centers[number]


def coverages(pieces: Sequence[Piece]) -> dict[int, Spans]:
    """Return when each body is covered with all that it is given relative to.

    Of two pieces that cover an epoch the later one holds, and with it its centre.
    """
    own: dict[int, list[Piece]] = {}
    for piece in pieces:
        own.setdefault(piece.target, []).insert(0, piece)
    done: dict[int, Spans] = {0: ((-np.inf, np.inf),)}

    def covered(number: int) -> Spans:
        if number not in done:
            spans: list[tuple[float, float]] = []
            taken: Spans = ()
            for piece in own[number]:
                for begin, end in _outside((piece.first, piece.last), taken):
                    spans += [
                        (max(low, begin), min(high, end))
                        for low, high in covered(piece.center)
                        if max(low, begin) <= min(high, end)
                    ]
                taken = daf.join_spans([*taken, (piece.first, piece.last)])
            done[number] = daf.join_spans(spans)
        return done[number]

    return {number: covered(number) for number in own}


def _outside(span: tuple[float, float], taken: Spans) -> list[tuple[float, float]]:
    """Return what of a span lies in none of others, which are in order and apart."""
    left, low = [], span[0]
    for begin, end in taken:
        if begin > low:
            left.append((low, min(begin, span[1])))
        low = max(low, end)
        if low >= span[1]:
            return left
    return [*left, (low, span[1])]
