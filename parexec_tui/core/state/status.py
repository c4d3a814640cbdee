"""The words for where tickets and agents stand, and the one table of what every room needs to know of each.

A new status is a member of `Status` and a row of `TABLE`. The screen, the filters, the help, the reports and the
themes take the rest from its row; mypy names each `match` that must decide what the new status means there.
"""

import re
from enum import StrEnum
from itertools import chain
from typing import Final, Literal, NamedTuple


class Status(StrEnum):
    """Where a ticket is. `Flag` has the words that are shown in its place and are no status."""

    waiting = "waiting"
    backoff = "backoff"
    running = "running"
    validating = "validating"
    """Its command succeeded; its outputs and gates are being checked."""
    stopping = "stopping"
    rolling_back = "rolling back"
    """What its attempt did is being taken back."""
    approval = "approval"
    """Its attempt succeeded, and a person has to approve of it first. Nothing runs, but it keeps its claims."""
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"
    skipped = "skipped"
    waived = "waived"
    """A person decided that it will not run, and that its dependents may run without it."""
    rolled_back = "rolled back"
    """A person had taken back what its attempt did."""


class Flag(StrEnum):
    """What is shown in place of a status, because it says more about the ticket."""

    ready = "ready"
    """It waits, and nothing keeps it from starting but room: see `blockers.blockers`."""
    held = "held"
    """It waits, and a person holds it or its agent types."""
    frozen = "frozen"
    """Its attempt lives and stands still: see `Attempt.freeze`. A freeze does not change its status."""
    conflict = "conflict"
    """Its attempt is over, and what it did conflicts with what is merged: a person has to decide on that. Shown for
    `approval`, and counted apart from it."""
    needs_you = "needs you"
    """Its agent needs a word of a person: its attempt is over, or it asks and waits. Shown for `approval` and
    `running`, and counted apart from them."""
    allowed = "allowed failure"
    """It failed, and `allow_failure` says that the session does not fail for that. Counted apart from `failed`."""
    unwanted = "not wanted"
    """Its `when` says no, or that of a ticket whose success it needs. Shown for `skipped`, and counted apart."""


class End(StrEnum):
    """How an attempt ended. No two of these are ever shown as one; a failed ticket shows its end as its status."""

    succeeded = "succeeded"
    failed = "failed"
    """By its own exit status or a signal."""
    timed_out = "timed out"
    out_of_memory = "out of memory"
    """The kernel ended it, or a part of it, for want of memory, and it failed."""
    could_not_start = "could not start"
    cancelled = "cancelled"
    """By a person."""
    stopped = "stopped"
    """On purpose, with the session or to be reassigned: charges no retry. The ticket waits again."""
    rolled_back = "rolled back"
    """It had ended before, and a person had taken back what it did."""
    lost = "lost"
    """The process vanished without an exit record."""
    limited = "limited"
    """The provider of its agent had enough of the account: charges no retry. The ticket waits again."""
    unavailable = "unavailable"
    """The provider of its agent did not answer: charges no retry. The ticket waits again."""
    not_logged_in = "not logged in"
    """Its agent has no access to its provider: charges no retry. The ticket waits again."""
    bad_setup = "bad setup"
    """Its agent does not start as it is set up: charges no retry. The ticket waits again."""
    needs_you = "needs you"
    """Its agent was not allowed something, or asks."""
    refused = "refused"
    """Its agent does not want to do it."""
    over_budget = "over budget"
    """It cost what it may."""


PUT_BACK: Final = frozenset((End.limited, End.unavailable, End.not_logged_in, End.bad_setup))
"""Ends of coding agents that say nothing of the ticket: it waits again."""

FAILURES: Final = frozenset(
    (
        End.failed,
        End.timed_out,
        End.out_of_memory,
        End.could_not_start,
        End.lost,
        End.refused,
        End.over_budget,
    )
)
"""The ends after which a person wants to know what the attempt printed."""


OWN_FAILURES: Final = FAILURES - {End.could_not_start, End.lost}
"""Failures of what an attempt ran."""

INFRASTRUCTURE: Final = FAILURES - OWN_FAILURES
"""Failures of what an attempt ran on. `retries` may have a budget of their own for them."""


CHECK_FAILED: Final = "check "
"""How the reason of an attempt begins that a check ended."""


def failure_kind(ticket: str, end: str, reason: str, error_line: str, *, is_allowed: bool) -> str:
    """What is the same for tickets that failed alike: how they ended, and what was said about that but for numbers,
    which may be ports, seconds and process ids. That the exit codes of two are the same says nothing, but that the
    same check ended them does; a failure that is allowed is not alike one that is not."""
    is_vague = end == End.timed_out or (end == End.failed and not reason.startswith(CHECK_FAILED))
    said = error_line or ("" if is_vague else reason)
    kind = f"{end}: {_NUMBER.sub('#', said)}" if said else f"{end}: by {ticket} alone"
    return f"{kind}, allowed" if is_allowed else kind


_NUMBER = re.compile(r"[0-9]+")

StopReason = Literal[
    "timed out",
    "cancelled",
    "stopped",
    "reassigned",
    "flooding",
    "check",
    "silent",
    "pressure",
    "service died",
    "service again",
    "undone",
]
"""Why an attempt is ended on purpose. flooding: what it prints would fill the disk. check: a check of its plan
failed. silent: it printed nothing for too long. pressure: the host is
pressed, and it waits again. service died: one that it uses, so it fails; service again: so it is
run again. undone: a person takes back what
they decided about its conflict, and it waits for a decision again."""

WORD_COUNTS: Final[frozenset[StopReason]] = frozenset(("timed out", "silent", "stopped"))
"""An attempt that is ended for these goes on with its next step if its command turns out to have been done before."""


Word = Status | Flag | End
"""What is shown as where a ticket is."""


class StatusRow(NamedTuple):
    """What is true of a word, and how it is shown."""

    word: Word
    glyph: str
    ascii_glyph: str
    list_order: int
    """Place where tickets are sorted or grouped by status, the lowest first: what a person looks for first."""
    header_order: int
    """Place of its count in the header, the lowest first: what is wrong, what runs, the rest. The last ones give way
    first where there is little room."""
    fallback_style: str
    """The meaning whose style a theme uses if it has no style for the word: any that is not a `status-` itself."""
    help: str = ""
    """The line of the help; empty for a word that is never shown as where a ticket stands."""
    is_live: bool = False
    """An attempt exists: the ticket has an agent and holds its claims."""
    is_terminal: bool = False
    """The ticket is accounted for: nothing happens to it unless a person asks."""
    satisfies_dependents: bool = False
    """What needs its success may run."""
    is_problem: bool = False
    """The list of problems has the ticket, whatever else is true of it."""
    short: str = ""
    """The word in at most eleven cells, for columns; empty if the word itself fits."""
    predicate: str = ""
    """What is said of the ticket, after its id; empty for `is` and the word."""


# In the order of the help.
_ROWS: Final = (
    StatusRow(Status.waiting, "·", ".", 60, 60, "dim", "something keeps it from running"),
    StatusRow(Flag.ready, "•", "*", 60, 50, "text", "it may start, given an agent"),
    StatusRow(Flag.held, "║", "|", 60, 25, "hold", "a person keeps it back", is_problem=True),
    StatusRow(Status.running, "▶", ">", 10, 40, "bar-running", "on an agent", is_live=True),
    StatusRow(
        Status.validating, "§", "g", 10, 40, "bar-running", "its command is over, its outputs and gates are checked",
        is_live=True,
    ),
    StatusRow(
        Flag.frozen, "≡", "f", 30, 20, "hold", "its processes stand still, its timeout too",
        is_live=True, is_problem=True,
    ),
    StatusRow(Status.stopping, "■", "s", 20, 35, "warn", "it was told to end", is_live=True, is_problem=True),
    StatusRow(
        Status.approval, "¿", "a", 35, 25, "hold", "it waits for your approval",
        is_problem=True, predicate="waits for approval",
    ),
    StatusRow(
        Flag.conflict, "÷", "d", 34, 24, "hold", "its work conflicts with what is merged: you decide",
        is_problem=True, predicate="is in conflict",
    ),
    StatusRow(
        Flag.needs_you, "☻", "Y", 33, 23, "hold", "its agent was not allowed something, or asks: answer it",
        is_problem=True, predicate="needs you",
    ),
    StatusRow(
        Status.rolling_back, "◄", "b", 20, 35, "warn", "what its attempt did is being taken back",
        is_live=True, is_problem=True, short="rolls back",
    ),
    StatusRow(
        Status.backoff, "«", "r", 50, 30, "warn", "it failed, and waits for its next try",
        is_problem=True, predicate="is in backoff",
    ),
    StatusRow(
        Status.succeeded, "✓", "+", 100, 70, "good", "it ended well",
        is_terminal=True, satisfies_dependents=True, predicate="succeeded",
    ),
    StatusRow(
        Status.failed, "✗", "x", 40, 10, "bad", "it ended badly by itself",
        is_terminal=True, is_problem=True, predicate="failed",
    ),
    StatusRow(
        Flag.allowed, "±", "X", 45, 65, "warn", "it failed, and it may: `allow_failure`",
        is_terminal=True, short="allowed", predicate="failed, which is allowed",
    ),
    StatusRow(End.timed_out, "Θ", "t", 40, 10, "bad", "it took longer than it may", predicate="timed out"),
    StatusRow(
        End.out_of_memory, "Ω", "m", 40, 10, "bad", "the kernel ended it for want of memory",
        short="no memory", predicate="ran out of memory",
    ),
    StatusRow(
        End.could_not_start, "Ø", "n", 40, 10, "bad", "there was nothing to run",
        predicate="could not start",
    ),
    StatusRow(End.lost, "?", "?", 40, 10, "bad", "its process is gone, and nothing tells how it ended"),
    StatusRow(End.refused, "⌐", "N", 40, 10, "bad", "its agent does not want to do it", predicate="was refused"),
    StatusRow(
        End.over_budget, "$", "$", 40, 10, "bad", "it cost what it may", predicate="is over budget",
    ),
    StatusRow(End.stopped, "▬", "_", 60, 60, "warn"),
    StatusRow(End.limited, "≈", "~", 60, 60, "warn"),
    StatusRow(End.unavailable, "◘", "U", 60, 60, "warn", short="unavailable"),
    StatusRow(End.not_logged_in, "◙", "L", 60, 60, "warn", short="no login"),
    StatusRow(End.bad_setup, "¤", "B", 60, 60, "warn"),
    StatusRow(
        Status.cancelled, "¬", "c", 70, 90, "dim", "a person ended it, or decided that it does not run",
        is_terminal=True, is_problem=True,
    ),
    StatusRow(
        Status.skipped, "»", "-", 80, 80, "dim", "something that it needs did not succeed",
        is_terminal=True, is_problem=True,
    ),
    StatusRow(
        Flag.unwanted, "°", "u", 85, 95, "dim", "its `when` says no, or that of a ticket that it needs",
        is_terminal=True,
    ),
    StatusRow(
        Status.rolled_back, "⌂", "0", 70, 90, "dim", "what it did was taken back by a person: retry runs it again",
        is_terminal=True, is_problem=True,
    ),
    StatusRow(
        Status.waived, "∩", "w", 90, 100, "dim", "a person does without it: what needs it may run",
        is_terminal=True, satisfies_dependents=True,
    ),
)  # fmt: skip

TABLE: Final[dict[str, StatusRow]] = {row.word: row for row in _ROWS}
"""The row of each word. A Status and an End that are the same word share it."""

LIVE: Final = frozenset(status for status in Status if TABLE[status].is_live)
"""An attempt exists: the ticket has an agent and holds its claims."""
TERMINAL: Final = frozenset(status for status in Status if TABLE[status].is_terminal)
"""The ticket is accounted for."""
SATISFIED: Final = frozenset(status for status in Status if TABLE[status].satisfies_dependents)
"""What needs its success may run."""
UNSUCCESSFUL: Final = TERMINAL - SATISFIED
"""Terminal without success: what needs its success cannot run."""
ENDED_BADLY: Final = UNSUCCESSFUL - {Status.skipped}
"""Unsuccessful by itself: a skipped ticket only follows from another one."""
PENDING: Final = frozenset(Status) - LIVE - TERMINAL - {Status.approval}
"""No attempt exists, and one will start if nothing keeps it from that."""
_COUNTED_APART: Final[dict[Status, tuple[Flag, ...]]] = {
    Status.running: (Flag.frozen,),
    Status.approval: (Flag.conflict, Flag.needs_you),
    Status.failed: (Flag.allowed,),
    Status.skipped: (Flag.unwanted,),
}
COUNTED: Final[tuple[Status | Flag, ...]] = tuple(
    chain.from_iterable((status, *_COUNTED_APART.get(status, ())) for status in Status)
)
"""The words that tickets are counted by. See `SessionState.shown_counts`."""
GROUPS: Final = {"live": LIVE, "over": TERMINAL}
"""Words that filters know, beside the ones of the table, and the statuses that each means."""


class AgentStatus(StrEnum):
    """What an agent does. A status is a member here and a row of `AGENT_TABLE`."""

    idle = "idle"
    busy = "busy"
    frozen = "frozen"
    """What it runs stands still."""
    held = "held"
    """A person keeps it from taking tickets."""
    draining = "draining"
    """It stops when it has finished what it runs."""
    quarantined = "quarantined"
    """Attempts could not start on it, one after another."""
    stopped = "stopped"


SessionStatus = Literal["running", "held", "frozen", "draining", "stopping", "stopped", "interrupted", "finished"]
"""Where a session is: frozen, it is held and what runs stands still; stopped, its engine left with tickets to run;
interrupted, its engine died."""


class AgentRow(NamedTuple):
    """How a status of agents is shown."""

    status: AgentStatus
    glyph: str
    ascii_glyph: str
    fallback_style: str
    """As for the statuses of tickets."""


AGENT_TABLE: Final = (
    AgentRow(AgentStatus.idle, "○", "o", "dim"),
    AgentRow(AgentStatus.busy, "▶", ">", "bar-running"),
    AgentRow(AgentStatus.frozen, "≡", "f", "hold"),
    AgentRow(AgentStatus.held, "║", "|", "hold"),
    AgentRow(AgentStatus.draining, "↓", "v", "hold"),
    AgentRow(AgentStatus.quarantined, "!", "!", "bad"),
    AgentRow(AgentStatus.stopped, "▬", "_", "warn"),
)
"""In the order in which they can take a ticket: the soonest first."""

AGENT_HELP: Final[dict[AgentStatus, str]] = {
    AgentStatus.idle: "free for a ticket",
    AgentStatus.busy: "it runs a ticket",
    AgentStatus.frozen: "what it runs stands still",
    AgentStatus.held: "a person keeps it from taking tickets",
    AgentStatus.draining: "it finishes what it runs, then stops",
    AgentStatus.quarantined: "three attempts in a row could not start on it",
    AgentStatus.stopped: "it is gone",
}
"""The lines of the help."""


class ServiceStatus(StrEnum):
    """Where a service is. A status is a member here and a row of `SERVICE_TABLE`."""

    waiting = "waiting"
    """No ticket has wanted it yet, or it is to be started again when one does."""
    starting = "starting"
    """Its command runs, and it is not ready."""
    ready = "ready"
    frozen = "frozen"
    """Its processes stand still. Shown in place of starting and ready."""
    stopping = "stopping"
    backoff = "backoff"
    """It died, and is started again after a pause."""
    failed = "failed"
    """It died, and is started again only if a person wants that."""
    stopped = "stopped"
    """No ticket uses it any more, or the session stops."""


class ServiceRow(NamedTuple):
    """How a status of services is shown."""

    status: ServiceStatus
    glyph: str
    ascii_glyph: str
    fallback_style: str
    """As for the statuses of tickets."""
    help: str


SERVICE_TABLE: Final[dict[ServiceStatus, ServiceRow]] = {
    row.status: row
    for row in (
        ServiceRow(ServiceStatus.waiting, "·", ".", "dim", "no ticket wants it yet"),
        ServiceRow(ServiceStatus.starting, "◔", "/", "bar-running", "its command runs, and it is not ready"),
        ServiceRow(ServiceStatus.ready, "◆", "#", "good", "tickets may use it"),
        ServiceRow(ServiceStatus.frozen, "≡", "f", "hold", "its processes stand still"),
        ServiceRow(ServiceStatus.stopping, "■", "s", "warn", "it was told to end"),
        ServiceRow(ServiceStatus.backoff, "«", "r", "warn", "it died, and is started again soon"),
        ServiceRow(ServiceStatus.failed, "✗", "x", "bad", "it died: tickets wait for you to restart it"),
        ServiceRow(ServiceStatus.stopped, "■", "s", "dim", "no ticket uses it any more"),
    )
}

ServiceStop = Literal["unused", "stopped", "restarted", "not ready"]
"""Why a service is ended on purpose. stopped: with the session; restarted: a person wants it; not ready: it took too
long."""


def short_word(word: str) -> str:
    """The word in at most eleven cells, for columns."""
    row = TABLE.get(word)
    return row.short or word if row is not None else word


def predicate(word: str) -> str:
    """What is said of a ticket or an agent, after its id: `is waiting`, `timed out`."""
    row = TABLE.get(word)
    return (row.predicate if row is not None else "") or f"is {word}"


def happened(word: str) -> str:
    """What became of a ticket, to be said after its id: `failed`, `was cancelled`."""
    said = predicate(word)
    return f"was {said.removeprefix('is ')}" if said.startswith("is ") else said
