"""The name of a process: its text form can be read back, and is what it was before there were steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.model import ID_PATTERN
from parexec_tui.core.state.process_key import ProcessKey

TICKETS = st.from_regex(ID_PATTERN, fullmatch=True)
STEPS = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)


@given(TICKETS, st.integers(1, 10**6), st.just("run") | STEPS)
def test_a_key_is_read_back_from_its_text(ticket: str, attempt: int, step: str) -> None:
    key = ProcessKey(ticket, attempt, step)
    assert ProcessKey.parse(str(key)) == key


def test_the_command_of_a_ticket_keeps_its_old_name() -> None:
    assert str(ProcessKey("T1", 2)) == "T1.2"
    assert str(ProcessKey("T1.5", 2, "run")) == "T1.5.2"
    assert str(ProcessKey("T1", 2, "gate-1")) == "T1.2.gate-1"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("A.B.3", ProcessKey("A.B", 3)),
        ("A.check.3", ProcessKey("A.check", 3)),
        ("A.1.check.3", ProcessKey("A.1.check", 3)),
        ("A.3.check", ProcessKey("A", 3, "check")),
        ("A.1.3.check", ProcessKey("A.1", 3, "check")),
    ],
)
def test_ticket_ids_may_have_dots(text: str, key: ProcessKey) -> None:
    assert ProcessKey.parse(text) == key
    assert str(key) == text


@pytest.mark.parametrize("text", ["", "A", "A.", ".1", "A.x", "A.01", "A.1.run", "A.²", "A.1.Check", "A.-1", "A.1."])
def test_what_is_no_key(text: str) -> None:
    assert ProcessKey.parse(text) is None


def test_a_step_that_could_not_be_read_back_has_no_text() -> None:
    with pytest.raises(ValueError, match="not the name of a step"):
        str(ProcessKey("A", 1, "a.b"))
