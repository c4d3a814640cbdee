"""The options of commands that write one thing in several formats, to a file or to standard output."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def writes_as(formats: Sequence[str]) -> Callable[[_Command], _Command]:
    """Give a command the options `--format`, `-o` and `--force`: `format_`, `file`, `force`."""

    def decorate(command: _Command) -> _Command:
        for option in (
            click.option("--force", is_flag=True, help="Replace FILE if there is one."),
            click.option(
                "-o",
                "--output",
                "file",
                type=click.Path(path_type=Path),
                help="The file to write; `-` or no file: standard output.",
            ),
            click.option(
                "--format",
                "format_",
                type=click.Choice(formats),
                help="What to write; default: what the end of the name of FILE tells, else text.",
            ),
        ):
            command = option(command)
        return command

    return decorate
