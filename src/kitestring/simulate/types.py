"""What is simulated, and the truth that is kept beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel

_LARGEST_INDEX = 10.0  # rad
_STRONGEST = 400.0  # dBHz; the weakest line of a carrier is 240 dB below it
_MOST_TONES = 1000  # of phase calibration in a channel
_CROSSED = (("R", "L"), ("X", "Y"), ("H", "V"))


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
    frequency : float or Fraction
        Transmitted frequency in the spacecraft's proper time, Hz, at the start
        of the signal's `light_time`.
    cn0 : float or mapping of str to float
        Tone power over noise density, dBHz, at every station or by station.
    phase : float
        Phase at the start of the signal's `light_time`, cycles.
    """

    name: str
    frequency: float | Fraction
    cn0: float | Mapping[str, float]
    phase: float = 0.0

    def __post_init__(self) -> None:
        _positive("frequency", float(self.frequency), self.name)

    def strength(self, station: str) -> float:
        """Return tone power over noise density at a station, Hz."""
        return _strength(self.name, self.cn0, station)


@dataclass(frozen=True)
class Telemetry:
    """Bits that turn the phase of a carrier to and fro.

    The phase is ``index`` x d x w: d is +1 or -1 for a bit, w the subcarrier's
    wave, or 1 where there is none. Bits are drawn from the simulation's seed, by
    their number since the signal's `light_time` starts.

    Attributes
    ----------
    index : float
        Modulation index, rad.
    bit_rate : float
        Bits (or symbols) per second of the transmitter's time.
    subcarrier : float
        Its frequency, Hz; 0 where bits modulate the carrier itself.
    wave : {"square", "sine"}
        The subcarrier's.
    """

    index: float
    bit_rate: float
    subcarrier: float = 0.0
    wave: Literal["square", "sine"] = "square"

    def __post_init__(self) -> None:
        _positive("bit rate", self.bit_rate, "telemetry")
        if not (np.isfinite(self.index) and 0.0 <= self.subcarrier < np.inf):
            raise ConfigurationError(
                f"telemetry with index {self.index} on a subcarrier of {self.subcarrier} Hz "
                "cannot be.",
                next_step="Give the index in radians and the subcarrier in Hz.",
            )


@dataclass(frozen=True)
class ModulatedCarrier:
    """A carrier whose phase is modulated by sine waves and by telemetry.

    The transmitted wave is exp(i [2 pi f theta + sum of m sin(2 pi g theta) +
    telemetry]), theta the transmitter's time. All of its power stays the same;
    how much of it each line has follows from the indices
    (`kitestring.simulate.modulation.lines_of`).

    Attributes
    ----------
    frequency : float
        Transmitted frequency f, Hz, at the start of the signal's `light_time`.
    cn0 : float or mapping of str to float
        Power of carrier and all sidebands together over noise density, dBHz.
    tones : tuple of (float, float)
        Frequency g, Hz, and modulation index m, rad, of each sine wave.
    telemetry : Telemetry or None
        Bits.
    """

    frequency: float
    cn0: float | Mapping[str, float]
    tones: tuple[tuple[float, float], ...] = ()
    telemetry: Telemetry | None = None

    def __post_init__(self) -> None:
        _positive("frequency", self.frequency, "carrier")
        for frequency, index in self.tones:
            _positive("frequency", frequency, "modulating tone")
            if not 0.0 <= index < _LARGEST_INDEX:
                raise ConfigurationError(
                    f"a modulation index of {index} rad cannot be.",
                    next_step=f"Give 0 to {_LARGEST_INDEX:g} rad.",
                )

    def strength(self, station: str) -> float:
        """Return power over noise density at a station, Hz."""
        return _strength("carrier", self.cn0, station)


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
        Lines that stand alone.
    light_time : PiecewisePolynomial
        Arrival at the geocentre (UTC) minus proper time of transmission, s, as
        a function of the arrival at the geocentre; its constant does not matter.
        Where the signal is coherent with an uplink, the transmission is that of
        the uplink, and frequencies are those of it times the turnaround ratio.
    drift : float
        Drift of the oscillator, fraction of the frequency per second.
    modulated : ModulatedCarrier or None
        A carrier with its sidebands.
    polarization : str
        As of `Channel`; empty: all channels receive it in full. Channels of the
        other hand or the crossed plane receive nothing, those of the other basis half.
    """

    name: str
    tones: tuple[Tone, ...]
    light_time: PiecewisePolynomial
    drift: float = 0.0
    modulated: ModulatedCarrier | None = None
    polarization: str = ""

    def share(self, channel: Channel) -> float:
        """Return which part of the power a channel receives by its polarization."""
        mine, its = self.polarization, channel.polarization
        if not mine or not its or mine == its:
            return 1.0
        return 0.0 if any(mine in pair and its in pair for pair in _CROSSED) else 0.5

    def received_frequency(self, tone: str, epoch: Epoch) -> NDArray[np.float64]:
        """Return a tone's frequency as received at the geocentre, Hz (UTC seconds).

        The modulated carrier is the tone ``"carrier"``.
        """
        known = {t.name: t.frequency for t in self.tones}
        if self.modulated is not None:
            known["carrier"] = self.modulated.frequency
        frequency = float(known[tone])
        doppler = 1.0 - self.light_time(epoch, 1)
        return frequency * (1.0 + self.drift * epoch.since(self.light_time.start)) * doppler


@dataclass(frozen=True)
class LocalTone:
    """A line that a station adds itself, or an interference: it follows the station's clock.

    Attributes
    ----------
    frequency : float
        Sky frequency, Hz of the station's clock.
    cn0 : float
        Power over noise density, dBHz.
    phase : float
        When the clock reads midnight, cycles.
    """

    frequency: float
    cn0: float
    phase: float = 0.0

    def __post_init__(self) -> None:
        _positive("frequency", self.frequency, "line")

    @property
    def strength(self) -> float:
        """Power over noise density, Hz."""
        return _strength("line", self.cn0, "")


@dataclass(frozen=True)
class PhaseCalTones:
    """Phase-calibration tones, put in before the receiver.

    Attributes
    ----------
    spacing, offset : float
        They stand at the sky frequencies offset + k spacing, Hz.
    cn0 : float
        Power over noise density of each, dBHz.
    delay : float
        Of the cable that brings them from the clock, s: a tone at f comes with
        the phase -f x delay.
    """

    spacing: float
    offset: float = 0.0
    cn0: float = 35.0
    delay: float = 0.0

    def __post_init__(self) -> None:
        _positive("spacing", self.spacing, "phase_cal")

    def tones(self, channel: Channel) -> tuple[LocalTone, ...]:
        """Return the tones that lie inside a channel."""
        low, high = channel.sky_edges
        first = int(np.floor((low - self.offset) / self.spacing)) + 1
        last = int(np.ceil((high - self.offset) / self.spacing))
        if last - first > _MOST_TONES:
            raise ConfigurationError(
                f"a spacing of {self.spacing:g} Hz puts {last - first} tones of phase calibration "
                f"into channel {channel.name}.",
                next_step=f"Give {channel.bandwidth / _MOST_TONES:g} Hz or more.",
            )
        found = []
        for k in range(first, last):
            frequency = self.offset + k * self.spacing
            turned = float(-Fraction(frequency) * Fraction(self.delay) % 1)
            found.append(LocalTone(frequency, self.cn0, turned))
        return tuple(found)


@dataclass(frozen=True)
class Bandpass:
    """What a receiver does to each channel: gain and phase over its band.

    x is the sky frequency minus that of the band's middle, u = x / bandwidth.
    The gain's mean square over the band is made 1.

    Attributes
    ----------
    edge : float
        Part of the band, at either edge, over which the gain falls to zero.
    slope : float
        Gain at the upper minus gain at the lower edge, dB.
    ripple, ripple_period : float
        Gain adds ripple x cos(2 pi x / period), dB and Hz.
    phase_ripple, phase_period : float
        The phase adds phase_ripple x sin(2 pi x / period), rad and Hz.
    """

    edge: float = 0.0
    slope: float = 0.0
    ripple: float = 0.0
    ripple_period: float = 1e6
    phase_ripple: float = 0.0
    phase_period: float = 1e6

    def __post_init__(self) -> None:
        _positive("ripple_period", self.ripple_period, "bandpass")
        _positive("phase_period", self.phase_period, "bandpass")
        if not 0.0 <= self.edge <= 0.5:
            raise ConfigurationError(
                f"a band cannot fall over {self.edge} of itself at either edge.",
                next_step="Give 0 to 0.5.",
            )


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
    dispersion : PiecewisePolynomial or None
        What plasma adds: groups of frequency f arrive dispersion / f^2 later than
        `delay` says, phases as much earlier; s Hz^2 over the arrival at the geocentre.
    bandpass : Bandpass or None
        Gain and phase of every channel's receiver.
    phase_cal : PhaseCalTones or None
        Phase-calibration tones.
    interference : tuple of LocalTone
        Lines that only this station receives.
    dead : tuple of int
        Channels, by index, whose sampler sees nothing.
    outages : tuple of (float, float)
        From and to, s of the clock after the scan's start: recorders of SigMF take no
        samples, and go on with a new capture. (VDIF's: `kitestring.simulate.faults`.)
    signed : bool
        Whether samples of 8 or 16 bits are signed integers, as in SigMF, in which a
        directory's recordings are then written, instead of VDIF's offset binary.
    """

    name: str
    delay: StationDelay
    sefd: float
    channels: tuple[Channel, ...]
    bits: int = 2
    lo_phases: tuple[float, ...] = ()
    instrumental_delays: tuple[float, ...] = ()
    code: str = ""
    dispersion: PiecewisePolynomial | None = None
    bandpass: Bandpass | None = None
    phase_cal: PhaseCalTones | None = None
    interference: tuple[LocalTone, ...] = ()
    dead: tuple[int, ...] = ()
    outages: tuple[tuple[float, float], ...] = ()
    signed: bool = False

    def __post_init__(self) -> None:
        _positive("SEFD", self.sefd, self.name)
        if self.signed and self.bits not in (8, 16):
            raise ConfigurationError(
                f"signed samples of {self.bits} bits of {self.name!r} cannot be written.",
                next_step="Use 8 or 16 bits for SigMF.",
            )
        if self.outages and not self.signed:
            raise ConfigurationError(
                f"outages of {self.name!r} are those of a recorder of SigMF.",
                next_step="Damage the VDIF file instead (kitestring.simulate.faults).",
            )
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

    @property
    def datatype(self) -> str:
        """SigMF's name of the samples."""
        kind = "c" if self.channels[0].complex else "r"
        return f"{kind}i8" if self.bits == 8 else f"{kind}i16_le"

    def taken(self, first: int, count: int) -> NDArray[np.bool_] | None:
        """Return which samples from `first` on no outage takes, shape (count,); None for all."""
        if not self.outages:
            return None
        time = (first + np.arange(count)) / self.sample_rate
        taken = np.ones(count, dtype=np.bool_)
        for begin, end in self.outages:
            taken &= (time < begin) | (time >= end)
        return taken

    def local_tones(self, channel: int) -> tuple[LocalTone, ...]:
        """Return the lines that the station adds to a channel."""
        band = self.channels[channel]
        low, high = band.sky_edges
        own = self.phase_cal.tones(band) if self.phase_cal else ()
        return own + tuple(t for t in self.interference if low < t.frequency < high)


class CodeSink(Protocol):
    """Where a station's quantised samples go."""

    def write_codes(self, codes: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> None:
        """Take the next samples, shape (channel, n) or (channel, 2 n).

        They are offset binary, or signed integers of stations that are `signed`; `valid`
        comes with stations that have outages only.
        """

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
    if isinstance(value, Fraction):
        return float(value)
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


def _strength(name: str, cn0: float | Mapping[str, float], station: str) -> float:
    if isinstance(cn0, Mapping):
        if station not in cn0:
            raise ConfigurationError(
                f"tone {name!r} has no C/N0 for station {station!r}.",
                next_step=f"Add it; there are {sorted(cn0)}.",
            )
        cn0 = cn0[station]
    if not abs(cn0) <= _STRONGEST:
        raise ConfigurationError(
            f"a C/N0 of {cn0} dBHz of {name!r} cannot be.",
            next_step=f"Give -{_STRONGEST:g} to {_STRONGEST:g} dBHz.",
        )
    return float(10.0 ** (cn0 / 10.0))
