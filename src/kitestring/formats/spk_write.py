"""Writes trajectories as SPK files of SPICE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring._write import replacing
from kitestring.errors import ConfigurationError, KitestringError
from kitestring.formats.spk import KM, name_of, number_of, read_spk
from kitestring.model import daf
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]

_COMMENT = 80  # characters of a line
_ROOM = 1000  # characters kept free for comments when the file is made
_CLOSE = 1e-3  # m
_ROUNDINGS = 16.0  # of a double, that interpolation may add up to
_NUMBERS = 2**31  # what the file's integers hold
_FEWEST, _MOST = 64, 2**19  # intervals that are tried; the latter make a file of 30 MB
_MOST_GIVEN = 10_000_000  # intervals by a given step; half a gigabyte


def write_spk(
    path: Path | str,
    trajectory: Trajectory,
    step: float | None = None,
    *,
    body: str | int | None = None,
    first: Epoch | None = None,
    last: Epoch | None = None,
    data_type: Literal[9, 13] = 13,
    degree: int = 7,
    tolerance: float | None = None,
    comments: Sequence[str] = (),
) -> float:
    """Write a trajectory as an SPK file with one segment of states.

    The file appears whole or not at all, after it has been read again: half way
    between its epochs, where interpolation is worst, it agrees with the
    trajectory within the tolerance. At the epochs themselves it does so to the
    rounding of a double (30 micrometres at 1 au).

    Parameters
    ----------
    path : Path or str
        The file to be written.
    trajectory : Trajectory
        What is written, relative to its own centre.
    step : float, optional
        Seconds between states, at most. Unless given, the span is halved and
        halved again until the tolerance is kept.
    body : str or int, optional
        NAIF number, or a name that SPICE knows; by the trajectory's name unless given.
    first, last : Epoch, shape (), optional
        What is written; the trajectory's span unless given.
    data_type : {13, 9}
        Hermite interpolation of position and velocity, or Lagrange of each.
    degree : int
        Of the polynomial; odd, 3 to 15. Fewer states give a lower one.
    tolerance : float, optional
        Largest difference that is accepted, m. Unless given 1 mm, or 16 times
        what a double of km rounds where that is more (beyond 2 au).
    comments : sequence of str
        How it was made: version, inputs with checksums, models. They go into
        the file's comment area.

    Returns
    -------
    float
        The largest difference half way between the epochs, m.

    Raises
    ------
    ConfigurationError
        For a step, degree or span that cannot be, a body or centre without a
        number, or a step so long that the tolerance is broken; without a step,
        where half a million states do not keep it.
    SpanError
        For epochs outside the trajectory.
    """
    number, center = _identify(path, trajectory, body)
    begin, end = _ends(path, trajectory, first, last)
    count = _intervals(path, end - begin, step)
    if degree % 2 == 0 or not 3 <= degree <= 15 or data_type not in (9, 13):
        raise ConfigurationError(
            f"no segment of type {data_type} and degree {degree} is written.",
            place=str(path),
            next_step="Take type 13 or 9 and an odd degree of 3 to 15.",
        )
    with replacing(path) as temporary:
        while True:
            # evenly: SPICE's Hermite interpolation loses digits where two states lie close together
            at = np.linspace(begin, end, count + 1)
            states = _states(path, trajectory, at)
            temporary.unlink(missing_ok=True)
            with daf.SPICE, _errors_of(path):
                _write_segment(temporary, (number, center), at, states, data_type, degree, comments)
            worst = _worst(read_spk(temporary, number, center), trajectory, at)
            allowed = _allowed(states) if tolerance is None else tolerance
            if worst <= allowed:
                return worst
            if step is not None or 2 * count > _MOST:
                raise ConfigurationError(
                    f"states {(end - begin) / count:g} s apart leave {worst:.3g} m of "
                    f"{trajectory.name} between them, more than {allowed:.3g} m.",
                    place=str(path),
                    next_step="Take a shorter step or a higher degree, or raise the tolerance.",
                )
            count *= 2


def _states(path: Path | str, trajectory: Trajectory, at: Floats) -> Floats:
    """Return states at TDB seconds past J2000, shape (n, 6), m and m/s."""
    states = np.asarray(trajectory.state(daf.epoch_of(at)), dtype=np.float64)
    if not np.all(np.isfinite(states)):
        raise ConfigurationError(f"states of {trajectory.name} are not finite.", place=str(path))
    return states


def _allowed(states: Floats) -> float:
    """Return the difference that is accepted where nobody says, m."""
    rounding = float(np.spacing(np.max(np.abs(states[:, :3])) / KM)) * KM
    return max(_CLOSE, _ROUNDINGS * rounding)


def _worst(found: Trajectory, wanted: Trajectory, at: Floats) -> float:
    """Return the largest distance of two trajectories half way between epochs, m."""
    middles = daf.epoch_of(at[:-1] + np.diff(at) / 2.0)
    apart = found.state(middles)[:, :3] - wanted.state(middles)[:, :3]
    return float(np.max(np.linalg.norm(apart, axis=1)))


def _identify(path: Path | str, trajectory: Trajectory, body: str | int | None) -> tuple[int, int]:
    """Return the numbers of a trajectory's body and centre."""
    wanted = trajectory.name if body is None else body
    number, center = number_of(wanted), number_of(trajectory.center)
    fits = number not in (None, 0, center) and abs(number or 0) < _NUMBERS
    if number is None or center is None or not fits:
        raise ConfigurationError(
            f"{wanted!r} relative to {trajectory.center!r} cannot stand in an SPK file, which "
            "knows bodies by NAIF's numbers.",
            place=str(path),
            next_step="Give body= a number; a spacecraft without one takes -999 or the like.",
        )
    return number, center


def _ends(
    path: Path | str, trajectory: Trajectory, first: Epoch | None, last: Epoch | None
) -> tuple[float, float]:
    """Return first and last epoch, TDB seconds past J2000: doubles that SPICE holds exactly."""
    ends = [
        own if given is None else given
        for given, own in zip((first, last), trajectory.span, strict=True)
    ]
    (low, low_rest), (high, high_rest) = (daf.seconds_of(end) for end in ends)
    # the double beside an end that lies outside is moved inside
    begin = float(np.where(low_rest > 0.0, np.nextafter(low, np.inf), low))
    end = float(np.where(high_rest < 0.0, np.nextafter(high, -np.inf), high))
    if not end - begin > 1e-3:
        raise ConfigurationError(
            f"{ends[0].iso(3)} to {ends[1].iso(3)} is no span of a table.",
            place=str(path),
            next_step="Give a last epoch after the first.",
        )
    return begin, end


def _intervals(path: Path | str, length: float, step: float | None) -> int:
    """Return how many intervals a length is first divided into."""
    if step is None:
        return _FEWEST
    if not (np.isfinite(step) and step > 0.0 and length < _MOST_GIVEN * step):
        raise ConfigurationError(
            f"a step of {step} s makes no table of {length:g} s.",
            place=str(path),
            next_step=f"Give a positive one that makes no more than {_MOST_GIVEN} states.",
        )
    return max(int(np.ceil(length / step - 1e-9)), 1)


@contextmanager
def _errors_of(path: Path | str) -> Iterator[None]:
    """Turn CSPICE's errors into ours, of the file that is meant."""
    from spiceypy.utils.exceptions import SpiceyError

    try:
        yield
    except SpiceyError as error:
        raise KitestringError(
            f"CSPICE cannot write it: {daf.reason(error)}.",
            place=str(path),
            next_step="Check the folder, and that the path is shorter than 255 characters.",
        ) from None


def _write_segment(
    path: Path,
    numbers: tuple[int, int],
    at: Floats,
    states: Floats,
    data_type: int,
    degree: int,
    comments: Sequence[str],
) -> None:
    """Write a file with one segment of states, of no higher degree than they determine."""
    import spiceypy

    body, center = numbers
    lines = [part for comment in comments for part in _lines(comment)]
    name = f"{name_of(body)} / {name_of(center)}"[:40]
    points = len(at) if data_type == 9 else 2 * len(at)
    fitting = min(degree, points - 1 - (points % 2))
    handle = spiceypy.spkopn(str(path), "KITESTRING", _ROOM)
    try:
        if lines:
            spiceypy.dafac(handle, lines)
        write = spiceypy.spkw13 if data_type == 13 else spiceypy.spkw09
        write(
            handle, body, center, "J2000", float(at[0]), float(at[-1]), name, fitting,
            len(at), states / KM, at,
        )  # fmt: skip
    finally:
        spiceypy.dafcls(handle)  # spkcls would leave a file without a segment open


def _lines(text: str) -> list[str]:
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in " ".join(text.split()))
    return [plain[k : k + _COMMENT] for k in range(0, max(len(plain), 1), _COMMENT)]
