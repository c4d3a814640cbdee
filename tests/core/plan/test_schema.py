"""The JSON Schema agrees with the reader of plans."""

import json
from typing import Any

import pytest
import tomli
from hypothesis import given
from jsonschema import Draft202012Validator
from msgspec import Struct

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.expanding.written import WrittenTicket
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.reading.schema import plan_schema
from tests.core.plan.documents import PLANS
from tests.core.plan.test_file import FULL, TICKET

SCHEMA = plan_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_schema_is_one_and_can_be_written() -> None:
    Draft202012Validator.check_schema(SCHEMA)

    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("text", [FULL, TICKET, "'$schema' = 'x'" + TICKET + "retry_delay = 1.5\nuses.memory = 3"])
def test_plans_are_valid(text: str) -> None:
    assert list(VALIDATOR.iter_errors(tomli.loads(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[tickets]",
        "[ticket.A]" + TICKET,
        TICKET + "neds = []",
        TICKET + "needs = 'B'",
        TICKET + "priority = 'urgent'",
        TICKET + "timeout = 'soon'",
        TICKET + "retries = -1",
        TICKET + "retries = { mine = 1 }",
        TICKET + "retry_on = []",
        TICKET + "retry_on = [256]",
        TICKET + "expect_codes = []",
        TICKET + "expect_codes = ['0']",
        TICKET + "uses = { gpu = 0.5 }",
        TICKET + "uses = { memory = '1X' }",
        "[tickets.'a/b']",
        "[tickets.'a..b']",
        "[agents.'..']" + TICKET,
        "[agents.a]\ncommand = []" + TICKET,
        "[agents.a]\nnice = 20" + TICKET,
        "[hosts.a]\nsync = 'ftp'" + TICKET,
        "[hosts.a]\nray = { python = 'x' }" + TICKET,
        "[hosts.'a/b']\nssh = 'x'" + TICKET,
        TICKET + "lease = 'ever'",
        "[plan]\non_failure = 'explode'" + TICKET,
        "[defaults]\nrun = 1" + TICKET,
    ],
)
def test_wrong_plans_are_not_valid(text: str) -> None:
    assert not VALIDATOR.is_valid(tomli.loads(text))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("WrittenTicket", WrittenTicket),
        ("AgentType", AgentType),
        ("HostSpec", HostSpec),
        ("PlanSettings", PlanSettings),
    ],
)
def test_every_field_is_described(name: str, model: type[Struct]) -> None:
    properties = SCHEMA["$defs"][name]["properties"]

    assert list(properties) == list(model.__struct_encode_fields__)
    assert all(entry["description"] for entry in properties.values())


def test_defaults_are_told() -> None:
    properties = SCHEMA["$defs"]["WrittenTicket"]["properties"]

    assert properties["retry_delay"]["default"] == 10
    assert properties["priority"]["default"] == "medium"


@given(PLANS)
def test_a_plan_that_can_be_read_is_valid(document: dict[str, Any]) -> None:
    try:
        read_plan(json.dumps(document), source="p", folder="/", format="json")
    except PlanErrors:
        return

    assert list(VALIDATOR.iter_errors(document)) == []
