"""`parexec help TOPIC`: the pages of parexec_tui/docs, in a pipe and in a terminal."""

import os
import re
import subprocess

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from parexec_tui.cli import entry
from parexec_tui.cli.topics import MAX_WIDTH, in_ascii, title, topics
from tests.docs.pages import PAGES, page
from tests.engine.engines import PAREXEC, WITHIN


def helped(word: str) -> str:
    done = CliRunner().invoke(entry.cli, ["help", word])
    assert done.exit_code == 0, done.output
    return done.output


def refused(word: str) -> str:
    done = CliRunner().invoke(entry.cli, ["help", word])
    assert done.exit_code == 2
    return done.output.splitlines()[-1]


def in_terminal(topic: str, height: int, **environment: str) -> str:
    """What a terminal of 80 columns gets."""
    ours, theirs = os.openpty()
    try:
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": str(height), **environment}
        process = subprocess.Popen([*PAREXEC, "help", topic], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    finally:
        os.close(theirs)
    found = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while data := terminal.read(65536):
                found += data
        except OSError:  # Linux says so when the last writer is gone
            pass
    assert process.wait(WITHIN) == 0
    return found.decode().replace("\r\n", "\n")


def test_every_page_is_a_topic() -> None:
    assert topics() == [file.stem for file in PAGES]


@pytest.mark.parametrize("topic", topics())
def test_a_pipe_gets_the_page_as_it_is_written(topic: str) -> None:
    written = [line for line in page(topic).splitlines() if not line.startswith("<!--")]
    done = subprocess.run([*PAREXEC, "help", topic], capture_output=True, check=True, encoding="utf-8")
    assert done.stdout.splitlines() == written
    assert "\x1b" not in done.stdout


def test_without_utf_8_it_is_ascii() -> None:
    env = {**os.environ, "LC_ALL": "C"}
    text = subprocess.run([*PAREXEC, "help", "protocol"], capture_output=True, check=True, env=env).stdout
    assert text.isascii()
    assert b"hello ->" in text


@pytest.mark.parametrize("topic", topics())
def test_every_sign_of_a_page_has_letters(topic: str) -> None:
    assert in_ascii(page(topic)).count("?") == page(topic).count("?")


def test_a_terminal_gets_it_laid_out() -> None:
    text = in_terminal("claims-and-locks", height=200)
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert title("claims-and-locks") in plain
    assert "`" not in plain
    assert all(len(line) <= 80 < MAX_WIDTH for line in plain.splitlines())


def test_a_long_page_goes_through_the_pager() -> None:
    assert in_terminal("claims-and-locks", height=10, PAGER="sed s/^/paged:/").startswith("paged:")
    assert "paged:" not in in_terminal("claims-and-locks", height=200, PAGER="sed s/^/paged:/")


@pytest.mark.parametrize(
    ("word", "topic"),
    [("plan", "plan-file"), ("settings", "settings-and-themes"), ("themes", "settings-and-themes"), ("ke", "keys")],
)
def test_a_topic_may_be_shortened(word: str, topic: str) -> None:
    assert helped(word).startswith(f"# {title(topic)}\n")


def test_a_command_goes_before_a_topic() -> None:
    assert helped("h").startswith("Usage: cli hold")
    assert helped("events").startswith("Usage: cli events")


def test_what_may_be_several_or_is_none_is_refused() -> None:
    assert refused("com") == "Error: 'com' may be completion or commands"
    assert "(did you mean keys?)" in refused("kyes")
    assert "settings-and-themes" in refused("settngs")
    assert refused("frob").endswith("there is no command 'frob' and no such topic: parexec help lists all")
    assert "there is no command ''" in refused("")


def test_help_lists_the_topics_with_their_titles() -> None:
    listed = CliRunner().invoke(entry.cli, ["help"]).output.partition("Topics (parexec help TOPIC):\n")[2]
    found = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in listed.splitlines()}
    assert found == {topic: title(topic) for topic in topics()}


def test_topics_are_completed() -> None:
    complete = ShellComplete(entry.cli, {}, "parexec", "_").get_completions
    assert [item.value for item in complete(["help"], "ke")] == ["keys"]
    assert {"retry", *topics()} <= {item.value for item in complete(["help"], "")}
