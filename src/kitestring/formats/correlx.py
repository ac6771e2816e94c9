"""Reads data sets of the CorrelX correlator: its configuration and its text output.

A data set is a folder with ``media.ini`` (recordings and channels),
``stations.ini`` (clocks), ``sources.ini``, ``delay_model.ini`` (polynomials),
``correlation.ini`` (bins) and, once correlated, a text file of spectra.
`read_correlx` returns what is needed to open the recordings and to correlate
them as CorrelX did; `read_correlx_output` returns what it made of them.

How its conventions map to ours (``docs/concepts/conventions.md``); each line was
found by comparing with its output, which no other choice reproduces:

=============================== ==============================================
there                           here
=============================== ==============================================
``delay_us``                    minus `StationDelay.delay`: a wavefront reaches
                                the station this much *before* the geocentre
``clock_poly_us``               minus `StationDelay.clock` (the sign is only
                                seen in GS - K2, 49 microseconds)
``dry_us``, ``wet_us``          left out: CorrelX reads them and applies none
``delay_us`` powers             seconds since the start of the piece
``clock_poly_us`` powers        seconds since ``clock_ref`` (MJD)
channel frequency, sideband L   upper edge; bins *ascend* from one bandwidth
                                below it: direction +1, 0 Hz at the lower edge
``px-A.p-B.q``                  <X_A conj(X_B)>: baseline (A, B), product pq
first segment                   the label of sample 0 of the first recording,
                                rounded to a whole number of samples
=============================== ==============================================

What it does otherwise, and no configuration says: it turns the samples of all
stations but the first, by the difference of delays (we take every station to the
geocentre: 1 kHz of shift in bins of 250 kHz); and it decodes two bits to 1 and
3.3359. With the same done here, its output is reproduced to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError, SpanError
from kitestring.formats._ini import Ini, read_text
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import DAY, Epoch
from kitestring.recordings.types import Channel

Floats = NDArray[np.float64]
Spectrum = NDArray[np.complex128]
RowKey = tuple[float, str, str, str]
"""Lowest sky frequency of the band (Hz), station 1, station 2, polarisation product."""

OUTPUT_NAME = "OUT_s0_v0.out"
"""What CorrelX calls its output."""

_MICROSECOND = 1e-6
_SAME_INSTANT = 1e-6  # s: edges of pieces are written in whole seconds
_LABEL_ITERATIONS = 4  # each gains a factor of the delay rate, 1e-6


@dataclass(frozen=True)
class CorrelxRecording:
    """One recording, as `kitestring.recordings.open.open_recording` takes it.

    Attributes
    ----------
    station : str
        Name of the station.
    files : tuple of Path
        The files that together are the recording.
    channels : tuple of Channel
        Its bands, in the order of the samples.
    tone_spacing, tone_offset : float
        Phase-calibration tones lie at sky frequencies offset + k x spacing, Hz; a
        spacing of zero says that there are none.
    """

    station: str
    files: tuple[Path, ...]
    channels: tuple[Channel, ...]
    tone_spacing: float = 0.0
    tone_offset: float = 0.0


@dataclass(frozen=True)
class CorrelxSetup:
    """What a configuration asks for.

    Attributes
    ----------
    directory : Path
        Where it was read from.
    recordings : tuple of CorrelxRecording
        One a station, in the order of ``media.ini``.
    model : DelayModel
        Delays and clocks that were applied. The scan has no name there: it is
        called after the start of the polynomials.
    bins : int
        Bins a channel.
    all_products : bool
        Whether cross polarisations were asked for.
    bands : mapping of int to float
        Lowest sky frequency (Hz) of each of CorrelX's channel numbers.
    station_numbers, polarization_numbers : mapping of int to str
        Names of the numbers that rows of the output are labelled with.
    """

    directory: Path
    recordings: tuple[CorrelxRecording, ...]
    model: DelayModel
    bins: int
    all_products: bool
    bands: Mapping[int, float]
    station_numbers: Mapping[int, str]
    polarization_numbers: Mapping[int, str]

    def first_label(self, start: Epoch) -> Epoch:
        """Return the label of the first sample that CorrelX used, UTC.

        Parameters
        ----------
        start : Epoch, shape ()
            Clock reading of sample 0 of the first recording.

        Returns
        -------
        Epoch, shape ()
            UTC of that wavefront at the geocentre, on the grid of whole samples.

        Raises
        ------
        SpanError
            Where the recording does not lie inside the delay model.
        """
        first = self.recordings[0]
        delay = self.model.stations[first.station]
        label = start
        try:
            for _ in range(_LABEL_ITERATIONS):
                label = start.shifted(-float(delay.total(label)))
        except SpanError as problem:
            raise SpanError(
                f"the recording of {first.station} starts at {start.iso(3)}: {problem.message}",
                place=str(self.directory / "delay_model.ini"),
                next_step="Use the delay_model.ini that belongs to these recordings.",
            ) from None
        rate = first.channels[0].sample_rate
        whole = math.floor(float(label.second))
        ticks = round((float(label.second) - whole) * rate)
        return Epoch.normalised("utc", label.day, whole + ticks / rate)


@dataclass(frozen=True)
class CorrelxOutput:
    """Spectra that CorrelX made.

    Attributes
    ----------
    rows : dict of RowKey to ndarray of complex, shape (bin,)
        Mean of X1 conj(X2) in each bin, ascending sky frequency, scaled by the
        root of the two stations' summed autocorrelations.
    segments : int
        Segments (FFTs) in each row.
    """

    rows: dict[RowKey, Spectrum]
    segments: int


def read_correlx(directory: str | Path) -> CorrelxSetup:
    """Read the configuration of a data set.

    Parameters
    ----------
    directory : path
        Folder with the ``.ini`` files and the recordings that they name.

    Raises
    ------
    MissingDataError
        Where a file is absent.
    FormatError
        Where a key is absent, a value cannot be read, pieces of the polynomials
        leave a gap, or something is asked for that was never compared with.
    """
    root = Path(directory)
    media = Ini(root / "media.ini")
    stations = Ini(root / "stations.ini")
    correlation = Ini(root / "correlation.ini")
    names = [part.strip() for part in media.text("files", "list").split(",")]
    recordings = tuple(_recording(root, media, name) for name in names)
    numbers = {stations.whole(name, "id"): name for name in stations.sections}
    unknown = {r.station for r in recordings} - set(numbers.values())
    if unknown:
        raise FormatError(
            f"there is no station {sorted(unknown)[0]!r}, of which {media.path.name} names a "
            "recording.",
            place=str(stations.path),
            next_step=f"Add a section; there are {', '.join(sorted(numbers.values()))}.",
        )
    bandwidth = recordings[0].channels[0].bandwidth
    return CorrelxSetup(
        directory=root,
        recordings=recordings,
        model=_delay_model(root, stations, numbers),
        bins=correlation.whole("computation", "FFT"),
        all_products=correlation.text("elements", "cross_polarization").lower() == "yes",
        bands={
            media.whole("channels", name): media.number("frequencies", name) - bandwidth
            for name in media.keys("channels")
        },
        station_numbers=numbers,
        polarization_numbers={
            media.whole("polarizations", name): name.upper() for name in media.keys("polarizations")
        },
    )


def _recording(root: Path, media: Ini, name: str) -> CorrelxRecording:
    lists = {key: media.text(name, key).split(":") for key in ("channels", "polarizations")}
    sidebands = media.text(name, "sidebands").split(":")
    if {len(part) for part in lists.values()} != {len(sidebands)}:
        raise FormatError(
            f"{name} lists {len(lists['channels'])} channels, "
            f"{len(lists['polarizations'])} polarizations and {len(sidebands)} sidebands.",
            place=str(media.path),
            next_step="Give one of each for every channel.",
        )
    if set(sidebands) != {"L"}:
        raise FormatError(
            f"{name} has sidebands {', '.join(sorted(set(sidebands)))}; only L was ever compared "
            "with CorrelX's output.",
            place=str(media.path),
            next_step="Describe the channels in a session file instead.",
        )
    rate = media.number(name, "f_sample")
    channels = tuple(
        Channel(
            name=band,
            sky_frequency=media.number("frequencies", band) - rate,
            direction=1,
            sample_rate=rate,
            complex=True,
            polarization=polarization.upper(),
            zero="edge",
        )
        for band, polarization in zip(lists["channels"], lists["polarizations"], strict=True)
    )
    return CorrelxRecording(
        station=media.text(name, "station"),
        files=(root / name,),
        channels=channels,
        tone_spacing=media.number(name, "f_pcal", default=0.0),
        tone_offset=media.number(name, "o_pcal", default=0.0),
    )


def _delay_model(root: Path, stations: Ini, numbers: Mapping[int, str]) -> DelayModel:
    delays = Ini(root / "delay_model.ini")
    sources = Ini(root / "sources.ini")
    if len(sources.sections) != 1:
        raise FormatError(
            f"there are {len(sources.sections)} sources.",
            place=str(sources.path),
            next_step="Keep one scan of one source in a folder.",
        )
    found = {}
    for number, name in numbers.items():
        delay = _pieces(delays, number, name)
        found[name] = StationDelay(delay, _clock(stations, name, delay))
    start = next(iter(found.values())).delay.start
    inputs = {"delay": delays.path.name, "clock": stations.path.name}
    return DelayModel(start.iso(0), sources.sections[0], found, inputs)


def _pieces(delays: Ini, number: int, name: str) -> PiecewisePolynomial:
    """Return a station's delay from sections ``<MJD>-<first s>-<last s>-so<n>-st<n>``."""
    pieces: list[tuple[int, float, float, Floats]] = []
    for section in delays.sections:
        try:
            words = section.split("-")
            mine = int(words[4].removeprefix("st")) == number
            span = int(words[0]), float(words[1]), float(words[2])
        except (ValueError, IndexError):
            raise FormatError(
                f"[{section}] does not name day, first and last second, source and station.",
                place=str(delays.path),
                next_step="Write it like [57350-68160-68280-so0-st0].",
            ) from None
        if mine:
            pieces.append((*span, delays.numbers(section, "delay_us")))
    if not pieces:
        raise FormatError(
            f"there is no polynomial of station {number} ({name}).",
            place=str(delays.path),
            next_step="Bring the delay model of all stations.",
        )
    pieces.sort(key=lambda piece: piece[:2])
    day, first, last, _ = pieces[0]
    interval = last - first
    table = np.zeros((len(pieces), max(len(piece[3]) for piece in pieces)))
    for i, (piece_day, begin, end, values) in enumerate(pieces):
        since = (piece_day - day) * DAY + begin - first
        if (
            abs(since - i * interval) > _SAME_INSTANT
            or abs(end - begin - interval) > _SAME_INSTANT
            or interval <= 0
        ):
            raise FormatError(
                f"the piece {piece_day}-{begin:g}-{end:g} of station {name} does not follow the "
                f"one before it, or has another length than {interval:g} s.",
                place=str(delays.path),
                next_step="Give pieces of equal length without gaps.",
            )
        table[i, : len(values)] = -_MICROSECOND * values
    epoch = Epoch.normalised("utc", day, first)
    return PiecewisePolynomial(epoch, interval, table)


def _clock(stations: Ini, name: str, delay: PiecewisePolynomial) -> PiecewisePolynomial:
    """Return a clock in powers of the seconds since the start of the delay's pieces."""
    reference = stations.number(name, "clock_ref")
    day = math.floor(reference)
    start = delay.start
    since = (int(start.day) - day) * DAY + float(start.second) - (reference - day) * DAY
    clock = np.polynomial.Polynomial(-_MICROSECOND * stations.numbers(name, "clock_poly_us"))
    moved = np.asarray(clock(np.polynomial.Polynomial([since, 1.0])).coef, dtype=np.float64)
    return PiecewisePolynomial(start, delay.interval * len(delay.coefficients), moved[None])


def read_correlx_output(setup: CorrelxSetup, path: str | Path | None = None) -> CorrelxOutput:
    """Read the spectra that CorrelX wrote.

    Rows of phase-calibration tones and of statistics are passed over.

    Parameters
    ----------
    setup : CorrelxSetup
        The configuration that the file was made with.
    path : path, optional
        The file; `OUTPUT_NAME` beside the configuration unless given.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        For a row that cannot be read or does not fit the configuration, and for
        a file of several integrations.
    """
    file = setup.directory / OUTPUT_NAME if path is None else Path(path)
    rows: dict[RowKey, Spectrum] = {}
    found: set[int] = set()
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.startswith("px-"):
            continue
        place = f"{file}:{number}"
        key, values, segments = _row(setup, line, place)
        if key in rows:
            raise FormatError(
                f"a second row of {key[1]}-{key[2]} {key[3]} at {key[0] / 1e6:g} MHz.",
                place=place,
                next_step="Only files of one integration can be read; split it.",
            )
        rows[key] = values
        found.add(segments)
    if len(found) != 1:
        raise FormatError(
            f"rows of {len(found)} lengths." if found else "there is no row of visibilities.",
            place=str(file),
            next_step="Bring the output of one whole correlation.",
        )
    return CorrelxOutput(rows, found.pop())


def _row(setup: CorrelxSetup, line: str, place: str) -> tuple[RowKey, Spectrum, int]:
    """Read ``px-<st>.<pol>-<st>.<pol>-<acc>.<channel>...-sxa<n>  <header> (values)``."""
    try:
        label, *fields = line.split()
        _, one, two, accumulation, summed = label.split("-")
        (s1, p1), (s2, p2) = (map(int, part.split(".")) for part in (one, two))
        channel = int(accumulation.split(".")[-1])
        segments = int(summed.removeprefix("sxa"))
        begin = next(i for i, field in enumerate(fields) if field.startswith("("))
        values = np.array([complex(field.strip("()")) for field in fields[begin:]])
        # the header ends: ... frequency, 1.0, no, accumulation.channel
        top = float(fields[begin - 4])
    except (ValueError, StopIteration, IndexError):
        raise FormatError(
            "is not a row of CorrelX's output.",
            place=place,
            next_step="Bring the file again; it may be cut or edited.",
        ) from None
    if len(values) != setup.bins:
        raise FormatError(
            f"{len(values)} values, but the configuration asks for {setup.bins} bins.",
            place=place,
            next_step="Bring the file again, or the configuration that it was made with.",
        )
    try:
        low = setup.bands[channel]
        names = setup.station_numbers[s1], setup.station_numbers[s2]
        product = setup.polarization_numbers[p1] + setup.polarization_numbers[p2]
    except KeyError as problem:
        raise FormatError(
            f"the configuration has no channel, station or polarization numbered {problem}.",
            place=place,
            next_step="Bring the configuration that the file was made with.",
        ) from None
    bandwidth = setup.recordings[0].channels[0].bandwidth
    if abs(top - low - bandwidth) > 1.0:
        raise FormatError(
            f"channel {channel} has {top / 1e6:g} MHz here and "
            f"{(low + bandwidth) / 1e6:g} MHz in the configuration.",
            place=place,
            next_step="Bring the configuration that the file was made with.",
        )
    return (low, *names, product), values, segments
