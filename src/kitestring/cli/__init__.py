"""The command line: parse, call, print."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; errors that Kitestring raises end with exit code 2."""
    from rich.console import Console

    from kitestring.cli.app import app
    from kitestring.errors import KitestringError

    try:
        app()
    except KitestringError as problem:
        console = Console(stderr=True, highlight=False)
        console.print("error: ", style="bold red", end="")
        console.print(str(problem), markup=False, soft_wrap=True)
        sys.exit(2)
