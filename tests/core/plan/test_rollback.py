"""What a plan says about rollback, and what it cannot say."""

import pytest

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan


def read(text: str) -> Plan:
    return read_plan(text, source="plan.toml", folder="/work", format="toml")


@pytest.mark.parametrize(
    ("fields", "key", "message"),
    [
        ("snapshot = true", "snapshot", "there is nothing to keep: the ticket names no files"),
        ('on_fail = "rollback"', "on_fail", "nothing says how it is rolled back"),
        ('rollback = "a\\u0000b"', "rollback", "a NUL character cannot be passed to a process"),
        ('on_fail = "undo"', "on_fail", "expected one of keep, rollback"),
    ],
)
def test_what_cannot_be_rolled_back_is_a_mistake(fields: str, key: str, message: str) -> None:
    with pytest.raises(PlanErrors) as raised:
        read(f'[tickets.a]\nrun = "true"\n{fields}\n')
    assert key in str(raised.value)
    assert message in str(raised.value)


def test_defaults_hold_where_they_can() -> None:
    plan = read(
        '[defaults]\nsnapshot = true\non_fail = "rollback"\n'
        '[tickets.writes]\nrun = "true"\nwrites = ["out"]\n'
        '[tickets.undoes]\nrun = "true"\nrollback = "undo"\n'
        '[tickets.looks]\nrun = "true"\n'
        '[tickets.keeps]\nrun = "true"\noutputs = ["log"]\non_fail = "keep"\n'
    )
    found = {id_: (ticket.snapshot, ticket.takes_back) for id_, ticket in plan.tickets.items()}
    assert found == {
        "writes": (True, True),
        "undoes": (False, True),
        "looks": (False, False),
        "keeps": (True, False),
    }
