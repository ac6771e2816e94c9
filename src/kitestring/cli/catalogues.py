"""kitestring stations, kitestring sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kitestring.products.catalogues import FoundSource, FoundStation

Rows = list[tuple[str, str]]

# what turns first and second, by mount
_AXES = {
    "azel": ("azimuth", "elevation"),
    "equatorial": ("hour angle", "declination"),
    "xyns": ("X", "Y"),
    "xyew": ("X", "Y"),
    "fixed": ("axis 1", "axis 2"),
}


def stations(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Names, codes or parts of names; all without."),
    ] = None,
    near: Annotated[
        str | None, typer.Option(help="A station; those found are sorted by distance from it.")
    ] = None,
    within: Annotated[
        float | None,
        typer.Option(min=0.0, help="Greatest distance from --near in a straight line, km."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """List stations, search for them by name or place, show one in full."""
    from kitestring.cli import _show
    from kitestring.products.catalogues import find_stations

    reach = None if within is None else 1e3 * within
    found = find_stations(names or (), near=near, within=reach)
    if as_json:
        _show.print_json([f.to_dict() for f in found])
    elif found and names and len(found) <= len(names):
        for one in found:
            _print_rows(_station_rows(one))
    else:
        _show.out.print(_show.table(f"stations: {len(found)}", *_station_table(found, near)))


def sources(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Names or parts of names; all without."),
    ] = None,
    near: Annotated[
        str | None,
        typer.Option(
            help="A source, or RA,DEC such as 265.995,-3.834 (degrees) or "
            "17:43:58.9,-03:50:04.6; with --at also a body, an orbit file or a session; "
            "those found are sorted by angle from it."
        ),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="When --near is there, UTC, such as 2026-01-01T16:00:00.")
    ] = None,
    within: Annotated[
        float | None, typer.Option(min=0.0, help="Greatest angle from --near, degrees.")
    ] = None,
    flux: Annotated[
        float, typer.Option(min=0.0, help="Lowest unresolved X-band flux, Jy; 0 for any.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """List sources, search for them by name, place and flux, show one in full."""
    from math import radians

    from kitestring.cli import _show
    from kitestring.errors import ConfigurationError
    from kitestring.products.catalogues import find_sources

    reach = None if within is None else radians(within)
    if at is not None and near is None:
        raise ConfigurationError(
            f"the time {at} was given, but not what is there then.",
            next_step="Name it with --near.",
        )
    place = near if at is None or near is None else _place(near, at)
    found = find_sources(names or (), near=place, within=reach, min_flux=flux)
    if as_json:
        _show.print_json([f.to_dict() for f in found])
    elif found and names and len(found) <= len(names):
        for one in found:
            _print_rows(_source_rows(one))
    else:
        _show.out.print(_show.table(f"sources: {len(found)}", *_source_table(found, near)))


def _place(near: str, at: str) -> NDArray[np.float64]:
    from kitestring.model.time import Epoch
    from kitestring.products.catalogues import parse_direction
    from kitestring.session.predictions import direction_of

    Epoch.from_iso(at)  # a wrong one is told even where nothing moves
    return parse_direction(near) if "," in near else direction_of(near, at)


def _print_rows(rows: Rows) -> None:
    from kitestring.cli import _show

    for name, value in rows:
        _show.out.print(f"{name:12} {value}".rstrip(), markup=False, soft_wrap=True)
    _show.out.print()


def _station_table(
    found: list[FoundStation], near: str | None
) -> tuple[list[str], list[list[str]]]:
    header = ["name", "code", "aliases", "longitude", "latitude", "height (m)", "mount"]
    header += ["sigma (m)", ""]
    rows = []
    for one in found:
        s = one.to_dict()
        row = [s["name"], s["code"], ", ".join(s["aliases"])]
        row += [f"{s['longitude_deg']:.4f}", f"{s['latitude_deg']:.4f}", f"{s['height_m']:.1f}"]
        row += [s["mount"], f"{s['sigma_m']:g}", "approximate" if s["approximate"] else ""]
        rows.append(row + ([f"{s['distance_km']:.3f}"] if near else []))
    return header + (["distance (km)"] if near else []), rows


def _station_rows(one: FoundStation) -> Rows:
    s = one.to_dict()
    limits = [f"elevation above {s['elevation_limit_deg']:g} deg"]
    for name, values in zip(
        _AXES[s["mount"]], (s["axis1_limits_deg"], s["axis2_limits_deg"]), strict=True
    ):
        if values:
            limits.append(f"{name} {values[0]:g} to {values[1]:g} deg")
    rows = [
        ("station", s["name"]),
        ("code", s["code"] or "none"),
        ("aliases", ", ".join(s["aliases"]) or "none"),
        ("position", "X {:.4f}, Y {:.4f}, Z {:.4f} m".format(*s["position_m"])),
        ("velocity", "X {:.5f}, Y {:.5f}, Z {:.5f} m/yr".format(*s["velocity_m_per_year"])),
        ("epoch", s["epoch"]),
        ("frame", s["frame"]),
        (
            "geodetic",
            f"longitude {s['longitude_deg']:.7f}, latitude {s['latitude_deg']:.7f} deg, "
            f"height {s['height_m']:.3f} m (GRS80)",
        ),
        ("mount", s["mount"]),
        ("axis offset", f"{s['axis_offset_m']:g} m"),
        ("limits", ", ".join(limits)),
        ("slew", _slew(s)),
        ("structure", _structure(s["structure"])),
        ("sigma", f"{s['sigma_m']:g} m each coordinate"),
        ("approximate", "yes, not good enough for VLBI" if s["approximate"] else "no"),
        ("origin", s["origin"]),
    ]
    if "distance_km" in s:
        rows.append(("distance", f"{s['distance_km']:.6f} km"))
    return rows


def _slew(station: dict[str, Any]) -> str:
    rates = station["slew_deg_per_s"]
    if not rates:
        return "unknown"
    named = zip(_AXES[station["mount"]], rates, strict=True)
    return ", ".join(f"{axis} {rate:.4g} deg/s" for axis, rate in named)


def _structure(structure: dict[str, Any] | None) -> str:
    if not structure:
        return "unknown"
    radome = ", in a radome" if structure["radome"] else ""
    return (
        f"foundation {structure['foundation_height_m']:g} m, "
        f"fixed axis {structure['fixed_axis_m']:g} m, vertex {structure['vertex_m']:g} m, "
        f"{structure['focus']} focus {structure['focus_height_m']:g} m, "
        f"surveyed at {structure['reference_temperature_c']:g} deg C{radome}"
    )


def _source_table(found: list[FoundSource], near: str | None) -> tuple[list[str], list[list[str]]]:
    from kitestring.products.catalogues import sexagesimal

    header = ["name", "J2000 name", "aliases", "right ascension", "declination", "sigma (mas)"]
    header += ["flux (Jy)", "unresolved (Jy)", ""]
    rows = []
    for one in found:
        s = one.to_dict()
        row = [s["name"], s["j2000_name"], ", ".join(s["aliases"])]
        row += [sexagesimal(s["ra_deg"] / 15.0, 5), sexagesimal(s["dec_deg"], 4, sign=True)]
        row.append(f"{s['sigma_ra_cos_dec_mas']:.2f}, {s['sigma_dec_mas']:.2f}")
        row += [_flux(s["flux_jy"]), _flux(s["flux_unresolved_jy"])]
        row.append("defining" if s["defining"] else "")
        rows.append(row + ([f"{s['angle_deg']:.3f}"] if near else []))
    return header + (["angle (deg)"] if near else []), rows


def _source_rows(one: FoundSource) -> Rows:
    from kitestring.products.catalogues import sexagesimal

    s = one.to_dict()
    ra, dec = s["ra_deg"], s["dec_deg"]
    rows = [
        ("source", s["name"]),
        ("ICRF", s["designation"]),
        ("J2000 name", s["j2000_name"] or "none"),
        ("aliases", ", ".join(s["aliases"]) or "none"),
        ("position", f"{sexagesimal(ra / 15.0, 8)}, {sexagesimal(dec, 7, sign=True)} (ICRS)"),
        ("", f"{ra:.10f}, {dec:+.10f} deg"),
        (
            "sigma",
            f"right ascension x cos(declination) {s['sigma_ra_cos_dec_mas']:.4f} mas, "
            f"declination {s['sigma_dec_mas']:.4f} mas, correlation {s['correlation']:+.4f}",
        ),
        ("defining", "yes" if s["defining"] else "no"),
        (
            "flux",
            f"{_flux(s['flux_jy'])} Jy, unresolved {_flux(s['flux_unresolved_jy'])} Jy at X band",
        ),
        ("origin", s["origin"]),
    ]
    if "angle_deg" in s:
        rows.append(("angle", f"{s['angle_deg']:.6f} deg"))
    return rows


def _flux(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
