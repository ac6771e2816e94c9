"""The index of a VDIF recording: its files, its threads and where their frames are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kitestring.errors import ConfigurationError, RecordingError, RecordingWarning
from kitestring.model.time import Epoch
from kitestring.recordings.formats import FrameCounts, Survey
from kitestring.recordings.vdif_header import VdifHeader, frames_per_second, second_epoch
from kitestring.recordings.vdif_place import (
    Placed,
    choose_threads,
    infer_frames_per_second,
    left_out,
    place_frames,
)
from kitestring.recordings.vdif_scan import Bytes, FileScan, Runs, first_header, map_file, scan_file


@dataclass(frozen=True)
class VdifIndex:
    """Where the frames of a recording are, and what is wrong with it.

    Attributes
    ----------
    paths : tuple of Path
        Its files.
    sizes : tuple of int
        Their lengths in bytes when they were looked at.
    header : VdifHeader
        What all frames have in common.
    threads : tuple of int
        Threads, ascending: the order of the channels.
    sample_rate : float or None
        Samples per second; None where it is not known, and then nothing is placed.
    rate_origin : str
        As in `Survey`.
    runs : dict of int to ndarray
        For each thread, runs of frames by slot (frames since the reference epoch).
    first_slot, stop_slot : int
        Slot of the first frame, and that after the last.
    counts : FrameCounts
        Damage.
    """

    paths: tuple[Path, ...]
    sizes: tuple[int, ...]
    header: VdifHeader
    threads: tuple[int, ...]
    sample_rate: float | None
    rate_origin: str
    runs: dict[int, Runs]
    first_slot: int
    stop_slot: int
    counts: FrameCounts

    @classmethod
    def build(
        cls,
        paths: Sequence[str | Path],
        *,
        sample_rate: float | None = None,
        channel_count: int | None = None,
    ) -> VdifIndex:
        """Read all headers of the files of one recording.

        Parameters
        ----------
        paths : sequence of path-like
            Files of one station: threads apart, or one after another in time.
        sample_rate : float, optional
            Samples per second; else from the headers (extended data versions
            1, 3, 4) or from the frame numbers where a second ends.
        channel_count : int, optional
            How many channels there should be; else all threads that occur
            regularly are taken.

        Raises
        ------
        RecordingError
            Where the files are not VDIF, not of one recording, or contradict
            the sample rate or the number of channels.
        """
        files = tuple(Path(p) for p in paths)
        _check_different(files)
        data = [map_file(p) for p in files]
        scans = _scan_all(files, data)
        header = scans[0].header
        runs = np.concatenate([s.runs for s in scans])
        wanted = None
        if channel_count is not None:
            wanted = max(channel_count // header.channel_count, 1)
        threads = choose_threads(runs, wanted)
        found = len(threads) + left_out(runs, threads)
        if channel_count is not None and found * header.channel_count != channel_count:
            raise RecordingError(
                f"{channel_count} channels are expected, the file has {found} threads "
                f"of {header.channel_count} channels.",
                place=str(files[0]),
                next_step="Name as many channels as were recorded (see `kitestring describe`).",
            )
        odd = int(runs["frames"][~np.isin(runs["thread"], threads)].sum())
        rate, origin = _sample_rate(sample_rate, header, runs, files[0])
        if rate is None:
            counts = _counts(scans, odd, None, threads, 0)
            frames = int(runs["frames"].sum()) - odd
            counts = FrameCounts(**(vars(counts) | {"frames": frames}))
            return cls(
                files, tuple(map(len, data)), header, threads, None, "", {}, 0, 0, counts
            )  # fmt: skip
        try:
            per_second = frames_per_second(header, rate)
        except ConfigurationError as error:
            raise RecordingError(
                error.message, place=str(files[0]), next_step="Give the right sample rate."
            ) from None
        placed = place_frames(runs, threads, per_second, header, data)
        _check_rate(placed, runs, per_second, rate, files[0])
        first = min(int(r["slot"][0]) for r in placed.runs.values() if len(r))
        stop = max(int(r["slot"][-1] + r["frames"][-1]) for r in placed.runs.values() if len(r))
        counts = _counts(scans, odd, placed, threads, stop - first)
        return cls(
            files, tuple(map(len, data)), header, threads, rate, origin, placed.runs, first, stop,
            counts,
        )  # fmt: skip

    @property
    def channel_count(self) -> int:
        """Channels of the recording."""
        return len(self.threads) * self.header.channel_count

    def slot_epoch(self, slot: int) -> Epoch:
        """Return the clock reading at the start of a slot, UTC."""
        assert self.sample_rate is not None
        per_second = frames_per_second(self.header, self.sample_rate)
        second, number = divmod(slot, per_second)
        return second_epoch(self.header.ref_epoch, second).shifted(number / per_second)

    def survey(self) -> Survey:
        """Return what the headers tell, for `describe`."""
        header = self.header
        placed = self.sample_rate is not None
        missing = ["sky frequencies and sidebands (channels=)"]
        if not placed:
            missing.insert(0, "sample rate (sample_rate=)")
        edv = "legacy headers" if header.legacy else f"extended data version {header.edv}"
        names = ", ".join(map(str, self.threads))
        return Survey(
            station=header.station_code,
            start=self.slot_epoch(self.first_slot) if placed else header.epoch_of_second,
            stop=self.slot_epoch(self.stop_slot) if placed else None,
            sample_rate=self.sample_rate,
            rate_origin=self.rate_origin,
            channel_count=self.channel_count,
            bits=header.bits,
            complex=header.complex,
            layout=f"{len(self.threads)} threads ({names}) of {header.channel_count} channels, "
            f"frames of {header.frame_bytes} bytes, {edv}",
            counts=self.counts,
            missing=tuple(missing),
        )


def _check_different(files: tuple[Path, ...]) -> None:
    if not files:
        raise RecordingError("no file was given.", next_step="Name at least one.")
    seen: set[Path] = set()
    for path in files:
        if path.resolve() in seen:
            raise RecordingError(
                "the file is given twice.", place=str(path), next_step="Leave one out."
            )
        seen.add(path.resolve())


def _scan_all(files: tuple[Path, ...], data: list[Bytes]) -> list[FileScan]:
    scans: list[FileScan] = []
    for i, (path, mapped) in enumerate(zip(files, data, strict=True)):
        begin, header = first_header(mapped, path)
        if scans:
            mine, first = header.constant_words()[0], scans[0].header.constant_words()[0]
            if not np.array_equal(mine, first):
                raise RecordingError(
                    f"byte {begin}: the frames are not of the same kind as those of {files[0]} "
                    f"({_kind(header)}; there {_kind(scans[0].header)}).",
                    place=str(path),
                    next_step="Open files of different recordings one by one.",
                )
        scans.append(scan_file(mapped, header, i))
        if not len(scans[-1].runs):
            raise RecordingError(
                "no whole frame could be read.",
                place=str(path),
                next_step="The file is damaged or cut off: copy it again.",
            )
    return scans


def _kind(header: VdifHeader) -> str:
    return (
        f"station {header.station_code}, {header.channel_count} "
        f"{'complex' if header.complex else 'real'} channels of {header.bits} bits, "
        f"{header.frame_bytes} bytes a frame, reference epoch {header.ref_epoch}"
    )


def _sample_rate(
    given: float | None, header: VdifHeader, runs: Runs, path: Path
) -> tuple[float | None, str]:
    stated = header.header_rate
    if given is not None:
        if stated is not None and abs(stated - given) > 1e-9 * given:
            warnings.warn(
                f"{path}: the headers state {stated:.12g} samples a second; {given:.12g} "
                "was given and is used.",
                RecordingWarning,
                stacklevel=2,
            )
        return given, "given"
    if stated is not None:
        return stated, "header"
    per_second, _ = infer_frames_per_second(runs)
    if per_second:
        return float(per_second * header.frame_samples), "inferred from frame numbers"
    return None, ""


def _check_rate(placed: Placed, runs: Runs, per_second: int, rate: float, path: Path) -> None:
    highest = int((runs["number"] + runs["frames"]).max())
    inferred, seconds = infer_frames_per_second(runs)
    too_low = placed.out_of_range * 10 > placed.used or (inferred > per_second and seconds > 1)
    # in one or two seconds the last frames may have been lost
    too_high = highest <= inferred < per_second and seconds > 2
    if too_low or too_high:
        found = f"frames are numbered up to {highest - 1}"
        if inferred:
            found += f" and seconds end after {inferred}"
        raise RecordingError(
            f"{rate:.12g} samples a second would make {per_second} frames a second, but {found}.",
            place=str(path),
            next_step="Give the right sample rate."
            + (
                f" (From the frame numbers: {inferred * rate / per_second:.12g}.)"
                if inferred
                else ""
            ),
        )
    if not placed.used:
        raise RecordingError(
            "no frame could be placed in time.", place=str(path), next_step="Check the sample rate."
        )


def _counts(
    scans: list[FileScan], odd: int, placed: Placed | None, threads: tuple[int, ...], slots: int
) -> FrameCounts:
    damaged = sum(s.damaged for s in scans) + odd
    skipped = sum(s.skipped_bytes for s in scans)
    cut = sum(s.truncated_bytes for s in scans)
    if placed is None:
        return FrameCounts(damaged=damaged, skipped_bytes=skipped, truncated_bytes=cut)
    return FrameCounts(
        frames=placed.used,
        missing=slots * len(threads) - placed.used,
        invalid=placed.invalid,
        damaged=damaged + placed.out_of_range,
        wrong_time=placed.wrong_time,
        duplicated=placed.duplicated,
        conflicting=placed.conflicting,
        out_of_order=placed.out_of_order,
        time_jumps=placed.time_jumps,
        skipped_bytes=skipped,
        truncated_bytes=cut,
    )
