"""Files appear whole or not at all."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from kitestring._write import replacing, write_atomically


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


def test_threads_do_not_write_into_one_temporary_file(tmp_path):
    path = tmp_path / "x.txt"

    def write(letter):
        with replacing(path) as temporary:
            temporary.write_text(letter)
            return temporary

    with ThreadPoolExecutor(1) as other, replacing(path) as mine:
        mine.write_text("whole")
        assert other.submit(write, "theirs").result() != mine
        assert path.read_text() == "theirs"
    assert path.read_text() == "whole"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]
