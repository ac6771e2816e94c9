"""Mapping functions beside their authors' routines, and slow twins."""

from math import factorial

import numpy as np
import pytest

from kitestring.model import mapping
from kitestring.model.mapping import gmf_hydrostatic, gmf_wet, gradient_mapping, vmf3
from kitestring.model.time import Epoch

GREEN_BANK = (-1.393397187, 0.6708665767)  # longitude, latitude of the IERS' test case, rad
ROUNDED = 1e-13  # of figures that were printed with 19 digits
DAY = Epoch.from_iso("2026-01-28T00:00:00")


class TestGlobalMappingFunctions:
    def test_case_of_the_iers_routine(self) -> None:
        """The test case at the head of GMF.F, MJD 55055."""
        elevation, epoch = np.pi / 2 - 1.278564131, Epoch.from_mjd(55055.0)
        hydrostatic = gmf_hydrostatic(elevation, *GREEN_BANK, 844.715, epoch)
        assert hydrostatic == pytest.approx(3.425245519339138678, abs=ROUNDED)
        wet = gmf_wet(elevation, *GREEN_BANK, epoch)
        assert wet == pytest.approx(3.449589116182419257, abs=ROUNDED)

    def test_one_at_the_zenith(self) -> None:
        assert gmf_hydrostatic(np.pi / 2, 0.3, -0.8, 900.0, DAY) == pytest.approx(1.0, abs=1e-15)
        assert gmf_wet(np.pi / 2, 0.3, -0.8, DAY) == pytest.approx(1.0, abs=1e-15)

    def test_season_is_reversed_in_the_south(self) -> None:
        july = DAY.shifted(0.5 * 365.25 * 86400.0)
        for latitude, more in ((0.9, 1.0), (-0.9, -1.0)):
            winter = gmf_hydrostatic(0.1, 0.3, latitude, 0.0, DAY)
            summer = gmf_hydrostatic(0.1, 0.3, latitude, 0.0, july)
            assert more * (winter - summer) > 0.0


class TestVmf3:
    # TU Wien's vmf3.m for 37.5 N, 277.5 E, 25 November 2018 0 h, at 38 degrees; printed
    # with 6 decimals, as quoted by Orekit's tests
    PLACE = tuple(np.radians((277.5, 37.5)))
    EPOCH = Epoch.from_iso("2018-11-25T00:00:00")
    A = (0.00123462, 0.00047101)

    def test_case_of_the_authors_routine(self) -> None:
        found = vmf3(np.radians(38.0), *self.A, *self.PLACE, self.EPOCH)
        assert np.array(found) == pytest.approx(np.array([1.621024, 1.623023]), abs=0.6e-6)

    def test_twin(self) -> None:
        """Legendre functions by their sum (Heiskanen & Moritz eq. 1-62), term by term."""
        longitude, latitude = -1.2, -0.7
        turn = 2.0 * np.pi * 123.25 / 365.25
        wave = [1.0, np.cos(turn), np.sin(turn), np.cos(2 * turn), np.sin(2 * turn)]
        found = dict.fromkeys(("bh", "bw", "ch", "cw"), 0.0)
        for table, part, n, m, *rest in mapping._rows("vmf3.csv"):
            turned = np.cos(int(m) * longitude) if part == "a" else np.sin(int(m) * longitude)
            value = legendre(int(n), int(m), np.sin(latitude)) * turned
            found[table] += value * sum(w * float(x) for w, x in zip(wave, rest, strict=True))
        a, b, c = 0.0012, found["bh"], found["ch"]
        sine = np.sin(0.1)
        expected = (1 + a / (1 + b / (1 + c))) / (sine + a / (sine + b / (sine + c)))
        epoch = Epoch.from_iso("2021-05-03T06:00:00")  # day 123.25
        hydrostatic, wet = vmf3(0.1, a, 0.0006, longitude, latitude, epoch)
        assert hydrostatic == pytest.approx(expected, rel=1e-12)
        a, b, c = 0.0006, found["bw"], found["cw"]
        expected = (1 + a / (1 + b / (1 + c))) / (sine + a / (sine + b / (sine + c)))
        assert wet == pytest.approx(expected, rel=1e-12)

    def test_near_the_global_functions(self) -> None:
        """With the global functions' a, their b and c alone differ: 0.3 % at 5 degrees."""
        place = tuple(np.radians((12.9, 49.1)))
        mean, amplitude, mean_wet, amplitude_wet = mapping._gmf_a(*place)
        found = vmf3(np.radians(5.0), mean + amplitude, mean_wet + amplitude_wet, *place, DAY)
        other = gmf_hydrostatic(np.radians(5.0), *place, 0.0, DAY)
        other = np.array([other, gmf_wet(np.radians(5.0), *place, DAY)])
        assert np.array(found) == pytest.approx(other, rel=3e-3)

    def test_many_epochs(self) -> None:
        epochs = self.EPOCH.shifted(86400.0 * np.arange(3.0))
        elevation, a = np.array([0.2, 0.5, 1.0]), np.array([0.00120, 0.00121, 0.00122])
        many = vmf3(elevation, a, 0.5 * a, *self.PLACE, epochs)
        for k in range(3):
            one = vmf3(elevation[k], a[k], 0.5 * a[k], *self.PLACE, epochs[k])
            assert np.array(many)[:, k] == pytest.approx(np.array(one), rel=1e-14)


def legendre(n: int, m: int, t: float) -> float:
    total = sum(
        (-1) ** k
        * factorial(2 * n - 2 * k)
        / (factorial(k) * factorial(n - k) * factorial(n - m - 2 * k))
        * t ** (n - m - 2 * k)
        for k in range((n - m) // 2 + 1)
    )
    return 2.0**-n * (1.0 - t * t) ** (m / 2) * total


def test_day_of_year() -> None:
    epochs = Epoch.from_iso(["2024-12-31T12:00:00", "2025-01-01T00:00:00", "2025-12-31T00:00:00"])
    assert mapping._day_of_year(epochs) == pytest.approx([366.5, 1.0, 365.0])


def test_gradient_mapping() -> None:
    # 1 / (sin e tan e + C), and so 1/C at the horizon
    assert gradient_mapping(0.0) == pytest.approx(1.0 / 0.0032)
    assert gradient_mapping(np.pi / 4, 0.0) == pytest.approx(np.sqrt(2.0))
