"""Metadata of SigMF recordings.

Source: Signal Metadata Format (SigMF) specification 1.2.6.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.errors import ConfigurationError, RecordingError
from kitestring.recordings.datatypes import DataType
from kitestring.recordings.types import Channel

META, DATA, ARCHIVE = ".sigmf-meta", ".sigmf-data", ".sigmf"
NAMESPACE = "kitestring"
_HASHED = 1 << 24  # bytes read at once for a checksum


@dataclass(frozen=True)
class SigmfFile:
    """Metadata of one recording, and where its samples lie.

    Attributes
    ----------
    meta, data : Path
        The two files.
    content : dict
        The metadata.
    datatype : DataType
        Of the samples.
    width : int
        Channels that are interleaved.
    """

    meta: Path
    data: Path
    content: dict[str, Any]
    datatype: DataType
    width: int

    def of(self, key: str, default: Any = None) -> Any:
        """Return a global key of the core namespace."""
        return self.content["global"].get(f"core:{key}", default)

    @property
    def captures(self) -> list[dict[str, Any]]:
        """The capture segments, in the order of the file."""
        found: list[dict[str, Any]] = self.content["captures"]
        return found

    @property
    def station(self) -> str:
        """Station as our extension names it, or ''."""
        return str(self.content["global"].get(f"{NAMESPACE}:station", ""))

    def own_channels(self, rate: float) -> tuple[Channel, ...]:
        """Return the channels of our extension; empty where there is none."""
        listed = self.content["global"].get(f"{NAMESPACE}:channels", [])
        try:
            return tuple(
                Channel(
                    name=str(c["name"]),
                    sky_frequency=float(c["sky_frequency"]),
                    direction=1 if c.get("sideband", "upper") == "upper" else -1,
                    sample_rate=rate,
                    complex=self.datatype.complex,
                    polarization=str(c.get("polarization", "")),
                    zero="middle" if c.get("zero") == "middle" else "edge",
                )
                for c in listed
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise RecordingError(
                f"{NAMESPACE}:channels cannot be read ({problem!r}).",
                place=str(self.meta),
                next_step="Mend it, or drop it and give channels=.",
            ) from None


def pair(path: Path) -> tuple[Path, Path]:
    """Return metadata and data file of a recording of which either is named.

    Raises
    ------
    RecordingError
        For an archive, and where the metadata are missing.
    """
    if path.suffix == ARCHIVE:
        raise RecordingError(
            "SigMF archives are not read.",
            place=str(path),
            next_step=f"Unpack it: tar -xf {path.name}",
        )
    meta, data = path.with_suffix(META), path.with_suffix(DATA)
    if not meta.is_file():
        raise RecordingError(
            f"there is no {meta.name} beside it.",
            place=str(path),
            next_step="Bring the metadata, or describe the samples in a sidecar with "
            "a datatype (see kitestring.recordings.sidecar).",
        )
    return meta, data


def read_meta(path: Path) -> SigmfFile:
    """Read and check the metadata of a recording.

    Raises
    ------
    RecordingError
        Where either file is missing, or the metadata are not what SigMF asks for.
    """
    meta, data = pair(path)
    try:
        content = json.loads(meta.read_bytes().decode())
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as problem:
        raise RecordingError(
            f"the metadata cannot be read: {problem}.",
            place=str(meta),
            next_step="Mend the JSON, or copy the file again.",
        ) from None
    _check_schema(content, meta)
    overall = content["global"]
    if overall.get("core:metadata_only"):
        raise RecordingError(
            "the metadata say that there are no data (core:metadata_only).",
            place=str(meta),
            next_step="Bring the recording with its data.",
        )
    if "core:dataset" in overall:
        data = meta.with_name(Path(str(overall["core:dataset"])).name)
    if not data.is_file():
        raise RecordingError(
            f"there is no {data.name} beside it.",
            place=str(meta),
            next_step="Bring the data file, or mend its name.",
        )
    try:
        kind = DataType.parse(str(overall["core:datatype"]))
    except ConfigurationError as problem:
        raise RecordingError(
            problem.message, place=str(meta), next_step=problem.next_step
        ) from None
    return SigmfFile(meta, data, content, kind, int(overall.get("core:num_channels", 1)))


def _check_schema(content: object, meta: Path) -> None:
    """Check metadata against the specification's own schema."""
    import warnings

    from jsonschema import ValidationError
    from sigmf.validate import validate

    if not isinstance(content, dict):
        raise RecordingError(
            "the metadata are no JSON object.", place=str(meta), next_step="Is it SigMF?"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of extensions that are not declared
            validate(content)
    except ValidationError as problem:
        where = "/".join(map(str, problem.absolute_path)) or "the whole"
        raise RecordingError(
            f"{where}: {problem.message[:200].rstrip('.')}.",
            place=str(meta),
            next_step="Mend the metadata: they are not what SigMF's schema asks for.",
        ) from None
    if not content["captures"]:
        raise RecordingError(
            "there is no capture.",
            place=str(meta),
            next_step='Add one with "core:sample_start": 0 and its "core:datetime".',
        )


def check_sum(file: SigmfFile) -> None:
    """Compare the data with ``core:sha512``, where that is given.

    Raises
    ------
    RecordingError
        Where they differ.
    """
    wanted = file.of("sha512")
    if wanted is None:
        return
    digest = hashlib.sha512()
    with file.data.open("rb") as handle:
        while part := handle.read(_HASHED):
            digest.update(part)
    if digest.hexdigest() != str(wanted).lower():
        raise RecordingError(
            f"the data do not have the core:sha512 of {file.meta.name}: they were changed.",
            place=str(file.data),
            next_step="Copy the recording again, or open it without verify.",
        )
