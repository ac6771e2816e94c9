"""What the sections of a session file and of a scenario file are made of."""

from __future__ import annotations

import datetime as dt
import difflib
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch, Scale

Positive = Annotated[float, Field(gt=0)]
Vector = Annotated[tuple[float, float, float], Field()]


def epoch_of(value: str | dt.datetime, scale: Scale = "utc") -> Epoch:
    """Return the epoch that a date of the file means; one with a time zone is turned into UTC."""
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        value = value.isoformat()
    return Epoch.from_iso(value, scale)


def _a_date(value: str | dt.datetime) -> str | dt.datetime:
    try:
        epoch_of(value)
    except ConfigurationError as problem:
        raise ValueError(str(problem)) from None
    return value


def _a_date_of_tdb(value: str | dt.datetime) -> str | dt.datetime:
    zoned = value.tzinfo is not None if isinstance(value, dt.datetime) else "Z" in value.upper()
    if zoned:
        raise ValueError("it is TDB, not UTC: give it without Z or another time zone")
    return _a_date(value)


When = Annotated[str | dt.datetime, AfterValidator(_a_date)]
WhenTdb = Annotated[str | dt.datetime, AfterValidator(_a_date_of_tdb)]


class Section(BaseModel):
    """A table of the file: every key is known, and no number is infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def explain(problem: ValidationError) -> str:
    """Return pydantic's first complaints in words that name the key."""
    lines = []
    for error in problem.errors()[:4]:
        where = ".".join(str(part) for part in error["loc"]) or "the file"
        if error["type"] == "extra_forbidden":
            hint = _nearest(error["loc"])
            lines.append(f"unknown key {where!r}{hint}")
        else:
            lines.append(f"{where}: {error['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines) + "."


def _nearest(location: tuple[Any, ...]) -> str:
    known = {name for section in Section.__subclasses__() for name in section.model_fields}
    near = difflib.get_close_matches(str(location[-1]), sorted(known), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""
