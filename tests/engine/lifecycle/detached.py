"""Engines that outlive the command that started them, for tests: which process is which, and that none is left."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from parexec_tui.client.sessions import is_living
from parexec_tui.engine.lifecycle import guardian
from parexec_tui.paths import session_folder
from parexec_tui.registry.lock import is_owned
from tests.engine.engines import PAREXEC, exists, marked, own_environment, session, until, write_plan


def parexec(*arguments: str | Path, cwd: Path, code: int = 0) -> str:
    """Run a command to its end; what it printed, and what it complained of."""
    ran = subprocess.run(
        [*PAREXEC, *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.stdout + ran.stderr


def run_detached(folder: Path, plan: str, *options: str) -> str:
    """`parexec run --detach` of this plan; the session."""
    file = write_plan(folder, plan)
    said = parexec("run", file, "--detach", "--quiet", *options, cwd=folder)
    return said.strip()


def guardian_pid(session_id: str | None = None) -> int | None:
    """The guardian of a session, if it lives."""
    for process in processes_of(session_id or session()):
        if guardian.__file__ in process.info["cmdline"]:
            return int(process.pid)
    return None


def engine_pid(session_id: str | None = None, *, besides: int | None = None) -> int | None:
    """The engine of a session, once it owns it; `besides` is one that is known already."""
    folder = session_folder(session_id or session())
    if not is_owned(folder.lock):
        return None
    pid = int(folder.lock.read_text() or 0)
    return pid if pid != besides and exists(pid) else None


def the_engine(session_id: str | None = None, *, besides: int | None = None) -> int:
    """Wait for the engine of a session."""
    found = until(lambda: engine_pid(session_id, besides=besides), "an engine owns the session")
    assert found is not None
    return found


def the_guardian(session_id: str | None = None) -> int:
    found = until(lambda: guardian_pid(session_id), "a guardian is there")
    assert found is not None
    return found


def processes_of(session_id: str) -> list[psutil.Process]:
    """The engines and guardians of this session: with it among their arguments, which are in `info`."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and session_id in (process.info["cmdline"] or ())
        and own_environment(process.pid)
    ]


def kill(*pids: int) -> None:
    """kill -9, and wait until they are gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(exists, pids)), "they are gone")


def all_gone(session_id: str | None = None) -> bool:
    """Whether no engine, guardian or attempt of the session is left, nor a lock of one that exits."""
    id_ = session_id or session()
    return not processes_of(id_) and not list(marked()) and not is_living(id_)


def stop_everything(session_id: str) -> None:
    """kill -9 of all that is left of a session: the guardian first, which would start another engine."""
    while (pid := guardian_pid(session_id)) is not None:
        kill(pid)
    kill(*(process.pid for process in processes_of(session_id)), *(process.pid for process in marked()))


def engine_log(session_id: str | None = None) -> str:
    return session_folder(session_id or session()).engine_log.read_text(encoding="utf-8")


def sick_python(folder: Path, code: str) -> str:
    """A PYTHONPATH that has every engine run some code before it begins. Guardians take no notice of it."""
    place = folder / "sick"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(
        f"import os, sys, time\nif 'parexec_tui.engine' in sys.orig_argv:\n    {code}\n", encoding="utf-8"
    )
    return str(place)
