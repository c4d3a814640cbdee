"""What the shell makes of a command: which one it is, and that the first line that fails ends it."""

import os
from pathlib import Path
from shutil import which

import pytest
from msgspec import structs

from parexec_tui.core.plan.agent_type import SHELL, AgentType
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state.status import Status
from parexec_tui.engine.lifecycle.launch import new_session
from tests.engine.engines import PYTHON, Engine, code_of, log_of, run, session, ticket

LINES = 'run = """\necho one\nfalse\necho two\n"""'


def test_a_failing_line_ends_the_command(tmp_path: Path) -> None:
    code, _ = run(tmp_path, f"[tickets.A]\n{LINES}")
    assert (code, ticket("A").status, code_of("A"), log_of("A.1")) == (1, Status.failed, 1, "one\n")


@pytest.mark.parametrize(
    "lines",
    ["false || true", "! true", "if false; then echo; fi", "false | true", "false && true", "(false); true"],
    ids=str,
)
def test_what_a_shell_lets_fail_may_fail(tmp_path: Path, lines: str) -> None:
    strict = lines.startswith("(")
    code, _ = run(tmp_path, f"[tickets.A]\nrun = '''\n{lines}\necho on\n'''")
    assert (code, log_of("A.1")) == ((1, "") if strict else (0, "on\n"))


def test_what_a_command_exits_with_counts(tmp_path: Path) -> None:
    run(tmp_path, "[tickets.A]\nrun = '''\ntrap 'echo trapped; exit 9' EXIT\nfalse\n'''\n[tickets.B]\nrun = 'a(('")
    assert (code_of("A"), log_of("A.1"), code_of("B")) == (9, "trapped\n", 2)


@pytest.mark.skipif(which("bash") is None, reason="needs bash")
def test_the_shell_of_the_plan(tmp_path: Path) -> None:
    run(
        tmp_path,
        f"[plan]\nshell = ['bash', '-euo', 'pipefail', '-c']\n[agents.one]\n[agents.old]\nshell = ['/bin/sh', '-c']\n"
        f"[agents.snake]\nshell = [{PYTHON!r}, '-c']\nnice = 3\n[agents.own]\ncommand = ['echo', 'own', '{{run}}']\n"
        "[tickets.pipe]\nagent = 'one'\nrun = 'false | true; echo no'\n"
        "[tickets.unset]\nagent = 'one'\nrun = 'echo $NO_SUCH_VARIABLE; echo no'\n"
        "[tickets.array]\nagent = 'one'\nrun = 'a=(x y); echo ${a[1]}'\n"
        f"[tickets.old]\nagent = 'old'\n{LINES}\n"
        "[tickets.snake]\nagent = 'snake'\nrun = 'import os; print(6 * 7, os.nice(0) - int(os.environ[\"NICE\"]))'\n"
        "[tickets.own]\nagent = 'own'\nrun = 'this'\n"
        "[defaults.env]\nNICE = '{nice}'".replace("{nice}", str(os.nice(0))),
    )
    codes = {id_: code_of(id_) for id_ in ("pipe", "unset", "array", "old", "snake", "own")}
    assert codes == {"pipe": 1, "unset": 1, "array": 0, "old": 0, "snake": 0, "own": 0}
    outputs = {id_: log_of(f"{id_}.1") for id_ in ("pipe", "array", "old", "snake", "own")}
    assert outputs == {"pipe": "", "array": "y\n", "old": "one\ntwo\n", "snake": "42 3\n", "own": "own this\n"}


def test_a_session_of_an_earlier_version_keeps_the_shell_it_began_with(tmp_path: Path) -> None:
    plan = read_plan(f"[tickets.A]\n{LINES}", source="plan.toml", folder=str(tmp_path), format="toml")
    assert plan.agents == {"agent": AgentType(shell=SHELL)}
    new_session(structs.replace(plan, agents={"agent": AgentType()}))  # as a version stored it that knew no `shell`
    assert Engine("resume", session(), cwd=tmp_path).wait() == 0
    assert log_of("A.1") == "one\ntwo\n"


DIE = """
die() { echo "$1" >&2; kill -TERM $$; }
[ -e no-such-file ] || x=$(die 'cannot go on')
echo went on
"""


def test_a_command_that_ends_itself_has_failed(tmp_path: Path) -> None:
    (tmp_path / "lib.sh").write_text("die() { kill -TERM $$; }\n")
    code, _ = run(
        tmp_path,
        f"[tickets.A]\nrun = '''{DIE}'''\n"
        "[tickets.sourced]\nrun = '. ./lib.sh; die; echo went on'\n"
        "[tickets.killed]\nrun = 'kill -9 $$; echo went on'\n"
        "[tickets.expected]\nrun = 'kill $$'\nexpect_codes = [143]\n"
        "[tickets.gate]\nrun = 'true'\ngates = ['kill $$; sleep 0.1; true']\n"
        "[tickets.asked]\nrun = 'touch ran'\nskip_if = 'kill $$; true'\n",
    )
    assert code == 1
    signals = {id_: ticket(id_).signal for id_ in ("A", "sourced", "killed", "expected")}
    assert signals == {"A": 15, "sourced": 15, "killed": 9, "expected": 15}
    assert [log_of(f"{id_}.1") for id_ in ("A", "sourced", "killed")] == ["cannot go on\n", "", ""]
    assert (ticket("expected").status, ticket("gate").status) == (Status.succeeded, Status.failed)
    assert (tmp_path / "ran").exists()
