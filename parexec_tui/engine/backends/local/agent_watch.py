"""What coding agents tell while they work: read from their files of facts, a little at a time."""

import time
from collections.abc import Callable

import trio
from msgspec import structs

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Usage
from parexec_tui.engine.agent_facts import Followed, usage_with
from parexec_tui.engine.backends.backend import UsageReading
from parexec_tui.engine.threads import in_thread
from parexec_tui.paths import AgentFiles, SessionFolder

LOOK_EVERY = 0.5
"""Seconds between two looks, while a coding agent works. A look costs a read of each file that has grown."""


class AgentWatch:
    """Follows the files of all coding agents that work, and reports what is to be remembered."""

    def __init__(self, folder: SessionFolder, report: Callable[[rq.AnyReport], None]) -> None:
        self._folder = folder
        self._report = report
        self._followed: dict[ProcessKey, Followed] = {}
        self._has_some = trio.Event()

    def add(self, key: ProcessKey) -> None:
        self._followed[key] = Followed(key, self._folder.of_agent(key).facts)
        self._has_some.set()

    def discard(self, key: ProcessKey) -> bool:
        """Follow it no longer; whether it was followed."""
        return self._followed.pop(key, None) is not None

    def files(self) -> dict[ProcessKey, AgentFiles]:
        """Where each of them tells what it does."""
        return {key: self._folder.of_agent(key) for key in self._followed}

    def with_doing(self, reading: UsageReading) -> UsageReading:
        """What processes use, with what the coding agents among them do."""
        if not self._followed:
            return reading
        return structs.replace(reading, usages=[self._with_doing(each) for each in reading.usages])

    def _with_doing(self, usage: Usage) -> Usage:
        followed = self._followed.get(ProcessKey(usage.ticket, usage.attempt, usage.step))
        return usage if followed is None else usage_with(usage, followed.doing, time.time())

    async def run(self) -> None:
        """Look again and again, until cancelled; nothing is done while no coding agent works."""
        while True:
            if not self._followed:
                self._has_some = trio.Event()
                await self._has_some.wait()
            changed = await in_thread(_read, list(self._followed.values()), may_hang=True)
            for each in changed:
                if self._followed.get(each.key) is each:
                    self._report(each.said)
            await trio.sleep(LOOK_EVERY)


def _read(followed: list[Followed]) -> list[Followed]:
    return [each for each in followed if _has_changed(each)]


def _has_changed(followed: Followed) -> bool:
    try:
        return followed.read()
    except OSError:
        return False  # it is not there yet, or there are too few descriptors
