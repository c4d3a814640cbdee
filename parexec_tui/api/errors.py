"""What goes wrong with plans and sessions, for who calls us."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parexec_tui.core.plan.reading.problems import Problem


class ParexecError(Exception):
    """What all errors of this library have in common; the text is for a person, and says what to do."""


class PlanError(ParexecError, ValueError):
    """A plan cannot be used; the text has a line for each mistake: file, line, key, and what to write instead."""

    def __init__(self, problems: "Sequence[Problem]", text: str = "") -> None:
        super().__init__(text or "\n".join(map(str, problems)))
        self.problems = tuple(problems)
        """The mistakes one by one, with `source`, `line`, `column`, `key`, `message` and `hint`; empty if the file as
        a whole cannot be used."""
