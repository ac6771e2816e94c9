"""vgosDB sessions: real R41102, and small sessions written here with every trap."""

import shutil

import erfa
import numpy as np
import pytest
from scipy.io import netcdf_file

from kitestring.errors import FormatError, MissingDataError
from kitestring.formats.vgosdb import ABSENT, read_variable, read_vgosdb, variables
from kitestring.model.constants import C

MICROSECOND = 1e-6
PICOSECOND = 1e-12


def write(path, **content):
    """Write a NetCDF-3 file; a value may be (data, REPEAT)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with netcdf_file(str(path), "w") as file:
        for name, value in content.items():
            data, repeat = value if isinstance(value, tuple) else (value, 0)
            name = name.replace("_dash_", "-")
            data = np.asarray(data)
            counts = name == "QualityCode"
            if data.dtype.kind == "U":
                data = data.astype("S")
            if data.dtype.kind == "S" and not counts:
                data = np.ascontiguousarray(data)
                data = data.view("S1").reshape(*data.shape, -1)
            dims = []
            for k, n in enumerate(data.shape):
                dim = "NumObs" if counts else f"{name}{k}_{n}"
                if dim not in file.dimensions:
                    file.createDimension(dim, n)
                dims.append(dim)
            code = {"f": "d", "i": "i", "S": "c"}[data.dtype.kind]
            variable = file.createVariable(name, code, tuple(dims))
            variable[:] = data
            if repeat:
                variable.REPEAT = np.int32(repeat)


@pytest.fixture
def small(tmp_path):
    """A session of one baseline: repeated values, padded names, a scan missed by a station."""
    root = tmp_path / "small"
    n = 3
    write(root / "Head.nc", NumObs=[n], NumScan=[4], ExpName="I23001")
    write(
        root / "Apriori/Station.nc",
        AprioriStationList=["ALPHA   ", "BETA\0\0  "],
        AprioriStationXYZ=[[6378e3, 0.0, 0.0], [0.0, 6378e3, 0.0]],
    )
    write(
        root / "Apriori/Antenna.nc",
        AntennaStationList=["BETA    ", "ALPHA   "],  # another order than in Station.nc
        AntennaAxisType=([3], 2),
        AntennaAxisOffset=[2.5, 0.5],
    )
    write(
        root / "Apriori/Source.nc",
        AprioriSourceList=["0059+581"],
        AprioriSource2000RaDec=[[0.25, 1.0]],
    )
    write(root / "Observables/Baseline.nc", Baseline=(["ALPHA   ", "BETA    "], n))
    write(root / "Observables/Source.nc", Source=("0059+581", n))
    write(
        root / "Observables/TimeUTC.nc",
        YMDHM=[[16, 12, 31, 23, 59], [17, 1, 1, 0, 0], [99, 1, 1, 12, 0]],
        Second=[60.5, 0.25, 1.0],
    )
    for band in "SX":
        write(
            root / f"Observables/GroupDelay_b{band}.nc",
            GroupDelay=[1e-3, 2e-3, 3e-3],
            GroupDelaySig=([1e-11], n),
        )
        write(root / f"Observables/RefFreq_b{band}.nc", RefFreq=([8212.99], n))
        write(root / f"Observables/AmbigSize_b{band}.nc", AmbigSize=([5e-8], n))
        write(root / f"Observables/QualityCode_b{band}.nc", QualityCode=["9", "0", "9"])
    write(root / "CrossReference/ObsCrossRef.nc", Obs2Scan=[1, 3, 4])
    write(
        root / "CrossReference/StationCrossRef.nc",
        CrossRefStationList=["ALPHA   ", "BETA    "],
        Scan2Station=[[1, 1], [2, 0], [3, 2], [4, 3]],
    )
    write(
        root / "Scan/TimeUTC.nc",
        YMDHM=[[2016, 12, 31, 23, 59], [2017, 1, 1, 0, 0], [2017, 1, 1, 0, 0], [1999, 1, 1, 12, 0]],
        Second=[60.5, 0.0, 0.25, 1.0],
    )
    write(root / "Scan/ERPApriori.nc", UT1=([-36.5], 4), PolarMotion=([1e-7, 2e-7], 4))
    write(root / "ObsTheoretical/DelayTheoretical.nc", DelayTheoretical=[1e-3, 2e-3, 3e-3])
    write(root / "ObsTheoretical/RateTheoretical.nc", RateTheoretical=([1e-7], n))
    write(root / "ObsCalTheo/Cal-OceanLoad.nc", Cal_dash_OceanLoad=([1e-12, 0.0], n))
    write(root / "ALPHA/Met.nc", TempC=[1.0, 2.0, 3.0, 4.0])
    write(root / "BETA/Met.nc", TempC=[5.0, 6.0, 7.0])
    return root


def test_small_session_with_repeated_values(small):
    session = read_vgosdb(small)
    assert session.stations == ("ALPHA", "BETA")
    assert session.axis_offset.tolist() == [0.5, 2.5]
    assert session.mount == ("azel", "azel")
    assert session.station1_name.tolist() == ["ALPHA"] * 3
    assert session.station2_name.tolist() == ["BETA"] * 3
    assert session.source_name.tolist() == ["0059+581"] * 3
    assert session.scan.tolist() == [0, 2, 3]
    assert session.scan_row.tolist() == [[0, 0], [1, ABSENT], [2, 1], [3, 2]]
    assert session.polar_motion.tolist() == [[1e-7, 2e-7]] * 4
    assert session.bands["X"].reference_frequency == pytest.approx([8212.99e6] * 3, rel=1e-15)
    assert session.bands["X"].quality.tolist() == ["9", "0", "9"]
    assert session.bands["S"].full_delay is None
    assert np.isnan(session.bands["S"].rate).all()
    assert session.delay_flag.tolist() == [0, 0, 0]
    assert session.correction("Cal-OceanLoad").tolist() == [[1e-12, 0.0]] * 3
    assert session.at_observations("Met").tolist() == [[1.0, 5.0], [3.0, 6.0], [4.0, 7.0]]


def test_epochs_keep_leap_seconds_and_both_kinds_of_year(small):
    session = read_vgosdb(small)
    assert session.epoch.iso_list(2) == [
        "2016-12-31T23:59:60.50",
        "2017-01-01T00:00:00.25",
        "1999-01-01T12:00:01.00",
    ]
    assert session.epoch.day.tolist() == session.scan_epoch.day[session.scan].tolist()
    assert session.epoch.second.tolist() == session.scan_epoch.second[session.scan].tolist()


def test_the_wrapper_of_the_highest_version_chooses(small):
    write(small / "ObsEdit/Edit_iOLD.nc", DelayFlag=([7], 3))
    write(small / "ObsEdit/Edit_iNEW.nc", DelayFlag=[0, 4, 0])
    every = sorted(p.relative_to(small).as_posix() for p in small.glob("**/*.nc"))
    for version, edit in (("V009", "OLD"), ("V010", "NEW")):
        lines = ["! comment", "Begin Session"]
        for file in every:
            folder, _, name = file.rpartition("/")
            if not name.startswith("Edit") or edit in name:
                lines += [f"Default_Dir {folder}" if folder else "", name]
        text = "\n".join(lines)
        (small / f"x_{version}_kall.wrp").write_text(text)
    assert read_vgosdb(small).delay_flag.tolist() == [0, 4, 0]
    assert read_vgosdb(small, wrapper="x_V009_kall.wrp").delay_flag.tolist() == [7, 7, 7]
    with pytest.raises(MissingDataError, match=r"no wrapper 'y.wrp'.*x_V010_kall.wrp"):
        read_vgosdb(small, wrapper="y.wrp")


def test_an_observation_of_an_absent_station_is_refused(small):
    write(small / "CrossReference/ObsCrossRef.nc", Obs2Scan=[1, 2, 4])
    with pytest.raises(FormatError, match=r"1 observations, the first of them number 2"):
        read_vgosdb(small)


def test_a_wrong_length_is_refused(small):
    write(small / "ObsTheoretical/DelayTheoretical.nc", DelayTheoretical=[1e-3, 2e-3])
    with pytest.raises(FormatError, match=r"DelayTheoretical has shape \(2,\) where \(3,\)"):
        read_vgosdb(small)


def test_an_unknown_station_is_refused(small):
    write(small / "Observables/Baseline.nc", Baseline=(["ALPHA   ", "GAMMA   "], 3))
    with pytest.raises(FormatError, match=r"Baseline.nc: 'GAMMA' is in one list"):
        read_vgosdb(small)


@pytest.mark.parametrize("keep", [0, 3, 60, -6])
def test_a_truncated_file_is_refused(small, keep):
    path = small / "ObsTheoretical/DelayTheoretical.nc"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FormatError, match=r"DelayTheoretical.nc: is not a whole NetCDF-3 file"):
        read_vgosdb(small)


def test_a_missing_file_is_named(small):
    (small / "Scan/ERPApriori.nc").unlink()
    with pytest.raises(MissingDataError, match=r"Scan/ERPApriori\.nc"):
        read_vgosdb(small)
    with pytest.raises(MissingDataError, match=r"Head\.nc"):
        read_vgosdb(small / "nowhere")


def test_a_missing_name_lists_those_there_are(small):
    session = read_vgosdb(small)
    with pytest.raises(MissingDataError, match="Cal-OceanLoad"):
        session.correction("Cal-Nothing")
    with pytest.raises(MissingDataError, match="Met"):
        session.station_table("ALPHA", "AzEl")
    with pytest.raises(FormatError, match="GroupDelay, GroupDelaySig"):
        read_variable(small / "Observables/GroupDelay_bX.nc", "Delay")


# -- the real session ----------------------------------------------------------


@pytest.fixture(scope="module")
def r41102(data_dir):
    return read_vgosdb(data_dir / "ivs-r41102")


def test_r41102_counts(r41102):
    assert len(r41102) == 3225
    assert len(r41102.stations) == 8
    assert len(r41102.sources) == 88
    assert len(r41102.scan_epoch) == 916
    assert r41102.name == "R41102"
    assert "_V004_" in r41102.wrapper
    # the official solution used 2386 delays (History/*.hist)
    assert np.count_nonzero(r41102.delay_flag == 0) == 2386


def test_r41102_epochs_of_observations_are_those_of_their_scans(r41102):
    scans = r41102.scan_epoch[r41102.scan]
    assert np.array_equal(r41102.epoch.day, scans.day)
    assert np.array_equal(r41102.epoch.second, scans.second)


def test_r41102_positions_sources_and_epochs_give_the_theoretical_delays(r41102):
    # Delays reach 40 ms; a wrong station, source, scan or UT1 sign costs far more than the
    # aberration (1e-4 of 40 ms) that a mere projection leaves out.
    s = r41102
    tt = s.epoch.to("tt").jd()
    ut1 = s.epoch.to("tai")
    ut1 = (ut1.day + 2400000.5, (ut1.second + s.ut1_minus_tai[s.scan]) / 86400.0)
    x, y = s.polar_motion[s.scan].T
    to_terrestrial = erfa.c2t06a(*tt, *ut1, x, y)
    direction = erfa.s2c(*s.source_position[s.source].T)
    direction = np.einsum("nij,nj->ni", to_terrestrial, direction)
    baseline = s.station_position[s.station2] - s.station_position[s.station1]
    delay = -np.einsum("ni,ni->n", baseline, direction) / C
    assert np.max(np.abs(delay - s.delay)) < 8 * MICROSECOND
    assert np.max(np.abs(s.delay)) > 10e-3


def test_r41102_full_delays_differ_by_whole_ambiguities(r41102):
    for band in r41102.bands.values():
        turns = (band.full_delay - band.delay) / band.ambiguity
        assert np.max(np.abs(turns - np.round(turns)) * band.ambiguity) < 1 * PICOSECOND
    assert sorted(r41102.bands) == ["S", "X"]


def test_r41102_axis_offset_at_both_stations(r41102):
    # the delay of an axis offset is at most offset / c, and absent where there is none
    delay = r41102.at_observations("Cal-AxisOffset")[:, :, 0]
    for side, index in ((0, r41102.station1), (1, r41102.station2)):
        limit = r41102.axis_offset[index] / C
        assert np.all(np.abs(delay[:, side]) <= limit * (1 + 1e-6))
    kokee = r41102.stations.index("KOKEE")
    assert np.max(np.abs(delay[r41102.station1 == kokee, 0])) > 0.5 * 0.5182 / C


def test_r41102_elevations_and_absent_tables(r41102):
    elevation = r41102.at_observations("AzEl", "ElTheo")[:, :, 0]
    assert 0.0 < np.min(elevation) < np.max(elevation) < np.pi / 2
    absent = np.isnan(r41102.at_observations("Cal-Cable"))
    has = np.array([s in ("KOKEE", "NYALES20", "WETTZELL") for s in r41102.stations])
    assert np.array_equal(~absent, np.stack([has[r41102.station1], has[r41102.station2]], 1))


def test_r41102_corrections(r41102):
    tide = r41102.correction("Cal-EarthTide_kIERS2003")
    assert tide.shape == (3225, 2)
    assert 0.1e-9 < np.std(tide[:, 0]) < 2e-9  # decimetres
    with pytest.raises(FormatError, match="Cal-Xwobble, Cal-Ywobble"):
        r41102.correction("Cal-Wobble")
    assert r41102.correction("Cal-Wobble", "Cal-Xwobble").shape == (3225, 2)


def test_r41102_every_variable_of_every_file_reads(r41102):
    for file in r41102.files:
        path = r41102.directory / file
        for name in variables(path):
            assert read_variable(path, name).dtype.kind in "fiU"


def test_r41102_reads_from_another_place(r41102, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(r41102.directory, copy)
    assert np.array_equal(read_vgosdb(copy).delay, r41102.delay)
