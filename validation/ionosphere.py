"""Compare dual-band ionosphere corrections with those of an IVS session's vgosDB files.

    python validation/ionosphere.py VGOSDB_DIR

The files hold what the analysts' program took for the group delay of the
ionosphere at X band, station 2 less 1, from the group delays and effective
frequencies of both bands, which they hold too. The same arithmetic has to give the
same figures: delays of 10 ms are doubles good to 2e-18 s, and the limit is 1e-6 ps.
What of these corrections the climatology foresees stands beside it, about a
constant for each station (instruments delay S and X band differently), and is held
to nothing: its coefficients are those of another year.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _lines import Line, report, run
from numpy.typing import NDArray

from kitestring.errors import MissingDataError
from kitestring.formats.vgosdb import VgosSession, read_variable, read_vgosdb
from kitestring.model.earth import EarthModel
from kitestring.model.ionosphere import Ionosphere, dual_band_delay
from kitestring.model.sight import Sight
from kitestring.model.stations import get_station

Floats = NDArray[np.float64]

PICOSECOND = 1e-12
SAME = 1e-6  # ps


def effective_frequency(session: VgosSession, band: str) -> Floats:
    """Return at which frequency the ionosphere delays a group as in a band, Hz."""
    file = session.directory / f"ObsDerived/EffFreq_b{band}.nc"
    return 1e6 * read_variable(file, "FreqGroupIono")


def difference(session: VgosSession) -> Floats:
    """Return the files' corrections less ours, s."""
    x, s = session.bands["X"], session.bands["S"]
    if x.full_delay is None or s.full_delay is None or x.ionosphere is None:
        raise MissingDataError("has no ionosphere corrections.", place=str(session.directory))
    frequencies = (effective_frequency(session, band) for band in "XS")
    return x.ionosphere - dual_band_delay(x.full_delay, s.full_delay, *frequencies).ionosphere


def foreseen(session: VgosSession) -> tuple[Floats, Floats]:
    """Return the climatology's corrections, station 2 less 1, and their sigma, s."""
    earth, air = EarthModel(displacements=()), Ionosphere()
    ra, dec = session.source_position[session.source].T
    direction = np.stack([np.cos(ra) * np.cos(dec), np.sin(ra) * np.cos(dec), np.sin(dec)], axis=-1)
    frequency = effective_frequency(session, "X")
    total, variance = np.zeros(len(ra)), np.zeros(len(ra))
    for index, name in enumerate(session.stations):
        for sign, end in ((-1.0, session.station1), (1.0, session.station2)):
            rows = np.flatnonzero(end == index)
            if len(rows):
                station = get_station(name)
                state = earth.station_state(station, session.epoch[rows])
                sight = Sight(station, state, direction[rows], frequency=frequency[rows])
                total[rows] += sign * air.delay(sight)
                variance[rows] += air.sigma(sight) ** 2
    return total, np.sqrt(variance)


def about_constants(session: VgosSession, values: Floats, rows: NDArray[np.int64]) -> Floats:
    """Return values of some rows less the constant of each station that fits them best."""
    design = np.zeros((len(rows), len(session.stations)))
    design[np.arange(len(rows)), session.station1[rows]] = -1.0
    design[np.arange(len(rows)), session.station2[rows]] = 1.0
    found = np.linalg.lstsq(design, values[rows], rcond=None)[0]
    return np.asarray(values[rows] - design @ found)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("session", type=Path, help="directory of a vgosDB session")
    session = read_vgosdb(parser.parse_args(arguments).session)
    off = np.abs(difference(session)).max() / PICOSECOND
    theirs = session.bands["X"].ionosphere
    assert theirs is not None  # difference() has seen it
    ours, sigma = foreseen(session)
    used = np.flatnonzero(session.delay_flag == 0)
    seen = about_constants(session, theirs, used)
    left = about_constants(session, theirs - ours, used)
    rms = [float(np.sqrt(np.mean(x**2))) for x in (seen, left, left / sigma[used])]
    print(
        f"# {len(theirs)} corrections of {session.name}, {len(used)} of them used by its solution"
    )
    return report(
        [
            Line("correction less the file's, largest", off, "ps", SAME),
            Line("the file's corrections, rms", rms[0] / PICOSECOND, "ps"),
            Line("the same less a climatology, rms", rms[1] / PICOSECOND, "ps"),
            Line("the same over the climatology's sigma, rms", rms[2]),
        ]
    )


if __name__ == "__main__":
    run(main)
