"""The table of agents, by host if there are several, and by type: what each runs, how far that is, what it uses, and
why it is idle; then services."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.style import Style

from parexec_tui.core.plan.hosts import LOCAL, LOCAL_NAME
from parexec_tui.core.state.accounts import is_coded, over_type_budget, rest_of
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.people import by_whom
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import SERVICE_TABLE, AgentStatus, End, Flag, ServiceStatus, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.protocol import Usage
from parexec_tui.text.cells import width_of
from parexec_tui.text.coding import doing_text, figures_of_doing, rest_fact, rest_text
from parexec_tui.text.host_facts import host_fact, this_machine
from parexec_tui.text.hosts import LOST, TONES, brief_text, lease_text, slots_text, standing_text
from parexec_tui.text.services import service_text
from parexec_tui.text.spending import cost_text, tokens_text
from parexec_tui.text.words import printable, short_duration, step_text
from parexec_tui.tui.drawing.line import StyledLine
from parexec_tui.tui.view.facts import fate_word, idle_reason, short_count, short_size
from parexec_tui.tui.view.view_state import STALE_AFTER, Change, ViewState
from parexec_tui.tui.widgets.rows_panel import RowsPanel

SILENT_AFTER = 600.0
"""A running ticket without a line of output for this many seconds may hang: it is shown as a warning."""

_TICKET, _MAX_TICKET = 14, 32
"""Cells for the id of a ticket, as far as ids are so long: before optional columns, and where all have room."""

_OPTIONAL = (
    ("DONE", 6), ("ETA", 6), ("CPU", 4), ("MEM", 5), ("QUIET", 6), ("FAILED", 6), ("RAN", 4), ("BUSY", 4),
    ("TITLE", 12),
)  # fmt: skip
"""Optional columns with their cells, the most wanted first."""

_CODING = (("COST", 7), ("TOKENS", 6))
"""Those before them, where coding agents are among the agents: what their attempts have used so far."""


class _Row(NamedTuple):
    """A heading, an agent or a service."""

    type: str
    """The agent type; `_HOST` and `_SERVICES` stand for it in other rows."""
    id: str
    """The agent; empty: the heading of the type."""
    host: str = LOCAL
    """Where that is."""


_MEASURED = ("ETA", "CPU", "MEM", "QUIET")

_SERVICES = "@services"
_HOST = "@host"
"""What stands in place of the agent type in rows of services and in headings of hosts. No type has such a name."""


class _Columns(NamedTuple):
    """Cells of each column; 0: the column is left out."""

    id_: int
    status: int
    ticket: int
    optional: dict[str, int]

    def of(self, *names: str) -> int:
        """Cells that these optional columns take, with the gaps after them."""
        return sum(self.optional[name] + 1 for name in names if self.optional.get(name))


class AgentsPanel(RowsPanel):
    """The table of agents. Steering keys act on the agent under the cursor, or on the host or type whose heading is
    there."""

    title = "Agents"
    short_title = "Agent"
    name_ = "agents"
    pace = 0.4
    watches = Change.state | Change.selection | Change.samples | Change.clock | Change.appearance

    def __init__(self, view: ViewState, number: int) -> None:
        super().__init__(view, number)
        self.rows: list[_Row] = []
        self._of: object = None
        """The session that the rows show."""
        self._known = (0, 0, 0, 0)
        """How many agents that session has had, and has, how many types and how many hosts, as of those rows."""
        self._stopped: dict[str, int] = {}
        self._there: dict[tuple[str, str], int] = {}
        """{(host, type): agents there}, as of those rows"""
        self._tickets = 0
        self._widest, self._widest_ticket = 5, 6
        """Cells of the longest ids of agents and of tickets."""

    # -- rows ------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        return len(self.rows)

    def changed(self, change: Change) -> None:
        state = self.view.state
        if state is None:
            return
        known = len(state.agents), sum(state.pool_size.values()), len(state.available), len(state.hosts)
        if state is not self._of or len(state.tickets) != self._tickets:
            self._tickets = len(state.tickets)
            self._widest_ticket = max(6, max(map(width_of, state.tickets), default=0))
        if state is not self._of or known != self._known:
            self._of, self._known = state, known
            self._rebuild(state)
        super().changed(change)

    def _rebuild(self, state: SessionState) -> None:
        """Make the rows again. The cursor stays on its agent; if the agent is gone, on its line."""
        here = self.rows[self.cursor] if self.rows else None
        there: dict[tuple[str, str], list[str]] = {}
        self._stopped = dict.fromkeys(state.available, 0)
        for agent in state.agents.values():
            if agent.stopped:
                self._stopped[agent.type] += 1
            else:
                there.setdefault((agent.host, agent.type), []).append(agent.id)
        self.rows = list(_rows(state, there))
        self._there = {place: len(ids) for place, ids in there.items()}
        if state.services:
            self.rows += [_Row(_SERVICES, name) for name in ("", *state.services)]
        self._widest = max(5, *(width_of(row.id) for row in self.rows))
        if here is None:
            first = next((at for at, row in enumerate(self.rows) if row.id), 0)
            self.put_cursor(first if first <= 1 + bool(state.hosts) else 0)
        else:
            self.put_cursor(self.rows.index(here) if here in self.rows else self.cursor)
        self.cursor_moved()

    def scroll_into_view(self) -> None:
        """Scroll as little as needed. If there is room, the heading of the first visible type is visible too."""
        super().scroll_into_view()
        is_below_heading = self.top > 0 and not self.rows[self.top - 1].id
        if is_below_heading and self.cursor < self.top + self.page - 1:
            self.top -= 1

    def go_to_agent(self, id_: str) -> None:
        """Put the cursor on an agent, if it has not stopped."""
        self._go_to(lambda row: row.id == id_ and row.type != _SERVICES)

    def go_to_type(self, type_: str) -> None:
        """Put the cursor on an agent type."""
        self._go_to(lambda row: row.type == type_ and not row.id)

    def go_to_host(self, name: str) -> None:
        """Put the cursor on the heading of a host."""
        self._go_to(lambda row: row.type == _HOST and row.host == name)

    def go_to_service(self, name: str) -> None:
        """Put the cursor on a service."""
        self._go_to(lambda row: (row.type, row.id) == (_SERVICES, name))

    def _go_to(self, is_wanted: Callable[[_Row], bool]) -> None:
        self.changed(Change.nothing)  # a panel that was hidden may have old rows
        if (index := next((at for at, row in enumerate(self.rows) if is_wanted(row)), None)) is not None:
            self.go_to(index)

    def cursor_moved(self) -> None:
        type_, id_, host = self.rows[self.cursor]
        is_service, is_host = type_ == _SERVICES, type_ == _HOST
        self.view.agent, self.view.service = ("", id_ or "*") if is_service else (id_, "")
        self.view.agent_type = "" if id_ or is_service or is_host else type_
        self.view.host = (host or LOCAL_NAME) if is_host else ""
        self.view.gauges_of = host

    def open(self) -> str:
        if self.view.host:
            return "gauges"
        if self.view.service in self.state.services:
            self.view.service_log = self.view.service, self.view.selected
            return "output"
        agent = self.state.agents.get(self.view.agent)
        if agent is None or agent.ticket is None:
            return ""
        self.view.selected, self.view.service_log = agent.ticket, ("", "")
        return "output"

    def text_to_copy(self) -> str:
        return self.view.agent or self.view.agent_type or self.view.service or self.view.host

    def subtitle(self) -> str:
        state = self.view.state
        if state is None:
            return ""
        total = sum(state.pool_size.values())
        if fate_word(state):
            return f"{len(state.live)} of {total} had a ticket" if state.live else fate_word(state)
        busy = f"{len(state.live) - len(state.frozen)} of {total} busy"
        return f"{busy}, {len(state.frozen)} frozen" if state.frozen else busy

    # -- columns ---------------------------------------------------------------------------------------------

    def _columns(self, width: int) -> _Columns:
        """The columns that fit: first who, status and what; then the optional columns. What is left goes to the
        ticket, as far as an id needs it, and to the title."""
        id_, status = (min(self._widest, 18), 13) if width >= 70 else (min(self._widest, 12), 11)
        left = width + 1 - 1 - (id_ + 1) - (status + 1)
        ticket = max(0, min(self._widest_ticket, _TICKET, left - 1))
        left -= ticket + 1
        wanted = (*_CODING, *_OPTIONAL) if self.state.has_coding else _OPTIONAL
        optional = dict.fromkeys((name for name, _ in wanted), 0)
        for name, cells in wanted:
            if cells + 1 <= left:
                optional[name] = cells
                left -= cells + 1
        more = max(0, min(left, self._widest_ticket - ticket, _MAX_TICKET - ticket))
        if optional["TITLE"]:
            optional["TITLE"] += left - more
        return _Columns(id_, status, ticket + more, optional)

    def draw_heading(self, line: StyledLine, width: int) -> None:
        columns, dim = self._columns(width), self.style("dim")
        line.add(" ").column("ID", columns.id_, dim).column("STATUS", columns.status, dim)
        line.column("TICKET", columns.ticket, dim)
        for name in ("TITLE", "DONE"):
            line.column(name, columns.optional[name], dim)
        for name in (*(name for name, _ in _CODING if name in columns.optional), *_MEASURED, "FAILED", "RAN", "BUSY"):
            line.column(name, columns.optional[name], dim, align="right")

    def draw_row(self, line: StyledLine, index: int, width: int) -> None:
        type_, id_, host = self.rows[index]
        if type_ == _SERVICES:
            self._draw_service(line, id_, width, is_here=index == self.cursor)
        elif type_ == _HOST:
            self._draw_host(line, host, width)
        elif not id_:
            self._draw_type(line, type_, host, width)
        elif (agent := self.state.agents.get(id_)) is not None:
            self._draw_agent(line, agent, width, is_here=index == self.cursor)

    # -- a host ----------------------------------------------------------------------------------------------

    def _draw_host(self, line: StyledLine, name: str, width: int) -> None:
        """How it stands, how many of its slots are taken, when what runs there may run elsewhere, what it uses."""
        state, now = self.state, self.view.now
        host = state.hosts.get(name)
        fact = this_machine(state) if host is None else host_fact(state, host)
        line.add("host ", self.style("dim")).add(printable(fact.name), self.style("title"))
        said, lease = standing_text(fact, now, self.view.me), lease_text(fact, now)
        whole = "; ".join(filter(None, (said, lease)))
        if whole and fact.status in LOST and line.width + 2 + width_of(whole) > width:
            whole = brief_text(fact, now)
        if whole:
            tone = "hold" if fact.held is not None and fact.status == "reachable" else TONES[fact.status]
            line.column(f"  {whole}", min(width_of(whole) + 2, width - line.width), self.style(tone), gap=0)
        if fact.problem and not lease:
            line.column(f": {printable(fact.problem)}", width - line.width, self.style("dim"), gap=0)
        if fact.status == "reachable":
            parts = [slots_text(fact), *self._busy(name)]
            line.column(f"  {', '.join(parts)}", width - line.width, self.style("dim"), gap=0)

    def _busy(self, host: str) -> Iterator[str]:
        """How much of a host is used, as far as that was measured a moment ago."""
        sample = self.view.samples.latest_of(host)
        if sample is not None and not self.view.looks_back and self.view.clock() - sample.at <= STALE_AFTER:
            yield f"cpu {sample.cpu:.0%}"
            yield f"memory {short_size(sample.memory_used)}/{short_size(sample.memory_total)}"

    # -- a type ----------------------------------------------------------------------------------------------

    def _draw_type(self, line: StyledLine, type_: str, host: str, width: int) -> None:
        state = self.state
        line.add(type_, self.style("title"))
        if trouble := state.type_troubles.get(type_):
            text = printable(f"  {self.glyph(Flag.needs_you)} needs you: {trouble}")
            line.column(text, min(width_of(text), width - line.width), self.style("alert"), gap=0)
            return
        if (rest := rest_of(state, type_)) is not None:
            text = rest_text(rest_fact(rest), self.view.now).removeprefix(f"{printable(rest.account)} ")
            text = f"  {self.glyph(End.limited)} {text}"
            line.column(text, min(width_of(text), width - line.width), self.style("hold"), gap=0)
            return
        if over := over_type_budget(state, type_):
            text = printable(f"  {over}")
            line.column(text, min(width_of(text), width - line.width), self.style("hold"), gap=0)
            return
        if (by := state.held_types.get(type_)) is not None:
            line.add(f"  {self.glyph('held')} held{printable(by_whom(by, self.view.me))}", self.style("hold"))
        parts = [f"{self._there.get((host, type_), 0)} here"] if state.hosts else []
        parts += [f"min {state.plan.agents[type_].min}", f"now {state.pool_size[type_]}"]
        parts.append(f"max {state.max_agents(type_)}")
        if stopped := self._stopped.get(type_):
            parts.append(f"{stopped} stopped")
        line.add(" ").column(" " + ", ".join(parts), width - line.width, self.style("dim"), gap=0)

    # -- services --------------------------------------------------------------------------------------------

    def _draw_service(self, line: StyledLine, name: str, width: int, *, is_here: bool) -> None:
        service = self.state.services.get(name)
        if service is None:
            line.add("services", self.style("title"))
            return
        columns, word, row = self._columns(width), service.shown_status, SERVICE_TABLE[service.shown_status]
        line.add(" ").column(printable(name), columns.id_, self.style("title") if is_here else None)
        glyph = row.ascii_glyph if self.view.ascii_only else row.glyph
        line.column(f"{glyph} {word}", columns.status, self.style(row.fallback_style))
        style = self.style("bad" if word is ServiceStatus.failed else "dim")
        text = printable(service_text(self.state, service, self.view.now, self.view.me))
        cells = columns.ticket + columns.of("TITLE", "DONE", "COST", "TOKENS", "ETA")
        usage = self.view.usage_of_service(service)
        if usage is None or width_of(text) > cells:  # why it is where it is comes first
            line.column(text, width - line.width, style, gap=0)
            return
        line.column(text, cells, style)
        for name, (said, of) in zip(("CPU", "MEM", "QUIET"), self._used(usage), strict=True):
            line.column(said, columns.optional[name], of, align="right")

    def _used(self, usage: Usage) -> Iterator[tuple[str, Style | None]]:
        """CPU, memory and silence of a service. That it prints nothing is no bad sign."""
        yield short_count(usage.cpu), None
        yield short_size(usage.memory), None
        yield ("" if usage.silence is None else short_duration(usage.silence)), self.style("dim")

    # -- an agent --------------------------------------------------------------------------------------------

    def _draw_agent(self, line: StyledLine, agent: AgentState, width: int, *, is_here: bool) -> None:
        columns = self._columns(width)
        ticket = self.state.tickets.get(agent.ticket) if agent.ticket else None
        word = _word(self.state, agent, ticket)
        line.add(" ").column(
            self.view.short_agent(agent.id, columns.id_), columns.id_, self.style("title") if is_here else None
        )
        line.column(f"{self.glyph(word)} {word}", columns.status, self.view.palette.status(word))
        if ticket is not None:
            self._draw_ticket(line, ticket, columns)
        else:
            cells = columns.of("TITLE", "DONE", "COST", "TOKENS", *_MEASURED) + columns.ticket
            bad = agent.quarantined and not agent.stopped
            reason = self.view.short_ids(idle_reason(self.state, agent, self.view.now, self.view.me), cells)
            line.column(reason, cells, self.style("warn" if bad else "dim"))
        failed = str(agent.failed or "")
        line.column(failed, columns.optional["FAILED"], self.style("bad"), align="right")
        line.column(str(agent.done + agent.failed), columns.optional["RAN"], align="right")
        share = busy_share(agent, ticket, self.view.now)
        line.column(f"{share:.0%}", columns.optional["BUSY"], align="right")

    def _draw_ticket(self, line: StyledLine, ticket: TicketState, columns: _Columns) -> None:
        cells = columns.optional
        line.column(self.view.short_ticket(ticket.id, columns.ticket), columns.ticket)
        told, doing = self.view.told_progress(ticket), self.view.doing(ticket)
        does = " ".join(doing_text(doing, self.view.now)).rstrip() if doing is not None else ""
        step = fate_word(self.state) or does or (step_text(told) if told is not None else "")
        line.column(step or printable(ticket.spec.title), cells["TITLE"], None if step else self.style("dim"))
        self.draw_progress(line, ticket, cells["DONE"])
        if "COST" in cells:
            for name, text in zip(("COST", "TOKENS"), self._spent(ticket), strict=True):
                line.column(text, cells[name], align="right")
        for name, (text, style) in zip(_MEASURED, self._measured(ticket), strict=True):
            line.column(text, cells[name], style, align="right")

    def _spent(self, ticket: TicketState) -> tuple[str, str]:
        """Dollars and tokens that the attempt of a coding agent has used so far, as far as it tells."""
        if not is_coded(self.state, ticket):
            return "", ""
        doing, ascii_only = self.view.doing(ticket), self.view.ascii_only
        figures = figures_of_doing(doing) if doing is not None else None
        return cost_text(figures, ascii_only=ascii_only), tokens_text(figures, ascii_only=ascii_only)

    def _measured(self, ticket: TicketState) -> Iterator[tuple[str, Style | None]]:
        """ETA, CPU, memory and silence of what an agent runs, each with a style; empty where it is not known."""
        if fate_word(self.state) or ticket.is_frozen:  # nobody knows then
            yield "", None
        elif (left := self.view.left_as_told(ticket)) is not None:
            yield short_duration(left), None
        elif (expected := self.state.expected(ticket)) is not None:
            left = expected - ticket.worked(self.view.now)
            late = f"+{short_duration(-left)}" if left <= -1 else short_duration(max(0.0, left))
            yield late, self.style("warn") if left <= -1 else None
        else:
            yield "", None
        usage = self.view.usage(ticket)
        if usage is None:
            yield from (("", None),) * 3
            return
        yield short_count(usage.cpu), self._budget(ticket, "cpu", usage.cpu)
        yield short_size(usage.memory), self._budget(ticket, "memory", usage.memory)
        silence = usage.silence
        if silence is None:
            yield "", None
        elif silence >= SILENT_AFTER and ticket.shown_status is Status.running:
            yield f"!{short_duration(silence)}", self.style("warn")
        else:
            yield short_duration(silence), self.style("dim")

    def _budget(self, ticket: TicketState, resource: str, amount: float) -> Style | None:
        """The style of an amount, which may be more than the ticket said it would use."""
        declared = ticket.claims.uses.get(resource)
        return self.style("warn") if declared and amount > declared else None


def _rows(state: SessionState, there: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[_Row]:
    """The rows of agents. `there`: those of each host and type. Of a plan with hosts, each host has a heading, and
    below it the types whose agents may be there, or are."""
    for host in (LOCAL, *state.hosts):
        types = [type_ for type_ in state.available if host in state.hosts_of_types[type_] or (host, type_) in there]
        if state.hosts and (types or host != LOCAL):
            yield _Row(_HOST, "", host)
        for type_ in types:
            yield from (_Row(type_, id_, host) for id_ in ("", *there.get((host, type_), ())))


def _word(state: SessionState, agent: AgentState, ticket: TicketState | None) -> str:
    """The status of an agent; of one that runs a frozen or stopping ticket, that word."""
    if ticket is None or agent.status is not AgentStatus.busy:
        return state.status_of(agent)
    if ticket.shown_status is not Status.running:
        return ticket.shown_status
    return AgentStatus.held if agent.held is not None else agent.status


def busy_share(agent: AgentState, ticket: TicketState | None, now: float) -> float:
    """The share of its life in which an agent ran something, from 0 to 1. Frozen time does not count as running, and
    time without an engine does not count as life."""
    busy = agent.busy_for + (ticket.worked(now) if ticket is not None else 0.0)
    return min(1.0, busy / max(1e-9, now - agent.started - agent.without_engine))
