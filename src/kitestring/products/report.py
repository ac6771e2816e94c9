"""The report: one HTML file that needs nothing else, with its pictures inside.

It runs no script and fetches nothing, so that it can be mailed, archived and
opened in twenty years. The same content gives the same bytes.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import matplotlib as mpl
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from kitestring import __version__
from kitestring._write import write_atomically
from kitestring.errors import ConfigurationError

MAX_SVG_BYTES = 150_000
"""A picture that is larger as SVG is embedded as PNG: 60 pictures stay below 10 MB."""

OPEN_PICTURES = 4
"""Pictures of a section that are seen at once; what follows is folded into a grid."""

OPEN_ROWS = 60
"""A table with more rows is folded."""

_RASTER_DPI = 84  # of rasterised artists inside an SVG
_PNG_DPI = (120, 80)  # the first that keeps to the limit, or else the last
_NUMBER = re.compile(
    r"[+\-−±]?(\d[\d,]*\.?\d*|\.\d+)([eE][+\-−]?\d+)?(\s*±.*|\s*%)?$|nan$|[+\-−]?inf$"
)
_SVG_START = re.compile(r"^.*?<svg\b[^>]*?viewBox=\"([^\"]+)\"[^>]*>", re.DOTALL)
_SVG_NOISE = re.compile(
    r"<!--.*?-->|<metadata>.*?</metadata>|<style type=\"text/css\">.*?</style>", re.DOTALL
)


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    header : sequence of str
        Names of the columns, units among them.
    rows : sequence of sequence of str
        Cells, as they are to be read.
    caption : str
        What it shows.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise ConfigurationError(
                    f"row {number} of table {self.caption!r} has {len(row)} cells for "
                    f"{len(self.header)} columns.",
                    next_step="Give every column a cell; an empty text will do.",
                )

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers only, and are set flush right."""
        return tuple(
            bool(self.rows) and all(_NUMBER.match(cell) or not cell for cell in column)
            for column in (list(c) for c in zip(*self.rows, strict=True))
        ) or (False,) * len(self.header)


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its caption.

    Attributes
    ----------
    caption : str
        What it shows; who cannot see the picture is read this.
    figure : matplotlib.figure.Figure
        Drawn as it is; large point clouds are better rasterised in it.
    """

    caption: str
    figure: Figure


@dataclass(frozen=True, eq=False)
class Section:
    """A part of the report.

    Attributes
    ----------
    title : str
        Heading, also in the table of contents.
    text : str
        Plain text; an empty line begins a paragraph.
    tables : sequence of Table
        Come after the text.
    pictures : sequence of Picture
        Come after the tables, the most telling first: those after
        `OPEN_PICTURES` are folded.
    notes : sequence of str
        What the reader must not miss, such as warnings.
    """

    title: str
    text: str
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class _Drawn:
    """A picture as the template takes it."""

    caption: str
    markup: Markup


def write_report(
    path: str | Path,
    *,
    title: str,
    subtitle: str,
    facts: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    made_by: Mapping[str, str],
    max_svg_bytes: int = MAX_SVG_BYTES,
) -> None:
    """Write a report as one HTML file.

    Every text is taken literally: markup in it is shown, not obeyed.

    Parameters
    ----------
    path : path
        File to be written; it appears whole or not at all.
    title, subtitle : str
        Head of the page.
    facts : sequence of (str, str)
        What a reader in a hurry wants: name and value, values with units.
    sections : sequence of Section
        The body, in order.
    made_by : mapping of str to str
        How it came about: version, inputs with checksums, models, date of the
        Earth orientation. The version of Kitestring is added where absent.
    max_svg_bytes : int
        A picture whose SVG is larger is embedded as PNG.

    Raises
    ------
    OSError
        Where the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> table = Table(("parameter", "value (m)"), (("x", "+12.5"),), "The state")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "report.html"
    ...     write_report(file, title="Probe", subtitle="", facts=[("rms", "31 ps")],
    ...                  sections=[Section("Orbit", "It was found.", (table,))], made_by={})
    ...     "<h2>Orbit</h2>" in file.read_text(encoding="utf-8")
    True
    """
    drawn: list[list[_Drawn]] = []
    number = 0
    for section in sections:
        drawn.append([])
        for picture in section.pictures:
            number += 1
            drawn[-1].append(_Drawn(picture.caption, _embed(picture, number, max_svg_bytes)))
    page = _template().render(
        title=title,
        subtitle=subtitle,
        facts=list(facts),
        sections=[
            {
                "title": section.title,
                "paragraphs": [p.strip() for p in re.split(r"\n\s*\n", section.text) if p.strip()],
                "tables": list(section.tables),
                "pictures": pictures,
                "notes": list(section.notes),
            }
            for section, pictures in zip(sections, drawn, strict=True)
        ],
        made_by={"Kitestring": __version__, **made_by},
        open_pictures=OPEN_PICTURES,
        open_rows=OPEN_ROWS,
    )
    write_atomically(path, page + "\n")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("kitestring.products") / "report.html.j2"
    return environment.from_string(source.read_text(encoding="utf-8"))


def _embed(picture: Picture, number: int, limit: int) -> Markup:
    """Return a picture as inline SVG, or as an image where that is too large."""
    svg = _svg(picture, f"p{number}-")
    if len(svg) <= limit:
        return Markup(svg)
    for dpi in _PNG_DPI:
        encoded = base64.b64encode(_png(picture.figure, dpi)).decode()
        if len(encoded) <= limit:
            break
    return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(
        picture.caption, Markup(encoded)
    )


def _save(figure: Figure, kind: str, dpi: float, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    # glyphs as paths: the page must not depend on the fonts of the reader
    with (
        mpl.rc_context(
            {"svg.hashsalt": "kitestring", "svg.fonttype": "path", "savefig.bbox": "standard"}
        ),
        warnings.catch_warnings(),
    ):
        # names in scripts that the fonts at hand lack are drawn as boxes; the text has them
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def _png(figure: Figure, dpi: float) -> bytes:
    """Return a PNG of 256 colours: a third of the bytes where a picture holds noise."""
    drawn = Image.open(io.BytesIO(_save(figure, "png", dpi, {"Software": None})))
    buffer = io.BytesIO()
    few = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _svg(picture: Picture, prefix: str) -> str:
    """Return inline SVG whose names collide with no other picture's."""
    absent = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    text = _save(picture.figure, "svg", _RASTER_DPI, absent).decode()
    found = _SVG_START.match(text)
    assert found is not None  # matplotlib always gives a viewBox
    view = found.group(1)
    width = float(view.split()[2])
    start = Markup(
        '<svg role="img" aria-label="{}" viewBox="{}" style="max-width:{:.0f}pt">'
    ).format(picture.caption, view, width)
    # a style inside inline SVG would rule the whole page; the template's has the same two lines
    body = _SVG_NOISE.sub("", text[found.end() :]).replace("<defs></defs>", "")
    body = re.sub(r'\bid="', f'id="{prefix}', body)
    body = re.sub(r'\b(?:xlink:)?href="#', f'href="#{prefix}', body)
    body = body.replace("url(#", f"url(#{prefix}").replace("xlink:href=", "href=")
    return str(start) + re.sub(r"\n\s*", "\n", body).strip()
