"""Voltages of a whole scenario beside truth.json and a solution of its own for the Doppler.

Recordings are read and truth is evaluated in lines that share nothing with the simulator.
"""

import json

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import EarthLocation, get_body_barycentric_posvel
from astropy.time import Time, TimeDelta

from kitestring import get_station
from kitestring.session.simulation import simulate_session
from kitestring.session.simulation_file import read_scenario
from kitestring.session.simulation_truth import observation_of
from kitestring.simulate.voltages import station_samples

C = 299792458.0
RATE = 8e6
POINTS = 4096
picosecond = 1e-12
Long = np.longdouble

PROBE = """
name = "voltages"

[target]
kind = "spacecraft"
name = "PROBE"
epoch = "2026-01-01T16:00:00"
position = [-49457392922.0, 167218680806.0, 70740061194.0]
velocity = [-32255.603, -4046.5, -1510.725]
sigma_position = 1e5
sigma_velocity = 0.1
"""

QUASAR = """
name = "voltages"

[ionosphere]
model = "klobuchar"

[[clock]]
station = "TIANMA65"
epoch = "2026-01-01T16:00:00"
offset = 2e-6
rate = 1e-11

[setup]
default = [
  { name = "CH0", sky_frequency = 8418.68e6, sample_rate = 8e6 },
  { name = "CH1", sky_frequency = 8446.68e6, sample_rate = 8e6, sideband = "lower" },
]

[[scan]]
name = "No0001"
source = "0748+126"
start = "2026-01-01T16:30:00"
duration = 0.25

[truth]
seed = 3
bits = 16

[[truth.source]]
name = "0748+126"
flux = 1.0

[[truth.station]]
name = "TIANMA65"
sefd = 1e-4
zenith = 0.3
clock = { offset = 1.1e-6, rate = 2e-12, white = 1e-12, flicker = 1e-12 }

[[truth.station]]
name = "URUMQI"
sefd = 1e-4
tec = 30.0
delays = [7e-9, -3e-9]
clock = { white = 1e-12, jump = [{ epoch = "2026-01-01T16:30:00.137", size = 3e-9 }] }
"""


def samples_of(path):
    """Return samples of each thread of a VDIF file of 16 bits, by thread."""
    data = np.fromfile(path, np.uint8)
    length = 8 * int(data[8:12].view("<u4")[0] & 0xFFFFFF)
    frames = data.reshape(-1, length)
    thread = frames[:, 12:16].view("<u4")[:, 0] >> 16 & 0x3FF
    return {
        int(t): frames[thread == t][:, 32:].copy().view("<u2").ravel() - 32767.5
        for t in np.unique(thread)
    }


def value(polynomial, start, offset):
    """Return a polynomial of truth.json, `offset` s after `start`."""
    begin = polynomial["start"]
    x = Long(start["second"]) - Long(begin["second"]) + offset
    x += 86400 * (Long(start["day"]) - Long(begin["day"]))
    rows = np.array(polynomial["coefficients"], dtype=Long)
    piece = np.clip(np.floor(x / polynomial["interval"]).astype(int), 0, len(rows) - 1)
    y = x - piece * Long(polynomial["interval"])
    return sum(rows[piece, k] * y**k for k in range(rows.shape[1]))


class Station:
    """A station as truth.json tells of it."""

    def __init__(self, told, start):
        self.told, self.start = told, start

    def late(self, label):
        """Return delay and clock of what passes the geocentre at `label`, s."""
        parts = self.told["delay"]
        return sum(value(parts[k], self.start, label) for k in ("delay", "clock"))

    def late_at(self, reading):
        found = 0 * reading
        for _ in range(8):
            found = self.late(reading - found)
        return found

    def slope(self, reading):
        apart = self.late_at(reading + Long(1e-3)) - self.late_at(reading - Long(1e-3))
        return (apart / Long(2e-3)).astype(float)

    def plasma(self, label):
        told = self.told["dispersion"]
        return 0.0 * label.astype(float) if told is None else value(told, self.start, label)


def spectra(samples, middle, turns, direction):
    """Return spectra of segments about samples `middle`, turned by cycles a second."""
    spectrum = np.fft.fft(samples)
    spectrum[len(samples) // 2 :] = 0.0
    analytic = np.fft.ifft(spectrum)
    analytic = analytic if direction > 0 else analytic.conj()
    at = np.arange(POINTS) - POINTS // 2
    rows = analytic[middle[:, None] + at] * np.hanning(POINTS)
    return np.fft.fft(rows * np.exp(2j * np.pi * turns[:, None] * at / RATE), axis=1)


def whole(cycles):
    return (cycles % 1).astype(float)[:, None]


@pytest.mark.parametrize("number", [0, 1])
def test_voltages_are_what_truth_json_says(tmp_path, number):
    """Delay, clock with noise and jump, air, plasma, cable and oscillator, from the file alone."""
    (tmp_path / "scenario.toml").write_text(QUASAR, encoding="utf-8")
    simulate_session(tmp_path / "scenario.toml", tmp_path / "out")
    (scan,) = json.loads((tmp_path / "out" / "truth.json").read_text())["scans"]
    one, two = (Station(told, scan["start"]) for told in scan["stations"])
    files = [tmp_path / "out" / f for f in scan["files"]]
    x, y = (samples_of(f)[number] for f in files)
    channel = one.told["channels"][number]
    f0, direction = channel["sky_frequency"], channel["direction"]
    cable = [Long(s.told["instrumental_delays"][number]) for s in (one, two)]

    middle = np.arange(160_000, len(x) - 160_000, POINTS)  # the delay is below 20 ms
    reading = middle / Long(RATE) - cable[0]
    label = reading - one.late_at(reading)
    late1, late2 = one.late(label), two.late(label)
    there = label + late2
    place = np.rint((there + cable[1]) * RATE).astype(int)
    off = (place / Long(RATE) - there - cable[1]).astype(float)  # of whole samples, s
    # the segment that holds the jump, and its neighbours, are half of either
    calm = np.abs(label.astype(float) - 0.137) > 2 * POINTS / RATE
    slope1, slope2 = one.slope(reading), two.slope(there)

    first = spectra(x, middle, f0 * slope1, direction)
    second = spectra(y, place, f0 * slope2, direction)
    frequency = np.fft.fftfreq(POINTS, 1 / RATE)
    inside = (direction * frequency > 0.2e6) & (direction * frequency < 3.8e6)
    # V12 has the phase 2 pi f (t2 - t1), phases of oscillators are taken off, and plasma's
    # phases come early by K / f cycles
    ahead = (one.plasma(label) - two.plasma(label)).astype(float)[:, None]
    turns = whole(f0 * (late2 - late1)) + (f0 * slope2 * off)[:, None]
    turns = turns - off[:, None] * frequency + ahead / (f0 + frequency)
    oscillators = one.told["lo_phases"][number] - two.told["lo_phases"][number]
    cross = first * second.conj() * np.exp(-2j * np.pi * turns + 1j * oscillators)
    cross = cross[calm][:, inside]
    assert np.sum(calm) > 100

    weight = np.abs(cross.sum(axis=0))
    apart = frequency[inside] - np.average(frequency[inside], weights=weight)
    # bins count by their power
    delays = (cross.imag @ apart) / (np.abs(cross) @ apart**2) / (2 * np.pi)
    phases = np.degrees(np.angle(cross.sum(axis=1)))
    for found, most in ((delays, 3 * picosecond), (phases, 0.02)):
        sigma = np.std(found) / np.sqrt(len(found))
        assert sigma < most  # what segments of whole samples leave
        assert abs(np.mean(found)) < 4.5 * sigma


# -- Doppler ---------------------------------------------------------------------------

EPOCH = Time("2026-01-01T16:00:00", scale="tdb")
START = Time("2026-01-01T16:30:10", scale="utc")
STATE = (
    np.array([-49457392922.0, 167218680806.0, 70740061194.0]),
    np.array([-32255.603, -4046.5, -1510.725]),
)
SUN_GM = 1.32712440018e20
# the built-in Earth's velocity is within 4.9 mm/s of DE405's (SOFA's notes on epv00, 1900-2100)
HERTZ = 8.42e9 * 4.9e-3 / C


def body(name, epoch):
    place, velocity = get_body_barycentric_posvel(name, epoch, ephemeris="builtin")
    return place.xyz.to_value(u.m), velocity.xyz.to_value(u.m / u.s)


class Geometry:
    """Light times from a probe about the Sun to one station, in the BCRS, without air."""

    def __init__(self, station):
        self.site = EarthLocation.from_geocentric(*get_station(station).position, unit=u.m)
        self.sun = body("sun", EPOCH)

    def probe(self, t):
        """Return where the probe is `t` s after its epoch; the third derivative is enough."""
        (x, v), r = STATE, np.linalg.norm(STATE[0])
        a = -SUN_GM * x / r**3
        jerk = -SUN_GM * (v / r**3 - 3 * x * (x @ v) / r**5)
        return x + v * t + a * t**2 / 2 + jerk * t**3 / 6 + self.sun[0] + self.sun[1] * t

    def station(self, t):
        epoch = EPOCH + TimeDelta(t, format="sec", scale="tdb")
        place, _ = self.site.get_gcrs_posvel(epoch)
        return body("earth", epoch)[0] + place.xyz.to_value(u.m)

    def path(self, a, b):
        """Return the light time between two places, Shapiro's part included."""
        r1, r2, apart = (np.linalg.norm(d) for d in (a - self.sun[0], b - self.sun[0], a - b))
        return apart / C + 2 * SUN_GM / C**3 * np.log((r1 + r2 + apart) / (r1 + r2 - apart))

    def down(self, t):
        here, found = self.station(t), 100.0
        for _ in range(8):
            found = self.path(self.probe(t - found), here)
        return found

    def ahead(self, t):
        """Return how much later a wave passes the geocentre than the station, s."""
        down = self.down(t)
        epoch = EPOCH + TimeDelta(t, format="sec", scale="tdb")
        return self.path(self.probe(t - down), body("earth", epoch)[0]) - down

    def round_trip(self, t):
        down = self.down(t)
        there, up = self.probe(t - down), 100.0
        for _ in range(8):
            up = self.path(self.station(t - down - up), there)
        return down + up

    def clock_rate(self, epoch):
        """Return d(TDB - TT)/dt at the station, of its annual and daily term."""
        angle = np.radians(357.53 + 0.98560028 * (epoch.tdb.jd - 2451545.0))
        annual = 1.657e-3 * np.cos(angle) * np.radians(0.98560028) / 86400.0
        _, turning = self.site.get_gcrs_posvel(epoch)
        return annual + body("earth", epoch)[1] @ turning.xyz.to_value(u.m / u.s) / C**2


def received(tmp_path, station, near, signal):
    """Return frequency (in the middle) and its slope of a carrier in simulated voltages."""
    text = f"""{PROBE}
[tones]
carrier = 8.42e9

[setup]
default = [{{ name = "A", sky_frequency = {near:.0f}.0, sample_rate = 64e3, complex = true,
  zero = "middle" }}]

[[scan]]
name = "No0002"
source = "PROBE"
start = "2026-01-01T16:30:10"
duration = 1.0

[troposphere]
model = "none"

[truth.signal]
cn0 = 60.0
{signal}

[[truth.station]]
name = "{station}"
sefd = 50.0
oscillators = [0.0]
""".replace("complex = true,\n", "complex = true,")
    (tmp_path / "scenario.toml").write_text(text, encoding="utf-8")
    made = observation_of(read_scenario(tmp_path / "scenario.toml"), 1)
    (scan,) = made.scans
    x = station_samples(
        source=made.signal(scan),
        station=made.simulated(scan, made.stations[0]),
        channel=0,
        start=scan.start,
        duration=1.0,
        seed=1,
        receiver=False,
    )
    t = np.arange(len(x)) / 64e3 - 0.5
    slope, frequency, _ = np.polyfit(t, np.unwrap(np.angle(x)) / (2 * np.pi), 2)
    return near + frequency, 2 * slope


@pytest.mark.parametrize(("station", "offset"), [("TIANMA65", 0.0), ("URUMQI", 1e-6)])
def test_a_one_way_carrier_has_its_doppler(tmp_path, station, offset):
    geometry = Geometry(station)
    t = (START.tdb - EPOCH).sec + 0.5
    rate = (geometry.down(t + 5.0) - geometry.down(t - 5.0)) / 10.0
    wanted = 8.42e9 * (1 + offset) * (1 - rate) * (1 + geometry.clock_rate(START))
    found, slope = received(tmp_path, station, round(wanted, -2), f"offset = {offset}")
    assert abs(found - wanted) < HERTZ
    drifted, drifting = received(
        tmp_path, station, round(wanted, -2), f"offset = {offset}\ndrift = 1e-9"
    )
    # the middle of the scan, whose offset is that of the wave at the geocentre as it starts
    apart = 0.5 + geometry.ahead(t)
    assert drifted - found == pytest.approx(8.42 * apart, abs=2e-3)
    assert drifting - slope == pytest.approx(8.42, abs=2e-3)


def test_a_coherent_carrier_has_both_ways_doppler(tmp_path):
    geometry = Geometry("TIANMA65")
    t = (START.tdb - EPOCH).sec + 0.5
    rate = (geometry.round_trip(t + 5.0) - geometry.round_trip(t - 5.0)) / 10.0
    sent = 7.17e9 * 880 / 749
    wanted = sent * (1 - rate)
    uplink = 'station = "TIANMA65", frequency = 7.17e9, turnaround = 1.1748998664886517'
    found, slope = received(tmp_path, "TIANMA65", round(wanted, -2), f"uplink = {{ {uplink} }}")
    assert abs(found - wanted) < 2 * HERTZ
    moved, ramped = received(
        tmp_path, "TIANMA65", round(wanted, -2), f"uplink = {{ {uplink}, ramp = 100.0 }}"
    )
    apart = 0.5 + geometry.ahead(t)
    assert moved - found == pytest.approx(100.0 * 880 / 749 * apart, abs=0.03)
    assert ramped - slope == pytest.approx(100.0 * 880 / 749, abs=0.01)
