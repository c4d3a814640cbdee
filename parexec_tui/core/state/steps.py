"""The steps of an attempt: its command, the last look at what that printed, the look for its outputs, its gates.

The name of a step is unique in its attempt, so each gate that is tried has a process of its own: `gate-2` is the
second gate, `gate-2b` the second of its alternatives, `gate-2b-3` the third start of that.
"""

import re
from typing import NamedTuple

from parexec_tui.core.plan.gates import Gate, GateCommand, listed
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.attempts import Attempt
from parexec_tui.core.state.isolation import unclaimed_rule, works_apart
from parexec_tui.core.state.process_key import (
    CLAIMS,
    COMMIT,
    LAST_LOOK,
    MERGE,
    OUTPUTS,
    OUTPUTS_AGAIN,
    RESOLVE,
    RESTORE,
    ROLLBACK,
    RUN,
    TICKETS,
    TICKETS_AGAIN,
)
from parexec_tui.core.state.session import EngineLost, SessionState
from parexec_tui.core.state.tickets import TicketState

_TITLE = 60
_GATE = re.compile(r"gate-(?P<number>[0-9]+)(?P<letter>[a-z])?(?:-(?P<start>[0-9]+))?").fullmatch


class GateStep(NamedTuple):
    """A start of a gate."""

    number: int
    """Of the gate among those of the ticket, counted from 1."""
    of: int
    """Gates that the ticket has."""
    alternative: int
    """Counted from 0."""
    start: int
    """How often this command was started, with this time."""
    whole: Gate
    """The gate as the plan has it, with its alternatives."""

    @property
    def gate(self) -> GateCommand:
        """What is run."""
        return self.whole.alternatives[self.alternative]

    @property
    def name(self) -> str:
        """The name of the step."""
        letter = chr(ord("a") + self.alternative) if self.whole.any else ""
        return f"gate-{self.number}{letter}" + (f"-{self.start}" if self.start > 1 else "")

    @property
    def title(self) -> str:
        """What people call it, in at most so many characters."""
        title = self.gate.title
        return title if len(title) <= _TITLE else f"{title[: _TITLE - 3]}..."

    @property
    def text(self) -> str:
        """Which gate it is, in words."""
        return gate_text(self.title, self.number, self.of)


def gate_text(title: str, number: int, of: int) -> str:
    """Which gate it is, in words: `gate 2 of 3: lint`."""
    return f"gate {number} of {of}: {title}"


def step_text(state: SessionState, ticket: TicketState) -> str:
    """The check that the current attempt is at, in words; empty while its command runs."""
    if (gate := gate_step(state, ticket)) is not None:
        return gate.text
    step = ticket.live_attempt.step
    if is_owed(state, ticket):
        return f"{'to be taken back' if takes_back(step) else 'decided'}: {OWED}"
    if ticket.live_attempt.lacks:
        return ticket.live_attempt.lacks
    if step == LAST_LOOK:
        return "reading the rest of its output"
    if step == OUTPUTS:
        return "looking for its outputs"
    if step == OUTPUTS_AGAIN:
        return "looking whether its outputs are still there"
    if step == CLAIMS:
        return "looking for what it wrote"
    if step == RESTORE:
        return "restoring its files"
    if step == COMMIT:
        return "committing what it did"
    if step == MERGE:
        return "merging what it did"
    if step in (TICKETS, TICKETS_AGAIN):
        return "reading the tickets that it generated"
    if is_resolve(step):
        return "resolving its conflict"
    return "running its rollback" if is_rollback(step) else ""


OWED = "parexec resume does it"
"""What becomes of a step for which `is_owed` is true."""


def is_owed(state: SessionState, ticket: TicketState) -> bool:
    """Whether what a live ticket did is to be taken back, or merged as a person decided, and no engine does it."""
    attempt, gone = ticket.live_attempt, state.gone
    if gone is None or (isinstance(gone, EngineLost) and gone.is_silent):
        return False
    return attempt.pid is None and (takes_back(attempt.step) or attempt.awaits_engine)


def gates_of(state: SessionState, ticket: TicketState) -> tuple[Gate, ...]:
    """The gates that the newest attempt of a ticket must pass, in order."""
    if ticket.is_gates:
        return listed(ticket.spec.gates)
    assert ticket.attempt is not None
    before = state.plan.agents[state.agents[ticket.attempt.agent].type].gates
    if not (before or ticket.spec.gates):
        return ()
    return (*listed(before), *listed(ticket.spec.gates))


def first_step(ticket: TicketState) -> str:
    """The step that its attempts begin with: the command; of gates the first one."""
    return _name_of_first(listed(ticket.spec.gates)) if ticket.is_gates else RUN


def gate_step(state: SessionState, ticket: TicketState, step: str = "") -> GateStep | None:
    """The gate that is tried in a step, by default the one that the current attempt is at; None if none is."""
    found = _GATE(step or ticket.live_attempt.step)
    if found is None:
        return None
    gates = gates_of(state, ticket)
    number = int(found["number"])
    alternative = ord(found["letter"]) - ord("a") if found["letter"] else 0
    return GateStep(number, len(gates), alternative, int(found["start"] or 1), gates[number - 1])


def step_started(state: SessionState, ticket: TicketState, step: str, now: float) -> ev.StepStarted:
    """The event that the live attempt of a ticket goes on to a step."""
    gate = gate_step(state, ticket, step)
    if gate is None:
        return ev.StepStarted(at=now, ticket=ticket.id, attempt=ticket.attempts, step=step)
    return ev.StepStarted(
        at=now,
        ticket=ticket.id,
        attempt=ticket.attempts,
        step=step,
        title=gate.title,
        number=gate.number,
        of=gate.of,
    )


def step_timeout(state: SessionState, ticket: TicketState) -> float | None:
    """How many seconds the step that the current attempt is at may run; None: as long as it takes."""
    if ticket.live_attempt.step == RUN or is_rollback(ticket.live_attempt.step):
        return own_timeout(state, ticket)
    gate = gate_step(state, ticket)
    if gate is None:
        return None
    return (
        state.plan.settings.finally_timeout
        if ticket.spec.finally_ and gate.gate.timeout is None
        else gate.gate.timeout
    )


def own_timeout(state: SessionState, ticket: TicketState) -> float | None:
    """How many seconds a command of a ticket may run that is no gate; None: as long as it takes."""
    if ticket.spec.finally_ and ticket.spec.timeout is None:
        return state.plan.settings.finally_timeout
    return ticket.spec.timeout


def is_resolve(step: str) -> bool:
    """Whether the command of a person runs in a step that resolves a conflict."""
    return step == RESOLVE or step.startswith(f"{RESOLVE}-")


def next_resolve(started: int) -> str:
    """The step that runs the command of a person which resolves a conflict, after so many of them."""
    return f"{RESOLVE}-{started + 1}" if started else RESOLVE


def previous_resolve(step: str) -> str:
    """The one before such a step; empty if it is the first."""
    number = step.removeprefix(RESOLVE).removeprefix("-")
    return next_resolve(int(number) - 2) if number else ""


def time_left(state: SessionState, ticket: TicketState, now: float) -> float | None:
    """Seconds that the step that the current attempt is at may still run, less than 0 if it ran longer.

    None: as long as it takes, or its worktree or its snapshot is still being made, which is not the time of the
    command.
    """
    timeout, attempt = step_timeout(state, ticket), ticket.live_attempt
    if timeout is None or (attempt.step == RUN and attempt.pid is None and _is_preparing(state, ticket)):
        return None
    return timeout - attempt.step_worked(now)


def _is_preparing(state: SessionState, ticket: TicketState) -> bool:
    """Whether something is still being made without which the command of a ticket does not start."""
    if ticket.spec.snapshot and state.snapshot_of(ticket) is None:
        return True
    made = state.worktrees.get(ticket.id)
    return works_apart(state, ticket) and (made is None or made.made.attempt != ticket.attempts)


_is_rollback = re.compile(rf"{ROLLBACK}(?:-[0-9]+)?").fullmatch


def is_rollback(step: str) -> bool:
    """Whether the command `rollback` of the ticket runs in a step."""
    return _is_rollback(step) is not None


def takes_back(step: str) -> bool:
    """Whether a step takes back what an attempt did."""
    return step == RESTORE or is_rollback(step)


def first_of_rollback(state: SessionState, ticket: TicketState) -> str | None:
    """The step that begins to take back what the newest attempt of a ticket did; None: there is nothing to do."""
    return next_rollback(ticket) if ticket.spec.rollback else after_rollback(state, ticket)


def next_rollback(ticket: TicketState) -> str:
    """The step that starts the command `rollback` of a ticket, once more if it was started before."""
    return _rollback(1 + (ticket.attempt.rollbacks if ticket.attempt is not None else 0))


def last_rollback(attempt: Attempt) -> str:
    """The step that started the command `rollback` of an attempt the last time; it was started."""
    return _rollback(attempt.rollbacks)


def _rollback(start: int) -> str:
    return f"{ROLLBACK}-{start}" if start > 1 else ROLLBACK


def after_rollback(state: SessionState, ticket: TicketState) -> str | None:
    """The step after the command `rollback` of a ticket; None: then all is taken back."""
    attempt = ticket.attempt
    outcome = attempt.outcome if attempt is not None else None
    had_ended = attempt is not None and takes_back(attempt.step) and (outcome is None or outcome.ended_before)
    is_over = attempt is None or attempt.end is not None or had_ended
    has_snapshot = state.snapshot_of(ticket) is not None if is_over else ticket.spec.snapshot
    return RESTORE if has_snapshot else None


def first_proof(state: SessionState, ticket: TicketState) -> str | None:
    """The step after the command of the ticket; None: then it has succeeded."""
    if ticket.spec.checks and any(check.forbid for check in ticket.spec.checks):
        return LAST_LOOK
    return after_last_look(state, ticket)


def after_last_look(state: SessionState, ticket: TicketState) -> str | None:
    """The step after the last look at the output of the command; None: then it has succeeded."""
    return OUTPUTS if ticket.spec.outputs else after_outputs(state, ticket)


def after_outputs(state: SessionState, ticket: TicketState) -> str | None:
    """The step after the look for the outputs; None: then it has succeeded."""
    if works_apart(state, ticket):
        return COMMIT  # which finds out what was written, too
    return CLAIMS if unclaimed_rule(state, ticket) != "off" else first_gate(state, ticket)


def first_gate(state: SessionState, ticket: TicketState) -> str | None:
    """The step in which the first gate is tried; without gates, the one after them."""
    return _gate(state, ticket, 1)


def after_gates(state: SessionState, ticket: TicketState) -> str | None:
    """The step after all gates, and after the second look for the outputs; None: then it has succeeded, or waits for
    approval."""
    return TICKETS if ticket.spec.generates else after_tickets(state, ticket)


def after_merge(ticket: TicketState) -> str | None:
    """The step after what an attempt did was merged; None: then it has succeeded."""
    return TICKETS_AGAIN if ticket.spec.generates else None


def after_tickets(state: SessionState, ticket: TicketState) -> str | None:
    """The step after the generated tickets were read the first time; None: then it has succeeded, or waits for
    approval."""
    if not works_apart(state, ticket) or (ticket.spec.approve == "after" and not ticket.live_attempt.is_approved):
        return None
    return MERGE


def after_gate(state: SessionState, ticket: TicketState, at: GateStep, *, passed: bool) -> str | None:
    """The step after a gate. None: if it passed, the ticket has succeeded, else it has failed."""
    if passed:
        return _gate(state, ticket, at.number + 1)
    if ticket.live_attempt.failed_tries < at.gate.retries:
        return again(at)
    if at.alternative + 1 < len(at.whole.alternatives):
        return _not_begun(ticket, at._replace(alternative=at.alternative + 1, start=1)).name
    return None


def again(at: GateStep) -> str:
    """The step that starts the same command once more."""
    return at._replace(start=at.start + 1).name


def is_next_start(step: str, before: str) -> bool:
    """Whether a step starts the same command of a gate again."""
    new, old = _GATE(step), _GATE(before)
    return new is not None and old is not None and new.group("number", "letter") == old.group("number", "letter")


def _name_of_first(gates: tuple[Gate, ...]) -> str:
    return GateStep(1, len(gates), 0, 1, gates[0]).name


def _gate(state: SessionState, ticket: TicketState, number: int) -> str | None:
    gates = gates_of(state, ticket)
    if number > len(gates):
        return OUTPUTS_AGAIN if gates and ticket.spec.outputs else after_gates(state, ticket)
    first = GateStep(number, len(gates), 0, 1, gates[number - 1])
    return _not_begun(ticket, first).name


def _not_begun(ticket: TicketState, step: GateStep) -> GateStep:
    """The same step under a name that has no process yet."""
    while ticket.attempt is not None and step.name in ticket.attempt.gates_begun:
        step = step._replace(start=step.start + 1)
    return step
