"""How events get into the registry, with what is kept beside them for lists and reports."""

from collections.abc import Iterator, Sequence

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import codec
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.standing import counts_of, ended_of, fact_of


def _begun(state: SessionState, events: Sequence[ev.AnyEvent]) -> Iterator[tuple[str, int]]:
    """The tickets whose fingerprints do not hold any more, with the attempt after which there may be another one."""
    for event in events:
        if type(event) is ev.AttemptStarted or type(event) is ev.RollbackStarted:
            ticket = state.tickets.get(event.ticket)
            if ticket is not None and ticket.spec.is_asked_by_files:
                yield event.ticket, event.attempt if type(event) is ev.AttemptStarted else 0


class Journal:
    """The events of one session, as its one writer sees them."""

    def __init__(self, registry: Registry, session: str) -> None:
        self._registry = registry
        self._session = session
        self.last = registry.last_seq(session)
        """The number of the newest event that is remembered."""

    def append(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> list[bytes]:
        """Commit events, all or none, and return them encoded. `state`: after them. Raises RegistryError."""
        encode, kind_of = codec.encode, codec.kind_of
        entries = [
            (self.last + number, event.at, kind_of(event), encode(event)) for number, event in enumerate(events, 1)
        ]
        self._registry.append(
            self._session,
            entries,
            status=state.status,
            ended=ended_of(state),
            counts=counts_of(state),
            attempts=[
                fact_of(event) for event in events if type(event) is ev.AttemptEnded and not event.ended_before
            ],
            begun=list(_begun(state, events)),
        )
        self.last += len(entries)
        return [entry[3] for entry in entries]
