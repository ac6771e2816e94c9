"""The header of a VDIF frame.

Source: VLBI Data Interchange Format (VDIF) Specification, release 1.1.1 (2014),
sections 5 and 6. What the extended data add, by version (VDIF registry of
extended data versions, and for 4 the header of DiFX's vdifio):

====== ======================================================================
legacy no extended data: 16-byte headers
0      nothing
1, 3   the sample rate; 3 also tuning and back end. Word 5 is 0xACABFEED.
2      ALMA: polarization, quadrant, packet number; no sample rate
4      merged threads: a mask with one bit for each channel (or group of
       neighbouring ones), 0 where its samples are not valid; no sample rate
0xAB   a Mark 5B header: the samples are coded as in Mark 5B (sign and
       magnitude), frames are 10032 bytes
====== ======================================================================

Other versions are read as version 0 is.
"""

from __future__ import annotations

import datetime as dt
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch
from kitestring.recordings._kernels import Bytes, scan_frames

BITS = (1, 2, 4, 8, 16)
HEADER_BYTES = 32
LEGACY_HEADER_BYTES = 16
SYNC = 0xACABFEED
_RATE_EDVS = (1, 3)
_MASK_EDV = 4
_MARK5B_EDV = 0xAB
_MARK5B_FRAME = 10032
_MASK_BITS = 64  # words 6 and 7
# bits of word 4 that all frames of a recording share, by version
_WORD_4 = {1: 0xFFFFFFFF, 2: 0xFFFFFFF0, 3: 0xFFFFFFFF, 4: 0xFFFF0000, _MARK5B_EDV: 0xFFFFFFFF}
_LAST_REFERENCE = 63
_MOST_FRAMES = 1 << 24  # in a second: a number has 24 bits
_MJD_ZERO = dt.date(1858, 11, 17).toordinal()


@dataclass(frozen=True)
class VdifHeader:
    """One frame header.

    Attributes
    ----------
    invalid : bool
        The recorder marked the frame's samples as invalid.
    legacy : bool
        16-byte header without extended data.
    second : int
        Seconds since the reference epoch.
    ref_epoch : int
        Half-years since 2000-01-01 UTC.
    number : int
        Frame number within the second.
    version : int
        VDIF version.
    channel_count : int
        Channels in one frame.
    frame_bytes : int
        Length of the frame with its header.
    bits : int
        Bits a real or imaginary part.
    complex : bool
        Whether samples are complex.
    thread : int
        Thread number.
    station_id : int
        16 bits: two ASCII characters (first one high) or a number.
    edv : int
        Extended data version; -1 for legacy headers.
    header_rate : float or None
        Samples per second where the extended data state it.
    extended : tuple of int
        Words 4 to 7 as they were read; not compared.
    """

    invalid: bool
    legacy: bool
    second: int
    ref_epoch: int
    number: int
    version: int
    channel_count: int
    frame_bytes: int
    bits: int
    complex: bool
    thread: int
    station_id: int
    edv: int
    header_rate: float | None = None
    extended: tuple[int, ...] = field(default=(0, 0, 0, 0), compare=False)

    @classmethod
    def parse(cls, data: bytes) -> VdifHeader:
        """Read a header from at least 16 bytes (32 unless it is a legacy header)."""
        words = struct.unpack("<8I", data[:32].ljust(32, b"\0"))
        legacy = bool(words[0] >> 30 & 1)
        is_complex = bool(words[3] >> 31)
        edv = -1 if legacy else words[4] >> 24
        rate = None
        if edv in _RATE_EDVS and words[4] & 0x7FFFFF:
            unit = 1e6 if words[4] >> 23 & 1 else 1e3
            rate = (words[4] & 0x7FFFFF) * unit * (1 if is_complex else 2)
        return cls(
            invalid=bool(words[0] >> 31),
            legacy=legacy,
            second=words[0] & 0x3FFFFFFF,
            ref_epoch=words[1] >> 24 & 0x3F,
            number=words[1] & 0xFFFFFF,
            version=words[2] >> 29,
            channel_count=1 << (words[2] >> 24 & 0x1F),
            frame_bytes=8 * (words[2] & 0xFFFFFF),
            bits=(words[3] >> 26 & 0x1F) + 1,
            complex=is_complex,
            thread=words[3] >> 16 & 0x3FF,
            station_id=words[3] & 0xFFFF,
            edv=edv,
            header_rate=rate,
            extended=(0, 0, 0, 0) if legacy else words[4:],
        )

    def words(self) -> NDArray[np.uint32]:
        """Return the header as little-endian 32-bit words (4 or 8 of them)."""
        words = np.zeros(4 if self.legacy else 8, dtype="<u4")
        words[0] = self.invalid << 31 | self.legacy << 30 | self.second
        words[1] = self.ref_epoch << 24 | self.number
        lg2 = self.channel_count.bit_length() - 1
        words[2] = self.version << 29 | lg2 << 24 | self.frame_bytes // 8
        words[3] = self.complex << 31 | (self.bits - 1) << 26 | self.thread << 16 | self.station_id
        if not self.legacy:
            words[4:] = self.extended
            words[4] = self.edv << 24 | (words[4] & 0xFFFFFF)
            if self.edv in _RATE_EDVS and self.header_rate is not None:
                words[4] = self.edv << 24 | self.rate_bits
                words[5] = SYNC
        return words

    @property
    def rate_bits(self) -> int:
        """The 24 bits of word 4 that state `header_rate`; 0 where they cannot."""
        for mega, unit in ((1, 1e6), (0, 1e3)):
            number, rest = divmod((self.header_rate or 0.0) / (1 if self.complex else 2), unit)
            if rest == 0 and 0 < number < 1 << 23:
                return mega << 23 | int(number)
        return 0

    @property
    def header_bytes(self) -> int:
        """Length of the header."""
        return LEGACY_HEADER_BYTES if self.legacy else HEADER_BYTES

    @property
    def payload_bytes(self) -> int:
        """Length of the samples of a frame."""
        return self.frame_bytes - self.header_bytes

    @property
    def parts(self) -> int:
        """Numbers in a sample: 1 real, 2 complex."""
        return 2 if self.complex else 1

    @property
    def frame_samples(self) -> int:
        """Samples of one channel in a frame."""
        return 8 * self.payload_bytes // (self.bits * self.parts * self.channel_count)

    @property
    def mask_bits(self) -> int:
        """Bits of the validity mask of merged threads; 0 where there is none."""
        return self.extended[0] >> 16 & 0xFF if self.edv == _MASK_EDV else 0

    @property
    def full_mask(self) -> int:
        """Words 6 and 7 as one number where all channels are valid; 0 without a mask."""
        return (1 << self.mask_bits) - 1

    @property
    def mark5b_coding(self) -> bool:
        """Whether samples are sign and magnitude as in Mark 5B, not offset binary."""
        return self.edv == _MARK5B_EDV

    @property
    def station_code(self) -> str:
        """The station as text: two characters, or the number."""
        pair = bytes([self.station_id >> 8, self.station_id & 0xFF])
        if pair[0] >= 0x30 and all(0x20 <= c < 0x7F for c in pair):
            return pair.decode("ascii").strip()
        return str(self.station_id)

    @property
    def epoch_of_second(self) -> Epoch:
        """UTC of the header's whole second."""
        return second_epoch(self.ref_epoch, self.second)

    def unusable(self) -> str:
        """Return why this cannot be the header of a frame that can be read, or ''."""
        if self.payload_bytes < 8:
            return f"a frame length of {self.frame_bytes} bytes leaves no room for samples"
        if self.bits not in BITS:
            return f"{self.bits} bits a sample (only {BITS} can be read)"
        if self.version > 1:
            return f"VDIF version {self.version}"
        if self.edv == _MARK5B_EDV:
            kind = (self.frame_bytes, self.complex, self.bits <= 2)
            if kind != (_MARK5B_FRAME, False, True):
                return (
                    f"Mark 5B data (extended data version 0xAB) in frames of {self.frame_bytes} "
                    f"bytes, {self.bits} bits (it has {_MARK5B_FRAME} bytes, 1 or 2 bits, real)"
                )
        if self.mask_bits > _MASK_BITS or (self.mask_bits and self.channel_count % self.mask_bits):
            return f"a validity mask of {self.mask_bits} bits for {self.channel_count} channels"
        if self.frame_samples * self.bits * self.parts * self.channel_count != (
            8 * self.payload_bytes
        ):
            return (
                f"{self.channel_count} channels of {self.bits} bits do not fill "
                f"{self.payload_bytes} bytes"
            )
        return ""

    def epoch_at(self, second: int) -> Epoch:
        """Return UTC at `second`, as frames' headers count it (see `scan`)."""
        return second_epoch(self.ref_epoch, second)

    def scan(self, data: Bytes, first: int, limit: int, runs: NDArray[np.void]) -> tuple[int, int]:
        """Gather headers like this one from byte `first` on into `runs`, in place.

        Returns the numbers of runs and of frames; see `_kernels.scan_frames`.
        """
        values, masks = self.constant_words()
        full_mask = int(np.array(self.full_mask, dtype=np.uint64).view(np.int64))
        found = scan_frames(data, first, self.frame_bytes, limit, values, masks, full_mask, runs)
        return int(found[0]), int(found[1])

    def constant_words(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Return the first six words and the masks of what all frames share.

        Time, frame number, validity and thread are masked out.
        """
        values = np.zeros(6, dtype=np.uint32)
        own = self.words()[:6]
        values[: len(own)] = own
        fourth = 0 if self.legacy else _WORD_4.get(self.edv, 0xFF000000)
        fifth = 0xFFFFFFFF if self.edv in (*_RATE_EDVS, _MASK_EDV) and values[5] == SYNC else 0
        masks = np.array(
            [0x40000000, 0xFF000000, 0xFFFFFFFF, 0xFC00FFFF, fourth, fifth], dtype=np.uint32
        )
        return values & masks, masks


def reference_day(ref_epoch: int) -> int:
    """Return the MJD of reference epoch `ref_epoch` (half-years since 2000-01-01)."""
    return dt.date(2000 + ref_epoch // 2, 1 + 6 * (ref_epoch % 2), 1).toordinal() - _MJD_ZERO


def reference_epoch(day: int) -> int:
    """Return the reference epoch at or before the day `day` (MJD), 0 to 63.

    The header has 6 bits for it. Number 63, mid-2031, serves all later days
    whose seconds fit the header's 30 bits: until 2065.

    Raises
    ------
    ConfigurationError
        For days before 2000 or after these.
    """
    first, last = reference_day(0), reference_day(_LAST_REFERENCE) + (1 << 30) // 86400
    if not first <= day < last:
        raise ConfigurationError(
            f"the header cannot express MJD {day}; VDIF has {first} to {last - 1} (2000 to 2065).",
            next_step="Check the start of the recording.",
        )
    date = dt.date.fromordinal(day + _MJD_ZERO)
    return min(2 * (date.year - 2000) + (date.month > 6), _LAST_REFERENCE)


def second_epoch(ref_epoch: int, second: int) -> Epoch:
    """Return the UTC that lies `second` seconds after reference epoch `ref_epoch`.

    Leap seconds since the reference epoch are counted as seconds that passed.
    """
    return Epoch.normalised("utc", reference_day(ref_epoch), float(second))


def frames_per_second(header: VdifHeader, sample_rate: float) -> int:
    """Return how many frames a thread has in a second.

    Raises
    ------
    ConfigurationError
        Where it is not a whole number, which VDIF requires, or one that frame
        numbers do not reach.
    """
    count = sample_rate / header.frame_samples
    if not 0 < count <= _MOST_FRAMES:
        raise ConfigurationError(
            f"{sample_rate:.12g} samples a second make {count:.6g} frames of "
            f"{header.frame_samples} samples; VDIF has 1 to {_MOST_FRAMES}.",
            next_step="Check the sample rate.",
        )
    if round(count) >= 1 and abs(count - round(count)) <= 1e-9 * count:
        return round(count)
    sample_bits = header.bits * header.parts * header.channel_count
    bytes_a_second = sample_rate * sample_bits / 8
    lengths = range(8 * (header.payload_bytes // 8), 0, -8)
    fitting = next((n for n in lengths if bytes_a_second % n == 0), 0)
    step = f"Use {fitting} bytes of samples a frame." if fitting else "Change the sample rate."
    raise ConfigurationError(
        f"{sample_rate:.12g} samples a second make {count:.6g} frames of "
        f"{header.frame_samples} samples; VDIF needs a whole number.",
        next_step=step,
    )
