"""Run in a copy of the package that has a status `reviewing` more: does every room cope with a ticket in that status?

`test_new_status.py` makes the copy and runs this there, as a program of its own.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
from click.testing import CliRunner

from parexec_tui.cli import complete
from parexec_tui.cli.entry import cli
from parexec_tui.core.state import indexes
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.core.wire.selectors import select
from parexec_tui.registry import replay as registry_replay
from parexec_tui.tui.panels import PANELS
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.theme.themes import load, user_folder
from parexec_tui.tui.view.view_state import Change
from tests.core.sessions import Session
from tests.tui.harness import Harness, run_app
from tests.tui.release import release

NEW: Any = Status("reviewing")
THEME = "harbour"


def put_under_review(state: SessionState, id_: str) -> None:
    """As an event would that leads to the new status, in which an attempt is not over."""
    if (attempt := state.tickets[id_].attempt) is not None:
        attempt.ended = None
    indexes.move(state, state.tickets[id_], NEW, state.now)


def check_core(played: Session, running: str) -> None:
    put_under_review(played.state, running)
    assert select(played.state, ["status:reviewing"]) == [running]
    assert running in select(played.state, ["status:live"])
    assert running not in select(played.state, ["status:running"])
    context = click.Context(cli)
    assert [item.value for item in complete.tickets(context, cli.params[0], "status:rev")] == ["status:reviewing"]


def check_theme() -> None:
    """A theme that inherits nothing, written by somebody before there was the status."""
    ours = Path(sys.argv[1]).read_text()
    assert "inherits" not in ours.split("[styles]")[0]
    assert "reviewing" not in ours
    user_folder().mkdir(parents=True)
    (user_folder() / f"{THEME}.toml").write_text(ours.replace('name = "parexec-dark"', f'name = "{THEME}"'))
    palette = load(THEME)
    assert palette.status("reviewing") == palette["warn"]


async def check_screen(running: str) -> None:
    async with run_app("tickets", size=(200, 50), theme=THEME) as ui:
        await check_tickets(ui, running)
        for panel in PANELS:
            ui.main.switch_to(panel)
            await ui.pilot.pause()
            await ui.select(running)
            assert running in ui.text(), panel
        await ui.press("w")
        assert f"Why {running}? It is reviewing" in ui.text()
        await ui.press("escape", "?", "/", *"reviewer")
        assert "◎ reviewing" in ui.text()
        assert "a reviewer looks at it" in ui.text()
        await ui.press("escape", "escape", "escape", "b")
        assert "that need you" in ui.said
    async with run_app("graph", ticket=running, theme=THEME) as ui:
        move(ui, running)
        await ui.pilot.pause()
        await ui.until(lambda: "◎" in ui.text_of("graph"), "its sign in the graph")


async def check_tickets(ui: Harness, running: str) -> None:
    panel = ui.main.panels["tickets"]
    assert isinstance(panel, TicketsPanel)
    move(ui, running)
    await ui.until(lambda: "◎ reviewing" in ui.text_of("tickets"), "the new word in the list")
    assert "◎ 1 reviewing" in "\n".join(ui.lines()[:2]), "the header counts it"
    panel.list.sort = "status"
    panel.list.build(ui.view.live)  # type: ignore[arg-type]
    rows = panel.list.tickets()
    statuses = [ui.view.live.tickets[id_].shown_status for id_ in rows]  # type: ignore[union-attr]
    assert statuses.index(NEW) == statuses.count(Status.running), "it stands where its row says"
    panel.list.grouping = "status"
    panel.list.build(ui.view.live)  # type: ignore[arg-type]
    assert "reviewing" in [getattr(row, "key", "") for row in panel.list.rows]
    panel.list.grouping = "none"
    await ui.press("/", *"status:reviewing", "enter")
    assert panel.list.tickets() == [running]
    await ui.press("escape")


def move(ui: Harness, running: str) -> None:
    assert ui.view.live is not None
    put_under_review(ui.view.live, running)
    ui.main.schedule_draw(Change.state)


def check_commands(folder: Path) -> None:
    """`show` and `status` of a session in the registry."""
    plan = folder / "plan.toml"
    plan.write_text("[tickets.build]\nrun = 'true'\n")
    runner = CliRunner()
    done = runner.invoke(cli, ["run", str(plan), "--headless"])
    assert done.exit_code == 0, done.output
    real = registry_replay.replay

    def replay(*args: Any, **options: Any) -> registry_replay.Replay:
        past = real(*args, **options)
        put_under_review(past.state, "build")
        return past

    with patch.object(registry_replay, "replay", replay):
        for command in (["show"], ["show", "--json"], ["status"], ["status", "--json"]):
            told = runner.invoke(cli, command)
            assert told.exit_code == 0, (command, told.output, told.exception)
            assert "reviewing" in told.output, command
        assert "◎ reviewing" in runner.invoke(cli, ["show"]).output
        assert '"counts":{"reviewing":1}' in runner.invoke(cli, ["status", "--json"]).output


if __name__ == "__main__":
    played = release()
    ticket = next(iter(played.live()))
    check_core(played, ticket)
    check_theme()
    asyncio.run(check_screen(ticket))
    os.chdir(os.environ["HOME"])
    check_commands(Path.cwd())
    print("every room copes")
