"""The minder with real processes: what it writes, how it ends, and that nothing outlives it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from parexec_tui.agents import brief as briefs
from parexec_tui.agents import minder, pipes
from parexec_tui.agents.brief import Brief, Caps
from tests.agents.recorded import FOLDER


class Played:
    """A minder over a CLI that is a shell script."""

    def __init__(self, folder: Path, kind: str, script: str, **more: object) -> None:
        self.folder = folder
        program = folder / "cli"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        names = {name: str(folder / name) for name in ("facts", "stream", "errors", "answers")}
        told = Brief(kind=kind, prompt="do it", program=(str(program),), **names)._replace(**more)  # type: ignore[arg-type]
        (folder / "brief").write_text(briefs.encode(told))

    def start(self) -> "subprocess.Popen[bytes]":
        words = [sys.executable, "-I", "-S", minder.__file__, str(self.folder / "brief")]
        return subprocess.Popen(words, cwd=self.folder, stdout=subprocess.PIPE, start_new_session=True)

    def run(self) -> int:
        process = self.start()
        self.log = process.communicate(timeout=20)[0].decode()
        return process.returncode

    @property
    def facts(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / "facts").read_text().splitlines()]

    @property
    def end(self) -> dict[str, object]:
        assert self.facts[-1]["fact"] == "end"
        return self.facts[-1]


def recording(name: str) -> str:
    return str(FOLDER / f"{name}.jsonl")


def wait_for(path: Path) -> None:
    limit = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_an_attempt_that_succeeds(tmp_path: Path) -> None:
    prompt = "quotes \" ' and $(x) {y}\n" * 12_000  # 300 KB: no argument holds that
    played = Played(tmp_path, "claude", f"cat > got; cat {recording('claude/multi')}", prompt=prompt)
    assert played.run() == 0
    assert (tmp_path / "got").read_text() == prompt
    assert (tmp_path / "stream").read_text() == Path(recording("claude/multi")).read_text()
    assert played.end["end"] == "succeeded"
    assert played.log.splitlines()[-1] == "✓ succeeded"
    assert "$ echo plan" in played.log


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("claude/oauth_r429long", 1, 75),
        ("claude/denied", 0, 79),
        ("claude/a401_1", 1, 77),
        ("claude/termgrp_tool", 0, 70),
    ],
)
def test_the_exit_code_says_the_end(tmp_path: Path, name: str, code: int, expected: int) -> None:
    assert Played(tmp_path, "claude", f"cat {recording(name)}; exit {code}").run() == expected


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    played = Played(tmp_path, "codex", "", program=("no-such-cli",))
    assert played.run() == 78
    assert played.end["why"] == "no-such-cli is not installed, or is not in PATH"


def test_a_conversation_that_is_not_known_begins_anew(tmp_path: Path) -> None:
    script = (
        f'echo "$*" >> argv; case "$*" in *--resume*) cat {recording("claude/early_kill_resume")}; exit 1;; '
        f"*) cat > got; cat {recording('claude/text')};; esac"
    )
    played = Played(tmp_path, "claude", script, conversation="c1", goes_on=True, prompt_going_on="go on")
    assert played.run() == 0
    first, second = (tmp_path / "argv").read_text().splitlines()
    assert "--resume c1" in first
    assert "--session-id" in second
    assert (tmp_path / "got").read_text() == "do it"


def test_a_stop_keeps_the_cost_of_claude(tmp_path: Path) -> None:
    script = f"trap 'cat {recording('claude/intgrp_tool')}; exit 0' INT; touch ready; while :; do sleep 0.05; done"
    played = Played(tmp_path, "claude", script)
    with played.start() as process:
        wait_for(tmp_path / "ready")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 80
    assert played.end["end"] == "interrupted"
    assert played.end["cost"] == pytest.approx(0.00579)


def test_a_stop_after_its_last_word_ends_it_and_the_word_counts(tmp_path: Path) -> None:
    played = Played(tmp_path, "claude", f"cat {recording('claude/text')}; touch ready; exec sleep 60")
    with played.start() as process:
        wait_for(tmp_path / "ready")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert played.end["end"] == "succeeded"


def test_who_has_said_its_last_word_and_does_not_end_is_ended(tmp_path: Path) -> None:
    """Servers that a CLI started hang."""
    script = f"trap '' TERM INT; cat {recording('claude/text')}; while :; do sleep 0.05; done"
    played = Played(tmp_path, "claude", script)
    began = time.monotonic()
    assert played.run() == 0
    assert time.monotonic() - began < 8
    assert [each["fact"] for each in played.facts][-3:] == ["last_word", "note", "end"]
    assert played.end["cost"] == pytest.approx(0.00579)
    assert "does not end: it is ended" in played.log


def test_what_does_not_end_is_killed_with_its_tools(tmp_path: Path) -> None:
    script = "trap '' TERM; sleep 321 & echo $! > tool; touch ready; while :; do sleep 0.05; done"
    played = Played(tmp_path, "opencode", script, silence=0.3)
    started = time.monotonic()
    assert played.run() == 69  # it said nothing for too long
    assert time.monotonic() - started < minder.GENTLE + 5
    tool = int((tmp_path / "tool").read_text())
    assert not psutil.pid_exists(tool) or psutil.Process(tool).status() == psutil.STATUS_ZOMBIE


def test_one_that_streams_what_is_no_fact_is_not_silent(tmp_path: Path) -> None:
    told = 'for i in 1 2 3 4 5 6 7 8; do echo \'{"type":"no such event"}\'; sleep 0.1; done'
    played = Played(tmp_path, "opencode", f"{told}; cat {recording('opencode/multi')}", silence=0.5)
    assert played.run() == 0


def test_a_cap_stops_it(tmp_path: Path) -> None:
    script = f"cat {recording('opencode/tool')} | head -n 4; exec sleep 30"
    played = Played(tmp_path, "opencode", script, caps=Caps(tokens=700))
    assert played.run() == 73
    assert played.end["why"] == "742 of 700 tokens are used"


@pytest.mark.parametrize("kind", ["claude", "codex"])
def test_one_that_takes_more_turns_than_it_may_needs_a_person(tmp_path: Path, kind: str) -> None:
    words = f"cat {recording(f'{kind}/multi')}"
    played = Played(tmp_path, kind, words)
    assert played.run() == 0
    turns = int(str(played.end["turns"]))
    assert Played(tmp_path, kind, words, caps=Caps(turns=turns)).run() == 0, "it may take as many"
    capped = Played(tmp_path, kind, f"{words} | head -n -1; exec sleep 30", caps=Caps(turns=turns - 1))
    assert capped.run() == 79
    assert capped.end["why"] == f"it has taken its {turns - 1} turns, and may go round in circles"


def test_one_that_does_the_same_over_and_over_needs_a_person(tmp_path: Path) -> None:
    call = (
        '{"type":"item.started","item":{"id":"i%d","type":"command_execution","command":"ls","status":"in_progress"}}'
    )
    script = f"i=0; while :; do i=$((i+1)); printf '{call}\\n' $i; sleep 0.01; done"
    played = Played(tmp_path, "codex", script)
    assert played.run() == 79
    assert played.end["why"] == "it did the same 20 times in a row: shell ls"
    assert sum(each["fact"] == "tool" for each in played.facts) >= minder.SAME_TOOL


def test_what_stands_in_the_pipe_of_a_tool_is_not_waited_for(tmp_path: Path) -> None:
    played = Played(tmp_path, "claude", f"(setsid sleep 60 &) ; cat {recording('claude/text')}")
    assert played.run() == 0
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] == ["sleep", "60"]:
            process.kill()


def test_a_flood_and_a_long_line(tmp_path: Path) -> None:
    script = (
        "head -c 3000000 /dev/zero | tr '\\0' x; echo; "
        f'yes \'{{"type":"unknown"}}\' | head -n 50000; cat {recording("claude/text")}'
    )
    played = Played(tmp_path, "claude", script, stream_limit=100_000)
    assert played.run() == 0
    assert (tmp_path / "stream").stat().st_size < 100_100
    assert len(played.log) < 10_000


def test_a_cli_may_print_ahead(tmp_path: Path) -> None:
    """Gemini CLI exits without what its pipe does not take at once."""
    size = f"{sys.executable} -c 'import fcntl; print(fcntl.fcntl(1, fcntl.F_GETPIPE_SZ))'"
    played = Played(tmp_path, "claude", f"{size}; cat {recording('claude/text')}")
    assert played.run() == 0
    assert int(played.log.splitlines()[0]) >= pipes.AHEAD


def test_two_that_make_one_database_get_it_in_the_end(tmp_path: Path) -> None:
    fails = "touch once; echo 'Failed query: ' >&2; echo 'CREATE TABLE `workspace` (' >&2; exit 1"
    played = Played(tmp_path, "opencode", f"test -e once || {{ {fails}; }}; cat {recording('opencode/multi')}")
    assert played.run() == 0
    assert "it starts once more" in played.log


def test_a_question_is_told_as_a_whole_and_answered_by_a_file(tmp_path: Path) -> None:
    command = f"echo {'y' * 5000}; rm x"
    ask = json.dumps(
        {
            "type": "control_request",
            "request_id": "q1",
            "request": {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": command}},
        }
    )
    script = f"read prompt; echo '{ask}'; read answer; echo \"$answer\" > answer; cat {recording('claude/text')}"
    played = Played(tmp_path, "claude", script, asks=True)
    with played.start() as process:
        limit = time.monotonic() + 10
        while not any(each["fact"] == "ask" for each in (played.facts if (tmp_path / "facts").exists() else [])):
            assert time.monotonic() < limit
            time.sleep(0.02)
        (tmp_path / "answers").write_text('{"id":"q1","answer":"yes"}\n')
        assert process.wait(10) == 0
    assert json.loads((tmp_path / "answer").read_text())["response"]["response"]["behavior"] == "allow"
    assert [each["what"] for each in played.facts if each["fact"] == "ask"] == [f"Bash: {command}"]


def test_the_fact_of_a_tool_says_where_its_line_is_in_the_log(tmp_path: Path) -> None:
    played = Played(tmp_path, "claude", f"cat >/dev/null; cat {recording('claude/multi')}")
    played.run()
    places = [each["log"] for each in played.facts if each["fact"] == "tool"]
    assert len(places) > 1
    lines = [played.log.encode()[at:].split(b"\n")[0].decode() for at in places if isinstance(at, int)]
    assert lines == [line for line in played.log.split("\n") if line.startswith(("$ ", "· "))]


def test_a_wrapper_writes_facts_itself(tmp_path: Path) -> None:
    script = """echo hello; echo '{"fact":"end","end":"refused","why":"no"}' >> "$PAREXEC_FACTS" """
    played = Played(tmp_path, "facts", script)
    assert played.run() == 65
    assert "hello" in played.log.splitlines()
    assert played.end["why"] == "no"


def test_other_agents_are_not_told_of(tmp_path: Path) -> None:
    played = Played(tmp_path, "claude", f"env > env; cat {recording('claude/text')}")
    os.environ["CLAUDECODE"] = "1"
    try:
        assert played.run() == 0
    finally:
        del os.environ["CLAUDECODE"]
    assert "CLAUDECODE" not in (tmp_path / "env").read_text()
