"""`parexec each`: a command for each of many inputs."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from parexec_tui.cli.each_inputs import InputError, check_words, document, inputs_in, jobs, split
from parexec_tui.cli.grouped_output import GroupedOutput
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.state import events as ev
from tests.cli.test_cli import parexec, refused
from tests.core.sessions import Session
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import PAREXEC, happened, until

# -- words, inputs, commands -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "command", "inputs"),
    [
        (["gzip {}", "--", "a", "b"], "gzip {}", ["a", "b"]),
        (["gzip", "-9", "{}", ":::", "a", "--", "-b"], "gzip -9 {}", ["a", "--", "-b"]),
        (["gzip", "{}", "--"], "gzip {}", []),
        (["gzip", "{}"], "gzip {}", None),
    ],
)
def test_the_inputs_stand_behind_the_first_separator(
    words: list[str], command: str, inputs: list[str] | None
) -> None:
    assert split(words) == (command, inputs)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--", "a"], "there is no command"),
        ([" ", "--", "a"], "there is no command"),
        (["echo", ":::", "a", ":::", "b"], "`matrix` in a plan"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        split(words)


@pytest.mark.parametrize(
    ("data", "are_null_ended", "inputs"),
    [
        (b"", False, []),
        (b"a b\n\nc", False, ["a b", "", "c"]),
        (b"a\nb\0c\0", True, ["a\nb", "c"]),
        ("ä\r\n".encode(), False, ["ä\r"]),
    ],
)
def test_inputs_are_lines_or_end_with_nul(data: bytes, are_null_ended: bool, inputs: list[str]) -> None:
    assert inputs_in(data, are_null_ended=are_null_ended) == inputs


def test_an_input_that_no_command_can_have_is_named_by_its_number() -> None:
    with pytest.raises(InputError, match=r"input 2 has a NUL in it.* add -0"):
        inputs_in(b"a\nb\0c\n", are_null_ended=False)
    with pytest.raises(InputError, match="input 2 is not UTF-8"):
        inputs_in(b"a\n\xff\n", are_null_ended=False)
    with pytest.raises(InputError, match="is not UTF-8"):
        check_words([os.fsdecode(b"a\xff")])


# What GNU parallel makes of the same, but for the kind of quotes.
@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a/b.tar.gz", "a/b.tar.gz|a/b.tar|b.tar.gz|a|b.tar|1"),
        ("plain", "plain|plain|plain|.|plain|1"),
        ("a.d/plain", "a.d/plain|a.d/plain|plain|a.d|plain|1"),
        (".hid", ".hid|''|.hid|.|''|1"),
        ("/x.y", "/x.y|/x|x.y|/|x|1"),
        ("a b/$c;.d", "'a b/$c;.d'|'a b/$c;'|'$c;.d'|'a b'|'$c;'|1"),
        ("", "''|''|''|.|''|1"),
        ("{}{#}", "'{}{#}'|'{}{#}'|'{}{#}'|.|'{}{#}'|1"),
    ],
)
def test_placeholders_mean_what_they_mean_in_gnu_parallel(text: str, made: str) -> None:
    (job,) = jobs("{}|{.}|{/}|{//}|{/.}|{#}", [text])
    assert job.run == made


def test_without_a_placeholder_the_input_is_the_last_word() -> None:
    assert [job.run for job in jobs("echo ${HOME} {x}", ["a b", "c"])] == [
        "echo ${HOME} {x} 'a b'",
        "echo ${HOME} {x} c",
    ]


@pytest.mark.parametrize("command", ["echo {1}", "echo {2.}", "echo {%}", "echo {-1}"])
def test_other_placeholders_of_gnu_parallel_are_refused(command: str) -> None:
    with pytest.raises(InputError, match="means nothing here"):
        list(jobs(command, ["a"]))


@pytest.mark.parametrize("command", ['echo "x{}"', "sh -c 'echo {.}'", 'mv "$(cat "{}")" x', "echo 'a'\"{/}\""])
def test_a_placeholder_within_quotes_is_refused(command: str) -> None:
    with pytest.raises(InputError, match=r"stands within ['\"], and is quoted itself"):
        list(jobs(command, ["$(touch pwned)"]))


def test_any_inputs_make_a_plan_and_their_texts_stay_as_they_are() -> None:
    inputs = ["a.svg", "a.svg", "../x..y", "-", "", "vars {a} matrix *", "ä\n\t", "x" * 500]
    made = list(jobs("echo {}", inputs))
    text = document(made, "echo  {}\n", {"parallel": 3}, {"retries": 2})
    plan = read_plan(text, source="each", folder="/", format="json")
    assert [ticket.member for ticket in plan.tickets.values()] == [{"input": each} for each in inputs]
    assert [ticket.run for ticket in plan.tickets.values()] == [job.run for job in made]
    assert {(ticket.retries, ticket.family) for ticket in plan.tickets.values()} == {(2, "each")}
    assert list(plan.tickets)[:5] == ["1-a.svg", "2-a.svg", "3-x-y", "4", "5"]
    assert (plan.settings.name, plan.settings.parallel) == ("echo {}", 3)


# -- runs ------------------------------------------------------------------------------------------------------


def each(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PAREXEC, "each", *words], input=stdin, capture_output=True, timeout=60, check=False)


def test_outputs_are_whole_and_in_order_if_that_is_asked_for(here: Path) -> None:
    first_is_last = "test {#} != 1 || until test -e go; do sleep 0.01; done; test {#} != 3 || touch go"
    command = f"{first_is_last}; echo {{}}; printf 'x\\ry\\n'"
    ended = each("-P3", "-k", "--tag", command, stdin=b"a b\nc\nd")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout == b"a b\ta b\na b\tx\ry\nc\tc\nc\tx\ry\nd\td\nd\tx\ry\n"

    (here / "go").unlink()
    ended = each("-P2", f": again; {command}", stdin=b"a b\nc\nd")  # of another plan no durations are known
    c, *others = ended.stdout.split(b"x\ry\n")
    assert c == b"c\n", "it is over before the first one is"
    assert sorted(others) == [b"", b"a b\n", b"d\n"]


@pytest.mark.parametrize("kind", [ev.PressureRaised, ev.PressureEased])
def test_a_pressed_host_ends_no_run(kind: type[ev.PressureRaised], capsys: pytest.CaptureFixture[str]) -> None:
    session = Session("A:")
    output = GroupedOutput(session.state.plan.tickets, keeps_order=True, is_tagged=False)
    about_host = kind(at=1.0, resource="cpu", step="hold", text="load 9 per CPU", value=9, threshold=8)
    with output:
        output.tell(session.state, [about_host, ev.HostPressed(at=2.0, resource="disk", text="1MiB free")])
    assert output.lost is None
    assert capsys.readouterr().err == "parexec: nothing starts, since the host is short of disk: 1MiB free\n"


def test_what_failed_is_said_on_standard_error_and_in_the_exit_code(here: Path) -> None:
    ended = each("echo {} >> ran; echo out; test {} != b || exit 4", "--", "a", "b", "c")
    assert (ended.returncode, ended.stdout) == (1, 3 * b"out\n")
    assert b"2-b  failed: exit 4" in ended.stderr
    assert b"--retry-failed" in ended.stderr
    assert sorted((here / "ran").read_text().split()) == ["a", "b", "c"]
    assert parexec("show", "--json").code == 0
    assert json.loads(parexec("status", "--json").out)["plan"].startswith("echo {} >> ran")


def test_what_fails_is_run_again_at_once(here: Path) -> None:
    ended = each("--retries", "1", "echo {} >> ran; test $(wc -l < ran) = 2", "--", "a")
    assert (ended.returncode, (here / "ran").read_text()) == (0, "a\na\n")
    first, second = (event.at for event in happened(ev.AttemptStarted))
    assert second - first < 5


def test_nothing_to_do_is_no_session_and_mistakes_are_said_before_one(here: Path) -> None:
    ended = each("echo")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert each("-n", "rm", stdin=b"a b\n").stdout == b"rm 'a b'\n"
    assert "--timeout: 'soon' is not a duration" in refused("each", "--timeout", "soon", "echo", "--", "a")
    assert "{1} means nothing here" in refused("each", "echo {1}", "--", "a")
    assert "0" in refused("each", "-P", "0", "echo", "--", "a")
    assert "no-such-file" in refused("each", "-a", "no-such-file", "echo")
    assert engines.sessions() == []


def test_a_folder_that_was_removed_is_named(here: Path) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    ended = subprocess.run(
        ["sh", "-c", script, "sh", *PAREXEC, "each", "pwd", "--", "a"], capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, b"parexec: this folder is not there any more: go to another one\n")


def test_after_kill_9_resume_goes_on_with_what_is_left(here: Path) -> None:
    command = "test {} != b || until test -e go; do sleep 0.01; done; echo {} >> ran"
    with subprocess.Popen([*PAREXEC, "each", "-P1", command, "--", "a", "b", "c"], stdout=subprocess.PIPE) as process:
        until(lambda: happened(ev.AttemptSpawned, ticket="2-b"), "the second one runs")
        os.kill(process.pid, signal.SIGKILL)
    (here / "go").touch()
    assert parexec("resume", "--headless").code == 0
    assert (here / "ran").read_text().split() == ["a", "b", "c"]
