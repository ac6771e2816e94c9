"""Phases of a spacecraft's tones at one epoch of a scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import MissingDataError
from kitestring.fringe.types import ToneSolution
from kitestring.model.time import Epoch
from kitestring.tones.types import TonePhases

_JOINED = 4.0  # SNR a dump from which phases can be followed from dump to dump
_SHARE = 0.5  # of the dumps that a station must have
_SHARED = 0.25  # of the dumps that more than two stations must have together
# a dump with less is mostly lost: noise alone has an SNR of 2 in one of seven
_LEAST, _PART = 2.0, 0.3  # SNR, and SNR over the station's median (a tenth of the samples)


def fit_tones(tones: TonePhases, epoch: Epoch | None = None) -> ToneSolution:
    """Fit a line in time to each tone's phase at each station.

    All stations are fitted with the same dumps and equal weights, so that what
    the transmitter's phase does leaves the difference of two stations exactly.
    Dumps of hardly any signal are left out. Where more than two stations share
    under a quarter of the dumps, those that cost the others most are dropped.

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
        NaN where a station has under half of the dumps, too weak ones (median
        SNR under 4), or too few in common with the other stations.

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
        here, dumps = _shared_dumps(tones.snr[:, k])
        if len(here) == 0 or dumps.sum() < 2:
            continue
        design = np.stack([np.ones(int(dumps.sum())), t[dumps]], axis=1)
        gain = np.linalg.pinv(design)
        for s in here:
            phase[s, k], rate[s, k] = gain @ np.unwrap(tones.phase[s, k, dumps])
            error = gain * (1.0 / tones.snr[s, k, dumps])
            sigma[s, k], rate_sigma[s, k] = np.linalg.norm(error, axis=1)
    if not np.isfinite(phase).any():
        raise MissingDataError(
            f"no tone of scan {tones.scan} can be followed from dump to dump.",
            next_step="Use longer dumps, or see whether the recordings fill the scan.",
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


def _shared_dumps(snr: NDArray[np.float64]) -> tuple[list[int], NDArray[np.bool_]]:
    """Return which stations are used, and which dumps all of them have; `snr` (station, dump)."""
    median = np.array([np.median(row[row > 0]) if (row > 0).any() else 0.0 for row in snr])
    good = snr >= np.maximum(_PART * median, _LEAST)[:, None]
    here = np.flatnonzero((good.mean(axis=1) >= _SHARE) & (median >= _JOINED)).tolist()

    def gain(station: int) -> tuple[float, float, float]:
        """How much is won without a station: shared dumps, then coverage, then SNR."""
        others = [s for s in here if s != station]
        return good[others].all(axis=0).sum(), -good[station].sum(), -median[station]

    while len(here) > 2 and good[here].all(axis=0).mean() < _SHARED:
        here.remove(max(here, key=gain))
    return here, np.asarray(good[here].all(axis=0))
