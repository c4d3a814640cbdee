"""Who may have written what was found in the workdir: all that ran beside an attempt."""

import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import structs

from parexec_tui.core.plan.unclaimed import TICK, Writer
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.isolation import works_apart
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.engine.backends.backend import WritesWanted

_MAX_HOOKS: Final = 100
"""Hooks that are over and remembered one by one."""


class Writers:
    """Remembers who ran when, from the first question on."""

    def __init__(self, state: SessionState, now: Callable[[], float]) -> None:
        self._state = state
        self._now = now
        self._ended: dict[str, float] | None = None
        """{ticket: when its newest attempt ended}, in that order; None: nobody has asked yet."""
        self._hooks: list[Writer] = []
        """Those that ran, the newest last."""

    def note_end(self, event: ev.AttemptEnded) -> None:
        """An attempt is over: it may have written beside one that still runs."""
        if self._ended is not None:
            self._ended.pop(event.ticket, None)
            self._ended[event.ticket] = event.at

    @contextmanager
    def running(self, hook: str) -> Iterator[None]:
        """A hook runs meanwhile, which may write as well."""
        live = Writer(f"hook {hook}", self._now())
        self._hooks.append(live)
        try:
            yield
        finally:
            self._hooks.remove(live)
            self._note(structs.replace(live, ended=self._now()))

    def note_unknown_hooks(self) -> None:
        """Hooks may have run until now, of the engine before this one."""
        self._note(Writer("hooks", 0.0, self._now()))

    def _note(self, over: Writer) -> None:
        """Note a hook that is over. Of too many, the oldest are told as one."""
        first = self._first_of_live()
        self._hooks = [hook for hook in self._hooks if hook.ended is None or hook.ended >= first]
        self._hooks.append(over)
        over_all = [hook for hook in self._hooks if hook.ended is not None]
        if len(over_all) > _MAX_HOOKS:
            one, other = over_all[:2]
            self._hooks.remove(one)
            self._hooks[self._hooks.index(other)] = Writer("hooks", one.began, other.ended)

    def wanted(self, ticket: TicketState) -> WritesWanted:
        """What the backend is asked about the command of an attempt that is over."""
        attempt, plan = ticket.live_attempt, self._state.plan
        started = attempt.started
        ended = started if attempt.command_ended is None else attempt.command_ended
        cwd = ticket.spec.cwd or plan.agents[self._state.agents[attempt.agent].type].cwd or "."
        folder = posixpath.normpath(posixpath.join(plan.workdir, cwd))
        is_inside = f"{folder}/".startswith(f"{plan.workdir.rstrip('/')}/")
        folders = () if is_inside else (folder,)
        others = tuple(other for other in self._others(ticket, started - TICK) if other.ran(started - TICK, ended))
        return WritesWanted(plan.workdir, folders, ticket.spec.all_writes, started, ended, self._now(), others)

    def _others(self, ticket: TicketState, since: float) -> Iterator[Writer]:
        """Who may have written in the workdir beside a ticket, or after it, and was not over before that time."""
        state = self._state
        for id_, ended in reversed(self._past().items()):
            if ended < since:
                break
            other = state.tickets.get(id_)
            if other is not None and other is not ticket and not other.is_live and self._is_in_workdir(other):
                yield _writer(other, ended)
        for other in state.live.values():
            if other is not ticket and self._is_in_workdir(other):
                yield _writer(other, None)
        for service in state.services.values():
            if service.number:
                yield Writer(f"service {service.name}", service.started, None if service.is_alive else service.ended)
        yield from self._hooks
        for neighbour in state.neighbours:
            yield Writer(f"session {neighbour.session}", 0.0)

    def _past(self) -> dict[str, float]:
        """The attempts that are over and ran beside one that lives; others are forgotten."""
        state = self._state
        if self._ended is None:
            over = [
                (ticket.attempt.ended, ticket.id) for ticket in state.tickets.values() if ticket.attempt is not None
            ]
            self._ended = {id_: ended for ended, id_ in sorted((at, id_) for at, id_ in over if at is not None)}
        first = self._first_of_live()
        while self._ended and self._ended[oldest := next(iter(self._ended))] < first:
            del self._ended[oldest]
        return self._ended

    def _first_of_live(self) -> float:
        """When the oldest of the live attempts began: what was over before is beside none of them."""
        return min((ticket.live_attempt.started for ticket in self._state.live.values()), default=0.0) - TICK

    def _is_in_workdir(self, ticket: TicketState) -> bool:
        """Whether an attempt may change the workdir, itself or by being merged."""
        if not works_apart(self._state, ticket):
            return True
        assert ticket.attempt is not None
        return self._state.plan.agents[self._state.agents[ticket.attempt.agent].type].update_checkout


def _writer(ticket: TicketState, ended: float | None) -> Writer:
    """A ticket that ran, from its first attempt on: what it was between two of them is not asked."""
    assert ticket.first_started is not None
    return Writer(ticket.id, ticket.first_started, ended, ticket.spec.all_writes)
