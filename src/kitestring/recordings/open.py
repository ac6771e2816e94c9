"""Opening a recording of any format.

A new format is one module that provides a `RecordingFormat`, and a line in `FORMATS`.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kitestring.errors import MissingDataError, RecordingError, UnknownNameError
from kitestring.model.time import Epoch
from kitestring.recordings import foreign, mark5b, raw, sigmf, vdif
from kitestring.recordings._kernels import find_first_frame
from kitestring.recordings._mark5b_kernels import SYNC
from kitestring.recordings.formats import RecordingFormat
from kitestring.recordings.sidecar import SUFFIX, beside, read_sidecar
from kitestring.recordings.sigmf_meta import DATA, META
from kitestring.recordings.stated import Stated, check_channels
from kitestring.recordings.types import Channel, Recording
from kitestring.recordings.vdif_scan import first_header, map_file

# in the order in which files are tried: VDIF has no mark of its own, raw samples nothing at all
FORMATS: tuple[RecordingFormat, ...] = (
    sigmf.FORMAT,
    mark5b.FORMAT,
    vdif.FORMAT,
    *foreign.FORMATS,
    raw.FORMAT,
)

Paths = str | Path | Sequence[str | Path]


def find_files(paths: Paths) -> list[Path]:
    """Return the files that paths and patterns stand for, in order.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        A name that holds ``*``, ``?`` or ``[`` and is no file is a pattern; its
        files come in the order of their names, sidecars left out.

    Raises
    ------
    RecordingError
        For a pattern that no file has, and where no file is named at all.
    """
    given = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    found: list[Path] = []
    for path in given:
        if not any(c in str(path) for c in "*?[") or path.exists():
            found.append(path)
            continue
        matches = [Path(p) for p in sorted(glob.glob(str(path)))]  # noqa: PTH207 - any depth
        matches = [p for p in matches if p.suffix != SUFFIX and p.is_file()]
        if not matches:
            raise RecordingError(
                "no file has a name like this.", place=str(path), next_step="Check the pattern."
            )
        found += matches
    found = [p for p in found if p.suffix != SUFFIX or p.with_suffix("") not in found]
    if not found:
        raise RecordingError("no file was given.", next_step="Name at least one.")
    return found


def belonging(paths: Sequence[Path]) -> list[Path]:
    """Return files and what belongs to them: sidecars beside them, both files of SigMF pairs."""
    found: list[Path] = []
    for path in paths:
        more = [path, beside(path)]
        if path.suffix in (META, DATA):
            more += [path.with_suffix(META), path.with_suffix(DATA)]
        found += [p for p in more if p is not None and p.is_file()]
    return list(dict.fromkeys(found))


def stated_of(
    paths: Sequence[Path],
    *,
    sidecar: str | Path | None = None,
    reference: Epoch | None = None,
    verify: bool = False,
) -> Stated:
    """Return what a sidecar and the caller state of a recording.

    Without `sidecar`, that of the first file which lies beside it, if there is one.

    Raises
    ------
    ConfigurationError, MissingDataError
        As `read_sidecar`.
    """
    file = Path(sidecar) if sidecar is not None else beside(paths[0])
    stated = read_sidecar(file) if file is not None else Stated()
    known = stated.reference if reference is None else reference
    return replace(stated, reference=known, verify=verify)


def recognise(paths: Sequence[Path], stated: Stated | None = None) -> RecordingFormat:
    """Return the format of files that together are one recording.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    stated : Stated, optional
        What is stated elsewhere; the format comes back completed by it.

    Raises
    ------
    RecordingError
        Where a file is missing, empty or of no known format, where the files
        are of different formats, or where headers contradict what is stated.
    UnknownNameError
        Where a format is stated that is not known.
    """
    if not paths:
        raise RecordingError("no file was given.", next_step="Name at least one.")
    known = stated or Stated()
    chosen: RecordingFormat | None = None
    for path in paths:
        map_file(path)  # missing and empty files are told before formats are tried
        mine = _named(known) if known.format or known.datatype else _sniffed(path)
        if chosen is not None and mine is not chosen:
            raise RecordingError(
                f"this file is {mine.name}, {paths[0]} is {chosen.name}.",
                place=str(path),
                next_step="Open files of different formats one by one.",
            )
        chosen = mine
    assert chosen is not None
    if chosen.name == "VDIF":
        _check_vdif(paths[0], known)
    return chosen.complete(known) if chosen.complete is not None else chosen


def _named(stated: Stated) -> RecordingFormat:
    if not stated.format:
        return raw.FORMAT  # numbers without headers are described
    names = {f.name.casefold().replace(" ", ""): f for f in FORMATS}
    wanted = stated.format.casefold().replace(" ", "")
    if wanted not in names:
        raise UnknownNameError(
            "format of recordings",
            stated.format,
            [f.name for f in FORMATS],
            place=stated.place,
        )
    return names[wanted]


_MARK5B = SYNC.to_bytes(4, "little")


def _sniffed(path: Path) -> RecordingFormat:
    data = map_file(path)
    if int(find_first_frame(data, 1)) == 0 and data[:4].tobytes() != _MARK5B:
        return vdif.FORMAT  # plain from the first byte on: nothing need be searched for
    for one in FORMATS:
        if one.sniff(path):
            return one
    names = ", ".join(f.name for f in FORMATS)
    try:
        vdif.FORMAT.survey([path], None)  # tells at which byte it fails
    except RecordingError as problem:
        raise RecordingError(
            problem.message,
            place=problem.place,
            next_step=f"{problem.next_step} Nor is it another known format ({names}); plain "
            f"samples need a datatype in {path.name}{SUFFIX}.",
        ) from None
    return vdif.FORMAT


def _check_vdif(path: Path, stated: Stated) -> None:
    """See that a sidecar does not contradict VDIF headers."""
    if not stated.place:
        return
    header = first_header(map_file(path), path)[1]
    stated.check(
        str(path), sample_rate=header.header_rate, bits=header.bits, complex=header.complex
    )
    if any(c.complex != header.complex for c in stated.channels):
        kinds = ("real", "complex")
        raise RecordingError(
            f"the headers say {kinds[header.complex]} samples, {stated.who} says "
            f"{kinds[not header.complex]}.",
            place=str(path),
            next_step=f"Write complex = {str(header.complex).lower()} there.",
        )


def open_recording(
    paths: Paths,
    *,
    station: str | None = None,
    channels: Sequence[Channel] | None = None,
    sample_rate: float | None = None,
    sidecar: str | Path | None = None,
    reference: Epoch | None = None,
    verify: bool = False,
) -> Recording:
    """Open one station's voltages.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        The files that together are the recording, or patterns of their names
        (``"scan1_*.vdif"``).
    station : str, optional
        Name of the station, where no sidecar states it.
    channels : sequence of Channel, optional
        The recorded bands, where the format does not state sky frequencies and
        sidebands (VDIF and Mark 5B never do).
    sample_rate : float, optional
        Samples per second, where neither channels nor headers state it.
    sidecar : path-like, optional
        A TOML file that states what headers do not (see
        `kitestring.recordings.sidecar`); else the one that is called like the
        first file with ``.toml`` after it, if there is one.
    reference : Epoch, optional
        A date within 500 days of the recording: Mark 5B headers do not hold the
        thousands of the day.
    verify : bool
        Compare checksums that stand in metadata (SigMF) with the data: reads all
        of them.

    Raises
    ------
    RecordingError
        Where the files cannot be read as one recording, or contradict what is
        stated.
    MissingDataError
        Where something is stated neither in the files nor here.

    Warns
    -----
    RecordingWarning
        Where samples are missing or damaged, with their numbers.
    """
    files = find_files(paths)
    stated = stated_of(files, sidecar=sidecar, reference=reference, verify=verify)
    chosen = recognise(files, stated)
    if sample_rate is not None and stated.sample_rate is not None:
        Stated(sample_rate=sample_rate).check(stated.place, sample_rate=stated.sample_rate)
    if channels and stated.channels and chosen.name != raw.NAME:
        check_channels(channels, stated.channels, stated.place)
    bands, rate = channels, sample_rate
    if chosen.complete is None:  # others were told what is stated
        bands = channels or stated.channels
        rate = stated.sample_rate if rate is None and not bands else rate
    found = chosen.open(
        files, station=station or stated.station, channels=bands or None, sample_rate=rate
    )
    if not found.station:
        raise MissingDataError(
            "the station is stated nowhere.",
            place=str(files[0]),
            next_step="Give station=, or state it in a sidecar.",
        )
    length = 1.0 if found.stop is None else float(found.stop.since(found.start))
    stated.check_start(str(files[0]), found.start, length)  # that of any of the files
    return found
