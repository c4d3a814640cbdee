"""Reading the output: matches of the search, errors, wrapping, times, and the output of other attempts."""

import asyncio

from parexec_tui.core.state.accounts import is_coded
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.status import Status, happened
from parexec_tui.text.failures import failure_groups
from parexec_tui.text.words import all_failed, printable
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.view.view_state import Change


def next_match(context: ActionContext) -> None:
    context.output_panel.next_match(backwards=False)


def previous_match(context: ActionContext) -> None:
    context.output_panel.next_match(backwards=True)


def next_error(context: ActionContext) -> None:
    context.output_panel.next_error()


def open_row(context: ActionContext) -> None:
    """To the panel that says more about what is under the cursor; in the output of a coding agent, to what it did."""
    if context.screen.current is context.output_panel and _open_call(context):
        return
    if leads_to := context.screen.current.open():
        context.screen.switch_to(leads_to)


def _open_call(context: ActionContext) -> bool:
    """Show the call of a tool that is in sight in the output of a coding agent; whether that is one."""
    from parexec_tui.outputs.output import facts_of, raw_output_of
    from parexec_tui.outputs.tool_calls import Place, ToolCall, tool_call
    from parexec_tui.tui.dialogs.tool_call import ToolCallDialog

    session, key, view = context.state.session, context.output_panel.current_key, context.output_panel.log_view
    ticket = context.state.tickets.get(key.ticket)
    if ticket is None or key.step != RUN or not is_coded(context.state, ticket):
        return False

    async def read(which: Place | int) -> ToolCall | None:
        stream = raw_output_of(session, key)
        try:
            return await asyncio.to_thread(tool_call, facts_of(session, key), stream, which)
        except FileNotFoundError:
            return None

    context.open(ToolCallDialog(context.view, key.ticket, Place(*view.in_sight, is_last=view.following), read))
    return True


def pin(context: ActionContext) -> None:
    """Let the output of the ticket under the cursor stay on the screen, or not any more."""
    if ticket := _for_pin(context):
        context.say(context.output_panel.toggle_pin(ticket))
        context.screen.schedule_draw(Change.selection)
    else:
        context.selected_ticket()  # it says that there is none


def is_pinned(context: ActionContext) -> bool:
    return _for_pin(context) in context.output_panel.pins


def _for_pin(context: ActionContext) -> str:
    """The ticket whose output would be pinned; empty: none is in sight."""
    panel, current, view = context.output_panel, context.screen.current, context.view
    if current is panel:
        return panel.current_ticket if panel.follows_running else view.selected
    return view.selected if view.ticket is not None and current.has_selected else ""


def follow(context: ActionContext) -> None:
    context.say(context.output_panel.toggle_follow())
    context.screen.schedule_draw(Change.selection)


def is_following(context: ActionContext) -> bool:
    return context.output_panel.follows_running


def next_output(context: ActionContext) -> None:
    """Select the ticket of the next output that is shown, so that keys act on it."""
    if ticket := context.output_panel.next_output():
        context.view.selected = ticket
        context.screen.schedule_draw(Change.selection)
    else:
        context.say("there is one output: pin another")


def next_failure(context: ActionContext) -> None:
    """Select the next failed ticket, of those that failed alike the first, and show where its output says why."""
    groups = [group for group in failure_groups(context.state) if group[0].status is Status.failed]
    if not groups:
        context.say("nothing has failed", "good")
        return
    selected = context.view.selected
    at = next((at for at, group in enumerate(groups) if any(each.id == selected for each in group)), None)
    if len(groups) == 1 and at is not None:  # all failed alike: go through them
        ids = [each.id for each in groups[0]]
        at, ticket = 0, groups[0][(ids.index(selected) + 1) % len(ids)]
    else:
        at = 0 if at is None else (at + 1) % len(groups)
        ticket = groups[at][0]
    if context.screen.arrangement.current == "agents":
        context.screen.switch_to("tickets")
    context.view.selected = ticket.id
    context.screen.schedule_draw(Change.selection)
    problem = context.output_panel.last_error() if ticket.attempts else ""
    group = groups[at]
    what = (
        all_failed(ticket, len(group)) if len(group) > 1 else f"{ticket.id} {happened(ticket.end or ticket.status)}"
    )
    said = f"{at + 1} of {len(groups)} kinds of failure: {what}" if len(groups) > 1 else what
    context.say(printable("; ".join(filter(None, (said, problem)))), "bad")


def wrap(context: ActionContext) -> None:
    context.say(context.output_panel.toggle_wrap())


def cuts_lines(context: ActionContext) -> bool:
    return not context.output_panel.log_view.is_wrapped


def has_times(context: ActionContext) -> bool:
    return context.output_panel.log_view.has_times


def times(context: ActionContext) -> None:
    context.say(context.output_panel.toggle_times())


def earlier_attempt(context: ActionContext) -> None:
    context.say(context.output_panel.step_attempt(-1))


def later_attempt(context: ActionContext) -> None:
    context.say(context.output_panel.step_attempt(1))
