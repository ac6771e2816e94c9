"""The least-squares problem behind delta-DOR: unknowns, equations, integers, solution."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kitestring.calibrate.ambiguity import resolve_delay
from kitestring.errors import EstimationError, MissingDataError
from kitestring.fringe.types import FringeSolution, ToneSolution
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]
Terms = dict[int, float]

_TURN = 2.0 * np.pi
# two single-band delays differ by more than their noise says: filters ripple
_BAND_DELAY_FLOOR = 1e-9


@dataclass
class Index:
    """Columns of the unknowns, made as equations name them.

    Kinds: theta (station, band), psi (station, scan), clock (station, order),
    troposphere (station), tau (station, scan), tone (name, scan).
    """

    columns: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def of(self, kind: str, first: str, second: str = "") -> int:
        """Return the column of an unknown."""
        return self.columns.setdefault((kind, first, second), len(self.columns))

    def has(self, kind: str, first: str, second: str = "") -> bool:
        """Whether any equation names an unknown."""
        return (kind, first, second) in self.columns

    def names(self) -> list[tuple[str, str, str]]:
        """Return the unknowns in the order of their columns."""
        return list(self.columns)


@dataclass(frozen=True)
class Equation:
    """``sum(terms) = value +- sigma``; phases (``cyclic``) may be off by whole turns."""

    terms: Terms
    value: float
    sigma: float
    group: str
    cyclic: bool


@dataclass
class Data:
    """Equations of all scans, and what is needed to make them."""

    reference: str
    f0: float
    seconds: dict[str, float]
    spacecraft: set[str]
    partials: dict[tuple[str, str], float] | None
    index: Index = field(default_factory=Index)
    equations: list[Equation] = field(default_factory=list)
    theta: dict[tuple[str, str], float] = field(default_factory=dict)
    psi: dict[tuple[str, str], float] = field(default_factory=dict)
    delta: dict[tuple[str, str], float] = field(default_factory=dict)
    probability: dict[tuple[str, str], float] = field(default_factory=dict)
    gauge: dict[str, str] = field(default_factory=dict)

    def delay_terms(self, station: str, scan: str) -> Terms:
        """Return the columns and factors that make up delta(station, scan)."""
        terms: Terms = {}
        if self.partials is not None:
            if (scan, station) not in self.partials:
                raise MissingDataError(
                    f"no zenith partial of {station} in scan {scan}.",
                    next_step="Give the mapping function for every station of every scan.",
                )
            terms[self.index.of("troposphere", station)] = self.partials[scan, station]
        if station == self.reference:
            return terms
        terms[self.index.of("clock", station, "offset")] = 1.0
        terms[self.index.of("clock", station, "rate")] = self.seconds[scan]
        if scan in self.spacecraft:
            terms[self.index.of("tau", station, scan)] = 1.0
        return terms

    def phase_terms(self, station: str, band: str, frequency: float, scan: str) -> Terms:
        """Return the columns and factors that make up p(station, band, scan)."""
        factor = -_TURN * (frequency - self.f0)
        terms = {c: factor * v for c, v in self.delay_terms(station, scan).items()}
        if station != self.reference:
            terms[self.index.of("theta", station, band)] = 1.0
            if self.gauge[station] != scan:
                terms[self.index.of("psi", station, scan)] = 1.0
        return terms

    def guess(self, station: str, band: str, frequency: float, scan: str) -> float:
        """Return p(station, band, scan) as first found, which settles whole turns."""
        if station == self.reference:
            return 0.0
        phase = self.theta[station, band] + self.psi[station, scan]
        return phase - _TURN * (frequency - self.f0) * self.delta[station, scan]

    def stations(self, scan: str) -> set[str]:
        """Return the stations that are connected to the reference in a scan."""
        return {self.reference} | {s for s, k in self.delta if k == scan}


@dataclass(frozen=True)
class Solution:
    """Values, covariance and its parts by origin, in the order of the columns."""

    value: Floats
    covariance: Floats
    parts: tuple[tuple[str, Floats], ...]
    chi_square: float
    degrees_of_freedom: int


def reference_by_snr(quasars: Sequence[FringeSolution]) -> str:
    """Return the station with the largest sum of squared SNR."""
    total: dict[str, float] = defaultdict(float)
    for q in quasars:
        for station in q.baseline:
            total[station] += q.snr**2
    return max(sorted(total), key=total.__getitem__)


def _product(name: str) -> str:
    """Return the letters that tell a second polarisation product from a channel's first."""
    last = name.rpartition(" ")[2]
    return last if last != name and len(last) == 2 and last[0] == last[1] else ""


def name_bands(
    quasars: Sequence[FringeSolution],
) -> tuple[list[FringeSolution], dict[str, tuple[float, float]]]:
    """Give each band one name in all scans, and return from where to where each extends.

    Fringes name bands by the first station of their scan. Stations number
    their channels as they like, so what makes a band is its frequency.
    """
    bands: dict[str, tuple[float, float]] = {}
    renamed = []
    for q in quasars:
        names: list[str] = []
        for name, (low, high) in zip(q.channels, q.band.tolist(), strict=True):
            same = [
                b
                for b, (bottom, top) in bands.items()
                if b not in names
                and _product(b) == _product(name)
                and min(top, high) - max(bottom, low) > 0.5 * min(top - bottom, high - low)
            ]
            found = name if name in same else next(iter(same), name)
            if not same and name in bands:
                found = f"{name} at {low / 1e6:.6f} MHz {_product(name)}".rstrip()
            old = bands.get(found, (np.inf, -np.inf))
            bands[found] = (min(old[0], low), max(old[1], high))
            names.append(found)
        renamed.append(replace(q, channels=tuple(names)))
    return renamed, bands


def wrap(phase: Floats | float) -> Floats:
    """Return a phase within +-pi."""
    return np.asarray(np.angle(np.exp(1j * np.asarray(phase))))


def gather(
    quasars: Sequence[FringeSolution],
    spacecraft: Sequence[ToneSolution],
    bands: dict[str, tuple[float, float]],
    reference: str,
    partials: dict[tuple[str, str], float] | None,
    delay_sigma: float,
) -> Data:
    """Choose the integers and make the equations of all scans."""
    zero = Epoch.concatenate([q.epoch for q in quasars])
    start = zero.first().shifted(0.5 * float(zero.last().since(zero.first())))
    seconds = {q.scan: float(q.epoch.since(start)) for q in quasars}
    seconds |= {s.scan: float(s.epoch.since(start)) for s in spacecraft}
    f0 = float(np.mean([0.5 * (low + high) for low, high in bands.values()]))
    data = Data(reference, f0, seconds, {s.scan for s in spacecraft}, partials)
    direct = _direct(quasars, reference)
    for station in sorted({s for s, _ in direct}):
        _start_station(data, station, {k: v for (s, k), v in direct.items() if s == station})
    for q in quasars:
        _quasar_equations(data, q)
    # bands leave out their outermost bins, in which a tone may well be
    margin = min(1.0 / q.ambiguity for q in quasars)
    for scan in spacecraft:
        _tone_equations(data, scan, bands, margin, delay_sigma)
    return data


@dataclass(frozen=True)
class _Direct:
    """Fringe between the reference station and another, turned to that station's own phase."""

    bands: tuple[str, ...]
    frequency: Floats
    phase: Floats
    sigma: Floats
    delay: float
    delay_sigma: float
    snr: float


def _direct(quasars: Sequence[FringeSolution], reference: str) -> dict[tuple[str, str], _Direct]:
    result = {}
    for q in quasars:
        if reference not in q.baseline:
            continue
        other = q.baseline[1] if q.baseline[0] == reference else q.baseline[0]
        sign = 1.0 if q.baseline[0] == reference else -1.0
        result[other, q.scan] = _Direct(
            q.channels, q.frequency, -sign * q.phase, q.phase_sigma,
            sign * q.residual_delay, q.delay_sigma, q.snr,
        )  # fmt: skip
    return result


def _start_station(data: Data, station: str, fringes: dict[str, _Direct]) -> None:
    """Settle a station's oscillator phases by its best scan, and its delay in each scan."""
    scans = sorted(fringes, key=lambda k: -fringes[k].snr)
    best = fringes[scans[0]]
    data.gauge[station] = scans[0]
    for scan in scans:
        one = fringes[scan]
        psi, delta = 0.0, one.delay
        if scan != scans[0]:
            known = [k for k, b in enumerate(one.bands) if (station, b) in data.theta]
            offset = np.array([data.theta[station, one.bands[k]] for k in known])
            first = dict(zip(best.bands, best.sigma, strict=True))
            sigma = np.array([np.hypot(one.sigma[k], first.get(one.bands[k], 0.0)) for k in known])
            found = resolve_delay(
                one.frequency[known],
                -wrap(one.phase[known] - offset),
                sigma,
                one.delay,
                float(np.hypot(_BAND_DELAY_FLOOR, np.hypot(one.delay_sigma, best.delay_sigma))),
            )
            delta = found.delay
            turned = one.phase[known] - offset + _TURN * (one.frequency[known] - data.f0) * delta
            psi = float(np.angle(np.sum(np.exp(1j * turned) / sigma**2)))
        for band, f, phase in zip(one.bands, one.frequency, one.phase, strict=True):
            value = phase - psi + _TURN * (f - data.f0) * delta
            data.theta.setdefault((station, band), float(value))
        data.psi[station, scan], data.delta[station, scan] = psi, delta


def _difference(first: Terms, second: Terms) -> Terms:
    result = dict(first)
    for column, value in second.items():
        result[column] = result.get(column, 0.0) - value
    return result


def _quasar_equations(data: Data, q: FringeSolution) -> None:
    i, j = q.baseline
    if not {i, j} <= data.stations(q.scan):
        return  # a station without a fringe to the reference: nothing ties its turns down
    terms = _difference(data.delay_terms(j, q.scan), data.delay_terms(i, q.scan))
    data.equations.append(Equation(terms, q.residual_delay, q.delay_sigma, "quasar delays", False))
    for k, band in enumerate(q.channels):
        f, sigma = float(q.frequency[k]), float(q.phase_sigma[k])
        if any(s != data.reference and (s, band) not in data.theta for s in (i, j)):
            continue
        near = data.guess(i, band, f, q.scan) - data.guess(j, band, f, q.scan)
        value = near + float(wrap(q.phase[k] - near))
        terms = _difference(
            data.phase_terms(i, band, f, q.scan), data.phase_terms(j, band, f, q.scan)
        )
        data.equations.append(Equation(terms, value, sigma, "quasar phases", True))


def _tone_band(
    bands: dict[str, tuple[float, float]],
    margin: float,
    scan: ToneSolution,
    station: int,
    tone: int,
) -> str | None:
    """Return the band that holds a tone's frequency; of several, that of the channel's name.

    The name is the station's own, a band's that of another station: alone it proves nothing.
    """
    name, f = scan.channels[station][tone], float(scan.frequency[tone])
    held = [b for b, (low, high) in bands.items() if low - margin <= f <= high + margin]
    if name in held:
        return name
    return min(held, key=lambda b: abs(f - 0.5 * sum(bands[b])), default=None)


def _tone_equations(
    data: Data,
    scan: ToneSolution,
    bands: dict[str, tuple[float, float]],
    margin: float,
    delay_sigma: float,
) -> None:
    if data.reference not in scan.stations:
        return
    r = scan.stations.index(data.reference)
    used: set[int] = set()
    for s, station in enumerate(scan.stations):
        if station == data.reference or station not in data.gauge:
            continue
        tones, names = [], []
        for k in range(len(scan.tones)):
            band = _tone_band(bands, margin, scan, s, k)
            measured = np.isfinite(scan.phase[s, k]) and np.isfinite(scan.phase[r, k])
            if measured and band is not None and (station, band) in data.theta:
                tones.append(k)
                names.append(band)
        f = scan.frequency[tones]
        if len(np.unique(f)) < 2:
            continue  # no group delay from one tone: the station has no row in this scan
        offset = np.array([data.theta[station, b] for b in names])
        phase = scan.phase[s, tones] - scan.phase[r, tones] - offset
        # clocks hardly move within the session: the quasars' delay is the centre
        center = data.delta[station, data.gauge[station]]
        sigma = np.hypot(scan.phase_sigma[s, tones], scan.phase_sigma[r, tones])
        found = resolve_delay(f, -wrap(phase), sigma, center, delay_sigma)
        turned = phase + _TURN * (f - data.f0) * found.delay
        data.delta[station, scan.scan] = found.delay
        data.psi[station, scan.scan] = float(np.angle(np.sum(np.exp(1j * turned) / sigma**2)))
        data.probability[station, scan.scan] = found.probability
        for k, band in zip(tones, names, strict=True):
            near = data.guess(station, band, float(scan.frequency[k]), scan.scan)
            value = near + float(wrap(scan.phase[s, k] - scan.phase[r, k] - near))
            _tone_equation(data, scan, s, k, band, float(scan.phase[r, k]) + value)
        used |= set(tones)
    data.probability[data.reference, scan.scan] = 1.0
    for k in sorted(used):
        _tone_equation(data, scan, r, k, "", float(scan.phase[r, k]))


def _tone_equation(data: Data, scan: ToneSolution, s: int, k: int, band: str, value: float) -> None:
    terms = data.phase_terms(scan.stations[s], band, float(scan.frequency[k]), scan.scan)
    terms[data.index.of("tone", scan.tones[k], scan.scan)] = 1.0
    sigma = float(scan.phase_sigma[s, k])
    data.equations.append(Equation(terms, value, sigma, "tones", True))


def _priors(data: Data, clock_rate: float, zenith: float) -> list[Equation]:
    result = []
    for kind, station, second in data.index.names():
        column = data.index.of(kind, station, second)
        if kind == "clock" and second == "rate":
            result.append(Equation({column: 1.0}, 0.0, clock_rate, "clock prior", False))
        if kind == "troposphere":
            result.append(Equation({column: 1.0}, 0.0, zenith, "troposphere prior", False))
    return result


def solve(data: Data, clock_rate: float, zenith: float) -> Solution:
    """Solve the equations with the priors.

    Raises
    ------
    EstimationError
        Where an unknown is not settled by the data; it is named.
    """
    equations = data.equations + _priors(data, clock_rate, zenith)
    keys = data.index.names()
    sigma = np.array([e.sigma for e in equations])
    value = np.array([e.value for e in equations])
    cyclic = np.array([e.cyclic for e in equations])
    design = np.zeros((len(equations), len(keys)))
    for k, equation in enumerate(equations):
        for column, factor in equation.terms.items():
            design[k, column] = factor
    whitened = design / sigma[:, None]
    scale = np.linalg.norm(whitened, axis=0)
    u, s, vt = np.linalg.svd(whitened / scale, full_matrices=False)
    if len(equations) < len(keys) or s[-1] < 1e-11 * s[0]:
        worst = keys[int(np.argmax(np.abs(vt[-1])))]
        raise EstimationError(
            f"the data do not settle {' '.join(filter(None, worst))}.",
            next_step="Use more quasar scans, or leave out what only one scan holds.",
        )
    for _ in range(5):
        solution = (vt.T @ ((u.T @ (value / sigma)) / s)) / scale
        turns = np.where(cyclic, np.round((value - design @ solution) / _TURN), 0.0)
        if not turns.any():
            break
        value = value - _TURN * turns
    root = vt.T / s / scale[:, None]
    covariance = root @ root.T
    residual = (value - design @ solution) / sigma
    groups = [e.group for e in equations]
    parts = []
    for name in dict.fromkeys(groups):
        rows = whitened[[g == name for g in groups]]
        half = covariance @ rows.T
        parts.append((name, half @ half.T))
    return Solution(
        solution,
        covariance,
        tuple(parts),
        float(residual @ residual),
        len(equations) - len(keys),
    )
