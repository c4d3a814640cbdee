"""Reading the output: matches of the search, errors, wrapping, times, and the output of other attempts."""

from parexec_tui.tui.actions.context import ActionContext


def next_match(context: ActionContext) -> None:
    context.output_panel.next_match(backwards=False)


def previous_match(context: ActionContext) -> None:
    context.output_panel.next_match(backwards=True)


def next_error(context: ActionContext) -> None:
    context.output_panel.next_error()


def wrap(context: ActionContext) -> None:
    context.say(context.output_panel.toggle_wrap())


def times(context: ActionContext) -> None:
    context.say(context.output_panel.toggle_times())


def earlier_attempt(context: ActionContext) -> None:
    context.say(context.output_panel.step_attempt(-1))


def later_attempt(context: ActionContext) -> None:
    context.say(context.output_panel.step_attempt(1))
