"""The commands of the palette: those that ask the engine for something, and the table of all."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Literal

from parexec_tui.core.plan.hosts import ON_HOST
from parexec_tui.core.plan.reading.typed import TypedCount, read_count, read_value
from parexec_tui.core.plan.ticket import EDITABLE_KEYS, Priority
from parexec_tui.core.rules.verbs.answer import shown_questions
from parexec_tui.core.rules.wording import POLICIES
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.core.wire.scopes import scope
from parexec_tui.core.wire.selectors import SelectorError, begins_at, known_filters, select
from parexec_tui.tui.actions.command import Command, CommandError, no, state_of
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.actions.file_commands import file_commands
from parexec_tui.tui.actions.screen_commands import screen_commands

# -- what is offered -------------------------------------------------------------------------------------------


def _tickets(context: ActionContext, _: Sequence[str] = ()) -> Iterable[str]:
    state = state_of(context)
    return chain(known_filters(state), state.tickets)


def _anything(context: ActionContext, words: Sequence[str]) -> Iterable[str]:
    state = state_of(context)
    if "reason" in words:
        return ()
    agents = (agent.id for agent in state.agents.values() if not agent.stopped)
    return chain(agents, state.available, _tickets(context))


def _first(offered: Iterable[str], words: Sequence[str]) -> Iterable[str]:
    return () if words else offered


# -- the engine ------------------------------------------------------------------------------------------------


def _scoped(make: Callable[..., AnyRequest]) -> Callable[[ActionContext, str], AnyRequest]:
    """A command about tickets, agents, agent types, or the session."""

    def read(context: ActionContext, argument: str) -> AnyRequest:
        words, _, reason = f" {argument} ".partition(" reason ")
        names = scope(state_of(context), words.split())
        if isinstance(names, Refusal):
            raise CommandError(str(names))
        found = {"tickets": names.tickets, "agents": names.agents, "types": names.types, "hosts": names.hosts}
        if words.split() and not any(found.values()):
            raise CommandError(f"{words.strip()} is no ticket now")
        if not reason.strip():
            return make(**found)
        if make not in (rq.Hold, rq.Drain) or words.split():
            raise CommandError("a reason is for a hold or a drain of the session: hold reason TEXT")
        return make(reason=reason.strip())

    return read


def _selected(context: ActionContext, words: Sequence[str]) -> tuple[str, ...]:
    """The tickets that the words mean. Raises CommandError for none."""
    if not words:
        raise CommandError("say which tickets: T3, MOD-*, status:failed")
    try:
        found = select(state_of(context), words)
    except SelectorError as error:
        raise CommandError(str(error)) from error
    if not found:
        raise CommandError(f"{' '.join(words)} is no ticket now")
    return tuple(found)


def _of_tickets(make: Callable[[tuple[str, ...]], AnyRequest]) -> Callable[[ActionContext, str], AnyRequest]:
    return lambda context, argument: make(_selected(context, argument.split()))


def _options(words: Sequence[str], known: Sequence[str]) -> tuple[set[str], list[str]]:
    """The options among the words, written as on the command line, and the other words. Raises CommandError."""
    found = {word for word in words if word.startswith("--")}
    if unknown := found - set(known):
        raise CommandError(no("option", min(unknown), known))
    return found, [word for word in words if word not in found]


def _rollback(context: ActionContext, argument: str) -> AnyRequest:
    found, words = _options(argument.split(), _OF_ROLLBACK)
    tickets = _selected(context, words)
    return rq.Rollback(tickets=tickets, downstream="--downstream" in found, force="--force" in found)


def _restart(context: ActionContext, argument: str) -> AnyRequest:
    state = state_of(context)
    found, words = _options(argument.split(), _OF_RESTART)
    if not found and words and all(word in state.services for word in words):
        return rq.Restart(services=tuple(words))
    if "--force" in found and "--rollback" not in found:
        raise CommandError("--force is about what --rollback restores")
    each = (_selected(context, [begins_at(word, state.tickets)]) for word in words)
    tickets = tuple(dict.fromkeys(chain.from_iterable(each))) or _selected(context, ())
    if "--rollback" in found:
        return rq.Rollback(tickets=tickets, downstream=True, rerun=True, force="--force" in found)
    return rq.Retry(tickets=tickets, downstream=True)


_OF_ROLLBACK = ("--downstream", "--force")
_OF_RESTART = ("--from", "--rollback", "--force")


def _with_options(options: Sequence[str]) -> Callable[[ActionContext, Sequence[str]], Iterable[str]]:
    return lambda context, words: chain(_tickets(context), (each for each in options if each not in words))


def _answered(make: type[rq.Approve | rq.Reject]) -> Callable[[ActionContext, str], AnyRequest]:
    """An answer to what waits for approval, with a note."""

    def read(context: ActionContext, argument: str) -> AnyRequest:
        words, _, note = f" {argument} ".partition(" note ")
        return make(tickets=_selected(context, words.split()), note=note.strip())

    return read


def _answer(context: ActionContext, argument: str) -> AnyRequest:
    ticket, _, said = argument.strip().partition(" ")
    tickets = _selected(context, ticket.split())
    return rq.AnswerAgent(tickets=tickets, answer=said.strip(), questions=shown_questions(context.state, tickets))


def _merge(context: ActionContext, argument: str) -> AnyRequest:
    argument, _, command = f" {argument} ".partition(" --by ")
    found, words = _options(argument.split(), _OF_MERGE)
    if len(found) + bool(command.strip()) != 1:
        raise CommandError("say which wins: --ours (what is merged) or --theirs (what it did); or --by COMMAND")
    side: Literal["", "ours", "theirs"] = "" if not found else "ours" if "--ours" in found else "theirs"
    return rq.Merge(tickets=_selected(context, words), side=side, run=command.strip())


_OF_MERGE = ("--ours", "--theirs")


def _priority(context: ActionContext, argument: str) -> AnyRequest:
    level, *words = argument.split() or [""]
    levels = [priority.value for priority in Priority]
    if level not in levels:
        raise CommandError(no("priority", level, levels))
    tickets = _selected(context, words) if words else context.screen.targets().tickets
    if not tickets:
        raise CommandError("no ticket is selected: name some behind the level")
    return rq.Prioritise(tickets=tickets, priority=Priority(level))


def _scaled(context: ActionContext) -> Sequence[str]:
    """What can be scaled: agent types and hosts."""
    state = state_of(context)
    return (*state.available, *(f"{ON_HOST}{name}" for name in state.hosts))


def _scale(context: ActionContext, argument: str) -> AnyRequest:
    words = argument.split()
    if not words or words[0] not in (known := _scaled(context)):
        raise CommandError(no("agent type", words[0] if words else "", known))
    if len(words) != 2:
        raise CommandError(f"say how many: scale {words[0]} 4, +1, -1 or plan")
    return rq.Scale(type=words[0], **_count(words[1])._asdict())


def _parallel(_: ActionContext, argument: str) -> AnyRequest:
    count = _count(argument.strip())
    if count.most is None and not count.auto:
        raise CommandError("say a number or auto: 4, +1 or -1")
    return rq.Scale(**count._asdict())


def _count(text: str) -> TypedCount:
    count = read_count(text)
    if count is None:
        raise CommandError(f"{text or 'nothing'} is not a number: write 4, +1, -1, plan or auto")
    return count


def _on_failure(_: ActionContext, argument: str) -> AnyRequest:
    policy = argument.strip()
    for known in POLICIES:
        if known == policy:
            return rq.SetFailurePolicy(policy=known)
    raise CommandError(no("policy", policy, POLICIES))


def _reassign(context: ActionContext, argument: str) -> AnyRequest:
    state = state_of(context)
    *words, agent = argument.split() or [""]
    known = ["any", *state.available, *(each.id for each in state.agents.values() if not each.stopped)]
    if agent not in known:
        raise CommandError(no("agent", agent, known))
    tickets = _selected(context, words) if words else context.screen.targets().tickets
    if not tickets:
        raise CommandError("no ticket is selected: name some before the agent")
    return rq.Reassign(tickets=tickets, agent="" if agent == "any" else agent)


_KEYS = EDITABLE_KEYS
_CHANGE = re.compile(rf"(?:^|\s)({'|'.join(_KEYS)})=")
"""Where the change of a key begins; its value goes on to the next one, blanks included."""


def _edit(context: ActionContext, argument: str) -> AnyRequest:
    id_, _, rest = argument.strip().partition(" ")
    tickets = state_of(context).tickets
    if id_ not in tickets:
        raise CommandError(no("ticket", id_, tickets))
    before, *found = _CHANGE.split(rest)
    if before.strip() or not found:
        key = before.strip().partition("=")[0]
        raise CommandError(no("key", key, _KEYS) if key else "say what changes: timeout=30m; `KEY=` resets a key")
    pairs = zip(found[::2], found[1::2], strict=True)
    return rq.Edit(ticket=id_, changes={key: read_value(key, text.strip()) for key, text in pairs})


def _stop(_: ActionContext, argument: str) -> AnyRequest:
    words, __, reason = f" {argument} ".partition(" reason ")
    if words.split() not in ([], ["now"]):
        raise CommandError(f"it takes `now`, and `reason TEXT`; {words.strip()} is neither: cancel is for tickets")
    return rq.Stop(now=bool(words.split()), reason=reason.strip())


def _made() -> Iterator[Command]:
    what, some = "[WHAT...]", "TICKET..."
    session = "tickets, agents, agent types; nothing: the session"
    yield Command("hold", f"{what} [reason TEXT]", f"do not start: {session}", _scoped(rq.Hold), _anything)
    yield Command("release", what, f"undo a hold: {session}", _scoped(rq.Release), _anything)
    yield Command("freeze", what, f"stop the processes: {session}", _scoped(rq.Freeze), _anything)
    yield Command("thaw", what, f"let go on: {session}", _scoped(rq.Thaw), _anything)
    yield Command("drain", f"{what} [reason TEXT]", f"start nothing new: {session}", _scoped(rq.Drain), _anything)
    yield Command(
        "cancel",
        some,
        "end them: what runs is stopped, what needs them is skipped",
        _of_tickets(lambda ids: rq.Cancel(tickets=ids)),
        _tickets,
    )
    yield Command(
        "waive",
        some,
        "do without them: what needs them may run",
        _of_tickets(lambda ids: rq.Waive(tickets=ids)),
        _tickets,
    )
    for answer, effect, make in (
        ("approve", "what waits for approval may start, or has succeeded", rq.Approve),
        ("reject", "what waits for approval runs again, or is cancelled", rq.Reject),
    ):
        yield Command(answer, f"{some} [note TEXT]", effect, _answered(make), _tickets)
    yield Command(
        "answer", "TICKET ANSWER", "what its coding agent asks; it goes on with that", _answer,
        lambda context, words: _first(_tickets(context), words),
    )  # fmt: skip
    yield Command(
        "merge", f"{some} --ours|--theirs|--by COMMAND", "decide on the conflict of tickets", _merge, _tickets
    )
    yield Command(
        "retry", some, "run them again", _of_tickets(lambda ids: rq.Retry(tickets=ids)), _tickets, restarts=True
    )
    yield Command(
        "rollback",
        f"{some} [--downstream] [--force]",
        "take back what they did; retry runs them again",
        _rollback,
        _with_options(_OF_ROLLBACK),
        restarts=True,
    )
    yield Command(
        "restart",
        "GROUP|TICKET... [--rollback]",
        "run them again, and all downstream of them that has run; or a service",
        _restart,
        lambda context, words: chain(state_of(context).services, _with_options(_OF_RESTART)(context, words)),
        restarts=True,
    )
    yield Command(
        "reassign",
        "[TICKET...] AGENT",
        "give them to an agent or agent type; `any` lets any agent run them",
        _reassign,
        lambda context, words: () if "reason" in words else chain(_anything(context, words), ("any",)),
    )
    yield Command(
        "edit",
        "TICKET KEY=VALUE...",
        "change a ticket that is not running; `KEY=` resets a key",
        _edit,
        lambda context, words: (f"{key}=" for key in _KEYS) if words else state_of(context).tickets,
    )
    yield Command(
        "stop",
        "[now] [reason TEXT]",
        "end what runs, and let the engine leave; it can be resumed",
        _stop,
        lambda _, words: _first(("now", "reason"), words),
    )
    yield Command(
        "priority",
        "LEVEL [TICKET...]",
        "put them in another class; else the marked or selected ones",
        _priority,
        lambda context, words: _tickets(context) if words else (priority.value for priority in Priority),
    )
    yield Command(
        "scale",
        "TYPE N",
        "how many agents of a type there may be: 4, +1, -1, plan",
        _scale,
        lambda context, words: _first(_scaled(context), words),
    )
    yield Command("parallel", "N", "how many tickets run at once: 4, +1, -1, auto", _parallel, lambda _, __: ())
    yield Command(
        "on-failure",
        "POLICY",
        "when a ticket fails: continue, hold (start nothing new), stop (end what runs)",
        _on_failure,
        lambda _, words: _first(POLICIES, words),
        is_choice=True,
    )
    yield from file_commands()
    yield from screen_commands()


COMMANDS: tuple[Command, ...] = tuple(_made())

NOT_INSIDE: Mapping[str, str] = {
    "run": "a new session is started from a shell: parexec run PLAN; O shows it here",
    "init": "a plan is written from a shell: parexec init",
    "session": "a session that stays is begun from a shell: parexec session new; O shows it here",
    "schedule": "timers are set from a shell: parexec schedule PLAN",
    "each": "a new session is started from a shell: parexec each COMMAND -- INPUT...; O shows it here",
    "validate": "a plan is checked from a shell: parexec validate PLAN; reload checks the file of this session",
    "doctor": "the machine is checked from a shell: parexec doctor",
    "hosts": "hosts are reached from a shell: parexec hosts; the panel of agents says how they stand",
    "schema": "the schema is for editors: parexec schema, from a shell",
    "show": "the panels show every ticket; report writes them to a file",
    "export": "reports are written with report FILE; a shell makes archives: parexec export",
    "import": "a session or a plan is imported from a shell: parexec import; O shows the session here",
    "optimise": "the plan is optimised in a shell: parexec optimise PLAN",
    "simulate": "it is simulated in a shell: parexec simulate",
    "what-if": "it is simulated in a shell: parexec what-if",
    "prune": "old sessions are removed from a shell: parexec prune",
    "graph": "panel 2 shows it here; files are written from a shell: parexec graph",
    "metrics": "figures for other programs are for a shell: parexec metrics",
    "trace": "spans are sent from a shell: parexec trace; or by [otel] in the plan",
    "history": "history is read in a shell: parexec history",
    "wait": "the screen shows the end by itself; scripts wait: parexec wait",
    "man": "the manual is for a shell: parexec man; ? shows all keys",
    "skip": "it is called waive",
    "completion": "completions are for a shell: parexec completion",
}
"""command of the command line: why it is none here, and what to do instead"""

SAME_AS: Mapping[str, str] = {
    "ls": "sessions",
    "events": "panel events",
    "claims": "panel claims",
    "resume": "take-over",
}
"""command of the command line: what it is called here"""
