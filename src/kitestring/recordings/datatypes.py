"""Numbers of samples without frames, named as SigMF names them.

Source: SigMF specification 1.2.6, "Dataset format": real or complex, then the
kind of number (floating point, signed or unsigned integer) and its bits, then the
byte order, which 8-bit numbers do without. Integers stand for -1 up to 1: signed
ones are divided by half their range, of unsigned ones half the range is taken off
before (so 0 is at code 128 of 8 bits). That is what the reference library does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError

_NAME = re.compile(r"([cr])(f32|f64|i8|u8|i16|u16|i32|u32)(?:_(le|be))?", re.ASCII)
_KNOWN = "ci8, cu8, ci16_le, cf32_le, ri8, ru8, ri16_le, rf32_le"
_GAINS = {8: 35.5, 16: 4096.0}  # counts a sigma when written, as in `quantise`


@dataclass(frozen=True)
class DataType:
    """A kind of numbers.

    Attributes
    ----------
    name : str
        As SigMF writes it, with byte order.
    complex : bool
        Whether I and Q stand in turn.
    dtype : numpy.dtype
        Of a real or imaginary part, with byte order.
    """

    name: str
    complex: bool
    dtype: np.dtype[np.generic]

    @classmethod
    def parse(cls, name: str, place: str = "") -> DataType:
        """Read a name; without a byte order it is little-endian.

        Raises
        ------
        ConfigurationError
            For a name that SigMF does not know.

        Examples
        --------
        >>> kind = DataType.parse("ci16")
        >>> kind.name, kind.complex, kind.bits, kind.sample_bytes
        ('ci16_le', True, 16, 4)
        """
        found = _NAME.fullmatch(name.strip().lower())
        if found is None:
            raise ConfigurationError(
                f"{name!r} is no datatype of samples.",
                place=place,
                next_step=f"Use one of {_KNOWN} and their like.",
            )
        kind, bits = found[2][0], int(found[2][1:])
        order = found[3] or "le"
        dtype = np.dtype(f"{'<' if order == 'le' else '>'}{kind}{bits // 8}")
        ending = "" if bits == 8 else f"_{order}"
        return cls(f"{found[1]}{found[2]}{ending}", found[1] == "c", dtype)

    @property
    def parts(self) -> int:
        """Numbers in a sample: 1 real, 2 complex."""
        return 2 if self.complex else 1

    @property
    def bits(self) -> int:
        """Bits a real or imaginary part."""
        return 8 * self.dtype.itemsize

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample of one channel."""
        return self.parts * self.dtype.itemsize

    @property
    def floating(self) -> bool:
        """Whether numbers are floating point, which NaN can mark as invalid."""
        return self.dtype.kind == "f"

    @property
    def zero(self) -> float:
        """The code that stands for zero volts."""
        return float(1 << (self.bits - 1)) if self.dtype.kind == "u" else 0.0

    @property
    def scale(self) -> float:
        """What a step of one stands for."""
        return 1.0 if self.floating else 1.0 / (1 << (self.bits - 1))

    @property
    def levels(self) -> NDArray[np.float32]:
        """Values of all codes, ascending; none for more than 8 bits."""
        if self.bits > 8:
            return np.zeros(0, dtype=np.float32)
        info = np.iinfo(self.dtype)  # type: ignore[type-var]
        codes = np.arange(info.min, info.max + 1)
        return ((codes - self.zero) * self.scale).astype(np.float32)

    def encode(
        self, numbers: NDArray[np.float32], sigma: NDArray[np.float64]
    ) -> NDArray[np.generic]:
        """Return the numbers that stand for voltages, shape (channel, n).

        Floating-point numbers are the voltages over `sigma`; integers are loaded
        as `kitestring.recordings.quantise.quantise` does: 35.5 counts a sigma for
        8 bits, 4096 for 16 (and the same part of the range for more), clipped.
        """
        scaled = numbers / sigma[:, np.newaxis].astype(np.float32)
        if self.floating:
            return scaled.astype(self.dtype)
        gain = _GAINS.get(self.bits, 4096.0 * 2.0 ** (self.bits - 16))
        info = np.iinfo(self.dtype)  # type: ignore[type-var]
        counts = np.rint(scaled.astype(np.float64) * gain + self.zero)
        return np.clip(counts, info.min, info.max).astype(self.dtype)
