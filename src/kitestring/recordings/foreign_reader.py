"""Stream readers of the package `baseband`, opened for what is stated, and what they lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kitestring.errors import MissingDataError, RecordingError
from kitestring.recordings.formats import FrameCounts
from kitestring.recordings.stated import Stated


@dataclass(frozen=True)
class Kind:
    """A format that baseband reads.

    Attributes
    ----------
    name : str
        As it is called here.
    module : str
        Of baseband.
    dated : bool
        Whether headers lack the decade, so that a reference date is needed.
    """

    name: str
    module: str
    dated: bool = False


MARK4 = Kind("Mark 4", "mark4", dated=True)
DADA = Kind("DADA", "dada")
GUPPI = Kind("GUPPI", "guppi")


def open_reader(
    kind: Kind, files: Sequence[Path], stated: Stated, sample_rate: float | None
) -> Any:
    """Open a stream reader of baseband.

    Raises
    ------
    MissingDataError
        Where baseband is not installed, or the decade is not known.
    RecordingError
        Where it cannot read the files; its own words are passed on.
    """
    try:
        import importlib

        module = importlib.import_module(f"baseband.{kind.module}")
        sequence = importlib.import_module("baseband.helpers.sequentialfile")
    except ImportError:
        raise MissingDataError(
            f"{kind.name} is read through the package baseband, which is not installed.",
            place=str(files[0]),
            next_step="Install it: pip install kitestring[baseband]",
        ) from None
    options: dict[str, Any] = {"squeeze": False}
    if kind.dated:
        if stated.reference is None:
            raise MissingDataError(
                f"{kind.name} does not hold the decade.",
                place=str(files[0]),
                next_step="Give reference=, a date within 5 years of the recording (or state it "
                "in a sidecar).",
            )
        options |= {"ref_time": stated.reference.to_astropy(), "fill_value": np.nan}
        if sample_rate is not None:
            from astropy import units

            options["sample_rate"] = sample_rate * units.Hz
    try:
        # not a text, in which {} would stand for a pattern
        source = sequence.open(list(files)) if len(files) > 1 else files[0]
        handle = module.open(source, "rs", **options)
        count = int(handle.shape[0])  # it looks for the last header
    except Exception as problem:  # of many kinds, bare assertions among them
        raise RecordingError(
            f"baseband cannot read it as {kind.name}: {str(problem) or type(problem).__name__}.",
            place=str(files[0]),
            next_step="Check that the file is whole and of this format.",
        ) from problem
    if count < 1:
        handle.close()
        raise RecordingError(
            "the time of the last header is not after that of the first.",
            place=str(files[-1]),
            next_step="Name files in the order of their times.",
        )
    return handle


def count_frames(kind: Kind, handle: Any, files: Sequence[Path]) -> FrameCounts:
    """Return the frames between both ends by their times, and how many the files lack or spare."""
    length = int(handle.header0.frame_nbytes)
    frames = max(round(handle.shape[0] / handle.samples_per_frame), 1)
    held = sum(p.stat().st_size for p in files)
    if kind is MARK4:  # recordings begin and end inside a frame
        file = handle.fh_raw
        with file.temporary_offset(0):
            file.find_header(handle.header0)
            begin = file.tell()
        with file.temporary_offset(-length, 2):
            file.find_header(handle.header0, forward=False, check=(-1, 1))
            held = file.tell() + length - begin
    missing = max(frames - -(-held // length), 0)
    rest = max(held - (frames - missing) * length, 0)
    return FrameCounts(
        frames=frames - missing,
        missing=missing,
        skipped_bytes=rest if rest >= length else 0,
        truncated_bytes=rest if rest < length else 0,
    )
