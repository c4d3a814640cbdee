"""Why a ticket is not running, how it runs, or how it ended; and what a person can do about it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_count, format_duration
from parexec_tui.core.schedule.blocker import Blocker, ServiceKey
from parexec_tui.core.schedule.blockers import able_agents, unmet_needs
from parexec_tui.core.schedule.next_link import live_root, of_service
from parexec_tui.core.schedule.readiness import display_status
from parexec_tui.core.schedule.root import Root
from parexec_tui.core.schedule.root_counts import waiting_for
from parexec_tui.core.schedule.roots import path_to_root, root_of, roots_of_all
from parexec_tui.core.state.accounts import coding_of, rest_of
from parexec_tui.core.state.agents import AgentState
from parexec_tui.core.state.isolation import conflicts_ahead
from parexec_tui.core.state.one_line import one_line
from parexec_tui.core.state.people import on_agent
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import PENDING, Status, happened, predicate
from parexec_tui.core.state.steps import gate_step, step_text, step_timeout, time_left
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.outputs.output import Output
from parexec_tui.text.attempt_output import attempt_output, last_lines
from parexec_tui.text.host_facts import host_fact
from parexec_tui.text.hosts import lost_text
from parexec_tui.text.roots import cause_text, ending_of, fate_of_live, merge_command, root_text, waited_for_text
from parexec_tui.text.words import ahead_text, clock, held_text, printable, short_duration, why_ended
from parexec_tui.tui.input.key_names import short_name
from parexec_tui.tui.input.keymap import Action, Keymap
from parexec_tui.tui.view.facts import (
    blocker_text,
    reason_of,
    root_beyond,
    shown_blockers,
    stop_text,
)
from parexec_tui.tui.view.targets import Targets

_MAX_AGENTS = 20
"""Agents that are listed, of those that could run it."""

_MAX_LISTED = 5
"""Tickets that are named together."""


def _targets_of(root: Root) -> Targets:
    """What an action is about that ends a root."""
    match root.kind:
        case "agent":
            return Targets(agent=root.agent)
        case "type":
            return Targets(agent_type=root.name)
        case "limit" | "outage":
            return Targets(agent_type=root.how)
        case "service":
            return Targets(service=root.name)
        case _:
            return Targets((root.ticket,) if root.ticket else ())


class Offer(NamedTuple):
    """An action that the explanation recommends."""

    action: str
    """Its name in the table of actions."""
    targets: Targets
    """What it is about: not always the ticket that is explained."""
    effect: str
    """What it does, in a few words: `thaw compile`."""
    leads_to_output: bool = False
    """It shows something in the output of the ticket, behind the box."""


class Explanation(NamedTuple):
    """Why a ticket is where it is."""

    lines: Sequence[str]
    """A line that explains the one before is indented."""
    offers: Sequence[Offer]
    """The actions whose keys are named in the lines; each at most once."""


def explain(
    state: SessionState,
    ticket: TicketState,
    now: float,
    keymap: Keymap[Any],
    me: str = "",
    may: Callable[[Action[Any]], bool] = lambda _: True,
    read: Callable[[Output], Sequence[str] | None] = last_lines,
) -> Explanation:
    """The explanation of a ticket.

    `me`: how the requests of the reader are signed. `may`: whether an action can be carried out now; what cannot is
    not recommended. `read`: the last lines of an output; None: they are not read yet.
    """
    text = _Why(state, ticket, now, keymap, me, may, read)
    lines = list(filter(None, map(_without_refused, text.lines())))
    return Explanation(lines, list(text.offers.values()))


_REFUSED = "\0"
"""Stands in a line for the key of an action that cannot be carried out."""


def _without_refused(line: str) -> str:
    """The line as far as it does not recommend what cannot be done; empty if it does nothing else."""
    if (at := line.find(_REFUSED)) < 0:
        return line
    return line[: max(0, line.rfind("; ", 0, at))]


class _Why:
    def __init__(
        self,
        state: SessionState,
        ticket: TicketState,
        now: float,
        keymap: Keymap[Any],
        me: str,
        may: Callable[[Action[Any]], bool],
        read: Callable[[Output], Sequence[str] | None],
    ) -> None:
        self._may = may
        self._read = read
        self._has_engine = state.gone is None
        self.state, self.ticket, self.now, self.me = state, ticket, now, me
        self.offers: dict[str, Offer] = {}
        self._keymap = keymap
        self._head: Root | None = None
        """The root that is said above the reasons."""

    def lines(self) -> Iterator[str]:
        ticket = self.ticket
        if not self._has_engine and (ticket.is_live or ticket.status in PENDING):
            yield from self._no_engine()
        match ticket.status:
            case Status.waiting | Status.backoff:
                yield from self._waits()
            case Status.running | Status.validating | Status.stopping | Status.rolling_back:
                yield from self._lives()
            case Status.approval if ticket.is_in_conflict:
                yield f"what it did {ticket.reason}{self._ago(ticket.ended)}; it keeps its claims"
                yield f"{self._key('conflict')} shows both sides: you decide which wins"
                yield f"from a shell: {merge_command(ticket.id)}"
                yield f"{self._key('reject')} sends it back: it runs again on what is merged by now, with a note"
                yield self._output_key()
            case Status.approval if ticket.has_lost_work:
                yield f"{ticket.reason}: somebody moved that branch back"
                yield f"{self._end(Root('approval', ticket=ticket.id))}: it is merged again"
                yield f"{self._key('reject')} sends it back: it runs again on what is merged by now"
                yield self._output_key()
            case Status.approval if ticket.needs_you:
                yield from self._needs_an_answer()
            case Status.approval:
                yield f"it has run, and waits for your approval{self._ago(ticket.ended)}; it keeps its claims"
                yield f"{self._end(Root('approval', ticket=ticket.id))}: it has succeeded"
                yield f"{self._key('reject')} sends it back: it runs again, with a note"
                yield self._output_key()
            case Status.skipped:
                yield from self._was_skipped()
            case Status.failed:
                yield from self._failed(ticket)
                if ticket.attempts:
                    yield self._output_key()
                if ticket.id in self.state.half_done:
                    yield "what it did is taken back in part only: its files may be neither old nor new"
                    yield f"{self._key('rollback')} takes back the rest; then {self._key('retry')} runs it again"
                else:
                    yield f"{self._key('retry')} runs it again, {self._key('retry-form')} with changes"
                yield f"{self._key('waive')} waives it: what needs it may run"
            case Status.cancelled:
                yield f"it was cancelled{self._ago(ticket.ended)}"
                yield f"{self._key('retry')} runs it after all"
            case Status.rolled_back:
                yield f"what it did was taken back{self._ago(ticket.ended)}"
                yield f"{self._key('retry')} runs it again"
            case Status.waived:
                yield f"it is done without{self._ago(ticket.ended)}: what needs it may run"
                yield f"{self._key('retry')} runs it after all"
            case Status.succeeded if not ticket.attempts:
                yield f"it was {ticket.reason}{self._ago(ticket.ended)}"
                yield f"{self._key('retry')} runs it all the same"
            case Status.succeeded:
                yield f"it has succeeded, in {self._took(ticket)} {on_agent(ticket.agent)}{self._ago(ticket.ended)}"
                yield f"{self._key('retry')} runs it again, {self._key('retry-form')} with what depends on it"
        if (told := self.state.unclaimed.get(ticket.id)) is not None:
            yield printable(told.found.text(ticket.id, besides=ticket.reason))

    # -- what waits ------------------------------------------------------------------------------------------

    def _waits(self) -> Iterator[str]:
        found = shown_blockers(self.state, self.ticket, self.me)
        if not found and not self._has_engine:
            return
        if not found:
            yield "nothing keeps it from running: it starts now"
            return
        if self._has_engine:
            yield from self._in_the_end(found)
            yield (
                "one thing keeps it from running:"
                if len(found) == 1
                else f"{len(found)} things keep it from running:"
            )
        else:
            yield "besides, one thing keeps it:" if len(found) == 1 else f"besides, {len(found)} things keep it:"
        for number, blocker in enumerate(found, 1):
            yield f"{number}. {self._reason(blocker)}"
            remedy = self._remedy(blocker) if self._has_engine else ""
            for line in (*self._details(blocker), *filter(None, (remedy,))):
                yield f"   {line}"

    def _no_engine(self) -> Iterator[str]:
        """That nothing becomes of it, and the way back."""
        root = roots_of_all(self.state)[0]
        fate = fate_of_live(self.state) if self.ticket.is_live else ""
        yield f"{root_text(root, self.now, self.me)}{f'; it {fate}' if fate else ''}"
        if root.how != "silent":
            yield f"   {self._key('take-over', Targets(), 'start an engine')} starts an engine"

    def _in_the_end(self, found: Sequence[Blocker]) -> Iterator[str]:
        """The root of the reasons, where it is more than one of them says."""
        if (root := root_beyond(self.state, self.ticket, found)) is None:
            return
        self._head = root
        yield waited_for_text(waiting_for(self.state, root), self.now, self.me)
        between = path_to_root(self.state, self.ticket)[1:-1]
        if between:
            yield f"   it waits for that by way of {listed(between, limit=_MAX_LISTED)}"
        if not root.is_of_all and (remedy := self._end(root)):  # what is of all is among the reasons, with its key
            yield f"   {remedy}"

    def _end(self, root: Root) -> str:
        """The key that ends it, and what that does; empty if none does."""
        if (ending := ending_of(root)) is None:
            return ""
        targets = _targets_of(root)
        name = "it" if root.ticket == self.ticket.id and root.kind != "service" else ending.name or "the session"
        return f"{self._key(ending.action, targets, f'{ending.verb} {name}')} {ending.does} {name}"

    def _reason(self, blocker: Blocker) -> str:
        if blocker.kind == "needs":
            waiting = len(unmet_needs(self.state, self.ticket))
            return f"it needs {format_count(waiting, 'ticket')} that {'is' if waiting == 1 else 'are'} not done"
        return blocker_text(blocker, self.now)

    def _details(self, blocker: Blocker) -> Iterator[str]:
        """Further lines about one reason."""
        match blocker.kind:
            case "needs":
                return self._needs()
            case "claim" | "resource" | "reservation" | "again" | "place":
                return self._holder(blocker)
            case "agent":
                return self._agents()
            case "limit" | "budget":
                return iter(())
            case (
                "status"
                | "session"
                | "host"
                | "held"
                | "secret"
                | "approval"
                | "answer"
                | "conflict"
                | "backoff"
                | "asked"
                | "when"
                | "parallel"
                | "service"
            ):
                return iter(())
            case "barrier" | "finally" | "memory" | "pressure":
                return iter(())

    def _needs(self) -> Iterator[str]:
        """The needs that are not met, by their roots: what is the same of several is said once."""
        by_root: dict[Root | None, list[TicketState]] = {}
        for need in unmet_needs(self.state, self.ticket):
            by_root.setdefault(root_of(self.state, need), []).append(need)
        for root, needs in by_root.items():
            if len(needs) == 1 and root != self._head:
                yield self._standing(needs[0].id)
                continue
            if root is not None and root != self._head and any(need.id == root.ticket for need in needs):
                yield self._standing(root.ticket)
            others = [need.id for need in needs if root is None or need.id != root.ticket]
            if others:
                wait = "waits" if len(others) == 1 else "wait"
                names = listed(others, limit=_MAX_LISTED)
                if root is None or root == self._head or len(others) < len(needs):
                    yield f"{names} {wait} for {root.ticket if root is not None and root.ticket else 'that'}"
                else:
                    yield f"{names}: {root_text(root, self.now, self.me)}"
            elif root is not None and root == self._head:
                yield f"that is {root.ticket}"

    def _standing(self, id_: str) -> str:
        """The status of another ticket, in a line."""
        other = self.state.tickets[id_]
        if other.is_frozen and (root := root_of(self.state, other)) is not None:
            return f"{id_} is {cause_text(root, self.now, self.me)}, {on_agent(other.agent)}"
        if other.is_live and self.state.coding and (asks := live_root(self.state, other)).kind == "answer":
            return f"{id_} {cause_text(asks, self.now, self.me)}"
        if other.is_live:
            worked = short_duration(other.worked(self.now))
            return f"{id_} {self._is} {other.shown_status} {on_agent(other.agent)}, for {worked}"
        reason = reason_of(self.state, other, self.now, self.me)
        said = predicate(display_status(self.state, other))
        return (
            f"{id_} {reason}" if reason.startswith(f"{said}: ") else f"{id_} {said}{f': {reason}' if reason else ''}"
        )

    def _holder(self, blocker: Blocker) -> Iterator[str]:
        if blocker.holder and (self._head is None or self._head.ticket != blocker.holder):
            yield self._standing(blocker.holder)

    def _agents(self) -> Iterator[str]:
        able = able_agents(self.state, self.ticket)
        able.sort(key=lambda agent: agent.status == "busy")
        yield from map(self._agent, able[:_MAX_AGENTS])
        if (more := len(able) - _MAX_AGENTS) > 0:
            yield f"and {more} more"

    def _agent(self, agent: AgentState) -> str:
        if agent.ticket is not None:
            ticket = self.state.tickets[agent.ticket]
            if ticket.is_frozen and (root := root_of(self.state, ticket)) is not None:
                return root_text(root, self.now if root != self._head else None, self.me)
            return f"{agent.id} runs {agent.ticket}, for {short_duration(ticket.worked(self.now))}"
        if agent.id in self.ticket.excluded_agents:
            return f"{agent.id} could not start it"
        return f"{agent.id} is {agent.status}{f': {agent.quarantined}' if agent.quarantined else ''}"

    def _remedy(self, blocker: Blocker) -> str:
        """What a person can do about one reason."""
        match blocker.kind:
            case "needs":
                return self._need_remedy()
            case "session" if self.state.stopping is not None:
                return f"it can be gone on with later: parexec resume {self.state.session}"
            case "session" if self.state.rollback is not None and self.state.held is None:
                return "it goes on by itself when that is done"
            case "session":
                is_frozen = self.state.held is not None and self.state.held.is_freeze
                return self._end(Root("session", how="frozen" if is_frozen else "held"))
            case "host":
                return "it goes on by itself once there is more room"
            case "held":
                return self._end(Root("held", ticket=self.ticket.id))
            case "secret":
                return "it goes on when an engine is started that has it"
            case "approval" | "conflict" | "answer":
                return self._end(Root(blocker.kind, ticket=self.ticket.id))
            case "backoff":
                return self._end(Root("backoff", ticket=self.ticket.id))
            case "service":
                return self._service_remedy(blocker)
            case "asked" | "when":
                return "it goes on by itself when that is known"
            case "again":
                return f"it goes on by itself when {blocker.holder} is over"
            case "barrier" | "finally":
                return "the plan asks for it; it goes on by itself"
            case "claim" if self._head is not None and self._head.stays:
                return ""
            case "claim":
                key = self._key("cancel", Targets((blocker.holder,)), f"cancel {blocker.holder}")
                return f"{key} cancels {blocker.holder}; else it goes on when that is done"
            case "resource":
                return f"{self._key('edit')} changes what it uses; else it goes on when enough is free"
            case "pressure":
                return "it goes on by itself when that is over, or when nothing else runs"
            case "memory":
                return "it goes on when enough is available, or when nothing else runs"
            case "reservation":
                return f"it goes on when {blocker.holder} has started; with a short estimate it may pass that one"
            case "parallel" if "more" in self.offers or self.state.tuning is not None:
                return "it goes on when one of them is done"
            case "parallel":
                return f"{self._key('more', Targets(), 'run one more')} lets one ticket more run at once"
            case "place":
                return "it goes on by itself when one has room, or is reached"
            case "agent":
                return self._agent_remedy()
            case "limit":
                return self._rest_remedy()
            case "budget" if blocker.key is None:
                return f"{self._key('edit')} lets it use more"
            case "budget":
                return "parexec scale --budget lets them spend more; what runs may finish"
            case "status":
                return ""

    def _need_remedy(self) -> str:
        needs = unmet_needs(self.state, self.ticket)
        if len(needs) > 1 or needs[0].is_live:
            return ""
        id_ = needs[0].id
        return f"{self._key('waive', Targets((id_,)), f'waive {id_}')} waives {id_}: what needs it may run"

    def _service_remedy(self, blocker: Blocker) -> str:
        assert isinstance(blocker.key, ServiceKey)
        root = of_service(self.state.services[blocker.key.name])
        return self._end(root) or "it goes on by itself when the service is ready"

    def _rest_remedy(self) -> str:
        """What a person can do about an account that rests."""
        type_ = next((each for each in self.ticket.types if rest_of(self.state, each) is not None), "")
        rest = rest_of(self.state, type_) if type_ else None
        if rest is None or rest.is_tried:
            return "it goes on by itself if that one gets an answer"
        key = self._key("hold", Targets(agent_type=type_), f"try {rest.account}")
        return f"it goes on by itself then; {key} tries {rest.account} at once, with one ticket"

    def _agent_remedy(self) -> str:
        if held := [type_ for type_ in self.ticket.types if type_ in self.state.held_types]:
            key = self._key("hold", Targets(agent_type=held[0]), f"release {held[0]}")
            return f"{key} lets agents of type {held[0]} take tickets again"
        assign = f"{self._key('reassign', effect='reassign')} gives it to another agent"
        if self._head is not None and self._head.stays:
            return assign
        type_ = self.ticket.types[0]
        return (
            f"{self._key('more', Targets(agent_type=type_), f'one {type_} more')} allows one more {type_}; {assign}"
        )

    def _needs_an_answer(self) -> Iterator[str]:
        """What its agent was not allowed, or asks, and what a person can do."""
        ticket = self.ticket
        yield f"its agent needs you{self._ago(ticket.ended)}: {printable(one_line(ticket.reason))}"
        if (known := coding_of(self.state, ticket).conversation) is not None:
            yield f"   its conversation goes on with what you answer: {known.id}"
        yield f"{self._key('answer')} answers it, or from a shell: parexec answer {ticket.id} TEXT"
        yield f"{self._key('reject')} sends it back: it runs again, with a note"
        yield self._output_key()

    # -- what runs -------------------------------------------------------------------------------------------

    def _lives(self) -> Iterator[str]:
        ticket = self.ticket
        worked = short_duration(ticket.worked(self.now))
        attempt = ticket.live_attempt
        has = "has" if self._has_engine else "had"
        status = ticket.status if ticket.is_asking else ticket.shown_status
        host = self.state.live_on.get(ticket.id)
        where = f"{on_agent(attempt.agent)}{f' of {host.name}' if host is not None else ''}"
        yield f"it {self._is} {status} {where}, and {has} worked for {worked}"
        if host is not None and (lost := lost_text(host_fact(self.state, host), ticket.id, self.now)):
            yield f"   {lost}"
        pid = f", pid {attempt.pid}" if attempt.pid is not None else ""
        yield f"   attempt {attempt.number}, since {clock(attempt.started)}{pid}"
        if step := step_text(self.state, ticket):
            yield f"   {step}"
        for other, each in conflicts_ahead(self.state, ticket.id):
            yield f"   {ahead_text(other, each.files, each.count)}"
        gate = gate_step(self.state, ticket)
        for what in filter(None, (gate.gate.run,) if gate is not None else (ticket.spec.run, ticket.spec.prompt)):
            yield from (f"   {line}" for line in what.strip().splitlines())
        if frozen := attempt.total_frozen(self.now):
            yield f"   frozen for {short_duration(frozen)}, which does not count"
        yield f"   {self._time_left()}"
        if ticket.status is Status.stopping:
            grace = format_duration(ticket.spec.grace)
            yield f"it was {stop_text(ticket, self.now, self.me)}: TERM, then KILL after {grace}"
            yield f"{self._key('kill')} kills it at once"
        elif ticket.is_frozen and (root := root_of(self.state, ticket)) is not None:
            yield waited_for_text(waiting_for(self.state, root), self.now, self.me)
            yield f"   its processes stand still; {self._end(root)}"
        yield self._output_key()
        if ticket.status is not Status.stopping:
            thaw = [] if ticket.is_frozen else [f"{self._key('freeze', effect='freeze it')} freezes it"]
            yield ", ".join((*thaw, f"{self._key('cancel', effect='cancel it')} cancels it"))
        if held := held_text(ticket.held, self.me):
            yield f"{held}; {self._end(Root('held', ticket=ticket.id))}"
        elif ticket.status is not Status.stopping:
            yield f"{self._key('hold', effect='hold it')} holds it: it is not tried again then"

    def _output_key(self) -> str:
        key = self._key("next-error", effect="its output", leads_to_output=True)
        return f"{key} shows its output, at the last line that tells of an error"

    @property
    def _is(self) -> str:
        """Of what is live: nobody knows what became of it since there is no engine."""
        return "is" if self._has_engine else "was"

    def _time_left(self) -> str:
        ticket = self.ticket
        if (timeout := step_timeout(self.state, ticket)) is None:
            return "no timeout"
        if (left := time_left(self.state, ticket, self.now)) is None:
            return f"timeout {format_duration(timeout)} after its snapshot, which is being made"
        stands = ", the clock stands" if ticket.is_frozen else ""
        return f"timeout after {format_duration(timeout)}: {short_duration(max(0.0, left))} left{stands}"

    # -- what is over ----------------------------------------------------------------------------------------

    def _was_skipped(self) -> Iterator[str]:
        ticket, cause = self.ticket, self.state.cause(self.ticket)
        yield "it is not wanted:" if ticket.is_unwanted else "it can no longer run:"
        while ticket is not cause:
            need = self.state.lost_need_of(ticket)
            yield f"   {ticket.id} needs {need.id}, which {happened(need.shown_status)}"
            ticket = need
        if ticket.says_no:
            yield f"   {ticket.id}: {printable(ticket.reason)}"
        if ticket.status is Status.failed:
            yield from self._failed(ticket)
        of_cause = Targets((ticket.id,))
        if ticket.id in self.state.half_done:
            rollback = self._key("rollback", of_cause, f"rollback {ticket.id}")
            yield f"{rollback} on {ticket.id} takes back the rest of what that did; then it can be retried"
            return
        retry = self._key("retry", of_cause, f"retry {ticket.id}")
        waive = self._key("waive", of_cause, f"waive {ticket.id}")
        runs = "runs that again, and then this"
        if ticket.says_no:
            runs = "runs it all the same" if ticket is self.ticket else "runs that all the same, and then this"
        yield f"{retry} on {ticket.id} {runs}; {waive} on {ticket.id} waives it"

    def _failed(self, ticket: TicketState) -> Iterator[str]:
        reason = why_ended(ticket.reason, ticket.signal, ticket.error_line)
        how = f"{ticket.end or 'failed'}{f': {reason}' if reason else ''}"
        yield f"{ticket.id}: {how}, {self._where(ticket)}{self._ago(ticket.ended)}"
        if ticket.spec.retries:
            yield f"   {ticket.retries_used} retries used"
        if ticket.note:
            yield f"   note of its last retry: {ticket.note}"
        if not ticket.attempts:
            return
        output = attempt_output(self.state, ticket)
        found = self._read(output)
        if found is None:
            yield "its last output is being read"
        else:
            yield "its last output:" if found else "it has no output"
        for line in found or ():
            yield f"   {line}"
        yield f"   {output.name}"

    def _where(self, ticket: TicketState) -> str:
        if not ticket.attempts:
            return "without an attempt"
        return f"attempt {ticket.attempts} {on_agent(ticket.agent)}, after {self._took(ticket)}"

    def _took(self, ticket: TicketState) -> str:
        return format_duration(ticket.worked(self.now))

    def _ago(self, at: float | None) -> str:
        return f", {short_duration(max(0.0, self.now - at))} ago" if at is not None else ""

    def _key(
        self, action: str, targets: Targets | None = None, effect: str = "", *, leads_to_output: bool = False
    ) -> str:
        """Offer an action, of the ticket if nothing else is said; returns how to do it: its key, or its name in the
        palette."""
        row = self._keymap.of(action)
        if not self._may(row):
            return _REFUSED
        targets = Targets((self.ticket.id,)) if targets is None else targets
        offer = self.offers.setdefault(action, Offer(action, targets, effect or row.label, leads_to_output))
        if not row.keys or offer.targets != targets:
            return f":{action}"
        return short_name(row.keys[0], ascii_only=True)
