"""Checks: what is looked at every so often while a ticket runs."""

import re
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta, Struct

from parexec_tui.core.plan.units import Duration, Size, format_size

MOST_CHECKS = 20
"""Checks of one ticket."""

MOST_STARS = 4
"""In a pattern: each more makes the search in a long line slower by the length of the line."""

USUAL = 10.0
"""Seconds between two looks, unless a plan says otherwise."""

SHORTEST = 0.1
"""Seconds between two looks, at least."""


class RunningCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One check: a file that must grow, words that must not be printed, or memory that must not be used."""

    name: Annotated[str, Meta(description="What the check is called; absent: by what it looks at.")] = ""
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
        if self.max_memory is not None:
            return f"memory up to {format_size(self.max_memory)}"
        return f"{self.grows} grows" if self.grows else f"no {self.forbid}"


@lru_cache(maxsize=200)
def forbidden(pattern: str) -> re.Pattern[bytes]:
    """What finds a `forbid` in output."""
    return re.compile(b"[^\n]*".join(re.escape(part.encode()) for part in pattern.split("*")))
