"""The Moon: how it turns, from a binary PCK of its principal axes.

DE440 integrates the Moon's orientation together with the planets; NAIF gives it
as a binary PCK (``moon_pa_de440_200625.bpc``), which is not part of the package:
whoever has a lander or a reflector on the Moon names the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, FormatError, SpanError
from kitestring.model import daf
from kitestring.model.chebyshev import ChebyshevRecords, read_chebyshev
from kitestring.model.rotation import BodyRotation
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

PA_DE440 = 31008
"""NAIF's number of the principal axes of DE440, MOON_PA_DE440."""

_ARCSECOND = np.pi / 648000.0
# Principal axes to mean Earth and pole: turns by these about z, y and x (Park et al. 2021, "The
# JPL planetary and lunar ephemerides DE440 and DE441"; the same in NAIF's moon_de440_220930.tf,
# MOON_ME_DE440_ME421, which gives the way back and so has them positive).
_MEAN_EARTH = (-67.8526 * _ARCSECOND, -78.6944 * _ARCSECOND, -0.2785 * _ARCSECOND)


class MoonRotation:
    """Orientation of the Moon at epochs: a `Rotation`.

    Parameters
    ----------
    path : Path or str
        A binary PCK with Euler angles as Chebyshev polynomials (type 2).
    axes : {"ME", "PA"}
        Body-fixed axes: "ME", mean Earth and pole, in which maps and the
        coordinates of landers are given; or "PA", the principal axes themselves,
        in which laser ranging gives its reflectors. They are 875 m apart on the
        surface.
    frame : int
        Number of the frame in the file; that of DE440 unless given. The angles
        between PA and ME are those of DE440.

    Attributes
    ----------
    origin : str
        The file, and what it calls its data.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is no binary PCK, is damaged, or does not hold the frame.
    ConfigurationError
        For other axes.

    Notes
    -----
    The file's angles are those of the node, the inclination and the rotation:
    body-fixed = R3(w) R1(delta) R3(phi) inertial (NAIF, "PCK Required Reading"),
    R turning the axes.

    Examples
    --------
    >>> from kitestring.model.trajectory import FixedOnBody
    >>> def reflector(file):
    ...     place = [1591.967e3, 690.698e3, 21.004e3]  # Apollo 11's, principal axes
    ...     return FixedOnBody("APOLLO 11", "MOON", place, MoonRotation(file, "PA"))
    """

    def __init__(
        self, path: Path | str, axes: Literal["ME", "PA"] = "ME", frame: int = PA_DE440
    ) -> None:
        if axes not in ("ME", "PA"):
            raise ConfigurationError(
                f"{axes!r} are no axes of the Moon.", next_step="Take 'ME' or 'PA'."
            )
        file = Path(path)
        segments = daf.read_segments(file, "PCK")
        mine = [s for s in segments if s.body == frame]
        if not mine:
            held = ", ".join(str(n) for n in sorted({s.body for s in segments}))
            raise FormatError(
                f"holds no orientation of frame {frame}, but of {held}.",
                place=str(file),
                next_step=f"Give frame=, or a file of DE440's principal axes ({PA_DE440}).",
            )
        self.path, self.axes, self.frame = file, axes, frame
        self.origin = f"{file.name} ({mine[-1].name}), {axes}"
        self._records: list[ChebyshevRecords] = []
        with daf.opened(file, "PCK") as handle:
            for segment in mine:
                if segment.data_type != 2:
                    raise FormatError(
                        f"gives the orientation in type {segment.data_type}, not 2.",
                        place=str(file),
                        next_step="Get NAIF's file of the principal axes.",
                    )
                daf.frame_matrix(segment.frame, str(file))
                self._records.append(read_chebyshev(file, handle, segment))
        self._coverage = daf.join_spans((s.first, s.last) for s in mine)

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """First and last epoch covered, TDB."""
        return daf.epoch_of(self._coverage[0][0]), daf.epoch_of(self._coverage[-1][1])

    def __call__(self, epoch: Epoch) -> BodyRotation:
        """Return the orientation at epochs of shape (...).

        Raises
        ------
        SpanError
            For an epoch that the file does not cover.
        """
        tdb = epoch.to("tdb")
        seconds, rest = daf.seconds_of(Epoch("tdb", tdb.day.ravel(), tdb.second.ravel()))
        matrix, spin = np.zeros((len(seconds), 3, 3)), np.zeros((len(seconds), 3))
        left = np.ones(len(seconds), dtype=bool)
        for records in reversed(self._records):  # the later one in the file holds
            segment = records.segment
            low, high = segment.first - daf.SLACK, segment.last + daf.SLACK
            inside = left & (seconds >= low) & (seconds <= high)
            left &= ~inside
            if np.any(inside):
                angles, rates = _angles(records, seconds[inside], rest[inside])
                turn = daf.frame_matrix(segment.frame, str(self.path))
                matrix[inside], spin[inside] = _orientation(angles, rates, turn)
        if np.any(left):
            first, last = (end.iso(3) for end in self.span)
            gap = " without its gaps" if len(self._coverage) > 1 else ""
            raise SpanError(
                f"the Moon's orientation is known {first} to {last} TDB{gap}, not at every epoch "
                "that is asked for.",
                place=str(self.path),
                next_step="Ask for epochs inside it, or get a longer file.",
            )
        if self.axes == "ME":
            matrix = matrix @ _mean_earth().T
        return BodyRotation(matrix.reshape((*tdb.shape, 3, 3)), spin.reshape((*tdb.shape, 3)))


def _angles(records: ChebyshevRecords, seconds: Floats, rest: Floats) -> tuple[Floats, Floats]:
    """Return the three Euler angles and their rates, shape (n, 3) each, rad and rad/s."""
    count, interval = len(records.values), records.interval
    number = np.clip(np.floor((seconds - records.start) / interval), 0, count - 1).astype(np.int64)
    # differences of doubles of like size are exact; what those leave out comes after
    elapsed = (seconds - (records.start + number * interval)) + rest
    x = 2.0 * elapsed / interval - 1.0
    coefficients = np.moveaxis(records.values[number], -1, 0)  # (order, n, 3)
    chebyshev = np.polynomial.chebyshev
    angles: Floats = np.asarray(
        chebyshev.chebval(x[:, None], coefficients, tensor=False), dtype=np.float64
    )
    if len(coefficients) == 1:
        return angles, np.zeros_like(angles)
    slope = chebyshev.chebval(x[:, None], chebyshev.chebder(coefficients), tensor=False)
    return angles, np.asarray(slope * (2.0 / interval), dtype=np.float64)


def _orientation(angles: Floats, rates: Floats, turn: Floats) -> tuple[Floats, Floats]:
    """Return ICRF = matrix @ body-fixed and the angular velocity, ICRF, by Euler angles."""
    (sin_phi, sin_delta, sin_w), (cos_phi, cos_delta, cos_w) = np.sin(angles).T, np.cos(angles).T
    zero = np.zeros_like(sin_phi)
    node = np.stack([cos_phi, sin_phi, zero], axis=-1)
    pole = np.stack([sin_delta * sin_phi, -sin_delta * cos_phi, cos_delta], axis=-1)
    ahead = np.cross(pole, node)
    x = cos_w[:, None] * node + sin_w[:, None] * ahead
    y = cos_w[:, None] * ahead - sin_w[:, None] * node
    third = np.array([0.0, 0.0, 1.0])
    spin = rates[:, :1] * third + rates[:, 1:2] * node + rates[:, 2:] * pole
    return turn @ np.stack([x, y, pole], axis=-1), spin @ turn.T


def _mean_earth() -> Floats:
    """Return the matrix from principal axes to mean Earth and pole."""
    about_z, about_y, about_x = _MEAN_EARTH
    z = _turned(about_z, 0, 1)
    y = _turned(about_y, 2, 0)
    return _turned(about_x, 1, 2) @ y @ z


def _turned(angle: float, first: int, second: int) -> Floats:
    """Return the matrix that turns the axes from the first towards the second."""
    matrix = np.eye(3)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix[first, first] = matrix[second, second] = cos
    matrix[first, second], matrix[second, first] = sin, -sin
    return matrix
