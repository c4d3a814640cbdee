"""What tickets waited for: each second in which a ticket that is not over did not run has exactly one cause.

What concerns a ticket itself (its needs, a hold, a pause before its next try) is kept for each ticket. What keeps
many from starting alike (slots, agents, a hold of the session) is asked once for all of them: they are a *queue*,
which keeps how long it waited for what, and a ticket takes the difference between its coming and its leaving. So a
session costs its events, and not its events times its tickets.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from operator import attrgetter
from typing import Final, NamedTuple

from parexec_tui.core.plan.claims import EMPTY
from parexec_tui.core.schedule.blocker import PressureKey
from parexec_tui.core.schedule.blockers import parallel_blocker, session_blocker
from parexec_tui.core.schedule.machine import memory_blocker, pressure_blocker
from parexec_tui.core.schedule.placement import pick_agent
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import left_types, over_type_budget, rest_in_the_way
from parexec_tui.core.state.admission import memory_need
from parexec_tui.core.state.reservation import obstacle
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.report.causes import Cause, Reason, Wait, claim_name
from parexec_tui.report.queues import Log, Queue, QueueKey


class _Phase(NamedTuple):
    """What a ticket does: it runs (neither of both), waits for a reason of its own, or in a queue."""

    reason: Reason | None = None
    queue: Queue | None = None


class _Since(NamedTuple):
    """A phase that a ticket is in, since when, and what the logs said then."""

    phase: _Phase
    start: float
    before: Mapping[Reason, float]


class Past(NamedTuple):
    """A phase that is over."""

    start: float
    end: float
    phase: _Phase


_start = attrgetter("start")
_RUNS: Final = _Phase()
_NOTHING: Final[Mapping[Reason, float]] = {}
MOST_CLAIMS: Final = 50
"""Different claims that are asked for at each moment; of more, one stands for the others."""

_AWAY: Final = Reason(Cause.engine)
QUIET: Final = (ev.AttemptSpawned, ev.MemoryMeasured, ev.LogCut, ev.WroteUnclaimed, ev.StraysEnded)
"""Events after which every ticket does what it did."""

_NAMES: Final = ("skipped", "restored", "rerun", "tickets")
"""Fields of events that name tickets."""


class Waits:
    """Keeps account of what each ticket waits for, event by event.

    For each event: `pass_to` before it is applied, `note` after that. At the end `close`.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._now = -inf
        self._doing: dict[str, _Since] = {}
        self._queues: dict[QueueKey, Queue] = {}
        self._away = Log()
        """When no engine was there."""
        self._stale: set[str] = set()
        self._is_known = False
        """Whether the logs of the queues say what is so since the last event."""
        self.lost: defaultdict[str, defaultdict[Reason, float]] = defaultdict(lambda: defaultdict(float))
        """{ticket: seconds by reason}; a reason has no holder here"""
        self.ended: dict[str, float] = {}
        """{ticket that is over: since when}"""
        self.unseen: dict[str, float] = {}
        """{ticket that was over before an engine saw that: when one did}"""
        self.past: defaultdict[str, list[Past]] = defaultdict(list)
        """{ticket: what it did, in order, without gaps, from when there was one until it was over}"""

    @property
    def now(self) -> float:
        """The latest time that was told. A clock that was set back stands until it is as late again."""
        return self._now

    # -- the clock -------------------------------------------------------------------------------------------------

    def pass_to(self, event: ev.AnyEvent) -> float | None:
        """Time passes until this event, which has yet to be applied. Returns since when no engine was there, if that
        is only known now."""
        state = self._state
        if isinstance(event, ev.MonitoringStarted) and state.monitored is not None and state.gone is None:
            gap = max(0.0, event.at - self._now)  # the engine before this one died without a word
            away = gap if event.away is None else min(gap, event.away)
            self._pass(event.at - away)
            since = self._now
            self._pass(event.at, is_away=True)
            return since
        self._pass(event.at)
        return None

    def shift(self, seconds: float) -> None:
        """All that was until now was later by so much: the wall clock was set. O(all that was noted)."""
        self._now += seconds
        queues = {id(each): each for each in self._queues.values()}
        for parts in self.past.values():
            queues |= {id(part.phase.queue): part.phase.queue for part in parts if part.phase.queue is not None}
            parts[:] = [Past(start + seconds, end + seconds, phase) for start, end, phase in parts]
        for log in (self._away, *queues.values()):
            log.shift(seconds)
        self._doing = {id_: each._replace(start=each.start + seconds) for id_, each in self._doing.items()}
        for times in (self.ended, self.unseen):
            times.update({id_: at + seconds for id_, at in times.items()})

    def _pass(self, at: float, *, is_away: bool = False) -> None:
        start, self._now = self._now, max(self._now, at)
        if not self._doing or self._now <= start:
            return
        if is_away or self._state.gone is not None:
            self._away.change(start, _AWAY)
            self._away.change(self._now, None)
            for queue in self._queues.values():
                queue.change(start, _AWAY)
            self._is_known = False
        elif not self._is_known:
            paused = {is_last: self._pause(is_last=is_last) for is_last in (False, True)}
            for queue in self._queues.values():
                queue.change(start, paused[queue.is_last] or self._reason_of(queue))
            self._is_known = True

    def _pause(self, *, is_last: bool) -> Reason | None:
        """Why nothing at all is started. `is_last` as for `session_blocker`."""
        blocker = session_blocker(self._state, is_last=is_last)
        if blocker is None:
            return None
        if blocker.kind == "host":
            return Reason(Cause.pressure, next(iter(self._state.pressed)))
        return Reason(Cause.holds, "the session")

    def _reason_of(self, queue: Queue) -> Reason:
        """What those wait for who wait in a queue, while the session goes on: in the order of `blockers`."""
        state, ticket = self._state, self._state.tickets[next(iter(queue.members))]
        if (reason := self._order(ticket)) is not None:
            return reason
        if queue.asks_claims and (reason := self._claim(queue, ticket)) is not None:
            return reason
        if state.memory is not None and memory_blocker(state, ticket) is not None:
            return Reason(Cause.pressure, "memory")
        if state.ladders and (pressed := pressure_blocker(state, ticket)) is not None:
            return Reason(Cause.pressure, pressed.key.resource if isinstance(pressed.key, PressureKey) else "")
        if state.reservation is not None and (kept := obstacle(state, ticket)):
            return Reason(Cause.claims, f"{kept}, kept for others", state.reservation.ticket)
        if not ticket.is_asked:
            return Reason(Cause.questions)
        return self._room(ticket)

    def _claim(self, queue: Queue, ticket: TicketState) -> Reason | None:
        """What another ticket holds that this one claims."""
        held = queue.held
        if held is not None and held.holder in self._state.live:
            return held  # nothing is given back before the end
        conflict = self._state.holdings.conflict(ticket.claims)
        if conflict is None:
            queue.held = None
            return None
        reason = Reason(Cause.claims, claim_name(conflict), conflict.holder)
        queue.held = reason if conflict.kind != "resource" else None
        return reason

    def _room(self, ticket: TicketState) -> Reason:
        """What the pool has not for a ticket that could start else."""
        state = self._state
        if (found := rest_in_the_way(state, ticket)) is not None and pick_agent(state, ticket) is None:
            _, rest = found
            return Reason(Cause.outage if rest.is_outage else Cause.limit, rest.account)
        if not state.hosts and parallel_blocker(state) is not None:
            return Reason(Cause.slots)
        if not ticket.is_gates and pick_agent(state, ticket) is None:
            if state.budgets and any(over_type_budget(state, type_) for type_ in ticket.types):
                return Reason(Cause.budget)
            is_held = bool(ticket.types) and state.held_types.keys() >= set(ticket.types)
            return Reason(Cause.holds if is_held else Cause.agents, "/".join(ticket.types))
        for name in ticket.spec.uses_service:
            if not state.services[name].is_ready:
                return Reason(Cause.services, name)
        return Reason(Cause.dispatch)

    def _order(self, ticket: TicketState) -> Reason | None:
        """That other tickets come first, which it does not need."""
        state, is_last = self._state, ticket.spec.finally_
        if state.plan.settings.barrier and ticket.group > state.open_group and not is_last:
            return Reason(Cause.needs, "the group before")
        if state.last and is_last and state.before_last():
            return Reason(Cause.needs, "all others")
        if state.last and not is_last and any(each.is_live for each in state.last.values()):
            return Reason(Cause.needs, "what runs at the end")
        return None

    # -- the tickets -----------------------------------------------------------------------------------------------

    def note(self, event: ev.AnyEvent) -> None:
        """An event was applied: look again at the tickets that it may have changed."""
        state = self._state
        if not state.session:
            return
        if isinstance(event, ev.SessionOpened | ev.PlanAmended):
            for id_ in [id_ for id_ in self._doing if id_ not in state.tickets]:
                self._leave(id_)
            self._look(state.tickets)
            self._is_known = False
            return
        over = []
        if isinstance(event, ev.AttemptEnded) and event.ended is not None and self._end_unseen(event):
            over.append(event.ticket)
        if isinstance(event, QUIET):
            return
        self._is_known = False
        named = dict.fromkeys(_named(event))
        named.update((id_, None) for id_, each in state.last.items() if each.spec.approve == "before")
        for id_ in (*over, *self._look(id_ for id_ in named if id_ in state.tickets)):
            self._look(state.graph.dependents[id_])
        if state.stale_needs or self._stale:
            stale = set(state.stale_needs)
            self._look(id_ for id_ in stale ^ self._stale if id_ in state.tickets)
            self._stale = stale

    def standing(self) -> dict[Cause, tuple[int, float]]:
        """By cause: how many tickets wait for it now, and the seconds that all waited for it until the newest event.
        O(tickets)."""
        tickets, seconds = Counter[Cause](), defaultdict[Cause, float](float)
        for lost in self.lost.values():
            for reason, passed in lost.items():
                seconds[reason.cause] += passed
        is_away = self._state.gone is not None
        reasons: dict[QueueKey, Reason] = {}
        if not is_away:
            paused = {is_last: self._pause(is_last=is_last) for is_last in (False, True)}
            reasons = {key: paused[queue.is_last] or self._reason_of(queue) for key, queue in self._queues.items()}
        for phase, start, before in self._doing.values():
            if phase == _RUNS:
                continue
            if self._now > start:
                for reason, passed in self._waited(phase, start, before):
                    seconds[reason.cause] += passed
            now = _AWAY if is_away else phase.reason if phase.queue is None else reasons[phase.queue.key]
            assert now is not None
            tickets[now.cause] += 1
        return {cause: (tickets[cause], seconds[cause]) for cause in Cause if cause in tickets or cause in seconds}

    def close(self, until: float) -> None:
        """Time passes until then, and no event follows."""
        self._pass(until)
        for id_ in list(self._doing):
            self._leave(id_)

    def before(self, id_: str, at: float) -> Wait | Past | None:
        """What a ticket did last before then; None: there was no such ticket yet."""
        parts = self.past.get(id_, ())
        index = bisect_left(parts, at, key=_start) - 1
        if index < 0:
            return None
        start, end, phase = parts[index]
        end = min(end, at)
        if phase.queue is not None:
            return phase.queue.before(start, end)
        if phase.reason is None:
            return Past(start, end, phase)
        return list(self._paused(start, end, phase.reason))[-1]

    def _paused(self, start: float, end: float, reason: Reason) -> Iterator[Wait]:
        for away in self._away.between(start, end):
            if away.start > start:
                yield Wait(start, away.start, reason)
            yield away
            start = away.end
        if end > start:
            yield Wait(start, end, reason)

    def _look(self, ids: Iterable[str]) -> list[str]:
        """Note what these tickets do now. Returns those that are over since, or are not any more."""
        turned = []
        for id_ in ids:
            ticket = self._state.tickets[id_]
            known = self._doing.get(id_)
            if ticket.status in TERMINAL:
                if known is not None:
                    self._leave(id_)
                    self.ended[id_] = self._now if ticket.ended is None else min(self._now, ticket.ended)
                    turned.append(id_)
                continue
            phase = self._phase(ticket)
            if known is None:
                self.ended.pop(id_, None)
                turned.append(id_)
            elif known.phase == phase:
                continue
            else:
                self._leave(id_)
            if phase.queue is not None:
                phase.queue.members[id_] = None
                before: Mapping[Reason, float] = phase.queue.until(self._now)
            else:
                before = self._away.until(self._now) if phase.reason is not None else _NOTHING
            self._doing[id_] = _Since(phase, self._now, before)
        return turned

    def _leave(self, id_: str) -> None:
        """What the ticket did until now is over."""
        phase, start, before = self._doing.pop(id_)
        if phase.queue is not None:
            del phase.queue.members[id_]
            if not phase.queue.members:
                phase.queue.change(self._now, None)
                del self._queues[phase.queue.key]
        if self._now <= start:
            return
        self.past[id_].append(Past(start, self._now, phase))
        if phase == _RUNS:
            return
        lost = self.lost[id_]
        for reason, passed in self._waited(phase, start, before):
            lost[reason] += passed

    def _waited(self, phase: _Phase, start: float, before: Mapping[Reason, float]) -> Iterator[tuple[Reason, float]]:
        """What was waited for in a phase until now, and for how long."""
        if phase.queue is not None:
            for reason, seconds in phase.queue.until(self._now).items():
                if passed := seconds - before.get(reason, 0.0):
                    yield reason, passed
            return
        assert phase.reason is not None
        away = self._away.until(self._now).get(_AWAY, 0.0) - before.get(_AWAY, 0.0)
        if away:
            yield _AWAY, away
        if (passed := self._now - start - away) > 0:
            yield phase.reason, passed

    def _end_unseen(self, event: ev.AttemptEnded) -> bool:
        """An attempt had ended before, while no engine was there to see that: if the ticket is not over, it did
        nothing since then. Returns whether it is over."""
        id_, known, ended = event.ticket, self._doing.get(event.ticket), event.ended
        if ended is None or known is None or known.phase != _RUNS or not known.start <= ended < self._now:
            return False
        if ended > known.start:
            self.past[id_].append(Past(known.start, ended, _RUNS))
        if self._state.tickets[id_].status in TERMINAL:
            del self._doing[id_]
            self.ended[id_], self.unseen[id_] = ended, self._now
            return True
        self._doing[id_] = _Since(_Phase(_AWAY), ended, self._away.until(self._now))
        return False

    def _phase(self, ticket: TicketState) -> _Phase:
        """What a ticket does that is not over."""
        if ticket.is_live:
            freeze = ticket.live_attempt.freeze
            if freeze is None:
                return _RUNS
            return _Phase(
                Reason(Cause.pressure, freeze.pressure) if freeze.pressure else Reason(Cause.holds, freeze.by)
            )
        if ticket.status is Status.approval:
            return _Phase(Reason(Cause.approval))
        if ticket.missing or ticket.id in self._state.stale_needs:
            return _Phase(Reason(Cause.needs))
        if ticket.held is not None:
            return _Phase(Reason(Cause.holds, ticket.held))
        if ticket.awaits_approval:
            return _Phase(Reason(Cause.approval))
        if ticket.status is Status.backoff:
            return _Phase(Reason(Cause.backoff))
        if ticket.asking:
            return _Phase(Reason(Cause.questions))
        return _Phase(queue=self._queue(ticket))

    def _queue(self, ticket: TicketState) -> Queue:
        spec, state = ticket.spec, self._state
        waits_for_claim = ticket.conflict_at is not None and ticket.claims is not EMPTY
        key = QueueKey(
            (
                left_types(state, ticket),
                spec.agent or "" if state.has_fallbacks else "",
                ticket.pin,
                ticket.excluded_agents,
            ),
            ticket.group if state.plan.settings.barrier else 0,
            (spec.finally_, ticket.is_asked, spec.priority.rank),
            spec.uses_service,
            memory_need(state, ticket).size.bit_length() if state.memory is not None else 0,
            ticket.claims if waits_for_claim else None,
        )
        if waits_for_claim and key not in self._queues and self._asks_of_many():
            key = key._replace(claims=EMPTY)
        if key not in self._queues:
            self._queues[key] = Queue(key, asks_claims=waits_for_claim)
        return self._queues[key]

    def _asks_of_many(self) -> bool:
        return sum(queue.asks_claims for queue in self._queues.values()) >= MOST_CLAIMS


def _named(event: ev.AnyEvent) -> Iterator[str]:
    """The tickets that an event names."""
    if ticket := getattr(event, "ticket", ""):
        yield ticket
    for field in _NAMES:
        if isinstance(names := getattr(event, field, ()), tuple):
            yield from names
