"""Looking back: the session as it was after an earlier event."""

from parexec_tui.tui.actions.context import ActionContext

FAR = 20
"""A far step is one part of this many of the session's events."""

_FIRST_EVENT = 1
"""The number of the first event: before it there is no session to show."""


def back_one(context: ActionContext) -> None:
    _travel(context, -1)


def forward_one(context: ActionContext) -> None:
    _travel(context, 1)


def back_far(context: ActionContext) -> None:
    _travel(context, -_far(context))


def forward_far(context: ActionContext) -> None:
    _travel(context, _far(context))


def _far(context: ActionContext) -> int:
    return max(1, context.view.event_history.last // FAR)


def _travel(context: ActionContext, steps: int) -> None:
    """Go so many events forward, or back if negative; at the last event the present is shown again."""
    view = context.view
    if not view.is_going_back and steps > 0:
        context.say("this is now")
        return
    last = view.event_history.last
    goal = (view.past_goal or last) + steps
    context.app.travel(None if goal >= last else max(_FIRST_EVENT, goal))
