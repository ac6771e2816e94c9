"""SPK files: every type against SPICE's own pool, chains, gaps, damage, and what is written."""

import pickle
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import spiceypy

from kitestring.errors import (
    ConfigurationError,
    FormatError,
    KitestringError,
    MissingDataError,
    SpanError,
    UnknownNameError,
)
from kitestring.formats.oem import write_oem
from kitestring.formats.spk import TYPES, read_spk, spk_contents
from kitestring.formats.spk_write import write_spk
from kitestring.formats.trajectories import read_trajectory
from kitestring.model import daf
from kitestring.model.ephemeris import SSB, Ephemeris
from kitestring.model.tabulated import TabulatedTrajectory
from kitestring.model.time import DAY, Epoch
from kitestring.session.predictions import find_target

MICROMETRE = 1e-6
ULP_AT_AU = 3.1e-5  # m: the rounding of a double of 1.5e8 km, or of the same in m
PROBE, OTHER = -123, -124
START = Epoch.from_iso("2026-03-01T00:00:00", "tdb")
T0 = float(daf.seconds_of(START)[0])
GM_SUN = 1.32712440041e11  # km^3/s^2
STEP = 3600.0
N = 60
GRID = T0 + STEP * np.arange(N)
LAST = float(GRID[-1])
HEAD = (PROBE, 10, "J2000", T0, LAST)


def arc(seconds, phase=0.0):
    """Return states on a tilted circle of 1 au and a year about the Sun, km and km/s."""
    seconds = np.asarray(seconds, dtype=np.float64)
    rate = np.sqrt(GM_SUN / 1.5e8**3)
    angle = rate * (seconds - T0) + phase
    u = np.array([1.0, 0.0, 0.0])
    v = np.array([0.0, np.cos(0.4), np.sin(0.4)])
    place = 1.5e8 * (np.cos(angle)[..., None] * u + np.sin(angle)[..., None] * v)
    speed = 1.5e8 * rate * (np.cos(angle)[..., None] * v - np.sin(angle)[..., None] * u)
    return np.concatenate([place, speed], axis=-1)


def polynomials(columns, degree=9, interval=4 * STEP):
    """Return Chebyshev coefficients of the arc, (records, columns, degree + 1)."""
    count = int((LAST - T0) / interval) + 1
    nodes = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    sets = []
    for k in range(count):
        at = T0 + interval * (k + 0.5 + nodes / 2.0)
        fitted = np.polynomial.chebyshev.chebfit(nodes, arc(at)[:, columns], degree)
        sets.append(fitted.T)
    return np.array(sets), count, interval


def two(handle):
    data, count, interval = polynomials([0, 1, 2])
    spiceypy.spkw02(handle, *HEAD, "two", interval, count, 9, data.ravel(), T0)


def three(handle):
    data, count, interval = polynomials(range(6))
    spiceypy.spkw03(handle, *HEAD, "three", interval, count, 9, data.ravel(), T0)


def five(handle):
    spiceypy.spkw05(handle, *HEAD, "five", GM_SUN, N, arc(GRID), GRID)


def eight(handle):
    spiceypy.spkw08(handle, *HEAD, "eight", 7, N, arc(GRID), T0, STEP)


def nine(handle, head=HEAD, at=GRID, phase=0.0):
    spiceypy.spkw09(handle, *head, "nine", 7, len(at), arc(at, phase), at)


def ten(handle):
    # a near-Earth satellite in the units of two-line elements; WGS-72 of NAIF's geophysical.ker
    constants = [1.082616e-3, -2.53881e-6, -1.65597e-6, 7.43669161e-2, 120.0, 78.0, 6378.135, 1.0]
    elements = [0.0, 0.0, 2e-5, 0.9, 1.0, 1e-3, 2.0, 3.0, 0.0675, T0]
    head = (PROBE, 399, "J2000", T0, LAST)
    spiceypy.spkw10(handle, *head, "ten", constants, 1, elements, [T0])


def twelve(handle):
    spiceypy.spkw12(handle, *HEAD, "twelve", 7, N, arc(GRID), T0, STEP)


def thirteen(handle):
    spiceypy.spkw13(handle, *HEAD, "thirteen", 7, N, arc(GRID), GRID)


def fourteen(handle):
    data, count, interval = polynomials(range(6))
    spiceypy.spk14b(handle, "fourteen", PROBE, 10, "J2000", T0, LAST, 9)
    middles = T0 + interval * (np.arange(count) + 0.5)
    records = [
        np.concatenate([[middle, interval / 2.0], record.ravel()])
        for middle, record in zip(middles, data, strict=True)
    ]
    edges = T0 + interval * np.arange(count + 1)
    spiceypy.spk14a(handle, count, np.concatenate(records), edges)
    spiceypy.spk14e(handle)


def fifteen(handle):
    pole, node = np.array([0.0, -np.sin(0.4), np.cos(0.4)]), np.array([1.0, 0.0, 0.0])
    shape = (1.5e8, 0.01, 3.0)
    spiceypy.spkw15(
        handle, *HEAD, "fifteen", T0, pole, node, *shape, [0.0, 0.0, 1.0], GM_SUN, 1e-7, 7e5
    )


def seventeen(handle):
    elements = [1.5e8, 0.01, 0.02, 1.0, 0.1, 0.2, 1e-12, 2e-7, 1e-12]
    spiceypy.spkw17(handle, *HEAD, "seventeen", T0, elements, -np.pi / 2, np.pi / 2)


def eighteen(handle):
    spiceypy.spkw18(handle, 1, *HEAD, "eighteen", 7, arc(GRID), GRID)


def twenty(handle):
    data, count, interval = polynomials([3, 4, 5])
    middles = T0 + interval * (np.arange(count) + 0.5)
    record = np.concatenate([data, arc(middles)[:, :3, None]], axis=2)
    # velocity polynomials and the position at the middle, in units of 1 km and 1 s
    day = 2451545.0 + T0 / DAY
    head = (*HEAD, "twenty", interval / DAY, count, 9)
    spiceypy.spkw20(handle, *head, record.ravel(), 1.0, 1.0, np.floor(day), day % 1.0)


WRITERS = {
    2: two, 3: three, 5: five, 8: eight, 9: nine, 10: ten, 12: twelve, 13: thirteen,
    14: fourteen, 15: fifteen, 17: seventeen, 18: eighteen, 20: twenty,
}  # fmt: skip


def make(path, *writers):
    handle = spiceypy.spkopn(str(path), "TEST", 0)
    for writer in writers:
        writer(handle)
    spiceypy.spkcls(handle)
    return path


def summary_place(data):
    """Return where the first segment's summary lies in a file, bytes."""
    return (struct.unpack("<i", data[76:80])[0] - 1) * 1024 + 24


def make_by_hand(path, data_type, words):
    """Write a segment of a type that SPICE writes no more: another one's place is filled."""
    count = -(-len(words) // 6) + 8
    at = T0 + STEP * np.arange(count)
    make(
        path,
        lambda h: spiceypy.spkw08(h, *HEAD[:3], T0, at[-1], "hand", 7, count, arc(at), T0, STEP),
    )
    data = bytearray(path.read_bytes())
    place = summary_place(data)
    ints = list(struct.unpack_from("<6i", data, place + 16))
    ints[3], ints[5] = data_type, ints[4] + len(words) - 1
    struct.pack_into("<6i", data, place + 16, *ints)
    struct.pack_into("<d", data, place + 8, LAST)
    struct.pack_into(f"<{len(words)}d", data, 8 * (ints[4] - 1), *words)
    path.write_bytes(data)
    return path


def difference_line(size):
    """Return a record of modified differences: a constant acceleration, by the first of them."""
    state = arc(T0)
    differences = np.zeros((3, size))
    differences[:, 0] = [1e-6, -2e-6, 3e-6]
    steps = STEP * np.arange(1, size + 1)
    pairs = np.stack([state[:3], state[3:]], axis=1).ravel()
    return np.concatenate([[T0], steps, pairs, differences.ravel(), [3.0, 2.0, 2.0, 2.0]])


def nineteen_words():
    packet = [*arc(GRID).ravel(), *GRID, 1.0, 8.0, float(N)]
    return [*packet, T0, LAST, 1.0, 1.0 + len(packet), 1.0, 1.0]


def by_hand(path, data_type):
    words = {
        1: lambda: [*difference_line(15), LAST, 1.0],
        19: nineteen_words,
        21: lambda: [*difference_line(25), LAST, 25.0, 1.0],
    }[data_type]()
    return make_by_hand(path, data_type, words)


LEAP = """KPL/LSK
\\begindata
DELTET/DELTA_T_A = 32.184
DELTET/K = 1.657D-3
DELTET/EB = 1.671D-2
DELTET/M = ( 6.239996D0 1.99096871D-7 )
DELTET/DELTA_AT = ( 36, @2015-JUL-1, 37, @2017-JAN-1 )
\\begintext
"""


def pool_states(path, target, center, seconds):
    """Return what SPICE says with the file in its pool, km and km/s."""
    path.with_name("leap.tls").write_text(LEAP)
    spiceypy.furnsh([str(path), str(path.with_name("leap.tls"))])
    try:
        return np.array([spiceypy.spkgeo(target, float(t), "J2000", center)[0] for t in seconds])
    finally:
        spiceypy.kclear()


@pytest.fixture
def probe(tmp_path):
    return make(tmp_path / "probe.bsp", nine)


def at_seconds(*seconds):
    """Return epochs some seconds after the start."""
    return START.shifted(np.array(seconds))


# -- states ------------------------------------------------------------------------------


@pytest.mark.parametrize("data_type", TYPES)
def test_every_type_is_what_spice_says(data_type, tmp_path):
    path = tmp_path / "x.bsp"
    if data_type in WRITERS:
        make(path, WRITERS[data_type])
    else:
        by_hand(path, data_type)
    (held,) = spk_contents(path)
    assert (held.target, held.data_type, held.frame) == (PROBE, data_type, "J2000")
    seconds = T0 + np.array([0.0, 1.0, 5000.5, 1e5, LAST - T0])
    found = read_spk(path)
    assert found.center == ("EARTH" if data_type == 10 else "SUN")
    expected = 1e3 * pool_states(path, PROBE, held.center, seconds)
    assert np.all(np.linalg.norm(expected[:, 3:], axis=1) > 5e3)  # it moves
    assert np.abs(found.state(daf.epoch_of(seconds)) - expected)[:, :3].max() <= 2 * ULP_AT_AU
    assert np.abs(found.state(daf.epoch_of(seconds)) - expected)[:, 3:].max() < 1e-10


def test_an_epoch_is_kept_finer_than_spice_holds_it(probe):
    """One double of seconds steps by 0.1 microsecond: 3.6 mm at 30 km/s."""
    found = read_spk(probe)
    base = START.shifted(7200.3)
    shifts = np.arange(50) * 1e-8
    moved = found.state(base.shifted(shifts))[:, :3] - found.state(base)[:3]
    expected = found.state(base)[3:] * shifts[:, None]
    assert np.abs(moved - expected).max() < 3 * ULP_AT_AU
    assert np.abs(expected).max() > 1e-2
    whole, rest = daf.seconds_of(base.shifted(shifts))
    assert len(np.unique(whole)) < 10  # what SPICE would see
    assert np.abs(rest).max() > 1e-8


def test_ecliptic_axes_are_turned(tmp_path):
    head = (PROBE, 10, "ECLIPJ2000", T0, LAST)
    path = make(tmp_path / "x.bsp", lambda h: nine(h, head))
    seconds = T0 + np.array([10.0, 70000.0])
    expected = 1e3 * pool_states(path, PROBE, 10, seconds)
    found = read_spk(path).state(daf.epoch_of(seconds))
    assert np.abs(found - expected)[:, :3].max() <= 3 * ULP_AT_AU
    assert np.abs(found - 1e3 * arc(seconds)).max() > 1e8  # m: they are not the same axes


def test_other_axes_are_refused_by_name(tmp_path):
    path = make(tmp_path / "x.bsp", lambda h: nine(h, (PROBE, 10, "B1950", T0, LAST)))
    with pytest.raises(FormatError, match="B1950"):
        read_spk(path)


def test_shapes_are_kept(probe):
    found = read_spk(probe)
    assert found.state(START.shifted(5.0)).shape == (6,)
    epoch = Epoch("tdb", np.full((2, 3), START.day), np.arange(6.0).reshape(2, 3))
    assert found.state(epoch).shape == (2, 3, 6)
    assert np.array_equal(found.state(epoch)[1, 2], found.state(START.shifted(5.0)))
    utc = START.shifted(600.0).to("utc")
    assert np.abs(found.state(utc) - found.state(START.shifted(600.0))).max() < 2e-6 * 30e3


# -- segments, spans, centres --------------------------------------------------------------


def test_of_two_segments_the_later_one_in_the_file_holds(tmp_path):
    inner = (PROBE, 10, "J2000", T0 + 10 * STEP, T0 + 20 * STEP)
    path = make(tmp_path / "x.bsp", nine, lambda h: nine(h, inner, phase=1e-3))
    seconds = T0 + STEP * np.array([5.0, 15.0, 25.0])
    found = read_spk(path)
    expected = 1e3 * pool_states(path, PROBE, 10, seconds)
    assert np.abs(found.state(daf.epoch_of(seconds)) - expected)[:, :3].max() <= 2 * ULP_AT_AU
    assert len(found.coverage) == 1


def test_a_gap_is_told_with_the_spans_beside_it(tmp_path):
    heads = [(PROBE, 10, "J2000", T0 + a * STEP, T0 + b * STEP) for a, b in ((0, 10), (20, 30))]
    path = make(tmp_path / "x.bsp", *(lambda h, head=head: nine(h, head) for head in heads))
    found = read_spk(path)
    assert [end.iso(0) for end in found.span] == ["2026-03-01T00:00:00", "2026-03-02T06:00:00"]
    assert np.all(np.isfinite(found.state(at_seconds(0.0, 10 * STEP, 20 * STEP, 30 * STEP))))
    with pytest.raises(
        SpanError, match=r"T10:00:00.000, .*T20:00:00.000 to .*not .*T15:00"
    ) as told:
        found.state(at_seconds(5 * STEP, 15 * STEP))
    assert told.value.place == str(path)
    for outside in (-1.0, 31 * STEP, np.nan):
        with pytest.raises(SpanError):
            found.state(Epoch("tdb", START.day, START.second + outside))


def test_segments_that_touch_have_no_gap(tmp_path):
    heads = [(PROBE, 10, "J2000", T0 + a * STEP, T0 + b * STEP) for a, b in ((0, 10), (10, 30))]
    path = make(tmp_path / "x.bsp", *(lambda h, head=head: nine(h, head) for head in heads))
    assert len(read_spk(path).coverage) == 1


def test_one_body_of_several_has_to_be_named(tmp_path):
    path = make(tmp_path / "x.bsp", nine, lambda h: nine(h, (301, 10, "J2000", T0, LAST)))
    with pytest.raises(ConfigurationError, match=r"-123 \(-123\), MOON \(301\)"):
        read_spk(path)
    assert read_spk(path, "moon").name == "MOON"
    assert read_spk(path, PROBE).name == read_spk(path, "-123").name == "-123"
    with pytest.raises(UnknownNameError, match="MOON"):
        read_spk(path, "VENUS")
    with pytest.raises(UnknownNameError):
        read_spk(path, "nobody at all")


def test_centres_that_differ_are_chained_to_the_barycentre(tmp_path):
    half = T0 + 30 * STEP
    path = make(
        tmp_path / "x.bsp",
        lambda h: nine(h, (PROBE, 399, "J2000", T0, half)),
        lambda h: nine(h, (PROBE, 10, "J2000", half, LAST)),
    )
    found = read_spk(path)
    assert found.center == SSB
    epoch = at_seconds(5 * STEP, 45 * STEP)
    eph = Ephemeris.default()
    homes = np.array([eph.barycentric(n, epoch[k]) for k, n in enumerate(("EARTH", "SUN"))])
    expected = homes + 1e3 * arc(daf.seconds_of(epoch)[0])
    # an interpolation of degree 7 over hours leaves a tenth of a millimetre of a year's circle
    assert np.abs(found.state(epoch) - expected)[:, :3].max() < 1e-3
    sun = read_spk(path, center="SUN")
    assert np.abs(sun.state(epoch) + eph.barycentric("SUN", epoch) - expected).max() < 1e-3


def test_a_centre_inside_the_file_is_followed(tmp_path):
    asteroid, head = 2000433, (PROBE, 2000433, "J2000", T0, LAST)
    path = make(
        tmp_path / "x.bsp",
        lambda h: nine(h, head),
        lambda h: nine(h, (asteroid, 10, "J2000", T0, LAST), phase=1.0),
    )
    found = read_spk(path, PROBE)
    assert found.center == "SUN"
    seconds = T0 + np.array([100.0, 50000.0])
    expected = 1e3 * pool_states(path, PROBE, 10, seconds)
    assert np.abs(found.state(daf.epoch_of(seconds)) - expected)[:, :3].max() <= 3 * ULP_AT_AU
    near = read_spk(path, PROBE, center=asteroid)
    expected = 1e3 * pool_states(path, PROBE, asteroid, seconds)
    assert np.abs(near.state(daf.epoch_of(seconds)) - expected)[:, :3].max() <= 2 * ULP_AT_AU
    assert near.center == "EROS"


def test_a_centre_that_nobody_holds_is_an_error(tmp_path):
    path = make(tmp_path / "x.bsp", lambda h: nine(h, (PROBE, 2000433, "J2000", T0, LAST)))
    with pytest.raises(FormatError, match=r"-123 is given relative to EROS \(2000433\)"):
        read_spk(path)
    with pytest.raises(FormatError, match="EROS"):
        read_spk(path, center="SUN")
    assert read_spk(path, center=2000433).name == "-123"
    mars = make(tmp_path / "y.bsp", lambda h: nine(h, (PROBE, 499, "J2000", T0, LAST)))
    assert read_spk(mars).center == "MARS"
    with pytest.raises(FormatError, match="-777"):
        read_spk(mars, center=-777)


def test_centres_in_a_circle_end(tmp_path):
    path = make(
        tmp_path / "x.bsp",
        lambda h: nine(h, (PROBE, OTHER, "J2000", T0, LAST)),
        lambda h: nine(h, (OTHER, PROBE, "J2000", T0, LAST)),
    )
    with pytest.raises(FormatError, match="circle"):
        read_spk(path, PROBE).state(START)


def test_two_files_never_mix(tmp_path):
    """The same body in two files, both alive, and a third in SPICE's own pool."""
    paths = [make(tmp_path / f"{k}.bsp", lambda h, k=k: nine(h, phase=float(k))) for k in range(3)]
    spiceypy.furnsh(str(paths[2]))
    try:
        found = [read_spk(path) for path in paths[:2]]
        for _ in range(2):
            for k, one in enumerate(found):
                apart = one.state(START) - 1e3 * arc(T0, float(k))
                assert np.abs(apart).max() < 1e-3
    finally:
        spiceypy.kclear()
    assert np.abs(found[0].state(START) - 1e3 * arc(T0)).max() < 1e-3


def test_it_travels_to_another_process(probe):
    found = read_spk(probe)
    again = pickle.loads(pickle.dumps(found))
    assert np.array_equal(again.state(START.shifted(9.0)), found.state(START.shifted(9.0)))


def test_threads_do_not_disturb_each_other(tmp_path):
    paths = [make(tmp_path / f"{k}.bsp", lambda h, k=k: nine(h, phase=float(k))) for k in range(2)]
    found = [read_spk(path) for path in paths]
    epoch = START.shifted(np.linspace(0.0, 1e5, 300))
    alone = [one.state(epoch) for one in found]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda k: found[k % 2].state(epoch), range(40)))
    for k, states in enumerate(together):
        assert np.array_equal(states, alone[k % 2])


# -- damage --------------------------------------------------------------------------------


def test_a_file_that_changed_is_not_read_with_the_old_summary(probe):
    found = read_spk(probe)
    make(probe.with_name("new"), lambda h: nine(h, phase=1.0)).replace(probe)
    with pytest.raises(FormatError, match="changed since"):
        found.state(START)
    probe.unlink()
    with pytest.raises(MissingDataError):
        found.state(START)


def test_what_is_no_spk_is_told(tmp_path, probe):
    with pytest.raises(MissingDataError):
        read_spk(tmp_path / "absent.bsp")
    with pytest.raises(MissingDataError):
        read_spk(tmp_path)
    for name, content in (
        ("empty", b""),
        ("text", b"CCSDS_OEM_VERS = 2.0\n" * 100),
        ("pck", probe.read_bytes().replace(b"DAF/SPK ", b"DAF/PCK ", 1)),
        ("transfer", b"DAFETF NAIF DAF ENCODED TRANSFER FILE\n" * 50),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FormatError, match="not a binary SPK") as told:
            spk_contents(path)
        assert told.value.place == str(path)
    spiceypy.dafcls(spiceypy.spkopn(str(tmp_path / "none.bsp"), "TEST", 0))
    with pytest.raises(FormatError, match=r"no segment|cut off"):
        read_spk(tmp_path / "none.bsp")


def test_a_file_that_is_cut_off_is_told(tmp_path, probe):
    whole = probe.read_bytes()
    for length in (500, 1024, 2048, 3100, len(whole) // 2, len(whole) - 1024):
        path = tmp_path / "cut.bsp"
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError) as told:
            read_spk(path)
        assert told.value.place.startswith(str(path))
        assert not spiceypy.failed()


@pytest.mark.parametrize("data_type", [2, 3, 8, 9, 13, 18, 20])
def test_damage_gives_nothing_but_our_own_errors(data_type, tmp_path):
    path = make(tmp_path / "whole.bsp", WRITERS[data_type])
    whole = path.read_bytes()
    at = summary_place(whole)
    begin, end = struct.unpack_from("<2i", whole, at + 32)
    rng = np.random.default_rng(data_type)
    # the header, the summary, and the numbers that stand behind the data
    regions = [(0, 1024), (at - 24, at + 40), (8 * (end - 5), 8 * end), (8 * begin, 8 * end)]
    refused = 0
    for trial in range(120):
        low, high = regions[trial % len(regions)]
        data = bytearray(whole)
        data[rng.integers(low, high)] = rng.integers(256)
        bad = tmp_path / "bad.bsp"
        bad.write_bytes(data)
        place = str(bad)
        try:
            found = read_spk(bad)
            states = found.state(daf.epoch_of(np.linspace(*found.coverage[0], 5)))
            assert np.all(np.isfinite(states))
        except KitestringError as error:
            place = error.place
            refused += 1
        assert place.startswith(str(bad))
        assert not spiceypy.failed()
    assert refused >= 10  # enough of the bytes matter for the test to mean something


def test_states_that_are_not_numbers_are_told(tmp_path):
    path = make(tmp_path / "x.bsp", nine)
    data = bytearray(path.read_bytes())
    begin = struct.unpack_from("<i", data, summary_place(data) + 32)[0]
    struct.pack_into("<d", data, 8 * (begin - 1), np.nan)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="not finite"):
        read_spk(path).state(START)


# -- writing -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def orbiter():
    """A spacecraft 10,000 km from Mars' barycentre, as a table of its states."""
    at = np.arange(0.0, 6 * STEP + 1.0, 60.0)
    rate = np.sqrt(4.282837e13 / 1e7**3)
    zero = np.zeros_like(at)
    place = 1e7 * np.stack([np.cos(rate * at), np.sin(rate * at), zero], axis=1)
    speed = 1e7 * rate * np.stack([-np.sin(rate * at), np.cos(rate * at), zero], axis=1)
    epoch = START.shifted(0.123456789).shifted(at)
    return TabulatedTrajectory("ORBITER", "MARS BARYCENTER", epoch, np.hstack([place, speed]))


@pytest.mark.parametrize("data_type", [9, 13])
def test_what_is_written_is_read_again(data_type, orbiter, tmp_path):
    path = tmp_path / "x.bsp"
    worst = write_spk(
        path, orbiter, 60.0, body=-321, data_type=data_type, comments=["made by hand"]
    )
    assert worst < MICROMETRE
    found = read_spk(path)
    assert (found.name, found.center) == ("-321", "MARS BARYCENTER")
    rng = np.random.default_rng(1)
    epoch = orbiter.epoch[0].shifted(rng.uniform(0.0, 6 * STEP, 200))
    apart = found.state(epoch) - orbiter.state(epoch)
    assert np.abs(apart[:, :3]).max() < MICROMETRE
    assert np.abs(apart[:, 3:]).max() < MICROMETRE
    for end in orbiter.span:  # doubles of seconds lie inside the span, by less than they round
        assert np.abs(found.state(end) - orbiter.state(end))[:3].max() < MICROMETRE
    assert list(tmp_path.iterdir()) == [path]
    handle = spiceypy.dafopr(str(path))
    count, lines, _ = spiceypy.dafec(handle, 10, 100)
    assert lines[:count] == ["made by hand"]
    spiceypy.dafcls(handle)


def test_a_step_too_long_leaves_the_old_file(orbiter, tmp_path):
    path = tmp_path / "x.bsp"
    write_spk(path, orbiter, 60.0, body=-321)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="shorter step"):
        write_spk(path, orbiter, 5000.0, body=-321)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_step_the_tolerance_decides(orbiter, tmp_path):
    sizes = []
    for tolerance in (1e-3, 1.0, 1e6):
        path = tmp_path / f"{tolerance}.bsp"
        worst = write_spk(path, orbiter, body=-321, tolerance=tolerance, degree=3)
        middle = np.linspace(*orbiter.epoch.since(START)[[0, -1]], 1001)[1:-1]
        apart = read_spk(path).state(START.shifted(middle)) - orbiter.state(START.shifted(middle))
        assert np.linalg.norm(apart[:, :3], axis=1).max() < 2.0 * max(worst, MICROMETRE)
        assert worst <= tolerance
        sizes.append(path.stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


@pytest.mark.parametrize("distance", [2.0, 30.0, 170.0])
def test_far_away_a_double_decides(distance, tmp_path):
    grid = START.shifted(DAY * np.arange(11.0))
    states = np.zeros((11, 6))
    states[:, 0] = distance * 1.495978707e11 + 17e3 * DAY * np.arange(11.0)
    states[:, 3] = 17e3
    line = TabulatedTrajectory("VOYAGER 1", SSB, grid, states)
    path = tmp_path / "x.bsp"
    worst = write_spk(path, line)
    assert worst <= max(1e-3, 16 * distance * ULP_AT_AU)
    assert read_spk(path).name == "VOYAGER 1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"step": 0.0}, "step"),
        ({"step": 1e-9}, "10000000 states"),
        ({"step": np.nan}, "step"),
        ({"body": None}, "ORBITER"),
        ({"body": 4}, "4 relative to"),
        ({"body": 0}, "0 relative to"),
        ({"body": 2**31}, "2147483648 relative to"),
        ({"degree": 4}, "degree"),
        ({"data_type": 2}, "type 2"),
        ({"first": START.shifted(3600.0), "last": START.shifted(60.0)}, "no span"),
    ],
)
def test_what_cannot_be_written_is_told(change, words, orbiter, tmp_path):
    given = {"step": 60.0, "body": -321} | change
    with pytest.raises(ConfigurationError, match=words):
        write_spk(tmp_path / "x.bsp", orbiter, **given)
    assert not list(tmp_path.iterdir())


def test_what_failed_once_can_be_written_the_next_time(orbiter, tmp_path, monkeypatch):
    """A file that CSPICE could not fill is closed: it would refuse the same name again."""
    with monkeypatch.context() as broken:
        broken.setattr(spiceypy, "spkw13", lambda *_: spiceypy.bodn2c("nobody's name"))
        with pytest.raises(KitestringError, match=r"x\.bsp: CSPICE cannot write it"):
            write_spk(tmp_path / "x.bsp", orbiter, 60.0, body=-321)
    assert not list(tmp_path.iterdir())
    assert write_spk(tmp_path / "x.bsp", orbiter, 60.0, body=-321) < MICROMETRE
    with pytest.raises(KitestringError, match="cannot write"):
        write_spk(tmp_path / "absent" / "x.bsp", orbiter, 60.0, body=-321)


def test_few_states_lower_the_degree(orbiter, tmp_path):
    span = {"first": START.shifted(60.5), "last": START.shifted(90.75)}
    for data_type in (9, 13):
        path = tmp_path / f"{data_type}.bsp"
        write_spk(path, orbiter, 60.0, body=-321, data_type=data_type, tolerance=1e3, **span)
        assert [end.iso(3) for end in read_spk(path).span] == [s.iso(3) for s in span.values()]


# -- one reader for orbit files --------------------------------------------------------------


def test_content_says_which_file_it_is(orbiter, tmp_path):
    spk, oem = tmp_path / "a.oem", tmp_path / "b.bsp"  # names that say otherwise
    write_spk(spk, orbiter, 60.0, body=-321)
    write_oem(oem, orbiter, orbiter.epoch, object_id="2025-101A")
    epoch = START.shifted(1000.0)
    for path, target in (
        (spk, None),
        (spk, "-321"),
        (oem, None),
        (oem, "orbiter"),
        (oem, "2025-101A"),
    ):
        apart = read_trajectory(path, target).state(epoch) - orbiter.state(epoch)
        assert np.abs(apart).max() < 1e-3
    for path in (spk, oem):
        with pytest.raises(UnknownNameError):
            read_trajectory(path, "VOYAGER 2")
    with pytest.raises(MissingDataError):
        read_trajectory(tmp_path / "absent")
    for content, words in (("", "is empty"), ("KPL/MK\n", "text kernel")):
        (tmp_path / "other.bsp").write_text(content)
        with pytest.raises(FormatError, match=words):
            read_trajectory(tmp_path / "other.bsp")
    oem.write_text(oem.read_text() + oem.read_text()[oem.read_text().index("META_START") :])
    with pytest.raises(ConfigurationError, match="2 segments"):
        read_trajectory(oem)


def test_a_prediction_finds_a_body_of_a_file(tmp_path):
    path = make(tmp_path / "x.bsp", nine, lambda h: nine(h, (301, 10, "J2000", T0, LAST)))
    name, found = find_target(f"{path}#MOON")
    assert name == "MOON"
    assert np.abs(found.state(START) - 1e3 * arc(T0)).max() < 1e-3
    with pytest.raises(ConfigurationError, match="2 bodies"):
        find_target(str(path))
    for name in ("ORBITER", "MERCURY", "-5"):  # unknown to SPICE, and to the file
        with pytest.raises(UnknownNameError, match=r"x\.bsp: no body of the file.*MOON \(301\)"):
            find_target(f"{path}#{name}")
    with pytest.raises(UnknownNameError):
        find_target(f"{tmp_path}/y.bsp#MOON")
