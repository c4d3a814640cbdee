"""Reads the pages of `parexec_tui/docs` and the README, for tests that compare them with the code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "parexec_tui" / "docs"
README = ROOT / "README.md"
DEVELOPERS = ROOT / "parexec_tui" / "README.md"
PAGES = sorted(FOLDER.glob("*.md"))


def page(name: str) -> str:
    """The text of a page, by its name without `.md`."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading, down to the next one."""
    (_, below) = re.split(f"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)
    return re.split(r"^#+ ", below, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row in the text, without headings."""
    found = []
    lines = text.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not line.startswith("| ---") and not below.startswith("| ---"):
            found.append([cell.strip() for cell in line.strip().strip("|").split(" | ")])
    return found


def quoted(text: str) -> list[str]:
    """All that stands in backticks, without blocks of code."""
    return re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def first_words(text: str) -> list[str]:
    """The first column of the tables in the text: what stands in backticks there, else the cell itself."""
    return [word for row in rows(text) for word in (quoted(row[0]) or [row[0]])]
