"""Reads and writes CCSDS Tracking Data Messages (503.0-B, versions 1 and 2, key-value notation).

What is taken over: received frequencies (with FREQ_OFFSET), ramps of
transmitted frequency, ranges, DOR and VLBI delays. Other rows are left out,
and named in a `FormatWarning`. What real files bend without doubt about the
meaning is read, with one warning a kind; a malformed file is refused.

Delays here are arrivals of one wavefront, tau = t2 - t1. CCSDS words DOR as a
difference of ranges at one reception time; which of both a file means is read
from its comments, or told by whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import FormatError
from kitestring.formats._tdm_segments import Notes, Segment, numbered, read_message
from kitestring.formats._tdm_write import (
    DEGRADED,
    FLAG,
    PAIR,
    RANGES,
    SIGMA,
    WAVEFRONT,
    write_tdm,
)
from kitestring.model.constants import C
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.time import Epoch, Scale
from kitestring.observables.types import EpochReference, Observables, TrackingData, UplinkRamps

__all__ = ["DorForm", "from_ranges", "read_tdm", "to_ranges", "write_tdm"]

Floats = NDArray[np.float64]

DorForm = Literal["wavefront", "ranges"]
"""What a DOR row is: a difference of arrivals of one wavefront, or of ranges at one time."""

RangeRate = Callable[[Observables], Floats]
"""Rate of the light time to station 2 at the rows' epochs, s/s."""

NO_COUNT = "no count"
"""Flag of Doppler rows whose file does not say over how long they are averaged."""

UNRESOLVED_RANGES = "difference of ranges"
"""Flag of DOR rows that could not be made differences of arrivals."""

_SCALES: dict[str, tuple[Scale, float]] = {
    "UTC": ("utc", 0.0),
    "TAI": ("tai", 0.0),
    "GPS": ("tai", 19.0),
    "TT": ("tt", 0.0),
    "TDB": ("tdb", 0.0),
}
_REFERENCES: dict[str, EpochReference] = {"START": "start", "MIDDLE": "middle", "END": "end"}

_DELAYS = ("TRANSMIT", "RECEIVE")

# Turnaround ratios of (uplink, downlink) that transponders have as a rule
_TURNAROUND = {
    ("S", "S"): 240 / 221,
    ("S", "X"): 880 / 221,
    ("X", "S"): 240 / 749,
    ("X", "X"): 880 / 749,
    ("X", "KA"): 3344 / 749,
    ("KA", "KA"): 3344 / 3599,
}


def from_ranges(difference: Floats, range_rate: Floats) -> Floats:
    """Return the delay of one wavefront from a difference of ranges at one reception time.

    Parameters
    ----------
    difference : ndarray
        Light time to station 2 minus light time to station 1, both at the epoch, s.
    range_rate : ndarray
        Rate of the light time to station 2, s/s. What is left out is its
        change in the delay: 0.005 ps on 3000 km.
    """
    return difference / (1.0 - range_rate)


def to_ranges(delay: Floats, range_rate: Floats) -> Floats:
    """Return the difference of ranges at one reception time: the inverse of `from_ranges`."""
    return delay * (1.0 - range_rate)


def read_tdm(
    path: Path | str, *, dor: DorForm | None = None, range_rate: RangeRate | None = None
) -> TrackingData:
    """Read a tracking data message.

    Parameters
    ----------
    path : Path or str
        The file.
    dor : {"wavefront", "ranges"}, optional
        What DOR rows are where the file does not say; arrivals of one
        wavefront are taken, with a warning, where nobody says.
    range_rate : callable, optional
        Turns differences of ranges into delays; rows are flagged without it.

    Returns
    -------
    TrackingData
        One set of observables for each path and kind and one set of ramps for
        each station and band, in ascending order of time. Frequencies are
        sky frequencies in Hz, delays and ranges in s. A TDM states no sigmas:
        they are NaN but in files written here. Rows of degraded quality, time
        tags of transmission, ambiguous ranges and Doppler without an
        INTEGRATION_INTERVAL are flagged.

    Raises
    ------
    MissingDataError
        Where there is no such file.
    FormatError
        Where it is not a TDM, or malformed; it names file and line.
    """
    reader = _Reader(Path(path), dor, range_rate)
    data = reader.read()
    reader.notes.warn()
    return data


@dataclass(frozen=True, eq=False)
class _Piece:
    """Rows of one segment that become part of a set of observables."""

    kind: Kind
    path: SignalPath
    reference: EpochReference
    epoch: Epoch
    value: Floats
    sigma: float
    count: float
    flag: str

    @property
    def key(self) -> tuple[Kind, SignalPath, EpochReference]:
        """What pieces of one set share."""
        return self.kind, self.path, self.reference


class _Reader:
    """Turns segments into observables and ramps."""

    def __init__(self, path: Path, dor: DorForm | None, range_rate: RangeRate | None) -> None:
        self.path = path
        self.dor = dor
        self.range_rate = range_rate
        self.notes = Notes(path)
        self.pieces: list[_Piece] = []
        self.pairs: dict[str, dict[str, _Piece]] = {}
        self.ramps: dict[tuple[str, str], list[tuple[Epoch, Floats, Floats]]] = {}

    def read(self) -> TrackingData:
        message = read_message(self.path)
        for segment in message.segments:
            self._segment(segment)
        for name, parts in self.pairs.items():
            self._join(name, parts)
        sets: dict[tuple[Kind, SignalPath, EpochReference], list[_Piece]] = {}
        for piece in self.pieces:
            sets.setdefault(piece.key, []).append(piece)
        observables = tuple(self._observables(pieces) for pieces in sets.values())
        ramps = tuple(self._ramps(key, found) for key, found in self.ramps.items())
        return TrackingData(observables, ramps, message.originator, str(self.path))

    # -- one segment -------------------------------------------------------

    def _segment(self, segment: Segment) -> None:
        for keyword, (value, line) in segment.meta.items():
            if numbered(keyword)[0] == "PARTICIPANT" and " " in value:
                self.notes.add("names of participants hold blanks", line)
        if "TIME_SYSTEM" not in segment.meta:
            self.notes.add("there is no TIME_SYSTEM: UTC is taken", segment.line)
        elif segment.text("TIME_SYSTEM") not in _SCALES:
            raise FormatError(
                f"the time system {segment.text('TIME_SYSTEM')!r} is not read.",
                place=segment.place("TIME_SYSTEM"),
                next_step=f"Known are {', '.join(_SCALES)}.",
            )
        for keyword, rows in segment.data.items():
            stem, index = numbered(keyword)
            if stem == "TRANSMIT_FREQ":
                self._transmitted(segment, keyword, index)
            elif stem == "RECEIVE_FREQ" and segment.text("MODE") != "SINGLE_DIFF":
                self._received(segment, keyword, index)
            elif keyword == "RANGE" and segment.text("RANGE_UNITS", "KM") in ("KM", "S"):
                self._range(segment)
            elif keyword in ("DOR", "VLBI_DELAY"):
                self._delay(segment, keyword)
            elif stem != "TRANSMIT_FREQ_RATE":
                self.notes.add(f"rows of {keyword} are left out", rows.lines[0])
            elif keyword.replace("_RATE", "") not in segment.data:
                self.notes.add(f"{keyword} has no {keyword.replace('_RATE', '')}", rows.lines[0])

    def _epochs(self, segment: Segment, keyword: str) -> Epoch:
        scale, shift = _SCALES[segment.text("TIME_SYSTEM", "UTC")]
        rows = segment.data[keyword]
        if scale != "utc" and any(date.endswith("Z") for date in rows.dates):
            system = segment.text("TIME_SYSTEM")
            note = f"time tags end in Z: TIME_SYSTEM = {system} is taken, not UTC"
            self.notes.add(note, rows.lines[0])
        return segment.epochs(keyword, scale, shift)

    def _correction(self, segment: Segment, keyword: str) -> float:
        """Return what has still to be added, in the unit of the rows."""
        if segment.text("CORRECTIONS_APPLIED") != "NO":
            return 0.0
        return segment.number(keyword, 0.0)

    def _transmitted(self, segment: Segment, keyword: str, index: int) -> None:
        if segment.text("MODE") == "SEQUENTIAL" and "PATH" not in segment.meta:
            self.notes.add("ramps have no PATH: their participant transmits", segment.line)
        epoch = self._epochs(segment, keyword)
        # FREQ_OFFSET belongs to RECEIVE_FREQ alone
        frequency = segment.values(keyword) + self._correction(segment, "CORRECTION_TRANSMIT")
        rate = np.zeros(len(epoch))
        rated = keyword.replace("FREQ", "FREQ_RATE")
        if rated in segment.data:
            rates = dict(zip(segment.data[rated].dates, segment.values(rated), strict=True))
            dates = segment.data[keyword].dates
            if not set(rates) <= set(dates):
                line = segment.data[rated].lines[0]
                self.notes.add("a rate without a frequency at its epoch is left out", line)
            rate = np.array([rates.get(date, 0.0) for date in dates])
        key = (segment.participant(index or 1), _band(segment, "TRANSMIT_BAND"))
        self.ramps.setdefault(key, []).append((epoch, frequency, rate))

    def _received(self, segment: Segment, keyword: str, index: int) -> None:
        signal = segment.signal("PATH")
        if index not in (0, signal[-1]):
            line = segment.data[keyword].lines[0]
            self.notes.add(f"rows of {keyword} are left out: the last of PATH receives", line)
            return
        offset = segment.number("FREQ_OFFSET", 0.0)
        offset += self._correction(segment, "CORRECTION_RECEIVE")
        value = segment.values(keyword) + offset
        self._add(segment, keyword, Kind.DOPPLER, self._path(segment, signal), value)

    def _range(self, segment: Segment) -> None:
        unit = 1.0
        if segment.text("RANGE_UNITS", "KM") == "KM":
            self.notes.add(
                "ranges in km are taken as the length of the whole path, there and back",
                segment.data["RANGE"].lines[0],
            )
            unit = 1e3 / C
        value = (segment.values("RANGE") + self._correction(segment, "CORRECTION_RANGE")) * unit
        modulus = segment.number("RANGE_MODULUS", 0.0)
        flag = f"ambiguous by {modulus * unit:.6g} s" if modulus else ""
        path = self._path(segment, segment.signal("PATH"), turned=False)
        self._add(segment, "RANGE", Kind.RANGE, path, value, flag)

    def _path(self, segment: Segment, signal: tuple[int, ...], turned: bool = True) -> SignalPath:
        """Return the path of a signal that one receiver gets.

        Without `turned` the turnaround ratio does not matter, and is zero where
        the file does not state it.
        """
        names = tuple(segment.participant(k) for k in signal)
        up, down = _band(segment, "TRANSMIT_BAND"), _band(segment, "RECEIVE_BAND")
        delays = [
            segment.number(f"{word}_DELAY_{k}", 0.0)
            for word, k in zip(_DELAYS, (signal[0], signal[-1]), strict=True)
        ]
        if len(signal) == 2:
            return SignalPath(names, "", 0.0, "", down, 0.0, delays[1])
        stated = "TURNAROUND_NUMERATOR" in segment.meta
        ratio = self._turnaround(segment, up, down) if turned or stated else 0.0
        inside = [segment.number(f"{word}_DELAY_{signal[1]}", 0.0) for word in _DELAYS]
        return SignalPath(names, "", ratio, up, down, delays[0], delays[1], sum(inside))

    def _turnaround(self, segment: Segment, up: str, down: str) -> float:
        words = ("TURNAROUND_NUMERATOR", "TURNAROUND_DENOMINATOR")
        above, below = (segment.number(word, 0.0) for word in words)
        if not above or not below:
            ratio = _TURNAROUND.get((up, down), 0.0)
            if not ratio:
                raise FormatError(
                    "the turnaround ratio is not stated, nor known from the bands.",
                    place=segment.place("PATH"),
                    next_step="Add TURNAROUND_NUMERATOR and TURNAROUND_DENOMINATOR.",
                )
            self.notes.add(
                f"the turnaround ratio is not stated: that of {up}/{down} is taken", segment.line
            )
            return ratio
        if above % 1.0 or below % 1.0:
            line = segment.meta["TURNAROUND_NUMERATOR"][1]
            self.notes.add("the turnaround ratio is not one of whole numbers", line)
        return above / below

    def _delay(self, segment: Segment, keyword: str) -> None:
        first, second = segment.signal("PATH_1"), segment.signal("PATH_2")
        if first[-2] != second[-2]:
            raise FormatError(
                f"the two paths of {keyword} do not come from one target.",
                place=segment.place("PATH_2"),
                next_step="Write them like PATH_1 = 3,1 and PATH_2 = 3,2.",
            )
        names = tuple(segment.participant(k) for k in (first[-2], first[-1], second[-1]))
        path = SignalPath(names, downlink_band=_band(segment, "RECEIVE_BAND"))
        told = "\n".join(segment.comments)
        pair = PAIR.search(told)
        value = segment.values(keyword)
        name = f"{pair[1]} {keyword}" if pair else ""
        flag = ""
        if keyword == "DOR" and self._dor_form(segment, told) == "ranges":
            if self.range_rate is None:
                self.notes.add(
                    "DOR rows are differences of ranges: flagged unless range rates are known",
                    segment.line,
                )
                flag = UNRESOLVED_RANGES
            else:
                value = self._from_ranges(segment, path, value)
        self._add(segment, keyword, Kind.DELAY, path, value, flag, pair=name)

    def _dor_form(self, segment: Segment, told: str) -> DorForm:
        """Return what the DOR rows of a segment are."""
        if WAVEFRONT in told:
            return "wavefront"
        if RANGES in told:
            return "ranges"
        if self.dor is None:
            self.notes.add(
                "the file does not say whether DOR is a difference of arrivals or of ranges: "
                "arrivals of one wavefront are taken",
                segment.line,
            )
        return self.dor or "wavefront"

    def _from_ranges(self, segment: Segment, path: SignalPath, value: Floats) -> Floats:
        """Return differences of ranges as delays of wavefronts."""
        assert self.range_rate is not None  # the caller has seen to it
        self._add(segment, "DOR", Kind.DELAY, path, value)
        piece = self.pieces.pop()
        return from_ranges(value, self.range_rate(self._observables([piece])))

    def _add(
        self,
        segment: Segment,
        keyword: str,
        kind: Kind,
        path: SignalPath,
        value: Floats,
        flag: str = "",
        pair: str = "",
    ) -> None:
        told = "\n".join(segment.comments)
        sigma = self._sigma(segment, told)
        reason = FLAG.search(told)
        if segment.text("DATA_QUALITY") == DEGRADED:
            flag = reason[1] if reason else "quality degraded"
        if segment.text("TIMETAG_REF") == "TRANSMIT":
            flag = flag or "time tag of transmission"
        count = segment.number("INTEGRATION_INTERVAL", 0.0)
        if kind is Kind.DOPPLER and count <= 0.0:
            flag = flag or NO_COUNT
            self.notes.add(
                f"Doppler without an interval that it is averaged over is flagged {NO_COUNT!r}: "
                "add INTEGRATION_INTERVAL, in s, to the metadata",
                segment.line,
            )
        word = segment.text("INTEGRATION_REF", "MIDDLE")
        if word not in _REFERENCES:
            raise FormatError(
                f"INTEGRATION_REF = {word!r} is not one of {', '.join(_REFERENCES)}.",
                place=segment.place("INTEGRATION_REF"),
                next_step="Write START, MIDDLE or END.",
            )
        piece = _Piece(
            kind,
            path,
            _REFERENCES[word],
            self._epochs(segment, keyword),
            value,
            sigma,
            count,
            flag,
        )
        if pair:
            name, part = pair.split()
            self.pairs.setdefault(name, {})[part] = piece
        else:
            self.pieces.append(piece)

    def _sigma(self, segment: Segment, told: str) -> float:
        """Return the standard deviation that a comment states; NaN where none does."""
        stated = SIGMA.search(told)
        if not stated:
            return np.nan
        try:
            sigma = float(stated[1])
        except ValueError:
            sigma = np.nan
        if not 0.0 < sigma < np.inf:
            self.notes.add(
                "the standard deviation in a comment is not a positive number", segment.line
            )
            return np.nan
        return sigma

    # -- whole sets --------------------------------------------------------

    def _join(self, name: str, parts: dict[str, _Piece]) -> None:
        """Make a delta-DOR of the DOR and VLBI_DELAY rows that a comment ties together."""
        if set(parts) != {"DOR", "VLBI_DELAY"}:
            missing = ({"DOR", "VLBI_DELAY"} - set(parts)).pop()
            raise FormatError(
                f"pair {name} of a delta-DOR has no {missing} rows.",
                place=str(self.path),
                next_step="It may be cut off: get it again.",
            )
        probe, quasar = parts["DOR"], parts["VLBI_DELAY"]
        if len(probe.epoch) != len(quasar.epoch) or np.any(probe.epoch.since(quasar.epoch) != 0.0):
            raise FormatError(
                f"the DOR and VLBI_DELAY rows of pair {name} have other epochs.",
                place=str(self.path),
                next_step="Each DOR row needs a VLBI_DELAY row of its epoch.",
            )
        path = replace(probe.path, reference_source=quasar.path.participants[0])
        value = probe.value - quasar.value
        self.pieces.append(replace(probe, kind=Kind.DELTA_DOR, path=path, value=value))

    def _observables(self, pieces: list[_Piece]) -> Observables:
        epoch = Epoch.concatenate([p.epoch for p in pieces])
        sizes = [len(p.epoch) for p in pieces]
        order = np.lexsort((epoch.second, epoch.day))
        kind, path, reference = pieces[0].key
        return Observables(
            kind=kind,
            path=path,
            epoch=epoch[order],
            value=np.concatenate([p.value for p in pieces])[order],
            sigma=np.repeat([p.sigma for p in pieces], sizes)[order],
            count=np.repeat([p.count for p in pieces], sizes)[order],
            epoch_reference=reference,
            flag=np.repeat(np.array([p.flag for p in pieces], dtype="U64"), sizes)[order],
            origin=str(self.path),
        )

    def _ramps(
        self, key: tuple[str, str], found: list[tuple[Epoch, Floats, Floats]]
    ) -> UplinkRamps:
        epoch = Epoch.concatenate([f[0] for f in found])
        order = np.lexsort((epoch.second, epoch.day))
        station, band = key
        return UplinkRamps(
            station,
            band,
            epoch[order],
            np.concatenate([f[1] for f in found])[order],
            np.concatenate([f[2] for f in found])[order],
            str(self.path),
        )


def _band(segment: Segment, keyword: str) -> str:
    """Return a band, empty where the file does not know it."""
    band = segment.text(keyword)
    return "" if band == "UNKNOWN" else band
