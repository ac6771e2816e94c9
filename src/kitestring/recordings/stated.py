"""What is stated about a recording outside its own headers: by a sidecar, a session or a caller."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kitestring.errors import ConfigurationError, RecordingError
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel

_MICROSECOND = 1e-6  # s
_SAME = 1e-9  # relative: rates and frequencies that differ by less are the same, written otherwise


@dataclass(frozen=True)
class Stated:
    """Statements that complete what the headers of a recording tell.

    Attributes
    ----------
    place : str
        Who states them, for messages: a sidecar's path, or ``""`` for the caller.
    format : str
        Name of the format, where files must not be asked.
    station : str
        Name or code of the station.
    datatype : str
        Numbers of a file without headers, as SigMF names them: ``"ci16_le"``.
    start : Epoch or None
        Clock reading of the first sample, UTC.
    sample_rate : float or None
        Samples per second.
    bits : int or None
        Bits a real or imaginary part.
    complex : bool or None
        Whether samples are complex.
    channels : tuple of Channel
        The recorded bands; empty where they are not stated.
    reference : Epoch or None
        A date within 500 days of the recording, for headers that count days to
        a thousand only (Mark 5B).
    header_bytes : int
        Bytes at the head of a file that are no samples.
    verify : bool
        Whether checksums that stand in metadata are compared with the data (which
        reads all of them).
    """

    place: str = ""
    format: str = ""
    station: str = ""
    datatype: str = ""
    start: Epoch | None = None
    sample_rate: float | None = None
    bits: int | None = None
    complex: bool | None = None
    channels: tuple[Channel, ...] = ()
    reference: Epoch | None = None
    header_bytes: int = 0
    verify: bool = False

    @property
    def who(self) -> str:
        """Who states it, in words."""
        return self.place or "the call"

    def __post_init__(self) -> None:
        """See that times are single ones."""
        for name in ("start", "reference"):
            check_single(getattr(self, name), name)

    def check(self, place: str, **found: float | str | None) -> None:
        """See that headers do not contradict what is stated.

        Parameters
        ----------
        place : str
            Whose headers.
        **found
            What they hold, by the name of an attribute; None where they do not tell.

        Raises
        ------
        RecordingError
            It names both and what each says.
        """
        for name, value in found.items():
            own = getattr(self, name)
            if own in (None, "") or value in (None, ""):
                continue
            same = own == value
            if isinstance(own, int | float) and isinstance(value, int | float):
                same = same_number(float(own), float(value))
            if not same:
                raise RecordingError(
                    f"the headers say {name} = {_plain(value)}, {self.who} says {_plain(own)}.",
                    place=place,
                    next_step=f"Mend or drop {name} there, or bring the right file.",
                )

    def check_start(self, place: str, found: Epoch, within: float) -> None:
        """See that the first sample's clock reading is the one stated.

        Parameters
        ----------
        place : str
            Whose headers.
        found : Epoch
            What they say.
        within : float
            Seconds that may lie between; a microsecond always may, which is what
            TOML's dates are good to.

        Raises
        ------
        RecordingError
            It names both.
        """
        if self.start is None:
            return
        if abs(float(self.start.since(found))) > max(within, _MICROSECOND):
            raise RecordingError(
                f"the headers say start = {found.iso(9)} UTC, {self.who} says {self.start.iso(9)}.",
                place=place,
                next_step="Mend or drop start there, or bring the right file.",
            )


def check_single(epoch: Epoch | None, name: str) -> None:
    """See that a time is one epoch, not an array of them.

    Raises
    ------
    ConfigurationError
        It names what was given.
    """
    if epoch is not None and epoch.shape != ():
        raise ConfigurationError(
            f"{name} is an array of epochs, of shape {epoch.shape}.",
            next_step=f"Give one of them: {name}=epochs[0].",
        )


def same_station(stations: Sequence[str], places: Sequence[Path]) -> str:
    """Return the station that files name which are one recording, or "" where none does.

    Raises
    ------
    RecordingError
        Where they name several.
    """
    named = [(s, p) for s, p in zip(stations, places, strict=True) if s]
    for station, place in named:
        if station != named[0][0]:
            raise RecordingError(
                f"this is of station {station!r}, {named[0][1]} of {named[0][0]!r}.",
                place=str(place),
                next_step="Open recordings of different stations one by one.",
            )
    return named[0][0] if named else ""


def same_number(a: float, b: float) -> bool:
    """Whether two rates or frequencies are the same but for how they were written."""
    return math.isclose(a, b, rel_tol=_SAME)


def check_channels(given: Sequence[Channel], own: Sequence[Channel], place: str) -> None:
    """See that channels that were given are those that the files state.

    Unknown sky frequencies are NaN on either side. Direction, polarization and
    where 0 Hz lies are not compared: those given are believed.

    Raises
    ------
    RecordingError
        It names the first difference.
    """
    if len(given) != len(own):
        raise RecordingError(
            f"{len(given)} channels are expected, the files have {len(own)}.",
            place=place,
            next_step="Give a Channel for each, in the order of the file.",
        )
    for number, (mine, theirs) in enumerate(zip(given, own, strict=True)):
        pairs = {
            "sample_rate": (mine.sample_rate, theirs.sample_rate),
            "sky_frequency": (mine.sky_frequency, theirs.sky_frequency),
            "complex": (mine.complex, theirs.complex),
        }
        for name, (a, b) in pairs.items():
            if math.isnan(a) or math.isnan(b) or same_number(a, b):
                continue
            raise RecordingError(
                f"channel {number} is given with {name} = {_plain(a)}, the file says {_plain(b)}.",
                place=place,
                next_step="Mend the channels, or bring the right file.",
            )


def check_kind(channels: Sequence[Channel], is_complex: bool, place: str) -> None:
    """See that channels that were given are complex, or real, as the samples in a file are.

    Raises
    ------
    RecordingError
        Where one is not.
    """
    if any(c.complex != is_complex for c in channels):
        raise RecordingError(
            f"the samples are {('real', 'complex')[is_complex]}, the channels given are not.",
            place=place,
            next_step=f"Set complex={is_complex} in the channels.",
        )


def _plain(value: float | str) -> str:
    """Return a value as a sidecar has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)
