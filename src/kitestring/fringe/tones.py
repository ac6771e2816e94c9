"""Phases of a spacecraft's tones at one epoch of a scan."""

from __future__ import annotations

import numpy as np

from kitestring.errors import MissingDataError
from kitestring.fringe.types import ToneSolution
from kitestring.model.time import Epoch
from kitestring.tones.types import TonePhases

_JOINED = 4.0  # SNR a dump from which phases can be followed from dump to dump
_SHARE = 0.5  # of the dumps that a station must have


def fit_tones(tones: TonePhases, epoch: Epoch | None = None) -> ToneSolution:
    """Fit a line in time to each tone's phase at each station.

    All stations are fitted with the same dumps and equal weights, so that what
    the transmitter's phase does leaves the difference of two stations exactly.

    Parameters
    ----------
    tones : TonePhases
        One scan.
    epoch : Epoch, optional
        UTC of the wavefront at the geocentre; the whole second nearest to the
        middle of the scan unless given.

    Returns
    -------
    ToneSolution
        NaN where a station has under half of the dumps, or too weak ones
        (median SNR under 4).

    Raises
    ------
    MissingDataError
        Where nothing can be fitted.
    """
    length = len(tones.epoch) * tones.dump
    if epoch is None:
        epoch = tones.start.shifted(round(0.5 * length))
    t = tones.epoch.since(epoch)
    shape = tones.phase.shape[:2]
    phase, sigma = np.full(shape, np.nan), np.full(shape, np.nan)
    rate, rate_sigma = np.full(shape, np.nan), np.full(shape, np.nan)
    for k in range(shape[1]):
        good = tones.snr[:, k] > 0
        here = (good.mean(axis=1) >= _SHARE) & (np.median(tones.snr[:, k], axis=1) >= _JOINED)
        if not here.any():
            continue
        dumps = good[here].all(axis=0)
        if dumps.sum() < 2:
            continue
        design = np.stack([np.ones(int(dumps.sum())), t[dumps]], axis=1)
        gain = np.linalg.pinv(design)
        for s in np.flatnonzero(here):
            phase[s, k], rate[s, k] = gain @ np.unwrap(tones.phase[s, k, dumps])
            error = gain * (1.0 / tones.snr[s, k, dumps])
            sigma[s, k], rate_sigma[s, k] = np.linalg.norm(error, axis=1)
    if not np.isfinite(phase).any():
        raise MissingDataError(
            f"no tone of scan {tones.scan} can be followed from dump to dump.",
            next_step="Use longer dumps, or fewer of them.",
        )
    return ToneSolution(
        scan=tones.scan,
        source=tones.source,
        epoch=epoch,
        duration=length,
        stations=tones.stations,
        tones=tones.tones,
        frequency=tones.frequency(epoch)[:, 0],
        phase=phase,
        phase_sigma=sigma,
        rate=rate,
        rate_sigma=rate_sigma,
        channels=tones.channels,
        model=tones.model,
    )
