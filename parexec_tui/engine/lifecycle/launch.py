"""Start an engine that outlives its starter: add the session, start the guardian, wait until the engine is ready.

No trio here: the command line starts an engine without becoming one.
"""

import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
from msgspec import structs

from parexec_tui.client.sockets import own_signature
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.state.events import Neighbour
from parexec_tui.core.wire import codec
from parexec_tui.engine.backends.boot import boot_id
from parexec_tui.engine.errors import EngineFailedError
from parexec_tui.engine.lifecycle import guardian
from parexec_tui.engine.lifecycle.admission import StartLock, admit, admit_again
from parexec_tui.gc_control import gc_paused
from parexec_tui.paths import SessionFolder, registry_file, session_folder
from parexec_tui.registry.errors import SessionOwned
from parexec_tui.registry.lock import SessionLock
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import ENDED
from parexec_tui.settings import SettingsError, read_settings
from parexec_tui.tracing.endpoint import lack_for

READY_WITHIN = 60.0
"""Seconds that an engine has to say that it is ready; a plan of 100,000 tickets takes a few."""

_GUARDIAN_LEAVES = 5.0
"""Seconds that a guardian gets to end after its engine said that it cannot start."""

_TAIL = 20
"""Lines of engine.log that are shown when the engine is not ready in time."""

_SCOPE = ("systemd-run", "--user", "--scope", "--quiet", "--collect", "--property=Delegate=yes")


def with_settings(plan: Plan) -> Plan:
    """The plan, with what the settings of the person say about pressure and OpenTelemetry; those that cannot be read
    say nothing."""
    with suppress(SettingsError):  # the engine says so when it reads the hooks
        settings = read_settings()
        return structs.replace(plan, own_pressure=settings.pressure, own_otel=settings.otel)
    return plan


def new_session(plan: Plan, *, force: bool = False) -> str:
    """Remember a new session of this plan, which no engine runs yet, and return its id. Raises RegistryError.

    `force`: let its tickets run even if they are up to date.
    """
    with Registry.open(registry_file()) as registry:
        if force:
            asked = [id_ for id_, ticket in plan.tickets.items() if ticket.is_asked_by_files]
            registry.forget_fingerprints(plan.source, asked)
        with gc_paused():
            stored = codec.encode_plan(plan)
        return registry.start_session(
            datetime.now().astimezone(),
            name=plan.settings.name,
            plan=stored,
            source=plan.source,
            folder=lambda id_: str(session_folder(id_).path),
            workdir=plan.workdir,
            boot=boot_id(),
            pid=0,
        )


def start_detached(
    plan: Plan,
    *,
    hold: bool = False,
    fail_fast: bool | None = None,
    beside: bool = False,
    force: bool = False,
    scope: bool = False,
    meanwhile: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> str:
    """Open a session for this plan with an engine of its own; returns the session's id once that engine is ready.

    `fail_fast`: see `EngineOptions`. `beside`: though neighbours live. `force`: see `new_session`. `scope`: in a
    transient scope of the user's systemd. `meanwhile` is called with the id while the engine starts. `warn`: see
    `admit`.
    Raises NeighboursLive, EngineFailedError, RegistryError, OSError.
    """
    prefix = _scope() if scope else ()
    plan = with_settings(plan)
    if lack := lack_for(plan.telemetry):
        warn(lack)
    with StartLock():
        neighbours = admit(plan, beside=beside, warn=warn)
        session = new_session(plan, force=force)
        try:
            folder, lock = _claim(session)
        except BaseException:
            _never_started(session)
            raise
    options = ["--hold"] * hold + _fail_fast(fail_fast) + _beside(neighbours, warn) + ["--by", own_signature()]
    try:
        _start_guardian(session, folder, lock, options, prefix, lambda: meanwhile(session))
    except BaseException:
        _never_started(session)
        raise
    return session


def take_over(
    session: str,
    *,
    resume: bool = False,
    retry_failed: bool = False,
    fail_fast: bool | None = None,
    budget: str = "",
    awaits: bool = False,
    beside: bool = False,
    scope: bool = False,
    meanwhile: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> None:
    """Give a session whose engine and guardian are gone new ones; returns once the engine is ready.

    `resume`: the holds and drains of the session are over. `awaits`: if it is finished, the engine waits a while for
    a request that takes it up again. Raises SessionOwned, and as `start_detached` does.
    """
    options = ["--resume"] * resume + ["--retry-failed"] * retry_failed + ["--awaits"] * awaits
    options += [*_fail_fast(fail_fast), "--by", own_signature(), *(["--budget", budget] if budget else ())]
    prefix = _scope() if scope else ()
    with StartLock() as starting:
        _check_free(session)  # before its neighbours, who are of no interest if it runs already
        neighbours = admit_again(session, beside=beside, warn=warn)
        folder, lock = _claim(session)
        if not has_ended(session):
            starting.release()  # else it cannot be seen yet that it goes on
        options += _beside(neighbours, warn)
        _start_guardian(session, folder, lock, options, prefix, lambda: meanwhile(session))


def has_ended(session: str) -> bool:
    """Whether the last engine of a session left it in good order. Raises RegistryError."""
    with Registry.open(registry_file(), read_only=True) as registry:
        return registry.session(session).status in ENDED


def _beside(neighbours: Sequence[Neighbour], warn: Callable[[str], None]) -> list[str]:
    """The option of an engine that says beside whom it is started; the person is told, too."""
    for each in neighbours:
        warn(f"{each.session} lives and claims the same: {each.conflict}")
    return ["--beside", msgspec.json.encode(neighbours).decode()] if neighbours else []


def _fail_fast(wanted: bool | None) -> list[str]:
    return [] if wanted is None else ["--fail-fast" if wanted else "--no-fail-fast"]


def _scope() -> Sequence[str]:
    """The command that starts another in a scope of its own. Raises EngineFailedError where there is none."""
    if shutil.which(_SCOPE[0]) is None:
        raise EngineFailedError("--scope needs systemd-run, which is not found on this machine: leave --scope out")
    tried = subprocess.run([*_SCOPE, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        said = tried.stderr.strip() or f"exit code {tried.returncode}"
        raise EngineFailedError(
            f"--scope: the systemd of this user does not start scopes: {said}\n"
            "leave --scope out, or see what `parexec doctor` says about logging out"
        )
    return _SCOPE


def _check_free(session: str) -> SessionFolder:
    """Make sure that nobody runs this session; returns its folder. Raises SessionOwned, OSError."""
    folder = session_folder(session, create=True)
    with SessionLock(folder.lock):
        pass  # nobody owns it now; if somebody is faster than our engine will be, that engine says so
    return folder


def _claim(session: str) -> tuple[SessionFolder, int]:
    """As `_check_free`, and a descriptor with the lock of its guardian: from now on the session counts as living."""
    folder = _check_free(session)
    return folder, take_guardian_lock(folder)


def _start_guardian(
    session: str,
    folder: SessionFolder,
    lock: int,
    options: Sequence[str],
    prefix: Sequence[str],
    meanwhile: Callable[[], None],
) -> None:
    """Start a guardian, which inherits `lock`, and wait until its engine is ready."""
    ready, engine_end = os.pipe()
    try:
        log = os.open(folder.engine_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        began = os.fstat(log).st_size
        command = [
            *prefix, sys.executable, "-I", "-S", guardian.__file__,
            sys.executable, str(engine_end), str(lock), session, *options,
        ]  # fmt: skip
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(engine_end, lock),
            start_new_session=True,
            cwd="/",  # so that other file systems can be unmounted; all folders are given as absolute paths
        )
        os.close(log)
    finally:
        os.close(lock)
        os.close(engine_end)
    try:
        meanwhile()
        _wait_until_ready(ready, process, folder, began)
    finally:
        os.close(ready)
        process.returncode = process.poll() or 0  # it is not ours to wait for: no complaint when we forget it


def take_guardian_lock(folder: SessionFolder) -> int:
    """A descriptor with the flock that says a guardian lives. The guardian inherits it."""
    fd = os.open(folder.guardian_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise SessionOwned(folder.guardian_lock, None) from None
    return fd


def _wait_until_ready(ready: int, process: "subprocess.Popen[bytes]", folder: SessionFolder, began: int) -> None:
    """Wait for the one line that the engine says. Raises EngineFailedError."""
    said, give_up = b"", time.monotonic() + READY_WITHIN
    while b"\n" not in said:
        left = give_up - time.monotonic()
        if left <= 0 or not select.select([ready], [], [], left)[0]:
            # Engine and guardian are one process group; the attempts are in others.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise EngineFailedError(f"the engine was not ready within {READY_WITHIN:g}s\n{_tail(folder, began)}")
        if not (chunk := os.read(ready, 4096)):
            raise EngineFailedError(f"the engine did not come up\n{_tail(folder, began)}")
        said += chunk
    line = said.decode(errors="replace").splitlines()[0]
    if line != "ready":
        with suppress(subprocess.TimeoutExpired):  # it may wait for a disk, to say how the session ended
            process.wait(_GUARDIAN_LEAVES)
        raise EngineFailedError(f"{line.removeprefix('error: ')}\n(see {folder.engine_log})")


def _tail(folder: SessionFolder, began: int) -> str:
    """What engine.log says since it had `began` bytes."""
    try:
        text = folder.engine_log.read_bytes()[began:].decode(errors="replace")
    except OSError as error:
        return f"and {folder.engine_log} cannot be read: {error.strerror}"
    lines = "".join(f"\n  {line}" for line in text.splitlines()[-_TAIL:])
    return f"the end of {folder.engine_log}:{lines or ' it is empty'}"


def _never_started(session: str) -> None:
    """Note that a session has no engine because none could be started."""
    with suppress(Exception), Registry.open(registry_file()) as registry:
        if not registry.last_seq(session):
            registry.append(session, (), status="not started", ended=time.time())
