"""The FX engine against signals whose answer is known and a plain float64 correlator."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest

from kitestring.correlate import steering
from kitestring.correlate.compare import rows_of
from kitestring.correlate.engine import correlate, keep_memory
from kitestring.correlate.plan import SUMS_BYTES, ChunkSums, make_plan
from kitestring.errors import ConfigurationError, RecordingWarning, SpanError
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import EPOCH_QUANTUM, Epoch
from kitestring.recordings.types import Channel
from kitestring.simulate import signals

START = Epoch.from_iso("2026-03-01T10:00:00")
RATE = 8e6
# delay (s), rate, acceleration ... of stations turning with the Earth
EARTH = {
    "AA": [0.0123456789, 1.3e-6, -3.1e-11, -1e-15],
    "BB": [-0.0098765432, -0.9e-6, 4.4e-11, 2e-15],
    "CC": [0.0203040506, 0.4e-6, 1.2e-11, 1e-15],
}
FLOAT32_ENGINE = 1e-5  # of the largest visibility: float32 samples, phasors and FFT


def channel(kind, sky=8.4e9, name="CH00", pol="X"):
    """USB, LSB: real; edge, middle: complex, upper; edge-, middle-: complex, lower."""
    if kind in ("usb", "lsb"):
        return Channel(name, sky, 1 if kind == "usb" else -1, RATE, polarization=pol)
    zero = kind.rstrip("-")
    return Channel(name, sky, -1 if kind.endswith("-") else 1, RATE, True, pol, zero)


KINDS = ["usb", "lsb", "edge", "edge-", "middle", "middle-"]


def noise(channel_, count, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, count))
    if channel_.complex:
        x = x + 1j * rng.standard_normal((1, count))
    return x


def direct_fx(recordings, totals, ch, bins, label, segments):
    """A plain float64 FX correlator of one channel: sums of X1 conj(X2) by station pair."""
    n = bins if ch.complex else 2 * bins
    low, high = ch.sky_edges
    centre = (low + high) / 2 - ch.sky_frequency
    index = np.arange(bins) - (bins // 2 if ch.zero == "middle" else 0)
    names = list(recordings)
    sums = {(a, b): 0 for i, a in enumerate(names) for b in names[i:]}
    k = np.arange(n)
    for m in range(segments):
        spectra = {}
        for name in names:
            poly = np.polynomial.Polynomial(totals[name])
            middle = label + (m * n + n / 2) / RATE
            reading = label + m * n / RATE + poly(middle)
            first = int(np.rint(reading * RATE))
            # the labels that the samples taken belong to
            labels = middle + (k - n / 2) / RATE
            rest = reading * RATE - first
            stretch = poly(labels) - poly(middle)
            turn = ch.sky_frequency * poly(labels - rest / RATE - stretch) + centre * stretch
            x = recordings[name].read(first, n).samples[0].astype(complex)
            z = np.fft.fft(x * np.exp(2j * np.pi * ch.direction * (turn % 1.0)))
            z = z[index % n] * np.exp(2j * np.pi * index * rest / n)
            spectra[name] = z if ch.direction == 1 else z.conj()[::-1]
        for a, b in sums:
            sums[a, b] = sums[a, b] + spectra[a] * spectra[b].conj()
    gain = (1 if ch.complex else 2) / (n * n * segments)
    return {pair: s * gain for pair, s in sums.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_engine_agrees_with_a_plain_float64_correlator(array_recording, make_model, kind):
    bins, segments, label = 64, 90, 0.25
    ch = channel(kind)
    lead = 0.25 - 0.012  # the earliest reading wanted is 0.25 - 0.0099 s
    count = int(0.045 * RATE)
    common = noise(ch, count, 1)
    recordings = {}
    for seed, name in enumerate(EARTH, 2):
        samples = common + noise(ch, count, seed)
        recordings[name] = array_recording(name, (ch,), START.shifted(lead), samples)
    segment = bins / ch.bandwidth
    vis = correlate(
        list(recordings.values()),
        make_model(EARTH, START, 10.0),
        bins=bins,
        start=START.shifted(label),
        stop=START.shifted(label + segments * segment),
        integration=1.0,
    )
    # the plain correlator counts readings from the start of its recordings
    shifted = {}
    for name, t in EARTH.items():
        moved = np.polynomial.Polynomial(t)(np.polynomial.Polynomial([lead, 1.0]))
        shifted[name] = moved.coef
    expected = direct_fx(recordings, shifted, ch, bins, label - lead, segments)
    got = vis.channels[0].data[0, :, :, 0]
    for b, pair in enumerate(vis.baselines):
        wanted = expected[pair]
        assert np.max(np.abs(got[b] - wanted)) < FLOAT32_ENGINE * np.max(np.abs(wanted)), pair
    assert vis.integration[0] == pytest.approx(segments * segment, rel=1e-12)
    middle = vis.epoch[0].since(START)
    assert middle == pytest.approx(label + segments * segment / 2, abs=2e-11)  # one Epoch step
    assert np.all(vis.channels[0].weight == 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_falls_in_the_bin_of_its_sky_frequency(array_recording, make_model, waves, kind):
    bins = 32
    ch = channel(kind)
    low, high = ch.sky_edges
    still = {"AA": [0.0]}
    for fraction in (0.2, 0.8):
        sky = low + np.round(fraction * bins) / bins * (high - low)
        samples = waves(ch, [0.0], [sky], [1.0], 4000)[None]
        recording = array_recording("AA", (ch,), START, samples)
        vis = correlate(
            [recording], make_model(still, START, 1.0), bins=bins, start=START,
            stop=START.shifted(4e-4), integration=1.0,
        )  # fmt: skip
        power = vis.channels[0].data[0, 0, :, 0].real
        frequency = vis.channels[0].frequency
        assert np.all(np.diff(frequency) > 0)
        assert low - 1e-3 <= frequency[0] < frequency[-1] <= high + 1e-3
        assert frequency[np.argmax(power)] == pytest.approx(sky, abs=1e-3)
        # the sum over bins is the mean power of the samples
        assert power.sum() == pytest.approx(np.mean(np.abs(samples[0, :3200]) ** 2), rel=1e-3)


def broad(ch, rng, lines=150):
    low, high = ch.sky_edges
    f = rng.uniform(low + 0.05 * (high - low), high - 0.05 * (high - low), lines)
    return f, rng.standard_normal(lines) + 1j * rng.standard_normal(lines)


@pytest.mark.parametrize(
    ("kind1", "kind2"),
    [(k, k) for k in KINDS] + [("usb", "lsb"), ("usb", "middle"), ("lsb", "edge-")],
)
def test_a_common_signal_gives_back_the_delay_left_over(
    array_recording, make_model, waves, kind1, kind2
):
    """Phase +2 pi f (tau2 - tau1) of what the model lacks, at every bin, without any unknown."""
    bins = 128
    sky = 8.4e9
    pair = []
    for kind in (kind1, kind2):
        # all cover 8.4 to 8.404 GHz where mixed
        width = RATE / 2 if kind in ("usb", "lsb") else RATE
        if kind1 == kind2:
            pair.append(channel(kind, sky))
        elif kind == "lsb":
            pair.append(channel(kind, sky + width))
        elif kind == "usb":
            pair.append(channel(kind, sky))
        else:
            top = sky + RATE / 2 if kind.endswith("-") else sky + RATE / 4
            pair.append(
                Channel(
                    "CH00",
                    top,
                    -1 if kind.endswith("-") else 1,
                    RATE / 2,
                    True,
                    "X",
                    kind.rstrip("-"),
                )
            )
    rng = np.random.default_rng(5)
    lines, amplitudes = broad(pair[0], rng)
    left = {"AA": 11e-9, "BB": -23e-9}  # 34 ns earlier at BB than at AA, beyond the model
    recordings = []
    for name, ch in zip(left, pair, strict=True):
        total = [EARTH[name][0] + left[name], *EARTH[name][1:]]
        lead = 0.02 + EARTH[name][0] - 1e-4
        count = int(0.0045 * ch.sample_rate)
        samples = waves(ch, total, lines, amplitudes, count, first_reading=lead)[None]
        recordings.append(array_recording(name, (ch,), START.shifted(lead), samples))
    vis = correlate(
        recordings, make_model({n: EARTH[n] for n in left}, START, 1.0), bins=bins,
        start=START.shifted(0.02), stop=START.shifted(0.024), integration=1.0,
    )  # fmt: skip
    data = vis.channels[0].data[0, :, :, 0]
    f = vis.channels[0].frequency
    tau = left["BB"] - left["AA"]
    cross = data[vis.baselines.index(("AA", "BB"))]
    autos = data[0].real.sum(), data[2].real.sum()
    expected = np.exp(2j * np.pi * ((f * tau) % 1.0))
    good = np.abs(cross) > 0.02 * np.abs(cross).max()
    coherence = np.sum(cross * expected.conj()) / np.sqrt(autos[0] * autos[1])
    # 34 ns of a segment of 16 microseconds (complex) hold other samples, 0.2 %; what leaks
    # round the edge of the band has another phase and costs a little more
    assert abs(coherence) > 0.99
    assert abs(np.angle(coherence)) < 2e-3  # rad: 0.04 ps at 8.4 GHz
    # a line at a band's edge leaks into its mirror image where samples are real
    assert np.median(np.abs(np.angle(cross[good] * expected[good].conj()))) < 0.05


PAIR = ("AA", "BB")
LEFT = {"AA": 11e-9, "BB": -23e-9, "CC": 5e-9}  # s, beyond the model


def unlike(array_recording, waves, lines, amplitudes, seconds, delays=EARTH):
    """Record one sky signal in channels of 4, 16 and 8 MHz whose zeros lie megahertz apart."""
    kinds = {
        "AA": Channel("CH00", 8.4e9, 1, RATE, polarization="X"),
        "BB": Channel("WIDE", 8.401e9 + 125.0, 1, 16e6, True, "X", "middle"),
        "CC": Channel("LOW", 8.407e9, -1, 2 * RATE, polarization="X"),
    }
    recordings = []
    for name, ch in kinds.items():
        lead = 0.02 + delays[name][0] - 1e-4
        samples = waves(
            ch, [delays[name][0] + LEFT[name], *delays[name][1:]], lines, amplitudes,
            int(seconds * ch.sample_rate), first_reading=lead,
        )  # fmt: skip
        recordings.append(array_recording(name, (ch,), START.shifted(lead), samples[None]))
    return recordings


def check_left_over(vis, pairs, channel_=0, tolerance=2e-3):
    """Check that cross phases are those of the delays that the model lacks."""
    f = vis.channels[channel_].frequency
    for one, two in pairs:
        cross = vis.channels[channel_].data[:, vis.baselines.index((one, two)), :, 0]
        expected = np.exp(2j * np.pi * ((f * (LEFT[two] - LEFT[one])) % 1.0))
        power = [
            vis.channels[channel_].data[:, vis.baselines.index((s, s)), :, 0].real.sum(axis=1)
            for s in (one, two)
        ]
        coherence = (cross * expected.conj()).sum(axis=1) / np.sqrt(power[0] * power[1])
        assert np.all(np.abs(coherence) > 0.985), (one, two, coherence)
        assert np.all(np.abs(np.angle(coherence)) < tolerance), (one, two, coherence)


@pytest.mark.parametrize("bins", [128, 75])
def test_wider_channels_match_narrower_ones(array_recording, make_model, waves, bins):
    """Rates 1 : 2 : 2, zeros apart, odd numbers of bins, a label on nobody's grid of samples."""
    rng = np.random.default_rng(2)
    lines, amplitudes = broad(channel("usb"), rng, 60)
    recordings = unlike(array_recording, waves, lines, amplitudes, 0.0045)
    label = START.shifted(0.02003 + 1 / 2**18)
    vis = correlate(
        recordings, make_model({n: EARTH[n] for n in LEFT}, START, 1.0), bins=bins,
        start=label, stop=label.shifted(0.004), integration=0.0011,
    )  # fmt: skip
    assert [c.name for c in vis.channels] == ["WIDE", "LOW", "CH00"]
    assert [len(c.frequency) for c in vis.channels] == [4 * bins, 2 * bins, bins]
    check_left_over(vis, [("AA", "BB"), ("AA", "CC")], 2)
    check_left_over(vis, [("BB", "CC")], 1)
    # each product is formed once: of two wider channels none in the narrow band
    assert np.all(np.isnan(vis.channels[2].data[:, vis.baselines.index(("BB", "CC"))]))
    # autocorrelations are there wherever a cross product wants them
    assert [(c.weight[0, :, 0] > 0).tolist() for c in vis.channels] == [
        [False, False, False, True, False, False],
        [False, False, False, True, True, True],
        [True, True, True, True, False, True],
    ]


def test_zoom_bands_at_their_own_resolution(array_recording, make_model, waves):
    """Segments of 50 ms, in which the phase of a station that moves like a satellite bends."""
    low, width = 8.4012e9, 20e3
    lines = low + width * np.array([0.123, 0.31, 0.5004, 0.77])
    amplitudes = np.array([1.0, 2.0, 1.5j, -1.0])
    label, bent = START.shifted(0.0201), {n: [*t[:2], 300 * t[2], t[3]] for n, t in EARTH.items()}
    recordings = unlike(array_recording, waves, lines, amplitudes, 0.26, bent)
    vis = correlate(
        recordings, make_model(bent, START, 1.0), bins=1000, start=label,
        stop=label.shifted(0.25), integration=0.1, zoom=[(low, low + width)],
    )  # fmt: skip
    (found,) = vis.channels
    assert found.frequency[0] == low
    assert found.frequency[1] - low == pytest.approx(20.0, abs=1e-5)
    assert vis.integration.tolist() == pytest.approx([0.1, 0.1, 0.05])
    check_left_over(vis, [("AA", "BB"), ("AA", "CC"), ("BB", "CC")])
    power = found.data[0, 0, :, 0].real
    for line, amplitude in zip(lines, amplitudes, strict=True):
        near = np.abs(found.frequency - line) < 200.0
        peak = found.frequency[near][np.argmax(power[near])]
        assert abs(peak - line) <= 10.1  # Hz: the nearest bin
        assert power[near].sum() == pytest.approx(abs(amplitude) ** 2 / 2, rel=0.05)


def test_a_zoom_band_that_nobody_recorded(array_recording, make_model):
    ch = channel("usb")
    recording = array_recording("AA", (ch,), START, noise(ch, 4000, 1))
    model = make_model({"AA": [0.0]}, START, 1.0)
    grid = {"bins": 16, "start": START, "stop": START.shifted(4e-4), "integration": 1.0}
    with pytest.raises(ConfigurationError, match=r"8403\.000000 to 8405\.000000 MHz") as caught:
        correlate([recording], model, zoom=[(8.403e9, 8.405e9)], **grid)
    assert "AA CH00 (8400.000000 to 8404.000000 MHz, X)" in caught.value.next_step
    with pytest.raises(ConfigurationError, match="is none"):
        correlate([recording], model, zoom=[(8.403e9, 8.403e9)], **grid)
    with pytest.raises(ConfigurationError, match="do not fit"):
        correlate([recording], model, zoom=[(8.403e9, 8.403e9 + 0.1)], **grid)


def test_channels_that_nothing_tells_apart(array_recording, make_model):
    two = (channel("usb", name="CH00"), channel("lsb", 8.404e9, "CH01"))
    recording = array_recording("AA", two, START, np.vstack([noise(c, 4000, 1) for c in two]))
    with pytest.raises(ConfigurationError, match="two channels, CH00 and CH01, of 8400"):
        correlate(
            [recording], make_model({"AA": [0.0]}, START, 1.0), bins=16, start=START,
            stop=START.shifted(4e-4), integration=1.0,
        )  # fmt: skip


def test_a_clock_is_followed_in_samples_and_in_phase(array_recording, make_model, waves):
    """Delay and clock act alike: one half of the total given as clock changes nothing."""
    ch = channel("usb")
    rng = np.random.default_rng(3)
    lines, amplitudes = broad(ch, rng)
    total = EARTH["AA"]
    samples = waves(ch, total, lines, amplitudes, 30000, first_reading=0.03)[None]
    recording = array_recording("AA", (ch,), START.shifted(0.03), samples)
    other = array_recording("BB", (ch,), START, noise(ch, 300000, 1))
    half = [c / 2 for c in total]
    grids = {
        "bins": 32, "start": START.shifted(0.0185), "stop": START.shifted(0.02), "integration": 1.0,
        "baselines": [("AA", "BB")],
    }  # fmt: skip
    one = correlate([recording, other], make_model({"AA": total, "BB": [0.0]}, START, 1.0), **grids)
    two = correlate(
        [recording, other],
        make_model({"AA": half, "BB": [0.0]}, START, 1.0, {"AA": half}),
        **grids,
    )
    assert np.any(one.channels[0].data != 0)
    scale = np.abs(one.channels[0].data).max()
    np.testing.assert_allclose(
        one.channels[0].data, two.channels[0].data, atol=1e-6 * scale, rtol=0
    )


@pytest.mark.parametrize("bins", [32, 128])
def test_a_clock_that_jumps_within_a_scan(array_recording, waves, bins):
    """The segment that it jumps in is lost, by its weight; the others are what they would be."""
    ch = channel("usb")
    lines, amplitudes = broad(ch, np.random.default_rng(3))
    jump, offset, lead = 0.0217777, 3e-6, 0.02
    begin = START.shifted(jump - 100.0)
    clock = PiecewisePolynomial(begin, 100.0, np.array([[0.0, 0.0], [offset, 1e-9]]))
    still = PiecewisePolynomial(START, 1.0, np.array([[1e-4, 1e-6]]))
    steady = PiecewisePolynomial(START, 1.0, np.zeros((1, 1)))
    model = DelayModel(
        "scan1", "q", {"AA": StationDelay(still, clock), "BB": StationDelay(still, steady)}
    )
    count = int(0.005 * RATE)
    # the label that a sample belongs to tells whether it was taken before or after
    before = waves(ch, [1e-4, 1e-6], lines, amplitudes, count, first_reading=lead)
    after = waves(
        ch, [1e-4 + offset - 1e-9 * jump, 1e-6 + 1e-9], lines, amplitudes, count,
        first_reading=lead,
    )  # fmt: skip
    jumped = np.arange(count) / RATE + lead >= jump + 1e-4 + 1e-6 * jump + offset
    recordings = [
        array_recording("AA", (ch,), START.shifted(lead), np.where(jumped, after, before)[None]),
        array_recording("BB", (ch,), START.shifted(lead), before[None]),
    ]
    segment = 2 * bins / RATE
    vis = correlate(
        recordings, model, bins=bins, start=START.shifted(0.0202), stop=START.shifted(0.0242),
        integration=segment,
    )  # fmt: skip
    weight = vis.channels[0].weight[:, :, 0]
    lost = np.flatnonzero(weight[:, vis.baselines.index(PAIR)] == 0)
    assert lost.tolist() == [int((jump - 0.0202) / segment)]
    assert np.all(np.delete(weight, lost, axis=0) == 1.0)
    np.testing.assert_array_equal(vis.channels[0].data[lost, 1], 0.0)
    power = np.delete(vis.channels[0].data[..., 0].sum(axis=2), [*lost, *lost + 1, *lost - 1], 0)
    one, cross, two = (power[:, vis.baselines.index(p)] for p in (("AA",) * 2, PAIR, ("BB",) * 2))
    coherence = cross / np.sqrt(one.real * two.real)
    assert np.all(np.abs(np.angle(coherence)) < 0.02)  # lines leak, each segment by itself
    assert np.all(np.abs(coherence) > 0.97)


def test_chunks_end_where_a_clock_jumps(array_recording):
    """Else one of them would read all that lies between, forty seconds here."""
    ch = channel("usb")
    zero = PiecewisePolynomial(START.shifted(-1.0), 100.0, np.zeros((1, 1)))
    jumps = {"AA": (1.2345, 40.0), "BB": (2.5, -3.0)}  # the second on a segment's edge
    model = DelayModel("scan1", "q", {
        name: StationDelay(
            zero,
            PiecewisePolynomial(START.shifted(at - 90.0), 90.0, np.array([[0.0], [size]])),
        )
        for name, (at, size) in jumps.items()
    })  # fmt: skip
    recordings = [array_recording(n, (ch,), START, np.zeros((1, 8))) for n in jumps]
    plan = make_plan(
        recordings, model, bins=125, start=START, stop=START.shifted(4.0), integration=0.4
    )
    parts = [part for chunk in plan.chunks for part in chunk.parts]
    segments = round(4.0 * RATE / 250)
    assert parts[0].first == 0
    assert [p.first + p.segments for p in parts] == [*(p.first for p in parts[1:]), segments]
    assert max(p.integration for p in parts) == 9
    for chunk in plan.chunks:
        for s in (0, 1):
            first = steering.steer(plan, s, chunk).first
            assert np.ptp(first) == 250 * (chunk.segments - 1)
    # nothing is cut where nothing jumps
    still = DelayModel("scan1", "q", {n: StationDelay(zero, zero) for n in jumps})
    whole = make_plan(
        recordings, still, bins=125, start=START, stop=START.shifted(4.0), integration=0.4
    )
    assert len(whole.chunks) < len(plan.chunks)


def test_a_zoom_band_tells_of_its_own_stations_alone(array_recording, make_model):
    """Not of the many channels that have nothing to do with it."""

    def station(name, *skies):
        channels = tuple(channel("usb", sky, f"CH{k}") for k, sky in enumerate(skies))
        samples = np.vstack([noise(c, 4000, k) for k, c in enumerate(channels)])
        return array_recording(name, channels, START, samples)

    recordings = [
        station("AA", 8.4e9, 8.5e9), station("BB", 8.4e9, 8.6e9), station("CC", 8.4015e9, 8.7e9),
    ]  # fmt: skip
    model = make_model({n: [0.0] for n in ("AA", "BB", "CC")}, START, 1.0)
    grid = {"bins": 16, "start": START, "stop": START.shifted(4e-4), "integration": 1.0}
    with pytest.warns(RecordingWarning) as told:
        vis = correlate(recordings, model, zoom=[(8.401e9, 8.402e9)], **grid)
    (warning,) = told
    assert str(warning.message).endswith(
        "for 1 channels: CC zoom at 8401.500000 MHz (no channel contains it)."
    )
    assert np.isnan(vis.channels[0].data[0, vis.baselines.index(("AA", "CC"))]).all()
    twice = array_recording(
        "DD", (channel("usb", name="CH0"), channel("usb", name="CH1")), START,
        np.vstack([noise(channel("usb"), 4000, k) for k in (1, 2)]),
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match="two channels, CH0 and CH1"):
        correlate([twice], make_model({"DD": [0.0]}, START, 1.0), zoom=[(8.401e9, 8.402e9)], **grid)


def test_the_same_recording_twice_has_no_delay(array_recording, make_model):
    ch = channel("usb")
    samples = noise(ch, 40000, 7)
    recordings = [array_recording(n, (ch,), START, samples) for n in ("AA", "BB")]
    model = make_model({"AA": EARTH["BB"], "BB": EARTH["BB"]}, START, 1.0)
    vis = correlate(
        recordings, model, bins=64, start=START.shifted(0.0105), stop=START.shifted(0.014),
        integration=0.99e-3,
    )  # fmt: skip
    auto, cross = vis.channels[0].data[:, 0], vis.channels[0].data[:, 1]
    np.testing.assert_array_equal(auto.imag, 0)
    np.testing.assert_allclose(cross, auto, rtol=1e-6)
    assert len(vis.epoch) == 4  # three whole ones and a rest
    # 0.99 ms is 61.875 segments of 16 microseconds: 62 are integrated
    np.testing.assert_allclose(vis.integration[:3], 62 * 16e-6, rtol=1e-12)
    np.testing.assert_allclose(vis.integration[3], (218 - 3 * 62) * 16e-6, rtol=1e-12)
    begins = np.concatenate([[0], np.cumsum(vis.integration)[:-1]])
    np.testing.assert_allclose(
        vis.epoch.since(START), 0.0105 + begins + vis.integration / 2, atol=3e-11, rtol=0
    )


def test_lost_samples_lower_the_weight_and_nothing_else(array_recording, make_model):
    """Half of the samples lost in odd stretches: weights exact, power and coherence unbiased."""
    ch = channel("usb")
    bins, segments = 32, 3000
    count = 2 * bins * segments
    common = noise(ch, count, 11)
    rng = np.random.default_rng(12)
    recordings, valid = [], []
    for name, seed in (("AA", 13), ("BB", 14)):
        mask = np.repeat(rng.random(count // 37 + 1) > 0.3, 37)[None, :count]
        samples = common + noise(ch, count, seed)
        recordings.append(array_recording(name, (ch,), START, samples, mask))
        valid.append(mask[0])
    model = make_model({"AA": [0.0], "BB": [0.0]}, START, 1.0)
    vis = correlate(
        recordings, model, bins=bins, start=START,
        stop=START.shifted(segments * 2 * bins / RATE), integration=1.0,
    )  # fmt: skip
    both = [valid[0].mean(), (valid[0] & valid[1]).mean(), valid[1].mean()]
    np.testing.assert_allclose(vis.channels[0].weight[0, :, 0], both, rtol=1e-12)
    power = vis.channels[0].data[0, :, :, 0].sum(axis=1)
    # variances 2, 1 (common) and 2; 96,000 samples or so: 4 sigma of the mean of squares
    n = count * both[1]
    np.testing.assert_allclose(power[[0, 2]].real, 2.0, atol=4 * 2 * np.sqrt(2 / n) + 0.02)
    np.testing.assert_allclose(power[1], 1.0, atol=4 * np.sqrt(5 / n) + 0.02)


def test_one_quantum_of_epochs_for_all():
    assert np.spacing(86400.0) < EPOCH_QUANTUM < 2 * np.spacing(86400.0)
    assert {steering.EPOCH_QUANTUM, signals.EPOCH_QUANTUM} == {EPOCH_QUANTUM}
    assert not hasattr(signals, "_TICK")


def test_a_polarisation_that_is_lost_alone_lowers_its_own_weight(array_recording, make_model):
    """VDIF threads are lost one by one: station AA has no X from the middle on."""
    chs = (channel("usb", pol="X"), channel("usb", name="CH01", pol="Y"))
    segments, bins = 200, 32
    count = 2 * bins * segments
    valid = np.ones((2, count), dtype=bool)
    valid[0, count // 2 :] = False
    samples = np.vstack([noise(c, count, 3 + i) for i, c in enumerate(chs)])
    recordings = [
        array_recording("AA", chs, START, samples, valid),
        array_recording("BB", chs, START, samples),
    ]
    model = make_model({"AA": [0.0], "BB": [0.0]}, START, 1.0)
    span = count / RATE
    vis = correlate(
        recordings, model, bins=bins, start=START, stop=START.shifted(span),
        integration=span / 2, products="all",
    )  # fmt: skip
    (ch,) = vis.channels
    assert ch.products == ("XX", "XY", "YX", "YY")
    assert ch.weight[:, 1].tolist() == [[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]
    # the mean of XX is that of the half that is there; samples have variance 1
    rows = rows_of(vis)
    low = float(ch.frequency[0])
    xx, yy = rows[low, "AA", "BB", "XX"], rows[low, "AA", "BB", "YY"]
    np.testing.assert_allclose(xx, ch.data[0, 1, :, 0], rtol=1e-6)
    np.testing.assert_allclose(yy, ch.data[:, 1, :, 3].mean(axis=0), rtol=1e-6)
    assert xx.sum().real == pytest.approx(1.0, abs=5 * np.sqrt(2 / (count / 2)))


def test_sums_of_finished_integrations_are_not_kept(array_recording, make_model):
    """In double precision they would be twice the visibilities, and their scaled copy again."""
    ch = channel("edge")
    recording = array_recording("AA", (ch,), START, noise(ch, 8, 1))
    bins, integrations = 2048, 4000

    def engine(plan, chunk):
        sums = [np.full((1, bins), p.segments * (3.0 + p.integration)) for p in chunk.parts]
        counts = [[float(p.segments)] for p in chunk.parts]
        return ChunkSums((np.array(sums, dtype=complex),), (np.array(counts),))

    keep_memory()  # counts for tracemalloc, takes none of the machine
    tracemalloc.start()
    try:
        vis = correlate(
            [recording], make_model({"AA": [0.0]}, START, 1.0), bins=bins, start=START,
            stop=START.shifted(integrations * bins / RATE), integration=bins / RATE,
            engine=engine, threads=1,
        )  # fmt: skip
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    data = vis.channels[0].data
    expected = (3.0 + np.arange(integrations)) / bins**2
    np.testing.assert_allclose(data[:, 0, :, 0], np.repeat(expected[:, None], bins, 1), rtol=1e-6)
    # beside them: a chunk's sums, those of the one before, and what the engine makes them from
    assert peak < data.nbytes + 4 * SUMS_BYTES


def test_labels_before_and_after_a_recording_have_no_weight(array_recording, make_model):
    ch = channel("edge")
    recordings = [array_recording(n, (ch,), START, noise(ch, 8000, 1)) for n in ("AA", "BB")]
    model = make_model({"AA": [0.0], "BB": [0.0]}, START.shifted(-1.0), 3.0)
    vis = correlate(
        recordings, model, bins=100, start=START.shifted(-5e-4), stop=START.shifted(1.5e-3),
        integration=5e-4,
    )  # fmt: skip
    assert vis.channels[0].weight[:, 1, 0].tolist() == [0.0, 1.0, 1.0, 0.0]
    assert np.all(vis.channels[0].data[[0, 3]] == 0)
    assert np.all(np.isfinite(vis.channels[0].data))


def test_threads_change_no_byte(array_recording, make_model, monkeypatch):
    import kitestring.correlate.plan as plan

    monkeypatch.setattr(plan, "CHUNK_SAMPLES", 50_000)
    chs = (channel("usb"), channel("lsb", 8.42e9, "CH01"))
    recordings = [
        array_recording(
            n, chs, START, np.vstack([noise(c, 200_000, s + i) for i, c in enumerate(chs)])
        )
        for s, n in enumerate(EARTH)
    ]
    seen = []
    results = [
        correlate(
            recordings,
            make_model(EARTH, START, 1.0),
            bins=128,
            start=START.shifted(0.002),
            stop=START.shifted(0.02),
            integration=0.006,
            threads=threads,
            progress=lambda done, total: seen.append((done, total)),
        )
        for threads in (1, 2, 5)
    ]
    assert len(seen) > 3 * 6
    assert seen[-1][0] == seen[-1][1]
    for other in results[1:]:
        for a, b in zip(results[0].channels, other.channels, strict=True):
            assert a.data.tobytes() == b.data.tobytes()
            assert a.weight.tobytes() == b.weight.tobytes()


def test_polarisation_products_and_channels_without_counterpart(array_recording, make_model):
    usb = (channel("usb", pol="X"), channel("usb", name="CH01", pol="Y"))
    more = (*usb, channel("usb", 8.5e9, "CH02"))
    one = array_recording("AA", usb, START, np.vstack([noise(c, 4000, 1) for c in usb]))
    two = array_recording("BB", more, START, np.vstack([noise(c, 4000, 2) for c in more]))
    model = make_model({"AA": [0.0], "BB": [0.0]}, START, 1.0)
    grid = {"bins": 16, "start": START, "stop": START.shifted(4e-4), "integration": 1.0}
    with pytest.warns(RecordingWarning, match=r"BB CH02 \(8500\.000000 to 8504\.000000 MHz, X\)"):
        vis = correlate([one, two], model, **grid)
    assert [c.products for c in vis.channels] == [("XX", "YY"), ("XX",)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        vis = correlate([one, two], model, products="all", **grid)
    assert vis.channels[0].products == ("XX", "XY", "YX", "YY")
    auto = vis.channels[0].data[0, 0]
    np.testing.assert_allclose(auto[:, 1], auto[:, 2].conj(), rtol=1e-6, atol=1e-9)
    # AA has no channel at 8.5 GHz
    assert np.all(np.isnan(vis.channels[1].data[0, 0]))
    assert vis.channels[1].weight[0, :, 0].tolist() == [0.0, 0.0, 1.0]


def test_what_cannot_be_done_is_said(array_recording, make_model):
    ch = channel("usb")
    recording = array_recording("AA", (ch,), START, noise(ch, 4000, 1))
    model = make_model({"AA": [0.0]}, START, 1.0)
    grid = {"bins": 16, "start": START, "stop": START.shifted(4e-4), "integration": 1.0}
    with pytest.raises(ConfigurationError, match="no station 'AA'"):
        correlate([recording], make_model({"BB": [0.0]}, START, 1.0), **grid)
    with pytest.raises(ConfigurationError, match="Two recordings"):
        correlate([recording, recording], model, **grid)
    with pytest.raises(ConfigurationError, match="no whole segment"):
        correlate([recording], model, **(grid | {"stop": START}))
    with pytest.raises(ConfigurationError, match="shorter than half a segment"):
        correlate([recording], model, **(grid | {"integration": 1e-7}))
    with pytest.raises(SpanError, match="outside the delay model"):
        correlate([recording], make_model({"AA": [0.0]}, START, 1e-4), **grid)
