"""Reads Fdets: frequencies of a carrier, detected by PRIDE's spacecraft tracking software.

A text file of one station: after comment lines, columns of MJD, second of the
day (UTC, middle of the count), signal-to-noise ratio, spectral maximum,
frequency above a base frequency (Hz) and residual noise (Hz). The base
frequency in the header may be zero or wrong: whoever reads has to know it.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError, FormatWarning, MissingDataError
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.time import DAY, Epoch
from kitestring.observables.types import Observables

Floats = NDArray[np.float64]

COLUMNS = 6
# what stands there in place of a number states nothing
_BASE = re.compile(r"[Bb]ase frequency:\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*MHz", re.A)
_FIRST_DAY, _LAST_DAY = 41317, 88069  # MJD of 1972, when leap seconds began, and 2100
_DIFFERENT = 1.0  # Hz; headers are written to 10 kHz


def read_fdets(
    path: Path | str,
    *,
    station: str,
    spacecraft: str,
    transmitter: str,
    turnaround: float,
    base_frequency: float,
    uplink_band: str = "X",
    downlink_band: str = "X",
    count: float = 10.0,
    sigma: float | None = None,
) -> Observables:
    """Read the carrier frequencies that one station detected.

    Parameters
    ----------
    path : Path or str
        The file.
    station, spacecraft, transmitter : str
        Who received, turned round and sent: three-way, or two-way where the
        station itself sent.
    turnaround : float
        Received over transmitted frequency at the spacecraft.
    base_frequency : float
        Sky frequency that column 5 counts from, Hz. It wins over the header.
    uplink_band, downlink_band : str
        Bands.
    count : float
        Interval that a frequency is the mean of, s.
    sigma : float, optional
        Standard deviation of every row, Hz; unknown (NaN) unless given.

    Returns
    -------
    Observables
        Doppler: sky frequencies in Hz, tagged in UTC at the middle of the count.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where the file is not of this kind; it names file and line.
    """
    where = Path(path)
    try:
        lines = where.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise MissingDataError(
            f"the file cannot be read: {error.strerror}.",
            place=str(where),
            next_step="Check the path.",
        ) from None
    table = _table(where, lines)
    for number, line in enumerate(lines, 1):
        found = _BASE.search(line) if line.startswith("#") else None
        stated = float(found[1]) * 1e6 if found else 0.0
        if stated and abs(stated - base_frequency) > _DIFFERENT:
            warnings.warn(
                FormatWarning(
                    f"{where}:{number}: the header states a base frequency of {stated:.0f} Hz; "
                    f"{base_frequency:.0f} Hz is used, as asked for."
                ),
                stacklevel=2,
            )
    n = len(table)
    return Observables(
        kind=Kind.DOPPLER,
        path=SignalPath(
            (transmitter, spacecraft, station), "", turnaround, uplink_band, downlink_band
        ),
        epoch=Epoch("utc", np.round(table[:, 0]).astype(np.int64), table[:, 1]),
        value=base_frequency + table[:, 4],
        sigma=np.full(n, np.nan if sigma is None else sigma),
        count=np.full(n, count),
        epoch_reference="middle",
        origin=str(where),
    )


def _table(path: Path, lines: list[str]) -> Floats:
    """Return the columns, shape (n, 6), checked."""
    rows = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            row = [float(part) for part in text.split()]
        except ValueError:
            row = []
        if len(row) != COLUMNS or not np.all(np.isfinite(row)):
            raise FormatError(
                f"{text[:60]!r} is not a row of {COLUMNS} numbers.",
                place=f"{path}:{number}",
                next_step="Give an Fdets file: MJD, second of day, SNR, maximum, frequency, noise.",
            )
        if not _FIRST_DAY <= row[0] < _LAST_DAY:
            raise FormatError(
                f"MJD {row[0]:g} lies outside {_FIRST_DAY} to {_LAST_DAY} (1972 to 2100).",
                place=f"{path}:{number}",
                next_step="Column 1 is a whole MJD such as 58998.",
            )
        if row[0] % 1.0 or not 0.0 <= row[1] < DAY:
            raise FormatError(
                f"MJD {row[0]} and second {row[1]} are not a day and a second of it.",
                place=f"{path}:{number}",
                next_step="Column 1 is a whole MJD, column 2 the second of that day in UTC.",
            )
        rows.append(row)
    if not rows:
        raise FormatError(
            "the file holds no rows.", place=str(path), next_step="Give an Fdets file."
        )
    return np.array(rows)
