"""Frames at fault: as many as asked for, told one by one, and never a sample at a wrong epoch."""

import warnings

import numpy as np
import pytest
from scipy import stats

from kitestring.errors import ConfigurationError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif_writer import VdifWriter
from kitestring.simulate.faults import KINDS, FrameFaults, damage_vdif

START = Epoch.from_iso("2026-01-01T00:00:00")
CHANNELS = (Channel("A", 8.4e9, 1, 8e6), Channel("B", 8.41e9, 1, 8e6))
FRAME = 1000  # bytes of samples


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "whole.vdif"
    rng = np.random.default_rng(1)
    with VdifWriter(
        path, station="Aa", start=START, channels=CHANNELS, bits=2, payload_bytes=FRAME
    ) as writer:
        writer.write_codes(rng.integers(0, 4, (2, 2_000_000), dtype=np.uint8))
    return path


def frames(path):
    return np.fromfile(path, dtype=np.uint8).reshape(-1, FRAME + 32)


def damaged(path, faults, seed=1):
    before = frames(path)
    listed = faults if isinstance(faults, list) else [faults]
    return before, damage_vdif(path, listed, 4000.0, (seed,)), frames(path)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_hits_its_fraction(file, kind):
    before, record, after = damaged(file, FrameFaults(**{kind: 0.1}))
    hit = np.array(record.hit[kind])
    assert record.frames == len(before) == 1000
    assert list(record.hit) == [kind]
    assert stats.binomtest(len(hit), 1000, 0.1).pvalue > 0.001
    left = np.delete(np.arange(1000), hit)
    rows = {row.tobytes(): k for k, row in enumerate(before)}
    if kind in ("corrupted", "wrong_second"):
        assert len(after) == len(before)
        assert np.array_equal(after[left], before[left])
        assert np.array_equal(after[:, 32:], before[:, 32:])
        assert not np.any(np.all(after[hit] == before[hit], axis=1))
        if kind == "wrong_second":
            words = [a[hit, :4].copy().view("<u4").astype(int) for a in (before, after)]
            assert np.all(words[1] - words[0] == 1)
        return
    order = np.array([rows[row.tobytes()] for row in after])
    if kind == "lost":
        assert np.array_equal(order, left)
    elif kind == "repeated":
        assert np.array_equal(order, np.sort(np.concatenate([np.arange(1000), hit])))
    else:
        assert np.array_equal(np.sort(order), np.arange(1000))
        others = order[~np.isin(order, hit)]
        assert np.all(np.diff(others) > 0)
        place = np.argsort(order)
        # how many later frames came before it
        alone = [k for k in hit if k < 900 and not (kind == "reordered" and k + 1 in hit)]
        late = np.array([np.sum(order[: place[k]] > k) for k in alone])
        assert late.min() >= (1 if kind == "reordered" else 18)


def test_an_outage_and_the_rest_come_out_at_their_epochs(file):
    """What is read after damage is what was there, or is not valid."""
    whole = open_recording(file, station="Aa", channels=CHANNELS).read(0, 2_000_000)
    faults = FrameFaults(0.03, 0.03, 0.03, 0.03, 0.03, 0.03, [(0.1, 0.15)])
    _, record, _ = damaged(file, faults)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        found = open_recording(file, station="Aa", channels=CHANNELS)
        block = found.read(0, 2_000_000)
    assert float(found.start.since(START)) == 0.0
    assert np.array_equal(block.samples[block.valid], whole.samples[block.valid])
    assert len(record.hit["outage"]) == 200
    gone = len(record.hit["lost"]) + 200
    ruined = len(record.hit["corrupted"]) + len(record.hit["wrong_second"])
    missing = np.count_nonzero(~block.valid) / 4000
    # repeated frames and those out of order are all there; a ruined frame may contradict
    # one that is sound, and then neither counts
    assert gone <= missing <= gone + 2 * ruined


def test_several_faults_are_of_the_undamaged_file(file):
    """An outage is at its time whatever another fault has taken; nothing may be left at all."""
    faults = [FrameFaults(lost=0.5), FrameFaults(corrupted=0.5, outages=[(0.2, 0.225)])]
    before, record, after = damaged(file, faults)
    assert record.hit["outage"] == list(range(800, 900))
    # the half of what the first fault has left, 900 frames in all
    assert stats.binomtest(len(record.hit["corrupted"]), 900, 0.25).pvalue > 0.001
    left = np.delete(np.arange(1000), record.hit["lost"] + record.hit["outage"])
    assert np.array_equal(after[:, 32:], before[left, 32:])
    _, record, after = damaged(file, [FrameFaults(lost=1.0), FrameFaults(late=0.1)])
    assert list(record.hit) == ["lost"]
    assert len(after) == 0


def test_the_same_seed_hits_the_same_frames(file):
    text = file.read_bytes()
    found = []
    for seed in (1, 1, 2):
        file.write_bytes(text)
        damaged(file, FrameFaults(lost=0.1, corrupted=0.1), seed)
        found.append(file.read_bytes())
    assert found[0] == found[1] != found[2]


def test_refuses():
    with pytest.raises(ConfigurationError, match="sum is 1"):
        FrameFaults(lost=0.7, late=0.7)
    with pytest.raises(ConfigurationError, match="end after it begins"):
        FrameFaults(outages=[(1.0, 0.5)])
