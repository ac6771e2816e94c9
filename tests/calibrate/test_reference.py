"""Delta-DOR from phases that are made here from hidden delays, clocks and oscillators."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2, norm

from kitestring.calibrate._design import _tone_band
from kitestring.calibrate.reference import APriori, delta_dor
from kitestring.errors import (
    ConfigurationError,
    EstimationError,
    KitestringWarning,
    MissingDataError,
)
from kitestring.fringe.types import FringeSolution, ToneSolution
from kitestring.model.constants import C
from kitestring.model.observable import Kind
from kitestring.model.polynomials import DelayModel, PiecewisePolynomial, StationDelay
from kitestring.model.time import Epoch

START = Epoch.from_iso("2026-01-01T00:00:00")
STATIONS = ("Tm", "Km", "Ur", "My")
CARRIER = 8.42e9
OFFSETS = np.array([0.0, -19e6, -3.8e6, 3.8e6, 19e6])
TONES = CARRIER + OFFSETS
CENTERS = TONES + np.array([0.6, 0.7, -0.8, -0.5, 0.75]) * 1e6  # tones off the middle
CHANNELS = tuple(f"CH{k}" for k in range(5))
# scan, kind, start of scan (s)
SCANS = [(f"No{k + 1}", name, 300.0 * k) for k, name in enumerate("1S2S1S2")]
SEFD = {"Tm": 50.0, "Km": 480.0, "Ur": 350.0, "My": 300.0}
BANDWIDTH, LENGTH = 2e6, 4.0
PICOSECOND = 1e-12

# geocentric delay, s, and its rate: like those of Earth's rotation
GEOMETRY = {"Tm": (0.0121, 9e-7), "Km": (0.0155, 3e-7), "Ur": (-0.002, -8e-7), "My": (0.009, 5e-7)}


def station_model(source, station, clock=0.0):
    offset = {"S": 0.0, "1": 1.1e-3, "2": -0.7e-3}[source]
    delay, rate = GEOMETRY[station]
    return StationDelay(
        PiecewisePolynomial(START.shifted(-10.0), 3000.0, np.array([[delay + offset, rate]])),
        PiecewisePolynomial(START.shifted(-10.0), 3000.0, np.array([[clock]])),
    )


def delay_model(scan, source):
    stations = {s: station_model(source, s, clock=1e-5) for s in STATIONS}
    name = {"S": "probe", "1": "Q1", "2": "Q2"}[source]
    return DelayModel(scan, name, stations)


class World:
    """Hidden truth of one session, drawn from stated covariances."""

    def __init__(self, seed, noise=1.0, zenith=0.0, flux=(2.5, 3.0), orbit=20e-9):
        rng = self.rng = np.random.default_rng(seed)
        self.noise, self.flux = noise, flux
        self.oscillator = rng.uniform(0, 2 * np.pi, (4, 5))
        self.clock = rng.normal(0, 1e-6, 4)
        # relative to Tianma's, the reference: that is what the prior is of
        self.rate = np.append(0.0, rng.normal(0, 1e-12, 3))
        self.zenith = rng.normal(0, 1, 4) * zenith
        # 28 ns a baseline: 100 km across the line of sight at 43 million km, on 3800 km
        self.probe = rng.normal(0, orbit, (4,)) + rng.normal(0, 1e-11, (7, 4))
        self.partials = {}
        for k, (scan, kind, _) in enumerate(SCANS):
            for s, station in enumerate(STATIONS):
                elevation = {"S": 40.0, "1": 46.0, "2": 33.0}[kind] + 5 * s + k
                self.partials[scan, station] = 1 / np.sin(np.radians(elevation))

    def delay(self, k):
        """True less modelled delay of every station in a scan, s."""
        scan, kind, start = SCANS[k]
        mapping = np.array([self.partials[scan, s] for s in STATIONS])
        total = self.clock + self.rate * (start + LENGTH / 2) + mapping * self.zenith
        return total + self.probe[k] if kind == "S" else total

    def fringes(self, k):
        scan, kind, start = SCANS[k]
        delta, free = self.delay(k), self.rng.uniform(0, 2 * np.pi, 4)
        epoch = START.shifted(start + LENGTH / 2)
        for i in range(4):
            for j in range(i + 1, 4):
                rho = self.flux[int(kind) - 1] / np.sqrt(SEFD[STATIONS[i]] * SEFD[STATIONS[j]])
                snr = rho * np.sqrt(2 * BANDWIDTH * LENGTH)
                phase = 2 * np.pi * CENTERS * (delta[j] - delta[i])
                phase += self.oscillator[i] - self.oscillator[j] + free[i] - free[j]
                phase += self.noise * self.rng.normal(size=5) / snr
                sigma = np.sqrt(12) / (2 * np.pi * BANDWIDTH * snr * np.sqrt(5))
                tau = delta[j] - delta[i] + self.noise * sigma * self.rng.normal()
                yield FringeSolution(
                    scan=scan, source=f"Q{kind}", baseline=(STATIONS[i], STATIONS[j]),
                    epoch=epoch, residual_delay=tau, delay=tau, delay_sigma=sigma,
                    residual_rate=0.0, rate=0.0, rate_sigma=1e-12, channels=CHANNELS,
                    frequency=CENTERS, band=CENTERS[:, None] + [-1e6, 1e6],
                    phase=np.angle(np.exp(1j * phase)), phase_sigma=np.full(5, 1 / snr),
                    amplitude=np.full(5, rho), snr=snr * np.sqrt(5), ambiguity=1e-5,
                    probability=1.0,
                )  # fmt: skip

    def tones(self, k):
        scan, _, start = SCANS[k]
        free = self.rng.uniform(0, 2 * np.pi, 4)  # what moves between scans
        sigma = np.where(OFFSETS == 0, 1.1e-3, 3.5e-3)
        phase = -2 * np.pi * TONES * self.delay(k)[:, None] + self.oscillator + free[:, None]
        phase += self.rng.uniform(0, 2 * np.pi, 5)  # the transmitter's
        phase += self.noise * sigma * self.rng.normal(size=(4, 5))
        return ToneSolution(
            scan=scan, source="probe", epoch=START.shifted(start + LENGTH / 2), duration=LENGTH,
            stations=STATIONS, tones=("carrier", "a", "b", "c", "d"), frequency=TONES,
            phase=phase, phase_sigma=np.tile(sigma, (4, 1)), rate=np.zeros((4, 5)),
            rate_sigma=np.ones((4, 5)), channels=(CHANNELS,) * 4, model=delay_model(scan, "S"),
        )  # fmt: skip

    def session(self):
        quasars, probe = [], []
        for k, (_, kind, _) in enumerate(SCANS):
            if kind == "S":
                probe.append(self.tones(k))
            else:
                quasars.extend(self.fringes(k))
        return quasars, probe

    def truth(self, rows):
        """Residual delay of each row."""
        scans = [s[0] for s in SCANS]
        out = []
        for scan, (a, b) in zip(rows.scans, rows.baselines, strict=True):
            probe = self.probe[scans.index(scan)]
            out.append(probe[STATIONS.index(b)] - probe[STATIONS.index(a)])
        return np.array(out)

    def run(self, **options):
        quasars, probe = self.session()
        models = {p.scan: delay_model(p.scan, "1") for p in probe}
        return delta_dor(quasars, probe, models, **options)


def test_without_noise_the_truth_comes_back():
    world = World(1, noise=0.0)
    rows = world.run()
    assert len(rows) == 18  # 6 baselines, 3 scans
    # phases of 8.4 GHz x 1 microsecond in doubles: 1e-12 turns over 38 MHz
    assert np.abs(rows.residual - world.truth(rows)).max() < 1e-3 * PICOSECOND
    assert rows.chi_square < 0.01  # what is left: true clock rates against their loose prior
    assert rows.ambiguity == pytest.approx(1 / 3.8e6, rel=1e-2)
    assert (rows.probability > 0.999).all()


def test_value_is_the_difference_of_delays_at_station_1s_epoch():
    world = World(2, noise=0.0)
    rows = world.run()
    for k in range(len(rows)):
        theory = []
        for source in "S1":
            one, two = (station_model(source, s).delay for s in rows.baselines[k])
            # the label of the wavefront that reaches station 1 at the epoch, in closed form
            t, (a, b) = float(rows.epoch[k].since(one.start)), one.coefficients[0]
            label = (t - a) / (1 + b)
            theory.append(float(two.at_offset(label) - one.at_offset(label)))
        expected = theory[0] - theory[1] + world.truth(rows)[k]
        assert rows.value[k] == pytest.approx(expected, abs=1e-2 * PICOSECOND)
        assert rows.spacecraft_theory[k] == pytest.approx(theory[0], abs=1e-3 * PICOSECOND)
        assert rows.reference_theory[k] == pytest.approx(theory[1], abs=1e-3 * PICOSECOND)
    assert np.all(rows.epoch.second % 1 == 0)
    assert (rows.target, rows.reference) == ("probe", "Q1")


@pytest.mark.parametrize("zenith", [0.0, 0.05 / C])
def test_covariance_is_that_of_many_sessions(zenith):
    seeds, total, dof, p, ok = range(1, 41), 0.0, 0, [], []
    fit, fit_dof = 0.0, 0
    for seed in seeds:
        world = World(seed, zenith=zenith)
        rows = world.run(
            zenith_partials=world.partials if zenith else None,
            a_priori=APriori(clock_rate=1e-12),
        ).independent()
        error = rows.residual - world.truth(rows)
        square = float(error @ np.linalg.solve(rows.covariance, error))
        total, dof = total + square, dof + len(error)
        p.append(float(chi2.sf(square, len(error))))
        ok.append(np.abs(error / rows.sigma).max())
        fit, fit_dof = fit + rows.chi_square, fit_dof + rows.degrees_of_freedom
        # thermal 25 to 200 ps; zenith delays of 5 cm add some
        assert 10 * PICOSECOND < rows.sigma.min() < rows.sigma.max() < 400 * PICOSECOND
    low, high = chi2.ppf([0.0005, 0.9995], dof)
    assert low < total < high
    low, high = chi2.ppf([0.0005, 0.9995], fit_dof)
    assert low < fit < high
    assert max(ok) < norm.isf(0.0005 / dof)


def test_result_does_not_depend_on_the_reference_station():
    a, b = (World(3).run(reference_station=s) for s in ("Tm", "Ur"))
    # the same equations: what is left are rounding and one station's loose clock prior
    assert np.abs(a.value - b.value).max() < 0.01 * a.sigma.min()
    assert a.sigma == pytest.approx(b.sigma, rel=0.01)


def test_delays_close_and_so_does_the_covariance():
    rows = World(4).run()
    index = {k: i for i, k in enumerate(zip(rows.scans, rows.baselines, strict=True))}
    triangle = np.zeros(len(rows))
    for pair, sign in ((("Tm", "Km"), 1), (("Km", "Ur"), 1), (("Tm", "Ur"), -1)):
        triangle[index["No2", pair]] = sign
    assert abs(triangle @ rows.residual) < 1e-3 * PICOSECOND
    assert triangle @ rows.covariance @ triangle < (1e-2 * PICOSECOND) ** 2


def test_rows_share_quasars_and_budget_adds_up():
    world = World(5, zenith=0.05 / C)
    rows = world.run(zenith_partials=world.partials)
    squares = np.sum([sigma**2 for _, sigma in rows.budget], axis=0)
    assert np.sqrt(squares) == pytest.approx(rows.sigma, rel=1e-6)
    same = [k for k, b in enumerate(rows.baselines) if b == ("Km", "Ur")]
    block = rows.covariance[np.ix_(same, same)]
    assert block[0, 1] / np.sqrt(block[0, 0] * block[1, 1]) > 0.3
    clock = next(c for c in rows.corrections if c.name == "clock")
    scans = [s[0] for s in SCANS]
    for k, (scan, (a, b)) in enumerate(zip(rows.scans, rows.baselines, strict=True)):
        t = SCANS[scans.index(scan)][2] + LENGTH / 2
        i, j = STATIONS.index(a), STATIONS.index(b)
        true = world.clock[j] - world.clock[i] + (world.rate[j] - world.rate[i]) * t
        assert abs(clock.value[k] - true) < 4.5 * clock.sigma[k]


def test_observables_carry_the_covariance():
    rows = World(6).run()
    sets = rows.observables()
    assert [s.path.participants[1:] for s in sets] == list(rows.pairs())
    assert all(s.kind is Kind.DELTA_DOR and s.path.reference_source == "Q1" for s in sets)
    order = rows.rows_by_baseline()
    assert np.array_equal(np.concatenate([s.value for s in sets]), rows.value[order])
    first = rows.covariance[np.ix_(order[:3], order[:3])]
    assert np.array_equal(sets[0].covariance, first)


def test_an_a_priori_orbit_that_is_far_off_is_told():
    """With 400 ns of uncertainty the next ambiguity, at 263 ns, is nearly as likely."""
    rows = World(7).run()
    assert (rows.probability > 0.999).all()
    loose = World(7).run(a_priori=APriori(delay=400e-9))
    assert (loose.probability < 0.9).all()
    assert all((o.flag == "ambiguity").all() for o in loose.observables())
    assert all(o.good.all() for o in rows.observables())


def test_a_station_may_miss_scans_and_a_weak_quasar_is_left_out():
    world = World(8, noise=1.0)
    quasars, probe = world.session()
    models = {p.scan: delay_model(p.scan, "1") for p in probe}
    fewer = [q for q in quasars if not (q.scan == "No3" and "Ur" in q.baseline)]
    fewer = [replace(q, probability=0.2) if q.scan == "No5" else q for q in fewer]
    lost = probe[1].phase.copy()
    lost[3] = np.nan
    probe[1] = replace(probe[1], phase=lost)
    rows = delta_dor(fewer, probe, models)
    assert len(rows) == 6 + 3 + 6
    error = rows.residual - world.truth(rows)
    assert np.abs(error / rows.sigma).max() < 4.5


def test_what_is_refused():
    world = World(9)
    quasars, probe = world.session()
    models = {p.scan: delay_model(p.scan, "1") for p in probe}
    with pytest.raises(MissingDataError, match="no quasar fringe"):
        delta_dor([replace(q, probability=0.0) for q in quasars], probe, models)
    with pytest.raises(MissingDataError, match="no spacecraft scan"):
        delta_dor(quasars, [], models)
    with pytest.raises(MissingDataError, match="reference quasar"):
        delta_dor(quasars, probe, {})
    with pytest.raises(ConfigurationError, match="different quasars"):
        delta_dor(quasars, probe, models | {"No4": delay_model("No4", "2")})
    with pytest.raises(ConfigurationError, match="reference station"):
        delta_dor(quasars, probe, models, reference_station="Xx")
    with pytest.raises(MissingDataError, match="zenith partial"):
        delta_dor(quasars, probe, models, zenith_partials={})
    silent = [replace(p, phase=np.full_like(p.phase, np.nan)) for p in probe]
    with pytest.raises(EstimationError, match="no two stations"):
        delta_dor(quasars, silent, models)


def test_a_channel_is_what_it_holds_not_what_it_is_called():
    """Stations number their channels as they like; fringes take the first station's names."""
    world = World(10)
    quasars, probe = world.session()
    models = {p.scan: delay_model(p.scan, "1") for p in probe}
    usual = delta_dor(quasars, probe, models)
    # the last tone but two lies half a bin beyond the band, whose outermost bins are left out
    narrow = [replace(q, band=CENTERS[:, None] + [-0.75e6, 0.75e6]) for q in quasars]
    # another station was the first in one scan
    turned = [replace(q, channels=CHANNELS[::-1]) if q.scan == "No5" else q for q in narrow]
    names = (CHANNELS, CHANNELS[::-1], CHANNELS[1:] + CHANNELS[:1], ("?",) * 5)
    named = [replace(p, channels=names) for p in probe]
    rows = delta_dor(turned, named, models)
    assert np.abs(rows.residual - usual.residual).max() < 1e-3 * PICOSECOND
    assert rows.sigma == pytest.approx(usual.sigma, rel=1e-6)
    assert rows.degrees_of_freedom == usual.degrees_of_freedom


def test_the_name_decides_among_bands_that_overlap():
    scan = World(11).tones(1)
    bands = {"CH0": (CARRIER - 1e6, CARRIER + 3e6), "CH1": (CARRIER - 3e6, CARRIER + 0.5e6)}
    for name, expected in (("CH0", "CH0"), ("CH1", "CH1"), ("other", "CH0")):
        named = replace(scan, channels=((name,) * 5,) * 4)
        assert _tone_band(bands, 0.0, named, 0, 0) == expected
    assert _tone_band(bands, 0.0, scan, 0, 1) is None


def test_rows_are_flagged_where_noise_does_not_explain_the_fit():
    world = World(12)
    quasars, probe = world.session()
    models = {p.scan: delay_model(p.scan, "1") for p in probe}
    mixed = probe[0].phase.copy()
    mixed[2, [1, 2]] = mixed[2, [2, 1]]  # two channels of a station taken for each other
    with pytest.warns(KitestringWarning, match="chi-square of delta-DOR"):
        rows = delta_dor(quasars, [replace(probe[0], phase=mixed), *probe[1:]], models)
    assert rows.p_value < 1e-9
    assert all(set(o.flag) <= {"chi-square", "ambiguity"} for o in rows.observables())
    assert "chi-square" in {f for o in rows.observables() for f in o.flag}
    assert all(set(o.flag) <= {"", "ambiguity"} for o in rows.observables(least_p_value=0.0))
    sound = world.run()
    assert 1e-3 < sound.p_value <= 1.0
    assert replace(sound, chi_square=0.0, degrees_of_freedom=0).p_value == 1.0
