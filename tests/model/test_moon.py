"""The Moon's orientation against SPICE, on a kernel that is made here."""

import numpy as np
import pytest
import spiceypy

from kitestring.errors import ConfigurationError, FormatError, MissingDataError, SpanError
from kitestring.model import daf
from kitestring.model.moon import PA_DE440, MoonRotation
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody

RADIAN_OF_A_MICROMETRE = 1e-12  # on the Moon's surface: 1.7 micrometres
START = Epoch.from_iso("2026-03-01T00:00:00", "tdb")
T0 = float(daf.seconds_of(START)[0])
APOLLO_11 = np.array([1591.967e3, 690.698e3, 21.004e3])  # reflector, principal axes
INTERVAL, COUNT, DEGREE = 4 * 86400.0, 8, 12

# The frames as NAIF's moon_de440_220930.tf defines them
FRAMES = """KPL/FK
\\begindata
FRAME_MOON_PA_DE440 = 31008
FRAME_31008_NAME = 'MOON_PA_DE440'
FRAME_31008_CLASS = 2
FRAME_31008_CLASS_ID = 31008
FRAME_31008_CENTER = 301
FRAME_MOON_ME_DE440_ME421 = 31009
FRAME_31009_NAME = 'MOON_ME_DE440_ME421'
FRAME_31009_CLASS = 4
FRAME_31009_CLASS_ID = 31009
FRAME_31009_CENTER = 301
TKFRAME_31009_SPEC = 'ANGLES'
TKFRAME_31009_RELATIVE = 'MOON_PA_DE440'
TKFRAME_31009_ANGLES = ( 67.8526 78.6944 0.2785 )
TKFRAME_31009_AXES = ( 3, 2, 1 )
TKFRAME_31009_UNITS = 'ARCSECONDS'
\\begintext
"""


def angles(seconds):
    """Return angles like the Moon's: node, inclination and rotation with their librations, rad."""
    t = (np.asarray(seconds) - T0) / 86400.0
    return np.stack(
        [
            0.06 + 1e-3 * np.sin(0.23 * t) - 9e-4 * t,
            0.38 + 2e-3 * np.cos(0.21 * t),
            4000.0 + 0.23 * t + 2e-3 * np.sin(0.228 * t),  # turns are not taken out in DE440
        ]
    )


def write(path, frame="J2000", class_id=PA_DE440, records=COUNT, begin=T0, shift=0.0):
    nodes = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    sets = []
    for k in range(records):
        at = begin + INTERVAL * (k + 0.5 + nodes / 2.0)
        sets.append(np.polynomial.chebyshev.chebfit(nodes, (angles(at) + shift).T, DEGREE).T)
    handle = spiceypy.pckopn(str(path), "TEST", 0)
    head = (class_id, frame, begin, begin + records * INTERVAL, "made by a test")
    spiceypy.pckw02(handle, *head, INTERVAL, records, DEGREE, np.ravel(sets), begin)
    spiceypy.pckcls(handle)
    return path


@pytest.fixture
def kernel(tmp_path):
    return write(tmp_path / "moon.bpc")


def spice_says(path, name, seconds):
    """Return SPICE's matrix from a frame to J2000 and its angular velocity, at each second."""
    frames = path.with_name("moon.tf")
    frames.write_text(FRAMES)
    spiceypy.furnsh([str(path), str(frames)])
    try:
        matrices = [spiceypy.pxform(name, "J2000", t) for t in seconds.tolist()]
        spins = [spiceypy.xf2rav(spiceypy.sxform("J2000", name, t))[1] for t in seconds.tolist()]
    finally:
        spiceypy.kclear()
    return np.array(matrices), np.array(spins)


@pytest.mark.parametrize(("axes", "name"), [("PA", "MOON_PA_DE440"), ("ME", "MOON_ME_DE440_ME421")])
@pytest.mark.parametrize("frame", ["J2000", "ECLIPJ2000"])
def test_orientation_is_that_of_spice(axes, name, frame, tmp_path):
    path = write(tmp_path / "moon.bpc", frame)
    # whole seconds, which SPICE holds exactly; the ends and the seams are among them
    rng = np.random.default_rng(1)
    inside = T0 + rng.integers(0, int(COUNT * INTERVAL), 40).astype(np.float64)
    seconds = np.concatenate([inside, T0 + INTERVAL * np.arange(COUNT + 1)])
    found = MoonRotation(path, axes)(daf.epoch_of(seconds))
    matrices, spins = spice_says(path, name, seconds)
    # the angle of the rotation between the two matrices
    apart = np.einsum("nij,nik->njk", found.matrix, matrices) - np.eye(3)
    assert np.abs(apart).max() < RADIAN_OF_A_MICROMETRE
    assert np.abs(found.spin - spins).max() < RADIAN_OF_A_MICROMETRE * np.abs(spins).max()
    assert np.linalg.norm(found.spin, axis=1) == pytest.approx(2.66e-6, rel=0.02)


def test_the_two_axes_are_as_far_apart_as_published(kernel):
    """Principal axes and mean Earth differ by about 875 m on the surface (Park et al. 2021)."""
    pa, me = (MoonRotation(kernel, axes)(START) for axes in ("PA", "ME"))
    equator = np.array([1737.4e3, 0.0, 0.0])
    apart = np.linalg.norm(pa.position(equator) - me.position(equator))
    assert apart == pytest.approx(875.0, abs=2.0)
    assert np.array_equal(pa.spin, me.spin)


def test_a_reflector_stands_where_pictures_show_it(kernel):
    """Laser ranging's place of Apollo 11's, principal axes, is LROC's on the map, mean Earth.

    The map's longitude and latitude of Tranquility Base (Wagner et al. 2017) to 0.001 degrees, 30
    m; the two kinds of axes are 600 m apart there.
    """
    ranged = MoonRotation(kernel, "PA")(START).position(APOLLO_11)
    x, y, z = MoonRotation(kernel, "ME")(START).matrix.T @ ranged
    assert np.degrees(np.arctan2(y, x)) == pytest.approx(23.473, abs=1e-3)
    assert np.degrees(np.arctan2(z, np.hypot(x, y))) == pytest.approx(0.674, abs=1e-3)


def test_a_lander_is_known_as_long_as_the_rotation(kernel):
    own = MoonRotation(kernel)
    lander = FixedOnBody("REFLECTOR", "MOON", APOLLO_11, own)
    assert [end.iso(0) for end in lander.span] == [end.iso(0) for end in own.span]
    with pytest.raises(ConfigurationError, match="MoonRotation"):
        FixedOnBody("REFLECTOR", "MOON", APOLLO_11)


def test_velocity_is_the_derivative_of_position(kernel):
    lander = FixedOnBody("REFLECTOR", "MOON", APOLLO_11, MoonRotation(kernel, "PA"))
    epoch = START.shifted(np.array([1e5, 5e5, 1.5e6]))
    step = 30.0
    ahead, behind = (lander.state(epoch.shifted(s))[:, :3] for s in (step, -step))
    numeric = (ahead - behind) / (2.0 * step)
    # third derivative: 4.6 m/s (2.7e-6 / s)^2 step^2 / 6 = 5e-9 m/s; and 4000 rad of rotation are
    # doubles 4.5e-13 apart, 0.8 micrometres on the surface, over 60 s 1.3e-8 m/s
    assert np.abs(numeric - lander.state(epoch)[:, 3:]).max() < 2e-8
    assert np.linalg.norm(lander.state(epoch)[:, 3:], axis=1) == pytest.approx(4.6, rel=0.02)


def test_an_epoch_is_kept_finer_than_one_double(kernel):
    rotation = MoonRotation(kernel)
    base, shifts = START.shifted(7200.3), np.arange(40) * 1e-8
    place = np.array([1737.4e3, 0.0, 0.0])
    turned = rotation(base.shifted(shifts)).position(place) - rotation(base).position(place)
    expected = rotation(base).velocity(rotation(base).position(place)) * shifts[:, None]
    # the angle of 4000 rad rounds by 5e-13, a micrometre
    assert np.abs(turned - expected).max() < 2e-6
    assert rotation(START).matrix.shape == (3, 3)


def test_of_two_segments_the_later_one_holds(tmp_path):
    path = write(tmp_path / "moon.bpc")
    handle = spiceypy.dafopw(str(path))
    nodes = np.zeros((1, 3, 2))
    spiceypy.pckw02(
        handle, PA_DE440, "J2000", T0, T0 + INTERVAL, "later", INTERVAL, 1, 1, nodes.ravel(), T0
    )
    spiceypy.pckcls(handle)
    rotation = MoonRotation(path, "PA")
    assert np.array_equal(rotation(START.shifted(100.0)).matrix, np.eye(3))
    assert not np.array_equal(rotation(START.shifted(INTERVAL + 100.0)).matrix, np.eye(3))


def test_what_cannot_be_had_is_told(kernel, tmp_path):
    with pytest.raises(MissingDataError):
        MoonRotation(tmp_path / "absent.bpc")
    with pytest.raises(ConfigurationError, match="'ME' or 'PA'"):
        MoonRotation(kernel, "IAU")
    with pytest.raises(FormatError, match="31006"):
        MoonRotation(write(tmp_path / "other.bpc", class_id=31006))
    assert MoonRotation(tmp_path / "other.bpc", frame=31006).frame == 31006
    (tmp_path / "text.bpc").write_text("KPL/PCK\n" * 200)
    with pytest.raises(FormatError, match="not a binary PCK"):
        MoonRotation(tmp_path / "text.bpc")
    whole = kernel.read_bytes()
    (tmp_path / "cut.bpc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="cut off"):
        MoonRotation(tmp_path / "cut.bpc")
    rotation = MoonRotation(kernel)
    assert [end.iso(0) for end in rotation.span] == ["2026-03-01T00:00:00", "2026-04-02T00:00:00"]
    for outside in (-1.0, COUNT * INTERVAL + 1.0, np.nan):
        with pytest.raises(SpanError, match="2026-03-01"):
            rotation(Epoch("tdb", START.day, START.second + outside))
