"""Whose output is asked how far its process is."""

from msgspec.structs import replace

from parexec_tui.core.plan.progress import OFF
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.protocol import Progress, StatusReport
from parexec_tui.engine.backends.backend import ProgressWanted
from parexec_tui.engine.threads import in_thread


def progress_wanted(state: SessionState) -> list[ProgressWanted]:
    """The processes that may tell how far they are: those of the tickets that run."""
    return [
        ProgressWanted(ProcessKey(ticket.id, ticket.attempts, ticket.live_attempt.step), ticket.spec.progress)
        for ticket in state.live.values()
        if ticket.spec.progress != OFF
    ]


async def with_progress(report: StatusReport, state: SessionState) -> StatusReport:
    """The facts, and how far what runs is by its output now. It is read in a thread."""
    found = await in_thread(_read, state.session, progress_wanted(state))
    return replace(report, agents=[replace(each, progress=found.get(each.ticket or "")) for each in report.agents])


def _read(session: str, wanted: list[ProgressWanted]) -> dict[str, Progress]:
    from parexec_tui.outputs.output import output_of
    from parexec_tui.text.progress import progress_of

    found = ((key.ticket, progress_of(output_of(session, key), pattern)) for key, pattern in wanted)
    return {ticket: progress for ticket, progress in found if progress is not None}
