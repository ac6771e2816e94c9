"""Compare pointing, media and partial derivatives with those of a geodetic VLBI session.

    python validation/session_geometry.py FOLDER

The folder is a vgosDB session that has been through Calc 11, as for
`delay_vs_calc11`. Beside its theoretical delays it holds, station by station, where the
antenna looks (``AzEl``), what the air and the axis offset add (``Cal-SlantPathTrop*``,
``Cal-AxisOffset``) and how the delay moves with them (``Part-*``), and in ``ObsPart``
how it moves with the stations, the source, Earth orientation, parallax and
general relativity. All are compared here with the package's own.

What the files hold, in Calc's conventions (seen in the files and in Calc's code):

- ``AzEl``: without refraction, with annual and diurnal aberration; azimuth from north.
- ``Cal-SlantPathTrop*``, ``Part-ZenithPathTrop*``: s and 1, positive at either station;
  Niell's mapping functions, zenith delays of a standard atmosphere. Poleward of 75
  degrees the hydrostatic one leaves the season out (0.7 parts in 1000 in May).
- ``Part-HorizonGrad``: (north, east), the hydrostatic mapping function times the
  cotangent of the elevation, before division by c.
- ``Part-AxisOffset``, ``Cal-AxisOffset``: s/m and s, as they count at station 2.
- ``Part-XYZ``: s/m by the ITRF position of station 1; that of station 2 is taken as its
  negative, which neglects the Earth's rotation during the delay (1.5e-6 of it).
- ``Part-RaDec``: s/rad; ``Part-ERP``: s/rad by x and y of the pole, s/s by UT1 and its
  second derivative; ``Part-NutationNRO``: s/rad by X and Y, without the Earth's velocity
  (1e-4 of it, so that it is compared with ours formed likewise too).
- ``Part-Parallax``: s/rad by the annual parallax, about the barycentre;
  ``Cal-Parallax``: s, of a source at 1 parsec.
- ``Part-Bend``: s by gamma, of the gravitational delay; ``Part-Gamma``: the same with the
  Sun's potential in the vacuum delay; ``Cal-Bend``: the gravitational delay, s, before
  it is divided by 1 + k . (V + w2) / c.
- ``Part-PoleTide``: s per **arcsecond** of x and y of the pole; latitude and vertical are
  geodetic where the Conventions' are geocentric: 0.15 mm per station at most.

Not compared: ``FeedRotation``, which needs refraction. Each delay's column is
compared, not its rate's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import erfa
import numpy as np
from _lines import Line, report, run
from delay_vs_calc11 import comparable, correction, model, rms, stations_of
from numpy.typing import NDArray

from kitestring.errors import FormatError, MissingDataError
from kitestring.formats.vgosdb import VgosSession, read_variable, read_vgosdb
from kitestring.model.antenna import Station, axis_offset_delay
from kitestring.model.constants import C
from kitestring.model.delay import Delay, far_field_delay, near_field_delay
from kitestring.model.displacement import pole_tide
from kitestring.model.earth import EarthModel, StationState
from kitestring.model.partials import (
    DelayPartials,
    delay_partials,
    direction_partial,
    orientation_partials,
    source_partial,
    station_partials,
)
from kitestring.model.sight import Sight
from kitestring.model.sources import unit_vector
from kitestring.model.time import Epoch
from kitestring.model.troposphere import Troposphere, niell_hydrostatic, niell_wet

Floats = NDArray[np.float64]
Both = dict[str, tuple[Floats, Floats]]
"""Ours and theirs, by name, a row for each observation (and station)."""

ASTRONOMICAL_UNIT = erfa.DAU
PARSEC = ASTRONOMICAL_UNIT / erfa.DAS2R
PICOSECOND = 1e-12

# Calc's consensus partials neglect what is second order in V/c (1e-8), diurnal aberration
# in places (1.5e-6) and the Earth's rotation during the delay (1.5e-6)
CONSENSUS = 1e-5
# the largest difference, or (below) the largest as a fraction of the effect: unit, scale, limit
LARGEST = {
    "elevation": ("rad", 1.0, 1e-6),
    "azimuth times cosine of elevation": ("rad", 1.0, 1e-6),
    # 2 m of offset and 1e-5 of it
    "Cal-AxisOffset": ("ps", PICOSECOND, 0.05),
    "Cal-Bend": ("ps", PICOSECOND, 0.01),
    # geodetic for geocentric latitude: 0.15 mm at either station
    "Part-PoleTide": ("ps/arcsecond", PICOSECOND, 1.0),
}
# of each value's own size
RELATIVE = {
    "Cal-SlantPathTropDry": 1e-3,
    "Cal-SlantPathTropWet": 1e-3,
    "Part-ZenithPathTropDry": 1e-3,
    "Part-ZenithPathTropWet": 1e-3,
    "Part-HorizonGrad": 1e-3,
}
OF_VECTORS = ("Part-HorizonGrad",)  # whose size is that of both components
# of the values' rms: a partial passes through zero
OF_RMS = {
    "Part-AxisOffset": CONSENSUS,
    "Part-XYZ of station 1": CONSENSUS,
    "Part-XYZ less that of station 2": CONSENSUS,
    "Part-RaDec": CONSENSUS,
    "Part-Wobble": CONSENSUS,
    "Part-UT1": CONSENSUS,
    "Part-NutationNRO": 1e-3,  # twice V/c of one that is 5 times its rms
    "Part-NutationNRO without the Earth's velocity": CONSENSUS,
    "Part-Parallax": CONSENSUS,
    "Part-Bend": CONSENSUS,
    "Part-Gamma": CONSENSUS,
    # the wavefront is curved over a baseline: 2 Earth radii of 1 au are 1e-4
    "Cal-Parallax by the near field": 2e-4,
}


@dataclass(frozen=True)
class Baseline:
    """Observations of one baseline: which, where its stations are, and what they see."""

    rows: NDArray[np.int64]
    stations: tuple[Station, Station]
    states: tuple[StationState, StationState]
    direction: Floats
    found: Delay


@dataclass(frozen=True)
class FarPoints:
    """Points at rest in the BCRS, one for each epoch that is asked for."""

    position: Floats
    name: str = "SOURCE"
    center: str = "SSB"

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """All that a session can ask for."""
        return Epoch.from_iso("1900-01-01", "tdb"), Epoch.from_iso("2100-01-01", "tdb")

    def state(self, epoch: Epoch) -> Floats:
        """Return positions and velocities, shape (n, 6)."""
        return np.concatenate([self.position, np.zeros((*epoch.shape, 3))], axis=-1)


def baselines(
    session: VgosSession, earth: EarthModel, rows: NDArray[np.bool_]
) -> Iterator[Baseline]:
    """Yield the session's baselines, each with its observations at once."""
    stations = stations_of(session)
    directions = unit_vector(*session.source_position.T)[session.source]
    pairs = session.station1 * len(stations) + session.station2
    for pair in np.unique(pairs[rows]):
        mine = np.flatnonzero((pairs == pair) & rows)
        ends = stations[session.station1[mine[0]]], stations[session.station2[mine[0]]]
        epoch = session.epoch[mine]
        one, two = (earth.station_state(station, epoch) for station in ends)
        found = far_field_delay(one, two, directions[mine], earth.ephemeris)
        yield Baseline(mine, ends, (one, two), directions[mine], found)


def at_station(sight: Sight) -> dict[str, Floats]:
    """Return what a station's tables hold, each of shape (n,) or (n, 2)."""
    station, angle = sight.station, sight.elevation
    _, latitude, height = station.geodetic
    dry, wet = Troposphere().zenith(station)
    hydrostatic = niell_hydrostatic(angle, latitude, height, sight.state.tt)
    mapped_wet = niell_wet(angle, latitude)
    north_east = np.stack([np.cos(sight.azimuth), np.sin(sight.azimuth)], axis=-1)
    metre = replace(station, axis_offset=1.0)
    return {
        "elevation": angle,
        "azimuth": sight.azimuth,
        "Cal-SlantPathTropDry": dry * hydrostatic,
        "Cal-SlantPathTropWet": wet * mapped_wet,
        "Part-ZenithPathTropDry": hydrostatic,
        "Part-ZenithPathTropWet": mapped_wet,
        "Part-HorizonGrad": north_east * (hydrostatic / np.tan(angle))[:, None],
        "Part-AxisOffset": axis_offset_delay(metre, sight.itrf),
        "Cal-AxisOffset": axis_offset_delay(station, sight.itrf),
    }


def of_baseline(earth: EarthModel, base: Baseline) -> dict[str, Floats]:
    """Return what the tables of observations hold, each of shape (n,) or (n, k)."""
    (one, two), found = base.states, base.found
    partials = delay_partials(one, two, found)
    first, second = station_partials(one, two, found, partials)
    turned = orientation_partials(earth, one, two, found, partials)
    still = DelayPartials(np.zeros_like(first), base.direction / C, -base.direction / C)
    bend, potential = relativity(base)
    away = one.earth[:, :3] / ASTRONOMICAL_UNIT
    across = away - base.direction * _dot(base.direction, away)[:, None]
    near = near_field_delay(one, two, FarPoints(PARSEC * base.direction), earth.ephemeris)
    slowed = 1.0 + _dot(base.direction, one.earth[:, 3:] + two.velocity) / C
    return {
        "Part-XYZ of station 1": first,
        "Part-XYZ less that of station 2": -second,
        "Part-RaDec": source_partial(one, two, found),
        "Part-Wobble": turned[:, :2],
        "Part-UT1": turned[:, 2],
        "Part-NutationNRO": turned[:, 3:],
        "Part-NutationNRO without the Earth's velocity": orientation_partials(
            earth, one, two, found, still
        )[:, 3:],
        "Part-Parallax": -_dot(direction_partial(one, two, found), across),
        "Cal-Parallax by the near field": near.delay - found.delay,
        "Cal-Bend": bend,
        "Part-Bend": 0.5 * bend / slowed,
        "Part-Gamma": (0.5 * bend + potential) / slowed,
        "Part-PoleTide": pole_tide_partials(base, first, second),
    }


def relativity(base: Baseline) -> tuple[Floats, Floats]:
    """Return the gravitational delay and d(vacuum delay)/d(gamma), each of shape (n,), s.

    The first is what is left of our delay when the vacuum's part is taken off
    (TN36 eq. 11.9), whose own has (1 + gamma) U / c^2.
    """
    one, two = base.states
    k, b = base.direction, two.position - one.position
    v, w = one.earth[:, 3:], two.velocity
    kb = _dot(k, b)
    flat = 1.0 - (2.0 * one.solar_potential + 0.5 * _dot(v, v) + _dot(v, w)) / C**2
    vacuum = -kb / C * flat - _dot(v, b) / C**2 * (1.0 + _dot(k, v) / (2.0 * C))
    bend = base.found.delay * (1.0 + _dot(k, v + w) / C) - vacuum
    return bend, kb / C * one.solar_potential / C**2


def pole_tide_partials(base: Baseline, first: Floats, second: Floats) -> Floats:
    """Return d(delay)/d(x, y of the pole) by the pole tide, shape (n, 2), s/arcsecond."""
    columns = []
    for x, y in ((1.0, 0.0), (0.0, 1.0)):
        moved = np.zeros(len(base.rows))
        for station, state, partial in zip(
            base.stations, base.states, (first, second), strict=True
        ):
            zero = np.zeros(len(base.rows))
            there, here = (
                pole_tide(station.position, state.tt, zero + dx, zero + dy)
                for dx, dy in ((x * erfa.DAS2R, y * erfa.DAS2R), (0.0, 0.0))
            )
            moved = moved + _dot(partial, there - here)
        columns.append(moved)
    return np.stack(columns, axis=-1)


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.sum(a * b, axis=-1))


# -- theirs ------------------------------------------------------------------

# name: file (its beginning) and variable; the delay's column comes first in every one
STATION_TABLES = {
    "elevation": ("AzEl", "ElTheo"),
    "azimuth": ("AzEl", "AzTheo"),
    **{name: (f"{name}_kNMF", name) for name in RELATIVE},
    "Part-AxisOffset": ("Part-AxisOffset", "Part-AxisOffset"),
    "Cal-AxisOffset": ("Cal-AxisOffset", "Cal-AxisOffset"),
}
OBSERVATION_TABLES = {
    "Part-XYZ of station 1": ("Part-XYZ", "Part-XYZ"),
    "Part-XYZ less that of station 2": ("Part-XYZ", "Part-XYZ"),
    "Part-RaDec": ("Part-RaDec", "Part-RaDec"),
    "Part-Wobble": ("Part-ERP", "Part-Wobble"),
    "Part-UT1": ("Part-ERP", "Part-UT1"),
    "Part-NutationNRO": ("Part-NutationNRO", "Part-NutationNRO"),
    "Part-NutationNRO without the Earth's velocity": ("Part-NutationNRO", "Part-NutationNRO"),
    "Part-Parallax": ("Part-Parallax", "Part-Parallax"),
    "Part-Bend": ("Part-Bend", "Part-Bend"),
    "Part-Gamma": ("Part-Gamma", "Part-Gamma"),
    "Part-PoleTide": ("Part-PoleTide", "Part-PoleTide"),
}
CORRECTIONS = {"Cal-Bend": "Cal-Bend", "Cal-Parallax by the near field": "Cal-Parallax"}


def theirs_of_observations(session: VgosSession, name: str) -> Floats | None:
    """Return a table of observations, shape (n,) or (n, k); None where there is none."""
    if name in CORRECTIONS:
        return correction(session, CORRECTIONS[name])
    stem, variable = OBSERVATION_TABLES[name]
    named = [Path(f) for f in session.files if f.startswith("ObsPart/")]
    file = next((f for f in named if _stem(f) == stem.lower()), None)
    if file is None:
        return None
    table = np.asarray(read_variable(session.directory / file, variable), dtype=np.float64)[:, 0]
    # UT1 comes with a second derivative
    return np.asarray(table[:, 0] if name == "Part-UT1" else table)


def _stem(file: Path) -> str:
    return file.stem.partition("_")[0].lower()


def theirs_of_stations(session: VgosSession, name: str) -> Floats | None:
    """Return a table of stations, shape (n, 2) or (n, 2, k); None where no station has it."""
    file, variable = STATION_TABLES[name]
    try:
        return session.at_observations(file, variable)[:, :, 0]
    except MissingDataError:
        return None


def compared(session: VgosSession, rows: NDArray[np.bool_]) -> Both:
    """Return ours and theirs by name, of the rows that both have; say what is not compared."""
    earth = model(session)
    theirs = {name: theirs_of_stations(session, name) for name in STATION_TABLES}
    theirs |= {
        name: theirs_of_observations(session, name) for name in (*OBSERVATION_TABLES, *CORRECTIONS)
    }
    for name in [name for name, table in theirs.items() if table is None]:
        print(f"# {name} is not in this session: not compared")
    known = {name: table for name, table in theirs.items() if table is not None}
    ours = {name: np.full(table.shape, np.nan) for name, table in known.items()}
    for base in baselines(session, earth, rows):
        for name, values in of_baseline(earth, base).items():
            if name in ours:
                ours[name][base.rows] = values
        for side, (station, state) in enumerate(zip(base.stations, base.states, strict=True)):
            for name, values in at_station(Sight(station, state, base.direction)).items():
                if name in ours:
                    ours[name][base.rows, side] = values
    if {"azimuth", "elevation"} <= set(known):
        turn = (ours["azimuth"] - known["azimuth"] + np.pi) % (2.0 * np.pi) - np.pi
        sideways = turn * np.cos(known["elevation"])  # in the sky: azimuth ends at the zenith
        ours["azimuth times cosine of elevation"] = sideways
        known["azimuth times cosine of elevation"] = np.where(np.isfinite(sideways), 0.0, np.nan)
    both: Both = {}
    for name in (*LARGEST, *RELATIVE, *OF_RMS):
        if name not in known:
            continue
        whole = np.isfinite(known[name]) & rows.reshape(-1, *(1,) * (known[name].ndim - 1))
        if name in OF_VECTORS:
            whole = np.all(whole, axis=-1)
        if not whole.any():
            print(f"# {name} has no value: not compared")
            continue
        both[name] = ours[name][whole], known[name][whole]
    return both


def lines_of(both: Both) -> list[Line]:
    """Return a line for each thing compared."""
    lines = []
    for name, (ours, theirs) in both.items():
        off = np.abs(ours - theirs)
        if name in LARGEST:
            unit, scale, limit = LARGEST[name]
            lines.append(Line(f"{name}, largest difference", off.max() / scale, unit, limit))
        elif name in RELATIVE:
            size = np.abs(theirs)
            if name in OF_VECTORS:
                off, size = (np.linalg.norm(x, axis=-1) for x in (off, size))
            worst = float(np.max(off / size))
            lines.append(Line(f"{name}, largest difference", worst, "of it", RELATIVE[name]))
        else:
            worst = float(off.max()) / rms(theirs)
            lines.append(Line(f"{name}, largest difference", worst, "of its rms", OF_RMS[name]))
    return lines


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    session = read_vgosdb(options.folder)
    rows = comparable(session)
    if not rows.any():
        raise FormatError("has no delay that can be compared.", place=str(options.folder))
    print(f"# {session.name}: {rows.sum()} observations of {len(session.stations)} stations")
    both = compared(session, rows)
    if not both:
        raise FormatError("has none of the tables to compare with.", place=str(options.folder))
    return report(lines_of(both))


if __name__ == "__main__":
    run(main)
