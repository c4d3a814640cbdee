"""A viewer's copy of a session: its plan, and the events so far folded by the same `apply` as in the engine.

Events come from the registry, from an engine, or from both; each is taken once, by its number.
"""

from collections.abc import Iterator
from typing import Self

from msgspec import MsgspecError

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.wire import codec
from parexec_tui.gc_control import gc_paused
from parexec_tui.paths import registry_file
from parexec_tui.registry.errors import RegistryDamaged, RegistryError
from parexec_tui.registry.events import EventRow
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import Fold, plain


class Mirror:
    """The state of a session after the events so far."""

    def __init__(self, session: str, plan: bytes, *, fold: Fold = plain) -> None:
        """`plan`: as in the registry; `fold`: for who wants to note more than the state. Raises MsgspecError."""
        self.session = session
        with gc_paused():
            self.state = SessionState(codec.decode_plan(plan))
        self._apply = fold(self.state)
        self.last = 0
        """The number of the last event in the state."""

    @classmethod
    def open(cls, session: str, *, fold: Fold = plain) -> Self:
        """The mirror of a session before its first event. Raises RegistryError."""
        with Registry.open(registry_file(), read_only=True) as registry:
            plan = registry.plan(session)
        try:
            return cls(session, plan, fold=fold)
        except Exception as error:  # a plan of an early version has no checksum: anything may be wrong in it
            raise RegistryDamaged(f"the plan of {session} cannot be read: {error}") from error

    def take(self, seq: int, data: bytes) -> ev.AnyEvent | None:
        """Apply one event; None if it was applied before. Raises RegistryError if it cannot follow the last one."""
        if seq <= self.last:
            return None
        if seq != self.last + 1:
            raise RegistryError(f"event {seq} of {self.session} came after event {self.last}")
        try:
            event = codec.decode_event(data)
            self._apply(event)
        except (MsgspecError, IllegalEventError) as error:
            raise RegistryError(f"events of {self.session} from {seq} on cannot be read: {error}") from error
        self.last = seq
        return event

    def news(self, until: int | None = None) -> Iterator[ev.AnyEvent]:
        """Apply the events of the registry that are new here; yields each one after that. Raises RegistryError, also
        where there are more events and the next one is damaged."""
        limit = None if until is None else max(0, until - self.last)
        with Registry.open(registry_file(), read_only=True) as registry:
            for row in registry.events(self.session, self.last, limit):
                if (event := self._take_row(row, registry)) is not None:
                    yield event
            if until is None and (damage := registry.damage(self.session, self.last)):
                raise self._damaged(damage.why)

    def _take_row(self, row: EventRow, registry: Registry) -> ev.AnyEvent | None:
        try:
            return self.take(row.seq, row.data)
        except RegistryError:
            raise
        except Exception as error:
            if registry.has_checksum(self.session, row.seq):
                raise
            # In an event of an early version, which has no checksum, anything may be wrong.
            raise self._damaged(f"{type(error).__name__}: {error}") from error

    def _damaged(self, why: str) -> RegistryDamaged:
        return RegistryDamaged(
            f"events of {self.session} from {self.last + 1} on cannot be read: {why}; "
            f"see those before: parexec show {self.session}"
        )

    @property
    def outcome(self) -> str:
        """How the session or its engine ended; empty while an engine is needed."""
        if self.state.finished_at is not None:
            return "finished"
        return self.state.left.reason if self.state.left is not None else ""
