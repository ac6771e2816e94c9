"""Which frequency was transmitted: ramps of a station, of several files, of a spacecraft."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kitestring.errors import MissingDataError
from kitestring.model.stations import StationCatalogue
from kitestring.model.time import Epoch
from kitestring.observables.types import UplinkRamps


def ramps_of(
    ramps: Sequence[UplinkRamps],
    station: str,
    band: str,
    stations: StationCatalogue | None = None,
) -> UplinkRamps:
    """Return the ramps of a station in a band (any band where `band` is empty).

    Raises
    ------
    MissingDataError
        Where there are none.
    """
    catalogue = stations or StationCatalogue.default()
    wanted = catalogue.get(station).name
    for table in ramps:
        # a file may hold ramps of stations that no catalogue knows
        known = table.station in catalogue and catalogue.get(table.station).name == wanted
        if known and band in ("", table.band):
            return table
    raise MissingDataError(
        f"no {band}-band uplink frequency of {station} is known.",
        next_step="Give a tracking file with its TRANSMIT_FREQ rows.",
    )


def merge_ramps(
    ramps: Sequence[UplinkRamps], stations: StationCatalogue | None = None
) -> tuple[UplinkRamps, ...]:
    """Join ramps of several files: one table for each station and band, ascending in time.

    Where two pieces begin at the same epoch, that of the later table counts.
    """
    catalogue = stations or StationCatalogue.default()
    groups: dict[tuple[str, str], list[UplinkRamps]] = {}
    for table in ramps:
        known = table.station in catalogue
        name = catalogue.get(table.station).name if known else table.station
        groups.setdefault((name, table.band), []).append(table)
    merged = []
    for (name, band), tables in groups.items():
        pieces = {
            (int(e.day), float(e.second)): (f, r)
            for t in tables
            for e, f, r in zip(
                (t.epoch[k] for k in range(len(t.epoch))), t.frequency, t.rate, strict=True
            )
        }
        keys = sorted(pieces)
        scale = tables[0].epoch.scale
        epoch = Epoch(scale, np.array([k[0] for k in keys]), np.array([k[1] for k in keys]))
        frequency, rate = np.array([pieces[k] for k in keys]).T
        origin = ", ".join(dict.fromkeys(t.origin for t in tables))
        merged.append(UplinkRamps(name, band, epoch, frequency, rate, origin))
    return tuple(merged)


def oscillator_of(ramps: Sequence[UplinkRamps], spacecraft: str) -> UplinkRamps:
    """Return what a spacecraft itself transmits.

    Raises
    ------
    MissingDataError
        Where it is not known.
    """
    for table in ramps:
        if table.station.casefold() == spacecraft.casefold():
            return table
    raise MissingDataError(
        f"the frequency that {spacecraft} transmits is not known.",
        next_step="Give a tracking file with TRANSMIT_FREQ rows of the spacecraft.",
    )
