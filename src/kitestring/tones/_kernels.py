"""The inner loops of tone extraction."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from kitestring._jit import kernel


@kernel(fastmath={"contract"})
def block_sums(
    samples: NDArray[np.float32],
    edges: NDArray[np.int64],
    phase: NDArray[np.float64],
    frequency: NDArray[np.float64],
    out: NDArray[np.complex128],
) -> None:
    """Sum each block of samples after turning it to a tone's phase.

    ``out[b] = sum_k samples[edges[b] + k] exp(2 pi i (phase[b] + k frequency[b]))``,
    phase in cycles, frequency in cycles a sample, samples real or complex.

    A Horner recurrence needs no sine a sample; four interleaved ones hide the
    latency of the multiplication that each step waits for.
    """
    for b in range(out.size):
        first = edges[b]
        count = edges[b + 1] - first
        quads = count // 4
        angle = 2.0 * pi * frequency[b]
        z = complex(cos(4.0 * angle), sin(4.0 * angle))
        s0 = s1 = s2 = s3 = 0j
        for k in range(quads - 1, -1, -1):
            p = first + 4 * k
            s0 = s0 * z + samples[p]
            s1 = s1 * z + samples[p + 1]
            s2 = s2 * z + samples[p + 2]
            s3 = s3 * z + samples[p + 3]
        w = complex(cos(angle), sin(angle))
        total = s0 + w * (s1 + w * (s2 + w * s3))
        for k in range(4 * quads, count):
            total += samples[first + k] * complex(cos(angle * k), sin(angle * k))
        out[b] = total * complex(cos(2.0 * pi * phase[b]), sin(2.0 * pi * phase[b]))


@kernel()
def block_counts(
    valid: NDArray[np.bool_], edges: NDArray[np.int64], out: NDArray[np.int64]
) -> None:
    """Count the valid samples of each block."""
    for b in range(out.size):
        total = 0
        for k in range(edges[b], edges[b + 1]):
            total += valid[k]
        out[b] = total
