"""From observables to an orbit or a lander's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.dynamics.propagate import OrbitTarget
from kitestring.dynamics.types import PRESSURE_NAME, STATE_NAMES
from kitestring.errors import ConfigurationError, EstimationError, MissingDataError
from kitestring.estimate.lander import LanderTarget
from kitestring.estimate.mapping import map_covariance, plane_of_sky, sky_axes, to_axes
from kitestring.estimate.ramps import merge_ramps
from kitestring.estimate.tracking import fit_target, residuals_at
from kitestring.estimate.types import (
    Editing,
    OrbitSolution,
    Parameter,
    ResidualTable,
    Solution,
)
from kitestring.formats.oem import read_oem, write_oem
from kitestring.formats.spk_write import write_spk
from kitestring.model.time import DAY, Epoch
from kitestring.observables.editing import doppler_passes
from kitestring.observables.types import Observables
from kitestring.products.tables import (
    OBSERVED,
    observed_marks,
    write_residuals,
    write_solution,
)
from kitestring.session.archive import load, save
from kitestring.session.file import (
    LanderSection,
    Session,
    SpacecraftSection,
)
from kitestring.session.provenance import made_by
from kitestring.session.run import Context, Outcome, Stage
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import (
    PRODUCTS,
    has_delta_dor,
    load_delta_dor,
    theory_inputs,
)
from kitestring.session.tracking_stage import (
    TRACKING_STAGE,
    a_priori_target,
    load_tracking,
    reach,
)

Floats = NDArray[np.float64]

SOLUTION = f"{PRODUCTS}/solution.npz"
SOLUTION_JSON = f"{PRODUCTS}/solution.json"
RESIDUALS = f"{PRODUCTS}/residuals.csv"
ORBIT_OEM = f"{PRODUCTS}/orbit.oem"
ORBIT_SPK = f"{PRODUCTS}/orbit.bsp"

_OEM_POINTS = 200  # at first
_OEM_MOST = 200_000
_OEM_CLOSE = 1.0  # m
_OEM_CLOSE_SIGMAS = 0.01


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
        """Whether the data said anything of it (`observed_marks`)."""
        return self.mark == OBSERVED

    @property
    def mark(self) -> str:
        """The same in words."""
        return observed_marks(np.array([self.before / self.after]))[0]


def parameters(session: Session, target: OrbitTarget | LanderTarget) -> list[Parameter]:
    """Return the target's parameters with their a-priori values."""
    section = session.target
    if isinstance(section, LanderSection):
        assert isinstance(target, LanderTarget)  # what the section became
        sigmas = (*(section.sigma,) * 3, *section.rotation_sigma.values())
        four = zip(target.names, target.values.tolist(), sigmas, target.units, strict=True)
        return [Parameter(*each) for each in four]
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
    session = context.session
    tracked = load_tracking(context) if session.tracking else ()
    setting = Setting(context, reach([item.data for item in tracked]))
    target = a_priori_target(setting)
    used = [t for t in tracked if t.use]
    observables: list[Observables] = []
    joint: Floats | None = None  # baselines share stations: their rows are correlated
    if has_delta_dor(session):
        rows = load_delta_dor(context).independent()
        order = rows.rows_by_baseline()
        observables += rows.observables()
        joint = rows.covariance[np.ix_(order, order)]
    for item in used:
        observables += item.data.observables
    # files that are compared only may still tell what was transmitted
    ramps = merge_ramps([r for item in tracked for r in item.data.ramps], setting.catalogue)
    model = setting.forward_model(ramps)
    given = parameters(session, target)
    context.progress("orbit", 0.1)
    solution, table = fit_target(
        target,
        observables,
        given,
        model,
        covariance=joint,
        editing=Editing(threshold=session.estimate.edit_sigma),
        arc_of=doppler_passes if session.estimate.pass_bias else None,
        bias_sigma=session.estimate.pass_bias or np.inf,
    )
    values = _all_values(solution, given)
    shown = tuple(
        residuals_at(target, values, item.data.observables, model)
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
        outputs += [ORBIT_OEM, ORBIT_SPK]
        middle = middle_of(setting)
        sky = plane_of_sky(orbit.covariance(middle), from_earth(orbit, middle, setting)[:3])
        summary = {f"sigmas at {middle.to('utc').iso(0)} UTC": str(sky)} | summary
    else:
        summary = _place(solution) | summary
    save(context.path(SOLUTION), found)
    write_solution(context.path(SOLUTION_JSON), found.orbit or solution, **made_by(setting))
    write_residuals(context.path(RESIDUALS), table)
    if found.orbit is not None:
        _write_oem(setting, found.orbit)
        _write_spk(setting, found.orbit)
    return Outcome(outputs, summary)


def _place(solution: Solution) -> dict[str, object]:
    """Return where a lander stands, as longitude (east), planetocentric latitude and radius."""
    x, y, z = solution.values[:3]
    return {
        "longitude (deg E)": round(float(np.degrees(np.arctan2(y, x)) % 360.0), 6),
        "latitude (deg)": round(float(np.degrees(np.arctan2(z, np.hypot(x, y)))), 5),
        "radius (km)": round(float(np.hypot(np.hypot(x, y), z)) / 1e3, 3),
        "rms": f"{solution.rms:.3g}",
    }


def _all_values(solution: Solution, given: Sequence[Parameter]) -> Floats:
    """Return the values of all of the target's parameters, considered ones too."""
    return np.array([solution[p.name][0] if p.name in solution.names else p.value for p in given])


def _predicted(
    setting: Setting, target: OrbitTarget, values: Floats, solution: Solution, table: ResidualTable
) -> OrbitSolution:
    """Return the solution as an orbit that reaches some days ahead."""
    ahead = setting.session.estimate.predict_days * DAY
    span = target.span[0], target.span[1].shifted(ahead)
    longer = OrbitTarget(target.initial, target.forces, span, target.tolerance)
    return OrbitSolution(longer.trajectory(values), solution, table)


def _write_oem(setting: Setting, orbit: OrbitSolution) -> None:
    """Write the orbit with as many points as interpolation between them needs.

    Raises
    ------
    EstimationError
        Where that would be more than a file should hold.
    """
    path = setting.context.path(ORBIT_OEM)
    partial = path.with_name(f"{path.name}.part")
    start, stop = orbit.span
    length = float(stop.since(start))
    comments = _comments(setting)
    points = _OEM_POINTS
    try:
        while points <= _OEM_MOST:
            write_oem(
                partial,
                orbit,
                start.shifted(np.linspace(0.0, length, points)),
                covariance=orbit.covariance,
                object_name=_ascii(orbit.name),
                object_id=_ascii(orbit.name),
                comments=comments,
            )
            if _holds(partial, orbit):
                partial.replace(path)
                return
            points *= 2
    finally:
        partial.unlink(missing_ok=True)
    raise EstimationError(
        f"between {points // 2} points over {length / DAY:.1f} days, readers would not find the "
        f"orbit of {orbit.name} within {_OEM_CLOSE:g} m or {_OEM_CLOSE_SIGMAS:g} sigma.",
        place=ORBIT_OEM,
        next_step="Lower estimate.predict_days in session.toml and run again.",
    )


def _write_spk(setting: Setting, orbit: OrbitSolution) -> None:
    """Write the orbit with as many states as interpolation within a millimetre needs.

    Raises
    ------
    EstimationError
        Where that would be more than a file should hold.
    """
    try:
        write_spk(
            setting.context.path(ORBIT_SPK),
            orbit,
            body=setting.spacecraft.spice_id,
            comments=_comments(setting),
        )
    except ConfigurationError as problem:
        raise EstimationError(
            problem.message,
            place=ORBIT_SPK,
            next_step="Lower estimate.predict_days in session.toml and run again.",
        ) from None


def _comments(setting: Setting) -> list[str]:
    """Return how an orbit was made, a line each."""
    return [_ascii(f"{what}: {told}") for what, told in made_by(setting).items()]


def _ascii(text: str) -> str:
    """Return text as a CCSDS message may hold it: other characters as question marks."""
    return text.encode("ascii", "replace").decode("ascii")


def _holds(path: Path, orbit: OrbitSolution) -> bool:
    """Tell whether an OEM, as it is read, agrees with the orbit midway between its points."""
    (table,) = read_oem(path)
    steps = np.diff(table.epoch.since(table.epoch[0]))
    middles = table.epoch[:-1].shifted(0.5 * steps)
    off = np.linalg.norm(table.state(middles)[:, :3] - orbit.state(middles)[:, :3], axis=-1)
    # along the shortest axis of the error ellipsoid
    smallest = np.linalg.eigvalsh(orbit.covariance(middles)[:, :3, :3])[:, 0]
    sigma = np.sqrt(np.maximum(smallest, 0.0))
    return bool(np.all(off <= np.maximum(_OEM_CLOSE, _OEM_CLOSE_SIGMAS * sigma)))


def load_determined(context: Context) -> Determined:
    """Return what the stage "orbit" found."""
    found = load(context.path(SOLUTION))
    if not isinstance(found, Determined):
        raise MissingDataError("it holds no solution.", place=SOLUTION, next_step="Run again.")
    return found


def a_priori_covariance(orbit: OrbitSolution, epoch: Epoch, setting: Setting) -> Floats:
    """Return the covariance of the state that the session states, mapped to an epoch, (6, 6)."""
    section = setting.spacecraft
    first = np.diag(np.repeat([section.sigma_position**2, section.sigma_velocity**2], 3))
    return map_covariance(first, orbit.trajectory.transition(epoch)[..., :6])


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
    before = np.sqrt(np.diag(to_axes(a_priori_covariance(orbit, epoch, setting), axes)))
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


ORBIT_STAGES = (
    TRACKING_STAGE,
    Stage(
        "orbit",
        has_orbit,
        lambda c: [*theory_inputs(c), c.session.target, c.session.estimate],
        _orbit,
        ("delta_dor", "observables"),
    ),
)
