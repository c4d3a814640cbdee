"""What the processes of a host use: as its node program says, with what the copies of their logs tell."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire.protocol import Usage
from parexec_tui.engine.backends.backend import ProgressWanted, UsageReading
from parexec_tui.engine.backends.local.progress import LogProgress
from parexec_tui.engine.backends.local.usage import LogGrowth, look_at_log
from parexec_tui.outputs.local import LocalOutput


class _Seen(Struct, gc=False):
    at: float
    cpu_seconds: float
    log: LogGrowth | None


class RemoteUsage:
    """Makes readings of what is told again and again. Not for two threads at once."""

    def __init__(self) -> None:
        self._seen: dict[ProcessKey, _Seen] = {}
        self._progress = LogProgress()

    def read(
        self,
        told: Mapping[ProcessKey, Mapping[str, Any]],
        logs: Iterable[tuple[ProcessKey, str]],
        progress: Sequence[ProgressWanted] | None,
    ) -> UsageReading:
        """`told`: of each key `cpu` in seconds, `memory`, `processes`; what is not there is not known. `logs`: of the
        keys that live, the copies of what they printed."""
        began = time.thread_time()
        if progress is not None:
            self._progress.keep(progress)
        before, self._seen = self._seen, {}
        wall, now = time.time(), time.monotonic()
        usages = []
        for key, log in logs:
            if (of_key := told.get(key)) is not None:
                usages.append(self._usage(key, of_key, log, before.get(key), (wall, now)))
        return UsageReading(usages, time.thread_time() - began)

    def _usage(
        self, key: ProcessKey, told: Mapping[str, Any], file: str, before: _Seen | None, at: tuple[float, float]
    ) -> Usage:
        wall, now = at
        log = look_at_log(file, before.log if before is not None else None, wall, now)
        spent = float(told.get("cpu") or 0.0)
        cpu = (spent - before.cpu_seconds) / (now - before.at) if before is not None and now > before.at else 0.0
        self._seen[key] = _Seen(now, spent, log)
        return Usage(
            ticket=key.ticket,
            attempt=key.attempt,
            step=key.step,
            cpu=round(max(0.0, cpu), 3),
            memory=int(told.get("memory") or 0),
            processes=int(told.get("processes") or 0),
            # The copy is always a little behind, and stands still while it is made.
            silence=told.get("silence", round(now - log.grew, 1) if log is not None else None),
            log_size=int(told.get("log_size") or (log.size if log is not None else 0)),
            progress=self._progress.look(key, LocalOutput(Path(file)), log.size) if log is not None else None,
            cpu_seconds=round(spent, 2),
            disk_read=int(told.get("disk_read") or 0),
            disk_written=int(told.get("disk_written") or 0),
        )
