"""Correlation that is written as it goes: whatever stops it, the same bytes in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from kitestring.correlate.engine import Threads, correlate, correlate_chunk
from kitestring.correlate.journal import journal_path, read_journal
from kitestring.correlate.plan import make_plan
from kitestring.correlate.store import read_visibilities
from kitestring.correlate.stored import correlate_to_store
from kitestring.errors import ConfigurationError, MissingDataError, RecordingError
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Block, Channel

START = Epoch.from_iso("2026-03-01T10:00:00")
RATE, BINS, INTEGRATIONS, LENGTH = 1e6, 32, 12, 0.064
CHANNELS = (Channel("CH0", 8.4e9, 1, RATE), Channel("CH1", 8.41e9, 1, RATE))
GRID = {"bins": BINS, "start": START, "stop": START.shifted(INTEGRATIONS * LENGTH),
        "integration": LENGTH}  # fmt: skip


class Noise:
    """A recording that is made as it is read, and may take its time."""

    bits, channels, sample_rate, start = 32, CHANNELS, RATE, START
    stop = START.shifted(2.0)

    def __init__(self, station, seed=1, pause=0.0):
        self.station, self.seed, self.pause = station, seed, pause

    def read(self, first, count, channels=None):
        time.sleep(self.pause)
        rows = range(2) if channels is None else channels
        n = first + np.arange(count)
        values = [np.sin(0.3 * (c + 1) * n + 1e-4 * self.seed * n**2 % 7) for c in rows]
        return Block(first, np.array(values, np.float32), np.ones((len(rows), count), bool))


def model(offset=0.0):
    zero = PiecewisePolynomial(START, 10.0, np.zeros((1, 1)))
    line = PiecewisePolynomial(START, 10.0, np.array([[offset, 1e-7]]))
    stations = {"AA": StationDelay(zero, zero), "BB": StationDelay(line, zero)}
    return DelayModel("scan1", "0000+000", stations)


def plan(monkeypatch, block=2, **change):
    """A plan of chunks of two integrations, stored in blocks of `block`."""
    monkeypatch.setattr("kitestring.correlate.plan.CHUNK_SAMPLES", int(8 * LENGTH * RATE))
    monkeypatch.setattr("kitestring.correlate.stored.BLOCK_SAMPLES", int(4 * block * LENGTH * RATE))
    recordings = [Noise("AA", **change), Noise("BB", 2)]
    return make_plan(recordings, model(), **GRID)


def contents(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def stop_after(count, reason=KeyboardInterrupt):
    """An engine that fails after so many chunks."""
    seen = []

    def engine(plan, chunk):
        seen.append(chunk)
        if len(seen) > count:
            raise reason
        return correlate_chunk(plan, chunk)

    return Threads(1, engine), seen


@pytest.fixture
def whole(monkeypatch, tmp_path):
    found = correlate_to_store(plan(monkeypatch), tmp_path / "whole.zarr")
    assert (found.integrations, found.kept) == (INTEGRATIONS, 0)
    return contents(tmp_path / "whole.zarr")


class Silent(Noise):
    """A recording of which nothing is valid."""

    def read(self, first, count, channels=None):
        block = super().read(first, count, channels)
        return Block(first, 0.0 * block.samples, np.zeros(block.valid.shape, bool))


def test_a_block_without_any_valid_sample_is_written_too(tmp_path):
    """Its weights are what arrays hold at first: chunks of that are not to be left out."""
    plan = make_plan([Silent("AA"), Silent("BB")], model(), **GRID)
    stored = correlate_to_store(plan, tmp_path / "out.zarr")
    assert stored.integrations == INTEGRATIONS
    found = read_visibilities(stored.path)
    assert all(np.all(channel.weight == 0.0) for channel in found.channels)


def test_a_store_holds_what_correlate_returns(monkeypatch, tmp_path):
    found = plan(monkeypatch)
    assert len(found.chunks) == INTEGRATIONS // 2
    correlate_to_store(found, tmp_path / "a.zarr")
    read = read_visibilities(tmp_path / "a.zarr")
    wanted = correlate([Noise("AA"), Noise("BB", 2)], model(), **GRID)
    for one, other in zip(read.channels, wanted.channels, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        np.testing.assert_array_equal(one.weight, other.weight)
    np.testing.assert_array_equal(read.epoch.since(wanted.epoch), 0.0)


@pytest.mark.parametrize("chunks", [0, 1, 3, 5])
def test_interrupted_anywhere_it_goes_on_to_the_same_bytes(monkeypatch, tmp_path, whole, chunks):
    path = tmp_path / "b.zarr"
    found = plan(monkeypatch)
    workers, _ = stop_after(chunks)
    with pytest.raises(KeyboardInterrupt):
        correlate_to_store(found, path, workers=workers)
    with pytest.raises(MissingDataError, match=rf"only {2 * chunks} of {INTEGRATIONS}"):
        read_visibilities(path)
    workers, seen = stop_after(99)
    again = correlate_to_store(found, path, workers=workers)
    assert again.kept == 2 * chunks
    assert len(seen) == INTEGRATIONS // 2 - chunks  # nothing is done twice
    assert contents(path) == whole


def test_a_block_may_end_inside_a_chunk(monkeypatch, tmp_path):
    found = plan(monkeypatch, block=3)
    correlate_to_store(found, tmp_path / "once.zarr")
    workers, _ = stop_after(2)
    with pytest.raises(KeyboardInterrupt):
        correlate_to_store(found, tmp_path / "twice.zarr", workers=workers)
    assert correlate_to_store(found, tmp_path / "twice.zarr").kept == 3  # of four correlated
    assert contents(tmp_path / "twice.zarr") == contents(tmp_path / "once.zarr")


def test_what_was_being_written_when_it_died_is_not_counted_on(monkeypatch, tmp_path, whole):
    path = tmp_path / "c.zarr"
    found = plan(monkeypatch)
    workers, _ = stop_after(2)
    with pytest.raises(KeyboardInterrupt):
        correlate_to_store(found, path, workers=workers)
    halves = [p for p in path.rglob("c/1/*") if p.is_file()]
    assert halves
    for half in halves:  # a block that the journal does not know yet, cut in the middle
        torn = Path(str(half).replace("/c/1/", "/c/2/"))
        torn.parent.mkdir(parents=True, exist_ok=True)
        torn.write_bytes(half.read_bytes()[:5])
        torn.with_name(torn.name + ".0123.partial").write_bytes(b"?")  # as Zarr writes
    correlate_to_store(found, path)
    assert contents(path) == whole


def test_killed_it_goes_on_to_the_same_bytes(monkeypatch, tmp_path, whole):
    path = tmp_path / "d.zarr"
    program = f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        import test_stored as t, pytest
        from kitestring.correlate.stored import correlate_to_store
        plan = t.plan(pytest.MonkeyPatch(), pause=0.3)
        correlate_to_store(plan, {str(path)!r}, stamp="same")
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    try:
        limit = time.monotonic() + 60
        while (read_journal(path) is None or read_journal(path).done < 4) and (
            time.monotonic() < limit and process.poll() is None
        ):
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    kept = correlate_to_store(plan(monkeypatch), path, stamp="same").kept
    assert 4 <= kept < INTEGRATIONS
    assert contents(path) == whole


def test_a_finished_store_is_not_correlated_a_second_time(monkeypatch, tmp_path):
    found = plan(monkeypatch)
    correlate_to_store(found, tmp_path / "e.zarr")
    workers, seen = stop_after(99)
    assert correlate_to_store(found, tmp_path / "e.zarr", workers=workers).kept == INTEGRATIONS
    assert not seen
    correlate_to_store(found, tmp_path / "e.zarr", workers=workers, again=True)
    assert len(seen) == INTEGRATIONS // 2


@pytest.mark.parametrize("change", ["model", "recording", "stamp"])
def test_a_store_of_other_inputs_is_begun_anew(monkeypatch, tmp_path, change):
    path, found = tmp_path / "f.zarr", plan(monkeypatch)
    workers, _ = stop_after(3)
    with pytest.raises(KeyboardInterrupt):
        correlate_to_store(found, path, workers=workers)
    stamp = ""
    if change == "model":
        found = make_plan([Noise("AA"), Noise("BB", 2)], model(1e-6), **GRID)
    elif change == "recording":
        found = plan(monkeypatch, seed=3)
    else:
        stamp = "changed"
    assert correlate_to_store(found, path, stamp=stamp).kept == 0


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (RecordingError("the disk is gone.", place="AA.vdif", next_step="Look."), "disk is gone"),
        (FileNotFoundError(2, "No such file", "AA.vdif"), r"AA\.vdif.*No such file"),
    ],
)
def test_a_recording_that_breaks_leaves_what_is_written(monkeypatch, tmp_path, whole, reason, told):
    path, found = tmp_path / "g.zarr", plan(monkeypatch)
    workers, _ = stop_after(3, reason)
    with pytest.raises(RecordingError, match=rf"{told}.*6 of 12 integrations are safe.*goes on"):
        correlate_to_store(found, path, workers=workers)
    assert correlate_to_store(found, path).kept == 6
    assert contents(path) == whole


def test_a_full_disk_leaves_what_is_written(monkeypatch, tmp_path, whole):
    path, found = tmp_path / "h.zarr", plan(monkeypatch)
    from kitestring.correlate import store

    fill, calls = store.fill_block, []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        fill(*arguments)

    monkeypatch.setattr(store, "fill_block", full)
    with pytest.raises(ConfigurationError, match=r"No space left.*4 of 12 integrations are safe"):
        correlate_to_store(found, path)
    monkeypatch.setattr(store, "fill_block", fill)
    assert correlate_to_store(found, path).kept == 4
    assert contents(path) == whole


def test_nothing_that_is_not_ours_is_replaced(monkeypatch, tmp_path):
    other = tmp_path / "photos"
    other.mkdir()
    (other / "one.jpg").write_bytes(b"1")
    with pytest.raises(ConfigurationError, match="something else"):
        correlate_to_store(plan(monkeypatch), other)
    assert (other / "one.jpg").exists()
    assert not journal_path(other).exists()
