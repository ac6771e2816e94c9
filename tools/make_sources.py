"""Write the package's source catalogue.

Usage: python tools/make_sources.py CATALOGS src/kitestring/data/sources.csv.gz

CATALOGS holds ``icrf3sx.txt`` (IERS) and ``sources_allfreq_2024a.icrf3.gz``
(SCHED's catalogue with fluxes of the RFC). Digits are kept as they stand.
Columns: IERS designation, ICRF designation without ``ICRF J``, D where
defining, right ascension (s of time), declination (arcsecond), their sigmas
(s of time, arcsecond), correlation, X-band flux total and unresolved (Jy),
further names.
"""

import gzip
import re
import sys
from decimal import Decimal
from pathlib import Path


def sexagesimal(hours: str, minutes: str, seconds: str) -> str:
    """Return seconds of time or arc, exact, with the sign of the first number."""
    sign = "-" if hours.startswith("-") else ""
    total = 3600 * Decimal(hours.lstrip("+-")) + 60 * Decimal(minutes) + Decimal(seconds)
    return f"{sign}{total}"


def read_icrf(path: Path) -> list[list[str]]:
    """Return the columns above, as far as ICRF3 has them."""
    rows = []
    for line in path.read_text(encoding="ascii").splitlines():
        if not re.match(r"ICRF J\d{6}\.\d[+-]\d{6}\s+\d", line):
            continue
        words = line.split()
        defining = words.pop(3) if words[3] == "D" else ""
        ra, dec = sexagesimal(*words[3:6]), sexagesimal(*words[6:9])
        rows.append([words[2], words[1][1:], defining, ra, dec, *words[9:12]])
    return rows


def read_fluxes(path: Path) -> dict[str, tuple[list[str], list[str]]]:
    """Return ([total, unresolved], names) at X band by ICRF designation."""
    found = {}
    for block in gzip.decompress(path.read_bytes()).decode("ascii").split("\n/"):
        names = re.search(r"^SOURCE=(.*)$", block, re.MULTILINE)
        if not names:
            continue
        labels = re.findall(r"'([^']*)'", names[1])
        flux = re.search(r"^FLUX=\s*([-\d., ]*)", block, re.MULTILINE)
        numbers = [x.strip() for x in flux[1].split(",") if x.strip()] if flux else []
        triplets = [numbers[k : k + 3] for k in range(0, len(numbers) - 2, 3)]
        x_band = next((t[1:] for t in triplets if 8.0 <= float(t[0]) <= 9.0), [])
        x_band = [x if float(x) > 0.0 else "" for x in x_band] or ["", ""]
        designation = next(n for n in labels if re.fullmatch(r"J\d{6}\.\d[+-]\d{6}", n))
        found[designation[1:]] = (x_band, [n for n in labels if n != designation])
    return found


def compress(catalogs: Path) -> bytes:
    """Return the file."""
    fluxes = read_fluxes(catalogs / "sources_allfreq_2024a.icrf3.gz")
    lines = ["# Sources of Kitestring, written by tools/make_sources.py (columns are told there)."]
    for row in read_icrf(catalogs / "icrf3sx.txt"):
        flux, names = fluxes.get(row[1], (["", ""], []))
        short = f"J{row[1][:4]}{row[1][8:13]}"
        extra = [n for n in names if n not in (row[0], short)]
        lines.append(",".join([*row, *flux, *extra]))
    return gzip.compress(("\n".join(lines) + "\n").encode("ascii"), 9, mtime=0)


def main() -> None:
    Path(sys.argv[2]).write_bytes(compress(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
