"""What a key would do to the end of the session, as the screen says it."""

import re

import pytest

from tests.core.sessions import Session, plan
from tests.tui.harness import run_app

TEXT = """
A: estimate=5m
B: estimate=5m
C: A estimate=5m
D: estimate=5m
"""


def running(text: str = TEXT, parallel: int = 2) -> Session:
    session = Session(plan(text, parallel=parallel))
    session.dispatch()
    session.wait(60)
    return session


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("keys", "ticket", "said"),
    [
        ("+", "D", r"done: .*at once.*; finishes about \dm\w* earlier"),
        ("-", "D", r"done: .*at once.*; finishes about \dm\w* later"),
        ("f", "A", r"done: freeze A; 2 tickets would not end; the rest finishes "),
        ("<", "D", r"done: priority of D to high; finishes "),
    ],
)
async def test_what_is_done_is_said_with_what_it_does_to_the_end(keys: str, ticket: str, said: str) -> None:
    async with run_app(played=running(parallel=2 if keys != "+" else 1), ticket=ticket) as ui:
        await ui.press(keys)
        await ui.until(lambda: re.search(said, ui.footer()) is not None, "it is said")


@pytest.mark.asyncio
async def test_a_question_says_it_before_it_is_answered() -> None:
    async with run_app(played=running(), ticket="A") as ui:
        await ui.press("x")
        await ui.until(lambda: "finishes about" in "\n".join(ui.lines()), "it is said")
        assert ui.dialog == "Confirm"


@pytest.mark.asyncio
async def test_nothing_is_said_while_nothing_tells_how_long_tickets_take() -> None:
    async with run_app(played=running("A:\nB:\nC: A"), ticket="C") as ui:
        await ui.press("+")
        await ui.until(lambda: "done: " in ui.footer(), "it is done")
        assert "finishes" not in ui.footer()
