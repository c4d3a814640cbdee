"""The pages of `parexec_tui/docs`, to be read in a terminal: each page is a topic of `parexec help`.

On a terminal a page is laid out, and goes through the pager when it is taller than the screen. Into a pipe, and where
the terminal has no UTF-8, it goes as it is written, which is plain text.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

FOLDER = Path(__file__).parents[1] / "docs"

MAX_WIDTH = 100
"""Cells in a line: longer ones are hard to read."""

_BOXES = str.maketrans("─│┌┐└┘├┤┬┴┼▶◀▲▼▸░▒", "-|+++++++++><^v>/~")
"""What drawings are made of, and what the screen draws for it in ASCII."""

_STYLES = {
    "markdown.h1": "bold underline",
    "markdown.h2": "bold underline",
    "markdown.h3": "bold",
    "markdown.code": "bold cyan",
    "markdown.code_block": "cyan",
    "markdown.table.header": "bold",
    "markdown.table.border": "dim",
}


def topics() -> list[str]:
    """The names of all pages."""
    return sorted(file.stem for file in FOLDER.glob("*.md"))


def title(topic: str) -> str:
    """The heading of a page. Raises OSError."""
    with (FOLDER / f"{topic}.md").open(encoding="utf-8") as file:
        return file.readline().removeprefix("# ").strip()


def begins_with(topic: str, word: str) -> bool:
    """Whether a word is the beginning of a topic, or of a part of it: `set` and `themes` of `settings-and-themes`."""
    return any(part.startswith(word) for part in (topic, *topic.split("-")))


def near(word: str, verbs: Iterable[str]) -> list[str]:
    """The verbs and topics that a mistyped word may have meant, nearest first."""
    from difflib import get_close_matches

    parts = {part: topic for topic in topics() for part in topic.split("-") if len(part) > len("and")}
    known = {**parts, **{name: name for name in (*verbs, *topics())}}
    return list(dict.fromkeys(known[name] for name in get_close_matches(word.lower(), known)))


def show(topic: str) -> None:
    """Print a page. Raises OSError."""
    text = (FOLDER / f"{topic}.md").read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("<!--"))
    if not _can_lay_out():
        click.echo(in_ascii(text) if _is_ascii_only() else text)
        return
    from rich.console import Console
    from rich.theme import Theme

    console = Console(theme=Theme(_STYLES), highlight=False)
    page = _laid_out(text, console)
    if len(page.splitlines()) >= console.height:
        click.echo_via_pager(page)
    else:
        click.echo(page, nl=False)


def _can_lay_out() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not _is_ascii_only()


def _is_ascii_only() -> bool:
    from parexec_tui.text.words import is_ascii_only

    return is_ascii_only(sys.stdout)


def in_ascii(text: str) -> str:
    """The text with letters in the place of signs and drawings."""
    from parexec_tui.core.state.status import TABLE

    text = text.translate(_BOXES).translate({ord(row.glyph): row.ascii_glyph for row in TABLE.values()})
    for sign, letters in (
        ("→  ", "-> "),
        ("→", "->"),
        ("  ←", " <-"),
        ("←", "<-"),
        ("…", "..."),
        ("≥", ">="),
        ("⏎", "\\n"),
    ):
        text = text.replace(sign, letters)
    return text.encode("ascii", "replace").decode()


def _laid_out(text: str, console: "Console") -> str:
    """The page as it looks in this terminal, with its escape sequences."""
    from rich.markdown import Markdown

    page = Markdown(text, code_theme="ansi_dark", hyperlinks=False)
    with console.capture() as capture:
        console.print(page, width=min(console.width, MAX_WIDTH))
    return capture.get()
