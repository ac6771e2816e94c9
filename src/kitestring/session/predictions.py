"""Predictions of a target by whatever names it: a source, an orbit file, a session's solution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError, MissingDataError, SpanError, UnknownNameError
from kitestring.formats.oem import read_oem
from kitestring.model.earth import EarthModel
from kitestring.model.media import Troposphere
from kitestring.model.sources import get_source
from kitestring.model.stations import StationCatalogue
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.products.predictions import PredictionTable, predict_table
from kitestring.session.file import read_session
from kitestring.session.orbit_stages import load_determined
from kitestring.session.run import Context
from kitestring.session.setting import Setting

MOST_EPOCHS = 100_000


def find_target(name: str) -> tuple[str, Trajectory | NDArray[np.float64]]:
    """Return a target's name, and its trajectory or direction.

    Parameters
    ----------
    name : str
        Name of a source of the catalogue, path of an OEM file, or of a
        session's directory in which an orbit was determined.

    Raises
    ------
    UnknownNameError
        Where it is none of these.
    MissingDataError
        Where the session has no solution.
    """
    path = Path(name)
    if path.is_dir():
        found = load_determined(Context(path, read_session(path))).orbit
        if found is None:
            raise MissingDataError(
                "the session's target does not fly.",
                place=name,
                next_step="Name a session of a spacecraft.",
            )
        return found.name, found
    if path.is_file():
        segments = read_oem(path)
        if len(segments) > 1:
            raise ConfigurationError(
                f"it holds {len(segments)} segments.",
                place=name,
                next_step="Name a file of one segment.",
            )
        return segments[0].name, segments[0]
    try:
        source = get_source(name)
    except UnknownNameError as problem:
        problem.message = f"{name!r} is no source, file or session directory."
        raise
    return source.name, source.direction


def predict_for(
    target: str, stations: Sequence[str], start: str, step: float, number: int
) -> PredictionTable:
    """Predict a target for stations and evenly spaced times.

    Parameters
    ----------
    target : str
        See `find_target`.
    stations : sequence of str
        Names in the catalogue, or in that of the session.
    start : str
        First epoch, UTC, ISO 8601.
    step : float
        Seconds between epochs.
    number : int
        Number of epochs.
    """
    if not 1 <= number <= MOST_EPOCHS:
        raise ConfigurationError(
            f"{number} epochs cannot be predicted at once.",
            next_step=f"Ask for 1 to {MOST_EPOCHS}.",
        )
    name, found = find_target(target)
    path = Path(target)
    own = Setting(Context(path, read_session(path))).catalogue if path.is_dir() else None
    catalogue = own or StationCatalogue.default()
    epochs = Epoch.from_iso(start).shifted(step * np.arange(number))
    try:
        return predict_table(
            found,
            [catalogue.get(s) for s in stations],
            epochs,
            EarthModel(),
            name=name,
            media=(Troposphere(),),
        )
    except SpanError as problem:
        if own is not None:
            problem.next_step = "Raise estimate.predict_days in session.toml and run again."
        raise
