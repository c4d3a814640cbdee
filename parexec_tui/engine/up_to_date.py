"""Tickets that are up to date: asked before their first attempt, remembered after a success."""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import trio
from msgspec import structs

from parexec_tui.core.plan.identity import identity_of
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.values import (
    Values,
    Wanted,
    refers_to_values,
    texts_with_values,
    wanted_by,
    with_values,
)
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Backend, Freshness, FreshnessWanted, Success
from parexec_tui.engine.generated import GeneratedTickets
from parexec_tui.engine.threads import in_thread
from parexec_tui.paths import session_folder
from parexec_tui.registry.errors import RegistryError
from parexec_tui.registry.fingerprints import TOO_BIG, Renewed, TakenFingerprint
from parexec_tui.registry.registry import Registry

FINISH_WITHIN = 30.0
"""Seconds that the last fingerprints may take at the end of an engine. What is not known then, is run again."""

SAID_AFTER = 1.0
"""Seconds after which people are told what an engine still waits for at its end."""

_NAMED = 5
"""Tickets that are named then."""

KEPT_WITHIN = 0.25
"""Seconds until what was found out after a success is in the registry. An engine that is killed before owes it."""

LOOK_LASTS = 1.0
"""Seconds for which a look at files counts for other tickets while nothing runs: people change files as well."""


class _ToTake(NamedTuple):
    """A success whose files are to be looked at."""

    key: ProcessKey
    success: Success
    told: Values | None

    def taken(self, fingerprint: bytes) -> TakenFingerprint:
        told = msgspec.json.encode(self.told) if self.told else None
        return TakenFingerprint(self.key.ticket, self.key.attempt, fingerprint, told)


class UpToDate:
    """Asks the backend about tickets of one session, and keeps in the registry what it tells."""

    def __init__(
        self,
        nursery: trio.Nursery,
        backend: Backend,
        file: Path,
        session: str,
        state: SessionState,
        report: Callable[[Sequence[rq.AnyReport]], None],
    ) -> None:
        """`file`: the registry. `report` is told of what was found out."""
        self._nursery = nursery
        self._backend = backend
        self._file = file
        self._session = session
        self._state = state
        self._report = report
        self.generated: GeneratedTickets | None = None
        """Who reads what commands generated. A session has it before anything is asked."""
        self._to_check: list[tuple[ProcessKey, Ticket, tuple[str, ...]]] = []
        self._to_take: list[_ToTake] = []
        self._being_taken: list[_ToTake] = []
        self._taken: list[TakenFingerprint] = []
        """What is not in the registry yet."""
        self._has_changed = True
        self._looked_at = -math.inf
        self._is_checking = False
        self._is_taking = False
        self._is_keeping = False
        self._ends = trio.Event()
        """Is set once nothing more will come, so that nothing waits for it."""
        self._all_kept = trio.Event()
        self._all_kept.set()

    def something_starts(self) -> None:
        """Files may change from now on."""
        self._has_changed = True

    def check(self, key: ProcessKey, ticket: TicketState) -> None:
        """Find out whether a ticket is up to date; report it under the key."""
        self._to_check.append((key, self._filled(ticket.spec), ticket.types))
        if not self._is_checking:
            self._is_checking = True
            self._nursery.start_soon(self._check)

    def _filled(self, spec: Ticket) -> Ticket:
        """The ticket with what others told it: it does something else if they tell something else."""
        return (
            with_values(spec, self._state.values, self._state.tickets, strict=False)
            if refers_to_values(spec)
            else spec
        )

    async def _check(self) -> None:
        try:
            while self._to_check:
                asked, self._to_check = self._to_check, []
                told: Mapping[str, Values] = {}
                try:
                    found, told = await self._found(asked)
                except (OSError, RegistryError) as error:
                    found = [Freshness(f"nobody can tell whether it is up to date: {error}")] * len(asked)
                answers = [
                    self._answer(key, fresh.stale, told.get(key.ticket, {}))
                    for (key, _, _), fresh in zip(asked, found, strict=True)
                ]
                for place, (_, spec, _) in enumerate(asked):
                    if spec.generates and not answers[place].stale:
                        answers[place] = await self._with_generated(answers[place])
                self._report(answers)
        finally:
            self._is_checking = False

    def _answer(self, key: ProcessKey, stale: str, told: Values) -> rq.FreshnessChecked:
        if not stale and (missing := self._untold(key.ticket, told)) is not None:
            stale = f"it has not told {missing.key}"
        return rq.FreshnessChecked(key.ticket, key.attempt, stale, step=key.step, values={} if stale else told)

    async def _with_generated(self, answer: rq.FreshnessChecked) -> rq.FreshnessChecked:
        """With what the ticket generated at its last success; if that is not there any more, it has to run."""
        assert self.generated is not None
        file = await in_thread(_last_generated, self._file, self._state.plan.source, answer.ticket)
        if file is None:
            return structs.replace(answer, stale="what it generated is not kept any more", values={})
        read = await self.generated.read_for(answer.key, file)
        if read.problem:
            return structs.replace(answer, stale=f"what it generated cannot join: {read.problem}", values={})
        return structs.replace(answer, tickets=read.tickets, amended=read.amended)

    def _untold(self, id_: str, told: Values) -> Wanted | None:
        """A value that another ticket needs and that it did not tell, since nobody asked for it then."""
        for other in self._state.dependents(id_):
            for _, text in texts_with_values(other.spec) if refers_to_values(other.spec) else ():
                for wanted in wanted_by(text):
                    if wanted.ticket == id_ and wanted.key not in told:
                        return wanted
        return None

    async def _found(
        self, asked: Sequence[tuple[ProcessKey, Ticket, tuple[str, ...]]]
    ) -> tuple[Sequence[Freshness], Mapping[str, Values]]:
        """What is found out, and the values that tickets told when they succeeded."""
        plan = self._state.plan
        ids = [key.ticket for key, _, _ in asked]
        known, told = await in_thread(_known, self._file, plan.source, ids)
        wanted = tuple(FreshnessWanted.of(plan, spec, types, known.get(key.ticket)) for key, spec, types in asked)
        now = trio.current_time()
        anew = self._has_changed or bool(self._state.live) or now >= self._looked_at + LOOK_LASTS
        self._has_changed = False
        if anew:
            self._looked_at = now
        found = await self._backend.freshness(wanted, anew=anew)
        renewed = [
            Renewed(id_, known[id_], fresh.renewed) for id_, fresh in zip(ids, found, strict=True) if fresh.renewed
        ]
        if renewed:
            with suppress(RegistryError):  # it is found out again
                await in_thread(_renew, self._file, plan.source, renewed)
        return found, told

    def catch_up(self, owed: Iterable[TicketState], until: float) -> None:
        """Remember what tickets were that succeeded before this engine. `owed`: as `owed_fingerprints`; `until`: when
        the last event was remembered before it, in seconds since the epoch. What was written later is not theirs.
        """
        for ticket in owed:
            self.succeeded(ticket, max((int(until * 1e9), *self._exits(ticket))))

    def _exits(self, ticket: TicketState) -> Iterator[int]:
        """When the processes of the newest attempt ended, by the clock of the file system, in nanoseconds."""
        steps = (RUN, *(record.step for record in self._state.steps.get(ticket.id, ())))
        for step in steps:
            with suppress(OSError):
                record = session_folder(self._session).record(ProcessKey(ticket.id, ticket.attempts, step))
                yield record.stat().st_mtime_ns

    def succeeded(self, ticket: TicketState, ended: int | None = None) -> None:
        """Remember what a ticket is after its success. Call it before anything that may change its files starts.

        `ended`: when it succeeded, in nanoseconds since the epoch; None: now.
        """
        agent = self._state.agents.get(ticket.agent or "")
        if agent is None:
            return
        spec, plan = self._filled(ticket.spec), self._state.plan
        success = Success(
            identity_of(plan, spec, agent.type),
            agent.type,
            plan.workdir,
            spec.reads,
            spec.all_writes,
            time.time_ns() if ended is None else ended,
            os.path.join(plan.workdir, spec.cwd or plan.agents[agent.type].cwd or ""),  # noqa: PTH118 - as the pool does
            spec.depfile,
        )
        told = self._state.values.get(ticket.id)
        self._to_take.append(_ToTake(ProcessKey(ticket.id, ticket.attempts), success, told))
        if not self._is_taking:
            self._is_taking = True
            if self._all_kept.is_set():
                self._all_kept = trio.Event()
            self._nursery.start_soon(self._take)

    async def _take(self) -> None:
        try:
            while self._to_take:
                wanted, self._to_take = self._to_take, []
                self._being_taken = wanted
                with suppress(OSError):  # they are run again
                    found = await self._backend.fingerprints(tuple((each.key, each.success) for each in wanted))
                    self._taken += [each.taken(print_) for each, print_ in zip(wanted, found, strict=True)]
                if self._taken and not self._is_keeping:
                    self._is_keeping = True
                    self._nursery.start_soon(self._keep)
        finally:
            self._is_taking = False
            self._being_taken = []
            self._note_all_kept()

    async def _keep(self) -> None:
        """Write into the registry what was taken, some together: to open it takes longer than to write one."""
        try:
            while self._taken:
                with trio.move_on_after(KEPT_WITHIN):
                    await self._ends.wait()
                taken, self._taken = self._taken, []
                with suppress(RegistryError):  # they are run again
                    await in_thread(_put, self._file, self._session, taken)
        finally:
            self._is_keeping = False
            self._note_all_kept()

    def _note_all_kept(self) -> None:
        if not self._is_taking and not self._is_keeping:
            self._all_kept.set()

    async def finish(self, notice: Callable[[str], None]) -> None:
        """Wait until all is remembered, or that takes too long. `notice`: is told if there is to be waited."""
        self._ends.set()
        with trio.move_on_after(SAID_AFTER):
            await self._all_kept.wait()
            return
        if names := self._untaken():
            notice(f"the files of {names} are still being read for up_to_date, for at most {FINISH_WITHIN:g}s")
        with trio.move_on_after(FINISH_WITHIN - SAID_AFTER):
            await self._all_kept.wait()
            return
        left = (*self._being_taken, *self._to_take)
        if not left:
            return  # the registry cannot be written: they are run again
        notice(
            f"the files of {self._untaken()} are too big to be read in {FINISH_WITHIN:g}s: "
            "they count as changed next time"
        )
        with suppress(RegistryError):
            too_big = [each.taken(TOO_BIG) for each in left]
            await in_thread(_put, self._file, self._session, too_big)

    def _untaken(self) -> str:
        """The tickets whose files are being read, or will be, in words."""
        return listed([each.key.ticket for each in (*self._being_taken, *self._to_take)], limit=_NAMED)


def owed_fingerprints(registry: Registry, session: str, state: SessionState) -> list[TicketState]:
    """The tickets of a session that succeeded while no engine ran, or whose engine died before their files were
    looked at. Raises RegistryError."""
    untaken = registry.untaken_fingerprints(session)
    tickets = ((state.tickets.get(id_), attempt) for id_, attempt in untaken.items())
    return [
        ticket
        for ticket, attempt in tickets
        if ticket is not None and ticket.attempts == attempt and ticket.status is Status.succeeded
        if ticket.spec.is_asked_by_files
    ]


def _known(file: Path, source: str, tickets: Sequence[str]) -> tuple[Mapping[str, bytes], Mapping[str, Values]]:
    with Registry.open(file, read_only=True) as registry:
        return registry.fingerprints(source, tickets), told_by(registry, source, tickets)


def _last_generated(file: Path, source: str, ticket: str) -> Path | None:
    """The file of what a ticket generated at its last success; None: it is not there any more."""
    with suppress(RegistryError), Registry.open(file, read_only=True) as registry:
        if (found := registry.successes(source, [ticket]).get(ticket)) is not None:
            session, attempt = found
            kept = Path(session_folder(session).tickets(ProcessKey(ticket, attempt)))
            return kept if kept.is_file() else None
    return None


def told_by(registry: Registry, source: str, tickets: Sequence[str]) -> dict[str, Values]:
    """The values that these tickets of a plan file told at their last success. Raises RegistryError."""
    try:
        found = registry.told(source, tickets)
        return {id_: msgspec.json.decode(told, type=Values) for id_, told in found.items()}
    except msgspec.MsgspecError as error:
        raise RegistryError(f"what tickets told is damaged: {error}") from error


def _put(file: Path, session: str, taken: Sequence[TakenFingerprint]) -> None:
    with Registry.open(file, create=False) as registry:
        registry.put_fingerprints(session, taken)


def _renew(file: Path, source: str, renewed: Sequence[Renewed]) -> None:
    with Registry.open(file, create=False) as registry:
        registry.renew_fingerprints(source, renewed)
