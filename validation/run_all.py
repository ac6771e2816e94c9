"""Run every validation program on a directory of real data and write docs/validation.md.

    python validation/run_all.py DATA [--output FILE]

Programs whose data are not in DATA are passed over, and the table says so. Exits
1 when a program fails or a limit is broken.
"""

from __future__ import annotations

import argparse
import ast
import datetime as dt
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kitestring import __version__

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "docs" / "validation.md"
INSIGHT = "insight/nsyt_maro_2018_331_2020_366.tdm"

# What each program is given; a name with a slash lies in the data directory. Programs that are
# not listed need no data.
ARGUMENTS: dict[str, Sequence[str]] = {
    "vgos_voltages": ("/vgos-voltages",),
    "recordings": ("/vgos-voltages",),
    "delay_vs_calc11": (
        "/ivs-r41102",
        "--tides-from-file",
        "--ocean-loading",
        "/catalogs/TPXO.7.2.ocean_loading_cmc_off.gz",
    ),
    "session_geometry": ("/ivs-r41102",),
    "ionosphere": ("/ivs-r41102",),
    "two_way_doppler": (f"/{INSIGHT}",),
    "vlbi_rate": ("/insight/ED045C", "--tdm", f"/{INSIGHT}", "--stations", "Ef", "Ys"),
    "tianwen1_arc": ("/tianwen1/tm_20200801.txt",),
}

_LINE = re.compile(r"(?P<name>.+?) = (?P<value>\S+)(?: (?P<unit>.+))? \(limit (?P<limit>.+)\)$")


@dataclass(frozen=True)
class Result:
    """What one program printed.

    Attributes
    ----------
    name, purpose : str
        Of the program.
    lines : tuple of str
        As printed; none where its data are absent.
    missing : tuple of str
        Data that were not there, relative to the data directory.
    status : int
        Exit status.
    seconds : float
        How long it took.
    """

    name: str
    purpose: str
    lines: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    status: int = 0
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """One word on how it went."""
        if self.missing:
            return "not run"
        return "passed" if self.status == 0 else "failed"


def purpose_of(program: Path) -> str:
    """Return the first line of a program's docstring."""
    text = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def run(program: Path, data: Path, arguments: Sequence[str]) -> Result:
    """Run one program, print what it prints, and keep it."""
    purpose = purpose_of(program)
    missing = tuple(a[1:] for a in arguments if a.startswith("/") and not (data / a[1:]).exists())
    if missing:
        print(f"not run: {', '.join(missing)} absent", flush=True)
        return Result(program.stem, purpose, missing=missing)
    given = [str(data / a[1:]) if a.startswith("/") else a for a in arguments]
    begun = time.monotonic()
    lines = []
    with subprocess.Popen(
        [sys.executable, str(program), *given],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None  # asked for
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip().replace(str(data), "DATA"))
    seconds = time.monotonic() - begun
    return Result(program.stem, purpose, tuple(lines), (), process.returncode, seconds)


def processor() -> str:
    """Return the kind of processor, its widest vectors, and how many there are."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*:.*$", text, re.MULTILINE)
    simd = next((n for n in ("avx512f", "avx2") if flags and n in flags[0].split()), "")
    parts = [found[1] if found else platform.machine(), simd, f"{os.cpu_count()} processors"]
    return ", ".join(part for part in parts if part)


def table(results: Sequence[Result]) -> str:
    """Return docs/validation.md."""
    parts = [
        "# Validation",
        "Written by `make validation DATA=...` from what the programs in `validation/` printed; "
        "each compares with data or results of others, and what it compares with and why is told "
        "at its head.",
        f"Kitestring {__version__}, {dt.datetime.now(dt.UTC).date()}, Python "
        f"{platform.python_version()}, {processor()}.",
    ]
    for result in results:
        parts.append(f"## {result.name}: {result.verdict}\n\n{result.purpose}")
        if result.missing:
            parts.append(f"Its data were not there: {', '.join(result.missing)}.")
            continue
        notes = [line.removeprefix("#").strip() for line in result.lines if line.startswith("#")]
        rows = [found for line in result.lines if (found := _LINE.match(line))]
        if result.status not in (0, 1) or not rows:
            parts.append(f"It ended with status {result.status}.")
        if rows:
            cells = ["| what | value | unit | limit |", "|---|---|---|---|"]
            cells += [
                f"| {_cell(r['name'])} | {r['value']} | {_cell(r['unit'] or '')} | {r['limit']} |"
                for r in rows
            ]
            parts.append("\n".join(cells))
        parts += ["  \n".join(notes)] if notes else []
        parts.append(f"{result.seconds:.0f} s.")
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def run_programs(
    programs: Sequence[Path], data: Path, arguments: Mapping[str, Sequence[str]]
) -> list[Result]:
    """Run programs one after the other."""
    results = []
    for program in programs:
        print(f"== {program.stem}", flush=True)
        results.append(run(program, data, arguments.get(program.stem, ())))
        print(f"== {program.stem}: {results[-1].verdict}, {results[-1].seconds:.0f} s", flush=True)
    return results


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="directory of real data")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        print(f"{options.data} is no directory of data.", file=sys.stderr)
        return 2
    own = Path(__file__).stem
    programs = [p for p in sorted(HERE.glob("*.py")) if p.stem != own and p.stem[0] != "_"]
    results = run_programs(programs, options.data, ARGUMENTS)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(table(results), encoding="utf-8")
    print(f"{options.output.name} written")
    return int(any(r.verdict == "failed" for r in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
