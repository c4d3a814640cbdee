"""Reads the tickets that commands generated, in threads: the loop goes on meanwhile."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio
from msgspec import structs

from parexec_tui.client.plan_files import PlanFileError, read_generated_file
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.threads import in_thread
from parexec_tui.outputs.masker import SECRET_GENERATED
from parexec_tui.paths import SessionFolder

if TYPE_CHECKING:
    from parexec_tui.core.plan.reading.fragment import Generation

_NAMED: Final = 3
"""Mistakes that the reason of a failure names."""


def _read(file: Path, plan: Plan, host: Host | None, generation: "Generation") -> dict[str, Ticket]:
    """As `read_generated_file`; what a masker has written says why there are none."""
    with suppress(OSError), file.open("rb") as there:
        if there.read(len(SECRET_GENERATED)) == SECRET_GENERATED:
            raise PlanFileError("a secret stood in them, and tickets are kept: name it in `secrets` of these tickets")
    return read_generated_file(file, plan, host, generation)


class GeneratedTickets:
    """Reads them for one session, and reports them."""

    def __init__(
        self,
        nursery: trio.Nursery,
        folder: SessionFolder,
        state: SessionState,
        report: Callable[[Sequence[rq.AnyReport]], None],
    ) -> None:
        self._nursery = nursery
        self._folder = folder
        self._state = state
        self._report = report
        self._one = trio.CapacityLimiter(1)

    def read(self, key: ProcessKey) -> None:
        """Read what the command of an attempt generated; the key has the step that it is read for."""
        self._nursery.start_soon(self._read, key)

    async def _read(self, key: ProcessKey) -> None:
        async with self._one:  # each checks a whole plan
            file = Path(self._folder.tickets(ProcessKey(key.ticket, key.attempt, RUN)))
            with suppress(OSError):
                await in_thread(file.touch)  # it is seen later that there was nothing, and not that it was pruned
            self._report([await self.read_for(key, file)])

    async def read_for(self, key: ProcessKey, file: Path) -> rq.TicketsRead:
        """What is to be reported of the tickets in a file."""
        from parexec_tui.core.plan.reading.file import PlanErrors
        from parexec_tui.core.plan.reading.fragment import Generation

        state, amended = self._state, self._state.amended
        if key.ticket not in state.plan.tickets:
            return rq.TicketsRead(key.ticket, key.attempt, problem="it is not in the plan any more", step=key.step)
        plan = structs.replace(state.plan, tickets=dict(state.plan.tickets))
        generation = Generation(key.ticket, state.generated_by(key.ticket))
        try:
            tickets = await in_thread(_read, file, plan, state.host, generation, may_hang=True)
        except (OSError, PlanFileError) as error:
            return rq.TicketsRead(key.ticket, key.attempt, problem=str(error), step=key.step)
        except PlanErrors as errors:
            named = "; ".join(str(each).removeprefix(f"{file}:") for each in errors.problems[:_NAMED])
            more = f" (and {len(errors.problems) - _NAMED} more)" if len(errors.problems) > _NAMED else ""
            problem = f"{file}:{named}{more}"
            return rq.TicketsRead(key.ticket, key.attempt, problem=problem, step=key.step)
        except Exception as error:  # the engine would die of it again and again: the file stays what it is
            problem = f"{file} met a mistake in parexec: {type(error).__name__}: {error}"
            return rq.TicketsRead(key.ticket, key.attempt, problem=problem, step=key.step)
        return rq.TicketsRead(key.ticket, key.attempt, tickets=tickets, amended=amended, step=key.step)
