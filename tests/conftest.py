"""Shared by all tests."""

import os
from pathlib import Path

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
