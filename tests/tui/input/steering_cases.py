"""What is tried with each key that steers: what it asks of the engine, and what comes of that."""

from parexec_tui.core.plan.model import Priority
from parexec_tui.core.wire import requests as rq
from tests.tui.harness import Stage
from tests.tui.input.key_cases import TRIALS, trial

__all__ = ["TRIALS"]
"""Those of the other keys with them: that is all there are."""


@trial("hold", ticket="data-check")
async def _hold(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Hold(tickets=("data-check",))
    assert stage.said == "done: hold data-check"
    await stage.press(name)
    assert await stage.done(2) == rq.Release(tickets=("data-check",))


@trial("freeze", ticket="links")
async def _freeze(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Freeze(tickets=("links",))
    assert stage.status("links") == "frozen"
    await stage.press(name)
    assert await stage.done(2) == rq.Thaw(tickets=("links",))


@trial("retry", ticket="bench")
async def _retry(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Retry(tickets=("bench",))
    assert stage.status("bench") == "waiting"


@trial("retry-form", ticket="bench")
async def _retry_form(stage: Stage, name: str) -> None:
    await stage.press(name, *" --fast", "enter")
    assert await stage.done() == rq.Retry(tickets=("bench",), run="make bench --fast")
    assert stage.dialog == ""


@trial("reassign", ticket="bench")
async def _reassign(stage: Stage, name: str) -> None:
    await stage.press("r")
    await stage.done()
    await stage.press(name)
    assert "builder-2" in stage.text()
    await stage.press("enter")
    assert await stage.done(2) == rq.Reassign(tickets=("bench",), agent="builder-2")


@trial("stop", ticket="links")
async def _stop(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.dialog == "Confirm"
    assert "stops links after" in stage.text()
    await stage.press("y")
    assert await stage.done() == rq.Cancel(tickets=("links",))
    assert stage.status("links") == "stopping"


@trial("kill", ticket="links")
async def _kill(stage: Stage, name: str) -> None:
    await stage.press(name, "y")
    assert await stage.done() == rq.Cancel(tickets=("links",), now=True)


@trial("skip", ticket="unit-core-3")
async def _skip(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Waive(tickets=("unit-core-3",))
    assert [stage.status(id_) for id_ in ("unit-core-3", "integration-3")] == ["waived", "waiting"]


@trial("edit", ticket="spoken")
async def _edit(stage: Stage, name: str) -> None:
    await stage.press(name, *" twice", "enter")
    changes = {"title": "Have the pages read aloud by a machine twice"}
    assert await stage.done() == rq.Edit(ticket="spoken", changes=changes)


@trial("raise", ticket="spoken")
async def _raise(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Prioritise(tickets=("spoken",), priority=Priority.medium)


@trial("lower", ticket="review")
async def _lower(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Prioritise(tickets=("review",), priority=Priority.medium)


@trial("more")
async def _more(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Scale(type=None, most=1, relative=True)
    assert stage.played.state.parallel == 9


@trial("fewer", panel="agents")
async def _fewer(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Scale(type="builder", most=-1, relative=True)


@trial("drain", panel="agents")
async def _drain(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Drain(agents=("builder-1",))
    assert stage.played.state.agents["builder-1"].status == "draining"
    await stage.press("1", name)
    assert stage.dialog == "Confirm"
    await stage.press("y")
    assert await stage.done(2) == rq.Drain()


@trial("hold-all")
async def _hold_all(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Hold()
    await stage.until(lambda: "HELD by ann" in stage.text(), "the header says so")
    await stage.press(name)
    assert await stage.done(2) == rq.Release()


@trial("freeze-all")
async def _freeze_all(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert await stage.done() == rq.Freeze()
    assert stage.status("links") == stage.status("draft") == "frozen"
    await stage.press(name)
    assert await stage.done(2) == rq.Thaw()


@trial("undo", ticket="web")
async def _undo(stage: Stage, name: str) -> None:
    await stage.press("P")
    await stage.done()
    await stage.press(name)
    assert await stage.done(2) == rq.Undo()
    assert stage.said == "done: undo: hold the session"
    assert stage.played.state.held is None


@trial("stop-session")
async def _stop_session(stage: Stage, name: str) -> None:
    await stage.press(name)
    assert stage.dialog == "Confirm"
    await stage.press("y")
    assert await stage.done() == rq.Stop()
