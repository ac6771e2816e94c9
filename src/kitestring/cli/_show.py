"""What commands share: data to stdout, progress and notes to stderr."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from kitestring.errors import ConfigurationError
from kitestring.session.run import Progress as Tell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 140  # columns where nobody looks at a terminal
PAUSE = 30.0  # s between lines of progress there
out = Console(highlight=False)
if not out.is_terminal:
    out = Console(highlight=False, width=WIDE)
err = Console(stderr=True, highlight=False)


def say(what: str, text: str, style: str) -> None:
    """Print a message to stderr; nothing in its text is taken for markup."""
    err.print(f"{what}: ", style=style, end="")
    err.print(text, markup=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[Tell]:
    """Show what is going on as a bar, or as lines where nobody looks at a terminal."""
    if not err.is_terminal:
        yield _Lines()
        return
    bar = Progress(
        TextColumn("{task.description:28}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        console=err,
    )
    with bar:
        tasks: dict[str, Any] = {}

        def tell(what: str, fraction: float) -> None:
            stage = what.split(" ", 1)[0]
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=1.0)
            bar.update(tasks[stage], completed=fraction, description=what)

        yield tell


class _Lines:
    """Tell each stage when it begins, when it is done, and now and then between."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}
        self.done: set[str] = set()
        self.told = time.perf_counter()

    def __call__(self, what: str, fraction: float) -> None:
        stage = what.split(" ", 1)[0]
        if stage not in self.begun:
            self.begun[stage] = self.told = time.perf_counter()
            err.print(f"{stage} ...")
        elif fraction >= 1.0 and stage not in self.done:
            self.done.add(stage)
            err.print(f"{stage}: {time.perf_counter() - self.begun[stage]:.1f} s")
        elif fraction < 1.0 and time.perf_counter() - self.told > PAUSE:
            self.told = time.perf_counter()
            err.print(f"{fraction:4.0%} {what}", markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print plain values as JSON to stdout."""
    print(json.dumps(value, indent=1, default=str))


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table for a terminal."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in header:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def told(summary: Mapping[str, Any]) -> str:
    """Return a stage's figures as one line."""
    return ", ".join(f"{name} {value}" for name, value in summary.items())


def draw(figure: Figure, path: Path) -> None:
    """Write a picture in the format that its name ends with, and tell so.

    Raises
    ------
    ConfigurationError
        For a format that is not known, or a place where nothing can be written.
    """
    try:
        figure.savefig(path, dpi=120)
    except (ValueError, OSError) as problem:
        raise ConfigurationError(
            f"the picture cannot be written ({problem}).",
            place=str(path),
            next_step="Name a file that ends with .png, .pdf or .svg in a directory that exists.",
        ) from None
    err.print(f"drawn: {path}", markup=False, soft_wrap=True)
