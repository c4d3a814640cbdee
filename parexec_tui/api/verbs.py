"""What can be asked of a session while an engine runs it: a method for each verb."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
from msgspec import Struct

from parexec_tui.api.errors import session_errors
from parexec_tui.api.events import Event
from parexec_tui.client import sessions
from parexec_tui.client.connecting import connect_to
from parexec_tui.client.framing import facts_of
from parexec_tui.core.plan.reading.faults import Hints
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state.events import OperatorActed
from parexec_tui.core.wire import codec
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Names as NamesFact

if TYPE_CHECKING:
    from parexec_tui.client.blocking import Client
    from parexec_tui.engine.lifecycle.left_session import LeftSession

Names = str | Iterable[str]
"""One name or several: ids, patterns and selectors as on the command line."""

_BY_VERB: dict[str, type[rq.Request]] = {str(each.__struct_config__.tag): each for each in get_args(rq.AnyRequest)}


class Answer(Struct, frozen=True):
    """What a request led to, once that is remembered."""

    events: tuple[Event, ...]
    """What happened; of a dry run what would happen; none: it was so already."""
    left_out: tuple[str, ...] = ()
    """Why some of what was named was refused, while the rest was granted."""
    preview: tuple[str, ...] = ()
    """Of a dry run: what its events would mean, in words."""
    notice: str = ""
    """What stands in the way of remembering it; a stop is obeyed all the same."""


class Verbs:
    """The verbs of a session. Each raises RefusedError if it will not be done, SessionError if nobody can be asked.

    Of a session that is over nothing can be asked: see `resume`. Of one that was stopped or interrupted, what needs
    no process is remembered for the next engine, and the rest is refused.

    An empty list of names asks for nothing; it never means the session.
    """

    id: str

    def request(self, verb: str, /, *, dry_run: bool = False, **fields: Any) -> Answer:
        """Ask for something by its verb and fields, which `parexec help protocol` has; `dry_run`: only find out what
        would happen. Raises TypeError for a verb or field that there is not, or a value that it cannot have."""
        if verb not in _BY_VERB:
            raise TypeError(_unknown("verb", verb, _BY_VERB))
        known = _BY_VERB[verb].__struct_fields__
        for name in fields:
            if name not in known:
                raise TypeError(f"{verb}: {_unknown('field', name, known)}")
        try:
            request = msgspec.convert({"verb": verb, **fields}, _BY_VERB[verb], dec_hook=codec.from_builtin)
        except msgspec.ValidationError as error:
            raise TypeError(f"{verb}: {error}") from None
        return self._ask(request, dry_run=dry_run)

    def hold(self, names: Names | None = None, *, reason: str = "") -> Answer:
        """Start none of these tickets, agents or agent types; None: nothing at all. What runs finishes."""
        return self._ask_of(rq.Hold, names, reason=reason)

    def release(self, names: Names | None = None) -> Answer:
        """Undo a hold or a drain; None: that of the session."""
        return self._ask_of(rq.Release, names)

    def drain(self, names: Names | None = None, *, reason: str = "") -> Answer:
        """Start nothing new on these agents or agent types, and stop them when they are idle; None: the session,
        which ends when what runs has finished."""
        return self._ask_of(rq.Drain, names, reason=reason)

    def freeze(self, names: Names | None = None) -> Answer:
        """Stop the processes of these tickets, agents or services for now; None: all, and hold the session."""
        return self._ask_of(rq.Freeze, names)

    def thaw(self, names: Names | None = None) -> Answer:
        """Let what is frozen go on."""
        return self._ask_of(rq.Thaw, names)

    def restart(self, services: Names) -> Answer:
        """Stop these services and start them again."""
        return self._ask(rq.Restart(services=_listed(services)))

    def cancel(self, tickets: Names, *, now: bool = False) -> Answer:
        """Do not run these tickets, or end them; what needs them is skipped. `now`: KILL at once."""
        return self._ask_tickets(rq.Cancel, tickets, now=now)

    def waive(self, tickets: Names) -> Answer:
        """Do not run these tickets; what needs them may run without them."""
        return self._ask_tickets(rq.Waive, tickets)

    def retry(
        self,
        tickets: Names,
        *,
        downstream: bool = False,
        run: str | None = None,
        agent: str | None = None,
        uses: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        note: str = "",
        budget: str = "",
    ) -> Answer:
        """Run tickets again that are over; `downstream`: also what has run and depends on them. With another command,
        agent or type, amounts, variables or budget, where these are given."""
        changes = {"uses": None if uses is None else dict(uses), "env": None if env is None else dict(env)}
        asked = {"downstream": downstream, "run": run, "agent": agent, "note": note, "budget": budget, **changes}
        return self._ask_tickets(rq.Retry, tickets, **asked)

    def rollback(
        self, tickets: Names, *, downstream: bool = False, rerun: bool = False, force: bool = False
    ) -> Answer:
        """Take back what these tickets did; `force`: also where others have written since."""
        return self._ask_tickets(rq.Rollback, tickets, downstream=downstream, rerun=rerun, force=force)

    def approve(self, tickets: Names, *, note: str = "") -> Answer:
        """Let tickets go on that wait for approval."""
        return self._ask_tickets(rq.Approve, tickets, note=note)

    def reject(self, tickets: Names, *, note: str = "") -> Answer:
        """Do not approve: what has run runs again, what has yet to start is cancelled."""
        return self._ask_tickets(rq.Reject, tickets, note=note)

    def answer(self, tickets: Names, answer: str = "", *, allow: Sequence[str] = ()) -> Answer:
        """Answer what coding agents ask, or what they were not allowed: `yes`, `no`, `always`, or in words. `allow`:
        what they may do from now on, as `Bash(git push *)`."""
        return self._ask_tickets(rq.AnswerAgent, tickets, answer=answer, allow=tuple(allow))

    def merge(self, tickets: Names, *, side: Literal["", "ours", "theirs"] = "", run: str = "") -> Answer:
        """Decide on the conflict of these tickets: which side wins, or a command that resolves it."""
        return self._ask_tickets(rq.Merge, tickets, side=side, run=run)

    def reassign(self, tickets: Names, agent: str) -> Answer:
        """Pin these tickets to an agent or agent type; empty: to none."""
        return self._ask_tickets(rq.Reassign, tickets, agent=agent)

    def prioritise(self, tickets: Names, priority: Literal["critical", "high", "medium", "low"]) -> Answer:
        """Put these tickets in another priority class."""
        return self._ask_tickets(rq.Prioritise, tickets, priority=Priority(priority))

    def scale(self, type: str | None, most: int | None, *, relative: bool = False) -> Answer:  # noqa: A002
        """Change how many agents of a type there may be, `relative`: by a number; None: as the plan says. With no
        type, how many tickets run at once; None: the engine finds that out."""
        is_auto = type is None and most is None
        return self._ask(rq.Scale(type=type, most=most, relative=relative, auto=is_auto))

    def budget(self, budget: str, type: str | None = None) -> Answer:  # noqa: A002
        """Change what coding agents may spend in the session, all or of a type: `$20`, or `plan`: as that says."""
        return self._ask(rq.Scale(most=None, type=type, budget=budget))

    def on_failure(self, policy: Literal["continue", "hold", "stop"]) -> Answer:
        """Say what happens from now on when a ticket fails for good."""
        return self._ask(rq.SetFailurePolicy(policy=policy))

    def edit(self, ticket: str, **changes: Any) -> Answer:
        """Change keys of a ticket that does not run, as they would stand in the plan; None: back to its default."""
        return self._ask(rq.Edit(ticket=ticket, changes=changes))

    def undo(self) -> Answer:
        """Take back the last thing that a person did."""
        return self._ask(rq.Undo())

    def stop(self, *, now: bool = False, reason: str = "") -> Answer:
        """End what runs and let the engine leave; `resume` goes on later. `now`: KILL at once."""
        return self._ask(rq.Stop(now=now, reason=reason))

    def _ask(self, request: Any, *, dry_run: bool = False) -> Answer:
        with session_errors(), self._connect() as client:
            return _answer(client, request, dry_run=dry_run)

    def _ask_of(self, request: type[rq.Scope], names: Names | None, **fields: Any) -> Answer:
        """Ask about what these names mean; None: about the session."""
        if names is None:
            return self._ask(request(**fields))
        with session_errors(), self._connect() as client:
            found = _meant(client, "scope", names)
            meant = {name: value for name in NamesFact.__struct_fields__ if (value := getattr(found, name))}
            return _answer(client, request(**meant, **fields)) if meant else Answer(())

    def _ask_tickets(self, request: Any, names: Names, **fields: Any) -> Answer:
        with session_errors(), self._connect() as client:
            tickets = _meant(client, "select", names).tickets
            return _answer(client, request(tickets=tickets, **fields)) if tickets else Answer(())

    def _connect(self) -> "Client | LeftSession":
        """The engine, or what stands in for it where a session was left that is not over."""
        row = sessions.resolve_here(self.id)
        if sessions.is_living(row.session):
            return connect_to(row.session)
        if row.status in sessions.OVER:
            return connect_to(sessions.living_id(row, is_named=True))
        if sessions.status_of(row) == "interrupted":
            from parexec_tui.engine.given_up import GivenUp  # it can end what runs, so it imports trio

            return GivenUp(row.session)
        from parexec_tui.engine.lifecycle.left_session import LeftSession

        return LeftSession(row.session)


def _meant(client: "Client | LeftSession", about: Literal["select", "scope"], names: Names) -> NamesFact:
    """What names mean to the engine. Raises Refused."""
    words = _listed(names)
    return facts_of(client.question(about, words=words), NamesFact) if words else NamesFact()


def _listed(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _answer(client: "Client | LeftSession", request: Any, *, dry_run: bool = False) -> Answer:
    answer = client.ask(request, dry_run=dry_run)
    events = [codec.decode_event(bytes(raw)) for raw in answer.events or ()]
    acted = events[0] if events else None
    return Answer(
        tuple(Event(None, event) for event in events),
        left_out=acted.left_out if isinstance(acted, OperatorActed) else (),
        preview=answer.preview,
        notice=answer.notice,
    )


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    hint = Hints(known).of(name) or f"there are {', '.join(known)}"
    return f"there is no {what} {name!r}: {hint}"
