"""TOML that people write is read, or refused with a next step; what is written comes back."""

import datetime as dt
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring._toml import read_toml
from kitestring.errors import ConfigurationError, MissingDataError
from kitestring.session._toml import to_toml

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    texts,
    st.dates(),
    st.times(),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(texts, values, max_size=4))
def test_what_is_written_is_read_back(table):
    assert tomllib.loads(to_toml(table)) == table


@pytest.mark.parametrize(
    "data", [b"= 3", b"\xff\xfea", b"a = 1\na = 2", b"a = " + 100000 * b"["], ids=range(4)
)
def test_what_cannot_be_read(tmp_path, data):
    file = tmp_path / "a.toml"
    file.write_bytes(data)
    with pytest.raises(ConfigurationError) as told:
        read_toml(file, "session file", "Make one.")
    assert told.value.place == str(file)
    assert told.value.next_step


def test_files_that_are_none(tmp_path):
    with pytest.raises(ConfigurationError, match="directory"):
        read_toml(tmp_path, "session file", "Make one.")
    with pytest.raises(MissingDataError, match=r"no session file\. Make one"):
        read_toml(tmp_path / "x", "session file", "Make one.")


def test_the_mark_of_windows_editors_is_no_content(tmp_path):
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_toml(file, "session file", "")[1] == {"a": 1}
