"""A sidecar: a TOML file that states what a recording's own headers do not.

It lies beside the recording and is called like it with ``.toml`` after the whole
name (``iq.cf32.toml`` beside ``iq.cf32``), or is named. It makes plain IQ samples
a recording, and completes formats whose headers lack something::

    datatype = "cf32_le"              # samples without headers only
    sample_rate = 2e6
    start = 2026-03-01T12:00:00Z      # clock reading of the first sample
    station = "Dwingeloo"

    [[channel]]
    name = "X0"
    sky_frequency = 8.4e9             # complex: of baseband 0 Hz; real: of the zero-offset edge

All keys are optional here; what a format needs and finds nowhere it asks for by name.
"""

from __future__ import annotations

import datetime as dt
import difflib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kitestring._toml import read_toml
from kitestring.errors import ConfigurationError, MissingDataError
from kitestring.model.time import Epoch
from kitestring.recordings.datatypes import DataType
from kitestring.recordings.stated import Stated
from kitestring.recordings.types import Channel

SUFFIX = ".toml"

Positive = Annotated[float, Field(gt=0)]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class SidecarChannel(_Keys):
    """One recorded band; see `kitestring.recordings.types.Channel`."""

    name: str = ""
    sky_frequency: Positive
    sideband: Literal["upper", "lower"] = "upper"
    zero: Literal["edge", "middle"] | None = None
    """Complex samples: where 0 Hz lies. Without it: in the middle where there is a datatype,
    else at the edge."""
    polarization: Literal["", "X", "Y", "R", "L", "H", "V"] = ""


class Sidecar(_Keys):
    """A whole sidecar."""

    format: str = ""
    """Name of the format, where it is not to be recognised from the file."""
    station: str = ""
    datatype: str = ""
    """Numbers of a file without headers, as in SigMF: ``"cf32_le"``, ``"ci16_le"``, ``"cu8"``."""
    header_bytes: int = Field(default=0, ge=0)
    """Bytes at the head of such a file that are no samples."""
    start: str | dt.datetime | None = None
    """Clock reading of the first sample, UTC."""
    reference: str | dt.datetime | dt.date | None = None
    """A date within 500 days of the recording (Mark 5B)."""
    sample_rate: Positive | None = None
    bits: Literal[1, 2, 4, 8, 16, 32, 64] | None = None
    complex: bool | None = None
    """Whether samples are complex, where there is no datatype."""
    channel: list[SidecarChannel] = Field(default_factory=list)


def beside(path: Path) -> Path | None:
    """Return the sidecar that lies beside a file, or None."""
    found = path.with_name(path.name + SUFFIX)
    return found if path.suffix != SUFFIX and found.is_file() else None


def read_sidecar(path: str | Path) -> Stated:
    r"""Read a sidecar.

    Parameters
    ----------
    path : path-like
        The TOML file.

    Returns
    -------
    Stated
        What it says.

    Raises
    ------
    MissingDataError
        Where there is no such file, or channels are listed without a sample rate.
    ConfigurationError
        For text that is not TOML, unknown keys and values that cannot be.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "iq.cf32.toml"
    >>> _ = file.write_text('datatype = "cf32_le"\nsample_rate = 2e6\n')
    >>> read_sidecar(file).sample_rate
    2000000.0
    """
    file = Path(path)
    _, raw = read_toml(file, "sidecar", "Check the path.")
    try:
        keys = Sidecar.model_validate(raw)
    except ValidationError as problem:
        raise ConfigurationError(
            _explain(problem), place=str(file), next_step="Mend the sidecar."
        ) from None
    return _stated(keys, file)


def _stated(keys: Sidecar, file: Path) -> Stated:
    kind = DataType.parse(keys.datatype, str(file)) if keys.datatype else None
    if kind is not None and keys.complex not in (None, kind.complex):
        raise ConfigurationError(
            f"complex = {str(keys.complex).lower()} contradicts datatype {keys.datatype!r}.",
            place=str(file),
            next_step="Drop one of them.",
        )
    if kind is not None and keys.bits not in (None, kind.bits):
        raise ConfigurationError(
            f"bits = {keys.bits} contradicts datatype {keys.datatype!r}.",
            place=str(file),
            next_step="Drop one of them.",
        )
    if kind is None and keys.header_bytes:
        raise ConfigurationError(
            "header_bytes without a datatype: other formats find their own headers.",
            place=str(file),
            next_step="Drop it, or state the datatype of plain samples.",
        )
    if keys.channel and keys.sample_rate is None:
        raise MissingDataError(
            "there is a [[channel]], but no sample_rate.",
            place=str(file),
            next_step='Add the line "sample_rate = ..." (samples a second) above it.',
        )
    is_complex = kind.complex if kind is not None else bool(keys.complex)
    zero: Literal["edge", "middle"] = "middle" if kind is not None and is_complex else "edge"
    return Stated(
        place=str(file),
        format=keys.format,
        station=keys.station,
        datatype=kind.name if kind is not None else "",
        start=_epoch(keys.start, "start", file),
        sample_rate=keys.sample_rate,
        bits=kind.bits if kind is not None else keys.bits,
        complex=kind.complex if kind is not None else keys.complex,
        channels=tuple(
            Channel(
                name=c.name or f"CH{i:02d}",
                sky_frequency=c.sky_frequency,
                direction=1 if c.sideband == "upper" else -1,
                sample_rate=keys.sample_rate or 0.0,
                complex=is_complex,
                polarization=c.polarization,
                zero=c.zero or zero,
            )
            for i, c in enumerate(keys.channel)
        ),
        reference=_epoch(keys.reference, "reference", file),
        header_bytes=keys.header_bytes,
    )


def _epoch(value: str | dt.date | None, key: str, file: Path) -> Epoch | None:
    """Return a TOML date as an epoch; local date-times count as UTC."""
    if value is None:
        return None
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    text = value if isinstance(value, str) else value.isoformat()
    try:
        if key == "start" and ":" not in text:
            raise ConfigurationError(f"{text!r} is a date without a time.")
        epoch = Epoch.from_iso(text)
        epoch.to("tai")  # before 1972 there is none
        return epoch
    except ConfigurationError as problem:
        raise ConfigurationError(
            f"{key}: {problem.message}",
            place=str(file),
            next_step='Write it as "2026-03-01T12:00:00.123456789Z".',
        ) from None


def _explain(problem: ValidationError) -> str:
    """Return pydantic's first complaints in words that name the key."""
    told = []
    known = sorted({*Sidecar.model_fields, *SidecarChannel.model_fields})
    for error in problem.errors()[:4]:
        where = ".".join(map(str, error["loc"]))
        if error["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(error["loc"][-1]), known, 1)
            told.append(
                f"unknown key {where!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
            )
        else:
            told.append(f"{where}: {error['msg']}")
    return "; ".join(told) + "."
