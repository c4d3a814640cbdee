"""A case for each key that steers: what it asks of the engine, and what happens then."""

from parexec_tui.core.plan.ticket import Priority
from parexec_tui.core.rules.verbs.answer import shown_questions
from parexec_tui.core.wire import requests as rq
from tests.tui.actions.key_cases import KEY_CASES, key_case
from tests.tui.harness import Harness
from tests.tui.questions import conflict, denied

__all__ = ["KEY_CASES"]
"""Those of the other keys with them: that is all there are."""


@key_case("hold", ticket="data-check")
async def _hold(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Hold(tickets=("data-check",))
    assert ui.said == "done: hold data-check"
    await ui.press(name)
    assert await ui.done(2) == rq.Release(tickets=("data-check",))


@key_case("freeze", ticket="links")
async def _freeze(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Freeze(tickets=("links",))
    assert ui.status("links") == "frozen"
    await ui.press(name)
    assert await ui.done(2) == rq.Thaw(tickets=("links",))


@key_case("retry", ticket="bench")
async def _retry(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Retry(tickets=("bench",))
    assert ui.status("bench") == "waiting"


@key_case("retry-form", ticket="bench")
async def _retry_form(ui: Harness, name: str) -> None:
    await ui.press(name, *" --fast", "enter")
    assert await ui.done() == rq.Retry(tickets=("bench",), run="make bench --fast")
    assert ui.dialog == ""


@key_case("reassign", ticket="bench")
async def _reassign(ui: Harness, name: str) -> None:
    await ui.press("r")
    await ui.done()
    await ui.press(name)
    assert "builder-1" in ui.text()
    await ui.press("enter")
    assert await ui.done(2) == rq.Reassign(tickets=("bench",), agent="builder-1")


@key_case("cancel", ticket="links")
async def _stop(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.dialog == "Confirm"
    assert "stops links after" in ui.text()
    await ui.press("y")
    assert await ui.done() == rq.Cancel(tickets=("links",))
    assert ui.status("links") == "stopping"


@key_case("kill", ticket="links")
async def _kill(ui: Harness, name: str) -> None:
    await ui.press(name, "y")
    assert await ui.done() == rq.Cancel(tickets=("links",), now=True)


@key_case("waive", ticket="unit-core-3")
async def _waive(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Waive(tickets=("unit-core-3",))
    assert [ui.status(id_) for id_ in ("unit-core-3", "integration-3")] == ["waived", "waiting"]


@key_case("edit", ticket="spoken")
async def _edit(ui: Harness, name: str) -> None:
    await ui.press(name, *" twice", "enter")
    changes = {"title": "Have the pages read aloud by a machine twice"}
    assert await ui.done() == rq.Edit(ticket="spoken", changes=changes)


@key_case("raise", ticket="spoken")
async def _raise(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Prioritise(tickets=("spoken",), priority=Priority.medium)


@key_case("lower", ticket="review")
async def _lower(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Prioritise(tickets=("review",), priority=Priority.medium)


@key_case("approve", ticket="links")
async def _approve(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.asked == []
    assert "approval" in ui.said


@key_case("answer", played=denied(), ticket="migrate")
async def _answer(ui: Harness, name: str) -> None:
    assert ui.view.state is not None
    shown = shown_questions(ui.view.state, ("migrate",))
    await ui.press(name)
    assert "denied: Bash" in ui.text()
    await ui.press(*"yes", "enter")
    await ui.until(lambda: "would be denied again" in ui.text(), "it is refused")
    await ui.press("tab", *"Bash(make)", "enter")
    asked = rq.AnswerAgent(tickets=("migrate",), answer="yes", allow=("Bash(make)",), questions=shown)
    assert await ui.done() == asked
    await ui.select("other")
    await ui.press(name)
    assert (ui.dialog, "the agent of other asks nothing" in ui.said) == ("", True)


@key_case("talk", played=denied(), ticket="migrate")
async def _talk(ui: Harness, name: str) -> None:
    lent: list[tuple[str, ...]] = []
    ui.app.lend_terminal = lambda words: lent.append(tuple(words)) or 2  # type: ignore[func-returns-value,method-assign]
    await ui.press(name)
    assert lent[0][-4:] == ("talk", "migrate", "-s", ui.played.state.session)
    assert ui.said == "it ended with exit code 2: parexec talk migrate says why"


@key_case("reject", ticket="links")
async def _reject(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.dialog == ""
    assert "approval" in ui.said


@key_case("conflict", played=conflict(), ticket="lexer")
async def _conflict(ui: Harness, name: str) -> None:
    await ui.press("d")
    await ui.until(lambda: "+new" in ui.text(), "git has answered")
    assert "What lexer changed" in ui.text()
    assert "ours:" not in ui.text(), "both sides are what C shows"
    await ui.press("escape")
    await ui.select("printer")
    await ui.press(name)
    assert (ui.dialog, ui.said) == (
        "",
        "printer is running, no conflict of it waits for you (conflicts wait for you where `on_conflict` is hold)",
    )
    await ui.select("lexer")
    await ui.press(name)
    await ui.until(lambda: "theirs: what lexer did" in ui.text(), "git has answered")
    await ui.press("c", *"fix it", "enter")
    assert await ui.done() == rq.Merge(tickets=("lexer",), run="fix it", onto="one")
    ui.played.fail("lexer")
    ui.feed.tell()
    await ui.until(lambda: ui.status("lexer") == "conflict", "it is asked again")
    await ui.press(name)
    assert "`fix it`: exit 1" in ui.text()
    await ui.press("t")
    assert await ui.done(2) == rq.Merge(tickets=("lexer",), side="theirs", onto="one")
    assert ui.status("lexer") == "validating"


@key_case("rollback", ticket="fetch-core")
async def _roll_back(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.asked == []
    assert "cannot be rolled back: it has neither rollback nor snapshot" in ui.said


@key_case("more")
async def _more(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Scale(type=None, most=1, relative=True)
    assert ui.played.state.parallel == 9


@key_case("fewer", panel="agents")
async def _fewer(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Scale(type="builder", most=-1, relative=True)


@key_case("drain", panel="agents")
async def _drain(ui: Harness, name: str) -> None:
    await ui.press("j", name)  # the first one is idle, so it would stop at once
    assert await ui.done() == rq.Drain(agents=("builder-2",))
    assert ui.played.state.agents["builder-2"].status == "draining"
    await ui.press("1", name)
    assert ui.dialog == "Confirm"
    await ui.press("y")
    assert await ui.done(2) == rq.Drain()


@key_case("hold-all")
async def _hold_all(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Hold()
    await ui.until(lambda: "HELD" in ui.text(), "the header says so")
    await ui.press(name)
    assert await ui.done(2) == rq.Release()


@key_case("freeze-all")
async def _freeze_all(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert await ui.done() == rq.Freeze()
    assert ui.status("links") == ui.status("draft") == "frozen"
    await ui.press(name)
    assert await ui.done(2) == rq.Thaw()


@key_case("undo", ticket="web")
async def _undo(ui: Harness, name: str) -> None:
    ui.view.me = "ann"
    await ui.press("P")
    await ui.done()
    await ui.press(name)
    assert await ui.done(2) == rq.Undo()
    assert ui.said == "done: undo: hold the session"
    assert ui.played.state.held is None


@key_case("undo-list")
async def _undo_list(ui: Harness, name: str) -> None:
    await ui.press("P")
    await ui.done()
    held = ui.played.state.actions[-1]
    await ui.press(name)
    assert "hold the session" in ui.text()
    await ui.press("enter", "y")
    assert await ui.done(2) == rq.Undo(at=held.at, text=held.text)


@key_case("stop-session")
async def _stop_session(ui: Harness, name: str) -> None:
    await ui.press(name)
    assert ui.dialog == "Confirm"
    await ui.press("y")
    assert await ui.done() == rq.Stop()
