"""A session that is finished, or that its engine left by itself: a verb is looked at first, and an engine takes the
session up only if it is granted."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import msgspec

from parexec_tui.client.blocking import Client
from parexec_tui.client.framing import Refused, check_answer
from parexec_tui.client.peer import signature
from parexec_tui.client.sockets import client_origin
from parexec_tui.core.rules.grant import grant
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.rules.preview import preview
from parexec_tui.core.rules.verbs.rollback import lost_by, restored_by
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import About, Answer, Question
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.engine.backends.local.snapshots import changed_since
from parexec_tui.paths import registry_file
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from parexec_tui.text.questions import answer as answer_question


class FinishedSession:
    """Answers as `Client` does. What only looks, and what is refused, starts nothing and changes nothing."""

    def __init__(self, session: str, take_up: Callable[[], Client]) -> None:
        """`take_up`: starts an engine for the session, and connects to it."""
        self.session = session
        self._take_up = take_up
        self._client: Client | None = None
        self._open = ExitStack()

    @property
    def has_engine(self) -> bool:
        """Whether one has taken the session up."""
        return self._client is not None

    def ask(self, request: rq.AnyRequest, *, dry_run: bool = False) -> Answer:
        """Raises Refused, RegistryError, and as `take_up` and `Client.ask` do."""
        if self._client is None:
            would_be = self._look(request)
            if dry_run or not would_be.events:
                return would_be
            self._client = self._open.enter_context(self._take_up())
        return self._client.ask(request, dry_run=dry_run)

    def question(self, about: About, tickets: Sequence[str] = (), *, words: Sequence[str] = (), me: str = "") -> Any:
        """Raises Refused, RegistryError."""
        if self._client is not None:
            return self._client.question(about, tickets, words=words, me=me)
        asked = Question(id=0, about=about, tickets=tuple(tickets), words=tuple(words), me=me)
        facts = answer_question(self._state, asked, self._now)
        if isinstance(facts, rq.Refusal):
            raise Refused(facts.reason, facts.remedy)
        return msgspec.to_builtins(facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @cached_property
    def _state(self) -> SessionState:
        """The session as an engine that takes it up would see it."""
        with Registry.open(registry_file(), read_only=True) as registry:
            past = replay(registry, self.session)
        past.check_version()
        state = past.state
        now = max(time.time(), state.now)
        apply(state, ev.MonitoringStarted(at=now, pid=os.getpid(), boot=boot_id()))
        if state.held is not None:
            apply(state, ev.SessionReleased(at=now))
        return state

    @property
    def _now(self) -> float:
        return max(time.time(), self._state.now)

    def _look(self, request: rq.AnyRequest) -> Answer:
        """What an engine would decide. Raises Refused."""
        signed = msgspec.structs.replace(request, by=signature(client_origin()))
        decision = grant(self._state, signed, self._now)
        lost = self._lost_by(signed)
        if isinstance(decision, rq.Refusal):
            return check_answer(Answer(id=0, refusal=decision.reason, remedy=decision.remedy))
        if isinstance(lost, rq.Refusal):
            return check_answer(Answer(id=0, refusal=lost.reason, remedy=lost.remedy))
        events = [msgspec.Raw(codec.encode(event)) for event in decision]
        lines = (*((lost,) if lost else ()), *preview(self._state, decision).lines())
        return Answer(id=0, events=events, preview=lines)

    def _lost_by(self, request: rq.AnyRequest) -> rq.Refusal | str:
        """As `Coordinator.look`."""
        request, _ = narrow(self._state, request)
        if not isinstance(request, rq.Rollback) or not (keys := restored_by(self._state, request)):
            return ""
        return lost_by(request, changed_since(self.session, keys))
