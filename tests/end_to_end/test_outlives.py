"""One session from beginning to end, as people have them: terminals that die, an engine that is killed, and verbs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.paths import noted_socket, session_folder
from parexec_tui.registry.lock import is_owned
from tests.end_to_end.terminal import Terminal
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import (
    exists,
    happened,
    journal,
    log_of,
    marked,
    number_in,
    pid_of,
    session,
    stands_still,
    state_of,
    ticket,
    until,
    write_plan,
)
from tests.engine.lifecycle.detached import all_gone, kill, the_engine, the_guardian

PLAN = """
[plan]
parallel = 6
[defaults]
grace = "2s"

[tickets.long]
run = "echo before; until [ -e go ]; do sleep 0.01; done; echo after"
[tickets.flaky]
run = "[ -e mended ] || exit 7"
[tickets.moved]
run = "echo on $PAREXEC_AGENT; until [ -e go ]; do sleep 0.01; done; echo done"
[tickets.frozen]
run = "until [ -e go ]; do echo tick; sleep 0.01; done"
[tickets.parent]
run = "sleep 1000 & setsid sleep 1000 & echo $! > stray; until [ -e go ]; do sleep 0.01; done"
[tickets.after]
needs = ["flaky", "moved"]
run = "echo at last"
[tickets.last]
needs = ["after", "frozen", "long", "parent"]
run = "echo the end"
"""

LASTING = ("long", "moved", "frozen", "parent")
"""Tickets that go on until they are told."""


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[Callable[[], Terminal]]:
    terminals: list[Terminal] = []

    def open_one() -> Terminal:
        terminals.append(Terminal(tmp_path))
        return terminals[-1]

    yield open_one
    for each in terminals:
        each.close()


class Shell:
    """A terminal at which one verb after the other is typed."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._count = 0

    def parexec(self, arguments: str) -> None:
        self._count += 1
        self._terminal.parexec(arguments)
        self._terminal.until("ended=", self._count)
        assert self._terminal.text().count("ended=0") == self._count, self._terminal.text()


def statuses() -> dict[str, str]:
    return {id_: str(each.status) for id_, each in state_of().tickets.items()}


def is_still(id_: str) -> bool:
    """Whether every process of an attempt is stopped."""
    found = list(marked(f"/{id_}."))
    return bool(found) and all(stands_still(process.pid) for process in found)


def test_a_session_outlives_its_terminal_and_its_engine_and_is_steered_to_its_end(
    tmp_path: Path, open_terminal: Callable[[], Terminal]
) -> None:
    write_plan(tmp_path, PLAN)
    first = open_terminal()
    first.parexec("run plan.toml --detach")
    first.until("ended=0")
    until(lambda: happened(ev.AttemptEnded, ticket="flaky"), "flaky failed")
    until(lambda: all(pid_of(id_) for id_ in LASTING), "the others run")
    assert statuses() == dict.fromkeys(LASTING, "running") | {
        "flaky": "failed",
        "after": "skipped",
        "last": "skipped",
    }
    engine = the_engine()
    lose(first, tmp_path)
    assert the_engine() == engine

    viewer = open_terminal()
    viewer.parexec("attach")
    viewer.until(f"attached to {session()}: 0 of 7 succeeded")
    shell = Shell(open_terminal())

    (tmp_path / "mended").touch()
    shell.parexec("retry flaky --note 'it is mended'")
    until(lambda: ticket("flaky").status is Status.succeeded, "flaky is done")
    assert statuses()["after"] == "waiting"

    shell.parexec("freeze frozen")
    until(lambda: is_still("frozen"), "it stands still")
    ticks = log_of("frozen.1")
    lose_engine(engine)
    assert ticket("frozen").is_frozen
    assert is_still("frozen")
    assert log_of("frozen.1") == ticks

    was = ticket("moved").agent
    other = next(agent.id for agent in state_of().agents.values() if agent.status == "idle")
    shell.parexec(f"reassign moved {other}")
    until(lambda: ticket("moved").attempts == 2 and ticket("moved").status is Status.running, "it moved")

    shell.parexec("thaw frozen")
    until(lambda: len(log_of("frozen.1")) > len(ticks), "it ticks again")

    (tmp_path / "go").touch()
    viewer.until("ended=0")
    assert "7 of 7 succeeded" in viewer.text()
    check_tickets()
    assert log_of("moved.1").splitlines()[0] == f"on {was}"
    assert log_of("moved.2") == f"on {other}\ndone\n"
    check_journal()
    check_processes(tmp_path)


def lose(terminal: Terminal, folder: Path) -> None:
    """SIGHUP and then SIGKILL to a whole terminal, with a viewer in it, and something that ignores SIGHUP."""
    terminal.type("(trap '' HUP; sh -c 'echo $PPID' > hardy; exec sleep 1000) &\n")
    hardy = number_in(folder / "hardy")
    terminal.parexec("attach")
    terminal.until(f"attached to {session()}")
    guardian = the_guardian()
    terminal.hang_up()
    assert exists(hardy)
    terminal.kill()
    until(lambda: not exists(hardy), "everything in the terminal is gone")
    assert the_guardian() == guardian


def lose_engine(engine: int) -> None:
    """kill -9 of the engine: its guardian starts another, and what ran is still the same."""
    guardian, shells = the_guardian(), [pid_of(id_) for id_ in LASTING]
    kill(engine)
    second = the_engine(besides=engine)
    until(lambda: state_of().engine_pid == second, "another takes over")
    assert the_guardian() == guardian
    assert [pid_of(id_) for id_ in LASTING] == shells
    assert all(exists(pid) for pid in shells if pid is not None)


# -- at the end ------------------------------------------------------------------------------------------------


def check_tickets() -> None:
    """Every ticket is accounted for, and none was done twice or in part."""
    assert statuses() == dict.fromkeys(state_of().tickets, "succeeded")
    attempts = {each.id: each.attempts for each in state_of().tickets.values()}
    assert attempts == dict.fromkeys(state_of().tickets, 1) | {"flaky": 2, "moved": 2}
    assert log_of("long.1") == "before\nafter\n"
    assert log_of("after.1") == "at last\n"
    assert log_of("last.1") == "the end\n"


def check_journal() -> None:
    (moved,) = happened(ev.AttemptEnded, ticket="moved", attempt=1)
    assert (moved.end, moved.charged) == (End.stopped, False)
    assert [event.verb for event in happened(ev.OperatorActed)] == ["retry", "freeze", "reassign", "thaw"]
    assert len(happened(ev.MonitoringStarted)) == 2
    times = [event.at for event in journal()]
    assert times == sorted(times)


def check_processes(folder: Path) -> None:
    until(all_gone, "every process is gone")
    assert not exists(number_in(folder / "stray"))
    place = session_folder(session())
    assert not is_owned(place.lock)
    assert not is_owned(place.guardian_lock)
    assert noted_socket(session()) is None
