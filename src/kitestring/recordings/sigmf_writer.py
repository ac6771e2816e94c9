"""Writing SigMF.

Source: Signal Metadata Format (SigMF) specification 1.2.6.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kitestring._write import write_atomically
from kitestring.errors import ConfigurationError
from kitestring.model.time import Epoch
from kitestring.recordings.datatypes import DataType
from kitestring.recordings.sigmf_meta import DATA, META, NAMESPACE
from kitestring.recordings.types import Channel

VERSION = "1.2.6"
_DIGITS = 12  # of a second: an epoch is good to 15 ps
_LEAST_DIGITS = 6
_MOST = 1e12  # Hz: the schema allows no more


class SigmfWriter:
    """Writes one station's channels as a SigMF recording, block by block.

    All channels are interleaved in one data file. SigMF has one frequency for
    all of them, so `core:frequency` is the centre of the first one's band; the
    extension ``kitestring`` holds what else a `Channel` tells, and readers that
    do not know it may ignore it. Closing writes the metadata.

    Parameters
    ----------
    path : path-like
        Name of the recording, with or without ``.sigmf-data``; files that exist
        are replaced.
    station : str
        Name of the station.
    start : Epoch
        Clock reading of the first sample, UTC.
    channels : sequence of Channel
        Give names, sky frequencies, sample rate and real or complex.
    datatype : str, optional
        As SigMF names it; else ``"cf32_le"`` or ``"rf32_le"``.
    description : str
        Free text of the metadata.

    Raises
    ------
    ConfigurationError
        Where SigMF cannot express what is asked for.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from kitestring.model.time import Epoch
    >>> channels = [Channel("X", 8.4e9, 1, 2e6, complex=True, zero="middle")]
    >>> name = Path(tempfile.mkdtemp()) / "dw"
    >>> start = Epoch.from_iso("2026-01-01T00:00:00")
    >>> with SigmfWriter(name, station="Dw", start=start, channels=channels) as writer:
    ...     writer.write(np.zeros((1, 100), dtype=np.complex64))
    >>> sorted(p.name for p in name.parent.iterdir())
    ['dw.sigmf-data', 'dw.sigmf-meta']
    """

    def __init__(
        self,
        path: str | Path,
        *,
        station: str,
        start: Epoch,
        channels: Sequence[Channel],
        datatype: str | None = None,
        description: str = "",
    ) -> None:
        self._channels = tuple(channels)
        if not self._channels:
            raise ConfigurationError("there is no channel.", next_step="Give one or more.")
        for c in self._channels:
            if not (0 < c.sample_rate <= _MOST and abs(_centre(c)) <= _MOST):
                raise ConfigurationError(
                    f"channel {c.name!r} has {c.sample_rate:g} samples a second at "
                    f"{c.sky_frequency:g} Hz; SigMF has numbers up to {_MOST:g}.",
                    next_step="Give its true sample rate and sky frequency.",
                )
        kinds = {(c.sample_rate, c.complex) for c in self._channels}
        if len(kinds) > 1:
            raise ConfigurationError(
                "channels of one recording have one sample rate, and are all real or all complex.",
                next_step="Write the others to another recording.",
            )
        self._rate, is_complex = kinds.pop()
        self._kind = DataType.parse(datatype or ("cf32_le" if is_complex else "rf32_le"))
        if self._kind.complex != is_complex:
            kind = ("real", "complex")[self._kind.complex]
            raise ConfigurationError(
                f"{self._kind.name} is {kind}, the channels are not.",
                next_step=f"Use {'r' if self._kind.complex else 'c'}{self._kind.name[1:]}.",
            )
        base = Path(path)
        if base.suffix not in (DATA, META):
            base = base.with_name(base.name + DATA)
        self._data, self._meta = base.with_suffix(DATA), base.with_suffix(META)
        self._station, self._description = station, description
        self._start = start.to("utc")
        self._taken = 0  # samples of time that went by
        self._written = 0  # samples in the file
        self._next = -1  # sample of time with which the capture would go on
        self._captures: list[dict[str, Any]] = []
        self._digest = hashlib.sha512()
        self._meta.unlink(missing_ok=True)  # it would describe the data that are replaced
        self._file: BinaryIO = self._data.open("wb")

    def write(
        self,
        samples: NDArray[np.generic],
        sigma: ArrayLike = 1.0,
        valid: NDArray[np.bool_] | None = None,
    ) -> None:
        """Write voltages, shape (channel, n), real or complex.

        Parameters
        ----------
        samples : ndarray
            Voltages.
        sigma : float or array_like, shape (channel,)
            Rms of a real or imaginary part. Floating-point samples are divided
            by it; integers are loaded as `quantise` does.
        valid : ndarray of bool, shape (n,) or (channel, n), optional
            Floating-point samples that are not valid are written as NaN. Integer
            samples of which any channel is not valid are left out, and the next
            capture begins after them.

        Raises
        ------
        ConfigurationError
            For real samples of complex channels, or the other way round.
        """
        if np.iscomplexobj(samples) != self._kind.complex:
            raise ConfigurationError(
                f"samples are {('real', 'complex')[np.iscomplexobj(samples)]}, the channels "
                f"{('real', 'complex')[self._kind.complex]}.",
                next_step="Set Channel.complex to what the samples are.",
            )
        shape = np.shape(samples)
        if len(shape) != 2 or shape[0] != len(self._channels):
            raise ConfigurationError(
                f"samples have shape {shape}, ({len(self._channels)}, n) is needed.",
                next_step="Give one channel as samples[np.newaxis].",
            )
        kind = np.complex64 if self._kind.complex else np.float32
        numbers = np.ascontiguousarray(samples, dtype=kind).view(np.float32)
        scale = _fitted(np.asarray(sigma, dtype=np.float64), (len(self._channels),), "sigma")
        if not (np.all(scale > 0) and np.all(np.isfinite(scale))):
            raise ConfigurationError(
                f"sigma must be positive, not {scale}.", next_step="Give the rms of the noise."
            )
        if not self._kind.floating and not np.all(np.isfinite(numbers)):
            raise ConfigurationError(
                "there are samples that are not a number.", next_step="Mark them with valid=."
            )
        self.write_codes(self._kind.encode(numbers, scale), valid)

    def write_codes(
        self, codes: NDArray[np.generic], valid: NDArray[np.bool_] | None = None
    ) -> None:
        """Write the next samples as numbers of the datatype; `valid` as in `write`.

        Parameters
        ----------
        codes : ndarray, shape (channel, n) or (channel, 2 n)
            I and Q of complex samples in turn.
        valid : ndarray of bool, optional
            Shape (n,) or (channel, n).

        Raises
        ------
        ConfigurationError
            For a wrong shape or type.
        """
        kind, count = self._kind, len(self._channels)
        n = codes.shape[-1] // kind.parts
        if codes.shape != (count, n * kind.parts) or codes.dtype != kind.dtype:
            raise ConfigurationError(
                f"codes have shape {codes.shape} and type {codes.dtype}; "
                f"{(count, n * kind.parts)} and {kind.dtype} are needed.",
                next_step="Give one channel as codes[np.newaxis].",
            )
        good = _fitted(np.asarray(True if valid is None else valid), (count, n), "valid")
        if kind.floating:
            if not good.all():
                codes = np.where(np.repeat(good, kind.parts, axis=1), codes, np.nan)
                codes = codes.astype(kind.dtype)
            good = np.ones((1, n), dtype=np.bool_)
        kept = good.all(axis=0)
        table = codes.reshape(count, n, kind.parts).transpose(1, 0, 2)
        edges = np.flatnonzero(np.diff(np.r_[False, kept, False].astype(np.int8)))
        for begin, end in edges.reshape(-1, 2).tolist():
            self._append(table[begin:end], self._taken + begin)
        self._taken += n

    def _append(self, table: NDArray[np.generic], first: int) -> None:
        """Write samples of all channels, the first of which is sample `first` in time."""
        if first != self._next:
            text = self._start.shifted(first / self._rate).iso(_DIGITS)
            whole, _, rest = text.partition(".")
            rest = rest.rstrip("0").ljust(_LEAST_DIGITS, "0")
            self._captures.append(
                {
                    "core:sample_start": self._written,
                    "core:global_index": first,
                    "core:datetime": f"{whole}.{rest}Z",
                    "core:frequency": _centre(self._channels[0]),
                }
            )
        data = table.tobytes()
        self._file.write(data)
        self._digest.update(data)
        self._written += len(table)
        self._next = first + len(table)

    def _metadata(self) -> dict[str, Any]:
        from kitestring import __version__

        listed = [
            {
                "name": c.name,
                "sky_frequency": c.sky_frequency,
                "sideband": "upper" if c.direction > 0 else "lower",
                "zero": c.zero,
                "polarization": c.polarization,
            }
            for c in self._channels
        ]
        overall: dict[str, Any] = {
            "core:datatype": self._kind.name,
            "core:version": VERSION,
            "core:sample_rate": self._rate,
            "core:num_channels": len(self._channels),
            "core:recorder": f"kitestring {__version__}",
            "core:sha512": self._digest.hexdigest(),
            "core:extensions": [{"name": NAMESPACE, "version": "1.0.0", "optional": True}],
            f"{NAMESPACE}:station": self._station,
            f"{NAMESPACE}:channels": listed,
        }
        if self._description:
            overall["core:description"] = self._description
        return {"global": overall, "captures": self._captures, "annotations": []}

    def close(self) -> None:
        """Write the metadata and close the files.

        Raises
        ------
        ConfigurationError
            Where no sample was written.
        """
        if self._file.closed:
            return
        self._file.close()
        if not self._captures:
            raise ConfigurationError(
                f"{self._data}: no sample was written, so there is nothing to describe.",
                next_step="Write samples before closing.",
            )
        text = json.dumps(self._metadata(), indent=2, allow_nan=False)
        write_atomically(self._meta, f"{text}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._file.close()  # data without metadata: nobody takes them for a recording
            return
        self.close()


def _fitted(values: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise ConfigurationError(
            f"{name} has shape {values.shape}, the samples need {shape}.",
            next_step="Give one value for each.",
        ) from None


def _centre(channel: Channel) -> float:
    low, high = channel.sky_edges
    return (low + high) / 2
