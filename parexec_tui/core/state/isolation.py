"""Which tickets work apart from the workdir, and what waits to be merged of that."""

from collections.abc import Iterator

from parexec_tui.core.plan.agent_type import on_unclaimed
from parexec_tui.core.plan.ticket import OnUnclaimed
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState


def works_apart(state: SessionState, ticket: TicketState) -> bool:
    """Whether the newest attempt of a ticket works in a worktree."""
    attempt = ticket.attempt
    if not state.has_worktrees or attempt is None or not attempt.agent:
        return False
    return state.plan.agents[state.agents[attempt.agent].type].isolation == "worktree"


def unclaimed_rule(state: SessionState, ticket: TicketState) -> OnUnclaimed:
    """What is done if the newest attempt of a ticket wrote what the ticket does not claim; off: nobody looks."""
    attempt = ticket.attempt
    if attempt is None or not attempt.agent:
        return "off"
    return on_unclaimed(state.plan.agents[state.agents[attempt.agent].type], ticket.spec)


def branch_of(state: SessionState, ticket: str) -> str:
    """The branch of the work of a ticket, without `refs/heads/`."""
    return f"parexec/{state.session}/{branch_part(ticket)}"


def branch_part(ticket: str) -> str:
    """A ticket in the name of a branch: git lets none end in a dot or in `.lock`."""
    return f"{ticket}+" if ticket.endswith((".", ".lock")) else ticket


def target_of(state: SessionState, ticket: TicketState) -> str:
    """The branch that the work of a ticket is merged into, without `refs/heads/`."""
    assert ticket.attempt is not None
    agent_type = state.plan.agents[state.agents[ticket.attempt.agent].type]
    return agent_type.target or f"parexec/{state.session}/@merged"


def conflict_of(state: SessionState, ticket: TicketState) -> ev.WorkConflicted | None:
    """What a ticket conflicts with that waits for a person to decide on that."""
    found = state.worktrees.get(ticket.id)
    return found.conflict if found is not None and ticket.is_in_conflict else None


def lost_text(target: str, commit: str) -> str:
    """That a branch was moved back, in words."""
    return f"{target} has lost what it merged as {commit[:10]}"


def conflicts_ahead(state: SessionState, ticket: str) -> Iterator[tuple[str, ev.ConflictForeseen]]:
    """What of the present work of a ticket will conflict, each with the other ticket."""
    for pair, foreseen in state.foreseen.items():
        if ticket in pair:
            yield pair[pair[0] == ticket], foreseen


def waits_for_merge(state: SessionState, ticket: TicketState) -> bool:
    """Whether the newest attempt of a ticket is over, and what it did is to be merged once a person says so."""
    return ticket.status is Status.approval and ticket.id in state.worktrees and works_apart(state, ticket)
