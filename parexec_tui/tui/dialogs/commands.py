"""The commands of the palette that take an argument: what may stand there, and what each would do."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from parexec_tui.core.plan.model import Priority
from parexec_tui.core.plan.reading.faults import did_you_mean, listed
from parexec_tui.core.plan.reading.typed import Count, read_count
from parexec_tui.core.state.apply import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.core.wire.scopes import scope
from parexec_tui.core.wire.selectors import SelectorError, known_filters, select
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.theme import themes as theme
from parexec_tui.tui.view.filtering import compile_filter
from parexec_tui.tui.view.ticket_list import GROUPINGS, SORTS
from parexec_tui.tui.view.view_state import Change

if TYPE_CHECKING:
    from parexec_tui.tui.input.actions import Actions


class CommandError(Exception):
    """An argument that means nothing; the text says what is wrong with it, and what there is."""


Deed = Callable[[], None]
"""What a command does on the screen alone."""


class Command(NamedTuple):
    word: str
    takes: str
    """What its argument is, in capitals."""
    help: str
    read: Callable[["Actions", str], AnyRequest | Deed]
    """What it would do with this argument. Raises CommandError."""
    offers: Callable[["Actions", Sequence[str]], Iterable[str]]
    """What the next word of the argument may be, behind these."""
    is_choice: bool = False
    """The argument is one of what is offered."""
    steers: bool = True
    """It asks the engine for something."""


def _state(actions: "Actions") -> SessionState:
    state = actions.view.state
    if state is None:
        raise CommandError("the session is not read yet")
    return state


# -- what is offered -------------------------------------------------------------------------------------------


def _tickets(actions: "Actions", _: Sequence[str] = ()) -> Iterable[str]:
    state = _state(actions)
    return chain(known_filters(state), state.tickets)


def _anything(actions: "Actions", words: Sequence[str]) -> Iterable[str]:
    state = _state(actions)
    if "reason" in words:
        return ()
    agents = (agent.id for agent in state.agents.values() if not agent.stopped)
    return chain(agents, state.available, _tickets(actions))


def _first(offered: Iterable[str], words: Sequence[str]) -> Iterable[str]:
    return () if words else offered


# -- the engine ------------------------------------------------------------------------------------------------


def _scoped(make: Callable[..., AnyRequest]) -> Callable[["Actions", str], AnyRequest]:
    """A command about tickets, agents, agent types, or the session."""

    def read(actions: "Actions", argument: str) -> AnyRequest:
        words, _, reason = f" {argument} ".partition(" reason ")
        names = scope(_state(actions), words.split())
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


def _selected(actions: "Actions", words: Sequence[str]) -> tuple[str, ...]:
    """The tickets that the words mean. Raises CommandError for none."""
    if not words:
        raise CommandError("say which tickets: T3, MOD-*, status:failed")
    try:
        found = select(_state(actions), words)
    except SelectorError as error:
        raise CommandError(str(error)) from error
    if not found:
        raise CommandError(f"{' '.join(words)} is no ticket now")
    return tuple(found)


def _of_tickets(make: Callable[[tuple[str, ...]], AnyRequest]) -> Callable[["Actions", str], AnyRequest]:
    return lambda actions, argument: make(_selected(actions, argument.split()))


def _priority(actions: "Actions", argument: str) -> AnyRequest:
    level, *words = argument.split() or [""]
    levels = [priority.value for priority in Priority]
    if level not in levels:
        raise CommandError(_no("priority", level, levels))
    tickets = _selected(actions, words) if words else actions.screen.targets().tickets
    if not tickets:
        raise CommandError("no ticket is selected: name some behind the level")
    return rq.Prioritise(tickets=tickets, priority=Priority(level))


def _scale(actions: "Actions", argument: str) -> AnyRequest:
    state = _state(actions)
    words = argument.split()
    if not words or words[0] not in state.available:
        raise CommandError(_no("agent type", words[0] if words else "", state.available))
    if len(words) != 2:
        raise CommandError(f"say how many: scale {words[0]} 4, +1, -1 or plan")
    return rq.Scale(type=words[0], **_count(words[1])._asdict())


def _parallel(_: "Actions", argument: str) -> AnyRequest:
    count = _count(argument.strip())
    if count.most is None:
        raise CommandError("say a number: 4, +1 or -1")
    return rq.Scale(**count._asdict())


def _count(text: str) -> Count:
    count = read_count(text)
    if count is None:
        raise CommandError(f"{text or 'nothing'} is not a number: write 4, +1, -1 or plan")
    return count


# -- the screen ------------------------------------------------------------------------------------------------


def _panel(actions: "Actions") -> TicketsPanel:
    """The table of tickets. Raises CommandError while it has none."""
    _state(actions)
    panel = actions.screen.panels["tickets"]
    assert isinstance(panel, TicketsPanel)
    return panel


def _theme(actions: "Actions", argument: str) -> Deed:
    try:
        palette = theme.load(argument.strip())
    except theme.ThemeError as error:
        raise CommandError(str(error)) from error
    return lambda: actions.host.change_theme(palette)


def _goto(actions: "Actions", argument: str) -> Deed:
    id_, tickets = argument.strip(), _state(actions).tickets
    if id_ not in tickets:
        raise CommandError(_no("ticket", id_, tickets))

    def go() -> None:
        actions.view.selected = id_
        actions.screen.note_now(Change.selection)

    return go


def _filter(actions: "Actions", argument: str) -> Deed:
    try:
        compile_filter(_state(actions), argument)
    except SelectorError as error:
        raise CommandError(str(error)) from error

    def filter_tickets() -> None:
        actions.screen.use("tickets")
        _panel(actions).set_filter(argument.strip())
        actions.screen.note_now(Change.selection)

    return filter_tickets


def _sort(actions: "Actions", argument: str) -> Deed:
    column = argument.strip()
    if column not in SORTS:
        raise CommandError(_no("column", column, SORTS))
    panel = _panel(actions)
    return lambda: panel.sort_by(column)


def _group(actions: "Actions", argument: str) -> Deed:
    panel = _panel(actions)
    for grouping in GROUPINGS:
        if grouping == argument.strip():
            return lambda: panel.group_by(grouping)
    raise CommandError(_no("grouping", argument.strip(), GROUPINGS))


def _no(what: str, word: str, known: Iterable[str]) -> str:
    """That there is no such thing, and what there is."""
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
    yield Command("retry", some, "run them again", _of_tickets(lambda ids: rq.Retry(tickets=ids)), _tickets)
    yield Command(
        "priority",
        "LEVEL [TICKET...]",
        "put them in another class; else the marked or selected ones",
        _priority,
        lambda actions, words: _tickets(actions) if words else (priority.value for priority in Priority),
    )
    yield Command(
        "scale",
        "TYPE N",
        "how many agents of a type there may be: 4, +1, -1, plan",
        _scale,
        lambda actions, words: _first(_state(actions).available, words),
    )
    yield Command("parallel", "N", "how many tickets run at once: 4, +1, -1", _parallel, lambda _, __: ())
    yield Command(
        "theme",
        "NAME",
        "other colours, seen while you choose",
        _theme,
        lambda _, words: _first(theme.available(), words),
        is_choice=True,
        steers=False,
    )
    yield Command(
        "goto",
        "ID",
        "select a ticket",
        _goto,
        lambda actions, words: _first(_state(actions).tickets, words),
        is_choice=True,
        steers=False,
    )
    yield Command(
        "filter",
        "TEXT",
        "show the tickets that have these words; nothing: all",
        _filter,
        lambda actions, _: known_filters(_state(actions)),
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


COMMANDS: dict[str, Command] = {command.word: command for command in _made()}
