"""Another delay model in place of the one that was applied, without correlating again.

What was measured is the total: applied model plus residual. When Earth
orientation or media of a day are known better, residuals are formed anew
against the better model. The applied one only has to have been good enough to
keep the signal together, within 1 / (bandwidth of a bin) and some milliradians
of phase over an integration.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kitestring.errors import ConfigurationError
from kitestring.fringe.types import FringeSolution, ToneSolution
from kitestring.model.polynomials import DelayModel

_TURN = 2.0 * np.pi


def _check(scan: str, stations: tuple[str, ...], model: DelayModel) -> None:
    missing = [name for name in stations if name not in model.stations]
    if missing:
        raise ConfigurationError(
            f"the delay model has no station {missing[0]}, which observed scan {scan}.",
            next_step="Make it for all stations of the scan.",
        )


def fringe_with_model(fringe: FringeSolution, model: DelayModel) -> FringeSolution:
    """Return a fringe with its residuals against another model; the totals stay.

    Parameters
    ----------
    fringe : FringeSolution
        As it was found.
    model : DelayModel
        Of the same scan.

    Raises
    ------
    ConfigurationError
        For a model that lacks a station.
    SpanError
        For a model that does not cover the fringe's epoch.
    """
    _check(fringe.scan, fringe.baseline, model)
    one, two = (model.stations[name] for name in fringe.baseline)
    theory, theory_rate = (
        float(two.total(fringe.epoch, k)) - float(one.total(fringe.epoch, k)) for k in (0, 1)
    )
    more = fringe.delay - fringe.residual_delay - theory  # of the applied model
    phase = fringe.phase + _TURN * fringe.frequency * more
    return replace(
        fringe,
        residual_delay=fringe.residual_delay + more,
        residual_rate=fringe.rate - theory_rate,
        phase=np.angle(np.exp(1j * phase)),
    )


def tones_with_model(tones: ToneSolution, model: DelayModel) -> ToneSolution:
    """Return tones with their residual phases against another model.

    Parameters
    ----------
    tones : ToneSolution
        As they were found; they hold the model that was applied.
    model : DelayModel
        Of the same scan.

    Raises
    ------
    ConfigurationError
        For a model that lacks a station.
    SpanError
        For a model that does not cover the tones' epoch.
    """
    _check(tones.scan, tones.stations, model)
    more = np.array(
        [
            [
                float(tones.model.stations[name].total(tones.epoch, k))
                - float(model.stations[name].total(tones.epoch, k))
                for k in (0, 1)
            ]
            for name in tones.stations
        ]
    )
    # a station's phase falls as its delay grows
    turned = -_TURN * tones.frequency * more[:, :1]
    faster = -_TURN * tones.frequency * more[:, 1:]
    return replace(tones, phase=tones.phase + turned, rate=tones.rate + faster, model=model)
