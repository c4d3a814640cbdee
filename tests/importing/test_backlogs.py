"""Backlogs as plans: what is to be done, in which order, and what is said of the rest."""

import json
from pathlib import Path
from typing import Any

import pytest

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.plan.ticket import Priority
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, read
from parexec_tui.importing.toml_text import plan_text


def imported(folder: Path, name: str, file: str, text: str, *parts: str) -> tuple[Plan, Draft]:
    source = folder / file
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text)
    draft = read(name, Wanted(source, folder, parts))
    return read_plan(plan_text(draft), source="p", folder=str(folder), format="toml"), draft


def needs(plan: Plan) -> dict[str, list[str]]:
    return {id_: sorted(ticket.needs) for id_, ticket in plan.tickets.items()}


CHECKLIST = """# Tasks

## Phase 1: Setup
- [x] T001 Create the project
- [ ] T002 [P] Write the {name} file
- [ ] **T003** [P] Configure it
- [ ] T004 Join them

## Phase 2: Story
- [ ] T005 [P] [US1] The model
- [ ] T006 [US1] The service (depends on T005)
  - all of it
```
- [ ] no item
```
- [-] T007 Not any more
- [ ] T008 Last (depends on T099)
"""


def test_phases_and_marks_of_spec_kit(tmp_path: Path) -> None:
    plan, draft = imported(tmp_path, "spec-kit", "specs/1/tasks.md", CHECKLIST)
    first = ["T002", "T003", "T004"]
    assert needs(plan) == {
        "T002": [],
        "T003": [],
        "T004": ["T002", "T003"],
        "T005": first,
        "T006": sorted([*first, "T005"]),
        "T007": [],
        "T008": first,
    }
    assert plan.tickets["T002"].prompt.startswith("Write the {name} file\n")
    assert "- all of it" in plan.tickets["T006"].prompt
    assert plan.tickets["T007"].when == "false"
    assert plan.agents["claude"].kind == "claude"
    assert draft.warnings == [
        "tasks.md:16: it is cancelled: it is not wanted, nor is what needs it",
        "tasks.md:17: it needs T099, and there is no such item",
    ]
    assert read("spec-kit", Wanted(tmp_path, tmp_path)).tickets.keys() == plan.tickets.keys()


def test_parts_of_kiro_are_done_one_after_the_other(tmp_path: Path) -> None:
    text = "# Plan\n- [ ] 1. Set up\n  - [x] 1.1 Folders\n  - [ ] 1.2 Config\n"
    text += "- [ ] 2. Sync\n  - [ ]* 2.1 Test\n- [ ] 3. End\n"
    plan, _ = imported(tmp_path, "kiro", "tasks.md", text)
    assert needs(plan) == {"1.2": [], "2.1": ["1.2"], "3": ["2.1"]}
    assert plan.tickets["1.2"].prompt.startswith("Part of: Set up\n\nConfig\n")


def test_any_checklist(tmp_path: Path) -> None:
    plan, _ = imported(tmp_path, "checklist", "TODO.md", "* [ ] Wash up\n* [ ] Dry up\n")
    assert needs(plan) == {"wash-up": [], "dry-up": ["wash-up"]}


TASKS: dict[str, Any] = {
    "master": {
        "tasks": [
            {"id": 1, "title": "One", "status": "done", "dependencies": []},
            {
                "id": 2,
                "title": "Two",
                "status": "pending",
                "priority": "high",
                "dependencies": [1, "4"],
                "subtasks": [
                    {"id": 1, "title": "a", "status": "pending", "testStrategy": "look"},
                    {"id": 2, "title": "b", "status": "in-progress", "dependencies": [1, "3"]},
                ],
            },
            {"id": "3", "title": "Three", "status": "deferred", "dependencies": ["2.1", 9]},
            {"id": 4, "title": "Four", "status": "odd", "priority": "low"},
            {"id": 5, "title": "Five", "status": "pending", "dependencies": [2]},
        ]
    },
    "other": {"tasks": [{"id": 1, "title": "x", "status": "pending"}]},
}


def test_task_master_with_subtasks_and_mixed_ids(tmp_path: Path) -> None:
    plan, draft = imported(tmp_path, "task-master", "tasks.json", json.dumps(TASKS))
    assert needs(plan) == {
        "2.1": ["4"],
        "2.2": ["2.1", "3", "4"],
        "3": ["2.1"],
        "4": [],
        "5": ["2.1", "2.2"],
    }
    assert (plan.tickets["4"].priority, plan.tickets["3"].when) == (Priority.low, "false")
    assert "How to test it: look" in plan.tickets["2.1"].prompt
    assert draft.warnings == [
        "tasks.json: task 4: the status 'odd' is not known: it counts as pending",
        "tasks.json: task 3: it needs 9, and there is no such item",
        "tasks.json: task 3: it is deferred: it is not wanted, nor is what needs it",
    ]
    both, _ = imported(tmp_path, "task-master", "tasks.json", json.dumps(TASKS), "master", "other")
    assert "other-1" in both.tickets
    with pytest.raises(ImportFault, match="it has no tag 'nope': there is master, other"):
        imported(tmp_path, "task-master", "tasks.json", json.dumps(TASKS), "nope")


def bead(id_: str, status: str = "open", priority: int = 2, **waits: str) -> str:
    dependencies = [{"depends_on_id": on.replace("_", "-"), "type": kind} for on, kind in waits.items()]
    return json.dumps({"id": id_, "title": id_, "status": status, "priority": priority, "dependencies": dependencies})


def test_beads_wait_for_what_blocks_them(tmp_path: Path) -> None:
    lines = [
        bead("bd-1", bd_9="blocks"),
        bead("bd-2", priority=0, bd_1="parent-child", bd_9="related"),
        bead("bd-3", "closed", bd_1="parent-child"),
        bead("bd-9", "in_progress", bd_2="discovered-from"),
        bead("bd-4", priority=4, bd_1="blocks", bd_77="blocks", bd_2="odd"),
        bead("bd-5", "tombstone"),
    ]
    plan, draft = imported(tmp_path, "beads", ".beads/issues.jsonl", "\n".join(lines))
    assert needs(plan) == {"bd-2": ["bd-9"], "bd-9": [], "bd-4": ["bd-2"]}
    assert (plan.tickets["bd-2"].priority, plan.tickets["bd-4"].priority) == (Priority.critical, Priority.low)
    assert draft.warnings == [
        "issues.jsonl:5: bd-4 depends on bd-2 by 'odd', which says nothing of an order here",
        "issues.jsonl:5: it needs bd-77, and there is no such item",
    ]
    assert plan.workdir == str(tmp_path)
    with pytest.raises(ImportFault, match=r"issues.jsonl:1: it is no JSON"):
        imported(tmp_path, "beads", "issues.jsonl", "{")


def test_issues_of_github(tmp_path: Path) -> None:
    issues = [
        {
            "number": 3,
            "title": "A",
            "body": "x\n- Blocked by: #2 and #1\nsee #4",
            "state": "OPEN",
            "labels": [{"name": "P0"}],
        },
        {"number": 2, "title": "B", "body": None, "state": "OPEN", "blockedBy": {"nodes": [{"number": 4}]}},
        {"number": 1, "title": "C", "body": "", "state": "CLOSED"},
        {"number": 4, "title": "D", "body": "", "state": "OPEN", "labels": ["priority: low"]},
    ]
    plan, _ = imported(tmp_path, "gh", "issues.json", json.dumps(issues))
    assert needs(plan) == {"3": ["2"], "2": ["4"], "4": []}
    assert (plan.tickets["3"].priority, plan.tickets["4"].priority) == (Priority.critical, Priority.low)
    with pytest.raises(ImportFault, match="gh issue list"):
        imported(tmp_path, "gh", "issues.json", "{}")


def test_taskwarrior(tmp_path: Path) -> None:
    tasks = [
        {"uuid": "1111-a", "description": "First", "status": "pending", "priority": "H", "project": "home.garden"},
        {"uuid": "2222-a", "description": "Second", "status": "pending", "depends": ["1111-a", "4444-a"]},
        {"uuid": "3333-a", "description": "Third", "status": "waiting", "depends": "2222-a"},
        {"uuid": "4444-a", "description": "Fourth", "status": "completed"},
        {"uuid": "5555-a", "description": "Fifth", "status": "deleted"},
    ]
    plan, _ = imported(tmp_path, "taskwarrior", "tasks.json", json.dumps(tasks))
    assert needs(plan) == {"1111": [], "2222": ["1111"], "3333": ["2222"]}
    assert (plan.tickets["1111"].priority, plan.tickets["3333"].when) == (Priority.high, "false")
    some, _ = imported(tmp_path, "taskwarrior", "tasks.json", json.dumps(tasks), "home")
    assert list(some.tickets) == ["1111"]


def test_an_id_that_no_ticket_can_have_is_mapped_and_said(tmp_path: Path) -> None:
    line = json.dumps({"id": "a b/c", "title": "t", "status": "open"})
    _, draft = imported(tmp_path, "beads", "issues.jsonl", line)
    assert draft.comments["tickets", "a-b-c"] == ["a b/c in issues.jsonl"]


def test_an_item_that_is_put_in_changes_no_other_id(tmp_path: Path) -> None:
    before, _ = imported(
        tmp_path, "checklist", "TODO.md", "- [ ] one\n- [-] dropped\n- [ ] one\n- [ ] Three things!\n"
    )
    after, _ = imported(tmp_path, "checklist", "TODO.md", "- [ ] zero\n- [ ] one\n- [ ] one\n- [ ] Three things!\n")
    assert needs(before) == {"one": [], "dropped": [], "one-2": ["one"], "three-things": ["one-2"]}
    assert list(after.tickets) == ["zero", "one", "one-2", "three-things"]


def test_kiro_says_what_is_begun_and_counts_its_parts(tmp_path: Path) -> None:
    (tmp_path / ".kiro/specs/x").mkdir(parents=True)
    (tmp_path / ".kiro/specs/x/design.md").touch()
    text = "- [ ] 1. Models\n- [-] 1.1 User\n- [ ] 1.2 Role\n- [ ] 2. End\n"
    plan, _ = imported(tmp_path, "kiro", ".kiro/specs/x/tasks.md", text)
    assert needs(plan) == {"1.1": [], "1.2": ["1.1"], "2": ["1.2"]}
    assert plan.workdir == str(tmp_path)
    assert plan.tickets["1.1"].prompt.endswith("The specification: .kiro/specs/x/design.md\n")


def test_what_cannot_be_told_apart_or_is_elsewhere_is_said(tmp_path: Path) -> None:
    _, draft = imported(tmp_path, "beads", "issues.jsonl", f"{bead('bd-1')}\n{bead('bd-1')}")
    assert draft.warnings == ["issues.jsonl:2: a second item bd-1: bd-1"]
    issue = {"number": 1, "title": "A", "body": "Not blocked by #2\n```\nBlocked by #3\n```\nBlocked by a/b#4"}
    plan, draft = imported(tmp_path, "gh", "issues.json", json.dumps([{**issue, "state": "OPEN"}]))
    assert needs(plan) == {"1": []}
    assert draft.warnings == ["issues.json: issue 1: issue 1 waits for a/b#4, which is of another repository"]
