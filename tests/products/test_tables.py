"""Tables are read back to the last bit, and what is no table is told with its place."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kitestring.dynamics.propagate import propagate
from kitestring.dynamics.types import STATE_NAMES, ForceModel, Impulse, OrbitState, Thrust
from kitestring.errors import FormatError, MissingDataError, UnknownNameError
from kitestring.estimate.batch import batch_least_squares
from kitestring.estimate.types import Measurements, OrbitSolution, Parameter, ResidualTable
from kitestring.model.ephemeris import Ephemeris
from kitestring.model.time import DAY, Epoch
from kitestring.products.tables import (
    NOT_OBSERVED,
    OBSERVED,
    read_residuals,
    read_solution,
    write_residuals,
    write_solution,
)

START = Epoch.from_iso("2027-03-04T05:06:07.1", "tdb")
SIGMA = np.array([1e3, 2e3, 3e3, 0.1, 0.2, 0.3])


def fit(place):
    """A solution whose 'data' are the state, through biases, with a parameter that none saw."""
    rng = np.random.default_rng(4)
    parameters = [
        Parameter(name, value, sigma, unit)
        for name, value, sigma, unit in zip(
            STATE_NAMES, place, [np.inf, *10.0 * SIGMA[1:]], ["m"] * 3 + ["m/s"] * 3, strict=True
        )
    ]
    parameters.append(Parameter("dark", 0.1, 0.7))
    parameters.append(Parameter("srp_scale", 1.0, 0.05, consider=True))
    parameters.append(Parameter("mast", 1.0 / 3.0, 0.5, consider=True))
    design = np.zeros((60, 9))
    design[:, :6] = np.tile(np.eye(6), (10, 1))
    design[:, 7] = rng.normal(size=60) * 1e-3
    design[:, 8] = rng.normal(size=60) * 1e-3
    value = np.tile(place, 10) + rng.normal(size=60) * np.tile(SIGMA, 10)
    value[7] += 1e6
    flag = np.full(60, "", dtype="U32")
    flag[3:5] = "sun angle"
    arc = np.array(["pass 1", "pass 2"])[np.arange(60) // 30]
    data = Measurements(value, np.tile(SIGMA, 10), flag, arc)
    found = batch_least_squares(lambda x: (design @ x, design), data, parameters, bias_sigma=1e-3)
    return data, found


@pytest.fixture(scope="module")
def solved():
    place = Ephemeris.default().state("EARTH", "SUN", START) + np.array([2e9, 1e9, 1e9, 3e3, 0, 5])
    data, found = fit(place)
    forces = ForceModel(
        bodies=("SUN", "EARTH"),
        area_over_mass=0.03,
        srp_scale=1.1,
        burns=(
            Impulse("kick", START.shifted(3600.1), [0.1, 0.2, 1.0 / 3.0]),
            Thrust("leak", START.shifted(DAY), START.shifted(1.7 * DAY), [1e-9, 0.0, -1e-9 / 7.0]),
        ),
    )
    # burns are not among the parameters of the fit; a solution needs none for them
    orbit = propagate(
        OrbitState(START, found.values[:6], name="PROBE"), forces, (START, START.shifted(2 * DAY))
    )
    epoch = START.to("utc").shifted(61.3 * np.arange(60))
    label = np.array(['doppler: DSS-1 > "PROBE", DSS-2', "delta_dor\nAé"])[np.arange(60) % 2]
    return OrbitSolution(orbit, found, ResidualTable.of(label, epoch, data, found))


def test_residuals_come_back_to_the_last_bit(tmp_path, solved):
    path = tmp_path / "residuals.csv"
    table = replace(solved.residual_table, sigma=np.append(np.nan, SIGMA.repeat(10)[1:]))
    write_residuals(path, table)
    found = read_residuals(path)
    for name in ("observed", "computed", "residual", "sigma", "label", "flag"):
        np.testing.assert_array_equal(getattr(found, name), getattr(table, name))
    np.testing.assert_array_equal(found.epoch.day, table.epoch.day)
    np.testing.assert_array_equal(found.epoch.second, table.epoch.second)
    assert found.epoch.scale == "utc"


def test_an_empty_table_comes_back_too(tmp_path):
    zero = np.zeros(0)
    epoch = Epoch("utc", np.zeros(0, dtype=np.int64), zero)
    none = np.zeros(0, dtype=str)
    write_residuals(tmp_path / "x.csv", ResidualTable(none, epoch, zero, zero, zero, zero, none))
    assert len(read_residuals(tmp_path / "x.csv")) == 0


def test_residuals_read_as_people_expect(tmp_path, solved):
    write_residuals(tmp_path / "x.csv", solved.residual_table)
    first, second = (tmp_path / "x.csv").read_text(encoding="utf-8").splitlines()[:2]
    assert first.startswith("label,time_utc,")
    assert '"doppler: DSS-1 > ""PROBE"", DSS-2",2027-03-04T05:04:57.9' in second


def test_an_orbit_comes_back_to_the_last_bit(tmp_path, solved):
    path = tmp_path / "solution.json"
    write_solution(path, solved, EOP="2027-03-01", inputs="a.tdm sha256:00")
    found, fit = read_solution(path), solved.solution
    assert (found.names, found.units) == (fit.names, fit.units)
    for name in ("values", "apriori_sigmas", "covariance", "noise_covariance", "sensitivity"):
        np.testing.assert_array_equal(getattr(found, name), getattr(fit, name))
    np.testing.assert_array_equal(found.sigmas, fit.sigmas)
    np.testing.assert_array_equal(found.observability, fit.observability)
    assert dict(found.consider) == dict(fit.consider)
    assert dict(found.biases) == dict(fit.biases)
    for name in ("iterations", "rms", "weighted_rms", "chi2", "dof"):
        assert getattr(found, name) == getattr(fit, name)
    assert found.flags == {"": 57, "outlier": 1, "sun angle": 2}
    assert found.made_by["EOP"] == "2027-03-01"
    assert "Kitestring" in found.made_by
    assert found["x"] == fit["x"]
    with pytest.raises(UnknownNameError):
        found["nothing"]


def test_an_orbit_that_was_read_goes_where_the_first_went(tmp_path, solved):
    write_solution(tmp_path / "x.json", solved)
    found = read_solution(tmp_path / "x.json")
    again = propagate(found.initial, found.forces, found.span)
    when = START.shifted(np.linspace(0.0, 2 * DAY, 7))
    np.testing.assert_array_equal(again.state(when), solved.state(when))
    assert (again.name, again.center) == ("PROBE", "SUN")


def test_parameters_that_the_data_did_not_see_are_marked(tmp_path, solved):
    write_solution(tmp_path / "x.json", solved)
    content = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    marks = {one["name"]: one["mark"] for one in content["parameters"]}
    assert marks.pop("dark") == NOT_OBSERVED
    assert set(marks.values()) == {OBSERVED}
    assert content["parameters"][0]["apriori_sigma"] == "inf"
    assert read_solution(tmp_path / "x.json").observed == (OBSERVED,) * 6 + (NOT_OBSERVED,)


def test_a_solution_without_an_orbit(tmp_path, solved):
    write_solution(tmp_path / "x.json", solved.solution)
    found = read_solution(tmp_path / "x.json")
    assert found.initial is None
    np.testing.assert_array_equal(found.covariance, solved.solution.covariance)


def test_no_file_no_text_no_table(tmp_path, solved):
    for read in (read_residuals, read_solution):
        with pytest.raises(MissingDataError):
            read(tmp_path / "absent")
        with pytest.raises(MissingDataError, match="cannot be read"):
            read(tmp_path)
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(FormatError, match="not text"):
            read(tmp_path / "binary")
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(FormatError, match=r"x\.csv:1: the columns are a, b"):
        read_residuals(path)
    write_residuals(path, solved.residual_table)
    lines = path.read_text(encoding="utf-8").splitlines()
    for bad in (lines[1] + ",more", "x,y", lines[1].replace("61468", "day")):
        path.write_text("\n".join([lines[0], bad]))
        with pytest.raises(FormatError, match=r"x\.csv:2: is no row"):
            read_residuals(path)


def test_a_damaged_solution_is_refused(tmp_path, solved):
    path = tmp_path / "x.json"
    write_solution(path, solved)
    text = path.read_text(encoding="utf-8")
    for cut in range(0, len(text) - 2, 501):
        path.write_text(text[:cut])
        with pytest.raises(FormatError, match=r"x\.json:\d+: is not JSON"):
            read_solution(path)
    for old, new, told in (
        ("kitestring solution", "other", "is no solution"),
        ('"format_version": 1', '"format_version": 2', "version 2, not 1"),
        ('"covariance"', '"variance"', "KeyError: 'covariance'"),
        ('"apriori_sigma": "inf"', '"apriori_sigma": "much"', "could not convert"),
        ('"scale": "tdb"', '"scale": "local"', "not a time scale"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(FormatError, match=told):
            read_solution(path)
