"""A part of `make fuzz`, and that it would find what it looks for."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from kitestring.recordings import vdif_place


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("fuzz")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("VDIF", 400),
        ("VDIF long", 200),
        ("VDIF legacy", 400),
        ("VDIF with rate", 300),
        ("VDIF by channel", 150),
        ("VDIF in time", 150),
        ("Mark 5B", 40),
        ("SigMF", 150),
    ],
)
def test_no_damage_is_taken_for_samples(fuzz, name, count):
    if name == "Mark 5B":
        pytest.importorskip("baseband", reason="baseband is not installed")
    assert fuzz.fuzz(name, 1, count) == []


def test_a_reader_that_believes_every_header_is_found_out(fuzz, monkeypatch):
    def believe(runs, window):
        nothing = np.zeros(len(runs), dtype=np.bool_)
        return nothing, nothing

    monkeypatch.setattr(vdif_place, "_strays", believe)
    failed = fuzz.fuzz("VDIF", 1, 300)
    assert any("are not true" in wrong or "lasts" in wrong for _, _, wrong in failed)


def test_a_reader_that_does_not_look_for_slips_is_found_out(fuzz, monkeypatch):
    """Without taking out the frame before a slip, bytes that were lost shift samples."""
    monkeypatch.setattr("kitestring.recordings.vdif_scan._drop_last", lambda found, last: 0)
    failed = fuzz.fuzz("VDIF", 1, 300)
    assert any("are not true" in wrong for _, _, wrong in failed)
