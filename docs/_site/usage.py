"""Shows the list of commands on its page as the command line prints it."""

from __future__ import annotations

from typing import Any

from hatlit.cli import USAGE

MARK = "<!-- hatlit --help -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What mkdocs calls with the text of a page."""
    return markdown.replace(MARK, f"```text\n{USAGE}```")
