"""One answer to how many threads there are to be."""

import os

import pytest

import kitestring.correlate.engine as engine
import kitestring.simulate.voltages as voltages
from kitestring._threads import default_threads


def test_processors_that_the_process_may_not_use_do_not_count(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert default_threads() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert default_threads() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert default_threads() == 1


@pytest.mark.parametrize("module", [engine, voltages])
def test_all_ask_the_same(module):
    assert module.default_threads is default_threads
