"""What the signal stages say of their products."""

import numpy as np

from kitestring.correlate.types import ChannelVisibilities, Visibilities
from kitestring.model.polynomials import DelayModel
from kitestring.model.time import Epoch
from kitestring.session.signal_stages import _least_weight


def test_a_product_that_a_baseline_lacks_is_no_loss():
    data = np.ones((2, 3, 4, 2), np.complex64)
    weight = np.full((2, 3, 2), 0.9)
    data[:, 1:, :, 1], weight[:, 1:, 1] = np.nan, 0.0  # station B records no Y
    weight[1, 1, 0] = 0.25
    channel = ChannelVisibilities("CH0", 8.4e9 + np.arange(4.0), ("XX", "YY"), data, weight)
    epoch = Epoch.from_iso("2026-01-01T00:00:00").shifted(np.arange(2.0))
    baselines = (("A", "A"), ("A", "B"), ("B", "B"))
    model = DelayModel("No1", "Q1", {})
    vis = Visibilities("No1", "Q1", baselines, epoch, np.ones(2), (channel,), model)
    assert _least_weight(vis) == 0.25
