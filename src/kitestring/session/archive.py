"""What stages hand on, between runs: frozen dataclasses of arrays in one ``.npz`` file.

Arrays are stored as they are, to the last bit; all else is a JSON tree beside
them. Only dataclasses of this package are made on reading, never anything
that a file could name.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from kitestring.errors import FormatError, MissingDataError

_TREE = "tree"
_AGAIN = "Remove it and run the session again."


def save(path: str | Path, value: Any) -> None:
    """Write a value made of dataclasses, tuples, mappings, arrays and plain values.

    The file appears whole or not at all.
    """
    file = Path(path)
    arrays: dict[str, Any] = {}
    arrays[_TREE] = np.array(json.dumps(_encode(value, arrays)))
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".part")
    with partial.open("wb") as out:
        np.savez(out, **arrays)
    partial.replace(file)


def load(path: str | Path) -> Any:
    """Read back what `save` wrote.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is damaged or none of ours.
    """
    file = Path(path)
    try:
        with np.load(file, allow_pickle=False) as held:
            return _decode(json.loads(str(held[_TREE])), held)
    except FileNotFoundError:
        raise MissingDataError(
            "a product of an earlier stage is missing.",
            place=str(file),
            next_step="Run the session without --only, or that stage first.",
        ) from None
    except (
        *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, ImportError),
        zipfile.BadZipFile,
    ) as problem:  # a later version may have other types
        raise FormatError(
            f"is no product of a stage ({problem}).", place=str(file), next_step=_AGAIN
        ) from None


def _encode(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, Enum):
        return {"e": _name(type(value)), "v": value.value}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"f": value.hex()}  # to the last bit, infinities and NaN too
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"a": name}
    if is_dataclass(value) and not isinstance(value, type):
        held = {f.name: _encode(getattr(value, f.name), arrays) for f in fields(value)}
        return {"c": _name(type(value)), "v": held}
    if isinstance(value, Mapping):
        return {"d": [[_encode(k, arrays), _encode(v, arrays)] for k, v in value.items()]}
    if isinstance(value, tuple | list):
        return {"t": [_encode(v, arrays) for v in value]}
    raise TypeError(f"{type(value).__name__} cannot be kept in an archive.")


def _decode(value: Any, arrays: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "f" in value:
        return float.fromhex(value["f"])
    if "a" in value:
        return arrays[value["a"]]
    if "t" in value:
        return tuple(_decode(v, arrays) for v in value["t"])
    if "d" in value:
        return {_decode(k, arrays): _decode(v, arrays) for k, v in value["d"]}
    if "e" in value:
        return _kind(value["e"], Enum)(value["v"])
    return _kind(value["c"])(**{k: _decode(v, arrays) for k, v in value["v"].items()})


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _kind(text: str, base: type = object) -> Any:
    """Return the dataclass or enumeration of this package that a name stands for."""
    module, _, name = text.partition(":")
    found = None
    if module.startswith("kitestring.") and importlib.util.find_spec(module) is not None:
        found = getattr(importlib.import_module(module), name, None)
    if not isinstance(found, type) or not issubclass(found, base):
        found = None
    if found is None or not (is_dataclass(found) or issubclass(found, Enum)):
        raise ValueError(f"{text} is no type of this version")
    return found
