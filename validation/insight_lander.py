"""Locate InSight on Mars from two years of the DSN's two-way Doppler.

    python validation/insight_lander.py FILE.tdm [--fdets DIR] [--plot PNG]

The lander stands still, so three coordinates have to explain 22,835 counts of
60 s from 12 stations: what is left says how well the Earth's rotation, Mars'
rotation and place, light times, ramps and the air are modelled. Nothing is
detrended and no bias is estimated. With --fdets the same model predicts what
telescopes of the EVN received three-way on 2020-05-29 while DSS-55 sent.
Takes half a minute.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kitestring.errors import FormatWarning
from kitestring.estimate.lander import LanderTarget
from kitestring.estimate.tracking import compute, fit_target
from kitestring.estimate.types import OUTLIER, Editing, Parameter, ResidualTable, Solution
from kitestring.formats.fdets import read_fdets
from kitestring.formats.tdm import read_tdm
from kitestring.model.earth import EarthModel
from kitestring.model.media import Troposphere
from kitestring.observables.editing import flag_near_sun, flag_rows
from kitestring.observables.types import Observables, TrackingData

# Golombek et al. 2020: planetocentric, cartographic frame; the radius is Mars' mean one, a guess
LATITUDE, LONGITUDE, RADIUS = np.radians(4.502384), np.radians(135.623447), 3389.5e3
SUN_ANGLE = np.radians(30.0)
SIGMA = 3e-3  # Hz; a weight only: all rows share it
# The guess is good to 10 km, which moves the Doppler by 40 Hz at most
GROSS = 50.0
TURNAROUND = 880 / 749
BASE_FREQUENCY = 8400.49e6  # Hz, of the EVN's frequencies; their headers say 0
EVN_LIMITED = ("Ef", "Ys")  # Hh is noisier, Ir has lost a quarter of its points

# An independent fit left 3.2 to 3.5 mHz, 0.3 % of the points edited, 0.45 km from the
# place on the map; its EVN residuals lay 4 to 24 mHz from DSS-55's, with 3.4 and 4.9 mHz
# about a line.
LIMITS = {
    "two-way rms, Sun more than 30 deg away": (4.5, "mHz"),
    "points edited": (1.0, "%"),
    "east of Golombek et al. 2020": (1.0, "km"),
    "north of Golombek et al. 2020": (1.0, "km"),
}
EVN_MEAN, EVN_RMS = 100.0, 8.0  # mHz

MEDIA = (Troposphere(),)


def first_guess() -> LanderTarget:
    """Return the lander where the map has it."""
    across = RADIUS * np.cos(LATITUDE)
    place = [across * np.cos(LONGITUDE), across * np.sin(LONGITUDE), RADIUS * np.sin(LATITUDE)]
    return LanderTarget("InSight", "MARS", place)


def edited(data: TrackingData, target: LanderTarget, earth: EarthModel) -> tuple[Observables, ...]:
    """Return the observables with flags for the Sun and for what no lander can do."""
    found = []
    for o in data.observables:
        kept = replace(o, sigma=np.full(len(o), SIGMA))
        kept = flag_near_sun(kept, target.trajectory(target.values), earth, SUN_ANGLE)
        model = compute(kept, target, target.values, earth, data.ramps, MEDIA)
        gross = ~(np.abs(kept.value - model.value) < GROSS)
        found.append(flag_rows(kept, gross, f"off by more than {GROSS:g} Hz"))
    return tuple(found)


def tell_edits(table: ResidualTable, near_sun: np.ndarray) -> None:
    """Print what was set aside, by reason, station and day."""
    rows = np.flatnonzero((table.flag != "") & ~near_sun)
    days = [table.epoch[k].iso(0)[:10] for k in rows]
    stations = [str(table.label[k]).split(" > ")[-1] for k in rows]
    groups = Counter(zip(stations, days, table.flag[rows].tolist(), strict=True))
    for (station, day, flag), count in sorted(groups.items(), key=lambda item: item[0][1]):
        worst = max(
            abs(table.residual[k])
            for k, s, d in zip(rows, stations, days, strict=True)
            if (s, d, table.flag[k]) == (station, day, flag)
        )
        print(f"#   {station} {day}: {count} {flag}, up to {worst:.3g} Hz")


def lander_values(solution: Solution, table: ResidualTable) -> dict[str, float]:
    """Return the claims about the fit."""
    x, y, z = solution.values
    across = float(np.hypot(x, y))
    radius = float(np.hypot(across, z))
    near_sun = np.char.startswith(table.flag, "Sun angle")
    print(f"# {len(table)} points, {np.sum(near_sun)} near the Sun; edited of the others:")
    tell_edits(table, near_sun)
    sigmas = solution.sigmas * solution.weighted_rms
    print(f"# x, y, z = {x:.1f}, {y:.1f}, {z:.1f} m; {across / 1e3:.3f} km from the axis")
    print(f"# formal sigmas {sigmas[0]:.2f}, {sigmas[1]:.2f}, {sigmas[2]:.1f} m: errors within a")
    print("# pass are correlated, and those of the rotation are not in them; z is good to 1 km")
    east = (np.arctan2(y, x) - LONGITUDE) * across
    north = (np.arctan2(z, across) - LATITUDE) * radius
    outside = ~near_sun
    return {
        "two-way rms, Sun more than 30 deg away": 1e3 * solution.rms,
        "points edited": 100.0 * float(np.sum(outside & (table.flag != "")) / np.sum(outside)),
        "east of Golombek et al. 2020": float(east) / 1e3,
        "north of Golombek et al. 2020": float(north) / 1e3,
    }


def evn_values(
    directory: Path,
    target: LanderTarget,
    solution: Solution,
    data: TrackingData,
    table: ResidualTable,
    earth: EarthModel,
) -> tuple[dict[str, float], dict[str, tuple[float, str]]]:
    """Return the claims about the EVN's three-way data, and their limits."""
    values: dict[str, float] = {}
    limits: dict[str, tuple[float, str]] = {}
    files = sorted(directory.glob("Fdets.*.txt"))
    if not files:
        print(f"# no Fdets files in {directory}")
        return values, limits
    two_way = np.nan
    for path in files:
        code = re.search(r"\.([A-Z][a-z])\.", path.name)
        if code is None:
            continue
        o = read_fdets(
            path,
            station=code[1],
            spacecraft="InSight",
            transmitter="DSS-55",
            turnaround=TURNAROUND,
            base_frequency=BASE_FREQUENCY,
        )
        if np.isnan(two_way):
            day = o.epoch.day[0]
            own = (table.epoch.day == day) & np.char.endswith(table.label, "DSS 55")
            two_way = 1e3 * float(np.mean(table.residual[own & (table.flag == "")]))
            print(f"# DSS-55 itself, two-way: mean {two_way:.1f} mHz of {np.sum(own)} points")
        model = compute(o, target, solution.values, earth, data.ramps, MEDIA)
        residual = 1e3 * (o.value - model.value)
        seconds = o.epoch.since(o.epoch[0])
        good = np.abs(residual - np.median(residual)) < 1e3
        line = np.polyfit(seconds[good], residual[good], 1)
        rms = float(np.std(residual[good] - np.polyval(line, seconds[good])))
        mean = float(np.mean(residual[good]))
        name = ".".join(path.name.split(".")[4:6])
        print(f"# {name}: mean {mean:.1f}, rms {rms:.2f} mHz, {np.sum(good)} of {len(o)} points")
        if code[1] in EVN_LIMITED:
            values[f"{name} mean less DSS-55's"] = mean - two_way
            limits[f"{name} mean less DSS-55's"] = (EVN_MEAN, "mHz")
            values[f"{name} rms after a line"] = rms
            limits[f"{name} rms after a line"] = (EVN_RMS, "mHz")
    return values, limits


def plot(table: ResidualTable, path: Path) -> None:
    """Draw the residuals over time, by station."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(12, 5), layout="constrained")
    used = table.flag == ""
    stations = np.array([label.split(" > ")[-1] for label in table.label.tolist()])
    for station in np.unique(stations):
        rows = used & (stations == station)
        axes.plot(table.epoch[rows].mjd(), 1e3 * table.residual[rows], ".", ms=2, label=station)
    rows = table.flag == OUTLIER
    axes.plot(table.epoch[rows].mjd(), 1e3 * table.residual[rows], ".", color="0.7", label="edited")
    axes.set(xlabel="MJD (UTC)", ylabel="observed - computed (mHz)", ylim=(-25.0, 25.0))
    axes.legend(ncols=7, markerscale=4, fontsize="small")
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tdm", type=Path, help="the tracking data message")
    parser.add_argument("--fdets", type=Path, help="directory of the EVN's Fdets files")
    parser.add_argument("--plot", type=Path, help="picture of the residuals to write")
    options = parser.parse_args(arguments)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", FormatWarning)
        data = read_tdm(options.tdm)
    for warning in told:
        print(
            f"# {str(warning.message).removeprefix(str(options.tdm.parent))}".replace("# /", "# ")
        )
    earth, target = EarthModel(), first_guess()
    observables = edited(data, target, earth)
    guess = [Parameter(n, float(v), unit="m") for n, v in zip("xyz", target.values, strict=True)]
    solution, table = fit_target(
        target,
        observables,
        guess,
        earth=earth,
        ramps=data.ramps,
        media=MEDIA,
        editing=Editing(threshold=5.0),
    )
    values, limits = lander_values(solution, table), dict(LIMITS)
    if options.fdets:
        found, more = evn_values(options.fdets, target, solution, data, table, earth)
        values |= found
        limits |= more
    if options.plot:
        plot(table, options.plot)
    for name in sorted(values, key=lambda name: abs(values[name]) / limits[name][0]):
        limit, unit = limits[name]
        print(f"{name} = {values[name]:.4g} {unit} (limit {limit:g})")
    return int(any(not abs(values[name]) <= limits[name][0] for name in values))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
