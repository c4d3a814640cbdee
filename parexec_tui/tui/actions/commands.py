"""The commands of the palette that take an argument: which arguments there are, and what each would do."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from parexec_tui.core.plan.model import Priority
from parexec_tui.core.plan.reading.faults import did_you_mean, listed
from parexec_tui.core.plan.reading.typed import TypedCount, read_count
from parexec_tui.core.rules.wording import POLICIES
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.core.wire.scopes import scope
from parexec_tui.core.wire.selectors import SelectorError, known_filters, select
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.theme import themes
from parexec_tui.tui.view.filtering import compile_filter
from parexec_tui.tui.view.ticket_list import GROUPINGS, SORTS
from parexec_tui.tui.view.view_state import Change


class CommandError(Exception):
    """An argument that means nothing. The text says what is wrong with it, and what the choices are."""


ScreenChange = Callable[[], None]
"""What a command does on the screen alone."""


class Live(NamedTuple):
    """For a choice that takes effect on the screen while a person goes through the list."""

    current: Callable[[ActionContext], str]
    """The name of the choice that is in force."""
    restore: Callable[[ActionContext], ScreenChange]
    """Puts back what was in force when this was called."""


class Command(NamedTuple):
    """A row of the table of commands."""

    word: str
    takes: str
    """What its argument is, in capitals."""
    help: str
    read: Callable[[ActionContext, str], AnyRequest | ScreenChange]
    """What it would do with this argument. Raises CommandError."""
    offers: Callable[[ActionContext, Sequence[str]], Iterable[str]]
    """What the next word of the argument may be, after these words."""
    is_choice: bool = False
    """The argument is one of the words that are offered."""
    steers: bool = True
    """It asks the engine for something."""
    restarts: bool = False
    """A finished session can be asked for it too: a new engine is started then."""
    live: Live | None = None


def _state(context: ActionContext) -> SessionState:
    state = context.view.state
    if state is None:
        raise CommandError("the session is not read yet")
    return state


# -- what is offered -------------------------------------------------------------------------------------------


def _tickets(context: ActionContext, _: Sequence[str] = ()) -> Iterable[str]:
    state = _state(context)
    return chain(known_filters(state), state.tickets)


def _anything(context: ActionContext, words: Sequence[str]) -> Iterable[str]:
    state = _state(context)
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
        names = scope(_state(context), words.split())
        if isinstance(names, Refusal):
            raise CommandError(str(names))
        found = {"tickets": names.tickets, "agents": names.agents, "types": names.types}
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
        found = select(_state(context), words)
    except SelectorError as error:
        raise CommandError(str(error)) from error
    if not found:
        raise CommandError(f"{' '.join(words)} is no ticket now")
    return tuple(found)


def _of_tickets(make: Callable[[tuple[str, ...]], AnyRequest]) -> Callable[[ActionContext, str], AnyRequest]:
    return lambda context, argument: make(_selected(context, argument.split()))


def _priority(context: ActionContext, argument: str) -> AnyRequest:
    level, *words = argument.split() or [""]
    levels = [priority.value for priority in Priority]
    if level not in levels:
        raise CommandError(_no("priority", level, levels))
    tickets = _selected(context, words) if words else context.screen.targets().tickets
    if not tickets:
        raise CommandError("no ticket is selected: name some behind the level")
    return rq.Prioritise(tickets=tickets, priority=Priority(level))


def _scale(context: ActionContext, argument: str) -> AnyRequest:
    state = _state(context)
    words = argument.split()
    if not words or words[0] not in state.available:
        raise CommandError(_no("agent type", words[0] if words else "", state.available))
    if len(words) != 2:
        raise CommandError(f"say how many: scale {words[0]} 4, +1, -1 or plan")
    return rq.Scale(type=words[0], **_count(words[1])._asdict())


def _parallel(_: ActionContext, argument: str) -> AnyRequest:
    count = _count(argument.strip())
    if count.most is None:
        raise CommandError("say a number: 4, +1 or -1")
    return rq.Scale(**count._asdict())


def _count(text: str) -> TypedCount:
    count = read_count(text)
    if count is None:
        raise CommandError(f"{text or 'nothing'} is not a number: write 4, +1, -1 or plan")
    return count


def _on_failure(_: ActionContext, argument: str) -> AnyRequest:
    policy = argument.strip()
    for known in POLICIES:
        if known == policy:
            return rq.SetFailurePolicy(policy=known)
    raise CommandError(_no("policy", policy, POLICIES))


# -- the screen ------------------------------------------------------------------------------------------------


def _panel(context: ActionContext) -> TicketsPanel:
    """The table of tickets. Raises CommandError while it has none."""
    _state(context)
    return context.tickets_panel


def _theme(context: ActionContext, argument: str) -> ScreenChange:
    try:
        palette = themes.load(argument.strip())
    except themes.ThemeError as error:
        raise CommandError(str(error)) from error
    return lambda: context.app.change_theme(palette)


def _keep_theme(context: ActionContext) -> ScreenChange:
    saved = context.view.palette
    return lambda: context.app.change_theme(saved)


def _goto(context: ActionContext, argument: str) -> ScreenChange:
    id_, tickets = argument.strip(), _state(context).tickets
    if id_ not in tickets:
        raise CommandError(_no("ticket", id_, tickets))

    def go() -> None:
        context.view.selected = id_
        context.screen.draw_now(Change.selection)

    return go


def _filter(context: ActionContext, argument: str) -> ScreenChange:
    try:
        compile_filter(_state(context), argument)
    except SelectorError as error:
        raise CommandError(str(error)) from error

    def filter_tickets() -> None:
        context.screen.switch_to("tickets")
        _panel(context).set_filter(argument.strip())
        context.screen.draw_now(Change.selection)

    return filter_tickets


def _sort(context: ActionContext, argument: str) -> ScreenChange:
    column = argument.strip()
    if column not in SORTS:
        raise CommandError(_no("column", column, SORTS))
    panel = _panel(context)
    return lambda: panel.sort_by(column)


def _group(context: ActionContext, argument: str) -> ScreenChange:
    panel = _panel(context)
    for grouping in GROUPINGS:
        if grouping == argument.strip():
            return lambda: panel.group_by(grouping)
    raise CommandError(_no("grouping", argument.strip(), GROUPINGS))


def _no(what: str, word: str, known: Iterable[str]) -> str:
    """Say that there is no such thing, and what there is."""
    names = list(known)
    if not word:
        return f"say which {what}: {listed(names)}"
    hint = did_you_mean(word, names) or f"there is {listed(names)}"
    return f"there is no {what} {word} ({hint})"


def _made() -> Iterator[Command]:
    what, some = "[WHAT...]", "TICKET..."
    session = "tickets, agents, agent types; nothing: the session"
    yield Command("hold", f"{what} [reason TEXT]", f"do not start: {session}", _scoped(rq.Hold), _anything)
    yield Command("release", what, f"undo a hold: {session}", _scoped(rq.Release), _anything)
    yield Command("freeze", what, f"stop the processes: {session}", _scoped(rq.Freeze), _anything)
    yield Command("thaw", what, f"let go on: {session}", _scoped(rq.Thaw), _anything)
    yield Command("drain", f"{what} [reason TEXT]", f"start nothing new: {session}", _scoped(rq.Drain), _anything)
    yield Command("cancel", some, "give them up", _of_tickets(lambda ids: rq.Cancel(tickets=ids)), _tickets)
    yield Command("skip", some, "do without them", _of_tickets(lambda ids: rq.Waive(tickets=ids)), _tickets)
    yield Command(
        "retry", some, "run them again", _of_tickets(lambda ids: rq.Retry(tickets=ids)), _tickets, restarts=True
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
        lambda context, words: _first(_state(context).available, words),
    )
    yield Command("parallel", "N", "how many tickets run at once: 4, +1, -1", _parallel, lambda _, __: ())
    yield Command(
        "on-failure",
        "POLICY",
        "when a ticket fails: continue, hold (start nothing new), stop (end what runs)",
        _on_failure,
        lambda _, words: _first(POLICIES, words),
        is_choice=True,
    )
    yield Command(
        "theme",
        "NAME",
        "other colours, seen while you choose",
        _theme,
        lambda _, words: _first(themes.available(), words),
        is_choice=True,
        steers=False,
        live=Live(lambda context: context.view.palette.name, _keep_theme),
    )
    yield Command(
        "goto",
        "ID",
        "select a ticket",
        _goto,
        lambda context, words: _first(_state(context).tickets, words),
        is_choice=True,
        steers=False,
    )
    yield Command(
        "filter",
        "TEXT",
        "show the tickets that have these words; nothing: all",
        _filter,
        lambda context, _: known_filters(_state(context)),
        steers=False,
    )
    yield Command(
        "sort",
        "COLUMN",
        "sort the tickets",
        _sort,
        lambda _, words: _first(SORTS, words),
        is_choice=True,
        steers=False,
    )
    yield Command(
        "group",
        "HOW",
        "rows by group, by status, or one after another",
        _group,
        lambda _, words: _first(GROUPINGS, words),
        is_choice=True,
        steers=False,
    )


COMMANDS: tuple[Command, ...] = tuple(_made())
