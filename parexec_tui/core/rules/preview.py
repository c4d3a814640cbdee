"""What a decision would mean, in plain facts: for `--dry-run`, and for a person who is asked to confirm."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from msgspec import Struct

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_count, format_duration, shown
from parexec_tui.core.rules.downstream import built_on, skips
from parexec_tui.core.rules.wording import POLICIES, budget_words, hosts_lines, types_lines
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.people import on_agent
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End, Status, StopReason

_Ids = tuple[str, ...]
_Kind = TypeVar("_Kind", bound=ev.Event)


class StoppedAttempt(Struct, frozen=True):
    """An attempt that runs now and would be stopped."""

    ticket: str
    agent: str
    seconds: float
    """How long it has run, without the time it was frozen."""
    why: StopReason


class Preview(Struct, frozen=True, kw_only=True):
    """What would happen to which tickets and agents. Each is at most once in a list, in the order of the events."""

    stopped: tuple[StoppedAttempt, ...] = ()
    cancelled: _Ids = ()
    """Without those that run: these are in `stopped`."""
    waived: _Ids = ()
    approved: _Ids = ()
    """Tickets that may start, or have succeeded."""
    answered: _Ids = ()
    denied: _Ids = ()
    """Tickets whose agents go on."""
    merged: _Ids = ()
    """Tickets whose work is merged, and that have succeeded then."""
    again: _Ids = ()
    """Tickets that have run, or were cancelled or waived, and would run again."""
    skipped: _Ids = ()
    """Including those that are skipped later, when an attempt has been stopped to cancel its ticket."""
    restored: _Ids = ()
    """Tickets that were skipped, and may run."""
    rolled_back: _Ids = ()
    """In the order in which it happens."""
    built_on: _Ids = ()
    """Tickets that have run after those that are rolled back, need them, and stay as they are."""
    put_back: _Ids = ()
    """Tickets that an undo makes again what they were before."""
    held: _Ids = ()
    released: _Ids = ()
    frozen: _Ids = ()
    thawed: _Ids = ()
    pinned: tuple[tuple[str, str], ...] = ()
    """(ticket, the agent or agent type it goes to; empty for any)"""
    added: _Ids = ()
    changed: _Ids = ()
    environments: tuple[tuple[str, str], ...] = ()
    """(ticket, the environment variables that it gets, with their values)"""
    dropped: _Ids = ()
    reranked: _Ids = ()
    agents_held: _Ids = ()
    agents_released: _Ids = ()
    agents_draining: _Ids = ()
    """Agents that stop when they have finished what they run."""
    agents_stopped: _Ids = ()
    services_frozen: _Ids = ()
    services_thawed: _Ids = ()
    services_restarted: _Ids = ()
    session: _Ids = ()
    """What becomes of the session and its agent types, in words."""

    @property
    def cost(self) -> str:
        """What is lost by it, in a sentence; empty if nothing is."""
        parts = []
        if len(self.stopped) == 1:
            parts.append(f"stops {self.stopped[0].ticket} after {format_duration(self.stopped[0].seconds)}")
        elif self.stopped:
            longest = max(attempt.seconds for attempt in self.stopped)
            parts.append(
                f"stops {format_count(len(self.stopped), 'ticket')}, the longest after {format_duration(longest)}"
            )
        if self.skipped:
            parts.append(f"{format_count(len(self.skipped), 'dependent')} can no longer run")
        return "; ".join(parts)

    def besides(self, named: Collection[str]) -> Iterator[str]:
        """How many tickets and agents it changes that were not named, kind by kind: `10 skipped`."""
        for text, ids in (
            ("stopped", [attempt.ticket for attempt in self.stopped]),
            ("cancelled", self.cancelled),
            ("skipped", self.skipped),
            ("rolled back", self.rolled_back),
            ("run again", self.again),
            ("no longer skipped", self.restored),
            ("frozen", self.frozen),
            ("thawed", self.thawed),
        ):
            if count := sum(id_ not in named for id_ in ids):
                yield f"{count} {text}"
        for text, ids in (("stopped", self.agents_stopped), ("to stop when done", self.agents_draining)):
            if count := sum(id_ not in named for id_ in ids):
                yield f"{format_count(count, 'agent')} {text}"

    def lines(self) -> Iterator[str]:
        """A line for each fact, first what ends work that is under way."""
        for attempt in self.stopped:
            yield f"{attempt.ticket} is stopped, after {format_duration(attempt.seconds)} {on_agent(attempt.agent)}"
        yield from self.session
        for text, ids in (
            ("cancelled", self.cancelled),
            ("waived, what needs it may run", self.waived),
            ("approved", self.approved),
            ("goes on with the answer", self.answered),
            ("is not allowed it: no yes, but words that it is told", self.denied),
            ("merged", self.merged),
            ("rolled back, in this order", self.rolled_back),
            ("built on that, and stays as it is", self.built_on),
            ("runs again", self.again),
            ("can no longer run", self.skipped),
            ("no longer skipped", self.restored),
            ("as it was before", self.put_back),
            ("added", self.added),
            ("changed", self.changed),
            ("dropped", self.dropped),
            ("held", self.held),
            ("released", self.released),
            ("frozen", self.frozen),
            ("thawed", self.thawed),
            ("new priority", self.reranked),
            ("agents held", self.agents_held),
            ("agents released", self.agents_released),
            ("agents that stop when they are done", self.agents_draining),
            ("agents stopped", self.agents_stopped),
            ("services frozen", self.services_frozen),
            ("services thawed", self.services_thawed),
            ("services restarted", self.services_restarted),
        ):
            if ids:
                yield f"{text}: {listed(ids)}"
        for ticket, variables in self.environments:
            yield f"environment of {ticket}: {variables}"
        for ticket, agent in self.pinned:
            yield f"{ticket} goes to {agent or 'whichever agent can run it'}"


def preview(state: SessionState, events: Sequence[ev.AnyEvent]) -> Preview:
    """What these events, decided but not applied, would change in this state."""
    stops = _of(events, ev.AttemptStopRequested)
    retried = _of(events, ev.TicketRetried)
    rejected = _of(events, ev.TicketRejected)
    asked = _of(events, ev.RollbackAsked)
    amended = _of(events, ev.PlanAmended)
    stopped_agents = _each(event.agent for event in _of(events, ev.AgentStopped))
    draining = (event.agent for event in _of(events, ev.AgentDraining))
    return Preview(
        stopped=tuple(_stopped(state, event) for event in stops),
        cancelled=_each(
            (
                *(event.ticket for event in _of(events, ev.TicketCancelled)),
                *(event.ticket for event in rejected if not _has_run(state, event)),
                *_then(events, Status.cancelled),
            )
        ),
        waived=_each(event.ticket for event in _of(events, ev.TicketWaived)),
        approved=_each(event.ticket for event in _of(events, ev.TicketApproved)),
        answered=_each(event.ticket for event in _of(events, ev.TicketAnswered) if not event.denies),
        denied=_each(event.ticket for event in _of(events, ev.TicketAnswered) if event.denies),
        merged=_each(event.ticket for event in _of(events, ev.MergeStarted)),
        again=_each(
            (
                *(id_ for event in retried for id_ in (event.ticket, *event.rerun)),
                *(event.ticket for event in rejected if _has_run(state, event)),
                *_then(events, Status.waiting),
                *(id_ for event in asked if event.rerun for id_ in reversed(event.tickets)),
            )
        ),
        rolled_back=_each(
            (
                *(
                    id_
                    for event in asked
                    for id_ in event.tickets
                    if state.tickets[id_].status is not Status.rolled_back
                ),
                *(event.ticket for event in _of(events, ev.RollbackStarted)),
            )
        ),
        built_on=_each(
            ticket.id
            for event in asked
            for ticket in built_on(state, dict.fromkeys(event.tickets))
            if ticket.status in (Status.succeeded, Status.approval, Status.backoff)
        ),
        skipped=_each(_skipped(state, events)),
        restored=_each(id_ for event in events if isinstance(event, _RESTORING) for id_ in event.restored),
        put_back=_each(event.ticket for event in _of(events, ev.TicketPutBack)),
        held=_each(event.ticket for event in _of(events, ev.TicketHeld)),
        released=_each(event.ticket for event in _of(events, ev.TicketReleased)),
        frozen=_frozen(events),
        thawed=_thawed(events),
        pinned=tuple((event.ticket, event.agent) for event in _of(events, ev.TicketPinned)),
        added=_each(id_ for event in amended for id_ in event.added),
        changed=_each(id_ for event in amended for id_ in (*event.changed, *event.gates)),
        environments=tuple(_environments(state, amended)),
        dropped=_each(id_ for event in amended for id_ in event.dropped),
        reranked=_each(event.ticket for event in _of(events, ev.PriorityChanged)),
        agents_held=_each(event.agent for event in _of(events, ev.AgentHeld)),
        agents_released=_each(event.agent for event in _of(events, ev.AgentReleased)),
        agents_draining=_each(id_ for id_ in draining if id_ not in stopped_agents),
        agents_stopped=stopped_agents,
        services_frozen=_each(event.service for event in _of(events, ev.ServiceFrozen)),
        services_thawed=_each(event.service for event in _of(events, ev.ServiceThawed)),
        services_restarted=_each(
            event.service for event in events if isinstance(event, ev.ServiceStopRequested | ev.ServiceRenewed)
        ),
        session=(*_session(events), *_out_of_reach(state, events)),
    )


_RESTORING = ev.TicketRetried | ev.TicketWaived | ev.TicketPutBack | ev.PlanAmended


def _of(events: Sequence[ev.AnyEvent], kind: type[_Kind]) -> list[_Kind]:
    return [event for event in events if isinstance(event, kind)]


def _frozen(events: Sequence[ev.AnyEvent]) -> _Ids:
    return _each(event.ticket for event in events if isinstance(event, ev.AttemptFrozen | ev.QuestionFrozen))


def _thawed(events: Sequence[ev.AnyEvent]) -> _Ids:
    return _each(event.ticket for event in events if isinstance(event, ev.AttemptThawed | ev.QuestionThawed))


def _each(ids: Iterable[str]) -> _Ids:
    return tuple(dict.fromkeys(ids))


def _environments(state: SessionState, amended: Sequence[ev.PlanAmended]) -> Iterator[tuple[str, str]]:
    for event in amended:
        for id_, spec in event.changed.items():
            old = state.tickets[id_].spec.env
            if spec.env != old:
                new = [f"{name}={shown(value)}" for name, value in spec.env.items() if old.get(name) != value]
                yield id_, listed(new + [f"no {name}" for name in old if name not in spec.env])


def _has_run(state: SessionState, event: ev.TicketRejected) -> bool:
    return state.tickets[event.ticket].status is Status.approval


def _then(events: Sequence[ev.AnyEvent], status: Status) -> Iterator[str]:
    """The tickets that come there when what they did is taken back."""
    for event in _of(events, ev.RollbackStarted):
        if event.outcome is not None and event.outcome.then is status:
            yield event.ticket


def _stopped(state: SessionState, event: ev.AttemptStopRequested) -> StoppedAttempt:
    ticket = state.tickets[event.ticket]
    return StoppedAttempt(ticket.id, ticket.agent or "", ticket.worked(event.at), event.why)


def _skipped(state: SessionState, events: Sequence[ev.AnyEvent]) -> Iterator[str]:
    for event in events:
        match event:
            case ev.TicketCancelled() | ev.TicketRejected() | ev.TicketPutBack() | ev.PlanAmended():
                yield from event.skipped
            case ev.RollbackAsked(rerun=False):
                gone: set[str] = set(event.tickets)
                for id_ in event.tickets:
                    yield from (skipped := skips(state, state.tickets[id_], gone))
                    gone.update(skipped)
            case (
                ev.AttemptStopRequested(why="cancelled")
                | ev.RollbackStarted(outcome=ev.AttemptEnded(then=Status.cancelled))
            ):
                yield from skips(state, state.tickets[event.ticket])
            case _:
                pass


def _out_of_reach(state: SessionState, events: Sequence[ev.AnyEvent]) -> Iterator[str]:
    """What nobody can be told now."""
    there: dict[str, list[str]] = {}
    for event in events if state.live_on else ():
        if isinstance(event, ev.AttemptFrozen | ev.AttemptThawed | ev.AttemptStopRequested):
            host = state.live_on.get(event.ticket)
            if host is not None and host.status == "unreachable":
                there.setdefault(host.name, []).append(event.ticket)
    for host_name, ids in there.items():
        go = "goes" if len(ids) == 1 else "go"
        yield f"on {host_name}, which is not reached, {listed(ids, limit=5)} {go} on until that can be told"


def _session(events: Sequence[ev.AnyEvent]) -> Iterator[str]:
    for event in events:
        match event:
            case ev.PlanAmended():
                yield from types_lines(event.agents, event.unrestricted)
                yield from hosts_lines(event.hosts)
            case ev.SessionHeld():
                yield "nothing new is started until released"
            case ev.SessionReleased():
                yield "the session is released"
            case ev.DrainEnded():
                yield "the session drains no more"
            case ev.SessionDraining():
                yield "nothing new is started; the session ends when what runs is done"
            case ev.SessionStopping():
                yield "the session ends, and can be resumed"
                if event.skips_finally:
                    yield "what runs at the end is skipped"
            case ev.AgentTypeHeld():
                yield f"nothing is started on agents of type {event.type} until released"
            case ev.AttemptEnded(end=End.lost):
                yield f"{event.ticket} may still run on its host, which is not reached: then it runs twice"
            case ev.HostHeld():
                yield f"nothing is started on host {event.host} until released"
            case ev.HostDraining():
                yield f"nothing is started on host {event.host} until released; its agents stop when they are done"
            case ev.HostReleased():
                yield f"tickets start on host {event.host} again"
            case ev.HostScaled():
                most = "as many as planned" if event.most is None else f"at most {event.most}"
                yield f"tickets at once on host {event.host}: {most}; what runs there goes on"
            case ev.AgentTypeReleased():
                yield f"agents of type {event.type} take tickets again"
            case ev.TypeScaled():
                most = "as many as tickets at once" if event.most is None else f"at most {event.most}"
                yield f"agents of type {event.type}: {most}"
            case ev.ParallelChanged():
                yield (
                    f"tickets at once: as the engine finds best, from {event.parallel} on"
                    if event.auto
                    else f"tickets at once: {event.parallel}"
                )
            case ev.BudgetChanged():
                yield budget_words(event.type, event.budget)
            case ev.FailurePolicyChanged():
                yield f"when a ticket fails: {POLICIES[event.policy]}"
            case _:
                pass
