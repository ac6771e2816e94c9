"""One file of a vgosDB: its variables, with repeated values and padded names put right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import netcdf_file

from kitestring.errors import FormatError, MissingDataError

Floats = NDArray[np.float64]

_HEADER = {  # says how a file was made, and for what; the rest is its content
    *("Stub", "CreateTime", "CreatedBy", "Program", "Subroutine", "vgosDB_Version"),
    *("DataOrigin", "TimeTag", "TimeTagFile", "Session", "Band", "Station"),
}
# a last axis of characters that counts things is no text: each thing has one letter
_COUNTING = re.compile(r"Num[A-Za-z]+")


def read_variable(path: str | Path, name: str) -> NDArray[Any]:
    """Read one variable of a vgosDB file, repeated values expanded.

    Parameters
    ----------
    path : path
        A NetCDF-3 file.
    name : str
        The variable.

    Returns
    -------
    ndarray
        float64, int64 or (without its last axis and without padding) str. A
        variable stored once with an attribute ``REPEAT`` gets that many rows.

    Raises
    ------
    MissingDataError
        Where the file is absent.
    FormatError
        Where it is not NetCDF-3 or holds no such variable.
    """
    content = _load(Path(path))
    if name not in content:
        known = sorted(set(content) - _HEADER)
        raise FormatError(
            f"holds no variable {name!r}.",
            place=str(path),
            next_step=f"It holds {', '.join(known)}.",
        )
    data, last_axis, repeat = content[name]
    if data.dtype.kind == "S":
        if data.ndim and not _COUNTING.fullmatch(last_axis):
            data = np.ascontiguousarray(data).view(f"S{data.shape[-1]}")[..., 0]
        data = np.asarray(np.char.strip(np.char.decode(data, "latin-1"), " \0"))
    else:
        data = data.astype(np.float64 if data.dtype.kind == "f" else np.int64)
    if repeat:
        one = data.reshape(()) if data.shape == (1,) else data
        data = np.repeat(one[np.newaxis], repeat, axis=0)
    return data


def variables(path: str | Path) -> tuple[str, ...]:
    """Return the names of the variables of a file, those of its header left out."""
    return tuple(sorted(set(_load(Path(path))) - _HEADER))


def _load(path: Path) -> dict[str, tuple[NDArray[Any], str, int]]:
    """Return each variable's raw data, name of its last axis and REPEAT (0 where it has none)."""
    if not path.is_file():
        raise MissingDataError(
            "there is no such file.",
            place=str(path),
            next_step="Give the directory that holds Head.nc, complete as it was published.",
        )
    try:
        with netcdf_file(str(path), mmap=False) as file:
            return {
                name: (np.asarray(v.data), "".join(v.dimensions[-1:]), int(getattr(v, "REPEAT", 0)))
                for name, v in file.variables.items()
            }
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, OSError) as problem:
        raise FormatError(
            f"is not a whole NetCDF-3 file ({problem}).",
            place=str(path),
            next_step="Fetch the file again; NetCDF-4 is converted by `nccopy -k classic`.",
        ) from None


def only_variable(path: Path) -> str:
    """Return the name of a file's one variable; FormatError where it has several or none."""
    names = variables(path)
    if len(names) == 1:
        return names[0]
    raise FormatError(
        f"holds {len(names)} variables: {', '.join(names)}.",
        place=str(path),
        next_step='Name the one that is wanted, variable="...".',
    )


def numbers(path: Path, name: str, shape: Sequence[int | None]) -> Floats:
    """Read numbers and check the lengths of the leading axes (None: any)."""
    return np.asarray(checked(path, name, shape), dtype=np.float64)


def checked(path: Path, name: str, shape: Sequence[int | None]) -> NDArray[Any]:
    """Read a variable and check the lengths of its leading axes (None: any)."""
    data = read_variable(path, name)
    fits = data.ndim >= len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, data.shape, strict=False)
    )
    if not fits:
        raise FormatError(
            f"{name} has shape {data.shape} where {tuple(shape)} is expected.",
            place=str(path),
            next_step="Compare it with NumObs, NumScan and NumStation in Head.nc.",
        )
    return data
