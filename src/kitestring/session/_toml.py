"""Writes plain values as TOML."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

from kitestring._toml import read_toml

__all__ = ["read_toml", "to_toml"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(values: Mapping[str, Any]) -> str:
    """Return a table as text; `tomllib` reads the same values back.

    Examples
    --------
    >>> print(to_toml({"name": "a", "scan": [{"start": 1.5}], "air": {"sigma": 0.05}}))
    name = "a"
    <BLANKLINE>
    [[scan]]
    start = 1.5
    <BLANKLINE>
    [air]
    sigma = 0.05
    """
    return "\n".join(_lines(values, "")).strip("\n")


def _lines(values: Mapping[str, Any], path: str) -> list[str]:
    lines, tables = [], []
    for key, value in values.items():
        name = f"{path}{_key(key)}"
        if isinstance(value, Mapping):
            tables += ["", f"[{name}]", *_lines(value, f"{name}.")]
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for row in value:
                tables += ["", f"[[{name}]]", *_lines(row, f"{name}.")]
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    return lines + tables


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(v) for v in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}"
    return repr(value)
