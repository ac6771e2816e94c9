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
        self._counted = [plan.counted(item.station) for item in band.inputs]
        self._samplers = [make_sampler(held) for held in states]

    def serves(self, i: int, j: int) -> bool:
        """Tell whether a product holds anything: a sampler that is stuck tells of no noise."""
        return all(self._samplers[k] is not None or not self._counted[k] for k in (i, j))

    def applied(self, values: Complexes, i: int, j: int) -> Complexes:
        """Return a product of the inputs i and j, given in the units of their samples."""
        one, two = self._samplers[i], self._samplers[j]
        first, second = self._band.inputs[i], self._band.inputs[j]
        own = self._alike(first, second)
        if self._plan.quantisation == "van-vleck" and one is not None and two is not None:
            channel = channel_of(self._plan, first)
            if own:
                bins = len(values)
                low = self._band.frequency(bins)[0] - channel.sky_frequency
                return undo_own(
                    values, low * self._plan.segment, self._plan.samples(first.station), one, two,
                    complex_=channel.complex,
                )  # fmt: skip
            return undo_turning(values / (self._gain(i) * self._gain(j)), Response(one, two))
        if i == j:
            return values / self._power(i)
        return values / (self._gain(i) * self._gain(j))

    def efficiency(self, i: int, j: int) -> float:
        """Return `ChannelVisibilities.efficiency` of a product."""
        if i == j:
            return 1.0
        power = self._power(i) * self._power(j)
        return self._gain(i) * self._gain(j) / math.sqrt(power)

    def _alike(self, one: Input, two: Input) -> bool:
        """Tell whether two inputs are of one station and their lags are whole samples."""
        a, b = channel_of(self._plan, one), channel_of(self._plan, two)
        return (
            one.station == two.station
            and a.complex == b.complex
            and a.sky_frequency == b.sky_frequency
            and a.direction == b.direction
        )

    def _parts(self, k: int) -> int:
        return 2 if channel_of(self._plan, self._band.inputs[k]).complex else 1

    def _gain(self, k: int) -> float:
        """Return what noise of unit power is multiplied by; 1 where nothing is corrected."""
        sampler = self._samplers[k]
        return 1.0 if sampler is None else sampler.gain * math.sqrt(self._parts(k))

    def _power(self, k: int) -> float:
        """Return the power that noise of unit power comes out with."""
        sampler = self._samplers[k]
        return 1.0 if sampler is None else sampler.variance * self._parts(k)
