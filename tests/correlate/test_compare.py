from dataclasses import replace

import numpy as np
import pytest

from kitestring.correlate.compare import compare_rows, normalised, rows_of
from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.errors import MissingDataError
from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch

LOW = 8.4e9
BASELINES = (("A", "A"), ("A", "B"), ("B", "B"))


def scan(data, weight):
    times = len(data)
    frequency, each = LOW + 1e6 * np.arange(4), np.asarray(weight)[:, :, None]
    channel = ChannelVisibilities("CH0", frequency, ("XX",), np.asarray(data, np.complex64), each)
    start = Epoch.from_iso("2026-01-01T00:00:00")
    return Visibilities(
        "No1", "Q1", BASELINES, start.shifted(np.arange(times)), np.array([1.0, 0.5]),
        (channel,), DelayModel("No1", "Q1", {}),
    )  # fmt: skip


def noise(seed, shape=(4,)):
    random = np.random.default_rng(seed)
    return random.normal(size=shape) + 1j * random.normal(size=shape)


def test_integrations_count_by_their_valid_samples():
    data = np.ones((2, 3, 4, 1), complex)
    data[1] = 4.0
    data[1, 2] = np.nan  # an integration without a valid sample
    rows = rows_of(scan(data, [[1.0, 0.5, 1.0], [1.0, 1.0, 0.0]]))
    assert set(rows) == {(LOW, a, b, "XX") for a, b in BASELINES}
    assert rows[LOW, "A", "A", "XX"] == pytest.approx((1.0 + 4.0 * 0.5) / 1.5)
    assert rows[LOW, "A", "B", "XX"] == pytest.approx((0.5 + 4.0 * 0.5) / 1.0)
    assert rows[LOW, "B", "B", "XX"] == pytest.approx(1.0)


def test_products_count_by_their_own_valid_samples():
    vis = scan(np.ones((2, 3, 4, 1), complex), np.ones((2, 3)))
    data = np.ones((2, 3, 4, 2), np.complex64)
    data[1, :, :, 0] = 0.0  # X is lost in the second integration
    weight = np.ones((2, 3, 2))
    weight[1, :, 0] = 0.0
    channel = replace(vis.channels[0], products=("XX", "YY"), data=data, weight=weight)
    rows = rows_of(replace(vis, channels=(channel,)))
    assert rows[LOW, "A", "B", "XX"] == pytest.approx(1.0)
    assert rows[LOW, "A", "B", "YY"] == pytest.approx(1.0)


def test_what_was_never_formed_is_left_out():
    data = np.ones((2, 3, 4, 1), complex)
    data[:, 0] = np.nan
    rows = rows_of(scan(data, [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]))
    assert set(rows) == {(LOW, "A", "B", "XX")}
    assert normalised(rows) == {}


def test_normalised_rows_do_not_depend_on_gains():
    rows = {(LOW, "A", "A", "XX"): np.full(4, 2.0 + 0j), (LOW, "B", "B", "YY"): np.full(4, 8 + 0j)}
    rows[LOW, "A", "B", "XY"] = noise(1)
    gained = {
        key: row * {"A": 3.0, "B": 0.2}[key[1]] * {"A": 3.0, "B": 0.2}[key[2]]
        for key, row in rows.items()
    }
    assert normalised(gained)[LOW, "A", "B", "XY"] == pytest.approx(rows[LOW, "A", "B", "XY"] / 16)
    assert compare_rows(normalised(rows), normalised(gained)).correlation == pytest.approx(1.0)


def test_phases_of_rows_do_not_hide():
    ours = {(LOW + k, "A", "B", "XX"): noise(k, 64) for k in range(6)}
    # each row is off by a phase of its own, as a wrong delay would make it
    theirs = {key: row * np.exp(1j * k) for k, (key, row) in enumerate(ours.items())}
    found = compare_rows(ours, theirs)
    assert all(abs(value) == pytest.approx(1.0) for value in found.by_row.values())
    assert abs(found.correlation) < 0.5
    key, value = found.worst
    assert key == (LOW + 3, "A", "B", "XX")  # 3 rad is farthest from none
    assert np.angle(value) == pytest.approx(-3.0)


def test_a_baseline_stored_the_other_way_round_is_conjugated():
    ours = {(LOW, "A", "B", "XY"): noise(3)}
    theirs = {(LOW, "B", "A", "YX"): ours[LOW, "A", "B", "XY"].conj() * 2.0}
    assert compare_rows(ours, theirs).correlation == pytest.approx(1.0)


def test_nothing_in_common_and_different_bins_are_told():
    ours = {(LOW, "A", "B", "XX"): noise(4)}
    with pytest.raises(MissingDataError, match="no baseline, product and band in common"):
        compare_rows(ours, {(LOW, "A", "C", "XX"): noise(4)})
    with pytest.raises(MissingDataError, match="4 bins here and 8 there"):
        compare_rows(ours, {(LOW, "A", "B", "XX"): noise(4, 8)})
