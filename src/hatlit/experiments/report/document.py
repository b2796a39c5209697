"""A page made of blocks, each of which can say itself in HTML and in Markdown."""

from __future__ import annotations

import base64
import html
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hatlit.experiments.report.drawing import RESOLUTION
from hatlit.experiments.report.html import STYLE, number_columns, table
from hatlit.files import write_atomically

#: Where pictures lie, seen from the page.
PICTURES = "figures"

#: Dots of a screen to the inch, as browsers count them.
SCREEN = 96

#: Wide tables get the room they need, on a screen as on paper.
DOCUMENT_STYLE = f"""{STYLE}
body {{ max-width: 88rem; }} p, pre, figure, .demo {{ max-width: 62rem; }} figure {{ margin: 1rem 0 2rem; }}
figcaption {{ color: #444; }} pre {{ white-space: pre-wrap; overflow-wrap: anywhere; background: #f3f3f3; }}
pre {{ padding: .5rem 1rem; }} .wide {{ overflow-x: auto; }} .wide table {{ font-size: .85em; }}
.wide td, .wide th {{ padding: .25rem .45rem; }}
.wide td:last-child {{ overflow-wrap: anywhere; min-width: 6em; }} .demo {{ border: 1px solid #b8860b; }}
@page {{ size: A4 landscape; margin: 12mm; }}
@media print {{
  body {{ max-width: none; margin: 0; padding: 0; font-size: 10pt; color: #000; }} .wide {{ overflow: visible; }}
  .wide table {{ font-size: 7pt; }} .wide td, .wide th {{ padding: .1rem .25rem; }}
  .wide td:first-child {{ white-space: normal; overflow-wrap: anywhere; min-width: 14em; }}
  thead {{ display: table-header-group; }}
  tr, figure {{ break-inside: avoid; }} h2 {{ break-after: avoid; }} figure img {{ max-height: 150mm; width: auto; }}
}}
"""


class Block(Protocol):
    """A part of a page."""

    def html(self) -> str:
        """This part in HTML."""
        ...

    def markdown(self) -> str:
        """This part in Markdown."""
        ...


@dataclass(frozen=True)
class Heading:
    """Begins a section; level 1 is the title of the page."""

    text: str
    level: int = 2

    def html(self) -> str:
        """This heading in HTML."""
        return f"<h{self.level}>{html.escape(self.text)}</h{self.level}>"

    def markdown(self) -> str:
        """This heading in Markdown."""
        return f"{'#' * self.level} {plain(self.text)}"


@dataclass(frozen=True)
class Paragraph:
    """Some sentences."""

    text: str

    def html(self) -> str:
        """This paragraph in HTML."""
        return f"<p>{html.escape(self.text)}</p>"

    def markdown(self) -> str:
        """This paragraph in Markdown."""
        return plain(self.text)


@dataclass(frozen=True)
class Notice:
    """What nobody should overlook."""

    text: str

    def html(self) -> str:
        """This notice in HTML."""
        return f'<p class="demo">{html.escape(self.text)}</p>'

    def markdown(self) -> str:
        """This notice in Markdown."""
        return f"> **{plain(self.text)}**"


@dataclass(frozen=True)
class Code:
    """What is shown letter by letter."""

    text: str

    def html(self) -> str:
        """This text in HTML."""
        return f"<pre>{html.escape(self.text)}</pre>"

    def markdown(self) -> str:
        """This text in Markdown; indented, because no text can end that from within."""
        return "\n".join(f"    {line}" for line in self.text.splitlines())


@dataclass(frozen=True)
class Table:
    """Rows of texts under the names of their columns."""

    rows: Sequence[Mapping[str, str]]

    def html(self) -> str:
        """This table in HTML."""
        return f'<div class="wide">{table(self.rows)}</div>'

    def markdown(self) -> str:
        """This table in Markdown."""
        numbers = number_columns(self.rows)
        head = list(self.rows[0])
        rules = ["---:" if column in numbers else "---" for column in head]
        rows = [[plain(cell) for cell in row.values()] for row in self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in [[plain(column) for column in head], rules, *rows])


@dataclass(frozen=True)
class Picture:
    """A drawing with its words.

    Attributes:
        name: of the file, without its ending.
        caption: what it shows and how to read it.
        alt: what one who cannot see it should know.
        png: the drawing.
    """

    name: str
    caption: str
    alt: str
    png: bytes

    def html(self) -> str:
        """This picture in HTML, itself and not a link to it."""
        width, height = (round(side * SCREEN / RESOLUTION) for side in struct.unpack(">II", self.png[16:24]))
        data = base64.b64encode(self.png).decode()
        image = (
            f'<img alt="{html.escape(self.alt)}" width="{width}" height="{height}" src="data:image/png;base64,{data}">'
        )
        return f"<figure>{image}<figcaption>{html.escape(self.caption)}</figcaption></figure>"

    def markdown(self) -> str:
        """This picture in Markdown, as a link to its file."""
        alt = plain(self.alt).replace("[", "\\[").replace("]", "\\]")
        return f"![{alt}]({PICTURES}/{self.name}.png)\n\n{plain(self.caption)}"


def as_html(title: str, blocks: Sequence[Block]) -> str:
    """A page that opens offline: it refers to nothing else and runs nothing."""
    body = "\n".join(block.html() for block in (Heading(title, 1), *blocks))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title><style>{DOCUMENT_STYLE}</style></head><body>
{body}
</body></html>
"""


def as_markdown(title: str, blocks: Sequence[Block]) -> str:
    """The same page in Markdown."""
    return "\n\n".join(block.markdown() for block in (Heading(title, 1), *blocks)) + "\n"


def write_document(folder: Path, title: str, blocks: Sequence[Block]) -> None:
    """Writes ``report.html``, ``report.md`` and the pictures of both into a folder."""
    for block in blocks:
        if isinstance(block, Picture):
            write_atomically(folder / PICTURES / f"{block.name}.png", block.png)
    write_atomically(folder / "report.html", as_html(title, blocks))
    write_atomically(folder / "report.md", as_markdown(title, blocks))


def plain(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # An underscore within a word and a bracket that begins no link mean nothing, and most names have one of them.
    return re.sub(r"[\\`*|~]|(?<!\w)_|_(?!\w)|\](?=[(\[:])|^[#+-](?=\s)", r"\\\g<0>", line)
