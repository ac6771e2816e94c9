"""The report: one file that fetches nothing, takes texts literally and comes out the same twice."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from kitestring.errors import ConfigurationError
from kitestring.products.report import (
    MAX_SVG_BYTES,
    OPEN_PICTURES,
    OPEN_ROWS,
    Picture,
    Section,
    Table,
    write_report,
)

NASTY = "<script>alert('x')</script> & \"quoted\""
VOID = {"meta", "br", "img", "hr", "link", "input"}
FETCHES = ("src", "href", "srcset", "data", "action", "poster", "xlink:href")


class Page(HTMLParser):
    """Collects what a page holds, and fails where tags do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.links, self.tags = [], [], [], []
        self.data = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._attributes(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self._attributes(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.data += data

    def _attributes(self, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in FETCHES]


def curve(seed=0, points=50, rasterized=False):
    figure = Figure(figsize=(6.0, 3.0), layout="constrained")
    axis = figure.subplots()
    y = np.random.default_rng(seed).normal(size=points)
    axis.plot(np.arange(points), y, ".", rasterized=rasterized)
    axis.fill_between(np.arange(points), y, clip_on=True)
    axis.set_xlabel(f"label {seed} --> <b>")
    return figure


def write(path, sections, **changed):
    content = {
        "title": "Probe",
        "subtitle": "cruise",
        "facts": [("rms", "31 ps")],
        "sections": sections,
        "made_by": {"EOP": "2026-01-01"},
    }
    write_report(path, **{**content, **changed})
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_the_page_holds_what_it_was_given_and_fetches_nothing(tmp_path):
    section = Section(
        "Orbit",
        "First.\n\nSecond.",
        (Table(("name", "km"), (("x", "-1.5"), ("y", "2e-3")), "The state"),),
        (Picture("A curve", curve()), Picture("Another", curve(1))),
        ("Beware.",),
    )
    text, page = write(tmp_path / "r.html", [section])
    for wanted in ("First.", "Second.", "The state", "A curve", "Beware.", "31 ps", "2026-01-01"):
        assert wanted in page.data
    assert page.tags.count("svg") == 2
    assert "script" not in page.tags
    assert "http" not in text
    assert "@import" not in text
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]  # no temporary file is left


def test_names_of_pictures_do_not_collide_and_references_meet(tmp_path):
    pictures = [Picture(f"no {k}", curve(0)) for k in range(3)]  # three times the same
    text, page = write(tmp_path / "r.html", [Section("Fringes", "", (), pictures)])
    assert len(page.ids) == len(set(page.ids))
    wanted = set(re.findall(r"url\(#([^)]+)\)", text))
    wanted |= {link[1:] for link in page.links if link.startswith("#")}
    assert wanted
    assert wanted <= set(page.ids)


def test_texts_are_taken_literally(tmp_path):
    section = Section(
        NASTY, NASTY, (Table((NASTY,), ((NASTY,),), NASTY),), (Picture(NASTY, curve()),), (NASTY,)
    )
    for limit in (MAX_SVG_BYTES, 0):  # as SVG and as PNG
        text, page = write(
            tmp_path / "r.html",
            [section],
            title=NASTY,
            subtitle=NASTY,
            facts=[(NASTY, NASTY)],
            made_by={NASTY: NASTY},
            max_svg_bytes=limit,
        )
        assert "script" not in page.tags
        assert "<script" not in text
        assert page.data.count(NASTY) == 15


def test_the_same_content_gives_the_same_bytes(tmp_path):
    def section():
        return Section("a", "b", (), (Picture("c", curve(3, 5000, rasterized=True)),))

    first, _ = write(tmp_path / "1.html", [section()])
    second, _ = write(tmp_path / "2.html", [section()])
    assert first == second
    assert (
        write(tmp_path / "3.html", [section()], max_svg_bytes=0)[0]
        == (write(tmp_path / "4.html", [section()], max_svg_bytes=0)[0])
    )


def test_many_pictures_and_long_tables_are_folded(tmp_path):
    few, many = (
        Section("s", "", (), [Picture("p", curve())] * count)
        for count in (OPEN_PICTURES, OPEN_PICTURES + 1)
    )
    assert "details" not in write(tmp_path / "r.html", [few])[1].tags
    _, page = write(tmp_path / "r.html", [many])
    assert page.tags.count("details") == 1
    assert "1 more pictures" in page.data
    long = Table(("n",), [(str(k),) for k in range(OPEN_ROWS + 1)], "Residuals")
    _, page = write(tmp_path / "r.html", [Section("s", "", (long,))])
    assert f"Residuals ({OPEN_ROWS + 1} rows)" in page.data


def test_a_heavy_picture_becomes_an_image_and_keeps_to_the_limit(tmp_path):
    heavy = Section("s", "", (), (Picture("cloud", curve(0, 20_000)),))
    text, page = write(tmp_path / "r.html", [heavy])
    assert "img" in page.tags
    assert "svg" not in page.tags
    assert len(text) < MAX_SVG_BYTES + 20_000
    text, page = write(tmp_path / "r.html", [heavy], max_svg_bytes=10**8)
    assert "svg" in page.tags


def test_numbers_are_flush_right_and_ragged_tables_are_refused():
    rows = (("x", "+1.5e-3 ± 2", ""), ("2 m", "-3", "nan"))
    assert Table(("a", "b", "c"), rows).numeric == (False, True, True)
    assert Table(("a", "b"), ()).numeric == (False, False)
    with pytest.raises(ConfigurationError, match="row 1 of table 't' has 1 cells for 2"):
        Table(("a", "b"), (("1", "2"), ("3",)), "t")


def test_a_failed_report_leaves_the_old_one(tmp_path):
    path = tmp_path / "r.html"
    write(path, [Section("good", "")])
    with pytest.raises(AttributeError):
        write(path, [Section("bad", "", (), ("no picture",))])
    assert "good" in path.read_text(encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 1
