"""Sessions that live as far as others can see, without a process: this one holds their locks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry


def plan_in(folder: Path, text: str, name: str = "plan.toml") -> Plan:
    folder.mkdir(parents=True, exist_ok=True)
    return read_plan(text, source=str(folder / name), folder=str(folder), format="toml")


def remember(plan: Plan, *events: ev.AnyEvent, status: str | None = None) -> str:
    """A session in the registry that no engine runs."""
    with Registry.open(registry_file()) as registry:
        session = registry.start_session(
            datetime.now().astimezone(),
            name=plan.settings.name,
            plan=codec.encode_plan(plan),
            source=plan.source,
            folder=lambda id_: str(session_folder(id_).path),
            workdir=plan.workdir,
            boot="",
            pid=0,
        )
        entries = [(seq, event.at, codec.kind_of(event), codec.encode(event)) for seq, event in enumerate(events, 1)]
        registry.append(session, entries, status=status)
    session_folder(session, create=True)
    return session


@contextmanager
def living(session: str) -> Iterator[str]:
    """Hold the lock of a session, as its engine would."""
    with SessionLock(session_folder(session).lock):
        yield session
