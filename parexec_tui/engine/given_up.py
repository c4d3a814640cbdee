"""A session that was interrupted, and that a person gives up: it is stopped without an engine that goes on first."""

import time
from collections.abc import Sequence
from functools import partial

import msgspec

from parexec_tui.client.framing import Refused, check_answer
from parexec_tui.client.peer import signature
from parexec_tui.client.sockets import client_origin
from parexec_tui.core.rules.grant import grant
from parexec_tui.core.rules.preview import preview
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.process_key import COMMIT, MERGE
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.steps import takes_back
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Answer
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.opening import open_backend
from parexec_tui.engine.lifecycle.abandon import stop_left
from parexec_tui.engine.lifecycle.left_session import LeftSession


class GivenUp(LeftSession):
    """Takes a stop, too: what runs is ended, nothing is started, neither what runs at the end nor hooks."""

    def ask(self, request: rq.AnyRequest, *, dry_run: bool = False) -> Answer:
        """As `LeftSession.ask`. A stop returns when all has ended: after the longest grace."""
        if not isinstance(request, rq.Stop):
            return super().ask(request, dry_run=dry_run)
        asked = msgspec.structs.replace(request, by=signature(client_origin()), skip_finally=True)
        with self._owned() as (state, registry):
            self._check(state)
            now = max(time.time(), state.now)
            decided = grant(state, asked, now)
            if isinstance(decided, rq.Refusal):
                return check_answer(Answer(id=0, refusal=decided.reason, remedy=decided.remedy))
            if dry_run:
                would_be = [*decided, ev.EngineLeft(at=now, reason="stopped")]
                return Answer(id=0, events=_encoded(would_be), preview=tuple(preview(state, decided).lines()))
            place = partial(open_backend, self.session, orphans=Orphans())
            told = stop_left(state, registry, decided, place, now=asked.now)
            if left := [*state.live, *(service.name for service in state.living_services)]:
                raise Refused(f"{left[0]} cannot be ended from here", "it runs in another container, or hangs")
        return Answer(id=0, events=_encoded(told))

    def _check(self, state: SessionState) -> None:
        """Raises Refused if it is over by now, or something is half done that only an engine does."""
        if state.without_engine() is None:
            raise Refused(f"{self.session} is {state.status} by now")
        half_done = [id_ for id_, ticket in state.live.items() if _must_be_done(ticket.live_attempt.step)]
        if half_done or state.rollback is not None:
            what = f"what {half_done[0]} did" if half_done else "what a rollback began"
            raise Refused(
                f"{what} is being merged or taken back, which only an engine does",
                f"parexec resume {self.session} --detach, then stop it",
            )


def _must_be_done(step: str) -> bool:
    return step in (COMMIT, MERGE) or takes_back(step)


def _encoded(events: Sequence[ev.AnyEvent]) -> list[msgspec.Raw]:
    return [msgspec.Raw(codec.encode(event)) for event in events]
