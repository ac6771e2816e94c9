"""Makes session files."""

from __future__ import annotations

import os
from pathlib import Path

from kitestring.errors import ConfigurationError, MissingDataError
from kitestring.formats.correlx import read_correlx, read_correlx_output
from kitestring.recordings.describe import describe
from kitestring.session.file import FILE_NAME


def session_from_correlx(directory: str | Path, correlx: str | Path) -> Path:
    """Make a session that correlates the recordings of a CorrelX data set.

    Delays and clocks are those of the data set; where its output lies beside
    it, the report compares with it.

    Parameters
    ----------
    directory : path
        Directory to make; it must not hold a session.
    correlx : path
        Directory with ``media.ini``, ``stations.ini``, ``delay_model.ini`` and
        the recordings.

    Returns
    -------
    Path
        The session file.

    Raises
    ------
    ConfigurationError
        Where the directory holds a session already.
    MissingDataError, FormatError
        As from `kitestring.formats.correlx.read_correlx`.
    """
    folder, origin = Path(directory), Path(correlx)
    file = folder / FILE_NAME
    if file.exists():
        raise ConfigurationError(
            "there is a session already.", place=str(file), next_step="Name another directory."
        )
    setup = read_correlx(origin)
    first = setup.recordings[0]
    rate = first.channels[0].sample_rate
    survey = describe(list(first.files), sample_rate=rate).survey
    if survey.start is None or survey.stop is None:
        raise ConfigurationError(
            f"the recording of {first.station} has no known start and end.",
            place=str(first.files[0]),
            next_step="Look at it with 'kitestring describe'.",
        )
    label = setup.first_label(survey.start)
    try:
        segments = read_correlx_output(setup).segments  # so that the same samples are compared
    except MissingDataError:
        segments = int(float(survey.stop.since(survey.start)) * rate / setup.bins)
    duration = segments * setup.bins / rate
    folder.mkdir(parents=True, exist_ok=True)
    scan = label.iso(0).replace(":", "")  # it names files

    def relative(path: Path) -> str:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()

    tones = []
    if first.tone_spacing:
        tones = ["", "[phase_cal]", f"spacing = {first.tone_spacing}"]
        tones += [f"offset = {first.tone_offset}"]
    lines = [
        f"# Written by 'kitestring session new': the CorrelX data set of {origin.name}.",
        "format = 1",
        f'name = "CorrelX data set: {setup.model.source}"',
        "",
        "[correlate]",
        f"bins = {setup.bins}",
        f"integration = {duration!r}",
        f'products = "{"all" if setup.all_products else "parallel"}"',
        'quantisation = "off"  # as there',
        f'correlx = "{relative(origin)}"  # its delays and clocks; its output is compared',
        *tones,
        "",
        "[[scan]]",
        f'name = "{scan}"',
        f'source = "{setup.model.source}"',
        f'start = "{label.iso(12)}"  # the first wavefront, at the geocentre',
        f"duration = {duration!r}",
    ]
    for recording in setup.recordings:
        paths = [relative(path) for path in recording.files]
        lines += [
            "",
            "[[recording]]",
            f'station = "{recording.station}"',
            f'scan = "{scan}"',
            f"files = {paths!r}".replace("'", '"'),
            f'setup = "{recording.station}"',
        ]
    lines += ["", "[setup]"]
    for recording in setup.recordings:
        lines.append(f"{recording.station} = [")
        for c in recording.channels:
            sideband = "upper" if c.direction > 0 else "lower"
            lines.append(
                f'  {{ name = "{c.name}", sky_frequency = {c.sky_frequency}, '
                f'sideband = "{sideband}", sample_rate = {c.sample_rate}, '
                f"complex = {str(c.complex).lower()}, "
                f'zero = "{c.zero}", polarization = "{c.polarization}" }},'
            )
        lines.append("]")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
