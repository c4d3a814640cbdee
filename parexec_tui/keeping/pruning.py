"""Removes sessions that are over, by a policy: all that is left of them but what their attempts took.

Whatever dies on the way, a session is either whole, or no list has it any more; then the next one that prunes removes
the rest. Its folder goes last.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from parexec_tui.client.sessions import is_living
from parexec_tui.core.plan.units import write_duration
from parexec_tui.keeping.disk import remove
from parexec_tui.keeping.importing import remove_unfinished_imports, unfinished_imports
from parexec_tui.keeping.sizes import Sizes
from parexec_tui.paths import session_folder, state_home
from parexec_tui.registry.errors import SessionOwned
from parexec_tui.registry.lock import SessionLock, has_guardian
from parexec_tui.registry.registry import Registry
from parexec_tui.registry.sessions import ENDED, IMPORTED, SessionRow
from parexec_tui.text.words import and_others

_LEFTOVERS = (".new", ".old")
"""What the names of snapshots end with that are none yet, or none any more."""


class Policy(Struct, frozen=True):
    """Which sessions stay: the newest of each plan, and what ended lately. What also goes if it is asked for."""

    keep: int
    older: float
    """Seconds since the end."""
    stopped: bool = False
    """Also what a person stopped, and which could go on."""
    snapshots: bool = False
    """Also what has snapshots of files, by which tickets could be rolled back."""


class Refs(Struct, frozen=True):
    """Branches and other refs that a session left in a repository: `refs/heads/parexec/SESSION/TICKET`."""

    folder: str = ""
    """A folder of the repository; empty: it left none."""
    gone: tuple[str, ...] = ()
    """What other refs have as well: these go with the session."""
    stay: tuple[str, ...] = ()
    """What nobody merged, or has checked out."""
    problem: str = ""
    """Why that is not known."""


class Forget(Protocol):
    """Deletes the refs of a session in the repository of a workdir. `is_tried`: only tells which. Raises OSError."""

    def __call__(self, workdir: str, session: str, *, is_tried: bool = False) -> Refs: ...


class Removable(Struct, frozen=True):
    """A session that is removed, or would be."""

    session: str
    name: str
    source: str
    started: float
    ended: float
    """Seconds since the epoch; of one that never noted its end, when it started."""
    size: int
    """Bytes, of its folder and in the registry."""
    workdir: str
    refs: Refs = Refs()


class Spared(Struct, frozen=True):
    """A session that the policy would remove, and that stays all the same."""

    session: str
    why: str
    remedy: str = ""


class Survey(Struct, frozen=True):
    """What pruning would do."""

    go: tuple[Removable, ...]
    spared: tuple[Spared, ...]
    stay: int
    """How many stay by the policy."""
    remnants: tuple[str, ...]
    """Sessions whose removal was broken off."""
    unfinished: tuple[str, ...] = ()
    """Sessions whose import was broken off."""


def survey(registry: Registry, policy: Policy, now: float, until: float = float("inf")) -> Survey:
    """Look what pruning would do. Raises TimeoutError at `until`, a time of `time.monotonic`; RegistryError."""
    go: list[Removable] = []
    rows, sizes = registry.sessions(), Sizes()
    spared: list[Spared] = []
    stay = 0
    for row, goes in _by_policy(rows, policy, now):
        if not goes:
            stay += 1
        elif is_living(row.session):
            spared.append(_lives(row.session))
        elif found := _why_spared(row, policy):
            spared.append(found)
        else:
            size = sizes.of(registry, row, until)
            go.append(Removable(row.session, row.name, row.source, row.started, ended_at(row), size, row.workdir))
    sizes.remember(rows)
    return Survey(tuple(go), tuple(spared), stay, tuple(_remnants(registry)), unfinished_imports(registry))


def _by_policy(rows: Iterable[SessionRow], policy: Policy, now: float) -> Iterator[tuple[SessionRow, bool]]:
    """Each session, and whether the policy removes it. `rows`: newest first."""
    newer: Counter[tuple[str, str, str, bool]] = Counter()
    for row in rows:
        plan = (row.source, row.name, row.workdir, row.status == IMPORTED)
        newer[plan] += 1
        yield row, newer[plan] > policy.keep and _age(row, now) >= policy.older


def _age(row: SessionRow, now: float) -> float:
    """Seconds since its end; none if that lies ahead, as the clock was set since."""
    return max(0.0, now - ended_at(row))


def ended_at(row: SessionRow) -> float:
    """When a session ended; when it started, if it never noted its end. One that was imported: when that was."""
    if row.status == IMPORTED:
        with suppress(OSError):
            return session_folder(row.session).imported.stat().st_mtime
    return row.started if row.ended is None else row.ended


def _why_spared(row: SessionRow, policy: Policy) -> Spared | None:
    """Why a session must not be removed that nobody runs; None: nothing is in the way."""
    folder = session_folder(row.session)
    if row.status not in ENDED:
        remedy = f"parexec resume {row.session}, or parexec stop -s {row.session}"
        return Spared(row.session, "it was interrupted, and can go on", remedy)
    if row.status == "stopped" and not policy.stopped:
        return Spared(row.session, "it was stopped, and can go on", f"parexec resume {row.session}, or --stopped")
    if worktrees := _names(folder.worktrees):
        return Spared(row.session, f"worktrees are kept: {and_others(worktrees)}", "merge or reject what is in them")
    snapshots = [name for name in _names(folder.snapshots) if not name.endswith(_LEFTOVERS)]
    if snapshots and not policy.snapshots:
        return Spared(row.session, f"snapshots are kept for a rollback: {and_others(snapshots)}", "--snapshots")
    if _names(folder.hooks_owed):
        return Spared(row.session, "hooks have yet to be run for it", f"parexec resume {row.session}")
    return None


def _lives(session: str) -> Spared:
    return Spared(session, "it lives", f"parexec stop -s {session}")


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - only the names
    except OSError:
        return []


def _remnants(registry: Registry) -> list[str]:
    pruned = registry.pruned_sessions()
    folders = set(_names(state_home() / "sessions")) if pruned else set()
    return [session for session, has_rows in pruned.items() if has_rows or session in folders]


def foreseen(found: Survey, forget: Forget) -> Survey:
    """The same with what would become of the refs of the sessions."""
    go = tuple(replace(each, refs=_refs(forget, each.workdir, each.session, is_tried=True)) for each in found.go)
    return replace(found, go=go)


def carry_out(
    registry: Registry, found: Survey, policy: Policy, now: float, forget: Forget
) -> tuple[Survey, list[str]]:
    """Remove what a survey found. Returns what was done, and what could not be removed, and why; the next one tries
    again. Raises RegistryError."""
    gone: list[Removable] = []
    spared, failed = list(found.spared), []
    rests = []
    for session in found.remnants:
        try:
            prune_rest(registry, session)
            rests.append(session)
        except OSError as error:
            failed.append(f"{session}: {error}")
    for each in found.go:
        try:
            done = prune(registry, each.session, policy, now, forget)
        except OSError as error:
            failed.append(f"{each.session}: {error}")
            continue
        if isinstance(done, Refs):
            gone.append(replace(each, refs=done))
        else:
            spared.append(done)
    unfinished: tuple[str, ...] = ()
    try:
        unfinished = remove_unfinished_imports(registry) if found.unfinished else ()
    except OSError as error:
        failed.append(f"{', '.join(found.unfinished)}: {error}")
    return Survey(tuple(gone), tuple(spared), found.stay, tuple(rests), unfinished), failed


def prune(registry: Registry, session: str, policy: Policy, now: float, forget: Forget) -> Refs | Spared:
    """Remove a session of a `survey`. Returns what became of its refs; or why it stays, if that has changed.

    Raises RegistryError, OSError.
    """
    folder = session_folder(session)
    with ExitStack() as stack:
        if folder.path.is_dir():  # else it is only rows, and nobody can own it
            try:
                stack.enter_context(SessionLock(folder.lock))
            except SessionOwned:
                return _lives(session)
        if has_guardian(folder):
            return _lives(session)
        row = registry.session(session)
        if _age(row, now) < policy.older:
            return Spared(session, "it has run again")
        if found := _why_spared(row, policy):
            return found
        # First, as what is marked has no workdir any more; and it costs nothing: others have what these refs have.
        refs = _refs(forget, row.workdir, session)
        if not registry.prune(row):
            return Spared(session, "it has run again")
        remove(folder.path)
    return refs


def _refs(forget: Forget, workdir: str, session: str, *, is_tried: bool = False) -> Refs:
    if session_folder(session).imported.exists():
        return Refs()  # the workdir is one of another machine: what has its name here is not meant
    try:
        return forget(workdir, session, is_tried=is_tried)
    except OSError as error:
        return Refs(workdir, problem=str(error))


def prune_rest(registry: Registry, session: str) -> None:
    """Remove what is left of a session whose removal was broken off. Raises RegistryError, OSError."""
    registry.prune_rest(session)
    remove(session_folder(session).path)


def words_of(policy: Policy) -> str:
    """Which sessions stay, for a person; empty: none."""
    newest = f"the newest {policy.keep} of each plan" if policy.keep else ""
    age = f"what ended less than {write_duration(policy.older)} ago" if policy.older else ""
    return " and ".join(filter(None, (newest, age)))
