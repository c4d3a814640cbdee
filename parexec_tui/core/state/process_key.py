"""What names a process: the ticket, the attempt, and the step of the attempt that it runs."""

import re

from msgspec import Struct

RUN = "run"
"""The step that runs the command of the ticket."""

OUTPUTS = "outputs"
"""The step that looks for what the ticket must have written. No process runs in it."""

OUTPUTS_AGAIN = "outputs-2"
"""The same once more after the last gate: a gate may have removed them. No process runs in it."""

CLAIMS = "claims"
"""The step that looks for what the command wrote and its ticket does not claim. No process runs in it."""

LAST_LOOK = "last-look"
"""The step that looks for forbidden words in what the command printed since the checks looked last. No process runs
in it."""

IF_DONE = "if-done"
"""The step before the first attempt that looks for files by which the ticket is done. No process runs in it. The next
time it is `if-done-2`."""

SKIP_IF = "skip-if"
"""The step before the first attempt whose command says whether the ticket is done. The next time: `skip-if-2`."""

UP_TO_DATE = "up-to-date"
"""The step before the first attempt that compares what the ticket reads and writes with what it was after its last
success. No process runs in it. The next time it is `up-to-date-2`."""

ROLLBACK = "rollback"
"""The step that runs the command that takes back what an attempt did."""

RESTORE = "restore"
"""The step that restores the files of a ticket from a snapshot. No process runs in it."""

COMMIT = "commit"
"""The step that commits what an attempt left in its worktree, and tries to merge it. No process runs in it."""

MERGE = "merge"
"""The step that merges what an attempt did into the target branch. No process runs in it."""

TICKETS = "tickets"
"""The step that reads the tickets which the command generated. No process runs in it."""

TICKETS_AGAIN = "tickets-2"
"""The same once more after what was done is merged. No process runs in it."""

RESOLVE = "resolve"
"""The step that runs the command of a person by which a conflict is resolved. The next time it is `resolve-2`."""

CONDITIONS = (IF_DONE, SKIP_IF, UP_TO_DATE)
"""The steps before the first attempt, without the number of a second time."""

WITHOUT_PROCESS = frozenset(
    (LAST_LOOK, OUTPUTS, OUTPUTS_AGAIN, CLAIMS, RESTORE, COMMIT, MERGE, TICKETS, TICKETS_AGAIN)
)
"""The steps in which no process runs."""

READY = "ready"
"""The step of a service that runs its `ready` again and again until it succeeds."""

STOP = "stop"
"""The step of a service that runs its `stop`."""

_SERVICE = "+"
"""What stands before the name of a service in the place of a ticket. No id of a ticket has it, nor that of gates."""

_CHECK = "check-"


def check_step(number: int) -> str:
    """The name under which the command of a check runs, beside the step `run`. `number`: of the check, from 0 on."""
    return f"{_CHECK}{number + 1}"


def check_number(step: str) -> int:
    """The number of a check, from 0 on, whose command runs under this name."""
    return int(step.removeprefix(_CHECK)) - 1


def is_check(step: str) -> bool:
    """Whether the command of a check runs under this name."""
    return step.startswith(_CHECK)


_is_step = re.compile(r"[a-z][a-z0-9_-]*").fullmatch


def service_of(ticket: str) -> str:
    """The service that is meant where a ticket would stand in the name of a process; empty if it is a ticket."""
    return ticket[1:] if ticket.startswith(_SERVICE) else ""


class ProcessKey(Struct, frozen=True, order=True, gc=False):
    """The name of one process, unique in its session. It is in every path, record, cookie, watch and timer.

    The text form (`str(key)`) is `TICKET.ATTEMPT` for the step `run`, as it was before there were steps, and
    `TICKET.ATTEMPT.STEP` for any other. `parse` reads both back, also for ticket ids with dots: a step begins with
    a letter and has no dot, so the last part of a name is a number or a step.
    """

    ticket: str
    attempt: int
    """Counted from 1; 0 for a step before the first one."""
    step: str = RUN

    @classmethod
    def of_service(cls, name: str, number: int, step: str = RUN) -> "ProcessKey":
        """The name of a process of a service. `number`: how often it was started, with this time."""
        return cls(f"{_SERVICE}{name}", number, step)

    @property
    def service(self) -> str:
        """The name of the service that it is a process of; empty if it is one of a ticket."""
        return service_of(self.ticket)

    def __str__(self) -> str:
        """Raises ValueError for a step that could not be read back."""
        if self.step == RUN:
            return f"{self.ticket}.{self.attempt}"
        if not _is_step(self.step):
            raise ValueError(f"{self.step!r} is not the name of a step")
        return f"{self.ticket}.{self.attempt}.{self.step}"

    @classmethod
    def parse(cls, text: str) -> "ProcessKey | None":
        """The key that has this text form; None if no key has it."""
        ticket, _, last = text.rpartition(".")
        if _is_step(last):
            step = last
            ticket, _, last = ticket.rpartition(".")
        else:
            step = RUN
        if not (ticket and last.isascii() and last.isdigit()):
            return None
        key = cls(ticket, int(last), step)
        return key if str(key) == text else None
