"""The lane-batched engine against its numpy twins in float64, on every kind of vector."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import types
from numba.extending import intrinsic

import kitestring
from kitestring import _jit
from kitestring._jit import kernel
from kitestring.correlate import _kernels, lanes
from kitestring.correlate._fourier import Term, settled, transform, turned
from kitestring.correlate._lane_layout import ELEMENT, GROUP
from kitestring.correlate._lane_phasors import set_phasors, set_ramp
from kitestring.correlate._vectors import HOST_LANES, LANES, Vectors
from kitestring.correlate.inputs import BandInput, Work, count_pairs, cut
from kitestring.correlate.multiply import multiply, multiply_with_scipy
from kitestring.correlate.plan import Chunk, Part, make_plan
from kitestring.correlate.samples import Stream
from kitestring.correlate.steering import steer
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch
from kitestring.recordings.quantise import levels
from kitestring.recordings.types import PACKED_MARGIN, Channel

# of the largest sum: float32 samples, phasors, twiddle factors and products, which agree with
# float64 to some 1e-7 each
FLOAT32_ENGINE = 2e-6
TWO_FLOAT32_ENGINES = 1e-6  # of the peak; both round alike but in another order
PHASOR = 1e-7  # half a bit of float32, and what squaring adds
START = Epoch.from_iso("2026-03-01T10:00:00")

needs_lanes = pytest.mark.skipif(not HOST_LANES, reason="the stages need AVX2 or AVX-512")


class Made(NamedTuple):
    """An input and the samples that it stands for: (n,) complex, invalid ones zero."""

    item: BandInput
    values: np.ndarray
    valid: np.ndarray


def bit_stream(codes, bits):
    """Pack codes, the first in the lowest bits, with the margin that readers may touch."""
    each = (codes[:, np.newaxis].astype(np.int64) >> np.arange(bits)) & 1
    packed = np.packbits(each.ravel().astype(np.uint8), bitorder="little")
    return np.concatenate([packed, np.full(PACKED_MARGIN, 0xA5, np.uint8)])


def make_input(
    rng, form, bins, segments, *, conjugate=False, loss=False, samples=None, pieces=1
):  # fmt: skip
    """Make an input of random samples with odd first samples, phases, and lost stretches.

    With loss, every fourth segment or so has a hole and one has no sample at all.
    """
    bits, parts, signed = form
    samples = samples or bins * (2 // parts)
    # neighbours overlap or leave gaps, as a moving station's do, at any bit of a byte
    first = 5 + np.arange(segments) * samples + rng.integers(0, 4, segments)
    count = int(first[-1]) + samples + 3
    count += -count % 8
    valid = np.ones(count, dtype=bool)
    if loss:
        for k in range(1, segments, 4):
            at = int(first[k]) + int(rng.integers(0, samples - 9))
            valid[at : at + int(rng.integers(1, samples // 2))] = False
        valid[first[segments // 2] : first[segments // 2] + samples] = False
    if bits == 32:
        numbers = rng.standard_normal(count * parts).astype(np.float32)
        numbers[~np.repeat(valid, parts)] = 0.0
        data = np.concatenate([numbers.view(np.uint8), np.zeros(PACKED_MARGIN, np.uint8)])
        table = np.zeros(0, dtype=np.float32)
    else:
        codes = rng.integers(0, 1 << bits, count * parts)
        table, data = levels(bits), bit_stream(codes, bits)
        if bits >= 4:
            table = (table * np.float32(0.7) + np.float32(0.11)).astype(np.float32)
        numbers = table[codes ^ (1 << (bits - 1)) if signed else codes]
    x = numbers.astype(float)
    x = x[0::2] + 1j * x[1::2] if parts == 2 else x.astype(complex)
    x[~valid] = 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    item = BandInput(
        stream=Stream(data, form, table, edges.reshape(-1, 2).astype(np.int64)),
        conjugate=conjugate,
        samples=samples,
        piece=-(-samples // pieces),
        first=first.astype(np.int64),
        start=rng.uniform(-0.5, 0.5, (pieces, segments)),
        step=rng.uniform(-0.5, 0.5, (pieces, segments)),
        turn=rng.uniform(-0.5, 0.5, segments) / samples,
        valid=np.array([valid[a : a + samples].sum() for a in first], dtype=np.int64),
    )
    return Made(item, x, valid)


def direct_spectra(made, bins):
    """Return the spectra of all segments, shape (segment, bin), as `BandInput` words them."""
    item = made.item
    n, k = np.arange(item.samples), np.arange(bins)
    x = made.values[item.first[:, np.newaxis] + n]
    x = x.conj() if item.conjugate and item.parts == 2 else x
    piece, within = np.divmod(n, item.piece)
    z = np.fft.fft(
        x * np.exp(2j * np.pi * (item.start[piece] + item.step[piece] * within[:, np.newaxis]).T),
        axis=1,
    )
    return z[:, :bins] * np.exp(2j * np.pi * np.outer(item.turn, k))


NO_PAIRS = np.zeros((0, 2), dtype=np.int64)


def whole(inputs):
    return 0, len(inputs[0].first)


def by_lanes(inputs, bins, pairs):
    return lanes.multiply([Work(inputs, bins, pairs)], [whole(inputs)])[0][0]


def by_scipy(inputs, bins, pairs):
    return multiply_with_scipy(Work(inputs, bins, pairs), whole(inputs))


def by_any(inputs, bins, pairs):
    return multiply([Work(inputs, bins, pairs)], [whole(inputs)])[0][0]


def direct_products(inputs, bins, pairs):
    """Return the sums of products of all segments in float64."""
    spectra = [direct_spectra(made, bins) for made in inputs]
    return np.array([(spectra[i] * spectra[j].conj()).sum(axis=0) for i, j in pairs])


def check(got, wanted, tolerance=FLOAT32_ENGINE):
    assert got.shape == wanted.shape
    assert np.max(np.abs(got - wanted)) < tolerance * np.max(np.abs(wanted))


# two kinds each: all bits, real and complex, offset binary and two's complement
PAIRS = [
    (128, (2, 1, 0), (2, 1, 0), False),
    (128, (1, 1, 0), (2, 2, 0), True),
    (256, (1, 2, 0), (4, 1, 0), True),
    (512, (4, 1, 1), (8, 2, 0), True),
    (1024, (4, 2, 0), (16, 1, 0), False),
    (256, (4, 2, 1), (8, 1, 1), False),
    (128, (8, 1, 0), (16, 2, 1), True),
    (2048, (8, 2, 1), (32, 1, 0), False),
    (512, (16, 1, 1), (32, 2, 0), True),
    (16384, (2, 1, 0), (16, 2, 0), True),
]


@needs_lanes
@pytest.mark.parametrize(("bins", "one", "two", "conjugate"), PAIRS)
def test_two_channels(bins, one, two, conjugate):
    """The stages `begin` and `finish_pair`; the number of segments fills no whole batch."""
    rng = np.random.default_rng(bins + one[0])
    segments = 2 * LANES + 3 if bins > 1024 else 11 * LANES + 5  # past one flush of sums
    made = [
        make_input(rng, form, bins, segments, conjugate=conjugate, loss=lossy)
        for form, lossy in ((one, True), (two, False))
    ]
    inputs = [m.item for m in made]
    pairs = np.array([(1, 0), (0, 1), (1, 1), (0, 0)])
    assert lanes.serves(Work(inputs, bins, NO_PAIRS))
    expected = direct_products(made, bins, pairs)
    check(by_lanes(inputs, bins, pairs), expected)
    some = pairs[[2, 0]]
    np.testing.assert_array_equal(
        by_lanes(inputs, bins, some),
        by_lanes(inputs, bins, pairs)[[2, 0]],
    )
    check(by_scipy(inputs, bins, pairs), expected)


def test_part_of_wider_channels_with_a_phase_in_pieces():
    """Bins of a sub-band, of channels of other widths, and segments of pieces (the last short)."""
    rng = np.random.default_rng(3)
    made = [
        make_input(rng, (2, 1, 0), 48, 30, loss=True, samples=700, pieces=3),
        make_input(rng, (8, 2, 0), 48, 30, conjugate=True, samples=96),
    ]
    assert made[0].item.start.shape[0] * made[0].item.piece != 700
    inputs, pairs = [m.item for m in made], np.array([(0, 1), (0, 0), (1, 1)])
    assert not lanes.serves(Work(inputs, 48, NO_PAIRS))
    check(by_scipy(inputs, 48, pairs), direct_products(made, 48, pairs))
    # a power of two, but not all of the channel: the lanes' engine leaves it alone
    wide = make_input(rng, (2, 1, 0), 128, 30, samples=512).item
    assert not lanes.serves(Work([wide, wide], 128, NO_PAIRS))


TILES = [
    (128, [(2, 1, 0)], [(0, 0)]),
    (256, [(4, 1, 1)] * 3, [(2, 0), (0, 1), (1, 1), (2, 2), (1, 2)]),
    (512, [(2, 1, 0), (2, 2, 0)] * 2 + [(2, 1, 0)], [(4, 4), (0, 3), (3, 1), (1, 4), (2, 2)]),
    (1024, [(2, 1, 0)] * 6, [(i, j) for i in range(6) for j in range(i, 6)]),
]


@needs_lanes
@pytest.mark.parametrize(("bins", "forms", "pairs"), TILES)
def test_any_number_of_channels(bins, forms, pairs):
    """The stages `begin`, `finish_tile` and `multiply_block`, of one kind or two."""
    rng = np.random.default_rng(bins)
    segments = 9 * LANES - 1
    made = [
        make_input(rng, form, bins, segments, conjugate=bool(i & 1), loss=bool(i % 3))
        for i, form in enumerate(forms)
    ]
    inputs = [m.item for m in made]
    chosen = np.array(pairs)
    assert lanes.serves(Work(inputs, bins, NO_PAIRS))
    got = by_lanes(inputs, bins, chosen)
    check(got, direct_products(made, bins, chosen))
    check(by_scipy(inputs, bins, chosen), got, TWO_FLOAT32_ENGINES)
    for row, (i, j) in enumerate(pairs):
        if i == j:
            assert np.all(got[row].real > 0)
            assert np.max(np.abs(got[row].imag)) < TWO_FLOAT32_ENGINES * np.max(np.abs(got[row]))


@needs_lanes
@pytest.mark.parametrize("segments", [1, LANES - 1, LANES, LANES + 1])
def test_segments_that_fill_no_batch_and_segments_without_samples(segments):
    rng = np.random.default_rng(segments)
    made = [make_input(rng, (2, 1, 0), 128, segments) for _ in range(2)]
    inputs = [m.item for m in made]
    pairs = np.array([(0, 1), (0, 0)])
    found = by_lanes(inputs, 128, pairs)
    check(found, direct_products(made, 128, pairs))
    # beyond the samples of the last batch lies what the bits happen to be: nothing of it counts
    nothing = Stream(inputs[0].stream.data, (2, 1, 0), levels(2), np.zeros((0, 2), np.int64))
    empty = BandInput(
        **vars(inputs[0]) | {"stream": nothing, "valid": np.zeros(segments, dtype=np.int64)}
    )
    got = by_lanes([empty, inputs[1]], 128, np.array([(0, 1), (0, 0), (1, 1)]))
    assert np.all(got[:2] == 0)
    alone = by_lanes(inputs, 128, np.array([(1, 1)]))
    np.testing.assert_array_equal(got[2], alone[0])


@needs_lanes
@pytest.mark.parametrize("bits", [1, 2])
def test_levels_of_one_or_two_bits_need_not_be_even_and_codes_may_be_signed(bits):
    rng = np.random.default_rng(bits)
    made = make_input(rng, (bits, 1, 1), 128, 20, loss=True)
    pairs = np.array([(0, 0), (0, 1), (1, 1)])
    both = [made, make_input(rng, (2, 1, 0), 128, 20)]
    got = by_any([m.item for m in both], 128, pairs)
    check(got, direct_products(both, 128, pairs))


@needs_lanes
def test_the_sum_of_pieces_is_that_of_the_whole():
    rng = np.random.default_rng(4)
    made = [make_input(rng, (2, 1, 0), 128, 5 * LANES, loss=True) for _ in range(2)]
    inputs, pairs = [m.item for m in made], np.array([(0, 0), (0, 1), (1, 1)])
    cuts = [0, 7, 7 + LANES, 5 * LANES]
    parts = [by_lanes([cut(i, slice(a, b)) for i in inputs], 128, pairs) for a, b in pairwise(cuts)]
    check(sum(parts), by_lanes(inputs, 128, pairs), TWO_FLOAT32_ENGINES)


def test_what_the_lanes_do_not_serve_is_left_to_scipy():
    rng = np.random.default_rng(9)
    pairs = np.array([(0, 1), (2, 2), (2, 0)])
    three = [(2, 1, 0), (2, 2, 0), (8, 1, 0)]
    made = [make_input(rng, form, 128, 40, loss=True) for form in three]
    assert not lanes.serves(Work([m.item for m in made], 128, NO_PAIRS))  # three kinds
    check(by_any([m.item for m in made], 128, pairs), direct_products(made, 128, pairs))
    odd = [make_input(rng, (2, 1, 0), 150, 40) for _ in three]
    assert not lanes.serves(Work([m.item for m in odd], 150, NO_PAIRS))
    check(by_any([m.item for m in odd], 150, pairs), direct_products(odd, 150, pairs))
    bent = make_input(rng, (4, 1, 0), 128, 4).item
    stream = Stream(bent.stream.data, (4, 1, 0), levels(4) ** 3, bent.stream.runs)
    assert not lanes.serves(Work([BandInput(**vars(bent) | {"stream": stream})], 128, NO_PAIRS))


# -- tables and phasors ---------------------------------------------------------------------------


@pytest.mark.parametrize("bins", sorted(lanes.PLANS))
def test_plans_and_the_order_of_bins(bins):
    plan = lanes.plan_for(bins, 1)
    assert math.prod(plan) == 2 * bins
    assert math.prod(lanes.plan_for(bins, 2)) == bins
    assert plan[0] == 8
    order = lanes.bin_order(bins)
    np.testing.assert_array_equal(np.sort(order), np.arange(bins))
    # decimation in frequency, one radix after the other, in words of its definition
    if bins <= 1024:
        rows = np.arange(bins)[np.newaxis]  # bins of each block
        for radix in lanes.plan_for(bins, 2):
            rows = np.concatenate([[row[q::radix] for q in range(radix)] for row in rows])
        np.testing.assert_array_equal(rows.ravel()[order], np.arange(bins))


def test_twiddle_factors_make_a_transform():
    """The passes in numpy, with the table's factors: decimation in frequency."""
    plan = lanes.plan_for(128, 1)
    table = lanes.twiddle_table(plan)
    factors = table[0::2] + 1j * table[1::2]
    rng = np.random.default_rng(1)
    x = rng.standard_normal(256) + 1j * rng.standard_normal(256)
    blocks, at = x[np.newaxis], 0
    for radix in plan[:-1]:
        legs = blocks.shape[1] // radix
        y = np.fft.fft(blocks.reshape(-1, radix, legs), axis=1)
        turns = np.ones((radix, legs), dtype=complex)
        turns[1:] = factors[at : at + (radix - 1) * legs].reshape(legs, radix - 1).T
        at += (radix - 1) * legs
        blocks = (y * turns).reshape(-1, legs)
    assert at == len(factors)
    last = np.fft.fft(blocks, axis=1)[:, : plan[-1] // 2].ravel()
    check(last[lanes.bin_order(128)], np.fft.fft(x)[:128], 1e-6)


LEGS = 1024


@kernel()
def phasors_of_a_batch(batch, spin, groups):
    set_phasors(LEGS, batch, spin, groups)


RADICES = (8, 8, 4, 8)


@kernel()
def ramp_of(turn, steps):
    set_ramp(RADICES, turn, steps)


def elements(flat):
    parts = flat.reshape(-1, 2, LANES)
    return parts[:, 0] + 1j * parts[:, 1]


@needs_lanes
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_phasors_of_a_batch(scale):
    """`set_phasors`: a group's samples, one step, and the legs of the first butterfly."""
    rng = np.random.default_rng(3)
    batch = rng.uniform(-0.5, 0.5, (4, LANES))
    batch[0] = rng.uniform(-scale, scale, LANES)
    start, step = batch[:2]
    amplitude = batch[2] = (np.arange(LANES) % 3 > 0).astype(float)
    spin, groups = (aligned_zeros(n) for n in (5, LEGS // GROUP))
    phasors_of_a_batch(batch, spin, groups)
    turns = np.array([1.0, *(np.array([0.5, 1.5, 2.5, 3.5]) * LEGS)])
    np.testing.assert_allclose(
        elements(spin), np.exp(2j * np.pi * np.outer(turns, step)), atol=PHASOR, rtol=0
    )
    at = np.arange(LEGS // GROUP) * GROUP + 3.5 * LEGS
    np.testing.assert_allclose(
        elements(groups), amplitude * np.exp(2j * np.pi * (start % 1.0 + np.outer(at, step))),
        atol=PHASOR, rtol=0,
    )  # fmt: skip


@needs_lanes
def test_the_steps_of_a_ramp():
    turn = np.random.default_rng(4).uniform(-0.5, 0.5, LANES)
    steps = aligned_zeros(len(RADICES))
    ramp_of(turn, steps)
    weights = np.cumprod((1, *RADICES[:-1]))
    np.testing.assert_allclose(
        elements(steps), np.exp(2j * np.pi * np.outer(weights, turn)), atol=PHASOR, rtol=0
    )


def aligned_zeros(count):
    return lanes.aligned(count * ELEMENT, np.float32)


def emitted(change, count):
    """Compile what `change` makes of `count` terms: arrays (term, part, LANES) in and out."""

    @intrinsic
    def stage(typing, source, target):
        def emit(context, builder, signature, given):
            v = Vectors(context, builder)
            places = [v.array(signature.args[i], given[i]) for i in (0, 1)]
            at = v.index(0)
            terms = [
                Term(*(v.load(places[0], at, j * ELEMENT + c * LANES) for c in (0, 1)))
                for j in range(count)
            ]
            for q, term in enumerate(change(v, terms)):
                for c, value in enumerate(settled(v, term)):
                    v.store(value, places[1], at, q * ELEMENT + c * LANES)
            return context.get_dummy_value()

        return types.void(source, target), emit

    @numba.njit
    def run(source, target):
        stage(source, target)

    rng = np.random.default_rng(count)
    x = rng.standard_normal((count, LANES)) + 1j * rng.standard_normal((count, LANES))
    source, target = (lanes.aligned(count * ELEMENT, np.float32) for _ in range(2))
    source.reshape(count, 2, LANES)[:] = np.stack([x.real, x.imag], axis=1)
    run(source, target)
    found = target.reshape(count, 2, LANES)
    return x, found[:, 0] + 1j * found[:, 1]


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16])
def test_transforms_in_registers(count):
    x, found = emitted(transform, count)
    np.testing.assert_allclose(found, np.fft.fft(x, axis=0), atol=3e-6, rtol=0)


def test_turns_in_registers():
    x, found = emitted(lambda v, terms: [turned(v, x, 3 * k, 16) for k, x in enumerate(terms)], 16)
    wanted = x * np.exp(-2j * np.pi * 3 * np.arange(16) / 16)[:, np.newaxis]
    np.testing.assert_allclose(found, wanted, atol=1e-6, rtol=0)


# -- the plain kernels ----------------------------------------------------------------------------


@st.composite
def masks(draw):
    """Validity of two streams, their segments' samples, and where segments begin."""
    parts = [draw(st.sampled_from([1, 2])) for _ in range(2)]
    base, segments = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    sides = []
    for part in parts:
        samples = base * part
        length = samples * segments + draw(st.integers(0, 5))
        flips = draw(st.lists(st.integers(0, length), max_size=12))
        valid = np.zeros(length + 1, dtype=bool)
        for flip in flips:
            valid[flip:] ^= True
        valid = valid[:length] ^ draw(st.booleans())
        first = np.array(
            [draw(st.integers(0, length - samples)) for _ in range(segments)], dtype=np.int64
        )
        sides.append((samples, valid, first))
    return sides


@settings(max_examples=300, deadline=None)
@given(masks())
def test_samples_that_are_valid_at_both_ends(sides):
    made, exact = [], []
    for samples, valid, first in sides:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
        runs = edges.reshape(-1, 2).astype(np.int64)
        counts = np.empty(len(first), dtype=np.int64)
        _kernels.count_valid(runs, first, samples, counts)
        assert counts.tolist() == [int(valid[a : a + samples].sum()) for a in first]
        zeros = np.zeros(len(first))
        stream = Stream(np.zeros(PACKED_MARGIN, np.uint8), (2, 1, 0), levels(2), runs)
        flat = zeros[np.newaxis]
        made.append(BandInput(stream, False, samples, samples, first, flat, flat, zeros, counts))
        exact.append(np.array([valid[a : a + samples] for a in first]))
    pairs = np.array([(0, 1), (1, 0), (0, 0)])
    longest = max(made[0].samples, made[1].samples)
    fine = [np.repeat(mask, longest // mask.shape[1], axis=1) for mask in exact]
    wanted = [np.count_nonzero(fine[i] & fine[j]) / longest for i, j in pairs]
    np.testing.assert_allclose(
        count_pairs(Work(made, 0, pairs), whole(made)), wanted, rtol=1e-12, atol=1e-12
    )


def exactly(poly, offset):
    """Evaluate a piecewise polynomial at an exact number of seconds after its start."""
    piece, t = divmod(offset, Fraction(poly.interval))
    row = poly.coefficients[int(piece)]
    return sum(Fraction(float(c)) * t**power for power, c in enumerate(row))


def seconds_between(later, earlier):
    days = Fraction(int(later.day) - int(earlier.day)) * 86400
    return days + Fraction(float(later.second)) - Fraction(float(earlier.second))


def test_segments_are_placed_where_the_model_says(array_recording):
    """Also where a piece of the model ends inside a chunk, and clock pieces end elsewhere."""
    rate, bins = 8e6, 256
    rng = np.random.default_rng(6)
    ahead = START.shifted(-0.25)
    pieces = rng.uniform(-1, 1, (40, 6)) * [2e-2, 3e-6, 1e-8, 1e-9, 1e-9, 1e-9]
    delay = PiecewisePolynomial(ahead, 0.05, pieces)
    clock = PiecewisePolynomial(ahead.shifted(-1.0), 0.07, rng.uniform(-1, 1, (50, 2)) * 1e-6)
    model = DelayModel("s", "q", {"AA": StationDelay(delay, clock)})
    channel = Channel("CH0", 8.4e9, 1, rate)
    # half an integer second and a whole number of samples away
    begin = START.shifted(-3.0 + 5 / rate)
    recording = array_recording("AA", (channel,), begin, np.zeros((1, 8)))
    label = START.shifted(0.0123 + 17 / rate)
    plan = make_plan(
        [recording], model, bins=bins, start=label, stop=label.shifted(0.2), integration=0.2
    )
    # the pieces do not meet, so that chunks are cut there; steering does without
    chunk = Chunk((Part(0, 0, sum(c.segments for c in plan.chunks)),))
    steering = steer(plan, 0, chunk)
    used = set()
    for m in range(0, chunk.segments, 37):
        middle = Fraction(2 * bins * m + bins) / Fraction(rate)
        at = seconds_between(label, ahead) + middle
        used.add((int(at // Fraction(delay.interval)), int((at + 1) // Fraction(clock.interval))))
        total = exactly(delay, at) + exactly(clock, at + 1)
        reading = (seconds_between(label, begin) + total) * Fraction(rate) + 2 * bins * m
        # an epoch resolves 15 picoseconds
        assert abs(float(reading - (int(steering.first[m]) + Fraction(steering.rest[m])))) < 2e-4
        assert abs(steering.rest[m]) <= 0.5
        assert abs(steering.delay[0, m] - float(total)) < 2e-15
    assert len(used) >= 6  # pieces of both
    h = 1e-4
    for m in range(20, chunk.segments, 301):
        at = float(seconds_between(label, ahead)) + (2 * bins * m + bins) / rate
        if not h < at % 0.05 < 0.05 - h or not h < (at + 1) % 0.07 < 0.07 - h:
            continue
        for order, found in ((1, steering.rate[0, m]), (2, steering.acceleration[0, m])):
            wanted = delay.at_offset(at, order) + clock.at_offset(at + 1.0, order)
            assert found == pytest.approx(float(wanted), rel=1e-9, abs=1e-18)


# -- caches, and other machines -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["_fourier", "_vectors", "_lane_layout", "_lane_phasors", "_lane_front", "_lane_passes"],
)
def test_a_changed_emitter_changes_the_digest(tmp_path, name):
    """A kernel that was emitted by other code is never served from the cache."""
    copy = tmp_path / "kitestring"
    source = Path(kitestring.__file__).parent
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "data"))
    before = _jit.sources_digest(copy)
    path = copy / "correlate" / f"{name}.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nCHANGED = 1\n", encoding="utf-8")
    assert _jit.sources_digest(copy) != before


ELSEWHERE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import test_lanes
from kitestring.correlate import _lane_kernels, lanes
from kitestring.correlate._vectors import HOST_LANES, LANES
found = [test_lanes.on_this_machine(case) for case in range(len(test_lanes.CASES))]
np.savez(sys.argv[2], *found)
wide = False
if HOST_LANES:
    (bins, forms, _) = test_lanes.CASES[0]
    kinds = [(lanes.plan_for(bins, form[1]), form) for form in forms]
    engine = _lane_kernels.pair_engine(*kinds, lanes.PLANS[bins][-1] // 2)
    wide = any("%zmm" in text for text in engine.inspect_asm().values())
print(json.dumps([HOST_LANES, LANES, wide]))
"""
CASES = [
    (256, [(2, 1, 0), (4, 2, 0)], [(0, 0), (0, 1), (1, 1)]),
    (128, [(2, 1, 0)] * 3, [(0, 0), (0, 2), (1, 0), (2, 2)]),
]


def on_this_machine(case):
    """Return the sums of a case by the engine that serves on this machine."""
    bins, forms, pairs = CASES[case]
    rng = np.random.default_rng(case)
    made = [make_input(rng, form, bins, 53, loss=True) for form in forms]
    return by_any([m.item for m in made], bins, np.array(pairs))


def cpu_features():
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return set()
    return set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())


@pytest.mark.skipif(not {"avx2", "fma"} <= cpu_features(), reason="compiles for AVX2")
@pytest.mark.parametrize(("name", "wanted"), [("haswell", 8), ("nehalem", 0)])
def test_without_wide_vectors_the_answer_is_the_same(tmp_path, name, wanted):
    """AVX2 alone takes 8 lanes, older machines take scipy; nothing is emitted that they lack."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(Path(__file__).parent), str(tmp_path / "x.npz")],
        env=os.environ
        | {
            "NUMBA_CPU_NAME": name,
            "NUMBA_CPU_FEATURES": "",
            "KITESTRING_CACHE_DIR": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [wanted, 8, False]
    with np.load(tmp_path / "x.npz") as saved:
        for case, found in enumerate(saved.values()):
            check(found, on_this_machine(case), TWO_FLOAT32_ENGINES)
