"""What passes between the engine and the minder of a coding agent, in files beside the log of its attempt."""

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

from parexec_tui.agents import brief as briefs
from parexec_tui.agents import ends, minder
from parexec_tui.agents.brief import Brief
from parexec_tui.agents.facts import Fact, count_of, decode, figure_of, number_of, text_of
from parexec_tui.core.wire.requests import Said
from parexec_tui.paths import AgentFiles

_TAIL = 1 << 16
"""Bytes at the end of a file of facts in which the last one is looked for."""


def minder_command(files: AgentFiles) -> tuple[str, ...]:
    """Program and arguments of a minder."""
    return sys.executable, "-I", "-S", minder.__file__, files.brief


def briefed(brief: Brief, files: AgentFiles, argv: Sequence[str], secrets: Iterable[str]) -> Brief:
    """A brief with what the backend knows. `argv`: the command of the agent, where its type has one. `secrets`: the
    names of those that it is given."""
    return brief._replace(
        facts=files.facts,
        stream=files.stream,
        errors=files.errors,
        answers=files.answers,
        program=tuple(argv) or brief.program,
        secrets=tuple(secrets),
    )


def write_brief(brief: Brief, files: AgentFiles) -> None:
    """Write what a minder reads first; a file of facts says from then on that there is one. Raises OSError."""
    for path, text in ((files.facts, ""), (files.brief, briefs.encode(brief))):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)


def has_minder(files: AgentFiles) -> bool:
    """Whether an attempt was started with a minder."""
    return os.path.exists(files.facts)  # noqa: PTH110 - asked of each process that is adopted


def read_said(files: AgentFiles, code: int | None) -> Said | None:
    """How a coding agent ended, as its minder says; None: there was no minder, or it was killed.

    `code`: what the minder exited with, None if it was killed or vanished. Where its last words are torn, that alone
    tells; where it is not known, the last word of the agent does.
    """
    try:
        descriptor = os.open(files.facts, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    facts: list[Fact] = []
    with suppress(OSError):
        try:
            size = os.fstat(descriptor).st_size
            data = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
            facts = [each for line in data.decode("utf-8", "replace").split("\n") if (each := decode(line))]
        finally:
            os.close(descriptor)
    last = next((each for each in reversed(facts) if text_of(each, "fact") in ("end", "last_word", "usage")), {})
    is_end = text_of(last, "fact") in ("end", "last_word")
    if not is_end and code is None:
        return None
    return Said(
        text_of(last, "end") or ends.end_of(code if code is not None else 1),
        text_of(last, "why"),
        number_of(last, "until"),
        text_of(last, "session"),
        text_of(last, "model"),
        figure_of(last, "cost"),
        count_of(last, "inp"),
        count_of(last, "out"),
        count_of(last, "cached"),
        count_of(last, "turns"),
        is_least=last.get("least") is True or not is_end,
        is_computed=last.get("computed") is True,
    )
