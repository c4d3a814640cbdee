"""What the prompt of a coding agent is made of, read when its attempt starts."""

import os

from parexec_tui.agents.brief import Brief
from parexec_tui.agents.prompts import LAST_LINES, LONGEST_OUTPUT
from parexec_tui.core.wire.requests import WorktreeMade
from parexec_tui.engine.backends.local.model_prices import prices_of
from parexec_tui.engine.backends.telling import Telling, composed
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.outputs.log_lines import split
from parexec_tui.paths import SessionFolder

_MOST = 4 << 20
"""Bytes of a file with a prompt."""


class PromptFileError(OSError):
    """A file with a prompt is missing, or is none. The text says which, and why."""


def told(telling: Telling, folder: SessionFolder, made: WorktreeMade | None) -> Brief:
    """The brief of an attempt that starts now. Raises PromptFileError.

    `made`: the worktree that was made for it. Secrets were masked in the output when it was written.
    """
    prompt = read_prompt(telling.prompt_file) if telling.prompt_file else telling.prompt
    output = ""
    if telling.output_of is not None:
        try:
            data = LocalOutput(folder.log(telling.output_of)).tail(4 * LONGEST_OUTPUT)
        except OSError:
            data = b""
        lines = [line.data for line in split(data, 0) if not line.is_rewritten]
        output = b"\n".join(lines[-LAST_LINES:]).decode("utf-8", "replace")
    kept, gone = ("", None) if made is None else (made.left_out, made.aside if made.is_new else None)
    brief = composed(telling, prompt, output, kept=kept, gone=gone)
    return brief._replace(prices=prices_of(brief.model)) if brief.model and brief.prices is None else brief


def read_prompt(path: str) -> str:
    """The prompt that a file has. Raises PromptFileError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:  # a pipe that nobody writes to is empty, and does not block
            data = file.read(_MOST + 1) or b""
    except FileNotFoundError:
        raise PromptFileError(f"prompt_file {path} does not exist") from None
    except OSError as error:
        raise PromptFileError(f"prompt_file {path} cannot be read: {error.strerror}") from None
    if len(data) > _MOST:
        raise PromptFileError(f"prompt_file {path} has more than {_MOST >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptFileError(f"prompt_file {path} is not UTF-8 (byte {error.start})") from None
    if "\0" in text:
        raise PromptFileError(f"prompt_file {path} has a NUL character, which no agent takes")
    if not text.strip():
        raise PromptFileError(f"prompt_file {path} is empty")
    return text
