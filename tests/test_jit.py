"""The cache of kernels: a change of a callee is seen, an unwritable cache folder does no harm."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import kitestring
from kitestring import _jit

INNER = """
from kitestring._jit import kernel
from kitestring.constants import OFFSET

@kernel()
def inner(x):
    return {factor} * x + OFFSET
"""
OUTER = """
from kitestring._jit import kernel
from kitestring.inner import inner

@kernel()
def outer(x):
    return inner(x) + 1.0
"""
RUN = "from kitestring.outer import outer; print(outer(10.0), sum(outer.stats.cache_hits.values()))"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two kernels, one calling the other in another file, with the real `_jit`."""
    folder = tmp_path / "kitestring"
    folder.mkdir()
    (folder / "__init__.py").touch()
    shutil.copy(_jit.__file__, folder)
    (folder / "constants.py").write_text("OFFSET = 0.0\n")
    (folder / "inner.py").write_text(INNER.format(factor=2.0))
    (folder / "outer.py").write_text(OUTER)
    return folder


def run(package: Path, cache: Path) -> tuple[float, int]:
    """Return what a fresh process computes, and how often the cache served it."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(package.parent),
        "KITESTRING_CACHE_DIR": str(cache),
        "PYTHONDONTWRITEBYTECODE": "1",  # a change within a second would go unseen
    }
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result, hits = done.stdout.split()
    return float(result), int(hits)


def test_a_changed_callee_in_another_file_is_seen(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert run(package, cache) == (21.0, 0)
    assert run(package, cache) == (21.0, 1)
    (package / "inner.py").write_text(INNER.format(factor=3.0))
    assert run(package, cache) == (31.0, 0)


def test_a_changed_constant_of_another_file_is_seen(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert run(package, cache) == (21.0, 0)
    (package / "constants.py").write_text("OFFSET = 5.0\n")
    assert run(package, cache) == (26.0, 0)


def test_an_unwritable_cache_folder_does_no_harm(package: Path, tmp_path: Path) -> None:
    """Nor does the cache then land beside the sources, where the changed callee goes unseen."""
    blocked = tmp_path / "file"
    blocked.touch()
    assert run(package, blocked / "cache") == (21.0, 0)
    (package / "inner.py").write_text(INNER.format(factor=3.0))
    assert run(package, blocked / "cache") == (31.0, 0)
    assert not list(package.rglob("*.nbi"))


def test_old_caches_are_removed(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for k in range(8):
        (cache / f"kernels-{k}").mkdir(parents=True)
        os.utime(cache / f"kernels-{k}", (k, k))
    run(package, cache)
    assert len(list(cache.iterdir())) == 4
    assert (cache / "kernels-7").exists()


def test_every_file_that_makes_kernels_is_in_the_digest(tmp_path: Path) -> None:
    source = Path(kitestring.__file__).parent
    copy = tmp_path / "kitestring"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "data"))
    digest = _jit.sources_digest(copy)
    assert digest == _jit.sources_digest(source)
    makers = [path for path in copy.rglob("*.py") if "kernel(" in path.read_text(encoding="utf-8")]
    assert len(makers) > 5
    for path in makers:
        text = path.read_text(encoding="utf-8")
        path.write_text(text + "\n", encoding="utf-8")
        assert _jit.sources_digest(copy) != digest, path
        path.write_text(text, encoding="utf-8")


VERSIONS = """
import sys
from kitestring._jit import kernel

def make(factor):
    @kernel()
    def times(x):
        return factor * x
    return times

print(make(float(sys.argv[1]))(1.0))
"""


def test_processes_that_compile_at_once_do_not_take_each_others_code(tmp_path: Path) -> None:
    """Each knows an index that lacks what the other is about to write."""
    program = tmp_path / "versions.py"
    program.write_text(VERSIONS)

    def compile_(factor: int) -> str:
        done = subprocess.run(
            [sys.executable, str(program), str(factor)],
            env=os.environ | {"KITESTRING_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    found, written = [], set[str]()
    for factor in (2, 3):
        found.append(compile_(factor))
        (index,) = (tmp_path / "cache").rglob("*.nbi")
        index.unlink()
        written |= {path.name for path in (tmp_path / "cache").rglob("*.nbc")}
    assert found == ["2.0", "3.0"]
    assert len(written) == 2


def test_what_was_compiled_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_jit, "cache_folder", lambda: tmp_path)
    assert not _jit.is_compiled("correlate")
    (tmp_path / "correlate_1a2b").mkdir()
    (tmp_path / "correlate_1a2b" / "_kernels.decode-1.py311.nbi").touch()
    assert _jit.is_compiled("correlate")
    assert not _jit.is_compiled("model")


def test_threads_that_make_kernels_leave_the_setting_alone() -> None:
    """numba's folder of caches is one for all: an engine is made in the thread that wants it."""
    import numba

    before, folders = numba.config.CACHE_DIR, list[str]()

    def make(k: int) -> None:
        def add(x: float) -> float:
            return x + k

        made: Any = _jit.kernel()(add)
        folders.append(made._cache.cache_path)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            threads = [threading.Thread(target=make, args=(k,)) for k in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert before == numba.config.CACHE_DIR
    assert all(path.startswith(str(_jit.cache_folder())) for path in folders)
    assert len(folders) == 80
