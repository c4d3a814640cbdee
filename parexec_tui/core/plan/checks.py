"""Checks: what is looked at every so often while a ticket runs."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from parexec_tui.core.plan.units import Duration, Size, format_size

MOST_CHECKS = 20
"""Checks of one ticket."""

USUAL = 10.0
"""Seconds between two looks, unless a plan says otherwise."""

SHORTEST = 0.1
"""Seconds between two looks, at least."""


class RunningCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One check: a command that must succeed, a file that must grow, words that must not be printed, or memory that
    must not be used."""

    name: Annotated[str, Meta(description="What the check is called; absent: by what it looks at.")] = ""
    run: Annotated[str, Meta(description="A shell command: the check holds if it succeeds.")] = ""
    timeout: Annotated[Duration | None, Meta(description="How long `run` may take; absent: as long as it takes.")] = (
        None
    )
    grows: Annotated[
        str,
        Meta(description="A pattern of files, seen from the workdir: one must grow or be written anew each time."),
    ] = ""
    forbid: Annotated[
        str, Meta(description="What no line of its output may have; `*` stands for anything in the line.")
    ] = ""
    max_memory: Annotated[Size | None, Meta(description="The most memory that its processes may use together.")] = (
        None
    )
    every: Annotated[Duration | None, Meta(description="How often it is looked at; absent: each 10 seconds.")] = None
    then: Annotated[
        Literal["warn", "freeze", "stop"],
        Meta(
            description="When the check fails: tell a person, freeze the ticket for one, or stop it: it has failed."
        ),
    ] = "warn"

    @property
    def pause(self) -> float:
        """Seconds between two looks."""
        return USUAL if self.every is None else self.every

    @property
    def title(self) -> str:
        """What people call it."""
        if self.name:
            return self.name
        if self.run:
            return " ".join(self.run.split())
        if self.max_memory is not None:
            return f"memory up to {format_size(self.max_memory)}"
        return f"{self.grows} grows" if self.grows else f"no {self.forbid}"


_UNSEEN = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)")


def without_colours(text: bytes) -> bytes:
    """Output without the escape sequences in it: a colour in the middle of a word hides nothing from a search."""
    return _UNSEEN.sub(b"", text) if b"\x1b" in text else text


def find_forbidden(pattern: str, text: bytes) -> int | None:
    """Where a line of output has what a `forbid` names, in bytes; None: no line has it.

    The cost grows with the text and not with the stars: what stands between them is looked for one part after
    another, and the first place of each is as good as any later one.
    """
    parts = [part.encode() for part in pattern.split("*") if part]
    if not all(part in text for part in parts):
        return None
    first, *others = parts or [b""]
    at = text.find(first)
    while at >= 0:
        end = text.find(b"\n", at)
        end = len(text) if end < 0 else end
        if _follow(others, text, at + len(first), end):
            return at
        at = text.find(first, end)
    return None


def _follow(parts: Sequence[bytes], text: bytes, start: int, end: int) -> bool:
    """Whether these parts come one after another between two places."""
    for part in parts:
        if (found := text.find(part, start, end)) < 0:
            return False
        start = found + len(part)
    return True
