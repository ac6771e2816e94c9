"""Every guide is run as it is written: its files made, its commands run, its output compared.

In a block ``console`` lines that begin with ``$`` are commands; what follows is a
part of what they print. ``...`` stands for anything, alone on a line for any lines.
Numbers may differ a little: by 2 % or two units of the last digit that is shown.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
NEEDS_DATA = {"insight.md", "vgos.md"}
DEMO = "kitestring demo --small"
LONGEST = 900  # s; each takes under a minute on a machine that does nothing else
CLOSE = 0.02
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """A file to write (`text`) or a command to run (`text`, with the output that is shown)."""

    kind: str
    text: str
    shown: list[str]


def steps(guide: str) -> list[Step]:
    found: list[Step] = []
    for language, title, body in BLOCK.findall(guide):
        if title:
            found.append(Step(title, body, []))
        elif language == "console":
            for line in body.splitlines():
                if line.startswith("$ "):
                    found.append(Step("run", line[2:], []))
                else:
                    found[-1].shown.append(line)
    return found


def same_line(shown: str, printed: str) -> bool:
    """Tell whether a printed line is the one that is shown, but for small changes of numbers."""
    shown, printed = " ".join(shown.split()), " ".join(printed.split())
    parts = re.split(r"(\.\.\.|(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]))", shown)
    pattern, numbers = "", []
    for part in parts:
        if part == "...":
            pattern += ".*"
        elif NUMBER.fullmatch(part):
            numbers.append(part)
            pattern += f"({NUMBER.pattern})"
        else:
            pattern += re.escape(part)
    match = re.fullmatch(pattern, printed)
    return match is not None and all(
        close(a, b) for a, b in zip(numbers, match.groups(), strict=True)
    )


def close(shown: str, printed: str) -> bool:
    last = 10.0 ** -len(shown.partition(".")[2]) if "e" not in shown.lower() else 0.0
    if "." not in shown:
        last = 0.0  # a count
    return abs(float(printed) - float(shown)) <= max(2 * last, CLOSE * abs(float(shown)))


def missing(shown: list[str], printed: str) -> list[str]:
    """Return the shown lines that are not printed, each after the one before."""
    lines, at, absent = printed.splitlines(), 0, []
    for wanted in shown:
        if not wanted.strip() or wanted.strip() == "...":
            continue
        found = next((k for k in range(at, len(lines)) if same_line(wanted, lines[k])), None)
        if found is None:
            absent.append(wanted)
        else:
            at = found + 1
    return absent


@pytest.mark.parametrize("guide", sorted(path.name for path in GUIDES.glob("*.md")))
def test_guide_runs_as_written(guide, tmp_path, request, commands):
    if guide in NEEDS_DATA:
        request.getfixturevalue("data_dir")
    data = os.environ.get("KITESTRING_DATA", "")
    environment = commands | {"KITESTRING_DATA": str(Path(data).resolve()) if data else ""}
    for step in steps((GUIDES / guide).read_text(encoding="utf-8")):
        if step.kind != "run":
            (tmp_path / step.kind).write_text(step.text, encoding="utf-8")
            continue
        if step.text == DEMO:  # run once for all tests
            demo = request.getfixturevalue("demo")
            demo.copy(tmp_path / demo.directory.name)
            assert not missing(step.shown, demo.printed), demo.printed
            continue
        done = subprocess.run(
            step.text, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=LONGEST, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {step.text}\n{done.stdout}\n{done.stderr[-3000:]}"
        absent = missing(step.shown, done.stdout)
        assert not absent, f"$ {step.text}\nnot printed: {absent}\nbut: {done.stdout}"


def test_the_output_in_the_readme_is_what_the_guide_shows():
    """README shows the whole of what the first guide's first command prints, in words alike."""
    (command,) = steps((GUIDES.parents[1] / "README.md").read_text(encoding="utf-8"))
    first = steps((GUIDES / "demo.md").read_text(encoding="utf-8"))[0]
    assert command.text == first.text
    assert not missing(first.shown, "\n".join(command.shown))


def test_there_is_something_to_run():
    for guide in GUIDES.glob("*.md"):
        found = steps(guide.read_text(encoding="utf-8"))
        assert any(s.kind == "run" and s.text.startswith("kitestring ") for s in found), guide


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("sigma 78.1 ps", "sigma  78.3 ps", True),
        ("sigma 78.1 ps", "sigma 99.1 ps", False),
        ("rows 9, ...", "rows 9, median", True),
        ("rows 9, ...", "rows 8, median", False),
        ("Chi 1.0...", "Chi 1.0495", True),
        ("Chi 1.0...", "Chi 1.1", False),
        ("a 2-bit file", "a 2-bit file", True),
        ("east", "west", False),
    ],
)
def test_lines_are_compared_by_words_and_numbers(shown, printed, same):
    assert same_line(shown, printed) is same
