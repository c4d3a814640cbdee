"""Whole sessions whose tickets run on a host, which is reached by a real ssh: whoever is killed, each runs once."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from parexec_tui.cli.entry import cli
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from tests.engine.backends.worlds import Sshd
from tests.engine.engines import (
    Engine,
    happened,
    log_of,
    run,
    start,
    state_of,
    ticket,
    until,
    write_plan,
)

HOSTS = """
[hosts.box]
ssh = "host"
max = 4

[agents.there]
on = ["box"]

[agents.here]
"""


@pytest.fixture(autouse=True)
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A host that `ssh host` reaches: this machine."""
    made = Sshd(tmp_path / "sshd")
    monkeypatch.setenv("PATH", f"{made.keys.bin}:{os.environ['PATH']}")
    yield made
    made.close()


def test_tickets_run_on_a_host_and_here(tmp_path: Path) -> None:
    tickets = """
    [tickets.A]
    agent = "there"
    run = "echo $SSH_CONNECTION | cut -c1-9; echo from-a > a; sh -c 'echo told=yes > $PAREXEC_VALUES'"
    outputs = ["a"]

    [tickets.B]
    agent = "here"
    needs = ["A"]
    run = "cat a; echo here=$SSH_CONNECTION"

    [tickets.C]
    agent = "there"
    run = "echo bad >&2; exit 3"
    """
    code, state = run(tmp_path, HOSTS + tickets)
    assert code == 1
    assert {id_: each.status for id_, each in state.tickets.items()} == {
        "A": Status.succeeded,
        "B": Status.succeeded,
        "C": Status.failed,
    }
    assert (log_of("A.1"), log_of("B.1"), log_of("C.1")) == ("127.0.0.1\n", "from-a\nhere=\n", "bad\n")
    (reached,) = happened(ev.HostReached)
    assert (reached.host, reached.cpus > 0, bool(reached.boot)) == ("box", True, True)
    assert {(each.host, each.type) for each in happened(ev.AgentStarted)} == {("box", "there"), ("", "here")}
    (failed,) = happened(ev.AttemptEnded, ticket="C")
    assert (failed.end, failed.code, failed.error_line) == (End.failed, 3, "bad")


WAITS = '''
[tickets.A]
agent = "there"
run = """
echo begin >> evidence; echo out
until [ -e go ]; do sleep 0.05; done
echo end >> evidence; echo done"""
'''


def programs(engine: Engine, name: str) -> list[psutil.Process]:
    """The programs of this name that lead to the host, or keep its processes."""
    found = []
    for each in psutil.process_iter(["cmdline"]):
        words = each.info["cmdline"] or []
        if name == "ssh" and each.ppid() == engine.process.pid and words and Path(words[0]).name == "ssh":
            found.append(each)
        if name == "node" and len(words) > 4 and words[-2] == "serve" and state_of().session in words[-1]:
            parent = each.parent()  # that of a supervisor, which has the same name, is no sshd
            if parent is not None and parent.name().startswith("sshd"):
                found.append(each)
    return found


@pytest.mark.parametrize("whom", ["ssh", "node", "engine"])
def test_whoever_is_killed_a_ticket_runs_once(tmp_path: Path, whom: str) -> None:
    engine = start(tmp_path, HOSTS + WAITS)
    pid = engine.until(lambda: happened(ev.AttemptSpawned, ticket="A"), "A is noted")[0].pid
    if whom == "engine":
        engine.kill()
        engine = Engine("resume", cwd=tmp_path)
        until(lambda: len(happened(ev.MonitoringStarted)) == 2, "another engine goes on")
    else:
        (killed,) = until(lambda: programs(engine, whom), whom)
        killed.kill()
        until(lambda: happened(ev.HostUnreachable), "that is noticed")
        until(lambda: ticket("A").status is Status.running and state_of().hosts["box"].status == "reachable", "back")
    assert psutil.pid_exists(pid)
    (tmp_path / "go").touch()
    assert engine.wait() == 0
    assert (tmp_path / "evidence").read_text() == "begin\nend\n"
    assert log_of("A.1") == "out\ndone\n"
    assert ticket("A").attempts == 1


def test_a_host_that_comes_by_reload_is_reached_and_used(tmp_path: Path) -> None:
    engine = start(tmp_path, '[tickets.A]\nrun = "until [ -e go ]; do sleep 0.05; done"\n')
    engine.until(lambda: happened(ev.AttemptSpawned, ticket="A"), "A runs")
    more = '[tickets.B]\nagent = "there"\nrun = "echo $SSH_CONNECTION | cut -c1-9; touch go"\n'
    write_plan(tmp_path, HOSTS + '[tickets.A]\nrun = "until [ -e go ]; do sleep 0.05; done"\n' + more)
    reloaded = CliRunner().invoke(cli, ["reload", "--yes", str(tmp_path / "plan.toml")])
    assert reloaded.exit_code == 0, reloaded.output
    assert engine.wait() == 0
    assert log_of("B.1") == "127.0.0.1\n"
