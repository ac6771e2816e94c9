"""Links, tests and files that the documentation names are there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
]
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def slug(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        assert place.exists(), f"{page}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.M)
            assert anchor in [slug(h) for h in headings], f"{page}: {target}"


def test_named_tests_exist():
    named = 0
    for page in PAGES:
        for file, name in TEST.findall(page.read_text(encoding="utf-8")):
            path = ROOT / file
            assert path.is_file(), f"{page}: {file}"
            if name:
                source = path.read_text(encoding="utf-8")
                assert re.search(rf"^ *def {name}\(", source, re.M), f"{page}: {file}::{name}"
                named += 1
    assert named > 50


def test_every_convention_names_a_test():
    """A section of conventions.md without a test is a promise that nothing keeps."""
    text = (ROOT / "docs" / "concepts" / "conventions.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        title = section.splitlines()[0]
        if title != "Words":
            assert TEST.search(section), title


def test_every_page_can_be_reached_from_the_index():
    index = ROOT / "docs" / "index.md"
    linked = re.findall(r"\]\(([^)#\s]+\.md)", index.read_text(encoding="utf-8"))
    reached = {(index.parent / name).resolve() for name in linked}
    assert set((ROOT / "docs").rglob("*.md")) - {index} <= reached


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "docs" / "concepts" / "libraries.md").read_text(encoding="utf-8")
    for wanted in project["dependencies"]:
        name = re.split(r"[<>=~ \[]", wanted)[0]
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text), name


def test_every_package_is_in_the_layout():
    text = (ROOT / "docs" / "concepts" / "architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "src" / "kitestring").iterdir():
        if (path / "__init__.py").exists():
            assert f"`{path.name}`" in text, path.name


def test_every_stage_and_its_products_are_told():
    from kitestring.session.stages import STAGES

    text = (ROOT / "docs" / "concepts" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("## A session directory")[2]
    for stage in STAGES:
        assert f"| `{stage.name}` |" in table, stage.name
