"""The node program: what it starts, and what it knows of that whoever is killed."""

import ast
import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from parexec_tui.engine.backends.remote.node import (
    MARKER,
    MAX_HEADER,
    MAX_NOISE,
    BrokenStreamError,
    Frames,
    Spool,
    encode,
    remove_old,
)
from tests.engine.backends.remote.nodes import PROGRAM, Node, RemoteError, key, run_of, sleeps, spool_in
from tests.engine.engines import exists, until

MIB = 1 << 20


# -- start and end ---------------------------------------------------------------------------------------------


def test_how_processes_end(node: Node) -> None:
    node.start("echo out; echo err >&2; exit 3", key(1))
    node.start("kill -9 $$", key(2))
    node.start("", key(3), argv=["sh", "-c", "exit 4"])
    node.start("false; echo no", key(4), strict=True)
    ends = [node.end(key(number)) for number in (1, 2, 3, 4)]
    assert [(end["state"], end["code"], end["signal"]) for end in ends] == [
        ("ended", 3, None),
        ("ended", None, signal.SIGKILL),
        ("ended", 4, None),
        ("ended", 1, None),
    ]
    assert node.output(key(1)) == b"out\nerr\n"
    assert node.output(key(4)) == b""
    assert ends[0]["usage"]["cpu"] < 1.0
    assert not list(node.spool.glob("live/*"))


def test_a_command_that_cannot_be_executed_says_why(node: Node) -> None:
    reply = node.start("", key(1), argv=["no-such-program-at-all"])
    assert reply["problem"] == {"what": "exec", "errno": errno.ENOENT, "text": os.strerror(errno.ENOENT)}
    assert node.end(key(1))["code"] == 127
    node.start("true", key(2), cwd=str(node.spool / "nowhere"))
    end = node.end(key(2))
    assert (end["code"], end["problem"]["what"]) == (126, "cwd")
    node.start("true", key(3), env={"X": "x" * (4 * MIB)})
    assert node.end(key(3))["problem"]["errno"] == errno.E2BIG
    with pytest.raises(RemoteError, match="cannot be passed on"):
        node.start("true", key(4), env={"X": "\0"})


def test_a_key_is_started_once(node: Node) -> None:
    numbers = [node.send_start("echo once; until [ -e go ]; do sleep 0.01; done") for _ in range(3)]
    first, *others = [node.reply(number)[0] for number in numbers]
    assert first["new"]
    assert all(other["pid"] == first["pid"] for other in others)
    assert not node.start("echo again")["new"]
    (node.spool.parent / "go").touch()
    node.end()
    assert (node.start("echo again")["new"], node.start("echo again")["state"]) == (False, "ended")
    assert node.output() == b"once\n"


SLOW = f"""
import os, sys, time
sys.path.insert(0, {str(PROGRAM.parent)!r})
import node
start = node._Supervisor.start

def start_late(self, lock):
    while not os.path.exists(self._spool.path + "/go"):
        time.sleep(0.01)
    return start(self, lock)

node._Supervisor.start = start_late
sys.exit(node.main(sys.argv[4:]))
"""
"""A node program whose supervisors wait for a file between the lock and the record."""


def test_two_nodes_start_a_key_once(spool: Path) -> None:
    first = Node(spool, sys.executable, "-c", SLOW)
    before = first.send_start("echo $$ >> begun; sleep 600")
    second = Node(spool)
    until(lambda: list(spool.glob("keys/*/lock")), "the lock")
    numbers = (second, second.send_start("echo again")), (first, before)
    (spool / "go").touch()
    replies = [node.reply(number)[0] for node, number in numbers]
    assert [reply["new"] for reply in replies] == [False, True]
    assert replies[0]["pid"] == replies[1]["pid"]
    until(lambda: (spool.parent / "begun").exists(), "the command")
    second.ask("stop", key=key(), grace=0.0)
    assert second.end()["signal"] == signal.SIGKILL
    for node in (first, second):
        node.close()


def test_what_comes_on_a_connection_from_before_is_refused(node: Node) -> None:
    second = Node(node.spool)
    for do in ("start", "thaw", "put", "ping"):
        with pytest.raises(RemoteError, match="another connection") as refused:
            node.ask(do, key=key(), shell="touch begun", cwd="/")
        assert refused.value.errno == errno.ESTALE
    assert second.ask("list") == {"keys": []}
    second.close()


def test_a_key_that_is_void_does_not_begin(node: Node) -> None:
    assert node.ask("void", key=key())["state"] == "void"
    reply = node.start("touch begun")
    assert (reply["state"], reply["new"]) == ("void", False)
    assert not (node.spool.parent / "begun").exists()
    node.start(sleeps(), key(2))
    assert node.ask("void", key=key(2))["state"] == "running"


def test_a_key_can_be_made_void_while_it_is_being_started(spool: Path) -> None:
    first = Node(spool, sys.executable, "-c", SLOW)
    before = first.send_start("touch begun")
    second = Node(spool)
    until(lambda: list(spool.glob("keys/*/lock")), "the lock")
    assert second.ask("void", key=key())["state"] == "void"
    (spool / "go").touch()
    reply = first.reply(before)[0]
    assert (reply["new"], reply["state"]) == (False, "void")
    until(lambda: not any((spool / "live").iterdir()), "the supervisor to leave")
    assert not (spool.parent / "begun").exists()
    assert second.ask("forget", keys=[key()]) == {"forgotten": 1}
    for node in (first, second):
        node.close()


def test_what_is_forgotten_is_gone(node: Node) -> None:
    node.start("true", key(1))
    node.end(key(1))
    node.start(sleeps(), key(2))
    assert node.ask("forget", keys=[key(1), key(2), key(3)]) == {"forgotten": 1}
    assert [each["key"] for each in node.ask("list")["keys"]] == [list(key(2))]


def test_files_and_folders_of_a_key(node: Node) -> None:
    node.start("echo a=1 > $PAREXEC_VALUES; echo $TMPDIR $HOME", files={"PAREXEC_VALUES": "values"})
    node.end()
    assert node.output(name="values") == b"a=1\n"
    node.start('cat "$PAREXEC_LOG"', key(2), log_of=key(1))
    node.end(key(2))
    assert node.output(key(2)) == node.output(key(1))
    for name in ("../x", ".", "", "a/b"):
        with pytest.raises(RemoteError, match="not the name of a file"):
            node.ask("read", key=key(), name=name)


# -- what it inherits ------------------------------------------------------------------------------------------


BAD_PARENT = """
import os, resource, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
os.umask(0o777)
os.nice(7)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, resource.RLIM_INFINITY))
os.execv(sys.argv[1], sys.argv[1:])
"""

WHAT_IT_HAS = (
    "umask; nice; ulimit -f; grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd; "
    'echo "$OMP_NUM_THREADS,$PAREXEC_TICKET,$KEPT,$MINE,$PWD"; readlink /proc/self/fd/0; [ -t 0 ]'
)


def test_what_a_bad_parent_does_is_undone(spool: Path) -> None:
    bad = {"OMP_NUM_THREADS": "1", "PAREXEC_TICKET": "outer", "KEPT": "kept"}
    node = Node(spool, sys.executable, "-c", BAD_PARENT, options=["--unset", "OMP_NUM_THREADS"], **bad)
    node.start(WHAT_IT_HAS, env={"MINE": "mine"})
    node.end()
    lines = node.output().decode().splitlines()
    assert lines[:3] == ["0022", "0" if os.geteuid() == 0 else "7", "unlimited"]
    blocked, ignored = (int(line.split()[1], 16) for line in lines[3:5])
    assert (blocked, ignored) == (0, 0)
    assert lines[5:9] == ["0", "1", "2", "3"]  # the last is that of ls
    assert lines[9:] == [f",,kept,mine,{spool.parent}", os.devnull]
    node.close()


def test_what_python_sets_for_itself_is_not_passed_on(spool: Path) -> None:
    node = Node(spool, "env", "-u", "LC_ALL", "-u", "LC_CTYPE", "LANG=C")
    node.start('echo "$LC_CTYPE,$LANG"')
    node.end()
    assert node.output() == b",C\n"
    node.close()


# -- output ----------------------------------------------------------------------------------------------------


def test_a_read_after_the_end_is_over(node: Node) -> None:
    node.start("echo one; until [ -e go ]; do sleep 0.01; done; echo two")
    until(lambda: node.reply(node.send("read", key=key(), name="log"))[1] == b"one\n", "the first line")
    found, blob = node.reply(node.send("read", key=key(), name="log", offset=4))
    assert (found["over"], blob) == (False, b"")
    (node.spool.parent / "go").touch()
    node.end()
    found, blob = node.reply(node.send("read", key=key(), name="log", offset=4))
    assert (found, blob) == ({"over": True, "size": 8, "offset": 4}, b"two\n")
    found, _ = node.reply(node.send("read", key=key(), name="values"))
    assert found["missing"]


# -- who is killed ---------------------------------------------------------------------------------------------


def test_a_process_outlives_the_channel_and_the_node(node: Node) -> None:
    node.start("echo up; until [ -e go ]; do sleep 0.01; done; exit 5", key(1))
    node.start("exit 6", key(2))
    node.end(key(2))
    node.kill()
    second = Node(node.spool)
    assert {each["state"] for each in second.ask("list")["keys"]} == {"running", "ended"}
    assert second.state(key(2))["code"] == 6
    second.close()
    third = Node(node.spool)
    (node.spool.parent / "go").touch()
    assert third.end(key(1))["code"] == 5
    assert third.output(key(1)) == b"up\n"
    third.close()


def test_the_end_of_one_whose_supervisor_was_killed_is_lost(node: Node) -> None:
    node.start("echo up; until [ -e go ]; do sleep 0.01; done; exit 5")
    os.kill(run_of(node.spool)["supervisor"], signal.SIGKILL)
    assert node.state()["state"] == "running"
    (node.spool.parent / "go").touch()
    end = node.end()
    assert (end["state"], end.get("code")) == ("lost", None)
    assert not node.start("echo again")["new"]


def test_all_are_killed_and_the_next_node_says_lost(node: Node) -> None:
    pid = node.start(sleeps())["pid"]
    run = run_of(node.spool)
    node.kill()
    for each in (run["supervisor"], pid):
        os.kill(each, signal.SIGKILL)
    until(lambda: not exists(pid), "the end of the command")
    second = Node(node.spool)
    assert second.state()["state"] == "lost"
    second.close()


# -- the stream ------------------------------------------------------------------------------------------------


def test_frames_come_back_from_any_pieces() -> None:
    sent: list[tuple[dict[str, Any], bytes]] = [
        ({"id": 1}, b""),
        ({"text": "\u00e9\udcff"}, b"\x00" * 100),
        ({}, b"x"),
    ]
    data = b"Welcome!\r\n" + MARKER + b"".join(encode(*frame) for frame in sent)
    for size in (1, 7, len(data)):
        frames = Frames()
        got = [each for at in range(0, len(data), size) for each in frames.feed(data[at : at + size])]
        assert (got, frames.noise) == (sent, b"Welcome!\r\n")


def test_what_is_no_stream_of_frames_is_refused() -> None:
    for data in (
        b"x" * (MAX_NOISE + 1),
        MARKER + (MAX_HEADER + 1).to_bytes(4, "big") + bytes(4),
        MARKER + bytes(4) + b"\xff" * 4,
        MARKER + b"\0\0\0\1\0\0\0\0[",
        MARKER + b"\0\0\0\2\0\0\0\0[]",
    ):
        with pytest.raises(BrokenStreamError):
            list(Frames().feed(data))


def test_junk_ends_the_node_and_nothing_else(node: Node) -> None:
    pid = node.start(sleeps())["pid"]
    node.write(b"\xff" * 64)
    with pytest.raises(EOFError):
        until(lambda: not node.pump(), "the end of the stream")
    assert [event["event"] for event in node.events] == ["broken"]
    assert (node.close(), exists(pid)) == (2, True)


def test_a_request_that_makes_no_sense_is_answered(node: Node) -> None:
    for request in ({"do": "nonsense"}, {"do": "read"}, {"do": "start", "key": [1]}, {"do": "usage", "keys": 3}):
        with pytest.raises(RemoteError):
            node.ask(**request)
    assert node.ask("ping") == {}


# -- the program -----------------------------------------------------------------------------------------------


def test_it_is_python_3_8() -> None:
    ast.parse(PROGRAM.read_text(encoding="utf-8"), feature_version=(3, 8))


OLDEST = next(iter(sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python3.8"))), None)


@pytest.mark.skipif(OLDEST is None, reason="there is no Python 3.8")
def test_it_runs_under_python_3_8(spool: Path) -> None:
    node = Node(spool, python=str(OLDEST))
    assert node.hello["python"].startswith("3.8.")
    node.start("echo hello; exit 3")
    assert node.end()["code"] == 3
    node.start(sleeps(), key(2))
    node.ask("stop", key=key(2), grace=5.0)
    assert node.end(key(2))["signal"] == signal.SIGTERM
    node.close()


# -- what it leaves --------------------------------------------------------------------------------------------


def test_a_spool_that_knows_nothing_more_is_removed_at_the_end(node: Node) -> None:
    node.start("true", key(1))
    node.end(key(1))
    assert not node.ask("end")["removed"]
    node.ask("forget", keys=[key(1)])
    assert node.ask("end")["removed"]
    assert not node.spool.exists()
    assert node.close() == 0


def test_old_spools_in_which_nothing_lives_go(tmp_path: Path) -> None:
    with spool_in(tmp_path / "living") as living:
        old, new, own = (tmp_path / session / "host" for session in ("old", "new", "own"))
        for spool, run in ((old, "true"), (new, "true"), (living, sleeps())):
            node = Node(spool)
            node.start(run)
            if spool is not living:
                node.end()
            node.close()
        for spool in (old, living):
            os.utime(spool / "contact", (0, 0))
        (tmp_path / "other" / "host" / "keys").mkdir(parents=True)
        node = Node(own)
        node.ask("hello", tidy=3600)
        until(lambda: not old.parent.exists(), "the old one to go")
        remove_old(Spool(str(own)), 3600)
        assert [path.exists() for path in (new, living, own, tmp_path / "other" / "host" / "keys")] == [True] * 4
        node.close()
