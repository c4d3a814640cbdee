"""The README is the first minute: short, and what it says can be done."""

import re
import shlex

from tests.commands import every_command
from tests.docs.pages import README, ROOT, rows, section

TEXT = README.read_text(encoding="utf-8")
MAX_LINES = 270


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) <= MAX_LINES


def test_the_command_lines_to_install_and_run_are_there() -> None:
    venv = "python3 -m venv .venv && .venv/bin/pip install"
    assert f"\n    {venv} . && .venv/bin/parexec run sample_plans/quickstart.toml --headless\n" in TEXT
    assert f"\n    {venv} -e '.[test]' && .venv/bin/pytest\n" in TEXT


def test_the_samples_are_named() -> None:
    named = {name.removeprefix("sample_plans/") for name in re.findall(r"`([\w/]+\.toml)`", TEXT)}
    assert named - {"settings.toml"} == {file.name for file in (ROOT / "sample_plans").glob("*.toml")}


def test_the_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_its_pages_are_there() -> None:
    for topic, page in (row[:2] for row in rows(section(TEXT, "All of it"))):
        assert f"(parexec_tui/docs/{topic.strip('`')}.md)" in page


PAST = {"report", "diff", "history", "metrics", "prune", "export", "import"}
FORETOLD = {"simulate", "optimise", "graph", "what-if", "bottlenecks"}


def test_each_line_for_a_shell_is_one_that_its_command_understands() -> None:
    commands = every_command()
    used = [
        shlex.split(words)
        for line in re.findall(r"^    \$ (.*)$", TEXT, re.MULTILINE)
        for words in re.findall(r"parexec ([^;&|#]+)", line)
    ]
    for verb, *words in used:
        commands[verb].make_context(verb, words, help_option_names=["-h", "--help"])  # click keeps the first option
    assert {verb for verb, *_ in used} >= FORETOLD | PAST, "what tells of plans and sessions is shown, each by a line"
