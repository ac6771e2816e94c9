"""Products between stages come back to the last bit, and nothing foreign is made of them."""

import json

import numpy as np
import pytest

from kitestring.errors import FormatError, MissingDataError
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.time import Epoch
from kitestring.observables.types import Observables, TrackingData
from kitestring.session.archive import load, save


def observables():
    epoch = Epoch.from_iso(["2026-01-01T00:00:00.1", "2026-01-01T00:01:00.1"])
    path = SignalPath(("DSS-55", "PROBE", "DSS-55"), turnaround=880 / 749)
    value = np.array([0.1, np.nan])
    return Observables(Kind.DOPPLER, path, epoch, value, np.array([np.inf, 1e-300]), np.ones(2))


def test_everything_comes_back(tmp_path):
    path = tmp_path / "a.npz"
    tracked = TrackingData((observables(),), origin="file")
    save(path, (tracked, {"x": None, ("a", 1): True}, 0.1 + 0.2, np.float64(np.nan), -np.inf))
    held, mapping, number, nothing, infinite = load(path)
    (found,) = held.observables
    assert found.kind is Kind.DOPPLER
    assert found.path == observables().path
    assert np.array_equal(found.value, observables().value, equal_nan=True)
    assert np.array_equal(found.epoch.second, observables().epoch.second)
    assert mapping == {"x": None, ("a", 1): True}
    assert number == 0.1 + 0.2
    assert np.isnan(nothing)
    assert infinite == -np.inf


def test_the_same_value_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        save(tmp_path / name, observables())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_cannot_be_kept_is_told(tmp_path):
    with pytest.raises(TypeError, match="object"):
        save(tmp_path / "a.npz", object())
    assert not (tmp_path / "a.npz").exists()


def test_missing_and_damaged_files_are_named(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(MissingDataError, match=r"a\.npz"):
        load(path)
    save(path, observables())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FormatError, match=r"a\.npz.*run the session again"):
        load(path)


@pytest.mark.parametrize("name", ["os:system", "kitestring.session.archive:save", "kitestring.x"])
def test_a_file_cannot_make_anything_foreign(tmp_path, name):
    path = tmp_path / "a.npz"
    np.savez(path, tree=np.array(json.dumps({"c": name, "v": {}})))
    with pytest.raises(FormatError, match=r"a\.npz"):
        load(path)
