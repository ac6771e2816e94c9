"""The report: what a session found, drawn and told, in one HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kitestring.correlate.compare import compare_rows, normalised, rows_of
from kitestring.correlate.store import mean_visibilities
from kitestring.correlate.types import Visibilities
from kitestring.errors import KitestringError
from kitestring.estimate.mapping import (
    covariance_rtn,
    error_ellipse,
    plane_of_sky,
    sky_axes,
    to_axes,
)
from kitestring.estimate.types import OrbitSolution, ResidualTable
from kitestring.formats.correlx import CorrelxOutput
from kitestring.fringe.fit import delay_rate_map
from kitestring.fringe.types import FringeSolution
from kitestring.plots.delta_dor import plot_delta_dor
from kitestring.plots.fringe import plot_channel_phases, plot_fringe
from kitestring.plots.orbit import plot_lander, plot_plane_of_sky, plot_rtn_sigmas
from kitestring.plots.recordings import plot_statistics
from kitestring.plots.residuals import plot_residuals
from kitestring.plots.tones import plot_phase_cal, plot_tone_phases
from kitestring.plots.visibilities import plot_spectra
from kitestring.products.report import Picture, Section, Table, write_report
from kitestring.session.correlate_stage import (
    LOST,
    correlated_scans,
    is_correlated,
    load_visibilities,
    product_name,
    reference_output,
    spectra_figure,
    visibility_path,
    zoom_bands,
)
from kitestring.session.file import LanderSection, Session
from kitestring.session.ledger import Event, Ledger
from kitestring.session.orbit_stages import (
    AXES,
    ORBIT_STAGES,
    Determined,
    Seen,
    a_priori_covariance,
    from_earth,
    has_orbit,
    load_determined,
    middle_of,
    sky_sigmas,
)
from kitestring.session.provenance import made_by
from kitestring.session.run import Context, Outcome, Stage
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import (
    DETECTED,
    SIGNAL_STAGES,
    has_delta_dor,
    has_tones,
    is_recorded,
    load_delta_dor,
    load_descriptions,
    load_fringes,
    load_phase_cals,
    load_tones,
    tone_comb,
)

REPORT = "report.html"

_UNITS = {"doppler": (1e3, "mHz"), "range": (1e9, "ns"), "delay_rate": (1e12, "ps/s")}
_POINTS = 100


def _number(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}g}"


# -- sections ----------------------------------------------------------------------------


def _recordings(setting: Setting) -> Section:
    session = setting.session
    rows, notes, pictures = [], [], []
    found = load_descriptions(setting.context)
    for section, one in zip(session.recording, found, strict=True):
        survey = one.survey
        rows.append(
            (
                section.scan,
                section.station,
                survey.start.iso(3) if survey.start is not None else "unknown",
                f"{survey.channel_count} x {survey.bits} bits",
                f"{(survey.sample_rate or np.nan) / 1e6:g}",
                str(survey.counts.missing),
                str(survey.counts.damaged + survey.counts.invalid + survey.counts.wrong_time),
                f"{one.bytes / 1e6:.1f}",
            )
        )
        told = f"{section.scan} {section.station}"
        # what VDIF never states is in the session file
        notes += [f"{told}: {n}" for n in one.notes if not n.startswith("not in the file")]
        pictures.append(Picture(f"Levels and bandpass, {told}", plot_statistics(one)))
    header = ("scan", "station", "first sample (UTC)", "channels", "Msample/s", "missing frames",
              "damaged frames", "MB")  # fmt: skip
    return Section(
        "Recordings",
        "What the headers tell, and what the samples look like.",
        (Table(header, rows, "Recordings"),),
        pictures,
        notes,
    )


def _phase_cal(setting: Setting) -> Section:
    found = load_phase_cals(setting.context)
    rows = [
        (
            cal.station,
            f"{cal.spacing / 1e6:g}",
            f"{len(cal.present())} of {len(cal.channels)}",
            _number(float(np.degrees(np.median([c.scatter for c in cal.present()] or [np.nan])))),
        )
        for cal in found
    ]
    header = ("station", "spacing (MHz)", "channels with tones", "scatter about a line (deg)")
    return Section(
        "Phase calibration",
        "Tones injected at the stations: their strength, and phase against frequency.",
        (Table(header, rows, "Phase-calibration tones"),),
        [
            Picture(f"Phase-calibration tones of {cal.station}", plot_phase_cal(cal))
            for cal in found
        ],
    )


def _visibilities(setting: Setting) -> Section:
    rows: list[tuple[str, ...]] = []
    pictures, notes = [], []
    scans, other = correlated_scans(setting), reference_output(setting)
    for scan in scans:
        mean = mean_visibilities(visibility_path(setting.context, scan.name))
        title = f"Spectra of scan {scan.name}, {scan.source}"
        pictures.append(Picture(title, spectra_figure(setting, mean)))
        for zoom in zoom_bands(setting.session, scan):
            mean = mean_visibilities(visibility_path(setting.context, product_name(scan, zoom)))
            title = f"Zoom band {zoom.name} of scan {scan.name}, {scan.source}"
            pictures.append(Picture(title, plot_spectra(mean)))
        if other is not None:
            rows += _against(other, load_visibilities(setting.context, scan.name))
    for event in _finished(setting):
        if event.stage == "correlate":
            notes = [f"{k}: {v}." for k, v in event.summary.items() if k.startswith(LOST)]
    header = ("rows", "number", "complex correlation", "phase (deg)", "worst row, magnitude")
    tables = (Table(header, rows, "Against the independent correlator's output"),) if rows else ()
    return Section(
        "Visibilities",
        "Auto- and cross-spectra of each scan, averaged over its integrations.",
        tables,
        pictures,
        notes,
    )


def _against(other: CorrelxOutput, vis: Visibilities) -> list[tuple[str, ...]]:
    """Return how visibilities agree with another correlator's, auto- and cross-spectra apart."""
    ours = normalised(rows_of(vis))
    found: list[tuple[str, ...]] = []
    for what, auto in (("autocorrelations", True), ("cross-station rows", False)):
        mine = {
            k: v
            for k, v in ours.items()
            if (k[1] == k[2]) is auto and not (auto and k[3][0] != k[3][-1])
        }
        match = compare_rows(mine, normalised(other.rows))
        turn = float(np.degrees(np.angle(match.correlation)))
        found.append(
            (
                what,
                str(len(match.by_row)),
                f"{match.correlation.real:.7f}",
                f"{turn:+.4f}",
                f"{min(abs(c) for c in match.by_row.values()):.7f}",
            )
        )
    return found


def _fringes(setting: Setting) -> Section:
    found = load_fringes(setting.context)
    rows = [
        (
            f.scan,
            f.source,
            "-".join(f.baseline),
            f"{f.snr:.1f}",
            f"{f.residual_delay * 1e9:+.3f} ± {f.delay_sigma * 1e9:.3f}",
            f"{f.residual_rate * 1e12:+.3f} ± {f.rate_sigma * 1e12:.3f}",
            "yes" if f.probability >= DETECTED else "no",
        )
        for f in found
    ]
    detected = [f for f in found if f.probability >= DETECTED]
    notes = [] if detected else ["No fringe was detected: none is claimed."]
    pictures = _fringe_pictures(setting, detected)
    header = ("scan", "source", "baseline", "SNR", "residual delay (ns)", "residual rate (ps/s)",
              "detected")  # fmt: skip
    return Section(
        "Fringes",
        "Delay and rate that the delay model left over, on each baseline of each quasar scan.",
        (Table(header, rows, "Fringes"),),
        pictures,
        notes,
    )


def _fringe_pictures(setting: Setting, detected: Sequence[FringeSolution]) -> list[Picture]:
    pictures = []
    scans = dict.fromkeys(f.scan for f in detected)
    for scan in scans:
        vis = load_visibilities(setting.context, scan)
        for f in detected:
            if f.scan == scan:
                comb = tone_comb(setting.session)
                figure = plot_fringe(f, delay_rate_map(vis, f.baseline, phase_cal=comb))
                pictures.append(Picture(f"Fringe of {scan}, {'-'.join(f.baseline)}", figure))
    for baseline in dict.fromkeys(f.baseline for f in detected):
        own = [f for f in detected if f.baseline == baseline]
        title = f"Phases of the channels in all scans, {'-'.join(baseline)}"
        pictures.append(Picture(title, plot_channel_phases(own)))
    return pictures


def _tones(setting: Setting) -> Section:
    phases, _ = load_tones(setting.context)
    stations = list(dict.fromkeys(s for scan in phases for s in scan.stations))
    rows = []
    for scan in phases:
        frequency = scan.frequency(scan.epoch[:1])[:, 0]
        for k, name in enumerate(scan.tones):
            density = dict(zip(scan.stations, 10 * np.log10(scan.density[:, k]), strict=True))
            seen = (density.get(station, np.nan) for station in stations)
            strength = (f"{d:.1f}" if np.isfinite(d) else "-" for d in seen)
            rows.append((scan.scan, name, f"{frequency[k] / 1e6:.6f}", *strength))
    header = ("scan", "tone", "received at the geocentre (MHz)",
              *(f"{s} (dBHz)" for s in stations))  # fmt: skip
    return Section(
        "Spacecraft tones",
        "The carrier and the DOR tones, stopped at each station with the delay model; phases are "
        "differences of stations at one wavefront.",
        (Table(header, rows, "Tones"),),
        [Picture(f"Tones of scan {scan.scan}", plot_tone_phases(scan)) for scan in phases],
    )


def _delta_dor(setting: Setting) -> Section:
    found = load_delta_dor(setting.context)
    rows = [
        (
            scan,
            "-".join(pair),
            found.epoch[k].iso(0),
            f"{found.value[k] * 1e9:.3f}",
            f"{found.residual[k] * 1e9:+.3f}",
            f"{found.sigma[k] * 1e12:.0f}",
            f"{found.probability[k]:.6f}",
        )
        for k, (scan, pair) in enumerate(zip(found.scans, found.baselines, strict=True))
    ]
    header = ("scan", "baseline", "epoch (UTC)", "delta-DOR (ns)", "minus a-priori (ns)",
              "sigma (ps)", "probability of the integers")  # fmt: skip
    text = (
        f"Delay of {found.target} minus that of {found.reference}, for one wavefront, arrival at "
        f"station 2 minus arrival at station 1. Clocks are relative to {found.reference_station}; "
        f"delays {found.ambiguity * 1e9:.1f} ns apart cannot be told apart by the tones. "
        f"Chi-square {found.chi_square:.1f} with {found.degrees_of_freedom} degrees of freedom."
    )
    return Section(
        "Delta-DOR",
        text,
        (Table(header, rows, "Quasar-referenced delays"),),
        [
            Picture(
                "Delta-DOR minus its a-priori value, and its error budget", plot_delta_dor(found)
            )
        ],
    )


def _residuals(table: ResidualTable, title: str) -> list[Picture]:
    pictures = []
    kinds = [str(label).split(" ", 1)[0] for label in table.label]
    for kind in dict.fromkeys(kinds):
        rows = np.array([k == kind for k in kinds])
        part = ResidualTable(
            table.label[rows],
            table.epoch[rows],
            table.observed[rows],
            table.computed[rows],
            table.residual[rows],
            table.sigma[rows],
            table.flag[rows],
        )
        scale, unit = _UNITS.get(kind, (1e12, "ps"))
        figure = plot_residuals(part, scale=scale, unit=unit, title=f"{title}, {kind}")
        pictures.append(Picture(f"{title}: {kind}", figure))
    return pictures


def _flags(table: ResidualTable) -> Table:
    reasons, counts = np.unique(table.flag, return_counts=True)
    rows = [(str(r) or "used", str(n)) for r, n in zip(reasons, counts, strict=True)]
    return Table(("what became of them", "rows"), rows, "Observations")


def _solution(setting: Setting) -> Section:
    found = load_determined(setting.context)
    solution = found.solution
    rows = [
        (
            name,
            f"{value:.6f}",
            _number(sigma),
            _number(before) if np.isfinite(before) else "free",
            unit,
        )
        for name, value, sigma, before, unit in zip(
            solution.names,
            solution.values,
            solution.sigmas,
            solution.apriori_sigmas,
            solution.units,
            strict=True,
        )
    ]
    header = ("parameter", "value", "sigma", "a-priori sigma", "unit")
    tables = [Table(header, rows, "Solution"), _flags(found.residuals)]
    pictures = _residuals(found.residuals, "Residuals")
    for table in found.shown:
        pictures += _residuals(table, "Not used, compared only")
    notes: list[str] = []
    if found.orbit is not None:
        _add_orbit(setting, found.orbit, tables, pictures, notes)
    elif isinstance(setting.session.target, LanderSection):
        pictures.insert(0, _lander(setting.session.target, found))
    text = (
        f"{int(np.sum(solution.used))} rows used, chi-square {solution.chi2:.1f} with "
        f"{solution.dof} degrees of freedom, {solution.iterations} iterations."
    )
    return Section(_TITLES["orbit"], text, tables, pictures, notes)


def _lander(section: LanderSection, found: Determined) -> Picture:
    references = {}
    values, covariance = found.solution.values[:3], found.solution.covariance[:3, :3]
    for place in section.reference:
        east, north = np.radians(place.longitude), np.radians(place.latitude)
        # only the direction is stated: the distance from the centre is taken from ours
        references[place.name] = float(np.linalg.norm(values)) * np.array(
            [np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)]
        )
    figure = plot_lander(values, covariance, references, name=section.name)
    return Picture(f"Place of {section.name} on {section.body.title()}", figure)


def _add_orbit(
    setting: Setting,
    orbit: OrbitSolution,
    tables: list[Table],
    pictures: list[Picture],
    notes: list[str],
) -> None:
    """Add how well the orbit is known, at mid-session and ahead."""
    middle = middle_of(setting)
    seen = sky_sigmas(orbit, middle, setting)
    tables.insert(1, seen_table(seen, f"At {middle.to('utc').iso(0)} UTC, seen from the Earth"))
    notes += [
        f"{s.name} is not observed: the data hardly improve it." for s in seen if not s.observed
    ]
    place = from_earth(orbit, middle, setting)
    after = plane_of_sky(orbit.covariance(middle), place[:3])
    first = setting.trajectory.state(middle)[:3] - orbit.state(middle)[:3]
    axes = sky_axes(place[:3])
    before = to_axes(a_priori_covariance(orbit, middle, setting)[:3, :3], axes)
    offset = axes @ first
    estimates = {
        "a priori": ((float(offset[0]), float(offset[1])), error_ellipse(before[:2, :2])),
        "with the data": ((0.0, 0.0), after.ellipse),
    }
    title = f"{orbit.name} at {middle.to('utc').iso(0)} UTC"
    pictures.insert(0, Picture("Plane of the sky", plot_plane_of_sky(estimates, title=title)))
    start, stop = orbit.span
    epochs = start.shifted(np.linspace(0.0, float(stop.since(start)), _POINTS))
    states, covariances = orbit.state(epochs), orbit.covariance(epochs)
    turned = [covariance_rtn(c, s) for c, s in zip(covariances, states, strict=True)]
    sigmas = np.sqrt([np.diag(c) for c in turned])
    ends = [s.span[1] for s in setting.session.scan]
    figure = plot_rtn_sigmas(epochs, sigmas, data_end=ends[-1] if ends else None, title=orbit.name)
    pictures.append(Picture("Uncertainty of the predicted orbit", figure))


def seen_table(seen: Sequence[Seen], caption: str) -> Table:
    """Return a table of what the data have improved, and what not."""
    rows = [
        (
            s.name,
            _number(s.before),
            _number(s.after),
            s.unit,
            s.mark,
        )
        for s in seen
    ]
    assert len(seen) == 2 * len(AXES)
    header = ("component", "sigma a priori", "sigma with the data", "unit", "")
    return Table(header, rows, caption)


# -- the whole ---------------------------------------------------------------------------

_TITLES = {"orbit": "Orbit and residuals"}
_SECTIONS: tuple[tuple[str, Callable[[Session], bool], Callable[[Setting], Section]], ...] = (
    ("orbit", has_orbit, _solution),
    ("delta_dor", has_delta_dor, _delta_dor),
    ("fringe", is_correlated, _fringes),
    ("tones", has_tones, _tones),
    ("correlate", is_correlated, _visibilities),
    ("phase_cal", lambda s: is_recorded(s) and s.phase_cal is not None, _phase_cal),
    ("describe", is_recorded, _recordings),
)


def _facts(setting: Setting) -> list[tuple[str, str]]:
    """Return what a reader in a hurry wants: the first figures of each stage."""
    facts = []
    if setting.session.target is not None:
        facts.append(("target", setting.session.target.name))
    for event in _finished(setting):
        first = list(event.summary.items())[:2]
        facts.append((event.stage, ", ".join(f"{k} {v}" for k, v in first)))
    return facts


def _stages(setting: Setting) -> Section:
    rows = [
        (event.stage, event.time, ", ".join(f"{k} {v}" for k, v in event.summary.items()))
        for event in _finished(setting)
    ]
    header = ("stage", "finished (UTC)", "figures")
    return Section("Stages", "What each stage told.", (Table(header, rows, "Ledger"),))


def _finished(setting: Setting) -> list[Event]:
    ledger = Ledger(setting.context.directory)
    stages = [s for s in (*SIGNAL_STAGES, *ORBIT_STAGES) if s.applies(setting.session)]
    last = [ledger.last(stage.name) for stage in stages]
    return [event for event in last if event is not None and event.event == "finished"]


def _report(context: Context) -> Outcome:
    setting, session = Setting(context), context.session
    sections = []
    wanted = [(name, make) for name, applies, make in _SECTIONS if applies(session)]
    for k, (name, make) in enumerate(wanted):
        context.progress(f"report {name}", k / len(wanted))
        sections.append(make(setting))
    sections.append(_stages(setting))
    start = [s.span[0].iso(0) for s in session.scan[:1]]
    write_report(
        context.path(REPORT),
        title=session.name,
        subtitle=session.description or ", ".join(start),
        facts=_facts(setting),
        sections=sections,
        made_by=made_by(setting),
    )
    if not context.path(REPORT).exists():
        raise KitestringError("the report was not written.", place=REPORT)
    return Outcome([REPORT], {"sections": len(sections)})


REPORT_STAGE = Stage(
    "report",
    lambda session: True,
    lambda context: [context.session.name, context.session.description],
    _report,
    tuple(stage.name for stage in (*SIGNAL_STAGES, *ORBIT_STAGES)),
)
