"""The command line: parse, call, print."""

from __future__ import annotations

import sys
import warnings
from typing import Any


def main() -> None:
    """Run the command line; errors that Kitestring raises end with exit code 2."""
    from kitestring.cli._show import say
    from kitestring.cli.app import app
    from kitestring.errors import KitestringError, KitestringWarning

    usual = warnings.showwarning

    def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, KitestringWarning):
            say("warning", str(message), "yellow")
        else:
            usual(message, category, *place, **more)

    warnings.showwarning = show
    try:
        app()
    except KitestringError as problem:
        say("error", str(problem), "bold red")
        sys.exit(2)
    except OSError as problem:
        what = f"{problem.filename or 'a file'}: {problem.strerror or problem}."
        say("error", f"{what} Make its directory writable, or free some space.", "bold red")
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted", "what was finished is kept; run the same command to go on.", "yellow")
        sys.exit(130)
