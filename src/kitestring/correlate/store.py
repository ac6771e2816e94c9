"""Visibilities on disk: an xarray DataTree in Zarr with the names of MSv4.

The tree has one node for each scan and channel (``scan_000_CH00``), with the
names, dimensions and attributes of the Measurement Set v4 schema of xradio.
What that schema has no place for stands beside it:

- ``VALID_FRACTION`` (time, baseline_id, polarization): `ChannelVisibilities.weight`.
- ``EPOCH_DAY`` (MJD, UTC), ``EPOCH_SECOND`` (whole second of the day) and
  ``EPOCH_NANOSECOND`` (time): epochs in full; the coordinate ``time``, a double
  of UNIX seconds, is good to 0.24 microsecond only.
- ``QUANTISATION_EFFICIENCY`` (time, baseline_id, polarization):
  `ChannelVisibilities.efficiency`, which ``WEIGHT`` holds already.
- the attributes ``kitestring_delay_model`` (JSON), ``kitestring_delay_model_checksum`` and
  ``kitestring_quantisation`` ("off", "gain" or "van-vleck").

``WEIGHT`` is 1/sigma^2 (sigma of the real or imaginary part), from the powers
of both stations in the autocorrelations; where these were not correlated, unit
power in each bin is taken. ``EFFECTIVE_INTEGRATION_TIME`` has no polarization
in MSv4: it is that of the product of which most is valid.

A store is laid out whole and then filled in blocks of integrations, each a
Zarr chunk along time. What is safely on the disk stands in its journal
(`kitestring.correlate.journal`). The root's metadata come last: until then no
reader takes it for a store.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from kitestring._write import write_atomically
from kitestring.correlate.gather import Integration
from kitestring.correlate.journal import (
    Journal,
    processor_kind,
    read_journal,
    sync_folder,
    write_journal,
)
from kitestring.correlate.layout import (
    BLOCK_ARRAYS,
    CHECKSUM,
    FRACTION,
    FULL,
    MODEL,
    QUANTISATION,
    fill_block,
    lay_out,
    model_from_dict,
    node_name,
    root_text,
)
from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.errors import ConfigurationError, FormatError, MissingDataError
from kitestring.model.time import Epoch

if TYPE_CHECKING:
    import xarray as xr

BLOCK_BYTES = 1 << 25
"""Most bytes of a block of more than one integration."""
_BYTES = 17  # of a visibility with its weight and flag
_ROOT = "zarr.json"
_REWRITE = "Correlate again, or restore the file."
_READ = ("VISIBILITY", "VALID_FRACTION", "QUANTISATION_EFFICIENCY", "EPOCH_DAY", "EPOCH_SECOND",
         "EPOCH_NANOSECOND", "INTEGRATION_TIME")  # fmt: skip


def block_length(vis: Visibilities) -> int:
    """Return how many integrations make a block of at most `BLOCK_BYTES`."""
    times = len(vis.epoch)
    each = _BYTES * sum(math.prod(c.data.shape[1:]) for c in vis.channels)
    return max(1, min(times, BLOCK_BYTES // max(1, each)))


class StoreWriter:
    """Fills a store block by block; what is there already is kept (see `open_writer`).

    Attributes
    ----------
    path : Path
        The store.
    done : int
        Integrations that are safely written. The next one that is added is this one.
    total : int
        Integrations of the scan.
    """

    def __init__(self, path: Path, vis: Visibilities, block: int, journal: Journal) -> None:
        self.path, self.total = path, len(vis.epoch)
        self._outline, self._block, self._journal = vis, block, journal
        self._waiting: list[Integration] = []

    @property
    def done(self) -> int:
        """Integrations that are safely written."""
        return self._journal.done

    def add(self, one: Integration) -> None:
        """Take in the next integration; a full block is written and seen on the disk.

        Raises
        ------
        ConfigurationError
            Where it cannot be written (a full disk). What was written before stays.
        """
        self._waiting.append(one)
        reached = self.done + len(self._waiting)
        if len(self._waiting) < self._block and reached < self.total:
            return
        with self._written():
            fill_block(self.path, self._block_of(self._waiting), self.done)
            self._sync(self.done // self._block)
            self._journal = replace(self._journal, done=reached)
            write_journal(self.path, self._journal)
        self._waiting = []

    def finish(self) -> None:
        """Make the store one that readers take."""
        with self._written():
            write_atomically(self.path / _ROOT, root_text())
            sync_folder(self.path)

    def _block_of(self, some: Sequence[Integration]) -> Visibilities:
        which = slice(self.done, self.done + len(some))
        channels = [
            replace(
                channel,
                data=np.stack([one.data[c] for one in some]),
                weight=np.stack([one.weight[c] for one in some]),
                efficiency=np.stack([one.efficiency[c] for one in some]),
            )
            for c, channel in enumerate(self._outline.channels)
        ]
        return replace(
            self._outline,
            epoch=self._outline.epoch[which],
            integration=self._outline.integration[which],
            channels=tuple(channels),
        )

    def _sync(self, block: int) -> None:
        for array in _arrays(self.path, self._outline):
            _sync_tree(array / "c" / str(block))
            sync_folder(array / "c")

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            raise ConfigurationError(
                f"the visibilities cannot be written ({fault.strerror or fault}); "
                f"{self.done} of {self.total} integrations are safe.",
                place=str(self.path),
                next_step="Free some space, or make the folder writable; the same correlation "
                "then goes on from there.",
            ) from fault


def open_writer(
    path: str | Path,
    vis: Visibilities,
    *,
    inputs: str,
    block: int,
    created: str,
    uvw: Callable[[], ArrayLike] | None = None,
    again: bool = False,
    processor: str = "",
) -> StoreWriter:
    """Return a writer that goes on where a store of the same inputs was left, or begins one.

    Parameters
    ----------
    path : str or Path
        Directory of the store. A store of other inputs is replaced.
    vis : Visibilities
        What it will hold; data and weights are not looked at.
    inputs : str
        Digest of all that it depends on.
    block : int
        Integrations in a block.
    uvw : callable, optional
        Returns POSITION2 - POSITION1, m, shape (time, baseline, 3).
    created : str
        Date of creation, ISO 8601; now unless given.
    again : bool
        Whether to begin anew in any case.
    processor : str
        Kind of processor that it is made on; that of this machine unless given.

    Raises
    ------
    ConfigurationError
        Where something else lies at `path`, or it cannot be written.
    """
    path = Path(path)
    held = read_journal(path)
    if held is not None and held.inputs == inputs and not again and _is_laid_out(path, vis):
        _drop_unsafe(path, vis, -(-held.done // block))
        return StoreWriter(path, vis, block, held)
    refuse_foreign(path)
    begun = Journal(inputs, processor or processor_kind(), 0, len(vis.epoch))
    fresh = StoreWriter(path, vis, block, begun)
    places = uvw() if uvw is not None else None
    with fresh._written():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_journal(path, Journal())  # what lies here is ours, and nothing of it counts
        if path.exists():
            shutil.rmtree(path)
        path.mkdir()
        lay_out(path, vis, block, places, created)
        _sync_tree(path)
        write_journal(path, fresh._journal)
    return fresh


def refuse_foreign(path: Path) -> None:
    """See that nothing but a store of ours would be replaced.

    Raises
    ------
    ConfigurationError
        Where something else lies there.
    """
    if not path.exists() or read_journal(path) is not None:
        return
    if path.is_dir():
        try:
            held = json.loads((path / _ROOT).read_text(encoding="utf-8"))
            ours = held["attributes"]["type"] == "processing_set"
        except (OSError, ValueError, KeyError, TypeError):
            ours = False
        if ours or not any(path.iterdir()):
            return
    raise ConfigurationError(
        "something else than visibilities lies there.",
        place=str(path),
        next_step="Name another place, or remove it.",
    )


def read_visibilities(
    path: str | Path,
    *,
    times: slice | None = None,
    channels: Sequence[int] | None = None,
) -> Visibilities:
    """Read back what `kitestring.correlate.stored.correlate_to_store` wrote.

    Parameters
    ----------
    path : str or Path
        Directory of the store.
    times : slice, optional
        Which integrations, by index; all of them unless given.
    channels : sequence of int, optional
        Which channels, by index; all of them unless given.

    Raises
    ------
    MissingDataError
        Where there is no store, or it is not finished.
    FormatError
        Where it is none of ours, is damaged, or its delay model is not the one
        that its checksum was made of.
    ConfigurationError
        Where it has no such channel, or `times` holds no integration.
    """
    with _opened(path) as nodes:
        if channels is not None:
            if any(not 0 <= c < len(nodes) for c in channels) or not channels:
                raise ConfigurationError(
                    f"it has no channels {list(channels)}.",
                    place=str(path),
                    next_step=f"Channels count from 0 to {len(nodes) - 1}.",
                )
            nodes = [nodes[c] for c in channels]
        if times is not None:
            nodes = [node.isel(time=times) for node in nodes]
        if not nodes[0].sizes["time"]:
            raise ConfigurationError(
                f"{times} holds no integration.",
                place=str(path),
                next_step="Integrations count from 0.",
            )
        return _visibilities([node.load() for node in nodes], str(path))


def mean_visibilities(path: str | Path) -> Visibilities:
    """Return a scan's visibilities as one integration: the mean over its valid samples.

    Blocks are read one after the other: a scan of any length takes little memory.

    Raises
    ------
    MissingDataError, FormatError
        As `read_visibilities`.
    """
    with _opened(path) as nodes:
        begin = [node.isel(time=slice(0, 1)).load() for node in nodes]
        whole = _visibilities(begin, str(path))
        length = nodes[0]["INTEGRATION_TIME"].values
        total = float(length.sum())
        found = []
        for c, node in enumerate(nodes):
            step = int(node["VISIBILITY"].encoding["chunks"][0])
            data = np.zeros([node.sizes[d] for d in FULL[1:]], dtype=np.complex128)
            amount = np.zeros([node.sizes[d] for d in FRACTION[1:]])
            served = np.zeros_like(amount)
            for low in range(0, len(length), step):
                some = node.isel(time=slice(low, low + step))
                weight = some["VALID_FRACTION"].values * length[low : low + step, None, None]
                values = np.where(weight[:, :, None] > 0, some["VISIBILITY"].values, 0.0)
                data += np.einsum("tbp,tbfp->bfp", weight, values)
                amount += weight.sum(axis=0)
                served += (weight * some["QUANTISATION_EFFICIENCY"].values).sum(axis=0)
            there = amount[:, None]
            efficiency = np.ones_like(amount)
            np.divide(served, amount, out=efficiency, where=amount > 0)
            mean = np.full_like(data, np.nan)
            np.divide(data, there, out=mean, where=there > 0)
            found.append(
                replace(
                    whole.channels[c],
                    data=mean[None].astype(np.complex64),
                    weight=amount[None] / total,
                    efficiency=efficiency[None],
                )
            )
        first = whole.epoch[0].shifted(-0.5 * length[0])
        return replace(
            whole,
            epoch=first.shifted(np.array([0.5 * total])),
            integration=np.array([total]),
            channels=tuple(found),
        )


@contextmanager
def _opened(path: str | Path) -> Iterator[list[xr.Dataset]]:
    """Give a store's nodes, not yet loaded, and tell damage by its name."""
    import xarray as xr

    place = str(path)
    _check_finished(Path(path))
    try:
        with xr.open_datatree(place, engine="zarr", consolidated=False) as tree:
            names = sorted(tree.children)
            for name in names:
                _check_whole(Path(path) / name, place)
            nodes = [tree[name].to_dataset() for name in names]
            if not nodes:
                raise FormatError("the store holds no channel.", place=place, next_step=_REWRITE)
            yield [node[list(_READ)] for node in nodes]
    except (OSError, ValueError, RuntimeError) as fault:  # Runtime: a damaged chunk
        raise FormatError(
            f"this is no readable Zarr store: {fault}.", place=place, next_step=_REWRITE
        ) from fault
    except KeyError as fault:
        raise FormatError(f"{fault} is missing.", place=place, next_step=_REWRITE) from fault


def _check_finished(path: Path) -> None:
    if not path.exists():
        raise MissingDataError(
            "there are no visibilities.", place=str(path), next_step="Correlate the scan first."
        )
    journal = read_journal(path)
    if (path / _ROOT).exists():
        return
    if journal is None:
        raise FormatError(
            "this is no finished store of visibilities.", place=str(path), next_step=_REWRITE
        )
    raise MissingDataError(
        f"only {journal.done} of {journal.total or 'its'} integrations are written: the "
        "correlation was interrupted, or is still going on.",
        place=str(path),
        next_step="Run the same correlation again: it goes on from there.",
    )


def _check_whole(node: Path, place: str) -> None:
    """See that no chunk is missing: Zarr would read it as one that holds nothing."""
    for name in BLOCK_ARRAYS:
        held = json.loads((node / name / _ROOT).read_text(encoding="utf-8"))
        cut = held["chunk_grid"]["configuration"]["chunk_shape"]
        wanted = math.prod(-(-n // c) for n, c in zip(held["shape"], cut, strict=True))
        there = sum(len(files) for _, _, files in os.walk(node / name / "c"))
        if there != wanted:
            raise FormatError(
                f"{node.name}/{name} has {there} chunks of {wanted}.",
                place=place,
                next_step=_REWRITE,
            )


def _arrays(path: Path, vis: Visibilities) -> Iterator[Path]:
    for index in range(len(vis.channels)):
        for name in BLOCK_ARRAYS:
            yield path / node_name(vis, index) / name


def _is_laid_out(path: Path, vis: Visibilities) -> bool:
    return all((array / _ROOT).is_file() for array in _arrays(path, vis))


def _drop_unsafe(path: Path, vis: Visibilities, blocks: int) -> None:
    """Remove what was being written when it ended: all after the first `blocks`."""
    for array in _arrays(path, vis):
        for entry in (array / "c").iterdir() if (array / "c").exists() else ():
            if entry.name.isdigit() and int(entry.name) < blocks:
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _sync_tree(folder: Path) -> None:
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            with Path(parent, name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))


def _visibilities(nodes: list[xr.Dataset], place: str) -> Visibilities:
    first = nodes[0]
    model = model_from_dict(json.loads(first.attrs[MODEL]))
    if model.checksum() != first.attrs[CHECKSUM]:
        raise FormatError(
            f"the delay model has checksum {model.checksum()[:12]}, but "
            f"{first.attrs[CHECKSUM][:12]} is stated.",
            place=place,
            next_step=_REWRITE,
        )
    second = first["EPOCH_SECOND"].values + first["EPOCH_NANOSECOND"].values * 1e-9
    for node in nodes:
        if node["VALID_FRACTION"].dims != FRACTION:
            raise FormatError(
                f"VALID_FRACTION has dimensions {node['VALID_FRACTION'].dims}, not {FRACTION}.",
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
                efficiency=node["QUANTISATION_EFFICIENCY"].values,
            )
            for node in nodes
        ),
        model=model,
        quantisation=first.attrs[QUANTISATION],
    )
