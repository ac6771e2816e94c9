"""Random numbers and interpolation against slow twins."""

import numpy as np
import pytest
from scipy import stats

from kitestring.simulate._kernels import (
    BLOCK,
    TAPS,
    add_wave,
    fill_gaussian,
    interpolation_table,
    philox,
)
from kitestring.simulate.signals import BandNoise

SURE = stats.norm.isf(0.0005)  # two-sided 99.9 %

# Random123's known answers for philox4x32-10: counter, key, words
KNOWN = [
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_known_answers(counter, key, words):
    assert philox(*(np.uint32(w) for w in counter + key)) == words


def gaussian_twin(key, block):
    """Box and Muller's formula in float64 on the same random words."""
    words = np.array(
        [
            philox(*(np.uint32(w) for w in (i, block & 0xFFFFFFFF, block >> 32, 0, *key)))
            for i in range(BLOCK // 4)
        ],
        dtype=np.int64,
    )
    out = []
    for a, b in (words[:, :2].T, words[:, 2:].T):
        radius = np.sqrt(-2 * np.log(np.minimum((a >> 1) + 0.5, 2**31) / 2**31))
        radius *= np.where(a & 1, 1.0, -1.0)
        angle = np.pi * np.where(b >= 2**31, b - 2**32, b) / 2**32
        out += [radius * np.sin(angle), radius * np.cos(angle)]
    return np.concatenate(out)


def test_gaussian_numbers_follow_the_formula():
    out = np.empty(2 * BLOCK, dtype=np.float32)
    fill_gaussian(7, 8, 2**33 + 5, 2.0, out)
    expected = np.concatenate([gaussian_twin((7, 8), 2**33 + 5 + k) for k in (0, 1)])
    # near radius zero the single-precision logarithm is good to the root of 2e-7 only
    assert np.max(np.abs(out - 2.0 * expected)) < 1e-3
    assert np.sqrt(np.mean((out - 2.0 * expected) ** 2)) < 1e-5


def test_gaussian_numbers_are_normal_and_white():
    n = 4096 * BLOCK
    out = np.empty(n, dtype=np.float32)
    fill_gaussian(1, 2, -7, 1.0, out)
    x = out.astype(np.float64)
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert np.mean(x**power) == pytest.approx(mean, abs=SURE * np.sqrt(variance / n))
    assert stats.kstest(x[::16], "norm").pvalue > 0.001
    tail = 2 * stats.norm.sf(4.0) * n
    assert np.count_nonzero(np.abs(x) > 4) == pytest.approx(tail, abs=SURE * np.sqrt(tail))
    lags = (1, 2, 255, 256, 257, 512, 768, 1024)
    limit = stats.norm.isf(0.0005 / len(lags)) / np.sqrt(n)
    for lag in lags:
        assert abs(np.mean(x[:-lag] * x[lag:])) < limit


@pytest.mark.parametrize("step", [1, 2])
def test_wave_is_interpolated_over_the_whole_band(step):
    """Lines anywhere in the grid's inner half come out right between its points."""
    blocks = 3
    grid = np.arange(step * (blocks + 2) * BLOCK)
    u = np.arange(BLOCK) - (BLOCK - 1) / 2
    place = np.empty((blocks, 3))
    place[:, 0] = step * (np.arange(blocks) + 1.5) * BLOCK + np.array([0.2, 0.5, 0.999])
    place[:, 1], place[:, 2] = step * (1 - 1e-6), -1e-11
    cycles = np.array([[0.3, 0.25 + 1e-3, 1e-9], [0.7, -0.1, 0.0], [123.4, 0.0, -1e-8]])
    for frequency in (-0.249, -0.1, 0.0, 0.03, 0.2, 0.249):
        wave = np.exp(2j * np.pi * frequency * grid)
        out = np.zeros(blocks * BLOCK * step, dtype=np.float32)
        real, imag = wave.real.astype(np.float32), wave.imag.astype(np.float32)
        add_wave(real, imag, step, place, cycles, 0.5, interpolation_table(), False, out)
        at = [p[0] + u * (p[1] + u * p[2]) for p in place]
        phase = [c[0] + u * (c[1] + u * c[2]) for c in cycles]
        turned = np.concatenate(phase) + frequency * np.concatenate(at)
        expected = 0.5 * np.exp(2j * np.pi * turned)
        if step == 2:  # complex samples
            out = out.view(np.complex64)
        else:
            expected = expected.real
        # at the ends of a run its taps are off by 16 x 1e-6 samples
        held = 0.5 * 2 * np.pi * 0.25 * 16e-6 * step
        assert np.max(np.abs(out - expected)) < held + 1e-5


def test_taps_reject_images():
    """What a line leaves on the wrong side of the grid's band is below 1e-5."""
    table = interpolation_table().astype(np.float64)
    position = np.arange(TAPS) - (TAPS // 2 - 1)
    fraction = np.arange(len(table)) / (len(table) - 1)
    for frequency in (0.0, 0.1, 0.2, 0.249):
        line = table @ np.exp(2j * np.pi * frequency * position)
        assert np.max(np.abs(line - np.exp(2j * np.pi * frequency * fraction))) < 5e-6


def test_noise_is_the_same_wherever_it_is_cut():
    noise = BandNoise((11, 12))
    real, imag = noise.grid(-30_000, 60_000)
    for first, count in ((-30_000, 10), (-14_400, 20_000), (12_345, 17_000)):
        part = noise.grid(first, count)
        begin = first + 30_000
        # a transform's last bits may depend on how many are made together
        assert np.max(np.abs(part[0] - real[begin : begin + count])) < 1e-5
        assert np.max(np.abs(part[1] - imag[begin : begin + count])) < 1e-5


def test_noise_fills_half_of_the_band_sharply():
    real, imag = BandNoise((3, 4)).grid(5_000, 2_000_000)
    values = (real + 1j * imag).astype(np.complex128)
    n = len(values)
    assert np.var(values) == pytest.approx(2.0, abs=SURE * 2 * np.sqrt(2 / n))
    points = 4096
    pieces = values[: n // points * points].reshape(-1, points) * np.hanning(points)
    power = np.mean(np.abs(np.fft.fft(pieces, axis=1)) ** 2, axis=0)
    frequency = np.fft.fftfreq(points)
    power /= power[np.abs(frequency) < 0.24].mean()
    flat = power[np.abs(frequency) < 0.249]
    assert np.max(np.abs(flat - 1)) < stats.norm.isf(0.0005 / points) / np.sqrt(len(pieces))
    assert np.max(power[np.abs(frequency) > 0.252]) < 1e-5
