"""What must be settled about the files of a VDIF recording before frames are placed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kitestring.errors import ConfigurationError, RecordingError, RecordingWarning
from kitestring.recordings._kernels import THREADS
from kitestring.recordings.vdif_header import VdifHeader, frames_per_second
from kitestring.recordings.vdif_place import (
    Placed,
    choose_threads,
    infer_frames_per_second,
    left_out,
)
from kitestring.recordings.vdif_scan import Bytes, Runs, first_header, release

# bytes at which the first frames of files begin, and the first header
FirstHeaders = tuple[tuple[int, ...], VdifHeader]


@dataclass(frozen=True)
class Common:
    """Files of one recording, and what was asked for.

    Attributes
    ----------
    files : tuple of Path
        Its files.
    data : list of ndarray
        Their bytes.
    header : VdifHeader
        The first header.
    begins : tuple of int
        Byte of the first header of each.
    sample_rate : float or None
        Samples per second as given.
    channel_count : int or None
        Channels that there should be.
    """

    files: tuple[Path, ...]
    data: list[Bytes]
    header: VdifHeader
    begins: tuple[int, ...]
    sample_rate: float | None
    channel_count: int | None

    def choose_threads(self, runs: Runs) -> tuple[int, ...]:
        """Return the threads; raise `RecordingError` where they are not those expected."""
        wanted = None
        if self.channel_count is not None:
            wanted = max(self.channel_count // self.header.channel_count, 1)
        threads = choose_threads(runs, wanted)
        found = len(threads) + left_out(runs, threads)
        if self.channel_count is None or found * self.header.channel_count == self.channel_count:
            return threads
        groups = len({thread // THREADS for thread in threads})
        apart = f", {groups} groups of files at the same time" if groups > 1 else ""
        raise RecordingError(
            f"{self.channel_count} channels are expected, the file has {found} threads "
            f"of {self.header.channel_count} channels{apart}.",
            place=str(self.files[0]),
            next_step="Name as many channels as were recorded (see `kitestring describe`).",
        )

    def rate(self, runs: Runs) -> tuple[float | None, str, int]:
        """Return the sample rate, where it comes from, and frames per second (0: not known)."""
        rate, origin = self._rate(runs)
        if rate is None:
            return None, "", 0
        try:
            return rate, origin, frames_per_second(self.header, rate)
        except ConfigurationError as error:
            raise RecordingError(
                error.message, place=str(self.files[0]), next_step="Give the right sample rate."
            ) from None

    def _rate(self, runs: Runs) -> tuple[float | None, str]:
        given, stated = self.sample_rate, self.header.header_rate
        if given is not None:
            if stated is not None and abs(stated - given) > 1e-9 * given:
                warnings.warn(
                    f"{self.files[0]}: the headers state {stated:.12g} samples a second; "
                    f"{given:.12g} was given and is used.",
                    RecordingWarning,
                    stacklevel=2,
                )
            return given, "given"
        if stated is not None:
            return stated, "header"
        per_second, _ = infer_frames_per_second(runs)
        if per_second:
            return float(per_second * self.header.frame_samples), "inferred from frame numbers"
        return None, ""

    def check_rate(self, placed: Placed, runs: Runs, per_second: int, rate: float) -> None:
        """Raise `RecordingError` where frame numbers contradict the sample rate."""
        highest = int((runs["number"] + runs["frames"]).max())
        inferred, seconds = infer_frames_per_second(runs)
        too_low = placed.out_of_range * 10 > placed.used or (inferred > per_second and seconds > 1)
        # in one or two seconds the last frames may have been lost
        too_high = highest <= inferred < per_second and seconds > 2
        if too_low or too_high:
            found = f"frames are numbered up to {highest - 1}"
            right = ""
            if inferred:
                found += f" and seconds end after {inferred}"
                right = f" (From the frame numbers: {inferred * rate / per_second:.12g}.)"
            raise RecordingError(
                f"{rate:.12g} samples a second would make {per_second} frames a second, "
                f"but {found}.",
                place=str(self.files[0]),
                next_step="Give the right sample rate." + right,
            )
        if placed.conflicting > placed.used:
            raise RecordingError(
                f"{placed.conflicting} frames have other samples than frames of the same thread "
                "and time.",
                place=", ".join(map(str, self.files)),
                next_step="VDIF tells channels of a file apart by their threads alone: number the "
                "threads, or bring each channel in a file of its own.",
            )
        if not placed.used:
            raise RecordingError(
                "no frame could be placed in time.",
                place=str(self.files[0]),
                next_step="Check the sample rate.",
            )


def check_different(files: tuple[Path, ...]) -> None:
    """Raise `RecordingError` where there is no file, or one twice."""
    if not files:
        raise RecordingError("no file was given.", next_step="Name at least one.")
    seen: set[Path] = set()
    for path in files:
        if path.resolve() in seen:
            raise RecordingError(
                "the file is given twice.", place=str(path), next_step="Leave one out."
            )
        seen.add(path.resolve())


def first_headers(files: Sequence[Path], data: Sequence[Bytes]) -> FirstHeaders:
    """Return where each file's first frame begins, and the first header.

    Raises
    ------
    RecordingError
        Where files are not VDIF or not of the same kind.
    """
    begins: list[int] = []
    first: VdifHeader | None = None
    for path, mapped in zip(files, data, strict=True):
        begin, header = first_header(mapped, path)
        release(mapped, 0, len(mapped))  # what might be headers is looked for all over it
        begins.append(begin)
        if first is None:
            first = header
        if not np.array_equal(header.constant_words()[0], first.constant_words()[0]):
            raise RecordingError(
                f"byte {begin}: the frames are not of the same kind as those of {files[0]} "
                f"({_kind(header)}; there {_kind(first)}).",
                place=str(path),
                next_step="Open files of different recordings one by one.",
            )
    assert first is not None
    return tuple(begins), first


def _kind(header: VdifHeader) -> str:
    return (
        f"station {header.station_code}, {header.channel_count} "
        f"{'complex' if header.complex else 'real'} channels of {header.bits} bits, "
        f"{header.frame_bytes} bytes a frame, reference epoch {header.ref_epoch}"
    )
