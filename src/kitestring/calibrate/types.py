"""What calibration hands on: corrections, and delta-DOR with its covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from kitestring.model.observable import Kind, SignalPath
from kitestring.model.time import Epoch
from kitestring.observables.types import Observables

Floats = NDArray[np.float64]

# of a fit's chi-square: channels mixed up or wrong integers, not merely noise stated too small
LEAST_P_VALUE = 1e-9


@dataclass(frozen=True)
class Correction:
    """One effect on rows of observables.

    Attributes
    ----------
    name : str
        Such as ``"clock"`` or ``"troposphere"``.
    value : ndarray, shape (row,)
        What the effect added to the measured delay, s. It has been subtracted
        where `applied`.
    sigma : ndarray, shape (row,)
        Its standard deviation, s.
    applied : bool
        Whether the rows have been corrected for it.
    origin : str
        What it was derived from.
    """

    name: str
    value: Floats
    sigma: Floats
    applied: bool
    origin: str


@dataclass(frozen=True)
class DeltaDor:
    """Quasar-referenced delays of a spacecraft: one row a baseline and scan.

    Attributes
    ----------
    target, reference : str
        Spacecraft, and the quasar whose theoretical delay is subtracted. The
        calibration itself uses every quasar scan.
    reference_station : str
        What clocks were relative to; its baselines' rows are independent.
    scans : tuple of str, length row
        Spacecraft scan of each row.
    baselines : tuple of (str, str), length row
        Stations 1 and 2 of each row.
    epoch : Epoch, shape (row,)
        Arrival at station 1, UTC.
    duration : ndarray, shape (row,)
        Length of the scan, s.
    value : ndarray, shape (row,)
        Delay of the spacecraft minus delay of the quasar, s, both at `epoch`.
        The station clocks are removed; media that the delay models contain are
        part of both delays.
    residual : ndarray, shape (row,)
        `value` minus theory.
    spacecraft_theory, reference_theory : ndarray, shape (row,)
        The a-priori delays, s; the difference is the theory.
    covariance : ndarray, shape (row, row)
        Of `value`, s^2. With more baselines than stations - 1 in a scan it is
        singular, as delays close: estimate with `independent` rows.
    budget : tuple of (str, ndarray)
        Contributions to sigma by origin, s; their squares add up to the
        diagonal of `covariance`.
    corrections : tuple of Correction
        Effects that were estimated.
    ambiguity : float
        Spacing of delays that the tones cannot tell apart, s.
    probability : ndarray, shape (row,)
        That the integers chosen at both stations are right.
    chi_square, degrees_of_freedom : float, int
        Of the least-squares fit behind the rows.
    """

    target: str
    reference: str
    reference_station: str
    scans: tuple[str, ...]
    baselines: tuple[tuple[str, str], ...]
    epoch: Epoch
    duration: Floats
    value: Floats
    residual: Floats
    spacecraft_theory: Floats
    reference_theory: Floats
    covariance: Floats
    budget: tuple[tuple[str, Floats], ...]
    corrections: tuple[Correction, ...]
    ambiguity: float
    probability: Floats
    chi_square: float
    degrees_of_freedom: int

    @property
    def sigma(self) -> Floats:
        """Standard deviation of each row, s."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def p_value(self) -> float:
        """Probability that the stated noise alone gives a chi-square as large as this."""
        if self.degrees_of_freedom < 1:
            return 1.0
        return float(chi2.sf(self.chi_square, self.degrees_of_freedom))

    def __len__(self) -> int:
        return len(self.value)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return the distinct baselines, in order of appearance."""
        return tuple(dict.fromkeys(self.baselines))

    def rows_by_baseline(self) -> NDArray[np.int64]:
        """Return row numbers in the order in which `observables` lists them."""
        order = [k for p in self.pairs() for k, b in enumerate(self.baselines) if b == p]
        return np.array(order, dtype=np.int64)

    def independent(self) -> DeltaDor:
        """Return the rows of the reference station's baselines, whose covariance is regular."""
        return self.take([k for k, b in enumerate(self.baselines) if self.reference_station in b])

    def take(self, rows: Sequence[int]) -> DeltaDor:
        """Return some of the rows."""
        k = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            scans=tuple(self.scans[i] for i in k),
            baselines=tuple(self.baselines[i] for i in k),
            epoch=self.epoch[k],
            duration=self.duration[k],
            value=self.value[k],
            residual=self.residual[k],
            spacecraft_theory=self.spacecraft_theory[k],
            reference_theory=self.reference_theory[k],
            covariance=self.covariance[np.ix_(k, k)],
            budget=tuple((name, sigma[k]) for name, sigma in self.budget),
            corrections=tuple(
                replace(c, value=c.value[k], sigma=c.sigma[k]) for c in self.corrections
            ),
            probability=self.probability[k],
        )

    def observables(
        self, least_probability: float = 0.99, least_p_value: float = LEAST_P_VALUE
    ) -> tuple[Observables, ...]:
        """Return one set of observables a baseline, each with its own covariance block.

        Rows whose integers are less probable than `least_probability` are
        flagged ``"ambiguity"``. All others are flagged ``"chi-square"`` where
        `p_value` is below `least_p_value`: something in the session is wrong,
        and sigma does not say by how much.

        Rows of different baselines are correlated too: that joint covariance,
        in the order of the concatenated sets, is
        ``covariance[np.ix_(order, order)]`` with ``order = rows_by_baseline()``.
        """
        fit = "chi-square" if self.p_value < least_p_value else ""
        result = []
        for pair in self.pairs():
            rows = np.array([k for k, b in enumerate(self.baselines) if b == pair])
            result.append(
                Observables(
                    kind=Kind.DELTA_DOR,
                    path=SignalPath((self.target, *pair), reference_source=self.reference),
                    epoch=self.epoch[rows],
                    value=self.value[rows],
                    sigma=self.sigma[rows],
                    count=self.duration[rows],
                    flag=np.where(
                        self.probability[rows] < least_probability, "ambiguity", fit
                    ).astype("U32"),
                    covariance=self.covariance[np.ix_(rows, rows)],
                    origin="calibrate.reference",
                )
            )
        return tuple(result)
