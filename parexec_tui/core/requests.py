"""What is asked (requests, by a person or a script) and what is told (reports, by a process or a timer).

Both go to `decide`, which answers with events; a request may be met with a `Refusal` instead.
"""

from msgspec import Struct


class Request(Struct, frozen=True, kw_only=True):
    """A wish. `by` says whose."""

    by: str = ""


class Hold(Request, frozen=True):
    """Do not start: these tickets, these agents, or (both empty) anything."""

    tickets: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


class Release(Request, frozen=True):
    """Undo a hold; an agent is also taken out of draining and quarantine."""

    tickets: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()


class Drain(Request, frozen=True):
    """Start nothing new, let running finish: on these agents, or (none named) in the session, which then ends."""

    agents: tuple[str, ...] = ()
    reason: str = ""


class Freeze(Request, frozen=True):
    """Stop the processes of these tickets; (none named) of all that run, and hold the session."""

    tickets: tuple[str, ...] = ()


class Thaw(Request, frozen=True):
    """Let frozen tickets go on; (none named) all of them, and release the session."""

    tickets: tuple[str, ...] = ()


class Cancel(Request, frozen=True):
    """These tickets shall not run, or not go on."""

    tickets: tuple[str, ...]


class Retry(Request, frozen=True):
    """Run these tickets again that ended without success."""

    tickets: tuple[str, ...]


class Stop(Request, frozen=True):
    """End what runs and leave; the session can be resumed."""

    now: bool = False
    reason: str = ""


AnyRequest = Hold | Release | Drain | Freeze | Thaw | Cancel | Retry | Stop


class Refusal(Struct, frozen=True):
    """No, and why; `remedy` is what would make it possible."""

    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.remedy})" if self.remedy else self.reason


class Report(Struct, frozen=True, gc=False):
    """What became of one attempt of a ticket."""

    ticket: str
    attempt: int


class ProcessStarted(Report, frozen=True, gc=False):
    pid: int
    birth: float


class ProcessEnded(Report, frozen=True, gc=False):
    """The process is gone and its exit is proved: by the exit record, or by the signal that killed its shell."""

    code: int | None = None
    signal: int | None = None
    problem: str = ""
    """Why the command could not be started, where it could not."""
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    """Bytes."""


class ProcessLost(Report, frozen=True, gc=False):
    """The process is gone, and nothing tells how it ended."""

    reason: str
    began: bool = True
    """False: it is proved that the command never began, so another try is free."""


class TimeoutElapsed(Report, frozen=True, gc=False):
    """The attempt used up the time-out of its ticket."""


class BackoffElapsed(Struct, frozen=True, gc=False):
    ticket: str


class AgentRested(Struct, frozen=True, gc=False):
    """The agent has been idle for so long that its type can do with one less."""

    agent: str


AnyReport = ProcessStarted | ProcessEnded | ProcessLost | TimeoutElapsed | BackoffElapsed | AgentRested
