"""Quasar-referenced delta-DOR: one least-squares problem for all stations and scans.

The residual phase of station s at sky frequency f in channel b of scan k is

    p = theta(s, b) + psi(s, k) - 2 pi (f - f0) delta(s, k)
    delta = clock + zenith delay x partial + (spacecraft scans only) tau(s, k)

with theta the phase of the channel's oscillator, the same in all scans, and
psi free in every scan, so that no phase is carried from scan to scan (300 s at
1e-12 are two turns at X band): the result rests on group delays alone.
Quasars give p(i) - p(j) in each channel and delta(j) - delta(i) from the slope
inside the channels; the spacecraft gives p(s) + what its transmitter does. The
reference station has theta, psi, clock and tau of zero. The covariance of tau
holds what rows share: stations, quasar scans, clocks and zenith delays.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kitestring.calibrate._design import (
    Data,
    Solution,
    gather,
    name_bands,
    reference_by_snr,
    solve,
)
from kitestring.calibrate.ambiguity import delay_ambiguity
from kitestring.calibrate.types import LEAST_P_VALUE, Correction, DeltaDor
from kitestring.errors import (
    ConfigurationError,
    EstimationError,
    KitestringWarning,
    MissingDataError,
)
from kitestring.fringe.types import FringeSolution, ToneSolution
from kitestring.model.constants import C
from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch


@dataclass(frozen=True)
class APriori:
    """What is known before the fit, one standard deviation each.

    Attributes
    ----------
    delay : float
        Residual delay of the spacecraft relative to the quasars, s; it settles
        which ambiguity is taken.
    clock_rate : float
        Station clocks' rates beyond the delay models', s/s.
    zenith : float
        Zenith delays beyond the delay models', s.
    """

    delay: float = 50e-9
    clock_rate: float = 1e-10
    zenith: float = 0.05 / C


def delta_dor(
    quasars: Sequence[FringeSolution],
    spacecraft: Sequence[ToneSolution],
    reference_models: Mapping[str, DelayModel],
    *,
    zenith_partials: Mapping[tuple[str, str], float] | None = None,
    reference_station: str | None = None,
    a_priori: APriori | None = None,
    detection: float = 0.999,
) -> DeltaDor:
    """Reference a spacecraft's tones to quasars.

    Parameters
    ----------
    quasars : sequence of FringeSolution
        All baselines of all quasar scans.
    spacecraft : sequence of ToneSolution
        The spacecraft's scans.
    reference_models : mapping of str to DelayModel
        For each spacecraft scan, by name: the delays of one quasar (the same
        in all) over the time of that scan. It makes the theory that is
        subtracted; the calibration uses every quasar scan.
    zenith_partials : mapping of (scan, station) to float, optional
        Mapping function: delay per zenith delay, for every station of every
        scan. Zenith delays are estimated where it is given.
    reference_station : str, optional
        The station that clocks and oscillators are relative to; the one of
        most signal unless given. The result does not depend on it.
    a_priori : APriori, optional
        Standard deviations known beforehand.
    detection : float
        Quasar fringes of a lower probability are not used.

    Returns
    -------
    DeltaDor
        Rows for all baselines of the stations in each spacecraft scan. Those
        with the reference station are independent (`DeltaDor.independent`).
        A chi-square that noise hardly ever reaches (`DeltaDor.p_value` under
        1e-9) is warned of, and `DeltaDor.observables` flags all rows.

    Raises
    ------
    MissingDataError
        Where there are no quasar fringes, no tones, or a model or partial is
        missing.
    EstimationError
        Where the data do not settle all unknowns.
    """
    known = APriori() if a_priori is None else a_priori
    detected = [q for q in quasars if q.probability >= detection]
    _check(detected, spacecraft, reference_models)
    reference = reference_by_snr(detected) if reference_station is None else reference_station
    if all(reference not in q.baseline for q in detected):
        raise ConfigurationError(
            f"{reference} has no quasar fringe and cannot be the reference station.",
            next_step="Name another, or leave it to be chosen.",
        )
    partials = None if zenith_partials is None else dict(zenith_partials)
    detected, bands = name_bands(detected)
    data = gather(detected, spacecraft, bands, reference, partials, known.delay)
    solution = solve(data, known.clock_rate, known.zenith)
    rows = _rows(data, solution, spacecraft, reference_models)
    if rows.p_value < LEAST_P_VALUE:
        warnings.warn(
            f"chi-square of delta-DOR is {rows.chi_square:.4g} with {rows.degrees_of_freedom} "
            f"degrees of freedom: the stated noise does not explain the scatter, and all rows "
            f"are flagged. Compare the channels' frequencies of all stations with "
            f"`kitestring describe`, and look for a bad scan in the fringe and tone plots.",
            KitestringWarning,
            stacklevel=2,
        )
    return rows


def _check(
    quasars: Sequence[FringeSolution],
    spacecraft: Sequence[ToneSolution],
    models: Mapping[str, DelayModel],
) -> None:
    if not quasars or not spacecraft:
        what = "quasar fringe was detected" if not quasars else "spacecraft scan has tones"
        raise MissingDataError(
            f"no {what}: there is nothing to reference.",
            next_step="Look at the fringe plots, and lengthen the search or the scans.",
        )
    for scan in spacecraft:
        if scan.scan not in models:
            raise MissingDataError(
                f"no delay model of the reference quasar for scan {scan.scan}.",
                next_step="Predict the quasar over the time of each spacecraft scan.",
            )
    if len({models[s.scan].source for s in spacecraft}) > 1:
        raise ConfigurationError(
            "the reference models are of different quasars.",
            next_step="Give the same quasar for every spacecraft scan.",
        )


def _geometric(model: DelayModel, first: str, second: str, arrival: Epoch) -> tuple[float, Epoch]:
    """Return the delay of the wavefront that arrives at station 1 at an epoch, and its label."""
    one, two = model.stations[first].delay, model.stations[second].delay
    label = arrival
    for _ in range(3):  # delays change by 1e-6 of themselves a step
        label = arrival.shifted(-float(one(label)))
    return float(two(label) - one(label)), label


@dataclass(frozen=True)
class _Row:
    scan: ToneSolution
    first: str
    second: str
    weights: dict[int, float]  # of the unknowns that make up the residual


def _list_rows(data: Data, spacecraft: Sequence[ToneSolution]) -> list[_Row]:
    """Return all baselines of the stations that were solved for in each scan."""
    rows = []
    for scan in spacecraft:
        here = [s for s in scan.stations if data.index.has("tau", s, scan.scan)]
        here += [data.reference] * (data.reference in scan.stations)
        here.sort(key=scan.stations.index)
        for i, first in enumerate(here):
            for second in here[i + 1 :]:
                weights: dict[int, float] = {}
                for station, sign in ((second, 1.0), (first, -1.0)):
                    if station != data.reference:
                        weights[data.index.of("tau", station, scan.scan)] = sign
                rows.append(_Row(scan, first, second, weights))
    if not rows:
        raise EstimationError(
            "no two stations share tones of a spacecraft scan and quasar fringes.",
            next_step="Look at the fringe and tone plots for the station that is missing.",
        )
    return rows


def _rows(
    data: Data,
    solution: Solution,
    spacecraft: Sequence[ToneSolution],
    models: Mapping[str, DelayModel],
) -> DeltaDor:
    rows = _list_rows(data, spacecraft)
    take = np.zeros((len(rows), len(solution.value)))
    theory, quasar, carried = np.zeros((3, len(rows)))
    for k, row in enumerate(rows):
        for column, weight in row.weights.items():
            take[k, column] = weight
        scan = row.scan
        theory[k], label = _geometric(scan.model, row.first, row.second, scan.epoch)
        quasar[k], _ = _geometric(models[scan.scan], row.first, row.second, scan.epoch)
        # the tones' slope carries the residual from the scan's epoch to the row's wavefront
        carried[k] = float(label.since(scan.epoch)) * _residual_rate(scan, row.first, row.second)
    residual = take @ solution.value + carried
    covariance = take @ solution.covariance @ take.T
    known = data.probability
    return DeltaDor(
        target=spacecraft[0].source,
        reference=models[spacecraft[0].scan].source,
        reference_station=data.reference,
        scans=tuple(r.scan.scan for r in rows),
        baselines=tuple((r.first, r.second) for r in rows),
        epoch=Epoch.concatenate([r.scan.epoch for r in rows]),
        duration=np.array([r.scan.duration for r in rows]),
        value=theory - quasar + residual,
        residual=residual,
        spacecraft_theory=theory,
        reference_theory=quasar,
        covariance=0.5 * (covariance + covariance.T),
        budget=tuple(
            (name, np.sqrt(np.maximum(np.diag(take @ part @ take.T), 0.0)))
            for name, part in solution.parts
        ),
        corrections=_corrections(data, solution, rows),
        ambiguity=delay_ambiguity(spacecraft[0].frequency),
        probability=np.array(
            [known[r.first, r.scan.scan] * known[r.second, r.scan.scan] for r in rows]
        ),
        chi_square=solution.chi_square,
        degrees_of_freedom=solution.degrees_of_freedom,
    )


def _residual_rate(scan: ToneSolution, first: str, second: str) -> float:
    """Return d(residual delay)/dt of a baseline from its best tone, s/s."""
    i, j = scan.stations.index(first), scan.stations.index(second)
    sigma = np.hypot(scan.rate_sigma[i], scan.rate_sigma[j])
    k = int(np.nanargmin(sigma))
    return float((scan.rate[i, k] - scan.rate[j, k]) / (2.0 * np.pi * scan.frequency[k]))


def _corrections(data: Data, solution: Solution, rows: list[_Row]) -> tuple[Correction, ...]:
    """Return what clocks and zenith delays added to the spacecraft's delays."""
    keys = data.index.names()
    kinds = ["clock"] + ["troposphere"] * (data.partials is not None)
    result = []
    for kind in kinds:
        take = np.zeros((len(rows), len(solution.value)))
        for k, row in enumerate(rows):
            for station, sign in ((row.second, 1.0), (row.first, -1.0)):
                for column, factor in data.delay_terms(station, row.scan.scan).items():
                    if keys[column][0] == kind:
                        take[k, column] += sign * factor
        sigma = np.sqrt(np.maximum(np.diag(take @ solution.covariance @ take.T), 0.0))
        result.append(
            Correction(kind, take @ solution.value, sigma, True, "calibrate.reference: joint fit")
        )
    return tuple(result)
