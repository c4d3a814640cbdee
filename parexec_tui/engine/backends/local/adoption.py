"""Processes that an engine before this one started: taken charge of, or proved to be over."""

import trio
from msgspec import structs

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Adopted, Ended, Identity, OutOfReachError
from parexec_tui.engine.backends.local import process
from parexec_tui.engine.backends.local.attempt_cgroups import AttemptCgroups
from parexec_tui.engine.backends.local.cookie import bearers
from parexec_tui.engine.backends.local.failures import with_error_line, with_out_of_memory
from parexec_tui.engine.backends.local.living import Living
from parexec_tui.engine.backends.local.oom import own_kills
from parexec_tui.engine.backends.local.record import read_record, report_of, void_record
from parexec_tui.engine.backends.local.remains import Remains, is_written
from parexec_tui.engine.backends.local.spawn import is_recording_shell
from parexec_tui.engine.backends.local.strays import Strays
from parexec_tui.engine.backends.local.watch import Exit, Watch
from parexec_tui.paths import SessionFolder

_BEGIN_WITHIN = 2.0
"""Seconds that an existing process gets to write in its record that it began."""


class Adoption:
    """Adopts the processes of one session."""

    def __init__(
        self,
        folder: SessionFolder,
        boot: str,
        living: Living,
        strays: Strays,
        watch: Watch[ProcessKey],
        cgroups: AttemptCgroups,
    ) -> None:
        """`boot`: where our pids mean something, see `boot.here`."""
        self._folder = folder
        self._boot = boot
        self._living = living
        self._strays = strays
        self._watch = watch
        self._cgroups = cgroups

    async def adopt(self, key: ProcessKey, identity: Identity | None, boot: str) -> Adopted:
        """See `Backend.adopt`."""
        void_record(self._folder.record(key))  # if it has not begun, it cannot begin any more
        theirs, _, namespace = boot.partition("/")
        ours, _, our_namespace = self._boot.partition("/")
        same_boot = theirs == ours
        if same_boot and namespace and namespace != our_namespace:
            self._check_that_it_ended(key, namespace)
            return _how_it_ended(self._folder, key, same_boot=True, noted=identity is not None)
        found = await self._find(key, identity) if same_boot else None
        if found is not None and self._take_over(key, found.pid):
            return rq.ProcessStarted(key.ticket, key.attempt, found.pid, found.birth, step=key.step)
        if same_boot:
            self._note_remains(key, identity)
        ended = _how_it_ended(self._folder, key, same_boot=same_boot, noted=identity is not None)
        own = own_kills(self._cgroups.find(key))
        return with_out_of_memory(ended, own.explain() if own is not None else None)

    def _check_that_it_ended(self, key: ProcessKey, namespace: str) -> None:
        """Raise OutOfReachError if something of a key lives, in another pid namespace."""
        log, record = self._folder.log_and_record(key)
        if is_written(record) or is_written(log):  # its shell has the record open
            raise OutOfReachError(
                f"{key.ticket} runs in another pid namespace, {namespace}: go on with the session there"
            )

    def _note_remains(self, key: ProcessKey, identity: Identity | None) -> None:
        """Have `Strays.end_all` look for what is left of a key whose shell is gone."""
        record = read_record(self._folder.record(key))
        if identity is None and record is not None and record.pid is not None:
            identity = Identity(record.pid, 0.0)
        if identity is not None:
            self._strays.remains.append(Remains(key, identity, self._folder.log_and_record(key)[0]))

    def _take_over(self, key: ProcessKey, pid: int) -> bool:
        """Take charge of a process that we did not start, if we have not yet. False if it ended just now."""
        if key in self._living.by_key:
            return True
        try:
            self._watch.add(key, pid)
        except ProcessLookupError:
            return False
        self._living.take_charge(key, pid, self._cgroups.find(key), is_adopted=True)
        return True

    async def _find(self, key: ProcessKey, identity: Identity | None) -> Identity | None:
        """The living process of a key, if there is one."""
        if identity is not None and identity.birth:
            return identity if process.is_alive(identity) else None
        # The engine died between starting the process and noting it: the record has its pid, once it has begun. Until
        # then it may not even be found by its cookie, which it has from exec on; so its record is waited for anyway.
        with trio.move_on_after(_BEGIN_WITHIN):
            while (record := read_record(self._folder.record(key))) is not None and not record.void:
                if record.code is not None:
                    return None
                if record.pid is not None:
                    known = bearers([self._living.cookie_of(key)]).get(record.pid)
                    return known[0] if known is not None else None
                await trio.sleep(0.01)
        # It never began, or it has deleted its record and lives.
        found = bearers([self._living.cookie_of(key)]).values()
        return next((identity for identity, _ in found if is_recording_shell(identity.pid)), None)

    def prove_end(self, key: ProcessKey) -> Ended:
        """See `Backend.prove_end`."""
        void_record(self._folder.record(key))
        return _how_it_ended(self._folder, key, same_boot=True, noted=False)


def _how_it_ended(folder: SessionFolder, key: ProcessKey, *, same_boot: bool, noted: bool) -> Ended:
    """How a process ended that does not live. `noted`: its identity is in the registry, so it did begin."""
    record = read_record(folder.record(key))
    if record is None or record.void:
        if noted or folder.log(key).exists():
            return _lost(key, "its exit record was deleted while it ran")
        return _never_began(key)
    if record.pid is None and same_boot:
        return _never_began(key)
    ended = report_of(key, Exit(record.pid or 0), folder)
    if isinstance(ended, rq.ProcessLost) and not same_boot:
        ended = _lost(key, "the host was restarted while it ran")
    if isinstance(ended, rq.ProcessEnded) and record.code is not None:
        ended = structs.replace(ended, ended=folder.record(key).stat().st_mtime)  # the code is the last it wrote
    return with_error_line(ended, folder)


def _lost(key: ProcessKey, reason: str) -> rq.ProcessLost:
    return rq.ProcessLost(key.ticket, key.attempt, reason, step=key.step)


def _never_began(key: ProcessKey) -> rq.ProcessLost:
    return rq.ProcessLost(key.ticket, key.attempt, "it never began", began=False, step=key.step)
