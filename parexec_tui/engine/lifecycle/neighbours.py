"""Neighbours: the living sessions that claim what a session claims which is about to start.

Tickets of one session never touch the same file at once, but an engine knows only its own. So before an engine is
started, its session is compared with those of the same registry that live. Dead ones do not count: the kernel knows.

Two sessions are neighbours if they execute the same plan in the same folder, or if a ticket of one writes what a
ticket of the other reads or writes. Only tickets that are not over count. Names of locks and resources mean nothing
outside their plan. Folders are compared as they really are, links resolved.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

import msgspec
from msgspec import Struct

from parexec_tui.core.plan.footprint import Footprint, Kind, Touch
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.outputs import all_writes
from parexec_tui.core.plan.patterns import Pattern, moved, parse_pattern
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.events import Neighbour
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.core.wire import codec
from parexec_tui.paths import session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.lock import owner_of
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay
from parexec_tui.registry.sessions import SessionRow

_MAX_CLASHES = 3
"""Clashes with one session that are named. More do not help anybody."""

_MAX_EXACT = 5
"""Sessions of which is found out what is over: that takes a replay of each. Of more, all tickets count."""

_EFFORT = 500_000
"""Comparisons of two patterns: some seconds if all of them are intricate. What is left then is said."""

_MAX_LOOKS = 50_000
"""Looks at names on the disk: a tenth of a second. What is claimed beyond that is taken for no link."""

Claimed = Mapping[str, "Ticket | _Claimed"]
"""By ticket: what it reads and writes."""


class Clash(Struct, frozen=True):
    """Two tickets, of which one writes what the other reads or writes."""

    ours: Touch
    theirs: Touch

    def __str__(self) -> str:
        ours, theirs = self.ours, self.theirs
        if ours.kind == theirs.kind and ours.pattern.head == theirs.pattern.head and ours.text == theirs.text:
            return f"{ours.ticket} and its {theirs.ticket} both {ours.kind} {ours.text}"
        path = theirs.text if theirs.pattern.root == ours.pattern.root else _absolute(theirs.pattern)
        return f"{ours.ticket} {ours.kind}s {ours.text}, its {theirs.ticket} {theirs.kind}s {path}"


SAME_PLAN = "it executes the same plan in the same folder"


class LivingNeighbour(Struct, frozen=True):
    """A living session that claims the same."""

    row: SessionRow
    same_plan: bool
    """It executes the same plan in the same folder."""
    clashes: tuple[Clash, ...]
    """The first few."""

    @property
    def reasons(self) -> list[str]:
        """Why it is a neighbour, in words."""
        return [SAME_PLAN] * self.same_plan + [str(clash) for clash in self.clashes]

    @property
    def fact(self) -> Neighbour:
        """The same, for an event."""
        return Neighbour(self.row.session, self.row.name, self.reasons[0])


class Findings(Struct, frozen=True):
    neighbours: tuple[LivingNeighbour, ...] = ()
    unsure: tuple[str, ...] = ()
    """What could not be found out, in words."""


class _Claimed(Struct, frozen=True, gc=False):
    """The part of a ticket that matters here: everything else is skipped, because this is read before each start."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def all_writes(self) -> tuple[str, ...]:
        return all_writes(self)


class _ClaimedPlan(Struct, frozen=True, gc=False):
    workdir: str
    tickets: dict[str, _Claimed] | list[msgspec.Raw]
    """A list: its families are folded."""


class _Amended(Struct, frozen=True, gc=False):
    added: dict[str, _Claimed] = {}
    changed: dict[str, _Claimed] = {}


_plan_decoder = msgspec.json.Decoder(_ClaimedPlan)
_amended_decoder = msgspec.json.Decoder(_Amended)


class _Self(Struct):
    """The session that is about to start."""

    session: str
    """Its id; empty: it is new."""
    source: str
    workdir: str
    plan: Callable[[], bytes]
    tickets: Claimed
    is_exact: bool
    """Whether these are the tickets that are not over."""


def find_neighbours(registry: Registry, plan: Plan, living: Sequence[SessionRow]) -> Findings:
    """The neighbours that a new session of this plan would have, among those that live. Raises RegistryError."""
    our = _Self("", plan.source, plan.workdir, lambda: codec.encode_plan(plan), plan.tickets, is_exact=True)
    return _find(registry, our, living)


def find_neighbours_of(
    registry: Registry, session: str, living: Sequence[SessionRow], tickets: Iterable[str] | None = None
) -> Findings:
    """The neighbours of a session that was there before, among others that live. Raises RegistryError.

    `tickets`: those of it that count. Default: those that are not over; all, if the session is finished, because any
    of them may be taken up again.
    """
    row, plan = registry.session(session), registry.plan(session)
    claimed = _all_tickets(registry, session, plan)
    if tickets is not None:
        claimed = {id_: claimed[id_] for id_ in tickets if id_ in claimed}
    is_exact = tickets is not None or row.status == "finished"
    return _find(registry, _Self(session, row.source, row.workdir, lambda: plan, claimed, is_exact=is_exact), living)


def _find(registry: Registry, our: _Self, living: Sequence[SessionRow]) -> Findings:
    found: list[LivingNeighbour] = []
    unsure: list[str] = []
    compared = _Comparison(our)
    for row in living:
        try:
            neighbour = _compare(registry, compared, row, exact=len(found) < _MAX_EXACT)
        except (RegistryError, msgspec.MsgspecError) as error:
            unsure.append(f"whether {row.session} claims the same is not known: {error}")
            continue
        if neighbour is not None:
            found.append(neighbour)
        elif compared.is_spent:
            unsure.append(f"too many claims to compare them all with those of {row.session} and sessions before it")
            break
    return Findings(tuple(found), tuple(unsure))


def _compare(registry: Registry, compared: "_Comparison", row: SessionRow, *, exact: bool) -> LivingNeighbour | None:
    our = compared.our
    same_plan = _is_same_plan(registry, our, row)
    clashes: tuple[Clash, ...] = ()
    if compared.claims_anything:
        clashes = compared.clashes(row, _all_tickets(registry, row.session, registry.plan(row.session)))
        if clashes and exact:
            compared.leave_out_what_is_over(registry)
            clashes = compared.clashes(row, _tickets_left(registry, row.session))
    return LivingNeighbour(row, same_plan, clashes) if same_plan or clashes else None


def _is_same_plan(registry: Registry, our: _Self, row: SessionRow) -> bool:
    if os.path.realpath(our.workdir) != os.path.realpath(row.workdir):
        return False
    if os.path.isabs(our.source) and os.path.isabs(row.source):  # noqa: PTH117
        return os.path.realpath(our.source) == os.path.realpath(row.source)
    # A plan from a pipe has no file: its content tells.
    return our.source == row.source and our.plan() == registry.plan(row.session)


def _all_tickets(registry: Registry, session: str, plan: bytes) -> Claimed:
    """All tickets of a session, with what was added and changed meanwhile."""
    found = _plan_decoder.decode(plan).tickets
    tickets: dict[str, Ticket | _Claimed] = {
        **(found if isinstance(found, dict) else codec.decode_plan(plan).tickets)
    }
    for data in registry.events_of_kinds(session, "plan_amended"):
        amended = _amended_decoder.decode(data)
        tickets |= amended.added
        tickets |= amended.changed
    return tickets


def _tickets_left(registry: Registry, session: str) -> Claimed:
    """The tickets of a session that are not over. Raises RegistryError."""
    try:
        state = replay(registry, session).state
    except RegistryError:  # its engine is about to write its first event
        return _all_tickets(registry, session, registry.plan(session))
    return {id_: ticket.spec for id_, ticket in state.tickets.items() if ticket.status not in TERMINAL}


def _attempts_around() -> Iterator[tuple[str, str]]:
    """The attempts in which this process runs, from the inside out: session and ticket.

    What such a ticket claims, it claims for the engine that it starts as well.
    """
    environment: Mapping[str, str] = os.environ
    seen: set[str] = set()
    while (session := environment.get("PAREXEC_SESSION", "")) and session not in seen:
        seen.add(session)
        yield session, environment.get("PAREXEC_TICKET", "")
        environment = _environment_of(owner_of(session_folder(session).lock))


def _environment_of(pid: int | None) -> dict[str, str]:
    """What a process was started with; empty if that is not known."""
    try:
        text = os.fsdecode(Path(f"/proc/{pid}/environ").read_bytes())
    except OSError:
        return {}
    return {name: value for name, _, value in (entry.partition("=") for entry in text.split("\0"))}


def _absolute(pattern: Pattern) -> str:
    return pattern.text if pattern.text.startswith("/") else f"{pattern.root}/{pattern.text}"


class _Comparison:
    """What we claim, filed so that each other session is compared with it quickly."""

    def __init__(self, our: _Self) -> None:
        self.our = our
        self._around = dict(_attempts_around())
        self._links = Links()
        self._file()

    def _file(self) -> None:
        self._written, self._claimed = Footprint(_EFFORT), Footprint(_EFFORT)
        for touch in _touches(self.our.workdir, self.our.tickets, self._links):
            self._claimed.add(touch)
            if touch.kind == "write":
                self._written.add(touch)

    @property
    def claims_anything(self) -> bool:
        return len(self._claimed) > 0

    @property
    def is_spent(self) -> bool:
        """Whether there was too much to compare."""
        return not (self._written.effort and self._claimed.effort)

    def leave_out_what_is_over(self, registry: Registry) -> None:
        """Count only those of our tickets that are not over. Raises RegistryError."""
        if not self.our.is_exact:
            self.our.tickets, self.our.is_exact = _tickets_left(registry, self.our.session), True
            self._file()

    def clashes(self, row: SessionRow, tickets: Claimed) -> tuple[Clash, ...]:
        """The first few clashes with tickets of another session."""
        around = self._around.get(row.session)
        others = {id_: ticket for id_, ticket in tickets.items() if id_ != around} if around else tickets
        return tuple(islice(self._clashes(row.workdir, others), _MAX_CLASHES))

    def _clashes(self, workdir: str, tickets: Claimed) -> Iterator[Clash]:
        near = _touches_near(workdir, tickets, self._links, written=self._written, claimed=self._claimed)
        for touch in near:
            footprint = self._claimed if touch.kind == "write" else self._written
            if (ours := next(footprint.clashes(touch), None)) is not None:
                yield Clash(ours, touch)


def _touches(workdir: str, tickets: Claimed, links: "Links") -> Iterator[Touch]:
    """What tickets touch, links resolved. Each pattern comes once, for the first ticket that has it."""
    root = os.path.realpath(workdir)
    seen: set[tuple[Kind, str]] = set()
    for id_, ticket in tickets.items():
        claims: list[tuple[Kind, str]] = [("write", text) for text in ticket.all_writes]
        claims += [("read", text) for text in ticket.reads]
        for kind, text in claims:
            if (kind, text) not in seen:
                seen.add((kind, text))
                if (pattern := _resolved(text, root, links)) is not None:
                    yield Touch(id_, kind, pattern, text)


def _touches_near(
    workdir: str, tickets: Claimed, links: "Links", *, written: Footprint, claimed: Footprint
) -> Iterator[Touch]:
    """As `_touches`, without what is read far from all that is `written`, and written far from all that is `claimed`.

    Most tickets of others claim nothing near, and there may be hundreds of thousands.
    """
    root = os.path.realpath(workdir)
    written_texts = dict.fromkeys(chain.from_iterable([ticket.all_writes for ticket in tickets.values()]))
    read_texts = dict.fromkeys(chain.from_iterable([ticket.reads for ticket in tickets.values()]))
    writes = set(_near(written_texts, root, links, claimed))
    reads = set(_near(read_texts, root, links, written))
    if not (writes or reads):
        return
    near = {
        id_: _Claimed(
            tuple(text for text in ticket.reads if text in reads),
            tuple(text for text in ticket.all_writes if text in writes),
        )
        for id_, ticket in tickets.items()
    }
    yield from _touches(workdir, near, links)


def _near(texts: Iterable[str], root: str, links: "Links", near: Footprint) -> Iterator[str]:
    """Those of the patterns that may overlap with a footprint. They are looked at together, folder by folder."""
    relative: list[str] = []
    absolute: list[str] = []
    for text in texts:
        if ".." in text:
            yield text  # it may lead anywhere
        else:
            (absolute if text.startswith("/") else relative).append(text)
    waiting = [(relative, f"{root.rstrip('/')}/", 0), (absolute, "/", 1)]
    while waiting:
        group, folder, at = waiting.pop()
        for name, inside in _by_name(group, at).items():
            if not _is_literal(name):
                yield from inside
                continue
            place = links.real(f"{folder}{name}/")
            if not near.is_near(place):
                continue
            further = at + len(name) + 1
            deeper = [text for text in inside if len(text) > further]
            if len(deeper) > 1:
                waiting.append((deeper, place, further))
            yield from inside if len(deeper) == 1 else (text for text in inside if len(text) <= further)


def _by_name(texts: list[str], at: int) -> dict[str, list[str]]:
    """Patterns by their name that begins at a place in all of them."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        end = text.find("/", at)
        groups.setdefault(text[at:end] if end >= 0 else text[at:], []).append(text)
    return groups


_is_literal = re.compile(r"(?!\.\.?\Z)[^*?\[\\{}\0]+").fullmatch


def _resolved(text: str, root: str, links: "Links") -> Pattern | None:
    """A pattern without links in its literal folders; None if there is no such pattern."""
    with suppress(ValueError):  # nobody could have run a plan with it
        pattern = parse_pattern(text, root)
        folder = pattern.head[: pattern.head.rindex("/") + 1]
        real = links.real(folder)
        return pattern if real == folder else moved(pattern, folder, real)
    return None


class Links:
    """Where folders and files really are. Each name on the way is looked at once."""

    def __init__(self, looks: int = _MAX_LOOKS) -> None:
        self._left = looks
        self._known = {"/": "/"}
        self._missing: set[str] = set()

    def real(self, folder: str) -> str:
        """The same path without links; both are absolute, `/` at the end."""
        if (known := self._known.get(folder)) is not None:
            return known
        above = folder[: folder.rfind("/", 0, -1) + 1]
        if (real := self._known.get(above)) is None:
            real = "/"
            for name in above.split("/")[1:-1]:  # no recursion: a path may have two thousand names
                real = self._step(real, name)
            self._known[above] = real
        found = self._known[folder] = self._step(real, folder[len(above) : -1])
        return found

    def _step(self, real: str, name: str) -> str:
        path = f"{real}{name}/"
        if (known := self._known.get(path)) is not None:
            return known
        self._known[path] = path
        if real in self._missing:
            self._missing.add(path)
        elif self._left > 0:
            self._left -= 1
            try:
                os.readlink(path[:-1])  # noqa: PTH115 - most are no links, and there may be ten thousands
            except FileNotFoundError:
                self._missing.add(path)
            except OSError:
                pass  # no link
            else:
                self._known[path] = f"{os.path.realpath(path[:-1]).rstrip('/')}/"
        return self._known[path]
