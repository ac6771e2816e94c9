"""Correlation that is written as it goes, and goes on where it was stopped."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import ArrayLike

from kitestring.correlate.engine import Threads, Workers, warn_of_unmatched
from kitestring.correlate.gather import chunks_from, gather, outline
from kitestring.correlate.journal import inputs_digest, processor_kind, read_journal
from kitestring.correlate.plan import Chunk, Plan
from kitestring.correlate.steering import steer
from kitestring.correlate.store import StoreWriter, block_length, open_writer
from kitestring.correlate.types import Visibilities
from kitestring.errors import KitestringWarning, RecordingError

BLOCK_SAMPLES = 1 << 34
"""Most samples of all stations and channels in a block of more than one integration: what an
interruption may cost."""


@dataclass(frozen=True)
class Stored:
    """What `correlate_to_store` has done.

    Attributes
    ----------
    path : Path
        The store.
    integrations : int
        Integrations of the scan.
    kept : int
        How many of them were there before.
    seconds : float
        Length of what was correlated now, s.
    """

    path: Path
    integrations: int
    kept: int
    seconds: float


def correlate_to_store(
    plan: Plan,
    path: str | Path,
    *,
    uvw: Callable[[Visibilities], ArrayLike] | None = None,
    created: str = "",
    stamp: str = "",
    again: bool = False,
    workers: Workers | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Stored:
    """Correlate a scan and write its visibilities as integrations finish.

    What was interrupted, in whatever way, goes on when it is called again with
    the same arguments, and gives the same bytes as if it had never been
    (on one kind of processor). Integrations are written in blocks; at most one block's
    work is lost. Memory does not grow with the length of the scan.

    Parameters
    ----------
    plan : Plan
        What to correlate (`kitestring.correlate.plan.make_plan`).
    path : str or Path
        Directory of the store. A finished or unfinished store of the same inputs is
        gone on with; one of other inputs is replaced.
    uvw : callable, optional
        Given the scan's outline (epochs and baselines without data), returns
        POSITION2 - POSITION1, m, shape (time, baseline, 3). Asked when a store is begun.
    created : str, optional
        Date of creation, ISO 8601; the scan's first label unless given.
    stamp : str
        What tells changed recordings from unchanged ones, such as their files' times
        of change; beside it some samples of each are looked at.
    again : bool
        Whether to begin anew even where the inputs are the same.
    workers : Workers, optional
        Who computes chunks; a thread for each processor unless given.
    progress : callable, optional
        Called with the seconds of the scan that are correlated and its length, first with
        what was there before.

    Returns
    -------
    Stored
        What was done.

    Warns
    -----
    RecordingWarning
        Names the channels that have no counterpart.
    KitestringWarning
        Where it was begun on another kind of processor: last bits may differ.

    Raises
    ------
    ConfigurationError
        Where something else lies at `path`, or it cannot be written (a full disk).
    RecordingError
        Where a recording can no longer be read. In both cases all that was written
        before is safe and gone on with.
    SpanError
        Where the delay model does not cover the scan; nothing is written then.
    """
    path = Path(path)
    warn_of_unmatched(plan, stacklevel=3)
    _check_span(plan)
    found = outline(plan)
    block = _block(plan, found)
    created = created or plan.start.iso(3)
    # those of a cluster may be others than here
    processor = str(getattr(workers, "processor", "")) or processor_kind()
    writer = open_writer(
        path,
        found,
        inputs=inputs_digest(plan, stamp, (block, created, uvw is not None)),
        block=block,
        uvw=None if uvw is None else lambda: uvw(found),
        created=created,
        again=again,
        processor=processor,
    )
    kept = writer.done
    if 0 < kept < writer.total:
        _check_processor(path, processor)
    before = float(found.integration[:kept].sum())
    total = float(found.integration.sum())
    if progress:
        progress(before, total)
    if kept < writer.total:
        _run(plan, writer, workers or Threads(), before, total, progress)
    if kept < writer.total or not (path / "zarr.json").exists():
        writer.finish()
    return Stored(path, writer.total, kept, total - before)


def _run(
    plan: Plan,
    writer: StoreWriter,
    workers: Workers,
    before: float,
    total: float,
    progress: Callable[[float, float], None] | None,
) -> None:
    """Correlate what a store lacks, and fill it."""
    kept = writer.done
    done = before

    def tell(chunk: Chunk) -> None:
        nonlocal done
        done += plan.segment * sum(p.segments for p in chunk.parts if p.integration >= kept)
        if progress:
            progress(min(done, total), total)

    chunks = chunks_from(plan, kept)
    # closing: an error or an interrupt leaves no thread at work
    with closing(workers(plan, chunks)) as sums:
        try:
            for one in gather(plan, chunks, sums, first=kept, progress=tell):
                writer.add(one)
        except RecordingError as problem:
            problem.message += f" {_safe(writer)}"
            problem.next_step += f" {_GO_ON}"
            raise
        except OSError as fault:  # the writer's own are told by it
            raise RecordingError(
                f"a recording can no longer be read ({fault.strerror or fault}). {_safe(writer)}",
                place=str(fault.filename or ""),
                next_step=f"Bring it back. {_GO_ON}",
            ) from fault


_GO_ON = "The same correlation then goes on from there."


def _safe(writer: StoreWriter) -> str:
    return f"{writer.done} of {writer.total} integrations are safe in {writer.path}."


def _check_span(plan: Plan) -> None:
    """See, before hours of work, that the delay model covers all of the scan."""
    for station in range(len(plan.recordings)):
        for chunk in (plan.chunks[0], plan.chunks[-1]):
            steer(plan, station, chunk)


def _block(plan: Plan, found: Visibilities) -> int:
    """Return how many integrations a block has."""
    samples = sum(plan.samples(item.station) for band in plan.bands for item in band.inputs)
    each = samples * max(1, round(float(found.integration.max()) / plan.segment))
    return min(block_length(found), max(1, BLOCK_SAMPLES // each))


def _check_processor(path: Path, here: str) -> None:
    journal = read_journal(path)
    if journal is not None and journal.processor != here:
        warnings.warn(
            f"{path}: begun on another kind of processor ({journal.processor}; now {here}): "
            "last bits of the visibilities will not be those of one run.",
            KitestringWarning,
            stacklevel=4,
        )
