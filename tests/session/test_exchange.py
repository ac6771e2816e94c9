"""Better Earth orientation after the fact: nothing is correlated again, and nothing differs."""

from pathlib import Path

import numpy as np
from astropy_iers_data import IERS_A_FILE

from kitestring.session.file import read_session
from kitestring.session.ledger import Ledger
from kitestring.session.run import Context, run_session
from kitestring.session.signal_stages import load_delta_dor, load_fringes

UT1 = 2e-3  # s; 0.9 m at the equator, 3 ns: far more than a day's prediction errs by
PICOSECOND = 1e-12


def shifted_finals(path):
    """Write the installed finals2000A with another UT1 of bulletin A and B."""
    lines = []
    for line in Path(IERS_A_FILE).read_text(encoding="ascii").splitlines():
        for first, last, digits in ((58, 68, 7), (154, 165, 7)):
            if line[first:last].strip():
                value = float(line[first:last]) + UT1
                line = line[:first] + f"{value:{last - first}.{digits}f}" + line[last:]
        lines.append(line)
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def finished(directory, stage):
    last = Ledger(directory).last(stage)
    return last.event, last.time


def test_orientation_is_exchanged_without_correlating(demo, tmp_path):
    directory = demo.copy(tmp_path / "exchanged")
    shifted_finals(directory / "finals.txt")
    with (directory / "session.toml").open("a", encoding="utf-8") as file:
        file.write('\n[earth]\norientation = "finals.txt"\n')
    session = read_session(directory)
    context = Context(directory, session)
    before, fringes = load_delta_dor(context), load_fringes(context)
    correlated, toned = (finished(directory, stage) for stage in ("correlate", "tones"))
    run_session(directory, threads=1)
    exchanged = load_delta_dor(context)
    assert finished(directory, "correlate") == correlated
    assert finished(directory, "tones") == toned
    # the theory did move, by nanoseconds
    assert np.abs(exchanged.reference_theory - before.reference_theory).max() > 100 * PICOSECOND

    run_session(
        directory, only=["correlate", "tones", "fringe", "delta_dor"], again=True, threads=1
    )
    assert finished(directory, "correlate") != correlated
    again = load_delta_dor(context)
    assert np.abs(again.reference_theory - exchanged.reference_theory).max() < 1e-3 * PICOSECOND
    # other integer samples, other phases: the noise is the same to some hundredths
    difference = np.abs(again.value - exchanged.value)
    assert np.all(difference < 0.2 * exchanged.sigma), difference / exchanged.sigma
    # fringes themselves are totals, whatever was applied
    for old, new in zip(fringes, load_fringes(context), strict=True):
        assert abs(old.delay - new.delay) < 0.2 * old.delay_sigma
