"""The same chunks on a Dask cluster: the same bytes out, whichever worker computes which.

Needs the extra ``cluster`` (``distributed``). Every worker opens the recordings itself,
at the whole paths that they have here: workers on other machines need the same folders. What
a worker that dies was doing, and what it had finished and not handed over, another does
again. Where none is left, or the scheduler is gone, an error says so after a while.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import time
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import wait as wait_for
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from uuid import uuid4

from kitestring import __version__
from kitestring._threads import default_threads
from kitestring.correlate._told import Told, gathered
from kitestring.correlate.engine import correlate_chunk
from kitestring.correlate.journal import processor_kind
from kitestring.correlate.plan import Chunk, ChunkSums, Engine, Plan
from kitestring.errors import (
    ConfigurationError,
    KitestringError,
    KitestringWarning,
    RecordingError,
)

LOCAL = "local"
"""The address that stands for a cluster which is started here."""
WAIT = 30.0
"""Seconds to wait for a scheduler, for a first worker, and for another where none is left."""
POLL = 1.0
"""Seconds between looks at whether a worker is left, while a chunk is waited for."""


class Cluster:
    """Runs chunks on the workers of a Dask cluster (see `Workers`); a context manager.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.1:8786``, or ``"local"``: workers
        of one thread each are then started on this machine, and ended on leaving.
    workers : int, optional
        How many are started here; as many as there are processors unless given.
    engine : Engine, optional
        What computes a chunk; `correlate_chunk` unless given.
    wait : float
        How long a scheduler, a first worker, and another where none is left are waited for, s.

    Attributes
    ----------
    client : distributed.Client
        Dask's own, between entering and leaving.
    processor : str
        Kinds of the workers' processors.

    Raises
    ------
    ConfigurationError
        Where the address is none, or a number of workers is asked for of a cluster that
        runs already. On entering: where Dask is not installed, no cluster or worker
        answers, or a worker has another version of this software.

    Warns
    -----
    KitestringWarning
        Where workers have different kinds of processors: last bits depend on them; where no
        worker is left; and whatever workers warn of, once.

    Examples
    --------
    ::

        with Cluster("tcp://10.0.0.1:8786") as workers:
            correlate_to_store(plan, "No0001.zarr", workers=workers)

    A program that starts workers on its own machine must keep what it runs below
    ``if __name__ == "__main__":``, as each of them imports it.
    """

    def __init__(
        self,
        address: str = LOCAL,
        *,
        workers: int | None = None,
        engine: Engine = correlate_chunk,
        wait: float = WAIT,
    ) -> None:
        if workers is not None and address != LOCAL:
            raise ConfigurationError(
                f"{address} has the workers that were started there; {workers} cannot be asked "
                "for.",
                next_step=f'Leave their number out, or take the address "{LOCAL}".',
            )
        if address != LOCAL and ":" not in address:  # Dask would start a cluster for an empty one
            raise ConfigurationError(
                f"{address!r} is no address of a Dask cluster.",
                next_step=f'It looks like tcp://10.0.0.1:8786; "{LOCAL}" starts one here.',
            )
        self.address, self._count, self._engine, self._wait = address, workers, engine, wait
        self.client: Any = None
        self._open = ExitStack()
        self._kinds: set[str] = set()

    @property
    def processor(self) -> str:
        """Kinds of the workers' processors."""
        return "; ".join(sorted(self._kinds))

    def __enter__(self) -> Self:
        try:
            import distributed
        except ImportError as fault:
            raise ConfigurationError(
                "a cluster needs Dask, which is not installed.",
                next_step='Run: pip install "kitestring[cluster]".',
            ) from fault
        with ExitStack() as opened:
            try:
                target = self.address
                if target == LOCAL:
                    target = opened.enter_context(_local_cluster(self._count))
                self.client = opened.enter_context(
                    distributed.Client(target, timeout=self._wait, set_as_default=False)
                )
                self.client.wait_for_workers(1, timeout=self._wait)
            except (OSError, ValueError, TimeoutError) as fault:
                raise ConfigurationError(
                    f"no Dask cluster with a worker answers at {self.address} ({fault}).",
                    next_step="Start `dask scheduler`, and on each machine `dask worker ADDRESS`; "
                    f'or take "{LOCAL}".',
                ) from fault
            with self._reached():
                self._meet()
            self._open = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client = None
        self._open.close()

    def __call__(self, plan: Plan, chunks: Sequence[Chunk]) -> Generator[ChunkSums, None, None]:
        """Yield the sums of chunks in order, few of them in flight at a time.

        Raises
        ------
        KitestringError
            What a worker raises, and where one chunk ends several workers.
        ConfigurationError
            Where no worker is left for as long as `wait`, or the scheduler is gone.

        Warns
        -----
        KitestringWarning
            What workers warn of, once for each text; and where no worker is left.
        """
        client, run = self.client, uuid4().hex
        # chunks go one by one. The rest of the plan goes to each worker once, as bytes: the
        # scheduler, which may lack the recordings, does not open them
        packed = Packed(run, _packed(replace(plan, chunks=())))
        waiting: deque[Any] = deque()
        told: set[Told] = set()
        with self._reached():
            sent = client.submit(_same, packed, key=f"plan-{run}")
        try:
            for k, chunk in enumerate(chunks):
                key = f"chunk-{run}-{k}"
                with self._reached():
                    waiting.append(
                        client.submit(_compute, self._engine, sent, chunk, __version__, key=key)
                    )
                    full = len(waiting) > 2 * self._threads() + 1
                if full:
                    yield self._fetch(waiting, told)
            while waiting:
                yield self._fetch(waiting, told)
        finally:  # an error or an interrupt leaves nothing at work
            with suppress(Exception):
                client.cancel([*waiting, sent], force=True)

    def _fetch(self, waiting: deque[Any], told: set[Told]) -> ChunkSums:
        """Wait for the oldest chunk; give the warnings of its worker that are not in `told`."""
        from distributed import KilledWorker

        future = waiting.popleft()
        try:
            with self._reached(future):
                done: Computed = self._result(future)
        except KilledWorker as fault:
            raise KitestringError(
                f"one chunk has ended several workers ({fault}).",
                next_step="See their logs: they may need more memory, or fewer threads each.",
            ) from fault
        self._note({done.processor})
        for one in done.told:
            if one not in told:
                told.add(one)
                warnings.warn(one.text, one.kind, stacklevel=3)
        return done.sums

    def _result(self, future: Any) -> Any:
        """Wait for a result, as long as there are workers."""

        async def bring() -> Any:
            return await future.result()

        # begun once and looked at: to ask anew after each wait would begin a long transfer anew
        job = asyncio.run_coroutine_threadsafe(bring(), self.client.loop.asyncio_loop)
        left: float | None = None  # when there was none first
        try:
            while not wait_for([job], min(POLL, self._wait)).done:
                if self._threads():
                    left = None
                    continue
                if left is None:
                    left = time.monotonic()
                    warnings.warn(
                        f"no worker is left at {self.address}; another is waited for, "
                        f"{self._wait:g} s.",
                        KitestringWarning,
                        stacklevel=4,
                    )
                if time.monotonic() - left >= self._wait:
                    raise ConfigurationError(
                        f"no worker is left at {self.address}.",
                        next_step=f"{self._remedy('worker')} {_GO_ON}",
                    )
            return job.result()
        finally:
            job.cancel()

    def _threads(self) -> int:
        """Return the number of threads of all workers that the scheduler knows."""
        return sum(self.client.nthreads(callback_timeout=self._wait).values())

    @contextmanager
    def _reached(self, future: Any = None) -> Iterator[None]:
        """Tell of a scheduler that is gone; what the task of `future` raised is no sign of it."""
        try:
            yield
        except KitestringError:
            raise
        except Exception as fault:
            if future is not None and future.status == "error":
                raise
            # Dask's own are of these; once it has closed its client, it raises others, too
            if not isinstance(fault, OSError | CancelledError) and self.client.status == "running":
                raise
            why = getattr(fault, "reason", None) or str(fault).partition("\n")[0]
            raise ConfigurationError(
                f"the scheduler at {self.address} is gone, or has dropped the work ({why}).",
                next_step=f"{self._remedy('scheduler')} {_GO_ON}",
            ) from fault

    def _remedy(self, lacking: str) -> str:
        """Return what to start where a worker, or a scheduler and its workers, lack."""
        if self.address == LOCAL:
            return "Correlate again: that starts another cluster here."
        worker = f"`dask worker {self.address}`"
        if lacking == "worker":
            return f"Start {worker}."
        return f"Start `dask scheduler` again and, where they have ended, workers ({worker})."

    def _meet(self) -> None:
        """See what the workers are; some may come later."""
        try:
            about = self.client.run(_about)
        except (ImportError, AttributeError) as fault:
            raise ConfigurationError(
                f"a worker at {self.address} lacks this software ({fault}).",
                next_step=f"Install kitestring[cluster]=={__version__} for each worker.",
            ) from fault
        for version, _, host in about.values():
            _check_version(version, __version__, host)
        self._note({kind for _, kind, _ in about.values()})

    def _note(self, kinds: set[str]) -> None:
        """Take in kinds of processors; warn where there are several."""
        known = len(self._kinds)
        self._kinds |= kinds
        if len(self._kinds) > max(known, 1):
            warnings.warn(
                f"the processors of the cluster differ ({self.processor}): last bits of the "
                "visibilities depend on which of them computed what.",
                KitestringWarning,
                stacklevel=3,
            )


def _local_cluster(workers: int | None) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers or default_threads(),
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",  # any free port
        memory_limit=0,  # chunks are bounded; a limit would only end workers
        silence_logs="CRITICAL",
    )


def _about() -> tuple[str, str, str]:
    """Return a worker's version of this software, its kind of processor and its machine."""
    return __version__, processor_kind(), socket.gethostname()


def _check_version(theirs: str, ours: str, host: str) -> None:
    if theirs != ours:
        raise ConfigurationError(
            f"a worker on {host} has kitestring {theirs}, here it is {ours}: the bytes may differ.",
            next_step=f"Install kitestring[cluster]=={ours} for each worker.",
        )


_GO_ON = "The same correlation then goes on from what is written."


class _WholePaths(pickle.Pickler):
    """Pickles relative paths as absolute ones: a worker has another working folder."""

    def reducer_override(self, given: object) -> Any:
        if isinstance(given, Path) and not given.is_absolute():
            return given.absolute().__reduce__()
        return NotImplemented


def _packed(plan: Plan) -> bytes:
    into = BytesIO()
    _WholePaths(into).dump(plan)
    return into.getvalue()


class Packed(NamedTuple):
    """A plan as bytes, and the run that it is of: files may change from run to run."""

    run: str
    plan: bytes


def _same(packed: Packed) -> Packed:
    """Return what was sent: the result of a task outlives the worker that holds it."""
    return packed


@lru_cache(maxsize=2)
def _opened(packed: Packed) -> Plan:
    """Return a plan; its recordings are opened on this machine."""
    try:
        plan: Plan = pickle.loads(packed.plan)
    except (KitestringError, OSError) as fault:
        place = fault.place if isinstance(fault, KitestringError) else str(fault.filename or "")
        told = fault.message if isinstance(fault, KitestringError) else f"{fault.strerror}."
        raise RecordingError(
            f"the worker on {socket.gethostname()} cannot open it: {told}",
            place=place,
            next_step="Give that machine the same folder at the same path.",
        ) from fault
    return plan


class Computed(NamedTuple):
    """What a worker hands over of a chunk: its kind of processor, sums, and warnings."""

    processor: str
    sums: ChunkSums
    told: tuple[Told, ...]


def _compute(engine: Engine, packed: Packed, chunk: Chunk, version: str) -> Computed:
    """Compute a chunk on a worker."""
    _check_version(__version__, version, socket.gethostname())
    with gathered() as told:
        sums = engine(_opened(packed), chunk)
    return Computed(processor_kind(), sums, tuple(dict.fromkeys(told)))
