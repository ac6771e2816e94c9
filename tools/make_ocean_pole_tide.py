"""Write the package's coefficients of the ocean pole tide's load.

Usage: python tools/make_ocean_pole_tide.py opoleloadcoefcmcor.txt.gz \
           src/kitestring/data/ocean_pole_tide.npz

The text is that of the IERS Conventions (chapter 7, S. Desai, 2006-03-28, with
the correction of the centre of mass); the package pyTMD 2.0 holds a copy. All of
its points are kept, rounded to 1e-4: half of that, times the 13 mm of half an
arcsecond of polar motion, is 0.7 micrometres.
"""

import gzip
import sys
from pathlib import Path

import numpy as np

UNIT = 1e-4
ROWS, COLUMNS = 360, 720
HEADER = 14  # lines


def read(path: Path) -> np.ndarray:
    """Return the coefficients, shape (6, latitude, longitude), south and Greenwich first."""
    with gzip.open(path, "rt", encoding="ascii") as file:
        rows = np.loadtxt(file, skiprows=HEADER)
    longitude, latitude = np.meshgrid(0.25 + 0.5 * np.arange(720), -89.75 + 0.5 * np.arange(360))
    if rows.shape != (ROWS * COLUMNS, 8) or not (
        np.array_equal(rows[:, 0], longitude.ravel())
        and np.array_equal(rows[:, 1], latitude.ravel())
    ):
        sys.exit(f"{path} is not the grid of half a degree that is expected.")
    return np.moveaxis(rows[:, 2:].reshape(ROWS, COLUMNS, 6), -1, 0)


def pack(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is stored: differences along longitude, their bytes apart."""
    whole = np.rint(values / UNIT).astype(np.int16)
    difference = np.diff(whole, axis=-1, prepend=np.int16(0))
    return {
        "high": (difference >> 8).astype(np.int8),
        "low": (difference & 0xFF).astype(np.uint8),
        "unit": np.float64(UNIT),
    }


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    np.savez_compressed(target, **pack(read(source)))


if __name__ == "__main__":
    main()
