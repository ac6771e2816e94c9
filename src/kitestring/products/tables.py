"""Tables that users take home: residuals as CSV, solutions as JSON.

Both are read back to the last bit: numbers are written with as many digits as
tell them from their neighbours.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from kitestring import __version__
from kitestring._write import write_atomically
from kitestring.dynamics.types import ForceModel, Impulse, OrbitState, Thrust
from kitestring.errors import FormatError, KitestringError, MissingDataError, UnknownNameError
from kitestring.estimate.types import Bias, OrbitSolution, ResidualTable, Solution
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

OBSERVED = "observed"
NOT_OBSERVED = "not observed"

OBSERVED_FROM = 2.0
"""A parameter is observed where the data make its sigma so many times smaller."""

_FORMAT = "kitestring solution"
_VERSION = 1
_NUMBERS = ("observed", "computed", "residual", "sigma")
_COLUMNS = ("label", "time_utc", "mjd_utc", "second_of_day_utc", *_NUMBERS, "flag")


# -- residuals -----------------------------------------------------------------


def write_residuals(path: str | Path, table: ResidualTable) -> None:
    """Write residuals as CSV, a row for each observation, those set aside too.

    The columns are the label; the time tag as UTC text (to a nanosecond) and,
    exactly, as day (MJD) and second of the day; observed, computed, observed
    minus computed and sigma in the observable's unit (SI); and why a row was
    not used, empty where it was.

    Parameters
    ----------
    path : str or Path
        The file to be written; it appears whole or not at all.
    table : ResidualTable
        What is written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    utc = table.epoch.to("utc")
    numbers = [getattr(table, name).tolist() for name in _NUMBERS]
    writer.writerows(
        zip(
            table.label.tolist(),
            utc.iso_list(9) if len(table) else [],
            utc.day.tolist(),
            utc.second.tolist(),
            *numbers,
            table.flag.tolist(),
            strict=True,
        )
    )
    write_atomically(path, text.getvalue())


def read_residuals(path: str | Path) -> ResidualTable:
    """Read what `write_residuals` wrote.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is no such table; it names file and line.
    """
    text = _read_text(path, "residuals")
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, [])
    if tuple(header) != _COLUMNS:
        raise FormatError(
            f"the columns are {', '.join(header) or 'none'}.",
            place=f"{path}:1",
            next_step=f"Give a table with the columns {', '.join(_COLUMNS)}.",
        )
    days: list[int] = []
    numbers: list[list[float]] = []
    texts: list[tuple[str, str]] = []
    for row in rows:
        try:
            label, _, day, *values, flag = row
            days.append(int(day))
            numbers.append([float(value) for value in values])
            if len(values) != 1 + len(_NUMBERS):
                raise ValueError(f"{len(row)} columns instead of {len(_COLUMNS)}")
        except ValueError as problem:
            raise FormatError(
                f"is no row of residuals: {problem}.",
                place=f"{path}:{rows.line_num}",
                next_step="Mend the line, or write the table anew.",
            ) from None
        texts.append((label, flag))
    table = np.array(numbers, dtype=np.float64).reshape(-1, 1 + len(_NUMBERS))
    words = np.array(texts, dtype=str).reshape(-1, 2)
    epoch = Epoch("utc", np.array(days, dtype=np.int64), table[:, 0].copy())
    _, observed, computed, residual, sigma = (column.copy() for column in table.T)
    return ResidualTable(words[:, 0], epoch, observed, computed, residual, sigma, words[:, 1])


# -- solutions -----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SavedSolution:
    """A solution as its file tells it: all but the rows of the observations.

    Attributes
    ----------
    names, units : tuple of str, length p
        The estimated parameters.
    values, apriori_sigmas : ndarray, shape (p,)
        Values, and a-priori sigmas (infinite where free).
    covariance, noise_covariance : ndarray, shape (p, p)
        With and without the effect of consider parameters.
    consider : mapping of str to float
        Consider parameters and their sigmas.
    sensitivity : ndarray, shape (p, c)
        Change of the estimate per unit change of each consider parameter.
    biases : mapping of str to Bias
        By arc.
    flags : mapping of str to int
        Number of rows by flag; the empty one counts those used.
    iterations, rms, weighted_rms, chi2, dof
        As in `kitestring.estimate.types.Solution`.
    initial : OrbitState or None
        The estimated state, where it is an orbit.
    forces : ForceModel or None
        What acted, with estimated values.
    span : tuple of Epoch or None
        First and last epoch that the orbit covered, TDB.
    made_by : mapping of str to str
        How it came about.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Floats
    apriori_sigmas: Floats
    covariance: Floats
    noise_covariance: Floats
    consider: Mapping[str, float]
    sensitivity: Floats
    biases: Mapping[str, Bias]
    flags: Mapping[str, int]
    iterations: int
    rms: float
    weighted_rms: float
    chi2: float
    dof: int
    initial: OrbitState | None = None
    forces: ForceModel | None = None
    span: tuple[Epoch, Epoch] | None = None
    made_by: Mapping[str, str] = field(default_factory=dict)

    @property
    def sigmas(self) -> Floats:
        """Standard deviations of the parameters, consider effects included."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def observability(self) -> Floats:
        """A-priori over posterior sigma: 1 where the data say nothing, infinite where free."""
        return self.apriori_sigmas / self.sigmas

    @property
    def observed(self) -> tuple[str, ...]:
        """Of each parameter, whether the data said anything (`observed_marks`)."""
        return observed_marks(self.observability)

    def __getitem__(self, name: str) -> tuple[float, float]:
        """Return value and sigma of a parameter."""
        if name not in self.names:
            raise UnknownNameError("estimated parameter", name, self.names)
        i = self.names.index(name)
        return float(self.values[i]), float(self.sigmas[i])


def observed_marks(observability: Floats) -> tuple[str, ...]:
    """Return ``"observed"`` or ``"not observed"`` for each parameter.

    Parameters
    ----------
    observability : ndarray, shape (p,)
        A-priori over posterior sigma; from `OBSERVED_FROM` on a parameter is
        observed.
    """
    return tuple(OBSERVED if ratio >= OBSERVED_FROM else NOT_OBSERVED for ratio in observability)


def write_solution(path: str | Path, solution: Solution | OrbitSolution, **made_by: str) -> None:
    """Write a solution as JSON.

    What JSON has no number for stands as text: ``"inf"`` is the a-priori sigma
    of a free parameter.

    Parameters
    ----------
    path : str or Path
        The file to be written; it appears whole or not at all.
    solution : Solution or OrbitSolution
        What is written. Of an orbit, the state, its epoch and the forces too,
        so that it can be propagated again; its residuals go into a table of
        their own (`write_residuals`).
    **made_by : str
        How it came about: inputs with checksums, models, date of the Earth
        orientation. The version of Kitestring is added where absent.
    """
    fit = solution.solution if isinstance(solution, OrbitSolution) else solution
    reasons, counts = np.unique(fit.flags, return_counts=True)
    content: dict[str, Any] = {
        "format": _FORMAT,
        "format_version": _VERSION,
        "made_by": {"Kitestring": __version__, **made_by},
        "orbit": _orbit(solution) if isinstance(solution, OrbitSolution) else None,
        "parameters": [
            {
                "name": name,
                "unit": fit.units[k],
                "value": fit.values[k],
                "sigma": fit.sigmas[k],
                "apriori_sigma": fit.apriori_sigmas[k],
                "observability": fit.observability[k],
                "mark": observed_marks(fit.observability)[k],
            }
            for k, name in enumerate(fit.names)
        ],
        "covariance": fit.covariance,
        "noise_covariance": fit.noise_covariance,
        "consider": [
            {"name": name, "sigma": sigma, "sensitivity": fit.sensitivity[:, k]}
            for k, (name, sigma) in enumerate(fit.consider.items())
        ],
        "biases": [
            {"arc": arc, "value": bias.value, "sigma": bias.sigma}
            for arc, bias in fit.biases.items()
        ],
        "fit": {
            "iterations": fit.iterations,
            "rms": fit.rms,
            "weighted_rms": fit.weighted_rms,
            "chi2": fit.chi2,
            "dof": fit.dof,
            "rows_used": int(np.sum(fit.used)),
            "rows_set_aside": {
                str(reason): int(count)
                for reason, count in zip(reasons, counts, strict=True)
                if reason
            },
        },
    }
    write_atomically(path, json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def read_solution(path: str | Path) -> SavedSolution:
    """Read what `write_solution` wrote.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is no such solution, or of a later version.
    """
    text = _read_text(path, "solution")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as problem:
        _refuse(f"is not JSON: {problem.msg}.", f"{path}:{problem.lineno}")
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        _refuse("is no solution.", str(path))
    if content.get("format_version") != _VERSION:
        raise FormatError(
            f"is a solution of version {content.get('format_version')}, not {_VERSION}.",
            place=str(path),
            next_step="Read it with the version of Kitestring that wrote it, or a later one.",
        )
    try:
        return _solution(content)
    except (KeyError, TypeError, ValueError, AttributeError, KitestringError) as problem:
        _refuse(f"is no whole solution ({type(problem).__name__}: {problem}).", str(path))


def _solution(content: Mapping[str, Any]) -> SavedSolution:
    parameters, fit = content["parameters"], content["fit"]
    consider = content["consider"]
    p = len(parameters)
    sensitivity = np.array([_array(c["sensitivity"]) for c in consider]).reshape(len(consider), p)
    orbit = content["orbit"]
    return SavedSolution(
        names=tuple(str(one["name"]) for one in parameters),
        units=tuple(str(one["unit"]) for one in parameters),
        values=_array([one["value"] for one in parameters]),
        apriori_sigmas=_array([one["apriori_sigma"] for one in parameters]),
        covariance=_array(content["covariance"]).reshape(p, p),
        noise_covariance=_array(content["noise_covariance"]).reshape(p, p),
        consider={str(one["name"]): float(one["sigma"]) for one in consider},
        sensitivity=np.ascontiguousarray(sensitivity.T),
        biases={
            str(one["arc"]): Bias(float(one["value"]), float(one["sigma"]))
            for one in content["biases"]
        },
        flags={"": int(fit["rows_used"]), **{k: int(n) for k, n in fit["rows_set_aside"].items()}},
        iterations=int(fit["iterations"]),
        rms=float(fit["rms"]),
        weighted_rms=float(fit["weighted_rms"]),
        chi2=float(fit["chi2"]),
        dof=int(fit["dof"]),
        initial=_state_of(orbit) if orbit else None,
        forces=_forces_of(orbit["forces"]) if orbit else None,
        span=(_epoch_of(orbit["span"][0]), _epoch_of(orbit["span"][1])) if orbit else None,
        made_by=dict(content["made_by"]),
    )


# -- orbits --------------------------------------------------------------------


def _orbit(solution: OrbitSolution) -> dict[str, Any]:
    trajectory = solution.trajectory
    return {
        "name": solution.name,
        "center": solution.center,
        "frame": solution.frame,
        "epoch": solution.epoch,
        "state": solution.initial_state,
        "span": list(solution.span),
        "forces": _forces(trajectory.forces),
    }


def _forces(forces: ForceModel) -> dict[str, Any]:
    burns: list[dict[str, Any]] = []
    for burn in forces.burns:
        if isinstance(burn, Impulse):
            burns.append({"name": burn.name, "epoch": burn.epoch, "delta_v": burn.delta_v})
        else:
            burns.append(
                {
                    "name": burn.name,
                    "start": burn.start,
                    "stop": burn.stop,
                    "acceleration": burn.acceleration,
                }
            )
    return {
        "bodies": list(forces.bodies),
        "relativity": forces.relativity,
        "area_over_mass": forces.area_over_mass,
        "srp_scale": forces.srp_scale,
        "burns": burns,
    }


def _state_of(orbit: Mapping[str, Any]) -> OrbitState:
    return OrbitState(
        _epoch_of(orbit["epoch"]), _array(orbit["state"]), str(orbit["center"]), str(orbit["name"])
    )


def _forces_of(content: Mapping[str, Any]) -> ForceModel:
    burns: list[Impulse | Thrust] = []
    for burn in content["burns"]:
        if "delta_v" in burn:
            burns.append(Impulse(burn["name"], _epoch_of(burn["epoch"]), _array(burn["delta_v"])))
        else:
            ends = _epoch_of(burn["start"]), _epoch_of(burn["stop"])
            burns.append(Thrust(burn["name"], *ends, _array(burn["acceleration"])))
    return ForceModel(
        bodies=tuple(content["bodies"]),
        relativity=bool(content["relativity"]),
        area_over_mass=float(content["area_over_mass"]),
        srp_scale=float(content["srp_scale"]),
        burns=tuple(burns),
    )


# -- plain values --------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Return what JSON knows in place of our own types."""
    if isinstance(value, Epoch):
        return {
            "scale": value.scale,
            "day_mjd": int(value.day),
            "second": float(value.second),
            "text": value.iso(9),
        }
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float):  # numpy's too
        return float(value) if np.isfinite(value) else str(float(value))
    return value


def _array(values: Any) -> Floats:
    """Return numbers, texts such as ``"inf"`` among them, as an array."""
    if isinstance(values, list):
        return np.array([_array(one) for one in values], dtype=np.float64)
    return np.asarray(float(values))


def _epoch_of(content: Mapping[str, Any]) -> Epoch:
    day, second = np.array(content["day_mjd"], np.int64), np.array(content["second"], np.float64)
    return Epoch(content["scale"], day, second)


def _read_text(path: str | Path, what: str) -> str:
    try:
        # newlines inside quoted cells must survive
        with Path(path).open(encoding="utf-8", newline="") as file:
            return file.read()
    except OSError as error:
        raise MissingDataError(
            f"the file of {what} cannot be read: {error.strerror}.",
            place=str(path),
            next_step="Check the path.",
        ) from None
    except UnicodeDecodeError:
        _refuse("is not text.", str(path))


def _refuse(message: str, place: str) -> NoReturn:
    raise FormatError(message, place=place, next_step="Write it anew from the session.")
