"""What has to be said of a session now, the worst first: what the banner of the screen shows in a line.

Each piece follows from the state as it is, by the rule that says when a person is needed, or from what is given here.
So a piece is gone once it is not true any more, and there is none while all is well.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from parexec_tui.core.rules.attention import Need, Subject, agent_needs, session_needs, ticket_need
from parexec_tui.core.schedule.root import Root, WaitedFor
from parexec_tui.core.schedule.root_counts import roots
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, happened
from parexec_tui.text.roots import waited_for_text
from parexec_tui.text.words import all_failed, printable

Tone = Literal["alert", "bad", "warn", "hold", "dim"]
"""How loud a piece is: the meaning whose style it has."""


class Remedy(NamedTuple):
    """What a person can do about a piece."""

    action: str
    """As the table of actions names it."""
    effect: str
    """What it does: `releases it`."""


class Piece(NamedTuple):
    """One thing that has to be said."""

    text: str
    tone: Tone
    subject: Subject | None = None
    """What it is about, where that is something that can be gone to."""
    remedy: Remedy | None = None
    """What helps, wherever the person is; for a ticket or an agent: once it is selected."""


class Around(NamedTuple):
    """What is true besides the state."""

    trouble: str = ""
    """Why the engine cannot write to the registry."""
    contact: str = ""
    """Why there is no contact with an engine, though one is needed."""
    is_gone: bool = False
    """No engine is there, and none is coming by itself."""
    deeds: Sequence[str] = ()
    """What others did a moment ago, the newest first."""
    now: float | None = None
    """The present, to say how long something has been so; None: that is not said."""
    me: str = ""
    """How the requests of the reader are signed."""


NOTHING_AROUND = Around()


def pieces(state: SessionState, around: Around = NOTHING_AROUND) -> Iterator[Piece]:
    """What has to be said, the worst first. It costs what there is to say, not what there is in the plan."""
    if around.trouble:
        yield Piece(f"CANNOT WRITE: {printable(around.trouble)}", "alert")
    needs = {need.subject.kind: need for need in session_needs(state)}
    yield from _engine(state, around, needs.get("engine") or needs.get("end"))
    for need in session_needs(state):
        if need.subject.kind == "host":
            text = f"short of {need.subject.name}: {printable(need.reason)}; nothing starts"
            yield Piece(text, "alert", need.subject)
    for deed in around.deeds:
        yield Piece(printable(deed), "warn")
    yield from _paused(state, needs.get("session"))
    stands_still = len(state.frozen) == len(state.live)
    if stands_still:
        yield from _pauses(state, around)
    yield from _failures(state)
    if state.finished_at is None:
        yield from _agents(state)
    if not stands_still:
        yield from _pauses(state, around)
    yield from _bottleneck(state, around)


def _engine(state: SessionState, around: Around, need: Need | None) -> Iterator[Piece]:
    if state.finished_at is not None:
        return
    takes_over = Remedy("take-over", "starts an engine")
    if need is not None:
        yield Piece(f"no engine runs it: {printable(need.reason)}", "alert", need.subject, takes_over)
    elif state.left is not None:
        yield Piece(f"no engine runs it: {state.left.reason}", "hold", None, takes_over)
    elif around.contact:
        yield Piece(around.contact, "alert", None, takes_over if around.is_gone else None)


def _paused(state: SessionState, need: Need | None) -> Iterator[Piece]:
    """What keeps everything from starting because somebody asked for it, or because of a failure."""
    if state.finished_at is not None or state.left is not None:
        return
    if state.stopping is not None:
        yield Piece(f"the session stops{_cause(state.stopping.by, state.stopping.reason)}", "hold")
    elif state.draining is not None:
        text = f"draining{_cause(state.draining.by, state.draining.reason)}: nothing starts"
        yield Piece(text, "hold", None, Remedy("hold-all", "lets it go on"))
    elif need is not None:
        text = f"the session is {printable(need.reason)}"
        is_freeze = state.held is not None and state.held.is_freeze
        remedy = Remedy("freeze-all", "thaws it") if is_freeze else Remedy("hold-all", "releases it")
        yield Piece(text, "hold" if need.is_asked_for else "alert", need.subject, remedy)


def _failures(state: SessionState) -> Iterator[Piece]:
    """The newest failure, and how many there are."""
    ticket = next(reversed(state.failed.values()), None)
    if ticket is None or (need := ticket_need(ticket)) is None:
        return
    word = happened(ticket.end or ticket.status)
    said = f"{ticket.id} {word}" if need.reason == word else f"{ticket.id} {word}: {need.reason}"
    text = _counted(said, len(state.failed), "failed")
    if (alike := len(state.failed_alike[ticket.failed_with])) > 1:
        all_ = f" ({len(state.failed)} in all)" if len(state.failed) > alike else ""
        text = f"{printable(all_failed(ticket, alike))}{all_}"
    yield Piece(text, "bad", need.subject, Remedy("retry", "runs it again"))


def _agents(state: SessionState) -> Iterator[Piece]:
    for need in agent_needs(state):
        text = f"{need.subject.name} is quarantined: {need.reason}"
        yield Piece(
            _counted(text, len(state.quarantined), "agents"), "alert", need.subject, Remedy("hold", "releases it")
        )
        return


def _pauses(state: SessionState, around: Around) -> Iterator[Piece]:
    """The freeze or hold that most tickets wait for, of a ticket, an agent or an agent type."""
    agents = state.agents.values()
    if not (state.frozen or state.held_back or state.held_types or any(agent.held is not None for agent in agents)):
        return
    of_session = state.held is not None and state.held.is_freeze
    found = [each for each in roots(state) if _is_pause(each) and not (of_session and each.root.kind == "frozen")]
    if not found:
        return
    root = found[0].root
    effect = Remedy("freeze", "thaws it") if root.kind == "frozen" else Remedy("hold", "releases it")
    text = waited_for_text(found[0], around.now, around.me)
    yield Piece(_counted(text, len(found), "paused"), "hold", _subject(root), effect)


def _bottleneck(state: SessionState, around: Around) -> Iterator[Piece]:
    """The one ticket that runs, if all others wait for it, and some of them only because it has what they claim.

    While the plan alone says that they come after it, all is well, and nothing is said.
    """
    if len(state.live) != 1 or not state.ready:
        return
    pending = sum(state.counts[status] for status in PENDING)
    first = next((each for each in roots(state) if each.root.kind == "running"), None)
    if first is not None and first.count == pending and first.is_exact:
        yield Piece(waited_for_text(first, around.now, around.me), "dim")


def _is_pause(found: WaitedFor) -> bool:
    root = found.root
    return root.kind in ("frozen", "held") or (
        found.count > 0 and (root.kind == "type" or (root.kind == "agent" and root.how != "quarantined"))
    )


def _subject(root: Root) -> Subject:
    if root.kind == "type":
        return Subject("type", root.name)
    return Subject("ticket", root.ticket) if root.ticket else Subject("agent", root.agent)


def _counted(text: str, count: int, word: str) -> str:
    """The text, and how many there are like it if it is not alone."""
    return f"{printable(text)} ({count} {word})" if count > 1 else printable(text)


def _cause(by: str, reason: str) -> str:
    return f" by {printable(by)}" if by else f": {printable(reason)}" if reason else ""
