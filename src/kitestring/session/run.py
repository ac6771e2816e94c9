"""Runs a session: the stages that apply and are not yet done, in order."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kitestring import __version__
from kitestring.errors import ConfigurationError, KitestringError, MissingDataError
from kitestring.session.file import Session, read_session
from kitestring.session.ledger import Event, Ledger, digest, file_stamp
from kitestring.session.media import media_files

Progress = Callable[[str, float], None]
"""Told (what is going on, fraction done 0..1)."""


def no_progress(what: str, fraction: float) -> None:
    """Show nothing."""


@dataclass
class Context:
    """What a stage works with.

    Attributes
    ----------
    directory : Path
        The session's directory.
    session : Session
        Its file.
    progress : Progress
        Where to tell how far it is.
    threads : int or None
        How many threads to use; None means one a core.
    inputs : str
        Digest of all that the running stage's outcome depends on.
    again : bool
        Whether to do anew what an earlier run has finished.
    cluster : str
        Address of a Dask cluster that correlates, or "local" for one that is started here;
        empty where threads do.
    """

    directory: Path
    session: Session
    progress: Progress = no_progress
    threads: int | None = None
    inputs: str = ""
    again: bool = False
    cluster: str = ""

    def path(self, name: str) -> Path:
        """Return a path of the session, relative names taken from its directory."""
        return self.directory / name


@dataclass(frozen=True)
class Outcome:
    """What a stage has done.

    Attributes
    ----------
    outputs : sequence of str
        Files written, relative to the session's directory.
    summary : mapping
        Figures worth telling.
    """

    outputs: Sequence[str] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One step of a session.

    Attributes
    ----------
    name : str
        As the ledger and the command line call it.
    applies : callable
        Whether a session has this step at all.
    inputs : callable
        Everything its outcome depends on, beside the stages in `after`.
    run : callable
        Does it.
    after : tuple of str
        Stages whose outputs it reads.
    """

    name: str
    applies: Callable[[Session], bool]
    inputs: Callable[[Context], list[object]]
    run: Callable[[Context], Outcome]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageStatus:
    """Where one stage stands.

    Attributes
    ----------
    name : str
        The stage.
    state : str
        ``"done"``, ``"to do"``, ``"failed"`` or ``"interrupted"``.
    summary : mapping
        Figures of the last time it finished.
    message : str
        Why it failed.
    """

    name: str
    state: str
    summary: Mapping[str, Any]
    message: str = ""


def _digests(context: Context, stages: Sequence[Stage]) -> dict[str, str]:
    """Return each stage's digest.

    A stage that reads another's outputs depends on its inputs, and all depend on
    the version: a release may move answers.
    """
    found: dict[str, str] = {}
    for stage in stages:
        earlier = [found[name] for name in stage.after if name in found]
        found[stage.name] = digest([__version__, stage.name, *earlier, *stage.inputs(context)])
    return found


def _folder(given: str | Path) -> Path:
    """Return a session's whole directory, also where its file is named.

    It outlives the working folder: workers of a cluster have another.
    """
    path = Path(given).absolute()
    return path.parent if path.is_file() else path


def stages_of(session: Session) -> list[Stage]:
    """Return the stages that a session has, in order."""
    from kitestring.session.stages import STAGES

    return [stage for stage in STAGES if stage.applies(session)]


def session_status(directory: str | Path) -> list[StageStatus]:
    """Return where every stage of a session stands."""
    directory = _folder(directory)
    context = Context(directory, read_session(directory))
    stages = stages_of(context.session)
    digests = _digests(context, stages)
    ledger = Ledger(directory)
    rows = []
    for stage in stages:
        last = ledger.last(stage.name)
        if ledger.is_done(stage.name, digests[stage.name]):
            assert last is not None  # is_done has seen it
            rows.append(StageStatus(stage.name, "done", last.summary))
        elif last is not None and last.inputs == digests[stage.name] and last.event != "finished":
            state = "failed" if last.event == "failed" else "interrupted"
            rows.append(StageStatus(stage.name, state, {}, last.message))
        else:
            rows.append(StageStatus(stage.name, "to do", {}))
    return rows


def run_session(
    directory: str | Path,
    *,
    only: Sequence[str] = (),
    again: bool = False,
    progress: Progress = no_progress,
    threads: int | None = None,
    cluster: str = "",
) -> list[StageStatus]:
    """Run the stages of a session that are not yet done.

    Parameters
    ----------
    directory : path
        The session's directory, with ``session.toml``.
    only : sequence of str
        Run these stages alone (they must find what they read).
    again : bool
        Run them even where they are done.
    progress : Progress
        Told what goes on.
    threads : int, optional
        One a core by default; where `cluster` is "local", how many workers it has.
    cluster : str
        Address of a Dask cluster that correlates (``tcp://10.0.0.1:8786``), or "local" for
        one that is started here; the bytes are those that threads give.

    Raises
    ------
    ConfigurationError
        For a stage that the session does not have.
    KitestringError
        Whatever a stage raises; the ledger then says that it failed.
    """
    directory = _folder(directory)
    session = read_session(directory)
    context = Context(directory, session, progress, threads, again=again, cluster=cluster)
    stages = stages_of(context.session)
    names = [stage.name for stage in stages]
    for name in only:
        if name not in names:
            raise ConfigurationError(
                f"this session has no stage {name!r}.", next_step=f"It has: {', '.join(names)}."
            )
    digests = _digests(context, stages)
    ledger = Ledger(directory)
    for stage in stages:
        inputs = digests[stage.name]
        wanted = not only or stage.name in only
        if not wanted or (ledger.is_done(stage.name, inputs) and not again):
            continue
        ledger.append(Event(stage.name, "started", inputs))
        progress(stage.name, 0.0)
        try:
            outcome = stage.run(replace(context, inputs=inputs))
        except Exception as problem:
            ledger.append(Event(stage.name, "failed", inputs, message=_told(problem)))
            raise
        outputs, summary = list(outcome.outputs), dict(outcome.summary)
        ledger.append(Event(stage.name, "finished", inputs, outputs, summary))
        progress(stage.name, 1.0)
    return session_status(directory)


def _told(problem: Exception) -> str:
    if isinstance(problem, KitestringError):
        return str(problem)
    return traceback.format_exception_only(problem)[-1].strip()


def input_files(context: Context, names: Sequence[str]) -> list[Path]:
    """Return the files that names or patterns of a session stand for.

    Raises
    ------
    MissingDataError
        For a name or pattern that no file has.
    """
    found: list[Path] = []
    for name in names:
        path = context.path(name)
        if any(c in name for c in "*?["):
            matches = sorted(path.parent.glob(path.name))
        else:
            matches = [path] if path.is_file() else []
        if not matches:
            raise MissingDataError(
                "there is no such file.",
                place=str(path),
                next_step="Mend the name in session.toml, or bring the file.",
            )
        found += matches
    return found


def file_stamps(context: Context, names: Sequence[str]) -> list[object]:
    """Return what tells whether input files have changed."""
    return [file_stamp(path) for path in input_files(context, names)]


def earth_inputs(context: Context) -> list[object]:
    """Return what the stations' places depend on: the session's files, or what is installed."""
    earth = context.session.earth
    files = [name for name in (earth.orientation, earth.ocean_loading) if name]
    installed = [] if earth.orientation else [version("astropy-iers-data")]
    return [earth, *file_stamps(context, files), *installed]


def media_inputs(context: Context) -> list[object]:
    """Return what the media and the antennas' shapes depend on."""
    session = context.session
    sections = [session.troposphere, session.ionosphere, session.solar_plasma, session.antenna]
    return [*sections, *file_stamps(context, media_files(session))]
