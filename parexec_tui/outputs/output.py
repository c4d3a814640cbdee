"""The one way to the output of a process. No other module knows where it is.

A viewer is another process than the engine, and reads outputs itself: a large one never goes through the engine.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.outputs.log_file import LogFile
from parexec_tui.paths import id_in_names, session_folder


class Output(Protocol):
    """What one process wrote. It need not be there yet."""

    @property
    def name(self) -> str:
        """Where a person finds it: a path on this machine."""

    def read(self, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from a byte on; empty at the end, and in a gap. Raises FileNotFoundError, OSError."""

    def past_gap(self, offset: int) -> int:
        """The offset, or the end of the gap that it is in: the output is longer than `max_log`. Raises
        FileNotFoundError, OSError."""

    def tail(self, limit: int) -> bytes:
        """The last bytes, at most `limit`. Raises FileNotFoundError, OSError."""

    def grew(self) -> float:
        """When it grew last, in seconds since the epoch. Raises FileNotFoundError, OSError."""

    def follow(self) -> LogFile:
        """For a viewer: lines around any offset, and what becomes of the output meanwhile."""


def output_of(session: str, key: ProcessKey) -> Output:
    """The output of a process of a session. A backend that keeps outputs elsewhere is chosen here."""
    return LocalOutput(session_folder(session).log(key))


def raw_output_of(session: str, key: ProcessKey) -> Output | None:
    """What a coding agent printed, of which the output of its attempt is the story; None: no such agent ran."""
    stream = Path(session_folder(session).of_agent(key).stream)
    return LocalOutput(stream) if stream.exists() else None


def facts_of(session: str, key: ProcessKey) -> Output:
    """What the agent of an attempt did, in facts; of an attempt without a coding agent it is never there."""
    return LocalOutput(Path(session_folder(session).of_agent(key).facts))


def steps_of(session: str, key: ProcessKey) -> Sequence[str]:
    """The steps of the attempt of this key that have an output, the command first."""
    try:
        found = {each.step for each in session_folder(session).recorded() if _is_of(each, key)}
    except OSError:
        return ()
    return sorted(found, key=lambda step: (step != RUN, _parts(step)))


def _parts(step: str) -> list[str | int]:
    """Words and numbers in turns, so that `gate-10` comes after `gate-9`."""
    return [int(part) if part.isdigit() else part for part in re.split("([0-9]+)", step)]


def _is_of(found: ProcessKey, key: ProcessKey) -> bool:
    return found.attempt == key.attempt and found.ticket == id_in_names(key.ticket)
