"""Compare two years of the DSN's two-way Doppler of InSight on Mars with the model.

    python validation/two_way_doppler.py FILE.tdm [--plot PNG]

The lander stands still, so three coordinates have to explain 22,835 counts of
60 s from 12 stations: what is left says how well the Earth's rotation, Mars'
rotation and place, light times, ramps and the air are modelled. Nothing is
detrended in the fit and no bias is estimated. The rms of each pass about a
straight line says how much of it is noise. Passes that are worse are listed,
each with its cause as rules on the data find it. Takes half a minute.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _insight import (
    LATITUDE,
    LONGITUDE,
    MEDIA,
    SUN_ANGLE,
    Fit,
    Flags,
    Floats,
    fit_lander,
    line_removed,
    near_sun,
    read,
    receivers,
    rms,
)
from _lines import Line, report, run
from numpy.typing import NDArray

from kitestring.estimate.ramps import ramps_of
from kitestring.model.earth import EarthModel
from kitestring.model.geometry import sun_angle
from kitestring.model.predict import Predictor
from kitestring.model.stations import get_station
from kitestring.model.time import DAY
from kitestring.observables.types import UplinkRamps

# A pass is one station without a gap of 90 minutes, 20 points or more
PASS_GAP = 5400.0  # s
LEAST_POINTS = 20

# An independent fit left 0.9 mHz in the median pass, 0.8 far from the Sun; over all points
# 3.2 to 3.5 mHz with 0.3 % edited, 0.45 km from the place on the map
MEDIAN, MEDIAN_FAR = 1.3, 1.1  # mHz
FIT_RMS, EDITED = 4.0, 1.0  # mHz, %
PLACE = 1.0  # km

# mHz about a line: such passes are listed
WORSE = 4.0
# What is off by so many times the noise between neighbours, and by this much, is singled out
OFF_RATIO, OFF_LEAST = 5.0, 10.0  # -, mHz
# Hz; ramps that join do so to a microhertz. Those that do not were begun earlier than the file
# says: begun where they meet the one before, they leave 1.5 mHz of 56 at DSS 25, 3.8 of 21 at
# DSS 24
STEP = 1e-3
# s; an interval longer than the count by more means that counting was interrupted
BREAK = 1.0
# Days over which means are shown, and within which passes of stations are compared
PERIOD, NEAR = 90.0, 2.0
# rms distance from whole cycles; 0.29 is that of any number
WHOLE = 0.2


@dataclass(frozen=True)
class Rows:
    """What is known of each row besides its residual.

    Attributes
    ----------
    seconds : ndarray, shape (n,)
        Time tag, from the first of all.
    station : ndarray of str, shape (n,)
        It sent and received.
    residual : ndarray, shape (n,)
        mHz.
    count : ndarray, shape (n,)
        s.
    sun, elevation : ndarray, shape (n,)
        Angle to the Sun, elevation at reception, rad.
    step : ndarray, shape (n,)
        Largest step of the transmitted frequency where two ramps meet that
        were sent within the count or one count around it, Hz.
    """

    seconds: Floats
    station: NDArray[np.str_]
    residual: Floats
    count: Floats
    sun: Floats
    elevation: Floats
    step: Floats


@dataclass(frozen=True)
class Pass:
    """One pass and what it was found to suffer from.

    Attributes
    ----------
    rows : ndarray of int
        Its rows, ascending in time.
    scatter, rest : float
        Rms about a line of all of its points, and without those that `cause` singles out, mHz.
    cause : str
        Empty where it is not worse than others.
    """

    rows: NDArray[np.int64]
    scatter: float
    rest: float
    cause: str = ""


def ramp_steps(ramps: UplinkRamps) -> tuple[Floats, Floats]:
    """Return where pieces begin, s from the first, and by how much they miss the one before, Hz."""
    knots = ramps.epoch.since(ramps.epoch[0])
    reached = ramps.frequency[:-1] + ramps.rate[:-1] * np.diff(knots)
    return knots[1:], np.abs(ramps.frequency[1:] - reached)


def step_within(ramps: UplinkRamps, start: Floats, end: Floats) -> Floats:
    """Return the largest step inside intervals, s from the first piece, Hz; 0 where there is none.

    Steps that are no more than rounding count as none.
    """
    at, step = ramp_steps(ramps)
    step = np.where(step > STEP, step, 0.0)
    first, last = np.searchsorted(at, start), np.searchsorted(at, end)
    return np.array([step[a:b].max(initial=0.0) for a, b in zip(first, last, strict=True)])


def describe(fit: Fit) -> Rows:
    """Return what is known of the rows of a fit."""
    trajectory = fit.target.trajectory(fit.solution.values)
    predictor = Predictor(fit.earth, trajectory, MEDIA)
    sun, elevation, step = [], [], []
    for o in fit.observables:
        station = get_station(o.path.participants[0])
        light_time, down, _, _ = predictor.round_trip(station, station, o.epoch)
        ramps = ramps_of(fit.data.ramps, o.path.participants[0], o.path.uplink_band)
        sent = o.epoch.since(ramps.epoch[0]) - light_time
        step.append(step_within(ramps, sent - 1.5 * o.count, sent + 1.5 * o.count))
        up = np.sum(down.direction * down.station.rotation.position(station.vertical), axis=-1)
        elevation.append(np.arcsin(up))
        sun.append(sun_angle(trajectory, o.epoch, fit.earth))
    return Rows(
        fit.table.epoch.since(fit.table.epoch.first()),
        receivers(fit.table),
        1e3 * fit.table.residual,
        np.concatenate([o.count for o in fit.observables]),
        np.concatenate(sun),
        np.concatenate(elevation),
        np.concatenate(step),
    )


def split(rows: Rows) -> list[NDArray[np.int64]]:
    """Return the rows of each pass."""
    found = []
    for station in np.unique(rows.station):
        own = np.flatnonzero((rows.station == station) & np.isfinite(rows.residual))
        own = own[np.argsort(rows.seconds[own], kind="stable")]
        ends = np.flatnonzero(np.diff(rows.seconds[own]) > PASS_GAP) + 1
        found += [part for part in np.split(own, ends) if len(part) >= LEAST_POINTS]
    return found


def singled_out(rows: Rows, own: NDArray[np.int64]) -> tuple[Flags, Flags, Flags]:
    """Return which counts of a pass lie off, and which of them beside a break or a ramp's step."""
    residual = rows.residual[own]
    noise = np.median(np.abs(np.diff(residual))) / (0.6745 * np.sqrt(2.0))
    away = np.abs(residual - np.median(residual))
    off = away > max(OFF_RATIO * noise, OFF_LEAST)
    broken = np.diff(rows.seconds[own]) > rows.count[own][1:] + BREAK
    beside = np.append(broken, False) | np.append(False, broken)
    return off, off & beside, off & (rows.step[own] > 0.0)


def scattered(rows: Rows, own: NDArray[np.int64]) -> float:
    """Return the rms of a pass about a line, mHz."""
    return rms(line_removed(rows.seconds[own], rows.residual[own]))


def examine(rows: Rows, own: NDArray[np.int64]) -> Pass:
    """Find what a pass suffers from."""
    scatter = scattered(rows, own)
    if scatter <= WORSE:
        return Pass(own, scatter, scatter)
    off, beside, ramped = singled_out(rows, own)
    causes = []
    if np.any(beside):
        causes.append(f"{np.sum(beside)} off beside a break of counting")
    if np.any(ramped & ~beside):
        size = rows.step[own][ramped].max()
        causes.append(f"{np.sum(ramped & ~beside)} off where ramps do not join, by {size:.3g} Hz")
    kept = own[~(beside | ramped)]
    if scattered(rows, kept) > WORSE:
        if np.median(rows.sun[own]) < SUN_ANGLE:
            causes.append("solar plasma")
        else:
            lone = off & ~beside & ~ramped
            if np.any(lone) and scattered(rows, own[~off]) <= WORSE:
                causes.append(_lone(rows, own, lone))
                kept = own[~off]
            else:
                causes.append("noise all through, no break, no step of ramps")
    return Pass(own, scatter, scattered(rows, kept), "; ".join(causes))


def _lone(rows: Rows, own: NDArray[np.int64], lone: Flags) -> str:
    """Say of counts that lie off without a reason in the file whether they do by whole cycles."""
    residual = rows.residual[own]
    cycles = 1e-3 * (residual - np.median(residual))[lone] * rows.count[own][lone]
    distance = rms(cycles - np.round(cycles))
    what = "cycle slips" if len(cycles) > 2 and distance < WHOLE else "counts off"
    told = f"{distance:.2f} rms from whole cycles"
    return f"{len(cycles)} {what}, up to {np.max(np.abs(cycles)):.2g} cycles, {told}"


def tell_worse(passes: Sequence[Pass], rows: Rows, fit: Fit) -> None:
    """Print the passes that are worse than others."""
    worse = [p for p in passes if p.cause]
    print(f"# {len(worse)} of {len(passes)} passes scatter by more than {WORSE:g} mHz: station,")
    print("# day, points, Sun angle, lowest elevation, mHz about a line, the same without the")
    print("# counts that the cause names")
    for p in sorted(worse, key=lambda item: -item.scatter):
        day = fit.table.epoch[int(p.rows[0])].iso(0)[:10]
        sun = np.degrees(np.median(rows.sun[p.rows]))
        low = np.degrees(np.min(rows.elevation[p.rows]))
        told = f"{rows.station[p.rows[0]]} {day} {len(p.rows)} {sun:.0f} {low:.0f}"
        print(f"#   {told} {p.scatter:.3g} {p.rest:.2g}: {p.cause}")


def tell_structure(passes: Sequence[Pass], rows: Rows, used: Flags) -> None:
    """Print how what is left of the fit splits, and what it depends on."""
    own = [p.rows[used[p.rows]] for p in passes]
    own = [o for o in own if len(o) >= LEAST_POINTS]
    means = np.array([np.mean(rows.residual[o]) for o in own])
    inside = np.concatenate([rows.residual[o] - np.mean(rows.residual[o]) for o in own])
    first = np.array([rows.seconds[o[0]] for o in own])
    order = np.argsort(first)
    means, first = means[order], first[order]
    neighbours = np.diff(first) < 1.5 * DAY
    both = float(np.corrcoef(means[:-1][neighbours], means[1:][neighbours])[0, 1])
    print(
        f"# left of the fit: means of passes {rms(means):.2f} mHz, inside passes {rms(inside):.2f}"
    )
    print(f"# means of passes less than 1.5 days apart are correlated by {both:.2f}")
    for low, high in ((10, 15), (15, 20), (20, 30), (30, 50), (50, 90)):
        at = used & (rows.elevation >= np.radians(low)) & (rows.elevation < np.radians(high))
        if np.any(at):
            print(f"#   elevation {low} to {high}: {rms(rows.residual[at]):.2f} mHz, {np.sum(at)}")
    _tell_stations(own, rows)


def _tell_stations(passes: Sequence[NDArray[np.int64]], rows: Rows) -> None:
    """Print means by time, and by station less the others' at about the same time."""
    mean = np.array([np.mean(rows.residual[o]) for o in passes])
    day = np.array([rows.seconds[o[0]] for o in passes]) / DAY
    station = np.array([rows.station[o[0]] for o in passes])
    parts = [(k, mean[day // PERIOD == k]) for k in np.unique(day // PERIOD)]
    told = ", ".join(f"{PERIOD * k:.0f} {np.mean(m):+.1f}" for k, m in parts)
    print(f"# means of {PERIOD:g} days from this day on, mHz: {told}")
    near = np.abs(day[:, None] - day) < NEAR
    stations = []
    for name in np.unique(station):
        mine = station == name
        others = near & ~mine
        paired = mine & others.any(axis=1)
        if np.sum(paired) > 2:
            less = [mean[k] - np.mean(mean[others[k]]) for k in np.flatnonzero(paired)]
            error = np.std(less) / np.sqrt(len(less))
            stations.append(f"{name.removeprefix('DSS ')} {np.mean(less):+.1f} +- {error:.1f}")
    print(f"# by station, less the others' within {NEAR:g} days: {', '.join(stations)}")


def tell_edits(fit: Fit, outside: Flags) -> None:
    """Print what was set aside, by station, day and reason."""
    table, stations = fit.table, receivers(fit.table)
    groups: dict[tuple[str, str, str], list[float]] = {}
    for k in np.flatnonzero(outside & (table.flag != "")).tolist():
        key = (table.epoch[k].iso(0)[:10], str(stations[k]), str(table.flag[k]))
        groups.setdefault(key, []).append(abs(float(table.residual[k])))
    for (day, station, flag), sizes in sorted(groups.items()):
        print(f"#   {station} {day}: {len(sizes)} {flag}, up to {max(sizes):.3g} Hz")


def position_lines(fit: Fit) -> list[Line]:
    """Return where the lander was found."""
    solution = fit.solution
    x, y, z = solution.values
    across = float(np.hypot(x, y))
    sigmas = solution.sigmas * solution.weighted_rms
    print(f"# x, y, z = {x:.1f}, {y:.1f}, {z:.1f} m; {across / 1e3:.3f} km from the axis")
    print(f"# formal sigmas {sigmas[0]:.2f}, {sigmas[1]:.2f}, {sigmas[2]:.1f} m: errors within a")
    print("# pass are correlated, and those of the rotation are not in them; z is good to 1 km")
    east = (np.arctan2(y, x) - LONGITUDE) * across
    north = (np.arctan2(z, across) - LATITUDE) * float(np.hypot(across, z))
    return [
        Line("east of Golombek et al. 2020", float(east) / 1e3, "km", PLACE),
        Line("north of Golombek et al. 2020", float(north) / 1e3, "km", PLACE),
    ]


def lines_of(fit: Fit, rows: Rows, passes: Sequence[Pass]) -> list[Line]:
    """Return the claims, and print what stands behind them."""
    outside = ~near_sun(fit.table)
    used = np.asarray(fit.table.flag == "")
    print(f"# {len(fit.table)} points, {np.sum(~outside)} near the Sun; edited of the others:")
    tell_edits(fit, outside)
    tell_worse(passes, rows, fit)
    tell_structure(passes, rows, used)
    scatter = np.array([p.scatter for p in passes])
    far = np.array([np.median(rows.sun[p.rows]) > SUN_ANGLE for p in passes], dtype=bool)
    causes = Counter(p.cause.split("; ")[-1].lstrip("0123456789 ").split(",")[0] for p in passes)
    del causes[""]
    print(f"# causes: {', '.join(f'{name} {number}' for name, number in causes.most_common())}")
    edited = 100.0 * float(np.sum(outside & ~used) / max(np.sum(outside), 1))
    return [
        Line("passes", len(passes)),
        Line("median rms of a pass about a line", _median(scatter), "mHz", MEDIAN),
        Line("the same, Sun more than 30 deg away", _median(scatter[far]), "mHz", MEDIAN_FAR),
        Line("rms of the fit, Sun more than 30 deg away", 1e3 * fit.solution.rms, "mHz", FIT_RMS),
        Line("points edited of these", edited, "%", EDITED),
        *position_lines(fit),
    ]


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def plot(fit: Fit, rows: Rows, passes: Sequence[Pass], path: Path) -> None:
    """Draw the residuals over time by station, and the scatter of passes over the Sun's angle."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (upper, lower) = plt.subplots(2, figsize=(12, 10), layout="constrained")
    used = fit.table.flag == ""
    days = fit.table.epoch.mjd()
    aside = ~used & np.isfinite(rows.residual)
    upper.plot(days[aside], rows.residual[aside], ".", ms=2, color="0.8", label="set aside")
    for k, station in enumerate(np.unique(rows.station)):
        own, colour = used & (rows.station == station), mpl.colormaps["tab20"](k % 20)
        upper.plot(days[own], rows.residual[own], ".", ms=2, color=colour, label=station)
    upper.set(xlabel="MJD (UTC)", ylabel="observed - computed (mHz)", ylim=(-25.0, 25.0))
    upper.legend(ncols=7, markerscale=4, fontsize="small")
    sun = np.degrees([np.median(rows.sun[p.rows]) for p in passes])
    scatter = np.array([p.scatter for p in passes])
    low = np.degrees([np.min(rows.elevation[p.rows]) for p in passes])
    shown = lower.scatter(sun, np.minimum(scatter, 1e3), c=low, s=10, cmap="viridis")
    figure.colorbar(shown, ax=lower, label="lowest elevation (deg)")
    lower.axvline(np.degrees(SUN_ANGLE), color="0.7")
    lower.axhline(WORSE, color="0.7")
    lower.set(xscale="log", yscale="log", xlabel="Sun angle (deg)")
    lower.set_ylabel("rms of a pass about a line (mHz; 1 Hz where more)")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tdm", type=Path, help="the tracking data message")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="picture of the residuals")
    options = parser.parse_args(arguments)
    fit = fit_lander(read(options.tdm), EarthModel())
    rows = describe(fit)
    passes = [examine(rows, own) for own in split(rows)]
    lines = lines_of(fit, rows, passes)
    if options.plot:
        plot(fit, rows, passes, options.plot)
    return report(lines)


if __name__ == "__main__":
    run(main)
