"""How a session's products came about: version, inputs, models."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from importlib.metadata import version
from pathlib import Path

from kitestring import __version__
from kitestring.model.earth_orientation import EarthOrientationTable
from kitestring.model.time import Epoch
from kitestring.recordings.open import belonging
from kitestring.session.file import FILE_NAME, OWN_ROTATION, LanderSection
from kitestring.session.ledger import file_stamp
from kitestring.session.media import media_files
from kitestring.session.run import input_files
from kitestring.session.setting import Setting

_MAPPINGS = {"niell": "Niell's mapping functions", "gmf": "global mapping functions"}


def made_by(setting: Setting) -> dict[str, str]:
    """Return what a product must remember of how it was made.

    Files are named relative to the session's directory. Of recordings, which
    are too large to be read again for it, size and time of change stand in for
    the checksum, as in the ledger.

    Parameters
    ----------
    setting : Setting
        The session.

    Returns
    -------
    dict of str to str
        Version, session file, tracking files and recordings, ephemeris, Earth
        orientation, troposphere and stations.

    Raises
    ------
    MissingDataError
        For an input that is no longer there.
    """
    context, session = setting.context, setting.session
    found = {
        "Kitestring": __version__,
        "session": session.name,
        "session file": _checked(setting, context.path(FILE_NAME)),
    }
    for path in input_files(context, [section.file for section in session.tracking]):
        found[f"tracking file {_name(setting, path)}"] = f"SHA-256 {_sha256(path)}"
    for recording in session.recording:
        named = [recording.sidecar] if recording.sidecar else []
        for path in belonging(input_files(context, [*recording.files, *named])):
            _, size, changed = file_stamp(path)
            when = dt.datetime.fromtimestamp(changed // 10**9, dt.UTC).isoformat()[:19]
            found[f"recording {_name(setting, path)}"] = f"{size} bytes, changed {when} UTC"
    found["ephemeris"] = setting.earth.ephemeris.origin
    found["Earth orientation"] = _earth_orientation(setting)
    earth = setting.earth
    found["subdaily Earth rotation"] = ", ".join(earth.subdaily) or "none"
    found["displacements of stations"] = ", ".join(earth.displacements) or "none"
    if session.earth.ocean_loading:
        loading = context.path(session.earth.ocean_loading)
        found["ocean loading"] = _checked(setting, loading)
    if isinstance(session.target, LanderSection):
        found["rotation of the body"] = _rotation(setting, session.target)
    found["media and antennas"] = ", ".join(e.name for e in setting.media) or "none"
    found["troposphere"] = _troposphere(setting)
    for name in media_files(session):
        path = context.path(name)
        found[f"media file {_name(setting, path)}"] = f"SHA-256 {_sha256(path)}"
    found["stations"] = "catalogue of this version"
    if session.stations:
        found["stations"] += f", and {_checked(setting, context.path(session.stations))}"
    return found


def _rotation(setting: Setting, target: LanderSection) -> str:
    if target.rotation is None:
        return "WGCCRE 2015"
    if target.rotation == OWN_ROTATION:
        return f"{OWN_ROTATION} of this version"
    return _checked(setting, setting.context.path(target.rotation))


def _troposphere(setting: Setting) -> str:
    section = setting.session.troposphere
    if section.model == "none":
        return "none"
    weather = f"{len(section.weather)} stations' weather, else a" if section.weather else "a"
    told = f"Saastamoinen's zenith delays of {weather} standard atmosphere, "
    told += _MAPPINGS[section.mapping]
    files = [
        what
        for what, given in (
            ("the DSN's calibrations at its stations", section.csp),
            ("VMF3 site files", section.vmf3),
        )
        if given
    ]
    return "; ".join([*files, told])


def _name(setting: Setting, path: Path) -> str:
    return Path(os.path.relpath(path, setting.context.directory)).as_posix()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(setting: Setting, path: Path) -> str:
    return f"{_name(setting, path)}, SHA-256 {_sha256(path)}"


def _earth_orientation(setting: Setting) -> str:
    table = setting.earth.orientation
    if not isinstance(table, EarthOrientationTable):
        return "given"
    measured = Epoch.from_mjd(float(table.measured_until)).iso(0)[:10]
    origin = table.origin
    name = setting.session.earth.orientation
    if name:
        origin = _checked(setting, setting.context.path(name))
    elif table is EarthOrientationTable.default():
        origin += f" of astropy-iers-data {version('astropy-iers-data')}"
    return f"{origin}, measured until {measured}"
