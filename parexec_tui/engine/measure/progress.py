"""Whose output is asked how far its process is."""

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from msgspec.structs import replace

from parexec_tui.core.plan.progress import OFF
from parexec_tui.core.schedule.forecast import Told
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import Progress, StatusReport
from parexec_tui.engine.backends.backend import ProgressWanted
from parexec_tui.engine.measure.end import EndKeeper
from parexec_tui.engine.threads import in_thread


def progress_wanted(state: SessionState) -> list[ProgressWanted]:
    """The processes that may tell how far they are: those of the tickets that run."""
    return [
        ProgressWanted(ProcessKey(ticket.id, ticket.attempts, ticket.live_attempt.step), ticket.spec.progress)
        for ticket in state.live.values()
        if ticket.spec.progress != OFF
    ]


async def with_progress(report: StatusReport, state: SessionState, end: EndKeeper) -> StatusReport:
    """The facts, and how far what runs is by its output now; the ETA counts with that. It is read in a thread."""
    if report.ended is not None:
        return report
    found = await in_thread(_read, state.session, progress_wanted(state))
    return replace(
        report,
        eta=await end.eta(_told(found)),
        agents=[
            replace(each, progress=found[each.ticket].progress) if each.ticket in found else each
            for each in report.agents
        ],
    )


def read_told(state: SessionState) -> dict[str, Told]:
    """How far what runs is, as its outputs tell now. It reads files."""
    return _told(_read(state.session, progress_wanted(state)))


async def told_now(state: SessionState) -> dict[str, Told]:
    """The same of a session that goes on meanwhile. The files are read in a thread."""
    return _told(await in_thread(_read, state.session, progress_wanted(state)))


class _Found(NamedTuple):
    progress: Progress
    at: float
    """When the output grew last, in seconds since the epoch."""


def _told(found: Mapping[str, _Found]) -> dict[str, Told]:
    return {ticket: Told(each.progress.share, each.at) for ticket, each in found.items()}


def _read(session: str, wanted: list[ProgressWanted]) -> dict[str, _Found]:
    from parexec_tui.outputs.output import output_of
    from parexec_tui.text.progress import progress_of

    found = {}
    for key, pattern in wanted:
        output = output_of(session, key)
        progress = progress_of(output, pattern)
        if progress is not None:
            with suppress(OSError):  # it is gone
                found[key.ticket] = _Found(progress, output.grew())
    return found
