"""What the demonstration simulates, and what its session file tells of it.

A probe like Tianwen-2's flies 43 million km from the Earth on 2026-01-01. Its
true state, the clocks, the air and the transmitted frequency are drawn from
the covariances that the session file states; voltages are simulated from them
and written as VDIF.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import j0, j1

from kitestring.dynamics.propagate import PropagatedTrajectory, propagate
from kitestring.dynamics.types import ForceModel, OrbitState
from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.light_time import down_leg
from kitestring.model.sources import get_source, unit_vector
from kitestring.model.stations import get_station
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.session.file import FILE_NAME
from kitestring.session.run import Progress, no_progress
from kitestring.simulate.clocks import TrueClock
from kitestring.simulate.observation import Observation
from kitestring.simulate.record import simulate_observation
from kitestring.simulate.signals import DOR_OFFSETS
from kitestring.simulate.truths import TrueScan, TrueSpacecraft, TrueStation
from kitestring.simulate.types import QuasarSignal

Floats = NDArray[np.float64]

PROBE = "PROBE"
MARK = "# Written by 'kitestring demo'"  # how its session file begins
START = Epoch.from_iso("2026-01-01T16:30:00")
STATE_EPOCH = Epoch.from_iso("2026-01-01T16:00:00", "tdb")
DISTANCE = 43e9  # m from the Earth
DIRECTION = (122.0, 18.0)  # deg, right ascension and declination
AWAY, ACROSS = 2500.0, 1500.0  # m/s relative to the Earth, along the line of sight and eastwards
AREA_OVER_MASS = 0.02  # m^2/kg
CARRIER = 8.42e9  # Hz

SIGMA_POSITION, SIGMA_VELOCITY = 1e5, 0.1  # m, m/s
SIGMA_CLOCK, SIGMA_CLOCK_RATE = 1e-6, 1e-12
SIGMA_ZENITH = 0.05  # m
SIGMA_TRANSMITTER = 1e-7

SCANS = ("Q1", "S", "Q2", "S", "Q1", "S", "Q2")
QUASARS = {"Q1": ("0748+126", 2.5), "Q2": ("0827+243", 3.0)}
INTERVAL = 300.0  # s between scans
SAMPLE_RATE = 8e6
TONE_PLACE = 1.25e6  # Hz from the lower edge of the carrier's channel
# Hz from the carrier's channel: side by side where the tones are 3.8 MHz apart, so that a
# tone lies 1.05 to 1.45 MHz from an edge
CHANNEL_OFFSETS = (-19e6, -4e6, 0.0, 4e6, 19e6)


@dataclass(frozen=True)
class DemoSize:
    """How large a demonstration is.

    Attributes
    ----------
    scan : float
        Length of a scan, s.
    sefd : mapping of str to float
        Stations and their system equivalent flux densities, Jy.
    carrier_cn0, dor_cn0 : float
        Power over noise density of the carrier and of each DOR tone, dBHz.
    """

    scan: float
    sefd: tuple[tuple[str, float], ...]
    carrier_cn0: float
    dor_cn0: float


FULL = DemoSize(
    4.0,
    (("TIANMA65", 50.0), ("KUNMING", 480.0), ("URUMQI", 350.0), ("MIYUN50", 300.0)),
    50.0,
    40.0,
)
SMALL = DemoSize(1.0, (("TIANMA65", 25.0), ("URUMQI", 90.0), ("MIYUN50", 80.0)), 56.0, 46.0)
"""Quicker, and as precise: shorter scans, better receivers."""


@dataclass(frozen=True)
class Truth:
    """What is hidden from the processing.

    Attributes
    ----------
    orbit : PropagatedTrajectory
        Where the probe is.
    clock_offset, clock_rate, zenith : ndarray, shape (station,)
        s, s/s, and zenith delays beyond the standard ones, s.
    transmitter : float
        True over told frequency, minus one.
    oscillators : ndarray, shape (station, channel)
        Phases of the local oscillators, rad.
    """

    orbit: PropagatedTrajectory
    clock_offset: Floats
    clock_rate: Floats
    zenith: Floats
    transmitter: float
    oscillators: Floats


def apriori_state(earth: EarthModel) -> OrbitState:
    """Return the state that the session file states."""
    away = unit_vector(*np.radians(DIRECTION))
    east = np.array([-away[1], away[0], 0.0]) / np.hypot(away[0], away[1])
    home = earth.ephemeris.state("EARTH", "SUN", STATE_EPOCH)
    # rounded as a session file holds it
    position = np.round(home[:3] + DISTANCE * away, 0)
    velocity = np.round(home[3:] + AWAY * away + ACROSS * east, 3)
    return OrbitState(STATE_EPOCH, np.concatenate([position, velocity]), "SUN", PROBE)


def _orbit(state: OrbitState) -> PropagatedTrajectory:
    span = STATE_EPOCH.shifted(-7200.0), STATE_EPOCH.shifted(7200.0)
    return propagate(state, ForceModel(area_over_mass=AREA_OVER_MASS), span)


def draw_truth(seed: int, size: DemoSize, earth: EarthModel) -> Truth:
    """Draw all hidden errors from the covariances that the session file states."""
    rng = np.random.default_rng(seed)
    first = apriori_state(earth)
    sigmas = np.repeat([SIGMA_POSITION, SIGMA_VELOCITY], 3)
    count = len(size.sefd)
    return Truth(
        orbit=_orbit(first.replaced(first.state + sigmas * rng.standard_normal(6))),
        clock_offset=SIGMA_CLOCK * rng.standard_normal(count),
        clock_rate=SIGMA_CLOCK_RATE * rng.standard_normal(count),
        zenith=SIGMA_ZENITH / C * rng.standard_normal(count),
        transmitter=SIGMA_TRANSMITTER * float(rng.standard_normal()),
        oscillators=rng.uniform(0.0, 2.0 * np.pi, (count, 1 + len(DOR_OFFSETS))),
    )


def channels(earth: EarthModel) -> tuple[Channel, ...]:
    """Return what every station records: a channel for the carrier and each DOR tone."""
    orbit = _orbit(apriori_state(earth))
    step = 10.0
    epochs = START.shifted(step * np.array([-1.0, 1.0]))
    near = down_leg(earth.station_state(None, epochs), orbit, earth.ephemeris).light_time
    doppler = 1.0 - (near[1] - near[0]) / (2 * step)
    lowest = round((doppler * CARRIER - TONE_PLACE) / 1e4) * 1e4
    return tuple(
        Channel(f"CH{k}", lowest + offset, 1, SAMPLE_RATE)
        for k, offset in enumerate(CHANNEL_OFFSETS)
    )


def scan_plan(size: DemoSize) -> list[tuple[str, str, Epoch]]:
    """Return name, kind (``"Q1"``, ``"Q2"``, ``"S"``) and start of each scan."""
    return [(f"No{k + 1:04d}", kind, START.shifted(INTERVAL * k)) for k, kind in enumerate(SCANS)]


def observation(truth: Truth, size: DemoSize, earth: EarthModel) -> Observation:
    """Return all that voltages are made of."""
    scans = []
    for name, kind, start in scan_plan(size):
        if kind == "S":
            scans.append(TrueScan(name, start, size.scan))
        else:
            source, flux = QUASARS[kind]
            direction = get_source(source).direction
            scans.append(TrueScan(name, start, size.scan, QuasarSignal(source, flux), direction))
    stations = tuple(
        TrueStation(
            get_station(name),
            sefd,
            TrueClock(START, float(truth.clock_offset[k]), float(truth.clock_rate[k])),
            float(truth.zenith[k]),
            oscillator_phases=tuple(truth.oscillators[k].tolist()),
        )
        for k, (name, sefd) in enumerate(size.sefd)
    )
    total, index = modulation(size)
    craft = TrueSpacecraft(
        truth.orbit,
        CARRIER,
        total,
        truth.transmitter,
        tones=tuple((offset, index) for offset in DOR_OFFSETS if offset > 0.0),
    )
    return Observation(stations, channels(earth), 2, tuple(scans), craft, earth=earth)


def modulation(size: DemoSize) -> tuple[float, float]:
    """Return power over noise density of the whole signal, dBHz, and both DOR tones' index, rad.

    The carrier's amplitude is J_0(m)^2 of the signal's, that of each tone
    J_0(m) J_1(m), so that J_1(m) / J_0(m) is the ratio of the two.
    """
    ratio = 10.0 ** ((size.dor_cn0 - size.carrier_cn0) / 20.0)
    index = float(brentq(lambda m: j1(m) - ratio * j0(m), 0.0, 1.5))
    return size.carrier_cn0 - 40.0 * float(np.log10(j0(index))), index


def write_session_file(directory: Path, size: DemoSize, earth: EarthModel) -> None:
    """Write the session file: what a user would know beforehand, and nothing else."""
    state = apriori_state(earth).state
    lines = [
        f"{MARK}: a delta-DOR session of a probe like Tianwen-2's.",
        "format = 1",
        'name = "Demonstration: delta-DOR of a simulated probe"',
        f'description = "Voltages of {len(size.sefd)} stations, simulated; no truth is in here"',
        "",
        "[target]",
        'kind = "spacecraft"',
        f'name = "{PROBE}"',
        f'epoch = "{STATE_EPOCH.iso(0)}"  # TDB',
        'center = "SUN"',
        f"position = {state[:3].tolist()}  # m",
        f"velocity = {state[3:].tolist()}  # m/s",
        f"sigma_position = {SIGMA_POSITION}",
        f"sigma_velocity = {SIGMA_VELOCITY}",
        f"area_over_mass = {AREA_OVER_MASS}",
        "",
        "[tones]",
        f"carrier = {CARRIER}  # Hz, as told",
        f"ratios = {[1.0, *(1.0 + offset / CARRIER for offset in DOR_OFFSETS)]}",
        "search = 20e3  # Hz",
        f"dump = {0.05 if size.scan > 2 else 0.025}",
        "",
        "[troposphere]",
        f"sigma = {SIGMA_ZENITH}  # m",
        "",
        "[correlate]",
        "bins = 256",
        "integration = 0.5",
        "",
        "[setup]",
        "default = [",
        *(
            f'  {{ name = "{c.name}", sky_frequency = {c.sky_frequency}, '
            f"sample_rate = {c.sample_rate} }},"
            for c in channels(earth)
        ),
        "]",
    ]
    for name, _ in size.sefd:
        lines += [
            "",
            "[[clock]]",
            f'station = "{name}"',
            f'epoch = "{START.iso(0)}"',
            f"sigma_rate = {SIGMA_CLOCK_RATE}",
        ]
    for scan, kind, start in scan_plan(size):
        source = PROBE if kind == "S" else QUASARS[kind][0]
        lines += [
            "",
            "[[scan]]",
            f'name = "{scan}"',
            f'source = "{source}"',
            f'start = "{start.iso(0)}"',
            f"duration = {size.scan}",
        ]
    for scan, _, _ in scan_plan(size):
        for name, _ in size.sefd:
            lines += [
                "",
                "[[recording]]",
                f'station = "{name}"',
                f'scan = "{scan}"',
                f'files = ["recordings/{scan}_{name}.vdif"]',
            ]
    (directory / FILE_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def simulate_demo(
    directory: Path,
    seed: int,
    size: DemoSize,
    *,
    progress: Progress = no_progress,
    threads: int | None = None,
) -> None:
    """Write recordings, session file and (beside them, in ``truth``) what was put in."""
    earth = EarthModel()
    truth = draw_truth(seed, size, earth)
    write_session_file(directory, size, earth)
    found = simulate_observation(
        observation(truth, size, earth),
        directory / "recordings",
        seed,
        threads=threads,
        progress=progress,
    )
    hidden = directory / "truth"
    hidden.mkdir(exist_ok=True)
    for scan in found:
        scan.write(hidden / f"{scan.scan}.json")
