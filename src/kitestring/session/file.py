"""The session file: ``session.toml``, read into checked types.

Every key is known; an unknown one is an error that names it. Paths are taken
relative to the session's directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from kitestring._toml import read_toml
from kitestring.errors import ConfigurationError
from kitestring.model.ephemeris import NAMES
from kitestring.model.observable import Kind
from kitestring.model.subdaily import SUBDAILY, Subdaily
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.session.sections import (
    Positive,
    Section,
    Vector,
    When,
    WhenTdb,
    epoch_of,
    explain,
)

FILE_NAME = "session.toml"
OWN_ROTATION = "konopliv2016"
"""Name of the package's parametrised rotation of Mars."""


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class ChannelSection(Section):
    """One recorded band; see `kitestring.recordings.types.Channel`."""

    name: str
    sky_frequency: Annotated[float, Field(ge=1e6)]
    sideband: Literal["upper", "lower"] = "upper"
    sample_rate: Positive
    complex: bool = False
    zero: Literal["edge", "middle"] = "edge"
    polarization: Annotated[Literal["", "X", "Y", "R", "L", "H", "V"], BeforeValidator(_upper)] = ""

    def channel(self) -> Channel:
        """Return the channel in the recordings' own type."""
        return Channel(
            name=self.name,
            sky_frequency=self.sky_frequency,
            direction=1 if self.sideband == "upper" else -1,
            sample_rate=self.sample_rate,
            complex=self.complex,
            polarization=self.polarization,
            zero=self.zero,
        )


class RecordingSection(Section):
    """A station's recording of one scan."""

    station: str
    scan: str
    files: list[str] = Field(min_length=1)
    setup: str = "default"
    sidecar: str | None = None
    """A TOML file that states what the files' headers do not (see
    `kitestring.recordings.sidecar`); without it, one that lies beside the first of them."""


class ScanSection(Section):
    """A span of time in which one source was observed."""

    name: str
    source: str
    start: When
    duration: Positive

    @property
    def span(self) -> tuple[Epoch, Epoch]:
        """First and last instant, UTC."""
        start = epoch_of(self.start)
        return start, start.shifted(self.duration)


class ZoomSection(Section):
    """A sub-band that is correlated beside the whole bands, at a finer resolution."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]+$")]
    """What its product is called by."""
    frequency: Positive
    """Of its middle, Hz."""
    width: Positive
    """Hz."""
    bins: int = Field(ge=8, le=65536)
    integration: Positive | None = None
    """Length of an integration, s; that of the whole bands unless given."""
    source: str | None = None
    """The source in whose scans it is correlated; in those of all unless given."""

    @property
    def edges(self) -> tuple[float, float]:
        """Lowest and highest sky frequency, Hz."""
        return self.frequency - self.width / 2, self.frequency + self.width / 2


class CorrelateSection(Section):
    """How recordings are correlated."""

    bins: int = Field(default=256, ge=8, le=65536)
    integration: Positive = 1.0
    products: Literal["parallel", "all"] = "parallel"
    spacecraft: bool = False
    """Whether scans of the spacecraft are correlated too; its tones need no correlation."""
    quantisation: Literal["off", "gain", "van-vleck"] = "gain"
    """What is done about quantisation with one or two bits."""
    zoom: list[ZoomSection] = Field(default_factory=list)
    correlx: str | None = None
    """A directory of CorrelX files: its delays and clocks are used, its output is compared."""

    @field_validator("zoom")
    @classmethod
    def _names_differ(cls, zoom: list[ZoomSection]) -> list[ZoomSection]:
        if len({one.name for one in zoom}) < len(zoom):
            raise ValueError("two [[correlate.zoom]] have the same name")
        return zoom


class PhaseCalSection(Section):
    """Phase-calibration tones in the recordings."""

    spacing: Positive
    offset: float = 0.0


class ToneSection(Section):
    """What the spacecraft transmits: a carrier and DOR tones coherent with it."""

    carrier: Positive
    """Transmitted carrier frequency as far as it is known, Hz."""
    ratios: list[float] = Field(default_factory=lambda: [1.0])
    """Frequency of each tone over that of the carrier."""
    search: Annotated[float, Field(ge=10.0, le=1e6)] = 20e3
    """Half width of the search for the carrier, Hz."""
    dump: Positive = 0.05
    """Length of one phase measurement, s."""


class JumpSection(Section):
    """A clock that jumps."""

    epoch: When
    size: float
    """What the reading changes by, s."""

    @property
    def at(self) -> Epoch:
        """When, UTC."""
        return epoch_of(self.epoch)


class ClockSection(Section):
    """A station clock: reading minus UTC."""

    station: str
    epoch: When
    offset: float = 0.0
    rate: float = 0.0
    sigma_rate: Positive = 1e-12
    """Uncertainty of the rate; the offset is estimated freely."""
    tracking: bool = False
    """Whether time tags and frequencies of the station's tracking data follow it too."""
    jump: list[JumpSection] = Field(default_factory=list)

    @model_validator(mode="after")
    def _tracking_is_smooth(self) -> ClockSection:
        if self.jump and self.tracking:
            raise ValueError("tracking data cannot follow a clock that jumps")
        return self

    @property
    def reference(self) -> Epoch:
        """When the clock is off by `offset`, UTC."""
        return epoch_of(self.epoch)


class SourceSection(Section):
    """A source that the package's catalogue does not hold, ICRS."""

    name: str
    ra: Annotated[float, Field(ge=0, lt=360)]
    """Right ascension, degrees."""
    dec: Annotated[float, Field(ge=-90, le=90)]
    """Declination, degrees."""


class EarthSection(Section):
    """How the Earth turns."""

    orientation: str | None = None
    """A finals2000A or C04 file of the IERS, in place of the installed one
    (see `read_earth_orientation`)."""
    subdaily: tuple[Subdaily, ...] = SUBDAILY
    """Which polar motion and UT1 within a day are added to it."""
    ocean_loading: str | None = None
    """A BLQ file with ocean loading of every station; none without it."""


class WeatherSection(Section):
    """The air at a station."""

    station: str
    pressure: Annotated[float, Field(ge=300, le=1200)]
    """Of the air at the antenna, hPa."""
    temperature: Annotated[float, Field(ge=-90, le=60)]
    """Degrees C."""
    humidity: Annotated[float, Field(ge=0, le=100)]
    """Relative, percent."""


class TroposphereSection(Section):
    """What is known of the stations' zenith delays beforehand."""

    model: Literal["standard", "none"] = "standard"
    """Saastamoinen's zenith delays of the weather, or none."""
    mapping: Literal["niell", "gmf"] = "niell"
    """Mapping functions to lower elevations."""
    weather: list[WeatherSection] = Field(default_factory=list)
    """The air at stations; a standard atmosphere at the others."""
    vmf3: list[str] = Field(default_factory=list)
    """Site files of VMF3: their zenith delays, mapping and gradients are used."""
    csp: list[str] = Field(default_factory=list)
    """The DSN's media calibrations: their zenith delays are used at its stations."""
    sigma: Positive = 0.05
    """Uncertainty of each station's zenith delay, m."""

    @model_validator(mode="after")
    def _has_a_use(self) -> TroposphereSection:
        if self.model == "none" and (self.vmf3 or self.csp):
            raise ValueError(
                'model = "none" leaves vmf3 and csp without use: drop one or the other'
            )
        return self


class IonosphereSection(Section):
    """How much the ionosphere delays."""

    model: Literal["none", "klobuchar", "ionex"] = "none"
    """None, a climatology, or maps of the day."""
    ionex: list[str] = Field(default_factory=list)
    """The IONEX files of the maps, which follow each other."""

    @model_validator(mode="after")
    def _has_its_maps(self) -> IonosphereSection:
        if (self.model == "ionex") != bool(self.ionex):
            raise ValueError('model = "ionex" and ionex = ["..."] belong together')
        return self


class SolarPlasmaSection(Section):
    """How much the Sun's plasma delays."""

    model: Literal["none", "corona"] = "none"
    """None, or a corona that falls off from the Sun."""


class AntennaSection(Section):
    """What bends and stretches antennas."""

    thermal_expansion: bool = False
    """Whether they expand with the temperature of the weather, where dimensions are known."""
    sag: str | None = None
    """A file of the IVS with gravitational deformation."""


class PlaceSection(Section):
    """A place that another source states, to compare with."""

    name: str
    longitude: Annotated[float, Field(ge=-180, le=360)]
    """East, degrees."""
    latitude: Annotated[float, Field(ge=-90, le=90)]
    """Planetocentric, degrees."""


class LanderSection(Section):
    """A target that stands on a body."""

    kind: Literal["lander"]
    name: str
    body: Literal["MARS"] = "MARS"
    position: Vector
    """A-priori body-fixed position, m."""
    rotation: str | None = None
    """How the body turns, in place of WGCCRE 2015: "konopliv2016", or a file (see
    `load_mars_rotation`)."""
    rotation_sigma: dict[str, Positive] = Field(default_factory=dict)
    """Parameters of the rotation that are estimated, with their a-priori uncertainty."""
    sigma: Positive = 1e5
    """A-priori uncertainty of each coordinate, m."""
    reference: list[PlaceSection] = Field(default_factory=list)


class SpacecraftSection(Section):
    """A target that flies."""

    kind: Literal["spacecraft"]
    name: str
    spice_id: Annotated[int, Field(ge=-(2**31), lt=2**31)] = -999
    """Number of the spacecraft in SPICE's files; -999 stands for one without."""
    epoch: WhenTdb
    """Epoch of the state, TDB, without a time zone."""
    center: str = "SUN"
    position: Vector
    velocity: Vector
    sigma_position: Positive
    sigma_velocity: Positive
    area_over_mass: float = Field(default=0.0, ge=0)
    """Area x reflectivity over mass for solar radiation pressure, m^2/kg."""

    sigma_srp: Positive = 0.1
    """Uncertainty of the light pressure, as a fraction; it is considered, not estimated."""

    @field_validator("spice_id")
    @classmethod
    def _is_a_spacecraft(cls, value: int) -> int:
        if value in NAMES:
            raise ValueError(f"{value} is {NAMES[value]}; numbers of spacecraft are negative")
        return value

    @property
    def state_epoch(self) -> Epoch:
        """Epoch of the state, TDB."""
        return epoch_of(self.epoch, "tdb")


class TrackingSection(Section):
    """A file of tracking data."""

    file: str
    format: Literal["tdm", "fdets"]
    station: str | None = None
    transmitter: str | None = None
    turnaround: Positive | None = None
    base_frequency: Annotated[float, Field(ge=1e6)] | None = None
    spacecraft: str | None = None
    """What the file calls the target, where that is not its name."""
    sigma: Positive | dict[str, Positive] | None = None
    """Uncertainty of a point where the file states none: a number in the unit of the file's
    one kind of observable, or a table by kind (``{ doppler = 3e-3, range = 1e-9 }``)."""
    dor: Literal["wavefront", "ranges"] | None = None
    """What DOR rows of a TDM hold that does not say: arrivals of one wavefront, or ranges."""
    use: bool = True
    """Whether the estimator takes it; otherwise its residuals are shown only."""

    @model_validator(mode="after")
    def _fits(self) -> TrackingSection:
        if isinstance(self.sigma, dict):
            unknown = set(self.sigma) - set(Kind)
            if unknown:
                kinds = ", ".join(Kind)
                raise ValueError(f"sigma of {sorted(unknown)[0]!r}: the kinds are {kinds}")
        if self.format == "fdets":
            for key in ("station", "base_frequency"):
                if getattr(self, key) is None:
                    raise ValueError(f"Fdets files do not say {key!r}: give it here")
        return self


class EstimateSection(Section):
    """How the orbit is estimated."""

    sun_angle: float = Field(default=0.0, ge=0, le=180)
    """Smallest angle between target and Sun of data that are used, degrees."""
    elevation: float = Field(default=0.0, ge=0, le=90)
    """Lowest elevation of data that are used, degrees."""
    edit_sigma: Positive = 6.0
    """Residuals beyond this many robust sigmas are edited."""
    pass_bias: Positive | None = None
    """Sigma of an unknown offset that each pass of Doppler has (Hz); none without it."""
    predict_days: float = Field(default=7.0, ge=0, le=3650)
    """How far the orbit is predicted beyond the session, days."""


class Session(Section):
    """A whole session file."""

    format: Literal[1] = 1
    name: str
    description: str = ""
    target: LanderSection | SpacecraftSection | None = Field(default=None, discriminator="kind")
    stations: str | None = None
    """A file of stations that are added to the catalogue (see `load_stations`)."""
    source: list[SourceSection] = Field(default_factory=list)
    setup: dict[str, Annotated[list[ChannelSection], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    scan: list[ScanSection] = Field(default_factory=list)
    recording: list[RecordingSection] = Field(default_factory=list)
    clock: list[ClockSection] = Field(default_factory=list)
    earth: EarthSection = EarthSection()
    troposphere: TroposphereSection = TroposphereSection()
    ionosphere: IonosphereSection = IonosphereSection()
    solar_plasma: SolarPlasmaSection = SolarPlasmaSection()
    antenna: AntennaSection = AntennaSection()
    correlate: CorrelateSection = CorrelateSection()
    phase_cal: PhaseCalSection | None = None
    tones: ToneSection | None = None
    tracking: list[TrackingSection] = Field(default_factory=list)
    estimate: EstimateSection = EstimateSection()

    @model_validator(mode="after")
    def _names_meet(self) -> Session:
        scans = [s.name for s in self.scan]
        if len(set(scans)) != len(scans):
            raise ValueError("two scans have the same name")
        files = [t.file for t in self.tracking]
        if len(set(files)) != len(files):
            raise ValueError("two [[tracking]] are of the same file: it would count twice")
        if self.tracking and self.target is None:
            raise ValueError("there is [[tracking]], but no [target]")
        if not self.recording and not self.tracking:
            raise ValueError("there is neither a [[recording]] nor a [[tracking]]: nothing to do")
        clocks = [c.station.casefold() for c in self.clock]
        if len(set(clocks)) != len(clocks):
            raise ValueError("two [[clock]] are of the same station")
        self._check_zoom()
        for recording in self.recording:
            if recording.scan not in scans:
                raise ValueError(f"a recording is of scan {recording.scan!r}, which is not listed")
            if recording.setup not in self.setup:
                raise ValueError(f"a recording has setup {recording.setup!r}, which is not listed")
        return self

    def _check_zoom(self) -> None:
        target = self.target.name if self.target else None
        chosen = [s for s in self.scan if self.correlate.spacecraft or s.source != target]
        for zoom in self.correlate.zoom:
            if zoom.source is not None and all(s.source != zoom.source for s in chosen):
                more = " (scans of the target are, with spacecraft = true)"
                raise ValueError(
                    f"zoom band {zoom.name!r} is of source {zoom.source!r}, of which no scan is "
                    f"correlated{more if zoom.source == target else ''}"
                )
        names = {s.name for s in self.scan}
        for scan in chosen:
            for zoom in self.correlate.zoom:
                if f"{scan.name}.{zoom.name}" in names:
                    raise ValueError(
                        f"zoom band {zoom.name!r} of scan {scan.name!r} would be called like "
                        f"scan {scan.name}.{zoom.name}"
                    )


def read_session(path: str | Path) -> Session:
    """Read a session file, or the one in a directory.

    Raises
    ------
    MissingDataError
        Where there is none.
    ConfigurationError
        For text that is not TOML, unknown keys and values that cannot be.
    """
    file = Path(path)
    if file.is_dir():
        file = file / FILE_NAME
    step = "Make one: docs/guides show three, and 'kitestring demo' writes one."
    _, raw = read_toml(file, "session file", step)
    try:
        return Session.model_validate(raw)
    except ValidationError as problem:
        raise ConfigurationError(
            explain(problem), place=str(file), next_step="Mend it and run again."
        ) from None
