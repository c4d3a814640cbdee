"""What all panels draw from: the session as it is shown, what is selected, what was measured. The app has one."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Flag, auto

from rich.style import Style

from parexec_tui.core.plan.hosts import LOCAL
from parexec_tui.core.rules.attention import Subject
from parexec_tui.core.schedule.forecast import Told, left_as_told
from parexec_tui.core.state.accounts import is_coded
from parexec_tui.core.state.process_key import RUN
from parexec_tui.core.state.services import ServiceState
from parexec_tui.core.state.session import EngineLost, SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.protocol import Doing, HostSample, Progress, Sampled, Usage, Viewers
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.text.recent_actions import RecentActions
from parexec_tui.tui.theme.palette import Palette
from parexec_tui.tui.view.bottlenecks import Bottlenecks
from parexec_tui.tui.view.critical_path import CriticalPath
from parexec_tui.tui.view.event_history import EventHistory
from parexec_tui.tui.view.foresight import Foresight
from parexec_tui.tui.view.short_ids import ShortIds
from parexec_tui.tui.view.waiting import Waiting

STALE_AFTER = 10.0
"""A sample older than this many seconds is not shown as current: there is one every two seconds."""

NO_ENGINE = "no engine"
"""The contact while no engine runs an unfinished session, and none is coming by itself."""

RECONNECTING = "reconnecting"
"""The contact while it is not known yet why it was lost."""

CONTACT_GRACE = 2.0
"""Seconds without contact after which the engine counts as lost: a guardian restarts it at once."""

KEPT_STALE_AFTER = 120.0
"""Seconds before a moment of the past in which a sample that was kept of it may have been taken: they are sparse."""

_FIRST_AFTER = 1.0
"""Seconds after the start of a session in which the engine keeps a first sample."""

KEPT_SAMPLES = 900
"""Host samples kept for the curves: half an hour at one every two seconds."""


class Change(Flag):
    """What has changed since the last frame: a panel is drawn again only for what it shows."""

    nothing = 0
    state = auto()
    selection = auto()
    samples = auto()
    clock = auto()
    """A second has passed, so durations have grown."""
    appearance = auto()
    """The theme, the size: everything looks different."""


class Samples:
    """The latest measurements of the engine."""

    def __init__(self) -> None:
        self.host: deque[HostSample] = deque(maxlen=KEPT_SAMPLES)
        """The oldest first."""
        self.kept: Sequence[HostSample] = ()
        """What the engine kept of the whole session, the oldest first, as it was read last."""
        self.of_hosts: dict[str, deque[HostSample]] = {}
        """The same of each other machine."""
        self.usage: dict[str, Usage] = {}
        """ticket: what its processes use now"""
        self.engine_cpu = 0.0
        self.taken_at = 0.0

    def take(self, sampled: Sampled) -> None:
        self.host.append(sampled.host)
        for name, sample in sampled.hosts.items():
            of_host = self.of_hosts.setdefault(name, deque(maxlen=KEPT_SAMPLES))
            if not of_host or of_host[-1].at != sample.at:
                of_host.append(sample)
        self.usage = {usage.ticket: usage for usage in sampled.attempts if usage.step == RUN}
        self.engine_cpu = sampled.engine_cpu
        self.taken_at = sampled.host.at

    def at(self, moment: float, host: str = LOCAL) -> HostSample | None:
        """The sample of a host at a moment; None if there was none at that time."""
        kept = self.kept if host == LOCAL else ()
        for samples, most in ((self.of(host), STALE_AFTER), (kept, KEPT_STALE_AFTER)):
            found = next((sample for sample in reversed(samples) if sample.at <= moment), None)
            if found is not None and moment - found.at <= most:
                return found
        first = next(iter(kept), None)  # its rates are those since the start
        return first if first is not None and 0 < first.at - moment <= _FIRST_AFTER else None

    def until(self, moment: float, host: str = LOCAL) -> Sequence[HostSample]:
        """The samples up to a moment, the oldest first: those that are here, and before them the kept ones."""
        here = self.of(host)
        first = here[0].at if here else moment
        kept = (sample for sample in self.kept if sample.at < first) if host == LOCAL else ()
        return [sample for sample in (*kept, *here) if sample.at <= moment]

    def of(self, host: str) -> Sequence[HostSample]:
        """All of a host that are here, the oldest first."""
        return self.host if host == LOCAL else self.of_hosts.get(host, ())

    @property
    def latest(self) -> HostSample | None:
        return self.latest_of(LOCAL)

    def latest_of(self, host: str) -> HostSample | None:
        here = self.of(host)
        return here[-1] if here else None


class ViewState:
    """What the screen shows. The app changes it, panels read it."""

    def __init__(self, palette: Palette, *, ascii_only: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.set_palette(palette)
        self.ascii_only = ascii_only
        self.clock = clock
        """Returns the seconds since the epoch."""
        self.me = ""
        """How an engine signs what this person asks for: events that have this signature are theirs."""
        self.viewers = Viewers()
        """Who else follows the session, as the engine said last. Not to be shown without contact."""
        self.recent_actions = RecentActions()
        """What others did a moment ago."""
        self.live: SessionState | None = None
        """The session as it is now; None until it is read."""
        self.past: SessionState | None = None
        """The session as it was, while a person looks back."""
        self.past_seq = 0
        """The number of the last event of `past`."""
        self.past_goal = 0
        """The event that the person wants to go back to; 0: none. To read that state takes a moment."""
        self.event_history = EventHistory()
        self.selected = ""
        """The ticket that is selected; empty: none."""
        self.agent = ""
        """The agent that is selected in the panel of agents."""
        self.agent_type = ""
        """The agent type that is selected there, if no agent is."""
        self.host = ""
        """The host that is selected there, if its heading is; `local`: the machine of the engine."""
        self.gauges_of = LOCAL
        """The host whose gauges are shown: that of what was selected there last, or what keys asked for since."""
        self.service = ""
        """The service that is selected there; `*`: their heading."""
        self.service_log = ("", "")
        """The service whose output a person wants to see, and the ticket that was selected then: it is shown until
        another one is."""
        self.visited_need: Subject | None = None
        """What needs a person and was gone to last."""
        self.visited_first: Subject | None = None
        """What the banner named first at that time."""
        self.marks: set[str] = set()
        """Marked tickets: actions take them instead of the selected one."""
        self.samples = Samples()
        self.waiting = Waiting()
        self.bottlenecks = Bottlenecks()
        self.critical_path = CriticalPath()
        self.foresight = Foresight()
        self._short = ShortIds(ascii_only=ascii_only)
        self.kept_lines = 0
        """Lines at the bottom that no dialog covers: those of the tour, and the footer below them."""
        self.contact = "opening"
        """`connected`, `reconnecting`, `read-only`, or a text that says why no engine is there."""
        self.connected = False
        self.is_read_only = False
        """This viewer may ask the engine for nothing."""
        self.lost_at: float | None = None
        """Since when it is known that there is no contact; None while there is one, and before that is known."""
        self._seen_at = 0.0
        """When there was contact last; 0: never. The newest event may be later."""
        self.warning = ""
        """What the engine warns of, until the next event: why it cannot write to the registry."""

    @property
    def base(self) -> Style:
        """The style under everything: the text colour of the theme on its background."""
        return self._base

    def set_palette(self, palette: Palette) -> None:
        """Use another theme from now on."""
        self.palette = palette
        ground = Style() if palette.is_ansi else Style(bgcolor=palette.background)
        self._base = ground + palette["text"]

    @property
    def state(self) -> SessionState | None:
        """The session that is shown: a past state while the person looks back, else the present one."""
        return self.past if self.past is not None else self.live

    # -- whether there is an engine ---------------------------------------------------------------------------

    def set_contact(self, contact: str, *, up: bool) -> None:
        """Note how the contact with the engine stands. `contact`: as the field of that name."""
        if up:
            self.lost_at = None
        elif self.lost_at is None:
            self.lost_at = self.clock()
            self._seen_at = self.lost_at if self.connected else 0.0
        self.contact, self.connected = contact, up
        if not up:
            self.warning = ""
        self.find_lost()

    def find_lost(self) -> bool:
        """Note in the session whether its engine is lost, so that all that asks about the session knows. It may be
        lost because time has passed. Returns whether that changed."""
        live = self.live
        return live is not None and live.note_engine_lost(self._lost(live))

    def _lost(self, live: SessionState) -> EngineLost | None:
        if self.connected or self.lost_at is None:
            return None
        is_silent = self.contact != NO_ENGINE
        if is_silent and self.clock() - self.lost_at < CONTACT_GRACE:
            return None
        lost = live.without_engine(self._seen_at)
        return lost._replace(reason=self.contact, is_silent=True) if is_silent and lost is not None else lost

    def cannot_steer(self, *, restarts: bool = False) -> Refusal | None:
        """Why nothing can be asked of the engine now; None: it can. Every key and every remedy asks here.

        `restarts`: it is something for which a finished session gets a new engine.
        """
        state = self.state
        if state is None:
            return Refusal("the session is not read yet")
        if self.looks_back:
            return Refusal("this is the past, it cannot be changed", "end returns to now")
        if self.is_read_only:
            return Refusal("this viewer only reads", "attach without --read-only")
        if self.connected:
            return None
        if state.finished_at is not None:
            return None if restarts else Refusal("the session is finished", "r runs a ticket again")
        return Refusal(f"no engine is there to ask: {self.contact}")

    @property
    def may_take_over(self) -> bool:
        """Whether a new engine would help, and may be started from here."""
        gone = self.live.gone if self.live is not None else None
        is_silent = isinstance(gone, EngineLost) and gone.is_silent
        return gone is not None and not (is_silent or self.connected or self.is_read_only or self.looks_back)

    # -- what is shown ---------------------------------------------------------------------------------------

    @property
    def looks_back(self) -> bool:
        return self.past is not None

    @property
    def is_going_back(self) -> bool:
        """Whether the person looks back or has asked to; it takes a moment to read that state."""
        return self.looks_back or self.past_goal > 0

    @property
    def now(self) -> float:
        """The time of what is shown, in seconds since the epoch. It stands still in the past, once the session is
        over, and while there is no contact with an engine: nobody knows what goes on then."""
        state = self.state
        if state is None:
            return self.clock()
        if self.past is not None or state.finished_at is not None or state.left is not None:
            return state.now
        if self.lost_at is not None:
            return max(self._seen_at, state.now)
        return max(self.clock(), state.now)

    @property
    def ticket(self) -> TicketState | None:
        """The selected ticket; None if there is none in what is shown."""
        state = self.state
        return state.tickets.get(self.selected) if state is not None else None

    def short_ticket(self, id_: str, width: int) -> str:
        """The id of a ticket in at most `width` cells, so that no two look alike."""
        return self._short.ticket(self.state, id_, width) if self.state is not None else id_

    def short_agent(self, id_: str, width: int) -> str:
        """The same of an agent."""
        return self._short.agent(self.state, id_, width) if self.state is not None else id_

    def short_ids(self, text: str, width: int) -> str:
        """A sentence with its ids cut as far as it needs to fit in `width` cells."""
        return self._short.sentence(self.state, text, width) if self.state is not None else text

    def usage(self, ticket: TicketState) -> Usage | None:
        """What the current attempt of a ticket uses; None if that is not known, or if the past is shown."""
        return self._usage(ticket.id, ticket.attempts)

    def usage_of_service(self, service: ServiceState) -> Usage | None:
        """The same of the newest start of a service, without what asks whether it is ready."""
        return self._usage(service.key.ticket, service.number) if service.is_alive else None

    def _usage(self, id_: str, number: int) -> Usage | None:
        usage = self.samples.usage.get(id_)
        is_now = not self.looks_back and self.clock() - self.samples.taken_at <= STALE_AFTER
        return usage if usage is not None and is_now and usage.attempt == number else None

    def doing(self, ticket: TicketState) -> Doing | None:
        """What the coding agent of a ticket does now, and used so far; None: it is none, or that is not known."""
        usage = self.usage(ticket) if ticket.is_live else None
        return usage.doing if usage is not None else None

    def told_progress(self, ticket: TicketState) -> Progress | None:
        """How far the current attempt of a ticket is, as its output tells; None if it does not, or in the past."""
        usage = self.usage(ticket) if ticket.is_live else None
        return usage.progress if usage is not None else None

    def told(self) -> Mapping[str, Told]:
        """How far the tickets that run are, as far as their outputs tell; for forecasts."""
        live = self.state.live.values() if self.state is not None else ()
        return {ticket.id: told for ticket in live if (told := self._told(ticket)) is not None}

    def left_as_told(self, ticket: TicketState) -> float | None:
        """Seconds that a ticket will still run by what its output tells; None if that is too little."""
        told = self._told(ticket)
        return left_as_told(ticket, told, self.now) if told is not None else None

    def _told(self, ticket: TicketState) -> Told | None:
        usage = self.usage(ticket) if ticket.is_live else None
        if usage is None or usage.progress is None:
            return None
        return Told(usage.progress.share, self.samples.taken_at - (usage.silence or 0.0))

    def expected_share(self, ticket: TicketState) -> float | None:
        """How much of its expected time the current attempt has run, from 0 to 1; None if nothing is expected, or a
        coding agent does it, whose time says nothing of how far it is."""
        state = self.state
        expected = state.expected(ticket) if state is not None else None
        if state is None or not ticket.is_live or not expected or (state.has_coding and is_coded(state, ticket)):
            return None
        return min(1.0, ticket.worked(self.now) / expected)
