"""Sources: names, positions against the ICRF3 file and a vgosDB, search around a direction."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.io import netcdf_file

from kitestring.errors import ConfigurationError, UnknownNameError
from kitestring.model.sources import all_sources, calibrators_near, get_source, unit_vector

ARCSECOND = np.pi / 648000.0
MAS = 1e-3 * ARCSECOND
ROOT = Path(__file__).parents[2]


class TestNames:
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("1741-038", "1741-038"),
            ("J1743-0350", "1741-038"),
            ("ICRF J174358.8-035004", "1741-038"),
            ("icrf j174358.8-035004", "1741-038"),
            ("J174358.8-035004", "1741-038"),
            ("IERS B1741-038", "1741-038"),
            ("1741\N{MINUS SIGN}038", "1741-038"),
            ("3C273", "1226+023"),
            ("3c 84", "0316+413"),
            ("3C274", "1228+126"),
            ("M87", "1228+126"),
            ("OJ287", "0851+202"),
            ("BL Lac", "2200+420"),
            ("NRAO512", "1638+398"),
        ],
    )
    def test_alias(self, given: str, name: str) -> None:
        assert get_source(given).name == name

    def test_every_source_is_found_by_its_own_names(self) -> None:
        for source in all_sources():
            assert get_source(source.name) is source
            assert get_source(source.designation) is source

    def test_an_unknown_name_is_answered_with_near_ones(self) -> None:
        with pytest.raises(UnknownNameError, match="1741-038"):
            get_source("1741-083")


class TestCatalogue:
    def test_a_position_to_the_last_digit(self) -> None:
        source = get_source("0823+033")  # 08 25 50.33835759, +03 09 24.5199749
        ra = (8 * 3600 + 25 * 60 + 50.33835759) * 15 * ARCSECOND
        dec = (3 * 3600 + 9 * 60 + 24.5199749) * ARCSECOND
        assert source.ra == pytest.approx(ra, abs=1e-6 * MAS)
        assert source.dec == pytest.approx(dec, abs=1e-6 * MAS)
        assert source.sigma_ra == pytest.approx(0.00000203 * 15 * ARCSECOND * np.cos(dec))
        assert source.sigma_dec == pytest.approx(0.0000316 * ARCSECOND)
        assert source.correlation == -0.0137

    def test_a_declination_of_minus_zero_degrees_is_south(self) -> None:
        source = get_source("0440-003")  # ICRF J044238.6-001743
        assert np.degrees(source.dec) == pytest.approx(-(17 / 60 + 43 / 3600), abs=1 / 3600)

    def test_it_is_icrf3(self) -> None:
        sources = all_sources()
        assert len(sources) == 4536
        assert sum(s.defining for s in sources) == 303
        # ICRF3's noise floor, Charlot et al. 2020
        assert min(s.sigma_dec for s in sources) == pytest.approx(0.030 * MAS, rel=0.02)
        assert all(abs(s.correlation) < 1.0 for s in sources)
        assert sum(np.isnan(s.flux) for s in sources) < 50

    def test_designation_tells_the_position(self) -> None:
        """Designations are older coordinates, cut off after 0.1 s and 1 arcsecond."""
        for source in all_sources():
            digits = source.designation.removeprefix("ICRF J")
            sign = -1.0 if digits[8] == "-" else 1.0
            hours = int(digits[:2]) + int(digits[2:4]) / 60 + float(digits[4:8]) / 3600
            degrees = int(digits[9:11]) + int(digits[11:13]) / 60 + int(digits[13:]) / 3600
            listed = unit_vector(np.radians(15 * hours), sign * np.radians(degrees))
            assert np.linalg.norm(source.direction - listed) < 5.0 * ARCSECOND

    def test_positions_and_names_of_a_session(self, data_dir: Path) -> None:
        path = data_dir / "ivs-r41102/Apriori/Source.nc"
        with netcdf_file(path, mmap=False) as file:
            names = [b"".join(r).decode().strip() for r in file.variables["AprioriSourceList"].data]
            angles = np.array(file.variables["AprioriSource2000RaDec"].data)
        assert len(names) > 80
        for name, (ra, dec) in zip(names, angles, strict=True):
            apart = np.linalg.norm(get_source(name).direction - unit_vector(ra, dec))
            assert apart < 1.0 * MAS, name  # catalogues of different years

    def test_file_is_what_its_generator_writes(self, data_dir: Path) -> None:
        spec = importlib.util.spec_from_file_location("make", ROOT / "tools/make_sources.py")
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
        committed = (ROOT / "src/kitestring/data/sources.csv.gz").read_bytes()
        # zlib versions may pack differently: compare what is inside
        assert tool.gzip.decompress(committed) == tool.gzip.decompress(
            tool.compress(data_dir / "catalogs")
        )
        assert len(committed) < 600_000


class TestSearch:
    def test_sorted_and_within_the_radius(self) -> None:
        centre = unit_vector(1.0, 0.4)
        radius = np.radians(5.0)
        found = calibrators_near(centre, radius)
        angles = [angle for _, angle in found]
        assert angles == sorted(angles)
        by_cosine = [s for s in all_sources() if s.direction @ centre >= np.cos(radius)]
        assert {s.name for s, _ in found} == {s.name for s in by_cosine}
        assert len(found) > 5
        for source, angle in found:
            assert np.cos(angle) == pytest.approx(source.direction @ centre, abs=1e-14)

    def test_flux_is_the_unresolved_one(self) -> None:
        bright = calibrators_near(get_source("3C273").direction, 0.1, min_flux=0.3)
        assert all(source.flux_unresolved >= 0.3 for source, _ in bright)
        names = [source.name for source, _ in bright]
        assert names[0] == "1226+023"
        everything = calibrators_near(get_source("3C273").direction, 0.1)
        assert len(everything) > len(bright) > 1

    def test_angles_serve_as_direction(self) -> None:
        source = get_source("OJ287")
        by_angles = calibrators_near((source.ra, source.dec), 0.05)
        assert by_angles[0][0] is source
        assert len(by_angles) == len(calibrators_near(source.direction, 0.05))

    def test_whole_sky(self) -> None:
        assert len(calibrators_near((0.0, 0.0), np.pi)) == len(all_sources())

    @pytest.mark.parametrize("wrong", [(1.0,), (1.0, 1.0, 1.0), (0.0, 0.0, np.nan)])
    def test_not_a_direction(self, wrong: tuple[float, ...]) -> None:
        with pytest.raises(ConfigurationError, match="unit vector"):
            calibrators_near(wrong, 0.1)
