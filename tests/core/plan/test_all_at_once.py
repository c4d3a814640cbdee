"""Every mistake of a plan is told in the first round, whatever else is wrong with it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.gates import MAX_ALTERNATIVES
from tests.core.plan.test_file import problems

RUN = {"run": "true"}
PLAIN: dict[str, Any] = {
    "plan": {},
    "hooks": {},
    "pressure": {},
    "otel": {},
    "resources": {"gpu": 1},
    "agents": {
        "any": {"can": ["build"]},
        "tool": {"command": ["tool", "{prompt}"]},
        "git": {"isolation": "worktree"},
    },
    "services": {name: {"run": "serve"} for name in ("s1", "s2", "s3", "s4")},
    "group": {"g": {"gates": ["true"]}, "h": {}},
    "groups": {},
    "tickets": {
        **{f"t{number}": {"run": "true", "agent": "any"} for number in range(12)},
        "g1": {"run": "true", "agent": "any", "group": "g"},
        "h1": {"run": "true", "agent": "any", "group": "h"},
        "last": {"run": "true", "agent": "any", "finally": True},
    },
}

Mistake = tuple[tuple[Any, ...], Any, str]
"""Where, what is written there, and what is wrong by that: the place, or what is added to it; several have a blank
between them."""

ITEM = -1
"""In a place: a new item at the end of the list."""

MISTAKES: list[Mistake] = [
    (("plan", "gates", ITEM), {"name": "x"}, ""),
    (("plan", "gates", ITEM), {"run": "x", "timeout": "soon"}, ".timeout"),
    (("plan", "gates", ITEM), {"any": ["a"], "run": "b"}, ""),
    (("plan", "gates", ITEM), {"any": ["x"] * (MAX_ALTERNATIVES + 1)}, ".any"),
    (("plan", "gates", ITEM), {"any": ["x", {"run": ""}, 3]}, ".any[1] .any[2]"),
    (("plan", "gates", ITEM), {"any": [], "run": "x"}, ".any"),
    (("plan", "gates", ITEM), {"any": ["x", {"run": "x", "timeout": 0}]}, ".any[1].timeout"),
    (("plan", "gates", ITEM), 3, ""),
    (("plan", "finally_timeout"), "0s", ""),
    (("plan", "parallel"), "many", ""),
    (("plan", "shel"), ["sh"], ""),
    (("plan", "shell"), ["sh"], ""),
    (("plan", "max_log"), "1B", ""),
    (("plan", "requires_commands", ITEM), "git >= new", ""),
    (("plan", "requires_commands", ITEM), 3, ""),
    (("plan", "requires_env", ITEM), "A=b", ""),
    (("hooks", "on_idle"), 3, ""),
    (("hooks", "on_nothing"), "true", ""),
    (("pressure", "load"), "high", ""),
    (("otel", "endpoint"), "collector:4318", ""),
    (("otel", "enabled"), "yes", ""),
    (("otel", "attributes"), {"": "x"}, ""),
    (("resources", "port"), ["x"], ""),
    (("resources", "a/b"), 1, 'resources."a/b"'),
    (("agents", "any", "max"), "few", ""),
    (("agents", "any", "env"), {"A=": "b", "C": 3}, '."A=" .C'),
    (("agents", "git", "target"), "a b", ""),
    (("agents", "git", "copy", ITEM), "../x", ""),
    (("agents", "tool", "base"), "main", ""),
    (("agents", "tool", "limits"), {"nice": 99, "cpu": "all"}, ".nice .cpu"),
    (("services", "s1", "run"), " ", "services.s1"),
    (("services", "s1", "restart"), -1, ""),
    (("services", "s2", "ready"), "http://", ""),
    (("services", "s2", "on_death"), "weep", ""),
    (("services", "s3", "ready"), "log:", ""),
    (("services", "s3", "ready_timeout"), "0s", ""),
    (("services", "s4", "env"), {"": "x"}, '.""'),
    (("groups", "77"), {"gates": ["true"]}, ""),
    (("groups", "one"), {"gates": ["true"]}, ""),
    (("groups", "1"), {"gates": [""]}, ".gates[0]"),
    (("group", "g", "gates", ITEM), {"run": "x", "retries": -1}, ".retries"),
    (("group", "g", "gates", ITEM), {"run": "x", "timeout": "0s"}, ".timeout"),
    (("group", "h", "gates"), "true", ""),
    (("tickets", "t0", "needs", ITEM), "nothing", ""),
    (("tickets", "t0", "needs", ITEM), 7, ""),
    (("tickets", "t0", "needs", ITEM), "@g", ""),
    (("tickets", "t0", "after", ITEM), "t1?", ""),
    (("tickets", "t1", "needs", ITEM), "last", ""),
    (("tickets", "t1", "group"), "gg", ""),
    (("tickets", "t2", "run"), "", "tickets.t2"),
    (("tickets", "t2", "timeout"), "soon", ""),
    (("tickets", "t2", "timeuot"), "1m", ""),
    (("tickets", "t2", "depends_on"), ["t1"], ""),
    (("tickets", "t2", "parallel"), 4, ""),
    (("tickets", "t3", "requires", ITEM), "magic", ""),
    (("tickets", "t3", "uses"), {"gpu": 4, "moon": 1, "memory": "lots"}, ".gpu .moon .memory"),
    (("tickets", "t3", "limits"), {"memory": "1KiB", "nice": 99}, ".memory .nice"),
    (("tickets", "t4", "agent"), "nobody", ""),
    (("tickets", "t4", "cwd"), "a\0", ""),
    (("tickets", "t5", "retry_on", ITEM), "bogus", ""),
    (("tickets", "t5", "retry_on", ITEM), 300, ""),
    (("tickets", "t5", "retry_on", ITEM), "signal KILL", ""),
    (("tickets", "t5", "expect_codes", ITEM), 256, ""),
    (("tickets", "t5", "retries"), {"lots": 1, "failed": -1}, ".lots .failed"),
    (("tickets", "t6", "checks", ITEM), {}, ""),
    (("tickets", "t6", "checks", ITEM), {"run": "a", "grows": "b", "every": "1ms"}, " .every"),
    (("tickets", "t6", "checks", ITEM), {"run": "a", "then": "explode", "every": "1ms"}, ".then .every"),
    (("tickets", "t6", "checks", ITEM), {"forbid": "*", "grows": 3}, ".forbid .grows"),
    (("tickets", "t6", "checks", ITEM), {"grows": "x", "timeout": "1m", "every": "1ms"}, ".timeout .every"),
    (("tickets", "t6", "checks", ITEM), {"max_memory": "lots"}, ".max_memory"),
    (("tickets", "t6", "checks", ITEM), {"max_memory": 0}, ".max_memory"),
    (("tickets", "t6", "checks", ITEM), {"run": "a", "timeout": "0s"}, ".timeout"),
    (("tickets", "t7", "outputs", ITEM), "", ""),
    (("tickets", "t7", "outputs", ITEM), 3, ""),
    (("tickets", "t7", "reads", ITEM), "a[", ""),
    (("tickets", "t7", "locks", ITEM), "a b", ""),
    (("tickets", "t8", "snapshot"), True, ""),
    (("tickets", "t8", "progress"), "{nothing}", ""),
    (("tickets", "t8", "max_log"), "1B", ""),
    (("tickets", "t8", "priority"), "high!", ""),
    (("tickets", "t9", "on_fail"), "rollback", ""),
    (("tickets", "t9", "approve"), "maybe", ""),
    (("tickets", "t9", "gates", ITEM), {"any": []}, ".any"),
    (("tickets", "t9", "gates", ITEM), "", ""),
    (("tickets", "t9", "gates", ITEM), {"run": "x", "cwd": 3, "retries": -1}, ".cwd .retries"),
    (("tickets", "t10", "uses_service", ITEM), "nothing", ""),
    (("tickets", "t10", "uses_service", ITEM), 3, ""),
    (("tickets", "t10", "env"), {"A=": "x", "B": 3}, '."A=" .B'),
    (("tickets", "t10", "retry_uses"), {"memory": "x2"}, ""),
    (("tickets", "t11", "if_done", ITEM), "b[", ""),
    (("tickets", "t11", "requires_files", ITEM), "", ""),
    (("tickets", "t11", "needs"), ["t11"], "[0]"),
    (("tickets", "a/b"), RUN | {"agent": "any"}, 'tickets."a/b"'),
    (("tickets", "T1"), RUN | {"agent": "any"}, ""),
    (("tickets", "odd"), 3, ""),
    (("tickets", "null"), RUN | {"agent": "any", "gates": None}, ".gates"),
    (("tickets", "last", "group"), "h", ""),
]


def told(mistakes: list[Mistake]) -> tuple[list[str], list[str]]:
    """The places that are wrong in a plan with these mistakes, and those that are told."""
    document = json.loads(json.dumps(PLAIN))
    wrong: list[str] = []
    for (*way, key), value, what in mistakes:
        table = document
        for name in way:
            table = table.setdefault(name, [] if key is ITEM and name is way[-1] else {})
        if key is ITEM:
            table.append(value)
            place = f"{'.'.join(way)}[{len(table) - 1}]"
        else:
            table[key] = value
            place = ".".join((*way, key))
        wrong += [f"{place}{more}" if more[:1] in ("", ".", "[") else more for more in what.split(" ")]
    text = json.dumps(document, indent=1)
    return sorted(wrong), sorted(line.split(": ")[1] for line in problems(text, format="json"))


def test_the_plan_without_mistakes_has_none() -> None:
    assert told([]) == ([], [])


def test_a_plan_with_all_mistakes_tells_all_of_them() -> None:
    wrong, found = told(MISTAKES)
    assert found == wrong


@given(st.lists(st.sampled_from(range(len(MISTAKES))), unique=True, max_size=12))
def test_some_mistakes_are_told_and_nothing_else(some: list[int]) -> None:
    wrong, found = told([MISTAKES[number] for number in some])
    assert found == wrong


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: ".".join(map(str, mistake[0])))
def test_one_mistake_is_told_and_nothing_that_follows_from_it(mistake: Mistake) -> None:
    wrong, found = told([mistake])
    assert found == wrong


def test_gates_of_a_ticket_are_told_where_they_stand_though_those_of_the_defaults_come_first() -> None:
    document = {
        "defaults": {"gates": ["true", ""]},
        "tickets": {"a": {**RUN, "gates": ["true", ""]}, "b": {**RUN, "gates": {"run": " "}}, "c": RUN},
    }
    found = [line.split(": ")[1] for line in problems(json.dumps(document), format="json")]
    assert found == ["defaults.gates[1]", "tickets.a.gates[1]", "tickets.b.gates"]


def test_a_group_without_tickets_is_told_unless_one_may_be_meant_to_be_in_it() -> None:
    nobody: Mistake = (("group", "nobody"), {}, "")
    is_near = (("tickets", "t1", "group"), "gg", "")
    is_last = (("tickets", "last", "group"), "h", "")
    wrong, found = told([nobody, is_near, is_last])
    assert found == wrong
    for other in (
        (("tickets", "t2", "group"), "noboddy", ""),
        (("tickets", "t3", "group"), 3, ""),
        (("tickets", "odd"), 3, ""),
    ):
        wrong, found = told([nobody, is_last, other])
        assert found == [place for place in wrong if place != "group.nobody"]


def test_what_an_agent_can_is_not_concluded_from_what_cannot_be_read() -> None:
    """A wrong key that has nothing to do with that hides nothing."""
    needs_magic = (("tickets", "t3", "requires", ITEM), "magic", "")
    for key, value in (("can", ["build", 3]), ("cann", ["magic"]), ("skills", ["magic"])):
        assert told([(("agents", "any", key), value, "[1]" if key == "can" else ""), needs_magic])[1] == [
            "agents.any.can[1]" if key == "can" else f"agents.any.{key}"
        ]
    wrong, found = told([(("agents", "any", "nicee"), 3, ""), needs_magic])
    assert found == wrong
