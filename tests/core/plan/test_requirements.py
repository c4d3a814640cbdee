"""What is required: commands with minimal versions, files, variables; and what plans may not say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.expanding.including import PlanText
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan, read_whole
from parexec_tui.core.plan.requirements import (
    Command,
    Requirements,
    parse_command,
    parse_version,
    requires_something,
    version_in,
)
from parexec_tui.core.plan.ticket import Ticket


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("git", Command("git", ())),
        ("git >= 2.38", Command("git", (2, 38))),
        ("git>=2.38", Command("git", (2, 38))),
        (" g++  >=  12 ", Command("g++", (12,))),
        ("./tools/gen >= 1.0.0", Command("./tools/gen", (1,))),
        ("python3.12", Command("python3.12", ())),
    ],
)
def test_a_command_and_its_minimal_version(text: str, command: Command) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize(
    "text", ["", "  ", "git >=", "git > 2", "git == 2.38", "git >= two", "docker compose", "a\0b"]
)
def test_what_is_no_command(text: str) -> None:
    with pytest.raises(ValueError, match="is not a command with a minimal version"):
        parse_command(text)


@given(st.lists(st.integers(0, 99), min_size=1), st.lists(st.integers(0, 99), min_size=1))
def test_versions_are_in_the_order_of_their_numbers(one: list[int], two: list[int]) -> None:
    width = max(len(one), len(two))
    padded = [numbers + [0] * (width - len(numbers)) for numbers in (one, two)]
    first, second = (parse_version(".".join(map(str, numbers))) for numbers in (one, two))
    assert (first < second) == (padded[0] < padded[1])
    assert (first == second) == (padded[0] == padded[1])


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("git version 2.39.5 (Apple Git-154)", "2.39.5"),
        ("GNU Make 4.3\nBuilt for x86_64-pc-linux-gnu", "4.3"),
        ("less 590 (GNU regular expressions)", "590"),
        ("jq-1.6", "1.6"),
        ("go version go1.22.3 linux/amd64", "1.22.3"),
        ("Usage: tool [options]", ""),
    ],
)
def test_the_version_is_the_first_dotted_number(printed: str, version: str) -> None:
    assert version_in(printed) == version


def test_requirements_of_plan_type_and_ticket_add_up() -> None:
    plan, agent = PlanSettings(requires_commands=("git",)), AgentType(requires_env=("TOKEN",))
    ticket = Ticket(requires_commands=("make",), requires_files=("in.csv",))
    assert Requirements.of(plan, agent, ticket) == Requirements(("git", "make"), ("in.csv",), ("TOKEN",))
    assert Requirements.of(PlanSettings(), AgentType(), Ticket()) is None


def read(text: str) -> Plan:
    return read_plan(text, source="plan.toml", folder="/w", format="toml")


@pytest.mark.parametrize("table", ["plan", "agents.a", "defaults", "tickets.t"])
def test_each_table_may_require_and_is_checked(table: str) -> None:
    bad = f"""[{table}]
requires_commands = ["git >= 2.38", "git > 2"]
requires_files = ["in", "a/[b"]
requires_env = ["HOME", "A=b", ""]
"""
    rest = 'run = "true"\n' if table == "tickets.t" else '[tickets.t]\nrun = "true"\n'
    with pytest.raises(PlanErrors) as caught:
        read(bad + rest)
    assert [(it.line, it.key) for it in caught.value.problems] == [
        (2, f"{table}.requires_commands[1]"),
        (3, f"{table}.requires_files[1]"),
        (4, f"{table}.requires_env[1]"),
        (4, f"{table}.requires_env[2]"),
    ]
    hints = [it.hint for it in caught.value.problems]
    assert hints[0] == "write `git`, or `git >= 2.38`"
    assert hints[2] == "write the name alone: A"


def test_what_requires_nothing_is_known_without_a_look() -> None:
    assert not requires_something(read('[tickets.t]\nrun = "true"'))
    for table in ("plan", "agents.a", "defaults"):
        assert requires_something(read(f'[{table}]\nrequires_env = ["A"]\n[tickets.t]\nrun = "true"'))


def test_what_a_ticket_takes_from_the_defaults_has_its_place_there_once() -> None:
    text = """[defaults]
requires_env = ["A"]
[tickets.x]
run = "true"
[tickets.y]
run = "true"
[tickets.z]
requires_env = ["B"]
run = "true"
"""
    faults = [Fault(("tickets", id_, "requires_env", 0), "is not set") for id_ in "xyz"]
    found = read_whole(PlanText("plan.toml", text, "toml"), folder="/").problems(faults)
    assert [(it.line, it.key) for it in found] == [(2, "defaults.requires_env[0]"), (8, "tickets.z.requires_env[0]")]
