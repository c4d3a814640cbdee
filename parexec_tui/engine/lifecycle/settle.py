"""After a repair of the registry: what ran after the last event that could be saved is settled by its exit records.

Without that, the next engine would not know of these attempts, and would run their tickets again.
"""

import time
from collections.abc import Callable, Iterator

from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.schedule.dispatcher import new_agent_id
from parexec_tui.core.schedule.placement import pick_agent
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import RUN, WITHOUT_PROCESS, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.journal import Journal
from parexec_tui.paths import SessionFolder, id_in_names, session_folder
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from parexec_tui.registry.salvage import Settled

RecordedEnd = Callable[[ProcessKey, SessionFolder], rq.ProcessEnded | None]
"""How a process ended, as its exit record says; None if nothing says so."""


def settle(registry: Registry, session: str, recorded_end: RecordedEnd) -> Settled:
    """Remember how attempts ended that the registry lost. Raises RegistryError, OSError."""
    state = replay(registry, session).state
    if state.finished_at is not None:
        return Settled()
    settling = _Settling(state, session_folder(session), recorded_end)
    settling.run()
    if settling.events:
        state = replay(registry, session).state  # an event that was refused may have changed a part of it
        for event in settling.events:
            apply(state, event)
        Journal(registry, session).append(state, settling.events)
    return Settled(settling.count, tuple(settling.unknown()))


class _Settling:
    """A session, and what was found out about it."""

    def __init__(self, state: SessionState, folder: SessionFolder, recorded_end: RecordedEnd) -> None:
        self._state = state
        self._recorded_end = recorded_end
        self._folder = folder
        self._now = max(time.time(), state.now)
        self._recorded = _recorded(state, folder)
        self.events: list[ev.AnyEvent] = []
        self.count = 0

    def run(self) -> None:
        """Settle what can be settled, again and again: the end of one ticket lets others have run."""
        try:
            while sum(self._settle(self._state.tickets[id_]) for id_ in self._recorded):
                pass
        except IllegalEventError:
            pass  # by the rules this could not have been: what is settled so far, stays

    def unknown(self) -> Iterator[str]:
        """The tickets of which more attempts are recorded than are known."""
        for id_, numbers in self._recorded.items():
            if max(numbers) > self._state.tickets[id_].attempts:
                yield id_

    def _settle(self, ticket: TicketState) -> bool:
        """Settle the next attempt of a ticket. False if there is none, or nothing says how it ended."""
        if ticket.is_live:
            return self._end(ticket, ticket.attempts, [])
        number = min((number for number in self._recorded[ticket.id] if number > ticket.attempts), default=None)
        if number is None or ticket.status not in (Status.waiting, Status.backoff) or ticket.missing:
            return False
        first: list[ev.AnyEvent] = []
        if ticket.status is Status.backoff:
            first.append(ev.BackoffEnded(at=self._now, ticket=ticket.id))
        agent = pick_agent(self._state, ticket)
        if agent is None:
            return False
        id_ = new_agent_id(self._state, agent) if isinstance(agent, str) else agent.id
        if isinstance(agent, str):
            host = next(iter(self._state.hosts_of_types[agent]), "")
            first.append(ev.AgentStarted(at=self._now, agent=id_, type=agent, host=host))
        first.append(ev.AttemptStarted(at=self._now, ticket=ticket.id, attempt=number, agent=id_))
        return self._end(ticket, number, first)

    def _end(self, ticket: TicketState, number: int, first: list[ev.AnyEvent]) -> bool:
        """Take these events and the end of an attempt, if its record tells it."""
        step = ticket.live_attempt.step if ticket.is_live else RUN
        report = (
            self._recorded_end(ProcessKey(ticket.id, number, step), self._folder)
            if step not in WITHOUT_PROCESS
            else None
        )
        if report is None:
            return False
        taken: list[ev.AnyEvent] = []
        for event in first:
            apply(self._state, event)
            taken.append(event)
        for event in on_report(self._state, report, self._now):
            apply(self._state, event)
            taken.append(event)
        self.events += taken
        self.count += 1
        return True


def _recorded(state: SessionState, folder: SessionFolder) -> dict[str, set[int]]:
    """{ticket: the numbers of its attempts that have a log or a record}, in plan order."""
    numbers: dict[str, set[int]] = {}
    try:
        for key in folder.recorded():
            if key.step == RUN:
                numbers.setdefault(key.ticket, set()).add(key.attempt)
    except FileNotFoundError:
        return {}
    return {id_: numbers[name] for id_ in state.tickets if (name := id_in_names(id_)) in numbers}
