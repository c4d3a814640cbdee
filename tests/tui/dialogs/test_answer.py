"""The form that answers a coding agent."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.rules.verbs.answer import shown_questions
from parexec_tui.core.wire import requests as rq
from tests.core.coded import coded, said, tells
from tests.tui.harness import Harness, run_app

pytestmark = pytest.mark.asyncio

SIZE = (80, 24)


def box(app: Harness) -> list[str]:
    """The lines of the dialog, without its border and scroll bar."""
    return [line.strip(" │┃█▌▐▕▏|") for line in app.lines() if line.startswith("│")]


async def test_who_says_yes_sees_all_of_what_to() -> None:
    session = coded("A: agent=claude")
    command = " && ".join(["make test"] * 20)
    tells(session, "A", question="q", asks=f"Bash: {command}\n\x1b]0;rm -rf important\x07\r\n\n  echo ok")
    async with run_app(played=session, size=SIZE) as app:
        await app.press("A")
        shown = box(app)
        assert not any(line.startswith("lines ") for line in shown), "all of it is in sight"
        assert f"Bash: {command}" in " ".join(shown)
        assert "␛]0;rm -rf important␇" in shown
        assert "echo ok" in shown


async def test_a_question_longer_than_the_dialog_is_read_from_its_beginning_to_its_end() -> None:
    session = coded("A: agent=claude")
    tells(session, "A", question="q", asks="\n".join(f"step {at}" for at in range(1, 61)))
    shown = shown_questions(session.state, ("A",))
    async with run_app(played=session, size=SIZE) as app:
        await app.press("A")
        assert box(app)[0] == "step 1"
        assert "lines 1-13 of 60: PageDown" in box(app)
        await app.press("pagedown")
        assert "lines 13-25 of 60: PageUp, PageDown" in box(app)
        await app.press("end")
        assert "step 60" in box(app)
        assert "lines 48-60 of 60: PageUp" in box(app)
        await app.press("home")
        assert box(app)[0] == "step 1"
        await app.press("n", "o", "end", "enter")
        assert await app.done() == rq.AnswerAgent(tickets=("A",), answer="no", questions=shown)


async def test_who_answers_several_at_once_can_read_all_that_they_ask() -> None:
    agent = AgentType(kind="claude", max=8)
    session = coded("\n".join(f"T{at}: agent=many" for at in range(8)), many=agent)
    for at in range(8):
        tells(session, f"T{at}", question="q", asks=f"Bash: echo {at}", choices=("yes", "no"))
    async with run_app(played=session, size=SIZE) as app:
        await app.press("*", "A")
        assert [line for line in box(app) if line.startswith("T")] == [f"T{at}: Bash: echo {at}" for at in range(8)]


async def test_nothing_is_refused_before_something_is_said() -> None:
    session = coded("A: agent=claude")
    said(session, "A", "needs you", "denied: Bash: echo hello\nrm -rf important")
    async with run_app(played=session, size=SIZE) as app:
        await app.press("A")
        assert "refused" not in app.text()
        assert box(app)[:2] == ["denied: Bash: echo hello", "rm -rf important"]
        await app.press("enter")
        assert "refused: there is no answer yet" in app.text()


async def test_an_answer_is_for_the_question_that_is_shown() -> None:
    session = coded("A: agent=claude")
    tells(session, "A", question="r1", asks="Bash: echo harmless", number=1, asked=1)
    async with run_app(played=session, size=SIZE) as app:
        await app.press("A")
        session.now += 1
        tells(session, "A", question="r2", asks="Bash: rm -rf everything", number=2, asked=2)
        app.feed.tell()
        await app.press("y", "e", "s", "enter")
        assert "A asks something else by now: Bash: rm -rf everything" in app.text()
        assert box(app)[0] == "Bash: echo harmless"
