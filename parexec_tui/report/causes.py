"""Why a ticket does not run: causes, and the reasons of each kind."""

from enum import StrEnum
from typing import Final, NamedTuple

from parexec_tui.core.plan.claims import Conflict
from parexec_tui.core.plan.family import resource_text


class Cause(StrEnum):
    """Why a ticket does not run."""

    needs = "needs"
    """Other tickets come first: what it needs, the groups before its own, all others."""
    claims = "claims"
    """Another ticket holds, or is first to get, what it claims."""
    slots = "slots"
    """As many run as may run at once."""
    agents = "agents"
    """No agent that can run it is free, and no more of them may be started."""
    limit = "limit"
    """The account of its agents rests until a reset."""
    outage = "outage"
    """The account of its agents rests: its provider does not answer."""
    budget = "budget"
    """What its agents cost would go beyond a budget."""
    services = "services"
    """A service that it uses is not ready."""
    pressure = "pressure"
    """The host is short of something, or pressed for it."""
    holds = "holds"
    """A person, or a rule of the plan, holds or froze it or the session, or ends that."""
    approval = "approval"
    """A person has to approve, or to decide on a conflict."""
    backoff = "backoff"
    """The pause before its next try."""
    questions = "questions"
    """It is found out whether it is done already."""
    engine = "engine"
    """No engine was there."""
    dispatch = "dispatch"
    """Nothing: the engine had not come to it yet."""


CAUSES: Final = {
    Cause.needs: "what comes before it",
    Cause.claims: "claims of others",
    Cause.slots: "tickets that may run at once",
    Cause.agents: "a free agent",
    Cause.limit: "the limit of an account",
    Cause.outage: "a provider to answer",
    Cause.budget: "more budget",
    Cause.services: "a service",
    Cause.pressure: "the host, short of something",
    Cause.holds: "a hold or a freeze",
    Cause.approval: "a person's approval",
    Cause.backoff: "the pause before a next try",
    Cause.questions: "whether it is done already",
    Cause.engine: "an engine",
    Cause.dispatch: "the engine's next look",
}
"""What is waited for, in words."""


class Reason(NamedTuple):
    """A cause, and which of its kind it is."""

    cause: Cause
    name: str = ""
    """The claim (`lock db`), agent types, account, service, resource, or who holds it; empty: there is nothing
    to tell."""
    holder: str = ""
    """The ticket in the way, where there is one."""


class Wait(NamedTuple):
    """A time in which a ticket did not run."""

    start: float
    end: float
    reason: Reason


def claim_name(conflict: Conflict) -> str:
    """What another holds, in a word or two: `lock db`, `writes out`, `gpu`."""
    kind, name = conflict.key
    return resource_text(name) if kind == "resource" else f"{kind} {name}" if kind == "lock" else f"{kind}s {name}"
