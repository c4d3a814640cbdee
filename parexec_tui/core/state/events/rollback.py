"""What was kept of files, and what was taken back."""

from parexec_tui.core.state.events.attempts import AttemptEnded
from parexec_tui.core.state.events.event import Event


class SnapshotTaken(Event, frozen=True, tag="snapshot_taken"):
    """What the files of a ticket were before an attempt is kept, until it is dropped."""

    ticket: str
    attempt: int
    files: int
    size: int
    """Bytes of them."""


class SnapshotDropped(Event, frozen=True, tag="snapshot_dropped"):
    """What a snapshot kept cannot be restored any more: a newer attempt has another one, or it took too much room."""

    ticket: str
    attempt: int


class RollbackAsked(Event, frozen=True, tag="rollback_asked"):
    """A person wants what these tickets did taken back, one after another. Until that is done nothing is started."""

    tickets: tuple[str, ...]
    """In the order in which it happens: each before those that it needs."""
    by: str = ""
    rerun: bool = False
    """True: afterwards they run again."""


class RollbackStarted(Event, frozen=True, tag="rollback_started"):
    """What the newest attempt of a ticket did is being taken back. Remembered before there is a process."""

    ticket: str
    attempt: int
    step: str
    """The first one that does it; as in ProcessKey."""
    outcome: AttemptEnded | None = None
    """How the attempt ends when that is done; it may have ended before, and waited for approval. None: it has ended,
    and a person wants it taken back."""
    by: str = ""
    restored: tuple[str, ...] = ()
    """Tickets that were skipped because of it; they wait until it is done."""
    note: str = ""
    """What a person said who sent the ticket back; the next attempt gets it."""


class RollbackEnded(Event, frozen=True, tag="rollback_ended"):
    """What a person wanted taken back is."""

    reason: str = ""
    """Why the rest is not, if it is not."""
