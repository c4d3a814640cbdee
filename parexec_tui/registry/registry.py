"""The registry: one SQLite file that remembers the events of every session, and what follows from them.

Events are the truth. The status and counts of a session and the facts of its attempts are kept beside them, in
the same transaction, so that lists, reports and history need no replay. Nothing here knows what an event means: its
data is JSON, and that is all.

Each table has a module: `sessions` (with the plans), `events`, `attempts`, `fingerprints`. `history` asks what the
attempts of all sessions of a plan tell. What belongs together is written together here, and here sessions have their
ids. `database` knows the file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from parexec_tui.registry import attempts as attempts_table
from parexec_tui.registry import events as events_table
from parexec_tui.registry import fingerprints as fingerprints_table
from parexec_tui.registry import sessions as sessions_table
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.database import Database, checkpoint
from parexec_tui.registry.errors import RegistryError, SessionExists
from parexec_tui.registry.events import Damage, Entry, EventRow
from parexec_tui.registry.fingerprints import Renewed, TakenFingerprint
from parexec_tui.registry.sessions import Counts, SessionRow, new_session_id

if TYPE_CHECKING:
    from parexec_tui.core.plan.model import Plan
    from parexec_tui.core.state.history import TicketHistory
    from parexec_tui.registry.history import PastAttempt
    from parexec_tui.registry.imports import Import


class Registry:
    """An open registry. Only the thread that opened it may use it.

    Every method raises RegistryError, in words for a person. Its transaction is then rolled back, the registry can
    still be used, and the same call may be tried again.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._numbers: dict[str, int] = {}
        self._last: dict[str, int] = {}

    @classmethod
    def open(cls, file: Path, *, read_only: bool = False, create: bool = True) -> Self:
        """As `Database.open`."""
        return cls(Database.open(file, read_only=read_only, create=create))

    @property
    def file(self) -> Path:
        return self._db.file

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def checkpoint(self) -> None:
        """As `database.checkpoint`, for this file. Any thread may call this method, and no other."""
        checkpoint(self.file)

    def snapshot(self) -> AbstractContextManager[None]:
        """All that is read in the block is of one moment, whatever others write meanwhile."""
        return self._db.snapshot()

    def integrity(self) -> str:
        """What SQLite finds wrong with the structure of the file; empty if nothing is. It reads the whole file."""
        (said,) = self._db.rows("PRAGMA integrity_check(1)")[0]
        return "" if said == "ok" else f"registry {self.file}: {said}"

    # -- sessions and their plans ------------------------------------------------------------------------------

    def start_session(
        self,
        now: datetime,
        *,
        name: str,
        plan: bytes,
        source: str,
        folder: Callable[[str], str],
        workdir: str,
        boot: str,
        pid: int,
    ) -> str:
        """Create a session under the next free id of this second, and return the id.

        `folder` gives the session's folder for an id. The insert decides whether an id is free, so any number of
        processes may do this at once.
        """
        taken: set[str] = set()
        while True:
            session = new_session_id(now, taken)
            with suppress(SessionExists):
                self.create_session(
                    session,
                    name=name,
                    plan=plan,
                    source=source,
                    folder=folder(session),
                    workdir=workdir,
                    at=now.timestamp(),
                    boot=boot,
                    pid=pid,
                )
                return session
            taken.add(session)

    def create_session(
        self,
        session: str,
        *,
        name: str,
        plan: bytes,
        source: str,
        folder: str,
        workdir: str,
        at: float,
        boot: str,
        pid: int,
    ) -> None:
        """Remember a new session with its plan. Raises SessionExists if the id is taken."""
        constant = (session, name, source, folder, workdir, at)
        with self._db.transaction():
            number = sessions_table.add(self._db, constant, boot, pid)
            sessions_table.add_plan(self._db, number, plan)

    def take_over(self, session: str, *, boot: str, pid: int) -> None:
        """Note which engine runs the session from now on."""
        with self._db.transaction():
            sessions_table.set_owner(self._db, self._number(session), boot, pid)

    def plan(self, session: str) -> bytes:
        """The plan, as it was given to `create_session`. Raises RegistryDamaged if it is not that any more."""
        return sessions_table.plan(self._db, session, self._number(session))

    def session(self, session: str) -> SessionRow:
        """A session by its full id."""
        return sessions_table.entry(self._db, session)[1]

    def sessions(self) -> list[SessionRow]:
        """Every session that can be read, newest first."""
        return self.list_sessions()[0]

    def open_sessions(self) -> list[SessionRow]:
        """Those of `sessions` that have not ENDED. Costs little, however many there are of the others."""
        return sessions_table.not_ended(self._db)

    def list_sessions(self) -> tuple[list[SessionRow], list[str]]:
        """Every session, newest first, and what is wrong with those that cannot be read."""
        return sessions_table.listed(self._db)

    def resolve(self, text: str) -> SessionRow:
        """The session that a text names: by its id, the start or end of its id, or the name of its plan.

        Raises RegistryError, with candidates, unless there is exactly one.
        """
        return sessions_table.resolve(self._db, text)

    # -- events, and what follows from them --------------------------------------------------------------------

    def append(
        self,
        session: str,
        entries: Sequence[Entry],
        *,
        status: str | None = None,
        ended: float | None = None,
        counts: Counts | None = None,
        attempts: Sequence[AttemptFact] = (),
        begun: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Remember events, and what follows from them, in one transaction: all of it, or nothing.

        `begun`: tickets whose fingerprints do not hold any more, with the number of the attempt that begins.

        `entries` continue from the last seq without a gap. An argument that is None changes nothing, except that
        `ended` is written together with `status`: a session that runs again has not ended.
        """
        number = self._number(session)
        last = self._check_goes_on(session, entries)
        # Until the commit has succeeded we do not know what the file has; after a failure, the next call reads it.
        self._last.pop(session, None)
        with self._db.transaction():
            if entries:
                events_table.add(self._db, number, entries)
            sessions_table.set_standing(self._db, number, last, status, ended, counts)
            if attempts:
                attempts_table.put(self._db, number, attempts)
            if begun:
                fingerprints_table.begin(self._db, number, begun)
        self._last[session] = last

    def last_seq(self, session: str) -> int:
        """The highest seq of a session; 0 if it has no events."""
        if session not in self._last:
            self._last[session] = events_table.last_seq(self._db, self._number(session))
        return self._last[session]

    def events(self, session: str, after: int = 0, limit: int | None = None) -> Iterator[EventRow]:
        """Events in order, from `after` + 1, up to the first that is missing, damaged or not JSON: see `damage`.

        They are read page by page, so that a slow reader blocks nobody; what is appended meanwhile is read as well.
        Raises RegistryDamaged after the last event that SQLite can read.
        """
        yield from events_table.read(self._db, self._number(session), after, limit)

    def events_of_kinds(self, session: str, *kinds: str) -> list[bytes]:
        """The data of every event of these kinds, in order, readable or not."""
        return events_table.of_kinds(self._db, self._number(session), kinds)

    def damage(self, session: str, after: int) -> Damage | None:
        """Why `events` ended with the event `after`; None if nothing follows it."""
        return events_table.damage(self._db, self._number(session), after)

    def has_checksum(self, session: str, seq: int) -> bool:
        """Whether an event has a checksum. Those of early versions have none."""
        return events_table.has_checksum(self._db, self._number(session), seq)

    def quarantine_tail(self, session: str, from_seq: int, why: str) -> int:
        """Move the events from `from_seq` on to a table for people to look at, and return how many there were.

        The session goes on after `from_seq` - 1. For events that cannot be read, or that the engine does not know.
        """
        number = self._number(session)
        self._last.pop(session, None)
        with self._db.transaction():
            moved = events_table.move_aside(self._db, number, from_seq, why)
            sessions_table.set_last(self._db, number, from_seq - 1)
        return moved

    # -- attempts ----------------------------------------------------------------------------------------------

    def attempts(self, session: str, ticket: str | None = None) -> list[AttemptFact]:
        """Attempts of a session by start, or of one of its tickets by number."""
        return attempts_table.read(self._db, session, self._number(session), ticket)

    def history(self, plan: "Plan", *, besides: str = "") -> "dict[str, TicketHistory]":
        """What earlier sessions of a plan tell of its tickets, of those that ever succeeded. See `registry.history`.

        `besides`: a session that does not count, because it is the one that asks.
        """
        from parexec_tui.registry import history  # it knows plans, which few who open a registry need

        return history.read(self._db, plan, besides)

    def past_attempts(self, plan: "Plan", *, besides: str = "") -> "dict[str, list[PastAttempt]]":
        """{ticket: its attempts in earlier sessions of the plan that have ended, newest first}. As `history`."""
        from parexec_tui.registry import history

        return history.past_attempts(self._db, plan, besides)

    # -- fingerprints ------------------------------------------------------------------------------------------

    def sessions_of(self, plan: "Plan", *, besides: str = "") -> list[str]:
        """The sessions of a plan, newest first, also those that were pruned. As `history`."""
        from parexec_tui.registry import history

        return history.sessions_of(self._db, plan, besides)

    def fingerprints(self, source: str, tickets: Sequence[str]) -> Mapping[str, bytes]:
        """What these tickets of a plan file were after their last success; empty: an attempt began since then."""
        return fingerprints_table.read(self._db, source, tickets)

    def told(self, source: str, tickets: Sequence[str]) -> Mapping[str, bytes]:
        """What these tickets of a plan file told at their last success, as JSON, of those that told anything."""
        return fingerprints_table.told(self._db, source, tickets)

    def successes(self, source: str, tickets: Sequence[str]) -> Mapping[str, tuple[str, int]]:
        """{ticket: the session and the number of its last success}, of these tickets of a plan file."""
        return fingerprints_table.successes(self._db, source, tickets)

    def put_fingerprints(self, session: str, taken: Sequence[TakenFingerprint]) -> None:
        """Remember what tickets are after attempts of this session; not if another attempt began since."""
        number = self._number(session)
        with self._db.transaction():
            fingerprints_table.put(self._db, number, taken)

    def untaken_fingerprints(self, session: str) -> Mapping[str, int]:
        """{ticket: attempt} of the attempts of a session that succeeded, and whose fingerprints nobody took."""
        return fingerprints_table.untaken(self._db, self._number(session))

    def renew_fingerprints(self, source: str, renewed: Sequence[Renewed]) -> None:
        """Replace fingerprints by others that say the same."""
        with self._db.transaction():
            fingerprints_table.renew(self._db, source, renewed)

    def forget_fingerprints(self, source: str, tickets: Sequence[str]) -> None:
        """Forget what these tickets of a plan file were, so that they are run."""
        with self._db.transaction():
            fingerprints_table.forget(self._db, source, tickets)

    # -- pruned sessions ---------------------------------------------------------------------------------------

    def prune(self, row: SessionRow) -> bool:
        """Remove a session, but for what its attempts took; False if its status is not that of `row` any more.

        If it is broken off, `prune_rest` goes on. Who calls this holds the lock of the session.
        """
        from parexec_tui.registry import pruned  # few who open a registry need it

        number = self._number(row.session)
        if not pruned.mark(self._db, number, row.status):
            return False
        self._numbers.pop(row.session, None)
        self._last.pop(row.session, None)
        pruned.drop_rows(self._db, number)
        return True

    def prune_rest(self, session: str) -> None:
        """Remove what was left of a session when its removal was broken off."""
        from parexec_tui.registry import pruned

        pruned.drop_rows(self._db, sessions_table.number_of(self._db, session))

    def pruned_sessions(self) -> dict[str, bool]:
        """Every session that was pruned, and whether something is left of it here."""
        from parexec_tui.registry import pruned

        return pruned.marked(self._db)

    def size_of(self, session: str) -> int:
        """Bytes that the events and the plan of a session take, about. Reads all of them."""
        from parexec_tui.registry import pruned

        return pruned.size(self._db, self._number(session))

    # -- imported sessions -------------------------------------------------------------------------------------

    def begin_import(self, session: str, *, name: str, source: str, folder: str, workdir: str, at: float) -> "Import":
        """Reserve an id for a session that is written by what this returns; no list has it until that is finished.

        Raises SessionExists if the id is taken.
        """
        from parexec_tui.registry.imports import Import  # few who open a registry need it

        return Import.begin(self._db, (session, name, source, folder, workdir, at))

    def unfinished_imports(self) -> "dict[str, Import]":
        """{session: what was broken off}, unless somebody is importing it now."""
        from parexec_tui.registry.imports import unfinished

        return unfinished(self._db)

    # -- ids and numbers ---------------------------------------------------------------------------------------

    def _number(self, session: str) -> int:
        number = self._numbers.get(session)
        if number is None:
            number = self._numbers[session] = sessions_table.entry(self._db, session)[0]
        return number

    def _check_goes_on(self, session: str, entries: Sequence[Entry]) -> int:
        """The last seq once `entries` are appended. Raises RegistryError if there is a gap."""
        last = self.last_seq(session)
        for entry in entries:
            if entry[0] != last + 1:
                raise RegistryError(f"session {session}: event {entry[0]} cannot follow event {last}")
            last += 1
        return last
