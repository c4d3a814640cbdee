"""Commands about the screen: what it shows, in which order, in which colours."""

from collections.abc import Iterator, Mapping

from parexec_tui.core.schedule.bottlenecks import bottlenecks
from parexec_tui.core.schedule.critical_path import critical_path
from parexec_tui.core.wire.selectors import SelectorError, known_filters
from parexec_tui.text.bottlenecks import bottleneck_lines
from parexec_tui.text.dashboard import dashboard
from parexec_tui.text.status_facts import status_report
from parexec_tui.text.words import printable
from parexec_tui.tui.actions import tickets
from parexec_tui.tui.actions.command import Command, CommandError, Live, ScreenChange, no, state_of
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.actions.session import switch_to
from parexec_tui.tui.dialogs.dialog import MessageDialog
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.theme import themes
from parexec_tui.tui.view.filtering import compile_filter
from parexec_tui.tui.view.session_list import known_sessions
from parexec_tui.tui.view.ticket_list import GROUPINGS, SORTS
from parexec_tui.tui.view.view_state import Change


def _panel(context: ActionContext) -> TicketsPanel:
    """The table of tickets. Raises CommandError while it has none."""
    state_of(context)
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
    id_, tickets = argument.strip(), state_of(context).tickets
    if id_ not in tickets:
        raise CommandError(no("ticket", id_, tickets))

    def go() -> None:
        context.view.selected = id_
        context.screen.draw_now(Change.selection)

    return go


def _filter(context: ActionContext, argument: str) -> ScreenChange:
    try:
        compile_filter(state_of(context), argument)
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
        raise CommandError(no("column", column, SORTS))
    panel = _panel(context)
    return lambda: panel.sort_by(column)


def _group(context: ActionContext, argument: str) -> ScreenChange:
    panel = _panel(context)
    for grouping in GROUPINGS:
        if grouping == argument.strip():
            return lambda: panel.group_by(grouping)
    raise CommandError(no("grouping", argument.strip(), GROUPINGS))


def _of_ticket(context: ActionContext, argument: str, then: ScreenChange) -> ScreenChange:
    """Select a ticket, and do something with it."""
    go = _goto(context, argument)

    def do() -> None:
        go()
        then()

    return do


def _why(context: ActionContext, argument: str) -> ScreenChange:
    def why() -> None:
        context.screen.switch_to("tickets")
        tickets.why(context)

    return _of_ticket(context, argument, why)


def _log(context: ActionContext, argument: str) -> ScreenChange:
    return _of_ticket(context, argument, lambda: context.screen.switch_to("output"))


def _status(context: ActionContext, argument: str) -> ScreenChange:
    state = state_of(context)
    if argument.strip():
        raise CommandError("it takes no argument: sessions lists the others")

    def show() -> None:
        report = status_report(state, context.view.now)
        lines = dashboard(report, now=context.view.now, me=context.view.me)
        context.open(MessageDialog(context.view, "How the session stands", lines))

    return show


def _bottlenecks(context: ActionContext, argument: str) -> ScreenChange:
    state = state_of(context)
    if argument.strip():
        raise CommandError("it takes no argument")

    def show() -> None:
        now = context.view.now
        found, rest = bottlenecks(state, now)
        lines = map(printable, bottleneck_lines(state, found, rest, critical_path(state), now, context.view.me))
        context.open(MessageDialog(context.view, "What holds the session up", lines))

    return show


def _sessions(context: ActionContext) -> Mapping[str, str]:
    """All sessions, as they were when the palette was opened: it asks for them at each keystroke and for each row."""
    if context.sessions is None:
        context.sessions = known_sessions()
    return context.sessions


def _attach(context: ActionContext, argument: str) -> ScreenChange:
    session, known = argument.strip(), _sessions(context)
    if session not in known:
        raise CommandError(no("session", session, known))
    return lambda: switch_to(context, session)


def screen_commands() -> Iterator[Command]:
    yield Command("status", "", "how the session stands, on one page", _status, lambda _, __: (), steers=False)
    yield Command(
        "bottlenecks",
        "",
        "what holds the session up, and what more of it would save",
        _bottlenecks,
        lambda _, __: (),
        steers=False,
    )
    for word, help_, read in (
        ("why", "why a ticket is not running", _why),
        ("log", "the output of a ticket", _log),
    ):
        yield Command(
            word,
            "TICKET",
            help_,
            read,
            lambda context, words: () if words else state_of(context).tickets,
            is_choice=True,
            steers=False,
        )
    yield Command(
        "attach",
        "SESSION",
        "show another session; this one goes on",
        _attach,
        lambda context, words: () if words else _sessions(context),
        about=lambda context, session: _sessions(context).get(session, ""),
        is_choice=True,
        steers=False,
    )
    yield Command(
        "theme",
        "NAME",
        "other colours, seen while you choose",
        _theme,
        lambda _, words: () if words else themes.available(),
        is_choice=True,
        steers=False,
        live=Live(lambda context: context.view.palette.name, _keep_theme),
    )
    yield Command(
        "goto",
        "ID",
        "select a ticket",
        _goto,
        lambda context, words: () if words else state_of(context).tickets,
        is_choice=True,
        steers=False,
    )
    yield Command(
        "filter",
        "TEXT",
        "show the tickets that have these words; nothing: all",
        _filter,
        lambda context, _: known_filters(state_of(context)),
        steers=False,
    )
    yield Command(
        "sort",
        "COLUMN",
        "sort the tickets",
        _sort,
        lambda _, words: () if words else SORTS,
        is_choice=True,
        steers=False,
    )
    yield Command(
        "group",
        "HOW",
        "rows by group, by status, or one after another",
        _group,
        lambda _, words: () if words else GROUPINGS,
        is_choice=True,
        steers=False,
    )
