"""What the host has is measured again and again; only what changed much leads to an event."""

from itertools import islice

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.admission import measured, memory_need, needs_memory
from parexec_tui.core.state.memory import Memory
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq

_PART, _LEAST_BAND, _MOST_BAND = 32, 16 * 2**20, 256 * 2**20
"""What there is for tickets must be more or less by this part of the total to be told, within these bytes."""

_MOST_LOOKED_AT = 200
"""Ready tickets of which it is found out whether there is enough for them now."""


def on_host_measured(state: SessionState, report: rq.HostMeasured, now: float) -> list[ev.AnyEvent]:
    if state.finished_at is not None or not needs_memory(state):
        return []
    memory = measured(state, report.memory_available, report.memory_total, report.used)
    if state.memory is not None and not _is_worth_telling(state, state.memory, memory):
        return []
    used = {id_: size for id_, size in memory.used.items() if size}
    return [ev.MemoryMeasured(at=now, available=report.memory_available, total=report.memory_total, used=used)]


def _is_worth_telling(state: SessionState, before: Memory, after: Memory) -> bool:
    band = min(max(after.total // _PART, _LEAST_BAND), _MOST_BAND)
    if abs(after.room - before.room) >= band or abs(after.available - before.available) >= band:
        return True
    if after.room <= before.room:
        return False
    ready = islice(state.ready.values(), _MOST_LOOKED_AT)
    return any(before.room < memory_need(state, ticket).size <= after.room for ticket in ready)
