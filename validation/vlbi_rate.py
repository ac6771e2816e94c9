"""Compare a lander's carrier at telescopes of the EVN with the model, one by one and differenced.

    python validation/vlbi_rate.py FDETS_DIR [--tdm TDM] [--stations A B] [--plot PNG]

FDETS_DIR holds carrier frequencies (Fdets files) that stations received while
a DSN station sent: three-way Doppler. With the DSN's tracking data message the
uplink is known; what each station received is compared with the model, and its
mean with that of the sender's own two-way Doppler of the day.

Without it the emitted frequency is not known, and need not be: what one
station received, count by count, gives the frequency that left the lander then,
and this gives what another station has to receive of the same wavefronts.
The difference is free of transmitter, uplink and transponder. What is left are
the receivers' frequency standards, the air over both, and noise. An error of
1 km in the lander's place changes it by 0.02 mHz at Effelsberg and Yebes, by
0.05 at Effelsberg and Hartebeesthoek.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from _carrier import (
    BASE_FREQUENCY,
    SAME_EPOCH,
    Compared,
    Reception,
    base_error,
    cause,
    compared,
    read_directory,
)
from _insight import (
    FOUND,
    MEDIA,
    Fit,
    fit_lander,
    forward,
    read,
    receivers,
)
from _lines import Line, report, run
from numpy.typing import NDArray

from kitestring.errors import MissingDataError
from kitestring.estimate.forward import count_start
from kitestring.estimate.lander import LanderTarget
from kitestring.estimate.tracking import compute
from kitestring.model.earth import EarthModel
from kitestring.model.predict import Predictor
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.observables.types import Observables, UplinkRamps

TRANSMITTER = "DSS-55"
NAMED = ("Ef", "Ys")

# Other pairs are differenced where they have so many counts in common
LEAST_COMMON = 100
# s; longer than the light takes across the Earth
ACROSS = 0.1

# An independent model left the means of Ef and Ys 4 to 24 mHz from the sender's, 3.4 and
# 4.9 mHz about a line, and 6.0 mHz about the mean of their difference
MEAN, ABOUT_LINE, DIFFERENCED = 100.0, 7.0, 8.0  # mHz


def three_way(reception: Reception, fit: Fit) -> tuple[Reception, Compared]:
    """Compare what a station received with the model and the sender's ramps.

    Returns
    -------
    Reception
        With its base frequency put right.
    Compared
        The residuals.
    """
    o = reception.observables
    model = compute(o, fit.target, fit.solution.values, forward(fit.data, fit.earth))
    wrong = base_error(o.value - model.value)
    if wrong:
        print(f"# {reception.station}: base frequency wrong by {-wrong / 1e3:+.0f} kHz; put right")
    o = replace(o, value=o.value - wrong)
    residual = o.value - model.value
    found = compared(reception.station, o, residual, reception.snr, reception.elevation)
    return replace(reception, observables=o), found


def emitted(heard: Observables, predictor: Predictor) -> UplinkRamps:
    """Return what left the target, from what one station received of it.

    Each count gives one piece: its mean frequency, in the target's proper
    time, over the interval in which these cycles were emitted. The slope inside a
    piece is that between its neighbours, so that the piece's mean is kept
    and a station whose light time differs by milliseconds is served exactly.

    Parameters
    ----------
    heard : Observables
        One-, two- or three-way Doppler at one station.
    predictor : Predictor
        The target and the media over the station.
    """
    station = get_station(heard.path.participants[-1])
    nominal = float(np.median(heard.value))
    start = count_start(heard)
    long_before = start[:1].to("tdb").shifted(-86400.0)
    constant = UplinkRamps("", "X", long_before, np.array([nominal]), np.zeros(1))
    found = predictor.one_way_doppler(station, start, heard.count, constant)
    left = found.events[1].epoch  # the event of the count's start
    frequency = nominal * heard.value / found.value
    lasts = heard.count * found.value / nominal
    slope = np.gradient(frequency, left.shifted(0.5 * lasts).since(left[0]))
    begins = frequency - 0.5 * lasts * slope
    # another station may have received the first of it a little earlier
    left = Epoch.concatenate([left[:1].shifted(-ACROSS), left[1:]])
    begins[0] -= ACROSS * slope[0]
    return UplinkRamps("", "X", left, begins, slope)


def rows_in_common(one: Observables, other: Observables) -> tuple[NDArray[np.int64], ...]:
    """Return the rows of two sets with the same time tags."""
    reference = one.epoch[0]
    first, second = one.epoch.since(reference), other.epoch.since(reference)
    at = np.clip(np.searchsorted(second, first - SAME_EPOCH), 0, len(second) - 1)
    same = np.abs(second[at] - first) < SAME_EPOCH
    return np.flatnonzero(same), at[same]


def differenced(one: Reception, other: Reception, predictor: Predictor) -> Compared | None:
    """Compare what the second station received with what the first says of the wavefronts.

    Returns
    -------
    Compared or None
        None where the two have fewer than three epochs in common.
    """
    first, second = rows_in_common(one.observables, other.observables)
    if len(first) < 3:
        return None
    ramps = emitted(one.observables, predictor)
    o = other.observables
    common = replace(
        o,
        **{n: getattr(o, n)[second] for n in ("epoch", "value", "sigma", "count", "flag")},
    )
    station, start = get_station(other.station), count_start(common)
    residual = common.value - predictor.one_way_doppler(station, start, common.count, ramps).value
    wrong = base_error(residual)
    if wrong:
        print(f"# {one.station} {other.station}: base frequencies {wrong / 1e3:+.0f} kHz apart")
    snr = np.minimum(one.snr[first], other.snr[second])
    elevation = np.minimum(one.elevation[first], other.elevation[second])
    name = f"{one.station} {other.station}"
    return compared(name, common, residual - wrong, snr, elevation)


def tell(found: Compared) -> None:
    """Print one comparison as a note."""
    numbers = f"mean {found.mean:+.1f}, about it {found.scatter:.2f}, about a line "
    numbers += f"{found.about_line:.2f}, between counts {found.noise:.2f} mHz"
    print(f"# {found.name}: {numbers}, {np.sum(found.good)} of {len(found.good)} counts")


def of_the_sender(fit: Fit, epoch: Epoch, transmitter: str) -> float:
    """Return the mean two-way residual of the sender on the day of an epoch, mHz."""
    table, name = fit.table, get_station(transmitter).name
    sender = np.array([get_station(s).name == name for s in np.unique(receivers(table))])
    own = np.isin(receivers(table), np.unique(receivers(table))[sender])
    rows = own & (table.epoch.day == epoch.day[0]) & (table.flag == "")
    if not np.any(rows):
        print(f"# {transmitter} has no two-way Doppler of that day: means are not compared")
        return float("nan")
    mean = 1e3 * float(np.mean(table.residual[rows]))
    print(f"# {transmitter} itself, two-way: mean {mean:+.1f} mHz, {np.sum(rows)} counts")
    return mean


def three_way_lines(
    comparisons: Sequence[Compared], fit: Fit, transmitter: str, named: tuple[str, ...]
) -> list[Line]:
    """Return the claims on each station: undifferenced, with the sender's ramps."""
    two_way = of_the_sender(fit, comparisons[0].epoch, transmitter)
    lines = []
    for found in comparisons:
        tell(found)
        limited = found.name in named
        if not limited:
            print(f"#   not limited; cause: {cause(found)}")
        name = f"{found.name} three-way"
        if np.isfinite(two_way):
            offset = found.mean - two_way
            limit = MEAN if limited else None
            lines.append(Line(f"{name}, mean less the sender's", offset, "mHz", limit))
        limit = ABOUT_LINE if limited else None
        lines.append(Line(f"{name}, rms about a line", found.about_line, "mHz", limit))
    return lines


def differenced_lines(
    receptions: Sequence[Reception], predictor: Predictor, named: tuple[str, ...], least: int
) -> tuple[list[Line], list[Compared]]:
    """Return the claims on pairs of stations."""
    pairs: dict[frozenset[str], Compared] = {}
    for one, other in combinations(receptions, 2):
        found = differenced(one, other, predictor)
        if found is not None:
            pairs[frozenset((one.station, other.station))] = found
    wanted = frozenset(named)  # limited however few its counts
    chosen = {k: p for k, p in pairs.items() if len(p.good) >= least or k == wanted}
    for found in (p for k, p in pairs.items() if k not in chosen):
        print(f"# {found.name}: {len(found.good)} counts in common only; passed over")
    limited = wanted if wanted in chosen else _best(chosen)
    if limited != wanted:
        print(f"# {' '.join(named)} have nothing in common: the best pair is limited")
    lines = []
    for key, found in chosen.items():
        tell(found)
        if key != limited:
            print(f"#   not limited; cause: {cause(found)}")
        limit = DIFFERENCED if key == limited else None
        lines.append(Line(f"{found.name} differenced, rms", found.scatter, "mHz", limit))
    return lines, list(chosen.values())


def _best(pairs: Mapping[frozenset[str], Compared]) -> frozenset[str]:
    known = [key for key in pairs if np.isfinite(pairs[key].scatter)] or list(pairs)
    return min(known, key=lambda key: pairs[key].scatter, default=frozenset())


def named_pair(names: Sequence[str], receptions: Sequence[Reception]) -> tuple[str, ...]:
    """Return the codes in the files of the stations that were named; `NAMED` where none were.

    Raises
    ------
    UnknownNameError
        For a name that is no station's.
    MissingDataError
        For a station without a file.
    """
    codes = {get_station(r.station).name: r.station for r in receptions}
    for name in names:
        if get_station(name).name not in codes:
            raise MissingDataError(
                f"no Fdets file is of {name}.",
                next_step=f"Name two of {', '.join(codes.values())}.",
            )
    return tuple(codes[get_station(name).name] for name in names) or NAMED


def plot(stations: Sequence[Compared], pairs: Sequence[Compared], path: Path) -> None:
    """Draw residuals over time, of stations above and pairs below, their means taken off."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    titles = ("three-way, with the sender's ramps", "differenced at the same wavefront")
    groups = [(t, g) for t, g in zip(titles, (stations, pairs), strict=True) if g]
    size = (12.0, 5.0 * len(groups))
    figure, axes = plt.subplots(
        len(groups), figsize=size, layout="constrained", sharex=True, squeeze=False
    )
    for panel, (title, group) in zip(axes[:, 0], groups, strict=True):
        for found in group:
            hours = 24.0 * (found.epoch.mjd() % 1.0)
            # NaN, not left out: else lines would join over what was lost
            shown = np.where(found.good, found.residual - found.mean, np.nan)
            label = f"{found.name}: mean {found.mean:+.1f} mHz"
            panel.plot(hours, shown, ".-", ms=4, lw=0.5, label=label)
        panel.set(ylim=(-40.0, 40.0), ylabel="observed - computed - mean (mHz)", title=title)
        panel.legend(fontsize="small")
    axes[-1, 0].set_xlabel(f"UTC of {(stations or pairs)[0].epoch[:1].iso_list(0)[0][:10]} (h)")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path, metavar="FDETS_DIR")
    parser.add_argument("--tdm", type=Path, help="the DSN's tracking data message, with its ramps")
    parser.add_argument(
        "--stations", nargs=2, metavar=("A", "B"), help="the pair that is limited (Ef Ys)"
    )
    parser.add_argument("--transmitter", default=TRANSMITTER, help="who sent (%(default)s)")
    parser.add_argument(
        "--base",
        type=float,
        metavar="HZ",
        help=f"base frequency (the header's, or {BASE_FREQUENCY:.0f} where that is zero)",
    )
    parser.add_argument(
        "--least",
        type=int,
        default=LEAST_COMMON,
        help="counts in common of other pairs (%(default)s)",
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="picture of the residuals")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parsed(arguments)
    earth, target = EarthModel(), LanderTarget("InSight", "MARS", FOUND)
    receptions = read_directory(options.directory, options.transmitter, options.base, earth)
    if not receptions:
        print(f"no Fdets files in {options.directory}", file=sys.stderr)
        return 2
    named = named_pair(options.stations or (), receptions)
    lines: list[Line] = []
    stations: list[Compared] = []
    trajectory = target.trajectory(target.values)
    if options.tdm:
        fit = fit_lander(read(options.tdm), earth)
        trajectory = fit.target.trajectory(fit.solution.values)
        found = [three_way(reception, fit) for reception in receptions]
        receptions, stations = [r for r, _ in found], [c for _, c in found]
        lines = three_way_lines(stations, fit, options.transmitter, named)
    predictor = Predictor(earth, trajectory, MEDIA, frequency=BASE_FREQUENCY)
    more, pairs = differenced_lines(receptions, predictor, named, options.least)
    if not lines and not more:
        print("no pair of stations has enough epochs in common to be compared", file=sys.stderr)
        return 2
    if options.plot:
        plot(stations, pairs, options.plot)
    return report([*lines, *more])


if __name__ == "__main__":
    run(main)
