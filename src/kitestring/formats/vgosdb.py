"""Reads vgosDB session directories: what a geodetic VLBI session observed and was compared with.

A vgosDB is a directory of small NetCDF-3 files tied together by a wrapper
(``*.wrp``), which names the files of one state of the analysis (Gipson 2021,
"The vgosDB format"). Delays are tau = t2 - t1 of one wavefront, as in
``docs/concepts/conventions.md``. Indices here count from 0; those of the files from 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import erfa
import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError, MissingDataError
from kitestring.formats._vgosdb_files import (
    checked,
    numbers,
    only_variable,
    read_variable,
    variables,
)
from kitestring.model.time import MJD_ZERO_JD, Epoch

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Names = NDArray[np.str_]

__all__ = [
    "ABSENT",
    "MOUNTS",
    "VgosBand",
    "VgosSession",
    "read_variable",
    "read_vgosdb",
    "variables",
]

ABSENT = -1
"""Index of a station that took no part in a scan."""

MOUNTS = {1: "equatorial", 2: "xyns", 3: "azel", 4: "richmond", 5: "xyew"}
"""Mount of each ``AntennaAxisType`` (Calc's ``KAXIS``)."""

_MEGAHERTZ = 1e6
_WRAPPER_VERSION = re.compile(r"_V(\d+)")


@dataclass(frozen=True, eq=False)
class VgosBand:
    """Observed values of one band; arrays have shape (observation,).

    Attributes
    ----------
    name : str
        Such as ``"X"``.
    delay, sigma : ndarray
        Group delay as the fringe fit gave it, and its standard deviation, s.
    rate, rate_sigma : ndarray
        Delay rate and its standard deviation, s/s; NaN where the file is absent.
    reference_frequency : ndarray
        Sky frequency that the phase refers to, Hz.
    ambiguity : ndarray
        Spacing of the group delay ambiguities, s.
    quality : ndarray of str
        Quality codes of the fringe fit, ``"9"`` best.
    full_delay : ndarray or None
        Group delay with its ambiguities resolved, s; None before they were.
    ionosphere, ionosphere_sigma : ndarray or None
        Part of the group delay that is the ionosphere's, s; None where it was not estimated.
    """

    name: str
    delay: Floats
    sigma: Floats
    rate: Floats
    rate_sigma: Floats
    reference_frequency: Floats
    ambiguity: Floats
    quality: Names
    full_delay: Floats | None
    ionosphere: Floats | None
    ionosphere_sigma: Floats | None


@dataclass(frozen=True, eq=False)
class VgosSession:
    """A session: its observations in the order of the files, with everything a priori.

    Attributes
    ----------
    directory : Path
        Where it was read from.
    name : str
        Such as ``"R41102"``.
    wrapper : str
        Name of the wrapper that chose the files; empty where there is none.
    stations : tuple of str
        Names of the stations.
    station_position : ndarray, shape (station, 3)
        A-priori geocentric X, Y, Z, m.
    axis_offset : ndarray, shape (station,)
        Antenna axis offsets, m.
    mount : tuple of str
        Mount of each station (`MOUNTS`).
    sources : tuple of str
        Names of the sources.
    source_position : ndarray, shape (source, 2)
        A-priori right ascension and declination (J2000), rad.
    epoch : Epoch, shape (observation,)
        Time tags at station 1, UTC.
    station1, station2, source : ndarray of int, shape (observation,)
        Indices in `stations` and `sources`.
    scan : ndarray of int, shape (observation,)
        Index of the scan of each observation.
    delay, rate : ndarray, shape (observation,)
        Theoretical delay, s, and delay rate, s/s.
    delay_flag : ndarray of int, shape (observation,)
        0 where the official solution used the delay; all 0 before there was one.
    scan_epoch : Epoch, shape (scan,)
        Epochs of the scans, UTC.
    ut1_minus_tai : ndarray, shape (scan,)
        A-priori UT1-TAI, s.
    polar_motion : ndarray, shape (scan, 2)
        A-priori x and y of the pole, rad.
    scan_row : ndarray of int, shape (scan, station)
        Row of each scan in the station's own tables; `ABSENT` where the
        station took no part.
    bands : dict of str to VgosBand
        Observed values, by band.
    files : tuple of str
        Files of this state of the analysis, relative to `directory`.
    """

    directory: Path
    name: str
    wrapper: str
    stations: tuple[str, ...]
    station_position: Floats
    axis_offset: Floats
    mount: tuple[str, ...]
    sources: tuple[str, ...]
    source_position: Floats
    epoch: Epoch
    station1: Integers
    station2: Integers
    source: Integers
    scan: Integers
    delay: Floats
    rate: Floats
    delay_flag: Integers
    scan_epoch: Epoch
    ut1_minus_tai: Floats
    polar_motion: Floats
    scan_row: Integers
    bands: dict[str, VgosBand]
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.delay)

    @property
    def station1_name(self) -> Names:
        """Names of station 1, shape (observation,)."""
        return np.array(self.stations)[self.station1]

    @property
    def station2_name(self) -> Names:
        """Names of station 2, shape (observation,)."""
        return np.array(self.stations)[self.station2]

    @property
    def source_name(self) -> Names:
        """Names of the sources, shape (observation,)."""
        return np.array(self.sources)[self.source]

    @cached_property
    def corrections(self) -> tuple[str, ...]:
        """Names that `correction` knows."""
        inside = [f for f in self.files if f.startswith("ObsCalTheo/")]
        return tuple(sorted(Path(f).stem for f in inside))

    def correction(self, name: str, variable: str | None = None) -> Floats:
        """Return a theoretical correction of each observation.

        Parameters
        ----------
        name : str
            Such as ``"Cal-EarthTide_kIERS2003"``: a file of ``ObsCalTheo``.
        variable : str, optional
            Which variable, where the file holds several.

        Returns
        -------
        ndarray, shape (observation, 2)
            Delay, s, and rate, s/s, in the files' sense: station 2 minus station 1.

        Raises
        ------
        MissingDataError
            Where the session has no such file.
        FormatError
            Where the variable has to be named, is absent or has another length.
        """
        if name not in self.corrections:
            raise MissingDataError(
                f"there is no correction {name!r}.",
                place=str(self.directory / "ObsCalTheo"),
                next_step=f"Use one of {', '.join(self.corrections)}.",
            )
        path = self.directory / "ObsCalTheo" / f"{name}.nc"
        return numbers(path, variable or only_variable(path), (len(self),))

    def station_table(self, station: str, name: str, variable: str | None = None) -> Floats:
        """Return a table of one station, a row for each of its scans.

        Parameters
        ----------
        station : str
            Name of the station.
        name : str
            File in the station's directory, such as ``"AzEl"`` or ``"Cal-AxisOffset"``.
        variable : str, optional
            Which variable, where the file holds several (``"ElTheo"``).

        Returns
        -------
        ndarray, shape (row, ...)
            Rows as `scan_row` counts them.

        Raises
        ------
        MissingDataError
            Where there is no such station or file.
        FormatError
            Where the variable has to be named, is absent or has another length.
        """
        if station not in self.stations or f"{station}/{name}.nc" not in self.files:
            known = [Path(f).stem for f in self.files if f.startswith(f"{station}/")]
            raise MissingDataError(
                f"there is no table {name!r} of a station {station!r}.",
                place=str(self.directory),
                next_step=f"Use one of {', '.join(known or self.stations)}.",
            )
        path = self.directory / station / f"{name}.nc"
        rows = np.count_nonzero(self.scan_row[:, self.stations.index(station)] != ABSENT)
        return numbers(path, variable or only_variable(path), (int(rows),))

    def at_observations(self, name: str, variable: str | None = None) -> Floats:
        """Return a per-station table at both stations of each observation.

        Parameters
        ----------
        name, variable : str
            As in `station_table`.

        Returns
        -------
        ndarray, shape (observation, 2, ...)
            Values of station 1 and station 2 as stored, signs included (those
            of ``Cal-AxisOffset`` count + as station 2 and - as station 1);
            NaN where a station has no such table.
        """
        result: Floats | None = None
        for k, station in enumerate(self.stations):
            if f"{station}/{name}.nc" not in self.files:
                continue
            table = self.station_table(station, name, variable)
            if result is None:
                result = np.full((len(self), 2, *table.shape[1:]), np.nan)
            for side, index in enumerate((self.station1, self.station2)):
                mine = np.flatnonzero(index == k)
                result[mine, side] = table[self.scan_row[self.scan[mine], k]]
        if result is None:
            raise MissingDataError(
                f"no station has a table {name!r}.",
                place=str(self.directory),
                next_step=f"Those of {self.stations[0]} are "
                f"{', '.join(Path(f).stem for f in self.files if f.startswith(self.stations[0]))}.",
            )
        return result


# -- a session ---------------------------------------------------------------


def read_vgosdb(directory: str | Path, *, wrapper: str | None = None) -> VgosSession:
    """Read a session.

    Parameters
    ----------
    directory : path
        That of ``Head.nc``.
    wrapper : str, optional
        File name of the wrapper; by default that of the highest version.

    Raises
    ------
    MissingDataError
        Where a file that is needed is absent.
    FormatError
        Where files contradict each other or are damaged.
    """
    root = Path(directory)
    head = root / "Head.nc"
    n_obs, n_scan = (int(read_variable(head, key)[0]) for key in ("NumObs", "NumScan"))
    chosen, files = _files(root, wrapper)
    find = _Finder(root, files)

    position_file = root / "Apriori/Station.nc"
    stations = _name_list(position_file, "AprioriStationList")
    antenna = root / "Apriori/Antenna.nc"
    order = _order(stations, _name_list(antenna, "AntennaStationList"), antenna)
    types = checked(antenna, "AntennaAxisType", (len(stations),))[order]
    source_file = root / "Apriori/Source.nc"
    sources = _name_list(source_file, "AprioriSourceList")
    baseline_file = root / "Observables/Baseline.nc"
    baseline = checked(baseline_file, "Baseline", (n_obs, 2))
    named = checked(root / "Observables/Source.nc", "Source", (n_obs,))
    scan = checked(root / "CrossReference/ObsCrossRef.nc", "Obs2Scan", (n_obs,)) - 1
    station1 = _order(baseline[:, 0].tolist(), stations, baseline_file)
    station2 = _order(baseline[:, 1].tolist(), stations, baseline_file)
    scan_row = _scan_rows(root, stations, n_scan)
    _check_presence(root, scan, scan_row, station1, station2)
    erp = find("Scan", "ERPApriori")
    edit = find.maybe("ObsEdit", "Edit")
    return VgosSession(
        directory=root,
        name=str(read_variable(head, "ExpName")),
        wrapper=chosen,
        stations=stations,
        station_position=numbers(position_file, "AprioriStationXYZ", (len(stations), 3)),
        axis_offset=numbers(antenna, "AntennaAxisOffset", (len(stations),))[order],
        mount=tuple(MOUNTS.get(int(t), f"type {int(t)}") for t in types),
        sources=sources,
        source_position=numbers(source_file, "AprioriSource2000RaDec", (len(sources), 2)),
        epoch=_epochs(root / "Observables/TimeUTC.nc", n_obs),
        station1=station1,
        station2=station2,
        source=_order(named.tolist(), sources, root / "Observables/Source.nc"),
        scan=scan,
        delay=numbers(find("ObsTheoretical", "DelayTheoretical"), "DelayTheoretical", (n_obs,)),
        rate=numbers(find("ObsTheoretical", "RateTheoretical"), "RateTheoretical", (n_obs,)),
        delay_flag=checked(edit, "DelayFlag", (n_obs,)) if edit else np.zeros(n_obs, np.int64),
        scan_epoch=_epochs(root / "Scan/TimeUTC.nc", n_scan),
        ut1_minus_tai=numbers(erp, "UT1", (n_scan,)),
        polar_motion=numbers(erp, "PolarMotion", (n_scan, 2)),
        scan_row=scan_row,
        bands=_bands(find, n_obs),
        files=files,
    )


def _files(root: Path, wrapper: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the wrapper and the files it names; without a wrapper, all there are."""
    found = {p.name: p for p in sorted(root.glob("*.wrp"))}
    if wrapper is None and not found:
        every = sorted(p.relative_to(root).as_posix() for p in root.glob("**/*.nc"))
        return "", tuple(every)
    if wrapper is not None and wrapper not in found:
        raise MissingDataError(
            f"there is no wrapper {wrapper!r}.",
            place=str(root),
            next_step=f"Wrappers there: {', '.join(found) or 'none'}.",
        )
    chosen = wrapper or max(found, key=_version)
    folder, files = "", []
    for line in found[chosen].read_text(encoding="latin-1").splitlines():
        words = line.split()
        if not words or words[0].startswith("!"):
            continue
        if words[0].lower() == "default_dir":
            folder = words[1] if len(words) > 1 else ""
        elif words[0].lower() in ("begin", "end"):
            folder = ""
        elif len(words) == 1 and words[0].endswith(".nc"):
            name = f"{folder}/{words[0]}" if folder else words[0]
            files.append(name)
    return chosen, tuple(f for f in files if (root / f).is_file())


def _version(name: str) -> tuple[int, str]:
    found = _WRAPPER_VERSION.search(name)
    return (int(found.group(1)) if found else -1, name)


class _Finder:
    """Finds the file of a kind among those of the wrapper: a name may carry qualifiers."""

    def __init__(self, root: Path, files: tuple[str, ...]) -> None:
        self.root, self.files = root, files

    def maybe(self, folder: str, stem: str, band: str = "") -> Path | None:
        for file in self.files:
            path = Path(file)
            words = path.stem.split("_")
            if path.parent.as_posix() == folder and words[0] == stem:
                own = next((w[1:] for w in words[1:] if w[0] == "b"), "")
                if own == band and "kEqWt" not in words:
                    return self.root / path
        return None

    def __call__(self, folder: str, stem: str, band: str = "") -> Path:
        found = self.maybe(folder, stem, band)
        if found is None:
            raise MissingDataError(
                f"names no file {folder}/{stem}{'_b' + band if band else ''}.nc that is there.",
                place=str(self.root),
                next_step="Use a session that has been through vgosDbCalc, complete.",
            )
        return found


def _name_list(path: Path, variable: str) -> tuple[str, ...]:
    return tuple(str(n) for n in np.atleast_1d(read_variable(path, variable)))


def _order(names: Sequence[str], known: Sequence[str], place: Path) -> Integers:
    """Return the index of each name among those known."""
    index = {name: k for k, name in enumerate(known)}
    try:
        return np.array([index[n] for n in names], dtype=np.int64)
    except KeyError as problem:
        raise FormatError(
            f"{problem.args[0]!r} is in one list of names and not in the other.",
            place=str(place),
            next_step=f"Known are {', '.join(known)}.",
        ) from None


@cache
def _month_start(year: int, month: int) -> int:
    jd1, jd2 = erfa.cal2jd(year, month, 1)
    return round(float(jd1 - MJD_ZERO_JD + jd2))


def _epochs(path: Path, count: int) -> Epoch:
    date = checked(path, "YMDHM", (count, 5))
    second = numbers(path, "Second", (count,))
    year, month, day, hour, minute = date.T
    # two digits in the files of observations, four in those of scans
    year = year + np.where(year < 70, 2000, np.where(year < 100, 1900, 0))
    starts = np.array(
        [_month_start(y, m) for y, m in zip(year.tolist(), month.tolist(), strict=True)],
        dtype=np.int64,
    )
    return Epoch("utc", starts + day - 1, 3600.0 * hour + 60.0 * minute + second)


def _scan_rows(root: Path, stations: tuple[str, ...], n_scan: int) -> Integers:
    path = root / "CrossReference/StationCrossRef.nc"
    table = checked(path, "Scan2Station", (n_scan, len(stations)))
    columns = _order(stations, _name_list(path, "CrossRefStationList"), path)
    # 0 in the file means that the station took no part: ABSENT after the shift
    return np.asarray(table[:, columns] - 1, dtype=np.int64)


def _check_presence(
    root: Path, scan: Integers, scan_row: Integers, station1: Integers, station2: Integers
) -> None:
    """Refuse observations whose scan, or whose stations' rows in it, do not exist."""
    wrong = (scan < 0) | (scan >= len(scan_row))
    if not np.any(wrong):
        wrong = np.minimum(scan_row[scan, station1], scan_row[scan, station2]) < 0
    if np.any(wrong):
        raise FormatError(
            f"{np.count_nonzero(wrong)} observations, the first of them number "
            f"{int(np.argmax(wrong)) + 1}, belong to no scan in which both stations took part.",
            place=str(root / "CrossReference"),
            next_step="Obs2Scan and Scan2Station contradict each other: fetch the session again.",
        )


def _bands(find: _Finder, n: int) -> dict[str, VgosBand]:
    names = []
    for file in find.files:
        found = re.fullmatch(r"Observables/GroupDelay_b(\w+)\.nc", file)
        if found:
            names.append(found.group(1))
    return {name: _band(find, name, n) for name in sorted(names)}


def _band(find: _Finder, name: str, n: int) -> VgosBand:
    group = find("Observables", "GroupDelay", name)
    rate = find.maybe("Observables", "GroupRate", name)
    full = find.maybe("ObsEdit", "GroupDelayFull", name)
    quality = find.maybe("Observables", "QualityCode", name)
    iono = find.maybe("ObsDerived", "Cal-SlantPathIonoGroup", name)
    nothing = np.full(n, np.nan)
    reference = find("Observables", "RefFreq", name)
    return VgosBand(
        name=name,
        delay=numbers(group, "GroupDelay", (n,)),
        sigma=numbers(group, "GroupDelaySig", (n,)),
        rate=numbers(rate, "GroupRate", (n,)) if rate else nothing,
        rate_sigma=numbers(rate, "GroupRateSig", (n,)) if rate else nothing,
        reference_frequency=numbers(reference, "RefFreq", (n,)) * _MEGAHERTZ,
        ambiguity=numbers(find("Observables", "AmbigSize", name), "AmbigSize", (n,)),
        quality=checked(quality, "QualityCode", (n,)) if quality else np.full(n, ""),
        full_delay=numbers(full, "GroupDelayFull", (n,)) if full else None,
        ionosphere=numbers(iono, "Cal-SlantPathIonoGroup", (n, 2))[:, 0] if iono else None,
        ionosphere_sigma=numbers(iono, "Cal-SlantPathIonoGroupSigma", (n, 2))[:, 0]
        if iono
        else None,
    )
