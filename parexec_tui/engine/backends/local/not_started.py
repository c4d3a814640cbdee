"""Why a process could not be started."""

import errno
from contextlib import suppress
from pathlib import Path

from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.backend import Ended
from parexec_tui.engine.backends.local.agent_prompts import PromptFileError
from parexec_tui.engine.backends.local.attempt_cgroups import LimitsError
from parexec_tui.engine.backends.local.ports import PortsTakenError
from parexec_tui.engine.backends.local.requirements import UnmetError
from parexec_tui.engine.backends.local.shortage import short_of
from parexec_tui.engine.backends.local.snapshot import SnapshotError
from parexec_tui.engine.backends.local.starter import Start
from parexec_tui.engine.backends.local.worktrees.git import GitError, LostError, UnfitError
from parexec_tui.engine.env_files import EnvFileError

_OF_TICKET = UnmetError | UnfitError | EnvFileError | PromptFileError


def why_not(start: Start) -> Ended:
    """Why there is no process. Raises what is a mistake of ours."""
    key, error = start.key, start.problem
    if isinstance(error, FileExistsError):
        return rq.ProcessLost(
            key.ticket, key.attempt, "this attempt has a record already", began=False, step=key.step
        )
    if not isinstance(error, OSError | ValueError):
        assert error is not None
        raise error
    with suppress(OSError):  # on a disk that takes nothing, it stays; the next attempt has another one
        Path(start.spawn.record).unlink(missing_ok=True)
    # A text that the system cannot take: too long, or with a NUL.
    hopeless = isinstance(error, ValueError | _OF_TICKET) or error.errno == errno.E2BIG
    return rq.ProcessEnded(
        key.ticket,
        key.attempt,
        problem=_spawn_problem(error),
        ticket_at_fault=hopeless,
        host_short_of=short_of(error),
        lost=error.commits if isinstance(error, LostError) else (),
        taken=error.taken if isinstance(error, PortsTakenError) else {},
        step=key.step,
    )


def _spawn_problem(error: OSError | ValueError) -> str:
    if isinstance(error, GitError | SnapshotError | PortsTakenError | LimitsError | _OF_TICKET):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
        return "its command and environment are too long for the system: put the text into a file"
    if isinstance(error, OSError) and error.errno is not None:
        return f"could not start a process: {error.strerror}"
    return f"could not start a process: {error}"
