"""Sees that what a scenario says has an effect: what would be ignored is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kitestring.errors import ConfigurationError
from kitestring.recordings.types import Channel
from kitestring.session.simulation_file import FaultSection, Scenario, TrueStationSection
from kitestring.simulate.faults import KINDS
from kitestring.simulate.modulation import lines_of
from kitestring.simulate.types import ModulatedCarrier, PhaseCalTones

_LONGEST = 10 * 86400.0  # s, of a scan; what is longer is a slip of units
_DOPPLER = 1e-3  # of a frequency: 300 km/s


def check_scenario(given: Scenario, name: Callable[[str], str]) -> None:
    """See that a scenario speaks of stations, scans, sources and times that there are.

    Parameters
    ----------
    given : Scenario
        The scenario.
    name : callable
        Gives a station's name in the catalogue.

    Raises
    ------
    ConfigurationError
        For what is said twice, contradicts itself or would be ignored.
    UnknownNameError
        For a station that the catalogue does not hold.
    """
    checks = _Checks(given, name)
    checks.scans()
    checks.stations()
    checks.sources()
    checks.powers()
    for fault in given.truth.fault:
        checks.fault(fault)
    for station in given.truth.station:
        checks.jumps(station)


@dataclass(frozen=True)
class _Checks:
    """A scenario and how its stations are called in the catalogue."""

    given: Scenario
    name: Callable[[str], str]

    def refuse(self, message: str, next_step: str) -> ConfigurationError:
        return ConfigurationError(message, place=str(self.given.path), next_step=next_step)

    def one_of(self, what: str, given: Iterable[str], known: Sequence[str]) -> None:
        for each in given:
            if each not in known:
                raise self.refuse(
                    f"{what} {each!r}, which is not listed.",
                    f"There are {', '.join(sorted(set(known)))}.",
                )

    def once(self, what: str, names: Sequence[str]) -> None:
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise self.refuse(f"{what} of {twice[0]!r}.", "Keep one of the two.")

    @property
    def recording(self) -> list[str]:
        """Stations that record."""
        return [self.name(s.name) for s in self.given.truth.station]

    def scans(self) -> None:
        for scan in self.given.session.scan:
            if scan.duration > _LONGEST:
                raise self.refuse(
                    f"scan {scan.name} lasts {scan.duration:g} s.", "Give its duration in seconds."
                )

    def stations(self) -> None:
        self.once("two [[truth.station]] are the same station: there are two", self.recording)

    def sources(self) -> None:
        session, stated = self.given.session, [s.name for s in self.given.truth.source]
        self.one_of("[[truth.source]] is of", stated, [s.source for s in session.scan])
        self.once("there are two [[truth.source]]", stated)
        if session.target is not None and session.target.name in stated:
            raise self.refuse(
                f"[[truth.source]] is of {session.target.name!r}, which is the target.",
                "Leave it out: the target's power is cn0 in [truth.signal].",
            )

    def powers(self) -> None:
        signal = self.given.truth.signal
        if signal is not None and isinstance(signal.cn0, dict):
            names = [self.name(s) for s in signal.cn0]
            self.one_of("[truth.signal] has a cn0 of station", names, self.recording)
            self.once("[truth.signal] has two cn0", names)

    def fault(self, fault: FaultSection) -> None:
        scans = {s.name: s.duration for s in self.given.session.scan}
        names = [self.name(s) for s in fault.stations]
        self.one_of("a fault is of station", names, self.recording)
        self.one_of("a fault is of scan", fault.scans, list(scans))
        if not (fault.missing or fault.outages or any(getattr(fault, kind) for kind in KINDS)):
            raise self.refuse(
                "a [[truth.fault]] says of nothing that it happens.",
                f"Give it one of missing, outages, {', '.join(KINDS)}, or leave it out.",
            )
        longest = max(scans[s] for s in fault.scans or scans)
        for begin, end in fault.outages:
            if end <= 0.0 or begin >= longest:
                raise self.refuse(
                    f"an outage from {begin:g} to {end:g} s lies in no scan that it is of.",
                    f"Give s after a scan's start; the longest lasts {longest:g} s.",
                )

    def jumps(self, station: TrueStationSection) -> None:
        spans = [s.span for s in self.given.session.scan]
        first = min((a for a, _ in spans), key=lambda e: float(e.since(spans[0][0])))
        last = max((b for _, b in spans), key=lambda e: float(e.since(first)))
        for jump in station.clock.jump:
            if not 0.0 < float(jump.at.since(first)) < float(last.since(first)):
                raise self.refuse(
                    f"the clock of {station.name} jumps at {jump.at.iso(3)} UTC, when no scan "
                    "would tell.",
                    f"Let it jump between {first.iso(3)} and {last.iso(3)}.",
                )


def check_station(
    given: Scenario, section: TrueStationSection, channels: Sequence[Channel]
) -> None:
    """See that what a station adds lies in a channel, and polarizations can be swapped.

    Parameters
    ----------
    given : Scenario
        Has the station.
    section : TrueStationSection
        The station.
    channels : sequence of Channel
        What it truly records.

    Raises
    ------
    ConfigurationError
        It names the file and the station.
    """
    checks = _Checks(given, str)
    if section.swapped_polarization:
        if section.polarization:
            raise checks.refuse(
                f"{section.name} has swapped_polarization and a polarization.",
                "Keep one of the two.",
            )
        if not any(c.polarization for c in channels):
            raise checks.refuse(
                f"{section.name} swaps polarizations, and its channels have none.",
                f'Give the channels of setup {section.setup!r} polarization = "R", "L" or others.',
            )
    for line in section.interference:
        if not any(low < line.frequency < high for low, high in (c.sky_edges for c in channels)):
            raise checks.refuse(
                f"an interference of {section.name} at {line.frequency:.9g} Hz lies in none of "
                "its channels.",
                "Give its sky frequency in Hz, or leave it out.",
            )
    cal = section.phase_cal
    if cal is not None:
        comb = PhaseCalTones(cal.spacing, cal.offset, cal.cn0, cal.delay)
        if not any(comb.tones(c) for c in channels):
            raise checks.refuse(
                f"no tone of the phase calibration of {section.name} lies in its channels.",
                f"They stand at {cal.offset:g} + k x {cal.spacing:g} Hz of sky frequency.",
            )


def check_signal(given: Scenario, carrier: ModulatedCarrier, channels: Iterable[Channel]) -> None:
    """See that some channel may receive a line of the target.

    Parameters
    ----------
    given : Scenario
        Has the signal.
    carrier : ModulatedCarrier
        What is transmitted, as told.
    channels : iterable of Channel
        What all stations record.

    Raises
    ------
    ConfigurationError
        It names the file and the carrier.
    """
    bands = {c.sky_edges for c in channels}
    reach = _DOPPLER * carrier.frequency
    lines = [carrier.frequency + float(line.apart) for line in lines_of(carrier)]
    if not any(low - reach < f < high + reach for f in lines for low, high in bands):
        raise _Checks(given, str).refuse(
            f"nothing of a signal at {carrier.frequency:.9g} Hz lies in any channel.",
            "Look at the carrier ([tones] or [truth.signal]) and at [setup].",
        )
