"""answer: what a person says to a coding agent that asks, or ended because it was not allowed something."""

from collections.abc import Iterable, Iterator

from parexec_tui.core.plan.coding import TAKES_RULES
from parexec_tui.core.rules.answers import Decision, Refused, first_refusal, named, refuse_unknown
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import coding_of
from parexec_tui.core.state.one_line import question_line
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Asks
from parexec_tui.core.wire.requests import Refusal

YES = ("yes", "always")
"""Answers that allow what is asked."""

LONGEST_ANSWER = 64 << 10
"""Characters of an answer."""


def answer(state: SessionState, asked: rq.AnswerAgent, now: float) -> Decision:
    if refusal := cannot_answer_agent(state, asked):
        return refusal
    return [_answered(state, ticket, asked, now) for ticket in named(state, asked.tickets)]


def _answered(state: SessionState, ticket: TicketState, asked: rq.AnswerAgent, now: float) -> ev.TicketAnswered:
    asks = _asks(state, ticket)
    if asks is None:
        return ev.TicketAnswered(
            at=now, ticket=ticket.id, answer=asked.answer.strip(), by=asked.by, allow=asked.allow
        )
    is_for_permission = asks_permission(state, ticket)
    answer = _meant(asks, asked.answer.strip() or "yes", takes_yes=is_for_permission or "yes" in asks.choices)
    return ev.TicketAnswered(
        at=now,
        ticket=ticket.id,
        answer=answer,
        question=asks.question,
        by=asked.by,
        allow=asked.allow,
        what=question_line(asks.what),
        denies=is_for_permission and answer not in (*_WORDS.values(), *asks.choices),
    )


def _asks(state: SessionState, ticket: TicketState) -> ev.TicketAsks | None:
    """What its agent asks now, and waits for."""
    return coding_of(state, ticket).asks if ticket.is_live else None


def shown_questions(state: SessionState, tickets: Iterable[str]) -> dict[str, str]:
    """What is asked now, as `AnswerAgent.questions` has it: who was shown that answers nothing else."""
    return {id_: _name(state, state.tickets[id_]) for id_ in tickets if id_ in state.tickets}


def asked_of(state: SessionState, tickets: Iterable[str]) -> dict[str, Asks]:
    """What these tickets ask, or ended for, as a whole, with what may be said."""
    found = dict[str, Asks]()
    for ticket in (state.tickets[id_] for id_ in tickets):
        asks = _asks(state, ticket)
        yes = ("yes", "no", "always") if asks_permission(state, ticket) else ()
        choices = tuple(dict.fromkeys((*(asks.choices if asks is not None else ()), *yes)))
        found[ticket.id] = Asks(_asked_words(ticket, asks), choices, _name(state, ticket))
    return found


def _name(state: SessionState, ticket: TicketState) -> str:
    """Which question it asks, or which of its attempts ended for one; empty if neither. No other one is called so."""
    if (asks := _asks(state, ticket)) is not None:
        return f"{asks.attempt}.{asks.number}"
    return str(ticket.attempts) if ticket.needs_you else ""


def _meant(asks: ev.TicketAsks, answer: str, *, takes_yes: bool) -> str:
    """A choice as it is written, whatever the case in which it was typed; `yes` for `y`."""
    folded = answer.casefold()
    if (choice := next((each for each in asks.choices if each.casefold() == folded), None)) is not None:
        return choice
    return _WORDS.get(folded, answer) if takes_yes else answer


def asks_permission(state: SessionState, ticket: TicketState) -> bool:
    """Whether its agent asks to be allowed something, and takes for a no what is no yes."""
    if (asks := _asks(state, ticket)) is None or ticket.agent is None:
        return False
    kind = state.plan.agents[state.agents[ticket.agent].type].kind
    return kind == "acp" or (kind == "claude" and asks.choices == ("yes", "no"))


_WORDS = {"y": "yes", "yes": "yes", "ok": "yes", "okay": "yes", "always": "always", "n": "no", "no": "no"}


def cannot_answer_agent(state: SessionState, asked: rq.AnswerAgent) -> Refusal | None:
    """Why it would be refused."""
    if refusal := refuse_unknown(state, asked.tickets):
        return refusal
    if not asked.answer.strip() and not asked.allow:
        return Refusal("there is no answer", 'say something: yes, no, "in words", or --allow RULE')
    texts = (asked.answer, *asked.allow)
    if any("\0" in each for each in texts):
        return Refusal("an answer has no NUL character")
    if sum(map(len, texts)) > LONGEST_ANSWER:
        return Refusal(
            f"an answer has at most {LONGEST_ANSWER >> 10} KiB", "write it to a file, and answer where that is"
        )
    if any(each.strip() != each or not each for each in asked.allow):
        return Refusal("a rule is empty, or begins or ends with a space", "as in --allow 'Bash(git push *)'")
    return first_refusal(refused_words(state, asked))


def refused_words(state: SessionState, asked: rq.AnswerAgent) -> Iterator[Refused]:
    """The tickets that cannot be answered so, and why."""
    for ticket in named(state, asked.tickets):
        if refusal := _cannot_hear(state, ticket, asked):
            yield Refused("tickets", ticket.id, refusal)


def _cannot_hear(state: SessionState, ticket: TicketState, asked: rq.AnswerAgent) -> Refusal | None:
    told, asks = coding_of(state, ticket), _asks(state, ticket)
    is_asked = asks is not None
    if (shown := asked.questions.get(ticket.id)) is not None and shown != _name(state, ticket):
        if not (is_asked or ticket.needs_you):
            return Refusal(f"{ticket.id} does not ask that any more")
        now = question_line(_asked_words(ticket, asks))
        return Refusal(f"{ticket.id} asks something else by now: {now}", "look again, and answer that")
    if asked.about and asked.about not in (words := _asked_words(ticket, asks)):
        return Refusal(f"{asked.about!r} is not in what {ticket.id} asks now: {question_line(words)}")
    if not (is_asked or ticket.needs_you):
        return _asks_nothing(ticket, is_answered=told.answered is not None)
    type_ = state.agents[ticket.agent].type if ticket.agent else ""
    kind = state.plan.agents[type_].kind or ""
    if asked.allow and kind not in TAKES_RULES:
        return Refusal(
            f"{kind or type_} cannot be allowed one thing more",
            f"permissions in [agents.{type_}] says what it may do",
        )
    is_yes = _WORDS.get(asked.answer.strip().casefold()) in YES
    if not is_asked and not asked.allow and is_yes and ticket.reason.startswith("denied: "):
        how = f"parexec answer {ticket.id} --allow 'Bash(git push *)'; or "
        return Refusal(
            f"{ticket.id} is over, and what it was {ticket.reason} would be denied again",
            f"{how if kind in TAKES_RULES else ''}answer in words, and it goes on with them",
        )
    return None


def _asked_words(ticket: TicketState, asks: ev.TicketAsks | None) -> str:
    return ticket.reason if asks is None else asks.what


def _asks_nothing(ticket: TicketState, *, is_answered: bool) -> Refusal:
    reason = f"the agent of {ticket.id} asks nothing: it {ticket.stands.removeprefix('it ')}"
    if is_answered and ticket.is_live:
        return Refusal(f"{ticket.id} is answered already, and its agent goes on")
    if is_answered:
        return Refusal(f"{ticket.id} is answered already", "undo that first, as long as it has not started")
    if ticket.status is Status.approval:
        return Refusal(reason, f"approve or reject {ticket.id}")
    if ticket.status in TERMINAL:
        return Refusal(reason, f"retry {ticket.id} --note TEXT")
    return Refusal(reason)
