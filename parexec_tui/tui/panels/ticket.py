"""Everything about one ticket: what it is, its status and why, what it needs, what needs it, and every attempt."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter

from rich.cells import cell_len
from rich.style import Style

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.command import write_given
from parexec_tui.core.plan.gates import listed
from parexec_tui.core.plan.retries import shown_retries
from parexec_tui.core.plan.units import format_count, format_duration, format_size
from parexec_tui.core.rules.verbs.approve import rejection
from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.schedule.root_counts import waiting_for
from parexec_tui.core.state.people import on_agent
from parexec_tui.core.state.raised import limits_now
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, End, Status, short_word
from parexec_tui.core.state.steps import step_text, time_left
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.text.attempt_output import attempt_output
from parexec_tui.text.host_facts import host_fact
from parexec_tui.text.hosts import lost_text
from parexec_tui.text.roots import waited_for_text
from parexec_tui.text.spending import figures_text
from parexec_tui.text.words import (
    clock,
    disk_parts,
    log_cut,
    printable,
    progress_text,
    short_duration,
    used_parts,
    why_ended,
)
from parexec_tui.tui.drawing.line import fitted, wrapped
from parexec_tui.tui.panels.ticket_coding import coding_fields, resume_command
from parexec_tui.tui.view.event_history import PastAttempt
from parexec_tui.tui.view.facts import blocker_text, reason_of, root_beyond, shown_blockers
from parexec_tui.tui.view.view_state import Change
from parexec_tui.tui.widgets.text_panel import PanelLine, TextPanel

_MAX_RELATED = 50
"""Dependents that are listed; the others are counted."""

_ALWAYS = 2
"""Parts of what an attempt used that are said though its reason is cut for them."""

_MAX_STEPS = 300
"""Tickets on the way to the end of the plan that are looked at."""

_STATUS = len("? rolled back  ")
"""Cells of a status with its sign and the gap after it; more only where a word is longer."""

_Piece = tuple[str, Style | None]


class TicketPanel(TextPanel):
    """The selected ticket. Enter on a need or a dependent selects it."""

    title = "Ticket"
    short_title = "Tick"
    name_ = "ticket"
    watches = Change.state | Change.selection | Change.clock | Change.appearance

    def subtitle(self) -> str:
        return self.view.selected

    def empty_text(self) -> str:
        return "no ticket is selected"

    def text_to_copy(self) -> str:
        ticket = self.view.ticket
        if ticket is None:
            return ""
        return resume_command(self.state, ticket) or ticket.spec.run or ticket.spec.prompt

    def make_lines(self, width: int) -> Sequence[PanelLine]:
        ticket = self.view.ticket
        if ticket is None:
            return ()
        state = self.state
        return [
            *self._standing(state, ticket, width),
            *self._reasons(state, ticket, width),
            *self._needs(state, ticket),
            *self._dependents(state, ticket),
            *self._attempts(state, ticket, width),
            *self._fields(ticket, width),
        ]

    # -- where it stands -------------------------------------------------------------------------------------

    def _standing(self, state: SessionState, ticket: TicketState, width: int) -> Iterator[PanelLine]:
        word = display_status(state, ticket)
        pieces: list[_Piece] = [(f"{self.glyph(word)} {word}", self.view.palette.status(word))]
        if ticket.agent is not None:
            pieces.append((f"  {'on' if ticket.is_live else 'last on'} {ticket.agent}", None))
        if name := state.host_of(ticket):
            pieces.append((f" of {name}", None))
        if ticket.is_live:
            pieces.append((f"  for {short_duration(ticket.worked(self.view.now))}", None))
        yield PanelLine("status", pieces)
        if ticket.spec.title:
            yield from self._text("title", printable(ticket.spec.title), width, self.style("title"))
        if ticket.is_live:
            yield PanelLine("attempt", [(self._attempt_now(ticket), None)])
            if (host := state.live_on.get(ticket.id)) is not None:
                lost = lost_text(host_fact(state, host), ticket.id, self.view.now)
                yield from self._text("host", lost, width, self.style("warn"))
            if step := step_text(state, ticket):
                yield from self._text("step", printable(step), width)
            if (told := self.view.told_progress(ticket)) is not None:
                yield from self._text("progress", progress_text(told), width)
            elif (share := self.view.expected_share(ticket)) is not None:
                yield PanelLine("progress", [(f"~{int(100 * share)}% of the expected time", self.style("dim"))])
            if ticket.is_frozen or ticket.held is not None:
                reason = reason_of(state, ticket, self.view.now, self.view.me)
                yield from self._text("paused", reason, width, self.style("hold"))
        elif ticket.status not in PENDING and (reason := reason_of(state, ticket, self.view.now, self.view.me)):
            yield from self._text("because", reason, width)
        if state.has_coding:
            doing = self.view.doing(ticket)
            for name, text, meaning in coding_fields(
                state, ticket, doing, self.view.now, ascii_only=self.view.ascii_only
            ):
                yield from self._text(name, text, width, self.style(meaning))
        if ticket.pin:
            yield PanelLine("assigned", [(f"to {ticket.pin}", None)])
        if ticket.note:
            yield from self._text("note", printable(ticket.note), width)

    def _attempt_now(self, ticket: TicketState) -> str:
        parts = [f"{ticket.attempts}"]
        if ticket.spec.retries:
            parts.append(f"{ticket.retries_used} retries used")
        attempt = ticket.live_attempt
        if attempt.pid is not None:
            parts.append(f"pid {attempt.pid}")
        if attempt.frozen_for:
            parts.append(f"frozen for {format_duration(attempt.frozen_for)} in all")
        if (left := time_left(self.state, ticket, self.view.now)) is not None:
            parts.append(f"timeout in {short_duration(max(0.0, left))}")
        if (usage := self.view.usage(ticket)) is not None:
            processes = format_count(usage.processes, "process", "processes")
            parts.append(f"{usage.cpu:.1f} cpu, {format_size(usage.memory)}, {processes}")
            parts += disk_parts(usage.disk_read, usage.disk_written)
        return ", ".join(parts)

    def _reasons(self, state: SessionState, ticket: TicketState, width: int) -> Iterator[PanelLine]:
        if ticket.status not in PENDING:
            return
        found = shown_blockers(state, ticket, self.view.me)
        if (root := root_beyond(state, ticket, found)) is not None:
            text = waited_for_text(waiting_for(state, root), self.view.now, self.view.me)
            for number, line in enumerate(wrapped(text, width)):
                yield PanelLine("waits for" if not number else "", [(line, self.style("warn"))], root.ticket)
        name = "why"
        for blocker in found:
            text = printable(blocker_text(blocker, self.view.now))
            for line in wrapped(text, width):
                yield PanelLine(name, [(line, self.style("warn") if name == "why" else None)], blocker.holder)
                name = ""

    # -- around it -------------------------------------------------------------------------------------------

    def _needs(self, state: SessionState, ticket: TicketState) -> Iterator[PanelLine]:
        waits = state.graph.needs[ticket.id]
        for name, is_need in (("needs", True), ("after", False)):
            tickets = [state.tickets[id_] for id_, wait in waits.items() if wait.is_need is is_need]
            yield from self._related(name, tickets, len(tickets))

    def _dependents(self, state: SessionState, ticket: TicketState) -> Iterator[PanelLine]:
        total = len(state.graph.dependents[ticket.id])
        yield from self._related("needed by", islice(state.dependents(ticket.id), _MAX_RELATED), total)

    def _related(self, name: str, tickets: Iterable[TicketState], total: int) -> Iterator[PanelLine]:
        found = [(ticket, display_status(self.state, ticket)) for ticket in islice(tickets, _MAX_RELATED)]
        cells = _status_cells(word for _, word in found)
        for number, (ticket, word) in enumerate(found):
            look = self.view.palette.status(word)
            pieces = [
                (fitted(f"{self.glyph(word)} {short_word(word)}", cells), look),
                (f"{ticket.id}  ", None),
                (printable(ticket.spec.title), self.style("dim")),
            ]
            yield PanelLine("" if number else name, pieces, ticket.id)
        if total > len(found):
            yield PanelLine("", [(f"and {total - len(found)} more", self.style("dim"))])

    def _attempts(self, state: SessionState, ticket: TicketState, width: int) -> Iterator[PanelLine]:
        past = self.view.event_history.attempts_of(ticket.id, self.view.now)
        words = [_word(each, ticket) for each in past]
        cells = _status_cells(words)
        for number, (each, word) in enumerate(zip(reversed(past), reversed(words), strict=True)):
            end = each.end
            text = f"{end.attempt}  {clock(end.started)}  {format_duration(end.seconds)} {on_agent(end.agent)}"
            used = used_parts(end.used)
            if end.figures is not None and end.figures.is_known:
                used.insert(0, figures_text(end.figures, ascii_only=self.view.ascii_only))
            text = ", ".join((text, *used[:_ALWAYS]))
            said = [why_ended(end.reason, end.signal, end.error_line)]
            if each.since is not None:
                said.append(why_ended(each.since.reason, each.since.signal, each.since.error_line))
            if each.rejected is not None:
                said.append(rejection(each.rejected))
            reason = printable("; ".join(filter(None, said)))
            room = width - cells - cell_len(f"{text}  {reason}")
            for part in used[_ALWAYS:]:
                if (room := room - len(part) - 2) >= 0:
                    text += f", {part}"
            pieces = [
                (fitted(f"{self.glyph(word)} {short_word(word)}", cells), self.view.palette.status(word)),
                (text, None),
                (f"  {reason}" if reason else "", self.style("dim")),
            ]
            yield PanelLine("attempts" if number == 0 else "", pieces)
        if ticket.attempts:
            yield PanelLine("log", [(attempt_output(state, ticket).name, self.style("link"))])
        if (told := state.unclaimed.get(ticket.id)) is not None:
            yield PanelLine("unclaimed", [(printable(told.found.text(ticket.id)), self.style("warn"))])
            rest = (*told.found.files[1:], *told.found.shared[1:])
            yield from (PanelLine("", [(printable(file), self.style("warn"))]) for file in rest)
        if (cut := state.cut_logs.get(ticket.id)) is not None and cut.attempt == ticket.attempts:
            yield PanelLine("", [(log_cut(cut.left_out, cut.limit, cut.problem), self.style("warn"))])

    # -- as in the plan --------------------------------------------------------------------------------------

    def _fields(self, ticket: TicketState, width: int) -> Iterator[PanelLine]:
        spec = ticket.spec
        yield PanelLine("group", [(str(ticket.group + 1), None)])
        yield PanelLine("priority", [(spec.priority.value, self.style(f"priority-{spec.priority.value}"))])
        if not ticket.is_gates:
            yield PanelLine("agents", [(", ".join(ticket.types), None)])
        fields = {
            "requires": ", ".join(spec.requires),
            "reads": ", ".join(spec.reads),
            "writes": ", ".join(spec.writes),
            "outputs": ", ".join(spec.outputs),
            "claims": spec.claims or "",
            "gates": "\n".join(each.title for gate in listed(spec.gates) for each in gate.alternatives),
            "locks": ", ".join(spec.locks),
            "uses": ", ".join(f"{name} {_amount(name, amount)}" for name, amount in ticket.claims.uses.items()),
            "limits": self._limits(ticket),
            "units": ", ".join(
                f"{name} {write_given(units)}"
                for name, units in (ticket.attempt.units if ticket.attempt is not None else {}).items()
            ),
            "estimate": format_duration(spec.estimate) if spec.estimate is not None else "",
            "path": _path_text(self.state, ticket),
            "timeout": format_duration(spec.timeout) if spec.timeout is not None else "",
            "retries": shown_retries(spec.retries),
            "cwd": spec.cwd or "",
            "env": " ".join(f"{name}={value}" for name, value in spec.env.items()),
            "run": spec.run.rstrip(),
            "prompt": spec.prompt.rstrip(),
        }
        for name, value in fields.items():
            for number, line in enumerate(value.splitlines()):
                yield from self._text(name if number == 0 else "", printable(line), width)

    def _limits(self, ticket: TicketState) -> str:
        """Those of its present or last agent, if it has one; else its own."""
        agent = self.state.agents.get(ticket.agent or "")
        type_ = self.state.plan.agents[agent.type] if agent is not None else AgentType()
        return str(limits_now(self.state, ticket, type_) or "")

    @staticmethod
    def _text(name: str, text: str, width: int, style: Style | None = None) -> Iterator[PanelLine]:
        for number, line in enumerate(wrapped(text, width)):
            yield PanelLine(name if number == 0 else "", [(line, style)])


def _units(ticket: TicketState) -> str:
    """The units that its last attempt has or had: `gpu 0,1, port 8000`."""
    attempt = ticket.attempt
    return ", ".join(f"{name} {write_given(units)}" for name, units in attempt.units.items()) if attempt else ""


def _amount(name: str, amount: float) -> str:
    return format_size(amount) if name == "memory" else f"{amount:g}"


def _path_text(state: SessionState, ticket: TicketState) -> str:
    """How long the longest way from here to the end of the plan takes, as far as that is known."""
    known, unknown, step, steps = 0.0, 0, ticket, 0
    while True:
        takes = state.expected(step)
        known, unknown = known + (takes or 0.0), unknown + (takes is None)
        steps += 1
        after = max(state.dependents(step.id), key=attrgetter("remaining"), default=None)
        if after is None or after.remaining <= 0 or steps >= _MAX_STEPS:
            break
        step = after
    if steps >= _MAX_STEPS:
        return f"{format_duration(ticket.remaining)} to the end of the plan, or so"
    if unknown == steps:
        return f"unknown: {format_count(steps, 'ticket')} without an estimate"
    more = f", and {format_count(unknown, 'ticket')} without an estimate" if unknown else ""
    return f"{format_duration(known)} to the end of the plan{more}"


def _word(attempt: PastAttempt, ticket: TicketState) -> str:
    """How an attempt ended. One that a person has to approve has not succeeded before that."""
    end = attempt.since or attempt.end
    if attempt.rejected is not None:
        return End.stopped
    if end.then is Status.approval and end.attempt == ticket.attempts and ticket.status not in PENDING:
        return ticket.shown_status
    return end.end


def _status_cells(words: Iterable[str]) -> int:
    """Cells of a column with these words."""
    return max([_STATUS, *(len(f"? {short_word(word)}  ") for word in words)])
