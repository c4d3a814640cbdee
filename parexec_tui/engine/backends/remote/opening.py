"""The hosts of a plan, opened: a channel to each, and what is told of it."""

from collections.abc import Callable, Mapping

import trio

from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.wire import requests as rq
from parexec_tui.engine.backends.local.cookie import cookie_prefix
from parexec_tui.engine.backends.remote.backend import RemoteBackend
from parexec_tui.engine.backends.remote.channel import Channel, Facts
from parexec_tui.engine.backends.remote.ssh import Problem
from parexec_tui.engine.backends.remote.sync_files import FileSync
from parexec_tui.engine.backends.remote.sync_git import GitSync
from parexec_tui.engine.backends.remote.syncing import Sync
from parexec_tui.engine.backends.remote.ways import channel_to
from parexec_tui.paths import SessionFolder

_KEPT_FOR = 7 * 24 * 3600.0
"""Seconds for which a host keeps what a session left there that nobody has spoken of since."""


class HostOpener:
    """Opens the hosts of one session."""

    def __init__(
        self,
        nursery: trio.Nursery,
        session: str,
        folder: SessionFolder,
        workdir: str,
        environment: Mapping[str, str],
        *,
        spare: Callable[[int], None],
        now: Callable[[], float],
        report: Callable[[rq.AnyReport], None],
        is_to_end: bool = False,
    ) -> None:
        """`workdir`: of the plan. `environment`: of the programs that lead to hosts. `spare`: see `Channel`. `now`:
        the time of the engine. `report` is told of hosts. `is_to_end`: see `open_backend`."""
        self._nursery = nursery
        self._session = session
        self._folder = folder
        self._workdir = workdir
        self._environment = environment
        self._spare = spare
        self._now = now
        self._report = report
        self._is_to_end = is_to_end

    def open(self, name: str, spec: HostSpec, ring: Callable[[], None]) -> RemoteBackend:
        """Begin to reach a host. `ring`: see `RemoteBackend`."""
        workdir, is_shared = spec.workdir or self._workdir, spec.sync == "shared"

        def open_channel(listener: RemoteBackend) -> Channel:
            return channel_to(
                spec,
                f"{cookie_prefix(self._session, self._folder.attempts)}/{name}",  # a home may be shared by hosts
                listener,
                hello={"session": self._session, "workdir": workdir if is_shared else "", "tidy": _KEPT_FOR},
                environment=self._environment,
                spare=self._spare,
            )

        return RemoteBackend(
            self._nursery,
            self._session,
            self._folder,
            open_channel,
            name=name,
            lease=spec.lease,
            workdirs=(self._workdir, workdir if is_shared else self._workdir),
            tell_host=lambda told, since: self._tell(name, workdir, told, since),
            ring=ring,
            must_reach=self._is_to_end,
            sync=self._sync_of(spec),
        )

    def _sync_of(self, spec: HostSpec) -> Callable[[Channel], Sync] | None:
        match spec.sync:
            case "shared":
                return None
            case "rsync":
                return lambda channel: FileSync(channel, self._folder, self._workdir, spec.workdir or self._workdir)
            case "git":
                return lambda channel: GitSync(channel, self._folder, spec.workdir)

    def _tell(self, name: str, workdir: str, told: Facts | Problem, since: float) -> None:
        if isinstance(told, Facts) and told.workdir_exists is False:
            self._report(rq.HostBad(name, f"its folder {workdir} does not exist there: make it, or set workdir"))
        elif isinstance(told, Facts):
            self._report(rq.HostSeen(name, told.cpus, told.memory, told.boot, told.skew, told.python))
        elif told.is_of_host:
            self._report(rq.HostBad(name, told.text))
        else:
            self._report(rq.HostGone(name, told.text, self._now() - (trio.current_time() - since)))
