"""Moving: within the panel that has the keys, and from panel to panel."""

from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.view.view_state import Change


def up(context: ActionContext) -> None:
    context.screen.current.move(-1)


def down(context: ActionContext) -> None:
    context.screen.current.move(1)


def left(context: ActionContext) -> None:
    context.screen.current.move_across(-1)


def right(context: ActionContext) -> None:
    context.screen.current.move_across(1)


def page_up(context: ActionContext) -> None:
    context.screen.current.move_page(-1)


def page_down(context: ActionContext) -> None:
    context.screen.current.move_page(1)


def first(context: ActionContext) -> None:
    context.screen.current.go_first()


def last(context: ActionContext) -> None:
    """To the last row; from the past, back to now."""
    if context.view.is_going_back:
        context.app.travel(None)
    else:
        context.screen.current.go_last()


def next_panel(context: ActionContext) -> None:
    context.screen.arrangement.step(1)
    context.screen.rearrange()


def previous_panel(context: ActionContext) -> None:
    context.screen.arrangement.step(-1)
    context.screen.rearrange()


def to_panel(context: ActionContext, key: str) -> None:
    """To the panel of the number that was pressed."""
    context.screen.switch_to(PANELS[int(key) - 1])


def zoom(context: ActionContext) -> None:
    """The panel alone on the screen, and back."""
    arrangement = context.screen.arrangement
    arrangement.is_zoomed = not arrangement.is_zoomed
    context.screen.rearrange()


def is_zoomed(context: ActionContext) -> bool:
    return context.screen.arrangement.is_zoomed


def back(context: ActionContext) -> None:
    """Take back one thing, the nearest first: the past, zoom, another panel, the filter, the marks."""
    screen, tickets = context.screen, context.tickets_panel
    if context.view.is_going_back:
        context.app.travel(None)
    elif screen.arrangement.is_zoomed:
        zoom(context)
    elif screen.arrangement.current != "tickets":
        screen.switch_to("tickets")
    elif tickets.list.filter:
        tickets.set_filter("")
    elif tickets.list.problems_only:
        tickets.toggle_problems()
    elif context.view.marks:
        context.view.marks.clear()
        screen.schedule_draw(Change.selection)
    elif screen.tour.is_shown:
        screen.tour.leave()
        context.say(f"the tour is left: {screen.keymap.hint('tour')} goes on with it")
