"""Speed of the delay model, and what importing the package costs.

    python benchmarks/model.py

Delays of one baseline at many epochs of a day, of a quasar and of a spacecraft,
everything included: Earth orientation, tides, ephemeris, gravitation, axis
offset. The floor is ERFA's series for the celestial pole alone, epoch by epoch:
who does not interpolate it pays that first.
"""

from __future__ import annotations

import subprocess
import sys

import erfa
import numpy as np
from _bench import Line, alternating, best_of, report

from kitestring.model.constants import AU
from kitestring.model.earth import EarthModel
from kitestring.model.predict import Predictor, quasar_delay, station_delay
from kitestring.model.sources import unit_vector
from kitestring.model.stations import get_station
from kitestring.model.steering import make_delay_model
from kitestring.model.time import DAY, Epoch
from kitestring.model.trajectory import Trajectory

EPOCHS = 20_000
START = Epoch.from_iso("2025-01-01T00:00:00")
DIRECTION = unit_vector(1.0, 0.3)
# s; what a command line feels. Numpy itself takes several times as long
IMPORT_LIMIT = 0.05


class Straight:
    """A spacecraft that flies along a line."""

    name, center = "probe", "SSB"
    span = START.shifted(-DAY).to("tdb"), START.shifted(3 * DAY).to("tdb")

    def state(self, epoch: Epoch) -> np.ndarray:
        """Return its states relative to the barycentre."""
        t = epoch.to("tdb").since(self.span[0])
        velocity = np.array([2e4, -1e4, 5e3])
        place = 1.3 * AU * DIRECTION + velocity * t[..., None]
        return np.concatenate([place, np.broadcast_to(velocity, place.shape)], axis=-1)


def delay_lines() -> list[Line]:
    """Time delays at many epochs, and a scan's polynomials."""
    earth = EarthModel()
    one, two = get_station("TIANMA65"), get_station("URUMQI")
    epochs = START.shifted(np.linspace(0.0, DAY, EPOCHS))
    probe: Trajectory = Straight()
    predictor = Predictor(earth, probe)

    def quasar() -> None:
        found, state1, state2 = quasar_delay(earth, one, two, DIRECTION, epochs)
        station_delay(earth, two, state2, found.direction2)
        station_delay(earth, one, state1, found.direction1)

    def spacecraft() -> None:
        predictor.delay(one, two, epochs)

    def pole() -> None:
        erfa.xys06a(*epochs.to("tt").jd())

    def polynomials() -> None:
        span = START, START.shifted(300.0)
        make_delay_model("scan", "quasar", DIRECTION, [one, two], span, earth)

    far, floor, ratio = alternating(quasar, pole, 5)
    near = best_of(spacecraft)
    scan = best_of(polynomials)
    each = 1e6 / EPOCHS
    return [
        Line("celestial pole alone, by its series", floor * each, "microseconds an epoch"),
        Line("delay of a quasar", far * each, "microseconds an epoch"),
        Line("delay of a spacecraft", near * each, "microseconds an epoch"),
        Line("delay polynomials of two stations over 300 s", scan * 1e3, "ms"),
        Line("time of a quasar's delay over the series alone", ratio, "", 1.0, digits=3),
    ]


def import_lines() -> list[Line]:
    """Time `import kitestring` beyond what numpy takes, each in a process of its own."""

    def importing(*names: str) -> None:
        text = "; ".join(f"import {name}" for name in names)
        subprocess.run([sys.executable, "-c", text], check=True)

    ours, bare, _ = alternating(
        lambda: importing("numpy", "kitestring"), lambda: importing("numpy"), 9
    )
    return [
        Line("process that imports numpy", bare, "s"),
        Line("import kitestring beyond that", max(ours - bare, 0.0), "s", IMPORT_LIMIT, digits=2),
    ]


def main() -> int:
    print(f"# {EPOCHS} epochs of a day, one core")
    return report(delay_lines() + import_lines())


if __name__ == "__main__":
    sys.exit(main())
