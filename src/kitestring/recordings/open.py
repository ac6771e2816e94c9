"""Opening a recording of any format.

A new format is one module that provides a `RecordingFormat`, and a line in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kitestring.errors import RecordingError
from kitestring.recordings import vdif
from kitestring.recordings.formats import RecordingFormat
from kitestring.recordings.types import Channel, Recording
from kitestring.recordings.vdif_scan import map_file

FORMATS: tuple[RecordingFormat, ...] = (vdif.FORMAT,)


def recognise(paths: Sequence[Path]) -> RecordingFormat:
    """Return the format of files that together are one recording.

    Raises
    ------
    RecordingError
        Where a file is missing, empty or of no known format, or where the
        files are of different formats.
    """
    if not paths:
        raise RecordingError("no file was given.", next_step="Name at least one.")
    chosen: RecordingFormat | None = None
    for path in paths:
        map_file(path)  # missing and empty files are told before formats are tried
        mine = next((f for f in FORMATS if f.sniff(path)), None)
        if mine is None and len(FORMATS) == 1:
            FORMATS[0].survey([path], None)  # tells at which byte it fails
        if mine is None:
            names = ", ".join(f.name for f in FORMATS)
            raise RecordingError(
                "the format is not recognised.", place=str(path), next_step=f"Known are: {names}."
            )
        if chosen is not None and mine is not chosen:
            raise RecordingError(
                f"this file is {mine.name}, {paths[0]} is {chosen.name}.",
                place=str(path),
                next_step="Open files of different formats one by one.",
            )
        chosen = mine
    assert chosen is not None
    return chosen


def open_recording(
    paths: str | Path | Sequence[str | Path],
    *,
    station: str,
    channels: Sequence[Channel] | None = None,
    sample_rate: float | None = None,
) -> Recording:
    """Open one station's voltages.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        The files that together are the recording.
    station : str
        Name of the station.
    channels : sequence of Channel, optional
        The recorded bands, where the format does not state sky frequencies and
        sidebands (VDIF never does).
    sample_rate : float, optional
        Samples per second, where neither channels nor headers state it.

    Raises
    ------
    RecordingError
        Where the files cannot be read as one recording.
    MissingDataError
        Where something is stated neither in the files nor here.

    Warns
    -----
    RecordingWarning
        Where samples are missing or damaged, with their numbers.
    """
    files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    chosen = recognise(files)
    return chosen.open(files, station=station, channels=channels, sample_rate=sample_rate)
