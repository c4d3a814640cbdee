"""Takes charge of what an engine before this one started on a host, or tells how it ended."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import trio

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Adopted, Ended, Identity, OutOfReachError
from parexec_tui.engine.backends.local.record import void_record
from parexec_tui.engine.backends.remote.channel import Channel
from parexec_tui.engine.backends.remote.charge import Charge
from parexec_tui.engine.backends.remote.ends import never_began, noted_end, seen_by_record
from parexec_tui.engine.backends.remote.requests import key_to
from parexec_tui.engine.threads import in_thread
from parexec_tui.paths import SessionFolder

_ADOPTS_WITHIN = 3.0
"""Seconds for which an engine that begins waits for a host to say what became of a process."""

_RECORDED_WITHIN, _POLL = 3.0, 0.05
"""Seconds that a supervisor has to record the end of what it kept, and between two looks."""

Told = Mapping[str, Any]
"""What a node program says of a process."""


class Adoption:
    """Adopts the processes of one session on one host."""

    def __init__(
        self,
        channel: Channel,
        folder: SessionFolder,
        charges: dict[ProcessKey, Charge],
        runs: Callable[[Charge, Told], None],
        fetch_end: Callable[[Charge, Told], Awaitable[Ended]],
        *,
        must_reach: bool,
    ) -> None:
        """`charges`: those of the backend. `runs`: told of each that runs. `fetch_end`: fetches what one left, and
        makes the report. `must_reach`: see `RemoteBackend`."""
        self._channel = channel
        self._folder = folder
        self._charges = charges
        self._runs = runs
        self._fetch_end = fetch_end
        self._must_reach = must_reach

    async def adopt(self, key: ProcessKey, identity: Identity | None) -> Adopted:
        """See `Backend.adopt`. Of a host that is out of reach, what the registry knew is returned, and what became of
        the process is reported when it is reached."""
        if (ended := await self._noted(key)) is not None:
            return ended
        if (charge := self._charges.get(key)) is not None:
            return charge.started_report()
        try:
            told = await self._asked_about(key)
        except OSError as error:
            if self._must_reach:
                raise OutOfReachError(str(error)) from error
            return self._take_charge(key, identity).started_report()
        return await self._adopted(key, identity, told)

    async def _asked_about(self, key: ProcessKey) -> Told:
        """What the node program knows of a process. An engine that begins waits a moment for it. Raises OSError."""
        with trio.move_on_after(_ADOPTS_WITHIN):
            while not self._channel.is_up and self._channel.problem is None:
                await self._channel.changed.wait()
        return (await self._channel.ask("adopt", key=key_to(key))).ok

    async def _adopted(self, key: ProcessKey, identity: Identity | None, told: Told) -> Adopted:
        state = told.get("state")
        if state in ("void", "unknown") and identity is None:
            with suppress(OSError):
                await self._channel.ask("void", key=key_to(key))
            await in_thread(void_record, self._folder.record(key))
            return never_began(key)
        charge = self._take_charge(key, identity)
        if state == "running":
            self._runs(charge, told)
            return charge.started_report()
        charge.is_ending = True
        del self._charges[key]
        return await self._fetch_end(charge, told if state in ("ended", "lost", "rebooted") else {"state": "lost"})

    def _take_charge(self, key: ProcessKey, identity: Identity | None) -> Charge:
        log = self._folder.log_and_record(key)[0]
        charge = Charge(key, log, identity=identity, is_adopted=True, may_have_begun=True)
        self._charges[key] = charge
        return charge

    async def _noted(self, key: ProcessKey) -> Ended | None:
        """How a process ended, if that is noted here."""
        ended = await in_thread(noted_end, self._folder, key)
        return seen_by_record(self._folder, ended) if ended is not None else None

    async def prove_end(self, key: ProcessKey) -> Ended:
        """See `Backend.prove_end`."""
        if (ended := await self._noted(key)) is not None:
            return ended
        try:
            told = await self._asked_about(key)
            with trio.move_on_after(_RECORDED_WITHIN):
                while told.get("state") == "running":
                    await trio.sleep(_POLL)
                    told = await self._asked_about(key)
        except OSError as error:
            return rq.ProcessLost(key.ticket, key.attempt, f"its host does not tell: {error}", step=key.step)
        if told.get("state") in ("void", "unknown"):
            await in_thread(void_record, self._folder.record(key))
            return never_began(key)
        charge = Charge(key, self._folder.log_and_record(key)[0], is_adopted=True)
        return await self._fetch_end(charge, told if told.get("state") != "running" else {**told, "state": "lost"})
