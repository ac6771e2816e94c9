"""Tracking files: read, checked against the session, and flagged."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kitestring.dynamics.propagate import OrbitTarget
from kitestring.errors import (
    ConfigurationError,
    FormatWarning,
    MissingDataError,
    UnknownNameError,
)
from kitestring.estimate.lander import LanderTarget
from kitestring.estimate.ramps import merge_ramps, oscillator_of, ramps_of
from kitestring.formats.fdets import read_fdets
from kitestring.formats.tdm import UNRESOLVED_RANGES, read_tdm
from kitestring.model.light_time import down_leg
from kitestring.model.mars_angles import MarsAngles
from kitestring.model.mars_angles_file import load_mars_rotation
from kitestring.model.observable import Kind
from kitestring.model.time import Epoch
from kitestring.observables.editing import flag_low_elevation, flag_near_sun, flag_rows
from kitestring.observables.types import Observables, TrackingData, UplinkRamps
from kitestring.session.archive import load, save
from kitestring.session.file import (
    OWN_ROTATION,
    LanderSection,
    SpacecraftSection,
    TrackingSection,
)
from kitestring.session.run import Context, Outcome, Stage, earth_inputs, file_stamps
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import PRODUCTS

Floats = NDArray[np.float64]

TRACKING = f"{PRODUCTS}/tracking.npz"

_XBAND = 880.0 / 749.0  # turnaround of X-band up, X-band down (CCSDS 401.0-B)
_STEP = 1.0  # s, for the rate of a light time


@dataclass(frozen=True)
class TrackedData:
    """Observables of one tracking file, flagged.

    Attributes
    ----------
    file : str
        As the session names it.
    use : bool
        Whether the estimator takes them.
    data : TrackingData
        Rows of other targets, of stations whose uplink is not known, at low
        elevation or near the Sun are flagged.
    """

    file: str
    use: bool
    data: TrackingData


def a_priori_target(setting: Setting) -> OrbitTarget | LanderTarget:
    """Return the target as a function of its parameters."""
    section = setting.session.target
    if isinstance(section, LanderSection):
        return LanderTarget(
            section.name,
            section.body,
            np.array(section.position),
            _rotation(setting, section),
            tuple(section.rotation_sigma),
        )
    return setting.orbit_target


def _rotation(setting: Setting, section: LanderSection) -> MarsAngles | None:
    """Return how the lander's body turns; None for the standard rotation."""
    if section.rotation is None:
        return None
    own = section.rotation == OWN_ROTATION
    found = load_mars_rotation(None if own else setting.context.path(section.rotation))
    if not section.rotation_sigma or not setting.epochs:
        return found
    # at J2000 an angle and its rate are all but one, twenty years later
    every = Epoch.concatenate([e[None] for e in setting.epochs])
    first, last = every.first(), every.last()
    return found.referred_to(first.shifted(0.5 * float(last.since(first))))


def reach(data: Sequence[TrackingData]) -> tuple[Epoch, ...]:
    """Return the first and last epoch of all observables."""
    epochs = [o.epoch for one in data for o in one.observables if len(o)]
    return tuple(e for epoch in epochs for e in (epoch.first(), epoch.last()))


def load_tracking(context: Context) -> tuple[TrackedData, ...]:
    """Return the observables of each tracking file."""
    return tuple(load(context.path(TRACKING)))


def _observables(context: Context) -> Outcome:
    session = context.session
    assert session.target is not None
    name = session.target.name
    read = []
    for k, section in enumerate(session.tracking):
        context.progress(f"observables {section.file}", 0.5 * k / len(session.tracking))
        read.append(_read(context, section, name))
    # the a-priori orbit must reach as far as the data do
    setting = Setting(context, reach(read))
    ramps = merge_ramps([r for one in read for r in one.ramps], setting.catalogue)
    found = []
    for section, data in zip(session.tracking, read, strict=True):
        whole = _as_wavefronts(setting, section, data)
        if section.use and not isinstance(section.sigma, dict):
            _check_one_kind(section, whole)
        sets = tuple(_prepared(o, section, setting, ramps) for o in whole.observables)
        found.append(TrackedData(section.file, section.use, replace(whole, observables=sets)))
    save(context.path(TRACKING), tuple(found))
    rows = [o for one in found for o in one.data.observables]
    summary = {
        "files": len(found),
        "points": sum(len(o) for o in rows),
        "flagged beforehand": sum(int(np.sum(~o.good)) for o in rows),
    }
    return Outcome([TRACKING], summary)


def _read(context: Context, section: TrackingSection, target: str) -> TrackingData:
    path = context.path(section.file)
    if section.format == "tdm":
        return read_tdm(path, dor=section.dor)
    assert section.station is not None  # the session file's check
    assert section.base_frequency is not None
    found = read_fdets(
        path,
        station=section.station,
        spacecraft=section.spacecraft or target,
        transmitter=section.transmitter or section.station,
        turnaround=section.turnaround or _XBAND,
        base_frequency=section.base_frequency,
    )
    return TrackingData((found,), origin=section.file)


def _as_wavefronts(setting: Setting, section: TrackingSection, data: TrackingData) -> TrackingData:
    """Return the data with differences of ranges turned into delays of wavefronts."""
    ranges = any(np.any(o.flag == UNRESOLVED_RANGES) for o in data.observables)
    if section.format != "tdm" or not ranges:
        return data
    motion = a_priori_target(setting)
    trajectory = motion.trajectory(motion.values)

    def range_rate(observables: Observables) -> Floats:
        station = setting.catalogue.get(observables.path.participants[2])
        early, late = (
            down_leg(
                setting.earth.station_state(station, observables.epoch.shifted(t)),
                trajectory,
                setting.earth.ephemeris,
            ).light_time
            for t in (-_STEP, _STEP)
        )
        return np.asarray((late - early) / (2.0 * _STEP))

    path = setting.context.path(section.file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)  # told when it was read first
        return read_tdm(path, dor=section.dor, range_rate=range_rate)


def _check_one_kind(section: TrackingSection, data: TrackingData) -> None:
    """See that one number for sigma is of one kind.

    Raises
    ------
    ConfigurationError
        Where the file holds several kinds whose uncertainty it does not state.
    """
    kinds = {str(o.kind) for o in data.observables if not np.isfinite(o.sigma).all()}
    if section.sigma is not None and len(kinds) > 1:
        raise ConfigurationError(
            f"one sigma is given for {' and '.join(sorted(kinds))}.",
            place=section.file,
            next_step=f"Write sigma = {{ {', '.join(f'{k} = ...' for k in sorted(kinds))} }}.",
        )


def _prepared(
    observables: Observables,
    section: TrackingSection,
    setting: Setting,
    ramps: Sequence[UplinkRamps],
) -> Observables:
    """Return observables with sigmas, and with flags where they cannot or shall not be used."""
    session = setting.session
    assert session.target is not None
    _check_stations(observables, section, setting)
    target = observables.path.participants[_place_of_target(observables)]
    if not _alike(target, section.spacecraft or session.target.name):
        warnings.warn(
            f"{section.file}: {len(observables)} {observables.kind} rows are of {target}, not of "
            f"{session.target.name}, and are not used (spacecraft = ... of its [[tracking]] says "
            "what a file calls the target).",
            FormatWarning,
            stacklevel=2,
        )
        return flag_rows(observables, np.ones(len(observables), dtype=bool), f"of {target}")
    missing = _missing_uplink(observables, ramps, setting)
    if missing:
        warnings.warn(f"{section.file}: {missing}", FormatWarning, stacklevel=2)
        every = np.ones(len(observables), dtype=bool)
        return flag_rows(observables, every, "uplink frequency not known")
    found = _with_sigma(observables, section)
    motion = a_priori_target(setting)
    trajectory = motion.trajectory(motion.values)
    wanted = session.estimate
    if wanted.sun_angle > 0:
        angle = float(np.radians(wanted.sun_angle))
        found = flag_near_sun(found, trajectory, setting.earth, angle)
    if wanted.elevation > 0:
        angle = float(np.radians(wanted.elevation))
        found = flag_low_elevation(found, trajectory, setting.earth, angle, setting.catalogue)
    return found


def _place_of_target(observables: Observables) -> int:
    """Return which participant is the target: who turns a signal round stands in the middle."""
    both_ways = observables.kind in (Kind.DOPPLER, Kind.RANGE)
    return 1 if both_ways and len(observables.path.participants) == 3 else 0


def _alike(one: str, other: str) -> bool:
    """Compare names without regard to case, blanks and punctuation."""
    first, second = ("".join(c for c in n.casefold() if c.isalnum()) for n in (one, other))
    return first == second


def _check_stations(observables: Observables, section: TrackingSection, setting: Setting) -> None:
    """See that all stations are known.

    Raises
    ------
    UnknownNameError
        It names the file.
    """
    for place, name in enumerate(observables.path.participants):
        if place == _place_of_target(observables):
            continue
        try:
            setting.catalogue.get(name)
        except UnknownNameError as problem:
            problem.place = section.file
            raise


def _missing_uplink(
    observables: Observables, ramps: Sequence[UplinkRamps], setting: Setting
) -> str:
    """Return why the transmitted frequency of Doppler is not known, or nothing."""
    if observables.kind is not Kind.DOPPLER:
        return ""
    path = observables.path
    try:
        if len(path.participants) == 2:
            oscillator_of(ramps, path.participants[0])
        else:
            ramps_of(ramps, path.participants[0], path.uplink_band, setting.catalogue)
    except MissingDataError as problem:
        return f"{len(observables)} doppler rows over {path} are not used: {problem}"
    return ""


def _with_sigma(observables: Observables, section: TrackingSection) -> Observables:
    """Fill in the sigma that the file does not state.

    Raises
    ------
    MissingDataError
        Where neither file nor session states it.
    """
    missing = ~np.isfinite(observables.sigma)
    given = section.sigma
    sigma = given.get(str(observables.kind)) if isinstance(given, dict) else given
    if not missing.any() or (sigma is None and not section.use):
        return observables
    if sigma is None:
        raise MissingDataError(
            f"the uncertainty of its {observables.kind} points is not stated.",
            place=section.file,
            next_step="Add sigma = ... (in the observable's unit) to its [[tracking]].",
        )
    return replace(observables, sigma=np.where(missing, sigma, observables.sigma))


def _rotation_files(target: LanderSection | SpacecraftSection | None) -> list[str]:
    """Return the file that says how a lander's body turns, if there is one."""
    given = target.rotation if isinstance(target, LanderSection) else None
    given = None if given == OWN_ROTATION else given
    return [given] if given else []


def _inputs(context: Context) -> list[object]:
    session = context.session
    return [
        session.target,
        session.tracking,
        session.estimate,
        *earth_inputs(context),  # it decides what was seen too low
        *file_stamps(context, [t.file for t in session.tracking]),
        *file_stamps(context, [session.stations] if session.stations else []),
        *file_stamps(context, _rotation_files(session.target)),
    ]


TRACKING_STAGE = Stage(
    "observables",
    lambda s: bool(s.tracking) and s.target is not None,
    _inputs,
    _observables,
)
