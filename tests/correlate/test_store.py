"""Visibilities written and read back, and what other readers of MSv4 find."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kitestring.correlate.gather import Integration
from kitestring.correlate.store import (
    CHECKSUM,
    MODEL,
    block_length,
    mean_visibilities,
    open_writer,
    read_visibilities,
)
from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.errors import FormatError, MissingDataError
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch


@pytest.fixture
def vis():
    rng = np.random.default_rng(1)
    start = Epoch.from_iso("2026-03-01T10:00:00.1")
    station = StationDelay(
        PiecewisePolynomial(start, 10.0, rng.standard_normal((3, 6)) * 1e-3),
        PiecewisePolynomial(start, 30.0, np.array([[1 / 3, 1e-12]])),
    )
    model = DelayModel(
        "scan/1", "0552+398", {"AA": station, "BB": station}, {"trajectory": "a.oem"}
    )
    baselines = (("AA", "AA"), ("AA", "BB"), ("BB", "BB"))
    channels = []
    for i, products in enumerate([("XX", "XY", "YX", "YY"), ("XX",)]):
        shape = (4, 3, 16, len(products))
        data = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        data[:, 0] = 2.0
        data[:, 2] = 8.0
        channels.append(
            ChannelVisibilities(
                "CH00",
                8.4e9 + i * 1e8 + 250e3 * np.arange(16),
                products,
                data.astype(np.complex64),
                rng.random((4, 3, len(products))),
            )
        )
    # epochs that a double of UNIX seconds cannot hold
    epoch = start.shifted(0.5 + np.arange(4) * 1.000000003)
    return Visibilities(
        "scan/1", "0552+398", baselines, epoch, np.full(4, 1.0), tuple(channels), model
    )


def write_visibilities(path, vis, uvw=None):
    """Write visibilities that are at hand, one integration after the other."""
    writer = open_writer(
        path, vis, inputs="", block=block_length(vis), created="2026-03-01T10:00:00.000",
        uvw=None if uvw is None else lambda: uvw,
    )  # fmt: skip
    for t in range(len(vis.epoch)):
        data = tuple(c.data[t] for c in vis.channels)
        weight = tuple(c.weight[t] for c in vis.channels)
        efficiency = tuple(np.broadcast_to(c.efficiency, c.weight.shape)[t] for c in vis.channels)
        writer.add(Integration(t, data, weight, efficiency))
    writer.finish()


def test_what_is_written_is_read_back_to_the_last_bit(vis, tmp_path):
    write_visibilities(tmp_path / "vis.zarr", vis)
    back = read_visibilities(tmp_path / "vis.zarr")
    assert (back.scan, back.source, back.baselines) == (vis.scan, vis.source, vis.baselines)
    np.testing.assert_array_equal(back.epoch.day, vis.epoch.day)
    np.testing.assert_array_equal(back.epoch.second, vis.epoch.second)
    np.testing.assert_array_equal(back.integration, vis.integration)
    assert back.model.checksum() == vis.model.checksum()
    assert dict(back.model.inputs) == dict(vis.model.inputs)
    for one, two in zip(vis.channels, back.channels, strict=True):
        assert (one.name, one.products) == (two.name, two.products)
        np.testing.assert_array_equal(one.frequency, two.frequency)
        assert one.data.tobytes() == two.data.tobytes()
        np.testing.assert_array_equal(one.weight, two.weight)


def test_the_tree_has_the_names_of_msv4(vis, tmp_path):
    import xarray as xr

    uvw = np.arange(4 * 3 * 3.0).reshape(4, 3, 3)
    write_visibilities(tmp_path / "vis.zarr", vis, uvw=uvw)
    tree = xr.open_datatree(tmp_path / "vis.zarr", engine="zarr", consolidated=False)
    assert sorted(tree.children) == ["scan_1_000_CH00", "scan_1_001_CH00"]
    node = tree["scan_1_000_CH00"]
    assert node["VISIBILITY"].dims == ("time", "baseline_id", "frequency", "polarization")
    assert node["baseline_antenna2_name"].values.tolist() == ["AA", "BB", "BB"]
    assert node["frequency"].attrs["observer"] == "TOPO"
    np.testing.assert_array_equal(node["UVW"].values, uvw)
    # powers 2 and 8; one visibility of each segment of 4 microseconds
    segments = vis.channels[0].weight[:, 1] * 1.0 * 250e3
    np.testing.assert_allclose(node["WEIGHT"].values[:, 1, 5], 2 * segments / 16.0)
    assert node["VALID_FRACTION"].dims == ("time", "baseline_id", "polarization")
    # MSv4 has one for all polarizations: that of the fullest
    assert node["EFFECTIVE_INTEGRATION_TIME"].dims == ("time", "baseline_id")
    fullest = vis.channels[0].weight.max(axis=2)
    np.testing.assert_array_equal(node["EFFECTIVE_INTEGRATION_TIME"].values, fullest * 1.0)


def test_xradio_accepts_it(vis, tmp_path):
    check = pytest.importorskip("xradio.schema.check", reason="xradio is not installed")
    pytest.importorskip("xradio.measurement_set.schema")
    import xarray as xr

    write_visibilities(tmp_path / "vis.zarr", vis, uvw=np.zeros((4, 3, 3)))
    tree = xr.open_datatree(tmp_path / "vis.zarr", engine="zarr", consolidated=False)
    issues = check.check_datatree(tree)
    assert len(issues) == 0, str(issues)
    broken = tree.copy()
    broken["scan_1_000_CH00"].attrs.pop("processor_info")
    assert len(check.check_datatree(broken)) > 0


def test_a_changed_delay_model_is_refused(vis, tmp_path):
    import zarr

    path = tmp_path / "vis.zarr"
    write_visibilities(path, vis)
    node = zarr.open_group(path, mode="r+")["scan_1_000_CH00"]
    assert node.attrs[CHECKSUM] == vis.model.checksum()
    model = json.loads(node.attrs[MODEL])
    model["stations"]["AA"]["clock"]["coefficients"][0][0] += 1e-12
    node.attrs[MODEL] = json.dumps(model)
    with pytest.raises(FormatError, match="checksum"):
        read_visibilities(path)


@pytest.mark.parametrize("damage", [lambda good: good[: len(good) // 2], lambda good: b"x" * 20])
@pytest.mark.parametrize("file", ["VISIBILITY/c/0/0/0/0", "EPOCH_SECOND/c/0", "zarr.json"])
def test_a_damaged_file_of_the_store_is_said(vis, tmp_path, file, damage):
    path = tmp_path / "vis.zarr"
    write_visibilities(path, vis)
    part = path / "scan_1_000_CH00" / file
    part.write_bytes(damage(part.read_bytes()))
    with pytest.raises(FormatError, match=r"vis\.zarr: .*Correlate again"):
        read_visibilities(path)


def test_fractions_without_polarizations_are_refused(vis, tmp_path):
    import zarr

    path = tmp_path / "vis.zarr"
    write_visibilities(path, vis)
    node = zarr.open_group(path, mode="r+")["scan_1_001_CH00"]
    del node["VALID_FRACTION"]
    old = ("time", "baseline_id")
    node.create_array("VALID_FRACTION", data=np.ones((4, 3)), dimension_names=old)
    with pytest.raises(FormatError, match=r"VALID_FRACTION .*polarization.* Correlate again"):
        read_visibilities(path)


def test_the_mean_is_that_of_valid_samples(vis, tmp_path):
    lost = vis.channels[0].weight.copy()
    lost[:, 1, 3] = 0.0  # a product of which nothing is valid
    channels = (replace(vis.channels[0], weight=lost), vis.channels[1])
    write_visibilities(tmp_path / "vis.zarr", replace(vis, channels=channels))
    mean = mean_visibilities(tmp_path / "vis.zarr")
    assert mean.integration.tolist() == [4.0]
    assert float(mean.epoch[0].since(vis.epoch[0])) == pytest.approx(1.5, abs=1e-8)
    for one, found in zip(channels, mean.channels, strict=True):
        weight = one.weight[:, :, None]
        with np.errstate(invalid="ignore"):
            wanted = (weight * one.data).sum(axis=0) / weight.sum(axis=0)
        # sums of float64, stored as float32
        np.testing.assert_allclose(found.data[0], wanted, rtol=2e-7, atol=2e-7)
        np.testing.assert_allclose(found.weight[0], one.weight.mean(axis=0))
    assert np.isnan(mean.channels[0].data[0, 1, :, 3]).all()


def test_no_store_is_said(tmp_path):
    with pytest.raises(MissingDataError):
        read_visibilities(tmp_path / "none.zarr")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError):
        read_visibilities(tmp_path / "empty")
