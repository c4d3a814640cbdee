"""Real engines for tests: `parexec run` and `resume` as processes, or resumed here; and what they left behind."""

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, TypeVar

import psutil

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire import codec
from parexec_tui.engine.backends.local.cookie import COOKIE
from parexec_tui.engine.session import Result, resume_session
from parexec_tui.engine.sinks import EventSink
from parexec_tui.paths import registry_file, session_folder, state_home
from parexec_tui.registry.errors import RegistryMissing
from parexec_tui.registry.lock import is_owned
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.replay import replay

PAREXEC = (sys.executable, "-c", "from parexec_tui.cli import main; main()")

PYTHON = shlex.quote(sys.executable)
"""This Python, for a shell command."""

WITHIN = 60.0
"""Seconds that a wait may take: far more than it takes, as other programs may need the machine as well."""

T = TypeVar("T")
Event = TypeVar("Event", bound=ev.Event)


def until(condition: Callable[[], T], what: str, within: float = WITHIN) -> T:
    """Wait until the condition is true, and return what it returned."""
    give_up = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < give_up, f"waited {within:g}s in vain: {what}"
        time.sleep(0.01)
    return found


class Engine:
    """A `parexec run` or `resume`, in the folder of its plan."""

    running: ClassVar[list["Engine"]] = []
    """Those of this test, to be ended after it."""

    def __init__(
        self, *arguments: str | Path, cwd: Path, stdout: int | None = None, through: Sequence[str] = ()
    ) -> None:
        """`through`: a command, with the engine's command to be put behind it."""
        self.output = cwd / "output.txt"
        with self.output.open("ab") as file:
            self.process = subprocess.Popen(
                [*through, *PAREXEC, *map(str, arguments), "--headless"],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=file if stdout is None else stdout,
                stderr=file,
                start_new_session=True,
            )
        self.running.append(self)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WITHIN)

    def until(self, condition: Callable[[], T], what: str, within: float = WITHIN) -> T:
        """Wait until the condition is true while the engine runs, and return what it returned."""

        def check() -> T:
            found = condition()
            assert found or self.process.poll() is None, f"the engine ended before {what}:\n{self.text()}"
            return found

        return until(check, what, within)

    def wait(self, within: float = WITHIN) -> int:
        """Its exit code."""
        return self.process.wait(within)

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")


def write_plan(folder: Path, text: str, name: str = "plan.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def start(folder: Path, plan: str, *options: str) -> Engine:
    """`parexec run` of this plan in this folder."""
    return Engine("run", write_plan(folder, plan), *options, cwd=folder)


def run(folder: Path, plan: str, *options: str) -> tuple[int, SessionState]:
    """Run a plan to the end: its exit code, and the state that its journal tells."""
    engine = start(folder, plan, *options)
    code = engine.wait()
    assert "Traceback" not in engine.text(), engine.text()
    return code, state_of(session())


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[ev.AnyEvent] = []
        self.notices: list[str] = []
        self.sink = EventSink(lambda _, events: self.events.extend(events), self.notices.append)


def resume(session_id: str | None = None, *, retry_failed: bool = False) -> tuple[Result, Heard]:
    """Resume a session in this process, to its end."""
    heard = Heard()
    return resume_session(session_id or session(), heard.sink, retry_failed=retry_failed), heard


def stands_still(pid: int) -> bool:
    """Whether a process is frozen: by a signal, or with its cgroup. A shell whose child was stopped between vfork and
    exec waits for that, in state D."""
    if psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_DISK_SLEEP):
        return True
    groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    own = next((line.removeprefix("0::") for line in groups if line.startswith("0::")), "")
    events = [Path(f"/sys/fs/cgroup{top}{own}/cgroup.events") for top in ("", "/unified")]
    return any(file.exists() and "frozen 1" in file.read_text(encoding="ascii") for file in events)


# -- what is remembered ----------------------------------------------------------------------------------------


def sessions() -> list[str]:
    with suppress(RegistryMissing), Registry.open(registry_file(), read_only=True) as registry:
        return [row.session for row in registry.sessions()]
    return []


def session() -> str:
    """The newest session."""
    return until(sessions, "a session was started")[0]


def journal(session_id: str | None = None) -> list[ev.AnyEvent]:
    with Registry.open(registry_file(), read_only=True) as registry:
        return [codec.decode_event(row.data) for row in registry.events(session_id or session())]


def state_of(session_id: str | None = None) -> SessionState:
    with Registry.open(registry_file(), read_only=True) as registry:
        past = replay(registry, session_id or session())
    assert not past.fault
    return past.state


def ticket(id_: str) -> TicketState:
    return state_of().tickets[id_]


def pid_of(id_: str) -> int | None:
    """The process of the live or last attempt of a ticket."""
    attempt = ticket(id_).attempt
    return attempt.pid if attempt is not None else None


def code_of(id_: str) -> int | None:
    """What the last attempt of a ticket exited with."""
    attempt = ticket(id_).attempt
    return attempt.code if attempt is not None else None


def happened(kind: type[Event], **fields: object) -> list[Event]:
    """The events of the newest session that are of this kind and have these fields."""
    if not sessions():
        return []
    return [
        event
        for event in journal()
        if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
    ]


def append(*events: ev.AnyEvent) -> None:
    """Remember events, as an engine does just before it dies."""
    with Registry.open(registry_file()) as registry:
        last = registry.last_seq(session())
        rows = [(last + n, e.at, codec.kind_of(e), codec.encode(e)) for n, e in enumerate(events, 1)]
        registry.append(session(), rows)


def attempts_folder() -> Path:
    return session_folder(session()).attempts


def log_of(name: str) -> str:
    """The output of an attempt, named `TICKET.NUMBER`; empty if there is none."""
    file = attempts_folder() / f"{name}.log"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def is_running() -> bool:
    """Whether an engine owns the newest session."""
    return is_owned(session_folder(session()).lock)


# -- processes -------------------------------------------------------------------------------------------------


def marked(text: str = "") -> Iterator[psutil.Process]:
    """The processes of this test's sessions that carry a mark with this text in it, zombies left out."""
    for pid in psutil.pids():
        environment = own_environment(pid)
        cookie = next((word for word in environment if word.startswith(f"{COOKIE}=".encode())), b"")
        if cookie and text.encode() in cookie:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    yield process


def own_environment(pid: int) -> list[bytes]:
    """The environment of a process that has the state folder of this test; empty for any other. Ids of sessions and
    marks are not enough to know what is ours: another test may have started a session in the same second.
    """
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
    return environment if f"XDG_STATE_HOME={state_home().parent}".encode() in environment else []


def exists(pid: int) -> bool:
    """Whether a process is there and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def number_in(file: Path) -> int:
    """Wait for a whole line in a file, and return the number in it."""
    until(lambda: file.exists() and file.read_text().endswith("\n"), f"a number in {file.name}")
    return int(file.read_text())
