"""From observables to an orbit or a lander's place: observables, orbit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kitestring.dynamics.propagate import OrbitTarget
from kitestring.dynamics.types import PRESSURE_NAME, STATE_NAMES
from kitestring.errors import MissingDataError
from kitestring.estimate.lander import LanderTarget
from kitestring.estimate.mapping import plane_of_sky, sky_axes, to_axes
from kitestring.estimate.tracking import fit_target, residuals_at
from kitestring.estimate.types import (
    Editing,
    OrbitSolution,
    Parameter,
    ResidualTable,
    Solution,
)
from kitestring.formats.fdets import read_fdets
from kitestring.formats.oem import write_oem
from kitestring.formats.tdm import read_tdm
from kitestring.model.time import DAY, Epoch
from kitestring.observables.editing import flag_low_elevation, flag_near_sun
from kitestring.observables.types import Observables, TrackingData, UplinkRamps
from kitestring.products.tables import write_residuals, write_solution
from kitestring.session.archive import load, save
from kitestring.session.file import (
    LanderSection,
    Session,
    SpacecraftSection,
    TrackingSection,
)
from kitestring.session.run import Context, Outcome, Stage, file_stamps
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import (
    PRODUCTS,
    has_delta_dor,
    load_delta_dor,
    steering_inputs,
)

Floats = NDArray[np.float64]

TRACKING = f"{PRODUCTS}/tracking.npz"
SOLUTION = f"{PRODUCTS}/solution.npz"
SOLUTION_JSON = f"{PRODUCTS}/solution.json"
RESIDUALS = f"{PRODUCTS}/residuals.csv"
ORBIT_OEM = f"{PRODUCTS}/orbit.oem"

_OEM_POINTS = 200
_IMPROVED = 2.0  # times smaller than the a-priori sigma: then the data have seen it
_XBAND = 880.0 / 749.0  # turnaround of X-band up, X-band down (CCSDS 401.0-B)


# -- observables -------------------------------------------------------------------------


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
        With flags for low elevation and the Sun.
    """

    file: str
    use: bool
    data: TrackingData


def _read_tracking(context: Context, section: TrackingSection, target: str) -> TrackingData:
    path = context.path(section.file)
    if section.format == "tdm":
        return read_tdm(path, dor=section.dor)
    assert section.station is not None  # the session file's check
    assert section.base_frequency is not None
    found = read_fdets(
        path,
        station=section.station,
        spacecraft=target,
        transmitter=section.transmitter or section.station,
        turnaround=section.turnaround or _XBAND,
        base_frequency=section.base_frequency,
    )
    return TrackingData((found,), origin=section.file)


def _with_sigma(observables: Observables, section: TrackingSection) -> Observables:
    """Fill in the sigma that the file does not state.

    Raises
    ------
    MissingDataError
        Where neither file nor session states it.
    """
    missing = ~np.isfinite(observables.sigma)
    if not missing.any():
        return observables
    if section.sigma is None:
        if not section.use:
            return observables
        raise MissingDataError(
            f"the uncertainty of its {observables.kind} points is not stated.",
            place=section.file,
            next_step="Add sigma = ... (in the observable's unit) to its [[tracking]].",
        )
    return replace(observables, sigma=np.where(missing, section.sigma, observables.sigma))


def _observables(context: Context) -> Outcome:
    setting, session = Setting(context), context.session
    assert session.target is not None
    wanted = session.estimate
    motion = a_priori_target(setting)
    trajectory = motion.trajectory(motion.values)
    found: list[TrackedData] = []
    points, flagged = 0, 0
    for k, section in enumerate(session.tracking):
        context.progress(f"observables {section.file}", k / len(session.tracking))
        data = _read_tracking(context, section, session.target.name)
        sets = [_with_sigma(o, section) for o in data.observables]
        if wanted.sun_angle > 0:
            angle = float(np.radians(wanted.sun_angle))
            sets = [flag_near_sun(o, trajectory, setting.earth, angle) for o in sets]
        if wanted.elevation > 0:
            angle = float(np.radians(wanted.elevation))
            sets = [
                flag_low_elevation(o, trajectory, setting.earth, angle, setting.catalogue)
                for o in sets
            ]
        points += sum(len(o) for o in sets)
        flagged += sum(int(np.sum(~o.good)) for o in sets)
        found.append(TrackedData(section.file, section.use, replace(data, observables=tuple(sets))))
    save(context.path(TRACKING), tuple(found))
    summary = {"files": len(found), "points": points, "flagged beforehand": flagged}
    return Outcome([TRACKING], summary)


def load_tracking(context: Context) -> tuple[TrackedData, ...]:
    """Return the observables of each tracking file."""
    return tuple(load(context.path(TRACKING)))


# -- orbit -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Determined:
    """What the stage "orbit" found.

    Attributes
    ----------
    solution : Solution
        Parameters and covariance.
    residuals : ResidualTable
        Of what was used.
    shown : tuple of ResidualTable
        Of tracking files that are compared only.
    orbit : OrbitSolution or None
        Where the target flies.
    """

    solution: Solution
    residuals: ResidualTable
    shown: tuple[ResidualTable, ...]
    orbit: OrbitSolution | None = None


@dataclass(frozen=True)
class Seen:
    """How well one component is known, before and after.

    Attributes
    ----------
    name, unit : str
        Of the component.
    before, after : float
        Sigma a priori and with the data.
    """

    name: str
    unit: str
    before: float
    after: float

    @property
    def observed(self) -> bool:
        """Whether the data improved it twofold."""
        return self.before / self.after >= _IMPROVED

    @property
    def mark(self) -> str:
        """The same in words."""
        return "observed" if self.observed else "not observed"


def a_priori_target(setting: Setting) -> OrbitTarget | LanderTarget:
    """Return the target as a function of its parameters."""
    section = setting.session.target
    if isinstance(section, LanderSection):
        return LanderTarget(section.name, section.body, np.array(section.position))
    return setting.orbit_target


def parameters(session: Session) -> list[Parameter]:
    """Return the target's parameters with their a-priori values."""
    section = session.target
    if isinstance(section, LanderSection):
        return [
            Parameter(name, value, section.sigma, "m")
            for name, value in zip("xyz", section.position, strict=True)
        ]
    assert isinstance(section, SpacecraftSection)
    values = (*section.position, *section.velocity)
    sigmas = (section.sigma_position,) * 3 + (section.sigma_velocity,) * 3
    units = ("m",) * 3 + ("m/s",) * 3
    found = [Parameter(*four) for four in zip(STATE_NAMES, values, sigmas, units, strict=True)]
    if section.area_over_mass > 0:
        found.append(Parameter(PRESSURE_NAME, 1.0, section.sigma_srp, consider=True))
    return found


def has_orbit(session: Session) -> bool:
    """Tell whether there is anything to estimate, and from."""
    return session.target is not None and (bool(session.tracking) or has_delta_dor(session))


def _orbit(context: Context) -> Outcome:
    setting, session = Setting(context), context.session
    target = a_priori_target(setting)
    tracked = load_tracking(context) if session.tracking else ()
    used = [t for t in tracked if t.use]
    observables: list[Observables] = []
    joint: Floats | None = None  # baselines share stations: their rows are correlated
    if has_delta_dor(session):
        rows = load_delta_dor(context).independent()
        order = rows.rows_by_baseline()
        observables += rows.observables()
        joint = rows.covariance[np.ix_(order, order)]
    ramps: list[UplinkRamps] = []
    for item in used:
        observables += item.data.observables
        ramps += item.data.ramps
    context.progress("orbit", 0.1)
    solution, table = fit_target(
        target,
        observables,
        parameters(session),
        earth=setting.earth,
        ramps=ramps,
        media=setting.media,
        covariance=joint,
        editing=Editing(threshold=session.estimate.edit_sigma),
        stations=setting.catalogue,
        directions=setting.source_directions,
    )
    values = _all_values(solution, session)
    shown = tuple(
        residuals_at(
            target,
            values,
            item.data.observables,
            earth=setting.earth,
            ramps=ramps,
            media=setting.media,
            stations=setting.catalogue,
        )
        for item in tracked
        if not item.use
    )
    found = Determined(solution, table, shown)
    outputs = [SOLUTION, SOLUTION_JSON, RESIDUALS]
    summary: dict[str, object] = {
        "rows used": int(np.sum(solution.used)),
        "rows edited": int(np.sum(solution.flags == "outlier")),
        "iterations": solution.iterations,
        "weighted rms": round(solution.weighted_rms, 3),
        "chi-square": round(solution.chi2, 2),
        "degrees of freedom": solution.dof,
    }
    if isinstance(target, OrbitTarget):
        context.progress("orbit", 0.8)
        orbit = _predicted(setting, target, values, solution, table)
        found = replace(found, orbit=orbit)
        outputs.append(ORBIT_OEM)
        _write_oem(context, orbit, session)
        middle = middle_of(setting)
        sky = plane_of_sky(orbit.covariance(middle), from_earth(orbit, middle, setting)[:3])
        summary = {f"sigmas at {middle.to('utc').iso(0)} UTC": str(sky)} | summary
    else:
        summary = _place(solution) | summary
    save(context.path(SOLUTION), found)
    made_by = {"session": session.name}
    write_solution(context.path(SOLUTION_JSON), found.orbit or solution, **made_by)
    write_residuals(context.path(RESIDUALS), table)
    return Outcome(outputs, summary)


def _place(solution: Solution) -> dict[str, object]:
    """Return where a lander stands, as longitude (east), planetocentric latitude and radius."""
    x, y, z = solution.values
    return {
        "longitude (deg E)": round(float(np.degrees(np.arctan2(y, x)) % 360.0), 6),
        "latitude (deg)": round(float(np.degrees(np.arctan2(z, np.hypot(x, y)))), 5),
        "radius (km)": round(float(np.linalg.norm(solution.values)) / 1e3, 3),
        "rms": f"{solution.rms:.3g}",
    }


def _all_values(solution: Solution, session: Session) -> Floats:
    """Return the values of all of the target's parameters, considered ones too."""
    return np.array(
        [solution[p.name][0] if p.name in solution.names else p.value for p in parameters(session)]
    )


def _predicted(
    setting: Setting, target: OrbitTarget, values: Floats, solution: Solution, table: ResidualTable
) -> OrbitSolution:
    """Return the solution as an orbit that reaches some days ahead."""
    ahead = setting.session.estimate.predict_days * DAY
    span = target.span[0], target.span[1].shifted(ahead)
    longer = OrbitTarget(target.initial, target.forces, span, target.tolerance)
    return OrbitSolution(longer.trajectory(values), solution, table)


def _write_oem(context: Context, orbit: OrbitSolution, session: Session) -> None:
    start, stop = orbit.span
    epochs = start.shifted(np.linspace(0.0, float(stop.since(start)), _OEM_POINTS))
    write_oem(
        context.path(ORBIT_OEM),
        orbit,
        epochs,
        covariance=orbit.covariance,
        object_name=orbit.name,
        object_id=orbit.name,
        comments=(f"session {session.name}",),
    )


def load_determined(context: Context) -> Determined:
    """Return what the stage "orbit" found."""
    found = load(context.path(SOLUTION))
    if not isinstance(found, Determined):
        raise MissingDataError("it holds no solution.", place=SOLUTION, next_step="Run again.")
    return found


def sky_sigmas(orbit: OrbitSolution, epoch: Epoch, setting: Setting) -> tuple[Seen, ...]:
    """Return how well position and velocity are known in the plane of the sky and in range.

    Parameters
    ----------
    orbit : OrbitSolution
        The orbit.
    epoch : Epoch, shape ()
        When.
    setting : Setting
        Gives the a-priori sigmas and the Earth.
    """
    axes = sky_axes(from_earth(orbit, epoch, setting)[:3])
    transition = orbit.trajectory.transition(epoch)[..., :6]
    section = setting.spacecraft
    first = np.diag(np.repeat([section.sigma_position**2, section.sigma_velocity**2], 3))
    before = np.sqrt(np.diag(to_axes(transition @ first @ transition.T, axes)))
    after = np.sqrt(np.diag(to_axes(orbit.covariance(epoch), axes)))
    names = [f"{axis} {what}" for what in ("position", "velocity") for axis in AXES]
    units = ["m"] * 3 + ["m/s"] * 3
    return tuple(
        Seen(n, u, float(b), float(a))
        for n, u, b, a in zip(names, units, before, after, strict=True)
    )


AXES = ("east", "north", "radial")


def middle_of(setting: Setting) -> Epoch:
    """Return the middle of a session's scans, or the epoch of its state where it has none, TDB."""
    scans = setting.session.scan
    if not scans:
        return setting.spacecraft.state_epoch
    start, stop = scans[0].span[0], scans[-1].span[1]
    return start.shifted(0.5 * float(stop.since(start))).to("tdb")


def from_earth(orbit: OrbitSolution, epoch: Epoch, setting: Setting) -> Floats:
    """Return the target's state relative to the geocentre, shape (6,), m and m/s."""
    return orbit.state(epoch) - setting.earth.ephemeris.state("EARTH", orbit.center, epoch)


def _tracking_inputs(context: Context) -> list[object]:
    session = context.session
    return [
        session.target,
        session.tracking,
        session.estimate,
        *file_stamps(context, [t.file for t in session.tracking]),
    ]


ORBIT_STAGES = (
    Stage(
        "observables",
        lambda s: bool(s.tracking) and s.target is not None,
        _tracking_inputs,
        _observables,
    ),
    Stage(
        "orbit",
        has_orbit,
        lambda c: [*steering_inputs(c), c.session.estimate],
        _orbit,
        ("delta_dor", "observables"),
    ),
)
