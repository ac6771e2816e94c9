"""Makes the delay models that correlation is steered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from kitestring.model.delay import far_field_delay, near_field_delay
from kitestring.model.earth import EarthModel
from kitestring.model.parts import station_delay
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.sight import Effect, Sight
from kitestring.model.stations import Station
from kitestring.model.time import Epoch
from kitestring.model.trajectory import Trajectory

Floats = NDArray[np.float64]

_INTERVAL = 20.0  # s
_ORDER = 6  # with 20 s the Earth's rotation is followed to 1e-18 s


def station_delays(
    earth: EarthModel,
    station: Station,
    target: Trajectory | Floats,
    label: Epoch,
    media: Sequence[Effect] = (),
    frequency: float | None = None,
) -> Floats:
    """Return arrival at a station minus (would-be) arrival at the geocentre, s.

    Parameters
    ----------
    earth : EarthModel
        Where stations are.
    station : Station
        The station.
    target : Trajectory or ndarray, shape (3,)
        A spacecraft, or the unit vector to a source at infinity.
    label : Epoch, shape (n,)
        Arrival of the wavefront at the geocentre, UTC.
    media : sequence of Effect
        Delays that the station's sky adds.
    frequency : float, optional
        Sky frequency, Hz, for plasma: group delays.
    """
    centre = earth.station_state(None, label)
    state = earth.station_state(station, label)
    if isinstance(target, np.ndarray):
        found = far_field_delay(centre, state, target, earth.ephemeris)
    else:
        found = near_field_delay(centre, state, target, earth.ephemeris)
    sight = Sight(station, state, found.direction2, found.distance, frequency)
    return found.delay + station_delay(sight, media)


def fit_polynomial(start: Epoch, interval: float, values: Floats) -> PiecewisePolynomial:
    """Return the polynomials through values at `node_offsets` of each piece.

    Parameters
    ----------
    start : Epoch, shape ()
        Start of the first piece, UTC.
    interval : float
        Length of a piece, s.
    values : ndarray, shape (pieces, order + 1)
        Values at the Chebyshev nodes of each piece.
    """
    order = values.shape[1] - 1
    nodes = chebyshev.chebpts1(order + 1)
    series = chebyshev.chebfit(nodes, values.T, order)  # (order + 1, pieces)
    # x = 2 t / interval - 1, expanded into powers of t
    power = np.zeros((values.shape[0], order + 1))
    x = np.polynomial.Polynomial([-1.0, 2.0 / interval])
    for k in range(order + 1):
        basis = chebyshev.Chebyshev.basis(k).convert(kind=np.polynomial.Polynomial)(x)
        terms = basis.coef
        power[:, : len(terms)] += series[k][:, None] * terms
    return PiecewisePolynomial(start, interval, power)


def node_offsets(pieces: int, interval: float = _INTERVAL, order: int = _ORDER) -> Floats:
    """Return seconds after the start of the first piece, shape (pieces, order + 1)."""
    nodes = chebyshev.chebpts1(order + 1)
    return (np.arange(pieces)[:, None] + 0.5 * (nodes + 1.0)) * interval


def constant_clock(
    start: Epoch, stop: Epoch, reference: Epoch, offset: float, rate: float = 0.0
) -> PiecewisePolynomial:
    """Return a clock (reading minus UTC, s) that is linear over a span."""
    at_start = offset + rate * float(start.since(reference))
    length = float(stop.since(start))
    return PiecewisePolynomial(start, length, np.array([[at_start, rate]]))


def make_delay_model(
    scan: str,
    source: str,
    target: Trajectory | Floats,
    stations: Sequence[Station],
    span: tuple[Epoch, Epoch],
    earth: EarthModel,
    *,
    clocks: Mapping[str, tuple[Epoch, float, float]] | None = None,
    media: Sequence[Effect] = (),
    frequency: float | None = None,
    inputs: Mapping[str, str] | None = None,
) -> DelayModel:
    """Make the delay model of a scan.

    Parameters
    ----------
    scan, source : str
        Names.
    target : Trajectory or ndarray, shape (3,)
        A spacecraft, or the unit vector to a source at infinity.
    stations : sequence of Station
        Who observed.
    span : tuple of Epoch
        Start and end of the scan, UTC; a second is added at both ends.
    earth : EarthModel
        Where stations are.
    clocks : mapping, optional
        By station name: (reference epoch, reading minus UTC in s, its rate).
    media : sequence of Effect
        Delays of the stations' sky that correlation should remove.
    frequency : float, optional
        Sky frequency, Hz, for plasma: its group delay is removed.
    inputs : mapping, optional
        What to remember of where this came from.
    """
    margin = 1.0
    start = span[0].shifted(-margin)
    pieces = int(np.ceil((float(span[1].since(span[0])) + 2 * margin) / _INTERVAL))
    stop = start.shifted(pieces * _INTERVAL)
    offsets = node_offsets(pieces)
    label = start.shifted(offsets.ravel())
    parts = {}
    for station in stations:
        values = station_delays(earth, station, target, label, media, frequency)
        delay = fit_polynomial(start, _INTERVAL, values.reshape(offsets.shape))
        reference, offset, rate = (clocks or {}).get(station.name, (start, 0.0, 0.0))
        clock = constant_clock(start, stop, reference, offset, rate)
        parts[station.name] = StationDelay(delay, clock)
    return DelayModel(scan, source, parts, dict(inputs or {}))
