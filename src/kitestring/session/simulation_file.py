"""The scenario file of a simulation: a session file without recordings, and the truth beside it.

What stands outside ``[truth]`` is what the processing will be told; it goes into
``session.toml`` as it is. What stands in ``[truth]`` is hidden from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from kitestring._toml import read_toml
from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch
from kitestring.session.file import IonosphereSection, JumpSection, Session, TroposphereSection
from kitestring.session.sections import (
    Positive,
    Section,
    Vector,
    WhenTdb,
    epoch_of,
    explain,
)
from kitestring.simulate.faults import KINDS

Fraction01 = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
# what lies beyond is a slip of units, and would end in numbers that are none
Hertz = Annotated[float, Field(gt=0, le=1e13)]
Jansky = Annotated[float, Field(gt=0, le=1e12)]
Degrees = Annotated[float, Field(ge=-3600, le=3600)]
Cn0 = Annotated[float, Field(ge=-100, le=200)]
Decibels = Annotated[float, Field(ge=-60, le=60)]
Seconds = Annotated[float, Field(ge=-0.5, le=0.5)]


def _safe(name: str) -> str:
    if not name or any(c in name for c in '/\\:*?"<>|') or name.startswith("."):
        raise ValueError(f'{name!r} names files: leave out / \\ : * ? " < > |')
    return name


FileName = Annotated[str, AfterValidator(_safe)]


class BurnSection(Section):
    """A burn so short that only the velocity jumps."""

    epoch: WhenTdb
    """When, TDB, without a time zone."""
    delta_v: Vector
    """Change of the velocity, ICRF axes, m/s."""

    @property
    def at(self) -> Epoch:
        """When, TDB."""
        return epoch_of(self.epoch, "tdb")


class TrueTargetSection(Section):
    """Where the target truly is: off the session's state, in a file, or on a body."""

    position: Vector = (0.0, 0.0, 0.0)
    """Added to the session's position, m."""
    velocity: Vector = (0.0, 0.0, 0.0)
    """Added to the session's velocity, m/s."""
    draw: bool = False
    """Whether an error drawn from the session's sigmas is added as well."""
    burn: list[BurnSection] = Field(default_factory=list)
    file: str | None = None
    """An OEM or SPK file, in place of the session's state."""
    object: str | None = None
    """Which object, where the file holds several."""
    body: Literal["MARS"] | None = None
    """What a lander stands on, in place of the session's state."""
    place: Vector | None = None
    """Where it stands, body-fixed axes, m."""

    @model_validator(mode="after")
    def _is_one(self) -> TrueTargetSection:
        if (self.body is None) != (self.place is None):
            raise ValueError('body = "MARS" and place = [x, y, z] belong together')
        if self.file and self.body:
            raise ValueError("a target follows a file or stands on a body, not both")
        moved = any(self.position) or any(self.velocity) or self.draw or self.burn
        if (self.file or self.body) and moved:
            raise ValueError("position, velocity, draw and burn need a target that is a state")
        if self.object and not self.file:
            raise ValueError("object goes with file")
        return self


class TrueToneSection(Section):
    """A sine wave that modulates the carrier's phase."""

    frequency: Hertz
    """As told, Hz."""
    index: Annotated[float, Field(ge=0, lt=10)]
    """Modulation index, rad."""


class TelemetrySection(Section):
    """Bits that modulate the carrier's phase."""

    index: Annotated[float, Field(ge=0, lt=10)]
    """Modulation index, rad."""
    bit_rate: Hertz
    """Bits (or symbols) a second."""
    subcarrier: NotNegative = 0.0
    """Hz; 0 for none."""
    wave: Literal["square", "sine"] = "square"
    """The subcarrier's."""


class UplinkSection(Section):
    """An uplink that the spacecraft turns round."""

    station: str
    frequency: Hertz
    """Transmitted, Hz, of what the target's first scan begins with."""
    turnaround: Annotated[float, Field(gt=0, le=1e3)]
    """Transmitted over received frequency at the spacecraft."""
    ramp: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """Hz/s."""


class SignalSection(Section):
    """What the spacecraft transmits."""

    cn0: Cn0 | dict[str, Cn0]
    """Power of all of it over noise density, dBHz: everywhere, or by station."""
    carrier: Hertz | None = None
    """As told, Hz; that of [tones] where it is left out."""
    offset: Annotated[float, Field(ge=-1e-5, le=1e-5)] = 0.0
    """True over told frequency, minus one, as the target's first scan begins."""
    drift: Annotated[float, Field(ge=-1e-8, le=1e-8)] = 0.0
    """Change of the frequency, fraction a second."""
    tones: list[TrueToneSection] = Field(default_factory=list)
    telemetry: TelemetrySection | None = None
    polarization: Literal["", "X", "Y", "R", "L", "H", "V"] = ""
    uplink: UplinkSection | None = None


class TrueJumpSection(JumpSection):
    """A clock that truly jumps."""

    size: Seconds
    """s."""


class TrueClockSection(Section):
    """A station's clock as it truly runs, beyond what [[clock]] tells."""

    offset: Seconds = 0.0
    """Reading minus UTC, s, at the first scan's start; added to the session's."""
    rate: Annotated[float, Field(ge=-1e-6, le=1e-6)] = 0.0
    """s/s; added to the session's."""
    white: NotNegative = 0.0
    """Allan deviation of white frequency noise at 1 s."""
    flicker: NotNegative = 0.0
    """Allan deviation of flicker frequency noise."""
    jump: list[TrueJumpSection] = Field(default_factory=list)


class BandpassSection(Section):
    """Gain and phase over a channel; see `kitestring.simulate.types.Bandpass`."""

    edge: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    slope: Decibels = 0.0
    """dB."""
    ripple: Decibels = 0.0
    """dB."""
    ripple_period: Positive = 1e6
    """Hz."""
    phase_ripple: Degrees = 0.0
    """Degrees."""
    phase_period: Positive = 1e6
    """Hz."""


class TruePhaseCalSection(Section):
    """Phase-calibration tones."""

    spacing: Positive
    """Hz."""
    offset: Annotated[float, Field(ge=-1e13, le=1e13)] = 0.0
    """Hz."""
    cn0: Cn0 = 35.0
    """Power of each over noise density, dBHz."""
    delay: Seconds = 0.0
    """Of their cable, s."""


class InterferenceSection(Section):
    """A line that one station receives."""

    frequency: Hertz
    """Sky frequency, Hz."""
    cn0: Cn0
    """Power over noise density, dBHz."""


class TrueStationSection(Section):
    """A station as it truly is."""

    name: str
    sefd: Jansky
    """System equivalent flux density, Jy."""
    setup: str = "default"
    """Which [setup] it records."""
    code: str = ""
    """Two characters for VDIF; the catalogue's where it is left out."""
    zenith: Annotated[float, Field(ge=-100, le=100)] = 0.0
    """Zenith delay of the air beyond what [troposphere] gives, m."""
    tec: Annotated[float, Field(ge=-1e4, le=1e4)] = 0.0
    """Vertical electron content beyond what the ionosphere's model gives, TECU."""
    clock: TrueClockSection = TrueClockSection()
    oscillators: list[Degrees] | None = None
    """Phase of each channel's local oscillator, degrees; drawn where left out."""
    delays: list[Seconds] | None = None
    """Delay of each channel after the mixer, s."""
    bandpass: BandpassSection | None = None
    phase_cal: TruePhaseCalSection | None = None
    interference: list[InterferenceSection] = Field(default_factory=list)
    dead: list[str] = Field(default_factory=list)
    """Names of channels whose sampler sees nothing."""
    swapped_polarization: bool = False
    """Whether channels record the other polarization."""
    polarization: Literal["X", "Y", "R", "L", "H", "V"] | None = None
    """What all channels record in truth."""


class TrueSourceSection(Section):
    """How bright a source is."""

    name: str
    flux: Jansky
    """Jy."""


class FaultSection(Section):
    """What happens to recordings: fractions of their frames, or all of them."""

    stations: list[str] = Field(default_factory=list)
    """Whose; all where left out."""
    scans: list[str] = Field(default_factory=list)
    """Of which scans; all where left out."""
    missing: bool = False
    """Whether there is no recording."""
    lost: Fraction01 = 0.0
    late: Fraction01 = 0.0
    repeated: Fraction01 = 0.0
    reordered: Fraction01 = 0.0
    corrupted: Fraction01 = 0.0
    wrong_second: Fraction01 = 0.0
    outages: list[tuple[float, float]] = Field(default_factory=list)
    """From and to, s after the scan's start."""

    @model_validator(mode="after")
    def _is_one(self) -> FaultSection:
        frames = any(getattr(self, kind) for kind in KINDS) or bool(self.outages)
        if frames and self.missing:
            raise ValueError("a recording that is missing has no frames: leave one of the two out")
        return self


class TruthSection(Section):
    """What is hidden from the processing."""

    seed: Annotated[int, Field(ge=0)] = 1
    bits: Literal[1, 2, 4, 8, 16] = 2
    format: Literal["vdif", "sigmf"] = "vdif"
    target: TrueTargetSection = TrueTargetSection()
    signal: SignalSection | None = None
    station: list[TrueStationSection] = Field(min_length=1)
    source: list[TrueSourceSection] = Field(default_factory=list)
    troposphere: TroposphereSection | None = None
    """In place of the session's."""
    ionosphere: IonosphereSection | None = None
    """In place of the session's."""
    fault: list[FaultSection] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> TruthSection:
        if self.format == "sigmf":
            if self.bits not in (8, 16):
                raise ValueError("format sigmf holds samples of 8 or 16 bits")
            if any(s.swapped_polarization or s.polarization for s in self.station):
                raise ValueError("format sigmf states each channel's polarization: it is the true")
            if any(getattr(f, kind) for f in self.fault for kind in KINDS):
                raise ValueError(
                    "format sigmf has no frames: its faults are outages and missing = true"
                )
        return self


@dataclass(frozen=True)
class Scenario:
    """A scenario file.

    Attributes
    ----------
    path : Path
        Where it stands; other files are named relative to its folder.
    text : str
        Its text.
    told : dict
        What the session file will say, recordings left out.
    session : Session
        The same with the recordings that would be made, checked.
    truth : TruthSection
        What is hidden.
    """

    path: Path
    text: str
    told: dict[str, Any]
    session: Session
    truth: TruthSection


def read_scenario(path: str | Path) -> Scenario:
    """Read a scenario file.

    Raises
    ------
    MissingDataError
        Where there is none.
    ConfigurationError
        For text that is not TOML, unknown keys and values that cannot be.
    """
    file = Path(path)
    text, told = read_toml(file, "scenario file", "docs/guides/simulate.md shows one to copy.")
    for key, why in (("truth", "[truth]: what is simulated"), ("scan", "a [[scan]]")):
        if not told.get(key):
            raise ConfigurationError(
                f"there is no {why}.",
                place=str(file),
                next_step="docs/guides/simulate.md shows a scenario to copy.",
            )
    if "recording" in told:
        raise ConfigurationError(
            "a scenario has no [[recording]]: they are made.",
            place=str(file),
            next_step="Leave them out.",
        )
    hidden = told.pop("truth")
    try:
        truth = TruthSection.model_validate(hidden)
    except ValidationError as problem:
        raise ConfigurationError(
            f"in [truth], {explain(problem)}", place=str(file), next_step="Mend it and run again."
        ) from None
    try:
        session = Session.model_validate({**told, "recording": recordings(told, truth)})
        for scan in session.scan:
            _safe(scan.name)
    except ValidationError as problem:
        raise ConfigurationError(
            explain(problem), place=str(file), next_step="Mend it and run again."
        ) from None
    except ValueError as problem:
        raise ConfigurationError(f"{problem}.", place=str(file)) from None
    return Scenario(file, text, told, session, truth)


def recordings(
    told: dict[str, Any], truth: TruthSection, name: Any = lambda station: station
) -> list[dict[str, Any]]:
    """Return the [[recording]] of each station and scan; `name` gives the names of files."""
    ending = "sigmf-meta" if truth.format == "sigmf" else "vdif"
    return [
        {
            "station": station.name,
            "scan": scan.get("name", ""),
            "files": [f"recordings/{scan.get('name', '')}_{name(station.name)}.{ending}"],
            "setup": station.setup,
        }
        for scan in told["scan"]
        if isinstance(scan, dict)
        for station in truth.station
    ]
