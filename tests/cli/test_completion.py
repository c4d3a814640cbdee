"""Completions in real shells, the manual, and help."""

import os
import re
import select
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import psutil
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from parexec_tui import paths
from parexec_tui.cli import complete, entry, exits
from parexec_tui.cli.examples import EXAMPLES
from parexec_tui.client.blocking import Client
from parexec_tui.client.framing import ClientError
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import Status
from parexec_tui.registry.errors import RegistryError
from tests.commands import every_command
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import PAREXEC, WITHIN, Engine

PLAN = """
[hosts.far-1]
ssh = "no-such-host.invalid"
[hosts.far-2]
ssh = "no-such-host.invalid"
[agents.mill]
min = 2
[agents.clerk]
[tickets.make-1]
run = "sleep 600"
[tickets.make-2]
needs = ["make-1"]
run = "true"
[tickets.sort]
needs = ["make-2"]
run = "true"
"""


@pytest.fixture
def session(here: Path) -> str:
    """A session with an engine; its id."""
    engine: Engine = engines.start(here, PLAN)
    engine.until(lambda: answers() and engines.happened(ev.MonitoringStarted), "it answers, and its journal says so")
    return engines.session()


def answers() -> bool:
    """Whether the engine of the session can be asked."""
    try:
        with Client.connect(engines.session()):
            return True
    except (ClientError, RegistryError, IndexError):
        return False


def offered(*words: str) -> list[str]:
    """The completions of the last word."""
    *arguments, word = words
    return [item.value for item in ShellComplete(entry.cli, {}, "parexec", "_").get_completions(arguments, word)]


@pytest.fixture
def parexec_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "parexec"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(PAREXEC)} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(paths.__file__).parents[1]))


def shell(name: str, script: str) -> list[str]:
    done = subprocess.run([name, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# -- what is offered -------------------------------------------------------------------------------------------


def test_tickets_agents_and_types_are_those_of_the_engine(session: str) -> None:
    assert offered("retry", "") == ["make-1", "make-2", "sort"]
    assert offered("cancel", "make-1", "make") == ["make-2"], "not what is there already"
    assert offered("drain", "m") == ["make-1", "make-2", "mill-1", "mill-2", "mill"]
    assert offered("reassign", "make-1", "mi") == ["mill-1", "mill-2", "mill"]
    assert offered("priority", "make-1", "s") == ["sort"]
    assert offered("scale", "") == ["mill", "clerk", "host:far-1", "host:far-2"]
    assert offered("retry", "x", "--agent", "c") == ["clerk"]
    assert offered("hold", "host:far") == offered("why", "ho") == ["host:far-1", "host:far-2"]
    assert offered("reassign", "sort", "host:far-2") == ["host:far-2"]
    assert offered("hold", "agent:m") == ["agent:mill-1", "agent:mill-2"]
    assert offered("why", "so") == offered("edit", "so") == offered("log", "so") == ["sort"]


def test_sessions_are_offered_with_their_plans(session: str) -> None:
    for words in (("status", "-s"), ("show",), ("attach",), ("log", "make-1", "--session")):
        assert offered(*words, "exec_") == [session]
    assert offered("status", "-s", session, "--j") == ["--json"]
    assert offered("hold", "-s", session, "sor") == ["sort"]


def test_fixed_words_are_those_of_the_rules() -> None:
    assert {f"status:{each}" for each in Status} <= set(offered("hold", "status:"))
    assert [each.value for each in Priority] == list(complete.PRIORITIES)
    assert offered("hold", "status:fa") == ["status:failed"]
    assert offered("priority", "x", "hi") == ["high"]
    assert offered("completion", "") == ["bash", "zsh", "fish"]
    assert {"status", "stop", "schema"} <= set(offered("s"))
    assert offered("help", "")[:3] == ["add", "answer", "approve"]


def test_without_a_session_nothing_is_offered_and_nothing_said(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for words in (("retry", ""), ("hold", "x"), ("scale", ""), ("status", "-s", ""), ("log", "")):
        assert offered(*words) == []
    assert capfd.readouterr() == ("", "")
    assert not list(here.parent.glob("state-home/*")), "looking creates nothing"


@pytest.fixture
def finished(here: Path) -> str:
    """A session that no engine runs, whose plan was changed since it began; its id."""
    assert engines.run(here, PLAN.replace("sleep 600", "true"))[0] == 0
    for tickets in ("make-3", "make-4"):  # the first reload adds one, the second drops it again
        plan = PLAN.replace("sleep 600", "true").replace("[tickets.sort]", f"[tickets.{tickets}]")
        (here / "plan.toml").write_text(plan, encoding="utf-8")
        changed = CliRunner().invoke(entry.cli, ["reload", "--yes"])
        assert changed.exit_code == 0, changed.output
    return engines.session()


def test_without_an_engine_the_registry_tells(finished: str) -> None:
    assert offered("log", "") == ["make-1", "make-2", "make-4"], "as it was changed"
    assert offered("log", "make-1", "-s", "exec") == [finished]
    assert offered("cancel", "make-1", "make") == ["make-2", "make-4"]
    assert offered("hold", "agent:m") == ["agent:mill-1", "agent:mill-2"]
    assert offered("scale", "") == ["mill", "clerk", "host:far-1", "host:far-2"]
    assert offered("retry", "status:fa") == ["status:failed"]
    assert offered("retry", "st") == offered("retry", "status:")
    assert offered("wait", "ma") == ["make-1", "make-2", "make-4"]
    assert offered("wait", "exec") == offered("attach", "-s", "exec") == [finished]


def test_an_engine_that_does_not_answer_is_not_waited_for(session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete, "_TIMEOUT", 0.05)
    engine = psutil.Process(engines.state_of().engine_pid)
    engine.suspend()
    try:
        assert offered("retry", "") == ["make-1", "make-2", "sort"]
    finally:
        engine.resume()


ALL_MODULES = "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "


@pytest.mark.usefixtures("finished")
def test_completing_imports_little() -> None:
    asked = {"_PAREXEC_COMPLETE": "bash_complete", "COMP_WORDS": "parexec retry make", "COMP_CWORD": "2"}
    done = subprocess.run(
        [*PAREXEC[:-1], ALL_MODULES + PAREXEC[-1]], env=os.environ | asked, capture_output=True, text=True
    )
    assert done.stdout.split() == ["plain,make-1", "plain,make-2", "plain,make-4"]
    ours = {name for name in done.stderr.split() if name.startswith("parexec_tui.")}
    assert ours, done.stderr
    assert not {
        name
        for name in ours - {"parexec_tui.text", "parexec_tui.text.streams"}
        if re.match(r"parexec_tui\.(core\.(plan|rules|wire|schedule)|engine|tui|text)", name)
    }


# -- in shells -------------------------------------------------------------------------------------------------


def test_bash_completes(session: str, parexec_on_path: None) -> None:
    def completed(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in ("parexec", *words))
        return shell(
            "bash",
            f"""
            eval "$(parexec completion bash)"
            complete -p parexec >&2
            COMP_WORDS=({quoted}) COMP_CWORD={len(words)}
            _parexec_completion parexec
            printf '%s\\n' "${{COMPREPLY[@]}}"
            """,
        )

    assert completed("stat") == ["status"]
    assert completed("retry", "make") == ["make-1", "make-2"]
    assert completed("status", "--session", "exec") == [session]
    assert completed("hold", "--dry") == ["--dry-run"]


def test_bash_completes_what_follows_a_colon(session: str, parexec_on_path: None) -> None:
    """Bash takes `status:fa` for three words, where a person sees one."""
    person, terminal = os.openpty()
    environment = os.environ | {"PS1": "$ ", "TERM": "dumb", "INPUTRC": "/dev/null"}
    process = subprocess.Popen(
        ["bash", "--norc", "-i"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        start_new_session=True,
    )
    os.close(terminal)
    shown = ""

    def until_it_shows(text: str) -> None:
        nonlocal shown
        while text not in shown:
            assert select.select([person], [], [], WITHIN)[0], shown
            shown += os.read(person, 1024).decode()

    try:
        os.write(person, b'eval "$(parexec completion bash)"; echo rea""dy\n')
        until_it_shows("ready")
        os.write(person, b"parexec hold status:fai\t")
        until_it_shows("parexec hold status:failed ")
        os.write(person, b"-s exec\t")
        until_it_shows(f"parexec hold status:failed -s {session} ")
        os.write(person, b"\x15parexec why --session=exec\t")  # the line before is removed
        until_it_shows(f"parexec why --session={session} ")
    finally:
        process.kill()
        process.wait(WITHIN)
        os.close(person)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_takes_the_script(session: str, parexec_on_path: None) -> None:
    found = shell(
        "zsh",
        'autoload -U compinit; compinit -u -D; eval "$(parexec completion zsh)"; '
        "COMP_WORDS='parexec retry make' COMP_CWORD=2 _PAREXEC_COMPLETE=zsh_complete parexec",
    )
    assert {"make-1", "make-2"} <= set(found)


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_fish_completes(session: str, parexec_on_path: None) -> None:
    found = shell("fish", "parexec completion fish | source; complete -C 'parexec retry make'")
    assert {"make-1", "make-2"} <= set(found)
    found = shell("fish", "parexec completion fish | source; complete -C 'parexec retry status:fai'")
    assert found == ["status:failed"]


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_scripts_of_other_shells_ask_parexec(name: str, session: str, parexec_on_path: None) -> None:
    script = CliRunner().invoke(entry.cli, ["completion", name]).output
    assert f"_PAREXEC_COMPLETE={name}_complete" in script
    words = "parexec retry make" if name == "zsh" else "parexec retry "
    asked = {
        "_PAREXEC_COMPLETE": f"{name}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": "2" if name == "zsh" else "make",
    }
    done = subprocess.run(["parexec"], env=os.environ | asked, capture_output=True, text=True)
    assert {"make-1", "make-2"} <= set(re.split(r"[\s,]", done.stdout)), done.stderr


# -- help and manual -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", every_command())
def test_every_command_has_an_example_that_it_understands(name: str) -> None:
    assert EXAMPLES[name]
    for line, meaning in EXAMPLES[name]:
        assert meaning
        words = re.split(r" [|>] ", line)[0].split()
        assert words[:2] == ["parexec", name]
    text = CliRunner().invoke(entry.cli, ["help", name]).output
    assert text.startswith(f"Usage: cli {name}")
    assert EXAMPLES[name][0][0] in text


def test_examples_are_of_commands_that_exist() -> None:
    assert set(EXAMPLES) == every_command().keys()


def test_help_lists_all_and_refuses_what_is_not_there() -> None:
    assert CliRunner().invoke(entry.cli, ["help"]).output == CliRunner().invoke(entry.cli, ["--help"]).output
    assert CliRunner().invoke(entry.cli, ["help", "rt"]).output.startswith("Usage: cli retry")
    unknown = CliRunner().invoke(entry.cli, ["help", "frob"])
    assert unknown.exit_code == 2
    assert "there is no command 'frob'" in unknown.output


def test_the_manual_has_every_command_and_option() -> None:
    page = CliRunner().invoke(entry.cli, ["man"], prog_name="parexec").output
    lines = page.splitlines()
    assert lines[0].startswith(".TH PAREXEC 1 ")
    assert [line for line in lines if line.startswith(".SH")] == [
        f".SH {name}"
        for name in ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES")
    ]
    assert lines.count(".nf") == lines.count(".fi")
    plain = page.replace(r"\-", "-")
    sections = dict(re.findall(r'^\.SS "parexec (\S+) (.*?)(?=^\.S)', plain, re.MULTILINE | re.DOTALL))
    assert sorted(sections) == sorted(every_command())
    for name, command in every_command().items():
        heads = "".join(re.findall(r"^\\fB-.*", sections[name], re.MULTILINE))
        named = re.findall(r"(?:(?<=\\fB)|(?<=, )|(?<= / ))-{1,2}[a-zA-Z0-9][a-z-]*", heads)
        assert {*named} == {*options_of(command), "-h", "--help"}
    codes = re.findall(r"^\\fB(\d+)\\fR$", page, re.MULTILINE)
    assert {*map(int, codes)} == {code for name, code in vars(exits).items() if name.isupper()}


def options_of(command: click.Command) -> list[str]:
    """All that may be typed for the options of a command."""
    options = [each for each in command.params if isinstance(each, click.Option)]
    return [name for option in options for name in (*option.opts, *option.secondary_opts)]


@pytest.mark.parametrize("name", every_command())
def test_help_and_completions_have_every_option(name: str) -> None:
    page = CliRunner().invoke(entry.cli, ["help", name], prog_name="parexec").output
    known = options_of(every_command()[name])
    assert [option for option in known if not re.search(rf"(?<![\w-]){option}(?![\w-])", page)] == []
    assert {option for option in known if option.startswith("--")} <= {*offered(name, "--")}
    assert name in offered(name[:1])


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
def test_groff_has_nothing_to_say_against_it() -> None:
    page = CliRunner().invoke(entry.cli, ["man"], prog_name="parexec").output
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=78n"], input=page, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    assert "parexec retry [options] TICKET..." in text
    assert "status:failed" in text
