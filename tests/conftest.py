"""Shared by all tests."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import pytest

mpl.use("Agg")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The directory of real data, or a skip that says how to give it."""
    path = os.environ.get("KITESTRING_DATA")
    if not path or not Path(path).is_dir():
        pytest.skip("real data absent: set KITESTRING_DATA to their directory")
    return Path(path)


class Demo(NamedTuple):
    """A demonstration that was run: its directory, and what it printed."""

    directory: Path
    printed: str

    def copy(self, to: Path) -> Path:
        """Return a copy of the session as it stands; recordings are links to the first one's."""
        shutil.copytree(self.directory, to, ignore=shutil.ignore_patterns("recordings"))
        (to / "recordings").mkdir()
        for path in (self.directory / "recordings").iterdir():
            (to / "recordings" / path.name).symlink_to(path)
        return to


@pytest.fixture(scope="session")
def commands() -> dict[str, str]:
    """The environment in which ``kitestring`` is a command and prints plain wide text."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "MPLBACKEND": "Agg",
    }


@pytest.fixture(scope="session")
def demo(tmp_path_factory, worker_id, commands) -> Demo:
    """The small demonstration; test processes that run side by side share the first one's."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "demo"
    folder, told = shared / "kitestring-demo", shared / "printed"
    try:
        shared.mkdir()
    except FileExistsError:
        for _ in range(1200):
            if told.exists():
                return Demo(folder, told.read_text())
            time.sleep(0.5)
        pytest.fail("the demonstration in another test process did not end")
    done = subprocess.run(
        ["kitestring", "demo", "--small"],
        cwd=shared,
        env=commands,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    partial = told.with_suffix(".part")
    partial.write_text(done.stdout)
    partial.rename(told)
    return Demo(folder, done.stdout)
