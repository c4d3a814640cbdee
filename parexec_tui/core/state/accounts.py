"""Accounts that rest because a provider does not answer them, and which agent types a ticket can run on meanwhile."""

from collections.abc import Callable, Iterator, Mapping

from parexec_tui.core.plan.coding import TAKES_RULES, account_of, is_minded
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import format_money
from parexec_tui.core.state.budgets import has_caps, over_text
from parexec_tui.core.state.coding import NOTHING, Coding, Conversation, Rest
from parexec_tui.core.state.findings import remembered
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState


def over_type_budget(state: SessionState, type_: str) -> str:
    """Why no attempt starts on agents of a type, if that is for money, in words: what was spent, and what is to be
    expected of those that run and of one more, come to its budget or that of the session. O(what runs)."""
    return over_budget_of(state, type_)[1]


def over_budget_of(state: SessionState, type_: str) -> tuple[str, str]:
    """The same after whose budget that is: the name of the type, or empty for the session."""
    if not state.budgets or not is_minded(state.plan.agents[type_]):
        return "", ""
    for name, spent, budget in _budgets_of(state, type_):
        running = [live for live in _not_counted(state) if name in ("", live)]
        expected = sum(_usual_cost(state, each) for each in (*running, type_))
        if spent + expected >= budget:
            told = (
                f"{f'budget of {name}' if name else 'budget'}: {format_money(spent)} of {format_money(budget)} spent"
            )
            if spent >= budget:
                return name, told
            of_what = f"{len(running)} running and the next" if running else "an attempt"
            return name, f"{told}, and about {format_money(expected)} expected of {of_what}"
    return "", ""


def spent_budgets(state: SessionState) -> Mapping[str, str]:
    """{whose budget, by agent type, or empty for the session: in words why it lets no more start}, of those that are
    spent, or too small for one attempt more though none runs, while tickets are left that no other type takes.

    O(what runs), and once between two events O(plan) while one is spent.
    """
    return remembered(state.findings, _SpentBudgets, state) if state.budgets else {}


class _SpentBudgets(dict[str, str]):
    def __init__(self, state: SessionState) -> None:
        super().__init__()
        over = {type_: found for type_ in state.plan.agents if (found := over_budget_of(state, type_))[1]}
        if not any(has_spent(state, name) for name, _ in over.values()):
            return
        for ticket in state.tickets.values():
            if ticket.status in PENDING and ticket.types and over.keys() >= {*(left := left_types(state, ticket))}:
                self.update(over[type_] for type_ in left if has_spent(state, over[type_][0]))
            if len(self) == len({name for name, _ in over.values()}):
                return


def has_spent(state: SessionState, name: str) -> bool:
    """Whether a budget is spent, or nothing runs on it that may cost less than is expected."""
    if spent_on(state, name) >= state.budgets[name]:
        return True
    return not any(name in ("", type_) and is_minded(state.plan.agents[type_]) for type_ in running_types(state))


def spent_on(state: SessionState, name: str) -> float:
    """Dollars that the attempts of a type cost that are over; the empty name: of all. Not known counts as nothing."""
    tally = state.tally.types.get(name)
    used = state.tally.figures() if not name else tally.figures if tally is not None else None
    return (used.cost or 0.0) if used is not None else 0.0


def budget_in_the_way(state: SessionState) -> str:
    """The budget, in words, that keeps a ticket from starting which could start else; empty if none does."""
    if not state.budgets:
        return ""
    for ticket in state.ready.values():
        if ticket.held is None and not open_types(state, ticket):
            for type_ in left_types(state, ticket):
                if over := over_type_budget(state, type_):
                    return over
    return ""


def _budgets_of(state: SessionState, type_: str) -> Iterator[tuple[str, float, float]]:
    """(whose, dollars spent, budget) of all that limit a type; the empty name: the session."""
    for name in ("", type_):
        if (budget := state.budgets.get(name)) is not None:
            yield name, spent_on(state, name), budget


def _not_counted(state: SessionState) -> list[str]:
    """The agent types of the attempts that run, and have not told what they used."""
    return [
        state.agents[ticket.agent].type
        for ticket in state.live.values()
        if ticket.agent and coding_of(state, ticket).figures_of(ticket.attempts) is None
    ]


def _usual_cost(state: SessionState, type_: str) -> float:
    """Dollars that an attempt on a type is expected to cost; 0 while that is not known."""
    tally = state.tally.types.get(type_)
    return (tally.usual_cost or 0.0) if tally is not None else 0.0


def cost_to_go(state: SessionState) -> float | None:
    """Dollars that the tickets of coding agents that are left are expected to cost: an attempt of each, as those of
    its agent type usually did here. None: none is left, or of one type it is not known. O(plan)."""
    found: float | None = None
    for ticket in state.tickets.values():
        if ticket.status in TERMINAL or ticket.status is Status.approval or not ticket.types:
            continue
        if ticket.is_live and coding_of(state, ticket).figures_of(ticket.attempts) is not None:
            continue  # its command is over, and counted
        type_ = state.agents[ticket.agent].type if ticket.is_live and ticket.agent else _meant(ticket)[0]
        if not is_minded(state.plan.agents[type_]):
            continue
        tally = state.tally.types.get(type_)
        if tally is None or tally.usual_cost is None:
            return None
        found = (found or 0.0) + tally.usual_cost
    return found


def rest_of(state: SessionState, type_: str) -> Rest | None:
    """Why no agent of a type starts a ticket now, if that is its account: it rests, or another ticket tries it."""
    if not state.accounts or (rest := state.accounts.get(account_of(type_, state.plan.agents))) is None:
        return None
    return rest if rest.tried_at is None or _has_trier(state, rest.account, rest.tried_at) else None


def _has_trier(state: SessionState, account: str, since: float) -> bool:
    """Whether an attempt tries an account. What began before tells nothing."""
    return any(
        account_of(state.agents[ticket.agent].type, state.plan.agents) == account
        for ticket in state.live.values()
        if ticket.agent and ticket.live_attempt.started >= since
    )


def rest_in_the_way(state: SessionState, ticket: TicketState) -> tuple[str, Rest] | None:
    """The agent type, and the rest of its account, that keep a ticket from what it is meant for. A fallback may take
    it meanwhile, but has no free agent: that is not asked."""
    if not state.accounts:
        return None
    alone = {*ticket.types} - {*_meant(ticket)} if state.has_fallbacks else set()
    if {*open_types(state, ticket)} - alone:
        return None
    return first_rest(state, ticket)


def first_rest(state: SessionState, ticket: TicketState) -> tuple[str, Rest] | None:
    """Of the agent types of a ticket whose accounts rest, and from which nothing else keeps it, that which
    it can start on first."""
    found: tuple[str, Rest] | None = None
    for type_ in left_types(state, ticket):
        rest = rest_of(state, type_)
        if rest is None or type_ in state.held_types or over_type_budget(state, type_):
            continue
        if found is None or (not found[1].is_tried and (rest.is_tried or rest.until < found[1].until)):
            found = type_, rest
    return found


def rests_waited_for(state: SessionState) -> list[Rest]:
    """The accounts that rest while a ticket waits for them, and those that a ticket tries; no others matter."""
    if not state.accounts:
        return []
    found = {
        account
        for account, rest in state.accounts.items()
        if rest.tried_at is not None and _has_trier(state, account, rest.tried_at)
    }
    seen: set[tuple[str, ...]] = set()
    for ticket in state.ready.values():
        if found.issuperset(state.accounts):
            break
        if ticket.held is None and (types := left_types(state, ticket)) not in seen:
            seen.add(types)
            found.update(
                account_of(type_, state.plan.agents)
                for type_ in types
                if type_ not in state.held_types and not over_type_budget(state, type_)
            )
    return [rest for account, rest in state.accounts.items() if account in found]


def open_types(state: SessionState, ticket: TicketState) -> tuple[str, ...]:
    """The agent types on which a ticket could start now, as far as people, accounts and refusals let it.

    A type that is only a fallback counts while all that the ticket is meant for are limited or refuse it.
    """
    types = ticket.types
    refused = _refused(state, ticket, coding_of(state, ticket))
    if not (state.held_types or state.accounts or state.budgets or refused):
        return types if not state.has_fallbacks else _meant(ticket)
    meant = _meant(ticket)
    left = [name for name in meant if name not in refused and _may_work(state, name)]
    chosen = left or [name for name in types if name not in meant and name not in refused]
    return tuple(name for name in chosen if name not in state.held_types and _may_work(state, name))


def left_types(state: SessionState, ticket: TicketState) -> tuple[str, ...]:
    """The types of a ticket without those that do not want it, or on which it has spent what it may."""
    refused = _refused(state, ticket, coding_of(state, ticket)) if state.coding else ()
    return tuple(name for name in ticket.types if name not in refused) if refused else ticket.types


def rests_ahead(state: SessionState, now: float) -> Callable[[TicketState], float]:
    """What tells of tickets for how many seconds no attempt of theirs can start because accounts rest: 0 where one
    agent type takes it, a fallback perhaps. It is asked once for those that can run on the same types."""
    found: dict[tuple[tuple[str, ...], str | None], float] = {}

    def ahead(ticket: TicketState) -> float:
        if ticket.is_live or not ticket.types:
            return 0.0
        key = left_types(state, ticket), ticket.spec.agent
        if key not in found:
            found[key] = _rest_ahead(state, ticket, now)
        return found[key]

    return ahead if state.accounts else lambda _: 0.0


def _rest_ahead(state: SessionState, ticket: TicketState, now: float) -> float:
    if open_types(state, ticket):
        return 0.0
    found = first_rest(state, ticket)
    return 0.0 if found is None or found[1].is_tried else max(0.0, found[1].until - now)


def _may_work(state: SessionState, type_: str) -> bool:
    return rest_of(state, type_) is None and not over_type_budget(state, type_)


def _refused(state: SessionState, ticket: TicketState, told: Coding) -> tuple[str, ...]:
    """The types that do not want a ticket, have spent what it may cost, or do not know a rule that allows it more."""
    refused = told.refused_by
    if told.used and has_caps(ticket.spec):
        refused = (*refused, *(name for name, used in told.used if over_text(ticket.spec, used)))
    if told.answered is not None and told.answered.allow:
        left = [name for name in ticket.types if name not in refused]
        knowing = [name for name in left if state.plan.agents[name].kind in TAKES_RULES]
        refused = (*refused, *(name for name in left if name not in knowing)) if knowing else refused
    return refused


def over_budget(state: SessionState, ticket: TicketState, spec: Ticket | None = None) -> str:
    """That a ticket has used all that it may on each type that could run it, in words; empty if it has not.

    `spec`: with that in its place.
    """
    told, spec = coding_of(state, ticket), spec or ticket.spec
    if not told.used or not has_caps(spec):
        return ""
    over = [over_text(spec, told.used_on(name)) for name in ticket.types]
    return over[0] if over and all(over) else ""


def _meant(ticket: TicketState) -> tuple[str, ...]:
    """The types of a ticket without those that are only fallbacks."""
    wanted = ticket.spec.agent
    return ticket.types if wanted is None else tuple(name for name in ticket.types if name == wanted)


def coding_of(state: SessionState, ticket: TicketState) -> Coding:
    """What is remembered of a ticket. Not to be changed."""
    return state.coding.get(ticket.id, NOTHING) if state.coding else NOTHING


def conversation_from(state: SessionState, ticket: TicketState) -> Conversation | None:
    """The conversation that a ticket begins with: that of the ticket which its `from` names."""
    other = state.tickets.get(ticket.spec.from_)
    return None if other is None else coding_of(state, other).conversation


def is_coded(state: SessionState, ticket: TicketState) -> bool:
    """Whether the newest attempt of a ticket has, or had, a minder."""
    return ticket.agent is not None and is_minded(state.plan.agents[state.agents[ticket.agent].type])


def running_types(state: SessionState) -> tuple[str, ...]:
    """The agent types of which something runs."""
    live = (ticket.agent for ticket in state.live.values())
    return tuple(dict.fromkeys(state.agents[agent].type for agent in live if agent))
