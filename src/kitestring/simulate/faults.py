"""Faults of recorders and networks: frames of a VDIF file lost, late, repeated or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kitestring._write import replacing
from kitestring.errors import ConfigurationError

Bytes = NDArray[np.uint8]

KINDS = ("lost", "late", "repeated", "reordered", "corrupted", "wrong_second")
LATENESS = 24  # frames that a late one comes after its time, at least
_BATCH = 4096  # frames rewritten at a time
_WORDS_HIT = 4  # of the header: a corrupted frame differs in one of these
_SECOND_BITS = 0x3FFFFFFF


@dataclass(frozen=True)
class FrameFaults:
    """What happens to the frames of one recording; each fraction is of all frames.

    A frame suffers one fault at most.

    Attributes
    ----------
    lost : float
        Never written.
    late : float
        Written `LATENESS` frames or more after its time.
    repeated : float
        Written twice.
    reordered : float
        Written after the one that follows.
    corrupted : float
        With random bytes in one word of the header.
    wrong_second : float
        With a second that is one too many.
    outages : sequence of (float, float)
        From and to, s after the first frame: nothing is written.
    """

    lost: float = 0.0
    late: float = 0.0
    repeated: float = 0.0
    reordered: float = 0.0
    corrupted: float = 0.0
    wrong_second: float = 0.0
    outages: Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        values = [getattr(self, kind) for kind in KINDS]
        if not all(0.0 <= v <= 1.0 for v in values) or not sum(values) <= 1.0:
            raise ConfigurationError(
                f"fractions {values} of frames cannot be at fault.",
                next_step="Give fractions whose sum is 1 at most.",
            )
        for begin, end in self.outages:
            if not begin < end:
                raise ConfigurationError(
                    f"an outage from {begin} to {end} s cannot be.",
                    next_step="Let it end after it begins.",
                )


@dataclass(frozen=True)
class FaultRecord:
    """Which frames of a file were hit.

    Attributes
    ----------
    frames : int
        Frames that there would have been.
    hit : mapping of str to list of int
        By kind: numbers of frames in the undamaged file.
    """

    frames: int
    hit: dict[str, list[int]] = field(default_factory=dict)


def damage_vdif(
    path: str | Path,
    faults: Sequence[FrameFaults],
    frames_per_second: float,
    seed: Sequence[int],
) -> FaultRecord:
    """Rewrite a VDIF file with faults.

    Parameters
    ----------
    path : path-like
        A file whose frames all have one length, in order.
    faults : sequence of FrameFaults
        What goes wrong. A frame that several hit has the first one's fault; an outage
        takes it whatever else it has.
    frames_per_second : float
        Frames of all threads together, for outages.
    seed : sequence of int
        Settles which frames are hit.

    Returns
    -------
    FaultRecord
    """
    file = Path(path)
    data = np.memmap(file, dtype=np.uint8, mode="r")
    # word 2: length of a frame in units of 8 bytes (VDIF 1.1.1, section 4)
    length = 8 * int(data[8:12].view("<u4")[0] & 0xFFFFFF)
    frames: Bytes = data[: len(data) // length * length].reshape(-1, length)
    rng = np.random.default_rng([*seed, 0x1DEA])
    count = len(frames)
    kind = np.full(count, -1)
    for fault in faults:
        kind = np.where(kind < 0, _draw(fault, count, rng), kind)
    time = np.arange(count) / frames_per_second
    for begin, end in (span for fault in faults for span in fault.outages):
        kind[(time >= begin) & (time < end)] = len(KINDS)
    order = _order(kind, rng)
    with replacing(file) as temporary, temporary.open("wb") as out:
        for first in range(0, len(order), _BATCH):
            taken = order[first : first + _BATCH]
            out.write(_spoilt(frames[taken], kind[taken], taken, seed).data)
    names = (*KINDS, "outage")
    hit = {n: np.flatnonzero(kind == k).tolist() for k, n in enumerate(names)}
    return FaultRecord(count, {n: numbers for n, numbers in hit.items() if numbers})


def _draw(faults: FrameFaults, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the fault of each frame as an index of `KINDS`, or -1."""
    limits = np.cumsum([getattr(faults, kind) for kind in KINDS])
    drawn = np.searchsorted(limits, rng.random(count), side="right")
    return np.where(drawn < len(KINDS), drawn, -1)


def _order(kind: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return which frame is written where."""
    lost, late, repeated, reordered = (KINDS.index(k) for k in KINDS[:4])
    number = np.arange(len(kind))
    place = number.astype(np.float64)
    place[kind == reordered] += 1.5
    delays = LATENESS + rng.integers(0, LATENESS, len(kind)) + 0.25
    place[kind == late] += delays[kind == late]
    written = (kind != lost) & (kind != len(KINDS))
    twice = np.flatnonzero(kind == repeated)
    numbers = np.concatenate([number[written], twice])
    places = np.concatenate([place[written], place[twice] + 0.5])
    return numbers[np.argsort(places, kind="stable")]


def _spoilt(
    frames: Bytes, kind: NDArray[np.int64], numbers: NDArray[np.int64], seed: Sequence[int]
) -> NDArray[Any]:
    frames = frames.copy()
    words = frames[:, :32].view("<u4")
    wrong = kind == KINDS.index("wrong_second")
    second = (words[wrong, 0] & _SECOND_BITS) + 1
    words[wrong, 0] = (words[wrong, 0] & ~np.uint32(_SECOND_BITS)) | (second & _SECOND_BITS)
    for row in np.flatnonzero(kind == KINDS.index("corrupted")):
        rng = np.random.default_rng([*seed, 0xBAD, int(numbers[row])])
        word = int(rng.integers(0, _WORDS_HIT))
        words[row, word] ^= np.uint32(rng.integers(1, 1 << 32))
    return frames
