"""Write docs/reference/cli.md and docs/reference/api.md from what the code itself says.

python tools/make_cli_reference.py          write both
python tools/make_cli_reference.py --check  exit 1 where one is out of date
"""

from __future__ import annotations

import enum
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

import typer

import kitestring
from kitestring.cli.app import app

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
CLI, API = REFERENCE / "cli.md", REFERENCE / "api.md"

_NOTE = "<!-- Written by tools/make_cli_reference.py: change the code, then run it. -->"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default() if callable(parameter.default) else parameter.default
    if value is None or value == () or value is False or "UNSET" in repr(value):
        return "-"
    return f"`{value.value if isinstance(value, enum.Enum) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _command(path: str, command: Any) -> list[str]:
    lines = [f"## `{path}`", "", _cell(command.help or ""), ""]
    usage = [path]
    rows = []
    for parameter in command.params:
        told = _cell(getattr(parameter, "help", None) or "")
        if parameter.param_type_name == "argument":
            name = (parameter.name or "").upper()
            shown = f"{name}..." if parameter.nargs != 1 else name
            usage.append(shown if parameter.required else f"[{shown}]")
        else:
            shown = ", ".join(parameter.opts)
            word = max(parameter.opts, key=len).lstrip("-").upper()
            if not getattr(parameter, "is_flag", False):
                shown += f" {word}"
            if parameter.required:
                usage.append(f"{parameter.opts[0]} {word}")
        rows.append(f"| `{shown}` | {_default(parameter)} | {told} |")
    usage.append("[OPTIONS]")
    lines += ["```", " ".join(usage), "```", ""]
    rows.append("| `--help` | - | Show this message and exit. |")
    return [*lines, "| argument or option | default | what |", "|---|---|---|", *rows, ""]


def _walk(path: str, command: Any) -> list[str]:
    commands = getattr(command, "commands", None)
    if not commands:
        return _command(path, command)
    lines: list[str] = []
    if " " not in path:
        lines += _command(path, command)
    for name in sorted(commands):
        lines += _walk(f"{path} {name}", commands[name])
    return lines


def cli_reference() -> str:
    """Return docs/reference/cli.md."""
    lines = [
        "# Command line",
        "",
        _NOTE,
        "",
        "Data go to stdout, progress and notes to stderr. Exit codes: 0 all is well; 1 a check "
        "failed (`demo`); 2 an error, which says what to do next; 130 interrupted, what was "
        "finished is kept.",
        "",
    ]
    lines += _walk("kitestring", typer.main.get_command(app))
    return "\n".join(lines).rstrip() + "\n"


def _summary(value: object) -> str:
    text = inspect.getdoc(value) or ""
    return _cell(text.split("\n\n")[0])


def _signature(value: object) -> str:
    try:
        names = list(inspect.signature(value).parameters)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    return f"({', '.join(names)})"


def api_reference() -> str:
    """Return docs/reference/api.md."""
    lines = [
        "# Python interface",
        "",
        _NOTE,
        "",
        "What `import kitestring` offers. Each name is loaded on its first use. Shapes, units, "
        "signs and errors stand in the docstrings: `help(kitestring.describe)`. Every command is "
        "one call of these or of a module's own functions.",
        "",
        "| name | where it lives | what it is |",
        "|---|---|---|",
    ]
    for name in sorted(kitestring.__all__, key=str.lower):
        if name == "__version__":
            lines.append("| `kitestring.__version__` | `kitestring` | Version of the package. |")
            continue
        value = getattr(kitestring, name)
        home = importlib.import_module(value.__module__).__name__
        shown = f"`kitestring.{name}{_signature(value) if inspect.isfunction(value) else ''}`"
        lines.append(f"| {shown} | `{home}` | {_summary(value)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write both files, or tell whether they are up to date."""
    stale = 0
    for path, text in ((CLI, cli_reference()), (API, api_reference())):
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                print(f"{path} is out of date: run python tools/make_cli_reference.py")
                stale = 1
        else:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path}")
    return stale


if __name__ == "__main__":
    sys.exit(main())
