import pytest

from kitestring.errors import ConfigurationError, FormatError, MissingDataError
from kitestring.session.file import read_session
from kitestring.session.ledger import Event, Ledger, digest

MINIMAL = """
name = "test"
[[scan]]
name = "s1"
source = "1741-038"
start = "2026-01-01T00:00:00"
duration = 4
[setup]
default = [{name = "CH0", sky_frequency = 8.4e9, sample_rate = 8e6}]
[[recording]]
station = "Km"
scan = "s1"
files = ["a.vdif"]
"""


def write(tmp_path, text):
    path = tmp_path / "session.toml"
    path.write_text(text)
    return path


def test_a_session_is_read(tmp_path):
    session = read_session(write(tmp_path, MINIMAL))
    start, stop = session.scan[0].span
    assert stop.since(start) == 4.0
    assert session.setup["default"][0].channel().direction == 1
    assert read_session(tmp_path) == session


def test_an_unknown_key_is_named_with_its_nearest(tmp_path):
    path = write(tmp_path, MINIMAL.replace("duration", "durration"))
    with pytest.raises(ConfigurationError, match=r"scan.0.durration.*did you mean 'duration'"):
        read_session(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("duration = 4", "duration = -4", "greater than 0"),
        ('scan = "s1"', 'scan = "s2"', "s2"),
        ("name =", "name = = 3 #", "not TOML"),
        ('source = "1741-038"', 'source = "1741-038"\nspin = 3', "spin"),
        ("8.4e9", "nan", "sky_frequency"),
        ("duration = 4", "duration = inf", "duration"),
        ('name = "CH0"', 'name = "CH0", polarization = "RCP"', "polarization"),
        ('[{name = "CH0", sky_frequency = 8.4e9, sample_rate = 8e6}]', "[]", "setup"),
    ],
)
def test_bad_values_are_named(tmp_path, old, new, message):
    with pytest.raises(ConfigurationError, match=message) as problem:
        read_session(write(tmp_path, MINIMAL.replace(old, new)))
    assert "session.toml" in str(problem.value)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(MissingDataError, match="docs/guides"):
        read_session(tmp_path)


def test_the_ledger_knows_what_is_done(tmp_path):
    ledger = Ledger(tmp_path)
    inputs = digest([1, "a"])
    assert not ledger.is_done("correlate", inputs)
    (tmp_path / "out").write_text("x")
    ledger.append(Event("correlate", "started", inputs))
    assert not ledger.is_done("correlate", inputs)
    ledger.append(Event("correlate", "finished", inputs, outputs=["out"]))
    assert ledger.is_done("correlate", inputs)
    assert not ledger.is_done("correlate", digest([2, "a"]))
    (tmp_path / "out").unlink()
    assert not ledger.is_done("correlate", inputs)


def test_a_line_cut_by_a_crash_does_no_harm_but_damage_is_named(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.append(Event("a", "finished"))
    with ledger.path.open("a") as file:
        file.write('{"stage": "b", "ev')
    assert [e.stage for e in ledger.events()] == ["a"]
    ledger.append(Event("c", "finished"))
    assert [e.stage for e in ledger.events()] == ["a", "c"]
    text = ledger.path.read_text()
    ledger.path.write_text("nonsense\n" + text)
    with pytest.raises(FormatError, match=r"ledger.jsonl:1"):
        ledger.events()


def test_two_clocks_of_one_station_contradict_each_other(tmp_path):
    clock = '[[clock]]\nstation = "Km"\nepoch = "2026-01-01"\n'
    with pytest.raises(ConfigurationError, match="same station"):
        read_session(write(tmp_path, MINIMAL + clock + clock.replace("Km", "KM")))
