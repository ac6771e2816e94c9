"""Visibilities on disk: an xarray DataTree in Zarr with the names of MSv4.

The tree has one node for each scan and channel (``scan_000_CH00``), with the
names, dimensions and attributes of the Measurement Set v4 schema of xradio.
What that schema has no place for stands beside it:

- ``VALID_FRACTION`` (time, baseline_id, polarization): `ChannelVisibilities.weight`.
- ``EPOCH_DAY`` (MJD, UTC), ``EPOCH_SECOND`` (whole second of the day) and
  ``EPOCH_NANOSECOND`` (time): epochs in full; the coordinate ``time``, a double
  of UNIX seconds, is good to 0.24 microsecond only.
- the attributes ``kitestring_delay_model`` (JSON) and
  ``kitestring_delay_model_checksum``.

``WEIGHT`` is 1/sigma^2 (sigma of the real or imaginary part), from the powers
of both stations in the autocorrelations; where these were not correlated, unit
power in each bin is taken. ``EFFECTIVE_INTEGRATION_TIME`` has no polarization
in MSv4: it is that of the product of which most is valid.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.errors import FormatError, MissingDataError
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch

if TYPE_CHECKING:
    import xarray as xr

SCHEMA_VERSION = "4.0.0"
UNIX_EPOCH_MJD = 40587
MODEL, CHECKSUM = "kitestring_delay_model", "kitestring_delay_model_checksum"
_FRACTION = ("time", "baseline_id", "polarization")
_REWRITE = "Correlate again, or restore the file."


def write_visibilities(
    path: str | Path, vis: Visibilities, *, uvw: ArrayLike | None = None, created: str = ""
) -> None:
    """Write visibilities of a scan as a Zarr store; what was at `path` is replaced.

    Parameters
    ----------
    path : str or Path
        Directory of the store.
    vis : Visibilities
        What to write.
    uvw : array_like, shape (time, baseline, 3), optional
        Baseline coordinates POSITION2 - POSITION1, m, ICRS directions.
    created : str, optional
        Date of creation, ISO 8601; now unless given. Two stores written with
        the same date from the same visibilities hold the same bytes.
    """
    import xarray as xr

    created = created or dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000")
    nodes = {}
    for index, channel in enumerate(vis.channels):
        name = re.sub(r"[^A-Za-z0-9.+-]", "_", f"{vis.scan}_{index:03d}_{channel.name}")
        nodes[name] = _dataset(vis, channel, uvw, created)
    root = xr.Dataset(attrs={"type": "processing_set"})
    tree = xr.DataTree.from_dict({"/": root} | nodes)
    with warnings.catch_warnings():
        # Zarr 3 has no final specification of text arrays yet
        warnings.filterwarnings("ignore", message=".*(does not have a Zarr V3 spec|onsolidated).*")
        tree.to_zarr(str(path), mode="w", consolidated=False)


def read_visibilities(path: str | Path) -> Visibilities:
    """Read back what `write_visibilities` wrote.

    Raises
    ------
    MissingDataError
        Where there is no store.
    FormatError
        Where it is none of ours, is damaged, or its delay model is not the one
        that its checksum was made of.
    """
    import xarray as xr

    place = str(path)
    if not Path(path).exists():
        raise MissingDataError(
            "there are no visibilities.", place=place, next_step="Correlate the scan first."
        )
    try:
        tree = xr.open_datatree(place, engine="zarr", consolidated=False)
        with tree:
            nodes = [tree[name].to_dataset().load() for name in sorted(tree.children)]
    except (OSError, ValueError, KeyError, RuntimeError) as fault:  # Runtime: a damaged chunk
        raise FormatError(
            f"this is no readable Zarr store: {fault}.", place=place, next_step=_REWRITE
        ) from fault
    if not nodes:
        raise FormatError("the store holds no channel.", place=place, next_step=_REWRITE)
    try:
        return _visibilities(nodes, place)
    except KeyError as fault:
        raise FormatError(f"{fault} is missing.", place=place, next_step=_REWRITE) from fault


def _dataset(
    vis: Visibilities, channel: ChannelVisibilities, uvw: ArrayLike | None, created: str
) -> xr.Dataset:
    import xarray as xr

    full = ("time", "baseline_id", "frequency", "polarization")
    width = float(channel.frequency[1] - channel.frequency[0])
    sigma_weight = _inverse_variance(vis, channel, width)
    seconds = np.floor(vis.epoch.second)
    whole, rest = seconds.astype(np.int64), (vis.epoch.second - seconds) * 1e9
    variables: dict[str, Any] = {
        "VISIBILITY": (full, channel.data, {"units": "arbitrary"}),
        "WEIGHT": (full, sigma_weight),
        "FLAG": (full, np.isnan(channel.data) | (sigma_weight == 0)),
        "EFFECTIVE_INTEGRATION_TIME": (
            full[:2],
            channel.weight.max(axis=2) * vis.integration[:, None],
            {"units": "s", "type": "quantity"},
        ),
        "VALID_FRACTION": (_FRACTION, channel.weight),
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
        coords=_coordinates(vis, channel, width, uvw is not None),
        attrs=_attributes(vis, uvw is not None, created),
    )


def _coordinates(
    vis: Visibilities, channel: ChannelVisibilities, width: float, uvw: bool
) -> dict[str, Any]:
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
        MODEL: json.dumps(_model_to_dict(vis.model)),
        CHECKSUM: vis.model.checksum(),
    }


def _inverse_variance(
    vis: Visibilities, channel: ChannelVisibilities, width: float
) -> NDArray[np.float64]:
    """Return 1/sigma^2 of a part of each visibility: 2 n / (P1 P2), n segments of 1 / width."""
    autos = {a: i for i, (a, b) in enumerate(vis.baselines) if a == b}
    segments = channel.weight * (vis.integration * width)[:, None, None]
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


def _visibilities(nodes: list[xr.Dataset], place: str) -> Visibilities:
    first = nodes[0]
    model = _model_from_dict(json.loads(first.attrs[MODEL]))
    if model.checksum() != first.attrs[CHECKSUM]:
        raise FormatError(
            f"the delay model has checksum {model.checksum()[:12]}, but "
            f"{first.attrs[CHECKSUM][:12]} is stated.",
            place=place,
            next_step=_REWRITE,
        )
    second = first["EPOCH_SECOND"].values + first["EPOCH_NANOSECOND"].values * 1e-9
    for node in nodes:
        if node["VALID_FRACTION"].dims != _FRACTION:
            raise FormatError(
                f"VALID_FRACTION has dimensions {node['VALID_FRACTION'].dims}, not {_FRACTION}.",
                place=place,
                next_step=_REWRITE,
            )
    pairs = zip(
        first["baseline_antenna1_name"].values, first["baseline_antenna2_name"].values, strict=True
    )
    return Visibilities(
        scan=model.scan,
        source=model.source,
        baselines=tuple((str(a), str(b)) for a, b in pairs),
        epoch=Epoch("utc", first["EPOCH_DAY"].values, second),
        integration=first["INTEGRATION_TIME"].values,
        channels=tuple(
            ChannelVisibilities(
                name=str(node["frequency"].attrs["spectral_window_name"]),
                frequency=node["frequency"].values,
                products=tuple(str(p) for p in node["polarization"].values),
                data=node["VISIBILITY"].values,
                weight=node["VALID_FRACTION"].values,
            )
            for node in nodes
        ),
        model=model,
    )


def _model_to_dict(model: DelayModel) -> dict[str, Any]:
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


def _model_from_dict(values: dict[str, Any]) -> DelayModel:
    def piecewise(part: dict[str, Any]) -> PiecewisePolynomial:
        day, second = part["start"]
        start = Epoch("utc", np.int64(day), np.float64(second))  # type: ignore[arg-type]
        return PiecewisePolynomial(start, part["interval"], np.array(part["coefficients"]))

    stations = {
        name: StationDelay(piecewise(s["delay"]), piecewise(s["clock"]))
        for name, s in values["stations"].items()
    }
    return DelayModel(values["scan"], values["source"], stations, values["inputs"])
