"""The dialog to give tickets to another agent: who there is, who is idle, who can run them, and what it would
stop."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich.text import Text
from textual.app import ComposeResult

from parexec_tui.core.plan.hosts import ON_HOST
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.rules.placement import cannot_go_to
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import AGENT_TABLE, AgentStatus
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import HostFact
from parexec_tui.core.wire.requests import AnyRequest, Refusal
from parexec_tui.text.host_facts import host_fact, host_facts, this_machine
from parexec_tui.text.hosts import lost_text, slots_text, standing_text
from parexec_tui.text.words import printable, short_duration
from parexec_tui.tui.dialogs.dialog import CHROME, Dialog, KeyWords
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.view.outlook import Outlook, outlook
from parexec_tui.tui.view.view_state import ViewState
from parexec_tui.tui.widgets.listing import Listing
from parexec_tui.tui.widgets.page import Page

_PREVIEW = 4
"""Lines for what the choice would do."""

_STATUS = 13

_ORDER = {row.status: place for place, row in enumerate(AGENT_TABLE)}


class Destination(NamedTuple):
    """Where tickets could go: to an agent, to an agent type, to a host, or to any agent that can run them."""

    name: str
    """As a request names it; empty: any agent."""
    status: str
    text: str
    """What the agent runs and for how long; of a type, how many agents are idle; of a host, its slots."""
    refusal: Refusal | None
    """Why tickets cannot go there."""


def destinations(state: SessionState, tickets: Sequence[TicketState], now: float) -> list[Destination]:
    """Every destination: first those that can take the tickets; among agents, those idle longest first."""
    agents = [agent for agent in state.agents.values() if not agent.stopped]
    agents.sort(key=lambda agent: (_ORDER[agent.status], agent.turn))
    found = [Destination("", "", "whoever can run it; nothing is stopped for that", None)]
    found += [
        Destination(type_, "", _type_text(state, type_), _why_not(state, tickets, type_)) for type_ in state.available
    ]
    if state.hosts:
        found += [
            Destination(place, "", _host_text(fact, now), _why_not(state, tickets, place))
            for fact in (this_machine(state), *host_facts(state))
            for place in (f"{ON_HOST}{fact.name}",)
        ]
    found += [
        Destination(agent.id, agent.status, _agent_text(state, agent, now), _why_not(state, tickets, agent.id))
        for agent in agents
    ]
    return sorted(found, key=lambda destination: destination.refusal is not None)


def _why_not(state: SessionState, tickets: Sequence[TicketState], destination: str) -> Refusal | None:
    """Why not all of the tickets can go there; None: they can."""
    return next((refusal for ticket in tickets if (refusal := cannot_go_to(state, ticket, destination))), None)


def _type_text(state: SessionState, type_: str) -> str:
    idle, up = len(state.available[type_]), state.pool_size[type_]
    return f"agent type: {idle} of {up} idle, at most {state.max_agents(type_)}"


def _host_text(host: HostFact, now: float) -> str:
    return f"host: {', '.join(filter(None, (slots_text(host), standing_text(host, now))))}"


def _agent_text(state: SessionState, agent: AgentState, now: float) -> str:
    if agent.ticket is not None:
        worked = state.tickets[agent.ticket].worked(now)
        return f"{_where(agent)}runs {agent.ticket}, for {short_duration(worked)}"
    if agent.quarantined:
        return agent.quarantined
    return f"{_where(agent)}for {short_duration(max(0.0, now - agent.idle_since))}"


def _where(agent: AgentState) -> str:
    return f"on {agent.host}, " if agent.host else ""


class ReassignDialog(Dialog[AnyRequest]):
    """Choose a destination; below is what the one under the cursor would do."""

    is_wide = True
    keys: KeyWords = (("enter", "give it there"), ("j k", "choose"), ("escape", "leave it"))

    DEFAULT_CSS = "ReassignDialog Page { width: 1fr; margin-top: 1; }"

    def __init__(self, view: ViewState, tickets: Sequence[str]) -> None:
        super().__init__(view)
        state = view.state
        assert state is not None
        self.tickets = tuple(tickets)
        found = [state.tickets[id_] for id_ in self.tickets]
        self._is_lost = any(state.lease_over(ticket) is not None for ticket in found)
        gives_up = "Give up and give" if self._is_lost else "Give"
        self.heading = f"{gives_up} {listed(self.tickets, limit=5)} to"
        self._list = DestinationList(view, destinations(state, found, view.now), found[0], moved=self._show_preview)
        self._preview = Page(view, (), chrome=CHROME + 4, height=_PREVIEW)

    def content(self) -> ComposeResult:
        yield self._list
        yield self._preview

    def on_mount(self) -> None:
        self._list.go_to(self._list.first())

    def take_key(self, name: str) -> bool:
        if name != "enter":
            return self._list.take_key(name)
        found = self._show_preview()
        if found.refusal is None and found.lines:
            self.dismiss(self._asked())
        return True

    def _asked(self) -> AnyRequest:
        return rq.Reassign(tickets=self.tickets, agent=self._list.chosen.name, now=self._is_lost)

    def _show_preview(self) -> Outlook:
        state = self.view.state
        assert state is not None
        found = outlook(state, self._asked(), self.view.now)
        self._preview.show([*self._lost_lines(state), *self.outlook_lines(found)])
        return found

    def _lost_lines(self, state: SessionState) -> Iterator[Text]:
        """Of tickets whose host is not reached: until when they may go on there."""
        for id_ in self.tickets:
            host = state.live_on.get(id_)
            if host is not None and (lost := lost_text(host_fact(state, host), id_, self.view.now)):
                yield self.styled(lost, "warn")


class DestinationList(Listing):
    """The rows: name, status, and what it does; dim and with the reason where tickets cannot go."""

    def __init__(
        self, view: ViewState, found: Sequence[Destination], ticket: TicketState, *, moved: Callable[[], object]
    ) -> None:
        super().__init__(view, chrome=CHROME + 1 + _PREVIEW)
        self._found = found
        self._ticket = ticket
        self._moved = moved
        self._width = max(4, *(len(destination.name) for destination in found))

    @property
    def count(self) -> int:
        return len(self._found)

    @property
    def chosen(self) -> Destination:
        return self._found[self.cursor]

    def first(self) -> int:
        """The row that the person most likely wants: an idle agent that does not run the ticket now."""
        return next((at for at, destination in enumerate(self._found) if self._is_likely(destination)), 0)

    def _is_likely(self, destination: Destination) -> bool:
        return (
            destination.status == AgentStatus.idle
            and destination.refusal is None
            and destination.name != self._ticket.agent
        )

    def cursor_moved(self) -> None:
        self._moved()

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        destination = self._found[index]
        dim = self.style("dim")
        is_off = destination.refusal is not None
        line.column(destination.name or "any", min(self._width, width // 3), dim if is_off else self.style("title"))
        status = f"{self.glyph(destination.status)} {destination.status}" if destination.status else ""
        line.column(
            status, _STATUS, dim if is_off or not destination.status else self.view.palette.status(destination.status)
        )
        text = "; ".join(self._words(destination))
        line.column(printable(text), width - line.width + 1, dim if is_off else None, gap=0)

    def _words(self, destination: Destination) -> Iterator[str]:
        if destination.refusal is not None:
            yield destination.refusal.reason
            return
        if destination.name and destination.name == self._ticket.pin:
            yield "reassigned to it"
        if self._ticket.is_live and destination.name == self._ticket.agent:
            yield "it runs here"
        else:
            yield destination.text
