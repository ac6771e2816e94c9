"""What a recording format must provide; `open` holds the list of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kitestring.model.time import Epoch
from kitestring.recordings.stated import Stated
from kitestring.recordings.types import Channel, Recording


@dataclass(frozen=True)
class FrameCounts:
    """What a look at all headers found.

    Attributes
    ----------
    frames : int
        Frames that are used, those marked as invalid included.
    missing : int
        Frames that should lie between the first and the last but are not there.
    invalid, partly_invalid : int
        Frames that the recorder marked as invalid, and those with some channels so marked.
    damaged : int
        Headers that do not agree with the rest of the recording, and frames
        that were cut or that bytes were put into.
    wrong_time : int
        Frames whose time contradicts their neighbours'.
    duplicated : int
        Further copies of a frame.
    conflicting : int
        Frames that claim the same time with other samples: neither is used
        unless the neighbours tell which is right.
    out_of_order : int
        Frames that came after a later one of their thread.
    time_jumps : int
        Jumps of more than half a second, forwards or back.
    skipped_bytes, truncated_bytes : int
        Bytes that belong to no frame, and those of a last frame that was cut.
    """

    frames: int = 0
    missing: int = 0
    invalid: int = 0
    partly_invalid: int = 0
    damaged: int = 0
    wrong_time: int = 0
    duplicated: int = 0
    conflicting: int = 0
    out_of_order: int = 0
    time_jumps: int = 0
    skipped_bytes: int = 0
    truncated_bytes: int = 0

    @property
    def harmed(self) -> bool:
        """Whether anything inside the recording is not as it should be."""
        return any(
            (
                self.missing,
                self.invalid,
                self.partly_invalid,
                self.damaged,
                self.wrong_time,
                self.duplicated,
                self.conflicting,
                self.out_of_order,
                self.time_jumps,
                self.skipped_bytes,
            )
        )

    def summary(self) -> str:
        """Return all that is wrong in words."""
        found = ", ".join(
            f"{value} {name.replace('_', ' ')}"
            for name, value in vars(self).items()
            if value and name not in ("frames", "truncated_bytes")
        )
        return f"of {self.frames + self.missing} frames: {found or 'none missing or damaged'}"


@dataclass(frozen=True)
class Deviation:
    """A place where the time in the headers does not go on as the bytes between them do.

    Attributes
    ----------
    start : Epoch
        Clock reading before it, to about 32 frames.
    seconds : float
        What is missing; negative where more frames came than time went on.
    """

    start: Epoch
    seconds: float


@dataclass(frozen=True)
class Survey:
    """What the headers of a recording tell.

    Attributes
    ----------
    station : str
        The station as the headers name it.
    start, stop : Epoch or None
        Clock reading of the first sample, and after the last.
    sample_rate : float or None
        Samples per second.
    rate_origin : str
        ``"given"``, ``"header"``, ``"inferred from frame numbers"``, or ``""``.
    channel_count, bits : int
        Recorded bands; bits a real or imaginary part.
    complex : bool
        Whether samples are complex.
    layout : str
        Threads, channels and frame length in words.
    counts : FrameCounts
        Damage.
    missing : tuple of str
        What else is needed before the recording can be correlated.
    headers : int or None
        Frame headers that were looked at; None where a format has no such.
    sampled : bool
        Whether those were only some: both ends of a long recording and places
        between. Then `FrameCounts.missing` follows from times and lengths, and
        other damage is counted only where headers were looked at.
    deviations : tuple of Deviation
        Where frames are missing or too many, the largest first, if sampled.
    """

    station: str
    start: Epoch | None
    stop: Epoch | None
    sample_rate: float | None
    rate_origin: str
    channel_count: int
    bits: int
    complex: bool
    layout: str
    counts: FrameCounts
    missing: tuple[str, ...]
    headers: int | None = None
    sampled: bool = False
    deviations: tuple[Deviation, ...] = ()


class Opener(Protocol):
    """Opens a recording of one format."""

    def __call__(
        self,
        paths: Sequence[Path],
        *,
        station: str,
        channels: Sequence[Channel] | None,
        sample_rate: float | None,
    ) -> Recording:
        """Return the recording in all `paths` together."""


@dataclass(frozen=True)
class RecordingFormat:
    """One format of voltages.

    Attributes
    ----------
    name : str
        Such as ``"VDIF"``.
    sniff : callable
        Says from a path whether the file looks like this format.
    open : Opener
        Makes the `Recording`.
    survey : callable
        Reads headers only: (paths, sample_rate or None) -> `Survey`. Of a long
        recording it may look at some.
    survey_all : callable or None
        The same, but reads all headers; None where `survey` always does.
    complete : callable or None
        Returns the format completed by what is stated outside the headers; None
        where channels and a sample rate are all that it can be given.
    """

    name: str
    sniff: Callable[[Path], bool]
    open: Opener
    survey: Callable[[Sequence[Path], float | None], Survey]
    survey_all: Callable[[Sequence[Path], float | None], Survey] | None = None
    complete: Callable[[Stated], RecordingFormat] | None = None
