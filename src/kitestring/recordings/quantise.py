"""From voltages to the levels of a sampler, and back.

Codes are offset binary, as in VDIF: 0 is the most negative level. The values
that codes stand for are those in common use in VLBI software, so that decoded
samples agree with other readers':

===== ============================== ===================================
bits  value of code k                thresholds of `quantise`
===== ============================== ===================================
1     -1, 1                          0
2     -3.316505, -1, 1, 3.316505     -0.9816 sigma, 0, 0.9816 sigma
4     (k - 8) / 2.95                 half way between values x sigma
8     (k - 127.5) / 35.5             half way between values x sigma
16    (k - 32767.5) / 4096           half way between values x sigma
===== ============================== ===================================

With 4, 8 and 16 bits a decoded value is the voltage in units of ``sigma``.
With 2 bits it is optimal for Gaussian noise, whose decoded rms is 2.17.

Source of the 2-bit thresholds: Thompson, Moran & Swenson, Interferometry and
Synthesis in Radio Astronomy, 3rd ed., section 8.3 (0.9816 sigma for four levels).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError
from kitestring.recordings._kernels import quantise_two_bits, quantise_uniform

THRESHOLD_TWO_BIT = 0.9816  # of sigma
_HIGH_TWO_BIT = 3.316505
_STEPS = {1: 1.0, 4: 2.95, 8: 35.5, 16: 4096.0}  # levels a sigma
_ZERO = {1: 0.5, 4: 8.0, 8: 127.5, 16: 32767.5}  # code of zero volts

Codes = NDArray[np.unsignedinteger[Any]]


@cache
def levels(bits: int) -> NDArray[np.float32]:
    """Return the value of each code, shape (2**bits,).

    Examples
    --------
    >>> levels(1).tolist()
    [-1.0, 1.0]
    """
    check_bits(bits)
    if bits == 1:
        values = np.array([-1.0, 1.0], dtype=np.float32)
    elif bits == 2:
        values = np.array([-_HIGH_TWO_BIT, -1.0, 1.0, _HIGH_TWO_BIT], dtype=np.float32)
    else:
        codes = np.arange(1 << bits, dtype=np.float32)
        values = (codes - np.float32(_ZERO[bits])) / np.float32(_STEPS[bits])
    values.flags.writeable = False
    return values


def check_bits(bits: int) -> None:
    """Raise `ConfigurationError` unless samples of `bits` bits can be handled."""
    if bits not in (1, 2, 4, 8, 16):
        raise ConfigurationError(
            f"samples of {bits} bits are not supported.", next_step="Use 1, 2, 4, 8 or 16."
        )


def quantise(samples: NDArray[np.generic], bits: int, sigma: ArrayLike) -> Codes:
    """Quantise voltages as a sampler with its levels set for an rms of `sigma` does.

    Parameters
    ----------
    samples : ndarray, shape (channel, n), real or complex
        Voltages. Converted to float32 or complex64.
    bits : {1, 2, 4, 8, 16}
        Bits a real or imaginary part.
    sigma : float or array_like, shape (channel,)
        Rms of a real or imaginary part that the levels are set for, in the
        units of `samples`.

    Returns
    -------
    ndarray of uint8 (uint16 for 16 bits), shape (channel, n) or (channel, 2 n)
        Offset-binary codes; complex samples give I and Q in turn.

    Raises
    ------
    ConfigurationError
        For other numbers of bits, a sigma that is not positive, wrong shapes,
        or samples that are not a number.

    Examples
    --------
    >>> import numpy as np
    >>> quantise(np.array([[-2.0, -0.5, 0.5, 2.0]]), 2, 1.0).tolist()
    [[0, 1, 2, 3]]
    """
    check_bits(bits)
    if samples.ndim != 2:
        raise ConfigurationError(
            f"samples have shape {samples.shape}; (channel, n) is needed.",
            next_step="Give one channel as samples[np.newaxis].",
        )
    if np.iscomplexobj(samples):
        real = np.ascontiguousarray(samples, dtype=np.complex64).view(np.float32)
    else:
        real = np.ascontiguousarray(samples, dtype=np.float32)
    scale = np.broadcast_to(np.asarray(sigma, dtype=np.float64), (len(real),))
    if not np.all(scale > 0) or not np.all(np.isfinite(scale)):
        raise ConfigurationError(
            f"sigma must be positive, not {scale}.", next_step="Give the rms of the noise."
        )
    codes = np.empty(real.shape, dtype=np.uint16 if bits == 16 else np.uint8)
    bad = 0
    for row, s, out in zip(real, scale, codes, strict=True):
        if bits == 2:
            bad += quantise_two_bits(row, np.float32(THRESHOLD_TWO_BIT * s), out)
        else:
            gain, offset = np.float32(_STEPS[bits] / s), np.float32(_ZERO[bits] + 0.5)
            bad += quantise_uniform(row, gain, offset, np.float32((1 << bits) - 1), out)
    if bad:
        raise ConfigurationError(
            f"{bad} samples are not a number.", next_step="Look where they were made."
        )
    return codes
