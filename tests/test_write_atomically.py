"""Files appear whole or not at all."""

import stat

import pytest

from kitestring._write import write_atomically


def test_text_and_newlines_are_kept_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "x.txt"
    write_atomically(path, "old")
    write_atomically(path, "é\r\nnew\n")
    assert path.read_bytes() == "é\r\nnew\n".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "x", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "x")}
    assert len(modes) == 1


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.txt"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "absent" / "x.txt", "")
