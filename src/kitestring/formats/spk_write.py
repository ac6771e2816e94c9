"""Writes trajectories as SPK files of SPICE."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring._write import replacing
from kitestring.errors import ConfigurationError, KitestringError
from kitestring.formats.spk import KM, NUMBERS, name_of, read_spk
from kitestring.model import daf
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]

_COMMENT = 80  # characters of a line
_ROOM = 1000  # characters kept free for comments when the file is made


def write_spk(
    path: Path | str,
    trajectory: Trajectory,
    step: float,
    *,
    body: str | int | None = None,
    first: Epoch | None = None,
    last: Epoch | None = None,
    data_type: Literal[9, 13] = 13,
    degree: int = 7,
    tolerance: float = 1e-3,
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
    step : float
        Seconds between states, at most.
    body : str or int, optional
        NAIF number, or a name that SPICE knows; by the trajectory's name unless given.
    first, last : Epoch, shape (), optional
        What is written; the trajectory's span unless given.
    data_type : {13, 9}
        Hermite interpolation of position and velocity, or Lagrange of each.
    degree : int
        Of the polynomial; odd, 3 to 15. Fewer states give a lower one.
    tolerance : float
        Largest difference that is accepted, m.
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
        number, or a step so long that the tolerance is broken.
    SpanError
        For epochs outside the trajectory.
    """
    number, center = _identify(path, trajectory, body)
    at = _grid(path, trajectory, step, first, last)
    if degree % 2 == 0 or not 3 <= degree <= 15 or data_type not in (9, 13):
        raise ConfigurationError(
            f"no segment of type {data_type} and degree {degree} is written.",
            place=str(path),
            next_step="Take type 13 or 9 and an odd degree of 3 to 15.",
        )
    states = np.asarray(trajectory.state(daf.epoch_of(at)), dtype=np.float64)
    if not np.all(np.isfinite(states)):
        raise ConfigurationError(f"states of {trajectory.name} are not finite.", place=str(path))
    points = len(at) if data_type == 9 else 2 * len(at)
    fitting = min(degree, points - 1 - (points % 2))
    with replacing(path) as temporary:
        _write_segment(temporary, number, center, at, states / KM, data_type, fitting, comments)
        found = read_spk(temporary, number, center)
        middles = daf.epoch_of(at[:-1] + np.diff(at) / 2.0)
        apart = found.state(middles)[:, :3] - trajectory.state(middles)[:, :3]
        worst = float(np.max(np.linalg.norm(apart, axis=1)))
        if not worst <= tolerance:
            raise ConfigurationError(
                f"states {step:g} s apart leave {worst:.3g} m of {trajectory.name} between them, "
                f"more than {tolerance:g} m.",
                place=str(path),
                next_step="Take a shorter step or a higher degree, or raise the tolerance.",
            )
    return worst


def _identify(path: Path | str, trajectory: Trajectory, body: str | int | None) -> tuple[int, int]:
    """Return the numbers of a trajectory's body and centre."""
    wanted = trajectory.name if body is None else body
    number = wanted if isinstance(wanted, int) else daf.body_number(wanted)
    center = NUMBERS.get(trajectory.center.upper(), daf.body_number(trajectory.center))
    if number is None or center is None or number == center:
        raise ConfigurationError(
            f"{wanted!r} relative to {trajectory.center!r} cannot stand in an SPK file, which "
            "knows bodies by NAIF's numbers.",
            place=str(path),
            next_step="Give body= a number; a spacecraft without one takes -999 or the like.",
        )
    return number, center


def _grid(
    path: Path | str,
    trajectory: Trajectory,
    step: float,
    first: Epoch | None,
    last: Epoch | None,
) -> Floats:
    """Return epochs of the states, TDB seconds past J2000: doubles that SPICE holds exactly."""
    ends = [
        own if given is None else given
        for given, own in zip((first, last), trajectory.span, strict=True)
    ]
    (low, low_rest), (high, high_rest) = (daf.seconds_of(end) for end in ends)
    # the double beside an end that lies outside is moved inside
    begin = float(np.where(low_rest > 0.0, np.nextafter(low, np.inf), low))
    end = float(np.where(high_rest < 0.0, np.nextafter(high, -np.inf), high))
    if not (np.isfinite(step) and step > 0.0 and end - begin > 1e-3):
        raise ConfigurationError(
            f"a step of {step} s from {ends[0].iso(3)} to {ends[1].iso(3)} makes no table.",
            place=str(path),
            next_step="Give a positive step, and a last epoch after the first.",
        )
    count = max(int(np.ceil((end - begin) / step - 1e-9)), 1)
    # evenly: SPICE's Hermite interpolation loses digits where two states lie close together
    return np.linspace(begin, end, count + 1)


def _write_segment(
    path: Path,
    body: int,
    center: int,
    at: Floats,
    states: Floats,
    data_type: int,
    degree: int,
    comments: Sequence[str],
) -> None:
    import spiceypy
    from spiceypy.utils.exceptions import SpiceyError

    lines = [part for comment in comments for part in _lines(comment)]
    name = f"{name_of(body)} / {name_of(center)}"[:40]
    with daf.SPICE:
        try:
            handle = spiceypy.spkopn(str(path), "KITESTRING", _ROOM)
            try:
                if lines:
                    spiceypy.dafac(handle, lines)
                write = spiceypy.spkw13 if data_type == 13 else spiceypy.spkw09
                write(
                    handle, body, center, "J2000", float(at[0]), float(at[-1]), name, degree,
                    len(at), states, at,
                )  # fmt: skip
            finally:
                spiceypy.spkcls(handle)
        except SpiceyError as error:
            raise KitestringError(
                f"CSPICE cannot write it: {daf.reason(error)}.",
                place=os.fspath(path),
                next_step="Check the folder, and that the path is shorter than 255 characters.",
            ) from None


def _lines(text: str) -> list[str]:
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in " ".join(text.split()))
    return [plain[k : k + _COMMENT] for k in range(0, max(len(plain), 1), _COMMENT)]
