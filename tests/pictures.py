"""The pictures of the README: `python -m tests.pictures` runs the tour for real and takes them from the real app.

They go to `parexec_tui/docs/pictures`. A picture is what a terminal of that size would show then, as SVG. It has no
fonts in it: the reader's own are used.
"""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

from msgspec import Struct

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import Status
from parexec_tui.tui.actions.table import ACTIONS
from parexec_tui.tui.app.app import ParexecApp
from parexec_tui.tui.app.config import ScreenConfig
from parexec_tui.tui.input.keymap import Keymap
from parexec_tui.tui.screen.arrangement import Arrangement
from parexec_tui.tui.theme.themes import load
from tests.engine.engines import PAREXEC

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "parexec_tui" / "docs" / "pictures"
PLANS = ROOT / "sample_plans"
_PATIENCE = 240.0


class Picture(Struct, frozen=True):
    """One picture: how large, when, and after which keys."""

    name: str
    width: int
    height: int
    when: Callable[[SessionState], bool]
    ticket: str
    """The one that is selected."""
    keys: tuple[str, ...] = ()
    theme: str = "parexec-dark"
    plan: str = "tour"


def _is(ticket: str, *statuses: Status) -> Callable[[SessionState], bool]:
    return lambda state: state.tickets[ticket].status in statuses


def _is_pressed(state: SessionState) -> bool:
    return any(ladder.holds for ladder in state.ladders.values())


def _is_limited(state: SessionState) -> bool:
    return bool(state.accounts) and state.tickets["manual"].status is Status.running


def _is_merging(state: SessionState) -> bool:
    return state.counts[Status.succeeded] > 2


PICTURES = (  # in the order of their moments: each app is closed before the next, which else would see a viewer
    Picture("why", 100, 28, _is("fetch-asia", Status.backoff, Status.succeeded), "schema", ("1", "w")),
    Picture("overview", 120, 40, _is("browser-tests", Status.failed), "browser-tests", ("1",)),
    Picture("graph", 120, 40, _is("train-ranking", Status.running), "train-large", ("7", "2")),
    Picture("output", 80, 24, _is("train-ranking", Status.running), "train-ranking", ("5",), "solarized-dark"),
    Picture("pressure", 100, 28, _is_pressed, "liar-3", ("9",), plan="pressure"),
    Picture("agents", 120, 30, _is_limited, "manual", ("5",), plan="agents"),
    Picture("worktrees", 100, 28, _is_merging, "version-next", ("9",), plan="worktrees"),
)


async def take(session: str, picture: Picture) -> None:
    """Attach, wait until it is time, press the keys, and write the picture."""
    look = ScreenConfig(palette=load(picture.theme), keymap=Keymap(ACTIONS), arrangement=Arrangement())
    app = ParexecApp(session, look)
    async with app.run_test(size=(picture.width, picture.height)) as pilot:
        async with asyncio.timeout(_PATIENCE):
            while not (app.view.connected and app.view.live is not None and picture.when(app.view.live)):
                await pilot.pause(0.1)
            while app.view.samples.latest is None or app.view.viewers.others:
                await pilot.pause(0.1)
            app.view.selected = picture.ticket
            for key in picture.keys:
                await pilot.press(key)
            await pilot.pause(1.5)  # the output and the samples of this moment
        text = app.export_screenshot(title="parexec", simplify=True)
    text = re.sub(r"\s*@font-face \{.*?\}", "", text, flags=re.DOTALL)  # the fonts would be fetched from elsewhere
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{picture.name}.svg").write_text(text, encoding="utf-8")
    print(f"{picture.name}.svg  {picture.width}x{picture.height}  {len(text) // 1024} KiB", flush=True)


def main() -> None:
    for plan, pictures in groupby(PICTURES, key=lambda picture: picture.plan):
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= {"XDG_STATE_HOME": folder, "XDG_CONFIG_HOME": folder}
            file = shutil.copy(PLANS / f"{plan}.toml", folder) if plan != "tour" else PLANS / f"{plan}.toml"
            if (PLANS / plan).is_dir():
                shutil.copytree(PLANS / plan, Path(folder, plan))
            command = [*PAREXEC, "run", file, "--detach"]
            started = subprocess.run(command, check=True, capture_output=True, text=True)
            session = started.stdout.split()[0]
            try:
                for picture in pictures:  # each in a loop of its own, whose end closes its connection
                    asyncio.run(take(session, picture))
            finally:
                subprocess.run([*PAREXEC, "stop", "--now", "--yes", "-s", session], check=False, capture_output=True)


if __name__ == "__main__":
    main()
