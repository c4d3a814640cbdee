"""Panels as text, without an app: a view made from a session of tests, a panel of a size, its lines."""

from typing import TypeVar

from textual.geometry import Size

from parexec_tui.tui.theme.themes import load
from parexec_tui.tui.view.view_state import Change, ViewState
from parexec_tui.tui.view.waiting import Waiting
from parexec_tui.tui.widgets.panel import Panel
from tests.core.sessions import Session

_P = TypeVar("_P", bound=Panel)


def view_of(session: Session, *, ascii_only: bool = True) -> ViewState:
    """What is shown of a session; its clock is that of the session."""
    view = ViewState(load("parexec-dark"), ascii_only=ascii_only, clock=lambda: session.now)
    view.live = session.state
    view.contact, view.connected = "connected", True
    view.waiting = Waiting(clock=lambda: session.now)
    return view


def panel_of(kind: type[_P], view: ViewState, width: int, height: int) -> _P:
    """A panel in so many cells, its title line included. There is no app, so it has no timers."""
    room = {"size": property(lambda _: Size(width, height)), "check_again_in": lambda _, seconds: None}  # noqa: ARG005
    sized: type[_P] = type("Sized", (kind,), room)
    panel = sized(view, 1)
    panel._room = panel.size
    panel.changed(Change.appearance | Change.state)
    return panel


def lines(panel: Panel) -> list[str]:
    """What is below the title, without the blanks at the ends; every line has exactly the width of the panel."""
    width, height = panel.size
    strips = [panel.render_line(y) for y in range(height)]
    assert {strip.cell_length for strip in strips} == {width}
    return [strip.text.rstrip() for strip in strips[1:]]


def text(panel: Panel) -> str:
    """The same as one text, without empty lines at the end."""
    return "\n".join(lines(panel)).rstrip()
