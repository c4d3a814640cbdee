"""What has to be said of a session now, the worst first: what the banner of the screen shows in a line.

Each piece follows from the state as it is, by the rule that says when a person is needed, or from what is given here.
So a piece is gone once it is not true any more, and there is none while all is well.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from parexec_tui.core.plan.units import format_count
from parexec_tui.core.rules.attention import (
    TAKES_FROM_TICKETS,
    Need,
    NeedKind,
    Subject,
    account_needs,
    agent_needs,
    host_needs,
    service_need,
    session_needs,
    ticket_need,
    type_needs,
)
from parexec_tui.core.schedule.blockers import parallel_blocker
from parexec_tui.core.schedule.root import Root, RootKind, WaitedFor
from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.schedule.roots import roots_of_all
from parexec_tui.core.state.accounts import spent_budgets
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, happened
from parexec_tui.text.coding import rest_facts, rest_text
from parexec_tui.text.host_facts import host_facts
from parexec_tui.text.hosts import problem_text
from parexec_tui.text.pressure import pressed_text, pressure_fact
from parexec_tui.text.roots import Ending, ending_of, fate_text, root_text, waited_for_text
from parexec_tui.text.words import ahead_text, count_alike, how_failed, in_common, printable, short_duration

Tone = Literal["alert", "bad", "warn", "hold", "dim"]
"""How loud a piece is: the meaning whose style it has."""


class Piece(NamedTuple):
    """One thing that has to be said."""

    text: str
    tone: Tone
    subject: Subject | None = None
    """What it is about, where that is something that can be gone to."""
    remedy: Ending | None = None
    """What helps, wherever the person is; for a ticket or an agent: once it is selected."""


class BannerContext(NamedTuple):
    """What is true besides the state."""

    trouble: str = ""
    """Why the engine cannot write to the registry."""
    recent_actions: Sequence[str] = ()
    """What others did a moment ago, the newest first."""
    now: float | None = None
    """The present, to say how long something has been so; None: that is not said."""
    me: str = ""
    """How the requests of the reader are signed."""
    bottleneck: str = ""
    """What one would have more of to save much, in words."""


NO_CONTEXT = BannerContext()

_LONG = 60.0
"""Seconds without a start after which it is said that all places are taken."""


def pieces(state: SessionState, context: BannerContext = NO_CONTEXT) -> Iterator[Piece]:
    """What has to be said, the worst first. It costs what there is to say, not what there is in the plan."""
    if context.trouble:
        yield Piece(f"CANNOT WRITE: {printable(context.trouble)}", "alert")
    needs = {need.subject.kind: need for need in session_needs(state, context.me)}
    yield from _engine(state, context, needs)
    for need in session_needs(state, context.me):
        if need.subject.kind == "host" and need.subject.name in state.pressed:
            text = f"host short of {need.subject.name}: {printable(need.reason)}; nothing starts until there is room"
            yield Piece(text, "alert", need.subject)
    if state.hosts and state.finished_at is None:
        yield from _hosts(state, context)
    for fact in map(pressure_fact, state.ladders.values()):
        yield Piece(pressed_text(fact), "warn" if fact.step in TAKES_FROM_TICKETS else "dim")
    yield from _paused(state, context, needs.get("session"))
    stands_still = len(state.frozen) == len(state.live)
    pauses = tuple(_pauses(state, context))
    if stands_still:
        yield from pauses
    yield from _types(state)
    yield from _answers(state, context)
    yield from _conflicts(state, context)
    yield from _approvals(state, context)
    yield from _services(state)
    yield from _failures(state)
    yield from _warnings(state)
    if state.finished_at is None:
        yield from _agents(state)
    yield from _rests(state, context)
    yield from _budgets(state, context)
    if not stands_still:
        yield from pauses
    yield from _ahead(state)
    yield from _bottleneck(state, context)
    yield from _full(state, context)
    if context.bottleneck:
        yield Piece(printable(context.bottleneck), "dim")
    for action in context.recent_actions:
        if not any(_says(pause, action) for pause in pauses):
            yield Piece(printable(action), "dim")


def _says(pause: Piece, action: str) -> bool:
    """Whether it says as well what somebody did a moment ago: held or froze that."""
    name = pause.remedy.name if pause.remedy is not None else ""
    return bool(name) and action.endswith(tuple(f" {did} {kind}{name}" for did in _PAUSED for kind in _KINDS))


_PAUSED, _KINDS = ("held", "froze"), ("", "agent ", "agent type ")


def _engine(state: SessionState, context: BannerContext, needs: Mapping[NeedKind, Need]) -> Iterator[Piece]:
    """That no engine does anything for it, and since when."""
    root = next((root for root in roots_of_all(state) if root.kind == "engine"), None)
    if root is None:
        return
    if root.how == "silent":
        yield Piece(root_text(root, None), "alert")
        return
    need = needs.get("engine") or needs.get("end")
    text = "; ".join(filter(None, (root_text(root, context.now, context.me), fate_text(state))))
    subject = need.subject if need is not None else None
    yield Piece(text, "alert" if need is not None else "hold", subject, ending_of(root))


def _paused(state: SessionState, context: BannerContext, need: Need | None) -> Iterator[Piece]:
    """What keeps everything from starting because somebody asked for it, or because of a failure."""
    root = next((root for root in roots_of_all(state) if root.kind == "session"), None)
    if root is None or state.finished_at is not None or state.left is not None:
        return
    text = root_text(root, context.now, context.me)
    if root.how == "draining":
        text += ": nothing starts"
    is_loud = root.how in ("held", "frozen") and not (need is not None and need.is_asked_for)
    subject = need.subject if need is not None and root.how in ("held", "frozen") else None
    yield Piece(text, "alert" if is_loud else "hold", subject, ending_of(root))


def _hosts(state: SessionState, context: BannerContext) -> Iterator[Piece]:
    """The other machines that are lost, those that need a person first."""
    now = state.now if context.now is None else context.now
    needy = {need.subject.name: need for need in host_needs(state)}
    for fact in sorted(host_facts(state), key=lambda fact: fact.name not in needy):
        if text := problem_text(fact, now, context.me):
            need = needy.get(fact.name)
            yield Piece(text, "warn" if need is None else "alert", None if need is None else need.subject)


def _services(state: SessionState) -> Iterator[Piece]:
    """The services that failed while tickets want them; those that are frozen."""
    for service in state.services.values():
        need = service_need(service)
        if need is None:
            continue
        said = f"service {service.name} {'is ' if service.is_frozen else ''}{need.reason}"
        left = len(service.left)
        waits = f"; {left} {'ticket uses' if left == 1 else 'tickets use'} it"
        ending = (
            Ending("freeze", "thaw", "thaws", service.name)
            if service.is_frozen
            else Ending("retry", "restart", "restarts", service.name)
        )
        yield Piece(printable(said + waits), "hold" if service.is_frozen else "bad", need.subject, ending)


def _failures(state: SessionState) -> Iterator[Piece]:
    """The newest failure, how many failed as it did, and how many otherwise."""
    ticket = next((ticket for ticket in reversed(state.failed.values()) if not ticket.is_allowed), None)
    if ticket is None or (need := ticket_need(ticket)) is None:
        return
    word = happened(ticket.end or ticket.status)
    alike = len(state.failed_alike[ticket.failed_with])
    others = len(state.failed) - len(state.allowed) - alike
    who = f"{ticket.id} {word}" if alike == 1 else count_alike(ticket, alike)
    how = need.reason if alike == 1 else in_common(ticket.end, how_failed(ticket))
    besides = f" ({format_count(others, 'other failure')})" if others else ""
    text = f"{who}{besides}" if how in ("", word) else f"{who}{besides}: {how}"
    ending = Ending("retry", "retry", "retries", ticket.id)
    if ticket.id in state.half_done:
        ending = Ending("rollback", "rollback", "takes the rest back of", ticket.id)
    yield Piece(printable(text), "bad", need.subject, ending)


def _warnings(state: SessionState) -> Iterator[Piece]:
    """The ticket that runs though a check of it has found something, the first one."""
    for ticket in state.warned.values():
        if not ticket.is_frozen and (need := ticket_need(ticket)) is not None:
            text = _counted(f"{ticket.id}: {need.reason}", len(state.warned), "tickets")
            yield Piece(printable(text), "alert", need.subject)
            return


def _agents(state: SessionState) -> Iterator[Piece]:
    for need in agent_needs(state):
        text = f"{need.subject.name} is quarantined: {need.reason}"
        ending = ending_of(Root("agent", agent=need.subject.name))
        yield Piece(_counted(text, len(state.quarantined), "agents"), "alert", need.subject, ending)
        return


def _approvals(state: SessionState, context: BannerContext) -> Iterator[Piece]:
    """The ticket that waits for approval and that most others wait for."""
    return _to_answer(state, context, "approval", "to approve")


def _conflicts(state: SessionState, context: BannerContext) -> Iterator[Piece]:
    """The ticket whose conflict a person has to decide on, and that most others wait for."""
    return _to_answer(state, context, "conflict", "conflicts")


def _answers(state: SessionState, context: BannerContext) -> Iterator[Piece]:
    """The ticket whose agent needs an answer, and that most others wait for."""
    if not state.has_coding or state.finished_at is not None:
        return
    found = [each for each in roots(state) if each.root.kind == "answer"]
    if found:
        root = found[0].root
        text = _counted(waited_for_text(found[0], None, context.me), len(found), "to answer")
        yield Piece(text, "alert", Subject("ticket", root.ticket), ending_of(root))


def _types(state: SessionState) -> Iterator[Piece]:
    """The agent types that start nothing before a person has mended something."""
    for need in type_needs(state):
        name = need.subject.name
        text = _counted(f"{name} needs you: {need.reason}", len(state.type_troubles), "agent types")
        yield Piece(text, "alert", need.subject, ending_of(Root("type", name=name)))
        return


def _rests(state: SessionState, context: BannerContext) -> Iterator[Piece]:
    """The accounts that rest, one by one: they come back by themselves."""
    if state.finished_at is None and state.gone is None:
        needy = {need.subject for need in account_needs(state)}
        for rest in rest_facts(state):
            subject = Subject("account", rest.account)
            yield Piece(rest_text(rest, context.now), *(("alert", subject) if subject in needy else ("hold",)))


def _budgets(state: SessionState, context: BannerContext) -> Iterator[Piece]:
    """The budgets that keep tickets from starting: they wait until a person raises one."""
    if state.budgets and state.finished_at is None and state.gone is None:
        found = (each for each in roots(state) if each.root.kind == "budget" and each.count)
        needs = {spent: name for name, spent in spent_budgets(state).items()}
        for each in found:
            name = needs.get(each.root.reason)
            subject = None if name is None else Subject("budget", name)
            yield Piece(waited_for_text(each, context.now, context.me), "alert", subject)


def _to_answer(state: SessionState, context: BannerContext, kind: RootKind, what: str) -> Iterator[Piece]:
    if not state.unapproved or state.finished_at is not None:
        return
    found = [each for each in roots(state) if each.root.kind == kind and _needs_somebody(state, each.root)]
    if found:
        root = found[0].root
        text = waited_for_text(found[0], context.now, context.me)
        yield Piece(_counted(text, len(found), what), "hold", _subject(root), ending_of(root))


def _ahead(state: SessionState) -> Iterator[Piece]:
    """The first of the coming conflicts between tickets that work."""
    for each in state.foreseen.values():
        text = f"{each.ticket}: {ahead_text(each.other, each.files, each.count)}"
        yield Piece(_counted(text, len(state.foreseen), "conflicts ahead"), "warn", Subject("ticket", each.ticket))
        return


def _pauses(state: SessionState, context: BannerContext) -> Iterator[Piece]:
    """The freeze or hold that most tickets wait for, of a ticket, an agent or an agent type; before it, one that no
    person asked for."""
    agents = state.agents.values()
    is_asked_frozen = any(ticket.is_check_frozen for ticket in state.asking.values())
    are_held = state.held_back or state.held_types or any(agent.held is not None for agent in agents)
    if not (state.frozen or is_asked_frozen or are_held):
        return
    of_session = state.held is not None and state.held.is_freeze
    pauses = (
        each for each in roots(state) if _is_pause(state, each) and not (of_session and each.root.kind == "frozen")
    )
    found = [each for each in pauses if _needs_somebody(state, each.root)]
    if not found:
        return
    first = next((each for each in found if not _is_asked_for(state, each.root)), found[0])
    text = waited_for_text(first, context.now, context.me)
    yield Piece(_counted(text, len(found), "paused"), "hold", _subject(first.root), ending_of(first.root))


def _needs_somebody(state: SessionState, root: Root) -> bool:
    """Not if it is about a ticket whose turn comes much later, such as one that runs at the end."""
    return not root.ticket or ticket_need(state.tickets[root.ticket]) is not None


def _is_asked_for(state: SessionState, root: Root) -> bool:
    need = ticket_need(state.tickets[root.ticket]) if root.ticket else None
    return need is None or need.is_asked_for


def _bottleneck(state: SessionState, context: BannerContext) -> Iterator[Piece]:
    """The one ticket that runs, if all others wait for it, and some of them only because it has what they claim.

    While the plan alone says that they come after it, all is well, and nothing is said.
    """
    if len(state.live) != 1 or state.ready.keys() <= state.last.keys():
        return
    pending = sum(state.counts[status] for status in PENDING)
    first = next((each for each in roots(state) if each.root.kind == "running"), None)
    if first is not None and first.count == pending and first.is_exact:
        yield Piece(waited_for_text(first, context.now, context.me), "dim")


def _full(state: SessionState, context: BannerContext) -> Iterator[Piece]:
    """That all places are taken, if agents are idle for that and nothing has started for a while."""
    if context.now is None or state.status != "running" or not state.ready or state.pressed:
        return
    blocker = parallel_blocker(state)
    idle = [next(reversed(agents.values())).idle_since for agents in state.available.values() if agents]
    if blocker is None or not idle:
        return
    starts = (ticket.live_attempt.started for ticket in state.live.values())
    if (since := context.now - max(*idle, *starts)) >= _LONG:
        text = f"as many run as may at once: {blocker.text}, for {short_duration(since)}"
        more = ", :parallel +1 lets one more start" if state.tuning is None else ""
        yield Piece(f"{text}; {len(state.ready)} ready{more}", "dim")


def _is_pause(state: SessionState, found: WaitedFor) -> bool:
    root = found.root
    if root.kind == "type" and root.name in state.type_troubles:
        return False
    return root.kind in ("frozen", "held") or (
        found.count > 0 and (root.kind == "type" or (root.kind == "agent" and root.how != "quarantined"))
    )


def _subject(root: Root) -> Subject:
    if root.kind in ("type", "service"):
        return Subject("type" if root.kind == "type" else "service", root.name)
    return Subject("ticket", root.ticket) if root.ticket else Subject("agent", root.agent)


def _counted(text: str, count: int, word: str) -> str:
    """The text, and how many there are like it if it is not alone."""
    return f"{printable(text)} ({count} {word})" if count > 1 else printable(text)
