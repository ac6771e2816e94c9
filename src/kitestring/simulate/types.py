"""What is simulated, and the truth that is kept beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel


@dataclass(frozen=True)
class QuasarSignal:
    """A far, unresolved, unpolarised source of noise.

    Attributes
    ----------
    name : str
        Such as ``"J1230+1223"``.
    flux : float
        Flux density, Jy.
    """

    name: str
    flux: float

    def __post_init__(self) -> None:
        _positive("flux", self.flux, self.name)


@dataclass(frozen=True)
class Tone:
    """A line that a spacecraft transmits.

    Attributes
    ----------
    name : str
        Such as ``"carrier"`` or ``"DOR+3.8"``.
    frequency : float
        Transmitted frequency in the spacecraft's proper time, Hz, at the start
        of the signal's `light_time`.
    cn0 : float or mapping of str to float
        Tone power over noise density, dBHz, at every station or by station.
    phase : float
        Phase at the start of the signal's `light_time`, cycles.
    """

    name: str
    frequency: float
    cn0: float | Mapping[str, float]
    phase: float = 0.0

    def __post_init__(self) -> None:
        _positive("frequency", self.frequency, self.name)

    def strength(self, station: str) -> float:
        """Return tone power over noise density at a station, Hz."""
        if isinstance(self.cn0, Mapping):
            if station not in self.cn0:
                raise ConfigurationError(
                    f"tone {self.name!r} has no C/N0 for station {station!r}.",
                    next_step=f"Add it; there are {sorted(self.cn0)}.",
                )
            return float(10.0 ** (self.cn0[station] / 10.0))
        return float(10.0 ** (self.cn0 / 10.0))


@dataclass(frozen=True)
class SpacecraftSignal:
    """Tones of a spacecraft, coherent with one oscillator.

    A wavefront that passes the geocentre at UTC t left the spacecraft when
    theta(t) = t - light_time(t) seconds of its proper time had passed, counted
    such that theta is zero at ``light_time.start``. A tone's phase at that
    wavefront is frequency x (theta + drift theta^2 / 2) cycles.

    Attributes
    ----------
    name : str
        Such as ``"Probe"``.
    tones : tuple of Tone
        The lines.
    light_time : PiecewisePolynomial
        Arrival at the geocentre (UTC) minus proper time of transmission, s, as
        a function of the arrival at the geocentre; its constant does not matter.
    drift : float
        Drift of the oscillator, fraction of the frequency per second.
    """

    name: str
    tones: tuple[Tone, ...]
    light_time: PiecewisePolynomial
    drift: float = 0.0

    def received_frequency(self, tone: str, epoch: Epoch) -> NDArray[np.float64]:
        """Return a tone's frequency as received at the geocentre, Hz (UTC seconds)."""
        frequency = {t.name: t.frequency for t in self.tones}[tone]
        doppler = 1.0 - self.light_time(epoch, 1)
        return frequency * (1.0 + self.drift * epoch.since(self.light_time.start)) * doppler


@dataclass(frozen=True)
class SimulatedStation:
    """A station as it truly is.

    Attributes
    ----------
    name : str
        Name; its recording is written under its first two characters unless
        `code` is given.
    delay : StationDelay
        True delay (with all media folded in) and true clock.
    sefd : float
        System equivalent flux density of the telescope, without the source, Jy.
    channels : tuple of Channel
        Recorded bands, of one sample rate.
    bits : int
        Bits a real or imaginary part.
    lo_phases : tuple of float
        Phase of each channel's local oscillator when the clock reads a whole
        second, rad; it is subtracted from the signal's. Empty: all zero.
    instrumental_delays : tuple of float
        Delay of each channel's signal after the mixer, s (a shift of the
        samples that leaves the radio-frequency phase). Empty: all zero.
    code : str
        Station code of one or two characters for VDIF.
    """

    name: str
    delay: StationDelay
    sefd: float
    channels: tuple[Channel, ...]
    bits: int = 2
    lo_phases: tuple[float, ...] = ()
    instrumental_delays: tuple[float, ...] = ()
    code: str = ""

    def __post_init__(self) -> None:
        _positive("SEFD", self.sefd, self.name)
        if len({(c.sample_rate, c.complex) for c in self.channels}) != 1:
            raise ConfigurationError(
                f"the {len(self.channels)} channels of station {self.name!r} do not share one "
                "sample rate and kind.",
                next_step="Give at least one channel, all real or all complex.",
            )
        for what in ("lo_phases", "instrumental_delays"):
            values = getattr(self, what) or (0.0,) * len(self.channels)
            if len(values) != len(self.channels):
                raise ConfigurationError(
                    f"{len(values)} {what} were given for the {len(self.channels)} channels of "
                    f"station {self.name!r}.",
                    next_step="Give one a channel, or none.",
                )
            object.__setattr__(self, what, tuple(values))
        if not self.code:
            object.__setattr__(self, "code", self.name[:2])

    @property
    def sample_rate(self) -> float:
        """Samples per second."""
        return self.channels[0].sample_rate


class CodeSink(Protocol):
    """Where a station's quantised samples go."""

    def write_codes(self, codes: NDArray[Any]) -> None:
        """Take the next samples, offset binary, shape (channel, n) or (channel, 2 n)."""

    def close(self) -> None:
        """End the recording."""


@dataclass(frozen=True)
class ScanTruth:
    """What was put into a simulated scan.

    Attributes
    ----------
    scan : str
        Name of the scan.
    source : QuasarSignal or SpacecraftSignal
        What was observed.
    stations : tuple of SimulatedStation
        The stations with their true delays, clocks and phases.
    start : Epoch
        Clock reading of each station's first sample, UTC.
    duration : float
        Length, s.
    seed : int
        Seed of all noise.
    recordings : mapping of str to str
        Files by station, where files were written.
    """

    scan: str
    source: QuasarSignal | SpacecraftSignal
    stations: tuple[SimulatedStation, ...]
    start: Epoch
    duration: float
    seed: int
    recordings: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> DelayModel:
        """The true delays as a delay model."""
        delays = {s.name: s.delay for s in self.stations}
        return DelayModel(self.scan, self.source.name, delays, {"origin": "truth"})

    def to_json(self) -> str:
        """Return everything as JSON text; polynomials keep all digits."""
        return json.dumps(_plain(self), indent=1)

    def write(self, path: str | Path) -> None:
        """Write `to_json` to a file."""
        Path(path).write_text(self.to_json() + "\n")


def _plain(value: Any) -> Any:
    """Return numbers, texts, lists and dictionaries in place of our own types."""
    if isinstance(value, Epoch):
        return {"scale": value.scale, "day": value.day.tolist(), "second": value.second.tolist()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Channel):
        return asdict(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def _positive(what: str, value: float, name: str) -> None:
    if not value > 0 or not np.isfinite(value):
        raise ConfigurationError(
            f"the {what} of {name!r} is {value}.", next_step="Give a positive number."
        )
