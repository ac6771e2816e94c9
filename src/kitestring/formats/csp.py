"""Reads the DSN's media calibrations: command statements (CSP) as TRK-2-23 has them.

A file is a list of commands over any number of lines, each ended by a period after
its last parenthesis; what follows ``#`` on a line is a comment. A command is

    ADJUST(ALL) BY NRMPOW(0.0031, 0.0043) MODEL(DRY NUPART)
    FROM(17/04/01,00:00) TO(17/04/01,06:00) DSN(C10).

BY CONST, NRMPOW or TRIG; MODEL DRY NUPART, WET NUPART (zenith delays, m) or CHPART
(the ionosphere along the line of sight, m at 2295 MHz); for CHPART also SCID() or
QUASAR(). Epochs are UTC, with years of two digits. DSN 820-013, TRK-2-23 rev. C
(2008); the 1985 issue's DCONST, DNRMPOW, DTRIG, DRVID and DELETE are not read.
"""

from __future__ import annotations

import re
from pathlib import Path

from kitestring.errors import ConfigurationError, FormatError
from kitestring.formats._text import numbers, read_lines
from kitestring.model.dsn_media import KINDS, MediaCommand, Medium
from kitestring.model.time import Epoch

__all__ = ["read_csp"]

_WORD = re.compile(r"\S")
_CLAUSE = re.compile(r"(?P<word>[A-Z][A-Z ]*?)\s*\((?P<inside>[^()]*)\)\s*(?P<end>\.?)")
_EPOCH = re.compile(
    r"(?P<year>\d{2}|\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})"
    r",(?P<hour>\d{1,2}):(?P<minute>\d{2})(:(?P<second>\d{1,2}(\.\d*)?))?$"
)
_MODELS: dict[str, Medium] = {"DRY NUPART": "dry", "WET NUPART": "wet", "CHPART": "ionosphere"}
_PIVOT = 69  # years of two digits from here are of the last century: the first season is of 1972
_CLAUSES = {"ADJUST", "MODEL", "FROM", "TO", "DSN", "SCID", "QUASAR"}
_MOST = {"dry": 3.0, "wet": 1.0, "ionosphere": 500.0}  # m: more is another unit


def read_csp(path: str | Path) -> tuple[MediaCommand, ...]:
    """Read a file of media calibrations, plain or gzipped.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    tuple of MediaCommand
        In the order of the file, for `kitestring.model.dsn_media`.

    Raises
    ------
    MissingDataError
        Where the file does not exist.
    FormatError
        Where a command is not what the format says, or is cut; with file and line.
    """
    file = Path(path)
    lines = read_lines(file, "a file of the DSN's media calibrations")
    text = "\n".join(line.partition("#")[0] for line in lines)
    commands, clauses, position = list[MediaCommand](), dict[str, str](), 0
    begun = number = 1
    while (first := _WORD.search(text, position)) is not None:
        start = first.start()
        number += text.count("\n", position, start)
        where = f"{file.name}:{number}"
        found = _CLAUSE.match(text, start)
        if found is None:
            raise FormatError(
                f"{text[start : start + 30].splitlines()[0]!r} is no part of a command.",
                place=where,
                next_step="A command is words with parentheses, and a period at its end.",
            )
        begun = begun if clauses else number
        word = " ".join(found["word"].split())
        if (word not in _CLAUSES and not word.startswith("BY ")) or word in clauses:
            raise FormatError(
                f"{word} is not known here, or is there twice.",
                place=where,
                next_step="Known are ADJUST, BY CONST, BY NRMPOW, BY TRIG, MODEL, FROM, TO, "
                "DSN, SCID and QUASAR, each once.",
            )
        clauses[word] = " ".join(found["inside"].split())
        position = found.end()
        number += text.count("\n", start, position)
        if found["end"]:
            commands.append(_command(clauses, f"{file.name}:{begun}"))
            clauses = {}
    if clauses:
        raise FormatError(
            "a command begins here and has no period.",
            place=f"{file.name}:{begun}",
            next_step="Fetch the file again; it may be cut.",
        )
    if not commands:
        raise FormatError(
            "holds no command.", place=file.name, next_step="Name a file of TRK-2-23 (CSP)."
        )
    return tuple(commands)


def _command(clauses: dict[str, str], where: str) -> MediaCommand:
    kinds = [(kind, clauses[f"BY {kind}"]) for kind in KINDS if f"BY {kind}" in clauses]
    series = [word for word in clauses if word.startswith("BY ")]
    missing = [word for word in ("ADJUST", "MODEL", "DSN") if not clauses.get(word)]
    if missing or len(kinds) != 1 or len(series) != 1:
        what = f"no {missing[0]}" if missing else f"{', '.join(series) or 'no series'}"
        raise FormatError(
            f"a command has {what}.",
            place=where,
            next_step="It needs ADJUST, MODEL, DSN and one of BY CONST, BY NRMPOW, BY TRIG.",
        )
    medium = _MODELS.get(clauses["MODEL"])
    if medium is None:
        raise FormatError(
            f"MODEL({clauses['MODEL']}) is not known.",
            place=where,
            next_step=f"Known are {', '.join(_MODELS)}.",
        )
    kind, inside = kinds[0]
    words = [word.replace(" ", "") for word in inside.split(",")]
    values = tuple(numbers(words, where, "numbers apart by commas"))
    sizes = values[1:] if kind == "TRIG" else values
    if any(abs(value) > _MOST[medium] for value in sizes):
        raise FormatError(
            f"a coefficient exceeds {_MOST[medium]:g} m.",
            place=where,
            next_step="Coefficients are in metres.",
        )
    if not re.fullmatch(r"C(10|40|60)|\d{1,3}", clauses["DSN"]):
        raise FormatError(
            f"DSN({clauses['DSN']}) is no complex and no station.",
            place=where,
            next_step="Expected are C10, C40, C60, or a number.",
        )
    source = next((f"{w} {clauses[w]}" for w in ("SCID", "QUASAR") if w in clauses), "")
    try:
        return MediaCommand(
            medium,
            kind,
            values,
            _epoch(clauses.get("FROM"), where),
            _epoch(clauses.get("TO"), where),
            clauses["DSN"].lstrip("0"),
            clauses["ADJUST"],
            source,
        )
    except ConfigurationError as problem:
        raise FormatError(problem.message, place=where, next_step=problem.next_step) from None


def _epoch(text: str | None, where: str) -> Epoch | None:
    if text is None:
        return None
    found = _EPOCH.match(text.replace(" ", ""))
    if found is not None:
        year = int(found["year"])
        if len(found["year"]) == 2:
            year += 1900 if year >= _PIVOT else 2000
        iso = (
            f"{year:04d}-{int(found['month']):02d}-{int(found['day']):02d}T"
            f"{int(found['hour']):02d}:{found['minute']}:00"
        )
        try:
            return Epoch.from_iso(iso).shifted(float(found["second"] or 0.0))
        except ConfigurationError:
            pass
    raise FormatError(
        f"{text!r} is no epoch.", place=where, next_step="Give YY/MM/DD,hh:mm or with seconds."
    )
