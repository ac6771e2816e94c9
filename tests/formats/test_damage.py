"""Small valid files with bytes dropped, doubled and changed: nothing but our own errors comes."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kitestring.errors import FormatWarning, KitestringError
from kitestring.formats.fdets import read_fdets
from kitestring.formats.oem import read_oem
from kitestring.formats.tdm import read_tdm, write_tdm
from kitestring.model.observable import Kind, SignalPath
from kitestring.model.time import Epoch
from kitestring.observables.types import Observables, UplinkRamps

MUTATIONS = 300
START = Epoch.from_iso("2016-12-31T23:59:59").shifted(np.array([0.0, 1.0]))

OEM = b"""CCSDS_OEM_VERS = 2.0
CREATION_DATE = 2026-02-01T00:00:00
ORIGINATOR = HAND
META_START
OBJECT_NAME = PROBE
OBJECT_ID = 2025-101A
CENTER_NAME = SUN
REF_FRAME = ICRF
TIME_SYSTEM = UTC
START_TIME = 2026-03-01T00:00:00
USEABLE_START_TIME = 2026-03-01T00:30:00
STOP_TIME = 2026-060T02:00:00
INTERPOLATION_DEGREE = 5
META_STOP
COMMENT two states
2026-03-01T00:00:00 1.0E8 2.0E8 3.0E7 -1.5 20.25 3.0
2026-060T02:00:00Z 1.0E8 2.0E8 3.0E7 -1.5 20.25 3.0 0.0 0.0 1e-6
COVARIANCE_START
EPOCH = 2026-03-01T00:00:00
COV_REF_FRAME = ICRF
1
2 3
4 5 6
7 8 9 10
11 12 13 14 15
16 17 18 19 20 21
COVARIANCE_STOP
"""
FDETS = b"""# Observation conducted on 2020.05.29 at Ef rev. 2
# Base frequency: 8412.00 MHz dF: 0.2 Hz dT: 0.00025 s
5.8998e+04 3.1205e+04 6.6e+02 3.9e+02 3.967805057977636810e+06 3.5e-03
5.8998e+04 3.1215e+04 7.5e+02 4.3e+02 3.967798729316501878e+06 2.6e-03
"""
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["drop", "double", "change", "drop line", "double line"]),
        st.floats(0.0, 1.0, exclude_max=True),  # where
        st.integers(1, 30),  # how many bytes
        st.sampled_from(b"0123456789eE.+-,;:=_ \n\t\rTZXnNaAfI\x00\x85\xb2\xd9\xff"),
    ),
    min_size=1,
    max_size=4,
)


def tdm(folder: Path) -> bytes:
    """Return a message with a segment of each kind."""
    two_way = SignalPath(("DSS-55", "PROBE", "DSS-55"), "", 880 / 749, "X", "X", 7e-5, 1e-6)
    delay = SignalPath(("PROBE", "TIANMA65", "URUMQI"), "1741-038", downlink_band="X")
    two = np.full(2, 1.0)
    sets = [
        Observables(Kind.DOPPLER, two_way, START, 8.4e9 * two, 1e-3 * two, 60.0 * two),
        Observables(
            Kind.RANGE, two_way, START, two, two, 0.0 * two, flag=np.array(["rain", "rain"])
        ),
        Observables(Kind.DELTA_DOR, delay, START, 1e-3 * two, 1e-9 * two, two),
    ]
    ramps = UplinkRamps("DSS-55", "X", START, 7.1e9 * two, two)
    write_tdm(folder / "whole.tdm", sets, [ramps], created=START[0])
    return (folder / "whole.tdm").read_bytes()


def read_any_fdets(path: Path) -> Observables:
    return read_fdets(
        path, station="Ef", spacecraft="PROBE", transmitter="DSS-55", turnaround=1.0,
        base_frequency=8.4e9,
    )  # fmt: skip


def damaged(whole: bytes, events: list[tuple[str, float, int, int]]) -> bytes:
    text = whole
    for what, where, count, byte in events:
        if what.endswith("line"):
            lines = text.splitlines(keepends=True)
            at = int(where * len(lines))
            kept = lines[at : at + 1] * 2 if what == "double line" else []
            text = b"".join([*lines[:at], *kept, *lines[at + 1 :]])
            continue
        at = int(where * len(text))
        piece = {"drop": b"", "double": text[at : at + count] * 2, "change": bytes([byte])}[what]
        text = text[:at] + piece + text[at + (1 if what == "change" else count) :]
    return text


@pytest.mark.parametrize(
    ("make", "read"),
    [
        pytest.param(tdm, read_tdm, id="tdm"),
        pytest.param(lambda _: OEM, read_oem, id="oem"),
        pytest.param(lambda _: FDETS, read_any_fdets, id="fdets"),
    ],
)
def test_damage_gives_nothing_but_our_own_errors(
    make: Callable[[Path], bytes], read: Callable[[Path], Any], tmp_path: Path
) -> None:
    whole = make(tmp_path)
    path = tmp_path / "damaged"

    def try_to_read(text: bytes) -> None:
        path.write_bytes(text)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", FormatWarning)
            place = str(path)
            try:
                read(path)
            except KitestringError as error:
                place = error.place
        assert place.startswith(str(path))

    path.write_bytes(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormatWarning)
        assert read(path) is not None  # whole

    @settings(max_examples=MUTATIONS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(EVENTS)
    def all_mutations(events: list[tuple[str, float, int, int]]) -> None:
        try_to_read(damaged(whole, events))

    all_mutations()
