"""Writing VDIF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch
from kitestring.recordings._kernels import pack
from kitestring.recordings.quantise import Codes, check_bits, quantise
from kitestring.recordings.types import Channel
from kitestring.recordings.vdif_header import (
    VdifHeader,
    frames_per_second,
    reference_day,
    reference_epoch,
)

_TICK = 1e-9  # s: an epoch this near a frame's start is meant to be it


class VdifWriter:
    """Writes one station's channels to a VDIF file, frame by frame.

    Samples are handed over in blocks of any length and written when frames
    are full. Closing fills up the last frame and marks it as invalid, so write
    a multiple of `frame_samples`.

    Parameters
    ----------
    path : path-like
        File to make; an existing one is replaced.
    station : str
        One or two ASCII characters.
    start : Epoch
        Clock reading of the first sample, UTC; must be the start of a frame
        (frames are counted from the whole second).
    channels : sequence of Channel
        Give the number of channels, the sample rate and real or complex. Sky
        frequencies and sidebands cannot be written into VDIF.
    bits : {1, 2, 4, 8, 16}
        Bits a real or imaginary part.
    payload_bytes : int
        Bytes of samples in a frame, a multiple of 8.
    threads : bool
        One thread a channel (the default), or all channels in one thread,
        which needs their number to be a power of two.
    edv : {None, 0, 1, 3}
        Extended data version; 1 and 3 carry the sample rate, None writes legacy
        headers. Version 3 allows payloads of 1000 and 5000 bytes and one channel a
        thread only.

    Raises
    ------
    ConfigurationError
        Where VDIF cannot express what is asked for.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from kitestring.model.time import Epoch
    >>> channels = [Channel("CH00", 8.4e9, 1, 8e6)]
    >>> path = Path(tempfile.mkdtemp()) / "tm.vdif"
    >>> start = Epoch.from_iso("2026-01-01T00:00:00")
    >>> with VdifWriter(path, station="Tm", start=start, channels=channels, bits=2) as writer:
    ...     writer.write_codes(np.zeros((1, writer.frame_samples), dtype=np.uint8))
    >>> path.stat().st_size
    8032
    """

    def __init__(
        self,
        path: str | Path,
        *,
        station: str,
        start: Epoch,
        channels: Sequence[Channel],
        bits: int,
        payload_bytes: int = 8000,
        threads: bool = True,
        edv: Literal[0, 1, 3] | None = 0,
    ) -> None:
        check_bits(bits)
        self._channels = tuple(channels)
        rate, is_complex = _common(self._channels)
        in_frame = 1 if threads else len(self._channels)
        header = VdifHeader(
            invalid=False,
            legacy=edv is None,
            second=0,
            ref_epoch=reference_epoch(int(start.to("utc").day)),
            number=0,
            version=1,
            channel_count=in_frame,
            frame_bytes=payload_bytes + (16 if edv is None else 32),
            bits=bits,
            complex=is_complex,
            thread=0,
            station_id=_station_id(station),
            edv=-1 if edv is None else edv,
            header_rate=rate if edv in (1, 3) else None,
        )
        _check_layout(header)
        self._header = header
        self._threads = len(self._channels) if threads else 1
        self._per_second = frames_per_second(header, rate)
        self._second, self._number = self._first_frame(start)
        self._rest: Codes = np.empty((len(self._channels), 0), dtype=self._dtype)
        self._rest_valid = np.empty((len(self._channels), 0), dtype=np.bool_)
        self._file: BinaryIO = Path(path).open("wb")  # noqa: SIM115 - closed by close()

    @property
    def frame_samples(self) -> int:
        """Samples of each channel in a frame."""
        return self._header.frame_samples

    @property
    def _dtype(self) -> type[np.uint8] | type[np.uint16]:
        return np.uint16 if self._header.bits == 16 else np.uint8

    def _first_frame(self, start: Epoch) -> tuple[int, int]:
        utc = start.to("utc")
        reference = Epoch("utc", reference_day(self._header.ref_epoch), 0.0)  # type: ignore[arg-type]
        whole = np.floor(utc.second + _TICK)
        second = round(float(Epoch("utc", utc.day, whole).since(reference)))
        number = float(utc.second - whole) * self._per_second
        if abs(number - round(number)) > _TICK * self._per_second:
            near = whole + round(number) / self._per_second
            raise ConfigurationError(
                f"{utc.iso(9)} UTC is not the start of a frame.",
                next_step=f"Start at {Epoch('utc', utc.day, near).iso(9)}, or change "
                f"payload_bytes (a frame lasts {1 / self._per_second:.9g} s).",
            )
        return second, round(number)

    def write(
        self,
        samples: NDArray[np.generic],
        sigma: ArrayLike = 1.0,
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Quantise and write voltages, shape (channel, n), real or complex.

        `sigma` (a number, or one a channel) is the rms of a real or imaginary
        part that the levels are set for; `valid` as in `write_codes`.
        """
        if np.iscomplexobj(samples) != self._header.complex:
            kinds = ("real", "complex")
            raise ConfigurationError(
                f"samples are {kinds[np.iscomplexobj(samples)]}, the channels "
                f"{kinds[self._header.complex]}.",
                next_step="Set Channel.complex to what the samples are.",
            )
        self.write_codes(quantise(samples, self._header.bits, sigma), valid)

    def write_codes(self, codes: Codes, valid: NDArray[np.bool_] | None = None) -> None:
        """Write the next samples as offset-binary codes.

        Parameters
        ----------
        codes : ndarray of uint8 (uint16 for 16 bits)
            Shape (channel, n), or (channel, 2 n) with I and Q in turn.
        valid : ndarray of bool, shape (n,) or (channel, n), optional
            A frame that holds any invalid sample is marked as invalid.

        Raises
        ------
        ConfigurationError
            For a wrong shape or type, or a code that `bits` cannot hold.
        """
        header = self._header
        n = codes.shape[-1] // header.parts
        shape = (len(self._channels), n * header.parts)
        if codes.shape != shape or codes.dtype != self._dtype:
            raise ConfigurationError(
                f"codes have shape {codes.shape} and type {codes.dtype}; "
                f"{shape} and {np.dtype(self._dtype)} are needed.",
                next_step="Codes are made by kitestring.recordings.quantise.quantise.",
            )
        good = np.broadcast_to(True if valid is None else valid, (len(self._channels), n))
        if self._rest_valid.shape[1]:
            codes = np.concatenate([self._rest, codes], axis=1)
            good = np.concatenate([self._rest_valid, good], axis=1)
        frames = good.shape[1] // header.frame_samples
        used = frames * header.frame_samples
        if frames:
            self._write_frames(codes[:, : used * header.parts], good[:, :used], frames)
        self._rest = codes[:, used * header.parts :].copy()
        self._rest_valid = good[:, used:].copy()

    def _write_frames(self, codes: Codes, valid: NDArray[np.bool_], frames: int) -> None:
        header, threads = self._header, self._threads
        block = np.zeros((frames, threads, header.frame_bytes), dtype=np.uint8)
        words = block[:, :, : header.header_bytes].view("<u4")
        words[:] = header.words()
        second, number = divmod(np.arange(self._number, self._number + frames), self._per_second)
        per_channel = valid.reshape(len(valid), frames, -1).all(axis=2)
        good = per_channel if threads > 1 else per_channel.all(axis=0, keepdims=True)
        words[:, :, 0] |= (self._second + second)[:, np.newaxis].astype(np.uint32)
        words[:, :, 0] |= np.where(good.T, 0, 1 << 31).astype(np.uint32)
        words[:, :, 1] |= number[:, np.newaxis].astype(np.uint32)
        words[:, :, 3] |= np.arange(threads, dtype=np.uint32) << 16
        self._second += (self._number + frames) // self._per_second
        self._number = (self._number + frames) % self._per_second
        for thread in range(threads):
            rows = codes[thread : thread + 1] if threads > 1 else codes
            in_time = rows
            if len(rows) > 1:  # time runs slowest: all channels of a sample stand together
                in_time = rows.reshape(len(rows), -1, header.parts).transpose(1, 0, 2)
            flat = np.ascontiguousarray(in_time).reshape(frames, -1)
            for row, out in zip(flat, block[:, thread, header.header_bytes :], strict=True):
                self._pack(row, out)
        self._file.write(block.data)

    def _pack(self, row: Codes, out: NDArray[np.uint8]) -> None:
        if self._header.bits == 16:
            out[:] = row.astype("<u2", copy=False).view(np.uint8)
        elif pack(row, self._header.bits, out):
            raise ConfigurationError(
                f"codes up to {row.max()} do not fit {self._header.bits} bits.",
                next_step="Codes are made by kitestring.recordings.quantise.quantise.",
            )

    def close(self) -> None:
        """Fill up and mark as invalid a last frame that is not full; close the file."""
        if self._file.closed:
            return
        missing = -self._rest_valid.shape[1] % self.frame_samples
        try:
            if missing:
                shape = (len(self._channels), missing * self._header.parts)
                self.write_codes(np.zeros(shape, dtype=self._dtype), np.zeros(missing, np.bool_))
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _common(channels: tuple[Channel, ...]) -> tuple[float, bool]:
    kinds = {(c.sample_rate, c.complex) for c in channels}
    if len(kinds) != 1:
        raise ConfigurationError(
            f"{len(channels)} channels of {len(kinds)} kinds (sample rate, real or complex) "
            "were given.",
            next_step="Give at least one; write each kind to a file of its own.",
        )
    return kinds.pop()


def _station_id(station: str) -> int:
    code = station.encode("ascii", "replace")
    if not 1 <= len(code) <= 2 or code[0] < 0x30 or b"?" in code:
        raise ConfigurationError(
            f"{station!r} cannot be a VDIF station code.",
            next_step="Use one or two letters or digits, such as 'Tm'.",
        )
    return code[0] << 8 | (code + b" ")[1]


def _check_layout(header: VdifHeader) -> None:
    if header.channel_count & (header.channel_count - 1):
        raise ConfigurationError(
            f"{header.channel_count} channels cannot share a VDIF thread.",
            next_step="Use threads=True, or a power of two.",
        )
    if header.payload_bytes % 8 or header.frame_bytes >= 8 << 24:
        raise ConfigurationError(
            f"payload_bytes={header.payload_bytes} is not a multiple of 8 below 128 MiB.",
            next_step="Use 8000.",
        )
    if header.edv == 3 and (header.payload_bytes not in (1000, 5000) or header.channel_count > 1):
        raise ConfigurationError(
            f"extended data version 3 does not allow {header.payload_bytes} bytes and "
            f"{header.channel_count} channels a frame.",
            next_step="Use payload_bytes=5000 or 1000 and threads=True, or edv=1.",
        )
    if header.header_rate is not None and not header.rate_bits:
        raise ConfigurationError(
            f"a sample rate of {header.header_rate} cannot be written into the header.",
            next_step="Use edv=0.",
        )
    if why := header.unusable():
        raise ConfigurationError(f"{why}.", next_step="Use payload_bytes=8000.")
