"""Sights of a station at chosen elevations and azimuths."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike

from kitestring.model.antenna import Station
from kitestring.model.constants import C
from kitestring.model.earth import EarthModel
from kitestring.model.sight import Sight
from kitestring.model.time import Epoch

Look = Callable[..., Sight]


@pytest.fixture(scope="session")
def look() -> Look:
    """Returns ``look(station, epoch, elevation, azimuth, **more)`` -> Sight; angles in rad."""
    earth = EarthModel(displacements=())

    def sight(
        station: Station, epoch: Epoch, elevation: ArrayLike, azimuth: ArrayLike = 0.0, **more
    ) -> Sight:
        elevation, azimuth, _ = np.broadcast_arrays(elevation, azimuth, epoch.second)
        state = earth.station_state(station, epoch)
        level = np.cos(elevation)
        local = [level * np.sin(azimuth), level * np.cos(azimuth), np.sin(elevation)]
        seen = state.rotation.position(np.stack(local, axis=-1) @ station.to_enu)
        # Sight adds V/c to a unit vector: the one whose sum lies along `seen`
        shift = (state.earth[..., 3:] + state.velocity) / C
        along = np.sum(seen * shift, axis=-1)
        scale = along + np.sqrt(along**2 + 1.0 - np.sum(shift**2, axis=-1))
        return Sight(station, state, scale[..., None] * seen - shift, **more)

    return sight
