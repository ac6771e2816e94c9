"""Write the package's station catalogue.

Usage: python tools/make_stations.py CATALOGS src/kitestring/data/stations.toml

CATALOGS holds ``locations.gsfc2019d.dat`` (positions, velocities and axis
offsets), ``stations.dat`` (mounts and limits; both in the format of SCHED) and
``dsn_sites.csv`` (vectors between the antennas of a DSN complex). What they
lack stands below with its origin; the antennas' dimensions are in
``antenna_structures.csv`` beside this program.
"""

import csv
import re
import sys
from functools import cache
from pathlib import Path

import erfa
import numpy as np

JULIAN_YEAR = 365.25
GSFC_EPOCH = "2020-01-01"
GSFC = "GSFC VLBI solution 2019d (SCHED locations.gsfc2019d.dat)"
SCHED = "SCHED stations.dat"
ANTENNA_CAT = "IVS antenna.cat of 2021-10-19 (nvi-inc/sked_catalogs)"
STRUCTURES = Path(__file__).with_name("antenna_structures.csv")

# name in GSFC 2019d: code, other names
GEODETIC = {
    "AGGO": ("Ag",),
    "AIRA": ("Ai",),
    "ALGOPARK": ("Ap", "ALGONQUIN"),
    "BADARY": ("Bd",),
    "BR-VLBA": ("Br", "VLBA_BR", "BREWSTER"),
    "CRIMEA": ("Sm", "SIMEIZ"),
    "EFLSBERG": ("Ef", "Eb", "EFFELSBERG"),
    "FD-VLBA": ("Fd", "VLBA_FD", "FORT DAVIS"),
    "FORTLEZA": ("Ft", "FORTALEZA"),
    "GBT-VLBA": ("Gb", "GBT"),
    "HART15M": ("Ht",),
    "HARTRAO": ("Hh", "HART", "HARTEBEESTHOEK"),
    "HAYSTACK": ("Hs",),
    "HN-VLBA": ("Hn", "VLBA_HN", "HANCOCK"),
    "HOBART12": ("Hb",),
    "HOBART26": ("Ho", "HOBART"),
    "IRBENE": ("Ir", "IRBENE32"),
    "ISHIOKA": ("Is",),
    "KATH12M": ("Ke", "KATHERINE"),
    "KOKEE": ("Kk",),
    "KP-VLBA": ("Kp", "VLBA_KP", "KITT PEAK"),
    "KUNMING": ("Km",),
    "LA-VLBA": ("La", "VLBA_LA", "LOS ALAMOS"),
    "MATERA": ("Ma",),
    "MEDICINA": ("Mc",),
    "METSAHOV": ("Mh", "METSAHOVI"),
    "MK-VLBA": ("Mk", "VLBA_MK", "MAUNA KEA"),
    "NL-VLBA": ("Nl", "VLBA_NL", "NORTH LIBERTY"),
    "NOTO": ("Nt",),
    "NYALE13S": ("Ns",),
    "NYALES20": ("Ny", "NY ALESUND"),
    "OHIGGINS": ("Oh",),
    "ONSALA60": ("On", "O6", "ONSALA20"),
    "OV-VLBA": ("Ov", "VLBA_OV", "OWENS VALLEY"),
    "PARKES": ("Pa",),
    "PIETOWN": ("Pt", "VLBA_PT", "PIE TOWN"),
    "RAEGSMAR": ("Sa",),
    "RAEGYEB": ("Yj",),
    "SC-VLBA": ("Sc", "VLBA_SC", "SAINT CROIX"),
    "SEJONG": ("Kv",),
    "SESHAN25": ("Sh", "SESHAN", "SHESHAN", "SHANGHAI"),
    "SVETLOE": ("Sv",),
    "SYOWA": ("Sy",),
    "TIANMA65": ("T6", "TIANMA", "TM65"),
    "URUMQI": ("Ur", "NANSHAN", "XINJIANG"),
    "VERAIRIK": ("Vr",),
    "VERAISGK": ("Vs",),
    "VERAMZSW": ("Vm",),
    "VERAOGSW": ("Vo",),
    "WARK12M": ("Ww", "WARKWORTH"),
    "WARK30M": ("Wa",),
    "WESTFORD": ("Wf",),
    "WETTZ13N": ("Wn",),
    "WETTZELL": ("Wz",),
    "YARRA12M": ("Yg",),
    "YEBES40M": ("Ys", "YEBES"),
    "ZELENCHK": ("Zc", "ZELENCHUKSKAYA"),
}

# Positions from one X-band session, or of unstated precision: m
POORER = {"IRBENE": 0.05, "WARK30M": 0.05, "GBT-VLBA": 0.05, "METSAHOV": 0.02, "NYALE13S": 0.03}

# Those that SCHED has not, from ANTENNA_CAT: slew rates (deg/min), limits of azimuth and elevation
SKED = {
    "AGGO": ((360.0, 180.0), (-24.2, 476.5), (0.0, 90.0)),
    "AIRA": ((180.0, 180.0), (20.0, 700.0), (5.0, 88.0)),
    "CRIMEA": ((54.0, 36.0), (339.0, 740.0), (3.0, 85.0)),
    "GGAO12M": ((293.0, 70.0), (180.0, 720.0), (6.5, 88.0)),
    "ISHIOKA": ((720.0, 360.0), (-70.0, 430.0), (5.0, 89.0)),
    "KOKEE12M": ((720.0, 360.0), (182.5, 722.3), (1.1, 88.2)),
    "RAEGSMAR": ((720.0, 360.0), (300.0, 780.0), (5.0, 89.0)),
    "SEJONG": ((300.0, 210.0), (10.0, 710.0), (5.0, 89.0)),
    "SYOWA": ((360.0, 360.0), (90.0, 630.0), (0.0, 90.0)),
}

# Names in antenna_structures.csv; its notes say that the DSN's 34 m beam waveguides are all alike
STRUCTURE_OF = {
    "DSS-13": "DSS13",
    "DSS-15": "DSS15",
    "DSS-24": "DSS26",
    "DSS-25": "DSS26",
    "DSS-26": "DSS26",
    "DSS-34": "DSS34",
    "DSS-35": "DSS34",
    "DSS-36": "DSS36",
    "DSS-45": "DSS45",
    "DSS-53": "DSS56",
    "DSS-54": "DSS56",
    "DSS-55": "DSS56",
    "DSS-56": "DSS56",
    "DSS-65": "DSS65A",
}

COMPLEXES = {  # DSN: those that GSFC 2019d has, and their name there
    "1": {"DSS-13": "DSS13", "DSS-15": "DSS15"},
    "2": {"DSS-13": "DSS13", "DSS-15": "DSS15"},
    "3": {"DSS-34": "DSS34", "DSS-36": "DSS36", "DSS-45": "DSS45"},
    "4": {"DSS-34": "DSS34", "DSS-36": "DSS36", "DSS-45": "DSS45"},
    "5": {"DSS-65": "DSS65A"},
    "6": {"DSS-65": "DSS65A"},
}
DSN_ALIASES = {"DSS-65": ("DSS65A",)}
DSN_MOUNT = {"DSS-43": "TIDBIN64", "DSS-65": "DSS65A"}  # names in SCHED
DSN_SLEW = (48.0, 48.0)  # deg/min, of every 34 m antenna that SCHED has
DSN_TIE_SIGMA = 0.05  # m; from another list of the DSN (ITRF2005) they differ by 2 to 6 cm

EXTRAS_FILE = "SCHED locations_extras.dat (jive-vlbi/sched)"
# name: codes, position (m), velocity (m/yr), epoch, frame, axis offset, sigma, SCHED name, origin
OTHERS = {
    "JB_MK2": (
        ("Jb", "Jb2", "JODRELL2", "JB_Mk_2"),
        (3822846.76, -153802.28, 5086285.90),
        (-0.0117, 0.01704, 0.00931),
        "1997-01-01",
        "ITRF2000",
        0.458,
        0.05,
        "JB_Mk_2",
        f"{EXTRAS_FILE}: ITRF2000 from TP001, P. Charlot. Jb at X band is this antenna.",
    ),
    "JODRELL1": (
        ("Jb1", "LOVELL", "JODLMKI"),
        (3822626.04, -154105.65, 5086486.04),
        (-0.0117, 0.01704, 0.00931),
        "1997-01-01",
        "ITRF2000",
        0.0,
        0.1,
        "JODLMKI",
        f"{EXTRAS_FILE}: TP001 with a local tie, S. Garrington. No X band.",
    ),
    "TORUN": (
        ("Tr",),
        (3638558.51, 1221969.72, 5077036.76),
        (-0.01601, 0.01645, 0.00752),
        "1997-01-01",
        "ITRF2000",
        0.0,
        0.05,
        "TORUN",
        f"{EXTRAS_FILE}: ITRF2000 from TP001, P. Charlot",
    ),
    "WB_RT1": (
        ("Wb", "WSTRBORK", "WESTERBORK"),
        (3828750.6969, 442589.2176, 5064921.57),
        (-0.01353, 0.01704, 0.00873),
        "1997-01-01",
        "ITRF2000",
        4.95,
        0.1,
        "WB_RT1",
        f"{EXTRAS_FILE}: telescope RT1, from the TP001 position of RT7 and the array's grid",
    ),
    "SARDINIA": (
        ("Sr", "SRT"),
        (4865183.542, 791922.255, 4035136.024),
        (-0.01215, 0.01929, 0.01086),
        "2000-01-01",
        "ITRF2008",
        0.031,
        0.05,
        "SARDINIA",
        f"{EXTRAS_FILE}: L. Petrov, session EL054",
    ),
}
# approximate ones: as above
APPROXIMATE = {
    "MIYUN50": (
        ("My", "MIYUN", "BEIJING"),
        (-2201304.588, 4324789.216, 4125367.913),
        (-0.0444, 0.0141, -0.0013),
        "1997-01-01",
        "ITRF2000",
        0.004,
        1.0,
        "MIYUN50",
        f"{EXTRAS_FILE}: Zhu Xinying 2009. Its velocity differs from that of Beijing's GNSS "
        "stations by 2 cm a year: half a metre by 2020.",
    ),
    "GGAO12M": (
        ("Gs", "GGAO"),
        (1130729.877, -4831245.972, 3994228.300),
        "WESTFORD",
        "2021-01-01",
        "ITRF2014",
        0.0018,
        0.1,
        None,
        "VGOS schedule (2020s); its epoch was inferred from HOBART12 and KATH12M in the same "
        "list; velocity of WESTFORD, on the same plate; axis offset surveyed (glo.axis)",
    ),
    "KOKEE12M": (
        ("K2",),
        (-5543831.745, -2054585.590, 2387828.974),
        "KOKEE",
        "2021-01-01",
        "ITRF2014",
        0.0020,
        0.3,
        None,
        "VGOS schedule (2020s); its epoch was inferred from HOBART12 and KATH12M in the same "
        "list; velocity of KOKEE; axis offset surveyed (glo.axis); other lists differ by 0.4 m",
    ),
}
# longitude, latitude (deg), height (m), sigma (m)
BY_PLACE = {
    "SHIGATSE": (
        ("XIGAZE", "RIKAZE", "SHIGATSE40"),
        (88.88, 29.27, 4100.0),
        3.0e4,
        "no published coordinates found: the city of Shigatse, height 4100 m as announced in "
        "2023. Replace it before any use but planning.",
    ),
    "CHANGBAI": (
        ("CHANGBAISHAN", "CHANGBAI40"),
        (128.1, 42.4, 750.0),
        3.0e4,
        "no published coordinates found: Erdaobaihe at the foot of Changbai Mountain. Replace "
        "it before any use but planning.",
    ),
    "NEWNORCIA": (
        ("DSS-74", "DSA-1", "NEW NORCIA", "NNO"),
        (116.1914678, -31.0482254, 252.0),
        50.0,
        "ESTRACK 35 m, New Norcia; an angle kernel of ESA's stations (ESAC 2011) agrees to 30 m.",
    ),
    "CEBREROS": (
        ("DSS-83", "DSA-2", "CEB"),
        (-4.367, 40.453, 790.0),
        100.0,
        "ESTRACK 35 m, Cebreros; angle kernel of ESA's stations (ESAC 2011), to 0.001 degrees; "
        "height of the area.",
    ),
    "MALARGUE": (
        ("DSS-84", "DSA-3", "MLG"),
        (-69.3981934, -35.7760086, 1550.0),
        50.0,
        "ESTRACK 35 m, Malargue; an angle kernel of ESA's stations (ESAC 2011) agrees to 10 m.",
    ),
    "DWINGELO": (
        ("Dw", "DWINGELOO", "CAMRAS"),
        (6.3963051768586, 52.8121435723961, 66.0),
        30.0,
        "25 m telescope of CAMRAS; a SPICE kernel of lunar radar work between Dwingeloo and "
        "Stockert, with 25 m above the sea and 41 m of the geoid.",
    ),
    "BOCHUM": (
        ("AMSAT-DL", "BOCHUM20"),
        (7.193, 51.427, 205.0),
        1.0e3,
        "20 m antenna of AMSAT-DL in the radome of the observatory; no surveyed coordinates "
        "found: the district of Sundern, hill of 163 m with 46 m of the geoid. Azimuth and "
        "elevation range: amsat-dl.org.",
    ),
    "ATA": (
        ("HCRO", "ALLEN TELESCOPE ARRAY", "HAT CREEK"),
        (-121.4695413, 40.8178049, 986.0),
        300.0,
        "Allen Telescope Array, Hat Creek, middle of the array as its scheduling software has "
        "it; name the antenna's own place before any use but planning.",
    ),
}
# what is known of their mounts: name in SCHED, or limits of azimuth and elevation
PLACED_MOUNTS = {"DWINGELO": "DWINGELO", "BOCHUM": ((-360.0, 360.0), (0.0, 95.0))}
MOUNTS = {"ALTAZ": "azel", "EQUAT": "equatorial", "XYNS": "xyns", "XYEW": "xyew"}
DEFAULT_LIMIT = 5.0  # degrees, where no catalogue states any


def blocks(path: Path) -> list[str]:
    """Return the entries of a SCHED catalogue, without comments."""
    text = path.read_text(encoding="latin-1")
    text = "\n".join(line.split("!")[0] for line in text.splitlines())
    return [b for b in re.split(r"\n\s*/", text) if b.strip()]


def value(block: str, key: str) -> str | None:
    """Return what stands after ``KEY =``: a word, a quoted text or a list of numbers."""
    found = re.search(rf"\b{key}\s*=\s*('[^']*'|[^\s,]+(?:\s*,\s*[-+\d.]+)*)", block)
    return found[1].strip("'").strip() if found else None


def read_locations(path: Path) -> dict[str, dict]:
    """Return position, velocity, epoch, axis offset by name; the last interval of each."""
    sites = {}
    for block in blocks(path):
        name = value(block, "DBNAME")
        if name is None:
            continue
        number = lambda key, block=block: float(value(block, key))  # noqa: E731
        jd = 2400000.5 + number("EPOCH")
        year, month, day, fraction = erfa.jd2cal(jd, 0.0)
        assert abs(fraction) < 1e-6
        sites[name] = {
            "position": np.array([number(k) for k in "XYZ"]),
            "velocity": np.array([number(k) for k in ("DXDT", "DYDT", "DZDT")]),
            "epoch": f"{year:04d}-{month:02d}-{day:02d}",
            "mjd": number("EPOCH"),
            "axis_offset": number("AXISOFF"),
            "frame": value(block, "FRAME"),
        }
    return sites


def read_mounts(path: Path) -> dict[str, dict]:
    """Return mount and limits (degrees) by DBNAME; the first entry of each."""
    mounts: dict[str, dict] = {}
    for block in blocks(path):
        name = value(block, "DBNAME") or value(block, "STATION")
        if name is None or value(block, "MOUNT") is None or name in mounts:
            continue
        limits = []
        for key in ("AX1LIM", "AX2LIM"):
            text = value(block, key)
            numbers = [float(x) for x in text.split(",")] if text else []
            # stations with several regions are left without limits
            limits.append(numbers if len(numbers) == 2 else None)
        mount = MOUNTS[value(block, "MOUNT")]
        if mount == "equatorial" and limits[0]:  # SCHED has hours there
            limits[0] = [15.0 * x for x in limits[0]]
        lowest = [limits[1][0]] if mount == "azel" and limits[1] else []
        zenith = value(block, "ZALIM")
        if zenith:
            lowest.append(90.0 - float(zenith))
        rates = [value(block, key) for key in ("AX1RATE", "AX2RATE")]
        mounts[name] = {
            "mount": mount,
            "slew": [float(x) for x in rates] if all(rates) else None,
            "axis1": limits[0],
            "axis2": limits[1],
            "lowest": max(lowest) if lowest else None,
        }
    return mounts


def entry(name: str, names: tuple[str, ...], mount: dict | None, **rest: object) -> dict:
    """Make one table of the file."""
    code = names[0] if names and len(names[0]) == 2 else ""
    table = {
        "name": name,
        "code": code,
        "aliases": list(names[1:] if code else names),
        **rest,
    }
    origin = str(table.pop("origin"))
    if mount:
        table["mount"] = mount["mount"]
        if mount["axis2"] or mount["lowest"] is None:
            source = ANTENNA_CAT if name in SKED else SCHED
            if name not in PLACED_MOUNTS or isinstance(PLACED_MOUNTS[name], str):
                origin += f"; mount, limits and slew rates: {source}"
        if mount["axis1"]:
            table["axis1_limits_deg"] = mount["axis1"]
        if mount["axis2"]:
            table["axis2_limits_deg"] = mount["axis2"]
    else:
        table["mount"] = "azel"
        origin += "; limits assumed"
    lowest = mount["lowest"] if mount else None
    table["elevation_limit_deg"] = DEFAULT_LIMIT if lowest is None else round(lowest, 3)
    if mount and mount["slew"]:
        table["slew_deg_per_s"] = [rate / 60.0 for rate in mount["slew"]]
    structure = read_structures().get(STRUCTURE_OF.get(name, name))
    if structure:
        origin += "; structure: IVS antenna-info.txt of 2024-08-31"
        if STRUCTURE_OF.get(name, name) not in (name, name.replace("-", ""), "DSS65A"):
            origin += f", as {STRUCTURE_OF[name]}"
        table["structure"] = structure
    table["origin"] = origin
    return table


def of_sked(name: str) -> dict:
    """Return a mount as `read_mounts` does, of ANTENNA_CAT."""
    slew, azimuth, elevation = SKED[name]
    return limited(azimuth, elevation, list(slew))


def limited(azimuth: tuple, elevation: tuple, slew: list | None = None) -> dict:
    """Return a mount in azimuth and elevation as `read_mounts` does."""
    return {
        "mount": "azel",
        "slew": slew,
        "axis1": list(azimuth),
        "axis2": list(elevation),
        "lowest": elevation[0],
    }


@cache
def read_structures() -> dict[str, dict]:
    """Return the tables [station.structure] by name in ``antenna_structures.csv``."""
    lines = [x for x in STRUCTURES.read_text().splitlines() if not x.startswith("#")]
    found = {}
    for row in csv.DictReader(lines):
        table: dict[str, object] = {
            "reference_temperature_c": float(row["reference_temperature"]),
            "foundation_height_m": float(row["foundation"]),
            "fixed_axis_m": float(row["fixed_axis"]),
            "vertex_m": float(row["vertex"]),
            "focus_height_m": float(row["focus_height"]),
            "focus": row["focus"],
            "radome": row["radome"] == "yes",
        }
        for part, key in (
            ("foundation", "foundation"),
            ("fixed_axis", "fixed_axis"),
            ("offset", "axis_offset"),
            ("vertex", "vertex"),
            ("focus", "focus"),
        ):
            if row[f"{part}_expansion"]:
                table[f"{key}_expansion_per_k"] = Scientific(row[f"{part}_expansion"])
        found[row["name"]] = table
    return found


class Scientific(str):
    """A number in units of 1e-5, to be written as it stands."""


def dsn_tables(path: Path, sites: dict, mounts: dict) -> list[dict]:
    """Place each complex where GSFC 2019d has it, with the DSN's vectors inside it.

    The DSN's coordinates are aligned with ITRF93, whose axes turn against those
    of ITRF2014: 7 to 23 cm by 2020. Within a complex (25 km) that is under 1 mm.
    """
    lines = [x for x in path.read_text().splitlines() if not x.startswith("#")]
    rows = {row["name"]: row for row in csv.DictReader(lines)}
    dsn = {
        name: np.array([float(row[k]) for k in ("x_m", "y_m", "z_m")]) for name, row in rows.items()
    }
    tables = []
    for name, position in dsn.items():
        common = COMPLEXES[name[4]]
        known = common.get(name)
        shifts = [sites[there]["position"] - dsn[here] for here, there in common.items()]
        site = sites[next(iter(common.values()))]
        assert site["epoch"] == GSFC_EPOCH
        origin = GSFC
        if not known:
            ties = ", ".join(common)
            origin = f"vectors to {ties} of DSN 810-005 module 301, and these by {GSFC}"
        sigma = 0.01 if known else DSN_TIE_SIGMA
        if name == "DSS-53":
            sigma = 2.0
            origin += "; a later list of the DSN puts it 2.1 m lower"
        mount = mounts.get(DSN_MOUNT.get(name, name.replace("-", "")))
        if mount is None:
            mount = {"mount": "azel", "axis1": None, "axis2": None, "lowest": 6.0}
            mount["slew"] = list(DSN_SLEW)
            origin += "; not in SCHED: lowest elevation and slew rates as its neighbours"
        tables.append(
            entry(
                name,
                DSN_ALIASES.get(name, ()),
                mount,
                position_m=sites[known]["position"] if known else position + np.mean(shifts, 0),
                velocity_m_per_year=sites[known]["velocity"] if known else site["velocity"],
                epoch=GSFC_EPOCH,
                frame="ITRF2014",
                axis_offset_m=sites[known]["axis_offset"] if known else 0.0,
                sigma_m=sigma,
                approximate=name == "DSS-53",
                origin=origin,
            )
        )
    return tables


def tables(catalogs: Path) -> list[dict]:
    """Return all stations."""
    sites = read_locations(catalogs / "locations.gsfc2019d.dat")
    mounts = read_mounts(catalogs / "stations.dat")
    found = []
    for name, names in GEODETIC.items():
        site = sites[name]
        sigma = POORER.get(name, 0.01)
        origin = GSFC if "2019d" in site["frame"] else f"{GSFC}: {site['frame']}"
        found.append(
            entry(
                name,
                names,
                of_sked(name) if name in SKED else mounts.get(name),
                position_m=site["position"],
                velocity_m_per_year=site["velocity"],
                epoch=site["epoch"],
                frame="ITRF2014",
                axis_offset_m=site["axis_offset"],
                sigma_m=sigma,
                approximate=False,
                origin=origin,
            )
        )
    found += dsn_tables(catalogs / "dsn_sites.csv", sites, mounts)
    for source, approximate in ((OTHERS, False), (APPROXIMATE, True)):
        for name, row in source.items():
            names, position, velocity, epoch, frame, offset, sigma, sched, origin = row
            if isinstance(velocity, str):
                velocity = sites[velocity]["velocity"]
            found.append(
                entry(
                    name,
                    names,
                    mounts[sched] if sched else of_sked(name),
                    position_m=np.array(position),
                    velocity_m_per_year=np.array(velocity),
                    epoch=epoch,
                    frame=frame,
                    axis_offset_m=offset,
                    sigma_m=sigma,
                    approximate=approximate,
                    origin=origin,
                )
            )
    for name, (names, place, sigma, origin) in BY_PLACE.items():
        longitude, latitude, height = place
        known = PLACED_MOUNTS.get(name)
        found.append(
            entry(
                name,
                names,
                mounts[known] if isinstance(known, str) else limited(*known) if known else None,
                longitude_deg=longitude,
                latitude_deg=latitude,
                height_m=height,
                sigma_m=sigma,
                approximate=True,
                origin=origin,
            )
        )
    return sorted(found, key=lambda table: table["name"])


def as_toml(item: object) -> str:
    """Write one value of the file."""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, Scientific):
        return f"{item}e-5"
    if isinstance(item, str):
        assert '"' not in item
        assert "\\" not in item
        return f'"{item}"'
    if isinstance(item, (list, tuple, np.ndarray)):
        return "[" + ", ".join(as_toml(x) for x in item) + "]"
    return repr(round(float(item), 5))


def as_text(stations: list[dict]) -> str:
    """Write the file."""
    lines = [
        "# Stations of Kitestring, written by tools/make_stations.py.",
        "# Positions at `epoch` in metres, velocities in metres per Julian year.",
    ]
    for table in stations:
        lines += ["", "[[station]]"]
        plain = {key: item for key, item in table.items() if not isinstance(item, dict)}
        lines += [
            f"{key} = {as_toml(item)}"
            for key, item in plain.items()
            if not (isinstance(item, (str, list)) and len(item) == 0)
        ]
        for key in table.keys() - plain.keys():
            lines += ["", f"[station.{key}]"]
            lines += [f"{name} = {as_toml(item)}" for name, item in table[key].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    catalogs, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.write_text(as_text(tables(catalogs)), encoding="utf-8")


if __name__ == "__main__":
    main()
