"""Makes the state of a session from its events."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
from msgspec import Struct

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.transitions import IllegalEventError
from parexec_tui.core.wire import codec
from parexec_tui.gc_control import gc_paused
from parexec_tui.registry.errors import LaterVersion, RegistryDamaged, RegistryError
from parexec_tui.registry.events import EventRow
from parexec_tui.registry.registry import Registry

M = TypeVar("M")


class Replay(Struct, frozen=True):
    """The state of a session after the event `last`; `fault` says why later events could not be used."""

    state: SessionState
    last: int
    fault: str = ""
    is_of_later_version: bool = False
    """The later events could not be used because a later version of parexec wrote them."""

    def check_version(self) -> None:
        """Before later events are set aside. Raises LaterVersion: for the version that wrote them, all is well."""
        if self.is_of_later_version:
            raise LaterVersion(f"{self.warning}; go on with that version")

    @property
    def warning(self) -> str:
        """What people should know; empty if all is well."""
        return f"events after number {self.last} cannot be read: {self.fault}" if self.fault else ""


Fold = Callable[[SessionState], Callable[[ev.AnyEvent], None]]
"""Gives what applies events to a state that has none yet. Each raises as `apply` does."""


def plain(state: SessionState) -> Callable[[ev.AnyEvent], None]:
    """Apply, and no more."""
    return partial(apply, state)


def replay(registry: Registry, session: str, *, until: int | None = None, fold: Fold = plain) -> Replay:
    """Fold the events of a session: all of them, or the first `until`. Every prefix of them makes a valid state.

    `fold`: for who wants to note more than the state; it is asked once more if an event cannot be applied. Raises
    RegistryError when not even the first event is there.
    """
    state = state_before(registry, session)
    last, fault, is_of_later_version = 0, "", False
    take = fold(state)
    try:
        for row in registry.events(session, limit=until):
            _take_row(take, row, registry, session)
            last = row.seq
    except RegistryDamaged as error:
        fault, is_of_later_version = str(error), isinstance(error, LaterVersion)
        if last:  # the event that cannot be read may have changed a part of the state
            state = replay(registry, session, until=last, fold=fold).state
    if not fault and until is None and (damage := registry.damage(session, last)):
        fault = damage.why
    if not state.session and fault:
        raise RegistryDamaged(
            f"not even the first event of session {session} can be read, so run its plan again: {fault}"
        )
    if not state.session:
        remedy = f"if its engine does not come up: parexec resume {session}"
        raise RegistryError(f"session {session} has no events yet; {remedy}")
    return Replay(state, last, fault, is_of_later_version)


def apply_row(state: SessionState, row: EventRow, registry: Registry, session: str) -> ev.AnyEvent:
    """Apply an event of a session. Raises RegistryDamaged, LaterVersion; the state is then of no more use."""
    return _take_row(partial(apply, state), row, registry, session)


def _take_row(take: Callable[[ev.AnyEvent], None], row: EventRow, registry: Registry, session: str) -> ev.AnyEvent:
    try:
        event = codec.decode_event(row.data)
        take(event)
    except codec.LaterVersionError as error:
        raise LaterVersion(str(error)) from error
    except (msgspec.MsgspecError, IllegalEventError) as error:
        raise RegistryDamaged(str(error)) from error
    except Exception as error:
        if registry.has_checksum(session, row.seq):
            raise
        # In an event of an early version, which has no checksum, anything may be wrong.
        raise RegistryDamaged(f"event {row.seq} is damaged: {type(error).__name__}: {error}") from error
    return event


def state_before(registry: Registry, session: str) -> SessionState:
    """The state of a session before its first event. Raises RegistryError."""
    return _from_plan(registry, session, SessionState)


def first_plan(registry: Registry, session: str) -> Plan:
    """The plan that a session began with. Raises RegistryError."""
    return _from_plan(registry, session, lambda plan: plan)


def _from_plan(registry: Registry, session: str, make: Callable[[Plan], M]) -> M:
    plan = registry.plan(session)
    try:
        with gc_paused():
            return make(codec.decode_plan(plan))
    except Exception as error:
        # Plans of early versions have no checksum: in a damaged one, anything may be wrong.
        text = f"the plan of {session} cannot be read: {type(error).__name__}: {error}"
        raise RegistryDamaged(text) from error
