"""Corrections of quantisation against noise that is known before it is sampled."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from kitestring.correlate.engine import correlate
from kitestring.correlate.plan import ChunkSums, make_plan
from kitestring.correlate.quantisation import Response, Sampler, make_sampler
from kitestring.correlate.samples import Stream
from kitestring.correlate.states import count_stream
from kitestring.correlate.store import mean_visibilities, read_visibilities
from kitestring.correlate.stored import correlate_to_store
from kitestring.errors import ConfigurationError, RecordingError
from kitestring.model.time import Epoch
from kitestring.recordings.quantise import levels
from kitestring.recordings.types import PACKED_MARGIN, Channel, PackedBlock

START = Epoch.from_iso("2026-03-01T10:00:00")
RATE, SKY, BINS = 8e6, 8.4e9, 128
COUNT = 1 << 20
HIGH = 3.3  # of this sampler, not the decoder's
THRESHOLDS = (0.6, 0.98, 1.5)  # sigma
SIGMAS = 5.0  # of the sampling error


# -- what samplers do -------------------------------------------------------------------------


def normal_sampler(thresholds, values):
    edges = [0.0, *(0.5 * math.erfc(-t / math.sqrt(2)) for t in thresholds), 1.0]
    return Sampler(np.array(values, dtype=float), np.diff(edges))


@pytest.mark.parametrize(
    ("thresholds", "values", "efficiency"),
    [
        # Thompson, Moran & Swenson, 3rd ed., sections 8.3.1 to 8.3.3
        ([0.0], [-1, 1], 2 / math.pi),
        ([-0.612, 0.612], [-1, 0, 1], 0.810),
        ([-0.9816, 0.0, 0.9816], [-3.3359, -1, 1, 3.3359], 0.8825),
        # levels of equal distance, thresholds at sigma: 0.55 dB (Hegarty 2011)
        ([-1.0, 0.0, 1.0], [-3, -1, 1, 3], 10**-0.055),
    ],
)
def test_efficiencies_are_those_of_the_books(thresholds, values, efficiency):
    found = normal_sampler(thresholds, values)
    np.testing.assert_allclose(found.thresholds, thresholds, atol=1e-12)
    assert found.gain**2 / found.variance == pytest.approx(efficiency, abs=6e-4)  # their digits


def series(one, two, correlation):
    """Mean product by Hermite polynomials, an expansion in powers of the correlation."""
    total, powers = 0.0, np.arange(1, 200)
    coefficients = []
    for sampler in (one, two):
        t = sampler.thresholds
        hermite = [np.ones_like(t), t]  # over the root of the factorial
        for k in range(2, 200):
            following = (t * hermite[-1] - math.sqrt(k - 1) * hermite[-2]) / math.sqrt(k)
            hermite.append(following)
        density = np.exp(-0.5 * t**2) / math.sqrt(2 * math.pi)
        coefficients.append(
            [sampler.steps @ (density * hermite[n - 1]) / math.sqrt(n) for n in powers]
        )
    a, b = np.array(coefficients)
    total = (a * b) @ np.power.outer(correlation, powers).T
    return total / (a[0] * b[0])


def test_mean_products_are_those_of_the_bivariate_normal_distribution():
    one = normal_sampler([-1.1, 0.1, 0.8], [-3.3, -1, 1, 3.3])
    two = normal_sampler([-0.6, 0.0, 0.7], [-3, -1, 1, 3])
    response = Response(one, two)
    rho = np.linspace(-0.85, 0.85, 35)
    np.testing.assert_allclose(response(rho), series(one, two, rho), atol=1e-9)
    np.testing.assert_allclose(response.undone(response(rho)), rho, atol=1e-7)
    # the first harmonic by plain sums over a turn
    phase = (np.arange(4096) + 0.5) / 4096 * 2 * np.pi
    for amplitude in (0.05, 0.4, 0.8):
        harmonic = 2 * np.mean(series(one, two, amplitude * np.cos(phase)) * np.cos(phase))
        assert response.excess(np.array([amplitude]))[0] == pytest.approx(
            harmonic / amplitude - 1, abs=1e-8
        )


def test_to_full_correlation_and_back():
    """There the curve has a vertical slope; the mean product is the variance."""
    for values in ([-1, 1], [-3.3, -1, 1, 3.3]):
        one = normal_sampler([0.0] if len(values) == 2 else [-0.9, 0.1, 1.2], values)
        response = Response(one, one)
        assert response(np.array([1.0]))[0] == pytest.approx(one.variance / one.gain**2, rel=1e-9)
        rho = 1 - np.array([0.0, 1e-6, 1e-4, 1e-2])
        np.testing.assert_allclose(response.undone(response(rho)), rho, atol=1e-7)


def test_a_sampler_that_is_stuck_is_none():
    assert make_sampler({}) is None
    assert make_sampler({1.0: 12, 3.3: 0}) is None
    # no high state at all: one threshold, the arcsine law
    assert make_sampler({-1.0: 50, 1.0: 50}).thresholds.tolist() == [0.0]


# -- how often states occur ---------------------------------------------------------------------


def packed(codes, bits, signed):
    flipped = codes ^ (1 << (bits - 1)) if signed else codes
    spread = (flipped[:, np.newaxis] >> np.arange(bits)) & 1
    data = np.packbits(spread.astype(np.uint8).ravel(), bitorder="little")
    return np.concatenate([data, np.full(PACKED_MARGIN, 0xA5, dtype=np.uint8)])


def counted(stream, low, high, whole=True):
    values, (counts,) = count_stream(stream, np.array([[low, high]]), whole)
    held = zip(values.tolist(), counts.tolist(), strict=True)
    return {level: n for level, n in held if n}


@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("signed", [False, True])
def test_states_are_counted_as_numpy_does(bits, parts, signed):
    rng = np.random.default_rng(4)
    codes = rng.choice(1 << bits, 4096 * parts, p=[0.3, 0.7] if bits == 1 else [0.1, 0.2, 0.3, 0.4])
    runs = np.array([[3, 700], [701, 702], [801, 3333], [3400, 4096]])
    stream = Stream(packed(codes, bits, signed), (bits, parts, int(signed)), levels(bits), runs)
    valid = np.zeros(4096, dtype=bool)
    for a, z in runs:
        valid[a:z] = True
    for low, high in ((0, 4096), (5, 6), (17, 699), (650, 3500), (702, 801), (900, 961)):
        some = codes.reshape(-1, parts)[low:high][valid[low:high]].ravel()
        numbers = np.bincount(some, minlength=1 << bits)
        wanted = dict(zip(levels(bits).tolist(), numbers.tolist(), strict=True))
        found = counted(stream, low, high)
        assert found == {level: n for level, n in wanted.items() if n}
        as_float = levels(bits)[codes].view(np.uint8)
        decoded = Stream(
            np.concatenate([as_float, np.zeros(PACKED_MARGIN, np.uint8)]), (32, parts, 0),
            np.zeros(0, np.float32), runs,
        )  # fmt: skip
        assert counted(decoded, low, high) == found


def test_of_a_long_stretch_a_quarter_is_counted():
    """From all over it, so that fractions are those of the whole within sampling error."""
    rng = np.random.default_rng(5)
    whole = 1 << 22
    codes = rng.choice(4, whole, p=[0.2, 0.3, 0.35, 0.15])
    stream = Stream(packed(codes, 2, False), (2, 1, 0), levels(2), np.array([[0, whole]]))
    counts = np.bincount(codes).tolist()
    assert counted(stream, 0, whole) == dict(zip(levels(2).tolist(), counts, strict=True))
    found = counted(stream, 0, whole, whole=False)
    total = sum(found.values())
    assert whole / 4.5 < total < whole / 3.5
    # the same ones wherever it lies in memory: bytes of a product depend on them
    room = np.zeros(len(stream.data) + 8, dtype=np.uint8)
    for at in range(8):
        moved = room[at : at + len(stream.data)]
        moved[:] = stream.data
        again = Stream(moved, stream.form, stream.levels, stream.runs)
        assert counted(again, 0, whole, False) == found
    for level, fraction in zip(levels(2).tolist(), [0.2, 0.3, 0.35, 0.15], strict=True):
        error = math.sqrt(fraction * (1 - fraction) / total)
        assert abs(found[level] / total - fraction) < SIGMAS * error


# -- noise through samplers ----------------------------------------------------------------------


def sampled(x, threshold, offset=0.0):
    """Samples of two bits of noise of unit power; complex ones have both parts sampled."""
    if np.iscomplexobj(x):
        parts = [sampled(math.sqrt(2) * p, threshold, offset) for p in (x.real, x.imag)]
        return parts[0] + 1j * parts[1]
    y = x + offset
    return np.where(np.abs(y) > threshold, HIGH, 1.0) * np.where(y >= 0, 1.0, -1.0)


def clipped(x):
    """Samples of one bit."""
    if np.iscomplexobj(x):
        return clipped(x.real) + 1j * clipped(x.imag)
    return np.where(x >= 0, 1.0, -1.0)


def hill(at):
    """A band that is 30 dB down at its edges."""
    return np.exp(-0.5 * ((at - 0.4) / 0.12) ** 2) + 0.02


def flat(at):
    return np.ones_like(at)


@cache
def stations(count, correlation, complex_, shape=flat, rate=1e-6, seed=5):
    """Voltages of unit power at two stations, the second one's delay growing by `rate`.

    The common part has its true delay, between samples, too: its fringe turns, and the
    fraction of a sample goes through all values.
    """
    rng = np.random.default_rng(seed)
    points = count if complex_ else count // 2
    weight = shape(np.arange(points) / points)
    weight = weight / np.sqrt(np.mean(weight**2))
    pad = 8

    def noise():
        return weight * (rng.standard_normal(points) + 1j * rng.standard_normal(points))

    label = np.arange(count) / RATE / (1 + rate)
    fine = np.fft.ifft(noise(), count * pad) * (count * pad / math.sqrt(2 * points))
    at = label * RATE * pad
    low = at.astype(int)
    f = at - low
    late = sum(
        c * fine[(low + j) % len(fine)]
        for j, c in (
            (-1, -f * (f - 1) * (f - 2) / 6), (0, (f + 1) * (f - 1) * (f - 2) / 2),
            (1, -(f + 1) * f * (f - 2) / 2), (2, (f + 1) * f * (f - 1) / 6),
        )
    )  # fmt: skip
    late = late * np.exp(-2j * np.pi * (SKY * rate * label % 1.0))
    found = []
    for common in (fine[::pad], late):
        own = np.fft.ifft(noise(), count) * (count / math.sqrt(2 * points))
        x = math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own
        x = x if complex_ else x.real
        found.append(x / np.sqrt(np.mean(np.abs(x) ** 2)))
    return found


@pytest.fixture
def measure(array_recording, make_model):
    """Return visibilities of voltages at AA (and BB): (baseline, bin), and efficiencies."""

    def run(voltages, quantisation, bits=2, rate=1e-6, direction=1, bins=BINS):
        complex_ = np.iscomplexobj(voltages[0])
        channel = Channel("CH0", SKY, direction, RATE, complex_, "X", "edge")
        kind = np.complex64 if complex_ else np.float32
        recordings = [
            array_recording(name, (channel,), START, x[np.newaxis].astype(kind), bits=bits)
            for name, x in zip(("AA", "BB"), voltages, strict=False)
        ]
        model = make_model({"AA": [0.0], "BB": [0.0, rate]}, START, 10.0)
        segment = bins / channel.bandwidth
        whole = int((len(voltages[0]) / RATE - 1e-4) / segment)
        vis = correlate(
            recordings, model, bins=bins, start=START, stop=START.shifted(whole * segment),
            integration=10.0, quantisation=quantisation, threads=1,
        )  # fmt: skip
        assert vis.quantisation == quantisation
        (ch,) = vis.channels
        return ch.data[0, :, :, 0].astype(complex), ch.efficiency[0, :, 0]

    return run


def amplitude(found, true):
    """Least-squares amplitude of a spectrum in units of the true one."""
    return float((np.vdot(true, found) / np.vdot(true, true)).real)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("quantisation", ["gain", "van-vleck"])
def test_weak_correlations_come_out_true(measure, complex_, quantisation):
    voltages = stations(COUNT, 0.05, complex_)
    true, none = measure(voltages, "off", bits=32)
    assert np.all(none == 1.0)
    for threshold in THRESHOLDS:
        found, efficiency = measure([sampled(x, threshold) for x in voltages], quantisation)
        expected = normal_sampler([-threshold, 0, threshold], [-HIGH, -1, 1, HIGH])
        known = expected.gain**2 / expected.variance
        np.testing.assert_allclose(efficiency, [1.0, known, 1.0], atol=2e-3)
        # against the same samples unquantised
        error = math.sqrt(1 / known**2 - 1) / math.sqrt(COUNT) / 0.05
        assert abs(amplitude(found[1], true[1]) - 1) < SIGMAS * error
        assert found[0].sum().real == pytest.approx(1.0, abs=1e-3)  # what the last bin lacks


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("shape", [flat, hill])
def test_strong_correlations_that_turn_come_out_true(measure, complex_, shape):
    rho = 0.7
    voltages = stations(COUNT, rho, complex_, shape)
    true, _ = measure(voltages, "off", bits=32)
    error = math.sqrt(1 / 0.84**2 - 1) / math.sqrt(COUNT * (0.25 if shape is hill else 1.0)) / rho
    for threshold in THRESHOLDS:
        voltages_of_two_bits = [sampled(x, threshold) for x in voltages]
        plain = amplitude(measure(voltages_of_two_bits, "gain")[0][1], true[1])
        found = amplitude(measure(voltages_of_two_bits, "van-vleck")[0][1], true[1])
        assert abs(found - 1) < SIGMAS * error
        if threshold == 0.6:
            assert plain - 1 > 0.02  # else this test would show nothing
    one_bit = [clipped(x) for x in voltages]
    assert amplitude(measure(one_bit, "gain", bits=1)[0][1], true[1]) > 1.04
    assert abs(amplitude(measure(one_bit, "van-vleck", bits=1)[0][1], true[1]) - 1) < 2 * (
        SIGMAS * error  # more noise
    )


@pytest.mark.parametrize(
    ("complex_", "direction", "bins"),
    [(False, 1, 128), (False, -1, 75), (True, 1, 75), (True, -1, 128)],
)
def test_spectra_come_out_true(measure, complex_, direction, bins):
    (x,) = stations(COUNT, 0.5, complex_, hill)[:1]
    true = measure([x], "off", bits=32, direction=direction, bins=bins)[0][0].real
    true = true / true.sum()
    peak, wing = true > 0.5 * true.max(), true < 0.003 * true.max()
    # bins of the wings hold the quantisation's noise, some 10 times theirs
    segments = COUNT / (bins * (1 if complex_ else 2))
    error = 20 / math.sqrt(segments * wing.sum())
    for make, bits in (
        *((lambda y, v=v: sampled(y, v), 2) for v in THRESHOLDS),
        (lambda y: sampled(y, 0.98, offset=0.3), 2), (clipped, 1),
    ):  # fmt: skip
        plain = measure([make(x)], "gain", bits, direction=direction, bins=bins)[0][0].real
        found = measure([make(x)], "van-vleck", bits, direction=direction, bins=bins)[0][0].real
        assert plain[wing].sum() > 5 * true[wing].sum()  # the floor
        assert plain[peak].sum() < 0.97 * true[peak].sum()
        assert found.sum() == pytest.approx(1.0, abs=1e-3)
        assert found[peak].sum() == pytest.approx(true[peak].sum(), rel=5e-3)
        assert abs(found[wing].sum() / true[wing].sum() - 1) < SIGMAS * error


def test_polarisations_of_one_station_do_not_turn(array_recording, make_model):
    """Lags of whole samples: the whole curve is inverted, not its first harmonic."""
    rng = np.random.default_rng(8)
    rho = 0.8
    x, y = rng.standard_normal((2, COUNT))
    pair = np.stack([x, rho * x + math.sqrt(1 - rho**2) * y])
    channels = tuple(Channel(f"CH{p}", SKY, 1, RATE, polarization=p) for p in "XY")
    for bits, make in ((2, lambda v: sampled(v, 0.6)), (1, clipped)):
        recording = array_recording("AA", channels, START, make(pair).astype(np.float32), bits=bits)
        found = {}
        for quantisation in ("gain", "van-vleck"):
            vis = correlate(
                [recording], make_model({"AA": [0.0, 1e-6]}, START, 10.0), bins=BINS, start=START,
                stop=START.shifted(0.13), integration=1.0, products="all",
                quantisation=quantisation,
            )  # fmt: skip
            (ch,) = vis.channels
            cross = ch.data[0, 0, :, ch.products.index("XY")]
            found[quantisation] = cross.sum()
        assert found["gain"].real > 1.03 * rho
        assert abs(found["van-vleck"] - rho) < SIGMAS / math.sqrt(COUNT) * 2


def test_weights_tell_what_quantisation_costs(array_recording, make_model):
    """Cross products of what is not correlated scatter as WEIGHT and fringe fits have it."""
    rng = np.random.default_rng(6)
    channel = Channel("CH0", SKY, 1, RATE)
    recordings = [
        array_recording(
            name, (channel,), START, sampled(rng.standard_normal((1, COUNT)), 0.98), bits=2
        )
        for name in ("AA", "BB")
    ]
    vis = correlate(
        recordings, make_model({"AA": [0.0], "BB": [0.0]}, START, 10.0), bins=BINS, start=START,
        stop=START.shifted(0.13), integration=1.0,
    )  # fmt: skip
    (ch,) = vis.channels
    segments = ch.weight[0, 1, 0] * float(vis.integration[0]) * RATE / (2 * BINS)
    scatter = np.mean(np.abs(BINS * ch.data[0, 1, 1:, 0]) ** 2) / 2  # of one part
    expected = 1 / (2 * segments * ch.efficiency[0, 1, 0] ** 2)
    assert scatter == pytest.approx(expected, rel=SIGMAS / math.sqrt(BINS))
    # without the efficiency it would be off by 28 %, which these many bins could not miss
    assert scatter > 1.05 / (2 * segments)


# -- recordings, products, and what is refused ----------------------------------------------------


class Packed:
    """A recording of packed codes."""

    def __init__(self, inner, bits):
        self.inner, self.bits = inner, bits
        self.station, self.channels, self.sample_rate = inner.station, inner.channels, RATE
        self.start, self.stop = inner.start, inner.stop
        self.read = inner.read

    def read_packed(self, first, count, channels=None):
        rows = range(len(self.channels)) if channels is None else channels
        block = self.inner.read(first, count, channels)
        parts = 2 if np.iscomplexobj(block.samples) else 1
        values = block.samples.view(np.float32)
        codes = np.searchsorted([-2.0, 0.0, 2.0] if self.bits == 2 else [0.0], values)
        data = np.stack([packed(row, self.bits, False) for row in codes])
        runs = []
        for valid in block.valid:
            edges = np.flatnonzero(np.diff(np.concatenate([[0], valid.astype(int), [0]])))
            runs.append(edges.reshape(-1, 2))
        assert len(rows) == len(runs)
        own = np.array([-HIGH, -1, 1, HIGH] if self.bits == 2 else [-1, 1], dtype=np.float32)
        return PackedBlock(first, data, self.bits, parts, False, own, tuple(runs))


@pytest.fixture
def lossy(array_recording):
    """Two stations of two bits that lose some of their samples."""
    rng = np.random.default_rng(3)
    common = rng.standard_normal(1 << 17)
    channel = Channel("CH0", SKY, 1, RATE)
    recordings = []
    for name in ("AA", "BB"):
        x = (common + rng.standard_normal(len(common))) / math.sqrt(2)
        valid = np.repeat(rng.random(64) > 0.2, len(x) // 64)
        recordings.append(
            array_recording(
                name, (channel,), START, sampled(x, 0.9)[np.newaxis], valid[np.newaxis], bits=2
            )
        )
    return recordings


GRID = {"bins": BINS, "start": START, "stop": START.shifted(0.015), "integration": 0.004}


@pytest.mark.parametrize("quantisation", ["gain", "van-vleck"])
def test_packed_and_decoded_samples_are_corrected_alike(lossy, make_model, quantisation):
    model = make_model({"AA": [0.0], "BB": [1e-5, 1e-6]}, START, 10.0)
    plain, other = (
        correlate(some, model, **GRID, quantisation=quantisation).channels[0]
        for some in (lossy, [Packed(one, 2) for one in lossy])
    )
    np.testing.assert_allclose(other.data, plain.data, atol=1e-5 * np.abs(plain.data).max())
    np.testing.assert_allclose(other.efficiency, plain.efficiency, rtol=1e-12)
    assert 0.4 < plain.weight[:, 1].mean() < 0.9
    # of what is left the power is that of noise all the same
    np.testing.assert_allclose(plain.data[:, 0, :, 0].real.sum(axis=1), 1.0, atol=0.02)


def test_it_is_stated_and_read_back(lossy, make_model, tmp_path):
    model = make_model({"AA": [0.0], "BB": [1e-5, 1e-6]}, START, 10.0)
    plans = {q: make_plan(lossy, model, **GRID, quantisation=q) for q in ("off", "van-vleck")}
    for quantisation, plan in plans.items():
        path = tmp_path / f"{quantisation}.zarr"
        assert correlate_to_store(plan, path).kept == 0
        back = read_visibilities(path)
        direct = correlate(lossy, model, **GRID, quantisation=quantisation)
        assert back.quantisation == quantisation
        np.testing.assert_array_equal(back.channels[0].efficiency, direct.channels[0].efficiency)
        np.testing.assert_array_equal(back.channels[0].data, direct.channels[0].data)
        mean = mean_visibilities(path).channels[0].efficiency
        assert mean.shape == (1, 3, 1)
        assert mean[0, 1, 0] == pytest.approx(1.0 if quantisation == "off" else 0.88, abs=0.01)
    # another correction is another correlation
    assert correlate_to_store(plans["off"], tmp_path / "van-vleck.zarr").kept == 0


def test_samples_of_more_bits_are_taken_as_they_are(lossy, make_model):
    """Beside a station of two bits, too: the gain of that one alone counts."""
    model = make_model({"AA": [0.0], "BB": [0.0]}, START, 10.0)
    lossy[0].bits = 8
    off, gain = (
        correlate(lossy, model, **GRID, quantisation=q).channels[0] for q in ("off", "gain")
    )
    np.testing.assert_array_equal(gain.data[:, 0], off.data[:, 0])
    ratio = np.abs(off.data[:, 1]).sum() / np.abs(gain.data[:, 1]).sum()
    sampler = normal_sampler([-0.9, 0, 0.9], [-HIGH, -1, 1, HIGH])
    assert ratio == pytest.approx(sampler.gain, rel=0.01)
    assert gain.efficiency[0, 1, 0] == pytest.approx(math.sqrt(0.8818), abs=5e-3)


def test_a_sampler_that_is_stuck_has_no_weight(lossy, make_model):
    lossy[0].samples[:] = 1.0
    model = make_model({"AA": [0.0], "BB": [0.0]}, START, 10.0)
    for quantisation in ("gain", "van-vleck"):
        (ch,) = correlate(lossy, model, **GRID, quantisation=quantisation).channels
        assert np.all(ch.weight[:, :2] == 0.0)
        assert np.all(np.isfinite(ch.data))
        assert np.all(ch.weight[:, 2] > 0.0)


def test_what_cannot_be_corrected_is_refused(lossy, make_model):
    model = make_model({"AA": [0.0], "BB": [0.0]}, START, 10.0)
    with pytest.raises(ConfigurationError, match=r"'van vleck' is not known.*'van-vleck'"):
        correlate(lossy, model, **GRID, quantisation="van vleck")
    zoom = [(SKY + 1e6, SKY + 2e6)]
    with pytest.raises(ConfigurationError, match=r'AA CH0.*4 MHz.*whole channel.*"gain"'):
        correlate(lossy, model, **GRID, zoom=zoom, quantisation="van-vleck")
    assert correlate(lossy, model, **GRID, zoom=zoom).quantisation == "gain"
    lossy[1].samples = np.random.default_rng(1).standard_normal(lossy[1].samples.shape)
    with pytest.raises(RecordingError, match=r'BB CH0: samples of 2 bits have more than 4.*"off"'):
        correlate(lossy, model, **GRID)
    assert correlate(lossy, model, **GRID, quantisation="off").quantisation == "off"


def test_an_engine_has_to_count(lossy, make_model):
    model = make_model({"AA": [0.0], "BB": [0.0]}, START, 10.0)

    def engine(plan, chunk):
        shape = (len(chunk.parts), 3)
        return ChunkSums((np.ones((*shape, BINS), dtype=complex),), (np.ones(shape),))

    with pytest.raises(ConfigurationError, match=r"no states.*\"off\""):
        correlate(lossy, model, **GRID, engine=engine)
    assert correlate(lossy, model, **GRID, engine=engine, quantisation="off").channels
