"""How alike two sets of visibilities are: ours, and an independent correlator's.

The complex correlation of all rows together is the figure that matters. One row
at a time, or magnitudes alone, would hide a wrong delay, a wrong sign of phase
or a wrong clock: each row would still agree up to a phase of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate.types import Visibilities
from kitestring.errors import MissingDataError

Spectrum = NDArray[np.complex128]
RowKey = tuple[float, str, str, str]
"""Lowest sky frequency of the band (Hz), station 1, station 2, polarisation product."""
Rows = Mapping[RowKey, Spectrum]


@dataclass(frozen=True)
class Comparison:
    """Two sets of rows beside each other.

    Attributes
    ----------
    correlation : complex
        Sum of a conj(b) over all bins of all rows, over the root of the product
        of their summed squares. Its phase is that of a over b.
    by_row : dict of RowKey to complex
        The same for each row on its own.
    """

    correlation: complex
    by_row: dict[RowKey, complex]

    @property
    def worst(self) -> tuple[RowKey, complex]:
        """The row whose correlation is farthest from 1, and its correlation."""
        return max(self.by_row.items(), key=lambda item: abs(item[1] - 1.0))


def rows_of(vis: Visibilities) -> dict[RowKey, Spectrum]:
    """Return the mean spectrum of each baseline and product over all integrations.

    Parameters
    ----------
    vis : Visibilities
        One scan.

    Returns
    -------
    dict of RowKey to ndarray of complex, shape (bin,)
        Integrations count by their valid samples. Products that a baseline
        lacks, or of which it has no valid sample, are left out.
    """
    rows: dict[RowKey, Spectrum] = {}
    for channel in vis.channels:
        amount = channel.weight * vis.integration[:, None, None]
        low = float(channel.frequency[0])
        for b, (one, two) in enumerate(vis.baselines):
            for p, product in enumerate(channel.products):
                # an integration without a valid sample may be NaN: it counts nothing
                used = amount[:, b, p] > 0
                if not used.any():
                    continue
                data = channel.data[used, b, :, p].astype(np.complex128)
                mean = amount[used, b, p] @ data / amount[used, b, p].sum()
                if np.isfinite(mean).all():
                    rows[low, one, two, product] = mean
    return rows


def normalised(rows: Rows) -> dict[RowKey, Spectrum]:
    """Return rows over the root of the two stations' summed autocorrelations.

    Samples of different gain, and correlators of different scale, become
    comparable. Rows without both autocorrelations are left out.
    """
    power = {
        (low, one, product[0]): float(values.real.sum())
        for (low, one, two, product), values in rows.items()
        if one == two and product[:1] == product[1:]
    }
    result = {}
    for key, values in rows.items():
        low, one, two, product = key
        p1, p2 = power.get((low, one, product[:1]), 0.0), power.get((low, two, product[1:]), 0.0)
        if p1 > 0 and p2 > 0:
            result[key] = values / np.sqrt(p1 * p2)
    return result


def compare_rows(ours: Rows, theirs: Rows) -> Comparison:
    """Compare the rows that two sets have in common.

    Parameters
    ----------
    ours, theirs : mapping of RowKey to ndarray of complex
        Spectra in ascending sky frequency; scale them alike (`normalised`). A
        row of theirs that is stored as baseline (2, 1) is conjugated.

    Raises
    ------
    MissingDataError
        Where they have no row in common, or rows of different lengths.

    Examples
    --------
    >>> a = {(8.4e9, "A", "B", "XX"): np.array([1.0, 1j])}
    >>> b = {(8.4e9, "B", "A", "XX"): np.array([2.0, -2j])}
    >>> complex(compare_rows(a, b).correlation)
    (1+0j)
    """
    pairs: dict[RowKey, tuple[Spectrum, Spectrum]] = {}
    for key, values in ours.items():
        low, one, two, product = key
        other = theirs.get(key)
        if other is None and (turned := theirs.get((low, two, one, product[::-1]))) is not None:
            other = np.conj(turned)
        if other is None:
            continue
        if len(other) != len(values):
            raise MissingDataError(
                f"{one}-{two} {product} at {low / 1e6:g} MHz has {len(values)} bins here and "
                f"{len(other)} there.",
                next_step="Correlate with as many bins as the reference.",
            )
        pairs[key] = values, other
    if not pairs:
        raise MissingDataError(
            f"{len(ours)} and {len(theirs)} rows have no baseline, product and band in common.",
            next_step="Check station names, sky frequencies and polarisations.",
        )
    cross = {key: complex(np.vdot(b, a)) for key, (a, b) in pairs.items()}
    own = {key: (_square(a), _square(b)) for key, (a, b) in pairs.items()}
    scale = math.sqrt(sum(a for a, _ in own.values()) * sum(b for _, b in own.values()))
    return Comparison(
        correlation=_over(sum(cross.values()), scale),
        by_row={key: _over(cross[key], math.sqrt(own[key][0] * own[key][1])) for key in cross},
    )


def _square(values: Spectrum) -> float:
    return float(np.sum(values.real**2 + values.imag**2))


def _over(value: complex, scale: float) -> complex:
    return value / scale if scale > 0 else complex(np.nan)
