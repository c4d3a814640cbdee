"""Sessions that are over, with what they left on the disk."""

from pathlib import Path

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import codec
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.paths import registry_file, session_folder
from parexec_tui.registry.attempts import AttemptFact
from parexec_tui.registry.registry import Registry
from tests.registry.registries import AT, NOW

TEXT = '[plan]\nname = "Nightly"\n[tickets.a]\nrun = "true"\n'
DAY = 86400.0


def remember(
    folder: Path, days: float = 0.0, *, status: str = "finished", text: str = TEXT, name: str = "plan.toml"
) -> str:
    """A session that ended so many days ago, seen from AT + 1000 days, with one attempt and its files."""
    source = folder / name
    plan = read_plan(text, source=str(source), folder=str(folder), format="toml")
    ended = AT + (1000 - days) * DAY
    with Registry.open(registry_file()) as registry:
        session = registry.start_session(
            NOW,
            name=plan.settings.name,
            plan=codec.encode_plan(plan),
            source=str(source),
            folder=lambda id_: str(session_folder(id_).path),
            workdir=plan.workdir,
            boot=boot_id(),
            pid=1,
        )
        opened = ev.SessionOpened(session, plan.settings.name, 1, 1, 1.0, 2**30, at=AT)
        data = codec.encode(opened)
        registry.append(
            session,
            [(1, AT, "session_opened", data)],
            status=status,
            ended=ended,
            attempts=[AttemptFact("a", 1, "agent-1", AT, AT + 5, "succeeded", log="a.1.log")],
        )
    attempts = session_folder(session, create=True).attempts
    (attempts / "a.1.log").write_text("done\n")
    (attempts / "a.1.exit").write_text("0\n")
    return session


LATER = AT + 1000 * DAY
