"""Speed of simulating recordings: four stations, four channels of 8 MHz, ten seconds.

    python benchmarks/simulate.py [--seconds S]

A scan of a quasar, and one of a spacecraft with carrier, DOR tones and telemetry as
true phase modulation, each recorded as 2-bit VDIF in a temporary folder that is removed
afterwards (640 MB). The stated figure is for two cores; nanoseconds are of all
samples of all channels, times the cores that worked. Each scan is long, so it is run
once, after a short one that warms up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _bench import Line, report

from kitestring._threads import default_threads
from kitestring.model.polynomials import PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.types import Channel
from kitestring.simulate.signals import modulated_signal
from kitestring.simulate.types import QuasarSignal, SimulatedStation, SpacecraftSignal, Telemetry
from kitestring.simulate.voltages import simulate_scan

START = Epoch.from_iso("2026-01-01T00:00:00")
BANDWIDTH = 8e6  # Hz
CARRIER, DOPPLER = 8.42e9, 1e-5
STATIONS, CHANNELS, DURATION = 4, 4, 10.0
LIMIT = 60.0  # s for DURATION on two cores


def polynomial(value: float, rate: float, acceleration: float) -> PiecewisePolynomial:
    """Return a delay over the scan, s."""
    row = np.array([[value - 2.0 * rate, rate, 0.5 * acceleration]])
    return PiecewisePolynomial(START.shifted(-2.0), 60.0, row)


def stations() -> list[SimulatedStation]:
    """Return stations all over the Earth with clocks."""
    received = CARRIER * (1.0 - DOPPLER)
    # the carrier, and the DOR tones 3.8 and 19 MHz above it, each 2 MHz from an edge
    lows = [received - 19e6 - 2e6, received - 2e6, received + 8e6, received + 19e6 - 2e6]
    channels = tuple(
        Channel(f"CH{k}", round(low), 1, 2 * BANDWIDTH) for k, low in enumerate(lows[:CHANNELS])
    )
    return [
        SimulatedStation(
            f"S{k}",
            StationDelay(
                polynomial(-0.01 + 0.006 * k, 1e-6 * (k - 1), 1e-10),
                polynomial(1e-6 * k, 1e-12, 0.0),
            ),
            300.0,
            channels,
        )
        for k in range(STATIONS)
    ]


def sources() -> dict[str, QuasarSignal | SpacecraftSignal]:
    """Return what is observed."""
    craft = modulated_signal(
        "Probe",
        CARRIER,
        polynomial(143.0, DOPPLER, 1e-10),
        tones=[(3.8e6, 0.6), (19e6, 0.6)],
        telemetry=Telemetry(0.8, 2048.0, 65536.0),
        cn0=50.0,
    )
    return {"quasar": QuasarSignal("J1230+1223", 2.5), "spacecraft": craft}


def seconds(source: QuasarSignal | SpacecraftSignal, duration: float) -> tuple[float, float]:
    """Return wall time and processor time of a scan, s."""
    with tempfile.TemporaryDirectory() as folder:
        wall, processor = time.perf_counter(), time.process_time()
        simulate_scan(
            source=source,
            stations=stations(),
            start=START,
            duration=duration,
            sink=Path(folder),
            seed=1,
        )
        return time.perf_counter() - wall, time.process_time() - processor


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=DURATION, help="length of a scan")
    duration = parser.parse_args().seconds
    count = STATIONS * CHANNELS * duration * 2 * BANDWIDTH
    lines = [Line("cores", default_threads(), "")]
    for name, source in sources().items():
        seconds(source, 0.1)
        wall, processor = seconds(source, duration)
        limit = LIMIT * duration / DURATION
        lines.append(Line(f"{duration:g} s of a {name}", wall, "s", limit))
        lines.append(Line(f"{name}, a sample and core (aim 20)", processor / count * 1e9, "ns"))
    return report(lines)


if __name__ == "__main__":
    sys.exit(main())
