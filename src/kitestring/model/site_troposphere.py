"""Zenith delays, mapping coefficients and gradients of sites from a weather model.

Such are site-wise files of VMF3 (`kitestring.formats.vmf3`), every six hours;
between these they are interpolated linearly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.antenna import Station, name_key
from kitestring.model.series import Series
from kitestring.model.time import Epoch

Floats = NDArray[np.float64]

LONGEST_GAP = 6 * 3600.0
"""Interval (s) of the Vienna files; nothing is interpolated across a longer one."""


@dataclass(frozen=True)
class SiteAir:
    """The air over a site at some epochs; each of shape (n,).

    Attributes
    ----------
    a_hydrostatic, a_wet : ndarray
        Leading coefficients of VMF3's mapping functions.
    hydrostatic, wet : ndarray
        Zenith delays, s.
    gradients : ndarray, shape (n, 4), or None
        Hydrostatic north and east, wet north and east, s; None where there are none.
    """

    a_hydrostatic: Floats
    a_wet: Floats
    hydrostatic: Floats
    wet: Floats
    gradients: Floats | None


@dataclass(frozen=True, eq=False)
class SiteTroposphere:
    """One site's series.

    Attributes
    ----------
    name : str
        As in the file.
    epochs : Epoch, shape (m,)
        Increasing.
    values : ndarray, shape (m, 4) or (m, 8)
        a hydrostatic, a wet, zenith delays hydrostatic and wet (s), then gradients
        hydrostatic north and east, wet north and east (s).

    Raises
    ------
    ConfigurationError
        For epochs that do not increase, or another number of values.
    """

    name: str
    epochs: Epoch
    values: Floats

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] not in (4, 8):
            raise ConfigurationError(
                f"the air over {self.name} has values of shape {self.values.shape}.",
                next_step="Give 4 a row, or 8 with gradients.",
            )
        _ = self._series

    @cached_property
    def _series(self) -> Series:
        return Series(f"the air over {self.name}", self.epochs, self.values, LONGEST_GAP)

    def at(self, epoch: Epoch) -> SiteAir:
        """Return the air at epochs.

        Raises
        ------
        SpanError
            Outside the series, or across more than six hours.
        """
        values = self._series.at(epoch)
        gradients = values[..., 4:] if values.shape[-1] > 4 else None
        a_hydrostatic, a_wet, hydrostatic, wet = np.moveaxis(values[..., :4], -1, 0)
        return SiteAir(a_hydrostatic, a_wet, hydrostatic, wet, gradients)


class SiteTable:
    """Sites by name; case, blanks, - and _ do not matter.

    Parameters
    ----------
    sites : iterable of SiteTroposphere
        One of each name.
    origin : str
        Where they come from.
    """

    def __init__(self, sites: Iterable[SiteTroposphere], origin: str = "given") -> None:
        self.sites: Mapping[str, SiteTroposphere] = {s.name.upper(): s for s in sites}
        self._by_key = {name_key(name): site for name, site in self.sites.items()}
        self.origin = origin

    def find(self, station: Station) -> SiteTroposphere | None:
        """Return the site of a station, by any of its names, or None."""
        found = (self._by_key.get(name_key(name)) for name in station.names)
        return next((site for site in found if site is not None), None)
