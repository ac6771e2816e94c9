"""From recordings to delta-DOR: describe, phase_cal, correlate, tones, fringe, delta_dor."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from kitestring.calibrate.reference import APriori, delta_dor
from kitestring.calibrate.types import DeltaDor
from kitestring.errors import KitestringError, RecordingWarning
from kitestring.formats.tdm import write_tdm
from kitestring.fringe.exchange import fringe_with_model, tones_with_model
from kitestring.fringe.fit import fit_visibilities
from kitestring.fringe.tones import fit_tones
from kitestring.fringe.types import FringeSolution, ToneSolution
from kitestring.model.constants import C
from kitestring.model.sight import Sight
from kitestring.model.time import Epoch
from kitestring.recordings.describe import Description, describe
from kitestring.session.archive import load, save
from kitestring.session.correlate_stage import (
    correlate_scans,
    correlated_scans,
    is_correlated,
    load_visibilities,
    recording_stamps,
)
from kitestring.session.file import (
    RecordingSection,
    ScanSection,
    Session,
    SpacecraftSection,
)
from kitestring.session.ledger import file_stamp
from kitestring.session.run import (
    Context,
    Outcome,
    Stage,
    earth_inputs,
    file_stamps,
    media_inputs,
)
from kitestring.session.setting import LATENESS, Setting
from kitestring.tones.extract import extract_tones
from kitestring.tones.phasecal import phase_cal
from kitestring.tones.types import PhaseCal, TonePhases

PRODUCTS = "products"
DESCRIPTIONS = f"{PRODUCTS}/describe.npz"
PHASE_CALS = f"{PRODUCTS}/phase_cal.npz"
TONES = f"{PRODUCTS}/tones.npz"
FRINGES = f"{PRODUCTS}/fringes.npz"
DELTA_DOR = f"{PRODUCTS}/delta_dor.npz"
DELTA_DOR_TDM = f"{PRODUCTS}/delta_dor.tdm"

DETECTED = 0.999  # probability from which a fringe counts as found


def is_recorded(session: Session) -> bool:
    """Tell whether there are recordings."""
    return bool(session.recording)


def _recordings(context: Context) -> list[object]:
    """Return what tells whether recordings, or how they are read, have changed."""
    session = context.session
    stamps = [part for one in session.recording for part in recording_stamps(context, one)]
    return [session.setup, session.scan, *stamps]


def applied_inputs(context: Context) -> list[object]:
    """Return what the delays depend on that recordings are aligned with.

    Earth orientation and media are not among them: when a day's are known
    better, residuals are formed anew from what was correlated.
    """
    session = context.session
    target = session.target
    # the number that the orbit is written under steers nothing
    if isinstance(target, SpacecraftSection):
        target = target.model_copy(update={"spice_id": 0})
    parts: list[object] = [target, session.source, session.clock]
    for name in filter(None, [session.stations]):
        parts += file_stamps(context, [name])
    if session.correlate.correlx:
        files = sorted(context.path(session.correlate.correlx).glob("*"))
        parts += [file_stamp(file) for file in files if file.is_file()]
    return parts


def theory_inputs(context: Context) -> list[object]:
    """Return what the delay models depend on that measured totals are compared with."""
    return [*applied_inputs(context), *earth_inputs(context), *media_inputs(context)]


# -- describe ----------------------------------------------------------------------------


def _describe(context: Context) -> Outcome:
    setting = Setting(context)
    sections = context.session.recording
    found: list[Description] = []
    warned = 0
    for k, section in enumerate(sections):
        context.progress("describe", k / len(sections))
        rate = context.session.setup[section.setup][0].sample_rate
        one = describe(
            setting.files(section),
            read=True,
            sample_rate=rate,
            channels=[c.channel() for c in context.session.setup[section.setup]],
            sidecar=setting.sidecar(section),
            reference=setting.scan_of(section).span[0],
        )
        found.append(one)
        if one.survey.start is not None and one.survey.stop is not None:
            setting.check_time(section, one.survey.start, one.survey.stop)
        scan = setting.scan_of(section)
        correlated = scan in correlated_scans(setting)
        told = [_other_station(one, section, setting), *_faults(one, scan, correlated)]
        for text in filter(None, told):
            warned += 1
            warnings.warn(f"{one.paths[0]}: {text}", RecordingWarning, stacklevel=2)
    save(context.path(DESCRIPTIONS), tuple(found))
    summary = {
        "recordings": len(found),
        "gigabytes": round(sum(d.bytes for d in found) / 1e9, 3),
        "warnings": warned,
        "missing frames": sum(d.survey.counts.missing for d in found),
    }
    return Outcome([DESCRIPTIONS], summary)


def _other_station(description: Description, section: RecordingSection, setting: Setting) -> str:
    """Return a warning where the header names a station, and not the session's."""
    code = description.survey.station
    if setting.correlx is not None or code not in setting.catalogue:
        return ""
    found, wanted = setting.catalogue.get(code), setting.catalogue.get(section.station)
    if found.name == wanted.name:
        return ""
    return (
        f"its header says {code} ({found.name}), the session says {section.station} "
        f"({wanted.name}): check that files are not swapped."
    )


def _faults(description: Description, scan: ScanSection, correlated: bool) -> list[str]:
    """Return what a user must know of a recording before it is processed.

    A line costs correlation; where there is none, it is the spacecraft's own carrier.
    """
    survey = description.survey
    known = ("not in", "the sample rate")  # the session file states these
    told = [
        note
        for note in description.notes
        if not note.startswith(known) and (correlated or ": a line of" not in note)
    ]
    start, stop = scan.span
    covered = description.coverage(start, stop)
    if (
        survey.start is not None
        and survey.stop is not None
        and ((1.0 - covered) * scan.duration > LATENESS)
    ):
        told.append(
            f"it lasts from {survey.start.iso(3)} to {survey.stop.iso(3)} UTC, {covered:.0%} of "
            f"scan {scan.name}: what is missing counts as invalid. Bring the whole file, or go "
            "on with the rest."
        )
    return told


def load_descriptions(context: Context) -> tuple[Description, ...]:
    """Return what the stage "describe" found, in the order of the session's recordings."""
    return tuple(load(context.path(DESCRIPTIONS)))


# -- phase-cal -------------------------------------------------------------------------------


def _phase_cal(context: Context) -> Outcome:
    setting, wanted = Setting(context), context.session.phase_cal
    assert wanted is not None
    found: list[PhaseCal] = []
    sections = context.session.recording
    for k, section in enumerate(sections):
        context.progress("phase_cal", k / len(sections))
        found.append(phase_cal(setting.recording(section), wanted.spacing, wanted.offset))
    save(context.path(PHASE_CALS), tuple(found))
    told = {f"{p.station} channels": f"{len(p.present())} of {len(p.channels)}" for p in found}
    return Outcome([PHASE_CALS], told)


def load_phase_cals(context: Context) -> tuple[PhaseCal, ...]:
    """Return the phase-cal tones of each recording."""
    return tuple(load(context.path(PHASE_CALS)))


# -- tones -----------------------------------------------------------------------------------


def has_tones(session: Session) -> bool:
    """Tell whether there are scans of a spacecraft with tones."""
    return (
        is_recorded(session)
        and session.tones is not None
        and isinstance(session.target, SpacecraftSection)
        and any(s.source == session.target.name for s in session.scan)
    )


def _tones(context: Context) -> Outcome:
    setting, wanted = Setting(context), context.session.tones
    assert wanted is not None
    scans = setting.target_scans
    phases: list[TonePhases] = []
    solutions: list[ToneSolution] = []
    for k, scan in enumerate(scans):
        context.progress(f"tones {scan.name}", k / len(scans))
        start, stop = scan.span
        spec = setting.tone_spec(scan)
        model = setting.delay_model(scan)
        recordings = setting.recordings(scan)
        found = extract_tones(
            recordings, model, spec, start, stop, wanted.dump, threads=context.threads
        )
        phases.append(found)
        solutions.append(fit_tones(found))
    save(context.path(TONES), (tuple(phases), tuple(solutions)))
    # scans may have different stations
    density = np.concatenate([p.density for p in phases])
    summary = {}
    for i, name in enumerate(phases[0].tones):
        seen = density[np.isfinite(density[:, i]), i]
        summary[f"{name} dBHz"] = round(float(10 * np.log10(seen.mean())), 1) if len(seen) else None
    return Outcome([TONES], summary)


def load_tones(context: Context) -> tuple[tuple[TonePhases, ...], tuple[ToneSolution, ...]]:
    """Return the tones' phases, and the line through them, of each spacecraft scan."""
    phases, solutions = load(context.path(TONES))
    return phases, solutions


# -- fringe ----------------------------------------------------------------------------------


def tone_comb(session: Session) -> tuple[float, float] | None:
    """Return spacing and offset of the phase-calibration tones, Hz."""
    return (session.phase_cal.spacing, session.phase_cal.offset) if session.phase_cal else None


def _fringe(context: Context) -> Outcome:
    setting = Setting(context)
    scans = correlated_scans(setting)
    found: list[FringeSolution] = []
    for k, scan in enumerate(scans):
        context.progress(f"fringe {scan.name}", k / len(scans))
        vis = load_visibilities(context, scan.name)
        found += fit_visibilities(vis, phase_cal=tone_comb(context.session))
    save(context.path(FRINGES), tuple(found))
    detected = [f for f in found if f.probability >= DETECTED]
    summary: dict[str, Any] = {"fringes": f"{len(detected)} of {len(found)} detected"}
    if detected:
        sigma = np.array([f.delay_sigma for f in detected])
        summary["median sigma of delay (ps)"] = round(float(np.median(sigma)) * 1e12, 1)
    return Outcome([FRINGES], summary)


def load_fringes(context: Context) -> tuple[FringeSolution, ...]:
    """Return the fringes of all baselines of all correlated scans."""
    return tuple(load(context.path(FRINGES)))


# -- delta-DOR -------------------------------------------------------------------------------


def has_delta_dor(session: Session) -> bool:
    """Tell whether tones can be referenced to quasars."""
    return has_tones(session) and is_correlated(session)


def _zenith_partials(setting: Setting) -> dict[tuple[str, str], float] | None:
    """Return delay per zenith delay of each station in the middle of each scan; None in vacuum."""
    air = setting.air
    if air is None:
        return None
    partials = {}
    for scan in setting.session.scan:
        start = scan.span[0]
        middle = start.shifted(0.5 * scan.duration)
        epoch = Epoch(middle.scale, middle.day[None], middle.second[None])
        for station in setting.stations(scan):
            state = setting.earth.station_state(station, epoch)
            source = setting.source(scan.source)
            if isinstance(source, np.ndarray):
                direction = np.broadcast_to(source, (1, 3))
            else:
                away = source.state(epoch) + setting.earth.ephemeris.barycentric(
                    source.center, epoch
                )
                towards = away[:, :3] - state.barycentric
                direction = towards / np.linalg.norm(towards, axis=-1, keepdims=True)
            sight = Sight(station, state, direction)
            partials[scan.name, station.name] = float(air.zenith_partial(sight)[0])
    return partials


def reference_quasar(setting: Setting) -> str:
    """Return the quasar whose theory delta-DOR is relative to: the first that was observed."""
    return setting.quasar_scans[0].source


def _delta_dor(context: Context) -> Outcome:
    setting, session = Setting(context), context.session
    theory = {scan.name: setting.delay_model(scan) for scan in session.scan}
    quasar_scans = {s.name for s in setting.quasar_scans}
    fringes = [
        fringe_with_model(f, theory[f.scan])
        for f in load_fringes(context)
        if f.scan in quasar_scans
    ]
    solutions = [tones_with_model(t, theory[t.scan]) for t in load_tones(context)[1]]
    quasar = reference_quasar(setting)
    models = {s.name: setting.delay_model(s, quasar) for s in setting.target_scans}
    stated = {setting.catalogue.get(c.station).name: c.sigma_rate for c in session.clock}
    names = {setting.station_name(r.station) for r in session.recording}
    rates = [stated.get(name, APriori.clock_rate) for name in names]
    known = APriori(
        delay=max(setting.delay_uncertainty(s.span[0]) for s in setting.target_scans),
        clock_rate=float(np.sqrt(2.0) * max(rates)),  # of a station less the reference
        zenith=session.troposphere.sigma / C,
    )
    result = delta_dor(
        fringes,
        solutions,
        models,
        zenith_partials=_zenith_partials(setting),
        a_priori=known,
        detection=DETECTED,
    )
    save(context.path(DELTA_DOR), result)
    write_tdm(
        context.path(DELTA_DOR_TDM),
        result.observables(),
        comments=(f"session {session.name}", f"clocks relative to {result.reference_station}"),
    )
    summary = {
        "rows": len(result),
        "median sigma (ps)": round(float(np.median(result.sigma)) * 1e12, 1),
        "ambiguity (ns)": round(result.ambiguity * 1e9, 1),
        "least probability of the integers": round(float(result.probability.min()), 6),
        "chi-square per degree of freedom": round(
            result.chi_square / max(result.degrees_of_freedom, 1), 3
        ),
        "reference station": result.reference_station,
    }
    return Outcome([DELTA_DOR, DELTA_DOR_TDM], summary)


def load_delta_dor(context: Context) -> DeltaDor:
    """Return the quasar-referenced delays."""
    found = load(context.path(DELTA_DOR))
    if not isinstance(found, DeltaDor):
        raise KitestringError("it holds no delta-DOR.", place=DELTA_DOR)
    return found


SIGNAL_STAGES = (
    Stage("describe", is_recorded, _recordings, _describe),
    Stage(
        "phase_cal",
        lambda s: is_recorded(s) and s.phase_cal is not None,
        lambda c: [*_recordings(c), c.session.phase_cal],
        _phase_cal,
    ),
    Stage(
        "correlate",
        is_correlated,
        lambda c: [*_recordings(c), *applied_inputs(c), c.session.correlate],
        correlate_scans,
    ),
    Stage(
        "tones",
        has_tones,
        lambda c: [*_recordings(c), *applied_inputs(c), c.session.tones],
        _tones,
    ),
    Stage("fringe", is_correlated, lambda c: [c.session.phase_cal], _fringe, ("correlate",)),
    Stage(
        "delta_dor",
        has_delta_dor,
        lambda c: [*theory_inputs(c), c.session.scan],
        _delta_dor,
        ("fringe", "tones"),
    ),
)
