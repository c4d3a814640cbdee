"""The page about coding agents says what the code does."""

import re
from pathlib import Path

from parexec_tui.agents import ends, facts
from parexec_tui.agents.start import PROGRAMS
from parexec_tui.core.plan.coding import KINDS, TESTED, WITH_SANDBOX
from parexec_tui.engine.agent_answers import write_answer
from tests.agents.test_minder import Played
from tests.docs.pages import page, quoted, rows, section

PAGE = page("agents")


def test_each_kind_has_a_row() -> None:
    told = {quoted(row[0])[0]: row for row in rows(section(PAGE, "Kinds"))}
    assert tuple(told) == KINDS
    assert {kind: told[kind][2] for kind in TESTED} == TESTED
    assert all(quoted(told[kind][1])[0].split()[0] == program for kind, program in PROGRAMS.items())


def test_each_permission_has_a_row() -> None:
    table = rows(section(PAGE, "Permissions"))
    assert [quoted(row[0])[0] for row in table] == ["read", "sandbox", "edit", "all"]
    assert [kind for kind, cell in zip(TESTED, table[1][2:], strict=True) if cell == "refused"] == [
        kind for kind in TESTED if kind not in WITH_SANDBOX
    ]


def test_each_end_has_its_exit_code() -> None:
    told = {quoted(row[0])[0]: int(row[1]) for row in rows(section(PAGE, "Ends"))}
    assert told == ends.EXIT_CODES


def test_each_fact_has_its_fields() -> None:
    lines = re.findall(r"^    (\w+)  +((?:\w+, )*\w+)(?:  |$)", facts.__doc__ or "", re.MULTILINE)
    told = {quoted(row[0])[0]: ", ".join(quoted(row[1])) for row in rows(section(PAGE, "Wrappers of your own"))}
    assert told == dict(lines)
    assert f"version {facts.VERSION} of the facts" in PAGE


def test_a_wrapper_hears_answers_as_the_page_says(tmp_path: Path) -> None:
    tell = re.search(r"^    (tell\(\).*)\n", PAGE, re.MULTILINE)
    ask = re.search(r"^    (tell '{\"fact\": \"ask\".*\n    until .*)\n", PAGE, re.MULTILINE)
    assert tell is not None
    assert ask is not None
    script = f'{tell[1]}\n{ask[1]}\ntell \'{{"fact": "end", "end": "succeeded"}}\''
    played = Played(tmp_path, "facts", script)
    write_answer(str(tmp_path / "answers"), "q1", "yes")
    assert played.run() == 0
    assert '{"id": "q1", "answer": "yes"}' in played.log
    assert [one["fact"] for one in played.facts if one["fact"] not in ("note", "last_word")] == [
        "ask",
        "ask_done",
        "end",
    ]


def test_the_wrapper_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    script = re.search(r"^    #!/bin/sh\n((?:    .*\n)+)", PAGE, re.MULTILINE)
    assert script is not None
    played = Played(tmp_path, "facts", script[1].replace("\n    ", "\n").strip())
    assert played.run() == ends.EXIT_CODES["limited"]
    assert [one["fact"] for one in played.facts] == ["session", "tool", "usage", "last_word", "end"]
    assert (played.end["until"], played.end["session"]) == (1796077800, "conversation-7")
