"""Writes observables and ramps as a Tracking Data Message (`kitestring.formats.tdm`)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kitestring._write import write_atomically
from kitestring.errors import ConfigurationError, UnknownNameError
from kitestring.model.observable import Kind
from kitestring.model.sources import get_source
from kitestring.model.time import Epoch
from kitestring.observables.types import Observables, UplinkRamps

Floats = NDArray[np.float64]
Meta = dict[str, str]

# Comments that `read_tdm` understands
WAVEFRONT = "Values are differences of arrivals of one wavefront"
RANGES = "Values are differences of ranges at one reception time"
PAIR = re.compile(r"delta-DOR pair (\d+):")
SIGMA = re.compile(r"Standard deviation of every row: (\S+)")
FLAG = re.compile(r"Not to be used: (.+)")
DEGRADED = "DEGRADED"

_DIGITS = 12  # of a second: epochs are kept to 15 ps
_LONGEST = 200  # characters of a comment; a line may have 254


def write_tdm(
    path: Path | str,
    observables: Sequence[Observables],
    ramps: Sequence[UplinkRamps] = (),
    *,
    originator: str = "KITESTRING",
    created: Epoch | None = None,
    comments: Sequence[str] = (),
    dor: Literal["wavefront", "ranges"] = "wavefront",
    range_rate: Callable[[Observables], Floats] | None = None,
    reference_delay: Callable[[Observables], Floats] | None = None,
) -> None:
    """Write a tracking data message, version 2.0.

    Parameters
    ----------
    path : Path or str
        The file to be written; it appears whole or not at all.
    observables : sequence of Observables
        Doppler as RECEIVE_FREQ, range as RANGE in s, delays of a spacecraft
        as DOR and of a catalogued source as VLBI_DELAY (PATH_2 minus PATH_1,
        which is tau = t2 - t1). A delta-DOR becomes DOR rows of the
        spacecraft and VLBI_DELAY rows of the quasar that a comment ties
        together. Flagged rows go into segments of degraded quality with the
        reason in a comment. A sigma that all rows share stands in a comment,
        others do not survive. Rows without a value (NaN) are left out; a
        comment of the header counts them.
    ramps : sequence of UplinkRamps
        What stations transmitted; empty tables are left out.
    originator : str
        Who makes the file.
    created : Epoch, optional
        Creation date; now unless given.
    comments : sequence of str
        For the header.
    dor : {"wavefront", "ranges"}
        What DOR rows shall be: differences of arrivals of one wavefront, or
        of ranges at one reception time, as CCSDS words it.
    range_rate : callable, optional
        Rate of the light time to station 2 (s/s) at the rows of a set, for
        `dor` = "ranges".
    reference_delay : callable, optional
        Delays of the quasar (s) at the rows of a delta-DOR set. Without it
        only the difference is known: the quasar's rows are 0, and say so.

    Raises
    ------
    ConfigurationError
        For what a TDM cannot hold.
    """
    now = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S}"
    when = now if created is None else created.to("utc").iso(3)
    writer = _Writer(dor, range_rate, reference_delay)
    segments, missing = [], []
    for table in ramps:
        segments += _ramp_segment(table)
    for o in observables:
        segments += writer.segments(o)
        count = np.count_nonzero(~np.isfinite(o.value))
        if count:
            missing.append(f"Left out without a value: {count} rows of {o.kind}, {o.path}")
    if not segments:
        raise ConfigurationError(
            "there is nothing to write.",
            place=str(path),
            next_step="Give observables that have values, or ramps.",
        )
    lines = [
        "CCSDS_TDM_VERS = 2.0",
        *_comment([*comments, *missing]),
        f"CREATION_DATE = {when}",
        f"ORIGINATOR = {originator}",
        *segments,
    ]
    text = "\n".join(lines) + "\n"
    write_atomically(path, text.encode("ascii", "replace").decode("ascii"))


def _comment(texts: Iterable[str]) -> list[str]:
    """Return comment lines, long ones broken at blanks."""
    lines = []
    for text in texts:
        line = "COMMENT"
        for word in text.split():
            if len(line) + len(word) > _LONGEST:
                lines.append(line)
                line = "COMMENT"
            line += f" {word}"
        lines.append(line)
    return lines


def _name(participant: str) -> str:
    """Return a participant's name without blanks."""
    return participant.strip().replace(" ", "_")


def _stamps(epoch: Epoch) -> list[str]:
    """Return time tags in UTC, without needless zeros."""
    texts = epoch.to("utc").iso_list(_DIGITS)
    return [t.rstrip("0").rstrip(".") for t in texts]


def _segment(meta: Meta, comments: Sequence[str], rows: Iterable[str]) -> list[str]:
    told = [f"{key} = {value}" for key, value in meta.items() if value]
    return [
        "META_START",
        *_comment(comments),
        *told,
        "META_STOP",
        "DATA_START",
        *rows,
        "DATA_STOP",
    ]


def _ramp_segment(ramps: UplinkRamps) -> list[str]:
    if not len(ramps.epoch):
        return []
    stamps = _stamps(ramps.epoch)
    meta = {
        "TIME_SYSTEM": "UTC",
        "START_TIME": stamps[0],
        "STOP_TIME": stamps[-1],
        "PARTICIPANT_1": _name(ramps.station),
        "TRANSMIT_BAND": ramps.band,
        "TIMETAG_REF": "TRANSMIT",
    }
    rows = []
    for stamp, frequency, rate in zip(
        stamps, ramps.frequency.tolist(), ramps.rate.tolist(), strict=True
    ):
        rows.append(f"TRANSMIT_FREQ_1 = {stamp} {frequency!r}")
        rows.append(f"TRANSMIT_FREQ_RATE_1 = {stamp} {rate!r}")
    comment = "Frequency at the epoch, rate from there to the next; the last piece has no end."
    return _segment(meta, [comment], rows)


@dataclass(eq=False)
class _Writer:
    """Writes sets of observables; numbers the pairs of delta-DOR."""

    dor: str
    range_rate: Callable[[Observables], Floats] | None
    reference_delay: Callable[[Observables], Floats] | None
    pairs: int = 0

    def segments(self, observables: Observables) -> list[str]:
        """Return the segments of one set: rows of one count and one flag make a segment."""
        lines: list[str] = []
        keys = list(zip(observables.count.tolist(), observables.flag.tolist(), strict=True))
        held = np.isfinite(observables.value)
        for key in dict.fromkeys(keys):
            rows = np.array([k == key for k in keys]) & held
            if not rows.any():
                continue
            o = replace(
                observables,
                epoch=observables.epoch[rows],
                value=observables.value[rows],
                sigma=observables.sigma[rows],
                count=observables.count[rows],
                flag=observables.flag[rows],
                covariance=None,
            )
            lines += self._delta_dor(o) if o.kind is Kind.DELTA_DOR else self._plain(o)
        return lines

    def _plain(self, o: Observables) -> list[str]:
        if o.kind is Kind.DOPPLER:
            keyword, comment = "RECEIVE_FREQ", "Sky frequency averaged over the interval."
        elif o.kind is Kind.RANGE:
            keyword, comment = "RANGE", "Light time over the whole path."
        elif o.kind is Kind.DELAY:
            return self._delay(o)
        else:
            raise ConfigurationError(
                f"a TDM has no rows for a {o.kind}.",
                place=str(o.path),
                next_step="Leave these observables out, or keep them in a table.",
            )
        return _segment(*_described(o, keyword, [comment]), _rows(keyword, o, o.value))

    def _delay(self, o: Observables) -> list[str]:
        try:
            get_source(o.path.participants[0])
        except UnknownNameError:
            return self._dor(o, [])
        return _segment(*_described(o, "VLBI_DELAY", []), _rows("VLBI_DELAY", o, o.value))

    def _dor(self, o: Observables, comments: list[str]) -> list[str]:
        value, form = o.value, WAVEFRONT
        if self.dor == "ranges":
            if self.range_rate is None:
                raise ConfigurationError(
                    "differences of ranges need the range rate.",
                    place=str(o.path),
                    next_step="Give range_rate, or write arrivals of one wavefront.",
                )
            value, form = value * (1.0 - self.range_rate(o)), RANGES
        elif self.dor != "wavefront":
            raise ConfigurationError(
                f"dor = {self.dor!r} is not known.", next_step="Use 'wavefront' or 'ranges'."
            )
        told = [
            f"{form}, PATH_2 minus PATH_1; time tags are arrivals at the end of PATH_1.",
            *comments,
        ]
        return _segment(*_described(o, "DOR", told), _rows("DOR", o, value))

    def _delta_dor(self, o: Observables) -> list[str]:
        self.pairs += 1
        probe, *stations = o.path.participants
        source = o.path.reference_source
        told = [
            f"delta-DOR pair {self.pairs}: DOR of {_name(probe)} minus VLBI_DELAY of "
            f"{_name(source)} at the same epoch."
        ]
        if self.reference_delay is None:
            if self.dor == "ranges":
                raise ConfigurationError(
                    "a delta-DOR of ranges needs the delays of the quasar.",
                    place=str(o.path),
                    next_step="Give reference_delay, or write arrivals of one wavefront.",
                )
            reference = np.zeros(len(o))
            told.append(
                "Only this difference was measured: VLBI_DELAY rows are 0, and a DOR row alone is "
                "not the delay of the spacecraft."
            )
        else:
            reference = self.reference_delay(o)
        plain = replace(o.path, reference_source="")
        lines = self._dor(replace(o, path=plain, value=o.value + reference), told)
        path = replace(plain, participants=(source, *stations))
        quasar = replace(o, path=path, sigma=np.full(len(o), np.nan))
        meta, comments = _described(quasar, "VLBI_DELAY", told)
        return lines + _segment(meta, comments, _rows("VLBI_DELAY", quasar, reference))


def _rows(keyword: str, o: Observables, value: Floats) -> list[str]:
    pairs = zip(_stamps(o.epoch), value.tolist(), strict=True)
    return [f"{keyword} = {stamp} {number!r}" for stamp, number in pairs]


def _described(o: Observables, keyword: str, comments: list[str]) -> tuple[Meta, list[str]]:
    """Return metadata and comments of rows that share count and flag."""
    path, names = o.path, [_name(p) for p in o.path.participants]
    stamps = _stamps(Epoch.concatenate([o.epoch.first(), o.epoch.last()]))
    meta = {"DATA_TYPES": keyword, "TIME_SYSTEM": "UTC"}
    meta |= {"START_TIME": stamps[0], "STOP_TIME": stamps[1]}
    if keyword in ("DOR", "VLBI_DELAY"):
        target, station1, station2 = names
        meta |= {"PARTICIPANT_1": station1, "PARTICIPANT_2": station2, "PARTICIPANT_3": target}
        meta |= {"MODE": "SINGLE_DIFF", "PATH_1": "3,1", "PATH_2": "3,2"}
        signal: list[int] = []  # two of them: no delay on the way belongs to both
    else:
        unique = list(dict.fromkeys(names))
        meta |= {f"PARTICIPANT_{k}": name for k, name in enumerate(unique, 1)}
        signal = [unique.index(name) + 1 for name in names]
        meta |= {"MODE": "SEQUENTIAL", "PATH": ",".join(str(k) for k in signal)}
    meta |= {"TRANSMIT_BAND": path.uplink_band, "RECEIVE_BAND": path.downlink_band}
    if path.turnaround:
        above, below = _ratio(path.turnaround)
        meta |= {"TURNAROUND_NUMERATOR": above, "TURNAROUND_DENOMINATOR": below}
    meta["TIMETAG_REF"] = "RECEIVE"
    if o.count[0]:
        meta["INTEGRATION_INTERVAL"] = repr(float(o.count[0]))
        meta["INTEGRATION_REF"] = o.epoch_reference.upper()
    if keyword == "RANGE":
        meta |= {"RANGE_MODULUS": "0.0", "RANGE_UNITS": "s"}
    if signal and path.transmit_delay:
        meta[f"TRANSMIT_DELAY_{signal[0]}"] = repr(path.transmit_delay)
    if signal and path.receive_delay:
        meta[f"RECEIVE_DELAY_{signal[-1]}"] = repr(path.receive_delay)
    if path.transponder_delay and len(signal) == 3:  # the whole of it: the format has one each way
        meta[f"TRANSMIT_DELAY_{signal[1]}"] = repr(path.transponder_delay)
    told = list(comments)
    if o.flag[0]:
        meta["DATA_QUALITY"] = DEGRADED
        told.append(f"Not to be used: {o.flag[0]}")
    sigmas = np.unique(o.sigma[np.isfinite(o.sigma)])
    if len(sigmas) == 1 and np.all(np.isfinite(o.sigma)):
        told.append(f"Standard deviation of every row: {float(sigmas[0])!r}")
    elif len(sigmas):
        told.append(f"Standard deviations lie from {sigmas[0]:.3g} to {sigmas[-1]:.3g}")
    return meta, told


def _ratio(turnaround: float) -> tuple[str, str]:
    """Return a ratio as whole numbers where it is one to a few units of the last digit."""
    near = Fraction(turnaround).limit_denominator(10_000)
    if abs(float(near) / turnaround - 1.0) < 1e-15:
        return str(near.numerator), str(near.denominator)
    return repr(turnaround), "1"
