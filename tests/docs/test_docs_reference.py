"""The reference pages hold everything that the code offers."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import kitestring
from kitestring.session import file as session_file

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
TOOL = ROOT / "tools" / "make_cli_reference.py"


@pytest.fixture(scope="module")
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("make_cli_reference", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- commands and names ------------------------------------------------------------------


def test_the_command_line_is_told_as_it_is(tool):
    assert tool.CLI.read_text(encoding="utf-8") == tool.cli_reference(), tool.__doc__


def test_the_python_interface_is_told_as_it_is(tool):
    assert tool.API.read_text(encoding="utf-8") == tool.api_reference(), tool.__doc__


def test_every_command_and_option_of_help_is_told():
    """Told apart from the tool: from what --help prints."""
    from typer.testing import CliRunner

    from kitestring.cli.app import app

    text = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `(kitestring[^`]*)`\n(.*?)(?=^## |\Z)", text, re.M | re.S))

    def printed(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        assert done.exit_code == 0
        return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)

    def commands(help_text: str) -> list[str]:
        box = help_text.partition("Commands")[2]
        return re.findall(r"^[│| ] ?(\w[\w-]*) {2,}", box, re.M)

    seen = 0
    groups = {"session"}
    names = [[name] for name in commands(printed())]
    assert ["demo"] in names
    for words in names:
        if words[0] in groups:
            names += [[*words, inner] for inner in commands(printed(*words))]
            continue
        section = sections[f"kitestring {' '.join(words)}"]
        for option in re.findall(r"(?<![\w-])(--?[a-z][\w-]*)", printed(*words).partition("─")[2]):
            assert option in section, (words, option)
            seen += 1
    assert seen > 15


def test_every_public_name_is_told():
    text = (REFERENCE / "api.md").read_text(encoding="utf-8")
    for name in kitestring.__all__:
        assert f"`kitestring.{name}" in text, name


# -- the session file --------------------------------------------------------------------

# where docs/reference/session-file.md tells the keys of each section
HEADINGS = {
    "Session": "## Top level",
    "SpacecraftSection": '## `[target]`, kind "spacecraft"',
    "LanderSection": '## `[target]`, kind "lander"',
    "PlaceSection": "### `[[target.reference]]`",
    "SourceSection": "## `[[source]]`",
    "ChannelSection": "## `[setup]`",
    "ScanSection": "## `[[scan]]`",
    "RecordingSection": "## `[[recording]]`",
    "ClockSection": "## `[[clock]]`",
    "JumpSection": "### `[[clock.jump]]`",
    "EarthSection": "## `[earth]`",
    "TroposphereSection": "## `[troposphere]`",
    "WeatherSection": "### `[[troposphere.weather]]`",
    "IonosphereSection": "## `[ionosphere]`",
    "SolarPlasmaSection": "## `[solar_plasma]`",
    "AntennaSection": "## `[antenna]`",
    "CorrelateSection": "## `[correlate]`",
    "ZoomSection": "### `[[correlate.zoom]]`",
    "PhaseCalSection": "## `[phase_cal]`",
    "ToneSection": "## `[tones]`",
    "TrackingSection": "## `[[tracking]]`",
    "EstimateSection": "## `[estimate]`",
}
SECTIONS = {
    name: kind
    for name, kind in vars(session_file).items()
    if isinstance(kind, type)
    and issubclass(kind, BaseModel)
    and kind.__module__ == session_file.__name__
    and not name.startswith("_")
}


def shown_default(field: Any) -> str:
    """Return a default as the page writes it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value!r}`"


def test_every_section_of_a_session_has_its_place():
    assert set(SECTIONS) == set(HEADINGS)


@pytest.mark.parametrize("name", sorted(HEADINGS))
def test_every_key_of_a_session_is_told_with_its_default(name):
    text = (REFERENCE / "session-file.md").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n{HEADINGS[name]}\n")
    assert found, HEADINGS[name]
    section = re.split(r"^##+ ", rest, maxsplit=1, flags=re.M)[0]
    rows = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 4 and cells[0].startswith("| `"):
            cells[0] = cells[0].removeprefix("| ")
        if len(cells) == 4 and re.fullmatch(r"`\w+`", cells[0]):
            rows[cells[0].strip("`")] = cells[2]
    fields = SECTIONS[name].model_fields
    assert set(rows) == set(fields)
    for key, field in fields.items():
        assert rows[key] == shown_default(field), key


def test_the_minimal_session_is_one(tmp_path):
    text = (REFERENCE / "session-file.md").read_text(encoding="utf-8")
    example = re.findall(r"```toml\n(.*?)```", text, re.S)[0]
    (tmp_path / "session.toml").write_text(example)
    session = session_file.read_session(tmp_path)
    assert session.target is not None
    assert session.tracking[0].sigma == 3e-3


def test_every_key_of_a_station_is_told(tmp_path):
    from kitestring.model import station_file

    text = (REFERENCE / "session-file.md").read_text(encoding="utf-8")
    section = text.partition("## A file of stations")[2]
    for key in station_file._KEYS:
        assert re.search(rf"^\|[^|]*`{key}`", section, re.M), key
    (tmp_path / "mine.toml").write_text(re.findall(r"```toml[^\n]*\n(.*?)```", section, re.S)[0])
    (garden,) = station_file.load_stations(tmp_path / "mine.toml")
    assert garden.name == "GARDEN"
    # defaults that the table states
    assert (garden.epoch.iso(0), garden.frame, garden.sigma) == (
        "2010-01-01T00:00:00",
        "ITRF2014",
        0.5,
    )
