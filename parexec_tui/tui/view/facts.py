"""A ticket in a word and in a line: the same in every panel."""

from collections.abc import Sequence

from msgspec import structs

from parexec_tui.core.plan.units import format_duration, format_size
from parexec_tui.core.schedule.blocker import Blocker
from parexec_tui.core.schedule.blockers import agents_left, not_wanted_text, unmet_needs, why
from parexec_tui.core.schedule.next_link import live_root, of_approval
from parexec_tui.core.schedule.root import Root
from parexec_tui.core.schedule.root_counts import waiting_for
from parexec_tui.core.schedule.roots import root_of, roots_of_all
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.isolation import conflicts_ahead
from parexec_tui.core.state.people import as_read_by, by_whom
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, End, Status, happened
from parexec_tui.core.state.steps import is_owed, step_text
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.coding import blocker_words
from parexec_tui.text.roots import cause_text, fate_of_live, happens_to, root_text, waits_text
from parexec_tui.text.words import ago, ahead_text, held_text, printable, short_duration, why_ended


def reason_of(state: SessionState, ticket: TicketState, now: float, me: str = "", *, is_brief: bool = False) -> str:
    """Why a ticket is not running, in a line; empty if it runs and is not held.

    It is what the ticket waits for in the end if that stays, else the first reason. `me` as for `root_text`.
    `is_brief`: of several needs the first is named and the others are counted.
    """
    if ticket.status in PENDING:
        return _why_waits(state, ticket, now, me, is_brief=is_brief)
    if ticket.is_live and state.gone is not None:
        return step_text(state, ticket) if is_owed(state, ticket) else fate_word(state)
    if ticket.is_frozen:
        found = waiting_for(state, root) if (root := root_of(state, ticket)) is not None else None
        parts = (cause_text(root, now, me), waits_text(found)) if root is not None and found is not None else ()
        return "; ".join(filter(None, (*parts, held_text(ticket.held, me))))
    if ticket.is_unwanted:
        return printable(not_wanted_text(state, ticket))
    if ticket.status is Status.skipped:
        cause = state.cause(ticket)
        return f"{cause.id} {cause.end if cause.status is Status.failed and cause.end else happened(cause.status)}"
    if ticket.status is Status.stopping:
        return f"{stop_text(ticket, now, me)}: TERM, then KILL after {format_duration(ticket.spec.grace)}"
    if ticket.is_in_conflict or ticket.needs_you:
        return cause_text(of_approval(ticket), None, me)
    if ticket.has_lost_work:
        return f"{printable(ticket.reason)}; approve merges it again"
    if ticket.status is Status.approval:
        return "has run, and waits for your approval"
    if ticket.is_live:
        if state.coding and (asks := live_root(state, ticket)).kind == "answer":
            return cause_text(asks, None, me)
        where = state.live_on.get(ticket.id)
        lost = f"{where.name} unreachable" if where is not None and where.status == "unreachable" else ""
        ahead = (ahead_text(other, each.files, each.count) for other, each in conflicts_ahead(state, ticket.id))
        return "; ".join(
            filter(None, (printable(lost), printable(step_text(state, ticket)), held_text(ticket.held, me), *ahead))
        )
    if ticket.end is not None and ticket.end is not End.succeeded:
        return _why_ended(ticket, me)
    return printable(as_read_by(me, ticket.reason))


def fate_word(state: SessionState) -> str:
    """What is known of what was live when an engine was last there, in a word or two; empty while there is one."""
    if state.gone is None:
        return ""
    return fate_of_live(state) or _no_engine(roots_of_all(state)[0])


def stop_text(ticket: TicketState, now: float, me: str = "") -> str:
    """Why a ticket that is being stopped is, by whom and since when: `cancelled by you 3s ago`."""
    attempt = ticket.live_attempt
    return f"{attempt.stop_reason}{printable(by_whom(attempt.stop_by, me))} {ago(now - attempt.stop_since)}"


def shown_blockers(state: SessionState, ticket: TicketState, me: str = "") -> list[Blocker]:
    """All that keeps a ticket from running, as `why`; while no engine is there, without what only an engine would
    end: busy agents, and the time of the next try."""
    found = why(state, ticket, me)
    if state.gone is None:
        return found
    return [structs.replace(each, until=None) for each in _own(state, ticket, found)]


def _own(state: SessionState, ticket: TicketState, found: Sequence[Blocker]) -> list[Blocker]:
    """Those of its reasons that would keep it even if it were its turn."""
    passing = ("parallel", "agent") if agents_left(state, ticket) else ("parallel",)
    return [each for each in found if each.kind not in passing]


def _why_waits(state: SessionState, ticket: TicketState, now: float, me: str, *, is_brief: bool) -> str:
    found = sorted(shown_blockers(state, ticket, me), key=lambda each: each.kind != "held")
    root = root_of(state, ticket)
    if root is not None and root.is_of_all:
        return _why_waits_itself(state, ticket, root, found, now, me, is_brief=is_brief)
    if not found:
        return "starts now"
    if root is not None and root.stays and root.kind not in ("resource", "no-agent"):
        # Without the time: this may stand in many rows, and all of them would be drawn again each second.
        return cause_text(root, None, me) if root.ticket == ticket.id else root_text(root, None, me)
    text = _brief_text(state, ticket, found[0], now) if is_brief else printable(blocker_text(found[0], now))
    if found[0].kind == "needs" and root is not None and root.kind in ("running", "stopping", "backoff", "answer"):
        return text if root.ticket in state.graph.needs[ticket.id] else f"{root.ticket} {happens_to(root)}; {text}"
    if found[0].kind == "backoff":
        return f"{text}; {_why_ended(ticket, me)}"
    return f"{text}; {len(found) - 1} more" if len(found) > 1 else text


def _brief_text(state: SessionState, ticket: TicketState, blocker: Blocker, now: float) -> str:
    needs = unmet_needs(state, ticket) if blocker.kind == "needs" else []
    return (
        f"needs {needs[0].id} and {len(needs) - 1} more" if len(needs) > 1 else printable(blocker_text(blocker, now))
    )


def _why_waits_itself(
    state: SessionState,
    ticket: TicketState,
    root: Root,
    found: Sequence[Blocker],
    now: float,
    me: str,
    *,
    is_brief: bool,
) -> str:
    """Why a ticket waits besides what keeps everything: the header and the banner say that, and not each row.

    If there is nothing besides, the row says it in two words.
    """
    own = [each for each in _own(state, ticket, found) if each.kind not in ("session", "host")]
    if not own:
        return _in_two_words(root)
    first = structs.replace(own[0], until=None)  # its next try does not start then
    text = _brief_text(state, ticket, first, now) if is_brief else printable(blocker_text(first, now))
    if first.kind == "backoff":
        return f"{_in_two_words(root)}; {text}; {_why_ended(ticket, me)}"
    return f"{text}; {len(own) - 1} more" if len(own) > 1 else text


def _in_two_words(root: Root) -> str:
    """What keeps everything, for a row; who, since when and why is in the banner."""
    if root.kind == "host":
        return printable(f"host short of {root.name}")
    return _no_engine(root) if root.kind == "engine" else f"session {root.how}"


def _no_engine(root: Root) -> str:
    if root.how in ("stopped", "drained"):
        return f"session {root.how}"
    return "no answer" if root.how == "silent" else "no engine"


def root_beyond(state: SessionState, ticket: TicketState, reasons: Sequence[Blocker]) -> Root | None:
    """What a ticket that waits waits for in the end, if that says more than its reasons do."""
    root = root_of(state, ticket)
    if root is None or root.kind in ("far", "next"):
        return None
    if root.kind == "engine":  # no reason says it
        return root
    is_said = root.ticket in ("", ticket.id, *(reason.holder for reason in reasons))
    return root if root.kind in ("frozen", "agent") or not is_said else None


def _why_ended(ticket: TicketState, me: str) -> str:
    why = printable(why_ended(as_read_by(me, ticket.reason), ticket.signal, ticket.error_line))
    return ": ".join(filter(None, (f"{ticket.end}, allowed", why))) if ticket.is_allowed else why


def idle_reason(state: SessionState, agent: AgentState, now: float, me: str = "") -> str:
    """Why an agent runs nothing, or for how long."""
    if agent.quarantined:
        return printable(agent.quarantined)
    if agent.held is not None:
        return printable(by_whom(agent.held, me)).strip()
    if state.finished_at is not None or state.gone is not None:
        return ""  # it waits for nothing any more, or nobody gives it anything
    idle = f"for {short_duration(max(0.0, now - agent.idle_since))}"
    if agent.type in state.type_troubles:
        return f"{idle}; its type needs you"
    return f"{idle}; its type is held" if agent.type in state.held_types else idle


def blocker_text(blocker: Blocker, now: float) -> str:
    """A blocker in words, with how long it has been there, or how long it will be."""
    if blocker.kind == "limit":
        return blocker_words(blocker, now)
    if blocker.until is not None:
        return f"{blocker.text}, in {short_duration(max(0.0, blocker.until - now))}"
    if blocker.since and blocker.kind in ("claim", "resource", "session", "host"):
        return f"{blocker.text}, for {short_duration(max(0.0, now - blocker.since))}"
    return blocker.text


def short_size(size: float) -> str:
    """Bytes in at most five cells, for columns: `870B`, `512M`, `1.5G`. Units are binary, as in `ls -h`."""
    return format_size(size).replace("iB", "")


def short_count(amount: float) -> str:
    """An amount that may be a fraction, in at most four cells up to 9999: `0.25`, `12.5`, `128`."""
    return f"{amount:.2f}" if amount < 9.995 else f"{amount:.1f}" if amount < 99.95 else f"{amount:.0f}"
