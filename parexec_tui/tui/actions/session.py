"""The session and the screen as a whole: palette, help, summary, taking over, copying, leaving."""

from typing import TYPE_CHECKING

from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import Retry, Rollback
from parexec_tui.text.words import printable
from parexec_tui.tui.actions.asking import propose
from parexec_tui.tui.actions.context import ActionContext

if TYPE_CHECKING:
    from parexec_tui.tui.dialogs.summary import Choice


def show_help(context: ActionContext) -> None:
    from parexec_tui.tui.dialogs.help import Help

    screen = context.screen
    context.open(Help(screen.keymap, screen.arrangement.current, context.view))


def show_summary(context: ActionContext) -> None:
    """Show the summary of the finished session, in place of one that is open; then do what the person chooses."""
    from parexec_tui.tui.dialogs.summary import Summary

    if isinstance(shown := context.screen.app.screen, Summary):
        shown.leave()
    context.open(Summary(context.view), lambda choice: _after_summary(context, choice))


def _after_summary(context: ActionContext, choice: "Choice | None") -> None:
    if choice is None:
        return
    match choice.action:
        case "retry":
            _retry_failed(context)
        case "rollback":
            _complete_rollbacks(context)
        case "output":
            context.view.selected = choice.ticket
            context.screen.switch_to("output")
        case "copy":
            context.app.copy(choice.text)
            context.say(f"copied: {choice.text}", "good")


def _calls_for_a_retry(ticket: TicketState) -> bool:
    return ticket.status is Status.failed and not ticket.is_allowed


def _retry_failed(context: ActionContext) -> None:
    live = context.view.live
    assert live is not None
    if (refused := context.cannot_steer(restarts=True)) is not None:
        context.say(str(refused), "bad")
        return
    failed = tuple(ticket.id for ticket in live.tickets.values() if _calls_for_a_retry(ticket))
    propose(context, Retry(tickets=failed))


def _complete_rollbacks(context: ActionContext) -> None:
    if (refused := context.cannot_steer(restarts=True)) is not None:
        context.say(str(refused), "bad")
        return
    propose(context, Rollback(tickets=tuple(context.state.half_done)))


def copy(context: ActionContext) -> None:
    """Copy what the panel has for that, else the id of the selected ticket."""
    if text := context.screen.current.text_to_copy() or context.view.selected:
        context.app.copy(text)
        first = printable(text.splitlines()[0])
        has_more = "\n" in text.strip()
        context.say(f"copied: {first}{' …' if has_more else ''}", "good")


def mouse(context: ActionContext) -> None:
    is_on = context.app.toggle_mouse()
    context.say("the mouse works here; M gives it back" if is_on else "the mouse is the terminal's again")


def redraw(context: ActionContext) -> None:
    context.app.redraw()


def suspend(context: ActionContext) -> None:
    context.app.suspend_to_shell()


def take_over(context: ActionContext) -> None:
    """Start a new engine for a session whose engine is gone."""
    if context.view.connected:
        context.say("an engine runs it")
    elif context.view.is_read_only:
        context.say("this viewer only reads", "bad")
    elif context.view.live is not None and context.view.live.finished_at is not None:
        context.say("the session is finished; r runs a ticket again")
    else:
        context.app.take_over()


def leave(context: ActionContext) -> None:
    context.app.leave()


def tour(context: ActionContext) -> None:
    """Skip a step of the tour; go on with it, if it was left."""
    if said := context.screen.tour.next_step():
        context.say(said)


# -- other sessions ----------------------------------------------------------------------------------------------


def show_sessions(context: ActionContext) -> None:
    """List all sessions, and show the one that the person chooses."""
    from parexec_tui.tui.dialogs.sessions import Sessions

    dialog = Sessions(context.view, context.app.session)
    context.open(dialog, lambda chosen: switch_to(context, chosen) if chosen is not None else None)


def switch_to(context: ActionContext, session: str) -> None:
    """Show another session. The engine of this one goes on."""
    if session == context.app.session:
        context.say(f"{session} is shown")
    else:
        context.app.show_session(session)


def show_session_before(context: ActionContext) -> None:
    """Back to the session that was shown before."""
    if context.app.session_before:
        context.app.show_session(context.app.session_before)
    else:
        context.say(f"no other session was shown: {context.screen.keymap.hint('sessions')} lists them")
