"""What the programs on InSight share: the data read, edited and fitted with one lander position."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError, FormatWarning
from kitestring.estimate.forward import ForwardModel
from kitestring.estimate.lander import LanderTarget
from kitestring.estimate.tracking import compute, fit_target
from kitestring.estimate.types import Editing, Parameter, ResidualTable, Solution
from kitestring.formats.tdm import read_tdm
from kitestring.model.earth import EarthModel
from kitestring.model.sight import Effect
from kitestring.model.troposphere import Troposphere
from kitestring.observables.editing import flag_near_sun, flag_rows
from kitestring.observables.types import Observables, TrackingData

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Golombek et al. 2020: planetocentric, cartographic frame
LATITUDE, LONGITUDE = np.radians(4.502384), np.radians(135.623447)
_RADIUS = 3389.5e3  # m, Mars' mean one: the guess is good to 10 km
# m; what two_way_doppler.py finds in the DSN's data, to 100 m
FOUND = (-2417.5e3, 2365.9e3, 266.0e3)

SUN_ANGLE = np.radians(30.0)
SIGMA = 3e-3  # Hz; a weight only: all rows share it
# The guess moves the Doppler by 40 Hz at most
GROSS = 50.0
OUTLIERS = Editing(threshold=5.0)
MEDIA: tuple[Effect, ...] = (Troposphere(),)


@dataclass(frozen=True)
class Fit:
    """The lander where the two-way Doppler has it.

    Attributes
    ----------
    target : LanderTarget
        What was fitted.
    solution : Solution
        Its coordinates.
    table : ResidualTable
        Every row, also those set aside.
    observables : tuple of Observables
        What was fitted, flagged; the rows of the table in their order.
    data : TrackingData
        The file, with its ramps.
    earth : EarthModel
        Where the stations are.
    """

    target: LanderTarget
    solution: Solution
    table: ResidualTable
    observables: tuple[Observables, ...]
    data: TrackingData
    earth: EarthModel


def read(path: Path) -> TrackingData:
    """Read a TDM, and print as notes where it is loose."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", FormatWarning)
        data = read_tdm(path)
    for warning in told:
        print(f"# {str(warning.message).replace(str(path), path.name)}")
    if not data.observables:
        raise FormatError("holds no tracking data.", place=str(path))
    return data


def first_guess() -> LanderTarget:
    """Return the lander where the map has it."""
    across = _RADIUS * np.cos(LATITUDE)
    place = [across * np.cos(LONGITUDE), across * np.sin(LONGITUDE), _RADIUS * np.sin(LATITUDE)]
    return LanderTarget("InSight", "MARS", place)


def forward(data: TrackingData, earth: EarthModel) -> ForwardModel:
    """Return what predicts the observables."""
    return ForwardModel(earth, data.ramps, MEDIA)


def edited(data: TrackingData, target: LanderTarget, earth: EarthModel) -> tuple[Observables, ...]:
    """Return the observables with flags for the Sun and for what no lander can do."""
    found = []
    for o in data.observables:
        kept = replace(o, sigma=np.full(len(o), SIGMA))
        kept = flag_near_sun(kept, target.trajectory(target.values), earth, SUN_ANGLE)
        expected = compute(kept, target, target.values, forward(data, earth))
        gross = ~(np.abs(kept.value - expected.value) < GROSS)
        found.append(flag_rows(kept, gross, f"off by more than {GROSS:g} Hz"))
    return tuple(found)


def fit_lander(data: TrackingData, earth: EarthModel) -> Fit:
    """Fit one position to all of the Doppler that is far from the Sun; nothing is detrended."""
    target = first_guess()
    observables = edited(data, target, earth)
    guess = [Parameter(n, float(v), unit="m") for n, v in zip("xyz", target.values, strict=True)]
    solution, table = fit_target(target, observables, guess, forward(data, earth), editing=OUTLIERS)
    return Fit(target, solution, table, observables, data, earth)


def near_sun(table: ResidualTable) -> Flags:
    """Return which rows were set aside because of the Sun."""
    return np.asarray(np.char.startswith(table.flag, "Sun angle"))


def receivers(table: ResidualTable) -> NDArray[np.str_]:
    """Return the receiving station of each row."""
    return np.array([label.split(" > ")[-1] for label in table.label.tolist()])


def line_removed(seconds: Floats, values: Floats) -> Floats:
    """Return values less their straight line, or less their mean where there are two or fewer."""
    if len(values) < 3:
        return np.asarray(values - np.mean(values))
    middle = seconds - np.mean(seconds)
    return np.asarray(values - np.polyval(np.polyfit(middle, values, 1), middle))


def rms(values: Floats) -> float:
    """Return the root of the mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")
