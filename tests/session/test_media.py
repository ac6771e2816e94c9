"""Media of a session, end to end: files and keys of `session.toml` beside the effects themselves.

What is observed is predicted with effects that are made of numbers here, not by the
readers and not by the session; the session, told the same by its keys, has to leave
nothing of it, and more without them.
"""

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, MissingDataError, UnknownNameError
from kitestring.estimate.forward import ForwardModel
from kitestring.formats.tdm import write_tdm
from kitestring.model.constants import C
from kitestring.model.deformation import GravitationalSag, SagTable, ThermalExpansion
from kitestring.model.dsn_media import DsnTroposphere, MediaCommand
from kitestring.model.earth import EarthModel
from kitestring.model.ionosphere import Ionosphere
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.sight import Sight
from kitestring.model.site_troposphere import SiteTable, SiteTroposphere
from kitestring.model.solar_plasma import SolarPlasma
from kitestring.model.tec import TecMap
from kitestring.model.time import Epoch
from kitestring.model.trajectory import FixedOnBody
from kitestring.model.troposphere import Troposphere, Weather
from kitestring.observables.types import Observables, UplinkRamps
from kitestring.session.file import read_session
from kitestring.session.ledger import digest
from kitestring.session.orbit_stages import load_determined
from kitestring.session.run import Context, run_session, session_status
from kitestring.session.setting import Setting
from kitestring.session.signal_stages import SIGNAL_STAGES

LANDER = np.array([-2417.5e3, 2365.9e3, 266.0e3])
START = Epoch.from_iso("2020-05-29T10:20:00")  # Mars sets, from 19 to 9 degrees
COUNT = 60.0
ROWS = 12
CARRIER = 8.436e9
# a light time beyond 1024 s ends at 2.3e-13 s: over counts of 60 s that is 32 microhertz
LAST_DIGIT, LAST_DIGIT_OF_DOPPLER = 2.3e-13, 3.3e-5
DAY = 58998  # MJD of START
TECU = 1e16

SESSION = f"""
name = "media"
[target]
kind = "lander"
name = "InSight"
position = {LANDER.tolist()}
sigma = 1e-6  # held: what is left shows in the residuals
[tones]
carrier = {CARRIER}  # ranges do not say their frequency
[[tracking]]
file = "a.tdm"
format = "tdm"
sigma = {{ doppler = 3e-3, range = 1e-9 }}
"""

# -- what the session is told, by keys and files ------------------------------------------

WEATHER = """
[[troposphere.weather]]
station = "dss 55"  # any of its names serves
pressure = 931.0
temperature = 31.0
humidity = 20.0
"""
VMF3 = "\n".join(
    f"DSS55    {DAY}.{hour:02d} {a:.8f} 0.00058000 2.1300 {wet:.4f} 930.00 25.00 12.00 "
    "-0.400 0.200 0.100 -0.300"
    for hour, a, wet in ((25, 0.00123, 0.11), (50, 0.00125, 0.13))
)
CSP = """
ADJUST(ALL)BY TRIG(31557600.,2.1000,.0100,-.0050)MODEL(DRY NUPART)
FROM(72/01/01,00:00)TO(35/01/01,00:00)DSN(C60).
ADJUST(ALL)BY TRIG(31557600.,.1000,-.0300,-.0200)MODEL(WET NUPART)
FROM(72/01/01,00:00)TO(35/01/01,00:00)DSN(C60).
ADJUST(ALL) BY NRMPOW(.0300,.0400) MODEL(WET NUPART)
FROM(20/05/29,06:00)TO(20/05/29,12:00) DSN(C60).
"""
SAG = "Version\nDSS55 4 3.336\n 0 0.0\n 30 4.0\n 60 6.0\n 90 7.0\n"
LATITUDES, LONGITUDES = np.arange(87.5, -88.0, -17.5), np.arange(-180.0, 181.0, 30.0)


def vertical(hour):
    """A map in tenths of a TECU."""
    j, k = np.meshgrid(np.arange(len(LATITUDES)), np.arange(len(LONGITUDES)), indexing="ij")
    return 200 + 10 * j + 5 * np.minimum(k, 12 - k) + 20 * hour


def ionex():
    def row(text, label):
        return f"{text:<60}{label:<20}\n"

    def six(*values):
        return "  " + "".join(f"{value:6.1f}" for value in values)

    text = row("     1.0            IONOSPHERE MAPS     GPS", "IONEX VERSION / TYPE")
    text += row("     2", "# OF MAPS IN FILE") + row("  6371.0", "BASE RADIUS")
    text += row("     2", "MAP DIMENSION") + row(six(450.0, 450.0, 0.0), "HGT1 / HGT2 / DHGT")
    text += row(six(87.5, -87.5, -17.5), "LAT1 / LAT2 / DLAT")
    text += row(six(-180.0, 180.0, 30.0), "LON1 / LON2 / DLON") + row("", "END OF HEADER")
    for number, hour in ((1, 10), (2, 12)):
        text += row(f"{number:6d}", "START OF TEC MAP")
        text += row(f"  2020     5    29{hour:6d}     0     0", "EPOCH OF CURRENT MAP")
        for latitude, values in zip(LATITUDES, vertical(hour), strict=True):
            text += row(six(latitude, -180.0, 180.0, 30.0, 450.0), "LAT/LON1/LON2/DLON/H")
            text += "".join(f"{value:5d}" for value in values) + "\n"
        text += row(f"{number:6d}", "END OF TEC MAP")
    return text + row("", "END OF FILE")


# -- and the same, made of numbers --------------------------------------------------------


def site(name="DSS-55"):
    gradients = [-0.4e-3, 0.2e-3, 0.1e-3, -0.3e-3]
    values = [
        [a, 0.00058, *(np.array([2.13, wet, *gradients]) / C)]
        for a, wet in ((0.00123, 0.11), (0.00125, 0.13))
    ]
    epochs = Epoch.from_mjd(DAY + np.array([0.25, 0.5]))
    return SiteTable([SiteTroposphere(name, epochs, np.array(values))])


def dsn():
    first, last = Epoch.from_iso("1972-01-01"), Epoch.from_iso("2035-01-01")
    begin, end = Epoch.from_iso("2020-05-29T06:00"), Epoch.from_iso("2020-05-29T12:00")
    year = 31557600.0
    return DsnTroposphere(
        [
            MediaCommand("dry", "TRIG", (year, 2.1, 0.01, -0.005), first, last, "C60"),
            MediaCommand("wet", "TRIG", (year, 0.1, -0.03, -0.02), first, last, "C60"),
            MediaCommand("wet", "NRMPOW", (0.03, 0.04), begin, end, "C60"),
        ]
    )


def tec_map():
    tec = 0.1 * TECU * np.stack([vertical(hour)[::-1] for hour in (10, 12)])
    epochs = Epoch.from_iso(["2020-05-29T10:00", "2020-05-29T12:00"])
    return TecMap(epochs, np.radians(LATITUDES[::-1]), np.radians(LONGITUDES), tec)


def sag():
    table = SagTable(
        "DSS-55",
        np.radians([0.0, 30.0, 60.0, 90.0]),
        3.336e-12 * np.array([0.0, 4.0, 6.0, 7.0]),
    )
    return GravitationalSag([table])


AIR = {"DSS-55": Weather(93100.0, 304.15, 0.2)}


def warm(station, epoch):
    return 304.15


# name: keys, what the file that they name holds, effects
CASES = {
    "weather": (WEATHER, "", lambda: [Troposphere(AIR)]),
    "mapping": ('[troposphere]\nmapping = "gmf"\n', "", lambda: [Troposphere(mapping="gmf")]),
    "vmf3": ('[troposphere]\nvmf3 = ["m"]\n', VMF3, lambda: [Troposphere(sites=site())]),
    "csp": ('[troposphere]\ncsp = ["m"]\n', CSP, lambda: [dsn()]),
    "none": ('[troposphere]\nmodel = "none"\n', "", list),
    "klobuchar": ('[ionosphere]\nmodel = "klobuchar"\n', "", lambda: [*PLAIN, Ionosphere()]),
    "ionex": (
        '[ionosphere]\nmodel = "ionex"\nionex = ["m"]\n',
        ionex(),
        lambda: [*PLAIN, Ionosphere(tec_map())],
    ),
    "corona": ('[solar_plasma]\nmodel = "corona"\n', "", lambda: [*PLAIN, SolarPlasma()]),
    "thermal": (
        f"[antenna]\nthermal_expansion = true\n{WEATHER}",
        "",
        lambda: [Troposphere(AIR), ThermalExpansion(warm)],
    ),
    "thermal in vacuum": (
        f'[troposphere]\nmodel = "none"\n[antenna]\nthermal_expansion = true\n{WEATHER}',
        "",
        lambda: [ThermalExpansion(warm)],
    ),
    "sag": ('[antenna]\nsag = "m"\n', SAG, lambda: [*PLAIN, sag()]),
}
PLAIN = [Troposphere()]
# over these counts they move Doppler by less than its last digits
SLOW = {"mapping", "corona", "thermal", "thermal in vacuum", "sag"}
WITHOUT = {"thermal": [Troposphere(AIR)], "thermal in vacuum": []}  # else PLAIN
FILES = [case for case, (_, text, _) in CASES.items() if text]


def ramps():
    epoch = START.shifted(600.0 * np.arange(12) - 3600.0)
    return UplinkRamps("DSS-55", "X", epoch, 7.18e9 + 240.0 * np.arange(12), np.full(12, 0.4))


def observed(effects):
    """Doppler and range of the lander with some effects, without noise."""
    trajectory = FixedOnBody("InSight", "MARS", LANDER)
    model = ForwardModel(EarthModel(), (ramps(),), tuple(effects), frequency=CARRIER)
    epoch, unknown = START.shifted(300.0 * np.arange(ROWS)), np.full(ROWS, np.nan)
    ends = ("DSS-55", "InSight", "DSS-55")
    found = []
    for kind, path, count in (
        (Kind.DOPPLER, SignalPath(ends, "", 880 / 749, "X", "X"), COUNT),
        (Kind.RANGE, SignalPath(ends), 0.0),
    ):
        empty = Observables(kind, path, epoch, np.zeros(ROWS), unknown, np.full(ROWS, count))
        value = model.predict(empty, trajectory).value
        found.append(Observables(kind, path, epoch, value, unknown, empty.count))
    return found


def residuals(folder):
    """Return observed minus computed of Doppler (Hz) and of range (s)."""
    table = load_determined(Context(folder, read_session(folder))).residuals
    assert np.all(table.flag == "")
    doppler = table.observed > 1e6  # Hz; the others are seconds
    assert int(doppler.sum()) == ROWS == int((~doppler).sum())
    return table.residual[doppler], table.residual[~doppler]


def write(folder, keys, text="", session=SESSION):
    (folder / "session.toml").write_text(session + keys, encoding="utf-8")
    if text:
        (folder / "m").write_text(text, encoding="ascii")


def made(folder, case):
    """Write a session and what it observed; return Doppler and range."""
    keys, text, effects = CASES[case]
    write(folder, keys, text)
    data = observed(effects())
    write_tdm(folder / "a.tdm", data, [ramps()])
    return data


@pytest.mark.parametrize("case", CASES)
def test_what_a_session_is_told_is_what_it_uses(tmp_path, case):
    data = made(tmp_path, case)
    run_session(tmp_path)
    doppler, ranges = residuals(tmp_path)
    assert np.abs(doppler).max() <= LAST_DIGIT_OF_DOPPLER
    assert np.abs(ranges).max() <= LAST_DIGIT
    # and this is not by chance
    moved = [
        a.value - b.value for a, b in zip(data, observed(WITHOUT.get(case, PLAIN)), strict=True)
    ]
    assert case in SLOW or np.abs(moved[0]).max() > 2.0 * LAST_DIGIT_OF_DOPPLER
    assert np.abs(moved[1]).max() > 10.0 * LAST_DIGIT


@pytest.mark.parametrize("case", FILES)
def test_another_file_makes_the_orbit_to_do(tmp_path, case):
    made(tmp_path, case)
    run_session(tmp_path)
    assert {row.state for row in session_status(tmp_path)} == {"done"}
    assert '"media file m": "SHA-256 ' in (tmp_path / "products" / "solution.json").read_text()
    text = CASES[case][1]
    changed = {
        "vmf3": ("2.1300", "2.1400"),
        "csp": (".0300,.0400", ".0400,.0400"),
        "ionex": ("450.0", "350.0"),
        "sag": ("30 4.0", "30 9.0"),
    }[case]
    assert changed[0] in text
    (tmp_path / "m").write_text(text.replace(*changed), encoding="ascii")
    states = {row.name: row.state for row in session_status(tmp_path)}
    assert states["orbit"] == "to do"
    assert states["observables"] == "done"  # what was measured is what it was
    run_session(tmp_path)
    assert np.abs(residuals(tmp_path)[1]).max() > 10.0 * LAST_DIGIT


@pytest.mark.parametrize("case", FILES)
def test_correlation_does_not_depend_on_media(tmp_path, case):
    """What compares theory with it does."""
    recorded = f"""
[setup]
default = [{{ name = "CH0", sky_frequency = {CARRIER}, sample_rate = 8e6 }}]
[[scan]]
name = "1"
source = "3C84"
start = "2020-05-29T10:20:00"
duration = 60
[[recording]]
station = "DSS-55"
scan = "1"
files = ["recording"]
"""
    keys, text, _ = CASES[case]
    (tmp_path / "recording").write_bytes(b"voltages")
    stages = {stage.name: stage for stage in SIGNAL_STAGES}

    def digests(keys, text):
        write(tmp_path, recorded + keys, text)
        context = Context(tmp_path, read_session(tmp_path))
        return {n: digest(stages[n].inputs(context)) for n in ("correlate", "tones", "delta_dor")}

    first, other_file = digests(keys, text), digests(keys, text + "\n\n")
    other_keys = digests("", text)
    for name in ("correlate", "tones"):
        assert first[name] == other_file[name] == other_keys[name]
    assert len({each["delta_dor"] for each in (first, other_file, other_keys)}) == 3


def setting(folder, keys, text=""):
    write(folder, keys, text)
    return Setting(Context(folder, read_session(folder)))


def test_weather_of_a_station_that_is_none(tmp_path):
    keys = WEATHER.replace("dss 55", "DSS-555")
    with pytest.raises(UnknownNameError, match=r"troposphere.weather.*DSS-555"):
        _ = setting(tmp_path, keys).media
    with pytest.raises(ConfigurationError, match=r"two .*troposphere.weather.* of DSS-55"):
        _ = setting(tmp_path, WEATHER + WEATHER.replace("dss 55", "DSS55")).media


def test_calibrations_of_the_dsn_want_their_seasons(tmp_path):
    """Adjustments alone are centimetres: neither they nor another model stand for the air."""
    adjustment = CSP[CSP.index("ADJUST(ALL) BY NRMPOW") :]
    write_tdm(tmp_path / "a.tdm", observed(PLAIN), [ramps()])
    write(tmp_path, CASES["csp"][0], adjustment)
    with pytest.raises(MissingDataError, match="no seasonal dry delay for DSS-55"):
        run_session(tmp_path)
    other = adjustment.replace("WET NUPART", "CHPART")
    with pytest.raises(MissingDataError, match="m: holds no delays of the troposphere"):
        _ = setting(tmp_path, CASES["csp"][0], other).media


def test_an_antenna_of_unknown_warmth_is_as_it_was_surveyed(tmp_path):
    """In the standard atmosphere's 20 degrees Ny Alesund's antenna would grow by 3 mm."""
    found = setting(tmp_path, "[antenna]\nthermal_expansion = true\n" + WEATHER)
    epoch = START.shifted(np.zeros(1))
    for name, moves in (("NYALES20", False), ("DSS-55", True)):
        station = found.catalogue.get(name)
        state = found.earth.station_state(station, epoch)
        sight = Sight(station, state, state.rotation.position(station.vertical))
        assert bool(found.media[-1].delay(sight)[0]) is moves


def test_each_station_has_its_own_air(tmp_path):
    """The DSN's calibration, VMF3 where that has none, and partials of what is in use."""
    keys = '[troposphere]\ncsp = ["m"]\nvmf3 = ["v"]\n'
    (tmp_path / "v").write_text(VMF3.replace("DSS55", "EFLSBERG"), encoding="ascii")
    found = setting(tmp_path, keys, CSP)
    epoch = START.shifted(np.zeros(1))
    for name, told in (("DSS-55", dsn()), ("EFLSBERG", Troposphere(sites=site("EFLSBERG")))):
        station = found.catalogue.get(name)
        state = found.earth.station_state(station, epoch)
        sight = Sight(station, state, state.rotation.position(station.vertical))
        (air,) = found.media
        assert air.delay(sight) == pytest.approx(told.delay(sight), rel=1e-12)
        assert air.sigma(sight) == pytest.approx(told.sigma(sight), rel=1e-12)
        assert found.air.zenith_partial(sight) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('[troposphere]\nmodel = "none"\nvmf3 = ["m"]\n', "without use"),
        ('[ionosphere]\nmodel = "ionex"\n', "belong together"),
        ('[ionosphere]\nionex = ["m"]\n', "belong together"),
        (WEATHER.replace("931.0", "93100.0"), "pressure"),
        (WEATHER.replace(" 31.0", " 304.15"), "temperature"),
    ],
)
def test_what_cannot_be_meant(tmp_path, keys, message):
    with pytest.raises(ConfigurationError, match=message):
        setting(tmp_path, keys)


def test_a_media_file_that_is_not_there_is_named(tmp_path):
    for case in FILES:
        with pytest.raises(MissingDataError, match="m: cannot be read"):
            _ = setting(tmp_path, CASES[case][0]).media
