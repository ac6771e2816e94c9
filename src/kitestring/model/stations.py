"""Stations by name.

The catalogue that travels with the package is ``data/stations.toml``, written
by ``tools/make_stations.py``; each station names the origin of its figures.
Users add their own in a file of the same form (`load_stations`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import as_file, files

from kitestring.errors import ConfigurationError, UnknownNameError
from kitestring.model.antenna import (
    MOUNTS,
    Mount,
    Station,
    axis_offset_delay,
    enu_matrix,
    geodetic,
    name_key,
    station_position,
)
from kitestring.model.station_file import load_stations

__all__ = [
    "MOUNTS",
    "Mount",
    "Station",
    "StationCatalogue",
    "all_stations",
    "axis_offset_delay",
    "enu_matrix",
    "geodetic",
    "get_station",
    "load_stations",
    "station_position",
]


class StationCatalogue:
    """Stations by any of their names.

    Parameters
    ----------
    stations : iterable of Station
        Names, codes and aliases must not collide.

    Raises
    ------
    ConfigurationError
        Where two stations share a name.
    """

    def __init__(self, stations: Iterable[Station]) -> None:
        self.stations = tuple(stations)
        self._index: dict[str, Station] = {}
        for station in self.stations:
            for name in station.names:
                other = self._index.setdefault(name_key(name), station)
                if other is not station:
                    raise ConfigurationError(
                        f"{name!r} names both station {other.name} and station {station.name}.",
                        next_step="Give one of them another name, code or alias.",
                    )

    @staticmethod
    @cache
    def default() -> StationCatalogue:
        """Return the catalogue that travels with the package."""
        with as_file(files("kitestring") / "data" / "stations.toml") as path:
            return StationCatalogue(load_stations(path))

    def __iter__(self) -> Iterator[Station]:
        return iter(self.stations)

    def __len__(self) -> int:
        return len(self.stations)

    def __contains__(self, name: str) -> bool:
        return name_key(name) in self._index

    def get(self, name: str) -> Station:
        """Return a station by name, code or alias; case, blanks, - and _ do not matter.

        Raises
        ------
        UnknownNameError
            Where no station has that name; the nearest are shown.
        """
        try:
            return self._index[name_key(name)]
        except KeyError:
            known = {n for s in self.stations for n in s.names}
            raise UnknownNameError("station", name, known) from None

    def search(self, text: str) -> tuple[Station, ...]:
        """Return the station of that name, or else all that have it as part of a name.

        Raises
        ------
        UnknownNameError
            Where it is no part of any name; the nearest are shown.
        """
        if text in self:
            return (self.get(text),)
        key = name_key(text)
        found = tuple(s for s in self if key and any(key in name_key(n) for n in s.names))
        return found or (self.get(text),)

    def extended(self, stations: Iterable[Station]) -> StationCatalogue:
        """Return a catalogue in which `stations` are added, or replace those of the same name."""
        added = tuple(stations)
        taken = {name_key(s.name) for s in added}
        return StationCatalogue([*(s for s in self if name_key(s.name) not in taken), *added])


def get_station(name: str) -> Station:
    """Return a station of the package's catalogue by name, code or alias.

    Parameters
    ----------
    name : str
        IVS name, two-letter code or other alias; case, blanks, - and _ do not matter.

    Raises
    ------
    UnknownNameError
        Where no station has that name; the nearest are shown.

    Examples
    --------
    >>> get_station("Ur").name, get_station("dss 55").name
    ('URUMQI', 'DSS-55')
    """
    return StationCatalogue.default().get(name)


def all_stations() -> tuple[Station, ...]:
    """Return all stations of the package's catalogue."""
    return StationCatalogue.default().stations
