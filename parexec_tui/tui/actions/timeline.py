"""What keys do in the timeline alone: which rows it has, and which part of the time it shows."""

from typing import cast

from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.panels.timeline import TimelinePanel


def _panel(context: ActionContext) -> TimelinePanel:
    return cast(TimelinePanel, context.screen.panels["timeline"])


def switch_view(context: ActionContext) -> None:
    shows = _panel(context).toggle_view()
    context.say("agents and tickets" if shows == "agents" else "a row for each ticket")


def shows_tickets(context: ActionContext) -> bool:
    return _panel(context).shows == "tickets"


def zoom_in(context: ActionContext) -> None:
    _panel(context).zoom_in()


def zoom_out(context: ActionContext) -> None:
    _panel(context).zoom_out()


def zoom_whole(context: ActionContext) -> None:
    _panel(context).zoom_whole()


def pan_back(context: ActionContext) -> None:
    _panel(context).pan(-1)


def pan_on(context: ActionContext) -> None:
    _panel(context).pan(1)
