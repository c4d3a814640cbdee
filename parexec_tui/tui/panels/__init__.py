"""The regions of the screen, a file each."""

from parexec_tui.tui.app.arrangement import PANELS
from parexec_tui.tui.panels.agents import AgentsPanel
from parexec_tui.tui.panels.claims import ClaimsPanel
from parexec_tui.tui.panels.events import EventsPanel
from parexec_tui.tui.panels.gauges import GaugesPanel
from parexec_tui.tui.panels.graph import GraphPanel
from parexec_tui.tui.panels.output import OutputPanel
from parexec_tui.tui.panels.panel import Panel
from parexec_tui.tui.panels.ticket import TicketPanel
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.panels.timeline import TimelinePanel
from parexec_tui.tui.view.view_state import ViewState

_MADE: dict[str, type[Panel]] = {
    panel.name_: panel
    for panel in (
        TicketsPanel,
        GraphPanel,
        AgentsPanel,
        GaugesPanel,
        OutputPanel,
        TicketPanel,
        TimelinePanel,
        ClaimsPanel,
        EventsPanel,
    )
}


def make_panels(view: ViewState) -> list[Panel]:
    """Every panel, in the order of their numbers."""
    return [_MADE[name](view, number) for number, name in enumerate(PANELS, 1) if name in _MADE]
