"""How visibilities lie on disk: names, dimensions and attributes of MSv4, and what fills them.

A scan's store is laid out once, with all that is known before anything is
correlated; the arrays of `BLOCK_ARRAYS` are then filled block by block of
integrations. `kitestring.correlate.store` tells what the names mean.
"""

from __future__ import annotations

import json
import re
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch

if TYPE_CHECKING:
    import xarray as xr

SCHEMA_VERSION = "4.0.0"
UNIX_EPOCH_MJD = 40587
MODEL, CHECKSUM = "kitestring_delay_model", "kitestring_delay_model_checksum"
QUANTISATION = "kitestring_quantisation"
FULL = ("time", "baseline_id", "frequency", "polarization")
FRACTION = ("time", "baseline_id", "polarization")
CHUNK_BYTES = 1 << 24
"""Visibilities of a Zarr chunk: beyond that a block is cut along frequency."""

BLOCK_ARRAYS: dict[str, tuple[tuple[str, ...], Any, Any, dict[str, str]]] = {
    "VISIBILITY": (FULL, "complex64", complex(np.nan, np.nan), {"units": "arbitrary"}),
    "WEIGHT": (FULL, "float64", 0.0, {}),
    "FLAG": (FULL, "bool", True, {}),
    "EFFECTIVE_INTEGRATION_TIME": (
        FULL[:2],
        "float64",
        0.0,
        {"units": "s", "type": "quantity"},
    ),
    "VALID_FRACTION": (FRACTION, "float64", 0.0, {}),
    "QUANTISATION_EFFICIENCY": (FRACTION, "float64", np.nan, {}),
}
"""Arrays that are filled as integrations finish: dimensions, type, what is there before, and
attributes."""


def node_name(vis: Visibilities, index: int) -> str:
    """Return the name of a channel's node."""
    return re.sub(r"[^A-Za-z0-9.+-]", "_", f"{vis.scan}_{index:03d}_{vis.channels[index].name}")


def root_text() -> str:
    """Return the metadata of the tree's root, as Zarr keeps them."""
    held = {"attributes": {"type": "processing_set"}, "zarr_format": 3, "node_type": "group"}
    return json.dumps(held, indent=2)


def lay_out(path: Path, vis: Visibilities, block: int, uvw: ArrayLike | None, created: str) -> None:
    """Make all nodes of a store, with everything but what `BLOCK_ARRAYS` names.

    The root's metadata are not among it: without them no reader takes a store for a
    finished one.

    Parameters
    ----------
    path : Path
        Directory of the store.
    vis : Visibilities
        The scan; its data and weights are not looked at.
    block : int
        Integrations in a Zarr chunk.
    uvw : array_like, shape (time, baseline, 3), optional
        POSITION2 - POSITION1, m.
    created : str
        Date, ISO 8601.
    """
    for index, channel in enumerate(vis.channels):
        node = path / node_name(vis, index)
        with warnings.catch_warnings():
            # Zarr 3 has no final specification of text arrays yet
            warnings.filterwarnings(
                "ignore", message=".*(does not have a Zarr V3 spec|onsolidated).*"
            )
            _known(vis, channel, uvw, created).to_zarr(str(node), mode="w", consolidated=False)
        _make_arrays(node, channel, block)


def _make_arrays(node: Path, channel: ChannelVisibilities, block: int) -> None:
    import zarr

    times, baselines, bins, products = channel.data.shape
    sizes = dict(zip(FULL, channel.data.shape, strict=True))
    width = bins
    while block * baselines * width * products * 8 > CHUNK_BYTES and width % 2 == 0 and width > 1:
        width //= 2
    cut = sizes | {"time": min(block, times), "frequency": width}
    over_time, over_baseline = (
        "field_name scan_name",
        "baseline_antenna1_name baseline_antenna2_name",
    )
    for name, (dims, kind, fill, attrs) in BLOCK_ARRAYS.items():
        zarr.create_array(
            str(node),
            name=name,
            shape=tuple(sizes[d] for d in dims),
            chunks=tuple(cut[d] for d in dims),
            dtype=kind,
            fill_value=fill,
            compressors=zarr.codecs.ZstdCodec(level=1, checksum=True),
            dimension_names=dims,
            attributes=attrs | {"coordinates": f"{over_baseline} {over_time}"},
        )


def fill_block(path: Path, vis: Visibilities, first: int) -> None:
    """Write a block of integrations into a store that was laid out.

    Parameters
    ----------
    path : Path
        Directory of the store.
    vis : Visibilities
        The block's integrations alone.
    first : int
        Index of the first of them in the scan, a multiple of the block's length.
    """
    import zarr

    for index, channel in enumerate(vis.channels):
        weight = _inverse_variance(vis, channel)
        values = {
            "VISIBILITY": channel.data,
            "WEIGHT": weight,
            "FLAG": np.isnan(channel.data) | (weight == 0),
            "EFFECTIVE_INTEGRATION_TIME": channel.weight.max(axis=2) * vis.integration[:, None],
            "VALID_FRACTION": channel.weight,
            "QUANTISATION_EFFICIENCY": np.broadcast_to(channel.efficiency, channel.weight.shape),
        }
        for name, part in values.items():
            # a chunk that holds nothing new is written too: one that lacks is damage (the
            # argument `config` of open_array does not reach an array that exists)
            with zarr.config.set({"array.write_empty_chunks": True}):
                array = zarr.open_array(str(path / node_name(vis, index) / name), mode="r+")
            array[first : first + len(part)] = part


def _known(
    vis: Visibilities, channel: ChannelVisibilities, uvw: ArrayLike | None, created: str
) -> xr.Dataset:
    """Return all of a node that is known before anything is correlated."""
    import xarray as xr

    seconds = np.floor(vis.epoch.second)
    whole, rest = seconds.astype(np.int64), (vis.epoch.second - seconds) * 1e9
    variables: dict[str, Any] = {
        "EPOCH_DAY": ("time", vis.epoch.day, {"units": "d", "origin": "MJD 0, UTC"}),
        "EPOCH_SECOND": ("time", whole, {"units": "s", "origin": "start of the UTC day"}),
        "EPOCH_NANOSECOND": ("time", rest, {"units": "ns"}),
        "INTEGRATION_TIME": ("time", vis.integration, {"units": "s"}),
    }
    if uvw is not None:
        variables["UVW"] = (
            ("time", "baseline_id", "uvw_label"),
            np.asarray(uvw, dtype=np.float64),
            {"units": "m", "type": "uvw", "frame": "icrs"},
        )
    return xr.Dataset(
        variables,
        coords=_coordinates(vis, channel, uvw is not None),
        attrs=_attributes(vis, uvw is not None, created),
    )


def bin_width(channel: ChannelVisibilities) -> float:
    """Return the distance of a channel's bins, Hz."""
    return float(channel.frequency[1] - channel.frequency[0])


def _coordinates(vis: Visibilities, channel: ChannelVisibilities, uvw: bool) -> dict[str, Any]:
    width = bin_width(channel)
    times = len(vis.epoch)
    unix = (vis.epoch.day - UNIX_EPOCH_MJD) * 86400.0 + vis.epoch.second

    def quantity(value: float, units: str, **more: str) -> dict[str, Any]:
        attrs = {"units": units, "type": "quantity"} | more
        return {"dims": [], "data": value, "attrs": attrs}

    reference = quantity(float(channel.frequency[0]), "Hz", type="spectral_coord", observer="TOPO")
    coords: dict[str, Any] = {
        "time": (
            "time",
            unix,
            {
                "type": "time",
                "units": "s",
                "scale": "utc",
                "format": "unix",
                "integration_time": quantity(float(vis.integration[0]), "s"),
            },
        ),
        "baseline_id": ("baseline_id", np.arange(len(vis.baselines))),
        "baseline_antenna1_name": ("baseline_id", np.array([a for a, _ in vis.baselines])),
        "baseline_antenna2_name": ("baseline_id", np.array([b for _, b in vis.baselines])),
        "frequency": (
            "frequency",
            channel.frequency,
            {
                "type": "spectral_coord",
                "units": "Hz",
                "observer": "TOPO",
                "spectral_window_name": channel.name,
                "spectral_window_intents": ["UNSPECIFIED"],
                "reference_frequency": reference,
                "channel_width": quantity(width, "Hz"),
            },
        ),
        "polarization": ("polarization", np.array(channel.products)),
        "field_name": ("time", np.full(times, vis.source)),
        "scan_name": ("time", np.full(times, vis.scan), {"scan_intents": ["UNSPECIFIED"]}),
    }
    if uvw:
        coords["uvw_label"] = ("uvw_label", np.array(["u", "v", "w"]))
    return coords


def _attributes(vis: Visibilities, uvw: bool, created: str) -> dict[str, Any]:
    group = {
        "correlated_data": "VISIBILITY",
        "flag": "FLAG",
        "weight": "WEIGHT",
        "uvw": "UVW" if uvw else None,
        "field_and_source": "",
        "description": "as correlated",
        "date": created,
    }
    return {
        "type": "visibility",
        "schema_version": SCHEMA_VERSION,
        "creator": {"software_name": "kitestring", "version": version("kitestring")},
        "creation_date": created,
        "observation_info": {
            "observer": [],
            "release_date": "",
            "project_UID": "",
            "execution_block_UID": None,
            "session_reference_UID": None,
            "observing_log": None,
            "scheduling_block_UID": None,
        },
        "processor_info": {"type": "CORRELATOR", "sub_type": "kitestring"},
        "data_groups": {"base": group},
        MODEL: json.dumps(model_to_dict(vis.model)),
        CHECKSUM: vis.model.checksum(),
        QUANTISATION: vis.quantisation,
    }


def _inverse_variance(vis: Visibilities, channel: ChannelVisibilities) -> NDArray[np.float64]:
    """Return 1/sigma^2 of a part of each visibility: 2 n e^2 / (P1 P2) from n segments.

    e is the efficiency of the samplers.
    """
    autos = {a: i for i, (a, b) in enumerate(vis.baselines) if a == b}
    segments = (
        channel.weight
        * channel.efficiency**2
        * (vis.integration * bin_width(channel))[:, None, None]
    )
    result = np.zeros(channel.data.shape)
    for b, pair in enumerate(vis.baselines):
        for p, product in enumerate(channel.products):
            power = np.ones(channel.data[:, b, :, p].shape)
            for name, letter in zip(pair, product, strict=True):
                if name in autos and 2 * letter in channel.products:
                    same = channel.products.index(2 * letter)
                    power = power * channel.data[:, autos[name], :, same].real
            known = np.isfinite(channel.data[:, b, :, p]) & (power > 0)
            n = 2.0 * np.broadcast_to(segments[:, b, p, None], power.shape)
            np.divide(n, power, out=result[:, b, :, p], where=known)
    return result


def model_to_dict(model: DelayModel) -> dict[str, Any]:
    """Return a delay model as plain values; JSON keeps doubles to the last bit."""

    def piecewise(part: PiecewisePolynomial) -> dict[str, Any]:
        return {
            "start": [int(part.start.day), float(part.start.second)],
            "interval": part.interval,
            "coefficients": part.coefficients.tolist(),
        }

    return {
        "scan": model.scan,
        "source": model.source,
        "inputs": dict(model.inputs),
        "stations": {
            name: {"delay": piecewise(s.delay), "clock": piecewise(s.clock)}
            for name, s in model.stations.items()
        },
    }


def model_from_dict(values: dict[str, Any]) -> DelayModel:
    """Return the delay model that `model_to_dict` was given."""

    def piecewise(part: dict[str, Any]) -> PiecewisePolynomial:
        day, second = part["start"]
        start = Epoch("utc", np.int64(day), np.float64(second))  # type: ignore[arg-type]
        return PiecewisePolynomial(start, part["interval"], np.array(part["coefficients"]))

    stations = {
        name: StationDelay(piecewise(s["delay"]), piecewise(s["clock"]))
        for name, s in values["stations"].items()
    }
    return DelayModel(values["scan"], values["source"], stations, values["inputs"])
