"""What tickets wait for in the end, in words: the same on the screen, in `why`, `status` and `events`."""

import shlex
from typing import TYPE_CHECKING, NamedTuple

from parexec_tui.core.plan.units import format_count
from parexec_tui.core.schedule.root import Root, WaitedFor
from parexec_tui.core.state.people import by_whom, on_agent
from parexec_tui.core.state.resting import often_text
from parexec_tui.text.coding import until_text
from parexec_tui.text.words import clock, printable, short_duration

if TYPE_CHECKING:  # `parexec status` does without it
    from parexec_tui.core.state.session import SessionState


_SIDES = "--ours|--theirs|--by CMD"
"""How a person decides on a conflict."""


def merge_command(ticket: str, session: str = "") -> str:
    """The command that decides on the conflict of a ticket. `session`: to be named as well."""
    where = ("-s", session) if session else ()
    return f"{shlex.join(('parexec', 'merge', ticket, *where))} {_SIDES}"


def root_text(root: Root, now: float | None, me: str = "") -> str:
    """A root as a sentence: `builder-1 is frozen with compile, by you, for 40s`.

    `now`: the present, to say how long it has been so; None: that is not said. `me`: how the requests of the reader
    are signed, see `client.peer.signature`.
    """
    return printable(_with_cause(_standing(root), root, now, me))


def cause_text(root: Root, now: float | None, me: str = "") -> str:
    """The same of the ticket that it is about, for a line of that ticket: `held by you, for 40s`."""
    word = root.kind if root.kind in ("held", "frozen") else _standing(root)
    if root.kind in ("approval", "conflict", "answer"):
        word = word.removeprefix(f"{root.ticket} ")
    return printable(_with_cause(word, root, now, me).replace(", by ", " by ", 1))


def happens_to(root: Root) -> str:
    """What becomes of the ticket of a root that moves, after its id: `runs`, `is being stopped`."""
    return {"running": "runs", "stopping": "is being stopped", "backoff": "is tried again", "answer": "asks"}.get(
        root.kind, "waits"
    )


def fate_of_live(state: "SessionState") -> str:
    """What becomes of what was live when its engine went: `goes on`, `is ended`; empty while an engine may be there.

    The plan's `on_engine_loss` decides.
    """
    from parexec_tui.core.state.session import EngineLost

    gone = state.gone
    if gone is None or (isinstance(gone, EngineLost) and gone.is_silent):
        return ""
    return "goes on" if state.plan.settings.on_engine_loss == "leave" else "is ended"


def fate_text(state: "SessionState") -> str:
    """The same as a sentence: `what runs goes on`; empty also if nothing was live."""
    fate = fate_of_live(state) if state.live else ""
    return f"what {'runs' if fate == 'goes on' else 'ran'} {fate}" if fate else ""


def _with_cause(words: str, root: Root, now: float | None, me: str) -> str:
    if root.by:
        words += f",{by_whom(root.by, me)}"
    if now is not None and root.kind == "engine" and root.since:  # time stands still without an engine
        words += f", {'last seen at' if root.how in ('lost', 'silent') else 'since'} {clock(root.since)}"
    elif now is not None and root.since:
        words += f", for {short_duration(max(0.0, now - root.since))}"
    if root.kind in ("limit", "outage"):
        words += often_text(root.times)
        words += "; one ticket tries it now" if root.until is None else f" {until_text(root.until, now)}"
    elif now is not None and root.until is not None:
        words += f", in {short_duration(max(0.0, root.until - now))}"
    if root.reason and root.kind not in _WITH_REASON and root.how != "silent":
        words += f": {root.reason}"
    return words


_WITH_REASON = ("host", "resource", "conflict", "room", "budget", "secret")
"""Roots whose words are their reason."""


def waited_for_text(found: WaitedFor, now: float | None, me: str = "") -> str:
    """A root, and how many wait for it: `lint is frozen, by root, for 4m05; 5 wait for it`."""
    text = root_text(found.root, now, me)
    return f"{text}; {waits_text(found)}" if found.count else text


def waits_text(found: WaitedFor) -> str:
    """How many wait: `5 wait for it`, `more than 2000 wait for it`; empty if none does."""
    if not found.count:
        return ""
    if found.root.is_of_all:
        return f"{format_count(found.count, 'ticket')} wait" if found.count != 1 else "1 ticket waits"
    more = "" if found.is_exact else "more than "
    return f"{more}{found.count} wait{'s' if found.count == 1 and not more else ''} for it"


class Ending(NamedTuple):
    """How a person ends a pause or a failure: by a key, and by the command of the same meaning."""

    action: str
    """The key, as the table of actions names it."""
    verb: str
    """The command: `thaw`."""
    does: str
    """What both do: `thaws`."""
    name: str = ""
    """To which ticket, agent or agent type, or `an engine`; empty: to the session."""
    options: str = ""
    """What the command needs besides: a choice of its options."""


def ending_of(root: Root) -> Ending | None:
    """How a person ends this; None if no key and no command does."""
    match root.kind:
        case "session" if root.how in ("stopping", "rolling back"):
            return None
        case "session" if root.how == "frozen":
            return Ending("freeze-all", "thaw", "thaws")
        case "session":
            return Ending("hold-all", "release", "releases")
        case "frozen":
            return Ending("freeze", "thaw", "thaws", root.ticket)
        case "held" | "agent" | "type":
            return Ending("hold", "release", "releases", root.ticket or root.agent or root.name)
        case "limit" | "outage" if root.how:
            return Ending("hold", "release", "releases", root.how)
        case "remote" if root.how in ("held", "draining"):
            return Ending("hold", "release", "releases", f"host:{root.name}")
        case "service" if root.how == "frozen":
            return Ending("freeze", "thaw", "thaws", root.name)
        case "service" if root.how in ("failed", "backoff"):
            return Ending("retry", "restart", "restarts", root.name)
        case "backoff":
            return Ending("retry", "retry", "retries", root.ticket)
        case "approval":
            return Ending("approve", "approve", "approves", root.ticket)
        case "answer":
            return Ending("answer", "answer", "answers", root.ticket, "TEXT")
        case "conflict":
            return Ending("conflict", "merge", "shows both sides of", root.ticket, _SIDES)
        case "engine" if root.how == "budget":
            return Ending("take-over", "resume", "starts", "an engine", "--budget DOLLARS")
        case "engine" if root.how != "silent":
            return Ending("take-over", "resume", "starts", "an engine")
        case _:
            return None


def command_of(root: Root, session: str = "") -> str:
    """The command that ends it: `parexec thaw compile`; empty if none does. `session`: which one to resume."""
    if root.kind == "budget" and not root.ticket:  # no key asks how much
        return " ".join(filter(None, ("parexec scale", root.name, "--budget DOLLARS")))
    if (ending := ending_of(root)) is None:
        return ""
    name = session if root.kind == "engine" else ending.name
    return " ".join(filter(None, (shlex.join(("parexec", *filter(None, (ending.verb, name)))), ending.options)))


def _service(root: Root) -> str:
    match root.how:
        case "backoff":
            return f"service {root.name} died and is started again"
        case "stopping":
            return f"service {root.name} is being stopped"
        case "starting":
            return f"service {root.name} is starting"
        case how:
            return f"service {root.name} {'is frozen' if how == 'frozen' else how}"


_BUSY = {
    "agents": "all agents are busy",
    "memory": "what runs uses the memory",
    "pressure": "too little is left for more",
}


def _standing(root: Root) -> str:
    match root.kind:
        case "frozen":
            return f"{root.agent} is frozen with {root.ticket}" if root.agent else f"{root.ticket} is frozen"
        case "held":
            return f"{root.ticket} is held"
        case "approval" if root.how == "before":
            return f"{root.ticket} waits for your approval before it starts"
        case "approval":
            return f"{root.ticket} has run, and waits for your approval"
        case "conflict":
            return f"{root.ticket} {root.reason or 'is in conflict'}; you decide"
        case "session" if root.how == "rolling back":
            return f"{root.reason} {'is' if root.reason.count(' ') == 0 else 'are'} rolled back first"
        case "session":
            return f"the session {'drains' if root.how == 'draining' else f'is {root.how}'}"
        case "host":
            return f"host short of {root.name}: {root.reason}"
        case "remote" if root.how == "connecting":
            return f"host {root.name} is being reached"
        case "remote":
            return f"host {root.name} {'drains' if root.how == 'draining' else f'is {root.how}'}"
        case "engine" if root.how in ("stopped", "drained"):
            return f"the session is {root.how}"
        case "engine":
            return (
                root.reason or "the engine does not answer" if root.how == "silent" else "no engine runs the session"
            )
        case "agent":
            return f"{root.agent} {'drains' if root.how == 'draining' else f'is {root.how}'}"
        case "type" if root.reason:
            return f"agent type {root.name} needs you"
        case "type":
            return f"agent type {root.name} is held"
        case "limit" | "outage":
            return f"{root.name} {'is limited' if root.kind == 'limit' else 'gets no answer'}"
        case "answer":
            return f"{root.ticket} {root.how or 'needs you'}"
        case "budget":
            return root.reason
        case "service":
            return _service(root)
        case "no-agent":
            return f"no agent is left that could run {root.ticket}"
        case "secret":
            return f"{root.ticket} waits: {root.reason}"
        case "resource" | "room":
            return f"{root.ticket} {root.reason}"
        case "running":
            return f"{root.ticket} runs {on_agent(root.agent)}"
        case "stopping":
            return f"{root.ticket} is being stopped {on_agent(root.agent)}"
        case "backoff":
            return f"{root.ticket} is tried again"
        case "busy":
            return _BUSY.get(root.name, "as many tickets run as may at once")
        case "far":
            return f"{root.ticket} waits itself"
        case "next":
            return f"{root.ticket} starts next"
        case kind:  # of a later version of the engine
            return f"{root.ticket or root.agent or root.name or 'the session'} waits ({kind})"
