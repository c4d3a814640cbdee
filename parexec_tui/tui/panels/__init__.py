"""The panels, a file each."""

from parexec_tui.tui.panels.agents import AgentsPanel
from parexec_tui.tui.panels.claims import ClaimsPanel
from parexec_tui.tui.panels.events import EventsPanel
from parexec_tui.tui.panels.gauges import GaugesPanel
from parexec_tui.tui.panels.graph import GraphPanel
from parexec_tui.tui.panels.output import OutputPanel
from parexec_tui.tui.panels.ticket import TicketPanel
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.panels.timeline import TimelinePanel
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.panel import Panel

_CLASSES: tuple[type[Panel], ...] = (
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
"""In the order of their numbers."""

PANELS: tuple[str, ...] = tuple(panel.name_ for panel in _CLASSES)
"""The names of all panels, in the order of their numbers."""


def make_panels(view: ViewState) -> list[Panel]:
    """Every panel, in the order of their numbers."""
    return [panel(view, number) for number, panel in enumerate(_CLASSES, 1)]
