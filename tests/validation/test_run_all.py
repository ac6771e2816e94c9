"""The table of validation results, made from programs written here."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "validation"

GOOD = '''"""Say something good.

More.
"""
import sys
print("# read from", sys.argv[1], "as", sys.argv[2])
print("rms of a thing = 0.5 ps (limit 25)")
print("correlation | of it = 0.9999 (limit >= 0.999)")
'''
BROKEN = '"""Fail."""\nprint("rms = 30 m (limit 7)")\nraise SystemExit(1)\n'
CRASH = '"""Stop."""\nraise SystemExit(3)\n'


@pytest.fixture
def run_all(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("run_all")


@pytest.fixture
def lines(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("_lines")


def test_the_table_holds_what_was_printed(run_all, tmp_path, capsys):
    data = tmp_path / "data"
    (data / "there").mkdir(parents=True)
    programs = []
    for name, text in {"good": GOOD, "broken": BROKEN, "crash": CRASH, "absent": GOOD}.items():
        programs.append(tmp_path / f"{name}.py")
        programs[-1].write_text(text)
    arguments = {"good": ("/there", "--fast"), "absent": ("/nowhere/file.tdm",)}
    results = run_all.run_programs(programs, data, arguments)
    assert [r.verdict for r in results] == ["passed", "failed", "failed", "not run"]
    text = run_all.table(results)
    assert "| rms of a thing | 0.5 | ps | 25 |" in text
    assert "| correlation \\| of it | 0.9999 |  | >= 0.999 |" in text
    assert "read from DATA/there as --fast" in text
    assert str(tmp_path) not in text  # no path of this machine
    assert "It ended with status 3." in text
    assert "Its data were not there: nowhere/file.tdm." in text
    assert "## good: passed\n\nSay something good." in text
    assert "rms = 30 m (limit 7)" in capsys.readouterr().out  # shown as it goes


def test_every_program_that_has_data_is_known_to_it(run_all):
    known = ("vgos_voltages", "delay_vs_calc11", "tianwen1_arc", "session_geometry", "ionosphere")
    for name in (*known, "two_way_doppler", "vlbi_rate"):
        assert (FOLDER / f"{name}.py").is_file()
        assert name in run_all.ARGUMENTS


def test_lines_are_ordered_by_how_near_their_limit_is(lines, capsys):
    rows = [
        lines.Line("far", 1.0, "m", 10.0),
        lines.Line("near", -9.0, "m", 10.0),
        lines.Line("close to one", 0.9999999, "", 0.999, least=True, digits=8),
        lines.Line("enough", 46, "of 64", 45, least=True),
        lines.Line("nothing promised", 3e9, "s"),
    ]
    assert lines.report(rows) == 0
    assert capsys.readouterr().out.splitlines() == [
        "nothing promised = 3e+09 s (limit none)",
        "close to one = 0.9999999 (limit >= 0.999)",
        "far = 1 m (limit 10)",
        "near = -9 m (limit 10)",
        "enough = 46 of 64 (limit >= 45)",
    ]


@pytest.mark.parametrize(
    ("value", "limit", "least"),
    [
        (11.0, 10.0, False),
        (-11.0, 10.0, False),
        (float("nan"), 10.0, False),
        (0.99, 0.999, True),
        (-1.0, 0.999, True),
        (44, 45, True),
        (0.0, 45, True),
    ],
)
def test_a_broken_limit_fails(lines, value, limit, least):
    assert lines.report([lines.Line("it", value, "m", limit, least=least)]) == 1


@pytest.mark.parametrize(
    "name",
    ["delay_vs_calc11", "session_geometry", "ionosphere", "two_way_doppler", "vlbi_rate"],
)
@pytest.mark.parametrize("kind", ["missing", "empty folder", "file"])
def test_data_that_are_none_end_with_a_message(lines, monkeypatch, tmp_path, capsys, name, kind):
    path = tmp_path / "data"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("hello\n")
    monkeypatch.setattr("sys.argv", [f"{name}.py", str(path)])
    with pytest.raises(SystemExit) as ended:
        lines.run(importlib.import_module(name).main)
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert str(path) in told.err


def test_a_programs_status_is_what_it_ends_with(lines, monkeypatch):
    monkeypatch.setattr("sys.argv", ["it.py", "a", "b"])
    for status in (0, 1):
        with pytest.raises(SystemExit) as ended:
            lines.run(lambda arguments, status=status: status if arguments == ["a", "b"] else 9)
        assert ended.value.code == status
