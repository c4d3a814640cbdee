"""`doctor`: what on this machine may get in the way of long runs, and what to do. Each check tries it for real."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
from msgspec import Struct

from parexec_tui.cli.coding_clis import clis_in_path, clis_of, look_at
from parexec_tui.cli.coding_words import told_of
from parexec_tui.client.peer import signature
from parexec_tui.client.silence import listen
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_count, format_size
from parexec_tui.paths import SessionFolder, registry_file, session_folder, socket_file, state_home
from parexec_tui.registry.errors import RegistryError, RegistryMissing
from parexec_tui.registry.lock import has_guardian, is_owned, lost_guardian
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import ENDED
from parexec_tui.settings import SettingsError, read_settings, settings_file
from parexec_tui.trust import UntrustedError, check_file, check_folder

LOW_DISK = 1 << 30
"""Free bytes that a plan wants unless it says otherwise."""

_COUNT_WITHIN = 10.0
"""Seconds for counting what is on the disk."""

_OWN_FILES, _FILES_EACH = 300, 2
"""Descriptors of the engine with its viewers, and for each attempt."""
_OWN_PROCESSES, _PROCESSES_EACH = 30, 8
"""Processes and threads of the engine and its guardian, and a guess for each attempt."""

_FAR = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs"}
"""File systems of other machines, where SQLite's write-ahead log and flock cannot be relied on."""


class Finding(Struct, frozen=True):
    """What one check found."""

    check: str
    fine: bool
    text: str
    remedy: str = ""
    """What to do; empty if nothing is to be done."""


class Machine:
    """Access to the machine. Tests replace it."""

    root = Path("/")

    def output(self, *command: str) -> str | None:
        """What a command prints; None if it is missing or fails."""
        try:
            ran = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return ran.stdout.strip()

    def text(self, file: str) -> str | None:
        """What is in a file; None if it cannot be read."""
        try:
            return (self.root / file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None


def examine(host: Host, plan: Plan | None = None, machine: Machine | None = None) -> Iterator[Finding]:
    """Every check, in the order in which people should read them. `plan`: what is to run here, if known."""
    machine = machine or Machine()
    at_once = max(1, int(host.cpus)) if plan is None else plan.parallel
    parallel = at_once if isinstance(at_once, int) else max(1, int(host.cpus))
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: logout(machine, signature("")),
        state_folder,
        owners,
        lambda: journal(machine),
        socket_path,
        kernel,
        lambda: cgroups(machine),
        lambda: plan_limits(machine),
        lambda: limits(host),
        lambda: room_for(parallel, machine),
        lambda: coding_clis(plan),
        lambda: other_machines(plan),
        lambda: locale(dict(os.environ)),
        registry,
        disk_use,
        sessions,
    )
    for check in checks:
        yield from check()


# -- logging out -----------------------------------------------------------------------------------------------


def logout(machine: Machine, user: str) -> Iterator[Finding]:
    """What happens to an engine when its user logs out."""
    if not (machine.root / "run/systemd/system").is_dir():
        yield Finding("logout", True, "no systemd runs here, so logging out ends nothing that parexec started")
        return
    settings = logind_settings(machine)
    if not _kills(settings, user):
        yield Finding("logout", True, "systemd leaves your processes alone when you log out (KillUserProcesses=no)")
    elif _lingers(machine, user):
        yield Finding(
            "logout",
            False,
            "logging out ends what you started (KillUserProcesses=yes), but not what is in a scope of your own: "
            "lingering is on",
            "start plans with: parexec run --scope",
        )
    else:
        yield Finding(
            "logout",
            False,
            "logging out ends what you started, engines included (KillUserProcesses=yes)",
            "once: loginctl enable-linger; then start plans with: parexec run --scope",
        )


def logind_settings(machine: Machine) -> dict[str, str]:
    """The settings of systemd-logind: the main file, then what stands in the folders beside it. The last counts."""
    folders = ("usr/lib/systemd", "usr/local/lib/systemd", "run/systemd", "etc/systemd")
    main = next((folder for folder in reversed(folders) if machine.text(f"{folder}/logind.conf") is not None), None)
    texts = [machine.text(f"{main}/logind.conf") or ""] if main else []
    more = {
        file.name: file for folder in folders for file in (machine.root / folder / "logind.conf.d").glob("*.conf")
    }
    texts += [machine.text(str(more[name].relative_to(machine.root))) or "" for name in sorted(more)]
    lines = (line.strip() for text in texts for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if "=" in line and line[0] not in "#;")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _kills(settings: dict[str, str], user: str) -> bool:
    if settings.get("KillUserProcesses", "no").lower() not in ("yes", "true", "on", "1"):
        return False
    only, spared = settings.get("KillOnlyUsers", "").split(), settings.get("KillExcludeUsers", "root").split()
    return user not in spared and (not only or user in only)


def _lingers(machine: Machine, user: str) -> bool:
    said = machine.output("loginctl", "show-user", user, "--property=Linger", "--value")
    return said == "yes" if said else (machine.root / "var/lib/systemd/linger" / user).exists()


# -- the state folder ------------------------------------------------------------------------------------------

_ELSEWHERE = "set XDG_STATE_HOME to a folder on a local disk that is yours"


def state_folder() -> Iterator[Finding]:
    """Whether state can be written, and for how long."""
    home = state_home()
    try:
        state_home(create=True)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"can be written")
    except UntrustedError as error:
        yield Finding("state folder", False, error.why, error.remedy or _ELSEWHERE)
        return
    except OSError as error:
        yield Finding("state folder", False, f"{home} cannot be written: {error.strerror}", _ELSEWHERE)
        return
    disk = shutil.disk_usage(home)
    free = disk.free
    if not disk.total:
        yield Finding("state folder", True, f"{home} can be written; its file system does not say how much is free")
    elif free < LOW_DISK:
        text = f"only {format_size(free)} are free for {home}: plans start nothing below their min_free_disk"
        yield Finding("state folder", False, text, "make room, or set a lower min_free_disk in the plan")
    else:
        yield Finding("state folder", True, f"{home} can be written, {format_size(free)} free")


def owners() -> Iterator[Finding]:
    """Whether others could have written what is trusted: settings, themes, sessions. The state folder is looked at
    by `state_folder`."""
    settings = settings_file()
    checks: list[Callable[[], None]] = [partial(check_file, settings), partial(check_folder, registry_file())]
    checks += [partial(check_file, file) for file in sorted(settings.parent.glob("themes/*.toml"))]
    with suppress(OSError):
        folders = sorted((state_home() / "sessions").iterdir())
        checks += [SessionFolder(folder).check for folder in folders if folder.is_dir()]
    is_fine = True
    for check in checks:
        try:
            check()
        except UntrustedError as error:
            is_fine = False
            yield Finding("owners", False, error.why, error.remedy)
        except OSError as error:
            is_fine = False
            yield Finding("owners", False, str(error))
    if is_fine:
        yield Finding("owners", True, "nobody else can write to what parexec trusts")


def journal(machine: Machine) -> Iterator[Finding]:
    """Whether the registry's file may live here: SQLite with a write-ahead log, and flock."""
    home = state_home()
    kind = file_system(home, machine.text("proc/self/mounts") or "")
    if kind.removeprefix("fuse.") in _FAR or kind == "fuse.sshfs":
        text = f"{home} is on a network file system ({kind}), where a journal can be damaged"
        yield Finding("journal", False, text, _ELSEWHERE)
        return
    try:
        _try_journal(home)
    except (OSError, sqlite3.Error, RuntimeError) as error:
        yield Finding("journal", False, f"SQLite does not work in {home}: {error}", _ELSEWHERE)
    else:
        on = f" ({kind})" if kind else ""
        yield Finding("journal", True, f"SQLite keeps a write-ahead log in {home}{on}")


def _try_journal(home: Path) -> None:
    with tempfile.TemporaryDirectory(dir=home) as folder:
        writer, reader = (sqlite3.connect(Path(folder, "try.db")) for _ in range(2))
        try:
            (mode,) = writer.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise RuntimeError(f"it uses {mode} in place of a write-ahead log")
            writer.execute("CREATE TABLE tried (number)")
            writer.execute("INSERT INTO tried VALUES (1)")
            writer.commit()
            if reader.execute("SELECT number FROM tried").fetchall() != [(1,)]:
                raise RuntimeError("a second reader does not see what was written")
        finally:
            writer.close()
            reader.close()


def file_system(folder: Path, mounts: str) -> str:
    """The type of the file system of a folder, from a table like /proc/self/mounts; empty if not known."""
    found, where = "", ""
    for line in mounts.splitlines():
        _, at, kind, *_ = line.split(" ")
        at = at.encode().decode("unicode_escape")  # a blank is written as \040
        if len(at) >= len(where) and folder.is_relative_to(at):
            found, where = kind, at
    return found


def socket_path() -> Iterator[Finding]:
    """Whether viewers will be able to reach an engine."""
    session = f"doctor_{os.getpid():014}_2"  # as long as they are
    try:
        path = socket_file(session)
        shutil.rmtree(session_folder(session).path, ignore_errors=True)
    except OSError as error:
        yield Finding("socket", False, f"there is no place for an engine's socket: {error}", "set XDG_RUNTIME_DIR")
    else:
        text = f"sockets of engines go to {path.parent}, {len(bytes(path))} bytes with their name"
        yield Finding("socket", True, text)


# -- the host --------------------------------------------------------------------------------------------------


def kernel() -> Iterator[Finding]:
    """What the kernel offers for watching processes."""
    if not sys.platform.startswith("linux"):
        yield Finding("processes", True, "no /proc and no pidfd on this system: a thread waits for each process")
        return
    if not Path("/proc/self/environ").exists():
        text = "/proc is not mounted: processes that leave their group cannot be found again"
        yield Finding("processes", False, text, "mount /proc")
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        yield Finding("processes", False, "the kernel has no pidfd (Linux 5.3 has)", "update, or allow pidfd_open")
    else:
        yield Finding("processes", True, "/proc and pidfd are there")


def cgroups(machine: Machine) -> Iterator[Finding]:
    """Whether attempts can have cgroups of their own."""
    from parexec_tui.engine.backends.local.cgroup import own_cgroup

    folder = own_cgroup(machine.root)
    if folder is None:
        text = (
            "none of version 2 can be made here: what hides every sign ends with the last attempt that it may be of"
        )
    else:
        text = f"each attempt can have its own in {folder}"
    yield Finding("cgroups", True, text)


def plan_limits(machine: Machine) -> Iterator[Finding]:
    """How the `limits` of a plan can be kept."""
    from parexec_tui.engine.backends.local.controllers import find_controllers
    from parexec_tui.engine.backends.local.kept_limits import REMEDY, how_kept

    kept = how_kept(find_controllers(machine.root))
    by = [f"{name} {how}" for name, how in kept.items() if how]
    missing = [name for name, how in kept.items() if not how]
    text = f"of what a plan limits, {listed(missing)} cannot be kept here; the rest: " if missing else ""
    yield Finding("limits of plans", True, text + "; ".join(by), REMEDY if missing else "")


def limits(host: Host) -> Iterator[Finding]:
    """How much CPU and memory there is, and how much of it we may use."""
    cpus, memory = os.cpu_count() or 1, int(psutil.virtual_memory().total)
    seen = [f"{host.cpus:g} of {cpus} CPUs" if host.cpus < cpus else f"{cpus} CPUs"]
    both = f"{format_size(host.memory)} of {format_size(memory)}" if host.memory < memory else format_size(memory)
    limited = host.cpus < cpus or host.memory < memory
    text = f"{', '.join(seen)} and {both} of memory{', by the limits of the cgroup or affinity' if limited else ''}"
    yield Finding("cpu and memory", True, text)


def room_for(parallel: int, machine: Machine) -> Iterator[Finding]:
    """Whether the limits on files and processes leave room for so many attempts at once."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)  # an engine raises the soft limit itself
    wanted = _OWN_FILES + _FILES_EACH * parallel
    if _is_less(files, wanted):
        text = f"{files} open files are allowed, {parallel} tickets at once may need {wanted}"
        remedy = f"ask for a higher limit (nofile in limits.conf), or set parallel below {parallel}"
        yield Finding("open files", False, text, remedy)
    else:
        yield Finding("open files", True, f"{_shown(files)} allowed, enough for {parallel} tickets at once")
    yield from _processes(parallel, machine)


def _processes(parallel: int, machine: Machine) -> Iterator[Finding]:
    from parexec_tui.engine.backends.local.rlimits import threads_of_user

    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    wanted = _OWN_PROCESSES + _PROCESSES_EACH * parallel
    is_free = most == resource.RLIM_INFINITY or os.getuid() == 0
    left = resource.RLIM_INFINITY if is_free else most - threads_of_user()
    if (in_cgroup := _left_in_cgroup(machine)) is not None and _is_less(in_cgroup, left):
        left = in_cgroup
    if _is_less(left, wanted):
        text = f"{max(0, left)} more processes are allowed, {parallel} tickets at once may need {wanted}"
        yield Finding("processes at once", False, text, f"ulimit -u higher, or set parallel below {parallel}")
    else:
        text = f"{_shown(left)} more allowed, enough for {parallel} tickets at once"
        yield Finding("processes at once", True, text)


def _left_in_cgroup(machine: Machine) -> int | None:
    own = (machine.text("proc/self/cgroup") or "").rpartition("::")[2].strip()
    most, now = (machine.text(f"sys/fs/cgroup{own}/pids.{name}") or "" for name in ("max", "current"))
    return int(most) - int(now) if most.strip().isdigit() and now.strip().isdigit() else None


def _is_less(limit: int, wanted: int) -> bool:
    return limit != resource.RLIM_INFINITY and (wanted == resource.RLIM_INFINITY or limit < wanted)


def _shown(limit: int) -> str:
    return "any number" if limit == resource.RLIM_INFINITY else str(limit)


def coding_clis(plan: Plan | None) -> Iterator[Finding]:
    """The coding CLIs that a plan names; without one, those that are in PATH."""
    clis = clis_in_path() if plan is None else clis_of(plan)
    for found in look_at(clis, wants_login=True):
        text, remedy = told_of(found)
        yield Finding("coding agents", not remedy, text, remedy)


def other_machines(plan: Plan | None) -> Iterator[Finding]:
    """The hosts of a plan and of the settings; of none, nothing is said, and nothing is imported."""
    with suppress(SettingsError):  # others say it
        known = read_settings().hosts
        if wanted := known if plan is None else known | plan.hosts:
            from parexec_tui.cli.host_words import told_of
            from parexec_tui.engine.backends.remote.look import look_at

            for look in look_at(wanted, "" if plan is None else plan.workdir):
                yield from (Finding("hosts", told.is_fine, told.text, told.remedy) for told in told_of(look))


def locale(environment: dict[str, str]) -> Iterator[Finding]:
    """Whether signs beyond ASCII can be shown."""
    name = next((environment[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(key)), "C")
    if "utf8" in name.lower().replace("-", ""):
        yield Finding("locale", True, f"{name} can show every sign")
    else:
        text = f"the locale is {name}, so signs are shown in ASCII"
        yield Finding("locale", False, text, "export LANG=C.UTF-8, if your terminal shows UTF-8")


# -- sessions --------------------------------------------------------------------------------------------------


def registry() -> Iterator[Finding]:
    """Whether all that is remembered can be read, and what could be saved of it if not."""
    from parexec_tui.registry.repair import check, survey, unknown_sessions
    from parexec_tui.text.salvaged import all_is_there, what_is_there

    file = registry_file()
    try:
        checked = check(file)
        if not checked.damage:
            yield Finding("registry", True, all_is_there(checked))
            with Registry.open(file, read_only=True) as opened:
                unknown = unknown_sessions(file, {row.session for row in opened.sessions()})
            if unknown:
                text = f"folders of sessions that the registry does not know: {listed(unknown, limit=5)}"
                yield Finding("registry", False, text, f"remove them if you need no logs: {file.parent / 'sessions'}")
            return
        yield Finding("registry", False, checked.damage, "parexec doctor --repair; see parexec help running")
        for found in survey(file):
            yield Finding("session", found.is_whole, what_is_there(found))
    except RegistryMissing:
        return
    except (RegistryError, OSError) as error:
        yield Finding("registry", False, str(error))


def disk_use() -> Iterator[Finding]:
    """What is remembered takes on the disk, and what pruning would free."""
    from parexec_tui.keeping.sizes import by_kind

    until = time.monotonic() + _COUNT_WITHIN
    try:
        sizes = by_kind(until)
        if not sizes:
            return
        total = f"{format_size(sum(sizes.values()))} in {state_home()}"
        kinds = ", ".join(f"{kind} {format_size(size)}" for kind, size in sizes.items() if size)
        yield Finding("disk use", True, f"{total}: {kinds}; {_prunable(until)}")
    except TimeoutError:
        text = f"what is in {state_home()} cannot be counted within {_COUNT_WITHIN:g} s: there is too much of it"
        yield Finding("disk use", True, text)
    except (RegistryError, SettingsError, OSError):
        return  # others say it


def _prunable(until: float) -> str:
    from parexec_tui.keeping.pruning import Policy, survey

    wanted = read_settings().prune
    policy = Policy(wanted.keep, wanted.older)
    with Registry.open(registry_file(), read_only=True) as registry:
        found = survey(registry, policy, time.time(), until)
    if not found.go:
        return "`parexec prune` would remove nothing"
    size, count = format_size(sum(each.size for each in found.go)), format_count(len(found.go), "session")
    return f"`parexec prune` would free {size}, of {count}"


def sessions() -> Iterator[Finding]:
    """Sessions that have lost their engine or guardian."""
    try:
        if not registry_file().stat().st_size:
            return  # SQLite would make a new one of it
        with Registry.open(registry_file(), read_only=True) as registry:
            rows = [row for row in registry.sessions() if row.status not in ENDED]
    except (RegistryError, OSError):
        return  # `registry` said it
    for row in rows:
        folder = session_folder(row.session)
        if silence := listen(row.session):
            yield Finding("session", False, f"{row.session}: {silence.text}", silence.remedy or "wait a moment")
        elif lost_guardian(folder):
            text = f"the guardian of {row.session} is gone: if its engine dies, no other follows by itself"
            yield Finding("session", False, text, f"if it is interrupted: parexec resume {row.session}")
        elif not is_owned(folder.lock) and not has_guardian(folder):
            text = f"the engine of {row.session} is gone, and its plan is not finished"
            yield Finding("session", False, text, f"parexec resume {row.session}")
