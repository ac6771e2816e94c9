"""A Dask cluster: the bytes that threads give, whatever happens to its workers."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from kitestring import errors
from kitestring.correlate import cluster
from kitestring.correlate._told import Told, gathered
from kitestring.correlate.cluster import Cluster
from kitestring.correlate.engine import Threads
from kitestring.correlate.journal import processor_kind, read_journal
from kitestring.correlate.plan import make_plan
from kitestring.correlate.stored import correlate_to_store
from kitestring.errors import (
    ConfigurationError,
    KitestringError,
    KitestringWarning,
    RecordingError,
    RecordingWarning,
    UnknownNameError,
)
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.open import open_recording
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif_writer import VdifWriter
from kitestring.session.run import _folder

START = Epoch.from_iso("2026-03-01T10:00:00")
RATE, BINS, INTEGRATIONS, LENGTH = 1.024e6, 32, 12, 0.064
CHANNELS = (Channel("CH0", 8.4e9, 1, RATE), Channel("CH1", 8.41e9, 1, RATE))

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for k, name in enumerate(("AA", "BB")):
        path = folder / f"{name}.vdif"
        with VdifWriter(path, station=name, start=START, channels=CHANNELS, bits=2) as writer:
            frames = int(RATE) // writer.frame_samples
            codes = np.random.default_rng(k).integers(0, 4, (2, frames * writer.frame_samples))
            writer.write_codes(codes.astype(np.uint8))
    return folder


@pytest.fixture
def plan(recordings, monkeypatch):
    """A plan of six chunks of two integrations."""
    monkeypatch.setattr("kitestring.correlate.plan.CHUNK_SAMPLES", int(8 * LENGTH * RATE))
    return plan_of(recordings)


def plan_of(recordings):
    zero = PiecewisePolynomial(START, 10.0, np.zeros((1, 1)))
    line = PiecewisePolynomial(START, 10.0, np.array([[1e-4, 1e-7]]))
    stations = {"AA": StationDelay(zero, zero), "BB": StationDelay(line, zero)}
    opened = [
        open_recording(recordings / f"{name}.vdif", station=name, channels=CHANNELS)
        for name in stations
    ]
    model = DelayModel("scan1", "0000+000", stations)
    stop = START.shifted(INTEGRATIONS * LENGTH)
    return make_plan(opened, model, bins=BINS, start=START, stop=stop, integration=LENGTH)


@pytest.fixture(scope="module")
def local():
    """Two workers, for all tests that leave them as they are."""
    with Cluster(workers=2) as workers:
        yield workers


def contents(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_its_bytes_are_those_of_threads(plan, local, tmp_path):
    assert len(plan.chunks) == INTEGRATIONS // 2
    correlate_to_store(plan, tmp_path / "threads.zarr", workers=Threads(1))
    correlate_to_store(plan, tmp_path / "cluster.zarr", workers=local)
    assert contents(tmp_path / "cluster.zarr") == contents(tmp_path / "threads.zarr")
    assert read_journal(tmp_path / "cluster.zarr").processor == processor_kind()


def test_few_chunks_are_in_flight(plan, local, monkeypatch):
    sent, most = [], []
    submit = local.client.submit
    monkeypatch.setattr(
        local.client, "submit", lambda *a, **k: sent.append(k["key"]) or submit(*a, **k)
    )
    chunks = plan.chunks * 5
    for k, _ in enumerate(local(plan, chunks)):
        most.append(sum(key.startswith("chunk") for key in sent) - k)
    assert len(most) == len(chunks)
    assert max(most) == 2 * 2 + 2  # of two workers
    assert most[-1] == 1


def slow_chunk(plan, chunk):
    from kitestring.correlate.engine import correlate_chunk

    time.sleep(0.5)
    return correlate_chunk(plan, chunk)


def killing_chunk(plan, chunk):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_loses_nothing(plan, tmp_path):
    correlate_to_store(plan, tmp_path / "threads.zarr", workers=Threads(1))
    with Cluster(workers=2, engine=slow_chunk) as workers:
        pids = workers.client.run(os.getpid)

        def kill(done, total):
            if done > 0.3 * total and pids:
                os.kill(pids.popitem()[1], signal.SIGKILL)
                pids.clear()

        correlate_to_store(plan, tmp_path / "cluster.zarr", workers=workers, progress=kill)
    assert not pids
    assert contents(tmp_path / "cluster.zarr") == contents(tmp_path / "threads.zarr")


def test_a_recording_that_a_worker_lacks_is_named(plan, local, recordings, tmp_path):
    lacking, away = recordings / "BB.vdif", recordings / "away"
    lacking.rename(away)
    try:
        with pytest.raises(RecordingError, match=r"BB\.vdif: the worker on .* cannot open it"):
            correlate_to_store(plan, tmp_path / "a.zarr", workers=local)
    finally:
        away.rename(lacking)
    assert correlate_to_store(plan, tmp_path / "a.zarr", workers=local).kept == 0


def failing_chunk(plan, chunk):
    raise RecordingError("the disk is gone.", place="AA.vdif", next_step="Look.")


def test_an_error_of_a_worker_is_that_of_a_thread(plan, local, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_engine", failing_chunk)
    with pytest.raises(RecordingError, match=r"AA\.vdif: the disk is gone.*0 of 12"):
        correlate_to_store(plan, tmp_path / "b.zarr", workers=local)


def test_other_versions_are_refused(plan, local, monkeypatch):
    monkeypatch.setattr(cluster, "__version__", "9.9")
    with pytest.raises(ConfigurationError, match=r"has kitestring .*, here it is 9\.9"):
        next(local(plan, plan.chunks))
    with pytest.raises(ConfigurationError, match=r"kitestring\[cluster\]==9\.9"):
        local._meet()


def test_other_processors_are_told(local, monkeypatch):
    monkeypatch.setattr(local, "_kinds", {"z80"})
    with pytest.warns(KitestringWarning, match="processors of the cluster differ .*z80"):
        local._meet()
    assert local.processor == "; ".join(sorted({"z80", processor_kind()}))


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError, match=r'pip install "kitestring\[cluster\]"'):
        Cluster().__enter__()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x", "a b:c"])
def test_a_wrong_address_is_told(address):
    with pytest.raises(ConfigurationError, match="no Dask cluster with a worker answers at"):
        Cluster(address, wait=0.5).__enter__()


def test_a_scheduler_without_workers_is_told():
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty,
        pytest.raises(ConfigurationError, match="no Dask cluster with a worker answers at"),
    ):
        Cluster(empty.scheduler_address, wait=0.5).__enter__()


@pytest.mark.parametrize("address", ["", "10.0.0.1"])
def test_what_is_no_address_is_told(address):
    with pytest.raises(ConfigurationError, match="no address of a Dask cluster"):
        Cluster(address)


def test_workers_cannot_be_asked_of_a_cluster_that_runs():
    with pytest.raises(ConfigurationError, match="has the workers that were started there"):
        Cluster("tcp://10.0.0.1:8786", workers=2)


def test_paths_are_those_of_the_client(recordings, plan, local, tmp_path, monkeypatch):
    correlate_to_store(plan, tmp_path / "threads.zarr", workers=Threads(1))
    monkeypatch.chdir(recordings)  # workers stay where they were started
    correlate_to_store(plan_of(Path()), tmp_path / "cluster.zarr", workers=local)
    assert contents(tmp_path / "cluster.zarr") == contents(tmp_path / "threads.zarr")


def test_a_session_has_a_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("session.toml").touch()
    for given in ("", ".", "session.toml", Path()):
        assert _folder(given) == tmp_path


def warning_chunk(plan, chunk):
    from kitestring.correlate.engine import correlate_chunk

    warnings.warn("AA: frames are missing.", RecordingWarning, stacklevel=2)
    warnings.warn(f"AA: {chunk.first} is invalid.", RecordingWarning, stacklevel=2)
    return correlate_chunk(plan, chunk)


@pytest.mark.parametrize("run", [1, 2])  # workers remember what they have shown
def test_what_workers_warn_of_is_told_once(plan, local, tmp_path, monkeypatch, run):
    monkeypatch.setattr(local, "_engine", warning_chunk)
    with pytest.warns(RecordingWarning) as told:
        correlate_to_store(plan, tmp_path / "a.zarr", workers=local)
    texts = [str(one.message) for one in told]
    assert texts[0] == "AA: frames are missing."
    assert texts[1:] == [f"AA: {chunk.first} is invalid." for chunk in plan.chunks]


def test_warnings_are_those_of_their_thread():
    both, found = threading.Barrier(2, timeout=5), {}

    def gather(name):
        both.wait()
        with gathered() as told:
            both.wait()  # both gather
            warnings.warn(name, RecordingWarning, stacklevel=1)
            both.wait()
        found[name] = told

    threads = [threading.Thread(target=gather, args=(name,)) for name in "ab"]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == {name: [Told(RecordingWarning, name)] for name in "ab"}

    def beside():
        thread = threading.Thread(target=warnings.warn, args=("not gathered", KitestringWarning))
        thread.start()
        thread.join()

    with pytest.warns(KitestringWarning, match="not gathered"), gathered():
        beside()


SCHEDULER = """
import time
from distributed import LocalCluster
with LocalCluster(1, protocol="tcp", processes=False, dashboard_address=":0") as c:
    print(c.scheduler_address, flush=True)
    time.sleep(60)
"""


@contextmanager
def other_process():
    """Run a scheduler and its worker elsewhere; give the process and the address."""
    with subprocess.Popen([sys.executable, "-c", SCHEDULER], stdout=subprocess.PIPE) as process:
        try:
            yield process, process.stdout.readline().decode().strip()
        finally:
            process.kill()


def test_a_scheduler_that_is_lost_is_told(plan, tmp_path):
    correlate_to_store(plan, tmp_path / "threads.zarr", workers=Threads(1))
    with other_process() as (process, address):
        text = rf"the scheduler at {address} is gone.*Start `dask scheduler` again.*goes on from"

        def kill(done, total):
            if done > 0.3 * total:
                process.kill()

        with pytest.raises(ConfigurationError, match=text), Cluster(address, wait=0.5) as workers:
            correlate_to_store(plan, tmp_path / "a.zarr", workers=workers, progress=kill)
    again = correlate_to_store(plan, tmp_path / "a.zarr", workers=Threads(1))
    assert again.integrations == INTEGRATIONS
    assert contents(tmp_path / "a.zarr") == contents(tmp_path / "threads.zarr")


def test_a_client_that_is_closed_is_told(plan, local):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as other,
        Cluster(other.scheduler_address, wait=0.5) as workers,
    ):
        sums = workers(plan, plan.chunks)
        next(sums)
        workers.client.close()
        with pytest.raises(ConfigurationError, match="is gone, or has dropped the work"):
            list(sums)


def test_a_cluster_that_no_worker_is_left_of_is_told(plan, monkeypatch):
    monkeypatch.setattr(cluster, "POLL", 0.1)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as other,
        Cluster(other.scheduler_address, wait=1.0) as workers,
    ):
        sums = workers(plan, plan.chunks * 3)
        next(sums)
        other.scale(0)
        begun = time.monotonic()
        text = f"no worker is left at {other.scheduler_address}"
        with (
            pytest.warns(KitestringWarning, match=f"{text}; another is waited for, 1 s") as told,
            pytest.raises(ConfigurationError, match=rf"{text}\. Start `dask worker .*goes on from"),
        ):
            list(sums)
        assert time.monotonic() - begun >= 1.0
        assert len([one for one in told if "no worker" in str(one.message)]) == 1


def test_a_worker_that_comes_late_goes_on(plan, monkeypatch):
    monkeypatch.setattr(cluster, "POLL", 0.1)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as other,
        Cluster(other.scheduler_address, wait=5.0) as workers,
    ):
        sums = workers(plan, plan.chunks * 3)
        next(sums)
        other.scale(0)
        late = threading.Timer(1.0, other.scale, args=(1,))
        late.start()
        with pytest.warns(KitestringWarning, match="no worker is left"):
            rest = list(sums)
        assert len(rest) == 3 * len(plan.chunks) - 1


ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, KitestringError) and kind != UnknownNameError
]


@pytest.mark.parametrize("through", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
@pytest.mark.parametrize(
    "error",
    [kind("it is gone.", place="AA.vdif", next_step="Look.") for kind in ERRORS]
    + [UnknownNameError("station", "TIANMA", ["TIANMA65", "URUMQI"], place="late.toml")],
    ids=lambda e: type(e).__name__,
)
def test_errors_survive_the_way_from_a_worker(error, through):
    error.message += " 3 of 12 integrations are safe."  # as who passes it on may add
    found = through(error)
    assert type(found) is type(error)
    assert vars(found) == vars(error)
    assert str(found) == str(error)
    assert found.args == error.args
    assert found.place
    assert found.next_step
