"""The place where the processes of a session run: this machine, and the hosts of its plan."""

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import trio

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.steps import is_resolve
from parexec_tui.engine.backends import boot
from parexec_tui.engine.backends.backend import Backend
from parexec_tui.engine.backends.local.backend import LocalBackend
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.placed import PlacedBackend
from parexec_tui.paths import session_folder

if TYPE_CHECKING:  # a plan without hosts does without
    from parexec_tui.engine.backends.remote.backend import RemoteBackend


def open_backend(
    session: str,
    nursery: trio.Nursery,
    orphans: Orphans,
    environment: Mapping[str, str] = os.environ,
    mask: Callable[[str], str] = str,
    *,
    state: SessionState | None = None,
    now: Callable[[], float] = time.time,
    is_to_end: bool = False,
) -> Backend:
    """The place where the processes of a session run; those on this machine inherit this environment.

    `mask`: see `LocalBackend`. `state`: of the session; without it, no host is reached. `now`: the time of the
    engine. `is_to_end`: only to end what runs: what is on a host that is out of reach cannot be adopted.
    """
    folder = session_folder(session)
    local = LocalBackend(
        nursery, session, folder, environment=environment, boot=boot.here(), orphans=orphans, mask=mask
    )
    if state is None:
        return local

    def open_host(name: str) -> "RemoteBackend":
        from parexec_tui.engine.backends.remote.opening import HostOpener

        opener = HostOpener(
            nursery,
            session,
            folder,
            state.plan.workdir,
            environment,
            spare=orphans.spare,
            now=now,
            report=placed.report,
            is_to_end=is_to_end,
        )
        return opener.open(name, state.hosts[name].spec, placed.wake)

    placed = PlacedBackend(local, partial(host_of, state), lambda: state.hosts, open_host)
    placed.reach_new()
    return placed


def host_of(state: SessionState, key: ProcessKey) -> str:
    """Where a process is to run, and where it runs; empty: on this machine."""
    if key.service or not key.attempt or (ticket := state.tickets.get(key.ticket)) is None:
        return ""
    host = state.host_of(ticket)
    # A merge that is to be resolved has begun in the worktree here, which a host knows by its commit alone.
    return "" if host and is_resolve(key.step) and state.hosts[host].spec.sync != "shared" else host
