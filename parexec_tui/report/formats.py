"""In which formats there are reports, and which one the name of a file tells."""

from enum import StrEnum
from pathlib import Path


class Format(StrEnum):
    text = "text"
    md = "md"
    json = "json"
    csv = "csv"
    junit = "junit"
    html = "html"


ENDINGS = {
    ".txt": Format.text,
    ".md": Format.md,
    ".json": Format.json,
    ".csv": Format.csv,
    ".xml": Format.junit,
    ".html": Format.html,
}
"""The end of a file's name tells what is written to it, unless that is said."""


class WriteError(Exception):
    """It cannot be written. The text says why, and what to do."""


def format_of(file: Path) -> Format:
    """The format that the name of a file tells. Raises WriteError."""
    found = ENDINGS.get(file.suffix.lower())
    if found is None:
        known = ", ".join(f"{ending} ({format_})" for ending, format_ in ENDINGS.items())
        raise WriteError(f"the end of the name of {file} does not tell the format: {known}; or say it with --format")
    return found
