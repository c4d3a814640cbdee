"""The processes that this engine is in charge of, each with all that it started."""

import signal

import trio
from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.used import Used
from parexec_tui.engine.backends.backend import Identity
from parexec_tui.engine.backends.local import cgroup, process
from parexec_tui.engine.backends.local.attempt_cgroups import Folders
from parexec_tui.engine.backends.local.cookie import bearers, cookie_of
from parexec_tui.engine.backends.local.orphans import Orphans, with_descendants
from parexec_tui.engine.backends.local.remains import writers_of
from parexec_tui.engine.backends.local.watch import Exit
from parexec_tui.paths import SessionFolder


class Live(Struct, gc=False):
    key: ProcessKey
    pid: int
    """Of its shell, which leads its process group. No other process can get this pid before we know that it ended."""
    cookie: str
    since: float
    """When we took charge of it, in trio's time."""
    is_adopted: bool
    """True: an engine before us started it."""
    is_masked: bool = False
    """True: a masker writes its log."""
    frozen: bool = False
    is_stopped: bool = False
    """True: it was asked to end, so a status of 0 is no proof of success."""
    seen: Used = Used()
    """What all its processes were seen to use, by this engine."""
    exit: Exit | None = None
    """Known once its shell has ended."""
    cgroups: Folders = ()
    """The folders of its own cgroups."""
    gone: trio.Event | None = None
    """None until it is being ended; set when its shell has ended."""
    grace_scope: trio.CancelScope | None = None
    """None until it is being ended; cancelled when its processes have no more grace."""

    def kill_cgroups(self) -> None:
        """Kill all that is in its cgroups, if it has any."""
        for folder in self.cgroups:
            cgroup.kill(folder)


class Living:
    """Those of one session, by key."""

    def __init__(self, folder: SessionFolder, cookie_prefix: str, orphans: Orphans | None) -> None:
        """`orphans`: if given, what is left behind is looked for there."""
        self.by_key: dict[ProcessKey, Live] = {}
        self.orphans = orphans
        self._folder = folder
        self._cookie_prefix = cookie_prefix

    def take_charge(self, key: ProcessKey, pid: int, cgroups: Folders, *, is_adopted: bool = False) -> Live:
        live = Live(key, pid, self.cookie_of(key), trio.current_time(), is_adopted, cgroups=cgroups)
        self.by_key[key] = live
        return live

    def cookie_of(self, key: ProcessKey) -> str:
        """What every process of this key carries in its environment."""
        return cookie_of(self._cookie_prefix, key)

    def signal_all(self, live: Live, sig: int) -> set[Identity]:
        """Signal the group, and what left it; returns all that was found."""
        if sig == signal.SIGKILL:
            live.kill_cgroups()
        process.signal_group(live.pid, sig)
        found = self.processes_of(live)
        for identity in found:
            process.signal_process(identity, sig)
        return found

    def freeze(self, live: Live) -> None:
        """Let nothing of it run until `thaw`: by its cgroup, which what is forked just now cannot escape, nor others
        let go on; else by a signal."""
        # A shell that could not move into its cgroup runs all the same, unless that is to limit it.
        frozen = [live.pid in cgroup.processes_in(folder) and cgroup.freeze(folder) for folder in live.cgroups]
        if not any(frozen):
            self.signal_all(live, signal.SIGSTOP)

    def thaw(self, live: Live) -> None:
        """Let it go on, however it was frozen."""
        for folder in live.cgroups:
            cgroup.thaw(folder)
        self.signal_all(live, signal.SIGCONT)

    def processes_of(self, live: Live) -> set[Identity]:
        """The processes of a live key; zombies may be among them."""
        shell = [live.pid] if live.exit is None else []
        for folder in live.cgroups:
            shell += cgroup.processes_in(folder)
        if self.orphans is not None and not live.is_adopted:
            self.orphans.look()
            return process.identities(with_descendants([*shell, *self.orphans.left_by(live.pid)]))
        found = {identity for identity, _ in bearers([live.cookie]).values()}
        others = [*shell, *process.members(live.pid), *writers_of(self._folder.log_and_record(live.key)[0])]
        return found | process.identities(others)

    def look_for_orphans(self) -> None:
        """Wait for orphans that have ended."""
        if self.orphans is not None:
            self.orphans.look()
