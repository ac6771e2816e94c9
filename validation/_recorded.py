"""A simulated scan, for programs that correlate it again and again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kitestring.correlate.plan import Plan
from kitestring.session.correlate_stage import scan_plan
from kitestring.session.file import read_session
from kitestring.session.run import Context
from kitestring.session.setting import Setting
from kitestring.session.simulation import simulate_session

Files = dict[str, bytes]
SAMPLE_RATE = 8e6
_START = """
name = "One scan"

[correlate]
bins = {bins}
integration = {integration}

[setup]
default = [
  {{ name = "CH0", sky_frequency = 8410e6, sample_rate = {rate} }},
  {{ name = "CH1", sky_frequency = 8418e6, sample_rate = {rate}, sideband = "lower" }},
]

[[scan]]
name = "No0001"
source = "0748+126"
start = "2026-01-01T16:30:00"
duration = {seconds}

[truth]
seed = 1
"""
_STATION = """
[[truth.station]]
name = "{name}"
sefd = 100.0
"""
_FAULT = """
[[truth.fault]]
lost = 0.02
"""


def record(
    folder: Path, stations: Sequence[str], seconds: float, *, bins: int, integration: float
) -> Plan:
    """Simulate a scan of two channels, 2 % of its frames lost; return how it is correlated."""
    text = _START.format(bins=bins, integration=integration, rate=SAMPLE_RATE, seconds=seconds)
    text += "".join(_STATION.format(name=name) for name in stations) + _FAULT
    scenario, session = folder / "scenario.toml", folder / "session"
    scenario.write_text(text, encoding="utf-8")
    simulate_session(scenario, session)
    setting = Setting(Context(session, read_session(session)))
    return scan_plan(setting, setting.session.scan[0])


def contents(folder: Path) -> Files:
    """Return the bytes of all files in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def differing(one: Files, other: Files) -> int:
    """Return how many files are not the same in both, or in one alone."""
    return sum(one.get(name) != other.get(name) for name in one.keys() | other.keys())
