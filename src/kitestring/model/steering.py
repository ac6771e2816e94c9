"""Makes the delay models that correlation is steered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from kitestring.errors import ConfigurationError
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
MOST_PIECES = 100_000
"""Most pieces of a clock that jumps."""
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


def linear_clock(
    start: Epoch,
    stop: Epoch,
    reference: Epoch,
    offset: float,
    rate: float = 0.0,
    jumps: Sequence[tuple[Epoch, float]] = (),
) -> PiecewisePolynomial:
    """Return a clock (reading minus UTC, s) over a span that is linear but for jumps.

    Parameters
    ----------
    start, stop : Epoch, shape ()
        The span, UTC.
    reference : Epoch, shape ()
        When the clock is off by `offset`, UTC.
    offset, rate : float
        Reading minus UTC, s, and what it grows by in a second.
    jumps : sequence of (Epoch, float)
        When the reading jumps, UTC, and by how much, s. `offset` holds at the reference,
        just before a jump that is then: what jumps before and after it change is taken from
        there.

    Raises
    ------
    ConfigurationError
        Where the jumps in the span do not lie whole milliseconds apart (within 1 us), or too
        many pieces would have to lie between them.
    """
    length = float(stop.since(start))
    at = np.array([float(epoch.since(start)) for epoch, _ in jumps])
    sizes = np.array([size for _, size in jumps])
    inside = np.sort(at[(at > 0.0) & (at < length)])
    if not len(inside):
        begin, each, count = 0.0, length, 1
    else:
        # pieces are equally long, and one has to begin where the clock jumps
        apart = 1e3 * np.diff(inside)
        if np.any(np.abs(apart - np.rint(apart)) > 1e-3):
            raise ConfigurationError(
                "jumps of a clock within one scan are to lie whole milliseconds apart.",
                next_step="Round them: nothing is correlated in the segments that they lie in.",
            )
        common = int(np.gcd.reduce(np.rint(apart).astype(np.int64))) if len(apart) else 0
        each = 1e-3 * common if common else max(inside[0], length - inside[0])
        begin = inside[0] - each * np.ceil(inside[0] / each - 1e-9)
        count = int(np.ceil((length - begin) / each - 1e-9))
        if count > MOST_PIECES:
            raise ConfigurationError(
                f"jumps of a clock {1e3 * each:.0f} ms apart in a scan of {length:.0f} s.",
                next_step="Round them to common multiples of 10 ms or more.",
            )
    begins = begin + each * np.arange(count)
    since = begins - float(reference.since(start))
    known = float(reference.since(start))
    middles = begins + each / 2
    turned = (at[:, None] < middles).astype(float) - (at[:, None] < known)
    rows = np.stack([offset + rate * since + sizes @ turned, np.full(count, rate)], axis=1)
    return PiecewisePolynomial(start.shifted(begin), float(each), rows)


def make_delay_model(
    scan: str,
    source: str,
    target: Trajectory | Floats,
    stations: Sequence[Station],
    span: tuple[Epoch, Epoch],
    earth: EarthModel,
    *,
    clocks: Mapping[str, tuple[Epoch, float, float]] | None = None,
    jumps: Mapping[str, Sequence[tuple[Epoch, float]]] | None = None,
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
    jumps : mapping, optional
        By station name: when its clock jumps, UTC, and by how much, s.
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
        jumping = (jumps or {}).get(station.name, ())
        try:
            clock = linear_clock(start, stop, reference, offset, rate, jumping)
        except ConfigurationError as problem:
            problem.message = f"scan {scan}, {station.name}: {problem.message}"
            raise
        parts[station.name] = StationDelay(delay, clock)
    return DelayModel(scan, source, parts, dict(inputs or {}))
