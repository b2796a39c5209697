"""Turns the equations of a page into MathML while the site is built: showing them takes no script and no network."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """What mkdocs calls with the HTML of a page, before its template."""
    return _EQUATION.sub(_as_mathml, content)


def _as_mathml(found: re.Match[str]) -> str:
    element, bracket, latex = found.groups()
    mathml = convert(html.unescape(latex), display="block" if bracket == "[" else "inline")
    return f'<{element} class="equation">{mathml}</{element}>'
