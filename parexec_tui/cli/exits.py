"""Exit codes, and errors for people: where a person can do something about it, they get words and no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

from parexec_tui.text.streams import OutputError, abandon

if TYPE_CHECKING:
    from parexec_tui.core.state.session import SessionState

SUCCEEDED, UNSUCCESSFUL, BAD_USAGE, STOPPED = 0, 1, 2, 3
"""Exit codes: all tickets succeeded, or failed and may; some did not; bad plan or usage; stopped by a person."""
TIMED_OUT, INTERRUPTED = 124, 130
"""Exit codes of what waits: the time was up, as `timeout` has it; ctrl-c, as shells have it."""
READER_LEFT = 141
"""The exit code of a command whose reader left, as `head` does: 128 + SIGPIPE, as shells have it."""
NOT_DONE, DONE_IN_PART = 1, 4
"""Exit codes of a verb: it was refused, or found no engine; some of what it named was refused, the rest is done."""


def fail(message: str, code: int = NOT_DONE) -> NoReturn:
    """Print an error and exit."""
    from parexec_tui.text.words import printable

    for line in message.splitlines():
        click.echo(f"parexec: {printable(line)}", err=True)
    sys.exit(code)


def leave_without_output(error: OutputError, code: int = SUCCEEDED, remark: str = "") -> NoReturn:
    """Say that the output cannot be written, and exit: with `code`, unless that says that all is well.

    If the reader of a pipe left, there is nobody to tell.
    """
    abandon(sys.stdout)
    if error.reader_left:
        sys.exit(code or READER_LEFT)
    fail(f"{error}{remark}", code or BAD_USAGE)


@contextmanager
def report_errors() -> Iterator[None]:
    """Print the errors of files and of the registry in plain words, and exit with BAD_USAGE."""
    from parexec_tui.registry.errors import RegistryError, StateLost

    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        text = error.strerror or str(error)
        if isinstance(error, FileNotFoundError) and error.filename is None:  # `os.getcwd` names none
            text = "this folder is not there any more: go to another one"
        fail(f"{error.filename}: {text}" if error.filename and error.strerror else text, BAD_USAGE)
    except StateLost as error:
        fail(str(error), UNSUCCESSFUL)
    except RegistryError as error:
        fail(str(error), BAD_USAGE)


def exit_code(state: "SessionState", outcome: str) -> int:
    """The exit code of `run`, `resume` and `attach`. `outcome`: how the engine left."""
    if outcome == "finished":
        return SUCCEEDED if state.has_succeeded else UNSUCCESSFUL
    asked = state.stopping or state.draining
    return STOPPED if asked is not None and asked.by else UNSUCCESSFUL
