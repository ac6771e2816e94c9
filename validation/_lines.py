"""The lines that validation programs and benchmarks print, and what they make of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from kitestring.errors import KitestringError


@dataclass(frozen=True)
class Line:
    """One figure beside its limit.

    Attributes
    ----------
    name, unit : str
        What it is; the unit may be empty.
    value : float
        What was measured.
    limit : float or None
        What it is held to; None where nothing is promised.
    least : bool
        Whether the limit is the least, not the greatest value that passes.
    digits : int
        Significant digits to print.
    """

    name: str
    value: float
    unit: str = ""
    limit: float | None = None
    least: bool = False
    digits: int = 4

    @property
    def strain(self) -> float:
        """How near the limit is: above 1 it is broken."""
        if self.limit is None:
            return 0.0
        if self.value != self.value:
            return float("inf")
        if not self.least:
            return abs(self.value) / self.limit
        # correlations crowd at 1: what counts there is what is missing
        if 0.5 < self.limit < 1.0:
            return (1.0 - self.value) / (1.0 - self.limit)
        return self.limit / self.value if self.value > 0 else float("inf")

    def __str__(self) -> str:
        sign = ">= " if self.least else ""
        limit = "none" if self.limit is None else f"{sign}{self.limit:g}"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name} = {self.value:.{self.digits}g}{unit} (limit {limit})"


def report(lines: Sequence[Line]) -> int:
    """Print lines, the worst last, and return the exit status: 1 where a limit is broken."""
    for line in sorted(lines, key=lambda item: item.strain):
        print(line)
    return int(any(line.strain > 1.0 for line in lines))


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Run a program and exit: 1 where a limit is broken, 2 with a message where data are unusable.

    Parameters
    ----------
    main : callable
        Takes the command line's arguments, returns the exit status.
    """
    try:
        sys.exit(main(sys.argv[1:]))
    except (KitestringError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
