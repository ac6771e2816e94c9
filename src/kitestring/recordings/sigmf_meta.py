"""Metadata of SigMF recordings.

Source: Signal Metadata Format (SigMF) specification 1.2.6.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from kitestring.errors import ConfigurationError, RecordingError
from kitestring.recordings.datatypes import DataType
from kitestring.recordings.types import Channel

META, DATA, ARCHIVE, COLLECTION = ".sigmf-meta", ".sigmf-data", ".sigmf", ".sigmf-collection"
_PACKED = {".gz": "gunzip", ".xz": "unxz", ".zip": "unzip"}  # archives that cannot be mapped
NAMESPACE = "kitestring"
_SIDES: dict[str, Literal[1, -1]] = {"upper": 1, "lower": -1}
_ZEROS: dict[str, Literal["edge", "middle"]] = {"edge": "edge", "middle": "middle"}
_HASHED = 1 << 24  # bytes read at once for a checksum


@dataclass(frozen=True)
class SigmfFile:
    """Metadata of one recording, and where its samples lie.

    Attributes
    ----------
    meta, data : Path
        The two files; for data in an archive: the name in it after its path, and the archive.
    begin, size : int
        First byte of the data in their file, and how many they are.
    content : dict
        The metadata.
    datatype : DataType
        Of the samples.
    width : int
        Channels that are interleaved.
    """

    meta: Path
    data: Path
    begin: int
    size: int
    content: dict[str, Any]
    datatype: DataType
    width: int

    def of(self, key: str, default: Any = None) -> Any:
        """Return a global key of the core namespace."""
        return self.content["global"].get(f"core:{key}", default)

    @property
    def captures(self) -> list[dict[str, Any]]:
        """The capture segments, in the order of the file; where none is listed there is one."""
        found: list[dict[str, Any]] = self.content["captures"]
        return found or [{"core:sample_start": 0}]

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
                    direction=_SIDES[c.get("sideband", "upper")],
                    sample_rate=rate,
                    complex=self.datatype.complex,
                    polarization=str(c.get("polarization", "")),
                    zero=_ZEROS[c.get("zero", "edge")],
                )
                for c in listed
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise RecordingError(
                f"{NAMESPACE}:channels cannot be read ({problem!r}).",
                place=str(self.meta),
                next_step="Mend it, or drop it and give channels=.",
            ) from None


def is_sigmf(path: Path) -> bool:
    """Whether a file is called as SigMF's are."""
    packed = path.suffix in _PACKED and path.with_suffix("").suffix == ARCHIVE
    return packed or path.suffix in (META, DATA, ARCHIVE, COLLECTION)


def read_meta(path: Path) -> list[SigmfFile]:
    """Read and check metadata: of a recording of which either file is named, or in an archive.

    Returns
    -------
    list of SigmfFile
        One, or as many as an archive holds.

    Raises
    ------
    RecordingError
        Where a file is missing, where metadata are not what SigMF asks for, and
        for compressed archives and collections.
    """
    if path.suffix == ARCHIVE:
        return _read_archive(path)
    if path.suffix in _PACKED:
        raise RecordingError(
            "compressed SigMF archives are not read.",
            place=str(path),
            next_step=f"Unpack it: {_PACKED[path.suffix]} {path.name}",
        )
    if path.suffix == COLLECTION:
        raise RecordingError(
            "a SigMF collection holds no samples, only the names of recordings.",
            place=str(path),
            next_step=f"Name the *{META} files of one station's scan instead.",
        )
    meta = path.with_suffix(META)
    if not meta.is_file():
        raise RecordingError(
            f"there is no {meta.name} beside it.",
            place=str(path),
            next_step="Bring the metadata, or describe the samples in a sidecar with "
            "a datatype (see kitestring.recordings.sidecar).",
        )
    try:
        text = meta.read_bytes()
    except OSError as problem:
        raise RecordingError(
            f"the metadata cannot be read ({problem.strerror}).",
            place=str(meta),
            next_step="Check who may read it.",
        ) from None
    content = _content(text, meta)
    data = meta.parent / _data_name(content, meta.name)
    if not data.is_file():
        raise _no_data(content, meta, data.name)
    return [_file(meta, data, 0, data.stat().st_size, content)]


def _read_archive(path: Path) -> list[SigmfFile]:
    """Return the recordings of a tar archive; their data stay where they lie in it."""
    members: dict[PurePosixPath, tarfile.TarInfo] = {}
    texts: dict[PurePosixPath, bytes] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.size < 0:
                    raise tarfile.ReadError("a member of negative length")  # it would never end
                if not member.isreg() or member.issparse():
                    continue
                name = PurePosixPath(member.name)
                members[name] = member
                handle = archive.extractfile(member) if name.suffix == META else None
                if handle is not None:
                    texts[name] = handle.read()
    except (OSError, EOFError, ValueError, tarfile.TarError) as problem:
        raise RecordingError(
            f"no tar archive that can be read ({problem}).",
            place=str(path),
            next_step=f"Copy it again, or unpack what is there: tar -xf {path.name}",
        ) from None
    if not texts:
        raise RecordingError(
            f"there is no {META} in the archive.", place=str(path), next_step="Is it SigMF?"
        )
    found = []
    for name, text in texts.items():
        meta = path / name
        content = _content(text, meta)
        data = name.parent / _data_name(content, name.name)
        if data not in members:
            raise _no_data(content, meta, data.name)
        found.append(_file(meta, path, members[data].offset_data, members[data].size, content))
    return found


def _content(text: bytes, meta: Path) -> dict[str, Any]:
    """Return metadata that are what the schema asks for."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number")  # JSON has none, Python's parser reads it

    try:
        content = json.loads(text.decode("utf-8-sig"), parse_constant=refuse)
    except (UnicodeDecodeError, ValueError, RecursionError) as problem:
        raise RecordingError(
            f"the metadata cannot be read: {problem}.",
            place=str(meta),
            next_step="Mend the JSON, or copy the file again.",
        ) from None
    if not isinstance(content, dict):
        raise RecordingError(
            "the metadata are no JSON object.", place=str(meta), next_step="Is it SigMF?"
        )
    _check_schema(content, meta)
    return content


def _data_name(content: dict[str, Any], meta: str) -> str:
    own = PurePosixPath(str(content["global"].get("core:dataset", ""))).name
    return own or meta.removesuffix(META) + DATA


def _no_data(content: dict[str, Any], meta: Path, name: str) -> RecordingError:
    only = content["global"].get("core:metadata_only")
    told = ": the metadata say that there are no data (core:metadata_only)" if only else ""
    return RecordingError(
        f"there is no {name} beside it{told}.",
        place=str(meta),
        next_step="Bring the data file, or mend its name.",
    )


def _file(meta: Path, data: Path, begin: int, size: int, content: dict[str, Any]) -> SigmfFile:
    overall = content["global"]
    try:
        kind = DataType.parse(str(overall["core:datatype"]))
    except ConfigurationError as problem:
        raise RecordingError(
            problem.message, place=str(meta), next_step=problem.next_step
        ) from None
    width = int(overall.get("core:num_channels", 1))
    return SigmfFile(meta, data, begin, size, content, kind, width)


def _check_schema(content: dict[str, Any], meta: Path) -> None:
    """Check metadata against the specification's own schema, annotations (not used here) apart."""
    import warnings

    from jsonschema import ValidationError
    from sigmf.validate import validate

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of extensions that are not declared
            validate(content | {"annotations": []})
    except ValidationError as problem:
        where = "/".join(map(str, problem.absolute_path)) or "the whole"
        raise RecordingError(
            f"{where}: {problem.message[:200].rstrip('.')}.",
            place=str(meta),
            next_step="Mend the metadata: they are not what SigMF's schema asks for.",
        ) from None
    for one in content["global"].get("core:extensions", []):
        if not one["optional"] and one["name"] != NAMESPACE:
            raise RecordingError(
                f"the extension {one['name']!r} is not optional, and not known here.",
                place=str(meta),
                next_step="Where it does not change what samples are, make it optional.",
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
    left = file.size
    with file.data.open("rb") as handle:
        handle.seek(file.begin)
        while part := handle.read(min(left, _HASHED)):
            digest.update(part)
            left -= len(part)
    if digest.hexdigest() != str(wanted).lower():
        raise RecordingError(
            f"the data do not have the core:sha512 of {file.meta.name}: they were changed.",
            place=str(file.data),
            next_step="Copy the recording again, or open it without verify.",
        )
