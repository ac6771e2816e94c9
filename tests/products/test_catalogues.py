"""Stations and sources are found by name, part of a name, and neighbourhood."""

import json

import numpy as np
import pytest

from kitestring.errors import ConfigurationError, UnknownNameError
from kitestring.model.sources import all_sources, get_source, unit_vector
from kitestring.model.station_file import load_stations
from kitestring.model.stations import Station, StationCatalogue, all_stations, get_station
from kitestring.products.catalogues import (
    find_sources,
    find_stations,
    parse_direction,
    sexagesimal,
)

MILLIARCSECOND = np.pi / 648e6


def names(found):
    return [getattr(f, "station", None) or f.source for f in found]


class TestStations:
    def test_without_names_it_is_the_whole_catalogue(self):
        assert names(find_stations()) == list(all_stations())
        assert all(f.distance is None for f in find_stations())

    def test_a_name_a_code_and_a_part_of_names(self):
        assert names(find_stations(["dss 55", "Ur"])) == [get_station("DSS-55"), get_station("Ur")]
        part = [s.name for s in names(find_stations(["dss-1", "DSS-14"]))]
        assert part == ["DSS-13", "DSS-14", "DSS-15"]  # each once

    def test_near_ones_are_sorted_by_the_length_of_the_baseline(self):
        found = find_stations(near="Sh", within=1.2e6)
        distance = [f.distance for f in found]
        assert distance == sorted(distance)
        assert names(found)[0] is get_station("SESHAN25")
        assert distance[0] == 0.0
        place = get_station("Sh").position
        close = [s for s in all_stations() if np.linalg.norm(s.position - place) <= 1.2e6]
        assert set(names(found)) == set(close)
        assert len(find_stations(near="Sh")) == len(all_stations())
        assert [s.name for s in names(find_stations(["T6", "Ur"], near="Sh"))] == [
            "TIANMA65",
            "URUMQI",
        ]

    def test_a_users_catalogue(self):
        mine = Station("GARDEN", get_station("Wz").position + 10.0)
        catalogue = StationCatalogue.default().extended([mine])
        found = find_stations(near="garden", within=100.0, catalogue=catalogue)
        assert names(found)[0] is mine

    def test_an_unknown_name_is_answered_with_near_ones(self):
        with pytest.raises(UnknownNameError, match="URUMQI"):
            find_stations(["Urumki"])
        with pytest.raises(UnknownNameError):
            find_stations([""])
        with pytest.raises(UnknownNameError, match="TIANMA"):
            find_stations(near="Tianna")

    @pytest.mark.parametrize(
        "wrong", [{"within": 1e3}, {"near": "Ur", "within": -1.0}, {"near": "Ur", "within": np.nan}]
    )
    def test_a_distance_that_means_nothing(self, wrong):
        with pytest.raises(ConfigurationError):
            find_stations(**wrong)
        with pytest.raises(ConfigurationError):
            find_sources(**(wrong | ({"near": "3C84"} if "near" in wrong else {})))

    def test_all_figures_make_the_station_again(self, tmp_path):
        """What is shown is what a file of stations holds: written as one, it is the same."""
        for station in all_stations():
            (found,) = find_stations([station.name])
            told = json.loads(json.dumps(found.to_dict()))
            for key in ("longitude_deg", "latitude_deg", "height_m"):
                del told[key]
            structure = told.pop("structure")
            lines = [f"{k} = {json.dumps(v)}" for k, v in told.items() if v is not None]
            if structure:
                lines.append("[station.structure]")
                lines += [f"{k} = {json.dumps(v)}" for k, v in structure.items()]
            path = tmp_path / "one.toml"
            path.write_text("[[station]]\n" + "\n".join(lines) + "\n", encoding="utf-8")
            (again,) = load_stations(path)
            assert again.names == station.names
            np.testing.assert_array_equal(again.position, station.position)
            np.testing.assert_allclose(again.velocity, station.velocity, rtol=1e-15)
            assert again.epoch.iso(0) == station.epoch.iso(0)
            assert (again.mount, again.axis_offset, again.sigma, again.approximate) == (
                station.mount,
                station.axis_offset,
                station.sigma,
                station.approximate,
            )
            assert again.elevation_limit == pytest.approx(station.elevation_limit, rel=1e-15)
            assert again.structure == station.structure
            for axis in ("axis1_limits", "axis2_limits", "slew"):
                limits = getattr(station, axis) or ()
                assert (getattr(again, axis) or ()) == pytest.approx(limits, rel=1e-15)


class TestSources:
    def test_without_names_it_is_the_whole_catalogue(self):
        assert names(find_sources()) == list(all_sources())

    def test_a_name_and_a_part_of_names(self):
        assert names(find_sources(["3c84"])) == [get_source("3C84")]
        part = [s.name for s in names(find_sources(["1741-"]))]
        assert "1741-038" in part
        assert all("1741-" in "".join(get_source(n).names) for n in part)
        # a designation's digits of declination are no name
        assert "0555-132" not in [s.name for s in names(find_sources(["1741"]))]

    def test_near_ones_that_are_bright(self):
        centre = get_source("1741-038")
        found = find_sources(near="1741-038", within=np.radians(8.0), min_flux=0.2)
        assert names(found)[0] is centre
        angles = [f.angle for f in found]
        assert angles == sorted(angles)
        assert len(found) > 3
        wanted = {
            s.name
            for s in all_sources()
            if s.direction @ centre.direction >= np.cos(np.radians(8.0))
            and s.flux_unresolved >= 0.2
        }
        assert {s.name for s in names(found)} == wanted
        for near in (f"{np.degrees(centre.ra)},{np.degrees(centre.dec)}", centre.direction):
            again = find_sources(near=near, within=np.radians(8.0), min_flux=0.2)
            assert names(again) == names(found)
        (one,) = find_sources(["1730-130"], near="1741-038", within=np.radians(15.0))
        assert one.source.name == "1730-130"
        assert find_sources(["1730-130"], near="1741-038", within=0.01) == []

    def test_flux_alone_leaves_unknown_ones_out(self):
        bright = names(find_sources(min_flux=1.0))
        assert 0 < len(bright) < 200
        assert all(s.flux_unresolved >= 1.0 for s in bright)

    def test_all_figures_are_those_of_the_catalogue(self):
        (found,) = find_sources(["1741-038"], near="1741-038")
        told = found.to_dict()
        source = found.source
        assert np.radians(told["ra_deg"]) == pytest.approx(source.ra, rel=1e-15)
        assert np.radians(told["dec_deg"]) == pytest.approx(source.dec, rel=1e-15)
        assert told["sigma_dec_mas"] * MILLIARCSECOND == pytest.approx(source.sigma_dec)
        assert told["flux_unresolved_jy"] == source.flux_unresolved
        assert told["angle_deg"] == 0.0
        unknown = next(s for s in all_sources() if np.isnan(s.flux))
        (dark,) = find_sources([unknown.name])
        assert dark.to_dict()["flux_jy"] is None
        json.dumps(dark.to_dict(), allow_nan=False)

    def test_an_unknown_name_is_answered_with_near_ones(self):
        with pytest.raises(UnknownNameError, match="1741-038"):
            find_sources(["1741-083"])
        with pytest.raises(UnknownNameError):
            find_sources([" "])
        with pytest.raises(UnknownNameError, match="3C84"):
            find_sources(near="3C 845")


class TestAngles:
    @pytest.mark.parametrize(
        ("text", "ra", "dec"),
        [
            ("265.995,-3.834", 265.995, -3.834),
            (" 0 , 90 ", 0.0, 90.0),
            ("17:43:58.8,-03:50:04.6", 265.995, -(3 + 50 / 60 + 4.6 / 3600)),
            ("00:00:01,-00:00:01", 15 / 3600, -1 / 3600),
            ("12:30,+10", 187.5, 10.0),
        ],
    )
    def test_a_direction_is_read(self, text, ra, dec):
        wanted = unit_vector(np.radians(ra), np.radians(dec))
        np.testing.assert_allclose(parse_direction(text), wanted, atol=1e-15)

    @pytest.mark.parametrize(
        "text", ["5", "5,", "5,100", "-5,3", "370,0", "24:00:01,0", "1:60:00,0", "x,y", "1,2,3",
                 "nan,0", "10,inf"]
    )  # fmt: skip
    def test_what_is_none_is_refused(self, text):
        with pytest.raises(ConfigurationError, match="right ascension"):
            parse_direction(text)

    def test_sexagesimal_carries_and_comes_back(self):
        assert sexagesimal(1.0 - 1e-9, 3) == "01:00:00.000"
        assert sexagesimal(-1e-9, 3, sign=True) == "+00:00:00.000"
        assert sexagesimal(12.5, 0) == "12:30:00"
        for source in all_sources()[::50]:
            ra = sexagesimal(np.degrees(source.ra) / 15.0, 8)
            dec = sexagesimal(np.degrees(source.dec), 7, sign=True)
            apart = np.linalg.norm(parse_direction(f"{ra},{dec}") - source.direction)
            assert apart < 1e-3 * MILLIARCSECOND
