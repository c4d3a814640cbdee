"""What is over is taken back from the screen: it is asked first, and names what others have changed since."""

import pytest

from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import ChangedSince
from parexec_tui.tui.actions.session import show_summary
from tests.core.sessions import Session
from tests.tui.dialogs.test_palette import open_and_type, said
from tests.tui.harness import run_app

OTHERS = ChangedSince(("f", "out/a", "out/b", "out/c", "out/d", "out/e"))


def succeeded() -> Session:
    """A goes before B; what each did can be restored."""
    session = Session("A: snapshot=true writes=a\nB: A snapshot=true writes=b\nC:")
    for id_ in ("A", "B"):
        session.dispatch()
        session.tell(rq.SnapshotMade(id_, 1, 1, 10))
        session.succeed(id_)
    return session


def half_done(*, is_over: bool = False) -> Session:
    session = Session("A: snapshot=true writes=a on_fail=rollback\nB: A")
    session.dispatch()
    session.tell(rq.SnapshotMade("A", 1, 1, 10))
    session.fail("A")
    session.restored("A", "a: Operation not permitted")
    if is_over:
        session.ask(rq.Release())
        session.close()
    return session


@pytest.mark.asyncio
async def test_the_key_asks_before_it_takes_back_what_a_ticket_did() -> None:
    async with run_app(played=succeeded(), ticket="B") as ui:
        await ui.press("Z")
        await ui.until(lambda: ui.dialog == "Confirm", "it is asked")
        assert ui.asked == []
        assert "rolled back, in this order: B" in ui.text()
        await ui.press("y")
        assert await ui.done() == rq.Rollback(tickets=("B",))


@pytest.mark.asyncio
async def test_what_others_changed_since_is_named_and_wants_force() -> None:
    async with run_app(played=succeeded(), ticket="B", changed=OTHERS) as ui:
        await ui.press("Z")
        await ui.until(lambda: "changed since: f, out/a, out/b, out/c and 2 more" in ui.said, "it is refused")
        assert ui.dialog == ""
        await open_and_type(ui, "rollback --force B")
        await ui.press("enter")
        await ui.until(lambda: ui.dialog == "Confirm", "it is asked")
        assert "out/c and 2 more; that is overwritten" in " ".join(ui.text().split())
        await ui.press("y")
        assert await ui.done() == rq.Rollback(tickets=("B",), force=True)


@pytest.mark.parametrize(
    ("typed", "request_"),
    [
        ("rollback --downstream A", rq.Rollback(tickets=("A",), downstream=True)),
        ("restart --from 2 --rollback", rq.Rollback(tickets=("B",), downstream=True, rerun=True)),
        ("restart --from B C", rq.Retry(tickets=("B", "C"), downstream=True)),
        ("restart B", rq.Retry(tickets=("B",), downstream=True)),
    ],
)
@pytest.mark.asyncio
async def test_commands_take_the_options_of_the_command_line(typed: str, request_: rq.AnyRequest) -> None:
    played = succeeded()
    played.dispatch()
    played.succeed("C")
    async with run_app(played=played) as ui:
        await open_and_type(ui, typed)
        await ui.press("enter")
        if isinstance(request_, rq.Rollback):
            await ui.until(lambda: ui.dialog == "Confirm", "it is asked")
            await ui.press("y")
        assert await ui.done() == request_


@pytest.mark.asyncio
async def test_an_option_that_there_is_not_is_named() -> None:
    async with run_app(played=succeeded()) as ui:
        await open_and_type(ui, "rollback --forse B")
        assert "there is no option --forse (did you mean `--force`?)" in said(ui)


@pytest.mark.asyncio
async def test_what_is_taken_back_in_part_only_is_offered_to_be_completed_and_not_to_be_retried() -> None:
    async with run_app(played=half_done(), ticket="A", size=(200, 40)) as ui:
        assert "Z takes the rest back of it" in ui.text()
        assert "r retries" not in ui.text()
        await ui.press("w")
        assert "Z takes back the rest; then" in ui.text()
        await ui.press("Z")
        await ui.until(lambda: ui.dialog == "Confirm", "it is asked")
        await ui.press("y")
        assert await ui.done() == rq.Rollback(tickets=("A",))


@pytest.mark.asyncio
async def test_the_summary_offers_to_take_back_the_rest() -> None:
    async with run_app(played=half_done(is_over=True), size=(120, 40)) as ui:
        show_summary(ui.app.actions)
        await ui.hesitate()
        assert "to take back the rest: parexec rollback A -s s1" in ui.text()
        assert "retry 1 failed" not in ui.text()
        await ui.press("Z")
        await ui.until(lambda: ui.dialog == "Confirm", "it is asked")
        await ui.press("y")
        assert await ui.done() == rq.Rollback(tickets=("A",))
