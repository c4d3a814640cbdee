"""A session that no engine runs: its plan can be changed, what it waits for answered, approved or decided, and what
has yet to start cancelled or waived; the next engine goes on.

No trio here: the command line changes a plan without becoming an engine.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from parexec_tui.client.framing import Refused, check_answer
from parexec_tui.client.peer import signature
from parexec_tui.client.sockets import client_origin
from parexec_tui.core.rules.grant import grant
from parexec_tui.core.rules.preview import preview
from parexec_tui.core.rules.verbs.undo import meant
from parexec_tui.core.state import events as ev
from parexec_tui.core.state import undo
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import About, Answer, Question, Roots
from parexec_tui.engine.agent_answers import write_answer
from parexec_tui.engine.journal import Journal
from parexec_tui.engine.lifecycle.heard import hear
from parexec_tui.engine.owed_hooks import owe
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.errors import SessionOwned
from parexec_tui.registry.imports import check_is_own
from parexec_tui.registry.lock import SessionLock, has_guardian, note_engine
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from parexec_tui.text.questions import answer

_WITHOUT_ENGINE = (
    rq.Amend | rq.Edit | rq.AnswerAgent | rq.Approve | rq.Merge | rq.Reject | rq.Cancel | rq.Waive | rq.Undo
)


class LeftSession:
    """Takes what needs no process as an engine does. Nothing is started: the next engine does that."""

    has_engine: Final = False

    def __init__(self, session: str) -> None:
        self.session = session

    def ask(self, request: rq.AnyRequest, *, dry_run: bool = False) -> Answer:
        """Change the plan, answer, approve, merge, reject, cancel or waive, or take that back; returns once it is
        remembered, with the events that it led to (or would lead to).

        Raises Refused, also for what has to be ended or taken back; SessionOwned if an engine runs the session by
        now, RegistryError.
        """
        if not isinstance(request, _WITHOUT_ENGINE):
            raise Refused(f"no engine runs {self.session}", f"resume {self.session}")
        with self._owned() as (state, registry):
            return self._answer(state, registry, request, dry_run=dry_run)

    @contextmanager
    def _owned(self) -> Iterator[tuple[SessionState, Registry]]:
        """The session, while no engine can begin to run it."""
        folder = session_folder(self.session)
        with SessionLock(folder.lock), Registry.open(registry_file()) as registry:
            if has_guardian(folder):
                raise SessionOwned(folder.guardian_lock, None)
            check_is_own(registry.session(self.session))
            past = replay(registry, self.session)
            past.check_version()
            if past.fault:
                raise Refused(f"events after number {past.last} cannot be read: {past.fault}", "resume it first")
            past.state.note_engine_lost(past.state.without_engine())
            yield past.state, registry

    def question(self, about: About, tickets: Sequence[str] = (), *, words: Sequence[str] = (), me: str = "") -> Any:
        """The facts as plain JSON values, from the registry; see `Question`. Raises Refused, RegistryError."""
        with Registry.open(registry_file(), read_only=True) as registry:
            state = replay(registry, self.session).state
        note_engine(state)
        now = max(time.time(), state.now)
        hear(state, now)
        asked = Question(id=0, about=about, tickets=tuple(tickets), words=tuple(words), me=me)
        found = answer(state, asked, now)
        if isinstance(found, rq.Refusal):
            raise Refused(found.reason, found.remedy)
        return msgspec.to_builtins(found)

    def roots(self, tickets: Sequence[str] = ()) -> Roots:
        """What these tickets, or all that wait, wait for in the end. Raises RegistryError."""
        return msgspec.convert(self.question("roots", tickets), Roots)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def _answer(self, state: SessionState, registry: Registry, request: rq.AnyRequest, *, dry_run: bool) -> Answer:
        now = max(time.time(), state.now)
        if isinstance(request, rq.Undo) and _needs_engine(state, request, now):
            raise Refused(f"no engine runs {self.session}", f"resume {self.session}")
        heard = hear(state, now)
        decision = grant(state, msgspec.structs.replace(request, by=signature(client_origin())), now)
        if isinstance(decision, rq.Refusal):
            return check_answer(Answer(id=0, refusal=decision.reason, remedy=decision.remedy))
        for event in decision:
            if isinstance(event, ev.AttemptStopRequested | ev.RollbackStarted):
                does = "ends" if isinstance(event, ev.AttemptStopRequested) else "takes back what was done of"
                raise Refused(f"only an engine {does} {event.ticket}", f"resume {self.session} --detach")
        lines = tuple(preview(state, decision).lines())
        if not dry_run and decision:
            self._remember(state, registry, decision, now, heard=heard)
        return Answer(id=0, events=[msgspec.Raw(codec.encode(event)) for event in decision], preview=lines)

    def _remember(
        self,
        state: SessionState,
        registry: Registry,
        decided: Sequence[ev.AnyEvent],
        now: float,
        *,
        heard: Sequence[ev.AnyEvent],
    ) -> None:
        """`heard`: what was applied before."""
        was_finished = state.finished_at is not None
        events = [*heard, *decided]
        for event in decided:
            apply(state, event)
        if was_finished and state.finished_at is None:
            events.append(left := ev.EngineLeft(at=now, reason="stopped"))
            apply(state, left)  # without it, the session would look as if its engine had died
        journal = Journal(registry, self.session)
        with suppress(OSError):  # then no hook is told; what the person wants comes first
            owe(session_folder(self.session), state, journal.last + 1, events)
        journal.append(state, events)
        for event in decided:
            if isinstance(event, ev.TicketAnswered) and event.question:
                self._tell_agent(event, state.tickets[event.ticket].attempts)

    def _tell_agent(self, event: ev.TicketAnswered, attempt: int) -> None:
        """Its agent goes on without an engine. If this fails, the next engine tells it."""
        with suppress(OSError):
            file = session_folder(self.session).of_agent(ProcessKey(event.ticket, attempt)).answers
            write_answer(file, event.question, event.answer)


def _needs_engine(state: SessionState, asked: rq.Undo, now: float) -> bool:
    """Whether an action cannot be taken back without one. Changes of the plan and of what became of tickets can."""
    action = meant(state, asked, now)
    steps = () if isinstance(action, rq.Refusal) else action.inverse
    return not all(isinstance(step, undo.PutTicketsBack | undo.RevertPlan) for step in steps)
