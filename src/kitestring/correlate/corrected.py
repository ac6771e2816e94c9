"""The correction of quantisation of one band's products, integration by integration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kitestring.correlate.channels import Band, Input
from kitestring.correlate.plan import Plan
from kitestring.correlate.quantisation import (
    Response,
    make_sampler,
    undo_own,
    undo_turning,
)
from kitestring.recordings.types import Channel

Complexes = NDArray[np.complex128]


def channel_of(plan: Plan, item: Input) -> Channel:
    """Return the channel of an input."""
    return plan.recordings[item.station].channels[item.channel]


class Correction:
    """What the states of an integration tell of its samplers, and what follows.

    Parameters
    ----------
    plan : Plan
        What is correlated.
    band : Band
        Whose products.
    states : sequence of mapping of float to int
        For each input how often each value of its samples occurred.
    """

    def __init__(self, plan: Plan, band: Band, states: Sequence[Mapping[float, int]]) -> None:
        self._plan, self._band = plan, band
        self._samplers = [make_sampler(held) for held in states]
        self._stuck, self._gain, self._power = [], [], []
        for item, sampler in zip(band.inputs, self._samplers, strict=True):
            parts = 2 if channel_of(plan, item).complex else 1
            self._stuck.append(sampler is None and plan.counted(item.station))
            # what noise of unit power is multiplied by, and the power that it comes out with
            self._gain.append(1.0 if sampler is None else sampler.gain * math.sqrt(parts))
            self._power.append(1.0 if sampler is None else sampler.variance * parts)

    def serves(self, i: int, j: int) -> bool:
        """Tell whether a product holds anything: a sampler that is stuck tells of no noise."""
        return not (self._stuck[i] or self._stuck[j])

    def applied(self, values: Complexes, scale: float, i: int, j: int) -> Complexes:
        """Return a product of the inputs i and j, given in the units of their samples, times scale.

        Its correction is that of `scale` times `values`.
        """
        one, two = self._samplers[i], self._samplers[j]
        if self._plan.quantisation == "van-vleck" and one is not None and two is not None:
            first, second = self._band.inputs[i], self._band.inputs[j]
            channel = channel_of(self._plan, first)
            if self._alike(first, second):
                bins = len(values)
                low = self._band.frequency(bins)[0] - channel.sky_frequency
                return undo_own(
                    values * scale, low * self._plan.segment, self._plan.samples(first.station),
                    one, two, complex_=channel.complex,
                )  # fmt: skip
            scale /= self._gain[i] * self._gain[j]
            return undo_turning(values * scale, Response(one, two))
        scale /= self._power[i] if i == j else self._gain[i] * self._gain[j]
        return np.asarray(values * scale)

    def efficiency(self, i: int, j: int) -> float:
        """Return `ChannelVisibilities.efficiency` of a product."""
        if i == j:
            return 1.0
        return self._gain[i] * self._gain[j] / math.sqrt(self._power[i] * self._power[j])

    def _alike(self, one: Input, two: Input) -> bool:
        """Tell whether two inputs are of one station and their lags are whole samples."""
        a, b = channel_of(self._plan, one), channel_of(self._plan, two)
        return (
            one.station == two.station
            and a.complex == b.complex
            and a.sky_frequency == b.sky_frequency
            and a.direction == b.direction
        )
