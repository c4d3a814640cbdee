"""Whether an attempt wrote what its ticket must write.

What the patterns match is noted in a file before the command begins, so that it is known also by an engine that comes
later. A file counts as written if its sign changed since: a clock that is set back does not matter.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from parexec_tui.core.plan.outputs import Output, parse_output
from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.engine.backends.local.files import Sign, files_of

MAX_NOTED = 100_000
"""Files whose signs are noted for one attempt; of more, any file counts as written by it."""


def note_outputs(note: Path, root: str, outputs: Sequence[str]) -> None:
    """Note what the outputs of a ticket are before its command begins. Raises OSError."""
    signs: dict[str, Sign] = {}
    for written in outputs:
        for path, sign in files_of(parse_output(written, root).pattern):
            signs[path] = sign
            if len(signs) > MAX_NOTED:
                note.write_text("null", encoding="utf-8")
                return
    note.write_text(json.dumps(signs), encoding="utf-8", errors="surrogateescape")


def missing_outputs(note: Path | None, root: str, outputs: Sequence[str]) -> list[str]:
    """What is wrong with the outputs of a ticket whose command is over, in words; nothing if all is well.

    Without a note, it does not matter when they were written.
    """
    try:
        before = (json.loads(note.read_text(encoding="utf-8", errors="surrogateescape")) if note else None) or {}
    except (OSError, ValueError):
        before = {}  # somebody has deleted it: what is there, counts
    signs = {path: Sign(*sign) for path, sign in before.items()}
    return [problem for written in outputs for problem in _problem(parse_output(written, root), signs)]


def are_filled(root: str, patterns: Sequence[str]) -> bool:
    """Whether there is something that is not empty for each of these patterns."""
    found = (files_of(parse_pattern(text, root)) for text in patterns)
    return all(any(sign.size and _leads_somewhere(path) for path, sign in files) for files in found)


def _leads_somewhere(path: str) -> bool:
    """False for a link to what is not there, and for one in a circle."""
    return os.path.exists(path)  # noqa: PTH110


def _problem(output: Output, before: dict[str, Sign]) -> Iterator[str]:
    is_there = is_filled = leads_nowhere = False
    for path, sign in files_of(output.pattern):
        is_written = sign != before.get(path)
        if is_written and sign.size:
            if _leads_somewhere(path):
                return
            leads_nowhere = True
            continue
        is_there = True
        is_filled = is_filled or sign.size > 0
    if output.is_optional:
        return
    if not is_there:
        yield f"output missing: {output.pattern}" + (", a link that leads nowhere" if leads_nowhere else "")
    elif is_filled:
        yield f"output not written by this attempt: {output.pattern}"
    else:
        yield f"output empty: {output.pattern}"
