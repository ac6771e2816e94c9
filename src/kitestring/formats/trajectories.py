"""Reads a trajectory from whatever kind of orbit file it stands in."""

from __future__ import annotations

from pathlib import Path

from kitestring.errors import ConfigurationError, FormatError, MissingDataError, UnknownNameError
from kitestring.formats.oem import read_oem
from kitestring.formats.spk import read_spk
from kitestring.model.trajectory import Trajectory

_SHOWN = 6  # segments named in a message


def read_trajectory(path: Path | str, target: str | None = None) -> Trajectory:
    """Read a trajectory from an OEM or SPK file; its content says which it is.

    Parameters
    ----------
    path : Path or str
        The file.
    target : str, optional
        Which body or object, where the file holds several.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is neither, or damaged.
    ConfigurationError
        Where it holds several trajectories that could be meant.
    UnknownNameError
        Where it does not hold the target.
    """
    try:
        with Path(path).open("rb") as file:
            begin = file.read(8)
    except OSError as error:
        raise MissingDataError(
            f"the trajectory cannot be read: {error.strerror}.",
            place=str(path),
            next_step="Check the path.",
        ) from None
    if begin.startswith((b"DAF", b"NAIF/DAF")):
        return read_spk(path, target)
    if not begin.strip() or begin.startswith(b"KPL/"):
        what = "is a text kernel of SPICE" if begin.strip() else "is empty"
        raise FormatError(
            f"{what}, no trajectory.", place=str(path), next_step="Give an OEM or a .bsp file."
        )
    segments = read_oem(path)
    if target is not None:
        names = {s.name for s in segments} | {s.object_id for s in segments}
        wanted = target.upper()
        segments = tuple(s for s in segments if wanted in (s.name.upper(), s.object_id.upper()))
        if not segments:
            raise UnknownNameError("object of the file", target, names, place=str(path))
    if len(segments) > 1:
        held = ", ".join(
            f"{s.name} {s.span[0].iso(0)} to {s.span[1].iso(0)}" for s in segments[:_SHOWN]
        )
        raise ConfigurationError(
            f"it holds {len(segments)} segments: {held}{' ...' * (len(segments) > _SHOWN)}.",
            place=str(path),
            next_step="Name one of several objects; split a file with several arcs of one.",
        )
    return segments[0]
