"""A Taskfile becomes a plan."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, read
from parexec_tui.importing.toml_text import plan_text

TASKFILE = """\
version: '3'
env: {LANG: C}
vars:
  OUT: build
  FILE: '{{.OUT}}/app'
  TOOL: '{{default "cc" .CC}}'
tasks:
  default:
    cmds: [{task: lint}, {task: test}]
  lint: "echo lint"
  build:
    desc: Build {{.FILE}}
    deps: [tools, {task: gen, vars: {NAME: a}}, {task: gen, vars: {NAME: b}}]
    sources: [./src/**/*.c]
    generates: ['{{.FILE}}']
    dir: sub
    cmds:
      - cmd: '{{.TOOL}} -o {{.FILE}} {{.CLI_ARGS}}'
  tools:
    status: [test -e tools]
    cmds: [touch tools]
  gen:
    internal: true
    cmds: ['echo {{.NAME}} {x}']
  test:
    cmds:
      - task: build
      - echo test
      - task: report
  report:
    env: {MODE: all}
    cmds: [echo report]
"""


def imported(folder: Path, text: str, *parts: str) -> Draft:
    (folder / "Taskfile.yml").write_text(text)
    draft = read("task", Wanted(folder, folder, parts))
    read_plan(plan_text(draft), source="plan.toml", folder=str(folder), format="toml")
    return draft


def ticket(folder: Path, task: str) -> dict[str, Any]:
    lines = "".join(f"    {line}\n" for line in task.splitlines())
    return dict(imported(folder, f"version: '3'\ntasks:\n  t:\n{lines}", "t").tickets["t"])


def test_tasks_wait_for_what_they_call_before_and_those_that_they_call_after_wait_for_them(tmp_path: Path) -> None:
    draft = imported(tmp_path, TASKFILE)
    assert draft.warnings == []
    assert draft.tables["vars"] == {"OUT": "build", "FILE": "{OUT}/app", "TOOL": "cc"}
    assert draft.tables["defaults"] == {"env": {"LANG": "C"}}
    needs = {id_: each.get("needs", []) for id_, each in draft.tickets.items()}
    assert needs == {
        "lint": [],
        "tools": ["lint"],
        "gen-a": ["lint"],
        "gen-b": ["lint"],
        "build": ["tools", "gen-a", "gen-b"],
        "test": ["build"],
        "report": ["test"],
    }
    assert draft.tickets["build"] == {
        "title": "Build {FILE}",
        "needs": ["tools", "gen-a", "gen-b"],
        "reads": ["sub/src/**/*.c"],
        "writes": ["sub/{FILE}"],
        "up_to_date": True,
        "cwd": "sub",
        "run": "{TOOL} -o {FILE} ",
    }
    assert draft.tickets["tools"]["skip_if"] == "test -e tools"
    assert draft.tickets["gen-a"]["run"] == "echo a {{x}}"
    assert list(imported(tmp_path, TASKFILE, "report").tickets) == ["report"]


def test_commands_run_as_task_runs_them(tmp_path: Path) -> None:
    made = ticket(
        tmp_path,
        """\
vars: {WORD: {sh: echo two words}, FIXED: x}
preconditions: [{sh: 'test {{.FIXED}} = x', msg: it's no x}]
cmds:
  - cd / && A=1
  - cmd: "false"
    ignore_error: true
  - for: [a, b]
    cmd: echo {{.ITEM}} ${A:-unset} "{{.WORD}}"
  - |
    # it's a comment
    echo " \\
     '{{.WORD}}'" it\\'s
  - defer: echo at the end
  - |
    if true; then
      echo {{.TASK}}
    fi""",
    )
    done = subprocess.run(["bash", "-e", "-c", made["run"]], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "a unset two words\nb unset two words\n  'two words' it's\nt\nat the end\n"
    assert done.returncode == 0
    made = ticket(tmp_path, "preconditions: [{sh: 'false', msg: it's no x}]\ncmds: [echo never]")
    done = subprocess.run(["bash", "-e", "-c", made["run"]], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "it's no x\n")


def test_what_cannot_be_carried_over_is_said_at_its_place(tmp_path: Path) -> None:
    text = """\
version: '3'
includes: {docs: ./docs}
dotenv: [.env]
tasks:
  t:
    deps: [docs:build]
    prompt: Sure?
    status: [test -e x]
    sources: [a, {exclude: b}]
    cmds:
      - echo {{upper .X}}
      - task: u
      - for: {var: LIST}
        cmd: echo
      - echo '{{.Y}}'
  u: [echo u]
"""
    draft = imported(tmp_path, text, "t")
    assert draft.warnings == [
        "Taskfile.yml:2: includes: {'docs': './docs'}",
        "Taskfile.yml:6: task docs:build: it is not in this file, or called in a loop",
        "Taskfile.yml:9: {'exclude': 'b'}",
        "Taskfile.yml:8: status beside sources: it runs each time",
        "Taskfile.yml:7: prompt: Sure?",
        "Taskfile.yml:6: {{upper .X}}: put its value there",
        "Taskfile.yml:12: {'task': 'u'}",
        "Taskfile.yml:13: for: {'var': 'LIST'}",
        "Taskfile.yml:6: {{.Y}}: put its value there",
    ]
    assert draft.tables["defaults"] == {"env_file": [".env?"]}
    written = plan_text(draft)
    assert all(f"# not carried over: {warning.partition(': ')[2]}" in written for warning in draft.warnings)
    assert """run = "echo {{upper .X}}\\necho '{{.Y}}'\"""" in written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: '2'\ntasks: {t: ls}\n", "it is no Taskfile of version 3"),
        ("version: '3'\ntasks: {t: ls}\n", "it has no task 'x': name one of t"),
        ("version: '3'\ntasks: {x: {deps: [y]}, y: {deps: [x]}}\n", "tasks call each other: x → y → x"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ImportFault) as fault:
        imported(tmp_path, text, "x")
    assert said in str(fault.value)
