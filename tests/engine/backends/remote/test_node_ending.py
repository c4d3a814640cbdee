"""How the node program ends what it is asked to end, freezes, and fences what the engine does not reach any more."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.engine.backends.remote.nodes import FIRST, Node, Wire, guards_of, key, run_of, sleeps
from tests.engine.engines import PYTHON, exists, number_in, stands_still, until

PROOF = "trap '' TERM; echo up; while :; do sleep 0.02; done"
"""A command that TERM does not end."""

ESCAPE = "import os, time; os.setsid(); open('escaped', 'w').write(f'{os.getpid()}\\n'); time.sleep(600)"
"""A program that leaves its process group and session."""

CLEAN_ESCAPE = f'env -i {PYTHON} -c "{ESCAPE}" & until [ -s escaped ]; do sleep 0.01; done; '
"""It has no cookie either."""

SHORT = 1.0
"""Seconds of a lease."""


def up(node: Node, run: str, at: Wire = FIRST, **more: object) -> int:
    """Start a command that says `up`, and return its pid when it has."""
    pid = int(node.start(run, at, **more)["pid"])
    until(lambda: node.reply(node.send("read", key=at, name="log"))[1].startswith(b"up"), "the command")
    return pid


def escaped(node: Node) -> int:
    return until(lambda: number_in(node.spool.parent / "escaped"), "the process that escapes")


# -- stop ------------------------------------------------------------------------------------------------------


def test_stop_lets_the_group_clean_up(node: Node) -> None:
    up(node, "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.02; done")
    node.ask("stop", key=key(), grace=30.0, why="user")
    end = node.end()
    assert (end["code"], end["why"], end["strays"], end["fenced"]) == (7, "user", [], False)
    assert node.output().endswith(b"bye\n")


def test_what_does_not_obey_is_killed_after_the_grace(node: Node) -> None:
    up(node, PROOF, key(1))
    node.ask("stop", key=key(1), grace=0.1)
    assert node.end(key(1))["signal"] == signal.SIGKILL
    up(node, PROOF, key(2))
    node.ask("stop", key=key(2), grace=600.0)
    node.ask("stop", key=key(2), grace=0.0)
    assert node.end(key(2))["signal"] == signal.SIGKILL


def test_a_frozen_process_can_be_ended(node: Node) -> None:
    up(node, "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done")
    node.ask("freeze", key=key())
    node.ask("stop", key=key(), grace=30.0)
    assert node.end()["code"] == 7


def test_what_a_command_leaves_behind_is_ended_before_its_end_is_told(node: Node) -> None:
    node.start(CLEAN_ESCAPE + "exit 3")
    pid = escaped(node)
    end = node.end()
    assert (end["code"], exists(pid)) == (3, False)
    assert "setsid" in end["strays"][0]


def test_stop_goes_on_when_the_node_is_killed(node: Node) -> None:
    up(node, PROOF)
    node.ask("stop", key=key(), grace=0.3, why="user")
    node.kill()
    second = Node(node.spool)
    end = until(lambda: [state for state in [second.state()] if state["state"] == "ended"], "the end")[0]
    assert (end["signal"], end["why"]) == (signal.SIGKILL, "user")
    second.close()


def test_stop_works_without_a_supervisor(node: Node) -> None:
    pid = up(node, CLEAN_ESCAPE + PROOF, mark=1 << 62 | 5)
    os.kill(run_of(node.spool)["supervisor"], signal.SIGKILL)
    stray = escaped(node)
    node.ask("stop", key=key(), grace=0.1, why="user")
    end = node.end()
    assert (end["state"], end["why"], exists(pid), exists(stray)) == ("lost", "user", False, False)


def test_a_supervisor_that_dies_while_it_ends_is_replaced(node: Node) -> None:
    pid = up(node, PROOF)
    node.ask("stop", key=key(), grace=600.0)
    os.kill(run_of(node.spool)["supervisor"], signal.SIGKILL)
    node.ask("stop", key=key(), grace=0.0)
    assert (node.end()["state"], exists(pid)) == ("lost", False)


def test_a_supervisor_that_somebody_stopped_tells_of_the_end(node: Node) -> None:
    up(node, "echo up; until [ -e go ]; do sleep 0.01; done; exit 3")
    os.kill(run_of(node.spool)["supervisor"], signal.SIGSTOP)
    (node.spool.parent / "go").touch()
    assert node.end()["code"] == 3


def test_who_loses_its_folder_fences_and_leaves(node: Node) -> None:
    pid = up(node, sleeps(), lease=6.5)  # it tries to be the guard before that
    supervisor = run_of(node.spool)["supervisor"]
    node.close()
    shutil.rmtree(node.spool)
    until(lambda: not exists(pid) and not exists(supervisor), "both to end", 30)


# -- freeze ----------------------------------------------------------------------------------------------------


def test_freeze_holds_all_that_it_started(node: Node) -> None:
    pid = up(node, CLEAN_ESCAPE + "echo up; while :; do sleep 0.02; done")
    both = pid, escaped(node)
    assert node.ask("freeze", key=key())["processes"] >= 2
    assert all(map(stands_still, both))
    assert node.state()["frozen"]
    node.kill()
    second = Node(node.spool)
    assert second.state()["frozen"]
    second.ask("thaw", key=key())
    assert not second.state()["frozen"]
    until(lambda: not any(map(stands_still, both)), "them to go on")
    second.close()


# -- leases ----------------------------------------------------------------------------------------------------


def test_a_lease_that_is_renewed_does_not_end(node: Node) -> None:
    pid = up(node, sleeps(), lease=SHORT)
    since = node.heard
    until(lambda: node.ask("ping") == {} and node.heard > since + 3 * SHORT, "three leases")
    assert exists(pid)
    node.is_mute = True  # requests go on, but the engine does not get what the node says
    until(lambda: node.ask("ping") == {} and bool(node.events), "the fence")
    end = node.end()
    assert (end["fenced"], end["signal"], exists(pid)) == (True, signal.SIGTERM, False)


@pytest.mark.parametrize("killed", ["", "supervisor"])
@pytest.mark.parametrize("lost", ["channel", "node"])
def test_what_is_not_reached_is_fenced(node: Node, lost: str, killed: str) -> None:
    pid = up(node, PROOF, lease=SHORT, grace=0.1)
    other = up(node, sleeps(), key(2), lease=None)
    if lost == "channel":
        node.close()
    else:
        node.kill()
    if killed:
        (run,) = (run for run in map(record, node.spool.glob("keys/*/run.json")) if run["pid"] == pid)
        os.kill(int(run["supervisor"]), signal.SIGKILL)
    until(lambda: not exists(pid), "the fence")
    assert exists(other)
    second = Node(node.spool)
    assert second.state(key(1))["fenced"]
    assert second.state(key(1))["state"] == ("lost" if killed else "ended")
    assert second.state(key(2))["state"] == "running"
    second.close()


def record(path: Path) -> dict[str, Any]:
    return run_of(path.parent.parent.parent, path.parent.name)


def test_one_alone_whose_supervisor_was_killed_is_fenced(node: Node) -> None:
    pid = up(node, PROOF, lease=SHORT, grace=0.1)
    os.kill(run_of(node.spool)["supervisor"], signal.SIGKILL)
    assert node.close() == 0
    until(lambda: not exists(pid), "the fence")
    until(lambda: not guards_of(node.spool), "the guard to end as well")


def test_one_alone_is_fenced_though_all_who_were_told_of_it_are_killed_at_once(node: Node) -> None:
    pid = up(node, PROOF, lease=SHORT, grace=0.1)
    os.kill(run_of(node.spool)["supervisor"], signal.SIGKILL)
    node.kill()
    until(lambda: not exists(pid), "the fence")
    until(lambda: not guards_of(node.spool), "the guard to end as well")


def test_a_supervisor_that_stands_still_does_not_save_its_process(node: Node) -> None:
    pid = up(node, PROOF, lease=SHORT, grace=0.1)
    os.kill(run_of(node.spool)["supervisor"], signal.SIGSTOP)
    node.close()
    until(lambda: not exists(pid), "the fence")


def test_a_start_that_was_too_long_on_its_way_does_not_begin(node: Node) -> None:
    node.ask("ping")
    node.is_mute = True
    heard = node.heard
    until(lambda: node.ask("ping") == {} and node.heard > heard + 0.2, "the lease")
    with pytest.raises(OSError, match="too long on its way"):
        node.start("touch begun", lease=0.2)
    assert not (node.spool.parent / "begun").exists()
