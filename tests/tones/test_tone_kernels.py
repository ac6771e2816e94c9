import itertools

import numpy as np
import pytest

from kitestring.tones._kernels import block_counts, block_sums

# one turn of a double's last bit a sample, summed over the block
ROUNDING = 1e-11


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_block_sums_equal_the_plain_sum(dtype):
    rng = np.random.default_rng(1)
    x = rng.normal(size=5000)
    if dtype is np.complex64:
        x = x + 1j * rng.normal(size=5000)
    x = x.astype(dtype)
    edges = np.array([0, 1, 4, 4, 1003, 5000])  # short, empty, odd and long blocks
    phase, frequency = rng.random(5), rng.uniform(-0.5, 0.5, 5)
    out = np.empty(5, dtype=complex)
    block_sums(x, edges, phase, frequency, out)
    for b in range(5):
        part = x[edges[b] : edges[b + 1]].astype(complex)
        turn = np.exp(2j * np.pi * (phase[b] + frequency[b] * np.arange(len(part))))
        assert abs(out[b] - np.sum(part * turn)) < ROUNDING * max(len(part), 1)


def test_block_counts():
    valid = np.random.default_rng(2).random(100) > 0.3
    edges = np.array([0, 10, 10, 55, 100])
    out = np.empty(4, dtype=np.int64)
    block_counts(valid, edges, out)
    assert out.tolist() == [int(valid[a:b].sum()) for a, b in itertools.pairwise(edges)]
