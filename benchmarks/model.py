"""Speed of the delay model, and what importing the package and a first prediction cost.

    python benchmarks/model.py

Delays of one baseline at many epochs of a day, of a quasar and of a spacecraft,
with all effects: Earth orientation with its terms within a day, tides, loading,
ephemeris, gravitation, axis offset, air. The floor is ERFA's series for the
celestial pole alone, epoch by epoch: who does not interpolate it pays that
first.
"""

from __future__ import annotations

import subprocess
import sys

import erfa
import numpy as np
from _bench import Line, alternating, best_of, report

from kitestring.model.constants import AU
from kitestring.model.earth import DISPLACEMENTS, EarthModel
from kitestring.model.ocean_loading import TIDES, OceanLoading, OceanLoadingTable
from kitestring.model.predict import Predictor
from kitestring.model.sources import unit_vector
from kitestring.model.stations import get_station
from kitestring.model.steering import make_delay_model
from kitestring.model.time import DAY, Epoch
from kitestring.model.trajectory import Trajectory
from kitestring.model.troposphere import Troposphere

EPOCHS = 20_000
START = Epoch.from_iso("2025-01-01T00:00:00")
DIRECTION = unit_vector(1.0, 0.3)
# s; what a command line feels. Numpy itself takes several times as long
IMPORT_LIMIT = 0.3
PREDICT_LIMIT = 3.0  # s
FAR_RATE, NEAR_RATE = 50_000, 20_000  # delays a second
STATIONS = get_station("TIANMA65"), get_station("URUMQI")


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


def all_displacements() -> EarthModel:
    """Return a model of the Earth that moves stations in every way that there is."""
    # any figures do: their number, not their size, takes time
    waves = np.full((3, len(TIDES)), 1e-3)
    sites = [OceanLoading(s.name, waves, waves) for s in STATIONS]
    earth = EarthModel(ocean_loading=OceanLoadingTable(sites))
    assert set(earth.displacements) == set(DISPLACEMENTS)
    return earth


def delay_lines() -> list[Line]:
    """Time delays at many epochs, and a scan's polynomials."""
    earth = all_displacements()
    epochs = START.shifted(np.linspace(0.0, DAY, EPOCHS))
    probe: Trajectory = Straight()
    predictor = Predictor(earth, probe, (Troposphere(below="nan"),))

    def quasar() -> None:
        predictor.reference_delay(DIRECTION, *STATIONS, epochs)

    def spacecraft() -> None:
        predictor.delay(*STATIONS, epochs)

    def pole() -> None:
        erfa.xys06a(*epochs.to("tt").jd())

    def polynomials() -> None:
        span = START, START.shifted(300.0)
        make_delay_model("scan", "quasar", DIRECTION, STATIONS, span, earth)

    far, floor, ratio = alternating(quasar, pole, 5)
    near = best_of(spacecraft)
    scan = best_of(polynomials)
    each = 1e6 / EPOCHS
    return [
        Line("celestial pole alone, by its series", floor * each, "microseconds an epoch"),
        Line("delays of a quasar", EPOCHS / far, "a second", FAR_RATE, least=True),
        Line("delays of a spacecraft", EPOCHS / near, "a second", NEAR_RATE, least=True),
        Line("delay polynomials of two stations over 300 s", scan * 1e3, "ms"),
        Line("time of a quasar's delay over the series alone", ratio, "", 1.0, digits=3),
    ]


def run(*words: str) -> None:
    """Run Python in a process of its own."""
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def process_lines() -> list[Line]:
    """Time `import kitestring` beyond what numpy takes, and a prediction from the command line."""
    ours, bare, _ = alternating(
        lambda: run("-c", "import numpy, kitestring"), lambda: run("-c", "import numpy"), 9
    )
    used = best_of(lambda: run("-c", "from kitestring import EarthModel"))
    words = ["predict", "1741-038", "-s", "TIANMA65", "-s", "URUMQI"]
    words += ["--start", "2026-01-01T16:00:00"]
    predicted = best_of(lambda: run("-m", "kitestring", *words))
    return [
        Line("process that imports numpy", bare, "s"),
        Line("import kitestring beyond that", max(ours - bare, 0.0), "s", IMPORT_LIMIT, digits=2),
        # what is named is imported at its first use
        Line("process that imports EarthModel", used, "s"),
        Line("kitestring predict, compiled kernels at hand", predicted, "s", PREDICT_LIMIT),
    ]


def main() -> int:
    print(f"# {EPOCHS} epochs of a day, one core")
    return report(delay_lines() + process_lines())


if __name__ == "__main__":
    sys.exit(main())
