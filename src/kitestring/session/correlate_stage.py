"""The stage "correlate": visibilities, a picture and the losses of each scan."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure

from kitestring._jit import is_compiled
from kitestring.correlate.cluster import Cluster
from kitestring.correlate.engine import Threads, Workers
from kitestring.correlate.losses import losses
from kitestring.correlate.plan import Plan, make_plan
from kitestring.correlate.store import mean_visibilities, read_visibilities
from kitestring.correlate.stored import Stored, correlate_to_store
from kitestring.correlate.types import Visibilities
from kitestring.errors import ConfigurationError, KitestringError, MissingDataError
from kitestring.formats.correlx import CorrelxOutput, read_correlx_output
from kitestring.plots.visibilities import plot_spectra
from kitestring.recordings.open import belonging
from kitestring.session.file import RecordingSection, ScanSection, Session, ZoomSection
from kitestring.session.ledger import file_stamp
from kitestring.session.run import Context, Outcome, Progress, input_files
from kitestring.session.setting import Setting

VISIBILITIES = "products/visibilities"
LOST = "lost in "  # and the scan's name: figures of the stage


def correlated_scans(setting: Setting) -> list[ScanSection]:
    """Return the scans that are correlated."""
    chosen = [] if setting.session.correlate.spacecraft else setting.target_scans
    return [scan for scan in setting.session.scan if scan not in chosen]


def is_correlated(session: Session) -> bool:
    """Tell whether any scan is correlated."""
    name = session.target.name if session.target else None
    scans = [s for s in session.scan if session.correlate.spacecraft or s.source != name]
    return bool(session.recording) and bool(scans)


def visibility_path(context: Context, scan: str) -> Path:
    """Return where the visibilities of a scan lie."""
    return context.path(f"{VISIBILITIES}/{scan}.zarr")


def load_visibilities(context: Context, scan: str) -> Visibilities:
    """Return the visibilities of a scan."""
    return read_visibilities(visibility_path(context, scan))


def recording_stamps(context: Context, section: RecordingSection) -> list[object]:
    """Return what tells whether a recording, or how it is read, has changed."""
    named = [section.sidecar] if section.sidecar else []
    files = belonging(input_files(context, [*section.files, *named]))
    return [section, *map(file_stamp, files)]


def picture_name(product: str) -> str:
    """Return where the picture of a scan or of its zoom band lies, relative to the session."""
    return f"{VISIBILITIES}/{product}.png"


def zoom_bands(session: Session, scan: ScanSection) -> list[ZoomSection]:
    """Return the zoom bands that are correlated beside a scan's whole bands."""
    return [z for z in session.correlate.zoom if z.source in (None, scan.source)]


def product_name(scan: ScanSection, zoom: ZoomSection | None = None) -> str:
    """Return what the visibilities of a scan, or of its zoom band, are called."""
    return scan.name if zoom is None else f"{scan.name}.{zoom.name}"


def reference_output(setting: Setting) -> CorrelxOutput | None:
    """Return what another correlator made of the same recordings, where the session has it."""
    if setting.correlx is None:
        return None
    try:
        return read_correlx_output(setting.correlx)
    except MissingDataError:
        return None


def spectra_figure(setting: Setting, mean: Visibilities) -> Figure:
    """Draw a scan's mean visibilities, beside another correlator's where the session has them."""
    other = reference_output(setting)
    return plot_spectra(mean, None if other is None else other.rows)


def correlate_scans(context: Context) -> Outcome:
    """Correlate the scans of a session, each into its store; draw them and tell what is lost.

    What an interrupted run has finished is kept, also within a scan.

    Raises
    ------
    KitestringError
        Where a scan cannot be correlated; it names the scan. What was written before is
        gone on with.
    """
    setting = Setting(context)
    scans = correlated_scans(setting)
    stations = [setting.station_name(r.station) for r in context.session.recording]
    products = [
        (scan, zoom) for scan in scans for zoom in (None, *zoom_bands(context.session, scan))
    ]
    pace = _Pace(context.progress, sum(scan.duration for scan, _ in products))
    summary: dict[str, object] = {"scans": len(scans), "bins": context.session.correlate.bins}
    told, seconds = {}, 0.0
    if not is_compiled("correlate"):
        context.progress("correlate: kernels are compiled for this machine, once", 0.0)
    with _workers(context) as workers:
        for scan, zoom in products:
            name = product_name(scan, zoom)
            try:
                plan = scan_plan(setting, scan, zoom)
                stored = _store(setting, scan, name, plan, workers, pace)
            except KitestringError as problem:
                if scan.name not in problem.message:
                    problem.message = f"scan {name}: {problem.message}"
                raise
            seconds += stored.seconds
            mean = mean_visibilities(stored.path)
            if zoom is None:
                lost = losses(plan, mean, stations).told()
            else:  # the rest is told of the scan
                lost = "; ".join(plan.matching.unmatched)
            if lost:
                told[f"{LOST}{name}"] = lost
            figure = spectra_figure(setting, mean) if zoom is None else plot_spectra(mean)
            figure.savefig(context.path(picture_name(name)), dpi=120)
    if seconds:
        summary["seconds of data a second"] = round(seconds / pace.elapsed, 2)
    names = [product_name(scan, zoom) for scan, zoom in products]
    outputs = [f"{VISIBILITIES}/{name}.zarr" for name in names]
    return Outcome([*outputs, *map(picture_name, names)], summary | told)


def scan_plan(setting: Setting, scan: ScanSection, zoom: ZoomSection | None = None) -> Plan:
    """Return what the correlation of a scan, or of its zoom band, consists of.

    Raises
    ------
    ConfigurationError
        Where it cannot be correlated as the session wants it, or where no two of several
        stations have a channel in common.
    """
    wanted = setting.session.correlate
    start, stop = scan.span
    # the correction of van Vleck needs whole channels
    part = "gain" if zoom and wanted.quantisation == "van-vleck" else wanted.quantisation
    plan = make_plan(
        setting.recordings(scan),
        setting.delay_model(scan),
        bins=zoom.bins if zoom else wanted.bins,
        start=start,
        stop=stop,
        integration=(zoom.integration if zoom else None) or wanted.integration,
        products=wanted.products,
        zoom=[zoom.edges] if zoom else (),
        quantisation=part,
    )
    crossed = any(
        band.inputs[i].station != band.inputs[j].station
        for band in plan.bands
        for _, _, i, j in band.pairs
    )
    if len(plan.recordings) > 1 and not crossed:
        raise ConfigurationError(
            f"no channel of one station has a counterpart at another: "
            f"{'; '.join(plan.matching.unmatched)}.",
            place=str(setting.context.directory),
            next_step="Check sky frequencies, sidebands and polarisations under [setup] in "
            "session.toml.",
        )
    return plan


def _store(
    setting: Setting, scan: ScanSection, name: str, plan: Plan, workers: Workers, pace: _Pace
) -> Stored:
    context = setting.context
    stamps = [recording_stamps(context, section) for section in setting.of_scan(scan)]
    found = correlate_to_store(
        plan,
        visibility_path(context, name),
        uvw=lambda outline: setting.uvw(scan, outline.baselines, outline.epoch),
        created=scan.span[0].iso(3),
        stamp=repr(stamps),
        again=context.again,
        workers=workers,
        progress=lambda done, total: pace.tell(scan, name, done, total),
    )
    pace.finish(scan)
    return found


@contextmanager
def _workers(context: Context) -> Iterator[Workers]:
    """Give whoever computes: threads here, or the workers of a cluster."""
    if not context.cluster:
        yield Threads(context.threads)
        return
    with Cluster(context.cluster, workers=context.threads) as workers:
        yield workers


class _Pace:
    """Tells how far all scans are, how quick it goes, and how long it will take yet."""

    def __init__(self, progress: Progress, total: float) -> None:
        self._progress, self._total = progress, total
        self._before = self._kept = 0.0  # s of finished scans; s that were there already
        self._begun = time.perf_counter()
        self._product = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._begun

    def tell(self, scan: ScanSection, product: str, done: float, total: float) -> None:
        """Tell that `done` of `total` seconds of a scan's product are correlated."""
        if product != self._product:  # a store's first word is what it had
            self._product = product
            self._kept += done
        reached = self._before + scan.duration * done / total
        rate = (self._before + done - self._kept) / self.elapsed
        text = f"correlate {product}"
        if rate > 0:
            left = max(0, round((self._total - reached) / rate))
            text += f" {rate:.3g} s/s, {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"
        self._progress(text, min(reached / self._total, 1.0))

    def finish(self, scan: ScanSection) -> None:
        """Count a scan as finished."""
        self._before += scan.duration
